//! DNS.

use simple_dns::rdata::{OPT, RData};
use simple_dns::{Packet, PacketFlag, QTYPE, Question, ResourceRecord};

use super::Nd;
use super::bytes::{Bytes, Print};
use crate::dig::lookup::COOKIE;
use crate::dig::text::{absolute, data, kind_name};

/// The port of name servers.
pub const PORT: u16 = 53;

/// Prints a message of so many bytes.
///
/// Not modelled: parts of a message that was cut short, and what is in records of rarer types.
pub fn domain(nd: &mut Nd, p: Bytes, length: usize) -> Print {
    nd.protocol = "domain";
    if length < HEADER {
        nd.put(&format!("domain [length {length} < {HEADER}] (invalid)"));
        return Ok(());
    }
    let bytes = p.take(0, length)?;
    nd.put(&header(bytes));
    match Packet::parse(bytes) {
        Ok(packet) => nd.put(&format!("{} ({length})", body(&packet, nd.options.verbose))),
        Err(_) => nd.truncated(),
    }
    Ok(())
}

/// What follows the header.
fn body(packet: &Packet, verbose: u8) -> String {
    let questions = || packet.questions.iter().map(question).collect::<Vec<_>>().join(",");
    let mut text = String::new();
    if !packet.has_flags(PacketFlag::RESPONSE) {
        text += &questions();
    } else {
        if verbose > 1 && !packet.questions.is_empty() {
            text += &format!(" q:{}", questions());
        }
        let counts = (packet.answers.len(), packet.name_servers.len(), additional(packet));
        text += &format!(" {}/{}/{}", counts.0, counts.1, counts.2);
        text += &records(&packet.answers, verbose);
    }
    if verbose > 1 {
        text += &rest(packet, verbose);
    }
    text
}

/// Length of a message's header, bytes.
const HEADER: usize = 12;

/// What the header says, without the numbers of records of a response.
fn header(bytes: &[u8]) -> String {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let flags = word(2);
    let flag = |mask: u16, sign: &'static str| if flags & mask != 0 { sign } else { "" };
    let mut text = word(0).to_string();
    text += &match flags >> 11 & 0xf {
        0 => String::new(),
        1 => " inv_q".to_owned(),
        2 => " stat".to_owned(),
        4 => " notify".to_owned(),
        5 => " update".to_owned(),
        other => format!(" op{other}"),
    };
    let [questions, answers, authorities, additional] = [4, 6, 8, 10].map(word);
    if flags & 0x8000 == 0 {
        text += flag(0x0100, "+");
        text += flag(0x0010, "%");
        if flags & 0x06cf != 0 {
            text += &format!(" [b2&3=0x{flags:x}]");
        }
        let counts = [(answers, 0, "a"), (questions, 1, "q"), (authorities, 0, "n"), (additional, 0, "au")];
        for (count, usual, name) in counts {
            if count != usual {
                text += &format!(" [{count}{name}]");
            }
        }
        return text;
    }
    let codes = [
        "",
        " FormErr",
        " ServFail",
        " NXDomain",
        " NotImp",
        " Refused",
        " YXDomain",
        " YXRRSet",
        " NXRRSet",
        " NotAuth",
        " NotZone",
    ];
    let code = usize::from(flags & 0xf);
    text += &codes.get(code).map_or_else(|| format!(" Resp{code}"), |name| (*name).to_owned());
    text += flag(0x0400, "*");
    text += if flags & 0x0080 == 0 { "-" } else { "" };
    text += flag(0x0200, "|");
    text += flag(0x0020, "$");
    if questions != 1 {
        text += &format!(" [{questions}q]");
    }
    text
}

/// Records of the last section, with that of EDNS.
fn additional(packet: &Packet) -> usize {
    packet.additional_records.len() + usize::from(packet.opt().is_some())
}

fn question(question: &Question) -> String {
    format!(" {}? {}", kind(question.qtype), absolute(&question.qname))
}

fn kind(kind: QTYPE) -> String {
    kind_name(kind).replace("TYPE", "Type")
}

