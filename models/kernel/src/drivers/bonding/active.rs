//! Which slave works.
//!
//! Kernel: drivers/net/bonding/bond_main.c

use super::bond_3ad::bond_3ad_handle_link_change;
use super::bond_alb::{bond_alb_handle_active_change, bond_alb_handle_link_change};
use super::{
    arp_monitor, bond_set_carrier, bond_set_dev_addr, bond_set_rx_mode, is_primary, slave_log, slaves,
};
use crate::Cx;
use crate::ids::DevId;
use crate::module::NetdevEvent;
use crate::net::core::dev::dev_set_mac_address;
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::core::softirq::local_bh_enable;
use crate::tables::bonding::{BondLink, Mode, Opt, Slave};
use crate::tables::klog::LOG_INFO;

/// When the primary slave works again although another one does (`BOND_PRI_RESELECT_*`).
const RESELECT_BETTER: u32 = 1;
const RESELECT_FAILURE: u32 = 2;

/// Who has which address (`BOND_FOM_*`): the bond that of the slave that works, or the slave that works the bond's.
pub(super) const FAIL_OVER_MAC_ACTIVE: u32 = 1;
const FAIL_OVER_MAC_FOLLOW: u32 = 2;

/// Chooses the slave that works, and says what became of the bond.
pub(super) fn bond_select_active_slave(cx: &mut Cx, bond: DevId) {
    let best = bond_find_best_slave(cx, bond);
    if cx.k.devs[bond].bond().is_none_or(|bond| bond.curr_active_slave == best) {
        return;
    }
    bond_change_active_slave(cx, bond, best);
    if bond_set_carrier(cx, bond) {
        let netdev = &cx.k.devs[bond];
        let what =
            if netdev.carrier { "active interface up!" } else { "now running without any active interface!" };
        cx.printk(LOG_INFO, format!("{}: {what}", netdev.name));
    }
}

fn bond_find_best_slave(cx: &mut Cx, bond: DevId) -> Option<DevId> {
    if let Some(dev) = bond_choose_primary_or_current(cx, bond) {
        return Some(dev);
    }
    let bonding = cx.k.devs[bond].bond()?;
    let up = bonding.slaves.iter().find(|slave| slave.link == BondLink::Up);
    let updelay = bonding.opt(Opt::Updelay);
    let comes_back = |slave: &&Slave| {
        slave.link == BondLink::Back && cx.k.devs[slave.dev].carries() && slave.delay < updelay
    };
    let back = || bonding.slaves.iter().filter(comes_back).min_by_key(|slave| slave.delay);
    up.or_else(back).map(|slave| slave.dev)
}

/// The primary slave, that with the highest priority, or the one that works now, if its link works.
fn bond_choose_primary_or_current(cx: &mut Cx, bond: DevId) -> Option<DevId> {
    let bonding = cx.k.devs[bond].bond()?;
    let up = || bonding.slaves.iter().filter(|slave| slave.link == BondLink::Up);
    let current = bonding.curr_active_slave.filter(|dev| up().any(|slave| slave.dev == *dev));
    let primary = up().map(|slave| slave.dev).find(|dev| is_primary(cx.k, bond, *dev));
    // The first of several with the same.
    let highest = up().rev().max_by_key(|slave| slave.prio).map(|slave| slave.dev);
    let wanted = primary.or(highest);
    let reselect = bonding.opt(Opt::PrimaryReselect);
    let quality = |dev: Option<DevId>| {
        dev.and_then(|dev| bonding.slave(dev)).map(|slave| (slave.speed, slave.full_duplex))
    };
    let is_no_better = quality(wanted) <= quality(current);
    let forced = primary.is_some() && std::mem::take(&mut cx.k.devs[bond].bond_mut()?.force_primary);
    let (Some(wanted), Some(now)) = (wanted, current) else { return wanted.or(current) };
    Some(match reselect {
        _ if forced => wanted,
        RESELECT_BETTER if is_no_better => now,
        RESELECT_FAILURE => now,
        _ => wanted,
    })
}

