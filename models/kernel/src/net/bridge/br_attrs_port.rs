//! Attributes of a bridge port.
//!
//! Kernel: net/bridge/br_netlink.c (`br_setport`, `br_port_fill_attrs`), net/bridge/br_sysfs_if.c

use super::br_attrs::{Access, BrAttr, Unit, attrs};
use super::br_attrs_bridge::bridge_id;
use super::br_fdb::br_fdb_delete_by_port;
use super::br_promisc::set_port_flags;
use super::br_stp::{br_port_state_selection, br_set_state};
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};
use crate::tables::bridge::{BridgePort, PortState};
use crate::tables::netdev::NetDevice;
use crate::{Cx, Kernel};

/// Pause frames, which no port ever forwards (`BR_GROUPFWD_MACPAUSE`).
const BR_GROUPFWD_MACPAUSE: u64 = 0b10;
/// Greatest path cost of a port (`BR_MAX_PATH_COST`).
const BR_MAX_PATH_COST: u64 = 65_535;
/// Greatest priority of a port (`BR_MAX_PORT_PRIORITY`).
const BR_MAX_PORT_PRIORITY: u64 = 63;

fn set_port(cx: &mut Cx, dev: DevId, set: impl FnOnce(&mut BridgePort)) {
    if let Some(port) = cx.k.devs[dev].port.as_mut() {
        set(port);
    }
}

/// A flag of the port.
macro_rules! flag {
    ($field:ident) => {
        Access::ReadWrite(
            |_, dev| Some(u64::from(dev.port.as_ref()?.flags.$field)),
            |cx, dev, value| set_port_flags(cx, dev, |port| port.flags.$field = value != 0),
        )
    };
}

/// The spanning tree does not run: no cost to the root, no notification, no timer.
const NO_STP: Access = Access::ReadOnly(|_, _| Some(0));
const OFF: Access = Access::Fixed(0);

/// `br_set_port_state`
fn set_state(cx: &mut Cx, dev: DevId, value: u64) {
    if let Some(state) = PortState::ALL.get(value as usize) {
        br_set_state(cx, dev, *state);
    }
    if let Some(bridge) = cx.k.devs[dev].port.as_ref().map(|port| port.bridge) {
        br_port_state_selection(cx, bridge);
    }
}

/// What `br_set_port_state` refuses.
fn check_state(_: &Kernel, dev: &NetDevice, value: u64) -> Result<(), NlError> {
    let dead = !dev.is_up() || !dev.carrier && value != PortState::Disabled as u64;
    if dead { Err(Errno::ENETDOWN.into()) } else { Ok(()) }
}

/// The port identifier: 6 bits of priority, 10 bits of port number.
fn port_id(dev: &NetDevice) -> Option<u64> {
    let port = dev.port.as_ref()?;
    Some(u64::from(port.priority) << 10 | u64::from(port.port_no))
}

const fn switch(name: &'static str, file: &'static str, access: Access) -> BrAttr {
    BrAttr::new(name, Some(file), Unit::Bool, access)
}

const fn status(name: &'static str, file: &'static str, unit: Unit, access: Access) -> BrAttr {
    BrAttr::new(name, Some(file), unit, access)
}

