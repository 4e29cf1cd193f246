//! Primitives: `[protocol] [direction] [kind] name`, and keywords.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Tag;
use super::eval::{Number, Relation, Test};
use super::generate::{self as g, Direction, Layout, prefix_mask};
use super::lex::Token;
use super::parse::{Parser, SYNTAX_ERROR};
use crate::services::{ports_by_name, protocol_by_name};
use crate::tcpdump::print::LinkType;

/// Kind of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Default: a host.
    Default,
    Host,
    Net,
    Port,
    PortRange,
    Proto,
}

/// Qualifiers of a name.
#[derive(Debug, Clone)]
pub struct Qualifiers {
    protocol: Option<String>,
    direction: Direction,
    kind: Kind,
}

const PROTOCOLS: [&str; 24] = [
    "ether", "link", "ip", "ip6", "arp", "rarp", "tcp", "udp", "sctp", "icmp", "icmp6", "igmp", "igrp",
    "pim", "vrrp", "carp", "ah", "esp", "stp", "aarp", "atalk", "decnet", "ipx", "netbeui",
];

fn syntax<T>() -> Result<T, String> {
    Err(SYNTAX_ERROR.to_owned())
}

impl Parser<'_> {
    /// A primitive, or a bare name with the qualifiers of the one before.
    pub fn primitive(&mut self) -> Result<Test, String> {
        if let Some(test) = self.lone_word()? {
            return Ok(test);
        }
        let protocol = self.protocol_word();
        let direction = self.direction_words();
        let kind = self.kind_word();
        if protocol.is_none() && direction.is_none() && kind == Kind::Default {
            return match self.last.clone() {
                Some(last) => self.named(&last),
                None => syntax(),
            };
        }
        if direction.is_none() && kind == Kind::Default {
            if self.keyword("broadcast") {
                return self.broadcast(protocol.as_deref());
            }
            if self.keyword("multicast") {
                return self.multicast(protocol.as_deref());
            }
            // A protocol without a name.
            return self.protocol_alone(protocol.as_deref().unwrap_or_default());
        }
        if kind == Kind::Default && protocol.is_some() && direction.is_none() {
            return syntax();
        }
        let direction = direction.unwrap_or_default();
        let qualifiers = Qualifiers { protocol, direction, kind };
        let test = self.named(&qualifiers)?;
        self.last = Some(qualifiers);
        Ok(test)
    }

    fn protocol_word(&mut self) -> Option<String> {
        PROTOCOLS.iter().find(|name| self.keyword(name)).map(|name| (*name).to_owned())
    }

    fn direction_words(&mut self) -> Option<Direction> {
        let (first, other) = if self.keyword("src") {
            (Direction::Source, "dst")
        } else if self.keyword("dst") {
            (Direction::Destination, "src")
        } else {
            return None;
        };
        let mark = self.mark();
        for (connective, both) in [("or", Direction::Either), ("and", Direction::Both)] {
            if self.keyword(connective) && self.keyword(other) {
                return Some(both);
            }
            self.reset(mark);
        }
        Some(first)
    }

    fn kind_word(&mut self) -> Kind {
        let words = [
            ("host", Kind::Host),
            ("net", Kind::Net),
            ("port", Kind::Port),
            ("portrange", Kind::PortRange),
            ("proto", Kind::Proto),
        ];
        words.into_iter().find(|(word, _)| self.keyword(word)).map_or(Kind::Default, |(_, kind)| kind)
    }

    fn lone_word(&mut self) -> Result<Option<Test>, String> {
        let compare = |relation, value| Test::Compare(Number::Length, relation, Number::Constant(value));
        if self.keyword("less") {
            return self.number().map(|value| Some(compare(Relation::AtMost, value)));
        }
        if self.keyword("greater") {
            return self.number().map(|value| Some(compare(Relation::AtLeast, value)));
        }
        if self.keyword("broadcast") {
            return self.broadcast(None).map(Some);
        }
        if self.keyword("multicast") {
            return self.multicast(None).map(Some);
        }
        for (word, outgoing) in [("inbound", false), ("outbound", true)] {
            if self.keyword(word) {
                return self.layout.way(outgoing, self.environment.live).map(Some);
            }
        }
        if self.keyword("vlan") {
            return self.vlan().map(Some);
        }
        if self.keyword("gateway") {
            return Err("'gateway' not supported in this configuration".to_owned());
        }
        Ok(None)
    }

    fn number(&mut self) -> Result<u32, String> {
        match self.take() {
            Some(Token::Number(value)) => Ok(value),
            _ => syntax(),
        }
    }

    fn vlan(&mut self) -> Result<Test, String> {
        let number = match self.peek() {
            Some(Token::Number(number)) => Some(*number),
            _ => None,
        };
        if let Some(number) = number {
            self.take();
            if number > 4095 {
                return Err(format!("VLAN tag {number} greater than maximum 4095"));
            }
        }
        if let LinkType::LinuxSll | LinkType::LinuxSll2 = self.layout.link {
            return Err(format!("no VLAN support for {}", self.layout.link.names().1));
        }
        if std::mem::replace(&mut self.tag, Tag::InFrame) == Tag::Beside {
            return Ok(self.layout.tagged_beside(number));
        }
        let test = self.layout.tagged(number);
        self.layout = self.layout.behind_tag();
        Ok(test)
    }

    fn broadcast(&mut self, protocol: Option<&str>) -> Result<Test, String> {
        match protocol {
            None | Some("ether" | "link") if self.layout.link != LinkType::Ethernet => {
                Err("not a broadcast link".to_owned())
            }
            None | Some("ether" | "link") => Ok(self.layout.ether_host([0xff; 6], Direction::Destination)),
            Some("ip") => Ok(self.layout.ip_broadcast(self.environment.netmask)),
            _ => Err("only link-layer/IP broadcast filters supported".to_owned()),
        }
    }

    fn multicast(&mut self, protocol: Option<&str>) -> Result<Test, String> {
        let link = format!("link-layer multicast filters supported only on {LINKS_WITH_GROUPS}");
        match protocol {
            None | Some("ether" | "link") if self.layout.link != LinkType::Ethernet => Err(link),
            None | Some("ether" | "link") => Ok(self.layout.ether_multicast()),
            Some("ip") => Ok(self.layout.ip_multicast()),
            Some("ip6") => Ok(self.layout.ip6_multicast()),
            _ => Err(link),
        }
    }

    fn protocol_alone(&mut self, protocol: &str) -> Result<Test, String> {
        let layout = self.layout;
        // A bare name inherits the protocol: not after `icmp or arp`, but in `tcp port 80 or 81`.
        Ok(match protocol {
            "ip" => layout.carries(g::ETHERTYPE_IP),
            "ip6" => layout.carries(g::ETHERTYPE_IPV6),
            "arp" => layout.carries(g::ETHERTYPE_ARP),
            "rarp" => layout.carries(g::ETHERTYPE_RARP),
            "stp" => layout.service(0x42),
            "netbeui" => layout.service(0xf0),
            "atalk" => layout.carries(0x809b),
            "aarp" => layout.carries(0x80f3),
            "ipx" => layout.carries(0x8137),
            "decnet" => layout.carries(0x6003),
            "icmp" => layout.ipv4_protocol(1),
            "igmp" => layout.ipv4_protocol(2),
            "igrp" => layout.ipv4_protocol(9),
            "icmp6" => layout.ipv6_protocol(58),
            "tcp" => layout.ip_protocol(g::TCP),
            "udp" => layout.ip_protocol(g::UDP),
            "sctp" => layout.ip_protocol(g::SCTP),
            "pim" => layout.ip_protocol(103),
            "vrrp" | "carp" => layout.ipv4_protocol(112),
            "ah" => layout.ip_protocol(51),
            "esp" => layout.ip_protocol(50),
            _ => return syntax(),
        })
    }

    fn named(&mut self, qualifiers: &Qualifiers) -> Result<Test, String> {
        let Some(name) = self.take() else { return syntax() };
        let protocol = qualifiers.protocol.as_deref();
        match qualifiers.kind {
            Kind::Port | Kind::PortRange => port(self.layout, qualifiers, &name),
            Kind::Proto => proto(self.layout, protocol, &name),
            Kind::Net => self.net(qualifiers, &name),
            Kind::Host | Kind::Default if matches!(protocol, Some("ether" | "link")) => {
                ether_host(self.layout, qualifiers.direction, &name)
            }
            Kind::Host | Kind::Default => self.host(qualifiers, &name),
        }
    }

    fn host(&mut self, qualifiers: &Qualifiers, name: &Token) -> Result<Test, String> {
        let addresses = match name {
            Token::Number(number) => vec![IpAddr::V4(Ipv4Addr::from(*number))],
            Token::Dotted(text) => {
                let (address, mask) = dotted(text)?;
                return if self.sign("/") { syntax() } else { self.ipv4(qualifiers, address, mask) };
            }
            Token::Ipv6(address) => vec![IpAddr::V6(*address)],
            Token::Word(name) | Token::Escaped(name) if !is_reserved(name) => {
                let found = (self.environment.resolve)(name);
                if found.is_empty() {
                    return Err(format!("unknown host '{name}'"));
                }
                found
            }
            Token::Mac(mac) if qualifiers.protocol.is_none() => {
                return Ok(self.layout.ether_host(*mac, qualifiers.direction));
            }
            _ => return syntax(),
        };
        let mut tests = Vec::new();
        for address in addresses {
            tests.push(match address {
                IpAddr::V4(address) => self.ipv4(qualifiers, address, Ipv4Addr::BROADCAST)?,
                IpAddr::V6(address) => self.ipv6(qualifiers, address, 128)?,
            });
        }
        tests.into_iter().reduce(g::or).ok_or_else(|| SYNTAX_ERROR.to_owned())
    }

    fn ipv4(&self, qualifiers: &Qualifiers, address: Ipv4Addr, mask: Ipv4Addr) -> Result<Test, String> {
        let kinds: &[u32] = match qualifiers.protocol.as_deref() {
            None => &[g::ETHERTYPE_IP, g::ETHERTYPE_ARP, g::ETHERTYPE_RARP],
            Some("ip") => &[g::ETHERTYPE_IP],
            Some("arp") => &[g::ETHERTYPE_ARP],
            Some("rarp") => &[g::ETHERTYPE_RARP],
            Some("ip6") => return Err("'ip6' modifier applied to ip host".to_owned()),
            Some(other) => return Err(modifier_error(other, qualifiers.kind)),
        };
        let test = |kind: &u32| self.layout.ipv4_host(*kind, address, mask, qualifiers.direction);
        Ok(kinds.iter().map(test).reduce(g::or).unwrap_or(Test::Always(false)))
    }

    fn ipv6(&self, qualifiers: &Qualifiers, address: Ipv6Addr, bits: u32) -> Result<Test, String> {
        match qualifiers.protocol.as_deref() {
            None | Some("ip6") => Ok(self.layout.ipv6_host(address, bits, qualifiers.direction)),
            Some("ip") => Err("'ip' modifier applied to ip6 host".to_owned()),
            Some(other) => Err(modifier_error(other, qualifiers.kind)),
        }
    }

    fn net(&mut self, qualifiers: &Qualifiers, name: &Token) -> Result<Test, String> {
        if matches!(qualifiers.protocol.as_deref(), Some("ether" | "link")) {
            return Err("illegal link layer address".to_owned());
        }
        let (text, address, natural) = match name {
            Token::Ipv6(address) => {
                let bits = if self.sign("/") { self.number()? } else { 128 };
                if bits > 128 {
                    return Err("mask length must be <= 128".to_owned());
                }
                return self.ipv6(qualifiers, *address, bits);
            }
            Token::Number(number) => {
                let (address, mask) = dotted(&number.to_string())?;
                (number.to_string(), address, mask)
            }
            Token::Dotted(text) => {
                let (address, mask) = dotted(text)?;
                (text.clone(), address, mask)
            }
            Token::Word(name) if !is_reserved(name) => return Err(format!("unknown network '{name}'")),
            _ => return syntax(),
        };
        let (mask, shown) = if self.sign("/") {
            let bits = self.number()?;
            if bits > 32 {
                return Err("mask length must be <= 32".to_owned());
            }
            (prefix_mask(bits).into(), format!("{text}/{bits}"))
        } else if self.keyword("mask") {
            let Some(Token::Dotted(mask)) = self.take() else { return syntax() };
            (dotted(&mask)?.0, format!("{text} mask {mask}"))
        } else {
            (natural, text)
        };
        if address & mask != address {
            return Err(format!("non-network bits set in \"{shown}\""));
        }
        self.ipv4(qualifiers, address, mask)
    }
}

