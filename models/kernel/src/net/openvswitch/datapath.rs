//! Datapaths: packets find their flow, or go to the daemon; and what the daemon asks for.
//!
//! Kernel: net/openvswitch/datapath.c
//! Not modelled: sockets for each CPU, meters; a socket of the daemon takes a number of packets, not of bytes.

use super::actions::ovs_execute_actions;
use super::flow::ovs_flow_key_extract;
use super::vport::{ovs_vport_add, ovs_vport_del};
use super::vport_internal_dev::LINK_OPS;
use super::vport_netdev::ovs_netdev_detach_dev;
use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::module::{Module, NetdevEvent};
use crate::net::core::flow_dissector::skb_get_hash;
use crate::net::core::gso::skb_gso_segment;
use crate::net::netfilter::nf_conntrack_proto::{nf_ct_netns_get, nf_ct_netns_put};
use crate::netlink::{Errno, NlError};
use crate::note::{Note, OvsNote};
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_INFO;
use crate::tables::openvswitch::flow::{FlowAction, FlowActions, FlowStats, KeyField, SwFlow, SwFlowKey};
use crate::tables::openvswitch::flow_table::{FlowId, Looked};
use crate::tables::openvswitch::{DpId, OVSP_LOCAL, UPCALL_QUEUE, Upcall, UpcallCmd, VportType};
use crate::tables::vlan_tag::VLAN_HLEN;

/// The module.
pub static MODULE: Module = Module {
    links: &[&LINK_OPS],
    init: Some(dp_init),
    netdevice_event: Some(dp_device_event),
    net_init: Some(|cx, netns| {
        if cx.k.config.ovs_tracks() {
            nf_ct_netns_get(cx.k, netns);
        }
    }),
    net_exit: Some(ovs_exit_net),
    ..Module::named("openvswitch")
};

/// The module is loaded. It can limit connections, so every namespace tracks them from now on (`ovs_ct_limit_init`).
pub fn dp_init(cx: &mut Cx) {
    if std::mem::replace(&mut cx.k.config.openvswitch, true) {
        return;
    }
    cx.printk(LOG_INFO, "openvswitch: Open vSwitch switching datapath".to_owned());
    if !cx.k.config.ovs_tracks() {
        return;
    }
    let all: Vec<NetnsId> = cx.k.netns.iter().map(|netns| netns.id).collect();
    all.into_iter().for_each(|netns| nf_ct_netns_get(cx.k, netns));
}

/// Looks a packet up, and does what its flow says, or hands it to the daemon.
pub(super) fn ovs_dp_process_packet(cx: &mut Cx, skb: SkbId, dp: DpId, key: &SwFlowKey) {
    cx.within(Func::OvsDpProcessPacket, skb, |cx| {
        let looked = ovs_flow_tbl_lookup_stats(cx, skb, dp, key);
        let found =
            looked.flow.and_then(|flow| Some(cx.k.datapaths.get(dp)?.table.get(flow)?.actions.clone()));
        cx.note(|cx| Note::Ovs(note(cx, dp, looked, found.as_ref())));
        let stats = |cx: &mut Cx, hit: bool| {
            // A port that was the last may have taken the datapath with it.
            let Some(dp) = cx.k.datapaths.get_mut(dp) else { return };
            *(if hit { &mut dp.stats.n_hit } else { &mut dp.stats.n_missed }) += 1;
            dp.stats.n_mask_hit += u64::from(looked.masks);
            dp.stats.n_cache_hit += u64::from(looked.cached);
        };
        match (looked.flow, found) {
            (Some(flow), Some(actions)) => {
                ovs_flow_stats_update(cx, skb, dp, flow, key);
                ovs_execute_actions(cx, skb, dp, &actions, key);
                stats(cx, true);
            }
            _ => {
                let taken = ovs_dp_upcall(cx, skb, dp, key, UpcallCmd::Miss);
                if taken {
                    cx.consume_skb(skb);
                } else {
                    cx.kfree_skb(skb, DropReason::NotSpecified);
                }
                stats(cx, false);
            }
        }
    });
}

fn note(cx: &Cx, dp: DpId, looked: Looked, actions: Option<&FlowActions>) -> OvsNote {
    let masks = looked.masks;
    let Some(actions) = actions else { return OvsNote::Miss { masks } };
    let name = |port: &u32| {
        let dev = cx.k.datapaths.get(dp).and_then(|dp| dp.ports.get(port)).map(|port| port.dev);
        dev.and_then(|dev| cx.k.devs.get(dev)).map_or_else(|| port.to_string(), |dev| dev.name.clone())
    };
    let output = |action: &FlowAction| match action {
        FlowAction::Output(port) => Some(name(port)),
        _ => None,
    };
    OvsNote::Flow { masks, cached: looked.cached, ports: actions.iter().filter_map(output).collect() }
}

