//! Network cards: rings of descriptors, interrupts and NAPI.
//!
//! | module | owns |
//! |---|---|
//! | [`cable`] | what goes with a frame beside its bytes |
//! | [`e1000e`], [`igb`] | a row each: what a driver calls itself and its functions, and how much it can |
//! | [`ne2k_pci`] | a row too, and what a driver without NAPI does |
//! | [`ethtool`] | what all drivers tell and are told |
//! | [`itr`] | how often a card may interrupt |
//! | [`link`] | the carrier, and what the ends of a cable agree on |
//! | [`mac`] | what a card does with a frame by itself: the filter of addresses, padding, counters |
//!
//! What drivers do alike stands here, with the names of e1000e. The card itself is [`glassnet_hardware::Card`]: it fills
//! descriptors and asks for interrupts without a CPU.
//!
//! Kernel: drivers/net/ethernet/intel/e1000e/netdev.c, drivers/net/ethernet/intel/igb/igb_main.c

pub mod cable;
pub mod e1000e;
mod ethtool;
pub mod igb;
mod itr;
pub mod link;
pub mod mac;
pub mod ne2k_pci;

use std::collections::VecDeque;

use glassnet_hardware::card::RxFrame;
use glassnet_hardware::{Card, Fabric, PlugId, Rss, Vectors, checksum};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use self::itr::Itr;
use self::link::{LinkRow, Phy};
use self::mac::{ETH_ZLEN, Registers, strips_tag};
use crate::door::{Door, Func};
use crate::event::{Event, schedule_arrivals};
use crate::ids::{CpuId, DevId, SkbId};
use crate::kernel::INIT_NET;
use crate::link::LinkOps;
use crate::net::core::dev::{alloc_netdev, napi_schedule, register_netdevice};
use crate::net::core::dev_queue::{
    netdev_tx_completed_queue, netdev_tx_reset_queue, netdev_tx_sent_queue, netif_tx_start_queue,
    netif_tx_stop_queue, netif_tx_wake_queue,
};
use crate::net::core::gro::napi_gro_end;
use crate::net::core::gso::{header_bytes, segment};
use crate::net::core::skbuff::dev_consume_skb_any;
use crate::net::ethernet::eth::{ETH_MAX_MTU, eth_hw_addr_random, eth_type_trans, ether_setup};
use crate::netlink::Errno;
use crate::tables::drop_reason::DropReason;
use crate::tables::irq::Irqs;
use crate::tables::netdev::{NameAssign, NetDevice};
use crate::tables::netdev_features::{
    ALL_TSO, HW_CSUM, HW_VLAN_CTAG_FILTER, HW_VLAN_CTAG_RX, HW_VLAN_CTAG_TX, HW_VLAN_STAG_TX, RXCSUM, RXHASH,
    SG,
};
use crate::tables::softnet::Napi;
use crate::tables::vlan_tag::VLAN_HLEN;
use crate::{Cx, Kernel};

/// A driver.
#[derive(Debug)]
pub struct Driver {
    /// Its name.
    pub name: &'static str,
    /// What `ethtool -i` prints for the card's firmware.
    pub fw_version: &'static str,
    /// Its link operations. The kind has no name: users do not create NICs.
    pub link: &'static LinkOps,
    /// What it calls its version; empty: the kernel's release.
    pub version: &'static str,
    /// Receive rings at most.
    pub max_rings: usize,
    /// How its cards interrupt.
    pub chip: Chip,
    /// The size of a place of the receive ring, bytes; 0: a place has room for any frame.
    pub rx_page: u32,
    /// Which packets its cards can stamp as they come in, as `ethtool -T` says it.
    pub rx_filters: &'static [&'static str],
    /// What it says of links; `None`: it knows of none.
    pub phy: Option<LinkRow>,
    /// `ip -s link` shows what the card counted, not the driver.
    pub counts_by_itself: bool,
    /// Names of the interrupt vectors of a card of this name with so many rings.
    pub vectors: fn(&str, usize) -> Vec<String>,
    /// Which of them the rings use.
    pub use_of: fn(usize) -> Vectors,
    /// Sends a frame.
    pub xmit: Func,
    /// Handles the interrupt of a vector.
    pub handler: fn(&mut Cx, DevId, usize),
    /// Its functions, if it polls (NAPI).
    pub napi: Option<NapiDriver>,
}

