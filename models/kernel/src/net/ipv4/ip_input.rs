//! Input of IPv4 packets.
//!
//! Kernel: net/ipv4/ip_input.c

use glassnet_wire::checksum::checksum;
use glassnet_wire::icmp::{ICMP_DEST_UNREACH, ICMP_PARAMETERPROB};
use glassnet_wire::ipv4::{
    IPPROTO_GRE, IPPROTO_ICMP, IPPROTO_IGMP, IPPROTO_IPIP, IPPROTO_TCP, IPPROTO_UDP, IPV4_HLEN, Ipv4Hdr,
    ip_fast_csum,
};

use super::icmp::{self, IcmpError};
use super::ip_options::ip_options_compile;
use super::route::{Martian, ip_route_input_noref};
use super::route_errors::ip_handle_martian;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::net::netfilter::core::nf_hook;
use crate::tables::drop_reason::DropReason;
use crate::tables::inet::or_conf;
use crate::tables::inet_conf::Conf;
use crate::tables::netfilter::Site;
use crate::tables::route::DstInput;
use crate::tables::route_types::RouteType;
use crate::tables::skb::{IpCb, PacketType};
use crate::tables::snmp::{IpMib, Snmp};

/// The IPv4 header of a packet.
#[inline]
pub fn ip_hdr<'a>(cx: &'a Cx, skb: SkbId) -> Option<&'a Ipv4Hdr> {
    cx.skbs.header(skb, cx.skbs[skb].network_header)
}

/// The SNMP counters of a packet's namespace.
#[inline]
pub fn snmp<'a>(cx: &'a mut Cx, skb: SkbId) -> &'a mut Snmp {
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    &mut cx.k.netns[netns].ipv4.snmp
}

/// Receives an IPv4 packet: checks the header and enters PRE_ROUTING.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: nothing.
pub fn ip_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    if ip_rcv_core(cx, skb) { nf_hook(cx, Site::IpRcv, skb) } else { Door::End }
}

/// Receives packets of one device and one poll: first PRE_ROUTING for each, then the route of each, and then each goes on.
pub fn ip_list_rcv(cx: &mut Cx, list: &mut Vec<SkbId>) {
    cx.within(Func::IpListRcv, None, |cx| {
        list.retain(|skb| ip_rcv_core(cx, *skb));
        if !list.is_empty() {
            cx.within(Func::IpSublistRcv, None, |cx| ip_sublist_rcv(cx, list));
        }
    });
}

fn ip_sublist_rcv(cx: &mut Cx, list: &mut Vec<SkbId>) {
    for skb in list.drain(..) {
        let door = nf_hook(cx, Site::IpSublistRcv, skb);
        cx.walk(door);
    }
    let mut accepted = std::mem::take(&mut cx.k.cpus[cx.cpu.index()].gro.accepted);
    let mut last: Option<SkbId> = None;
    for skb in accepted.drain(..) {
        let dev = cx.skbs[skb].dev;
        if !l3mdev_ip_rcv(cx, skb) {
            continue;
        }
        if !cx.within(Func::IpRcvFinishCore, skb, |cx| ip_rcv_finish_core(cx, skb, dev)) {
            continue;
        }
        if last.is_some_and(|last| !has_same_dst(cx, last, skb)) {
            ip_sublist_rcv_finish(cx, list);
        }
        last = Some(skb);
        list.push(skb);
    }
    cx.k.cpus[cx.cpu.index()].gro.accepted = accepted;
    ip_sublist_rcv_finish(cx, list);
}

/// PRE_ROUTING accepted a packet of a list.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: nothing.
pub fn ip_sublist_accepted(cx: &mut Cx, skb: SkbId) -> Door {
    cx.k.cpus[cx.cpu.index()].gro.accepted.push(skb);
    Door::End
}

/// Packets with one route go on.
fn ip_sublist_rcv_finish(cx: &mut Cx, list: &mut Vec<SkbId>) {
    if list.is_empty() {
        return;
    }
    cx.within(Func::IpSublistRcvFinish, None, |cx| {
        for skb in list.drain(..) {
            let door = dst_input(cx, skb);
            cx.walk(door);
        }
    });
}

