//! `modprobe` of kmod 30: loads `br_netfilter`; the other modules that matter here are part of the kernel from the start.

use glassnet_kernel::net::bridge::br_netfilter_hooks::br_netfilter_init;

use crate::identity::RELEASE;
use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async { modprobe(process) })
}

/// Modules whose work the modelled kernel does whether they are loaded or not. Extensions of iptables (`xt_…`, `ipt_…`) and
/// kinds of sets (`ip_set_…`) are too.
const BUILT_IN: &[&str] = &[
    "bridge",
    "ip_set",
    "ip_tables",
    "iptable_filter",
    "iptable_mangle",
    "iptable_nat",
    "iptable_raw",
    "iptable_security",
    "llc",
    "nf_conntrack",
    "nf_conntrack_netlink",
    "nf_defrag_ipv4",
    "nf_nat",
    "nf_reject_ipv4",
    "nf_tables",
    "nft_chain_nat",
    "nft_compat",
    "nft_counter",
    "overlay",
    "stp",
    "veth",
    "x_tables",
];

fn is_built_in(name: &str) -> bool {
    BUILT_IN.contains(&name) || ["xt_", "ipt_", "ip_set_"].iter().any(|prefix| name.starts_with(prefix))
}

fn modprobe(process: &mut Process) -> i32 {
    let (mut all, mut quiet) = (false, false);
    let mut names = Vec::new();
    for arg in process.args().to_vec() {
        let letters = match arg.as_str() {
            "--all" => "a",
            "--quiet" => "q",
            "--verbose" => "v",
            long if long.starts_with("--") => return refuse(process, long),
            short if short.len() > 1 && short.starts_with('-') => &short[1..],
            _ => {
                names.push(arg);
                continue;
            }
        };
        for letter in letters.chars() {
            match letter {
                'a' => all = true,
                'q' => quiet = true,
                // What a module is made of is not printed: nothing is inserted that was not there.
                'i' | 'b' => {}
                'v' | 'r' | 'f' | 'n' | 'c' | 'D' | 'R' | 'w' | 'C' | 'd' | 'S' | 's' | 'V' | 'h' => {
                    return refuse(process, &format!("-{letter}"));
                }
                other => {
                    process.eprint(format!("modprobe: invalid option -- '{other}'\n"));
                    return 1;
                }
            }
        }
    }
    if names.is_empty() {
        process.eprint("modprobe: ERROR: missing parameters. See -h.\n");
        return 1;
    }
    if !all && names.len() > 1 {
        if known(&names[0]) {
            return refuse(process, "parameters of a module");
        }
        names.truncate(1);
    }
    let mut status = 0;
    for name in names {
        if !load(process, &name) {
            if !quiet {
                let level = if all { "WARNING" } else { "FATAL" };
                let text = format!("Module {name} not found in directory /lib/modules/{RELEASE}");
                process.eprint(format!("modprobe: {level}: {text}\n"));
            }
            status = 1;
        }
    }
    status
}

fn refuse(process: &mut Process, what: &str) -> i32 {
    process.eprint(format!("modprobe: not modelled yet: {what}\n"));
    1
}

/// There is such a module; a dash in its name counts as an underscore.
fn known(name: &str) -> bool {
    let name = name.replace('-', "_");
    name == "br_netfilter" || is_built_in(&name)
}

/// False if there is no such module.
fn load(process: &mut Process, name: &str) -> bool {
    if name.replace('-', "_") == "br_netfilter" {
        process.syscall(br_netfilter_init);
    }
    known(name)
}
