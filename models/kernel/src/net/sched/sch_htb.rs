//! `htb`: classes with a rate each, which lend each other what they do not use.
//!
//! Kernel: net/sched/sch_htb.c. Not modelled: offload to a card, estimators of rates.

use super::cls_api::{is_bound, tcf_classify};
use super::htb_classes::{Class, Classes, MAXDEPTH, NUMPRIO};
use super::psched::{RateCfg, RateSpec, ns_to_ticks, ticks_to_ns};
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::qdisc::{
    qdisc_create_dflt, qdisc_dequeue, qdisc_drop, qdisc_enqueue, qdisc_lookup_ops, qdisc_peek_dequeued,
    qdisc_pkt_len, qdisc_purge_queue, qdisc_put, qdisc_reset, qdisc_watchdog_cancel, qdisc_watchdog_schedule,
};
use crate::net::core::sch_generic::dev_graft_qdisc;
use crate::netlink::{Errno, NlError};
use crate::qdisc::{
    ClassDump, ClassRequest, NetXmit, QdiscClassOps, QdiscData, QdiscOps, QueueStats, qdisc_data,
};
use crate::tables::klog::{LOG_ERR, LOG_WARNING};
use crate::tables::qdisc::{TC_H_ROOT, tc_h_maj, tc_h_min};
use crate::{Cx, Kernel};
use glassnet_sim::Nanos;

/// The module.
pub static MODULE: Module = Module { qdiscs: &[&HTB_QDISC_OPS], ..Module::named("sch_htb") };

static HTB_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::HtbEnqueue, htb_enqueue)),
    dequeue: htb_dequeue,
    dequeue_func: Some(Func::HtbDequeue),
    peek: qdisc_peek_dequeued,
    init: Some(htb_init),
    attach: Some(htb_attach),
    reset: Some(htb_reset),
    destroy: Some(htb_destroy),
    dump: Some(|kernel, sch| {
        let q = data_of(kernel, sch);
        let (defcls, direct_pkts) = (q.defcls, q.direct_pkts);
        Box::new(HtbGlob { defcls, r2q: q.r2q, direct_qlen: Some(q.direct_qlen), direct_pkts })
    }),
    collect_stats: Some(|kernel, sch| {
        let mut stats = kernel.qdiscs[sch].stats();
        stats.qstats.overlimits = data_of(kernel, sch).classes.overlimits;
        stats
    }),
    cl_ops: Some(&QdiscClassOps {
        select_queue: None,
        graft: htb_graft,
        leaf: |kernel, sch, class| {
            data_of(kernel, sch).classes.get(class).filter(|class| class.level == 0).map(|class| class.leaf)
        },
        find: |kernel, sch, classid| data_of(kernel, sch).classes.get(classid).map(|_| classid),
        walk: |kernel, sch| data_of(kernel, sch).classes.ids(),
        dump: htb_dump_class,
        qlen_notify: Some(|cx, sch, class| data(cx, sch).classes.deactivate(class)),
        change: Some(htb_change_class),
        tcf_block: Some(Some),
        chain_head_change: None,
        bind_tcf: None,
        delete: Some(htb_delete),
    }),
    ..QdiscOps::new("htb")
};

/// Settings of the discipline (`struct tc_htb_glob`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HtbGlob {
    /// The minor number of the class of packets that nothing else gives a class.
    pub defcls: u32,
    /// Rate, in bytes a second, for a byte of quantum.
    pub r2q: u32,
    /// Most packets without a class that may wait; `None`: the device's `txqueuelen`.
    pub direct_qlen: Option<u32>,
    /// Packets without a class so far.
    pub direct_pkts: u32,
}

/// Settings of a class (`struct tc_htb_opt`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HtbOpt {
    /// The rate.
    pub rate: RateSpec,
    /// The ceiling.
    pub ceil: RateSpec,
    /// The time of a burst, in ticks.
    pub buffer: u32,
    /// The same at the ceiling.
    pub cbuffer: u32,
    /// Bytes of a turn; 0: by the rate.
    pub quantum: u32,
    /// Priority.
    pub prio: u32,
    /// The level, which is only told.
    pub level: u32,
}

/// Counters of a class (`struct tc_htb_xstats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HtbXstats {
    /// Packets that it lent.
    pub lends: u32,
    /// Packets that it borrowed.
    pub borrows: u32,
    /// Packets longer than the rate table: none.
    pub giants: u32,
    /// What is in its bucket, in ticks.
    pub tokens: i32,
    /// What is in the bucket of its ceiling, in ticks.
    pub ctokens: i32,
}

