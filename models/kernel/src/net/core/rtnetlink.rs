//! rtnetlink requests for links.
//!
//! Kernel: net/core/rtnetlink.c

use glassnet_wire::Mac;

use super::dev::{
    alloc_netdev, dev_change_flags, dev_change_name, dev_change_net_namespace, dev_change_tx_queue_len,
    dev_close, dev_open, dev_set_mac_address, dev_set_mtu, dev_validate_mtu, register_netdevice,
    unregister_netdevice,
};
use super::dev_rx_mode::dev_change_gflags;
use super::link_watch::{linkwatch_catch_up, linkwatch_turn};
use super::net_namespace::peernet2id_alloc;
use crate::ids::{DevId, NetnsId};
use crate::link::{LinkInfo, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::{AddrAssign, IFF_MULTICAST, IFF_NOARP, NameAssign, NetDevice};
use crate::tables::netdev_features::NETNS_LOCAL;
use crate::{Cx, Kernel};

/// What it adds to the kernel.
pub static MODULE: Module = Module { netdevice_event: Some(number_of_peer), ..Module::UNNAMED };

/// Messages about a device contain the nsid of its peer's namespace (`rtnl_fill_link_netnsid`).
fn number_of_peer(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let netdev = &cx.k.devs[dev];
    let netns = netdev.netns;
    let peer = netdev.link.map(|peer| cx.k.devs[peer].netns);
    if let Some(peer) = peer.filter(|peer| *peer != netns && event != NetdevEvent::Unregister) {
        peernet2id_alloc(cx, netns, peer);
    }
}

/// Request for a new device (`RTM_NEWLINK` with `NLM_F_CREATE`).
#[derive(Clone, Debug, Default)]
pub struct LinkNew {
    /// Name; `None`: the kind with the first free number.
    pub name: Option<String>,
    /// Kind and further attributes.
    pub set: LinkSet,
    /// ifindex.
    pub ifindex: Option<u32>,
    /// The device that it is to lie on (`IFLA_LINK`); kinds that lie on none take no notice.
    pub link: Option<DevId>,
}

/// Changes of a device (`RTM_SETLINK`); `None`: unchanged.
#[derive(Clone, Debug, Default)]
pub struct LinkSet {
    /// Up or down.
    pub up: Option<bool>,
    /// MTU in bytes.
    pub mtu: Option<u32>,
    /// Address.
    pub address: Option<Mac>,
    /// Broadcast address.
    pub broadcast: Option<Mac>,
    /// New name.
    pub name: Option<String>,
    /// Another namespace.
    pub netns: Option<NetnsId>,
    /// Master device; `Some(None)`: none.
    pub master: Option<Option<DevId>>,
    /// Promiscuous mode.
    pub promisc: Option<bool>,
    /// All multicast.
    pub allmulticast: Option<bool>,
    /// ARP.
    pub arp: Option<bool>,
    /// Multicast.
    pub multicast: Option<bool>,
    /// Length of the transmit queue, packets.
    pub txqueuelen: Option<u32>,
    /// Alias; empty: none.
    pub alias: Option<String>,
    /// Group number.
    pub group: Option<u32>,
    /// Carrier, for drivers with `ndo_change_carrier`.
    pub carrier: Option<bool>,
    /// Kind and its attributes (`IFLA_INFO_DATA`).
    pub info: Option<LinkInfo>,
    /// Attributes of the master's kind (`IFLA_INFO_SLAVE_DATA`).
    pub slave_info: Option<LinkInfo>,
}

/// Link operations by kind, if a module registered them.
pub fn rtnl_link_ops_get(kernel: &Kernel, kind: &str) -> Option<&'static LinkOps> {
    let links = kernel.modules.iter().flat_map(|module| module.links);
    links.copied().find(|ops| ops.kind == Some(kind))
}

