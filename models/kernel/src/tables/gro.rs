//! Generic receive offload: packets of a poll that are held back to be merged, and those that wait to enter the stack together.
//!
//! The kernel has this for each NAPI instance. Nothing is held beyond a poll (`gro_flush_timeout` is 0), and a CPU polls one
//! instance after the other, so here each CPU has it once.
//!
//! Kernel: include/net/gro.h, include/linux/netdevice.h (`struct napi_struct`)

use crate::ids::SkbId;

/// A segment's place in the packet that was cut.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    /// How many come before it.
    pub index: u16,
    /// Bytes of payload before it.
    pub offset: u32,
    /// None comes behind it.
    pub is_last: bool,
}

/// What a protocol says of a packet (`struct napi_gro_cb`, and what `gro_receive` returns).
#[derive(Clone, Copy, Debug)]
pub struct GroVerdict {
    /// What becomes of it.
    pub fate: GroFate,
    /// The held packet that is complete, by its place.
    pub complete: Option<usize>,
}

impl GroVerdict {
    /// The packet goes on by itself, and no other is concerned.
    pub const FLUSH: GroVerdict = GroVerdict { fate: GroFate::Normal, complete: None };
}

/// What becomes of a packet (`gro_result_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroFate {
    /// It goes on by itself.
    Normal,
    /// It became a part of a held packet.
    Merged,
    /// It is held back for those that follow it.
    Held {
        /// Its payload, bytes.
        payload: usize,
        /// It may not be fragmented.
        is_atomic: bool,
    },
}

/// A packet that is held back.
#[derive(Clone, Debug)]
pub struct Held {
    /// The first of its packets, whose headers it has.
    pub skb: SkbId,
    /// Those behind it, with the bytes of payload of each.
    pub members: Vec<(SkbId, usize)>,
    /// All payload, bytes.
    pub payload: usize,
    /// Payload of the first, bytes: no other has more.
    pub gso_size: usize,
    /// Its packets may not be fragmented, so their identifications need not count up.
    pub is_atomic: bool,
    /// It may be of the same stream as the packet that is looked at: its headers agree so far.
    pub same_flow: bool,
    /// It is of the same stream, but that packet cannot be appended to it.
    pub flush: bool,
}

/// A CPU's share.
#[derive(Debug, Default)]
pub struct Gro {
    /// Packets that are held back, the oldest first; those with one hash, cut to three bits, are in one bucket.
    pub held: Vec<Held>,
    /// The packet that is looked at cannot be merged (`napi_gro_cb::flush`).
    pub flush: bool,
    /// A header of a tunnel was seen in it (`napi_gro_cb::encap_mark`).
    pub encap_mark: bool,
    /// Packets that enter the stack together.
    pub rx_list: Vec<SkbId>,
    /// How many were received, merged or not, for [`Gro::rx_list`].
    pub rx_count: u32,
    /// Packets of a list that PRE_ROUTING accepted so far.
    pub accepted: Vec<SkbId>,
    /// Empty lists that are used again.
    pub spare: [Vec<SkbId>; 2],
}
