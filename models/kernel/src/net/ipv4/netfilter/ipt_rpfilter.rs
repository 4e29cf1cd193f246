//! `-m rpfilter`.
//!
//! Kernel: net/ipv4/netfilter/ipt_rpfilter.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::{is_local_multicast, is_zeronet};

use crate::Cx;
use crate::extension::{Limits, Par, Place, Refused, XtMatch};
use crate::ids::DevId;
use crate::module::Module;
use crate::net::ipv4::fib_rules::fib_rules_lookup;
use crate::tables::fib::Searched;
use crate::tables::fib_trie::Flow;
use crate::tables::netfilter::Hook;
use crate::tables::route_types::RouteType;
use crate::tables::xt::{Rule, TableName, Variant};

/// `rpfilter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpfilter {
    /// `--loose`.
    pub loose: bool,
    /// `--validmark`.
    pub validmark: bool,
    /// `--accept-local`.
    pub accept_local: bool,
    /// `--invert`.
    pub invert: bool,
}

impl XtMatch for Rpfilter {
    const NAME: &'static str = "rpfilter";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        rpfilter_mt(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::hooks(Hook::PreRouting.bit())
    }

    fn check(&self, place: Place, _: &Rule) -> Result<(), Refused> {
        if matches!(place.table, TableName::Raw | TableName::Mangle) {
            return Ok(());
        }
        let table = place.table.name();
        Err(Refused::einval(format!("ipt_rpfilter: only valid in 'raw' or 'mangle' table, not '{table}'")))
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Rpfilter::NAME], ..Module::named("ipt_rpfilter") }];

/// The reverse route leaves by the input device.
pub fn rpfilter_mt(cx: &mut Cx, par: &mut Par, with: &Rpfilter) -> bool {
    answers(cx, par, with) != with.invert
}

fn answers(cx: &mut Cx, par: &Par, with: &Rpfilter) -> bool {
    let Some(dev) = par.state.input else { return true };
    let netns = par.state.netns;
    if dev == cx.k.netns[netns].loopback {
        return true;
    }
    let (saddr, daddr) = (par.iph.saddr.get(), par.iph.daddr.get());
    if daddr.is_multicast() && is_zeronet(saddr) {
        return is_local_multicast(daddr);
    }
    let is_host = !daddr.is_multicast() && !daddr.is_broadcast() && !is_zeronet(daddr);
    let flow = Flow {
        dst: saddr,
        src: if is_host { daddr } else { Ipv4Addr::UNSPECIFIED },
        iif: Some(cx.k.netns[netns].loopback),
        l3mdev_table: cx.k.devs.l3mdev_fib_table(dev),
        mark: if with.validmark { cx.skbs[par.skb].mark } else { 0 },
        tos: par.iph.tos,
        ignore_linkstate: true,
        ..Flow::default()
    };
    let mut searched = Searched::default();
    let Ok(found) = fib_rules_lookup(cx.k, netns, &flow, &mut searched) else { return false };
    let good = match found.kind {
        RouteType::Unicast => true,
        RouteType::Local => with.accept_local,
        _ => false,
    };
    let infos = &cx.k.netns[netns].ipv4.fib.infos;
    let uses =
        |nh: Option<DevId>| nh == Some(dev) || nh.is_some_and(|nh| cx.k.devs.l3mdev_master(nh) == Some(dev));
    good && (with.loose || infos.get(found.info).nexthops.iter().any(|nh| uses(nh.dev)))
}
