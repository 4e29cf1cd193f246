//! Which ports receive all frames.
//!
//! A bridge that filters VLANs knows which stations a port has to receive frames to, if no other port learns or floods. Such a port
//! takes frames to the stations of the static entries of the forwarding database only, if its device can.
//!
//! Kernel: net/bridge/br_if.c, net/bridge/br_fdb.c

use glassnet_wire::Mac;

use super::br_fdb::bridge_mut;
use crate::Cx;
use crate::ids::DevId;
use crate::net::core::dev_addr_lists::{dev_uc_add, dev_uc_del};
use crate::net::core::dev_rx_mode::dev_set_promiscuity;
use crate::tables::bridge::BridgePort;
use crate::tables::netdev::IFF_PROMISC;

/// Looks at all ports anew: what they are to receive may have changed (`br_manage_promisc`).
pub(super) fn br_manage_promisc(cx: &mut Cx, bridge: DevId) {
    let Some(br) = cx.k.devs[bridge].bridge() else { return };
    let set_all = cx.k.devs[bridge].flags & IFF_PROMISC != 0 || !br.conf.vlan_filtering;
    let ports = br.ports.clone();
    let auto = ports.iter().filter(|port| is_auto(cx, **port)).count();
    for port in ports {
        let is_known = auto == 0 || auto == 1 && is_auto(cx, port);
        br_port_set_promisc(cx, bridge, port, set_all || !is_known || !cx.k.devs[port].unicast_flt);
    }
}

/// The port learns or floods (`br_auto_port`).
fn is_auto(cx: &Cx, port: DevId) -> bool {
    cx.k.devs[port].port.as_ref().is_some_and(|port| port.flags.learning || port.flags.flood)
}

/// The port receives all frames (`BR_PROMISC`).
fn br_promisc_port(cx: &Cx, port: DevId) -> bool {
    cx.k.devs[port].port.as_ref().is_some_and(|port| port.promisc)
}

fn br_port_set_promisc(cx: &mut Cx, bridge: DevId, port: DevId, on: bool) {
    if br_promisc_port(cx, port) == on {
        return;
    }
    if on {
        dev_set_promiscuity(cx, port, 1);
        br_fdb_sync_static(cx, bridge, port, dev_uc_del);
    } else {
        br_fdb_sync_static(cx, bridge, port, dev_uc_add);
        dev_set_promiscuity(cx, port, -1);
    }
    if let Some(port) = cx.k.devs[port].port.as_mut() {
        port.promisc = on;
    }
}

/// Does something with a port for each static entry.
fn br_fdb_sync_static(cx: &mut Cx, bridge: DevId, port: DevId, does: fn(&mut Cx, DevId, Mac)) {
    let all = bridge_mut(cx, bridge).fdb.iter();
    let stations: Vec<Mac> = all.filter(|entry| entry.is_static).map(|entry| entry.mac).collect();
    stations.into_iter().for_each(|mac| does(cx, port, mac));
}

/// A new port.
pub(super) fn port_comes(cx: &mut Cx, bridge: DevId, port: DevId) {
    br_manage_promisc(cx, bridge);
    if !br_promisc_port(cx, port) && cx.k.devs[port].unicast_flt {
        br_fdb_sync_static(cx, bridge, port, dev_uc_add);
    }
}

/// A port that leaves takes what it takes without a bridge (`nbp_delete_promisc`).
pub(super) fn nbp_delete_promisc(cx: &mut Cx, bridge: DevId, port: DevId) {
    if br_promisc_port(cx, port) {
        dev_set_promiscuity(cx, port, -1);
    } else {
        br_fdb_sync_static(cx, bridge, port, dev_uc_del);
    }
}

/// A static entry comes (`fdb_add_hw_addr`) or goes (`fdb_del_hw_addr`): ports that do not receive all frames are told.
pub(super) fn fdb_hw_addr(cx: &mut Cx, bridge: DevId, mac: Mac, does: fn(&mut Cx, DevId, Mac)) {
    for port in bridge_mut(cx, bridge).ports.clone() {
        if !br_promisc_port(cx, port) {
            does(cx, port, mac);
        }
    }
}

/// Changes flags of a port (`br_port_flags_change`).
pub(super) fn set_port_flags(cx: &mut Cx, dev: DevId, set: impl FnOnce(&mut BridgePort)) {
    let Some(port) = cx.k.devs[dev].port.as_mut() else { return };
    set(port);
    let bridge = port.bridge;
    br_manage_promisc(cx, bridge);
}