/// Links whose multicast libpcap supports.
const LINKS_WITH_GROUPS: &str = "ethernet/FDDI/token ring/ARCNET/802.11/ATM LANE/Fibre Channel";

/// Keywords are not names.
fn is_reserved(word: &str) -> bool {
    let others = [
        "and",
        "or",
        "not",
        "src",
        "dst",
        "host",
        "net",
        "port",
        "portrange",
        "proto",
        "less",
        "greater",
        "broadcast",
        "multicast",
        "vlan",
        "len",
        "mask",
        "gateway",
        "inbound",
        "outbound",
    ];
    PROTOCOLS.contains(&word) || others.contains(&word)
}

fn modifier_error(protocol: &str, kind: Kind) -> String {
    let what = if kind == Kind::Net { "net" } else { "host" };
    format!("'{protocol}' modifier applied to {what}")
}

/// An address of one to four numbers, and the mask of as many bytes.
fn dotted(text: &str) -> Result<(Ipv4Addr, Ipv4Addr), String> {
    let mut value = 0;
    let mut bytes = 0;
    for part in text.split('.') {
        let byte: u8 = part.parse().map_err(|_| format!("invalid IPv4 address '{text}'"))?;
        value = value << 8 | u32::from(byte);
        bytes += 1;
    }
    let missing = 32 - 8 * bytes;
    let address = if missing == 32 { 0 } else { value << missing };
    Ok((address.into(), prefix_mask(8 * bytes).into()))
}

