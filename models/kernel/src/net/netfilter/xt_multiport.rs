//! `-m multiport`.
//!
//! Kernel: net/netfilter/xt_multiport.c

use super::x_tables::Par;
use crate::Cx;
use crate::tables::xt::matches::{Multiport, MultiportSide};

/// One of the packet's ports is in the list. Ports stand at the same place in all the protocols.
pub fn multiport_mt(cx: &mut Cx, par: &mut Par, with: &Multiport) -> bool {
    if par.fragoff != 0 {
        return false;
    }
    let Some(&[s0, s1, d0, d1]) = cx.skbs.header::<[u8; 4]>(par.skb, par.thoff) else {
        par.hotdrop = true;
        return false;
    };
    let (source, dest) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
    let is_listed = |port: u16| with.ports.iter().any(|(low, high)| (*low..=*high).contains(&port));
    let found = match with.side {
        MultiportSide::Source => is_listed(source),
        MultiportSide::Destination => is_listed(dest),
        MultiportSide::Either => is_listed(source) || is_listed(dest),
    };
    found != with.invert
}
