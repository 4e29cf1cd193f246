//! Membership of devices in multicast groups.
//!
//! Kernel: net/ipv4/igmp.c

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev_addr_lists::{dev_mc_add, dev_mc_del};
use crate::tables::arphrd::Arphrd;
use crate::tables::inet::IGMP_ALL_HOSTS;

/// Joins a group on a device (`ip_mc_inc_group`): its link-layer address is listened to.
pub fn ip_mc_inc_group(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.join(group) && cx.k.devs[dev].is_up() {
        link_listen(cx, dev, group, true);
    }
}

/// Leaves a group on a device (`__ip_mc_dec_group`).
pub fn ip_mc_dec_group(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.leave(group) && cx.k.devs[dev].is_up() {
        link_listen(cx, dev, group, false);
    }
}

fn link_listen(cx: &mut Cx, dev: DevId, group: Ipv4Addr, on: bool) {
    if cx.k.devs[dev].arphrd != Arphrd::Ether {
        return; // It has no link-layer groups (`arp_mc_map`).
    }
    let address = Mac::of_ipv4_group(group);
    if on { dev_mc_add(cx, dev, address) } else { dev_mc_del(cx, dev, address) }
}

/// Joins the all-systems group when a device comes up (`ip_mc_up`).
pub fn ip_mc_up(cx: &mut Cx, dev: DevId) {
    let known = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.groups.clone());
    for entry in &known {
        // A bridge may have joined a group before it was up (`loaded`).
        if !cx.k.devs[dev].mc.iter().any(|listened| listened.0 == Mac::of_ipv4_group(entry.group)) {
            link_listen(cx, dev, entry.group, true);
        }
    }
    ip_mc_inc_group(cx, dev, IGMP_ALL_HOSTS);
}

/// Leaves the link-layer groups when a device goes down (`ip_mc_down`).
pub fn ip_mc_down(cx: &mut Cx, dev: DevId) {
    let known = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.groups.clone());
    for entry in &known {
        link_listen(cx, dev, entry.group, false);
    }
    if let Some(inet) = cx.k.inet.get_mut(dev) {
        inet.leave(IGMP_ALL_HOSTS);
    }
}

/// Receives an IGMP message.
///
/// Kernel: net/ipv4/igmp.c
/// Not modelled: queries and reports: no report is sent, and a query is not answered.
pub fn igmp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}
