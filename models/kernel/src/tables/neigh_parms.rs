//! The settings of ARP on a device: `/proc/sys/net/ipv4/neigh/DEVICE/*`.
//!
//! Kernel: include/net/neighbour.h (`struct neigh_parms`), defaults of net/ipv4/arp.c `arp_tbl`

use glassnet_sim::Nanos;

/// The settings of a device, or of `default`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighParms {
    /// Time for which a confirmation holds, on average (base_reachable_time_ms).
    pub base_reachable_time: Nanos,
    /// Time for which a confirmation holds: drawn between half and one and a half times the base.
    pub reachable_time: Nanos,
    /// In which of the times between two draws it was drawn; `None`: it was not.
    pub drawn: Option<u64>,
    /// Time between two probes (retrans_time_ms).
    pub retrans_time: Nanos,
    /// Time after which an unused entry may be forgotten (gc_stale_time).
    pub gc_stale_time: Nanos,
    /// Time between the use of a stale entry and the first probe (delay_first_probe_time).
    pub delay_first_probe_time: Nanos,
    /// Time in which another answer does not change an address (locktime).
    pub locktime: Nanos,
    /// Greatest delay of an answer for an anycast address (anycast_delay), which IPv4 does not have.
    pub anycast_delay: Nanos,
    /// Greatest delay of an answer for another machine (proxy_delay).
    pub proxy_delay: Nanos,
    /// Requests that wait for such an answer (proxy_qlen).
    pub proxy_qlen: u32,
    /// Bytes that wait for an address (unres_qlen_bytes).
    pub queue_len_bytes: u32,
    /// Unicast probes (ucast_solicit).
    pub ucast_probes: u32,
    /// Broadcast probes (mcast_solicit).
    pub mcast_probes: u32,
    /// Broadcast probes after the unicast ones (mcast_resolicit).
    pub mcast_reprobes: u32,
    /// Probes by a daemon (app_solicit).
    pub app_probes: u32,
    /// Which settings somebody set, a bit each: these do not follow `default` any more (`data_state`).
    pub state: u16,
}

impl Default for NeighParms {
    fn default() -> Self {
        NeighParms {
            base_reachable_time: Nanos::from_secs(30),
            reachable_time: Nanos::from_secs(30),
            drawn: None,
            retrans_time: Nanos::from_secs(1),
            gc_stale_time: Nanos::from_secs(60),
            delay_first_probe_time: Nanos::from_secs(5),
            locktime: Nanos::from_secs(1),
            anycast_delay: Nanos::from_secs(1),
            proxy_delay: Nanos::from_millis(800),
            proxy_qlen: 64,
            queue_len_bytes: 212_992,
            ucast_probes: 3,
            mcast_probes: 3,
            mcast_reprobes: 0,
            app_probes: 0,
            state: 0,
        }
    }
}

/// A file below `neigh/DEVICE`: its name, where its value is kept, and the unit of its number.
#[derive(Clone, Copy, Debug)]
pub struct NeighSysctl {
    /// Its name.
    pub name: &'static str,
    /// What it sets: files with the same target show one value in several units.
    pub target: NeighVar,
    /// What one stands for: ns for times, else 1.
    pub unit: u64,
}

/// A setting (`NEIGH_VAR_*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the fields of NeighParms say what they are")]
pub enum NeighVar {
    McastProbes,
    UcastProbes,
    AppProbes,
    McastReprobes,
    RetransTime,
    BaseReachableTime,
    DelayProbeTime,
    GcStaletime,
    QueueLenBytes,
    AnycastDelay,
    Locktime,
    ProxyDelay,
    ProxyQlen,
}

const SECOND: u64 = 1_000_000_000;
const MILLI: u64 = 1_000_000;
/// A tick of user space (`USER_HZ` is 100).
const TICK: u64 = 10_000_000;
/// What one packet counts for in `unres_qlen`: `SKB_TRUESIZE(ETH_FRAME_LEN)` on 64 bits.
const PACKET: u64 = 2090;

