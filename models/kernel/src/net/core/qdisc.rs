//! What all queueing disciplines do: they begin and end, queue and drop, and wait for a time.
//!
//! Kernel: include/net/sch_generic.h, net/sched/sch_generic.c, net/sched/sch_api.c

use glassnet_sim::Nanos;

use super::dev_queue::__netif_schedule;
use super::gso;
use crate::filter::TcfBlock;
use crate::ids::{DevId, QdiscId, SkbId};
use crate::qdisc::{NetXmit, QdiscOps};
use crate::tables::drop_reason::DropReason;
use crate::tables::qdisc::{Qdisc, TC_H_ROOT, TCQ_F_BUILTIN, TCQ_F_NOPARENT, tc_h_maj};
use crate::{Cx, Kernel};

/// A kind of discipline by its name, if a module registered it.
pub fn qdisc_lookup_ops(kernel: &Kernel, id: &str) -> Option<&'static QdiscOps> {
    let qdiscs = kernel.modules.iter().flat_map(|module| module.qdiscs);
    qdiscs.copied().find(|ops| ops.id == id)
}

/// A discipline without a handle, with the settings that its kind has by itself. `None`: it cannot be.
pub fn qdisc_create_dflt(
    cx: &mut Cx,
    dev: DevId,
    queue: u16,
    ops: &'static QdiscOps,
    parent: u32,
) -> Option<QdiscId> {
    let mut qdisc = Qdisc::new(ops, dev, queue);
    qdisc.parent = parent;
    let q = cx.k.qdiscs.insert(qdisc);
    let begun = ops.init.is_none_or(|init| init(cx, q, None).is_ok());
    if !begun {
        qdisc_put(cx, q);
    }
    begun.then_some(q)
}

/// It has one place less, and ends when that was the last.
pub fn qdisc_put(cx: &mut Cx, q: QdiscId) {
    let qdisc = &mut cx.k.qdiscs[q];
    if qdisc.has(TCQ_F_BUILTIN) {
        return;
    }
    qdisc.refcnt -= 1;
    if qdisc.refcnt == 0 {
        qdisc_destroy(cx, q);
    }
}

/// It ends: its packets are lost.
pub fn qdisc_destroy(cx: &mut Cx, q: QdiscId) {
    qdisc_reset(cx, q);
    if let Some(destroy) = cx.k.qdiscs[q].ops.destroy {
        destroy(cx, q);
    }
    for sd in &mut cx.k.cpus {
        sd.output_queue.retain(|scheduled| *scheduled != q);
    }
    let gone = cx.k.qdiscs.remove(q);
    for action in gone.iter().flat_map(|qdisc| qdisc.filters.values()).flat_map(TcfBlock::actions) {
        cx.k.tc_actions.release(action, true);
    }
}

