//! `glassnet trace`: what would happen to this packet?

use std::io::{self, Write};
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::trace::{self, Address, Asked, Host, Protocol, TraceError};
use miette::Report;

use super::{Status, complain, could_not, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson, which is run to its end first; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Source of the packet: an address, pod/NAME, or a machine
    #[arg(short, long, value_name = "SRC")]
    source: Address,
    /// Destination: an address, a service such as web, web.default.svc or svc/web, pod/NAME, or a machine
    #[arg(short, long, value_name = "DST")]
    destination: Address,
    /// Destination port; not with `--protocol icmp`, and not needed for a service that has one
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Source port; for ICMP the identifier
    #[arg(long, value_name = "PORT", default_value_t = 40_000)]
    sport: u16,
    /// A TCP SYN, a UDP datagram, or an ICMP echo request
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Where it begins, or pod/NAME; otherwise where SRC is an address, or where packets from SRC come in
    #[arg(long, value_name = "MACHINE[/NETNS]")]
    from: Option<Host>,
    /// It comes in by this device, from outside
    #[arg(long = "in", value_name = "DEV")]
    input: Option<String>,
    /// Run only the lesson's blocks up to this one, counted from 1
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// Every branch of `-m statistic --mode random` and of IPVS's schedulers rr and wrr, with its probability
    #[arg(long)]
    all: bool,
    /// An object a line
    #[arg(long)]
    json: bool,
    /// Where chance comes from, such as the addresses of new devices
    #[arg(long, default_value_t = lab::SEED)]
    seed: u64,
}

const EXAMPLES: &str = "\
Examples:
  glassnet trace lesson.md -s 10.0.0.2 -d 10.96.0.10 -p 80          a TCP SYN from whoever is 10.0.0.2
  glassnet trace lesson.md -s 10.0.0.2 -d 10.96.0.10 -p 80 --all    and every backend that it may reach
  glassnet trace lesson.md --block 3 -s 10.0.0.2 -d 10.0.0.3 -p 80  as it is after the lesson's third block
  glassnet trace cluster.md -s pod/client -d web.default.svc --all  every endpoint of a service
  glassnet trace lesson.md -s 192.0.2.7 -d 203.0.113.1 -p 8080 --from node1 --in eth0   from outside
  glassnet trace lesson.md -s 10.0.0.2 -d 10.0.0.3 --protocol icmp --json | jq -r 'select(.type == \"branch\") | .verdict'

Under each phase stand the rules that decided, as iptables-save prints them, in the words of the kernel's TRACE; in a
cluster also the service and the endpoint behind them, and why kube-proxy wrote them.

Exit status: 0 delivered, or sent out of the lesson's machines; 1 dropped or refused (with --all: in some branch);
2 could not run.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let lesson = match upto(lesson, args.block) {
        Ok(lesson) => lesson,
        Err(error) => return Ok(could_not(&error)),
    };
    let asked = Asked {
        src: args.source,
        dst: args.destination,
        protocol: args.protocol,
        sport: args.sport,
        dport: args.port,
        from: args.from,
        input: args.input,
    };
    let answered = match args.all {
        true => trace::ask_all(&lesson, args.seed, &asked),
        false => trace::ask(&lesson, args.seed, &asked, None).map(|answer| (vec![answer], true)),
    };
    let (answers, whole) = match answered {
        Ok(answered) => answered,
        Err(TraceError::Run(error)) => return Ok(complain(&Report::new(*error))),
        Err(TraceError::Asked(error)) => return Ok(could_not(&error)),
    };
    let text = match args.json {
        true => trace::json(&answers, args.all, whole),
        false => trace::text(&answers, args.all, whole),
    };
    let mut out = anstream::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(match answers.iter().all(|answer| answer.verdict.ending.is_success()) {
        true => Status::Expected,
        false => Status::Unexpected,
    })
}

/// The lesson with its blocks up to `last` only.
pub(super) fn upto(mut lesson: Lesson, last: Option<usize>) -> Result<Lesson, String> {
    let count = lesson.blocks.len();
    match last {
        Some(last) if last == 0 || last > count => {
            Err(format!("--block: there is no block {last}: the lesson has {count}, counted from 1"))
        }
        Some(last) => {
            lesson.blocks.truncate(last);
            Ok(lesson)
        }
        None => Ok(lesson),
    }
}
