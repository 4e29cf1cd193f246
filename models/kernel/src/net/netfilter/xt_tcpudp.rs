//! `-m tcp` and `-m udp`.
//!
//! Kernel: net/netfilter/xt_tcpudp.c

use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};
use glassnet_wire::tcp::{TCP_HLEN, TcpHdr};
use glassnet_wire::udp::UdpHdr;
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::{Ports, Variant};

/// `tcp` (`struct xt_tcp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// `--sport`.
    pub sport: Ports,
    /// `--dport`.
    pub dport: Ports,
    /// `--tcp-flags mask comp`, `--syn`: inverted, mask, compare.
    pub flags: Option<(bool, u8, u8)>,
    /// `--tcp-option`: inverted, number.
    pub option: Option<(bool, u8)>,
}

impl XtMatch for Tcp {
    const NAME: &'static str = "tcp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        tcp_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        self.flags.is_none() && self.option.is_none()
    }

    /// iptables-nft writes `nft_payload` expressions, for which the kernel has no such limit.
    fn limits(variant: Variant) -> Limits {
        if variant == Variant::Legacy { Limits::proto(IPPROTO_TCP) } else { Limits::NONE }
    }

    fn ports(&self) -> Option<[Ports; 2]> {
        Some([self.sport, self.dport])
    }
}

/// `udp` (`struct xt_udp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// `--sport`.
    pub sport: Ports,
    /// `--dport`.
    pub dport: Ports,
}

impl XtMatch for Udp {
    const NAME: &'static str = "udp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        udp_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }

    /// iptables-nft writes `nft_payload` expressions, for which the kernel has no such limit.
    fn limits(variant: Variant) -> Limits {
        if variant == Variant::Legacy { Limits::proto(IPPROTO_UDP) } else { Limits::NONE }
    }

    fn ports(&self) -> Option<[Ports; 2]> {
        Some([self.sport, self.dport])
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Tcp::NAME, Udp::NAME], ..Module::named("xt_tcpudp") }];

#[inline]
fn port_match(ports: &Ports, port: u16) -> bool {
    (port >= ports.range.0 && port <= ports.range.1) != ports.invert
}

/// Ports as `nft_payload_eval` loads them: a truncated header does not match, and nothing is dropped.
fn payload_ports(cx: &Cx, par: &Par, sport: &Ports, dport: &Ports) -> bool {
    let port = |at: u32| cx.skbs.header::<U16>(par.skb, par.thoff + at).map(|port| port.get());
    let fits = |ports: &Ports, at: u32| {
        *ports == Ports::default() || port(at).is_some_and(|port| port_match(ports, port))
    };
    par.fragoff == 0 && fits(sport, 0) && fits(dport, 2)
}

/// The same with the flags, byte 13.
fn payload_tcp(cx: &Cx, par: &Par, with: &Tcp) -> bool {
    let flags = |(invert, mask, compare): (bool, u8, u8)| {
        let byte = cx.skbs.header::<u8>(par.skb, par.thoff + 13);
        byte.is_some_and(|byte| ((byte & mask) == compare) != invert)
    };
    payload_ports(cx, par, &with.sport, &with.dport) && with.flags.is_none_or(flags)
}

/// Ports, flags and options of a TCP segment. A fragment that overlaps the header, and a truncated header, are
/// dropped.
pub fn tcp_mt(cx: &mut Cx, par: &mut Par, with: &Tcp) -> bool {
    if par.variant == Variant::Nft && with.option.is_none() && *with != Tcp::default() {
        return payload_tcp(cx, par, with);
    }
    if par.fragoff != 0 {
        // Such a fragment would overwrite the flags (RFC 3128).
        par.hotdrop = par.fragoff == 8;
        return false;
    }
    let Some(th) = cx.skbs.header::<TcpHdr>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    if !port_match(&with.sport, th.source.get()) || !port_match(&with.dport, th.dest.get()) {
        return false;
    }
    if let Some((invert, mask, compare)) = with.flags
        && ((th.flags & mask) == compare) == invert
    {
        return false;
    }
    let Some((invert, option)) = with.option else { return true };
    let length = th.header_len();
    match (length >= TCP_HLEN).then(|| has_option(cx, par, option, length)).flatten() {
        Some(found) => found != invert,
        None => {
            par.hotdrop = true;
            false
        }
    }
}

/// The header has the option; `None` if the options are truncated.
fn has_option(cx: &Cx, par: &Par, option: u8, length: usize) -> Option<bool> {
    let byte = |at: usize| cx.skbs.header::<u8>(par.skb, par.thoff + at as u32).copied();
    if length > TCP_HLEN {
        byte(length - 1)?;
    }
    let mut at = TCP_HLEN;
    while at < length {
        let kind = byte(at)?;
        if kind == option {
            return Some(true);
        }
        // EOL and NOP have no length byte; a length of 0 counts as one.
        let step = if kind < 2 || at + 1 >= length { 1 } else { usize::from(byte(at + 1)?).max(1) };
        at += step;
    }
    Some(false)
}

/// Ports of a UDP datagram; a truncated one is dropped.
pub fn udp_mt(cx: &mut Cx, par: &mut Par, with: &Udp) -> bool {
    if par.variant == Variant::Nft && *with != Udp::default() {
        return payload_ports(cx, par, &with.sport, &with.dport);
    }
    if par.fragoff != 0 {
        return false;
    }
    let Some(uh) = cx.skbs.header::<UdpHdr>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    port_match(&with.sport, uh.source.get()) && port_match(&with.dport, uh.dest.get())
}
