//! A kernel's recording and the model's.
//!
//! CPUs, interrupts and programs overtake each other by chance, so the order of all functions of a lesson is no property of it.
//! Runs are put into *streams*, and within a stream each run must have the same functions as its counterpart, in the same order.
//! A stream is:
//!
//! * the interrupts of one handler;
//! * the polls of one driver, or of the backlog: how many of them a softirq makes depends on when frames arrive;
//! * system calls, timers and works that begin with one function.
//!
//! A call must be within the same call as on the kernel. Only what the kernel's tracer sees is compared: a row of the table of
//! functions says why one is not seen ([`Function::inlined`](glassnet_kernel::door::Function)). Set aside is
//!
//! * a driver's poll that found no frame, with the interrupt before it: the driver of `e1000e` has its card interrupt every two
//!   seconds, for fear that a frame was forgotten (`e1000_watchdog_task`);
//! * that `__qdisc_run` looks into a queue that has nothing. It does not while byte queue limits stop the queue: until the card
//!   has told that it sent the first frame, which QEMU's tells at once;
//! * that `ip` and others look up an address that they are told of: of what they do in the kernel only what packets meet is recorded;
//! * a softirq that found nothing to send, or only freed what was sent, of which there are as many as interrupts tell, and the
//!   wake-up of an empty queue outside of an interrupt, which devices ask for when
//!   they come up;
//! * that functions are within `__neigh_event_send`: the model sends the ARP question when the packet that waits for the answer
//!   is in its queue, so a little later.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};

use glassnet_kernel::door::Func;
use serde::Serialize;
use similar::{Algorithm, ChangeTag, DiffOp, TextDiff, capture_diff_slices};

use super::{Call, Context, Prompt, Recording, Run};

/// A function of a run, and the call that it is within, where the kernel's tree tells.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entered {
    name: String,
    within: Option<String>,
}

/// Functions in order.
type Way = Vec<Entered>;

/// Ways by stream.
type Streams = BTreeMap<(Context, String), Vec<Way>>;

/// What two recordings of a lesson differ in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The lesson's file name without its folder.
    pub lesson: String,
    /// Differences, as texts of several lines.
    pub differences: Vec<String>,
    /// How many functions of the kernel were compared.
    pub functions: usize,
}

/// Compares the kernel's recording of a lesson with the model's.
pub fn compare(kernel: &Recording, model: &Recording) -> Report {
    let mut report = Report { lesson: kernel.lesson.clone(), ..Report::default() };
    let untraced: Vec<_> = model
        .prompts
        .iter()
        .flat_map(|prompt| prompt.runs.iter().flat_map(|run| &run.calls))
        .map(|call| call.name.as_str())
        .filter(|name| is_seen(name) && !kernel.traced.iter().any(|traced| traced == name))
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    if !untraced.is_empty() {
        let names = untraced.join(", ");
        report.differences.push(format!("not traced when this was recorded; record it again: {names}\n"));
    }
    if kernel.prompts.len() != model.prompts.len() {
        report.differences.push("the lesson has other prompts than the recording\n".to_owned());
        return report;
    }
    for (kernel, model) in kernel.prompts.iter().zip(&model.prompts) {
        if kernel.command != model.command {
            let (line, was) = (model.line, &kernel.command);
            report.differences.push(format!("line {line}: the recorded command is {was}\n"));
            continue;
        }
        compare_prompt(kernel, model, &mut report);
    }
    report
}

fn compare_prompt(kernel: &Prompt, model: &Prompt, report: &mut Report) {
    let (mut real, mut ours) = (streams(&kernel.runs), streams(&model.runs));
    let keys: BTreeSet<_> = real.keys().chain(ours.keys()).cloned().collect();
    for key in keys {
        let (real, ours) = (real.remove(&key).unwrap_or_default(), ours.remove(&key).unwrap_or_default());
        report.functions += real.iter().map(Vec::len).sum::<usize>();
        let what = format!("{}, {} {}", head(model), key.0.name(), key.1);
        report.differences.extend(differences(&what, &real, &ours));
    }
}

fn head(prompt: &Prompt) -> String {
    let command = prompt.command.lines().next().unwrap_or_default();
    format!("line {}: {}# {command}", prompt.line, prompt.machine)
}

/// A text for each group of runs that differ, and for each call that is within another one.
fn differences(what: &str, real: &[Way], ours: &[Way]) -> Vec<String> {
    let texts_of = |ways: &[Way]| -> Vec<String> { ways.iter().map(lines).collect() };
    let (real_names, our_names) = (texts_of(real), texts_of(ours));
    let (mut texts, mut misplaced) = (Vec::new(), BTreeSet::new());
    for op in capture_diff_slices(Algorithm::Myers, &real_names, &our_names) {
        let (old, new) = (op.old_range(), op.new_range());
        if let DiffOp::Equal { .. } = op {
            let pairs = real[old].iter().flatten().zip(ours[new].iter().flatten());
            // Where the kernel's function is within one that hands the packet on, the model's tree does not tell.
            misplaced
                .extend(pairs.filter(|(real, ours)| real.within.is_some() && real.within != ours.within));
            continue;
        }
        let mut text = format!(
            "{what}: runs {} to {} of {}; the model has {} in their place\n",
            old.start + 1,
            old.end,
            real.len(),
            new.len()
        );
        for at in 0..old.len().max(new.len()) {
            let of = |names: &[String]| names.get(at).cloned().unwrap_or_default();
            let (old, new) = (of(&real_names[old.clone()]), of(&our_names[new.clone()]));
            for change in TextDiff::from_lines(&old, &new).iter_all_changes() {
                let sign = match change.tag() {
                    ChangeTag::Equal => ' ',
                    ChangeTag::Delete => '-',
                    ChangeTag::Insert => '+',
                };
                text.push_str(&format!("  {sign} {}", change.value()));
            }
            text.push('\n');
        }
        texts.push(text);
    }
    let place = |entered: &Entered| entered.within.clone().unwrap_or_else(|| "nothing".to_owned());
    texts.extend(misplaced.into_iter().map(|(real, ours)| {
        format!("{what}: {} is within {}; in the model within {}\n", real.name, place(real), place(ours))
    }));
    texts
}

