//! Output of IPv4 packets.
//!
//! Kernel: net/ipv4/ip_output.c

use std::net::Ipv4Addr;

use glassnet_wire::eth::ETH_P_IP;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_TIMESTAMPREPLY};
use glassnet_wire::ipv4::{
    IP_DF, IP_MF, IPPROTO_ICMP, IPPROTO_TCP, IPV4_HLEN, InAddr, Ipv4Hdr, ip_send_check,
};
use zerocopy::big_endian::U16;

use super::af_inet::{count_no_route, flow_of, ip_local_error, ttl_of};
use super::arp::arp_neigh;
use super::icmp::{self, IcmpError};
use super::ip_input::{ip_hdr, snmp};
use super::route::{dst_metric, dst_mtu, ip_route_output_flow};
use crate::Cx;
use crate::door::Door;
use crate::ids::{NeighId, NetnsId, SkbId, SocketId};
use crate::net::core::gso;
use crate::net::core::neighbour::{neigh_confirm, neigh_hh_output, neigh_lookup};
use crate::net::core::skbuff::skb_dst_set;
use crate::net::core::sock::{skb_set_owner_w, sock_alloc_send_pskb};
use crate::net::core::softirq::local_bh_enable;
use crate::net::ethernet::eth::eth_type_trans;
use crate::net::netfilter::core::nf_hook;
use crate::netlink::Errno;
use crate::sysctl::{Sysctl, SysctlTable};
use crate::tables::drop_reason::DropReason;
use crate::tables::neigh_types::Nud;
use crate::tables::netdev::NetDevice;
use crate::tables::netfilter::Site;
use crate::tables::route::{RTCF_LOCAL, RTCF_MULTICAST, Rtable};
use crate::tables::route_types::{RTAX_HOPLIMIT, RouteType};
use crate::tables::skb::{IPSKB_SENT, LL_RESERVED_SPACE, PacketType, XMIT_AWAITED, alloc_truesize};
use crate::tables::socket::PmtuDisc;
use crate::tables::sysctl::Setting;
use crate::trace::Context;

/// Default TTL.
pub static IP_DEFAULT_TTL: Setting = Setting::new("ip_default_ttl", 64);

static FWMARK_REFLECT: Setting = Setting::new("fwmark_reflect", 0);

/// Sysctls of output.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[Sysctl::net(&IP_DEFAULT_TTL).range(1, 255), Sysctl::net(&FWMARK_REFLECT).range(0, 255)],
);

/// The mark of what this host answers a packet with, of no socket: the packet's with `fwmark_reflect`, else none (`IP4_REPLY_MARK`).
pub fn ip4_reply_mark(cx: &Cx, netns: NetnsId, skb: SkbId) -> u32 {
    if cx.k.netns[netns].sysctls.get(&FWMARK_REFLECT) != 0 { cx.skbs[skb].mark } else { 0 }
}

/// `IPSKB_FORWARDED`: the packet is forwarded.
pub const IPSKB_FORWARDED: u16 = 1;
/// `skb->ignore_df`: a local packet may be fragmented in spite of DF.
pub const IGNORE_DF: u16 = 1 << 15;

/// Header fields of a locally generated packet.
#[derive(Clone, Copy, Debug)]
pub struct IpHeader {
    /// Source.
    pub saddr: Ipv4Addr,
    /// Destination.
    pub daddr: Ipv4Addr,
    /// Protocol.
    pub protocol: u8,
    /// TTL in hops; of what is no tunnel's, 0: the route's, or the namespace's default.
    pub ttl: u8,
    /// TOS.
    pub tos: u8,
    /// DF.
    pub dont_fragment: bool,
    /// May be fragmented in spite of DF.
    pub ignore_df: bool,
}

/// The least MTU that IPv4 sends with, bytes (`IPV4_MIN_MTU`).
const IPV4_MIN_MTU: u32 = 68;
/// Room that is allocated with a packet besides its bytes (`alloc_extra`).
pub const ALLOC_EXTRA: usize = LL_RESERVED_SPACE + 15;
/// The most that is allocated as one buffer, bytes (`SKB_MAX_ALLOC`); the rest of a longer packet is in pages.
const SKB_MAX_ALLOC: usize = 16_064;

