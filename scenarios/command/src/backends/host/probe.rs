//! What the running kernel is, and how it was built.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use glassnet_kernel::tables::siphash::SipHashKey;
use glassnet_scenarios::observation::KernelConfig;

/// Where the memory of a User Mode Linux begins (`uml_physmem`).
const PHYSICAL: u64 = 0x6000_0000;

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

/// 1 or 2: a namespace that is made gets no fallback devices of tunnels.
const FB_TUNNELS: &str = "/proc/sys/net/core/fb_tunnels_only_for_init_net";

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
        nat_keeps_reverse: is_since(6, 12),
        nf_nat_ftp: is_module_there("nf_nat_ftp"),
        ipip: is_module_there("ipip"),
        gre: is_module_there("ip_gre"),
        fou: is_module_there("fou"),
        ip_vs: is_module_there("ip_vs"),
        no_xt_ipvs: ask("iptables -C INPUT -m ipvs --ipvs 2>&1").contains("missing kernel module"),
        no_fb_tunnels: fs::read_to_string(FB_TUNNELS).is_ok_and(|only| only.trim() != "0"),
        openvswitch: is_module_there("openvswitch"),
        no_ovs_ct_limit: place() == "uml",
        vlan_8021q: is_module_there("8021q"),
        virtual_time: place() == "uml",
        smp: std::fs::read_to_string("/proc/version").is_ok_and(|version| version.contains(" SMP ")),
        veth_cables: true,
        flow_hash_key: (place() == "uml").then(|| flow_hash_key(&ask)).flatten(),
    }
}

/// The key of the hash of flows, from the memory of a User Mode Linux, where that is one file. It is drawn when the first
/// packet is hashed. None if the memory does not look as it should.
fn flow_hash_key(ask: &impl Fn(&str) -> String) -> Option<SipHashKey> {
    ask("ip link add probe0 type veth peer name probe1 && ip link set probe1 up && ip link set probe0 up \
         && ip addr add 192.0.2.1/24 dev probe0 \
         && ip route add 198.51.100.0/24 nexthop via 192.0.2.2 nexthop via 192.0.2.3 && ip route get 198.51.100.1");
    let symbols = std::fs::read_to_string("/proc/kallsyms").ok()?;
    let address = |wanted: &str| {
        let line = symbols.lines().find(|line| line.split(' ').nth(2) == Some(wanted))?;
        u64::from_str_radix(line.split(' ').next()?, 16).ok()
    };
    let memory = File::open("/dev/mem").ok()?;
    let read = |wanted: &str, length: usize| {
        let mut bytes = vec![0; length];
        memory.read_exact_at(&mut bytes, address(wanted)?.checked_sub(PHYSICAL)?).ok()?;
        Some(bytes)
    };
    let banner = std::fs::read("/proc/version").ok()?;
    if read("linux_banner", banner.len())? != banner {
        return None;
    }
    let key = read("hashrnd", 16)?;
    let word = |at: usize| Some(u64::from_le_bytes(key[at..at + 8].try_into().ok()?));
    Some([word(0)?, word(8)?]).filter(|key| *key != [0, 0])
}
