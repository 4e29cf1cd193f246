//! Measures: commands whose output is a number, which a sweep runs after the prompts of a lesson.

use std::collections::BTreeMap;

use serde_saphyr::Spanned;

use super::topology::{Checker, Topology};
use super::{LessonError, markdown};

/// A command that prints a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Measure {
    /// Name of the number: a letter, and then letters, digits, `-` and `_`.
    pub name: String,
    /// Machine that it is run on.
    pub machine: String,
    /// The command.
    pub command: String,
}

impl Measure {
    /// Reads `MACHINE: COMMAND`.
    ///
    /// # Errors
    ///
    /// The name is none, there is no such machine or no command.
    pub fn parse(name: &str, text: &str, topology: &Topology) -> Result<Measure, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
        if !name.starts_with(|c: char| c.is_ascii_alphabetic()) || !name.chars().all(plain) {
            let rule = "a letter, and then letters, digits, `-` and `_`";
            return Err(format!("{name:?} cannot be the name of a measure: {rule}"));
        }
        let Some((machine, command)) = text.split_once(':').filter(|(name, _)| markdown::is_machine(name))
        else {
            return Err(format!("the measure `{name}` names no machine: write it as MACHINE: COMMAND"));
        };
        if !topology.nodes.contains_key(machine) {
            let known: Vec<&str> = topology.nodes.keys().map(String::as_str).collect();
            return Err(format!("there is no machine `{machine}`: the topology has {}", known.join(", ")));
        }
        let (machine, command) = (machine.to_owned(), command.trim().to_owned());
        if command.is_empty() {
            return Err(format!("the measure `{name}` has no command"));
        }
        Ok(Measure { name: name.to_owned(), machine, command })
    }
}

impl Checker<'_> {
    /// Measures of a front matter, by their names.
    pub(super) fn measures(
        &self,
        raw: BTreeMap<String, Spanned<String>>,
        topology: &Topology,
    ) -> Result<Vec<Measure>, LessonError> {
        let parse = |(name, text): (String, Spanned<String>)| {
            let wrong = |why| self.reader.error(self.span(&text), why, "not a measure");
            Measure::parse(&name, &text.value, topology).map_err(wrong)
        };
        raw.into_iter().map(parse).collect()
    }
}
