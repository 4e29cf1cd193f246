//! Filters of disciplines and classes, and of what comes in and goes out: which class a packet is of, and what becomes of it.
//!
//! Kernel: net/sched/cls_api.c. Not modelled: templates of chains, blocks that devices share, cards that filter.

use super::act_api::{ActionDump, tcf_action_dump, tcf_action_init, tcf_exts_destroy, tcf_exts_exec};
use super::sch_api::refuse;
use crate::Cx;
use crate::action::TcAct;
use crate::door::Func;
use crate::filter::{ETH_P_ALL, ExtsRequest, FilterData, TcfBlock, TcfExts, TcfProto};
use crate::ids::{DevId, QdiscId, SkbId, TcActionId};
use crate::net::core::qdisc::{qdisc_lookup, qdisc_pkt_len};
use crate::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NlError};
use crate::note::{Note, TcNote};
use crate::qdisc::NetXmit;
use crate::tables::klog::LOG_NOTICE;
use crate::tables::qdisc::{TC_H_INGRESS, tc_h_maj, tc_h_min};

/// The priority that is chosen first where none is said.
const FIRST_AUTO_PRIO: u16 = 0xc000;
/// Priorities that are chosen are not below.
const AUTO_PRIO: u16 = 0x8000;

/// A request (`struct tcmsg` with its attributes).
#[derive(Clone, Copy, Debug)]
pub struct FilterMsg<'a> {
    /// The device.
    pub dev: DevId,
    /// The handle of the discipline or class whose filters are meant; 0: the device's root.
    pub parent: u32,
    /// The priority; 0: none is said.
    pub prio: u16,
    /// The Ethertype of the packets; 0: none is said.
    pub protocol: u16,
    /// The handle; 0: none is said.
    pub handle: u32,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The classifier (`TCA_KIND`).
    pub kind: Option<&'a str>,
    /// The filter (`TCA_OPTIONS`).
    pub options: Option<&'a dyn FilterData>,
    /// Its actions and flags.
    pub exts: &'a ExtsRequest,
    /// The chain (`TCA_CHAIN`).
    pub chain: u32,
}

/// What is told of filters.
#[derive(Debug)]
pub struct FilterDump {
    /// The handle of the discipline or class.
    pub parent: u32,
    /// The priority.
    pub prio: u16,
    /// The Ethertype.
    pub protocol: u16,
    /// The classifier.
    pub kind: &'static str,
    /// The chain.
    pub chain: u32,
    /// A filter with its handle; `None`: the line that stands above those of a priority.
    pub filter: Option<(u32, Box<dyn FilterData>)>,
    /// Its actions.
    pub actions: Vec<ActionDump>,
    /// It is not for cards (`skip_hw`).
    pub skip_hw: bool,
    /// It is for cards only (`skip_sw`).
    pub skip_sw: bool,
}

/// What filters say of a packet.
#[derive(Clone, Copy, Debug)]
pub struct TcfResult {
    /// What becomes of it; [`TcAct::Unspec`]: no filter says anything.
    pub act: TcAct,
    /// The class; 0: none.
    pub classid: u32,
}

impl TcfResult {
    const NONE: TcfResult = TcfResult { act: TcAct::Unspec, classid: 0 };

    /// Of the filters of a discipline: the class, if there is one to take.
    pub fn class(self) -> Option<u32> {
        (self.act != TcAct::Unspec).then_some(self.classid)
    }

    /// Of the filters of a discipline: what is to be done with a packet that does not go on (`__NET_XMIT_STOLEN` or
    /// `__NET_XMIT_BYPASS`).
    pub fn ends(self, cx: &mut Cx, sch: QdiscId, skb: SkbId) -> Option<NetXmit> {
        if !matches!(self.act, TcAct::Stolen | TcAct::Trap | TcAct::Shot) {
            return None;
        }
        cx.k.qdiscs[sch].qstats.drops += u32::from(self.act == TcAct::Shot);
        cx.k.qdiscs.to_free.push(skb);
        Some(NetXmit::Bypass)
    }
}

