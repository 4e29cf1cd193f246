//! Differences that are understood and kept: `snapshots/divergences.md`.
//!
//! Each is a second-level heading with its id, a list of what it matches, and the reason in prose. A matcher is
//! a regular expression over one part of a difference; all that are given must match.

use std::cell::Cell;

use regex::Regex;

use super::diff::Difference;
use crate::observation::Observation;

/// A known divergence.
#[derive(Debug)]
pub struct Divergence {
    /// Its heading.
    pub id: String,
    /// Its prose.
    pub reason: String,
    matchers: Vec<(Part, Regex)>,
    /// A lesson that it names was compared on a kernel that it is about.
    due: Cell<bool>,
    used: Cell<usize>,
}

/// The part of a difference that is matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Kernel,
    Lesson,
    Kind,
    Prompt,
    Place,
    Real,
    Model,
}

/// The divergences of a file.
#[derive(Debug, Default)]
pub struct Divergences {
    entries: Vec<Divergence>,
}

/// A line of the file that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct BadDivergence {
    /// The line, from 1.
    pub line: usize,
    /// The error.
    pub why: String,
}

impl Divergences {
    /// Reads the Markdown text.
    ///
    /// # Errors
    ///
    /// A matcher that cannot be read, or an entry without a matcher or a reason (line 0).
    pub fn parse(text: &str) -> Result<Self, BadDivergence> {
        let mut entries: Vec<Divergence> = Vec::new();
        for (at, line) in text.lines().enumerate() {
            let bad = |why: String| BadDivergence { line: at + 1, why };
            if let Some(id) = line.strip_prefix("## ") {
                let (matchers, reason) = (Vec::new(), String::new());
                let (due, used) = (Cell::new(false), Cell::new(0));
                entries.push(Divergence { id: id.trim().into(), reason, matchers, due, used });
            } else if let Some(entry) = entries.last_mut() {
                match line.strip_prefix("- ") {
                    Some(item) => entry.matchers.push(matcher(item).map_err(bad)?),
                    None => entry.reason = format!("{} {}", entry.reason, line.trim()).trim().to_owned(),
                }
            }
        }
        let nothing = entries.iter().find(|e| e.matchers.is_empty() || e.reason.is_empty());
        match nothing {
            Some(e) => {
                Err(BadDivergence { line: 0, why: format!("{}: it needs matchers and a reason", e.id) })
            }
            None => Ok(Self { entries }),
        }
    }

    /// Notes that a lesson was compared: entries that name it should match something.
    pub fn compared(&self, real: &Observation) {
        let due = self.entries.iter().filter(|entry| entry.names_a_lesson() && entry.is_about(real));
        due.for_each(|entry| entry.due.set(true));
    }

    /// The entry for this difference; it is counted as used.
    pub fn find(&self, real: &Observation, difference: &Difference) -> Option<&Divergence> {
        let entry = self.entries.iter().find(|e| e.is_about(real) && e.matches(difference))?;
        entry.used.set(entry.used.get() + 1);
        Some(entry)
    }

    /// How many entries matched something.
    pub fn used(&self) -> usize {
        self.entries.iter().filter(|e| e.used.get() > 0).count()
    }

    /// Entries that should have matched something and did not.
    pub fn stale(&self) -> Vec<&str> {
        self.entries.iter().filter(|e| e.due.get() && e.used.get() == 0).map(|e| e.id.as_str()).collect()
    }
}

/// `` place: `regex` ``
fn matcher(item: &str) -> Result<(Part, Regex), String> {
    let (part, pattern) = item.split_once(':').ok_or("a matcher reads `part: `regex``")?;
    let part = match part.trim() {
        "kernel" => Part::Kernel,
        "lesson" => Part::Lesson,
        "kind" => Part::Kind,
        "prompt" => Part::Prompt,
        "place" => Part::Place,
        "real" => Part::Real,
        "model" => Part::Model,
        other => return Err(format!("{other} is not kernel, lesson, kind, prompt, place, real or model")),
    };
    let pattern = pattern.trim().trim_matches('`');
    Regex::new(pattern).map(|regex| (part, regex)).map_err(|e| e.to_string())
}

