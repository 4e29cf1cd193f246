//! Bridged IPv4 packets meet iptables, if `bridge-nf-call-iptables` says so.
//!
//! Kernel: net/bridge/br_netfilter_hooks.c

use crate::Cx;
use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::tables::netfilter::{HookState, Site, Verdict};

/// The devices that a bridged packet shows to the IPv4 hooks.
pub fn devices(_cx: &Cx, _site: Site, _skb: SkbId) -> (Option<DevId>, Option<DevId>) {
    (None, None)
}

/// `ip_sabotage_in`.
pub fn ip_sabotage_in(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// `br_nf_pre_routing`.
pub fn br_nf_pre_routing(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// `br_nf_local_in`.
pub fn br_nf_local_in(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// `br_nf_forward_ip`.
pub fn br_nf_forward_ip(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// `br_nf_forward_arp`.
pub fn br_nf_forward_arp(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// `br_nf_post_routing`.
pub fn br_nf_post_routing(_cx: &mut Cx, _skb: SkbId, _state: HookState) -> Verdict {
    Verdict::Accept
}

/// A bridged packet passed `PREROUTING`.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: being written.
pub fn br_nf_pre_routing_finish(_cx: &mut Cx, skb: SkbId) -> Door {
    Door::BrHandleFrameFinish { skb }
}

/// A bridged packet passed `FORWARD`.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: being written.
pub fn br_nf_forward_finish(_cx: &mut Cx, skb: SkbId) -> Door {
    Door::BrForwardFinish { skb }
}

/// A bridged packet passed `POSTROUTING`.
///
/// Kernel: net/bridge/br_netfilter_hooks.c
/// Not modelled: being written.
pub fn br_nf_dev_queue_xmit(_cx: &mut Cx, skb: SkbId) -> Door {
    Door::BrDevQueuePushXmit { skb }
}
