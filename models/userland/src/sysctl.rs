//! `sysctl` of procps 4.0.2.
//!
//! Not modelled: `--system` (no list of a directory's files), regular expressions for `-r` beyond plain text.

use glassnet_kernel::netlink::Errno;

use crate::getopt::{self, Long, Takes};
use crate::process::{Process, Running};
use crate::procfs::{self, Node};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(run(process))
}

const LONG: &[Long] = &[
    ("all", Takes::Nothing, "a"),
    ("deprecated", Takes::Nothing, "deprecated"),
    ("dry-run", Takes::Nothing, "dry-run"),
    ("binary", Takes::Nothing, "b"),
    ("ignore", Takes::Nothing, "e"),
    ("names", Takes::Nothing, "N"),
    ("values", Takes::Nothing, "n"),
    ("load", Takes::Nothing, "p"),
    ("quiet", Takes::Nothing, "q"),
    ("write", Takes::Nothing, "w"),
    ("system", Takes::Nothing, "system"),
    ("pattern", Takes::Value, "r"),
    ("help", Takes::Nothing, "h"),
    ("version", Takes::Nothing, "V"),
];

const HELP: &str = include_str!("sysctl_help.txt");

/// Files listed only with `--deprecated`.
const DEPRECATED: [&str; 2] = ["base_reachable_time", "retrans_time"];

#[derive(Default)]
struct Options {
    all: bool,
    deprecated: bool,
    dry_run: bool,
    binary: bool,
    ignore: bool,
    names: bool,
    values: bool,
    load: bool,
    quiet: bool,
    write: bool,
    pattern: Option<String>,
}

async fn run(process: &mut Process) -> i32 {
    let parsed = getopt::parse(process.args(), "bneNwfpqoxaAXr:Vdh", LONG);
    if let Some(error) = parsed.error {
        process.eprint(format!("sysctl: {error}\n{HELP}"));
        return 1;
    }
    let mut opts = Options::default();
    for option in &parsed.options {
        match option.name.as_str() {
            "b" => opts.binary = true,
            "n" => opts.values = true,
            "e" => opts.ignore = true,
            "N" => opts.names = true,
            "w" => opts.write = true,
            "f" | "p" => opts.load = true,
            "q" => opts.quiet = true,
            "a" | "A" | "X" => opts.all = true,
            "deprecated" => opts.deprecated = true,
            "dry-run" => opts.dry_run = true,
            "r" => opts.pattern = Some(option.value.clone()),
            "system" => return not_modelled(process, "--system"),
            "V" => {
                process.print(format!("sysctl from procps-ng {}\n", process.program.version));
                return 0;
            }
            "h" | "d" => {
                process.print(HELP);
                return 0;
            }
            _ => {}
        }
    }
    if opts
        .pattern
        .as_ref()
        .is_some_and(|pattern| pattern.contains(['.', '*', '[', '\\', '^', '$', '|', '+', '?']))
    {
        return not_modelled(process, "-r with a regular expression");
    }
    if opts.load {
        return load(process, &opts, &parsed.operands).await;
    }
    if opts.all {
        return show_tree(process, &opts, "/proc/sys", "");
    }
    if parsed.operands.is_empty() {
        if process.args().is_empty() {
            process.eprint(HELP);
        } else {
            process.eprint("sysctl: no variables specified\nTry `sysctl --help' for more information.\n");
        }
        return 1;
    }
    let mut status = 0;
    for word in &parsed.operands {
        if !opts.write && !word.contains('=') {
            // Unknown names are counted, settings that failed are not.
            status += show(process, &opts, word);
        } else if let Some(setting) = split(word).filter(|_| word.len() > 1) {
            status |= set(process, &opts, setting);
        } else {
            // One letter and comments are refused without a word (`parse_setting_line`).
            if word.len() > 1 && !word.starts_with(['#', ';']) {
                invalid_syntax(process, "command line", 0);
            }
            status |= 1;
        }
    }
    status
}

fn not_modelled(process: &mut Process, what: &str) -> i32 {
    process.eprint(format!("not modelled yet: sysctl {what}\n"));
    2
}

/// The key as printed, with dots, and its file. The first of `.` and `/` is the separator; the other one stands for it
/// in names.
fn locate(word: &str) -> (String, String) {
    let slashes = word.find(['.', '/']).is_some_and(|at| word.as_bytes()[at] == b'/');
    let swap = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect()
    };
    if slashes {
        (swap(word), format!("/proc/sys/{word}"))
    } else {
        (word.to_owned(), format!("/proc/sys/{}", swap(word)))
    }
}

fn node(process: &Process, path: &str) -> Result<Node, Errno> {
    let world = process.world();
    procfs::node(&world, process.caller(&world), path)
}

fn cannot_stat(process: &mut Process, opts: &Options, path: &str) -> i32 {
    if opts.ignore {
        return 0;
    }
    process.eprint(format!("sysctl: cannot stat {path}: {}\n", Errno::ENOENT.strerror()));
    1
}

