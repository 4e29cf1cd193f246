//! Devices of `ipvlan`: made, changed and deleted, and their addresses.
//!
//! Kernel: drivers/net/ipvlan/ipvlan_main.c

use std::net::Ipv4Addr;

use super::ipvlan_l3s::{ipvlan_l3s_register, ipvlan_l3s_unregister, ipvlan_migrate_l3s_hook};
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkInfo, LinkKsettings, LinkOps, NewLink};
use crate::module::{InetaddrEvent, Module, NetdevEvent};
use crate::net::core::dev::{dev_change_flags, register_netdevice, unregister_netdevice};
use crate::net::core::dev_features::{netdev_increment_features, netdev_update_features};
use crate::net::core::dev_rx_mode::sync_rx_mode;
use crate::net::core::dev_upper::{
    netdev_rx_handler_register, netdev_rx_handler_unregister, netdev_upper_dev_link, netdev_upper_dev_unlink,
};
use crate::net::core::link_watch::netif_stacked_transfer_operstate;
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::ethernet::eth::{ETH_MAX_MTU, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::drop_reason::DropReason;
use crate::tables::ipvlan::{IpvlDev, IpvlPort, IpvlanMode};
use crate::tables::klog::LOG_ERR;
use crate::tables::mc_filter::McFilter;
use crate::tables::netdev::{AddrAssign, IFF_NOARP, NetDevice, RxMode};
use crate::tables::netdev_features::{
    ALL_FOR_ALL, ALL_TSO, FRAGLIST, GRO, GSO, GSO_ENCAP_ALL, GSO_ROBUST, GSO_SOFTWARE, HIGHDMA, HW_CSUM,
    HW_VLAN_CTAG_FILTER, HW_VLAN_STAG_FILTER, LLTX, RXCSUM, SG, VLAN_CHALLENGED,
};
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    netdevice_event: Some(ipvlan_device_event),
    inetaddr_validator: Some(ipvlan_addr4_validator_event),
    inetaddr_event: Some(ipvlan_addr4_event),
    ..Module::named("ipvlan")
};

/// Link kind `ipvlan`.
static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(ipvlan_link_new),
    changelink: Some(ipvlan_nl_changelink),
    dellink: Some(ipvlan_link_delete),
    open: Some(ipvlan_open),
    stop: Some(ipvlan_stop),
    has_fixed_address: true,
    set_rx_mode: Some(ipvlan_set_multicast_mac_filter),
    fix_features: Some(ipvlan_fix_features),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "ipvlan".to_owned(),
            version: "0.1",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_link_ksettings: Some(ipvlan_ethtool_get_link_ksettings),
        get_link: true,
        get_msglevel: Some(|dev| dev.netdev_priv().map_or(0, |ipvlan: &IpvlDev| ipvlan.msg_enable)),
        set_msglevel: Some(ipvlan_ethtool_set_msglevel),
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("ipvlan"), ipvlan_link_setup, |skb| Door::IpvlanStartXmit { skb })
};

/// Features that it has if the device below has them.
const IPVLAN_FEATURES: u64 = SG
    | HW_CSUM
    | HIGHDMA
    | FRAGLIST
    | GSO
    | ALL_TSO
    | GSO_ROBUST
    | GRO
    | RXCSUM
    | HW_VLAN_CTAG_FILTER
    | HW_VLAN_STAG_FILTER;
/// Those that it has in any case.
const IPVLAN_ALWAYS_ON: u64 =
    SG | HW_CSUM | GSO_ROBUST | GSO_SOFTWARE | GSO_ENCAP_ALL | LLTX | VLAN_CHALLENGED;

/// Attributes of a device (`IFLA_IPVLAN_*`), which are those of all over the same one.
#[derive(Clone, Copy, Debug, Default)]
pub struct IpvlanOptions {
    /// How packets go.
    pub mode: Option<IpvlanMode>,
    /// `IPVLAN_F_*`.
    pub flags: Option<u16>,
}

impl From<IpvlanOptions> for LinkInfo {
    fn from(options: IpvlanOptions) -> LinkInfo {
        LinkInfo::with("ipvlan", options)
    }
}

fn ipvlan_link_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = ETH_MAX_MTU;
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.unicast_flt = true;
    dev.no_rx_handler = true;
}

