//! A timeline is decoded again: slices nest, times do not go back, and flows have their stations.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use glassnet_kernel::trace::{Span, StepKind};

use prost::Message;

use super::perfetto::{EventType, Trace, TrackDescriptor, TrackEvent};
use super::*;
use crate::lab::SEED;
use crate::lesson::Lesson;
use crate::view;

/// Two machines with two CPUs each and a cable; more machines and commands are added.
const LESSON: &str = "---
title: t
topology:
  nodes:
    a: {}
    b: { cpus: 2, nics: { eth0: { rx_ring: 64 } } }
    c: {}
  switches: { sw: }
  links:
    - { endpoints: [\"a:eth0\", \"sw:1\"] }
    - { endpoints: [\"b:eth0\", \"sw:2\"] }
    - { endpoints: [\"c:eth0\", \"sw:3\"] }
---
```console
a# ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up
b# ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up
c# ip addr add 10.0.0.3/24 dev eth0; ip link set eth0 up
";

/// Floods one machine from two others, with RPS, a busy program and a queueing discipline that holds packets back.
const FLOOD: &str = "
b# taskset -c 1 stress-ng -q --cpu 1 --timeout 1 &
a# ping -c 1 -q 10.0.0.2 > /dev/null; mac=$(ip neigh show 10.0.0.2 | awk '{print $5}')
c# ping -c 1 -q 10.0.0.2 > /dev/null; mac=$(ip neigh show 10.0.0.2 | awk '{print $5}')
a# tc qdisc add dev eth0 root tbf rate 100mbit burst 5k limit 20k
a# mausezahn eth0 -c 100 -q -b $mac -A 10.0.0.1 -B 10.0.0.2 -t udp sp=9,dp=9 &
c# mausezahn eth0 -c 300 -q -b $mac -A 10.0.0.3 -B 10.0.0.2 -t udp sp=9,dp=9
b# echo 2 > /sys/class/net/eth0/queues/rx-0/rps_cpus
a# mausezahn eth0 -c 600 -q -b $mac -A 10.0.0.1 -B 10.0.0.2 -t udp sp=9,dp=9 &
c# mausezahn eth0 -c 600 -q -b $mac -A 10.0.0.3 -B 10.0.0.2 -t udp sp=9,dp=9
a# wait
b# wait
";

/// Runs commands behind those of [`LESSON`] and looks at the timeline.
fn with_trace<T>(commands: &str, look: impl FnOnce(&Story, &Trace) -> T) -> T {
    let text = format!("{LESSON}{}\n```\n", commands.trim());
    let lesson = Lesson::parse(Path::new("timeline.md"), text).expect("a lesson");
    let observed = view::observe(&lesson, SEED, |_| ()).expect("it runs");
    let world = observed.world();
    let story = observed.story(&world);
    let trace = Trace::decode(timeline(&story, &Selection::default()).expect("a short one").as_slice())
        .expect("a trace");
    look(&story, &trace)
}

fn tracks(trace: &Trace) -> BTreeMap<u64, &TrackDescriptor> {
    let described = trace.packet.iter().filter_map(|packet| packet.track_descriptor.as_ref());
    described.map(|track| (track.uuid.expect("a number"), track)).collect()
}

fn events(trace: &Trace) -> impl Iterator<Item = (u64, &TrackEvent)> {
    trace.packet.iter().filter_map(|packet| Some((packet.timestamp?, packet.track_event.as_ref()?)))
}

/// Slices as they stand on their tracks: track, depth, begin, end and the event that began it.
fn slices(trace: &Trace) -> Vec<(u64, usize, u64, u64, &TrackEvent)> {
    let mut open: BTreeMap<u64, Vec<(u64, &TrackEvent)>> = BTreeMap::new();
    let mut slices = Vec::new();
    for (at, event) in events(trace) {
        let track = event.track_uuid.expect("a track");
        let open = open.entry(track).or_default();
        match event.r#type() {
            EventType::SliceBegin => open.push((at, event)),
            EventType::SliceEnd => {
                let (from, begun) = open.pop().expect("a slice is open");
                slices.push((track, open.len(), from, at, begun));
            }
            _ => {}
        }
    }
    assert!(open.values().all(Vec::is_empty), "every slice ends");
    slices
}

fn annotation<'e>(event: &'e TrackEvent, name: &str) -> Option<(&'e str, u64)> {
    let found = event.debug_annotations.iter().find(|annotation| annotation.name.as_deref() == Some(name))?;
    Some((found.string_value.as_deref().unwrap_or(""), found.uint_value.unwrap_or(0)))
}

#[test]
fn slices_nest_and_times_do_not_go_back() {
    with_trace(FLOOD, |story, trace| {
        let mut times: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
        events(trace).for_each(|(at, event)| times.entry(event.track_uuid()).or_default().push(at));
        assert!(
            times.values().all(|times| times.is_sorted())
                && times.values().map(Vec::len).sum::<usize>() > 10_000
        );
        let tracks = tracks(trace);
        assert!(times.keys().all(|track| tracks.contains_key(track)));
        // Each CPU is in one context at a time, and every function stands in one.
        let slices = slices(trace);
        let spans = |depth: usize| slices.iter().filter(move |slice| slice.1 == depth);
        assert!(spans(0).all(|slice| slice.4.categories[0] != "function"));
        assert!(spans(1).all(|slice| ["function", "irq"].contains(&slice.4.categories[0].as_str())));
        let mut ends: BTreeMap<u64, u64> = BTreeMap::new();
        for (track, _, from, to, event) in spans(0) {
            let end = ends.insert(*track, *to).unwrap_or(0);
            assert!(end <= *from && from <= to, "{end} {from} {to} {:?}", event.name);
        }
        // Nothing that was observed is left out; what was suspended has a slice for each piece.
        let continued = slices.iter().filter(|slice| annotation(slice.4, "continued").is_some()).count();
        let functions = slices.iter().filter(|slice| slice.4.categories[0] == "function").count();
        let steps = &story.world().trace.steps;
        let drops = steps.iter().filter(|step| matches!(step.kind, StepKind::Drop(_))).count();
        assert!(continued > 10, "{continued}");
        assert_eq!(functions - continued, steps.len() - drops);
    });
}

#[test]
fn the_time_of_a_cpu_is_that_of_its_contexts() {
    with_trace(FLOOD, |story, _| {
        for kernel in &story.world().machines {
            for (number, cpu) in kernel.cpus.iter().enumerate() {
                let own = |span: &&Span| span.machine == kernel.id && span.cpu.index() == number;
                let spans = story.world().trace.spans.iter().filter(own);
                let spent: u64 = spans.map(|span| span.to.since(span.from).0).sum();
                let busy = cpu.time.system + cpu.time.irq + cpu.time.softirq;
                // What happened when the world was made was not observed.
                assert!(
                    spent <= busy.0 && busy.0 - spent < 5_000,
                    "{}: {spent} of {busy:?}",
                    kernel.hostname
                );
            }
        }
    });
}

#[test]
fn polls_tell_their_work_and_queues_their_length() {
    with_trace(FLOOD, |story, trace| {
        let world = story.world();
        let receiver = world.kernel(world.machine("b").expect("a machine"));
        let slices = slices(trace);
        let named = |name: &'static str| {
            slices
                .iter()
                .filter(move |slice| slice.4.name() == name && annotation(slice.4, "continued").is_none())
        };
        let work = |name: &'static str| {
            named(name).filter_map(|slice| annotation(slice.4, "work")).map(|(_, work)| work)
        };
        assert_eq!(work("net_rx_action").sum::<u64>(), work("__napi_poll").sum::<u64>());
        assert!(work("__napi_poll").all(|work| work <= 64) && work("__napi_poll").any(|work| work == 64));
        let budget = named("net_rx_action").filter_map(|slice| annotation(slice.4, "budget"));
        assert!(budget.clone().count() > 10 && budget.map(|(_, budget)| budget).all(|budget| budget == 300));
        let softirqs: u32 =
            world.machines.iter().flat_map(|kernel| &kernel.cpus).map(|cpu| cpu.stat.net_rx_softirqs).sum();
        assert_eq!(named("net_rx_action").count() as u32, softirqs);
        // Interrupts by their vectors, as /proc/interrupts counts them.
        let irq = receiver
            .irqs
            .iter()
            .find(|(_, desc)| desc.action.as_deref() == Some("eth0-rx-0"))
            .expect("an interrupt");
        let name = format!("irq {} eth0-rx-0", irq.0);
        let tracks = tracks(trace);
        let of_receiver = |track: u64| tracks[&track].thread.as_ref().is_some_and(|thread| thread.pid() == 2);
        let taken = slices.iter().filter(|slice| slice.4.name() == name && of_receiver(slice.0)).count();
        assert_eq!(taken as u64, irq.1.counts.iter().sum::<u64>());
        assert!(slices.iter().any(|slice| slice.4.name().starts_with("call of another CPU")));
        assert!(slices.iter().any(|slice| slice.4.name().starts_with("task: mausezahn")));
        assert!(slices.iter().any(|slice| slice.4.name() == "user: a program computes"));
        // Frames that the card missed, as it counts them.
        let missed =
            events(trace).filter(|(_, event)| event.name() == "missed: no descriptor is free").count() as u64;
        let dev = receiver.dev_by_name(glassnet_kernel::kernel::INIT_NET, "eth0").expect("a card");
        assert_eq!(missed, receiver.devs[dev].stats.rx_missed_errors);
        assert!(missed > 0);
        let most = |name: &str| {
            let wanted = |event: &&TrackEvent| tracks[&event.track_uuid()].name() == name;
            let values = events(trace).map(|(_, event)| event).filter(wanted).map(TrackEvent::counter_value);
            values.max().unwrap_or_else(|| panic!("there is a counter {name}"))
        };
        assert_eq!(most("eth0 RX ring 0"), 63, "one descriptor of 64 stays free");
        assert!(most("backlog of CPU 1") > 5 && most("eth0 qdisc of TX queue 0") > 5);
    });
}

#[test]
fn every_packet_has_a_flow_through_its_stations() {
    with_trace(FLOOD, |story, trace| {
        let tracks = tracks(trace);
        // Whether the flow ends there, on which machine's CPU, and the event.
        type Stop<'e> = (bool, Option<i32>, &'e TrackEvent);
        let mut flows: BTreeMap<u64, Vec<Stop>> = BTreeMap::new();
        let mut in_time: Vec<_> = events(trace).collect();
        in_time.sort_by_key(|(at, _)| *at);
        for (_, event) in in_time {
            let pid = tracks[&event.track_uuid()].thread.as_ref().map(|thread| thread.pid());
            let ends = event.terminating_flow_ids.iter().map(|flow| (*flow, true));
            for (flow, ends) in event.flow_ids.iter().map(|flow| (*flow, false)).chain(ends) {
                flows.entry(flow).or_default().push((ends, pid, event));
            }
        }
        assert_eq!(
            flows.keys().copied().collect::<Vec<_>>(),
            (1..=story.packets.len() as u64).collect::<Vec<_>>()
        );
        let mut machines = BTreeSet::new();
        for (flow, stations) in &flows {
            let ends: Vec<bool> = stations.iter().map(|(ends, ..)| *ends).collect();
            let last = ends.len() - 1;
            assert!(ends[last] && ends[..last].iter().all(|ends| !ends), "{flow}: {ends:?}");
            assert!(stations.iter().all(|(.., event)| annotation(event, "packet") == Some(("", *flow))));
            machines.insert(stations.iter().filter_map(|(_, pid, _)| *pid).collect::<Vec<_>>());
        }
        // From either sender to the receiver, on one CPU or over two.
        for sender in [1, 3] {
            assert!(machines.iter().any(|pids| pids.first() == Some(&sender) && pids.last() == Some(&2)));
        }
    });
}

