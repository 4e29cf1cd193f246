//! Watches the links of slaves.
//!
//! Kernel: drivers/net/bonding/bond_main.c (`bond_mii_monitor`)

use super::active::{
    bond_select_active_slave, bond_should_notify_peers, count_down, notify_peers, set_flags,
};
use super::bond_3ad::{bond_3ad_adapter_speed_duplex_changed, bond_3ad_handle_link_change};
use super::bond_alb::bond_alb_handle_link_change;
use super::work::{cancel_delayed_work, queue_delayed_work};
use super::xmit::usable_slaves;
use super::{arp_monitor, bond_set_carrier, is_better, link_settings, needs_speed_duplex, slave_log, slaves};
use crate::ids::DevId;
use crate::tables::bonding::{BondLink, Bonding, Mode, Opt, Work};
use crate::tables::klog::{LOG_INFO, LOG_WARNING};
use crate::{Cx, Kernel};

/// The link of a slave works (`use_carrier`; asking the driver gives the same).
pub(super) fn bond_check_dev_link(k: &Kernel, dev: DevId) -> bool {
    k.devs[dev].is_up() && k.devs[dev].carrier
}

/// Looks at the links from now on, or no longer, of a bond whose `miimon` was set.
pub(super) fn start(cx: &mut Cx, bond: DevId) {
    let netdev = &cx.k.devs[bond];
    let miimon = netdev.bond().map_or(0, |bond| bond.opt(Opt::Miimon));
    if !netdev.is_up() {
        return;
    }
    if miimon == 0 {
        return cancel_delayed_work(cx, bond, Work::Mii);
    }
    cancel_delayed_work(cx, bond, Work::Arp);
    queue_delayed_work(cx, bond, Work::Mii, 0);
}

/// Looks at the links, and does what follows.
pub(super) fn bond_mii_monitor(cx: &mut Cx, bond: DevId) {
    let notify = bond_should_notify_peers(cx, bond);
    let changed = bond_miimon_inspect(cx, bond);
    if !changed.is_empty() {
        bond_miimon_commit(cx, bond, &changed);
    }
    count_down(cx, bond);
    if notify {
        notify_peers(cx, bond);
    }
    let miimon = cx.k.devs[bond].bond().map_or(0, |bond| bond.opt(Opt::Miimon));
    if miimon > 0 {
        queue_delayed_work(cx, bond, Work::Mii, miimon);
    }
}

/// The slaves whose link changed its state, and what becomes of it (`bond_miimon_inspect`): `Some` if it is up or down for good.
fn bond_miimon_inspect(cx: &mut Cx, bond: DevId) -> Vec<(DevId, Option<BondLink>)> {
    let Some(bonding) = cx.k.devs[bond].bond() else { return Vec::new() };
    // While no slave can send, the first one that comes back is not waited for.
    let mut ignore_updelay = match bonding.mode() {
        Mode::ActiveBackup => bonding.curr_active_slave.is_none(),
        Mode::Xor | Mode::Tlb => usable_slaves(cx, bonding).next().is_none(),
        Mode::Ieee8023ad => {
            bonding.active_aggregator().is_some() && usable_slaves(cx, bonding).next().is_none()
        }
        Mode::RoundRobin | Mode::Broadcast => false,
    };
    let mut changed = Vec::new();
    for dev in slaves(cx.k, bond) {
        let before = link(cx, bond, dev);
        let settled = inspect(cx, bond, dev, &mut ignore_updelay);
        if settled.is_some() || link(cx, bond, dev) != before {
            changed.push((dev, settled));
        }
    }
    changed
}

fn link(cx: &Cx, bond: DevId, dev: DevId) -> Option<BondLink> {
    cx.k.devs[bond].bond()?.slave(dev).map(|slave| slave.link)
}

/// What becomes of a slave's link, with the delays; `Some` if it is up or down for good.
fn inspect(cx: &mut Cx, bond: DevId, dev: DevId, ignore_updelay: &mut bool) -> Option<BondLink> {
    let works = bond_check_dev_link(cx.k, dev);
    let bonding = cx.k.devs[bond].bond_mut()?;
    let [miimon, updelay, downdelay] =
        [Opt::Miimon, Opt::Updelay, Opt::Downdelay].map(|opt| bonding.opt(opt));
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
                    downdelay.saturating_mul(miimon)
                ));
            }
        }
        (BondLink::Fail, true) => {
            settled = Some(BondLink::Up);
            line = Some(format!(
                "link status up again after {} ms",
                downdelay.saturating_sub(slave.delay).saturating_mul(miimon)
            ));
        }
        (BondLink::Down, true) => {
            (slave.link, slave.delay) = (BondLink::Back, updelay);
            if updelay > 0 {
                let delay = if *ignore_updelay { 0 } else { updelay.saturating_mul(miimon) };
                line = Some(format!("link status up, enabling it in {delay} ms"));
            }
        }
        (BondLink::Back, false) => {
            settled = Some(BondLink::Down);
            line = Some(format!(
                "link status down again after {} ms",
                updelay.saturating_sub(slave.delay).saturating_mul(miimon)
            ));
        }
        _ => {}
    }
    match slave.link {
        _ if settled.is_some() => {}
        BondLink::Fail if slave.delay == 0 => settled = Some(BondLink::Down),
        BondLink::Back if slave.delay == 0 || *ignore_updelay => {
            settled = Some(BondLink::Up);
            *ignore_updelay = false;
        }
        BondLink::Fail | BondLink::Back => slave.delay -= 1,
        BondLink::Up | BondLink::Down => {}
    }
    if let Some(line) = line {
        slave_log(cx, LOG_INFO, bond, dev, &line);
    }
    settled
}

