//! The bridge device.
//!
//! Kernel: net/bridge/br_device.c

use glassnet_wire::eth::ETH_HLEN;

use super::br_fdb::{Asker, br_fdb_find_rcu, fdb_add_local};
use super::br_if::{br_add_if, br_del_if};
use super::br_multicast::br_multicast_join_snoopers;
use super::br_netfilter_hooks::br_nf_dev_xmit;
use super::br_netlink::{br_changelink, br_setport, br_validate};
use super::br_promisc::br_manage_promisc;
use super::br_stp::br_port_state_selection;
use super::br_vlan::{br_allowed_ingress, join_default_vlan};
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkKsettings, LinkOps, NewLink};
use crate::net::core::dev::{register_netdevice, unregister_netdevice};
use crate::net::core::dev_features::netdev_increment_features;
use crate::net::ethernet::eth::{ETH_MAX_MTU, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::bridge::Bridge;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{AddrAssign, NetDevice};
use crate::tables::netdev_features::{
    ALL_TSO, FRAGLIST, GSO_MASK, HIGHDMA, HW_CSUM, HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX, LLTX, NETNS_LOCAL,
    ONE_FOR_ALL, SG,
};
use crate::tables::skb::BrCb;
use crate::{Cx, Kernel};

/// Link kind `bridge`.
pub static LINK_OPS: LinkOps = LinkOps {
    has_tstats: true,
    newlink: Some(br_dev_newlink),
    changelink: Some(|cx, dev, info| info.data().map_or(Ok(()), |attrs| br_changelink(cx, dev, attrs))),
    slave_changelink: Some(|cx, dev, info| info.data().map_or(Ok(()), |attrs| br_setport(cx, dev, attrs))),
    dellink: Some(br_dev_delete),
    open: Some(br_dev_open),
    set_rx_mode: Some(br_manage_promisc),
    change_mtu: Some(br_change_mtu),
    fix_features: Some(br_fix_features),
    add_slave: Some(br_add_if),
    del_slave: Some(br_del_if),
    devtype: Some("bridge"),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "bridge".to_owned(),
            version: "2.3",
            fw_version: "N/A",
            bus_info: "N/A".to_owned(),
        }),
        get_link_ksettings: Some(br_get_link_ksettings),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("bridge"), br_dev_setup, |skb| Door::BrDevXmit { skb })
};

const COMMON_FEATURES: u64 = SG | FRAGLIST | HIGHDMA | GSO_MASK | HW_CSUM;

fn br_dev_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.max_mtu = ETH_MAX_MTU;
    dev.addr_assign = AddrAssign::Random;
    dev.features = COMMON_FEATURES | LLTX | NETNS_LOCAL | HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;
    dev.hw_features = COMMON_FEATURES | HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;
    dev.vlan_features = COMMON_FEATURES;
    dev.set_priv(Bridge::default());
}

fn br_dev_open(cx: &mut Cx, bridge: DevId) -> Result<(), Errno> {
    br_multicast_join_snoopers(cx, bridge);
    Ok(())
}

fn br_dev_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let attrs = new.info.data().cloned().unwrap_or_default();
    br_validate(cx.k, &new.dev, &attrs)?;
    let is_given = new.address.is_some();
    let bridge = register_netdevice(cx, new.dev)?;
    let addr = cx.k.devs[bridge].addr;
    if is_given {
        br_port_state_selection(cx, bridge);
    }
    fdb_add_local(cx, bridge, None, addr);
    join_default_vlan(cx, bridge, bridge);
    br_changelink(cx, bridge, &attrs).inspect_err(|_| br_dev_delete(cx, bridge))?;
    Ok(bridge)
}

/// What the ports have, as far as the bridge may have it (`br_features_recompute`).
fn br_fix_features(cx: &Cx, bridge: DevId, features: u64) -> u64 {
    let ports = cx.k.devs[bridge].bridge().map_or(&[][..], |bridge| &bridge.ports);
    if ports.is_empty() {
        return features;
    }
    let of_ports = ports.iter().fold(features & !ONE_FOR_ALL, |all, port| {
        netdev_increment_features(all, cx.k.devs[*port].features, features)
    });
    netdev_increment_features(of_ports, ALL_TSO, features)
}

/// Removes the ports and unregisters the bridge (`br_dev_delete`).
fn br_dev_delete(cx: &mut Cx, bridge: DevId) {
    for port in cx.k.devs[bridge].bridge().map(|bridge| bridge.ports.clone()).unwrap_or_default() {
        br_del_if(cx, bridge, port);
    }
    unregister_netdevice(cx, bridge);
}

/// From now on the MTU does not follow the ports.
fn br_change_mtu(cx: &mut Cx, bridge: DevId, _: u32) -> Result<(), Errno> {
    if let Some(bridge) = cx.k.devs[bridge].bridge_mut() {
        bridge.conf.mtu_is_set = true;
    }
    Ok(())
}

/// The speed is that of the fastest running port.
fn br_get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let ports = dev.bridge().map_or(&[][..], |bridge| &bridge.ports);
    let running = ports.iter().map(|port| &kernel.devs[*port]).filter(|port| port.is_running());
    let speed = running.filter_map(|port| port.ops.ethtool.get_link_ksettings?(kernel, port).speed).max();
    LinkKsettings { speed, full_duplex: false, twisted_pair: false, copper: None }
}

/// Transmits a frame of this host through the bridge.
///
/// Kernel: net/bridge/br_device.c
/// Not modelled: multicast snooping, ARP suppression.
pub fn br_dev_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    if let Some(door) = br_nf_dev_xmit(cx, skb) {
        return door;
    }
    let (bridge, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let stats = &mut cx.k.devs[bridge].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    let dest = cx.skbs.eth_hdr(skb).dest();
    cx.xmit_succeeded(skb);
    let vlan_filtered = cx.k.devs[bridge].bridge().is_some_and(|br| br.conf.vlan_filtering);
    cx.skbs[skb].br = BrCb { brdev: Some(bridge), vlan_filtered, ..BrCb::default() };
    if !cx.skbs.pull(skb, ETH_HLEN) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let mut vid = 0;
    if vlan_filtered {
        match br_allowed_ingress(cx, skb, bridge, bridge) {
            Some(allowed) => vid = allowed,
            None => return Door::End,
        }
    }
    if dest.is_multicast() {
        return Door::BrFlood { skb, local_rcv: false };
    }
    match br_fdb_find_rcu(cx, skb, bridge, (dest, vid), Asker::Bridge) {
        Some(entry) => match entry.port {
            Some(to) => {
                cx.skbs[skb].br.to = Some(to);
                Door::BrForward { skb }
            }
            None => cx.kfree_skb(skb, DropReason::NotSpecified),
        },
        None => Door::BrFlood { skb, local_rcv: false },
    }
}
