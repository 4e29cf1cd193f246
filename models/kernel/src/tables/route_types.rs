//! The words of IPv4 routing as rtnetlink spells them: route types, scopes, flags, metrics, and the messages that
//! ask for a change or report an entry. A table row is given out as the message that would create it.
//!
//! Kernel: include/uapi/linux/rtnetlink.h, include/uapi/linux/fib_rules.h

use std::net::Ipv4Addr;

use super::ip_tunnel::IpTunnelKey;
use crate::ids::DevId;
use crate::netlink::{Errno, NlError};

/// The bits of a TOS byte that belong to ECN.
const INET_ECN_MASK: u8 = 3;
/// The bits of a TOS byte that a policy rule can ask for (RFC 1349).
const IPTOS_TOS_MASK: u8 = 0x1e;

/// Refuses the TOS of a route or rule if it has bits of ECN.
///
/// Kernel: include/net/inet_dscp.h
///
/// # Errors
///
/// EINVAL, "Invalid dsfield (tos): ECN bits must be 0".
pub fn inet_validate_dscp(tos: u8) -> Result<(), NlError> {
    match tos & INET_ECN_MASK {
        0 => Ok(()),
        _ => Err(NlError::with(Errno::EINVAL, "Invalid dsfield (tos): ECN bits must be 0")),
    }
}

/// Refuses the TOS of a policy rule (`fib4_rule_configure`).
///
/// # Errors
///
/// EINVAL, those of [`inet_validate_dscp`] or "Invalid tos".
pub fn validate_rule_tos(tos: u8) -> Result<(), NlError> {
    inet_validate_dscp(tos)?;
    match tos & !IPTOS_TOS_MASK {
        0 => Ok(()),
        _ => Err(NlError::with(Errno::EINVAL, "Invalid tos")),
    }
}

/// What a route does with a packet (RTN_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
#[repr(u8)]
pub enum RouteType {
    /// Not given.
    Unspec = 0,
    /// A gateway or a direct route.
    #[default]
    Unicast = 1,
    /// Accepted by this machine.
    Local = 2,
    /// Accepted as broadcast, sent as broadcast.
    Broadcast = 3,
    /// Accepted as broadcast, sent as unicast.
    Anycast = 4,
    /// Multicast.
    Multicast = 5,
    /// Dropped in silence.
    Blackhole = 6,
    /// Refused with "host unreachable".
    Unreachable = 7,
    /// Refused with "administratively prohibited".
    Prohibit = 8,
    /// The search continues in the next table.
    Throw = 9,
}

impl RouteType {
    /// True if packets have a next hop or are taken by this machine.
    pub const fn has_nexthop(self) -> bool {
        matches!(
            self,
            RouteType::Unicast
                | RouteType::Local
                | RouteType::Broadcast
                | RouteType::Anycast
                | RouteType::Multicast
        )
    }
}

/// How far a destination is (RT_SCOPE_*): the larger, the nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Scope(pub u8);

impl Scope {
    /// Anywhere.
    pub const UNIVERSE: Scope = Scope(0);
    /// On this link.
    pub const LINK: Scope = Scope(253);
    /// On this machine.
    pub const HOST: Scope = Scope(254);
    /// Nowhere.
    pub const NOWHERE: Scope = Scope(255);
}

/// `RT_TABLE_DEFAULT`.
pub const RT_TABLE_DEFAULT: u32 = 253;
/// `RT_TABLE_MAIN`.
pub const RT_TABLE_MAIN: u32 = 254;
/// `RT_TABLE_LOCAL`.
pub const RT_TABLE_LOCAL: u32 = 255;

/// `RTPROT_KERNEL`: made by the kernel.
pub const RTPROT_KERNEL: u8 = 2;
/// `RTPROT_BOOT`: made by hand (`ip route add` without `proto`).
pub const RTPROT_BOOT: u8 = 3;

/// `RTNH_F_DEAD`: the device is down.
pub const RTNH_F_DEAD: u32 = 1;
/// `RTNH_F_PERVASIVE`.
pub const RTNH_F_PERVASIVE: u32 = 2;
/// `RTNH_F_ONLINK`: the gateway is on the link whatever the tables say.
pub const RTNH_F_ONLINK: u32 = 4;
/// `RTNH_F_LINKDOWN`: the device has no carrier.
pub const RTNH_F_LINKDOWN: u32 = 16;

