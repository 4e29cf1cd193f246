//! How far a shell goes: what is beyond ends with a message that names the limit.
//!
//! | limit | of | who keeps it |
//! |---|---|---|
//! | 24 h of virtual time | a prompt | [`TIME_LIMIT`] |
//! | 1,000,000 commands, 200,000 loop iterations | a machine's shell | [`COMMAND_LIMIT`], [`LOOP_LIMIT`] |
//! | 16 functions, sourced files and child shells | that call each other | bashkit |
//! | 48 MB of stack | `eval` that run each other, more than 500 | [`DEEP`] |
//! | 10 programs | that start each other, as `ip netns exec x bash` | [`PROGRAM_DEPTH`] |
//! | 1,000 `(` and `!` | of `[`, `test`, `expr`, `find` | [`OPERATORS`] |
//! | 64 jobs | in the background | [`JOB_LIMIT`] |
//! | 10,000 words | of a range `{1..20000}`; 100,000 of all braces of a word | bashkit, [`RANGE_LIMIT`] |
//! | 100 MB | a file, and what a command reads of `/dev/zero` | [`FILE_LIMIT`] |
//! | 500 MB | all files of a machine | [`DISK_LIMIT`] |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bashkit::hooks::{HookAction, ToolEvent};
use bashkit::{BashBuilder, ExecutionLimits, FsLimits, MemoryLimits};
use glassnet_sim::Nanos;

use super::machine::Machine;

/// Virtual time of a prompt; more count as a program that never ends.
pub const TIME_LIMIT: Nanos = Nanos::from_secs(86_400);
/// Loop iterations of a shell; more count as an endless loop.
const LOOP_LIMIT: usize = 200_000;
/// Commands of a shell.
const COMMAND_LIMIT: usize = 1_000_000;
/// Stack for nested commands, bytes, of a thread that may have 2 MB.
const SHALLOW: usize = 1_250_000;
/// Stack for nested commands, bytes, inside [`on_deep_stack`].
const DEEP: usize = 48_000_000;
/// Programs that start each other.
pub(super) const PROGRAM_DEPTH: usize = 10;
/// Parentheses and negations among the arguments of a command that reads them by recursion.
const OPERATORS: usize = 1_000;
/// Words of a range. bashkit leaves a longer one as it is written.
const RANGE_LIMIT: u64 = 10_000;
/// Background jobs of a shell.
const JOB_LIMIT: usize = 64;
/// Bytes of a file.
pub(super) const FILE_LIMIT: u64 = 100_000_000;
/// Bytes of all files of a machine.
const DISK_LIMIT: u64 = 500_000_000;

/// Limits of a shell: no wall-clock time, so that runs are reproducible; counts end endless scripts.
pub(super) fn execution() -> ExecutionLimits {
    ExecutionLimits::cli()
        .max_commands(COMMAND_LIMIT)
        .max_loop_iterations(LOOP_LIMIT)
        .max_total_loop_iterations(LOOP_LIMIT)
        .max_work_units(u64::MAX / 4)
        .max_aggregate_input_bytes(u64::MAX / 4)
        .max_live_intermediate_bytes(1 << 30)
        .max_background_jobs(JOB_LIMIT)
        .parser_timeout(Duration::from_secs(3600))
}

/// bashkit counts a variable in front of a command (`A=1 true`) anew each time, so variables are bounded by bytes alone.
pub(super) fn memory() -> MemoryLimits {
    MemoryLimits::new().max_variable_count(usize::MAX).max_total_variable_bytes(1 << 30)
}

/// Limits of a machine's disk.
pub(super) fn disk() -> FsLimits {
    FsLimits::default().max_file_size(FILE_LIMIT).max_total_bytes(DISK_LIMIT).max_file_count(100_000)
}

/// What bashkit says of a command that [`bound`] stops; with bash's words for it.
pub(super) fn as_bash_says(text: &str) -> String {
    let words = format!(
        "nested too deeply: more than {OPERATORS} parentheses and negations, or no stack is left, or more than {RANGE_LIMIT} words of a range"
    );
    let says = |line: &str| match line.trim_end_matches('\n').ends_with("rm: cancelled by before_tool hook") {
        true => PRESERVE_ROOT.to_owned(),
        false => line.replace("cancelled by before_tool hook", &words),
    };
    text.split_inclusive('\n').map(says).collect()
}

