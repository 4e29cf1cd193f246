//! `tcpdump` 4.99.3 with libpcap 1.10.3: captures packets and prints them.
//!
//! | module | owns |
//! |---|---|
//! | [`options`] | the command line |
//! | [`filter`] | filter expressions |
//! | [`print`] | packets as text |
//! | `live`, `offline` | where packets come from |
//!
//! Not modelled: files in pieces (`-C`, `-G`, `-W`), `-d`, `-E`, `-j`, `-M`, `-T`, `-V`, `-z`.

pub mod filter;
mod live;
mod offline;
pub mod options;
pub mod print;

use std::net::Ipv4Addr;

use crate::hosts::Hosts;
use crate::pcap;
use crate::process::{Process, Running, strerror};
use crate::sock;
use crate::stop::Done;
use options::Options;
use print::{Captured, LinkType, Names, Printer};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { tcpdump(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

async fn tcpdump(process: &mut Process) -> Done<i32> {
    let mut options = options::parse(process.args())?;
    if options.list_interfaces {
        process.print(live::list_interfaces(process));
        return Ok(0);
    }
    if let Some(path) = options.filter_file.take() {
        let text = process.files.read(&process.path(&path)).await;
        let text =
            text.map_err(|error| options::error(&format!("can't open {path}: {}", strerror(&error))))?;
        options.expression = vec![String::from_utf8_lossy(&text).into_owned()];
    }
    match options.read.clone() {
        Some(file) => offline::run(process, options, &file).await,
        None => live::run(process, options).await,
    }
}

/// Output of captured packets: screen, file, or both.
struct Sink {
    printer: Option<Printer>,
    file: Option<String>,
    nanoseconds: bool,
    /// Number of captured packets.
    captured: u64,
    limit: Option<u64>,
}

impl Sink {
    /// Opens the outputs of the options.
    async fn open(process: &mut Process, options: &Options, link: LinkType) -> Done<Sink> {
        let nanoseconds = options.print.nanoseconds;
        if let Some(file) = &options.write {
            let header = pcap::header(link, options.snapshot, nanoseconds);
            write(process, file, &header, true).await?;
        }
        let printing = (options.write.is_none() && !options.count_only) || options.print_also;
        let names = names(process).await;
        let printer = printing.then(|| Printer::new(options.print.clone(), link, names));
        Ok(Sink { printer, file: options.write.clone(), nanoseconds, captured: 0, limit: options.count })
    }

    /// Outputs a packet; false after `-c` packets.
    async fn take(&mut self, process: &mut Process, packet: &Captured) -> Done<bool> {
        self.captured += 1;
        if let Some(file) = &self.file {
            write(process, file, &pcap::record(packet, self.nanoseconds), false).await?;
        }
        if let Some(printer) = &mut self.printer {
            let line = printer.packet(packet);
            process.print(line);
        }
        Ok(self.limit.is_none_or(|limit| self.captured < limit))
    }
}

async fn write(process: &mut Process, file: &str, bytes: &[u8], new: bool) -> Done {
    if file == "-" {
        process.print(bytes);
        return Ok(());
    }
    let path = process.path(file);
    let written = match new {
        true => process.files.write(&path, bytes).await,
        false => process.files.append(&path, bytes).await,
    };
    written.map_err(|error| options::error(&format!("{file}: {}", strerror(&error))))
}

/// Name tables of this machine.
async fn names(process: &Process) -> Names {
    let hosts = Hosts::read(process).await;
    Names { hosts: hosts.names().collect(), interfaces: sock::interfaces(process).into_iter().collect() }
}

/// Compiles the filter for this link type.
async fn compile(
    process: &Process,
    options: &Options,
    link: LinkType,
    netmask: Ipv4Addr,
    live: bool,
) -> Done<filter::Filter> {
    let hosts = Hosts::read(process).await;
    let resolve = |name: &str| hosts.addresses(name);
    let environment = filter::Environment { link, resolve: &resolve, netmask, live };
    let text = options.expression.join(" ");
    filter::Filter::compile(&text, &environment).map_err(|error| options::error(&error))
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
