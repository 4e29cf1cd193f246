//! `-j REJECT`.
//!
//! Kernel: net/ipv4/netfilter/ipt_REJECT.c

use glassnet_wire::ipv4::IPPROTO_TCP;

use super::nf_reject_ipv4::{nf_send_reset, nf_send_unreach};
use crate::Cx;
use crate::door::Door;
use crate::extension::{Limits, Par, Place, Refused, TargetVerdict, XtTarget};
use crate::hook::Verdict;
use crate::module::Module;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Hook;
use crate::tables::xt::{Rule, TableName, Variant};

/// Reply of `REJECT` (`--reject-with`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// ICMP destination unreachable with this code (`ICMP_NET_UNREACH` 0, `HOST` 1, `PROT` 2, `PORT` 3, `NET_ANO` 9, `HOST_ANO` 10,
    /// `PKT_FILTERED` 13).
    Icmp(u8),
    /// `tcp-reset`.
    TcpReset,
}

impl XtTarget for Reject {
    const NAME: &'static str = "REJECT";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        reject_tg(cx, par, *self)
    }

    fn limits(_: Variant) -> Limits {
        Limits {
            hooks: Some(Hook::LocalIn.bit() | Hook::Forward.bit() | Hook::LocalOut.bit()),
            ..Limits::table(TableName::Filter)
        }
    }

    fn check(&self, _: Place, rule: &Rule) -> Result<(), Refused> {
        if *self == Reject::TcpReset && rule.ip.proto != (IPPROTO_TCP, false) {
            return Err(Refused::einval("ipt_REJECT: TCP_RESET invalid for non-tcp"));
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Reject::NAME], ..Module::named("ipt_REJECT") }];

/// `REJECT`: sends the reply and drops the packet (`reject_tg`).
pub fn reject_tg(cx: &mut Cx, par: &Par, reject: Reject) -> TargetVerdict {
    let answer = match reject {
        Reject::Icmp(code) => nf_send_unreach(cx, par.skb, code),
        Reject::TcpReset => nf_send_reset(cx, par.skb),
    };
    TargetVerdict::Verdict(match answer {
        Some(door) => {
            if par.state.hook == Hook::LocalOut {
                cx.afterwards(Door::Refused { skb: par.skb });
                return TargetVerdict::Verdict(Verdict::Stolen(door));
            }
            cx.afterwards(Door::KfreeSkb { skb: par.skb, reason: DropReason::NetfilterDrop });
            Verdict::Stolen(door)
        }
        None => Verdict::Drop(DropReason::NetfilterDrop),
    })
}
