//! `macvlan`: devices with addresses of their own over one device, which sorts frames by them.
//!
//! Kernel: drivers/net/macvlan.c

use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_HLEN;

use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkInfo, LinkKsettings, LinkOps, NewLink};
use crate::module::{Module, NetdevEvent};
use crate::net::core::dev::{
    another_round, deliver_to_protocol, dev_set_mac_address, dev_set_mtu, register_netdevice,
    unregister_netdevice,
};
use crate::net::core::dev_addr_lists::{dev_uc_add, dev_uc_del};
use crate::net::core::dev_features::{netdev_increment_features, netdev_update_features};
use crate::net::core::dev_forward::{dev_forward_skb, forward_to};
use crate::net::core::dev_rx_mode::{dev_set_promiscuity, sync_rx_mode};
use crate::net::core::dev_upper::{
    netdev_rx_handler_register, netdev_rx_handler_unregister, netdev_upper_dev_link, netdev_upper_dev_unlink,
};
use crate::net::core::link_watch::{linkwatch_fire_event, netif_stacked_transfer_operstate};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::ethernet::eth::{ETH_MAX_MTU, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::drop_reason::DropReason;
use crate::tables::macvlan::{
    DEFAULT_BC_QUEUE_LEN, MACVLAN_FLAG_NOPROMISC, MacvlanDev, MacvlanMode, MacvlanPort,
};
use crate::tables::mc_filter::McFilter;
use crate::tables::netdev::{AddrAssign, NetDevice, RxMode};
use crate::tables::netdev_features::{
    ALL_FOR_ALL, FRAGLIST, GRO, GSO, GSO_ENCAP_ALL, GSO_ROBUST, GSO_SOFTWARE, HIGHDMA, HW_CSUM,
    HW_VLAN_CTAG_FILTER, HW_VLAN_STAG_FILTER, LLTX, LRO, RXCSUM, SG, TSO, TSO_ECN, TSO6,
};
use crate::tables::skb::PacketType;
use crate::{Cx, Kernel};

/// The module. Not modelled: devices that take frames by their sources (`mode source`), offloads into cards, fragments
/// of frames to groups, which the kernel puts together before it copies them.
pub static MODULE: Module =
    Module { links: &[&LINK_OPS], netdevice_event: Some(macvlan_device_event), ..Module::named("macvlan") };

/// Link kind `macvlan`.
static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(macvlan_newlink),
    changelink: Some(macvlan_changelink),
    dellink: Some(macvlan_dellink),
    open: Some(macvlan_open),
    stop: Some(macvlan_stop),
    change_mtu: Some(macvlan_change_mtu),
    set_mac_address: Some(macvlan_set_mac_address),
    set_rx_mode: Some(macvlan_set_mac_lists),
    fix_features: Some(macvlan_fix_features),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "macvlan".to_owned(),
            version: "0.1",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_link_ksettings: Some(macvlan_ethtool_get_link_ksettings),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("macvlan"), macvlan_setup, |skb| Door::MacvlanStartXmit { skb })
};

/// Features that it has if the device below has them.
const MACVLAN_FEATURES: u64 = SG
    | HW_CSUM
    | HIGHDMA
    | FRAGLIST
    | GSO
    | TSO
    | LRO
    | TSO_ECN
    | TSO6
    | GRO
    | RXCSUM
    | HW_VLAN_CTAG_FILTER
    | HW_VLAN_STAG_FILTER;
/// Those that it has in any case, also for VLANs over it.
const ALWAYS_ON_OFFLOADS: u64 = SG | HW_CSUM | GSO_SOFTWARE | GSO_ROBUST | GSO_ENCAP_ALL;
const ALWAYS_ON_FEATURES: u64 = ALWAYS_ON_OFFLOADS | LLTX;

/// Attributes of a device (`IFLA_MACVLAN_*`).
#[derive(Clone, Copy, Debug, Default)]
pub struct MacvlanOptions {
    /// Whom it reaches.
    pub mode: Option<MacvlanMode>,
    /// `MACVLAN_FLAG_*`.
    pub flags: Option<u16>,
    /// How many frames to groups may wait.
    pub bc_queue_len: Option<u32>,
}

impl From<MacvlanOptions> for LinkInfo {
    fn from(options: MacvlanOptions) -> LinkInfo {
        LinkInfo::with("macvlan", options)
    }
}

fn macvlan_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = ETH_MAX_MTU;
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.unicast_flt = true;
}

