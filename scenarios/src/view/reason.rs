//! Why a rule does not match: expected and actual value.

use glassnet_kernel::note::{HookNote, Part};
use glassnet_kernel::tables::conntrack::CtInfo;
use glassnet_kernel::tables::xt::Rule;
use glassnet_kernel::trace::Headers;

use super::{fields, literal, notes};

/// Metadata of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen<'a> {
    /// Its hook.
    pub hook: Option<&'a HookNote>,
    /// Its conntrack state, from [`Story::ctstate`](super::Story::ctstate).
    pub ctstate: Option<Option<CtInfo>>,
}

/// Expected and actual value of `part` of the rule; `None` if not known.
pub fn why_not(rule: &Rule, part: Part, headers: Option<&Headers>, seen: &Seen) -> Option<String> {
    let (has, wanted) = match part {
        Part::Match(name) => {
            let has = has_for_match(name, headers?, seen)?;
            let with = rule.matches.iter().find(|with| with.name() == name)?;
            (has, literal::a_match(with))
        }
        Part::Option(option) => {
            (has_for_option(option, headers?, seen)?, literal::ip_option(&rule.ip, option)?)
        }
    };
    Some(format!("{wanted}, but {has}"))
}

/// The packet's value for a built-in option.
fn has_for_option(option: &str, headers: &Headers, seen: &Seen) -> Option<String> {
    let device = |name: Option<&String>, none: &str| match name.filter(|name| !name.is_empty()) {
        None => none.to_owned(),
        Some(name) => format!("it is {name}"),
    };
    Some(match option {
        "-s" => format!("it comes from {}", field(headers, "ip.src")?),
        "-d" => format!("it goes to {}", field(headers, "ip.dst")?),
        "-i" => device(seen.hook.map(|hook| &hook.input), "there is no incoming device here"),
        "-o" => device(seen.hook.map(|hook| &hook.output), "there is no outgoing device yet"),
        "-p" => format!("it is {}", protocol(headers)?),
        _ => return None,
    })
}

/// The packet's value for a match.
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
        "conntrack" | "state" => format!("its state is {}", notes::state(seen.ctstate?)),
        "ttl" => format!("its TTL is {}", field(headers, "ip.ttl")?),
        "length" => format!("its length is {}", field(headers, "ip.len")?),
        "tos" | "dscp" => format!("its TOS is {}", field(headers, "ip.tos")?),
        "iprange" => format!("it goes from {} to {}", field(headers, "ip.src")?, field(headers, "ip.dst")?),
        "mac" => format!("it comes from {}", field(headers, "eth.src")?),
        "statistic" => "chance decided otherwise".to_owned(),
        _ => return None,
    })
}

/// The protocol's name in rules.
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
