//! `glassnet walk`: what each packet of a lesson met on its way.

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::view::{self, Observed, Selection, Zoom};

use super::{Status, could_not, with_observed};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// How closely to look
    #[arg(short, long, value_enum, default_value_t)]
    zoom: Zoom,
    /// Only the prompts of block N of the lesson, from 1
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// Only prompt N of the lesson, from 1
    #[arg(long, value_name = "N")]
    prompt: Option<usize>,
    /// Only packet N, with what it was made for and what was made because of it
    #[arg(long, value_name = "N")]
    packet: Option<usize>,
    /// Show every rule that was tried; otherwise more than five that did not match in a row are one line
    #[arg(long)]
    all_rules: bool,
    /// Leave out what was typed and printed
    #[arg(short, long)]
    quiet: bool,
    /// An object a line, with everything that `--zoom detail` shows
    #[arg(long, conflicts_with_all = ["zoom", "quiet"])]
    json: bool,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet walk scenarios/lessons/bridge.md                          from device to device
  glassnet walk scenarios/hardware/socket.md --zoom time             from CPU to CPU, and where packets waited
  glassnet walk scenarios/lessons/bridge.md --zoom doors --packet 1  every kernel function of one exchange
  glassnet walk scenarios/lessons/bridge.md --zoom detail --prompt 9 also look-ups and headers
  glassnet walk scenarios/lessons/bridge.md --json | jq -r 'select(.kind == \"drop\") | .reason'

Packets are numbered in the order in which they appear. An exchange that went the same way as an earlier one is
not shown twice; --packet shows it.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    with_observed(&args.file, args.seed, |observed| show(&args, observed))
}

fn show(args: &Args, observed: &Observed) -> io::Result<Status> {
    let world = observed.world();
    let story = observed.story(&world);
    let Args { block, prompt, packet, all_rules, .. } = args;
    let selection = Selection { block: *block, prompt: *prompt, packet: *packet, all_rules: *all_rules };
    if let Err(missing) = selection.check(&story) {
        return Ok(could_not(format_args!("{}: {missing}", args.file.display())));
    }
    let text = match args.json {
        true => view::json(&story, &selection),
        false => view::text(&story, args.zoom, &selection, !args.quiet),
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Status::Expected)
}
