//! `-m policy`.
//!
//! Kernel: net/netfilter/xt_policy.c

use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::Rule;

/// `policy` (`struct xt_policy_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// `--dir out` (true) or `in`.
    pub out: bool,
    /// `--pol none`: packets without a policy.
    pub none: bool,
    /// `--strict`: the elements describe the policy as a whole.
    pub strict: bool,
    /// The elements.
    pub elements: Vec<Element>,
}

/// An element of a policy (`struct xt_policy_elem`); each condition with `!`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Element {
    /// `--reqid`.
    pub reqid: Option<(bool, u32)>,
    /// `--spi`.
    pub spi: Option<(bool, u32)>,
    /// `--proto`.
    pub proto: Option<(bool, u8)>,
    /// `--mode tunnel` (true) or `transport`.
    pub tunnel: Option<(bool, bool)>,
    /// `--tunnel-src`: address and prefix length.
    pub tunnel_src: Option<(bool, Ipv4Addr, u8)>,
    /// `--tunnel-dst`.
    pub tunnel_dst: Option<(bool, Ipv4Addr, u8)>,
}

impl XtMatch for Policy {
    const NAME: &'static str = "policy";

    /// There are no IPsec policies: no packet has one.
    fn matches(&mut self, _: &mut Cx, _: &mut Par) -> bool {
        self.none
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        let inward = Hook::PreRouting.bit() | Hook::LocalIn.bit();
        let outward = Hook::PostRouting.bit() | Hook::LocalOut.bit();
        let hooks = place.option_hooks();
        if hooks & inward != 0 && self.out {
            return Err(Refused::einval("xt_policy: output policy not valid in PREROUTING and INPUT"));
        }
        if hooks & outward != 0 && !self.out {
            return Err(Refused::einval("xt_policy: input policy not valid in POSTROUTING and OUTPUT"));
        }
        Ok(())
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Policy::NAME], ..Module::named("xt_policy") }];
