//! A packet that one device sent, as one that another received.
//!
//! Kernel: net/core/dev.c

use super::skbuff::skb_scrub_packet;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::ethernet::eth::eth_type_trans;
use crate::tables::drop_reason::DropReason;
use crate::tables::vlan_tag::VLAN_HLEN;

/// The device is up and the frame fits its MTU, or is a merged one (`is_skb_forwardable`).
#[inline]
pub fn is_skb_forwardable(cx: &Cx, dev: DevId, skb: SkbId, len: usize) -> bool {
    let netdev = &cx.k.devs[dev];
    // A tag is allowed in addition to the MTU.
    let most = netdev.mtu as usize + netdev.arphrd.header_len() + VLAN_HLEN;
    netdev.is_up() && (len <= most || cx.skbs[skb].gso_size != 0)
}

/// Makes a transmitted packet a received one of the device that its own is linked to.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
pub fn __dev_forward_skb(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(to) = cx.k.devs[cx.skbs[skb].dev].link else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    become_received(cx, skb, to);
    cx.pass(Door::NetifRxInner { skb })
}

/// The same for any other device; false: the packet is too long, or that device is down.
pub fn forward_to(cx: &mut Cx, skb: SkbId, to: DevId) -> bool {
    cx.call(Func::DevForwardSkb, skb);
    if !is_skb_forwardable(cx, to, skb, cx.skbs[skb].len()) {
        cx.k.devs[to].stats.rx_dropped += 1;
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return false;
    }
    become_received(cx, skb, to);
    true
}

/// Hands a transmitted packet to another device, which receives it.
pub fn dev_forward_skb(cx: &mut Cx, skb: SkbId, to: DevId) -> Door {
    cx.call(Func::DevForward, skb);
    if forward_to(cx, skb, to) { Door::NetifRxInternal { skb } } else { Door::End }
}

/// What the sender's side knows of it is forgotten.
fn become_received(cx: &mut Cx, skb: SkbId, to: DevId) {
    let crosses_netns = cx.k.devs[cx.skbs[skb].dev].netns != cx.k.devs[to].netns;
    skb_scrub_packet(cx, skb, crosses_netns);
    (cx.skbs[skb].priority, cx.skbs[skb].queue_mapping) = (0, 0);
    eth_type_trans(cx, skb, to);
}
