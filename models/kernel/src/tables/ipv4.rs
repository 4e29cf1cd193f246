//! IPv4 of one network namespace (`struct netns_ipv4`, include/net/netns/ipv4.h).

use std::collections::BTreeMap;

use glassnet_sim::Nanos;

use super::fib::Fib;
use super::frag::FragTable;
use super::inet_conf::Ipv4Conf;
use super::neigh_parms::NeighParms;
use super::prefix_map::PrefixMap;
use super::route::{FibExceptions, RouteMemo};
use super::snmp::Snmp;

/// A setting under `/proc/sys/net/ipv4`, named as its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of Documentation/networking/ip-sysctl.rst")]
pub enum Sysctl {
    IpDefaultTtl,
    IpNoPmtuDisc,
    IpForwardUsePmtu,
    IpNonlocalBind,
    IcmpEchoIgnoreAll,
    IcmpEchoIgnoreBroadcasts,
    IcmpIgnoreBogusErrorResponses,
    IcmpErrorsUseInboundIfaddr,
    IcmpRatelimit,
    IcmpRatemask,
    IcmpMsgsPerSec,
    IcmpMsgsBurst,
    IpfragHighThresh,
    IpfragLowThresh,
    IpfragTime,
    IpfragMaxDist,
    FibMultipathHashPolicy,
    FibMultipathUseNeigh,
    RouteMinPmtu,
    RouteMtuExpires,
    RouteMinAdvMss,
    RouteRedirectNumber,
    RouteRedirectLoad,
    RouteRedirectSilence,
    RouteErrorCost,
    RouteErrorBurst,
    IgmpMaxMemberships,
    IgmpQrv,
}

/// How many settings there are.
pub const SYSCTL_COUNT: usize = Sysctl::IgmpQrv as usize + 1;

/// Every setting: its file below `/proc/sys/net/ipv4`, its value in a new namespace, smallest and largest value.
pub const SYSCTL_TABLE: [(Sysctl, &str, i64, i64, i64); SYSCTL_COUNT] = {
    const MAX: i64 = i32::MAX as i64;
    const MIN: i64 = i32::MIN as i64;
    [
        (Sysctl::IpDefaultTtl, "ip_default_ttl", 64, 1, 255),
        (Sysctl::IpNoPmtuDisc, "ip_no_pmtu_disc", 0, 0, 255),
        (Sysctl::IpForwardUsePmtu, "ip_forward_use_pmtu", 0, 0, 1),
        (Sysctl::IpNonlocalBind, "ip_nonlocal_bind", 0, 0, 1),
        (Sysctl::IcmpEchoIgnoreAll, "icmp_echo_ignore_all", 0, 0, 1),
        (Sysctl::IcmpEchoIgnoreBroadcasts, "icmp_echo_ignore_broadcasts", 1, 0, 1),
        (Sysctl::IcmpIgnoreBogusErrorResponses, "icmp_ignore_bogus_error_responses", 1, 0, 1),
        (Sysctl::IcmpErrorsUseInboundIfaddr, "icmp_errors_use_inbound_ifaddr", 0, 0, 1),
        (Sysctl::IcmpRatelimit, "icmp_ratelimit", 1000, 0, MAX),
        (Sysctl::IcmpRatemask, "icmp_ratemask", 6168, MIN, MAX),
        (Sysctl::IcmpMsgsPerSec, "icmp_msgs_per_sec", 1000, 0, MAX),
        (Sysctl::IcmpMsgsBurst, "icmp_msgs_burst", 50, 0, MAX),
        (Sysctl::IpfragHighThresh, "ipfrag_high_thresh", 4_194_304, 0, i64::MAX),
        (Sysctl::IpfragLowThresh, "ipfrag_low_thresh", 3_145_728, 0, i64::MAX),
        (Sysctl::IpfragTime, "ipfrag_time", 30, 0, MAX),
        (Sysctl::IpfragMaxDist, "ipfrag_max_dist", 64, 0, MAX),
        (Sysctl::FibMultipathHashPolicy, "fib_multipath_hash_policy", 0, 0, 3),
        (Sysctl::FibMultipathUseNeigh, "fib_multipath_use_neigh", 0, 0, 1),
        (Sysctl::RouteMinPmtu, "route/min_pmtu", 552, 68, MAX),
        (Sysctl::RouteMtuExpires, "route/mtu_expires", 600, MIN, MAX),
        (Sysctl::RouteMinAdvMss, "route/min_adv_mss", 256, MIN, MAX),
        (Sysctl::RouteRedirectNumber, "route/redirect_number", 9, MIN, MAX),
        (Sysctl::RouteRedirectLoad, "route/redirect_load", 5, MIN, MAX),
        (Sysctl::RouteRedirectSilence, "route/redirect_silence", 5120, MIN, MAX),
        (Sysctl::RouteErrorCost, "route/error_cost", 250, MIN, MAX),
        (Sysctl::RouteErrorBurst, "route/error_burst", 1250, MIN, MAX),
        (Sysctl::IgmpMaxMemberships, "igmp_max_memberships", 20, MIN, MAX),
        (Sysctl::IgmpQrv, "igmp_qrv", 2, 1, MAX),
    ]
};