/// How a message may be sent.
#[derive(Clone, Copy, Debug)]
pub struct Cork {
    /// Where it goes, for the error queue.
    pub to: (Ipv4Addr, u16),
    /// The MTU, bytes (`fragsize`).
    pub mtu: u32,
    /// Longer ones are fragmented.
    pub ignore_df: bool,
    /// The header of the transport that stands in front, bytes; 0: the program wrote it.
    pub transhdrlen: usize,
}

/// Takes memory of the socket for a message, for each fragment that it will be sent in (`__ip_append_data`).
///
/// # Errors
///
/// `ENETUNREACH` if the MTU is too small, `EMSGSIZE` if the message is too long, `EAGAIN` if the send buffer is full, `ENOBUFS` if it has
/// no room for all fragments.
pub fn ip_append_data(cx: &mut Cx, sock: SocketId, skb: SkbId, cork: Cork) -> Result<(), Errno> {
    let Cork { to, mtu, ignore_df, transhdrlen } = cork;
    if mtu < IPV4_MIN_MTU {
        return Err(Errno::ENETUNREACH);
    }
    let length = cx.skbs[skb].len();
    if length + IPV4_HLEN > if ignore_df { 0xffff } else { mtu as usize } {
        ip_local_error(cx, sock, Errno::EMSGSIZE, to, mtu);
        return Err(Errno::EMSGSIZE);
    }
    match take_memory(cx, sock, length, mtu as usize - IPV4_HLEN, transhdrlen) {
        Ok(truesize) => {
            cx.skbs[skb].truesize = truesize;
            skb_set_owner_w(cx, skb, sock);
            Ok(())
        }
        Err(errno) => {
            if let Some(netns) = cx.k.sockets.get(sock).map(|socket| socket.netns) {
                cx.k.netns[netns].ipv4.snmp.ip.OutDiscards += 1;
            }
            Err(errno)
        }
    }
}

/// The memory of a message of `length` bytes in fragments of at most `most`, if the socket may have it. Only a transport that writes
/// its header waits for room, with the first fragment; the others may take twice the send buffer.
fn take_memory(
    cx: &mut Cx,
    sock: SocketId,
    length: usize,
    most: usize,
    mut transhdrlen: usize,
) -> Result<u32, Errno> {
    let (mut left, mut taken) = (length, 0);
    loop {
        let len = if left > most { most & !7 } else { left };
        if transhdrlen > 0 {
            sock_alloc_send_pskb(cx, sock)?;
        } else {
            let socket = cx.k.sockets.get(sock).ok_or(Errno::EBADF)?;
            if socket.wmem_alloc + 1 + taken > socket.opts.sndbuf.saturating_mul(2) {
                return Err(Errno::ENOBUFS);
            }
        }
        taken += fragment_truesize(IPV4_HLEN, len, transhdrlen);
        transhdrlen = 0;
        left -= len;
        if left == 0 {
            return Ok(taken);
        }
    }
}

/// The memory of a fragment with a header of `hlen` bytes and `len` bytes of payload.
fn fragment_truesize(hlen: usize, len: usize, transhdrlen: usize) -> u32 {
    if hlen + len + ALLOC_EXTRA < SKB_MAX_ALLOC {
        return alloc_truesize(hlen + len + ALLOC_EXTRA);
    }
    alloc_truesize(hlen + transhdrlen + ALLOC_EXTRA) + (len - transhdrlen) as u32
}

/// Pushes an IPv4 header (`__ip_make_skb`).
pub fn ip_make_header(cx: &mut Cx, netns: NetnsId, skb: SkbId, route: Rtable, header: IpHeader) {
    if header.protocol == IPPROTO_ICMP {
        // The kernel counts the flow's type, and that of a reply has none: a time stamp counts as an echo (type 0).
        let kind =
            cx.skbs.data(skb).first().copied().filter(|kind| *kind != ICMP_TIMESTAMPREPLY).unwrap_or(0);
        icmp::icmp_out_count(cx, netns, kind);
    }
    let needs_id = !header.dont_fragment || header.ignore_df;
    let id = if needs_id { ip_select_ident(cx, netns, 1) } else { 0 };
    let header = IpHeader { ttl: ttl_or_hoplimit(cx, netns, &route, header.ttl), ..header };
    push_ip_header(cx, skb, route, &header, id);
    let pkt = &mut cx.skbs[skb];
    pkt.ip.flags = pkt.ip.flags & XMIT_AWAITED | if header.ignore_df { IGNORE_DF } else { 0 };
    if pkt.sk.is_some() {
        pkt.priority = rt_tos2priority(header.tos);
    }
}