attrs! {
    /// All, in the order in which `ip link` looks an abbreviated name up.
    PORT_ATTRS:

    /// Deletes the FDB entries that were learned on the port.
    FDB_FLUSH = BrAttr::new("fdb_flush", Some("flush"), Unit::Bool, Access::WriteOnly(|cx, dev, _| {
        if let Some(bridge) = cx.k.devs[dev].port.as_ref().map(|port| port.bridge) {
            br_fdb_delete_by_port(cx, bridge, dev, false);
        }
    }));
    /// STP path cost.
    COST = BrAttr::new("cost", Some("path_cost"), Unit::Number, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.port.as_ref()?.path_cost)),
        |cx, dev, value| set_port(cx, dev, |port| (port.path_cost, port.admin_cost) = (value as u32, true)),
    )).valid(|_, _, value| {
        if (1..=BR_MAX_PATH_COST).contains(&value) { Ok(()) } else { Err(Errno::ERANGE.into()) }
    });
    /// STP port priority.
    PRIORITY = BrAttr::new("priority", Some("priority"), Unit::Number, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.port.as_ref()?.priority)),
        |cx, dev, value| set_port(cx, dev, |port| port.priority = value as u8),
    )).max(u8::MAX as u64).valid(|_, _, value| {
        if value <= BR_MAX_PORT_PRIORITY { Ok(()) } else { Err(Errno::ERANGE.into()) }
    });
    /// STP state; sysfs only reads it.
    STATE = BrAttr::new("state", Some("state"), Unit::State, Access::ReadWrite(
        |_, dev| Some(dev.port.as_ref()?.state as u64), set_state,
    )).max(PortState::Blocking as u64).valid(check_state);
    /// Hairpin mode: a frame may be sent back through its ingress port.
    HAIRPIN = switch("hairpin", "hairpin_mode", flag!(hairpin));
    /// BPDU guard.
    GUARD = switch("guard", "bpdu_guard", flag!(guard));
    /// Root guard.
    ROOT_BLOCK = switch("root_block", "root_block", flag!(root_block));
    /// Fast leave of multicast groups.
    FASTLEAVE = switch("fastleave", "multicast_fast_leave", flag!(fastleave));
    /// Address learning.
    LEARNING = switch("learning", "learning", flag!(learning));
    /// Flooding of unknown unicast.
    FLOOD = switch("flood", "unicast_flood", flag!(flood));
    /// Flooding of unknown multicast.
    MCAST_FLOOD = switch("mcast_flood", "multicast_flood", flag!(mcast_flood));
    /// Flooding of broadcast.
    BCAST_FLOOD = switch("bcast_flood", "broadcast_flood", flag!(bcast_flood));
    /// Isolated ports do not reach each other.
    ISOLATED = switch("isolated", "isolated", flag!(isolated));
    /// Link-local groups that are forwarded.
    GROUP_FWD_MASK = BrAttr::new("group_fwd_mask", Some("group_fwd_mask"), Unit::GroupMask, Access::ReadWrite(
        |_, dev| Some(u64::from(dev.port.as_ref()?.group_fwd_mask)),
        |cx, dev, value| set_port(cx, dev, |port| port.group_fwd_mask = value as u16),
    )).valid(|_, _, value| {
        let bad = value & BR_GROUPFWD_MACPAUSE != 0;
        if bad { Err(Errno::EINVAL.into()) } else { Ok(()) }
    });
    /// Proxy ARP.
    PROXY_ARP = switch("proxy_arp", "proxyarp", OFF);
    /// Proxy ARP between stations of one port (IEEE 802.11).
    PROXY_ARP_WIFI = switch("proxy_arp_wifi", "proxyarp_wifi", OFF);
    /// Multicast is sent to each member as unicast.
    MCAST_TO_UNICAST = switch("mcast_to_unicast", "multicast_to_unicast", OFF);
    /// ARP requests for known neighbours are answered by the bridge.
    NEIGH_SUPPRESS = switch("neigh_suppress", "neigh_suppress", OFF);
    /// VLANs are mapped to tunnels.
    VLAN_TUNNEL = BrAttr::new("vlan_tunnel", None, Unit::Bool, OFF);
    /// Only stations with an FDB entry may send.
    LOCKED = BrAttr::new("locked", None, Unit::Bool, flag!(locked));
    /// Multicast router: 0 never, 1 if queries are seen, 2 always.
    MCAST_ROUTER = BrAttr::new("mcast_router", Some("multicast_router"), Unit::Number, Access::Fixed(1))
        .max(u8::MAX as u64);
    /// Port that gets the frames while this one has no carrier.
    BACKUP_PORT = BrAttr::new("backup_port", Some("backup_port"), Unit::Device, Access::Fixed(0));
    /// Port identifier.
    PORT_ID = status("port_id", "port_id", Unit::Hex, Access::ReadOnly(|_, dev| port_id(dev)));
    /// Port number, from 1.
    PORT_NO = status("port_no", "port_no", Unit::Hex, Access::ReadOnly(|_, dev| {
        Some(u64::from(dev.port.as_ref()?.port_no))
    }));
    /// Port identifier of the designated port: this one.
    DESIGNATED_PORT =
        status("designated_port", "designated_port", Unit::Number, Access::ReadOnly(|_, dev| port_id(dev)));
    /// Path cost of the designated port to the root bridge.
    DESIGNATED_COST = status("designated_cost", "designated_cost", Unit::Number, NO_STP);
    /// Bridge identifier of the designated bridge: that of this port.
    DESIGNATED_BRIDGE = status("designated_bridge", "designated_bridge", Unit::BridgeId, Access::ReadOnly(
        |kernel, dev| bridge_id(&kernel.devs[dev.port.as_ref()?.bridge]),
    ));
    /// Bridge identifier of the root bridge: that of this port.
    DESIGNATED_ROOT = status("designated_root", "designated_root", Unit::BridgeId, Access::ReadOnly(
        |kernel, dev| bridge_id(&kernel.devs[dev.port.as_ref()?.bridge]),
    ));
    /// Until the next BPDU may be sent.
    HOLD_TIMER = status("hold_timer", "hold_timer", Unit::Timer, NO_STP);
    /// Until the received BPDU is too old.
    MESSAGE_AGE_TIMER = status("message_age_timer", "message_age_timer", Unit::Timer, NO_STP);
    /// Until the next state.
    FORWARD_DELAY_TIMER = status(
        "forward_delay_timer",
        "forward_delay_timer",
        Unit::Timer,
        Access::Timer(|dev, _| Some(dev.port.as_ref()?.forward_delay_timer)),
    );
    /// A topology change is to be acknowledged.
    TOPOLOGY_CHANGE_ACK = status("topology_change_ack", "change_ack", Unit::Number, NO_STP);
    /// A BPDU is to be sent when the hold timer ends.
    CONFIG_PENDING = status("config_pending", "config_pending", Unit::Number, NO_STP);
}
