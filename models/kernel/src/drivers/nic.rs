//! A plain NIC: a receive ring that an interrupt and NAPI poll empty, immediate transmission.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c, whose names it carries.

use std::collections::VecDeque;

use glassnet_hardware::PlugId;
use glassnet_wire::{BufId, BufPool};

use crate::door::{Door, Func};
use crate::event::Event;
use crate::ids::{DevId, SkbId};
use crate::kernel::INIT_NET;
use crate::link::{DrvInfo, EthtoolOps, LinkKsettings, LinkOps, RingParam};
use crate::net::core::dev::{alloc_netdev, napi_schedule, register_netdevice};
use crate::net::core::link_watch;
use crate::net::ethernet::eth::{eth_hw_addr_random, eth_type_trans, ether_setup};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{NameAssign, NetDevice};
use crate::tables::softnet::Napi;
use crate::{Cx, Kernel};

/// State of the driver.
#[derive(Debug)]
struct Nic {
    /// Port of its cable.
    plug: PlugId,
    /// The driver's name, as `ethtool -i` prints it.
    driver: String,
    /// The receive ring: frames that were not polled.
    rx: VecDeque<BufId>,
    /// Its descriptors.
    rx_pending: u32,
    /// The interrupt is masked: NAPI is scheduled, or about to be.
    masked: bool,
}

/// Descriptors of a receive ring: at first, at least and at most.
const E1000_RXD: [u32; 3] = [256, 64, 4096];
/// Their number is a multiple of this (`REQ_RX_DESCRIPTOR_MULTIPLE`).
const RXD_MULTIPLE: u32 = 8;

/// Link operations. The kind has no name: users do not create NICs.
static LINK_OPS: LinkOps = LinkOps {
    stop: Some(e1000e_close),
    poll: Some(poll),
    ethtool: EthtoolOps {
        get_drvinfo: Some(get_drvinfo),
        get_link_ksettings: Some(get_link_ksettings),
        get_ringparam: Some(get_ringparam),
        set_ringparam: Some(set_ringparam),
        is_hardware: true,
        get_link: true,
        tx_timestamps: true,
        ..EthtoolOps::NONE
    },
    ..LinkOps::new(None, setup, |skb| Door::NicXmit { skb })
};

/// Largest MTU of the card, bytes.
const MAX_MTU: u32 = 9202;

fn setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = MAX_MTU;
    dev.carrier = false;
}

fn get_drvinfo(dev: &NetDevice) -> DrvInfo<'_> {
    let driver = dev.netdev_priv::<Nic>().map_or("", |nic| &nic.driver);
    DrvInfo { driver, version: "6.1.0", fw_version: "", bus_info: "" }
}

fn get_link_ksettings(_: &Kernel, dev: &NetDevice) -> LinkKsettings {
    let has_link = dev.is_up() && dev.carrier;
    LinkKsettings { speed: has_link.then_some(1000), full_duplex: has_link, twisted_pair: true }
}

fn get_ringparam(dev: &NetDevice) -> RingParam {
    let [default, _, max] = E1000_RXD;
    let rx = dev.netdev_priv::<Nic>().map_or(default, |nic| nic.rx_pending);
    RingParam { rx_max: max, tx_max: max, rx, tx: default }
}

/// A smaller ring loses what it has no room for, as the real driver's, which lets the link go for a moment: that is not
/// modelled.
fn set_ringparam(cx: &mut Cx, dev: DevId, rx: u32) {
    let [_, min, max] = E1000_RXD;
    let Some(nic) = cx.k.devs[dev].netdev_priv_mut::<Nic>() else { return };
    nic.rx_pending = rx.clamp(min, max).next_multiple_of(RXD_MULTIPLE);
    let lost = nic.rx.split_off(nic.rx.len().min(nic.rx_pending as usize));
    lost.into_iter().for_each(|frame| cx.skbs.bufs.release(frame));
}

/// Probes a NIC: registers its device in the initial namespace.
///
/// # Panics
///
/// If the machine has a device of this name.
pub fn probe(cx: &mut Cx, name: &str, driver: &str, plug: PlugId) -> DevId {
    let mut dev = alloc_netdev(INIT_NET, name.to_owned(), NameAssign::Enum, &LINK_OPS);
    let [rx_pending, ..] = E1000_RXD;
    dev.set_priv(Nic { plug, driver: driver.to_owned(), rx: VecDeque::new(), rx_pending, masked: false });
    dev.perm_addr = eth_hw_addr_random(cx, INIT_NET, name);
    dev.addr = dev.perm_addr;
    register_netdevice(cx, dev).expect("a lesson names its cards differently")
}

