//! Prefetching of conntrack entries into the CPU's cache. The kernel has no such function; it only makes the simulator
//! faster.

use glassnet_wire::eth::ETH_P_IP;

use super::nf_conntrack_tuple::nf_ct_get_tuple;
use crate::Cx;

/// How many packets ahead [`prefetch`] looks.
pub const PREFETCH: u32 = 16;

/// Prefetches the entries of the next packets in a CPU's backlog, so that their cache misses overlap.
#[cold]
pub fn prefetch(cx: &Cx) {
    let queue = &cx.k.cpus[cx.cpu.index()].process_queue;
    let mut places = [u32::MAX; PREFETCH as usize];
    for (skb, place) in queue.iter().zip(&mut places) {
        let netns = cx.k.devs[cx.skbs[*skb].dev].netns;
        if cx.skbs[*skb].protocol == ETH_P_IP
            && let Some((tuple, _)) = nf_ct_get_tuple(cx.skbs.data(*skb))
        {
            *place = cx.k.conntrack.touch_index(netns, &tuple);
        }
    }
    let touched = places.iter().fold(0_u32, |sum, place| sum.wrapping_add(cx.k.conntrack.touch_conn(*place)));
    std::hint::black_box(touched);
}
