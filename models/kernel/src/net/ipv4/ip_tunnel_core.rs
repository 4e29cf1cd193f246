//! What tunnels over IPv4 have in common.
//!
//! Kernel: net/ipv4/ip_tunnel_core.c, include/net/ip_tunnels.h, include/net/inet_ecn.h

use glassnet_wire::checksum::checksum;
use glassnet_wire::eth::{ETH_HLEN, ETH_P_IP, ETH_P_TEB, EthHdr};
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_HLEN};
use glassnet_wire::ipv4::{IP_DF, IPPROTO_ICMP, IPV4_HLEN, Ipv4Hdr, ip_send_check, is_zeronet};
use zerocopy::IntoBytes;
use zerocopy::big_endian::U16;

use super::icmp::{ICMP_FRAG_NEEDED, is_error};
use super::ip_input::ip_hdr;
use super::ip_output::{IpHeader, ip_select_ident, push_ip_header};
use super::route_errors::ip_rt_update_pmtu;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::core::gso;
use crate::net::core::skbuff::skb_scrub_packet;
use crate::tables::ip_tunnel::TunnelDf;
use crate::tables::klog::LOG_INFO;
use crate::tables::route::Rtable;
use crate::tables::skb::PacketType;

/// The bits of TOS that tell of congestion (`INET_ECN_MASK`), and their values.
const ECN_MASK: u8 = 3;
const ECN_ECT_1: u8 = 1;
const ECN_ECT_0: u8 = 2;
const ECN_CE: u8 = 3;

/// The TOS of the packet inside; 0 if it is not of IPv4 (`ip_tunnel_get_dsfield`).
pub fn ip_tunnel_get_dsfield(cx: &Cx, skb: SkbId) -> u8 {
    inner(cx, skb).map_or(0, |iph| iph.tos)
}

/// The TTL of the packet inside; 0 if it is not of IPv4 (`ip_tunnel_get_ttl`).
pub fn ip_tunnel_get_ttl(cx: &Cx, skb: SkbId) -> u8 {
    inner(cx, skb).map_or(0, |iph| iph.ttl)
}

/// The packet inside may not be fragmented.
pub fn ip_tunnel_get_df(cx: &Cx, skb: SkbId) -> bool {
    inner(cx, skb).is_some_and(Ipv4Hdr::dont_fragment)
}

/// Whether the outer header forbids to fragment.
pub fn outer_df(cx: &Cx, skb: SkbId, df: TunnelDf) -> bool {
    match df {
        TunnelDf::Unset => false,
        TunnelDf::Set => true,
        TunnelDf::Inherit => ip_tunnel_get_df(cx, skb),
    }
}

fn inner<'a>(cx: &'a Cx, skb: SkbId) -> Option<&'a Ipv4Hdr> {
    ip_hdr(cx, skb).filter(|_| cx.skbs[skb].protocol == ETH_P_IP)
}

/// A TOS with what the packet inside tells of congestion (`ip_tunnel_ecn_encap`).
pub fn ip_tunnel_ecn_encap(cx: &Cx, skb: SkbId, tos: u8) -> u8 {
    let ecn = ip_tunnel_get_dsfield(cx, skb) & ECN_MASK;
    tos & !ECN_MASK | if ecn == ECN_CE { ECN_ECT_0 } else { ecn }
}

/// Tells the packet inside what the outer TOS tells of congestion. Outer bits of a packet whose sender does not understand them are
/// logged; false: such a packet met congestion, which is counted, and cannot be told so (`IP_ECN_decapsulate`).
pub fn ip_ecn_decapsulate(cx: &mut Cx, (skb, dev): (SkbId, DevId), driver: &str, outer: &Ipv4Hdr) -> bool {
    let (saddr, tos) = (outer.saddr.get(), outer.tos);
    let Some(own) = inner(cx, skb).map(|iph| iph.tos & ECN_MASK) else { return true };
    match (own, tos & ECN_MASK) {
        (0, told) if told != 0 => {
            cx.printk_limited(LOG_INFO, |_| {
                vec![format!("{driver}: non-ECT from {saddr} with TOS={tos:#x}")]
            });
            let (is_lost, stats) = (told == ECN_CE, &mut cx.k.devs[dev].stats);
            stats.rx_frame_errors += u64::from(is_lost);
            stats.rx_errors += u64::from(is_lost);
            return !is_lost;
        }
        (_, ECN_CE) => set_ecn(cx, skb, ECN_CE),
        (ECN_ECT_0, ECN_ECT_1) => set_ecn(cx, skb, ECN_ECT_1),
        _ => {}
    }
    true
}

