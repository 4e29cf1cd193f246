//! The command line of traceroute, with its own parser and error texts.

use std::net::Ipv4Addr;

use crate::hosts::{Hosts, TEMPORARY_FAILURE, inet_aton};
use crate::stop::{Done, Stop};

const HELP: &str = "Usage:
  traceroute [ -46dFITnreAUDV ] [ -f first_ttl ] [ -g gate,... ] [ -i device ] [ -m max_ttl ] [ -N squeries ] [ -p port ] [ -t tos ] [ -l flow_label ] [ -w MAX,HERE,NEAR ] [ -q nqueries ] [ -s src_addr ] [ -z sendwait ] [ --fwmark=num ] host [ packetlen ]
Options:
  -4                          Use IPv4
  -6                          Use IPv6
  -d  --debug                 Enable socket level debugging
  -F  --dont-fragment         Do not fragment packets
  -f first_ttl  --first=first_ttl
                              Start from the first_ttl hop (instead from 1)
  -g gate,...  --gateway=gate,...
                              Route packets through the specified gateway
                              (maximum 8 for IPv4 and 127 for IPv6)
  -I  --icmp                  Use ICMP ECHO for tracerouting
  -T  --tcp                   Use TCP SYN for tracerouting (default port is 80)
  -i device  --interface=device
                              Specify a network interface to operate with
  -m max_ttl  --max-hops=max_ttl
                              Set the max number of hops (max TTL to be
                              reached). Default is 30
  -N squeries  --sim-queries=squeries
                              Set the number of probes to be tried
                              simultaneously (default is 16)
  -n                          Do not resolve IP addresses to their domain names
  -p port  --port=port        Set the destination port to use. It is either
                              initial udp port value for \"default\" method
                              (incremented by each probe, default is 33434), or
                              initial seq for \"icmp\" (incremented as well,
                              default from 1), or some constant destination
                              port for other methods (with default of 80 for
                              \"tcp\", 53 for \"udp\", etc.)
  -t tos  --tos=tos           Set the TOS (IPv4 type of service) or TC (IPv6
                              traffic class) value for outgoing packets
  -l flow_label  --flowlabel=flow_label
                              Use specified flow_label for IPv6 packets
  -w MAX,HERE,NEAR  --wait=MAX,HERE,NEAR
                              Wait for a probe no more than HERE (default 3)
                              times longer than a response from the same hop,
                              or no more than NEAR (default 10) times than some
                              next hop, or MAX (default 5.0) seconds (float
                              point values allowed too)
  -q nqueries  --queries=nqueries
                              Set the number of probes per each hop. Default is
                              3
  -r                          Bypass the normal routing and send directly to a
                              host on an attached network
  -s src_addr  --source=src_addr
                              Use source src_addr for outgoing packets
  -z sendwait  --sendwait=sendwait
                              Minimal time interval between probes (default 0).
                              If the value is more than 10, then it specifies a
                              number in milliseconds, else it is a number of
                              seconds (float point values allowed too)
  -e  --extensions            Show ICMP extensions (if present), including MPLS
  -A  --as-path-lookups       Perform AS path lookups in routing registries and
                              print results directly after the corresponding
                              addresses
  -M name  --module=name      Use specified module (either builtin or external)
                              for traceroute operations. Most methods have
                              their shortcuts (`-I' means `-M icmp' etc.)
  -O OPTS,...  --options=OPTS,...
                              Use module-specific option OPTS for the
                              traceroute module. Several OPTS allowed,
                              separated by comma. If OPTS is \"help\", print info
                              about available options
  --sport=num                 Use source port num for outgoing packets. Implies
                              `-N 1'
  --fwmark=num                Set firewall mark for outgoing packets
  -U  --udp                   Use UDP to particular port for tracerouting
                              (instead of increasing the port per each probe),
                              default port is 53
  -UL                         Use UDPLITE for tracerouting (default dest port
                              is 53)
  -D  --dccp                  Use DCCP Request for tracerouting (default port
                              is 33434)
  -P prot  --protocol=prot    Use raw packet of protocol prot for tracerouting
  --mtu                       Discover MTU along the path being traced. Implies
                              `-F -N 1'
  --back                      Guess the number of hops in the backward path and
                              print if it differs
  -V  --version               Print version info and exit
  --help                      Read this help and exit

Arguments:
+     host          The host to traceroute to
      packetlen     The full packet length (default is the length of an IP
                    header plus 40). Can be ignored or increased to a minimal
                    allowed value
";

const VERSION: &str = "Modern traceroute for Linux, version 2.1.2
Copyright (c) 2016  Dmitry Butskoy,   License: GPL v2 or any later
";

/// Options: letter, long name, and the name of the argument if there is one.
const OPTIONS: [(&str, &str, &str); 28] = [
    ("4", "", ""),
    ("6", "", ""),
    ("d", "debug", ""),
    ("F", "dont-fragment", ""),
    ("f", "first", "first_ttl"),
    ("g", "gateway", "gate,..."),
    ("I", "icmp", ""),
    ("T", "tcp", ""),
    ("i", "interface", "device"),
    ("m", "max-hops", "max_ttl"),
    ("N", "sim-queries", "squeries"),
    ("n", "", ""),
    ("p", "port", "port"),
    ("t", "tos", "tos"),
    ("l", "flowlabel", "flow_label"),
    ("w", "wait", "MAX,HERE,NEAR"),
    ("q", "queries", "nqueries"),
    ("r", "", ""),
    ("s", "source", "src_addr"),
    ("z", "sendwait", "sendwait"),
    ("e", "extensions", ""),
    ("A", "as-path-lookups", ""),
    ("M", "module", "name"),
    ("O", "options", "OPTS,..."),
    ("U", "udp", ""),
    ("D", "dccp", ""),
    ("P", "protocol", "prot"),
    ("V", "version", ""),
];
/// An error in the command line: exit status 2.
pub fn refuse<T>(text: &str) -> Done<T> {
    Err(Stop::error(2, format!("{text}\n")))
}

/// Options.
pub struct Options {
    /// Host as it was given.
    pub host: String,
    /// Its place among the arguments.
    pub host_at: usize,
    /// Its address.
    pub address: Ipv4Addr,
    /// Whole length of a packet in bytes, if given.
    pub length: Option<usize>,
    /// `-F`
    pub dont_fragment: bool,
    /// `-f`
    pub first: usize,
    /// `-I`
    pub icmp: bool,
    /// `-i`
    pub device: Option<String>,
    /// `-m`
    pub hops: usize,
    /// `-N`
    pub together: usize,
    /// `-n`
    pub numeric: bool,
    /// `-p`
    pub port: Option<u16>,
    /// `-t`
    pub tos: u8,
    /// `-w`: seconds at most, factor for a response of the same hop, factor for a later hop.
    pub wait: [f64; 3],
    /// `-q`
    pub queries: usize,
    /// `-s`
    pub source: Option<Ipv4Addr>,
    /// `-z`, seconds.
    pub pause: f64,
}

impl Options {
    fn new() -> Options {
        Options {
            host: String::new(),
            host_at: 0,
            address: Ipv4Addr::UNSPECIFIED,
            length: None,
            dont_fragment: false,
            first: 1,
            icmp: false,
            device: None,
            hops: 30,
            together: 16,
            numeric: false,
            port: None,
            tos: 0,
            wait: [5.0, 3.0, 10.0],
            queries: 3,
            source: None,
            pause: 0.0,
        }
    }
}

/// Parses the arguments.
pub fn parse(args: &[String], hosts: &Hosts) -> Done<Options> {
    if args.is_empty() {
        return Err(Stop::shown(HELP));
    }
    let mut options = Options::new();
    let mut operands = Vec::new();
    let mut at = 0;
    while at < args.len() {
        let arg = args[at].as_str();
        at += 1;
        if let Some(long) = arg.strip_prefix("--").filter(|long| !long.is_empty()) {
            parse_long(&mut options, long, at, hosts)?;
        } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            at = parse_cluster(&mut options, letters, args, at, hosts)?;
        } else {
            operands.push((arg.to_owned(), at));
        }
    }
    operand(&mut options, &operands)?;
    check(&options)?;
    Ok(options)
}

fn parse_long(options: &mut Options, long: &str, at: usize, hosts: &Hosts) -> Done {
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    match name {
        "help" => return Err(Stop::shown(HELP)),
        "mtu" | "back" | "sport" | "fwmark" => {
            return refuse(&format!("traceroute: not modelled yet: --{name}"));
        }
        _ => {}
    }
    let Some((letter, _, meta)) = OPTIONS.iter().find(|option| option.1 == name) else {
        return refuse(&format!("Bad option `--{name}' (argc {at})"));
    };
    match (meta.is_empty(), value) {
        (false, None) => {
            refuse(&format!("Option `--{name}' (argc {at}) requires an argument: `--{name}={meta}'"))
        }
        (_, value) => apply(options, letter, value.unwrap_or(""), &format!("--{name}"), at, hosts),
    }
}

/// Parses `-nI` or `-m 5`; returns the index of the next argument.
fn parse_cluster(
    options: &mut Options,
    letters: &str,
    args: &[String],
    at: usize,
    hosts: &Hosts,
) -> Done<usize> {
    for (place, letter) in letters.char_indices() {
        let letter = letter.to_string();
        let Some((_, _, meta)) = OPTIONS.iter().find(|option| option.0 == letter) else {
            return refuse(&format!("Bad option `-{letter}' (argc {at})"));
        };
        let shown = format!("-{letter}");
        if meta.is_empty() {
            apply(options, &letter, "", &shown, at, hosts)?;
            continue;
        }
        let attached = &letters[place + letter.len()..];
        if place == 0 && !attached.is_empty() {
            apply(options, &letter, attached, &shown, at, hosts)?;
            return Ok(at);
        }
        let Some(value) = args.get(at).filter(|_| attached.is_empty()) else {
            return refuse(&format!(
                "Option `-{letter}' (argc {at}) requires an argument: `-{letter} {meta}'"
            ));
        };
        apply(options, &letter, value, &shown, at + 1, hosts)?;
        return Ok(at + 1);
    }
    Ok(at)
}

fn apply(options: &mut Options, letter: &str, value: &str, shown: &str, at: usize, hosts: &Hosts) -> Done {
    let bad = || Stop::error(2, format!("Cannot handle `{shown}' option with arg `{value}' (argc {at})\n"));
    let number = || value.parse::<u32>().map_err(|_| bad());
    match letter {
        // No effect here.
        "4" | "d" | "e" => {}
        "F" => options.dont_fragment = true,
        "f" => options.first = number()? as usize,
        "I" => options.icmp = true,
        "i" => options.device = Some(value.to_owned()),
        "m" => options.hops = number()? as usize,
        "N" => options.together = number()?.max(1) as usize,
        "n" => options.numeric = true,
        "p" => options.port = Some(number()? as u16),
        "t" => options.tos = number()? as u8,
        "w" => options.wait = wait(value, options.wait).ok_or_else(bad)?,
        "q" => options.queries = number()? as usize,
        "s" => {
            options.source = Some(match inet_aton(value).or_else(|| hosts.ipv4(value).map(|found| found.0)) {
                Some(address) => address,
                None => {
                    let Stop { stderr, status, .. } = bad();
                    return Err(Stop::error(status, format!("{value}: {TEMPORARY_FAILURE}\n{stderr}")));
                }
            })
        }
        "z" => {
            let pause: f64 = value.parse().map_err(|_| bad())?;
            options.pause = if pause > 10.0 { pause / 1000.0 } else { pause };
        }
        "V" => return Err(Stop::shown(VERSION)),
        _ => return refuse(&format!("traceroute: not modelled yet: {shown}")),
    }
    Ok(())
}

/// `MAX,HERE,NEAR`; omitted values are 0 if MAX is given.
fn wait(text: &str, defaults: [f64; 3]) -> Option<[f64; 3]> {
    let parts: Vec<f64> = text.split(',').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match parts.as_slice() {
        [] => Some(defaults),
        [max] => Some([*max, 0.0, 0.0]),
        [max, here] => Some([*max, *here, 0.0]),
        [max, here, near] => Some([*max, *here, *near]),
        _ => None,
    }
}

fn operand(options: &mut Options, operands: &[(String, usize)]) -> Done {
    let Some((host, at)) = operands.first() else { return refuse("Specify \"host\" missing argument.") };
    if host.contains(':') {
        return refuse("traceroute: not modelled yet: IPv6");
    }
    (options.host, options.host_at) = (host.clone(), *at);
    if let Some((length, at)) = operands.get(1) {
        let Ok(bytes) = length.parse() else {
            return refuse(&format!(
                "Cannot handle \"packetlen\" cmdline arg `{length}' on position 2 (argc {at})"
            ));
        };
        options.length = Some(bytes);
    }
    match operands.get(2) {
        Some((extra, at)) => refuse(&format!("Extra arg `{extra}' (position 3, argc {at})")),
        None => Ok(()),
    }
}

fn check(options: &Options) -> Done {
    if options.first == 0 || options.first > options.hops {
        return refuse("first hop out of range");
    }
    if options.hops > 255 {
        return refuse("max hops cannot be more than 255");
    }
    if !(1..=10).contains(&options.queries) {
        return refuse("no more than 10 probes per hop");
    }
    let [max, here, near] = options.wait;
    if max < 0.0 || here < 0.0 || near < 0.0 {
        return refuse(&format!("bad wait specifications `{max},{here},{near}' used"));
    }
    match options.length {
        Some(length) if length > 65_000 => refuse(&format!("too big packetlen {length} specified")),
        _ => Ok(()),
    }
}