/// What is known of a device, if it is of this kind.
pub fn macvlan(kernel: &Kernel, dev: DevId) -> Option<&MacvlanDev> {
    kernel.devs.get(dev)?.netdev_priv()
}

fn macvlan_mut<'a>(cx: &'a mut Cx, dev: DevId) -> Option<&'a mut MacvlanDev> {
    cx.k.devs[dev].netdev_priv_mut()
}

/// What a device knows of those of this kind over it; `None`: there are none.
pub fn macvlan_port(kernel: &Kernel, lower: DevId) -> Option<&MacvlanPort> {
    kernel.devs.get(lower)?.rx_handler_data()
}

fn port_mut<'a>(cx: &'a mut Cx, lower: DevId) -> Option<&'a mut MacvlanPort> {
    cx.k.devs[lower].rx_handler_data_mut()
}

/// Registers a device over another one; over one of this kind it is beside that.
fn macvlan_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let NewLink { mut dev, link, info, address, mtu, .. } = new;
    if address.is_some_and(|address| !address.is_valid()) {
        return Err(Errno::EADDRNOTAVAIL.into());
    }
    let options: MacvlanOptions = info.data().copied().unwrap_or_default();
    let link = link.ok_or(Errno::EINVAL)?;
    let lower = macvlan(cx.k, link).map_or(link, |beside| beside.lowerdev);
    let below = &cx.k.devs[lower];
    dev.mtu = mtu.unwrap_or(below.mtu);
    if dev.mtu > below.mtu {
        return Err(Errno::EINVAL.into());
    }
    (dev.addr, dev.addr_assign) = match address {
        Some(address) => (address, AddrAssign::Set),
        None => (Mac::ZERO, AddrAssign::Random),
    };
    if below.arphrd != Arphrd::Ether {
        return Err(Errno::EINVAL.into());
    }
    let mode = options.mode.unwrap_or(MacvlanMode::Vepa);
    let count = macvlan_port(cx.k, lower).map(|port| (port.vlans.len(), port.passthru));
    let is_alone = count.is_none_or(|(count, _)| count == 0);
    if count.is_some_and(|(_, passthru)| passthru) || mode == MacvlanMode::Passthru && !is_alone {
        return Err(Errno::EINVAL.into());
    }
    if count.is_none() {
        macvlan_port_create(cx, lower)?;
    }
    if mode == MacvlanMode::Passthru {
        (dev.addr, dev.addr_assign) = (cx.k.devs[lower].addr, AddrAssign::Stolen);
        set_passthru(cx, lower);
    }
    inherit(&mut dev, &cx.k.devs[lower]);
    dev.set_priv(MacvlanDev {
        lowerdev: lower,
        mode,
        flags: options.flags.unwrap_or(0),
        bc_queue_len_req: options.bc_queue_len.unwrap_or(DEFAULT_BC_QUEUE_LEN),
        mc_filter: McFilter::default(),
    });
    let dev = register_netdevice(cx, dev).inspect_err(|_| {
        if is_alone {
            macvlan_port_destroy(cx, lower);
        }
    })?;
    netdev_update_features(cx, dev);
    netdev_upper_dev_link(cx, lower, dev);
    if let Some(port) = port_mut(cx, lower) {
        port.vlans.push(dev);
    }
    update_port_bc_queue_len(cx, lower);
    netif_stacked_transfer_operstate(cx, lower, dev);
    linkwatch_fire_event(cx, dev);
    Ok(dev)
}

/// What a device that is about to be registered has from the one below (`macvlan_init`).
fn inherit(dev: &mut NetDevice, below: &NetDevice) {
    dev.link = Some(below.id);
    dev.carrier = below.carrier;
    dev.max_mtu = below.max_mtu;
    dev.features = below.features & MACVLAN_FEATURES | ALWAYS_ON_FEATURES;
    dev.hw_features |= LRO;
    dev.vlan_features = below.vlan_features & MACVLAN_FEATURES | ALWAYS_ON_OFFLOADS;
    dev.tso_max_size = below.tso_max_size;
}

/// # Errors
///
/// `EBUSY` for a device that a bridge or a bond has.
fn macvlan_port_create(cx: &mut Cx, lower: DevId) -> Result<(), NlError> {
    netdev_rx_handler_register(cx, lower, |skb| Door::MacvlanHandleFrame { skb })?;
    let netdev = &mut cx.k.devs[lower];
    let perm_addr = netdev.addr;
    netdev.set_rx_handler_data(MacvlanPort::new(perm_addr));
    Ok(())
}

