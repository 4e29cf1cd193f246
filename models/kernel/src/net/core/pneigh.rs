//! Answers for other machines (proxy ARP) that wait for their time.
//!
//! Kernel: net/core/neighbour.c

use glassnet_sim::Nanos;

use crate::door::Door;
use crate::ids::{DevId, SkbId};
use crate::tables::drop_reason::DropReason;
use crate::tables::jiffies::{JIFFY, last_tick, wheel_expiry};
use crate::tables::netdev::IFF_UP;
use crate::{Cx, Kernel};

/// A request waits for up to `proxy_delay`, so that a machine that has the address itself answers first. Those beyond
/// `proxy_qlen` are dropped.
///
/// Kernel: net/core/neighbour.c
/// Not modelled: nothing.
pub fn pneigh_enqueue(cx: &mut Cx, skb: SkbId) -> Door {
    let dev = cx.skbs[skb].dev;
    let Some(parms) = cx.k.inet.get(dev).map(|inet| inet.arp) else {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    };
    if waiting(cx, dev) > parms.proxy_qlen as usize {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let delay = Nanos(cx.dice.below(parms.proxy_delay.0 / JIFFY) * JIFFY);
    let due = last_tick(cx.now) + delay;
    cx.skbs[skb].drop_dst();
    cx.k.neigh.proxy_queue.push_back((skb, due));
    let armed = cx.k.neigh.proxy_timer;
    set_timer(cx, armed.map_or(due, |armed| armed.min(due)));
    Door::End
}

/// How many requests of a device wait.
fn waiting(cx: &Cx, dev: DevId) -> usize {
    cx.k.neigh.proxy_queue.iter().filter(|(skb, _)| cx.skbs[*skb].dev == dev).count()
}

fn set_timer(cx: &mut Cx, at: Nanos) {
    let expiry = wheel_expiry(cx.now, at);
    cx.k.neigh.proxy_timer = Some(expiry);
    cx.set_timer(expiry, neigh_proxy_process, 0);
}

/// The timer of the queue: requests whose time has come are looked at again. Ignored if it was set anew.
fn neigh_proxy_process(cx: &mut Cx, _: u32) {
    let now = last_tick(cx.now);
    if cx.k.neigh.proxy_timer.is_none_or(|at| at > now) {
        return;
    }
    cx.k.neigh.proxy_timer = None;
    for (skb, due) in std::mem::take(&mut cx.k.neigh.proxy_queue) {
        if due > now {
            cx.k.neigh.proxy_queue.push_back((skb, due));
        } else if cx.k.devs[cx.skbs[skb].dev].flags & IFF_UP != 0 {
            cx.walk(Door::ParpRedo { skb });
        } else {
            cx.kfree_skb(skb, DropReason::NotSpecified);
        }
    }
    if let Some(next) = cx.k.neigh.proxy_queue.iter().map(|(_, due)| *due).min() {
        set_timer(cx, next);
    }
}

/// A device loses the addresses that it answers for, and its whole namespace the requests that wait (`pneigh_ifdown`,
/// `pneigh_queue_purge`).
pub fn pneigh_ifdown(cx: &mut Cx, dev: DevId) {
    cx.k.neigh.proxies.retain(|proxy| proxy.0 != Some(dev));
    let netns = |k: &Kernel, dev: DevId| k.devs[dev].netns;
    let purged = netns(cx.k, dev);
    for (skb, due) in std::mem::take(&mut cx.k.neigh.proxy_queue) {
        if netns(cx.k, cx.skbs[skb].dev) == purged {
            cx.kfree_skb(skb, DropReason::NotSpecified);
        } else {
            cx.k.neigh.proxy_queue.push_back((skb, due));
        }
    }
    if cx.k.neigh.proxy_queue.is_empty() {
        cx.k.neigh.proxy_timer = None;
    }
}
