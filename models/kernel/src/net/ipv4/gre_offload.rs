//! Merging of packets in GRE, by what is inside.
//!
//! Kernel: net/ipv4/gre_offload.c

use glassnet_wire::gre::{GRE_CSUM, GRE_KEY, Gre, GreBaseHdr};
use zerocopy::big_endian::U32;

use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::net::core::gro::{enters_tunnel, for_same_flow, gro_complete_inside, gro_receive_inside};
use crate::tables::gro::GroVerdict;

/// Looks for the held packet that one in GRE continues.
pub fn gre_gro_receive(cx: &mut Cx, skb: SkbId) -> GroVerdict {
    cx.within(Func::GreGroReceive, skb, |cx| {
        if !enters_tunnel(cx) {
            return GroVerdict::FLUSH;
        }
        let at = cx.skbs[skb].transport_header;
        let Some((flags, len, protocol)) = header(cx, skb, at) else { return GroVerdict::FLUSH };
        if flags & !(GRE_KEY | GRE_CSUM) != 0 {
            return GroVerdict::FLUSH;
        }
        for_same_flow(cx, skb, at, |held, its: &GreBaseHdr, own| {
            held.same_flow = (its.flags, its.protocol) == (own.flags, own.protocol);
        });
        if flags & GRE_KEY != 0 {
            let at = at + len - size_of::<U32>() as u32;
            for_same_flow(cx, skb, at, |held, its: &U32, own| held.same_flow = its == own);
        }
        gro_receive_inside(cx, skb, at + len, protocol)
    })
}

/// Flags, length in bytes and inner Ethertype of a header of version 0.
fn header(cx: &Cx, skb: SkbId, at: u32) -> Option<(u16, u32, u16)> {
    let flags = cx.skbs.header::<GreBaseHdr>(skb, at)?.flags.get();
    let bytes = cx.skbs.data(skb).get((at - cx.skbs[skb].data) as usize..)?;
    Gre::parse(bytes).map(|(gre, len)| (flags, len as u32, gre.protocol))
}

/// A merged packet in GRE gets its inner headers.
pub fn gre_gro_complete(cx: &mut Cx, skb: SkbId) {
    cx.within(Func::GreGroComplete, skb, |cx| {
        let at = cx.skbs[skb].transport_header;
        if let Some((_, len, protocol)) = header(cx, skb, at) {
            gro_complete_inside(cx, skb, at + len, protocol);
        }
    });
}
