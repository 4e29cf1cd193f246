//! How noise is taken out of what two runs show: the one place for it.
//!
//! What differs between two correct runs is replaced by a star or by a number in order of first appearance.
//! Nothing else is touched; whatever else differs is a difference.
//!
//! | noise | where | becomes |
//! |---|---|---|
//! | round-trip and elapsed times | output of `ping`, `arping`, `traceroute`, `tracepath` | `*` |
//! | clock times | `tcpdump` lines | `*` |
//! | ICMP echo identifiers (a process id), IPv4 identifications | `tcpdump` lines | `*` |
//! | the same two, and UDP ports of programs | frames | 1, 2, … in order of appearance, so that equal stays equal |
//! | ICMP echo data of `ping`: 16 bytes of time of day | frames | zero |
//! | checksums over any of these | frames | zero if right, one if wrong, as they were if nobody can tell (fragments) |
//! | process ids | `[1] 123`, `pid/`, `pid 123` | `*` |
//! | namespace inodes | `net:[4026532281]` | `*` |
//! | ages of table entries | `used 1/2/3`, ageing timers of `brctl` | `*` |
//! | order of entries | `ip neigh`, `arp`, `bridge fdb` and those tables: hash tables | sorted |
//! | where in a script bash found an error | `bash: line 6: ` | `bash: ` |
//!
//! The host backend makes a NIC of a veth end, so these are taken out too: the far end in `eth0@if10003` and
//! `link-netnsid 999999` (both out of a lesson's reach, see `host::topology`), and a device with such a far end has
//! `fq_codel`, as a card on Debian 12, where a veth end that is up has `noqueue`.
//!
//! Counters of `/proc/net/snmp` that are newer than Linux 6.1 are left out or read as what 6.1 counts.
//!
//! A MAC address is no noise: the simulator is given those that the kernel chose.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

/// First ifindex of the far ends of NICs on the host.
pub const FAR_INDEX: usize = 10_000;
/// Id, in each machine, of the namespace in which the far ends lie.
pub const FAR_NSID: u32 = 999_999;

/// Patterns and what they become, applied in turn to each line.
const TEXT: [(&str, &str); 18] = [
    (r"time[=<][0-9.]+ ?ms", "time=* ms"),
    (r", time [0-9]+ms", ", time *ms"),
    (r"^(rtt|round-trip) .*", "rtt *"),
    (r"[0-9]+\.[0-9]+ ?ms\b", "* ms"),
    (r"^(\s*)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\b", "$1*"),
    (r"\bid [0-9]+, seq ", "id *, seq "),
    (r"\bid [0-9]+, offset ", "id *, offset "),
    (r"^\[([0-9]+)\]([+-]?) +[0-9]+$", "[$1]$2 *"),
    (r"\bpid[ /=][0-9]+", "pid *"),
    (r"\b(net|mnt|pid|uts|ipc|user):\[[0-9]+\]", "$1:[*]"),
    (r"\bused [0-9]+/[0-9]+/[0-9]+", "used *"),
    (r"\bused [0-9]+/[0-9]+", "used *"),
    (r"\t( *(?:yes|no)\t\t) *[0-9]+\.[0-9]{2}$", "\t$1*"),
    (r"\bbash: line [0-9]+: ", "bash: "),
    (r"(@if1[0-9]{4}: .*\bqdisc )noqueue\b", "${1}fq_codel"),
    (r"@if1[0-9]{4}\b", ""),
    (r" link-netnsid 999999\b", ""),
    (r"[ \t]+$", ""),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // The patterns are constants of this file, and a test compiles each.
    TEXT.iter().filter_map(|(pattern, to)| Some((Regex::new(pattern).ok()?, *to))).collect()
});

/// Listings of hash tables, whose order is chance: `ip neigh`, `arp`, `bridge fdb`, alone at a prompt.
static UNORDERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let object = r"(ip (-\S+ |-n \S+ )*n(e|ei|eig|eigh|eighbor|eighbour)?( (s|show|l|list).*)?|arp( .*)?|bridge (-\S+ )*f(db)?( show.*)?)";
    Regex::new(&format!(r"^((ip netns exec \S+|ip -n \S+) )?{object}$")).ok()
});

