//! Parsing of the options of `create`, `add`, `del` and `test`.

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::ipset::ip_set_core::NewSet;
use glassnet_kernel::tables::ipset::types::{Adt, Range, Request, SetType};

use super::elem::{parse_ip, parse_ports};
use super::words::{address, cidr, number, port, split};
use super::{Fail, not_modelled, syntax};
use crate::hosts::Hosts;

/// Maximum timeout, seconds.
const MAX_TIMEOUT: u64 = 2_147_483;
/// Maximum length of a comment, bytes.
const MAX_COMMENT: usize = 255;

/// Names of types, with older aliases.
const TYPES: &[(&str, SetType)] = &[
    ("hash:ip", SetType::HashIp),
    ("iphash", SetType::HashIp),
    ("hash:net", SetType::HashNet),
    ("nethash", SetType::HashNet),
    ("hash:ip,port", SetType::HashIpPort),
    ("ipporthash", SetType::HashIpPort),
    ("hash:ip,port,ip", SetType::HashIpPortIp),
    ("ipportiphash", SetType::HashIpPortIp),
    ("hash:ip,port,net", SetType::HashIpPortNet),
    ("ipportnethash", SetType::HashIpPortNet),
    ("hash:net,port", SetType::HashNetPort),
    ("netporthash", SetType::HashNetPort),
    ("hash:net,iface", SetType::HashNetIface),
    ("netifacehash", SetType::HashNetIface),
    ("bitmap:ip", SetType::BitmapIp),
    ("ipmap", SetType::BitmapIp),
    ("bitmap:port", SetType::BitmapPort),
    ("portmap", SetType::BitmapPort),
    ("list:set", SetType::ListSet),
    ("setlist", SetType::ListSet),
];

/// Types that are not modelled.
const OTHER_TYPES: &[&str] = &[
    "hash:mac",
    "hash:ip,mac",
    "hash:ip,mark",
    "hash:net,net",
    "hash:net,port,net",
    "bitmap:ip,mac",
    "machash",
    "ipmachash",
    "ipmarkhash",
    "netnethash",
    "netportnethash",
    "macipmap",
];

/// The type of this name.
pub fn type_by_name(name: &str) -> Option<SetType> {
    TYPES.iter().find(|(known, _)| *known == name).map(|(_, set_type)| *set_type)
}

/// Whether the type of kernel module `ip_set_MODULE` is modelled; `None`: there is no such type.
pub fn is_type_modelled(module: &str) -> Option<bool> {
    let is_it = |name: &str| name.replace(':', "_").replace(',', "") == module;
    match TYPES.iter().any(|(name, _)| is_it(name)) {
        true => Some(true),
        false => OTHER_TYPES.iter().any(|name| is_it(name)).then_some(false),
    }
}

/// Options after the mandatory arguments.
struct Rest<'a> {
    words: std::slice::Iter<'a, String>,
    seen: Vec<&'a str>,
}

