//! The state machines of a port. Each has a turn every tick, so what one decides another sees in the next.
//!
//! Kernel: drivers/net/bonding/bond_3ad.c

use glassnet_wire::Mac;
use glassnet_wire::lacp::{
    LACP_STATE_AGGREGATION, LACP_STATE_COLLECTING, LACP_STATE_DEFAULTED, LACP_STATE_DISTRIBUTING,
    LACP_STATE_EXPIRED, LACP_STATE_LACP_ACTIVITY, LACP_STATE_LACP_TIMEOUT, LACP_STATE_SYNCHRONIZATION,
    Lacpdu, PortInfo,
};

use super::{AD_DUPLEX_KEY_MASKS, Lacp, count_down, set};
use crate::tables::bond_3ad::{
    AD_TICKS_PER_SEC, AD_TX_TICKS, ChurnState, MuxState, PORT_PRIORITY, PeriodicState, Port, PortParams,
    RxState,
};
use crate::tables::klog::LOG_ERR;

/// Ticks after which a partner was not heard in time, of one that sends every second and of one that sends every 30 s.
const AD_SHORT_TIMEOUT: u16 = 3 * AD_TICKS_PER_SEC;
const AD_LONG_TIMEOUT: u16 = 90 * AD_TICKS_PER_SEC;
/// Ticks between two LACPDUs, without the one in which it is sent.
const AD_FAST_PERIODIC: u16 = AD_TICKS_PER_SEC - 1;
const AD_SLOW_PERIODIC: u16 = 30 * AD_TICKS_PER_SEC - 1;
/// Ticks in which a port is to be in its aggregator.
const AD_CHURN_DETECTION: u16 = 60 * AD_TICKS_PER_SEC;
/// Ticks that a port waits for others that may join.
const AD_AGGREGATE_WAIT: u16 = 2 * AD_TICKS_PER_SEC;

/// A port carries frames.
const CARRIES: u8 = LACP_STATE_COLLECTING | LACP_STATE_DISTRIBUTING;

