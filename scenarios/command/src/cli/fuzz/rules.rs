//! Random rules and packets.

use std::io;

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::fuzz::outcome::differences;
use glassnet_scenarios::fuzz::{generate, lesson, shrink};
use glassnet_scenarios::rig::case::Case;
use glassnet_scenarios::rig::recorded::Recording;
use glassnet_scenarios::rig::{CameIn, Outcome, Rig, play, run};
use glassnet_scenarios::simulator::Simulator;
use indicatif::ProgressBar;
use miette::Report;

use super::{Args, Duel, Ended, keep, read};

/// The two sides that cases run on.
struct Sides {
    /// Legacy tables stay once they are loaded, and NAT with them: cases of each variant, nft and legacy, have a router
    /// of their own.
    real: [Box<dyn Rig>; 2],
    model: Box<dyn Rig>,
}

impl Sides {
    fn new(real: &dyn Backend) -> Result<Sides, BackendError> {
        let model = Simulator { config: real.config(), ..Simulator::default() };
        Ok(Sides { real: [real.router()?, real.router()?], model: model.router()? })
    }

    /// Where the two sides differ.
    fn differences(&mut self, case: &Case) -> Result<Vec<String>, BackendError> {
        self.play(case).map(|(found, ..)| found)
    }

    /// Where the two sides differ, what the real one did, and the frames that came in at each step there.
    fn play(&mut self, case: &Case) -> Result<(Vec<String>, Outcome, CameIn), BackendError> {
        let real = &mut *self.real[usize::from(case.legacy)];
        real.clean()?;
        let (seen, came_in) = play(real, case)?;
        self.model.clean()?;
        let model = run(&mut *self.model, case)?;
        Ok((differences(case, &seen, &model), seen, came_in))
    }
}

/// The kept and the random cases.
pub(super) fn prepare(args: &Args, seed: u64) -> Result<Duel<'_>, Report> {
    let mut cases = Vec::new();
    for path in &args.files {
        let case = serde_saphyr::from_str(&read(path)?);
        cases.push(case.map_err(|error| miette::miette!("{}: {error}", path.display()))?);
    }
    cases.extend((seed..seed + args.cases).map(generate::case));
    Ok(Box::new(move |real| duel(args, real, &cases)))
}

/// Runs all cases on both sides.
fn duel(args: &Args, real: &dyn Backend, cases: &[Case]) -> Result<Ended, BackendError> {
    let mut sides = Sides::new(real)?;
    let bar = ProgressBar::new(cases.len() as u64);
    let mut ended = Ended { run: 0, differed: 0 };
    let mut recording = Recording { kernel: real.version(), config: real.config(), cases: Vec::new() };
    for case in cases {
        bar.inc(1);
        ended.run += 1;
        let (first, seen, _) = sides.play(case)?;
        if args.record.is_some() {
            recording.cases.push((case.clone(), seen));
        }
        if first.is_empty() {
            continue;
        }
        // The host may have been too busy for a case in which time passes: what differs does so again.
        if sides.differences(case)?.is_empty() {
            bar.suspend(|| println!("{} differed once, and not again:\n{}\n", case.name, first.join("\n")));
            continue;
        }
        ended.differed += 1;
        let mut small = shrink::shrink(case, args.attempts, |case| {
            sides.differences(case).is_ok_and(|found| is_alike(&first, &found))
        });
        small.name = format!("smallest form of {}", case.name);
        let (found, _, came_in) = sides.play(&small)?;
        let lesson = lesson::lesson(&small, &came_in, &found);
        bar.suspend(|| println!("{lesson}"));
        if let Some(folder) = &args.keep {
            let text = serde_saphyr::to_string(&small).map_err(|error| io::Error::other(error.to_string()));
            keep(folder, &case.name, "yaml", &text.map_err(BackendError::failed("cannot keep a case"))?)?;
            keep(folder, &case.name, "md", &lesson)?;
        }
        if ended.differed >= args.max_differences {
            break;
        }
    }
    bar.finish_and_clear();
    if let Some(path) = &args.record {
        let text = recording.to_json().map_err(io::Error::other);
        let written = text.and_then(|text| std::fs::write(path, text));
        written.map_err(BackendError::failed("cannot write the recording"))?;
    }
    Ok(ended)
}

/// Differences of which some are of one kind: a smaller case is to show what the whole one showed.
fn is_alike(these: &[String], those: &[String]) -> bool {
    let kinds = |found: &[String]| -> Vec<String> {
        let places = found.iter().filter(|line| !line.starts_with(' '));
        places.map(|line| line.split(' ').next().unwrap_or("").to_owned()).collect()
    };
    let known = kinds(these);
    kinds(those).iter().any(|kind| known.contains(kind))
}
