//! Devices that were there before, as ports.
//!
//! Kernel: net/openvswitch/vport-netdev.c
//! Not modelled: switching LRO off.

use super::vport::ovs_vport_receive;
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::core::dev::deliver_to_protocol;
use crate::net::core::dev_rx_mode::dev_set_promiscuity;
use crate::net::core::dev_upper::{
    netdev_master_upper_dev_link, netdev_rx_handler_register, netdev_rx_handler_unregister,
    netdev_upper_dev_unlink,
};
use crate::netlink::{Errno, NlError};
use crate::tables::arphrd::Arphrd;
use crate::tables::openvswitch::{DpId, VportRef};
use crate::tables::skb::PacketType;

/// Receives a frame of a device that is a port.
///
/// Kernel: net/openvswitch/vport-netdev.c
/// Not modelled: nothing.
pub fn netdev_frame_hook(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, pkt_type) = (cx.skbs[skb].dev, cx.skbs[skb].pkt_type);
    match cx.k.devs[dev].rx_handler_data::<VportRef>().copied() {
        Some(port) if pkt_type != PacketType::Loopback => {
            cx.skbs.push_mac_header(skb);
            ovs_vport_receive(cx, skb, port);
            Door::End
        }
        _ => deliver_to_protocol(cx, skb, false),
    }
}

/// Makes a device a port, with the datapath's own device as its master.
pub(super) fn netdev_create(
    cx: &mut Cx,
    netns: NetnsId,
    name: &str,
    port: VportRef,
) -> Result<DevId, NlError> {
    let dev = cx.k.dev_by_name(netns, name).ok_or(Errno::ENODEV)?;
    let netdev = &cx.k.devs[dev];
    let is_internal = netdev.netdev_priv::<VportRef>().is_some();
    if netdev.is_loopback() || !matches!(netdev.arphrd, Arphrd::Ether | Arphrd::None) || is_internal {
        return Err(Errno::EINVAL.into());
    }
    let master = cx.k.datapaths.get(port.dp).and_then(|dp| dp.local()).ok_or(Errno::ENODEV)?;
    netdev_master_upper_dev_link(cx, dev, master)?;
    netdev_rx_handler_register(cx, dev, |skb| Door::NetdevFrameHook { skb })
        .inspect_err(|_| netdev_upper_dev_unlink(cx, dev, master))?;
    cx.k.devs[dev].set_rx_handler_data(port);
    dev_set_promiscuity(cx, dev, 1);
    Ok(dev)
}

/// The device is no port any more.
pub(super) fn ovs_netdev_detach_dev(cx: &mut Cx, dp: DpId, dev: DevId) {
    netdev_rx_handler_unregister(cx, dev);
    if let Some(master) = cx.k.datapaths.get(dp).and_then(|dp| dp.local()) {
        netdev_upper_dev_unlink(cx, dev, master);
    }
    dev_set_promiscuity(cx, dev, -1);
}
