//! The shape of an action of filters (`struct tc_action_ops`, include/net/act_api.h).
//!
//! Each action is a `TcActionOps` in its own file of `net/sched`; its module's row registers it ([`crate::module`]). What it is
//! told only it knows.

use std::any::Any;
use std::fmt;

use crate::Cx;
use crate::door::Func;
use crate::ids::{NetnsId, SkbId, TcActionId};
use crate::netlink::NlError;

/// What an action says of a packet (`TC_ACT_*`, include/uapi/linux/pkt_cls.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TcAct {
    /// The next filter is asked; of a filter with a class: as [`TcAct::Ok`].
    Unspec,
    /// The packet goes on.
    #[default]
    Ok,
    /// The filters are asked again, from the first one on.
    Reclassify,
    /// The packet is dropped.
    Shot,
    /// The next action follows.
    Pipe,
    /// The packet has gone another way.
    Stolen,
    /// The packet is for the CPU of a switch.
    Trap,
    /// Another one has the packet, which is not to be touched any more.
    Consumed,
    /// The action with this number follows, counted from 0.
    Jump(u32),
    /// The filters of a chain are asked.
    GotoChain(u32),
}

impl fmt::Display for TcAct {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let name = match self {
            TcAct::Unspec => "continue",
            TcAct::Ok => "pass",
            TcAct::Reclassify => "reclassify",
            TcAct::Shot => "drop",
            TcAct::Pipe => "pipe",
            TcAct::Stolen | TcAct::Consumed => "stolen",
            TcAct::Trap => "trap",
            TcAct::Jump(to) => return write!(f, "jump {to}"),
            TcAct::GotoChain(chain) => return write!(f, "goto chain {chain}"),
        };
        f.write_str(name)
    }
}

/// What an action is told (`TCA_ACT_OPTIONS`), and what it remembers: of a type that it defines.
pub trait ActionData: Any + fmt::Debug + Send + Sync {
    /// A copy.
    fn boxed(&self) -> Box<dyn ActionData>;
}

impl<T: Any + fmt::Debug + Clone + Send + Sync> ActionData for T {
    fn boxed(&self) -> Box<dyn ActionData> {
        Box::new(self.clone())
    }
}

/// What an action is told, if it is of this type.
pub fn action_data<T: Any>(data: &dyn ActionData) -> Option<&T> {
    (data as &dyn Any).downcast_ref()
}

/// The same, to change it.
pub fn action_data_mut<T: Any>(data: &mut dyn ActionData) -> Option<&mut T> {
    (data as &mut dyn Any).downcast_mut()
}

/// An action.
#[derive(Debug)]
pub struct TcActionOps {
    /// Its name.
    pub kind: &'static str,
    /// The function that does it.
    pub func: Func,
    /// What a new one, or one that is replaced, is told, looked through (`init`).
    pub init: InitAction,
    /// Does it to a packet.
    pub act: fn(&mut Cx, TcActionId, SkbId) -> TcAct,
}

/// As [`TcActionOps::init`].
pub type InitAction = fn(&mut Cx, NetnsId, &dyn ActionData) -> Result<Box<dyn ActionData>, NlError>;
