//! What a datapath reads in a packet.
//!
//! Kernel: net/openvswitch/flow.c
//! Not modelled: IPv6, MPLS, NSH and the second of two VLAN tags; of those only the Ethertype is read.

use glassnet_wire::Mac;
use glassnet_wire::arp::ArpHdr;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_802_2, ETH_P_802_3_MIN, ETH_P_ARP, ETH_P_IP};
use glassnet_wire::ipv4::{IP_MF, IP_OFFSET, IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr};
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::openvswitch::flow::{FRAG_FIRST, FRAG_LATER, FRAG_NONE, KeyField, SwFlowKey, VLAN_CFI};
use crate::tables::vlan_tag::{VLAN_HLEN, VlanProto};

/// SCTP.
const IPPROTO_SCTP: u8 = 132;
/// Flags of TCP in the two bytes that have them.
const TCP_FLAGS: u16 = 0x0fff;

/// A MAC address as a field.
pub fn mac_to_field(mac: Mac) -> u64 {
    mac.0.iter().fold(0, |all, byte| all << 8 | u64::from(*byte))
}

/// A field as a MAC address.
pub fn field_to_mac(field: u64) -> Mac {
    let [_, _, mac @ ..] = field.to_be_bytes();
    Mac(mac)
}

/// Reads a packet whose data begins at its Ethernet header, and notes where its headers are; `None`: it is too short.
pub(super) fn ovs_flow_key_extract(cx: &mut Cx, skb: SkbId, in_port: u32) -> Option<SwFlowKey> {
    cx.within(Func::OvsFlowKeyExtract, skb, |cx| {
        let mut key = SwFlowKey::default();
        key[KeyField::InPort] = u64::from(in_port);
        if let Some(info) = &cx.skbs[skb].tun_info {
            key.set_tunnel(&info.key);
        }
        key_extract(cx, skb, &mut key).map(|()| key)
    })
}

/// Reads the headers, from Ethernet on.
fn key_extract(cx: &mut Cx, skb: SkbId, key: &mut SwFlowKey) -> Option<()> {
    let at = cx.skbs[skb].data;
    cx.skbs[skb].mac_header = at;
    let eth = cx.skbs.header::<glassnet_wire::eth::EthHdr>(skb, at)?;
    (key[KeyField::EthSrc], key[KeyField::EthDst]) = (mac_to_field(eth.source()), mac_to_field(eth.dest()));
    let mut proto = eth.h_proto.get();
    let mut network = at + ETH_HLEN as u32;
    if let Some(tag) = cx.skbs[skb].vlan_tag {
        key[KeyField::VlanTci] = u64::from(tag.tci) | VLAN_CFI;
    } else if VlanProto::of(proto).is_some() {
        let [tci, behind] = *cx.skbs.header::<[U16; 2]>(skb, network)?;
        key[KeyField::VlanTci] = u64::from(tci.get()) | VLAN_CFI;
        (proto, network) = (behind.get(), network + VLAN_HLEN as u32);
    }
    let proto = if proto >= ETH_P_802_3_MIN { proto } else { ETH_P_802_2 };
    key[KeyField::EthType] = u64::from(proto);
    cx.skbs[skb].network_header = network;
    match proto {
        ETH_P_IP => ipv4(cx, skb, network, key),
        ETH_P_ARP => arp(cx, skb, network, key),
        _ => {}
    }
    Some(())
}

/// A header that is not sound says nothing; the packet is one of its Ethertype all the same.
fn ipv4(cx: &mut Cx, skb: SkbId, at: u32, key: &mut SwFlowKey) {
    let Some(iph) = cx.skbs.header::<Ipv4Hdr>(skb, at).filter(|iph| iph.header_len() >= IPV4_HLEN) else {
        return;
    };
    (key[KeyField::Ipv4Src], key[KeyField::Ipv4Dst]) =
        (u64::from(u32::from(iph.saddr.get())), u64::from(u32::from(iph.daddr.get())));
    key[KeyField::IpProto] = u64::from(iph.protocol);
    (key[KeyField::IpTos], key[KeyField::IpTtl]) = (u64::from(iph.tos), u64::from(iph.ttl));
    let frag = iph.frag_off.get();
    key[KeyField::IpFrag] = match (frag & IP_OFFSET, frag & IP_MF) {
        (0, 0) => FRAG_NONE,
        (0, _) => FRAG_FIRST,
        _ => FRAG_LATER,
    };
    let (transport, protocol) = (at + iph.header_len() as u32, iph.protocol);
    cx.skbs[skb].transport_header = transport;
    if key[KeyField::IpFrag] == FRAG_LATER {
        return;
    }
    match protocol {
        IPPROTO_TCP | IPPROTO_UDP | IPPROTO_SCTP => {
            if let Some(ports) = cx.skbs.header::<[U16; 2]>(skb, transport) {
                (key[KeyField::TpSrc], key[KeyField::TpDst]) =
                    (u64::from(ports[0].get()), u64::from(ports[1].get()));
            }
            if protocol == IPPROTO_TCP
                && let Some(flags) = cx.skbs.header::<U16>(skb, transport + 12)
            {
                key[KeyField::TcpFlags] = u64::from(flags.get() & TCP_FLAGS);
            }
        }
        IPPROTO_ICMP => {
            if let Some(icmp) = cx.skbs.header::<[u8; 2]>(skb, transport) {
                (key[KeyField::TpSrc], key[KeyField::TpDst]) = (u64::from(icmp[0]), u64::from(icmp[1]));
            }
        }
        _ => {}
    }
}

fn arp(cx: &mut Cx, skb: SkbId, at: u32, key: &mut SwFlowKey) {
    let Some(arp) = cx.skbs.header::<ArpHdr>(skb, at) else { return };
    let is_ours = arp.ar_hrd.get() == 1 && arp.ar_pro.get() == ETH_P_IP && (arp.ar_hln, arp.ar_pln) == (6, 4);
    if !is_ours {
        return;
    }
    // The operation has the place of a protocol, which is a byte.
    key[KeyField::IpProto] = if arp.ar_op.get() <= 0xff { u64::from(arp.ar_op.get()) } else { 0 };
    (key[KeyField::Ipv4Src], key[KeyField::Ipv4Dst]) =
        (u64::from(u32::from(arp.ar_sip.get())), u64::from(u32::from(arp.ar_tip.get())));
    (key[KeyField::ArpSha], key[KeyField::ArpTha]) =
        (mac_to_field(Mac(arp.ar_sha)), mac_to_field(Mac(arp.ar_tha)));
}
