//! The transmit path through a queueing discipline, and what devices do with theirs.
//!
//! Kernel: net/sched/sch_generic.c, net/core/dev.c

use super::dev_queue::{__netif_schedule, netdev_core_pick_tx};
use super::gso::{netif_needs_gso, skb_gso_segment};
use super::qdisc::{
    qdisc_create_dflt, qdisc_dequeue, qdisc_enqueue, qdisc_lookup_ops, qdisc_pkt_len, qdisc_put, qdisc_reset,
};
use super::vlan_core::validate_xmit_vlan;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, QdiscId, SkbId};
use crate::netlink::{Errno, NlError};
use crate::qdisc::NetXmit;
use crate::tables::drop_reason::DropReason;
use crate::tables::jiffies::jiffies;
use crate::tables::klog::LOG_CRIT;
use crate::tables::netdev_queue::NetdevQueue;
use crate::tables::qdisc::{
    TC_H_ROOT, TCQ_F_BUILTIN, TCQ_F_CAN_BYPASS, TCQ_F_NOLOCK, TCQ_F_NOPARENT, TCQ_F_ONETXQUEUE,
};

/// Sends a packet by the discipline of its transmit queue, or without one by a device that has a queue of its own
/// (`__dev_xmit_skb`).
#[cold]
#[inline(never)]
pub fn dev_xmit_skb(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let chosen = std::mem::take(&mut cx.k.cpus[cx.cpu.index()].skip_txqueue);
    let queue = if chosen { cx.skbs[skb].queue_mapping } else { netdev_core_pick_tx(cx, skb, dev) };
    let q = cx.k.devs[dev].tx[usize::from(queue)].qdisc;
    let qdisc = &cx.k.qdiscs[q];
    if qdisc.ops.enqueue.is_none() {
        return xmit_without_queue(cx, skb, dev, queue);
    }
    let (state, can_bypass) = (qdisc.state, qdisc.has(TCQ_F_CAN_BYPASS) && !qdisc.state.running);
    let is_empty = if qdisc.has(TCQ_F_NOLOCK) { qdisc.nolock_is_empty() } else { qdisc.qlen == 0 };
    if state.deactivated && !qdisc.has(TCQ_F_NOLOCK) {
        cx.xmit_failed(skb, Errno::ENOBUFS);
        return cx.kfree_skb(skb, DropReason::QdiscDrop);
    }
    if can_bypass && is_empty {
        let len = qdisc_pkt_len(cx, skb);
        cx.k.qdiscs[q].count_sent(len);
        cx.xmit_succeeded(skb);
        cx.k.qdiscs[q].state.running = true;
        if sch_direct_xmit(cx, skb, Vec::new(), q, true) && needs_run(cx, q) {
            __qdisc_run(cx, q);
        }
        qdisc_run_end(cx, q);
        return Door::End;
    }
    match dev_qdisc_enqueue(cx, q, skb) {
        NetXmit::Drop => cx.xmit_failed(skb, Errno::ENOBUFS),
        NetXmit::Cn => cx.xmit_congested(skb),
        NetXmit::Success | NetXmit::Bypass => cx.xmit_succeeded(skb),
    }
    let dropped = std::mem::take(&mut cx.k.qdiscs.to_free);
    qdisc_run(cx, q);
    for skb in dropped {
        cx.kfree_skb(skb, DropReason::QdiscDrop);
    }
    Door::End
}

/// A discipline without a lock that has nothing to send need not be asked.
fn needs_run(cx: &Cx, q: QdiscId) -> bool {
    let qdisc = &cx.k.qdiscs[q];
    !(qdisc.has(TCQ_F_NOLOCK) && qdisc.nolock_is_empty())
}

