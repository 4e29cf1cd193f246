//! The last route to the other end of a tunnel, which each CPU keeps.
//!
//! Kernel: net/core/dst_cache.c

use super::route::{ipv4_dst_check, keep};
use crate::Cx;
use crate::ids::NetnsId;
use crate::tables::route::{DstCache, FlowOut, Rtable};

/// The route that this CPU kept, if it is still valid.
pub fn dst_cache_get_ip4(cx: &mut Cx, netns: NetnsId, cache: &mut DstCache) -> Option<(Rtable, FlowOut)> {
    ipv4_dst_check(cx.k, netns, cache.0.get_mut(cx.cpu.index())?)
}

/// Keeps a route for this CPU's next packet.
pub fn dst_cache_set_ip4(cx: &mut Cx, netns: NetnsId, cache: &mut DstCache, found: (Rtable, FlowOut)) {
    cache.0.resize(cx.k.cpus.len(), None);
    cache.0[cx.cpu.index()] = keep(cx.k, netns, found);
}
