//! The sockets of kube-proxy: what its [`Listener`]s say is opened, and answered. They have a thread of their own, so that a sync does not
//! keep clients waiting.
//!
//! | file | owns |
//! |---|---|
//! | `balancer.rs` | endpoints take turns |
//! | `http.rs` | HTTP of health checks |
//! | `tcp.rs` | TCP connections that are carried on |
//! | `udp.rs` | datagrams that are carried on |
//!
//! Not modelled: metrics (port 10249); SCTP; `splice`, by which Go's runtime moves bytes between two TCP sockets: they are read and
//! written here.

mod balancer;
mod http;
mod tcp;
mod udp;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::process::Process;
use glassnet_userland::sock::{self, Sock};

use super::health::{Answer, Health, Listener, Protocol, Purpose};
use balancer::Balancer;
use tcp::{Dial, Dialed, Relay};
use udp::Clients;

/// Backlog of listen(2), which Go takes from `net.core.somaxconn`.
const BACKLOG: usize = 4_096;

/// Condition of a wait.
type Ready = Box<dyn Fn(&World) -> bool + Send>;

/// What is to be open, which the agent writes and the thread reads.
#[derive(Default)]
pub(super) struct Wanted {
    listeners: Vec<Listener>,
    /// Counts how often `listeners` were written.
    round: u64,
    /// What health checks are told.
    pub health: Health,
}

/// The same for both.
pub(super) type Shared = Arc<Mutex<Wanted>>;

/// Locked. Never keep the guard over an await, nor while the world is to be locked.
pub(super) fn lock(shared: &Shared) -> MutexGuard<'_, Wanted> {
    shared.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl Wanted {
    /// From now on these ports are to be open.
    pub(super) fn listen(&mut self, listeners: Vec<Listener>) {
        self.listeners = listeners;
        self.round += 1;
    }
}

/// A place where kube-proxy listens.
type Place = (Protocol, Ipv4Addr, u16);

fn place(listener: &Listener) -> Place {
    (listener.protocol, listener.address.unwrap_or(Ipv4Addr::UNSPECIFIED), listener.port)
}

/// What is done with those who come.
enum Work {
    Hold,
    Answer(Vec<http::Connection>),
    CarryTcp(Balancer, Option<Dial>),
    CarryUdp(Balancer, Clients),
}

/// A socket that is open.
struct Open {
    purpose: Purpose,
    socket: Sock,
    work: Work,
}

#[derive(Default)]
struct Sockets {
    round: u64,
    open: BTreeMap<Place, Open>,
    /// They go on when their service port is closed.
    relays: Vec<Relay>,
}

/// Serves for ever.
pub(super) async fn serve(process: &mut Process, shared: &Shared) -> Infallible {
    let mut sockets = Sockets::default();
    loop {
        sockets.update(process, shared);
        sockets.step(process, shared);
        let (conditions, deadline) = (sockets.conditions(), sockets.deadline());
        let (seen, wanted) = (sockets.round, shared.clone());
        let ready = move |world: &mut World| {
            let is_news = lock(&wanted).round != seen;
            (is_news || conditions.iter().any(|ready| ready(world))).then_some(())
        };
        // Whatever woke it, all sockets are looked at.
        process.wait(deadline, ready).await;
    }
}

impl Sockets {
    /// Opens and closes what is to be.
    fn update(&mut self, process: &mut Process, shared: &Shared) {
        let listeners = {
            let wanted = lock(shared);
            if wanted.round == self.round {
                return;
            }
            self.round = wanted.round;
            wanted.listeners.clone()
        };
        let wanted: BTreeMap<Place, Listener> =
            listeners.into_iter().map(|listener| (place(&listener), listener)).collect();
        let is_same = |place: &Place, open: &Open| {
            let now = wanted.get(place).map(|listener| &listener.purpose);
            now.is_some_and(|now| now.service() == open.purpose.service())
        };
        self.open.retain(|place, open| is_same(place, open));
        for (place, listener) in wanted {
            let open = match self.open.entry(place) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(vacant) => match Open::new(process, place, listener.purpose.clone()) {
                    Ok(open) => vacant.insert(open),
                    Err(errno) => {
                        process.eprint(refused(&listener, errno));
                        continue;
                    }
                },
            };
            open.update(process, listener.purpose);
        }
    }

    /// Does what can be done without waiting.
    fn step(&mut self, process: &mut Process, shared: &Shared) {
        for open in self.open.values_mut() {
            open.step(process, shared, &mut self.relays);
        }
        self.relays.retain_mut(Relay::step);
    }

    fn conditions(&self) -> Vec<Ready> {
        let mut all: Vec<Ready> = self.relays.iter().flat_map(Relay::conditions).collect();
        for open in self.open.values() {
            open.add_conditions(&mut all);
        }
        all
    }

    fn deadline(&self) -> Option<Nanos> {
        let of = |open: &Open| match &open.work {
            Work::CarryTcp(_, Some(dial)) => Some(dial.deadline()),
            Work::CarryUdp(_, clients) => clients.deadline(),
            _ => None,
        };
        self.open.values().filter_map(of).min()
    }
}

