//! `noqueue` and `pfifo_fast`.
//!
//! Kernel: net/sched/sch_generic.c

use std::collections::VecDeque;

use crate::Cx;
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::net::core::qdisc::{qdisc_drop, qdisc_pkt_len};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{NetXmit, QdiscData, QdiscOps};
use crate::tables::drop_reason::DropReason;
use crate::tables::qdisc::{TCQ_F_CAN_BYPASS, TCQ_F_NOLOCK};

/// `noqueue`, of devices that send at once.
pub static NOQUEUE_QDISC_OPS: QdiscOps = QdiscOps { enqueue: None, ..QdiscOps::new("noqueue") };

/// `pfifo_fast`: three bands by priority, each as long as the device's `txqueuelen`.
pub static PFIFO_FAST_OPS: QdiscOps = QdiscOps {
    static_flags: TCQ_F_NOLOCK,
    enqueue: Some((Func::PfifoFastEnqueue, pfifo_fast_enqueue)),
    dequeue: pfifo_fast_dequeue,
    dequeue_func: Some(Func::PfifoFastDequeue),
    peek: |cx, sch| {
        let bands = cx.k.qdiscs[sch].qdisc_priv::<Bands>()?;
        bands.iter().find_map(|band| band.skbs.front().copied())
    },
    init: Some(pfifo_fast_init),
    reset: Some(pfifo_fast_reset),
    change_tx_queue_len: Some(pfifo_fast_change_tx_queue_len),
    dump: Some(|_, _| Box::new(PrioOpt { bands: BANDS as i32, priomap: PRIO2BAND })),
    ..QdiscOps::new("pfifo_fast")
};

/// Settings (`struct tc_prio_qopt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrioOpt {
    /// Bands.
    pub bands: i32,
    /// The band of each priority.
    pub priomap: [u8; 16],
}

const BANDS: usize = 3;

/// The band of each priority (`sch_default_prio2band`).
pub const PRIO2BAND: [u8; 16] = [1, 2, 2, 2, 1, 2, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1];

type Bands = [SkbRing; BANDS];

/// A ring of packets (`struct ptr_ring`, include/linux/ptr_ring.h). The slots of packets that were taken become free several
/// at a time, so it can be full a little before it holds `size` packets.
#[derive(Debug, Default)]
struct SkbRing {
    skbs: VecDeque<SkbId>,
    size: usize,
    /// Where the next packet is taken.
    consumer_head: usize,
    /// From where on taken slots are not free yet.
    consumer_tail: usize,
}

impl SkbRing {
    fn new(size: usize) -> SkbRing {
        SkbRing { size, ..SkbRing::default() }
    }

    fn produce(&mut self, skb: SkbId) -> bool {
        let has_room = self.skbs.len() + self.consumer_head - self.consumer_tail < self.size;
        if has_room {
            self.skbs.push_back(skb);
        }
        has_room
    }

    fn consume(&mut self) -> Option<SkbId> {
        /// Two cache lines of pointers.
        const BATCH: usize = 16;
        let skb = self.skbs.pop_front()?;
        let batch = if BATCH > self.size / 2 { 1 } else { BATCH };
        self.consumer_head += 1;
        if self.consumer_head - self.consumer_tail >= batch || self.consumer_head >= self.size {
            self.consumer_tail = self.consumer_head;
        }
        if self.consumer_head >= self.size {
            (self.consumer_head, self.consumer_tail) = (0, 0);
        }
        Some(skb)
    }
}

fn pfifo_fast_init(cx: &mut Cx, sch: QdiscId, _: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let len = cx.k.devs[cx.k.qdiscs[sch].dev].tx_queue_len as usize;
    if len == 0 {
        return Err(Errno::EINVAL.into());
    }
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.flags |= TCQ_F_CAN_BYPASS;
    let bands: Bands = std::array::from_fn(|_| SkbRing::new(len));
    qdisc.set_priv(bands);
    Ok(())
}

fn pfifo_fast_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let band = PRIO2BAND[(cx.skbs[skb].priority & 15) as usize];
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    let has_room = qdisc.qdisc_priv_mut::<Bands>().is_some_and(|bands| bands[usize::from(band)].produce(skb));
    if !has_room {
        return qdisc_drop(cx, sch, skb);
    }
    qdisc.count_in(len);
    NetXmit::Success
}

fn pfifo_fast_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    let bands = cx.k.qdiscs[sch].qdisc_priv_mut::<Bands>()?;
    let Some(skb) = bands.iter_mut().find_map(SkbRing::consume) else {
        // All is done that there was to do.
        let state = &mut cx.k.qdiscs[sch].state;
        (state.missed, state.draining) = (false, false);
        return None;
    };
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_out(len);
    qdisc.count_sent(len);
    Some(skb)
}

fn pfifo_fast_reset(cx: &mut Cx, sch: QdiscId) {
    let Some(bands) = cx.k.qdiscs[sch].qdisc_priv_mut::<Bands>() else { return };
    let lost: Vec<SkbId> = bands.iter_mut().flat_map(|band| std::iter::from_fn(|| band.consume())).collect();
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// The packets move to rings of the new size; what has no room is lost.
fn pfifo_fast_change_tx_queue_len(cx: &mut Cx, sch: QdiscId, len: u32) -> Result<(), NlError> {
    let Some(bands) = cx.k.qdiscs[sch].qdisc_priv_mut::<Bands>() else { return Ok(()) };
    let mut lost = Vec::new();
    for band in bands {
        let mut ring = SkbRing::new(len as usize);
        lost.extend(band.skbs.drain(..).filter(|skb| !ring.produce(*skb)));
        *band = ring;
    }
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    Ok(())
}