/// Pushes an IPv4 header with this identification and TTL, and routes the packet.
pub fn push_ip_header(cx: &mut Cx, skb: SkbId, route: Rtable, header: &IpHeader, id: u16) {
    let payload = cx.skbs[skb].len();
    cx.skbs.push(skb, IPV4_HLEN);
    let at = cx.skbs[skb].data;
    let iph = Ipv4Hdr {
        version_ihl: 0x45,
        tos: header.tos,
        tot_len: U16::new((payload + IPV4_HLEN) as u16),
        id: U16::new(id),
        frag_off: U16::new(if header.dont_fragment { IP_DF } else { 0 }),
        ttl: header.ttl,
        protocol: header.protocol,
        check: U16::new(0),
        saddr: InAddr::new(header.saddr),
        daddr: InAddr::new(header.daddr),
    };
    if let Some(place) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
        *place = iph;
    }
    let pkt = &mut cx.skbs[skb];
    pkt.network_header = at;
    pkt.transport_header = at + IPV4_HLEN as u32;
    pkt.protocol = ETH_P_IP;
    pkt.dev = route.dev;
    skb_dst_set(cx, skb, route);
}

/// The queueing priority of a packet by its TOS (`ip_tos2prio`, net/ipv4/route.c): best effort, bulk, interactive, interactive
/// bulk.
#[inline]
pub(super) fn rt_tos2priority(tos: u8) -> u32 {
    const PRIORITIES: [u8; 4] = [0, 2, 6, 4];
    u32::from(PRIORITIES[usize::from(tos >> 3 & 3)])
}

/// A TTL, or where it is 0 that of what this host sends by a route, hops (`ip4_dst_hoplimit`).
pub fn ttl_or_hoplimit(cx: &Cx, netns: NetnsId, route: &Rtable, ttl: u8) -> u8 {
    if ttl != 0 {
        return ttl;
    }
    match dst_metric(cx, route, RTAX_HOPLIMIT) {
        0 => cx.k.netns[netns].sysctls.get(&IP_DEFAULT_TTL) as u8,
        hops => hops as u8,
    }
}

/// The first of so many next identifications (`__ip_select_ident`); the kernel's generator has a secret key.
pub fn ip_select_ident(cx: &mut Cx, netns: NetnsId, count: u16) -> u16 {
    let last = cx.k.netns[netns].ipv4.ident;
    let next = if last == 0 { cx.dice.below(0xffff) as u16 + 1 } else { last.wrapping_add(1).max(1) };
    cx.k.netns[netns].ipv4.ident = next.wrapping_add(count - 1);
    next
}

/// Sends a finished datagram.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn ip_send_skb(cx: &mut Cx, skb: SkbId) -> Door {
    cx.skbs[skb].ip.flags |= IPSKB_SENT;
    cx.pass(Door::IpLocalOut { skb })
}

/// Sends a finished packet of a socket.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn ip_push_pending_frames(cx: &mut Cx, skb: SkbId) -> Door {
    ip_send_skb(cx, skb)
}

/// Sets length and checksum, and enters LOCAL_OUT.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn __ip_local_out(cx: &mut Cx, skb: SkbId) -> Door {
    let len = cx.skbs[skb].len() as u16;
    let packet = cx.skbs.data_mut(skb);
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    ip_send_check(packet);
    if l3mdev_ip_out(cx, skb) { nf_hook(cx, Site::IpLocalOut, skb) } else { Door::End }
}

/// A device over the one that the packet leaves by may take it first. False: it is no longer there.
#[inline]
fn l3mdev_ip_out(cx: &mut Cx, skb: SkbId) -> bool {
    let dev = cx.skbs[skb].dst.map(|route| route.dev);
    let l3_out = dev.and_then(|dev| cx.k.devs[dev].l3mdev_ops).and_then(|ops| ops.l3_out);
    dev.zip(l3_out).is_none_or(|(dev, l3_out)| l3_out(cx, dev, skb))
}

/// Enters LOCAL_OUT with a packet whose header the program wrote (IP_HDRINCL).
///
/// Kernel: net/ipv4/raw.c
/// Not modelled: nothing.
pub fn ip_local_out_hook(cx: &mut Cx, skb: SkbId) -> Door {
    nf_hook(cx, Site::IpLocalOut, skb)
}

