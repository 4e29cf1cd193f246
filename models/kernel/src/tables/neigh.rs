//! Neighbours: which link-layer address an IPv4 address has on a device, and how sure that is.
//!
//! The state machine is here; what it wants done (probe, send, drop) is returned to the door that asked.
//!
//! Kernel: net/core/neighbour.c (`struct neighbour`, `struct neigh_table`)

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::fast_hash::FastHasher;
use super::neigh_parms::NeighParms;
use super::neigh_types::{NTF_EXT_LEARNED, NeighMsg, NeighRow, Nud};
use super::route_types::RouteType;
use crate::ids::{DevId, NeighId, SkbId};
use crate::tables::drop_reason::DropReason;

/// When an entry was last confirmed. One that never was counts as older than boot (`___neigh_create`), as the kernel's clock
/// does not begin at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed(i64);

impl Confirmed {
    /// Now.
    pub fn at(now: Nanos) -> Self {
        Confirmed(now.0 as i64)
    }

    /// Never: two base reachable times ago.
    pub fn never(now: Nanos, base_reachable_time: Nanos) -> Self {
        Confirmed((now.0 as i64).saturating_sub_unsigned(base_reachable_time.0.saturating_mul(2)))
    }

    /// A time after it; not before boot.
    pub fn plus(self, time: Nanos) -> Nanos {
        Nanos(self.0.saturating_add_unsigned(time.0).max(0) as u64)
    }

    /// How long ago it was.
    pub fn age(self, now: Nanos) -> Nanos {
        Nanos((now.0 as i64).saturating_sub(self.0).max(0) as u64)
    }
}

/// A neighbour (`struct neighbour`); what each packet reads stands first.
#[derive(Clone, Debug)]
#[repr(C)]
pub struct Neighbour {
    /// The device.
    pub dev: DevId,
    /// Its IPv4 address.
    pub ip: Ipv4Addr,
    /// State.
    pub nud: Nud,
    /// The link-layer header is ready to be copied (`hh_len`).
    pub hh: bool,
    /// Its link-layer address.
    pub ha: Mac,
    /// When a packet last waited on it, or started a check.
    pub used: Nanos,
    /// When it last proved to be there.
    pub confirmed: Confirmed,
    /// When its state last changed.
    pub updated: Nanos,
    /// When its timer is due; an event of another time is stale.
    pub timer: Option<Nanos>,
    /// Probes sent in this state.
    pub probes: u32,
    /// NTF_*.
    pub flags: u8,
    /// Type of the address.
    pub kind: RouteType,
    /// NDA_PROTOCOL.
    pub protocol: u8,
    /// Bytes that wait.
    pub queue_bytes: u32,
    /// Packets that wait for the address, with the memory that each takes.
    pub queue: VecDeque<(SkbId, u32)>,
}

/// What the sender of a packet is to do (`__neigh_event_send`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventSend {
    /// Send it now.
    Send,
    /// It waits; `probe`: ask at once.
    Queued {
        /// Ask at once.
        probe: bool,
    },
    /// Drop it.
    Drop(DropReason),
}

/// What an expired timer wants (`neigh_timer_handler`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimerWants {
    /// Nothing more.
    Nothing,
    /// Ask again.
    Probe,
    /// It failed: report an error for each packet that waits.
    Invalidate,
}

/// `NEIGH_UPDATE_F_OVERRIDE`: another address replaces the known one.
pub const UPDATE_F_OVERRIDE: u32 = 1;
/// `NEIGH_UPDATE_F_WEAK_OVERRIDE`: another address makes the known one stale.
pub const UPDATE_F_WEAK_OVERRIDE: u32 = 2;
/// `NEIGH_UPDATE_F_ADMIN`: by a user.
pub const UPDATE_F_ADMIN: u32 = 0x8000_0000;

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// The entry may not be changed that way.
    Refused,
    /// Done; `flush`: the packets that wait can go; `invalidate`: they are to be dropped with an error.
    Done {
        /// The packets that wait can go.
        flush: bool,
        /// The packets that wait are dropped with an error.
        invalidate: bool,
    },
}