/// The device has a queue, which is full now, and a user took its discipline away.
fn xmit_without_queue(cx: &mut Cx, skb: SkbId, dev: DevId, queue: u16) -> Door {
    if !cx.k.devs[dev].tx[usize::from(queue)].is_stopped() {
        cx.walk(Door::ValidateXmitSkb { skb });
        if !std::mem::take(&mut cx.k.xmit_busy) {
            return Door::End;
        }
    }
    cx.printk_limited(LOG_CRIT, |cx| {
        vec![format!("Virtual device {} asks to queue packet!", cx.k.devs[dev].name)]
    });
    cx.k.devs[dev].stats.tx_dropped += 1;
    cx.xmit_failed(skb, Errno::ENETDOWN);
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

fn dev_qdisc_enqueue(cx: &mut Cx, q: QdiscId, skb: SkbId) -> NetXmit {
    cx.within(Func::DevQdiscEnqueue, skb, |cx| qdisc_enqueue(cx, q, skb))
}

/// Sends what the discipline gives, if nobody else does.
fn qdisc_run(cx: &mut Cx, q: QdiscId) {
    let qdisc = &mut cx.k.qdiscs[q];
    if qdisc.state.running {
        qdisc.state.missed |= qdisc.has(TCQ_F_NOLOCK);
        return;
    }
    qdisc.state.running = true;
    if !(qdisc.has(TCQ_F_NOLOCK) && qdisc.state.deactivated) {
        __qdisc_run(cx, q);
    }
    qdisc_run_end(cx, q);
}

fn qdisc_run_end(cx: &mut Cx, q: QdiscId) {
    let qdisc = &mut cx.k.qdiscs[q];
    qdisc.state.running = false;
    if qdisc.has(TCQ_F_NOLOCK) && qdisc.state.missed {
        __netif_schedule(cx, q);
    }
}

/// Sends up to `dev_tx_weight` packets; the rest waits for the next softirq.
fn __qdisc_run(cx: &mut Cx, q: QdiscId) {
    cx.within(Func::QdiscRun, None, |cx| {
        // dev_tx_weight
        let (weight, bias) = (cx.k.core.dev_weight as i32, cx.k.core.dev_weight_tx_bias as i32);
        let mut quota = weight.wrapping_mul(bias);
        while let Some(packets) = qdisc_restart(cx, q, quota) {
            quota -= packets;
            if quota > 0 {
                continue;
            }
            if cx.k.qdiscs[q].has(TCQ_F_NOLOCK) {
                cx.k.qdiscs[q].state.missed = true;
            } else {
                __netif_schedule(cx, q);
            }
            return;
        }
    })
}

/// Sends a packet, or some at once; returns how many, or `None` if that was the last for now.
fn qdisc_restart(cx: &mut Cx, q: QdiscId, budget: i32) -> Option<i32> {
    let (first, rest, validate) = dequeue_skb(cx, q, budget)?;
    let packets = 1 + rest.len() as i32;
    sch_direct_xmit(cx, first, rest, q, validate).then_some(packets)
}

fn queue_of<'a>(cx: &'a Cx, q: QdiscId, queue: u16) -> &'a NetdevQueue {
    &cx.k.devs[cx.k.qdiscs[q].dev].tx[usize::from(queue)]
}

/// The next packet, those that go with it, and whether they were not prepared before.
fn dequeue_skb(cx: &mut Cx, q: QdiscId, budget: i32) -> Option<(SkbId, Vec<SkbId>, bool)> {
    if let Some(skb) = cx.k.qdiscs[q].gso_skb.front().copied() {
        let skb = take_requeued(cx, q, skb, |cx| cx.k.qdiscs[q].gso_skb.pop_front())?;
        return Some((skb, Vec::new(), false));
    }
    let queue = cx.k.qdiscs[q].queue;
    if cx.k.qdiscs[q].has(TCQ_F_ONETXQUEUE) && queue_of(cx, q, queue).is_stopped() {
        qdisc_maybe_clear_missed(cx, q, queue);
        return None;
    }
    let first = match cx.k.qdiscs[q].skb_bad_txq.front().copied() {
        Some(skb) => take_requeued(cx, q, skb, |cx| cx.k.qdiscs[q].skb_bad_txq.pop_front())?,
        None => qdisc_dequeue(cx, q)?,
    };
    let rest = if cx.k.qdiscs[q].has(TCQ_F_ONETXQUEUE) {
        try_bulk_dequeue_skb(cx, q, first, budget)
    } else {
        try_bulk_dequeue_skb_slow(cx, q, first)
    };
    Some((first, rest, true))
}

