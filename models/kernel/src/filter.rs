//! The shape of a classifier (`struct tcf_proto_ops`, include/net/sch_generic.h).
//!
//! Each classifier is a `TcfProtoOps` in its own file of `net/sched`; its module's row registers it ([`crate::module`]). What its
//! filters are only it knows; their actions are the same for all.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;

use crate::action::{ActionData, TcAct};
use crate::door::Func;
use crate::ids::{SkbId, TcActionId};
use crate::netlink::NlError;
use crate::tables::skb::SkbPool;

/// A filter (`TCA_OPTIONS`), of a type that its classifier defines.
pub trait FilterData: Any + fmt::Debug + Send + Sync {
    /// As `Any`, to find the type.
    fn as_any(&self) -> &dyn Any;

    /// The class that it says.
    fn classid(&self) -> Option<u32> {
        None
    }
}

/// The filter, if it is of this type.
pub fn filter_data<T: Any>(data: &dyn FilterData) -> Option<&T> {
    data.as_any().downcast_ref()
}

/// An action that a filter, or somebody who makes one without a filter, asks for.
#[derive(Debug)]
pub struct ActionRequest {
    /// Its kind.
    pub kind: &'static str,
    /// Its index; 0: none is said.
    pub index: u32,
    /// What it is to say of packets.
    pub action: TcAct,
    /// What it is told.
    pub data: Box<dyn ActionData>,
    /// As [`crate::tables::tc_action::TcAction::is_old`].
    pub is_old: bool,
}

/// What a filter asks for beside what it compares.
#[derive(Debug, Default)]
pub struct ExtsRequest {
    /// Its actions.
    pub actions: Vec<ActionRequest>,
    /// It is not for cards (`skip_hw`).
    pub skip_hw: bool,
    /// It is for cards only (`skip_sw`).
    pub skip_sw: bool,
}

/// What a filter has beside what it compares (`struct tcf_exts`, and its flags).
#[derive(Clone, Debug, Default)]
pub struct TcfExts {
    /// Its actions.
    pub actions: Vec<TcActionId>,
    /// As of [`ExtsRequest`].
    pub skip_hw: bool,
    /// As of [`ExtsRequest`].
    pub skip_sw: bool,
}

/// A filter that matches.
#[derive(Clone, Copy, Debug)]
pub struct Matched {
    /// Its handle.
    pub handle: u32,
    /// The class that it says; 0: none.
    pub classid: u32,
}

/// A classifier.
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct TcfProtoOps {
    /// Its name.
    pub kind: &'static str,
    /// The function that asks its filters.
    pub func: Func,
    /// What the classes of a discipline have of it is numbered, and shown by priority, as one (`struct tc_u_common`).
    pub is_shared: bool,
    /// A new one begins, among those of this kind that its discipline has.
    pub init: fn(&[&TcfProto]) -> Box<dyn Any + Send + Sync>,
    /// The first filter that matches, behind the one with this handle, which said that the next is to be asked.
    pub classify: fn(&SkbPool, &mut TcfProto, SkbId, Option<u32>) -> Option<Matched>,
    /// There is a filter with this handle.
    pub get: fn(&TcfProto, u32) -> bool,
    /// Makes a filter, or changes the one with this handle; 0: the classifier chooses. Returns its handle.
    pub change: fn(&mut TcfProto, u32, Option<&dyn FilterData>) -> Result<u32, NlError>,
    /// Deletes a filter; true if it was the last.
    pub delete: fn(&mut TcfProto, u32) -> bool,
    /// Its filters, with their handles, in the order in which they are shown.
    pub dump: fn(&TcfProto) -> Vec<(u32, Box<dyn FilterData>)>,
}

/// The filters of one priority (`struct tcf_proto`).
pub struct TcfProto {
    /// Its priority: lower ones are asked first.
    pub prio: u16,
    /// The Ethertype of the packets that it is for; [`ETH_P_ALL`]: all.
    pub protocol: u16,
    /// Its classifier.
    pub ops: &'static TcfProtoOps,
    /// What its filters have beside what they compare, by handle.
    pub exts: BTreeMap<u32, TcfExts>,
    private: Box<dyn Any + Send + Sync>,
}

/// All packets, as an Ethertype (include/uapi/linux/if_ether.h).
pub const ETH_P_ALL: u16 = 3;

impl TcfProto {
    /// One without filters.
    pub fn new(
        ops: &'static TcfProtoOps,
        prio: u16,
        protocol: u16,
        private: Box<dyn Any + Send + Sync>,
    ) -> TcfProto {
        TcfProto { prio, protocol, ops, exts: BTreeMap::new(), private }
    }

    /// What only its classifier knows of it, if it is of the kind that keeps a `T`.
    pub fn root<T: Any>(&self) -> Option<&T> {
        self.private.downcast_ref()
    }

    /// The same, to change it.
    pub fn root_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.private.downcast_mut()
    }

    /// A filter is for cards only.
    pub fn skips_sw(&self, handle: u32) -> bool {
        self.exts.get(&handle).is_some_and(|exts| exts.skip_sw)
    }
}

impl fmt::Debug for TcfProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:#06x}", self.ops.kind, self.prio, self.protocol)
    }
}

/// The filters of a place: of a discipline, a class, or what comes in or goes out (`struct tcf_block`).
#[derive(Debug, Default)]
pub struct TcfBlock {
    /// The place, as the last one who made a filter here named it.
    pub classid: u32,
    /// Chains by number, in the order in which they were made. Packets begin in chain 0.
    pub chains: Vec<(u32, Vec<TcfProto>)>,
}

impl TcfBlock {
    /// The filters of a chain by priority; none if there is no such chain.
    pub fn chain(&self, index: u32) -> &[TcfProto] {
        self.chains.iter().find(|(known, _)| *known == index).map_or(&[], |(_, protos)| protos)
    }

    /// The same, to change them; the chain is made if there is none.
    pub fn chain_mut(&mut self, index: u32) -> &mut Vec<TcfProto> {
        let known = self.chains.iter().position(|(known, _)| *known == index);
        let at = known.unwrap_or_else(|| {
            self.chains.push((index, Vec::new()));
            self.chains.len() - 1
        });
        &mut self.chains[at].1
    }

    /// All filters.
    pub fn protos(&self) -> impl Iterator<Item = &TcfProto> {
        self.chains.iter().flat_map(|(_, protos)| protos)
    }

    /// The actions of all of them.
    pub fn actions(&self) -> impl Iterator<Item = TcActionId> {
        self.protos().flat_map(|tp| tp.exts.values()).flat_map(|exts| exts.actions.iter().copied())
    }
}