/// What a command printed, without noise.
pub fn output(command: &str, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(line).collect();
    if UNORDERED.as_ref().is_some_and(|pattern| pattern.is_match(command)) {
        let header = usize::from(lines.first().is_some_and(|l| l.starts_with("Address ")));
        lines[header..].sort();
    }
    if text.ends_with('\n') {
        lines.push(String::new());
    }
    lines.join("\n")
}

/// One line of output, without noise.
pub fn line(text: &str) -> String {
    let mut line = text.to_owned();
    for (pattern, to) in PATTERNS.iter() {
        if pattern.is_match(&line) {
            line = pattern.replace_all(&line, *to).into_owned();
        }
    }
    line
}

/// A table as one of [`crate::compare::DUMPS`] tells it, without noise.
pub fn table(command: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if command.ends_with("/proc/net/snmp") => snmp(text),
        Value::String(text) if command.ends_with("/proc/net/arp") => sorted(text.lines().skip(1).map(line)),
        Value::String(text) => Value::String(output("", text)),
        Value::Array(rows) if command.ends_with("fdb") => {
            by_text(rows.iter().filter(|r| !is_ipv6_group(r)).cloned().collect())
        }
        Value::Array(rows) if command.ends_with("neigh") => by_text(rows.clone()),
        Value::Array(rows) => rows.iter().filter(|r| **r != Value::Object(Map::new())).map(row).collect(),
        other => other.clone(),
    }
}

/// Rows of a hash table, whose order is chance, in the order of their text.
fn by_text(mut rows: Vec<Value>) -> Value {
    rows.sort_by_key(Value::to_string);
    Value::Array(rows)
}

fn sorted(lines: impl Iterator<Item = String>) -> Value {
    by_text(lines.map(Value::String).collect())
}

/// A row of a table: what the host backend's NICs show of their far ends is taken out.
fn row(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut fields = fields.clone();
    if fields.get("link_netnsid").and_then(Value::as_u64) == Some(FAR_NSID.into()) {
        fields.remove("link_netnsid");
        fields.remove("link_index");
        if let Some(qdisc) = fields.get_mut("qdisc")
            && qdisc == "noqueue"
        {
            *qdisc = "fq_codel".into();
        }
    }
    Value::Object(fields)
}

/// Devices join IPv6 groups even where IPv6 is off; without IPv6 in the model those entries are not compared.
fn is_ipv6_group(row: &Value) -> bool {
    row.get("mac").and_then(Value::as_str).is_some_and(|mac| mac.starts_with("33:33:"))
}

/// Counters that Linux 6.18 has and 6.1, the model's version, has not.
const NEWER_COUNTERS: [&str; 2] = ["Icmp.OutRateLimitGlobal", "Icmp.OutRateLimitHost"];
/// Since Linux 6.7 `OutRequests` leaves out what is forwarded, and what it counted before is called this.
const OUT_TRANSMITS: &str = "Ip.OutTransmits";

/// `/proc/net/snmp` as one object: `Ip.InReceives` and so on.
fn snmp(text: &str) -> Value {
    let lines: Vec<_> = text.lines().collect();
    let pairs = lines.chunks_exact(2).flat_map(|pair| {
        let protocol = pair[0].split(':').next().unwrap_or("");
        let names = pair[0].split(' ').skip(1).map(move |name| format!("{protocol}.{name}"));
        names.zip(pair[1].split(' ').skip(1))
    });
    let known = pairs.filter(|(name, _)| !NEWER_COUNTERS.contains(&name.as_str()));
    let mut counters: Map<_, _> = known.map(|(name, value)| (name, Value::from(value))).collect();
    if let Some(sent) = counters.remove(OUT_TRANSMITS) {
        counters.insert("Ip.OutRequests".to_owned(), sent);
    }
    Value::Object(counters)
}

/// Numbers for values that differ on each run, in order of first appearance.
#[derive(Debug, Default)]
pub struct Numbers {
    ids: BTreeMap<(u32, u32, u8, u16), u16>,
    echoes: BTreeMap<u16, u16>,
    ports: BTreeMap<u16, u16>,
}

