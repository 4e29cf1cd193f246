//! What a server answers from its zones.

use std::collections::BTreeMap;

use simple_dns::rdata::RData;
use simple_dns::{Packet, PacketFlag, QTYPE, RCODE, TYPE};

use super::config::Order;
use super::zone::{Record, Zone};

/// How many aliases are followed.
const MAX_ALIASES: usize = 16;

/// An answer under way.
#[derive(Clone, Debug)]
pub struct Answer {
    pub rcode: RCODE,
    /// It comes from this server's own zones.
    pub own: bool,
    pub answers: Vec<Record>,
    pub authorities: Vec<Record>,
    pub additional: Vec<Record>,
    /// A name that is in no zone of this server, and is still to be found.
    pub missing: Option<String>,
}

impl Answer {
    /// One with this code and nothing else.
    pub fn of(rcode: RCODE) -> Answer {
        Answer {
            rcode,
            own: false,
            answers: Vec::new(),
            authorities: Vec::new(),
            additional: Vec::new(),
            missing: None,
        }
    }
}

/// The zone of a name: the one with the longest name that ends it.
fn zone_of<'a>(zones: &'a BTreeMap<String, Zone>, name: &str) -> Option<&'a Zone> {
    let mut above = name;
    loop {
        if let Some(zone) = zones.get(above) {
            return Some(zone);
        }
        if above.is_empty() {
            return None;
        }
        above = above.split_once('.').map_or("", |(_, rest)| rest);
    }
}

/// The records of a name in its zone, also by a wildcard; `None`: there is no such name.
fn records(zone: &Zone, name: &str) -> Option<Vec<Record>> {
    if let Some(found) = zone.names.get(name) {
        return Some(found.clone());
    }
    let mut above = name;
    while above != zone.origin {
        above = above.split_once('.').map_or("", |(_, rest)| rest);
        let star = if above.is_empty() { "*".to_owned() } else { format!("*.{above}") };
        if let Some(found) = zone.names.get(&star) {
            let named = |record: &Record| {
                let mut record = record.clone();
                if let Ok(name) = simple_dns::Name::new(name) {
                    record.name = name.into_owned();
                }
                record
            };
            return Some(found.iter().map(named).collect());
        }
        if zone.names.contains_key(above) {
            break;
        }
    }
    None
}

/// The SOA record that goes with an answer that says no.
fn denial(zone: &Zone) -> Option<Record> {
    let mut soa = zone.soa()?.clone();
    if let RData::SOA(data) = &soa.rdata {
        soa.ttl = soa.ttl.min(data.minimum);
    }
    Some(soa)
}

/// Answers a question. `shuffle` puts records of one name in order.
pub fn answer(
    zones: &BTreeMap<String, Zone>,
    (name, kind): (&str, QTYPE),
    recursive: bool,
    mut shuffle: impl FnMut(&mut [Record]),
) -> Answer {
    let mut answer = Answer::of(RCODE::NoError);
    let mut name = name.to_ascii_lowercase();
    for step in 0..MAX_ALIASES {
        let Some(zone) = zone_of(zones, &name) else {
            answer.missing = Some(name);
            return answer;
        };
        answer.own |= step == 0;
        let Some(all) = records(zone, &name) else {
            answer.rcode = RCODE::NameError;
            answer.authorities.extend(denial(zone));
            return answer;
        };
        let mut found: Vec<Record> = all.iter().filter(|record| record.match_qtype(kind)).cloned().collect();
        if !found.is_empty() {
            shuffle(&mut found);
            answer.additional = additional(zones, &found);
            answer.answers.extend(found);
            if !recursive {
                // Only those who ask themselves further are told of the zone's servers.
                let top = zone.names.get(&zone.origin).into_iter().flatten();
                answer.authorities = top.filter(|record| is_server(record)).cloned().collect();
                let more = additional(zones, &answer.authorities);
                answer.additional.extend(more);
            }
            return answer;
        }
        let alias = all.into_iter().find_map(|record| match &record.rdata {
            RData::CNAME(target) => Some((target.to_string().to_ascii_lowercase(), record.clone())),
            _ => None,
        });
        let Some((target, record)) = alias else {
            answer.authorities.extend(denial(zone));
            return answer;
        };
        answer.answers.push(record);
        name = target;
    }
    answer
}

fn is_server(record: &Record) -> bool {
    record.rdata.type_code() == TYPE::NS
}

/// Addresses of the names that records lead to.
fn additional(zones: &BTreeMap<String, Zone>, found: &[Record]) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    for record in found {
        let target = match &record.rdata {
            RData::SRV(srv) => srv.target.to_string(),
            RData::MX(mx) => mx.exchange.to_string(),
            RData::NS(name) => name.to_string(),
            _ => continue,
        };
        let target = target.to_ascii_lowercase();
        let of_target = zone_of(zones, &target).and_then(|zone| zone.names.get(&target));
        let is_address = |record: &&Record| matches!(record.rdata, RData::A(_) | RData::AAAA(_));
        for address in of_target.into_iter().flatten().filter(is_address) {
            if !all.contains(address) {
                all.push(address.clone());
            }
        }
    }
    all
}

