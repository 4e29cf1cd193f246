//! `-m mac`.
//!
//! Kernel: net/netfilter/xt_mac.c

use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_HLEN;

use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::Variant;

/// `mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacSource {
    /// `!`.
    pub invert: bool,
    /// `--mac-source`.
    pub addr: Mac,
}

impl XtMatch for MacSource {
    const NAME: &'static str = "mac";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        mac_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::hooks(Hook::PreRouting.bit() | Hook::LocalIn.bit() | Hook::Forward.bit())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[MacSource::NAME], ..Module::named("xt_mac") }];

/// The frame has this source address. Without an Ethernet header, false.
pub fn mac_mt(cx: &mut Cx, par: &mut Par, with: &MacSource) -> bool {
    let pkt = &cx.skbs[par.skb];
    let has_frame = pkt.mac_header + ETH_HLEN as u32 <= pkt.data;
    let is_ethernet = cx.k.devs.get(pkt.dev).is_some_and(|dev| !dev.is_loopback());
    has_frame && is_ethernet && (cx.skbs.eth_hdr(par.skb).source() == with.addr) != with.invert
}
