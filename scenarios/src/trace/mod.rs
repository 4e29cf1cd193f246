//! Traces a hypothetical packet: runs a lesson, sends one packet, and prints its path in phases.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`ask`]: one trace; [`ask_all`]: every branch of `statistic` and of IPVS's turns; [`Asker`]: several packets |
//! | `name.rs` | names in place of addresses |
//! | `question.rs` | the packet |
//! | `place.rs` | its start |
//! | `send.rs` | sending it |
//! | `copies.rs` | which of its copies is followed |
//! | `phases.rs` | phases |
//! | `replies.rs` | what it is answered with |
//! | `verdict.rs` | its end |
//! | `text.rs`, `json.rs` | what is printed |
//!
//! Nothing here decides what happens to a packet: it only sends the packet and reads the trace.

mod copies;
mod json;
mod name;
mod phases;
mod place;
mod question;
mod replies;
mod send;
mod text;
mod verdict;

use std::sync::Arc;

use glassnet_cluster::kube_proxy::explain::{Explained, Objects};
use glassnet_kernel::World;
use glassnet_kernel::chance::{Chance, Chooser};
use glassnet_kernel::trace::Trace;

use crate::lesson::Lesson;
use crate::run::{Run, RunError};
use crate::view::{Namespaces, Story};

pub use json::json;
pub use name::{Address, Asked};
pub use phases::{Kind, Phase};
pub use place::{Room, addresses_of};
pub use question::{Host, Protocol, Question};
pub use replies::Reply;
pub use text::text;
pub use verdict::{Ending, Verdict};

/// Why a question cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The lesson could not be run.
    #[error(transparent)]
    Run(Box<RunError>),
    /// An argument is invalid or missing, or the world does not settle, as the sentence says.
    #[error("{0}")]
    Asked(String),
}

/// What decided where there were several possibilities.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decider {
    /// `-m statistic --mode random` of a rule, with its place: `nat:KUBE-SVC:rule:1 -A KUBE-SVC …`; empty if unknown. It matched (0) or not (1).
    Rule(String),
    /// A scheduler of IPVS, by which new connections take turns.
    Scheduler(&'static str),
}

/// A decision between several possibilities.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What decided.
    pub by: Decider,
    /// Probability of each outcome, 0 to 1.
    pub shares: Vec<f64>,
    /// The outcome.
    pub outcome: usize,
}

/// The trace of a packet.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The packet as it was sent.
    pub question: Question,
    /// Its phases.
    pub phases: Vec<Phase>,
    /// How it ended.
    pub verdict: Verdict,
    /// Replies.
    pub answers: Vec<Reply>,
    /// Decisions.
    pub decisions: Vec<Decision>,
    /// Who sends and who is to receive, in a cluster.
    pub ends: Option<String>,
    /// The service and the endpoint that the packet went to, in a cluster.
    pub object: Option<Explained>,
}

impl Answer {
    /// Nobody listens where it came to.
    pub fn is_refused_by_receiver(&self) -> bool {
        let is_dropped = self.phases.last().is_some_and(|phase| phase.kind == Kind::Dropped);
        self.verdict.ending == Ending::Refused && is_dropped
    }

    /// Probability of this branch, 0 to 1.
    pub fn probability(&self) -> f64 {
        self.decisions.iter().map(|decision| decision.shares[decision.outcome]).product()
    }
}

/// Maximum number of branches.
pub const BRANCH_LIMIT: usize = 256;

/// A world in which packets can be sent, one after the other.
pub struct Asker<'w> {
    world: &'w mut World,
    names: Namespaces,
    objects: Option<Arc<Objects>>,
}