impl Divergence {
    fn names_a_lesson(&self) -> bool {
        self.matchers.iter().any(|(part, _)| *part == Part::Lesson)
    }

    fn is_about(&self, real: &Observation) -> bool {
        self.matchers.iter().all(|(part, regex)| match part {
            Part::Kernel => regex.is_match(&real.kernel),
            Part::Lesson => regex.is_match(&real.lesson),
            _ => true,
        })
    }

    /// `real` and `model` must match every line of their side, and a side without lines reads `(nothing)`.
    fn matches(&self, difference: &Difference) -> bool {
        let every = |regex: &Regex, lines: &[String]| match lines {
            [] => regex.is_match("(nothing)"),
            lines => lines.iter().all(|line| regex.is_match(line)),
        };
        self.matchers.iter().all(|(part, regex)| match part {
            Part::Kernel | Part::Lesson => true,
            Part::Kind => regex.is_match(difference.kind.name()),
            Part::Prompt => regex.is_match(&difference.prompt),
            Part::Place => regex.is_match(&difference.place),
            Part::Real => every(regex, &difference.real),
            Part::Model => every(regex, &difference.model),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::diff::Kind;

    const FILE: &str = "# Title\n\nProse.\n\n## a-b\n\n- kind: `^table$`\n- place: `snmp`\n- real: `^Icmp`\n\nThe reason\ngoes on.\n";

    fn difference(place: &str, real: &[&str]) -> Difference {
        let real = real.iter().map(|l| (*l).to_owned()).collect();
        let (prompt, place) = (String::new(), place.to_owned());
        Difference { kind: Kind::Table, line: 1, prompt, place, real, model: vec![], after: None }
    }

    fn seen(lesson: &str, kernel: &str) -> Observation {
        Observation { lesson: lesson.into(), kernel: kernel.into(), ..Observation::default() }
    }

    #[test]
    fn an_entry_matches_only_where_all_its_parts_do() {
        let known = Divergences::parse(FILE).unwrap();
        let real = seen("x.md", "linux 6.18.1 (host)");
        assert_eq!(known.entries[0].reason, "The reason goes on.");
        assert!(known.find(&real, &difference("node1: /proc/net/snmp", &["Icmp: 1"])).is_some());
        assert!(known.find(&real, &difference("node1: /proc/net/snmp", &["Icmp: 1", "Ip: 2"])).is_none());
        assert!(known.find(&real, &difference("node1: ip addr", &["Icmp: 1"])).is_none());
        assert_eq!(known.used(), 1);
    }

    #[test]
    fn an_entry_is_stale_if_what_it_names_was_compared() {
        let known =
            Divergences::parse("## a\n\n- kernel: `6\\.18`\n- lesson: `^x`\n- kind: `^table$`\n\nWhy.\n")
                .unwrap();
        known.compared(&seen("y.md", "linux 6.18.1 (host)"));
        known.compared(&seen("x.md", "linux 6.1.192 (uml)"));
        assert!(known.stale().is_empty());
        assert!(known.find(&seen("x.md", "linux 6.1.192 (uml)"), &difference("a", &["b"])).is_none());
        known.compared(&seen("x.md", "linux 6.18.1 (host)"));
        assert_eq!(known.stale(), ["a"]);
        assert!(known.find(&seen("x.md", "linux 6.18.1 (host)"), &difference("a", &["b"])).is_some());
        assert!(known.stale().is_empty());
    }

    #[test]
    fn bad_entries_are_told_with_their_line() {
        let bad = |text: &str| Divergences::parse(text).unwrap_err();
        assert_eq!(bad("## x\n- where: `a`\n").line, 2);
        assert_eq!(bad("## x\n- kind: `(`\n").line, 2);
        assert!(bad("## x\n").why.contains("needs matchers"));
    }
}
