//! Neighbour state machine (NUD).
//!
//! Kernel: net/core/neighbour.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::{ETH_P_IP, EthHdr};
use glassnet_wire::ipv4::Ipv4Hdr;

use crate::door::{Door, Func};
use crate::ids::{DevId, NeighId, NetnsId, SkbId};
use crate::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NlError};
use crate::note::Note;
use crate::tables::drop_reason::DropReason;
use crate::tables::jiffies::{last_tick, wheel_expiry};
use crate::tables::neigh::{
    Confirmed, EventSend, Neighbour, TimerWants, UPDATE_F_ADMIN, UPDATE_F_OVERRIDE, Updated,
};
use crate::tables::neigh_parms::NeighParms;
use crate::tables::neigh_types::{NTF_EXT_LEARNED, NTF_PROXY, NTF_USE, NeighMsg, NeighRow, Nud};
use crate::tables::netdev::{IFF_LOOPBACK, IFF_POINTOPOINT};
use crate::tables::rtnl::RtnlMsg;
use crate::{Cx, Kernel};

/// ARP parameters of a device.
fn parms(k: &Kernel, dev: DevId) -> NeighParms {
    k.inet.get(dev).map_or_else(NeighParms::default, |inet| inet.arp)
}

/// The key of an address: all addresses are one neighbour on `lo` and point-to-point links.
#[inline]
fn key_on(k: &Kernel, dev: DevId, ip: Ipv4Addr) -> Ipv4Addr {
    if k.devs[dev].flags & (IFF_LOOPBACK | IFF_POINTOPOINT) != 0 { Ipv4Addr::UNSPECIFIED } else { ip }
}

/// The neighbour of an address on a device, if there is one (`__ipv4_neigh_lookup_noref`).
#[inline]
pub fn neigh_lookup(k: &Kernel, dev: DevId, ip: Ipv4Addr) -> Option<NeighId> {
    k.neigh.lookup(dev, key_on(k, dev, ip))
}

/// Makes a neighbour (`___neigh_create`); its protocol's constructor runs next. None if the table is full.
pub fn neigh_create(cx: &mut Cx, dev: DevId, ip: Ipv4Addr) -> Option<NeighId> {
    make_room(cx).then(|| neigh_alloc(cx, dev, ip))
}

fn neigh_alloc(cx: &mut Cx, dev: DevId, ip: Ipv4Addr) -> NeighId {
    let (ip, now) = (key_on(cx.k, dev, ip), last_tick(cx.now));
    let id = cx.k.neigh.create(dev, ip, now);
    let base = parms(cx.k, dev).base_reachable_time;
    schedule_gc(cx);
    if let Some(entry) = cx.k.neigh.get_mut(id) {
        entry.confirmed = Confirmed::never(now, base);
    }
    id
}

/// A neighbour is known to answer (`neigh_confirm`): its timer finds it so.
pub fn neigh_confirm(cx: &mut Cx, id: NeighId) {
    let now = last_tick(cx.now);
    if let Some(entry) = cx.k.neigh.get_mut(id) {
        entry.confirmed = Confirmed::at(now);
    }
}

/// Deletes entries if the table is near its limit (`neigh_alloc`, `neigh_forced_gc`); false if it stays full. Entries that
/// are never deleted for others do not count.
fn make_room(cx: &mut Cx) -> bool {
    let (gc, now) = (cx.k.neigh.gc, last_tick(cx.now));
    if (cx.k.neigh.len() as u32) < gc.thresh2 {
        return true;
    }
    let have = cx.k.neigh.gc_entries();
    let pressed = now.since(cx.k.neigh.last_flush) > Nanos::from_secs(5);
    if have < gc.thresh3 && (have < gc.thresh2 || !pressed) {
        return true;
    }
    cx.k.neigh.last_flush = now;
    for id in cx.k.neigh.forced_gc(have.saturating_sub(gc.thresh2) as usize, now) {
        neigh_remove(cx, id);
    }
    cx.k.neigh.gc_entries() < gc.thresh3
}

