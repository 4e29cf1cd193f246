//! `-m mac`.
//!
//! Kernel: net/netfilter/xt_mac.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::xt::matches::MacSource;
use glassnet_wire::eth::ETH_HLEN;

/// The frame came from this Ethernet address. A packet without an Ethernet header never matches.
pub fn mac_mt(cx: &mut Cx, par: &mut Par, with: &MacSource) -> bool {
    let pkt = &cx.skbs[par.skb];
    let has_frame = pkt.mac_header + ETH_HLEN as u32 <= pkt.data;
    let is_ethernet = cx.k.devs.get(pkt.dev).is_some_and(|dev| !dev.is_loopback());
    has_frame && is_ethernet && (cx.skbs.eth_hdr(par.skb).source() == with.addr) != with.invert
}
