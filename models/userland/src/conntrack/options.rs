//! The command line of `conntrack`.

use std::fmt::Display;

use glassnet_kernel::tables::conntrack::{
    EventKind, IPS_ASSURED, IPS_EXPECTED, IPS_FIXED_TIMEOUT, IPS_SEEN_REPLY, SctpState, TcpState,
};
use glassnet_kernel::tables::fib_trie::inet_make_mask;

use super::NAME;
use super::filter::{self, Filter, Nat, Network};
use super::show::Format;
use crate::hosts::inet_aton;
use crate::numbers::{base0, decimal};
use crate::services;
use crate::stop::{Done, Stop};

/// Command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `-L`.
    List,
    /// `-G`.
    Get,
    /// `-D`.
    Delete,
    /// `-I`.
    Create,
    /// `-A`: `-I`, but an existing connection is not an error.
    Add,
    /// `-U`.
    Update,
    /// `-E`.
    Events,
    /// `-F`.
    Flush,
    /// `-C`.
    Count,
    /// `-S`.
    Stats,
    /// `-h`, or no command.
    Help,
    /// `-V`.
    Version,
}

/// Options of the command line.
#[derive(Debug, Default)]
pub struct Options {
    /// The command.
    pub command: Option<Command>,
    /// The table, if given.
    pub table: Option<String>,
    /// Filter.
    pub filter: Filter,
    /// Output format.
    pub format: Format,
    /// `-e`: event types; 0: all.
    pub kinds: u8,
    /// `-z`.
    pub zero: bool,
    /// `-t`, seconds.
    pub timeout: Option<u64>,
    /// `--orig-vtag`, `--reply-vtag`: SCTP's verification tags.
    pub vtags: [Option<u32>; 2],
    /// `-f` or an address gave the address family.
    pub family: bool,
    /// The given options, by long name.
    pub given: Vec<&'static str>,
}

/// Argument of an option.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    /// Optional: the next word, unless it begins with `-`.
    Maybe,
}

/// Short letter (0: none), long name, argument.
type Spec = (u8, &'static str, Takes);

const COMMANDS: &[(Spec, Command)] = &[
    ((b'L', "dump", Takes::Maybe), Command::List),
    ((b'G', "get", Takes::Maybe), Command::Get),
    ((b'D', "delete", Takes::Maybe), Command::Delete),
    ((b'I', "create", Takes::Maybe), Command::Create),
    ((b'A', "add", Takes::Maybe), Command::Add),
    ((b'U', "update", Takes::Maybe), Command::Update),
    ((b'E', "event", Takes::Maybe), Command::Events),
    ((b'F', "flush", Takes::Maybe), Command::Flush),
    ((b'C', "count", Takes::Maybe), Command::Count),
    ((b'S', "stats", Takes::Maybe), Command::Stats),
    ((b'h', "help", Takes::Nothing), Command::Help),
    ((b'V', "version", Takes::Nothing), Command::Version),
];

const OPTIONS: &[Spec] = &[
    (b's', "src", Takes::Value),
    (b's', "orig-src", Takes::Value),
    (b'd', "dst", Takes::Value),
    (b'd', "orig-dst", Takes::Value),
    (b'r', "reply-src", Takes::Value),
    (b'q', "reply-dst", Takes::Value),
    (b'p', "protonum", Takes::Value),
    (b'p', "proto", Takes::Value),
    (b'f', "family", Takes::Value),
    (b't', "timeout", Takes::Value),
    (b'u', "status", Takes::Value),
    (b'm', "mark", Takes::Value),
    (b'c', "secmark", Takes::Value),
    (b'w', "zone", Takes::Value),
    (0, "orig-zone", Takes::Value),
    (0, "reply-zone", Takes::Value),
    (b'e', "event-mask", Takes::Value),
    (b'z', "zero", Takes::Nothing),
    (b'o', "output", Takes::Value),
    (b'n', "src-nat", Takes::Maybe),
    (b'g', "dst-nat", Takes::Maybe),
    (b'j', "any-nat", Takes::Maybe),
    (b'b', "buffer-size", Takes::Value),
    (b'l', "label", Takes::Value),
    (b'R', "load-file", Takes::Value),
    (0, "label-add", Takes::Value),
    (0, "label-del", Takes::Value),
    (0, "mask-src", Takes::Value),
    (0, "mask-dst", Takes::Value),
    (0, "tuple-src", Takes::Value),
    (0, "tuple-dst", Takes::Value),
];

const PORTS: &[&str] =
    &["sport", "dport", "orig-port-src", "orig-port-dst", "reply-port-src", "reply-port-dst"];

/// Options of a protocol, after `-p`.
fn proto_options(proto: u8) -> &'static [&'static str] {
    match proto {
        6 => {
            &["sport", "dport", "orig-port-src", "orig-port-dst", "reply-port-src", "reply-port-dst", "state"]
        }
        1 => &["icmp-type", "icmp-code", "icmp-id"],
        132 => &[
            "sport",
            "dport",
            "orig-port-src",
            "orig-port-dst",
            "reply-port-src",
            "reply-port-dst",
            "state",
            "orig-vtag",
            "reply-vtag",
        ],
        17 | 33 | 136 => PORTS,
        47 => &["srckey", "dstkey", "reply-key-src", "reply-key-dst"],
        _ => &[],
    }
}