/// Enters POST_ROUTING with a multicast or broadcast packet, after its local copy was looped back.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn ip_output_hook(cx: &mut Cx, skb: SkbId) -> Door {
    nf_hook(cx, Site::IpOutput, skb)
}

/// Enters POST_ROUTING with the local copy of a multicast or broadcast packet.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn ip_mc_loop_hook(cx: &mut Cx, skb: SkbId) -> Door {
    nf_hook(cx, Site::IpMcLoop, skb)
}

/// Sets the output device and enters POST_ROUTING.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn ip_output(cx: &mut Cx, skb: SkbId) -> Door {
    count_out(cx, skb);
    nf_hook(cx, Site::IpOutput, skb)
}

fn count_out(cx: &mut Cx, skb: SkbId) {
    let pkt = &mut cx.skbs[skb];
    let len = pkt.len() as u64;
    pkt.ip.indev = (pkt.skb_iif != 0).then_some(pkt.dev);
    if let Some(route) = &pkt.dst {
        pkt.dev = route.dev;
    }
    pkt.protocol = ETH_P_IP;
    let counters = snmp(cx, skb);
    counters.ip.OutRequests += 1;
    counters.ip_ext.OutOctets += len;
}

/// Outputs a multicast or broadcast packet; members on this host get a copy.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: multicast routing.
pub fn ip_mc_output(cx: &mut Cx, skb: SkbId) -> Door {
    count_out(cx, skb);
    let Some(route) = cx.skbs[skb].dst else { return cx.kfree_skb(skb, DropReason::IpOutnoroutes) };
    let ttl = ip_hdr(cx, skb).map_or(0, |iph| iph.ttl);
    let multicast = route.flags & RTCF_MULTICAST != 0;
    // A tunnel's own socket does not loop (`setup_udp_tunnel_sock`).
    let wants = |sk| cx.k.sockets.get(sk).is_none_or(|socket| socket.opts.mcast_loop);
    let loops = !multicast || !cx.skbs[skb].is_encapsulated() && cx.skbs[skb].sk.is_none_or(wants);
    let copy = (loops && route.flags & RTCF_LOCAL != 0).then(|| cx.skb_clone(skb));
    if multicast && ttl == 0 {
        if let Some(copy) = copy {
            cx.afterwards(Door::IpMcLoopHook { skb: copy });
        }
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    match copy {
        Some(copy) => {
            cx.afterwards(Door::IpOutputHook { skb });
            nf_hook(cx, Site::IpMcLoop, copy)
        }
        None => nf_hook(cx, Site::IpOutput, skb),
    }
}

/// Loops back the local copy of a multicast or broadcast packet.
///
/// Kernel: net/core/dev.c
/// Not modelled: nothing.
pub fn dev_loopback_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let (source, broadcast) = (cx.k.devs[dev].addr, cx.k.devs[dev].broadcast);
    if cx.k.devs[dev].arphrd.header_len() == 0 {
        cx.skbs[skb].mac_header = cx.skbs[skb].data;
    } else {
        cx.skbs.push_eth(skb, glassnet_wire::eth::EthHdr::new(broadcast, source, ETH_P_IP));
        eth_type_trans(cx, skb, dev);
    }
    let pkt = &mut cx.skbs[skb];
    pkt.pkt_type = PacketType::Loopback;
    pkt.ip_summed = true;
    Door::NetifRxInner { skb }
}

/// The `okfn` of POST_ROUTING.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: BPF programs of cgroups.
pub fn ip_finish_output(cx: &mut Cx, skb: SkbId) -> Door {
    cx.pass(Door::IpFinishOutputInner { skb })
}

/// Fragments packets that exceed the MTU.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: nothing.
pub fn __ip_finish_output(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &cx.skbs[skb];
    let Some(route) = &pkt.dst else { return cx.kfree_skb(skb, DropReason::IpOutnoroutes) };
    if pkt.gso_size != 0 {
        let mtu = ip_skb_dst_mtu(cx, skb, route) as usize;
        return ip_finish_output_gso(cx, skb, mtu);
    }
    let too_long = pkt.len() > dst_mtu(cx, route) as usize;
    if too_long && pkt.len() > ip_skb_dst_mtu(cx, skb, route) as usize || pkt.ip.frag_max_size != 0 {
        return Door::IpFragment { skb };
    }
    cx.pass(Door::IpFinishOutput2 { skb })
}