fn set_passthru(cx: &mut Cx, lower: DevId) {
    if let Some(port) = port_mut(cx, lower) {
        port.passthru = true;
    }
}

/// The last device over it is gone. An address that a pass-through gave it is taken back.
fn macvlan_port_destroy(cx: &mut Cx, lower: DevId) {
    let Some(port) = port_mut(cx, lower) else { return };
    let (passthru, perm_addr) = (port.passthru, port.perm_addr);
    let waiting: Vec<SkbId> = port.bc_queue.drain(..).map(|(skb, _)| skb).collect();
    netdev_rx_handler_unregister(cx, lower);
    for skb in waiting {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if passthru && cx.k.devs[lower].addr != perm_addr {
        // It had the address before.
        let _accepted = dev_set_mac_address(cx, lower, perm_addr);
    }
}

fn macvlan_dellink(cx: &mut Cx, dev: DevId) {
    let Some(lower) = macvlan(cx.k, dev).map(|vlan| vlan.lowerdev) else { return };
    if let Some(port) = port_mut(cx, lower) {
        port.vlans.retain(|other| *other != dev);
    }
    update_port_bc_queue_len(cx, lower);
    netdev_upper_dev_unlink(cx, lower, dev);
    unregister_netdevice(cx, dev);
    if macvlan_port(cx.k, lower).is_some_and(|port| port.vlans.is_empty()) {
        macvlan_port_destroy(cx, lower);
    }
}

fn macvlan_changelink(cx: &mut Cx, dev: DevId, info: &LinkInfo) -> Result<(), NlError> {
    let (Some(options), Some(vlan)) = (info.data::<MacvlanOptions>(), macvlan(cx.k, dev)) else {
        return Ok(());
    };
    let (lower, before) = (vlan.lowerdev, vlan.mode);
    let is_passthru = |mode| mode == MacvlanMode::Passthru;
    if options.mode.is_some_and(|mode| is_passthru(mode) != is_passthru(before)) {
        return Err(Errno::EINVAL.into());
    }
    let Some(vlan) = macvlan_mut(cx, dev) else { return Ok(()) };
    let flags = options.flags.unwrap_or(vlan.flags);
    let changes = (flags ^ vlan.flags) & MACVLAN_FLAG_NOPROMISC != 0;
    vlan.mode = options.mode.unwrap_or(vlan.mode);
    vlan.flags = flags;
    vlan.bc_queue_len_req = options.bc_queue_len.unwrap_or(vlan.bc_queue_len_req);
    if is_passthru(before) && changes {
        dev_set_promiscuity(cx, lower, if flags & MACVLAN_FLAG_NOPROMISC != 0 { -1 } else { 1 });
    }
    update_port_bc_queue_len(cx, lower);
    Ok(())
}

/// As many frames may wait as any of the devices wants.
fn update_port_bc_queue_len(cx: &mut Cx, lower: DevId) {
    let vlans = macvlan_port(cx.k, lower).map_or(&[][..], |port| &port.vlans);
    let wanted = vlans.iter().filter_map(|dev| macvlan(cx.k, *dev)).map(|vlan| vlan.bc_queue_len_req);
    let most = wanted.max().unwrap_or(0);
    if let Some(port) = port_mut(cx, lower) {
        port.bc_queue_len_used = most;
    }
}

/// The device below has this address, or one that is up over it (`macvlan_addr_busy`).
fn macvlan_addr_busy(cx: &Cx, lower: DevId, addr: Mac) -> bool {
    macvlan_port(cx.k, lower)
        .is_some_and(|port| !port.passthru && cx.k.devs[lower].addr == addr || port.lookup(addr).is_some())
}

/// It takes part in the filters of the device below from now on.
///
/// # Errors
///
/// `EADDRINUSE` if somebody has its address.
fn macvlan_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let Some(vlan) = macvlan(cx.k, dev) else { return Ok(()) };
    let (lower, mode, flags) = (vlan.lowerdev, vlan.mode, vlan.flags);
    let addr = cx.k.devs[dev].addr;
    if mode == MacvlanMode::Passthru {
        if flags & MACVLAN_FLAG_NOPROMISC == 0 {
            dev_set_promiscuity(cx, lower, 1);
        }
    } else {
        if macvlan_addr_busy(cx, lower, addr) {
            return Err(Errno::EADDRINUSE);
        }
        dev_uc_add(cx, lower, addr);
    }
    if let Some(port) = port_mut(cx, lower) {
        port.hash_add(addr, dev);
    }
    Ok(())
}

