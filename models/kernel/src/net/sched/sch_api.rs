//! Requests about queueing disciplines and classes, as `tc` makes them.
//!
//! Kernel: net/sched/sch_api.c. Not modelled: size tables, estimators of rates.

use std::cmp::Reverse;

use crate::Cx;
use crate::ids::{DevId, QdiscId};
use crate::net::core::qdisc::{qdisc_lookup, qdisc_lookup_ops, qdisc_put};
use crate::net::core::sch_generic::{dev_activate, dev_deactivate, dev_graft_qdisc};
use crate::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use crate::qdisc::{ClassDump, ClassRequest, QdiscData, QdiscOps, QdiscStats};
use crate::tables::klog::LOG_INFO;
use crate::tables::qdisc::{
    Qdisc, TC_H_INGRESS, TC_H_ROOT, TCQ_F_BUILTIN, TCQ_F_INGRESS, TCQ_F_INVISIBLE, TCQ_F_MQROOT,
    TCQ_F_NOLOCK, TCQ_F_ONETXQUEUE, tc_h_maj, tc_h_min,
};

/// A request (`struct tcmsg` with its attributes).
#[derive(Clone, Copy, Debug)]
pub struct TcMsg<'a> {
    /// The device.
    pub dev: DevId,
    /// The parent's handle; 0: none is said.
    pub parent: u32,
    /// The handle; 0: none is said.
    pub handle: u32,
    /// `NLM_F_*`.
    pub flags: u16,
    /// The kind of the discipline (`TCA_KIND`).
    pub kind: Option<&'a str>,
    /// Its settings (`TCA_OPTIONS`).
    pub options: Option<&'a dyn QdiscData>,
}

impl TcMsg<'_> {
    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }
}

/// What `tc` is told with an error number.
pub(super) fn refuse<T>(errno: Errno, text: &'static str) -> Result<T, NlError> {
    Err(NlError::with(errno, text))
}

/// The discipline in a class.
fn qdisc_leaf(cx: &Cx, parent: QdiscId, classid: u32) -> Result<Option<QdiscId>, NlError> {
    let Some(classes) = cx.k.qdiscs[parent].ops.cl_ops else {
        return refuse(Errno::EOPNOTSUPP, "Parent qdisc is not classful");
    };
    match (classes.find)(cx.k, parent, classid) {
        Some(class) => Ok((classes.leaf)(cx.k, parent, class)),
        None => refuse(Errno::ENOENT, "Specified class not found"),
    }
}

/// Deletes a discipline (`RTM_DELQDISC`).
///
/// # Errors
///
/// `ENOENT` if there is none there, `EINVAL` if it has another handle or kind, and those of its parent.
pub fn tc_del_qdisc(cx: &mut Cx, msg: &TcMsg) -> Result<(), NlError> {
    let (q, parent) = find_qdisc(cx, msg)?;
    if msg.kind.is_some_and(|kind| kind != cx.k.qdiscs[q].ops.id) {
        return refuse(Errno::EINVAL, "Invalid qdisc name");
    }
    if msg.parent == 0 {
        return refuse(Errno::EINVAL, "Classid cannot be zero");
    }
    if cx.k.qdiscs[q].handle == 0 {
        return refuse(Errno::ENOENT, "Cannot delete qdisc with handle of zero");
    }
    qdisc_graft(cx, msg.dev, parent, msg.parent, None, Some(q))
}

/// The discipline that a request to delete means, and the one above it.
fn find_qdisc(cx: &Cx, msg: &TcMsg) -> Result<(QdiscId, Option<QdiscId>), NlError> {
    let mut above = None;
    if msg.parent == 0 {
        return match qdisc_lookup(cx.k, msg.dev, msg.handle) {
            Some(q) => Ok((q, None)),
            None => refuse(Errno::ENOENT, "Failed to find qdisc with specified handle"),
        };
    }
    let found = if msg.parent == TC_H_ROOT {
        Some(cx.k.devs[msg.dev].qdisc)
    } else if tc_h_maj(msg.parent) == tc_h_maj(TC_H_INGRESS) {
        cx.k.devs[msg.dev].ingress
    } else {
        above = qdisc_lookup(cx.k, msg.dev, tc_h_maj(msg.parent));
        match above {
            Some(above) => qdisc_leaf(cx, above, msg.parent)?,
            None => return refuse(Errno::ENOENT, "Failed to find qdisc with specified classid"),
        }
    };
    let Some(q) = found else {
        return refuse(Errno::ENOENT, "Cannot find specified qdisc on specified device");
    };
    if msg.handle != 0 && cx.k.qdiscs[q].handle != msg.handle {
        return refuse(Errno::EINVAL, "Invalid handle");
    }
    Ok((q, above))
}

