//! Entries that are needed soon are fetched from memory together. The kernel has no such function: this is the
//! simulator's own haste.

use glassnet_wire::eth::ETH_P_IP;

use super::nf_conntrack_tuple::nf_ct_get_tuple;
use crate::Cx;

/// How many packets ahead [`prefetch`] looks.
pub const PREFETCH: u32 = 16;

/// The entries of the next packets of a CPU's queue are on their way from memory, all at once, before each is needed.
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