fn ether_host(layout: Layout, direction: Direction, name: &Token) -> Result<Test, String> {
    if layout.link != LinkType::Ethernet {
        let links = "ethernet/FDDI/token ring/802.11/ATM LANE/Fibre Channel";
        return Err(format!("ethernet addresses supported only on {links}"));
    }
    match name {
        Token::Mac(mac) => Ok(layout.ether_host(*mac, direction)),
        Token::Word(name) if !is_reserved(name) => Err(format!("unknown ether host '{name}'")),
        Token::Number(_) | Token::Dotted(_) => Err("illegal link layer address".to_owned()),
        _ => syntax(),
    }
}

fn port(layout: Layout, qualifiers: &Qualifiers, name: &Token) -> Result<Test, String> {
    let range = qualifiers.kind == Kind::PortRange;
    let (low, high, protocols) = match name {
        Token::Number(number) => (*number, *number, None),
        Token::Word(text) if range => {
            let Some((low, high)) = text.split_once('-') else {
                return Err(format!("unknown port in range '{text}'"));
            };
            let (Some(low), Some(high)) = (port_number(low), port_number(high)) else {
                return Err(format!("unknown port in range '{text}'"));
            };
            (low.0.min(high.0), low.0.max(high.0), low.1)
        }
        Token::Word(text) | Token::Escaped(text) if !is_reserved(text) => {
            let Some((number, protocols)) = port_number(text) else {
                return Err(format!("unknown port '{text}'"));
            };
            (number, number, protocols)
        }
        _ => return syntax(),
    };
    if high > 65_535 {
        return Err(format!("illegal port number {high} > 65535"));
    }
    let asked: &[u32] = match qualifiers.protocol.as_deref() {
        None => &[g::TCP, g::UDP, g::SCTP],
        Some("tcp") => &[g::TCP],
        Some("udp") => &[g::UDP],
        Some("sctp") => &[g::SCTP],
        Some(_) => {
            let kind = if range { "portrange" } else { "port" };
            return Err(format!("illegal qualifier of '{kind}'"));
        }
    };
    let Some(protocols) = protocols else { return Ok(layout.ports(asked, low, high, qualifiers.direction)) };
    let shared: Vec<u32> = asked.iter().copied().filter(|protocol| protocols.contains(protocol)).collect();
    if shared.is_empty() {
        let only = if protocols.contains(&g::TCP) { "tcp" } else { "udp" };
        let Token::Word(text) = name else { return syntax() };
        return Err(format!("port '{text}' is {only}"));
    }
    Ok(layout.ports(&shared, low, high, qualifiers.direction))
}

