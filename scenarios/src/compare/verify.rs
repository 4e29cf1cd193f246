//! Comparison of lessons with a real kernel, or with a recording.

use std::path::{Path, PathBuf};

use super::divergences::BadDivergence;
use super::{Divergences, LessonReport, Report};
use crate::backend::{Backend, observe};
use crate::error::BackendError;
use crate::lesson::Lesson;
use crate::observation::{Fall, Observation};
use crate::plan::Plan;
use crate::simulator::Simulator;

/// Why lessons could not be compared.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The real side failed.
    #[error(transparent)]
    Real(BackendError),
    /// The model failed.
    #[error("in the simulator: {0}")]
    Model(BackendError),
    /// `divergences.md` is invalid.
    #[error("divergences.md: {0}")]
    Divergences(#[from] BadDivergence),
    /// A recording is invalid.
    #[error("{path}: {why}")]
    Recording {
        /// The file.
        path: PathBuf,
        /// The error.
        why: String,
    },
}

/// Runs each lesson on a real kernel and in the model, and compares.
///
/// `divergences` is the text of `snapshots/divergences.md`; `progress` is called with each lesson before it runs. A lesson
/// with differences runs up to `repeat` times: what does not differ each time is the kernel's own chance.
///
/// # Errors
///
/// If a side does not run, or the divergences cannot be read. Differences are in the report.
pub fn verify(
    lessons: &[Lesson],
    divergences: &str,
    real: &dyn Backend,
    repeat: u32,
    mut progress: impl FnMut(&Lesson),
) -> Result<Report, VerifyError> {
    let known = Divergences::parse(divergences)?;
    can_run(lessons, real)?;
    let mut report = Report { against: real.version(), ..Report::default() };
    for lesson in lessons {
        let mut once = || {
            progress(lesson);
            let real = observe(real, &Plan::from(lesson)).map_err(VerifyError::Real)?;
            compared(lesson, &real, &known)
        };
        let mut first = once()?;
        for _ in 1..repeat {
            if first.differences.is_empty() {
                break;
            }
            first.repeat(&once()?);
        }
        report.lessons.push(first);
    }
    report.close(&known);
    Ok(report)
}

/// Compares the model with recordings, each with its lesson.
///
/// # Errors
///
/// If the model does not run, or the divergences cannot be read.
pub fn replay(recordings: &[(Lesson, Observation)], divergences: &str) -> Result<Report, VerifyError> {
    let known = Divergences::parse(divergences)?;
    let mut report = Report::default();
    for (lesson, real) in recordings {
        report.against.clone_from(&real.kernel);
        report.lessons.push(compared(lesson, real, &known)?);
    }
    report.close(&known);
    Ok(report)
}

/// What is missing for any of the lessons is told before one runs.
fn can_run(lessons: &[Lesson], real: &dyn Backend) -> Result<(), VerifyError> {
    let programs = lessons.iter().flat_map(|lesson| Plan::from(lesson).programs()).collect();
    let missing = real.missing(&programs);
    if missing.is_empty() { Ok(()) } else { Err(VerifyError::Real(BackendError::Missing(missing))) }
}

/// Compares the model with a real kernel, with dice that fall as they did there: nobody can see them, but what followed. So packet
/// after packet gets those of all ways that its dice may fall with which the two agree for longest.
fn compared(lesson: &Lesson, real: &Observation, known: &Divergences) -> Result<LessonReport, VerifyError> {
    /// A lesson that throws more is compared as far as this many go.
    const TURNS: usize = 200;
    let plan = Plan::from(lesson);
    let with = |falls: Vec<usize>| -> Result<(LessonReport, Vec<Fall>), VerifyError> {
        let model =
            observe(&Simulator { falls, ..Simulator::of(real) }, &plan).map_err(VerifyError::Model)?;
        Ok((LessonReport::of(real, &model, known), model.falls))
    };
    let (mut best, mut falls) = with(Vec::new())?;
    let (mut at, mut turns, mut turned) = (0, 0, 0);
    while let Some(fall) = falls.get(at) {
        let differs = real.prompts.get(fall.prompt).is_some_and(|seen| best.differs_at(seen.line));
        let mut untried = if differs { turned_from(&falls, at, at) } else { Vec::new() };
        let mut is_better = false;
        while let Some(tried) = untried.pop().filter(|_| turns < TURNS) {
            turns += 1;
            let from = tried.len();
            let (report, fallen) = with(tried)?;
            // Turned, one may be followed by others, which fall either way, too.
            untried.extend(turned_from(&fallen, at, from));
            if report.differs_later_than(&best) {
                (best, falls, is_better) = (report, fallen, true);
            }
        }
        turned += usize::from(is_better);
        at += of_one_packet(&falls, at);
    }
    Ok(LessonReport { turned, ..best })
}