/// `PARAMETER_PROBLEM`.
fn parameter<T>(text: impl Display) -> Done<T> {
    let hint = "Try `conntrack -h' or 'conntrack --help' for more information.";
    Err(Stop::error(2, format!("{NAME}: {text}\n{hint}\n")))
}

/// `OTHER_PROBLEM`.
pub fn other(text: impl Display) -> Stop {
    Stop::error(1, format!("{NAME}: {text}\n"))
}

fn unknown<T>(word: &str) -> Done<T> {
    parameter(format!("unknown option `{word}'"))
}

/// Reads the command line.
///
/// # Errors
///
/// The first error, in the real tool's words.
pub fn parse(args: &[String]) -> Done<Options> {
    let mut options = Options::default();
    let mut rest = args.iter().peekable();
    while let Some(word) = rest.next() {
        // Operands.
        if word == "--" {
            break;
        }
        let (spec, attached) = match find(word, options.filter.proto) {
            Some(found) => found,
            None if word.starts_with('-') && word != "-" => return unknown(word),
            // Operands are ignored.
            None => continue,
        };
        let next = |rest: &mut std::iter::Peekable<std::slice::Iter<String>>| rest.next().cloned();
        let value = match spec.2 {
            Takes::Nothing => None,
            _ if attached.is_some() => attached,
            Takes::Value => match next(&mut rest) {
                Some(value) => Some(value),
                None => return parameter(format!("option `{word}' requires an argument")),
            },
            Takes::Maybe if rest.peek().is_some_and(|word| !word.starts_with('-')) => next(&mut rest),
            Takes::Maybe => None,
        };
        match COMMANDS.iter().find(|command| command.0.1 == spec.1) {
            Some((_, command)) => set_command(&mut options, *command, value)?,
            None => set(&mut options, spec.1, value.as_deref())?,
        }
    }
    check(&options)?;
    Ok(options)
}

fn find(word: &str, proto: Option<u8>) -> Option<(Spec, Option<String>)> {
    let all = || COMMANDS.iter().map(|command| &command.0).chain(OPTIONS);
    if let Some(long) = word.strip_prefix("--") {
        let (name, value) = match long.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (long, None),
        };
        let of_proto = proto.map_or(&[][..], proto_options);
        if let Some(exact) = all().find(|spec| spec.1 == name) {
            return Some((*exact, value));
        }
        if let Some(own) = of_proto.iter().find(|own| **own == name) {
            return Some(((0, own, Takes::Value), value));
        }
        let mut starting = all().filter(|spec| !name.is_empty() && spec.1.starts_with(name));
        let first = starting.next()?;
        return starting.all(|other| other.0 == first.0).then_some((*first, value));
    }
    let letter = *word.strip_prefix('-')?.as_bytes().first()?;
    let spec = all().find(|spec| spec.0 == letter)?;
    let attached = word.get(2..).filter(|rest| !rest.is_empty()).map(str::to_owned);
    Some((*spec, attached))
}

fn set_command(options: &mut Options, command: Command, table: Option<String>) -> Done {
    if options.command.is_some() {
        return parameter("Invalid commands combination");
    }
    options.command = Some(command);
    if let Some(table) = &table
        && !["conntrack", "expect", "dying", "unconfirmed"].contains(&table.as_str())
    {
        return parameter(format!("unknown type `{table}'"));
    }
    options.table = table;
    Ok(())
}

/// The number at the start of a word; 0 if there is none.
fn number(text: &str) -> u64 {
    base0(text).and_then(|digits| digits.value).unwrap_or(0)
}