/// A bucket that fills with time (`inet_peer_xrlim_allow`, the global limit of ICMP).
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    /// Credit in ns; in messages for the global limit.
    pub tokens: u64,
    /// When it was last filled.
    pub filled: Nanos,
    /// Redirects sent in a row (`n_redirects` of a peer).
    pub redirects: u32,
}

/// IPv4 of a namespace.
#[derive(Clone, Debug)]
pub struct Ipv4Netns {
    /// `/proc/sys/net/ipv4/conf/all`.
    pub conf_all: Ipv4Conf,
    /// `/proc/sys/net/ipv4/conf/default`.
    pub conf_default: Ipv4Conf,
    /// `/proc/sys/net/ipv4/neigh/default`.
    pub arp_default: NeighParms,
    /// Routing tables and rules.
    pub fib: Fib,
    /// Own addresses, to find them fast (`inet_addr_lst`): how many devices have each.
    addresses: PrefixMap,
    /// Learned path MTUs and gateways.
    pub exceptions: FibExceptions,
    /// Routes found of late.
    pub memo: RouteMemo,
    /// Fragments that wait for the rest.
    pub frags: FragTable,
    /// Counters.
    pub snmp: Snmp,
    /// ICMP messages sent to each destination (`inet_peer`).
    pub peers: BTreeMap<u32, TokenBucket>,
    /// ICMP messages sent to all (`icmp_global`).
    pub icmp_global: TokenBucket,
    /// The last IP identification given out (`ip_idents`).
    pub ident: u16,
    /// The last port given to a UDP socket that asked for none.
    pub last_port: u16,
    sysctl: [i64; SYSCTL_COUNT],
}

impl TokenBucket {
    /// Fills with the time since the last call up to `burst` ns, and takes `cost` ns; false if there is too little.
    pub fn take(&mut self, cost: u64, burst: u64, now: Nanos) -> bool {
        self.tokens = (self.tokens + now.since(self.filled).0).min(burst);
        self.filled = now;
        let enough = self.tokens >= cost;
        self.tokens -= if enough { cost } else { 0 };
        enough
    }
}

impl Default for Ipv4Netns {
    fn default() -> Self {
        Ipv4Netns {
            conf_all: Ipv4Conf::default(),
            conf_default: Ipv4Conf::default(),
            arp_default: NeighParms::default(),
            fib: Fib::default(),
            addresses: PrefixMap::default(),
            exceptions: FibExceptions::default(),
            memo: RouteMemo::default(),
            frags: FragTable::default(),
            snmp: Snmp::default(),
            peers: BTreeMap::new(),
            icmp_global: TokenBucket::default(),
            ident: 0,
            last_port: 0,
            sysctl: SYSCTL_TABLE.map(|entry| entry.2),
        }
    }
}

impl Ipv4Netns {
    /// A namespace made while `init` is the machine's first: its `conf` settings are inherited
    /// (`devconf_inherit_init_net` 0).
    pub fn inherit(init: &Ipv4Netns) -> Ipv4Netns {
        Ipv4Netns {
            conf_all: init.conf_all.clone(),
            conf_default: init.conf_default.clone(),
            ..Ipv4Netns::default()
        }
    }

    /// A setting.
    #[inline]
    pub fn sysctl(&self, which: Sysctl) -> i64 {
        self.sysctl[which as usize]
    }

    /// Sets a setting; false if the value is out of its range.
    pub fn set_sysctl(&mut self, which: Sysctl, value: i64) -> bool {
        let (.., min, max) = SYSCTL_TABLE[which as usize];
        let fits = (min..=max).contains(&value);
        if fits {
            self.sysctl[which as usize] = value;
        }
        fits
    }

    /// What is kept of another host (`inet_getpeer`); a new one has had a minute to fill its bucket.
    pub fn peer(&mut self, address: u32, now: Nanos) -> &mut TokenBucket {
        const MINUTE: u64 = 60_000_000_000;
        self.peers.entry(address).or_insert(TokenBucket { tokens: MINUTE, filled: now, redirects: 0 })
    }

    /// The address is one of this namespace's (`inet_lookup_ifaddr_rcu`).
    #[inline]
    pub fn is_own(&self, address: u32) -> bool {
        self.addresses.get(address, 32).is_some()
    }

    /// An address was added to a device, or removed from one.
    pub fn count_address(&mut self, address: u32, added: bool) {
        self.fib.generation += 1;
        let count = self.addresses.get(address, 32).unwrap_or(0);
        let count = if added { count + 1 } else { count.saturating_sub(1) };
        self.addresses.remove(address, 32);
        if count > 0 {
            self.addresses.insert(address, 32, count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, entry) in SYSCTL_TABLE.iter().enumerate() {
            assert_eq!(entry.0 as usize, at, "{}", entry.1);
        }
    }
}
