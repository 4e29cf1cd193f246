//! Netfilter hooks.
//!
//! Kernel: net/netfilter/core.c, include/linux/netfilter.h

use crate::Cx;
use crate::door::{Door, Func};
use crate::hook::Verdict;
use crate::ids::{DevId, SkbId};
use crate::net::netfilter::nf_passages::{Found, is_remembered, look_up, watch_ends};
use crate::netlink::Errno;
use crate::note::{HookNote, Note};
use crate::tables::conntrack::{CtInfo, Dir, NfCt};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{HookState, Pf, Site};

/// Calls the functions of a hook, and `okfn` once all accepted the packet (`NF_HOOK`).
#[inline(always)]
pub fn nf_hook(cx: &mut Cx, site: Site, skb: SkbId) -> Door {
    let (pf, hook) = site.point();
    if !cx.k.nf_hooks_needed.at(pf, hook) {
        return cx.pass(okfn(cx, site, skb));
    }
    nf_hook_here(cx, site, skb)
}

/// Calls the functions of a hook on the way to somewhere else (`nf_hook` without an `okfn`). False: the packet is no longer there.
pub fn nf_hook_in_passing(cx: &mut Cx, site: Site, skb: SkbId) -> bool {
    let (pf, hook) = site.point();
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    if cx.k.netns[netns].hooks.at(pf, hook).is_empty() {
        return true;
    }
    cx.within(Func::NfHookSlow, skb, |cx| {
        let verdict = ask(cx, skb, site, 0);
        let accepted = matches!(verdict, Verdict::Accept);
        if !accepted {
            let door = not_accepted(cx, skb, verdict);
            cx.walk(door);
        }
        accepted
    })
}

/// Some namespace of the machine has functions registered at this hook.
#[inline(never)]
fn nf_hook_here(cx: &mut Cx, site: Site, skb: SkbId) -> Door {
    let (pf, hook) = site.point();
    let netns = cx.k.devs[cx.skbs[skb].dev].netns;
    if cx.k.netns[netns].hooks.at(pf, hook).is_empty() {
        return cx.pass(okfn(cx, site, skb));
    }
    if site == Site::BrHandleFrame {
        return nf_hook_bridge_pre(cx, skb);
    }
    cx.pass(Door::NfHookSlow { skb, site, from: 0 })
}

/// `br_handle_frame` calls the hook's functions itself and drops without a reason (`nf_hook_bridge_pre`,
/// net/bridge/br_input.c).
fn nf_hook_bridge_pre(cx: &mut Cx, skb: SkbId) -> Door {
    match ask(cx, skb, Site::BrHandleFrame, 0) {
        Verdict::Accept => okfn(cx, Site::BrHandleFrame, skb),
        Verdict::Drop(_) | Verdict::DropErr(_) => cx.kfree_skb(skb, DropReason::NotSpecified),
        Verdict::Stolen(door) => door,
    }
}

/// Calls the hook's functions in order, from index `from` on, until one does not return NF_ACCEPT.
#[inline(always)]
fn ask(cx: &mut Cx, skb: SkbId, site: Site, from: u16) -> Verdict {
    let (pf, hook) = site.point();
    let state = hook_state(cx, site, skb);
    cx.note(|cx| Note::Hook(hook_note(cx, skb, &state)));
    let mut at = usize::from(from);
    let (mut asks_memory, mut watched) = (from == 0 && is_remembered(cx, site), None);
    loop {
        if asks_memory && let NfCt::Conn(id, info) = cx.skbs[skb].nfct {
            asks_memory = false;
            match look_up(cx, skb, (id, info), &state, at as u16) {
                Found::Passed => return Verdict::Accept,
                Found::Asked(watch) => watched = watch,
            }
        }
        let Some(ops) = cx.k.netns[state.netns].hooks.at(pf, hook).get(at) else { break };
        if !ops.depends_on_flow_only {
            cx.k.watch.depends_on_more();
        }
        match (ops.function)(cx, skb, &state, ops.private) {
            Verdict::Accept => at += 1,
            other => return other,
        }
    }
    if let Some(watched) = watched {
        watch_ends(cx, skb, &state, watched);
    }
    Verdict::Accept
}