/// Another slave works from now on.
pub(super) fn bond_change_active_slave(cx: &mut Cx, bond: DevId, new: Option<DevId>) {
    let now = arp_monitor::now(cx);
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let old = std::mem::replace(&mut bonding.curr_active_slave, new);
    if old == new {
        return;
    }
    let (uses_primary, mode) = (bonding.uses_primary(), bonding.mode());
    let [miimon, updelay] = [Opt::Miimon, Opt::Updelay].map(|opt| bonding.opt(opt));
    if let Some(dev) = new
        && let Some(slave) = bonding.slave_mut(dev)
    {
        let was_back = slave.link == BondLink::Back;
        let early = updelay.saturating_sub(std::mem::take(&mut slave.delay)).saturating_mul(miimon);
        slave.last_link_up = now;
        if was_back {
            slave.link = BondLink::Up;
        }
        match mode {
            Mode::Ieee8023ad if was_back => bond_3ad_handle_link_change(cx, bond, dev, BondLink::Up),
            Mode::Tlb if was_back => bond_alb_handle_link_change(cx, bond, dev, true),
            _ => {}
        }
        if uses_primary {
            let early = if was_back { format!(" {early} ms earlier") } else { String::new() };
            slave_log(cx, LOG_INFO, bond, dev, &format!("making interface the new active one{early}"));
        }
    }
    if !uses_primary {
        return;
    }
    bond_set_rx_mode(cx, bond);
    if let Some(new) = new.filter(|_| mode == Mode::Tlb) {
        bond_alb_handle_active_change(cx, bond, old, new);
    }
    set_flags(cx, bond, old, false);
    set_flags(cx, bond, new, true);
    if mode != Mode::ActiveBackup {
        return;
    }
    if let Some(new) = new {
        bond_do_fail_over_mac(cx, bond, new, old);
    }
    if cx.k.devs[bond].is_up() && new.is_some() {
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        bonding.send_peer_notif = bonding.opt(Opt::NumGratArp) * bonding.opt(Opt::PeerNotifyDelay).max(1);
        if bond_should_notify_peers(cx, bond) {
            count_down(cx, bond);
            notify_peers(cx, bond);
        }
    }
}

/// The bond takes the address of the slave that works now, or that one the address of the one that worked (`fail_over_mac`).
fn bond_do_fail_over_mac(cx: &mut Cx, bond: DevId, new: DevId, old: Option<DevId>) {
    let (of_new, of_bond) = (cx.k.devs[new].addr, cx.k.devs[bond].addr);
    match cx.k.devs[bond].bond().map_or(0, |bond| bond.opt(Opt::FailOverMac)) {
        FAIL_OVER_MAC_ACTIVE => bond_set_dev_addr(cx, bond, of_new),
        FAIL_OVER_MAC_FOLLOW => {
            // bond_get_old_active
            let has_it = |dev: &DevId| *dev != new && cx.k.devs[*dev].addr == of_bond;
            let old = old.or_else(|| slaves(cx.k, bond).into_iter().find(has_it));
            let of_old = old.map_or(of_bond, |old| cx.k.devs[old].addr);
            // The addresses are ones that devices have.
            let _accepted = dev_set_mac_address(cx, new, of_old);
            if let Some(old) = old {
                let _accepted = dev_set_mac_address(cx, old, of_new);
            }
        }
        _ => {}
    }
}

/// The neighbours are to be told now where the bond is.
pub(super) fn bond_should_notify_peers(cx: &Cx, bond: DevId) -> bool {
    let netdev = &cx.k.devs[bond];
    let Some(bonding) = netdev.bond() else { return false };
    let (left, every) = (bonding.send_peer_notif, bonding.opt(Opt::PeerNotifyDelay).max(1));
    let settled = |slave: DevId| !cx.k.link_watch.events.contains(&slave);
    left > 0 && left.is_multiple_of(every) && netdev.carrier && bonding.curr_active_slave.is_some_and(settled)
}

/// The neighbours are told. A worker or a task does it, so they know before it goes on.
pub(super) fn notify_peers(cx: &mut Cx, bond: DevId) {
    call_netdevice_notifiers(cx, bond, NetdevEvent::NotifyPeers);
    local_bh_enable(cx);
}

/// One time less.
pub(super) fn count_down(cx: &mut Cx, bond: DevId) {
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.send_peer_notif = bonding.send_peer_notif.saturating_sub(1);
    }
}

/// A slave works, or waits (`bond_set_slave_active_flags`, `bond_set_slave_inactive_flags`).
pub(super) fn set_flags(cx: &mut Cx, bond: DevId, dev: Option<DevId>, active: bool) {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let inactive = !active && bonding.opt(Opt::AllSlavesActive) == 0;
    // All send, although one receives.
    let sends = active || bonding.mode() == Mode::Tlb;
    if let Some(slave) = dev.and_then(|dev| bonding.slave_mut(dev)) {
        (slave.active, slave.inactive) = (sends, inactive);
    }
}

/// The slave can be the one that works.
pub(super) fn is_usable(cx: &Cx, bond: DevId, dev: DevId) -> bool {
    let Some(bonding) = cx.k.devs[bond].bond() else { return false };
    bonding.uses_primary()
        && bonding.slave(dev).is_some_and(|slave| slave.link == BondLink::Up && cx.k.devs[dev].carries())
}
