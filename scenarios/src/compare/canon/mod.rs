//! Removal of noise from observations; the only place for it.
//!
//! What may differ between two correct runs is replaced by a star or by a number in order of first appearance.
//! Nothing else is touched; whatever else differs is a difference.
//!
//! | noise | where | becomes |
//! |---|---|---|
//! | round-trip and elapsed times | output of `ping`, `arping`, `traceroute`, `tracepath` | `*` |
//! | clock times | `tcpdump` lines | `*` |
//! | timeouts of `curl` | its errors | `*` |
//! | identifiers of questions of DNS | frames; `dig`, `tcpdump` | 1, 2, … in order of appearance; `*` |
//! | cookies of DNS | frames; `dig` | zero; `*` |
//! | ephemeral ports | `tcpdump` lines | `*` |
//! | letters in bold, since a real machine has a terminal | output | as others |
//! | column widths, and ephemeral ports | `ss` | one space, `*` |
//! | ICMP echo identifiers (a process id), IPv4 identifications | `tcpdump` lines | `*` |
//! | the same two, and ephemeral TCP and UDP ports | frames | 1, 2, … in order of appearance, so that equal stays equal |
//! | ICMP echo data of `ping`: 16 bytes of time of day | frames | zero |
//! | UDP data of `tracepath`: the time of day behind its counter | frames | zero |
//! | checksums over any of these | frames | whether there is one, and whether it is correct or left to the device; zero if unknown (fragments) |
//! | TCP sequence numbers | frames | counted from the first of their direction |
//! | TCP windows and their scale, timestamps | frames | zero |
//! | UUIDs, and how long a flow is there | output of Open vSwitch's tools | `*` |
//! | random `initval` of sets | `ipset` | `*` |
//! | when a packet came, in ticks since the machine was booted | `/proc/net/xt_recent` | `*` |
//! | buffers that a socket's reader freed without a tracepoint (UDP and TCP of Linux 6.18) | journeys | `consumed` |
//! | timeouts, ephemeral ports, echo identifiers | `conntrack -L` and its table | `*` |
//! | IPv4 identifications, TCP numbers and ephemeral ports | lines of `LOG` in the kernel's log | `*` |
//! | dates | comment lines of `iptables-save`, logs of `python3 -m http.server` and `nginx`, the head of an HTTP answer | `*`, zero |
//! | the kernel's release | `ethtool -i`, `/proc/net/bonding` | `*` |
//! | process ids | `[1] 123`, `pid/`, `pid 123` | `*` |
//! | namespace inodes | `net:[4026532281]` | `*` |
//! | ages of table entries | `used 1/2/3`, ageing timers of `brctl` | `*` |
//! | order of entries | `ip neigh`, `arp`, `bridge fdb`, `conntrack`, `ipset`, connections of `ipvsadm` and those tables, `ovs-dpctl dump-flows`, `ovs-vsctl show`: hash tables | sorted |
//! | whether the answer to the first fragment of a packet comes before the second is sent | frames of a card | fragments stand together |
//! | where errors of bash arose | `bash: line 6: `, in functions `environment: line 6: ` | `bash: ` |
//!
//! The host backend uses veth devices as NICs, so these are removed too: the far end in `eth0@if10003` and
//! `link-netnsid 999999` (lessons cannot use them, see the host backend's `topology.rs`), and a device with such a far end has
//! `fq_codel`, as a card on Debian 12, where a veth end that is up has `noqueue`. A card without a cable has the kernel's
//! default, `pfifo_fast` where nobody set Debian's `fq_codel`. Its kind and its limits become a card's, too. A kernel for one CPU
//! does not tell `num_rx_queues`.
//!
//! Counters of `/proc/net/snmp` that are newer than Linux 6.1 are left out or read as what 6.1 counts.
//!
//! MAC addresses are not noise: the simulator gets those that the kernel chose.

mod dns;
mod frames;

use glassnet_kernel::tables::netdev::TSO_LEGACY_MAX_SIZE;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Map, Value};

use frames::EPHEMERAL;
pub use frames::{ChosenPorts, Numbers, with_fragments_together};

