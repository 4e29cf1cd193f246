//! A route, and its attributes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;

use super::value::{Net, Value};

/// An interface that a next hop leaves by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Link {
    pub index: u32,
    pub name: Arc<str>,
}

/// A next hop; without an address the network is on the link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Hop {
    pub via: Option<Ipv4Addr>,
    pub link: Link,
    pub weight: u16,
}

/// Where packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dest {
    Unicast(Vec<Hop>),
    Blackhole,
    Unreachable,
    Prohibit,
}

impl Dest {
    /// The word of `show route`.
    pub fn word(&self) -> &'static str {
        match self {
            Dest::Unicast(_) => "unicast",
            Dest::Blackhole => "blackhole",
            Dest::Unreachable => "unreachable",
            Dest::Prohibit => "prohibited",
        }
    }

    /// The number of `RTD_*`.
    pub fn number(&self) -> u32 {
        match self {
            Dest::Unicast(_) => 1,
            Dest::Blackhole => 2,
            Dest::Unreachable => 3,
            Dest::Prohibit => 4,
        }
    }

    pub fn hops(&self) -> &[Hop] {
        match self {
            Dest::Unicast(hops) => hops,
            _ => &[],
        }
    }
}

/// Who made a route (`RTS_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    Static = 1,
    Inherit = 3,
    Device = 4,
    Bgp = 11,
}

impl Source {
    /// The word of `show route all`.
    pub fn word(self) -> &'static str {
        match self {
            Source::Static => "static",
            Source::Inherit => "inherit",
            Source::Device => "device",
            Source::Bgp => "BGP",
        }
    }
}

/// Attributes that not every route has, in the order in which they are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attr {
    Origin,
    AsPath,
    NextHop,
    Med,
    LocalPref,
    AtomicAggr,
    Community,
    OriginatorId,
    ClusterList,
    LargeCommunity,
    /// What BIRD does not know: its number on the wire.
    Unknown(u8),
    KrtSource,
    KrtMetric,
    KrtPrefsrc,
    KrtScope,
    /// Declared in the configuration: its number.
    Custom(u16),
}

/// Attributes by the name that filters have for them, with the one that is printed, and a value of their type.
pub const ATTRS: &[(&str, Attr, &str, Value)] = &[
    ("bgp_origin", Attr::Origin, "BGP.origin", Value::Enum("bgp_origin", 0)),
    ("bgp_path", Attr::AsPath, "BGP.as_path", Value::Path(Vec::new())),
    ("bgp_next_hop", Attr::NextHop, "BGP.next_hop", Value::Ip(Ipv4Addr::UNSPECIFIED)),
    ("bgp_med", Attr::Med, "BGP.med", Value::Int(0)),
    ("bgp_local_pref", Attr::LocalPref, "BGP.local_pref", Value::Int(0)),
    ("bgp_atomic_aggr", Attr::AtomicAggr, "BGP.atomic_aggr", Value::Void),
    ("bgp_community", Attr::Community, "BGP.community", Value::Communities(Vec::new())),
    ("bgp_originator_id", Attr::OriginatorId, "BGP.originator_id", Value::Quad(Ipv4Addr::UNSPECIFIED)),
    ("bgp_cluster_list", Attr::ClusterList, "BGP.cluster_list", Value::Clusters(Vec::new())),
    ("bgp_large_community", Attr::LargeCommunity, "BGP.large_community", Value::LargeCommunities(Vec::new())),
    ("krt_source", Attr::KrtSource, "Kernel.source", Value::Int(0)),
    ("krt_metric", Attr::KrtMetric, "Kernel.metric", Value::Int(0)),
    ("krt_prefsrc", Attr::KrtPrefsrc, "Kernel.prefsrc", Value::Ip(Ipv4Addr::UNSPECIFIED)),
    ("krt_scope", Attr::KrtScope, "Kernel.scope", Value::Int(0)),
];

/// What a session told of a route, as far as the choice of the best needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FromPeer {
    /// The neighbour is in the same AS.
    pub internal: bool,
    /// It is a client of this route reflector.
    pub rr_client: bool,
    /// The router ID of the neighbour, and its address.
    pub id: Ipv4Addr,
    pub address: Ipv4Addr,
}

/// A metric that nobody knows.
pub const IGP_METRIC_UNKNOWN: u32 = 0x8000_0000;

/// A route.
#[derive(Clone, Debug, PartialEq)]
pub struct Rte {
    pub net: Net,
    /// The protocol that it is from: its number in the daemon, and its name.
    pub proto: usize,
    pub proto_name: Arc<str>,
    /// Tells routes of one protocol to one network apart (`add paths`).
    pub path_id: u32,
    pub source: Source,
    pub preference: u32,
    pub dest: Dest,
    /// The router that told of it.
    pub from: Option<Ipv4Addr>,
    pub peer: Option<FromPeer>,
    pub attrs: BTreeMap<Attr, Value>,
    /// Attributes that a filter has set.
    pub set_by_filter: BTreeSet<Attr>,
    /// The next hop that is looked up in the table, and the metric of what was found.
    pub recursive: Option<Ipv4Addr>,
    pub igp_metric: u32,
    pub since: Nanos,
    /// The session that told of it is lost, and may come back (graceful restart).
    pub stale: bool,
}

impl Rte {
    pub fn new(net: Net, (proto, proto_name): (usize, Arc<str>), source: Source, dest: Dest) -> Rte {
        Rte {
            net,
            proto,
            proto_name,
            path_id: 0,
            source,
            preference: 0,
            dest,
            from: None,
            peer: None,
            attrs: BTreeMap::new(),
            set_by_filter: BTreeSet::new(),
            recursive: None,
            igp_metric: 0,
            since: Nanos::ZERO,
            stale: false,
        }
    }

    pub fn int(&self, attr: Attr) -> Option<u32> {
        match self.attrs.get(&attr)? {
            Value::Int(number) | Value::Enum(_, number) => Some(*number),
            Value::Quad(address) | Value::Ip(address) => Some(address.to_bits()),
            _ => None,
        }
    }

    pub fn address(&self, attr: Attr) -> Option<Ipv4Addr> {
        match self.attrs.get(&attr)? {
            Value::Ip(address) | Value::Quad(address) => Some(*address),
            _ => None,
        }
    }

    pub fn path(&self) -> &[super::value::Segment] {
        match self.attrs.get(&Attr::AsPath) {
            Some(Value::Path(path)) => path,
            _ => &[],
        }
    }

    pub fn communities(&self) -> &[u32] {
        match self.attrs.get(&Attr::Community) {
            Some(Value::Communities(all)) => all,
            _ => &[],
        }
    }

    /// The same but for when it came: nothing changes.
    pub fn is_same(&self, other: &Rte) -> bool {
        let mut other = other.clone();
        other.since = self.since;
        *self == other
    }
}
