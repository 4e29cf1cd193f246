//! Options of a bond: a row each, which netlink, sysfs and the programs read.
//!
//! Kernel: drivers/net/bonding/bond_options.c

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use super::active::{bond_change_active_slave, bond_select_active_slave, is_usable};
use super::bond_3ad::{bond_3ad_update_ad_actor_settings, bond_3ad_update_lacp};
use super::{arp_monitor, bond_set_carrier, is_primary, mii, slave_log, slaves};
use crate::Cx;
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::bonding::{BOND_MAX_ARP_TARGETS, Bonding, Mode, NEVER, OPTS, Opt};
use crate::tables::klog::{LOG_ERR, LOG_WARNING};
use crate::tables::netdev::NetDevice;

/// Lines for the log, with their levels.
pub(super) type Log = Vec<(u8, String)>;

/// A numeric option.
#[derive(Debug)]
pub struct BondOption {
    /// Its place in a [`Bonding`].
    pub opt: Opt,
    /// Its name in `ip` and in the log.
    pub name: &'static str,
    /// The name of its file in `/sys/class/net/*/bonding`.
    pub file: &'static str,
    /// Names of its values; empty: it is a number.
    pub choices: &'static [&'static str],
    /// What a new bond has.
    default: u32,
    /// The least value.
    min: u32,
    /// The greatest value.
    max: u32,
    /// Values that mean something in the kernel only.
    not_modelled: &'static [u32],
    /// The modes that have it.
    modes: &'static [Mode],
    /// It is set only while the bond has no slave (`BOND_OPTFLAG_NOSLAVES`).
    no_slaves: bool,
    /// It is set only while the bond is down (`BOND_OPTFLAG_IFDOWN`).
    if_down: bool,
    /// Sets it.
    set: fn(&mut Bonding, &BondOption, u32, &mut Log) -> Result<(), NlError>,
    /// What follows for a bond that is registered.
    then: fn(&mut Cx, DevId),
}

impl BondOption {
    const fn new(opt: Opt, name: &'static str, default: u32, max: u32) -> BondOption {
        BondOption {
            opt,
            name,
            file: name,
            choices: &[],
            default,
            min: 0,
            max,
            not_modelled: &[],
            modes: &Mode::ALL,
            no_slaves: false,
            if_down: false,
            set: store,
            then: |_, _| {},
        }
    }

