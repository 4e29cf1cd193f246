//! Membership of devices in multicast groups, and its reports by IGMPv3.
//!
//! Not modelled: reports about groups of the link itself, 224.0.0.0/24 (`igmp_link_local_mcast_reports` is 0), and other versions.
//!
//! Kernel: net/ipv4/igmp.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::igmp::{self, GroupChange};
use glassnet_wire::ipv4::{IP_DF, IPPROTO_IGMP, IPV4_HLEN, InAddr, Ipv4Hdr, is_local_multicast};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::route::ip_route_output_flow;
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev_addr_lists::{dev_mc_add, dev_mc_del};
use crate::tables::arphrd::Arphrd;
use crate::tables::inet::{IGMP_ALL_HOSTS, InDevice, McReports};
use crate::tables::jiffies::{HZ, JIFFY, last_tick, wheel_expiry};
use crate::tables::route::FlowOut;
use crate::tables::skb::TC_PRIO_CONTROL;

/// Reports that tell of a change (`igmp_qrv`): one may be lost.
const IGMP_QRV: u8 = 2;
/// The second is sent after a random time below this one (`igmpv3_unsolicited_report_interval`), ticks.
const UNSOLICITED_REPORT_INTERVAL: u64 = HZ;
/// `224.0.0.22`, all routers of IGMPv3 (`IGMPV3_ALL_MCR`).
const IGMPV3_ALL_MCR: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 22);
/// The option that lets routers look at the packet: Router Alert (RFC 2113).
const ROUTER_ALERT: [u8; 4] = [0x94, 4, 0, 0];
/// TOS of reports: network control.
const TOS: u8 = 0xc0;

/// Joins a group on a device (`ip_mc_inc_group`): its link-layer address is listened to, and its routers learn of it.
pub fn ip_mc_inc_group(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.join(group) && cx.k.devs[dev].is_up() {
        igmp_group_added(cx, dev, group);
    }
}

/// Leaves a group on a device (`__ip_mc_dec_group`).
pub fn ip_mc_dec_group(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if inet.leave(group) && cx.k.devs[dev].is_up() {
        igmp_group_dropped(cx, dev, group);
    }
}

fn igmp_group_added(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    let Some(entry) = inet.groups.iter_mut().find(|entry| entry.group == group) else { return };
    let is_loaded = std::mem::replace(&mut entry.loaded, true);
    let is_reported = !is_local_multicast(group);
    if is_reported {
        entry.crcount = IGMP_QRV;
        inet.reports.tomb.retain(|left| left.0 != group);
    }
    if !is_loaded {
        link_listen(cx, dev, group, true);
    }
    if is_reported {
        igmp_ifc_event(cx, dev);
    }
}

/// A group that was left.
fn igmp_group_dropped(cx: &mut Cx, dev: DevId, group: Ipv4Addr) {
    link_listen(cx, dev, group, false);
    if is_local_multicast(group) {
        return;
    }
    if let Some(inet) = cx.k.inet.get_mut(dev) {
        inet.reports.tomb.insert(0, (group, IGMP_QRV));
    }
    igmp_ifc_event(cx, dev);
}

/// There is something to report.
fn igmp_ifc_event(cx: &mut Cx, dev: DevId) {
    if let Some(inet) = cx.k.inet.get_mut(dev) {
        inet.reports.ifc_count = IGMP_QRV;
    }
    igmp_ifc_start_timer(cx, dev, 1);
}

/// The next report comes two ticks later than a random time below `max_delay` ticks.
fn igmp_ifc_start_timer(cx: &mut Cx, dev: DevId, max_delay: u64) {
    let now = last_tick(cx.now);
    let due = wheel_expiry(now, now + Nanos((cx.dice.below(max_delay) + 2) * JIFFY));
    if let Some(inet) = cx.k.inet.get_mut(dev) {
        inet.reports.ifc_timer = Some(due);
        cx.set_timer(due, igmp_ifc_timer_expire, dev.0);
    }
}