/// How many dice decided about the packet whose first one is at `first`, before others decided about another packet.
fn of_one_packet(falls: &[Fall], first: usize) -> usize {
    let packet = falls.get(first).map(|fall| fall.packet);
    falls.iter().skip(first).take_while(|fall| Some(fall.packet) == packet).count()
}

/// The falls up to each one of a packet from index `from` on, which is turned; its first one is at `first`.
fn turned_from(falls: &[Fall], first: usize, from: usize) -> Vec<Vec<usize>> {
    let outcomes = |falls: &[Fall]| falls.iter().map(|fall| fall.outcome).collect::<Vec<_>>();
    let turned = |at: usize| {
        let others = (0..falls[at].ways).filter(move |outcome| *outcome != falls[at].outcome);
        others.map(move |outcome| [outcomes(&falls[..at]), vec![outcome]].concat())
    };
    (from..first + of_one_packet(falls, first)).flat_map(turned).collect()
}

/// Runs a lesson on a real kernel and writes the recording, as `FOLDER/bridge.linux-6.18.json`; returns the path.
///
/// # Errors
///
/// If the kernel does not run it, or the file cannot be written.
pub fn record(lesson: &Lesson, folder: &Path, real: &dyn Backend) -> Result<PathBuf, VerifyError> {
    can_run(std::slice::from_ref(lesson), real)?;
    let seen = observe(real, &Plan::from(lesson)).map_err(VerifyError::Real)?;
    let path = recording_path(&seen, folder);
    let wrong = |e: std::io::Error| VerifyError::Recording { path: path.clone(), why: e.to_string() };
    // Renamed into place, so readers never see a partial file.
    let beside = path.with_extension("json.new");
    std::fs::write(&beside, seen.to_json()).and_then(|()| std::fs::rename(&beside, &path)).map_err(wrong)?;
    Ok(path)
}

/// `linux 6.18.44-x (host)` becomes `linux-6.18`.
fn recording_path(seen: &Observation, folder: &Path) -> PathBuf {
    let release = seen.kernel.split(' ').nth(1).unwrap_or("unknown");
    let version: Vec<_> = release.split(['.', '-']).take(2).collect();
    let lesson = Path::new(&seen.lesson).file_stem().unwrap_or_default().to_string_lossy();
    folder.join(format!("{lesson}.linux-{}.json", version.join(".")))
}

/// Reads a recording.
///
/// # Errors
///
/// [`VerifyError::Recording`] if it is not there or not one.
pub fn read_recording(path: &Path) -> Result<Observation, VerifyError> {
    let wrong = |why: String| VerifyError::Recording { path: path.to_owned(), why };
    let text = std::fs::read_to_string(path).map_err(|e| wrong(e.to_string()))?;
    Observation::from_json(&text).map_err(|e| wrong(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_is_named_after_its_lesson_and_kernel() {
        let seen = Observation {
            lesson: "bridge.md".into(),
            kernel: "linux 6.18.44 (host)".into(),
            ..Observation::default()
        };
        assert_eq!(recording_path(&seen, Path::new("r")), Path::new("r/bridge.linux-6.18.json"));
    }
}
