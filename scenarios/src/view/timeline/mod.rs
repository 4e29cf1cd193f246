//! What CPUs and queues did over time, as a trace for Perfetto (ui.perfetto.dev, `trace_processor`).
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the tracks of machines: CPUs, queues, cards, commands |
//! | `cpu.rs` | slices on the track of a CPU |
//! | `stations.rs` | where a packet's flow goes through |
//! | `events.rs` | events on tracks |
//! | `perfetto.rs` | messages of Perfetto's format |
//!
//! A machine is a process there and a CPU a thread. Slices nest strictly: a context (task, hardirq, softirq), in it functions. What
//! was suspended is cut where the CPU left it.

mod cpu;
mod events;
mod perfetto;
mod stations;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use glassnet_kernel::ids::{CpuId, MachineId};
use glassnet_kernel::trace::Queue;

pub use self::events::MOST_BYTES;
use self::events::{Event, Events, Track};
use self::perfetto::{CounterDescriptor, ProcessDescriptor, ThreadDescriptor, TrackDescriptor};
use self::stations::{Station, Stations};
use super::select::Selection;
use super::story::Story;

/// The timeline of a run, or of some of its prompts, as a file; `None`: it would be [too long](MOST_BYTES). [`Selection::packet`] and
/// [`Selection::all_rules`] change nothing.
pub fn timeline(story: &Story, selection: &Selection) -> Option<Vec<u8>> {
    let mut timeline = Timeline::new(story, selection);
    timeline.commands();
    cpu::slices(&mut timeline);
    timeline.missed();
    timeline.depths();
    timeline.events.into_bytes()
}

/// A timeline being written.
struct Timeline<'a> {
    story: &'a Story<'a>,
    selection: &'a Selection,
    stations: Stations,
    events: Events,
    /// The process of each machine.
    machines: BTreeMap<MachineId, Track>,
    cpus: BTreeMap<(MachineId, CpuId), Track>,
}

fn is_selected(story: &Story, selection: &Selection, step: usize) -> bool {
    let prompt = story.typed.partition_point(|typed| typed.first_step <= step);
    selection.has_prompt(story, prompt)
}

/// Threads have numbers of their own: this many are a machine's.
const THREADS: i64 = 1000;

impl<'a> Timeline<'a> {
    fn new(story: &'a Story<'a>, selection: &'a Selection) -> Timeline<'a> {
        let (mut events, mut machines, mut cpus) = (Events::default(), BTreeMap::new(), BTreeMap::new());
        for (number, kernel) in story.world().machines.iter().enumerate() {
            let pid = number as i32 + 1;
            let process = ProcessDescriptor { pid: Some(pid), process_name: Some(kernel.hostname.clone()) };
            let machine =
                events.track(None, TrackDescriptor { process: Some(process), ..TrackDescriptor::default() });
            machines.insert(kernel.id, machine);
            for cpu in 0..kernel.cpus.len() {
                let thread = ThreadDescriptor {
                    pid: Some(pid),
                    tid: Some(i64::from(pid) * THREADS + cpu as i64),
                    thread_name: Some(format!("CPU {cpu}")),
                };
                let thread = TrackDescriptor { thread: Some(thread), ..TrackDescriptor::default() };
                cpus.insert((kernel.id, CpuId(cpu as u32)), events.track(Some(machine), thread));
            }
        }
        let stations = Stations::of(story, |step| is_selected(story, selection, step));
        Timeline { story, selection, stations, events, machines, cpus }
    }

    /// A step, or what happened before it, belongs to a selected prompt.
    fn has(&self, step: usize) -> bool {
        is_selected(self.story, self.selection, step)
    }

    /// A track of a machine that is neither a CPU nor a counter.
    fn named(&mut self, machine: MachineId, name: &str) -> Track {
        let parent = self.machines.get(&machine).copied();
        self.events
            .track(parent, TrackDescriptor { name: Some(name.to_owned()), ..TrackDescriptor::default() })
    }

    /// A device as its machine knows it, with its namespace.
    fn device(&self, machine: MachineId, label: u32) -> String {
        let label = &self.story.world().kernel(machine).labels[label as usize];
        match self.story.names().name(machine, label.netns) {
            netns if netns.is_empty() => label.name.clone(),
            netns => format!("{netns}/{}", label.name),
        }
    }

    /// What was typed, when the first function ran for it.
    fn commands(&mut self) {
        let mut tracks = BTreeMap::new();
        let world = self.story.world();
        for (number, typed) in self.story.typed.iter().enumerate() {
            if !self.selection.has_prompt(self.story, number + 1) {
                continue;
            }
            let next =
                self.story.typed.get(number + 1).map_or(world.trace.steps.len(), |next| next.first_step);
            let Some(step) = world.trace.steps[..next].get(typed.first_step) else { continue };
            let Some(machine) = world.machine(&typed.machine) else { continue };
            let track = *tracks.entry(machine).or_insert_with(|| self.named(machine, "commands"));
            let event = Event::new("command", typed.command.as_str());
            self.events.instant(track, step.at, event.number("line", typed.line as u64));
        }
    }

    /// Frames that found no descriptor, each on a track of its card.
    fn missed(&mut self) {
        let mut tracks = BTreeMap::new();
        let world = self.story.world();
        for (at, missed) in world.trace.missed.iter().enumerate() {
            if !self.has(missed.step) {
                continue;
            }
            let key = (missed.machine, missed.dev);
            let name = self.device(missed.machine, missed.dev);
            let track =
                *tracks.entry(key).or_insert_with(|| self.named(missed.machine, &format!("{name} missed")));
            let mut event = Event::new("missed", "missed: no descriptor is free");
            if let Some(number) = self.stations.number(missed.packet) {
                let ends = self.stations.at(Station::Missed(at)).unwrap_or_default();
                event = event.number("packet", number).flow(number, ends);
            }
            self.events.instant(track, missed.at, event);
        }
    }

    fn depths(&mut self) {
        let mut tracks = BTreeMap::new();
        let world = self.story.world();
        // A CPU that handles several packets in one go is ahead of what fills its queues meanwhile.
        let mut depths: Vec<_> = world.trace.depths.iter().collect();
        depths.sort_by_key(|depth| depth.at);
        for depth in depths {
            if !self.has(depth.step) {
                continue;
            }
            let key = (depth.machine, depth.queue);
            let track = match tracks.get(&key) {
                Some(track) => *track,
                None => {
                    let name = match depth.queue {
                        Queue::Backlog(cpu) => format!("backlog of CPU {}", cpu.0),
                        Queue::RxRing(dev, ring) => {
                            format!("{} RX ring {ring}", self.device(depth.machine, dev))
                        }
                        Queue::Qdisc(dev, queue) => {
                            format!("{} qdisc of TX queue {queue}", self.device(depth.machine, dev))
                        }
                    };
                    let counter = Some(CounterDescriptor { unit_name: Some("packets".to_owned()) });
                    let track = TrackDescriptor { name: Some(name), counter, ..TrackDescriptor::default() };
                    let track = self.events.track(self.machines.get(&depth.machine).copied(), track);
                    tracks.insert(key, track);
                    track
                }
            };
            self.events.counter(track, depth.at, depth.packets);
        }
    }
}
