//! `glassnet reach`: who reaches whom after a lesson?

mod svg;

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::output::write_whole;
use glassnet_scenarios::reach::{self, Matrix, Settings};
use glassnet_scenarios::trace::{self, Protocol};
use miette::Report;

use super::trace::upto;
use super::{Status, complain, could_not, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson, which is run to its end first; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// By which packet to ask: an ICMP echo request, a TCP SYN, or a UDP datagram
    #[arg(long, value_enum, default_value = "icmp")]
    probe: Protocol,
    /// The port that TCP or UDP is sent to
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Also ask the services of a cluster, each of their ports by a packet of its protocol
    #[arg(long)]
    services: bool,
    /// Run only the lesson's blocks up to this one, counted from 1
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// An object a line
    #[arg(long)]
    json: bool,
    /// Draw it into this SVG file
    #[arg(short, long, value_name = "SVG", conflicts_with = "json")]
    output: Option<PathBuf>,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet reach scenarios/cluster/network-model.md                       pods and nodes, by pings
  glassnet reach scenarios/cluster/service.md --block 1 --services        and services, by connections
  glassnet reach scenarios/lessons/bridge.md --probe tcp --port 80        by connections
  glassnet reach scenarios/cluster/network-model.md -o reach.svg          as a picture

Rows are those that send: pods and nodes, and machines and named namespaces that have addresses. Columns are their addresses. Nothing
that the lesson does is changed: packets are sent after its last command.

Exit status: 0 everybody reaches everybody; 1 somebody does not; 2 could not run.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    let port = match (args.probe, args.port) {
        (Protocol::Icmp, Some(_)) => return Ok(could_not("--port: ICMP has no ports")),
        (Protocol::Icmp, None) => 0,
        (_, Some(port)) => port,
        (probe, None) => return Ok(could_not(format_args!("--port is missing: {probe} goes to a port"))),
    };
    let settings = Settings { probe: args.probe, port, services: args.services };
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let lesson = match upto(lesson, args.block) {
        Ok(lesson) => lesson,
        Err(error) => return Ok(could_not(&error)),
    };
    let run = match trace::ran(&lesson, args.seed) {
        Ok(run) => run,
        Err(error) => return Ok(complain(&Report::new(error))),
    };
    let matrix = match reach::matrix(&mut run.session.world(), settings) {
        Ok(matrix) => matrix,
        Err(why) => return Ok(could_not(format_args!("{}: {why}", args.file.display()))),
    };
    match &args.output {
        Some(path) => draw(&matrix, path)?,
        None => {
            let text = if args.json { reach::json(&matrix) } else { reach::text(&matrix) };
            let mut out = anstream::stdout().lock();
            out.write_all(text.as_bytes())?;
            out.flush()?;
        }
    }
    Ok(if matrix.is_whole() { Status::Expected } else { Status::Unexpected })
}

fn draw(matrix: &Matrix, path: &std::path::Path) -> io::Result<()> {
    let svg = svg::draw(matrix).map_err(io::Error::other)?;
    write_whole(path, svg.as_bytes())?;
    let (from, to) = (matrix.from.len(), matrix.to.len());
    writeln!(io::stdout(), "{}: {from} rows, {to} columns", path.display())
}
