//! Connections.
//!
//! Kernel: include/net/netfilter/nf_conntrack.h, include/net/netfilter/nf_conntrack_tuple.h
//!
//! | module | owns |
//! |---|---|
//! | [`table`] | [`Conntrack`], all connections of a machine |
//! | `index` | where a tuple is found |
//! | [`proto`] | what is remembered for a protocol: the state of TCP |
//! | [`net`] | [`CtNet`], a namespace's settings and counters |
//! | [`sysctl`] | the settings by name |
//! | [`event`] | what listeners are told |
//! | [`nat`] | which connections come from where |

pub mod event;
mod index;
pub mod nat;
pub mod net;
pub mod proto;
pub mod sysctl;
pub mod table;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPPROTO_ICMP;

use super::jiffies::JIFFY;
use crate::ids::NetnsId;
pub use event::{CtEvent, EventKind};
pub use net::{CtNet, CtStats};
pub use proto::{Proto, TcpSeen, TcpState, TcpTrack};
pub use sysctl::CtSysctl;
pub use table::Conntrack;

/// Which way a packet goes: as the first packet of its connection, or back.
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

/// One direction of a connection (`struct nf_conntrack_tuple`), in host order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    /// Source address.
    pub src: u32,
    /// Destination address.
    pub dst: u32,
    /// Source port; ICMP: identifier.
    pub sport: u16,
    /// Destination port; ICMP: type in the high byte, code in the low.
    pub dport: u16,
    /// IP protocol.
    pub proto: u8,
}

impl Tuple {
    /// The tuple of the way back (`nf_ct_invert_tuple`); none for ICMP messages that nobody answers.
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

/// A connection of the machine's table. Handles are given out again; an skb holds a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CtId(pub u32);

/// How a packet belongs to its connection (`enum ip_conntrack_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CtInfo {
    /// `IP_CT_ESTABLISHED`.
    Established,
    /// `IP_CT_RELATED`: an ICMP error about it.
    Related,
    /// `IP_CT_NEW`.
    New,
    /// `IP_CT_ESTABLISHED_REPLY`.
    EstablishedReply,
    /// `IP_CT_RELATED_REPLY`.
    RelatedReply,
}

impl CtInfo {
    /// The direction of the packet (`CTINFO2DIR`).
    pub fn dir(self) -> Dir {
        match self {
            CtInfo::EstablishedReply | CtInfo::RelatedReply => Dir::Reply,
            _ => Dir::Original,
        }
    }
}

/// What connection tracking knows of a packet (`skb->_nfct`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NfCt {
    /// Nothing: it was not looked at, or is invalid.
    #[default]
    None,
    /// It is not to be tracked (`IP_CT_UNTRACKED`).
    Untracked,
    /// It answers a packet that is not tracked: related to nothing, and invalid, but `NOTRACK` leaves it alone.
    RelatedToNone,
    /// Its connection.
    Conn(CtId, CtInfo),
    /// A template of the `CT` target: the zone that a new connection gets.
    Template(CtId),
}

/// `IPS_SEEN_REPLY`: both directions were seen.
pub const IPS_SEEN_REPLY: u16 = 1 << 1;
/// `IPS_ASSURED`: never dropped early.
pub const IPS_ASSURED: u16 = 1 << 2;
/// `IPS_CONFIRMED`: it is in the table.
pub const IPS_CONFIRMED: u16 = 1 << 3;
/// `IPS_SRC_NAT`: the source is rewritten.
pub const IPS_SRC_NAT: u16 = 1 << 4;
/// `IPS_DST_NAT`: the destination is rewritten.
pub const IPS_DST_NAT: u16 = 1 << 5;
/// `IPS_SRC_NAT_DONE`: NAT has decided about the source.
pub const IPS_SRC_NAT_DONE: u16 = 1 << 7;
/// `IPS_DST_NAT_DONE`: NAT has decided about the destination.
pub const IPS_DST_NAT_DONE: u16 = 1 << 8;
/// `IPS_DYING`: it is being removed.
pub const IPS_DYING: u16 = 1 << 9;
/// `IPS_FIXED_TIMEOUT`: packets do not prolong its life.
pub const IPS_FIXED_TIMEOUT: u16 = 1 << 10;
/// `IPS_TEMPLATE`: it is what the `CT` target says of a new connection.
pub const IPS_TEMPLATE: u16 = 1 << 11;
/// Of a template: its zones are masks of the packet's mark (`NF_CT_FLAG_MARK`).
pub const IPS_ZONE_MARK: u16 = 1 << 15;
/// `IPS_NAT_CLASH`: its original tuple is another's too; only its reply is in the table.
pub const IPS_NAT_CLASH: u16 = 1 << 12;
/// `IPS_NAT_DONE_MASK`.
pub const IPS_NAT_DONE_MASK: u16 = IPS_SRC_NAT_DONE | IPS_DST_NAT_DONE;
/// `IPS_NAT_MASK`.
pub const IPS_NAT_MASK: u16 = IPS_SRC_NAT | IPS_DST_NAT;

