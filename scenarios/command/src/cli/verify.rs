//! `glassnet verify` and `glassnet record`: lessons on a real kernel.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use glassnet_scenarios::compare::Report;
use glassnet_scenarios::compare::verify::{self, VerifyError};
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::replay::replayed;

use super::functions;
use super::referee::{On, Opened, Watch, on_models_version};
use super::{Lessons, Status, complain, read_lesson};

#[derive(clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    lessons: Lessons,
    #[command(flatten)]
    on: On,
    /// How often a lesson with differences runs: what the kernel itself does not repeat is not counted
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=100))]
    repeat: u32,
    /// How differences are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum Format {
    /// One cause once, for people
    Text,
    /// Each difference, as JSON
    Json,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  glassnet verify scenarios/lessons/bridge.md --on host
  glassnet verify scenarios/lessons/*.md --on host
  glassnet verify scenarios/hardware/functions-*.md --on qemu

Compared are exit statuses, printed output, the frames on each device, tables and counters after each block, and drops.
With `--on qemu`, which functions of the kernel run, in which order and within which others, and nothing else.
Differences that are known, each with its reason, stand in snapshots/divergences.md. On a kernel of another version than
the model's (6.1), a lesson that differs is also run on User Mode Linux, if that was built, to tell versions from faults.";

#[derive(clap::Args)]
#[command(after_help = RECORD_EXAMPLES)]
pub(super) struct RecordArgs {
    #[command(flatten)]
    lessons: Lessons,
    #[command(flatten)]
    on: On,
    /// Where the recordings go
    #[arg(short, long, value_name = "DIR", default_value = "snapshots/recordings")]
    output: PathBuf,
}

const RECORD_EXAMPLES: &str = "\
Examples:
  glassnet record scenarios/lessons/bridge.md
  glassnet record scenarios/lessons/*.md -o snapshots/recordings
  glassnet record scenarios/hardware/functions-*.md --on qemu

`cargo test` holds the simulator against the recordings, without privileges.";

/// What the kernels differ in, and why that is kept.
pub(super) const DIVERGENCES: &str = include_str!("../../../../snapshots/divergences.md");

pub(super) fn verify(args: VerifyArgs) -> io::Result<Status> {
    let Some(lessons) = read_all(&args.lessons) else { return Ok(Status::CouldNot) };
    let real = match args.on.open() {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
        Ok(Opened::Traced(record)) => return functions::verify(&lessons, record, args.format),
        Err(error) => return Ok(could_not(&VerifyError::Real(error))),
    };
    let watch = Watch::start();
    let mut report = match verify::verify(&lessons, DIVERGENCES, &*real, args.repeat, announce) {
        Ok(report) => report,
        Err(error) => return Ok(could_not(&error)),
    };
    if !report.against.contains(MODELS_VERSION) {
        ask_models_version(&args.lessons.files, &mut report);
    }
    let mut out = io::stdout().lock();
    match args.format {
        Format::Text => write!(out, "{report}")?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&report)?)?,
    }
    // In a kernel in virtual time, a clock does not tell how long it took: who booted it does.
    if !report.against.contains("(uml)") {
        watch.tell("compared");
    }
    Ok(match report.exit_code() {
        0 => Status::Expected,
        3 => Status::Warned,
        _ => Status::Unexpected,
    })
}

/// What the model is one of.
const MODELS_VERSION: &str = "linux 6.1.";

/// Runs the lessons that differ on a kernel of the model's version: what does not differ there is a difference of versions.
fn ask_models_version(files: &[PathBuf], report: &mut Report) {
    let differs = |at: &usize| report.lessons.get(*at).is_some_and(|lesson| !lesson.differences.is_empty());
    let which: Vec<_> = (0..files.len()).filter(differs).collect();
    if which.is_empty() {
        return;
    }
    let options = ["verify", "--on", "host", "--repeat", "1", "--format", "json"].map(OsString::from);
    let arguments = options.into_iter().chain(which.iter().map(|at| files[*at].clone().into())).collect();
    let said = match on_models_version(arguments) {
        Some(Ok(ran)) => serde_json::from_slice::<Report>(&ran.output)
            .map_err(|_| String::from_utf8_lossy(&ran.errors).trim().to_owned()),
        Some(Err(error)) => Err(error.to_string()),
        None => Err("`glassnet referee build` would tell".to_owned()),
    };
    match said {
        Ok(other) => {
            for (at, lesson) in which.into_iter().zip(&other.lessons) {
                report.lessons[at].on_other_version(lesson);
            }
        }
        Err(why) => eprintln!("glassnet: not known whether Linux 6.1 differs too: {why}"),
    }
}

pub(super) fn record(args: RecordArgs) -> io::Result<Status> {
    let Some(lessons) = read_all(&args.lessons) else { return Ok(Status::CouldNot) };
    let real = match args.on.open() {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
        Ok(Opened::Traced(record)) => return functions::record(&lessons, record, &args.output),
        Err(error) => return Ok(could_not(&VerifyError::Real(error))),
    };
    std::fs::create_dir_all(&args.output)?;
    for lesson in &lessons {
        announce(lesson);
        match verify::record(lesson, &args.output, &*real) {
            Ok(path) => writeln!(io::stdout().lock(), "wrote {}", path.display())?,
            Err(error) => return Ok(could_not(&error)),
        }
    }
    Ok(Status::Expected)
}

fn could_not(error: &VerifyError) -> Status {
    eprintln!("glassnet: {error}");
    Status::CouldNot
}

/// All lessons, or none after the errors were printed.
fn read_all(lessons: &Lessons) -> Option<Vec<Lesson>> {
    let plain = |lesson: Lesson| replayed(&lesson).map_err(miette::Report::new);
    let read: Vec<_> = lessons.files.iter().map(|path| read_lesson(path).and_then(plain)).collect();
    for report in read.iter().filter_map(|lesson| lesson.as_ref().err()) {
        complain(report);
    }
    read.into_iter().collect::<Result<_, _>>().ok()
}

/// A lesson takes as long as it takes on the real kernel, so a terminal hears which one runs.
fn announce(lesson: &Lesson) {
    if io::stderr().is_terminal() {
        eprintln!("{}: on the real kernel …", lesson.path.display());
    }
}
