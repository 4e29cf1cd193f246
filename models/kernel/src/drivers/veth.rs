//! `veth`: a pair of devices, each receiving what the other transmits.
//!
//! Kernel: drivers/net/veth.c

use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::link::{ChannelCounts, Channels, DrvInfo, EthtoolOps, LinkInfo, LinkKsettings, LinkOps, NewLink};
use crate::module::Module;
use crate::net::core::dev::{dev_close, register_netdevice, unregister_netdevice};
use crate::net::core::dev_forward::is_skb_forwardable;
use crate::net::core::link_watch::{netif_carrier_off, netif_carrier_on};
use crate::net::core::rtnetlink::{LinkNew, rtnl_configure_link, rtnl_create_link};
use crate::net::ethernet::eth::{ETH_MAX_MTU, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{AddrAssign, NetDevice, TSO_MAX_SIZE};
use crate::tables::netdev_features::{
    FRAGLIST, GRO, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, HW_VLAN_CTAG_RX, HW_VLAN_CTAG_TX,
    HW_VLAN_STAG_RX, HW_VLAN_STAG_TX, LLTX, RXCSUM, SCTP_CRC, SG,
};
use crate::{Cx, Kernel};
use glassnet_wire::eth::ETH_HLEN;

/// The module.
pub static MODULE: Module = Module { links: &[&LINK_OPS], ..Module::named("veth") };

/// Link kind `veth`. The peer is the device's `link`, `None` while the peer is being deleted.
pub static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(veth_newlink),
    dellink: Some(veth_dellink),
    open: Some(veth_open),
    stop: Some(veth_close),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "veth".to_owned(),
            version: "1.0",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_ethtool_stats: Some(veth_get_ethtool_stats),
        get_link_ksettings: Some(|_, _| LinkKsettings {
            speed: Some(VETH_SPEED),
            full_duplex: true,
            twisted_pair: true,
            copper: None,
        }),
        // One queue per CPU is allocated, one is used.
        get_channels: Some(veth_get_channels),
        get_link: true,
        tx_timestamps: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("veth"), veth_setup, |skb| Door::VethXmit { skb })
};

/// What a veth device says of its speed, Mbit/s.
pub const VETH_SPEED: u32 = 10_000;

/// Attributes of a new pair (`VETH_INFO_PEER`).
#[derive(Clone, Debug, Default)]
pub struct VethOptions {
    /// The peer, by default in the namespace of the request.
    pub peer: LinkNew,
}

impl From<VethOptions> for LinkInfo {
    fn from(options: VethOptions) -> LinkInfo {
        LinkInfo::with("veth", options)
    }
}

const VETH_FEATURES: u64 = SG
    | FRAGLIST
    | HW_CSUM
    | RXCSUM
    | SCTP_CRC
    | HIGHDMA
    | GSO_SOFTWARE
    | GSO_ENCAP_ALL
    | HW_VLAN_CTAG_TX
    | HW_VLAN_CTAG_RX
    | HW_VLAN_STAG_TX
    | HW_VLAN_STAG_RX;

fn veth_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.no_queue = true;
    dev.tx_skb_sharing = false;
    dev.max_mtu = ETH_MAX_MTU;
    dev.addr_assign = AddrAssign::Random;
    dev.tso_max_size = TSO_MAX_SIZE;
    dev.features = VETH_FEATURES | LLTX;
    dev.hw_features = VETH_FEATURES;
    dev.vlan_features =
        dev.features & !(HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX | HW_VLAN_CTAG_RX | HW_VLAN_STAG_RX);
}