impl<'a> Rest<'a> {
    fn new(words: &'a [String]) -> Rest<'a> {
        Rest { words: words.iter(), seen: Vec::new() }
    }

    /// The argument of an option, which may be given once.
    fn value(&mut self, option: &'a str) -> Result<&'a str, Fail> {
        let Some(value) = self.words.next() else {
            return Err(Fail::Parameter(format!("Missing mandatory argument of option `{option}'")));
        };
        if self.seen.contains(&option) {
            return syntax(format!("{option} already specified"));
        }
        self.seen.push(option);
        Ok(value)
    }

    fn number(&mut self, option: &'a str, max: u64) -> Result<u64, Fail> {
        number(self.value(option)?, 0, max)
    }
}

fn unknown<T>(word: &str) -> Result<T, Fail> {
    Err(Fail::Parameter(format!("Unknown argument: `{word}'")))
}

/// Parses the options of `create`. Adds notes about options of older versions to `warnings`.
pub fn create(type_name: &str, words: &[String], warnings: &mut String) -> Result<NewSet, Fail> {
    let Some(set_type) = type_by_name(type_name) else {
        return match OTHER_TYPES.contains(&type_name) {
            true => not_modelled(format!("create: set type {type_name}")),
            false => syntax(format!("typename '{type_name}' is unknown")),
        };
    };
    let mut new = NewSet::new(set_type);
    let mut rest = Rest::new(words);
    let mut ends = Ends::default();
    while let Some(typed) = rest.words.next() {
        // As older versions had them.
        let word = typed.strip_prefix("--").unwrap_or(typed);
        if common(word, &mut rest, &mut new)? {
            continue;
        }
        let is_known = match set_type {
            SetType::ListSet => list_option(word, &mut rest, &mut new)?,
            SetType::BitmapIp | SetType::BitmapPort => bitmap_option(word, &mut rest, &mut new, &mut ends)?,
            _ => {
                hash_option(word, &mut rest, &mut new)?
                    || ignored_option(word, &mut rest, set_type, warnings)?
            }
        };
        if !is_known {
            return unknown(typed);
        }
    }
    match (ends.from, ends.to) {
        (Some(from), Some(to)) => new.range = Some(from.up_to(to)),
        (Some(_), None) => return missing("to"),
        _ => {}
    }
    if matches!(set_type, SetType::BitmapIp | SetType::BitmapPort) && new.range.is_none() {
        return missing(if rest.seen.contains(&"range") { "to" } else { "range" });
    }
    Ok(new)
}

fn missing<T>(option: &str) -> Result<T, Fail> {
    Err(Fail::Parameter(format!("Mandatory option `{option}' is missing")))
}

fn common<'a>(word: &'a str, rest: &mut Rest<'a>, new: &mut NewSet) -> Result<bool, Fail> {
    match word {
        "timeout" => new.ext.timeout = Some(rest.number("timeout", MAX_TIMEOUT)? as u32),
        "counters" => new.ext.counters = true,
        "comment" => new.ext.comment = true,
        "skbinfo" => new.ext.skbinfo = true,
        _ => return Ok(false),
    }
    Ok(true)
}

fn list_option<'a>(word: &'a str, rest: &mut Rest<'a>, new: &mut NewSet) -> Result<bool, Fail> {
    match word {
        "size" => new.size = Some(rest.number("size", u64::from(u32::MAX))? as u32),
        _ => return Ok(false),
    }
    Ok(true)
}

/// An end of a range, from an option of its own.
#[derive(Clone, Copy)]
enum End {
    Ip(Ipv4Addr),
    Port(u16),
}

impl End {
    /// The range between two ends of the same kind, which may be given in any order.
    fn up_to(self, other: End) -> Range {
        match (self, other) {
            (End::Port(one), End::Port(two)) => Range::Port(one.min(two), one.max(two)),
            (End::Ip(one), End::Ip(two)) => Range::Ip(one.min(two), one.max(two)),
            (End::Ip(one), End::Port(_)) | (End::Port(_), End::Ip(one)) => Range::Ip(one, one),
        }
    }
}

/// `from` and `to` of a bitmap.
#[derive(Default)]
struct Ends {
    from: Option<End>,
    to: Option<End>,
}

fn end(text: &str, set_type: SetType) -> Result<End, Fail> {
    if set_type == SetType::BitmapPort {
        return Ok(End::Port(port(text, "tcp")?));
    }
    if text.contains(['/', '-']) {
        return syntax(format!("plain IP address must be supplied: {text}"));
    }
    Ok(End::Ip(address(text, &Hosts::parse("127.0.0.1 localhost"))?))
}

