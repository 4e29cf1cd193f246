//! VLAN filtering: which VLANs ports are in, and which frames that lets through.
//!
//! Kernel: net/bridge/br_vlan.c
//!
//! Not modelled: states of VLANs, VLANs that are mapped to tunnels, options of whole VLANs.

use super::br_fdb::{br_fdb_find_delete_local, br_fdb_forget_vlan, bridge_mut, fdb_add_local_in};
use super::br_promisc::br_manage_promisc;
use crate::ids::{DevId, SkbId};
use crate::net::core::skbuff::skb_vlan_untag;
use crate::netlink::{Errno, NlError};
use crate::note::{Note, VlanNote};
use crate::tables::bridge::{Bridge, BridgeVlan, VlanGroup, VlanStats};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{IFF_PROMISC, NetDevice};
use crate::tables::vlan_tag::{VLAN_VID_MASK, VlanTag};
use crate::{Cx, Kernel};

/// VLANs of a port (`nbp_vlan_group`), or of a bridge itself (`br_vlan_group`).
pub fn vlan_group(dev: &NetDevice) -> Option<&VlanGroup> {
    match &dev.port {
        Some(port) => Some(&port.vlgrp),
        None => dev.bridge().map(|bridge| &bridge.vlgrp),
    }
}

fn vlan_group_mut(dev: &mut NetDevice) -> Option<&mut VlanGroup> {
    if dev.port.is_some() {
        return dev.port.as_mut().map(|port| &mut port.vlgrp);
    }
    dev.bridge_mut().map(|bridge| &mut bridge.vlgrp)
}

/// The VLAN of the tag beside a packet; 0: none.
#[inline]
fn vid_of(tag: Option<VlanTag>) -> u16 {
    tag.map_or(0, VlanTag::vid)
}

/// May a frame come in by a port, or from the bridge itself (`dev`)? Returns its VLAN, and the frame has a tag from here on; dropped
/// otherwise (`__allowed_ingress`).
#[cold]
pub(super) fn br_allowed_ingress(cx: &mut Cx, skb: SkbId, bridge: DevId, dev: DevId) -> Option<u16> {
    let vlan_proto = cx.k.devs[bridge].bridge()?.conf.vlan_proto;
    let pkt = &cx.skbs[skb];
    let in_frame = pkt.vlan_tag.is_none() && pkt.protocol == vlan_proto.ethertype();
    if in_frame && !skb_vlan_untag(cx, skb) {
        return refuse(cx, skb, VlanNote::NoPvid { dev: cx.k.devs[dev].name.clone() });
    }
    if cx.skbs[skb].vlan_tag.is_some_and(|tag| tag.proto != vlan_proto) {
        // A tag of another kind is a part of the frame.
        cx.skbs.push_mac_header(skb);
        cx.skbs.push_tag(skb);
        cx.skbs.pull(skb, glassnet_wire::eth::ETH_HLEN);
        let pkt = &mut cx.skbs[skb];
        pkt.network_header = pkt.data;
        let at = pkt.mac_header;
        let proto = cx.skbs.header::<glassnet_wire::eth::EthHdr>(skb, at)?.h_proto.get();
        cx.skbs[skb].protocol = proto;
    }
    let mut vid = vid_of(cx.skbs[skb].vlan_tag);
    if vid == 0 {
        vid = vlan_group(&cx.k.devs[dev])?.pvid;
        if vid == 0 {
            return refuse(cx, skb, VlanNote::NoPvid { dev: cx.k.devs[dev].name.clone() });
        }
        let priority = cx.skbs[skb].vlan_tag.map_or(0, |tag| tag.tci);
        cx.skbs[skb].vlan_tag = Some(VlanTag { proto: vlan_proto, tci: priority | vid });
    }
    if !vlan_group(&cx.k.devs[dev])?.vlans.contains_key(&vid) {
        return refuse(cx, skb, VlanNote::NotIn { dev: cx.k.devs[dev].name.clone(), vid });
    }
    count(cx, skb, bridge, dev, vid, |stats, bytes| {
        stats.rx_packets += 1;
        stats.rx_bytes += bytes;
    });
    Some(vid)
}

fn refuse(cx: &mut Cx, skb: SkbId, note: VlanNote) -> Option<u16> {
    cx.note(|_| Note::Vlan(note));
    cx.kfree_skb(skb, DropReason::NotSpecified);
    None
}

/// Counts a packet for its VLAN, where that is wanted: for the whole bridge, or for each port by itself.
fn count(
    cx: &mut Cx,
    skb: SkbId,
    bridge: DevId,
    dev: DevId,
    vid: u16,
    count: impl FnOnce(&mut VlanStats, u64),
) {
    let bytes = cx.skbs[skb].len() as u64;
    let Some(br) = cx.k.devs[bridge].bridge_mut().filter(|br| br.conf.vlan_stats_enabled) else { return };
    let per_port = br.conf.vlan_stats_per_port;
    if dev == bridge || !per_port {
        count(br.vlan_stats.entry(vid).or_default(), bytes);
    } else if let Some(vlan) = vlan_group_mut(&mut cx.k.devs[dev]).and_then(|group| group.vlans.get_mut(&vid))
    {
        count(&mut vlan.stats, bytes);
    }
}

