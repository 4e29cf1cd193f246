//! `lo`: what goes out comes in.
//!
//! Kernel: drivers/net/loopback.c

use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::net::ethernet::eth::eth_type_trans;
use crate::tables::drop_reason::DropReason;

/// Turns a packet that leaves into one that comes in.
///
/// Kernel: drivers/net/loopback.c
/// Not modelled: timestamps.
pub fn loopback_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.skbs[skb].sk = None;
    if !eth_type_trans(cx, skb, dev) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    // Without the Ethernet header, unlike other devices.
    let len = cx.skbs[skb].len() as u64;
    let stats = &mut cx.k.devs[dev].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    cx.skbs[skb].ip_summed = true;
    Door::NetifRx { skb }
}