/// `RTAX_LOCK`: bit n set means that metric n is not adjusted by the kernel.
pub const RTAX_LOCK: usize = 1;
/// `RTAX_MTU` in bytes.
pub const RTAX_MTU: usize = 2;
/// `RTAX_WINDOW` in bytes.
pub const RTAX_WINDOW: usize = 3;
/// `RTAX_RTT` in 1/8 ms.
pub const RTAX_RTT: usize = 4;
/// `RTAX_RTTVAR` in 1/4 ms.
pub const RTAX_RTTVAR: usize = 5;
/// `RTAX_SSTHRESH` in segments.
pub const RTAX_SSTHRESH: usize = 6;
/// `RTAX_CWND` in segments.
pub const RTAX_CWND: usize = 7;
/// `RTAX_ADVMSS` in bytes.
pub const RTAX_ADVMSS: usize = 8;
/// `RTAX_REORDERING` in segments.
pub const RTAX_REORDERING: usize = 9;
/// `RTAX_HOPLIMIT`: the TTL of packets sent.
pub const RTAX_HOPLIMIT: usize = 10;
/// `RTAX_INITCWND` in segments.
pub const RTAX_INITCWND: usize = 11;
/// `RTAX_FEATURES`.
pub const RTAX_FEATURES: usize = 12;
/// `RTAX_RTO_MIN` in ms.
pub const RTAX_RTO_MIN: usize = 13;
/// `RTAX_INITRWND` in segments.
pub const RTAX_INITRWND: usize = 14;
/// `RTAX_QUICKACK`.
pub const RTAX_QUICKACK: usize = 15;
/// How many slots a [`Metrics`] has; slot 0 is unused.
pub const RTAX_SLOTS: usize = 18;

/// The metrics of a route, by RTAX_* number; 0 is "not set".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Metrics(pub [u32; RTAX_SLOTS]);

impl Metrics {
    /// The path MTU in bytes, 0 if not set.
    pub const fn mtu(&self) -> u32 {
        self.0[RTAX_MTU]
    }

    /// True if `mtu lock` was given: the path MTU is not learned and DF is not set.
    pub const fn mtu_locked(&self) -> bool {
        self.0[RTAX_LOCK] & (1 << RTAX_MTU) != 0
    }
}

/// One next hop of a route (`struct rtnexthop` and its attributes).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NexthopMsg {
    /// RTA_OIF; none: found from the gateway.
    pub dev: Option<DevId>,
    /// RTA_GATEWAY.
    pub via: Option<Ipv4Addr>,
    /// Weight, 1 to 256 (rtnh_hops + 1).
    pub weight: u16,
    /// RTNH_F_*.
    pub flags: u32,
    /// RTA_ENCAP of type `LWTUNNEL_ENCAP_IP`.
    pub encap: Option<IpTunnelKey>,
}

impl Default for NexthopMsg {
    fn default() -> Self {
        NexthopMsg { dev: None, via: None, weight: 1, flags: 0, encap: None }
    }
}

/// A route, as RTM_NEWROUTE and RTM_DELROUTE carry it, and as a dump reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteMsg {
    /// RTA_TABLE; 0 (RT_TABLE_UNSPEC) is main.
    pub table: u32,
    /// rtm_type; [`RouteType::Unspec`] in a delete: any.
    pub kind: RouteType,
    /// RTA_DST; the default route has 0.0.0.0.
    pub dst: Ipv4Addr,
    /// rtm_dst_len in bits, 0 to 32.
    pub dst_len: u8,
    /// rtm_tos.
    pub tos: u8,
    /// rtm_scope; in a delete NOWHERE is any.
    pub scope: Scope,
    /// rtm_protocol; 0 in a delete: any.
    pub protocol: u8,
    /// RTA_PRIORITY, the metric that `ip` shows; 0 is the strongest. In a delete 0 is any.
    pub priority: u32,
    /// RTA_PREFSRC.
    pub prefsrc: Option<Ipv4Addr>,
    /// RTA_METRICS.
    pub metrics: Metrics,
    /// The next hops. One entry is RTA_OIF/RTA_GATEWAY, more are RTA_MULTIPATH.
    pub nexthops: Vec<NexthopMsg>,
    /// rtm_flags of a dump, of a route with several next hops: RTNH_F_DEAD and RTNH_F_LINKDOWN if all have it.
    pub flags: u32,
}

impl Default for RouteMsg {
    fn default() -> Self {
        RouteMsg {
            table: 0,
            kind: RouteType::default(),
            dst: Ipv4Addr::UNSPECIFIED,
            dst_len: 0,
            tos: 0,
            scope: Scope::default(),
            protocol: 0,
            priority: 0,
            prefsrc: None,
            metrics: Metrics::default(),
            nexthops: Vec::new(),
            flags: 0,
        }
    }
}

/// What `ip route get` asks (RTM_GETROUTE without a dump).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteQuery {
    /// RTA_DST.
    pub dst: Ipv4Addr,
    /// RTA_SRC.
    pub src: Ipv4Addr,
    /// RTA_IIF: asks as if the packet came in there.
    pub iif: Option<DevId>,
    /// RTA_OIF.
    pub oif: Option<DevId>,
    /// rtm_tos.
    pub tos: u8,
    /// RTA_MARK.
    pub mark: u32,
    /// RTA_IP_PROTO, 0 for none.
    pub ip_proto: u8,
    /// RTA_SPORT, 0 for none.
    pub sport: u16,
    /// RTA_DPORT, 0 for none.
    pub dport: u16,
    /// RTM_F_FIB_MATCH: report the table entry in place of the cached route.
    pub fibmatch: bool,
}

