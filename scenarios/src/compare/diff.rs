//! Differences between two runs of a lesson.
//!
//! Compared are: each prompt's exit status and output; the frames on each device, whole and in order; tables
//! and counters after each block; what the kernel logged; the journeys of packet buffers in each block, with their end (so drop
//! reasons too). Frames of different devices are not ordered, since CPUs may process independent packets in any
//! order; causal order is in the journeys, whose steps are ordered over all devices. Journeys of a block are
//! compared as a multiset for the same reason, and lines of the log where there are several machines.
//!
//! What a side [cannot see](Capabilities) is not compared, and named as such.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use similar::{Algorithm, DiffTag, capture_diff_slices};

use super::canon::{self, ChosenPorts, Numbers};
use crate::observation::{Capabilities, DUMPS, Direction, Frame, Observation, Tables, unhex};

/// Kind of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The set of prompts.
    Prompts,
    /// An exit status.
    Status,
    /// Output of a command.
    Output,
    /// Frames on a device.
    Frames,
    /// A table or a counter.
    Table,
    /// Tracepoints of a packet, or its end.
    Journey,
    /// The kernel's log.
    Log,
}

impl Kind {
    /// Its name in reports and in `divergences.md`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prompts => "prompts",
            Self::Status => "status",
            Self::Output => "output",
            Self::Frames => "frames",
            Self::Table => "table",
            Self::Journey => "journey",
            Self::Log => "log",
        }
    }
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Difference {
    /// Kind.
    pub kind: Kind,
    /// Line in the lesson: of the prompt, or of the last prompt before a table was read.
    pub line: usize,
    /// The prompt there, `machine# command`; empty for a table.
    pub prompt: String,
    /// Device, or table of a namespace; empty for a prompt's output.
    pub place: String,
    /// Lines of the real kernel, without noise.
    pub real: Vec<String>,
    /// Lines of the model.
    pub model: Vec<String>,
    /// For frames: how many were captured before the first of them, on all devices.
    #[serde(skip)]
    pub after: Option<usize>,
}

/// Numbers of compared items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Prompts.
    pub prompts: usize,
    /// Frames of the real kernel.
    pub frames: usize,
    /// Tables, one for each dump of each namespace after each block.
    pub tables: usize,
    /// Dropped packets of the real kernel.
    pub drops: usize,
    /// Tracepoints of the real kernel.
    pub tracepoints: usize,
    /// Lines of the real kernel's log.
    pub log_lines: usize,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.prompts += more.prompts;
        self.frames += more.frames;
        self.tables += more.tables;
        self.drops += more.drops;
        self.tracepoints += more.tracepoints;
        self.log_lines += more.log_lines;
    }
}

/// Result of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Differences, by line.
    pub differences: Vec<Difference>,
    /// Numbers of compared items.
    pub counts: Counts,
    /// Not compared, as one side does not see it: `frames of node1 eth0: not seen by linux 6.1 (uml)`.
    pub uncompared: BTreeSet<String>,
}

/// Compares the model's run with the real kernel's.
pub fn compare(real: &Observation, model: &Observation) -> Comparison {
    let ports = [real, model].map(ChosenPorts::of);
    let mut differ = Differ { real, model, ports, found: Comparison::default() };
    if differ.prompts() {
        differ.frames();
        differ.tables();
        differ.journeys();
        differ.log();
    }
    differ.found.differences.sort_by_key(|d| d.line);
    differ.found
}

struct Differ<'a> {
    real: &'a Observation,
    model: &'a Observation,
    /// Ports that NAT chose on either side.
    ports: [ChosenPorts; 2],
    found: Comparison,
}