/// The functions, a line each.
fn lines(way: &Way) -> String {
    way.iter().map(|entered| format!("{}\n", entered.name)).collect()
}

/// Whether the tracer sees a function wherever it runs.
fn is_seen(name: &str) -> bool {
    row(name).is_none_or(|func| func.row().inlined.is_empty())
}

fn row(name: &str) -> Option<Func> {
    Func::ALL.iter().copied().find(|func| func.name() == name)
}

const SOFTIRQ: &str = Func::NetRxAction.name();
const POLL: &str = Func::NapiPoll.name();

/// The streams of some runs.
fn streams(runs: &[Run]) -> Streams {
    let mut streams = Streams::new();
    // The interrupts since the last poll of a driver that found frames.
    let mut key_of_interrupt: BTreeMap<usize, (Context, String)> = BTreeMap::new();
    for run in runs {
        for part in parts(run) {
            let Some(first) = part.first() else { continue };
            let context = match first.name == Func::RpsTriggerSoftirq.name() {
                // An idle CPU that polls takes what others ask of it without an interrupt.
                true => Context::HardIrq,
                false => run.context,
            };
            let key = (context, first.name.clone());
            if is_idle_poll(&part) {
                if let Some(key) = key_of_interrupt.remove(&run.cpu) {
                    streams.get_mut(&key).and_then(Vec::pop);
                }
                continue;
            }
            if is_idle_transmit(run.context, &part) || names(&part) == [Func::FibTableLookup.name()] {
                continue;
            }
            if run.context == Context::HardIrq {
                key_of_interrupt.insert(run.cpu, key.clone());
            }
            streams.entry(key).or_default().push(part);
        }
    }
    streams.retain(|_, ways| !ways.is_empty());
    streams
}

fn names(way: &Way) -> Vec<&str> {
    way.iter().map(|entered| entered.name.as_str()).collect()
}

/// A poll that found no frame.
fn is_idle_poll(way: &Way) -> bool {
    names(way) == ["e1000e_poll", "e1000_clean_rx_irq", "napi_complete_done"]
}

/// Nothing was sent. (A softirq that frees what was sent does so without a function that is seen.)
fn is_idle_transmit(context: Context, way: &Way) -> bool {
    let names = names(way);
    names == ["net_tx_action"]
        || names == ["net_tx_action", "__qdisc_run"]
        || context == Context::Task && names.iter().all(|name| *name == "netif_tx_wake_queue")
}

/// The functions of a run that are seen, and what they are within; those of a softirq poll by poll.
fn parts(run: &Run) -> Vec<Way> {
    let mut parts: Vec<Way> = vec![Way::new()];
    let mut open: Vec<&Call> = Vec::new();
    for call in run.calls.iter().filter(|call| is_seen(&call.name)) {
        open.truncate(open.iter().take_while(|outer| outer.depth < call.depth).count());
        let is_frame = run.context == Context::SoftIrq && [SOFTIRQ, POLL].contains(&call.name.as_str());
        let outer = open.last().map(|outer| outer.name.as_str());
        if is_frame || outer == Some(SOFTIRQ) {
            parts.push(Way::new());
        }
        let func = row(&call.name);
        let within =
            outer.filter(|outer| row(outer).is_none_or(Func::is_call) && ![SOFTIRQ, POLL].contains(outer));
        let within = within.filter(|outer| *outer != Func::NeighEventSend.name());
        let within = within.filter(|_| func.is_none_or(Func::is_call)).map(str::to_owned);
        if !is_frame && let Some(part) = parts.last_mut() {
            part.push(Entered { name: call.name.clone(), within });
        }
        open.push(call);
    }
    parts.iter_mut().for_each(without_empty_looks);
    parts.retain(|part| !part.is_empty());
    parts
}

/// Leaves out that a queue was looked into which has nothing: what it has would be sent next.
fn without_empty_looks(way: &mut Way) {
    let name = |at: usize| way.get(at).map_or("", |entered: &Entered| entered.name.as_str());
    let is_look =
        |at: usize| name(at).ends_with("_dequeue") && at > 0 && name(at - 1) == Func::QdiscRun.name();
    let empty: Vec<_> =
        (0..way.len()).filter(|at| is_look(*at) && name(at + 1) != Func::SchDirectXmit.name()).collect();
    empty.into_iter().rev().for_each(|at| drop(way.remove(at)));
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lesson, differences, functions } = self;
        writeln!(f, "{lesson}: {functions} functions, {}", count(differences.len(), "difference"))?;
        differences.iter().try_for_each(|difference| write!(f, "{difference}"))
    }
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
