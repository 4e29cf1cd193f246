//! Taps see every packet that a device receives or sends: packet sockets of all protocols, and the observer.
//!
//! Kernel: net/core/dev.c (`dev_queue_xmit_nit`)

use crate::Cx;
use crate::door::Func;
use crate::ids::{DevId, SkbId, SocketId};
use crate::tables::skb::PacketType;
use crate::trace::Frame;

/// Delivers a received packet to the taps of all modules (`ptype_all`), and to the observer; true if a tap took it.
///
/// The data begins behind the Ethernet header.
#[cold]
#[inline(never)]
pub(super) fn deliver_to_taps(cx: &mut Cx, skb: SkbId, dev: DevId, seen_as: PacketType) -> bool {
    if cx.trace.capture {
        capture(cx, skb, dev, seen_as);
    }
    let mut taken = false;
    if cx.k.packet_sockets > 0 {
        for tap in cx.k.modules.iter().filter_map(|module| module.tap) {
            taken |= tap(cx, skb, dev, seen_as);
        }
    }
    taken
}

/// Delivers an outgoing packet to the taps.
#[cold]
#[inline(never)]
pub fn dev_queue_xmit_nit(cx: &mut Cx, skb: SkbId, dev: DevId) {
    let deliver = |cx: &mut Cx| {
        deliver_to_taps(cx, skb, dev, PacketType::Outgoing);
    };
    if cx.k.packet_sockets > 0 {
        cx.within(Func::DevQueueXmitNit, skb, deliver);
    } else {
        deliver(cx);
    }
}

/// Somebody listens at this device and no other (`ptype_all` of the device).
pub fn has_tap_of_its_own(cx: &Cx, dev: DevId) -> bool {
    let netdev = &cx.k.devs[dev];
    let is_its = |id: &SocketId| cx.k.sockets.get(*id).is_some_and(|socket| socket.ifindex == netdev.ifindex);
    cx.k.packet_sockets > 0 && cx.k.netns[netdev.netns].taps.iter().any(is_its)
}

fn capture(cx: &mut Cx, skb: SkbId, dev: DevId, seen_as: PacketType) {
    cx.trace.frames.push(Frame {
        at: cx.now,
        machine: cx.k.id,
        dev: cx.k.devs[dev].label,
        packet: cx.skbs[skb].packet,
        pkt_type: seen_as,
        arphrd: cx.k.devs[dev].arphrd,
        bytes: cx.skbs.tagged_frame(skb),
    });
}
