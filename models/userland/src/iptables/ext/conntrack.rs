//! `-m conntrack`: conntrack state of a packet (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_conntrack::{
    CT_DNAT, CT_ESTABLISHED, CT_INVALID, CT_NEW, CT_RELATED, CT_SNAT, CT_UNTRACKED, Conntrack,
};
use glassnet_kernel::tables::conntrack::{IPS_ASSURED, IPS_CONFIRMED, IPS_EXPECTED, IPS_SEEN_REPLY};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::xt::Match;
use glassnet_kernel::tables::xt::Ports;

use super::words::{bad_value, incomplete, parameter};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};
use crate::hosts::{Hosts, TEMPORARY_FAILURE};

/// The extension.
pub const EXT: MatchExt =
    MatchExt { name: NAME, options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (6, drawn) };

const NAME: &str = "conntrack";
const OPTIONS: &[Opt] = &[
    Opt::invertible("ctstate"),
    Opt::invertible("ctproto"),
    Opt::invertible("ctorigsrc"),
    Opt::invertible("ctorigdst"),
    Opt::invertible("ctreplsrc"),
    Opt::invertible("ctrepldst"),
    Opt::invertible("ctorigsrcport"),
    Opt::invertible("ctorigdstport"),
    Opt::invertible("ctreplsrcport"),
    Opt::invertible("ctrepldstport"),
    Opt::invertible("ctstatus"),
    Opt::invertible("ctexpire"),
    Opt::value("ctdir"),
];

/// The states in the order in which they are printed; `state` knows the first five.
pub const STATES: [(&str, u16); 7] = [
    ("INVALID", CT_INVALID),
    ("NEW", CT_NEW),
    ("RELATED", CT_RELATED),
    ("ESTABLISHED", CT_ESTABLISHED),
    ("UNTRACKED", CT_UNTRACKED),
    ("SNAT", CT_SNAT),
    ("DNAT", CT_DNAT),
];

const STATUSES: [(&str, u16); 4] = [
    ("EXPECTED", IPS_EXPECTED),
    ("SEEN_REPLY", IPS_SEEN_REPLY),
    ("ASSURED", IPS_ASSURED),
    ("CONFIRMED", IPS_CONFIRMED),
];

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    if given.is_empty() {
        return incomplete("conntrack: At least one option is required");
    }
    let mut with = Conntrack::default();
    for option in given {
        let (not, value) = (option.invert, option.value());
        let host = || host_mask(option, context.hosts).map(|(addr, mask)| Some((not, addr, mask)));
        let ports = || {
            let range = x6::ports(NAME, option.name, value)?;
            Ok(Some(Ports { invert: not, range }))
        };
        match option.name {
            "ctstate" => with.state = Some((not, bits(value, &STATES, "ctstate")?)),
            "ctproto" => with.proto = Some((not, x6::protocol(value)?)),
            "ctorigsrc" => with.origsrc = host()?,
            "ctorigdst" => with.origdst = host()?,
            "ctreplsrc" => with.replsrc = host()?,
            "ctrepldst" => with.repldst = host()?,
            "ctorigsrcport" => with.origsrcport = ports()?,
            "ctorigdstport" => with.origdstport = ports()?,
            "ctreplsrcport" => with.replsrcport = ports()?,
            "ctrepldstport" => with.repldstport = ports()?,
            "ctstatus" => with.status = Some((not, statuses(value)?)),
            "ctexpire" => {
                let (low, high) = x6::range(NAME, option, u64::from(u32::MAX))?;
                with.expire = Some((not, low as u32, high as u32));
            }
            _ if value.eq_ignore_ascii_case("ORIGINAL") => with.reply = Some(false),
            _ if value.eq_ignore_ascii_case("REPLY") => with.reply = Some(true),
            name => return bad_value(NAME, name, value),
        }
    }
    Ok(Match::new(with))
}

/// Names joined by commas; each may be abbreviated, and stands for the first that begins so. `what` is for the error,
/// which shows the text from the invalid name on if `what` is empty.
///
/// # Errors
///
/// An unknown name.
pub fn bits(text: &str, names: &[(&str, u16)], what: &str) -> Result<u16, XtError> {
    let (mut found, mut rest) = (0, text);
    loop {
        let (word, more) = match rest.split_once(',') {
            Some((word, more)) => (word, Some(more)),
            None => (rest, None),
        };
        match abbreviated(word, names) {
            Some(bit) => found |= bit,
            None => {
                let shown = if word.is_empty() { rest } else { word };
                return parameter(format!("Bad {what} \"{shown}\""));
            }
        }
        match more {
            Some(more) => rest = more,
            None => return Ok(found),
        }
    }
}