/// Shortest time of a timer (HZ/100).
const SHORTEST: Nanos = Nanos::from_millis(10);

impl Neighbour {
    /// The entry may be deleted for others (`neigh_update_gc_list`).
    fn is_in_gc(&self) -> bool {
        self.nud != Nud::Permanent && self.flags & NTF_EXT_LEARNED == 0
    }

    fn max_probes(&self, parms: &NeighParms) -> u32 {
        let broadcast = if self.nud == Nud::Probe { parms.mcast_reprobes } else { parms.mcast_probes };
        parms.ucast_probes + parms.app_probes + broadcast
    }

    /// A packet of `truesize` bytes wants to go (`neigh_event_send`). Too many waiting packets push the oldest
    /// out into `pushed_out`.
    pub fn event_send(
        &mut self,
        packet: Option<(SkbId, u32)>,
        parms: &NeighParms,
        now: Nanos,
        pushed_out: &mut Vec<SkbId>,
    ) -> EventSend {
        let mut probe = false;
        match self.nud {
            Nud::Stale => {
                self.nud = Nud::Delay;
                self.updated = now;
                self.timer = Some(now + parms.delay_first_probe_time);
                return EventSend::Send;
            }
            Nud::Incomplete => {}
            Nud::None | Nud::Failed => {
                self.updated = now;
                if parms.mcast_probes + parms.app_probes == 0 {
                    self.nud = Nud::Failed;
                    return EventSend::Drop(DropReason::NeighFailed);
                }
                self.probes = parms.ucast_probes;
                self.nud = Nud::Incomplete;
                self.timer = Some(now + parms.retrans_time.max(SHORTEST));
                probe = true;
            }
            _ => return EventSend::Send,
        }
        if let Some((skb, truesize)) = packet {
            while self.queue_bytes + truesize > parms.queue_len_bytes {
                let Some((old, size)) = self.queue.pop_front() else { break };
                self.queue_bytes -= size;
                pushed_out.push(old);
            }
            self.queue.push_back((skb, truesize));
            self.queue_bytes += truesize;
        }
        EventSend::Queued { probe }
    }

    /// The timer is due.
    pub fn timer_handler(&mut self, parms: &NeighParms, now: Nanos) -> TimerWants {
        self.timer = None;
        let mut next = now + parms.retrans_time;
        match self.nud {
            Nud::Reachable if now <= self.confirmed.plus(parms.reachable_time) => {
                next = self.confirmed.plus(parms.reachable_time);
            }
            Nud::Reachable if now <= self.used + parms.delay_first_probe_time => {
                self.enter(Nud::Delay, now);
                next = now + parms.delay_first_probe_time;
            }
            Nud::Reachable => {
                self.enter(Nud::Stale, now);
                return TimerWants::Nothing;
            }
            Nud::Delay if now <= self.confirmed.plus(parms.delay_first_probe_time) => {
                self.enter(Nud::Reachable, now);
                next = self.confirmed.plus(parms.reachable_time);
            }
            Nud::Delay => {
                self.enter(Nud::Probe, now);
                self.probes = 0;
            }
            Nud::Probe | Nud::Incomplete => {}
            _ => return TimerWants::Nothing,
        }
        let asks = matches!(self.nud, Nud::Probe | Nud::Incomplete);
        if asks && self.probes >= self.max_probes(parms) {
            self.enter(Nud::Failed, now);
            return TimerWants::Invalidate;
        }
        self.timer = Some(next.max(now + SHORTEST));
        if asks { TimerWants::Probe } else { TimerWants::Nothing }
    }

    fn enter(&mut self, nud: Nud, now: Nanos) {
        self.nud = nud;
        self.updated = now;
    }

