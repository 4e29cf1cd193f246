//! Ports of a datapath.
//!
//! Kernel: net/openvswitch/vport.c
//! Not modelled: ports that the datapath itself makes tunnels of, which no daemon asks for any more.

use glassnet_wire::eth::ETH_HLEN;

use super::datapath::ovs_dp_process_packet;
use super::flow::ovs_flow_key_extract;
use super::vport_internal_dev::{internal_dev_create, internal_dev_destroy};
use super::vport_netdev::{netdev_create, ovs_netdev_detach_dev};
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::netlink::{Errno, NlError};
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_WARNING;
use crate::tables::netdev::IFF_UP;
use crate::tables::openvswitch::{DpId, Vport, VportRef, VportType};
use crate::tables::vlan_tag::{VLAN_HLEN, VlanProto};

/// Most ports of a datapath (`DP_MAX_PORTS`).
const DP_MAX_PORTS: u32 = 0xffff;

/// A port receives a packet, whose data begins at its Ethernet header.
pub(super) fn ovs_vport_receive(cx: &mut Cx, skb: SkbId, port: VportRef) {
    cx.within(Func::OvsVportReceive, skb, |cx| match ovs_flow_key_extract(cx, skb, port.port_no) {
        Some(key) => ovs_dp_process_packet(cx, skb, port.dp, &key),
        None => _ = cx.kfree_skb(skb, DropReason::NotSpecified),
    });
}

/// A port sends a packet, unless it is longer than the device's MTU allows.
pub(super) fn ovs_vport_send(cx: &mut Cx, skb: SkbId, dp: DpId, dev: DevId) {
    cx.within(Func::OvsVportSend, skb, |cx| {
        let (netdev, pkt) = (&cx.k.devs[dev], &cx.skbs[skb]);
        // A tag is allowed in addition to the MTU.
        let tag = VlanProto::of(cx.skbs.eth_hdr(skb).h_proto.get()).map_or(0, |_| VLAN_HLEN);
        let length = pkt.len().saturating_sub(ETH_HLEN + tag);
        if length > netdev.mtu as usize && pkt.gso_size == 0 {
            let line = format!("{}: dropped over-mtu packet: {length} > {}", netdev.name, netdev.mtu);
            let is_up = netdev.flags & IFF_UP != 0;
            cx.k.devs[dev].stats.tx_errors += 1;
            if is_up {
                cx.printk_limited(LOG_WARNING, |_| vec![format!("openvswitch: {line}")]);
            }
            cx.kfree_skb(skb, DropReason::NotSpecified);
            return;
        }
        cx.skbs[skb].dev = dev;
        let kind = cx.k.datapaths.get(dp).and_then(|dp| dp.port_of(dev)).map(|port| port.kind);
        cx.walk(match kind {
            Some(VportType::Internal) => Door::InternalDevRecv { skb },
            _ => Door::DevQueueXmit { skb },
        });
    });
}

/// Adds a port, at the lowest free number unless one is asked for.
pub(super) fn ovs_vport_add(
    cx: &mut Cx,
    dp: DpId,
    kind: VportType,
    name: &str,
    port_no: Option<u32>,
) -> Result<u32, NlError> {
    let datapath = cx.k.datapaths.get(dp).ok_or(Errno::ENODEV)?;
    let netns = datapath.netns;
    let is_free = |port: &u32| !datapath.ports.contains_key(port);
    let port_no = port_no.or_else(|| (1..DP_MAX_PORTS).find(is_free)).ok_or(Errno::EBUSY)?;
    let of = VportRef { dp, port_no };
    let dev = match kind {
        VportType::Internal => internal_dev_create(cx, netns, name, of)?,
        VportType::Netdev => netdev_create(cx, netns, name, of)?,
    };
    if let Some(dp) = cx.k.datapaths.get_mut(dp) {
        dp.ports.insert(port_no, Vport { port_no, dev, kind });
    }
    Ok(port_no)
}

/// Removes a port, with the device if the datapath made it.
pub(super) fn ovs_vport_del(cx: &mut Cx, dp: DpId, port_no: u32) {
    let Some(port) = cx.k.datapaths.get_mut(dp).and_then(|dp| dp.ports.remove(&port_no)) else { return };
    match port.kind {
        VportType::Internal => internal_dev_destroy(cx, port.dev),
        VportType::Netdev => ovs_netdev_detach_dev(cx, dp, port.dev),
    }
}
