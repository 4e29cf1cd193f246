//! A run as text for a terminal: commands, and below each its packets.

use std::fmt::Write;

use anstyle::{AnsiColor, Style};
use glassnet_kernel::door::Function;
use glassnet_kernel::note::Note;
use glassnet_kernel::tables::netfilter::Pf;
use glassnet_kernel::trace::{Context, StepKind};
use glassnet_sim::Nanos;

use super::rules::{Shown, Tried};
use super::select::Selection;
use super::story::{Exchange, Leg, Story, Typed};
use super::{fields, hook, hops, lanes, notes};

/// Level of detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Zoom {
    /// From device to device, a line each.
    #[default]
    Hops,
    /// From CPU to CPU: in which context, how long, and where it waited.
    Time,
    /// Every kernel function.
    Doors,
    /// Also what each look-up found, and the headers before and after.
    Detail,
}

const BOLD: Style = Style::new().bold();
const DIM: Style = Style::new().dimmed();
const PACKET: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const PLACE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Green)));
const DROP: Style = Style::new().bold().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Red)));
const OBJECT: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Cyan)));
const NOTE: Style = Style::new().fg_color(Some(anstyle::Color::Ansi(AnsiColor::Yellow)));

/// The selected part of a run as text with ANSI colours. With `transcript`, each prompt and its output precede its
/// packets.
pub fn text(story: &Story, zoom: Zoom, selection: &Selection, transcript: bool) -> String {
    let all_rules = selection.all_rules;
    let mut view = View { story, zoom, all_rules, out: String::new(), shown: Vec::new() };
    for prompt in 0..=story.typed.len() {
        if !selection.has_prompt(story, prompt) {
            continue;
        }
        if transcript && prompt > 0 {
            view.typed(&story.typed[prompt - 1]);
        }
        for exchange in &story.exchanges {
            if exchange.prompt == prompt && selection.has_exchange(exchange) {
                view.exchange(exchange);
            }
        }
    }
    view.out
}

struct View<'s, 'a> {
    story: &'s Story<'a>,
    zoom: Zoom,
    /// Runs of rules that did not match are not folded.
    all_rules: bool,
    out: String,
    /// Exchanges shown in full.
    shown: Vec<&'s Exchange>,
}

