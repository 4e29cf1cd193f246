//! The state machine of RFC 4271, as BIRD runs it: two connections may be on their way at once, one each way, and the session waits before it
//! connects and after an error.

use std::net::Ipv4Addr;

use bytes::Bytes;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use rustbgpd_wire::{Message, NotificationCode, NotificationMessage};

use super::connection::open_message;
use super::errors::{data_text, text};
use super::{Bgp, Class, Conn, ConnState, Phase, Side, Timer, graceful};
use crate::bird::config::{BgpConfig, Debug, Kind};
use crate::bird::daemon::Daemon;
use crate::bird::iface::{Reach, reach};
use crate::bird::proto::State;
use crate::process::Process;
use crate::sock::{self, Sock};
use crate::stream::{BUFSIZE, writable};

/// A socket that listens, with its address.
pub struct Listener {
    pub address: (Ipv4Addr, u16),
    pub socket: Sock,
}

/// Packets of routing protocols go first (`IP_TOS`, CS6).
const TOS: u8 = 0xc0;
/// The TTL of packets to neighbours that may be several hops away, and of those that say so by the highest one.
const MAX_TTL: u8 = 255;
/// The backlog of listen(2).
const BACKLOG: usize = 8;

/// A timer of so many seconds, up to a quarter earlier (RFC 4271, section 10).
fn timer(process: &Process, now: Nanos, span: u32) -> Option<Timer> {
    let nanos = u64::from(span) * 1_000_000_000;
    let early = sock::random(process, nanos / 4 + 1);
    (span > 0).then(|| Timer { at: now + Nanos(nanos - early), span })
}

/// The TTL of a session's packets.
fn ttl(config: &BgpConfig) -> u8 {
    match config.multihop {
        _ if config.ttl_security => MAX_TTL,
        Some(0) => 1,
        Some(hops) => hops,
        None if config.is_internal() => 64,
        None => 1,
    }
}

impl Daemon {
    fn bgp(&mut self, id: usize) -> Option<&mut Bgp> {
        self.protos[id].bgp_mut()
    }

    /// The protocol starts: it waits for its neighbour's link.
    pub fn bgp_start(&mut self, id: usize) {
        let Some(bgp) = self.bgp(id) else { return };
        bgp.phase = Phase::NoNeighbor;
        (bgp.outgoing, bgp.incoming, bgp.established) = (None, None, None);
        (bgp.connect_timer, bgp.error_timer) = (None, None);
        bgp.pending.clear();
    }

    /// Where the neighbour is, which for one several hops away nobody asks.
    fn neighbor_reach(&self, id: usize) -> Option<Reach> {
        let Kind::Bgp(config) = &self.protos[id].config.kind else { return None };
        if !config.is_direct() {
            return None;
        }
        let found = reach(&self.ifaces, config.neighbor?, config.iface.as_deref());
        let Reach::On(link) = &found else { return Some(found) };
        let iface = self.ifaces.iter().find(|iface| iface.index == link.index)?;
        match config.check_link.unwrap_or(true) && !iface.has_link() {
            true => Some(Reach::Nowhere),
            false => Some(found),
        }
    }

    /// Interfaces have changed: a direct neighbour may be lost.
    pub fn bgp_interfaces(&mut self, id: usize) {
        let Some(found) = self.neighbor_reach(id) else { return };
        let Some(bgp) = self.bgp(id) else { return };
        if bgp.phase == Phase::Down || bgp.link.is_none() || matches!(found, Reach::On(_)) {
            return;
        }
        let is_up = bgp
            .link
            .clone()
            .is_some_and(|link| self.ifaces.iter().any(|iface| iface.index == link.index && iface.is_up()));
        let text = if is_up { "Link down" } else { "Neighbor lost" };
        self.trace(id, Debug::EVENTS, text);
        if let Some(bgp) = self.bgp(id) {
            bgp.last_error = Some((Class::Misc, text.to_owned()));
        }
        self.restart(id);
    }

    /// Ends the session; unless it is disabled, another begins.
    pub fn restart(&mut self, id: usize) {
        self.stop(id);
        self.start(id);
    }