/// How a card interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chip {
    /// By messages, a number for each vector.
    Msi,
    /// By a line of the bus.
    IoApic,
}

/// The functions of a driver that polls.
#[derive(Debug)]
pub struct NapiDriver {
    /// Handles the interrupt of a receive ring.
    pub interrupt: Func,
    /// Polls a ring.
    pub poll: Func,
    /// Handles the interrupt of a transmit ring; `None`: it shares that of the receive ring.
    pub interrupt_tx: Option<Func>,
    /// Takes sent frames back from a transmit ring.
    pub clean_tx: Func,
    /// Takes frames from a receive ring.
    pub clean_rx: Func,
    /// Gives descriptors back.
    pub alloc_rx: Func,
    /// The card's word on a packet's checksum is looked at, if a function of its own does it.
    pub rx_checksum: Option<Func>,
    /// The door by which a received packet goes on.
    pub receive: fn(SkbId) -> Door,
}

/// All drivers; a card whose driver is none of them works like the first.
static DRIVERS: [&Driver; 3] = [&e1000e::DRIVER, &igb::DRIVER, &ne2k_pci::DRIVER];

/// The driver of this name.
pub fn driver(name: &str) -> Option<&'static Driver> {
    DRIVERS.into_iter().find(|driver| driver.name == name)
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

impl NicSettings {
    /// A card as its driver chooses.
    pub fn new(driver: &str) -> NicSettings {
        NicSettings { driver: driver.to_owned(), ..NicSettings::default() }
    }
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
    /// Its rings, a pair each.
    rings: Vec<Ring>,
    /// Descriptors of each receive ring.
    rx_pending: u32,
    /// Descriptors of each transmit ring.
    tx_pending: u32,
    /// `rx-usecs`, as a user sets it.
    rx_usecs: u32,
    /// What the card's RSS was told, which a CPU does not read back.
    rss: Rss,
    phy: Phy,
    /// What it writes to the log, as a user sets it.
    msg_enable: u32,
    /// Pause frames are as the ends agree.
    pause_autoneg: bool,
    /// What the card counted.
    received: Registers,
    sent: Registers,
}

/// The driver's side of a receive ring and a transmit ring.
#[derive(Debug, Default)]
struct Ring {
    /// Packets that the card sends, oldest first.
    sending: VecDeque<SkbId>,
    tx_packets: u64,
    tx_bytes: u64,
    /// How often the transmit queue was woken.
    tx_restarts: u64,
    /// Frames that leave and are on the card, of a card without descriptors.
    on_card: usize,
    /// Descriptors that were emptied and not given back.
    unused: u32,
    itr: Itr,
    rx_packets: u64,
    rx_bytes: u64,
    /// Packets whose checksum the card found right, and wrong.
    csum_good: u64,
    csum_err: u64,
}

/// Descriptors of a ring: at first, at least and at most.
pub const DESCRIPTORS: [u32; 3] = [256, 64, 4096];
/// Their number is a multiple of this (`REQ_RX_DESCRIPTOR_MULTIPLE`).
const MULTIPLE: u32 = 8;
/// Descriptors that stay free, so that the card's head and the driver's tail never touch.
const TX_GAP: u32 = 2;
/// With fewer free ones a transmit queue is stopped: a packet may have so many pieces (`MAX_SKB_FRAGS` and 4).
const TX_STOP: u32 = 21;
/// With as many it is woken (`TX_WAKE_THRESHOLD`).
const TX_WAKE: u32 = 32;
/// How many are given back at once (`E1000_RX_BUFFER_WRITE`, `IGB_RX_BUFFER_WRITE`).
const RX_BUFFER_WRITE: u32 = 16;
/// The first place on the PCI bus that is not the machine's own.
const FIRST_SLOT: u32 = 3;
/// Interrupts of a function of the PCI bus: they begin at this multiple of its slot.
const MSI_OF_SLOT: u32 = 1 << 14;

