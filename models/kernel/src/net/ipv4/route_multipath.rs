//! Multipath hashes.
//!
//! Kernel: net/ipv4/route.c (`fib_multipath_hash`)

use std::net::Ipv4Addr;

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::icmp::{
    ICMP_DEST_UNREACH, ICMP_HLEN, ICMP_PARAMETERPROB, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, IcmpHdr,
};
use glassnet_wire::ipv4::{IP_OFFSET, IPPROTO_ICMP, Ipv4Hdr};

use super::ip_input::ip_hdr;
use crate::Cx;
use crate::ids::{NetnsId, SkbId};
use crate::net::core::flow_dissector::{FlowKeys, flow_hash_from_keys, ports};
use crate::netlink::Errno;
use crate::sysctl::{At, Sysctl, SysctlTable, set_net};
use crate::tables::route::FlowOut;
use crate::tables::sysctl::Setting;

/// ICMP type of a source quench (RFC 792).
const ICMP_SOURCE_QUENCH: u8 = 4;

static FIB_MULTIPATH_HASH_POLICY: Setting = Setting::new("fib_multipath_hash_policy", 0);

/// Hash policy: 0 addresses, 1 also protocol and ports.
pub static SYSCTLS: SysctlTable =
    SysctlTable::new("net/ipv4", &[Sysctl::net(&FIB_MULTIPATH_HASH_POLICY).range(0, 3).set(set_hash_policy)]);

/// Not modelled yet: policy 2 (inner headers of tunnels) and 3 (`fib_multipath_hash_fields`).
fn set_hash_policy(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    if value > 1 {
        return Err(Errno::EOPNOTSUPP);
    }
    set_net(cx, at, row, value)
}

/// A 31-bit hash, as next hops are chosen by.
fn multipath_hash(cx: &Cx, keys: FlowKeys) -> u32 {
    flow_hash_from_keys(cx, keys) >> 1
}

fn policy(cx: &Cx, netns: NetnsId) -> i64 {
    cx.k.netns[netns].sysctls.get(&FIB_MULTIPATH_HASH_POLICY)
}

/// Hash of a received packet; `route` has the source and destination used for routing.
pub fn input_hash(cx: &mut Cx, skb: SkbId, route: (Ipv4Addr, Ipv4Addr)) -> u32 {
    let addresses = FlowKeys { addrs: [route.0, route.1], ..FlowKeys::default() };
    let ip = ip_hdr(cx, skb).filter(|_| cx.skbs[skb].protocol == ETH_P_IP);
    let keys = match ip {
        None => addresses,
        Some(iph) if policy(cx, cx.k.devs[cx.skbs[skb].dev].netns) == 0 => quoted_by_error(cx, skb, iph)
            .map_or(addresses, |inner| FlowKeys {
                addrs: [inner.saddr.get(), inner.daddr.get()],
                ..FlowKeys::default()
            }),
        // The card, or RPS, has hashed addresses and ports already, or the socket has drawn a hash.
        Some(_) if cx.skbs[skb].l4_hash => {
            let pkt = &cx.skbs[skb];
            return cx.trace.script.fallen(pkt.packet, pkt.hash) >> 1;
        }
        Some(iph) => FlowKeys { ports: ports(cx, skb, iph), proto: iph.protocol, ..addresses },
    };
    multipath_hash(cx, keys)
}

/// Hash of a locally generated packet.
pub fn output_hash(cx: &Cx, netns: NetnsId, flow: &FlowOut) -> u32 {
    let addrs = [flow.saddr, flow.daddr];
    let keys = match policy(cx, netns) {
        0 => FlowKeys { addrs, ..FlowKeys::default() },
        _ => FlowKeys { addrs, ports: [flow.sport, flow.dport], proto: flow.proto, ..FlowKeys::default() },
    };
    multipath_hash(cx, keys)
}

fn transport_header(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr) -> u32 {
    cx.skbs[skb].network_header + iph.header_len() as u32
}

/// The header that an ICMP error quotes: the error is hashed as that packet (`ip_multipath_l3_keys`).
fn quoted_by_error<'a>(cx: &'a Cx, skb: SkbId, iph: &Ipv4Hdr) -> Option<&'a Ipv4Hdr> {
    if iph.protocol != IPPROTO_ICMP || iph.frag_off.get() & IP_OFFSET != 0 {
        return None;
    }
    let at = transport_header(cx, skb, iph);
    let icmp: &IcmpHdr = cx.skbs.header(skb, at)?;
    let errors =
        [ICMP_DEST_UNREACH, ICMP_SOURCE_QUENCH, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_PARAMETERPROB];
    errors.contains(&icmp.kind).then(|| cx.skbs.header(skb, at + ICMP_HLEN as u32))?
}
