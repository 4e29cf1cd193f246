//! The command line.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use glassnet_kernel::tables::vlan_tag::VLAN_PRIO_SHIFT;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::packet::{Addresses, Packet, Transport};
use crate::getopt;

/// Options of the command line.
#[derive(Debug, PartialEq)]
pub struct Options {
    /// The device.
    pub device: String,
    /// Number of messages (`-c`); 0 without an end.
    pub count: u64,
    /// Delay between messages (`-d`).
    pub delay: Nanos,
    /// Prints only errors (`-q`).
    pub quiet: bool,
    /// `-p`: length of a frame, or additional bytes of a packet.
    pub pad: usize,
    /// Ethernet source (`-a`).
    pub source: Option<MacWord>,
    /// Ethernet destination (`-b`).
    pub dest: Option<MacWord>,
    /// 802.1Q tags, the outermost first (`-Q`).
    pub tags: Vec<u16>,
    /// The message.
    pub what: What,
}

impl Options {
    /// With something of Ethernet's the tool makes the frames of packets itself, otherwise the kernel does.
    pub fn makes_frames(&self) -> bool {
        self.dest.is_some() || self.source.is_some() || !self.tags.is_empty()
    }
}

/// An Ethernet address on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacWord {
    /// The device's address.
    Own,
    /// This one.
    Is(Mac),
}

/// Kind of message.
#[derive(Debug, PartialEq)]
pub enum What {
    /// The bytes of a frame.
    Frame(Vec<u8>),
    /// A packet (`-t`).
    Packet(Packet),
}

/// Reads the command line.
///
/// # Errors
///
/// What is printed instead of sending.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let parsed = getopt::parse(args, "hqvVSr46c:d:p:a:b:A:B:P:f:F:t:T:Q:M:R:l:x:", &[]);
    if let Some(error) = parsed.error {
        return Err(format!("mausezahn: {error}\n Invalid command line parameters!"));
    }
    let (device, words) = match &parsed.operands[..] {
        [device] => (device.clone(), ""),
        [device, words] => (device.clone(), words.as_str()),
        [] => return Err(refused("choosing a device: name one before the packet")),
        [_, _, more, ..] => return Err(refused(&format!("more than one packet: {more}"))),
    };
    let mut options = Options {
        device,
        count: 1,
        delay: Nanos::ZERO,
        quiet: false,
        pad: 0,
        source: None,
        dest: None,
        tags: Vec::new(),
        what: What::Frame(Vec::new()),
    };
    let (mut kind, mut src, mut dst, mut text) = (None, None, None, None);
    for option in &parsed.options {
        let value = option.value.as_str();
        match option.name.as_str() {
            "q" => options.quiet = true,
            "c" => options.count = number("-c", value)?,
            "d" => options.delay = delay(value)?,
            "p" => options.pad = number("-p", value)?,
            "a" => options.source = Some(mac("-a", value)?),
            "b" => options.dest = Some(mac("-b", value)?),
            "A" => src = Some(addresses("-A", value)?),
            "B" => dst = Some(addresses("-B", value)?),
            "Q" => options.tags = tags(value)?,
            "P" => text = Some(value.to_owned()),
            "t" => kind = Some(value.to_owned()),
            "4" => {}
            name => return Err(refused(&format!("-{name}"))),
        }
    }
    options.what = match kind {
        None if !options.tags.is_empty() => return Err(refused("-Q without -t")),
        None => What::Frame(bytes(words)?),
        Some(kind) => What::Packet(packet(&kind, src, dst, text, words)?),
    };
    Ok(options)
}

fn refused(what: &str) -> String {
    format!("mausezahn: not modelled yet: {what}")
}

/// A number, or another value parsed by `FromStr`.
fn number<T: FromStr>(option: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| refused(&format!("{option} {text}")))
}

