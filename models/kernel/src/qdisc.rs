//! The shape of a queueing discipline (`struct Qdisc_ops` and `struct Qdisc_class_ops`, include/net/sch_generic.h).
//!
//! Each discipline is a `pub static QDISC_OPS: QdiscOps` in its own file of `net/sched`; its module's row registers it
//! ([`crate::module`]). The transmit path knows only this shape. What is `None` the discipline does not have.

use std::any::Any;
use std::fmt::Debug;

use crate::door::Func;
use crate::ids::{QdiscId, SkbId};
use crate::netlink::NlError;
use crate::tables::qdisc::Qdisc;
use crate::{Cx, Kernel};

/// What became of a packet that was given to a discipline (`NET_XMIT_*`, include/linux/netdevice.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetXmit {
    /// It is in a queue.
    Success,
    /// It was dropped.
    Drop,
    /// Some packet was dropped, perhaps another one: there is congestion.
    Cn,
    /// A class that has no queue or too full a one dropped it, and a discipline above is not to count it
    /// (`__NET_XMIT_BYPASS`).
    Bypass,
}

/// A discipline's settings (`TCA_OPTIONS`) or own counters (`TCA_XSTATS`), of a type that its file defines.
pub trait QdiscData: Any + Debug + Send + Sync {
    /// As `Any`, to find the type.
    fn as_any(&self) -> &dyn Any;
}

impl<T: Any + Debug + Send + Sync> QdiscData for T {
    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// The data, if it is of this type.
pub fn qdisc_data<T: Any>(data: &dyn QdiscData) -> Option<&T> {
    data.as_any().downcast_ref()
}

/// A queueing discipline (`struct Qdisc_ops`).
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct QdiscOps {
    /// Its name.
    pub id: &'static str,
    /// `TCQ_F_*` that all of the kind have.
    pub static_flags: u16,
    /// Takes a packet; `None`: a device with this discipline has no queue.
    pub enqueue: Option<(Func, Enqueue)>,
    /// Gives the next packet that may be sent now.
    pub dequeue: Dequeue,
    /// The function that this is, where a function tracer sees it.
    pub dequeue_func: Option<Func>,
    /// The packet that [`dequeue`](Self::dequeue) would give; it stays.
    pub peek: Dequeue,
    /// A new one begins, with these settings.
    pub init: Option<Init>,
    /// Its settings change.
    pub change: Option<fn(&mut Cx, QdiscId, &dyn QdiscData) -> Result<(), NlError>>,
    /// It was put at a device's root, and attaches what it has to the device's queues.
    pub attach: Option<fn(&mut Cx, QdiscId)>,
    /// It forgets its packets.
    pub reset: Option<fn(&mut Cx, QdiscId)>,
    /// It ends, after it was reset; also when it could not begin.
    pub destroy: Option<fn(&mut Cx, QdiscId)>,
    /// The device's `txqueuelen` changed.
    pub change_tx_queue_len: Option<fn(&mut Cx, QdiscId, u32) -> Result<(), NlError>>,
    /// Its settings.
    pub dump: Option<fn(&Kernel, QdiscId) -> Box<dyn QdiscData>>,
    /// Its counters, where they are those of disciplines below it.
    pub collect_stats: Option<fn(&Kernel, QdiscId) -> QdiscStats>,
    /// Counters that only this kind has.
    pub dump_stats: Option<fn(&Cx, QdiscId) -> Box<dyn QdiscData>>,
    /// Its classes.
    pub cl_ops: Option<&'static QdiscClassOps>,
}

/// As [`QdiscOps::enqueue`].
pub type Enqueue = fn(&mut Cx, QdiscId, SkbId) -> NetXmit;
/// As [`QdiscOps::dequeue`].
pub type Dequeue = fn(&mut Cx, QdiscId) -> Option<SkbId>;
/// As [`QdiscOps::init`].
pub type Init = fn(&mut Cx, QdiscId, Option<&dyn QdiscData>) -> Result<(), NlError>;

impl QdiscOps {
    /// The base of a row: it drops what it gets.
    pub const fn new(id: &'static str) -> QdiscOps {
        QdiscOps {
            id,
            static_flags: 0,
            enqueue: Some((Func::NoopEnqueue, noop_enqueue)),
            dequeue: |_, _| None,
            dequeue_func: None,
            peek: |_, _| None,
            init: None,
            change: None,
            attach: None,
            reset: None,
            destroy: None,
            change_tx_queue_len: None,
            dump: None,
            collect_stats: None,
            dump_stats: None,
            cl_ops: None,
        }
    }
}

/// The classes of a discipline (`struct Qdisc_class_ops`); one is named by the number that `find` gives.
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct QdiscClassOps {
    /// The transmit queue of what is put below this parent; `None`: the discipline's own.
    pub select_queue: Option<fn(&Kernel, QdiscId, u32) -> u16>,
    /// Puts a discipline in a class, and returns the one that was there.
    pub graft: fn(&mut Cx, QdiscId, u32, Option<QdiscId>) -> Result<Option<QdiscId>, NlError>,
    /// The discipline in a class.
    pub leaf: fn(&Kernel, QdiscId, u32) -> Option<QdiscId>,
    /// The class of a handle.
    pub find: fn(&Kernel, QdiscId, u32) -> Option<u32>,
    /// All classes, in the order in which they are shown.
    pub walk: fn(&Kernel, QdiscId) -> Vec<u32>,
    /// What is told of a class.
    pub dump: fn(&Cx, QdiscId, u32) -> ClassDump,
    /// The discipline in a class is empty now, without having been asked for its packets.
    pub qlen_notify: Option<fn(&mut Cx, QdiscId, u32)>,
    /// Makes or changes the class of a handle, below a parent.
    pub change: Option<ChangeClass>,
    /// Whose filters are those of a class, of which 0 is the discipline: a class, or `None` if it can have none.
    pub tcf_block: Option<fn(u32) -> Option<u32>>,
    /// The first filter of one of its places is another one.
    pub chain_head_change: Option<fn(&mut Cx, QdiscId)>,
    /// A filter says one of its classes.
    pub bind_tcf: Option<fn(&mut Qdisc)>,
    /// Deletes a class.
    pub delete: Option<fn(&mut Cx, QdiscId, u32) -> Result<(), NlError>>,
}

/// As [`QdiscClassOps::change`]: the handle, the parent, the settings, and the class if there is one.
pub type ChangeClass = fn(&mut Cx, QdiscId, ClassRequest, Option<u32>) -> Result<(), NlError>;

/// A class that is to be made or changed.
#[derive(Clone, Copy, Debug)]
pub struct ClassRequest<'a> {
    /// Its handle; 0: the kernel chooses.
    pub classid: u32,
    /// The handle of its parent, a class or the discipline.
    pub parent: u32,
    /// Its settings.
    pub options: Option<&'a dyn QdiscData>,
}

