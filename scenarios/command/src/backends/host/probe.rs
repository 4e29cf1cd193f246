//! What the running kernel is, and how it was built.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use glassnet_scenarios::observation::KernelConfig;

/// `6.18.44-1-amd64`
pub(super) fn release() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}

/// Where it runs: `uml` for a User Mode Linux, else `host`.
pub(super) fn place() -> &'static str {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    if cpus.contains("User Mode Linux") { "uml" } else { "host" }
}

/// The running kernel is of this version or newer.
fn is_since(major: u32, minor: u32) -> bool {
    let release = release();
    let mut numbers = release.split(['.', '-']).map_while(|number| number.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}

/// A module is loaded, or built in. Of the built-in ones only those with parameters have a folder; all have an init call.
pub(super) fn is_module_there(name: &str) -> bool {
    let name = name.replace('-', "_");
    let is_built_in = || {
        let symbols = fs::read_to_string("/proc/kallsyms").unwrap_or_default();
        symbols.contains(&format!(" __initcall__kmod_{name}__"))
    };
    Path::new("/sys/module").join(&name).exists() || is_built_in()
}

/// Asks a bridge and a set, in a namespace of their own, what this kernel's can do; once.
pub(super) fn config() -> KernelConfig {
    static CONFIG: OnceLock<KernelConfig> = OnceLock::new();
    *CONFIG.get_or_init(ask)
}

fn ask() -> KernelConfig {
    let ask = |asked: &str| {
        let said = Command::new("unshare").args(["--net", "sh", "-c", asked]).output();
        said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned()).unwrap_or_default()
    };
    let bridge = ask("ip link add probe0 type bridge && ip -d link show probe0");
    let set = ask("ipset create probe0 hash:ip && ipset list probe0");
    KernelConfig {
        bridge_vlan_filtering: bridge.contains("vlan_default_pvid"),
        ipset_bitmask: set.contains("Revision: 6"),
        reject_closes: is_since(6, 3),
        nat_keeps_reverse: is_since(6, 12),
        nf_nat_ftp: is_module_there("nf_nat_ftp"),
    }
}
