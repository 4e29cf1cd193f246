//! The files of bonds and of their slaves.
//!
//! Kernel: drivers/net/bonding/bond_sysfs.c, bond_sysfs_slave.c

use glassnet_kernel::Cx;
use glassnet_kernel::drivers::bonding::bond_create;
use glassnet_kernel::drivers::bonding::bond_options::{
    OPTIONS, bond_opt_invalid, bond_opt_write, bond_option_active_slave_set, bond_option_ad_actor_system_set,
    bond_option_arp_ip_targets_set, bond_option_primary_set, option,
};
use glassnet_kernel::ids::{DevId, NetnsId};
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink, rtm_dellink};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::bond_3ad::{Aggregator, Port};
use glassnet_kernel::tables::bonding::{Bonding, Mode, Opt, Slave};
use glassnet_kernel::tables::klog::{LOG_ERR, LOG_INFO};
use glassnet_kernel::tables::netdev::NetDevice;

use glassnet_wire::Mac;

use super::{Attr, errno};
use crate::procfs::bonding::link_status;
use crate::procfs::number::kstrtoul;
use crate::procfs::{DirEntry, Node, View};

/// The file of all bonds in `/sys/class/net`.
pub const MASTERS: &str = "bonding_masters";

/// Files that are no numeric options.
const OTHERS: &[Attr] = &[
    Attr::rw("active_slave", active_slave, store_active_slave),
    Attr::ro("ad_actor_key", |_, dev| of_agg(dev, |_, agg| agg.actor_oper_aggregator_key.to_string())),
    Attr::rw("ad_actor_system", ad_actor_system, store_ad_actor_system),
    Attr::ro("ad_aggregator", |_, dev| of_agg(dev, |_, agg| agg.aggregator_identifier.to_string())),
    Attr::ro("ad_num_ports", |_, dev| of_agg(dev, |bond, agg| bond.active_ports(agg).to_string())),
    Attr::ro("ad_partner_key", |_, dev| of_agg(dev, |_, agg| agg.partner_oper_aggregator_key.to_string())),
    Attr::ro("ad_partner_mac", ad_partner_mac),
    Attr::rw("arp_ip_target", arp_ip_target, |cx, bond, text| {
        bond_option_arp_ip_targets_set(cx, bond, text).map_err(errno)
    }),
    Attr::ro("mii_status", |_, dev| Ok(if dev.carrier { "up" } else { "down" }.to_owned())),
    Attr::rw("primary", primary, store_primary),
    Attr::ro("queue_id", queue_id),
    Attr::rw("slaves", show_slaves, store_slaves),
];

/// Files in a slave's directory `bonding_slave`.
pub const SLAVE: &[Attr] = &[
    Attr::ro("ad_actor_oper_port_state", |view, dev| {
        of_port(view, dev, |port| port.actor_oper_port_state.into())
    }),
    Attr::ro("ad_aggregator_id", |view, dev| of_port(view, dev, |port| port.aggregator)),
    Attr::ro("ad_partner_oper_port_state", |view, dev| {
        of_port(view, dev, |port| port.partner_oper.port_state.into())
    }),
    Attr::ro("link_failure_count", |view, dev| {
        of_slave(view, dev, |slave| slave.link_failure_count.to_string())
    }),
    Attr::ro("mii_status", |view, dev| of_slave(view, dev, |slave| link_status(slave.link).to_owned())),
    Attr::ro("perm_hwaddr", |view, dev| of_slave(view, dev, |slave| slave.perm_hwaddr.to_string())),
    Attr::ro("queue_id", |_, _| Ok("0".to_owned())),
    Attr::ro("state", |view, dev| {
        of_slave(view, dev, |slave| if slave.active { "active" } else { "backup" }.to_owned())
    }),
];

/// The bond that a device is a slave of.
pub fn master<'w>(view: &View<'w>, dev: &NetDevice) -> Option<&'w Bonding> {
    dev.master().and_then(|master| view.kernel.devs[master].bond())
}

fn of_slave(view: &View, dev: &NetDevice, show: fn(&Slave) -> String) -> Result<String, Errno> {
    master(view, dev).and_then(|bond| bond.slave(dev.id)).map(show).ok_or(Errno::ENOENT)
}

