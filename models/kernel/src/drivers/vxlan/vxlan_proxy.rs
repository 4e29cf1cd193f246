//! Devices that answer ARP from what they know, and that ask programs for what they do not.
//!
//! Kernel: drivers/net/vxlan/vxlan_core.c
//! Not modelled: neighbour discovery of IPv6.

use std::net::Ipv4Addr;

use glassnet_wire::Mac;
use glassnet_wire::arp::{ARPHRD_ETHER, ARPOP_REPLY, ARPOP_REQUEST, ArpHdr};
use glassnet_wire::eth::{ETH_P_IP, EthHdr};

use super::vxlan_core::vxlan_mut;
use super::vxlan_fdb::vxlan_find_mac;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::core::neighbour::neigh_lookup;
use crate::net::ethernet::eth::eth_type_trans;
use crate::net::ipv4::arp::arp_create;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::tables::neigh_types::NTF_ROUTER;
use crate::tables::netdev::IFF_NOARP;
use crate::tables::rtnl::RtnlMsg;
use crate::tables::skb::PacketType;

/// Asks programs for the station of an address.
fn vxlan_ip_miss(cx: &mut Cx, skb: SkbId, dev: DevId, asked: Ipv4Addr) {
    cx.call(Func::VxlanIpMiss, skb);
    miss(cx, dev, Some(asked), None);
}

/// Asks programs where a station is.
pub(super) fn vxlan_fdb_miss(cx: &mut Cx, skb: SkbId, dev: DevId, mac: Mac) {
    cx.call(Func::VxlanFdbMiss, skb);
    miss(cx, dev, None, Some(mac));
}

fn miss(cx: &mut Cx, dev: DevId, dst: Option<Ipv4Addr>, lladdr: Option<Mac>) {
    let netns = cx.k.devs[dev].netns;
    cx.rtnl_notify(netns, false, |_| Some(RtnlMsg::Miss { dev, dst, lladdr }));
}

/// A station is a router's.
pub(super) fn leads_to_router(cx: &mut Cx, dev: DevId, mac: Mac) -> bool {
    vxlan_mut(cx, dev).find(mac).is_some_and(|entry| entry.flags & NTF_ROUTER != 0)
}

/// A station is behind the bridge of this host: its entry leads nowhere.
pub(super) fn is_bridge_local(cx: &mut Cx, dev: DevId, mac: Mac) -> bool {
    let first = vxlan_mut(cx, dev).find(mac).and_then(|entry| entry.remotes.first());
    first.is_some_and(|remote| remote.to.ip.is_unspecified())
}

/// Answers an ARP request for a neighbour that is known. No ARP packet leaves.
pub(super) fn arp_reduce(cx: &mut Cx, skb: SkbId, dev: DevId) -> Door {
    if let Some((arp, asked)) = request(cx, skb, dev) {
        let known = neigh_lookup(cx.k, dev, asked).and_then(|id| cx.k.neigh.get(id));
        let known = known.map(|entry| Some(entry.ha).filter(|_| entry.nud.connected()));
        if known.is_none() && vxlan_mut(cx, dev).cfg.l3miss {
            vxlan_ip_miss(cx, skb, dev, asked);
        }
        if let Some(ha) = known.flatten()
            && (vxlan_find_mac(cx, skb, dev, ha).is_none() || !is_bridge_local(cx, dev, ha))
        {
            reply(cx, dev, &arp, ha);
        }
    }
    cx.consume_skb(skb)
}

/// The request, and for which address it is, if it is one.
fn request(cx: &mut Cx, skb: SkbId, dev: DevId) -> Option<(ArpHdr, Ipv4Addr)> {
    if cx.k.devs[dev].flags & IFF_NOARP != 0 {
        return None;
    }
    let at = cx.skbs[skb].network_header;
    let Some(arp) = cx.skbs.header::<ArpHdr>(skb, at).copied() else {
        cx.k.devs[dev].stats.tx_dropped += 1;
        return None;
    };
    let asked = arp.ar_tip.get();
    let is_request = (arp.ar_hrd.get(), arp.ar_pro.get(), arp.ar_op.get(), arp.ar_hln, arp.ar_pln)
        == (ARPHRD_ETHER, ETH_P_IP, ARPOP_REQUEST, 6, 4);
    (is_request && !asked.is_loopback() && !asked.is_multicast()).then_some((arp, asked))
}

/// The answer comes in by the device, as if the neighbour had sent it.
fn reply(cx: &mut Cx, dev: DevId, asked: &ArpHdr, ha: Mac) {
    let to = Mac(asked.ar_sha);
    let packet = ArpHdr::new(ARPOP_REPLY, (ha, asked.ar_tip.get()), (to, asked.ar_sip.get()));
    let skb = arp_create(cx, dev, &packet, (to, ha));
    eth_type_trans(cx, skb, dev);
    cx.skbs[skb].pkt_type = PacketType::Host;
    cx.walk(Door::NetifRx { skb });
}

/// Turns a packet for a router to the station of its destination; false: it goes to the router.
pub(super) fn route_shortcircuit(cx: &mut Cx, skb: SkbId, dev: DevId) -> bool {
    let eth = *cx.skbs.eth_hdr(skb);
    let Some(daddr) = ip_hdr(cx, skb).map(|iph| iph.daddr.get()) else { return false };
    if eth.dest().is_multicast() {
        return false;
    }
    let Some(ha) = neigh_lookup(cx.k, dev, daddr).and_then(|id| Some(cx.k.neigh.get(id)?.ha)) else {
        if vxlan_mut(cx, dev).cfg.l3miss {
            vxlan_ip_miss(cx, skb, dev, daddr);
        }
        return false;
    };
    let at = cx.skbs[skb].mac_header;
    if ha != eth.dest()
        && let Some(header) = cx.skbs.header_mut::<EthHdr>(skb, at)
    {
        *header = EthHdr::new(ha, eth.dest(), eth.h_proto.get());
    }
    ha != eth.dest()
}
