//! `-m addrtype`.
//!
//! Kernel: net/netfilter/xt_addrtype.c

use super::super::ipv4::fib_frontend::inet_addr_type_dev_table;
use super::x_tables::Par;
use crate::Cx;
use crate::ids::DevId;
use crate::tables::xt::matches::Addrtype;

/// The packet's addresses are of these kinds to this host.
pub fn addrtype_mt(cx: &mut Cx, par: &mut Par, with: &Addrtype) -> bool {
    let dev = match (with.limit_in, with.limit_out) {
        (true, _) => par.state.input,
        (_, true) => par.state.output,
        _ => None,
    };
    let fits = |rule: Option<(bool, u16)>, addr: u32| {
        rule.is_none_or(|(invert, kinds)| is_of_kind(cx, par, dev, addr, kinds) != invert)
    };
    fits(with.source, par.iph.saddr.get()) && fits(with.dest, par.iph.daddr.get())
}

fn is_of_kind(cx: &Cx, par: &Par, dev: Option<DevId>, addr: u32, kinds: u16) -> bool {
    let fib = &cx.k.netns[par.state.netns].ipv4.fib;
    let (kind, _) = inet_addr_type_dev_table(fib, dev, addr);
    kinds & (1 << kind as u16) != 0
}