    /// A limit was hit.
    pub fn bgp_limit(&mut self, id: usize, disables: bool) {
        let Some(bgp) = self.bgp(id) else { return };
        bgp.last_error = Some((Class::Automatic, "Route limit exceeded".to_owned()));
        self.protos[id].disabled |= disables;
        self.bgp_notify_all(id, 6, 1);
        self.restart(id);
    }

    /// Closes all connections, with a word about why if they know of a session.
    pub fn bgp_close(&mut self, id: usize) {
        self.bgp_notify_all(id, 6, 0);
        let Some(bgp) = self.bgp(id) else { return };
        (bgp.outgoing, bgp.incoming, bgp.established) = (None, None, None);
        (bgp.connect_timer, bgp.error_timer, bgp.restart_timer) = (None, None, None);
        (bgp.phase, bgp.link) = (Phase::Down, None);
        bgp.pending.clear();
    }

    /// The operator shuts the session down, or resets it.
    pub fn bgp_operator(&mut self, id: usize, subcode: u8) {
        let Some(bgp) = self.bgp(id) else { return };
        (bgp.last_error, bgp.error_delay, bgp.must_wait) = (None, 0, false);
        self.bgp_notify_all(id, 6, subcode);
    }

    fn bgp_notify_all(&mut self, id: usize, code: u8, subcode: u8) {
        for side in Side::BOTH {
            let Some(mut conn) = self.bgp(id).and_then(|bgp| bgp.take_conn(side)) else { continue };
            if conn.state > ConnState::Connect {
                send_notification(&mut conn, code, subcode, &[]);
            }
        }
        if let Some(bgp) = self.bgp(id) {
            bgp.established = None;
        }
    }

    /// A message was wrong, or a timer ended: the neighbour is told, and the session ends.
    pub fn bgp_error(&mut self, id: usize, side: Side, (code, subcode, data): (u8, u8, &[u8])) {
        let name = self.protos[id].name.clone();
        let said = text(code, subcode);
        self.log.push(format!("<RMT> {name}: Error: {said}{}", data_text(code, subcode, data)));
        let Some(bgp) = self.bgp(id) else { return };
        bgp.last_error = Some((Class::Sent, said));
        if let Some(mut conn) = bgp.take_conn(side) {
            send_notification(&mut conn, code, subcode, data);
        }
        // Of two connections the one that gives way is no error.
        if code == 6 {
            return;
        }
        self.bgp_delay(id);
        self.restart(id);
    }

    /// The next session waits, longer with each error.
    fn bgp_delay(&mut self, id: usize) {
        let now = self.now;
        let Some(bgp) = self.bgp(id) else { return };
        let forget = Nanos::from_secs(bgp.config.error_forget_time.into());
        if bgp.last_error_at.is_some_and(|at| now.since(at) >= forget) {
            bgp.error_delay = 0;
        }
        let (least, most) = bgp.config.error_wait;
        bgp.error_delay = if bgp.error_delay == 0 { least } else { (2 * bgp.error_delay).min(most) };
        (bgp.last_error_at, bgp.must_wait) = (Some(now), true);
        if bgp.config.disable_after_error {
            let name = self.protos[id].name.clone();
            self.log.push(format!("<INFO> {name}: Disabled"));
            self.protos[id].disabled = true;
        }
    }

    /// The neighbour sent a NOTIFICATION.
    pub(super) fn bgp_notified(&mut self, id: usize, side: Side, message: &NotificationMessage) {
        let (code, subcode) = (message.code.as_u8(), message.subcode);
        let name = self.protos[id].name.clone();
        let said = text(code, subcode);
        self.log.push(format!("<RMT> {name}: Received: {said}{}", data_text(code, subcode, &message.data)));
        let Some(bgp) = self.bgp(id) else { return };
        let was_session = bgp.established == Some(side);
        bgp.last_error = Some((Class::Received, said));
        bgp.take_conn(side);
        if was_session {
            bgp.established = None;
        }
        let disables = code == 6 && bgp.config.disable_after_cease;
        if code == 6 && subcode == 7 {
            // The other connection goes on.
            self.bgp_idle(id);
            return;
        }
        self.protos[id].disabled |= disables;
        if code != 6 {
            self.bgp_delay(id);
        }
        if was_session || code != 6 || disables {
            self.restart(id);
        } else {
            self.bgp_idle(id);
        }
    }

