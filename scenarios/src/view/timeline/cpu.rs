//! Slices on the track of a CPU: what it did in which context, and the functions in it.

use std::collections::BTreeMap;

use glassnet_kernel::ids::{CpuId, MachineId};
use glassnet_kernel::trace::{Burners, Context, Polled, Span, Step, StepKind, TakenInterrupt};
use glassnet_sim::Nanos;

use super::Timeline;
use super::events::{Event, Track};
use super::stations::Station;

/// What is known of a CPU up to a span.
#[derive(Default)]
struct Cpu {
    /// Functions that were suspended, the outermost first.
    suspended: Vec<usize>,
    /// When the last span ended.
    idle_since: Nanos,
    /// Programs that use up all its time, and the changes of their number that are still to come.
    burners: Vec<Burners>,
}

/// Writes the slices of all CPUs.
pub(super) fn slices(timeline: &mut Timeline) {
    let trace = &timeline.story.world().trace;
    let polled: BTreeMap<usize, Polled> = trace.polled.iter().map(|polled| (polled.step, *polled)).collect();
    let mut interrupts = &trace.interrupts[..];
    let mut cpus: BTreeMap<(MachineId, CpuId), Cpu> = BTreeMap::new();
    for burners in trace.burners.iter().rev() {
        cpus.entry((burners.machine, burners.cpu)).or_default().burners.push(*burners);
    }
    for span in &trace.spans {
        if !timeline.has(span.first) {
            continue;
        }
        let Some(track) = timeline.cpus.get(&(span.machine, span.cpu)).copied() else { continue };
        let cpu = cpus.entry((span.machine, span.cpu)).or_default();
        cpu.burn_until(timeline, track, span.from);
        cpu.idle_since = span.to;
        let taken = match span.context {
            Context::HardIrq => interrupts.partition_point(|interrupt| interrupt.step < span.end),
            _ => 0,
        };
        let (taken, rest) = interrupts.split_at(taken);
        interrupts = rest;
        // Those before it made no step: their card was gone.
        let taken = &taken[taken.partition_point(|interrupt| interrupt.step < span.first)..];
        let mut slices = Slices { timeline, track, open: Vec::new() };
        slices.span(span, &mut cpu.suspended, taken, &polled);
    }
    let end = trace
        .spans
        .iter()
        .filter(|span| timeline.has(span.first))
        .map(|span| span.to)
        .max()
        .unwrap_or(Nanos::ZERO);
    for (key, mut cpu) in cpus {
        if let Some(track) = timeline.cpus.get(&key).copied() {
            cpu.burn_until(timeline, track, end);
        }
    }
}

impl Cpu {
    /// While the CPU did nothing else, programs that use up all its time had it.
    fn burn_until(&mut self, timeline: &mut Timeline, track: Track, end: Nanos) {
        let mut from = self.idle_since;
        while from < end {
            // Changes are in reverse order; the last is what holds now.
            while self.burners.len() > 1 && self.burners[self.burners.len() - 2].at <= from {
                self.burners.pop();
            }
            let Some(now) = self.burners.last().copied() else { return };
            let next = self.burners.len().checked_sub(2).map_or(end, |next| self.burners[next].at.min(end));
            if now.at > from {
                from = now.at;
                continue;
            }
            if now.programs > 0 {
                timeline.events.begin(track, from, Event::new("task", "user: a program computes"));
                timeline.events.end(track, next);
            }
            from = next;
        }
    }
}

/// The slices of a span.
struct Slices<'t, 'a> {
    timeline: &'t mut Timeline<'a>,
    track: Track,
    /// When the open ones end, the innermost last.
    open: Vec<Nanos>,
}

