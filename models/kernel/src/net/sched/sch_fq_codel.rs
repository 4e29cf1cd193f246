//! `fq_codel`: flows take turns, and CoDel keeps the queue of each short (RFC 8290).
//!
//! Kernel: net/sched/sch_fq_codel.c

use std::collections::VecDeque;

use super::cls_api::{only_its_own, tcf_classify};
use super::codel::{
    CodelParams, CodelQueue, CodelStats, CodelVars, codel_dequeue, codel_time, from_us, to_us,
};
use super::sch_fifo::psched_mtu;
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::flow_dissector::skb_get_hash;
use crate::net::core::qdisc::{qdisc_dequeue_peeked, qdisc_pkt_len, qdisc_tree_reduce_backlog};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, NetXmit, QdiscClassOps, QdiscData, QdiscOps, QueueStats, qdisc_data};
use crate::tables::drop_reason::DropReason;
use crate::tables::qdisc::{TCQ_F_CAN_BYPASS, tc_h_maj, tc_h_min};
use crate::{Cx, Kernel};

/// The module; it is built into Debian's kernel.
pub static MODULE: Module = Module { qdiscs: &[&FQ_CODEL_QDISC_OPS], ..Module::named("sch_fq_codel") };

static FQ_CODEL_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::FqCodelEnqueue, fq_codel_enqueue)),
    dequeue: fq_codel_dequeue,
    dequeue_func: Some(Func::FqCodelDequeue),
    peek: fq_codel_peek,
    init: Some(fq_codel_init),
    change: Some(fq_codel_change),
    reset: Some(fq_codel_reset),
    dump: Some(fq_codel_dump),
    dump_stats: Some(fq_codel_dump_stats),
    // Each flow that has packets is shown as a class; none can be made.
    cl_ops: Some(&QdiscClassOps {
        select_queue: None,
        graft: |_, _, _, _| Err(Errno::EOPNOTSUPP.into()),
        leaf: |_, _, _| None,
        find: |_, _, _| None,
        walk: fq_codel_walk,
        dump: fq_codel_dump_class,
        qlen_notify: None,
        change: None,
        tcf_block: Some(only_its_own),
        chain_head_change: None,
        bind_tcf: Some(|qdisc| qdisc.flags &= !TCQ_F_CAN_BYPASS),
        delete: None,
    }),
    ..QdiscOps::new("fq_codel")
};

/// Settings (`TCA_FQ_CODEL_*`); `None`: as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqCodelOpt {
    /// Most packets that may wait.
    pub limit: Option<u32>,
    /// Queues.
    pub flows: Option<u32>,
    /// Bytes of a flow's turn.
    pub quantum: Option<u32>,
    /// How long packets may wait, µs.
    pub target: Option<u32>,
    /// For how long they have to wait too long, µs.
    pub interval: Option<u32>,
    /// Packets that waited longer are marked, µs.
    pub ce_threshold: Option<u32>,
    /// Packets are marked rather than dropped.
    pub ecn: Option<bool>,
    /// Packets that are dropped at once where the queue is full.
    pub drop_batch: Option<u32>,
    /// Most memory of packets that wait, bytes.
    pub memory_limit: Option<u32>,
}

/// Counters (`struct tc_fq_codel_qd_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqCodelXstats {
    /// The longest packet, bytes.
    pub maxpacket: u32,
    /// Packets that were dropped because the queue was full.
    pub drop_overlimit: u32,
    /// Packets that were marked.
    pub ecn_mark: u32,
    /// How often a flow became active.
    pub new_flow_count: u32,
    /// Flows that became active of late.
    pub new_flows_len: u32,
    /// Other active flows.
    pub old_flows_len: u32,
    /// Packets that were marked because of `ce_threshold`.
    pub ce_mark: u32,
    /// Memory of the packets that wait, bytes.
    pub memory_usage: u32,
    /// Packets that were dropped because of their memory.
    pub drop_overmemory: u32,
}

