//! `-m addrtype`.
//!
//! Kernel: net/netfilter/xt_addrtype.c

use std::net::Ipv4Addr;

use super::super::ipv4::fib_frontend::{inet_addr_type, inet_dev_addr_type};
use crate::Cx;
use crate::extension::{Par, Place, Refused, XtMatch};
use crate::ids::DevId;
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::Rule;

/// `addrtype` (`struct xt_addrtype_info_v1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addrtype {
    /// `--src-type`: inverted, a bit for each type (`XT_ADDRTYPE_*`: UNSPEC 0, UNICAST 1, LOCAL 2, BROADCAST 3, ANYCAST 4,
    /// MULTICAST 5, BLACKHOLE 6, UNREACHABLE 7, PROHIBIT 8, THROW 9, NAT 10, XRESOLVE 11).
    pub source: Option<(bool, u16)>,
    /// `--dst-type`.
    pub dest: Option<(bool, u16)>,
    /// `--limit-iface-in`.
    pub limit_in: bool,
    /// `--limit-iface-out`.
    pub limit_out: bool,
}

impl XtMatch for Addrtype {
    const NAME: &'static str = "addrtype";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        addrtype_mt(cx, par, self)
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        let used = place.option_hooks();
        let refuse = |log: &str| Err(Refused::einval(log));
        if self.limit_in && self.limit_out {
            return refuse("xt_addrtype: both incoming and outgoing interface limitation cannot be selected");
        }
        if self.limit_out && used & (Hook::PreRouting.bit() | Hook::LocalIn.bit()) != 0 {
            return refuse("xt_addrtype: output interface limitation not valid in PREROUTING and INPUT");
        }
        if self.limit_in && used & (Hook::PostRouting.bit() | Hook::LocalOut.bit()) != 0 {
            return refuse("xt_addrtype: input interface limitation not valid in POSTROUTING and OUTPUT");
        }
        Ok(())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Addrtype::NAME], ..Module::named("xt_addrtype") }];

/// The addresses have the types.
pub fn addrtype_mt(cx: &mut Cx, par: &mut Par, with: &Addrtype) -> bool {
    let dev = match (with.limit_in, with.limit_out) {
        (true, _) => par.state.input,
        (_, true) => par.state.output,
        _ => None,
    };
    let fits = |rule: Option<(bool, u16)>, addr: Ipv4Addr| {
        rule.is_none_or(|(invert, kinds)| is_of_kind(cx, par, dev, addr, kinds) != invert)
    };
    fits(with.source, par.iph.saddr.get()) && fits(with.dest, par.iph.daddr.get())
}

fn is_of_kind(cx: &Cx, par: &Par, dev: Option<DevId>, addr: Ipv4Addr, kinds: u16) -> bool {
    let kind = match dev {
        Some(dev) => inet_dev_addr_type(cx.k, dev, addr),
        None => inet_addr_type(&cx.k.netns[par.state.netns].ipv4.fib, addr).0,
    };
    kinds & (1 << kind as u16) != 0
}