impl Differ<'_> {
    /// The same prompts were run; otherwise nothing else is compared.
    fn prompts(&mut self) -> bool {
        let typed = |o: &Observation| -> Vec<String> {
            o.prompts.iter().map(|p| format!("{}# {}", p.machine, p.command)).collect()
        };
        let (real, model) = (typed(self.real), typed(self.model));
        if real != model {
            self.add(Kind::Prompts, 0, "", real, model);
            return false;
        }
        for at in 0..self.real.prompts.len() {
            self.found.counts.prompts += 1;
            let (r, m) = (&self.real.prompts[at], &self.model.prompts[at]);
            if let Some(why) = canon::incomparable(&r.command) {
                self.found.uncompared.insert(format!("line {}, `{}`: {why}", r.line, r.command));
                continue;
            }
            if r.status != m.status {
                self.add(Kind::Status, at, "", vec![r.status.to_string()], vec![m.status.to_string()]);
            }
            let clean = |output: &str, ports: &ChosenPorts| -> Vec<String> {
                canon::output(&r.command, &ports.hide(output)).lines().map(str::to_owned).collect()
            };
            let [real_ports, model_ports] = &self.ports;
            let (real, model) = (clean(&r.output, real_ports), clean(&m.output, model_ports));
            if real != model {
                self.add(Kind::Output, at, "", real, model);
            }
        }
        true
    }

    fn add(&mut self, kind: Kind, prompt: usize, place: &str, real: Vec<String>, model: Vec<String>) {
        let (line, prompt) = self.at(prompt);
        let (place, after) = (place.to_owned(), None);
        self.found.differences.push(Difference { kind, line, prompt, place, real, model, after });
    }

    /// Both sides see it; otherwise it is recorded as uncompared.
    fn both_see(&mut self, what: &str, has: impl Fn(&Capabilities) -> bool) -> bool {
        let blind = [self.real, self.model].into_iter().find(|side| !has(&side.sees));
        let note = blind.map(|side| format!("{what}: not seen by {}", side.kernel));
        self.found.uncompared.extend(note);
        blind.is_none()
    }

    fn at(&self, prompt: usize) -> (usize, String) {
        let seen = self.real.prompts.get(prompt).or_else(|| self.model.prompts.get(prompt));
        seen.map(|p| (p.line, format!("{}# {}", p.machine, p.command))).unwrap_or_default()
    }

    fn frames(&mut self) {
        let [real_ports, model_ports] = &self.ports;
        let (real, model) = (by_device(self.real, real_ports), by_device(self.model, model_ports));
        let places: BTreeSet<_> = real.keys().chain(model.keys()).cloned().collect();
        for place in places {
            let device = place.rsplit(' ').next().unwrap_or("");
            if !self.both_see(&format!("frames of {place}"), |sees| sees.frames.has(device)) {
                continue;
            }
            let empty = Vec::new();
            let (real, model) = (real.get(&place).unwrap_or(&empty), model.get(&place).unwrap_or(&empty));
            self.found.counts.frames += real.len();
            self.device(&place, real, model);
        }
        if self.real.config.virtual_time && self.found.differences.iter().all(|d| d.kind != Kind::Frames) {
            self.order();
        }
    }

    /// The order of the frames of all devices of a namespace. Where time is real it is a matter of chance.
    fn order(&mut self) {
        let [real, model] = [self.real, self.model].map(by_space);
        for (space, real) in &real {
            let model = model.get(space).map_or(&[][..], Vec::as_slice);
            let key = |frames: &[&Frame]| -> Vec<(String, Direction)> {
                frames.iter().map(|f| (f.device.clone(), f.direction)).collect()
            };
            for op in capture_diff_slices(Algorithm::Myers, &key(real), &key(model)) {
                if op.tag() == DiffTag::Equal {
                    continue;
                }
                let (real, model) = (&real[op.old_range()], &model[op.new_range()]);
                let prompt = real.iter().chain(model).map(|f| f.prompt).min().unwrap_or_default();
                let shown = |side: &[&Frame]| {
                    side.iter().map(|f| format!("{} {:?}", f.device, f.direction)).collect()
                };
                let (real, model) = (shown(real), shown(model));
                self.add(Kind::Frames, prompt, &format!("{space}: order"), real, model);
            }
        }
    }

    fn device(&mut self, place: &str, real: &[CleanFrame], model: &[CleanFrame]) {
        let key = |frames: &[CleanFrame]| -> Vec<(Direction, Vec<u8>)> {
            frames.iter().map(|f| (f.direction, f.bytes.clone())).collect()
        };
        for op in capture_diff_slices(Algorithm::Myers, &key(real), &key(model)) {
            if op.tag() == DiffTag::Equal {
                continue;
            }
            let (real, model) = (&real[op.old_range()], &model[op.new_range()]);
            let both = || real.iter().chain(model);
            let (line, prompt) = self.at(both().map(|f| f.prompt).min().unwrap_or_default());
            let show = |side: &[CleanFrame], other: &[CleanFrame]| -> Vec<String> {
                side.iter().enumerate().map(|(at, f)| f.show(other.get(at))).collect()
            };
            let (left, right) = (show(real, model), show(model, real));
            self.found.differences.push(Difference {
                kind: Kind::Frames,
                line,
                prompt,
                place: place.to_owned(),
                real: left,
                model: right,
                after: both().map(|f| f.at).min(),
            });
        }
    }

    fn tables(&mut self) {
        let blocks = self.real.blocks.iter().chain(&self.model.blocks);
        let read = blocks.flat_map(|block| block.tables.values()).flat_map(BTreeMap::keys);
        let dumps: BTreeSet<&str> = read.map(String::as_str).chain(DUMPS).collect();
        let seen: Vec<_> = dumps
            .into_iter()
            .filter(|dump| self.both_see(&format!("table `{dump}`"), |sees| sees.tables.has(dump)))
            .collect();
        let (real, model) = (self.real.tables(), self.model.tables());
        for (at, (real, model)) in real.iter().zip(&model).enumerate() {
            let line = self.end_of_block(at);
            let places: BTreeSet<_> = real.keys().chain(model.keys()).collect();
            for place in places {
                for command in &seen {
                    self.found.counts.tables += 1;
                    self.table(line, real, model, place, command);
                }
            }
        }
    }

    fn table(&mut self, line: usize, real: &Tables, model: &Tables, place: &str, command: &str) {
        let clean = |tables: &Tables, ports: &ChosenPorts| match tables
            .get(place)
            .and_then(|tables| tables.get(command))
        {
            Some(Value::String(text)) => canon::table(command, &ports.hide(text).into()),
            Some(value) => canon::table(command, value),
            None => Value::Null,
        };
        // A dump that would be empty may not have been made.
        let clean = |tables, ports| match clean(tables, ports) {
            Value::Array(rows) if rows.is_empty() => Value::Null,
            value => value,
        };
        let [real_ports, model_ports] = &self.ports;
        let (mut real, mut model) = (clean(real, real_ports), clean(model, model_ports));
        canon::of_both(command, &mut real, &mut model);
        let mut lines = Vec::new();
        json_differences("", &real, &model, &mut lines);
        if lines.is_empty() {
            return;
        }
        let (left, right) = lines.into_iter().unzip();
        let (prompt, place) = (String::new(), format!("{place}: {command}"));
        self.found.differences.push(Difference {
            kind: Kind::Table,
            line,
            prompt,
            place,
            real: left,
            model: right,
            after: None,
        });
    }

    fn journeys(&mut self) {
        if !self.both_see("tracepoints and drop reasons", |sees| sees.tracepoints) {
            return;
        }
        let nics = &self.real.nics;
        let (real, model) = (by_block(self.real, nics), by_block(self.model, nics));
        for journey in
            real.values().flatten().flat_map(|(journey, prompts)| prompts.iter().map(move |_| journey))
        {
            self.found.counts.tracepoints += journey.0.len();
            self.found.counts.drops += usize::from(is_drop(&journey.1));
        }
        let blocks: BTreeSet<_> = real.keys().chain(model.keys()).copied().collect();
        for block in blocks {
            let empty = BTreeMap::new();
            let (real, model) = (real.get(&block).unwrap_or(&empty), model.get(&block).unwrap_or(&empty));
            let (paths, none): (BTreeSet<_>, _) = (real.keys().chain(model.keys()).collect(), Vec::new());
            let ways = paths
                .into_iter()
                .map(|path| (path, real.get(path).unwrap_or(&none), model.get(path).unwrap_or(&none)));
            let differ: Vec<_> = ways.filter(|(_, real, model)| real.len() != model.len()).collect();
            let first = differ.iter().flat_map(|(_, real, model)| real.iter().chain(*model)).min();
            let prompt = first.copied().unwrap_or_default();
            for (path, real, model) in differ {
                let show = |n: usize| vec![format!("{n} × {} ⇒ {}", path.0.join(" → "), path.1)];
                self.add(Kind::Journey, prompt, "", show(real.len()), show(model.len()));
            }
        }
    }

    /// Line of the last prompt of a block.
    fn end_of_block(&self, block: usize) -> usize {
        let last = self.real.prompts.iter().rev().find(|prompt| prompt.block == block);
        last.map_or(self.real.blocks[block].line, |prompt| prompt.line)
    }

    /// Prompts are of more than one machine.
    fn has_several_machines(&self) -> bool {
        let mut machines = self.real.prompts.iter().map(|prompt| &prompt.machine);
        machines.next().is_some_and(|first| machines.any(|machine| machine != first))
    }

    /// A log that others write to as well is not compared, on whichever side.
    fn log(&mut self) {
        if !self.real.sees.log || !self.model.sees.log {
            return;
        }
        let is_ordered = !self.has_several_machines();
        for (at, (real, model)) in self.real.blocks.iter().zip(&self.model.blocks).enumerate() {
            let [mut real, mut model] = [&real.log, &model.log].map(|lines| canon::log(lines));
            if !is_ordered {
                real.sort_unstable();
                model.sort_unstable();
            }
            self.found.counts.log_lines += real.len();
            for op in capture_diff_slices(Algorithm::Myers, &real, &model) {
                if op.tag() == DiffTag::Equal {
                    continue;
                }
                let [real, model] = [&real[op.old_range()], &model[op.new_range()]].map(<[String]>::to_vec);
                let (line, prompt, place) = (self.end_of_block(at), String::new(), String::new());
                let (kind, after) = (Kind::Log, None);
                self.found.differences.push(Difference { kind, line, prompt, place, real, model, after });
            }
        }
    }
}