fn macvlan_stop(cx: &mut Cx, dev: DevId) {
    let addr = cx.k.devs[dev].addr;
    let Some(vlan) = macvlan(cx.k, dev) else { return };
    let (lower, mode, flags) = (vlan.lowerdev, vlan.mode, vlan.flags);
    sync_rx_mode(cx, dev, lower, RxMode::default());
    if mode == MacvlanMode::Passthru {
        if flags & MACVLAN_FLAG_NOPROMISC == 0 {
            dev_set_promiscuity(cx, lower, -1);
        }
    } else {
        dev_uc_del(cx, lower, addr);
    }
    if let Some(port) = port_mut(cx, lower) {
        port.hash_del(addr);
    }
}

/// The device below receives what this one wants, while it is up; who wants which groups is noted
/// (`macvlan_set_mac_lists`, `macvlan_change_rx_flags`). A pass-through asks for all frames in any case.
fn macvlan_set_mac_lists(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    let Some((lower, mode)) = macvlan(cx.k, dev).map(|vlan| (vlan.lowerdev, vlan.mode)) else { return };
    let mc_filter = McFilter::of(netdev);
    if netdev.is_up() {
        let wanted = RxMode::of(netdev);
        let promisc = wanted.promisc && mode != MacvlanMode::Passthru;
        sync_rx_mode(cx, dev, lower, RxMode { promisc, ..wanted });
    }
    let of_lower = McFilter::of(&cx.k.devs[lower]);
    if let Some(vlan) = macvlan_mut(cx, dev) {
        vlan.mc_filter = mc_filter;
    }
    if let Some(port) = port_mut(cx, lower) {
        port.mc_filter = of_lower;
    }
}

/// It has another address from now on. The only device of a pass-through gives it to the one below.
fn macvlan_set_mac_address(cx: &mut Cx, dev: DevId, addr: Mac) -> Result<Mac, Errno> {
    let Some(vlan) = macvlan(cx.k, dev) else { return Ok(addr) };
    let (lower, mode, before) = (vlan.lowerdev, vlan.mode, cx.k.devs[dev].addr);
    if addr == before {
        return Ok(addr);
    }
    if mode == MacvlanMode::Passthru {
        // It is valid; what the device below has before is kept for later.
        let perm_addr = macvlan_port(cx.k, lower).map(|port| port.perm_addr);
        let _accepted = dev_set_mac_address(cx, lower, addr);
        if let (Some(port), Some(perm_addr)) = (port_mut(cx, lower), perm_addr) {
            port.perm_addr = perm_addr;
        }
        return Ok(addr);
    }
    if macvlan_addr_busy(cx, lower, addr) {
        return Err(Errno::EADDRINUSE);
    }
    macvlan_sync_address(cx, dev, addr);
    Ok(addr)
}

/// The filters follow the address of a device that is up.
fn macvlan_sync_address(cx: &mut Cx, dev: DevId, addr: Mac) {
    let Some(lower) = macvlan(cx.k, dev).map(|vlan| vlan.lowerdev) else { return };
    let (before, is_up) = (cx.k.devs[dev].addr, cx.k.devs[dev].is_up());
    let passthru = macvlan_port(cx.k, lower).is_some_and(|port| port.passthru);
    if is_up && !passthru {
        dev_uc_add(cx, lower, addr);
        dev_uc_del(cx, lower, before);
    }
    cx.k.devs[dev].addr = addr;
    let Some(port) = port_mut(cx, lower) else { return };
    if is_up {
        port.hash_del(before);
        port.hash_add(addr, dev);
    }
    if passthru {
        port.perm_addr = addr;
    }
}

/// It is at most that of the device below.
fn macvlan_change_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), Errno> {
    let below = macvlan(cx.k, dev).map(|vlan| cx.k.devs[vlan.lowerdev].mtu);
    if below.is_some_and(|below| mtu > below) { Err(Errno::EINVAL) } else { Ok(()) }
}

fn macvlan_fix_features(cx: &Cx, dev: DevId, features: u64) -> u64 {
    let Some(vlan) = macvlan(cx.k, dev) else { return features };
    let features = features | ALL_FOR_ALL;
    let lower = cx.k.devs[vlan.lowerdev].features & (features | !LRO);
    let both = netdev_increment_features(lower, features, features) | ALWAYS_ON_FEATURES;
    both & (ALWAYS_ON_FEATURES | MACVLAN_FEATURES)
}

