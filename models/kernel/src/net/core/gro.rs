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
use crate::tables::vlan_tag::VlanProto;
use zerocopy::big_endian::U16;

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
    gro(cx).held.push(Held { skb, members: Vec::new(), payload, gso_size: payload, is_atomic });
    false
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

/// The packet came by the same device as a held one, and their Ethernet headers are equal (`gro_list_prepare`).
pub fn is_same_link(cx: &Cx, held: SkbId, skb: SkbId) -> bool {
    let (a, b) = (&cx.skbs[held], &cx.skbs[skb]);
    let header = cx.k.devs[b.dev].arphrd.header_len();
    let eth = |id| cx.skbs.frame(id).get(..header);
    a.dev == b.dev && a.hash == b.hash && a.vlan_tag == b.vlan_tag && eth(held) == eth(skb)
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
