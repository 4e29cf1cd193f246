//! Multicast snooping. Only the group memberships of the bridge itself are modelled: with snooping it joins the
//! all-snoopers groups.
//!
//! Kernel: net/bridge/br_multicast.c

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use crate::Cx;
use crate::ids::DevId;
use crate::net::core::dev_addr_lists::{dev_mc_add, dev_mc_del};
use crate::net::ipv4::igmp::{ip_mc_dec_group, ip_mc_inc_group};

/// `INADDR_ALLSNOOPERS_GROUP`, 224.0.0.106 (RFC 4286).
const INADDR_ALLSNOOPERS_GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 106);

/// `33:33:00:00:00:6a`, the link-layer address of ff02::6a, all snoopers.
const IPV6_ALL_SNOOPERS: Mac = Mac([0x33, 0x33, 0, 0, 0, 0x6a]);

fn snoops(cx: &Cx, bridge: DevId) -> bool {
    cx.k.devs[bridge].bridge().is_some_and(|bridge| bridge.conf.mcast_snooping)
}

/// Joins the groups when the bridge comes up.
pub fn br_multicast_join_snoopers(cx: &mut Cx, bridge: DevId) {
    if snoops(cx, bridge) {
        ip_mc_inc_group(cx, bridge, INADDR_ALLSNOOPERS_GROUP);
        dev_mc_add(cx, bridge, IPV6_ALL_SNOOPERS);
    }
}

/// Leaves the groups when the bridge goes down.
pub fn br_multicast_leave_snoopers(cx: &mut Cx, bridge: DevId) {
    if snoops(cx, bridge) {
        ip_mc_dec_group(cx, bridge, INADDR_ALLSNOOPERS_GROUP);
        dev_mc_del(cx, bridge, IPV6_ALL_SNOOPERS);
    }
}

/// Enables or disables snooping.
pub fn br_multicast_toggle(cx: &mut Cx, bridge: DevId, on: bool) {
    if on == snoops(cx, bridge) {
        return;
    }
    let is_up = cx.k.devs[bridge].is_up();
    if is_up && !on {
        br_multicast_leave_snoopers(cx, bridge);
    }
    if let Some(bridge) = cx.k.devs[bridge].bridge_mut() {
        bridge.conf.mcast_snooping = on;
    }
    if is_up && on {
        br_multicast_join_snoopers(cx, bridge);
    }
}
