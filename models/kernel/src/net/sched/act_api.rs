//! Actions of filters: made, shared by their index, done one after the other.
//!
//! Kernel: net/sched/act_api.c. Not modelled: cookies, estimators, actions of cards.

use super::sch_api::refuse;
use crate::Cx;
use crate::action::{ActionData, TcAct, TcActionOps};
use crate::door::Func;
use crate::filter::ActionRequest;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::netlink::{Errno, NLM_F_REPLACE, NlError};
use crate::note::{Note, TcNote};
use crate::qdisc::{BasicStats, QueueStats};
use crate::tables::jiffies::{HZ, jiffies};
use crate::tables::tc_action::{ActionTimes, TcAction};

/// Most actions of a filter (`TCA_ACT_MAX_PRIO`), which is also how often one may jump.
const MAX_PRIO: u32 = 32;
/// Parts of a second in which times are told (`USER_HZ`).
const USER_HZ: u64 = 100;

/// What is told of an action.
#[derive(Debug)]
pub struct ActionDump {
    /// Its kind.
    pub kind: &'static str,
    /// Its index.
    pub index: u32,
    /// What it says of packets.
    pub action: TcAct,
    /// What it was told.
    pub data: Box<dyn ActionData>,
    /// Who has it.
    pub refcnt: u32,
    /// How many of them are filters.
    pub bindcnt: u32,
    /// Packets that it saw.
    pub bstats: BasicStats,
    /// What became of them.
    pub qstats: QueueStats,
    /// How long ago it was made, used last and used first, in hundredths of a second; 0: not told.
    pub ages: [u64; 3],
    /// As [`TcAction::is_old`].
    pub is_old: bool,
}

/// The actions that modules registered.
fn tc_lookup_action(cx: &Cx, kind: &str) -> Option<&'static TcActionOps> {
    let mut known = cx.k.modules.iter().flat_map(|module| module.actions).copied();
    known.find(|ops| ops.kind == kind)
}

/// Does what a filter says to a packet; without any action it goes on.
pub fn tcf_exts_exec(cx: &mut Cx, actions: &[TcActionId], skb: SkbId) -> TcAct {
    if actions.is_empty() {
        return TcAct::Ok;
    }
    cx.within(Func::TcfActionExec, skb, |cx| tcf_action_exec(cx, actions, skb))
}

fn tcf_action_exec(cx: &mut Cx, actions: &[TcActionId], skb: SkbId) -> TcAct {
    if std::mem::take(&mut cx.skbs[skb].tc_skip_classify) {
        return TcAct::Ok;
    }
    let (mut at, mut jumps, mut said) = (0, MAX_PRIO, TcAct::Pipe);
    while let Some(id) = actions.get(at).copied() {
        let (ops, index) = (cx.k.tc_actions[id].ops, cx.k.tc_actions[id].index);
        said = cx.within(ops.func, skb, |cx| {
            let said = (ops.act)(cx, id, skb);
            cx.note(|_| Note::Tc(TcNote::Action { kind: ops.kind, index, said }));
            said
        });
        match said {
            TcAct::Pipe => at += 1,
            TcAct::Jump(to) => {
                jumps -= 1;
                if to == 0 || to as usize > actions.len() || jumps == 0 {
                    return TcAct::Ok;
                }
                at = to as usize;
            }
            _ => break,
        }
    }
    said
}

/// An action sees a packet: it counts it, and when that was (`tcf_lastuse_update`, `tcf_action_update_bstats`).
pub fn tcf_action_update(cx: &mut Cx, id: TcActionId, skb: SkbId) {
    let (now, bytes) = (jiffies(cx.now), u64::from(cx.skbs[skb].pkt_len));
    let packets = u64::from(cx.skbs[skb].gso_segs.max(1));
    let action = &mut cx.k.tc_actions[id];
    action.tm.lastuse = now;
    action.tm.firstuse.get_or_insert(now);
    action.bstats.bytes += bytes;
    action.bstats.packets += packets;
}

/// Makes the actions that a filter asks for, or takes those that have the index already.
///
/// # Errors
///
/// Those of the actions; none is made then.
pub fn tcf_action_init(
    cx: &mut Cx,
    netns: NetnsId,
    requests: &[ActionRequest],
) -> Result<Vec<TcActionId>, NlError> {
    let mut made = Vec::new();
    for request in requests {
        match tcf_action_init_1(cx, netns, request, Some(())) {
            Ok(id) => made.push(id),
            Err(error) => {
                tcf_exts_destroy(cx, &made);
                return Err(error);
            }
        }
    }
    Ok(made)
}

/// One action; `binds`: for a filter, otherwise one that has the index is an error, unless it is to be replaced.
fn tcf_action_init_1(
    cx: &mut Cx,
    netns: NetnsId,
    request: &ActionRequest,
    binds: Option<()>,
) -> Result<TcActionId, NlError> {
    let Some(ops) = tc_lookup_action(cx, request.kind) else {
        return refuse(Errno::ENOENT, "Failed to load TC action module");
    };
    if let Some(id) = cx.k.tc_actions.find(netns, ops.kind, request.index).filter(|_| binds.is_some()) {
        let action = &mut cx.k.tc_actions[id];
        action.refcnt += 1;
        action.bindcnt += 1;
        return Ok(id);
    }
    let data = (ops.init)(cx, netns, request.data.as_ref())?;
    let now = jiffies(cx.now);
    Ok(cx.k.tc_actions.insert(TcAction {
        ops,
        netns,
        index: request.index,
        refcnt: 1,
        bindcnt: u32::from(binds.is_some()),
        action: request.action,
        data,
        bstats: BasicStats::default(),
        qstats: QueueStats::default(),
        tm: ActionTimes { install: now, lastuse: now, firstuse: None },
        is_old: request.is_old,
    }))
}

