//! From the lines of a trace to the journeys of packet buffers and the events beside them.
//!
//! A tracepoint does not say which network namespace it fired in, so what belongs to the lesson is told by
//! these rules, in this order:
//!
//! 1. It fired in a process of a machine (first processes are marked in the trace, their descendants are
//!    followed by `sched_process_fork`); a softirq that a process's own send raised counts as its own.
//! 2. A tap of the lesson saw a frame of that length on a device of that name at that time. This tells what a
//!    timer sends from what the host, or another lesson, sends on a device of the same name.
//! 3. The same packet buffer was told to be the lesson's by another event of its journey.
//! 4. A drop without any device is the lesson's by rule 1 if its protocol is set (netlink and local sockets
//!    have none), or if the neighbour table dropped it: its timers interrupt whatever runs.
//!
//! On a kernel on which nothing else runs, as a User Mode Linux, all is the lesson's.
//!
//! A journey ends where a cable of the topology begins, and another begins at its other end: on the host a
//! cable is a veth pair and a switch a bridge, and how those hand a packet on is no part of the lesson.

use std::collections::{BTreeMap, BTreeSet};

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{Journey, TraceEvent};

/// What a trace tells of a lesson.
#[derive(Default)]
pub(super) struct Told {
    pub journeys: Vec<Journey>,
    pub events: Vec<TraceEvent>,
}

/// What is known of the lesson beside its trace.
#[derive(Default)]
pub(super) struct Known {
    /// Nothing but the lesson runs on this kernel.
    pub alone: bool,
    /// All device names of the lesson.
    pub devices: BTreeSet<String>,
    /// Names of NICs of the topology.
    pub nics: BTreeSet<String>,
    /// Names of switches' ports and of their bridges.
    pub ports: BTreeSet<String>,
    /// When a tap saw a frame: device and length with Ethernet header, to sorted nanoseconds of CLOCK_MONOTONIC.
    pub sightings: BTreeMap<(String, usize), Vec<u64>>,
}

impl Known {
    /// Whether a tap saw such a frame within half a millisecond.
    fn saw(&self, device: &str, length: usize, at_ns: u64) -> bool {
        const NEAR: u64 = 500_000;
        let Some(times) = self.sightings.get(&(device.to_owned(), length)) else { return false };
        let next = times.partition_point(|t| *t < at_ns.saturating_sub(NEAR));
        times.get(next).is_some_and(|t| *t <= at_ns + NEAR)
    }

    /// Whether a packet goes onto a cable of the topology between these two steps: it is sent by one device, and received by the
    /// next.
    fn leaves(&self, from: &str, to: &str) -> bool {
        let is_crossing = from.starts_with("net_dev_start_xmit") && to.starts_with("netif_");
        let (from, to) = (device_of(from), device_of(to));
        let hardware = |d: &str| self.nics.contains(d) || self.ports.contains(d);
        is_crossing
            && (from != to && hardware(from) && hardware(to) || self.nics.contains(from) && from == to)
    }
}

/// The device in a step's text.
fn device_of(step: &str) -> &str {
    step.split(' ').nth(1).unwrap_or("")
}

/// Reads the text of `trace_pipe`.
///
/// # Errors
///
/// A line that is none of a tracepoint that was asked for, such as `CPU:1 [LOST 9 EVENTS]`, or without what is read of it.
pub(super) fn from_trace(lines: &[String], known: Known) -> Result<Told, BackendError> {
    let mut reader = Reader::new(known, host_devices());
    let mut rest = lines;
    while let [line, after @ ..] = rest {
        let (stack, next) = after.split_at(stack_length(after));
        let event = Event::parse(line).map(|event| Event { stack, ..event });
        let understood = event.and_then(|event| reader.take(&event));
        rest = next;
        understood.ok_or_else(|| BackendError::NotUnderstood {
            what: "a line of the tracer".to_owned(),
            line: line.clone(),
        })?;
    }
    Ok(reader.finish())
}

