//! Sweeps: a lesson at every point of a grid of values, and what it measures there.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | [`Sweep`]: what is varied and measured, and a point's run |
//! | `values.rs` | lists and ranges of values |
//! | `grid.rs` | the points, and partitions of them |
//! | `record.rs` | JSON lines of points, and merging them |
//!
//! A point is a world of its own, so points may run in any order and at the same time.

mod grid;
mod record;
mod values;

use std::collections::BTreeMap;

use serde_json::Number;

pub use grid::{Grid, Partition};
pub use record::{Head, Record, Rows, merge};

use crate::lesson::{Lesson, Measure, Places, Template};
use crate::run::{Run, RunError};
use crate::shell;

/// Points that a sweep may have unless more are allowed.
pub const MAX_POINTS: u64 = 10_000;
/// How much of an output an error shows, characters.
const SHOWN: usize = 200;

/// A lesson with what is varied and measured.
#[derive(Debug)]
pub struct Sweep<'a> {
    lesson: &'a Lesson,
    template: Template,
    axes: Vec<Axis>,
    measures: Vec<Measure>,
    head: Head,
}

/// What an axis varies.
#[derive(Debug)]
enum Axis {
    /// A value of the topology.
    Topology(Places),
    /// A variable of the shells.
    Variable,
    /// Where chance comes from.
    Seed,
}

/// How a sweep is described, as a user writes it.
#[derive(Clone, Debug, Default)]
pub struct Description {
    /// `PATH=VALUES` or `VARIABLE=VALUES`, the slowest first.
    pub set: Vec<String>,
    /// `NAME=MACHINE: COMMAND`, beside those of the lesson.
    pub measures: Vec<String>,
    /// Where chance comes from, unless it is varied.
    pub seed: u64,
    /// Points at most.
    pub max_points: u64,
}

