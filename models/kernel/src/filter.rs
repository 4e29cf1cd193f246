//! The shape of a classifier (`struct tcf_proto_ops`, include/net/sch_generic.h).
//!
//! Each classifier is a `TcfProtoOps` in its own file of `net/sched`; its module's row registers it ([`crate::module`]). What its
//! filters are only it knows.

use std::any::Any;
use std::fmt;

use crate::ids::SkbId;
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

/// A classifier.
#[derive(Debug)]
#[expect(
    clippy::type_complexity,
    reason = "one row of functions, each with the type that the kernel gives it"
)]
pub struct TcfProtoOps {
    /// Its name.
    pub kind: &'static str,
    /// What the classes of a discipline have of it is numbered, and shown by priority, as one (`struct tc_u_common`).
    pub is_shared: bool,
    /// A new one begins, among those of this kind that its discipline has.
    pub init: fn(&[&TcfProto]) -> Box<dyn Any + Send + Sync>,
    /// The class that a filter says; `None`: no filter matches.
    pub classify: fn(&SkbPool, &mut TcfProto, SkbId) -> Option<u32>,
    /// There is a filter with this handle.
    pub get: fn(&TcfProto, u32) -> bool,
    /// Makes a filter, or changes the one with this handle; 0: the classifier chooses.
    pub change: fn(&mut TcfProto, u32, Option<&dyn FilterData>) -> Result<(), NlError>,
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
        TcfProto { prio, protocol, ops, private }
    }

    /// What only its classifier knows of it, if it is of the kind that keeps a `T`.
    pub fn root<T: Any>(&self) -> Option<&T> {
        self.private.downcast_ref()
    }

    /// The same, to change it.
    pub fn root_mut<T: Any>(&mut self) -> Option<&mut T> {
        self.private.downcast_mut()
    }
}

impl fmt::Debug for TcfProto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {:#06x}", self.ops.kind, self.prio, self.protocol)
    }
}
