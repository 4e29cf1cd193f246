//! 802.3ad: links that two systems agree on by LACP (IEEE 802.1AX).
//!
//! | module | owns |
//! |---|---|
//! | `mod` | ports that come and go, frames in and out |
//! | [`machines`] | the state machines of a port |
//! | [`selection`] | the aggregator of a port, and the one that the bond sends by |
//!
//! Kernel: drivers/net/bonding/bond_3ad.c
//! Not modelled: answers to markers; priorities of ports; control of receiving and sending apart from each other.

mod machines;
mod selection;

use glassnet_wire::Mac;
use glassnet_wire::eth::EthHdr;
use glassnet_wire::lacp::{
    AD_TYPE_LACPDU, AD_TYPE_MARKER, ETH_P_SLOW, LACP_STATE_AGGREGATION, LACP_STATE_COLLECTING,
    LACP_STATE_DISTRIBUTING, LACP_STATE_LACP_ACTIVITY, LACP_STATE_LACP_TIMEOUT, LACP_STATE_SYNCHRONIZATION,
    LACPDU_MCAST_ADDR, Lacpdu, PortInfo,
};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::work::queue_delayed_work;
use super::{bond_slave_is_up, slave_log, slaves};
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::net::core::softirq::local_bh_enable;
use crate::tables::bond_3ad::{AD_TICKS_PER_SEC, Aggregator, PORT_PRIORITY, PortParams};
use crate::tables::bonding::{BondLink, Bonding, Opt, Slave, Work};
use crate::tables::klog::{LOG_ERR, LOG_WARNING};
use crate::tables::skb::TC_PRIO_CONTROL;

/// Time between two turns of the state machines, ms (`AD_TIMER_INTERVAL`).
const AD_TIMER_INTERVAL: u32 = 1000 / AD_TICKS_PER_SEC as u32;
/// Seconds until the first choice of an aggregator (`AD_AGGREGATOR_SELECTION_TIMER`).
const AD_AGGREGATOR_SELECTION_TIMER: u16 = 8;
/// The bit of a key that says full duplex.
const AD_DUPLEX_KEY_MASKS: u16 = 0x1;
/// The bits of a key that say the speed.
const AD_SPEED_KEY_MASKS: u16 = 0x3e;
/// Speeds with a number of their own, Mbit/s: 2 and up (`AD_LINK_SPEED_*`).
const SPEEDS: [u32; 15] = [
    10, 100, 1000, 2500, 5000, 10_000, 14_000, 20_000, 25_000, 40_000, 50_000, 56_000, 100_000, 200_000,
    400_000,
];

/// A bond's LACP at work. What follows for others waits until it has ended, as in the kernel for the lock that it holds.
struct Lacp<'a> {
    bond: &'a mut Bonding,
    /// Slaves whose device is up and has a carrier.
    up: Vec<DevId>,
    /// The bond has a carrier.
    carrier: bool,
    follows: Vec<Follow>,
}

/// What follows for others.
enum Follow {
    /// A slave with this address sends an LACPDU.
    Send(DevId, Mac, Lacpdu),
    /// The bond has a carrier from now on, or none.
    Carrier(bool),
    /// A line for the log about a slave.
    Log(u8, DevId, String),
    /// The best aggregator has no partner, and no port that can be one of several.
    NoPartner,
}

/// Lets LACP work, and does what follows.
fn lacp(cx: &mut Cx, bond: DevId, work: impl FnOnce(&mut Lacp)) {
    let mut up = slaves(cx.k, bond);
    up.retain(|slave| bond_slave_is_up(cx.k, *slave));
    let netdev = &mut cx.k.devs[bond];
    let carrier = netdev.carrier;
    let Some(bonding) = netdev.bond_mut() else { return };
    let mut lacp = Lacp { bond: bonding, up, carrier, follows: Vec::new() };
    work(&mut lacp);
    for follow in lacp.follows {
        match follow {
            Follow::Send(slave, source, lacpdu) => ad_lacpdu_send(cx, slave, source, &lacpdu),
            Follow::Carrier(true) => netif_carrier_on(cx, bond),
            Follow::Carrier(false) => netif_carrier_off(cx, bond),
            Follow::Log(level, slave, text) => slave_log(cx, level, bond, slave, &text),
            Follow::NoPartner => {
                let text = "Warning: No 802.3ad response from the link partner for any adapters in the bond";
                let line = format!("{}: {text}", cx.k.devs[bond].name);
                cx.printk_limited(LOG_WARNING, |_| vec![line]);
            }
        }
    }
}

