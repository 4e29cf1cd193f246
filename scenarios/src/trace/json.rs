//! Ways of a packet as JSON, an object a line.
//!
//! Each line has a `type`. Numbers count from 1.
//!
//! | type | fields |
//! |---|---|
//! | `branch` | `branch`, `probability` (0 to 1), `packet` (what is sent), `decisions` (a list of objects: of `statistic` with `rule`, `probability` of a match, `matched`; of turns of IPVS with `scheduler`, `probability` of this turn), `ending` (`delivered`, `sent out`, `refused`, `dropped`, `waiting`), `verdict` (a line), `answers` (what was sent back because of it, as tcpdump prints it), `lost` (answers that were dropped on their way), `object` (in a cluster: the service and the endpoint that it went to, as in `glassnet walk --json`) |
//! | `phase` | `branch`, `phase`, `kind` (`sent`, `hook`, `route`, `bridge`, `cable`, `neighbour`, `delivered`, `dropped`), `machine`, `netns` (empty: the machine's own), `host` (both for people: a pod by its name), `device` (empty: none yet), `text`, `before` and `after` (objects with `src` and `dst`, address and port), `hook` (an object with `family` (`ip`, `bridge`), `chain`, `in`, `out`, `bridged` (`br_netfilter` offers it), `conntrack` (a list of remarks), `ipvs` (a remark on where IPVS sends it), `object` (what stands behind that), `rules` (as in `glassnet walk --json`)) |
//! | `sum` | `branches`, `probability`, `whole` (false: there are more branches than were looked at); only with all branches |

use serde::Serialize;

use super::phases::Phase;
use super::{Answer, Decider, Decision};
use crate::view::{Hooked, Object, Rule, conntrack_words, ipvs_words, rules_as_json};

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    Branch {
        branch: usize,
        probability: f64,
        packet: String,
        decisions: Vec<Chosen<'a>>,
        ending: &'static str,
        verdict: &'a str,
        answers: Vec<&'a str>,
        lost: Vec<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        object: Option<Object>,
    },
    Phase {
        branch: usize,
        phase: usize,
        kind: &'static str,
        machine: &'a str,
        netns: &'a str,
        host: &'a str,
        device: &'a str,
        text: &'a str,
        before: Ends<'a>,
        after: Ends<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hook: Option<AtHook<'a>>,
    },
    Sum {
        branches: usize,
        probability: f64,
        whole: bool,
    },
}

#[derive(Serialize)]
struct Chosen<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scheduler: Option<&'a str>,
    probability: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    matched: Option<bool>,
}

#[derive(Serialize)]
struct Ends<'a> {
    src: &'a str,
    dst: &'a str,
}

#[derive(Serialize)]
struct AtHook<'a> {
    family: &'a str,
    chain: &'a str,
    #[serde(rename = "in")]
    input: &'a str,
    out: &'a str,
    bridged: bool,
    conntrack: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ipvs: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<Object>,
    rules: Vec<Rule>,
}

/// The lines of one trace, or with `all` of every branch. `whole`: these are all branches.
pub fn json(answers: &[Answer], all: bool, whole: bool) -> String {
    let mut out = String::new();
    let mut line = |line: &Line| {
        out.push_str(&serde_json::to_string(line).expect("plain data"));
        out.push('\n');
    };
    for (at, answer) in answers.iter().enumerate() {
        line(&branch(at + 1, answer));
        for (number, one) in answer.phases.iter().enumerate() {
            line(&phase(at + 1, number + 1, one));
        }
    }
    if all {
        let probability = answers.iter().map(Answer::probability).sum();
        line(&Line::Sum { branches: answers.len(), probability, whole });
    }
    out
}

fn replies(answer: &Answer, lost: bool) -> Vec<&str> {
    let chosen = answer.answers.iter().filter(|reply| reply.lost.is_some() == lost);
    chosen.map(|reply| reply.summary.as_str()).collect()
}

fn branch(number: usize, answer: &Answer) -> Line<'_> {
    Line::Branch {
        branch: number,
        probability: answer.probability(),
        packet: answer.question.to_string(),
        decisions: answer.decisions.iter().map(chosen).collect(),
        ending: answer.verdict.ending.name(),
        verdict: &answer.verdict.text,
        answers: replies(answer, false),
        lost: replies(answer, true),
        object: answer.object.as_ref().map(Object::from),
    }
}

fn chosen(decision: &Decision) -> Chosen<'_> {
    match &decision.by {
        Decider::Rule(rule) => Chosen {
            rule: Some(rule),
            scheduler: None,
            probability: decision.shares[0],
            matched: Some(decision.outcome == 0),
        },
        Decider::Scheduler(name) => Chosen {
            rule: None,
            scheduler: Some(name),
            probability: decision.shares[decision.outcome],
            matched: None,
        },
    }
}

fn phase(branch: usize, number: usize, phase: &Phase) -> Line<'_> {
    let before = Ends { src: &phase.src, dst: &phase.dst };
    let (src, dst) = phase.after.as_ref().map_or((&phase.src, &phase.dst), |(src, dst)| (src, dst));
    Line::Phase {
        branch,
        phase: number,
        kind: phase.kind.name(),
        machine: &phase.machine,
        netns: &phase.netns,
        host: &phase.host,
        device: &phase.device,
        text: &phase.text,
        before,
        after: Ends { src, dst },
        hook: phase.hook.as_ref().map(at_hook),
    }
}

fn at_hook(hooked: &Hooked) -> AtHook<'_> {
    AtHook {
        family: hooked.family,
        chain: hooked.chain,
        input: &hooked.input,
        out: &hooked.output,
        bridged: hooked.bridged,
        conntrack: hooked.conntrack.iter().map(conntrack_words).collect(),
        ipvs: hooked.ipvs.as_ref().map(|(note, _)| ipvs_words(note)),
        object: hooked.ipvs.as_ref().and_then(|(_, object)| object.as_ref().map(Object::from)),
        rules: hooked.tables.iter().flat_map(rules_as_json).collect(),
    }
}
