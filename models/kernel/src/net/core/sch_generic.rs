//! Default queueing disciplines.
//!
//! Kernel: net/sched/sch_generic.c, net/sched/sch_fq_codel.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::link::Qdisc;
use crate::tables::drop_reason::DropReason;

/// `noop`, before a device is first set up, and while it is down or has no carrier: drops all packets.
pub static NOOP: Qdisc = Qdisc { id: "noop", enqueue: Some(noop_enqueue) };
/// `noqueue`, for devices with `IFF_NO_QUEUE`.
pub static NOQUEUE: Qdisc = Qdisc { id: "noqueue", enqueue: None };
/// `fq_codel`, Debian's `net.core.default_qdisc`. Not modelled: it does not queue.
pub static FQ_CODEL: Qdisc = Qdisc { id: "fq_codel", enqueue: None };

fn noop_enqueue(cx: &mut Cx, skb: SkbId) -> Door {
    cx.kfree_skb(skb, DropReason::QdiscDrop)
}

/// Attaches the default qdisc to a device that is up for the first time, and lets packets in once it has a carrier
/// (`dev_activate`).
pub fn dev_activate(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    if netdev.qdisc_sleeping.id == NOOP.id {
        netdev.qdisc_sleeping = if netdev.no_queue { &NOQUEUE } else { &FQ_CODEL };
    }
    if netdev.carrier {
        netdev.qdisc = netdev.qdisc_sleeping;
    }
}

/// Drops all further packets (`dev_deactivate`).
pub fn dev_deactivate(cx: &mut Cx, dev: DevId) {
    cx.k.devs[dev].qdisc = &NOOP;
}
