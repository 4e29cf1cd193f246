//! `-m sctp`.
//!
//! Kernel: net/netfilter/xt_sctp.c

use super::nf_conntrack_tuple::IPPROTO_SCTP;
use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::{Ports, Variant};

/// `sctp` (`struct xt_sctp_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sctp {
    /// `--sport`.
    pub sport: Option<Ports>,
    /// `--dport`.
    pub dport: Option<Ports>,
    /// `--chunk-types`.
    pub chunks: Option<ChunkTypes>,
}

/// How the chunks of a packet are held against the wanted ones (`SCTP_CHUNK_MATCH_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkMatch {
    /// `any`: one of them is there.
    Any,
    /// `all`: each of them is there.
    All,
    /// `only`: no others are there.
    Only,
}

/// `--chunk-types`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChunkTypes {
    /// `!`.
    pub invert: bool,
    /// How.
    pub how: ChunkMatch,
    /// The wanted types, a bit each.
    pub map: [u128; 2],
    /// Of a type, the flags that are asked for, and which of them are set.
    pub flags: Vec<(u8, u8, u8)>,
}

impl ChunkTypes {
    /// The type is wanted.
    pub fn has(&self, kind: u8) -> bool {
        self.map[usize::from(kind >> 7)] >> (kind & 127) & 1 != 0
    }

    fn flags_fit(&self, kind: u8, flags: u8) -> bool {
        let wanted = self.flags.iter().find(|wanted| wanted.0 == kind);
        wanted.is_none_or(|(_, mask, set)| flags & mask == *set)
    }
}

impl XtMatch for Sctp {
    const NAME: &'static str = "sctp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        sctp_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::proto(IPPROTO_SCTP)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Sctp::NAME], ..Module::named("xt_sctp") }];

/// Ports and chunks; a packet without a whole header, or with a broken chunk if chunks are asked for, is dropped.
pub fn sctp_mt(cx: &mut Cx, par: &mut Par, with: &Sctp) -> bool {
    if par.fragoff != 0 {
        return false;
    }
    let Some(header) = cx.skbs.header::<[u8; 12]>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    let (source, dest) =
        (u16::from_be_bytes([header[0], header[1]]), u16::from_be_bytes([header[2], header[3]]));
    let fits = |ports: Option<Ports>, port: u16| {
        ports.is_none_or(|Ports { invert, range: (low, high) }| (low..=high).contains(&port) != invert)
    };
    if !fits(with.sport, source) || !fits(with.dport, dest) {
        return false;
    }
    let Some(wanted) = &with.chunks else { return true };
    match match_packet(cx, par, wanted) {
        Some(found) => found != wanted.invert,
        None => {
            par.hotdrop = true;
            // As the kernel: an inverted condition holds for a broken packet.
            wanted.invert
        }
    }
}

/// The chunks are as wanted; `None`: one is cut off or has no length.
fn match_packet(cx: &Cx, par: &Par, wanted: &ChunkTypes) -> Option<bool> {
    let end = cx.skbs[par.skb].tail;
    let mut at = par.thoff + 12;
    let mut missing = wanted.map;
    loop {
        let [kind, flags, high, low] = *cx.skbs.header::<[u8; 4]>(par.skb, at)?;
        let len = u16::from_be_bytes([high, low]);
        if len == 0 {
            return None;
        }
        at += u32::from(len).next_multiple_of(4);
        let fits = wanted.has(kind) && wanted.flags_fit(kind, flags);
        match wanted.how {
            ChunkMatch::Any if fits => return Some(true),
            ChunkMatch::Only if !fits => return Some(false),
            ChunkMatch::All if fits => missing[usize::from(kind >> 7)] &= !(1 << (kind & 127)),
            _ => {}
        }
        if at >= end {
            break;
        }
    }
    Some(match wanted.how {
        ChunkMatch::Any => false,
        ChunkMatch::Only => true,
        ChunkMatch::All => missing == [0, 0],
    })
}
