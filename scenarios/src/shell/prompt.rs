//! The loop that a machine's shell runs for its whole life, and the commands inside it that are ours.
//!
//! One script per machine takes one command line after the other, so variables, functions and background jobs
//! live from one prompt to the next.

use std::future::poll_fn;
use std::sync::{Arc, MutexGuard};
use std::task::{Poll, Waker};

use bashkit::{Builtin, BuiltinContext, ExecResult, async_trait};
use glassnet_userland::process::Signal;

use super::files::WRITE_ERROR;
use super::live;
use super::machine::Machine;

/// What the shell runs.
pub(super) const SCRIPT: &str = r#"
RANDOM=1
kill() { __glassnet_kill "$(builtin jobs -l)" "$@" || builtin kill "$@"; }
jobs() { __glassnet_plain "$(builtin jobs "$@")"; }
while __glassnet_prompt "$?"; do
__glassnet_status "$GLASSNET_STATUS"
eval "$GLASSNET_COMMAND"
done
"#;

/// Between the runner and the prompt of a machine.
#[derive(Default)]
pub(super) struct State {
    /// The command line that runs next.
    pub next: Option<String>,
    /// The status of the last command line; set while the shell waits for the next.
    pub finished: Option<i32>,
    pub waker: Option<Waker>,
}

impl Machine {
    pub(super) fn prompt(&self) -> MutexGuard<'_, State> {
        self.prompt.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Waits for the next command line.
pub(super) struct Next(pub Arc<Machine>);

#[async_trait]
impl Builtin for Next {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let status = ctx.args.first().and_then(|status| status.parse().ok()).unwrap_or(0);
        self.0.prompt().finished = Some(status);
        let command = poll_fn(|cx| {
            let mut prompt = self.0.prompt();
            match prompt.next.take() {
                Some(command) => {
                    prompt.finished = None;
                    Poll::Ready(command)
                }
                None => {
                    prompt.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        ctx.variables.insert("GLASSNET_COMMAND".to_string(), command);
        ctx.variables.insert("GLASSNET_STATUS".to_string(), status.to_string());
        Ok(ExecResult::ok(String::new()))
    }
}

/// Gives the status of the last prompt back to `$?`.
pub(super) struct Status;

#[async_trait]
impl Builtin for Status {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let status = ctx.args.first().and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(ExecResult::with_code(String::new(), status))
    }
}

/// Prints its argument as the user typed it.
pub(super) struct Plain;

#[async_trait]
impl Builtin for Plain {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let text = live::plain(ctx.args.first().map_or("", String::as_str));
        Ok(ExecResult::ok(if text.is_empty() { text } else { text + "\n" }))
    }
}

/// `kill` of background programs: the first argument is what `jobs -l` prints, then kill's own arguments.
/// Fails without a word if a target is not such a program; the shell's own `kill` then does all of it.
pub(super) struct Kill(pub Arc<Machine>);

#[async_trait]
impl Builtin for Kill {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let [jobs, args @ ..] = ctx.args else { return Ok(ExecResult::err(String::new(), 1)) };
        let found = parse_kill(args).and_then(|(signal, targets)| {
            let jobs: Option<Vec<u32>> = targets.iter().map(|target| job_line(jobs, target)).collect();
            Some((signal, jobs?))
        });
        let Some((signal, targets)) = found else { return Ok(ExecResult::err(String::new(), 1)) };
        let is_running = |job: &u32| self.0.programs.signal_job(*job, None) > 0;
        if targets.is_empty() || !targets.iter().all(is_running) {
            return Ok(ExecResult::err(String::new(), 1));
        }
        for job in targets {
            self.0.programs.signal_job(job, signal);
        }
        Ok(ExecResult::ok(String::new()))
    }
}

/// Splits kill's arguments into the signal (`None` for 0) and the targets; `None` for any other use of it.
fn parse_kill(args: &[String]) -> Option<(Option<Signal>, &[String])> {
    match args {
        [option, signal, targets @ ..] if option == "-s" || option == "-n" => {
            Some((parse_signal(signal)?, targets))
        }
        [dashes, targets @ ..] if dashes == "--" => Some((Some(Signal::TERM), targets)),
        [option, targets @ ..] if option.starts_with('-') => Some((parse_signal(&option[1..])?, targets)),
        targets => Some((Some(Signal::TERM), targets)),
    }
}

/// A signal by number or name; `Some(None)` for 0.
fn parse_signal(text: &str) -> Option<Option<Signal>> {
    if text == "0" { Some(None) } else { Signal::parse(text).map(Some) }
}

/// The mark of the job that `%1`, `%%` or a process id means in what `jobs -l` prints.
fn job_line(jobs: &str, target: &str) -> Option<u32> {
    let line = jobs.lines().find(|line| {
        let mut words = line.split_whitespace();
        let (number, pid) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        match target.strip_prefix('%') {
            Some("" | "%" | "+") => number.ends_with('+'),
            Some("-") => number.ends_with('-'),
            Some(wanted) => number.trim_end_matches(['+', '-']) == format!("[{wanted}]"),
            None => pid == target,
        }
    })?;
    live::job_of(line)
}

/// `pkill` of procps 4.0.2, by exact name; 0 if it found one.
pub(super) struct Pkill(pub Arc<Machine>);

#[async_trait]
impl Builtin for Pkill {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let mut signal = Some(Signal::TERM);
        let mut names = Vec::new();
        for arg in ctx.args {
            match arg.strip_prefix('-') {
                None => names.push(arg.as_str()),
                Some("x") => {}
                Some(option) => match parse_signal(option) {
                    Some(named) => signal = named,
                    None => return Ok(ExecResult::err(format!("pkill: not modelled yet: {arg}\n"), 2)),
                },
            }
        }
        let [name] = names[..] else {
            return Ok(ExecResult::err("pkill: no matching criteria specified\n", 2));
        };
        let found = self.0.programs.signal_name(name, signal);
        Ok(ExecResult::with_code(String::new(), i32::from(found == 0)))
    }
}

