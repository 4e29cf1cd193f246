//! `net/sched`: queueing disciplines and classifiers, a file each, and the requests that make and change them.

pub mod act_api;
pub mod act_gact;
pub mod act_mirred;
pub mod act_police;
pub mod act_skbedit;
pub mod act_tunnel_key;
pub mod act_vlan;
pub mod cls_api;
pub mod cls_flower;
pub mod cls_fw;
pub mod cls_matchall;
pub mod cls_u32;
pub mod codel;
pub mod htb_classes;
pub mod psched;
pub mod sch_api;
pub mod sch_fifo;
pub mod sch_fq;
pub mod sch_fq_codel;
pub mod sch_generic;
pub mod sch_htb;
pub mod sch_ingress;
pub mod sch_mq;
pub mod sch_netem;
pub mod sch_prio;
pub mod sch_tbf;

use crate::module::Module;

/// The disciplines that the kernel always has.
pub static MODULE: Module = Module {
    qdiscs: &[
        &sch_generic::NOQUEUE_QDISC_OPS,
        &sch_generic::PFIFO_FAST_OPS,
        &sch_fifo::PFIFO_QDISC_OPS,
        &sch_fifo::BFIFO_QDISC_OPS,
        &sch_fifo::PFIFO_HEAD_DROP_QDISC_OPS,
        &sch_mq::MQ_QDISC_OPS,
    ],
    net_exit: Some(act_api::tcf_action_net_exit),
    ..Module::UNNAMED
};
