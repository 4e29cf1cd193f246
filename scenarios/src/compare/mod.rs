//! The comparison of two runs of a lesson: what is observed, how noise is taken out, what differs.

pub mod canon;
pub mod diff;
pub mod divergences;
pub mod observation;
pub mod report;
pub mod simulate;
pub mod summary;
pub mod verify;

pub use divergences::Divergences;
pub use observation::Observation;
pub use report::{LessonReport, Report};

/// What is read after each block, in each namespace: commands, whose output is JSON where they speak it.
pub const DUMPS: [&str; 13] = [
    "ip -j addr",
    "ip -j -s link",
    "ip -j route show table all",
    "ip -j rule",
    "ip -j neigh",
    "bridge -j -d link",
    "bridge -j fdb",
    "cat /proc/net/snmp",
    "cat /proc/net/arp",
    "cat /proc/sys/net/ipv4/ip_forward",
    "iptables-save -c",
    "cat /proc/net/nf_conntrack",
    "ipset save",
];

/// How long both sides wait after each block before its tables are read.
///
/// The kernel tells of carriers at most once a second (`linkwatch`, net/core/link_watch.c), all namespaces of
/// a host together, so states of devices are settled only then.
pub const SETTLE: std::time::Duration = std::time::Duration::from_millis(1100);

/// JSON where a tool speaks it, else the text.
pub fn dump_value(said: &str) -> serde_json::Value {
    serde_json::from_str(said).unwrap_or_else(|_| serde_json::Value::String(said.to_owned()))
}
