//! Making, changing and removing devices: what `ip link` asks for.
//!
//! Kernel: net/core/rtnetlink.c, net/core/dev.c

use std::borrow::Cow;

use glassnet_wire::Mac;

use super::dev::{dev_close, dev_open, dev_set_allmulti, dev_set_promiscuity};
use super::net_namespace::peernet2id_alloc;
use super::notifier::{NetdevEvent, call_netdevice_notifiers};
use crate::Cx;
use crate::ids::{DevId, NetnsId};
use crate::module::Module;
use crate::net::bridge::{br_if, br_netlink};
use crate::net::core::dev_addr_lists::IPV6_ALL_NODES;
use crate::net::ethernet::eth::eth_hw_addr_random;
use crate::netlink::{Errno, NlError};
use crate::tables::netdev::{
    AddrAssign, DevKind, DevStats, IFF_ALLMULTI, IFF_BROADCAST, IFF_LOOPBACK, IFF_MULTICAST, IFF_NOARP,
    IFF_PROMISC, NetDevice, OperState,
};

pub use crate::net::bridge::br_netlink::{BridgeOptions, PortOptions};

/// The module.
pub static MODULE: Module = Module { netdevice_event: Some(number_of_peer), ..Module::named("rtnetlink") };

/// A message about a device names the namespace of its peer by number (`rtnl_fill_link_netnsid`).
fn number_of_peer(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    let netdev = &cx.k.devs[dev];
    let netns = netdev.netns;
    let peer = netdev.veth_peer().map(|peer| cx.k.devs[peer].netns);
    if let Some(peer) = peer.filter(|peer| *peer != netns && event != NetdevEvent::Unregister) {
        peernet2id_alloc(cx, netns, peer);
    }
}

/// A new device (`RTM_NEWLINK` with `NLM_F_CREATE`).
#[derive(Clone, Debug, Default)]
pub struct LinkNew {
    /// Its name; `None`: the kind's name with the first free number.
    pub name: Option<String>,
    /// Its kind.
    pub kind: LinkKind,
    /// What else is set at once.
    pub set: LinkSet,
    /// A number that is asked for.
    pub ifindex: Option<u32>,
}

/// The kind of a new device, with what only this kind has.
#[derive(Clone, Debug)]
pub enum LinkKind {
    /// A pair of devices.
    Veth {
        /// The other end; its kind is not looked at.
        peer: Box<LinkNew>,
        /// Where the other end is made; `None`: with the first.
        peer_netns: Option<NetnsId>,
    },
    /// A bridge.
    Bridge(BridgeOptions),
}

impl Default for LinkKind {
    fn default() -> Self {
        LinkKind::Bridge(BridgeOptions::default())
    }
}

/// Changes to a device (`RTM_SETLINK`); what is `None` stays as it is.
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
    /// A remark; empty: none.
    pub alias: Option<String>,
    /// Group number.
    pub group: Option<u32>,
    /// Carrier, for devices whose driver lets a user say it.
    pub carrier: Option<bool>,
    /// Settings of a bridge.
    pub bridge: BridgeOptions,
    /// Settings of a port.
    pub port: PortOptions,
}

/// Longest name of a device, bytes (`IFNAMSIZ` without the final zero).
pub const MAX_NAME: usize = 15;

/// A name that the kernel accepts for a device (`dev_valid_name`).
pub fn dev_valid_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= MAX_NAME
        && name != "."
        && name != ".."
        && !name.bytes().any(|b| b == b'/' || b == b':' || b.is_ascii_whitespace())
}

/// Makes a device and gives it an ifindex. It is down.
pub fn register_netdevice(cx: &mut Cx, netns: NetnsId, name: String, kind: DevKind, addr: Mac) -> DevId {
    let ifindex = cx.k.netns[netns].new_ifindex();
    register_with_ifindex(cx, netns, name, kind, addr, ifindex)
}

