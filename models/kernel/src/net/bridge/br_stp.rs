//! States of ports. The spanning tree does not run, so an enabled port is forwarding at once.
//!
//! Kernel: net/bridge/br_stp.c, net/bridge/br_stp_if.c

use glassnet_sim::Nanos;

use super::br_fdb::br_fdb_delete_by_port;
use crate::Cx;
use crate::ids::DevId;
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::tables::bridge::PortState;
use crate::tables::jiffies::last_tick;
use crate::tables::klog::LOG_INFO;

/// Sets the state of a port, and logs it even if the port has it already.
pub(super) fn br_set_state(cx: &mut Cx, dev: DevId, state: PortState) {
    let Some(port) = cx.k.devs[dev].port.as_mut() else { return };
    port.state = state;
    let (bridge, port_no) = (port.bridge, port.port_no);
    let [bridge, port] = [bridge, dev].map(|dev| &cx.k.devs[dev].name);
    let line = format!("{bridge}: port {port_no}({port}) entered {} state", state.name());
    cx.printk(LOG_INFO, line);
}

/// Without STP a blocking port becomes forwarding. The bridge has a carrier while a port is forwarding; before the first call
/// its carrier is on.
pub fn br_port_state_selection(cx: &mut Cx, bridge: DevId) {
    let Some(br) = cx.k.devs[bridge].bridge() else { return };
    let mut forwards = false;
    for port in br.ports.clone() {
        if is_in(cx, port, PortState::Blocking) {
            br_set_state(cx, port, PortState::Forwarding);
        }
        forwards |= is_in(cx, port, PortState::Forwarding);
    }
    if forwards { netif_carrier_on(cx, bridge) } else { netif_carrier_off(cx, bridge) }
}

/// Enables a port.
pub(super) fn br_stp_enable_port(cx: &mut Cx, dev: DevId) {
    let Some(bridge) = cx.k.devs[dev].port.as_ref().map(|port| port.bridge) else { return };
    br_set_state(cx, dev, PortState::Blocking);
    let delay = cx.k.devs[bridge].bridge().map_or(Nanos::ZERO, |br| br.conf.forward_delay);
    if let Some(port) = cx.k.devs[dev].port.as_mut().filter(|_| delay != Nanos::ZERO) {
        port.forward_delay_timer = last_tick(cx.now) + delay;
    }
    br_port_state_selection(cx, bridge);
}

/// Disables a port, and forgets the stations behind it.
pub(super) fn br_stp_disable_port(cx: &mut Cx, dev: DevId) {
    br_set_state(cx, dev, PortState::Disabled);
    let Some(port) = cx.k.devs[dev].port.as_mut() else { return };
    port.forward_delay_timer = Nanos::ZERO;
    let bridge = port.bridge;
    br_fdb_delete_by_port(cx, bridge, dev, false);
    br_port_state_selection(cx, bridge);
}

/// A device is a port in this state.
pub(super) fn is_in(cx: &Cx, dev: DevId, state: PortState) -> bool {
    cx.k.devs[dev].port.as_ref().is_some_and(|port| port.state == state)
}