    const fn choice(opt: Opt, name: &'static str, default: u32, choices: &'static [&'static str]) -> Self {
        BondOption { choices, ..BondOption::new(opt, name, default, choices.len() as u32 - 1) }
    }

    /// The value that a user sees: delays are kept as numbers of polls.
    pub fn get(&self, bond: &Bonding) -> u32 {
        match self.opt {
            Opt::Updelay | Opt::Downdelay | Opt::PeerNotifyDelay => {
                bond.opt(self.opt).wrapping_mul(bond.opt(Opt::Miimon))
            }
            opt => bond.opt(opt),
        }
    }
}

const OFF_ON: &[&str] = &["off", "on"];
pub(super) const ONE_WORKS: &[Mode] = &[Mode::ActiveBackup, Mode::Tlb];
const TLB: &[Mode] = &[Mode::Tlb];
const LACP: &[Mode] = &[Mode::Ieee8023ad];
/// The modes that watch links by ARP (`bond_mode_uses_arp`).
const USE_ARP: &[Mode] = &[Mode::RoundRobin, Mode::ActiveBackup, Mode::Xor, Mode::Broadcast];
/// Time between two looks at the links of a mode that must look, ms (`BOND_DEFAULT_MIIMON`).
const BOND_DEFAULT_MIIMON: u32 = 100;

/// All of them, in the order in which netlink sets them.
pub static OPTIONS: [BondOption; OPTS] = [
    BondOption {
        set: set_mode,
        not_modelled: &[6],
        no_slaves: true,
        if_down: true,
        ..BondOption::choice(
            Opt::Mode,
            "mode",
            0,
            &[
                "balance-rr",
                "active-backup",
                "balance-xor",
                "broadcast",
                "802.3ad",
                "balance-tlb",
                "balance-alb",
            ],
        )
    },
    BondOption {
        set: set_miimon,
        then: mii::start,
        ..BondOption::new(Opt::Miimon, "miimon", 0, i32::MAX as u32)
    },
    BondOption { set: set_delay, ..BondOption::new(Opt::Updelay, "updelay", 0, i32::MAX as u32) },
    BondOption { set: set_delay, ..BondOption::new(Opt::Downdelay, "downdelay", 0, i32::MAX as u32) },
    BondOption {
        set: set_delay,
        file: "peer_notif_delay",
        ..BondOption::new(Opt::PeerNotifyDelay, "peer_notify_delay", 0, 300_000)
    },
    BondOption::new(Opt::UseCarrier, "use_carrier", 1, 1),
    BondOption {
        modes: USE_ARP,
        set: set_arp_interval,
        then: arp_monitor::start,
        ..BondOption::new(Opt::ArpInterval, "arp_interval", 0, i32::MAX as u32)
    },
    BondOption {
        modes: USE_ARP,
        ..BondOption::choice(
            Opt::ArpValidate,
            "arp_validate",
            0,
            &["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"],
        )
    },
    BondOption::choice(Opt::ArpAllTargets, "arp_all_targets", 0, &["any", "all"]),
    BondOption {
        then: bond_select_active_slave,
        ..BondOption::choice(Opt::PrimaryReselect, "primary_reselect", 0, &["always", "better", "failure"])
    },
    BondOption {
        no_slaves: true,
        ..BondOption::choice(Opt::FailOverMac, "fail_over_mac", 0, &["none", "active", "follow"])
    },
    BondOption {
        not_modelled: &[3, 4],
        ..BondOption::choice(
            Opt::XmitHashPolicy,
            "xmit_hash_policy",
            0,
            &["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"],
        )
    },
    BondOption::new(Opt::ResendIgmp, "resend_igmp", 1, 255),
    BondOption::new(Opt::NumGratArp, "num_grat_arp", 1, 255),
    BondOption {
        then: follow_all_slaves_active,
        ..BondOption::new(Opt::AllSlavesActive, "all_slaves_active", 0, 1)
    },
    BondOption {
        then: |cx, bond| _ = bond_set_carrier(cx, bond),
        ..BondOption::new(Opt::MinLinks, "min_links", 0, i32::MAX as u32)
    },
    BondOption { min: 1, ..BondOption::new(Opt::LpInterval, "lp_interval", 1, i32::MAX as u32) },
    BondOption {
        modes: &[Mode::RoundRobin],
        ..BondOption::new(Opt::PacketsPerSlave, "packets_per_slave", 1, 65_535)
    },
    BondOption {
        modes: LACP,
        if_down: true,
        then: bond_3ad_update_lacp,
        ..BondOption::choice(Opt::LacpActive, "lacp_active", 1, OFF_ON)
    },
    BondOption {
        modes: LACP,
        if_down: true,
        then: bond_3ad_update_lacp,
        ..BondOption::choice(Opt::LacpRate, "lacp_rate", 0, &["slow", "fast"])
    },
    BondOption {
        if_down: true,
        ..BondOption::choice(Opt::AdSelect, "ad_select", 0, &["stable", "bandwidth", "count"])
    },
    BondOption {
        modes: LACP,
        min: 1,
        then: bond_3ad_update_ad_actor_settings,
        ..BondOption::new(Opt::AdActorSysPrio, "ad_actor_sys_prio", 65_535, 65_535)
    },
    BondOption {
        modes: LACP,
        if_down: true,
        ..BondOption::new(Opt::AdUserPortKey, "ad_user_port_key", 0, 1023)
    },
    BondOption { modes: TLB, if_down: true, ..BondOption::new(Opt::TlbDynamicLb, "tlb_dynamic_lb", 1, 1) },
    BondOption { modes: USE_ARP, min: 1, ..BondOption::new(Opt::ArpMissedMax, "arp_missed_max", 2, 255) },
];

/// The option of this place.
pub fn option(opt: Opt) -> &'static BondOption {
    let row = OPTIONS.iter().find(|row| row.opt == opt);
    row.expect("each option has a row")
}