/// What a request to make or change a discipline comes to.
enum Modify {
    Change(Option<QdiscId>),
    Create,
    Graft(QdiscId),
}

/// Makes or changes a discipline (`RTM_NEWQDISC`).
///
/// # Errors
///
/// `ENOENT` if its parent, its kind or what is to be changed is not there, `EEXIST` if it is there and is not to be changed,
/// `ELOOP` if it would be its own parent, and those of its kind and of its parent.
pub fn tc_modify_qdisc(cx: &mut Cx, msg: &TcMsg) -> Result<(), NlError> {
    let mut above = None;
    let modify = if msg.parent == 0 {
        if msg.handle == 0 {
            return refuse(Errno::EINVAL, "Handle cannot be zero");
        }
        Modify::Change(qdisc_lookup(cx.k, msg.dev, msg.handle))
    } else {
        let there = match msg.parent {
            TC_H_ROOT => Some(cx.k.devs[msg.dev].qdisc),
            TC_H_INGRESS => Some(*cx.k.devs[msg.dev].ingress.get_or_insert(QdiscId::NOOP)),
            parent => {
                above = qdisc_lookup(cx.k, msg.dev, tc_h_maj(parent));
                match above {
                    Some(above) => qdisc_leaf(cx, above, parent)?,
                    None => return refuse(Errno::ENOENT, "Failed to find specified qdisc"),
                }
            }
        };
        // One of the device's own choice does not count.
        decide(cx, msg, above, there.filter(|q| cx.k.qdiscs[*q].handle != 0))?
    };
    let new = match modify {
        Modify::Change(q) => return change_existing(cx, msg, q),
        Modify::Create => create(cx, msg, above)?,
        Modify::Graft(q) => {
            cx.k.qdiscs[q].refcnt += 1;
            q
        }
    };
    qdisc_graft(cx, msg.dev, above, msg.parent, Some(new), None).inspect_err(|_| qdisc_put(cx, new))
}

/// What to do about the discipline that is there.
fn decide(cx: &Cx, msg: &TcMsg, above: Option<QdiscId>, there: Option<QdiscId>) -> Result<Modify, NlError> {
    let create = || match msg.has(NLM_F_CREATE) {
        true => Ok(Modify::Create),
        false => refuse(Errno::ENOENT, "Qdisc not found. To create specify NLM_F_CREATE flag"),
    };
    let is_other = |q: QdiscId| msg.kind.is_some_and(|kind| kind != cx.k.qdiscs[q].ops.id);
    if let Some(q) = there.filter(|q| msg.handle == 0 || cx.k.qdiscs[*q].handle == msg.handle) {
        if msg.handle == 0 && is_other(q) {
            let replaces = msg.has(NLM_F_CREATE) && (msg.has(NLM_F_REPLACE) || msg.has(NLM_F_EXCL));
            if replaces || msg.flags & (NLM_F_CREATE | NLM_F_REPLACE | NLM_F_EXCL) == 0 {
                return Ok(Modify::Create);
            }
        }
        return Ok(Modify::Change(Some(q)));
    }
    if msg.handle == 0 {
        return create();
    }
    if there.is_some() && !msg.has(NLM_F_REPLACE) {
        return refuse(Errno::EEXIST, "NLM_F_REPLACE needed to override");
    }
    if tc_h_min(msg.handle) != 0 {
        return refuse(Errno::EINVAL, "Invalid minor handle");
    }
    let Some(q) = qdisc_lookup(cx.k, msg.dev, msg.handle) else { return create() };
    if cx.k.qdiscs[q].parent != msg.parent {
        return refuse(Errno::EINVAL, "Cannot move an existing qdisc to a different parent");
    }
    if msg.has(NLM_F_EXCL) {
        return refuse(Errno::EEXIST, "Exclusivity flag on, cannot override");
    }
    if is_other(q) {
        return refuse(Errno::EINVAL, "Invalid qdisc name");
    }
    if cx.k.qdiscs[q].has(TCQ_F_INGRESS) {
        return refuse(Errno::EINVAL, "Cannot regraft ingress or clsact Qdiscs");
    }
    if Some(q) == above || above.is_some_and(|above| has_below(cx, q, above, 0)) {
        return refuse(Errno::ELOOP, "Qdisc parent/child loop detected");
    }
    if msg.parent == TC_H_INGRESS {
        return refuse(Errno::EINVAL, "Ingress cannot graft directly");
    }
    Ok(Modify::Graft(q))
}

