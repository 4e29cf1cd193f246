//! `netem`: a network in a queue, with delay, loss, duplication, corruption, reordering and a rate.
//!
//! Kernel: net/sched/sch_netem.c. Not modelled: slots, models of loss with states.

use std::collections::{BTreeMap, VecDeque};

use super::codel::inet_ecn_set_ce;
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::gso::skb_gso_segment;
use crate::net::core::qdisc::{
    qdisc_dequeue, qdisc_drop, qdisc_enqueue, qdisc_lookup_tree, qdisc_peek_dequeued, qdisc_pkt_len,
    qdisc_purge_queue, qdisc_put, qdisc_reset, qdisc_root, qdisc_tree_reduce_backlog, qdisc_watchdog_cancel,
    qdisc_watchdog_schedule,
};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, NetXmit, QdiscClassOps, QdiscData, QdiscOps, qdisc_data};
use crate::tables::drop_reason::DropReason;
use crate::{Cx, Kernel};
use glassnet_sim::Nanos;

/// The module.
pub static MODULE: Module = Module { qdiscs: &[&NETEM_QDISC_OPS], ..Module::named("sch_netem") };

static NETEM_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::NetemEnqueue, netem_enqueue)),
    dequeue: netem_dequeue,
    dequeue_func: Some(Func::NetemDequeue),
    peek: qdisc_peek_dequeued,
    init: Some(netem_init),
    change: Some(netem_change),
    reset: Some(netem_reset),
    destroy: Some(netem_destroy),
    dump: Some(|kernel, sch| Box::new(data_of(kernel, sch).opt)),
    cl_ops: Some(&QdiscClassOps {
        select_queue: None,
        graft: netem_graft,
        leaf: |kernel, sch, _| data_of(kernel, sch).qdisc,
        find: |_, _, _| Some(1),
        // Its only class is shown while a discipline is in it.
        walk: |kernel, sch| data_of(kernel, sch).qdisc.map(|_| 1).into_iter().collect(),
        dump: |cx, sch, _| {
            let (handle, leaf) = (
                cx.k.qdiscs[sch].handle,
                data_of(cx.k, sch).qdisc.map_or(0, |leaf| cx.k.qdiscs[leaf].handle),
            );
            ClassDump::new(handle | 1, handle, leaf)
        },
        qlen_notify: None,
        change: None,
        tcf_block: None,
        chain_head_change: None,
        bind_tcf: None,
        delete: None,
    }),
    ..QdiscOps::new("netem")
};

/// A probability in units of 2⁻³², and how much each draw depends on the one before (`struct tc_netem_reorder` and others).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Correlated {
    /// The probability.
    pub probability: u32,
    /// The correlation.
    pub correlation: u32,
}

/// Settings (`struct tc_netem_qopt`, `TCA_NETEM_*`); `None`: as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetemOpt {
    /// Delay of each packet, ns.
    pub latency: i64,
    /// Most that it differs, ns.
    pub jitter: i64,
    /// How the differences are spread, in 8,192nds of the jitter (`TCA_NETEM_DELAY_DIST`); `None`: evenly.
    pub dist: Option<&'static [i16]>,
    /// Most packets that may wait.
    pub limit: u32,
    /// Packets that are lost, a probability in units of 2⁻³².
    pub loss: u32,
    /// Each so many packets one overtakes those that wait; 0: none.
    pub gap: u32,
    /// Packets that come twice, a probability.
    pub duplicate: u32,
    /// Correlations.
    pub corr: Option<NetemCorr>,
    /// Packets that overtake.
    pub reorder: Option<Correlated>,
    /// Packets of which a bit is changed.
    pub corrupt: Option<Correlated>,
    /// A rate.
    pub rate: Option<NetemRate>,
    /// A packet that can be marked is not lost.
    pub ecn: Option<bool>,
}

/// How much each draw depends on the one before (`struct tc_netem_corr`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetemCorr {
    /// Of delays.
    pub delay: u32,
    /// Of losses.
    pub loss: u32,
    /// Of duplicates.
    pub dup: u32,
}

/// A rate (`struct tc_netem_rate`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NetemRate {
    /// Bytes a second; 0: any.
    pub rate: u64,
    /// Bytes that each packet counts more.
    pub packet_overhead: i32,
    /// Bytes of a cell; 0: there are none.
    pub cell_size: u32,
    /// Bytes that each cell counts more.
    pub cell_overhead: i32,
}