/// What filters say of a packet, those of the lowest priority first; `class`: whose filters are asked, 0 for those of the discipline
/// itself.
pub fn tcf_classify(cx: &mut Cx, sch: QdiscId, class: u32, skb: SkbId) -> TcfResult {
    cx.skbs[skb].pkt_len = qdisc_pkt_len(cx, skb);
    cx.within(Func::TcfClassify, skb, |cx| __tcf_classify(cx, sch, class, skb))
}

/// The filters of a place.
fn block_of<'a>(cx: &'a mut Cx, sch: QdiscId, class: u32) -> Option<&'a mut TcfBlock> {
    cx.k.qdiscs.get_mut(sch)?.filters.get_mut(&class)
}

fn __tcf_classify(cx: &mut Cx, sch: QdiscId, class: u32, skb: SkbId) -> TcfResult {
    /// How often filters are asked anew (`max_reclassify_loop`).
    const LIMIT: u32 = 16;
    let (mut chain, mut at, mut again) = (0, 0, 0);
    loop {
        let pkt = &cx.skbs[skb];
        let protocol = pkt.vlan_tag.map_or(pkt.protocol, |tag| tag.proto.ethertype());
        let Some(block) = block_of(cx, sch, class) else { return TcfResult::NONE };
        let is_for = |tp: &TcfProto| tp.protocol == ETH_P_ALL || tp.protocol == protocol;
        let protos = block.chain(chain);
        let Some(next) = (at..protos.len()).find(|at| is_for(&protos[*at])) else {
            return TcfResult::NONE;
        };
        let func = protos[next].ops.func;
        let said = cx.within(func, skb, |cx| ask(cx, (sch, class), (chain, next), skb));
        (chain, at) = match said.act {
            TcAct::Unspec => {
                at = next + 1;
                continue;
            }
            TcAct::Reclassify => (0, 0),
            TcAct::GotoChain(chain) => (chain, 0),
            _ => return said,
        };
        again += 1;
        if again > LIMIT {
            cx.printk_limited(LOG_NOTICE, |_| {
                // The kernel looks for the priority in the wrong half of its number.
                vec![format!("0: reclassify loop, rule prio 0, protocol {protocol:02x}")]
            });
            return TcfResult { act: TcAct::Shot, classid: 0 };
        }
    }
}

/// What the filters of a priority say of a packet: its chain, and its place there.
fn ask(cx: &mut Cx, (sch, class): (QdiscId, u32), (chain, at): (u32, usize), skb: SkbId) -> TcfResult {
    let mut after = None;
    loop {
        let Some(block) = cx.k.qdiscs[sch].filters.get_mut(&class) else { return TcfResult::NONE };
        let Some(tp) = block.chain_mut(chain).get_mut(at) else { return TcfResult::NONE };
        let Some(matched) = (tp.ops.classify)(cx.skbs, tp, skb, after) else { return TcfResult::NONE };
        let actions = tp.exts.get(&matched.handle).map(|exts| exts.actions.clone()).unwrap_or_default();
        let (kind, prio) = (tp.ops.kind, tp.prio);
        cx.note(|_| Note::Tc(TcNote::Filter { kind, prio, chain, handle: matched.handle }));
        let act = tcf_exts_exec(cx, &actions, skb);
        if act != TcAct::Unspec {
            return TcfResult { act, classid: matched.classid };
        }
        after = Some(matched.handle);
    }
}

/// As [`tcf_block`](crate::qdisc::QdiscClassOps::tcf_block): the discipline has filters, its classes have none.
pub fn only_its_own(class: u32) -> Option<u32> {
    (class == 0).then_some(0)
}

