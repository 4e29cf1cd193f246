//! Filters of disciplines and classes: which class a packet is of.
//!
//! Kernel: net/sched/cls_api.c. Not modelled: filters of `ingress` and `clsact`, chains, blocks that devices share, actions,
//! cards that filter.

use super::sch_api::refuse;
use crate::Cx;
use crate::filter::{ETH_P_ALL, FilterData, TcfProto};
use crate::ids::{DevId, QdiscId, SkbId};
use crate::net::core::qdisc::qdisc_lookup;
use crate::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NlError};
use crate::tables::qdisc::{TC_H_INGRESS, TCQ_F_INGRESS, tc_h_maj, tc_h_min};

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
    /// A filter with its handle; `None`: the line that stands above those of a priority.
    pub filter: Option<(u32, Box<dyn FilterData>)>,
}

/// The class that filters say of a packet, those of the lowest priority first; `class`: whose filters are asked, 0 for those of
/// the discipline itself.
pub fn tcf_classify(cx: &mut Cx, sch: QdiscId, class: u32, skb: SkbId) -> Option<u32> {
    let protos = cx.k.qdiscs[sch].filters.get_mut(&class)?;
    let protocol = cx.skbs[skb].protocol;
    let mut asked = protos.iter_mut().filter(|tp| tp.protocol == ETH_P_ALL || tp.protocol == protocol);
    asked.find_map(|tp| (tp.ops.classify)(cx.skbs, tp, skb))
}

/// As [`tcf_block`](crate::qdisc::QdiscClassOps::tcf_block): the discipline has filters, its classes have none.
pub fn only_its_own(class: u32) -> Option<u32> {
    (class == 0).then_some(0)
}

/// A filter of the discipline sends packets to this class.
pub fn is_bound(cx: &Cx, sch: QdiscId, classid: u32) -> bool {
    let protos = cx.k.qdiscs[sch].filters.values().flatten();
    let mut filters = protos.flat_map(|tp| (tp.ops.dump)(tp));
    filters.any(|(_, filter)| filter.classid() == Some(classid))
}