/// What a merged packet is cut into fits, or is fragmented.
#[cold]
fn ip_finish_output_gso(cx: &mut Cx, skb: SkbId, mtu: usize) -> Door {
    if gso::fits(cx, skb, cx.skbs[skb].len(), mtu) {
        return Door::IpFinishOutput2 { skb };
    }
    for segment in gso::skb_gso_segment(cx, skb).into_iter().rev() {
        cx.afterwards(Door::IpFragment { skb: segment });
    }
    Door::End
}

/// The MTU for a packet, bytes (`ip_skb_dst_mtu`): a socket that probes the path does not keep to what was learned of it.
fn ip_skb_dst_mtu(cx: &Cx, skb: SkbId, route: &Rtable) -> u32 {
    // A tunnel's own socket has no options; the packet's is of what is inside.
    let sender = cx.skbs[skb].sk.filter(|_| !cx.skbs[skb].is_encapsulated());
    let socket = sender.and_then(|sk| cx.k.sockets.get(sk));
    let probes = socket.is_some_and(|socket| socket.opts.pmtudisc == PmtuDisc::Probe);
    if probes { cx.k.devs[route.dev].mtu } else { dst_mtu(cx, route) }
}

/// Looks up the neighbour; with a valid one the packet is sent at once.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: lightweight tunnels.
pub fn ip_finish_output2(cx: &mut Cx, skb: SkbId) -> Door {
    let (Some(route), Some(iph)) = (&cx.skbs[skb].dst, ip_hdr(cx, skb)) else {
        return cx.kfree_skb(skb, DropReason::IpOutnoroutes);
    };
    let (dev, kind, gateway, daddr) = (route.dev, route.kind, route.gateway, iph.daddr.get());
    let hint = route.neigh;
    if matches!(kind, RouteType::Multicast | RouteType::Broadcast) {
        count_group_out(cx, skb, kind);
    }
    let next_hop = if !gateway.is_unspecified() { gateway } else { daddr };
    let is_it =
        |id: &NeighId| cx.k.neigh.get(*id).is_some_and(|entry| (entry.dev, entry.ip) == (dev, next_hop));
    let found = match hint.filter(is_it).or_else(|| neigh_lookup(cx.k, dev, next_hop)) {
        Some(found) => Some(found),
        None => arp_neigh(cx, dev, next_hop, skb),
    };
    let Some(id) = found else { return cx.kfree_skb(skb, DropReason::NeighCreatefail) };
    if cx.skbs[skb].dst_pending_confirm {
        neigh_confirm(cx, id);
    }
    match cx.k.neigh.get(id) {
        Some(entry) if entry.nud.connected() && entry.hh => neigh_hh_output(cx, skb, id),
        Some(entry) if writes_no_header(&cx.k.devs[dev], entry.nud) => Door::NeighConnectedOutput { skb },
        _ => Door::NeighResolveOutput { skb },
    }
}

/// Packets go to such a neighbour without a header, or with one that need not be asked for.
fn writes_no_header(dev: &NetDevice, nud: Nud) -> bool {
    dev.arphrd.header_len() == 0 && (dev.header_ops.is_none() || nud.connected())
}

fn count_group_out(cx: &mut Cx, skb: SkbId, kind: RouteType) {
    let len = cx.skbs[skb].len() as u64;
    let counters = &mut snmp(cx, skb).ip_ext;
    if kind == RouteType::Multicast {
        counters.OutMcastPkts += 1;
        counters.OutMcastOctets += len;
    } else {
        counters.OutBcastPkts += 1;
        counters.OutBcastOctets += len;
    }
}

/// Fragments a packet, or sends "fragmentation needed" if DF is set.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: IP options.
pub fn ip_fragment(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &cx.skbs[skb];
    let (Some(route), Some(iph)) = (pkt.dst, ip_hdr(cx, skb)) else {
        return cx.kfree_skb(skb, DropReason::IpOutnoroutes);
    };
    let mtu = ip_skb_dst_mtu(cx, skb, &route);
    let too_large = u32::from(pkt.ip.frag_max_size) > mtu;
    if iph.dont_fragment() && (pkt.ip.flags & IGNORE_DF == 0 || too_large) {
        snmp(cx, skb).ip.FragFails += 1;
        cx.xmit_failed(skb, Errno::EMSGSIZE);
        let error = IcmpError { kind: ICMP_DEST_UNREACH, code: icmp::ICMP_FRAG_NEEDED, info: mtu };
        return icmp::icmp_send_then_drop(cx, skb, error, DropReason::NotSpecified);
    }
    Door::IpDoFragment { skb }
}