/// The number of descriptors that a driver makes of a wish.
fn descriptors(wish: u32) -> u32 {
    let [_, min, max] = DESCRIPTORS;
    wish.clamp(min, max).next_multiple_of(MULTIPLE)
}

/// What all cards have; `max_mtu` in bytes, offloads that are on and that can be switched.
fn setup(dev: &mut NetDevice, max_mtu: u32, features: u64, hw_features: u64) {
    ether_setup(dev);
    (dev.max_mtu, dev.features, dev.hw_features) = (max_mtu, features, hw_features);
    dev.vlan_features = features & (SG | HW_CSUM | ALL_TSO);
    dev.unicast_flt = true;
}

/// The cards of a machine whose [cables are veth pairs](crate::kernel::Config::veth_cables) send what is whole: where a real kernel
/// stands for all machines, the ends of its veth pairs leave no checksum to others, so they cut nothing either.
pub fn send_whole_packets(kernel: &mut Kernel) {
    let cards: Vec<DevId> = kernel.devs.iter().filter(|dev| nic(dev).is_some()).map(|dev| dev.id).collect();
    for card in cards {
        let dev = &mut kernel.devs[card];
        for features in
            [&mut dev.features, &mut dev.wanted_features, &mut dev.hw_features, &mut dev.vlan_features]
        {
            *features &= !ALL_TSO;
        }
        // Neither does a veth device filter addresses, and tags of both kinds stay beside its packets. No card was made with its address.
        dev.unicast_flt = false;
        dev.perm_addr = Mac::ZERO;
        // What lies over it takes its greatest MTU.
        dev.max_mtu = ETH_MAX_MTU;
        dev.features |= HW_VLAN_CTAG_TX | HW_VLAN_STAG_TX;
        dev.features &= !HW_VLAN_CTAG_FILTER;
    }
}

/// VLAN tags are put in if they are taken off.
fn fix_features(features: u64) -> u64 {
    let put_in = if features & HW_VLAN_CTAG_RX != 0 { HW_VLAN_CTAG_TX } else { 0 };
    features & !HW_VLAN_CTAG_TX | put_in
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
    let places = if row.rx_page == 0 { DESCRIPTORS[0] } else { ne2k_pci::RX_PAGES };
    let cpus = cx.k.cpus.len();
    let rings = settings.rings.map_or(cpus, |rings| rings as usize).clamp(1, row.max_rings);
    let rx_pending = settings.rx_ring.map_or(places, descriptors);
    let mut key = [0; glassnet_hardware::rss::KEY_BYTES];
    if row.max_rings > 1 {
        cx.dice.fill(&mut key);
    }
    let rss = Rss::new(key, rings);
    let plug =
        cx.fabric.add_card(Card::new(rings, rx_pending, row.rx_page, (row.use_of)(rings), rss.clone()));
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
        tx_pending: DESCRIPTORS[0],
        rx_usecs: if row.napi.is_some() { itr::DEFAULT } else { 0 },
        rss,
        phy: Phy::default(),
        msg_enable: if row.phy.is_some() { ethtool::DEFAULT_MSG_ENABLE } else { 0 },
        pause_autoneg: true,
        received: Registers::default(),
        sent: Registers::default(),
    };
    set_rings(&mut cx.k.irqs, cpus, &mut nic, name, rings);
    (dev.num_rx_queues, dev.num_tx_queues) = (rings as u32, row.max_rings as u32);
    dev.real_num_tx_queues = rings as u32;
    dev.set_priv(nic);
    dev.perm_addr = eth_hw_addr_random(cx, INIT_NET, name);
    dev.addr = dev.perm_addr;
    // Until it is up, with a cable.
    dev.carrier = !dev.ops.ethtool.get_link;
    let dev = register_netdevice(cx, dev).expect("a lesson names its cards differently");
    (dev, plug)
}

/// The driver's side of so many rings, with an interrupt for each of its vectors.
fn set_rings(irqs: &mut Irqs, cpus: usize, nic: &mut Nic, name: &str, rings: usize) {
    nic.irqs.drain(..).for_each(|irq| irqs.release(irq));
    let first = nic.slot * MSI_OF_SLOT;
    let vectors = (nic.row.vectors)(name, rings).len() as u32;
    nic.irqs = match nic.row.chip {
        Chip::Msi => (0..vectors).map(|vector| irqs.alloc_msi(first + vector, cpus)).collect(),
        Chip::IoApic => vec![irqs.alloc_line(nic.slot, cpus)],
    };
    nic.rings = (0..rings).map(|_| Ring::default()).collect();
}

