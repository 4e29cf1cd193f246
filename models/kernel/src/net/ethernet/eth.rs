//! Ethernet headers and addresses.
//!
//! Kernel: net/ethernet/eth.c, include/linux/etherdevice.h

use crate::ids::NetnsId;

use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_802_2, ETH_P_802_3_MIN, EthHdr};
use zerocopy::IntoBytes;

use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, SkbId};
use crate::net::core::dev_addr_lists::IPV6_ALL_NODES;
use crate::net::core::gro::{for_same_flow, gro_complete_inside, gro_receive_inside};
use crate::tables::gro::GroVerdict;
use crate::tables::netdev::{IFF_BROADCAST, IFF_MULTICAST, NetDevice};
use crate::tables::skb::PacketType;

/// Largest payload of a frame, bytes (`ETH_DATA_LEN`).
pub(crate) const ETH_DATA_LEN: u32 = 1500;
/// Smallest MTU of an Ethernet device, bytes (`ETH_MIN_MTU`, RFC 791).
pub const ETH_MIN_MTU: u32 = 68;
/// Largest MTU of an Ethernet device without hardware, bytes (`ETH_MAX_MTU`).
pub const ETH_MAX_MTU: u32 = 65_535;

/// Defaults of Ethernet devices (`ether_setup`).
pub fn ether_setup(dev: &mut NetDevice) {
    dev.flags |= IFF_BROADCAST | IFF_MULTICAST;
    dev.mtu = ETH_DATA_LEN;
    dev.tx_skb_sharing = true;
    dev.min_mtu = ETH_MIN_MTU;
    dev.max_mtu = ETH_DATA_LEN;
    dev.broadcast = Mac::BROADCAST;
    dev.mc.push((IPV6_ALL_NODES, 1));
}

/// Sets packet type and protocol from the Ethernet header of a received frame and pulls it (`eth_type_trans`). False
/// if the frame is shorter than the header.
pub fn eth_type_trans(cx: &mut Cx, skb: SkbId, dev: DevId) -> bool {
    let our_addr = cx.k.devs[dev].addr;
    let at = cx.skbs[skb].data;
    let Some(eth) = cx.skbs.header::<EthHdr>(skb, at) else { return false };
    let (dest, proto) = (eth.dest(), eth.h_proto.get());
    let pkt = &mut cx.skbs[skb];
    pkt.dev = dev;
    pkt.mac_header = at;
    pkt.pkt_type = pkt_type(dest, our_addr);
    pkt.protocol = if proto >= ETH_P_802_3_MIN { proto } else { ETH_P_802_2 };
    pkt.data += ETH_HLEN as u32;
    true
}

fn pkt_type(dest: Mac, ours: Mac) -> PacketType {
    if dest == ours {
        PacketType::Host
    } else if !dest.is_multicast() {
        PacketType::OtherHost
    } else if dest.is_broadcast() {
        PacketType::Broadcast
    } else {
        PacketType::Multicast
    }
}

/// A random unicast, locally administered address (`eth_hw_addr_random`).
pub fn eth_hw_addr_random(cx: &mut Cx, netns: NetnsId, name: &str) -> Mac {
    if let Some(scripted) = cx.k.scripted_mac(netns, name) {
        return scripted;
    }
    let mut mac = Mac::default();
    cx.dice.fill(&mut mac.0);
    mac.0[0] = mac.0[0] & 0xfe | 0x02;
    mac
}

/// Merges a packet by a frame that it has inside, at `at` in the buffer.
pub fn eth_gro_receive(cx: &mut Cx, skb: SkbId, at: u32) -> GroVerdict {
    cx.within(Func::EthGroReceive, skb, |cx| {
        let Some(eth) = cx.skbs.header::<EthHdr>(skb, at).copied() else { return GroVerdict::FLUSH };
        for_same_flow(cx, skb, at, |held, its: &EthHdr, own| {
            held.same_flow = its.as_bytes() == own.as_bytes();
        });
        gro_receive_inside(cx, skb, at + ETH_HLEN as u32, eth.h_proto.get())
    })
}

/// A merged packet that has a frame inside gets its inner headers.
pub fn eth_gro_complete(cx: &mut Cx, skb: SkbId, at: u32) {
    cx.within(Func::EthGroComplete, skb, |cx| {
        if let Some(protocol) = cx.skbs.header::<EthHdr>(skb, at).map(|eth| eth.h_proto.get()) {
            gro_complete_inside(cx, skb, at + ETH_HLEN as u32, protocol);
        }
    });
}
