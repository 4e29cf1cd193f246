//! Records as BIND's programs write them.

use simple_dns::rdata::RData;
use simple_dns::{Name, QTYPE, RCODE, ResourceRecord, TYPE};

/// Types that can be asked for, by name.
const TYPES: &[(&str, QTYPE)] = &[
    ("A", QTYPE::TYPE(TYPE::A)),
    ("AAAA", QTYPE::TYPE(TYPE::AAAA)),
    ("ANY", QTYPE::ANY),
    ("CNAME", QTYPE::TYPE(TYPE::CNAME)),
    ("MX", QTYPE::TYPE(TYPE::MX)),
    ("NS", QTYPE::TYPE(TYPE::NS)),
    ("PTR", QTYPE::TYPE(TYPE::PTR)),
    ("SOA", QTYPE::TYPE(TYPE::SOA)),
    ("SRV", QTYPE::TYPE(TYPE::SRV)),
    ("TXT", QTYPE::TYPE(TYPE::TXT)),
];

/// Types that exist and are not modelled.
const UNMODELLED: &str = "AFSDB AXFR CAA CDNSKEY CDS CERT DNAME DNSKEY DS HINFO HTTPS IXFR LOC NAPTR NSEC NSEC3 RP RRSIG SSHFP SVCB TLSA URI";

/// What a word says about a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TypeWord {
    /// It is the name of one.
    Known(QTYPE),
    /// It is the name of one that is not modelled.
    Unmodelled,
    /// It is none.
    None,
}

/// Reads the name of a type.
pub fn kind(word: &str) -> TypeWord {
    let upper = word.to_ascii_uppercase();
    match TYPES.iter().find(|(name, _)| *name == upper) {
        Some((_, kind)) => TypeWord::Known(*kind),
        None if UNMODELLED.split(' ').any(|name| name == upper) => TypeWord::Unmodelled,
        None => TypeWord::None,
    }
}

/// The name of a type.
pub fn kind_name(kind: QTYPE) -> String {
    let known = TYPES.iter().find(|(_, known)| *known == kind).map(|(name, _)| (*name).to_owned());
    known.unwrap_or_else(|| format!("TYPE{}", u16::from(kind)))
}

/// The name of a code.
pub fn rcode(code: RCODE) -> &'static str {
    match code {
        RCODE::NoError => "NOERROR",
        RCODE::FormatError => "FORMERR",
        RCODE::ServerFailure => "SERVFAIL",
        RCODE::NameError => "NXDOMAIN",
        RCODE::NotImplemented => "NOTIMP",
        RCODE::Refused => "REFUSED",
        RCODE::YXDOMAIN => "YXDOMAIN",
        RCODE::YXRRSET => "YXRRSET",
        RCODE::NXRRSET => "NXRRSET",
        RCODE::NOTAUTH => "NOTAUTH",
        RCODE::NOTZONE => "NOTZONE",
        RCODE::BADVERS => "BADVERS",
        RCODE::Reserved => "RESERVED",
    }
}

/// A name with its dot at the end.
pub fn absolute(name: &Name) -> String {
    format!("{name}.")
}

/// The data of a record.
pub fn data(data: &RData) -> String {
    match data {
        RData::A(a) => std::net::Ipv4Addr::from_bits(a.address).to_string(),
        RData::AAAA(aaaa) => std::net::Ipv6Addr::from_bits(aaaa.address).to_string(),
        RData::CNAME(name) => absolute(name),
        RData::NS(name) => absolute(name),
        RData::PTR(name) => absolute(name),
        RData::MX(mx) => format!("{} {}", mx.preference, absolute(&mx.exchange)),
        RData::SRV(srv) => {
            format!("{} {} {} {}", srv.priority, srv.weight, srv.port, absolute(&srv.target))
        }
        RData::SOA(soa) => format!(
            "{} {} {} {} {} {} {}",
            absolute(&soa.mname),
            absolute(&soa.rname),
            soa.serial,
            soa.refresh,
            soa.retry,
            soa.expire,
            soa.minimum
        ),
        RData::TXT(txt) => {
            let parts = txt.iter_raw().map(|(key, value)| match value {
                Some(value) => {
                    format!("{}={}", String::from_utf8_lossy(key), String::from_utf8_lossy(value))
                }
                None => String::from_utf8_lossy(key).into_owned(),
            });
            parts.map(|part| format!("{part:?}")).collect::<Vec<_>>().join(" ")
        }
        other => format!("TYPE{}", u16::from(other.type_code())),
    }
}

/// A text with columns at tab stops, as `dns_master_style_debug` has them.
#[derive(Default)]
struct Columns {
    text: String,
    column: usize,
}

impl Columns {
    /// Goes on at a column, or behind a blank where that is over.
    fn at(&mut self, column: usize, word: &str) {
        let to = if self.column >= column { self.column + 1 } else { column };
        let tabs = to / 8 - self.column / 8;
        if tabs > 0 {
            self.text += &"\t".repeat(tabs);
            self.column = to / 8 * 8;
        }
        self.text += &" ".repeat(to - self.column);
        self.text += word;
        self.column = to + word.len();
    }
}

/// A record on a line of its own.
pub fn record(record: &ResourceRecord) -> String {
    let name = absolute(&record.name);
    let mut line = Columns { column: name.len(), text: name };
    line.at(24, &record.ttl.to_string());
    line.at(32, "IN");
    line.at(40, &kind_name(QTYPE::TYPE(record.rdata.type_code())));
    line.at(48, &data(&record.rdata));
    line.text + "\n"
}

/// A question on a line of its own.
pub fn question(name: &Name, kind: QTYPE) -> String {
    let name = format!(";{}", absolute(name));
    let mut line = Columns { column: name.len(), text: name };
    line.at(32, "IN");
    line.at(40, &kind_name(kind));
    line.text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a(name: &'static str) -> String {
        let data = RData::A(simple_dns::rdata::A { address: 0x0a60_0102 });
        record(&ResourceRecord::new(Name::new_unchecked(name), simple_dns::CLASS::IN, 5, data))
    }

    /// Recorded from dig 9.18.
    #[test]
    fn columns_as_dig_sets_them() {
        assert_eq!(a("web.default.svc.cluster.local"), "web.default.svc.cluster.local. 5 IN\tA\t10.96.1.2\n");
        assert_eq!(a("cluster.local"), "cluster.local.\t\t5\tIN\tA\t10.96.1.2\n");
        assert_eq!(a("in.default.svc.cluster.local"), "in.default.svc.cluster.local. 5\tIN\tA\t10.96.1.2\n");
        let long = Name::new_unchecked("_http._tcp.head.default.svc.cluster.local");
        assert_eq!(
            question(&long, QTYPE::TYPE(TYPE::SRV)),
            ";_http._tcp.head.default.svc.cluster.local. IN SRV\n"
        );
        let short = Name::new_unchecked("example.org");
        assert_eq!(question(&short, QTYPE::TYPE(TYPE::A)), ";example.org.\t\t\tIN\tA\n");
    }

    #[test]
    fn words_for_types() {
        assert_eq!(kind("srv"), TypeWord::Known(QTYPE::TYPE(TYPE::SRV)));
        assert_eq!((kind("axfr"), kind("web")), (TypeWord::Unmodelled, TypeWord::None));
    }
}