/// Sends an LACPDU by a slave. Its source is the slave's own address, not the bond's.
fn ad_lacpdu_send(cx: &mut Cx, slave: DevId, source: Mac, lacpdu: &Lacpdu) {
    let skb = cx.skbs.alloc_skb(size_of::<Lacpdu>(), slave);
    cx.skbs.data_mut(skb).copy_from_slice(lacpdu.as_bytes());
    let pkt = &mut cx.skbs[skb];
    (pkt.protocol, pkt.priority, pkt.network_header) = (ETH_P_SLOW, TC_PRIO_CONTROL, pkt.data);
    cx.skbs.push_eth(skb, EthHdr::new(LACPDU_MCAST_ADDR, source, ETH_P_SLOW));
    cx.walk(Door::DevQueueXmit { skb });
}

/// LACP begins with the first slave (`bond_3ad_initialize`).
pub(super) fn bond_3ad_initialize(cx: &mut Cx, bond: DevId) {
    let netdev = &mut cx.k.devs[bond];
    let addr = netdev.addr;
    let Some(bonding) = netdev.bond_mut() else { return };
    set_system(bonding, addr);
    bonding.ad.aggregator_identifier = 0;
    bonding.ad.agg_select_timer = AD_AGGREGATOR_SELECTION_TIMER * AD_TICKS_PER_SEC;
}

/// The priority and the address of a bond as a system; `addr`: the bond's own address.
pub(super) fn set_system(bond: &mut Bonding, addr: Mac) {
    let asked = bond.ad_actor_system;
    bond.ad.sys_mac_addr = if asked == Mac::ZERO { addr } else { asked };
    bond.ad.sys_priority = bond.opt(Opt::AdActorSysPrio) as u16;
}

/// The same of a bond that has slaves, which tell their partners (`bond_3ad_update_ad_actor_settings`).
pub(super) fn bond_3ad_update_ad_actor_settings(cx: &mut Cx, bond: DevId) {
    let netdev = &mut cx.k.devs[bond];
    let addr = netdev.addr;
    let Some(bonding) = netdev.bond_mut() else { return };
    set_system(bonding, addr);
    let system = (bonding.ad.sys_mac_addr, bonding.ad.sys_priority);
    for slave in &mut bonding.slaves {
        let port = &mut slave.ad.port;
        (port.actor_system, port.actor_system_priority) = system;
        port.ntt = true;
    }
}

/// A new slave has a port, and brings an aggregator (`bond_3ad_bind_slave`).
pub(super) fn bond_3ad_bind_slave(cx: &mut Cx, bond: DevId, dev: DevId) {
    at_slave(cx, bond, dev, |lacp, at| {
        let last = lacp.bond.ad.aggregator_identifier;
        lacp.bond.ad.aggregator_identifier = last.wrapping_add(1);
        let (ad, slave) = (&lacp.bond.ad, &mut lacp.bond.slaves[at].ad);
        slave.aggregator =
            Aggregator { aggregator_identifier: ad.aggregator_identifier, ..Aggregator::default() };
        (slave.port.actor_system, slave.port.actor_system_priority) = (ad.sys_mac_addr, ad.sys_priority);
        lacp.ad_update_actor_keys(at, false);
        lacp.disable_port(at);
    });
}

/// A slave goes: its partner is told, and other ports of its aggregator get another one (`bond_3ad_unbind_slave`).
pub(super) fn bond_3ad_unbind_slave(cx: &mut Cx, bond: DevId, dev: DevId) {
    at_slave(cx, bond, dev, |lacp, at| {
        let port = &mut lacp.bond.slaves[at].ad.port;
        let number = port.actor_port_number;
        port.actor_oper_port_state &= !(LACP_STATE_SYNCHRONIZATION
            | LACP_STATE_COLLECTING
            | LACP_STATE_DISTRIBUTING
            | LACP_STATE_AGGREGATION);
        lacp.send(at);
        lacp.replace_aggregator(at);
        let holds = |slave: &Slave| slave.ad.aggregator.lag_ports.contains(&number);
        if let Some(holder) = lacp.bond.slaves.iter().position(holds) {
            let agg = &mut lacp.bond.slaves[holder].ad.aggregator;
            agg.lag_ports.retain(|port| *port != number);
            let (was_active, is_empty) = (agg.is_active, agg.lag_ports.is_empty());
            let left = lacp.bond.active_ports(&lacp.bond.slaves[holder].ad.aggregator);
            if is_empty {
                lacp.ad_clear_agg(holder);
            }
            if left == 0 && was_active {
                lacp.active_aggregator_goes(at);
            }
        }
    });
    // The partner gets it before the link goes down.
    local_bh_enable(cx);
}

