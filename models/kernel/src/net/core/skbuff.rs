//! Deferred release of packets, after the packets that they caused.
//!
//! Kernel: net/core/skbuff.c

use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;

/// Consumes a packet later.
pub fn consume_later(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}

/// Drops a packet later.
pub fn kfree_later(cx: &mut Cx, skb: SkbId, reason: DropReason) -> Door {
    cx.kfree_skb(skb, reason)
}