/// First ifindex of the far ends of NICs on the host.
pub const FAR_INDEX: usize = 10_000;
/// Id, in each machine, of the namespace in which the far ends lie.
pub const FAR_NSID: u32 = 999_999;

/// Patterns and their replacement, applied in order to each line.
const TEXT: [(&str, &str); 42] = [
    (r"\x1b\[[0-9;]*m", ""),
    (r"time[=<][0-9.]+ ?ms", "time=* ms"),
    (r", time [0-9]+ms", ", time *ms"),
    (r"^(rtt|round-trip) .*", "rtt *"),
    (r"[0-9]+\.[0-9]+ ?ms\b", "* ms"),
    (r"^(curl: .* after) [0-9]+ (ms|milliseconds)\b", "$1 * $2"),
    (r"^(\s*)[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}\b", "$1*"),
    (
        r"^(.*\bIP \S+ > \S+: )[0-9]+([*+%|$-]* (?:\[\S+\] )?(?:[A-Z]+\? |[0-9]+/[0-9]+/[0-9]+|[A-Z][A-Za-z]+[*|$-]* [0-9]+/))",
        "$1*$2",
    ),
    (r"^(.*\bIP (?:\S+ > )?[0-9.]+)\.(?:32[7-9]|3[3-9][0-9]|[45][0-9]{2}|60[0-9])[0-9]{2}( > |: )", "$1.*$2"),
    (r"^(;; ->>HEADER<<- .* id): [0-9]+", "$1: *"),
    (r"^(; COOKIE): [0-9a-f]+", "$1: *"),
    (r"^;; (WHEN|Query time): .*", ";; $1: *"),
    (r"^(Date|Last-Modified): .*", "$1: *"),
    (r"^[0-9]{4}(?:/[0-9]{2}){2} [0-9:]{8} (\[[a-z]+\]) [0-9]+#[0-9]+: ", "* $1 *: "),
    (r"\bid [0-9]+, seq ", "id *, seq "),
    (r"\bid [0-9]+, offset ", "id *, offset "),
    (r"^\[([0-9]+)\]([+-]?) +[0-9]+$", "[$1]$2 *"),
    (r"\bpid[ /=][0-9]+", "pid *"),
    (r"\b(net|mnt|pid|uts|ipc|user):\[[0-9]+\]", "$1:[*]"),
    (r"\bused [0-9]+/[0-9]+/[0-9]+", "used *"),
    (r"\bused [0-9]+/[0-9]+", "used *"),
    (r"\t( *(?:yes|no)\t\t) *[0-9]+\.[0-9]{2}$", "\t$1*"),
    (r"\b(bash|environment): line [0-9]+: ", "bash: "),
    (r"(@if1[0-9]{4}: .*\bqdisc )noqueue\b", "${1}fq_codel"),
    (r"\bqdisc pfifo_fast\b", "qdisc fq_codel"),
    // A column of `ip -br` keeps its width.
    (r"^(\S+)@if1[0-9]{4}( +[A-Z]+ )", "${1}        ${2}"),
    (r"@if1[0-9]{4}\b", ""),
    (r" link-netnsid 999999\b", ""),
    (r"^(# (?:Generated by|Completed).* on ).*", "$1*"),
    (r"^((?:ipv4 +2 )?(?:tcp|udp|icmp|unknown) +[0-9]+) [0-9]+ ", "$1 * "),
    (r"\b(sport|dport)=(?:32[7-9]|3[3-9][0-9]|[45][0-9]{2}|60[0-9])[0-9]{2}\b", "$1=*"),
    // A client's port, as `ipvsadm -lnc` and `/proc/net/ip_vs_conn` print it.
    (
        r"^((?:TCP|UDP) +[0-9]{2}:[0-9]{2} +[A-Z_]+ +[0-9.]+):(?:32[7-9]|3[3-9][0-9]|[45][0-9]{2}|60[0-9])[0-9]{2} ",
        "$1:* ",
    ),
    (r"^((?:TCP|UDP) [0-9A-F]{8}) (?:[89A-D][0-9A-F]{3}|E[0-9A-E][0-9A-F]{2}) ", "$1 * "),
    (r" initval 0x[0-9a-f]{8}\b", " initval *"),
    (r"\blast_seen: \d+ oldest_pkt: (\d+)( \d+,?)+", "last_seen: * oldest_pkt: $1 *"),
    (r"\b(type=[0-9]+ code=[0-9]+ id)=[0-9]+", "$1=*"),
    (r"^(Connection received on \S+) [0-9]+$", "$1 *"),
    (r"- - \[[0-9]{2}/[A-Z][a-z]{2}/[0-9]{4} [0-9:]{8}\]", "- - [*]"),
    (r"^(version: |Ethernet Channel Bonding Driver: v)6\.[0-9]+\.[0-9]+(-\S+)?$", "$1*"),
    (r"^ (cookie=0x[0-9a-f]+, duration=)[0-9.]+s,", " $1*s,"),
    (r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b", "*"),
    (r"[ \t]+$", ""),
];

static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    // The patterns are constants of this file, and a test compiles each.
    TEXT.iter().filter_map(|(pattern, to)| Some((Regex::new(pattern).ok()?, *to))).collect()
});