/// Takes a packet back that was sent in vain, if its transmit queue takes packets now.
fn take_requeued(
    cx: &mut Cx,
    q: QdiscId,
    skb: SkbId,
    take: impl FnOnce(&mut Cx) -> Option<SkbId>,
) -> Option<SkbId> {
    let queue = cx.skbs[skb].queue_mapping;
    if queue_of(cx, q, queue).is_stopped() {
        qdisc_maybe_clear_missed(cx, q, queue);
        return None;
    }
    let len = qdisc_pkt_len(cx, skb);
    cx.k.qdiscs[q].count_out(len);
    take(cx)
}

/// What goes with a packet, as far as the byte queue limit has room: none where the driver has no such limit.
fn try_bulk_dequeue_skb(cx: &mut Cx, q: QdiscId, first: SkbId, budget: i32) -> Vec<SkbId> {
    let queue = cx.k.qdiscs[q].queue;
    let mut room = queue_of(cx, q, queue).dql.avail() - cx.skbs[first].len() as i32;
    let mut rest = Vec::new();
    while room > 0
        && let Some(skb) = qdisc_dequeue(cx, q)
    {
        room -= cx.skbs[skb].len() as i32;
        rest.push(skb);
        if rest.len() as i32 >= budget {
            break;
        }
    }
    rest
}

/// What goes with a packet to the same transmit queue, up to eight.
fn try_bulk_dequeue_skb_slow(cx: &mut Cx, q: QdiscId, first: SkbId) -> Vec<SkbId> {
    let mut rest = Vec::new();
    while rest.len() < 8
        && let Some(skb) = qdisc_dequeue(cx, q)
    {
        if cx.skbs[skb].queue_mapping != cx.skbs[first].queue_mapping {
            let len = qdisc_pkt_len(cx, skb);
            let qdisc = &mut cx.k.qdiscs[q];
            qdisc.skb_bad_txq.push_back(skb);
            qdisc.count_in(len);
            break;
        }
        rest.push(skb);
    }
    rest
}

/// Hands packets to the driver; false if it does not take more, and what is left waits again.
fn sch_direct_xmit(cx: &mut Cx, first: SkbId, rest: Vec<SkbId>, q: QdiscId, validate: bool) -> bool {
    cx.within(Func::SchDirectXmit, first, |cx| {
        let (dev, queue) = (cx.k.qdiscs[q].dev, cx.skbs[first].queue_mapping);
        let mut left = validate_xmit_skb_list(cx, first, rest, validate).into_iter().peekable();
        let first = left.peek().copied();
        let mut door: fn(SkbId) -> Door = |skb| Door::DevHardStartXmit { skb };
        while let Some(skb) = left.peek().copied() {
            let txq = &cx.k.devs[dev].tx[usize::from(queue)];
            // Between packets of a list, only the driver's word counts.
            if if Some(skb) == first { txq.is_stopped() } else { txq.drv_xoff } {
                qdisc_maybe_clear_missed(cx, q, queue);
                break;
            }
            cx.walk(door(skb));
            if std::mem::take(&mut cx.k.xmit_busy) {
                break;
            }
            left.next();
            door = |skb| Door::XmitOne { skb };
            cx.k.devs[dev].tx[usize::from(queue)].trans_start = jiffies(cx.now);
        }
        let done = left.peek().is_none();
        dev_requeue_skb(cx, q, left);
        done
    })
}

/// Packets are prepared for their device: one that was merged is cut, where the device does not.
fn validate_xmit_skb_list(cx: &mut Cx, first: SkbId, rest: Vec<SkbId>, validate: bool) -> Vec<SkbId> {
    let all = std::iter::once(first).chain(rest);
    if !validate {
        return all.collect();
    }
    cx.within(Func::ValidateXmitSkbList, first, |cx| {
        let prepare = |skb| {
            cx.within(Func::ValidateXmitSkb, skb, |cx| {
                let all = if netif_needs_gso(cx, skb) { skb_gso_segment(cx, skb) } else { vec![skb] };
                all.iter().for_each(|skb| validate_xmit_vlan(cx, *skb));
                all
            })
        };
        all.flat_map(prepare).collect()
    })
}

