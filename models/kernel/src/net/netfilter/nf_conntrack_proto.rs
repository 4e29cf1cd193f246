//! Conntrack's hook functions for IPv4.
//!
//! Kernel: net/netfilter/nf_conntrack_proto.c

use glassnet_wire::checksum;
use glassnet_wire::ipv4::Ipv4Hdr;
use zerocopy::FromBytes;

use super::nf_conntrack_core::{nf_conntrack_confirm, nf_conntrack_in};
use super::nf_conntrack_helper::helper_of;
use super::nf_conntrack_seqadj::nf_ct_seq_adjust;
use crate::Cx;
use crate::Kernel;
use crate::door::Func;
use crate::hook::{HookFn, HookOps, Verdict};
use crate::ids::{NetnsId, SkbId};
use crate::net::ipv4::ip_input::ip_hdr;
use crate::net::ipv4::netfilter::nf_defrag_ipv4::{DEFRAG, ipv4_conntrack_defrag};
use crate::tables::conntrack::{CtId, CtInfo, CtSysctl, IPS_HELPER, IPS_SEQ_ADJUST, NfCt};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{
    Hook, HookState, PRI_CONNTRACK, PRI_CONNTRACK_CONFIRM, PRI_CONNTRACK_DEFRAG, Pf,
};

/// Hook functions of connection tracking.
const HOOK_OPS: [HookOps; 6] = [
    hook_ops(DEFRAG, Hook::PreRouting, PRI_CONNTRACK_DEFRAG, ipv4_conntrack_defrag),
    hook_ops(DEFRAG, Hook::LocalOut, PRI_CONNTRACK_DEFRAG, ipv4_conntrack_defrag),
    hook_ops("ipv4_conntrack_in", Hook::PreRouting, PRI_CONNTRACK, ipv4_conntrack_in),
    hook_ops("ipv4_conntrack_local", Hook::LocalOut, PRI_CONNTRACK, ipv4_conntrack_local),
    hook_ops("ipv4_confirm", Hook::PostRouting, PRI_CONNTRACK_CONFIRM, ipv4_confirm),
    hook_ops("ipv4_confirm", Hook::LocalIn, PRI_CONNTRACK_CONFIRM, ipv4_confirm),
];

const fn hook_ops(name: &'static str, hook: Hook, priority: i32, function: HookFn) -> HookOps {
    HookOps { name, pf: Pf::Ipv4, hook, priority, function, private: 0, depends_on_flow_only: true }
}

/// Takes a reference for a rule or table that needs conntrack; the first registers the hooks (`nf_ct_netns_get`).
pub fn nf_ct_netns_get(k: &mut Kernel, netns: NetnsId) {
    let net = k.conntrack.net_mut(netns);
    net.users += 1;
    if net.users > 1 || k.netns.get(netns).is_none() {
        return;
    }
    let hooks = &mut k.netns[netns].hooks;
    for ops in HOOK_OPS {
        hooks.register(&mut k.nf_hooks_needed, ops);
    }
}

/// Drops a reference; without references the hooks are unregistered, and entries expire (`nf_ct_netns_put`).
pub fn nf_ct_netns_put(k: &mut Kernel, netns: NetnsId) {
    let net = k.conntrack.net_mut(netns);
    debug_assert!(net.users > 0, "conntrack was given back more often than taken");
    net.users = net.users.saturating_sub(1);
    if net.users > 0 || k.netns.get(netns).is_none() {
        return;
    }
    let hooks = &mut k.netns[netns].hooks;
    for ops in &HOOK_OPS {
        hooks.unregister(ops);
    }
}

/// PRE_ROUTING: tracks the packet.
pub fn ipv4_conntrack_in(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::Ipv4ConntrackIn, skb, |cx| nf_conntrack_in(cx, skb, *state))
}

/// LOCAL_OUT: tracks the packet, unless it is a fragment that a program sends as such.
pub fn ipv4_conntrack_local(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::Ipv4ConntrackLocal, skb, |cx| {
        if ip_hdr(cx, skb).is_some_and(Ipv4Hdr::is_fragment) {
            return Verdict::Accept;
        }
        nf_conntrack_in(cx, skb, *state)
    })
}

/// Last hook: confirms a new connection.
pub fn ipv4_confirm(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.within(Func::Ipv4Confirm, skb, |cx| {
        if let NfCt::Conn(id, info) = cx.skbs[skb].nfct
            && info != CtInfo::RelatedReply
            && cx.k.conntrack.get(id).is_some_and(|conn| conn.has(IPS_HELPER | IPS_SEQ_ADJUST))
        {
            match nf_confirm(cx, skb, state, (id, info)) {
                Verdict::Accept => {}
                other => return other,
            }
        }
        nf_conntrack_confirm(cx, skb)
    })
}

/// A packet of a connection with a helper: the helper reads it, then its sequence numbers are moved (first part of
/// `nf_confirm`).
#[cold]
fn nf_confirm(cx: &mut Cx, skb: SkbId, state: &HookState, (id, info): (CtId, CtInfo)) -> Verdict {
    cx.k.watch.depends_on_more();
    let Some(iph) = ip_hdr(cx, skb).copied() else { return Verdict::Accept };
    if let Some(ops) = helper_of(cx, id) {
        match (ops.help)(cx, skb, iph.header_len(), id, info) {
            Verdict::Accept => {}
            other => return other,
        }
    }
    let came_by_lo = state.input.is_some_and(|dev| cx.k.devs[dev].is_loopback());
    let adjusts = cx.k.conntrack.get(id).is_some_and(|conn| conn.has(IPS_SEQ_ADJUST)) && !came_by_lo;
    let at = cx.skbs[skb].network_header + iph.header_len() as u32;
    if adjusts && !nf_ct_seq_adjust(cx, skb, at, id, info) {
        cx.k.conntrack.net_mut(state.netns).stats.drop += 1;
        return Verdict::Drop(DropReason::NetfilterDrop);
    }
    Verdict::Accept
}

/// Checksums of received packets are verified (`nf_conntrack_checksum`), not those of local ones.
#[inline]
pub(super) fn checksum_wanted(cx: &Cx, skb: SkbId, state: HookState) -> bool {
    state.hook == Hook::PreRouting
        && !cx.skbs[skb].ip_summed
        && cx.k.conntrack.net(state.netns).is_on(CtSysctl::Checksum)
}

/// Checksum over the first `covered` bytes of a transport payload and the pseudo header; 0 if correct
/// (`nf_ip_checksum`).
#[inline]
pub(super) fn transport_checksum(packet: &[u8], payload: &[u8], covered: usize, proto: u8) -> u16 {
    let Ok((iph, _)) = Ipv4Hdr::ref_from_prefix(packet) else { return 0 };
    let len = payload.len() as u16;
    let pseudo = checksum::pseudo_header(iph.saddr.get(), iph.daddr.get(), proto, len);
    checksum::fold(checksum::sum(pseudo, &payload[..covered.min(payload.len())]))
}