/// Splits a packet into fragments for the MTU.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: IP options.
pub fn ip_do_fragment(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(route) = cx.skbs[skb].dst else { return cx.kfree_skb(skb, DropReason::IpOutnoroutes) };
    let mut mtu = ip_skb_dst_mtu(cx, skb, &route);
    // A reassembled packet is not split into larger fragments than were received.
    if cx.skbs[skb].ip.frag_max_size != 0 {
        mtu = mtu.min(u32::from(cx.skbs[skb].ip.frag_max_size));
    }
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    let Some(Pieces { skbs, source }) = fragments(cx, skb, mtu) else {
        return cx.kfree_skb(skb, DropReason::PktTooBig);
    };
    let sent = send_fragments(cx, netns, skbs);
    let Some(source) = source else { return Door::End };
    if let Err(errno) = sent {
        cx.xmit_failed(source, errno);
    }
    cx.consume_skb(source)
}

/// Sends the fragments of a packet. After one that cannot be sent, or that found a full queue, the others are dropped.
fn send_fragments(cx: &mut Cx, netns: NetnsId, pieces: Vec<SkbId>) -> Result<(), Errno> {
    let (mut created, mut sent, mut goes_on) = (0, Ok(()), true);
    for piece in pieces {
        if !goes_on {
            cx.kfree_skb(piece, DropReason::NotSpecified);
            continue;
        }
        sent = cx.xmit_and_wait(piece, Door::IpFinishOutput2 { skb: piece });
        goes_on = sent.is_ok() && cx.k.xmit_congested.take() != Some(piece);
        created += u64::from(goes_on);
        // `__dev_queue_xmit` ends with it: where a program sends, a fragment arrives before the next one leaves.
        if cx.context == Context::Task {
            local_bh_enable(cx);
        }
    }
    let counters = &mut cx.k.netns[netns].ipv4.snmp.ip;
    counters.FragCreates += created;
    counters.FragOKs += u64::from(goes_on);
    counters.FragFails += u64::from(!goes_on);
    sent
}

/// The fragments of a packet.
#[derive(Debug)]
pub struct Pieces {
    /// The fragments in order.
    pub skbs: Vec<SkbId>,
    /// The packet, if they were copied from it.
    pub source: Option<SkbId>,
}

/// The fragments of a packet for an MTU in bytes; `None` if not even eight bytes of payload fit. A reassembled packet is taken
/// apart into the fragments that it was made of, if they fit (`ip_fraglist_init`).
pub fn fragments(cx: &mut Cx, skb: SkbId, mtu: u32) -> Option<Pieces> {
    let iph = ip_hdr(cx, skb).copied()?;
    let (hlen, total) = (iph.header_len(), cx.skbs[skb].len() - iph.header_len());
    let most = (mtu as usize).saturating_sub(hlen);
    if most < 8 {
        snmp(cx, skb).ip.FragFails += 1;
        return None;
    }
    let Some(lens) = received_lengths(cx, skb, &iph, most) else {
        let lens: Vec<usize> =
            (0..total).step_by(most & !7).map(|start| (most & !7).min(total - start)).collect();
        return Some(Pieces { skbs: cut(cx, skb, &iph, &lens), source: Some(skb) });
    };
    // These lose DF.
    let iph = Ipv4Hdr { frag_off: U16::new(iph.frag_off.get() & !IP_DF), ..iph };
    let pieces = cut(cx, skb, &iph, &lens);
    let list = cx.skbs.take_frag_list(skb);
    let skbs: Vec<SkbId> =
        std::iter::once(skb).chain(list.into_iter().map(|(fragment, _)| fragment)).collect();
    for (piece, fragment) in pieces.into_iter().zip(&skbs) {
        cx.skbs[piece].packet = cx.skbs[*fragment].packet;
        cx.skbs.swap(piece, *fragment);
        cx.discard_skb(piece);
    }
    Some(Pieces { skbs, source: None })
}

/// The bytes of payload of the fragments that a packet was made of, if each is sent as it came: at most `most` bytes.
fn received_lengths(cx: &Cx, skb: SkbId, iph: &Ipv4Hdr, most: usize) -> Option<Vec<usize>> {
    let list = cx.skbs.frag_list(skb);
    if list.is_empty() || iph.is_fragment() {
        return None;
    }
    let rest: Vec<usize> = list.iter().map(|(_, len)| *len).collect();
    let first = (cx.skbs[skb].len() - iph.header_len()).checked_sub(rest.iter().sum())?;
    let (last, inner) = rest.split_last()?;
    let whole = |len: &usize| *len <= most && len.is_multiple_of(8);
    (whole(&first) && inner.iter().all(whole) && *last <= most).then(|| [vec![first], rest].concat())
}

