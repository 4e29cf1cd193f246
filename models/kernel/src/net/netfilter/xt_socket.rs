//! `-m socket`.
//!
//! Kernel: net/netfilter/xt_socket.c, net/ipv4/netfilter/nf_socket_ipv4.c

use glassnet_wire::tcp::TcpHdr;

use super::super::ipv4::{tcp_ipv4, udp};
use crate::Cx;
use crate::extension::{Limits, Par, XtMatch};
use crate::ids::SocketId;
use crate::module::Module;
use crate::tables::netfilter::Hook;
use crate::tables::xt::Variant;

/// `socket`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketMatch {
    /// `--transparent`.
    pub transparent: bool,
    /// `--nowildcard`.
    pub nowildcard: bool,
    /// `--restore-skmark`.
    pub restore_skmark: bool,
}

impl XtMatch for SocketMatch {
    const NAME: &'static str = "socket";

    fn matches(&mut self, cx: &mut Cx, par: &mut Par) -> bool {
        socket_mt4(cx, par, self)
    }

    fn limits(_: Variant) -> Limits {
        Limits::hooks(Hook::PreRouting.bit() | Hook::LocalIn.bit())
    }
}

/// The module.
pub static MODULES: &[Module] = &[Module { matches: &[SocketMatch::NAME], ..Module::named("xt_socket") }];

/// A socket matches the packet; wildcard sockets only with `--nowildcard`.
///
/// Not modelled: transparent sockets, so `--transparent` never matches; packets quoted by ICMP errors.
pub fn socket_mt4(cx: &mut Cx, par: &mut Par, with: &SocketMatch) -> bool {
    let Some(found) = lookup(cx, par) else { return false };
    let Some(socket) = cx.k.sockets.get(found) else { return false };
    let wildcard = socket.local.0.is_unspecified() && !with.nowildcard;
    if wildcard || with.transparent {
        return false;
    }
    let mark = socket.opts.mark;
    if with.restore_skmark {
        cx.skbs[par.skb].mark = mark;
    }
    true
}

fn lookup(cx: &mut Cx, par: &Par) -> Option<SocketId> {
    if par.fragoff != 0 {
        return None;
    }
    let (saddr, daddr) = (par.iph.saddr.get(), par.iph.daddr.get());
    match par.iph.protocol {
        6 => {
            let header = *cx.skbs.header::<TcpHdr>(par.skb, par.thoff)?;
            tcp_ipv4::inet_lookup(cx, par.skb, &header)
        }
        17 => {
            let [a, b, c, d] = *cx.skbs.header::<[u8; 4]>(par.skb, par.thoff)?;
            let (from, to) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            udp::udp_lookup(cx, par.skb, (saddr, from), (daddr, to))
        }
        _ => None,
    }
}