#[derive(Debug)]
struct Htb {
    classes: Classes,
    defcls: u32,
    r2q: u32,
    direct_qlen: u32,
    direct_pkts: u32,
}

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut Htb {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("an htb has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &Htb {
    kernel.qdiscs[sch].qdisc_priv().expect("an htb has its data")
}

/// The leaf of a packet: by its priority, by filters, first those of the discipline and then of each inner class that they say, or
/// the default; `None`: it goes directly. Otherwise a filter took it.
fn htb_classify(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> Result<Option<u32>, NetXmit> {
    let (handle, priority) = (cx.k.qdiscs[sch].handle, cx.skbs[skb].priority);
    if priority == handle {
        return Ok(None);
    }
    let level = |cx: &Cx, id: u32| data_of(cx.k, sch).classes.get(id).map(|class| class.level);
    let mut found = Some(priority).filter(|id| level(cx, *id).is_some());
    loop {
        if let Some(leaf) = found.filter(|id| level(cx, *id) == Some(0)) {
            return Ok(Some(leaf));
        }
        let class = found.unwrap_or(0);
        if !cx.k.qdiscs[sch].has_filters(class) {
            break;
        }
        let result = tcf_classify(cx, sch, class, skb);
        if let Some(end) = result.ends(cx, sch, skb) {
            return Err(end);
        }
        let Some(said) = result.class() else { break };
        if said == handle {
            return Ok(None);
        }
        if level(cx, said).is_none() {
            break;
        }
        found = Some(said);
    }
    let default = tc_h_maj(handle) | tc_h_min(data_of(cx.k, sch).defcls);
    Ok(Some(default).filter(|id| level(cx, *id) == Some(0)))
}

fn htb_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let len = qdisc_pkt_len(cx, skb);
    let class = match htb_classify(cx, sch, skb) {
        Ok(class) => class,
        Err(end) => return end,
    };
    let Some(id) = class else {
        let limit = data(cx, sch).direct_qlen as usize;
        if cx.k.qdiscs[sch].q.len() >= limit {
            return qdisc_drop(cx, sch, skb);
        }
        data(cx, sch).direct_pkts += 1;
        let qdisc = &mut cx.k.qdiscs[sch];
        qdisc.q.push_back(skb);
        qdisc.count_in(len);
        return NetXmit::Success;
    };
    let Some(leaf) = data(cx, sch).classes.get(id).map(|class| class.leaf) else { return NetXmit::Bypass };
    let done = qdisc_enqueue(cx, leaf, skb);
    if done != NetXmit::Success {
        if done != NetXmit::Bypass {
            cx.k.qdiscs[sch].qstats.drops += 1;
            if let Some(class) = data(cx, sch).classes.get_mut(id) {
                class.drops += 1;
            }
        }
        return done;
    }
    data(cx, sch).classes.activate(id);
    cx.k.qdiscs[sch].count_in(len);
    NetXmit::Success
}

fn htb_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    if let Some(skb) = cx.k.qdiscs[sch].q.pop_front() {
        return Some(sent(cx, sch, skb));
    }
    if cx.k.qdiscs[sch].qlen == 0 {
        return None;
    }
    const FIVE_SECONDS: i64 = 5_000_000_000;
    let now = cx.ktime().0 as i64;
    data(cx, sch).classes.now = now;
    let mut next_event = now + FIVE_SECONDS;
    for level in 0..MAXDEPTH {
        let classes = &mut data(cx, sch).classes;
        next_event = next_event.min(classes.do_events(level));
        for prio in classes.prios(level) {
            if let Some(skb) = htb_dequeue_tree(cx, sch, prio, level) {
                return Some(sent(cx, sch, skb));
            }
        }
    }
    qdisc_watchdog_schedule(cx, sch, Nanos(next_event.max(now) as u64));
    None
}

fn sent(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> SkbId {
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_sent(len);
    qdisc.count_out(len);
    skb
}

/// A packet of the leaf whose turn it is at a level and a priority.
fn htb_dequeue_tree(cx: &mut Cx, sch: QdiscId, prio: usize, level: usize) -> Option<SkbId> {
    let mut start = data(cx, sch).classes.lookup_leaf(level, prio);
    let mut next = start;
    loop {
        let id = next?;
        let leaf = data(cx, sch).classes.get(id)?.leaf;
        if cx.k.qdiscs[leaf].qlen == 0 {
            let classes = &mut data(cx, sch).classes;
            classes.deactivate(id);
            if !classes.has_row(level, prio) {
                return None;
            }
            let following = classes.lookup_leaf(level, prio);
            if next == start {
                start = following;
            }
            next = following;
            continue;
        }
        if let Some(skb) = qdisc_dequeue(cx, leaf) {
            charge(cx, sch, (id, leaf), (level, prio), skb);
            return Some(skb);
        }
        let classes = &mut data(cx, sch).classes;
        classes.next_turn(id, level, prio);
        next = classes.lookup_leaf(level, prio);
        if next == start {
            return None;
        }
    }
}

fn charge(cx: &mut Cx, sch: QdiscId, (id, leaf): (u32, QdiscId), (level, prio): (usize, usize), skb: SkbId) {
    let (len, is_empty) = (qdisc_pkt_len(cx, skb), cx.k.qdiscs[leaf].qlen == 0);
    let classes = &mut data(cx, sch).classes;
    let Some(class) = classes.get_mut(id) else { return };
    class.bstats.bytes += u64::from(len);
    class.bstats.packets += 1;
    class.deficit[level] -= len as i32;
    if class.deficit[level] < 0 {
        class.deficit[level] += class.quantum;
        classes.next_turn(id, level, prio);
    }
    if is_empty {
        classes.deactivate(id);
    }
    classes.charge(id, level, len);
}

fn htb_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let glob = *opt.and_then(qdisc_data::<HtbGlob>).ok_or(Errno::EINVAL)?;
    let queue_len = cx.k.devs[cx.k.qdiscs[sch].dev].tx_queue_len;
    cx.k.qdiscs[sch].set_priv(Htb {
        classes: Classes::default(),
        defcls: glob.defcls,
        r2q: (glob.r2q as i32).max(1) as u32,
        direct_qlen: glob.direct_qlen.unwrap_or(queue_len),
        direct_pkts: 0,
    });
    Ok(())
}

