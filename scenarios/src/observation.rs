//! Observation of a run of a lesson, on either side of the comparison.
//!
//! Every [backend](crate::backend) fills it, and a recording in `snapshots/recordings/` is this structure as JSON.
//! Values are as observed; only [`crate::compare::canon`] removes noise.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use glassnet_kernel::kernel::{INIT_NET, Kernel};
use glassnet_kernel::net::netfilter::nf_conntrack_proto::nf_ct_netns_get;
use glassnet_kernel::tables::siphash::SipHashKey;
use glassnet_sim::Nanos;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Commands whose output is read after each block in each namespace, as JSON if possible.
pub const DUMPS: [&str; 18] = [
    "ip -j addr",
    "ip -j -s link",
    "ip -j route show table all",
    "ip -j rule",
    "ip -j -s neigh",
    "bridge -j -d link",
    "bridge -j -d fdb",
    "cat /proc/net/snmp",
    "cat /proc/net/netstat",
    "cat /proc/net/arp",
    "cat /proc/net/stat/nf_conntrack",
    "sysctl net",
    "iptables-save -c",
    "iptables-legacy-save -c",
    "cat /proc/net/nf_conntrack",
    "ipset save",
    "cat /proc/net/ip_vs",
    "cat /proc/net/ip_vs_conn",
];

/// Wait of both sides after each block, before tables are read.
///
/// The kernel processes carrier events at most once per second for all namespaces (`linkwatch`,
/// net/core/link_watch.c), so operational states are stable only then.
pub const SETTLE: Duration = Duration::from_millis(1100);

/// In virtual time a prompt begins where a slot of the timer wheel's second level does (8 ticks), after the one in which the last
/// ended. On a real kernel a command is some fractions of a millisecond longer than in the model, where computing takes no time;
/// so both are in the same tick again.
const SLOT: Duration = Duration::from_millis(32);

/// The next time, of this clock, at which a prompt may begin.
pub fn next_slot(now: Duration) -> Duration {
    let slots = now.as_nanos() / SLOT.as_nanos() + 1;
    Duration::from_nanos((slots * SLOT.as_nanos()) as u64)
}

/// Content of a dump: JSON, or text.
pub fn dump_value(said: &str) -> Value {
    serde_json::from_str(said).unwrap_or_else(|_| Value::String(said.to_owned()))
}

/// Observation of a run of a lesson.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The lesson's file name without its folder, such as `bridge.md`.
    pub lesson: String,
    /// Backend: `linux 6.18.44 (host)`, or `glassnet 0.1.0 (simulator)`.
    pub kernel: String,
    /// Configuration of the kernel, as far as it can be observed.
    #[serde(default)]
    pub config: KernelConfig,
    /// Capabilities; omitted in recordings if complete.
    #[serde(default, skip_serializing_if = "Capabilities::is_everything")]
    pub sees: Capabilities,
    /// Version line by tool.
    pub tools: BTreeMap<String, String>,
    /// Names of the topology's NICs.
    pub nics: Vec<String>,
    /// What this side could not do or had to set up.
    pub notices: Vec<String>,
    /// MAC addresses chosen by the kernel, in order of appearance.
    pub macs: Vec<ChosenMac>,
    /// Reachable times of neighbours that the kernel chose, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reach_times: Vec<ReachTime>,
    /// Prompts in order.
    pub prompts: Vec<PromptSeen>,
    /// Frames in the order of their capture.
    pub frames: Vec<Frame>,
    /// State after each block of prompts.
    pub blocks: Vec<BlockSeen>,
    /// A journey for each packet buffer that passed a traced device or was dropped, in order of its first event.
    pub journeys: Vec<Journey>,
    /// Lookups and table changes reported by tracepoints, in order, for readers; the resulting tables are compared.
    pub events: Vec<TraceEvent>,
    /// How dice fell, in order, as far as this side knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub falls: Vec<Fall>,
}

/// How dice fell that decided about a packet: those of `-m statistic --mode random`, or the hash that a socket drew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fall {
    /// Index into [`Observation::prompts`].
    pub prompt: usize,
    /// The packet, by number.
    pub packet: u32,
    /// The outcome; of a rule, 0: yes, 1: no.
    pub outcome: usize,
    /// How many outcomes there are.
    pub ways: usize,
}

/// What a backend can observe. The rest is absent and not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// Devices whose frames are captured.
    pub frames: Sight,
    /// Available dumps of [`DUMPS`].
    pub tables: Sight,
    /// Tracepoints of devices and of freed packet buffers, the source of journeys.
    pub tracepoints: bool,
    /// The kernel's log, of which nothing but the lesson writes.
    #[serde(default)]
    pub log: bool,
}