/// Creates an unregistered device for a request; of the attributes, only ifindex and MTU are set.
///
/// # Errors
///
/// `EINVAL` if the MTU is outside of its limits.
pub fn rtnl_create_link(netns: NetnsId, ops: &'static LinkOps, new: &LinkNew) -> Result<NetDevice, NlError> {
    let (name, name_assign) = match &new.name {
        Some(name) => (name.clone(), NameAssign::User),
        None => (format!("{}%d", ops.kind.unwrap_or_default()), NameAssign::Enum),
    };
    let mut dev = alloc_netdev(netns, name, name_assign, ops);
    dev.ifindex = new.ifindex.unwrap_or_default();
    if let Some(mtu) = new.set.mtu {
        dev_validate_mtu(&dev, mtu)?;
        dev.mtu = mtu;
    }
    Ok(dev)
}

/// Makes a device (`RTM_NEWLINK`).
///
/// # Errors
///
/// `EEXIST` if name or ifindex is in use, `EINVAL` for an invalid name, `EOPNOTSUPP` for an unknown kind, and those of
/// the kind and of the attributes.
pub fn rtm_newlink(cx: &mut Cx, netns: NetnsId, new: LinkNew) -> Result<DevId, NlError> {
    linkwatch_catch_up(cx);
    let made = newlink(cx, netns, new);
    linkwatch_turn(cx);
    made
}

fn newlink(cx: &mut Cx, netns: NetnsId, new: LinkNew) -> Result<DevId, NlError> {
    let target = new.set.netns.unwrap_or(netns);
    let has_name = new.name.as_ref().is_some_and(|name| cx.k.dev_by_name(target, name).is_some());
    if has_name || new.ifindex.is_some_and(|ifindex| cx.k.dev_by_index(target, ifindex).is_some()) {
        return Err(Errno::EEXIST.into());
    }
    let unknown = || NlError::with(Errno::EOPNOTSUPP, "Unknown device type");
    let info = new.set.info.as_ref().ok_or_else(unknown)?;
    let ops = rtnl_link_ops_get(cx.k, info.kind).ok_or_else(unknown)?;
    let dev = rtnl_create_link(target, ops, &new)?;
    let dev = match ops.newlink {
        Some(newlink) => {
            let (address, mtu) = (new.set.address, new.set.mtu);
            newlink(cx, NewLink { dev, src_net: netns, link: new.link, address, mtu, info })?
        }
        None => register_netdevice(cx, dev)?,
    };
    rtnl_configure_link(cx, dev, new.set).inspect_err(|_| rtnl_delete_link(cx, dev))?;
    // The message about the new device.
    number_of_peer(cx, dev, NetdevEvent::Register);
    Ok(dev)
}

/// Sets the attributes of a new device.
///
/// # Errors
///
/// That of the first attribute that is refused.
pub fn rtnl_configure_link(cx: &mut Cx, dev: DevId, set: LinkSet) -> Result<(), NlError> {
    let mut set = LinkSet { netns: None, name: None, info: None, mtu: None, ..set };
    let netdev = &cx.k.devs[dev];
    if !netdev.can_set_address() || netdev.addr_assign == AddrAssign::Stolen {
        // Its kind has written its own since.
        (set.address, set.broadcast) = (None, None);
    }
    setlink(cx, dev, set)
}

/// Deletes a device by its kind's `dellink`.
pub fn rtnl_delete_link(cx: &mut Cx, dev: DevId) {
    cx.k.devs[dev].ops.dellink.unwrap_or(unregister_netdevice)(cx, dev);
}

/// Deletes a device (`RTM_DELLINK`).
///
/// # Errors
///
/// `EOPNOTSUPP` for devices without `dellink`: `lo` and NICs.
pub fn rtm_dellink(cx: &mut Cx, dev: DevId) -> Result<(), NlError> {
    if cx.k.devs[dev].ops.kind.is_none() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    linkwatch_catch_up(cx);
    rtnl_delete_link(cx, dev);
    linkwatch_turn(cx);
    Ok(())
}

/// Changes the attributes of a device's kind, and of its master's kind.
fn change_info(cx: &mut Cx, dev: DevId, set: &LinkSet) -> Result<(), NlError> {
    if let Some(info) = set.info.as_ref().filter(|info| info.has_data()) {
        let ops = cx.k.devs[dev].ops;
        let changelink = ops.changelink.filter(|_| ops.kind == Some(info.kind)).ok_or(Errno::EOPNOTSUPP)?;
        changelink(cx, dev, info)?;
    }
    if let Some(info) = set.slave_info.as_ref().filter(|info| info.has_data()) {
        let master = cx.k.devs[dev].master().map(|master| cx.k.devs[master].ops);
        let changelink = master.and_then(|ops| ops.slave_changelink).ok_or(Errno::EOPNOTSUPP)?;
        changelink(cx, dev, info)?;
    }
    Ok(())
}

