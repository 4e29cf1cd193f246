//! `-j AUDIT`.
//!
//! Kernel: net/netfilter/xt_AUDIT.c

use crate::Cx;
use crate::extension::{Par, TargetVerdict, XtTarget};
use crate::module::Module;
use crate::note::Note;

/// `AUDIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// `--type accept`.
    Accept,
    /// `--type drop`.
    Drop,
    /// `--type reject`.
    Reject,
}

impl XtTarget for Audit {
    const NAME: &'static str = "AUDIT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        audit_tg(cx, par)
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Audit::NAME], ..Module::named("xt_AUDIT") }];

/// A record for the audit log, which is discarded without `auditd`; the detail view shows it.
pub fn audit_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    let (iph, skb) = (par.iph, par.skb);
    cx.note(|cx| Note::Audit {
        mark: cx.skbs[skb].mark,
        saddr: iph.saddr.get(),
        daddr: iph.daddr.get(),
        proto: iph.protocol,
    });
    TargetVerdict::Continue
}