fn set_ecn(cx: &mut Cx, skb: SkbId, ecn: u8) {
    let at = cx.skbs[skb].network_header;
    if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        iph.tos = iph.tos & !ECN_MASK | ecn;
        ip_send_check(iph.as_mut_bytes());
    }
}

/// From here on the packet is inside of another (`iptunnel_handle_offloads`).
pub fn iptunnel_handle_offloads(cx: &mut Cx, skb: SkbId) {
    let ihl = ip_hdr(cx, skb).map_or(IPV4_HLEN, Ipv4Hdr::header_len);
    let pkt = &mut cx.skbs[skb];
    pkt.inner_network_header = pkt.network_header;
    pkt.inner_transport_header = pkt.network_header + ihl as u32;
}

/// Takes the outer headers off, of which the last `len` bytes are at the beginning of the data, and a packet of this Ethertype is
/// seen behind them, or a frame; false: it is too short (`__iptunnel_pull_header`).
pub fn iptunnel_pull_header(
    cx: &mut Cx,
    skb: SkbId,
    len: usize,
    inner_proto: u16,
    crosses_netns: bool,
) -> bool {
    cx.call(Func::IptunnelPullHeader, skb);
    let is_frame = inner_proto == ETH_P_TEB;
    if cx.skbs[skb].len() < len + if is_frame { ETH_HLEN } else { 0 } {
        return false;
    }
    cx.skbs.pull(skb, len);
    if !is_frame {
        cx.skbs[skb].protocol = inner_proto;
    }
    skb_scrub_packet(cx, skb, crosses_netns);
    clear_hash_if_not_l4(cx, skb);
    let pkt = &mut cx.skbs[skb];
    pkt.queue_mapping = 0;
    // Only the outer checksum was looked at; a merged packet's is that of who merged it.
    pkt.ip_summed &= pkt.gso_size != 0;
    (pkt.inner_network_header, pkt.inner_transport_header) = (0, 0);
    true
}

/// The hash was of headers that are no longer the first (`skb_clear_hash_if_not_l4`).
fn clear_hash_if_not_l4(cx: &mut Cx, skb: SkbId) {
    let pkt = &mut cx.skbs[skb];
    if !pkt.l4_hash {
        pkt.hash = 0;
    }
}

/// Puts an IPv4 header in front and sends the packet, and counts for the tunnel's device what became of it.
///
/// Kernel: net/ipv4/ip_tunnel_core.c
pub fn iptunnel_xmit(cx: &mut Cx, skb: SkbId, tunnel: DevId, route: Rtable, header: IpHeader, xnet: bool) {
    cx.within(Func::IptunnelXmit, skb, |cx| {
        let netns = cx.k.devs[route.dev].netns;
        skb_scrub_packet(cx, skb, xnet);
        clear_hash_if_not_l4(cx, skb);
        let len = (cx.skbs[skb].tail - cx.skbs[skb].inner_network_header) as u64;
        let id = ip_select_ident(cx, netns, cx.skbs[skb].gso_segs.max(1));
        let dont_fragment = header.dont_fragment && !route.mtu_locked;
        push_ip_header(cx, skb, route, &IpHeader { dont_fragment, ..header }, id);
        let sent = cx.xmit_and_wait(skb, Door::IpLocalOut { skb });
        // It may have deleted the device.
        let Some(netdev) = cx.k.devs.get_mut(tunnel) else { return };
        match sent {
            Ok(()) => {
                netdev.stats.tx_packets += 1;
                netdev.stats.tx_bytes += len;
            }
            Err(_) => netdev.stats.tx_dropped += 1,
        }
    });
}