/// Puts two of bashkit's messages as bash puts them: a value that the kernel refuses is `echo`'s write error, and
/// the text of a prompt is no `eval`.
pub(super) fn as_bash_says(text: &str) -> String {
    let line = |line: &str| match (line.strip_prefix("bash: eval: line "), line.split_once(WRITE_ERROR)) {
        (Some(rest), _) => format!("bash: {}", rest.split_once(": ").map_or(rest, |(_, message)| message)),
        (None, Some((before, reason))) if before.starts_with("bash: /") => {
            format!("bash: echo: {WRITE_ERROR}{reason}")
        }
        _ => line.to_string(),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// What bash says of a name that is no command.
pub(super) struct NotFound(pub String);

#[async_trait]
impl Builtin for NotFound {
    async fn execute(&self, _ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        Ok(ExecResult::err(format!("bash: {}: command not found\n", self.0), 127))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_are_named_as_bash_names_them() {
        let jobs =
            "[1]- 12 Running   >>/dev/tty GLASSNET_JOB=4 ping &\n[2]+ 15 Running   GLASSNET_JOB=9 x &\n";
        for (target, expected) in [
            ("%1", Some(4)),
            ("%2", Some(9)),
            ("%%", Some(9)),
            ("%-", Some(4)),
            ("12", Some(4)),
            ("%3", None),
        ] {
            assert_eq!(job_line(jobs, target), expected, "{target}");
        }
    }

    #[test]
    fn messages_are_those_of_bash() {
        for (text, expected) in [
            ("bash: /proc/x: write error: Invalid argument\n", "bash: echo: write error: Invalid argument\n"),
            (
                "bash: eval: line 1: syntax error near `x'\nbash: y\n",
                "bash: syntax error near `x'\nbash: y\n",
            ),
            ("write error: z", "write error: z"),
        ] {
            assert_eq!(as_bash_says(text), expected);
        }
    }

    #[test]
    fn signals_by_name_and_number() {
        for (text, expected) in [
            ("INT", Some(Some(Signal::INT))),
            ("SIGTERM", Some(Some(Signal::TERM))),
            ("9", Some(Some(Signal::KILL))),
            ("0", Some(None)),
            ("x", None),
            ("99", None),
        ] {
            assert_eq!(parse_signal(text), expected, "{text}");
        }
    }
}
