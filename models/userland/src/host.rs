//! `host` of BIND 9.18.
//!
//! Not modelled: transfers of zones, `-a`, `-C`, `-v`, interactive use.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::dig::alias;
use crate::dig::lookup::{self, Asking, illegal};
use crate::dig::text::{self, TypeWord};
use crate::getopt;
use crate::hosts::Hosts;
use crate::process::{Process, Running};
use crate::resolver::{arpa, candidates};
use crate::stop::{Done, Stop};

const USAGE: &str = include_str!("host_usage.txt");

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { host(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

struct Options {
    name: String,
    server: Option<String>,
    /// `-t`.
    kind: Option<QTYPE>,
    ndots: Option<usize>,
    asking: Asking,
}

fn parse(args: &[String], asking: Asking) -> Done<Options> {
    let parsed = getopt::parse(args, "46aACc:dlm:N:p:rR:st:TUvVwW:", &[]);
    if let Some(error) = parsed.error {
        return Err(Stop::error(1, format!("host: {error}\n{USAGE}")));
    }
    let mut options = Options {
        name: String::new(),
        server: None,
        kind: None,
        ndots: None,
        asking: Asking { tries: 2, ..asking },
    };
    for option in parsed.options {
        let bad = || Stop::error(1, format!("host: bad value for -{}: {}\n", option.name, option.value));
        let number = || option.value.parse::<u64>().map_err(|_| bad());
        match option.name.as_str() {
            "4" | "U" => {}
            "N" => options.ndots = Some(number()? as usize),
            "p" => options.asking.port = number()? as u16,
            "R" => options.asking.tries = number()? as usize + 1,
            "r" => options.asking.flags.remove(PacketFlag::RECURSION_DESIRED),
            "T" => options.asking.tcp = true,
            "t" => match text::kind(&option.value) {
                TypeWord::Known(kind) => options.kind = Some(kind),
                TypeWord::Unmodelled => {
                    return Err(Stop::error(1, format!("host: not modelled yet: type {}\n", option.value)));
                }
                TypeWord::None => {
                    return Err(Stop::error(2, format!("host: invalid type: {}\n\n", option.value)));
                }
            },
            "V" => return Err(Stop::error(0, format!("host {}\n", crate::dig::RELEASE))),
            "W" => options.asking.timeout = Nanos::from_secs(number()?.max(1)),
            other => return Err(Stop::error(1, format!("host: not modelled yet: -{other}\n"))),
        }
    }
    match parsed.operands.as_slice() {
        [name] => options.name.clone_from(name),
        [name, server] => (options.name, options.server) = (name.clone(), Some(server.clone())),
        _ => return Err(Stop::error(1, USAGE)),
    }
    match illegal(&options.name) {
        Some(why) => Err(Stop::error(1, format!("host: '{}' is not a legal name ({why})\n", options.name))),
        None => Ok(options),
    }
}

async fn host(process: &mut Process) -> Done<i32> {
    let mut conf = lookup::conf(process).await;
    let mut options = parse(process.args(), Asking::of(&conf))?;
    conf.ndots = options.ndots.unwrap_or(conf.ndots);
    if let Some(server) = options.server.clone() {
        let Ok(address) = Hosts::read(process).await.address(process, &server).await else {
            return Err(Stop::error(1, format!("host: couldn't get address for '{server}': not found\n")));
        };
        options.asking.servers = vec![(address, server.clone())];
        let port = options.asking.port;
        process
            .print(format!("Using domain server:\nName: {server}\nAddress: {address}#{port}\nAliases: \n\n"));
    }
    let (names, kind) = match options.name.parse::<Ipv4Addr>() {
        Ok(address) => (vec![arpa(address)], QTYPE::TYPE(TYPE::PTR)),
        Err(_) => (candidates(&conf, &options.name), options.kind.unwrap_or(QTYPE::TYPE(TYPE::A))),
    };
    let is_address = kind == QTYPE::TYPE(TYPE::PTR) && options.kind.is_none();
    let shown = if is_address { format!("{}.", names[0]) } else { options.name.clone() };
    let mut found = None;
    for (at, name) in names.iter().enumerate() {
        let Some(bytes) = ask(process, &options.asking, name, kind).await else { return Ok(1) };
        let packet = Packet::parse(&bytes).map_err(|_| Stop::error(1, "host: bad packet\n"))?;
        if packet.rcode() == RCODE::NoError || at + 1 == names.len() {
            let explicit = options.kind.is_some() || is_address;
            if !print(process, &packet, (&shown, name, kind), explicit) {
                return Ok(1);
            }
            found = Some(end_of_aliases(&packet, name));
            break;
        }
    }
    let (Some(name), None, false) = (found, options.kind, is_address) else { return Ok(0) };
    let mut status = 0;
    for kind in [TYPE::AAAA, TYPE::MX].map(QTYPE::TYPE) {
        let Some(bytes) = ask(process, &options.asking, &name, kind).await else { return Ok(1) };
        let packet = Packet::parse(&bytes).map_err(|_| Stop::error(1, "host: bad packet\n"))?;
        if !print(process, &packet, (&name, &name, kind), false) {
            status = 1;
        }
    }
    Ok(status)
}

/// Asks, and says so if nobody answers.
async fn ask(process: &mut Process, asking: &Asking, name: &str, kind: QTYPE) -> Option<Vec<u8>> {
    match lookup::ask(process, asking, name, kind).await {
        Ok(reply) => Some(reply.bytes),
        Err(unsent) => {
            if !unsent {
                process.print(";; no servers could be reached\n");
            }
            None
        }
    }
}

/// The name to which the aliases of an answer lead.
fn end_of_aliases(packet: &Packet, name: &str) -> String {
    let mut name = name.to_owned();
    for _ in 0..packet.answers.len() {
        match alias(packet, &name) {
            Some(target) => name = target.to_string(),
            None => break,
        }
    }
    name
}

/// Prints an answer; false if it is an error.
fn print(
    process: &mut Process,
    packet: &Packet,
    (shown, name, kind): (&str, &str, QTYPE),
    explicit: bool,
) -> bool {
    if packet.rcode() != RCODE::NoError {
        let (number, code) = (packet.rcode() as u16, text::rcode(packet.rcode()));
        process.print(format!("Host {shown} not found: {number}({code})\n"));
        return false;
    }
    for record in &packet.answers {
        process.print(sentence(record));
    }
    let wanted = |record: &ResourceRecord| record.match_qtype(kind);
    if explicit && !packet.answers.iter().any(wanted) {
        process.print(format!("{name} has no {} record\n", text::kind_name(kind)));
    }
    true
}

fn sentence(record: &ResourceRecord) -> String {
    let verb = match &record.rdata {
        RData::A(_) => "has address",
        RData::AAAA(_) => "has IPv6 address",
        RData::CNAME(_) => "is an alias for",
        RData::MX(_) => "mail is handled by",
        RData::NS(_) => "name server",
        RData::PTR(_) => "domain name pointer",
        RData::SOA(_) => "has SOA record",
        RData::SRV(_) => "has SRV record",
        RData::TXT(_) => "descriptive text",
        _ => "has record",
    };
    format!("{} {verb} {}\n", record.name, text::data(&record.rdata))
}