/// How many lines tell of the stack of the event before them.
fn stack_length(lines: &[String]) -> usize {
    let is_stack = lines.first().is_some_and(|line| line.ends_with(": <stack trace>"));
    let called = lines.iter().skip(1).take_while(|line| line.starts_with(" => ")).count();
    if is_stack { 1 + called } else { 0 }
}

/// The host's own device names.
fn host_devices() -> BTreeSet<String> {
    let entries = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    entries.map(|e| e.file_name().to_string_lossy().into_owned()).collect()
}

/// One line of a trace.
struct Event<'a> {
    pid: u32,
    /// CLOCK_MONOTONIC, nanoseconds.
    at_ns: u64,
    name: &'a str,
    rest: &'a str,
    /// The functions that it fired in, if that was asked for.
    stack: &'a [String],
}

impl<'a> Event<'a> {
    /// `  comm-pid  [cpu] flags  seconds: name: rest`; the comm may hold anything, dashes and blanks too.
    fn parse(line: &'a str) -> Option<Self> {
        let cpu = line.match_indices(" [").find(|(at, _)| line.as_bytes().get(at + 5) == Some(&b']'))?.0;
        let pid = line[..cpu].trim_end().rsplit('-').next()?.parse().ok()?;
        let mut parts = line[cpu..].splitn(3, ": ");
        let (when, name, rest) = (parts.next()?, parts.next()?, parts.next().unwrap_or(""));
        let seconds: f64 = when.rsplit(' ').next()?.parse().ok()?;
        Some(Self { pid, at_ns: (seconds * 1e9) as u64, name, rest, stack: &[] })
    }

    /// A socket was closed before somebody read this packet. Neighbours that go also purge their queue.
    fn is_purge(&self, reason: &str) -> bool {
        let called = |what: &str| self.stack.iter().any(|line| line.contains(what));
        reason == "QUEUE_PURGE" || called("skb_queue_purge") && !called(" neigh_")
    }

    /// The value after `key=` up to the next blank.
    fn value(&self, key: &str) -> Option<&'a str> {
        self.rest.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    /// The value after `key=`, an address.
    fn address(&self, key: &str) -> Option<u64> {
        u64::from_str_radix(self.value(key)?, 16).ok()
    }

    /// The word after the word `key`.
    fn after(&self, key: &str) -> Option<&'a str> {
        let mut words = self.rest.split(' ').skip_while(|w| *w != key);
        words.nth(1)
    }
}

#[derive(Default)]
struct Live {
    journey: Journey,
    ours: bool,
    /// Place among all journeys, by first event.
    number: usize,
}

/// Two buffers of TCP, one beside the other: what the socket keeps, and the clone that is sent (`struct sk_buff_fclones`).
const FAST_CLONES: &str = "skbuff_fclone_cache";
/// As the tracer prints it.
const ETH_P_IPV6: &str = "34525";
/// More than such a pair takes, in bytes; less than two.
const PAIR: u64 = 512;

struct Reader {
    known: Known,
    host: BTreeSet<String>,
    pids: BTreeSet<u32>,
    prompt: Option<usize>,
    /// Buffers by address.
    live: BTreeMap<u64, Live>,
    /// By first event and leg.
    done: BTreeMap<(usize, usize), Journey>,
    count: usize,
    events: Vec<TraceEvent>,
}

impl Reader {
    fn new(known: Known, host: BTreeSet<String>) -> Self {
        let (pids, live, done) = Default::default();
        Self { known, host, pids, prompt: None, live, done, count: 0, events: Vec::new() }
    }

