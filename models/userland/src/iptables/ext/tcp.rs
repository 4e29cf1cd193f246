//! `-m tcp`: ports, flags and options (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_tcpudp::Tcp;
use glassnet_kernel::tables::xt::Match;
use glassnet_kernel::tables::xt::Ports;
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};
use glassnet_wire::tcp::{TCP_ACK, TCP_FIN, TCP_PSH, TCP_RST, TCP_SYN, TCP_URG};

use super::words::parameter;
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};
use crate::services;

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "tcp",
    options: &[
        Opt::invertible("source-port").many(),
        Opt::invertible("sport").many(),
        Opt::invertible("destination-port").many(),
        Opt::invertible("dport").many(),
        Opt::invertible_flag("syn").many(),
        Opt::words("tcp-flags", 2).not().many(),
        Opt::invertible("tcp-option").many(),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (1, drawn),
};

/// A port by number or by the name of a service of this protocol: TCP, UDP or SCTP.
///
/// # Errors
///
/// ``invalid port/service `TEXT' specified``.
pub fn port(text: &str, proto: u8) -> Result<u16, XtError> {
    let by_name = || {
        let (tcp, udp) = services::ports_by_name(text);
        match proto {
            IPPROTO_TCP => tcp,
            IPPROTO_UDP => udp,
            _ => services::sctp_port_by_name(text),
        }
    };
    match x6::strtoui(text, 0, 0xffff).map(|port| port as u16).or_else(by_name) {
        Some(port) => Ok(port),
        None => parameter(format!("invalid port/service `{text}' specified")),
    }
}

/// `--sport` and `--dport`: a port, `a:b`, `a:` or `:b`.
///
/// # Errors
///
/// Those of [`port`], or a descending range.
pub fn ports(given: &Given, proto: u8) -> Result<Ports, XtError> {
    let text = given.value();
    let range = match text.split_once(':') {
        None => {
            let port = port(text, proto)?;
            (port, port)
        }
        Some((low, high)) => {
            let low = if low.is_empty() { 0 } else { port(low, proto)? };
            (low, if high.is_empty() { 0xffff } else { port(high, proto)? })
        }
    };
    if range.0 > range.1 {
        return parameter("invalid portrange (min > max)");
    }
    Ok(Ports { invert: given.invert, range })
}

const FLAGS: [(&str, u8); 6] = [
    ("FIN", TCP_FIN),
    ("SYN", TCP_SYN),
    ("RST", TCP_RST),
    ("PSH", TCP_PSH),
    ("ACK", TCP_ACK),
    ("URG", TCP_URG),
];

fn flags(text: &str) -> Result<u8, XtError> {
    let mut all = 0;
    for name in text.split(',').filter(|name| !name.is_empty()) {
        let known = FLAGS.iter().chain(&[("ALL", 0x3f), ("NONE", 0)]);
        match known.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, bits)) => all |= bits,
            None => return parameter(format!("Unknown TCP flag `{name}'")),
        }
    }
    Ok(all)
}

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut tcp = Tcp::default();
    let (mut sport, mut dport) = (false, false);
    for option in given {
        match option.name {
            "source-port" | "sport" => {
                if std::mem::replace(&mut sport, true) {
                    return parameter("Only one `--source-port' allowed");
                }
                tcp.sport = ports(option, IPPROTO_TCP)?;
            }
            "destination-port" | "dport" => {
                if std::mem::replace(&mut dport, true) {
                    return parameter("Only one `--destination-port' allowed");
                }
                tcp.dport = ports(option, IPPROTO_TCP)?;
            }
            "tcp-option" => {
                if tcp.option.is_some() {
                    return parameter("Only one `--tcp-option' allowed");
                }
                let Some(number) = x6::strtoui(option.value(), 1, 255) else {
                    return parameter(format!("Bad TCP option \"{}\"", option.value()));
                };
                tcp.option = Some((option.invert, number as u8));
            }
            name => {
                if tcp.flags.is_some() {
                    return parameter("Only one of `--syn' or `--tcp-flags'  allowed");
                }
                tcp.flags = Some(match (name, option.values.as_slice()) {
                    ("syn", _) => (option.invert, TCP_SYN | TCP_RST | TCP_ACK | TCP_FIN, TCP_SYN),
                    (_, [mask, compare]) => (option.invert, flags(mask)?, flags(compare)?),
                    _ => return parameter("--tcp-flags requires two args."),
                });
            }
        }
    }
    Ok(Match::new(tcp))
}

