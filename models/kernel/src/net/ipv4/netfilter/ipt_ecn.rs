//! Target `ECN`.
//!
//! Kernel: net/ipv4/netfilter/ipt_ECN.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::{TCP_CWR, TCP_ECE, TcpHdr};
use zerocopy::big_endian::U16;

use crate::Cx;
use crate::extension::{Limits, Par, Place, Refused, TargetVerdict, XtTarget};
use crate::hook::Verdict;
use crate::module::Module;
use crate::net::netfilter::xt_dscp::ipv4_change_dsfield;
use crate::tables::drop_reason::DropReason;
use crate::tables::xt::{Rule, TableName, Variant};

/// `ECN` (`struct ipt_ECN_info`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EcnTg {
    /// `--ecn-tcp-ece`, or 0 with `--ecn-tcp-remove`.
    pub ece: Option<bool>,
    /// `--ecn-tcp-cwr`, or 0 with `--ecn-tcp-remove`.
    pub cwr: Option<bool>,
    /// `--ecn-ip-ect`.
    pub ect: Option<u8>,
}

impl XtTarget for EcnTg {
    const NAME: &'static str = "ECN";

    fn target(&mut self, cx: &mut Cx, par: &mut Par) -> TargetVerdict {
        ecn_tg(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::table(TableName::Mangle)
    }

    fn check(&self, _: Place, rule: &Rule) -> Result<(), Refused> {
        if (self.ece.is_some() || self.cwr.is_some()) && rule.ip.proto != (IPPROTO_TCP, false) {
            return Err(Refused::einval("ipt_ECN: cannot use operation on non-tcp rule"));
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { targets: &[EcnTg::NAME], ..Module::named("ipt_ECN") }];

/// Sets the field of the IPv4 header and TCP's flags; a truncated TCP header is dropped.
pub fn ecn_tg(cx: &mut Cx, par: &mut Par, target: &EcnTg) -> TargetVerdict {
    if let Some(ect) = target.ect {
        ipv4_change_dsfield(cx, par, par.iph.tos & !3 | ect);
    }
    if (target.ece.is_some() || target.cwr.is_some()) && par.iph.protocol == IPPROTO_TCP {
        let Some(tcp) = cx.skbs.header_mut::<TcpHdr>(par.skb, par.thoff) else {
            return TargetVerdict::Verdict(Verdict::Drop(DropReason::NetfilterDrop));
        };
        let mut flags = tcp.flags;
        for (value, flag) in [(target.ece, TCP_ECE), (target.cwr, TCP_CWR)] {
            match value {
                Some(true) => flags |= flag,
                Some(false) => flags &= !flag,
                None => {}
            }
        }
        if flags != tcp.flags {
            let word = |flags: u8| u16::from_be_bytes([tcp.doff_res, flags]);
            tcp.check = U16::new(checksum::replace(tcp.check.get(), word(tcp.flags), word(flags)));
            tcp.flags = flags;
        }
    }
    TargetVerdict::Continue
}