/// The second discipline is below the first one, or too deep below it to tell (`check_loop`).
fn has_below(cx: &Cx, q: QdiscId, other: QdiscId, depth: u32) -> bool {
    let Some(classes) = cx.k.qdiscs[q].ops.cl_ops else { return false };
    let leaves = (classes.walk)(cx.k, q).into_iter().filter_map(|class| (classes.leaf)(cx.k, q, class));
    let mut leaves = leaves.filter(|leaf| !cx.k.qdiscs[*leaf].has(TCQ_F_BUILTIN));
    leaves.any(|leaf| leaf == other || depth > 7 || has_below(cx, leaf, other, depth + 1))
}

fn change_existing(cx: &mut Cx, msg: &TcMsg, q: Option<QdiscId>) -> Result<(), NlError> {
    let Some(q) = q else { return refuse(Errno::ENOENT, "Specified qdisc not found") };
    if msg.has(NLM_F_EXCL) {
        return refuse(Errno::EEXIST, "Exclusivity flag on, cannot modify");
    }
    let ops = cx.k.qdiscs[q].ops;
    if msg.kind.is_some_and(|kind| kind != ops.id) {
        return refuse(Errno::EINVAL, "Invalid qdisc name");
    }
    match (msg.options, ops.change) {
        (None, _) => Ok(()),
        (Some(options), Some(change)) => change(cx, q, options),
        (Some(_), None) => refuse(Errno::EINVAL, "Change operation not supported by specified qdisc"),
    }
}

fn create(cx: &mut Cx, msg: &TcMsg, above: Option<QdiscId>) -> Result<QdiscId, NlError> {
    let Some(ops) = msg.kind.and_then(|kind| qdisc_lookup_ops(cx.k, kind)) else {
        return refuse(Errno::ENOENT, "Specified qdisc kind is unknown");
    };
    let queue = match above {
        Some(above) => match cx.k.qdiscs[above].ops.cl_ops.and_then(|classes| classes.select_queue) {
            Some(select) => select(cx.k, above, msg.parent),
            None => cx.k.qdiscs[above].queue,
        },
        None => 0,
    };
    qdisc_create(cx, msg, ops, queue)
}

/// Length of a transmit queue, packets.
const DEFAULT_TX_QUEUE_LEN: u32 = 1000;

/// Makes a discipline, which is nowhere yet.
fn qdisc_create(cx: &mut Cx, msg: &TcMsg, ops: &'static QdiscOps, queue: u16) -> Result<QdiscId, NlError> {
    let mut qdisc = Qdisc::new(ops, msg.dev, queue);
    qdisc.parent = msg.parent;
    qdisc.handle = if msg.parent == TC_H_INGRESS {
        if !qdisc.has(TCQ_F_INGRESS) {
            let text = "Specified parent ID is reserved for ingress and clsact Qdiscs";
            return refuse(Errno::EINVAL, text);
        }
        tc_h_maj(TC_H_INGRESS)
    } else {
        if cx.k.devs[msg.dev].tx.len() == 1 {
            qdisc.flags |= TCQ_F_ONETXQUEUE;
        }
        match msg.handle {
            0 => qdisc_alloc_handle(cx, msg.dev)?,
            handle => handle,
        }
    };
    let netdev = &mut cx.k.devs[msg.dev];
    if netdev.no_queue && netdev.tx_queue_len == 0 {
        // Who wants a queue without saying how long has one as long as others have.
        netdev.tx_queue_len = DEFAULT_TX_QUEUE_LEN;
        let line = format!("{}: Caught tx_queue_len zero misconfig", netdev.name);
        cx.printk(LOG_INFO, line);
    }
    let q = cx.k.qdiscs.insert(qdisc);
    let begun = ops.init.map_or(Ok(()), |init| init(cx, q, msg.options));
    begun.inspect_err(|_| qdisc_put(cx, q))?;
    cx.k.qdiscs.hash_add(q, false);
    Ok(q)
}

/// A free handle from 8001: on.
fn qdisc_alloc_handle(cx: &mut Cx, dev: DevId) -> Result<u32, NlError> {
    for _ in 0..0x8000 {
        let next = cx.k.qdiscs.autohandle.wrapping_add(0x1_0000);
        cx.k.qdiscs.autohandle = if next == tc_h_maj(TC_H_ROOT) { 0x8000_0000 } else { next };
        if qdisc_lookup(cx.k, dev, cx.k.qdiscs.autohandle).is_none() {
            return Ok(cx.k.qdiscs.autohandle);
        }
    }
    refuse(Errno::ENOSPC, "Maximum number of qdisc handles was exceeded")
}

