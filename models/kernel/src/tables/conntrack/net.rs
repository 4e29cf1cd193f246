//! Connection tracking of a namespace.
//!
//! Kernel: include/net/netns/conntrack.h, include/linux/netfilter/nf_conntrack_common.h

use super::sysctl::{CT_SYSCTL_COUNT, CT_SYSCTL_TABLE, CtSysctl};
use glassnet_sim::Nanos;

/// Counters (`struct ip_conntrack_stat`), shown by `conntrack -S`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStats {
    /// `found`: NAT's candidate tuples already in use.
    pub found: u32,
    /// `invalid`: packets with ctstate INVALID.
    pub invalid: u32,
    /// `insert`: entries inserted by user space.
    pub insert: u32,
    /// `insert_failed`: insertions that clashed.
    pub insert_failed: u32,
    /// `clash_resolve`: clashes that were resolved.
    pub clash_resolve: u32,
    /// `drop`: packets dropped because the table was full or an entry clashed.
    pub drop: u32,
    /// `early_drop`: entries evicted to make room.
    pub early_drop: u32,
    /// `error`: malformed ICMP errors.
    pub error: u32,
    /// `expect_new`: connections that were expected.
    pub expect_new: u32,
    /// `expect_create`: expectations made.
    pub expect_create: u32,
    /// `expect_delete`: expectations deleted.
    pub expect_delete: u32,
    /// `search_restart`: look-ups that were restarted.
    pub search_restart: u32,
    /// `chaintoolong`: insertions refused because the hash chain was too long.
    pub chaintoolong: u32,
}

/// Connection tracking of a namespace (`struct netns_ct`, `struct nf_conntrack_net`).
#[derive(Clone, Debug)]
pub struct CtNet {
    /// Users of its hooks: rules and tables (`users4`); 0: nothing is tracked.
    pub users: u32,
    /// Number of entries, unconfirmed ones included (`nf_conntrack_count`).
    pub count: u32,
    /// Counters.
    pub stats: CtStats,
    /// Number of ctnetlink event listeners.
    pub listeners: u32,
    sysctl: [i64; CT_SYSCTL_COUNT],
}

impl Default for CtNet {
    fn default() -> Self {
        CtNet {
            users: 0,
            count: 0,
            stats: CtStats::default(),
            listeners: 0,
            sysctl: CT_SYSCTL_TABLE.map(|entry| entry.2),
        }
    }
}

impl CtNet {
    /// A setting.
    #[inline]
    pub fn sysctl(&self, which: CtSysctl) -> i64 {
        self.sysctl[which as usize]
    }

    /// A boolean setting.
    #[inline]
    pub fn is_on(&self, which: CtSysctl) -> bool {
        self.sysctl[which as usize] != 0
    }

    /// A timeout setting.
    #[inline]
    pub fn timeout(&self, which: CtSysctl) -> Nanos {
        Nanos::from_secs(self.sysctl[which as usize].max(0) as u64)
    }

    /// Sets a setting.
    pub fn set_sysctl(&mut self, which: CtSysctl, value: i64) {
        self.sysctl[which as usize] = value;
    }
}