/// The card comes up, with empty rings.
fn open(cx: &mut Cx, dev: DevId) -> Result<(), Errno> {
    let name = cx.k.devs[dev].name.clone();
    let Some(nic) = cx.k.devs[dev].netdev_priv::<Nic>() else { return Ok(()) };
    let vectors = (nic.row.vectors)(&name, nic.rings.len());
    for (irq, vector) in nic.irqs.iter().zip(vectors) {
        cx.k.irqs.request(*irq, vector);
    }
    let alloc_rx = nic.row.napi.as_ref().map(|napi| napi.alloc_rx);
    reset(cx, dev);
    if let Some(func) = alloc_rx {
        cx.call(func, None);
    }
    link::up(cx, dev);
    Ok(())
}

/// The card goes down: what is in its rings is lost, and a driver that looks at the link has none.
fn close(cx: &mut Cx, dev: DevId) {
    reset(cx, dev);
    link::close(cx, dev);
    let Some(nic) = cx.k.devs[dev].netdev_priv::<Nic>() else { return };
    nic.irqs.iter().for_each(|irq| cx.k.irqs.free(*irq));
}

/// Gives the card fresh rings; what the old ones hold is lost.
fn reset(cx: &mut Cx, dev: DevId) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, rings, descriptors, usecs) = (nic.plug, nic.rings.len(), nic.rx_pending, nic.rx_usecs);
    let (use_of, rss) = ((nic.row.use_of)(rings), nic.rss.clone());
    let mut unsent = Vec::new();
    for ring in &mut nic.rings {
        (ring.unused, ring.on_card, ring.itr) = (0, 0, Itr::new(usecs));
        unsent.extend(ring.sending.drain(..));
    }
    if let Some(card) = cx.fabric.card(plug) {
        let lost = card.reset(rings, descriptors, use_of);
        card.rss = rss;
        lost.into_iter().for_each(|frame| cx.skbs.bufs.release(frame));
    }
    itr::set_intervals(cx, plug, use_of.count, Itr::new(usecs).interval());
    unsent.into_iter().for_each(|skb| _ = cx.kfree_skb(skb, DropReason::NotSpecified));
    for queue in 0..rings.min(cx.k.devs[dev].tx.len()) as u16 {
        netdev_tx_reset_queue(cx, dev, queue);
        netif_tx_start_queue(&mut cx.k.devs[dev], queue);
    }
}

/// Gives a frame to the card, if there is a descriptor for it: the packet stays with the driver until it is sent.
fn xmit_frame(cx: &mut Cx, skb: SkbId) -> Door {
    let (dev, len, queue) = (cx.skbs[skb].dev, cx.skbs[skb].len() as u32, cx.skbs[skb].queue_mapping);
    let (packets, bytes) = match cx.skbs[skb].gso_segs {
        0 => (1, u64::from(len)),
        segments => (u64::from(segments), u64::from(len) + header_bytes(cx, skb) as u64),
    };
    let Some(nic) = cx.k.devs[dev].netdev_priv_mut::<Nic>() else {
        return cx.kfree_skb(skb, DropReason::DevReady);
    };
    let (plug, most, side) = (nic.plug, nic.tx_pending, &mut nic.rings[usize::from(queue)]);
    // Without a link the card sends nothing, and the driver makes it anew.
    if !cx.fabric.is_connected(plug) {
        return cx.kfree_skb(skb, DropReason::NotSpecified);
    }
    let unused = most - 1 - side.sending.len() as u32;
    if unused < 1 + TX_GAP {
        netif_tx_stop_queue(&mut cx.k.devs[dev], queue);
        cx.k.xmit_busy = true;
        return Door::End;
    }
    side.tx_packets += packets;
    side.tx_bytes += bytes;
    if !nic.row.counts_by_itself || cx.k.config.veth_cables {
        let stats = &mut cx.k.devs[dev].stats;
        stats.tx_packets += packets;
        stats.tx_bytes += bytes;
    }
    let sent = if packets == 1 { transmit(cx, skb, plug) } else { transmit_segments(cx, skb, plug) };
    if cx.k.config.veth_cables {
        return cx.consume_skb(skb);
    }
    let Some(side) = nic_mut(cx, dev).map(|nic| &mut nic.rings[usize::from(queue)]) else { return Door::End };
    side.sending.push_back(skb);
    post(cx, plug, usize::from(queue), sent, len);
    let netdev = &mut cx.k.devs[dev];
    netdev_tx_sent_queue(&mut netdev.tx[usize::from(queue)], len);
    if unused - 1 < TX_STOP {
        netif_tx_stop_queue(netdev, queue);
    }
    Door::End
}

