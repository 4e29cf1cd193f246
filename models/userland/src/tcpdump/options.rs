//! The command line of tcpdump.

use super::print::{Dump, LinkType, PrintOptions, Timestamps};
use crate::getopt::{self, Long, Opt, Takes};
use crate::pcap::SNAPSHOT_LENGTH;
use crate::stop::{Done, Stop};

/// Modelled version.
pub const VERSION: &str = "tcpdump version 4.99.3
libpcap version 1.10.3 (with TPACKET_V3)
OpenSSL 3.0.15 3 Sep 2024
";

const USAGE: &str = "Usage: tcpdump [-AbdDefhHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [--count]
\t\t[ -C file_size ] [ -E algo:secret ] [ -F file ] [ -G seconds ]
\t\t[ -i interface ] [ --immediate-mode ] [ -j tstamptype ]
\t\t[ -M secret ] [ --number ] [ --print ] [ -Q in|out|inout ]
\t\t[ -r file ] [ -s snaplen ] [ -T type ] [ --version ]
\t\t[ -V file ] [ -w file ] [ -W filecount ] [ -y datalinktype ]
\t\t[ --time-stamp-precision precision ] [ --micro ] [ --nano ]
\t\t[ -z postrotate-command ] [ -Z user ] [ expression ]
";

const SHORT: &str = "aAB:bc:C:dDeE:fF:G:hHi:Ij:JKlLm:M:nNOpqQ:r:s:StT:uUvV:w:W:xXy:z:Z:#";

const LONG: &[Long] = &[
    ("buffer-size", Takes::Value, "B"),
    ("list-interfaces", Takes::Nothing, "D"),
    ("help", Takes::Nothing, "h"),
    ("interface", Takes::Value, "i"),
    ("monitor-mode", Takes::Nothing, "I"),
    ("time-stamp-type", Takes::Value, "j"),
    ("list-time-stamp-types", Takes::Nothing, "J"),
    ("micro", Takes::Nothing, "micro"),
    ("nano", Takes::Nothing, "nano"),
    ("list-data-link-types", Takes::Nothing, "L"),
    ("no-optimize", Takes::Nothing, "O"),
    ("no-promiscuous-mode", Takes::Nothing, "p"),
    ("direction", Takes::Value, "Q"),
    ("snapshot-length", Takes::Value, "s"),
    ("linktype", Takes::Value, "y"),
    ("relinquish-privileges", Takes::Value, "Z"),
    ("count", Takes::Nothing, "count"),
    ("number", Takes::Nothing, "#"),
    ("print", Takes::Nothing, "print"),
    ("version", Takes::Nothing, "version"),
    ("time-stamp-precision", Takes::Value, "precision"),
    ("immediate-mode", Takes::Nothing, "immediate"),
];

/// Which packets of a device are captured (`-Q`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both.
    #[default]
    Both,
    /// Only received ones.
    In,
    /// Only sent ones.
    Out,
}

/// Options.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Print options.
    pub print: PrintOptions,
    /// `-i`.
    pub interface: Option<String>,
    /// `-c`: packets to capture.
    pub count: Option<u64>,
    /// `--count`: print only how many there are.
    pub count_only: bool,
    /// `-r`.
    pub read: Option<String>,
    /// `-w`.
    pub write: Option<String>,
    /// `--print`: print although `-w` is given.
    pub print_also: bool,
    /// `-F`: a file with the filter.
    pub filter_file: Option<String>,
    /// `-Q`.
    pub direction: Direction,
    /// `-l`: print each line as soon as it is known.
    pub line_buffered: bool,
    /// `--immediate-mode`: the kernel hands packets over at once.
    pub immediate: bool,
    /// `-p`: leave the device out of promiscuous mode.
    pub no_promiscuous: bool,
    /// `-s`: bytes kept of a packet.
    pub snapshot: u32,
    /// `-y`.
    pub link: Option<LinkType>,
    /// `-D`.
    pub list_interfaces: bool,
    /// `-L`.
    pub list_link_types: bool,
    /// The words of the filter.
    pub expression: Vec<String>,
}

/// tcpdump's `error()`.
pub fn error(text: &str) -> Stop {
    Stop::error(1, format!("tcpdump: {text}\n"))
}

/// Parses the arguments.
///
/// # Errors
///
/// Output of tcpdump in the place of a run.
pub fn parse(args: &[String]) -> Done<Options> {
    let parsed = getopt::parse(args, SHORT, LONG);
    let mut options = Options { snapshot: SNAPSHOT_LENGTH, ..Options::default() };
    let mut times = 0;
    for opt in &parsed.options {
        if opt.name == "t" {
            times += 1;
        } else if !print_option(&mut options.print, opt)? {
            capture_option(&mut options, opt)?;
        }
    }
    if let Some(error) = parsed.error {
        return Err(Stop::error(1, format!("tcpdump: {error}\n{VERSION}{USAGE}")));
    }
    options.print.timestamps = match times {
        0 => Timestamps::TimeOfDay,
        1 => Timestamps::None,
        2 => Timestamps::Epoch,
        3 => Timestamps::SincePrevious,
        4 => Timestamps::Date,
        5 => Timestamps::SinceFirst,
        _ => return Err(error("only -t, -tt, -ttt, -tttt and -ttttt are supported")),
    };
    options.expression = parsed.operands;
    Ok(options)
}