fn register_with_ifindex(
    cx: &mut Cx,
    netns: NetnsId,
    name: String,
    kind: DevKind,
    addr: Mac,
    ifindex: u32,
) -> DevId {
    let loopback = matches!(kind, DevKind::Loopback);
    let virtual_mtu = matches!(kind, DevKind::Veth { .. } | DevKind::Bridge(_));
    let id = cx.k.devs.next_id();
    cx.k.devs.insert(NetDevice {
        flags: if loopback { IFF_LOOPBACK } else { IFF_BROADCAST | IFF_MULTICAST },
        id,
        ifindex,
        mtu: if loopback { 65_536 } else { 1500 },
        netns,
        taps: 0,
        addr,
        carrier: loopback,
        label: 0,
        port: None,
        stats: DevStats::default(),
        name,
        operstate: if loopback { OperState::Unknown } else { OperState::Down },
        broadcast: if loopback { Mac::ZERO } else { Mac::BROADCAST },
        addr_assign: match kind {
            DevKind::Loopback | DevKind::Nic(_) => AddrAssign::Perm,
            DevKind::Veth { .. } | DevKind::Bridge(_) => AddrAssign::Random,
        },
        gflags: 0,
        promiscuity: 0,
        allmulti: 0,
        tx_queue_len: 1000,
        qdisc: "noop",
        group: 0,
        alias: None,
        min_mtu: if loopback { 0 } else { 68 },
        max_mtu: match kind {
            DevKind::Loopback => 0,
            _ if virtual_mtu => 65_535,
            _ => 9202,
        },
        carrier_up_count: 0,
        carrier_down_count: 0,
        mc: if loopback { Vec::new() } else { vec![(IPV6_ALL_NODES, 1)] },
        kind,
    });
    cx.k.netns[netns].devs.insert(ifindex, id);
    cx.k.relabel(id);
    call_netdevice_notifiers(cx, id, NetdevEvent::Register);
    id
}

/// Removes a device from its namespace and from the machine.
pub fn unregister_netdevice(cx: &mut Cx, dev: DevId) {
    dev_close(cx, dev);
    br_if::br_del_if(cx, dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Unregister);
    let (netns, ifindex) = (cx.k.devs[dev].netns, cx.k.devs[dev].ifindex);
    cx.k.netns[netns].devs.remove(&ifindex);
    cx.k.devs.remove(dev);
}

/// Removes a device as its kind requires (`dellink`): a veth with its peer, a bridge after its ports.
pub fn rtnl_delete_link(cx: &mut Cx, dev: DevId) {
    if let Some(bridge) = cx.k.devs[dev].bridge() {
        for port in bridge.ports.clone() {
            br_if::br_del_if(cx, port);
        }
    }
    let peer = cx.k.devs[dev].veth_peer();
    if let Some(peer) = peer {
        dev_close(cx, dev);
        dev_close(cx, peer);
        cx.k.devs[dev].kind = DevKind::Veth { peer: None };
        cx.k.devs[peer].kind = DevKind::Veth { peer: None };
        unregister_netdevice(cx, dev);
        unregister_netdevice(cx, peer);
    } else {
        unregister_netdevice(cx, dev);
    }
}

/// Moves a device to another namespace: it goes down and loses its addresses; its number stays if it is free.
pub fn dev_change_net_namespace(cx: &mut Cx, dev: DevId, netns: NetnsId) {
    let old = cx.k.devs[dev].netns;
    if old == netns {
        return;
    }
    dev_close(cx, dev);
    br_if::br_del_if(cx, dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Unregister);
    peernet2id_alloc(cx, old, netns);
    let ifindex = cx.k.devs[dev].ifindex;
    cx.k.netns[old].devs.remove(&ifindex);
    let target = &mut cx.k.netns[netns];
    let ifindex = if target.devs.contains_key(&ifindex) { target.new_ifindex() } else { ifindex };
    target.devs.insert(ifindex, dev);
    let netdev = &mut cx.k.devs[dev];
    (netdev.ifindex, netdev.netns, netdev.qdisc) = (ifindex, netns, "noop");
    cx.k.relabel(dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::Register);
}

fn in_use(cx: &Cx, netns: NetnsId, name: &str) -> bool {
    cx.k.dev_by_name(netns, name).is_some()
}

/// The kind's name with the first free number (`dev_alloc_name`).
fn dev_alloc_name(cx: &Cx, netns: NetnsId, prefix: &str, taken: Option<&str>) -> String {
    (0..)
        .map(|n| format!("{prefix}{n}"))
        .find(|name| !in_use(cx, netns, name) && taken != Some(name))
        .expect("numbers do not end")
}