fn address(text: &str) -> Done<Network> {
    let (host, len) = match text.split_once('/') {
        Some((host, "")) => (host, Some(0)),
        Some((host, len)) => (host, len.parse().ok().filter(|len| *len <= 32)),
        None => (text, Some(32)),
    };
    let Some(len) = len else { return parameter("Invalid netmask") };
    match inet_aton(host) {
        Some(host) => {
            let mask = inet_make_mask(len);
            Ok((host & mask, mask))
        }
        None if host.contains(':') => Err(other("not modelled yet: IPv6")),
        None => parameter(format!("Invalid IP address `{text}'")),
    }
}

fn nat(name: &str, value: Option<&str>) -> Done<Nat> {
    let Some(text) = value else { return Ok(Nat::default()) };
    let (host, port) = match text.split_once(':') {
        Some((host, port)) => match port.parse() {
            Ok(port) => (host, Some(port)),
            Err(_) => return parameter(format!("Invalid port `{port}'")),
        },
        None => (text, None),
    };
    if host.contains('/') {
        return parameter(format!("CIDR notation unavailable for `--{name}'"));
    }
    Ok(Nat { address: Some(address(host)?.0), port })
}

fn set(options: &mut Options, name: &'static str, value: Option<&str>) -> Done {
    let text = value.unwrap_or_default();
    options.given.push(name);
    // A network is an address and a mask; the mask is an option of its own.
    match name {
        "src" | "orig-src" if text.contains('/') => options.given.push("mask-src"),
        "dst" | "orig-dst" if text.contains('/') => options.given.push("mask-dst"),
        _ => {}
    }
    let filter = &mut options.filter;
    match name {
        "src" | "orig-src" => filter.orig.0 = Some(address(text)?),
        "dst" | "orig-dst" => filter.orig.1 = Some(address(text)?),
        "reply-src" => filter.reply.0 = Some(address(text)?),
        "reply-dst" => filter.reply.1 = Some(address(text)?),
        "protonum" | "proto" => filter.proto = Some(protocol(text)?),
        "family" => family(filter, text)?,
        "timeout" => options.timeout = Some(u64::from(number(text) as u32)),
        "status" => filter.status = Some(status(text)?),
        "mark" => filter.mark = Some(mark(text)),
        "zone" => filter.zone = Some(number(text) as u16),
        "orig-zone" => filter.zones.0 = Some(number(text) as u16),
        "reply-zone" => filter.zones.1 = Some(number(text) as u16),
        "event-mask" => options.kinds |= kinds(text)?,
        "zero" => options.zero = true,
        "output" => output(&mut options.format, text)?,
        "src-nat" => filter.src_nat = Some(nat(name, value)?),
        "dst-nat" => filter.dst_nat = Some(nat(name, value)?),
        "any-nat" => filter.any_nat = Some(nat(name, value)?),
        "buffer-size" => {}
        "sport" | "orig-port-src" => filter.ports[0] = Some(number(text) as u16),
        "dport" | "orig-port-dst" => filter.ports[1] = Some(number(text) as u16),
        "reply-port-src" => filter.ports[2] = Some(number(text) as u16),
        "reply-port-dst" => filter.ports[3] = Some(number(text) as u16),
        "icmp-type" => filter.icmp[0] = Some(number(text) as u16),
        "icmp-code" => filter.icmp[1] = Some(number(text) as u16),
        "icmp-id" => filter.icmp[2] = Some(number(text) as u16),
        // The bytes of a tag are taken as they lie in this machine's memory.
        "orig-vtag" => options.vtags[0] = Some(tag(text)),
        "reply-vtag" => options.vtags[1] = Some(tag(text)),
        "state" if filter.proto == Some(132) => filter.sctp_state = Some(sctp_state(text)?),
        "state" => filter.state = Some(state(text)?),
        unknown => return Err(other(format!("not modelled yet: --{unknown}"))),
    }
    options.family |=
        matches!(name, "src" | "orig-src" | "dst" | "orig-dst" | "reply-src" | "reply-dst" | "family");
    Ok(())
}

fn family(filter: &mut Filter, text: &str) -> Done {
    match text {
        "ipv4" => Ok(()),
        "ipv6" => {
            filter.never = true;
            Ok(())
        }
        _ => parameter(format!("`{text}' unsupported protocol")),
    }
}

