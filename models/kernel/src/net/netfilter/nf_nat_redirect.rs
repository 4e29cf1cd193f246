//! Redirect: destination NAT to this host.
//!
//! Kernel: net/netfilter/nf_nat_redirect.c

use std::net::Ipv4Addr;

use super::nf_nat_core::{Manip, NatRange, nf_nat_setup_info};
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState};

/// Chooses `127.0.0.1` for a local packet, the first address of the input device for a received one
/// (`nf_nat_redirect_ipv4`). Without an address the packet is dropped.
pub fn nf_nat_redirect_ipv4(cx: &mut Cx, skb: SkbId, state: HookState, range: &NatRange) -> Verdict {
    cx.within(Func::NfNatRedirectIpv4, skb, |cx| {
        let address = if state.hook == Hook::LocalOut {
            Some(Ipv4Addr::LOCALHOST)
        } else {
            let inet = cx.k.inet.get(cx.skbs[skb].dev);
            inet.and_then(|inet| inet.addrs.first()).map(|ifa| ifa.local)
        };
        let (Some((id, _)), Some(address)) = (cx.nf_ct_get(skb), address) else {
            return Verdict::Drop(DropReason::NetfilterDrop);
        };
        nf_nat_setup_info(cx, id, skb, &NatRange { addrs: Some((address, address)), ..*range }, Manip::Dst)
    })
}