/// Visible items of a kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// All.
    #[default]
    All,
    /// All but these.
    Except(BTreeSet<String>),
    /// None.
    Nothing,
}

impl Sight {
    /// The item of this name is visible.
    pub fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Except(unseen) => !unseen.contains(name),
            Self::Nothing => false,
        }
    }

    /// All but these.
    pub fn without(unseen: BTreeSet<String>) -> Self {
        if unseen.is_empty() { Self::All } else { Self::Except(unseen) }
    }
}

impl Default for Capabilities {
    /// Everything.
    fn default() -> Self {
        Self { frames: Sight::All, tables: Sight::All, tracepoints: true, log: true }
    }
}

impl Capabilities {
    /// Everything is visible.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }
}

/// Configuration of a kernel, as far as it can be observed; the model is configured the same way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelConfig {
    /// `CONFIG_BRIDGE_VLAN_FILTERING`.
    pub bridge_vlan_filtering: bool,
    /// ipset has `bitmask` (Linux 6.2 and later), by revisions and sizes of sets.
    #[serde(default)]
    pub ipset_bitmask: bool,
    /// NAT keeps the source port of a connection that is the reverse of another (since Linux 6.12).
    #[serde(default)]
    pub nat_keeps_reverse: bool,
    /// The module `nf_nat_ftp` is there from the start.
    #[serde(default)]
    pub nf_nat_ftp: bool,
    /// The module `ipip` is there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ipip: bool,
    /// The module `ip_gre` is there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gre: bool,
    /// The module `fou` is there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fou: bool,
    /// The modules of IPVS are there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub ip_vs: bool,
    /// Rules cannot ask for IPVS: no module `xt_ipvs`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_xt_ipvs: bool,
    /// Namespaces get no fallback devices of tunnels.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_fb_tunnels: bool,
    /// The module `openvswitch` is there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub openvswitch: bool,
    /// It is built without limits of connections, which would have every namespace track them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_ovs_ct_limit: bool,
    /// The module `8021q` is there from the start.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vlan_8021q: bool,
    /// Computing takes no time: User Mode Linux in virtual time.
    #[serde(default)]
    pub virtual_time: bool,
    /// `CONFIG_SMP`.
    #[serde(default = "yes")]
    pub smp: bool,
    /// Cables are veth pairs.
    #[serde(default)]
    pub veth_cables: bool,
    /// The key of the hash of flows, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_hash_key: Option<SipHashKey>,
}

fn yes() -> bool {
    true
}

impl KernelConfig {
    /// Configures the model's kernel, which has its first namespace already.
    pub fn give(self, kernel: &mut Kernel) {
        let config = &mut kernel.config;
        config.bridge_vlan_filtering = self.bridge_vlan_filtering;
        config.ipset_bitmask = self.ipset_bitmask;
        config.nat_keeps_reverse = self.nat_keeps_reverse;
        config.nf_nat_ftp = self.nf_nat_ftp;
        config.ipip = self.ipip;
        config.gre = self.gre;
        config.fou = self.fou;
        config.ip_vs = self.ip_vs;
        config.xt_ipvs = !self.no_xt_ipvs;
        config.fb_tunnels = !self.no_fb_tunnels;
        config.openvswitch = self.openvswitch;
        config.ovs_ct_limit = !self.no_ovs_ct_limit;
        config.vlan_8021q = self.vlan_8021q;
        if self.virtual_time {
            config.exec_time = Nanos::ZERO;
            // Frames take less time in the model.
            config.settle_time = Nanos::from_micros(50);
        }
        config.smp = self.smp;
        config.veth_cables = self.veth_cables;
        config.watched = self.veth_cables;
        config.flow_hash_key = self.flow_hash_key.unwrap_or(config.flow_hash_key);
        if config.ovs_tracks() {
            nf_ct_netns_get(kernel, INIT_NET);
        }
    }
}

impl Default for KernelConfig {
    /// Debian's.
    fn default() -> Self {
        Self {
            bridge_vlan_filtering: true,
            ipset_bitmask: false,
            nat_keeps_reverse: false,
            nf_nat_ftp: false,
            ipip: false,
            gre: false,
            fou: false,
            ip_vs: false,
            no_xt_ipvs: false,
            no_fb_tunnels: false,
            openvswitch: false,
            no_ovs_ct_limit: false,
            vlan_8021q: false,
            virtual_time: false,
            smp: true,
            veth_cables: false,
            flow_hash_key: None,
        }
    }
}

/// A MAC address that a kernel gave to a new device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenMac {
    /// Machine of the lesson.
    pub machine: String,
    /// Name of the network namespace in which it was first seen, empty for the machine's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub netns: String,
    /// First name of the device.
    pub device: String,
    /// The address, `aa:bb:cc:dd:ee:ff`.
    pub mac: String,
}

