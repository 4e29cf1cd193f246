//! `glassnet sweep`: a lesson at every point of a grid, on all cores; `glassnet merge`: partitions put together.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | `glassnet sweep`: running the points |
//! | `merge.rs` | `glassnet merge` |
//! | `report.rs` | the table, CSV, which files are written |
//! | `chart.rs` | the chart |

mod chart;
mod merge;
mod report;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread::available_parallelism;

use glassnet_scenarios::lab;
use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::shell::DEEP_STACK;
use glassnet_scenarios::sweep::{Description, MAX_POINTS, Partition, Record, Rows, Sweep};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use super::{Status, complain, complain_plainly, could_not, read_lesson};

pub(super) use merge::{Args as MergeArgs, main as merge};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What is varied, and its values; the points are all combinations, and the last `--set` varies fastest
    #[arg(long, value_name = "NAME=VALUES", required = true)]
    set: Vec<String>,
    /// What is measured at each point, after the lesson's prompts: a command that prints a number
    #[arg(long, value_name = "NAME=MACHINE: COMMAND")]
    measure: Vec<String>,
    /// Record the points as JSON lines; points that are in the file already are not run again
    #[arg(long, value_name = "FILE")]
    jsonl: Option<PathBuf>,
    #[command(flatten)]
    outputs: report::Outputs,
    /// Run one partition of the points: `3/16`, `auto/16` or `auto`
    #[arg(long, value_name = "K/N")]
    partition: Option<String>,
    /// Points at most
    #[arg(long, value_name = "N", default_value_t = MAX_POINTS)]
    max_points: u64,
    /// Points at a time; by default one a core
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Where chance comes from, at every point alike unless `seed` is varied
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet sweep ring.md --set nics.eth0.rx_ring=64,256,4096 --set load=100k..2M/8 --chart ring.svg
  glassnet sweep ring.md --set links.sender:eth0.rate=1Gbit,10Gbit --measure \"lost=receiver: cat /sys/class/net/eth0/statistics/rx_missed_errors\"
  glassnet sweep ring.md --set load=100k..2M/800 --partition 3/16 --jsonl part-3.jsonl
  glassnet merge part-*.jsonl -o all.jsonl --csv all.csv

A NAME with dots is a value of the topology: nodes.MACHINE.cpus, nodes.MACHINE.nics.CARD.KEY, nics.CARD.KEY (on every machine that
has the card), links.MACHINE:CARD.KEY, switches.SWITCH.KEY. `seed` is where chance comes from. Any other NAME is a variable in the
environment of the machines' shells, which the lesson uses as $load, or as ${load:-100000} to run without a sweep too; so whatever a
command can set can be varied.

VALUES are a list: words, numbers with or without the suffixes k, M and G (thousands), and ranges. FROM..TO/COUNT has equal steps,
FROM..TO/logCOUNT equal factors.

What is measured may also stand in the front matter: `measures: { lost: \"receiver: COMMAND\" }`. What the prompts print is not
compared with the lesson.

Partitions are 1/N to N/N. With auto/N the environment says which: JOB_COMPLETION_INDEX of a Kubernetes Indexed Job or
SLURM_ARRAY_TASK_ID of a Slurm array, both from 0; with auto, SLURM_ARRAY_TASK_COUNT is N. `glassnet merge` puts them together.";

/// Errors of points that are shown; the others are counted.
const SHOWN_ERRORS: usize = 10;

pub(super) fn main(args: Args) -> io::Result<Status> {
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let described =
        Description { set: args.set, measures: args.measure, seed: args.seed, max_points: args.max_points };
    let prepared = Sweep::new(&lesson, &described).and_then(|sweep| {
        let partition =
            args.partition.as_deref().map(|text| Partition::parse(text, |name| std::env::var(name).ok()));
        args.outputs.check(sweep.head(), args.jsonl.as_deref())?;
        Ok((sweep, partition.unwrap_or(Ok(Partition::WHOLE))?))
    });
    let (sweep, partition) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => return Ok(could_not(format_args!("{}: {why}", args.file.display()))),
    };
    let (mut record, mut rows) = (None, Rows::new());
    if let Some(path) = &args.jsonl {
        match Record::open(path, sweep.head(), partition) {
            Ok((opened, found)) => (record, rows) = (Some(opened), found),
            Err(why) => return Ok(could_not(why)),
        }
    }
    let pending: Vec<u64> = (0..sweep.head().set.points())
        .filter(|point| partition.has(*point) && !rows.contains_key(point))
        .collect();
    let all = pending.len() + rows.len();
    let jobs = args.jobs.map_or_else(|| available_parallelism().map_or(1, usize::from), usize::from);
    let failures = run(&sweep, &pending, jobs, record, &mut rows)?;
    if !failures.is_empty() {
        let failed = failures.len();
        failures
            .values()
            .take(SHOWN_ERRORS)
            .for_each(|why| complain_plainly(format_args!("glassnet: {why}")));
        if failed > SHOWN_ERRORS {
            complain_plainly(format_args!("glassnet: and {} more", failed - SHOWN_ERRORS));
        }
        report::table(sweep.head(), &rows)?;
        return Ok(could_not(format_args!(
            "{failed} of {all} points failed: no CSV file and no chart is written"
        )));
    }
    if let Some(path) = &args.jsonl {
        write_whole(path, sweep.head().record(&rows).as_bytes())?;
    }
    report::table(sweep.head(), &rows)?;
    args.outputs.write(sweep.head(), &rows)
}

/// Runs points, records what they measure, and returns why others failed.
fn run(
    sweep: &Sweep,
    pending: &[u64],
    jobs: usize,
    record: Option<Record>,
    rows: &mut Rows,
) -> io::Result<BTreeMap<u64, String>> {
    let bar = progress(pending.len(), rows.len());
    let done = Mutex::new((record, rows, BTreeMap::new()));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).stack_size(DEEP_STACK).build();
    let pool = pool.map_err(io::Error::other)?;
    let point = |point: u64| -> io::Result<()> {
        let measured = sweep.run(point);
        // A thread that panicked ends the sweep, whatever the lock says.
        let mut done = done.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let (record, rows, failures) = &mut *done;
        match measured {
            Ok(measured) => {
                if let Some(record) = record {
                    record.append(&sweep.head().point_line(point, &measured))?;
                }
                rows.insert(point, measured);
            }
            Err(why) => {
                failures.insert(point, why);
                bar.set_message(format!(", {} failed", failures.len()));
            }
        }
        bar.inc(1);
        Ok(())
    };
    let ran = pool.install(|| pending.par_iter().with_max_len(1).try_for_each(|number| point(*number)));
    bar.finish_and_clear();
    let (.., failures) = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    ran.map(|()| failures)
}

/// A bar on a terminal, nothing elsewhere.
fn progress(pending: usize, done: usize) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:20} {pos}/{len} points, {eta} left{msg}");
    let bar = ProgressBar::new((pending + done) as u64).with_position(done as u64);
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}
