//! `tbf`: a token bucket lets packets through at a rate, and a burst at once.
//!
//! Kernel: net/sched/sch_tbf.c

use super::psched::{RateCfg, RateSpec};
use super::sch_fifo::{fifo_create_dflt, fifo_set_limit, psched_mtu};
use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::module::Module;
use crate::net::core::gso;
use crate::net::core::qdisc::{
    qdisc_dequeue_peeked, qdisc_drop, qdisc_enqueue, qdisc_peek, qdisc_peek_dequeued, qdisc_pkt_len,
    qdisc_purge_queue, qdisc_put, qdisc_reset, qdisc_watchdog_cancel, qdisc_watchdog_schedule,
};
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, NetXmit, QdiscClassOps, QdiscData, QdiscOps, qdisc_data};
use crate::tables::klog::LOG_WARNING;
use crate::{Cx, Kernel};
use glassnet_sim::Nanos;

/// The module.
pub static MODULE: Module = Module { qdiscs: &[&TBF_QDISC_OPS], ..Module::named("sch_tbf") };

static TBF_QDISC_OPS: QdiscOps = QdiscOps {
    enqueue: Some((Func::TbfEnqueue, tbf_enqueue)),
    dequeue: tbf_dequeue,
    dequeue_func: Some(Func::TbfDequeue),
    peek: qdisc_peek_dequeued,
    init: Some(tbf_init),
    change: Some(tbf_change),
    reset: Some(tbf_reset),
    destroy: Some(tbf_destroy),
    dump: Some(tbf_dump),
    cl_ops: Some(&QdiscClassOps {
        select_queue: None,
        graft: tbf_graft,
        leaf: |kernel, sch, _| Some(data_of(kernel, sch).qdisc),
        find: |_, _, _| Some(1),
        walk: |_, _| vec![1],
        dump: |cx, sch, _| {
            let (handle, leaf) = (cx.k.qdiscs[sch].handle, cx.k.qdiscs[data_of(cx.k, sch).qdisc].handle);
            ClassDump::new(handle | 1, handle, leaf)
        },
        qlen_notify: None,
        change: None,
        tcf_block: None,
        chain_head_change: None,
        bind_tcf: None,
        delete: None,
    }),
    ..QdiscOps::new("tbf")
};

/// Settings (`TCA_TBF_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TbfOpt {
    /// The rate.
    pub rate: RateSpec,
    /// The rate at which a burst may be sent; 0: any.
    pub peakrate: RateSpec,
    /// Most bytes that may wait.
    pub limit: u32,
    /// Bytes of a burst; what is told of it is the time that it takes, ns.
    pub burst: u64,
    /// Bytes of a burst at `peakrate`; what is told of it is the time that it takes, ns.
    pub pburst: u64,
}

#[derive(Debug)]
struct Tbf {
    limit: u32,
    /// The longest packet, bytes.
    max_size: u32,
    /// Depth of the bucket, and of that of `peakrate`: times, ns.
    buffer: i64,
    mtu: i64,
    rate: RateCfg,
    peak: RateCfg,
    /// What is in the buckets, ns.
    tokens: i64,
    ptokens: i64,
    /// When that was.
    t_c: Nanos,
    qdisc: QdiscId,
}

fn data<'a>(cx: &'a mut Cx, sch: QdiscId) -> &'a mut Tbf {
    cx.k.qdiscs[sch].qdisc_priv_mut().expect("a tbf has its data")
}

fn data_of(kernel: &Kernel, sch: QdiscId) -> &Tbf {
    kernel.qdiscs[sch].qdisc_priv().expect("a tbf has its data")
}

fn tbf_enqueue(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let len = qdisc_pkt_len(cx, skb);
    let (max_size, child) = (data(cx, sch).max_size, data(cx, sch).qdisc);
    if len > max_size {
        if cx.skbs[skb].gso_size != 0 && gso::mac_seglen(cx, skb) <= max_size as usize {
            return tbf_segment(cx, sch, skb);
        }
        return qdisc_drop(cx, sch, skb);
    }
    let done = qdisc_enqueue(cx, child, skb);
    let qdisc = &mut cx.k.qdiscs[sch];
    match done {
        NetXmit::Success => qdisc.count_in(len),
        NetXmit::Drop | NetXmit::Cn => qdisc.qstats.drops += 1,
        NetXmit::Bypass => {}
    }
    done
}

/// A merged packet is too long for the bucket, but those that it is cut into are not.
fn tbf_segment(cx: &mut Cx, sch: QdiscId, skb: SkbId) -> NetXmit {
    let child = data(cx, sch).qdisc;
    let mut taken = 0;
    for segment in gso::skb_gso_segment(cx, skb) {
        let len = qdisc_pkt_len(cx, segment);
        let done = qdisc_enqueue(cx, child, segment);
        let qdisc = &mut cx.k.qdiscs[sch];
        match done {
            NetXmit::Success => {
                qdisc.count_in(len);
                taken += 1;
            }
            NetXmit::Drop | NetXmit::Cn => qdisc.qstats.drops += 1,
            NetXmit::Bypass => {}
        }
    }
    if taken > 0 { NetXmit::Success } else { NetXmit::Drop }
}