impl Open {
    fn new(process: &Process, (protocol, address, port): Place, purpose: Purpose) -> Result<Open, Errno> {
        let kind = match protocol {
            Protocol::Tcp => SockKind::Tcp,
            Protocol::Udp => SockKind::Udp,
            Protocol::Sctp => return Err(Errno::EPROTONOSUPPORT),
        };
        let socket = Sock::open(process, kind);
        socket.set(|opts| opts.reuseaddr = kind == SockKind::Tcp);
        socket.bind(address, port)?;
        if kind == SockKind::Tcp {
            socket.listen(BACKLOG)?;
        }
        let work = match &purpose {
            Purpose::Held(_) => Work::Hold,
            Purpose::HealthCheck(_) | Purpose::Healthz => Work::Answer(Vec::new()),
            Purpose::Proxy { .. } if kind == SockKind::Tcp => Work::CarryTcp(Balancer::default(), None),
            Purpose::Proxy { .. } => Work::CarryUdp(Balancer::default(), Clients::default()),
        };
        Ok(Open { purpose, socket, work })
    }

    fn update(&mut self, process: &Process, purpose: Purpose) {
        if let Purpose::Proxy { endpoints, affinity, .. } = &purpose
            && let Work::CarryTcp(balancer, _) | Work::CarryUdp(balancer, _) = &mut self.work
        {
            balancer.update(endpoints, *affinity, |bound| sock::random(process, bound));
        }
        self.purpose = purpose;
    }

    fn step(&mut self, process: &mut Process, shared: &Shared, relays: &mut Vec<Relay>) {
        match &mut self.work {
            Work::Hold => {}
            Work::Answer(connections) => {
                while let Ok(Some(socket)) = self.socket.accept() {
                    connections.push(http::Connection::new(socket));
                }
                let (now, purpose) = (process.now(), &self.purpose);
                let answer = |path: &str| answer(purpose, path, &lock(shared).health, now);
                connections.retain_mut(|connection| connection.step(now, answer));
            }
            Work::CarryTcp(balancer, dial) => loop {
                let dialed = match dial.take() {
                    Some(dial) => dial.step(process, balancer),
                    None => match self.socket.accept() {
                        Ok(Some(client)) => Dial::start(process, balancer, client),
                        _ => return,
                    },
                };
                match dialed {
                    Dialed::Waits(waits) => {
                        *dial = Some(waits);
                        return;
                    }
                    Dialed::Connected(relay) => relays.push(relay),
                    Dialed::Failed => {}
                }
            },
            Work::CarryUdp(balancer, clients) => clients.step(process, &self.socket, balancer),
        }
    }

    fn add_conditions(&self, all: &mut Vec<Ready>) {
        match &self.work {
            Work::Hold => return,
            Work::Answer(connections) => all.extend(connections.iter().map(http::Connection::condition)),
            // It accepts nobody else meanwhile.
            Work::CarryTcp(_, Some(dial)) => return all.push(dial.condition()),
            Work::CarryTcp(_, None) => {}
            Work::CarryUdp(_, clients) => all.extend(clients.conditions()),
        }
        all.push(Box::new(self.socket.readable()));
    }
}

fn answer(purpose: &Purpose, path: &str, health: &Health, now: Nanos) -> Answer {
    match purpose {
        Purpose::HealthCheck(check) => check.answer(health.is_healthy(now)),
        _ => health.answer(path, now),
    }
}

/// What kube-proxy's log says of a port that it does not get. It tries again at the next sync.
fn refused(listener: &Listener, errno: Errno) -> String {
    let Listener { port, protocol, .. } = listener;
    let address = listener.address.map(|address| address.to_string()).unwrap_or_default();
    let error = format!("listen {protocol}4 {address}:{port}: bind: {}", errno.strerror().to_lowercase());
    match &listener.purpose {
        Purpose::Held(name) => {
            let what = format!("\"nodePort for {name}\" ({address}:{port}/{protocol}4)");
            format!("kube-proxy: can't open {what}, skipping this nodePort: {error}\n")
        }
        Purpose::HealthCheck(check) => {
            format!(
                "kube-proxy: failed to start healthcheck \"{}\" on port {port}: {error}\n",
                check.service()
            )
        }
        Purpose::Healthz => {
            format!("kube-proxy: failed to start proxier healthz on {address}:{port}: {error}\n")
        }
        Purpose::Proxy { service, .. } => {
            format!("kube-proxy: failed to start proxy for \"{service}\": {error}\n")
        }
    }
}
