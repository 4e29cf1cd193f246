//! Watches the links of slaves by ARP: asks addresses by each slave, and looks what comes back.
//!
//! Kernel: drivers/net/bonding/bond_main.c (`bond_arp_monitor`)
//! Not modelled: the same by neighbour discovery of IPv6.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPHRD_ETHER, ARPOP_REPLY, ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_P_ARP, ETH_P_IP};

use super::active::{
    bond_select_active_slave, bond_should_notify_peers, count_down, notify_peers, set_flags,
};
use super::work::{cancel_delayed_work, queue_delayed_work};
use super::{bond_set_carrier, bond_slave_is_up, is_better, slave_log, slaves};
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::softirq::local_bh_enable;
use crate::net::ipv4::arp::arp_create;
use crate::net::ipv4::route::ip_route_output_key;
use crate::tables::bonding::{BondLink, Bonding, Mode, Opt, Slave, Work};
use crate::tables::jiffies::{JIFFY, jiffies};
use crate::tables::klog::{LOG_INFO, LOG_WARNING};
use crate::tables::route::FlowOut;
use crate::tables::skb::PacketType;
use crate::tables::vlan_tag::VlanTag;
use crate::{Cx, Kernel};

/// Bits of `arp_validate`: what slaves that work receive is looked at, what those that wait do, and other packets than ARP's show
/// nothing (`BOND_ARP_*`).
const VALIDATE_ACTIVE: u32 = 1;
const VALIDATE_BACKUP: u32 = 2;
const FILTER: u32 = 4;

/// The time in ticks.
pub(super) fn now(cx: &Cx) -> i64 {
    jiffies(cx.now) as i64
}

/// Length of an interval in ticks.
fn interval(bond: &Bonding) -> i64 {
    let interval = Nanos::from_millis(u64::from(bond.opt(Opt::ArpInterval)));
    interval.0.div_ceil(JIFFY) as i64
}

/// When a new slave is said to have received and sent last: before the interval of now.
pub(super) fn before_interval(cx: &Cx, bond: DevId) -> i64 {
    now(cx) - cx.k.devs[bond].bond().map_or(0, interval) - 1
}

/// What happened then is no longer ago than so many intervals and a half (`bond_time_in_interval`).
fn in_interval(bond: &Bonding, now: i64, then: i64, intervals: u32) -> bool {
    let delta = interval(bond);
    (then - delta..=then + i64::from(intervals) * delta + delta / 2).contains(&now)
}

/// When a slave last received what shows that its link works (`slave_last_rx`).
fn last_rx(bond: &Bonding, slave: &Slave) -> i64 {
    if bond.opt(Opt::ArpAllTargets) == 0 {
        return slave.last_rx;
    }
    let targets = bond.arp_targets.len().max(1);
    slave.target_last_arp_rx[..targets].iter().copied().min().unwrap_or(slave.last_rx)
}

/// Asks by ARP from now on, or no longer, of a bond whose `arp_interval` was set.
pub(super) fn start(cx: &mut Cx, bond: DevId) {
    let netdev = &cx.k.devs[bond];
    let interval = netdev.bond().map_or(0, |bond| bond.opt(Opt::ArpInterval));
    if !netdev.is_up() {
        return;
    }
    if interval == 0 {
        return cancel_delayed_work(cx, bond, Work::Arp);
    }
    cancel_delayed_work(cx, bond, Work::Mii);
    queue_delayed_work(cx, bond, Work::Arp, 0);
}

/// Looks at what came, and asks again.
pub(super) fn bond_arp_monitor(cx: &mut Cx, bond: DevId) {
    let Some(bonding) = cx.k.devs[bond].bond() else { return };
    let (mode, interval) = (bonding.mode(), bonding.opt(Opt::ArpInterval));
    match mode {
        Mode::ActiveBackup => bond_activebackup_arp_mon(cx, bond),
        _ => bond_loadbalance_arp_mon(cx, bond),
    }
    if interval > 0 {
        queue_delayed_work(cx, bond, Work::Arp, interval);
    }
}

