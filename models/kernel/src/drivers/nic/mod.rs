//! Network cards: receive rings that interrupts and NAPI empty, immediate transmission.
//!
//! | module | owns |
//! |---|---|
//! | [`e1000e`], [`igb`] | a row each: what a driver calls itself and its functions, and how much it can |
//! | [`ethtool`] | what all drivers tell and are told |
//! | [`itr`] | how often a card may interrupt |
//!
//! What drivers do alike stands here, with the names of e1000e. The card itself is [`glassnet_hardware::Card`]: it fills
//! descriptors and asks for interrupts without a CPU.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c, drivers/net/ethernet/intel/igb/igb_main.c

pub mod e1000e;
mod ethtool;
pub mod igb;
mod itr;

use glassnet_hardware::card::RxFrame;
use glassnet_hardware::{Card, PlugId, Rss};
use glassnet_sim::Nanos;

use self::itr::Itr;
use crate::door::{Door, Func};
use crate::event::{Event, schedule_arrivals};
use crate::ids::{CpuId, DevId, SkbId};
use crate::kernel::INIT_NET;
use crate::link::LinkOps;
use crate::net::core::dev::{alloc_netdev, napi_schedule, register_netdevice};
use crate::net::core::link_watch;
use crate::net::ethernet::eth::{eth_hw_addr_random, eth_type_trans, ether_setup};
use crate::tables::drop_reason::DropReason;
use crate::tables::netdev::{NameAssign, NetDevice};
use crate::tables::softnet::Napi;
use crate::{Cx, Kernel};

/// A driver.
#[derive(Debug)]
pub struct Driver {
    /// What `ethtool -i` prints for the driver and its firmware.
    pub info: [&'static str; 2],
    /// Its link operations. The kind has no name: users do not create NICs.
    pub link: &'static LinkOps,
    /// Receive rings at most.
    pub max_rings: usize,
    /// Names of the interrupt vectors of a card of this name with so many rings.
    pub vectors: fn(&str, usize) -> Vec<String>,
    /// The vector of the first receive ring; the others follow.
    pub rx_vector: usize,
    /// Sends a frame.
    pub xmit: Func,
    /// Handles the interrupt of a receive ring.
    pub interrupt: Func,
    /// Polls a ring.
    pub poll: Func,
    /// Takes frames from a receive ring.
    pub clean_rx: Func,
    /// Gives descriptors back.
    pub alloc_rx: Func,
}

/// All drivers; a card whose driver is none of them works like the first.
static DRIVERS: [&Driver; 2] = [&e1000e::DRIVER, &igb::DRIVER];

/// The driver of this name.
pub fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.into_iter().find(|driver| driver.info[0] == name)
}

/// The function puts a frame on a wire.
pub fn transmits(func: Func) -> bool {
    DRIVERS.iter().any(|driver| driver.xmit == func)
}

/// What a card is told when it is made.
#[derive(Clone, Debug, Default)]
pub struct NicSettings {
    /// The driver's name.
    pub driver: String,
    /// Receive rings, if another number than the driver's own choice.
    pub rings: Option<u32>,
    /// Descriptors of each, if another number than the driver's own choice.
    pub rx_ring: Option<u32>,
}

/// State of the driver.
#[derive(Debug)]
struct Nic {
    row: &'static Driver,
    /// The driver's name, as `ethtool -i` prints it.
    name: String,
    /// Port of its cable.
    plug: PlugId,
    /// Its place on the PCI bus.
    slot: u32,
    /// Numbers of its interrupts, by vectors.
    irqs: Vec<u32>,
    /// Its receive rings.
    rings: Vec<Ring>,
    /// Descriptors of each.
    rx_pending: u32,
    /// `rx-usecs`, as a user sets it.
    rx_usecs: u32,
    /// What the card's RSS was told, which a CPU does not read back.
    rss: Rss,
}

/// The driver's side of a receive ring.
#[derive(Debug, Default)]
struct Ring {
    /// Descriptors that were emptied and not given back.
    unused: u32,
    itr: Itr,
    packets: u64,
    bytes: u64,
}

/// Descriptors of a receive ring: at first, at least and at most.
pub const RXD: [u32; 3] = [256, 64, 4096];
/// Their number is a multiple of this (`REQ_RX_DESCRIPTOR_MULTIPLE`).
const RXD_MULTIPLE: u32 = 8;
/// How many are given back at once (`E1000_RX_BUFFER_WRITE`, `IGB_RX_BUFFER_WRITE`).
const RX_BUFFER_WRITE: u32 = 16;
/// The first place on the PCI bus that is not the machine's own.
const FIRST_SLOT: u32 = 3;
/// Interrupts of a function of the PCI bus: they begin at this multiple of its slot.
const MSI_OF_SLOT: u32 = 1 << 14;
/// Largest MTU of the cards, bytes.
const MAX_MTU: u32 = 9202;