/// What is told of a class (`struct tcmsg` and attributes).
#[derive(Debug)]
pub struct ClassDump {
    /// Its handle.
    pub handle: u32,
    /// Its parent.
    pub parent: u32,
    /// The discipline in it (`tcm_info`), by its handle; 0: none that has one.
    pub leaf: u32,
    /// Its settings.
    pub options: Option<Box<dyn QdiscData>>,
    /// What was sent, if it is counted.
    pub bstats: Option<BasicStats>,
    /// Its queue, if there is one to tell of, with the packets that wait.
    pub qstats: Option<(QueueStats, u32)>,
    /// Counters that only this kind has.
    pub xstats: Option<Box<dyn QdiscData>>,
}

impl ClassDump {
    /// A class without settings and counters.
    pub fn new(handle: u32, parent: u32, leaf: u32) -> ClassDump {
        ClassDump { handle, parent, leaf, options: None, bstats: None, qstats: None, xstats: None }
    }
}

/// Packets that were sent (`struct gnet_stats_basic`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BasicStats {
    /// Bytes with the Ethernet header.
    pub bytes: u64,
    /// Packets.
    pub packets: u64,
}

/// Counters of a queue (`struct gnet_stats_queue`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// Bytes that wait.
    pub backlog: u32,
    /// Packets that were dropped.
    pub drops: u32,
    /// Packets that the device did not take, and that waited for a second try.
    pub requeues: u32,
    /// How often a packet was there and was not allowed to go.
    pub overlimits: u32,
}

/// All counters that every discipline and class has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QdiscStats {
    /// What was sent.
    pub bstats: BasicStats,
    /// The queue.
    pub qstats: QueueStats,
    /// Packets that wait.
    pub qlen: u32,
}

/// `noop`, before a device is first set up, and while it is down or has no carrier: drops all packets. Every machine has
/// it, once.
pub static NOOP_QDISC_OPS: QdiscOps = QdiscOps::new("noop");

fn noop_enqueue(cx: &mut Cx, _: QdiscId, skb: SkbId) -> NetXmit {
    cx.k.qdiscs.to_free.push(skb);
    NetXmit::Cn
}
