//! Zone files (RFC 1035, section 5).

use std::collections::BTreeMap;

use simple_dns::rdata::{A, AAAA, CNAME, MX, NS, PTR, RData, SOA, SRV, TXT};
use simple_dns::{CLASS, CharacterString, Name, ResourceRecord, TYPE};

/// A record that is kept.
pub type Record = ResourceRecord<'static>;

/// A zone. Names are in lower case and without a dot at the end.
#[derive(Clone, Debug, PartialEq)]
pub struct Zone {
    /// Its name.
    pub origin: String,
    /// Records by name; a name that only has names below it has none.
    pub names: BTreeMap<String, Vec<Record>>,
    /// Its serial number.
    pub serial: u32,
}

/// A zone that was not loaded: what is logged of it.
pub type NotLoaded = Vec<String>;

struct Reader<'a> {
    file: &'a str,
    zone: &'a str,
    origin: String,
    ttl: Option<u32>,
    owner: Option<String>,
    records: Vec<(usize, Record)>,
    log: Vec<String>,
}

/// The words of a record, and whether it begins with a blank.
struct Line {
    number: usize,
    words: Vec<(String, bool)>,
    indented: bool,
}

impl Zone {
    /// Reads the text of a zone's file; what is logged of it, too.
    ///
    /// # Errors
    ///
    /// What is logged if the zone cannot be loaded.
    pub fn parse(zone: &str, file: &str, text: &str) -> Result<(Zone, Vec<String>), NotLoaded> {
        let mut reader = Reader {
            file,
            zone,
            origin: zone.to_owned(),
            ttl: None,
            owner: None,
            records: Vec::new(),
            log: Vec::new(),
        };
        let read =
            lines(file, text).and_then(|lines| lines.into_iter().try_for_each(|line| reader.line(line)));
        if let Err((what, why)) = read {
            reader.log.push(what);
            let shown = shown(zone);
            reader.log.push(format!("zone {shown}/IN: loading from master file {file} failed: {why}"));
            return Err(reader.not_loaded());
        }
        reader.finish()
    }

    /// The record that starts it.
    pub fn soa(&self) -> Option<&Record> {
        self.names.get(&self.origin)?.iter().find(|record| record.rdata.type_code() == TYPE::SOA)
    }
}

/// The name of a zone as BIND logs it.
pub fn shown(zone: &str) -> &str {
    if zone.is_empty() { "." } else { zone }
}

/// What is logged of a line, and the error's name.
type Wrong = (String, &'static str);

/// Joins lines between parentheses, without comments.
fn lines(file: &str, text: &str) -> Result<Vec<Line>, Wrong> {
    let mut all: Vec<Line> = Vec::new();
    let mut deep = false;
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        if !deep {
            all.push(Line { number, words: Vec::new(), indented: line.starts_with([' ', '\t']) });
        }
        let Some(open) = all.last_mut() else { continue };
        let mut rest = line.chars().peekable();
        while let Some(letter) = rest.next() {
            match letter {
                ';' => break,
                '(' => deep = true,
                ')' => deep = false,
                '"' => {
                    let word: String = std::iter::from_fn(|| rest.next_if(|c| *c != '"')).collect();
                    if rest.next().is_none() {
                        let what = format!("dns_rdata_fromtext: {file}:{number}: unbalanced quotes");
                        return Err((what, "unbalanced quotes"));
                    }
                    open.words.push((word, true));
                }
                letter if letter.is_whitespace() => {}
                letter => {
                    let ends = |c: &char| c.is_whitespace() || ";()\"".contains(*c);
                    let tail: String = std::iter::from_fn(|| rest.next_if(|c| !ends(c))).collect();
                    open.words.push((format!("{letter}{tail}"), false));
                }
            }
        }
        open.number = number;
    }
    if deep {
        let number = text.lines().count() + 1;
        let what = format!("dns_rdata_fromtext: {file}:{number}: near eof: unbalanced parentheses");
        return Err((what, "unbalanced parentheses"));
    }
    all.retain(|line| !line.words.is_empty());
    Ok(all)
}