    /// None if the event is not understood.
    fn take(&mut self, event: &Event) -> Option<()> {
        match event.name {
            "tracing_mark_write" => self.mark(event),
            "sched_process_fork" => self.fork(event)?,
            "net_dev_queue" | "net_dev_start_xmit" | "netif_rx" | "netif_receive_skb" => self.step(event)?,
            "consume_skb" | "skb_copy_datagram_iovec" => self.end(event.address("skbaddr")?, "consumed"),
            "kfree_skb" => self.drop(event)?,
            "kmem_cache_free" => self.freed(event)?,
            _ => self.beside(event)?,
        }
        Some(())
    }

    /// `glassnet prompt 3 pids 17 18`
    fn mark(&mut self, event: &Event) {
        self.prompt = event.after("prompt").and_then(|n| n.parse().ok());
        let pids = event.rest.split(' ').skip_while(|w| *w != "pids").filter_map(|w| w.parse::<u32>().ok());
        self.pids.extend(pids);
    }

    fn fork(&mut self, event: &Event) -> Option<()> {
        let child = event.value("child_pid")?.parse().ok()?;
        if self.pids.contains(&event.pid) {
            self.pids.insert(child);
        }
        Some(())
    }

    /// The lesson's by rule 1, or because nothing else runs.
    fn of_process(&self, event: &Event) -> bool {
        self.known.alone || self.pids.contains(&event.pid)
    }

    fn ours(&self, event: &Event, device: &str) -> bool {
        let only_here = self.known.devices.contains(device) && !self.host.contains(device);
        self.of_process(event) || only_here
    }

    /// Whether a tap saw this step's frame; on its way up a frame has lost its Ethernet header.
    fn tapped(&self, event: &Event, device: &str, length: &str) -> bool {
        let header = if event.name == "netif_receive_skb" { 14 } else { 0 };
        length.parse::<usize>().is_ok_and(|length| self.known.saw(device, length + header, event.at_ns))
    }

    fn step(&mut self, event: &Event) -> Option<()> {
        let (device, skb) = (event.value("dev").filter(|name| !name.is_empty())?, event.address("skbaddr")?);
        let length = event.value("len")?;
        let Some(prompt) = self.prompt else { return Some(()) };
        let ours = self.of_process(event) || self.tapped(event, device, length);
        let number = self.count;
        let live = self.live.entry(skb).or_insert_with(|| Live {
            number,
            journey: Journey { prompt, ..Journey::default() },
            ours: false,
        });
        self.count += usize::from(live.number == number);
        live.ours |= ours;
        live.journey.steps.push(format!("{} {device} {length}", event.name));
        Some(())
    }

    fn end(&mut self, skb: u64, how: &str) {
        let Some(mut live) = self.live.remove(&skb) else { return };
        how.clone_into(&mut live.journey.end);
        self.settle(live);
    }

    /// The memory of a buffer is free: whoever had it was done with it.
    fn freed(&mut self, event: &Event) -> Option<()> {
        let at = event.address("ptr")?;
        let end = if event.value("name")? == FAST_CLONES { at + PAIR } else { at + 1 };
        let here: Vec<_> = self.live.range(at..end).map(|(skb, _)| *skb).collect();
        here.into_iter().for_each(|skb| self.end(skb, "consumed"));
        Some(())
    }

    fn settle(&mut self, live: Live) {
        if !live.ours {
            return;
        }
        let Journey { prompt, steps, end } = live.journey;
        let legs: Vec<_> = steps.chunk_by(|a, b| !self.known.leaves(a, b)).collect();
        for (at, leg) in legs.iter().enumerate() {
            let is_ours = |step: &String| !self.known.ports.contains(device_of(step));
            let steps: Vec<_> = leg.iter().filter(|s| is_ours(s)).cloned().collect();
            let end = if at + 1 < legs.len() { "cable" } else { &end };
            if !steps.is_empty() {
                self.done.insert((live.number, at), Journey { prompt, steps, end: end.to_owned() });
            }
        }
    }