impl Lacp<'_> {
    fn port(&mut self, at: usize) -> &mut Port {
        &mut self.bond.slaves[at].ad.port
    }

    /// The machine that receives: an LACPDU, or a tick without one.
    pub(super) fn ad_rx_machine(&mut self, at: usize, lacpdu: Option<&Lacpdu>) {
        let port = self.port(at);
        let last = port.rx.0;
        let takes = matches!(last, RxState::Expired | RxState::Defaulted | RxState::Current);
        if port.begin {
            (port.rx.0, port.churned) = (RxState::Initialize, true);
        } else if !port.is_enabled {
            port.rx.0 = RxState::PortDisabled;
        } else if lacpdu.is_some() && takes {
            port.churned |= last != RxState::Current;
            port.rx = (RxState::Current, 0);
        } else {
            let is_over = count_down(&mut port.rx.1);
            port.rx.0 = match last {
                RxState::Expired if is_over => RxState::Defaulted,
                RxState::Current if is_over => RxState::Expired,
                RxState::PortDisabled if !is_over && port.lacp_enabled => RxState::Expired,
                RxState::PortDisabled if !is_over => RxState::LacpDisabled,
                same => same,
            };
        }
        if port.rx.0 == last && lacpdu.is_none() {
            return;
        }
        match port.rx.0 {
            RxState::Initialize | RxState::PortDisabled => rx_port_disabled(port),
            RxState::LacpDisabled => {
                port.selected = false;
                record_default(port);
                port.partner_oper.port_state &= !LACP_STATE_AGGREGATION;
                port.actor_oper_port_state &= !LACP_STATE_EXPIRED;
            }
            RxState::Expired => {
                port.partner_oper.port_state &= !LACP_STATE_SYNCHRONIZATION;
                port.partner_oper.port_state |= LACP_STATE_LACP_TIMEOUT;
                port.rx.1 = AD_SHORT_TIMEOUT;
                port.actor_oper_port_state |= LACP_STATE_EXPIRED;
                port.churned = true;
            }
            RxState::Defaulted => {
                port.selected &= is_same_partner(&PortParams::ADMIN, &port.partner_oper);
                record_default(port);
                port.actor_oper_port_state &= !LACP_STATE_EXPIRED;
            }
            RxState::Current => {
                if let Some(lacpdu) = lacpdu {
                    self.rx_current(at, lacpdu);
                }
            }
            RxState::Dummy => {}
        }
    }

    /// The partner was heard.
    fn rx_current(&mut self, at: usize, lacpdu: &Lacpdu) {
        let port = self.port(at);
        if lacpdu.actor.system == port.actor_system.0 {
            let text = "An illegal loopback occurred on slave\nCheck the configuration to verify that all adapters \
                        are connected to 802.3ad compliant switch ports";
            return self.log(LOG_ERR, at, text.to_owned());
        }
        let partner = params(&lacpdu.actor);
        port.selected &= is_same_partner(&partner, &port.partner_oper);
        let ours = params(&lacpdu.partner);
        let knows_us = ours.port_number == port.actor_port_number
            && ours.port_priority == PORT_PRIORITY
            && ours.system == port.actor_system
            && ours.system_priority == port.actor_system_priority
            && ours.key == port.actor_oper_port_key;
        let differs = ours.port_state ^ port.actor_oper_port_state;
        let told = LACP_STATE_LACP_ACTIVITY
            | LACP_STATE_LACP_TIMEOUT
            | LACP_STATE_SYNCHRONIZATION
            | LACP_STATE_AGGREGATION;
        port.ntt |= !knows_us || differs & told != 0;
        // It counts as in its aggregator only while it knows this port, or is alone on its link.
        let matched = knows_us && differs & LACP_STATE_AGGREGATION == 0
            || partner.port_state & LACP_STATE_AGGREGATION == 0;
        port.partner_oper = partner;
        if !matched {
            port.partner_oper.port_state &= !LACP_STATE_SYNCHRONIZATION;
        }
        port.actor_oper_port_state &= !(LACP_STATE_DEFAULTED | LACP_STATE_EXPIRED);
        let is_fast = port.actor_oper_port_state & LACP_STATE_LACP_TIMEOUT != 0;
        port.rx.1 = if is_fast { AD_SHORT_TIMEOUT } else { AD_LONG_TIMEOUT };
    }

    /// The machine that sends from time to time: as often as the partner wants to hear.
    pub(super) fn ad_periodic_machine(&mut self, at: usize) {
        let port = self.port(at);
        let partner_is_fast = port.partner_oper.port_state & LACP_STATE_LACP_TIMEOUT != 0;
        let begins =
            (port.actor_oper_port_state | port.partner_oper.port_state) & LACP_STATE_LACP_ACTIVITY != 0;
        let last = port.periodic.0;
        port.periodic.0 = if port.begin || !port.lacp_enabled || !port.is_enabled || !begins {
            PeriodicState::NoPeriodic
        } else if port.periodic.1 > 0 {
            port.periodic.1 -= 1;
            match last {
                _ if port.periodic.1 == 0 => PeriodicState::Tx,
                PeriodicState::Fast if !partner_is_fast => PeriodicState::Slow,
                PeriodicState::Slow if partner_is_fast => {
                    port.periodic.1 = 0;
                    PeriodicState::Tx
                }
                same => same,
            }
        } else {
            match last {
                PeriodicState::NoPeriodic => PeriodicState::Fast,
                PeriodicState::Tx if partner_is_fast => PeriodicState::Fast,
                PeriodicState::Tx => PeriodicState::Slow,
                same => same,
            }
        };
        if port.periodic.0 == last {
            return;
        }
        match port.periodic.0 {
            PeriodicState::NoPeriodic => port.periodic.1 = 0,
            PeriodicState::Fast => port.periodic.1 = AD_FAST_PERIODIC,
            PeriodicState::Slow => port.periodic.1 = AD_SLOW_PERIODIC,
            PeriodicState::Tx => port.ntt = true,
            PeriodicState::Dummy => {}
        }
    }

    /// The machine that puts a port into its aggregator.
    pub(super) fn ad_mux_machine(&mut self, at: usize) {
        let is_chosen = self.bond.ad.agg_select_timer == 0;
        let port = &self.bond.slaves[at].ad.port;
        let agg = self.bond.aggregator_of(port);
        let (agg_active, has_partner) = agg.map_or((false, false), |agg| (agg.is_active, agg.has_partner()));
        let others = self.bond.slaves.iter().map(|slave| &slave.ad.port);
        let mut of_agg = others.filter(|other| other.aggregator == port.aggregator);
        let others_are_ready =
            of_agg.all(|other| other.ready_n || other.actor_port_number == port.actor_port_number);
        let is_active = self.bond.slaves[at].active;
        let port = self.port(at);
        let last = port.mux.0;
        let partner_in_sync = port.partner_oper.port_state & LACP_STATE_SYNCHRONIZATION != 0;
        let in_sync = port.actor_oper_port_state & LACP_STATE_SYNCHRONIZATION != 0;
        port.mux.0 = match last {
            _ if port.begin => MuxState::Detached,
            MuxState::Detached if port.selected => MuxState::Waiting,
            MuxState::Waiting | MuxState::Attached if !port.selected => {
                port.ready_n = false;
                MuxState::Detached
            }
            MuxState::Waiting => {
                port.ready_n |= count_down(&mut port.mux.1);
                let is_ready = port.ready_n && others_are_ready && port.mux.1 == 0;
                if is_ready { MuxState::Attached } else { last }
            }
            MuxState::Attached if partner_in_sync && is_chosen && agg_active => {
                MuxState::CollectingDistributing
            }
            MuxState::Attached => {
                if agg_active && !(partner_in_sync && is_chosen) {
                    port.actor_oper_port_state |= LACP_STATE_SYNCHRONIZATION;
                }
                last
            }
            MuxState::CollectingDistributing if !port.selected || !partner_in_sync || !in_sync => {
                MuxState::Attached
            }
            same => same,
        };
        let state = port.mux.0;
        if state == last {
            if state == MuxState::CollectingDistributing && agg_active && !is_active {
                self.enable_port(at);
            }
            return;
        }
        let flags = &mut port.actor_oper_port_state;
        match state {
            MuxState::Waiting => port.mux.1 = AD_AGGREGATE_WAIT,
            MuxState::CollectingDistributing => *flags |= CARRIES | LACP_STATE_SYNCHRONIZATION,
            _ => {
                set(flags, LACP_STATE_SYNCHRONIZATION, state == MuxState::Attached && agg_active);
                *flags &= !CARRIES;
            }
        }
        port.ntt |= state != MuxState::Waiting;
        match state {
            MuxState::CollectingDistributing if agg_active => self.enable_port(at),
            MuxState::Detached | MuxState::Attached if has_partner => self.disable_port(at),
            _ => {}
        }
    }

    /// Sends an LACPDU if there is reason to, at most three a second.
    pub(super) fn ad_tx_machine(&mut self, at: usize) {
        let port = self.port(at);
        if !count_down(&mut port.sm_tx_timer_counter) {
            return;
        }
        port.sm_tx_timer_counter = AD_TX_TICKS;
        if port.lacp_enabled && std::mem::take(&mut port.ntt) {
            self.send(at);
        }
    }

    /// Watches whether both ends come into their aggregators in time.
    pub(super) fn ad_churn_machine(&mut self, at: usize) {
        let port = self.port(at);
        if std::mem::take(&mut port.churned) {
            port.churn_actor = (ChurnState::Monitoring, AD_CHURN_DETECTION);
            port.churn_partner = (ChurnState::Monitoring, AD_CHURN_DETECTION);
            return;
        }
        let actor = port.actor_oper_port_state;
        let late = churn(&mut port.churn_actor, actor);
        port.churn_actor_count += u32::from(late);
        let late = churn(&mut port.churn_partner, port.partner_oper.port_state);
        port.churn_partner_count += u32::from(late);
    }
}

