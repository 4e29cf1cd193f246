//! balance-tlb: each slave sends what the others do not, and one receives.
//!
//! Slaves keep addresses of their own, and the one that receives has the bond's. Flows go to the slave that is loaded least, and are
//! shared out anew from time to time.
//!
//! Kernel: drivers/net/bonding/bond_alb.c
//! Not modelled: balance-alb, which shares out what is received, too.

use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_IP, ETH_P_IPV6, ETH_P_LOOPBACK, ETH_ZLEN, EthHdr};

use super::work::queue_delayed_work;
use super::xmit::{bond_slave_can_tx, bond_xmit_hash, usable_slaves};
use super::{slave_log, slaves};
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev::dev_set_mac_address;
use crate::net::core::softirq::local_bh_enable;
use crate::tables::bonding::{Bonding, Opt, Slave, TLB_HASH_TABLE_SIZE, TlbClientInfo, Work};
use crate::tables::klog::LOG_WARNING;
use crate::tables::netdev::{AddrAssign, Devs, NetDevice};
use crate::tables::skb::TC_PRIO_CONTROL;
use crate::tables::vlan_tag::VlanTag;

/// Time between two turns, ms, and turns a second (`ALB_TIMER_TICKS_PER_SEC`).
const ALB_TIMER_INTERVAL: u32 = 100;
const ALB_TIMER_TICKS_PER_SEC: u32 = 1000 / ALB_TIMER_INTERVAL;
/// Seconds after which flows are shared out anew, and turns (`BOND_TLB_REBALANCE_INTERVAL`).
const BOND_TLB_REBALANCE_INTERVAL: u32 = 10;
const BOND_TLB_REBALANCE_TICKS: u32 = BOND_TLB_REBALANCE_INTERVAL * ALB_TIMER_TICKS_PER_SEC;

/// Begins with no flow (`bond_alb_initialize`).
pub(super) fn bond_alb_initialize(bond: &mut Bonding) {
    bond.alb.tx_hashtbl = [TlbClientInfo::default(); TLB_HASH_TABLE_SIZE];
}

/// A new slave has its own address, unless the bond or another slave has it (`bond_alb_init_slave`).
pub(super) fn bond_alb_init_slave(cx: &mut Cx, bond: DevId, dev: DevId, perm_hwaddr: Mac) {
    cx.k.devs[dev].addr = perm_hwaddr;
    alb_handle_addr_collision_on_attach(cx, bond, dev, perm_hwaddr);
    rebalance_at_once(cx, bond);
}

fn rebalance_at_once(cx: &mut Cx, bond: DevId) {
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.alb.tx_rebalance_counter = BOND_TLB_REBALANCE_TICKS;
    }
}

/// The slave that has an address (`bond_slave_has_mac`).
fn bond_slave_has_mac(cx: &Cx, bond: DevId, addr: Mac) -> Option<DevId> {
    slaves(cx.k, bond).into_iter().find(|slave| cx.k.devs[*slave].addr == addr)
}

fn alb_handle_addr_collision_on_attach(cx: &mut Cx, bond: DevId, dev: DevId, perm_hwaddr: Mac) {
    let of_bond = cx.k.devs[bond].addr;
    if perm_hwaddr != of_bond && bond_slave_has_mac(cx, bond, perm_hwaddr).is_none() {
        return;
    }
    let Some(bonding) = cx.k.devs[bond].bond().filter(|bond| !bond.slaves.is_empty()) else { return };
    let perm: Vec<(DevId, Mac)> = bonding.slaves.iter().map(|slave| (slave.dev, slave.perm_hwaddr)).collect();
    let free = perm.into_iter().find(|(_, addr)| bond_slave_has_mac(cx, bond, *addr).is_none());
    cx.k.devs[dev].addr = of_bond;
    if let Some((other, addr)) = free {
        cx.k.devs[dev].addr = addr;
        let name = &cx.k.devs[other].name;
        let text = format!("the slave hw address is in use by the bond; giving it the hw address of {name}");
        slave_log(cx, LOG_WARNING, bond, dev, &text);
    }
}

/// A slave goes: the one that has its address gets the one that it has (`bond_alb_deinit_slave`).
pub(super) fn bond_alb_deinit_slave(cx: &mut Cx, bond: DevId, dev: DevId, perm_hwaddr: Mac) {
    let (addr, of_bond) = (cx.k.devs[dev].addr, cx.k.devs[bond].addr);
    if perm_hwaddr != addr
        && perm_hwaddr != of_bond
        && let Some(other) = bond_slave_has_mac(cx, bond, perm_hwaddr)
    {
        alb_swap_mac_addr(cx, dev, other);
        alb_send_learning_packets(cx, bond, other, false);
    }
    tlb_clear_slave(cx, bond, dev, false);
}

