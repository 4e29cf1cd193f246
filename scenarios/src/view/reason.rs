//! Why a rule does not mean a packet: what it wants, and what the packet has.

use glassnet_kernel::tables::xt::Rule;
use glassnet_kernel::trace::Headers;

use super::{fields, literal};

/// What is known of a packet beside its headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The device that it came in by, as the hook says; empty: none.
    pub input: String,
    /// The device that it leaves by, as the hook says; empty: none.
    pub output: String,
    /// What connection tracking said of it: the state; empty: nothing.
    pub ctstate: String,
}

impl Seen {
    /// Reads the hook's note: `ip FORWARD IN=eth0 OUT=br0`.
    pub fn at_hook(note: &str, ctstate: &str) -> Seen {
        let word =
            |name: &str| note.split(' ').find_map(|word| word.strip_prefix(name)).unwrap_or("").to_owned();
        Seen { input: word("IN="), output: word("OUT="), ctstate: ctstate.to_owned() }
    }
}

/// What `part` of the rule wants, and what the packet has there; `None` if that is not seen from outside.
pub fn why_not(rule: &Rule, part: &str, headers: Option<&Headers>, seen: &Seen) -> Option<String> {
    let has = match part.strip_prefix("-m ") {
        Some(name) => has_for_match(name, headers?, seen)?,
        None => has_for_option(part, headers?, seen)?,
    };
    let wanted = match part.strip_prefix("-m ") {
        Some(name) => {
            let with = rule.matches.iter().find(|with| with.name() == name)?;
            literal::a_match(with)
        }
        None => literal::ip_option(&rule.ip, part)?,
    };
    Some(format!("{wanted}, but {has}"))
}

/// What the packet has where an option of every rule looks.
fn has_for_option(part: &str, headers: &Headers, seen: &Seen) -> Option<String> {
    let device = |name: &str, none: &str| match name.is_empty() {
        true => none.to_owned(),
        false => format!("it is {name}"),
    };
    Some(match part {
        "-s" => format!("it comes from {}", field(headers, "ip.src")?),
        "-d" => format!("it goes to {}", field(headers, "ip.dst")?),
        "-i" => device(&seen.input, "there is no incoming device here"),
        "-o" => device(&seen.output, "there is no outgoing device yet"),
        "-p" => format!("it is {}", protocol(headers)?),
        _ => return None,
    })
}

/// What the packet has where a match looks.
fn has_for_match(name: &str, headers: &Headers, seen: &Seen) -> Option<String> {
    Some(match name {
        "tcp" | "udp" | "multiport" => {
            let protocol = protocol(headers)?;
            let port = |end: &str| field(headers, &format!("{protocol}.{end}"));
            match (port("srcport"), port("dstport")) {
                (Some(from), Some(to)) if name != "tcp" => format!("it goes from port {from} to port {to}"),
                (Some(from), Some(to)) => {
                    let flags = port("flags").unwrap_or_default();
                    format!("it goes from port {from} to port {to} with flags {flags}")
                }
                _ => return None,
            }
        }
        "icmp" => {
            format!("it is type {} code {}", field(headers, "icmp.type")?, field(headers, "icmp.code")?)
        }
        "conntrack" | "state" if !seen.ctstate.is_empty() => format!("its state is {}", seen.ctstate),
        "ttl" => format!("its TTL is {}", field(headers, "ip.ttl")?),
        "length" => format!("its length is {}", field(headers, "ip.len")?),
        "tos" | "dscp" => format!("its TOS is {}", field(headers, "ip.tos")?),
        "iprange" => format!("it goes from {} to {}", field(headers, "ip.src")?, field(headers, "ip.dst")?),
        "mac" => format!("it comes from {}", field(headers, "eth.src")?),
        "statistic" => "chance decided otherwise".to_owned(),
        _ => return None,
    })
}

/// The protocol by its name where rules know one.
fn protocol(headers: &Headers) -> Option<String> {
    let number = field(headers, "ip.proto")?;
    let name = match number.as_str() {
        "1" => "icmp",
        "6" => "tcp",
        "17" => "udp",
        _ => return Some(number),
    };
    Some(name.to_owned())
}

fn field(headers: &Headers, name: &str) -> Option<String> {
    fields::fields(headers).into_iter().find(|field| field.0 == name).map(|field| field.1)
}