fn number<K: Ord>(map: &mut BTreeMap<K, u16>, key: K) -> [u8; 2] {
    let next = map.len() as u16 + 1;
    map.entry(key).or_insert(next).to_be_bytes()
}

/// Ports that programs get when they ask for none (`net.ipv4.ip_local_port_range`).
const EPHEMERAL: std::ops::RangeInclusive<u16> = 32768..=60999;

impl Numbers {
    /// A frame without noise. Frames of one run go through the same numbers, in order.
    pub fn frame(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut frame = bytes.to_vec();
        if u16_at(&frame, 12) == Some(0x0800) {
            self.ipv4(&mut frame[14..]);
        }
        frame
    }

    /// An IPv4 packet, or as much of one as an ICMP error quotes.
    fn ipv4(&mut self, packet: &mut [u8]) {
        let header = usize::from(packet.first().unwrap_or(&0) & 0x0f) * 4;
        if header < 20 || packet.len() < header {
            return;
        }
        mark_checksum(packet, 10, header);
        let (src, dst, proto) = (u32_at(packet, 12), u32_at(packet, 16), packet[9]);
        let id = u16_at(packet, 4).unwrap_or(0);
        if id != 0 {
            packet[4..6].copy_from_slice(&number(&mut self.ids, (src, dst, proto, id)));
        }
        let fragment = u16_at(packet, 6).unwrap_or(0) & 0x3fff;
        let total = usize::from(u16_at(packet, 2).unwrap_or(0)).clamp(header, packet.len());
        let whole = fragment == 0 && usize::from(u16_at(packet, 2).unwrap_or(0)) == total;
        match proto {
            1 if fragment & 0x1fff == 0 => self.icmp(&mut packet[header..total], whole),
            17 if fragment & 0x1fff == 0 => self.udp(&mut packet[header..total]),
            _ => {}
        }
    }

    fn icmp(&mut self, message: &mut [u8], whole: bool) {
        if message.len() < 8 {
            return;
        }
        let length = message.len();
        if whole {
            mark_checksum(message, 2, length);
        } else {
            message[2..4].fill(0);
        }
        match message[0] {
            0 | 8 => {
                let id = u16_at(message, 4).unwrap_or(0);
                message[4..6].copy_from_slice(&number(&mut self.echoes, id));
                let time = length.min(24);
                message[8..time].fill(0);
            }
            3 | 5 | 11 | 12 => self.ipv4(&mut message[8..]),
            _ => {}
        }
    }

    /// Ports of programs become numbers; so the checksum, which covers them, is told only as there or not.
    fn udp(&mut self, datagram: &mut [u8]) {
        if datagram.len() < 8 {
            return;
        }
        for (at, is_source) in [(0, true), (2, false)] {
            let port = u16_at(datagram, at).unwrap_or(0);
            let program = if is_source { EPHEMERAL.contains(&port) } else { self.ports.contains_key(&port) };
            if program {
                datagram[at..at + 2].copy_from_slice(&number(&mut self.ports, port));
            }
        }
        let there = u16_at(datagram, 6) != Some(0);
        datagram[6..8].copy_from_slice(&u16::from(there).to_be_bytes());
    }
}

/// Replaces the Internet checksum at `at` over the first `length` bytes: 0 if it was right, 1 if not.
fn mark_checksum(bytes: &mut [u8], at: usize, length: usize) {
    let wrong = u16::from(sum(&bytes[..length]) != 0xffff);
    bytes[at..at + 2].copy_from_slice(&wrong.to_be_bytes());
}

