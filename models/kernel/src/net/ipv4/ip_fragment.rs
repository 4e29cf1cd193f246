//! Reassembly of fragments.
//!
//! Kernel: net/ipv4/ip_fragment.c

use glassnet_sim::Nanos;
use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::icmp::ICMP_TIME_EXCEEDED;
use glassnet_wire::ipv4::{IP_DF, IP_MF, Ipv4Hdr, ip_send_check};

use super::icmp::{self, IcmpError};
use super::ip_input::{ip_hdr, snmp};
use super::ip_output::ALLOC_EXTRA;
use super::route::ip_route_input_noref;
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::net::netfilter::core::nf_hook;
use crate::netlink::Errno;
use crate::sysctl::{At, INT, Sysctl, SysctlTable, set_net};
use crate::tables::drop_reason::DropReason;
use crate::tables::frag::{DefragUser, FragKey, FragQueue, Fragment, Queued};
use crate::tables::netfilter::Site;
use crate::tables::route_types::RouteType;
use crate::tables::skb::{LL_RESERVED_SPACE, PacketType, alloc_truesize, end_offset};
use crate::tables::sysctl::Setting;

static HIGH_THRESH: Setting = Setting::new("ipfrag_high_thresh", 4_194_304);
static LOW_THRESH: Setting = Setting::new("ipfrag_low_thresh", 3_145_728);
static TIME: Setting = Setting::new("ipfrag_time", 30);

/// Sysctls of reassembly: memory limits in bytes, timeout in seconds.
pub static SYSCTLS: SysctlTable = SysctlTable::new(
    "net/ipv4",
    &[
        Sysctl::net(&HIGH_THRESH).range(0, i64::MAX).set(set_high_thresh),
        Sysctl::net(&LOW_THRESH).range(0, i64::MAX).set(set_low_thresh),
        Sysctl::net(&TIME).range(0, INT.1),
        Sysctl::not_followed("ipfrag_max_dist", |_, _, _| 64).range(0, INT.1),
    ],
);

/// The high threshold must not be below the low one.
fn set_high_thresh(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    let low = cx.k.netns[at.netns].sysctls.get(&LOW_THRESH);
    if value < low { Err(Errno::EINVAL) } else { set_net(cx, at, row, value) }
}

fn set_low_thresh(cx: &mut Cx, at: At, row: &Sysctl, value: i64) -> Result<(), Errno> {
    let high = cx.k.netns[at.netns].sysctls.get(&HIGH_THRESH);
    if value > high { Err(Errno::EINVAL) } else { set_net(cx, at, row, value) }
}

/// Reassembles a packet for local delivery.
///
/// Kernel: net/ipv4/ip_fragment.c
/// Not modelled: limits on disorder (`ipfrag_max_dist`).
pub fn ip_defrag(cx: &mut Cx, skb: SkbId) -> Door {
    match gather(cx, skb, DefragUser::LocalDeliver) {
        Some(whole) => nf_hook(cx, Site::IpLocalDeliver, whole),
        None => Door::End,
    }
}

/// Queues a fragment; returns the packet when it is complete.
pub fn gather(cx: &mut Cx, skb: SkbId, user: DefragUser) -> Option<SkbId> {
    let dev = cx.skbs[skb].dev;
    let netns = cx.k.devs[dev].netns;
    let Some(iph) = ip_hdr(cx, skb).copied() else {
        cx.kfree_skb(skb, DropReason::IpInhdr);
        return None;
    };
    snmp(cx, skb).ip.ReasmReqds += 1;
    let key = (iph.saddr.get(), iph.daddr.get(), iph.id.get(), iph.protocol, user);
    if !make_queue(cx, netns, key, dev) {
        snmp(cx, skb).ip.ReasmFails += 1;
        cx.kfree_skb(skb, DropReason::NotSpecified);
        return None;
    }
    match enqueue(cx, (netns, key), skb, &iph) {
        Queued::Waits => {}
        Queued::Complete => return reassemble(cx, netns, key, skb),
        Queued::Duplicate => _ = cx.kfree_skb(skb, DropReason::NotSpecified),
        broken @ (Queued::Overlap | Queued::Bad) => {
            let counters = snmp(cx, skb);
            counters.ip_ext.ReasmOverlaps += u64::from(broken == Queued::Overlap);
            counters.ip.ReasmFails += 1;
            drop_queue(cx, netns, key, DropReason::NotSpecified);
            cx.kfree_skb(skb, DropReason::NotSpecified);
        }
    }
    None
}

