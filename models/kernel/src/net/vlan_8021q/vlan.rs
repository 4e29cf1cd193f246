//! VLAN devices come, go, and follow the device below them.
//!
//! Kernel: net/8021q/vlan.c

use super::vlan_dev::{LINK_OPS, vlan_sync_address};
use crate::Cx;
use crate::ids::DevId;
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev::{dev_close, dev_open, dev_set_mtu, register_netdevice, unregister_netdevice};
use crate::net::core::dev_features::netdev_update_features;
use crate::net::core::dev_upper::{netdev_upper_dev_link, netdev_upper_dev_unlink};
use crate::net::core::link_watch::{linkwatch_fire_event, netif_stacked_transfer_operstate};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::NetDevice;
use crate::tables::netdev_features::{HW_VLAN_CTAG_FILTER, VLAN_CHALLENGED};
use crate::tables::vlan::{VLAN_FLAG_LOOSE_BINDING, VlanDev};
use crate::tables::vlan_tag::VlanProto;

/// The module.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    init: Some(vlan_proto_init),
    netdevice_event: Some(vlan_device_event),
    ..Module::named("8021q")
};

/// The module is loaded, by a user or for the first VLAN device.
fn vlan_proto_init(cx: &mut Cx) {
    cx.k.config.vlan_8021q = true;
}

/// How many devices may lie over each other (`MAX_NEST_DEV`).
const MAX_NEST_DEV: usize = 8;

/// A device can have a VLAN device of this tag.
///
/// # Errors
///
/// `EOPNOTSUPP` for devices like `lo`, `EEXIST` if there is one.
pub(super) fn vlan_check_real_dev(
    cx: &mut Cx,
    real_dev: DevId,
    proto: VlanProto,
    vid: u16,
) -> Result<(), NlError> {
    let netdev = &cx.k.devs[real_dev];
    if netdev.features & VLAN_CHALLENGED != 0 || netdev.arphrd != Arphrd::Ether {
        let line = format!("8021q: VLANs not supported on {}", netdev.name);
        cx.printk(LOG_INFO, line);
        return Err(NlError::with(Errno::EOPNOTSUPP, "8021q: VLANs not supported on device"));
    }
    if netdev.vlans.contains_key(&(proto, vid)) {
        return Err(NlError::with(Errno::EEXIST, "8021q: VLAN device already exists"));
    }
    Ok(())
}

/// How many devices lie below a device, one over the other.
fn depth(cx: &Cx, dev: DevId) -> usize {
    cx.k.devs[dev].lowers.iter().map(|lower| 1 + depth(cx, *lower)).max().unwrap_or(0)
}

/// Registers a VLAN device.
pub(super) fn register_vlan_dev(cx: &mut Cx, dev: NetDevice, vlan: VlanDev) -> Result<DevId, NlError> {
    vlan_proto_init(cx);
    let (real_dev, key) = (vlan.real_dev, (vlan.vlan_proto, vlan.vlan_id));
    let dev = register_netdevice(cx, dev)?;
    netdev_update_features(cx, dev);
    if depth(cx, real_dev) + 1 >= MAX_NEST_DEV {
        unregister_netdevice(cx, dev);
        return Err(Errno::EMLINK.into());
    }
    netdev_upper_dev_link(cx, real_dev, dev);
    netif_stacked_transfer_operstate(cx, real_dev, dev);
    linkwatch_fire_event(cx, dev);
    cx.k.devs[real_dev].vlans.insert(key, dev);
    Ok(dev)
}

/// Unregisters a VLAN device.
pub fn unregister_vlan_dev(cx: &mut Cx, dev: DevId) {
    if let Some(vlan) = cx.k.devs[dev].vlan_dev_priv() {
        let (real_dev, key) = (vlan.real_dev, (vlan.vlan_proto, vlan.vlan_id));
        cx.k.devs[real_dev].vlans.remove(&key);
        netdev_upper_dev_unlink(cx, real_dev, dev);
    }
    unregister_netdevice(cx, dev);
}

/// It may be up while the device below is down.
fn is_loose(cx: &Cx, dev: DevId) -> bool {
    cx.k.devs[dev].vlan_dev_priv().is_some_and(|vlan| vlan.flags & VLAN_FLAG_LOOSE_BINDING != 0)
}

/// Something happened to a device with VLAN devices over it.
fn vlan_device_event(cx: &mut Cx, real_dev: DevId, event: NetdevEvent) {
    let netdev = &cx.k.devs[real_dev];
    if event == NetdevEvent::Up && cx.k.config.vlan_8021q && netdev.features & HW_VLAN_CTAG_FILTER != 0 {
        // Frames with a priority and no VLAN pass the filter.
        cx.printk(LOG_INFO, format!("8021q: adding VLAN 0 to HW filter on device {}", netdev.name));
    }
    if cx.k.devs[real_dev].vlans.is_empty() {
        return;
    }
    let vlans: Vec<DevId> = cx.k.devs[real_dev].vlans.values().copied().collect();
    match event {
        NetdevEvent::Change { .. } => {
            vlans.iter().for_each(|dev| netif_stacked_transfer_operstate(cx, real_dev, *dev));
        }
        NetdevEvent::ChangeAddr => {
            for dev in vlans {
                if cx.k.devs[dev].is_up() {
                    vlan_sync_address(cx, real_dev, dev);
                }
            }
        }
        NetdevEvent::NotifyPeers => {
            vlans.iter().for_each(|dev| call_netdevice_notifiers(cx, *dev, NetdevEvent::NotifyPeers));
        }
        NetdevEvent::ChangeMtu { .. } => follow_mtu(cx, real_dev, vlans),
        NetdevEvent::FeatChange => {
            for dev in vlans {
                cx.k.devs[dev].tso_max_size = cx.k.devs[real_dev].tso_max_size;
                netdev_update_features(cx, dev);
            }
        }
        NetdevEvent::Down => {
            let closes = |cx: &Cx, dev: DevId| cx.k.devs[dev].is_up() && !is_loose(cx, dev);
            let closed: Vec<DevId> = vlans.into_iter().filter(|dev| closes(cx, *dev)).collect();
            closed.iter().for_each(|dev| dev_close(cx, *dev));
            closed.iter().for_each(|dev| netif_stacked_transfer_operstate(cx, real_dev, *dev));
        }
        NetdevEvent::Up => {
            for dev in vlans {
                if cx.k.devs[dev].is_up() {
                    continue;
                }
                if !is_loose(cx, dev) {
                    // A device that does not come up stays down.
                    let _ = dev_open(cx, dev);
                }
                netif_stacked_transfer_operstate(cx, real_dev, dev);
            }
        }
        NetdevEvent::Unregister if cx.k.devs[real_dev].unregistering => {
            vlans.iter().for_each(|dev| unregister_vlan_dev(cx, *dev));
        }
        _ => {}
    }
}

/// No VLAN device has a greater MTU than the device below.
fn follow_mtu(cx: &mut Cx, real_dev: DevId, vlans: Vec<DevId>) {
    let mtu = cx.k.devs[real_dev].mtu;
    for dev in vlans {
        if cx.k.devs[dev].mtu > mtu {
            // Refused, it keeps its own.
            let _ = dev_set_mtu(cx, dev, mtu);
        }
    }
}