/// The number of descriptors that a driver makes of a wish.
fn rx_descriptors(wish: u32) -> u32 {
    let [_, min, max] = RXD;
    wish.clamp(min, max).next_multiple_of(RXD_MULTIPLE)
}

fn setup(dev: &mut NetDevice) {
    ether_setup(dev);
    dev.max_mtu = MAX_MTU;
    dev.carrier = false;
}

fn nic(dev: &NetDevice) -> Option<&Nic> {
    dev.netdev_priv()
}

fn nic_mut<'c>(cx: &'c mut Cx, dev: DevId) -> Option<&'c mut Nic> {
    cx.k.devs.get_mut(dev)?.netdev_priv_mut()
}

/// Probes a card: registers its device in the initial namespace.
///
/// # Panics
///
/// If the machine has a device of this name.
pub fn probe(cx: &mut Cx, name: &str, settings: &NicSettings) -> (DevId, PlugId) {
    let row = driver(&settings.driver).unwrap_or(DRIVERS[0]);
    let cpus = cx.k.cpus.len();
    let rings = settings.rings.map_or(cpus, |rings| rings as usize).clamp(1, row.max_rings);
    let rx_pending = rx_descriptors(settings.rx_ring.unwrap_or(RXD[0]));
    let mut key = [0; glassnet_hardware::rss::KEY_BYTES];
    if row.max_rings > 1 {
        cx.dice.fill(&mut key);
    }
    let rss = Rss::new(key, rings);
    let plug = cx.fabric.add_card(Card::new(rings, rx_pending, rss.clone()));
    let slot = FIRST_SLOT + cx.k.devs.iter().filter(|dev| nic(dev).is_some()).count() as u32;
    let mut dev = alloc_netdev(INIT_NET, name.to_owned(), NameAssign::Enum, row.link);
    let mut nic = Nic {
        row,
        name: settings.driver.clone(),
        plug,
        slot,
        irqs: Vec::new(),
        rings: Vec::new(),
        rx_pending,
        rx_usecs: itr::DEFAULT,
        rss,
    };
    set_rings(cx.k, &mut nic, name, rings);
    (dev.num_rx_queues, dev.num_tx_queues) = (rings as u32, 1);
    dev.set_priv(nic);
    dev.perm_addr = eth_hw_addr_random(cx, INIT_NET, name);
    dev.addr = dev.perm_addr;
    let dev = register_netdevice(cx, dev).expect("a lesson names its cards differently");
    (dev, plug)
}

/// The driver's side of so many rings, with an interrupt for each of its vectors.
fn set_rings(kernel: &mut Kernel, nic: &mut Nic, name: &str, rings: usize) {
    nic.irqs.drain(..).for_each(|irq| kernel.irqs.release(irq));
    let first = nic.slot * MSI_OF_SLOT;
    let vectors = (nic.row.vectors)(name, rings).len() as u32;
    let cpus = kernel.cpus.len();
    nic.irqs = (0..vectors).map(|vector| kernel.irqs.alloc_msi(first + vector, cpus)).collect();
    nic.rings = (0..rings).map(|_| Ring::default()).collect();
}

/// A cable is connected, before anything happens on the machine.
pub fn link_up(cx: &mut Cx, dev: DevId) {
    link_watch::netif_carrier_on(cx, dev);
    link_watch::linkwatch_settle(cx);
}

/// The card comes up, with empty rings.
fn open(cx: &mut Cx, dev: DevId) {
    let name = cx.k.devs[dev].name.clone();
    let Some(nic) = cx.k.devs[dev].netdev_priv::<Nic>() else { return };
    let vectors = (nic.row.vectors)(&name, nic.rings.len());
    for (irq, vector) in nic.irqs.iter().zip(vectors) {
        cx.k.irqs.request(*irq, vector);
    }
    reset(cx, dev);
}

/// The card goes down: what is in its rings is lost.
fn close(cx: &mut Cx, dev: DevId) {
    reset(cx, dev);
    let Some(nic) = cx.k.devs[dev].netdev_priv::<Nic>() else { return };
    nic.irqs.iter().for_each(|irq| cx.k.irqs.free(*irq));
}

/// Gives the card fresh rings; what the old ones hold is lost.
fn reset(cx: &mut Cx, dev: DevId) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, rings, descriptors, usecs) = (nic.plug, nic.rings.len(), nic.rx_pending, nic.rx_usecs);
    for ring in &mut nic.rings {
        (ring.unused, ring.itr) = (0, Itr::new(usecs));
    }
    let rss = nic.rss.clone();
    let moderates = cx.k.config.exec_time > Nanos::ZERO;
    let Some(card) = cx.fabric.card(plug) else { return };
    let lost = card.reset(rings, descriptors);
    card.rss = rss;
    for ring in 0..rings {
        card.set_interval(ring, if moderates { Itr::new(usecs).interval() } else { Nanos::ZERO });
    }
    lost.into_iter().for_each(|frame| cx.skbs.bufs.release(frame));
}

/// Beside a frame on a cable: the packet says that its next hop answers.
const CONFIRMS: u32 = 1 << 31;

