//! `-m ipvs`.
//!
//! Kernel: net/netfilter/xt_ipvs.c

use std::net::Ipv4Addr;

use super::ipvs::ip_vs_core::ip_vs_conn_of_sent;
use crate::Cx;
use crate::extension::{Par, Refused, XtMatch};
use crate::ids::NetnsId;
use crate::module::Module;
use crate::netlink::Errno;
use crate::tables::conntrack::Dir;

/// `ipvs`: what a packet is to IPVS. Each may be inverted (`true` first).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ipvs {
    /// `--ipvs`: IPVS has handled it; meant only alone.
    pub property: Option<bool>,
    /// `--vproto`.
    pub proto: Option<(bool, u8)>,
    /// `--vaddr`, and the length of the prefix in bits.
    pub vaddr: Option<(bool, Ipv4Addr, u8)>,
    /// `--vport`.
    pub vport: Option<(bool, u16)>,
    /// `--vdir`: the direction of the packet in its connection of connection tracking.
    pub reply: Option<bool>,
    /// `--vmethod`: how packets get to the destination, `IP_VS_CONN_F_FWD_MASK`.
    pub method: Option<(bool, u32)>,
    /// `--vportctl`: the service's port of the connection that controls this one.
    pub vportctl: Option<(bool, u16)>,
}

impl Ipvs {
    /// Nothing but `--ipvs` is asked.
    pub fn is_property_only(&self) -> bool {
        self.property.is_some() && Ipvs { property: None, ..*self } == Ipvs::default()
    }
}

impl XtMatch for Ipvs {
    const NAME: &'static str = "ipvs";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        ipvs_mt(cx, par, self).unwrap_or(false)
    }

    fn check_named(&self, cx: &Cx, _: NetnsId) -> Result<(), Refused> {
        // `xt_request_find_match`
        if cx.k.config.xt_ipvs { Ok(()) } else { Err(Refused { errno: Errno::ENOENT, log: None }) }
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[Ipvs::NAME], ..Module::named("xt_ipvs") }];

/// Anything but `--ipvs` is asked of the connection whose destination the packet is on its way to; `None`: there is none.
fn ipvs_mt(cx: &mut Cx, par: &Par, with: &Ipvs) -> Option<bool> {
    let is_done = cx.skbs[par.skb].ipvs_property;
    if with.is_property_only() {
        return Some(is_done != (with.property == Some(true)));
    }
    if !is_done {
        return None;
    }
    let id = ip_vs_conn_of_sent(cx, par.state.netns, par.skb)?;
    let conn = cx.k.ip_vs.conns.get(id)?;
    let control = conn.control.and_then(|id| cx.k.ip_vs.conns.get(id)).map(|control| control.param.vport);
    let mask = |bits: u8| u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    let is_in = |addr: Ipv4Addr, bits| (conn.param.vaddr.to_bits() ^ addr.to_bits()) & mask(bits) == 0;
    let dir = cx.nf_ct_get(par.skb).map(|(_, info)| info.dir() == Dir::Reply);
    Some(
        with.proto.is_none_or(|(not, proto)| (conn.param.protocol == proto) != not)
            && with.vport.is_none_or(|(not, port)| (conn.param.vport == port) != not)
            && with.vportctl.is_none_or(|(not, port)| (control == Some(port)) != not)
            && with.reply.is_none_or(|reply| dir == Some(reply))
            && with.method.is_none_or(|(not, method)| (conn.fwd() == method) != not)
            && with.vaddr.is_none_or(|(not, addr, bits)| is_in(addr, bits) != not),
    )
}
