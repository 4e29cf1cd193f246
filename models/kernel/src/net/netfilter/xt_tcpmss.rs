//! `-m tcpmss` and `-j TCPMSS`.
//!
//! Kernel: net/netfilter/xt_tcpmss.c, net/netfilter/xt_TCPMSS.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::ipv4::Ipv4Hdr;
use glassnet_wire::tcp::{self, TCP_HLEN, TcpHdr};
use zerocopy::big_endian::U16;

use super::super::ipv4::route::{dst_mtu, ip_route_output_key};
use super::xt_tcpudp::Tcp;
use crate::Cx;
use crate::extension::{Limits, Par, Place, Refused, TargetVerdict, XtMatch, XtTarget};
use crate::hook::Verdict;
use crate::module::Module;
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_ERR;
use crate::tables::netfilter::Hook;
use crate::tables::route::FlowOut;
use crate::tables::xt::{Rule, Variant};

/// `tcpmss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpmssMt {
    /// `!`.
    pub invert: bool,
    /// Smallest and largest MSS, bytes.
    pub range: (u16, u16),
}

impl XtMatch for TcpmssMt {
    const NAME: &'static str = "tcpmss";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        tcpmss_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_TCP)
    }
}

/// `TCPMSS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpmssTg {
    /// `--set-mss`, bytes; `None`: `--clamp-mss-to-pmtu`.
    pub mss: Option<u16>,
}

impl XtTarget for TcpmssTg {
    const NAME: &'static str = "TCPMSS";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        tcpmss_tg4(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_TCP)
    }

    fn check(&self, place: Place, rule: &Rule) -> Result<(), Refused> {
        let leaves = Hook::Forward.bit() | Hook::LocalOut.bit() | Hook::PostRouting.bit();
        if self.mss.is_none() && place.option_hooks() & !leaves != 0 {
            return Err(Refused::einval(
                "xt_TCPMSS: path-MTU clamping only supported in FORWARD, OUTPUT and POSTROUTING hooks",
            ));
        }
        if place.variant == Variant::Legacy && !asks_for_syn(rule) {
            return Err(Refused::einval("xt_TCPMSS: Only works on TCP SYN packets"));
        }
        Ok(())
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { matches: &[TcpmssMt::NAME], ..Module::named("xt_tcpmss") },
    Module { targets: &[TcpmssTg::NAME], ..Module::named("xt_TCPMSS") },
];

/// `TCPOPT_MSS`, and the length of the option in bytes.
const MSS: (u8, usize) = (2, 4);
/// Default MSS (RFC 1122).
const DEFAULT_MSS: u16 = 536;

/// A `tcp` match of the rule asks for SYN.
fn asks_for_syn(rule: &Rule) -> bool {
    rule.matches
        .iter()
        .filter_map(|with| with.get::<Tcp>())
        .any(|with| with.flags.is_some_and(|(invert, _, compare)| !invert && compare & tcp::TCP_SYN != 0))
}

/// The MSS option is in the range. Without the option only an inverted rule matches.
pub fn tcpmss_mt(cx: &mut Cx, par: &mut Par, with: &TcpmssMt) -> bool {
    let Some(options) = tcp_options(cx, par) else {
        par.hotdrop = true;
        return false;
    };
    match find_mss(options, options.len()) {
        Some(at) => {
            let mss = u16::from_be_bytes([options[at + 2], options[at + 3]]);
            (with.range.0..=with.range.1).contains(&mss) != with.invert
        }
        None => with.invert,
    }
}

/// The TCP options; `None` if the header is truncated.
fn tcp_options<'a>(cx: &'a Cx, par: &Par) -> Option<&'a [u8]> {
    let header = cx.skbs.header::<TcpHdr>(par.skb, par.thoff)?;
    let pkt = &cx.skbs[par.skb];
    let begin = par.thoff as usize;
    let bytes = &cx.skbs.bufs.bytes(pkt.buf)[..pkt.tail as usize];
    bytes.get(begin + TCP_HLEN..begin + header.header_len())
}

/// Offset of the MSS option.
fn find_mss(options: &[u8], len: usize) -> Option<usize> {
    let mut at = 0;
    while at + MSS.1 <= len {
        if options[at] == MSS.0 && usize::from(options[at + 1]) == MSS.1 {
            return Some(at);
        }
        // EOL and NOP have no length byte; a length of 0 counts as 1.
        at += if options[at] < 2 { 1 } else { usize::from(options[at + 1]).max(1) };
    }
    None
}

/// Lowers the MSS of a SYN, or adds the option.
pub fn tcpmss_tg4(cx: &mut Cx, par: &mut Par, target: &TcpmssTg) -> TargetVerdict {
    if par.fragoff != 0 {
        return TargetVerdict::Continue;
    }
    match tcpmss_mangle_packet(cx, par, target) {
        Some(()) => TargetVerdict::Continue,
        None => TargetVerdict::Verdict(Verdict::Drop(DropReason::NetfilterDrop)),
    }
}

