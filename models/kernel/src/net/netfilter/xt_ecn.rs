//! `-m ecn`.
//!
//! Kernel: net/netfilter/xt_ecn.c

use glassnet_wire::ipv4::IPPROTO_TCP;
use glassnet_wire::tcp::{TCP_CWR, TCP_ECE, TcpHdr};

use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::module::Module;
use crate::tables::xt::Rule;

/// `ecn` (`struct xt_ecn_info`); each condition with `!`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ecn {
    /// `--ecn-tcp-ece`.
    pub ece: Option<bool>,
    /// `--ecn-tcp-cwr`.
    pub cwr: Option<bool>,
    /// `--ecn-ip-ect`: the field of the IPv4 header.
    pub ect: Option<(bool, u8)>,
}

impl XtMatch for Ecn {
    const NAME: &'static str = "ecn";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        ecn_mt4(cx, par, self)
    }

    fn check(&self, _: Place, rule: &Rule) -> Result<(), Refused> {
        if (self.ece.is_some() || self.cwr.is_some()) && rule.ip.proto != (IPPROTO_TCP, false) {
            return Err(Refused::einval("xt_ecn: cannot match TCP bits for non-tcp packets"));
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Ecn::NAME], ..Module::named("xt_ecn") }];

/// The field of the IPv4 header and TCP's flags are as wanted.
pub fn ecn_mt4(cx: &mut Cx, par: &mut Par, with: &Ecn) -> bool {
    if with.ect.is_some_and(|(invert, ect)| (par.iph.tos & 3 == ect) == invert) {
        return false;
    }
    if with.ece.is_none() && with.cwr.is_none() {
        return true;
    }
    let Some(tcp) = cx.skbs.header::<TcpHdr>(par.skb, par.thoff) else { return false };
    let fits = |wanted: Option<bool>, flag: u8| wanted.is_none_or(|invert| (tcp.flags & flag != 0) != invert);
    fits(with.ece, TCP_ECE) && fits(with.cwr, TCP_CWR)
}