/// What is known of a device, if it is of this kind.
pub fn ipvlan(kernel: &Kernel, dev: DevId) -> Option<&IpvlDev> {
    kernel.devs.get(dev)?.netdev_priv()
}

fn ipvlan_mut<'a>(cx: &'a mut Cx, dev: DevId) -> Option<&'a mut IpvlDev> {
    cx.k.devs[dev].netdev_priv_mut()
}

/// What a device knows of those of this kind over it; `None`: there are none.
pub fn ipvlan_port(kernel: &Kernel, lower: DevId) -> Option<&IpvlPort> {
    kernel.devs.get(lower)?.rx_handler_data()
}

/// The same, to change it.
pub(super) fn port_mut<'a>(cx: &'a mut Cx, lower: DevId) -> Option<&'a mut IpvlPort> {
    cx.k.devs[lower].rx_handler_data_mut()
}

/// The port of a device of this kind.
fn port_of(kernel: &Kernel, dev: DevId) -> Option<&IpvlPort> {
    ipvlan_port(kernel, ipvlan(kernel, dev)?.phy_dev)
}

/// Registers a device over another one; over one of this kind it is beside that.
fn ipvlan_link_new(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let NewLink { mut dev, link, info, mtu, .. } = new;
    let options: IpvlanOptions = info.data().copied().unwrap_or_default();
    let link = link.ok_or(Errno::EINVAL)?;
    let lower = ipvlan(cx.k, link).map_or(link, |beside| beside.phy_dev);
    let below = &cx.k.devs[lower];
    if below.arphrd != Arphrd::Ether {
        return Err(refused(cx, lower, "Master is either lo or non-ether device", Errno::EINVAL));
    }
    if below.rx_handler.is_some() && ipvlan_port(cx.k, lower).is_none() {
        return Err(refused(cx, lower, "Device is already in use.", Errno::EBUSY));
    }
    dev.mtu = mtu.unwrap_or(below.mtu);
    (dev.addr, dev.addr_assign) = (below.addr, AddrAssign::Perm);
    inherit(&mut dev, below);
    dev.set_priv(IpvlDev {
        phy_dev: lower,
        addrs: Vec::new(),
        mac_filters: McFilter::default(),
        msg_enable: 0,
    });
    if ipvlan_port(cx.k, lower).is_none() {
        ipvlan_port_create(cx, lower)?;
    }
    let dev = register_netdevice(cx, dev).inspect_err(|_| ipvlan_port_put(cx, lower))?;
    netdev_update_features(cx, dev);
    netdev_upper_dev_link(cx, lower, dev);
    if let Some(port) = port_mut(cx, lower) {
        let dev_id = port.next_dev_id();
        port.flags = options.flags.unwrap_or(port.flags);
        cx.k.devs[dev].dev_id = dev_id;
    }
    ipvlan_set_port_mode(cx, lower, options.mode.unwrap_or(IpvlanMode::L3));
    if let Some(port) = port_mut(cx, lower) {
        port.ipvlans.push(dev);
    }
    netif_stacked_transfer_operstate(cx, lower, dev);
    Ok(dev)
}

/// A device cannot be the one below, which is logged (`netdev_err`).
fn refused(cx: &mut Cx, lower: DevId, why: &str, errno: Errno) -> NlError {
    let line = format!("{}: {why}", cx.k.devs[lower].name);
    cx.printk(LOG_ERR, line);
    errno.into()
}

/// What a device that is about to be registered has from the one below (`ipvlan_init`).
fn inherit(dev: &mut NetDevice, below: &NetDevice) {
    dev.link = Some(below.id);
    dev.carrier = below.carrier;
    dev.features = below.features & IPVLAN_FEATURES | IPVLAN_ALWAYS_ON;
    dev.vlan_features = below.vlan_features & IPVLAN_FEATURES | IPVLAN_ALWAYS_ON & !(LLTX | VLAN_CHALLENGED);
    dev.tso_max_size = below.tso_max_size;
}

/// # Errors
///
/// `EBUSY` for a device whose frames somebody else takes.
fn ipvlan_port_create(cx: &mut Cx, lower: DevId) -> Result<(), NlError> {
    netdev_rx_handler_register(cx, lower, |skb| Door::IpvlanHandleFrame { skb })?;
    let netdev = &mut cx.k.devs[lower];
    netdev.set_rx_handler_data(IpvlPort::new(netdev.netns));
    Ok(())
}