impl<'s> View<'s, '_> {
    fn line(&mut self, text: &str) {
        self.out.push_str(text.trim_end());
        self.out.push('\n');
    }

    fn typed(&mut self, typed: &Typed) {
        let command = typed.command.trim_end();
        self.line(&format!("{BOLD}{}# {command}{BOLD:#}", typed.machine));
        self.out.push_str(&typed.output);
    }

    fn exchange(&mut self, exchange: &'s Exchange) {
        let shape = self.story.shape(exchange);
        let same = self.shown.iter().find(|other| self.story.shape(other) == shape);
        if !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.out.push('\n');
        }
        if self.zoom == Zoom::Time {
            self.lanes(exchange);
        } else if let Some(same) = same {
            self.same(exchange, same);
        } else {
            let legs = self.story.legs(exchange);
            let start = exchange.steps.first().map_or(Nanos::ZERO, |at| self.story.step(*at).at);
            for (position, leg) in legs.iter().enumerate() {
                let goes_on = legs[..position].iter().any(|earlier| earlier.packet == leg.packet);
                if self.zoom == Zoom::Hops {
                    self.hops(leg, start, goes_on);
                } else {
                    self.packet(leg.packet, goes_on);
                    self.doors(leg, start);
                }
            }
            self.shown.push(exchange);
        }
        self.out.push('\n');
    }

    /// An exchange that is the same as another.
    fn same(&mut self, exchange: &Exchange, same: &Exchange) {
        for (number, model) in exchange.packets.iter().zip(&same.packets) {
            self.packet(*number, false);
            self.line(&format!("    {DIM}the same way as packet {model}{DIM:#}"));
        }
    }

    fn packet(&mut self, number: usize, goes_on: bool) {
        let packet = &self.story.packets[number - 1];
        let goes_on = if goes_on { " goes on" } else { "" };
        let cause = match packet.cause {
            Some(cause) if goes_on.is_empty() => format!("  {DIM}because of packet {cause}{DIM:#}"),
            _ => String::new(),
        };
        self.line(&format!("  {PACKET}packet {number}{goes_on}{PACKET:#}  {}{cause}", packet.summary));
    }

    fn hops(&mut self, leg: &Leg, start: Nanos, goes_on: bool) {
        let hops = hops::hops(self.story, leg);
        // Its card gives a packet back that was sent: nothing to tell from afar.
        if goes_on && hops.is_empty() {
            return;
        }
        self.packet(leg.packet, goes_on);
        let width = hops.iter().map(|hop| self.story.host(&hop.place).len()).max().unwrap_or(0);
        let devices = hops.iter().map(|hop| hop.place.device.len()).max().unwrap_or(0);
        for hop in hops {
            let (at, events) = (time(hop.at, start), hop.events.join("; "));
            let style = if hop.dropped { DROP } else { Style::new() };
            let place = format!("{:width$}  {:devices$}", self.story.host(&hop.place), hop.place.device);
            self.line(&format!("{at}  {PLACE}{place}{PLACE:#}  {style}{events}{style:#}"));
        }
    }

    /// Packet by packet, each in time. Two that went the same way took different times.
    fn lanes(&mut self, exchange: &Exchange) {
        let story = self.story;
        let begins = exchange.steps.iter().map(|at| story.step(*at).at).min();
        let start = begins.unwrap_or(Nanos::ZERO);
        for number in &exchange.packets {
            self.packet(*number, false);
            for stretch in lanes::stretches(story, exchange, *number) {
                if let Some((wait, place)) = &stretch.waited {
                    self.line(&format!("              {NOTE}waits {} {place}{NOTE:#}", span(*wait)));
                }
                let (Some(first), Some(last)) = (stretch.steps.first(), stretch.steps.last()) else {
                    continue;
                };
                let (first, last) = (*first, *last);
                let (step, place) = (story.step(first), story.place(last));
                let head = format!("CPU {} {:9}", step.cpu, context(step.context));
                let names = match (step.func.name(), story.step(last).func.name()) {
                    (first, last) if first == last => first.to_owned(),
                    (first, last) => format!("{first} … {last}"),
                };
                self.line(&format!(
                    "{}  {:>10}  {head}  {PLACE}{}{PLACE:#}  {names}",
                    time(stretch.from, start),
                    span(stretch.to.since(stretch.from)),
                    [story.host(&place), place.device.to_owned()].join(" ").trim_end(),
                ));
            }
        }
    }

    fn doors(&mut self, leg: &Leg, start: Nanos) {
        let mut last = String::new();
        for (position, at) in leg.steps.iter().copied().enumerate() {
            let step = self.story.step(at);
            let place = hops::place(self.story, leg, position);
            let head = format!(
                "{}  {}  CPU {}, {}",
                self.story.host(&place),
                place.device,
                step.cpu,
                context(step.context)
            );
            if head != last {
                self.line(&format!("            {PLACE}{head}{PLACE:#}"));
                last = head;
            }
            self.door(leg, position, start);
            if self.zoom == Zoom::Detail {
                self.detail(at);
            }
        }
    }

    fn door(&mut self, leg: &Leg, position: usize, start: Nanos) {
        let story = self.story;
        let at = leg.steps[position];
        let step = story.step(at);
        let &Function { name, file, gloss, .. } = step.func.row();
        let since = time(step.at, start);
        // A function that returns is indented further than a door.
        let indented = match step.kind {
            StepKind::Call => format!("  {name}"),
            _ => name.to_owned(),
        };
        let (style, text) = match step.kind {
            StepKind::Drop(reason) => {
                let style = if hops::was_delivered(self.story, leg, position) { Style::new() } else { DROP };
                (style, hops::drop_text(self.story, leg, position, reason))
            }
            _ => (Style::new(), hook_text(story, at).unwrap_or_else(|| gloss.to_owned())),
        };
        self.line(&format!(
            "{since}  {BOLD}{indented:31}{BOLD:#} {style}{text:62}{style:#}  {DIM}{file}{DIM:#}"
        ));
    }

    fn detail(&mut self, at: usize) {
        let story = self.story;
        // The hook is in its function's line; rules are printed together below their function.
        for note in story.notes(at).filter(|note| !matches!(note, Note::Rule(_) | Note::Hook(_))) {
            let (key, text) = (notes::key(note), notes::words(note));
            self.line(&format!("                  {NOTE}{key}: {text}{NOTE:#}"));
        }
        if let Some((_, Some(object))) = story.ipvs(at) {
            self.line(&format!("                    {OBJECT}{object}{OBJECT:#}"));
        }
        if let Some(met) = story.met(at) {
            for shown in met.folded(self.all_rules) {
                self.line(&format!("                  {NOTE}{}{NOTE:#}", met.line(&shown)));
                if let Shown::Tried(Tried { object: Some(object), .. }) = shown {
                    self.line(&format!("                    {OBJECT}{object}{OBJECT:#}"));
                }
            }
        }
        let Some((before, now)) = story.headers(at) else { return };
        let changes = fields::changes(before, now);
        let changes = changes.iter().map(|(name, old, new)| match old {
            Some(old) => format!("{name} {old} -> {new}"),
            None => format!("{name} {new}"),
        });
        let mut line = String::new();
        for change in changes {
            if line.len() + change.len() > 90 {
                self.line(&format!("                  {NOTE}{line}{NOTE:#}"));
                line.clear();
            }
            let _ = write!(line, "{}{change}", if line.is_empty() { "" } else { ", " });
        }
        self.line(&format!("                  {NOTE}{line}{NOTE:#}"));
        if let Some(inside) = story.inside(now) {
            self.line(&format!("                  {NOTE}inside {inside}{NOTE:#}"));
        }
        if let Some(before) = before {
            self.line(&format!("                  {DIM}before {}{DIM:#}", fields::hex(before)));
        }
        self.line(&format!("                  {DIM}   now {}{DIM:#}", fields::hex(now)));
    }
}

