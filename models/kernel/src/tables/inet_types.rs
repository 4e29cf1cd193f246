//! Types of rtnetlink's address messages.
//!
//! Kernel: include/uapi/linux/if_addr.h

use std::net::Ipv4Addr;

use crate::ids::DevId;
use crate::tables::route_types::Scope;

/// `IFA_F_SECONDARY`: another address of the subnet was added before.
pub const IFA_F_SECONDARY: u32 = 0x01;
/// `IFA_F_DEPRECATED`: the preferred lifetime expired.
pub const IFA_F_DEPRECATED: u32 = 0x20;
/// `IFA_F_PERMANENT`: infinite lifetime.
pub const IFA_F_PERMANENT: u32 = 0x80;
/// `IFA_F_NOPREFIXROUTE`: no connected route is added.
pub const IFA_F_NOPREFIXROUTE: u32 = 0x200;
/// Infinite lifetime, in s.
pub const INFINITY_LIFE_TIME: u32 = u32::MAX;

/// An address, as in RTM_NEWADDR, RTM_DELADDR and dumps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddrMsg {
    /// The device.
    pub dev: DevId,
    /// IFA_LOCAL.
    pub local: Ipv4Addr,
    /// IFA_ADDRESS: the peer of a point-to-point link, else the same as `local`. None in a delete: any.
    pub peer: Option<Ipv4Addr>,
    /// Prefix length in bits. In a delete it must match.
    pub prefix_len: u8,
    /// IFA_BROADCAST.
    pub broadcast: Option<Ipv4Addr>,
    /// Scope.
    pub scope: Scope,
    /// IFA_LABEL; none: the device's name.
    pub label: Option<String>,
    /// IFA_FLAGS.
    pub flags: u32,
    /// IFA_RT_PRIORITY: the metric of the connected route.
    pub metric: u32,
    /// Remaining valid lifetime in s.
    pub valid_lft: u32,
    /// Remaining preferred lifetime in s.
    pub preferred_lft: u32,
    /// IFA_PROTO, 0 if none.
    pub protocol: u8,
}

impl AddrMsg {
    /// A permanent address of global scope, as `ip addr add ADDR/LEN dev DEV` requests.
    pub fn new(dev: DevId, local: Ipv4Addr, prefix_len: u8) -> Self {
        AddrMsg {
            dev,
            local,
            peer: None,
            prefix_len,
            broadcast: None,
            scope: Scope::UNIVERSE,
            label: None,
            flags: 0,
            metric: 0,
            valid_lft: INFINITY_LIFE_TIME,
            preferred_lft: INFINITY_LIFE_TIME,
            protocol: 0,
        }
    }
}