#[derive(Debug)]
struct Netem {
    /// The settings, all of them.
    opt: NetemOpt,
    /// Packets in the order in which they came, with the time at which each leaves.
    linear: VecDeque<(u64, SkbId)>,
    /// Packets that leave before one that came earlier.
    tree: BTreeMap<(u64, u64), SkbId>,
    /// Packets that came so far.
    came: u64,
    /// Packets since one overtook.
    counter: u32,
    /// The last draws: delay, loss, duplicate, reorder, corrupt.
    last: [u32; 5],
    qdisc: Option<QdiscId>,
}

const DELAY: usize = 0;
const LOSS: usize = 1;
const DUPLICATE: usize = 2;
const REORDER: usize = 3;
const CORRUPT: usize = 4;

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut Netem {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("a netem has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &Netem {
    kernel.qdiscs[sch].qdisc_priv().expect("a netem has its data")
}

fn random(cx: &mut Cx) -> u32 {
    cx.dice.below(1 << 32) as u32
}

/// A random number that depends on the one before (`get_crandom`).
fn get_crandom(cx: &mut Cx, sch: QdiscId, of: usize, correlation: u32) -> u32 {
    let value = u128::from(random(cx));
    if correlation == 0 {
        return value as u32;
    }
    let (rho, last) = (u128::from(correlation) + 1, &mut data(cx, sch).last[of]);
    *last = ((value * ((1 << 32) - rho) + u128::from(*last) * rho) >> 32) as u32;
    *last
}

fn happens(cx: &mut Cx, sch: QdiscId, of: usize, probability: u32, correlation: u32) -> bool {
    probability > 0 && probability >= get_crandom(cx, sch, of, correlation)
}

fn netem_enqueue(cx: &mut Cx, sch: QdiscId, mut skb: SkbId) -> NetXmit {
    let opt = data(cx, sch).opt;
    let corr = opt.corr.unwrap_or_default();
    let mut count = 1 + u32::from(happens(cx, sch, DUPLICATE, opt.duplicate, corr.dup));
    if happens(cx, sch, LOSS, opt.loss, corr.loss) {
        if opt.ecn == Some(true) && inet_ecn_set_ce(cx, skb) {
            cx.k.qdiscs[sch].qstats.drops += 1;
        } else {
            count -= 1;
        }
    }
    if count == 0 {
        qdisc_drop(cx, sch, skb);
        return NetXmit::Bypass;
    }
    // Waiting on the wire is not waiting in this host.
    if opt.latency != 0 || opt.jitter != 0 || opt.rate.is_some_and(|rate| rate.rate > 0) {
        cx.skb_orphan_partial(skb);
    }
    let copy = (count > 1).then(|| cx.skb_clone(skb));
    let corrupt = opt.corrupt.unwrap_or_default();
    let mut rest = Vec::new();
    if happens(cx, sch, CORRUPT, corrupt.probability, corrupt.correlation) && !cx.skbs[skb].is_empty() {
        // Only one of the packets that it was merged of, after its checksum was computed.
        if cx.skbs[skb].gso_size != 0 {
            rest = skb_gso_segment(cx, skb);
            skb = rest.remove(0);
        }
        let len = cx.skbs[skb].len() as u64;
        let (byte, bit) = (cx.dice.below(len) as usize, cx.dice.below(8));
        cx.skbs.data_mut(skb)[byte] ^= 1 << bit;
    }
    let done = enqueue(cx, sch, skb, copy, &opt);
    for segment in rest {
        qdisc_enqueue(cx, sch, segment);
    }
    done
}

/// Lets a packet wait for its time, and a copy of it go through the tree by itself.
fn enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId, copy: Option<SkbId>, opt: &NetemOpt) -> NetXmit {
    if cx.k.qdiscs[sch].qlen >= cx.k.qdiscs[sch].limit {
        cx.k.qdiscs.to_free.extend(copy);
        return qdisc_drop(cx, sch, skb);
    }
    if let Some(copy) = copy {
        enqueue_again(cx, sch, copy);
    }
    let len = qdisc_pkt_len(cx, skb);
    cx.k.qdiscs[sch].count_in(len);
    let waits = opt.gap == 0 || data(cx, sch).counter < opt.gap - 1;
    let reorder = opt.reorder.unwrap_or_default();
    if waits || reorder.probability < get_crandom(cx, sch, REORDER, reorder.correlation) {
        tfifo_enqueue(cx, sch, skb, opt);
    } else {
        data(cx, sch).counter = 0;
        let qdisc = &mut cx.k.qdiscs[sch];
        qdisc.q.push_front(skb);
        qdisc.qstats.requeues += 1;
    }
    NetXmit::Success
}

