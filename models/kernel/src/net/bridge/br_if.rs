//! Adding and removing ports, and device events of ports and bridges.
//!
//! Kernel: net/bridge/br_if.c, net/bridge/br.c

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::br_device::LINK_OPS;
use super::br_fdb::{br_fdb_delete_by_port, fdb_add_local, fdb_change_local};
use super::br_fdb_gc::{start_gc, stop_gc};
use super::br_multicast::br_multicast_leave_snoopers;
use super::br_promisc::{br_manage_promisc, nbp_delete_promisc, port_comes};
use super::br_stp::{br_port_state_selection, br_set_state, br_stp_disable_port, br_stp_enable_port, is_in};
use super::br_vlan::join_default_vlan;
use crate::Cx;
use crate::door::Door;
use crate::ids::DevId;
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev_features::netdev_update_features;
use crate::net::core::dev_rx_mode::dev_set_allmulti;
use crate::net::core::dev_upper::{
    netdev_master_upper_dev_link, netdev_rx_handler_register, netdev_rx_handler_unregister,
    netdev_upper_dev_unlink,
};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::ethernet::eth::ETH_DATA_LEN;
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::bridge::{BridgePort, PortFlags, PortState, VlanGroup};
use crate::tables::netdev::{AddrAssign, TSO_MAX_SIZE};

/// The module.
pub static MODULE: Module =
    Module { links: &[&LINK_OPS], netdevice_event: Some(br_device_event), ..Module::named("bridge") };

/// Maximum number of ports (`BR_MAX_PORTS`, ten bits of the port identifier).
const BR_MAX_PORTS: u16 = 1 << 10;
/// Default port priority.
const PORT_PRIORITY: u8 = 32;

/// Makes a device a port.
///
/// # Errors
///
/// `EINVAL` for what is no Ethernet, `ELOOP` for a bridge, `EXFULL`, here `EBUSY`, when the bridge is full.
pub fn br_add_if(cx: &mut Cx, bridge: DevId, dev: DevId) -> Result<(), NlError> {
    let netdev = &cx.k.devs[dev];
    if netdev.arphrd != Arphrd::Ether {
        return Err(Errno::EINVAL.into());
    }
    if netdev.bridge().is_some() {
        return Err(NlError::with(Errno::ELOOP, "Can not enslave a bridge to a bridge"));
    }
    let port_no = find_portno(cx, bridge).ok_or(Errno::EBUSY)?;
    netdev_master_upper_dev_link(cx, dev, bridge)?;
    cx.k.devs[dev].port = Some(BridgePort {
        bridge,
        port_no,
        state: PortState::Disabled,
        promisc: false,
        vlan_filtering: cx.k.devs[bridge].bridge().is_some_and(|br| br.conf.vlan_filtering),
        flags: PortFlags::default(),
        path_cost: port_cost(cx, dev),
        admin_cost: false,
        priority: PORT_PRIORITY,
        group_fwd_mask: 0,
        forward_delay_timer: Nanos::ZERO,
        vlgrp: VlanGroup::default(),
    });
    br_set_state(cx, dev, PortState::Blocking);
    br_set_state(cx, dev, PortState::Disabled);
    netdev_rx_handler_register(cx, dev, |skb| Door::BrHandleFrame { skb }).inspect_err(|_| {
        cx.k.devs[dev].port = None;
        netdev_upper_dev_unlink(cx, dev, bridge);
    })?;
    let addr = cx.k.devs[dev].addr;
    cx.k.devs[bridge].bridge_mut().ok_or(Errno::EINVAL)?.ports.insert(0, dev);
    dev_set_allmulti(cx, dev, 1);
    port_comes(cx, bridge, dev);
    fdb_add_local(cx, bridge, Some(dev), addr);
    join_default_vlan(cx, bridge, dev);
    br_stp_recalculate_bridge_id(cx, bridge);
    enable_if_it_works(cx, dev);
    br_mtu_auto_adjust(cx, bridge);
    br_set_gso_limits(cx, bridge);
    netdev_update_features(cx, bridge);
    Ok(())
}

