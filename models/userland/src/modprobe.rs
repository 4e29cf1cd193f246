//! `modprobe` of kmod 30: loads what the kernel's list of modules has.

use glassnet_kernel::Cx;

use crate::identity::RELEASE;
use crate::process::{Process, Running};

/// What loading a module does, if it was not part of the kernel from the start.
type Load = Option<fn(&mut Cx)>;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async { modprobe(process) })
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
        if find(process, &names[0]).is_some() {
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

/// There is such a module; a dash in its name counts as an underscore. Extensions of iptables and kinds of sets come with
/// the kernel.
fn find(process: &mut Process, name: &str) -> Option<Load> {
    let name = name.replace('-', "_");
    let modules = process.syscall(|cx| cx.k.modules);
    let module = modules.iter().find(|module| module.name == name).map(|module| module.init);
    let is_extension = ["xt_", "ipt_", "ip_set_"].iter().any(|prefix| name.starts_with(prefix));
    module.or(is_extension.then_some(None))
}

/// False if there is no such module.
fn load(process: &mut Process, name: &str) -> bool {
    let Some(init) = find(process, name) else { return false };
    if let Some(init) = init {
        process.syscall(init);
    }
    true
}
