//! `-m multiport`.
//!
//! Kernel: net/netfilter/xt_multiport.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::Ports;

/// The ports that `multiport` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiportSide {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`: either.
    Either,
}

/// `multiport` (`struct xt_multiport_v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiport {
    /// The ports that are compared.
    pub side: MultiportSide,
    /// `!`.
    pub invert: bool,
    /// Ports and ranges, at most 15 numbers.
    pub ports: Vec<(u16, u16)>,
}

impl XtMatch for Multiport {
    const NAME: &'static str = "multiport";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        multiport_mt(cx, par, self)
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }

    fn ports(&self) -> Option<[Ports; 2]> {
        let low = self.ports.iter().map(|range| range.0).min().unwrap_or(0);
        let high = self.ports.iter().map(|range| range.1).max().unwrap_or(u16::MAX);
        let listed = Ports { invert: self.invert, range: (low, high) };
        let any = Ports::default();
        Some(match self.side {
            MultiportSide::Source => [listed, any],
            MultiportSide::Destination => [any, listed],
            MultiportSide::Either => [any, any],
        })
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Multiport::NAME], ..Module::named("xt_multiport") }];

/// One of the packet's ports is in the list. All the protocols have them at the same offset.
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