/// STP path cost of a link speed; 100 if unknown.
fn port_cost(cx: &Cx, dev: DevId) -> u32 {
    let netdev = &cx.k.devs[dev];
    match netdev.ops.ethtool.get_link_ksettings.and_then(|get| get(cx.k, netdev).speed) {
        Some(10_001..) => 1,
        Some(10_000) => 2,
        Some(5000) => 3,
        Some(2500) => 4,
        Some(1000) => 5,
        Some(100) => 19,
        _ => 100,
    }
}

/// The GSO limits of a bridge are the lowest of its ports (`br_set_gso_limits`).
fn br_set_gso_limits(cx: &mut Cx, bridge: DevId) {
    let Some(br) = cx.k.devs[bridge].bridge() else { return };
    let lowest = br.ports.iter().map(|port| cx.k.devs[*port].tso_max_size).min();
    cx.k.devs[bridge].tso_max_size = lowest.unwrap_or(TSO_MAX_SIZE);
}

/// The lowest free port number.
fn find_portno(cx: &Cx, bridge: DevId) -> Option<u16> {
    let mut taken = [false; BR_MAX_PORTS as usize];
    for port in &cx.k.devs[bridge].bridge()?.ports {
        taken[usize::from(cx.k.devs[*port].port.as_ref()?.port_no)] = true;
    }
    (1..BR_MAX_PORTS).find(|no| !taken[usize::from(*no)])
}

/// Removes a port.
pub fn br_del_if(cx: &mut Cx, bridge: DevId, dev: DevId) {
    dev_set_allmulti(cx, dev, -1);
    nbp_delete_promisc(cx, bridge, dev);
    br_stp_disable_port(cx, dev);
    if let Some(br) = cx.k.devs[bridge].bridge_mut() {
        br.ports.retain(|port| *port != dev);
    }
    br_manage_promisc(cx, bridge);
    br_fdb_delete_by_port(cx, bridge, dev, true);
    cx.k.devs[dev].port = None;
    netdev_rx_handler_unregister(cx, dev);
    netdev_upper_dev_unlink(cx, dev, bridge);
    br_stp_recalculate_bridge_id(cx, bridge);
    br_mtu_auto_adjust(cx, bridge);
    br_set_gso_limits(cx, bridge);
    netdev_update_features(cx, bridge);
}

/// Device event of a port, or of a bridge.
fn br_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if cx.k.devs[dev].bridge().is_some() {
        return bridge_event(cx, dev, event);
    }
    let Some(bridge) = cx.k.devs[dev].port.as_ref().map(|port| port.bridge) else { return };
    match event {
        NetdevEvent::ChangeAddr => {
            let addr = cx.k.devs[dev].addr;
            fdb_change_local(cx, bridge, Some(dev), addr);
            br_stp_recalculate_bridge_id(cx, bridge);
        }
        NetdevEvent::ChangeMtu { .. } => br_mtu_auto_adjust(cx, bridge),
        NetdevEvent::FeatChange => netdev_update_features(cx, bridge),
        NetdevEvent::Up => {
            // The carrier of a card comes after it, which is a change of its own.
            update_cost(cx, dev);
            enable_if_it_works(cx, dev);
        }
        NetdevEvent::Down if cx.k.devs[bridge].is_up() => br_stp_disable_port(cx, dev),
        NetdevEvent::Down => {}
        NetdevEvent::Change { .. } => br_port_carrier_check(cx, dev),
        NetdevEvent::Unregister => br_del_if(cx, bridge, dev),
        NetdevEvent::Register
        | NetdevEvent::ChangeName
        | NetdevEvent::GoingDown
        | NetdevEvent::ChangeUpper
        | NetdevEvent::NotifyPeers => {}
    }
}