/// Dumps of hash tables, in random order: `ip neigh`, `arp`, `bridge fdb`, `conntrack -L`, `ipset`, and those of Open vSwitch, alone at a prompt or
/// with some of their lines.
static UNORDERED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let object = r"(ip (-\S+ |-n \S+ )*n(e|ei|eig|eigh|eighbor|eighbour)?( (s|show|l|list).*)?|arp( .*)?|bridge (-\S+ )*f(db)?( show.*)?|conntrack (.* )?(-L|--dump)( .*)?|cat /proc/net/nf_conntrack|ipvsadm -[lL] ?-?(n -c|c -n|cn|nc)|cat /proc/net/ip_vs_conn|ipset (save|list).*|ovs-vsctl show|(ovs-dpctl |ovs-appctl dpctl/)dump-flows( -m)?)";
    let filter = r#"( \| grep( -[vE])? ('[^']*'|"[^"]*"|\S+))?"#;
    Regex::new(&format!(r"^((ip netns exec \S+|ip -n \S+) )?{object}{filter}$")).ok()
});

/// A command that lists sockets in columns.
static COLUMNS: LazyLock<Option<Regex>> =
    LazyLock::new(|| Regex::new(r"^(ip netns exec \S+ )?ss\b[^|>]*$").ok());

/// A line of columns without padding and ephemeral ports. The last two headers of `ss` touch where its column of ports is
/// narrow, which depends on the terminal's width.
fn columns(line: &str) -> String {
    let words = line.split_whitespace().map(|word| match word.rsplit_once(':') {
        Some((address, port)) if port.parse().is_ok_and(|port| EPHEMERAL.contains(&port)) => {
            format!("{address}:*")
        }
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ").replace("PortProcess", "Port Process")
}

/// Numbers that a packet of a log line may choose.
const LOGGED: &str =
    r" (ID|SEQ|ACK|WINDOW)=[0-9]+| (SPT|DPT)=(?:32[7-9]|3[3-9][0-9]|[45][0-9]{2}|60[0-9])[0-9]{2}\b";

/// Lines of the kernel's log, without noise and without those of IPv6, which is not modelled.
pub fn log(lines: &[String]) -> Vec<String> {
    static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(LOGGED).ok());
    let clean = |line: &String| match PATTERN.as_ref() {
        Some(pattern) => pattern.replace_all(line, " $1$2=*").into_owned(),
        None => line.clone(),
    };
    lines.iter().filter(|line| !line[1..].starts_with(" IPv6: ")).map(clean).collect()
}

/// Output of a command, without noise.
pub fn output(command: &str, text: &str) -> String {
    let mut lines: Vec<String> = text.lines().map(line).collect();
    if COLUMNS.as_ref().is_some_and(|pattern| pattern.is_match(command)) {
        lines = lines.iter().map(|line| columns(line)).collect();
    }
    if is_unordered(command) {
        let header = usize::from(lines.first().is_some_and(|l| l.starts_with("Address ")));
        lines[header..].sort();
    }
    if text.ends_with('\n') {
        lines.push(String::new());
    }
    lines.join("\n")
}

fn is_unordered(command: &str) -> bool {
    UNORDERED.as_ref().is_some_and(|pattern| pattern.is_match(command))
}

/// What a prompt prints or sets of the whole kernel, where a machine is a namespace: a pattern of the command, and why.
const OF_THE_WHOLE_KERNEL: [(&str, &str); 2] = [
    (r"\bdmesg\b", "the log is of the whole kernel"),
    (
        r"\bnf_conntrack_(max|buckets|expect_max)\b",
        "the setting is of the whole kernel, and a namespace may not change it",
    ),
];

/// Why a real kernel's output cannot be compared, if so.
pub fn incomparable(command: &str) -> Option<&'static str> {
    static PATTERNS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
        OF_THE_WHOLE_KERNEL.iter().filter_map(|(text, why)| Some((Regex::new(text).ok()?, *why))).collect()
    });
    PATTERNS.iter().find(|(pattern, _)| pattern.is_match(command)).map(|(_, why)| *why)
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