/// Options for source and destination port; `option` is `sport` or `dport`.
pub fn show_ports(ports: &Ports, option: &str, style: Style, proto: u8, out: &mut String) {
    let (low, high) = ports.range;
    // The real tool does not save `! --sport 0:65535`, but lists it.
    if (low, high) == (0, 0xffff) && !(ports.invert && style != Style::Save) {
        return;
    }
    let (not, numeric) = match style {
        Style::Save => {
            let _ = write!(out, "{} --{option} ", if ports.invert { " !" } else { "" });
            ("", true)
        }
        Style::List { numeric, .. } => {
            let name = if option == "sport" { "spt" } else { "dpt" };
            let _ = write!(out, " {name}{}:", if low == high { "" } else { "s" });
            (if ports.invert { "!" } else { "" }, numeric)
        }
    };
    *out += not;
    push_port(low, numeric, proto, out);
    if low != high {
        out.push(':');
        push_port(high, numeric, proto, out);
    }
}

fn push_port(port: u16, numeric: bool, proto: u8, out: &mut String) {
    let name = match proto {
        IPPROTO_TCP => services::tcp_port_name(port),
        IPPROTO_UDP => services::udp_port_name(port),
        _ => services::sctp_port_name(port),
    };
    match name.filter(|_| !numeric) {
        Some(name) => *out += name,
        None => {
            let _ = write!(out, "{port}");
        }
    }
}

fn flag_names(bits: u8) -> String {
    let names: Vec<&str> = FLAGS.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name).collect();
    if names.is_empty() { "NONE".to_owned() } else { names.join(",") }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(tcp) = with.get::<Tcp>() else { return };
    if style != Style::Save {
        *out += " tcp";
    }
    show_ports(&tcp.sport, "sport", style, IPPROTO_TCP, out);
    show_ports(&tcp.dport, "dport", style, IPPROTO_TCP, out);
    let not = |invert: bool, text: &'static str| if invert { text } else { "" };
    if let Some((invert, number)) = tcp.option {
        let _ = match style {
            Style::Save => write!(out, "{} --tcp-option {number}", not(invert, " !")),
            Style::List { .. } => write!(out, " option={}{number}", not(invert, "!")),
        };
    }
    let Some((invert, mask, compare)) = tcp.flags.filter(|(invert, mask, _)| *invert || *mask != 0) else {
        return;
    };
    let _ = match style {
        Style::Save => {
            write!(out, "{} --tcp-flags {} {}", not(invert, " !"), flag_names(mask), flag_names(compare))
        }
        Style::List { numeric: true, .. } => {
            write!(out, " flags:{}0x{mask:02X}/0x{compare:02X}", not(invert, "!"))
        }
        Style::List { numeric: false, .. } => {
            write!(out, " flags:{}{}/{}", not(invert, "!"), flag_names(mask), flag_names(compare))
        }
    };
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["tcp"]) {
        return String::new();
    }
    match draw.below(4) {
        0 => {
            let flags = draw.pick(&[
                "--syn",
                "--tcp-flags SYN,ACK,FIN,RST SYN",
                "--tcp-flags ALL NONE",
                "--tcp-option 2",
            ]);
            format!("-m tcp {}{flags}", draw.not())
        }
        1 => format!("-m tcp {}--sport {}", draw.not(), draw.ports()),
        _ => format!("-m tcp {}--dport {}", draw.not(), draw.ports()),
    }
}
