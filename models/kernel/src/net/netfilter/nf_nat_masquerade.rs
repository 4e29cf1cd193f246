//! Masquerading: source NAT to the address of the output device.
//!
//! Kernel: net/netfilter/nf_nat_masquerade.c

use std::net::Ipv4Addr;

use super::nf_conntrack_core::nf_ct_iterate_cleanup;
use super::nf_nat_core::{Manip, NatRange, nf_nat_setup_info};
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::{DevId, SkbId};
use crate::module::{InetaddrEvent, Module, NetdevEvent};
use crate::net::ipv4::fib_semantics::inet_select_addr;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::note::Note;
use crate::tables::conntrack::{Conn, Dir};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::HookState;
use crate::tables::route_types::Scope;

/// The module.
pub static MODULE: Module = Module {
    netdevice_event: Some(masq_device_event),
    inetaddr_event: Some(masq_inet_event),
    ..Module::named("nf_nat")
};

/// Chooses the output device's address towards the next hop (`nf_nat_masquerade_ipv4`). Without an address the packet
/// is dropped.
pub fn nf_nat_masquerade_ipv4(cx: &mut Cx, skb: SkbId, state: HookState, range: &NatRange) -> Verdict {
    cx.within(Func::NfNatMasqueradeIpv4, skb, |cx| {
        let drop = Verdict::Drop(DropReason::NetfilterDrop);
        let (Some((id, _)), Some(out)) = (cx.nf_ct_get(skb), state.output) else { return drop };
        let source =
            cx.k.conntrack.get(id).map_or(Ipv4Addr::UNSPECIFIED, |conn| conn.tuple(Dir::Original).src);
        if source.is_unspecified() {
            // A local packet without a source address: DHCP.
            return Verdict::Accept;
        }
        let gateway = cx.skbs[skb].dst.map(|route| route.gateway).filter(|gateway| !gateway.is_unspecified());
        let daddr = ip_hdr(cx, skb).map(|iph| iph.daddr.get());
        let next_hop = gateway.or(daddr).unwrap_or(Ipv4Addr::UNSPECIFIED);
        let address = inet_select_addr(cx.k, out, next_hop, Scope::UNIVERSE);
        if address.is_unspecified() {
            cx.note(|cx| Note::NoAddress { dev: cx.k.devs[out].name.clone() });
            return drop;
        }
        let ifindex = cx.k.devs[out].ifindex;
        if let Some(conn) = cx.k.conntrack.get_mut(id) {
            conn.masq_index = ifindex;
        }
        nf_nat_setup_info(cx, id, skb, &NatRange { addrs: Some((address, address)), ..*range }, Manip::Src)
    })
}

/// A device went down.
fn masq_device_event(cx: &mut Cx, dev: DevId, event: NetdevEvent) {
    if event == NetdevEvent::Down {
        forget(cx, dev, None);
    }
}

/// A device lost an address.
fn masq_inet_event(cx: &mut Cx, dev: DevId, event: InetaddrEvent) {
    if let InetaddrEvent::Down(address) = event {
        forget(cx, dev, Some(address));
    }
}

/// Connections that were masqueraded with a device's address are forgotten, for it may come back with another.
fn forget(cx: &mut Cx, dev: DevId, address: Option<Ipv4Addr>) {
    let (netns, ifindex) = (cx.k.devs[dev].netns, cx.k.devs[dev].ifindex);
    let last = |conn: &Conn| address.is_none_or(|address| conn.tuple(Dir::Reply).dst == address);
    let gone = |conn: &Conn| conn.masq_index == ifindex && conn.netns == netns && last(conn);
    nf_ct_iterate_cleanup(cx, gone);
}