/// The options of a new bond.
pub(super) fn bond_opt_default() -> [u32; OPTS] {
    let mut options = [0; OPTS];
    for row in &OPTIONS {
        options[row.opt as usize] = row.default;
    }
    options
}

/// Sets an option, and writes what that leaves to the log.
pub(super) fn with_log(
    cx: &mut Cx,
    bond: DevId,
    set: impl FnOnce(&mut NetDevice, &mut Log) -> Result<(), NlError>,
) -> Result<(), NlError> {
    let mut log = Log::new();
    let done = set(&mut cx.k.devs[bond], &mut log);
    let name = cx.k.devs[bond].name.clone();
    log.into_iter().for_each(|(level, line)| cx.printk(level, format!("{name}: {line}")));
    done
}

/// Sets a numeric option of a registered bond, and does what follows.
///
/// # Errors
///
/// `EACCES` in another mode, `ENOTEMPTY` while it has slaves, `EBUSY` while it is up, `EINVAL` for a value that there is not, and
/// [`NlError::not_modelled`].
pub fn bond_opt_write(cx: &mut Cx, bond: DevId, row: &BondOption, value: u32) -> Result<(), NlError> {
    with_log(cx, bond, |dev, log| bond_opt_set(dev, row, value, log)).map(|()| (row.then)(cx, bond))
}

pub(super) fn bond_opt_set(
    dev: &mut NetDevice,
    row: &BondOption,
    value: u32,
    log: &mut Log,
) -> Result<(), NlError> {
    let name = row.name;
    check_mode(dev, name, row.modes, log)?;
    let is_up = dev.is_up();
    let Some(bond) = dev.bond_mut() else { return Err(Errno::EINVAL.into()) };
    if row.no_slaves && !bond.slaves.is_empty() {
        log.push((LOG_ERR, format!("option {name}: unable to set because the bond device has slaves")));
        let extack = "unable to set option because the bond device has slaves";
        return Err(NlError::with(Errno::ENOTEMPTY, extack));
    }
    if row.if_down && is_up {
        log.push((LOG_ERR, format!("option {name}: unable to set because the bond device is up")));
        return Err(NlError::with(Errno::EBUSY, "unable to set option because the bond is up"));
    }
    if value < row.min || value > row.max {
        return Err(invalid(row, log, &value.to_string()));
    }
    if row.not_modelled.contains(&value) {
        return Err(NlError::not_modelled(row.choices.get(value as usize).copied().unwrap_or(row.name)));
    }
    (row.set)(bond, row, value, log)
}

/// The value is none that the option has (`bond_opt_error_interpret`); of switches the log does not say which there are.
fn invalid(row: &BondOption, log: &mut Log, value: &str) -> NlError {
    let (name, min, max) = (row.name, row.min, row.max);
    log.push((LOG_ERR, format!("option {name}: invalid value ({value})")));
    if max > 1 && row.choices.is_empty() {
        log.push((LOG_ERR, format!("option {name}: allowed values {min} - {max}")));
    }
    NlError::with(Errno::EINVAL, "invalid option value")
}

/// A text that was written for an option is none of its values.
///
/// # Errors
///
/// `EINVAL`.
pub fn bond_opt_invalid(cx: &mut Cx, bond: DevId, row: &BondOption, text: &str) -> Result<(), NlError> {
    with_log(cx, bond, |_, log| Err(invalid(row, log, text)))
}

pub(super) fn check_mode(dev: &NetDevice, name: &str, modes: &[Mode], log: &mut Log) -> Result<(), NlError> {
    let mode = dev.bond().map(Bonding::mode).unwrap_or_default();
    if modes.contains(&mode) {
        return Ok(());
    }
    let number = mode as u32;
    let called = option(Opt::Mode).choices[number as usize];
    let what = "mode dependency failed, not supported in mode";
    log.push((LOG_ERR, format!("option {name}: {what} {called}({number})")));
    Err(NlError::with(Errno::EACCES, "option not supported in mode"))
}