/// The link of a port does not work, or the port begins.
fn rx_port_disabled(port: &mut Port) {
    if port.rx.0 == RxState::Initialize {
        port.lacp_enabled = port.actor_oper_port_key & AD_DUPLEX_KEY_MASKS != 0;
        port.selected = false;
        record_default(port);
        port.actor_oper_port_state &= !LACP_STATE_EXPIRED;
        port.rx.0 = RxState::PortDisabled;
    }
    port.partner_oper.port_state &= !LACP_STATE_SYNCHRONIZATION;
}

/// Nothing is known of the partner.
fn record_default(port: &mut Port) {
    port.partner_oper = PortParams::ADMIN;
    port.actor_oper_port_state |= LACP_STATE_DEFAULTED;
}

/// A port as an LACPDU tells of it.
fn params(info: &PortInfo) -> PortParams {
    PortParams {
        system: Mac(info.system),
        system_priority: info.system_priority.get(),
        key: info.key.get(),
        port_number: info.port.get(),
        port_priority: info.port_priority.get(),
        port_state: info.state,
    }
}

/// The same port, which still can be one of several or still cannot.
fn is_same_partner(a: &PortParams, b: &PortParams) -> bool {
    let state = |port: &PortParams| port.port_state & LACP_STATE_AGGREGATION;
    PortParams { port_state: state(a), ..*a } == PortParams { port_state: state(b), ..*b }
}

/// A tick of a machine that watches an end; true if that end is late.
fn churn(machine: &mut (ChurnState, u16), state: u8) -> bool {
    if !count_down(&mut machine.1) || machine.0 != ChurnState::Monitoring {
        return false;
    }
    let in_time = state & LACP_STATE_SYNCHRONIZATION != 0;
    machine.0 = if in_time { ChurnState::None } else { ChurnState::Churned };
    !in_time
}