/// Copies of a packet's parts of these lengths, with headers of their own.
fn cut(cx: &mut Cx, skb: SkbId, iph: &Ipv4Hdr, lens: &[usize]) -> Vec<SkbId> {
    let (hlen, dev) = (iph.header_len(), cx.skbs[skb].dev);
    let total = cx.skbs[skb].len() - hlen;
    let mut pieces = Vec::with_capacity(lens.len());
    let mut start = 0;
    for len in lens.iter().copied() {
        let new = cx.skbs.alloc_skb(hlen + len, dev);
        cx.skbs[new].truesize = fragment_truesize(hlen, len, 0);
        copy_piece(cx, skb, new, hlen, start, len);
        let more = start + len < total || iph.frag_off.get() & IP_MF != 0;
        let offset = (iph.fragment_offset() + start) as u16 / 8;
        let frag_off = offset | if more { IP_MF } else { 0 } | iph.frag_off.get() & IP_DF;
        let packet = cx.skbs.data_mut(new);
        packet[2..4].copy_from_slice(&((hlen + len) as u16).to_be_bytes());
        packet[6..8].copy_from_slice(&frag_off.to_be_bytes());
        ip_send_check(packet);
        pieces.push(new);
        start += len;
    }
    pieces
}

fn copy_piece(cx: &mut Cx, from: SkbId, to: SkbId, hlen: usize, start: usize, len: usize) {
    let data = cx.skbs.data(from);
    let header = data[..hlen].to_vec();
    let payload = data[hlen + start..hlen + start + len].to_vec();
    let packet = cx.skbs.data_mut(to);
    packet[..hlen].copy_from_slice(&header);
    packet[hlen..].copy_from_slice(&payload);
    let old = cx.skbs[from].clone();
    let new = &mut cx.skbs[to];
    new.network_header = new.data;
    new.transport_header = new.data + hlen as u32;
    (new.protocol, new.dst, new.mark, new.priority) = (old.protocol, old.dst, old.mark, old.priority);
    (new.skb_iif, new.pkt_type) = (old.skb_iif, old.pkt_type);
    (new.hash, new.l4_hash) = (old.hash, old.l4_hash);
    (new.nf_trace, new.nf_bridge) = (old.nf_trace, old.nf_bridge);
    match old.sk {
        Some(sk) if old.is_charged => skb_set_owner_w(cx, to, sk),
        sk => new.sk = sk,
    }
    cx.nf_copy_ct(to, from);
}

/// Routes a segment of a connection and adds the IPv4 header.
///
/// Kernel: net/ipv4/ip_output.c
/// Not modelled: the route that the socket remembers (it is looked up each time), IP options.
pub fn __ip_queue_xmit(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(socket) = cx.skbs[skb].sk.and_then(|sk| cx.k.sockets.get(sk)) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    let (id, netns, local, opts) = (socket.id, socket.netns, socket.local, socket.opts.clone());
    let remote = socket.remote.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
    let routed = flow_of(cx, id, remote.0, IPPROTO_TCP, (local.1, remote.1))
        .and_then(|flow| ip_route_output_flow(cx, netns, flow, Some(skb)));
    let Ok((route, _)) = count_no_route(cx, netns, routed) else {
        cx.xmit_failed(skb, Errno::EHOSTUNREACH);
        return cx.kfree_skb(skb, DropReason::IpOutnoroutes);
    };
    let dont_fragment = opts.pmtudisc != PmtuDisc::Dont && !route.mtu_locked;
    let header = IpHeader {
        saddr: local.0,
        daddr: remote.0,
        protocol: IPPROTO_TCP,
        ttl: ttl_of(&opts, &route),
        tos: opts.tos,
        dont_fragment,
        ignore_df: false,
    };
    ip_make_header(cx, netns, skb, route, header);
    if dont_fragment {
        let ident = super::tcp_output::next_ident(cx, skb);
        let at = cx.skbs[skb].network_header;
        if let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(skb, at) {
            iph.id = U16::new(ident);
        }
    }
    Door::IpLocalOut { skb }
}