/// For how long a kernel takes neighbours of a device for reachable (`neigh_rand_reach_time`): it chose anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReachTime {
    /// It was so at the end of this prompt, as the backend counts, with the [canary](crate::canary)'s.
    pub prompt: usize,
    /// Machine of the lesson.
    pub machine: String,
    /// Name of the network namespace, empty for the machine's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub netns: String,
    /// The device.
    pub device: String,
    /// The time, ms.
    pub ms: u64,
}

/// A prompt and its result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PromptSeen {
    /// Index of its block in the lesson.
    pub block: usize,
    /// Line in the lesson's file, from 1.
    pub line: usize,
    /// Machine of the prompt.
    pub machine: String,
    /// The command, as in the lesson.
    pub command: String,
    /// Exit status.
    pub status: i32,
    /// Standard output and standard error, in the order of a terminal.
    pub output: String,
}

/// Direction and destination type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Sent by the device (`PACKET_OUTGOING`).
    Out,
    /// Received, for this device's address (`PACKET_HOST`).
    Host,
    /// Received, a broadcast.
    Broadcast,
    /// Received, a multicast.
    Multicast,
    /// Received, for another address.
    OtherHost,
}

/// Bytes of a hexadecimal text, up to the first invalid digit.
pub fn unhex(text: &str) -> Vec<u8> {
    let pairs = (0..text.len() / 2).map_while(|at| text.get(at * 2..at * 2 + 2));
    pairs.map_while(|pair| u8::from_str_radix(pair, 16).ok()).collect()
}

/// A frame captured by an all-protocol packet tap.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Index into [`Observation::prompts`] of the running or last prompt.
    pub prompt: usize,
    /// Machine.
    pub machine: String,
    /// Name of the network namespace, empty for the machine's own.
    pub netns: String,
    /// Device.
    pub device: String,
    /// Direction.
    pub direction: Direction,
    /// Microseconds since the start of the first prompt.
    pub at_us: u64,
    /// The device's packets have no link header.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub raw: bool,
    /// The frame from its link header on, in lower-case hexadecimal.
    pub bytes: String,
}

/// Tables and counters after a block.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BlockSeen {
    /// Line of the block in the lesson's file.
    pub line: usize,
    /// `machine` or `machine/netns`, to command or file, to content. Of a namespace that was there after the block before,
    /// what has not changed is left out; [`Observation::tables`] puts it in.
    pub tables: Tables,
    /// Lines of the kernel's log since the block before, each with its level: `6 br0: port 1(v0) entered forwarding state`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// `machine` or `machine/netns`, to each of [`DUMPS`], to its content.
pub type Tables = BTreeMap<String, BTreeMap<String, Value>>;

/// Tracepoints of a packet buffer, from allocation to release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journey {
    /// Index into [`Observation::prompts`].
    pub prompt: usize,
    /// Tracepoints with their device and length in bytes: `net_dev_queue veth-1-a 98`.
    pub steps: Vec<String>,
    /// `consumed`, a drop reason such as `NEIGH_FAILED`, or `alive` at the end of the run.
    pub end: String,
}

/// A tracepoint without a packet buffer: a lookup or a table change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// Index into [`Observation::prompts`].
    pub prompt: usize,
    /// Name of the tracepoint and the fields common to both sides.
    pub text: String,
}

/// Result of a prompt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Printed {
    /// Standard output and standard error, in the order of a terminal.
    pub output: String,
    /// Exit status.
    pub status: i32,
}

/// Observations of a run other than prompts and tables; see the fields of [`Observation`].
#[derive(Clone, Debug, Default)]
pub struct Captured {
    /// Version lines of the tools.
    pub tools: BTreeMap<String, String>,
    /// Notices about the set-up.
    pub notices: Vec<String>,
    /// Addresses that the kernel chose.
    pub macs: Vec<ChosenMac>,
    /// Reachable times that the kernel chose.
    pub reach_times: Vec<ReachTime>,
    /// Captured frames.
    pub frames: Vec<Frame>,
    /// Journeys of packet buffers.
    pub journeys: Vec<Journey>,
    /// Tracepoints without a packet buffer.
    pub events: Vec<TraceEvent>,
    /// How dice fell.
    pub falls: Vec<Fall>,
}

impl Observation {
    /// Adds what was read after a block, without what is as it was `before`, all tables after the last one.
    pub fn add_block(&mut self, line: usize, before: &Tables, mut tables: Tables, log: Vec<String>) {
        for (place, dumps) in &mut tables {
            let old = before.get(place);
            dumps.retain(|dump, value| old.and_then(|dumps| dumps.get(dump)) != Some(value));
        }
        self.blocks.push(BlockSeen { line, tables, log });
    }

