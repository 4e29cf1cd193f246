//! `ingress` and `clsact`: places for filters, which do nothing to packets by themselves.
//!
//! Kernel: net/sched/sch_ingress.c. Filters there are not modelled.

use crate::Cx;
use crate::ids::QdiscId;
use crate::module::Module;
use crate::netlink::{Errno, NlError};
use crate::qdisc::{ClassDump, QdiscClassOps, QdiscData, QdiscOps};
use crate::tables::qdisc::{TC_H_INGRESS, TCQ_F_INGRESS, tc_h_min};

/// The module.
pub static MODULE: Module =
    Module { qdiscs: &[&INGRESS_QDISC_OPS, &CLSACT_QDISC_OPS], ..Module::named("sch_ingress") };

static INGRESS_QDISC_OPS: QdiscOps = place("ingress");
static CLSACT_QDISC_OPS: QdiscOps = place("clsact");

/// The settings: there are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoOpt;

const fn place(id: &'static str) -> QdiscOps {
    QdiscOps {
        static_flags: TCQ_F_INGRESS,
        init: Some(ingress_init),
        dump: Some(|_, _| Box::new(NoOpt)),
        cl_ops: Some(&QdiscClassOps {
            select_queue: None,
            graft: |_, _, _, _| Err(Errno::EOPNOTSUPP.into()),
            leaf: |_, _, _| None,
            find: |_, _, classid| Some(tc_h_min(classid) + 1),
            walk: |_, _| Vec::new(),
            dump: |cx, sch, _| ClassDump {
                handle: cx.k.qdiscs[sch].handle,
                parent: cx.k.qdiscs[sch].handle,
                leaf: 0,
                options: None,
                bstats: None,
                qstats: None,
                xstats: None,
            },
            qlen_notify: None,
            change: None,
            tcf_block: None,
            bind_tcf: None,
            delete: None,
        }),
        ..QdiscOps::new(id)
    }
}

fn ingress_init(cx: &mut Cx, sch: QdiscId, _: Option<&dyn QdiscData>) -> Result<(), NlError> {
    if cx.k.qdiscs[sch].parent != TC_H_INGRESS {
        return Err(Errno::EOPNOTSUPP.into());
    }
    Ok(())
}
