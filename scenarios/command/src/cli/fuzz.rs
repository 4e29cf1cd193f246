//! `glassnet fuzz`: random rules and packets on the model and on a real kernel.

use std::io;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::fuzz::outcome::differences;
use glassnet_scenarios::fuzz::{generate, lesson, shrink};
use glassnet_scenarios::rig::case::Case;
use glassnet_scenarios::rig::{CameIn, Rig, play, run};
use glassnet_scenarios::simulator::Simulator;
use indicatif::ProgressBar;
use miette::Report;

use super::referee::{On, Opened};
use super::{Status, complain};

/// How many cases are tried to make one that differs smaller.
const SHRINK_BUDGET: usize = 400;

#[derive(clap::Args)]
pub struct Args {
    /// Cases that were kept: YAML files, each run before the random ones
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How many random cases to run
    #[arg(long, default_value_t = 300, value_name = "N")]
    cases: u64,
    /// Seed of the first random case; the next have the numbers that follow. Without it, the time of day
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Stop after this many cases that differ
    #[arg(long, default_value_t = 10, value_name = "N")]
    max_differences: usize,
    /// Write the smallest form of each case that differs to this folder, as a case and as a lesson
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    #[command(flatten)]
    on: On,
}

pub fn main(args: Args) -> io::Result<Status> {
    let seed = args.seed.unwrap_or_else(|| {
        #[allow(clippy::disallowed_methods, reason = "a fresh seed is what the time of day is good for")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |since| since.as_secs())
    });
    let mut cases = Vec::new();
    for path in &args.files {
        match read(path) {
            Ok(case) => cases.push(case),
            Err(report) => return Ok(complain(&report)),
        }
    }
    let real = match args.on.open() {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
        Err(error) => return Ok(complain(&Report::msg(error.to_string()))),
    };
    let kept = cases.len();
    cases.extend((seed..seed + args.cases).map(generate::case));
    match duel(&args, &*real, &cases) {
        Ok(differed) => {
            println!(
                "{kept} kept cases and {} random ones (seeds {seed} and up) on both sides: {} differed",
                args.cases, differed
            );
            Ok(if differed == 0 { Status::Expected } else { Status::Unexpected })
        }
        Err(error) => Ok(complain(&Report::msg(error.to_string()))),
    }
}

fn read(path: &PathBuf) -> Result<Case, Report> {
    let text =
        std::fs::read_to_string(path).map_err(|error| miette::miette!("{}: {error}", path.display()))?;
    serde_saphyr::from_str(&text).map_err(|error| miette::miette!("{}: {error}", path.display()))
}

/// The two sides that cases run on.
struct Duel {
    /// Legacy tables stay once they are loaded, and NAT with them: cases of each variant, nft and legacy, have a router
    /// of their own.
    real: [Box<dyn Rig>; 2],
    model: Box<dyn Rig>,
}

impl Duel {
    fn new(real: &dyn Backend) -> Result<Duel, BackendError> {
        let model = Simulator { config: real.config(), ..Simulator::default() };
        Ok(Duel { real: [real.router()?, real.router()?], model: model.router()? })
    }

    /// Where the two sides differ.
    fn differences(&mut self, case: &Case) -> Result<Vec<String>, BackendError> {
        self.play(case).map(|(found, _)| found)
    }

    /// Where the two sides differ, and the frames that came in at each step on the real one.
    fn play(&mut self, case: &Case) -> Result<(Vec<String>, CameIn), BackendError> {
        let real = &mut *self.real[usize::from(case.legacy)];
        real.clean()?;
        let (seen, came_in) = play(real, case)?;
        self.model.clean()?;
        let model = run(&mut *self.model, case)?;
        Ok((differences(case, &seen, &model), came_in))
    }
}

/// Runs all cases on both sides; how many differed.
fn duel(args: &Args, real: &dyn Backend, cases: &[Case]) -> Result<usize, BackendError> {
    let mut duel = Duel::new(real)?;
    let bar = ProgressBar::new(cases.len() as u64);
    let mut differed = 0;
    for case in cases {
        bar.inc(1);
        let first = duel.differences(case)?;
        if first.is_empty() {
            continue;
        }
        // The host may have been too busy for a case in which time passes: what differs does so again.
        if duel.differences(case)?.is_empty() {
            bar.suspend(|| println!("{} differed once, and not again:\n{}\n", case.name, first.join("\n")));
            continue;
        }
        differed += 1;
        let mut small = shrink::shrink(case, SHRINK_BUDGET, |case| {
            duel.differences(case).is_ok_and(|found| is_alike(&first, &found))
        });
        small.name = format!("smallest form of {}", case.name);
        let (found, came_in) = duel.play(&small)?;
        let lesson = lesson::lesson(&small, &came_in, &found);
        bar.suspend(|| println!("{lesson}"));
        if let Some(folder) = &args.keep {
            keep(folder, case, &small, &lesson)?;
        }
        if differed >= args.max_differences {
            break;
        }
    }
    bar.finish_and_clear();
    Ok(differed)
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

fn keep(folder: &PathBuf, case: &Case, small: &Case, lesson: &str) -> Result<(), BackendError> {
    let failed = |source| BackendError::failed("cannot keep a case")(source);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let text = serde_saphyr::to_string(small).map_err(|error| failed(io::Error::other(error.to_string())))?;
    let name = case.name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    std::fs::write(folder.join(format!("{name}.yaml")), text).map_err(failed)?;
    std::fs::write(folder.join(format!("{name}.md")), lesson).map_err(failed)
}
