//! SYN cookies: a listener with too many requests answers a SYN and remembers nothing of it.
//!
//! Kernel: net/ipv4/syncookies.c; what it does to connections is in `tcp_minisocks.rs`. Linux writes what it has to know again into
//! the sequence number; here the listener keeps it, for as long as Linux takes the cookie.
//! Not modelled: the options that Linux hides in the low bits of its timestamp, `tcp_max_syn_backlog`.

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::FromBytes;

use super::tcp_options::{TcpOptions, tcp_header, tcp_options_write, tcp_parse_options, with_options};
use super::tcp_sk::{tcp_ext, tcp_sk};
use crate::Cx;
use crate::ids::SocketId;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::klog::LOG_INFO;
use crate::tables::sysctl::Setting;
use crate::tables::tcp_sock::SynKey;

/// 0: no cookies, 1: if there are too many requests, 2: always.
pub static TCP_SYNCOOKIES: Setting = Setting::new("tcp_syncookies", 1);

/// Whether there are cookies.
pub static SYSCTLS: SysctlTable = SysctlTable::new("net/ipv4", &[Sysctl::net(&TCP_SYNCOOKIES).range(0, 255)]);

/// How long a listener that had too many requests looks for cookies.
pub const TCP_SYNCOOKIE_VALID: Nanos = Nanos::from_secs(120);

/// MSS that a cookie can tell, bytes.
const MSSTAB: [u16; 4] = [536, 1300, 1440, 1460];

/// What becomes of a SYN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SynFlood {
    /// There is room for a request.
    No,
    /// It is answered with a cookie.
    Cookie,
    /// It is dropped.
    Drop,
}

/// Looks whether a listener has too many requests, and says so once (`tcp_syn_flood_action`).
pub fn tcp_syn_flood_action(cx: &mut Cx, listener: SocketId) -> SynFlood {
    let Some(socket) = cx.k.sockets.get_mut(listener) else { return SynFlood::No };
    let (netns, port) = (socket.netns, socket.local.1);
    let syncookies = cx.k.netns[netns].sysctls.get(&TCP_SYNCOOKIES);
    let Some(queue) = tcp_sk(cx, listener).and_then(|tp| tp.requests.as_mut()) else { return SynFlood::No };
    if syncookies != 2 && queue.young.len() <= queue.backlog {
        return SynFlood::No;
    }
    let warns = syncookies != 2 && !std::mem::replace(&mut queue.synflood_warned, true);
    let (flood, action) = match syncookies {
        0 => (SynFlood::Drop, "Dropping request"),
        _ => (SynFlood::Cookie, "Sending cookies"),
    };
    tcp_ext(cx, listener, |counters| match flood {
        SynFlood::Drop => counters.TCPReqQFullDrop += 1,
        _ => counters.TCPReqQFullDoCookies += 1,
    });
    if warns {
        let line = format!(
            "TCP: request_sock_TCP: Possible SYN flooding on port {port}. {action}.  Check SNMP counters."
        );
        cx.printk_limited(LOG_INFO, |_| vec![line]);
    }
    flood
}

/// The clock of cookies, minutes.
pub fn tcp_cookie_time(at: Nanos) -> u64 {
    at.0 / Nanos::from_secs(60).0
}

/// What tells the SYNs of a listener apart. `behind`: how far the packet's sequence number is behind its SYN's.
pub fn syn_key(packet: &[u8], behind: u32) -> Option<SynKey> {
    let (iph, _) = Ipv4Hdr::read_from_prefix(packet).ok()?;
    let (_, th) = tcp_header(packet)?;
    let from = (iph.saddr.get(), th.source.get());
    Some((from, iph.daddr.get(), th.seq.get().wrapping_sub(behind)))
}

/// A SYN with what a cookie tells of it: the MSS, roughly, and other options only beside timestamps.
pub fn normalised(packet: &[u8]) -> Option<Vec<u8>> {
    let (at, header) = tcp_header(packet)?;
    let told = tcp_parse_options(&packet[at..]);
    let mss = told.mss.unwrap_or(MSSTAB[0]);
    let mss = MSSTAB.iter().rev().find(|known| **known <= mss).or(MSSTAB.first()).copied();
    let rest = if told.timestamps.is_some() { told } else { TcpOptions::default() };
    let options = tcp_options_write(&TcpOptions { mss, sack: &[], ..rest });
    Some(with_options(&packet[..at], header, &options, &[]))
}