/// Schedules the next look for stale entries. Nothing is deleted below `gc_thresh1` entries, so no work is scheduled.
pub fn schedule_gc(cx: &mut Cx) {
    let table = &mut cx.k.neigh;
    if table.len() as u32 >= table.gc.thresh1 && !table.gc_scheduled {
        table.gc_scheduled = true;
        let half = Nanos(NeighParms::default().base_reachable_time.0 / 2);
        cx.set_timer(cx.now + half, neigh_periodic_work, 0);
    }
}

/// Deletes failed entries, and those not used for `gc_stale_time`.
pub fn neigh_periodic_work(cx: &mut Cx, _: u32) {
    cx.k.neigh.gc_scheduled = false;
    if (cx.k.neigh.len() as u32) < cx.k.neigh.gc.thresh1 {
        return;
    }
    let (k, now) = (&*cx.k, last_tick(cx.now));
    for id in k.neigh.stale(|dev| parms(k, dev).gc_stale_time, now) {
        neigh_remove(cx, id);
    }
    schedule_gc(cx);
}

/// Sends a packet to a neighbour, resolving it first if needed.
///
/// Kernel: net/core/neighbour.c
/// Not modelled: nothing.
pub fn neigh_resolve_output(cx: &mut Cx, skb: SkbId) -> Door {
    let Some(id) = neigh_of_packet(cx, skb) else {
        return cx.kfree_skb(skb, DropReason::NeighDead);
    };
    let Some(entry) = cx.k.neigh.get_mut(id) else {
        return cx.kfree_skb(skb, DropReason::NeighDead);
    };
    entry.used = last_tick(cx.now);
    if !entry.nud.connected() && !matches!(entry.nud, Nud::Delay | Nud::Probe) {
        match neigh_event_send(cx, id, Some(skb)) {
            EventSend::Send => {}
            EventSend::Drop(reason) => return cx.kfree_skb(skb, reason),
            EventSend::Queued { probe } => {
                cx.xmit_succeeded(skb);
                return if probe { Door::NeighProbe { neigh: id } } else { Door::End };
            }
        }
    }
    if cx.k.neigh.get(id).is_some_and(|entry| cx.k.devs[entry.dev].header_ops.is_some()) {
        return output_behind_header(cx, skb, id);
    }
    if let Some(entry) = cx.k.neigh.get_mut(id) {
        entry.hh = true;
    }
    neigh_hh_output(cx, skb, id)
}

/// Writes a header that is none of Ethernet and is not kept for copying, and transmits.
fn output_behind_header(cx: &mut Cx, skb: SkbId, id: NeighId) -> Door {
    let Some((dev, ha)) = cx.k.neigh.get(id).map(|entry| (entry.dev, entry.ha)) else {
        return cx.kfree_skb(skb, DropReason::NeighDead);
    };
    if cx.k.devs[dev].header_ops.is_some_and(|create| create(cx, skb, dev, ETH_P_IP, ha)) {
        return Door::DevQueueXmit { skb };
    }
    cx.xmit_failed(skb, Errno::EINVAL);
    cx.kfree_skb(skb, DropReason::NotSpecified)
}

/// The neighbour of a packet's next hop.
fn neigh_of_packet(cx: &Cx, skb: SkbId) -> Option<NeighId> {
    let pkt = &cx.skbs[skb];
    let route = pkt.dst.as_ref()?;
    let daddr = || cx.skbs.header::<Ipv4Hdr>(skb, pkt.network_header).map(|iph| iph.daddr.get());
    let ip = if !route.gateway.is_unspecified() { route.gateway } else { daddr()? };
    neigh_lookup(cx.k, route.dev, ip)
}

/// Pushes the cached Ethernet header and transmits.
#[inline]
pub fn neigh_hh_output(cx: &mut Cx, skb: SkbId, id: NeighId) -> Door {
    let Some(entry) = cx.k.neigh.get(id) else {
        return cx.kfree_skb(skb, DropReason::NeighDead);
    };
    let header = EthHdr::new(entry.ha, cx.k.devs[entry.dev].addr, ETH_P_IP);
    cx.skbs.push_eth(skb, header);
    Door::DevQueueXmit { skb }
}

