//! `glassnet trace`: what would happen to this packet?

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::PathBuf;

use glassnet_scenarios::lab;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::trace::{self, Host, Protocol, Question, TraceError};
use miette::Report;

use super::{Status, complain, could_not, read_lesson};

#[derive(clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// A lesson, which is run to its end first; `-` reads standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Source address of the packet
    #[arg(short, long, value_name = "SRC")]
    source: Ipv4Addr,
    /// Destination address
    #[arg(short, long, value_name = "DST")]
    destination: Ipv4Addr,
    /// Destination port; not with `--protocol icmp`
    #[arg(short, long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// Source port; for ICMP the identifier
    #[arg(long, value_name = "PORT", default_value_t = 40_000)]
    sport: u16,
    /// A TCP SYN, a UDP datagram, or an ICMP echo request
    #[arg(long, value_enum, default_value_t)]
    protocol: Protocol,
    /// Where it begins; otherwise where SRC is an address, or where packets from SRC come in
    #[arg(long, value_name = "MACHINE[/NETNS]")]
    from: Option<Host>,
    /// It comes in by this device, from outside
    #[arg(long = "in", value_name = "DEV")]
    input: Option<String>,
    /// Run only the lesson's blocks up to this one, counted from 1
    #[arg(long, value_name = "N")]
    block: Option<usize>,
    /// Every branch of `-m statistic --mode random`, with its probability
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
  glassnet trace lesson.md -s 192.0.2.7 -d 203.0.113.1 -p 8080 --from node1 --in eth0   from outside
  glassnet trace lesson.md -s 10.0.0.2 -d 10.0.0.3 --protocol icmp --json | jq -r 'select(.type == \"branch\") | .verdict'

Under each phase stand the rules that decided, as iptables-save prints them, in the words of the kernel's TRACE.

Exit status: 0 delivered, or sent out of the lesson's machines; 1 dropped or refused (with --all: in some branch);
2 could not run.";

pub(super) fn main(args: Args) -> io::Result<Status> {
    let question = match question(&args) {
        Ok(question) => question,
        Err(error) => return Ok(could_not(&error)),
    };
    let lesson = match read_lesson(&args.file) {
        Ok(lesson) => lesson,
        Err(report) => return Ok(complain(&report)),
    };
    let lesson = match upto(lesson, args.block) {
        Ok(lesson) => lesson,
        Err(error) => return Ok(could_not(&error)),
    };
    let answered = match args.all {
        true => trace::ask_all(&lesson, args.seed, &question),
        false => trace::ask(&lesson, args.seed, &question, None).map(|answer| (vec![answer], true)),
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

fn question(args: &Args) -> Result<Question, String> {
    let dport = match (args.protocol, args.port) {
        (Protocol::Icmp, Some(_)) => return Err("--port: ICMP has no ports".to_owned()),
        (Protocol::Icmp, None) => 0,
        (protocol, None) => return Err(format!("--port is missing: {protocol} goes to a port")),
        (_, Some(port)) => port,
    };
    Ok(Question {
        src: args.source,
        dst: args.destination,
        protocol: args.protocol,
        sport: args.sport,
        dport,
        from: args.from.clone(),
        input: args.input.clone(),
    })
}

/// The lesson with its blocks up to `last` only.
fn upto(mut lesson: Lesson, last: Option<usize>) -> Result<Lesson, String> {
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
