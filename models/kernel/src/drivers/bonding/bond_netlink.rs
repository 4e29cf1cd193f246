//! Requests about bonds.
//!
//! Kernel: drivers/net/bonding/bond_netlink.c
//! Not modelled: addresses that neighbour discovery of IPv6 asks for.

use std::net::Ipv4Addr;

use glassnet_wire::Mac;

use super::arp_monitor;
use super::bond_3ad::set_system;
use super::bond_options::{
    BondOption, Log, ONE_WORKS, OPTIONS, bond_opt_set, bond_opt_write, bond_option_active_slave_set,
    bond_option_ad_actor_system_set, bond_option_primary_set, bond_option_prio_set, check_mode,
    set_ad_actor_system, set_arp_targets, with_log,
};
use crate::Cx;
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::bonding::Opt;
use crate::tables::klog::LOG_ERR;
use crate::tables::netdev::NetDevice;

/// Options of a request (`IFLA_BOND_*`).
#[derive(Clone, Debug, Default)]
pub struct BondAttrs {
    /// Numeric options.
    pub options: Vec<(Opt, u32)>,
    /// `active_slave`; `Some(None)`: the bond chooses.
    pub active_slave: Option<Option<DevId>>,
    /// `arp_ip_target`.
    pub arp_ip_target: Option<Vec<Ipv4Addr>>,
    /// `primary`.
    pub primary: Option<DevId>,
    /// `ad_actor_system`.
    pub ad_actor_system: Option<Mac>,
}

/// Options of a request about a slave (`IFLA_BOND_SLAVE_*`).
#[derive(Clone, Debug, Default)]
pub struct SlaveAttrs {
    /// `prio`.
    pub prio: Option<i32>,
}

/// An option of a request.
enum Step<'a> {
    Numeric(&'static BondOption, u32),
    ActiveSlave(Option<DevId>),
    ArpIpTarget(&'a [Ipv4Addr]),
    Primary(DevId),
    AdActorSystem(Mac),
}

impl BondAttrs {
    /// The value that a numeric option is to have.
    fn value(&self, opt: Opt) -> Option<u32> {
        self.options.iter().rfind(|(asked, _)| *asked == opt).map(|(_, value)| *value)
    }

    /// What is asked for, in the order in which it is set (`bond_changelink`).
    fn steps(&self) -> Vec<Step<'_>> {
        let mut steps = Vec::new();
        for row in &OPTIONS {
            steps.extend(self.value(row.opt).map(|value| Step::Numeric(row, value)));
            match row.opt {
                Opt::Mode => steps.extend(self.active_slave.map(Step::ActiveSlave)),
                Opt::ArpInterval => steps.extend(self.arp_ip_target.as_deref().map(Step::ArpIpTarget)),
                Opt::ArpAllTargets => steps.extend(self.primary.map(Step::Primary)),
                Opt::AdUserPortKey => steps.extend(self.ad_actor_system.map(Step::AdActorSystem)),
                _ => {}
            }
        }
        steps
    }

    /// Links are watched in one way only.
    fn check_monitors(&self, row: &BondOption, value: u32) -> Result<(), NlError> {
        let what = match row.opt {
            Opt::ArpInterval => "ARP monitoring cannot be used with MII monitoring",
            Opt::ArpValidate => "ARP validating cannot be used with MII monitoring",
            _ => return Ok(()),
        };
        let both = value != 0 && self.value(Opt::Miimon).is_some_and(|miimon| miimon != 0);
        if both { Err(NlError::with(Errno::EINVAL, what)) } else { Ok(()) }
    }
}

/// Sets options of a slave (`bond_slave_changelink`).
///
/// # Errors
///
/// `EACCES` in a mode in which all slaves work.
pub(super) fn bond_slave_changelink(cx: &mut Cx, dev: DevId, attrs: &SlaveAttrs) -> Result<(), NlError> {
    let (Some(bond), Some(prio)) = (cx.k.devs[dev].master(), attrs.prio) else { return Ok(()) };
    bond_option_prio_set(cx, bond, dev, prio)
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
    let done =
        attrs.steps().into_iter().try_for_each(|step| set_unregistered(cx, dev, attrs, step, &mut log));
    log.into_iter().for_each(|(level, line)| cx.printk(level, format!("{name}: {line}")));
    done
}

fn set_unregistered(
    cx: &Cx,
    dev: &mut NetDevice,
    attrs: &BondAttrs,
    step: Step,
    log: &mut Log,
) -> Result<(), NlError> {
    let addr = dev.addr;
    match step {
        Step::Numeric(row, value) => {
            attrs.check_monitors(row, value)?;
            bond_opt_set(dev, row, value, log)?;
        }
        Step::ActiveSlave(slave) => {
            check_mode(dev, "active_slave", ONE_WORKS, log)?;
            // It has no slave yet.
            if let Some(slave) = slave.and_then(|slave| cx.k.devs.get(slave)) {
                log.push((LOG_ERR, format!("(slave {}): Device is not bonding slave", slave.name)));
                log.push((LOG_ERR, format!("option active_slave: invalid value ({})", slave.name)));
                return Err(NlError::with(Errno::EINVAL, "invalid option value"));
            }
        }
        Step::ArpIpTarget(targets) => {
            if let Some(bond) = dev.bond_mut() {
                set_arp_targets(bond, targets, 0, log)?;
            }
        }
        Step::Primary(primary) => {
            check_mode(dev, "primary", ONE_WORKS, log)?;
            if let Some(bond) = dev.bond_mut() {
                bond.primary = cx.k.devs.get(primary).map(|primary| primary.name.clone());
            }
        }
        Step::AdActorSystem(system) => set_ad_actor_system(dev, system, None, log)?,
    }
    let is_of_system = match step {
        Step::Numeric(row, _) => row.opt == Opt::AdActorSysPrio,
        Step::AdActorSystem(_) => true,
        _ => false,
    };
    if let Some(bond) = dev.bond_mut().filter(|_| is_of_system) {
        set_system(bond, addr);
    }
    Ok(())
}

/// Sets options of a bond.
///
/// # Errors
///
/// That of the first option that is refused; those before it stay.
pub(super) fn bond_changelink(cx: &mut Cx, bond: DevId, attrs: &BondAttrs) -> Result<(), NlError> {
    for step in attrs.steps() {
        match step {
            Step::Numeric(row, value) => {
                attrs.check_monitors(row, value)?;
                bond_opt_write(cx, bond, row, value)?;
            }
            Step::ActiveSlave(slave) => bond_option_active_slave_set(cx, bond, slave)?,
            Step::ArpIpTarget(targets) => {
                let now = arp_monitor::now(cx);
                with_log(cx, bond, |dev, log| match dev.bond_mut() {
                    Some(bond) => set_arp_targets(bond, targets, now, log),
                    None => Ok(()),
                })?;
            }
            Step::Primary(slave) => {
                let name = cx.k.devs[slave].name.clone();
                bond_option_primary_set(cx, bond, &name)?;
            }
            Step::AdActorSystem(system) => bond_option_ad_actor_system_set(cx, bond, system, None)?,
        }
    }
    Ok(())
}
