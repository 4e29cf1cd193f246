//! Target `TPROXY`.
//!
//! Kernel: net/netfilter/xt_TPROXY.c, net/ipv4/netfilter/nf_tproxy_ipv4.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};

use crate::Cx;
use crate::extension::{Limits, Par, Place, Refused, TargetVerdict, XtTarget};
use crate::hook::Verdict;
use crate::module::Module;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::Hook;
use crate::tables::xt::{Rule, TableName, Variant};

/// `TPROXY` (`struct xt_tproxy_target_info_v1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tproxy {
    /// `--on-port`; 0: that of the packet.
    pub port: u16,
    /// `--on-ip`; unspecified: the address of the input device.
    pub address: Ipv4Addr,
    /// `--tproxy-mark`: value and mask.
    pub mark: (u32, u32),
}

impl XtTarget for Tproxy {
    const NAME: &'static str = "TPROXY";

    fn target(&mut self, _: &mut Cx, _: &mut Par) -> TargetVerdict {
        tproxy_tg4()
    }

    fn limits(_: Variant) -> Limits {
        Limits { table: Some(TableName::Mangle), ..Limits::hooks(Hook::PreRouting.bit()) }
    }

    fn check(&self, _: Place, rule: &Rule) -> Result<(), Refused> {
        match rule.ip.proto {
            (IPPROTO_TCP | IPPROTO_UDP, false) => Ok(()),
            _ => Err(Refused::einval("xt_TPROXY: Can be used only with -p tcp or -p udp")),
        }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[Tproxy::NAME], ..Module::named("xt_TPROXY") }];

/// A packet for which no transparent socket is found is dropped, and no program of the model has one (`IP_TRANSPARENT`).
fn tproxy_tg4() -> TargetVerdict {
    TargetVerdict::Verdict(Verdict::Drop(DropReason::NetfilterDrop))
}
