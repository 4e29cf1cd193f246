//! Generic receive offload: segments of one TCP stream that come in one poll become one packet.
//!
//! Kernel: net/core/gro.c

use super::dev_list::netif_receive_skb_list_internal;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::SkbId;
use crate::module::PacketOffload;
use crate::tables::gro::{Gro, GroFate, GroVerdict, Held};
use crate::tables::netdev_features::GRO;
use crate::tables::skb::SkbPool;
use crate::tables::vlan_tag::VlanProto;
use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, KnownLayout, Unaligned};

/// Packets that are held in a bucket at most (`MAX_GRO_SKBS`).
const MAX_GRO_SKBS: usize = 8;
/// How many there are (`GRO_HASH_BUCKETS`).
const BUCKETS: u32 = 8;
/// A merged packet is shorter, bytes (`GRO_LEGACY_MAX_SIZE`).
const GRO_LEGACY_MAX_SIZE: usize = 65_536;
/// As many packets enter the stack together (`gro_normal_batch`).
const GRO_NORMAL_BATCH: u32 = 8;

fn gro<'c>(cx: &'c mut Cx) -> &'c mut Gro {
    &mut cx.k.cpus[cx.cpu.index()].gro
}

/// Receives a packet of a NIC: it is merged with others, held back for those that follow it, or goes on.
///
/// Kernel: net/core/gro.c
/// Not modelled: busy polling; `gro_flush_timeout` and `gro_normal_batch` are as at first.
pub fn napi_gro_receive(cx: &mut Cx, skb: SkbId) -> Door {
    cx.skbs[skb].network_header = cx.skbs[skb].data;
    if cx.within(Func::DevGroReceive, skb, |cx| dev_gro_receive(cx, skb)) {
        gro_normal_one(cx, skb, 1);
    }
    Door::End
}

/// True if the packet goes on by itself (`GRO_NORMAL`).
fn dev_gro_receive(cx: &mut Cx, skb: SkbId) -> bool {
    let pkt = &cx.skbs[skb];
    if cx.k.devs[pkt.dev].features & GRO == 0 {
        return true;
    }
    let Some(offload) = offload(cx, skb) else { return true };
    gro_list_prepare(cx, skb);
    let GroVerdict { fate, complete } = (offload.gro_receive)(cx, skb);
    if let Some(at) = complete {
        napi_gro_complete(cx, at);
    }
    let GroFate::Held { payload, is_atomic } = fate else { return fate == GroFate::Normal };
    let here = bucket(cx, skb);
    let held = &cx.k.cpus[cx.cpu.index()].gro.held;
    let in_bucket = held.iter().filter(|held| bucket(cx, held.skb) == here).count();
    if in_bucket >= MAX_GRO_SKBS
        && let Some(oldest) = oldest_of(cx, here)
    {
        napi_gro_complete(cx, oldest);
    }
    let (same_flow, flush) = (false, false);
    let held = Held { skb, members: Vec::new(), payload, gso_size: payload, is_atomic, same_flow, flush };
    gro(cx).held.push(held);
    false
}

/// Looks which of the held packets came by the same device with an equal Ethernet header.
fn gro_list_prepare(cx: &mut Cx, skb: SkbId) {
    let Cx { k, skbs, cpu, .. } = cx;
    let pkt = &skbs[skb];
    let (header, gro) = (k.devs[pkt.dev].arphrd.header_len(), &mut k.cpus[cpu.index()].gro);
    // What was merged before stays as it is.
    (gro.flush, gro.encap_mark) = (pkt.gso_size != 0, false);
    for held in &mut gro.held {
        let other = &skbs[held.skb];
        let eth = |id| skbs.frame(id).get(..header);
        held.same_flow = other.dev == pkt.dev
            && other.hash == pkt.hash
            && other.vlan_tag == pkt.vlan_tag
            && eth(held.skb) == eth(skb);
        held.flush = false;
    }
}

/// Compares the header at `at` in the buffer with that of each held packet that may be of the same stream.
pub fn for_same_flow<H>(cx: &mut Cx, skb: SkbId, at: u32, compare: impl Fn(&mut Held, &H, &H))
where
    H: FromBytes + KnownLayout + Immutable + Unaligned,
{
    let Cx { k, skbs, cpu, .. } = cx;
    let Some(own) = skbs.header::<H>(skb, at) else { return };
    for held in &mut k.cpus[cpu.index()].gro.held {
        match skbs.header::<H>(held.skb, its_place(skbs, held.skb, skb, at)) {
            Some(its) if held.same_flow => compare(held, its, own),
            _ => held.same_flow = false,
        }
    }
}

/// Where a held packet has the header that another has at `at` in its buffer.
pub fn its_place(skbs: &SkbPool, held: SkbId, skb: SkbId, at: u32) -> u32 {
    skbs[held].data + (at - skbs[skb].data)
}

/// The place of the first held packet that is of the same stream.
pub fn found(cx: &Cx) -> Option<usize> {
    cx.k.cpus[cx.cpu.index()].gro.held.iter().position(|held| held.same_flow)
}

