//! What a bond knows of itself and of its slaves.
//!
//! Kernel: include/net/bonding.h

use glassnet_wire::Mac;

use super::netdev::{DevStats, NetDevice};
use crate::ids::DevId;

/// How a bond shares its slaves (`BOND_MODE_*`, include/uapi/linux/if_bonding.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One packet each in turn.
    #[default]
    RoundRobin,
    /// One slave works, the others wait.
    ActiveBackup,
    /// By a hash of the packet.
    Xor,
    /// Every packet by every slave.
    Broadcast,
}

impl Mode {
    /// Those that are modelled, by number.
    pub const ALL: [Mode; 4] = [Mode::RoundRobin, Mode::ActiveBackup, Mode::Xor, Mode::Broadcast];
}

/// State of a slave's link (`BOND_LINK_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BondLink {
    /// It works.
    Up,
    /// It has just gone down.
    Fail,
    /// It does not work.
    Down,
    /// It has just come back.
    Back,
}

/// A numeric option (`BOND_OPT_*`, include/net/bond_options.h), as an index into [`Bonding`]'s options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is an option of the same name, with its row in bond_options.rs")]
pub enum Opt {
    Mode,
    Miimon,
    /// Counted in polls of the link.
    Updelay,
    /// The same.
    Downdelay,
    /// The same.
    PeerNotifyDelay,
    UseCarrier,
    ArpInterval,
    ArpMissedMax,
    ArpValidate,
    ArpAllTargets,
    PrimaryReselect,
    FailOverMac,
    XmitHashPolicy,
    ResendIgmp,
    NumGratArp,
    AllSlavesActive,
    MinLinks,
    LpInterval,
    PacketsPerSlave,
    LacpActive,
    LacpRate,
    AdSelect,
    TlbDynamicLb,
}

/// How many numeric options there are.
pub const OPTS: usize = Opt::TlbDynamicLb as usize + 1;

/// A slave (`struct slave`).
#[derive(Clone, Debug)]
pub struct Slave {
    /// Its device.
    pub dev: DevId,
    /// State of its link.
    pub link: BondLink,
    /// It may carry packets; false: it waits as a backup.
    pub active: bool,
    /// What it receives is for nobody but those who look at just this device.
    pub inactive: bool,
    /// Polls of the link until a change of its state counts.
    pub delay: u32,
    /// How often its link failed.
    pub link_failure_count: u32,
    /// Its address before it was a slave.
    pub perm_hwaddr: Mac,
    /// Its MTU then, bytes.
    pub original_mtu: u32,
    /// Its speed when it was last asked, Mbit/s.
    pub speed: Option<u32>,
    /// It sends and receives at once, by the same question.
    pub full_duplex: bool,
    /// Its counters when it became a slave.
    pub stats_before: DevStats,
}

/// A bond (`struct bonding`).
#[derive(Debug)]
pub struct Bonding {
    /// Its numeric options.
    pub options: [u32; OPTS],
    /// Its slaves in the order in which they came.
    pub slaves: Vec<Slave>,
    /// The slave that works where only one does, and the first that works elsewhere.
    pub curr_active_slave: Option<DevId>,
    /// Name of the slave that is preferred, even if it is not one yet.
    pub primary: Option<String>,
    /// The primary slave works at the next choice, whatever else is asked for.
    pub force_primary: bool,
    /// How often the neighbours are still to be told.
    pub send_peer_notif: u32,
    /// Packets that were sent in turn.
    pub rr_tx_counter: u32,
    /// Which poll of the links is the one that counts: one that was set before is stale.
    pub mii_work: Option<glassnet_sim::Nanos>,
    /// What slaves counted that are gone.
    pub stats_of_gone: DevStats,
}

impl Bonding {
    /// A bond with these options and without a slave.
    pub fn new(options: [u32; OPTS]) -> Bonding {
        Bonding {
            options,
            slaves: Vec::new(),
            curr_active_slave: None,
            primary: None,
            force_primary: false,
            send_peer_notif: 0,
            rr_tx_counter: 0,
            mii_work: None,
            stats_of_gone: DevStats::default(),
        }
    }

    /// The value of an option.
    #[inline]
    pub fn opt(&self, opt: Opt) -> u32 {
        self.options[opt as usize]
    }

    /// Its mode.
    #[inline]
    pub fn mode(&self) -> Mode {
        Mode::ALL.get(self.opt(Opt::Mode) as usize).copied().unwrap_or_default()
    }

    /// The slave that is this device.
    pub fn slave(&self, dev: DevId) -> Option<&Slave> {
        self.slaves.iter().find(|slave| slave.dev == dev)
    }

    /// The slave that is this device, to change it.
    pub fn slave_mut(&mut self, dev: DevId) -> Option<&mut Slave> {
        self.slaves.iter_mut().find(|slave| slave.dev == dev)
    }

    /// Only one slave works (`bond_uses_primary`).
    pub fn uses_primary(&self) -> bool {
        self.mode() == Mode::ActiveBackup
    }
}

impl NetDevice {
    /// What it knows as a bond, if it is one.
    #[inline]
    pub fn bond(&self) -> Option<&Bonding> {
        self.netdev_priv()
    }

    /// The same, to change it.
    #[inline]
    pub fn bond_mut(&mut self) -> Option<&mut Bonding> {
        self.netdev_priv_mut()
    }
}
