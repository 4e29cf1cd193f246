//! The report of a comparison.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::causes::{Cause, causes};
use super::diff::{Comparison, Counts, Difference, Kind, compare};
use super::divergences::Divergences;
use crate::observation::Observation;

/// Result of a lesson.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LessonReport {
    /// The lesson.
    pub lesson: String,
    /// Numbers of compared items.
    pub counts: Counts,
    /// Unknown differences.
    pub differences: Vec<Difference>,
    /// What the real kernel itself did not do again.
    pub unrepeated: Vec<Difference>,
    /// What another kernel, of the model's version, does as the model.
    pub versions: Vec<Difference>,
    /// Number of differences listed in `divergences.md`.
    pub known: usize,
    /// How many dice fell as the real kernel's did, because what followed was tried.
    pub turned: usize,
    /// Notices of the real side.
    pub notices: Vec<String>,
    /// Not compared, as one side does not see it.
    pub uncompared: BTreeSet<String>,
}

/// A line without differences: no frame is the first that differs, and nothing differs.
const AGREES: (Option<Reverse<usize>>, usize) = (None, 0);

/// Result of all lessons.
#[derive(Debug, Default, Serialize, Deserialize)]
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
        Self { lesson, counts, differences, known, notices, uncompared, ..Self::default() }
    }

    /// Something differs at this line.
    pub fn differs_at(&self, line: usize) -> bool {
        self.differences.iter().any(|difference| difference.line == line)
    }

    /// At the first line at which the two do not differ from the real kernel alike, the frames of this one agree for longer, or else it
    /// differs less. Journeys do not count: those of a whole block stand at its first line.
    pub fn differs_later_than(&self, other: &Self) -> bool {
        let weigh = |report: &Self| {
            let mut lines = BTreeMap::new();
            for difference in report.differences.iter().filter(|found| found.kind != Kind::Journey) {
                let (after, size) = lines.entry(difference.line).or_insert(AGREES);
                *after = (*after).max(difference.after.map(Reverse));
                *size += difference.real.len() + difference.model.len();
            }
            lines
        };
        let (own, others) = (weigh(self), weigh(other));
        let weights = |line: &usize| [&own, &others].map(|lines| lines.get(line).copied().unwrap_or(AGREES));
        let lines: BTreeSet<_> = own.keys().chain(others.keys()).collect();
        lines.into_iter().map(weights).find(|[a, b]| a != b).is_some_and(|[a, b]| a < b)
    }

    /// Sets apart what is not different in another run of the same kernel.
    pub fn repeat(&mut self, again: &Self) {
        self.unrepeated.extend(again.lacking(&mut self.differences));
    }

    /// Sets apart what is not different on another kernel.
    pub fn on_other_version(&mut self, other: &Self) {
        self.versions.extend(other.lacking(&mut self.differences));
    }

    /// Takes out those that are not here.
    fn lacking(&self, differences: &mut Vec<Difference>) -> Vec<Difference> {
        let key = |d: &Difference| (d.kind, d.line, d.place.clone());
        let here: BTreeSet<_> = self.differences.iter().map(key).collect();
        let (kept, taken) = std::mem::take(differences).into_iter().partition(|d| here.contains(&key(d)));
        *differences = kept;
        taken
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
        let (mut different, mut unrepeated, mut versions, mut known, mut turned) = (0, 0, 0, 0, 0);
        for lesson in &self.lessons {
            let told = causes(lesson.differences.clone());
            sum += lesson.counts;
            different += told.len();
            unrepeated += lesson.unrepeated.len();
            versions += lesson.versions.len();
            known += lesson.known;
            turned += lesson.turned;
            lesson.write(&told, f)?;
        }
        for id in &self.stale {
            writeln!(f, "warning: {id} in divergences.md matched nothing")?;
        }
        let Counts { prompts, frames, tables, drops, tracepoints, log_lines } = sum;
        let parts = [
            count(self.lessons.len(), "lesson"),
            count(prompts, "prompt"),
            count(frames, "frame"),
            count(tables, "table"),
            count(drops, "drop"),
            count(tracepoints, "tracepoint"),
            count(log_lines, "log line"),
        ];
        writeln!(f, "held against {}: {}", self.against, parts.join(", "))?;
        let used = count(self.divergences_used, "known divergence");
        match different {
            0 => writeln!(f, "no difference ({used}, {known} times)")?,
            n => writeln!(f, "{} ({used}, {known} times)", count(n, "difference"))?,
        }
        if turned > 0 {
            writeln!(f, "as the kernel's: how dice fell for {}", count(turned, "packet"))?;
        }
        if unrepeated > 0 {
            writeln!(
                f,
                "not counted: {} that this kernel does not repeat itself",
                count(unrepeated, "difference")
            )?;
        }
        if versions > 0 {
            writeln!(
                f,
                "not counted: {} of versions: Linux 6.1 does as the model",
                count(versions, "difference")
            )?;
        }
        Ok(())
    }
}

