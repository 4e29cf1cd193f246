//! `-m rpfilter`.
//!
//! Kernel: net/ipv4/netfilter/ipt_rpfilter.c

use crate::Cx;
use crate::net::netfilter::x_tables::Par;
use crate::tables::fib_trie::Flow;
use crate::tables::route_types::RouteType;
use crate::tables::xt::matches::Rpfilter;

/// An answer to the packet would leave by the device that it came in by.
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
    let is_multicast = |addr: u32| addr >> 28 == 0xe;
    if is_multicast(daddr) && saddr >> 24 == 0 {
        // 224.0.0.0/24.
        return daddr & 0xffff_ff00 == 0xe000_0000;
    }
    let is_host = !is_multicast(daddr) && daddr != u32::MAX && daddr >> 24 != 0;
    let flow = Flow {
        dst: saddr,
        src: if is_host { daddr } else { 0 },
        iif: Some(cx.k.netns[netns].loopback),
        mark: if with.validmark { cx.skbs[par.skb].mark } else { 0 },
        tos: par.iph.tos,
        ignore_linkstate: true,
        ..Flow::default()
    };
    let mut searched = 0;
    let fib = &cx.k.netns[netns].ipv4.fib;
    let Ok(found) = fib.lookup(&flow, &mut searched) else { return false };
    let good = match found.kind {
        RouteType::Unicast => true,
        RouteType::Local => with.accept_local,
        _ => false,
    };
    good && (with.loose || fib.infos.get(found.info).nexthops.iter().any(|nh| nh.dev == Some(dev)))
}
