//! `glassnet verify` and `glassnet record` on a kernel that tells which functions run.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::functions::{Report, compare, of_model};
use glassnet_scenarios::lesson::Lesson;

use super::referee::Watch;
use super::verify::Format;
use super::{Status, complain, could_not};
use crate::backends::Traced;

type Record = fn(&Lesson) -> Result<Traced, BackendError>;

/// The folder of such recordings among all.
const FOLDER: &str = "functions";

/// The file there with the functions of the table that the kernel can trace.
const AVAILABLE: &str = "available.txt";

pub(super) fn verify(lessons: &[Lesson], record: Record, format: Format) -> io::Result<Status> {
    let watch = Watch::start();
    let mut reports = Vec::new();
    for lesson in lessons {
        let real = match record(lesson) {
            Ok(traced) => traced.recording,
            Err(error) => return Ok(could_not(&error)),
        };
        let model = match of_model(lesson) {
            Ok(model) => model,
            Err(error) => return Ok(complain(&miette::Report::new(*error))),
        };
        reports.push(compare(&real, &model));
    }
    let mut out = io::stdout().lock();
    match format {
        Format::Text => reports.iter().try_for_each(|report| write!(out, "{report}"))?,
        Format::Json => writeln!(out, "{}", serde_json::to_string_pretty(&reports)?)?,
    }
    watch.tell("compared");
    let differs = |report: &Report| !report.differences.is_empty();
    Ok(if reports.iter().any(differs) { Status::Unexpected } else { Status::Expected })
}

pub(super) fn record(lessons: &[Lesson], record: Record, output: &Path) -> io::Result<Status> {
    let folder = output.join(FOLDER);
    fs::create_dir_all(&folder)?;
    for lesson in lessons {
        let Traced { recording, available } = match record(lesson) {
            Ok(traced) => traced,
            Err(error) => return Ok(could_not(&error)),
        };
        let path = folder.join(Path::new(&recording.lesson).with_extension("txt"));
        fs::write(&path, recording.to_string())?;
        let lines: String = available.iter().map(|name| format!("{name}\n")).collect();
        fs::write(folder.join(AVAILABLE), lines)?;
        writeln!(io::stdout().lock(), "wrote {}", path.display())?;
    }
    Ok(Status::Expected)
}
