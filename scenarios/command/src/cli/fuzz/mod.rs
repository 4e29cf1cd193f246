//! `glassnet fuzz`: random cases on the model and on a real kernel.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the command line |
//! | `rules.rs` | rules and packets |
//! | `networks.rs` | whole networks |

mod networks;
mod rules;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use glassnet_scenarios::backend::Backend;
use glassnet_scenarios::error::BackendError;
use miette::Report;

use super::referee::{On, Opened};
use super::{Status, complain, could_not};

#[derive(clap::Args)]
pub struct Args {
    /// Cases that were kept, each run before the random ones: YAML files, or with --networks lessons
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Draw whole networks, and what happens in them, instead of rules and packets
    #[arg(long)]
    networks: bool,
    /// Draw networks with a director of IPVS between a client and servers
    #[arg(long, requires = "networks")]
    ipvs: bool,
    /// How many random cases to run
    #[arg(long, default_value_t = 300, value_name = "N")]
    cases: u64,
    /// Seed of the first random case; the next have the numbers that follow. Without it, the time of day
    #[arg(long, value_name = "SEED")]
    seed: Option<u64>,
    /// Leave out the networks of these seeds
    #[arg(long, value_name = "SEED", value_delimiter = ',', requires = "networks")]
    except: Vec<u64>,
    /// Stop after this many cases that differ
    #[arg(long, default_value_t = 10, value_name = "N")]
    max_differences: usize,
    /// How many smaller forms of a case that differs to try
    #[arg(long, default_value_t = 400, value_name = "N")]
    attempts: usize,
    /// Write the smallest form of each case that differs to this folder, as a lesson, and rules as a case too
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// Write the cases to this file, with what the real kernel did, for tests without privileges
    #[arg(long, value_name = "FILE", conflicts_with = "networks")]
    record: Option<PathBuf>,
    #[command(flatten)]
    on: On,
}

pub fn main(args: Args) -> io::Result<Status> {
    // The time of day is this machine's: a guest begins always at the same.
    let fresh = args.seed.is_none().then(|| {
        #[allow(clippy::disallowed_methods, reason = "a fresh seed is what the time of day is good for")]
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |since| since.as_secs())
    });
    let seed = args.seed.or(fresh).unwrap_or(1);
    let seeded = fresh.map(|seed| vec!["--seed".into(), seed.to_string().into()]).unwrap_or_default();
    let duel = match if args.networks { networks::prepare(&args, seed) } else { rules::prepare(&args, seed) }
    {
        Ok(duel) => duel,
        Err(report) => return Ok(complain(&report)),
    };
    let real = match args.on.open_with(seeded) {
        Ok(Opened::Here(real)) => real,
        Ok(Opened::Ran(status)) => return Ok(status),
        Ok(Opened::Traced(_)) => {
            return Ok(could_not("--on qemu: it tells only which functions a lesson runs"));
        }
        Err(error) => return Ok(complain(&Report::msg(error.to_string()))),
    };
    match duel(&*real) {
        Ok(ended) => {
            println!(
                "{} kept cases and {} random ones (seeds {seed} and up) on both sides: {} differed",
                args.files.len(),
                ended.run.saturating_sub(args.files.len()),
                ended.differed
            );
            Ok(if ended.differed == 0 { Status::Expected } else { Status::Unexpected })
        }
        Err(error) => Ok(complain(&Report::msg(error.to_string()))),
    }
}

/// Cases that are ready to be run on both sides.
type Duel<'a> = Box<dyn FnOnce(&dyn Backend) -> Result<Ended, BackendError> + 'a>;

/// How many cases were run, kept ones too, and how many differed.
struct Ended {
    run: usize,
    differed: usize,
}

fn read(path: &Path) -> Result<String, Report> {
    std::fs::read_to_string(path).map_err(|error| miette::miette!("{}: {error}", path.display()))
}

/// Writes a file of a case that differed.
fn keep(folder: &Path, case: &str, ending: &str, text: &str) -> Result<(), BackendError> {
    let failed = || BackendError::failed("cannot keep a case");
    std::fs::create_dir_all(folder).map_err(failed())?;
    let name = case.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    std::fs::write(folder.join(format!("{name}.{ending}")), text).map_err(failed())
}
