//! The targets of the `nat` table.
//!
//! Kernel: net/netfilter/xt_nat.c, net/netfilter/xt_MASQUERADE.c, net/netfilter/xt_REDIRECT.c, net/netfilter/xt_NETMAP.c

use std::net::Ipv4Addr;

use super::nf_nat_core::{Manip, NatRange, nf_nat_setup_info};
use super::nf_nat_masquerade::nf_nat_masquerade_ipv4;
use super::nf_nat_redirect::nf_nat_redirect_ipv4;
use crate::Cx;
use crate::extension::{Limits, Par, TargetVerdict, XtTarget};
use crate::hook::Verdict;
use crate::module::Module;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Hook;
use crate::tables::xt::{TableName, Variant};

/// `DNAT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dnat(
    /// Range.
    pub NatRange,
);

impl XtTarget for Dnat {
    const NAME: &'static str = "DNAT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        dnat_tg(cx, par, &self.0)
    }

    fn limits(_: Variant) -> Limits {
        Limits { hooks: Some(Hook::PreRouting.bit() | Hook::LocalOut.bit()), ..Limits::table(TableName::Nat) }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// `SNAT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Snat(
    /// Range.
    pub NatRange,
);

impl XtTarget for Snat {
    const NAME: &'static str = "SNAT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        snat_tg(cx, par, &self.0)
    }

    fn limits(_: Variant) -> Limits {
        Limits { hooks: Some(Hook::PostRouting.bit() | Hook::LocalIn.bit()), ..Limits::table(TableName::Nat) }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// `MASQUERADE`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Masquerade(
    /// Range.
    pub NatRange,
);

impl XtTarget for Masquerade {
    const NAME: &'static str = "MASQUERADE";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        masquerade_tg(cx, par, &self.0)
    }

    fn limits(_: Variant) -> Limits {
        Limits { hooks: Some(Hook::PostRouting.bit()), ..Limits::table(TableName::Nat) }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// `REDIRECT`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redirect(
    /// Range.
    pub NatRange,
);

impl XtTarget for Redirect {
    const NAME: &'static str = "REDIRECT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        redirect_tg(cx, par, &self.0)
    }

    fn limits(_: Variant) -> Limits {
        Limits { hooks: Some(Hook::PreRouting.bit() | Hook::LocalOut.bit()), ..Limits::table(TableName::Nat) }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// `NETMAP`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Netmap(
    /// Range.
    pub NatRange,
);

impl XtTarget for Netmap {
    const NAME: &'static str = "NETMAP";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        netmap_tg(cx, par, &self.0)
    }

    fn limits(_: Variant) -> Limits {
        Limits {
            hooks: Some(
                Hook::PreRouting.bit() | Hook::LocalOut.bit() | Hook::PostRouting.bit() | Hook::LocalIn.bit(),
            ),
            ..Limits::table(TableName::Nat)
        }
    }

    fn needs_conntrack(&self) -> bool {
        true
    }
}

/// The modules.
pub static MODULES: &[Module] = &[
    Module { targets: &[Snat::NAME, Dnat::NAME], ..Module::named("xt_nat") },
    Module { targets: &[Masquerade::NAME], ..Module::named("xt_MASQUERADE") },
    Module { targets: &[Redirect::NAME], ..Module::named("xt_REDIRECT") },
    Module { targets: &[Netmap::NAME], ..Module::named("xt_NETMAP") },
];

fn setup(cx: &mut Cx, par: &Par, range: &NatRange, manip: Manip) -> TargetVerdict {
    TargetVerdict::Verdict(match cx.nf_ct_get(par.skb) {
        Some((id, _)) => nf_nat_setup_info(cx, id, par.skb, range, manip),
        None => Verdict::Drop(DropReason::NetfilterDrop),
    })
}

/// `DNAT` (`xt_dnat_target_v2`).
pub fn dnat_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    setup(cx, par, range, Manip::Dst)
}

/// `SNAT` (`xt_snat_target_v1`).
pub fn snat_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    setup(cx, par, range, Manip::Src)
}

/// `MASQUERADE` (`masquerade_tg`).
pub fn masquerade_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    TargetVerdict::Verdict(nf_nat_masquerade_ipv4(cx, par.skb, par.state, range))
}

/// `REDIRECT` (`redirect_tg4`).
pub fn redirect_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    TargetVerdict::Verdict(nf_nat_redirect_ipv4(cx, par.skb, par.state, range))
}

/// `NETMAP`: replaces the network part of the address, keeps the host part (`netmap_tg4`).
pub fn netmap_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    let Some((first, last)) = range.addrs else { return setup(cx, par, range, Manip::at(par.state.hook)) };
    let manip = Manip::at(par.state.hook);
    let old = if manip == Manip::Dst { par.iph.daddr.get() } else { par.iph.saddr.get() };
    let host = Ipv4Addr::from_bits(first.to_bits() ^ last.to_bits());
    let new = old & host | first & !host;
    setup(cx, par, &NatRange { addrs: Some((new, new)), ..*range }, manip)
}
