//! Exchanges: a packet, and all packets caused by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassnet_cluster::kube_proxy::explain::{Explained, Objects};
use glassnet_kernel::World;
use glassnet_kernel::door::Func;
use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::note::{ConntrackNote, IpvsNote, Note, TunnelNote, UdpTunnel};
use glassnet_kernel::tables::conntrack::CtInfo;
use glassnet_kernel::trace::{Headers, Step, StepKind, Trace};

use super::hook::hook_note;
use super::names::Namespaces;
use super::notes;
use super::objects;
use super::reason::Seen;
use super::rules::Met;
use super::summary::summary;
use super::udp_tunnel;

/// A prompt, with its position in the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// Its block of prompts in the lesson, from 1.
    pub block: usize,
    /// Its line in the lesson, from 1.
    pub line: usize,
    /// The machine.
    pub machine: String,
    /// The command.
    pub command: String,
    /// Its output.
    pub output: String,
    /// Number of [steps](Trace::steps) before it.
    pub first_step: usize,
}

/// Place of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// The machine.
    pub machine: &'a str,
    /// Namespace; empty for the initial one.
    pub netns: String,
    /// The device; empty if there was none yet.
    pub device: &'a str,
}

/// A packet, numbered from 1 in order of appearance.
#[derive(Clone, Debug)]
pub struct Packet {
    /// The packet that caused it, if any.
    pub cause: Option<usize>,
    /// Number of its exchange.
    pub exchange: usize,
    /// tcpdump's line.
    pub summary: String,
}

/// A packet and all packets caused by it, in order of their first steps.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// Number of the prompt at its start, from 1; 0: none.
    pub prompt: usize,
    /// Numbers of its packets.
    pub packets: Vec<usize>,
    /// Steps in order, as indexes into [`Trace::steps`].
    pub steps: Vec<usize>,
}

/// Consecutive steps of one packet in an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    /// Number of the packet.
    pub packet: usize,
    /// Its steps, as indexes into [`Trace::steps`].
    pub steps: Vec<usize>,
}

/// A run, prepared for the views.
pub struct Story<'a> {
    world: &'a World,
    names: Namespaces,
    /// Prompts; the one with number n is at n - 1.
    pub typed: Vec<Typed>,
    /// Packets; the one with number n is at n - 1.
    pub packets: Vec<Packet>,
    /// Exchanges; the one with number n is at n - 1.
    pub exchanges: Vec<Exchange>,
    owners: Vec<usize>,
    notes: BTreeMap<usize, Vec<usize>>,
    headers: BTreeMap<usize, usize>,
    /// Indexes into [`Trace::headers`] by packet.
    headers_of: BTreeMap<u32, Vec<usize>>,
    /// Steps by packet.
    steps_of: BTreeMap<u32, Vec<usize>>,
    /// Index into [`Trace::visits`] by step.
    visits: BTreeMap<usize, usize>,
    tunnel_ports: BTreeMap<u16, UdpTunnel>,
    /// Those of a cluster.
    objects: Option<Arc<Objects>>,
}

