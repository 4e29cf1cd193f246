//! IPv4 of one network namespace (`struct netns_ipv4`, include/net/netns/ipv4.h).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use crate::ids::DevId;

use super::fib::Fib;
use super::frag::FragTable;
use super::inet_conf::Ipv4Conf;
use super::local_ports::LocalPorts;
use super::neigh_parms::NeighParms;
use super::prefix_map::PrefixMap;
use super::route::{FibExceptions, RouteMemo};
use super::snmp::Snmp;

/// Rate limit of all ICMP messages (`icmp_global_credit`, `icmp_global_stamp`).
#[derive(Clone, Copy, Debug, Default)]
pub struct IcmpGlobal {
    /// Messages that may be sent.
    pub credit: u64,
    /// The tick of the last refill.
    pub stamp: Option<Nanos>,
}

/// Token bucket (`inet_peer_xrlim_allow`).
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenBucket {
    /// Tokens in ns.
    pub tokens: u64,
    /// Last refill.
    pub filled: Nanos,
    /// Redirects sent in a row (`n_redirects` of a peer).
    pub redirects: u32,
}

/// IPv4 of a namespace.
#[derive(Clone, Debug, Default)]
pub struct Ipv4Netns {
    /// `/proc/sys/net/ipv4/conf/all`.
    pub conf_all: Ipv4Conf,
    /// `/proc/sys/net/ipv4/conf/default`.
    pub conf_default: Ipv4Conf,
    /// `/proc/sys/net/ipv4/neigh/default`.
    pub arp_default: NeighParms,
    /// Routing tables and rules.
    pub fib: Fib,
    /// Local addresses, for look-up (`inet_addr_lst`): number of devices that have each.
    addresses: PrefixMap,
    /// Learned path MTUs and redirect gateways.
    pub exceptions: FibExceptions,
    /// Route cache.
    pub memo: RouteMemo,
    /// Reassembly queues.
    pub frags: FragTable,
    /// Counters.
    pub snmp: Snmp,
    /// ICMP rate limit per destination, by its address and the L3 master that leads there (`inet_peer`).
    pub peers: BTreeMap<(Ipv4Addr, Option<DevId>), TokenBucket>,
    /// Global ICMP rate limit.
    pub icmp_global: IcmpGlobal,
    /// Last IP identification used (`ip_idents`).
    pub ident: u16,
    /// The ports that the kernel chooses from.
    pub local_ports: LocalPorts,
    /// Last ephemeral UDP port used.
    pub last_port: u16,
}

impl TokenBucket {
    /// Refills the bucket up to `burst` ns, and takes `cost` ns; false if there are too few tokens.
    pub fn take(&mut self, cost: u64, burst: u64, now: Nanos) -> bool {
        self.tokens = (self.tokens + now.since(self.filled).0).min(burst);
        self.filled = now;
        let enough = self.tokens >= cost;
        self.tokens -= if enough { cost } else { 0 };
        enough
    }
}

impl Ipv4Netns {
    /// A new namespace: inherits the `conf` settings of `init`, the machine's first one
    /// (`devconf_inherit_init_net` 0).
    pub fn inherit(init: &Ipv4Netns) -> Ipv4Netns {
        Ipv4Netns {
            conf_all: init.conf_all.clone(),
            conf_default: init.conf_default.clone(),
            ..Ipv4Netns::default()
        }
    }

    /// Per-peer state (`inet_getpeer`); a new peer's bucket has had a minute to fill.
    pub fn peer(&mut self, whom: (Ipv4Addr, Option<DevId>), now: Nanos) -> &mut TokenBucket {
        const MINUTE: u64 = 60_000_000_000;
        self.peers.entry(whom).or_insert(TokenBucket { tokens: MINUTE, filled: now, redirects: 0 })
    }

    /// The address is local to this namespace (`inet_lookup_ifaddr_rcu`).
    #[inline]
    pub fn is_own(&self, address: Ipv4Addr) -> bool {
        self.addresses.get(address.to_bits(), 32).is_some()
    }

    /// Updates the local addresses when one is added or deleted.
    pub fn count_address(&mut self, address: Ipv4Addr, added: bool) {
        self.fib.generation += 1;
        let count = self.addresses.get(address.to_bits(), 32).unwrap_or(0);
        let count = if added { count + 1 } else { count.saturating_sub(1) };
        self.addresses.remove(address.to_bits(), 32);
        if count > 0 {
            self.addresses.insert(address.to_bits(), 32, count);
        }
    }
}