    /// A connection ended that was no session: it connects again after a while.
    fn bgp_idle(&mut self, id: usize) {
        let Some(bgp) = self.bgp(id) else { return };
        if bgp.phase == Phase::Connecting && bgp.outgoing.is_none() && bgp.incoming.is_none() {
            // It begins again with the delay.
            (bgp.phase, bgp.connect_timer) = (Phase::NoNeighbor, None);
        }
    }

    /// A connection failed.
    fn bgp_socket_error(&mut self, id: usize, side: Side, why: &str) {
        self.trace(id, Debug::EVENTS, &format!("Connection lost ({why})"));
        let now = self.now;
        let Some(bgp) = self.bgp(id) else { return };
        bgp.last_error = Some((Class::Socket, why.to_owned()));
        let was_session = bgp.established == Some(side);
        let restart = bgp.session().and_then(|conn| graceful(conn.remote.as_ref()?));
        let helps = bgp.config.graceful != crate::bird::config::Graceful::Off;
        bgp.take_conn(side);
        if !was_session {
            self.bgp_idle(id);
            return;
        }
        bgp.established = None;
        match restart {
            Some((seconds, true)) if helps => {
                self.trace(id, Debug::EVENTS, "Neighbor graceful restart detected");
                self.bgp_keep(id);
                let span = u32::from(seconds);
                let timer = Timer { at: now + Nanos::from_secs(span.into()), span };
                if let Some(bgp) = self.bgp(id) {
                    bgp.restart_timer = Some(timer);
                    (bgp.phase, bgp.connect_timer) = (Phase::NoNeighbor, None);
                    bgp.last_error = Some((Class::Socket, why.to_owned()));
                }
            }
            _ => self.restart(id),
        }
    }

    /// The session is lost, and its routes stay as they may come back.
    fn bgp_keep(&mut self, id: usize) {
        self.set_stale(id);
        if let Some(channel) = &mut self.protos[id].channel {
            channel.exported.clear();
            (channel.up, channel.wants_feed) = (false, false);
        }
        if let Some(bgp) = self.bgp(id) {
            bgp.pending.clear();
        }
        self.set_state(id, State::Start);
    }

    /// Marks the routes of a session: those that are not told again go.
    pub fn set_stale(&mut self, id: usize) {
        let Some(table) = self.table_of(id).and_then(|table| self.tables.get_mut(&table)) else { return };
        table.nets.values_mut().flatten().filter(|rte| rte.proto == id).for_each(|rte| rte.stale = true);
    }

    /// All that was to be told again was told.
    pub fn drop_stale(&mut self, id: usize) {
        self.flush(id, |rte| rte.stale);
    }

    /// What is to be done now: timers, connections, messages. True: something happened.
    pub fn bgp_step(&mut self, process: &mut Process, id: usize) -> bool {
        let now = self.now;
        let is_due = |timer: Option<Timer>| timer.is_some_and(|timer| timer.at <= now);
        let mut worked = false;
        if self.bgp(id).is_some_and(|bgp| is_due(bgp.restart_timer)) {
            self.trace(id, Debug::EVENTS, "Neighbor graceful restart timeout");
            self.restart(id);
            worked = true;
        }
        if self.bgp(id).is_some_and(|bgp| bgp.phase == Phase::NoNeighbor) {
            worked |= self.bgp_begin(process, id);
        }
        if self.bgp(id).is_some_and(|bgp| is_due(bgp.error_timer)) {
            self.bgp_active(process, id);
            worked = true;
        }
        if self.bgp(id).is_some_and(|bgp| is_due(bgp.connect_timer)) {
            self.bgp_connect(process, id);
            worked = true;
        }
        for side in Side::BOTH {
            worked |= self.bgp_connection(process, id, side);
        }
        worked
    }