fn protocol(text: &str) -> Done<u8> {
    // The tool's own names are case-insensitive.
    let known = text.parse::<u8>().ok().or_else(|| match text.to_ascii_lowercase().as_str() {
        "tcp" => Some(6),
        "udp" => Some(17),
        "icmp" => Some(1),
        "dccp" => Some(33),
        "gre" => Some(47),
        "sctp" => Some(132),
        "udplite" => Some(136),
        "unknown" => None,
        _ => services::protocol_by_name(text),
    });
    match known {
        Some(proto) => Ok(proto),
        None => parameter(format!("`{text}' unsupported protocol")),
    }
}

/// A verification tag, as atoi(3) reads it.
fn tag(text: &str) -> u32 {
    (decimal(text).and_then(|digits| digits.value).unwrap_or(0) as u32).swap_bytes()
}

fn mark(text: &str) -> (u32, u32) {
    match text.split_once('/') {
        Some((value, mask)) => (number(value) as u32, number(mask) as u32),
        None => (number(text) as u32, u32::MAX),
    }
}

/// `IPS_*` bits that must be set, and bits that must not; `UNSET` adds to neither.
fn status(text: &str) -> Done<(u16, u16)> {
    let (mut set, mut unset) = (0, 0);
    for word in text.split(',') {
        match word.to_ascii_uppercase().as_str() {
            "EXPECTED" => set |= IPS_EXPECTED,
            "ASSURED" => set |= IPS_ASSURED,
            "SEEN_REPLY" => set |= IPS_SEEN_REPLY,
            "FIXED_TIMEOUT" => set |= IPS_FIXED_TIMEOUT,
            "UNREPLIED" => unset |= IPS_SEEN_REPLY,
            "UNSET" => {}
            "CONFIRMED" | "OFFLOAD" | "HW_OFFLOAD" => {
                return Err(other(format!("not modelled yet: --status {word}")));
            }
            _ => return parameter(format!("Bad parameter `{word}'")),
        }
    }
    Ok((set, unset))
}

fn kinds(text: &str) -> Done<u8> {
    let mut kinds = 0;
    for word in text.split(',') {
        kinds |= match word.to_ascii_uppercase().as_str() {
            "ALL" => 7,
            "NEW" => EventKind::New.bit(),
            "UPDATES" => EventKind::Update.bit(),
            "DESTROY" => EventKind::Destroy.bit(),
            _ => return parameter(format!("Bad parameter `{word}'")),
        };
    }
    Ok(kinds)
}

fn output(format: &mut Format, text: &str) -> Done {
    for word in text.split(',') {
        match word.to_ascii_lowercase().as_str() {
            "xml" => format.xml = true,
            "extended" => format.extended = true,
            "timestamp" => format.timestamp = true,
            "id" => format.id = true,
            "ktimestamp" => format.ktimestamp = true,
            "save" => format.save = true,
            "labels" | "userspace" => return Err(other(format!("not modelled yet: --output {word}"))),
            _ => return parameter(format!("Bad parameter `{word}'")),
        }
    }
    match *format {
        Format { save: true, .. } if *format != (Format { save: true, ..Format::default() }) => {
            Err(other("cannot combine save output with any other output type, use -o save only"))
        }
        _ => Ok(()),
    }
}

/// TCP's states, by number.
pub const STATES: [TcpState; 10] = [
    TcpState::None,
    TcpState::SynSent,
    TcpState::SynRecv,
    TcpState::Established,
    TcpState::FinWait,
    TcpState::CloseWait,
    TcpState::LastAck,
    TcpState::TimeWait,
    TcpState::Close,
    TcpState::SynSent2,
];

fn state(text: &str) -> Done<TcpState> {
    match STATES.into_iter().find(|state| state.name() == text) {
        Some(state) => Ok(state),
        None if text == "LISTEN" => Ok(TcpState::SynSent2),
        None => parameter(format!("unknown TCP state `{text}'")),
    }
}

fn sctp_state(text: &str) -> Done<SctpState> {
    match SctpState::ALL.into_iter().find(|state| state.name() == text) {
        Some(state) => Ok(state),
        // The real tool ends with a segmentation fault.
        None => Err(other(format!("not modelled yet: --state {text}"))),
    }
}

