//! `glassnet pcap`: what each device of a lesson saw, for Wireshark.

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::view::{self, Observed};

use super::{Status, with_observed};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Where the files go; it is made if it is not there
    #[arg(short, long, value_name = "DIR")]
    output: PathBuf,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet pcap scenarios/lessons/bridge.md -o captures
  tcpdump -n -e -r captures/node1.br0.pcapng

A file MACHINE.NETNS.DEVICE.pcapng a device that saw a frame; without NETNS for a machine's own devices.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    with_observed(&args.file, args.seed, |observed| show(&args, observed))
}

fn show(args: &Args, observed: &Observed) -> io::Result<Status> {
    let world = observed.world();
    let written = view::write_captures(&world, observed.story(&world).names(), &args.output)?;
    let mut out = anstream::stdout().lock();
    for file in &written {
        writeln!(out, "{}: {} frames", file.path.display(), file.frames)?;
    }
    if written.is_empty() {
        writeln!(out, "no device saw a frame")?;
    }
    Ok(Status::Expected)
}