/// The hook of a step in `nf_hook_slow`, with devices as in the kernel log.
fn hook_text(story: &Story, at: usize) -> Option<String> {
    let note = hook::hook_note(story, at)?;
    let family = match note.pf {
        Pf::Ipv4 => "IPv4",
        Pf::Bridge => "bridge",
    };
    let there = notes::devices(note).filter(|(_, name)| !name.is_empty());
    let devices: Vec<String> = there.map(|(word, name)| format!(" {word}={name}")).collect();
    Some(format!("the {family} hook {}{}", note.hook.chain(), devices.concat()))
}

/// Time since the start, in a column of 12.
fn time(at: Nanos, start: Nanos) -> String {
    let since = at.0.saturating_sub(start.0);
    match since {
        0..1_000_000 => format!("{:>8.2} µs", since as f64 / 1e3),
        _ => format!("{:>8.2} ms", since as f64 / 1e6),
    }
}

/// How long something took.
fn span(time: Nanos) -> String {
    match time.0 {
        0..1_000_000 => format!("{:.2} µs", time.0 as f64 / 1e3),
        _ => format!("{:.2} ms", time.0 as f64 / 1e6),
    }
}

/// The context in terms of the kernel's documentation.
pub fn context(context: Context) -> &'static str {
    match context {
        Context::Task => "task",
        Context::HardIrq => "hardirq",
        Context::SoftIrq | Context::Timer => "softirq",
        Context::Ksoftirqd => "ksoftirqd",
    }
}