/// A filter of the discipline sends packets to this class.
pub fn is_bound(cx: &Cx, sch: QdiscId, classid: u32) -> bool {
    let protos = cx.k.qdiscs[sch].filters.values().flat_map(TcfBlock::protos);
    let mut filters = protos.flat_map(|tp| (tp.ops.dump)(tp));
    filters.any(|(_, filter)| filter.classid() == Some(classid))
}

/// The discipline that a request means, and the class in it whose filters they are (`tcf_block_find`).
fn block(cx: &Cx, dev: DevId, parent: u32) -> Result<(QdiscId, u32), NlError> {
    let found = match tc_h_maj(parent) {
        _ if parent == 0 => Some(cx.k.devs[dev].qdisc),
        major if major == tc_h_maj(TC_H_INGRESS) => {
            cx.k.devs[dev].ingress.filter(|ingress| *ingress != QdiscId::NOOP)
        }
        major => qdisc_lookup(cx.k, dev, major),
    };
    let Some(q) = found else { return refuse(Errno::EINVAL, "Parent Qdisc doesn't exists") };
    let Some(classes) = cx.k.qdiscs[q].ops.cl_ops else { return refuse(Errno::EINVAL, "Qdisc not classful") };
    let Some(tcf_block) = classes.tcf_block else {
        return refuse(Errno::EOPNOTSUPP, "Class doesn't support blocks");
    };
    let mut class = 0;
    if tc_h_min(parent) != 0 {
        match (classes.find)(cx.k, q, parent) {
            Some(found) => class = found,
            None => return refuse(Errno::ENOENT, "Specified class doesn't exist"),
        }
    }
    // Chosen by the discipline: some have filters for all of their classes only.
    match tcf_block(class) {
        Some(class) => Ok((q, class)),
        None => Err(Errno::EINVAL.into()),
    }
}

/// Where the filters of a priority are, or where they would be.
fn tp_find(protos: &[TcfProto], protocol: u16, prio: u16) -> Result<Result<usize, usize>, NlError> {
    match protos.binary_search_by_key(&prio, |tp| tp.prio) {
        Ok(at) if protocol != 0 && protos[at].protocol != protocol => {
            refuse(Errno::EINVAL, "Filter with specified priority/protocol not found")
        }
        found => Ok(found),
    }
}

/// The filters of the request's priority, which are made if there are none: their place, and whether they were made.
fn tp_for(cx: &mut Cx, msg: &FilterMsg, q: QdiscId, class: u32) -> Result<(usize, bool), NlError> {
    let creates = msg.flags & NLM_F_CREATE != 0;
    let modules = cx.k.modules;
    let filters = &mut cx.k.qdiscs[q].filters;
    let protos = filters.entry(class).or_default().chain(msg.chain);
    let chosen = || {
        let next = protos.iter().find(|tp| tp.prio >= AUTO_PRIO);
        next.map_or(FIRST_AUTO_PRIO, |next| next.prio - 1)
    };
    let prio = if msg.prio == 0 { chosen() } else { msg.prio };
    match tp_find(protos, msg.protocol, prio)? {
        Ok(at) if msg.kind.is_some_and(|kind| kind != protos[at].ops.kind) => {
            refuse(Errno::EINVAL, "Specified filter kind does not match existing one")
        }
        Ok(at) => Ok((at, false)),
        Err(at) => {
            let Some(kind) = msg.kind.filter(|_| msg.protocol != 0) else {
                return refuse(Errno::EINVAL, "Filter kind and protocol must be specified");
            };
            if !creates {
                return refuse(Errno::ENOENT, CREATE);
            }
            let mut known = modules.iter().flat_map(|module| module.classifiers).copied();
            let Some(ops) = known.find(|ops| ops.kind == kind) else {
                return refuse(Errno::ENOENT, "TC classifier not found");
            };
            let all = filters.values().flat_map(TcfBlock::protos);
            let of_kind: Vec<&TcfProto> = all.filter(|tp| tp.ops.kind == kind).collect();
            let root = (ops.init)(&of_kind);
            let protos = filters.entry(class).or_default().chain_mut(msg.chain);
            protos.insert(at, TcfProto::new(ops, prio, msg.protocol, root));
            Ok((at, true))
        }
    }
}