/// An address, two with a dash between, or those of a network but its first: `10.0.0.0/30`. Of two in the wrong order the first is
/// meant.
fn addresses(option: &str, text: &str) -> Result<Addresses, String> {
    if let Some((network, len)) = text.split_once('/') {
        let (network, len): (Ipv4Addr, u32) = (number(option, network)?, number(option, len)?);
        // The real tool does not end for longer ones.
        let hosts = u32::MAX
            .checked_shr(len)
            .filter(|_| len <= 30)
            .ok_or_else(|| refused(&format!("{option} {text}")))?;
        let first = network.to_bits() & !hosts;
        return Ok(Ipv4Addr::from_bits(first + 1)..=Ipv4Addr::from_bits(first | hosts));
    }
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(option, first)?, number(option, last)?);
    Ok(if first <= last { first..=last } else { first..=first })
}

/// A port, or two with a dash between.
fn ports(name: &str, text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| match number::<u32>(name, text)? {
        port @ 0..=0xffff => Ok(port as u16),
        _ => Err(" mz/get_port_range: Invalid port range!".to_owned()),
    };
    let (first, last) = (port(first)?, port(last)?);
    Ok(first.min(last)..=first.max(last))
}

/// `5:10,20`: a priority and a VLAN, then another tag with priority 0.
fn tags(text: &str) -> Result<Vec<u16>, String> {
    let tag = |word: &str| {
        let (priority, vlan) = word.split_once(':').unwrap_or(("0", word));
        let (priority, vlan): (u16, u16) = (number("-Q", priority)?, number("-Q", vlan)?);
        match priority > 7 || vlan > 4095 {
            true => Err(refused(&format!("-Q {word}"))),
            false => Ok(priority << VLAN_PRIO_SHIFT | vlan),
        }
    };
    text.split([',', '.']).map(tag).collect()
}

/// Microseconds, or with a unit `100m`, `100msec`, `2s`, `2sec`.
fn delay(text: &str) -> Result<Nanos, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "u" | "usec" => 1_000,
        "m" | "msec" => 1_000_000,
        "s" | "sec" => 1_000_000_000,
        _ => return Err(refused(&format!("-d {text}"))),
    };
    number::<u32>("-d", digits).map(|count| Nanos(u64::from(count) * unit))
}

fn mac(option: &str, text: &str) -> Result<MacWord, String> {
    match text {
        "own" => Ok(MacWord::Own),
        "bc" | "bcast" => Ok(MacWord::Is(Mac([0xff; 6]))),
        _ => number(option, text).map(MacWord::Is),
    }
}

/// Separate hexadecimal bytes: `02:00 08-00 0x45`. The real tool would take a longer word for one byte.
fn bytes(text: &str) -> Result<Vec<u8>, String> {
    let words = text.split([' ', ':', '.', '-', ',']).filter(|word| !word.is_empty());
    let byte = |word: &str| {
        let digits = word.strip_prefix("0x").unwrap_or(word);
        let byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'));
        byte.filter(|_| digits.len() <= 2).ok_or_else(|| {
            refused(&format!(
                "{word} as a byte: write two hexadecimal digits a byte, with spaces or colons between"
            ))
        })
    };
    words.map(byte).collect()
}

fn packet(
    kind: &str,
    src: Option<Addresses>,
    dst: Option<Addresses>,
    text: Option<String>,
    words: &str,
) -> Result<Packet, String> {
    let transport = match kind {
        "ip" => Transport::Ip { proto: 0 },
        "udp" => Transport::Udp,
        "tcp" => Transport::tcp(),
        "icmp" => Transport::Ping { id: 0x42, seq: 1 },
        _ => return Err(refused(&format!("-t {kind}"))),
    };
    let mut packet = Packet {
        src,
        dst: dst.unwrap_or(Ipv4Addr::BROADCAST..=Ipv4Addr::BROADCAST),
        sport: 0..=0,
        dport: 0..=0,
        tos: 0,
        ttl: 255,
        id: 0,
        df: false,
        transport,
        text,
        data: Vec::new(),
    };
    for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        set(&mut packet, name.trim(), value.trim())?;
    }
    let is_echo = ["ping", "echoreq"].iter().any(|name| words.trim_start().starts_with(name));
    if kind == "icmp" && !is_echo {
        return Err(refused("-t icmp but for ping and echoreq"));
    }
    Ok(packet)
}