    /// The neighbour may be there: the session begins, or waits.
    fn bgp_begin(&mut self, process: &Process, id: usize) -> bool {
        let found = self.neighbor_reach(id);
        let (now, config) = (self.now, self.protos[id].config.clone());
        let Kind::Bgp(config) = &config.kind else { return false };
        let link = match found {
            None => None,
            Some(Reach::On(link)) => Some(link),
            Some(Reach::Own | Reach::Nowhere) => return false,
        };
        let on_link = link.as_ref().and_then(|link| {
            let iface = self.ifaces.iter().find(|iface| iface.index == link.index)?;
            let neighbor = config.neighbor?;
            let own =
                iface.addresses.iter().find(|own| own.net.contains(neighbor) || own.peer == Some(neighbor));
            own.map(|own| own.ip)
        });
        let Some(bgp) = self.bgp(id) else { return false };
        bgp.local = config.local.or(on_link);
        bgp.link = link;
        if std::mem::take(&mut bgp.must_wait) {
            bgp.phase = Phase::ErrorWait;
            bgp.error_timer = timer(process, now, bgp.error_delay);
            let seconds = bgp.error_delay;
            self.trace(id, Debug::EVENTS, &format!("Startup delayed by {seconds} seconds due to errors"));
        } else {
            self.trace(id, Debug::EVENTS, "Started");
            self.bgp_active(process, id);
        }
        true
    }

    /// It connects after a while, and takes connections.
    fn bgp_active(&mut self, process: &Process, id: usize) {
        let now = self.now;
        let Some(bgp) = self.bgp(id) else { return };
        bgp.phase = Phase::Connecting;
        bgp.error_timer = None;
        if bgp.config.passive {
            return;
        }
        let delay = bgp.config.connect_delay_time.max(1);
        bgp.connect_timer = timer(process, now, delay);
        self.trace(id, Debug::EVENTS, &format!("Connect delayed by {delay} seconds"));
    }

    fn bgp_connect(&mut self, process: &Process, id: usize) {
        let now = self.now;
        let Some(bgp) = self.bgp(id) else { return };
        bgp.outgoing = None;
        bgp.connect_timer = timer(process, now, bgp.config.connect_retry_time);
        let config = bgp.config.clone();
        let (local, link) = (bgp.local.unwrap_or(Ipv4Addr::UNSPECIFIED), bgp.link.clone());
        let neighbor = bgp.neighbor();
        let from =
            if local.is_unspecified() { String::new() } else { format!(" from local address {local}") };
        self.trace(id, Debug::EVENTS, &format!("Connecting to {neighbor}{from}"));
        let socket = Sock::stream(process);
        socket.set(|opts| {
            if let Some(link) = &link {
                (opts.bound_dev_if, opts.dontroute) = (link.index, true);
            }
            (opts.ttl, opts.tos) = (Some(ttl(&config)), TOS);
        });
        let done =
            socket.bind(local, 0).and_then(|()| match socket.connect(neighbor, config.neighbor_port) {
                Err(Errno::EINPROGRESS) => Ok(()),
                done => done,
            });
        let Some(bgp) = self.bgp(id) else { return };
        bgp.outgoing = Some(Conn::new(socket, ConnState::Connect));
        if let Err(errno) = done {
            self.bgp_socket_error(id, Side::Outgoing, errno.strerror());
        }
    }

    /// A neighbour connects.
    pub fn bgp_accept(&mut self, process: &Process, socket: Sock) {
        let Some((from, port)) = socket.peer() else { return };
        let (local, _) = socket.local();
        let is_for =
            |bgp: &Bgp| bgp.config.neighbor == Some(from) && bgp.local.is_none_or(|own| own == local);
        let Some(id) = self.protos.iter().position(|proto| proto.bgp().is_some_and(is_for)) else {
            self.log
                .push(format!("<WARN> BGP: Unexpected connect from unknown address {from} (port {port})"));
            return;
        };
        let is_wanted = self.bgp(id).is_some_and(|bgp| {
            bgp.phase == Phase::Connecting && bgp.incoming.is_none() || bgp.restart_timer.is_some()
        });
        let verdict = if is_wanted { "accepted" } else { "rejected" };
        self.trace(id, Debug::EVENTS, &format!("Incoming connection from {from} (port {port}) {verdict}"));
        // A neighbour that connects again while its session is up has restarted.
        if !is_wanted {
            let restarted = self.bgp(id).is_some_and(|bgp| {
                let open = bgp.session().and_then(|conn| conn.remote.as_ref());
                bgp.established.is_some() && open.and_then(graceful).is_some_and(|(_, ours)| ours)
            });
            if !restarted {
                return;
            }
            let side = self.bgp(id).and_then(|bgp| bgp.established).unwrap_or(Side::Outgoing);
            self.bgp_socket_error(id, side, "Connection closed");
        }
        let Some(bgp) = self.bgp(id) else { return };
        bgp.phase = Phase::Connecting;
        let hops = ttl(&bgp.config);
        socket.set(|opts| opts.ttl = Some(hops));
        bgp.incoming = Some(Conn::new(socket, ConnState::Connect));
        self.bgp_open(process, id, Side::Incoming);
    }