/// Puts records in the order that the configuration wants; `below` draws a number below a bound.
pub fn put_in_order(order: Order, records: &mut [Record], mut below: impl FnMut(u64) -> u64) {
    match order {
        Order::None => records.sort_by_key(|record| match &record.rdata {
            RData::A(a) => a.address,
            _ => 0,
        }),
        Order::Random => {
            for last in (1..records.len()).rev() {
                records.swap(last, below(last as u64 + 1) as usize);
            }
        }
    }
}

/// The message of an answer, at most `limit` bytes long: what does not fit is left out, and the message says so.
pub fn message(
    query: &Packet,
    mut answer: Answer,
    opt: Option<Record>,
    recursion: bool,
    limit: usize,
) -> Vec<u8> {
    let mut truncated = false;
    loop {
        let mut packet = Packet::new_reply(query.id());
        packet.questions.clone_from(&query.questions);
        *packet.rcode_mut() = answer.rcode;
        for (flag, set) in [
            (PacketFlag::AUTHORITATIVE_ANSWER, answer.own),
            (PacketFlag::RECURSION_DESIRED, query.has_flags(PacketFlag::RECURSION_DESIRED)),
            (PacketFlag::RECURSION_AVAILABLE, recursion),
            (PacketFlag::TRUNCATION, truncated),
            (PacketFlag::CHECKING_DISABLED, query.has_flags(PacketFlag::CHECKING_DISABLED)),
        ] {
            if set {
                packet.set_flags(flag);
            }
        }
        packet.answers.clone_from(&answer.answers);
        packet.name_servers.clone_from(&answer.authorities);
        packet.additional_records = answer.additional.iter().cloned().chain(opt.clone()).collect();
        // A packet of records that were read can be written.
        let bytes = packet.build_bytes_vec_compressed().unwrap_or_default();
        if bytes.len() <= limit {
            return bytes;
        }
        if answer.additional.pop().is_some() {
            continue;
        }
        truncated = true;
        if answer.authorities.pop().is_none() && answer.answers.pop().is_none() {
            return bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zones() -> BTreeMap<String, Zone> {
        let text = "$TTL 5\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 10.0.0.1\nweb A 10.0.0.2\nweb A 10.0.0.3\nalias CNAME web\n\
                    out CNAME a.b.\na.deep A 10.0.0.4\n*.any A 10.0.0.5\n_http._tcp SRV 0 1 80 web\n";
        let (zone, _) = Zone::parse("x", "z", text).unwrap();
        BTreeMap::from([("x".to_owned(), zone)])
    }

    fn ask(name: &str, kind: TYPE) -> Answer {
        answer(&zones(), (name, QTYPE::TYPE(kind)), true, |_| {})
    }

    #[test]
    fn answers() {
        assert_eq!(ask("WEB.x", TYPE::A).answers.len(), 2);
        assert_eq!(ask("alias.x", TYPE::A).answers.len(), 3);
        assert_eq!(ask("alias.x", TYPE::CNAME).answers.len(), 1);
        assert_eq!(ask("y.any.x", TYPE::A).answers[0].name.to_string(), "y.any.x");
        assert_eq!(ask("_http._tcp.x", TYPE::SRV).additional.len(), 2);
        assert!(answer(&zones(), ("web.x", QTYPE::TYPE(TYPE::A)), false, |_| {}).authorities.len() == 1);
    }

    #[test]
    fn answers_that_say_no() {
        let none = ask("no.x", TYPE::A);
        assert_eq!((none.rcode, none.own, none.authorities.len()), (RCODE::NameError, true, 1));
        for (name, kind) in [("web.x", TYPE::AAAA), ("deep.x", TYPE::A), ("x", TYPE::A)] {
            let empty = ask(name, kind);
            assert_eq!((empty.rcode, empty.authorities.len()), (RCODE::NoError, 1), "{name}");
        }
        assert_eq!(ask("out.x", TYPE::A).missing.as_deref(), Some("a.b"));
        assert_eq!(ask("y", TYPE::A).missing.as_deref(), Some("y"));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let query = Packet::new_query(1);
        let whole = message(&query, ask("_http._tcp.x", TYPE::SRV), None, true, 512);
        let cut = message(&query, ask("web.x", TYPE::A), None, true, 40);
        let packet = Packet::parse(&cut).unwrap();
        assert!(packet.has_flags(PacketFlag::TRUNCATION) && packet.answers.len() == 1);
        assert!(!Packet::parse(&whole).unwrap().has_flags(PacketFlag::TRUNCATION));
    }
}