fn check_new_name(cx: &Cx, netns: NetnsId, name: &str) -> Result<(), NlError> {
    if !dev_valid_name(name) {
        return Err(Errno::EINVAL.into());
    }
    if in_use(cx, netns, name) { Err(Errno::EEXIST.into()) } else { Ok(()) }
}

/// Makes a device (`RTM_NEWLINK`).
///
/// # Errors
///
/// `EEXIST` if the name is taken, `EINVAL` for a bad name, and what the settings are refused for.
pub fn rtm_newlink(cx: &mut Cx, netns: NetnsId, new: LinkNew) -> Result<DevId, NlError> {
    let target = new.set.netns.unwrap_or(netns);
    let prefix = if matches!(new.kind, LinkKind::Veth { .. }) { "veth" } else { "br" };
    let name = match &new.name {
        Some(name) => name.clone(),
        None => dev_alloc_name(cx, target, prefix, None),
    };
    check_new_name(cx, target, &name)?;
    if new.ifindex.is_some_and(|ifindex| cx.k.dev_by_index(target, ifindex).is_some()) {
        return Err(Errno::EEXIST.into());
    }
    let ifindex = new.ifindex;
    let dev = match new.kind {
        LinkKind::Bridge(options) => new_bridge(cx, target, name, ifindex, &options)?,
        LinkKind::Veth { peer, peer_netns } => {
            new_veth(cx, target, name, ifindex, *peer, peer_netns.unwrap_or(netns))?
        }
    };
    let set = LinkSet { netns: None, name: None, ..new.set };
    if let Err(refused) = do_setlink(cx, dev, set) {
        rtnl_delete_link(cx, dev);
        return Err(refused);
    }
    Ok(dev)
}

fn new_bridge(
    cx: &mut Cx,
    netns: NetnsId,
    name: String,
    ifindex: Option<u32>,
    options: &BridgeOptions,
) -> Result<DevId, NlError> {
    br_netlink::validate(options)?;
    let addr = eth_hw_addr_random(cx, &name);
    let kind = DevKind::Bridge(Box::default());
    let dev = add(cx, netns, name, kind, addr, ifindex);
    br_if::br_dev_setup(cx, dev);
    br_netlink::br_changelink(cx, dev, options)?;
    Ok(dev)
}

fn add(cx: &mut Cx, netns: NetnsId, name: String, kind: DevKind, addr: Mac, ifindex: Option<u32>) -> DevId {
    match ifindex {
        Some(ifindex) => register_with_ifindex(cx, netns, name, kind, addr, ifindex),
        None => register_netdevice(cx, netns, name, kind, addr),
    }
}

/// The peer is made first, so it has the lower number (`veth_newlink`).
fn new_veth(
    cx: &mut Cx,
    netns: NetnsId,
    name: String,
    ifindex: Option<u32>,
    peer: LinkNew,
    peer_netns: NetnsId,
) -> Result<DevId, NlError> {
    let peer_name = match &peer.name {
        Some(name) => name.clone(),
        None => dev_alloc_name(cx, peer_netns, "veth", Some(&name)),
    };
    check_new_name(cx, peer_netns, &peer_name)?;
    if peer_netns == netns && peer_name == name {
        return Err(Errno::EEXIST.into());
    }
    if peer.ifindex.is_some_and(|index| cx.k.dev_by_index(peer_netns, index).is_some()) {
        return Err(Errno::EBUSY.into());
    }
    let address = peer.set.address.unwrap_or_else(|| eth_hw_addr_random(cx, &peer_name));
    let other = add(cx, peer_netns, peer_name, DevKind::Veth { peer: None }, address, peer.ifindex);
    let address = eth_hw_addr_random(cx, &name);
    let dev = add(cx, netns, name, DevKind::Veth { peer: None }, address, ifindex);
    cx.k.devs[dev].kind = DevKind::Veth { peer: Some(other) };
    cx.k.devs[other].kind = DevKind::Veth { peer: Some(dev) };
    for end in [dev, other] {
        // The driver takes the carrier that a new device has.
        cx.k.devs[end].carrier_down_count = 1;
    }
    let set = LinkSet { netns: None, name: None, ..peer.set };
    do_setlink(cx, other, set).inspect_err(|_| rtnl_delete_link(cx, dev))?;
    Ok(dev)
}