/// A cable is connected, before anything happens on the machine.
pub fn link_up(cx: &mut Cx, dev: DevId) {
    link_watch::netif_carrier_on(cx, dev);
    link_watch::linkwatch_settle(cx);
}

/// The frames in the ring are lost.
fn e1000e_close(cx: &mut Cx, dev: DevId) {
    let Some(nic) = cx.k.devs[dev].netdev_priv_mut::<Nic>() else { return };
    std::mem::take(&mut nic.rx).into_iter().for_each(|frame| cx.skbs.bufs.release(frame));
}

/// Beside a frame on a cable: the packet says that its next hop answers.
const CONFIRMS: u32 = 1 << 31;

/// Transmits the frame.
///
/// Kernel: drivers/net/ethernet/intel/e1000e/netdev.c
/// Not modelled: transmit descriptors.
pub fn e1000_xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let Some(nic) = cx.k.devs[dev].netdev_priv::<Nic>() else {
        return cx.kfree_skb(skb, DropReason::DevReady);
    };
    let plug = nic.plug;
    let stats = &mut cx.k.devs[dev].stats;
    stats.tx_packets += 1;
    stats.tx_bytes += len;
    let frame = cx.skbs.bufs.alloc(len as usize);
    let (from, to) = (cx.skbs[skb].data as usize, cx.skbs[skb].tail as usize);
    cx.skbs.bufs.copy_between(cx.skbs[skb].buf, from..to, frame);
    // The same packet for observers at the other end.
    let confirms = cx.skbs[skb].dst_pending_confirm && cx.k.config.veth_cables;
    cx.skbs.bufs.set_tag(frame, cx.skbs[skb].packet | if confirms { CONFIRMS } else { 0 });
    cx.fabric.transmit(plug, frame, cx.now, &mut cx.skbs.bufs, cx.arrivals);
    for arrival in cx.arrivals.drain(..) {
        cx.events.schedule(arrival.at, Event::Frame { plug: arrival.plug, frame: arrival.frame });
    }
    cx.consume_skb(skb)
}

/// The card writes a frame into memory, if there is a descriptor for it; no CPU takes part. True: it raises its interrupt.
pub fn dma(kernel: &mut Kernel, bufs: &mut BufPool, dev: DevId, frame: BufId) -> bool {
    let Some(netdev) = kernel.devs.get_mut(dev).filter(|netdev| netdev.is_up()) else {
        bufs.release(frame);
        return false;
    };
    let Some(nic) = netdev.netdev_priv_mut::<Nic>() else { return false };
    if nic.rx.len() >= nic.rx_pending as usize {
        netdev.stats.rx_missed_errors += 1;
        bufs.release(frame);
        return false;
    }
    nic.rx.push_back(frame);
    !std::mem::replace(&mut nic.masked, true)
}

/// Interrupt for received frames.
pub fn interrupt(cx: &mut Cx, dev: DevId) {
    cx.call(Func::NicIrq, None);
    napi_schedule(cx, Napi::Device(dev));
}

/// NAPI poll: receives up to `budget` frames and returns their number.
fn poll(cx: &mut Cx, dev: DevId, budget: u32) -> u32 {
    cx.within_resumable(Func::NicPoll, |cx| {
        for work in 0..budget {
            if cx.suspend(work) {
                return work;
            }
            let Some(netdev) = cx.k.devs.get_mut(dev) else { return work };
            let Some(nic) = netdev.netdev_priv_mut::<Nic>() else { return work };
            let Some(frame) = nic.rx.pop_front() else {
                nic.masked = false;
                return work;
            };
            netdev.stats.rx_packets += 1;
            netdev.stats.rx_bytes += cx.skbs.bufs.bytes(frame).len() as u64;
            let tag = cx.skbs.bufs.tag(frame);
            let skb = cx.skbs.build_skb(frame, 0, dev);
            cx.skbs[skb].packet = tag & !CONFIRMS;
            cx.skbs[skb].dst_pending_confirm = tag & CONFIRMS != 0;
            if eth_type_trans(cx, skb, dev) {
                cx.walk(Door::NapiGroReceive { skb });
            } else {
                cx.kfree_skb(skb, DropReason::HdrTrunc);
            }
        }
        budget
    })
}