/// Where all slaves work, each one's link works if something came in by it.
fn bond_loadbalance_arp_mon(cx: &mut Cx, bond: DevId) {
    let mut changed = Vec::new();
    let old = cx.k.devs[bond].bond().and_then(|bond| bond.curr_active_slave);
    let mut failover = false;
    for dev in slaves(cx.k, bond) {
        let now = now(cx);
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        let max = bonding.opt(Opt::ArpMissedMax);
        let Some(slave) = bonding.slave(dev) else { continue };
        let (link, times) = (slave.link, [slave.last_tx, slave.last_rx]);
        let was = |intervals| times.iter().all(|then| in_interval(bonding, now, *then, intervals));
        if link != BondLink::Up && was(1) {
            changed.push((dev, BondLink::Up));
            failover |= old.is_none();
            let text = if old.is_none() { "link status definitely up" } else { "interface is now up" };
            slave_log(cx, LOG_INFO, bond, dev, text);
        } else if link == BondLink::Up && !was(max) {
            changed.push((dev, BondLink::Down));
            failover |= old == Some(dev);
            if let Some(slave) = bonding.slave_mut(dev) {
                slave.link_failure_count += 1;
            }
            slave_log(cx, LOG_INFO, bond, dev, "interface is now down");
        }
        if bond_slave_is_up(cx.k, dev) {
            bond_arp_send_all(cx, bond, dev);
        }
    }
    let Some(bonding) = cx.k.devs[bond].bond_mut().filter(|_| !changed.is_empty()) else { return };
    for (dev, link) in changed {
        if let Some(slave) = bonding.slave_mut(dev) {
            slave.link = link;
        }
    }
    // bond_slave_state_change
    for slave in &mut bonding.slaves {
        match slave.link {
            BondLink::Up => slave.active = true,
            BondLink::Down => slave.active = false,
            BondLink::Fail | BondLink::Back => {}
        }
    }
    if failover {
        bond_select_active_slave(cx, bond);
    }
}

/// Where one slave works, it asks; while none does, they are tried one after the other.
fn bond_activebackup_arp_mon(cx: &mut Cx, bond: DevId) {
    let notify = bond_should_notify_peers(cx, bond);
    let changed: Vec<(DevId, BondLink)> = slaves(cx.k, bond)
        .into_iter()
        .filter_map(|dev| Some((dev, bond_ab_arp_inspect(cx, bond, dev)?)))
        .collect();
    if !changed.is_empty() {
        bond_ab_arp_commit(cx, bond, &changed);
    }
    bond_ab_arp_probe(cx, bond);
    if notify {
        count_down(cx, bond);
        notify_peers(cx, bond);
    }
}

/// What becomes of a slave's link.
fn bond_ab_arp_inspect(cx: &Cx, bond: DevId, dev: DevId) -> Option<BondLink> {
    let (bonding, now) = (cx.k.devs[bond].bond()?, now(cx));
    let slave = bonding.slave(dev)?;
    let within = |then: i64, intervals: u32| in_interval(bonding, now, then, intervals);
    let (rx, max) = (last_rx(bonding, slave), bonding.opt(Opt::ArpMissedMax));
    match slave.link {
        BondLink::Up => {}
        _ if within(rx, 1) => return Some(BondLink::Up),
        BondLink::Back => return Some(BondLink::Fail),
        _ => return None,
    }
    // One that has just come up, or works only now, has time to receive something.
    if within(slave.last_link_up, 2) {
        return None;
    }
    let is_down = if slave.active {
        !within(slave.last_tx, max) || !within(rx, max)
    } else {
        // While another one is looked for, each has its turn first.
        bonding.current_arp_slave.is_none() && !within(rx, max + 1)
    };
    is_down.then_some(BondLink::Down)
}

/// Links are up or down from now on.
fn bond_ab_arp_commit(cx: &mut Cx, bond: DevId, changed: &[(DevId, BondLink)]) {
    let mut failover = false;
    for (dev, link) in changed {
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        let current = bonding.curr_active_slave;
        if *link == BondLink::Up && current == Some(*dev) {
            continue;
        }
        let Some(slave) = bonding.slave_mut(*dev) else { continue };
        slave.link = *link;
        slave.link_failure_count += u32::from(*link == BondLink::Down);
        match link {
            BondLink::Up => {
                let tried = bonding.current_arp_slave.take();
                set_flags(cx, bond, tried, false);
                slave_log(cx, LOG_INFO, bond, *dev, "link status definitely up");
                failover |= current.is_none_or(|current| is_better(cx.k, bond, *dev, current));
            }
            BondLink::Down => {
                if current == Some(*dev) {
                    bonding.current_arp_slave = None;
                    failover = true;
                }
                set_flags(cx, bond, Some(*dev), false);
                slave_log(cx, LOG_INFO, bond, *dev, "link status definitely down, disabling slave");
            }
            BondLink::Fail | BondLink::Back => {
                if current.is_some() {
                    bonding.current_arp_slave = None;
                }
                set_flags(cx, bond, Some(*dev), false);
            }
        }
    }
    if failover {
        bond_select_active_slave(cx, bond);
    }
    bond_set_carrier(cx, bond);
}

