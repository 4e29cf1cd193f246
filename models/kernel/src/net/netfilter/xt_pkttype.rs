//! `-m pkttype`.
//!
//! Kernel: net/netfilter/xt_pkttype.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::route_types::RouteType;
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

/// The packet type is this.
pub fn pkttype_mt(cx: &mut Cx, par: &mut Par, with: &Pkttype) -> bool {
    let kind = match cx.skbs[par.skb].pkt_type {
        PacketType::Host => own_copy(cx, par).unwrap_or(0),
        PacketType::Broadcast => 1,
        PacketType::Multicast => 2,
        PacketType::OtherHost => 3,
        PacketType::Outgoing => 4,
    };
    (kind == with.kind) != with.invert
}

/// The local copy of a broadcast or multicast that was sent (`PACKET_LOOPBACK`): received on a device that has the
/// source address.
fn own_copy(cx: &Cx, par: &Par) -> Option<u8> {
    let pkt = &cx.skbs[par.skb];
    let dev = par.state.input.and_then(|dev| cx.k.devs.get(dev))?;
    if dev.is_loopback() || !pkt.ip_summed {
        return None;
    }
    if par.iph.daddr.get().is_multicast() {
        return Some(2);
    }
    let broadcast = pkt.dst.as_ref().is_some_and(|route| route.kind == RouteType::Broadcast);
    broadcast.then_some(1)
}