impl<'a> Story<'a> {
    /// Reads the trace of a world observed at [`Level::Detail`](glassnet_kernel::trace::Level::Detail).
    pub fn new(world: &'a World, names: Namespaces, typed: Vec<Typed>) -> Story<'a> {
        Story::with_objects(world, names, typed, Objects::in_world(world).map(Arc::new))
    }

    /// The same with objects of a cluster that were read already.
    pub fn with_objects(
        world: &'a World,
        names: Namespaces,
        typed: Vec<Typed>,
        objects: Option<Arc<Objects>>,
    ) -> Story<'a> {
        let trace = &world.trace;
        let mut notes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (at, note) in trace.notes.iter().enumerate() {
            notes.entry(note.step).or_default().push(at);
        }
        let headers = trace.headers.iter().enumerate().map(|(at, headers)| (headers.step, at)).collect();
        let mut headers_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, headers) in trace.headers.iter().enumerate() {
            headers_of.entry(trace.steps[headers.step].packet).or_default().push(at);
        }
        let mut steps_of: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, step) in trace.steps.iter().enumerate() {
            steps_of.entry(step.packet).or_default().push(at);
        }
        let visits = trace.visits.iter().enumerate().map(|(at, visit)| (visit.step, at)).collect();
        let mut story = Story {
            world,
            names,
            typed,
            packets: Vec::new(),
            exchanges: Vec::new(),
            owners: vec![0; trace.steps.len()],
            notes,
            headers,
            headers_of,
            steps_of,
            visits,
            tunnel_ports: udp_tunnel::ports(trace),
            objects,
        };
        let numbers = story.find_packets();
        story.find_owners(&numbers);
        story
    }

    /// The observed world.
    pub fn world(&self) -> &'a World {
        self.world
    }

    /// Names of its namespaces.
    pub fn names(&self) -> &Namespaces {
        &self.names
    }

    fn trace(&self) -> &'a Trace {
        &self.world.trace
    }

    /// Numbers the packets, determines their causes, and creates an exchange for each packet without a cause.
    fn find_packets(&mut self) -> BTreeMap<u32, usize> {
        let mut numbers = BTreeMap::new();
        let summaries = self.summaries();
        for birth in &self.trace().births {
            let cause: Option<usize> = numbers.get(&birth.cause).copied();
            let number = self.packets.len() + 1;
            numbers.insert(birth.packet, number);
            let exchange = match cause {
                Some(cause) => self.packets[cause - 1].exchange,
                None => {
                    let prompt = self.typed.partition_point(|typed| typed.first_step <= birth.step);
                    self.exchanges.push(Exchange { prompt, ..Exchange::default() });
                    self.exchanges.len()
                }
            };
            self.exchanges[exchange - 1].packets.push(number);
            let summary = summaries.get(&birth.packet).map_or("never sent", |summary| summary).to_owned();
            self.packets.push(Packet { cause, exchange, summary });
        }
        numbers
    }

    /// tcpdump's line of each packet: when it first had an Ethernet header, or at its end.
    fn summaries(&self) -> BTreeMap<u32, String> {
        let mut best: BTreeMap<u32, &Headers> = BTreeMap::new();
        for headers in &self.trace().headers {
            let packet = self.trace().steps[headers.step].packet;
            if is_written(headers) && best.get(&packet).is_none_or(|known| !known.link) {
                best.insert(packet, headers);
            }
        }
        best.into_iter().map(|(packet, headers)| (packet, summary(headers))).collect()
    }

    /// Assigns each step to its packet; a step without packet to the next packet of its system call or interrupt.
    fn find_owners(&mut self, numbers: &BTreeMap<u32, usize>) {
        let mut waiting: Vec<usize> = Vec::new();
        let mut entries = self.trace().entries.iter().peekable();
        for (at, step) in self.trace().steps.iter().enumerate() {
            while entries.next_if(|entry| **entry <= at).is_some() {
                waiting.clear();
            }
            waiting.push(at);
            if let Some(number) = numbers.get(&step.packet) {
                let exchange = self.packets[number - 1].exchange;
                for at in waiting.drain(..) {
                    self.owners[at] = *number;
                    self.exchanges[exchange - 1].steps.push(at);
                }
            }
        }
    }

    /// The step at this index.
    pub fn step(&self, at: usize) -> &'a Step {
        &self.trace().steps[at]
    }

    /// Number of the packet that a step belongs to; 0: none.
    pub fn owner(&self, at: usize) -> usize {
        self.owners[at]
    }

    /// Notes of a step.
    pub fn notes(&self, at: usize) -> impl Iterator<Item = &'a Note> {
        let notes = self.notes.get(&at).map_or(&[][..], Vec::as_slice);
        notes.iter().map(|note| &self.trace().notes[*note].note)
    }

    /// The bridge that received the frame in a step.
    pub fn bridge(&self, at: usize) -> Option<&'a str> {
        self.notes(at).find_map(|note| match note {
            Note::Bridge { name } => Some(name.as_str()),
            _ => None,
        })
    }

    /// How a frame was packed into a tunnel's datagram in a step.
    pub fn packed(&self, at: usize) -> Option<TunnelNote> {
        self.notes(at).find_map(|note| match note {
            Note::Tunnel(note) => Some(*note),
            _ => None,
        })
    }

    /// The frame inside, if these are the headers of a tunnel's datagram.
    pub fn inside(&self, headers: &Headers) -> Option<String> {
        udp_tunnel::inside(headers, &self.tunnel_ports)
    }

    /// Destinations of the frame that was flooded in a step.
    pub fn flooded(&self, at: usize) -> String {
        let flood = self.notes(at).find_map(|note| match note {
            Note::Flood { ports, local } => Some(notes::flood(ports, *local)),
            _ => None,
        });
        flood.unwrap_or("all ports".to_owned())
    }

    /// Headers that changed before a step: old ones, if known, and new ones.
    pub fn headers(&self, at: usize) -> Option<(Option<&'a Headers>, &'a Headers)> {
        let all = &self.trace().headers;
        let now = *self.headers.get(&at).filter(|now| is_written(&all[**now]))?;
        let packet = self.step(at).packet;
        let earlier = all[..now].iter().rev().find(|headers| self.step(headers.step).packet == packet);
        Some((earlier.filter(|earlier| is_written(earlier)), &all[now]))
    }

    /// Headers of a step's packet at that time.
    pub fn headers_at(&self, at: usize) -> Option<&'a Headers> {
        let all = &self.trace().headers;
        let known = self.headers_of.get(&self.step(at).packet)?;
        let seen = known.partition_point(|headers| all[*headers].step <= at);
        known[..seen].iter().rev().map(|headers| &all[*headers]).find(|headers| is_written(headers))
    }

    /// Steps of a packet (`Skb::packet`) from `at` on.
    pub fn steps_of(&self, packet: u32, at: usize) -> impl Iterator<Item = usize> {
        let steps = self.steps_of.get(&packet).map_or(&[][..], Vec::as_slice);
        steps[steps.partition_point(|step| *step < at)..].iter().copied()
    }

    /// Steps of a step's packet up to it, in reverse.
    fn steps_before(&self, at: usize) -> impl Iterator<Item = usize> {
        let steps = self.steps_of.get(&self.step(at).packet).map_or(&[][..], Vec::as_slice);
        steps[..steps.partition_point(|step| *step <= at)].iter().rev().copied()
    }

    /// The last conntrack state of a step's packet in the same namespace; `Some(None)` if INVALID.
    pub fn ctstate(&self, at: usize) -> Option<Option<CtInfo>> {
        let here = self.netns(at);
        let same = self.steps_before(at).take_while(|step| self.netns(*step) == here);
        same.flat_map(|step| self.notes(step)).find_map(|note| match note {
            Note::Conntrack(ConntrackNote::Found(info, _)) => Some(Some(*info)),
            Note::Conntrack(ConntrackNote::Invalid) => Some(None),
            _ => None,
        })
    }

    fn netns(&self, at: usize) -> (MachineId, Option<NetnsId>) {
        let step = self.step(at);
        let label = self.world.kernel(step.machine).labels.get(step.dev as usize);
        (step.machine, label.map(|label| label.netns))
    }

    /// The rule of the next note from `note` on, in the format of the kernel's TRACE.
    pub fn rule_noted_at(&self, note: usize) -> Option<String> {
        let trace = self.trace();
        let visit = trace.visits.partition_point(|visit| visit.note <= note).checked_sub(1)?;
        let visit = trace.visits[visit];
        let noted = trace.notes.get(visit.note..note)?.iter();
        let rules = noted.filter(|noted| matches!(noted.note, Note::Rule(_))).count();
        let met = self.met(visit.step)?;
        let tried = met.tried.get(rules)?;
        Some(format!("{}:{}:rule:{} {}", met.table, tried.chain, tried.number, tried.rule))
    }

    /// The traversal of a table in this step, if there is one.
    pub fn met(&self, at: usize) -> Option<Met> {
        let trace = self.trace();
        let number = *self.visits.get(&at)?;
        let visit = trace.visits[number];
        let end = trace.visits.get(number + 1).map_or(trace.notes.len(), |next| next.note);
        let notes = trace.notes.get(visit.note..end).unwrap_or_default().iter();
        let notes = notes.filter_map(|noted| match &noted.note {
            Note::Rule(note) => Some(note),
            _ => None,
        });
        let seen = trace.tables.get(visit.table as usize)?;
        let hook = self.steps_before(at).find_map(|step| hook_note(self, step));
        let about = Seen { hook, ctstate: self.ctstate(at) };
        let headers = self.headers_at(at);
        let mut met = Met::new(&seen.table, seen.variant, notes, headers, &about);
        if let Some(objects) = &self.objects {
            objects::explain(&mut met, &seen.table, objects, self.step(at).at, headers);
        }
        Some(met)
    }

    /// Where IPVS sends the packet, if it decided so in this step, and what of a cluster stands behind that.
    pub fn ipvs(&self, at: usize) -> Option<(IpvsNote, Option<Explained>)> {
        let note = self.notes(at).find_map(|note| match note {
            Note::Ipvs(note) => Some(*note),
            _ => None,
        })?;
        let behind = |objects| objects::behind(&note, objects, self.step(at).at);
        Some((note, self.objects.as_deref().and_then(behind)))
    }

    /// The objects of the cluster.
    pub fn objects(&self) -> Option<&Objects> {
        self.objects.as_deref()
    }

    /// A machine and a namespace for people: a pod by its name, the initial namespace by the machine's.
    pub fn host(&self, place: &Place) -> String {
        objects::host(self.objects(), place.machine, &place.netns)
    }

    /// Place of a step.
    pub fn place(&self, at: usize) -> Place<'a> {
        let step = self.step(at);
        let kernel = self.world.kernel(step.machine);
        let label = kernel.labels.get(step.dev as usize);
        let netns = label.map_or(INIT_NET, |label| label.netns);
        Place {
            machine: &kernel.hostname,
            netns: self.names.name(step.machine, netns),
            device: label.map_or("", |label| &label.name),
        }
    }

    /// Legs of an exchange: a packet that waits for another has two.
    pub fn legs(&self, exchange: &Exchange) -> Vec<Leg> {
        let mut legs: Vec<Leg> = Vec::new();
        for at in exchange.steps.iter().copied() {
            let packet = self.owner(at);
            let step = self.step(at);
            let is_end = step.func.is_end() || matches!(step.kind, StepKind::Drop(_));
            let open = match is_end {
                true => legs.iter_mut().rev().find(|leg| leg.packet == packet),
                false => legs.last_mut().filter(|leg| leg.packet == packet),
            };
            match open {
                Some(leg) => leg.steps.push(at),
                None => legs.push(Leg { packet, steps: vec![at] }),
            }
        }
        legs
    }

    /// Key by which similar exchanges are folded: packets, places and functions in order. The start of softirqs is
    /// left out, since it depends on the CPU's other work.
    pub fn shape(&self, exchange: &Exchange) -> Vec<(usize, u32, u32, Func, StepKind)> {
        let position = |packet| exchange.packets.iter().position(|number| *number == packet).unwrap_or(0);
        let about_packets = exchange.steps.iter().filter(|at| self.step(**at).packet != 0);
        let shape = about_packets.map(|at| {
            let step = self.step(*at);
            (position(self.owner(*at)), step.machine.0, step.dev, step.func, step.kind)
        });
        shape.collect()
    }
}

/// The first header is set: an Ethernet header, or an IP version.
fn is_written(headers: &Headers) -> bool {
    headers.link || headers.bytes.first().is_some_and(|byte| byte >> 4 != 0)
}