const CREATE: &str = "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter";

/// Makes or changes a filter (`RTM_NEWTFILTER`).
///
/// # Errors
///
/// `ENOENT` if what is to be changed, a parent or the classifier is not there, `EEXIST` if the filter is and is not to be
/// changed, `EINVAL` for a priority with another protocol or classifier, and those of the classifier and of the actions.
pub fn tc_new_tfilter(cx: &mut Cx, msg: &FilterMsg) -> Result<(), NlError> {
    let creates = msg.flags & NLM_F_CREATE != 0;
    if msg.prio == 0 && !creates {
        return refuse(Errno::ENOENT, "Invalid filter command with priority of zero");
    }
    let (q, class) = block(cx, msg.dev, msg.parent)?;
    let handle = cx.k.qdiscs[q].handle;
    let place = cx.k.qdiscs[q].filters.entry(class).or_default();
    place.classid = if msg.parent == 0 { handle } else { msg.parent };
    let (at, is_new) = tp_for(cx, msg, q, class)?;
    let tp = proto_mut(cx, (q, class), msg.chain, at);
    let exists = (tp.ops.get)(tp, msg.handle);
    let done = match exists {
        false if !creates => refuse(Errno::ENOENT, CREATE),
        true if msg.flags & NLM_F_EXCL != 0 => refuse(Errno::EEXIST, "Filter already exists"),
        _ => (tp.ops.change)(tp, msg.handle, msg.options),
    };
    let done = done.and_then(|handle| {
        set_exts(cx, msg, (q, class), at, handle).inspect_err(|_| {
            let tp = proto_mut(cx, (q, class), msg.chain, at);
            if !exists {
                (tp.ops.delete)(tp, handle);
            }
        })
    });
    if is_new && done.is_err() {
        cx.k.qdiscs[q].filters.entry(class).or_default().chain_mut(msg.chain).remove(at);
    }
    drop_empty_chains(cx, q, class);
    let is_bound = done.is_ok() && msg.options.is_some_and(|filter| filter.classid().is_some());
    let classes = cx.k.qdiscs[q].ops.cl_ops;
    if let Some(bind) = classes.and_then(|classes| classes.bind_tcf).filter(|_| is_bound) {
        bind(&mut cx.k.qdiscs[q]);
    }
    head_changed(cx, q);
    done
}

fn proto_mut<'a>(cx: &'a mut Cx, (q, class): (QdiscId, u32), chain: u32, at: usize) -> &'a mut TcfProto {
    &mut cx.k.qdiscs[q].filters.entry(class).or_default().chain_mut(chain)[at]
}

/// Gives a filter its actions and flags, in place of those that it had.
fn set_exts(
    cx: &mut Cx,
    msg: &FilterMsg,
    place: (QdiscId, u32),
    at: usize,
    handle: u32,
) -> Result<(), NlError> {
    let netns = cx.k.devs[msg.dev].netns;
    let actions = tcf_action_init(cx, netns, &msg.exts.actions)?;
    let kind = proto_mut(cx, place, msg.chain, at).ops.kind;
    // No card takes filters; u32 keeps them all the same.
    if msg.exts.skip_sw && kind != "u32" {
        let continues = |id: &TcActionId| {
            cx.k.tc_actions[*id].ops.kind == "gact" && cx.k.tc_actions[*id].action == TcAct::Unspec
        };
        let continues = actions.iter().any(continues);
        tcf_exts_destroy(cx, &actions);
        return match continues {
            true => refuse(Errno::EOPNOTSUPP, "act_gact: Offload of \"continue\" action is not supported"),
            false => Err(Errno::EOPNOTSUPP.into()),
        };
    }
    let exts = TcfExts { actions, skip_hw: msg.exts.skip_hw, skip_sw: msg.exts.skip_sw };
    let old = proto_mut(cx, place, msg.chain, at).exts.insert(handle, exts);
    tcf_exts_destroy(cx, &old.unwrap_or_default().actions);
    Ok(())
}