    /// Somebody told something of the neighbour (`neigh_update`).
    pub fn update(
        &mut self,
        lladdr: Option<Mac>,
        new: Nud,
        flags: u32,
        parms: &NeighParms,
        now: Nanos,
    ) -> Updated {
        let (old, admin) = (self.nud, flags & UPDATE_F_ADMIN != 0);
        if !admin && matches!(old, Nud::Noarp | Nud::Permanent) {
            return Updated::Refused;
        }
        if !new.valid() {
            self.timer = None;
            self.nud = new;
            let invalidate = matches!(old, Nud::Incomplete | Nud::Probe) && new == Nud::Failed;
            return Updated::Done { flush: false, invalidate };
        }
        let mut new = new;
        let lladdr = match lladdr {
            Some(told) => told,
            None if old.valid() => self.ha,
            None => return Updated::Refused,
        };
        let mut changes = !old.valid() || lladdr != self.ha;
        if new.connected() {
            self.confirmed = Confirmed::at(now);
        }
        if old.valid() {
            if changes && flags & UPDATE_F_OVERRIDE == 0 {
                if flags & UPDATE_F_WEAK_OVERRIDE == 0 || !old.connected() {
                    return Updated::Done { flush: false, invalidate: false };
                }
                (changes, new) = (false, Nud::Stale);
            } else if !changes && new == Nud::Stale && !admin {
                new = old;
            }
        }
        if new != old || changes {
            self.updated = now;
        }
        if new != old {
            self.change_state(new, parms, now);
        }
        if changes {
            self.ha = lladdr;
            if !new.connected() {
                self.confirmed = Confirmed::never(now, parms.base_reachable_time);
            }
        }
        Updated::Done { flush: new != old && !old.valid(), invalidate: false }
    }

    fn change_state(&mut self, new: Nud, parms: &NeighParms, now: Nanos) {
        self.timer = match new {
            Nud::Reachable => Some(now + parms.reachable_time),
            Nud::Delay | Nud::Probe | Nud::Incomplete => Some(now),
            _ => None,
        };
        if new == Nud::Probe {
            self.probes = 0;
        }
        self.nud = new;
    }

    /// The entry as a dump reports it.
    pub fn row(&self, now: Nanos) -> NeighRow {
        NeighRow {
            msg: NeighMsg {
                dev: self.dev,
                dst: self.ip,
                lladdr: self.nud.valid().then_some(self.ha),
                state: self.nud,
                flags: self.flags,
                protocol: self.protocol,
            },
            kind: self.kind as u8,
            used: now.since(self.used).0,
            confirmed: self.confirmed.age(now).0,
            updated: now.since(self.updated).0,
            refcnt: u32::from(self.timer.is_some()),
            probes: self.probes,
        }
    }
}

/// The machine's limits: `/proc/sys/net/ipv4/neigh/default/gc_*`.
#[derive(Clone, Copy, Debug)]
pub struct GcLimits {
    /// Below so many entries nothing is collected.
    pub thresh1: u32,
    /// Above so many entries collection is pressed every 5 s.
    pub thresh2: u32,
    /// More entries are never made.
    pub thresh3: u32,
    /// Time between collections (gc_interval).
    pub interval: Nanos,
}

/// Where a neighbour stands in the table.
type Index = HashMap<u64, NeighId, BuildHasherDefault<FastHasher>>;

/// The ARP table of a machine (`arp_tbl`).
#[derive(Clone, Debug)]
pub struct NeighTable {
    slots: Vec<Option<Neighbour>>,
    free: Vec<NeighId>,
    index: Index,
    /// Addresses that are answered for (`ip neigh add proxy`), with NTF_* and protocol.
    pub proxies: Vec<(Option<DevId>, Ipv4Addr, u8)>,
    /// Requests for such addresses, each with the time at which it is answered (`proxy_queue`).
    pub proxy_queue: VecDeque<(SkbId, Nanos)>,
    /// When the next of them is due.
    pub proxy_timer: Option<Nanos>,
    /// Limits.
    pub gc: GcLimits,
    /// A look for stale entries is due (`gc_work`).
    pub gc_scheduled: bool,
    /// When the table was last pressed for room.
    pub last_flush: Nanos,
}