/// Both packets go by the same route and to the same neighbour.
fn has_same_dst(cx: &Cx, a: SkbId, b: SkbId) -> bool {
    let route = |skb: SkbId| cx.skbs[skb].dst.map(|route| (route.kind, route.dev, route.gateway, route.info));
    route(a) == route(b)
}

/// False: the packet is dropped.
fn ip_rcv_core(cx: &mut Cx, skb: SkbId) -> bool {
    cx.call(Func::IpRcvCore, skb);
    let checked = check_packet(cx, skb);
    if let Err(reason) = checked {
        cx.kfree_skb(skb, reason);
    }
    checked.is_ok()
}

fn check_packet(cx: &mut Cx, skb: SkbId) -> Result<(), DropReason> {
    let pkt = &cx.skbs[skb];
    let (len, pkt_type) = (pkt.len(), pkt.pkt_type);
    if pkt_type == PacketType::OtherHost {
        return Err(DropReason::OtherHost);
    }
    let counters = snmp(cx, skb);
    counters.ip.InReceives += 1;
    counters.ip_ext.InOctets += len as u64;
    match check_header(cx, skb, len) {
        Ok((total, header_len)) => {
            cx.skbs.trim(skb, total);
            let pkt = &mut cx.skbs[skb];
            pkt.transport_header = pkt.network_header + header_len as u32;
            pkt.ip = IpCb { iif: pkt.skb_iif, ..IpCb::default() };
            cx.skb_orphan(skb);
            Ok(())
        }
        Err(reason) => {
            let counters = snmp(cx, skb);
            match reason {
                DropReason::PktTooSmall => counters.ip_ext.InTruncatedPkts += 1,
                DropReason::IpCsum => {
                    counters.ip_ext.InCsumErrors += 1;
                    counters.ip.InHdrErrors += 1;
                }
                _ => counters.ip.InHdrErrors += 1,
            }
            Err(reason)
        }
    }
}

/// Total length and header length in bytes of a valid header. What has a version and a length is counted by its ECN bits,
/// whether the rest is right or not.
fn check_header(cx: &mut Cx, skb: SkbId, len: usize) -> Result<(usize, usize), DropReason> {
    let data = cx.skbs.data(skb);
    let iph = ip_hdr(cx, skb).ok_or(DropReason::IpInhdr)?;
    let header_len = iph.header_len();
    if iph.version() != 4 || header_len < IPV4_HLEN || data.len() < header_len {
        return Err(DropReason::IpInhdr);
    }
    let check = if header_len == IPV4_HLEN { ip_fast_csum(iph) } else { checksum(&data[..header_len]) };
    let (total, ecn) = (usize::from(iph.tot_len.get()), iph.tos & 3);
    let packets = u64::from(cx.skbs[skb].gso_segs.max(1));
    let counters = &mut snmp(cx, skb).ip_ext;
    match ecn {
        0 => counters.InNoECTPkts += packets,
        1 => counters.InECT1Pkts += packets,
        2 => counters.InECT0Pkts += packets,
        _ => counters.InCEPkts += packets,
    }
    if check != 0 {
        return Err(DropReason::IpCsum);
    }
    if len < total {
        return Err(DropReason::PktTooSmall);
    }
    if total < header_len {
        return Err(DropReason::IpInhdr);
    }
    Ok((total, header_len))
}

/// Routes the packet.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: early demultiplexing.
pub fn ip_rcv_finish(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    if l3mdev_ip_rcv(cx, skb) && cx.within(Func::IpRcvFinishCore, skb, |cx| ip_rcv_finish_core(cx, skb, dev))
    {
        dst_input(cx, skb)
    } else {
        Door::End
    }
}

/// A device over the packet's own may take it first. False: it is no longer there.
#[inline]
fn l3mdev_ip_rcv(cx: &mut Cx, skb: SkbId) -> bool {
    let dev = cx.skbs[skb].dev;
    cx.k.devs[dev].l3mdev_ops.is_none_or(|ops| (ops.l3_rcv)(cx, dev, skb))
}

