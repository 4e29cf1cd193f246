//! The queueing disciplines that every device can have, and when it gets one.
//!
//! Kernel: net/sched/sch_generic.c, net/sched/sch_fq_codel.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::Qdisc;
use crate::tables::drop_reason::DropReason;

/// A device that was never up, and one that is down or has no carrier: nothing leaves by it.
pub static NOOP: Qdisc = Qdisc { id: "noop", enqueue: Some(noop_enqueue) };
/// A device that needs no queue (`IFF_NO_QUEUE`).
pub static NOQUEUE: Qdisc = Qdisc { id: "noqueue", enqueue: None };
/// What Debian's kernels give a device that has a queue (`net.core.default_qdisc`). Not modelled: it holds nothing back.
pub static FQ_CODEL: Qdisc = Qdisc { id: "fq_codel", enqueue: None };

fn noop_enqueue(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.kfree_skb(skb, DropReason::QdiscDrop)
}

/// Gives a device its queueing discipline when it first comes up (`dev_activate`).
pub fn dev_activate(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    if netdev.qdisc.id == NOOP.id {
        netdev.qdisc = if netdev.no_queue { &NOQUEUE } else { &FQ_CODEL };
    }
}
