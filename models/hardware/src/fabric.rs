//! Cables, switches, and the plugs that NICs put into them.

use glassnet_sim::Nanos;
use glassnet_wire::eth::EthHdr;
use glassnet_wire::{BufId, BufPool, Mac};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

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
}

impl Default for Cable {
    /// 10 Gbit/s over one metre.
    fn default() -> Self {
        Cable { rate: 10_000_000_000, delay: Nanos(5) }
    }
}

/// A frame that reaches a NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When its last bit is there.
    pub at: Nanos,
    /// The NIC's plug.
    pub plug: PlugId,
    /// The frame.
    pub frame: BufId,
}

#[derive(Debug)]
struct Plug {
    /// The other end of the cable.
    peer: Option<(PlugId, Cable)>,
    /// The switch that this plug is a port of; `None`: a NIC's.
    switch: Option<SwitchId>,
    /// When the wire is free again for the next frame.
    free_at: Nanos,
}

#[derive(Debug, Default)]
struct Switch {
    ports: Vec<PlugId>,
    stations: BTreeMap<Mac, PlugId>,
}

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
    /// A plug for a NIC, without a cable.
    pub fn add_plug(&mut self) -> PlugId {
        self.plugs.push(Plug { peer: None, switch: None, free_at: Nanos::ZERO });
        PlugId(self.plugs.len() as u32 - 1)
    }

    /// A switch without ports.
    pub fn add_switch(&mut self) -> SwitchId {
        self.switches.push(Switch::default());
        SwitchId(self.switches.len() as u32 - 1)
    }

    /// A new port of a switch.
    pub fn add_port(&mut self, switch: SwitchId) -> PlugId {
        let plug = self.add_plug();
        self.plugs[plug.0 as usize].switch = Some(switch);
        self.switches[switch.0 as usize].ports.push(plug);
        plug
    }

    /// Lays a cable between two plugs.
    pub fn connect(&mut self, a: PlugId, b: PlugId, cable: Cable) {
        self.plugs[a.0 as usize].peer = Some((b, cable));
        self.plugs[b.0 as usize].peer = Some((a, cable));
    }

    /// A cable is plugged in.
    pub fn is_connected(&self, plug: PlugId) -> bool {
        self.plugs[plug.0 as usize].peer.is_some()
    }

    /// Sends a frame from a NIC at `now` and appends where and when it arrives. The frame is held once for each
    /// arrival; the caller's own hold is consumed.
    pub fn transmit(
        &mut self,
        from: PlugId,
        frame: BufId,
        now: Nanos,
        bufs: &mut BufPool,
        out: &mut Vec<Arrival>,
    ) {
        self.carry(from, frame, now, bufs, out);
        bufs.release(frame);
    }

    fn carry(&mut self, from: PlugId, frame: BufId, now: Nanos, bufs: &mut BufPool, out: &mut Vec<Arrival>) {
        let len = (bufs.bytes(frame).len() as u64).max(MIN_FRAME) + WIRE_OVERHEAD;
        let plug = &mut self.plugs[from.0 as usize];
        let Some((to, cable)) = plug.peer else { return };
        let sent = now.max(plug.free_at) + serialisation(len, cable.rate);
        plug.free_at = sent;
        let at = sent + cable.delay;
        match self.plugs[to.0 as usize].switch {
            None => {
                bufs.hold(frame);
                out.push(Arrival { at, plug: to, frame });
            }
            Some(switch) => self.switch(switch, to, frame, at, bufs, out),
        }
    }

    /// A store-and-forward switch: it learns the sender's port and sends to the receiver's, or to all others.
    fn switch(
        &mut self,
        id: SwitchId,
        ingress: PlugId,
        frame: BufId,
        at: Nanos,
        bufs: &mut BufPool,
        out: &mut Vec<Arrival>,
    ) {
        let Ok((eth, _)) = EthHdr::read_from_prefix(bufs.bytes(frame)) else { return };
        let switch = &mut self.switches[id.0 as usize];
        switch.stations.insert(eth.source(), ingress);
        let egress: Vec<PlugId> = match switch.stations.get(&eth.dest()) {
            Some(port) if !eth.dest().is_multicast() => vec![*port],
            _ => switch.ports.clone(),
        };
        for port in egress.into_iter().filter(|port| *port != ingress) {
            self.carry(port, frame, at, bufs, out);
        }
    }
}

fn serialisation(len: u64, rate: u64) -> Nanos {
    (len * 8 * 1_000_000_000).checked_div(rate).map_or(Nanos::ZERO, Nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(bufs: &mut BufPool, dest: u8, source: u8) -> BufId {
        let id = bufs.alloc(60);
        bufs.bytes_mut(id)[5] = dest;
        bufs.bytes_mut(id)[11] = source;
        id
    }

    #[test]
    fn a_cable_takes_its_time_and_frames_queue_behind_each_other() {
        let (mut fabric, mut bufs) = (Fabric::default(), BufPool::default());
        let (a, b) = (fabric.add_plug(), fabric.add_plug());
        fabric.connect(a, b, Cable { rate: 1_000_000_000, delay: Nanos(500) });
        let mut out = Vec::new();
        for _ in 0..2 {
            let frame = frame(&mut bufs, 2, 1);
            fabric.transmit(a, frame, Nanos(1_000), &mut bufs, &mut out);
        }
        let times: Vec<u64> = out.iter().map(|arrival| arrival.at.0).collect();
        assert_eq!(times, [1_000 + 672 + 500, 1_000 + 2 * 672 + 500]);
    }

    #[test]
    fn a_switch_floods_what_it_does_not_know_and_learns() {
        let (mut fabric, mut bufs) = (Fabric::default(), BufPool::default());
        let switch = fabric.add_switch();
        let nics: Vec<PlugId> = (0..3)
            .map(|_| {
                let (nic, port) = (fabric.add_plug(), fabric.add_port(switch));
                fabric.connect(nic, port, Cable::default());
                nic
            })
            .collect();
        let mut send = |from: usize, dest: u8| {
            let (frame, mut out) = (frame(&mut bufs, dest, from as u8), Vec::new());
            fabric.transmit(nics[from], frame, Nanos::ZERO, &mut bufs, &mut out);
            out.iter().map(|arrival| arrival.plug).collect::<Vec<_>>()
        };
        assert_eq!(send(0, 1), [nics[1], nics[2]]);
        assert_eq!(send(1, 0), [nics[0]]);
    }

    #[test]
    fn without_a_cable_nothing_arrives_and_nothing_leaks() {
        let (mut fabric, mut bufs) = (Fabric::default(), BufPool::default());
        let plug = fabric.add_plug();
        let (frame, mut out) = (frame(&mut bufs, 2, 1), Vec::new());
        fabric.transmit(plug, frame, Nanos::ZERO, &mut bufs, &mut out);
        assert!(out.is_empty());
        assert_eq!(bufs.held(), 0);
    }
}
