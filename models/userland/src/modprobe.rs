//! `modprobe` of kmod 30: loads the kernel's modules.

use glassnet_kernel::Cx;
use glassnet_kernel::module::Module;
use glassnet_kernel::net::netfilter::EXTENSIONS;

use crate::identity::RELEASE;
use crate::ipset::is_type_modelled;
use crate::iptables::spec::is_real_extension;
use crate::process::{Process, Running};

/// Init function of a module; `None`: built in.
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
                // No effect: they are about install and blacklist commands of a configuration, which does not exist.
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
        if matches!(find(process, &names[0]), Found::Module(_)) {
            return refuse(process, "parameters of a module");
        }
        names.truncate(1);
    }
    let mut status = 0;
    for name in names {
        match find(process, &name) {
            Found::Module(None) => {}
            Found::Module(Some(init)) => process.syscall(init),
            Found::NotModelled => status = refuse(process, &name),
            Found::Nothing => {
                if !quiet {
                    let level = if all { "WARNING" } else { "FATAL" };
                    let text = format!("Module {name} not found in directory /lib/modules/{RELEASE}");
                    process.eprint(format!("modprobe: {level}: {text}\n"));
                }
                status = 1;
            }
        }
    }
    status
}

fn refuse(process: &mut Process, what: &str) -> i32 {
    process.eprint(format!("modprobe: not modelled yet: {what}\n"));
    1
}

/// Result of a lookup by name.
enum Found {
    Module(Load),
    NotModelled,
    Nothing,
}

/// The module of this name; dashes count as underscores. Modules of iptables extensions are also found by an alias of
/// the match or target; there is one module per set type.
fn find(process: &mut Process, name: &str) -> Found {
    let name = name.replace('-', "_");
    let modules = process.syscall(|cx| cx.k.modules);
    let extension = name.strip_prefix("xt_").or_else(|| name.strip_prefix("ipt_"));
    let set_type = name.strip_prefix("ip_set_");
    let brings = |module: &Module| {
        module.name == Some(&*name)
            || extension.is_some_and(|name| module.matches.contains(&name))
            || extension.is_some_and(|name| module.targets.contains(&name))
    };
    if let Some(module) = modules.iter().find(|module| module.name == Some(&*name)) {
        return Found::Module(module.init);
    }
    if EXTENSIONS.iter().copied().flatten().any(brings) {
        return Found::Module(None);
    }
    match set_type.and_then(is_type_modelled) {
        Some(true) => Found::Module(None),
        Some(false) => Found::NotModelled,
        None if extension.is_some_and(is_real_extension) => Found::NotModelled,
        None => Found::Nothing,
    }
}
