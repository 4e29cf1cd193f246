//! `-m dscp`, `-m tos`, `-j DSCP` and `-j TOS`.
//!
//! Kernel: net/netfilter/xt_dscp.c, net/netfilter/xt_DSCP.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::big_endian::U16;

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::xt::{matches, targets};

/// The upper six bits of TOS are these.
pub fn dscp_mt(_: &mut Cx, par: &mut Par, with: &matches::Dscp) -> bool {
    (par.iph.tos >> 2 == with.dscp) != with.invert
}

/// TOS is this, as far as the mask goes.
pub fn tos_mt(_: &mut Cx, par: &mut Par, with: &matches::Tos) -> bool {
    (par.iph.tos & with.mask == with.value) != with.invert
}

/// Sets the upper six bits of TOS; those of ECN stay.
pub fn dscp_tg(cx: &mut Cx, par: &mut Par, target: &targets::Dscp) -> TargetVerdict {
    set_tos(cx, par, par.iph.tos & 0x03 | target.dscp << 2)
}

/// Sets TOS as far as the mask goes.
pub fn tos_tg(cx: &mut Cx, par: &mut Par, target: &targets::Tos) -> TargetVerdict {
    set_tos(cx, par, par.iph.tos & !target.mask ^ target.value)
}

/// Kernel: `ipv4_change_dsfield`
fn set_tos(cx: &mut Cx, par: &mut Par, tos: u8) -> TargetVerdict {
    let at = cx.skbs[par.skb].network_header;
    if tos != par.iph.tos
        && let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(par.skb, at)
    {
        let word = |tos: u8| u16::from_be_bytes([iph.version_ihl, tos]);
        iph.check = U16::new(checksum::replace(iph.check.get(), word(iph.tos), word(tos)));
        iph.tos = tos;
        par.iph = *iph;
    }
    TargetVerdict::Continue
}