/// The card will tell when a frame has left.
fn post(cx: &mut Cx, plug: PlugId, ring: usize, sent: Nanos, len: u32) {
    let interrupt = cx.fabric.card(plug).and_then(|card| card.post(ring, sent, len));
    if let Some((vector, at)) = interrupt {
        cx.events.schedule(at, Event::Interrupt { plug, vector: vector as u32 });
    }
}

/// The card cuts a merged packet and sends what it is cut into; returns when the last bit has left.
#[cold]
fn transmit_segments(cx: &mut Cx, skb: SkbId, plug: PlugId) -> Nanos {
    let mut sent = cx.now;
    for part in segment(cx, skb) {
        sent = transmit(cx, part, plug);
        cx.discard_skb(part);
    }
    sent
}

/// Bytes of the frame that a card makes of a packet: a short one is padded, on a cable that is one.
fn frame_len(cx: &Cx, len: usize) -> usize {
    if cx.k.config.veth_cables { len } else { len.max(ETH_ZLEN) }
}

/// The card sends a frame; returns when its last bit has left.
fn transmit(cx: &mut Cx, skb: SkbId, plug: PlugId) -> Nanos {
    let (dev, from, to) = (cx.skbs[skb].dev, cx.skbs[skb].data as usize, cx.skbs[skb].tail as usize);
    let tag = cx.skbs[skb].vlan_tag;
    let len = frame_len(cx, to - from + tag.map_or(0, |_| VLAN_HLEN));
    let frame = cx.skbs.bufs.alloc(len);
    match tag {
        None => cx.skbs.bufs.copy_between(cx.skbs[skb].buf, from..to, frame, 0),
        // The card puts it in.
        Some(_) => {
            let bytes = cx.skbs.tagged_frame(skb);
            cx.skbs.bufs.bytes_mut(frame)[..bytes.len()].copy_from_slice(&bytes);
        }
    }
    if !cx.k.config.veth_cables {
        mac::count_sent(&mut cx.k.devs[dev], cx.skbs.bufs.bytes(frame));
    }
    cable::note(cx, skb, frame);
    // The ends of a cable have to agree before it carries anything; a veth pair that stands for one is a port's at the far
    // end, which starts when the carrier has been noticed.
    if cx.k.config.veth_cables && !cx.k.devs[dev].netif_oper_up() {
        cx.skbs.bufs.release(frame);
        return cx.now;
    }
    let sent = cx.fabric.transmit(plug, frame, cx.now, (&mut cx.skbs.bufs, cx.dice), cx.arrivals);
    schedule_arrivals(cx.events, cx.arrivals);
    sent
}

/// Filled descriptors of a receive ring; `None`: the device is no card, or has no such ring.
pub fn rx_filled(dev: &NetDevice, fabric: &mut Fabric, ring: u32) -> Option<u32> {
    fabric.card(nic(dev)?.plug)?.rx_filled(ring as usize)
}

/// The number of a vector's interrupt, and the CPU that gets it; `None`: the card is down.
#[inline]
pub fn irq(kernel: &Kernel, dev: DevId, vector: usize) -> Option<(u32, CpuId)> {
    let netdev = kernel.devs.get(dev).filter(|netdev| netdev.is_up())?;
    let irq = *nic(netdev)?.irqs.get(vector)?;
    Some((irq, kernel.irqs.get(irq)?.effective))
}