/// Does something with a slave.
fn at_slave(cx: &mut Cx, bond: DevId, dev: DevId, work: impl FnOnce(&mut Lacp, usize)) {
    lacp(cx, bond, |lacp| {
        if let Some(at) = lacp.bond.slaves.iter().position(|slave| slave.dev == dev) {
            work(lacp, at);
        }
    });
}

/// The state machines have a turn, ten times a second.
pub(super) fn bond_3ad_state_machine_handler(cx: &mut Cx, bond: DevId) {
    lacp(cx, bond, |lacp| {
        if lacp.bond.slaves.is_empty() {
            return;
        }
        if count_down(&mut lacp.bond.ad.agg_select_timer) {
            lacp.ad_agg_selection_logic();
        }
        for at in 0..lacp.bond.slaves.len() {
            lacp.ad_rx_machine(at, None);
            lacp.ad_periodic_machine(at);
            lacp.ad_port_selection_logic(at);
            lacp.ad_mux_machine(at);
            lacp.ad_tx_machine(at);
            lacp.ad_churn_machine(at);
            lacp.bond.slaves[at].ad.port.begin = false;
        }
    });
    // The partner may get what was sent before its own turn.
    local_bh_enable(cx);
    queue_delayed_work(cx, bond, Work::Ad, AD_TIMER_INTERVAL);
}

/// Takes a frame of a slave if it is one of LACP; true if it was.
pub(super) fn bond_3ad_lacpdu_recv(cx: &mut Cx, bond: DevId, skb: SkbId) -> bool {
    let (dev, protocol, at) = (cx.skbs[skb].dev, cx.skbs[skb].protocol, cx.skbs[skb].data);
    if protocol != ETH_P_SLOW || cx.skbs.eth_hdr(skb).dest() != LACPDU_MCAST_ADDR {
        return false;
    }
    let Some(lacpdu) = cx.skbs.header::<Lacpdu>(skb, at).copied() else { return false };
    if lacpdu.subtype == AD_TYPE_LACPDU {
        at_slave(cx, bond, dev, |lacp, at| lacp.ad_rx_machine(at, Some(&lacpdu)));
    }
    matches!(lacpdu.subtype, AD_TYPE_LACPDU | AD_TYPE_MARKER)
}

/// Speed or duplex of a slave may have changed (`bond_3ad_adapter_speed_duplex_changed`).
pub(super) fn bond_3ad_adapter_speed_duplex_changed(cx: &mut Cx, bond: DevId, dev: DevId) {
    at_slave(cx, bond, dev, |lacp, at| lacp.ad_update_actor_keys(at, false));
}

/// The link of a slave is up or down from now on (`bond_3ad_handle_link_change`).
pub(super) fn bond_3ad_handle_link_change(cx: &mut Cx, bond: DevId, dev: DevId, link: BondLink) {
    at_slave(cx, bond, dev, |lacp, at| {
        let works = link == BondLink::Up;
        lacp.bond.slaves[at].ad.port.is_enabled = works;
        lacp.ad_update_actor_keys(at, !works);
        lacp.ad_agg_selection_logic();
    });
}

/// The bond has a carrier if the aggregator that it sends by has enough ports (`bond_3ad_set_carrier`).
pub(super) fn bond_3ad_set_carrier(cx: &mut Cx, bond: DevId) {
    lacp(cx, bond, |lacp| lacp.set_carrier());
}

/// An aggregator is chosen at the next turn, of a bond that is set up (`bond_3ad_initiate_agg_selection`).
pub(super) fn bond_3ad_initiate_agg_selection(cx: &mut Cx, bond: DevId) {
    if let Some(bonding) = cx.k.devs[bond].bond_mut() {
        bonding.ad.agg_select_timer = 1;
    }
}