/// Finds the route, unless the packet came by `lo` with one. False: the packet is dropped. `dev` is the device that it came in
/// by, also where the packet is its VRF's now.
fn ip_rcv_finish_core(cx: &mut Cx, skb: SkbId, dev: DevId) -> bool {
    if let Err(reason) = route_input(cx, skb, dev) {
        cx.kfree_skb(skb, reason);
        return false;
    }
    let pkt = &cx.skbs[skb];
    if pkt.transport_header - pkt.network_header > IPV4_HLEN as u32
        && let Some(end) = ip_rcv_options(cx, skb)
    {
        cx.walk(end);
        return false;
    }
    let counted = count_groups(cx, skb, dev);
    if let Err(reason) = counted {
        cx.kfree_skb(skb, reason);
    }
    counted.is_ok()
}

/// The door of the packet's route.
fn dst_input(cx: &mut Cx, skb: SkbId) -> Door {
    match cx.skbs[skb].dst.as_ref().map(|route| route.input) {
        Some(DstInput::Forward) => Door::IpForward { skb },
        Some(DstInput::LocalDeliver) => Door::IpLocalDeliver { skb },
        Some(DstInput::Error(_)) => Door::IpError { skb },
        Some(DstInput::Discard) | None => cx.kfree_skb(skb, DropReason::NotSpecified),
    }
}

fn route_input(cx: &mut Cx, skb: SkbId, dev: DevId) -> Result<(), DropReason> {
    if cx.skbs[skb].dst.is_none() {
        let Some(iph) = ip_hdr(cx, skb) else { return Err(DropReason::IpInhdr) };
        let (daddr, saddr, tos) = (iph.daddr.get(), iph.saddr.get(), iph.tos);
        let routed = ip_route_input_noref(cx, skb, daddr, saddr, tos, dev);
        if routed.is_err() {
            ip_handle_martian(cx, skb, dev);
        }
        match routed {
            Ok(()) => {}
            Err(Martian::Address) => return Err(DropReason::NotSpecified),
            Err(Martian::RpFilter) => {
                snmp(cx, skb).ip_reverse_path_filter += 1;
                return Err(DropReason::IpRpfilter);
            }
        }
    }
    Ok(())
}

/// Takes a packet with options; the door that it ends at, if it is not accepted.
fn ip_rcv_options(cx: &mut Cx, skb: SkbId) -> Option<Door> {
    let header_len = ip_hdr(cx, skb)?.header_len();
    let at = (cx.skbs[skb].network_header - cx.skbs[skb].data) as usize;
    let options = cx.skbs.data(skb).get(at + IPV4_HLEN..at + header_len)?;
    match ip_options_compile(options) {
        Err(offset) => {
            snmp(cx, skb).ip.InHdrErrors += 1;
            let info = ((IPV4_HLEN + offset) as u32) << 24;
            let error = IcmpError { kind: ICMP_PARAMETERPROB, code: 0, info };
            Some(icmp::icmp_send_then_drop(cx, skb, error, DropReason::NotSpecified))
        }
        // `accept_source_route` is off for all devices, and stays so.
        Ok(options) if options.srr => Some(cx.kfree_skb(skb, DropReason::NotSpecified)),
        Ok(_) => None,
    }
}