fn tbf_dequeue(cx: &mut Cx, sch: QdiscId) -> Option<SkbId> {
    let child = data(cx, sch).qdisc;
    let skb = qdisc_peek(cx, child)?;
    let (now, len) = (cx.ktime(), qdisc_pkt_len(cx, skb));
    let q = data(cx, sch);
    let since = (now.since(q.t_c).0 as i64).min(q.buffer);
    let mut ptokens = 0;
    if q.peak.spec.rate > 0 {
        ptokens = (since + q.ptokens).min(q.mtu) - q.peak.l2t_ns(len);
    }
    let tokens = (since + q.tokens).min(q.buffer) - q.rate.l2t_ns(len);
    if tokens < 0 || ptokens < 0 {
        let wait = (-tokens).max(-ptokens) as u64;
        qdisc_watchdog_schedule(cx, sch, now + Nanos(wait));
        cx.k.qdiscs[sch].qstats.overlimits += 1;
        return None;
    }
    let skb = qdisc_dequeue_peeked(cx, child)?;
    let q = data(cx, sch);
    (q.t_c, q.tokens, q.ptokens) = (now, tokens, ptokens);
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.count_out(len);
    qdisc.count_sent(len);
    Some(skb)
}

fn tbf_reset(cx: &mut Cx, sch: QdiscId) {
    let now = cx.ktime();
    let Some(q) = cx.k.qdiscs[sch].qdisc_priv_mut::<Tbf>() else { return };
    (q.t_c, q.tokens, q.ptokens) = (now, q.buffer, q.mtu);
    let child = q.qdisc;
    qdisc_reset(cx, child);
    qdisc_watchdog_cancel(cx, sch);
}

fn tbf_init(cx: &mut Cx, sch: QdiscId, opt: Option<&dyn QdiscData>) -> Result<(), NlError> {
    let t_c = cx.ktime();
    let (rate, peak) = (RateCfg::default(), RateCfg::default());
    let (qdisc, tokens, ptokens) = (QdiscId::NOOP, 0, 0);
    let (limit, max_size, buffer, mtu) = (0, 0, 0, 0);
    let tbf = Tbf { limit, max_size, buffer, mtu, rate, peak, tokens, ptokens, t_c, qdisc };
    cx.k.qdiscs[sch].set_priv(tbf);
    tbf_change(cx, sch, opt.ok_or(Errno::EINVAL)?)
}

fn tbf_change(cx: &mut Cx, sch: QdiscId, opt: &dyn QdiscData) -> Result<(), NlError> {
    let opt = *qdisc_data::<TbfOpt>(opt).ok_or(Errno::EINVAL)?;
    let (rate, peak) = (RateCfg::new(opt.rate), RateCfg::new(opt.peakrate));
    let (mut max_size, mut mtu) = (opt.burst as u32, 0);
    if opt.peakrate.rate > 0 {
        if peak.spec.rate <= rate.spec.rate {
            let (peak, rate) = (peak.spec.rate, rate.spec.rate);
            let line = format!("sch_tbf: peakrate {peak} is lower than or equals to rate {rate} !");
            cx.printk(LOG_WARNING, line);
            return Err(Errno::EINVAL.into());
        }
        mtu = peak.l2t_ns(opt.pburst as u32);
        max_size = max_size.min(opt.pburst as u32);
    }
    let dev = cx.k.qdiscs[sch].dev;
    let dev_mtu = psched_mtu(cx.k, dev);
    if max_size < dev_mtu {
        let name = &cx.k.devs[dev].name;
        let line = format!("sch_tbf: burst {max_size} is lower than device {name} mtu ({dev_mtu}) !");
        cx.printk(LOG_WARNING, line);
    }
    if max_size == 0 {
        return Err(Errno::EINVAL.into());
    }
    let old = data(cx, sch).qdisc;
    if old != QdiscId::NOOP {
        fifo_set_limit(cx, old, opt.limit)?;
    } else if opt.limit > 0 {
        let child = fifo_create_dflt(cx, sch, "bfifo", opt.limit)?;
        cx.k.qdiscs.hash_add(child, true);
        data(cx, sch).qdisc = child;
    }
    let q = data(cx, sch);
    (q.limit, q.max_size, q.rate, q.peak) = (opt.limit, max_size, rate, peak);
    (q.buffer, q.mtu) = (rate.l2t_ns(opt.burst as u32), mtu);
    (q.tokens, q.ptokens) = (q.buffer, q.mtu);
    Ok(())
}

fn tbf_destroy(cx: &mut Cx, sch: QdiscId) {
    let child = data(cx, sch).qdisc;
    qdisc_put(cx, child);
}

fn tbf_dump(kernel: &Kernel, sch: QdiscId) -> Box<dyn QdiscData> {
    let q = data_of(kernel, sch);
    Box::new(TbfOpt {
        rate: q.rate.spec,
        peakrate: q.peak.spec,
        limit: q.limit,
        burst: q.buffer as u64,
        pburst: q.mtu as u64,
    })
}

fn tbf_graft(cx: &mut Cx, sch: QdiscId, _: u32, new: Option<QdiscId>) -> Result<Option<QdiscId>, NlError> {
    let old = std::mem::replace(&mut data(cx, sch).qdisc, new.unwrap_or(QdiscId::NOOP));
    qdisc_purge_queue(cx, old);
    Ok(Some(old))
}
