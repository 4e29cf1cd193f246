//! What each CPU has for the network (`struct softnet_data`, include/linux/netdevice.h).

use std::collections::VecDeque;

use glassnet_hardware::PlugId;
use glassnet_sim::Nanos;

use super::cputime::CpuTime;
use super::gro::Gro;
use crate::ids::{CpuId, DevId, QdiscId, SkbId};

/// How long a thread runs before another that is as important gets the CPU (`sched_min_granularity_ns` of two CPUs).
pub const SLICE: Nanos = Nanos::from_micros(1_500);

/// Softirqs in the order in which they run (include/linux/interrupt.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Softirq {
    /// Packets to send.
    NetTx = 2,
    /// Packets that came in.
    NetRx = 3,
    /// Functions that were put off.
    Tasklet = 6,
}

impl Softirq {
    /// Its bit among those that are raised.
    pub const fn bit(self) -> u32 {
        1 << self as u32
    }
}

/// Something that `net_rx_action` polls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Napi {
    /// The CPU's own queue of packets ([`SoftnetData::input_pkt_queue`]).
    Backlog,
    /// A receive ring of a NIC.
    Device(DevId, u32),
}

/// An interrupt that a CPU is to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// A vector of the NIC with this plug.
    Nic(PlugId, u32),
    /// Of another CPU, which has appended packets to the backlog here.
    Rps,
}

/// The counters of `/proc/net/softnet_stat`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftnetStat {
    /// Packets taken.
    pub processed: u32,
    /// Packets dropped because the backlog was full.
    pub dropped: u32,
    /// How often `net_rx_action` stopped with work left.
    pub time_squeeze: u32,
    /// How often another CPU said that it had appended packets here.
    pub received_rps: u32,
    /// Interrupts from other CPUs (`CAL` of `/proc/interrupts`).
    pub call_interrupts: u64,
    /// How often `net_tx_action` ran (`NET_TX` of `/proc/softirqs`).
    pub net_tx_softirqs: u32,
    /// How often `net_rx_action` ran (`NET_RX` of `/proc/softirqs`).
    pub net_rx_softirqs: u32,
    /// How often tasklets ran (`TASKLET` of `/proc/softirqs`).
    pub tasklet_softirqs: u32,
}

/// A run of `handle_softirqs`.
#[derive(Clone, Copy, Debug)]
pub struct SoftirqRun {
    /// When `ksoftirqd` gets what is left.
    pub end: Nanos,
    /// How often pending softirqs are still looked at.
    pub restarts: u32,
    /// `ksoftirqd` runs them.
    pub by_ksoftirqd: bool,
    /// What was pending when the round began.
    pub pending: u32,
}

/// A run of `net_rx_action`.
#[derive(Clone, Copy, Debug)]
pub struct NetRxRun {
    /// When its time is up (`net.core.netdev_budget_usecs`).
    pub until: Nanos,
    /// Packets that it may still take (`net.core.netdev_budget`).
    pub budget: i64,
    /// How many of the poll list it has not polled yet.
    pub rest: usize,
    /// Whom it polls, and how many packets that has given so far.
    pub polled: Option<(Napi, u32)>,
}

/// One CPU's share of the network.
#[derive(Debug, Default)]
pub struct SoftnetData {
    /// Until when the CPU is busy.
    pub clock: Nanos,
    /// What it did so far.
    pub time: CpuTime,
    /// Interrupts that it has not taken yet.
    pub interrupts: VecDeque<Interrupt>,
    /// Raised softirqs, a bit each.
    pub pending: u32,
    /// `ksoftirqd` has been woken and will run the pending softirqs.
    pub ksoftirqd: bool,
    /// How much longer `ksoftirqd` ran than programs that wanted this CPU too, ns. The scheduler lets those run that had less.
    pub lag: i64,
    /// A program or a thread waits until softirqs leave it the CPU.
    pub wanted: bool,
    /// Threads that do, by their numbers.
    pub waiting: Vec<u32>,
    /// Programs that use up all the time that is left.
    pub burners: u32,
    /// Since when there are some, and how much the CPU had done by then.
    pub burnt: (Nanos, Nanos),
    /// Softirqs run, and something that happens earlier comes first ([`Cx::suspend`](crate::Cx::suspend)).
    pub softirq: Option<SoftirqRun>,
    /// The same for `net_rx_action`.
    pub net_rx: Option<NetRxRun>,
    /// The steps of the functions that were suspended, the innermost first; empty if nobody observed.
    pub suspended: Vec<usize>,
    /// Queueing disciplines whose packets are to be sent.
    pub output_queue: Vec<QdiscId>,
    /// Packets that were sent, and are freed outside of the interrupt that told.
    pub completion_queue: Vec<SkbId>,
    /// What it received and holds back for a moment.
    pub gro: Gro,
    /// What to poll.
    pub poll_list: VecDeque<Napi>,
    /// Packets that came in and wait (`netif_rx` appends).
    pub input_pkt_queue: VecDeque<SkbId>,
    /// Packets that `process_backlog` took and works on.
    pub process_queue: VecDeque<SkbId>,
    /// The backlog is in the poll list, or will be once this CPU takes the interrupt of another.
    pub backlog_scheduled: bool,
    /// How many packets left [`SoftnetData::input_pkt_queue`] so far.
    pub input_queue_head: u32,
    /// CPUs to whose backlogs this one has appended packets, and which it has not told yet.
    pub rps_ipi_list: Vec<CpuId>,
    /// Devices whose tasklets the next softirq runs (`tasklet_vec`).
    pub tasklets: Vec<DevId>,
    /// How deep actions are in each other that send packets by another device (`mirred_nest_level`).
    pub mirred_nest_level: u32,
    /// An action has chosen the transmit queue of the packet in hand (`xmit.skip_txqueue`).
    pub skip_txqueue: bool,
    /// Counters.
    pub stat: SoftnetStat,
}

impl SoftnetData {
    /// What it did until `now`: what is left beside everything else belongs to programs that use up all of it.
    pub fn time_at(&self, now: Nanos) -> CpuTime {
        let mut time = self.time;
        if self.burners > 0 {
            let (since, busy) = self.burnt;
            time.user += Nanos(now.since(since).0.saturating_sub(time.busy().since(busy).0));
        }
        time
    }

    /// Marks a softirq as raised.
    pub fn raise(&mut self, softirq: Softirq) {
        self.pending |= softirq.bit();
    }
}