/// A port and, for a service name, its protocols.
fn port_number(text: &str) -> Option<(u32, Option<Vec<u32>>)> {
    if let Ok(number) = text.parse() {
        return Some((number, None));
    }
    let (tcp, udp) = ports_by_name(text);
    let port = tcp.or(udp)?;
    let protocols = [(tcp, g::TCP), (udp, g::UDP)];
    let protocols =
        protocols.iter().filter(|(port, _)| port.is_some()).map(|(_, protocol)| *protocol).collect();
    Some((port.into(), Some(protocols)))
}

fn proto(layout: Layout, protocol: Option<&str>, name: &Token) -> Result<Test, String> {
    let number = |table: &dyn Fn(&str) -> Option<u32>, what: &str| match name {
        Token::Number(number) => Ok(*number),
        Token::Word(text) | Token::Escaped(text)
            if matches!(name, Token::Escaped(_)) || !is_reserved(text) =>
        {
            table(text).ok_or_else(|| format!("unknown {what} proto '{text}'"))
        }
        _ => Err(SYNTAX_ERROR.to_owned()),
    };
    let ip = |text: &str| protocol_by_name(text).map(u32::from);
    match protocol {
        Some("ether" | "link") => {
            let number = number(&ether_protocol, "ether")?;
            Ok(if number == 0x42 { layout.service(number) } else { layout.carries(number) })
        }
        Some("ip") => Ok(layout.ipv4_protocol(number(&ip, "ip")?)),
        Some("ip6") => Ok(layout.ipv6_protocol(number(&ip, "ip")?)),
        None => match name {
            Token::Escaped(text) if ether_protocol(text).is_some() => {
                Ok(layout.carries(ether_protocol(text).unwrap_or_default()))
            }
            _ => Ok(layout.ip_protocol(number(&ip, "ip")?)),
        },
        Some(other) => Err(format!("'{other} proto' is bogus")),
    }
}

fn ether_protocol(name: &str) -> Option<u32> {
    Some(match name {
        "ip" => g::ETHERTYPE_IP,
        "ip6" => g::ETHERTYPE_IPV6,
        "arp" => g::ETHERTYPE_ARP,
        "rarp" => g::ETHERTYPE_RARP,
        "stp" => 0x42,
        "loopback" => 0x9000,
        "aarp" => 0x80f3,
        "ipx" => 0x8137,
        _ => return None,
    })
}
