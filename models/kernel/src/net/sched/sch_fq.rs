//! `fq`: flows take turns, each at no more than a rate.
//!
//! Kernel: net/sched/sch_fq.c. Not modelled: times at which TCP wants its packets to leave (`sk_pacing_rate`, `SO_TXTIME`), so
//! neither the horizon; collection of flows that are gone, which only their count tells.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::codel::inet_ecn_set_ce;
use super::sch_fifo::psched_mtu;
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::flow_dissector::skb_get_hash;
use crate::net::core::qdisc::{
    qdisc_dequeue_peeked, qdisc_drop, qdisc_peek_dequeued, qdisc_pkt_len, qdisc_tree_reduce_backlog,
    qdisc_watchdog_cancel, qdisc_watchdog_schedule,
};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{NetXmit, QdiscData, QdiscOps, qdisc_data};
use crate::tables::drop_reason::DropReason;
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::skb::TC_PRIO_CONTROL;
use crate::{Cx, Kernel};
use glassnet_sim::Nanos;

/// The module.
pub static MODULE: Module = Module { qdiscs: &[&FQ_QDISC_OPS], ..Module::named("sch_fq") };

static FQ_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::FqEnqueue, fq_enqueue)),
    dequeue: fq_dequeue,
    dequeue_func: Some(Func::FqDequeue),
    peek: qdisc_peek_dequeued,
    init: Some(fq_init),
    change: Some(fq_change),
    reset: Some(fq_reset),
    dump: Some(|kernel, sch| {
        let opt = FqOpt { limit: Some(kernel.qdiscs[sch].limit), ..data_of(kernel, sch).opt };
        Box::new(opt)
    }),
    dump_stats: Some(fq_dump_stats),
    ..QdiscOps::new("fq")
};

/// Settings (`TCA_FQ_*`); `None`: as it is. Times are in µs but for the slack, rates in bytes a second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqOpt {
    /// Most packets that may wait.
    pub limit: Option<u32>,
    /// Most packets of a flow.
    pub flow_limit: Option<u32>,
    /// Bytes of a flow's turn.
    pub quantum: Option<u32>,
    /// Bytes of a flow's first turn.
    pub initial_quantum: Option<u32>,
    /// Flows have a rate each.
    pub pacing: Option<u32>,
    /// Most that a flow sends; the largest number: any.
    pub maxrate: Option<u32>,
    /// Logarithm of the number of lists in which flows are looked up.
    pub buckets_log: Option<u32>,
    /// Which bits of the hash tell flows without a socket apart.
    pub orphan_mask: Option<u32>,
    /// Flows that are slower send one packet at a time.
    pub low_rate_threshold: Option<u32>,
    /// How long a flow has to be gone to have a whole turn again.
    pub refill_delay: Option<u32>,
    /// Packets that are later are marked.
    pub ce_threshold: Option<u32>,
    /// How late the timer may be, ns.
    pub timer_slack: Option<u32>,
    /// How far in the future a packet's time may be.
    pub horizon: Option<u32>,
    /// Packets beyond that are dropped.
    pub horizon_drop: Option<u8>,
}

/// Counters (`struct tc_fq_qd_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqXstats {
    /// Flows.
    pub flows: u32,
    /// Flows without packets.
    pub inactive_flows: u32,
    /// Flows that wait for their time.
    pub throttled_flows: u32,
    /// When the first of them goes on, ns from now.
    pub time_next_delayed_flow: i64,
    /// Packets of the highest priority.
    pub highprio_packets: u64,
    /// How often a flow had to wait.
    pub throttled: u64,
    /// How late waiting flows went on, ns.
    pub unthrottle_latency_ns: u32,
    /// Packets that were marked.
    pub ce_mark: u64,
    /// Packets that were dropped because their flow had too many.
    pub flows_plimit: u64,
    /// Packets that would have kept their flow from sending for more than a second.
    pub pkts_too_long: u64,
}