fn htb_attach(cx: &mut Cx, sch: QdiscId) {
    let dev = cx.k.qdiscs[sch].dev;
    for queue in 0..cx.k.devs[dev].tx.len() as u16 {
        let old = dev_graft_qdisc(cx, dev, queue, Some(sch));
        cx.k.qdiscs[sch].refcnt += 1;
        qdisc_put(cx, old);
    }
}

fn leaves(cx: &mut Cx, sch: QdiscId) -> Vec<QdiscId> {
    let Some(q) = cx.k.qdiscs[sch].qdisc_priv::<Htb>() else { return Vec::new() };
    let classes = q.classes.ids().into_iter().filter_map(|id| q.classes.get(id));
    classes.filter(|class| class.level == 0).map(|class| class.leaf).collect()
}

fn htb_reset(cx: &mut Cx, sch: QdiscId) {
    for leaf in leaves(cx, sch) {
        qdisc_reset(cx, leaf);
    }
    if let Some(q) = cx.k.qdiscs[sch].qdisc_priv_mut::<Htb>() {
        q.classes.reset();
    }
    qdisc_watchdog_cancel(cx, sch);
}

fn htb_destroy(cx: &mut Cx, sch: QdiscId) {
    for leaf in leaves(cx, sch) {
        qdisc_put(cx, leaf);
    }
}

/// A queue of its own for a class.
fn new_leaf(cx: &mut Cx, sch: QdiscId, classid: u32) -> QdiscId {
    let (dev, queue) = (cx.k.qdiscs[sch].dev, cx.k.qdiscs[sch].queue);
    let pfifo = qdisc_lookup_ops(cx.k, "pfifo");
    pfifo.and_then(|ops| qdisc_create_dflt(cx, dev, queue, ops, classid)).unwrap_or(QdiscId::NOOP)
}

fn htb_graft(
    cx: &mut Cx,
    sch: QdiscId,
    class: u32,
    new: Option<QdiscId>,
) -> Result<Option<QdiscId>, NlError> {
    if data(cx, sch).classes.get(class).is_none_or(|class| class.level > 0) {
        return Err(Errno::EINVAL.into());
    }
    let new = match new {
        Some(new) => new,
        None => new_leaf(cx, sch, class),
    };
    let slot = data(cx, sch).classes.get_mut(class).map(|class| &mut class.leaf);
    let old = slot.map(|leaf| std::mem::replace(leaf, new));
    if let Some(old) = old {
        qdisc_purge_queue(cx, old);
    }
    Ok(old)
}

fn htb_dump_class(cx: &Cx, sch: QdiscId, id: u32) -> ClassDump {
    let class = data_of(cx.k, sch).classes.get(id).expect("a class that was found");
    let (leaf, is_leaf) = (&cx.k.qdiscs[class.leaf], class.level == 0);
    let ticks = |ns: i64| (ns >> 6).clamp(i64::from(i32::MIN), i64::from(i32::MAX));
    ClassDump {
        handle: id,
        parent: class.parent.unwrap_or(TC_H_ROOT),
        leaf: if is_leaf { leaf.handle } else { 0 },
        options: Some(Box::new(HtbOpt {
            rate: class.rate.spec,
            ceil: class.ceil.spec,
            buffer: ns_to_ticks(class.buffer as u64) as u32,
            cbuffer: ns_to_ticks(class.cbuffer as u64) as u32,
            quantum: class.quantum as u32,
            prio: class.prio,
            level: class.level as u32,
        })),
        bstats: Some(class.bstats),
        qstats: Some((
            QueueStats {
                backlog: if is_leaf { leaf.qstats.backlog } else { 0 },
                drops: class.drops,
                overlimits: class.overlimits,
                requeues: 0,
            },
            if is_leaf { leaf.qlen } else { 0 },
        )),
        xstats: Some(Box::new(HtbXstats {
            lends: class.lends,
            borrows: class.borrows,
            giants: 0,
            tokens: ticks(class.tokens) as i32,
            ctokens: ticks(class.ctokens) as i32,
        })),
    }
}

