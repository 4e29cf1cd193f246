//! Connection tracking.
//!
//! Kernel: include/net/netfilter/nf_conntrack.h, include/net/netfilter/nf_conntrack_tuple.h
//!
//! | module | owns |
//! |---|---|
//! | [`table`] | [`Conntrack`], all connections of a machine |
//! | `index` | the hash table of tuples |
//! | [`proto`] | per-protocol state: TCP, SCTP |
//! | [`net`] | [`CtNet`], settings and counters of a namespace |
//! | [`sysctl`] | the sysctls |
//! | [`event`] | events for listeners |
//! | [`expect`] | expected connections |
//! | [`extend`] | what few connections have: a helper, moved sequence numbers |
//! | [`nat`] | connections by original source |

pub mod event;
pub mod expect;
pub mod extend;
mod index;
pub mod nat;
pub mod net;
pub mod proto;
pub mod sysctl;
pub mod table;

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_ICMP;

use super::jiffies::JIFFY;
use crate::ids::NetnsId;
pub use event::{CtEvent, EventKind};
pub use expect::Expect;
use extend::{CtExt, Help};
pub use net::{CtNet, CtStats};
pub use proto::{Proto, SctpState, SctpTrack, TcpSeen, TcpState, TcpTrack};
pub use sysctl::CtSysctl;
pub use table::Conntrack;

/// Direction of a packet in its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Dir {
    /// `IP_CT_DIR_ORIGINAL`.
    Original,
    /// `IP_CT_DIR_REPLY`.
    Reply,
}

impl Dir {
    /// The other direction.
    pub fn other(self) -> Dir {
        match self {
            Dir::Original => Dir::Reply,
            Dir::Reply => Dir::Original,
        }
    }
}

/// The tuple of one direction (`struct nf_conntrack_tuple`), ports in host order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
    /// Source port; ICMP: identifier.
    pub sport: u16,
    /// Destination port; ICMP: type in the high byte, code in the low.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
}

impl Default for Tuple {
    fn default() -> Self {
        Tuple { src: Ipv4Addr::UNSPECIFIED, dst: Ipv4Addr::UNSPECIFIED, sport: 0, dport: 0, proto: 0 }
    }
}

impl Tuple {
    /// The inverted tuple (`nf_ct_invert_tuple`); none for ICMP types without a reply.
    pub fn inverted(&self) -> Option<Tuple> {
        let (sport, dport) = match self.proto {
            IPPROTO_ICMP => {
                let answer: u16 = match self.dport >> 8 {
                    0 => 8,
                    8 => 0,
                    // Timestamp, information and address mask: request and reply.
                    kind @ (13 | 15 | 17) => kind + 1,
                    kind @ (14 | 16 | 18) => kind - 1,
                    _ => return None,
                };
                (self.sport, answer << 8 | self.dport & 0xff)
            }
            _ => (self.dport, self.sport),
        };
        Some(Tuple { src: self.dst, dst: self.src, sport, dport, proto: self.proto })
    }
}

/// Handle of a connection. Handles are reused; an skb holds a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CtId(pub u32);

/// Relation of a packet to its connection (`enum ip_conntrack_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtInfo {
    /// `IP_CT_ESTABLISHED`.
    Established,
    /// `IP_CT_RELATED`: an ICMP error about the connection, or the first packets of one that a helper expected.
    Related,
    /// `IP_CT_NEW`.
    New,
    /// `IP_CT_ESTABLISHED_REPLY`.
    EstablishedReply,
    /// `IP_CT_RELATED_REPLY`.
    RelatedReply,
}

impl CtInfo {
    /// Direction of the packet (`CTINFO2DIR`).
    pub fn dir(self) -> Dir {
        match self {
            CtInfo::EstablishedReply | CtInfo::RelatedReply => Dir::Reply,
            _ => Dir::Original,
        }
    }
}