/// A field of the packet's description.
fn set(packet: &mut Packet, name: &str, value: &str) -> Result<(), String> {
    match (name, &mut packet.transport) {
        ("ttl", _) => packet.ttl = number(name, value)?,
        ("df", _) => packet.df = true,
        ("tos", _) => {
            packet.tos = u8::from_str_radix(value, 16).map_err(|_| refused(&format!("{name}={value}")))?;
        }
        ("p" | "payload", _) => packet.data = bytes(value)?,
        // The tool sets the same value in both headers.
        ("id", Transport::Ping { id, .. }) => (*id, packet.id) = (number(name, value)?, number(name, value)?),
        ("id", _) => packet.id = number(name, value)?,
        ("proto", Transport::Ip { proto }) => *proto = number(name, value)?,
        ("sp", Transport::Udp | Transport::Tcp { .. }) => packet.sport = ports(name, value)?,
        ("dp", Transport::Udp | Transport::Tcp { .. }) => packet.dport = ports(name, value)?,
        ("s", Transport::Tcp { seq, .. }) => *seq = number(name, value)?,
        ("a", Transport::Tcp { ack, .. }) => *ack = number(name, value)?,
        ("win", Transport::Tcp { window, .. }) => *window = number(name, value)?,
        ("flags", Transport::Tcp { flags, .. }) => *flags = tcp_flags(value)?,
        ("seq", Transport::Ping { seq, .. }) => *seq = number(name, value)?,
        ("ping" | "echoreq", Transport::Ping { .. }) => {}
        _ if value.is_empty() => return Err(refused(name)),
        _ => return Err(refused(&format!("{name}={value}"))),
    }
    Ok(())
}

/// `syn|ack`.
fn tcp_flags(text: &str) -> Result<u8, String> {
    const NAMES: [&str; 8] = ["fin", "syn", "rst", "psh", "ack", "urg", "ecn", "cwr"];
    let mut flags = 0;
    for name in text.split('|') {
        let at = NAMES.iter().position(|known| *known == name.trim());
        flags |= 1 << at.ok_or_else(|| refused(&format!("flags={name}")))?;
    }
    Ok(flags)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Options, String> {
        parse(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn delays_have_units() {
        for (text, nanos) in [("5", 5_000), ("100msec", 100_000_000), ("2s", 2_000_000_000)] {
            assert_eq!(delay(text), Ok(Nanos(nanos)));
        }
    }

    #[test]
    fn what_is_not_modelled_is_named() {
        for (args, named) in [
            (&["eth0", "-t", "bpdu"][..], "-t bpdu"),
            (&["eth0", "-Q", "5", "ff"], "-Q without -t"),
            (&["eth0", "-t", "udp", "-Q", "9:1"], "-Q 9:1"),
            (&["eth0", "-t", "udp", "-B", "10.0.0.0/31"], "-B 10.0.0.0/31"),
            (&["eth0", "-t", "udp", "-B", "10.0.0.2", "dp=1-x"], "dp x"),
            (&["eth0", "-t", "icmp", "redirect"], "redirect"),
            (&["eth0", "-t", "tcp", "-B", "10.0.0.2", "flags=syn|foo"], "flags=foo"),
            (&["eth0", "-t", "udp", "-B", "10.0.0.2", "len=5"], "len=5"),
            (&["-t", "udp", "-B", "10.0.0.2"], "choosing a device: name one before the packet"),
        ] {
            assert_eq!(parsed(args), Err(format!("mausezahn: not modelled yet: {named}")), "{args:?}");
        }
        assert!(parsed(&["eth0", "020000"]).is_err_and(|error| error.contains("020000 as a byte")));
    }
}
