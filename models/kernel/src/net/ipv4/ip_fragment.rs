//! Putting fragments together again.
//!
//! Kernel: net/ipv4/ip_fragment.c

use glassnet_sim::Nanos;
use glassnet_wire::icmp::ICMP_TIME_EXCEEDED;
use glassnet_wire::ipv4::{IP_MF, Ipv4Hdr, ip_send_check};

use super::icmp::{self, IcmpError};
use super::ip_input::{ip_hdr, snmp};
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::socket::TRUESIZE_OVERHEAD;
use crate::tables::drop_reason::DropReason;
use crate::tables::frag::{FragKey, FragQueue, Fragment, Queued};
use crate::tables::ipv4::Sysctl;
use crate::tables::skb::PacketType;
use crate::timer::Timer;

/// Keeps a fragment until its packet is complete.
///
/// Kernel: net/ipv4/ip_fragment.c
/// Not modelled: limits on disorder (`ipfrag_max_dist`).
pub fn ip_defrag(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let netns = cx.k.devs[dev].netns;
    let Some(iph) = ip_hdr(cx, skb).copied() else { return cx.kfree_skb(skb, DropReason::IpInhdr) };
    snmp(cx, skb).ip.ReasmReqds += 1;
    let key = (iph.saddr.get(), iph.daddr.get(), iph.id.get(), iph.protocol);
    if !make_queue(cx, netns, key, dev) {
        snmp(cx, skb).ip.ReasmFails += 1;
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let hlen = iph.header_len();
    let last = iph.frag_off.get() & IP_MF == 0;
    let start = iph.fragment_offset() as u32;
    let mut len = (cx.skbs[skb].len() - hlen) as u32;
    if !last {
        // Only the last fragment may end anywhere.
        len &= !7;
    }
    let size = (len as usize + hlen + TRUESIZE_OVERHEAD) as u64;
    let frags = &mut cx.k.netns[netns].ipv4.frags;
    let Some(queue) = frags.queues.get_mut(&key) else { return Door::End };
    let done = queue.add(Fragment { start, end: start + len, skb }, last);
    if matches!(done, Queued::Waits | Queued::Complete) {
        queue.memory += size;
        queue.dev = dev;
        let whole = (len as usize + hlen) as u16;
        queue.max_size = queue.max_size.max(whole);
        if iph.dont_fragment() {
            queue.max_df_size = queue.max_df_size.max(whole);
        }
        frags.memory += size;
    }
    match done {
        Queued::Waits => Door::End,
        Queued::Complete => reassemble(cx, netns, key),
        Queued::Duplicate => cx.kfree_skb(skb, DropReason::DupFrag),
        Queued::Bad => {
            let counters = snmp(cx, skb);
            counters.ip_ext.ReasmOverlaps += 1;
            counters.ip.ReasmFails += 1;
            drop_queue(cx, netns, key, DropReason::NotSpecified);
            cx.kfree_skb(skb, DropReason::NotSpecified)
        }
    }
}

/// Makes a queue, unless fragments take too much memory already.
fn make_queue(cx: &mut Cx, netns: NetnsId, key: FragKey, dev: DevId) -> bool {
    let now = cx.now;
    let ipv4 = &mut cx.k.netns[netns].ipv4;
    if ipv4.frags.queues.contains_key(&key) {
        return true;
    }
    if ipv4.frags.memory > ipv4.sysctl(Sysctl::IpfragHighThresh).max(0) as u64 {
        return false;
    }
    let expires = now + Nanos::from_secs(ipv4.sysctl(Sysctl::IpfragTime).max(0) as u64);
    ipv4.frags.queues.insert(key, FragQueue::new(dev, expires));
    cx.set_timer(expires, Timer::IpFrag(netns));
    true
}

fn take_queue(cx: &mut Cx, netns: NetnsId, key: FragKey) -> Option<FragQueue> {
    let frags = &mut cx.k.netns[netns].ipv4.frags;
    let queue = frags.queues.remove(&key)?;
    frags.memory -= queue.memory;
    Some(queue)
}

fn drop_queue(cx: &mut Cx, netns: NetnsId, key: FragKey, reason: DropReason) {
    for part in take_queue(cx, netns, key).map_or(Vec::new(), |queue| queue.parts) {
        cx.kfree_skb(part.skb, reason);
    }
}

/// All fragments are there: one packet goes on (`ip_frag_reasm`).
fn reassemble(cx: &mut Cx, netns: NetnsId, key: FragKey) -> Door {
    let Some(queue) = take_queue(cx, netns, key) else { return Door::End };
    let Some(first) = queue.parts.first().map(|part| part.skb) else { return Door::End };
    let hlen = ip_hdr(cx, first).map_or(20, Ipv4Hdr::header_len);
    let total = queue.total.unwrap_or(0) as usize;
    let counters = snmp(cx, first);
    if hlen + total > 65_535 {
        counters.ip.ReasmFails += 1;
        for part in queue.parts {
            cx.kfree_skb(part.skb, DropReason::PktTooBig);
        }
        return Door::End;
    }
    counters.ip.ReasmOKs += 1;
    let whole = cx.skbs.alloc_skb(hlen + total, queue.dev);
    let mut packet = cx.skbs.data(first)[..hlen].to_vec();
    for part in &queue.parts {
        let own_hlen = ip_hdr(cx, part.skb).map_or(20, Ipv4Hdr::header_len);
        let len = (part.end - part.start) as usize;
        packet.extend_from_slice(&cx.skbs.data(part.skb)[own_hlen..own_hlen + len]);
    }
    packet[2..4].copy_from_slice(&((hlen + total) as u16).to_be_bytes());
    packet[6..8].fill(0);
    ip_send_check(&mut packet);
    cx.skbs.data_mut(whole).copy_from_slice(&packet);
    let old = cx.skbs[first].clone();
    let new = &mut cx.skbs[whole];
    new.network_header = new.data;
    new.transport_header = new.data + hlen as u32;
    (new.packet, new.protocol, new.pkt_type, new.dst) = (old.packet, old.protocol, old.pkt_type, old.dst);
    (new.skb_iif, new.mark, new.ip_summed) = (old.skb_iif, old.mark, old.ip_summed);
    new.ip.iif = old.ip.iif;
    new.ip.frag_max_size = queue.max_df_size;
    for part in queue.parts {
        cx.consume_skb(part.skb);
    }
    Door::IpLocalDeliverFinish { skb: whole }
}

/// Queues whose time is over are given up; the sender of a first fragment is told (`ip_expire`).
pub fn ip_expire(cx: &mut Cx, netns: NetnsId) {
    let now = cx.now;
    let Some(space) = cx.k.netns.get(netns) else { return };
    let due = |entry: (&FragKey, &FragQueue)| (entry.1.expires <= now).then_some(*entry.0);
    let keys: Vec<FragKey> = space.ipv4.frags.queues.iter().filter_map(due).collect();
    for key in keys {
        let Some(queue) = take_queue(cx, netns, key) else { continue };
        let counters = &mut cx.k.netns[netns].ipv4.snmp.ip;
        counters.ReasmFails += 1;
        counters.ReasmTimeout += 1;
        for part in queue.parts {
            let tell = part.start == 0 && cx.skbs[part.skb].pkt_type == PacketType::Host;
            let error = IcmpError { kind: ICMP_TIME_EXCEEDED, code: icmp::ICMP_EXC_FRAGTIME, info: 0 };
            if tell && let Some(door) = icmp::icmp_send(cx, part.skb, error) {
                cx.walk(door);
            }
            cx.kfree_skb(part.skb, DropReason::FragReasmTimeout);
        }
    }
}

/// A device goes away: fragments that came in by it are given up.
pub fn flush_device(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    let queues = &cx.k.netns[netns].ipv4.frags.queues;
    let keys: Vec<FragKey> =
        queues.iter().filter(|(_, queue)| queue.dev == dev).map(|(key, _)| *key).collect();
    for key in keys {
        drop_queue(cx, netns, key, DropReason::NotSpecified);
    }
}
