//! Watches the links of slaves.
//!
//! Kernel: drivers/net/bonding/bond_main.c (`bond_mii_monitor`)

use glassnet_sim::Nanos;

use super::active::{bond_select_active_slave, bond_should_notify_peers, count_down, set_flags};
use super::{bond_set_carrier, is_primary, link_settings, slave_log, slaves};
use crate::ids::DevId;
use crate::module::NetdevEvent;
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::tables::bonding::{BondLink, Mode, Opt};
use crate::tables::jiffies::wheel_expiry;
use crate::tables::klog::LOG_INFO;
use crate::{Cx, Kernel};

/// The link of a slave works (`use_carrier`; asking the driver gives the same).
pub(super) fn bond_check_dev_link(k: &Kernel, dev: DevId) -> bool {
    k.devs[dev].is_up() && k.devs[dev].carrier
}

/// Looks at the links from now on, if the bond is to watch them; the next look stays when it is.
pub(super) fn start(cx: &mut Cx, bond: DevId) {
    let netdev = &mut cx.k.devs[bond];
    let is_up = netdev.is_up();
    let Some(bonding) = netdev.bond_mut() else { return };
    if !is_up || bonding.opt(Opt::Miimon) == 0 {
        bonding.mii_work = None;
    } else if bonding.mii_work.is_none() {
        bonding.mii_work = Some(cx.now);
        cx.set_timer(cx.now, bond_mii_monitor, bond.0);
    }
}

/// Looks at the links, and does what follows.
fn bond_mii_monitor(cx: &mut Cx, bond: u32) {
    let (bond, now) = (DevId(bond), cx.events.now());
    let bonding = cx.k.devs.get(bond).and_then(|netdev| netdev.bond());
    let Some(miimon) =
        bonding.filter(|bond| bond.mii_work.is_some_and(|due| due <= now)).map(|bond| bond.opt(Opt::Miimon))
    else {
        return;
    };
    let due = wheel_expiry(now, now + Nanos::from_millis(u64::from(miimon)));
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.mii_work = Some(due);
    }
    cx.set_timer(due, bond_mii_monitor, bond.0);
    let notify = bond_should_notify_peers(cx, bond);
    let changed: Vec<(DevId, BondLink)> =
        slaves(cx.k, bond).into_iter().filter_map(|dev| Some((dev, inspect(cx, bond, dev)?))).collect();
    if !changed.is_empty() {
        bond_miimon_commit(cx, bond, &changed);
    }
    count_down(cx, bond);
    if notify {
        call_netdevice_notifiers(cx, bond, NetdevEvent::NotifyPeers);
    }
}

/// What becomes of a slave's link, with the delays (`bond_miimon_inspect`); `Some` if it is up or down for good.
fn inspect(cx: &mut Cx, bond: DevId, dev: DevId) -> Option<BondLink> {
    let works = bond_check_dev_link(cx.k, dev);
    let bonding = cx.k.devs[bond].bond_mut()?;
    let [miimon, updelay, downdelay] =
        [Opt::Miimon, Opt::Updelay, Opt::Downdelay].map(|opt| bonding.opt(opt));
    let at_once = bonding.curr_active_slave.is_none();
    let is_backup = bonding.mode() == Mode::ActiveBackup;
    let slave = bonding.slave_mut(dev)?;
    let (mut settled, mut line) = (None, None);
    match (slave.link, works) {
        (BondLink::Up, false) => {
            (slave.link, slave.delay) = (BondLink::Fail, downdelay);
            if downdelay > 0 {
                let role = match (is_backup, slave.active) {
                    (false, _) => "",
                    (true, true) => "active ",
                    (true, false) => "backup ",
                };
                line = Some(format!(
                    "link status down for {role}interface, disabling it in {} ms",
                    downdelay * miimon
                ));
            }
        }
        (BondLink::Fail, true) => {
            settled = Some(BondLink::Up);
            line = Some(format!("link status up again after {} ms", (downdelay - slave.delay) * miimon));
        }
        (BondLink::Down, true) => {
            (slave.link, slave.delay) = (BondLink::Back, updelay);
            if updelay > 0 {
                let delay = if at_once { 0 } else { updelay * miimon };
                line = Some(format!("link status up, enabling it in {delay} ms"));
            }
        }
        (BondLink::Back, false) => {
            settled = Some(BondLink::Down);
            line = Some(format!("link status down again after {} ms", (updelay - slave.delay) * miimon));
        }
        _ => {}
    }
    let delay_is_over = slave.delay == 0 || slave.link == BondLink::Back && at_once;
    match slave.link {
        _ if settled.is_some() => {}
        BondLink::Fail if delay_is_over => settled = Some(BondLink::Down),
        BondLink::Back if delay_is_over => settled = Some(BondLink::Up),
        BondLink::Fail | BondLink::Back => slave.delay -= 1,
        BondLink::Up | BondLink::Down => {}
    }
    if let Some(line) = line {
        slave_log(cx, LOG_INFO, bond, dev, &line);
    }
    settled
}

/// Links are up or down from now on.
fn bond_miimon_commit(cx: &mut Cx, bond: DevId, changed: &[(DevId, BondLink)]) {
    let mut failover = false;
    for (dev, link) in changed {
        let settings = link_settings(cx.k, *dev);
        let is_primary = is_primary(cx.k, bond, *dev);
        let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
        let (uses_primary, current) = (bonding.uses_primary(), bonding.curr_active_slave);
        let Some(slave) = bonding.slave_mut(*dev) else { continue };
        slave.link = *link;
        if *link == BondLink::Up {
            (slave.speed, slave.full_duplex, slave.delay) = (settings.speed, settings.full_duplex, 0);
            slave.active |= !uses_primary;
            let speed = settings.speed.unwrap_or_default();
            let duplex = if settings.full_duplex { "full" } else { "half" };
            let line = format!("link status definitely up, {speed} Mbps {duplex} duplex");
            slave_log(cx, LOG_INFO, bond, *dev, &line);
            failover |= current.is_none() || is_primary;
        } else {
            slave.link_failure_count += 1;
            if uses_primary {
                set_flags(cx, bond, Some(*dev), false);
            }
            slave_log(cx, LOG_INFO, bond, *dev, "link status definitely down, disabling slave");
            failover |= current == Some(*dev);
        }
    }
    if failover {
        bond_select_active_slave(cx, bond);
    }
    bond_set_carrier(cx, bond);
}
