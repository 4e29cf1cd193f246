//! Cables, switches, and the plugs that NICs put into them.

use glassnet_sim::{Dice, Nanos};
use glassnet_wire::eth::EthHdr;
use glassnet_wire::{BufId, BufPool, Mac};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

use crate::card::Card;

/// One end of a cable: a NIC's socket or a switch's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlugId(pub u32);

/// A switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SwitchId(pub u32);

/// How a cable carries frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cable {
    /// Bits a second; 0: any number at once.
    pub rate: u64,
    /// Time from one end to the other.
    pub delay: Nanos,
    /// What goes wrong on it.
    pub faults: Faults,
}

impl Default for Cable {
    /// 10 Gbit/s over one metre, without faults.
    fn default() -> Self {
        Cable { rate: 10_000_000_000, delay: Nanos(5), faults: Faults::default() }
    }
}

/// How many of a million frames something happens to, each by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// They never arrive.
    pub loss: u32,
    /// They arrive twice.
    pub duplicate: u32,
    /// A bit of them is wrong, so that the far end finds a wrong checksum and drops them.
    pub corrupt: u32,
    /// Others may overtake them: they are up to [`Faults::late`] later.
    pub reorder: u32,
    /// How late they are at most.
    pub late: Nanos,
}

/// True for so many of a million; there is no dice for what never happens.
fn happens(share: u32, dice: &mut Dice) -> bool {
    share > 0 && dice.below(1_000_000) < u64::from(share)
}

/// A frame that reaches the far end of a cable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When its last bit is there.
    pub at: Nanos,
    /// The plug there: a NIC's or a switch's port.
    pub plug: PlugId,
    /// The frame.
    pub frame: BufId,
    /// Its checksum is right.
    pub intact: bool,
}

#[derive(Debug)]
struct Plug {
    /// The other end of the cable.
    peer: Option<(PlugId, Cable)>,
    /// The cable is pulled out, at this end or the other.
    pulled: bool,
    /// The fastest that this end offers, bits a second; `None`: as fast as the cable.
    offer: Option<u64>,
    /// The fastest that both ends offer.
    agreed: Option<u64>,
    /// When the wire is free again for the next frame.
    free_at: Nanos,
    /// What it belongs to.
    owner: Owner,
}

#[derive(Debug)]
enum Owner {
    /// A NIC.
    Card(Box<Card>),
    /// A switch, as one of its ports.
    Switch(SwitchId),
    /// Something that is no machine.
    Outside,
}

#[derive(Debug)]
struct Switch {
    ports: Vec<PlugId>,
    stations: BTreeMap<Mac, PlugId>,
    /// How much may wait for a port, bytes on the wire.
    queue: u64,
    /// Frames that found the queue of their port full.
    dropped: u64,
}

/// What waits at most for a port of a switch unless it says otherwise, bytes.
pub const SWITCH_QUEUE: u64 = 512 << 10;

/// Bytes on the wire beside the frame: preamble, checksum and gap (IEEE 802.3).
const WIRE_OVERHEAD: u64 = 24;
/// The shortest frame without its checksum; a NIC pads up to it.
const MIN_FRAME: u64 = 60;

/// All cables and switches between the machines of a world.
#[derive(Debug, Default)]
pub struct Fabric {
    plugs: Vec<Plug>,
    switches: Vec<Switch>,
}

impl Fabric {
    /// A plug of a NIC, without a cable.
    pub fn add_card(&mut self, card: Card) -> PlugId {
        self.add_plug(Owner::Card(Box::new(card)))
    }

    /// A switch without ports; `queue`: how much may wait for each, bytes.
    pub fn add_switch(&mut self, queue: u64) -> SwitchId {
        self.switches.push(Switch { ports: Vec::new(), stations: BTreeMap::new(), queue, dropped: 0 });
        SwitchId(self.switches.len() as u32 - 1)
    }

    /// A new port of a switch.
    pub fn add_port(&mut self, switch: SwitchId) -> PlugId {
        let plug = self.add_plug(Owner::Switch(switch));
        self.switches[switch.0 as usize].ports.push(plug);
        plug
    }

    /// A plug of something that is no machine: what reaches it is gone.
    pub fn add_outside(&mut self) -> PlugId {
        self.add_plug(Owner::Outside)
    }

    fn add_plug(&mut self, owner: Owner) -> PlugId {
        self.plugs.push(Plug {
            peer: None,
            pulled: false,
            offer: None,
            agreed: None,
            free_at: Nanos::ZERO,
            owner,
        });
        PlugId(self.plugs.len() as u32 - 1)
    }

    /// Lays a cable between two plugs.
    pub fn connect(&mut self, a: PlugId, b: PlugId, cable: Cable) {
        self.plugs[a.0 as usize].peer = Some((b, cable));
        self.plugs[b.0 as usize].peer = Some((a, cable));
    }