/// Removes a device (`RTM_DELLINK`).
///
/// # Errors
///
/// `EOPNOTSUPP` for devices that are not a user's: `lo` and NICs.
pub fn rtm_dellink(cx: &mut Cx, dev: DevId) -> Result<(), NlError> {
    if cx.k.devs[dev].kind.name().is_none() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    rtnl_delete_link(cx, dev);
    Ok(())
}

/// Changes a device (`RTM_SETLINK`). What was done before a refusal stays done, as in the kernel.
///
/// # Errors
///
/// What the first refused change is refused for.
pub fn do_setlink(cx: &mut Cx, dev: DevId, set: LinkSet) -> Result<(), NlError> {
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
        br_if::do_set_master(cx, dev, master)?;
    }
    br_netlink::br_changelink(cx, dev, &set.bridge)?;
    br_netlink::br_setport(cx, dev, &set.port)?;
    if set.carrier.is_some() {
        return Err(Errno::EOPNOTSUPP.into());
    }
    set_flags(cx, dev, &set);
    if let Some(len) = set.txqueuelen {
        cx.k.devs[dev].tx_queue_len = len;
    }
    match set.up {
        Some(true) => dev_open(cx, dev),
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
    if matches!(netdev.kind, DevKind::Loopback | DevKind::Bridge(_)) {
        return Err(NlError { errno: Errno::EINVAL, extack: Some(Cow::Borrowed(NETNS_LOCAL)) });
    }
    if in_use(cx, netns, name.unwrap_or(&netdev.name)) {
        return Err(Errno::EEXIST.into());
    }
    dev_change_net_namespace(cx, dev, netns);
    Ok(())
}

/// What Linux says of devices that stay where they were made.
const NETNS_LOCAL: &str = "The interface netns is immutable";

fn set_addresses(cx: &mut Cx, dev: DevId, set: &LinkSet) -> Result<(), NlError> {
    if let Some(address) = set.address {
        if !address.is_valid() {
            return Err(Errno::EADDRNOTAVAIL.into());
        }
        let netdev = &mut cx.k.devs[dev];
        netdev.addr_assign = AddrAssign::Set;
        netdev.addr = address;
        call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeAddr);
    }
    if let Some(broadcast) = set.broadcast {
        cx.k.devs[dev].broadcast = broadcast;
    }
    Ok(())
}

fn dev_set_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), NlError> {
    let netdev = &mut cx.k.devs[dev];
    if mtu < netdev.min_mtu {
        return Err(NlError::with(Errno::EINVAL, "mtu less than device minimum"));
    }
    if netdev.max_mtu > 0 && mtu > netdev.max_mtu {
        return Err(NlError::with(Errno::EINVAL, "mtu greater than device maximum"));
    }
    if netdev.mtu != mtu {
        netdev.mtu = mtu;
        if let Some(bridge) = netdev.bridge_mut() {
            bridge.conf.mtu_is_set = true;
        }
        call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeMtu);
    }
    Ok(())
}

fn dev_change_name(cx: &mut Cx, dev: DevId, name: &str) -> Result<(), NlError> {
    if cx.k.devs[dev].name == name {
        return Ok(());
    }
    if cx.k.devs[dev].is_up() {
        return Err(Errno::EBUSY.into());
    }
    check_new_name(cx, cx.k.devs[dev].netns, name)?;
    name.clone_into(&mut cx.k.devs[dev].name);
    cx.k.relabel(dev);
    call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeName);
    Ok(())
}

fn set_flags(cx: &mut Cx, dev: DevId, set: &LinkSet) {
    for (wanted, flag) in [(set.promisc, IFF_PROMISC), (set.allmulticast, IFF_ALLMULTI)] {
        let Some(on) = wanted.filter(|on| *on != (cx.k.devs[dev].gflags & flag != 0)) else { continue };
        cx.k.devs[dev].gflags ^= flag;
        let inc = if on { 1 } else { -1 };
        if flag == IFF_PROMISC { dev_set_promiscuity(cx, dev, inc) } else { dev_set_allmulti(cx, dev, inc) }
    }
    let flags = &mut cx.k.devs[dev].flags;
    for (wanted, flag) in [(set.arp.map(|arp| !arp), IFF_NOARP), (set.multicast, IFF_MULTICAST)] {
        match wanted {
            Some(true) => *flags |= flag,
            Some(false) => *flags &= !flag,
            None => {}
        }
    }
}