/// A copy goes through the whole tree, and is not copied again.
fn enqueue_again(cx: &mut Cx, sch: QdiscId, copy: SkbId) {
    let duplicate = std::mem::take(&mut data(cx, sch).opt.duplicate);
    let root = qdisc_root(cx.k, sch);
    qdisc_enqueue(cx, root, copy);
    data(cx, sch).opt.duplicate = duplicate;
}

fn tfifo_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId, opt: &NetemOpt) {
    let mut delay = opt.latency;
    if opt.jitter != 0 {
        let draw = get_crandom(cx, sch, DELAY, opt.corr.unwrap_or_default().delay);
        delay = opt.latency
            + match opt.dist {
                None => i64::from(draw % (2 * opt.jitter as u32)) - opt.jitter,
                Some(dist) => tabledist(opt.jitter, dist[draw as usize % dist.len()]),
            };
    }
    let (mut from, len) = (cx.ktime().0 as i64, qdisc_pkt_len(cx, skb));
    let q = data(cx, sch);
    let rate = opt.rate.unwrap_or_default();
    if rate.rate > 0 {
        let last = q.linear.back().map(|(at, _)| *at).max(q.tree.last_key_value().map(|((at, _), _)| *at));
        if let Some(last) = last {
            // The wire is busy until then.
            delay = (delay - (last as i64 - from)).max(0);
            from = last as i64;
        }
        delay += packet_time_ns(&rate, len);
    }
    let at = from.wrapping_add(delay) as u64;
    q.counter = q.counter.wrapping_add(1);
    q.came += 1;
    if q.linear.back().is_none_or(|(last, _)| at >= *last) {
        q.linear.push_back((at, skb));
    } else {
        q.tree.insert((at, q.came), skb);
    }
}

/// The jitter in a table of delays (`NETEM_DIST_SCALE`).
const DIST_SCALE: i64 = 8192;

/// How far a packet's delay is from the mean, by an entry of the table.
fn tabledist(jitter: i64, entry: i16) -> i64 {
    let entry = i64::from(entry);
    let rest = jitter % DIST_SCALE * entry;
    let half = if rest >= 0 { DIST_SCALE / 2 } else { -DIST_SCALE / 2 };
    (rest + half) / DIST_SCALE + jitter / DIST_SCALE * entry
}

/// The time that a packet takes at the rate.
fn packet_time_ns(rate: &NetemRate, len: u32) -> i64 {
    let mut len = u64::from(len).wrapping_add_signed(i64::from(rate.packet_overhead));
    if rate.cell_size > 0 {
        let cell = u64::from(rate.cell_size).wrapping_add_signed(i64::from(rate.cell_overhead));
        len = u64::from((len as u32).div_ceil(rate.cell_size)).wrapping_mul(cell);
    }
    (len.wrapping_mul(1_000_000_000) / rate.rate) as i64
}

/// When the first packet leaves; true: it stands in the tree.
fn netem_peek(q: &Netem) -> Option<(u64, bool)> {
    let (linear, tree) = (q.linear.front().map(|(at, _)| *at), q.tree.first_key_value());
    match (linear, tree.map(|((at, _), _)| *at)) {
        (None, None) => None,
        (Some(linear), Some(tree)) => Some((tree.min(linear), tree < linear)),
        (Some(linear), None) => Some((linear, false)),
        (None, Some(tree)) => Some((tree, true)),
    }
}

fn netem_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    loop {
        if let Some(skb) = cx.k.qdiscs[sch].q.pop_front() {
            return Some(deliver(cx, sch, skb));
        }
        let now = cx.ktime();
        let q = data(cx, sch);
        let child = q.qdisc;
        if let Some((at, in_tree)) = netem_peek(q) {
            if at <= now.0 {
                let skb = if in_tree { q.tree.pop_first()?.1 } else { q.linear.pop_front()?.1 };
                match child {
                    None => return Some(deliver(cx, sch, skb)),
                    Some(child) => pass_to_child(cx, sch, child, skb),
                }
                continue;
            }
            if let Some(skb) = child.and_then(|child| qdisc_dequeue(cx, child)) {
                return Some(deliver(cx, sch, skb));
            }
            qdisc_watchdog_schedule(cx, sch, Nanos(at));
        }
        return child.and_then(|child| qdisc_dequeue(cx, child)).map(|skb| deliver(cx, sch, skb));
    }
}

