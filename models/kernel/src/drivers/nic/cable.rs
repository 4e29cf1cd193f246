//! What goes by a cable beside the bytes of a frame: for observers which packet it is, and where cables are
//! [veth pairs](crate::kernel::Config::veth_cables) what the packet keeps at their other end.

use glassnet_wire::{BufId, BufPool};

use crate::Cx;
use crate::ids::{DevId, SkbId};

/// The packet says that its next hop answers.
const CONFIRMS: u64 = 1 << 31;
/// Its outermost VLAN tag stood beside the packet, and does so at the other end.
const TAGGED: u64 = 1 << 30;
/// The packet has [no more headroom](crate::tables::skb::Skb::short_headroom) at the other end of a veth pair.
const SHORT_HEADROOM: u64 = 1 << 29;
/// [TCP has the packet's bytes](crate::tables::skb::Skb::is_tcp_clone) at the other end of a veth pair, too.
const TCP_CLONE: u64 = 1 << 27;
/// The hash of its flow is of addresses and ports, or drawn by its socket.
const L4_HASH: u64 = 1 << 28;
/// From this bit on stands the hash of its flow.
const HASH: u32 = 32;
/// The number of the packet.
const PACKET: u64 = TCP_CLONE - 1;

/// Notes on a frame what is known of its packet.
pub(super) fn note(cx: &mut Cx, skb: SkbId, frame: BufId) {
    let (pkt, is_veth) = (&cx.skbs[skb], cx.k.config.veth_cables);
    let notes = [
        (pkt.vlan_tag.is_some(), TAGGED),
        (pkt.dst_pending_confirm && is_veth, CONFIRMS),
        (pkt.short_headroom && is_veth, SHORT_HEADROOM),
        (pkt.is_tcp_clone && is_veth, TCP_CLONE),
        (pkt.l4_hash && is_veth, L4_HASH),
    ];
    let noted = notes.iter().fold(0, |noted, (holds, note)| if *holds { noted | note } else { noted });
    let hash = if is_veth { u64::from(pkt.hash) << HASH } else { 0 };
    cx.skbs.bufs.set_tag(frame, hash | noted | u64::from(pkt.packet) & PACKET);
}

/// The packet whose frame is on a cable, for observers; 0: it came from no machine.
pub fn packet_of(bufs: &BufPool, frame: BufId) -> u32 {
    (bufs.tag(frame) & PACKET) as u32
}

/// The tag of a frame on a cable stood beside its packet.
pub(super) fn was_tagged(bufs: &BufPool, frame: BufId) -> bool {
    bufs.tag(frame) & TAGGED != 0
}

/// A packet of a frame that came by a cable: the same to an observer.
pub(super) fn build_skb(cx: &mut Cx, dev: DevId, frame: BufId) -> SkbId {
    let (tag, packet) = (cx.skbs.bufs.tag(frame), packet_of(&cx.skbs.bufs, frame));
    let skb = cx.skbs.build_skb(frame, 0, dev);
    let pkt = &mut cx.skbs[skb];
    (pkt.packet, pkt.dst_pending_confirm) = (packet, tag & CONFIRMS != 0);
    (pkt.short_headroom, pkt.is_tcp_clone) = (tag & SHORT_HEADROOM != 0, tag & TCP_CLONE != 0);
    (pkt.hash, pkt.l4_hash) = ((tag >> HASH) as u32, tag & L4_HASH != 0);
    skb
}
