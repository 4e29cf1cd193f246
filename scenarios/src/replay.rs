//! A lesson with a cluster as one without: what its agents ran becomes prompts on the nodes, so that the same text runs on a real kernel.
//!
//! Prompts of `kubectl` are left out; what `kubectl exec` runs in a pod stays. A pause of agents is a `sleep`. Nobody answers health checks
//! there, nor holds ports: kube-proxy's sockets are its own.

use glassnet_cluster::api::ApiServer;
use glassnet_cluster::command::Ran;
use glassnet_sim::Nanos;
use miette::Diagnostic;
use thiserror::Error;

use crate::lab;
use crate::lesson::{Block, Lesson, LessonError, Prompt};
use crate::run::{Run, RunError};
use crate::view;

/// A shorter pause between two commands of agents is not kept.
const SHORTEST: Nanos = Nanos(50_000_000);

/// A lesson cannot be replayed.
#[derive(Debug, Error, Diagnostic)]
pub enum ReplayError {
    /// It does not run here.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Run(Box<RunError>),
    /// It has a command line that is not modelled there.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Lesson(Box<LessonError>),
}

/// The lesson without its cluster; one without a cluster as it is.
///
/// # Errors
///
/// A prompt does not end, or has `kubectl` in the middle of a command line; or kube-proxy or flanneld itself carries packets.
pub fn replayed(lesson: &Lesson) -> Result<Lesson, ReplayError> {
    let Some(cluster) = &lesson.front.topology.cluster else { return Ok(lesson.clone()) };
    for (is_so, what, label) in [
        (
            cluster.has_userspace_proxy(),
            "the sockets of kube-proxy's userspace mode",
            "clients would get no answer",
        ),
        (
            cluster.has_userspace_network(),
            "flanneld, which carries packets itself in the udp backend",
            "no packet would arrive",
        ),
    ] {
        if let (true, Some(first)) = (is_so, lesson.prompts().next()) {
            let message = format!("not modelled yet on a real kernel: {what}");
            let error = lesson.error(first.command_span.clone(), &message, label);
            return Err(ReplayError::Lesson(Box::new(error)));
        }
    }
    let mut run = Run::new(lesson, lab::SEED).map_err(|error| ReplayError::Run(Box::new(error)))?;
    let mut agents = Agents { told: 0, last: Nanos::ZERO };
    let mut blocks: Vec<Block> = Vec::new();
    for block in &lesson.blocks {
        let mut prompts = Vec::new();
        for prompt in &block.prompts {
            if blocks.is_empty() && prompts.is_empty() {
                prompts.extend(agents.prompts(&run, prompt));
            }
            run.prompt(prompt).map_err(|error| ReplayError::Run(Box::new(error)))?;
            let words: Vec<&str> = prompt.command.split_whitespace().collect();
            match words.as_slice() {
                ["kubectl", ..] | ["sleep", _] => {}
                _ if words.iter().any(|word| word.contains("kubectl")) => {
                    let message =
                        "not modelled yet on a real kernel: `kubectl` in the middle of a command line";
                    let error =
                        lesson.error(prompt.command_span.clone(), message, "put it into a prompt of its own");
                    return Err(ReplayError::Lesson(Box::new(error)));
                }
                _ => prompts.push(prompt.clone()),
            }
            prompts.extend(agents.prompts(&run, prompt));
            let now = run.session.world().now();
            if let ["sleep", _] = words.as_slice() {
                prompts.extend(agents.pause(now, prompt));
            }
            agents.last = now;
        }
        blocks.push(Block { line: block.line, prompts });
    }
    let mut plain = lesson.clone();
    (plain.front.topology.cluster, plain.blocks) = (None, blocks);
    Ok(plain)
}

/// What agents have run so far.
struct Agents {
    told: usize,
    last: Nanos,
}

impl Agents {
    /// What they ran since this was asked last, as prompts that stand where `beside` stands.
    fn prompts(&mut self, run: &Run, beside: &Prompt) -> Vec<Prompt> {
        let all = ApiServer::in_world(&run.session.world()).map(|api| api.ran()).unwrap_or_default();
        let mut prompts = Vec::new();
        for ran in all.iter().skip(self.told) {
            prompts.extend(
                self.pause(ran.at, beside).map(|pause| Prompt { machine: ran.node.clone(), ..pause }),
            );
            prompts.push(typed(ran, beside));
        }
        self.told = all.len();
        prompts
    }

    /// A `sleep` until this time, if it is long enough.
    fn pause(&mut self, until: Nanos, beside: &Prompt) -> Option<Prompt> {
        let span = until.since(self.last);
        self.last = self.last.max(until);
        let command = format!("sleep {}", span.as_secs_f64());
        (span >= SHORTEST).then(|| Prompt {
            command,
            expected: String::new(),
            before: Vec::new(),
            ..beside.clone()
        })
    }
}

fn typed(ran: &Ran, beside: &Prompt) -> Prompt {
    Prompt {
        machine: ran.node.clone(),
        command: view::shell_text(ran).trim_end().to_owned(),
        expected: String::new(),
        before: Vec::new(),
        ..beside.clone()
    }
}