/// The hook site's `okfn`.
#[inline(always)]
fn okfn(cx: &Cx, site: Site, skb: SkbId) -> Door {
    match site {
        Site::IpRcv => Door::IpRcvFinish { skb },
        Site::IpSublistRcv => Door::IpSublistAccepted { skb },
        Site::IpLocalDeliver => Door::IpLocalDeliverFinish { skb },
        Site::IpForward => Door::IpForwardFinish { skb },
        Site::IpLocalOut => match &cx.skbs[skb].dst {
            Some(route) if route.mc_output => Door::IpMcOutput { skb },
            Some(_) => Door::IpOutput { skb },
            None => Door::KfreeSkb { skb, reason: DropReason::IpOutnoroutes },
        },
        Site::IpOutput => Door::IpFinishOutput { skb },
        // What is passed on the way to somewhere else.
        Site::VrfRcv | Site::VrfLocalOut | Site::VrfOutput => Door::End,
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

/// Calls the hook's functions in order, from index `from` on.
///
/// Kernel: net/netfilter/core.c
/// Not modelled: NF_QUEUE, NF_REPEAT.
#[inline(never)]
pub fn nf_hook_slow(cx: &mut Cx, skb: SkbId, site: Site, from: u16) -> Door {
    match ask(cx, skb, site, from) {
        Verdict::Accept => okfn(cx, site, skb),
        verdict => not_accepted(cx, skb, verdict),
    }
}

fn not_accepted(cx: &mut Cx, skb: SkbId, verdict: Verdict) -> Door {
    match verdict {
        Verdict::Accept => Door::End,
        Verdict::Drop(reason) => {
            cx.xmit_failed(skb, Errno::EPERM);
            cx.kfree_skb(skb, reason)
        }
        Verdict::DropErr(errno) => {
            cx.xmit_failed(skb, errno);
            cx.kfree_skb(skb, DropReason::NetfilterDrop)
        }
        Verdict::Stolen(door) => door,
    }
}

/// Drops a locally sent packet after an error was reported to its sender, whose system call fails as well.
pub fn refuse(cx: &mut Cx, skb: SkbId) -> Door {
    cx.xmit_failed(skb, Errno::EPERM);
    cx.kfree_skb(skb, DropReason::NetfilterDrop)
}

/// The hook state: input and output device at this site.
#[inline(always)]
fn hook_state(cx: &Cx, site: Site, skb: SkbId) -> HookState {
    let pkt = &cx.skbs[skb];
    let (_, hook) = site.point();
    let here = Some(pkt.dev);
    let out = |cx: &Cx| cx.skbs[skb].dst.as_ref().map(|route| route.dev);
    let (input, output): (Option<DevId>, Option<DevId>) = match site {
        Site::IpRcv
        | Site::IpSublistRcv
        | Site::IpLocalDeliver
        | Site::BrHandleFrame
        | Site::BrPassFrameUp
        | Site::BrNfBridgedDnat
        | Site::VrfRcv => (here, None),
        Site::IpForward => (here, out(cx)),
        Site::IpLocalOut => (None, out(cx)),
        Site::IpOutput | Site::IpMcLoop => (pkt.ip.indev, out(cx)),
        Site::BrForward => (pkt.br.from, here),
        Site::BrLocalOut | Site::BrForwardFinish | Site::VrfLocalOut | Site::VrfOutput => (None, here),
        // The IPv4 hooks get the bridge as the input device, not the port.
        Site::BrNfPreRouting => (here, None),
        Site::BrNfForward => {
            let physin = pkt.nf_bridge.and_then(|info| info.physin);
            (physin.and_then(|port| bridge_of(cx, port)), bridge_of(cx, pkt.dev))
        }
        Site::BrNfPostRouting => (None, bridge_of(cx, pkt.dev)),
    };
    HookState { site, hook, netns: cx.k.devs[pkt.dev].netns, input, output }
}

/// The hook's note for the detail view.
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

/// The bridge of a port.
fn bridge_of(cx: &Cx, port: DevId) -> Option<DevId> {
    cx.k.devs.get(port)?.port.as_ref().map(|port| port.bridge)
}

/// Attaches the connection of a packet to the ICMP error or RST that is sent in reply, in the other direction
/// (`nf_ct_attach`, `nf_conntrack_attach`).
pub fn nf_ct_attach(cx: &mut Cx, new: SkbId, skb: SkbId) {
    let Some((id, info)) = cx.nf_ct_get(skb) else {
        if cx.skbs[skb].nfct == NfCt::Untracked {
            cx.nf_ct_set(new, NfCt::RelatedToNone);
        }
        return;
    };
    let info = if info.dir() == Dir::Original { CtInfo::RelatedReply } else { CtInfo::Related };
    cx.k.conntrack.hold(id);
    cx.nf_ct_set(new, NfCt::Conn(id, info));
}
