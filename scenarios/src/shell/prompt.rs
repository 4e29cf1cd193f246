//! The script of a machine's shell, and our commands in it.
//!
//! One script per machine evaluates all command lines, so variables, functions and background jobs persist between
//! prompts.

use std::future::poll_fn;
use std::sync::{Arc, MutexGuard};
use std::task::{Poll, Waker};

use bashkit::{Builtin, BuiltinContext, ExecResult, async_trait};
use glassnet_userland::process::Signal;

use super::files::WRITE_ERROR;
use super::limits;
use super::live::{self, Job};
use super::machine::Machine;

/// What the shell runs.
pub(super) const SCRIPT: &str = r#"
RANDOM=1
kill() { __glassnet_kill "$(builtin jobs -l)" "$@" || { [ $? = 1 ] && builtin kill "$@"; }; }
while __glassnet_prompt "${GLASSNET_KEPT:-$?}"; do
if __glassnet_status "$GLASSNET_STATUS"; then eval "$GLASSNET_COMMAND"; else eval "$GLASSNET_COMMAND"; fi
done
"#;

/// Behind a command line: with `set -e`, a status that ends no shell (`false && true`) is not to end it as that of `eval`.
const KEEP_STATUS: &str = "\nGLASSNET_KEPT=$?";

/// State shared by the session and a machine's script.
#[derive(Default)]
pub(super) struct State {
    /// The command line that runs next.
    pub next: Option<String>,
    /// Status of the last command line, set while the shell waits.
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
        // What is not complete would take the line for its own.
        let kept = if live::is_complete(&command) { KEEP_STATUS } else { "" };
        ctx.variables.remove("GLASSNET_KEPT");
        ctx.variables.insert("GLASSNET_COMMAND".to_string(), command + kept);
        ctx.variables.insert("GLASSNET_STATUS".to_string(), status.to_string());
        Ok(ExecResult::ok(String::new()))
    }
}

/// Restores `$?`.
pub(super) struct Status;

#[async_trait]
impl Builtin for Status {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let status = ctx.args.first().and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(ExecResult::with_code(String::new(), status))
    }
}

/// `kill` of background programs: the first argument is the output of `jobs -l`, the others are kill's. Fails silently
/// if a target is another kind of process; then the shell's own `kill` runs.
pub(super) struct Kill(pub Arc<Machine>);

#[async_trait]
impl Builtin for Kill {
    async fn execute(&self, ctx: BuiltinContext<'_>) -> bashkit::Result<ExecResult> {
        let [jobs, args @ ..] = ctx.args else { return Ok(ExecResult::err(String::new(), 1)) };
        let parsed = parse_kill(args);
        if let Some(refused) = parsed.and_then(|(signal, _)| stops(signal)) {
            return Ok(ExecResult::err(format!("kill: {refused}"), 2));
        }
        let found = parsed.and_then(|(signal, targets)| {
            let running = self.0.programs.jobs();
            let found: Option<Vec<Job>> =
                targets.iter().map(|target| job_of(jobs, target, &running)).collect();
            Some((signal, found.filter(|found| !found.is_empty())?))
        });
        let Some((signal, targets)) = found else {
            // A daemon is no job of the shell.
            let is_done = parsed.is_some_and(|(signal, targets)| {
                let signals = |pid: u32| self.0.programs.signal_pid(pid, signal);
                !targets.is_empty() && targets.iter().all(|target| target.parse().is_ok_and(signals))
            });
            return Ok(if is_done {
                ExecResult::ok(String::new())
            } else {
                ExecResult::err(String::new(), 1)
            });
        };
        for job in targets {
            self.0.programs.signal_job(job, signal);
        }
        Ok(ExecResult::ok(String::new()))
    }
}

impl Machine {
    /// `/usr/bin/kill` of procps 4.0.2, which knows process ids of programs and background jobs: exit status and error.
    pub(super) fn kill(&self, args: &[String]) -> (i32, String) {
        let Some((signal, targets)) = parse_kill(args).filter(|(_, targets)| !targets.is_empty()) else {
            return (1, format!("not modelled yet: kill {}\n", args.join(" ")));
        };
        if let Some(refused) = stops(signal) {
            return (1, format!("kill: {refused}"));
        }
        let running = self.programs.jobs();
        let (mut status, mut text) = (0, String::new());
        for target in targets {
            let pid = target.parse::<u32>().ok();
            if pid.is_some_and(|pid| self.programs.signal_pid(pid, signal)) {
                continue;
            }
            match pid.and_then(|pid| running.iter().filter(|job| job.after < pid).max_by_key(|job| job.after))
            {
                Some(job) => self.programs.signal_job(*job, signal),
                None if pid.is_some() => {
                    (status, text) = (1, text + &format!("kill: ({target}): No such process\n"));
                }
                None => return (1, format!("not modelled yet: kill {target}\n")),
            }
        }
        (status, text)
    }
}

