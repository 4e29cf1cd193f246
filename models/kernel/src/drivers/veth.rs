//! A virtual cable: what goes in at one end comes out at the other, also in another namespace.
//!
//! Kernel: drivers/net/veth.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev::is_skb_forwardable;
use crate::net::ethernet::eth::eth_type_trans;
use crate::tables::drop_reason::DropReason;

/// Sends a packet to the other end.
///
/// Kernel: drivers/net/veth.c
/// Not modelled: XDP and NAPI mode.
pub fn veth_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len());
    let Some(peer) = cx.k.devs[dev].veth_peer() else {
        return drop(cx, skb, dev);
    };
    if !is_skb_forwardable(cx, peer, len) || len < glassnet_wire::eth::ETH_HLEN {
        cx.call(crate::door::Func::DevForwardSkb, skb);
        return drop(cx, skb, dev);
    }
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len as u64;
    let stats = &mut cx.k.devs[peer].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len as u64;
    cx.pass(Door::DevForwardSkb { skb })
}

fn drop(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

/// Turns a packet that leaves one device into one that enters another, forgetting all that the sender knew of it.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
pub fn __dev_forward_skb(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(peer) = cx.k.devs[cx.skbs[skb].dev].veth_peer() else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    skb_scrub_packet(cx, skb, peer);
    eth_type_trans(cx, skb, peer);
    cx.pass(Door::NetifRx { skb })
}

/// Forgets routing, socket and what netfilter knew; between namespaces also the mark (`skb_scrub_packet`, net/core/skbuff.c).
fn skb_scrub_packet(cx: &mut Cx, skb: SkbId, to: DevId) {
    let crosses_netns = cx.k.devs[cx.skbs[skb].dev].netns != cx.k.devs[to].netns;
    let pkt = &mut cx.skbs[skb];
    pkt.skb_iif = 0;
    pkt.dst = None;
    pkt.sk = None;
    pkt.priority = 0;
    pkt.nf_trace = false;
    pkt.nf_bridge = None;
    if crosses_netns {
        pkt.mark = 0;
    }
    cx.nf_reset_ct(skb);
}

/// Carrier follows both ends: on when both are up (`veth_open`, `veth_close`). Returns the peer, if any.
pub fn carrier(cx: &Cx, dev: DevId) -> Option<(DevId, bool)> {
    let peer = cx.k.devs[dev].veth_peer()?;
    Some((peer, cx.k.devs[dev].is_up() && cx.k.devs[peer].is_up()))
}
