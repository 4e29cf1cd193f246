//! `dig` of BIND 9.18, and what it shares with `host` and `nslookup`.
//!
//! | file | owns |
//! |---|---|
//! | `options.rs` | the command line |
//! | `lookup.rs` | questions and answers |
//! | `text.rs` | records as text |
//!
//! Not modelled: DNSSEC, transfers of zones, `+trace`, DNS over TLS and HTTPS.

pub mod lookup;
mod options;
pub mod text;

use chrono::DateTime;
use simple_dns::rdata::RData;
use simple_dns::{Name, Packet, PacketFlag, ResourceRecord};

use crate::hosts::Hosts;
use crate::process::{Process, Running};
use crate::resolver::candidates;
use crate::sock::wall;
use crate::stop::{Done, Stop};
use lookup::{COOKIE, Reply};
use options::{Given, Query, Show};

/// The version that the programs give themselves.
pub const RELEASE: &str = "9.18.49-1~deb12u3-Debian";

/// Exit status if no server answers.
const NO_REPLY: i32 = 9;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { dig(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

async fn dig(process: &mut Process) -> Done<i32> {
    let args = process.args().to_vec();
    let conf = lookup::conf(process).await;
    let mut given = options::parse(&args, lookup::Asking::of(&conf))?;
    process.eprint(std::mem::take(&mut given.warnings));
    let Given { queries, command, .. } = given;
    let mut greeting = greeting(&args, &queries[0], command);
    let mut status = 0;
    for mut query in queries {
        if let Some(name) = query.server.clone().filter(|_| query.asking.servers.is_empty()) {
            match Hosts::read(process).await.address(process, &name).await {
                Ok(address) => query.asking.servers.push((address, name)),
                Err(_) => {
                    return Err(Stop::error(1, format!("dig: couldn't get address for '{name}': failure\n")));
                }
            }
        }
        let names = if query.search { candidates(&conf, &query.name) } else { vec![query.name.clone()] };
        let last = names.len() - 1;
        for (at, name) in names.iter().enumerate() {
            let reply = match lookup::ask(process, &query.asking, name, query.kind).await {
                Ok(reply) => reply,
                Err(unsent) => {
                    if !unsent {
                        process.print(format!(
                            "{}\n;; no servers could be reached\n",
                            std::mem::take(&mut greeting).trim_end_matches('\n')
                        ));
                    }
                    status = NO_REPLY;
                    break;
                }
            };
            let Ok(packet) = Packet::parse(&reply.bytes) else {
                process.print(";; Got bad packet: FORMERR\n");
                status = NO_REPLY;
                break;
            };
            if packet.rcode() != simple_dns::RCODE::NoError && at < last {
                continue;
            }
            print(process, &query.show, &packet, &reply, &mut greeting);
            break;
        }
    }
    Ok(status)
}

/// What is printed before the first answer.
fn greeting(args: &[String], first: &Query, command: bool) -> String {
    if !command || first.show.short {
        return String::new();
    }
    let words: String = args.iter().map(|arg| format!(" {arg}")).collect();
    let found = if first.server.is_some() { "; (1 server found)\n" } else { "" };
    format!("\n; <<>> DiG {RELEASE} <<>>{words}\n{found};; global options: +cmd\n")
}

fn print(process: &mut Process, show: &Show, packet: &Packet, reply: &Reply, greeting: &mut String) {
    if show.short {
        for record in &packet.answers {
            process.print(text::data(&record.rdata) + "\n");
        }
        return;
    }
    process.print(std::mem::take(greeting));
    if show.comments {
        process.print(";; Got answer:\n".to_owned() + &head(packet));
    }
    let opt = packet.opt();
    if let Some(opt) = opt.filter(|_| show.comments) {
        let size = opt.udp_packet_size;
        let mut text = format!(";; OPT PSEUDOSECTION:\n; EDNS: version: 0, flags:; udp: {size}\n");
        for code in opt.opt_codes.iter().filter(|code| code.code == COOKIE) {
            let hex: String = code.data.iter().map(|byte| format!("{byte:02x}")).collect();
            let good = code.data.len() > reply.cookie.len() && code.data.starts_with(&reply.cookie);
            text += &format!("; COOKIE: {hex}{}\n", if good { " (good)" } else { "" });
        }
        process.print(text);
    }
    let section = |process: &mut Process, title: &str, lines: String| match (lines.is_empty(), show.comments)
    {
        (true, _) => {}
        (false, true) => process.print(format!(";; {title} SECTION:\n{lines}\n")),
        (false, false) => process.print(lines),
    };
    let lines = |records: &[ResourceRecord]| records.iter().map(text::record).collect::<String>();
    if show.question {
        let questions = packet.questions.iter().map(|asked| text::question(&asked.qname, asked.qtype));
        section(process, "QUESTION", questions.collect());
    }
    for (title, shown, records) in [
        ("ANSWER", show.answer, &packet.answers),
        ("AUTHORITY", show.authority, &packet.name_servers),
        ("ADDITIONAL", show.additional, &packet.additional_records),
    ] {
        section(process, title, if shown { lines(records) } else { String::new() });
    }
    if show.stats {
        stats(process, reply);
    }
}

/// The header of an answer.
fn head(packet: &Packet) -> String {
    let mut text = String::new();
    if packet.questions.iter().any(|asked| is_dot_local(&asked.qname)) {
        text += ";; WARNING: .local is reserved for Multicast DNS\n\
                 ;; You are currently testing what happens when an mDNS query is leaked to DNS\n";
    }
    let status = text::rcode(packet.rcode());
    text += &format!(";; ->>HEADER<<- opcode: QUERY, status: {status}, id: {}\n;; flags:", packet.id());
    text += &flags(packet);
    text += &counts(packet);
    let asked = packet.has_flags(PacketFlag::RECURSION_DESIRED);
    if asked && !packet.has_flags(PacketFlag::RECURSION_AVAILABLE) {
        text += ";; WARNING: recursion requested but not available\n";
    }
    text + "\n"
}

/// The flags of a message, each behind a blank.
pub fn flags(packet: &Packet) -> String {
    let names = [
        (PacketFlag::RESPONSE, " qr"),
        (PacketFlag::AUTHORITATIVE_ANSWER, " aa"),
        (PacketFlag::TRUNCATION, " tc"),
        (PacketFlag::RECURSION_DESIRED, " rd"),
        (PacketFlag::RECURSION_AVAILABLE, " ra"),
        (PacketFlag::AUTHENTIC_DATA, " ad"),
        (PacketFlag::CHECKING_DISABLED, " cd"),
    ];
    names.into_iter().filter(|(flag, _)| packet.has_flags(*flag)).map(|(_, name)| name).collect()
}

/// How many records each section has, to the end of the line.
pub fn counts(packet: &Packet) -> String {
    format!(
        "; QUERY: {}, ANSWER: {}, AUTHORITY: {}, ADDITIONAL: {}\n",
        packet.questions.len(),
        packet.answers.len(),
        packet.name_servers.len(),
        packet.additional_records.len() + usize::from(packet.opt().is_some())
    )
}

fn is_dot_local(name: &Name) -> bool {
    name.get_labels().len() > 1 && name.is_link_local()
}

fn stats(process: &mut Process, reply: &Reply) {
    let (address, named) = &reply.server;
    let seconds = wall(process.now()) / 1_000_000_000;
    let when = DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
    process.print(format!(
        ";; Query time: {} msec\n;; SERVER: {address}#{}({named}) ({})\n;; WHEN: {}\n;; MSG SIZE  rcvd: {}\n\n",
        reply.took.0 / 1_000_000,
        reply.port,
        if reply.tcp { "TCP" } else { "UDP" },
        when.format("%a %b %d %H:%M:%S UTC %Y"),
        reply.bytes.len()
    ));
}

/// The target of the alias of a name in an answer.
pub fn alias<'a>(packet: &'a Packet, name: &str) -> Option<&'a Name<'a>> {
    packet.answers.iter().find_map(|record| match &record.rdata {
        RData::CNAME(target) if record.name.to_string().eq_ignore_ascii_case(name) => Some(&target.0),
        _ => None,
    })
}