/// Conntrack state of a packet (`skb->_nfct`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NfCt {
    /// None: not tracked yet, or ctstate INVALID.
    #[default]
    None,
    /// ctstate UNTRACKED (`IP_CT_UNTRACKED`).
    Untracked,
    /// The kernel's reply to an untracked packet: ctstate INVALID, and conntrack skips it.
    RelatedToNone,
    /// A tracked packet: its connection.
    Conn(CtId, CtInfo),
    /// A template of the `CT` target, which gives the zone of a new connection.
    Template(CtId),
}

/// `IPS_EXPECTED`: a helper expected it.
pub const IPS_EXPECTED: u16 = 1;
/// `IPS_SEEN_REPLY`: packets were seen in both directions.
pub const IPS_SEEN_REPLY: u16 = 1 << 1;
/// `IPS_ASSURED`: exempt from early drop.
pub const IPS_ASSURED: u16 = 1 << 2;
/// `IPS_CONFIRMED`: it is in the hash table.
pub const IPS_CONFIRMED: u16 = 1 << 3;
/// `IPS_SRC_NAT`: SNAT applies.
pub const IPS_SRC_NAT: u16 = 1 << 4;
/// `IPS_DST_NAT`: DNAT applies.
pub const IPS_DST_NAT: u16 = 1 << 5;
/// `IPS_SEQ_ADJUST`: sequence numbers are adjusted.
pub const IPS_SEQ_ADJUST: u16 = 1 << 6;
/// `IPS_SRC_NAT_DONE`: SNAT was set up.
pub const IPS_SRC_NAT_DONE: u16 = 1 << 7;
/// `IPS_DST_NAT_DONE`: DNAT was set up.
pub const IPS_DST_NAT_DONE: u16 = 1 << 8;
/// `IPS_DYING`: it is being removed.
pub const IPS_DYING: u16 = 1 << 9;
/// `IPS_FIXED_TIMEOUT`: packets do not refresh the timeout.
pub const IPS_FIXED_TIMEOUT: u16 = 1 << 10;
/// `IPS_TEMPLATE`: a template of the `CT` target.
pub const IPS_TEMPLATE: u16 = 1 << 11;
/// Templates only: the zone is taken from the packet's mark (`NF_CT_FLAG_MARK`).
pub const IPS_ZONE_MARK: u16 = 1 << 15;
/// `IPS_NAT_CLASH`: the original tuple clashes with another entry's; only the reply tuple is hashed.
pub const IPS_NAT_CLASH: u16 = 1 << 12;
/// `IPS_HELPER`: a rule chose its helper.
pub const IPS_HELPER: u16 = 1 << 13;
/// `IPS_NAT_DONE_MASK`.
pub const IPS_NAT_DONE_MASK: u16 = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
/// `IPS_NAT_MASK`.
pub const IPS_NAT_MASK: u16 = IPS_SRC_NAT | IPS_DST_NAT;

/// Packet and byte counters of one direction (`struct nf_conn_counter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtCounter {
    /// Packets.
    pub packets: u64,
    /// Bytes, from the IP header on.
    pub bytes: u64,
}

/// Cached hook verdicts of a connection, by direction and hook: indices into [`super::verdicts`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    /// Stamp of the ruleset for which they are valid.
    pub epoch: u32,
    /// The indices.
    pub numbers: [[u8; Remembered::HOOKS]; 2],
}

impl Remembered {
    /// Number of hooks.
    pub const HOOKS: usize = 5;
}