impl Default for NeighTable {
    fn default() -> Self {
        NeighTable {
            slots: Vec::new(),
            free: Vec::new(),
            index: Index::default(),
            proxies: Vec::new(),
            proxy_queue: VecDeque::new(),
            proxy_timer: None,
            gc: GcLimits { thresh1: 128, thresh2: 512, thresh3: 1024, interval: Nanos::from_secs(30) },
            gc_scheduled: false,
            last_flush: Nanos::ZERO,
        }
    }
}

#[inline]
fn key(dev: DevId, ip: Ipv4Addr) -> u64 {
    u64::from(dev.0) << 32 | u64::from(ip.to_bits())
}

impl NeighTable {
    /// The neighbour with this address on a device.
    #[inline]
    pub fn lookup(&self, dev: DevId, ip: Ipv4Addr) -> Option<NeighId> {
        self.index.get(&key(dev, ip)).copied()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Makes an entry in state NONE; the caller has seen that there is none.
    pub fn create(&mut self, dev: DevId, ip: Ipv4Addr, now: Nanos) -> NeighId {
        let entry = Neighbour {
            dev,
            ip,
            nud: Nud::None,
            hh: false,
            ha: Mac::ZERO,
            used: now,
            confirmed: Confirmed::at(Nanos::ZERO),
            updated: now,
            timer: None,
            probes: 0,
            flags: 0,
            kind: RouteType::Unicast,
            protocol: 0,
            queue_bytes: 0,
            queue: VecDeque::new(),
        };
        let id = match self.free.pop() {
            Some(id) => {
                self.slots[id.index()] = Some(entry);
                id
            }
            None => {
                self.slots.push(Some(entry));
                NeighId(self.slots.len() as u32 - 1)
            }
        };
        self.index.insert(key(dev, ip), id);
        id
    }

    /// Removes an entry and returns it, with the packets that waited.
    pub fn remove(&mut self, id: NeighId) -> Option<Neighbour> {
        let entry = self.slots.get_mut(id.index())?.take()?;
        self.index.remove(&key(entry.dev, entry.ip));
        self.free.push(id);
        Some(entry)
    }

    /// An entry, if it still exists.
    #[inline]
    pub fn get(&self, id: NeighId) -> Option<&Neighbour> {
        self.slots.get(id.index())?.as_ref()
    }

    /// An entry, if it still exists, to change it.
    #[inline]
    pub fn get_mut(&mut self, id: NeighId) -> Option<&mut Neighbour> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// All entries, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = (NeighId, &Neighbour)> {
        self.slots.iter().enumerate().filter_map(|(at, entry)| Some((NeighId(at as u32), entry.as_ref()?)))
    }

    /// Number of entries that may be deleted for others: not permanent, not learnt by a control plane (`gc_entries`).
    pub fn gc_entries(&self) -> u32 {
        self.iter().filter(|(_, entry)| entry.is_in_gc()).count() as u32
    }

    /// Entries that may go when room is needed (`neigh_forced_gc`): not set by hand, nothing waits on them, and
    /// failed or older than 5 s; at most `max`.
    pub fn forced_gc(&self, max: usize, now: Nanos) -> Vec<NeighId> {
        let old = |entry: &Neighbour| now.since(entry.updated) > Nanos::from_secs(5);
        self.iter()
            .filter(|(_, entry)| entry.is_in_gc() && entry.timer.is_none())
            .filter(|(_, entry)| {
                matches!(entry.nud, Nud::Failed | Nud::Noarp)
                    || entry.kind == RouteType::Multicast
                    || old(entry)
            })
            .map(|(id, _)| id)
            .take(max)
            .collect()
    }

