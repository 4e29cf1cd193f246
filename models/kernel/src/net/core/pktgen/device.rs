//! A device of the packet generator: what is set, and how far a run has come.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::ipv4::IPV4_HLEN;
use glassnet_wire::udp::UDP_HLEN;

use crate::Cx;
use crate::ids::{DevId, SkbId};

/// Magic number, sequence number and time at the head of each payload, bytes (`struct pktgen_hdr`).
pub const PKTGEN_HDR: usize = 16;
/// The smallest packet, bytes: its headers.
pub const MIN_PKT_SIZE: i32 = (ETH_HLEN + IPV4_HLEN + UDP_HLEN) as i32;
/// Flows at most (`MAX_CFLOWS`).
pub const MAX_CFLOWS: u32 = 65_536;
/// `delay 2147483647`: no packet is ever due.
pub const DELAY_NEVER: u64 = u64::MAX;

/// Source addresses are random (`F_IPSRC_RND`).
pub const F_IPSRC_RND: u32 = 1 << 1;
/// Destination addresses are random.
pub const F_IPDST_RND: u32 = 1 << 2;
/// Sizes are random.
pub const F_TXSIZE_RND: u32 = 1 << 3;
/// Source ports are random.
pub const F_UDPSRC_RND: u32 = 1 << 4;
/// Destination ports are random.
pub const F_UDPDST_RND: u32 = 1 << 5;
/// Datagrams have a checksum.
pub const F_UDPCSUM: u32 = 1 << 6;
/// Packets do not say when they were made.
pub const F_NO_TIMESTAMP: u32 = 1 << 7;
/// Transmit queues are random.
pub const F_QUEUE_MAP_RND: u32 = 1 << 9;
/// The transmit queue has the number of the CPU.
pub const F_QUEUE_MAP_CPU: u32 = 1 << 10;
/// Flows come one after the other.
pub const F_FLOW_SEQ: u32 = 1 << 11;
/// The source MAC address is random, among `src_mac_count`.
pub const F_MACSRC_RND: u32 = 1 << 13;
/// The destination MAC address is random, among `dst_mac_count`.
pub const F_MACDST_RND: u32 = 1 << 14;

/// Where packets go (`xmit_mode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum XmitMode {
    /// To the driver.
    #[default]
    StartXmit,
    /// Into the stack, as if the device had received them.
    NetifReceive,
    /// To the queueing discipline.
    QueueXmit,
}

/// A flow of the generator (`struct flow_state`).
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowState {
    /// Packets of it since it began.
    pub count: u32,
    /// Its destination address, once it has one.
    pub daddr: Option<Ipv4Addr>,
}

/// A device that a thread sends by (`struct pktgen_dev`).
#[derive(Debug)]
pub struct PktgenDev {
    /// The device's name, perhaps with `@` and a word behind, so that it is used more than once (`odevname`).
    pub name: String,
    /// The device.
    pub dev: DevId,
    /// What the last command or run said.
    pub result: String,
    /// What is set.
    pub set: Settings,
    /// What the next packet has.
    pub cur: Current,
    /// The run.
    pub run: Run,
}