/// The timer: sends a report. Ignored if it was set anew.
fn igmp_ifc_timer_expire(cx: &mut Cx, dev: u32) {
    let (dev, now) = (DevId(dev), cx.now);
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    let reports = &mut inet.reports;
    if reports.ifc_timer.is_none_or(|due| due > now) {
        return;
    }
    reports.ifc_timer = None;
    let (sends_another, records) = (reports.ifc_count > 0, changes(inet));
    if sends_another {
        inet.reports.ifc_count -= 1;
    }
    igmpv3_sendpack(cx, dev, &records);
    if sends_another {
        igmp_ifc_start_timer(cx, dev, UNSOLICITED_REPORT_INTERVAL);
    }
}

/// What the next report tells, those that were left first (`igmpv3_send_cr`).
fn changes(inet: &mut InDevice) -> Vec<(GroupChange, Ipv4Addr)> {
    let mut records = Vec::new();
    for (group, crcount) in &mut inet.reports.tomb {
        records.push((GroupChange::Left, *group));
        *crcount -= 1;
    }
    inet.reports.tomb.retain(|left| left.1 > 0);
    for entry in inet.groups.iter_mut().filter(|entry| entry.crcount > 0) {
        records.push((GroupChange::Joined, entry.group));
        entry.crcount -= 1;
    }
    records
}

/// Sends a report of changes to the routers, if there are any.
fn igmpv3_sendpack(cx: &mut Cx, dev: DevId, records: &[(GroupChange, Ipv4Addr)]) {
    if records.is_empty() {
        return;
    }
    let netns = cx.k.devs[dev].netns;
    let flow = FlowOut { daddr: IGMPV3_ALL_MCR, oif: Some(dev), proto: IPPROTO_IGMP, ..FlowOut::default() };
    let Ok((route, flow)) = ip_route_output_flow(cx, netns, flow, None) else { return };
    let header = Ipv4Hdr {
        version_ihl: 0x46,
        tos: TOS,
        tot_len: U16::new(0),
        id: U16::new(0),
        frag_off: U16::new(IP_DF),
        ttl: 1,
        protocol: IPPROTO_IGMP,
        check: U16::new(0),
        saddr: InAddr::new(flow.saddr),
        daddr: InAddr::new(flow.daddr),
    };
    let packet = [header.as_bytes(), &ROUTER_ALERT, &igmp::report(records)].concat();
    let skb = cx.skbs.alloc_skb(packet.len(), dev);
    cx.skbs.data_mut(skb).copy_from_slice(&packet);
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = pkt.data;
    pkt.transport_header = pkt.data + (IPV4_HLEN + ROUTER_ALERT.len()) as u32;
    (pkt.protocol, pkt.dst, pkt.priority) = (ETH_P_IP, Some(route), TC_PRIO_CONTROL);
    cx.walk(Door::IpLocalOut { skb });
}

fn link_listen(cx: &mut Cx, dev: DevId, group: Ipv4Addr, on: bool) {
    if cx.k.devs[dev].arphrd != Arphrd::Ether {
        return; // It has no link-layer groups (`arp_mc_map`).
    }
    let address = Mac::of_ipv4_group(group);
    if on { dev_mc_add(cx, dev, address) } else { dev_mc_del(cx, dev, address) }
}

/// Joins the all-systems group when a device comes up, and its groups anew (`ip_mc_up`).
pub fn ip_mc_up(cx: &mut Cx, dev: DevId) {
    let known = cx.k.inet.get(dev).map_or(Vec::new(), |inet| inet.groups.clone());
    for entry in &known {
        igmp_group_added(cx, dev, entry.group);
    }
    ip_mc_inc_group(cx, dev, IGMP_ALL_HOSTS);
}

/// Leaves the link-layer groups when a device goes down, without a report (`ip_mc_down`).
pub fn ip_mc_down(cx: &mut Cx, dev: DevId) {
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    let known: Vec<Ipv4Addr> = inet.groups.iter().map(|entry| entry.group).collect();
    inet.groups.iter_mut().for_each(|entry| entry.loaded = false);
    inet.leave(IGMP_ALL_HOSTS);
    inet.reports = McReports::default();
    for group in known {
        link_listen(cx, dev, group, false);
    }
}

/// Receives an IGMP message.
///
/// Kernel: net/ipv4/igmp.c
/// Not modelled: queries, which are not answered.
pub fn igmp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}