/// The journey ended in `kfree_skb`.
fn is_drop(end: &str) -> bool {
    !matches!(end, "consumed" | "cable" | "alive")
}

struct CleanFrame {
    /// Its index among those of all devices.
    at: usize,
    prompt: usize,
    direction: Direction,
    raw: bool,
    bytes: Vec<u8>,
}

impl CleanFrame {
    /// A line as tcpdump's, and the differing bytes if the other frame's line is the same.
    fn show(&self, other: Option<&Self>) -> String {
        let direction = serde_json::to_value(self.direction).unwrap_or_default();
        let line = format!(
            "{:<10} {}",
            direction.as_str().unwrap_or(""),
            super::summary::frame(&self.bytes, self.raw)
        );
        let Some(other) = other else { return line };
        if super::summary::frame(&other.bytes, other.raw) != super::summary::frame(&self.bytes, self.raw) {
            return line;
        }
        let differs = |at: &usize| self.bytes.get(*at) != other.bytes.get(*at);
        let Some(first) = (0..self.bytes.len().max(other.bytes.len())).find(differs) else { return line };
        let shown: String = self.bytes.iter().skip(first).take(8).map(|b| format!("{b:02x}")).collect();
        format!("{line} [byte {first}: {shown}…]")
    }
}

/// Frames of each device in order, without noise.
fn by_device(seen: &Observation, ports: &ChosenPorts) -> BTreeMap<String, Vec<CleanFrame>> {
    let mut devices: BTreeMap<String, (Numbers, Vec<CleanFrame>)> = BTreeMap::new();
    for (at, frame) in canon::with_fragments_together(seen).into_iter().enumerate() {
        let (numbers, frames) =
            devices.entry(place(frame)).or_insert_with(|| (Numbers::new(ports), Vec::new()));
        let bytes = numbers.frame(&unhex(&frame.bytes), frame.raw);
        let Frame { prompt, direction, raw, .. } = *frame;
        frames.push(CleanFrame { at, prompt, direction, raw, bytes });
    }
    devices.into_iter().map(|(place, (_, frames))| (place, frames)).collect()
}