    /// All tables after each block.
    pub fn tables(&self) -> Vec<Tables> {
        let mut all: Vec<Tables> = Vec::new();
        for block in &self.blocks {
            let mut tables = Tables::new();
            for (place, dumps) in &block.tables {
                let mut whole = all.last().and_then(|old| old.get(place)).cloned().unwrap_or_default();
                whole.extend(dumps.clone());
                tables.insert(place.clone(), whole);
            }
            all.push(tables);
        }
        all
    }

    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// The text is not a recording.
    pub fn from_json(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// JSON of the recording, with a frame, prompt or table per line, for readable diffs.
    pub fn to_json(&self) -> String {
        let mut text = String::new();
        let value = serde_json::to_value(self).unwrap_or_default();
        // Nesting of tables: blocks, block, tables, place, table.
        write_json(&value, 0, 2, &mut text);
        text.push('\n');
        text
    }
}

/// Writes a value, with the upper `open` levels one entry per line.
fn write_json(value: &Value, depth: usize, open: usize, out: &mut String) {
    let is_open = depth < open;
    let line = |out: &mut String, first: bool, depth: usize| {
        out.push_str(if first { "\n" } else { ",\n" });
        out.extend(std::iter::repeat_n(' ', depth));
    };
    match value {
        Value::Object(fields) if is_open && !fields.is_empty() => {
            out.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                line(out, at == 0, depth + 1);
                out.push_str(&format!("{}: ", Value::from(key.as_str())));
                write_json(value, depth + 1, if key == "blocks" { 5 } else { open }, out);
            }
            out.push_str("\n}");
        }
        Value::Array(items) if is_open && !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                line(out, at == 0, depth + 1);
                write_json(item, depth + 1, open, out);
            }
            out.push_str("\n]");
        }
        other => out.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_that_stay_are_kept_once() {
        let tables = |places: &[(&str, &[(&str, u32)])]| -> Tables {
            let dumps = |dumps: &[(&str, u32)]| {
                dumps.iter().map(|(dump, value)| ((*dump).to_owned(), Value::from(*value))).collect()
            };
            places.iter().map(|(place, of)| ((*place).to_owned(), dumps(of))).collect()
        };
        let blocks = [
            tables(&[("a", &[("rule", 1), ("neigh", 2)]), ("a/x", &[("rule", 1)])]),
            tables(&[("a", &[("rule", 1), ("neigh", 3)])]),
            tables(&[("a", &[("rule", 1), ("neigh", 3)]), ("a/x", &[("rule", 1)])]),
        ];
        let mut seen = Observation::default();
        let before = [Tables::new()].into_iter().chain(blocks.clone());
        before.zip(&blocks).for_each(|(before, block)| seen.add_block(1, &before, block.clone(), Vec::new()));
        assert_eq!(seen.tables(), blocks);
        assert_eq!(seen.blocks[1].tables, tables(&[("a", &[("neigh", 3)])]));
        assert_eq!(seen.blocks[2].tables, tables(&[("a", &[]), ("a/x", &[("rule", 1)])]));
    }

    #[test]
    fn a_slot_is_the_next_one_for_whatever_lies_between() {
        let next = |micros: u64| next_slot(Duration::from_micros(micros)).as_micros();
        assert_eq!([0, 1, 31_999].map(next), [32_000; 3]);
        // A command that takes no time in the model, and a little on a real kernel.
        assert_eq!([32_000, 32_300, 36_000].map(next), [64_000; 3]);
    }

    #[test]
    fn a_recording_reads_back_and_holds_a_frame_a_line() {
        let frame = |at_us| Frame {
            prompt: 0,
            machine: "a".into(),
            netns: String::new(),
            device: "eth0".into(),
            direction: Direction::Out,
            at_us,
            raw: false,
            bytes: "00".into(),
        };
        let table = |value: Value| BTreeMap::from([("ip -j addr".to_owned(), value)]);
        let tables = BTreeMap::from([("a".to_owned(), table(serde_json::json!([{ "mtu": 1 }])))]);
        let seen = Observation {
            frames: vec![frame(1), frame(2)],
            blocks: vec![BlockSeen { line: 1, tables, log: Vec::new() }],
            ..Observation::default()
        };
        let text = seen.to_json();
        assert_eq!(Observation::from_json(&text).ok(), Some(seen));
        assert_eq!(text.lines().filter(|l| l.contains("\"bytes\"")).count(), 2);
        assert!(text.lines().any(|l| l.trim() == r#""ip -j addr": [{"mtu":1}]"#), "{text}");
    }
}
