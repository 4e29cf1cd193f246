//! By what the next hop of a route with several is chosen.
//!
//! Kernel: net/ipv4/route.c (`fib_multipath_hash`), net/core/flow_dissector.c

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::icmp::{
    ICMP_DEST_UNREACH, ICMP_HLEN, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, IcmpHdr,
};
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_ICMP, Ipv4Hdr};

use super::ip_input::ip_hdr;
use super::route::FlowOut;
use crate::Cx;
use crate::ids::{NetnsId, SkbId};
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::sysctl::Setting;

/// ICMP type of a source quench (RFC 792).
const ICMP_SOURCE_QUENCH: u8 = 4;

static FIB_MULTIPATH_HASH_POLICY: Setting = Setting::new("fib_multipath_hash_policy", 0);

/// The setting of what counts. Not modelled yet: more than addresses.
pub static SYSCTLS: SysctlTable =
    SysctlTable::new("net/ipv4", &[Sysctl::net(&FIB_MULTIPATH_HASH_POLICY).range(0, 3).not_followed()]);

/// A hash of 31 bits, the same for both ways of a flow. The kernel's is keyed with a random secret, so only the shares
/// can be compared.
fn hash_of_addresses(src: u32, dst: u32) -> u32 {
    let word = u64::from(src.min(dst)) << 32 | u64::from(src.max(dst));
    let mixed = (word ^ word >> 29).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 33) as u32
}

/// The hash of a packet that came in; `route` is the source and the destination that it is routed by.
pub fn input_hash(cx: &Cx, skb: SkbId, route: (u32, u32)) -> u32 {
    let ip = ip_hdr(cx, skb).filter(|_| cx.skbs[skb].protocol == ETH_P_IP);
    let (src, dst) = match ip.and_then(|iph| quoted_by_error(cx, skb, iph)) {
        Some(quoted) => (quoted.saddr.get(), quoted.daddr.get()),
        None => route,
    };
    hash_of_addresses(src, dst)
}

/// The hash of a packet of this machine.
pub fn output_hash(_: &Cx, _: NetnsId, flow: &FlowOut) -> u32 {
    hash_of_addresses(flow.saddr, flow.daddr)
}

/// The header that an ICMP error quotes: it goes the way of the packet that it is about (`ip_multipath_l3_keys`).
fn quoted_by_error<'a>(cx: &'a Cx, skb: SkbId, iph: &Ipv4Hdr) -> Option<&'a Ipv4Hdr> {
    if iph.protocol != IPPROTO_ICMP || iph.frag_off.get() & IP_OFFSET != 0 {
        return None;
    }
    let at = cx.skbs[skb].network_header + iph.header_len() as u32;
    let icmp: &IcmpHdr = cx.skbs.header(skb, at)?;
    let errors =
        [ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB];
    errors.contains(&icmp.kind).then(|| cx.skbs.header(skb, at + ICMP_HLEN as u32))?
}