    /// The other end of the cable; `None`: there is none.
    pub fn peer(&self, plug: PlugId) -> Option<PlugId> {
        self.plugs[plug.0 as usize].peer.map(|(peer, _)| peer)
    }

    /// A cable is plugged in at both ends.
    pub fn is_connected(&self, plug: PlugId) -> bool {
        let plug = &self.plugs[plug.0 as usize];
        plug.peer.is_some() && !plug.pulled
    }

    /// Pulls the cable of a plug out, or puts it back: what is on it then is lost.
    pub fn pull(&mut self, plug: PlugId, out: bool) {
        for end in [Some(plug), self.peer(plug)].into_iter().flatten() {
            self.plugs[end.0 as usize].pulled = out;
        }
        self.link_lost(plug);
    }

    /// A link goes down: a switch at either end forgets who was behind it.
    pub fn link_lost(&mut self, plug: PlugId) {
        for end in [Some(plug), self.peer(plug)].into_iter().flatten() {
            if let Owner::Switch(id) = self.plugs[end.0 as usize].owner {
                self.switches[id.0 as usize].stations.retain(|_, port| *port != end);
            }
        }
    }

    /// Changes how the cable of a plug carries frames from now on, in both directions.
    pub fn set_cable(&mut self, plug: PlugId, cable: Cable) {
        for end in [Some(plug), self.peer(plug)].into_iter().flatten() {
            if let Some((_, own)) = &mut self.plugs[end.0 as usize].peer {
                *own = cable;
            }
        }
    }

    /// The cable of a plug; `None`: there is none.
    pub fn cable(&self, plug: PlugId) -> Option<Cable> {
        self.plugs[plug.0 as usize].peer.map(|(_, cable)| cable)
    }

    /// Sets the fastest that an end offers, bits a second; `None`: as fast as the cable.
    pub fn set_offer(&mut self, plug: PlugId, offer: Option<u64>) {
        self.plugs[plug.0 as usize].offer = offer;
        let ends: Vec<usize> =
            [Some(plug), self.peer(plug)].into_iter().flatten().map(|end| end.0 as usize).collect();
        let agreed = ends.iter().filter_map(|end| self.plugs[*end].offer).min();
        ends.into_iter().for_each(|end| self.plugs[end].agreed = agreed);
    }

    /// The fastest that both ends offer, bits a second; `None`: as fast as the cable.
    pub fn agreed(&self, plug: PlugId) -> Option<u64> {
        self.plugs[plug.0 as usize].agreed
    }

    /// Bits a second of the link; `None`: there is no cable.
    #[inline]
    fn rate(&self, plug: PlugId) -> Option<u64> {
        let plug = &self.plugs[plug.0 as usize];
        let (_, cable) = plug.peer?;
        Some(match plug.agreed {
            Some(agreed) if cable.rate == 0 || agreed < cable.rate => agreed,
            _ => cable.rate,
        })
    }

    /// The card of a plug, if it is one's.
    #[inline]
    pub fn card(&mut self, plug: PlugId) -> Option<&mut Card> {
        match &mut self.plugs[plug.0 as usize].owner {
            Owner::Card(card) => Some(card),
            Owner::Switch(_) | Owner::Outside => None,
        }
    }

    /// Frames that a switch dropped because the queue of their port was full.
    pub fn dropped(&self, switch: SwitchId) -> u64 {
        self.switches[switch.0 as usize].dropped
    }

    /// Sends a frame, whose hold is consumed, at `now`, and appends where and when it arrives: at most twice. Returns when its
    /// last bit has left.
    pub fn transmit(
        &mut self,
        from: PlugId,
        frame: BufId,
        now: Nanos,
        (bufs, dice): (&mut BufPool, &mut Dice),
        out: &mut Vec<Arrival>,
    ) -> Nanos {
        let (len, rate) = (on_wire(bufs, frame), self.rate(from).unwrap_or(0));
        let plug = &mut self.plugs[from.0 as usize];
        let Some((to, cable)) = plug.peer.filter(|_| !plug.pulled) else {
            bufs.release(frame);
            return now;
        };
        let sent = now.max(plug.free_at) + serialisation(len, rate);
        plug.free_at = sent;
        let faults = cable.faults;
        if happens(faults.loss, dice) {
            bufs.release(frame);
            return sent;
        }
        let mut arrival =
            Arrival { at: sent + cable.delay, plug: to, frame, intact: !happens(faults.corrupt, dice) };
        if happens(faults.reorder, dice) {
            arrival.at += Nanos(dice.below(faults.late.0 + 1));
        }
        if happens(faults.duplicate, dice) {
            bufs.hold(frame);
            out.push(arrival);
        }
        out.push(arrival);
        sent
    }

