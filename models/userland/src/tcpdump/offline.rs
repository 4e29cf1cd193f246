//! `tcpdump -r`: packets of a file.

use std::net::Ipv4Addr;

use super::filter::Packet;
use super::options::{Options, error};
use super::print::LinkType;
use super::{Sink, compile, plural, strerror};
use crate::pcap;
use crate::process::Process;
use crate::stop::Done;

/// Reads the file and returns the exit status.
pub async fn run(process: &mut Process, options: Options, file: &str) -> Done<i32> {
    let bytes = read(process, file).await?;
    let capture = pcap::read(&bytes).map_err(|text| error(&text))?;
    let Some(link) = LinkType::from_number(capture.link) else {
        let link = capture.link;
        return Err(error(&format!("not modelled yet: packets of link type {link}")));
    };
    let (name, description) = link.names();
    let snapshot = capture.snapshot;
    process.eprint(format!(
        "reading from file {file}, link-type {name} ({description}), snapshot length {snapshot}\n"
    ));
    if link == LinkType::LinuxSll2 {
        process.eprint("Warning: interface names might be incorrect\n");
    }
    let filter = compile(process, &options, link, Ipv4Addr::UNSPECIFIED, false).await?;
    let mut sink = Sink::open(process, &Options { snapshot, ..options.clone() }, link).await?;
    for packet in &capture.packets {
        let seen = Packet { data: &packet.data, length: packet.length, outgoing: false, tag: None };
        if filter.matches(seen) && !sink.take(process, packet).await? {
            break;
        }
    }
    let stopped = options.count.is_some_and(|count| sink.captured >= count);
    let damage = capture.damage.filter(|_| !stopped);
    if let Some(damage) = &damage {
        process.eprint(format!("tcpdump: pcap_loop: {damage}\n"));
    }
    if options.count_only {
        process.print(format!("{} packet{}\n", sink.captured, plural(sink.captured)));
    }
    Ok(i32::from(damage.is_some()))
}

async fn read(process: &mut Process, file: &str) -> Done<Vec<u8>> {
    let bytes = match file {
        "-" => process.read_to_end().await,
        _ => process.files.read(&process.path(file)).await,
    };
    bytes.map_err(|failed| error(&format!("{file}: {}", strerror(&failed))))
}
