//! `glassnet merge`: records of the partitions of a sweep, put together.

use std::io;
use std::path::PathBuf;

use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::sweep;

use super::report;
use crate::cli::{Status, could_not};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Records that `glassnet sweep --jsonl` wrote
    #[arg(required = true, value_name = "PART")]
    parts: Vec<PathBuf>,
    /// The record of the whole sweep
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    outputs: report::Outputs,
    /// Do not print the table
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  glassnet merge part-*.jsonl -o all.jsonl
  glassnet merge part-*.jsonl -o all.jsonl --csv all.csv --chart all.svg

Parts of different sweeps, missing points and points that stand in two parts are refused.";

pub(in crate::cli) fn main(args: Args) -> io::Result<Status> {
    let mut parts = Vec::new();
    for path in &args.parts {
        let name = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(text) => parts.push((name, text)),
            Err(error) => return Ok(could_not(format_args!("{name}: {error}"))),
        }
    }
    let merged = sweep::merge(&parts).and_then(|(head, rows)| {
        args.outputs.check(&head, Some(&args.output))?;
        Ok((head, rows))
    });
    let (head, rows) = match merged {
        Ok(merged) => merged,
        Err(why) => return Ok(could_not(why)),
    };
    write_whole(&args.output, head.record(&rows).as_bytes())?;
    if !args.quiet {
        report::table(&head, &rows)?;
    }
    args.outputs.write(&head, &rows)
}
