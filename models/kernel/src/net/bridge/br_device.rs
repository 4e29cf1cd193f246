//! The bridge as a device of its own host.
//!
//! Kernel: net/bridge/br_device.c

use glassnet_wire::eth::ETH_HLEN;

use super::br_fdb::br_fdb_find_rcu;
use super::br_netfilter_hooks::br_nf_dev_xmit;
use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;
use crate::tables::skb::BrCb;

/// Sends a frame of this host into the bridge.
///
/// Kernel: net/bridge/br_device.c
/// Not modelled: VLAN filtering, multicast snooping, ARP suppression.
pub fn br_dev_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    if let Some(door) = br_nf_dev_xmit(cx, skb) {
        return door;
    }
    let (bridge, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let stats = &mut cx.k.devs[bridge].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    let dest = cx.skbs.eth_hdr(skb).dest();
    cx.skbs[skb].br = BrCb { brdev: Some(bridge), ..BrCb::default() };
    if !cx.skbs.pull(skb, ETH_HLEN) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if dest.is_multicast() {
        return Door::BrFlood { skb, local_rcv: false };
    }
    match br_fdb_find_rcu(cx, skb, bridge, dest) {
        Some(entry) => match entry.port {
            Some(to) => {
                cx.skbs[skb].br.to = Some(to);
                Door::BrForward { skb }
            }
            None => cx.kfree_skb(skb, DropReason::NotSpecified),
        },
        None => Door::BrFlood { skb, local_rcv: false },
    }
}
