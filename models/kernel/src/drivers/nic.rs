//! A plain network card: a frame in, an interrupt, a poll; a frame out, at once.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c, whose names it carries.

use std::collections::VecDeque;

use glassnet_hardware::PlugId;
use glassnet_wire::BufId;

use super::veth::eth_hw_addr_random;
use crate::Cx;
use crate::door::{Door, Func};
use crate::ids::{DevId, SkbId};
use crate::kernel::INIT_NET;
use crate::net::core::dev::{eth_type_trans, napi_schedule};
use crate::net::core::link_watch;
use crate::net::core::rtnetlink::register_netdevice;
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{DevKind, Nic};
use crate::tables::softnet::Napi;

/// A driver found its card: the device appears in the machine's first namespace.
pub fn probe(cx: &mut Cx, name: &str, driver: &str, plug: PlugId) -> DevId {
    let kind = DevKind::Nic(Box::new(Nic {
        plug,
        driver: driver.to_owned(),
        rx: VecDeque::new(),
        napi_scheduled: false,
    }));
    let addr = eth_hw_addr_random(cx, name);
    register_netdevice(cx, INIT_NET, name.to_owned(), kind, addr)
}

/// A cable was plugged in.
pub fn link_up(cx: &mut Cx, dev: DevId) {
    link_watch::netif_carrier_on(cx, dev);
}

/// Puts the frame on the wire.
///
/// Kernel: drivers/net/ethernet/intel/e1000e/netdev.c
/// Not modelled: transmit descriptors.
pub fn e1000_xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let DevKind::Nic(nic) = &cx.k.devs[dev].kind else {
        return cx.kfree_skb(skb, DropReason::DevReady);
    };
    let plug = nic.plug;
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    let frame = cx.skbs.bufs.alloc(len as usize);
    let (from, to) = (cx.skbs[skb].data as usize, cx.skbs[skb].tail as usize);
    cx.skbs.bufs.copy_between(cx.skbs[skb].buf, from..to, frame);
    // So that the packet is the same one for whoever looks on at the other end.
    cx.skbs.bufs.set_tag(frame, cx.skbs[skb].packet);
    cx.fabric.transmit(plug, frame, cx.now, &mut cx.skbs.bufs, cx.arrivals);
    cx.consume_skb(skb)
}

/// The card interrupts: a frame is there.
pub fn interrupt(cx: &mut Cx, dev: DevId, frame: BufId) {
    let Some(netdev) = cx.k.devs.get_mut(dev).filter(|netdev| netdev.is_up()) else {
        cx.skbs.bufs.release(frame);
        return;
    };
    let DevKind::Nic(nic) = &mut netdev.kind else { return };
    nic.rx.push_back(frame);
    if std::mem::replace(&mut nic.napi_scheduled, true) {
        return;
    }
    cx.call(Func::NicIrq, None);
    napi_schedule(cx, Napi::Device(dev));
}

/// The driver's poll: takes up to `budget` frames; returns how many.
pub fn poll(cx: &mut Cx, dev: DevId, budget: u32) -> u32 {
    cx.within(Func::NicPoll, None, |cx| {
        for work in 0..budget {
            let Some(netdev) = cx.k.devs.get_mut(dev) else { return work };
            let DevKind::Nic(nic) = &mut netdev.kind else { return work };
            let Some(frame) = nic.rx.pop_front() else {
                nic.napi_scheduled = false;
                return work;
            };
            netdev.stats.rx_packets += 1;
            netdev.stats.rx_bytes += cx.skbs.bufs.bytes(frame).len() as u64;
            let packet = cx.skbs.bufs.tag(frame);
            let skb = cx.skbs.build_skb(frame, 0, dev);
            cx.skbs[skb].packet = packet;
            if eth_type_trans(cx, skb, dev) {
                cx.walk(Door::NapiGroReceive { skb });
            } else {
                cx.kfree_skb(skb, DropReason::HdrTrunc);
            }
        }
        budget
    })
}
