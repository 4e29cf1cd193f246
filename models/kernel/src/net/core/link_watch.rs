//! Carrier and operational state.
//!
//! Kernel: net/core/link_watch.c, net/sched/sch_generic.c
//!
//! A driver changes the carrier at once. What follows from it (the operational state, the queueing discipline, and what
//! bridges, routes and neighbours do about it) is work for later. The kernel's worker needs the RTNL lock, so it gets
//! its turn when the request that it was queued by ends ([`linkwatch_turn`]); only events that are not urgent wait for
//! up to a second after others.

use glassnet_sim::Nanos;

use super::notifier::call_netdevice_notifiers;
use super::sch_generic::{dev_activate, dev_deactivate};
use crate::ids::DevId;
use crate::module::NetdevEvent;
use crate::tables::jiffies::{HZ, JIFFY, jiffies, wheel_expiry};
use crate::tables::link_watch::SharedLinkWatch;
use crate::tables::netdev::{IFF_MASTER, IFF_SLAVE, OperState};
use crate::{Cx, Kernel};

/// The carrier is on.
pub fn netif_carrier_on(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    if !netdev.carrier {
        netdev.carrier = true;
        netdev.carrier_up_count += 1;
        linkwatch_fire_event(cx, dev);
    }
}

/// The carrier is off.
pub fn netif_carrier_off(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    if netdev.carrier {
        netdev.carrier = false;
        netdev.carrier_down_count += 1;
        linkwatch_fire_event(cx, dev);
    }
}

/// The carrier of a device follows that of the one below it.
pub fn netif_stacked_transfer_operstate(cx: &mut Cx, lower: DevId, dev: DevId) {
    if cx.k.devs[lower].carrier { netif_carrier_on(cx, dev) } else { netif_carrier_off(cx, dev) }
}

/// The ifindex of the device that it is linked to, in that one's namespace; its own if there is none (`dev_get_iflink`).
pub fn dev_get_iflink(k: &Kernel, dev: DevId) -> u32 {
    if let Some(get_iflink) = k.devs[dev].ops.get_iflink {
        return get_iflink(&k.devs[dev]);
    }
    let netdev = &k.devs[dev];
    netdev.link.map_or(netdev.ifindex, |link| k.devs[link].ifindex)
}

/// Operational state by the carrier (RFC 2863). Two devices in two namespaces may have the same number; then the one
/// without a carrier counts as having none below it.
fn default_operstate(k: &Kernel, dev: DevId) -> OperState {
    let netdev = &k.devs[dev];
    match netdev.carrier {
        true => OperState::Up,
        false if netdev.ifindex != dev_get_iflink(k, dev) => OperState::LowerLayerDown,
        false => OperState::Down,
    }
}

/// The state of a device that is registered without a carrier.
pub fn linkwatch_init_dev(cx: &mut Cx, dev: DevId) {
    if !cx.k.devs[dev].carrier {
        cx.k.devs[dev].operstate = default_operstate(cx.k, dev);
    }
}

/// The event does not wait: what is linked to another device changes with it, a bond and its slaves depend on each other, and a
/// carrier that came back ends a downtime.
fn linkwatch_urgent_event(k: &Kernel, dev: DevId) -> bool {
    let netdev = &k.devs[dev];
    if netdev.flags & (IFF_MASTER | IFF_SLAVE) != 0 {
        return netdev.is_up();
    }
    // qdisc_tx_changing
    let changing = netdev.tx.iter().any(|txq| txq.qdisc != txq.qdisc_sleeping);
    let waits = !netdev.ops.urgent_carrier && netdev.ifindex == dev_get_iflink(k, dev);
    netdev.is_up() && (!waits || netdev.carrier && changing)
}

/// What follows from a device's carrier is to be done.
pub fn linkwatch_fire_event(cx: &mut Cx, dev: DevId) {
    let urgent = linkwatch_urgent_event(cx.k, dev);
    let pending = cx.k.link_watch.events.contains(&dev);
    if !pending {
        cx.k.link_watch.events.push(dev);
    }
    if !pending || urgent {
        linkwatch_schedule_work(cx, urgent);
    }
}