/// Counters of a flow (`struct tc_fq_codel_cl_stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FqCodelClassXstats {
    /// Bytes left in its turn.
    pub deficit: i32,
    /// How long its last packet waited, µs.
    pub ldelay: u32,
    /// Drops since it began to drop.
    pub count: u32,
    /// `count` when it began.
    pub lastcount: u32,
    /// It drops.
    pub dropping: bool,
    /// When the next packet is dropped, µs from now.
    pub drop_next: i32,
}

#[derive(Debug, Default)]
struct Flow {
    /// Packets with the time at which each came and its memory.
    queue: VecDeque<(SkbId, u32, u32)>,
    backlog: u32,
    deficit: i32,
    is_listed: bool,
    cvars: CodelVars,
}

#[derive(Debug)]
struct FqCodel {
    flows: Vec<Flow>,
    quantum: u32,
    drop_batch: u32,
    memory_limit: u32,
    cparams: CodelParams,
    cstats: CodelStats,
    memory_usage: u32,
    drop_overmemory: u32,
    drop_overlimit: u32,
    new_flow_count: u32,
    new_flows: VecDeque<usize>,
    old_flows: VecDeque<usize>,
}

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut FqCodel {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("an fq_codel has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &FqCodel {
    kernel.qdiscs[sch].qdisc_priv().expect("an fq_codel has its data")
}

/// Largest quantum (`FQ_CODEL_QUANTUM_MAX`).
const QUANTUM_MAX: u32 = 1 << 20;

fn fq_codel_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let mtu = psched_mtu(cx.k, cx.k.qdiscs[sch].dev).min(QUANTUM_MAX);
    let flows = opt.and_then(qdisc_data::<FqCodelOpt>).and_then(|opt| opt.flows).unwrap_or(1024);
    let fq_codel = FqCodel {
        flows: Vec::new(),
        quantum: mtu.max(256),
        drop_batch: 64,
        memory_limit: 32 << 20,
        cparams: CodelParams::new(mtu, true),
        cstats: CodelStats::default(),
        memory_usage: 0,
        drop_overmemory: 0,
        drop_overlimit: 0,
        new_flow_count: 0,
        new_flows: VecDeque::new(),
        old_flows: VecDeque::new(),
    };
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.limit = 10 * 1024;
    qdisc.set_priv(fq_codel);
    if let Some(opt) = opt {
        fq_codel_change(cx, sch, opt)?;
    }
    data(cx, sch).flows.resize_with(flows as usize, Flow::default);
    let qdisc = &mut cx.k.qdiscs[sch];
    if qdisc.limit >= 1 {
        qdisc.flags |= TCQ_F_CAN_BYPASS;
    }
    Ok(())
}