/// What the driver did not take goes first when it takes packets again.
fn dev_requeue_skb(cx: &mut Cx, q: QdiscId, skbs: impl Iterator<Item = SkbId>) {
    let mut some = false;
    for skb in skbs {
        let len = qdisc_pkt_len(cx, skb);
        let qdisc = &mut cx.k.qdiscs[q];
        some = true;
        qdisc.gso_skb.push_back(skb);
        qdisc.qstats.requeues += 1;
        qdisc.count_in(len);
    }
    if !some {
        return;
    }
    if cx.k.qdiscs[q].has(TCQ_F_NOLOCK) {
        cx.k.qdiscs[q].state.missed = true;
    } else {
        __netif_schedule(cx, q);
    }
}

/// A stopped queue is a reason to wait for the driver, which wakes it.
fn qdisc_maybe_clear_missed(cx: &mut Cx, q: QdiscId, queue: u16) {
    let is_stopped = queue_of(cx, q, queue).is_stopped();
    let state = &mut cx.k.qdiscs[q].state;
    state.missed = !is_stopped;
    state.draining |= is_stopped;
}

/// `NET_TX_SOFTIRQ`: sends the packets of the disciplines that were scheduled.
#[cold]
pub fn net_tx_action(cx: &mut Cx) {
    cx.within(Func::NetTxAction, None, |cx| {
        let sd = &mut cx.k.cpus[cx.cpu.index()];
        sd.stat.net_tx_softirqs += 1;
        let (sent, scheduled) =
            (std::mem::take(&mut sd.completion_queue), std::mem::take(&mut sd.output_queue));
        for skb in sent {
            cx.discard_skb(skb);
        }
        for q in scheduled {
            let qdisc = &mut cx.k.qdiscs[q];
            qdisc.state.scheduled = false;
            if !(qdisc.has(TCQ_F_NOLOCK) && qdisc.state.deactivated) {
                qdisc_run(cx, q);
            }
        }
    })
}

/// Whether all packets may go the direct way: the device has no queue that could be full, and no discipline.
fn update_direct_xmit(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    let has_no_queue = |txq: &NetdevQueue| cx.k.qdiscs[txq.qdisc].ops.enqueue.is_none();
    let direct_xmit = netdev.no_queue && netdev.tx.iter().all(has_no_queue);
    cx.k.devs[dev].direct_xmit = direct_xmit;
}

/// Puts a discipline in a device's transmit queue, which does not use it before the device is activated; returns the one
/// that was there.
pub fn dev_graft_qdisc(cx: &mut Cx, dev: DevId, queue: u16, qdisc: Option<QdiscId>) -> QdiscId {
    let txq = &mut cx.k.devs[dev].tx[usize::from(queue)];
    let old = std::mem::replace(&mut txq.qdisc_sleeping, qdisc.unwrap_or(QdiscId::NOOP));
    txq.qdisc = QdiscId::NOOP;
    update_direct_xmit(cx, dev);
    old
}

/// Attaches the default qdisc to a device that is up for the first time, and lets packets in once it has a carrier.
pub fn dev_activate(cx: &mut Cx, dev: DevId) {
    if cx.k.devs[dev].qdisc == QdiscId::NOOP {
        attach_default_qdiscs(cx, dev);
    }
    if !cx.k.devs[dev].carrier {
        return;
    }
    let now = jiffies(cx.now);
    for queue in 0..cx.k.devs[dev].tx.len() {
        let txq = &mut cx.k.devs[dev].tx[queue];
        (txq.qdisc, txq.trans_start) = (txq.qdisc_sleeping, now);
        let q = txq.qdisc;
        cx.k.qdiscs[q].state.deactivated = false;
    }
    update_direct_xmit(cx, dev);
}

