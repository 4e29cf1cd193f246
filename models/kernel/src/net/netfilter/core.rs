//! The hooks: who looks at a packet before it goes on.
//!
//! Kernel: net/netfilter/core.c, include/linux/netfilter.h

use super::super::bridge::br_netfilter_hooks as br_nf;
use super::nf_conntrack_proto as ct;
use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::net::ipv4::ip_input::snmp;
use crate::net::ipv4::ip_output::IPSKB_SENT;
use crate::net::ipv4::netfilter::ip_tables::pass_empty_chain;
use crate::net::ipv4::netfilter::nf_defrag_ipv4::ipv4_conntrack_defrag;
use crate::netlink::Errno;
use crate::note::{HookNote, Note};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{HookFn, HookState, Pf, Site};

/// What a hook function says of a packet.
#[derive(Clone, Copy, Debug)]
pub enum Verdict {
    /// The next function may look (`NF_ACCEPT`).
    Accept,
    /// It is dropped (`NF_DROP`).
    Drop(DropReason),
    /// The function took it and goes on with this door (`NF_STOLEN`); an answer that is to be sent before the packet is
    /// dropped goes here, with the drop put off by [`crate::Cx::afterwards`].
    Stolen(Door),
}

/// Offers a packet to the functions of a hook, and goes on with it once all accepted it (`NF_HOOK`).
#[inline(always)]
pub fn nf_hook(cx: &mut Cx, site: Site, skb: SkbId) -> Door {
    let (pf, hook) = site.point();
    if !cx.k.nf_hooks_needed.at(pf, hook) {
        return cx.pass(okfn(cx, site, skb));
    }
    nf_hook_here(cx, site, skb)
}

/// Some namespace of the machine has functions there.
#[inline(never)]
fn nf_hook_here(cx: &mut Cx, site: Site, skb: SkbId) -> Door {
    let (pf, hook) = site.point();
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    if cx.k.netns[netns].hooks.list(pf, hook).is_empty() {
        return cx.pass(okfn(cx, site, skb));
    }
    if site == Site::BrHandleFrame {
        return nf_hook_bridge_pre(cx, skb);
    }
    cx.pass(Door::NfHookSlow { skb, site, from: 0 })
}

/// `br_handle_frame` asks the functions of its hook itself, and gives no reason for a drop (`nf_hook_bridge_pre`,
/// net/bridge/br_input.c).
fn nf_hook_bridge_pre(cx: &mut Cx, skb: SkbId) -> Door {
    match ask(cx, skb, Site::BrHandleFrame, 0) {
        Verdict::Accept => okfn(cx, Site::BrHandleFrame, skb),
        Verdict::Drop(_) => cx.kfree_skb(skb, DropReason::NotSpecified),
        Verdict::Stolen(door) => door,
    }
}

/// Asks the functions of a hook one after the other, from position `from` on, until one does not accept.
#[inline(always)]
fn ask(cx: &mut Cx, skb: SkbId, site: Site, from: u8) -> Verdict {
    let (pf, hook) = site.point();
    let state = hook_state(cx, site, skb);
    cx.note(|cx| Note::Hook(hook_note(cx, skb, &state)));
    let list = *cx.k.netns[state.netns].hooks.list(pf, hook);
    for function in (from..).map_while(|at| list.get(at)) {
        if let HookFn::Rules(variant, table) = function
            && !cx.observed
            && pass_empty_chain(cx, skb, &state, variant, table)
        {
            continue;
        }
        match call(cx, skb, state, function) {
            Verdict::Accept => {}
            other => return other,
        }
    }
    Verdict::Accept
}

/// The function that goes on with a packet that was accepted.
#[inline(always)]
fn okfn(cx: &Cx, site: Site, skb: SkbId) -> Door {
    match site {
        Site::IpRcv => Door::IpRcvFinish { skb },
        Site::IpLocalDeliver => Door::IpLocalDeliverFinish { skb },
        Site::IpForward => Door::IpForwardFinish { skb },
        Site::IpLocalOut => match &cx.skbs[skb].dst {
            Some(route) if route.mc_output => Door::IpMcOutput { skb },
            Some(_) => Door::IpOutput { skb },
            None => Door::KfreeSkb { skb, reason: DropReason::IpOutnoroutes },
        },
        Site::IpOutput => Door::IpFinishOutput { skb },
        Site::IpMcLoop => Door::DevLoopbackXmit { skb },
        Site::BrHandleFrame => Door::BrHandleFrameFinish { skb },
        Site::BrPassFrameUp => Door::NetifReceiveSkb { skb },
        Site::BrForward | Site::BrLocalOut => Door::BrForwardFinish { skb },
        Site::BrForwardFinish => Door::BrDevQueuePushXmit { skb },
        Site::BrNfPreRouting => Door::BrNfPreRoutingFinish { skb },
        Site::BrNfForward => Door::BrNfForwardFinish { skb },
        Site::BrNfPostRouting => Door::BrNfDevQueueXmit { skb },
        Site::BrNfBridgedDnat => Door::BrNfPreRoutingFinishBridge { skb },
    }
}