/// `None`: the packet is dropped.
fn tcpmss_mangle_packet(cx: &mut Cx, par: &mut Par, target: &TcpmssTg) -> Option<()> {
    let pkt = &cx.skbs[par.skb];
    let len = (pkt.tail as usize).checked_sub(par.thoff as usize)?;
    let options_len = tcp_options(cx, par)?.len();
    let mss = match target.mss {
        Some(mss) => mss,
        None => clamped_mss(cx, par)?,
    };
    let options = tcp_options(cx, par)?;
    if let Some(at) = find_mss(options, options_len) {
        let old = u16::from_be_bytes([options[at + 2], options[at + 3]]);
        // The MSS is never raised.
        if mss < old {
            replace_mss(cx, par, at, (old, mss));
        }
        return Some(());
    }
    let header_len = TCP_HLEN + options_len;
    if len > header_len || header_len >= 60 {
        return Some(());
    }
    add_mss(cx, par, mss.min(DEFAULT_MSS))
}

/// The MSS for the smaller path MTU of both directions.
fn clamped_mss(cx: &mut Cx, par: &Par) -> Option<u16> {
    let headers = par.iph.header_len() as u32 + TCP_HLEN as u32;
    let mtu = cx.skbs[par.skb].dst.map_or(u32::MAX, |route| dst_mtu(cx, &route));
    let back = FlowOut { daddr: par.iph.saddr.get(), ..FlowOut::default() };
    let back = ip_route_output_key(cx, par.state.netns, back, None);
    let mtu = mtu.min(back.map_or(u32::MAX, |(route, _)| dst_mtu(cx, &route)));
    if mtu <= headers {
        cx.printk_limited(LOG_ERR, |_| vec![format!("xt_TCPMSS: unknown or invalid path-MTU ({mtu})")]);
        return None;
    }
    Some((mtu - headers).min(0xffff) as u16)
}

fn replace_mss(cx: &mut Cx, par: &Par, at: usize, (old, new): (u16, u16)) {
    let place = par.thoff + (TCP_HLEN + at + 2) as u32;
    if let Some(value) = cx.skbs.header_mut::<[u8; 2]>(par.skb, place) {
        *value = new.to_be_bytes();
    }
    if let Some(th) = cx.skbs.header_mut::<TcpHdr>(par.skb, par.thoff) {
        th.check = U16::new(checksum::replace(th.check.get(), old, new));
    }
}

/// Inserts the option before the others and updates lengths and checksums.
fn add_mss(cx: &mut Cx, par: &mut Par, mss: u16) -> Option<()> {
    let [high, low] = mss.to_be_bytes();
    cx.skbs.splice(par.skb, par.thoff + TCP_HLEN as u32, 0, &[MSS.0, MSS.1 as u8, high, low]);
    let at = cx.skbs[par.skb].network_header;
    let iph = cx.skbs.header_mut::<Ipv4Hdr>(par.skb, at)?;
    let (old, new) = (iph.tot_len.get(), iph.tot_len.get().wrapping_add(MSS.1 as u16));
    iph.check = U16::new(checksum::replace(iph.check.get(), old, new));
    iph.tot_len = U16::new(new);
    par.iph = *iph;
    let th = cx.skbs.header_mut::<TcpHdr>(par.skb, par.thoff)?;
    let doff = u16::from_be_bytes([th.doff_res, th.flags]);
    th.doff_res += 1 << 4;
    let words = [
        // Length in the pseudo header.
        (old.wrapping_sub(20), new.wrapping_sub(20)),
        (doff, u16::from_be_bytes([th.doff_res, th.flags])),
        (0, u16::from_be_bytes([MSS.0, MSS.1 as u8])),
        (0, mss),
    ];
    for (old, new) in words {
        th.check = U16::new(checksum::replace(th.check.get(), old, new));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The option is kind 2 with length 4 (RFC 9293, 3.2), behind others of any length; a length of 0 counts as 1.
    #[test]
    fn where_the_mss_is() {
        let found = |options: &[u8]| find_mss(options, options.len());
        assert_eq!(found(&[2, 4, 5, 0xb4]), Some(0));
        assert_eq!(found(&[1, 1, 2, 4, 5, 0xb4]), Some(2));
        assert_eq!(found(&[0, 2, 4, 5, 0xb4]), Some(1));
        assert_eq!(found(&[3, 3, 2, 2, 4, 5, 0xb4]), Some(3));
        assert_eq!(found(&[4, 2, 2, 4, 5, 0xb4]), Some(2));
        assert_eq!(found(&[3, 0, 2, 4, 5, 0xb4]), Some(2));
        assert_eq!(found(&[8, 10, 2, 4, 0, 0, 0, 0, 0, 0, 2, 4, 5, 0xb4]), Some(10), "not in a value");
        assert_eq!(found(&[2, 3, 5, 2, 4, 5, 0xb4]), Some(3), "another length is another option");
        assert_eq!(found(&[2, 4, 5]), None, "cut off");
        assert_eq!(found(&[1, 1, 1, 1]), None);
        assert_eq!(found(&[]), None);
    }
}