fn fq_codel_change(cx: &mut Cx, sch: QdiscId, opt: &dyn QdiscData) -> Result<(), NlError> {
    let opt = qdisc_data::<FqCodelOpt>(opt).ok_or(Errno::EINVAL)?;
    let q = data(cx, sch);
    // The number of flows is set once.
    if opt.flows.is_some_and(|flows| !q.flows.is_empty() || flows == 0 || flows > 65_536) {
        return Err(Errno::EINVAL.into());
    }
    if opt.quantum.is_some_and(|quantum| quantum > QUANTUM_MAX) {
        return Err(NlError::with(Errno::EINVAL, "Invalid quantum"));
    }
    q.cparams.target = opt.target.map_or(q.cparams.target, from_us);
    q.cparams.ce_threshold = opt.ce_threshold.map_or(q.cparams.ce_threshold, from_us);
    q.cparams.interval = opt.interval.map_or(q.cparams.interval, from_us);
    q.cparams.ecn = opt.ecn.unwrap_or(q.cparams.ecn);
    q.quantum = opt.quantum.map_or(q.quantum, |quantum| quantum.max(256));
    q.drop_batch = opt.drop_batch.map_or(q.drop_batch, |batch| batch.max(1));
    q.memory_limit = opt.memory_limit.map_or(q.memory_limit, |limit| limit.min(1 << 31));
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.limit = opt.limit.unwrap_or(qdisc.limit);
    let (mut packets, mut bytes) = (0, 0);
    while cx.k.qdiscs[sch].qlen > cx.k.qdiscs[sch].limit || is_over_memory(cx, sch) {
        let Some(skb) = qdisc_dequeue_peeked(cx, sch) else { break };
        packets += 1;
        bytes += qdisc_pkt_len(cx, skb);
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    qdisc_tree_reduce_backlog(cx, sch, packets, bytes);
    Ok(())
}

fn is_over_memory(cx: &mut Cx, sch: QdiscId) -> bool {
    let q = data(cx, sch);
    q.memory_usage > q.memory_limit
}

/// The flow of a packet: by its priority, if that is a class of this discipline; by filters, if there are any; otherwise by its
/// hash. Otherwise a filter took it, or none says one.
fn fq_codel_classify(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> Result<usize, NetXmit> {
    let (priority, flows) = (cx.skbs[skb].priority, data_of(cx.k, sch).flows.len());
    let flow = |class: u32| (tc_h_min(class) as usize).checked_sub(1).filter(|flow| *flow < flows);
    if tc_h_maj(priority) == cx.k.qdiscs[sch].handle
        && let Some(flow) = flow(priority)
    {
        return Ok(flow);
    }
    if cx.k.qdiscs[sch].has_filters(0) {
        let said = tcf_classify(cx, sch, 0, skb);
        if let Some(end) = said.ends(cx, sch, skb) {
            return Err(end);
        }
        return said.class().and_then(flow).ok_or_else(|| {
            cx.k.qdiscs[sch].qstats.drops += 1;
            cx.k.qdiscs.to_free.push(skb);
            NetXmit::Bypass
        });
    }
    Ok(((u64::from(skb_get_hash(cx, skb)) * flows as u64) >> 32) as usize)
}

fn fq_codel_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let len = qdisc_pkt_len(cx, skb);
    let at = match fq_codel_classify(cx, sch, skb) {
        Ok(at) => at,
        Err(end) => return end,
    };
    let (came, memory) = (codel_time(cx.ktime()), cx.skbs[skb].truesize);
    let q = data(cx, sch);
    let flow = &mut q.flows[at];
    flow.queue.push_back((skb, came, memory));
    flow.backlog += len;
    if !flow.is_listed {
        (flow.is_listed, flow.deficit) = (true, q.quantum as i32);
        q.new_flows.push_back(at);
        q.new_flow_count += 1;
    }
    q.memory_usage += memory;
    let over_memory = q.memory_usage > q.memory_limit;
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_in(len);
    if qdisc.qlen <= qdisc.limit && !over_memory {
        return NetXmit::Success;
    }
    let (qlen, backlog) = (qdisc.qlen, qdisc.qstats.backlog);
    let fat = fq_codel_drop(cx, sch);
    let qdisc = &cx.k.qdiscs[sch];
    let (packets, bytes) = (qlen - qdisc.qlen, backlog - qdisc.qstats.backlog);
    let q = data(cx, sch);
    q.drop_overlimit += packets;
    q.drop_overmemory += if over_memory { packets } else { 0 };
    // Disciplines above do not count a packet that was not taken.
    if fat == at {
        qdisc_tree_reduce_backlog(cx, sch, packets - 1, bytes.wrapping_sub(len));
        return NetXmit::Cn;
    }
    qdisc_tree_reduce_backlog(cx, sch, packets, bytes);
    NetXmit::Success
}

/// Drops half of the flow with the most bytes, up to a batch; returns the flow.
fn fq_codel_drop(cx: &mut Cx, sch: QdiscId) -> usize {
    let q = data(cx, sch);
    let (mut fat, mut most) = (0, 0);
    for (at, flow) in q.flows.iter().enumerate() {
        if flow.backlog > most {
            (fat, most) = (at, flow.backlog);
        }
    }
    let (mut packets, mut bytes) = (0, 0);
    while let Some((skb, _, memory)) = data(cx, sch).flows[fat].queue.pop_front() {
        let len = qdisc_pkt_len(cx, skb);
        (packets, bytes) = (packets + 1, bytes + len);
        cx.k.qdiscs[sch].count_out(len);
        cx.k.qdiscs.to_free.push(skb);
        let q = data(cx, sch);
        q.memory_usage -= memory;
        if packets >= q.drop_batch || bytes >= most / 2 {
            break;
        }
    }
    cx.k.qdiscs[sch].qstats.drops += packets;
    let flow = &mut data(cx, sch).flows[fat];
    // CoDel drops more, too.
    flow.cvars.count = flow.cvars.count.wrapping_add(packets);
    flow.backlog -= bytes;
    fat
}

/// The queue of a flow.
struct FlowOf(QdiscId, usize);

impl CodelQueue for FlowOf {
    fn codel<'a>(&self, cx: &'a mut Cx) -> (&'a mut CodelVars, CodelParams, &'a mut CodelStats) {
        let q = data(cx, self.0);
        (&mut q.flows[self.1].cvars, q.cparams, &mut q.cstats)
    }

    fn backlog(&self, cx: &Cx) -> u32 {
        cx.k.qdiscs[self.0].qstats.backlog
    }

    fn dequeue(&self, cx: &mut Cx) -> Option<(SkbId, u32)> {
        let q = data(cx, self.0);
        let (skb, came, memory) = q.flows[self.1].queue.pop_front()?;
        q.memory_usage -= memory;
        let len = qdisc_pkt_len(cx, skb);
        data(cx, self.0).flows[self.1].backlog -= len;
        cx.k.qdiscs[self.0].count_out(len);
        Some((skb, came))
    }

    fn drop(&self, cx: &mut Cx, skb: SkbId) {
        cx.kfree_skb(skb, DropReason::NotSpecified);
        cx.k.qdiscs[self.0].qstats.drops += 1;
    }
}