/// Sends a packet to a neighbour that is known, by a device that keeps no headers for copying.
///
/// Kernel: net/core/neighbour.c
/// Not modelled: nothing.
pub fn neigh_connected_output(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    if cx.k.devs[dev].header_ops.is_none() {
        return Door::DevQueueXmit { skb };
    }
    match neigh_of_packet(cx, skb) {
        Some(id) => output_behind_header(cx, skb, id),
        None => cx.kfree_skb(skb, DropReason::NeighDead),
    }
}

/// Queues or sends a packet, by the state of the neighbour (`__neigh_event_send`).
fn neigh_event_send(cx: &mut Cx, id: NeighId, skb: Option<SkbId>) -> EventSend {
    if let Some(skb) = skb {
        cx.call(Func::NeighEventSend, skb);
    }
    let now = last_tick(cx.now);
    let packet = skb.map(|skb| (skb, cx.skbs[skb].truesize));
    let Some(dev) = cx.k.neigh.get(id).map(|entry| entry.dev) else {
        return EventSend::Drop(DropReason::NeighDead);
    };
    let parms = parms(cx.k, dev);
    let mut pushed_out = Vec::new();
    let Some(entry) = cx.k.neigh.get_mut(id) else { return EventSend::Drop(DropReason::NeighDead) };
    let armed = entry.timer;
    let done = entry.event_send(packet, &parms, now, &mut pushed_out);
    for old in pushed_out {
        cx.kfree_skb(old, DropReason::NeighQueuefull);
    }
    set_timer(cx, id, armed);
    cx.note(|cx| Note::Neigh(cx.k.neigh.get(id).map(|entry| (entry.ip, entry.nud))));
    done
}

/// Sets the timer of a neighbour, if it was armed anew.
fn set_timer(cx: &mut Cx, id: NeighId, armed_before: Option<Nanos>) {
    let now = cx.now;
    let Some(entry) = cx.k.neigh.get_mut(id).filter(|entry| entry.timer != armed_before) else { return };
    let Some(at) = entry.timer else { return };
    let expiry = wheel_expiry(now, at);
    entry.timer = Some(expiry);
    cx.set_timer(expiry, neigh_timer_handler, id.0);
}

/// Starts the resolution of a neighbour for which no packet waits (`neigh_event_send` without one).
pub fn neigh_start(cx: &mut Cx, id: NeighId) {
    if let EventSend::Queued { probe: true } = neigh_event_send(cx, id, None) {
        cx.walk(Door::NeighProbe { neigh: id });
    }
}

/// The timer of a neighbour (`neigh_timer_handler`). Ignored if it was rearmed, or the entry deleted.
pub fn neigh_timer_handler(cx: &mut Cx, id: u32) {
    let id = NeighId(id);
    let Some(entry) = cx.k.neigh.get(id) else { return };
    let now = last_tick(cx.now);
    if entry.timer.is_none_or(|at| at > now) {
        return;
    }
    let dev = entry.dev;
    rand_reach_time(cx, dev);
    let parms = parms(cx.k, dev);
    let Some(entry) = cx.k.neigh.get_mut(id) else { return };
    let before = entry.nud;
    let wants = entry.timer_handler(&parms, now);
    let notify = entry.nud != before && entry.nud != Nud::Delay;
    set_timer(cx, id, None);
    match wants {
        TimerWants::Nothing => {}
        TimerWants::Probe => cx.walk(Door::NeighProbe { neigh: id }),
        TimerWants::Invalidate => neigh_invalidate(cx, id),
    }
    if notify {
        neigh_notify(cx, id, false);
    }
}

