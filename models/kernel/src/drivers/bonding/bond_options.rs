//! Options of a bond: a row each, which netlink, sysfs and the programs read.
//!
//! Kernel: drivers/net/bonding/bond_options.c, bond_netlink.c

use super::active::{bond_change_active_slave, bond_select_active_slave, is_usable};
use super::{mii, slave_log, slaves};
use crate::Cx;
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::bonding::{Bonding, Mode, OPTS, Opt};
use crate::tables::klog::{LOG_ERR, LOG_WARNING};
use crate::tables::netdev::NetDevice;

/// Lines for the log, with their levels.
type Log = Vec<(u8, String)>;

/// Which values of an option are modelled.
#[derive(Clone, Copy, Debug)]
enum Modelled {
    All,
    UpTo(u32),
    /// Only that of a new bond.
    Default,
}

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
    /// Which values are modelled; others mean something in the kernel.
    modelled: Modelled,
    /// The modes that have it; empty: all.
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
            modelled: Modelled::All,
            modes: &[],
            no_slaves: false,
            if_down: false,
            set: store,
            then: |_, _| {},
        }
    }

    const fn choice(opt: Opt, name: &'static str, default: u32, choices: &'static [&'static str]) -> Self {
        BondOption { choices, ..BondOption::new(opt, name, default, choices.len() as u32 - 1) }
    }

    const fn modelled(self, modelled: Modelled) -> Self {
        BondOption { modelled, ..self }
    }

    /// The value that a user sees: delays are kept as numbers of polls.
    pub fn get(&self, bond: &Bonding) -> u32 {
        match self.opt {
            Opt::Updelay | Opt::Downdelay | Opt::PeerNotifyDelay => {
                bond.opt(self.opt) * bond.opt(Opt::Miimon)
            }
            opt => bond.opt(opt),
        }
    }
}

const OFF_ON: &[&str] = &["off", "on"];
const ONE_WORKS: &[Mode] = &[Mode::ActiveBackup];