/// New flows have their turn before old ones. A flow that used its quantum goes behind the old ones.
fn next_packet(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    loop {
        let q = data(cx, sch);
        let from_new = !q.new_flows.is_empty();
        let list = if from_new { &mut q.new_flows } else { &mut q.old_flows };
        let at = *list.front()?;
        let flow = &mut q.flows[at];
        if flow.deficit <= 0 {
            flow.deficit += q.quantum as i32;
            list.pop_front();
            q.old_flows.push_back(at);
            continue;
        }
        if let Some(skb) = codel_dequeue(cx, &FlowOf(sch, at)) {
            let len = qdisc_pkt_len(cx, skb);
            cx.k.qdiscs[sch].count_sent(len);
            data(cx, sch).flows[at].deficit -= len as i32;
            return Some(skb);
        }
        let q = data(cx, sch);
        if from_new {
            q.new_flows.pop_front();
        } else {
            q.old_flows.pop_front();
        }
        // Old flows are not starved by new ones that come and go.
        if from_new && !q.old_flows.is_empty() {
            q.old_flows.push_back(at);
        } else {
            q.flows[at].is_listed = false;
        }
    }
}

fn tell_drops(cx: &mut Cx, sch: QdiscId) {
    let stats = &mut data(cx, sch).cstats;
    let (packets, bytes) = (std::mem::take(&mut stats.drop_count), std::mem::take(&mut stats.drop_len));
    if packets > 0 {
        qdisc_tree_reduce_backlog(cx, sch, packets, bytes);
    }
}

fn fq_codel_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    let skb = next_packet(cx, sch);
    tell_drops(cx, sch);
    skb
}