/// `1 frame`, `2 frames`
fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

impl LessonReport {
    fn write(&self, told: &[Cause], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for notice in &self.notices {
            writeln!(f, "{}: notice: {notice}", self.lesson)?;
        }
        for what in &self.uncompared {
            writeln!(f, "{}: uncompared: {what}", self.lesson)?;
        }
        for (why, differences) in
            [("not repeated by this kernel", &self.unrepeated), ("of versions", &self.versions)]
        {
            for Difference { kind, line, place, .. } in differences {
                let of = if place.is_empty() { "" } else { " of " };
                writeln!(f, "{}:{line}: {why}: {}{of}{place}", self.lesson, kind.name())?;
            }
        }
        for Cause { first, again } in told {
            writeln!(f, "{}:{}  {}", self.lesson, first.line, first.prompt)?;
            let of = if first.place.is_empty() { "" } else { " of " };
            writeln!(f, "  {}{of}{}", first.kind.name(), first.place)?;
            if first.kind == Kind::Output {
                lines(f, first)?;
            } else {
                side(f, "real", &first.real)?;
                side(f, "model", &first.model)?;
            }
            let places: Vec<_> = again.iter().map(|(line, place)| format!("{place} (line {line})")).collect();
            if !places.is_empty() {
                writeln!(f, "    also   {}", cut(&places.join(", ")))?;
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
            after: None,
        };
        let lesson = LessonReport {
            lesson: "bridge.md".into(),
            counts: Counts { prompts: 1, frames: 1, ..Counts::default() },
            differences: vec![difference],
            ..LessonReport::default()
        };
        let report =
            Report { against: "linux 6.18 (host)".into(), lessons: vec![lesson], ..Report::default() };
        assert_eq!(report.exit_code(), 1);
        let expected = "\
bridge.md:12  node1# ping -c 1 10.0.0.2
  frames of node1 br0
    real   out ARP
    model  (nothing)

held against linux 6.18 (host): 1 lesson, 1 prompt, 1 frame, 0 tables, 0 drops, 0 tracepoints, 0 log lines
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
        let report = Report { lessons: vec![lesson], ..Report::default() };
        let expected = "a.md: uncompared: tracepoints and drop reasons: not seen by linux 6.1 (x)\n";
        assert!(report.to_string().starts_with(expected), "{report}");
        assert_eq!(report.exit_code(), 3);
    }

    #[test]
    fn what_is_not_the_models_fault_is_set_apart() {
        let difference = |line| Difference {
            kind: Kind::Output,
            line,
            prompt: "a# x".into(),
            place: String::new(),
            real: vec!["1".into()],
            model: vec!["2".into()],
            after: None,
        };
        let with = |lines: &[usize]| LessonReport {
            lesson: "a.md".into(),
            differences: lines.iter().map(|line| difference(*line)).collect(),
            ..LessonReport::default()
        };
        let mut lesson = with(&[1, 2, 3]);
        lesson.repeat(&with(&[2, 3, 4]));
        lesson.on_other_version(&with(&[3]));
        assert_eq!(lesson.differences.iter().map(|d| d.line).collect::<Vec<_>>(), [3]);
        let report = Report { lessons: vec![lesson], ..Report::default() }.to_string();
        assert!(
            report.starts_with("a.md:1: not repeated by this kernel: output\na.md:2: of versions: output\n")
        );
        assert!(report.contains("\n1 difference ("), "{report}");
    }
}