/// Links are up or down from now on.
fn bond_miimon_commit(cx: &mut Cx, bond: DevId, changed: &[(DevId, Option<BondLink>)]) {
    let mut failover = false;
    for dev in slaves(cx.k, bond) {
        match changed.iter().find(|(slave, _)| *slave == dev) {
            Some((_, Some(BondLink::Up))) => failover |= link_up(cx, bond, dev),
            Some((_, Some(_))) => failover |= link_down(cx, bond, dev),
            Some((_, None)) => {}
            // Its speed may be known again.
            None if is_8023ad(cx, bond) && link(cx, bond, dev) == Some(BondLink::Up) => {
                bond_3ad_adapter_speed_duplex_changed(cx, bond, dev);
            }
            None => {}
        }
    }
    if failover {
        bond_select_active_slave(cx, bond);
    }
    bond_set_carrier(cx, bond);
}

fn is_8023ad(cx: &Cx, bond: DevId) -> bool {
    cx.k.devs[bond].bond().is_some_and(|bond| bond.mode() == Mode::Ieee8023ad)
}

/// Tells the modes that have more to do.
fn bond_miimon_link_change(cx: &mut Cx, bond: DevId, dev: DevId, link: BondLink) {
    match cx.k.devs[bond].bond().map(Bonding::mode) {
        Some(Mode::Ieee8023ad) => bond_3ad_handle_link_change(cx, bond, dev, link),
        Some(Mode::Tlb) => bond_alb_handle_link_change(cx, bond, dev, link == BondLink::Up),
        _ => {}
    }
}

/// The link of a slave is up; true if another slave may have to work.
fn link_up(cx: &mut Cx, bond: DevId, dev: DevId) -> bool {
    let (settings, now) = (link_settings(cx.k, dev), arp_monitor::now(cx));
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return false };
    let (mode, current) = (bonding.mode(), bonding.curr_active_slave);
    let is_unusable = settings.speed.is_none() && needs_speed_duplex(bonding);
    let Some(slave) = bonding.slave_mut(dev) else { return false };
    (slave.speed, slave.full_duplex, slave.delay) = (settings.speed, settings.full_duplex, 0);
    if is_unusable {
        slave.link = BondLink::Down;
        let names = (&cx.k.devs[bond].name, &cx.k.devs[dev].name);
        let line = format!("{}: (slave {}): failed to get link speed/duplex", names.0, names.1);
        cx.printk_limited(LOG_WARNING, |_| vec![line]);
        return false;
    }
    (slave.link, slave.last_link_up) = (BondLink::Up, now);
    match mode {
        Mode::ActiveBackup => {}
        // LACP decides.
        Mode::Ieee8023ad => slave.active = false,
        _ => slave.active = true,
    }
    let speed = settings.speed.unwrap_or_default();
    let duplex = if settings.full_duplex { "full" } else { "half" };
    let line = format!("link status definitely up, {speed} Mbps {duplex} duplex");
    slave_log(cx, LOG_INFO, bond, dev, &line);
    bond_miimon_link_change(cx, bond, dev, BondLink::Up);
    current.is_none_or(|current| is_better(cx.k, bond, dev, current))
}

/// The link of a slave is down; true if another slave has to work.
fn link_down(cx: &mut Cx, bond: DevId, dev: DevId) -> bool {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return false };
    let (mode, current) = (bonding.mode(), bonding.curr_active_slave);
    let Some(slave) = bonding.slave_mut(dev) else { return false };
    slave.link = BondLink::Down;
    slave.link_failure_count += 1;
    if matches!(mode, Mode::ActiveBackup | Mode::Ieee8023ad) {
        set_flags(cx, bond, Some(dev), false);
    }
    slave_log(cx, LOG_INFO, bond, dev, "link status definitely down, disabling slave");
    bond_miimon_link_change(cx, bond, dev, BondLink::Down);
    current == Some(dev)
}
