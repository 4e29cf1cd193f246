//! `-m comment`.
//!
//! Kernel: net/netfilter/xt_comment.c

use crate::Cx;
use crate::extension::{Par, XtMatch};
use crate::module::Module;
use crate::tables::xt::Ports;

/// `comment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(
    /// The text, at most 255 bytes.
    pub String,
);

impl XtMatch for Comment {
    const NAME: &'static str = "comment";

    fn matches(&mut self, _: &mut Cx, _: &mut Par) -> bool {
        true
    }

    fn depends_on_flow_only(&self) -> bool {
        true
    }

    fn ports(&self) -> Option<[Ports; 2]> {
        Some([Ports::default(), Ports::default()])
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Comment::NAME], ..Module::named("xt_comment") }];