fn bitmap_option<'a>(
    word: &'a str,
    rest: &mut Rest<'a>,
    new: &mut NewSet,
    ends: &mut Ends,
) -> Result<bool, Fail> {
    // A range is two ends.
    let other = match word {
        "from" => "range",
        "range" | "network" => "from",
        _ => "",
    };
    match (word, new.set_type) {
        ("from" | "range", _) | ("network", SetType::BitmapIp) if rest.seen.contains(&other) => {
            return syntax(format!("{word} already specified"));
        }
        ("range" | "network", SetType::BitmapIp) => {
            let text = rest.value("range")?;
            new.range = Some(ip_range(text)?);
        }
        ("range", _) => new.range = port_range(rest.value("range")?)?,
        ("netmask", SetType::BitmapIp) => new.netmask = Some(netmask(rest.value("netmask")?)?),
        ("from", kind) => ends.from = Some(end(rest.value("from")?, kind)?),
        ("to", kind) => ends.to = Some(end(rest.value("to")?, kind)?),
        _ => return Ok(false),
    }
    Ok(true)
}

fn ip_range(text: &str) -> Result<Range, Fail> {
    if split(text, '/').or(split(text, '-')).is_none() {
        return syntax(format!("IP/cidr or IP-IP range must be specified: {text}"));
    }
    let (from, to, cidr) = parse_ip(text, &Hosts::default())?;
    Ok(match (to, cidr) {
        (_, Some(cidr)) => Range::Cidr(from, cidr),
        (to, None) => Range::Ip(from, to.unwrap_or(from)),
    })
}

fn port_range(text: &str) -> Result<Option<Range>, Fail> {
    let (proto, ports) = split(text, ':').unwrap_or(("tcp", text));
    let (from, to) = parse_ports(ports, proto)?;
    Ok(to.map(|to| Range::Port(from, to)))
}

fn netmask(text: &str) -> Result<u8, Fail> {
    cidr(text, 1).map_err(|fail| match fail {
        Fail::Other(text) => {
            Fail::Other(format!("{text}\nSyntax error: netmask is out of the inclusive range of 1-32"))
        }
        other => other,
    })
}

fn hash_option<'a>(word: &'a str, rest: &mut Rest<'a>, new: &mut NewSet) -> Result<bool, Fail> {
    let most = u64::from(u32::MAX);
    match word {
        "family" => match rest.value("family")? {
            "inet" | "ipv4" => {}
            "inet6" | "ipv6" => return not_modelled("create: family inet6"),
            other => return syntax(format!("unknown inet family {other}")),
        },
        "-4" => {}
        "-6" => return not_modelled("create: family inet6"),
        "hashsize" => new.hashsize = Some(rest.number("hashsize", most)? as u32),
        "maxelem" => new.maxelem = Some(rest.number("maxelem", most)? as u32),
        "bucketsize" => new.bucketsize = Some(rest.number("bucketsize", 255)? as u8),
        "initval" => new.initval = Some(rest.number("initval", most)? as u32),
        "netmask" if new.set_type == SetType::HashIp => {
            new.netmask = Some(netmask(rest.value("netmask")?)?);
        }
        "netmask" if new.set_type == SetType::HashIpPort => {
            return not_modelled("create: netmask of hash:ip,port");
        }
        "bitmask" if matches!(new.set_type, SetType::HashIp | SetType::HashIpPort) => {
            return not_modelled("create: bitmask");
        }
        // Parsed, but not sent to the kernel.
        "forceadd" => {}
        _ => return Ok(false),
    }
    Ok(true)
}

/// Options of older versions that have no effect any more; each is noted once.
fn ignored_option<'a>(
    word: &'a str,
    rest: &mut Rest<'a>,
    set_type: SetType,
    warnings: &mut String,
) -> Result<bool, Fail> {
    let has_ports = matches!(set_type, SetType::HashIpPort | SetType::HashIpPortIp | SetType::HashIpPortNet);
    let name = match word {
        "probes" | "resize" if has_ports || matches!(set_type, SetType::HashIp | SetType::HashNet) => word,
        "gc" if set_type == SetType::HashIp => word,
        "from" | "network" if has_ports => "from",
        "to" if has_ports => "to",
        _ => return Ok(false),
    };
    let is_noted = rest.seen.contains(&name);
    rest.seen.retain(|seen| *seen != name);
    let value = rest.value(name)?;
    if !is_noted {
        let _ = writeln!(warnings, "Option '--{name} {value}' is ignored. Please upgrade your syntax.");
    }
    Ok(true)
}