/// The port goes with the last device over it (`ipvlan_port_destroy`).
fn ipvlan_port_put(cx: &mut Cx, lower: DevId) {
    let Some(port) = port_mut(cx, lower).filter(|port| port.ipvlans.is_empty()) else { return };
    let waiting: Vec<SkbId> = port.backlog.drain(..).map(|(skb, _)| skb).collect();
    if port.mode == IpvlanMode::L3s {
        port.mode = IpvlanMode::L3;
        ipvlan_l3s_unregister(cx, lower);
    }
    netdev_rx_handler_unregister(cx, lower);
    for skb in waiting {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

fn ipvlan_link_delete(cx: &mut Cx, dev: DevId) {
    let Some(lower) = ipvlan(cx.k, dev).map(|ipvlan| ipvlan.phy_dev) else { return };
    // Its addresses go while it is unregistered, and with them what the port knows of them.
    netdev_upper_dev_unlink(cx, lower, dev);
    if let Some(port) = port_mut(cx, lower) {
        port.ipvlans.retain(|other| *other != dev);
    }
    unregister_netdevice(cx, dev);
    ipvlan_port_put(cx, lower);
}

fn ipvlan_nl_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let (Some(options), Some(ipvlan)) = (info.data::<IpvlanOptions>(), ipvlan(cx.k, dev)) else {
        return Ok(());
    };
    let lower = ipvlan.phy_dev;
    if let Some(mode) = options.mode {
        ipvlan_set_port_mode(cx, lower, mode);
    }
    if let (Some(flags), Some(port)) = (options.flags, port_mut(cx, lower)) {
        port.flags = flags;
    }
    Ok(())
}

/// All devices over one have its mode.
fn ipvlan_set_port_mode(cx: &mut Cx, lower: DevId, mode: IpvlanMode) {
    let Some(port) = ipvlan_port(cx.k, lower) else { return };
    let before = port.mode;
    if before == mode {
        return;
    }
    for dev in port.ipvlans.clone() {
        set_noarp(cx, dev, mode);
    }
    if let Some(port) = port_mut(cx, lower) {
        port.mode = mode;
    }
    if mode == IpvlanMode::L3s {
        ipvlan_l3s_register(cx, lower);
    } else if before == IpvlanMode::L3s {
        ipvlan_l3s_unregister(cx, lower);
    }
}

fn set_noarp(cx: &mut Cx, dev: DevId, mode: IpvlanMode) {
    let others = cx.k.devs[dev].flags & !IFF_NOARP;
    dev_change_flags(cx, dev, others | if mode.is_noarp() { IFF_NOARP } else { 0 });
}

/// Packets to its addresses are its own from now on.
fn ipvlan_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let Some(IpvlDev { phy_dev, addrs, .. }) = ipvlan(cx.k, dev) else { return Ok(()) };
    let (lower, addrs) = (*phy_dev, addrs.clone());
    let Some(port) = port_mut(cx, lower) else { return Ok(()) };
    port.hlhead.extend(addrs.into_iter().map(|addr| (addr, dev)));
    let noarp = if port.mode.is_noarp() { IFF_NOARP } else { 0 };
    let netdev = &mut cx.k.devs[dev];
    netdev.flags = netdev.flags & !IFF_NOARP | noarp;
    Ok(())
}

fn ipvlan_stop(cx: &mut Cx, dev: DevId) {
    let Some(lower) = ipvlan(cx.k, dev).map(|ipvlan| ipvlan.phy_dev) else { return };
    sync_rx_mode(cx, dev, lower, RxMode::default());
    if let Some(port) = port_mut(cx, lower) {
        port.hlhead.retain(|_, owner| *owner != dev);
    }
}

/// The device below receives what this one listens to, while it is up (`ipvlan_set_multicast_mac_filter`,
/// `ipvlan_change_rx_flags`). It is not asked for frames to other stations: there are none that this one has.
fn ipvlan_set_multicast_mac_filter(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    let (mac_filters, wanted, is_up) = (McFilter::of(netdev), RxMode::of(netdev), netdev.is_up());
    let Some(ipvlan) = ipvlan_mut(cx, dev) else { return };
    ipvlan.mac_filters = mac_filters;
    let lower = ipvlan.phy_dev;
    if is_up {
        sync_rx_mode(cx, dev, lower, RxMode { promisc: false, ..wanted });
    }
}

