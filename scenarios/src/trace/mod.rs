//! Traces a hypothetical packet: runs a lesson, sends one packet, and prints its path in phases.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`ask`]: one trace; [`ask_all`]: every branch of `statistic` |
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
mod phases;
mod place;
mod question;
mod replies;
mod send;
mod text;
mod verdict;

use glassnet_kernel::chance::CERTAIN;

use crate::lesson::Lesson;
use crate::run::{Run, RunError};
use crate::view::{Namespaces, Story};

pub use json::json;
pub use phases::{Kind, Phase};
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

/// A random decision of `-m statistic --mode random`.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The rule with its place: `nat:KUBE-SVC:rule:1 -A KUBE-SVC …`; empty if unknown.
    pub rule: String,
    /// Probability of a match, 0 to 1.
    pub probability: f64,
    /// It matched.
    pub outcome: bool,
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
    /// Random decisions.
    pub decisions: Vec<Decision>,
}

impl Answer {
    /// Probability of this branch, 0 to 1.
    pub fn probability(&self) -> f64 {
        let likely = |decision: &Decision| match decision.outcome {
            true => decision.probability,
            false => 1.0 - decision.probability,
        };
        self.decisions.iter().map(likely).product()
    }
}

/// Maximum number of branches.
pub const BRANCH_LIMIT: usize = 256;

/// Runs the lesson and sends the packet. `falls` gives the first decisions of `statistic`, later ones match; without
/// it they are drawn at random.
///
/// # Errors
///
/// [`TraceError`].
pub fn ask(
    lesson: &Lesson,
    seed: u64,
    question: &Question,
    falls: Option<Vec<bool>>,
) -> Result<Answer, TraceError> {
    let mut run = Run::new(lesson, seed).map_err(|error| TraceError::Run(Box::new(error)))?;
    let mut names = Namespaces::default();
    for prompt in lesson.prompts() {
        run.prompt(prompt).map_err(|error| TraceError::Run(Box::new(error)))?;
    }
    let mut world = run.session.world();
    names.look(&world);
    let start = place::start(&mut world, question).map_err(TraceError::Asked)?;
    let sent = send::send(&mut world, question, &start, falls).map_err(TraceError::Asked)?;
    let story = Story::new(&world, names, Vec::new());
    let way = copies::way(&story, sent.packet);
    let phases = phases::phases(&story, &way);
    let answers = replies::replies(&story, way.first().map_or(0, |at| story.owner(*at)));
    let verdict = verdict::verdict(&story, &way, &phases, &sent, &answers);
    let decisions = decisions(&story);
    Ok(Answer { question: question.clone(), phases, verdict, answers, decisions })
}

/// Random decisions about the packet, with their rules.
fn decisions(story: &Story) -> Vec<Decision> {
    let trace = &story.world().trace;
    let decision = |chance: &glassnet_kernel::chance::Chance| Decision {
        rule: story.rule_noted_at(chance.note).unwrap_or_default(),
        probability: f64::from(chance.probability) / f64::from(CERTAIN),
        outcome: chance.outcome,
    };
    trace.script.met.iter().map(decision).collect()
}

/// All branches, the one where everything matches first; and whether these are all.
///
/// # Errors
///
/// [`TraceError`].
pub fn ask_all(lesson: &Lesson, seed: u64, question: &Question) -> Result<(Vec<Answer>, bool), TraceError> {
    let mut answers = Vec::new();
    let mut falls = Vec::new();
    loop {
        let answer = ask(lesson, seed, question, Some(falls))?;
        let mut next: Vec<bool> = answer.decisions.iter().map(|decision| decision.outcome).collect();
        answers.push(answer);
        // The last match becomes a mismatch next; later decisions are reset.
        while next.last() == Some(&false) {
            next.pop();
        }
        match next.last_mut() {
            None => return Ok((answers, true)),
            Some(_) if answers.len() == BRANCH_LIMIT => return Ok((answers, false)),
            Some(last) => *last = false,
        }
        falls = next;
    }
}
