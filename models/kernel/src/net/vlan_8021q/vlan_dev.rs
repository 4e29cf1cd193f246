//! The VLAN device. Not modelled: registering its VLAN by GVRP or MVRP, a carrier that follows ports of a bridge.
//!
//! Kernel: net/8021q/vlan_dev.c

use glassnet_wire::Mac;

use super::vlan_netlink::{vlan_changelink, vlan_newlink};
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkKsettings, LinkOps};
use crate::module::NetdevEvent;
use crate::net::core::dev_addr_lists::{dev_uc_add, dev_uc_del};
use crate::net::core::dev_features::netdev_intersect_features;
use crate::net::core::dev_rx_mode::sync_rx_mode;
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::net::core::notifier::call_netdevice_notifiers;
use crate::net::ethernet::eth::{ETH_MAX_MTU, ether_setup};
use crate::netlink::Errno;
use crate::tables::netdev::{
    AddrAssign, IFF_ALLMULTI, IFF_MASTER, IFF_PROMISC, IFF_SLAVE, IFF_UP, NetDevice, RxMode,
};
use crate::tables::netdev_features::{
    ALL_FCOE, FRAGLIST, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, IP_CSUM, IPV6_CSUM, LLTX, RXCSUM,
    SCTP_CRC, SG, SOFT_FEATURES,
};
use crate::tables::vlan::{VLAN_FLAG_LOOSE_BINDING, VlanDev};
use crate::tables::vlan_tag::VlanTag;
use crate::{Cx, Kernel};

/// Link kind `vlan`.
pub static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(vlan_newlink),
    changelink: Some(vlan_changelink),
    dellink: Some(super::vlan::unregister_vlan_dev),
    open: Some(vlan_dev_open),
    stop: Some(vlan_dev_stop),
    change_mtu: Some(vlan_dev_change_mtu),
    set_mac_address: Some(vlan_dev_set_mac_address),
    set_rx_mode: Some(vlan_dev_set_rx_mode),
    fix_features: Some(vlan_dev_fix_features),
    devtype: Some("vlan"),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "802.1Q VLAN Support".to_owned(),
            version: "1.8",
            fw_version: "N/A",
            bus_info: String::new(),
        }),
        get_link_ksettings: Some(vlan_ethtool_get_link_ksettings),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("vlan"), vlan_setup, |skb| Door::VlanDevHardStartXmit { skb })
};

fn vlan_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.unicast_flt = true;
    (dev.min_mtu, dev.max_mtu) = (0, ETH_MAX_MTU);
    dev.broadcast = Mac::ZERO;
}

/// Gives a device that is about to be registered what it has from the device below (`vlan_dev_init`).
pub(super) fn vlan_dev_init(dev: &mut NetDevice, real_dev: &NetDevice, vlan: VlanDev) {
    dev.flags = real_dev.flags & !(IFF_UP | IFF_PROMISC | IFF_ALLMULTI | IFF_MASTER | IFF_SLAVE);
    dev.carrier = real_dev.carrier;
    dev.link = Some(real_dev.id);
    dev.hw_features = HW_CSUM | SG | FRAGLIST | GSO_SOFTWARE | GSO_ENCAP_ALL | HIGHDMA | SCTP_CRC | ALL_FCOE;
    dev.features |= dev.hw_features | LLTX;
    dev.vlan_features = real_dev.vlan_features & !ALL_FCOE;
    dev.tso_max_size = real_dev.tso_max_size;
    if dev.addr == Mac::ZERO {
        (dev.addr, dev.addr_assign) = (real_dev.addr, AddrAssign::Stolen);
    }
    if dev.broadcast == Mac::ZERO {
        dev.broadcast = real_dev.broadcast;
    }
    dev.set_priv(vlan);
}

/// What the device below can do for VLAN devices, as far as they want it.
fn vlan_dev_fix_features(cx: &Cx, dev: DevId, features: u64) -> u64 {
    let Some(vlan) = cx.k.devs[dev].vlan_dev_priv() else { return features };
    let real_dev = &cx.k.devs[vlan.real_dev];
    let mut lower = netdev_intersect_features(real_dev.vlan_features | RXCSUM, real_dev.features);
    if lower & (IP_CSUM | IPV6_CSUM) != 0 {
        lower |= HW_CSUM;
    }
    netdev_intersect_features(features, lower) | features & (SOFT_FEATURES | GSO_SOFTWARE) | LLTX
}

/// Its address follows that of the device below, unless it was given one (`vlan_dev_inherit_address`).
fn vlan_dev_inherit_address(cx: &mut Cx, dev: DevId, real_dev: DevId) -> bool {
    let addr = cx.k.devs[real_dev].addr;
    let netdev = &mut cx.k.devs[dev];
    if netdev.addr_assign != AddrAssign::Stolen {
        return false;
    }
    netdev.addr = addr;
    call_netdevice_notifiers(cx, dev, NetdevEvent::ChangeAddr);
    true
}

