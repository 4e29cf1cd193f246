//! Frames received on a port.
//!
//! Kernel: net/bridge/br_input.c

use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_P_ARP;

use super::br_fdb::{Asker, br_fdb_find_rcu, br_fdb_update};
use super::br_netfilter_hooks::br_drop_fake_rtable;
use super::br_vlan::{br_allowed_egress, br_allowed_ingress, br_handle_vlan, br_should_learn, vlan_group};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::core::dev::deliver_to_protocol;
use crate::net::netfilter::core::nf_hook;
use crate::note::Note;
use crate::tables::bridge::PortState;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{IFF_PROMISC, NetDevice};
use crate::tables::netfilter::Site;
use crate::tables::skb::{BrCb, PacketType};

/// Handles every frame of a port before the protocols do (`rx_handler`).
///
/// Kernel: net/bridge/br_input.c
/// Not modelled: ebtables broute, a spanning tree that reads BPDUs.
pub fn br_handle_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let eth = cx.skbs.eth_hdr(skb);
    let (source, dest) = (eth.source(), eth.dest());
    let dev = cx.skbs[skb].dev;
    let Some(port) = &cx.k.devs[dev].port else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let (bridge, state, fwd_mask) = (port.bridge, port.state, port.group_fwd_mask);
    cx.note(|cx| Note::Bridge { name: cx.k.devs[bridge].name.clone() });
    if !source.is_valid() {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if dest.is_link_local() {
        match link_local(&cx.k.devs[bridge], fwd_mask, dest) {
            LinkLocal::Forward => {}
            LinkLocal::Drop => return cx.kfree_skb(skb, DropReason::NotSpecified),
            LinkLocal::Pass => return br_handle_local_finish(cx, skb, bridge),
        }
    }
    if !matches!(state, PortState::Forwarding | PortState::Learning) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if dest == cx.k.devs[bridge].addr {
        cx.skbs[skb].pkt_type = PacketType::Host;
    }
    nf_hook(cx, Site::BrHandleFrame, skb)
}

enum LinkLocal {
    Forward,
    Drop,
    Pass,
}

/// IEEE 802.1D table 7-10: frames to `01:80:c2:00:00:0x` are not forwarded, apart from the groups of the forward mask,
/// and BPDUs while STP is off.
fn link_local(bridge: &NetDevice, port_mask: u16, dest: Mac) -> LinkLocal {
    let Some(conf) = bridge.bridge().map(|bridge| bridge.conf) else { return LinkLocal::Drop };
    let group = dest.0[5];
    let mask = port_mask | conf.group_fwd_mask_required() | if group == 0 { 0 } else { conf.group_fwd_mask };
    match group {
        0x01 => LinkLocal::Drop,
        0x00 if !conf.stp_state => LinkLocal::Forward,
        _ if mask & 1 << group != 0 => LinkLocal::Forward,
        _ => LinkLocal::Pass,
    }
}

/// Learns the source and leaves the frame to the protocols of the port itself (`__br_handle_local_finish`).
fn br_handle_local_finish(cx: &mut Cx, skb: SkbId, bridge: DevId) -> Door {
    let (dev, source) = (cx.skbs[skb].dev, cx.skbs.eth_hdr(skb).source());
    let learns = cx.k.devs[dev].port.as_ref().is_some_and(|port| {
        port.flags.learning && matches!(port.state, PortState::Learning | PortState::Forwarding)
    });
    if learns && let Some(vid) = br_should_learn(cx, skb, bridge, dev) {
        br_fdb_update(cx, skb, bridge, dev, source, vid);
    }
    deliver_to_protocol(cx, skb, false)
}