fn htb_delete(cx: &mut Cx, sch: QdiscId, id: u32) -> Result<(), NlError> {
    let class = data(cx, sch).classes.get(id).cloned().ok_or(Errno::ENOENT)?;
    if class.children > 0 || is_bound(cx, sch, id) {
        return Err(Errno::EBUSY.into());
    }
    let siblings = class.parent.and_then(|parent| data_of(cx.k, sch).classes.get(parent));
    let childless = class.parent.filter(|_| siblings.is_some_and(|parent| parent.children == 1));
    if class.level == 0 {
        qdisc_purge_queue(cx, class.leaf);
    }
    data(cx, sch).classes.remove(id);
    if let Some(parent) = childless {
        let (leaf, now) = (new_leaf(cx, sch, parent), cx.ktime().0 as i64);
        data(cx, sch).classes.make_leaf(parent, leaf, now);
    }
    if class.level == 0 {
        qdisc_put(cx, class.leaf);
    }
    Ok(())
}

fn htb_change_class(
    cx: &mut Cx,
    sch: QdiscId,
    request: ClassRequest,
    class: Option<u32>,
) -> Result<(), NlError> {
    let opt = *request.options.and_then(qdisc_data::<HtbOpt>).ok_or(Errno::EINVAL)?;
    if opt.rate.rate == 0 || opt.ceil.rate == 0 {
        return Err(Errno::EINVAL.into());
    }
    let id = match class {
        Some(id) => id,
        None => {
            new_class(cx, sch, request, &opt)?;
            request.classid
        }
    };
    let r2q = data(cx, sch).r2q;
    let Some(class) = data(cx, sch).classes.get_mut(id) else { return Err(Errno::ENOENT.into()) };
    (class.rate, class.ceil) = (RateCfg::new(opt.rate), RateCfg::new(opt.ceil));
    (class.buffer, class.cbuffer) = (ticks_to_ns(opt.buffer) as i64, ticks_to_ns(opt.cbuffer) as i64);
    let mut warning = None;
    if class.level == 0 {
        let by_rate = (opt.rate.rate / u64::from(r2q)).min(i32::MAX as u64) as i32;
        class.quantum = match opt.quantum {
            0 => by_rate.clamp(1000, 200_000),
            quantum => quantum as i32,
        };
        if opt.quantum == 0 && class.quantum != by_rate {
            warning = Some(if by_rate < 1000 { "small" } else { "big" });
        }
        class.prio = opt.prio.min(NUMPRIO as u32 - 1);
    }
    if let Some(size) = warning {
        cx.printk(LOG_WARNING, format!("HTB: quantum of class {id:X} is {size}. Consider r2q change."));
    }
    Ok(())
}

fn new_class(cx: &mut Cx, sch: QdiscId, request: ClassRequest, opt: &HtbOpt) -> Result<(), NlError> {
    let handle = cx.k.qdiscs[sch].handle;
    if request.classid == 0 || tc_h_maj(request.classid) != tc_h_maj(handle) {
        return Err(Errno::EINVAL.into());
    }
    let classes = &data_of(cx.k, sch).classes;
    let parent = Some(request.parent).filter(|id| *id != TC_H_ROOT && classes.get(*id).is_some());
    let above = parent.and_then(|parent| classes.get(classes.get(parent)?.parent?));
    if above.is_some_and(|above| above.level < 2) {
        cx.printk(LOG_ERR, "htb: tree is too deep".to_owned());
        return Err(Errno::EINVAL.into());
    }
    let leaf = new_leaf(cx, sch, request.classid);
    let was_leaf = parent.and_then(|id| data_of(cx.k, sch).classes.get(id)).filter(|class| class.level == 0);
    if let (Some(queue), Some(parent)) = (was_leaf.map(|class| class.leaf), parent) {
        qdisc_purge_queue(cx, queue);
        data(cx, sch).classes.make_inner(parent);
        qdisc_put(cx, queue);
    }
    let mut class = Class::new(parent, leaf, cx.ktime().0 as i64);
    (class.tokens, class.ctokens) = (ticks_to_ns(opt.buffer) as i64, ticks_to_ns(opt.cbuffer) as i64);
    data(cx, sch).classes.insert(request.classid, class);
    if leaf != QdiscId::NOOP {
        cx.k.qdiscs.hash_add(leaf, true);
    }
    Ok(())
}