/// Puts a discipline at a device's root or in a class, in place of the one that is there.
fn qdisc_graft(
    cx: &mut Cx,
    dev: DevId,
    above: Option<QdiscId>,
    classid: u32,
    new: Option<QdiscId>,
    old: Option<QdiscId>,
) -> Result<(), NlError> {
    let is_ingress = |q: &Option<QdiscId>| q.is_some_and(|q| cx.k.qdiscs[q].has(TCQ_F_INGRESS));
    match above {
        None if is_ingress(&new) || is_ingress(&old) => graft_ingress(cx, dev, new),
        None => graft_root(cx, dev, new),
        Some(above) => return graft_class(cx, above, classid, new),
    }
    Ok(())
}

fn graft_ingress(cx: &mut Cx, dev: DevId, new: Option<QdiscId>) {
    let old = cx.k.devs[dev].ingress.replace(new.unwrap_or(QdiscId::NOOP));
    if let Some(old) = old {
        qdisc_put(cx, old);
    }
}

fn graft_root(cx: &mut Cx, dev: DevId, new: Option<QdiscId>) {
    let is_up = cx.k.devs[dev].is_up();
    if is_up {
        dev_deactivate(cx, dev);
    }
    let attach = new.and_then(|new| cx.k.qdiscs[new].ops.attach);
    if attach.is_none() {
        for queue in 0..cx.k.devs[dev].tx.len() as u16 {
            let old = dev_graft_qdisc(cx, dev, queue, new);
            if let Some(new) = new {
                cx.k.qdiscs[new].refcnt += u32::from(queue > 0);
            }
            qdisc_put(cx, old);
        }
        if let Some(new) = new {
            cx.k.qdiscs[new].refcnt += 1;
        }
    }
    let old = std::mem::replace(&mut cx.k.devs[dev].qdisc, new.unwrap_or(QdiscId::NOOP));
    qdisc_put(cx, old);
    if let (Some(new), Some(attach)) = (new, attach) {
        attach(cx, new);
    }
    if is_up {
        dev_activate(cx, dev);
    }
}

fn graft_class(cx: &mut Cx, above: QdiscId, classid: u32, new: Option<QdiscId>) -> Result<(), NlError> {
    let parent = &cx.k.qdiscs[above];
    let Some(classes) = parent.ops.cl_ops else { return Err(Errno::EOPNOTSUPP.into()) };
    let (without_lock, depth) = (parent.has(TCQ_F_NOLOCK | TCQ_F_MQROOT), parent.depth);
    let Some(class) = (classes.find)(cx.k, above, classid) else {
        return refuse(Errno::ENOENT, "Specified class not found");
    };
    if let Some(new) = new {
        if cx.k.qdiscs[new].ops.enqueue.is_none() {
            return refuse(Errno::EINVAL, "Cannot assign noqueue to a class");
        }
        if depth >= 7 {
            return refuse(Errno::E2BIG, "Qdisc hierarchy is too deep");
        }
        if !without_lock {
            cx.k.qdiscs[new].flags &= !TCQ_F_NOLOCK;
        }
    }
    let old = (classes.graft)(cx, above, class, new)?;
    if let Some(new) = new {
        cx.k.qdiscs[new].depth = depth + 1;
    }
    if let Some(old) = old {
        qdisc_put(cx, old);
    }
    Ok(())
}

/// Makes, changes or deletes a class (`RTM_NEWTCLASS`, `RTM_DELTCLASS`).
///
/// # Errors
///
/// `ENOENT` if the discipline or the class is not there, `EEXIST` if it is and is not to be changed, `EINVAL` for handles that do
/// not fit, `EOPNOTSUPP` if the discipline's classes are fixed, and those of the discipline.
pub fn tc_ctl_tclass(cx: &mut Cx, msg: &TcMsg, deletes: bool) -> Result<(), NlError> {
    let (mut parent, own) = (msg.parent, tc_h_maj(msg.handle));
    let root = cx.k.qdiscs[cx.k.devs[msg.dev].qdisc].handle;
    let above = if parent == TC_H_ROOT { 0 } else { tc_h_maj(parent) };
    let major = match (own, above) {
        (own, above) if own != 0 && above != 0 && own != above => return Err(Errno::EINVAL.into()),
        (0, 0) => root,
        (0, above) => above,
        (own, _) => own,
    };
    if parent != TC_H_ROOT && parent != 0 {
        parent = major | tc_h_min(parent);
    }
    let q = qdisc_lookup(cx.k, msg.dev, major).ok_or(Errno::ENOENT)?;
    let classes = cx.k.qdiscs[q].ops.cl_ops.ok_or(Errno::EINVAL)?;
    let classid = match msg.handle {
        0 if parent == TC_H_ROOT => major,
        0 => 0,
        handle => major | tc_h_min(handle),
    };
    let class = if classid == 0 { None } else { (classes.find)(cx.k, q, classid) };
    match (class, deletes) {
        (Some(class), true) => return classes.delete.ok_or(Errno::EOPNOTSUPP)?(cx, q, class),
        (None, true) => return Err(Errno::ENOENT.into()),
        (None, false) if !msg.has(NLM_F_CREATE) => return Err(Errno::ENOENT.into()),
        (Some(_), false) if msg.has(NLM_F_EXCL) => return Err(Errno::EEXIST.into()),
        _ => {}
    }
    if classid == TC_H_ROOT {
        return refuse(Errno::EINVAL, "Cannot create traffic class with classid TC_H_ROOT");
    }
    let request = ClassRequest { classid, parent, options: msg.options };
    classes.change.ok_or(Errno::EOPNOTSUPP)?(cx, q, request, class)
}

