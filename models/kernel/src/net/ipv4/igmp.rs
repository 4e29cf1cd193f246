//! Multicast groups that devices listen to.
//!
//! Kernel: net/ipv4/igmp.c

use glassnet_wire::Mac;

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::tables::inet::IGMP_ALL_HOSTS;

/// Joins a group on a device (`ip_mc_inc_group`): its link-layer address is listened to.
pub fn ip_mc_inc_group(cx: &mut Cx, dev: DevId, group: u32) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.join(group) && cx.k.devs[dev].is_up() {
        link_listen(cx, dev, group, true);
    }
}

/// Leaves a group on a device (`__ip_mc_dec_group`).
pub fn ip_mc_dec_group(cx: &mut Cx, dev: DevId, group: u32) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.leave(group) && cx.k.devs[dev].is_up() {
        link_listen(cx, dev, group, false);
    }
}

/// `33:33:00:00:00:01`, the link-layer address of ff02::1, which every device with IPv6 compiled in listens to, also
/// where it is disabled.
pub const IPV6_ALL_NODES: Mac = Mac([0x33, 0x33, 0, 0, 0, 1]);
/// `33:33:00:00:00:6a`, of ff02::6a, all snoopers.
pub const IPV6_ALL_SNOOPERS: Mac = Mac([0x33, 0x33, 0, 0, 0, 0x6a]);

fn link_listen(cx: &mut Cx, dev: DevId, group: u32, on: bool) {
    if cx.k.devs[dev].is_loopback() {
        return; // It has no link-layer groups (`arp_mc_map`).
    }
    let address = Mac::of_ipv4_group(group);
    if on { dev_mc_add(cx, dev, address) } else { dev_mc_del(cx, dev, address) }
}

/// The device listens to a group address once more (`dev_mc_add`, net/core/dev_addr_lists.c).
pub fn dev_mc_add(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].mc;
    match list.iter_mut().find(|entry| entry.0 == address) {
        Some(entry) => entry.1 += 1,
        None => list.push((address, 1)),
    }
}

/// The device listens to a group address once less (`dev_mc_del`).
pub fn dev_mc_del(cx: &mut Cx, dev: DevId, address: Mac) {
    let list = &mut cx.k.devs[dev].mc;
    if let Some(entry) = list.iter_mut().find(|entry| entry.0 == address) {
        entry.1 -= 1;
    }
    list.retain(|entry| entry.1 > 0);
}

/// A device came up: it listens to all systems (`ip_mc_up`).
pub fn ip_mc_up(cx: &mut Cx, dev: DevId) {
    let known = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.groups.clone());
    for entry in &known {
        // A bridge joined its own group before it was up (`loaded`).
        if !cx.k.devs[dev].mc.iter().any(|listened| listened.0 == Mac::of_ipv4_group(entry.group)) {
            link_listen(cx, dev, entry.group, true);
        }
    }
    ip_mc_inc_group(cx, dev, IGMP_ALL_HOSTS);
}

/// A device went down (`ip_mc_down`).
pub fn ip_mc_down(cx: &mut Cx, dev: DevId) {
    let known = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.groups.clone());
    for entry in &known {
        link_listen(cx, dev, entry.group, false);
    }
    if let Some(inet) = cx.k.inet.get_mut(dev) {
        inet.leave(IGMP_ALL_HOSTS);
    }
}

/// A message about groups came in.
///
/// Kernel: net/ipv4/igmp.c
/// Not modelled: queries and reports: no report is sent, and a query is not answered.
pub fn igmp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}
