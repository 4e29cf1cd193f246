//! `-m pkttype`.
//!
//! Kernel: net/netfilter/xt_pkttype.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::skb::PacketType;

/// `pkttype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pkttype {
    /// `!`.
    pub invert: bool,
    /// `PACKET_HOST` 0, `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2.
    pub kind: u8,
}

impl XtMatch for Pkttype {
    const NAME: &'static str = "pkttype";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        pkttype_mt(cx, par, self)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Pkttype::NAME], ..Module::named("xt_pkttype") }];

/// The packet type is this; the local copy of what was sent counts as what was sent.
pub fn pkttype_mt(cx: &mut Cx, par: &mut Par, with: &Pkttype) -> bool {
    let kind = match cx.skbs[par.skb].pkt_type {
        PacketType::Host => 0,
        PacketType::Broadcast => 1,
        PacketType::Multicast => 2,
        PacketType::OtherHost => 3,
        PacketType::Outgoing => 4,
        PacketType::Loopback => 1 + u8::from(par.iph.daddr.get().is_multicast()),
    };
    (kind == with.kind) != with.invert
}