fn store(bond: &mut Bonding, row: &BondOption, value: u32, _: &mut Log) -> Result<(), NlError> {
    bond.options[row.opt as usize] = value;
    Ok(())
}

/// Another mode: links are watched in a way that it knows, and what ARP packets show is to be said anew.
fn set_mode(bond: &mut Bonding, row: &BondOption, value: u32, log: &mut Log) -> Result<(), NlError> {
    store(bond, row, value, log)?;
    bond.options[Opt::ArpValidate as usize] = 0;
    if !USE_ARP.contains(&bond.mode()) {
        bond.options[Opt::ArpInterval as usize] = 0;
        let miimon = &mut bond.options[Opt::Miimon as usize];
        *miimon = if *miimon == 0 { BOND_DEFAULT_MIIMON } else { *miimon };
    }
    Ok(())
}

/// Links are watched for their carrier, and no longer by ARP.
fn set_miimon(bond: &mut Bonding, row: &BondOption, value: u32, log: &mut Log) -> Result<(), NlError> {
    if value != 0 && bond.opt(Opt::ArpInterval) != 0 {
        bond.options[Opt::ArpInterval as usize] = 0;
        bond.options[Opt::ArpValidate as usize] = 0;
    }
    store(bond, row, value, log)
}

/// The other way round.
fn set_arp_interval(bond: &mut Bonding, row: &BondOption, value: u32, log: &mut Log) -> Result<(), NlError> {
    if value != 0 {
        bond.options[Opt::Miimon as usize] = 0;
    }
    store(bond, row, value, log)
}

/// These addresses are asked for in place of those before; `now`: jiffies.
pub(super) fn set_arp_targets(
    bond: &mut Bonding,
    targets: &[Ipv4Addr],
    now: i64,
    log: &mut Log,
) -> Result<(), NlError> {
    bond.arp_targets.clear();
    for slave in &mut bond.slaves {
        slave.target_last_arp_rx = [NEVER; BOND_MAX_ARP_TARGETS];
    }
    let added = targets.iter().try_for_each(|target| {
        add_arp_target(bond, *target, now, log).inspect_err(|_| {
            let number = u32::from_le_bytes(target.octets());
            log.push((LOG_ERR, format!("option arp_ip_target: invalid value ({number})")));
        })
    });
    if bond.arp_targets.is_empty() && bond.opt(Opt::ArpInterval) != 0 {
        log.push((LOG_WARNING, "Removing last arp target with arp_interval on".to_owned()));
    }
    added
}

/// One more address is asked for (`bond_option_arp_ip_target_add`).
fn add_arp_target(bond: &mut Bonding, target: Ipv4Addr, now: i64, log: &mut Log) -> Result<(), NlError> {
    let at = bond.arp_targets.len();
    let refused = match target {
        _ if target.is_broadcast() || target.is_unspecified() => {
            format!("invalid ARP target {target} specified for addition")
        }
        _ if bond.arp_targets.contains(&target) => format!("ARP target {target} is already present"),
        _ if at == BOND_MAX_ARP_TARGETS => "ARP target table is full!".to_owned(),
        _ => {
            bond.arp_targets.push(target);
            bond.slaves.iter_mut().for_each(|slave| slave.target_last_arp_rx[at] = now);
            return Ok(());
        }
    };
    log.push((LOG_ERR, refused));
    Err(NlError::with(Errno::EINVAL, "invalid option value"))
}

/// An address is no longer asked for (`bond_option_arp_ip_target_rem`).
fn remove_arp_target(bond: &mut Bonding, target: Ipv4Addr, log: &mut Log) -> Result<(), NlError> {
    let Some(at) = bond.arp_targets.iter().position(|known| *known == target) else {
        let refused = if target.is_broadcast() || target.is_unspecified() {
            format!("invalid ARP target {target} specified for removal")
        } else {
            format!("unable to remove nonexistent ARP target {target}")
        };
        log.push((LOG_ERR, refused));
        return Err(NlError::with(Errno::EINVAL, "invalid option value"));
    };
    if bond.arp_targets.len() == 1 && bond.opt(Opt::ArpInterval) != 0 {
        log.push((LOG_WARNING, "Removing last arp target with arp_interval on".to_owned()));
    }
    bond.arp_targets.remove(at);
    for slave in &mut bond.slaves {
        slave.target_last_arp_rx[at..].rotate_left(1);
        slave.target_last_arp_rx[BOND_MAX_ARP_TARGETS - 1] = NEVER;
    }
    Ok(())
}