/// What LACP says of a slave that belongs to an aggregator.
fn of_port(view: &View, dev: &NetDevice, show: fn(&Port) -> u16) -> Result<String, Errno> {
    let bond = master(view, dev).ok_or(Errno::ENOENT)?;
    let port = bond.slave(dev.id).map(|slave| &slave.ad.port).filter(|port| port.aggregator != 0);
    let number = port.filter(|_| bond.mode() == Mode::Ieee8023ad).map(|port| show(port).to_string());
    Ok(number.unwrap_or_else(|| "N/A".to_owned()))
}

/// A number of the aggregator that a bond sends by; 0 if there is none, nothing in other modes.
fn of_agg(dev: &NetDevice, show: fn(&Bonding, &Aggregator) -> String) -> Result<String, Errno> {
    let Some(bond) = dev.bond().filter(|bond| bond.mode() == Mode::Ieee8023ad) else {
        return Ok(String::new());
    };
    Ok(bond.active_aggregator().map_or_else(|| "0".to_owned(), |agg| show(bond, agg)))
}

fn ad_partner_mac(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    let agg = dev.bond().and_then(Bonding::active_aggregator);
    Ok(agg.map(|agg| agg.partner_system.to_string()).unwrap_or_default())
}

fn ad_actor_system(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    let bond = dev.bond().filter(|bond| bond.mode() == Mode::Ieee8023ad);
    Ok(bond.map(|bond| bond.ad_actor_system.to_string()).unwrap_or_default())
}

fn store_ad_actor_system(cx: &mut Cx, bond: DevId, text: &str) -> Result<(), Errno> {
    // A text that is none is refused as a group address is.
    let system = text.trim().parse().unwrap_or(Mac::BROADCAST);
    bond_option_ad_actor_system_set(cx, bond, system, Some(text.trim())).map_err(errno)
}

