//! `-m helper`.
//!
//! Kernel: net/netfilter/xt_helper.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;

/// `helper` (`struct xt_helper_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Helper {
    /// `!`.
    pub invert: bool,
    /// `--helper`; empty: any.
    pub name: String,
}

impl XtMatch for Helper {
    const NAME: &'static str = "helper";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        helper_mt(cx, par, self)
    }

    fn needs_conntrack(&self) -> bool {
        true
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Helper::NAME], ..Module::named("xt_helper") }];

/// The helper of another connection expected the packet's connection. The name may go on behind that of the helper.
pub fn helper_mt(cx: &mut Cx, par: &mut Par, with: &Helper) -> bool {
    let conn = |id| cx.k.conntrack.get(id);
    let master = cx.nf_ct_get(par.skb).and_then(|(id, _)| conn(id)?.master()).and_then(conn);
    let expected = master
        .and_then(|master| master.help())
        .is_some_and(|help| with.name.is_empty() || with.name.starts_with(help.helper.name));
    expected != with.invert
}