/// A table of [`crate::observation::DUMPS`], without noise.
pub fn table(command: &str, value: &Value) -> Value {
    match value {
        Value::String(text) if command.ends_with("/proc/net/snmp") => snmp(text),
        Value::String(text) if command.ends_with("/proc/net/netstat") => netstat(text),
        Value::String(text) if command.ends_with("/proc/net/stat/nf_conntrack") => conntrack_stat(text),
        Value::String(text) if command.ends_with("/proc/net/nf_conntrack") => conntrack(text),
        Value::String(text) if command.ends_with("/proc/net/ip_vs_conn") => ip_vs_conn(text),
        Value::String(text) if command.ends_with("/proc/net/ip_vs") => ip_vs(text),
        Value::String(text) if command.starts_with("sysctl") => sysctls(text),
        Value::String(text) if command.ends_with("/proc/net/arp") => sorted(text.lines().skip(1).map(line)),
        Value::String(text) if is_unordered(command) => sorted(text.lines().map(line)),
        Value::String(text) => Value::String(output("", text)),
        Value::Array(rows) if command.ends_with("fdb") => {
            by_text(rows.iter().filter(|r| !is_ipv6_group(r)).cloned().collect())
        }
        Value::Array(rows) if command.ends_with("neigh") => neighbours(rows),
        Value::Array(rows) => rows.iter().filter(|r| **r != Value::Object(Map::new())).map(row).collect(),
        other => other.clone(),
    }
}

/// Sorts the rows of a hash table by their text.
fn by_text(mut rows: Vec<Value>) -> Value {
    rows.sort_by_key(Value::to_string);
    Value::Array(rows)
}

/// Neighbours by address and device. When one was last used is not compared: a timer of the whole kernel, whose phase is
/// chance, sets it to when the entry was confirmed (`neigh_periodic_work`).
fn neighbours(rows: &[Value]) -> Value {
    let key = |row: &Value| ["dst", "dev"].map(|name| row.get(name).map(Value::to_string));
    let mut rows = rows.to_vec();
    for row in rows.iter_mut().filter_map(Value::as_object_mut) {
        row.remove("used");
    }
    rows.sort_by_key(key);
    Value::Array(rows)
}

fn sorted(lines: impl Iterator<Item = String>) -> Value {
    by_text(lines.map(Value::String).collect())
}

/// A row of a table, without the far ends of the host backend's NICs.
fn row(value: &Value) -> Value {
    let Value::Object(fields) = value else { return value.clone() };
    let mut fields = fields.clone();
    fields.remove("num_rx_queues");
    // `bridge link` says no more of it than the number.
    if fields.get("link").and_then(Value::as_str).is_some_and(is_far_end) {
        fields.remove("link");
    }
    if fields.get("link_netnsid").and_then(Value::as_u64) == Some(FAR_NSID.into()) {
        fields.remove("link_netnsid");
        fields.remove("link_index");
        as_card(&mut fields);
        if let Some(qdisc) = fields.get_mut("qdisc")
            && qdisc == "noqueue"
        {
            *qdisc = "fq_codel".into();
        }
    }
    if let Some(qdisc) = fields.get_mut("qdisc")
        && qdisc == "pfifo_fast"
    {
        *qdisc = "fq_codel".into();
    }
    Value::Object(fields)
}