/// Ports begin the exchange or only answer, and want to hear from their partners often or rarely, as the bond's options say
/// (`bond_3ad_update_lacp_active`, `bond_3ad_update_lacp_rate`).
pub(super) fn bond_3ad_update_lacp(cx: &mut Cx, bond: DevId) {
    let Some(bonding) = cx.k.devs[bond].bond_mut() else { return };
    let [active, fast] = [Opt::LacpActive, Opt::LacpRate].map(|opt| bonding.opt(opt) != 0);
    for slave in &mut bonding.slaves {
        let state = &mut slave.ad.port.actor_oper_port_state;
        set(state, LACP_STATE_LACP_ACTIVITY, active);
        set(state, LACP_STATE_LACP_TIMEOUT, fast);
    }
}

fn set(state: &mut u8, flag: u8, on: bool) {
    *state = if on { *state | flag } else { *state & !flag };
}

/// A tick less; true if it was the last.
fn count_down(counter: &mut u16) -> bool {
    let was = *counter;
    *counter = was.saturating_sub(1);
    was == 1
}

/// The number of a slave's speed, 0 if it is unknown or the link does not work (`__get_link_speed`).
fn link_speed(slave: &Slave) -> u16 {
    let speed = slave.speed.filter(|_| slave.link == BondLink::Up);
    SPEEDS.iter().position(|known| Some(*known) == speed).map_or(0, |at| at as u16 + 2)
}

impl Lacp<'_> {
    fn log(&mut self, level: u8, at: usize, text: String) {
        self.follows.push(Follow::Log(level, self.bond.slaves[at].dev, text));
    }

    /// A slave sends and receives, if its link works (`__enable_port`).
    fn enable_port(&mut self, at: usize) {
        let slave = &mut self.bond.slaves[at];
        if slave.link == BondLink::Up && self.up.contains(&slave.dev) {
            (slave.active, slave.inactive) = (true, false);
        }
    }

    /// A slave neither sends nor receives (`__disable_port`).
    fn disable_port(&mut self, at: usize) {
        let keeps_receiving = self.bond.opt(Opt::AllSlavesActive) != 0;
        let slave = &mut self.bond.slaves[at];
        slave.active = false;
        slave.inactive |= !keeps_receiving;
    }

    /// A port's key follows the speed and the duplex of its slave; `reset`: it has none. Only full duplex takes part, and another
    /// speed lets the machines begin anew.
    fn ad_update_actor_keys(&mut self, at: usize, reset: bool) {
        let slave = &mut self.bond.slaves[at];
        let works = slave.link == BondLink::Up && !reset;
        let speed = if works { link_speed(slave) } else { 0 };
        let duplex = u16::from(works && slave.full_duplex);
        let port = &mut slave.ad.port;
        let old = port.actor_oper_port_key;
        port.actor_oper_port_key = port.user_key << 6 | speed << 1 | duplex;
        if old == port.actor_oper_port_key {
            return;
        }
        port.lacp_enabled = duplex != 0;
        port.begin |= duplex != 0 && speed != 0 && (old & AD_SPEED_KEY_MASKS) >> 1 != speed;
        if !reset && speed == 0 {
            let number = port.actor_port_number;
            self.log(LOG_ERR, at, format!("speed changed to 0 on port {number}"));
        }
    }

    /// Sends what a port knows of itself and of its partner.
    fn send(&mut self, at: usize) {
        let slave = &self.bond.slaves[at];
        let port = &slave.ad.port;
        let actor = PortParams {
            system: port.actor_system,
            system_priority: port.actor_system_priority,
            key: port.actor_oper_port_key,
            port_number: port.actor_port_number,
            port_priority: PORT_PRIORITY,
            port_state: port.actor_oper_port_state,
        };
        let lacpdu = Lacpdu::new(port_info(1, &actor), port_info(2, &port.partner_oper));
        self.follows.push(Follow::Send(slave.dev, slave.perm_hwaddr, lacpdu));
    }
}

/// A port as an LACPDU tells of it.
fn port_info(tlv_type: u8, port: &PortParams) -> PortInfo {
    PortInfo {
        tlv_type,
        length: size_of::<PortInfo>() as u8,
        system_priority: U16::new(port.system_priority),
        system: port.system.0,
        key: U16::new(port.key),
        port_priority: U16::new(port.port_priority),
        port: U16::new(port.port_number),
        state: port.port_state,
        reserved: [0; 3],
    }
}
