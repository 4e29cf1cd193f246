//! Attributes of bridges and of their ports: a row each, which netlink, sysfs and the programs read.
//!
//! | module | owns |
//! |---|---|
//! | [`super::br_attrs_bridge`] | `IFLA_BR_*` |
//! | [`super::br_attrs_port`] | `IFLA_BRPORT_*` |
//!
//! A value is a `u64` in the row's [`Unit`]. Its text format is each program's own.

use glassnet_sim::Nanos;

use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::jiffies::{HZ, JIFFY, last_tick};
use crate::tables::netdev::NetDevice;
use crate::{Cx, Kernel};

/// What the number of an attribute means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    Number,
    /// 0: off, all else: on.
    Bool,
    /// A time in hundredths of a second (`clock_t`, USER_HZ 100).
    ClockT,
    /// What is left of a timer, in hundredths of a second; 0: not running.
    Timer,
    /// A number that is written in hexadecimal.
    Hex,
    /// A bit each for the groups 01:80:c2:00:00:00 to 01:80:c2:00:00:0f.
    GroupMask,
    /// An EtherType.
    EtherType,
    /// A MAC address.
    Mac,
    /// `struct bridge_id`: the priority in the upper 16 bits, the MAC address in the lower 48.
    BridgeId,
    /// `BR_STATE_*`, as [`PortState::ALL`](crate::tables::bridge::PortState::ALL) lists them.
    State,
    /// The ifindex of a device; 0: none.
    Device,
}

/// Reads an attribute; `None` if the device is not a bridge, or not a port.
pub type Get = fn(&Kernel, &NetDevice) -> Option<u64>;
/// Sets an attribute to a value that [`BrAttr::check`] accepted.
pub type Set = fn(&mut Cx, DevId, u64);

/// Refuses a value for a bridge or port.
pub type Valid = fn(&Kernel, &NetDevice, u64) -> Result<(), NlError>;

/// How an attribute is read and set.
#[derive(Clone, Copy, Debug)]
pub enum Access {
    /// It is only read.
    ReadOnly(Get),
    /// It is only set: an action.
    WriteOnly(Set),
    /// It is read and set.
    ReadWrite(Get, Set),
    /// It is only read: when a timer expires, if it runs; by device and time.
    Timer(fn(&NetDevice, Nanos) -> Option<Nanos>),
    /// Linux can set it, the model has this one value.
    Fixed(u64),
}

/// An attribute of a bridge or of a port.
#[derive(Clone, Copy, Debug)]
pub struct BrAttr {
    /// Name of the netlink attribute, as iproute2 spells it.
    pub name: &'static str,
    /// Name of the file in `/sys/class/net/*/bridge` or `brport`.
    pub file: Option<&'static str>,
    /// Unit of the value.
    pub unit: Unit,
    /// Reading and setting.
    pub access: Access,
    /// The greatest value that the type of the netlink attribute holds.
    pub max: u64,
    /// Refuses values as the kernel does when it sets the attribute; the device is the bridge or port.
    valid: Valid,
}

impl BrAttr {
    pub(super) const fn new(
        name: &'static str,
        file: Option<&'static str>,
        unit: Unit,
        access: Access,
    ) -> BrAttr {
        let max = match (access, unit) {
            (Access::Fixed(_), _) => u64::MAX,
            (_, Unit::Bool) => u8::MAX as u64,
            (_, Unit::GroupMask) => u16::MAX as u64,
            _ => u32::MAX as u64,
        };
        BrAttr { name, file, unit, access, max, valid: |_, _, _| Ok(()) }
    }

    pub(super) const fn max(self, max: u64) -> BrAttr {
        BrAttr { max, ..self }
    }

    pub(super) const fn valid(self, valid: Valid) -> BrAttr {
        BrAttr { valid, ..self }
    }

    /// The value; `None` if the device does not have the attribute, or if it is only set.
    pub fn get(&self, kernel: &Kernel, dev: &NetDevice, now: Nanos) -> Option<u64> {
        match self.access {
            Access::Timer(expires) => {
                Some(expires(dev, now).map_or(0, |at| clock_t(at.since(last_tick(now)))))
            }
            Access::ReadOnly(get) | Access::ReadWrite(get, _) => get(kernel, dev),
            Access::Fixed(value) => Some(value),
            Access::WriteOnly(_) => None,
        }
    }

    /// Whether the attribute of this device may get this value.
    ///
    /// # Errors
    ///
    /// `EACCES` for an attribute that is only read, [`NlError::not_modelled`] for another value than the fixed one,
    /// and the kernel's errors for the attribute.
    pub fn check(&self, kernel: &Kernel, dev: &NetDevice, value: u64) -> Result<(), NlError> {
        match self.access {
            Access::ReadOnly(_) | Access::Timer(_) => Err(Errno::EACCES.into()),
            Access::Fixed(fixed) if fixed != value => Err(NlError::not_modelled(self.name)),
            _ => (self.valid)(kernel, dev, value),
        }
    }

    /// Sets the attribute of a bridge or of a port.
    ///
    /// # Errors
    ///
    /// Those of [`BrAttr::check`].
    pub fn write(&self, cx: &mut Cx, dev: DevId, value: u64) -> Result<(), NlError> {
        self.check(cx.k, &cx.k.devs[dev], value)?;
        self.set(cx, dev, value);
        Ok(())
    }

    pub(super) fn set(&self, cx: &mut Cx, dev: DevId, value: u64) {
        if let Access::WriteOnly(set) | Access::ReadWrite(_, set) = self.access {
            set(cx, dev, value);
        }
    }
}

/// The attributes of a request with their values (`IFLA_INFO_DATA`, `IFLA_INFO_SLAVE_DATA`).
#[derive(Clone, Debug, Default)]
pub struct Attrs(Vec<(&'static BrAttr, u64)>);

impl Attrs {
    /// Adds an attribute, or replaces its value.
    pub fn put(&mut self, attr: &'static BrAttr, value: u64) {
        self.0.retain(|(other, _)| !std::ptr::eq(*other, attr));
        self.0.push((attr, value));
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a table, in the table's order.
    pub(super) fn of(
        &self,
        table: &'static [&'static BrAttr],
    ) -> impl Iterator<Item = (&'static BrAttr, u64)> {
        table.iter().filter_map(|row| self.0.iter().copied().find(|(attr, _)| std::ptr::eq(*attr, *row)))
    }
}

impl<const N: usize> From<[(&'static BrAttr, u64); N]> for Attrs {
    fn from(attrs: [(&'static BrAttr, u64); N]) -> Attrs {
        Attrs(attrs.to_vec())
    }
}

/// A time in hundredths of a second, rounded down (`jiffies_to_clock_t`).
pub fn clock_t(time: Nanos) -> u64 {
    time.0 / 10_000_000
}

/// The kernel keeps it in ticks (`clock_t_to_jiffies`).
pub(super) fn from_clock_t(time: u64) -> Nanos {
    Nanos((time.saturating_mul(HZ) / 100).saturating_mul(JIFFY))
}

/// Defines rows and the table of them.
macro_rules! attrs {
    ($(#[$table_doc:meta])* $table:ident: $($(#[$doc:meta])* $row:ident = $value:expr;)*) => {
        $($(#[$doc])* pub static $row: BrAttr = $value;)*
        $(#[$table_doc])*
        pub static $table: &[&BrAttr] = &[$(&$row),*];
    };
}
pub(super) use attrs;
