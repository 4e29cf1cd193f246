//! Connection tracking at the hooks of IPv4.
//!
//! Kernel: net/netfilter/nf_conntrack_proto.c

use crate::Kernel;
use crate::ids::NetnsId;
use crate::tables::netfilter::{
    Hook, HookFn, PRI_CONNTRACK, PRI_CONNTRACK_CONFIRM, PRI_CONNTRACK_DEFRAG, Pf,
};

/// The hooks that connection tracking wants: hook, priority, function.
const HOOK_OPS: [(Hook, i32, HookFn); 6] = [
    (Hook::PreRouting, PRI_CONNTRACK_DEFRAG, HookFn::Ipv4ConntrackDefrag),
    (Hook::LocalOut, PRI_CONNTRACK_DEFRAG, HookFn::Ipv4ConntrackDefrag),
    (Hook::PreRouting, PRI_CONNTRACK, HookFn::Ipv4ConntrackIn),
    (Hook::LocalOut, PRI_CONNTRACK, HookFn::Ipv4ConntrackLocal),
    (Hook::PostRouting, PRI_CONNTRACK_CONFIRM, HookFn::NfConfirm),
    (Hook::LocalIn, PRI_CONNTRACK_CONFIRM, HookFn::NfConfirm),
];

/// A rule or a table needs connection tracking in a namespace: the first one starts it (`nf_ct_netns_get`).
pub fn nf_ct_netns_get(k: &mut Kernel, netns: NetnsId) {
    let net = k.conntrack.net_mut(netns);
    net.users += 1;
    if net.users > 1 || k.netns.get(netns).is_none() {
        return;
    }
    let hooks = &mut k.netns[netns].hooks;
    for (hook, priority, function) in HOOK_OPS {
        hooks.register(Pf::Ipv4, hook, priority, function);
    }
}

/// A rule or a table no longer needs connection tracking: with the last one it ends, and entries grow old
/// (`nf_ct_netns_put`).
pub fn nf_ct_netns_put(k: &mut Kernel, netns: NetnsId) {
    let net = k.conntrack.net_mut(netns);
    debug_assert!(net.users > 0, "conntrack was given back more often than taken");
    net.users = net.users.saturating_sub(1);
    if net.users > 0 || k.netns.get(netns).is_none() {
        return;
    }
    let hooks = &mut k.netns[netns].hooks;
    for (hook, _, function) in HOOK_OPS {
        hooks.unregister(Pf::Ipv4, hook, function);
    }
}
