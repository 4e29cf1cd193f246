//! What a bond knows of LACP: a port and an aggregator a slave.
//!
//! Kernel: include/net/bond_3ad.h

use glassnet_wire::Mac;
use glassnet_wire::lacp::{LACP_STATE_AGGREGATION, LACP_STATE_LACP_ACTIVITY, LACP_STATE_LACP_TIMEOUT};

/// Priority of a port, which no tool of these days sets.
pub const PORT_PRIORITY: u16 = 0xff;
/// Ticks of the state machines a second (`ad_ticks_per_sec`).
pub const AD_TICKS_PER_SEC: u16 = 10;
/// Ticks between two chances to send: three a second (`AD_MAX_TX_IN_SECOND`).
pub const AD_TX_TICKS: u16 = AD_TICKS_PER_SEC / 3;

/// State of the machine that receives (IEEE 802.1AX, figure 6-18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxState {
    /// It has not run yet.
    #[default]
    Dummy,
    /// The port begins.
    Initialize,
    /// The link is down.
    PortDisabled,
    /// The port is not full duplex, so it takes no part.
    LacpDisabled,
    /// The partner was not heard in time; it has 3 s left.
    Expired,
    /// There is no partner.
    Defaulted,
    /// The partner is known.
    Current,
}

/// State of the machine that sends from time to time (figure 6-19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PeriodicState {
    /// It has not run yet.
    #[default]
    Dummy,
    /// Neither end begins.
    NoPeriodic,
    /// Every second.
    Fast,
    /// Every 30 s.
    Slow,
    /// Now.
    Tx,
}

/// State of the machine that puts a port into its aggregator (figure 6-21).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MuxState {
    /// It has not run yet.
    #[default]
    Dummy,
    /// It belongs to none.
    Detached,
    /// It waits for others that may come.
    Waiting,
    /// It belongs to one; the partner is to follow.
    Attached,
    /// It carries frames.
    CollectingDistributing,
}

/// Whether a port was put into an aggregator in time (IEEE 802.3ad section 43.4.17).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChurnState {
    /// There is time left.
    #[default]
    Monitoring,
    /// It was not.
    Churned,
    /// It was.
    None,
}

impl ChurnState {
    /// The word for it (`bond_3ad_churn_desc`).
    pub fn name(self) -> &'static str {
        match self {
            ChurnState::Monitoring => "monitoring",
            ChurnState::Churned => "churned",
            ChurnState::None => "none",
        }
    }
}

/// What a port knows of its partner (`struct port_params`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortParams {
    /// Address of its system.
    pub system: Mac,
    /// Priority of its system.
    pub system_priority: u16,
    /// Its key.
    pub key: u16,
    /// Its number.
    pub port_number: u16,
    /// Its priority.
    pub port_priority: u16,
    /// `LACP_STATE_*`.
    pub port_state: u8,
}

impl PortParams {
    /// What holds until the partner was heard (`partner_admin`).
    pub const ADMIN: PortParams = PortParams {
        system: Mac::ZERO,
        system_priority: 0xffff,
        key: 1,
        port_number: 1,
        port_priority: PORT_PRIORITY,
        port_state: 0,
    };
}