/// Seconds, also as weeks, days, hours and minutes: `1h30m`.
fn seconds(text: &str) -> Option<u32> {
    if let Ok(plain) = text.parse() {
        return Some(plain);
    }
    let (mut sum, mut digits) = (0u32, String::new());
    for letter in text.chars() {
        if letter.is_ascii_digit() {
            digits.push(letter);
            continue;
        }
        let unit = match letter.to_ascii_lowercase() {
            'w' => 604_800,
            'd' => 86_400,
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        sum = sum.checked_add(digits.parse::<u32>().ok()?.checked_mul(unit)?)?;
        digits.clear();
    }
    digits.is_empty().then_some(sum)
}

impl Reader<'_> {
    fn not_loaded(mut self) -> NotLoaded {
        self.log.push(format!("zone {}/IN: not loaded due to errors.", shown(self.zone)));
        self.log
    }

    fn line(&mut self, line: Line) -> Result<(), Wrong> {
        let (file, number) = (self.file, line.number);
        let mut words = line.words.iter().map(|(word, _)| word.as_str());
        let first = line.words[0].0.as_str();
        if first.starts_with('$') && !line.indented {
            words.next();
            let value = words.next().unwrap_or_default();
            match first.to_ascii_uppercase().as_str() {
                "$ORIGIN" => self.origin = self.name(value, number)?,
                "$TTL" => {
                    let bad =
                        || (format!("dns_master_load: {file}:{number}: near '{value}': bad TTL"), "bad ttl");
                    self.ttl = Some(seconds(value).ok_or_else(bad)?);
                }
                _ => {
                    let what = format!("dns_master_load: {file}:{number}: unknown $ directive '{first}'");
                    return Err((what, "syntax error"));
                }
            }
            return Ok(());
        }
        let mut at = 0;
        if !line.indented {
            self.owner = Some(self.name(first, number)?);
            at = 1;
        }
        let Some(owner) = self.owner.clone() else {
            return Err((format!("dns_master_load: {file}:{number}: no current owner name"), "no owner"));
        };
        let mut ttl = None;
        // The TTL and the class, in any order.
        while let Some((word, false)) = line.words.get(at) {
            if word.eq_ignore_ascii_case("IN") {
                at += 1;
            } else if ttl.is_none()
                && word.starts_with(|c: char| c.is_ascii_digit())
                && seconds(word).is_some()
            {
                ttl = seconds(word);
                at += 1;
            } else {
                break;
            }
        }
        self.record((number, owner, ttl), &line.words[at.min(line.words.len())..])
    }

    /// A name, absolute.
    fn name(&self, text: &str, number: usize) -> Result<String, Wrong> {
        let label = |text: &str| {
            text.trim_end_matches('.').split('.').any(str::is_empty) && text != "." && !text.is_empty()
        };
        if label(text) {
            return Err((format!("dns_master_load: {}:{number}: empty label", self.file), "empty label"));
        }
        let lower = text.to_ascii_lowercase();
        Ok(match (lower.as_str(), self.origin.as_str()) {
            ("@", origin) => origin.to_owned(),
            (name, _) if name.ends_with('.') => name.trim_end_matches('.').to_owned(),
            (name, "") => name.to_owned(),
            (name, origin) => format!("{name}.{origin}"),
        })
    }

    fn record(
        &mut self,
        (number, owner, ttl): (usize, String, Option<u32>),
        words: &[(String, bool)],
    ) -> Result<(), Wrong> {
        let file = self.file;
        let Some(((kind, _), data)) = words.split_first() else {
            return Err((
                format!("dns_master_load: {file}:{number}: unexpected end of line"),
                "unexpected end of input",
            ));
        };
        let data: Vec<&str> = data.iter().map(|(word, _)| word.as_str()).collect();
        let rdata = self.data(kind, &data, number)?;
        let is_inside = owner == self.zone
            || self.zone.is_empty()
            || owner.strip_suffix(self.zone).is_some_and(|rest| rest.ends_with('.'));
        if !is_inside {
            self.log.push(format!("{file}:{number}: ignoring out-of-zone data ({owner})"));
            return Ok(());
        }
        let ttl = match (ttl.or(self.ttl), &rdata) {
            (Some(ttl), _) => ttl,
            (None, RData::SOA(soa)) => {
                self.log.push(format!("{file}:{number}: no TTL specified; using SOA MINTTL instead"));
                *self.ttl.insert(soa.minimum)
            }
            (None, _) => {
                return Err((format!("dns_master_load: {file}:{number}: no TTL specified"), "no ttl"));
            }
        };
        let same = |record: &Record| record.name.to_string() == owner;
        let others: Vec<&Record> =
            self.records.iter().map(|(_, record)| record).filter(|record| same(record)).collect();
        let is_alias = |record: &Record| record.rdata.type_code() == TYPE::CNAME;
        let alias = rdata.type_code() == TYPE::CNAME;
        if alias && others.iter().any(|other| other.rdata != rdata)
            || !alias && others.iter().any(|o| is_alias(o))
        {
            let what = format!("dns_master_load: {file}:{number}: {owner}: CNAME and other data");
            return Err((what, "CNAME and other data"));
        }
        if others.iter().any(|other| other.rdata == rdata) {
            return Ok(());
        }
        let name = self.dns_name(&owner, number)?;
        self.records.push((number, Record::new(name, CLASS::IN, ttl, rdata)));
        Ok(())
    }

    fn dns_name(&self, text: &str, number: usize) -> Result<Name<'static>, Wrong> {
        let long = || (format!("dns_master_load: {}:{number}: label too long", self.file), "label too long");
        Name::new(text).map(Name::into_owned).map_err(|_| long())
    }

    /// The data of a record.
    fn data(&self, kind: &str, words: &[&str], number: usize) -> Result<RData<'static>, Wrong> {
        let file = self.file;
        let near = |word: &str, why: &'static str| {
            (format!("dns_rdata_fromtext: {file}:{number}: near '{word}': {why}"), why)
        };
        let upper = kind.to_ascii_uppercase();
        let count = match upper.as_str() {
            "A" | "AAAA" | "CNAME" | "NS" | "PTR" => 1,
            "MX" => 2,
            "SRV" => 4,
            "SOA" => 7,
            "TXT" => words.len().max(1),
            _ => return Err((format!("{file}:{number}: unknown RR type '{kind}'"), "unknown class/type")),
        };
        if words.len() < count {
            return Err(near("eol", "unexpected end of input"));
        }
        if let Some(extra) = words.get(count) {
            return Err(near(extra, "extra input text"));
        }
        let name = |at: usize| self.dns_name(&self.name(words[at], number)?, number);
        let integer = |at: usize, most: u32| match words[at].parse::<u32>() {
            Ok(number) if number <= most => Ok(number),
            Ok(_) => Err(near(words[at], "out of range")),
            Err(_) => Err(near(words[at], "not a valid number")),
        };
        let small = |at: usize| integer(at, u32::from(u16::MAX)).map(|number| number as u16);
        let time = |at: usize| seconds(words[at]).ok_or_else(|| near(words[at], "bad ttl"));
        Ok(match upper.as_str() {
            "A" => {
                let address: std::net::Ipv4Addr =
                    words[0].parse().map_err(|_| near(words[0], "bad dotted quad"))?;
                RData::A(A { address: address.to_bits() })
            }
            "AAAA" => {
                let address: std::net::Ipv6Addr =
                    words[0].parse().map_err(|_| near(words[0], "bad IPv6 address"))?;
                RData::AAAA(AAAA { address: address.to_bits() })
            }
            "CNAME" => RData::CNAME(CNAME(name(0)?)),
            "NS" => RData::NS(NS(name(0)?)),
            "PTR" => RData::PTR(PTR(name(0)?)),
            "MX" => RData::MX(MX { preference: small(0)?, exchange: name(1)? }),
            "SRV" => {
                RData::SRV(SRV { priority: small(0)?, weight: small(1)?, port: small(2)?, target: name(3)? })
            }
            "SOA" => RData::SOA(SOA {
                mname: name(0)?,
                rname: name(1)?,
                serial: integer(2, u32::MAX)?,
                refresh: time(3)? as i32,
                retry: time(4)? as i32,
                expire: time(5)? as i32,
                minimum: time(6)?,
            }),
            _ => {
                let mut txt = TXT::new();
                for word in words {
                    let part =
                        CharacterString::new(word.as_bytes()).map_err(|_| near(word, "text too long"))?;
                    txt.add_char_string(part.into_owned());
                }
                RData::TXT(txt.into_owned())
            }
        })
    }

    fn finish(mut self) -> Result<(Zone, Vec<String>), NotLoaded> {
        let (zone, is_at_top) = (shown(self.zone), |record: &&Record| record.name.to_string() == self.zone);
        let of_kind = |kind: TYPE| {
            let all = self.records.iter().map(|(_, record)| record).filter(is_at_top);
            all.filter(|record| record.rdata.type_code() == kind).collect::<Vec<_>>()
        };
        let (starts, servers) = (of_kind(TYPE::SOA), of_kind(TYPE::NS).len());
        let serial = match starts.as_slice() {
            [Record { rdata: RData::SOA(soa), .. }] => Some(soa.serial),
            _ => None,
        };
        let count = starts.len();
        if serial.is_none() {
            self.log.push(format!("zone {zone}/IN: has {count} SOA records"));
        }
        if servers == 0 {
            self.log.push(format!("zone {zone}/IN: has no NS records"));
        }
        let delegated = self
            .records
            .iter()
            .find(|(_, record)| record.rdata.type_code() == TYPE::NS && record.name.to_string() != self.zone);
        if let Some((number, _)) = delegated {
            self.log.push(format!(
                "{}:{number}: not modelled yet: delegation (NS below a zone's top)",
                self.file
            ));
        }
        let delegates = delegated.is_some();
        let Some(serial) = serial.filter(|_| servers > 0 && !delegates) else {
            return Err(self.not_loaded());
        };
        let mut names: BTreeMap<String, Vec<Record>> = BTreeMap::new();
        for (_, record) in self.records {
            let name = record.name.to_string();
            let mut above = name.as_str();
            while above != self.zone {
                names.entry(above.to_owned()).or_default();
                above = above.split_once('.').map_or("", |(_, rest)| rest);
            }
            names.entry(name).or_default().push(record);
        }
        self.log.push(format!("zone {zone}/IN: loaded serial {serial}"));
        Ok((Zone { origin: self.zone.to_owned(), names, serial }, self.log))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: &str =
        "$TTL 5\n@ IN SOA ns.x. h.x. (\n 1 ; serial\n 2h 30m 1d 5 )\n@ NS ns.x.\nns A 10.0.0.1\n";

    #[test]
    fn a_zone() {
        let text = format!(
            "{START}\n_http._tcp.web 30 SRV 0 100 80 ns\n   TXT \"a;b\" c\n$ORIGIN sub.x.\n@ A 10.0.0.2\n"
        );
        let (zone, log) = Zone::parse("x", "z", &text).unwrap();
        assert_eq!(log, ["zone x/IN: loaded serial 1"]);
        let names: Vec<&str> = zone.names.keys().map(String::as_str).collect();
        assert_eq!(names, ["_http._tcp.web.x", "_tcp.web.x", "ns.x", "sub.x", "web.x", "x"]);
        let of_web = &zone.names["_http._tcp.web.x"];
        assert_eq!((of_web.len(), of_web[0].ttl, of_web[1].ttl), (2, 30, 5));
        assert!(zone.soa().is_some());
    }

    /// Recorded from BIND 9.18.
    #[test]
    fn what_is_wrong_is_logged_as_bind_does() {
        let failed = |why: &str| format!("zone x/IN: loading from master file z failed: {why}");
        for (line, first, why) in [
            ("a A 10.0.0\n", "dns_rdata_fromtext: z:8: near '10.0.0': bad dotted quad", "bad dotted quad"),
            ("a FOO 10.0.0\n", "z:8: unknown RR type 'FOO'", "unknown class/type"),
            ("a A 10.0.0.1 7\n", "dns_rdata_fromtext: z:8: near '7': extra input text", "extra input text"),
            ("a SRV 0 0 99999 b\n", "dns_rdata_fromtext: z:8: near '99999': out of range", "out of range"),
            ("ns CNAME b\n", "dns_master_load: z:8: ns.x: CNAME and other data", "CNAME and other data"),
            ("$FOO a\n", "dns_master_load: z:8: unknown $ directive '$FOO'", "syntax error"),
            ("a..b A 1.2.3.4\n", "dns_master_load: z:8: empty label", "empty label"),
            ("a TXT \"abc\n", "dns_rdata_fromtext: z:8: unbalanced quotes", "unbalanced quotes"),
            (
                "a SRV ( 0 0 9\n",
                "dns_rdata_fromtext: z:9: near eof: unbalanced parentheses",
                "unbalanced parentheses",
            ),
        ] {
            let log = Zone::parse("x", "z", &format!("{START}\n{line}")).unwrap_err();
            assert_eq!(log, [first, &failed(why), "zone x/IN: not loaded due to errors."], "{line}");
        }
        let log = Zone::parse("x", "z", "$TTL 5\na A 10.0.0.1\n").unwrap_err();
        assert_eq!(log[..2], ["zone x/IN: has 0 SOA records", "zone x/IN: has no NS records"]);
    }

    #[test]
    fn spans_of_time() {
        assert_eq!(
            (seconds("1h30m"), seconds("7"), seconds("x"), seconds("1h3")),
            (Some(5400), Some(7), None, None)
        );
    }
}