fn linkwatch_schedule_work(cx: &mut Cx, urgent: bool) {
    let (now, next_event, watch) = (cx.now, next_event(cx), &mut cx.k.link_watch);
    if watch.urgent || watch.due.is_some() && !urgent {
        return;
    }
    watch.urgent = urgent;
    let ticks = next_event.saturating_sub(jiffies(now));
    let due = if urgent || ticks == 0 { now } else { wheel_expiry(now, now + Nanos(ticks * JIFFY)) };
    watch.due = Some(due);
    cx.set_timer(due, linkwatch_event, 0);
}

/// The worker gets its turn, if it is due: the RTNL lock was given back (`rtnl_unlock`).
pub fn linkwatch_turn(cx: &mut Cx) {
    linkwatch_event(cx, 0);
}

fn linkwatch_event(cx: &mut Cx, _: u32) {
    linkwatch_catch_up(cx);
    // What bridges do about a port's carrier may queue the work again.
    while cx.k.link_watch.due.is_some_and(|due| due <= cx.now) {
        cx.k.link_watch.due = None;
        let urgent_only = next_event(cx) > jiffies(cx.now);
        linkwatch_run_queue(cx, urgent_only);
    }
}

/// From when on events that are not urgent are taken again.
fn next_event(cx: &Cx) -> u64 {
    if cx.k.config.veth_cables { cx.link_watch.next_event } else { cx.k.link_watch.next_event }
}

fn linkwatch_run_queue(cx: &mut Cx, urgent_only: bool) {
    let shared = &mut *cx.link_watch;
    shared.runs += 1;
    if !urgent_only {
        let next_event = jiffies(cx.now) + HZ;
        (shared.next_event, shared.full_runs) = (next_event, shared.full_runs + 1);
        cx.k.link_watch.next_event = next_event;
    }
    cx.k.link_watch.seen = (shared.runs, shared.full_runs);
    take_events(cx, urgent_only);
}

/// Of machines that are namespaces of one kernel, one's work is that of all: what it did for another one is done for this one, before
/// something changes here.
pub fn linkwatch_catch_up(cx: &mut Cx) {
    if !cx.k.config.veth_cables {
        return;
    }
    let now = (cx.link_watch.runs, cx.link_watch.full_runs);
    let (runs, full_runs) = std::mem::replace(&mut cx.k.link_watch.seen, now);
    if runs != now.0 && !cx.k.link_watch.events.is_empty() {
        take_events(cx, full_runs == now.1);
    }
}

fn take_events(cx: &mut Cx, urgent_only: bool) {
    cx.k.link_watch.urgent = false;
    for dev in std::mem::take(&mut cx.k.link_watch.events) {
        if urgent_only && !linkwatch_urgent_event(cx.k, dev) {
            cx.k.link_watch.events.push(dev);
        } else {
            linkwatch_do_dev(cx, dev);
        }
    }
    if !cx.k.link_watch.events.is_empty() {
        linkwatch_schedule_work(cx, false);
    }
}

fn linkwatch_do_dev(cx: &mut Cx, dev: DevId) {
    cx.k.devs[dev].operstate = default_operstate(cx.k, dev);
    if !cx.k.devs[dev].is_up() {
        return;
    }
    if cx.k.devs[dev].carrier {
        dev_activate(cx, dev)
    } else {
        dev_deactivate(cx, dev)
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::Change { flags: 0 });
}

/// A device is unregistered.
pub fn linkwatch_forget_dev(cx: &mut Cx, dev: DevId) {
    cx.k.link_watch.events.retain(|waiting| *waiting != dev);
}

/// A machine whose cables are connected has been up for a while: nothing holds later events back.
pub fn linkwatch_settle(cx: &mut Cx) {
    linkwatch_run_queue(cx, false);
    (cx.k.link_watch.due, cx.k.link_watch.next_event, cx.k.link_watch.seen) = (None, 0, (0, 0));
    *cx.link_watch = SharedLinkWatch::default();
}