#[derive(Debug, Default)]
struct Flow {
    queue: VecDeque<(SkbId, u64)>,
    credit: i32,
    /// When it was last without packets, in ticks, made odd; `None`: it takes its turns.
    age: Option<u64>,
    throttled: bool,
    time_next_packet: u64,
}

/// What a flow is known by: the bits of a hash.
type Key = u32;

#[derive(Debug)]
struct Fq {
    opt: FqOpt,
    flows: BTreeMap<Key, Flow>,
    internal: VecDeque<(SkbId, u64)>,
    new_flows: VecDeque<Key>,
    old_flows: VecDeque<Key>,
    delayed: BTreeSet<(u64, u64, Key)>,
    delays: u64,
    time_next_delayed_flow: u64,
    stats: FqXstats,
}

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut Fq {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("an fq has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &Fq {
    kernel.qdiscs[sch].qdisc_priv().expect("an fq has its data")
}

impl Fq {
    fn quantum(&self) -> u32 {
        self.opt.quantum.unwrap_or(0)
    }

    fn flow(&mut self, key: Key) -> &mut Flow {
        self.flows.entry(key).or_default()
    }

    /// A flow waits for its time.
    fn throttle(&mut self, key: Key, until: u64) {
        self.delays += 1;
        let seq = self.delays;
        let flow = self.flow(key);
        (flow.throttled, flow.time_next_packet) = (true, until);
        self.delayed.insert((until, seq, key));
        self.stats.throttled += 1;
        self.time_next_delayed_flow = self.time_next_delayed_flow.min(until);
    }

    /// Flows whose time has come take their turns again (`fq_check_throttled`).
    fn check_throttled(&mut self, now: u64) {
        if self.time_next_delayed_flow > now {
            return;
        }
        let late = (now - self.time_next_delayed_flow) as u32;
        let latency = &mut self.stats.unthrottle_latency_ns;
        *latency = *latency - (*latency >> 3) + (late >> 3);
        self.time_next_delayed_flow = u64::MAX;
        while let Some((at, _, key)) = self.delayed.first().copied() {
            if at > now {
                self.time_next_delayed_flow = at;
                return;
            }
            self.delayed.pop_first();
            self.flow(key).throttled = false;
            self.old_flows.push_back(key);
        }
    }
}

fn fq_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    const MOST: u32 = 1 << 20;
    let mtu = psched_mtu(cx.k, cx.k.qdiscs[sch].dev).clamp(1, MOST);
    let defaults = FqOpt {
        limit: None,
        flow_limit: Some(100),
        quantum: Some((2 * mtu).min(MOST)),
        initial_quantum: Some((10 * mtu).min(MOST)),
        pacing: Some(1),
        maxrate: Some(u32::MAX),
        buckets_log: Some(10),
        orphan_mask: Some(1023),
        low_rate_threshold: Some(550_000 / 8),
        refill_delay: Some(40_000),
        ce_threshold: Some(u32::MAX),
        timer_slack: Some(10_000),
        horizon: Some(10_000_000),
        horizon_drop: Some(1),
    };
    cx.k.qdiscs[sch].limit = 10_000;
    cx.k.qdiscs[sch].set_priv(Fq {
        opt: defaults,
        flows: BTreeMap::new(),
        internal: VecDeque::new(),
        new_flows: VecDeque::new(),
        old_flows: VecDeque::new(),
        delayed: BTreeSet::new(),
        delays: 0,
        time_next_delayed_flow: u64::MAX,
        stats: FqXstats::default(),
    });
    opt.map_or(Ok(()), |opt| fq_change(cx, sch, opt))
}