/// Tells programs of an entry (`__neigh_notify`).
fn neigh_notify(cx: &mut Cx, id: NeighId, deleted: bool) {
    let Some(netns) = cx.k.neigh.get(id).map(|entry| cx.k.devs[entry.dev].netns) else { return };
    let now = last_tick(cx.now);
    cx.rtnl_notify(netns, deleted, |k| k.neigh.get(id).map(|entry| RtnlMsg::Neigh(entry.row(now))));
}

/// Resolution failed: an error for each queued packet (`neigh_invalidate`, `arp_error_report`).
fn neigh_invalidate(cx: &mut Cx, id: NeighId) {
    while let Some(entry) = cx.k.neigh.get_mut(id).filter(|entry| entry.nud == Nud::Failed) {
        let Some((skb, size)) = entry.queue.pop_front() else { return };
        entry.queue_bytes -= size;
        cx.walk(Door::LinkFailure { skb });
    }
}

/// Draws the reachable time of a device at random, between 0.5 and 1.5 times the base (`neigh_rand_reach_time`), if it is due:
/// `neigh_periodic_work` does so every 300 s.
fn rand_reach_time(cx: &mut Cx, dev: DevId) {
    const EVERY: Nanos = Nanos::from_secs(300);
    let (given, draw) = (cx.k.scripted_reach_time(dev), cx.now.0 / EVERY.0);
    let Some(inet) = cx.k.inet.get_mut(dev) else { return };
    if let Some(given) = given {
        inet.arp.reachable_time = given;
    } else if inet.arp.drawn != Some(draw) {
        let base = inet.arp.base_reachable_time.0;
        (inet.arp.reachable_time, inet.arp.drawn) =
            (Nanos(base / 2 + cx.dice.below(base.max(1))), Some(draw));
    }
}

/// Updates address and state (`neigh_update`), and sends the queued packets.
pub fn neigh_update(cx: &mut Cx, id: NeighId, lladdr: Option<Mac>, new: Nud, flags: u32) -> bool {
    let now = last_tick(cx.now);
    let Some(dev) = cx.k.neigh.get(id).map(|entry| entry.dev) else { return false };
    if new == Nud::Reachable {
        rand_reach_time(cx, dev);
    }
    let parms = parms(cx.k, dev);
    let Some(entry) = cx.k.neigh.get_mut(id) else { return false };
    let (armed, before) = (entry.timer, (entry.nud, entry.ha));
    let done = entry.update(lladdr, new, flags, &parms, now);
    let is_changed = (entry.nud, entry.ha) != before && (entry.nud.valid() || before.0.valid());
    set_timer(cx, id, armed);
    let Updated::Done { flush, invalidate } = done else { return false };
    if invalidate {
        neigh_invalidate(cx, id);
    }
    if flush {
        flush_queue(cx, id);
    }
    if is_changed {
        neigh_notify(cx, id, false);
    }
    true
}

fn flush_queue(cx: &mut Cx, id: NeighId) {
    while let Some(entry) = cx.k.neigh.get_mut(id) {
        let Some((skb, size)) = entry.queue.pop_front() else { return };
        entry.queue_bytes -= size;
        cx.walk(Door::NeighResolveOutput { skb });
    }
}

/// Deletes an entry; queued packets are dropped.
pub fn neigh_remove(cx: &mut Cx, id: NeighId) {
    neigh_notify(cx, id, true);
    let Some(Neighbour { queue, .. }) = cx.k.neigh.remove(id) else { return };
    for (skb, _) in queue {
        cx.kfree_skb(skb, DropReason::NotSpecified);
    }
}

/// Deletes the entries of a device (`neigh_flush_dev`), except permanent ones if `keep_permanent`.
pub fn neigh_flush_dev(cx: &mut Cx, dev: DevId, keep_permanent: bool) {
    let goes = |entry: &Neighbour| entry.dev == dev && !(keep_permanent && entry.nud == Nud::Permanent);
    let ids: Vec<NeighId> = cx.k.neigh.iter().filter(|(_, entry)| goes(entry)).map(|(id, _)| id).collect();
    for id in ids {
        neigh_remove(cx, id);
    }
}