/// Splits kill's arguments into signal (`None` for 0) and targets; `None` for any other use.
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

/// Why a signal is refused that stops a program or lets it go on.
fn stops(signal: Option<Signal>) -> Option<String> {
    let stops = signal.is_some_and(Signal::stops_or_continues);
    stops.then(|| {
        "not modelled yet: programs that are stopped (signals CONT, STOP, TSTP, TTIN, TTOU)\n".to_owned()
    })
}

/// The job of `%1`, `%%` or a process id, if it is a single command whose programs can be signalled. `jobs` is the
/// output of `jobs -l`. A job's mark is the process id of the job before it: the highest mark below its own process
/// id, unless another job lies between.
fn job_of(jobs: &str, target: &str, running: &[Job]) -> Option<Job> {
    let listed = |line: &str| {
        let mut words = line.split_whitespace();
        Some((words.next()?.to_string(), words.next()?.parse::<u32>().ok()?))
    };
    let lines: Vec<(String, u32)> = jobs.lines().filter_map(listed).collect();
    let (_, pid) = lines.iter().find(|(number, pid)| match target.strip_prefix('%') {
        Some("" | "%" | "+") => number.ends_with('+'),
        Some("-") => number.ends_with('-'),
        Some(wanted) => number.trim_end_matches(['+', '-']) == format!("[{wanted}]"),
        None => pid.to_string() == target,
    })?;
    let job = *running.iter().filter(|job| job.after < *pid).max_by_key(|job| job.after)?;
    let is_other = lines.iter().any(|(_, other)| job.after < *other && other < pid);
    (!is_other && !job.is_compound).then_some(job)
}

/// `pkill` of procps 4.0.2, by exact name; 0 if it matched.
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
        if let Some(refused) = stops(signal) {
            return Ok(ExecResult::err(format!("pkill: {refused}"), 2));
        }
        let [name] = names[..] else {
            return Ok(ExecResult::err("pkill: no matching criteria specified\n", 2));
        };
        let found = self.0.programs.signal_name(name, signal);
        Ok(ExecResult::with_code(String::new(), i32::from(found == 0)))
    }
}

/// Converts bashkit's messages to bash's: a refused value is a write error of `echo`, and a prompt is not an `eval`.
pub(super) fn as_bash_says(text: &str) -> String {
    let line = |line: &str| match (line.strip_prefix("bash: eval: line "), line.split_once(WRITE_ERROR)) {
        (Some(rest), _) => format!("bash: {}", rest.split_once(": ").map_or(rest, |(_, message)| message)),
        (None, Some((before, reason))) if before.starts_with("bash: /") => {
            format!("bash: echo: {WRITE_ERROR}{reason}")
        }
        // `time`: CPU time of simulated programs is not counted.
        _ => limits::as_bash_says(&line.replace("\tunavailable", "\t0m0.000s")),
    };
    text.split_inclusive('\n').map(line).collect()
}

/// What `set -x` shows in `stderr` of the machine's shell, and the rest. Commands of [`SCRIPT`] are left out, and the level that its
/// `eval` adds to all others.
pub(super) fn split_trace(stderr: &str) -> (String, String) {
    let (mut trace, mut rest) = (String::new(), String::new());
    let mut in_eval = false;
    for line in stderr.split_inclusive('\n') {
        let level = line.len() - line.trim_start_matches('+').len();
        in_eval |= line.starts_with("+ eval ");
        if in_eval {
            in_eval = !line.trim_end().ends_with("GLASSNET_KEPT=$?'");
        } else if level == 0 || !line[level..].starts_with(' ') {
            rest.push_str(line);
        } else if !OWN.iter().any(|own| line[level + 1..].starts_with(own)) {
            match level {
                1 => rest.push_str(line),
                _ => trace.push_str(&line[1..]),
            }
        }
    }
    (trace, rest)
}

/// How commands of [`SCRIPT`] begin.
const OWN: [&str; 4] = ["__glassnet_", "GLASSNET_", "builtin jobs -l", "builtin kill "];

/// bash's message for an unknown command.
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
            "[1]  12 Running   ping &\n[2]- 15 Running   while :; do x; done &\n[3]+ 19 Running   y &\n";
        let job = |is_compound, after| Job { is_compound, after };
        let running = [job(false, 0), job(true, 12), job(false, 15)];
        let (first, third) = (Some(running[0]), Some(running[2]));
        for (target, expected) in [
            ("%1", first),
            ("%2", None),
            ("%3", third),
            ("%%", third),
            ("%-", None),
            ("12", first),
            ("%4", None),
        ] {
            assert_eq!(job_of(jobs, target, &running), expected, "{target}");
        }
        assert_eq!(job_of(jobs, "%3", &running[..1]), None, "its program is not running");
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