/// Compares a packet with what the path of its tunnel takes beside `headroom` bytes. If it is too long, its own route learns of
/// it, and what was not sent by this host is made into the ICMP error that its sender is to get (`reply`): true.
pub fn skb_tunnel_check_pmtu(cx: &mut Cx, skb: SkbId, mtu: u32, headroom: u32, reply: bool) -> bool {
    cx.within(Func::SkbTunnelCheckPmtu, skb, |cx| {
        let mtu = mtu.saturating_sub(headroom);
        let pkt = &cx.skbs[skb];
        let len = (pkt.tail - pkt.network_header) as usize;
        if gso::fits(cx, skb, len, mtu as usize) {
            return false;
        }
        let own = pkt.dst.map(|route| route.dev);
        if let (Some(dev), Some(daddr)) = (own, inner(cx, skb).map(|iph| iph.daddr.get())) {
            ip_rt_update_pmtu(cx, cx.k.devs[dev].netns, dev, daddr, mtu);
        }
        reply && cx.skbs[skb].pkt_type != PacketType::Host && iptunnel_pmtud_check_icmp(cx, skb, mtu)
    })
}

/// Who sent the packet can be told that it is too long.
fn iptunnel_pmtud_check_icmp(cx: &mut Cx, skb: SkbId, mtu: u32) -> bool {
    /// What every host takes, bytes: less is not told.
    const LEAST: u32 = 576;
    let Some(iph) = inner(cx, skb).copied() else { return false };
    let (saddr, daddr) = (iph.saddr.get(), iph.daddr.get());
    let kind = cx.skbs.header::<u8>(skb, cx.skbs[skb].network_header + iph.header_len() as u32).copied();
    let is_told = mtu >= LEAST
        && iph.frag_off.get() == IP_DF
        && !(daddr.is_broadcast() || daddr.is_multicast())
        && !(is_zeronet(saddr) || saddr.is_loopback() || saddr.is_broadcast() || saddr.is_multicast())
        && !(iph.protocol == IPPROTO_ICMP && kind.is_some_and(is_error));
    if is_told {
        iptunnel_pmtud_build_icmp(cx, skb, &iph, mtu);
    }
    is_told
}

/// Makes a frame into the ICMP error about it, as if its receiver had sent it.
fn iptunnel_pmtud_build_icmp(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, mtu: u32) {
    /// The error is no longer, bytes.
    const MOST: usize = 576;
    let eth = *cx.skbs.eth_hdr(skb);
    cx.skbs.pull(skb, ETH_HLEN);
    cx.skbs.trim(skb, MOST - IPV4_HLEN - ICMP_HLEN);
    cx.skbs.push(skb, ICMP_HLEN);
    let message = cx.skbs.data_mut(skb);
    message[..ICMP_HLEN].copy_from_slice(&[ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, 0, 0, 0, 0, 0, 0]);
    message[6..ICMP_HLEN].copy_from_slice(&(mtu as u16).to_be_bytes());
    let check = checksum(message);
    message[2..4].copy_from_slice(&check.to_be_bytes());
    let len = message.len() + IPV4_HLEN;
    cx.skbs[skb].transport_header = cx.skbs[skb].data;
    cx.skbs.push(skb, IPV4_HLEN);
    let mut header = Ipv4Hdr {
        version_ihl: 0x45,
        tos: 0,
        tot_len: U16::new(len as u16),
        id: U16::new(0),
        frag_off: U16::new(IP_DF),
        ttl: iph.ttl,
        protocol: IPPROTO_ICMP,
        check: U16::new(0),
        saddr: iph.daddr,
        daddr: iph.saddr,
    };
    ip_send_check(header.as_mut_bytes());
    cx.skbs.data_mut(skb)[..IPV4_HLEN].copy_from_slice(header.as_bytes());
    let pkt = &mut cx.skbs[skb];
    (pkt.network_header, pkt.ip_summed, pkt.gso_size, pkt.gso_segs) = (pkt.data, false, 0, 0);
    cx.skbs.push_eth(skb, EthHdr::new(eth.source(), eth.dest(), eth.h_proto.get()));
}