/// Asks the functions of a hook one after the other, from position `from` on.
///
/// Kernel: net/netfilter/core.c
/// Not modelled: NF_QUEUE, NF_REPEAT.
#[inline(never)]
pub fn nf_hook_slow(cx: &mut Cx, skb: SkbId, site: Site, from: u8) -> Door {
    match ask(cx, skb, site, from) {
        Verdict::Accept => okfn(cx, site, skb),
        Verdict::Drop(reason) => {
            if matches!(site, Site::IpLocalOut | Site::IpOutput) {
                discard(cx, skb);
            }
            cx.kfree_skb(skb, reason)
        }
        Verdict::Stolen(door) => door,
    }
}

/// A packet of this machine is dropped after its sender was told by a message: its call fails too.
pub fn refuse(cx: &mut Cx, skb: SkbId) -> Door {
    discard(cx, skb);
    cx.kfree_skb(skb, DropReason::NetfilterDrop)
}

/// A packet is dropped before it left. What `ip_send_skb` was given is counted (TCP's segments are not).
fn discard(cx: &mut Cx, skb: SkbId) {
    cx.k.refused = Some(skb);
    if cx.skbs[skb].ip.flags & IPSKB_SENT != 0 {
        snmp(cx, skb).ip.OutDiscards += 1;
    }
}

/// Sends a packet that a program gave (`ip_send_skb`).
///
/// # Errors
///
/// `EPERM` if netfilter dropped it before it left.
pub fn ip_send_skb(cx: &mut Cx, skb: SkbId, door: Door) -> Result<(), Errno> {
    cx.k.refused = None;
    cx.walk(door);
    if cx.k.refused.take() == Some(skb) { Err(Errno::EPERM) } else { Ok(()) }
}

/// The devices that a packet crosses where it is.
fn hook_state(cx: &Cx, site: Site, skb: SkbId) -> HookState {
    let pkt = &cx.skbs[skb];
    let (_, hook) = site.point();
    let here = Some(pkt.dev);
    let out = |cx: &Cx| cx.skbs[skb].dst.as_ref().map(|route| route.dev);
    let (input, output): (Option<DevId>, Option<DevId>) = match site {
        Site::IpRcv
        | Site::IpLocalDeliver
        | Site::BrHandleFrame
        | Site::BrPassFrameUp
        | Site::BrNfBridgedDnat => (here, None),
        Site::IpForward => (here, out(cx)),
        Site::IpLocalOut => (None, out(cx)),
        Site::IpOutput | Site::IpMcLoop => (pkt.ip.indev, out(cx)),
        Site::BrForward => (pkt.br.from, here),
        Site::BrLocalOut | Site::BrForwardFinish => (None, here),
        Site::BrNfPreRouting | Site::BrNfForward | Site::BrNfPostRouting => br_nf::devices(cx, site, skb),
    };
    HookState { site, hook, netns: cx.k.devs[pkt.dev].netns, input, output }
}

/// A hook for the detail view.
fn hook_note(cx: &Cx, skb: SkbId, state: &HookState) -> HookNote {
    let (pf, hook) = state.site.point();
    let name = |dev: DevId| cx.k.devs.get(dev).map_or(String::new(), |dev| dev.name.clone());
    let ports = cx.skbs[skb].nf_bridge.filter(|_| pf == Pf::Ipv4);
    HookNote {
        pf,
        hook,
        input: state.input.map_or(String::new(), name),
        output: state.output.map_or(String::new(), name),
        physin: ports.and_then(|nf| nf.physin).map(name),
        physout: ports.and_then(|nf| nf.physout).map(name),
    }
}

#[inline(always)]
fn call(cx: &mut Cx, skb: SkbId, state: HookState, function: HookFn) -> Verdict {
    match function {
        HookFn::IpSabotageIn => br_nf::ip_sabotage_in(cx, skb, state),
        HookFn::BrNfPreRouting => br_nf::br_nf_pre_routing(cx, skb, state),
        HookFn::BrNfLocalIn => br_nf::br_nf_local_in(cx, skb, state),
        HookFn::BrNfForwardIp => br_nf::br_nf_forward_ip(cx, skb, state),
        HookFn::BrNfForwardArp => br_nf::br_nf_forward_arp(cx, skb, state),
        HookFn::BrNfPostRouting => br_nf::br_nf_post_routing(cx, skb, state),

        HookFn::Rules(variant, table) => super::x_tables::rules(cx, skb, state, variant, table),

        HookFn::Ipv4ConntrackDefrag => ipv4_conntrack_defrag(cx, skb, state),
        HookFn::Ipv4ConntrackIn => ct::ipv4_conntrack_in(cx, skb, state),
        HookFn::Ipv4ConntrackLocal => ct::ipv4_conntrack_local(cx, skb, state),
        HookFn::NfConfirm => ct::ipv4_confirm(cx, skb, state),

        HookFn::NfNatIpv4PreRouting => super::nf_nat_proto::nf_nat_ipv4_pre_routing(cx, skb, state),
        HookFn::NfNatIpv4LocalIn => super::nf_nat_proto::nf_nat_ipv4_local_in(cx, skb, state),
        HookFn::NfNatIpv4LocalFn => super::nf_nat_proto::nf_nat_ipv4_local_fn(cx, skb, state),
        HookFn::NfNatIpv4Out => super::nf_nat_proto::nf_nat_ipv4_out(cx, skb, state),
    }
}

/// A packet that answers another belongs to the same connection: an ICMP error, a reset (`nf_ct_attach`).
pub fn nf_ct_attach(cx: &mut Cx, new: SkbId, skb: SkbId) {
    super::nf_conntrack_core::nf_conntrack_attach(cx, new, skb);
}
