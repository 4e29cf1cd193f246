//! `-m dscp`, `-m tos`, `-j DSCP` and `-j TOS`.
//!
//! Kernel: net/netfilter/xt_dscp.c, net/netfilter/xt_DSCP.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtMatch, XtTarget};
use crate::module::Module;
use crate::tables::xt::{TableName, Variant};

/// `dscp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DscpMt {
    /// `!`.
    pub invert: bool,
    /// The upper six bits of TOS.
    pub dscp: u8,
}

impl XtMatch for DscpMt {
    const NAME: &'static str = "dscp";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        dscp_mt(cx, par, self)
    }
}

/// `tos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TosMt {
    /// `!`.
    pub invert: bool,
    /// Value.
    pub value: u8,
    /// Mask.
    pub mask: u8,
}

impl XtMatch for TosMt {
    const NAME: &'static str = "tos";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        tos_mt(cx, par, self)
    }
}

/// `TOS`: `tos = (tos & !mask) ^ value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TosTg {
    /// Value.
    pub value: u8,
    /// Mask.
    pub mask: u8,
}

impl XtTarget for TosTg {
    const NAME: &'static str = "TOS";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        tos_tg(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Mangle)
    }
}

/// `DSCP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DscpTg {
    /// `--set-dscp`.
    pub dscp: u8,
}

impl XtTarget for DscpTg {
    const NAME: &'static str = "DSCP";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        dscp_tg(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Mangle)
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { matches: &[DscpMt::NAME, TosMt::NAME], ..Module::named("xt_dscp") },
    Module { targets: &[TosTg::NAME, DscpTg::NAME], ..Module::named("xt_DSCP") },
];

/// The DSCP field has this value.
pub fn dscp_mt(_: &mut Cx, par: &mut Par, with: &DscpMt) -> bool {
    (par.iph.tos >> 2 == with.dscp) != with.invert
}

/// TOS has this value, after the mask.
pub fn tos_mt(_: &mut Cx, par: &mut Par, with: &TosMt) -> bool {
    (par.iph.tos & with.mask == with.value) != with.invert
}

/// Sets the DSCP field; ECN stays.
pub fn dscp_tg(cx: &mut Cx, par: &mut Par, target: &DscpTg) -> TargetVerdict {
    ipv4_change_dsfield(cx, par, par.iph.tos & 0x03 | target.dscp << 2)
}

/// Sets the masked bits of TOS.
pub fn tos_tg(cx: &mut Cx, par: &mut Par, target: &TosTg) -> TargetVerdict {
    ipv4_change_dsfield(cx, par, par.iph.tos & !target.mask ^ target.value)
}

/// Writes the TOS field and mends the header's checksum.
pub fn ipv4_change_dsfield(cx: &mut Cx, par: &mut Par, tos: u8) -> TargetVerdict {
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