fn ovs_flow_tbl_lookup_stats(cx: &mut Cx, skb: SkbId, dp: DpId, key: &SwFlowKey) -> Looked {
    cx.call(Func::OvsFlowTblLookupStats, skb);
    let hash = skb_get_hash(cx, skb);
    let none = Looked { flow: None, masks: 0, cached: false };
    cx.k.datapaths.get_mut(dp).map_or(none, |dp| dp.table.lookup(key, hash))
}

/// The flow counts a packet.
fn ovs_flow_stats_update(cx: &mut Cx, skb: SkbId, dp: DpId, flow: FlowId, key: &SwFlowKey) {
    cx.call(Func::OvsFlowStatsUpdate, skb);
    let tag = if cx.skbs[skb].vlan_tag.is_some() { VLAN_HLEN } else { 0 };
    let (len, now) = ((cx.skbs[skb].len() + tag) as u64, cx.now);
    let flow = cx.k.datapaths.get_mut(dp).and_then(|dp| dp.table.get_mut(flow));
    if let Some(stats) = flow.map(|flow| &mut flow.stats) {
        stats.packets += 1;
        stats.bytes += len;
        stats.used = Some(now);
        stats.tcp_flags |= key[KeyField::TcpFlags];
    }
}

/// Hands a packet to the daemon; a merged one as those that it was made of. False: nobody takes it.
pub(super) fn ovs_dp_upcall(cx: &mut Cx, skb: SkbId, dp: DpId, key: &SwFlowKey, cmd: UpcallCmd) -> bool {
    cx.within(Func::OvsDpUpcall, skb, |cx| {
        let segments = if cx.skbs[skb].gso_size == 0 {
            vec![]
        } else {
            let clone = cx.skb_clone(skb);
            skb_gso_segment(cx, clone)
        };
        let mut taken = true;
        if segments.is_empty() {
            taken = queue_userspace_packet(cx, skb, dp, key, cmd);
        } else {
            for segment in segments {
                taken &= queue_userspace_packet(cx, segment, dp, key, cmd);
                cx.consume_skb(segment);
            }
        }
        if !taken && let Some(dp) = cx.k.datapaths.get_mut(dp) {
            dp.stats.n_lost += 1;
        }
        taken
    })
}

fn queue_userspace_packet(cx: &mut Cx, skb: SkbId, dp: DpId, key: &SwFlowKey, cmd: UpcallCmd) -> bool {
    cx.call(Func::QueueUserspacePacket, skb);
    let frame = cx.skbs.tagged_frame(skb);
    let (packet, hash) = (cx.skbs[skb].packet, cx.skbs[skb].hash);
    let Some(dp) = cx.k.datapaths.get_mut(dp) else { return false };
    if !dp.has_daemon || dp.upcalls.len() >= UPCALL_QUEUE {
        return false;
    }
    dp.upcalls.push_back(Upcall { cmd, key: *key, frame, packet, hash });
    cx.wake_up();
    true
}

/// Makes a datapath with its own device (`OVS_DP_CMD_NEW`).
///
/// # Errors
///
/// `EEXIST` if the name is taken, and those of a device.
pub fn ovs_dp_cmd_new(cx: &mut Cx, netns: NetnsId, name: &str) -> Result<DpId, NlError> {
    let dp = cx.k.datapaths.add(netns, name);
    match ovs_vport_add(cx, dp, VportType::Internal, name, Some(OVSP_LOCAL)) {
        Ok(_) => Ok(dp),
        Err(refused) => {
            cx.k.datapaths.remove(dp);
            Err(refused)
        }
    }
}

/// Removes a datapath with its ports (`OVS_DP_CMD_DEL`).
pub fn ovs_dp_cmd_del(cx: &mut Cx, dp: DpId) {
    let ports = cx.k.datapaths.get(dp).map(|dp| dp.ports.keys().rev().copied().collect::<Vec<_>>());
    // Its own device goes last.
    ports.unwrap_or_default().into_iter().for_each(|port| ovs_vport_del(cx, dp, port));
    cx.k.datapaths.remove(dp);
}

/// Adds a port, at the lowest free number unless one is asked for (`OVS_VPORT_CMD_NEW`).
///
/// # Errors
///
/// `ENODEV` if there is no such device, `EINVAL` for one that cannot be a port, `EBUSY` for one that somebody has or a number in use.
pub fn ovs_vport_cmd_new(cx: &mut Cx, dp: DpId, kind: VportType, name: &str) -> Result<u32, NlError> {
    ovs_vport_add(cx, dp, kind, name, None)
}

/// Removes a port (`OVS_VPORT_CMD_DEL`).
///
/// # Errors
///
/// `EINVAL` for the datapath's own device.
pub fn ovs_vport_cmd_del(cx: &mut Cx, dp: DpId, port_no: u32) -> Result<(), Errno> {
    if port_no == OVSP_LOCAL {
        return Err(Errno::EINVAL);
    }
    ovs_vport_del(cx, dp, port_no);
    Ok(())
}