/// What is set.
#[derive(Debug)]
pub struct Settings {
    /// Packets a run; 0: without end.
    pub count: u64,
    /// Sizes without the checksum of the frame, bytes; 0: as small as possible.
    pub min_pkt_size: i32,
    /// The largest.
    pub max_pkt_size: i32,
    /// From one packet to the next, ns; 0: as fast as possible.
    pub delay: u64,
    /// How often a packet is sent before another is made; 0 is as 1.
    pub clone_skb: i32,
    /// How often a packet is sent at once.
    pub burst: u32,
    /// `F_*`.
    pub flags: u32,
    /// Where packets go.
    pub xmit_mode: XmitMode,
    /// As it was written.
    pub dst_min: String,
    /// As it was written.
    pub dst_max: String,
    /// As it was written.
    pub src_min: String,
    /// As it was written.
    pub src_max: String,
    /// To whom frames go.
    pub dst_mac: Mac,
    /// From whom; zero: from the device.
    pub src_mac: Mac,
    /// How many destination MAC addresses, from `dst_mac` on.
    pub dst_mac_count: u32,
    /// How many source MAC addresses, from `src_mac` on.
    pub src_mac_count: u32,
    /// Source ports: the first, and the one behind the last if there are several.
    pub udp_src: (u16, u16),
    /// Destination ports.
    pub udp_dst: (u16, u16),
    /// Transmit queues: the first and the last.
    pub queue_map: (u16, u16),
    /// Flows; 0: packets belong to none (`cflows`).
    pub flows: u32,
    /// Packets a flow (`lflow`).
    pub flowlen: u32,
    /// Type of service.
    pub tos: u8,
    /// The packet's priority for queueing disciplines.
    pub skb_priority: i32,
    /// The node whose memory packets are made of, of which a machine has one here.
    pub node: i32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            count: 1000,
            min_pkt_size: 0,
            max_pkt_size: 0,
            delay: 0,
            clone_skb: 0,
            burst: 1,
            flags: 0,
            xmit_mode: XmitMode::default(),
            dst_min: String::new(),
            dst_max: String::new(),
            src_min: String::new(),
            src_max: String::new(),
            dst_mac: Mac::default(),
            src_mac: Mac::default(),
            dst_mac_count: 0,
            src_mac_count: 0,
            udp_src: (9, 9),
            udp_dst: (9, 9),
            queue_map: (0, 0),
            flows: 0,
            flowlen: 0,
            tos: 0,
            skb_priority: 0,
            node: -1,
        }
    }
}

/// What the next packet has (`cur_*`).
#[derive(Debug)]
pub struct Current {
    /// Source addresses: the first, the last and that of the next packet.
    pub saddr: [Ipv4Addr; 3],
    /// Destination addresses.
    pub daddr: [Ipv4Addr; 3],
    /// Source port.
    pub udp_src: u16,
    /// Destination port.
    pub udp_dst: u16,
    /// How far from the first source MAC address.
    pub src_mac_offset: u32,
    /// How far from the first destination MAC address.
    pub dst_mac_offset: u32,
    /// Size, bytes.
    pub pkt_size: i32,
    /// Transmit queue.
    pub queue_map: u16,
    /// The identification in the IPv4 header.
    pub ip_id: u16,
    /// The flow.
    pub flow: u32,
    /// The flows.
    pub flow_states: Vec<FlowState>,
    /// How many flows began so far.
    pub nflows: u32,
}

impl Default for Current {
    fn default() -> Current {
        Current {
            saddr: [Ipv4Addr::UNSPECIFIED; 3],
            daddr: [Ipv4Addr::UNSPECIFIED; 3],
            udp_src: 0,
            udp_dst: 0,
            src_mac_offset: 0,
            dst_mac_offset: 0,
            pkt_size: 0,
            queue_map: 0,
            ip_id: 0,
            flow: 0,
            flow_states: Vec::new(),
            nflows: 0,
        }
    }
}

/// A run, or what was counted in the last one.
#[derive(Debug, Default)]
pub struct Run {
    /// It goes on.
    pub running: bool,
    /// When it began.
    pub started_at: Nanos,
    /// When it ended.
    pub stopped_at: Nanos,
    /// How long it had nothing to do.
    pub idle: Nanos,
    /// Packets sent.
    pub sofar: u64,
    /// Packets that were not taken.
    pub errors: u64,
    /// The number in the next packet.
    pub seq_num: u32,
    /// When the next packet is due, if there is a delay.
    pub next_tx: Nanos,
    /// Since when it waits with the CPU, and how much the CPU had done by then.
    pub spins: Option<(Nanos, Nanos)>,
    /// The packet.
    pub skb: Option<SkbId>,
    /// It is to be sent next.
    pub is_ready: bool,
    /// How often it was sent before.
    pub clone_count: i32,
    /// The last packet was taken.
    pub last_ok: bool,
}

impl PktgenDev {
    /// A device with nothing set.
    pub(super) fn new(name: String, dev: DevId) -> PktgenDev {
        let (set, cur, run) = (Settings::default(), Current::default(), Run::default());
        PktgenDev { name, dev, result: String::new(), set, cur, run }
    }