fn bridge_event(cx: &mut Cx, bridge: DevId, event: NetdevEvent) {
    match event {
        NetdevEvent::ChangeAddr => {
            let addr = cx.k.devs[bridge].addr;
            let user = cx.k.devs[bridge].addr_assign == AddrAssign::Set;
            let Some(br) = cx.k.devs[bridge].bridge_mut() else { return };
            br.conf.addr_is_set |= user;
            // The same address given again changes nothing else (`br_set_mac_address`).
            if std::mem::replace(&mut br.addr, addr) == addr {
                return;
            }
            fdb_change_local(cx, bridge, None, addr);
            br_port_state_selection(cx, bridge);
        }
        NetdevEvent::Register => {
            let addr = cx.k.devs[bridge].addr;
            if let Some(br) = cx.k.devs[bridge].bridge_mut() {
                br.addr = addr;
            }
        }
        // The kernel does this in `br_dev_open` and `br_dev_stop`.
        NetdevEvent::Up => {
            start_gc(cx, bridge);
            ports(cx, bridge).into_iter().for_each(|port| enable_if_it_works(cx, port));
        }
        NetdevEvent::Down => {
            stop_gc(cx, bridge);
            for port in ports(cx, bridge) {
                if !is_in(cx, port, PortState::Disabled) {
                    br_stp_disable_port(cx, port);
                }
            }
        }
        // The kernel does this in `br_dev_stop`, before the device is down.
        NetdevEvent::GoingDown => br_multicast_leave_snoopers(cx, bridge),
        _ => {}
    }
}

fn ports(cx: &Cx, bridge: DevId) -> Vec<DevId> {
    cx.k.devs[bridge].bridge().map(|br| br.ports.clone()).unwrap_or_default()
}

/// Enables the port of a device that works, if its bridge is up.
fn enable_if_it_works(cx: &mut Cx, dev: DevId) {
    let bridge_is_up = cx.k.devs[dev].port.as_ref().is_some_and(|port| cx.k.devs[port.bridge].is_up());
    if bridge_is_up && cx.k.devs[dev].is_running() {
        br_stp_enable_port(cx, dev);
    }
}

/// A port that works has the path cost of its speed, unless it was given one.
fn update_cost(cx: &mut Cx, dev: DevId) {
    let (works, cost) = (cx.k.devs[dev].is_running(), port_cost(cx, dev));
    if let Some(port) = cx.k.devs[dev].port.as_mut().filter(|port| works && !port.admin_cost) {
        port.path_cost = cost;
    }
}

/// The operational state of a port changed: updates its path cost, and enables or disables it.
fn br_port_carrier_check(cx: &mut Cx, dev: DevId) {
    let works = cx.k.devs[dev].is_running();
    update_cost(cx, dev);
    let Some(port) = cx.k.devs[dev].port.as_ref() else { return };
    let (bridge, is_enabled) = (port.bridge, port.state != PortState::Disabled);
    if !cx.k.devs[bridge].is_up() || is_enabled == works {
        return;
    }
    if works { br_stp_enable_port(cx, dev) } else { br_stp_disable_port(cx, dev) }
}

/// The bridge's address is the lowest of its ports, unless a user set it.
fn br_stp_recalculate_bridge_id(cx: &mut Cx, bridge: DevId) {
    let Some(br) = cx.k.devs[bridge].bridge() else { return };
    if br.conf.addr_is_set {
        return;
    }
    // Zero without ports, as in the kernel.
    let lowest = br.ports.iter().map(|port| cx.k.devs[*port].addr).min().unwrap_or(Mac::ZERO);
    if cx.k.devs[bridge].addr != lowest {
        cx.k.devs[bridge].addr = lowest;
        call_netdevice_notifiers(cx, bridge, NetdevEvent::ChangeAddr);
    }
}

/// The bridge's MTU is the lowest of its ports, without ports that of Ethernet, unless a user set it (`br_mtu_auto_adjust`).
fn br_mtu_auto_adjust(cx: &mut Cx, bridge: DevId) {
    let Some(br) = cx.k.devs[bridge].bridge().filter(|br| !br.conf.mtu_is_set) else { return };
    let lowest = br.ports.iter().map(|port| cx.k.devs[*port].mtu).min().unwrap_or(ETH_DATA_LEN);
    if cx.k.devs[bridge].mtu != lowest {
        let old = std::mem::replace(&mut cx.k.devs[bridge].mtu, lowest);
        call_netdevice_notifiers(cx, bridge, NetdevEvent::ChangeMtu { old });
    }
}