/// `+ADDRESS` adds an address to those that are asked for, `-ADDRESS` removes one (`bond_option_arp_ip_targets_set`).
///
/// # Errors
///
/// `EPERM` for another text, `EINVAL` for an address that cannot be asked for, that is there already or that is not there.
pub fn bond_option_arp_ip_targets_set(cx: &mut Cx, bond: DevId, text: &str) -> Result<(), NlError> {
    let now = arp_monitor::now(cx);
    with_log(cx, bond, |dev, log| {
        let Some(bond) = dev.bond_mut() else { return Ok(()) };
        let target = text.get(1..).map(|text| text.split(|c: char| !c.is_ascii_digit() && c != '.'));
        let target = target.and_then(|mut parts| parts.next()?.parse().ok());
        let (Some(target), Some(command)) = (target, text.chars().next()) else {
            log.push((LOG_ERR, "invalid ARP target specified".to_owned()));
            return Err(Errno::EPERM.into());
        };
        let done = match command {
            '+' => add_arp_target(bond, target, now, log),
            '-' => remove_arp_target(bond, target, log),
            _ => {
                let line = "no command found in arp_ip_targets file - use +<addr> or -<addr>";
                log.push((LOG_ERR, line.to_owned()));
                return Err(Errno::EPERM.into());
            }
        };
        let line = format!("option arp_ip_target: invalid value ({})", text.trim_end());
        done.inspect_err(|_| log.push((LOG_ERR, line)))
    })
}

/// The bond's address as a system of LACP; zero: its own address. `text`: how a user wrote it.
///
/// # Errors
///
/// `EACCES` in another mode, `EINVAL` for a group address.
pub fn bond_option_ad_actor_system_set(
    cx: &mut Cx,
    bond: DevId,
    system: Mac,
    text: Option<&str>,
) -> Result<(), NlError> {
    with_log(cx, bond, |dev, log| set_ad_actor_system(dev, system, text, log))?;
    bond_3ad_update_ad_actor_settings(cx, bond);
    Ok(())
}

pub(super) fn set_ad_actor_system(
    dev: &mut NetDevice,
    system: Mac,
    text: Option<&str>,
    log: &mut Log,
) -> Result<(), NlError> {
    check_mode(dev, "ad_actor_system", LACP, log)?;
    if system.is_multicast() {
        let [a, b, c, d, e, f] = system.0;
        let number = u64::from_le_bytes([a, b, c, d, e, f, 0, 0]).to_string();
        log.push((LOG_ERR, "Invalid ad_actor_system MAC address.".to_owned()));
        let value = text.unwrap_or(&number);
        log.push((LOG_ERR, format!("option ad_actor_system: invalid value ({value})")));
        return Err(NlError::with(Errno::EINVAL, "invalid option value"));
    }
    if let Some(bond) = dev.bond_mut() {
        bond.ad_actor_system = system;
    }
    Ok(())
}

/// A delay in milliseconds becomes a number of polls (`_bond_option_delay_set`).
fn set_delay(bond: &mut Bonding, row: &BondOption, value: u32, log: &mut Log) -> Result<(), NlError> {
    let name = match row.opt {
        Opt::Updelay => "up",
        Opt::Downdelay => "down",
        _ => "peer notification",
    };
    let miimon = bond.opt(Opt::Miimon);
    let Some(polls) = value.checked_div(miimon) else {
        let line = format!("Unable to set {name} delay as MII monitoring is disabled");
        log.push((LOG_ERR, line));
        return Err(Errno::EPERM.into());
    };
    if !value.is_multiple_of(miimon) {
        let line = format!(
            "{name} delay ({value}) is not a multiple of miimon ({miimon}), value rounded to {} ms",
            polls * miimon
        );
        log.push((LOG_WARNING, line));
    }
    store(bond, row, polls, log)
}