    /// Entries that nobody used for gc_stale_time, or that failed (`neigh_periodic_work`).
    pub fn stale(&self, gc_stale_time: impl Fn(DevId) -> Nanos, now: Nanos) -> Vec<NeighId> {
        let gone = |entry: &Neighbour| {
            let used = entry.used.max(entry.confirmed.plus(Nanos::ZERO));
            entry.nud == Nud::Failed || now > used + gc_stale_time(entry.dev)
        };
        self.iter()
            .filter(|(_, entry)| entry.nud != Nud::Permanent && !entry.nud.in_timer())
            .filter(|(_, entry)| entry.flags & NTF_EXT_LEARNED == 0 && gone(entry))
            .map(|(id, _)| id)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    /// Lets the timers run to `until` and returns the states with the second in which each began.
    fn run(entry: &mut Neighbour, until: u64) -> Vec<(u64, Nud)> {
        let parms = NeighParms::default();
        let mut states = vec![(0, entry.nud)];
        while let Some(at) = entry.timer.filter(|at| at.0 <= until * S) {
            if entry.timer_handler(&parms, at) == TimerWants::Probe {
                entry.probes += 1;
            }
            if states.last().map(|last| last.1) != Some(entry.nud) {
                states.push((at.0 / S, entry.nud));
            }
        }
        states
    }

    fn entry() -> Neighbour {
        let mut table = NeighTable::default();
        let id = table.create(DevId(0), Ipv4Addr::new(10, 0, 0, 1), Nanos::ZERO);
        table.remove(id).expect("just made")
    }

    #[test]
    fn silence_after_three_questions_is_failure() {
        let mut entry = entry();
        let sent = entry.event_send(Some((SkbId(0), 700)), &NeighParms::default(), Nanos::ZERO, &mut vec![]);
        assert_eq!(sent, EventSend::Queued { probe: true });
        entry.probes += 1;
        assert_eq!(run(&mut entry, 100), [(0, Nud::Incomplete), (3, Nud::Failed)]);
    }

    #[test]
    fn an_answer_holds_for_a_while_then_a_use_leads_to_probes() {
        let (mut entry, parms) = (entry(), NeighParms::default());
        entry.update(Some(Mac([2; 6])), Nud::Reachable, UPDATE_F_OVERRIDE, &parms, Nanos::ZERO);
        assert_eq!(run(&mut entry, 100), [(0, Nud::Reachable), (30, Nud::Stale)]);
        assert_eq!(entry.event_send(None, &parms, Nanos(40 * S), &mut vec![]), EventSend::Send);
        assert_eq!(run(&mut entry, 100), [(0, Nud::Delay), (45, Nud::Probe), (48, Nud::Failed)]);
    }

    #[test]
    fn a_full_queue_pushes_the_oldest_out() {
        let (mut entry, parms, mut out) =
            (entry(), NeighParms { queue_len_bytes: 1500, ..Default::default() }, vec![]);
        for n in 0..3 {
            entry.event_send(Some((SkbId(n), 700)), &parms, Nanos::ZERO, &mut out);
        }
        assert_eq!((out, entry.queue.len()), (vec![SkbId(0)], 2));
    }

    fn check(old: Nud, new: Nud, same: bool, flags: u32, expected: (Nud, bool)) {
        let (mut entry, parms) = (entry(), NeighParms::default());
        (entry.nud, entry.ha) = (old, Mac([2; 6]));
        let told = if same { Mac([2; 6]) } else { Mac([4; 6]) };
        entry.update(Some(told), new, flags, &parms, Nanos(S));
        assert_eq!((entry.nud, entry.ha == told), expected, "{old:?} {new:?} same {same} flags {flags}");
    }

    #[test]
    fn what_an_update_changes() {
        check(Nud::Incomplete, Nud::Reachable, false, 0, (Nud::Reachable, true));
        check(Nud::Reachable, Nud::Stale, true, UPDATE_F_OVERRIDE, (Nud::Reachable, true));
        check(Nud::Reachable, Nud::Stale, false, UPDATE_F_OVERRIDE, (Nud::Stale, true));
        check(Nud::Reachable, Nud::Stale, false, 0, (Nud::Reachable, false));
        check(Nud::Reachable, Nud::Stale, false, UPDATE_F_WEAK_OVERRIDE, (Nud::Stale, false));
        check(Nud::Permanent, Nud::Reachable, false, UPDATE_F_OVERRIDE, (Nud::Permanent, false));
        check(Nud::Permanent, Nud::Stale, false, UPDATE_F_OVERRIDE | UPDATE_F_ADMIN, (Nud::Stale, true));
    }
}