/// Frames of each namespace in order.
fn by_space(seen: &Observation) -> BTreeMap<String, Vec<&Frame>> {
    let mut spaces: BTreeMap<String, Vec<&Frame>> = BTreeMap::new();
    for frame in canon::with_fragments_together(seen) {
        spaces.entry(format!("{}/{}", frame.machine, frame.netns)).or_default().push(frame);
    }
    spaces
}

fn place(frame: &Frame) -> String {
    let slash = if frame.netns.is_empty() { "" } else { "/" };
    format!("{}{slash}{} {}", frame.machine, frame.netns, frame.device)
}

/// Steps and end of a journey.
type Path = (Vec<String>, String);

/// Journeys of each block: each path with the prompts of its packets.
fn by_block(seen: &Observation, nics: &[String]) -> BTreeMap<usize, BTreeMap<Path, Vec<usize>>> {
    let mut blocks: BTreeMap<usize, BTreeMap<Path, Vec<usize>>> = BTreeMap::new();
    for journey in &seen.journeys {
        let block = seen.prompts.get(journey.prompt).map_or(0, |p| p.block);
        let path = (canon::journey(&journey.steps, nics), canon::end(&journey.end).to_owned());
        blocks.entry(block).or_default().entry(path).or_default().push(journey.prompt);
    }
    blocks
}