/// Parses the options of `add`, `del` or `test`.
pub fn element(set_type: SetType, what: Adt, words: &[String], request: &mut Request) -> Result<(), Fail> {
    let mut rest = Rest::new(words);
    while let Some(word) = rest.words.next() {
        let is_known = match what {
            Adt::Add => extension(word, &mut rest, request)?,
            _ => false,
        };
        if is_known {
            continue;
        }
        match (word.as_str(), set_type, what) {
            ("before" | "after", SetType::ListSet, _) => {
                let name = rest.value(word)?.to_owned();
                if request.place.is_some() {
                    return syntax("before already specified");
                }
                request.place = Some((word == "before", name));
            }
            ("nomatch", _, Adt::Add | Adt::Test) if set_type.has_net() => request.nomatch = true,
            ("wildcard", SetType::HashNetIface, Adt::Add) => {
                if let Some(iface) = &mut request.iface {
                    iface.wildcard = true;
                }
            }
            _ => return unknown(word),
        }
    }
    Ok(())
}

fn extension<'a>(word: &'a str, rest: &mut Rest<'a>, request: &mut Request) -> Result<bool, Fail> {
    match word {
        "timeout" => request.timeout = Some(rest.number(word, MAX_TIMEOUT)? as u32),
        "packets" => request.packets = Some(rest.number(word, u64::MAX - 1)?),
        "bytes" => request.bytes = Some(rest.number(word, u64::MAX - 1)?),
        "comment" => request.comment = Some(comment(rest.value(word)?)?),
        "skbmark" => request.skbmark = Some(skbmark(rest.value(word)?)?),
        "skbprio" => request.skbprio = Some(skbprio(rest.value(word)?)?),
        "skbqueue" => request.skbqueue = Some(rest.number(word, 65535)? as u16),
        _ => return Ok(false),
    }
    Ok(true)
}

fn comment(text: &str) -> Result<String, Fail> {
    if text.contains('"') {
        return syntax("\" character is not permitted in comments");
    }
    if text.len() > MAX_COMMENT {
        return syntax(format!("Comment is longer than the maximum allowed {MAX_COMMENT} characters"));
    }
    Ok(text.to_owned())
}

/// `MARK` or `MARK/MASK`, hexadecimal with `0x`. Trailing characters are ignored.
fn skbmark(text: &str) -> Result<(u32, u32), Fail> {
    let Some((mark, rest)) = text.strip_prefix("0x").and_then(hex) else {
        return syntax("Invalid skbmark format, it should be:  MARK/MASK or MARK (see manpage)");
    };
    let mask = rest.strip_prefix("/0x").and_then(hex);
    Ok((mark, mask.map_or(u32::MAX, |(mask, _)| mask)))
}

/// `MAJOR:MINOR`, hexadecimal; the low 16 bits of each.
fn skbprio(text: &str) -> Result<u32, Fail> {
    let parsed = hex(text).and_then(|(major, rest)| Some((major, hex(rest.strip_prefix(':')?)?)));
    match parsed {
        Some((major, (minor, _))) => Ok(major << 16 | minor & 0xffff),
        None => syntax("Invalid skbprio format, it should be:MAJOR:MINOR (see manpage)"),
    }
}

/// The number at the start as `%x` of scanf(3), and the rest.
fn hex(text: &str) -> Option<(u32, &str)> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let digits = digits.strip_prefix("0x").unwrap_or(digits);
    let end = digits.find(|letter: char| !letter.is_ascii_hexdigit()).unwrap_or(digits.len());
    let number = u64::from_str_radix(&digits[..end], 16).ok()? as u32;
    Some((if text.starts_with('-') { number.wrapping_neg() } else { number }, &digits[end..]))
}