    fn drop(&mut self, event: &Event) -> Option<()> {
        let (reason, skb) = (event.after("reason:")?.to_owned(), event.address("skbaddr")?);
        // Whether a program reads what it was given before it ends is no matter of the network.
        let purged = event.is_purge(&reason);
        if self.live.contains_key(&skb) {
            self.end(skb, if purged { "consumed" } else { &reason });
            return Some(());
        }
        let protocol = event.value("protocol")?;
        // A packet socket's copy of a frame, a raw socket's that its filter did not take, or a copy in a queue of errors is no
        // packet of the network, and IPv6 is not modelled.
        let is_other = purged || protocol == ETH_P_IPV6 || reason == "SOCKET_FILTER";
        let Some(prompt) = self.prompt.filter(|_| !is_other) else { return Some(()) };
        let local = self.of_process(event) && protocol != "0";
        if local || reason.starts_with("NEIGH_") {
            let journey = Journey { prompt, steps: Vec::new(), end: reason };
            self.done.insert((self.count, 0), journey);
            self.count += 1;
        }
        Some(())
    }

    /// Look-ups and table changes, which name no packet buffer: the lesson's by rule 1, or where they name a device
    /// that the lesson has and the host has not.
    fn beside(&mut self, event: &Event) -> Option<()> {
        let text = beside_text(event)?;
        let device = event.after("dev").or_else(|| event.after("br_dev")).unwrap_or("-");
        if let Some(prompt) = self.prompt.filter(|_| self.ours(event, device)) {
            self.events.push(TraceEvent { prompt, text });
        }
        Some(())
    }

    fn finish(mut self) -> Told {
        for mut live in std::mem::take(&mut self.live).into_values() {
            "alive".clone_into(&mut live.journey.end);
            self.settle(live);
        }
        Told { journeys: self.done.into_values().collect(), events: self.events }
    }
}

/// The part of such an event that both sides can know: no times, no counts of the whole host. None of an event that was not
/// asked for.
fn beside_text(event: &Event) -> Option<String> {
    let word = |key: &str| event.after(key).unwrap_or("?");
    let text = match event.name {
        "fib_table_lookup" => fib_text(event)?,
        "neigh_create" => format!("{} {}", word("dev"), word("primary_key4")),
        "neigh_update" => {
            let states = format!("{} -> {}", word("nud_state"), word("new_state"));
            format!("{} {} {states}", word("dev"), word("primary_key4"))
        }
        "br_fdb_update" => format!("{} {} {}", word("br_dev"), word("source"), word("addr")),
        "br_fdb_add" => format!("{} {}", word("dev"), word("addr")),
        "fdb_delete" => format!("{} {} {}", word("br_dev"), word("dev"), word("addr")),
        "icmp_send" => event.rest.split(" skbaddr").next()?.to_owned(),
        _ => return None,
    };
    Some(format!("{} {text}", event.name))
}