/// The slave that works asks; if there is none, the next one is tried.
fn bond_ab_arp_probe(cx: &mut Cx, bond: DevId) {
    let Some(bonding) = cx.k.devs[bond].bond() else { return };
    let (current, tried) = (bonding.curr_active_slave, bonding.current_arp_slave);
    if let Some(current) = current {
        if let Some(tried) = tried {
            let names = (&cx.k.devs[bond].name, &cx.k.devs[tried].name, &cx.k.devs[current].name);
            let line = format!("{}: PROBE: c_arp {} && cas {} BAD", names.0, names.1, names.2);
            cx.printk(LOG_INFO, line);
        }
        return bond_arp_send_all(cx, bond, current);
    }
    let all = slaves(cx.k, bond);
    let last = tried.and_then(|tried| all.iter().position(|dev| *dev == tried)).unwrap_or(0);
    for dev in &all {
        let is_up = bond_slave_is_up(cx.k, *dev);
        let slave = cx.k.devs[bond].bond_mut().and_then(|bond| bond.slave_mut(*dev));
        let Some(slave) = slave.filter(|slave| !is_up && slave.link == BondLink::Up) else { continue };
        slave.link = BondLink::Down;
        slave.link_failure_count += 1;
        set_flags(cx, bond, Some(*dev), false);
        slave_log(cx, LOG_INFO, bond, *dev, "backup interface is now down");
    }
    let next = all.iter().cycle().skip(last + 1).take(all.len()).find(|dev| bond_slave_is_up(cx.k, **dev));
    let Some(next) = next.copied() else { return };
    set_flags(cx, bond, Some(next), true);
    if let Some(slave) = cx.k.devs[bond].bond_mut().and_then(|bond| bond.slave_mut(next)) {
        slave.link = BondLink::Back;
    }
    bond_arp_send_all(cx, bond, next);
    let now = now(cx);
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.current_arp_slave = Some(next);
        if let Some(slave) = bonding.slave_mut(next) {
            slave.last_link_up = now;
        }
    }
}

/// Asks all addresses by one slave (`bond_arp_send_all`): those that are on a link of the bond or of a device above it, and those that
/// nothing is known of.
fn bond_arp_send_all(cx: &mut Cx, bond: DevId, slave: DevId) {
    let Some(bonding) = cx.k.devs[bond].bond() else { return };
    let (targets, validates) = (bonding.arp_targets.clone(), bonding.opt(Opt::ArpValidate) != 0);
    let netns = cx.k.devs[bond].netns;
    for target in targets {
        let flow = FlowOut { daddr: target, onlink: true, ..FlowOut::default() };
        let Ok((route, _)) = ip_route_output_key(cx, netns, flow, None) else {
            if validates && cx.k.log.is_first("no route to arp_ip_target") {
                let name = &cx.k.devs[bond].name;
                let line = format!("{name}: no route to arp_ip_target {target} and arp_validate is set");
                cx.printk(LOG_WARNING, line);
            }
            bond_arp_send(cx, bond, slave, (Ipv4Addr::UNSPECIFIED, target), &[]);
            continue;
        };
        if let Some(tags) = bond_verify_device_path(cx.k, bond, route.dev) {
            let source = confirm_addr(cx.k, route.dev, target);
            bond_arp_send(cx, bond, slave, (source, target), &tags);
        }
    }
}

/// The VLAN tags of a device above another one, the outer one first; `None` if it is not above it.
fn bond_verify_device_path(k: &Kernel, start: DevId, end: DevId) -> Option<Vec<VlanTag>> {
    if start == end {
        return Some(Vec::new());
    }
    k.devs[start].uppers.iter().find_map(|upper| {
        let mut tags = bond_verify_device_path(k, upper.dev, end)?;
        let vlan = k.devs[upper.dev].vlan_dev_priv();
        tags.splice(..0, vlan.map(|vlan| VlanTag { proto: vlan.vlan_proto, tci: vlan.vlan_id }));
        Some(tags)
    })
}

/// An address of a device that is in the same network as another one; zero if it has none (`inet_confirm_addr`, net/ipv4/devinet.c).
fn confirm_addr(k: &Kernel, dev: DevId, dst: Ipv4Addr) -> Ipv4Addr {
    let addrs = k.inet.get(dev).map_or(&[][..], |inet| &inet.addrs);
    let Some(near) = addrs.iter().find(|ifa| ifa.contains(dst)) else { return Ipv4Addr::UNSPECIFIED };
    addrs.first().filter(|first| near.contains(first.local)).unwrap_or(near).local
}

