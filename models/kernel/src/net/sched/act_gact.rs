//! `gact`: says what becomes of a packet, and does nothing else.
//!
//! Kernel: net/sched/act_gact.c. Not modelled: chance (`random`), which the referee's kernel is built without.

use super::act_api::tcf_action_update;
use crate::Cx;
use crate::action::{TcAct, TcActionOps};
use crate::door::Func;
use crate::ids::{SkbId, TcActionId};
use crate::module::Module;

/// The module.
pub static MODULE: Module = Module { actions: &[&ACT_GACT_OPS], ..Module::named("act_gact") };

static ACT_GACT_OPS: TcActionOps = TcActionOps {
    kind: "gact",
    func: Func::TcfGactAct,
    init: |_, _, _| Ok(Box::new(Gact)),
    act: tcf_gact_act,
};

/// What it is told: nothing but what to say.
#[derive(Clone, Copy, Debug)]
pub struct Gact;

fn tcf_gact_act(cx: &mut Cx, id: TcActionId, skb: SkbId) -> TcAct {
    tcf_action_update(cx, id, skb);
    let action = &mut cx.k.tc_actions[id];
    action.qstats.drops += u32::from(action.action == TcAct::Shot);
    action.action
}