/// A track of a CPU as text: times from the first slice on, what is in it one step further right.
fn text(trace: &Trace) -> String {
    let tracks = tracks(trace);
    let mut lines: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    let mut depths: BTreeMap<u64, usize> = BTreeMap::new();
    let first = events(trace).map(|(at, _)| at).min().unwrap_or(0);
    for (at, event) in events(trace) {
        let (lines, depth) =
            (lines.entry(event.track_uuid()).or_default(), depths.entry(event.track_uuid()).or_default());
        let at = at - first;
        let mut words: Vec<String> = event
            .debug_annotations
            .iter()
            .map(|more| {
                format!(
                    "{}={}",
                    more.name(),
                    more.string_value.clone().unwrap_or(more.uint_value().to_string())
                )
            })
            .collect();
        words.extend(event.flow_ids.iter().map(|flow| format!("flow {flow}")));
        words.extend(event.terminating_flow_ids.iter().map(|flow| format!("flow {flow} ends")));
        let words = words.join(", ");
        match event.r#type() {
            EventType::SliceBegin => {
                lines.push(
                    format!("{at:>9} {}{} {words}", "  ".repeat(*depth), event.name()).trim_end().to_owned(),
                );
                *depth += 1;
            }
            EventType::SliceEnd => *depth -= 1,
            EventType::Counter => lines.push(format!("{at:>9} = {}", event.counter_value())),
            _ => lines.push(format!("{at:>9} {}! {} {words}", "  ".repeat(*depth), event.name())),
        }
    }
    let mut text = String::new();
    for (number, track) in tracks {
        let name = match (&track.process, &track.thread) {
            (Some(process), _) => format!("machine {}", process.process_name()),
            (_, Some(thread)) => format!("thread {} of {}", thread.thread_name(), thread.pid()),
            _ => format!("track {}", track.name()),
        };
        text += &format!("{name}\n");
        lines.remove(&number).unwrap_or_default().iter().for_each(|line| text += &format!("{line}\n"));
    }
    text
}