/// `rm` of coreutils 9.1, asked to remove everything.
const PRESERVE_ROOT: &str = "rm: it is dangerous to operate recursively on '/'\nrm: use --no-preserve-root to override this failsafe\n";

/// The arguments of `rm` name the root directory, with everything in it.
fn removes_root(args: &[String]) -> bool {
    let (options, operands): (Vec<&str>, Vec<&str>) =
        args.iter().map(String::as_str).partition(|arg| arg.starts_with('-') && arg.len() > 1);
    let recursive = options.iter().any(|option| match option.strip_prefix("--") {
        Some(long) => !long.is_empty() && "recursive".starts_with(long),
        None => option.contains(['r', 'R']),
    });
    let is_root =
        |path: &&str| path.starts_with('/') && path.split('/').all(|part| ["", "."].contains(&part));
    recursive && !options.contains(&"--no-preserve-root") && operands.iter().any(is_root)
}

/// `word` has a range that is too long to be replaced by its words.
fn has_long_range(word: &str) -> bool {
    word.split('{').skip(1).filter_map(|rest| rest.split_once('}')).any(|(range, _)| {
        let numbers: Result<Vec<i64>, _> = range.split("..").map(str::parse).collect();
        match numbers.as_deref() {
            Ok([first, last]) => first.abs_diff(*last) >= RANGE_LIMIT,
            Ok([first, last, step]) => first.abs_diff(*last) / step.unsigned_abs().max(1) >= RANGE_LIMIT,
            _ => false,
        }
    })
}

/// How much stack the shells of this process may use, bytes.
static MOST: AtomicUsize = AtomicUsize::new(SHALLOW);

/// Where the stack begins on which a machine's shells are polled.
#[derive(Default)]
pub(super) struct Stack(AtomicUsize);

impl Stack {
    /// Shells are polled from here on.
    pub(super) fn begin(&self) {
        self.0.store(stack_pointer(), Ordering::Relaxed);
    }

    fn used(&self) -> usize {
        self.0.load(Ordering::Relaxed).saturating_sub(stack_pointer())
    }
}

fn stack_pointer() -> usize {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr()
}

/// Stack of a thread whose stack has room for deeply nested commands, bytes: a third more, for what one command takes.
pub const DEEP_STACK: usize = DEEP / 3 * 4;

/// Runs `work`, with all shells of this process, on a thread with a [`DEEP_STACK`]; threads that it starts need one too.
///
/// # Errors
///
/// There is no room for a thread.
#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub fn on_deep_stack<T: Send>(work: impl FnOnce() -> T + Send) -> std::io::Result<T> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(DEEP_STACK).spawn_scoped(scope, || {
            MOST.store(DEEP, Ordering::Relaxed);
            work()
        })?;
        Ok(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })
}

/// Ends what would nest so deeply that the stack of this process overflows.
pub(super) fn bound(builder: BashBuilder, machine: Arc<Machine>) -> BashBuilder {
    builder.before_tool(Box::new(move |event: ToolEvent| {
        if event.name == "rm" {
            return match removes_root(&event.args) {
                true => HookAction::Cancel(String::new()),
                false => HookAction::Continue(event),
            };
        }
        let too_deep = machine.stack.used() > MOST.load(Ordering::Relaxed);
        let operators =
            || event.args.iter().filter(|arg| ["(", "\\(", "!", "-not"].contains(&arg.as_str())).count();
        let recursive = ["[", "test", "expr", "find"].contains(&event.name.as_str());
        match too_deep
            || recursive && operators() > OPERATORS
            || event.args.iter().any(|arg| has_long_range(arg))
        {
            true => HookAction::Cancel(String::new()),
            false => HookAction::Continue(event),
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_ranges_are_found() {
        for (word, long) in [
            ("{1..10000}", false),
            ("{1..10001}", true),
            ("a{5..-9996}b", true),
            ("{1..20001..2}", true),
            ("{1..20000..2}", false),
            ("{1..9223372036854775807..0}", true),
            ("{a..z}", false),
            ("{1..20000", false),
        ] {
            assert_eq!(has_long_range(word), long, "{word}");
        }
    }

    #[test]
    fn rm_keeps_the_root() {
        let removes = |line: &str| removes_root(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        for line in ["-rf /", "-r //", "--recursive /.", "a -fR /"] {
            assert!(removes(line), "{line}");
        }
        for line in ["-f /", "-rf /tmp", "-rf --no-preserve-root /", "-rf ./", "--force /"] {
            assert!(!removes(line), "{line}");
        }
    }
}