/// `if10000`: the far end of a veth device that stands for a card.
fn is_far_end(link: &str) -> bool {
    let index = link.strip_prefix("if").and_then(|index| index.parse::<usize>().ok());
    index.is_some_and(|index| index >= FAR_INDEX)
}

/// What `-d` tells of a veth end, as of the card that it stands for (e1000e).
fn as_card(fields: &mut Map<String, Value>) {
    if let Some(Value::Object(info)) = fields.get_mut("linkinfo") {
        info.remove("info_kind");
        if info.is_empty() {
            fields.remove("linkinfo");
        }
    }
    if let Some(value) = fields.get_mut("tso_max_size") {
        *value = TSO_LEGACY_MAX_SIZE.into();
    }
}

/// Devices join IPv6 groups even with IPv6 disabled; IPv6 is not modelled, so these entries are not compared.
fn is_ipv6_group(row: &Value) -> bool {
    row.get("mac").and_then(Value::as_str).is_some_and(|mac| mac.starts_with("33:33:"))
}

/// Counters of Linux 6.18 that 6.1, the modelled version, does not have.
const NEWER_COUNTERS: [&str; 2] = ["Icmp.OutRateLimitGlobal", "Icmp.OutRateLimitHost"];
/// Since Linux 6.7 `OutRequests` excludes forwarded packets; this is the name of the former count.
const OUT_TRANSMITS: &str = "Ip.OutTransmits";

/// Two lines a protocol, names and values: `Ip.InReceives` and so on.
fn counters(text: &str) -> Map<String, Value> {
    let lines: Vec<_> = text.lines().collect();
    let pairs = lines.chunks_exact(2).flat_map(|pair| {
        let protocol = pair[0].split(':').next().unwrap_or("");
        let names = pair[0].split(' ').skip(1).map(move |name| format!("{protocol}.{name}"));
        names.zip(pair[1].split(' ').skip(1))
    });
    pairs.map(|(name, value)| (name, Value::from(value))).collect()
}

/// What the model counts of `TcpExt`; the rest tells how the kernel's TCP works inside.
const TCP_EXT: [&str; 29] = [
    "EmbryonicRsts",
    "ArpFilter",
    "TW",
    "DelayedACKs",
    "ListenOverflows",
    "ListenDrops",
    "TCPTimeouts",
    "TCPLossProbes",
    "TCPAbortOnData",
    "TCPAbortOnClose",
    "TCPAbortOnTimeout",
    "IPReversePathFilter",
    "TCPSynRetrans",
    "TCPWinProbe",
    "TCPKeepAlive",
    "TcpTimeoutRehash",
    "TcpDuplicateDataRehash",
    "TCPHPAcks",
    "TCPPureAcks",
    "TCPOrigDataSent",
    "TCPDelivered",
    "TCPAutoCorking",
    "TCPSackRecovery",
    "TCPFastRetrans",
    "TCPSlowStartRetrans",
    "TCPHystartTrainDetect",
    "TCPHystartTrainCwnd",
    "TCPHystartDelayDetect",
    "TCPHystartDelayCwnd",
];

/// `/proc/net/netstat`
fn netstat(text: &str) -> Value {
    let is_modelled = |name: &str| match name.split_once('.') {
        Some(("TcpExt", name)) => TCP_EXT.contains(&name),
        Some((protocol, _)) => protocol == "IpExt",
        None => false,
    };
    Value::Object(counters(text).into_iter().filter(|(name, _)| is_modelled(name)).collect())
}

/// Columns of `/proc/net/stat/nf_conntrack` that count what happened to packets: a line a CPU, hexadecimal; summed up.
const CONNTRACK_STAT: [&str; 7] =
    ["clashres", "invalid", "insert_failed", "drop", "early_drop", "icmp_error", "expect_create"];