/// Collects the differing leaves of two values: `[2].stats64.rx.packets 5`.
fn json_differences(path: &str, real: &Value, model: &Value, out: &mut Vec<(String, String)>) {
    match (real, model) {
        (Value::Object(r), Value::Object(m)) => {
            let keys: BTreeSet<_> = r.keys().chain(m.keys()).collect();
            for key in keys {
                let (r, m) = (r.get(key).unwrap_or(&Value::Null), m.get(key).unwrap_or(&Value::Null));
                let dot = if path.is_empty() { "" } else { "." };
                json_differences(&format!("{path}{dot}{key}"), r, m, out);
            }
        }
        (Value::Array(r), Value::Array(m)) => {
            for at in 0..r.len().max(m.len()) {
                let (r, m) = (r.get(at).unwrap_or(&Value::Null), m.get(at).unwrap_or(&Value::Null));
                let name = ["ifname", "dev", "dst"].iter().find_map(|k| r.get(k).or(m.get(k))?.as_str());
                let at = name.map_or(at.to_string(), |name| format!("{at} {name}"));
                json_differences(&format!("{path}[{at}]"), r, m, out);
            }
        }
        _ if real == model || canon::is_about(path, real, model) => {}
        _ => {
            let show = |value: &Value| match value {
                Value::Null => "(nothing)".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let colon = if path.is_empty() { "" } else { ": " };
            out.push((format!("{path}{colon}{}", show(real)), format!("{path}{colon}{}", show(model))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{BlockSeen, Journey, PromptSeen, Sight};

    fn frame(device: &str, bytes: &str) -> Frame {
        let (machine, netns, device) = ("node1".into(), String::new(), device.into());
        Frame {
            prompt: 0,
            machine,
            netns,
            device,
            direction: Direction::Out,
            at_us: 0,
            raw: false,
            bytes: bytes.into(),
        }
    }

    fn seen() -> Observation {
        let arp = "ffffffffffff62e1cb78a3970806000108000604000162e1cb78a3970a0000650000000000000a000066";
        let tables =
            BTreeMap::from([("ip -j addr".to_owned(), serde_json::json!([{"ifname": "lo", "mtu": 65536}]))]);
        Observation {
            prompts: vec![PromptSeen {
                line: 7,
                machine: "node1".into(),
                command: "ping x".into(),
                ..PromptSeen::default()
            }],
            frames: vec![frame("eth0", arp), frame("br0", arp)],
            blocks: vec![BlockSeen {
                line: 6,
                tables: BTreeMap::from([("node1".to_owned(), tables)]),
                log: vec!["6 device a entered promiscuous mode".into(), "6 IPv6: of no matter".into()],
            }],
            journeys: vec![Journey {
                prompt: 0,
                steps: vec!["netif_rx a 28".into()],
                end: "NO_SOCKET".into(),
            }],
            ..Observation::default()
        }
    }

    #[test]
    fn a_run_equals_itself_and_everything_is_counted() {
        let Comparison { differences, counts, uncompared } = compare(&seen(), &seen());
        assert_eq!(differences, []);
        let tables = DUMPS.len();
        assert_eq!(counts, Counts { prompts: 1, frames: 2, tables, drops: 1, tracepoints: 1, log_lines: 1 });
        assert!(uncompared.is_empty());
    }

    #[test]
    fn what_a_side_does_not_see_is_uncompared_and_not_absent() {
        let mut blind = seen();
        blind.kernel = "linux 6.1 (blind)".to_owned();
        blind.frames.remove(1);
        blind.journeys.clear();
        blind.blocks[0].tables.clear();
        assert_eq!(compare(&blind, &seen()).differences.len(), 3, "absent");
        blind.sees = Capabilities {
            frames: Sight::without(BTreeSet::from(["br0".to_owned()])),
            tables: Sight::Nothing,
            tracepoints: false,
            log: false,
        };
        for found in [compare(&blind, &seen()), compare(&seen(), &blind)] {
            assert_eq!(found.differences, []);
            assert_eq!(found.counts, Counts { prompts: 1, frames: 1, ..Counts::default() });
            let mut expected =
                BTreeSet::from(["frames of node1 br0", "tracepoints and drop reasons"].map(str::to_owned));
            expected.extend(DUMPS.map(|dump| format!("table `{dump}`")));
            let expected = expected.iter().map(|what| format!("{what}: not seen by linux 6.1 (blind)"));
            assert_eq!(found.uncompared, expected.collect());
        }
    }

    #[test]
    fn a_device_that_is_not_tapped_is_the_only_one() {
        let mut blind = seen();
        blind.frames.clear();
        blind.sees.frames = Sight::without(BTreeSet::from(["br0".to_owned()]));
        let found = compare(&blind, &seen());
        let places: Vec<_> = found.differences.iter().map(|d| d.place.as_str()).collect();
        assert_eq!(places, ["node1 eth0"]);
    }

    #[test]
    fn each_kind_of_difference_is_found_at_its_place() {
        let mut other = seen();
        other.prompts[0].status = 1;
        other.prompts[0].output = "hello\n".into();
        other.frames.remove(1);
        other.blocks[0].tables.get_mut("node1").unwrap().get_mut("ip -j addr").unwrap()[0]["mtu"] =
            1500.into();
        other.journeys[0].end = "OTHERHOST".into();
        other.blocks[0].log.clear();
        let found = compare(&seen(), &other).differences;
        let kinds: Vec<_> = found.iter().map(|d| (d.line, d.kind.name(), d.place.as_str())).collect();
        assert_eq!(
            kinds,
            [
                (7, "status", ""),
                (7, "output", ""),
                (7, "frames", "node1 br0"),
                (7, "table", "node1: ip -j addr"),
                (7, "journey", ""),
                (7, "journey", ""),
                (7, "log", ""),
            ]
        );
        assert_eq!(found[3].real, ["[0 lo].mtu: 65536"]);
        assert_eq!(found[3].model, ["[0 lo].mtu: 1500"]);
        assert!(found[2].real[0].contains("who-has 10.0.0.102 tell 10.0.0.101"), "{}", found[2].real[0]);
    }

    #[test]
    fn what_prints_of_the_whole_kernel_is_uncompared_with_a_word() {
        let with = |output: &str| {
            let mut seen = seen();
            (seen.prompts[0].command, seen.prompts[0].output) = ("dmesg | tail -1".into(), output.into());
            seen
        };
        let found = compare(&with("a"), &with("b"));
        assert_eq!(found.differences, []);
        let expected = "line 7, `dmesg | tail -1`: the log is of the whole kernel";
        assert_eq!(found.uncompared, BTreeSet::from([expected.to_owned()]));
    }

    #[test]
    fn other_prompts_are_told_before_anything_else() {
        let mut other = seen();
        other.prompts.clear();
        let found = compare(&seen(), &other).differences;
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].kind, Kind::Prompts);
    }
}
