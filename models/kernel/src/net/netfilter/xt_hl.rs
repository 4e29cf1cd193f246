//! `-m ttl` and `-j TTL`.
//!
//! Kernel: net/netfilter/xt_hl.c, net/netfilter/xt_HL.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::big_endian::U16;

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::tables::xt::{matches, targets};

/// The TTL is as the rule says.
pub fn ttl_mt(_: &mut Cx, par: &mut Par, with: &matches::Ttl) -> bool {
    let ttl = par.iph.ttl;
    match with.mode {
        matches::TtlMode::Eq => ttl == with.ttl,
        matches::TtlMode::Ne => ttl != with.ttl,
        matches::TtlMode::Lt => ttl < with.ttl,
        matches::TtlMode::Gt => ttl > with.ttl,
    }
}

/// The TTL is changed, and the checksum mended.
pub fn ttl_tg(cx: &mut Cx, par: &mut Par, target: &targets::Ttl) -> TargetVerdict {
    let at = cx.skbs[par.skb].network_header;
    let ttl = match target.mode {
        targets::TtlMode::Set => target.ttl,
        targets::TtlMode::Inc => par.iph.ttl.saturating_add(target.ttl),
        targets::TtlMode::Dec => par.iph.ttl.saturating_sub(target.ttl),
    };
    if ttl != par.iph.ttl
        && let Some(iph) = cx.skbs.header_mut::<Ipv4Hdr>(par.skb, at)
    {
        let word = |ttl: u8| u16::from_be_bytes([ttl, iph.protocol]);
        iph.check = U16::new(checksum::replace(iph.check.get(), word(iph.ttl), word(ttl)));
        iph.ttl = ttl;
        par.iph = *iph;
    }
    TargetVerdict::Continue
}