/// Checks that the options are allowed for the command.
fn check(options: &Options) -> Done {
    let has = |name: &str| options.given.contains(&name);
    if has("any-nat") && (has("src-nat") || has("dst-nat")) {
        return parameter("cannot specify `--src-nat' or `--dst-nat' with `--any-nat'");
    }
    if options.table.as_deref() == Some("expect") {
        return check_expect(options);
    }
    let Some(refused) = refused(options)? else { return Ok(()) };
    // Commands for the whole table allow hardly any options.
    let only = matches!(options.command, None | Some(Command::Count | Command::Stats | Command::Flush));
    if let Some(name) = options.given.iter().find(|name| refused.contains(name) != only) {
        return parameter(format!("Illegal option `--{}' with this command", first_name(name)));
    }
    match options.command {
        Some(Command::Get | Command::Create | Command::Add) => describes_one(options),
        // The kernel requires a condition.
        Some(Command::List) if options.filter.status == Some((0, 0)) => {
            Err(other("Operation failed: invalid parameters"))
        }
        _ => Ok(()),
    }
}

/// The same for commands on expectations.
fn check_expect(options: &Options) -> Done {
    let allowed: &[&str] = match options.command {
        Some(Command::List) => &["family", "output"],
        Some(Command::Events) => &["output"],
        Some(Command::Update) => return parameter("Can't do --update on expectations"),
        Some(Command::Add) => return parameter("Can't do --add on expectations"),
        Some(Command::Count | Command::Flush | Command::Stats) => &[],
        _ => return Ok(()),
    };
    match options.given.iter().find(|name| !allowed.contains(name)) {
        Some(name) => parameter(format!("Illegal option `--{}' with this command", first_name(name))),
        None => Ok(()),
    }
}

/// The name by which messages call an option.
fn first_name(name: &'static str) -> &'static str {
    match name {
        "proto" => "protonum",
        "orig-src" => "src",
        "orig-dst" => "dst",
        other => other,
    }
}

/// The options that a command does not allow; for commands for the whole table, the only ones that it allows.
fn refused(options: &Options) -> Done<Option<&'static [&'static str]>> {
    Ok(Some(match options.command {
        Some(Command::Help | Command::Version) => return Ok(None),
        None | Some(Command::Count | Command::Stats) => &[],
        Some(Command::Flush) => &["family"],
        Some(Command::List)
            if options.zero && options.given.iter().any(|name| !["zero", "output"].contains(name)) =>
        {
            return parameter("Can't use -z with filtering parameters");
        }
        Some(Command::List) => &["timeout", "event-mask", "buffer-size", "orig-vtag", "reply-vtag"],
        Some(Command::Delete | Command::Update) => &["zero", "event-mask", "buffer-size"],
        Some(Command::Get) => &["zero", "event-mask", "buffer-size", "any-nat", "mask-src", "mask-dst"],
        Some(Command::Create | Command::Add) => {
            &["zero", "event-mask", "output", "buffer-size", "any-nat", "mask-src", "mask-dst"]
        }
        Some(Command::Events) => &["zero", "timeout"],
    }))
}

/// The options describe a connection completely.
fn describes_one(options: &Options) -> Done {
    let given = |name: &str| options.given.contains(&name);
    let creates = options.command != Some(Command::Get);
    let need = |name: &str, is_there: bool| match is_there {
        true => Ok(()),
        false => parameter(format!("You need to supply the `--{name}' option for this command")),
    };
    need("protonum", options.filter.proto.is_some())?;
    need("timeout", options.timeout.is_some() || !creates)?;
    let filter = &options.filter;
    let both = |(a, b): (Option<filter::Network>, Option<filter::Network>)| a.is_some() && b.is_some();
    if !both(filter.orig) && !both(filter.reply) {
        return parameter("you have to specify `--src' and `--dst'");
    }
    match filter.proto {
        Some(1) => {
            need("icmp-type", given("icmp-type"))?;
            need("icmp-code", given("icmp-code"))
        }
        Some(47) if !given("srckey") || !given("dstkey") => {
            parameter("you have to specify `--srckey' and `--dstkey'")
        }
        Some(proto @ (6 | 17 | 33 | 132 | 136)) => {
            let has_state = filter.state.is_some() || filter.sctp_state.is_some();
            need("state", !matches!(proto, 6 | 132) || has_state || !creates)?;
            need("orig-vtag", proto != 132 || given("orig-vtag") || !creates)?;
            need("reply-vtag", proto != 132 || given("reply-vtag") || !creates)?;
            let [sport, dport, rsport, rdport] = filter.ports.map(|port| port.is_some());
            match sport && dport || rsport && rdport {
                true => Ok(()),
                false => parameter("you have to specify `--sport' and `--dport'"),
            }
        }
        _ => Ok(()),
    }
}