fn fq_change(cx: &mut Cx, sch: QdiscId, opt: &dyn QdiscData) -> Result<(), NlError> {
    let new = *qdisc_data::<FqOpt>(opt).ok_or(Errno::EINVAL)?;
    let mut done = Ok(());
    let q = &mut data(cx, sch).opt;
    if new.buckets_log.is_some_and(|log| !(1..=18).contains(&log)) {
        done = Err(Errno::EINVAL.into());
    } else {
        q.buckets_log = new.buckets_log.or(q.buckets_log);
    }
    if new.quantum.is_some_and(|quantum| quantum == 0 || quantum > 1 << 20) {
        done = Err(NlError::with(Errno::EINVAL, "sch_fq: invalid quantum"));
    } else {
        q.quantum = new.quantum.or(q.quantum);
    }
    if new.initial_quantum.is_some_and(|quantum| quantum > i32::MAX as u32) {
        return Err(NlError::with(Errno::ERANGE, "integer out of range"));
    }
    // It is kept in ticks.
    let ticks = |us: u32| (u64::from(us).div_ceil(1_000_000 / HZ) * (1_000_000 / HZ)) as u32;
    q.flow_limit = new.flow_limit.or(q.flow_limit);
    q.initial_quantum = new.initial_quantum.or(q.initial_quantum);
    q.maxrate = new.maxrate.or(q.maxrate);
    q.low_rate_threshold = new.low_rate_threshold.or(q.low_rate_threshold);
    q.pacing = new.pacing.or(q.pacing);
    q.refill_delay = new.refill_delay.map(ticks).or(q.refill_delay);
    q.orphan_mask = new.orphan_mask.or(q.orphan_mask);
    q.ce_threshold = new.ce_threshold.or(q.ce_threshold);
    q.timer_slack = new.timer_slack.or(q.timer_slack);
    q.horizon = new.horizon.or(q.horizon);
    q.horizon_drop = new.horizon_drop.or(q.horizon_drop);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.limit = new.limit.unwrap_or(qdisc.limit);
    let (mut packets, mut bytes) = (0, 0);
    while cx.k.qdiscs[sch].qlen > cx.k.qdiscs[sch].limit {
        let Some(skb) = qdisc_dequeue_peeked(cx, sch) else { break };
        packets += 1;
        bytes += qdisc_pkt_len(cx, skb);
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    qdisc_tree_reduce_backlog(cx, sch, packets, bytes);
    done
}

fn fq_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    if cx.k.qdiscs[sch].qlen >= cx.k.qdiscs[sch].limit {
        return qdisc_drop(cx, sch, skb);
    }
    let (now, len) = (cx.ktime(), qdisc_pkt_len(cx, skb));
    if cx.skbs[skb].priority & 15 == TC_PRIO_CONTROL {
        let q = data(cx, sch);
        q.internal.push_back((skb, now.0));
        q.stats.highprio_packets += 1;
        cx.k.qdiscs[sch].count_in(len);
        return NetXmit::Success;
    }
    let key = skb_get_hash(cx, skb) & data(cx, sch).opt.orphan_mask.unwrap_or(0);
    let q = data(cx, sch);
    let (opt, tick) = (q.opt, jiffies(now));
    let new_flow =
        || Flow { age: Some(tick | 1), credit: opt.initial_quantum.unwrap_or(0) as i32, ..Flow::default() };
    let flow = q.flows.entry(key).or_insert_with(new_flow);
    if flow.queue.len() as u32 >= opt.flow_limit.unwrap_or(0) {
        q.stats.flows_plimit += 1;
        return qdisc_drop(cx, sch, skb);
    }
    if let Some(age) = flow.age.take() {
        let refill = u64::from(opt.refill_delay.unwrap_or(0)) * HZ / 1_000_000;
        if tick > age + refill {
            flow.credit = flow.credit.max(opt.quantum.unwrap_or(0) as i32);
        }
        q.new_flows.push_back(key);
    }
    flow.queue.push_back((skb, now.0));
    cx.k.qdiscs[sch].count_in(len);
    NetXmit::Success
}