    /// What is set becomes what the first packet has (`pktgen_setup_inject`).
    pub(super) fn setup_inject(&mut self, cx: &mut Cx) {
        let Some(netdev) = cx.k.devs.get(self.dev) else { return };
        let (set, cur) = (&mut self.set, &mut self.cur);
        let last_queue = netdev.real_num_tx_queues.max(1) as u16 - 1;
        let name = &self.name;
        let mut warnings = Vec::new();
        for (what, queue) in [("min", &mut set.queue_map.0), ("max", &mut set.queue_map.1)] {
            if *queue > last_queue {
                warnings.push(format!(
                    "pktgen: WARNING: Requested queue_map_{what} (zero-based) ({queue}) exceeds valid range \
                     [0 - {last_queue}] for ({}) queues on {name}, resetting",
                    last_queue + 1
                ));
                *queue = last_queue;
            }
        }
        let unset = MIN_PKT_SIZE + PKTGEN_HDR as i32;
        if set.min_pkt_size == 0 {
            set.min_pkt_size = unset;
        }
        set.max_pkt_size = set.max_pkt_size.max(set.min_pkt_size);
        let own = cx.k.inet.get(self.dev).and_then(|in_dev| in_dev.addrs.first());
        if !set.src_min.is_empty() {
            cur.saddr = [in_aton(&set.src_min), in_aton(&set.src_max), cur.saddr[2]];
        } else if let Some(ifa) = own {
            cur.saddr = [ifa.local, ifa.local, cur.saddr[2]];
        }
        cur.daddr = [in_aton(&set.dst_min), in_aton(&set.dst_max), cur.daddr[2]];
        cur.pkt_size = set.min_pkt_size;
        (cur.src_mac_offset, cur.dst_mac_offset) = (0, 0);
        (cur.saddr[2], cur.daddr[2]) = (cur.saddr[0], cur.daddr[0]);
        (cur.udp_src, cur.udp_dst) = (set.udp_src.0, set.udp_dst.0);
        cur.nflows = 0;
        warnings.into_iter().for_each(|line| cx.printk(4, line));
    }

    /// What was counted is forgotten (`pktgen_clear_counters`).
    pub fn clear_counters(&mut self) {
        let run = &mut self.run;
        (run.started_at, run.stopped_at, run.idle) = (Nanos::ZERO, Nanos::ZERO, Nanos::ZERO);
        (run.sofar, run.errors, run.seq_num) = (0, 0, 1);
    }

    /// The run ends (`pktgen_stop_device`), and its result is told (`show_results`).
    pub(super) fn stop(&mut self, cx: &mut Cx) {
        if !std::mem::replace(&mut self.run.running, false) {
            cx.printk(4, format!("pktgen: interface: {} is already stopped", self.name));
            return;
        }
        let had_packet = self.run.skb.is_some() || self.run.sofar > 0;
        if let Some(skb) = self.run.skb.take() {
            cx.discard_skb(skb);
        }
        let run = &mut self.run;
        (run.stopped_at, run.spins, run.is_ready) = (cx.now, None, false);
        let elapsed = run.stopped_at.since(run.started_at).0;
        let size = self.cur.pkt_size;
        let pps =
            (u128::from(run.sofar) * 1_000_000_000).checked_div(u128::from(elapsed)).unwrap_or(0) as u64;
        let bps = pps.wrapping_mul(8).wrapping_mul(size as u64);
        let us = |nanos: u64| nanos / 1000;
        self.result = format!(
            "OK: {}(c{}+d{}) usec, {} ({size}byte,{}frags)\n  {pps}pps {}Mb/sec ({bps}bps) errors: {}",
            us(elapsed),
            us(elapsed.saturating_sub(run.idle.0)),
            us(run.idle.0),
            run.sofar,
            if had_packet { 0 } else { -1 },
            bps / 1_000_000,
            run.errors,
        );
    }
}

/// Four numbers with points between, of whatever characters (`in_aton`).
pub fn in_aton(text: &str) -> Ipv4Addr {
    let mut parts = text.split('.');
    let number = |part: &str| {
        part.bytes().fold(0_u32, |value, byte| {
            value.wrapping_mul(10).wrapping_add(u32::from(byte)).wrapping_sub(u32::from(b'0'))
        })
    };
    let address = (0..4).fold(0_u32, |address, _| address << 8 | parts.next().map_or(0, number));
    Ipv4Addr::from_bits(address)
}