/// The discipline that a request means, and the class in it whose filters they are (`tcf_block_find`).
fn block(cx: &Cx, msg: &FilterMsg) -> Result<(QdiscId, u32), NlError> {
    let found = match tc_h_maj(msg.parent) {
        _ if msg.parent == 0 => Some(cx.k.devs[msg.dev].qdisc),
        major if major == tc_h_maj(TC_H_INGRESS) => cx.k.devs[msg.dev].ingress,
        major => qdisc_lookup(cx.k, msg.dev, major),
    };
    let Some(q) = found else { return refuse(Errno::EINVAL, "Parent Qdisc doesn't exists") };
    if cx.k.qdiscs[q].has(TCQ_F_INGRESS) {
        return Err(NlError::not_modelled("tc filter of ingress and clsact"));
    }
    let Some(classes) = cx.k.qdiscs[q].ops.cl_ops else { return refuse(Errno::EINVAL, "Qdisc not classful") };
    let Some(tcf_block) = classes.tcf_block else {
        return refuse(Errno::EOPNOTSUPP, "Class doesn't support blocks");
    };
    let mut class = 0;
    if tc_h_min(msg.parent) != 0 {
        match (classes.find)(cx.k, q, msg.parent) {
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

/// Makes or changes a filter (`RTM_NEWTFILTER`).
///
/// # Errors
///
/// `ENOENT` if what is to be changed, a parent or the classifier is not there, `EEXIST` if the filter is and is not to be
/// changed, `EINVAL` for a priority with another protocol or classifier, and those of the classifier.
pub fn tc_new_tfilter(cx: &mut Cx, msg: &FilterMsg) -> Result<(), NlError> {
    const CREATE: &str = "Need both RTM_NEWTFILTER and NLM_F_CREATE to create a new filter";
    let creates = msg.flags & NLM_F_CREATE != 0;
    if msg.prio == 0 && !creates {
        return refuse(Errno::ENOENT, "Invalid filter command with priority of zero");
    }
    let (q, class) = block(cx, msg)?;
    let modules = cx.k.modules;
    let filters = &mut cx.k.qdiscs[q].filters;
    let protos = filters.entry(class).or_default();
    let chosen = || {
        let next = protos.iter().find(|tp| tp.prio >= AUTO_PRIO);
        next.map_or(FIRST_AUTO_PRIO, |next| next.prio - 1)
    };
    let prio = if msg.prio == 0 { chosen() } else { msg.prio };
    let (at, is_new) = match tp_find(protos, msg.protocol, prio)? {
        Ok(at) if msg.kind.is_some_and(|kind| kind != protos[at].ops.kind) => {
            return refuse(Errno::EINVAL, "Specified filter kind does not match existing one");
        }
        Ok(at) => (at, false),
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
            let of_kind: Vec<&TcfProto> =
                filters.values().flatten().filter(|tp| tp.ops.kind == kind).collect();
            let root = (ops.init)(&of_kind);
            let protos = filters.entry(class).or_default();
            protos.insert(at, TcfProto::new(ops, prio, msg.protocol, root));
            (at, true)
        }
    };
    let protos = filters.entry(class).or_default();
    let tp = &mut protos[at];
    let done = match (tp.ops.get)(tp, msg.handle) {
        false if !creates => refuse(Errno::ENOENT, CREATE),
        true if msg.flags & NLM_F_EXCL != 0 => refuse(Errno::EEXIST, "Filter already exists"),
        _ => (tp.ops.change)(tp, msg.handle, msg.options),
    };
    if is_new && done.is_err() {
        protos.remove(at);
    }
    let is_bound = done.is_ok() && msg.options.is_some_and(|filter| filter.classid().is_some());
    if let Some(bind) = cx.k.qdiscs[q].ops.cl_ops.and_then(|classes| classes.bind_tcf).filter(|_| is_bound) {
        bind(&mut cx.k.qdiscs[q]);
    }
    done
}

/// Deletes a filter, those of a priority, or all of a place (`RTM_DELTFILTER`).
///
/// # Errors
///
/// `ENOENT` if what is named is not there, and `EINVAL` as [`tc_new_tfilter`].
pub fn tc_del_tfilter(cx: &mut Cx, msg: &FilterMsg) -> Result<(), NlError> {
    if msg.prio == 0 && (msg.protocol != 0 || msg.handle != 0 || msg.kind.is_some()) {
        return refuse(Errno::ENOENT, "Cannot flush filters with protocol, handle or kind set");
    }
    let (q, class) = block(cx, msg)?;
    let filters = &mut cx.k.qdiscs[q].filters;
    if msg.prio == 0 {
        filters.remove(&class);
        return Ok(());
    }
    let protos = filters.entry(class).or_default();
    if protos.is_empty() {
        return refuse(Errno::ENOENT, "Cannot find specified filter chain");
    }
    let Ok(at) = tp_find(protos, msg.protocol, msg.prio)? else {
        return refuse(Errno::ENOENT, "Filter with specified priority/protocol not found");
    };
    let tp = &mut protos[at];
    if msg.kind.is_some_and(|kind| kind != tp.ops.kind) {
        return refuse(Errno::EINVAL, "Specified filter kind does not match existing one");
    }
    if msg.handle == 0 {
        protos.remove(at);
    } else if !(tp.ops.get)(tp, msg.handle) {
        return refuse(Errno::ENOENT, "Specified filter handle not found");
    } else if (tp.ops.delete)(tp, msg.handle) {
        protos.remove(at);
    }
    Ok(())
}

/// The filters of a discipline or class of a device; none if there are none, or no such place.
///
/// # Errors
///
/// Filters of `ingress` and `clsact` are not modelled.
pub fn tc_dump_tfilter(cx: &Cx, dev: DevId, parent: u32) -> Result<Vec<FilterDump>, NlError> {
    let msg = FilterMsg { dev, parent, prio: 0, protocol: 0, handle: 0, flags: 0, kind: None, options: None };
    let (q, class) = match block(cx, &msg) {
        Ok(found) => found,
        Err(error) if error.not_modelled.is_some() => return Err(error),
        Err(_) => return Ok(Vec::new()),
    };
    let parent = if parent == 0 { cx.k.qdiscs[q].handle } else { parent };
    let filters = &cx.k.qdiscs[q].filters;
    let mut dumps = Vec::new();
    for tp in filters.get(&class).into_iter().flatten() {
        let (prio, protocol, kind) = (tp.prio, tp.protocol, tp.ops.kind);
        let mut shown = vec![(0, (tp.ops.dump)(tp))];
        if tp.ops.is_shared {
            let same = |other: &&TcfProto| other.prio == prio && other.ops.kind == kind;
            let all = filters.values().flatten().filter(same).map(|tp| (tp.ops.dump)(tp));
            shown = all.map(|dump| (dump.first().map_or(0, |(handle, _)| *handle), dump)).collect();
            // The newest first.
            shown.sort_by_key(|(handle, _)| std::cmp::Reverse(*handle));
        }
        let shown = shown.into_iter().flat_map(|(_, dump)| dump).map(Some);
        let dump = |filter| FilterDump { parent, prio, protocol, kind, filter };
        dumps.extend(std::iter::once(None).chain(shown).map(dump));
    }
    Ok(dumps)
}