/// The value of the first name that begins with this word; case-insensitive.
pub fn abbreviated(word: &str, names: &[(&str, u16)]) -> Option<u16> {
    let begins = |name: &str| name.get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
    names.iter().find(|(name, _)| !word.is_empty() && begins(name)).map(|name| name.1)
}

fn statuses(text: &str) -> Result<u16, XtError> {
    let mut names = vec![("NONE", 0)];
    names.extend(STATUSES);
    bits(text, &names, "ctstatus")
}

/// An address or name with a mask (`XTTYPE_HOSTMASK`). A mask that is not contiguous counts as a full one.
fn host_mask(given: &Given, hosts: &Hosts) -> Result<(Ipv4Addr, Ipv4Addr), XtError> {
    let (text, mask) = match given.value().split_once('/') {
        Some((text, mask)) => (text, Some(mask)),
        None => (given.value(), None),
    };
    let addr = match inet_aton(text) {
        Some(addr) => addr,
        None => match hosts.ipv4(text) {
            Some((addr, _)) => addr,
            None if is_name(text) => return parameter(format!("getaddrinfo: {TEMPORARY_FAILURE}\n")),
            None => return parameter("getaddrinfo: Name or service not known\n"),
        },
    };
    let Some(mask) = mask else { return Ok((addr, Ipv4Addr::BROADCAST)) };
    let bits = match x6::strtoui(mask, 0, u64::MAX) {
        Some(bits) => Some(prefix_mask(bits).unwrap_or(Ipv4Addr::BROADCAST)),
        None => mask.parse::<Ipv4Addr>().ok().map(|mask| match mask.to_bits() {
            bits if bits.leading_ones() + bits.trailing_zeros() >= 32 => mask,
            _ => Ipv4Addr::BROADCAST,
        }),
    };
    match bits {
        Some(bits) => Ok((addr, bits)),
        None => {
            let text = "neither a valid network mask nor valid CIDR (0-32).";
            x6::error(NAME, &format!("bad value for option \"--{}\", {text}", given.name))
        }
    }
}

fn prefix_mask(bits: u64) -> Option<Ipv4Addr> {
    (bits <= 32).then(|| inet_make_mask(bits as u8))
}

/// A name for the resolver.
fn is_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    !text.is_empty() && text.bytes().all(is_letter) && !text.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

/// An address of one to four numbers as inet_aton(3): the last fills the remaining bytes.
fn inet_aton(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').collect();
    let (last, first) = parts.split_last().filter(|parts| parts.1.len() < 4)?;
    let mut addr = 0;
    for (at, part) in first.iter().enumerate() {
        addr |= (x6::strtoui(part, 0, 255)? as u32) << (24 - 8 * at);
    }
    let last = x6::strtoui(last, 0, u64::from(u32::MAX) >> (8 * first.len()))?;
    Some(Ipv4Addr::from_bits(addr | last as u32))
}

