//! What a bond knows of itself and of its slaves.
//!
//! Kernel: include/net/bonding.h

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::bond_3ad::{AdBondInfo, AdSlaveInfo, Aggregator, Port};
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
    /// By a hash, among the slaves that the partner agreed on (LACP).
    Ieee8023ad,
    /// By load; one slave receives.
    Tlb,
}

impl Mode {
    /// Those that are modelled, by number.
    pub const ALL: [Mode; 6] =
        [Mode::RoundRobin, Mode::ActiveBackup, Mode::Xor, Mode::Broadcast, Mode::Ieee8023ad, Mode::Tlb];
}

/// Longer ago than all intervals, jiffies.
pub const NEVER: i64 = i64::MIN / 4;

/// How many addresses watching by ARP asks for, at most.
pub const BOND_MAX_ARP_TARGETS: usize = 16;

/// A work of a bond that is done from time to time (`struct delayed_work`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Looks at the links.
    Mii,
    /// Asks by ARP.
    Arp,
    /// The state machines of LACP.
    Ad,
    /// Learning packets, and flows that are shared out anew.
    Alb,
}

/// How many flows a bond tells apart.
pub const TLB_HASH_TABLE_SIZE: usize = 256;

/// Flows with one hash (`struct tlb_client_info`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TlbClientInfo {
    /// The slave that sends them.
    pub tx_slave: Option<DevId>,
    /// Bytes since they were shared out.
    pub tx_bytes: u32,
    /// Bytes a second before that, and one.
    pub load_history: u32,
}

/// What a bond knows of the load of its slaves (`struct alb_bond_info`).
#[derive(Debug)]
pub struct AlbBondInfo {
    /// Flows by hash.
    pub tx_hashtbl: [TlbClientInfo; TLB_HASH_TABLE_SIZE],
    /// Bytes of packets that belong to no flow.
    pub unbalanced_load: u32,
    /// Turns since flows were shared out.
    pub tx_rebalance_counter: u32,
    /// Turns since slaves told switches their addresses.
    pub lp_counter: u32,
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
    AdActorSysPrio,
    AdUserPortKey,
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
    /// Its priority where one slave works: the highest works.
    pub prio: i32,
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
    /// When its link last came up, jiffies.
    pub last_link_up: i64,
    /// When it last sent a probe by ARP, jiffies.
    pub last_tx: i64,
    /// When it last received what shows that its link works, jiffies.
    pub last_rx: i64,
    /// The same from each address that is asked for, jiffies.
    pub target_last_arp_rx: [i64; BOND_MAX_ARP_TARGETS],
    /// Bytes a second of its flows.
    pub tlb_load: u32,
    /// LACP.
    pub ad: AdSlaveInfo,
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
    /// When each work is due next; one that was set for another time is stale.
    pub works: [Option<Nanos>; 4],
    /// What slaves counted that are gone.
    pub stats_of_gone: DevStats,
    /// Addresses that watching by ARP asks for.
    pub arp_targets: Vec<Ipv4Addr>,
    /// The slave that is tried while none works (`current_arp_slave`).
    pub current_arp_slave: Option<DevId>,
    /// Its address as a system of LACP, if it is not that of the bond.
    pub ad_actor_system: Mac,
    /// LACP.
    pub ad: AdBondInfo,
    /// The load of its slaves.
    pub alb: AlbBondInfo,
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
            works: [None; 4],
            stats_of_gone: DevStats::default(),
            arp_targets: Vec::new(),
            current_arp_slave: None,
            ad_actor_system: Mac::ZERO,
            ad: AdBondInfo::default(),
            alb: AlbBondInfo {
                tx_hashtbl: [TlbClientInfo::default(); TLB_HASH_TABLE_SIZE],
                unbalanced_load: 0,
                tx_rebalance_counter: 0,
                lp_counter: 0,
            },
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

    /// The aggregator that the bond sends by (`__get_active_agg`).
    pub fn active_aggregator(&self) -> Option<&Aggregator> {
        self.slaves.iter().map(|slave| &slave.ad.aggregator).find(|agg| agg.is_active)
    }

    /// The aggregator that a port belongs to.
    pub fn aggregator_of(&self, port: &Port) -> Option<&Aggregator> {
        let is_its = |agg: &&Aggregator| agg.aggregator_identifier == port.aggregator;
        self.slaves.iter().map(|slave| &slave.ad.aggregator).find(is_its)
    }

    /// How many ports of an aggregator have a link that works (`__agg_active_ports`).
    pub fn active_ports(&self, agg: &Aggregator) -> u32 {
        let ports = self.slaves.iter().map(|slave| &slave.ad.port);
        let works = |port: &&Port| port.is_enabled && agg.lag_ports.contains(&port.actor_port_number);
        ports.filter(works).count() as u32
    }

    /// A slave is chosen by a hash of the packet (`bond_mode_uses_xmit_hash`).
    pub fn uses_xmit_hash(&self) -> bool {
        matches!(self.mode(), Mode::Xor | Mode::Ieee8023ad)
            || self.mode() == Mode::Tlb && self.opt(Opt::TlbDynamicLb) == 0
    }

    /// Only one slave works, or receives (`bond_uses_primary`).
    pub fn uses_primary(&self) -> bool {
        matches!(self.mode(), Mode::ActiveBackup | Mode::Tlb)
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
