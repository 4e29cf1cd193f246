//! Cached hook verdicts of flows: see [`crate::tables::verdicts`].

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

use crate::Cx;
use crate::ids::SkbId;
use crate::tables::conntrack::{CtId, CtInfo, NfCt};
use crate::tables::netfilter::{HookState, Site};
use crate::tables::verdicts::{Conditions, Known, Passage};

/// A packet whose passage through a hook is being recorded.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    serial: u32,
    from: u16,
    conditions: Conditions,
    since: Nanos,
}

/// Result of [`look_up`].
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// A cached verdict accepted the packet.
    Passed,
    /// The functions are to be called; the passage is recorded if [`watch_ends`] is called.
    Asked(Option<Watched>),
}

/// Passages of this site are cached, and nobody observes.
#[inline(always)]
pub fn is_remembered(cx: &Cx, site: Site) -> bool {
    const PLACES: u32 = 1 << Site::IpRcv as u32
        | 1 << Site::IpSublistRcv as u32
        | 1 << Site::IpLocalDeliver as u32
        | 1 << Site::IpForward as u32
        | 1 << Site::IpLocalOut as u32
        | 1 << Site::IpOutput as u32;
    PLACES >> site as u32 & 1 != 0 && !cx.observed && cx.k.remembers_verdicts
}

/// Looks up the cached verdict of a tracked packet's flow, or starts to record.
#[inline(always)]
pub fn look_up(cx: &mut Cx, skb: SkbId, (id, info): (CtId, CtInfo), state: &HookState, from: u16) -> Found {
    let pkt = &cx.skbs[skb];
    let Some(conn) = cx.k.conntrack.get(id) else { return Found::Asked(None) };
    // Listeners of events are still to be told; the rest of what decides is in the conditions.
    if conn.event_cache != 0 || pkt.nf_trace || pkt.nf_bridge.is_some() {
        return Found::Asked(None);
    }
    let conditions = Conditions::new(state, pkt.mark, conn, info, from);
    let len = pkt.len();
    let net = &mut cx.k.netns[state.netns];
    let stamp = [net.hooks.generation(), net.xt.generation(), cx.k.labels.len() as u32];
    net.passages.renew(stamp, |counter, packets| net.xt.count(counter, packets));
    match net.passages.find(conn, info.dir(), state.hook, &conditions) {
        Known::Passes(at) => {
            cx.now += net.passages.pass(at, len);
            Found::Passed
        }
        // A new connection is still to be decided about. Errors about a connection have headers of their own, and of
        // other protocols a header may be cut short.
        Known::Nothing
            if conn.is_confirmed()
                && matches!(info, CtInfo::New | CtInfo::Established | CtInfo::EstablishedReply)
                && matches!(conn.tuples[0].proto, IPPROTO_TCP | IPPROTO_UDP | IPPROTO_ICMP) =>
        {
            let serial = cx.k.watch.begin();
            Found::Asked(Some(Watched { serial, from, conditions, since: cx.now }))
        }
        Known::Nothing | Known::AlwaysAsked => Found::Asked(None),
    }
}

/// All functions accepted the recorded packet: caches the verdict for its flow.
#[cold]
pub fn watch_ends(cx: &mut Cx, skb: SkbId, state: &HookState, watched: Watched) {
    let counters = cx.k.watch.end(watched.serial);
    let NfCt::Conn(id, info) = cx.skbs[skb].nfct else { return };
    let cost = cx.now.since(watched.since);
    let mark = cx.skbs[skb].mark;
    let Some(conn) = cx.k.conntrack.get_mut(id) else { return };
    // If a condition was changed during the passage, the verdict does not depend on the flow alone.
    let same = Conditions::new(state, mark, conn, info, watched.from) == watched.conditions;
    let passage =
        counters.filter(|_| same).map(|counters| Passage { conditions: watched.conditions, cost, counters });
    cx.k.netns[state.netns].passages.keep(conn, info, state.hook, passage);
}
