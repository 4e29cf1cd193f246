//! Datagrams that are carried on to an endpoint (the userspace mode's `udpProxySocket`): each client has a socket of its own towards its
//! endpoint, which is closed when nothing has passed for a while.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;
use glassnet_userland::process::Process;
use glassnet_userland::sock::Sock;

use super::Ready;
use super::balancer::Balancer;

/// How long a client may be silent (`--udp-timeout`).
const TIMEOUT: Nanos = Nanos::from_millis(250);
/// The longest datagram that is read whole, bytes.
const BUFFER: usize = 4_096;
/// How many endpoints are tried. To connect a socket of UDP fails only without a route.
const ATTEMPTS: usize = 4;

/// Clients of a service port.
#[derive(Default)]
pub(super) struct Clients(BTreeMap<(Ipv4Addr, u16), Client>);

struct Client {
    endpoint: Sock,
    deadline: Nanos,
}

impl Clients {
    /// Carries what there is, and closes sockets of clients that are silent.
    pub(super) fn step(&mut self, process: &mut Process, socket: &Sock, balancer: &mut Balancer) {
        while let Ok(Some(mut message)) = socket.receive() {
            message.data.truncate(BUFFER);
            let Some(client) = self.of(process, balancer, message.from) else { continue };
            // What fails is lost, as other datagrams are.
            if client.endpoint.write(&message.data).is_ok() {
                client.deadline = process.now() + TIMEOUT;
            }
        }
        let now = process.now();
        self.0.retain(|from, client| client.answer(socket, *from, now) && client.deadline > now);
    }

    fn of(
        &mut self,
        process: &mut Process,
        balancer: &mut Balancer,
        from: (Ipv4Addr, u16),
    ) -> Option<&mut Client> {
        let vacant = match self.0.entry(from) {
            Entry::Occupied(known) => return Some(known.into_mut()),
            Entry::Vacant(vacant) => vacant,
        };
        let now = process.now();
        let endpoint = (0..ATTEMPTS).find_map(|attempt| {
            let to = balancer.next(from.0, now, attempt > 0)?;
            let endpoint = Sock::open(process, SockKind::Udp);
            endpoint.connect(*to.ip(), to.port()).is_ok().then_some(endpoint)
        })?;
        Some(vacant.insert(Client { endpoint, deadline: now + TIMEOUT }))
    }

    /// What they wait for.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Ready> + '_ {
        self.0.values().map(|client| -> Ready { Box::new(client.endpoint.readable()) })
    }

    /// Until when.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        self.0.values().map(|client| client.deadline).min()
    }
}

impl Client {
    /// Carries answers back. False: the endpoint refused.
    fn answer(&mut self, socket: &Sock, to: (Ipv4Addr, u16), now: Nanos) -> bool {
        loop {
            match self.endpoint.receive() {
                Ok(None) => return true,
                Err(_) => return false,
                Ok(Some(mut message)) => {
                    message.data.truncate(BUFFER);
                    self.deadline = now + TIMEOUT;
                    if socket.send_to(to.0, to.1, &message.data).is_err() {
                        return false;
                    }
                }
            }
        }
    }
}