/// Transmits a frame.
fn xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u64);
    let Some(nic) = nic(&cx.k.devs[dev]) else {
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
    cx.fabric.transmit(plug, frame, cx.now, (&mut cx.skbs.bufs, cx.dice), cx.arrivals);
    schedule_arrivals(cx.events, cx.arrivals);
    cx.consume_skb(skb)
}

/// The interrupt of a receive ring, and the CPU that gets it; `None`: the card is down.
#[inline]
pub fn irq(kernel: &Kernel, dev: DevId, ring: usize) -> Option<(u32, CpuId)> {
    let netdev = kernel.devs.get(dev).filter(|netdev| netdev.is_up())?;
    let nic = nic(netdev)?;
    let irq = *nic.irqs.get(nic.row.rx_vector + ring)?;
    Some((irq, kernel.irqs.get(irq)?.effective))
}

/// Handles the interrupt of a receive ring.
pub fn interrupt(cx: &mut Cx, dev: DevId, ring: usize) {
    let Some(row) = cx.k.devs.get(dev).and_then(nic).map(|nic| nic.row) else { return };
    cx.call(row.interrupt, None);
    napi_schedule(cx, Napi::Device(dev, ring as u32));
}

/// NAPI poll of a ring: receives up to `budget` frames and returns their number.
fn poll(cx: &mut Cx, dev: DevId, ring: u32, budget: u32) -> u32 {
    let Some(row) = cx.k.devs.get(dev).and_then(nic).map(|nic| nic.row) else { return 0 };
    cx.within_resumable(row.poll, |cx| {
        let work = cx.within_resumable(row.clean_rx, |cx| clean_rx(cx, dev, ring as usize, budget, row));
        if work < budget && !cx.suspends {
            napi_complete(cx, dev, ring as usize);
        }
        work
    })
}

/// Takes up to `budget` frames from a ring, and gives their descriptors back a few at a time.
fn clean_rx(cx: &mut Cx, dev: DevId, ring: usize, budget: u32, row: &Driver) -> u32 {
    let mut work = 0;
    while work < budget {
        if cx.suspend(work) {
            return work;
        }
        let Some(netdev) = cx.k.devs.get_mut(dev) else { return work };
        let Some(nic) = netdev.netdev_priv_mut::<Nic>() else { return work };
        let (plug, side) = (nic.plug, &mut nic.rings[ring]);
        let card = cx.fabric.card(plug);
        let Some(received) = card.and_then(|card| card.take(ring)) else { break };
        let len = cx.skbs.bufs.bytes(received.frame).len() as u64;
        (side.packets, side.bytes, side.unused) = (side.packets + 1, side.bytes + len, side.unused + 1);
        side.itr.count(len);
        let full = side.unused == RX_BUFFER_WRITE;
        netdev.stats.rx_packets += 1;
        netdev.stats.rx_bytes += len;
        receive(cx, dev, ring, received);
        if full {
            give_back(cx, dev, ring, row);
        }
        work += 1;
    }
    give_back(cx, dev, ring, row);
    work
}

/// Gives the card the descriptors back that were emptied.
fn give_back(cx: &mut Cx, dev: DevId, ring: usize, row: &Driver) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, unused) = (nic.plug, std::mem::take(&mut nic.rings[ring].unused));
    if unused > 0 {
        if let Some(card) = cx.fabric.card(plug) {
            card.give_back(ring, unused);
        }
        cx.call(row.alloc_rx, None);
    }
}

/// Makes a packet of a received frame and hands it on.
fn receive(cx: &mut Cx, dev: DevId, ring: usize, received: RxFrame) {
    let tag = cx.skbs.bufs.tag(received.frame);
    let skb = cx.skbs.build_skb(received.frame, 0, dev);
    let pkt = &mut cx.skbs[skb];
    pkt.packet = tag & !CONFIRMS;
    pkt.dst_pending_confirm = tag & CONFIRMS != 0;
    (pkt.hash, pkt.l4_hash) = received.hash.unwrap_or_default();
    pkt.rx_queue = ring as u16;
    if eth_type_trans(cx, skb, dev) {
        cx.walk(Door::NapiGroReceive { skb });
    } else {
        cx.kfree_skb(skb, DropReason::HdrTrunc);
    }
}

/// The ring is empty: the interrupt is unmasked, and may come again after a time that follows from what came in.
fn napi_complete(cx: &mut Cx, dev: DevId, ring: usize) {
    cx.call(Func::NapiCompleteDone, None);
    let (now, moderates) = (cx.now, cx.k.config.exec_time > Nanos::ZERO);
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, side) = (nic.plug, &mut nic.rings[ring]);
    let changed = side.itr.update();
    let interval = side.itr.interval();
    let Some(card) = cx.fabric.card(plug) else { return };
    if changed && moderates {
        card.set_interval(ring, interval);
    }
    if let Some(at) = card.unmask(ring, now) {
        cx.events.schedule(at, Event::Interrupt { plug, ring: ring as u32 });
    }
}