#[test]
fn a_part_of_the_prompts_can_be_shown() {
    with_trace(FLOOD, |story, trace| {
        let all = slices(trace).len();
        let part = |prompt| {
            let selection = Selection { prompt: Some(prompt), ..Selection::default() };
            Trace::decode(timeline(story, &selection).expect("a short one").as_slice()).expect("a trace")
        };
        // The functions that begin in all prompts together are those of the whole; before the first was nothing.
        let begins = |event: &TrackEvent| {
            event.categories[0] == "function" && annotation(event, "continued").is_none()
        };
        let of = |trace: &Trace| slices(trace).iter().filter(|slice| begins(slice.4)).count();
        let parts: usize = (1..=story.typed.len()).map(|prompt| of(&part(prompt))).sum();
        assert!(parts > 0 && parts <= of(trace) && of(trace) - parts < 20, "{parts} of {all}");
        let ends = events(&part(5)).map(|(_, event)| event.terminating_flow_ids.len()).sum::<usize>();
        assert!(ends > 0);
    });
}

#[test]
fn a_ping_as_text() {
    let text = with_trace("a# ping -c 1 -q 10.0.0.2 > /dev/null", |_, trace| text(trace));
    insta::with_settings!({ snapshot_path => "../../../../snapshots/timelines", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("ping", text);
    });
}
