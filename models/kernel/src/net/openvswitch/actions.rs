//! What a flow does with a packet.
//!
//! Kernel: net/openvswitch/actions.c
//! Not modelled: recirculation, connection tracking, meters, sampling, MPLS, NSH, checks of lengths.

use std::net::Ipv4Addr;

use glassnet_wire::checksum::replace;
use glassnet_wire::eth::EthHdr;
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP, InAddr, Ipv4Hdr};
use zerocopy::big_endian::U16;

use super::datapath::ovs_dp_upcall;
use super::flow::field_to_mac;
use super::vport::ovs_vport_send;
use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::net::core::skbuff::skb_vlan_untag;
use crate::tables::drop_reason::DropReason;
use crate::tables::openvswitch::flow::{FlowAction, KeyField, SwFlowKey};
use crate::tables::openvswitch::{DpId, UpcallCmd};
use crate::tables::vlan_tag::{VlanProto, VlanTag};

/// Does with a packet, whose data begins at its Ethernet header, what actions say.
pub(super) fn ovs_execute_actions(
    cx: &mut Cx,
    skb: SkbId,
    dp: DpId,
    actions: &[FlowAction],
    key: &SwFlowKey,
) {
    cx.within(Func::OvsExecuteActions, skb, |cx| {
        cx.within(Func::DoExecuteActions, skb, |cx| do_execute_actions(cx, skb, dp, actions, key));
    });
}

/// Each port but the last gets a clone.
fn do_execute_actions(cx: &mut Cx, skb: SkbId, dp: DpId, actions: &[FlowAction], key: &SwFlowKey) {
    for (at, action) in actions.iter().enumerate() {
        match action {
            FlowAction::Output(port) if at + 1 == actions.len() => return do_output(cx, skb, dp, *port),
            FlowAction::Output(port) => {
                let clone = cx.skb_clone(skb);
                do_output(cx, clone, dp, *port);
            }
            FlowAction::Userspace => _ = ovs_dp_upcall(cx, skb, dp, key, UpcallCmd::Action),
            FlowAction::PopVlan => pop_vlan(cx, skb),
            FlowAction::PushVlan(tpid, tci) => push_vlan(cx, skb, *tpid, *tci),
            FlowAction::SetTunnel(info) => {
                cx.skbs[skb].drop_dst();
                cx.skbs[skb].tun_info = Some(info.clone());
            }
            FlowAction::Set { key, mask } => set(cx, skb, key, mask),
        }
    }
    cx.consume_skb(skb);
}

/// Sends a packet to a port, if that is there and its device works.
fn do_output(cx: &mut Cx, skb: SkbId, dp: DpId, port: u32) {
    cx.within(Func::DoOutput, skb, |cx| {
        let dev = cx.k.datapaths.get(dp).and_then(|dp| dp.ports.get(&port)).map(|port| port.dev);
        let works = |cx: &Cx, dev| cx.k.devs.get(dev).is_some_and(|dev| dev.is_up() && dev.carrier);
        match dev.filter(|dev| works(cx, *dev)) {
            Some(dev) => ovs_vport_send(cx, skb, dp, dev),
            None => _ = cx.kfree_skb(skb, DropReason::NotSpecified),
        }
    });
}

/// The tag beside the packet, or else in it, is taken off.
fn pop_vlan(cx: &mut Cx, skb: SkbId) {
    if cx.skbs[skb].vlan_tag.is_none() {
        let proto = cx.skbs.eth_hdr(skb).h_proto.get();
        if VlanProto::of(proto).is_none() || !cx.skbs.pull(skb, glassnet_wire::eth::ETH_HLEN) {
            return;
        }
        cx.skbs[skb].protocol = proto;
        if skb_vlan_untag(cx, skb) {
            cx.skbs.push_mac_header(skb);
        }
    }
    cx.skbs[skb].vlan_tag = None;
}

/// A tag that stands beside the packet goes into it, and the new one beside it.
fn push_vlan(cx: &mut Cx, skb: SkbId, tpid: u16, tci: u16) {
    if let Some(tag) = cx.skbs[skb].vlan_tag {
        cx.skbs.push_tag(skb);
        cx.skbs[skb].protocol = tag.proto.ethertype();
    }
    let proto = VlanProto::of(tpid).unwrap_or_default();
    cx.skbs[skb].vlan_tag = Some(VlanTag { proto, tci: tci & !(1 << 12) });
}

/// `old`, with the bits of `new` that a mask says.
fn merge(old: u64, key: &SwFlowKey, mask: &SwFlowKey, field: KeyField) -> u64 {
    old & !mask[field] | key[field] & mask[field]
}