/// Names of the bits that are set, joined by commas, after a space.
pub fn show_bits(bits: u16, names: &[(&str, u16)], out: &mut String) {
    let mut before = ' ';
    for (name, _) in names.iter().filter(|name| bits & name.1 != 0) {
        out.push(before);
        out.push_str(name);
        before = ',';
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Conntrack>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    let name = |out: &mut String, not: bool, name: &str| {
        let _ = write!(out, "{} {dashes}{name}", if not { " !" } else { "" });
    };
    if let Some((not, state)) = with.state {
        name(out, not, "ctstate");
        show_bits(state, &STATES, out);
    }
    if let Some((not, proto)) = with.proto {
        name(out, not, "ctproto");
        let _ = write!(out, " {proto}");
    }
    for (text, host) in [
        ("ctorigsrc", with.origsrc),
        ("ctorigdst", with.origdst),
        ("ctreplsrc", with.replsrc),
        ("ctrepldst", with.repldst),
    ] {
        if let Some((not, addr, mask)) = host {
            name(out, not, text);
            show_host(addr, mask, style, out);
        }
    }
    for (text, ports) in [
        ("ctorigsrcport", with.origsrcport),
        ("ctorigdstport", with.origdstport),
        ("ctreplsrcport", with.replsrcport),
        ("ctrepldstport", with.repldstport),
    ] {
        if let Some(ports) = ports {
            name(out, ports.invert, text);
            out.push(' ');
            super::words::show_range((u32::from(ports.range.0), u32::from(ports.range.1)), out);
        }
    }
    if let Some((not, status)) = with.status {
        name(out, not, "ctstatus");
        if status == 0 {
            out.push_str(" NONE");
        }
        show_bits(status, &STATUSES, out);
    }
    if let Some((not, low, high)) = with.expire {
        name(out, not, "ctexpire");
        out.push(' ');
        super::words::show_range((low, high), out);
    }
    if let Some(reply) = with.reply {
        name(out, false, "ctdir");
        out.push_str(if reply { " REPLY" } else { " ORIGINAL" });
    }
}

fn show_host(addr: Ipv4Addr, mask: Ipv4Addr, style: Style, out: &mut String) {
    let by_name = matches!(style, Style::List { numeric: false, .. });
    if by_name && addr.is_unspecified() && mask.is_unspecified() {
        out.push_str(" anywhere");
        return;
    }
    let _ = match addr {
        // Only localhost is certain to resolve.
        Ipv4Addr::LOCALHOST if by_name => write!(out, " localhost"),
        addr => write!(out, " {addr}"),
    };
    if !mask.is_broadcast() {
        let _ = write!(out, "/{}", mask.to_bits().leading_ones());
    }
}

fn arbitrary(make: &mut Maker) {
    const STATES: &[&str] = &["INVALID", "NEW", "RELATED", "ESTABLISHED", "UNTRACKED", "SNAT", "DNAT"];
    make.add("-m conntrack");
    let before = make.out.len();
    while make.out.len() == before {
        if make.one_in(2) {
            make.not();
            let states = make.some(STATES);
            make.add(format!("--ctstate {states}"));
        }
        if make.one_in(5) {
            make.not();
            let proto = make.pick(&["tcp", "udp", "icmp", "47", "0"]);
            make.add(format!("--ctproto {proto}"));
        }
        for side in ["origsrc", "origdst", "replsrc", "repldst"] {
            if make.one_in(6) {
                make.not();
                let (addr, bits) = (make.addr(), make.below(33));
                make.add(format!("--ct{side} {addr}/{bits}"));
            }
            if make.one_in(8) {
                make.not();
                let ports = make.range(65_536);
                make.add(format!("--ct{side}port {ports}"));
            }
        }
        if make.one_in(5) {
            make.not();
            let status = make.some(&["NONE", "EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"]);
            make.add(format!("--ctstatus {status}"));
        }
        if make.one_in(6) {
            make.not();
            let expire = make.range(1 << 32);
            make.add(format!("--ctexpire {expire}"));
        }
        if make.one_in(6) {
            let dir = make.pick(&["ORIGINAL", "REPLY", "reply"]);
            make.add(format!("--ctdir {dir}"));
        }
    }
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    const STATES: [&str; 7] = ["NEW", "ESTABLISHED", "RELATED", "INVALID", "UNTRACKED", "DNAT", "SNAT"];
    const STATUS: [&str; 5] = ["NONE", "SEEN_REPLY", "ASSURED", "CONFIRMED", "EXPECTED"];
    let not = draw.not();
    let side = draw.pick(&["origsrc", "origdst", "replsrc", "repldst"]);
    let what = match draw.below(12) {
        0..=4 => format!("{not}--ctstate {}", draw.some(&STATES)),
        5 => format!("--ctdir {}", draw.pick(&["ORIGINAL", "REPLY"])),
        6 => format!("{not}--ctproto {}", draw.pick(&["tcp", "udp", "icmp"])),
        7 | 8 => format!("{not}--ct{side} {}", draw.network()),
        9 => format!("{not}--ct{side}port {}", draw.ports()),
        10 => format!("{not}--ctstatus {}", draw.some(&STATUS)),
        // No connection of a case has a timeout near these values.
        _ => format!("{not}--ctexpire {}", draw.pick(&["0", "1:200", "1000:4000000", "0:86400"])),
    };
    format!("-m conntrack {what}")
}