/// Adds a flow (`OVS_FLOW_CMD_NEW`).
///
/// # Errors
///
/// `EEXIST` if there is one with its key and mask, `ENODEV` without the datapath.
pub fn ovs_flow_cmd_new(
    cx: &mut Cx,
    dp: DpId,
    (key, mask): (SwFlowKey, SwFlowKey),
    actions: FlowActions,
) -> Result<FlowId, Errno> {
    let flow = SwFlow { key, mask, actions, stats: FlowStats::default() };
    cx.k.datapaths.get_mut(dp).ok_or(Errno::ENODEV)?.table.insert(flow).ok_or(Errno::EEXIST)
}

/// Gives a flow other actions (`OVS_FLOW_CMD_SET`); one that is gone stays so.
pub fn ovs_flow_cmd_set(cx: &mut Cx, dp: DpId, flow: FlowId, actions: FlowActions) {
    if let Some(flow) = cx.k.datapaths.get_mut(dp).and_then(|dp| dp.table.get_mut(flow)) {
        flow.actions = actions;
    }
}

/// Removes a flow, and returns it as it was (`OVS_FLOW_CMD_DEL`).
pub fn ovs_flow_cmd_del(cx: &mut Cx, dp: DpId, flow: FlowId) -> Option<SwFlow> {
    cx.k.datapaths.get_mut(dp)?.table.remove(flow)
}

/// The daemon opens its sockets: packets go there from now on (`OVS_VPORT_CMD_SET` with `OVS_VPORT_ATTR_UPCALL_PID`).
pub fn ovs_dp_set_upcall(cx: &mut Cx, dp: DpId, has_daemon: bool) {
    if let Some(dp) = cx.k.datapaths.get_mut(dp) {
        dp.has_daemon = has_daemon;
        dp.upcalls.clear();
    }
}

/// The daemon reads the next packet of a datapath.
pub fn ovs_upcall_recv(cx: &mut Cx, dp: DpId) -> Option<Upcall> {
    let upcall = cx.k.datapaths.get_mut(dp)?.upcalls.pop_front()?;
    cx.system_call(upcall.frame.len());
    Some(upcall)
}

/// The daemon sends a packet through actions, without a flow (`OVS_PACKET_CMD_EXECUTE`).
pub fn ovs_packet_cmd_execute(cx: &mut Cx, dp: DpId, upcall: &Upcall, actions: &[FlowAction]) {
    let Some(local) = cx.k.datapaths.get(dp).and_then(|dp| dp.local()) else { return };
    cx.system_call(upcall.frame.len());
    let skb = cx.skbs.alloc_skb(upcall.frame.len(), local);
    cx.skbs.data_mut(skb).copy_from_slice(&upcall.frame);
    cx.skbs[skb].packet = upcall.packet;
    cx.within(Func::OvsPacketCmdExecute, skb, |cx| {
        let in_port = upcall.key[KeyField::InPort] as u32;
        let dev = cx.k.datapaths.get(dp).and_then(|dp| dp.ports.get(&in_port)).map(|port| port.dev);
        cx.skbs[skb].dev = dev.unwrap_or(local);
        let protocol = cx.skbs.eth_hdr(skb).h_proto.get();
        cx.skbs[skb].protocol = protocol;
        match ovs_flow_key_extract(cx, skb, in_port) {
            Some(mut key) => {
                // The daemon says through what tunnel the packet came (`OVS_PACKET_ATTR_KEY`).
                key.set_tunnel(&upcall.key.tunnel());
                cx.skbs[skb].hash = upcall.hash;
                ovs_execute_actions(cx, skb, dp, actions, &key);
            }
            None => _ = cx.kfree_skb(skb, DropReason::NotSpecified),
        }
    });
}

/// A device that is a port goes: for good, or, unless the datapath made it, to another namespace.
fn dp_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if event != NetdevEvent::Unregister || cx.k.datapaths.is_empty() {
        return;
    }
    let find = |(id, dp): (DpId, &crate::tables::openvswitch::Datapath)| Some((id, *dp.port_of(dev)?));
    let Some((dp, port)) = cx.k.datapaths.iter().find_map(find) else { return };
    if port.kind == VportType::Internal && !cx.k.devs[dev].unregistering {
        return;
    }
    if port.kind == VportType::Netdev {
        ovs_netdev_detach_dev(cx, dp, dev);
    }
    if let Some(dp) = cx.k.datapaths.get_mut(dp) {
        dp.ports.remove(&port.port_no);
    }
    cx.wake_up();
}

/// The datapaths of a namespace go with it.
fn ovs_exit_net(cx: &mut Cx, netns: NetnsId) {
    let all: Vec<DpId> = cx.k.datapaths.of(netns).map(|(id, _)| id).collect();
    all.into_iter().for_each(|dp| ovs_dp_cmd_del(cx, dp));
    if cx.k.config.ovs_tracks() {
        nf_ct_netns_put(cx.k, netns);
    }
}
