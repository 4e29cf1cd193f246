//! A run as JSON, one object per line.
//!
//! Each line has a `type`. Numbers count from 1; times are nanoseconds of the virtual clock.
//!
//! | type | fields |
//! |---|---|
//! | `prompt` | `prompt`, `block`, `line`, `machine`, `command`, `output` |
//! | `packet` | `packet`, `exchange`, `prompt` (null: before the first), `cause` (the packet that it was made for, or null), `summary` (as tcpdump prints it) |
//! | `step` | `packet`, `at_ns`, `machine`, `netns` (empty: the machine's own), `device` (empty: none yet), `cpu`, `context` (`task`, `hardirq`, `softirq`, `ksoftirqd`), `function`, `file` (of the kernel), `kind` (`door`: the packet passes into it, `call`: it returns, `drop`), `reason` (of a drop: `SKB_DROP_REASON_…`), `dropped_by` (the function), `notes` (a list of `[key, text]`), `rules` (of a function that evaluates rules: a list of objects, below), `object` (of a step in which IPVS chose; below), `headers` (if they changed: `link`, `length` in bytes, `hex`, a blank between the headers) |
//!
//! An evaluated rule, or the end of a chain, is an object with `table`, `variant` (`legacy` or `nft`), `chain`, `number`
//! (from 1), `rule` (as `iptables-save` prints it; empty at the end of a chain), `result` (`no match`, `match`, `broken`:
//! a match found the packet malformed, `return`: the end of a user-defined chain, `policy`), `verdict` (of `match` and
//! `policy`: `accept`, `drop`, `return`, `continue`, `jump CHAIN`, `goto CHAIN`, or a target's name), `part` (of `no match`
//! and `broken`: the option or match that did not match) `why` (expected and actual value, if known) and `object` (of a rule that matched, if an agent of a cluster made it; below).
//!
//! What stands behind a rule, or in a step's `object` behind a virtual server of IPVS, is an object with `agent`, `service` (`namespace/name`),
//! `port` (its name, or its number), `endpoint` (address and port), `pod` (`namespace/name`), `node`, `gone` (the pod was deleted), `policies` (network policies, `namespace/name`) and `why`.

use glassnet_kernel::note::{Note, Outcome, Part};
use glassnet_kernel::tables::xt::Variant;
use glassnet_kernel::trace::StepKind;
use serde::Serialize;

use super::objects::Object;
use super::rules::{Fate, Met, Tried};
use super::select::Selection;
use super::story::{Leg, Story};
use super::{fields, hops, notes, text};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Prompt { prompt: usize, block: usize, line: usize, machine: &'a str, command: &'a str, output: &'a str },
    Packet { packet: usize, exchange: usize, prompt: Option<usize>, cause: Option<usize>, summary: &'a str },
    Step(Box<Step<'a>>),
}

#[derive(Serialize)]
struct Step<'a> {
    packet: usize,
    at_ns: u64,
    machine: &'a str,
    netns: String,
    device: &'a str,
    cpu: u8,
    context: &'static str,
    function: &'static str,
    file: &'static str,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dropped_by: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<(&'static str, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    rules: Vec<Rule>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object>,
    #[serde(skip_serializing_if = "Option::is_none")]
    headers: Option<Headers>,
}

/// A rule that was tried, or the end of a chain.
#[derive(Serialize)]
pub(crate) struct Rule {
    table: &'static str,
    variant: &'static str,
    chain: String,
    number: usize,
    #[serde(skip_serializing_if = "String::is_empty")]
    rule: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object>,
}

/// What was tried in a table, as objects.
pub(crate) fn rules(met: &Met) -> Vec<Rule> {
    let rule = |tried: &Tried| {
        let (result, verdict, part, why) = match &tried.fate {
            Fate::NoMatch { part, why } => ("no match", None, Some(part), why.clone()),
            Fate::Match { verdict } => ("match", Some(verdict), None, None),
            Fate::Broken { part } => ("broken", None, Some(part), None),
            Fate::Return => ("return", None, None, None),
            Fate::Policy { verdict } => ("policy", Some(verdict), None, None),
        };
        Rule {
            table: met.table,
            variant: if met.variant == Variant::Legacy { "legacy" } else { "nft" },
            chain: tried.chain.clone(),
            number: tried.number,
            rule: tried.rule.clone(),
            result,
            verdict: verdict.map(Outcome::to_string),
            part: part.map(Part::to_string),
            why,
            object: tried.object.as_ref().map(Object::from),
        }
    };
    met.tried.iter().map(rule).collect()
}

#[derive(Serialize)]
struct Headers {
    link: bool,
    length: usize,
    hex: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    inside: Option<String>,
}

/// The lines of the selected part of a run: prompts first, each followed by its exchanges.
pub fn json(story: &Story, selection: &Selection) -> String {
    let mut out = String::new();
    for prompt in (0..=story.typed.len()).filter(|prompt| selection.has_prompt(story, *prompt)) {
        if prompt > 0 {
            write(&mut out, &typed(story, prompt));
        }
        for (at, exchange) in story.exchanges.iter().enumerate() {
            if exchange.prompt != prompt || !selection.has_exchange(exchange) {
                continue;
            }
            for number in &exchange.packets {
                write(&mut out, &packet(story, at + 1, prompt, *number));
            }
            let leg = Leg { packet: 0, steps: exchange.steps.clone() };
            for position in 0..leg.steps.len() {
                write(&mut out, &Line::Step(Box::new(step(story, &leg, position))));
            }
        }
    }
    out
}

fn write(out: &mut String, line: &Line) {
    out.push_str(&serde_json::to_string(line).expect("plain data"));
    out.push('\n');
}

fn typed<'a>(story: &'a Story, prompt: usize) -> Line<'a> {
    let typed = &story.typed[prompt - 1];
    Line::Prompt {
        prompt,
        block: typed.block,
        line: typed.line,
        machine: &typed.machine,
        command: &typed.command,
        output: &typed.output,
    }
}

fn packet<'a>(story: &'a Story, exchange: usize, prompt: usize, number: usize) -> Line<'a> {
    let packet = &story.packets[number - 1];
    let prompt = Some(prompt).filter(|prompt| *prompt > 0);
    Line::Packet { packet: number, exchange, prompt, cause: packet.cause, summary: &packet.summary }
}

fn step<'a>(story: &Story<'a>, leg: &Leg, position: usize) -> Step<'a> {
    let at = leg.steps[position];
    let (step, place) = (story.step(at), story.place(at));
    let (kind, reason) = match step.kind {
        StepKind::Door => ("door", None),
        StepKind::Call => ("call", None),
        StepKind::Drop(reason) => ("drop", Some(format!("SKB_DROP_REASON_{}", reason.name()))),
    };
    Step {
        packet: story.owner(at),
        at_ns: step.at.0,
        machine: place.machine,
        netns: place.netns,
        device: place.device,
        cpu: step.cpu,
        context: text::context(step.context),
        function: step.func.name(),
        file: step.func.row().file,
        kind,
        dropped_by: reason.is_some().then(|| hops::dropper(story, leg, position)),
        reason,
        notes: story
            .notes(at)
            .filter(|note| !matches!(note, Note::Rule(_)))
            .map(|note| (notes::key(note), notes::words(note)))
            .collect(),
        rules: story.met(at).as_ref().map(rules).unwrap_or_default(),
        object: story.ipvs(at).and_then(|(_, object)| object.as_ref().map(Object::from)),
        headers: story.headers(at).map(|(_, now)| Headers {
            link: now.link,
            length: now.len,
            hex: fields::hex(now),
            inside: story.inside(now),
        }),
    }
}