fn deliver(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> SkbId {
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_out(len);
    qdisc.count_sent(len);
    skb
}

/// A packet whose time has come goes to the discipline below.
fn pass_to_child(cx: &mut Cx, sch: QdiscId, child: QdiscId, skb: SkbId) {
    let len = qdisc_pkt_len(cx, skb);
    let done = qdisc_enqueue(cx, child, skb);
    for dropped in std::mem::take(&mut cx.k.qdiscs.to_free) {
        cx.kfree_skb(dropped, DropReason::NotSpecified);
    }
    if done != NetXmit::Success {
        let qdisc = &mut cx.k.qdiscs[sch];
        qdisc.qstats.drops += u32::from(done != NetXmit::Bypass);
        qdisc.count_out(len);
        qdisc_tree_reduce_backlog(cx, sch, 1, len);
    }
}

fn netem_reset(cx: &mut Cx, sch: QdiscId) {
    let Some(q) = cx.k.qdiscs[sch].qdisc_priv_mut::<Netem>() else { return };
    let mut lost: Vec<SkbId> = std::mem::take(&mut q.linear).into_iter().map(|(_, skb)| skb).collect();
    lost.extend(std::mem::take(&mut q.tree).into_values());
    let child = q.qdisc;
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    if let Some(child) = child {
        qdisc_reset(cx, child);
    }
    qdisc_watchdog_cancel(cx, sch);
}

fn netem_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let last = std::array::from_fn(|_| random(cx));
    cx.k.qdiscs[sch].set_priv(Netem {
        opt: NetemOpt::default(),
        linear: VecDeque::new(),
        tree: BTreeMap::new(),
        came: 0,
        counter: 0,
        last,
        qdisc: None,
    });
    netem_change(cx, sch, opt.ok_or(Errno::EINVAL)?)
}

fn netem_change(cx: &mut Cx, sch: QdiscId, opt: &dyn QdiscData) -> Result<(), NlError> {
    let mut opt = *qdisc_data::<NetemOpt>(opt).ok_or(Errno::EINVAL)?;
    let others = qdisc_lookup_tree(cx.k, sch);
    let duplicates = |other: &QdiscId| {
        let netem = cx.k.qdiscs[*other].qdisc_priv::<Netem>();
        netem.is_some_and(|netem| opt.duplicate > 0 || netem.opt.duplicate > 0)
    };
    if others.iter().any(duplicates) {
        let text = "netem: cannot mix duplicating netems with other netems in tree";
        return Err(NlError::with(Errno::EINVAL, text));
    }
    opt.jitter = opt.jitter.abs().min(i64::from(i32::MAX));
    cx.k.qdiscs[sch].limit = opt.limit;
    let q = data(cx, sch);
    // A gap without a probability: every packet at its end overtakes.
    if opt.gap > 0 {
        opt.reorder = opt.reorder.or(Some(Correlated { probability: u32::MAX, correlation: 0 }));
    }
    opt.dist = opt.dist.or(q.opt.dist);
    opt.corr = opt.corr.or(q.opt.corr);
    opt.reorder = opt.reorder.or(q.opt.reorder);
    opt.corrupt = opt.corrupt.or(q.opt.corrupt);
    opt.rate = opt.rate.or(q.opt.rate);
    opt.ecn = opt.ecn.or(q.opt.ecn);
    (q.opt, q.counter) = (opt, 0);
    Ok(())
}

fn netem_destroy(cx: &mut Cx, sch: QdiscId) {
    if let Some(child) = data(cx, sch).qdisc {
        qdisc_put(cx, child);
    }
}

fn netem_graft(cx: &mut Cx, sch: QdiscId, _: u32, new: Option<QdiscId>) -> Result<Option<QdiscId>, NlError> {
    let old = std::mem::replace(&mut data(cx, sch).qdisc, new);
    if let Some(old) = old {
        qdisc_purge_queue(cx, old);
    }
    Ok(old)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_of_a_table_is_a_part_of_the_jitter() {
        let of = |jitter, entry| tabledist(jitter, entry);
        assert_eq!([of(8192, 1), of(8192, -3), of(8192, 0)], [1, -3, 0]);
        // 2 ms, one jitter and half of one.
        assert_eq!([of(2_000_000, 8192), of(2_000_000, -4096)], [2_000_000, -1_000_000]);
        // Rounded to the nearest.
        assert_eq!([of(3, 8192), of(3, 1000), of(3, -1500)], [3, 0, -1]);
    }
}
