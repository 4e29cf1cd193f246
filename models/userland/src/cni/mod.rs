//! Plugins of container networks (CNI), of `containernetworking-plugins` 1.1.1, and what runs them.
//!
//! | module | owns |
//! |---|---|
//! | [`skel`] | what all plugins do alike: environment, standard input, versions, errors |
//! | [`types`], [`json`], [`error`] | results, JSON as Go reads and writes it, errors |
//! | [`invoke`], [`libcni`] | how a plugin is run, and a list of them |
//! | [`link`], [`iptables`] | what plugins ask of the kernel, and of `iptables` |
//! | [`cnitool`] | the program that runs a list by hand |
//! | [`on_master`] | devices on a device of the host |
//! | one module a plugin (`static` is [`fixed`]) | its commands, a row in [`ROWS`] |
//!
//! Not modelled: IPv6 (as with `disable_ipv6`), and what a plugin refuses by name.

mod bandwidth;
mod bridge;
pub mod cnitool;
mod dhcp;
mod error;
mod firewall;
mod fixed;
mod flannel;
mod host_device;
mod host_local;
mod invoke;
mod iptables;
mod ipvlan;
mod json;
pub mod libcni;
mod link;
mod loopback;
mod macvlan;
mod on_master;
mod portmap;
mod ptp;
mod sbr;
mod skel;
mod tuning;
mod types;
mod vlan;
mod vrf;

use self::skel::Plugin;
use crate::process::{Process, Program, Running};

/// Where Debian has plugins.
const DEBIAN: &str = "/usr/lib/cni/";
/// Where container runtimes look for them.
const OPT: &str = "/opt/cni/bin/";
/// Their version.
const VERSION: &str = "1.1.1";

/// All plugins.
static ROWS: &[&Plugin] = &[
    &bandwidth::PLUGIN,
    &bridge::PLUGIN,
    &dhcp::PLUGIN,
    &firewall::PLUGIN,
    &flannel::PLUGIN,
    &host_device::PLUGIN,
    &host_local::PLUGIN,
    &ipvlan::PLUGIN,
    &loopback::PLUGIN,
    &macvlan::PLUGIN,
    &portmap::PLUGIN,
    &ptp::PLUGIN,
    &sbr::PLUGIN,
    &fixed::PLUGIN,
    &tuning::PLUGIN,
    &vlan::PLUGIN,
    &vrf::PLUGIN,
];

/// All plugins, which are on no `PATH`.
#[rustfmt::skip] // One line each, so that they merge.
pub const PLUGINS: &[Program] = &[
    Program::new("/usr/lib/cni/bandwidth", VERSION, main),
    Program::new("/usr/lib/cni/bridge", VERSION, main),
    Program::new("/usr/lib/cni/dhcp", VERSION, main),
    Program::new("/usr/lib/cni/firewall", VERSION, main),
    Program::new("/usr/lib/cni/flannel", VERSION, main),
    Program::new("/usr/lib/cni/host-device", VERSION, main),
    Program::new("/usr/lib/cni/host-local", VERSION, main),
    Program::new("/usr/lib/cni/ipvlan", VERSION, main),
    Program::new("/usr/lib/cni/loopback", VERSION, main),
    Program::new("/usr/lib/cni/macvlan", VERSION, main),
    Program::new("/usr/lib/cni/portmap", VERSION, main),
    Program::new("/usr/lib/cni/ptp", VERSION, main),
    Program::new("/usr/lib/cni/sbr", VERSION, main),
    Program::new("/usr/lib/cni/static", VERSION, main),
    Program::new("/usr/lib/cni/tuning", VERSION, main),
    Program::new("/usr/lib/cni/vlan", VERSION, main),
    Program::new("/usr/lib/cni/vrf", VERSION, main),
];

/// The paths of a plugin.
pub fn paths(plugin: &Program) -> [String; 2] {
    [DEBIAN, OPT].map(|folder| format!("{folder}{}", plugin.name()))
}

/// The plugin at this path.
pub fn plugin(path: &str) -> Option<&'static Program> {
    let name = path.strip_prefix(DEBIAN).or_else(|| path.strip_prefix(OPT))?;
    PLUGINS.iter().find(|plugin| plugin.name() == name)
}

/// A name that plugins draw for a device.
pub fn is_random_veth_name(name: &str) -> bool {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    name.strip_prefix("veth").is_some_and(|digits| digits.len() == 8 && digits.bytes().all(is_digit))
}

/// Entry point of all plugins.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let row = ROWS.iter().find(|row| row.name == process.program.name());
        match row {
            Some(plugin) => skel::run(process, plugin).await,
            None => {
                process.eprint(format!("not modelled yet: {}\n", process.program.path));
                2
            }
        }
    })
}