/// Asks an address by a slave; `ends`: source and target.
fn bond_arp_send(cx: &mut Cx, bond: DevId, slave: DevId, ends: (Ipv4Addr, Ipv4Addr), tags: &[VlanTag]) {
    let (addr, broadcast) = (cx.k.devs[slave].addr, cx.k.devs[slave].broadcast);
    let packet = ArpHdr::new(ARPOP_REQUEST, (addr, ends.0), (Mac::ZERO, ends.1));
    let skb = arp_create(cx, slave, &packet, (broadcast, addr));
    for tag in tags.iter().rev() {
        if cx.skbs[skb].vlan_tag.is_some() {
            cx.skbs.push_tag(skb);
        }
        cx.skbs[skb].vlan_tag = Some(*tag);
    }
    let now = now(cx);
    if let Some(slave) = cx.k.devs[bond].bond_mut().and_then(|bond| bond.slave_mut(slave)) {
        slave.last_tx = now;
    }
    cx.walk(Door::ArpXmit { skb });
    // It is a worker that asks, so the answer of a device that needs no time is there before the next question.
    local_bh_enable(cx);
}

/// A slave received a packet; what it shows of the slave's link (`bond_rcv_validate`).
pub(super) fn bond_rcv_validate(cx: &mut Cx, bond: DevId, skb: SkbId) {
    let (dev, is_arp, now) = (cx.skbs[skb].dev, cx.skbs[skb].protocol == ETH_P_ARP, now(cx));
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let validate = bonding.opt(Opt::ArpValidate);
    let Some(slave) = bonding.slave_mut(dev) else { return };
    let looks = validate & if slave.active { VALIDATE_ACTIVE } else { VALIDATE_BACKUP } != 0;
    if looks && is_arp {
        bond_arp_rcv(cx, bond, skb);
    } else if !looks && (is_arp || validate & FILTER == 0) {
        slave.last_rx = now;
    }
}

/// A slave received an ARP packet. A slave that waits sees the question of the one that works, by the switch between them; that it sees
/// it counts once the one that works had an answer.
fn bond_arp_rcv(cx: &mut Cx, bond: DevId, skb: SkbId) {
    let (dev, at, kind, now) = (cx.skbs[skb].dev, cx.skbs[skb].data, cx.skbs[skb].pkt_type, now(cx));
    let Some(arp) = cx.skbs.header::<ArpHdr>(skb, at).copied() else { return };
    if matches!(kind, PacketType::OtherHost | PacketType::Loopback)
        || arp.ar_hrd.get() != ARPHRD_ETHER
        || arp.ar_pro.get() != ETH_P_IP
        || (arp.ar_hln, arp.ar_pln) != (6, 4)
    {
        return;
    }
    let (source, target) = (arp.ar_sip.get(), arp.ar_tip.get());
    let Some(bonding) = cx.k.devs[bond].bond() else { return };
    let slave = |dev: Option<DevId>| dev.and_then(|dev| bonding.slave(dev));
    let (current, tried) = (slave(bonding.curr_active_slave), slave(bonding.current_arp_slave));
    let asked = |tried: &Slave| arp.ar_op.get() == ARPOP_REPLY && in_interval(bonding, now, tried.last_tx, 1);
    let ends = if slave(Some(dev)).is_some_and(|slave| slave.active) {
        (source, target)
    } else if current.is_some_and(|current| last_rx(bonding, current) > current.last_link_up) {
        (target, source)
    } else if tried.is_some_and(asked) {
        (source, target)
    } else {
        return;
    };
    bond_validate_arp(cx, bond, dev, ends);
}

/// The packet is from an address that is asked for, and for one of the bond's.
fn bond_validate_arp(cx: &mut Cx, bond: DevId, dev: DevId, (source, target): (Ipv4Addr, Ipv4Addr)) {
    let now = now(cx);
    if source.is_unspecified() || !bond_has_this_ip(cx.k, bond, target) {
        return;
    }
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let Some(at) = bonding.arp_targets.iter().position(|target| *target == source) else { return };
    if let Some(slave) = bonding.slave_mut(dev) {
        (slave.last_rx, slave.target_last_arp_rx[at]) = (now, now);
    }
}

/// The address is one of a device, or of one above it (`bond_has_this_ip`).
fn bond_has_this_ip(k: &Kernel, dev: DevId, ip: Ipv4Addr) -> bool {
    k.inet.get(dev).is_some_and(|inet| inet.addrs.iter().any(|ifa| ifa.local == ip))
        || k.devs[dev].uppers.iter().any(|upper| bond_has_this_ip(k, upper.dev, ip))
}
