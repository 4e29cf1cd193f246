//! `prio`: bands by priority; a band is served when those before it are empty.
//!
//! Kernel: net/sched/sch_prio.c.

use super::cls_api::{TcfResult, only_its_own, tcf_classify};
use super::sch_generic::PrioOpt;
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::qdisc::{
    qdisc_create_dflt, qdisc_dequeue_peeked, qdisc_enqueue, qdisc_lookup_ops, qdisc_peek, qdisc_pkt_len,
    qdisc_purge_queue, qdisc_put, qdisc_reset,
};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, NetXmit, QdiscClassOps, QdiscData, QdiscOps, qdisc_data};
use crate::tables::qdisc::{tc_h_maj, tc_h_min};
use crate::{Cx, Kernel};

/// The module.
pub static MODULE: Module = Module { qdiscs: &[&PRIO_QDISC_OPS], ..Module::named("sch_prio") };

static PRIO_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::PrioEnqueue, prio_enqueue)),
    dequeue: prio_dequeue,
    dequeue_func: Some(Func::PrioDequeue),
    peek: |cx, sch| data(cx, sch).queues.clone().into_iter().find_map(|queue| qdisc_peek(cx, queue)),
    init: Some(|cx, sch, opt| {
        let opt = opt.ok_or(Errno::EINVAL)?;
        cx.k.qdiscs[sch].set_priv(Prio { queues: Vec::new(), prio2band: [0; 16] });
        prio_tune(cx, sch, opt)
    }),
    change: Some(prio_tune),
    reset: Some(|cx, sch| queues(cx, sch).into_iter().for_each(|queue| qdisc_reset(cx, queue))),
    destroy: Some(|cx, sch| queues(cx, sch).into_iter().for_each(|queue| qdisc_put(cx, queue))),
    dump: Some(|kernel, sch| {
        let q = data_of(kernel, sch);
        Box::new(PrioOpt { bands: q.queues.len() as i32, priomap: q.prio2band })
    }),
    cl_ops: Some(&QdiscClassOps {
        select_queue: None,
        graft: prio_graft,
        leaf: |kernel, sch, class| data_of(kernel, sch).queues.get(class as usize - 1).copied(),
        find: |kernel, sch, classid| {
            let bands = data_of(kernel, sch).queues.len() as u32;
            Some(tc_h_min(classid)).filter(|class| (1..=bands).contains(class))
        },
        walk: |kernel, sch| (1..=data_of(kernel, sch).queues.len() as u32).collect(),
        dump: prio_dump_class,
        qlen_notify: None,
        change: None,
        tcf_block: Some(only_its_own),
        chain_head_change: None,
        bind_tcf: None,
        delete: None,
    }),
    ..QdiscOps::new("prio")
};

#[derive(Debug)]
struct Prio {
    queues: Vec<QdiscId>,
    prio2band: [u8; 16],
}

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut Prio {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("a prio has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &Prio {
    kernel.qdiscs[sch].qdisc_priv().expect("a prio has its data")
}

/// Its queues; none if it could not begin.
fn queues(cx: &Cx, sch: QdiscId) -> Vec<QdiscId> {
    cx.k.qdiscs[sch].qdisc_priv::<Prio>().map(|q| q.queues.clone()).unwrap_or_default()
}

/// The band of a packet: a priority is a class of this discipline; a filter says one; or it is one of 16. Otherwise a filter took it.
fn prio_classify(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> Result<QdiscId, NetXmit> {
    let priority = cx.skbs[skb].priority;
    let is_class = tc_h_maj(priority) == cx.k.qdiscs[sch].handle;
    let said = if is_class { None } else { Some(tcf_classify(cx, sch, 0, skb)) };
    if let Some(end) = said.and_then(|said| said.ends(cx, sch, skb)) {
        return Err(end);
    }
    let class = said.map_or(Some(priority), TcfResult::class);
    let q = data_of(cx.k, sch);
    let by_map = |priority: u32| q.queues[usize::from(q.prio2band[(priority & 15) as usize])];
    if let Some(class) = class {
        let band = tc_h_min(class).wrapping_sub(1) as usize;
        return Ok(q.queues.get(band).copied().unwrap_or(by_map(0)));
    }
    Ok(by_map(if tc_h_maj(priority) == 0 { priority } else { 0 }))
}

fn prio_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let len = qdisc_pkt_len(cx, skb);
    let band = match prio_classify(cx, sch, skb) {
        Ok(band) => band,
        Err(end) => return end,
    };
    let done = qdisc_enqueue(cx, band, skb);
    match done {
        NetXmit::Success => cx.k.qdiscs[sch].count_in(len),
        NetXmit::Drop | NetXmit::Cn => cx.k.qdiscs[sch].qstats.drops += 1,
        NetXmit::Bypass => {}
    }
    done
}

fn prio_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    let skb = queues(cx, sch).into_iter().find_map(|queue| qdisc_dequeue_peeked(cx, queue))?;
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_sent(len);
    qdisc.count_out(len);
    Some(skb)
}

/// A queue of its own for a band.
fn new_queue(cx: &mut Cx, sch: QdiscId, band: u32) -> Option<QdiscId> {
    let qdisc = &cx.k.qdiscs[sch];
    let (dev, queue, parent) = (qdisc.dev, qdisc.queue, tc_h_maj(qdisc.handle) | (band + 1));
    let made = qdisc_create_dflt(cx, dev, queue, qdisc_lookup_ops(cx.k, "pfifo")?, parent)?;
    cx.k.qdiscs.hash_add(made, true);
    Some(made)
}

fn prio_tune(cx: &mut Cx, sch: QdiscId, opt: &dyn QdiscData) -> Result<(), NlError> {
    /// `TCQ_MIN_PRIO_BANDS` and `TCQ_PRIO_BANDS`.
    const BANDS: std::ops::RangeInclusive<i32> = 2..=16;
    let PrioOpt { bands, priomap } = *qdisc_data::<PrioOpt>(opt).ok_or(Errno::EINVAL)?;
    if !BANDS.contains(&bands) || priomap.iter().any(|band| i32::from(*band) >= bands) {
        return Err(Errno::EINVAL.into());
    }
    let mut made = queues(cx, sch);
    let gone = made.split_off(made.len().min(bands as usize));
    for band in made.len() as u32..bands as u32 {
        made.push(new_queue(cx, sch, band).ok_or(Errno::ENOMEM)?);
    }
    let q = data(cx, sch);
    (q.queues, q.prio2band) = (made, priomap);
    for queue in gone {
        qdisc_purge_queue(cx, queue);
        qdisc_put(cx, queue);
    }
    Ok(())
}

fn prio_graft(
    cx: &mut Cx,
    sch: QdiscId,
    class: u32,
    new: Option<QdiscId>,
) -> Result<Option<QdiscId>, NlError> {
    let new = new.or_else(|| new_queue(cx, sch, class - 1)).unwrap_or(QdiscId::NOOP);
    let old = data(cx, sch).queues.get_mut(class as usize - 1).map(|slot| std::mem::replace(slot, new));
    if let Some(old) = old {
        qdisc_purge_queue(cx, old);
    }
    Ok(old)
}

fn prio_dump_class(cx: &Cx, sch: QdiscId, class: u32) -> ClassDump {
    let handle = cx.k.qdiscs[sch].handle;
    let leaf = &cx.k.qdiscs[data_of(cx.k, sch).queues[class as usize - 1]];
    ClassDump {
        bstats: Some(leaf.bstats),
        qstats: Some((leaf.qstats, leaf.qlen)),
        ..ClassDump::new(handle | class, handle, leaf.handle)
    }
}