fn fq_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    if cx.k.qdiscs[sch].qlen == 0 {
        return None;
    }
    if let Some((skb, _)) = data(cx, sch).internal.pop_front() {
        return Some(sent(cx, sch, skb));
    }
    let now = cx.ktime().0;
    data(cx, sch).check_throttled(now);
    loop {
        let q = data(cx, sch);
        let from_new = !q.new_flows.is_empty();
        let Some(key) = (if from_new { q.new_flows.front() } else { q.old_flows.front() }).copied() else {
            let (next, slack) = (q.time_next_delayed_flow, u64::from(q.opt.timer_slack.unwrap_or(0)));
            if next != u64::MAX {
                qdisc_watchdog_schedule(cx, sch, Nanos(next + slack));
            }
            return None;
        };
        let (quantum, is_alone) = (q.quantum(), q.old_flows.is_empty());
        let take_off = |q: &mut Fq| if from_new { q.new_flows.pop_front() } else { q.old_flows.pop_front() };
        let flow = q.flow(key);
        if flow.credit <= 0 {
            flow.credit += quantum as i32;
            take_off(q);
            q.old_flows.push_back(key);
            continue;
        }
        let Some((skb, at)) = flow.queue.front().copied() else {
            let back = from_new && !is_alone;
            flow.age = (!back).then_some(jiffies(Nanos(now)) | 1);
            take_off(q);
            if back {
                q.old_flows.push_back(key);
            }
            continue;
        };
        let due = at.max(flow.time_next_packet);
        if now < due {
            take_off(q);
            q.throttle(key, due);
            continue;
        }
        flow.queue.pop_front();
        let late = u64::from(q.opt.ce_threshold.unwrap_or(u32::MAX)) * 1000;
        if now - due > late {
            inet_ecn_set_ce(cx, skb);
            data(cx, sch).stats.ce_mark += 1;
        }
        let len = qdisc_pkt_len(cx, skb);
        pace(data(cx, sch), key, len, now);
        return Some(sent(cx, sch, skb));
    }
}

/// A flow pays for a packet, and may have to wait before the next.
fn pace(q: &mut Fq, key: Key, len: u32, now: u64) {
    const SECOND: u64 = 1_000_000_000;
    let (opt, quantum) = (q.opt, q.quantum());
    let flow = q.flow(key);
    flow.credit -= len as i32;
    let rate = opt.maxrate.unwrap_or(u32::MAX);
    if opt.pacing == Some(0) {
        return;
    }
    let mut len = len;
    if rate <= opt.low_rate_threshold.unwrap_or(0) {
        flow.credit = 0;
    } else {
        len = len.max(quantum);
        if flow.credit > 0 {
            return;
        }
    }
    if rate == u32::MAX {
        return;
    }
    let time = u64::from(len) * SECOND / u64::from(rate.max(1));
    let mut wait = if rate == 0 { u64::from(len) * SECOND } else { time };
    let is_too_long = wait > SECOND;
    wait = wait.min(SECOND);
    if flow.time_next_packet > 0 {
        wait -= (wait / 2).min(now.saturating_sub(flow.time_next_packet));
    }
    flow.time_next_packet = now + wait;
    q.stats.pkts_too_long += u64::from(is_too_long);
}

fn sent(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> SkbId {
    let len = qdisc_pkt_len(cx, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_out(len);
    qdisc.count_sent(len);
    skb
}

fn fq_reset(cx: &mut Cx, sch: QdiscId) {
    let Some(q) = cx.k.qdiscs[sch].qdisc_priv_mut::<Fq>() else { return };
    let mut lost: Vec<SkbId> = std::mem::take(&mut q.internal).into_iter().map(|(skb, _)| skb).collect();
    for flow in std::mem::take(&mut q.flows).into_values() {
        lost.extend(flow.queue.into_iter().map(|(skb, _)| skb));
    }
    q.new_flows.clear();
    q.old_flows.clear();
    q.delayed.clear();
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    qdisc_watchdog_cancel(cx, sch);
}

fn fq_dump_stats(cx: &Cx, sch: QdiscId) -> Box<dyn QdiscData> {
    let q = data_of(cx.k, sch);
    let next = q.time_next_delayed_flow.wrapping_add(u64::from(q.opt.timer_slack.unwrap_or(0)));
    Box::new(FqXstats {
        flows: q.flows.len() as u32,
        inactive_flows: q.flows.values().filter(|flow| flow.age.is_some()).count() as u32,
        throttled_flows: q.delayed.len() as u32,
        time_next_delayed_flow: next.wrapping_sub(cx.ktime().0) as i64,
        ..q.stats
    })
}
