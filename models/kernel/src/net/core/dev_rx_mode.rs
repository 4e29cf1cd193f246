//! What a device receives besides frames to its own address.
//!
//! Kernel: net/core/dev.c (`dev_set_promiscuity`, `dev_set_allmulti`), net/core/dev_addr_lists.c (`dev_uc_sync`, `dev_mc_sync`)

use super::dev_addr_lists::{dev_mc_add, dev_mc_del, dev_uc_add, dev_uc_del};
use crate::Cx;
use crate::ids::DevId;
use crate::tables::klog::LOG_INFO;
use crate::tables::netdev::{IFF_ALLMULTI, IFF_PROMISC, RxMode};

/// Tells a driver that needs to know that the addresses of its device, or what else it takes, changed. One that has no filter for
/// several addresses takes all frames.
pub fn dev_set_rx_mode(cx: &mut Cx, dev: DevId) {
    let netdev = &mut cx.k.devs[dev];
    let needs_all = !netdev.unicast_flt && !netdev.uc.is_empty();
    if netdev.is_up() && netdev.uc_promisc != needs_all {
        netdev.uc_promisc = needs_all;
        dev_set_promiscuity(cx, dev, if needs_all { 1 } else { -1 });
    }
    if let Some(set_rx_mode) = cx.k.devs[dev].ops.set_rx_mode {
        set_rx_mode(cx, dev);
    }
}

/// Promiscuous mode and all multicast as the user sets them (a part of `__dev_change_flags`).
pub fn dev_change_gflags(cx: &mut Cx, dev: DevId, promisc: Option<bool>, allmulti: Option<bool>) {
    for (wanted, flag) in [(promisc, IFF_PROMISC), (allmulti, IFF_ALLMULTI)] {
        let Some(on) = wanted.filter(|on| *on != (cx.k.devs[dev].gflags & flag != 0)) else { continue };
        cx.k.devs[dev].gflags ^= flag;
        let inc = if on { 1 } else { -1 };
        if flag == IFF_PROMISC { dev_set_promiscuity(cx, dev, inc) } else { dev_set_allmulti(cx, dev, inc) }
    }
}

/// Changes the promiscuity count (`dev_set_promiscuity`).
pub fn dev_set_promiscuity(cx: &mut Cx, dev: DevId, inc: i32) {
    let netdev = &mut cx.k.devs[dev];
    netdev.promiscuity = netdev.promiscuity.saturating_add_signed(inc);
    let (was, is) = (netdev.flags & IFF_PROMISC != 0, netdev.promiscuity > 0);
    set_flag(&mut netdev.flags, IFF_PROMISC, is);
    if was != is {
        let line = format!("device {} {} promiscuous mode", netdev.name, if is { "entered" } else { "left" });
        cx.printk(LOG_INFO, line);
        dev_set_rx_mode(cx, dev);
    }
}

/// Changes the allmulti count (`dev_set_allmulti`).
pub fn dev_set_allmulti(cx: &mut Cx, dev: DevId, inc: i32) {
    let netdev = &mut cx.k.devs[dev];
    netdev.allmulti = netdev.allmulti.saturating_add_signed(inc);
    let (was, is) = (netdev.flags & IFF_ALLMULTI != 0, netdev.allmulti > 0);
    set_flag(&mut netdev.flags, IFF_ALLMULTI, is);
    if was != is {
        dev_set_rx_mode(cx, dev);
    }
}

fn set_flag(flags: &mut u32, flag: u32, on: bool) {
    if on {
        *flags |= flag;
    } else {
        *flags &= !flag;
    }
}

/// A lower device is to receive what an upper one wants, besides what it was asked for it before (`dev_uc_sync`, `dev_mc_sync`,
/// and `dev_uc_unsync`, `dev_mc_unsync`).
pub fn sync_rx_mode(cx: &mut Cx, upper: DevId, lower: DevId, wanted: RxMode) {
    let all = &mut cx.k.devs[upper].rx_asked;
    let asked = all.remove(&lower).unwrap_or_default();
    if wanted != RxMode::default() {
        all.insert(lower, wanted.clone());
    }
    for address in wanted.uc.iter().filter(|address| !asked.uc.contains(address)) {
        dev_uc_add(cx, lower, *address);
    }
    for address in asked.uc.iter().filter(|address| !wanted.uc.contains(address)) {
        dev_uc_del(cx, lower, *address);
    }
    for address in wanted.mc.iter().filter(|address| !asked.mc.contains(address)) {
        dev_mc_add(cx, lower, *address);
    }
    for address in asked.mc.iter().filter(|address| !wanted.mc.contains(address)) {
        dev_mc_del(cx, lower, *address);
    }
    let inc = |before: bool, now: bool| i32::from(now) - i32::from(before);
    dev_set_promiscuity(cx, lower, inc(asked.promisc, wanted.promisc));
    dev_set_allmulti(cx, lower, inc(asked.allmulti, wanted.allmulti));
}
