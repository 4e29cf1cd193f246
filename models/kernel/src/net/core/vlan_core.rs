//! Packets with a VLAN tag: to the VLAN device, or past it. Linux has this in its core, whether there are VLAN devices or not.
//!
//! Kernel: net/8021q/vlan_core.c, net/core/dev.c (`validate_xmit_vlan`)

use super::skbuff::skb_vlan_untag;
use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev_features::{HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX};
use crate::tables::skb::PacketType;
use crate::tables::vlan::VLAN_FLAG_REORDER_HDR;
use crate::tables::vlan_tag::{VLAN_HLEN, VlanProto, VlanTag};
use glassnet_wire::eth::ETH_HLEN;

/// The VLAN device over a device for a tag (`vlan_find_dev`).
fn vlan_find_dev(cx: &Cx, dev: DevId, tag: VlanTag) -> Option<DevId> {
    cx.k.devs[dev].vlans.get(&(tag.proto, tag.vid())).copied()
}

/// What became of a packet with a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ToVlan {
    /// There is no device for its VLAN: it stays where it is.
    Nobody,
    /// It is its VLAN device's, which receives it.
    Device,
    /// It was dropped.
    Dropped,
}

/// A packet with a tag becomes its VLAN device's, if there is one.
#[cold]
pub(super) fn vlan_do_receive(cx: &mut Cx, skb: SkbId) -> ToVlan {
    let (dev, Some(tag)) = (cx.skbs[skb].dev, cx.skbs[skb].vlan_tag) else { return ToVlan::Nobody };
    cx.call(Func::VlanDoReceive, skb);
    let Some(vlan_dev) = vlan_find_dev(cx, dev, tag) else { return ToVlan::Nobody };
    let netdev = &cx.k.devs[vlan_dev];
    let (addr, is_up) = (netdev.addr, netdev.is_up());
    let is_port = netdev.port.is_some();
    let Some(vlan) = netdev.vlan_dev_priv() else { return ToVlan::Nobody };
    let (flags, priority) = (vlan.flags, vlan.ingress_priority_map[tag.priority()]);
    if !is_up {
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return ToVlan::Dropped;
    }
    let dest = cx.skbs.eth_hdr(skb).dest();
    let pkt = &mut cx.skbs[skb];
    pkt.dev = vlan_dev;
    if pkt.pkt_type == PacketType::OtherHost && dest == addr {
        pkt.pkt_type = PacketType::Host;
    }
    if flags & VLAN_FLAG_REORDER_HDR == 0 && !is_port {
        keep_tag_in_header(cx, skb);
    }
    let pkt = &mut cx.skbs[skb];
    (pkt.priority, pkt.vlan_tag) = (priority, None);
    let (len, is_multicast) = (pkt.len() as u64, pkt.pkt_type == PacketType::Multicast);
    let stats = &mut cx.k.devs[vlan_dev].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    stats.multicast += u64::from(is_multicast);
    ToVlan::Device
}

/// Who reads frames of the device sees the tag in the Ethernet header (`reorder_hdr off`).
fn keep_tag_in_header(cx: &mut Cx, skb: SkbId) {
    cx.skbs.push_mac_header(skb);
    cx.skbs.push_tag(skb);
    cx.skbs.pull(skb, ETH_HLEN + VLAN_HLEN);
}

/// No VLAN device took a packet with a tag: it is for nobody here. Only a priority is ignored, and a tag behind one is looked at.
#[cold]
pub(super) fn vlan_left_over(cx: &mut Cx, skb: SkbId) -> ToVlan {
    while let Some(tag) = cx.skbs[skb].vlan_tag.take() {
        if tag.vid() != 0 {
            cx.skbs[skb].pkt_type = PacketType::OtherHost;
        } else if VlanProto::of(cx.skbs[skb].protocol).is_some() {
            if !skb_vlan_untag(cx, skb) {
                cx.kfree_skb(skb, DropReason::NotSpecified);
                return ToVlan::Dropped;
            }
            let to = vlan_do_receive(cx, skb);
            if to != ToVlan::Nobody {
                return to;
            }
        }
    }
    ToVlan::Nobody
}

/// The tag beside a packet is put into it, unless the device does that.
#[inline]
pub(super) fn validate_xmit_vlan(cx: &mut Cx, skb: SkbId) {
    if let Some(tag) = cx.skbs[skb].vlan_tag
        && !vlan_hw_offload_capable(cx.k.devs[cx.skbs[skb].dev].features, tag.proto)
    {
        cx.skbs.push_tag(skb);
    }
}

/// The device puts tags of this kind in (`vlan_hw_offload_capable`).
fn vlan_hw_offload_capable(features: u64, proto: VlanProto) -> bool {
    let feature = match proto {
        VlanProto::Dot1Q => HW_VLAN_CTAG_TX,
        VlanProto::Dot1Ad => HW_VLAN_STAG_TX,
    };
    features & feature != 0
}