/// The first filter of a place is another one, or gone: who asks them knows (`tcf_chain_head_change`).
fn head_changed(cx: &mut Cx, q: QdiscId) {
    if let Some(changed) = cx.k.qdiscs[q].ops.cl_ops.and_then(|classes| classes.chain_head_change) {
        changed(cx, q);
    }
}

/// Chains without filters are gone, unless an action leads there.
fn drop_empty_chains(cx: &mut Cx, q: QdiscId, class: u32) {
    let Some(block) = cx.k.qdiscs[q].filters.get(&class) else { return };
    let to = |id| match cx.k.tc_actions[id].action {
        TcAct::GotoChain(chain) => Some(chain),
        _ => None,
    };
    let led_to: Vec<u32> = block.actions().filter_map(to).collect();
    if let Some(block) = cx.k.qdiscs[q].filters.get_mut(&class) {
        led_to.iter().for_each(|chain| _ = block.chain_mut(*chain));
        block.chains.retain(|(chain, protos)| !protos.is_empty() || led_to.contains(chain));
    }
}

/// Deletes a filter, those of a priority, or all of a chain (`RTM_DELTFILTER`).
///
/// # Errors
///
/// `ENOENT` if what is named is not there, and `EINVAL` as [`tc_new_tfilter`].
pub fn tc_del_tfilter(cx: &mut Cx, msg: &FilterMsg) -> Result<(), NlError> {
    if msg.prio == 0 && (msg.protocol != 0 || msg.handle != 0 || msg.kind.is_some()) {
        return refuse(Errno::ENOENT, "Cannot flush filters with protocol, handle or kind set");
    }
    let (q, class) = block(cx, msg.dev, msg.parent)?;
    let gone = if msg.prio == 0 {
        let block = cx.k.qdiscs[q].filters.entry(class).or_default();
        std::mem::take(block.chain_mut(msg.chain)).into_iter().flat_map(|tp| tp.exts).collect()
    } else {
        del_of_prio(cx, msg, q, class)?
    };
    for (_, exts) in gone {
        tcf_exts_destroy(cx, &exts.actions);
    }
    drop_empty_chains(cx, q, class);
    head_changed(cx, q);
    Ok(())
}

/// Deletes a filter, or all of a priority; returns what they had beside what they compare.
fn del_of_prio(cx: &mut Cx, msg: &FilterMsg, q: QdiscId, class: u32) -> Result<Vec<(u32, TcfExts)>, NlError> {
    let at = find_of_prio(cx, msg, q, class)?;
    let protos = cx.k.qdiscs[q].filters.entry(class).or_default().chain_mut(msg.chain);
    let tp = &mut protos[at];
    if msg.handle == 0 {
        return Ok(protos.remove(at).exts.into_iter().collect());
    }
    if !(tp.ops.get)(tp, msg.handle) {
        return refuse(Errno::ENOENT, "Specified filter handle not found");
    }
    let mut gone: Vec<_> = tp.exts.remove_entry(&msg.handle).into_iter().collect();
    if (tp.ops.delete)(tp, msg.handle) {
        gone.extend(protos.remove(at).exts);
    }
    Ok(gone)
}