fn set(cx: &mut Cx, skb: SkbId, key: &SwFlowKey, mask: &SwFlowKey) {
    let has = |fields: &[KeyField]| fields.iter().any(|field| mask[*field] != 0);
    let (mac, network) = (cx.skbs[skb].mac_header, cx.skbs[skb].network_header);
    if has(&[KeyField::EthSrc, KeyField::EthDst])
        && let Some(eth) = cx.skbs.header_mut::<EthHdr>(skb, mac)
    {
        let old = |mac: [u8; 6]| super::flow::mac_to_field(glassnet_wire::Mac(mac));
        eth.h_source = field_to_mac(merge(old(eth.h_source), key, mask, KeyField::EthSrc)).0;
        eth.h_dest = field_to_mac(merge(old(eth.h_dest), key, mask, KeyField::EthDst)).0;
    }
    if has(&[KeyField::IpTos, KeyField::IpTtl, KeyField::Ipv4Src, KeyField::Ipv4Dst]) {
        set_ipv4(cx, skb, network, key, mask);
    }
    if has(&[KeyField::TpSrc, KeyField::TpDst]) {
        set_ports(cx, skb, key, mask);
    }
    cx.skbs[skb].hash = 0;
}

fn set_ipv4(cx: &mut Cx, skb: SkbId, at: u32, key: &SwFlowKey, mask: &SwFlowKey) {
    let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, at).copied() else { return };
    let addr = |old: InAddr, field| {
        let old = u64::from(u32::from(old.get()));
        InAddr::new(Ipv4Addr::from(merge(old, key, mask, field) as u32))
    };
    let mut new = iph;
    (new.saddr, new.daddr) = (addr(iph.saddr, KeyField::Ipv4Src), addr(iph.daddr, KeyField::Ipv4Dst));
    new.tos = merge(u64::from(iph.tos), key, mask, KeyField::IpTos) as u8;
    new.ttl = merge(u64::from(iph.ttl), key, mask, KeyField::IpTtl) as u8;
    let words = |iph: &Ipv4Hdr| {
        let addr = [iph.saddr, iph.daddr].map(|addr| u32::from(addr.get()));
        addr.into_iter().flat_map(|addr| [(addr >> 16) as u16, addr as u16]).collect::<Vec<u16>>()
    };
    let (old_addrs, new_addrs) = (words(&iph), words(&new));
    let changed = |check: u16| {
        old_addrs.iter().zip(&new_addrs).fold(check, |check, (old, new)| replace(check, *old, *new))
    };
    let mut check = changed(iph.check.get());
    check = replace(
        check,
        u16::from_be_bytes([iph.version_ihl, iph.tos]),
        u16::from_be_bytes([new.version_ihl, new.tos]),
    );
    check = replace(
        check,
        u16::from_be_bytes([iph.ttl, iph.protocol]),
        u16::from_be_bytes([new.ttl, new.protocol]),
    );
    new.check = U16::new(check);
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        *iph = new;
    }
    if old_addrs != new_addrs && iph.fragment_offset() == 0 {
        update_transport_check(cx, skb, iph.protocol, changed);
    }
}

/// TCP and UDP have the addresses in their checksums; a UDP datagram may be without.
fn update_transport_check(cx: &mut Cx, skb: SkbId, protocol: u8, changed: impl Fn(u16) -> u16) {
    let at = match protocol {
        IPPROTO_TCP => 16,
        IPPROTO_UDP => 6,
        _ => return,
    };
    let transport = cx.skbs[skb].transport_header;
    if let Some(check) = cx.skbs.header_mut::<U16>(skb, transport + at) {
        match (protocol, check.get()) {
            (IPPROTO_UDP, 0) => {}
            // A sum of 0 is written as its other form (RFC 768).
            (IPPROTO_UDP, old) if changed(old) == 0 => *check = U16::new(0xffff),
            (_, old) => *check = U16::new(changed(old)),
        }
    }
}

fn set_ports(cx: &mut Cx, skb: SkbId, key: &SwFlowKey, mask: &SwFlowKey) {
    let (network, transport) = (cx.skbs[skb].network_header, cx.skbs[skb].transport_header);
    let Some(protocol) = cx.skbs.header::<Ipv4Hdr>(skb, network).map(|iph| iph.protocol) else { return };
    let Some(ports) = cx.skbs.header_mut::<[U16; 2]>(skb, transport) else { return };
    let old = ports.map(U16::get);
    let new = [
        merge(u64::from(old[0]), key, mask, KeyField::TpSrc) as u16,
        merge(u64::from(old[1]), key, mask, KeyField::TpDst) as u16,
    ];
    *ports = new.map(U16::new);
    let changed = move |check| replace(replace(check, old[0], new[0]), old[1], new[1]);
    update_transport_check(cx, skb, protocol, changed);
}
