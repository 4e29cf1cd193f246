//! The command line.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::ip_vs::svc::{
    DestSpec, SVC_F_ONEPACKET, SVC_F_PERSISTENT, SVC_F_SCHED1, SVC_F_SCHED2, SVC_F_SCHED3, ServiceSpec,
    SvcKey, TunType,
};
use glassnet_kernel::tables::ip_vs::{CONN_F_DROUTE, CONN_F_MASQ, CONN_F_TUNNEL};
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};

use crate::hosts::{Hosts, inet_aton};
use crate::services::ports_by_name;
use crate::stop::{Done, Stop};

/// Status of errors that popt finds, and of what the kernel refuses.
pub const FAILED: i32 = 255;
/// Timeout of a persistent service without one, seconds.
const DEFAULT_TIMEOUT: u32 = 360;
/// The greatest timeout, seconds: 31 days.
const MAX_TIMEOUT: u64 = 31 * 24 * 60 * 60;
/// The scheduler of a service without one.
const DEFAULT_SCHEDULER: &str = "wlc";
/// Letters of a scheduler's name that count.
const SCHEDULER_LEN: usize = 15;
/// `IP_VS_TUNNEL_ENCAP_FLAG_CSUM`.
pub const ENCAP_FLAG_CSUM: u16 = 1;
/// `IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM`.
pub const ENCAP_FLAG_REMCSUM: u16 = 2;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// `-A`.
    AddService,
    /// `-E`.
    EditService,
    /// `-D`.
    DeleteService,
    /// `-C`.
    Flush,
    /// `-L`.
    List,
    /// `-a`.
    AddServer,
    /// `-d`.
    DeleteServer,
    /// `-e`.
    EditServer,
    /// `--set`.
    Set,
    /// `-R`.
    Restore,
    /// `-S`.
    Save,
    /// `-Z`.
    Zero,
    /// `-h`.
    Help,
    /// `-v`.
    Version,
}