/// Its packets are lost.
pub fn qdisc_reset(cx: &mut Cx, q: QdiscId) {
    if cx.k.qdiscs[q].has(TCQ_F_BUILTIN) {
        return;
    }
    if let Some(reset) = cx.k.qdiscs[q].ops.reset {
        reset(cx, q);
    }
    let qdisc = &mut cx.k.qdiscs[q];
    let mut lost: Vec<SkbId> = qdisc.q.drain(..).collect();
    lost.extend(qdisc.gso_skb.drain(..));
    lost.extend(qdisc.skb_bad_txq.drain(..));
    (qdisc.qlen, qdisc.qstats.backlog) = (0, 0);
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// Gives a packet to a discipline.
pub fn qdisc_enqueue(cx: &mut Cx, q: QdiscId, skb: SkbId) -> NetXmit {
    match cx.k.qdiscs[q].ops.enqueue {
        Some((func, enqueue)) => cx.within(func, skb, |cx| enqueue(cx, q, skb)),
        // Below another discipline it has nobody who sends.
        None => {
            cx.k.qdiscs.to_free.push(skb);
            NetXmit::Cn
        }
    }
}

/// Takes the next packet that may be sent now.
pub fn qdisc_dequeue(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    let ops = cx.k.qdiscs[q].ops;
    match ops.dequeue_func {
        Some(func) => cx.within(func, None, |cx| (ops.dequeue)(cx, q)),
        None => (ops.dequeue)(cx, q),
    }
}

/// The next packet that may be sent now; it stays.
pub fn qdisc_peek(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    (cx.k.qdiscs[q].ops.peek)(cx, q)
}

/// The length of a packet as disciplines count it, in bytes: with its Ethernet header.
#[inline]
pub fn qdisc_pkt_len(cx: &Cx, skb: SkbId) -> u32 {
    let pkt = &cx.skbs[skb];
    let headers = if pkt.gso_size == 0 { 0 } else { gso::header_bytes(cx, skb) };
    (pkt.len() + headers) as u32
}

/// Drops a packet that came, and counts it. It is freed when the discipline is done.
pub fn qdisc_drop(cx: &mut Cx, q: QdiscId, skb: SkbId) -> NetXmit {
    cx.k.qdiscs[q].qstats.drops += 1;
    cx.k.qdiscs.to_free.push(skb);
    NetXmit::Drop
}

/// Appends a packet to the discipline's list.
pub fn qdisc_enqueue_tail(cx: &mut Cx, q: QdiscId, skb: SkbId) -> NetXmit {
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[q];
    qdisc.q.push_back(skb);
    qdisc.count_in(len);
    NetXmit::Success
}

/// Takes the first packet of the discipline's list, and counts it as sent.
pub fn qdisc_dequeue_head(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    let skb = cx.k.qdiscs[q].q.pop_front()?;
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[q];
    qdisc.count_out(len);
    qdisc.count_sent(len);
    Some(skb)
}

/// The first packet of the discipline's list.
pub fn qdisc_peek_head(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    cx.k.qdiscs[q].q.front().copied()
}

/// Takes the next packet out and keeps it at hand: to look at what only [`QdiscOps::dequeue`] knows.
pub fn qdisc_peek_dequeued(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    if let Some(skb) = cx.k.qdiscs[q].gso_skb.front() {
        return Some(*skb);
    }
    let skb = qdisc_dequeue(cx, q)?;
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[q];
    qdisc.gso_skb.push_front(skb);
    // It still counts as waiting.
    qdisc.count_in(len);
    Some(skb)
}

/// Takes the next packet of a discipline that was looked into by [`qdisc_peek`].
pub fn qdisc_dequeue_peeked(cx: &mut Cx, q: QdiscId) -> Option<SkbId> {
    let Some(skb) = cx.k.qdiscs[q].gso_skb.pop_front() else { return qdisc_dequeue(cx, q) };
    let len = qdisc_pkt_len(cx, skb);
    cx.k.qdiscs[q].count_out(len);
    Some(skb)
}

/// The discipline of a handle on a device. Those of a device's own choice have none.
pub fn qdisc_lookup(kernel: &Kernel, dev: DevId, handle: u32) -> Option<QdiscId> {
    let is_meant = |qdisc: &Qdisc| qdisc.dev == dev && qdisc.handle == handle && handle != 0;
    kernel.qdiscs.iter().find(|(_, qdisc)| is_meant(qdisc)).map(|(id, _)| id)
}

/// The other disciplines of a discipline's device.
pub fn qdisc_lookup_tree(kernel: &Kernel, q: QdiscId) -> Vec<QdiscId> {
    let dev = kernel.qdiscs[q].dev;
    let others = kernel.qdiscs.iter().filter(|(id, other)| *id != q && other.dev == dev);
    others.map(|(id, _)| id).collect()
}

/// `packets` of `bytes` are gone from a discipline without having been asked for: those above it know.
pub fn qdisc_tree_reduce_backlog(cx: &mut Cx, q: QdiscId, packets: u32, bytes: u32) {
    let mut sch = q;
    loop {
        let qdisc = &cx.k.qdiscs[sch];
        let (parent, dev, is_empty) = (qdisc.parent, qdisc.dev, qdisc.qlen == 0);
        if parent == 0 || parent == TC_H_ROOT || qdisc.has(TCQ_F_NOPARENT) {
            return;
        }
        let Some(above) = qdisc_lookup(cx.k, dev, tc_h_maj(parent)) else { return };
        let classes = cx.k.qdiscs[above].ops.cl_ops;
        if let Some((classes, notify)) = classes.and_then(|ops| Some((ops, ops.qlen_notify?)))
            && is_empty
            && let Some(class) = (classes.find)(cx.k, above, parent)
        {
            notify(cx, above, class);
        }
        let qdisc = &mut cx.k.qdiscs[above];
        qdisc.qlen = qdisc.qlen.wrapping_sub(packets);
        qdisc.qstats.backlog = qdisc.qstats.backlog.wrapping_sub(bytes);
        qdisc.qstats.drops += packets;
        sch = above;
    }
}

/// The packets of a discipline are lost, and those above it know (`qdisc_purge_queue`).
pub fn qdisc_purge_queue(cx: &mut Cx, q: QdiscId) {
    let (qlen, backlog) = (cx.k.qdiscs[q].qlen, cx.k.qdiscs[q].qstats.backlog);
    qdisc_reset(cx, q);
    qdisc_tree_reduce_backlog(cx, q, qlen, backlog);
}

/// The discipline whose place in a device's queue this one's packets take (`qdisc_root_sleeping`).
fn qdisc_root_sleeping(kernel: &Kernel, q: QdiscId) -> QdiscId {
    let qdisc = &kernel.qdiscs[q];
    kernel.devs[qdisc.dev].tx[usize::from(qdisc.queue)].qdisc_sleeping
}

/// The same while the device transmits (`qdisc_root`).
pub fn qdisc_root(kernel: &Kernel, q: QdiscId) -> QdiscId {
    let qdisc = &kernel.qdiscs[q];
    kernel.devs[qdisc.dev].tx[usize::from(qdisc.queue)].qdisc
}

/// The discipline is looked at again at a time (`qdisc_watchdog_schedule_ns`).
pub fn qdisc_watchdog_schedule(cx: &mut Cx, q: QdiscId, expires: Nanos) {
    cx.call(crate::door::Func::QdiscWatchdogScheduleRangeNs, None);
    let root = qdisc_root_sleeping(cx.k, q);
    if cx.k.qdiscs[root].state.deactivated || cx.k.qdiscs[q].watchdog == Some(expires) {
        return;
    }
    cx.k.qdiscs[q].watchdog = Some(expires);
    cx.set_timer(expires, qdisc_watchdog, q.0);
}

/// It is not looked at again.
pub fn qdisc_watchdog_cancel(cx: &mut Cx, q: QdiscId) {
    cx.k.qdiscs[q].watchdog = None;
}

/// The time has come that a discipline waited for. A timer that was set for another time means nothing.
fn qdisc_watchdog(cx: &mut Cx, q: u32) {
    let q = QdiscId(q);
    if cx.k.qdiscs.get(q).and_then(|qdisc| qdisc.watchdog).is_some_and(|expires| expires <= cx.events.now()) {
        cx.call(crate::door::Func::QdiscWatchdog, None);
        cx.k.qdiscs[q].watchdog = None;
        let root = qdisc_root(cx.k, q);
        if root != QdiscId::NOOP {
            __netif_schedule(cx, root);
        }
    }
}
