//! DNS.

use simple_dns::rdata::{OPT, RData};
use simple_dns::{Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord};

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
    let bytes = p.take(0, length)?;
    let Ok(packet) = Packet::parse(bytes) else {
        nd.truncated();
        return Ok(());
    };
    let verbose = nd.options.verbose;
    let text = match packet.has_flags(PacketFlag::RESPONSE) {
        true => response(&packet, verbose),
        false => query(&packet, verbose),
    };
    nd.put(&format!("{text} ({length})"));
    Ok(())
}

fn query(packet: &Packet, verbose: u8) -> String {
    let flag = |flag: PacketFlag, sign: &'static str| if packet.has_flags(flag) { sign } else { "" };
    let mut text = packet.id().to_string();
    text += flag(PacketFlag::RECURSION_DESIRED, "+");
    text += flag(PacketFlag::CHECKING_DISABLED, "%");
    for (count, usual, name) in [
        (packet.questions.len(), 1, "q"),
        (packet.answers.len(), 0, "a"),
        (packet.name_servers.len(), 0, "n"),
        (additional(packet), 0, "au"),
    ] {
        if count != usual {
            text += &format!(" [{count}{name}]");
        }
    }
    text += &packet.questions.iter().map(question).collect::<Vec<_>>().join(",");
    if verbose > 1 {
        text += &rest(packet, verbose);
    }
    text
}

fn response(packet: &Packet, verbose: u8) -> String {
    let flag = |flag: PacketFlag, sign: &'static str| if packet.has_flags(flag) { sign } else { "" };
    let mut text = packet.id().to_string();
    text += match packet.rcode() {
        RCODE::NoError => "",
        RCODE::FormatError => " FormErr",
        RCODE::ServerFailure => " ServFail",
        RCODE::NameError => " NXDomain",
        RCODE::NotImplemented => " NotImp",
        RCODE::Refused => " Refused",
        _ => " Resp",
    };
    text += flag(PacketFlag::AUTHORITATIVE_ANSWER, "*");
    text += if packet.has_flags(PacketFlag::RECURSION_AVAILABLE) { "" } else { "-" };
    text += flag(PacketFlag::TRUNCATION, "|");
    text += flag(PacketFlag::AUTHENTIC_DATA, "$");
    if packet.questions.len() != 1 {
        text += &format!(" [{}q]", packet.questions.len());
    }
    if verbose > 1 && !packet.questions.is_empty() {
        text += " q:";
        text += &packet.questions.iter().map(question).collect::<Vec<_>>().join(",");
    }
    let (answers, authorities) = (&packet.answers, packet.name_servers.len());
    text += &format!(" {}/{authorities}/{}", answers.len(), additional(packet));
    text += &records(answers, verbose);
    if verbose > 1 {
        text += &rest(packet, verbose);
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
        let name = Name::new_unchecked("web.default.svc.cluster.local");
        let mut packet = Packet::new_query(16574);
        packet.set_flags(PacketFlag::RECURSION_DESIRED | PacketFlag::AUTHENTIC_DATA);
        packet.questions.push(Question::new(name.clone(), TYPE::A.into(), QCLASS::CLASS(CLASS::IN), false));
        assert_eq!(query(&packet, 0), "16574+ A? web.default.svc.cluster.local.");
        let mut packet = packet.into_reply();
        packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
        let address = RData::A(A { address: 0x0a60_0102 });
        packet.answers.push(ResourceRecord::new(name, CLASS::IN, 5, address));
        assert_eq!(response(&packet, 0), "16574*- 1/0/0 A 10.96.1.2");
        assert_eq!(response(&packet, 1), "16574*- 1/0/0 web.default.svc.cluster.local. A 10.96.1.2");
        assert_eq!(
            response(&packet, 2),
            "16574*- q: A? web.default.svc.cluster.local. 1/0/0 web.default.svc.cluster.local. A 10.96.1.2"
        );
        assert_eq!((span(5), span(90_061)), ("5s".to_owned(), "1d1h1m1s".to_owned()));
    }
}