fn find_device(k: &Kernel, netns: NetnsId, dev: DevId) -> Result<(), NlError> {
    let here = k.devs.get(dev).is_some_and(|netdev| netdev.netns == netns);
    if here { Ok(()) } else { Err(Errno::ENODEV.into()) }
}

/// Adds or changes a neighbour (RTM_NEWNEIGH, `neigh_add`).
///
/// # Errors
///
/// EEXIST, ENOENT by `flags` (NLM_F_*), EINVAL for a state without an address.
pub fn rtm_newneigh(cx: &mut Cx, netns: NetnsId, msg: &NeighMsg, flags: u16) -> Result<(), NlError> {
    find_device(cx.k, netns, msg.dev)?;
    let ip = msg.dst;
    if msg.flags & NTF_PROXY != 0 {
        let known = cx.k.neigh.proxies.iter().any(|proxy| (proxy.0, proxy.1) == (Some(msg.dev), ip));
        if !known {
            cx.k.neigh.proxies.push((Some(msg.dev), ip, msg.protocol));
        }
        return Ok(());
    }
    let (id, override_it) = match neigh_lookup(cx.k, msg.dev, ip) {
        Some(_) if flags & NLM_F_EXCL != 0 => return Err(Errno::EEXIST.into()),
        Some(id) => (id, flags & NLM_F_REPLACE != 0),
        None if flags & NLM_F_CREATE == 0 => return Err(Errno::ENOENT.into()),
        None => {
            let full = NlError::from(Errno::ENOBUFS);
            let stays = msg.state == Nud::Permanent || msg.flags & NTF_EXT_LEARNED != 0;
            let room = stays || make_room(cx);
            let id = room.then(|| neigh_alloc(cx, msg.dev, ip)).ok_or(full)?;
            cx.walk(Door::NeighConstruct { neigh: id });
            (id, true)
        }
    };
    if let Some(entry) = cx.k.neigh.get_mut(id) {
        entry.protocol = msg.protocol;
        entry.flags = msg.flags & !NTF_USE;
    }
    if msg.flags & NTF_USE != 0 {
        neigh_start(cx, id);
        return Ok(());
    }
    let update = UPDATE_F_ADMIN | if override_it { UPDATE_F_OVERRIDE } else { 0 };
    let done = neigh_update(cx, id, msg.lladdr, msg.state, update);
    if done { Ok(()) } else { Err(NlError::with(Errno::EINVAL, "No link layer address given")) }
}

/// Deletes a neighbour (RTM_DELNEIGH, `neigh_delete`): it fails first.
///
/// # Errors
///
/// ENOENT if there is none.
pub fn rtm_delneigh(cx: &mut Cx, netns: NetnsId, msg: &NeighMsg) -> Result<(), NlError> {
    find_device(cx.k, netns, msg.dev)?;
    let ip = msg.dst;
    if msg.flags & NTF_PROXY != 0 {
        let proxies = &mut cx.k.neigh.proxies;
        let at = proxies.iter().position(|proxy| (proxy.0, proxy.1) == (Some(msg.dev), ip));
        proxies.remove(at.ok_or(NlError::from(Errno::ENOENT))?);
        return Ok(());
    }
    let id = neigh_lookup(cx.k, msg.dev, ip).ok_or(NlError::from(Errno::ENOENT))?;
    neigh_update(cx, id, None, Nud::Failed, UPDATE_F_OVERRIDE | UPDATE_F_ADMIN);
    neigh_remove(cx, id);
    Ok(())
}

/// The neighbours of a namespace.
pub fn dump_neigh(k: &Kernel, netns: NetnsId, now: Nanos) -> Vec<NeighRow> {
    let here = |dev: DevId| k.devs.get(dev).is_some_and(|netdev| netdev.netns == netns);
    let now = last_tick(now);
    k.neigh.iter().filter(|(_, entry)| here(entry.dev)).map(|(_, entry)| entry.row(now)).collect()
}
