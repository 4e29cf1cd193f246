//! `/proc/net/tcp`, and TCP's line of `/proc/net/snmp`.
//!
//! Kernel: net/ipv4/tcp_ipv4.c, net/ipv4/proc.c

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::inet_csk::XmitTimer;
use glassnet_kernel::tables::jiffies::last_tick;
use glassnet_kernel::tables::socket::Socket;
use glassnet_kernel::tables::tcp_sock::{TcpSock, TcpState};
use glassnet_sim::Nanos;

use super::net::inode;
use super::{View, hex};

const HEAD: &str =
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";

/// TCP sockets of the namespace: listeners, then connections, each by port.
fn sockets<'w>(view: &View<'w>) -> Vec<(&'w Socket, &'w TcpSock)> {
    let here = view.kernel.sockets.iter().filter(|socket| socket.netns == view.netns);
    let tcp = here.filter_map(|socket| Some((socket, socket.tcp.as_deref()?)));
    let mut listed: Vec<_> = tcp.filter(|(_, tp)| tp.hashed || tp.state == TcpState::Listen).collect();
    listed.sort_by_key(|(socket, tp)| (tp.state != TcpState::Listen, socket.local.1, socket.remote));
    listed
}

pub(super) fn tcp(view: &View) -> String {
    let mut text = format!("{HEAD:<149}\n");
    for (slot, (socket, tp)) in sockets(view).into_iter().enumerate() {
        let (local, remote) = (socket.local, socket.remote.unwrap_or((Ipv4Addr::UNSPECIFIED, 0)));
        let ends = format!(
            "{}:{:04X} {}:{:04X} {:02X}",
            hex(local.0),
            local.1,
            hex(remote.0),
            remote.1,
            tp.state as u8
        );
        let line = format!("{slot:4}: {ends} {}", rest(view, socket, tp));
        let _ = writeln!(text, "{line:<149}");
    }
    text
}

/// The columns after the state. Times are in hundredths of a second.
fn rest(view: &View, socket: &Socket, tp: &TcpSock) -> String {
    let left = |at: Option<Nanos>| at.map_or(0, |at| at.since(last_tick(view.now)).0 / 10_000_000);
    let keepalive = tp.keepalive.map(|(at, _)| at);
    let sends_again = left(tp.icsk.timer.map(|_| tp.icsk.timeout).or(keepalive));
    match (tp.state, &tp.requests) {
        (TcpState::TimeWait, _) => {
            let left = left(tp.ends_at);
            format!("00000000:00000000 03:{left:08X} 00000000 {:5} {:8} 0 3 {:016x}", 0, 0, 0)
        }
        (TcpState::SynRecv, _) => {
            let retransmits = tp.icsk.retransmits;
            format!("00000000:00000000 01:{sends_again:08X} {retransmits:08X} {:5} {:8} 0 1 {:016x}", 0, 0, 0)
        }
        (_, Some(requests)) => format!(
            "00000000:{:08X} 00:00000000 00000000 {:5} {:8} {} 1 {:016x} 100 0 0 10 0",
            requests.accept.len(),
            0,
            0,
            inode(socket),
            0
        ),
        (_, None) => {
            let unacked = tp.unacked();
            let inode = if tp.orphan { 0 } else { inode(socket) };
            // The keepalive timer holds a reference.
            let uses = 1 + u32::from(tp.keepalive.is_some());
            let timer = match tp.icsk.timer {
                None => {
                    if tp.keepalive.is_some() {
                        2
                    } else {
                        0
                    }
                }
                Some((XmitTimer::Probe0, _)) => 4,
                Some(_) => 1,
            };
            format!(
                "{unacked:08X}:{:08X} {timer:02X}:{sends_again:08X} {:08X} {:5} {:8} {inode} {uses} {:016x} 20 0 0 10 -1",
                tp.unread(),
                tp.icsk.retransmits,
                0,
                tp.icsk.probes_out,
                0
            )
        }
    }
}

/// Names and values of the `Tcp:` lines of `/proc/net/snmp`.
pub(super) fn counters(view: &View) -> Vec<(String, i64)> {
    let connected = sockets(view).iter().filter(|(_, tp)| tp.is_connected()).count() as i64;
    let settings = [("RtoAlgorithm", 1), ("RtoMin", 200), ("RtoMax", 120_000), ("MaxConn", -1)];
    let mut all: Vec<(String, i64)> = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
    for (name, value) in view.net().ipv4.snmp.tcp.entries() {
        if name == "InSegs" {
            all.push(("CurrEstab".to_owned(), connected));
        }
        all.push((name.to_owned(), value as i64));
    }
    all
}