impl<'a> Sweep<'a> {
    /// Checks a description. Each value is tried in the topology, with the first values of the other axes.
    ///
    /// # Errors
    ///
    /// What is wrong with it, with the word in question.
    pub fn new(lesson: &'a Lesson, described: &Description) -> Result<Sweep<'a>, String> {
        let template = Template::of(lesson).map_err(|error| error.to_string())?;
        let mut measures = lesson.front.measures.clone();
        for text in &described.measures {
            let (name, command) =
                text.split_once('=').ok_or(format!("--measure {text}: write it as NAME=MACHINE: COMMAND"))?;
            let measure = Measure::parse(name.trim(), command.trim(), &lesson.front.topology);
            measures.push(measure.map_err(|why| format!("--measure {text}: {why}"))?);
        }
        let mut grid = Grid::default();
        let mut axes = Vec::new();
        for text in &described.set {
            let wrong = |why: String| format!("--set {text}: {why}");
            let (name, values) =
                text.split_once('=').ok_or_else(|| wrong("write it as NAME=VALUES".to_owned()))?;
            axes.push(Axis::find(name.trim(), lesson, &measures).map_err(wrong)?);
            grid.axes.push((name.trim().to_owned(), values::parse(values).map_err(wrong)?));
        }
        check_names(&grid, &measures)?;
        let (points, most) = (grid.points(), described.max_points);
        if points > most {
            let count = if points == u64::MAX { "more than 10^19".to_owned() } else { points.to_string() };
            return Err(format!("the sweep has {count} points, and --max-points allows {most}"));
        }
        let head = Head {
            glassnet: env!("CARGO_PKG_VERSION").to_owned(),
            lesson: lesson.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            text: format!("{:016x}", fnv1a(lesson.source.as_bytes())),
            seed: described.seed,
            set: grid,
            measures: measures
                .iter()
                .map(|measure| (measure.name.clone(), format!("{}: {}", measure.machine, measure.command)))
                .collect(),
        };
        let sweep = Sweep { lesson, template, axes, measures, head };
        sweep.try_values()?;
        Ok(sweep)
    }

    /// Of which sweep its numbers are.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Tries each value of each axis, with the first values of the others.
    fn try_values(&self) -> Result<(), String> {
        let first = self.head.set.point(0);
        for (at, (axis, (name, values))) in self.axes.iter().zip(&self.head.set.axes).enumerate() {
            for value in values {
                let mut point = first.clone();
                point[at] = value;
                match axis {
                    Axis::Topology(_) => self.topology(&point).map(|_| ()),
                    Axis::Seed => seed(value).map(|_| ()),
                    Axis::Variable => Ok(()),
                }
                .map_err(|why| format!("--set {name}={value}: {why}"))?;
            }
        }
        Ok(())
    }

    fn topology(&self, point: &[&str]) -> Result<crate::lesson::Topology, String> {
        let varied = self.axes.iter().zip(point).filter_map(|(axis, value)| match axis {
            Axis::Topology(places) => Some((places, *value)),
            _ => None,
        });
        self.template.with(varied).map_err(|error| error.to_string())
    }

    /// Runs the lesson at a point, and returns what it measures there, in the order of [`Head::measures`].
    ///
    /// # Errors
    ///
    /// The topology does not take these values together, a prompt did not end, or a measure printed no number; with the point's
    /// values.
    pub fn run(&self, point: u64) -> Result<Vec<Number>, String> {
        let wrong = |why: String| format!("point {point} ({}): {why}", self.head.set.words(point));
        self.measured(&self.head.set.point(point)).map_err(wrong)
    }

    fn measured(&self, point: &[&str]) -> Result<Vec<Number>, String> {
        let topology = self.topology(point)?;
        let (mut env, mut chance) = (BTreeMap::new(), self.head.seed);
        for ((axis, value), (name, _)) in self.axes.iter().zip(point).zip(&self.head.set.axes) {
            match axis {
                Axis::Variable => _ = env.insert(name.clone(), (*value).to_owned()),
                Axis::Seed => chance = seed(value)?,
                Axis::Topology(_) => {}
            }
        }
        let start = |error: RunError| error.to_string();
        let mut run = Run::varied(self.lesson, &topology, chance, &env).map_err(start)?;
        for prompt in self.lesson.prompts() {
            let place = format!("{}:{}", self.lesson.path.display(), prompt.line);
            run.prompt(prompt)
                .map_err(|error| format!("{place}: {}# {}: {error}", prompt.machine, prompt.command))?;
        }
        let measure = |measure: &Measure| {
            let ran = run.session.run(&measure.machine, &measure.command);
            let output = ran.map_err(|error| format!("the measure `{}`: {error}", measure.name))?.output;
            number(&output).ok_or_else(|| {
                let shown: String = output.trim().chars().take(SHOWN).collect();
                format!("the measure `{}` printed no number: {shown:?}", measure.name)
            })
        };
        self.measures.iter().map(measure).collect()
    }
}

impl Axis {
    /// A name with dots is a place in the topology, one without a variable.
    fn find(name: &str, lesson: &Lesson, measures: &[Measure]) -> Result<Axis, String> {
        if name.contains('.') {
            return Places::find(name, &lesson.front.topology).map(Axis::Topology);
        }
        if name == "seed" {
            return Ok(Axis::Seed);
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
            return Err(format!(
                "{name:?} is neither a place in the topology (with dots) nor a shell's variable"
            ));
        }
        if shell::is_own_variable(name) {
            return Err(format!("`{name}` belongs to the shell"));
        }
        let commands = lesson.prompts().map(|prompt| &prompt.command);
        let mut commands = commands.chain(measures.iter().map(|measure| &measure.command));
        let uses = |command: &String| command.split(|c: char| !plain(c)).any(|word| word == name);
        match commands.any(uses) {
            true => Ok(Axis::Variable),
            false => Err(format!("no command of the lesson uses the variable `{name}`")),
        }
    }
}

/// All columns have different names, and there is something to measure.
fn check_names(grid: &Grid, measures: &[Measure]) -> Result<(), String> {
    if measures.is_empty() {
        return Err(
            "there is nothing to measure: give --measure NAME='MACHINE: COMMAND', or `measures` in the front matter of the lesson"
                .to_owned(),
        );
    }
    let mut names: Vec<&str> = grid.axes.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(measures.iter().map(|measure| measure.name.as_str()));
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("`{}` stands twice among what is varied and measured", pair[0])),
        None => Ok(()),
    }
}

fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("`{text}` is no seed, which is a whole number"))
}

/// What a measure printed.
fn number(output: &str) -> Option<Number> {
    let text = output.trim();
    let whole = text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from));
    whole.ok().or_else(|| Number::from_f64(text.parse().ok()?))
}

/// Fowler, Noll and Vo's hash of 64 bits, which every build computes alike.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}