impl Slices<'_, '_> {
    fn span(
        &mut self,
        span: &Span,
        suspended: &mut Vec<usize>,
        mut interrupts: &[TakenInterrupt],
        polled: &BTreeMap<usize, Polled>,
    ) {
        self.begin(span.from, span.to, context(span));
        let story = self.timeline.story;
        let until = |step: &Step| step.left.or(step.handed_on).unwrap_or(span.to);
        let mut left_open = Vec::new();
        for at in std::mem::take(suspended) {
            let step = story.step(at);
            if step.context == span.context {
                self.begin(
                    span.from,
                    until(step),
                    function(self.timeline, at, polled).text("continued", "yes"),
                );
            }
            if step.context != span.context || step.left.is_none_or(|left| left > span.to) {
                left_open.push(at);
            }
        }
        for at in span.first..span.end {
            let step = story.step(at);
            if let Some((interrupt, rest)) = interrupts.split_first().filter(|(first, _)| first.step <= at) {
                self.close(interrupt.at);
                let end = rest.first().map_or(span.to, |next| next.at);
                self.begin(interrupt.at, end, interrupt_event(interrupt));
                interrupts = rest;
            }
            self.close(step.at);
            match step.kind {
                StepKind::Drop(reason) => {
                    let event = Event::new("drop", format!("drop: SKB_DROP_REASON_{}", reason.name()));
                    let event = packet(self.timeline, at, event);
                    self.timeline.events.instant(self.track, step.at, event);
                }
                StepKind::Call | StepKind::Door => {
                    self.begin(step.at, until(step), function(self.timeline, at, polled));
                    if step.kind == StepKind::Call && step.left.is_none_or(|left| left > span.to) {
                        left_open.push(at);
                    }
                }
            }
        }
        self.close_all();
        *suspended = left_open;
    }

    /// Begins a slice, which ends with the one around it at the latest.
    fn begin(&mut self, at: Nanos, end: Nanos, event: Event) {
        let end = self.open.last().map_or(end, |around| end.min(*around)).max(at);
        self.timeline.events.begin(self.track, at, event);
        self.open.push(end);
    }

    /// Ends what is over at a time; the span itself stays open.
    fn close(&mut self, at: Nanos) {
        while self.open.len() > 1
            && let Some(end) = self.open.pop_if(|end| *end <= at)
        {
            self.timeline.events.end(self.track, end);
        }
    }

    fn close_all(&mut self) {
        while let Some(end) = self.open.pop() {
            self.timeline.events.end(self.track, end);
        }
    }
}

fn context(span: &Span) -> Event {
    let name = match (span.context, &span.program) {
        (Context::Task, Some(program)) => return Event::new("task", format!("task: {program}")),
        (Context::Task, None) => "task",
        (Context::HardIrq, _) => "hardirq",
        (Context::SoftIrq, _) => "softirq",
        (Context::Timer, _) => "softirq: timers",
        (Context::Ksoftirqd, _) => "softirq: ksoftirqd",
    };
    Event::new(if span.context == Context::Task { "task" } else { "irq" }, name)
}

fn interrupt_event(interrupt: &TakenInterrupt) -> Event {
    match &interrupt.irq {
        Some((irq, name)) => Event::new("irq", format!("irq {irq} {name}")).number("irq", u64::from(*irq)),
        None => Event::new("irq", "call of another CPU: packets are in the backlog"),
    }
}

/// The slice of a function.
fn function(timeline: &Timeline, at: usize, polled: &BTreeMap<usize, Polled>) -> Event {
    let step = timeline.story.step(at);
    let mut event = Event::new("function", step.func.name());
    if let Some(polled) = polled.get(&at) {
        event = event.number("work", u64::from(polled.work)).number("budget", u64::from(polled.budget));
        if polled.squeezed {
            event = event.text("squeezed", "work was left");
        }
    }
    packet(timeline, at, event)
}

/// Says of which packet an event is, and joins its stations.
fn packet(timeline: &Timeline, at: usize, event: Event) -> Event {
    let step = timeline.story.step(at);
    let Some(number) = timeline.stations.number(step.packet) else { return event };
    let mut event = event.number("packet", number);
    let Some(ends) = timeline.stations.at(Station::Step(at)) else { return event };
    if step.dev != u32::MAX {
        event = event.text("device", timeline.device(step.machine, step.dev));
    }
    let packet = &timeline.story.packets[number as usize - 1];
    event.text("summary", packet.summary.as_str()).flow(number, ends)
}