/// The sections behind the answers.
fn rest(packet: &Packet, verbose: u8) -> String {
    let mut text = String::new();
    if !packet.name_servers.is_empty() {
        text += " ns:";
        text += &records(&packet.name_servers, verbose);
    }
    if additional(packet) > 0 {
        text += " ar:";
        text += &records(&packet.additional_records, verbose);
        if let Some(opt) = packet.opt() {
            text += if packet.additional_records.is_empty() { "" } else { "," };
            text += &edns(opt);
        }
    }
    text
}

fn records(records: &[ResourceRecord], verbose: u8) -> String {
    records.iter().map(|one| record(one, verbose)).collect::<Vec<_>>().join(",")
}

fn record(record: &ResourceRecord, verbose: u8) -> String {
    let mut text = String::new();
    if verbose > 0 {
        text += &format!(" {}", absolute(&record.name));
    }
    if verbose > 2 {
        text += &format!(" [{}]", span(record.ttl));
    }
    text += &format!(" {}", kind(QTYPE::TYPE(record.rdata.type_code())));
    text += &match &record.rdata {
        RData::SOA(_) if verbose == 0 => String::new(),
        RData::MX(mx) => format!(" {} {}", absolute(&mx.exchange), mx.preference),
        RData::SRV(srv) => {
            format!(" {}:{} {} {}", absolute(&srv.target), srv.port, srv.priority, srv.weight)
        }
        other => format!(" {}", data(other)),
    };
    text
}

fn edns(opt: &OPT) -> String {
    let mut text = format!(" . OPT UDPsize={}", opt.udp_packet_size);
    for code in opt.opt_codes.iter().filter(|code| code.code == COOKIE) {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let (client, server) = code.data.split_at(code.data.len().min(8));
        text += &format!(" [COOKIE {}", hex(client));
        if !server.is_empty() {
            text += &format!(" {}", hex(server));
        }
        text += "]";
    }
    text
}

/// Seconds as weeks, days, hours, minutes and seconds.
fn span(mut seconds: u32) -> String {
    if seconds == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, length) in [("w", 604_800), ("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)] {
        if seconds >= length {
            text += &format!("{}{unit}", seconds / length);
            seconds %= length;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use simple_dns::rdata::A;
    use simple_dns::{CLASS, Name, QCLASS, TYPE};

    use super::*;

    /// Recorded from tcpdump 4.99.3.
    #[test]
    fn messages_as_tcpdump_prints_them() {
        let shown = |packet: &Packet, verbose| {
            let bytes = packet.build_bytes_vec().expect("a message");
            format!("{}{}", header(&bytes), body(packet, verbose))
        };
        let name = Name::new_unchecked("web.default.svc.cluster.local");
        let mut packet = Packet::new_query(16574);
        packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::AUTHENTIC_DATA);
        packet.questions.push(Question::new(name.clone(), TYPE::A.into(), QCLASS::CLASS(CLASS::IN), false));
        assert_eq!(shown(&packet, 0), "16574+ A? web.default.svc.cluster.local.");
        let mut packet = packet.into_reply();
        packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        let address = RData::A(A { address: 0x0a60_0102 });
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 5, address));
        assert_eq!(shown(&packet, 0), "16574*- 1/0/0 A 10.96.1.2");
        assert_eq!(shown(&packet, 1), "16574*- 1/0/0 web.default.svc.cluster.local. A 10.96.1.2");
        assert_eq!(
            shown(&packet, 2),
            "16574*- q: A? web.default.svc.cluster.local. 1/0/0 web.default.svc.cluster.local. A 10.96.1.2"
        );
        for (flags, questions, text) in [
            (0x0500, 1, "7+ [b2&3=0x500]"),
            (0x2800, 0, "7 update [0q]"),
            (0x8583, 1, "7 NXDomain*"),
            (0x81a0, 0, "7$ [0q]"),
            (0x8f0b, 1, "7 inv_q Resp11*-|"),
        ] {
            let words: [u16; 6] = [7, flags, questions, 0, 0, 0];
            assert_eq!(header(&words.map(u16::to_be_bytes).concat()), text);
        }
        assert_eq!(header(b"123456789012"), "12594 op6+% [b2&3=0x3334] [14136a] [13622q] [14640n] [12594au]");
        assert_eq!((span(5), span(90_061)), ("5s".to_owned(), "1d1h1m1s".to_owned()));
    }
}