/// Parses print options; false for any other.
fn print_option(print: &mut PrintOptions, opt: &Opt) -> Done<bool> {
    match opt.name.as_str() {
        "e" => print.link_header += 1,
        "n" => print.numeric += 1,
        "N" => print.no_domain = true,
        "v" => print.verbose += 1,
        "q" => print.quick += 1,
        "S" => print.absolute_sequence = true,
        "K" => print.no_checksums = true,
        "#" => print.number = true,
        "x" => print.dump = Dump::Hex(matches!(print.dump, Dump::Hex(_))),
        "X" => print.dump = Dump::HexAscii(matches!(print.dump, Dump::HexAscii(_))),
        "A" => print.dump = Dump::Ascii(matches!(print.dump, Dump::Ascii(_))),
        "T" => packet_type(print, &opt.value)?,
        "nano" => print.nanoseconds = true,
        "micro" => print.nanoseconds = false,
        "precision" => {
            print.nanoseconds = match opt.value.as_str() {
                "nano" => true,
                "micro" => false,
                _ => return Err(error("unsupported time stamp precision")),
            }
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// `-T`: what UDP datagrams are, whatever their ports say.
fn packet_type(print: &mut PrintOptions, name: &str) -> Done {
    const OTHERS: [&str; 19] = [
        "aodv",
        "carp",
        "cnfp",
        "domain",
        "lmp",
        "pgm",
        "pgm_zmtp1",
        "ptp",
        "radius",
        "resp",
        "rpc",
        "rtcp",
        "rtp",
        "snmp",
        "someip",
        "tftp",
        "vat",
        "wb",
        "zmtp1",
    ];
    match name.to_ascii_lowercase().as_str() {
        "vxlan" => print.vxlan = true,
        other if OTHERS.contains(&other) => return Err(not_modelled(&format!("T {other}"))),
        _ => return Err(error(&format!("unknown packet type `{name}'"))),
    }
    Ok(())
}

fn capture_option(options: &mut Options, opt: &Opt) -> Done {
    let value = opt.value.clone();
    match opt.name.as_str() {
        "c" => options.count = Some(positive(&value, "packet count")?),
        "count" => options.count_only = true,
        "i" => options.interface = Some(value),
        "r" => options.read = Some(value),
        "w" => options.write = Some(value),
        "F" => options.filter_file = Some(value),
        "print" => options.print_also = true,
        "p" => options.no_promiscuous = true,
        "D" => options.list_interfaces = true,
        "L" => options.list_link_types = true,
        "Q" => options.direction = direction(&value)?,
        "s" => options.snapshot = snapshot(&value)?,
        "y" => options.link = Some(link_type(&value)?),
        "B" => drop(positive(&value, "packet buffer size")?),
        "h" => return Err(Stop::shown(format!("{VERSION}{USAGE}"))),
        "version" => return Err(Stop::shown(VERSION)),
        "l" => options.line_buffered = true,
        "immediate" => options.immediate = true,
        // No effect here: unbuffered output, optimization of filters, privileges.
        "U" | "O" | "Z" => {}
        name => return Err(not_modelled(name)),
    }
    Ok(())
}

fn not_modelled(name: &str) -> Stop {
    let dash = if name.split(' ').next().is_some_and(|option| option.len() == 1) { "-" } else { "--" };
    Stop::error(2, format!("tcpdump: not modelled yet: {dash}{name}\n"))
}

fn positive(text: &str, what: &str) -> Done<u64> {
    match leading_number(text) {
        Some(number) if number > 0 => Ok(number as u64),
        _ => Err(error(&format!("invalid {what} {text}"))),
    }
}

/// As C's `atoi`.
fn leading_number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let end = text.char_indices().find(|(at, c)| !(c.is_ascii_digit() || (*at == 0 && *c == '-')));
    text[..end.map_or(text.len(), |(at, _)| at)].parse().ok()
}

fn direction(text: &str) -> Done<Direction> {
    match text.to_ascii_lowercase().as_str() {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        "inout" => Ok(Direction::Both),
        _ => Err(error(&format!("unknown capture direction `{text}'"))),
    }
}

fn snapshot(text: &str) -> Done<u32> {
    match text.parse::<u32>() {
        Ok(0) => Ok(SNAPSHOT_LENGTH),
        Ok(bytes) if bytes <= SNAPSHOT_LENGTH => Ok(bytes),
        _ => Err(error(&format!("invalid snaplen {text} (must be >= 0 and <= {SNAPSHOT_LENGTH})"))),
    }
}

fn link_type(text: &str) -> Done<LinkType> {
    [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2]
        .into_iter()
        .find(|link| link.names().0.eq_ignore_ascii_case(text))
        .ok_or_else(|| error(&format!("invalid data link type {text}")))
}
