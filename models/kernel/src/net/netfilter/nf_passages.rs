//! Packets of a flow pass a hook as the one before did: see [`crate::tables::verdicts`].

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

use crate::Cx;
use crate::ids::SkbId;
use crate::tables::conntrack::{CtId, CtInfo, NfCt};
use crate::tables::netfilter::{HookState, Site};
use crate::tables::verdicts::{Conditions, Known, Passage};

/// A packet whose way through a hook is watched.
#[derive(Clone, Copy, Debug)]
pub struct Watched {
    serial: u32,
    from: u16,
    conditions: Conditions,
    since: Nanos,
}

/// What [`look_up`] found.
#[derive(Clone, Copy, Debug)]
pub enum Found {
    /// The packet passed.
    Passed,
    /// The functions are asked, and watched if [`watch_ends`] is told.
    Asked(Option<Watched>),
}

/// Passages of this place are remembered, and nobody observes.
#[inline(always)]
pub fn is_remembered(cx: &Cx, site: Site) -> bool {
    const PLACES: u32 = 1 << Site::IpRcv as u32
        | 1 << Site::IpLocalDeliver as u32
        | 1 << Site::IpForward as u32
        | 1 << Site::IpLocalOut as u32
        | 1 << Site::IpOutput as u32;
    PLACES >> site as u32 & 1 != 0 && !cx.observed && cx.k.remembers_verdicts
}

/// A packet with a connection passes as the one before it, or is watched.
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

/// A watched packet was accepted by all functions of the hook: the next one of its flow need not ask them.
#[cold]
pub fn watch_ends(cx: &mut Cx, skb: SkbId, state: &HookState, watched: Watched) {
    let counters = cx.k.watch.end(watched.serial);
    let NfCt::Conn(id, info) = cx.skbs[skb].nfct else { return };
    let cost = cx.now.since(watched.since);
    let mark = cx.skbs[skb].mark;
    let Some(conn) = cx.k.conntrack.get_mut(id) else { return };
    // Whatever is changed on the way was no matter of the flow.
    let same = Conditions::new(state, mark, conn, info, watched.from) == watched.conditions;
    let passage =
        counters.filter(|_| same).map(|counters| Passage { conditions: watched.conditions, cost, counters });
    cx.k.netns[state.netns].passages.keep(conn, info, state.hook, passage);
}
