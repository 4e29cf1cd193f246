//! Connection tracking of a namespace.
//!
//! Kernel: include/net/netns/conntrack.h, include/linux/netfilter/nf_conntrack_common.h

use super::sysctl::{CT_SYSCTL_COUNT, CT_SYSCTL_TABLE, CtSysctl};
use glassnet_sim::Nanos;

/// Counters (`struct ip_conntrack_stat`): what `conntrack -S` shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtStats {
    /// Tuples that NAT wanted and found taken.
    pub found: u32,
    /// Packets that belong to no connection.
    pub invalid: u32,
    /// Entries that programs inserted.
    pub insert: u32,
    /// Entries that were not inserted because they clashed.
    pub insert_failed: u32,
    /// Clashes that were resolved.
    pub clash_resolve: u32,
    /// Packets dropped because the table was full or an entry clashed.
    pub drop: u32,
    /// Entries dropped before their time to make room.
    pub early_drop: u32,
    /// ICMP errors that were broken.
    pub error: u32,
    /// Look-ups that began again.
    pub search_restart: u32,
    /// Entries not inserted because a chain was too long.
    pub chaintoolong: u32,
}

/// Connection tracking of a namespace (`struct netns_ct`, `struct nf_conntrack_net`).
#[derive(Clone, Debug)]
pub struct CtNet {
    /// How many rules and tables want its hooks (`users4`); 0: nothing is tracked.
    pub users: u32,
    /// Entries, unconfirmed ones included (`nf_conntrack_count`).
    pub count: u32,
    /// Counters.
    pub stats: CtStats,
    /// How many programs listen to its events.
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

    /// A setting that is a switch.
    #[inline]
    pub fn is_on(&self, which: CtSysctl) -> bool {
        self.sysctl[which as usize] != 0
    }

    /// A setting that is a timeout.
    #[inline]
    pub fn timeout(&self, which: CtSysctl) -> Nanos {
        Nanos::from_secs(self.sysctl[which as usize].max(0) as u64)
    }

    /// Sets a setting.
    pub fn set_sysctl(&mut self, which: CtSysctl, value: i64) {
        self.sysctl[which as usize] = value;
    }
}
