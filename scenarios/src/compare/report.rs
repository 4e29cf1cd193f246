//! The report of a comparison.

use std::collections::BTreeSet;
use std::fmt;

use super::diff::{Comparison, Counts, Difference, Kind, compare};
use super::divergences::Divergences;
use crate::observation::Observation;

/// Result of a lesson.
#[derive(Debug)]
pub struct LessonReport {
    /// The lesson.
    pub lesson: String,
    /// Numbers of compared items.
    pub counts: Counts,
    /// Unknown differences.
    pub differences: Vec<Difference>,
    /// Number of differences listed in `divergences.md`.
    pub known: usize,
    /// Notices of the real side.
    pub notices: Vec<String>,
    /// Not compared, as one side does not see it.
    pub uncompared: BTreeSet<String>,
}

/// Result of all lessons.
#[derive(Debug, Default)]
pub struct Report {
    /// The real side, such as `linux 6.18.44 (host)`.
    pub against: String,
    /// Results by lesson.
    pub lessons: Vec<LessonReport>,
    /// Number of entries of `divergences.md` that were used.
    pub divergences_used: usize,
    /// Ids of unused entries.
    pub stale: Vec<String>,
}

impl LessonReport {
    /// Compares two runs of a lesson.
    pub fn of(real: &Observation, model: &Observation, known: &Divergences) -> Self {
        let Comparison { differences: found, counts, uncompared } = compare(real, model);
        let all = found.len();
        known.compared(real);
        let differences: Vec<_> = found.into_iter().filter(|d| known.find(real, d).is_none()).collect();
        let known = all - differences.len();
        let (lesson, notices) = (real.lesson.clone(), real.notices.clone());
        Self { lesson, counts, differences, known, notices, uncompared }
    }
}

impl Report {
    /// Records which divergences were used, after all lessons.
    pub fn close(&mut self, known: &Divergences) {
        self.divergences_used = known.used();
        self.stale = known.stale().into_iter().map(str::to_owned).collect();
    }

    /// Exit status: 0 no difference, 1 differences, 3 only notices.
    pub fn exit_code(&self) -> u8 {
        let differs = self.lessons.iter().any(|l| !l.differences.is_empty());
        let is_noted = |l: &LessonReport| !l.notices.is_empty() || !l.uncompared.is_empty();
        let warns = !self.stale.is_empty() || self.lessons.iter().any(is_noted);
        match (differs, warns) {
            (true, _) => 1,
            (false, true) => 3,
            (false, false) => 0,
        }
    }
}

/// Maximum number of lines shown of a side.
const SHOWN: usize = 12;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sum = Counts::default();
        let (mut different, mut known) = (0, 0);
        for lesson in &self.lessons {
            sum += lesson.counts;
            different += lesson.differences.len();
            known += lesson.known;
            write!(f, "{lesson}")?;
        }
        for id in &self.stale {
            writeln!(f, "warning: {id} in divergences.md matched nothing")?;
        }
        let Counts { prompts, frames, tables, drops, tracepoints } = sum;
        let count = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        let parts = [
            count(self.lessons.len(), "lesson"),
            count(prompts, "prompt"),
            count(frames, "frame"),
            count(tables, "table"),
            count(drops, "drop"),
            count(tracepoints, "tracepoint"),
        ];
        writeln!(f, "held against {}: {}", self.against, parts.join(", "))?;
        let used = count(self.divergences_used, "known divergence");
        match different {
            0 => writeln!(f, "no difference ({used}, {} times)", known),
            n => writeln!(f, "{} ({used}, {} times)", count(n, "difference"), known),
        }
    }
}

impl fmt::Display for LessonReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for notice in &self.notices {
            writeln!(f, "{}: notice: {notice}", self.lesson)?;
        }
        for what in &self.uncompared {
            writeln!(f, "{}: uncompared: {what}", self.lesson)?;
        }
        for difference in &self.differences {
            writeln!(f, "{}:{}  {}", self.lesson, difference.line, difference.prompt)?;
            writeln!(
                f,
                "  {}{}{}",
                difference.kind.name(),
                if difference.place.is_empty() { "" } else { " of " },
                difference.place
            )?;
            if difference.kind == Kind::Output {
                lines(f, difference)?;
            } else {
                side(f, "real", &difference.real)?;
                side(f, "model", &difference.model)?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

fn side(f: &mut fmt::Formatter<'_>, name: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        writeln!(f, "    {name:<6} (nothing)")?;
    }
    for line in lines.iter().take(SHOWN) {
        writeln!(f, "    {name:<6} {}", cut(line))?;
    }
    match lines.len().checked_sub(SHOWN + 1) {
        Some(more) => writeln!(f, "    {name:<6} … and {} more", more + 1),
        None => Ok(()),
    }
}

/// Truncates a long line.
fn cut(line: &str) -> String {
    const WIDTH: usize = 240;
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.to_owned(),
    }
}

/// Output as a diff, with the common lines around each difference.
fn lines(f: &mut fmt::Formatter<'_>, difference: &Difference) -> fmt::Result {
    let whole = |lines: &[String]| lines.iter().map(|line| format!("{line}\n")).collect::<String>();
    let (real, model) = (whole(&difference.real), whole(&difference.model));
    for change in similar::TextDiff::from_lines(&real, &model).iter_all_changes() {
        let name = match change.tag() {
            similar::ChangeTag::Delete => "real",
            similar::ChangeTag::Insert => "model",
            similar::ChangeTag::Equal => "",
        };
        writeln!(f, "    {name:<6} {}", change.value().trim_end_matches('\n'))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_tells_line_place_and_both_sides() {
        let difference = Difference {
            kind: Kind::Frames,
            line: 12,
            prompt: "node1# ping -c 1 10.0.0.2".into(),
            place: "node1 br0".into(),
            real: vec!["out ARP".into()],
            model: vec![],
        };
        let lesson = LessonReport {
            lesson: "bridge.md".into(),
            counts: Counts { prompts: 1, frames: 1, ..Counts::default() },
            differences: vec![difference],
            known: 0,
            notices: vec![],
            uncompared: BTreeSet::new(),
        };
        let report =
            Report { against: "linux 6.18 (host)".into(), lessons: vec![lesson], ..Report::default() };
        assert_eq!(report.exit_code(), 1);
        let expected = "\
bridge.md:12  node1# ping -c 1 10.0.0.2
  frames of node1 br0
    real   out ARP
    model  (nothing)

held against linux 6.18 (host): 1 lesson, 1 prompt, 1 frame, 0 tables, 0 drops, 0 tracepoints
1 difference (0 known divergences, 0 times)
";
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn what_was_not_compared_is_told_and_no_success() {
        let known = Divergences::default();
        let mut blind =
            Observation { lesson: "a.md".into(), kernel: "linux 6.1 (x)".into(), ..Default::default() };
        blind.sees.tracepoints = false;
        let lesson = LessonReport::of(&blind, &Observation::default(), &known);
        assert_eq!(
            lesson.to_string(),
            "a.md: uncompared: tracepoints and drop reasons: not seen by linux 6.1 (x)\n"
        );
        assert_eq!(Report { lessons: vec![lesson], ..Report::default() }.exit_code(), 3);
    }
}
