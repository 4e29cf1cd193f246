//! The targets of the `nat` table.
//!
//! Kernel: net/netfilter/xt_nat.c, net/netfilter/xt_MASQUERADE.c, net/netfilter/xt_REDIRECT.c, net/netfilter/xt_NETMAP.c

use super::nf_nat_core::{Manip, nf_nat_setup_info};
use super::nf_nat_masquerade::nf_nat_masquerade_ipv4;
use super::nf_nat_redirect::nf_nat_redirect_ipv4;
use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::hook::Verdict;
use crate::tables::drop_reason::DropReason;
use crate::tables::xt::targets::NatRange;

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

/// `NETMAP`: the network part of an address becomes that of the range, the host part stays (`netmap_tg4`).
pub fn netmap_tg(cx: &mut Cx, par: &Par, range: &NatRange) -> TargetVerdict {
    let Some((first, last)) = range.addrs else { return setup(cx, par, range, Manip::at(par.state.hook)) };
    let manip = Manip::at(par.state.hook);
    let old = if manip == Manip::Dst { par.iph.daddr.get() } else { par.iph.saddr.get() };
    let host = first ^ last;
    let new = old & host | first & !host;
    setup(cx, par, &NatRange { addrs: Some((new, new)), ..*range }, manip)
}
