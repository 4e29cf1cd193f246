//! `glassnet verify` and `glassnet record`: lessons on a real kernel.

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;

use glassnet_scenarios::compare::verify::{self, VerifyError};
use glassnet_scenarios::lesson::Lesson;

use super::referee::{On, Opened};
use super::{Lessons, Status, complain, read_lesson};

#[derive(clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    lessons: Lessons,
    #[command(flatten)]
    on: On,
}

const VERIFY_EXAMPLES: &str = "\
Examples:
  glassnet verify scenarios/lessons/bridge.md --on host
  glassnet verify scenarios/lessons/*.md --on host

Compared are exit statuses, printed output, the frames on each device, tables and counters after each block, and drops.
Differences that are known, each with its reason, stand in snapshots/divergences.md.";

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

`cargo test` holds the simulator against the recordings, without privileges.";

/// What the kernels differ in, and why that is kept.
pub(super) const DIVERGENCES: &str = include_str!("../../../../snapshots/divergences.md");

pub(super) fn verify(args: VerifyArgs) -> io::Result<Status> {
    let Some(lessons) = read_all(&args.lessons) else { return Ok(Status::CouldNot) };
    let real = match args.on.open() {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
        Err(error) => return Ok(could_not(&VerifyError::Real(error))),
    };
    match verify::verify(&lessons, DIVERGENCES, &*real, announce) {
        Ok(report) => {
            write!(io::stdout().lock(), "{report}")?;
            Ok(match report.exit_code() {
                0 => Status::Expected,
                3 => Status::Warned,
                _ => Status::Unexpected,
            })
        }
        Err(error) => Ok(could_not(&error)),
    }
}

pub(super) fn record(args: RecordArgs) -> io::Result<Status> {
    let Some(lessons) = read_all(&args.lessons) else { return Ok(Status::CouldNot) };
    let real = match args.on.open() {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
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
    let read: Vec<_> = lessons.files.iter().map(|path| read_lesson(path)).collect();
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
