//! What a scheduler remembers of a service (`svc->sched_data`).
//!
//! Kernel: net/netfilter/ipvs/ip_vs_rr.c, ip_vs_wrr.c, ip_vs_dh.c, ip_vs_sh.c, ip_vs_mh.c, ip_vs_lblc.c, ip_vs_lblcr.c

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::svc::DestId;

/// What a scheduler remembers of a service.
#[derive(Clone, Debug, Default)]
pub enum SchedData {
    /// Nothing.
    #[default]
    None,
    /// Round robin: the destination that was chosen last; `None`: the head of the list.
    RoundRobin(Option<DestId>),
    /// Weighted round robin.
    Weighted(WrrMark),
    /// A table of buckets that hashing chooses from (dh, sh, mh).
    Buckets(Vec<Option<DestId>>),
    /// Where each address went (lblc, lblcr), with the destinations of its set, newest first.
    Localities(BTreeMap<Ipv4Addr, Locality>),
}

/// State of weighted round robin (`struct ip_vs_wrr_mark`).
#[derive(Clone, Copy, Debug, Default)]
pub struct WrrMark {
    /// The destination that was chosen last; `None`: the head of the list.
    pub cl: Option<DestId>,
    /// The weight that a destination needs now.
    pub cw: i64,
    /// The greatest weight.
    pub mw: i64,
    /// By how much the needed weight goes down: the greatest common divisor of all weights.
    pub di: i64,
}

/// The destinations of an address (`struct ip_vs_lblc_entry`, `struct ip_vs_lblcr_entry`).
#[derive(Clone, Debug)]
pub struct Locality {
    /// Its destinations, newest first; of lblc there is one.
    pub set: Vec<DestId>,
    /// When the set changed last.
    pub lastmod: Nanos,
    /// When it was used last.
    pub lastuse: Nanos,
}