/// What the device below says.
fn macvlan_ethtool_get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let lower = macvlan(kernel, dev.id).and_then(|vlan| kernel.devs.get(vlan.lowerdev));
    LinkKsettings::of_lower(kernel, lower)
}

/// Something happened to a device with others of this kind over it.
fn macvlan_device_event(cx: &mut Cx, lower: DevId, event: NetdevEvent) {
    let Some(port) = macvlan_port(cx.k, lower) else { return };
    let (vlans, passthru) = (port.vlans.clone(), port.passthru);
    match event {
        NetdevEvent::Up | NetdevEvent::Down | NetdevEvent::Change { .. } => {
            vlans.iter().for_each(|dev| netif_stacked_transfer_operstate(cx, lower, *dev));
        }
        NetdevEvent::FeatChange => {
            for dev in vlans {
                cx.k.devs[dev].tso_max_size = cx.k.devs[lower].tso_max_size;
                netdev_update_features(cx, dev);
            }
        }
        NetdevEvent::ChangeMtu { .. } => {
            let mtu = cx.k.devs[lower].mtu;
            for dev in vlans {
                if cx.k.devs[dev].mtu > mtu {
                    // Refused, it keeps its own.
                    let _ = dev_set_mtu(cx, dev, mtu);
                }
            }
        }
        NetdevEvent::ChangeAddr if passthru => {
            let addr = cx.k.devs[lower].addr;
            vlans.into_iter().take(1).for_each(|dev| macvlan_sync_address(cx, dev, addr));
        }
        NetdevEvent::Unregister if cx.k.devs[lower].unregistering => {
            vlans.into_iter().for_each(|dev| macvlan_dellink(cx, dev));
        }
        NetdevEvent::NotifyPeers => {
            vlans.into_iter().for_each(|dev| call_netdevice_notifiers(cx, dev, event));
        }
        _ => {}
    }
}

/// Gives a received frame to the device that has its destination's address, and a frame to a group to all that listen.
///
/// Kernel: drivers/net/macvlan.c
/// Not modelled: fragments of frames to groups are not put together before.
pub fn macvlan_handle_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let lower = cx.skbs[skb].dev;
    if cx.skbs[skb].pkt_type == PacketType::Loopback {
        return deliver_to_protocol(cx, skb, false);
    }
    let (dest, source) = (cx.skbs.eth_hdr(skb).dest(), cx.skbs.eth_hdr(skb).source());
    if dest.is_multicast() {
        return to_group(cx, skb, lower, dest, source);
    }
    cx.call(Func::MacvlanForwardSource, skb);
    let Some(port) = macvlan_port(cx.k, lower) else { return deliver_to_protocol(cx, skb, false) };
    let dev = if port.passthru {
        port.vlans.first().copied()
    } else {
        let found = port.lookup(dest);
        cx.call(Func::MacvlanHashLookup, skb);
        found
    };
    let Some(dev) = dev else { return deliver_to_protocol(cx, skb, false) };
    if !cx.k.devs[dev].is_up() {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let len = cx.skbs[skb].len() + ETH_HLEN;
    cx.k.devs[dev].stats.count_rx(len, false);
    (cx.skbs[skb].dev, cx.skbs[skb].pkt_type) = (dev, PacketType::Host);
    another_round(cx, skb)
}

/// A frame to a group is for this host, too; the devices over this one get it when a worker has its turn.
fn to_group(cx: &mut Cx, skb: SkbId, lower: DevId, group: Mac, source: Mac) -> Door {
    cx.call(Func::MacvlanForwardSource, skb);
    cx.call(Func::MacvlanHashLookup, skb);
    let Some(port) = macvlan_port(cx.k, lower) else { return deliver_to_protocol(cx, skb, false) };
    let (listens, sender) = (port.mc_filter.has(group), port.lookup(source));
    let mode = sender.and_then(|sender| macvlan(cx.k, sender)).map(|vlan| vlan.mode);
    if let (Some(sender), Some(MacvlanMode::Private | MacvlanMode::Passthru)) = (sender, mode) {
        // It comes back to who sent it; its bytes are not counted.
        cx.k.devs[sender].stats.count_rx(0, false);
        as_group_frame(cx, skb, sender, group);
        return Door::NetifRxInner { skb };
    }
    if listens {
        macvlan_broadcast_enqueue(cx, lower, sender, skb);
    }
    deliver_to_protocol(cx, skb, false)
}