/// `table 254 proto 1 0.0.0.0 -> 10.0.0.102 ==> veth-1-a err 0`, without ports, which are chosen at random.
fn fib_text(event: &Event) -> Option<String> {
    let arrow = event.rest.split(' ').position(|w| w == "->")?;
    let words: Vec<_> = event.rest.split(' ').collect();
    let address = |at: usize| words.get(at).and_then(|w| w.split('/').next()).unwrap_or("?");
    let (from, to) = (address(arrow - 1), address(arrow + 1));
    let word = |key: &str| event.after(key).unwrap_or("?");
    Some(format!(
        "table {} proto {} {from} -> {to} ==> {} err {}",
        word("table"),
        word("proto"),
        word("dev"),
        word("err")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take<L: AsRef<str>>(reader: &mut Reader, lines: impl IntoIterator<Item = L>) {
        for line in lines {
            let understood = Event::parse(line.as_ref()).and_then(|event| reader.take(&event));
            assert!(understood.is_some(), "{}", line.as_ref());
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_an_error() {
        let lines = [
            "CPU:1 [LOST 9 EVENTS]",
            "bash-7 [001] ...1. 1.0: net_dev_queue: dev= skbaddr=0a len=42",
            "bash-7 [001] ...1. 1.0: consume_skb: location=x",
            "bash-7 [001] ...1. 1.0: something_new: a=1",
        ];
        for line in lines {
            match from_trace(&[line.to_owned()], Known::default()) {
                Err(BackendError::NotUnderstood { line: told, .. }) => assert_eq!(told, line),
                _ => panic!("{line}"),
            }
        }
    }

    const TRACE: &str = "\
      host-1 [001] ...1.  1.0: tracing_mark_write: glassnet prompt 0 pids 7
      bash-7 [001] ...1.  1.1: sched_process_fork: comm=bash pid=7 child_comm=bash child_pid=9
    a-b c-9 [001] b....  1.2: net_dev_queue: dev=eth0 skbaddr=0a len=42
     other-3 [000] b....  1.3: net_dev_queue: dev=eth0 skbaddr=0b len=99
    a-b c-9 [001] .Ns1.  1.4: netif_receive_skb: dev=eth0 skbaddr=0a len=28
     other-3 [000] .....  1.5: consume_skb: skbaddr=0b location=x
      idle-0 [000] .....  1.6: kfree_skb: skbaddr=0a rx_sk=0 protocol=2054 location=x reason: OTHERHOST
      idle-0 [000] .....  1.7: kfree_skb: skbaddr=0c rx_sk=0 protocol=2048 location=x reason: NEIGH_FAILED
      idle-0 [000] .....  1.8: kfree_skb: skbaddr=0d rx_sk=0 protocol=2048 location=x reason: NO_SOCKET";

    #[test]
    fn journeys_of_the_lesson_are_told_from_the_hosts() {
        let known = Known { nics: BTreeSet::from(["eth0".to_owned()]), ..Known::default() };
        let mut reader = Reader::new(known, BTreeSet::from(["eth0".to_owned()]));
        take(&mut reader, TRACE.lines());
        let ends: Vec<_> = reader.finish().journeys.into_iter().map(|j| (j.steps.len(), j.end)).collect();
        assert_eq!(ends, [(2, "OTHERHOST".to_owned()), (0, "NEIGH_FAILED".to_owned())]);
    }

    /// Linux 6.1 gives no reason where a queue is purged, but its stack does.
    #[test]
    fn what_a_closed_socket_had_is_no_drop() {
        let lines = |by: [&str; 2]| {
            let [by, who] = by.map(|function| format!(" => {function}"));
            let stack = ["arping-7 [000] ..... 1.4: <stack trace>", " => kfree_skb", &by, &who];
            let drop = |skb: &str| {
                format!(
                    "arping-7 [000] ..... 1.4: kfree_skb: skbaddr={skb} protocol=2054 reason: NOT_SPECIFIED"
                )
            };
            let step = "arping-7 [000] b.... 1.2: netif_receive_skb: dev=eth0 skbaddr=0a len=28".to_owned();
            let mark = "host-1 [001] ...1. 1.0: tracing_mark_write: glassnet prompt 0 pids 7".to_owned();
            let stack = stack.map(str::to_owned);
            [&[mark, step, drop("0a")][..], &stack, &[drop("0b")], &stack].concat()
        };
        let ends = |by| {
            let told = from_trace(&lines(by), Known { alone: true, ..Known::default() }).expect("understood");
            told.journeys.into_iter().map(|journey| (journey.steps.len(), journey.end)).collect::<Vec<_>>()
        };
        assert_eq!(ends(["skb_queue_purge", "packet_release"]), [(1, "consumed".to_owned())]);
        for by in [["ip_error", "ip_rcv"], ["skb_queue_purge", "neigh_flush_dev"]] {
            let dropped = "NOT_SPECIFIED".to_owned();
            assert_eq!(ends(by), [(1, dropped.clone()), (0, dropped)], "{by:?}");
        }
    }

    #[test]
    fn a_timer_on_a_device_that_the_host_has_too_is_told_by_the_tap() {
        let sightings = BTreeMap::from([(("lo".to_owned(), 126), vec![5_000_100_000])]);
        let mut reader =
            Reader::new(Known { sightings, ..Known::default() }, BTreeSet::from(["lo".to_owned()]));
        let lines = [
            "bash-7 [001] ...1. 1.0: tracing_mark_write: glassnet prompt 0 pids 7",
            "idle-0 [001] ..s1. 5.0: net_dev_queue: dev=lo skbaddr=0a len=126",
            "idle-0 [001] ..s1. 6.0: net_dev_queue: dev=lo skbaddr=0b len=126",
        ];
        take(&mut reader, lines);
        assert_eq!(reader.finish().journeys.len(), 1);
    }

    #[test]
    fn a_buffer_whose_memory_was_freed_is_another_packet_when_it_comes_again() {
        let mut reader = Reader::new(Known::default(), BTreeSet::from(["eth0".to_owned()]));
        let lines = [
            "bash-7 [001] ...1. 1.0: tracing_mark_write: glassnet prompt 0 pids 7",
            "curl-7 [001] ..s1. 1.1: netif_receive_skb: dev=eth0 skbaddr=ff00000000001100 len=99",
            "curl-7 [001] ..s1. 1.2: kmem_cache_free: call_site=x ptr=ff00000000001000 name=skbuff_fclone_cache",
            "ping-7 [001] ..s1. 1.3: net_dev_queue: dev=v1 skbaddr=ff00000000001100 len=98",
            "ping-7 [001] ..s1. 1.4: kmem_cache_free: call_site=x ptr=ff00000000001000 name=skbuff_head_cache",
            "ping-7 [001] ..s1. 1.5: netif_rx: dev=v2 skbaddr=ff00000000001100 len=98",
        ];
        take(&mut reader, lines);
        let journeys: Vec<_> = reader.finish().journeys.into_iter().map(|j| (j.steps.len(), j.end)).collect();
        assert_eq!(journeys, [(1, "consumed".to_owned()), (2, "alive".to_owned())]);
    }

    #[test]
    fn a_journey_is_cut_at_cables() {
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect();
        let known = Known { nics: names(&["eth0"]), ports: names(&["p1", "p2"]), ..Known::default() };
        let mut reader = Reader::new(known, BTreeSet::new());
        let step = |name: &str, device: &str| {
            format!("bash-7 [001] ..... 1.0: {name}: dev={device} skbaddr=0a len=42")
        };
        let lines = [
            "bash-7 [001] ..... 1.0: tracing_mark_write: glassnet prompt 0 pids 7".to_owned(),
            step("netif_receive_skb", "br0"),
            step("net_dev_queue", "eth0"),
            step("net_dev_start_xmit", "eth0"),
            step("netif_rx", "p1"),
            step("net_dev_start_xmit", "p2"),
            step("netif_rx", "eth0"),
        ];
        take(&mut reader, lines);
        let legs: Vec<_> = reader.finish().journeys.into_iter().map(|j| (j.steps.len(), j.end)).collect();
        assert_eq!(legs, [(3, "cable".to_owned()), (1, "alive".to_owned())]);
    }

    #[test]
    fn a_look_up_is_told_without_ports() {
        let line = "ping-9 [001] ..... 1.0: fib_table_lookup: table 254 oif 0 iif 1 proto 17 0.0.0.0/43792 -> 10.0.0.102/1025 tos 0 scope 0 flags 0 ==> dev veth-1-a gw 0.0.0.0/:: err 0";
        let text = Event::parse(line).and_then(|e| beside_text(&e));
        let expected = "fib_table_lookup table 254 proto 17 0.0.0.0 -> 10.0.0.102 ==> veth-1-a err 0";
        assert_eq!(text.as_deref(), Some(expected));
    }
}