impl Default for RouteQuery {
    fn default() -> Self {
        RouteQuery {
            dst: Ipv4Addr::UNSPECIFIED,
            src: Ipv4Addr::UNSPECIFIED,
            iif: None,
            oif: None,
            tos: 0,
            mark: 0,
            ip_proto: 0,
            sport: 0,
            dport: 0,
            fibmatch: false,
        }
    }
}

/// The answer to [`RouteQuery`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteAnswer {
    /// The type of the route found.
    pub kind: RouteType,
    /// The destination asked for.
    pub dst: Ipv4Addr,
    /// The source asked for (shown as `from`), `0.0.0.0` for none.
    pub src: Ipv4Addr,
    /// The table that answered.
    pub table: u32,
    /// TOS.
    pub tos: u8,
    /// Scope (rtm_scope).
    pub scope: Scope,
    /// RTA_PREFSRC: the source address that would be used, for a query without `iif`.
    pub prefsrc: Option<Ipv4Addr>,
    /// RTA_ENCAP of type `LWTUNNEL_ENCAP_IP`.
    pub encap: Option<IpTunnelKey>,
    /// The output device.
    pub oif: Option<DevId>,
    /// The gateway if there is one.
    pub via: Option<Ipv4Addr>,
    /// The input device asked for.
    pub iif: Option<DevId>,
    /// The mark asked for.
    pub mark: u32,
    /// RTCF_* of the cached route (high half of rtm_flags): `local`, `broadcast`, `redirect`, `src-direct`, …
    pub rtcf: u32,
    /// Metrics, with a learned path MTU in RTAX_MTU.
    pub metrics: Metrics,
    /// Time until a learned path MTU or redirect ends, in ns.
    pub expires: Option<u64>,
    /// With `fibmatch`: the entry of the table.
    pub entry: Option<RouteMsg>,
}

/// What a policy rule does (FR_ACT_*).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum RuleAction {
    /// Look up a table.
    #[default]
    ToTable = 1,
    /// Jump to another rule.
    Goto = 2,
    /// Do nothing.
    Nop = 3,
    /// Drop in silence.
    Blackhole = 6,
    /// Refuse with "network unreachable".
    Unreachable = 7,
    /// Refuse with "administratively prohibited".
    Prohibit = 8,
}

/// A policy rule, as RTM_NEWRULE and RTM_DELRULE carry it, and as a dump reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleMsg {
    /// FRA_PRIORITY; none in an add: chosen by the kernel (one less than the second rule).
    pub priority: Option<u32>,
    /// FRA_SRC and its length in bits.
    pub src: (Ipv4Addr, u8),
    /// FRA_DST and its length in bits.
    pub dst: (Ipv4Addr, u8),
    /// TOS, 0 for any.
    pub tos: u8,
    /// FRA_IIFNAME.
    pub iif: Option<String>,
    /// FRA_OIFNAME.
    pub oif: Option<String>,
    /// FRA_FWMARK.
    pub mark: u32,
    /// FRA_FWMASK; none: all bits if a mark is given.
    pub mask: Option<u32>,
    /// FRA_TABLE; 0 in a delete: any.
    pub table: u32,
    /// FRA_L3MDEV: the table is that of the packet's L3 master.
    pub l3mdev: bool,
    /// The action.
    pub action: RuleAction,
    /// FRA_GOTO: the priority of the rule to jump to.
    pub goto: u32,
    /// FIB_RULE_INVERT (`not`).
    pub invert: bool,
    /// FRA_SUPPRESS_PREFIXLEN: a route with a prefix no longer than this is not taken.
    pub suppress_prefixlen: Option<u8>,
    /// FRA_IP_PROTO, 0 for any.
    pub ip_proto: u8,
    /// FRA_SPORT_RANGE, inclusive.
    pub sport: Option<(u16, u16)>,
    /// FRA_DPORT_RANGE, inclusive.
    pub dport: Option<(u16, u16)>,
    /// FRA_PROTOCOL: who made the rule (RTPROT_*).
    pub protocol: u8,
    /// FIB_RULE_IIF_DETACHED: `iif` names no present device (reported only).
    pub iif_detached: bool,
    /// FIB_RULE_OIF_DETACHED (reported only).
    pub oif_detached: bool,
    /// FIB_RULE_UNRESOLVED: `goto` names no present rule (reported only).
    pub unresolved: bool,
}

impl Default for RuleMsg {
    fn default() -> Self {
        RuleMsg {
            priority: None,
            src: (Ipv4Addr::UNSPECIFIED, 0),
            dst: (Ipv4Addr::UNSPECIFIED, 0),
            tos: 0,
            iif: None,
            oif: None,
            mark: 0,
            mask: None,
            table: 0,
            l3mdev: false,
            action: RuleAction::default(),
            goto: 0,
            invert: false,
            suppress_prefixlen: None,
            ip_proto: 0,
            sport: None,
            dport: None,
            protocol: 0,
            iif_detached: false,
            oif_detached: false,
            unresolved: false,
        }
    }
}