/// The counters of a VLAN of a port, or of a bridge.
pub fn br_vlan_get_stats(bridge: &Bridge, is_port: bool, vid: u16, vlan: &BridgeVlan) -> VlanStats {
    if is_port && bridge.conf.vlan_stats_per_port {
        return vlan.stats;
    }
    bridge.vlan_stats.get(&vid).copied().unwrap_or_default()
}

/// A frame that was let in may leave by these VLANs.
#[inline]
pub(super) fn br_allowed_egress(group: &VlanGroup, vlan_filtered: bool, tag: Option<VlanTag>) -> bool {
    !vlan_filtered || group.vlans.contains_key(&vid_of(tag))
}

/// Takes the tag off a frame that leaves by a port, or goes up to the bridge itself (`dev`), where its VLAN is untagged; false: the
/// frame was dropped.
#[cold]
pub(super) fn br_handle_vlan(cx: &mut Cx, skb: SkbId, bridge: DevId, dev: DevId) -> bool {
    let vid = vid_of(cx.skbs[skb].vlan_tag);
    let vlan = vlan_group(&cx.k.devs[dev]).and_then(|group| group.vlans.get(&vid));
    let Some(untagged) = vlan.map(|vlan| vlan.untagged) else {
        // Who listens to a bridge in promiscuous mode sees all.
        if dev == bridge && cx.k.devs[bridge].flags & IFF_PROMISC != 0 {
            return true;
        }
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return false;
    };
    count(cx, skb, bridge, dev, vid, |stats, bytes| {
        stats.tx_packets += 1;
        stats.tx_bytes += bytes;
    });
    if untagged {
        cx.skbs[skb].vlan_tag = None;
    }
    true
}

/// The VLAN in which the sender of a frame is learned that goes no farther than the port; `None`: it is not learned.
pub(super) fn br_should_learn(cx: &Cx, skb: SkbId, bridge: DevId, port: DevId) -> Option<u16> {
    let br = cx.k.devs[bridge].bridge()?;
    if !br.conf.vlan_filtering {
        return Some(0);
    }
    let group = vlan_group(&cx.k.devs[port])?;
    let tag = cx.skbs[skb].vlan_tag.filter(|tag| tag.proto == br.conf.vlan_proto);
    match vid_of(tag) {
        0 => Some(group.pvid).filter(|pvid| *pvid != 0),
        vid => group.vlans.contains_key(&vid).then_some(vid),
    }
}

/// Puts a port, or a bridge itself, into VLANs (`RTM_SETLINK`).
///
/// # Errors
///
/// `EINVAL` for a VLAN that there cannot be, `EOPNOTSUPP` if the device is neither a port nor a bridge.
pub fn br_vlan_add(
    cx: &mut Cx,
    dev: DevId,
    (first, last): (u16, u16),
    pvid: bool,
    untagged: bool,
) -> Result<(), NlError> {
    check(cx, dev, first, last)?;
    (first..=last).for_each(|vid| add(cx, dev, vid, pvid, untagged));
    Ok(())
}

/// Takes a port, or a bridge itself, out of VLANs; those that it is not in do not matter (`RTM_DELLINK`).
///
/// # Errors
///
/// Those of [`br_vlan_add`].
pub fn br_vlan_delete(cx: &mut Cx, dev: DevId, (first, last): (u16, u16)) -> Result<(), NlError> {
    check(cx, dev, first, last)?;
    (first..=last).for_each(|vid| delete(cx, dev, vid));
    Ok(())
}

fn check(cx: &Cx, dev: DevId, first: u16, last: u16) -> Result<(), NlError> {
    if vlan_group(&cx.k.devs[dev]).is_none() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    if [first, last].iter().any(|vid| *vid == 0 || *vid >= VLAN_VID_MASK) {
        return Err(NlError::with(Errno::EINVAL, "bridge: Vlan id is invalid"));
    }
    Ok(())
}

/// The bridge of a port, or itself, and the port.
fn bridge_and_port(cx: &Cx, dev: DevId) -> (DevId, Option<DevId>) {
    cx.k.devs[dev].port.as_ref().map_or((dev, None), |port| (port.bridge, Some(dev)))
}

