//! Mode `l3s`: what comes in for a device passes the hooks of the namespace of the one below.
//!
//! Kernel: drivers/net/ipvlan/ipvlan_l3s.c

use super::ipvlan_core::{addr_lookup, count_rx};
use super::ipvlan_main::ipvlan_port;
use crate::Cx;
use crate::door::Func;
use crate::hook::{HookOps, Verdict};
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::L3mdevOps;
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::route::ip_route_input_noref;
use crate::tables::ipvlan::IpvlanMode;
use crate::tables::netfilter::{Hook, HookState, PRI_LAST, Pf};

/// In each namespace with a device below in this mode.
static NF_OPS: HookOps = HookOps {
    name: "ipvlan_nf_input",
    pf: Pf::Ipv4,
    hook: Hook::LocalIn,
    priority: PRI_LAST,
    function: ipvlan_nf_input,
    private: 0,
    depends_on_flow_only: false,
};

/// A device below in this mode.
static L3MDEV_OPS: L3mdevOps = L3mdevOps { l3_rcv: ipvlan_l3_rcv, l3_out: None };

/// The device over this one that a packet is for (`ipvlan_skb_to_addr`).
fn skb_to_addr(cx: &mut Cx, lower: DevId, skb: SkbId) -> Option<DevId> {
    let is_l3s = ipvlan_port(cx.k, lower).is_some_and(|port| port.mode == IpvlanMode::L3s);
    if is_l3s { addr_lookup(cx, lower, skb, true) } else { None }
}

/// Routes a packet that was received by the device below as one of the device that it is for (`ipvlan_l3_rcv`).
fn ipvlan_l3_rcv(cx: &mut Cx, lower: DevId, skb: SkbId) -> bool {
    cx.within(Func::IpvlanL3Rcv, skb, |cx| {
        let Some(dev) = skb_to_addr(cx, lower, skb) else { return };
        let Some(iph) = ip_hdr(cx, skb) else { return };
        let (daddr, saddr, tos) = (iph.daddr.get(), iph.saddr.get(), iph.tos);
        // Without a route it gets that of the device below.
        let _routed = ip_route_input_noref(cx, skb, daddr, saddr, tos, dev);
    });
    true
}

/// After all other hooks: from here on the packet is in the namespace of the device that it is for.
fn ipvlan_nf_input(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::IpvlanNfInput, skb, |cx| {
        let Some(lower) = state.input else { return };
        let Some(dev) = skb_to_addr(cx, lower, skb) else { return };
        let ifindex = cx.k.devs[dev].ifindex;
        let pkt = &mut cx.skbs[skb];
        (pkt.dev, pkt.skb_iif, pkt.ip.indev) = (dev, ifindex, Some(lower));
        count_rx(cx, dev, cx.skbs[skb].len(), true, false);
    });
    Verdict::Accept
}

/// The device below has this mode from now on.
pub(super) fn ipvlan_l3s_register(cx: &mut Cx, lower: DevId) {
    cx.k.devs[lower].l3mdev_ops = Some(&L3MDEV_OPS);
    follow(cx, cx.k.devs[lower].netns);
}

/// And no longer.
pub(super) fn ipvlan_l3s_unregister(cx: &mut Cx, lower: DevId) {
    cx.k.devs[lower].l3mdev_ops = None;
    follow(cx, cx.k.devs[lower].netns);
}

/// A device below went to another namespace.
pub(super) fn ipvlan_migrate_l3s_hook(cx: &mut Cx, old: NetnsId, new: NetnsId) {
    if old != new {
        follow(cx, old);
        follow(cx, new);
    }
}

/// The hook is there as long as a device of the namespace has this mode (`ipvlan_register_nf_hook`, `ipvlan_unregister_nf_hook`).
fn follow(cx: &mut Cx, netns: NetnsId) {
    let is_l3s = |dev: &DevId| ipvlan_port(cx.k, *dev).is_some_and(|port| port.mode == IpvlanMode::L3s);
    let wanted = cx.k.netns[netns].devs.values().any(is_l3s);
    let hooks = &mut cx.k.netns[netns].hooks;
    let there = hooks.at(NF_OPS.pf, NF_OPS.hook).position(NF_OPS.name, NF_OPS.private).is_some();
    match (wanted, there) {
        (true, false) => hooks.register(&mut cx.k.nf_hooks_needed, NF_OPS),
        (false, true) => hooks.unregister(&NF_OPS),
        _ => {}
    }
}
