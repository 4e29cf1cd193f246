//! `-m iprange`.
//!
//! Kernel: net/netfilter/xt_iprange.c

use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;

/// `iprange`. Each: inverted, first, last address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iprange {
    /// `--src-range`.
    pub source: Option<(bool, Ipv4Addr, Ipv4Addr)>,
    /// `--dst-range`.
    pub dest: Option<(bool, Ipv4Addr, Ipv4Addr)>,
}

impl XtMatch for Iprange {
    const NAME: &'static str = "iprange";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        iprange_mt4(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Iprange::NAME], ..Module::named("xt_iprange") }];

/// The addresses are in the ranges.
pub fn iprange_mt4(_: &mut Cx, par: &mut Par, with: &Iprange) -> bool {
    let fits = |range: Option<(bool, Ipv4Addr, Ipv4Addr)>, addr: Ipv4Addr| {
        range.is_none_or(|(invert, low, high)| (low..=high).contains(&addr) != invert)
    };
    fits(with.source, par.iph.saddr.get()) && fits(with.dest, par.iph.daddr.get())
}
