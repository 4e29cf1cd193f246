//! Devices without a queue that lead into each other.
//!
//! Kernel: net/core/dev.c (`__dev_queue_xmit`)

use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::klog::LOG_CRIT;

/// A packet goes out by no more devices without a queue, one over the other.
pub const XMIT_RECURSION_LIMIT: u8 = 8;

/// Tunnels lead into each other.
#[cold]
pub fn recursion_alert(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.printk_limited(LOG_CRIT, |cx| {
        vec![format!("Dead loop on virtual device {}, fix it urgently!", cx.k.devs[dev].name)]
    });
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.xmit_failed(skb, Errno::ENETDOWN);
    cx.kfree_skb(skb, DropReason::NotSpecified)
}