/// Sets or clears the master.
fn do_set_master(cx: &mut Cx, dev: DevId, master: Option<DevId>) -> Result<(), NlError> {
    let old = cx.k.devs[dev].master();
    if old == master {
        return Ok(());
    }
    if let Some(old) = old {
        cx.k.devs[old].ops.del_slave.ok_or(Errno::EOPNOTSUPP)?(cx, old, dev);
    }
    match master {
        None => Ok(()),
        Some(master) => cx.k.devs[master].ops.add_slave.ok_or(Errno::EOPNOTSUPP)?(cx, master, dev),
    }
}

/// Changes a device (`RTM_SETLINK`). Changes before an error stay, as in the kernel.
///
/// # Errors
///
/// That of the first change that is refused.
pub fn do_setlink(cx: &mut Cx, dev: DevId, set: LinkSet) -> Result<(), NlError> {
    linkwatch_catch_up(cx);
    let done = setlink(cx, dev, set);
    linkwatch_turn(cx);
    done
}

fn setlink(cx: &mut Cx, dev: DevId, set: LinkSet) -> Result<(), NlError> {
    change_info(cx, dev, &set)?;
    if let Some(netns) = set.netns {
        move_to(cx, dev, netns, set.name.as_deref())?;
    }
    set_addresses(cx, dev, &set)?;
    if let Some(mtu) = set.mtu {
        dev_set_mtu(cx, dev, mtu)?;
    }
    if let Some(group) = set.group {
        cx.k.devs[dev].group = group;
    }
    if let Some(name) = &set.name {
        dev_change_name(cx, dev, name)?;
    }
    if let Some(alias) = set.alias.clone() {
        cx.k.devs[dev].alias = (!alias.is_empty()).then_some(alias);
    }
    if let Some(master) = set.master {
        do_set_master(cx, dev, master)?;
    }
    if let Some(on) = set.carrier {
        cx.k.devs[dev].ops.change_carrier.ok_or(Errno::EOPNOTSUPP)?(cx, dev, on)?;
    }
    set_flags(cx, dev, &set);
    if let Some(len) = set.txqueuelen {
        dev_change_tx_queue_len(cx, dev, len)?;
    }
    match set.up {
        Some(true) => dev_open(cx, dev)?,
        Some(false) => dev_close(cx, dev),
        None => {}
    }
    Ok(())
}

fn move_to(cx: &mut Cx, dev: DevId, netns: NetnsId, name: Option<&str>) -> Result<(), NlError> {
    let netdev = &cx.k.devs[dev];
    if netdev.netns == netns {
        return Ok(());
    }
    if netdev.features & NETNS_LOCAL != 0 {
        return Err(Errno::EINVAL.into());
    }
    if cx.k.dev_by_name(netns, name.unwrap_or(&netdev.name)).is_some() {
        return Err(Errno::EEXIST.into());
    }
    dev_change_net_namespace(cx, dev, netns);
    Ok(())
}

fn set_addresses(cx: &mut Cx, dev: DevId, set: &LinkSet) -> Result<(), NlError> {
    if let Some(address) = set.address {
        dev_set_mac_address(cx, dev, address)?;
    }
    if let Some(broadcast) = set.broadcast {
        cx.k.devs[dev].broadcast = broadcast;
    }
    Ok(())
}

fn set_flags(cx: &mut Cx, dev: DevId, set: &LinkSet) {
    dev_change_gflags(cx, dev, set.promisc, set.allmulticast);
    let mut flags = cx.k.devs[dev].flags;
    for (wanted, flag) in [(set.arp.map(|arp| !arp), IFF_NOARP), (set.multicast, IFF_MULTICAST)] {
        match wanted {
            Some(true) => flags |= flag,
            Some(false) => flags &= !flag,
            None => {}
        }
    }
    dev_change_flags(cx, dev, flags);
}
