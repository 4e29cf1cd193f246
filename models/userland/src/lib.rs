//! The programs that people type: each parses the real syntax and prints the real output.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | [`Process`](process::Process): what a program sees of its machine |
//! | [`harness`] | runs one program without a shell, for tests |
//! | one module a program | its entry point `main`, listed in [`PROGRAMS`] |
//!
//! This crate does not decide a packet's fate: it reads and changes the kernel's tables and sockets.

pub mod arp;
pub mod arping;
pub mod brctl;
pub mod bridge;
pub mod conntrack;
pub mod curl;
pub mod date;
pub mod dmesg;
pub mod ethtool;
pub mod getopt;
pub mod harness;
pub mod hosts;
pub mod identity;
pub mod ifconfig;
pub mod ip;
pub mod iperf3;
pub mod ipset;
pub mod iptables;
pub mod mausezahn;
pub mod modprobe;
pub mod nc;
pub mod nsenter;
pub mod pcap;
pub mod ping;
pub mod process;
pub mod procfs;
pub mod python3;
pub mod route;
pub mod services;
pub mod sleep;
pub mod sock;
pub mod ss;
pub mod stream;
pub mod sysctl;
pub mod sysfs;
pub mod tcpdump;
pub mod tee;
pub mod timeout;
pub mod tracepath;
pub mod traceroute;

use process::Program;

/// Every program by the name that people type.
#[rustfmt::skip] // One line each, so that they merge.
pub const PROGRAMS: &[(&str, Program)] = &[
    ("arp", arp::main),
    ("arping", arping::main),
    ("arptables", iptables::main),
    ("arptables-restore", iptables::main),
    ("arptables-save", iptables::main),
    ("brctl", brctl::main),
    ("bridge", bridge::main),
    ("conntrack", conntrack::main),
    ("curl", curl::main),
    ("date", date::main),
    ("dmesg", dmesg::main),
    ("ebtables", iptables::main),
    ("ebtables-restore", iptables::main),
    ("ebtables-save", iptables::main),
    ("ethtool", ethtool::main),
    ("id", identity::id),
    ("ifconfig", ifconfig::main),
    ("ip", ip::main),
    ("iperf3", iperf3::main),
    ("mausezahn", mausezahn::main),
    ("modprobe", modprobe::main),
    ("nc", nc::main),
    ("netcat", nc::main),
    ("ipset", ipset::main),
    ("ip6tables", iptables::main),
    ("ip6tables-legacy", iptables::main),
    ("ip6tables-legacy-restore", iptables::main),
    ("ip6tables-legacy-save", iptables::main),
    ("ip6tables-nft", iptables::main),
    ("ip6tables-nft-restore", iptables::main),
    ("ip6tables-nft-save", iptables::main),
    ("ip6tables-restore", iptables::main),
    ("ip6tables-save", iptables::main),
    ("iptables", iptables::main),
    ("iptables-legacy", iptables::main),
    ("iptables-legacy-restore", iptables::main),
    ("iptables-legacy-save", iptables::main),
    ("iptables-nft", iptables::main),
    ("iptables-nft-restore", iptables::main),
    ("iptables-nft-save", iptables::main),
    ("iptables-restore", iptables::main),
    ("iptables-save", iptables::main),
    ("nft", iptables::main),
    ("nsenter", nsenter::main),
    ("ping", ping::main),
    ("python3", python3::main),
    ("route", route::main),
    ("sleep", sleep::main),
    ("ss", ss::main),
    ("sysctl", sysctl::main),
    ("tcpdump", tcpdump::main),
    ("tee", tee::main),
    ("timeout", timeout::main),
    ("tracepath", tracepath::main),
    ("traceroute", traceroute::main),
    ("uname", identity::uname),
    ("xtables-legacy-multi", iptables::main),
    ("xtables-monitor", iptables::main),
    ("xtables-nft-multi", iptables::main),
];

/// The program of this name, if there is one.
pub fn program(name: &str) -> Option<Program> {
    PROGRAMS.iter().find(|(known, _)| *known == name).map(|(_, program)| *program)
}