/// Packets and bytes of one direction (`struct nf_conn_counter`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CtCounter {
    /// Packets.
    pub packets: u64,
    /// Bytes of their IP length.
    pub bytes: u64,
}

/// How packets of a connection pass the hooks, by direction and hook: numbers that [`super::verdicts`] gives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Remembered {
    /// Under which rules.
    pub epoch: u32,
    /// The numbers.
    pub numbers: [[u8; Remembered::HOOKS]; 2],
}

impl Remembered {
    /// How many hooks there are.
    pub const HOOKS: usize = 5;
}

/// A connection (`struct nf_conn`): two cache lines, of which most packets need the first. What few connections have
/// stands elsewhere (as in the kernel's `struct nf_ct_ext`), so that many fit into the caches.
#[derive(Clone, Debug)]
#[repr(C, align(64))]
pub struct Conn {
    /// Both directions; what NAT rewrites shows in the reply.
    pub tuples: [Tuple; 2],
    /// When it expires; of an unconfirmed one, how long it will live.
    pub timeout: Nanos,
    /// Its namespace.
    pub netns: NetnsId,
    /// `ct->mark`.
    pub mark: u32,
    /// Who holds it: packets, and the table once it is confirmed. 0: the place is free.
    pub(super) refs: u32,
    /// `IPS_*`.
    pub status: u16,
    /// Zone of each direction; 0: the default.
    pub zone: [u16; 2],
    /// Which events listeners are told of (`ctmask`, `IPCT_*` bits); 0: none, for ever.
    pub ctmask: u16,
    /// Events that they are still to be told of.
    pub event_cache: u16,
    /// It has counters: said here, where packets look anyway.
    pub(super) counted: bool,
    /// What its protocol remembers.
    pub proto: Proto,
    /// `nf_conntrack_acct` was on when it was made: what it carried, by direction.
    pub acct: Option<Box<[CtCounter; 2]>>,
    /// `nf_conntrack_timestamp` was on when it was made: when it was confirmed and when it was deleted.
    pub tstamp: Option<Box<(Nanos, Option<Nanos>)>>,
    /// Connections of a machine are numbered in the order in which they are made.
    pub seq: u64,
    /// How its packets pass hooks.
    pub remembered: Remembered,
    /// ifindex of the device whose address `MASQUERADE` gave it; 0: none (`nat->masq_index`).
    pub masq_index: u32,
}

impl Conn {
    /// A new connection that is in no table.
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
            tstamp: None,
            seq: 0,
            remembered: Remembered::default(),
            masq_index: 0,
        }
    }

    /// A packet of `len` bytes is counted, if anything is (`nf_ct_acct_add`).
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

    /// The tuple of a direction.
    #[inline]
    pub fn tuple(&self, dir: Dir) -> &Tuple {
        &self.tuples[dir as usize]
    }

    /// The status has this bit.
    #[inline]
    pub fn has(&self, status: u16) -> bool {
        self.status & status != 0
    }

    /// It is in the table (`nf_ct_is_confirmed`).
    #[inline]
    pub fn is_confirmed(&self) -> bool {
        self.has(IPS_CONFIRMED)
    }

    /// Its time is over (`nf_ct_is_expired`).
    #[inline]
    pub fn is_expired(&self, now: Nanos) -> bool {
        self.timeout <= nfct_time_stamp(now)
    }

    /// How long it has to live, in whole seconds (`nf_ct_expires(ct) / HZ`).
    pub fn expires_secs(&self, now: Nanos) -> u64 {
        self.timeout.since(nfct_time_stamp(now)).0 / 1_000_000_000
    }
}

const _: () = assert!(std::mem::offset_of!(Conn, proto) == 64, "what every packet needs is one cache line");
const _: () = assert!(size_of::<Conn>() == 128, "and the whole two");

/// The time of the last tick.
#[inline]
pub fn nfct_time_stamp(now: Nanos) -> Nanos {
    Nanos(now.0 - now.0 % JIFFY)
}
