//! `mq`: each transmit queue of a device has a discipline of its own.
//!
//! Kernel: net/sched/sch_mq.c

use crate::ids::{DevId, QdiscId};
use crate::net::core::qdisc::{qdisc_create_dflt, qdisc_lookup_ops, qdisc_put};
use crate::net::core::sch_generic::{dev_activate, dev_deactivate, dev_graft_qdisc};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, QdiscClassOps, QdiscData, QdiscOps, QdiscStats};
use crate::tables::qdisc::{TC_H_ROOT, TCQ_F_MQROOT, TCQ_F_NOPARENT, TCQ_F_ONETXQUEUE, tc_h_maj, tc_h_min};
use crate::{Cx, Kernel};

/// The discipline.
pub static MQ_QDISC_OPS: QdiscOps = QdiscOps {
    init: Some(mq_init),
    attach: Some(mq_attach),
    destroy: Some(mq_destroy),
    collect_stats: Some(mq_stats),
    cl_ops: Some(&QdiscClassOps {
        select_queue: Some(|_, _, parent| tc_h_min(parent).saturating_sub(1) as u16),
        graft: mq_graft,
        leaf: |kernel, sch, class| {
            Some(kernel.devs[kernel.qdiscs[sch].dev].tx[class as usize - 1].qdisc_sleeping)
        },
        find: |kernel, sch, classid| {
            Some(tc_h_min(classid)).filter(|class| (1..=queues(kernel, sch)).contains(class))
        },
        walk: |kernel, sch| (1..=queues(kernel, sch)).collect(),
        dump: mq_dump_class,
        qlen_notify: None,
        change: None,
        tcf_block: None,
        chain_head_change: None,
        bind_tcf: None,
        delete: None,
    }),
    ..QdiscOps::new("mq")
};

/// The disciplines of the queues, before they are attached.
struct Queues(Vec<QdiscId>);

fn queues(kernel: &Kernel, sch: QdiscId) -> u32 {
    kernel.devs[kernel.qdiscs[sch].dev].tx.len() as u32
}

fn mq_init(cx: &mut Cx, sch: QdiscId, _: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let (dev, handle, parent) = (cx.k.qdiscs[sch].dev, cx.k.qdiscs[sch].handle, cx.k.qdiscs[sch].parent);
    if parent != TC_H_ROOT || queues(cx.k, sch) < 2 {
        return Err(Errno::EOPNOTSUPP.into());
    }
    let ops = qdisc_lookup_ops(cx.k, cx.k.core.default_qdisc).ok_or(Errno::ENOMEM)?;
    let mut made = Vec::new();
    for queue in 0..queues(cx.k, sch) {
        let q = qdisc_create_dflt(cx, dev, queue as u16, ops, tc_h_maj(handle) | (queue + 1));
        made.extend(q);
    }
    for q in &made {
        cx.k.qdiscs[*q].flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT;
    }
    let is_complete = made.len() as u32 == queues(cx.k, sch);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.set_priv(Queues(made));
    qdisc.flags |= TCQ_F_MQROOT;
    if is_complete { Ok(()) } else { Err(Errno::ENOMEM.into()) }
}

fn take(cx: &mut Cx, sch: QdiscId) -> Vec<QdiscId> {
    let queues = cx.k.qdiscs[sch].qdisc_priv_mut::<Queues>();
    queues.map(|queues| std::mem::take(&mut queues.0)).unwrap_or_default()
}

fn mq_destroy(cx: &mut Cx, sch: QdiscId) {
    for q in take(cx, sch) {
        qdisc_put(cx, q);
    }
}

fn mq_attach(cx: &mut Cx, sch: QdiscId) {
    let dev = cx.k.qdiscs[sch].dev;
    for (queue, q) in take(cx, sch).into_iter().enumerate() {
        let old = dev_graft_qdisc(cx, dev, queue as u16, Some(q));
        qdisc_put(cx, old);
        if (queue as u32) < cx.k.devs[dev].real_num_tx_queues {
            cx.k.qdiscs.hash_add(q, false);
        }
    }
}

fn mq_graft(cx: &mut Cx, sch: QdiscId, class: u32, new: Option<QdiscId>) -> Result<Option<QdiscId>, NlError> {
    let dev: DevId = cx.k.qdiscs[sch].dev;
    let is_up = cx.k.devs[dev].is_up();
    if is_up {
        dev_deactivate(cx, dev);
    }
    let old = dev_graft_qdisc(cx, dev, class as u16 - 1, new);
    if let Some(new) = new {
        cx.k.qdiscs[new].flags |= TCQ_F_ONETXQUEUE | TCQ_F_NOPARENT;
    }
    if is_up {
        dev_activate(cx, dev);
    }
    Ok(Some(old))
}

/// The sum of the queues.
fn mq_stats(kernel: &Kernel, sch: QdiscId) -> QdiscStats {
    let mut sum = QdiscStats::default();
    for txq in &kernel.devs[kernel.qdiscs[sch].dev].tx {
        let QdiscStats { bstats, qstats, qlen } = kernel.qdiscs[txq.qdisc_sleeping].stats();
        sum.qlen += qlen;
        sum.bstats.packets += bstats.packets;
        sum.bstats.bytes += bstats.bytes;
        sum.qstats.backlog += qstats.backlog;
        sum.qstats.drops += qstats.drops;
        sum.qstats.requeues += qstats.requeues;
        sum.qstats.overlimits += qstats.overlimits;
    }
    sum
}

fn mq_dump_class(cx: &Cx, sch: QdiscId, class: u32) -> ClassDump {
    let qdisc = &cx.k.qdiscs[sch];
    let leaf = &cx.k.qdiscs[cx.k.devs[qdisc.dev].tx[class as usize - 1].qdisc_sleeping];
    ClassDump {
        bstats: Some(leaf.bstats),
        qstats: Some((leaf.qstats, leaf.qlen)),
        ..ClassDump::new(qdisc.handle | class, TC_H_ROOT, leaf.handle)
    }
}
