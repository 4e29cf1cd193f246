//! `pfifo`, `bfifo` and `pfifo_head_drop`: one queue, with a limit in packets or bytes.
//!
//! Kernel: net/sched/sch_fifo.c

use crate::door::Func;
use crate::ids::{DevId, QdiscId, SkbId};
use crate::net::core::qdisc::{
    qdisc_create_dflt, qdisc_dequeue_head, qdisc_drop, qdisc_enqueue_tail, qdisc_lookup_ops, qdisc_peek_head,
    qdisc_pkt_len, qdisc_put, qdisc_tree_reduce_backlog,
};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{NetXmit, QdiscData, QdiscOps, qdisc_data};
use crate::tables::qdisc::{TCQ_F_CAN_BYPASS, tc_h_maj};
use crate::{Cx, Kernel};

/// Settings (`struct tc_fifo_qopt`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FifoOpt {
    /// Most packets, or bytes, that may wait.
    pub limit: u32,
}

/// `pfifo`: the limit is in packets.
pub static PFIFO_QDISC_OPS: QdiscOps =
    QdiscOps { enqueue: Some((Func::PfifoEnqueue, pfifo_enqueue)), ..fifo("pfifo") };
/// `bfifo`: the limit is in bytes.
pub static BFIFO_QDISC_OPS: QdiscOps =
    QdiscOps { enqueue: Some((Func::BfifoEnqueue, bfifo_enqueue)), ..fifo("bfifo") };
/// `pfifo_head_drop`: the packet that has waited longest is dropped.
pub static PFIFO_HEAD_DROP_QDISC_OPS: QdiscOps =
    QdiscOps { enqueue: Some((Func::PfifoTailEnqueue, pfifo_tail_enqueue)), ..fifo("pfifo_head_drop") };

const fn fifo(id: &'static str) -> QdiscOps {
    QdiscOps {
        dequeue: qdisc_dequeue_head,
        peek: qdisc_peek_head,
        init: Some(fifo_init),
        change: Some(|cx, sch, opt| fifo_init(cx, sch, Some(opt))),
        dump: Some(fifo_dump),
        ..QdiscOps::new(id)
    }
}

/// The longest frame of a device, in bytes (`psched_mtu`).
pub fn psched_mtu(kernel: &Kernel, dev: DevId) -> u32 {
    let netdev = &kernel.devs[dev];
    netdev.mtu.wrapping_add(netdev.arphrd.header_len() as u32)
}

fn bfifo_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let (len, qdisc) = (qdisc_pkt_len(cx, skb), &cx.k.qdiscs[sch]);
    if u64::from(qdisc.qstats.backlog) + u64::from(len) <= u64::from(qdisc.limit) {
        return qdisc_enqueue_tail(cx, sch, skb);
    }
    qdisc_drop(cx, sch, skb)
}

fn pfifo_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    if cx.k.qdiscs[sch].qlen < cx.k.qdiscs[sch].limit {
        return qdisc_enqueue_tail(cx, sch, skb);
    }
    qdisc_drop(cx, sch, skb)
}

fn pfifo_tail_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let qdisc = &mut cx.k.qdiscs[sch];
    if qdisc.limit == 0 {
        return qdisc_drop(cx, sch, skb);
    }
    if qdisc.qlen < qdisc.limit {
        return qdisc_enqueue_tail(cx, sch, skb);
    }
    let before = qdisc.qstats.backlog;
    if let Some(oldest) = qdisc.q.pop_front() {
        let len = qdisc_pkt_len(cx, oldest);
        cx.k.qdiscs[sch].count_out(len);
        qdisc_drop(cx, sch, oldest);
    }
    qdisc_enqueue_tail(cx, sch, skb);
    let less = before.wrapping_sub(cx.k.qdiscs[sch].qstats.backlog);
    qdisc_tree_reduce_backlog(cx, sch, 0, less);
    NetXmit::Cn
}

fn fifo_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let qdisc = &cx.k.qdiscs[sch];
    let in_bytes = qdisc.ops.id == BFIFO_QDISC_OPS.id;
    let (mtu, queue_len) = (psched_mtu(cx.k, qdisc.dev), cx.k.devs[qdisc.dev].tx_queue_len);
    let limit = match opt {
        Some(opt) => qdisc_data::<FifoOpt>(opt).ok_or(Errno::EINVAL)?.limit,
        None if in_bytes => queue_len.wrapping_mul(mtu),
        None => queue_len,
    };
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.limit = limit;
    // An empty queue takes any packet.
    if limit >= if in_bytes { mtu } else { 1 } {
        qdisc.flags |= TCQ_F_CAN_BYPASS;
    } else {
        qdisc.flags &= !TCQ_F_CAN_BYPASS;
    }
    Ok(())
}

fn fifo_dump(kernel: &Kernel, sch: QdiscId) -> Box<dyn QdiscData> {
    Box::new(FifoOpt { limit: kernel.qdiscs[sch].limit })
}

/// A queue below another discipline, with a limit (`fifo_create_dflt`).
///
/// # Errors
///
/// `ENOMEM` if there is no such kind of queue.
pub fn fifo_create_dflt(cx: &mut Cx, sch: QdiscId, id: &str, limit: u32) -> Result<QdiscId, NlError> {
    let (dev, queue, handle) = (cx.k.qdiscs[sch].dev, cx.k.qdiscs[sch].queue, cx.k.qdiscs[sch].handle);
    let ops = qdisc_lookup_ops(cx.k, id).ok_or(Errno::ENOMEM)?;
    let q = qdisc_create_dflt(cx, dev, queue, ops, tc_h_maj(handle) | 1).ok_or(Errno::ENOMEM)?;
    fifo_set_limit(cx, q, limit).inspect_err(|_| qdisc_put(cx, q))?;
    Ok(q)
}

/// Changes the limit of a queue below another discipline, if it is one of this file (`fifo_set_limit`).
///
/// # Errors
///
/// Those of the change.
pub fn fifo_set_limit(cx: &mut Cx, q: QdiscId, limit: u32) -> Result<(), NlError> {
    let is_fifo = cx.k.qdiscs[q].ops.id.get(1..5) == Some("fifo");
    match cx.k.qdiscs[q].ops.change.filter(|_| is_fifo) {
        Some(change) => change(cx, q, &FifoOpt { limit }),
        None => Ok(()),
    }
}