/// A filter has these actions no more.
pub fn tcf_exts_destroy(cx: &mut Cx, actions: &[TcActionId]) {
    actions.iter().for_each(|id| cx.k.tc_actions.release(*id, true));
}

/// Makes actions without a filter (`RTM_NEWACTION`); `flags`: `NLM_F_*`.
///
/// # Errors
///
/// `EEXIST` for one that is there and is not to be replaced, `EINVAL` for a chain, and those of the actions.
pub fn tcf_action_add(
    cx: &mut Cx,
    netns: NetnsId,
    requests: &[ActionRequest],
    flags: u16,
) -> Result<(), NlError> {
    if requests.iter().any(|request| matches!(request.action, TcAct::GotoChain(_))) {
        return refuse(Errno::EINVAL, "can't goto NULL proto/chain");
    }
    for request in requests {
        match cx.k.tc_actions.find(netns, request.kind, request.index) {
            Some(_) if flags & NLM_F_REPLACE == 0 => return Err(Errno::EEXIST.into()),
            Some(id) => {
                let ops = cx.k.tc_actions[id].ops;
                let data = (ops.init)(cx, netns, request.data.as_ref())?;
                let action = &mut cx.k.tc_actions[id];
                (action.action, action.data) = (request.action, data);
            }
            None => _ = tcf_action_init_1(cx, netns, request, None)?,
        }
    }
    Ok(())
}

fn lookup(cx: &Cx, netns: NetnsId, kind: &str, index: u32) -> Result<TcActionId, NlError> {
    let Some(ops) = tc_lookup_action(cx, kind) else {
        return refuse(Errno::EINVAL, "Specified TC action kind not found");
    };
    match cx.k.tc_actions.find(netns, ops.kind, index) {
        Some(id) => Ok(id),
        None => refuse(Errno::ENOENT, "TC action with specified index not found"),
    }
}

/// Deletes an action that no filter has (`RTM_DELACTION`).
///
/// # Errors
///
/// `ENOENT` if it is not there, `EPERM` if a filter has it.
pub fn tcf_del_notify(cx: &mut Cx, netns: NetnsId, kind: &str, index: u32) -> Result<(), NlError> {
    let id = lookup(cx, netns, kind, index)?;
    if cx.k.tc_actions[id].bindcnt > 0 {
        return refuse(Errno::EPERM, "Failed to delete TC action");
    }
    cx.k.tc_actions.release(id, false);
    Ok(())
}

/// Deletes all actions of a kind, up to the first that a filter has (`tca_action_flush`); false if there is one.
///
/// # Errors
///
/// `EPERM` if that is the first one.
pub fn tca_action_flush(cx: &mut Cx, netns: NetnsId, kind: &str) -> Result<bool, NlError> {
    let Some(ops) = tc_lookup_action(cx, kind) else {
        return refuse(Errno::EINVAL, "Cannot flush unknown TC action");
    };
    let all = cx.k.tc_actions.of_kind(netns, ops.kind);
    let is_free = |id: &&TcActionId| cx.k.tc_actions[**id].bindcnt == 0;
    let free = all.iter().take_while(is_free).count();
    if free == 0 && !all.is_empty() {
        return Err(Errno::EPERM.into());
    }
    all[..free].iter().for_each(|id| cx.k.tc_actions.release(*id, false));
    Ok(free == all.len())
}

/// What is told of an action.
pub fn tcf_action_dump(cx: &Cx, id: TcActionId) -> ActionDump {
    let (action, now) = (&cx.k.tc_actions[id], jiffies(cx.now));
    let age = |at: u64| (now - at) * USER_HZ / HZ;
    let TcAction { index, action: said, refcnt, bindcnt, bstats, qstats, tm, is_old, .. } = *action;
    ActionDump {
        kind: action.ops.kind,
        index,
        action: said,
        data: action.data.boxed(),
        refcnt,
        bindcnt,
        bstats,
        qstats,
        ages: [age(tm.install), age(tm.lastuse), tm.firstuse.map_or(0, age)],
        is_old,
    }
}

/// An action by its index (`RTM_GETACTION`).
///
/// # Errors
///
/// `ENOENT` if it is not there.
pub fn tcf_get_notify(cx: &Cx, netns: NetnsId, kind: &str, index: u32) -> Result<ActionDump, NlError> {
    Ok(tcf_action_dump(cx, lookup(cx, netns, kind, index)?))
}

/// All actions of a kind.
pub fn tc_dump_action(cx: &Cx, netns: NetnsId, kind: &str) -> Vec<ActionDump> {
    let ops = tc_lookup_action(cx, kind);
    let all = ops.map(|ops| cx.k.tc_actions.of_kind(netns, ops.kind)).unwrap_or_default();
    all.into_iter().map(|id| tcf_action_dump(cx, id)).collect()
}

/// A namespace ends: its actions end with it.
pub fn tcf_action_net_exit(cx: &mut Cx, netns: NetnsId) {
    let kinds = cx.k.modules.iter().flat_map(|module| module.actions);
    let left: Vec<_> = kinds.flat_map(|ops| cx.k.tc_actions.of_kind(netns, ops.kind)).collect();
    left.into_iter().for_each(|id| cx.k.tc_actions.release(id, false));
}