fn fq_codel_peek(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    if let Some(skb) = cx.k.qdiscs[sch].gso_skb.front() {
        return Some(*skb);
    }
    let skb = next_packet(cx, sch);
    if let Some(skb) = skb {
        let len = qdisc_pkt_len(cx, skb);
        let qdisc = &mut cx.k.qdiscs[sch];
        qdisc.gso_skb.push_front(skb);
        qdisc.count_in(len);
    }
    tell_drops(cx, sch);
    skb
}

fn fq_codel_reset(cx: &mut Cx, sch: QdiscId) {
    let Some(q) = cx.k.qdiscs[sch].qdisc_priv_mut::<FqCodel>() else { return };
    q.memory_usage = 0;
    q.new_flows.clear();
    q.old_flows.clear();
    let mut lost = Vec::new();
    for flow in &mut q.flows {
        lost.extend(std::mem::take(flow).queue.into_iter().map(|(skb, ..)| skb));
    }
    for skb in lost {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

fn fq_codel_dump(kernel: &Kernel, sch: QdiscId) -> Box<dyn QdiscData> {
    let q = data_of(kernel, sch);
    let has_threshold = q.cparams.ce_threshold != super::codel::DISABLED_THRESHOLD;
    Box::new(FqCodelOpt {
        limit: Some(kernel.qdiscs[sch].limit),
        flows: Some(q.flows.len() as u32),
        quantum: Some(q.quantum),
        target: Some(to_us(q.cparams.target)),
        interval: Some(to_us(q.cparams.interval)),
        ce_threshold: has_threshold.then(|| to_us(q.cparams.ce_threshold)),
        ecn: Some(q.cparams.ecn),
        drop_batch: Some(q.drop_batch),
        memory_limit: Some(q.memory_limit),
    })
}

fn fq_codel_dump_stats(cx: &Cx, sch: QdiscId) -> Box<dyn QdiscData> {
    let q = data_of(cx.k, sch);
    Box::new(FqCodelXstats {
        maxpacket: q.cstats.maxpacket,
        drop_overlimit: q.drop_overlimit,
        ecn_mark: q.cstats.ecn_mark,
        new_flow_count: q.new_flow_count,
        new_flows_len: q.new_flows.len() as u32,
        old_flows_len: q.old_flows.len() as u32,
        ce_mark: q.cstats.ce_mark,
        memory_usage: q.memory_usage,
        drop_overmemory: q.drop_overmemory,
    })
}

fn fq_codel_walk(kernel: &Kernel, sch: QdiscId) -> Vec<u32> {
    let flows = data_of(kernel, sch).flows.iter().enumerate();
    flows.filter(|(_, flow)| flow.is_listed).map(|(at, _)| at as u32 + 1).collect()
}

fn fq_codel_dump_class(cx: &Cx, sch: QdiscId, class: u32) -> ClassDump {
    let (qdisc, flow) = (&cx.k.qdiscs[sch], &data_of(cx.k, sch).flows[class as usize - 1]);
    let vars = &flow.cvars;
    let until = vars.drop_next.wrapping_sub(codel_time(cx.ktime())) as i32;
    let until = if until >= 0 { to_us(until as u32) as i32 } else { -(to_us(until.unsigned_abs()) as i32) };
    let xstats = FqCodelClassXstats {
        deficit: flow.deficit,
        ldelay: to_us(vars.ldelay),
        count: vars.count,
        lastcount: vars.lastcount,
        dropping: vars.dropping,
        drop_next: if vars.dropping { until } else { 0 },
    };
    ClassDump {
        handle: qdisc.handle | class,
        parent: qdisc.handle,
        leaf: 0,
        options: None,
        bstats: None,
        qstats: Some((
            QueueStats { backlog: flow.backlog, ..QueueStats::default() },
            flow.queue.len() as u32,
        )),
        xstats: Some(Box::new(xstats)),
    }
}
