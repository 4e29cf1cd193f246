//! Stations of packets: where a packet came to another device, CPU or context, and where it was missed. Its flow goes through the first
//! function there.

use std::collections::BTreeMap;

use glassnet_kernel::trace::StepKind;

use super::super::story::Story;

/// The stations of all packets.
#[derive(Default)]
pub(super) struct Stations {
    /// Numbers of packets by `Skb::packet`.
    numbers: BTreeMap<u32, u64>,
    /// Steps that are stations, and frames that were missed; true for a packet's last.
    places: BTreeMap<Station, bool>,
}

/// A place on the way of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Station {
    /// A step, as an index into `Trace::steps`.
    Step(usize),
    /// A frame that found no descriptor, as an index into `Trace::missed`.
    Missed(usize),
}

impl Stations {
    /// Stations at the steps for which `is_selected` says so.
    pub(super) fn of(story: &Story, is_selected: impl Fn(usize) -> bool) -> Stations {
        let trace = &story.world().trace;
        let mut stations = Stations::default();
        let mut before = BTreeMap::new();
        // CPUs' clocks run ahead of each other: the last place in time may not be the last that was recorded.
        let mut last = BTreeMap::new();
        let mut found = |packet: u32, at, station| {
            stations.places.insert(station, false);
            last.entry(packet).and_modify(|last| *last = (at, station).max(*last)).or_insert((at, station));
        };
        for (number, span) in trace.spans.iter().enumerate() {
            for at in (span.first..span.end).filter(|_| is_selected(span.first)) {
                let step = story.step(at);
                if step.packet == 0 || matches!(step.kind, StepKind::Drop(_)) {
                    continue;
                }
                stations.numbers.entry(step.packet).or_insert(story.owner(at) as u64);
                let here = (number, step.dev);
                if before.insert(step.packet, here) != Some(here) {
                    found(step.packet, step.at, Station::Step(at));
                }
            }
        }
        for (number, missed) in trace.missed.iter().enumerate().filter(|(_, missed)| is_selected(missed.step))
        {
            found(missed.packet, missed.at, Station::Missed(number));
        }
        stations.places.extend(last.into_values().map(|(_, station)| (station, true)));
        stations
    }

    /// The number of a packet; `None`: it is none that was seen.
    pub(super) fn number(&self, packet: u32) -> Option<u64> {
        self.numbers.get(&packet).copied()
    }

    /// True for the last place on its packet's way, false for another; `None`: it is none where a flow goes through.
    pub(super) fn at(&self, station: Station) -> Option<bool> {
        self.places.get(&station).copied()
    }
}
