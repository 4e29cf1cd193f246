//! `-j AUDIT`.
//!
//! Kernel: net/netfilter/xt_AUDIT.c

use std::net::Ipv4Addr;

use super::x_tables::{Par, TargetVerdict};
use crate::Cx;

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