fn conntrack_stat(text: &str) -> Value {
    let mut lines = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let names = lines.next().unwrap_or_default();
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines {
        for (name, value) in names.iter().zip(line).filter(|(name, _)| CONNTRACK_STAT.contains(name)) {
            *sums.entry(name).or_default() += u64::from_str_radix(value, 16).unwrap_or_default();
        }
    }
    sums.into_iter().map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Connections with their timeouts in seconds, apart because they may differ by [`SECONDS`].
fn conntrack(text: &str) -> Value {
    let row = |text: &str| {
        let timeout = text.split_whitespace().nth(4).and_then(|word| word.parse::<u64>().ok());
        serde_json::json!({ "connection": line(text), "timeout": timeout })
    };
    by_text(text.lines().map(row).collect())
}

/// Connections of IPVS with their timeouts in seconds, apart as those of connection tracking.
fn ip_vs_conn(text: &str) -> Value {
    let row = |text: &str| {
        let (connection, timeout) = text.trim_end().rsplit_once(' ').unwrap_or((text, ""));
        serde_json::json!({ "connection": line(connection), "timeout": timeout.parse::<u64>().ok() })
    };
    by_text(text.lines().skip(1).map(row).collect())
}

/// Services of IPVS, each with its destinations: the order of services depends on where the kernel's memory is.
fn ip_vs(text: &str) -> Value {
    let mut services: Vec<Vec<String>> = Vec::new();
    for row in text.lines().skip(3).map(line) {
        match services.last_mut().filter(|_| row.starts_with(' ')) {
            Some(service) => service.push(row),
            None => services.push(vec![row]),
        }
    }
    services.sort();
    serde_json::json!(services)
}

/// Settings that come from the size of memory, or are the whole kernel's even in a namespace, or what the machine has loaded and its
/// owner has set for all namespaces.
const OF_THE_MACHINE: [&str; 6] = [
    "net.ipv4.tcp_allowed_congestion_control",
    "net.ipv4.tcp_available_congestion_control",
    "net.ipv4.tcp_congestion_control",
    "net.netfilter.nf_conntrack_buckets",
    "net.netfilter.nf_conntrack_expect_max",
    "net.netfilter.nf_conntrack_max",
];

/// `net.ipv4.ip_forward = 0` and so on.
fn sysctls(text: &str) -> Value {
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let pairs = pairs.filter(|(name, _)| !OF_THE_MACHINE.contains(name));
    pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
}

/// Leaves the settings that both have: the model refuses to set others, and a machine on a real kernel is a namespace, which
/// lacks those of the whole kernel.
pub fn of_both(command: &str, real: &mut Value, model: &mut Value) {
    if let (true, Value::Object(real), Value::Object(model)) = (command.starts_with("sysctl"), real, model) {
        real.retain(|name, _| model.contains_key(name));
        model.retain(|name, _| real.contains_key(name));
    }
}

/// How far ages and timeouts may be apart, in seconds: they are counted by the second, and a real kernel's programs take time.
const SECONDS: u64 = 2;
/// How far timers of bridges may be apart, in seconds: they tell hundredths, and a tick may come between what took microseconds.
const TICK: f64 = 0.01;

/// Two ages, timeouts or timers that may be the same.
pub fn is_about(path: &str, real: &Value, model: &Value) -> bool {
    let is_time =
        ["timeout", "confirmed", "updated", "used"].iter().any(|name| path.ends_with(&format!(".{name}")));
    match (real.as_u64(), model.as_u64(), real.as_f64(), model.as_f64()) {
        (Some(real), Some(model), ..) => is_time && real.abs_diff(model) <= SECONDS,
        (_, _, Some(real), Some(model)) => path.ends_with("_timer") && (real - model).abs() < 1.5 * TICK,
        _ => false,
    }
}

/// `/proc/net/snmp` as an object.
fn snmp(text: &str) -> Value {
    let mut counters = counters(text);
    counters.retain(|name, _| !NEWER_COUNTERS.contains(&name.as_str()));
    if let Some(sent) = counters.remove(OUT_TRANSMITS) {
        counters.insert("Ip.OutRequests".to_owned(), sent);
    }
    Value::Object(counters)
}

/// The steps of a journey without what differs by design: the length (frames are compared), and the function by which
/// a NIC delivers a frame (`netif_rx` for the host's veth, `napi_gro_receive` for a NIC).
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

/// End of a journey: a free by a reader has a tracepoint or not.
pub fn end(end: &str) -> &str {
    if end == "alive" { "consumed" } else { end }
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
            (
                "src=10.0.0.1 ttl: 64 last_seen: 4294893304 oldest_pkt: 2 4294893302, 4294893304",
                "src=10.0.0.1 ttl: 64 last_seen: * oldest_pkt: 2 *",
            ),
            ("2: eth0@if10000: <UP> qdisc noqueue state UP", "2: eth0: <UP> qdisc fq_codel state UP"),
            ("2: eth0: <UP> qdisc pfifo_fast state DOWN", "2: eth0: <UP> qdisc fq_codel state DOWN"),
            ("eth0@if10003     UP             10.0.0.1/24", "eth0             UP             10.0.0.1/24"),
            ("4: veth-1-b@if5: <UP> qdisc noqueue", "4: veth-1-b@if5: <UP> qdisc noqueue"),
            ("    link/ether 02:00 brd ff link-netnsid 999999", "    link/ether 02:00 brd ff"),
            ("    link/ether 02:00 brd ff link-netnsid 0", "    link/ether 02:00 brd ff link-netnsid 0"),
            (
                "21:03:04.123456 IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 7, seq 1, length 64",
                "* IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id *, seq 1, length 64",
            ),
            ("bash: line 6: nosuch: command not found", "bash: nosuch: command not found"),
            ("environment: line 6: echo: write error: No space", "bash: echo: write error: No space"),
            ("[1] 4711", "[1] *"),
        ];
        for (from, to) in cases {
            assert_eq!(line(from), to);
            assert_eq!(line(to), to, "canonical text stays");
        }
    }

    #[test]
    fn columns_of_sockets_lose_their_width() {
        let wide = "LISTEN 0      5            0.0.0.0:80         0.0.0.0:*    \nESTAB 0 0 10.0.0.1:40000 10.0.0.2:80\n";
        let canonical = "LISTEN 0 5 0.0.0.0:80 0.0.0.0:*\nESTAB 0 0 10.0.0.1:* 10.0.0.2:80\n";
        assert_eq!(output("ip netns exec c2 ss -tln", wide), canonical);
        assert_eq!(output("ss -tln | cat", "a  b\n"), "a  b\n");
        let header = ["Port Process", "Port  Process", "PortProcess"].map(|end| output("ss -tan", end));
        assert_eq!(header, [(); 3].map(|()| "Port Process"));
        assert_eq!(
            output("curl 10.0.0.1", "curl: (28) Connection timed out after 1001 milliseconds"),
            "curl: (28) Connection timed out after * milliseconds"
        );
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
            "ovs-vsctl show",
            "ovs-appctl dpctl/dump-flows -m",
            "ipvsadm -Lnc | grep ':0 '",
        ] {
            assert!(sorts(command), "{command}");
        }
        for command in [
            "ip netns",
            "ip addr",
            "echo arp",
            "ip neigh; ip addr",
            "ip nexthop",
            "bridge link",
            "ip neigh | head",
        ] {
            assert!(!sorts(command), "{command}");
        }
    }

    #[test]
    fn timers_of_bridges_may_be_a_tick_apart_and_nothing_else() {
        let is_about = |path, real: f64, model: f64| is_about(path, &real.into(), &model.into());
        assert!(is_about("[1 br0].linkinfo.info_data.gc_timer", 29.04, 29.05));
        assert!(!is_about("[1 br0].linkinfo.info_data.gc_timer", 29.04, 29.06));
        assert!(!is_about("[1 br0].linkinfo.info_data.ageing", 29.04, 29.05));
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