    /// A frame has reached the port of a switch, which stores and forwards it: it learns the sender's port and sends to the
    /// receiver's, or to all others.
    pub fn forward(
        &mut self,
        arrival: Arrival,
        (bufs, dice): (&mut BufPool, &mut Dice),
        out: &mut Vec<Arrival>,
    ) {
        let Arrival { at, plug, frame, intact } = arrival;
        let header = EthHdr::read_from_prefix(bufs.bytes(frame)).ok().filter(|_| intact);
        let (Owner::Switch(id), Some((eth, _))) = (&self.plugs[plug.0 as usize].owner, header) else {
            return bufs.release(frame);
        };
        let id = id.0 as usize;
        let switch = &mut self.switches[id];
        switch.stations.insert(eth.source(), plug);
        let egress: Vec<PlugId> = match switch.stations.get(&eth.dest()) {
            Some(port) if !eth.dest().is_multicast() => vec![*port],
            _ => switch.ports.clone(),
        };
        for port in egress.into_iter().filter(|port| *port != plug) {
            if self.waiting(port, at) + on_wire(bufs, frame) > self.switches[id].queue {
                self.switches[id].dropped += 1;
                continue;
            }
            bufs.hold(frame);
            self.transmit(port, frame, at, (bufs, dice), out);
        }
        bufs.release(frame);
    }

    /// Bytes that wait for a plug's wire or are on their way into it.
    fn waiting(&self, plug: PlugId, now: Nanos) -> u64 {
        let rate = self.rate(plug).unwrap_or(0);
        let time = self.plugs[plug.0 as usize].free_at.0.saturating_sub(now.0);
        (u128::from(time) * u128::from(rate) / 8_000_000_000) as u64
    }
}

/// Bytes of a frame on the wire, with preamble, checksum and gap.
fn on_wire(bufs: &BufPool, frame: BufId) -> u64 {
    (bufs.bytes(frame).len() as u64).max(MIN_FRAME) + WIRE_OVERHEAD
}

