//! SYN cookies: a listener with too many requests answers a SYN and remembers nothing of it.
//!
//! Kernel: net/ipv4/syncookies.c. Linux writes what it has to know again into the sequence number; here the listener keeps it,
//! for as long as Linux takes the cookie.
//! Not modelled: the options that Linux hides in the low bits of its timestamp, `tcp_max_syn_backlog`.

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::Ipv4Hdr;
use glassnet_wire::tcp::{TCP_ACK, TCP_RST, TcpHdr};
use zerocopy::FromBytes;

use super::tcp::tcp_done;
use super::tcp_input::{
    count_overflow, make_child, packet_bytes, parent_is_full, run_again, tcp_child_process, tcp_run,
};
use super::tcp_options::{TcpOptions, tcp_header, tcp_options_write, tcp_parse_options, with_options};
use super::tcp_sk::{tcp_ext, tcp_sk};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{SkbId, SocketId};
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_INFO;
use crate::tables::sysctl::Setting;
use crate::tables::tcp_sock::SynCookie;

/// 0: no cookies, 1: if there are too many requests, 2: always.
static TCP_SYNCOOKIES: Setting = Setting::new("tcp_syncookies", 1);

/// Whether there are cookies.
pub static SYSCTLS: SysctlTable = SysctlTable::new("net/ipv4", &[Sysctl::net(&TCP_SYNCOOKIES).range(0, 255)]);

/// How long a listener that had too many requests looks for cookies (`TCP_SYNCOOKIE_VALID`).
const VALID: Nanos = Nanos::from_secs(120);

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

/// Answers a SYN with a cookie (`cookie_init_sequence`): the same one to the same SYN within a minute.
pub fn send_cookie(cx: &mut Cx, listener: SocketId, skb: SkbId) -> Option<()> {
    let (syn, now) = (normalised(&packet_bytes(cx, skb))?, cx.now);
    let (netns, drawn) =
        (cx.k.sockets.get(listener)?.netns, (cx.dice.below(u64::MAX), cx.dice.below(1 << 32) as u32));
    let queue = tcp_sk(cx, listener)?.requests.as_mut()?;
    queue.cookies.retain(|cookie| now.since(cookie.at) < VALID);
    let known = queue.cookies.iter().find(|cookie| cookie.syn == syn && minute(cookie.at) == minute(now));
    let chance = known.map_or(drawn, |cookie| cookie.chance);
    let child = make_child(cx, listener, skb, &syn, Some(chance))?;
    cx.k.netns[netns].ipv4.snmp.tcp_ext.SyncookiesSent += 1;
    tcp_run(cx, child, Some(&syn));
    let isn = tcp_sk(cx, child)?.iss;
    tcp_done(cx, child);
    let queue = tcp_sk(cx, listener)?.requests.as_mut()?;
    queue.cookies.push(SynCookie { syn, isn, chance, at: now });
    Some(())
}

/// Looks for a cookie in a segment to a listener. `None`: it has none; else its connection begins with it.
pub fn cookie_v4_check(cx: &mut Cx, listener: SocketId, skb: SkbId, th: &TcpHdr) -> Option<Door> {
    cx.call(Func::CookieV4Check, skb);
    let (netns, now, packet) = (cx.k.sockets.get(listener)?.netns, cx.now, packet_bytes(cx, skb));
    let cookies = &tcp_sk(cx, listener)?.requests.as_ref()?.cookies;
    let overflowed = cookies.last().is_some_and(|cookie| now.since(cookie.at) < VALID);
    let mut of_minutes = cookies.iter().rev().filter(|cookie| minute(now) - minute(cookie.at) < 2);
    let found = of_minutes.find(|cookie| answers(cookie, &packet, th)).cloned();
    let asked = th.flags & (TCP_ACK | TCP_RST) == TCP_ACK && overflowed;
    if !asked || cx.k.netns[netns].sysctls.get(&TCP_SYNCOOKIES) == 0 {
        return None;
    }
    let counters = &mut cx.k.netns[netns].ipv4.snmp.tcp_ext;
    let Some(cookie) = found else {
        counters.SyncookiesFailed += 1;
        return None;
    };
    counters.SyncookiesRecv += 1;
    if parent_is_full(cx, Some(listener)) {
        count_overflow(cx, skb);
    } else if let Some(child) = make_child(cx, listener, skb, &cookie.syn, Some(cookie.chance)) {
        run_again(cx, child, &cookie.syn);
        return Some(tcp_child_process(cx, child, skb, th));
    }
    Some(cx.kfree_skb(skb, DropReason::NotSpecified))
}

/// The clock of cookies (`tcp_cookie_time`).
fn minute(at: Nanos) -> u64 {
    at.0 / Nanos::from_secs(60).0
}

/// The packet with this header acknowledges the SYN/ACK of this cookie.
fn answers(cookie: &SynCookie, packet: &[u8], th: &TcpHdr) -> bool {
    let addresses =
        |packet: &[u8]| Ipv4Hdr::read_from_prefix(packet).ok().map(|(iph, _)| (iph.saddr, iph.daddr));
    tcp_header(&cookie.syn).is_some_and(|(_, syn)| {
        addresses(packet) == addresses(&cookie.syn)
            && (th.source, th.dest) == (syn.source, syn.dest)
            && th.seq.get() == syn.seq.get().wrapping_add(1)
            && th.ack_seq.get() == cookie.isn.wrapping_add(1)
    })
}

/// A SYN with what a cookie tells of it: the MSS, roughly, and other options only beside timestamps.
fn normalised(packet: &[u8]) -> Option<Vec<u8>> {
    let (at, header) = tcp_header(packet)?;
    let told = tcp_parse_options(&packet[at..]);
    let mss = told.mss.unwrap_or(MSSTAB[0]);
    let mss = MSSTAB.iter().rev().find(|known| **known <= mss).or(MSSTAB.first()).copied();
    let rest = if told.timestamps.is_some() { told } else { TcpOptions::default() };
    let options = tcp_options_write(&TcpOptions { mss, sack: &[], ..rest });
    Some(with_options(&packet[..at], header, &options, &[]))
}
