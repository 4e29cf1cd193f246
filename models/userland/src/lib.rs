//! The programs that people type: each parses the real syntax and prints the real output.
//!
//! | module | owns |
//! |---|---|
//! | [`process`] | [`Process`](process::Process): what a program sees of its machine |
//! | [`numbers`] | numbers as the C library reads them |
//! | [`hosts`], [`resolver`] | host names |
//! | [`signal`] | signals |
//! | [`stop`] | what ends a program before its work is done |
//! | [`memory`] | streams in memory |
//! | [`harness`] | runs one program without a shell, for tests |
//! | one module a program | its entry point `main`, listed in [`PROGRAMS`] |
//! | [`cni`] | plugins of container networks, which are on no `PATH`, and what runs them |
//!
//! This crate does not decide a packet's fate: it reads and changes the kernel's tables and sockets.

pub mod arp;
pub mod arping;
pub mod bc;
pub mod bird;
pub mod brctl;
pub mod bridge;
pub mod cni;
pub mod conntrack;
pub mod curl;
pub mod date;
pub mod dig;
pub mod dmesg;
pub mod ethtool;
pub mod getent;
pub mod getopt;
pub mod harness;
pub mod host;
pub mod hosts;
pub mod identity;
pub mod ifconfig;
pub mod ip;
pub mod iperf3;
pub mod iproute2;
pub mod ipset;
pub mod iptables;
pub mod ipvsadm;
pub mod mausezahn;
pub mod memory;
pub mod modprobe;
pub mod mpstat;
pub mod named;
pub mod nc;
pub mod nfacct;
pub mod nginx;
pub mod nsenter;
pub mod nslookup;
pub mod nstat;
pub mod numbers;
pub mod ovs;
pub mod passwd;
pub mod pcap;
pub mod ping;
pub mod process;
pub mod procfs;
pub mod python3;
pub mod resolver;
pub mod route;
pub mod services;
pub mod signal;
pub mod sleep;
pub mod socat;
pub mod sock;
pub mod ss;
pub mod stop;
pub mod stream;
pub mod stress_ng;
pub mod sudo;
pub mod sysctl;
pub mod sysfs;
mod task;
pub mod taskset;
pub mod tc;
pub mod tcpdump;
pub mod tee;
pub mod timeout;
pub mod tracepath;
pub mod traceroute;
pub mod tun;
pub mod unmodelled;
pub mod wget;

use process::Program;