/// Handles the interrupt of a vector.
pub fn interrupt(cx: &mut Cx, dev: DevId, vector: usize) {
    if let Some(nic) = cx.k.devs.get(dev).and_then(nic) {
        (nic.row.handler)(cx, dev, vector);
    }
}

/// The interrupt of a receive ring, which is polled, or of a transmit ring.
fn napi_interrupt(cx: &mut Cx, dev: DevId, vector: usize) {
    let Some((plug, rings, Vectors { rx, tx, .. }, row)) = napi_of(cx, dev) else { return };
    if let Some(ring) = vector.checked_sub(rx).filter(|ring| *ring < rings) {
        return cx.within(row.interrupt, None, |cx| {
            cx.call(Func::NapiSchedule, None);
            napi_schedule(cx, Napi::Device(dev, ring as u32));
        });
    }
    if let Some(func) = row.interrupt_tx {
        cx.within(func, None, |cx| clean_tx(cx, dev, vector - tx, row));
        unmask(cx, plug, vector);
    }
}

/// The cable, the number of rings, their vectors and the functions of a card that is polled.
fn napi_of(cx: &Cx, dev: DevId) -> Option<(PlugId, usize, Vectors, &'static NapiDriver)> {
    let nic = cx.k.devs.get(dev).and_then(nic)?;
    let rings = nic.rings.len();
    Some((nic.plug, rings, (nic.row.use_of)(rings), nic.row.napi.as_ref()?))
}

/// The interrupts of a vector may come again.
fn unmask(cx: &mut Cx, plug: PlugId, vector: usize) {
    let now = cx.now;
    if let Some(at) = cx.fabric.card(plug).and_then(|card| card.unmask(vector, now)) {
        cx.events.schedule(at, Event::Interrupt { plug, vector: vector as u32 });
    }
}

/// Takes back what the card has sent, and wakes the transmit queue when there is room again.
fn clean_tx(cx: &mut Cx, dev: DevId, ring: usize, row: &NapiDriver) {
    cx.within(row.clean_tx, None, |cx| {
        let (mut packets, mut bytes, now) = (0, 0, cx.now);
        loop {
            let Some(nic) = nic_mut(cx, dev) else { return };
            let plug = nic.plug;
            let Some(len) = cx.fabric.card(plug).and_then(|card| card.sent(ring, now)) else { break };
            (packets, bytes) = (packets + 1, bytes + len);
            let sent = nic_mut(cx, dev).and_then(|nic| nic.rings[ring].sending.pop_front());
            if let Some(skb) = sent {
                dev_consume_skb_any(cx, skb);
            }
        }
        netdev_tx_completed_queue(cx, dev, ring as u16, packets, bytes);
        let Some(nic) = nic_mut(cx, dev) else { return };
        let unused = nic.tx_pending - 1 - nic.rings[ring].sending.len() as u32;
        if packets > 0 && unused >= TX_WAKE && cx.k.devs[dev].carrier && cx.k.devs[dev].tx[ring].drv_xoff {
            netif_tx_wake_queue(cx, dev, ring as u16);
            if let Some(nic) = nic_mut(cx, dev) {
                nic.rings[ring].tx_restarts += 1;
            }
        }
    });
}

/// NAPI poll of a ring: receives up to `budget` frames and returns their number.
fn poll(cx: &mut Cx, dev: DevId, ring: u32, budget: u32) -> u32 {
    let Some((.., row)) = napi_of(cx, dev) else { return 0 };
    cx.within_resumable(row.poll, |cx| {
        if row.interrupt_tx.is_none() && !cx.resumes {
            clean_tx(cx, dev, ring as usize, row);
        }
        let work = cx.within_resumable(row.clean_rx, |cx| clean_rx(cx, dev, ring as usize, budget, row));
        if work < budget && !cx.suspends {
            napi_complete(cx, dev, ring as usize);
        }
        work
    })
}

