//! `nslookup` of BIND 9.18, with a name on its command line.
//!
//! Not modelled: interactive use, `-debug`, `-d2`, classes.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag, QTYPE, RCODE, ResourceRecord, TYPE};

use crate::dig::alias;
use crate::dig::lookup::{self, Asking, Reply};
use crate::dig::text::{self, TypeWord};
use crate::hosts::Hosts;
use crate::process::{Process, Running};
use crate::resolver::{arpa, candidates};
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nslookup(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

struct Options {
    kind: Option<QTYPE>,
    search: bool,
    names: Vec<String>,
    asking: Asking,
}

fn parse(process: &mut Process, asking: Asking) -> Done<Options> {
    let mut options = Options { kind: None, search: true, names: Vec::new(), asking };
    for arg in process.args().to_vec() {
        let Some(word) = arg.strip_prefix('-').filter(|word| !word.is_empty()) else {
            options.names.push(arg);
            continue;
        };
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let unmodelled = || Err(Stop::error(1, format!("nslookup: not modelled yet: {arg}\n")));
        let number = value.parse::<u64>().ok();
        match (name, number) {
            ("type" | "ty" | "querytype" | "query" | "q" | "qu", _) => match text::kind(value) {
                TypeWord::Known(kind) => options.kind = Some(kind),
                TypeWord::Unmodelled => return unmodelled(),
                TypeWord::None => process.print(format!("unknown query type: {value}\n")),
            },
            ("port" | "po", Some(port)) => options.asking.port = port as u16,
            ("timeout" | "t", Some(seconds)) => options.asking.timeout = Nanos::from_secs(seconds.max(1)),
            ("retry" | "ret", Some(count)) => options.asking.tries = count as usize + 1,
            ("search" | "sea", _) => options.search = true,
            ("nosearch" | "nosea", _) => options.search = false,
            ("recurse" | "rec", _) => options.asking.flags |= PacketFlag::RECURSION_DESIRED,
            ("norecurse" | "norec", _) => options.asking.flags -= PacketFlag::RECURSION_DESIRED,
            ("vc", _) => options.asking.tcp = true,
            ("novc", _) => options.asking.tcp = false,
            ("debug" | "deb" | "d2" | "class" | "cl" | "all" | "domain" | "srchlist" | "ndots", _) => {
                return unmodelled();
            }
            ("version", _) => return Err(Stop::shown(format!("nslookup {}\n", crate::dig::RELEASE))),
            _ => process.print(format!("*** Invalid option: {word}\n")),
        }
    }
    Ok(options)
}

async fn nslookup(process: &mut Process) -> Done<i32> {
    let conf = lookup::conf(process).await;
    let mut options = parse(process, Asking::of(&conf))?;
    let (name, server) = match options.names.as_slice() {
        [name] => (name.clone(), None),
        [name, server] if name != "-" => (name.clone(), Some(server.clone())),
        _ => return Err(Stop::error(1, "nslookup: not modelled yet: interactive use\n")),
    };
    let from_file = server.is_none();
    if let Some(server) = server {
        let Ok(address) = Hosts::read(process).await.address(process, &server).await else {
            let text = format!("nslookup: couldn't get address for '{server}': not found\n");
            return Err(Stop::error(1, text));
        };
        options.asking.servers = vec![(address, server)];
    }
    if let Ok(address) = name.parse::<Ipv4Addr>() {
        let asked = (arpa(address), QTYPE::TYPE(TYPE::PTR));
        let Some(reply) = ask(process, &options.asking, &asked, from_file).await else { return Ok(1) };
        let packet = read(&reply)?;
        let status = print(process, &packet, &asked.0, false);
        process.print("\n");
        return Ok(status);
    }
    let kind = options.kind.unwrap_or(QTYPE::TYPE(TYPE::A));
    let names = if options.search { candidates(&conf, &name) } else { vec![name.clone()] };
    for (at, candidate) in names.iter().enumerate() {
        let asked = (candidate.clone(), kind);
        let Some(reply) = ask(process, &options.asking, &asked, from_file).await else { return Ok(1) };
        let packet = read(&reply)?;
        if !matches!(packet.rcode(), RCODE::NoError | RCODE::ServerFailure) && at + 1 < names.len() {
            continue;
        }
        return answered(process, (&options, from_file), (&reply, &packet), (&name, candidate)).await;
    }
    Ok(1)
}

fn read(reply: &Reply) -> Done<Packet<'_>> {
    Packet::parse(&reply.bytes).map_err(|_| Stop::error(1, ";; Got bad packet: FORMERR\n"))
}

