//! Random networks.

use std::panic::{AssertUnwindSafe, catch_unwind};

use glassnet_scenarios::backend::{Backend, observe_plain};
use glassnet_scenarios::compare::Divergences;
use glassnet_scenarios::compare::diff::{Difference, Kind, compare};
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::fuzz::networks::{self, canary, lesson, shrink};
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::observation::Observation;
use glassnet_scenarios::plan::Plan;
use glassnet_scenarios::simulator::Simulator;
use indicatif::ProgressBar;
use miette::Report;

use super::super::verify::DIVERGENCES;
use super::{Args, Duel, Ended, keep, read};

/// The kept and the random networks.
pub(super) fn prepare(args: &Args, seed: u64) -> Result<Duel<'_>, Report> {
    let mut plans = Vec::new();
    for path in &args.files {
        plans.push(networks::kept(&Lesson::parse(path, read(path)?)?));
    }
    let draw = if args.ipvs { networks::balanced } else { networks::plan };
    let seeds = (seed..seed + args.cases).filter(|seed| !args.except.contains(seed));
    plans.extend(seeds.map(draw));
    Ok(Box::new(move |real| duel(args, real, &plans)))
}

/// Runs all networks on both sides.
fn duel(args: &Args, real: &dyn Backend, plans: &[Plan]) -> Result<Ended, BackendError> {
    let known = Divergences::parse(DIVERGENCES).map_err(|error| BackendError::Plan(error.to_string()))?;
    let sides = Sides { real, known };
    canary::check(real)?;
    let bar = ProgressBar::new(plans.len() as u64);
    let mut ended = Ended { run: 0, differed: 0 };
    for plan in plans {
        bar.inc(1);
        ended.run += 1;
        let first = sides.differences(plan)?;
        let Some(cause) = first.first().map(cause) else { continue };
        // What a busy host was late with does not differ again.
        if args.attempts > 0 && sides.differences(plan)?.is_empty() {
            bar.suspend(|| {
                println!("{} differed once, and not again:\n{}\n", plan.lesson, shown(&first).join("\n"))
            });
            continue;
        }
        ended.differed += 1;
        let mut last = first;
        let mut small = shrink::shrink(plan, args.attempts, |smaller| {
            let found = sides.differences(smaller).unwrap_or_default();
            let is_alike = found.iter().any(|found| self::cause(found) == cause);
            if is_alike {
                last = found;
            }
            is_alike
        });
        small.lesson = format!("smallest form of {}", plan.lesson);
        let lesson = lesson::lesson(&small, &shown(&last));
        bar.suspend(|| println!("{lesson}"));
        if let Some(folder) = &args.keep {
            keep(folder, &plan.lesson, "md", &lesson)?;
        }
        if ended.differed >= args.max_differences {
            break;
        }
    }
    bar.finish_and_clear();
    canary::check(real)?;
    Ok(ended)
}

/// The two sides.
struct Sides<'a> {
    real: &'a dyn Backend,
    known: Divergences,
}

impl Sides<'_> {
    /// Where they differ.
    fn differences(&self, plan: &Plan) -> Result<Vec<Difference>, BackendError> {
        let real = observe_plain(self.real, plan)?;
        let Ok(model) = catch_unwind(AssertUnwindSafe(|| observe_plain(&Simulator::of(&real), plan))) else {
            let (line, prompt, place, real) = (0, String::new(), String::new(), Vec::new());
            let model = vec!["the model panicked".to_owned()];
            return Ok(vec![Difference {
                kind: Kind::Prompts,
                line,
                prompt,
                place,
                real,
                model,
                after: None,
            }]);
        };
        Ok(self.unknown(real, model?))
    }

    /// Differences that are not kept on purpose.
    fn unknown(&self, mut real: Observation, mut model: Observation) -> Vec<Difference> {
        networks::level(&mut real, &mut model);
        let found = compare(&real, &model).differences;
        found.into_iter().filter(|difference| self.known.find(&real, difference).is_none()).collect()
    }
}

/// What a smaller network must show to show the same: the kind of difference, the table, and the field in it.
fn cause(difference: &Difference) -> String {
    let table = difference.place.rsplit(": ").next().filter(|_| difference.kind == Kind::Table);
    let line = difference.real.first().or(difference.model.first()).map_or("", String::as_str);
    let field = match difference.kind {
        Kind::Table => line.split(": ").next().and_then(|path| path.rsplit([']', '.']).next()),
        Kind::Journey => line.rsplit(" ⇒ ").next(),
        _ => None,
    };
    format!("{} {} {}", difference.kind.name(), table.unwrap_or_default(), field.unwrap_or_default())
}

/// Lines of a report: what differs first, as the rest may follow from it.
fn shown(differences: &[Difference]) -> Vec<String> {
    let first = differences.first().map_or(0, |difference| difference.line);
    let (first, later): (Vec<_>, Vec<_>) =
        differences.iter().partition(|difference| difference.line == first);
    let of = |difference: &Difference| {
        let head = format!("{} {}: {}", difference.kind.name(), difference.place, difference.prompt);
        let real = difference.real.iter().map(|line| format!("  - {line}"));
        let model = difference.model.iter().map(|line| format!("  + {line}"));
        [head].into_iter().chain(real).chain(model).collect::<Vec<_>>()
    };
    let later = (!later.is_empty()).then(|| format!("and {} differences later", later.len()));
    first.into_iter().flat_map(of).chain(later).collect()
}
