//! IPv4 fragment reassembly queues.
//!
//! Kernel: net/ipv4/ip_fragment.c (`struct ipq`), net/ipv4/inet_fragment.c

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use crate::ids::{DevId, SkbId};

/// User of the reassembly (`enum ip_defrag_users`); part of the queue key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DefragUser {
    /// Local delivery.
    LocalDeliver,
    /// Connection tracking, PREROUTING.
    ConntrackIn,
    /// Connection tracking, OUTPUT.
    ConntrackOut,
    /// Connection tracking of bridged packets.
    ConntrackBridgeIn,
    /// IPVS, INPUT (`IP_DEFRAG_VS_IN`).
    VsIn,
    /// IPVS, OUTPUT.
    VsOut,
    /// IPVS, FORWARD.
    VsFwd,
}

/// Queue key: source, destination, identification, protocol, user.
pub type FragKey = (Ipv4Addr, Ipv4Addr, u16, u8, DefragUser);

/// A fragment, by its offsets in the payload of the whole packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Start offset in bytes.
    pub start: u32,
    /// End offset in bytes, exclusive.
    pub end: u32,
    /// The packet.
    pub skb: SkbId,
}

/// The reassembly queue of a packet (`struct ipq`).
#[derive(Clone, Debug)]
pub struct FragQueue {
    /// Fragments by offset, without overlap.
    pub parts: Vec<Fragment>,
    /// Payload length in bytes, once the last fragment was received.
    pub total: Option<u32>,
    /// Highest end offset received, bytes.
    pub len: u32,
    /// Largest fragment with header, bytes.
    pub max_size: u16,
    /// Largest fragment with DF set, bytes; 0: none.
    pub max_df_size: u16,
    /// Memory used, bytes.
    pub memory: u64,
    /// Expiry of the queue.
    pub expires: Nanos,
    /// Input device of the last fragment.
    pub dev: DevId,
}

/// Result of adding a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Queued {
    /// Queued.
    Waits,
    /// The packet is complete.
    Complete,
    /// Duplicate.
    Duplicate,
    /// It overlaps another: the whole queue must be dropped.
    Overlap,
    /// Empty, or of another length than the last fragment tells: the whole queue must be dropped.
    Bad,
}

impl FragQueue {
    /// A queue for the packet whose first fragment was received on `dev`.
    pub fn new(dev: DevId, expires: Nanos) -> FragQueue {
        FragQueue {
            parts: Vec::new(),
            total: None,
            len: 0,
            max_size: 0,
            max_df_size: 0,
            memory: 0,
            expires,
            dev,
        }
    }

    /// Adds a fragment (`ip_frag_queue`). `last`: MF is not set.
    pub fn add(&mut self, part: Fragment, last: bool) -> Queued {
        if last {
            if part.end < self.len || self.total.is_some_and(|total| total != part.end) {
                return Queued::Bad;
            }
            self.total = Some(part.end);
        } else if self.total.is_some_and(|total| part.end > total) {
            return Queued::Bad;
        }
        if part.end == part.start {
            return Queued::Bad;
        }
        if self.parts.iter().any(|other| other.start <= part.start && part.end <= other.end) {
            return Queued::Duplicate;
        }
        let at = self.parts.partition_point(|other| other.start < part.start);
        let hits_next = self.parts.get(at).is_some_and(|next| next.start < part.end);
        let hits_previous = at > 0 && self.parts[at - 1].end > part.start;
        if hits_next || hits_previous {
            return Queued::Overlap;
        }
        self.parts.insert(at, part);
        self.len = self.len.max(part.end);
        let have: u32 = self.parts.iter().map(|part| part.end - part.start).sum();
        if self.total == Some(have) { Queued::Complete } else { Queued::Waits }
    }
}

/// All reassembly queues of a namespace.
#[derive(Clone, Debug, Default)]
pub struct FragTable {
    /// The queues.
    pub queues: BTreeMap<FragKey, FragQueue>,
    /// Memory used by all fragments, bytes.
    pub memory: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(parts: &[(u32, u32, bool)], expected: &[Queued]) {
        let mut queue = FragQueue::new(DevId(0), Nanos::ZERO);
        let add =
            |&(start, end, last): &(u32, u32, bool)| queue.add(Fragment { start, end, skb: SkbId(0) }, last);
        assert_eq!(parts.iter().map(add).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn fragments_come_in_any_order_and_never_overlap() {
        use Queued::{Bad, Complete, Duplicate, Overlap, Waits};
        check(&[(0, 8, false), (8, 12, true)], &[Waits, Complete]);
        check(&[(8, 12, true), (0, 8, false)], &[Waits, Complete]);
        check(&[(0, 16, false), (8, 24, false)], &[Waits, Overlap]);
        check(&[(0, 16, false), (0, 16, false), (0, 8, false)], &[Waits, Duplicate, Duplicate]);
        check(&[(8, 12, true), (16, 20, true)], &[Waits, Bad]);
    }
}