/// The one's complement sum (RFC 1071).
fn sum(bytes: &[u8]) -> u16 {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// The steps of a journey without what only one side has: the length (frames are compared whole), and how a NIC
/// hands a frame to the kernel (`netif_rx` from the host's veth, `napi_gro_receive` from a card).
pub fn journey(steps: &[String], nics: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    for step in steps {
        let mut words = step.split(' ');
        let (event, device) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        if event != "netif_rx" || !nics.iter().any(|n| n == device) {
            kept.push(format!("{event} {device}"));
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_is_one() {
        assert_eq!(PATTERNS.len(), TEXT.len());
    }

    #[test]
    fn output_loses_times_and_far_ends_only() {
        let cases = [
            (
                "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=0.079 ms",
                "64 bytes from 10.0.0.1: icmp_seq=1 ttl=64 time=* ms",
            ),
            (
                "1 packets transmitted, 1 received, 0% packet loss, time 0ms",
                "1 packets transmitted, 1 received, 0% packet loss, time *ms",
            ),
            ("rtt min/avg/max/mdev = 0.079/0.079/0.079/0.000 ms", "rtt *"),
            ("2: eth0@if10000: <UP> qdisc noqueue state UP", "2: eth0: <UP> qdisc fq_codel state UP"),
            ("4: veth-1-b@if5: <UP> qdisc noqueue", "4: veth-1-b@if5: <UP> qdisc noqueue"),
            ("    link/ether 02:00 brd ff link-netnsid 999999", "    link/ether 02:00 brd ff"),
            ("    link/ether 02:00 brd ff link-netnsid 0", "    link/ether 02:00 brd ff link-netnsid 0"),
            (
                "21:03:04.123456 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 64",
                "* IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id *, seq 1, length 64",
            ),
            ("bash: line 6: nosuch: command not found", "bash: nosuch: command not found"),
            ("[1] 4711", "[1] *"),
        ];
        for (from, to) in cases {
            assert_eq!(line(from), to);
            assert_eq!(line(to), to, "canonical text stays");
        }
    }

    #[test]
    fn listings_of_hash_tables_are_sorted_and_no_others() {
        let sorts = |command: &str| output(command, "b\na\n") == "a\nb\n";
        for command in [
            "ip neigh",
            "ip n",
            "ip -4 neigh show dev eth0",
            "ip netns exec x arp -n",
            "bridge fdb show br br0",
            "ip -n x neigh",
        ] {
            assert!(sorts(command), "{command}");
        }
        for command in ["ip netns", "ip addr", "echo arp", "ip neigh; ip addr", "ip nexthop", "bridge link"] {
            assert!(!sorts(command), "{command}");
        }
    }

    #[test]
    fn an_echo_request_loses_ids_times_and_right_checksums() {
        let hex = "5ebfdc20867562e1cb78a3970800450000544bfb40004001d9e30a0000650a000066080088a700420001";
        let mut frame: Vec<u8> = (0..hex.len())
            .step_by(2)
            .filter_map(|at| u8::from_str_radix(&hex[at..at + 2], 16).ok())
            .collect();
        frame.resize(98, 0xaa);
        let mut numbers = Numbers::default();
        let clean = numbers.frame(&frame);
        assert_eq!(clean[18..20], [0, 1], "first identification");
        assert_eq!(clean[24..26], [0, 0], "right header checksum");
        assert_eq!(clean[36..38], [0, 1], "the data is made up, so the ICMP checksum is wrong");
        assert_eq!(clean[38..40], [0, 1], "first echo identifier");
        assert_eq!(clean[42..58], [0; 16]);
        assert_eq!(clean[58..], frame[58..]);
        assert_eq!(numbers.frame(&frame), clean, "equal stays equal");
    }

    #[test]
    fn a_broken_frame_is_left_alone() {
        for length in 0..40 {
            let mut frame = vec![0x4f; length];
            if length > 13 {
                frame[12..14].copy_from_slice(&[8, 0]);
            }
            Numbers::default().frame(&frame);
        }
    }

    #[test]
    fn counters_of_newer_kernels_read_as_the_older_ones() {
        let text = "Ip: OutRequests OutTransmits\nIp: 1 7\nIcmp: InMsgs OutRateLimitHost\nIcmp: 3 1\n";
        assert_eq!(
            table("cat /proc/net/snmp", &Value::String(text.into())),
            serde_json::json!({"Ip.OutRequests": "7", "Icmp.InMsgs": "3"})
        );
    }
}