fn arp_ip_target(_: &View, dev: &NetDevice) -> Result<String, Errno> {
    let targets = dev.bond().map_or(&[][..], |bond| &bond.arp_targets);
    Ok(targets.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
}

/// A second name of `num_grat_arp`.
const NUM_UNSOL_NA: &str = "num_unsol_na";

/// The files of a bond.
pub fn files() -> Vec<DirEntry> {
    let options = OPTIONS.iter().map(|row| (row.file.to_owned(), Node::RW));
    options.chain([(NUM_UNSOL_NA.to_owned(), Node::RW)]).chain(OTHERS.iter().map(Attr::entry)).collect()
}

fn numeric(name: &str) -> Option<Opt> {
    let name = if name == NUM_UNSOL_NA { "num_grat_arp" } else { name };
    OPTIONS.iter().find(|row| row.file == name).map(|row| row.opt)
}

/// The bond has this file.
pub fn has(name: &str) -> bool {
    numeric(name).is_some() || OTHERS.iter().any(|attr| attr.name == name)
}

/// Reads a file; no newline at the end.
///
/// # Errors
///
/// `ENOENT` if there is none.
pub fn show(view: &View, dev: &NetDevice, name: &str) -> Result<String, Errno> {
    let bond = dev.bond().ok_or(Errno::ENOENT)?;
    let Some(opt) = numeric(name) else {
        let attr = OTHERS.iter().find(|attr| attr.name == name).ok_or(Errno::ENOENT)?;
        return (attr.show)(view, dev);
    };
    if matches!(opt, Opt::AdActorSysPrio | Opt::AdUserPortKey) && bond.mode() != Mode::Ieee8023ad {
        return Ok(String::new());
    }
    let value = option(opt).get(bond);
    Ok(match option(opt).choices.get(value as usize) {
        Some(choice) => format!("{choice} {value}"),
        None => value.to_string(),
    })
}

/// Writes a file.
///
/// # Errors
///
/// `EACCES` if it is only read, `EINVAL` for what is no value, and those of the option.
pub fn store(cx: &mut Cx, bond: DevId, name: &str, text: &str) -> Result<(), Errno> {
    let Some(opt) = numeric(name) else {
        let attr = OTHERS.iter().find(|attr| attr.name == name).ok_or(Errno::ENOENT)?;
        return attr.store.ok_or(Errno::EACCES)?(cx, bond, text);
    };
    let row = option(opt);
    let named = row.choices.iter().position(|choice| *choice == text.trim()).map(|at| at as u64);
    let value = named.or_else(|| kstrtoul(text).ok()).and_then(|value| u32::try_from(value).ok());
    match value {
        Some(value) => bond_opt_write(cx, bond, row, value),
        None => bond_opt_invalid(cx, bond, row, text.trim()),
    }
    .map_err(errno)
}

fn names(view: &View, bond: &Bonding, prefix: &str) -> String {
    let names = bond.slaves.iter().map(|slave| format!("{}{prefix}", view.name(slave.dev)));
    names.collect::<Vec<_>>().join(" ")
}

fn show_slaves(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    dev.bond().map(|bond| names(view, bond, "")).ok_or(Errno::ENOENT)
}

fn queue_id(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    dev.bond().map(|bond| names(view, bond, ":0")).ok_or(Errno::ENOENT)
}

fn active_slave(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    let bond = dev.bond().filter(|bond| bond.uses_primary());
    let active = bond.and_then(|bond| bond.curr_active_slave);
    Ok(active.map(|active| view.name(active).to_owned()).unwrap_or_default())
}

fn primary(view: &View, dev: &NetDevice) -> Result<String, Errno> {
    let Some(bond) = dev.bond() else { return Err(Errno::ENOENT) };
    let is_there = |name: &&String| bond.slaves.iter().any(|slave| view.name(slave.dev) == name.as_str());
    Ok(bond.primary.as_ref().filter(is_there).cloned().unwrap_or_default())
}

/// The device that a user named.
fn named(cx: &Cx, bond: DevId, name: &str) -> Result<DevId, Errno> {
    cx.k.dev_by_name(cx.k.devs[bond].netns, name).ok_or(Errno::ENODEV)
}

fn store_active_slave(cx: &mut Cx, bond: DevId, text: &str) -> Result<(), Errno> {
    let slave = match text.trim() {
        "" => None,
        name => Some(named(cx, bond, name).map_err(|_| Errno::EINVAL)?),
    };
    bond_option_active_slave_set(cx, bond, slave).map_err(errno)
}

fn store_primary(cx: &mut Cx, bond: DevId, text: &str) -> Result<(), Errno> {
    bond_option_primary_set(cx, bond, text.trim()).map_err(errno)
}

/// `+DEVICE` adds a slave, `-DEVICE` removes one.
fn store_slaves(cx: &mut Cx, bond: DevId, text: &str) -> Result<(), Errno> {
    let bond_name = cx.k.devs[bond].name.clone();
    let Ok((add, name)) = signed(text) else {
        cx.printk(LOG_ERR, format!("{bond_name}: no command found in slaves file - use +ifname or -ifname"));
        return Err(Errno::EPERM);
    };
    let Ok(dev) = named(cx, bond, name) else {
        let text = text.trim();
        cx.printk(LOG_ERR, format!("{bond_name}: option slaves: interface {text} does not exist!"));
        return Err(Errno::ENODEV);
    };
    if !add && cx.k.devs[dev].master() != Some(bond) {
        return Err(Errno::ENODEV);
    }
    let master = Some(add.then_some(bond));
    do_setlink(cx, dev, LinkSet { master, ..LinkSet::default() }).map_err(errno)
}

fn signed(text: &str) -> Result<(bool, &str), Errno> {
    let text = text.trim();
    match text.split_at_checked(1) {
        Some(("+", name)) if !name.is_empty() => Ok((true, name)),
        Some(("-", name)) if !name.is_empty() => Ok((false, name)),
        _ => Err(Errno::EPERM),
    }
}

/// The names of all bonds.
pub fn masters(view: &View) -> String {
    let names = view.devs().filter(|dev| dev.bond().is_some()).map(|dev| dev.name.as_str());
    names.collect::<Vec<_>>().join(" ")
}

/// `+NAME` makes a bond, `-NAME` deletes one.
///
/// # Errors
///
/// `EPERM` for another text, `ENODEV` for no such bond, and those of the name.
pub fn store_masters(cx: &mut Cx, netns: NetnsId, text: &str) -> Result<(), Errno> {
    let (add, name) = signed(text)?;
    if add {
        cx.printk(LOG_INFO, format!("bonding: {name} is being created..."));
        return bond_create(cx, netns, name).map(|_| ()).map_err(errno);
    }
    let bond = cx.k.dev_by_name(netns, name).filter(|dev| cx.k.devs[*dev].bond().is_some());
    let bond = bond.ok_or(Errno::ENODEV)?;
    cx.printk(LOG_INFO, format!("bonding: {name} is being deleted..."));
    rtm_dellink(cx, bond).map_err(errno)
}