/// The link of a slave is up or down (`bond_alb_handle_link_change`).
pub(super) fn bond_alb_handle_link_change(cx: &mut Cx, bond: DevId, dev: DevId, is_up: bool) {
    if is_up {
        rebalance_at_once(cx, bond);
    } else {
        tlb_clear_slave(cx, bond, dev, false);
    }
}

/// Another slave receives, so it has the bond's address (`bond_alb_handle_active_change`).
pub(super) fn bond_alb_handle_active_change(cx: &mut Cx, bond: DevId, old: Option<DevId>, new: DevId) {
    let of_bond = cx.k.devs[bond].addr;
    let swap = old.or_else(|| bond_slave_has_mac(cx, bond, of_bond));
    for dev in swap.into_iter().chain([new]) {
        tlb_clear_slave(cx, bond, dev, true);
    }
    let addr = cx.k.devs[new].addr;
    // Its filter may be of an address that it had before.
    let _best_effort = dev_set_mac_address(cx, new, of_bond);
    cx.k.devs[new].addr = addr;
    let Some(swap) = swap else {
        cx.k.devs[new].addr = of_bond;
        return alb_send_learning_packets(cx, bond, new, false);
    };
    alb_swap_mac_addr(cx, swap, new);
    // alb_fasten_mac_swap
    for dev in [swap, new] {
        let slave = cx.k.devs[bond].bond().and_then(|bond| bond.slave(dev));
        if slave.is_some_and(|slave| bond_slave_can_tx(cx.k, slave)) {
            alb_send_learning_packets(cx, bond, dev, false);
        }
    }
}

fn alb_swap_mac_addr(cx: &mut Cx, a: DevId, b: DevId) {
    (cx.k.devs[a].addr, cx.k.devs[b].addr) = (cx.k.devs[b].addr, cx.k.devs[a].addr);
}

/// Switches learn where a slave's address is, in the VLANs over the bond, too, and, unless `strict`, those of macvlan devices.
fn alb_send_learning_packets(cx: &mut Cx, bond: DevId, dev: DevId, strict: bool) {
    let addr = cx.k.devs[dev].addr;
    let mut stations = vec![(addr, None)];
    let mut visit = |upper: &NetDevice, tag, is_next: bool| {
        let is_stolen = upper.addr_assign == AddrAssign::Stolen;
        if is_next && upper.vlan_dev_priv().is_some() {
            stations.push((if is_stolen { addr } else { upper.addr }, tag));
        }
        if upper.ops.kind == Some("macvlan") && !strict {
            stations.push((upper.addr, tag));
        }
    };
    for upper in &cx.k.devs[bond].uppers {
        let vlan = cx.k.devs[upper.dev].vlan_dev_priv();
        let tag = vlan.map(|vlan| VlanTag { proto: vlan.vlan_proto, tci: vlan.vlan_id });
        alb_upper_dev_walk(&cx.k.devs, (upper.dev, tag, true), &mut visit);
    }
    stations.into_iter().for_each(|(addr, tag)| alb_send_lp_vid(cx, dev, addr, tag));
}

/// A device and all over it, each with the VLAN that it is in right over the bond, and whether it lies right over the bond. The kernel
/// comes by a device once more behind each that lies over it (`netdev_walk_all_upper_dev_rcu`).
fn alb_upper_dev_walk(
    devs: &Devs,
    (dev, tag, is_next): (DevId, Option<VlanTag>, bool),
    visit: &mut impl FnMut(&NetDevice, Option<VlanTag>, bool),
) {
    visit(&devs[dev], tag, is_next);
    for upper in &devs[dev].uppers {
        alb_upper_dev_walk(devs, (upper.dev, tag, false), visit);
        visit(&devs[dev], tag, is_next);
    }
}

/// Sends a frame from an address to itself.
fn alb_send_lp_vid(cx: &mut Cx, dev: DevId, addr: Mac, tag: Option<VlanTag>) {
    let skb = cx.skbs.alloc_skb(ETH_ZLEN - size_of::<EthHdr>(), dev);
    cx.skbs.data_mut(skb).fill(0);
    let pkt = &mut cx.skbs[skb];
    (pkt.protocol, pkt.priority, pkt.network_header) = (ETH_P_LOOPBACK, TC_PRIO_CONTROL, pkt.data);
    cx.skbs.push_eth(skb, EthHdr::new(addr, addr, ETH_P_LOOPBACK));
    cx.skbs[skb].vlan_tag = tag;
    cx.walk(Door::DevQueueXmit { skb });
    // A worker or a task sends it, so it arrives at once.
    local_bh_enable(cx);
}

/// A slave has no flow any more; `save_load`: what each sent is remembered.
fn tlb_clear_slave(cx: &mut Cx, bond: DevId, dev: DevId, save_load: bool) {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    for entry in bonding.alb.tx_hashtbl.iter_mut().filter(|entry| entry.tx_slave == Some(dev)) {
        if save_load {
            entry.load_history = 1 + entry.tx_bytes / BOND_TLB_REBALANCE_INTERVAL;
            entry.tx_bytes = 0;
        }
        entry.tx_slave = None;
    }
    if let Some(slave) = bonding.slave_mut(dev) {
        slave.tlb_load = 0;
    }
}