/// Every program that is modelled: its path on Debian 12, the version that it gives itself, and its entry point.
#[rustfmt::skip] // One line each, so that they merge.
pub const PROGRAMS: &[Program] = &[
    Program::new("/usr/sbin/arp", "2.10", arp::main),
    Program::new("/usr/bin/arping", "20221126", arping::main),
    Program::new("/usr/bin/bc", "1.07.1", bc::main),
    Program::new("/usr/sbin/bird", "2.0.12", bird::main),
    Program::new("/usr/sbin/birdc", "2.0.12", bird::birdc::main),
    Program::new("/usr/sbin/brctl", "1.7", brctl::main),
    Program::new("/usr/sbin/bridge", "6.1.0", bridge::main),
    Program::new("/usr/bin/cnitool", "1.1.2", cni::cnitool::main),
    Program::new("/usr/sbin/conntrack", "1.4.7", conntrack::main),
    Program::new("/usr/bin/curl", "7.88.1", curl::main),
    Program::new("/usr/bin/date", "9.1", date::main),
    Program::new("/usr/bin/dig", "9.18.49", dig::main),
    Program::new("/usr/bin/dmesg", "2.38.1", dmesg::main),
    Program::new("/usr/sbin/ethtool", "6.1", ethtool::main),
    Program::new("/usr/bin/getent", "2.36", getent::main),
    Program::new("/usr/bin/host", "9.18.49", host::main),
    Program::new("/usr/bin/id", "9.1", identity::id),
    Program::new("/usr/sbin/ifconfig", "2.10", ifconfig::main),
    Program::new("/usr/sbin/ip", "6.1.0", ip::main),
    Program::new("/usr/bin/iperf3", "3.12", iperf3::main),
    Program::new("/usr/sbin/ipset", "7.17", ipset::main),
    Program::new("/usr/sbin/iptables", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-legacy", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-legacy-restore", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-legacy-save", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-nft", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-nft-restore", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-nft-save", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-restore", "1.8.9", iptables::main),
    Program::new("/usr/sbin/iptables-save", "1.8.9", iptables::main),
    Program::new("/usr/sbin/ipvsadm", "1.31", ipvsadm::main),
    Program::new("/usr/sbin/ipvsadm-restore", "1.31", ipvsadm::restore),
    Program::new("/usr/sbin/ipvsadm-save", "1.31", ipvsadm::save),
    Program::new("/usr/sbin/mausezahn", "0.6.8", mausezahn::main),
    Program::new("/usr/sbin/modprobe", "30", modprobe::main),
    Program::new("/usr/bin/mpstat", "12.6.1", mpstat::main),
    Program::new("/usr/sbin/named", "9.18.49", named::main),
    Program::new("/usr/bin/nc", "1.219", nc::main),
    Program::new("/usr/bin/netcat", "1.219", nc::main),
    Program::new("/usr/sbin/nfacct", "1.0.2", nfacct::main),
    Program::new("/usr/sbin/nginx", "1.22.1", nginx::main),
    Program::new("/usr/bin/nsenter", "2.38.1", nsenter::main),
    Program::new("/usr/bin/nslookup", "9.18.49", nslookup::main),
    Program::new("/usr/bin/nstat", "6.1.0", nstat::main),
    Program::new("/usr/bin/ovs-appctl", "3.1.0", ovs::appctl::main),
    Program::new("/usr/share/openvswitch/scripts/ovs-ctl", "3.1.0", ovs::ctl::main),
    Program::new("/usr/bin/ovs-dpctl", "3.1.0", ovs::appctl::dpctl),
    Program::new("/usr/bin/ovs-ofctl", "3.1.0", ovs::ofctl::main),
    Program::new("/usr/bin/ovs-vsctl", "3.1.0", ovs::vsctl::main),
    Program::new("/usr/sbin/ovs-vswitchd", "3.1.0", ovs::vswitchd::main),
    Program::new("/usr/bin/ping", "20221126", ping::main),
    Program::new("/usr/bin/python3", "3.11.2", python3::main),
    Program::new("/usr/sbin/route", "2.10", route::main),
    Program::new("/usr/bin/sleep", "9.1", sleep::main),
    Program::new("/usr/bin/socat", "1.7.4.4", socat::main),
    Program::new("/usr/bin/ss", "6.1.0", ss::main),
    Program::new("/usr/bin/stress-ng", "0.15.06", stress_ng::main),
    Program::new("/usr/bin/sudo", "1.9.13p3", sudo::main),
    Program::new("/usr/sbin/sysctl", "4.0.2", sysctl::main),
    Program::new("/usr/bin/taskset", "2.38.1", taskset::main),
    Program::new("/usr/sbin/tc", "6.1.0", tc::main),
    Program::new("/usr/bin/tcpdump", "4.99.3", tcpdump::main),
    Program::new("/usr/bin/tee", "9.1", tee::main),
    Program::new("/usr/bin/timeout", "9.1", timeout::main),
    Program::new("/usr/bin/tracepath", "20221126", tracepath::main),
    Program::new("/usr/bin/traceroute", "2.1.2", traceroute::main),
    Program::new("/usr/bin/uname", "9.1", identity::uname),
    Program::new("/usr/bin/wget", "1.21.3", wget::main),
    Program::new("/usr/sbin/xtables-legacy-multi", "1.8.9", iptables::main),
    Program::new("/usr/sbin/xtables-nft-multi", "1.8.9", iptables::main),
];

/// Everything that is installed: [`PROGRAMS`], and what is refused by name ([`unmodelled::UNMODELLED`]).
pub fn installed() -> impl Iterator<Item = &'static Program> {
    PROGRAMS.iter().chain(unmodelled::UNMODELLED)
}

/// The installed program of this name, if there is one.
pub fn program(name: &str) -> Option<&'static Program> {
    installed().find(|program| program.name() == name)
}