/// The place of the filters of a priority.
fn find_of_prio(cx: &Cx, msg: &FilterMsg, q: QdiscId, class: u32) -> Result<usize, NlError> {
    let block = cx.k.qdiscs[q].filters.get(&class);
    let protos = block.map_or(&[][..], |block| block.chain(msg.chain));
    if block.is_none_or(|block| block.chains.iter().all(|(known, _)| *known != msg.chain)) {
        return refuse(Errno::ENOENT, "Cannot find specified filter chain");
    }
    let Ok(at) = tp_find(protos, msg.protocol, msg.prio)? else {
        return refuse(Errno::ENOENT, "Filter with specified priority/protocol not found");
    };
    if msg.kind.is_some_and(|kind| kind != protos[at].ops.kind) {
        return refuse(Errno::EINVAL, "Specified filter kind does not match existing one");
    }
    Ok(at)
}

/// A filter by its handle (`RTM_GETTFILTER`).
///
/// # Errors
///
/// `ENOENT` if it is not there, and `EINVAL` as [`tc_new_tfilter`].
pub fn tc_get_tfilter(cx: &Cx, msg: &FilterMsg) -> Result<FilterDump, NlError> {
    if msg.prio == 0 {
        return refuse(Errno::ENOENT, "Invalid filter command with priority of zero");
    }
    let (q, class) = block(cx, msg.dev, msg.parent)?;
    let at = find_of_prio(cx, msg, q, class)?;
    let Some(block) = cx.k.qdiscs[q].filters.get(&class) else { return Err(Errno::ENOENT.into()) };
    let tp = &block.chain(msg.chain)[at];
    let found = (tp.ops.dump)(tp).into_iter().find(|(handle, _)| *handle == msg.handle);
    match found.filter(|_| (tp.ops.get)(tp, msg.handle)) {
        Some(found) => Ok(dump_of(cx, msg.parent, msg.chain, tp, Some(found))),
        None => refuse(Errno::ENOENT, "Specified filter handle not found"),
    }
}

fn dump_of(
    cx: &Cx,
    parent: u32,
    chain: u32,
    tp: &TcfProto,
    filter: Option<(u32, Box<dyn FilterData>)>,
) -> FilterDump {
    let exts = filter.as_ref().and_then(|(handle, _)| tp.exts.get(handle));
    FilterDump {
        parent,
        prio: tp.prio,
        protocol: tp.protocol,
        kind: tp.ops.kind,
        chain,
        actions: exts.iter().flat_map(|exts| &exts.actions).map(|id| tcf_action_dump(cx, *id)).collect(),
        skip_hw: exts.is_some_and(|exts| exts.skip_hw),
        skip_sw: exts.is_some_and(|exts| exts.skip_sw),
        filter,
    }
}

/// The filters of a discipline or class of a device; none if there are none, or no such place.
pub fn tc_dump_tfilter(cx: &Cx, dev: DevId, parent: u32) -> Vec<FilterDump> {
    let Ok((q, class)) = block(cx, dev, parent) else { return Vec::new() };
    let filters = &cx.k.qdiscs[q].filters;
    let Some(block) = filters.get(&class) else { return Vec::new() };
    let mut dumps = Vec::new();
    for (chain, tp) in block.chains.iter().flat_map(|(chain, protos)| protos.iter().map(|tp| (*chain, tp))) {
        let (prio, kind) = (tp.prio, tp.ops.kind);
        let mut shown = vec![(0, tp)];
        if tp.ops.is_shared {
            let same = |other: &&TcfProto| other.prio == prio && other.ops.kind == kind;
            let all = filters.values().flat_map(TcfBlock::protos).filter(same);
            let first = |tp: &TcfProto| (tp.ops.dump)(tp).first().map_or(0, |(handle, _)| *handle);
            shown = all.map(|tp| (first(tp), tp)).collect();
            // The newest first.
            shown.sort_by_key(|(handle, _)| std::cmp::Reverse(*handle));
        }
        dumps.push(dump_of(cx, block.classid, chain, tp, None));
        for (_, of) in shown {
            let all = (of.ops.dump)(of).into_iter();
            dumps.extend(all.map(|filter| dump_of(cx, block.classid, chain, of, Some(filter))));
        }
    }
    dumps
}