/// All of them, in the order in which netlink sets them.
pub static OPTIONS: [BondOption; OPTS] = [
    BondOption {
        modelled: Modelled::UpTo(Mode::Broadcast as u32),
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
    BondOption { then: mii::start, ..BondOption::new(Opt::Miimon, "miimon", 0, i32::MAX as u32) },
    BondOption { set: set_delay, ..BondOption::new(Opt::Updelay, "updelay", 0, i32::MAX as u32) },
    BondOption { set: set_delay, ..BondOption::new(Opt::Downdelay, "downdelay", 0, i32::MAX as u32) },
    BondOption {
        set: set_delay,
        file: "peer_notif_delay",
        ..BondOption::new(Opt::PeerNotifyDelay, "peer_notify_delay", 0, 300_000)
    },
    BondOption::new(Opt::UseCarrier, "use_carrier", 1, 1),
    BondOption::new(Opt::ArpInterval, "arp_interval", 0, i32::MAX as u32).modelled(Modelled::Default),
    BondOption::choice(
        Opt::ArpValidate,
        "arp_validate",
        0,
        &["none", "active", "backup", "all", "filter", "filter_active", "filter_backup"],
    )
    .modelled(Modelled::Default),
    BondOption::choice(Opt::ArpAllTargets, "arp_all_targets", 0, &["any", "all"]).modelled(Modelled::Default),
    BondOption {
        then: bond_select_active_slave,
        ..BondOption::choice(Opt::PrimaryReselect, "primary_reselect", 0, &["always", "better", "failure"])
    },
    BondOption {
        modelled: Modelled::UpTo(1),
        no_slaves: true,
        ..BondOption::choice(Opt::FailOverMac, "fail_over_mac", 0, &["none", "active", "follow"])
    },
    BondOption {
        modelled: Modelled::UpTo(2),
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
    BondOption::new(Opt::MinLinks, "min_links", 0, i32::MAX as u32),
    BondOption { min: 1, ..BondOption::new(Opt::LpInterval, "lp_interval", 1, i32::MAX as u32) },
    BondOption {
        modes: &[Mode::RoundRobin],
        ..BondOption::new(Opt::PacketsPerSlave, "packets_per_slave", 1, 65_535)
    },
    BondOption::choice(Opt::LacpActive, "lacp_active", 1, OFF_ON).modelled(Modelled::Default),
    BondOption::choice(Opt::LacpRate, "lacp_rate", 0, &["slow", "fast"]).modelled(Modelled::Default),
    BondOption::choice(Opt::AdSelect, "ad_select", 0, &["stable", "bandwidth", "count"])
        .modelled(Modelled::Default),
    BondOption::new(Opt::TlbDynamicLb, "tlb_dynamic_lb", 1, 1).modelled(Modelled::Default),
    BondOption::new(Opt::ArpMissedMax, "arp_missed_max", 2, 255).modelled(Modelled::Default),
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

/// Options of a request (`IFLA_BOND_*`).
#[derive(Clone, Debug, Default)]
pub struct BondAttrs {
    /// Numeric options.
    pub options: Vec<(Opt, u32)>,
    /// `active_slave`; `Some(None)`: the bond chooses.
    pub active_slave: Option<Option<DevId>>,
    /// `primary`.
    pub primary: Option<DevId>,
}

impl BondAttrs {
    /// Those that are numeric, in the order in which they are set.
    fn in_order(&self) -> impl Iterator<Item = (&'static BondOption, u32)> + '_ {
        let value = |row: &'static BondOption| {
            self.options.iter().rfind(|(opt, _)| *opt == row.opt).map(|(_, value)| (row, *value))
        };
        OPTIONS.iter().filter_map(value)
    }
}

/// Sets options of a bond that is not registered yet.
///
/// # Errors
///
/// That of the first option that is refused.
pub(super) fn set_before_registration(
    cx: &mut Cx,
    dev: &mut NetDevice,
    attrs: &BondAttrs,
) -> Result<(), NlError> {
    let (mut log, name) = (Log::new(), format!("{} (uninitialized)", dev.name));
    let mut set = || {
        for (row, value) in attrs.in_order() {
            bond_opt_set(dev, row, value, &mut log)?;
        }
        if attrs.active_slave.is_some() {
            return check_mode(dev, "active_slave", ONE_WORKS, &mut log);
        }
        let Some(primary) = attrs.primary else { return Ok(()) };
        check_mode(dev, "primary", ONE_WORKS, &mut log)?;
        if let Some(bond) = dev.bond_mut() {
            bond.primary = cx.k.devs.get(primary).map(|primary| primary.name.clone());
        }
        Ok(())
    };
    let done = set();
    log.into_iter().for_each(|(level, line)| cx.printk(level, format!("{name}: {line}")));
    done
}

/// Sets options of a bond.
///
/// # Errors
///
/// That of the first option that is refused; those before it stay.
pub(super) fn bond_changelink(cx: &mut Cx, bond: DevId, attrs: &BondAttrs) -> Result<(), NlError> {
    let (mode, others): (Vec<_>, Vec<_>) = attrs.in_order().partition(|(row, _)| row.opt == Opt::Mode);
    for (row, value) in mode {
        bond_opt_write(cx, bond, row, value)?;
    }
    if let Some(slave) = attrs.active_slave {
        bond_option_active_slave_set(cx, bond, slave)?;
    }
    for (row, value) in others {
        bond_opt_write(cx, bond, row, value)?;
    }
    match attrs.primary {
        Some(slave) => {
            let name = cx.k.devs[slave].name.clone();
            bond_option_primary_set(cx, bond, &name)
        }
        None => Ok(()),
    }
}

/// Sets a numeric option of a registered bond, and does what follows.
///
/// # Errors
///
/// `EACCES` in another mode, `ENOTEMPTY` while it has slaves, `EBUSY` while it is up, `EINVAL` for a value that there is not, and
/// [`NlError::not_modelled`].
pub fn bond_opt_write(cx: &mut Cx, bond: DevId, row: &BondOption, value: u32) -> Result<(), NlError> {
    let mut log = Log::new();
    let done = bond_opt_set(&mut cx.k.devs[bond], row, value, &mut log);
    write_log(cx, bond, log);
    done.map(|()| (row.then)(cx, bond))
}

fn write_log(cx: &mut Cx, bond: DevId, log: Log) {
    let name = cx.k.devs[bond].name.clone();
    log.into_iter().for_each(|(level, line)| cx.printk(level, format!("{name}: {line}")));
}

fn bond_opt_set(dev: &mut NetDevice, row: &BondOption, value: u32, log: &mut Log) -> Result<(), NlError> {
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
        return Err(NlError::with(Errno::EBUSY, "unable to set option because the bond device is up"));
    }
    if value < row.min || value > row.max {
        return Err(invalid(row, log, &value.to_string()));
    }
    let is_modelled = match row.modelled {
        Modelled::All => true,
        Modelled::UpTo(last) => value <= last,
        Modelled::Default => value == row.default,
    };
    if !is_modelled {
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
pub fn bond_opt_invalid(cx: &mut Cx, bond: DevId, row: &BondOption, text: &str) -> NlError {
    let mut log = Log::new();
    let error = invalid(row, &mut log, text);
    write_log(cx, bond, log);
    error
}

fn check_mode(dev: &NetDevice, name: &str, modes: &[Mode], log: &mut Log) -> Result<(), NlError> {
    let mode = dev.bond().map(Bonding::mode).unwrap_or_default();
    if modes.is_empty() || modes.contains(&mode) {
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
    let mut log = Log::new();
    let in_mode = check_mode(&cx.k.devs[bond], "active_slave", ONE_WORKS, &mut log);
    write_log(cx, bond, log);
    in_mode?;
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

/// The slave of this name is preferred; empty: none.
///
/// # Errors
///
/// `EACCES` in a mode in which all work.
pub fn bond_option_primary_set(cx: &mut Cx, bond: DevId, name: &str) -> Result<(), NlError> {
    let mut log = Log::new();
    let in_mode = check_mode(&cx.k.devs[bond], "primary", ONE_WORKS, &mut log);
    write_log(cx, bond, log);
    in_mode?;
    if let Some(bond) = cx.k.devs[bond].bond_mut() {
        bond.primary = (!name.is_empty()).then(|| name.to_owned());
        bond.force_primary = !name.is_empty();
    }
    bond_select_active_slave(cx, bond);
    Ok(())
}