macro_rules! neigh_sysctls {
    ($($name:literal $target:ident $unit:expr),* $(,)?) => {
        /// The files below `neigh/DEVICE` (net/core/neighbour.c, `neigh_sysctl_template`).
        pub const NEIGH_SYSCTLS: &[NeighSysctl] =
            &[$(NeighSysctl { name: $name, target: NeighVar::$target, unit: $unit }),*];
    };
}

neigh_sysctls! {
    "anycast_delay" AnycastDelay TICK,
    "app_solicit" AppProbes 1,
    "base_reachable_time" BaseReachableTime SECOND,
    "base_reachable_time_ms" BaseReachableTime MILLI,
    "delay_first_probe_time" DelayProbeTime SECOND,
    "gc_stale_time" GcStaletime SECOND,
    "locktime" Locktime TICK,
    "mcast_resolicit" McastReprobes 1,
    "mcast_solicit" McastProbes 1,
    "proxy_delay" ProxyDelay TICK,
    "proxy_qlen" ProxyQlen 1,
    "retrans_time" RetransTime TICK,
    "retrans_time_ms" RetransTime MILLI,
    "ucast_solicit" UcastProbes 1,
    "unres_qlen" QueueLenBytes PACKET,
    "unres_qlen_bytes" QueueLenBytes 1,
}

impl NeighParms {
    /// A value: ns for times, bytes, or a number.
    pub fn get(&self, var: NeighVar) -> u64 {
        match var {
            NeighVar::McastProbes => u64::from(self.mcast_probes),
            NeighVar::UcastProbes => u64::from(self.ucast_probes),
            NeighVar::AppProbes => u64::from(self.app_probes),
            NeighVar::McastReprobes => u64::from(self.mcast_reprobes),
            NeighVar::RetransTime => self.retrans_time.0,
            NeighVar::BaseReachableTime => self.base_reachable_time.0,
            NeighVar::DelayProbeTime => self.delay_first_probe_time.0,
            NeighVar::GcStaletime => self.gc_stale_time.0,
            NeighVar::QueueLenBytes => u64::from(self.queue_len_bytes),
            NeighVar::AnycastDelay => self.anycast_delay.0,
            NeighVar::Locktime => self.locktime.0,
            NeighVar::ProxyDelay => self.proxy_delay.0,
            NeighVar::ProxyQlen => u64::from(self.proxy_qlen),
        }
    }

    /// Sets a value; it no longer follows `default`. With its base the reachable time is drawn anew.
    pub fn set(&mut self, var: NeighVar, value: u64) {
        self.state |= 1 << var as u16;
        if var == NeighVar::BaseReachableTime {
            self.drawn = None;
        }
        self.store(var, value);
    }

    /// `default` changed: a setting that nobody set here follows (`neigh_copy_dflt_parms`).
    pub fn follow(&mut self, var: NeighVar, value: u64) {
        if self.state & (1 << var as u16) == 0 {
            self.store(var, value);
        }
    }

    /// From now on no setting follows `default` (`neigh_parms_data_state_setall`): the device got an address.
    pub fn set_all(&mut self) {
        self.state = u16::MAX;
    }

    fn store(&mut self, var: NeighVar, value: u64) {
        let (number, time) = (u32::try_from(value).unwrap_or(u32::MAX), Nanos(value));
        match var {
            NeighVar::McastProbes => self.mcast_probes = number,
            NeighVar::UcastProbes => self.ucast_probes = number,
            NeighVar::AppProbes => self.app_probes = number,
            NeighVar::McastReprobes => self.mcast_reprobes = number,
            NeighVar::RetransTime => self.retrans_time = time,
            NeighVar::BaseReachableTime => self.base_reachable_time = time,
            NeighVar::DelayProbeTime => self.delay_first_probe_time = time,
            NeighVar::GcStaletime => self.gc_stale_time = time,
            NeighVar::QueueLenBytes => self.queue_len_bytes = number,
            NeighVar::AnycastDelay => self.anycast_delay = time,
            NeighVar::Locktime => self.locktime = time,
            NeighVar::ProxyDelay => self.proxy_delay = time,
            NeighVar::ProxyQlen => self.proxy_qlen = number,
        }
    }
}