    /// The connection stands: OPEN goes.
    fn bgp_open(&mut self, process: &Process, id: usize, side: Side) {
        let (now, router_id) = (self.now, self.protos[id].config.router_id.unwrap_or(self.router_id));
        let channel = self.protos[id].channel.as_ref().map(|channel| channel.config.clone());
        let Some(bgp) = self.bgp(id) else { return };
        let open = open_message(&bgp.config, channel.as_ref(), router_id);
        let startup = bgp.config.startup_hold_time.unwrap_or(240);
        let said = format!(
            "Sending OPEN(ver=4,as={},hold={},id={:08x})",
            bgp.config.local_as,
            open.hold_time,
            router_id.to_bits()
        );
        if side == Side::Outgoing {
            bgp.connect_timer = None;
        }
        if let Some(conn) = bgp.conn_mut(side) {
            conn.queue(&Message::Open(open.clone()));
            conn.open = Some(open);
            conn.state = ConnState::OpenSent;
            conn.hold = timer(process, now, startup);
            if bgp.local.is_none() {
                bgp.local = bgp.conn(side).map(|conn| conn.socket.local().0);
            }
        }
        self.trace(id, Debug::PACKETS, &said);
    }

    /// What a connection has to do. True: something happened.
    fn bgp_connection(&mut self, process: &mut Process, id: usize, side: Side) -> bool {
        let now = self.now;
        let Some(conn) = self.bgp(id).and_then(|bgp| bgp.conn_mut(side)) else { return false };
        if conn.state == ConnState::Connect {
            let is_done = writable(&process.world(), process.machine, conn.socket.id);
            if !is_done {
                return false;
            }
            match conn.socket.take_error() {
                Some(errno) => self.bgp_socket_error(id, side, errno.strerror()),
                None => {
                    self.trace(id, Debug::EVENTS, "Connected");
                    self.bgp_open(process, id, side);
                }
            }
            return true;
        }
        if let Err(why) = conn.write() {
            self.bgp_socket_error(id, side, &why);
            return true;
        }
        let is_due = |timer: Option<Timer>| timer.is_some_and(|timer| timer.at <= now);
        if is_due(conn.keepalive) {
            conn.keepalive = timer(process, now, conn.keepalive_time);
            conn.queue(&Message::Keepalive);
            self.trace(id, Debug::PACKETS, "Sending KEEPALIVE");
            return true;
        }
        let mut ended = None;
        loop {
            match conn.socket.read(BUFSIZE) {
                Ok(Some(bytes)) if bytes.is_empty() => ended = Some("Connection closed".to_owned()),
                Ok(Some(bytes)) => {
                    conn.received.extend_from_slice(&bytes);
                    continue;
                }
                Ok(None) | Err(Errno::EAGAIN) => {}
                Err(errno) => ended = Some(errno.strerror().to_owned()),
            }
            break;
        }
        let mut worked = false;
        while let Some(conn) = self.bgp(id).and_then(|bgp| bgp.conn_mut(side)) {
            match conn.next_message() {
                Ok(None) => break,
                Ok(Some(bytes)) => self.bgp_receive(process, id, side, bytes),
                Err(error) => {
                    let (code, subcode, data) = error.to_notification();
                    self.bgp_error(id, side, (code.as_u8(), subcode, &data));
                }
            }
            worked = true;
        }
        if let Some(conn) = self.bgp(id).and_then(|bgp| bgp.conn(side)) {
            if let Some(why) = ended {
                self.bgp_socket_error(id, side, &why);
                return true;
            }
            if is_due(conn.hold) {
                self.bgp_error(id, side, (4, 0, &[]));
                return true;
            }
        }
        worked
    }