/// What is told of a discipline.
#[derive(Debug)]
pub struct QdiscDump {
    /// Its device.
    pub dev: DevId,
    /// Its kind.
    pub kind: &'static str,
    /// Its handle.
    pub handle: u32,
    /// Its parent.
    pub parent: u32,
    /// How many places it has (`tcm_info`).
    pub refcnt: u32,
    /// Its settings.
    pub options: Option<Box<dyn QdiscData>>,
    /// Its counters.
    pub stats: QdiscStats,
    /// Counters that only its kind has.
    pub xstats: Option<Box<dyn QdiscData>>,
}

fn dump_qdisc(cx: &Cx, q: QdiscId) -> QdiscDump {
    let qdisc = &cx.k.qdiscs[q];
    QdiscDump {
        dev: qdisc.dev,
        kind: qdisc.ops.id,
        handle: qdisc.handle,
        parent: qdisc.parent,
        refcnt: qdisc.refcnt,
        options: qdisc.ops.dump.map(|dump| dump(cx.k, q)),
        stats: qdisc.ops.collect_stats.map_or(qdisc.stats(), |collect| collect(cx.k, q)),
        xstats: qdisc.ops.dump_stats.map(|dump| dump(cx, q)),
    }
}

/// The disciplines of a device below its root, in the order of the kernel's hash table: the last that was added first.
fn hashed(cx: &Cx, dev: DevId) -> Vec<QdiscId> {
    let bucket = |handle: u32| handle.wrapping_mul(0x61c8_8647) >> 28;
    let of_dev = cx.k.qdiscs.iter().filter(|(_, qdisc)| qdisc.dev == dev && qdisc.hash_seq > 0);
    let mut found: Vec<_> =
        of_dev.map(|(q, qdisc)| (bucket(qdisc.handle), Reverse(qdisc.hash_seq), q)).collect();
    found.sort();
    found.into_iter().map(|(.., q)| q).collect()
}

/// The disciplines of a device; the kernel's own only if they are asked for (`RTM_GETQDISC`).
pub fn tc_dump_qdisc(cx: &Cx, dev: DevId, invisible: bool) -> Vec<QdiscDump> {
    let mut all = vec![cx.k.devs[dev].qdisc];
    all.extend(hashed(cx, dev));
    all.extend(cx.k.devs[dev].ingress);
    let hidden = TCQ_F_BUILTIN | if invisible { 0 } else { TCQ_F_INVISIBLE };
    all.into_iter().filter(|q| !cx.k.qdiscs[*q].has(hidden)).map(|q| dump_qdisc(cx, q)).collect()
}

/// The classes of a device's disciplines, or of the one that a parent belongs to, each with the kind of its discipline
/// (`RTM_GETTCLASS`).
pub fn tc_dump_tclass(cx: &Cx, dev: DevId, parent: u32) -> Vec<(&'static str, ClassDump)> {
    let mut all = vec![cx.k.devs[dev].qdisc];
    all.extend(hashed(cx, dev));
    let mut dumps = Vec::new();
    for q in all {
        let qdisc = &cx.k.qdiscs[q];
        let is_meant = parent == 0 || tc_h_maj(parent) == qdisc.handle;
        if let Some(classes) = qdisc.ops.cl_ops
            && is_meant
            && !qdisc.has(TCQ_F_BUILTIN | TCQ_F_INVISIBLE)
        {
            let classes = (classes.walk)(cx.k, q).into_iter().map(|class| (classes.dump)(cx, q, class));
            dumps.extend(classes.map(|class| (qdisc.ops.id, class)));
        }
    }
    dumps
}
