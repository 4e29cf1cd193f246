//! What the backend needs of the host, looked for before anything is made.

use std::collections::BTreeSet;
use std::path::Path;

use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::observation::{DUMPS, Sight};

use crate::backends::is_there;

/// Tools that a run itself uses; what a lesson's prompts use is the lesson's own affair.
const TOOLS: [&str; 5] = ["bash", "ip", "bridge", "nsenter", "unshare"];

/// Says all that is missing at once.
pub fn check() -> Result<(), BackendError> {
    let mut missing = Vec::new();
    if !nix::unistd::geteuid().is_root() {
        missing.push("privileges: this needs root (for namespaces, packet taps and tracepoints)".to_owned());
    }
    for tool in TOOLS.into_iter().filter(|tool| !is_there(tool)) {
        missing.push(format!("tool: {tool} is not in PATH"));
    }
    for kind in ["net", "mnt", "pid", "uts", "ipc"] {
        if !Path::new("/proc/self/ns").join(kind).exists() {
            missing.push(format!("kernel: no {kind} namespaces"));
        }
    }
    let filesystems = std::fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if !filesystems.lines().any(|l| l.ends_with("tracefs")) {
        missing.push("kernel: no tracefs, so no tracepoints and no drop reasons".to_owned());
    }
    if missing.is_empty() { Ok(()) } else { Err(BackendError::Missing(missing)) }
}

/// Debian's packages of programs, where a program is not called as its package.
const PACKAGES: [(&str, &[&str]); 17] = [
    ("bind9-dnsutils", &["dig", "host", "nslookup"]),
    ("bird2", &["bird", "birdc"]),
    ("bridge-utils", &["brctl"]),
    ("iproute2", &["bridge", "ip", "nstat", "ss", "tc"]),
    ("iputils-arping", &["arping"]),
    ("iputils-ping", &["ping"]),
    ("iputils-tracepath", &["tracepath"]),
    ("kmod", &["modprobe"]),
    ("net-tools", &["arp", "ifconfig", "netstat", "route"]),
    ("netcat-openbsd", &["nc", "netcat"]),
    ("netsniff-ng", &["mausezahn"]),
    ("nftables", &["nft"]),
    ("openvswitch-common", &["ovs-appctl", "ovs-ctl", "ovs-ofctl"]),
    ("openvswitch-switch", &["ovs-dpctl", "ovs-vsctl", "ovs-vswitchd"]),
    ("procps", &["sysctl"]),
    ("util-linux", &["dmesg", "nsenter", "unshare"]),
    ("coreutils", &["date", "id", "sleep", "tee", "timeout", "uname"]),
];

/// The programs that are not here, with the package that has each.
pub(super) fn missing(programs: &BTreeSet<&str>) -> Vec<String> {
    let package = |program: &str| {
        let of = PACKAGES.iter().find(|(_, programs)| programs.contains(&program));
        let same = if program.contains("tables") { "iptables" } else { program };
        of.map_or(same, |(package, _)| package).to_owned()
    };
    let told = |program: &&str| match *program {
        "cnitool" | "/usr/lib/cni/flannel" => format!("tool: {program} is in no package of Debian"),
        plugin if plugin.starts_with('/') => {
            format!("tool: {plugin} is not there (package containernetworking-plugins)")
        }
        program => format!("tool: {program} is not in PATH (package {})", package(program)),
    };
    programs.iter().filter(|program| !is_there(program)).map(told).collect()
}

/// The dumps whose program is there.
pub(super) fn tables() -> Sight {
    let program = |dump: &str| dump.split(' ').next().unwrap_or("").to_owned();
    let missing: BTreeSet<String> =
        DUMPS.iter().filter(|dump| !is_there(&program(dump))).map(|dump| (*dump).to_owned()).collect();
    Sight::without(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_told_with_its_package() {
        let said = missing(&BTreeSet::from(["sh", "no-such-program", "ip6tables-no-such"]));
        let expected = ["ip6tables-no-such", "no-such-program"].map(|name| {
            let package = if name.contains("tables") { "iptables" } else { name };
            format!("tool: {name} is not in PATH (package {package})")
        });
        assert_eq!(said, expected);
        let said = missing(&BTreeSet::from(["/usr/lib/cni/no-such-plugin"]));
        let expected = "tool: /usr/lib/cni/no-such-plugin is not there (package containernetworking-plugins)";
        assert_eq!(said, [expected]);
    }
}
