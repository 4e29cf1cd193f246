//! `ingress` and `clsact`: places for filters of what comes in and goes out, which do nothing to packets by themselves.
//!
//! Kernel: net/sched/sch_ingress.c, net/core/dev.c (`sch_handle_ingress`, `sch_handle_egress`). Not modelled: blocks that devices
//! share.

use super::cls_api::tcf_classify;
use crate::Cx;
use crate::action::TcAct;
use crate::ids::{QdiscId, SkbId};
use crate::link::MiniQdisc;
use crate::module::Module;
use crate::net::core::qdisc::qdisc_pkt_len;
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, QdiscClassOps, QdiscData, QdiscOps};
use crate::tables::drop_reason::DropReason;
use crate::tables::qdisc::{TC_H_INGRESS, TC_H_MIN_EGRESS, TC_H_MIN_INGRESS, TCQ_F_INGRESS, tc_h_min};

/// The module.
pub static MODULE: Module =
    Module { qdiscs: &[&INGRESS_QDISC_OPS, &CLSACT_QDISC_OPS], ..Module::named("sch_ingress") };

static INGRESS_QDISC_OPS: QdiscOps = place("ingress", &INGRESS_CLASS_OPS);
static CLSACT_QDISC_OPS: QdiscOps = place("clsact", &CLSACT_CLASS_OPS);

/// The settings: there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOpt;

/// Every class is the same place.
static INGRESS_CLASS_OPS: QdiscClassOps = QdiscClassOps {
    find: |_, _, classid| Some(tc_h_min(classid) + 1),
    tcf_block: Some(|_| Some(TC_H_MIN_INGRESS)),
    ..CLSACT_CLASS_OPS
};

static CLSACT_CLASS_OPS: QdiscClassOps = QdiscClassOps {
    select_queue: None,
    graft: |_, _, _, _| Err(Errno::EOPNOTSUPP.into()),
    leaf: |_, _, _| None,
    find: |_, _, classid| Some(tc_h_min(classid)).filter(|class| is_place(*class)),
    walk: |_, _| Vec::new(),
    dump: |cx, sch, _| ClassDump::new(cx.k.qdiscs[sch].handle, cx.k.qdiscs[sch].handle, 0),
    qlen_notify: None,
    change: None,
    tcf_block: Some(|class| Some(class).filter(|class| is_place(*class))),
    chain_head_change: Some(mini_qdisc_pair_swap),
    bind_tcf: None,
    delete: None,
};

const fn is_place(class: u32) -> bool {
    matches!(class, TC_H_MIN_INGRESS | TC_H_MIN_EGRESS)
}

const fn place(id: &'static str, cl_ops: &'static QdiscClassOps) -> QdiscOps {
    QdiscOps {
        static_flags: TCQ_F_INGRESS,
        init: Some(ingress_init),
        destroy: Some(ingress_destroy),
        dump: Some(|_, _| Box::new(NoOpt)),
        cl_ops: Some(cl_ops),
        ..QdiscOps::new(id)
    }
}

fn ingress_init(cx: &mut Cx, sch: QdiscId, _: Option<&dyn QdiscData>) -> Result<(), NlError> {
    if cx.k.qdiscs[sch].parent != TC_H_INGRESS {
        return Err(Errno::EOPNOTSUPP.into());
    }
    Ok(())
}

/// Packets are shown to the device's filters no more, unless it has others already.
fn ingress_destroy(cx: &mut Cx, sch: QdiscId) {
    let netdev = &mut cx.k.devs[cx.k.qdiscs[sch].dev];
    if netdev.ingress != Some(sch) {
        (netdev.miniq_ingress, netdev.miniq_egress) = (None, None);
    }
}

/// Packets are shown to filters only while there are some.
fn mini_qdisc_pair_swap(cx: &mut Cx, sch: QdiscId) {
    let qdisc = &cx.k.qdiscs[sch];
    let [ingress, egress] = [TC_H_MIN_INGRESS, TC_H_MIN_EGRESS].map(|class| qdisc.has_filters(class));
    let netdev = &mut cx.k.devs[qdisc.dev];
    netdev.miniq_ingress = ingress.then_some(sch_handle_ingress as MiniQdisc);
    netdev.miniq_egress = egress.then_some(sch_handle_egress as MiniQdisc);
}

/// The packet is counted, and the filters are asked.
fn run(cx: &mut Cx, skb: SkbId, class: u32) -> Option<(QdiscId, TcAct)> {
    let sch = cx.k.devs[cx.skbs[skb].dev].ingress?;
    let (len, segs) = (qdisc_pkt_len(cx, skb), u64::from(cx.skbs[skb].gso_segs.max(1)));
    let qdisc = &mut cx.k.qdiscs[sch];
    qdisc.bstats.bytes += u64::from(len);
    qdisc.bstats.packets += segs;
    Some((sch, tcf_classify(cx, sch, class, skb).act))
}

/// What comes in is shown to filters, before all that takes packets but taps; false: it is gone.
fn sch_handle_ingress(cx: &mut Cx, skb: SkbId) -> bool {
    cx.skbs[skb].tc_at_ingress = true;
    let Some((sch, act)) = run(cx, skb, TC_H_MIN_INGRESS) else { return true };
    match act {
        TcAct::Shot => {
            cx.k.qdiscs[sch].qstats.drops += 1;
            cx.kfree_skb(skb, DropReason::TcIngress);
        }
        TcAct::Stolen | TcAct::Trap => _ = cx.consume_skb(skb),
        TcAct::Consumed => {}
        _ => return true,
    }
    false
}

/// What goes out is shown to filters, before it is queued; false: it is gone.
fn sch_handle_egress(cx: &mut Cx, skb: SkbId) -> bool {
    let Some((sch, act)) = run(cx, skb, TC_H_MIN_EGRESS) else { return true };
    match act {
        TcAct::Shot => {
            cx.k.qdiscs[sch].qstats.drops += 1;
            cx.xmit_failed(skb, Errno::ENOBUFS);
            cx.kfree_skb(skb, DropReason::TcEgress);
        }
        TcAct::Stolen | TcAct::Trap => {
            cx.xmit_succeeded(skb);
            cx.consume_skb(skb);
        }
        TcAct::Consumed => {}
        _ => return true,
    }
    false
}
