//! `-j AUDIT`.
//!
//! Kernel: net/netfilter/xt_AUDIT.c

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;
use crate::note::Note;

/// A record for the audit log, which nobody reads where no `auditd` runs; the detail view shows it.
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
