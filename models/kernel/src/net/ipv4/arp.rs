//! ARP.
use crate::Cx;
use crate::door::Door;
use crate::ids::SkbId;
/// Placeholder until IPv4 lands.
pub fn arp_rcv(cx: &mut Cx, skb: SkbId) -> Door {
    cx.consume_skb(skb)
}
