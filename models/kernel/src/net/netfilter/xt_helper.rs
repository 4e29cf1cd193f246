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

    /// The packet's connection was expected by a helper of another one. Not modelled: helpers, which only `CT --helper` gives to
    /// a connection since Linux 6.0, so that none expects another.
    fn matches(&mut self, _: &mut Cx, _: &mut Par) -> bool {
        self.invert
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
