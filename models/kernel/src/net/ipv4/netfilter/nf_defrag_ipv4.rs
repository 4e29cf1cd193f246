//! Reassembly for connection tracking at PRE_ROUTING and LOCAL_OUT. The packet is fragmented again on output.
//!
//! Kernel: net/ipv4/netfilter/nf_defrag_ipv4.c

use glassnet_wire::ipv4::Ipv4Hdr;

use super::super::ip_fragment::gather;
use super::super::ip_input::ip_hdr;
use super::super::ip_output::IGNORE_DF;
use crate::Cx;
use crate::door::{Door, Func};
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::tables::conntrack::NfCt;
use crate::tables::frag::DefragUser;
use crate::tables::netfilter::{Hook, HookState};

/// The name of the hook function.
pub const DEFRAG: &str = "ipv4_conntrack_defrag";

/// Queues a fragment; the reassembled packet continues with the next function of the hook.
pub fn ipv4_conntrack_defrag(cx: &mut Cx, skb: SkbId, state: &HookState, _: u32) -> Verdict {
    cx.call(Func::Ipv4ConntrackDefrag, skb);
    if matches!(cx.skbs[skb].nfct, NfCt::Conn(..) | NfCt::Untracked)
        || !ip_hdr(cx, skb).is_some_and(Ipv4Hdr::is_fragment)
    {
        return Verdict::Accept;
    }
    let bridged = cx.skbs[skb].nf_bridge.is_some_and(|bridge| bridge.in_prerouting);
    let user = match state.hook {
        Hook::PreRouting if bridged => DefragUser::ConntrackBridgeIn,
        Hook::PreRouting => DefragUser::ConntrackIn,
        _ => DefragUser::ConntrackOut,
    };
    let Some(whole) = gather(cx, skb, user) else { return Verdict::Stolen(Door::End) };
    cx.skbs[whole].ip.flags |= IGNORE_DF;
    let functions = cx.k.netns[state.netns].hooks.at(state.site.point().0, state.hook);
    let from = functions.position(DEFRAG, 0).map_or(0, |own| own + 1) as u16;
    Verdict::Stolen(Door::NfHookResume { skb: whole, site: state.site, from })
}
