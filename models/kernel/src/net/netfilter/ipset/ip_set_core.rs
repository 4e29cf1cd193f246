//! Requests about sets (net/netfilter/ipset/ip_set_core.c).

use crate::Cx;
use crate::ids::NetnsId;
use crate::tables::ipset::types::{Adt, Create, Extensions, Range, Request, SetError, SetType};

/// A set to be created: [`Create`] before the kernel added its part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSet {
    /// Type.
    pub set_type: SetType,
    /// Extensions.
    pub ext: Extensions,
    /// Buckets to begin with.
    pub hashsize: Option<u32>,
    /// Most elements.
    pub maxelem: Option<u32>,
    /// Most elements in a bucket.
    pub bucketsize: Option<u8>,
    /// Addresses are cut to this prefix.
    pub netmask: Option<u8>,
    /// Where the hash begins; `None`: the kernel rolls its dice.
    pub initval: Option<u32>,
    /// A bitmap's range.
    pub range: Option<Range>,
    /// `size` of a list.
    pub size: Option<u32>,
}

impl NewSet {
    /// A set of this type with everything else as the kernel likes it.
    pub fn new(set_type: SetType) -> NewSet {
        NewSet {
            set_type,
            ext: Extensions::default(),
            hashsize: None,
            maxelem: None,
            bucketsize: None,
            netmask: None,
            initval: None,
            range: None,
            size: None,
        }
    }
}

/// A request (`IPSET_CMD_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IpSetCall {
    /// `create NAME`.
    Create(String, Box<NewSet>),
    /// `destroy [NAME]`.
    Destroy(Option<String>),
    /// `flush [NAME]`.
    Flush(Option<String>),
    /// `rename FROM TO`.
    Rename(String, String),
    /// `swap FROM TO`.
    Swap(String, String),
    /// `add`, `del` or `test NAME ELEMENT`.
    Adt(String, Adt, Box<Request>),
}

/// Carries a request out. With `exist` what is already so is no error.
///
/// # Errors
///
/// What the kernel answers: no such set or element, one that exists, a full set, one that rules use.
pub fn call(cx: &mut Cx, netns: NetnsId, call: IpSetCall, exist: bool) -> Result<(), SetError> {
    let now = cx.now;
    match call {
        IpSetCall::Create(name, new) => {
            let create = Create {
                set_type: new.set_type,
                ext: new.ext,
                hashsize: new.hashsize,
                maxelem: new.maxelem,
                bucketsize: new.bucketsize,
                netmask: new.netmask,
                initval: new.initval.unwrap_or_else(|| cx.dice.below(1 << 32) as u32),
                range: new.range,
                size: new.size,
                bitmask_known: cx.k.config.ipset_bitmask,
                smp: cx.k.config.smp,
            };
            cx.k.netns[netns].ipsets.create(&name, &create, exist, now)
        }
        IpSetCall::Destroy(name) => match cx.k.netns[netns].ipsets.destroy(name.as_deref()) {
            Err(SetError::NoSuchSet) if exist => Ok(()),
            other => other,
        },
        IpSetCall::Flush(name) => cx.k.netns[netns].ipsets.flush(name.as_deref()),
        IpSetCall::Rename(from, to) => cx.k.netns[netns].ipsets.rename(&from, &to),
        IpSetCall::Swap(from, to) => cx.k.netns[netns].ipsets.swap(&from, &to),
        IpSetCall::Adt(name, what, request) => {
            cx.k.netns[netns].ipsets.adt(&name, what, &request, exist, now)
        }
    }
}
