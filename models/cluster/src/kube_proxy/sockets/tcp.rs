//! TCP connections that are carried on to an endpoint (the userspace mode's `tcpProxySocket`).

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_sim::Nanos;
use glassnet_userland::process::Process;
use glassnet_userland::sock::Sock;

use super::Ready;
use super::balancer::Balancer;

/// How long endpoints may take to answer, one after the other.
const TIMEOUTS: [Nanos; 4] =
    [Nanos::from_millis(250), Nanos::from_millis(500), Nanos::from_millis(1_000), Nanos::from_millis(2_000)];
/// Most that is read at once, bytes.
const BLOCK: usize = 32_768;

/// A client for whom a connection to an endpoint is being made. Meanwhile the service port accepts no other.
pub(super) struct Dial {
    client: Sock,
    endpoint: Sock,
    attempt: usize,
    deadline: Nanos,
}

/// What became of it.
pub(super) enum Dialed {
    /// It is not decided.
    Waits(Dial),
    /// There is a connection.
    Connected(Relay),
    /// No endpoint answered; the client's connection is closed.
    Failed,
}

impl Dial {
    /// Begins with the endpoint whose turn it is.
    pub(super) fn start(process: &mut Process, balancer: &mut Balancer, client: Sock) -> Dialed {
        Dial::attempt(process, balancer, client, 0)
    }

    fn attempt(process: &mut Process, balancer: &mut Balancer, client: Sock, first: usize) -> Dialed {
        let address = client.peer().map_or(Ipv4Addr::UNSPECIFIED, |peer| peer.0);
        for (attempt, timeout) in TIMEOUTS.iter().enumerate().skip(first) {
            let now = process.now();
            let Some(to) = balancer.next(address, now, attempt > 0) else { return Dialed::Failed };
            let endpoint = Sock::stream(process);
            if endpoint.connect(*to.ip(), to.port()).is_ok() {
                return Dialed::Waits(Dial { client, endpoint, attempt, deadline: now + *timeout });
            }
        }
        Dialed::Failed
    }

    /// Looks whether the endpoint has answered.
    pub(super) fn step(self, process: &mut Process, balancer: &mut Balancer) -> Dialed {
        if self.endpoint.writable()(&process.world()) {
            if self.endpoint.take_error().is_none() {
                return Dialed::Connected(Relay {
                    ends: [self.client, self.endpoint],
                    pending: Default::default(),
                });
            }
        } else if process.now() < self.deadline {
            return Dialed::Waits(self);
        }
        Dial::attempt(process, balancer, self.client, self.attempt + 1)
    }

    /// What it waits for.
    pub(super) fn condition(&self) -> Ready {
        Box::new(self.endpoint.writable())
    }

    /// Until when.
    pub(super) fn deadline(&self) -> Nanos {
        self.deadline
    }
}

/// Two connections, of which each gets what comes from the other.
pub(super) struct Relay {
    ends: [Sock; 2],
    /// Read from each end, and not written to the other yet.
    pending: [Vec<u8>; 2],
}

impl Relay {
    /// Carries what there is. False: one of them has ended, and so both are closed.
    pub(super) fn step(&mut self) -> bool {
        (0..2).all(|at| self.carry(at).unwrap_or(false))
    }

    fn carry(&mut self, at: usize) -> Result<bool, Errno> {
        loop {
            if !self.pending[at].is_empty() {
                let taken = match self.ends[1 - at].write(&self.pending[at]) {
                    Err(Errno::EAGAIN) => 0,
                    written => written?,
                };
                self.pending[at].drain(..taken);
                if !self.pending[at].is_empty() {
                    return Ok(true);
                }
            }
            match self.ends[at].read(BLOCK)? {
                None => return Ok(true),
                Some(bytes) if bytes.is_empty() => return Ok(false),
                Some(bytes) => self.pending[at] = bytes,
            }
        }
    }

    /// What it waits for.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Ready> + '_ {
        (0..2).map(|at| -> Ready {
            match self.pending[at].is_empty() {
                true => Box::new(self.ends[at].readable()),
                false => Box::new(self.ends[1 - at].writable()),
            }
        })
    }
}
