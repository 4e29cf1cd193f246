//! `-m nfacct`.
//!
//! Kernel: net/netfilter/xt_nfacct.c

use super::nfnetlink_acct::{nfnl_acct_exists, nfnl_acct_hold, nfnl_acct_put, nfnl_acct_update};
use crate::Cx;
use crate::extension::{Par, Refused, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::xt::Variant;

/// `nfacct` (`struct xt_nfacct_match_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nfacct {
    /// `--nfacct-name`: the accounting object.
    pub name: String,
}

impl XtMatch for Nfacct {
    const NAME: &'static str = "nfacct";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        nfacct_mt(cx, par, self)
    }

    fn check_named(&self, cx: &Cx, netns: NetnsId) -> Result<(), Refused> {
        if nfnl_acct_exists(cx, netns, &self.name) {
            return Ok(());
        }
        let log = format!("xt_nfacct: accounting object `{}' does not exist", self.name);
        Err(Refused { errno: Errno::ENOENT, log: Some(log) })
    }

    fn init(&mut self, cx: &mut Cx, netns: NetnsId, _: Variant) {
        nfnl_acct_hold(cx, netns, &self.name);
    }

    fn destroy(&self, cx: &mut Cx, netns: NetnsId) {
        nfnl_acct_put(cx, netns, &self.name);
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Nfacct::NAME], ..Module::named("xt_nfacct") }];

/// Counts the packet; it does not match while the object is within its quota.
pub fn nfacct_mt(cx: &mut Cx, par: &mut Par, with: &Nfacct) -> bool {
    let len = cx.skbs[par.skb].len();
    nfnl_acct_update(cx, par.state.netns, &with.name, len).unwrap_or(true)
}
