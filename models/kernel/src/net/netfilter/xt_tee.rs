//! Target `TEE`.
//!
//! Kernel: net/netfilter/xt_TEE.c

use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, Place, Refused, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::net::ipv4::netfilter::nf_dup_ipv4::nf_dup_ipv4;
use crate::netlink::Errno;
use crate::tables::xt::Rule;

/// `TEE` (`struct xt_tee_tginfo`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tee {
    /// `--gateway`: where the copy goes.
    pub gateway: Ipv4Addr,
    /// `--oif`: the device that it must leave by. One that is not there is no condition.
    pub oif: Option<String>,
}

impl XtTarget for Tee {
    const NAME: &'static str = "TEE";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        tee_tg4(cx, par, self)
    }

    fn check(&self, _: Place, _: &Rule) -> Result<(), Refused> {
        if self.gateway.is_unspecified() { Err(Refused::silent(Errno::EINVAL)) } else { Ok(()) }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Tee::NAME], ..Module::named("xt_TEE") }];

/// Makes a copy of the packet for the gateway, which leaves when this table is done with the packet itself.
pub fn tee_tg4(cx: &mut Cx, par: &mut Par, target: &Tee) -> TargetVerdict {
    let netns = par.state.netns;
    let oif = target.oif.as_ref().and_then(|name| cx.k.dev_by_name(netns, name));
    par.copied |= nf_dup_ipv4(cx, par.skb, par.state, target.gateway, oif);
    TargetVerdict::Continue
}
