//! Devices that a datapath makes: their other end is the datapath.
//!
//! Kernel: net/openvswitch/vport-internal_dev.c

use super::vport::ovs_vport_receive;
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::{DrvInfo, EthtoolOps, LinkOps, NewLink};
use crate::net::core::dev::{alloc_netdev, register_netdevice, unregister_netdevice};
use crate::net::core::dev_rx_mode::dev_set_promiscuity;
use crate::net::ethernet::eth::{ETH_MAX_MTU, eth_type_trans, ether_setup};
use crate::netlink::{Errno, NlError};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{AddrAssign, NameAssign, NetDevice};
use crate::tables::netdev_features::{
    FRAGLIST, GSO_ENCAP_ALL, GSO_SOFTWARE, HIGHDMA, HW_CSUM, HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX, LLTX,
    NETNS_LOCAL, SG,
};
use crate::tables::openvswitch::{OVSP_LOCAL, VportRef};
use crate::tables::skb::PacketType;

/// Link kind `openvswitch`.
pub static LINK_OPS: LinkOps = LinkOps {
    newlink: Some(|_: &mut Cx, _: NewLink| Err(Errno::EOPNOTSUPP.into())),
    dellink: Some(|_, _| ()),
    ethtool: EthtoolOps {
        get_drvinfo: Some(|_| DrvInfo {
            driver: "openvswitch".to_owned(),
            version: "",
            fw_version: "",
            bus_info: String::new(),
        }),
        get_link: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(Some("openvswitch"), do_setup, |skb| Door::InternalDevXmit { skb })
};

fn do_setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = ETH_MAX_MTU;
    dev.tx_skb_sharing = false;
    dev.no_queue = true;
    dev.addr_assign = AddrAssign::Random;
    dev.features = LLTX | SG | FRAGLIST | HIGHDMA | HW_CSUM | GSO_SOFTWARE | GSO_ENCAP_ALL;
    dev.vlan_features = dev.features;
    dev.features |= HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;
    dev.hw_features = dev.features & !LLTX;
}

/// Makes the device of a port. The datapath's own cannot leave its namespace.
pub(super) fn internal_dev_create(
    cx: &mut Cx,
    netns: NetnsId,
    name: &str,
    port: VportRef,
) -> Result<DevId, NlError> {
    let mut dev = alloc_netdev(netns, name.to_owned(), NameAssign::User, &LINK_OPS);
    dev.set_priv(port);
    if port.port_no == OVSP_LOCAL {
        dev.features |= NETNS_LOCAL;
    }
    let dev = register_netdevice(cx, dev)?;
    dev_set_promiscuity(cx, dev, 1);
    Ok(dev)
}

/// The device of a port goes with it.
pub(super) fn internal_dev_destroy(cx: &mut Cx, dev: DevId) {
    dev_set_promiscuity(cx, dev, -1);
    unregister_netdevice(cx, dev);
}

/// What the device sends the datapath receives.
///
/// Kernel: net/openvswitch/vport-internal_dev.c
/// Not modelled: nothing.
pub fn internal_dev_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let Some(port) = cx.k.devs[dev].netdev_priv::<VportRef>().copied() else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    cx.xmit_succeeded(skb);
    ovs_vport_receive(cx, skb, port);
    if let Some(netdev) = cx.k.devs.get_mut(dev) {
        netdev.stats.tx_packets += 1;
        netdev.stats.tx_bytes += len;
    }
    Door::End
}

/// What the datapath sends to the port the device receives.
///
/// Kernel: net/openvswitch/vport-internal_dev.c
/// Not modelled: nothing.
pub fn internal_dev_recv(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    if !cx.k.devs[dev].is_up() {
        cx.k.devs[dev].stats.rx_dropped += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    cx.skbs[skb].drop_dst();
    cx.nf_reset_ct(skb);
    cx.skbs[skb].pkt_type = PacketType::Host;
    eth_type_trans(cx, skb, dev);
    let len = cx.skbs[skb].len() as u64;
    let stats = &mut cx.k.devs[dev].stats;
    stats.rx_packets += 1;
    stats.rx_bytes += len;
    Door::NetifRx { skb }
}