/// Commands by their options, and which other options each takes, by [`OPTIONS`]: ` ` may, `+` must, `x` must not be there, and of
/// those with `1` only one.
const COMMANDS: &[(&str, char, Command, &str, &str)] = &[
    ("add-service", 'A', Command::AddService, "add-service", "xx+   xxxxxxxxxxxxxxx   xxxxxxxxxx"),
    ("edit-service", 'E', Command::EditService, "edit-service", "xx+   xxxxxxxxxxxxxxx   xxxxxxxxxx"),
    ("delete-service", 'D', Command::DeleteService, "delete-service", "xx+xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("clear", 'C', Command::Flush, "flush", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("list", 'L', Command::List, "list", " 11xxxxxxxxx11       xxxxxxx xxxxx"),
    ("list", 'l', Command::List, "list", " 11xxxxxxxxx11       xxxxxxx xxxxx"),
    ("add-server", 'a', Command::AddServer, "add-server", "xx+xxx+    xxxxxxxxxxxxxxxxxx     "),
    ("delete-server", 'd', Command::DeleteServer, "delete-server", "xx+xxx+xxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("edit-server", 'e', Command::EditServer, "edit-server", "xx+xxx+    xxxxxxxxxxxxxxxxxx     "),
    ("set", '\0', Command::Set, "set", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("restore", 'R', Command::Restore, "restore", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("save", 'S', Command::Save, "save", " xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("zero", 'Z', Command::Zero, "zero", "xx xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
    ("help", 'h', Command::Help, "", ""),
    ("version", 'v', Command::Version, "", ""),
];

/// What is real but not modelled.
const UNMODELLED: &[&str] = &[
    "start-daemon",
    "stop-daemon",
    "daemon",
    "syncid",
    "sync-maxlen",
    "mcast-interface",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sctp-service",
    "ipv6",
];

/// The names of options in messages, in the order of the columns of [`COMMANDS`].
const OPTIONS: [&str; 34] = [
    "numeric",
    "connection",
    "service-address",
    "scheduler",
    "persistent",
    "netmask",
    "real-server",
    "forwarding-method",
    "weight",
    "u-threshold",
    "l-threshold",
    "mcast-interface",
    "timeout",
    "daemon",
    "stats",
    "rate",
    "thresholds",
    "persistent-conn",
    "nosort",
    "syncid",
    "exact",
    "ops",
    "pe",
    "sched-flags",
    "mcast-group",
    "mcast-port",
    "mcast-ttl",
    "sync-maxlen",
    "tun-info",
    "tun-type",
    "tun-port",
    "tun-nocsum",
    "tun-csum",
    "tun-remcsum",
];

/// The options behind a command: long name, letter, whether it takes a value, and its name among [`OPTIONS`]; empty: none.
const OTHERS: &[(&str, char, Takes, &str)] = &[
    ("tcp-service", 't', Takes::Value, "service-address"),
    ("udp-service", 'u', Takes::Value, "service-address"),
    ("fwmark-service", 'f', Takes::Value, "service-address"),
    ("scheduler", 's', Takes::Value, "scheduler"),
    ("persistent", 'p', Takes::Optional, "persistent"),
    ("netmask", 'M', Takes::Value, "netmask"),
    ("real-server", 'r', Takes::Value, "real-server"),
    ("masquerading", 'm', Takes::Nothing, "forwarding-method"),
    ("ipip", 'i', Takes::Nothing, "forwarding-method"),
    ("gatewaying", 'g', Takes::Nothing, "forwarding-method"),
    ("weight", 'w', Takes::Value, "weight"),
    ("u-threshold", 'x', Takes::Value, "u-threshold"),
    ("l-threshold", 'y', Takes::Value, "l-threshold"),
    ("numeric", 'n', Takes::Nothing, "numeric"),
    ("connection", 'c', Takes::Nothing, "connection"),
    ("timeout", '\0', Takes::Nothing, "timeout"),
    ("stats", '\0', Takes::Nothing, "stats"),
    ("rate", '\0', Takes::Nothing, "rate"),
    ("thresholds", '\0', Takes::Nothing, "thresholds"),
    ("persistent-conn", '\0', Takes::Nothing, "persistent-conn"),
    ("nosort", '\0', Takes::Nothing, "nosort"),
    ("sort", '\0', Takes::Nothing, ""),
    ("exact", '\0', Takes::Nothing, "exact"),
    ("ops", 'o', Takes::Nothing, "ops"),
    ("pe", '\0', Takes::Value, "pe"),
    ("sched-flags", 'b', Takes::Value, "sched-flags"),
    ("tun-info", '\0', Takes::Nothing, "tun-info"),
    ("tun-type", '\0', Takes::Value, "tun-type"),
    ("tun-port", '\0', Takes::Value, "tun-port"),
    ("tun-nocsum", '\0', Takes::Nothing, "tun-nocsum"),
    ("tun-csum", '\0', Takes::Nothing, "tun-csum"),
    ("tun-remcsum", '\0', Takes::Nothing, "tun-remcsum"),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Value,
    Optional,
}

/// Flags of schedulers, and the scheduler that each is for; empty: any.
pub const SCHED_FLAGS: [(&str, &str, u32); 7] = [
    ("sh-fallback", "sh", SVC_F_SCHED1),
    ("sh-port", "sh", SVC_F_SCHED2),
    ("mh-fallback", "mh", SVC_F_SCHED1),
    ("mh-port", "mh", SVC_F_SCHED2),
    ("flag-1", "", SVC_F_SCHED1),
    ("flag-2", "", SVC_F_SCHED2),
    ("flag-3", "", SVC_F_SCHED3),
];

/// A command line.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is to be done.
    pub command: Command,
    /// The service.
    pub service: ServiceSpec,
    /// The destination.
    pub dest: DestSpec,
    /// The timeouts of `--set`, seconds.
    pub timeouts: [u32; 3],
    given: Vec<&'static str>,
}

impl Options {
    /// The option was given, by its name among [`OPTIONS`].
    pub fn has(&self, option: &str) -> bool {
        self.given.contains(&option)
    }
}

fn fail<T>(text: impl std::fmt::Display) -> Done<T> {
    Err(Stop::error(2, format!("{text}\n")))
}

/// The error of a command line that begins with no command.
fn try_help() -> Stop {
    Stop::error(FAILED, "Try `ipvsadm -h' or 'ipvsadm --help' for more information.\n")
}

fn not_modelled<T>(option: &str) -> Done<T> {
    Err(Stop::error(2, format!("ipvsadm: not modelled yet: --{option}\n")))
}

/// The options of a command line one by one, as popt reads them: letters may stand together, and a value follows or is the rest.
struct Words<'a> {
    rest: std::slice::Iter<'a, String>,
    letters: std::str::Chars<'a>,
    operands: Vec<&'a str>,
}

/// An option as it stands in the command line.
enum Word<'a> {
    Long(&'a str, Option<&'a str>),
    Letter(char),
}

impl<'a> Words<'a> {
    fn next(&mut self) -> Option<Word<'a>> {
        if let Some(letter) = self.letters.next() {
            return Some(Word::Letter(letter));
        }
        loop {
            let word = self.rest.next()?.as_str();
            if let Some(long) = word.strip_prefix("--").filter(|long| !long.is_empty()) {
                let (name, value) =
                    long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                return Some(Word::Long(name, value));
            }
            match word.strip_prefix('-').filter(|letters| !letters.is_empty()) {
                Some(letters) => {
                    self.letters = letters.chars();
                    return self.letters.next().map(Word::Letter);
                }
                None => self.operands.push(word),
            }
        }
    }

    /// The value of an option: what follows it in the same word, or the next word.
    fn value(&mut self, takes: Takes, given: Option<&'a str>) -> Option<&'a str> {
        let rest = self.letters.as_str();
        if takes == Takes::Nothing || given.is_some() {
            return given;
        }
        if !rest.is_empty() {
            self.letters = "".chars();
            return Some(rest.strip_prefix('=').unwrap_or(rest));
        }
        let next = self.rest.as_slice().first()?;
        if takes == Takes::Optional && next.starts_with('-') {
            return None;
        }
        self.rest.next().map(String::as_str)
    }
}

/// Reads a command line.
pub fn parse(args: &[String], hosts: &Hosts) -> Done<Options> {
    let mut words = Words { rest: args.iter(), letters: "".chars(), operands: Vec::new() };
    let first = words.next().ok_or_else(try_help)?;
    let command = COMMANDS.iter().find(|known| match first {
        Word::Long(name, _) => known.0 == name,
        Word::Letter(letter) => known.1 == letter,
    });
    let Some(&(.., command, name, allowed)) = command else {
        return match first {
            Word::Long(name, _) if UNMODELLED.contains(&name) => not_modelled(name),
            _ => Err(try_help()),
        };
    };
    let mut options = Options {
        command,
        service: ServiceSpec {
            key: SvcKey::FwMark(0),
            scheduler: String::new(),
            pe: String::new(),
            flags: 0,
            timeout: 0,
            netmask: u32::MAX,
        },
        dest: DestSpec {
            addr: Ipv4Addr::UNSPECIFIED,
            port: 0,
            fwd: CONN_F_DROUTE,
            weight: 1,
            u_threshold: 0,
            l_threshold: 0,
            tun_type: TunType::Ipip,
            tun_port: 0,
            tun_flags: 0,
        },
        timeouts: [0; 3],
        given: Vec::new(),
    };
    if matches!(command, Command::Help | Command::Version) {
        return Ok(options);
    }
    let mut sched_flags = None;
    while let Some(word) = words.next() {
        take(&mut options, &mut words, word, &mut sched_flags, hosts)?;
    }
    operands(&mut options, &words.operands)?;
    check_options(&options, name, allowed)?;
    finish(&mut options, sched_flags)?;
    Ok(options)
}

/// Takes an option and its value.
fn take<'a>(
    options: &mut Options,
    words: &mut Words<'a>,
    word: Word<'a>,
    sched_flags: &mut Option<&'a str>,
    hosts: &Hosts,
) -> Done {
    let (shown, given) = match word {
        Word::Long(name, value) => (format!("--{name}"), value),
        Word::Letter(letter) => (format!("-{letter}"), None),
    };
    let known = OTHERS.iter().find(|known| match word {
        Word::Long(name, _) => known.0 == name,
        Word::Letter(letter) => known.1 == letter,
    });
    let Some(&(long, _, takes, name)) = known else {
        return match word {
            Word::Letter('6') => not_modelled("ipv6"),
            Word::Long(name, _) if UNMODELLED.contains(&name) => not_modelled(name),
            Word::Letter(letter) if COMMANDS.iter().any(|known| known.1 == letter) => {
                fail(format_args!("invalid option `{shown}'"))
            }
            Word::Long(name, _) if COMMANDS.iter().any(|known| known.0 == name) => {
                fail(format_args!("invalid option `{shown}'"))
            }
            _ => Err(Stop::error(FAILED, format!("{shown}: unknown option\n"))),
        };
    };
    let value = words.value(takes, given);
    let Some(value) = value.or((takes != Takes::Value).then_some("")) else {
        return Err(Stop::error(FAILED, format!("{shown}: missing argument\n")));
    };
    if !name.is_empty() && options.has(name) {
        return fail(format_args!("multiple '{name}' options specified"));
    }
    options.given.extend((!name.is_empty()).then_some(name));
    match long {
        "tcp-service" | "udp-service" | "fwmark-service" => {
            options.service.key = service(long, value, hosts)?
        }
        "real-server" => server(options, value, hosts)?,
        "sched-flags" => *sched_flags = Some(value),
        "weight" | "u-threshold" | "l-threshold" | "tun-type" | "tun-port" | "tun-csum" | "tun-remcsum"
        | "masquerading" | "ipip" | "gatewaying" => take_dest(&mut options.dest, long, value)?,
        _ => take_service(&mut options.service, long, value)?,
    }
    Ok(())
}

/// A number within limits (`string_to_number`).
fn number(text: &str, min: u64, max: u64) -> Option<u64> {
    let number = text.trim_start().parse().ok()?;
    (min..=max).contains(&number).then_some(number)
}

fn take_service(service: &mut ServiceSpec, option: &str, value: &str) -> Done {
    match option {
        "scheduler" => service.scheduler = value.chars().take(SCHEDULER_LEN).collect(),
        "persistent" => {
            service.flags |= SVC_F_PERSISTENT;
            service.timeout = if value.is_empty() { DEFAULT_TIMEOUT } else { timeout(value, 1)? };
        }
        "netmask" => match inet_aton(value) {
            Some(mask) => service.netmask = mask.to_bits(),
            None => return fail("illegal virtual server persistent mask specified"),
        },
        "ops" => service.flags |= SVC_F_ONEPACKET,
        "pe" => service.pe = value.to_owned(),
        // How the list is shown.
        _ => {}
    }
    Ok(())
}

fn take_dest(dest: &mut DestSpec, option: &str, value: &str) -> Done {
    let limited = |max: u64, what: &str| match number(value, 0, max) {
        Some(number) => Ok(number),
        None => fail(format_args!("illegal {what} specified")),
    };
    match option {
        "weight" => dest.weight = limited(i32::MAX as u64, "weight")? as i32,
        "u-threshold" => dest.u_threshold = limited(i32::MAX as u64, "u_threshold")? as u32,
        "l-threshold" => dest.l_threshold = limited(i32::MAX as u64, "l_threshold")? as u32,
        "tun-port" => match number(value, 1, 65_535) {
            Some(port) => dest.tun_port = port as u16,
            None => return fail("illegal tunnel port specified"),
        },
        "tun-type" => {
            dest.tun_type = match value {
                "ipip" => TunType::Ipip,
                "gue" => TunType::Gue,
                "gre" => TunType::Gre,
                _ => return fail("illegal tunnel type specified"),
            }
        }
        "tun-csum" => dest.tun_flags |= ENCAP_FLAG_CSUM,
        "tun-remcsum" => dest.tun_flags |= ENCAP_FLAG_REMCSUM,
        "masquerading" => dest.fwd = CONN_F_MASQ,
        "ipip" => dest.fwd = CONN_F_TUNNEL,
        _ => dest.fwd = CONN_F_DROUTE,
    }
    Ok(())
}

/// A timeout, seconds (`parse_timeout`).
fn timeout(text: &str, min: u64) -> Done<u32> {
    match number(text, min, MAX_TIMEOUT) {
        Some(secs) => Ok(secs as u32),
        None => fail(format_args!("invalid timeout value `{text}' specified")),
    }
}

/// A service by protocol and address, or by its mark.
fn service(option: &str, value: &str, hosts: &Hosts) -> Done<SvcKey> {
    let protocol = match option {
        "tcp-service" => IPPROTO_TCP,
        "udp-service" => IPPROTO_UDP,
        _ => {
            return match number(value, 1, u64::from(u32::MAX)) {
                Some(mark) => Ok(SvcKey::FwMark(mark as u32)),
                None => fail(format_args!("invalid fwmark value `{value}' specified")),
            };
        }
    };
    match address(value, protocol, hosts)? {
        Some((addr, port)) => Ok(SvcKey::Addr(protocol, addr, port.unwrap_or(0))),
        None => fail("illegal virtual server address[:port] specified"),
    }
}

/// A destination; without a port it has that of the service, if the service stands before it.
fn server(options: &mut Options, value: &str, hosts: &Hosts) -> Done {
    let key = options.service.key;
    let Some((addr, port)) = address(value, key.protocol(), hosts)? else {
        return fail("illegal real server address[:port] specified");
    };
    (options.dest.addr, options.dest.port) = (addr, port.unwrap_or(key.port()));
    Ok(())
}

/// `host[:port]` (`parse_service`).
fn address(text: &str, protocol: u8, hosts: &Hosts) -> Done<Option<(Ipv4Addr, Option<u16>)>> {
    if text.starts_with('[') {
        return not_modelled("ipv6");
    }
    let (host, port) = text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
    let Some(addr) = inet_aton(host).or_else(|| hosts.ipv4(host).map(|(addr, _)| addr)) else {
        return Ok(None);
    };
    let by_name = |name: &str| {
        let (tcp, udp) = ports_by_name(name);
        if protocol == IPPROTO_TCP { tcp } else { udp }
    };
    let port = match port {
        None => None,
        Some(port) => match number(port, 0, 65_535).map(|port| port as u16).or_else(|| by_name(port)) {
            Some(port) => Some(port),
            None => return Ok(None),
        },
    };
    Ok(Some((addr, port)))
}

/// What stands behind the options: the timeouts of `--set`.
fn operands(options: &mut Options, operands: &[&str]) -> Done {
    let mut rest = operands;
    if options.command == Command::Set {
        let Some((timeouts, behind)) = operands.split_at_checked(3) else {
            return fail("--set option requires 3 timeout values");
        };
        for (place, text) in options.timeouts.iter_mut().zip(timeouts) {
            *place = timeout(text, 0)?;
        }
        rest = behind;
    }
    match rest.first() {
        Some(operand) => fail(format_args!("unexpected argument {operand}")),
        None => Ok(()),
    }
}

/// The command takes these options (`generic_opt_check`).
fn check_options(options: &Options, command: &str, allowed: &str) -> Done {
    let mut one_of = None;
    for (option, may) in OPTIONS.iter().copied().zip(allowed.chars()) {
        match (options.has(option), may) {
            (false, '+') => {
                return fail(format_args!(
                    "You need to supply the '{option}' option for the '{command}' command"
                ));
            }
            (true, 'x') => {
                return fail(format_args!("Illegal '{option}' option with the '{command}' command"));
            }
            (true, '1') => {
                if let Some(other) = one_of.replace(option) {
                    return fail(format_args!(
                        "The option '{option}' conflicts with the '{other}' option in the '{command}' command"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// What follows from the options together.
fn finish(options: &mut Options, sched_flags: Option<&str>) -> Done {
    let (key, flags) = (options.service.key, options.service.flags);
    match options.command {
        Command::AddService | Command::EditService => {
            if key.fwmark() == 0 && key.port() == 0 && flags & SVC_F_PERSISTENT == 0 {
                return fail("Zero port specified for non-persistent service");
            }
            if flags & SVC_F_ONEPACKET != 0 && key.fwmark() == 0 && key.protocol() != IPPROTO_UDP {
                return fail("One-Packet Scheduling is only for UDP virtual services");
            }
            if options.service.scheduler.is_empty() {
                options.service.scheduler = DEFAULT_SCHEDULER.to_owned();
            }
            for flag in sched_flags.iter().flat_map(|flags| flags.split(',')) {
                options.service.flags |= sched_flag(flag, &options.service.scheduler)?;
            }
        }
        Command::AddServer | Command::EditServer => {
            if key.fwmark() == 0 && options.dest.fwd != CONN_F_MASQ {
                options.dest.port = key.port();
            }
            check_tunnel(options)?;
        }
        Command::List => {
            let shown = ["connection", "timeout"].iter().any(|option| options.has(option));
            let counted =
                ["stats", "rate", "thresholds", "persistent-conn"].iter().any(|option| options.has(option));
            if shown && counted {
                return fail("options conflicts in the list command");
            }
        }
        _ => {}
    }
    Ok(())
}

fn sched_flag(flag: &str, scheduler: &str) -> Done<u32> {
    match SCHED_FLAGS.iter().find(|known| known.0 == flag) {
        Some((_, of, _)) if !of.is_empty() && *of != scheduler => {
            fail(format_args!("incompatible scheduler flag `{flag}'"))
        }
        Some((.., flag)) => Ok(*flag),
        None => fail(format_args!("invalid scheduler flag `{flag}'")),
    }
}

/// The options of tunnels fit each other (`tunnel_opt_check`).
fn check_tunnel(options: &Options) -> Done {
    const TUNNEL_OPTIONS: [&str; 4] = ["tun-port", "tun-nocsum", "tun-csum", "tun-remcsum"];
    let (name, allowed) = match options.dest.tun_type {
        TunType::Ipip => ("ipip", "xxxx"),
        TunType::Gue => ("gue", "+111"),
        TunType::Gre => ("gre", "x11x"),
    };
    let any = options.has("tun-type") || TUNNEL_OPTIONS.iter().any(|option| options.has(option));
    if options.dest.fwd != CONN_F_TUNNEL {
        return if any { fail("Tunnel options conflict with forward method") } else { Ok(()) };
    }
    let mut one_of = None;
    for (option, may) in TUNNEL_OPTIONS.into_iter().zip(allowed.chars()) {
        match (options.has(option), may) {
            (false, '+') => {
                return fail(format_args!(
                    "You need to supply the '{option}' option for the '{name}' tunnel type"
                ));
            }
            (true, 'x') => {
                return fail(format_args!("Illegal '{option}' option with the '{name}' tunnel type"));
            }
            (true, '1') => {
                if let Some(other) = one_of.replace(option) {
                    return fail(format_args!(
                        "The option '{option}' conflicts with the '{other}' option in the '{name}' tunnel type"
                    ));
                }
            }
            _ => {}
        }
    }
    Ok(())
}
