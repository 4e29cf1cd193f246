//! `glassnet commands`: what the agents of a lesson's cluster ran on their nodes.

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::run::Run;
use glassnet_scenarios::view::{CommandsOf, commands};
use miette::Report;

use super::{Status, complain, could_not, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Only commands of this node
    #[arg(long, value_name = "NODE")]
    node: Option<String>,
    /// Only commands of this agent, such as kubelet or kube-proxy
    #[arg(long, value_name = "AGENT")]
    agent: Option<String>,
    /// Where chance comes from, such as the names of pods
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet commands scenarios/cluster/service.md --node node1                      a script for a real machine
  glassnet commands scenarios/cluster/service.md --node node1 --agent kube-proxy   what kube-proxy ran there";

pub(super) fn main(args: Args) -> io::Result<Status> {
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let mut run = match Run::new(&lesson, args.seed) {
        Ok(run) => run,
        Err(error) => return Ok(complain(&Report::new(error))),
    };
    for prompt in lesson.prompts() {
        if let Err(error) = run.prompt(prompt) {
            return Ok(complain(&Report::new(error)));
        }
    }
    let of = CommandsOf { node: args.node, agent: args.agent };
    match commands(&run.session.world(), &of) {
        Ok(script) => {
            write!(io::stdout(), "{script}")?;
            Ok(Status::Expected)
        }
        Err(why) => Ok(could_not(format_args!("{}: {why}", args.file.display()))),
    }
}
