//! `-m ttl` and `-j TTL`.
//!
//! Kernel: net/netfilter/xt_hl.c, net/netfilter/xt_HL.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtMatch, XtTarget};
use crate::module::Module;
use crate::tables::xt::{TableName, Variant};

/// Comparison of `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlMtMode {
    /// `--ttl-eq`.
    Eq,
    /// `! --ttl-eq`.
    Ne,
    /// `--ttl-lt`.
    Lt,
    /// `--ttl-gt`.
    Gt,
}

/// `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlMt {
    /// Comparison.
    pub mode: TtlMtMode,
    /// Hops.
    pub ttl: u8,
}

impl XtMatch for TtlMt {
    const NAME: &'static str = "ttl";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        ttl_mt(cx, par, self)
    }
}

/// Mode of `TTL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlTgMode {
    /// `--ttl-set`.
    Set,
    /// `--ttl-inc`.
    Inc,
    /// `--ttl-dec`.
    Dec,
}

/// `TTL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlTg {
    /// Mode.
    pub mode: TtlTgMode,
    /// Hops.
    pub ttl: u8,
}

impl XtTarget for TtlTg {
    const NAME: &'static str = "TTL";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        ttl_tg(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Mangle)
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { matches: &[TtlMt::NAME], ..Module::named("xt_hl") },
    Module { targets: &[TtlTg::NAME], ..Module::named("xt_HL") },
];

/// The TTL fits.
pub fn ttl_mt(_: &mut Cx, par: &mut Par, with: &TtlMt) -> bool {
    let ttl = par.iph.ttl;
    match with.mode {
        TtlMtMode::Eq => ttl == with.ttl,
        TtlMtMode::Ne => ttl != with.ttl,
        TtlMtMode::Lt => ttl < with.ttl,
        TtlMtMode::Gt => ttl > with.ttl,
    }
}

/// Changes the TTL and updates the checksum.
pub fn ttl_tg(cx: &mut Cx, par: &mut Par, target: &TtlTg) -> TargetVerdict {
    let at = cx.skbs[par.skb].network_header;
    let ttl = match target.mode {
        TtlTgMode::Set => target.ttl,
        TtlTgMode::Inc => par.iph.ttl.saturating_add(target.ttl),
        TtlTgMode::Dec => par.iph.ttl.saturating_sub(target.ttl),
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