fn serialisation(len: u64, rate: u64) -> Nanos {
    (len * 8 * 1_000_000_000).checked_div(rate).map_or(Nanos::ZERO, Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card::Vectors;
    use crate::rss::Rss;

    fn frame(bufs: &mut BufPool, dest: u8, source: u8) -> BufId {
        let id = bufs.alloc(60);
        bufs.bytes_mut(id)[5] = dest;
        bufs.bytes_mut(id)[11] = source;
        id
    }

    fn card(fabric: &mut Fabric) -> PlugId {
        fabric.add_card(Card::new(1, 256, 0, Vectors { rx: 0, tx: 1, count: 2 }, Rss::new([0; 40], 1)))
    }

    /// Two cards and a cable; what arrives at the second when so many frames are sent at 1,000 ns.
    fn sent(frames: usize, cable: Cable) -> (Vec<Arrival>, usize) {
        let (mut fabric, mut bufs, mut dice) = (Fabric::default(), BufPool::default(), Dice::new(1));
        let (a, b) = (card(&mut fabric), card(&mut fabric));
        fabric.connect(a, b, cable);
        let mut out = Vec::new();
        for _ in 0..frames {
            let frame = frame(&mut bufs, 2, 1);
            fabric.transmit(a, frame, Nanos(1_000), (&mut bufs, &mut dice), &mut out);
        }
        let arrived = out.clone();
        out.into_iter().for_each(|arrival| bufs.release(arrival.frame));
        (arrived, bufs.held())
    }

    const GIGABIT: Cable = Cable {
        rate: 1_000_000_000,
        delay: Nanos(500),
        faults: Faults { loss: 0, duplicate: 0, corrupt: 0, reorder: 0, late: Nanos::ZERO },
    };

    #[test]
    fn a_cable_takes_its_time_and_frames_queue_behind_each_other() {
        let (arrived, _) = sent(2, GIGABIT);
        let times: Vec<u64> = arrived.iter().map(|arrival| arrival.at.0).collect();
        assert_eq!(times, [1_000 + 672 + 500, 1_000 + 2 * 672 + 500]);
    }

    #[test]
    fn faults_happen_as_often_as_they_are_asked_for_and_nothing_leaks() {
        let with = |faults: Faults| sent(10_000, Cable { faults, ..GIGABIT });
        let near = |count: usize, share: u32| count.abs_diff(share as usize / 100) < 150;
        let none = Faults::default();
        let (arrived, held) = with(Faults { loss: 200_000, ..none });
        assert!(near(arrived.len(), 800_000) && held == 0, "{}", arrived.len());
        let (arrived, held) = with(Faults { duplicate: 100_000, ..none });
        assert!(near(arrived.len(), 1_100_000) && held == 0, "{}", arrived.len());
        let (arrived, _) = with(Faults { corrupt: 50_000, ..none });
        assert!(near(arrived.iter().filter(|arrival| !arrival.intact).count(), 50_000));
        let (arrived, _) = with(Faults { reorder: 100_000, late: Nanos(20_000), ..none });
        let late = arrived.windows(2).filter(|pair| pair[0].at > pair[1].at).count();
        assert!(late > 500, "{late}");
        assert_eq!(with(Faults { loss: 1_000_000, ..none }).0, []);
    }

    /// A switch with three cards of 1 Gbit/s.
    fn switch(queue: u64) -> (Fabric, SwitchId, Vec<PlugId>) {
        let mut fabric = Fabric::default();
        let switch = fabric.add_switch(queue);
        let nics = (0..3).map(|_| {
            let (nic, port) = (card(&mut fabric), fabric.add_port(switch));
            fabric.connect(nic, port, GIGABIT);
            nic
        });
        let nics = nics.collect();
        (fabric, switch, nics)
    }

    #[test]
    fn a_switch_floods_what_it_does_not_know_and_learns() {
        let (mut fabric, _, nics) = switch(SWITCH_QUEUE);
        let (mut bufs, mut dice) = (BufPool::default(), Dice::new(1));
        let mut send = |from: usize, dest: u8| {
            let (frame, mut out) = (frame(&mut bufs, dest, from as u8), Vec::new());
            fabric.transmit(nics[from], frame, Nanos::ZERO, (&mut bufs, &mut dice), &mut out);
            let at_switch = out.pop().expect("it arrives");
            fabric.forward(at_switch, (&mut bufs, &mut dice), &mut out);
            out.iter().map(|arrival| arrival.plug).collect::<Vec<_>>()
        };
        assert_eq!(send(0, 1), [nics[1], nics[2]]);
        assert_eq!(send(1, 0), [nics[0]]);
    }

    #[test]
    fn a_switch_forgets_who_was_behind_a_link_that_goes_down() {
        let (mut fabric, switch, cards) = switch(SWITCH_QUEUE);
        let known = |fabric: &Fabric| fabric.switches[switch.0 as usize].stations.len();
        let (mut bufs, mut dice, mut out) = (BufPool::default(), Dice::new(1), Vec::new());
        for (at, card) in (1..).zip(&cards[..2]) {
            let frame = frame(&mut bufs, 9, at);
            let plug = fabric.peer(*card).expect("a cable");
            fabric.forward(
                Arrival { at: Nanos(1), plug, frame, intact: true },
                (&mut bufs, &mut dice),
                &mut out,
            );
        }
        assert_eq!(known(&fabric), 2);
        fabric.link_lost(cards[0]);
        assert_eq!(known(&fabric), 1);
        fabric.pull(cards[1], true);
        assert_eq!(known(&fabric), 0);
    }

    #[test]
    fn two_senders_share_a_port_in_the_order_of_time_and_its_queue_is_finite() {
        // Room for ten frames of 84 bytes.
        let (mut fabric, switch, nics) = switch(840);
        let (mut bufs, mut dice) = (BufPool::default(), Dice::new(1));
        let mut at_switch = Vec::new();
        for (from, start) in [(1, Nanos::ZERO), (2, Nanos(336))] {
            for _ in 0..30 {
                let frame = frame(&mut bufs, 9, from);
                fabric.transmit(
                    nics[usize::from(from)],
                    frame,
                    start,
                    (&mut bufs, &mut dice),
                    &mut at_switch,
                );
            }
        }
        at_switch.sort_by_key(|arrival| arrival.at);
        let mut arrived = Vec::new();
        for arrival in at_switch {
            fabric.forward(arrival, (&mut bufs, &mut dice), &mut arrived);
        }
        arrived.retain(|arrival| arrival.plug == nics[0]);
        let first: Vec<u8> = arrived.iter().take(8).map(|arrival| bufs.bytes(arrival.frame)[11]).collect();
        // Twice as much comes as goes: in 30 times 672 ns 30 frames leave, and ten wait then.
        assert!((38..=41).contains(&arrived.len()), "{}", arrived.len());
        assert_eq!(first, [1, 2, 1, 2, 1, 2, 1, 2]);
        assert!(fabric.dropped(switch) >= 19);
    }

    #[test]
    fn without_a_cable_nothing_arrives_and_nothing_leaks() {
        let (mut fabric, mut bufs, mut dice) = (Fabric::default(), BufPool::default(), Dice::new(1));
        let plug = card(&mut fabric);
        let (frame, mut out) = (frame(&mut bufs, 2, 1), Vec::new());
        fabric.transmit(plug, frame, Nanos::ZERO, (&mut bufs, &mut dice), &mut out);
        assert!(out.is_empty());
        assert_eq!(bufs.held(), 0);
    }
}