/// `nbp_vlan_add` and `br_vlan_add`
fn add(cx: &mut Cx, dev: DevId, vid: u16, pvid: bool, untagged: bool) {
    let Some(group) = vlan_group_mut(&mut cx.k.devs[dev]) else { return };
    let is_new = !group.vlans.contains_key(&vid);
    group.vlans.entry(vid).or_default().untagged = untagged;
    if pvid {
        group.pvid = vid;
    } else if group.pvid == vid {
        group.pvid = 0;
    }
    if is_new {
        let (bridge, port) = bridge_and_port(cx, dev);
        let addr = cx.k.devs[dev].addr;
        fdb_add_local_in(cx, bridge, port, addr, vid);
    }
}

/// `nbp_vlan_delete` and `br_vlan_delete`
fn delete(cx: &mut Cx, dev: DevId, vid: u16) {
    if !vlan_group(&cx.k.devs[dev]).is_some_and(|group| group.vlans.contains_key(&vid)) {
        return;
    }
    let (bridge, port) = bridge_and_port(cx, dev);
    let addr = cx.k.devs[dev].addr;
    br_fdb_find_delete_local(cx, bridge, port, addr, vid);
    br_fdb_forget_vlan(cx, bridge, port, vid);
    if let Some(group) = vlan_group_mut(&mut cx.k.devs[dev]) {
        group.vlans.remove(&vid);
        if group.pvid == vid {
            group.pvid = 0;
        }
    }
    forget_stats(cx, bridge, vid);
}

/// What was counted in a VLAN is forgotten when nobody is in it any more.
fn forget_stats(cx: &mut Cx, bridge: DevId, vid: u16) {
    let Some(br) = cx.k.devs[bridge].bridge() else { return };
    let members = br.ports.iter().copied().chain([bridge]);
    let is_used =
        members.filter_map(|dev| vlan_group(&cx.k.devs[dev])).any(|group| group.vlans.contains_key(&vid));
    if !is_used {
        bridge_mut(cx, bridge).vlan_stats.remove(&vid);
    }
}

/// A new port, or a new bridge, is in the bridge's default VLAN (`nbp_vlan_init`, `br_vlan_bridge_event`).
pub(super) fn join_default_vlan(cx: &mut Cx, bridge: DevId, dev: DevId) {
    let pvid = bridge_mut(cx, bridge).conf.default_pvid;
    if pvid != 0 && cx.k.config.bridge_vlan_filtering {
        add(cx, dev, pvid, true, true);
    }
}

/// Whoever is in the default VLAN of a bridge as in the beginning follows its change (`__br_vlan_set_default_pvid`).
pub(super) fn br_vlan_set_default_pvid(cx: &mut Cx, bridge: DevId, pvid: u16) {
    let br = bridge_mut(cx, bridge);
    let (old, ports) = (std::mem::replace(&mut br.conf.default_pvid, pvid), br.ports.clone());
    if old == pvid {
        return;
    }
    for dev in std::iter::once(bridge).chain(ports) {
        let Some(group) = vlan_group(&cx.k.devs[dev]) else { continue };
        let has_default = old == 0 || is_default(group, old);
        if !has_default || group.vlans.contains_key(&pvid) {
            continue;
        }
        if pvid != 0 {
            add(cx, dev, pvid, true, true);
        }
        delete(cx, dev, old);
    }
}

/// The VLAN is that of untagged frames, as a default is (`vlan_default_pvid`).
fn is_default(group: &VlanGroup, vid: u16) -> bool {
    group.pvid == vid && group.vlans.get(&vid).is_some_and(|vlan| vlan.untagged)
}

/// Filtering begins or ends (`br_vlan_filter_toggle`).
pub(super) fn br_vlan_filter_toggle(cx: &mut Cx, bridge: DevId, on: bool) {
    let br = bridge_mut(cx, bridge);
    br.conf.vlan_filtering = on;
    for port in br.ports.clone() {
        if let Some(port) = cx.k.devs[port].port.as_mut() {
            port.vlan_filtering = on;
        }
    }
    br_manage_promisc(cx, bridge);
}

/// Ports count by themselves only if that is said before there are any with VLANs (`br_vlan_set_stats_per_port`).
pub(super) fn check_stats_per_port(kernel: &Kernel, bridge: &NetDevice, value: u64) -> Result<(), NlError> {
    let ports = bridge.bridge().map_or(&[][..], |br| &br.ports);
    let has_vlans =
        |port: &DevId| vlan_group(&kernel.devs[*port]).is_some_and(|group| !group.vlans.is_empty());
    match value {
        0 | 1 if ports.iter().any(has_vlans) => Err(Errno::EBUSY.into()),
        0 | 1 => Ok(()),
        _ => Err(Errno::EINVAL.into()),
    }
}

/// The VLANs that a port, or a bridge itself, is in.
pub(super) fn vlans(dev: &NetDevice) -> impl Iterator<Item = u16> + Clone {
    vlan_group(dev).into_iter().flat_map(|group| group.vlans.keys().copied())
}