/// Learns the source and decides: local delivery, forwarding, or flooding.
///
/// Kernel: net/bridge/br_input.c
/// Not modelled: multicast snooping, ARP suppression.
pub fn br_handle_frame_finish(cx: &mut Cx, skb: SkbId) -> Door {
    let eth = cx.skbs.eth_hdr(skb);
    let (source, dest) = (eth.source(), eth.dest());
    let dev = cx.skbs[skb].dev;
    let Some(port) = &cx.k.devs[dev].port else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let (bridge, state, flags, vlan_filtered) = (port.bridge, port.state, port.flags, port.vlan_filtering);
    if state == PortState::Disabled {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let mut vid = 0;
    if vlan_filtered {
        match br_allowed_ingress(cx, skb, bridge, dev) {
            Some(allowed) => vid = allowed,
            None => return Door::End,
        }
    }
    if flags.locked {
        let station = br_fdb_find_rcu(cx, skb, bridge, (source, vid), Asker::Bridge);
        if station.is_none_or(|station| station.is_local || station.port != Some(dev)) {
            return cx.kfree_skb(skb, DropReason::NotSpecified);
        }
    }
    if flags.learning {
        br_fdb_update(cx, skb, bridge, dev, source, vid);
    }
    let promisc = cx.k.devs[bridge].flags & IFF_PROMISC != 0;
    let mut local_rcv = promisc;
    if dest.is_multicast() {
        local_rcv = true;
        let broadcast = dest.is_broadcast();
        cx.skbs[skb].pkt_type = if broadcast { PacketType::Broadcast } else { PacketType::Multicast };
        if !broadcast {
            cx.k.devs[bridge].stats.multicast += 1;
        }
    }
    if state == PortState::Learning {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let pkt = &mut cx.skbs[skb];
    let src_port_isolated = flags.isolated;
    pkt.br = BrCb { brdev: Some(bridge), src_port_isolated, promisc, vlan_filtered, ..BrCb::default() };
    if pkt.protocol == ETH_P_ARP {
        cx.call(Func::BrDoProxySuppressArp, skb);
    }
    if dest.is_multicast() {
        return Door::BrFlood { skb, local_rcv };
    }
    match br_fdb_find_rcu(cx, skb, bridge, (dest, vid), Asker::Port) {
        Some(entry) if entry.is_local => {
            cx.skbs[skb].br.promisc = false;
            Door::BrPassFrameUp { skb }
        }
        Some(entry) => match entry.port {
            Some(to) => {
                cx.skbs[skb].br.to = Some(to);
                if !local_rcv {
                    return Door::BrForward { skb };
                }
                let clone = cx.skb_clone(skb);
                cx.afterwards(Door::BrPassFrameUp { skb });
                Door::BrForward { skb: clone }
            }
            None => cx.kfree_skb(skb, DropReason::NotSpecified),
        },
        None => Door::BrFlood { skb, local_rcv },
    }
}

/// Local delivery: the frame is received again, on the bridge device.
///
/// Kernel: net/bridge/br_input.c
/// Not modelled: nothing.
pub fn br_pass_frame_up(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(bridge) = cx.skbs[skb].br.brdev else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let len = cx.skbs[skb].len() as u64;
    let stats = &mut cx.k.devs[bridge].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    if cx.skbs[skb].br.vlan_filtered && !up_by_vlan(cx, skb, bridge) {
        return Door::End;
    }
    cx.skbs[skb].dev = bridge;
    br_drop_fake_rtable(cx, skb);
    nf_hook(cx, Site::BrPassFrameUp, skb)
}

/// The bridge itself is a member of VLANs, as its ports are; one that listens to everything gets all. False: the frame was dropped.
#[cold]
fn up_by_vlan(cx: &mut Cx, skb: SkbId, bridge: DevId) -> bool {
    let (netdev, tag) = (&cx.k.devs[bridge], cx.skbs[skb].vlan_tag);
    let is_member = vlan_group(netdev).is_some_and(|group| br_allowed_egress(group, true, tag));
    if netdev.flags & IFF_PROMISC == 0 && !is_member {
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return false;
    }
    br_handle_vlan(cx, skb, bridge, bridge)
}