/// A slave as LACP sees it (`struct port`).
#[derive(Clone, Debug)]
pub struct Port {
    /// Its number in the bond, from 1.
    pub actor_port_number: u16,
    /// Address of the bond as a system.
    pub actor_system: Mac,
    /// Priority of the bond as a system.
    pub actor_system_priority: u16,
    /// The aggregator that it belongs to; 0: none (`actor_port_aggregator_identifier`).
    pub aggregator: u16,
    /// An LACPDU is to be sent.
    pub ntt: bool,
    /// The user's part of its key.
    pub user_key: u16,
    /// Its key: the user's part, speed and duplex.
    pub actor_oper_port_key: u16,
    /// `LACP_STATE_*`.
    pub actor_oper_port_state: u8,
    /// Its partner.
    pub partner_oper: PortParams,
    /// Its link works.
    pub is_enabled: bool,
    /// The machines begin anew (`AD_PORT_BEGIN`).
    pub begin: bool,
    /// It takes part: it is full duplex.
    pub lacp_enabled: bool,
    /// Churn is watched for from now on.
    pub churned: bool,
    /// It has waited for others.
    pub ready_n: bool,
    /// An aggregator was chosen for it.
    pub selected: bool,
    /// The machine that receives, and the ticks until the partner was not heard in time.
    pub rx: (RxState, u16),
    /// The machine that sends from time to time, and the ticks until it does.
    pub periodic: (PeriodicState, u16),
    /// The machine that puts it into its aggregator, and the ticks that it waits for others.
    pub mux: (MuxState, u16),
    /// Ticks until it may send.
    pub sm_tx_timer_counter: u16,
    /// Whether this end is late, and the ticks until then.
    pub churn_actor: (ChurnState, u16),
    /// How often it was late.
    pub churn_actor_count: u32,
    /// The same of the partner.
    pub churn_partner: (ChurnState, u16),
    /// The same of the partner.
    pub churn_partner_count: u32,
}

impl Port {
    /// A port that has not begun (`ad_initialize_port`).
    pub fn new(number: u16, user_key: u16, lacp_active: bool, lacp_fast: bool) -> Port {
        let active = if lacp_active { LACP_STATE_LACP_ACTIVITY } else { 0 };
        let fast = if lacp_fast { LACP_STATE_LACP_TIMEOUT } else { 0 };
        Port {
            actor_port_number: number,
            actor_system: Mac::ZERO,
            actor_system_priority: 0,
            aggregator: 0,
            ntt: false,
            user_key,
            actor_oper_port_key: 0,
            actor_oper_port_state: LACP_STATE_AGGREGATION | active | fast,
            partner_oper: PortParams::ADMIN,
            is_enabled: true,
            begin: true,
            lacp_enabled: true,
            churned: false,
            ready_n: false,
            selected: false,
            rx: (RxState::Dummy, 0),
            periodic: (PeriodicState::Dummy, 0),
            mux: (MuxState::Dummy, 0),
            sm_tx_timer_counter: AD_TX_TICKS,
            churn_actor: (ChurnState::Monitoring, 0),
            churn_actor_count: 0,
            churn_partner: (ChurnState::Monitoring, 0),
            churn_partner_count: 0,
        }
    }
}

/// Ports that are one link (`struct aggregator`). Each slave brings one, which ports of others may join.
#[derive(Clone, Debug, Default)]
pub struct Aggregator {
    /// Its number in the bond, from 1.
    pub aggregator_identifier: u16,
    /// Its only port is none that can be one of several.
    pub is_individual: bool,
    /// The key of its ports.
    pub actor_oper_aggregator_key: u16,
    /// Address of the partner's system.
    pub partner_system: Mac,
    /// Priority of the partner's system.
    pub partner_system_priority: u16,
    /// The key of the partner's ports.
    pub partner_oper_aggregator_key: u16,
    /// Numbers of its ports, the last that joined first.
    pub lag_ports: Vec<u16>,
    /// It is the one that the bond sends by.
    pub is_active: bool,
}

impl Aggregator {
    /// The partner was heard (`__agg_has_partner`).
    pub fn has_partner(&self) -> bool {
        self.partner_system != Mac::ZERO
    }
}

/// LACP of a slave (`struct ad_slave_info`).
#[derive(Clone, Debug)]
pub struct AdSlaveInfo {
    /// The aggregator that it brought.
    pub aggregator: Aggregator,
    /// Itself.
    pub port: Port,
}

/// LACP of a bond (`struct ad_bond_info`).
#[derive(Clone, Debug, Default)]
pub struct AdBondInfo {
    /// Its address as a system.
    pub sys_mac_addr: Mac,
    /// Its priority as a system.
    pub sys_priority: u16,
    /// Ticks until the aggregator that it sends by is chosen.
    pub agg_select_timer: u16,
    /// The number of the last aggregator.
    pub aggregator_identifier: u16,
}