    /// A message of the neighbour restarts the timers of a connection.
    pub(super) fn bgp_alive(&mut self, process: &Process, id: usize, side: Side) {
        let now = self.now;
        if let Some(conn) = self.bgp(id).and_then(|bgp| bgp.conn_mut(side)) {
            conn.hold = timer(process, now, conn.hold_time);
        }
    }

    /// OPEN was good: both know how often they hear of each other.
    pub(super) fn bgp_confirm(&mut self, process: &Process, id: usize, side: Side, remote_hold: u16) {
        let now = self.now;
        let Some(bgp) = self.bgp(id) else { return };
        let own = bgp.config.hold_time;
        let hold = own.min(remote_hold.into());
        let wanted = bgp.config.keepalive_time.unwrap_or(own / 3);
        let keepalive = (wanted * hold).checked_div(own).map_or(0, |time| time.max(u32::from(hold > 0)));
        let Some(conn) = bgp.conn_mut(side) else { return };
        (conn.hold_time, conn.keepalive_time) = (hold, keepalive);
        conn.queue(&Message::Keepalive);
        conn.state = ConnState::OpenConfirm;
        (conn.hold, conn.keepalive) = (timer(process, now, hold), timer(process, now, keepalive));
        self.trace(id, Debug::PACKETS, "Sending KEEPALIVE");
    }

    /// The session is up.
    pub(super) fn bgp_established(&mut self, id: usize, side: Side) {
        self.trace(id, Debug::EVENTS, "BGP session established");
        let Some(bgp) = self.bgp(id) else { return };
        bgp.established = Some(side);
        (bgp.last_error, bgp.connect_timer) = (None, None);
        bgp.take_conn(side.other());
        let keeps = bgp.restart_timer.take().is_some();
        if let Some(conn) = bgp.conn_mut(side) {
            conn.state = ConnState::Established;
        }
        self.set_state(id, State::Up);
        self.channel_up(id);
        if keeps {
            // What is not told again goes with the neighbour's end of routes; one that has lost its routes does not keep them.
            self.set_stale(id);
        }
    }
}

/// Says why, and closes the connection.
fn send_notification(conn: &mut Conn, code: u8, subcode: u8, data: &[u8]) {
    let code = NotificationCode::from_u8(code);
    conn.queue(&Message::Notification(NotificationMessage::new(code, subcode, Bytes::copy_from_slice(data))));
    // Whether it arrives nobody asks.
    let _ = conn.write();
}

/// The sockets that sessions need; those that are open stay. Returns why one could not be opened.
pub fn listen(daemon: &Daemon, process: &Process, open: &mut Vec<Listener>) -> Vec<String> {
    let running = |proto: &&crate::bird::proto::Proto| proto.state != State::Down;
    let address = |bgp: &Bgp| {
        let own = bgp.config.local.filter(|_| bgp.config.strict_bind);
        (own.unwrap_or(Ipv4Addr::UNSPECIFIED), bgp.config.local_port)
    };
    let wanted: Vec<(Ipv4Addr, u16)> =
        daemon.protos.iter().filter(running).filter_map(|proto| proto.bgp()).map(address).collect();
    open.retain(|listener| wanted.contains(&listener.address));
    let mut failed = Vec::new();
    for (address, port) in wanted {
        if open.iter().any(|listener| listener.address == (address, port)) {
            continue;
        }
        let socket = Sock::stream(process);
        socket.set(|opts| (opts.ttl, opts.tos, opts.reuseaddr) = (Some(MAX_TTL), TOS, true));
        match socket.bind(address, port).and_then(|()| socket.listen(BACKLOG)) {
            Ok(()) => open.push(Listener { address: (address, port), socket }),
            Err(errno) => failed.push(format!(
                "<ERR> BGP: Cannot open listening socket on {address} (port {port}): {}",
                errno.strerror()
            )),
        }
    }
    failed
}

/// Something came on a connection, or it can go on.
pub fn is_ready(
    world: &World,
    machine: glassnet_kernel::ids::MachineId,
    conn: (glassnet_kernel::ids::SocketId, bool),
) -> bool {
    match conn.1 {
        true => writable(world, machine, conn.0),
        false => sock::readable(world, machine, conn.0),
    }
}