/// Slaves that wait take what they receive, or no longer.
fn follow_all_slaves_active(cx: &mut Cx, bond: DevId) {
    let Some(bond) = cx.k.devs[bond].bond_mut() else { return };
    let all = bond.opt(Opt::AllSlavesActive) != 0;
    for slave in bond.slaves.iter_mut().filter(|slave| !slave.active) {
        slave.inactive = !all;
    }
}

/// A user says which slave works, or leaves it to the bond.
///
/// # Errors
///
/// `EACCES` in a mode in which all work, `EINVAL` for a device that is no slave of this bond or whose link does not work.
pub fn bond_option_active_slave_set(cx: &mut Cx, bond: DevId, slave: Option<DevId>) -> Result<(), NlError> {
    with_log(cx, bond, |dev, log| check_mode(dev, "active_slave", ONE_WORKS, log))?;
    let Some(slave) = slave else {
        if let Some(bond) = cx.k.devs[bond].bond_mut() {
            bond.curr_active_slave = None;
        }
        bond_select_active_slave(cx, bond);
        return Ok(());
    };
    if !slaves(cx.k, bond).contains(&slave) {
        let is_slave = cx.k.devs[slave].master().is_some();
        let text = if is_slave { "Device is not our slave" } else { "Device is not bonding slave" };
        slave_log(cx, LOG_ERR, bond, slave, text);
        return Err(not_active_slave(cx, bond, slave));
    }
    let current = cx.k.devs[bond].bond().and_then(|bond| bond.curr_active_slave);
    if current == Some(slave) {
        return Ok(());
    }
    if current.is_none() || !is_usable(cx, bond, slave) {
        slave_log(
            cx,
            LOG_ERR,
            bond,
            slave,
            "Could not set as active slave; either the slave is down or the link is down",
        );
        return Err(not_active_slave(cx, bond, slave));
    }
    bond_change_active_slave(cx, bond, Some(slave));
    Ok(())
}

fn not_active_slave(cx: &mut Cx, bond: DevId, slave: DevId) -> NlError {
    let (bond, slave) = (&cx.k.devs[bond].name, &cx.k.devs[slave].name);
    cx.printk(LOG_ERR, format!("{bond}: option active_slave: invalid value ({slave})"));
    NlError::with(Errno::EINVAL, "invalid option value")
}

/// The priority of a slave: of those whose link works the one with the highest works.
///
/// # Errors
///
/// `EACCES` in a mode in which all work.
pub(super) fn bond_option_prio_set(cx: &mut Cx, bond: DevId, slave: DevId, prio: i32) -> Result<(), NlError> {
    with_log(cx, bond, |dev, log| check_mode(dev, "prio", ONE_WORKS, log))?;
    if let Some(slave) = cx.k.devs[bond].bond_mut().and_then(|bond| bond.slave_mut(slave)) {
        slave.prio = prio;
    }
    if slaves(cx.k, bond).into_iter().any(|slave| is_primary(cx.k, bond, slave)) {
        let text = "prio updated, but will not affect failover re-selection as primary slave have been set";
        slave_log(cx, LOG_WARNING, bond, slave, text);
    } else {
        bond_select_active_slave(cx, bond);
    }
    Ok(())
}

/// The slave of this name is preferred; empty: none.
///
/// # Errors
///
/// `EACCES` in a mode in which all work.
pub fn bond_option_primary_set(cx: &mut Cx, bond: DevId, name: &str) -> Result<(), NlError> {
    with_log(cx, bond, |dev, log| check_mode(dev, "primary", ONE_WORKS, log))?;
    if let Some(bond) = cx.k.devs[bond].bond_mut() {
        bond.primary = (!name.is_empty()).then(|| name.to_owned());
        bond.force_primary = !name.is_empty();
    }
    bond_select_active_slave(cx, bond);
    Ok(())
}
