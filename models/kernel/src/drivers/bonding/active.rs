//! Which slave works.
//!
//! Kernel: drivers/net/bonding/bond_main.c

use super::{bond_set_carrier, bond_set_dev_addr, bond_set_rx_mode, is_primary, keeps_addresses, slave_log};
use crate::Cx;
use crate::ids::DevId;
use crate::module::NetdevEvent;
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::tables::bonding::{BondLink, Bonding, Mode, Opt, Slave};
use crate::tables::klog::LOG_INFO;

/// When the primary slave works again although another one does (`BOND_PRI_RESELECT_*`).
const RESELECT_BETTER: u32 = 1;
const RESELECT_FAILURE: u32 = 2;

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

/// The primary slave, or the one that works now, if its link works.
fn bond_choose_primary_or_current(cx: &mut Cx, bond: DevId) -> Option<DevId> {
    let works = |bond: &Bonding, dev: DevId| bond.slave(dev).is_some_and(|slave| slave.link == BondLink::Up);
    let bonding = cx.k.devs[bond].bond()?;
    let current = bonding.curr_active_slave.filter(|dev| works(bonding, *dev));
    let devs = bonding.slaves.iter().map(|slave| slave.dev);
    let primary = devs.filter(|dev| is_primary(cx.k, bond, *dev)).find(|dev| works(bonding, *dev));
    let (Some(primary), Some(now)) = (primary, current) else { return primary.or(current) };
    let reselect = bonding.opt(Opt::PrimaryReselect);
    let quality = |dev: DevId| bonding.slave(dev).map(|slave| (slave.speed, slave.full_duplex));
    let is_better = quality(primary) > quality(now);
    let forced = std::mem::take(&mut cx.k.devs[bond].bond_mut()?.force_primary);
    Some(match reselect {
        _ if forced => primary,
        RESELECT_BETTER if !is_better => now,
        RESELECT_FAILURE => now,
        _ => primary,
    })
}

/// Another slave works from now on.
pub(super) fn bond_change_active_slave(cx: &mut Cx, bond: DevId, new: Option<DevId>) {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let old = std::mem::replace(&mut bonding.curr_active_slave, new);
    if old == new {
        return;
    }
    let (uses_primary, miimon) = (bonding.uses_primary(), bonding.opt(Opt::Miimon));
    if let Some(dev) = new
        && let Some(slave) = bonding.slave_mut(dev)
    {
        let was_back = slave.link == BondLink::Back;
        let early = std::mem::take(&mut slave.delay) * miimon;
        if was_back {
            slave.link = BondLink::Up;
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
    set_flags(cx, bond, old, false);
    set_flags(cx, bond, new, true);
    if let Some(new) = new
        && keeps_addresses(cx.k, bond)
    {
        bond_set_dev_addr(cx, bond, cx.k.devs[new].addr);
    }
    if cx.k.devs[bond].is_up() && new.is_some() {
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        bonding.send_peer_notif = bonding.opt(Opt::NumGratArp) * bonding.opt(Opt::PeerNotifyDelay).max(1);
        if bond_should_notify_peers(cx, bond) {
            count_down(cx, bond);
            call_netdevice_notifiers(cx, bond, NetdevEvent::NotifyPeers);
        }
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
    if let Some(slave) = dev.and_then(|dev| bonding.slave_mut(dev)) {
        (slave.active, slave.inactive) = (active, inactive);
    }
}

/// The slave can be the one that works.
pub(super) fn is_usable(cx: &Cx, bond: DevId, dev: DevId) -> bool {
    let Some(bonding) = cx.k.devs[bond].bond() else { return false };
    bonding.mode() == Mode::ActiveBackup
        && bonding.slave(dev).is_some_and(|slave| slave.link == BondLink::Up && cx.k.devs[dev].carries())
}