/// Takes up to `budget` frames from a ring, and gives their descriptors back a few at a time.
fn clean_rx(cx: &mut Cx, dev: DevId, ring: usize, budget: u32, row: &NapiDriver) -> u32 {
    let mut work = 0;
    while work < budget {
        if cx.suspend(work) {
            return work;
        }
        let Some(netdev) = cx.k.devs.get_mut(dev) else { return work };
        let features = netdev.features;
        let Some(nic) = netdev.netdev_priv_mut::<Nic>() else { return work };
        let (plug, side) = (nic.plug, &mut nic.rings[ring]);
        let card = cx.fabric.card(plug);
        let Some(received) = card.and_then(|card| card.take(ring)) else { break };
        let strips = strips_tag(&cx.skbs.bufs, received.frame, features, cx.k.config.veth_cables);
        let len = (cx.skbs.bufs.bytes(received.frame).len() - strips) as u64;
        side.rx_packets += 1;
        side.rx_bytes += len;
        side.unused += 1;
        side.itr.count(len);
        let full = side.unused == RX_BUFFER_WRITE;
        if !nic.row.counts_by_itself || cx.k.config.veth_cables {
            netdev.stats.rx_packets += 1;
            netdev.stats.rx_bytes += len;
        }
        receive(cx, dev, ring, received, strips, row);
        if full {
            give_back(cx, dev, ring, row);
        }
        work += 1;
    }
    give_back(cx, dev, ring, row);
    work
}

/// Gives the card the descriptors back that were emptied.
fn give_back(cx: &mut Cx, dev: DevId, ring: usize, row: &NapiDriver) {
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, unused) = (nic.plug, std::mem::take(&mut nic.rings[ring].unused));
    if unused > 0 {
        if let Some(card) = cx.fabric.card(plug) {
            card.give_back(ring, unused);
        }
        cx.call(row.alloc_rx, None);
    }
}

/// Makes a packet of a received frame, whose tag the card may have taken out, and hands it on.
fn receive(cx: &mut Cx, dev: DevId, ring: usize, received: RxFrame, strips: usize, row: &NapiDriver) {
    let skb = cable::build_skb(cx, dev, received.frame);
    let features = cx.k.devs[dev].features;
    if features & RXCSUM != 0 && !cx.k.config.veth_cables {
        rx_checksum(cx, dev, ring, skb);
    }
    let pkt = &mut cx.skbs[skb];
    if features & RXHASH != 0 && !cx.k.config.veth_cables {
        (pkt.hash, pkt.l4_hash) = received.hash.unwrap_or_default();
    }
    // `skb_record_rx_queue`
    pkt.queue_mapping = ring as u16 + 1;
    if !eth_type_trans(cx, skb, dev) {
        cx.kfree_skb(skb, DropReason::HdrTrunc);
        return;
    }
    if strips > 0 {
        cx.skbs.pull_tag(skb);
    }
    if cx.k.config.veth_cables {
        cx.walk(Door::NetifReceiveSkb { skb });
    } else {
        if let Some(func) = row.rx_checksum {
            cx.call(func, skb);
        }
        cx.walk((row.receive)(skb));
    }
}

/// The card's word on a packet's checksum: nobody looks at one again that is right, and at one that is wrong everybody.
fn rx_checksum(cx: &mut Cx, dev: DevId, ring: usize, skb: SkbId) {
    let Some(right) = checksum::verify(cx.skbs.data(skb)) else { return };
    let Some(nic) = nic_mut(cx, dev) else { return };
    let side = &mut nic.rings[ring];
    *(if right { &mut side.csum_good } else { &mut side.csum_err }) += 1;
    cx.skbs[skb].ip_summed = right;
}

/// The ring is empty: the interrupt is unmasked, and may come again after a time that follows from what came in.
fn napi_complete(cx: &mut Cx, dev: DevId, ring: usize) {
    cx.within(Func::NapiCompleteDone, None, napi_gro_end);
    let moderates = cx.k.config.exec_time > Nanos::ZERO;
    let Some(nic) = nic_mut(cx, dev) else { return };
    let (plug, vector) = (nic.plug, (nic.row.use_of)(nic.rings.len()).rx + ring);
    let itr = &mut nic.rings[ring].itr;
    let (changed, interval) = (itr.update(), itr.interval());
    if let Some(card) = cx.fabric.card(plug).filter(|_| changed && moderates) {
        card.set_interval(vector, interval);
    }
    unmask(cx, plug, vector);
}
