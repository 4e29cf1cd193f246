//! Lessons: Markdown with YAML front matter, or plain YAML, read into one structure.
//!
//! | file | owns |
//! |---|---|
//! | `topology.rs` | machines, NICs, switches and cables |
//! | `cluster.rs`, `flannel.rs` | a Kubernetes cluster on the machines |
//! | `markdown.rs` | front matter, `console` and `cable` fences |
//! | `cable.rs` | what hands do to cables |
//! | `yaml.rs` | `topology` + `steps` |
//! | `measure.rs` | commands that print what a sweep measures |
//! | `vary.rs` | the same topology with other values |
//! | `error.rs` | errors that underline the text |
//!
//! Lessons are not run here.

mod cable;
mod cluster;
mod error;
mod flannel;
mod markdown;
mod measure;
mod topology;
mod vary;
mod yaml;

use std::ops::Range;
use std::path::{Path, PathBuf};

pub use cable::{CableChange, Change, changed};
pub use error::LessonError;
pub use measure::Measure;
pub use topology::{Endpoint, Link, Nic, Node, Switch, Topology, profile};
pub use vary::{Places, Template};

/// Front matter.
#[derive(Clone, Debug, PartialEq)]
pub struct FrontMatter {
    /// Title.
    pub title: String,
    /// Machines and connections.
    pub topology: Topology,
    /// What a sweep measures, in the order of the names.
    pub measures: Vec<Measure>,
}

/// A parsed lesson.
#[derive(Clone, Debug, PartialEq)]
pub struct Lesson {
    /// Path; `-` is standard input.
    pub path: PathBuf,
    /// Text, for errors and `--bless`.
    pub source: String,
    /// Title and topology.
    pub front: FrontMatter,
    /// The `console` fences in order.
    pub blocks: Vec<Block>,
}

/// One `console` fence.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Line of its opening fence, from 1.
    pub line: usize,
    /// Its prompts in order.
    pub prompts: Vec<Prompt>,
}

/// A command and its expected output.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    /// The machine named before `# `.
    pub machine: String,
    /// The command, with newlines if it has several lines.
    pub command: String,
    /// The line of the prompt, from 1.
    pub line: usize,
    /// The lines below it, each with its newline; see `run` for `…`.
    pub expected: String,
    /// Range of the command in [`Lesson::source`], bytes.
    pub command_span: Range<usize>,
    /// Range of the expected lines in [`Lesson::source`], bytes; empty if there are none.
    pub expected_span: Range<usize>,
    /// What hands do to cables before.
    pub before: Vec<CableChange>,
}

impl Lesson {
    /// Reads a lesson: YAML if the name ends in `.yaml` or `.yml`, Markdown otherwise.
    ///
    /// # Errors
    ///
    /// Errors in the text.
    pub fn parse(path: &Path, source: String) -> Result<Lesson, LessonError> {
        let reader = error::Reader::new(path, &source);
        let (front, blocks) = match is_yaml(path) {
            true => yaml::parse(&reader)?,
            false => markdown::parse(&reader)?,
        };
        Ok(Lesson { path: path.to_path_buf(), source, front, blocks })
    }

    /// An error about a range of [`Lesson::source`], in bytes.
    pub fn error(&self, span: Range<usize>, message: &str, label: &str) -> LessonError {
        error::Reader::new(&self.path, &self.source).error(span, message, label)
    }

    /// All prompts in order.
    pub fn prompts(&self) -> impl Iterator<Item = &Prompt> {
        self.blocks.iter().flat_map(|block| &block.prompts)
    }
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml")
}

#[cfg(test)]
mod tests;