/// Prints an answer and asks for the name's IPv6 addresses, if no type was asked for.
async fn answered(
    process: &mut Process,
    (options, from_file): (&Options, bool),
    (reply, packet): (&Reply, &Packet<'_>),
    (name, found): (&str, &str),
) -> Done<i32> {
    let (address, user) = &reply.server;
    process.print(format!("Server:\t\t{user}\nAddress:\t{address}#{}\n\n", reply.port));
    let is_own = packet.has_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    if packet.rcode() == RCODE::NoError && !is_own {
        process.print("Non-authoritative answer:\n");
    }
    // What has no answer is named as it was asked for.
    let status = print(process, packet, if packet.rcode() == RCODE::NoError { name } else { found }, true);
    if status != 0 || options.kind.is_some() {
        process.print("\n");
        return Ok(status);
    }
    let mut canonical = found.to_owned();
    for _ in 0..packet.answers.len() {
        match alias(packet, &canonical) {
            Some(target) => canonical = target.to_string(),
            None => break,
        }
    }
    let asked = (canonical, QTYPE::TYPE(TYPE::AAAA));
    let Some(reply) = ask(process, &options.asking, &asked, from_file).await else { return Ok(1) };
    let status = print(process, &read(&reply)?, &asked.0, false);
    process.print("\n");
    Ok(status)
}

/// Asks, and says so if nobody answers.
async fn ask(
    process: &mut Process,
    asking: &Asking,
    what: &(String, QTYPE),
    from_file: bool,
) -> Option<Reply> {
    let reply = match lookup::ask(process, asking, &what.0, what.1).await {
        Ok(reply) => reply,
        Err(unsent) => {
            process.print(if unsent { "\n" } else { ";; no servers could be reached\n\n" });
            return None;
        }
    };
    let packet = Packet::parse(&reply.bytes).ok()?;
    let server = reply.server.0;
    if packet.rcode() == RCODE::ServerFailure {
        process.print(format!(";; Got SERVFAIL reply from {server}\n"));
    } else if from_file && !packet.has_flags(PacketFlag::RECURSION_AVAILABLE) {
        process.print(format!(";; Got recursion not available from {server}\n"));
    }
    Some(reply)
}

/// Prints the records of an answer; the exit status.
fn print(process: &mut Process, packet: &Packet, name: &str, says_none: bool) -> i32 {
    if packet.rcode() != RCODE::NoError {
        process.print(format!("** server can't find {name}: {}\n", text::rcode(packet.rcode())));
        return 1;
    }
    if packet.answers.is_empty() && says_none {
        process.print(format!("*** Can't find {name}: No answer\n"));
    }
    for record in &packet.answers {
        process.print(lines(record));
    }
    0
}

fn lines(record: &ResourceRecord) -> String {
    let (name, data) = (record.name.to_string(), text::data(&record.rdata));
    let verb = match &record.rdata {
        RData::A(_) | RData::AAAA(_) => return format!("Name:\t{name}\nAddress: {data}\n"),
        RData::SOA(soa) => {
            return format!(
                "{name}\n\torigin = {}\n\tmail addr = {}\n\tserial = {}\n\trefresh = {}\n\tretry = {}\n\texpire = {}\n\
                 \tminimum = {}\n",
                soa.mname, soa.rname, soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum
            );
        }
        RData::CNAME(_) => "canonical name",
        RData::MX(_) => "mail exchanger",
        RData::NS(_) => "nameserver",
        RData::PTR(_) => "name",
        RData::SRV(_) => "service",
        RData::TXT(_) => "text",
        _ => "rdata",
    };
    format!("{name}\t{verb} = {data}\n")
}