fn show(process: &mut Process, opts: &Options, word: &str) -> i32 {
    let (key, path) = locate(word);
    match node(process, &path) {
        Err(_) => cannot_stat(process, opts, &path),
        Ok(Node::Dir) => show_tree(process, opts, &path, &key),
        Ok(node) => show_file(process, opts, &key, &path, &node),
    }
}

/// Prints all sysctls below a directory, sorted by name.
fn show_tree(process: &mut Process, opts: &Options, path: &str, key: &str) -> i32 {
    let listed = {
        let world = process.world();
        procfs::list(&world, process.caller(&world), path)
    };
    let mut status = 0;
    for (name, node) in listed.unwrap_or_default() {
        // A dot in a device name (eth0.5) is printed as a slash.
        let shown = name.replace('.', "/");
        let key = if key.is_empty() { shown } else { format!("{key}.{shown}") };
        let path = format!("{path}/{name}");
        status |= match node {
            Node::Dir => show_tree(process, opts, &path, &key),
            _ if DEPRECATED.contains(&name.as_str()) && !opts.deprecated => 0,
            node => show_file(process, opts, &key, &path, &node),
        };
    }
    status
}

fn show_file(process: &mut Process, opts: &Options, key: &str, path: &str, node: &Node) -> i32 {
    let readable = !matches!(node, Node::File { mode } if mode & 0o400 == 0);
    if !readable || opts.pattern.as_ref().is_some_and(|pattern| !key.contains(pattern.as_str())) {
        return 0;
    }
    if opts.names {
        process.print(format!("{key}\n"));
        return 0;
    }
    let text = {
        let world = process.world();
        procfs::read(&world, process.caller(&world), path)
    };
    match text {
        Ok(text) => {
            for line in text.trim_end_matches('\n').split('\n') {
                match (opts.binary, opts.values) {
                    (true, _) => process.print(line),
                    (_, true) => process.print(format!("{line}\n")),
                    _ => process.print(format!("{key} = {line}\n")),
                }
            }
            0
        }
        Err(Errno::EOPNOTSUPP) => not_modelled(process, key),
        Err(error) => {
            process.eprint(format!("sysctl: reading key \"{key}\": {}\n", error.strerror()));
            1
        }
    }
}

fn invalid_syntax(process: &mut Process, file: &str, line: usize) {
    process.eprint(format!("sysctl: {file}({line}): invalid syntax, continuing...\n"));
}

/// Splits `key=value`.
fn split(setting: &str) -> Option<(&str, &str)> {
    let (key, value) = setting.split_once('=')?;
    Some((key.trim(), value.trim()))
}

/// Sets a value; errors of a key with `-` before it are ignored.
fn set(process: &mut Process, opts: &Options, (word, value): (&str, &str)) -> i32 {
    let (word, ignore) = word.strip_prefix('-').map_or((word, opts.ignore), |rest| (rest, true));
    let (key, path) = locate(word);
    if key.is_empty() {
        process.eprint("sysctl: Path is not under /proc/sys/: /proc/sys/\n");
        return 1;
    }
    let mode = match node(process, &path) {
        Ok(Node::File { mode }) => mode,
        Ok(_) | Err(_) => return cannot_stat(process, &Options { ignore, ..Options::default() }, &path),
    };
    if mode & 0o200 == 0 {
        process.eprint(format!("sysctl: setting key \"{key}\": {}\n", Errno::EINVAL.strerror()));
        return 0;
    }
    if !opts.dry_run {
        let text = format!("{value}\n");
        let written = {
            let mut world = process.world();
            let caller = process.caller(&world);
            procfs::write(&mut world, caller, &path, &text)
        };
        if let Err(error) = written {
            if error == Errno::EOPNOTSUPP {
                return not_modelled(process, &key);
            }
            let ignored = if ignore { ", ignoring" } else { "" };
            process.eprint(format!("sysctl: setting key \"{key}\"{ignored}: {}\n", error.strerror()));
            return if ignore { 0 } else { 1 };
        }
    }
    match (opts.quiet, opts.values, opts.names) {
        (true, ..) => {}
        (_, true, _) => process.print(format!("{value}\n")),
        (.., true) => process.print(format!("{key}\n")),
        _ => process.print(format!("{key} = {value}\n")),
    }
    0
}

async fn load(process: &mut Process, opts: &Options, files: &[String]) -> i32 {
    let default = ["/etc/sysctl.conf".to_owned()];
    let mut status = 0;
    for file in if files.is_empty() { &default[..] } else { files } {
        let bytes = if file == "-" {
            process.read_to_end().await
        } else {
            let path = process.path(file);
            process.files.clone().read(&path).await
        };
        let Ok(bytes) = bytes else {
            process.eprint(format!("sysctl: cannot open \"{file}\": {}\n", Errno::ENOENT.strerror()));
            status = 1;
            continue;
        };
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with(['#', ';']) {
                match split(line) {
                    Some(setting) => status |= set(process, opts, setting),
                    None => invalid_syntax(process, file, number + 1),
                }
            }
        }
    }
    status
}