/// Has a turn: slaves tell switches their addresses, and flows are shared out anew.
pub(super) fn bond_alb_monitor(cx: &mut Cx, bond: DevId) {
    let all = slaves(cx.k, bond);
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let current = bonding.curr_active_slave;
    let lp_ticks = bonding.opt(Opt::LpInterval).saturating_mul(ALB_TIMER_TICKS_PER_SEC);
    let alb = &mut bonding.alb;
    alb.tx_rebalance_counter += 1;
    alb.lp_counter += 1;
    if all.is_empty() {
        (alb.tx_rebalance_counter, alb.lp_counter) = (0, 0);
    }
    let (learns, rebalances) =
        (alb.lp_counter >= lp_ticks, alb.tx_rebalance_counter >= BOND_TLB_REBALANCE_TICKS);
    if learns {
        alb.lp_counter = 0;
        all.iter().for_each(|dev| alb_send_learning_packets(cx, bond, *dev, Some(*dev) != current));
    }
    if rebalances {
        all.into_iter().for_each(|dev| tlb_clear_slave(cx, bond, dev, true));
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        bonding.alb.tx_rebalance_counter = 0;
        if let Some(current) = current {
            let load = std::mem::take(&mut bonding.alb.unbalanced_load) / BOND_TLB_REBALANCE_INTERVAL;
            bonding.slave_mut(current).into_iter().for_each(|slave| slave.tlb_load = load);
        }
    }
    queue_delayed_work(cx, bond, Work::Alb, ALB_TIMER_INTERVAL);
}

/// The slave that a packet leaves by; it has that one's address from here on. What is for a group leaves by the slave that receives.
pub(super) fn bond_tlb_xmit(cx: &mut Cx, bond: DevId, skb: SkbId) -> Option<DevId> {
    let len = cx.skbs[skb].len() as u32;
    let is_flow =
        matches!(cx.skbs[skb].protocol, ETH_P_IP | ETH_P_IPV6) && !cx.skbs.eth_hdr(skb).dest().is_multicast();
    let bonding = cx.k.devs[bond].bond()?;
    let (current, is_dynamic) = (bonding.curr_active_slave, bonding.opt(Opt::TlbDynamicLb) != 0);
    let hash = if is_flow { bond_xmit_hash(cx, bonding, skb) } else { 0 };
    let chosen = match is_dynamic {
        _ if !is_flow => None,
        true => tlb_choose_channel(cx, bond, hash as usize % TLB_HASH_TABLE_SIZE, len),
        false => {
            let at = hash.checked_rem(usable_slaves(cx, bonding).count() as u32)?;
            usable_slaves(cx, bonding).nth(at as usize).map(|slave| slave.dev)
        }
    };
    let bonding = cx.k.devs[bond].bond_mut()?;
    if chosen.is_none() && is_dynamic {
        bonding.alb.unbalanced_load = bonding.alb.unbalanced_load.wrapping_add(len);
    }
    let slave = chosen.or(current)?;
    if !cx.k.devs[bond].bond()?.slave(slave).is_some_and(|slave| bond_slave_can_tx(cx.k, slave)) {
        if is_dynamic {
            tlb_clear_slave(cx, bond, slave, false);
        }
        return None;
    }
    if Some(slave) != current {
        let (at, addr) = (cx.skbs[skb].mac_header, cx.k.devs[slave].addr);
        cx.skbs.header_mut::<EthHdr>(skb, at)?.h_source = addr.0;
    }
    Some(slave)
}

/// The slave of a flow; of a new one that with the most room.
fn tlb_choose_channel(cx: &mut Cx, bond: DevId, flow: usize, len: u32) -> Option<DevId> {
    let bonding = cx.k.devs[bond].bond()?;
    let room = |slave: &Slave| {
        // In 32 bits: a slave of 10 Gbit/s seems to have 1.8.
        let speed = slave.speed.unwrap_or(u32::MAX).wrapping_mul(1 << 20);
        i64::from(speed) - i64::from(slave.tlb_load.wrapping_mul(8))
    };
    let usable = bonding.slaves.iter().filter(|slave| bond_slave_can_tx(cx.k, slave)).rev();
    let least_loaded = usable.max_by_key(|slave| room(slave)).map(|slave| slave.dev);
    let bonding = cx.k.devs[bond].bond_mut()?;
    let entry = &mut bonding.alb.tx_hashtbl[flow];
    let is_new = entry.tx_slave.is_none();
    entry.tx_slave = entry.tx_slave.or(least_loaded);
    let (slave, load) = (entry.tx_slave?, entry.load_history);
    entry.tx_bytes = entry.tx_bytes.wrapping_add(len);
    if is_new && let Some(slave) = bonding.slave_mut(slave) {
        slave.tlb_load = slave.tlb_load.wrapping_add(load);
    }
    Some(slave)
}