fn ipvlan_fix_features(cx: &Cx, dev: DevId, features: u64) -> u64 {
    let Some(ipvlan) = ipvlan(cx.k, dev) else { return features };
    let features = features | ALL_FOR_ALL;
    let both = netdev_increment_features(cx.k.devs[ipvlan.phy_dev].features, features, features);
    (both | IPVLAN_ALWAYS_ON) & (IPVLAN_FEATURES | IPVLAN_ALWAYS_ON)
}

/// What the device below says.
fn ipvlan_ethtool_get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let lower = ipvlan(kernel, dev.id).and_then(|ipvlan| kernel.devs.get(ipvlan.phy_dev));
    LinkKsettings::of_lower(kernel, lower)
}

fn ipvlan_ethtool_set_msglevel(cx: &mut Cx, dev: DevId, level: u32) {
    if let Some(ipvlan) = ipvlan_mut(cx, dev) {
        ipvlan.msg_enable = level;
    }
}

/// Something happened to a device with others of this kind over it.
fn ipvlan_device_event(cx: &mut Cx, lower: DevId, event: NetdevEvent) {
    let Some(port) = ipvlan_port(cx.k, lower) else { return };
    let (ipvlans, pnet) = (port.ipvlans.clone(), port.pnet);
    match event {
        NetdevEvent::Up | NetdevEvent::Change { .. } => {
            ipvlans.iter().for_each(|dev| netif_stacked_transfer_operstate(cx, lower, *dev));
        }
        NetdevEvent::Register => {
            let netns = cx.k.devs[lower].netns;
            if let Some(port) = port_mut(cx, lower) {
                port.pnet = netns;
            }
            ipvlan_migrate_l3s_hook(cx, pnet, netns);
        }
        NetdevEvent::Unregister if cx.k.devs[lower].unregistering => {
            ipvlans.into_iter().for_each(|dev| ipvlan_link_delete(cx, dev));
        }
        NetdevEvent::FeatChange => {
            for dev in ipvlans {
                cx.k.devs[dev].tso_max_size = cx.k.devs[lower].tso_max_size;
                netdev_update_features(cx, dev);
            }
        }
        NetdevEvent::ChangeMtu { .. } => {
            ipvlans.into_iter().for_each(|dev| cx.k.devs[dev].mtu = cx.k.devs[lower].mtu);
        }
        NetdevEvent::ChangeAddr => {
            for dev in ipvlans {
                cx.k.devs[dev].addr = cx.k.devs[lower].addr;
                call_netdevice_notifiers(cx, dev, event);
            }
        }
        _ => {}
    }
}

/// # Errors
///
/// `EADDRINUSE` for an address that a device over the same one has, be that up or not.
fn ipvlan_addr4_validator_event(kernel: &Kernel, dev: DevId, addr: Ipv4Addr) -> Result<(), NlError> {
    let Some(port) = port_of(kernel, dev) else { return Ok(()) };
    let mut all = port.ipvlans.iter().filter_map(|dev| ipvlan(kernel, *dev));
    if all.any(|ipvlan| ipvlan.addrs.contains(&addr)) {
        return Err(NlError::with(Errno::EADDRINUSE, "Address already assigned to an ipvlan device"));
    }
    Ok(())
}

/// A device has another address, or one less.
fn ipvlan_addr4_event(cx: &mut Cx, dev: DevId, event: InetaddrEvent) {
    let is_up = cx.k.devs[dev].is_up();
    let Some(ipvlan) = ipvlan_mut(cx, dev) else { return };
    let lower = ipvlan.phy_dev;
    match event {
        InetaddrEvent::Up(addr) => ipvlan.addrs.push(addr),
        InetaddrEvent::Down(addr) => ipvlan.addrs.retain(|own| *own != addr),
    }
    let Some(port) = port_mut(cx, lower) else { return };
    match event {
        InetaddrEvent::Up(addr) if is_up => _ = port.hlhead.insert(addr, dev),
        InetaddrEvent::Up(_) => {}
        InetaddrEvent::Down(addr) => _ = port.hlhead.remove(&addr),
    }
}