/// Registers the peer first, so it has the lower ifindex.
fn veth_newlink(cx: &mut Cx, new: NewLink) -> Result<DevId, NlError> {
    let VethOptions { peer } = new.info.data().cloned().unwrap_or_default();
    let mut other = rtnl_create_link(peer.set.netns.unwrap_or(new.src_net), &LINK_OPS, &peer)?;
    other.addr = peer.set.address.unwrap_or_default();
    let other = veth_register(cx, other)?;
    let dev = veth_register(cx, new.dev).inspect_err(|_| unregister_netdevice(cx, other))?;
    cx.k.devs[dev].link = Some(other);
    cx.k.devs[other].link = Some(dev);
    rtnl_configure_link(cx, other, peer.set).inspect_err(|_| veth_dellink(cx, dev))?;
    Ok(dev)
}

/// GRO is off by default (`veth_disable_gro`), and a new device has no carrier.
fn veth_register(cx: &mut Cx, mut dev: NetDevice) -> Result<DevId, NlError> {
    dev.num_tx_queues = cx.k.cpus.len() as u32;
    dev.num_rx_queues = dev.num_tx_queues;
    let dev = register_netdevice(cx, dev)?;
    let netdev = &mut cx.k.devs[dev];
    netdev.features &= !GRO;
    netdev.wanted_features &= !GRO;
    netif_carrier_off(cx, dev);
    Ok(dev)
}

/// Deletes both devices.
fn veth_dellink(cx: &mut Cx, dev: DevId) {
    let ends: Vec<DevId> = [Some(dev), cx.k.devs[dev].link].into_iter().flatten().collect();
    for end in &ends {
        dev_close(cx, *end);
    }
    for end in &ends {
        cx.k.devs[*end].link = None;
    }
    for end in ends {
        unregister_netdevice(cx, end);
    }
}

/// Both have a carrier once both are up.
fn veth_open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    if let Some(peer) = cx.k.devs[dev].link
        && cx.k.devs[peer].is_up()
    {
        netif_carrier_on(cx, dev);
        netif_carrier_on(cx, peer);
    }
    Ok(())
}

fn veth_close(cx: &mut Cx, dev: DevId) {
    netif_carrier_off(cx, dev);
    if let Some(peer) = cx.k.devs[dev].link {
        netif_carrier_off(cx, peer);
    }
}

fn veth_get_channels(kernel: &Kernel, _: &NetDevice) -> Channels {
    let counts = |each| ChannelCounts { rx: each, tx: each, ..ChannelCounts::default() };
    Channels { max: counts(kernel.cpus.len()), now: counts(1) }
}

fn veth_get_ethtool_stats(kernel: &Kernel, dev: &NetDevice) -> Vec<(String, u64)> {
    let peer = dev.link.map_or(0, |peer| kernel.devs[peer].ifindex);
    let zero = [
        "rx_queue_0_xdp_packets",
        "rx_queue_0_xdp_bytes",
        "rx_queue_0_drops",
        "rx_queue_0_xdp_redirect",
        "rx_queue_0_xdp_drops",
        "rx_queue_0_xdp_tx",
        "rx_queue_0_xdp_tx_errors",
        "tx_queue_0_xdp_xmit",
        "tx_queue_0_xdp_xmit_errors",
    ];
    let all = std::iter::once(("peer_ifindex", u64::from(peer))).chain(zero.map(|name| (name, 0)));
    all.map(|(name, count)| (name.to_owned(), count)).collect()
}

/// Transmits a packet to the peer.
///
/// Kernel: drivers/net/veth.c
/// Not modelled: XDP and NAPI mode.
pub fn veth_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len());
    let Some(peer) = cx.k.devs[dev].link else {
        return drop(cx, skb, dev);
    };
    if len < ETH_HLEN {
        return drop(cx, skb, dev);
    }
    if !is_skb_forwardable(cx, peer, skb, len) {
        cx.call(Func::DevForwardSkb, skb);
        cx.k.devs[peer].stats.rx_dropped += 1;
        return drop(cx, skb, dev);
    }
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len as u64;
    let stats = &mut cx.k.devs[peer].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len as u64;
    cx.pass(Door::DevForwardSkb { skb })
}

fn drop(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.xmit_failed(skb, Errno::ENOBUFS);
    cx.kfree_skb(skb, DropReason::NotSpecified)
}