fn attach_default_qdiscs(cx: &mut Cx, dev: DevId) {
    let netdev = &cx.k.devs[dev];
    if netdev.tx.len() > 1 && !netdev.no_queue {
        let mq = qdisc_lookup_ops(cx.k, "mq");
        let root = mq.and_then(|ops| qdisc_create_dflt(cx, dev, 0, ops, TC_H_ROOT));
        if let Some(root) = root {
            cx.k.devs[dev].qdisc = root;
            if let Some(attach) = cx.k.qdiscs[root].ops.attach {
                attach(cx, root);
            }
        }
    } else {
        attach_one_each(cx, dev, netdev.no_queue);
    }
    // As where the length of the queue is 0 and pfifo_fast cannot be.
    if cx.k.devs[dev].qdisc == QdiscId::NOOP {
        attach_one_each(cx, dev, true);
    }
}

/// Gives each transmit queue a default discipline of its own; that of the first is the device's root.
fn attach_one_each(cx: &mut Cx, dev: DevId, no_queue: bool) {
    let id = if no_queue { "noqueue" } else { cx.k.core.default_qdisc };
    let Some(ops) = qdisc_lookup_ops(cx.k, id) else { return };
    let queues = cx.k.devs[dev].tx.len() as u16;
    for queue in 0..queues {
        let Some(q) = qdisc_create_dflt(cx, dev, queue, ops, TC_H_ROOT) else { return };
        if queues == 1 {
            cx.k.qdiscs[q].flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT;
        }
        cx.k.devs[dev].tx[usize::from(queue)].qdisc_sleeping = q;
    }
    let root = cx.k.devs[dev].tx[0].qdisc_sleeping;
    cx.k.qdiscs[root].refcnt += 1;
    cx.k.devs[dev].qdisc = root;
}

/// Drops all further packets, and those that wait.
pub fn dev_deactivate(cx: &mut Cx, dev: DevId) {
    cx.k.devs[dev].direct_xmit = false;
    for queue in 0..cx.k.devs[dev].tx.len() {
        let txq = &mut cx.k.devs[dev].tx[queue];
        let (active, sleeping) = (std::mem::replace(&mut txq.qdisc, QdiscId::NOOP), txq.qdisc_sleeping);
        for q in [active, sleeping] {
            let qdisc = &mut cx.k.qdiscs[q];
            if q == active && !qdisc.has(TCQ_F_BUILTIN) {
                qdisc.state.deactivated = true;
            }
        }
        qdisc_reset(cx, sleeping);
        let state = &mut cx.k.qdiscs[sleeping].state;
        (state.missed, state.draining) = (false, false);
    }
}

/// Takes a device's disciplines away.
pub fn dev_shutdown(cx: &mut Cx, dev: DevId) {
    for queue in 0..cx.k.devs[dev].tx.len() as u16 {
        let old = dev_graft_qdisc(cx, dev, queue, None);
        qdisc_put(cx, old);
    }
    let netdev = &mut cx.k.devs[dev];
    let gone = [netdev.ingress.take(), Some(std::mem::replace(&mut netdev.qdisc, QdiscId::NOOP))];
    for old in gone.into_iter().flatten() {
        qdisc_put(cx, old);
    }
}

/// The length of the transmit queue changed (`dev_qdisc_change_tx_queue_len`).
///
/// # Errors
///
/// Those of disciplines that take it for their own length.
pub fn dev_qdisc_change_tx_queue_len(cx: &mut Cx, dev: DevId) -> Result<(), NlError> {
    let (is_up, len) = (cx.k.devs[dev].is_up(), cx.k.devs[dev].tx_queue_len);
    if is_up {
        dev_deactivate(cx, dev);
    }
    let mut done = Ok(());
    for queue in 0..cx.k.devs[dev].tx.len() {
        let q = cx.k.devs[dev].tx[queue].qdisc_sleeping;
        if let Some(change) = cx.k.qdiscs[q].ops.change_tx_queue_len {
            done = done.and_then(|()| change(cx, q, len));
        }
    }
    if is_up {
        dev_activate(cx, dev);
    }
    done
}
