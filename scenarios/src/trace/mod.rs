//! What would happen to this packet? Runs a lesson, sends one packet, and tells its way in phases.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`ask`]: one way; [`ask_all`]: every branch of `statistic` |
//! | `question.rs` | the packet |
//! | `place.rs` | where it begins |
//! | `send.rs` | sending it into the prepared world |
//! | `copies.rs` | which of its copies counts |
//! | `phases.rs` | its way in phases |
//! | `verdict.rs` | how it ended |
//! | `text.rs`, `json.rs` | what is printed |
//!
//! Nothing here decides what happens to a packet: it only asks the kernels and reads the trace.

mod copies;
mod json;
mod phases;
mod place;
mod question;
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
pub use text::text;
pub use verdict::{Ending, Verdict};

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The lesson could not be run.
    #[error(transparent)]
    Run(Box<RunError>),
    /// An argument is wrong or missing, or the world did not come to rest; the sentence says which.
    #[error("{0}")]
    Asked(String),
}

/// A decision of `-m statistic --mode random` on the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The rule, with its place: `nat:KUBE-SVC:rule:1 -A KUBE-SVC …`; empty if nobody saw it.
    pub rule: String,
    /// How likely a match was, 0 to 1.
    pub probability: f64,
    /// It matched.
    pub outcome: bool,
}

/// A packet's way.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The packet as it was sent.
    pub question: Question,
    /// Its phases.
    pub phases: Vec<Phase>,
    /// How it ended.
    pub verdict: Verdict,
    /// What it was answered, as tcpdump prints it.
    pub answers: Vec<String>,
    /// What chance decided.
    pub decisions: Vec<Decision>,
}

impl Answer {
    /// How likely this way is, 0 to 1.
    pub fn probability(&self) -> f64 {
        let likely = |decision: &Decision| match decision.outcome {
            true => decision.probability,
            false => 1.0 - decision.probability,
        };
        self.decisions.iter().map(likely).product()
    }
}

/// Branches beyond this number are not looked at.
pub const BRANCH_LIMIT: usize = 256;

/// Runs the lesson and sends the packet. Decisions of `statistic` fall as `falls` says, and as a match after that;
/// without it as the seed wants.
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
    let verdict = verdict::verdict(&story, &way, &phases, &sent);
    let number = way.first().map_or(0, |at| story.owner(*at));
    let is_answer =
        |packet: &&crate::view::Packet| packet.cause == Some(number) && packet.summary.starts_with("IP ");
    let answers = story.packets.iter().filter(is_answer).map(|packet| packet.summary.clone()).collect();
    let decisions = decisions(&story);
    Ok(Answer { question: question.clone(), phases, verdict, answers, decisions })
}

/// What chance decided about the packet, with the rule that asked.
fn decisions(story: &Story) -> Vec<Decision> {
    let trace = &story.world().trace;
    let decision = |chance: &glassnet_kernel::chance::Chance| Decision {
        rule: story.rule_noted_at(chance.note).unwrap_or_default(),
        probability: f64::from(chance.probability) / f64::from(CERTAIN),
        outcome: chance.outcome,
    };
    trace.script.met.iter().map(decision).collect()
}

/// Every way that chance leaves open, the one where everything matches first; and whether these are all.
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
        // The last decision that was a match falls the other way next; what came behind it is open again.
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