impl<'w> Asker<'w> {
    /// Reads what there is in a world.
    pub fn new(world: &'w mut World) -> Asker<'w> {
        let mut names = Namespaces::default();
        names.look(world);
        let objects = Objects::in_world(world).map(Arc::new);
        Asker { world, names, objects }
    }

    /// The world.
    pub fn world(&mut self) -> &mut World {
        self.world
    }

    /// The objects of its cluster.
    pub fn objects(&self) -> Option<&Objects> {
        self.objects.as_deref()
    }

    /// Sends a packet. `falls` gives the first decisions, of later ones the first outcome comes; without it they are left to the dice.
    ///
    /// # Errors
    ///
    /// A sentence about an argument, or the world does not settle.
    pub fn ask(&mut self, question: &Question, falls: Option<Vec<usize>>) -> Result<Answer, String> {
        // Tables of earlier packets stay: the kernel knows them by their number.
        let tables = std::mem::take(&mut self.world.trace.tables);
        self.world.trace = Trace::default();
        self.world.trace.tables = tables;
        let start = place::start(self.world, question)?;
        let sent = send::send(self.world, question, &start, falls)?;
        let story = Story::with_objects(self.world, self.names.clone(), Vec::new(), self.objects.clone());
        let way = copies::way(&story, sent.packet);
        let phases = phases::phases(&story, &way);
        let answers = replies::replies(&story, way.first().map_or(0, |at| story.owner(*at)));
        let verdict = verdict::verdict(&story, &way, &phases, &sent, &answers);
        let decisions = decisions(&story);
        let ends = self.objects().map(|objects| name::describe(objects, question, self.world));
        let object = object(&phases);
        Ok(Answer { question: question.clone(), phases, verdict, answers, decisions, ends, object })
    }
}

/// Runs the lesson and sends the packet, as [`Asker::ask`].
///
/// # Errors
///
/// [`TraceError`].
pub fn ask(
    lesson: &Lesson,
    seed: u64,
    asked: &Asked,
    falls: Option<Vec<usize>>,
) -> Result<Answer, TraceError> {
    let run = ran(lesson, seed).map_err(|error| TraceError::Run(Box::new(error)))?;
    let mut world = run.session.world();
    let mut asker = Asker::new(&mut world);
    let objects = asker.objects.clone();
    let question = asked.question(asker.world(), objects.as_deref()).map_err(TraceError::Asked)?;
    asker.ask(&question, falls).map_err(TraceError::Asked)
}

/// Runs a lesson to its end.
///
/// # Errors
///
/// As [`Run::prompt`].
pub fn ran(lesson: &Lesson, seed: u64) -> Result<Run<'_>, RunError> {
    let mut run = Run::new(lesson, seed)?;
    for prompt in lesson.prompts() {
        run.prompt(prompt)?;
    }
    Ok(run)
}

/// Decisions about the packet.
fn decisions(story: &Story) -> Vec<Decision> {
    let trace = &story.world().trace;
    let decision = |chance: &Chance| {
        let sum: f64 = chance.shares.iter().map(|share| f64::from(*share)).sum();
        let by = match chance.by {
            Chooser::Rule { note } => Decider::Rule(story.rule_noted_at(note).unwrap_or_default()),
            Chooser::Scheduler(name) => Decider::Scheduler(name),
            // Only dice are asked for those.
            Chooser::Socket => return None,
        };
        let shares = chance.shares.iter().map(|share| f64::from(*share) / sum).collect();
        Some(Decision { by, shares, outcome: chance.outcome })
    };
    trace.script.met.iter().filter_map(decision).collect()
}

/// What the packet went to: the last endpoint, or else the last service.
fn object(phases: &[Phase]) -> Option<Explained> {
    let all = || {
        phases
            .iter()
            .rev()
            .filter_map(|phase| phase.hook.as_ref())
            .flat_map(|hooked| hooked.explained().rev())
    };
    let with_endpoint = all().find(|object| object.endpoint.is_some());
    with_endpoint.or_else(|| all().find(|object| object.service.is_some())).cloned()
}

/// All branches, the one with the first outcome of every decision first; and whether these are all.
///
/// # Errors
///
/// [`TraceError`].
pub fn ask_all(lesson: &Lesson, seed: u64, asked: &Asked) -> Result<(Vec<Answer>, bool), TraceError> {
    let mut answers = Vec::new();
    let mut falls = Vec::new();
    loop {
        let answer = ask(lesson, seed, asked, Some(falls))?;
        let mut next: Vec<usize> = answer.decisions.iter().map(|decision| decision.outcome).collect();
        let last = answer.decisions.iter().rposition(|decision| decision.outcome + 1 < decision.shares.len());
        answers.push(answer);
        // The last decision that has another outcome gets it; later ones are reset.
        let Some(last) = last else { return Ok((answers, true)) };
        if answers.len() == BRANCH_LIMIT {
            return Ok((answers, false));
        }
        next.truncate(last + 1);
        next[last] += 1;
        falls = next;
    }
}