fn macvlan_broadcast_enqueue(cx: &mut Cx, lower: DevId, sender: Option<DevId>, skb: SkbId) {
    let clone = cx.skb_clone(skb);
    let Some(port) = port_mut(cx, lower) else { return };
    if port.bc_queue.len() >= port.bc_queue_len_used as usize {
        cx.k.devs[lower].stats.rx_dropped += 1;
        cx.kfree_skb(clone, DropReason::NotSpecified);
        return;
    }
    port.bc_queue.push_back((clone, sender));
    cx.schedule_work(macvlan_process_broadcast, lower.0);
}

/// The worker: what came from outside goes to all devices, what one of them sent to those that a switch outside reaches.
fn macvlan_process_broadcast(cx: &mut Cx, lower: u32) {
    let lower = DevId(lower);
    if macvlan_port(cx.k, lower).is_none() {
        return;
    }
    let waiting = port_mut(cx, lower).map(|port| std::mem::take(&mut port.bc_queue)).unwrap_or_default();
    for (skb, sender) in waiting {
        let mode = sender.and_then(|sender| macvlan(cx.k, sender)).map(|vlan| vlan.mode);
        let modes: &[MacvlanMode] = match mode {
            None => &MacvlanMode::ALL.map(|(mode, _)| mode),
            Some(MacvlanMode::Vepa) => &[MacvlanMode::Vepa, MacvlanMode::Bridge],
            // Those of the same bridge saw it on its way out.
            Some(_) => &[MacvlanMode::Vepa],
        };
        macvlan_broadcast(cx, skb, lower, sender, modes);
        cx.consume_skb(skb);
    }
}

/// Copies a frame to a group for each device of these modes that listens, but not for its sender.
fn macvlan_broadcast(cx: &mut Cx, skb: SkbId, lower: DevId, sender: Option<DevId>, modes: &[MacvlanMode]) {
    cx.within(Func::MacvlanBroadcast, skb, |cx| {
        let group = cx.skbs.eth_hdr(skb).dest();
        let local = modes == [MacvlanMode::Bridge];
        let up = macvlan_port(cx.k, lower).map_or(Vec::new(), MacvlanPort::up);
        for dev in up {
            let wants = macvlan(cx.k, dev)
                .is_some_and(|vlan| modes.contains(&vlan.mode) && vlan.mc_filter.has(group));
            if Some(dev) == sender || !wants {
                continue;
            }
            let len = cx.skbs[skb].len();
            let clone = cx.skb_clone(skb);
            if !local {
                as_group_frame(cx, clone, dev, group);
            } else if !forward_to(cx, clone, dev) {
                cx.k.devs[dev].stats.rx_errors += 1;
                continue;
            }
            cx.k.devs[dev].stats.count_rx(len + ETH_HLEN, true);
            cx.walk(Door::NetifRx { skb: clone });
        }
    });
}

/// The frame is the device's, to whose group it is.
fn as_group_frame(cx: &mut Cx, skb: SkbId, dev: DevId, group: Mac) {
    let is_broadcast = group == cx.k.devs[dev].broadcast;
    cx.skbs[skb].dev = dev;
    cx.skbs[skb].pkt_type = if is_broadcast { PacketType::Broadcast } else { PacketType::Multicast };
}

/// Sends a frame to a device beside this one, or out.
///
/// Kernel: drivers/net/macvlan.c
/// Not modelled: nothing.
pub fn macvlan_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len());
    let Some((lower, mode)) = macvlan(cx.k, dev).map(|vlan| (vlan.lowerdev, vlan.mode)) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if mode == MacvlanMode::Bridge {
        let dest = cx.skbs.eth_hdr(skb).dest();
        if dest.is_multicast() {
            macvlan_broadcast(cx, skb, lower, Some(dev), &[MacvlanMode::Bridge]);
        } else {
            cx.call(Func::MacvlanHashLookup, skb);
            let beside = macvlan_port(cx.k, lower).and_then(|port| port.lookup(dest));
            if beside.and_then(|beside| macvlan(cx.k, beside)).is_some_and(|it| it.mode == mode) {
                cx.k.devs[dev].stats.count_tx(len);
                // The device below receives it, so its taps see it.
                return dev_forward_skb(cx, skb, lower);
            }
        }
    }
    cx.skbs[skb].dev = lower;
    if cx.xmit_within(skb, Door::DevQueueXmit { skb }) {
        cx.k.devs[dev].stats.count_tx(len);
    } else {
        cx.k.devs[dev].stats.tx_dropped += 1;
    }
    Door::End
}
