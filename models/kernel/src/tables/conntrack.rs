//! Connections.
//!
//! Kernel: include/net/netfilter/nf_conntrack.h, include/net/netfilter/nf_conntrack_tuple.h

use glassnet_sim::Nanos;

use crate::ids::NetnsId;

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
/// `IPS_SEQ_ADJUST`.
pub const IPS_SEQ_ADJUST: u16 = 1 << 6;
/// `IPS_SRC_NAT_DONE`: NAT has decided about the source.
pub const IPS_SRC_NAT_DONE: u16 = 1 << 7;
/// `IPS_DST_NAT_DONE`: NAT has decided about the destination.
pub const IPS_DST_NAT_DONE: u16 = 1 << 8;
/// `IPS_DYING`: it is being removed.
pub const IPS_DYING: u16 = 1 << 9;

/// A connection (`struct nf_conn`).
#[derive(Clone, Debug)]
pub struct Conn {
    /// Its namespace.
    pub netns: NetnsId,
    /// Both directions; what NAT rewrites shows in the reply.
    pub tuples: [Tuple; 2],
    /// `IPS_*`.
    pub status: u16,
    /// `ct->mark`.
    pub mark: u32,
    /// Zone of each direction; 0: the default.
    pub zone: [u16; 2],
    /// When it expires; of an unconfirmed one, how long it will live.
    pub timeout: Nanos,
}

impl Conn {
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
}