/// The device below has another address (`vlan_sync_address`).
pub(super) fn vlan_sync_address(cx: &mut Cx, real_dev: DevId, dev: DevId) {
    let (now, own) = (cx.k.devs[real_dev].addr, cx.k.devs[dev].addr);
    let Some(before) = cx.k.devs[dev].vlan_dev_priv().map(|vlan| vlan.real_dev_addr) else { return };
    if before == now {
        return;
    }
    if !vlan_dev_inherit_address(cx, dev, real_dev) {
        match (own == before, own == now) {
            (false, true) => dev_uc_del(cx, real_dev, own),
            (true, false) => dev_uc_add(cx, real_dev, own),
            _ => {}
        }
    }
    set_real_dev_addr(cx, dev, now);
}

fn set_real_dev_addr(cx: &mut Cx, dev: DevId, addr: Mac) {
    if let Some(vlan) = cx.k.devs[dev].vlan_dev_priv_mut() {
        vlan.real_dev_addr = addr;
    }
}

fn vlan_dev_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let Some((real_dev, flags)) = cx.k.devs[dev].vlan_dev_priv().map(|vlan| (vlan.real_dev, vlan.flags))
    else {
        return Ok(());
    };
    if !cx.k.devs[real_dev].is_up() && flags & VLAN_FLAG_LOOSE_BINDING == 0 {
        return Err(Errno::ENETDOWN);
    }
    let (addr, real_addr) = (cx.k.devs[dev].addr, cx.k.devs[real_dev].addr);
    if addr != real_addr && !vlan_dev_inherit_address(cx, dev, real_dev) {
        dev_uc_add(cx, real_dev, addr);
    }
    set_real_dev_addr(cx, dev, real_addr);
    if cx.k.devs[real_dev].carrier {
        netif_carrier_on(cx, dev);
    }
    Ok(())
}

fn vlan_dev_stop(cx: &mut Cx, dev: DevId) {
    let Some(real_dev) = cx.k.devs[dev].vlan_dev_priv().map(|vlan| vlan.real_dev) else { return };
    // What is asked of all frames stays.
    let asked = cx.k.devs[dev].rx_asked.get(&real_dev).cloned().unwrap_or_default();
    sync_rx_mode(
        cx,
        dev,
        real_dev,
        RxMode { promisc: asked.promisc, allmulti: asked.allmulti, ..RxMode::default() },
    );
    let addr = cx.k.devs[dev].addr;
    if addr != cx.k.devs[real_dev].addr {
        dev_uc_del(cx, real_dev, addr);
    }
    netif_carrier_off(cx, dev);
}

/// The device below receives what this one wants: groups only while it is up, all frames in any case.
fn vlan_dev_set_rx_mode(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    let Some(real_dev) = netdev.vlan_dev_priv().map(|vlan| vlan.real_dev) else { return };
    let mut wanted = RxMode::of(netdev);
    if !netdev.is_up() {
        (wanted.uc, wanted.mc) = Default::default();
    }
    sync_rx_mode(cx, dev, real_dev, wanted);
}

fn vlan_dev_set_mac_address(cx: &mut Cx, dev: DevId, addr: Mac) -> Result<Mac, Errno> {
    let netdev = &cx.k.devs[dev];
    let (before, is_up, Some(real_dev)) =
        (netdev.addr, netdev.is_up(), netdev.vlan_dev_priv().map(|vlan| vlan.real_dev))
    else {
        return Ok(addr);
    };
    let real_addr = cx.k.devs[real_dev].addr;
    if is_up && addr != real_addr {
        dev_uc_add(cx, real_dev, addr);
    }
    if is_up && before != real_addr {
        dev_uc_del(cx, real_dev, before);
    }
    Ok(addr)
}

/// It is at most that of the device below.
fn vlan_dev_change_mtu(cx: &mut Cx, dev: DevId, mtu: u32) -> Result<(), Errno> {
    let below = cx.k.devs[dev].vlan_dev_priv().map(|vlan| cx.k.devs[vlan.real_dev].mtu);
    if below.is_some_and(|below| mtu > below) { Err(Errno::ERANGE) } else { Ok(()) }
}

/// What the device below says.
fn vlan_ethtool_get_link_ksettings(kernel: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let real_dev = dev.vlan_dev_priv().and_then(|vlan| kernel.devs.get(vlan.real_dev));
    LinkKsettings::of_lower(kernel, real_dev)
}

/// The packet gets its tag and goes to the device below.
///
/// Kernel: net/8021q/vlan_dev.c
/// Not modelled: the tag in the header that `reorder_hdr off` writes here already, for who reads the device's own frames.
pub fn vlan_dev_hard_start_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let Some(vlan) = cx.k.devs[dev].vlan_dev_priv() else {
        return cx.kfree_skb(skb, crate::tables::drop_reason::DropReason::DevReady);
    };
    let tag =
        VlanTag { proto: vlan.vlan_proto, tci: vlan.vlan_id | vlan.egress_qos_mask(cx.skbs[skb].priority) };
    let pkt = &mut cx.skbs[skb];
    (pkt.vlan_tag, pkt.dev) = (Some(tag), vlan.real_dev);
    let sent = cx.xmit_within(skb, Door::DevQueueXmit { skb });
    let stats = &mut cx.k.devs[dev].stats;
    if sent {
        stats.tx_packets += 1;
        stats.tx_bytes += len;
    } else {
        stats.tx_dropped += 1;
    }
    Door::End
}