/// A connection (`struct nf_conn`): two cache lines, of which most packets touch only the first. Rarely used
/// fields are boxed (as in the kernel's `struct nf_ct_ext`), to keep the cache footprint small.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Conn {
    /// Tuples of both directions; NAT changes the reply tuple.
    pub tuples: [Tuple; 2],
    /// Expiry; while unconfirmed, the timeout.
    pub timeout: Nanos,
    /// Its namespace.
    pub netns: NetnsId,
    /// `ct->mark`.
    pub mark: u32,
    /// Reference count: packets, and the table once confirmed. 0: the slot is free.
    pub(super) refs: u32,
    /// `IPS_*`.
    pub status: u16,
    /// Zone of each direction; 0: the default.
    pub zone: [u16; 2],
    /// Event mask of the connection (`ctmask`, `IPCT_*` bits); 0: no events, permanently.
    pub ctmask: u16,
    /// Pending events.
    pub event_cache: u16,
    /// It has counters; kept in the first cache line.
    pub(super) counted: bool,
    /// Per-protocol state.
    pub proto: Proto,
    /// Accounting by direction, if `nf_conntrack_acct` was on at creation.
    pub acct: Option<Box<[CtCounter; 2]>>,
    /// What few connections have.
    pub ext: Option<Box<CtExt>>,
    /// Sequence number, in the order of creation.
    pub seq: u64,
    /// Cached hook verdicts.
    pub remembered: Remembered,
    /// ifindex of the device whose address `MASQUERADE` chose; 0: none (`nat->masq_index`).
    pub masq_index: u32,
}

impl Conn {
    /// A new connection, not yet in the hash table.
    pub fn new(netns: NetnsId, tuple: Tuple, reply: Tuple, zone: [u16; 2]) -> Conn {
        Conn {
            tuples: [tuple, reply],
            timeout: Nanos::ZERO,
            netns,
            mark: 0,
            refs: 1,
            status: 0,
            zone,
            ctmask: 0,
            event_cache: 0,
            counted: false,
            proto: Proto::None,
            acct: None,
            ext: None,
            seq: 0,
            remembered: Remembered::default(),
            masq_index: 0,
        }
    }

    /// Accounts a packet of `len` bytes, if accounting is on (`nf_ct_acct_add`).
    #[inline]
    pub fn count(&mut self, dir: Dir, len: usize) {
        if self.counted
            && let Some(counters) = &mut self.acct
        {
            let counter = &mut counters[dir as usize];
            counter.packets += 1;
            counter.bytes += len as u64;
        }
    }

    /// What few connections have, made if it has nothing of it yet (`nf_ct_ext_add`).
    pub fn ext_mut(&mut self) -> &mut CtExt {
        self.ext.get_or_insert_default()
    }

    /// Confirmation and deletion time.
    pub fn tstamp(&self) -> Option<(Nanos, Option<Nanos>)> {
        self.ext.as_ref()?.tstamp
    }

    /// Its helper (`nfct_help`).
    pub fn help(&self) -> Option<&Help> {
        self.ext.as_ref()?.help.as_ref()
    }

    /// The connection whose helper expected it.
    pub fn master(&self) -> Option<CtId> {
        self.ext.as_ref()?.master
    }

    /// Reference count: the table, packets, and connections that it expected.
    pub fn uses(&self) -> u32 {
        self.refs
    }

    /// The tuple of a direction.
    #[inline]
    pub fn tuple(&self, dir: Dir) -> &Tuple {
        &self.tuples[dir as usize]
    }

    /// The status bit is set.
    #[inline]
    pub fn has(&self, status: u16) -> bool {
        self.status & status != 0
    }

    /// It is in the hash table (`nf_ct_is_confirmed`).
    #[inline]
    pub fn is_confirmed(&self) -> bool {
        self.has(IPS_CONFIRMED)
    }

    /// It has expired (`nf_ct_is_expired`).
    #[inline]
    pub fn is_expired(&self, now: Nanos) -> bool {
        self.timeout <= nfct_time_stamp(now)
    }

    /// Remaining lifetime in whole seconds (`nf_ct_expires(ct) / HZ`).
    pub fn expires_secs(&self, now: Nanos) -> u64 {
        self.timeout.since(nfct_time_stamp(now)).0 / 1_000_000_000
    }
}

const _: () = assert!(std::mem::offset_of!(Conn, proto) == 64, "what every packet needs is one cache line");
const _: () = assert!(size_of::<Conn>() == 128, "and the whole two");

/// Time of the last tick.
#[inline]
pub fn nfct_time_stamp(now: Nanos) -> Nanos {
    Nanos(now.0 - now.0 % JIFFY)
}