/// Inserts a fragment into its queue.
fn enqueue(cx: &mut Cx, (netns, key): (NetnsId, FragKey), skb: SkbId, iph: &Ipv4Hdr) -> Queued {
    let (dev, hlen) = (cx.skbs[skb].dev, iph.header_len());
    let last = iph.frag_off.get() & IP_MF == 0;
    let start = iph.fragment_offset() as u32;
    let mut len = (cx.skbs[skb].len() - hlen) as u32;
    if !last {
        // Only the last fragment may have a length that is not a multiple of 8; of others, the rest is cut off.
        len &= !7;
        cx.skbs.trim(skb, hlen + len as usize);
    }
    let size = u64::from(cx.skbs[skb].truesize);
    let frags = &mut cx.k.netns[netns].ipv4.frags;
    let Some(queue) = frags.queues.get_mut(&key) else { return Queued::Bad };
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
    done
}

/// Creates a queue, unless the memory limit is reached.
fn make_queue(cx: &mut Cx, netns: NetnsId, key: FragKey, dev: DevId) -> bool {
    let now = cx.now;
    let net = &mut cx.k.netns[netns];
    if net.ipv4.frags.queues.contains_key(&key) {
        return true;
    }
    if net.ipv4.frags.memory > net.sysctls.get(&HIGH_THRESH).max(0) as u64 {
        return false;
    }
    let expires = now + Nanos::from_secs(net.sysctls.get(&TIME).max(0) as u64);
    net.ipv4.frags.queues.insert(key, FragQueue::new(dev, expires));
    cx.set_timer(expires, ip_expire, netns.0);
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

/// Makes one packet of a complete queue (`ip_frag_reasm`). Its buffer is that of the fragment that came last, and it has the
/// fragments behind the first that have no room in that one's buffer (`inet_frag_reasm_prepare`, `inet_frag_reasm_finish`).
fn reassemble(cx: &mut Cx, netns: NetnsId, key: FragKey, last: SkbId) -> Option<SkbId> {
    let queue = take_queue(cx, netns, key)?;
    let first = queue.parts.first().map(|part| part.skb)?;
    let hlen = ip_hdr(cx, first).map_or(20, Ipv4Hdr::header_len);
    let total = queue.total.unwrap_or(0) as usize;
    let counters = snmp(cx, first);
    if hlen + total > 65_535 {
        counters.ip.ReasmFails += 1;
        for part in queue.parts {
            cx.kfree_skb(part.skb, DropReason::PktTooBig);
        }
        return None;
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
    // If the largest fragment had DF, the packet keeps it, and new fragments must not be larger.
    let keeps_df = queue.max_df_size == queue.max_size;
    packet[6..8].copy_from_slice(&if keeps_df { IP_DF } else { 0 }.to_be_bytes());
    ip_send_check(&mut packet);
    cx.skbs.data_mut(whole).copy_from_slice(&packet);
    copy_metadata(cx, whole, first, hlen);
    cx.skbs[whole].truesize = queue.parts.iter().map(|part| cx.skbs[part.skb].truesize).sum();
    cx.skbs[whole].ip.frag_max_size = queue.max_size.max(queue.max_df_size);
    let list = frag_list(cx, &queue.parts, key.4, last);
    if first != last {
        cx.consume_skb(first);
    }
    cx.skbs.swap(whole, last);
    cx.discard_skb(whole);
    if !list.is_empty() {
        cx.skbs.set_frag_list(last, list);
    }
    Some(last)
}

/// The fragments that stay behind the first. Those at the beginning that have room in its buffer are copied there
/// (`skb_try_coalesce`), if the packet is for this host.
fn frag_list(cx: &mut Cx, parts: &[Fragment], user: DefragUser, last: SkbId) -> Vec<(SkbId, usize)> {
    let first = cx.skbs[parts[0].skb].len();
    let mut room = if user == DefragUser::LocalDeliver { tailroom(first) } else { 0 };
    let mut list = Vec::new();
    for part in &parts[1..] {
        let len = (part.end - part.start) as usize;
        if list.is_empty() && len <= room {
            room -= len;
            if part.skb != last {
                cx.consume_skb(part.skb);
            }
        } else {
            let fragment = if part.skb == last { cx.skb_clone(last) } else { part.skb };
            list.push((fragment, len));
        }
    }
    list
}

/// Bytes that the buffer of a packet of `len` bytes has behind them, as `__ip_append_data` allocates it for an Ethernet device:
/// what `kmalloc` gives beyond what was asked for.
fn tailroom(len: usize) -> usize {
    end_offset(alloc_truesize(len + ALLOC_EXTRA)) - LL_RESERVED_SPACE - len
}

/// Copies the metadata of the first fragment.
fn copy_metadata(cx: &mut Cx, whole: SkbId, first: SkbId, hlen: usize) {
    let old = cx.skbs[first].clone();
    if old.mac_header + ETH_HLEN as u32 == old.network_header {
        let header = *cx.skbs.eth_hdr(first);
        cx.skbs.push_eth(whole, header);
        cx.skbs.pull(whole, ETH_HLEN);
    }
    let new = &mut cx.skbs[whole];
    new.network_header = new.data;
    new.transport_header = new.data + hlen as u32;
    (new.packet, new.protocol, new.pkt_type, new.dst) = (old.packet, old.protocol, old.pkt_type, old.dst);
    (new.skb_iif, new.mark, new.ip_summed) = (old.skb_iif, old.mark, old.ip_summed);
    (new.sk, new.priority, new.br, new.ip) = (old.sk, old.priority, old.br, old.ip);
    (new.nf_bridge, new.nf_trace) = (old.nf_bridge, old.nf_trace);
    cx.nf_copy_ct(whole, first);
}

/// Drops expired queues; sends time exceeded if the first fragment was received (`ip_expire`).
pub fn ip_expire(cx: &mut Cx, netns: u32) {
    let netns = NetnsId(netns);
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
            let tell = part.start == 0 && sends_error(cx, part.skb, key.4);
            let error = IcmpError { kind: ICMP_TIME_EXCEEDED, code: icmp::ICMP_EXC_FRAGTIME, info: 0 };
            if tell && let Some(door) = icmp::icmp_send(cx, part.skb, error) {
                cx.walk(door);
            }
            cx.kfree_skb(part.skb, DropReason::NotSpecified);
        }
    }
}

/// Only the destination host sends the error.
fn sends_error(cx: &mut Cx, first: SkbId, user: DefragUser) -> bool {
    let pkt = &cx.skbs[first];
    if pkt.pkt_type != PacketType::Host {
        return false;
    }
    if pkt.dst.is_none()
        && let Some(iph) = ip_hdr(cx, first).copied()
    {
        let dev = cx.skbs[first].dev;
        let _ = ip_route_input_noref(cx, first, iph.daddr.get(), iph.saddr.get(), iph.tos, dev);
    }
    let local = cx.skbs[first].dst.is_some_and(|route| route.kind == RouteType::Local);
    local || !matches!(user, DefragUser::ConntrackIn | DefragUser::ConntrackBridgeIn)
}

/// Drops the fragments that a device received when it is unregistered.
pub fn flush_device(cx: &mut Cx, netns: NetnsId, dev: DevId) {
    let queues = &cx.k.netns[netns].ipv4.frags.queues;
    let keys: Vec<FragKey> =
        queues.iter().filter(|(_, queue)| queue.dev == dev).map(|(key, _)| *key).collect();
    for key in keys {
        drop_queue(cx, netns, key, DropReason::NotSpecified);
    }
}