/// Runs what `of` does with the packet inside, whose network header is at `at` in the buffer; returns also where its transport
/// header is.
pub fn inside<T>(cx: &mut Cx, skb: SkbId, at: u32, of: impl FnOnce(&mut Cx, SkbId) -> T) -> (T, u32) {
    let pkt = &mut cx.skbs[skb];
    let outer = (pkt.network_header, pkt.transport_header);
    pkt.network_header = at;
    let done = of(cx, skb);
    let pkt = &mut cx.skbs[skb];
    let transport = pkt.transport_header;
    (pkt.network_header, pkt.transport_header) = outer;
    (done, transport)
}

/// The packet has the header of a tunnel; false if it had one before: a tunnel in a tunnel is not looked into
/// (`NAPI_GRO_CB(skb)->encap_mark`).
pub fn enters_tunnel(cx: &mut Cx) -> bool {
    !std::mem::replace(&mut gro(cx).encap_mark, true)
}

/// Merges a packet by what is behind the header of a tunnel.
pub fn gro_receive_inside(cx: &mut Cx, skb: SkbId, at: u32, protocol: u16) -> GroVerdict {
    match cx.k.packet_offload.filter(|offload| offload.protocol == protocol) {
        Some(offload) => inside(cx, skb, at, offload.gro_receive).0,
        None => GroVerdict::FLUSH,
    }
}

/// A merged packet that is in a tunnel gets its inner headers.
pub fn gro_complete_inside(cx: &mut Cx, skb: SkbId, at: u32, protocol: u16) {
    if let Some(offload) = cx.k.packet_offload.filter(|offload| offload.protocol == protocol) {
        let ((), transport) = inside(cx, skb, at, offload.gro_complete);
        let pkt = &mut cx.skbs[skb];
        (pkt.inner_network_header, pkt.inner_transport_header) = (at, transport);
    }
}

/// How the packet's protocol merges packets.
pub fn offload(cx: &Cx, skb: SkbId) -> Option<&'static PacketOffload> {
    let pkt = &cx.skbs[skb];
    let protocol = match VlanProto::of(pkt.protocol) {
        None => pkt.protocol,
        // Behind the tags, just before the network header.
        Some(_) => cx.skbs.header::<U16>(skb, pkt.network_header - 2).map_or(0, |behind| behind.get()),
    };
    cx.k.packet_offload.filter(|offload| offload.protocol == protocol)
}

/// The bucket of a packet, by its hash.
fn bucket(cx: &Cx, skb: SkbId) -> u32 {
    cx.skbs[skb].hash % BUCKETS
}

/// The oldest packet that is held in a bucket.
fn oldest_of(cx: &Cx, of: u32) -> Option<usize> {
    let held = &cx.k.cpus[cx.cpu.index()].gro.held;
    held.iter().position(|held| bucket(cx, held.skb) == of)
}

/// Appends a packet with so many bytes of payload to a held one; false if that would be too long.
pub fn skb_gro_receive(cx: &mut Cx, at: usize, skb: SkbId, payload: usize) -> bool {
    cx.call(Func::SkbGroReceive, skb);
    let held = &cx.k.cpus[cx.cpu.index()].gro.held[at];
    if cx.skbs[held.skb].len() - held.gso_size + held.payload + payload >= GRO_LEGACY_MAX_SIZE {
        return false;
    }
    let held = &mut gro(cx).held[at];
    held.members.push((skb, payload));
    held.payload += payload;
    true
}

/// A held packet enters the stack.
fn napi_gro_complete(cx: &mut Cx, at: usize) {
    let Held { skb, members, gso_size, is_atomic, .. } = gro(cx).held.remove(at);
    let segments = 1 + members.len() as u32;
    cx.within(Func::NapiGroComplete, skb, |cx| {
        if segments > 1 {
            cx.skbs.append(skb, members);
            let pkt = &mut cx.skbs[skb];
            (pkt.gso_size, pkt.gso_segs, pkt.gso_fixedid) = (gso_size as u16, segments as u16, is_atomic);
            if let Some(offload) = offload(cx, skb) {
                (offload.gro_complete)(cx, skb);
            }
        }
        gro_normal_one(cx, skb, segments);
    });
}

/// A packet waits for others of its poll.
fn gro_normal_one(cx: &mut Cx, skb: SkbId, segments: u32) {
    let gro = gro(cx);
    gro.rx_list.push(skb);
    gro.rx_count += segments;
    if gro.rx_count >= GRO_NORMAL_BATCH {
        gro_normal_list(cx);
    }
}

/// What waits enters the stack.
fn gro_normal_list(cx: &mut Cx) {
    let gro = gro(cx);
    if gro.rx_list.is_empty() {
        return;
    }
    gro.rx_count = 0;
    let mut list = std::mem::replace(&mut gro.rx_list, std::mem::take(&mut gro.spare[0]));
    netif_receive_skb_list_internal(cx, &mut list);
    self::gro(cx).spare[0] = list;
}

/// A poll is over: nothing is held longer.
pub fn napi_gro_end(cx: &mut Cx) {
    if !gro(cx).held.is_empty() {
        cx.within(Func::NapiGroFlush, None, |cx| {
            for bucket in 0..BUCKETS {
                while let Some(at) = oldest_of(cx, bucket) {
                    napi_gro_complete(cx, at);
                }
            }
        });
    }
    gro_normal_list(cx);
}
