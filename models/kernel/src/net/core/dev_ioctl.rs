//! Switching devices on and off.
//!
//! Kernel: net/core/dev.c (`dev_open`, `dev_close`), drivers/net/veth.c, net/bridge/br_device.c

use super::link_watch::{linkwatch_run, netif_carrier_off, netif_carrier_on};
use super::notifier::{NetdevEvent, call_netdevice_notifiers};
use crate::Cx;
use crate::drivers::veth;
use crate::ids::DevId;
use crate::net::bridge::br_multicast;
use crate::tables::netdev::{DevKind, IFF_ALLMULTI, IFF_PROMISC, IFF_UP};

/// Brings a device up.
pub fn dev_open(cx: &mut Cx, dev: DevId) {
    if cx.k.devs[dev].is_up() {
        return;
    }
    cx.k.devs[dev].flags |= IFF_UP;
    dev_activate(cx, dev);
    match cx.k.devs[dev].kind {
        DevKind::Veth { .. } => {
            veth_carrier(cx, dev);
            linkwatch_run(cx, dev);
        }
        DevKind::Bridge(_) => br_multicast::br_multicast_join_snoopers(cx, dev),
        DevKind::Loopback | DevKind::Nic(_) => linkwatch_run(cx, dev),
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::Up);
}

/// Gives a device its queueing discipline when it first comes up (`dev_activate`, net/sched/sch_generic.c).
fn dev_activate(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    if netdev.qdisc == "noop" {
        netdev.qdisc = if matches!(netdev.kind, DevKind::Nic(_)) { "fq_codel" } else { "noqueue" };
    }
}

/// Brings a device down.
pub fn dev_close(cx: &mut Cx, dev: DevId) {
    if !cx.k.devs[dev].is_up() {
        return;
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::GoingDown);
    br_multicast::br_multicast_leave_snoopers(cx, dev);
    cx.k.devs[dev].flags &= !IFF_UP;
    match cx.k.devs[dev].kind {
        DevKind::Veth { .. } => veth_carrier(cx, dev),
        DevKind::Bridge(_) => {}
        DevKind::Loopback | DevKind::Nic(_) => linkwatch_run(cx, dev),
    }
    call_netdevice_notifiers(cx, dev, NetdevEvent::Down);
}

fn veth_carrier(cx: &mut Cx, dev: DevId) {
    let Some((peer, on)) = veth::carrier(cx, dev) else { return };
    for end in [dev, peer] {
        if on { netif_carrier_on(cx, end) } else { netif_carrier_off(cx, end) }
    }
}

/// One more, or one less, wants every frame (`dev_set_promiscuity`).
pub fn dev_set_promiscuity(cx: &mut Cx, dev: DevId, inc: i32) {
    let netdev = &mut cx.k.devs[dev];
    netdev.promiscuity = netdev.promiscuity.saturating_add_signed(inc);
    set_flag(&mut netdev.flags, IFF_PROMISC, netdev.promiscuity > 0);
}

/// One more, or one less, wants every multicast frame (`dev_set_allmulti`).
pub fn dev_set_allmulti(cx: &mut Cx, dev: DevId, inc: i32) {
    let netdev = &mut cx.k.devs[dev];
    netdev.allmulti = netdev.allmulti.saturating_add_signed(inc);
    set_flag(&mut netdev.flags, IFF_ALLMULTI, netdev.allmulti > 0);
}

fn set_flag(flags: &mut u32, flag: u32, on: bool) {
    if on {
        *flags |= flag;
    } else {
        *flags &= !flag;
    }
}
