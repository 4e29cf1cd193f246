//! `-j AUDIT`.
//!
//! Kernel: net/netfilter/xt_AUDIT.c

use std::net::Ipv4Addr;

use crate::Cx;
use crate::extension::{Par, TargetVerdict, XtTarget};
use crate::module::Module;

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

/// A record for the audit log, which nobody reads where no `auditd` runs; the detail view shows it.
pub fn audit_tg(cx: &mut Cx, par: &mut Par) -> TargetVerdict {
    let (iph, skb) = (par.iph, par.skb);
    cx.note("audit", |cx| {
        let mark = match cx.skbs[skb].mark {
            0 => u32::MAX,
            mark => mark,
        };
        let (saddr, daddr) = (Ipv4Addr::from_bits(iph.saddr.get()), Ipv4Addr::from_bits(iph.daddr.get()));
        format!("NETFILTER_PKT mark={mark:#x} saddr={saddr} daddr={daddr} proto={}", iph.protocol)
    });
    TargetVerdict::Continue
}
