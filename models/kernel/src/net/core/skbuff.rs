//! The end of a packet, put off until what it caused has gone out.
//!
//! Kernel: net/core/skbuff.c

use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;

/// Frees a packet that did what it was for.
pub fn consume_later(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}

/// Drops a packet.
pub fn kfree_later(cx: &mut Cx, skb: SkbId, reason: DropReason) -> Door {
    cx.kfree_skb(skb, reason)
}
