//! `glassnet timeline`: what CPUs and queues did over time, for Perfetto.

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::view::{self, Observed, Selection};

use super::{Status, could_not, with_observed};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The trace to write
    #[arg(short, long, value_name = "TRACE")]
    output: PathBuf,
    /// Only the prompts of block N of the lesson, from 1
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// Only prompt N of the lesson, from 1
    #[arg(long, value_name = "N")]
    prompt: Option<usize>,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet timeline scenarios/hardware/ring.md -o ring.pftrace
  glassnet timeline scenarios/hardware/busy.md --prompt 6 -o busy.pftrace  a part of a long one

Open the file with https://ui.perfetto.dev, or ask trace_processor. A machine is a process, a CPU a thread: tasks, hardirqs and
softirqs, in them functions, polls with their work and budget. Lengths of receive rings, backlogs and queueing disciplines are counters,
as they were when a CPU had to do with them. Flows join the places that a packet came to; packets are numbered as in `glassnet walk`.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    with_observed(&args.file, args.seed, |observed| write(&args, observed))
}

fn write(args: &Args, observed: &Observed) -> io::Result<Status> {
    let world = observed.world();
    let story = observed.story(&world);
    let selection = Selection { block: args.block, prompt: args.prompt, ..Selection::default() };
    if let Err(missing) = selection.check(&story) {
        return Ok(could_not(format_args!("{}: {missing}", args.file.display())));
    }
    let Some(trace) = view::timeline(&story, &selection) else {
        let most = view::TIMELINE_BYTES >> 20;
        let what = format!("the trace is longer than {most} MiB: choose a part with --prompt or --block");
        return Ok(could_not(format_args!("{}: {what}", args.file.display())));
    };
    write_whole(&args.output, &trace)?;
    writeln!(io::stdout(), "{}: {} bytes", args.output.display(), trace.len())?;
    Ok(Status::Expected)
}
