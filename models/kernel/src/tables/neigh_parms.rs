//! The settings of ARP on a device: `/proc/sys/net/ipv4/neigh/DEVICE/*`.
//!
//! Kernel: include/net/neighbour.h (`struct neigh_parms`), defaults of net/ipv4/arp.c `arp_tbl`

use glassnet_sim::Nanos;

/// The settings of a device, or of `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighParms {
    /// Time for which a confirmation holds, on average (base_reachable_time_ms).
    pub base_reachable_time: Nanos,
    /// Time for which the next confirmation holds: drawn between half and one and a half times the base.
    pub reachable_time: Nanos,
    /// Time between two probes (retrans_time_ms).
    pub retrans_time: Nanos,
    /// Time after which an unused entry may be forgotten (gc_stale_time).
    pub gc_stale_time: Nanos,
    /// Time between the use of a stale entry and the first probe (delay_first_probe_time).
    pub delay_first_probe_time: Nanos,
    /// Time in which another answer does not change an address (locktime).
    pub locktime: Nanos,
    /// Greatest delay of an answer for somebody else (proxy_delay).
    pub proxy_delay: Nanos,
    /// Greatest delay of an answer for an anycast address (anycast_delay).
    pub anycast_delay: Nanos,
    /// Time between probes of a managed entry (interval_probe_time_ms).
    pub interval_probe_time: Nanos,
    /// Bytes that wait for an address (unres_qlen_bytes).
    pub queue_len_bytes: u32,
    /// Answers for others that wait (proxy_qlen).
    pub proxy_qlen: u32,
    /// Unicast probes (ucast_solicit).
    pub ucast_probes: u32,
    /// Broadcast probes (mcast_solicit).
    pub mcast_probes: u32,
    /// Broadcast probes after the unicast ones (mcast_resolicit).
    pub mcast_reprobes: u32,
    /// Probes by a daemon (app_solicit).
    pub app_probes: u32,
}

impl Default for NeighParms {
    fn default() -> Self {
        NeighParms {
            base_reachable_time: Nanos::from_secs(30),
            reachable_time: Nanos::from_secs(30),
            retrans_time: Nanos::from_secs(1),
            gc_stale_time: Nanos::from_secs(60),
            delay_first_probe_time: Nanos::from_secs(5),
            locktime: Nanos::from_secs(1),
            proxy_delay: Nanos::from_millis(800),
            anycast_delay: Nanos::from_secs(1),
            interval_probe_time: Nanos::from_secs(5),
            queue_len_bytes: 212_992,
            proxy_qlen: 64,
            ucast_probes: 3,
            mcast_probes: 3,
            mcast_reprobes: 0,
            app_probes: 0,
        }
    }
}
