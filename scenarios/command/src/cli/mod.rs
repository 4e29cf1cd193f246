//! The command line of `glassnet`.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the subcommands, exit statuses, reading lessons |
//! | `run.rs` | `glassnet run` |
//! | `shell.rs` | `glassnet shell` |
//! | `walk.rs`, `trace.rs`, `pcap.rs`, `timeline.rs` | `glassnet walk`, `glassnet trace`, `glassnet pcap`, `glassnet timeline` |
//! | `reach/` | `glassnet reach`: the command, and its picture |
//! | `commands.rs` | `glassnet commands` |
//! | `verify.rs` | `glassnet verify`, `glassnet record` |
//! | `functions.rs` | both, on a kernel that tells which functions run |
//! | `referee.rs` | `--on`, `glassnet referee` |
//! | `chart.rs` | `glassnet chart` |
//! | `sweep/` | `glassnet sweep`, `glassnet merge` |
//! | `calibrate.rs` | `glassnet calibrate` |
//! | `fuzz/` | `glassnet fuzz` |
//! | `style.rs` | colours |

mod calibrate;
mod chart;
mod commands;
mod functions;
mod fuzz;
mod pcap;
mod reach;
mod referee;
mod run;
mod shell;
mod style;
mod sweep;
mod timeline;
mod trace;
mod verify;
mod walk;

use std::fmt::Display;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::shell::on_deep_stack;
use glassnet_scenarios::view::{self, Observed};
use indicatif::{ProgressBar, ProgressStyle};
use miette::Report;

/// A Linux container network that you can see through.
#[derive(Parser)]
#[command(name = "glassnet", version, arg_required_else_help = true, after_help = HELP)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

const HELP: &str = "\
Exit status: 0 as expected, 1 not as expected, 2 could not run, 3 as expected with warnings.
Colours are off when the output is no terminal, or with NO_COLOR set.";

#[derive(Subcommand)]
enum Command {
    /// Run lessons and check what they print
    Run(run::Args),
    /// Type commands on the simulated machines
    Shell(shell::Args),
    /// Print what each packet met on its way
    Walk(walk::Args),
    /// Send one packet into a prepared lesson, and tell its way
    Trace(trace::Args),
    /// Ask every pair of pods, nodes and machines with a packet, after a lesson has run
    Reach(reach::Args),
    /// Write what each device saw as pcapng files
    Pcap(pcap::Args),
    /// Write what CPUs and queues did over time as a trace for Perfetto
    Timeline(timeline::Args),
    /// Print what the agents of a Kubernetes cluster ran on their nodes, as a shell script
    Commands(commands::Args),
    /// Run lessons on the simulator and on a real kernel, and show the differences
    Verify(verify::VerifyArgs),
    /// Keep what a real kernel does, for tests without privileges
    Record(verify::RecordArgs),
    /// Build the kernel that the simulator is held against without privileges
    Referee(referee::Args),
    /// Draw what a lesson measured as an SVG chart
    Chart(chart::Args),
    /// Run a lesson at every point of a grid of values, and tabulate what it measures
    Sweep(sweep::Args),
    /// Put the partitions of a sweep together
    Merge(sweep::MergeArgs),
    /// Measure what the kernel's work costs on this machine, and write a profile
    Calibrate(calibrate::Args),
    /// Hold random iptables rules and packets, or random networks, against a real kernel
    Fuzz(fuzz::Args),
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    /// All was as expected.
    Expected,
    /// Something was not.
    Unexpected,
    /// Something could not be run.
    CouldNot,
    /// All was as expected, but there is something to look at.
    Warned,
    /// A status from elsewhere: of the last command typed in `shell`, or of this command on another kernel.
    Other(u8),
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(match status {
            Status::Expected => 0,
            Status::Unexpected => 1,
            Status::CouldNot => 2,
            Status::Warned => 3,
            Status::Other(status) => status,
        })
    }
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args = Args::parse();
    let ended = on_deep_stack(|| command(args.command)).flatten();
    // What is buffered may not find room any more.
    match ended.and_then(|status| io::stdout().flush().map(|()| status)) {
        Ok(status) => status.into(),
        // The reader of our output went away: nobody is left to tell.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => could_not(error).into(),
    }
}

fn command(command: Command) -> io::Result<Status> {
    match command {
        Command::Run(args) => run::main(args),
        Command::Shell(args) => shell::main(args),
        Command::Walk(args) => walk::main(args),
        Command::Trace(args) => trace::main(args),
        Command::Reach(args) => reach::main(args),
        Command::Pcap(args) => pcap::main(args),
        Command::Timeline(args) => timeline::main(args),
        Command::Commands(args) => commands::main(args),
        Command::Verify(args) => verify::verify(args),
        Command::Record(args) => verify::record(args),
        Command::Referee(args) => referee::main(args),
        Command::Chart(args) => chart::main(args),
        Command::Sweep(args) => sweep::main(args),
        Command::Merge(args) => sweep::merge(args),
        Command::Calibrate(args) => calibrate::main(args),
        Command::Fuzz(args) => fuzz::main(args),
    }
}

/// Reads a lesson from a file, or from standard input for `-`; an error says where in the text.
fn read_lesson(path: &Path) -> Result<Lesson, Report> {
    let mut source = String::new();
    let read = match path == Path::new("-") {
        true => io::stdin().read_to_string(&mut source).map(|_| ()),
        false => std::fs::read(path).and_then(|bytes| {
            source = String::from_utf8(bytes).map_err(|_| io::Error::other("the file is not UTF-8 text"))?;
            Ok(())
        }),
    };
    read.map_err(|error| miette::miette!("{}: {error}", path.display()))?;
    Ok(Lesson::parse(path, source)?)
}

/// Runs a lesson with everything observed, and shows it; an error says where in the text.
fn with_observed(
    path: &Path,
    seed: u64,
    show: impl FnOnce(&Observed) -> io::Result<Status>,
) -> io::Result<Status> {
    let lesson = match read_lesson(path) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let bar = progress(lesson.prompts().count());
    let observed = view::observe(&lesson, seed, |_| bar.inc(1));
    bar.finish_and_clear();
    match observed {
        Ok(observed) => show(&observed),
        Err(error) => Ok(complain(&Report::new(*error))),
    }
}

/// Prints an error as miette draws it.
fn complain(report: &Report) -> Status {
    complain_plainly(format_args!("{report:?}"));
    Status::CouldNot
}

/// Prints an error in one line.
fn could_not(error: impl Display) -> Status {
    complain_plainly(format_args!("glassnet: {error}"));
    Status::CouldNot
}

/// Prints to standard error. If that is not possible, the exit status has to do.
fn complain_plainly(text: impl Display) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// Lessons named on a command line.
#[derive(clap::Args)]
struct Lessons {
    /// Lessons: Markdown, or YAML with `topology` and `steps`; `-` reads standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// A bar on a terminal, nothing elsewhere.
fn progress(steps: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} {wide_msg}");
    ProgressBar::new(steps as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