/// Counts broadcast and multicast; a unicast address in such a frame may be refused (RFC 1122 3.3.6).
#[inline]
fn count_groups(cx: &mut Cx, skb: SkbId, dev: DevId) -> Result<(), DropReason> {
    let Some(kind) = cx.skbs[skb].dst.as_ref().map(|route| route.kind) else {
        return Err(DropReason::NotSpecified);
    };
    if kind == RouteType::Unicast || kind == RouteType::Local && cx.skbs[skb].pkt_type == PacketType::Host {
        return Ok(());
    }
    let (len, pkt_type) = (cx.skbs[skb].len() as u64, cx.skbs[skb].pkt_type);
    match kind {
        RouteType::Multicast => {
            let counters = &mut snmp(cx, skb).ip_ext;
            counters.InMcastPkts += 1;
            counters.InMcastOctets += len;
        }
        RouteType::Broadcast => {
            let counters = &mut snmp(cx, skb).ip_ext;
            counters.InBcastPkts += 1;
            counters.InBcastOctets += len;
        }
        _ if matches!(pkt_type, PacketType::Broadcast | PacketType::Multicast) => {
            let all = &cx.k.netns[cx.k.devs[dev].netns].ipv4.conf_all;
            let refuses = |inet| or_conf(inet, all, Conf::DropUnicastInL2Multicast);
            if cx.k.inet.get(dev).is_some_and(refuses) {
                return Err(DropReason::UnicastInL2Multicast);
            }
        }
        _ => {}
    }
    Ok(())
}

/// Delivers a packet locally; fragments are reassembled.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: nothing.
pub fn ip_local_deliver(cx: &mut Cx, skb: SkbId) -> Door {
    if ip_hdr(cx, skb).is_some_and(Ipv4Hdr::is_fragment) {
        return Door::IpDefrag { skb };
    }
    nf_hook(cx, Site::IpLocalDeliver, skb)
}

/// Pulls the IPv4 header.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: nothing.
pub fn ip_local_deliver_finish(cx: &mut Cx, skb: SkbId) -> Door {
    let pkt = &mut cx.skbs[skb];
    pkt.data = pkt.transport_header;
    Door::IpProtocolDeliverRcu { skb }
}

/// Delivers the packet to raw sockets, then to its protocol's handler.
///
/// Kernel: net/ipv4/ip_input.c
/// Not modelled: other protocols than ICMP, IGMP, UDP, TCP and tunnels, which have no handler, as without their modules.
pub fn ip_protocol_deliver_rcu(cx: &mut Cx, skb: SkbId) -> Door {
    let protocol = ip_hdr(cx, skb).map_or(0, |iph| iph.protocol);
    deliver(cx, skb, protocol)
}

/// A protocol's handler found a packet of another protocol, which is delivered in its place (`resubmit`).
pub fn ip_resubmit(cx: &mut Cx, skb: SkbId, protocol: u8) -> Door {
    // It counts once.
    snmp_of_hook(cx, skb).InDelivers -= 1;
    deliver(cx, skb, protocol)
}

fn deliver(cx: &mut Cx, skb: SkbId, protocol: u8) -> Door {
    let taken = cx.within(Func::RawLocalDeliver, skb, |cx| super::raw::raw_local_deliver(cx, skb, protocol));
    let door = match protocol {
        IPPROTO_ICMP => Door::IcmpRcv { skb },
        IPPROTO_IGMP => Door::IgmpRcv { skb },
        IPPROTO_UDP => Door::UdpRcv { skb },
        IPPROTO_TCP => Door::TcpV4Rcv { skb },
        IPPROTO_GRE if cx.k.config.gre => Door::GreRcv { skb },
        IPPROTO_IPIP if cx.k.config.ipip => Door::Tunnel4Rcv { skb },
        _ if taken => {
            snmp_of_hook(cx, skb).InDelivers += 1;
            return cx.consume_skb(skb);
        }
        _ => {
            snmp_of_hook(cx, skb).InUnknownProtos += 1;
            let error = IcmpError { kind: ICMP_DEST_UNREACH, code: icmp::ICMP_PROT_UNREACH, info: 0 };
            return icmp::icmp_send_then_drop(cx, skb, error, DropReason::IpNoproto);
        }
    };
    snmp_of_hook(cx, skb).InDelivers += 1;
    door
}

/// The counters of the namespace whose INPUT it passed, which may be that of a device below the packet's (ipvlan's `l3s`).
#[inline]
fn snmp_of_hook<'a>(cx: &'a mut Cx, skb: SkbId) -> &'a mut IpMib {
    let pkt = &cx.skbs[skb];
    let netns = cx.k.devs[pkt.ip.indev.unwrap_or(pkt.dev)].netns;
    &mut cx.k.netns[netns].ipv4.snmp.ip
}
