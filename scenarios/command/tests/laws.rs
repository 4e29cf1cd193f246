//! The house rules that no compiler checks. Each reads the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Crates in the order of imports: each may use those before it.
const CRATES: &[(&str, &str)] = &[
    ("sim", "glassnet-sim"),
    ("models/wire", "glassnet-wire"),
    ("models/hardware", "glassnet-hardware"),
    ("models/kernel", "glassnet-kernel"),
    ("models/userland", "glassnet-userland"),
    ("scenarios", "glassnet-scenarios"),
    ("scenarios/command", "glassnet"),
    ("scenarios/wasm", "glassnet-wasm"),
    ("benches", "glassnet-benches"),
];

/// Longest function, in lines.
const FUNCTION_LINES: usize = 80;
/// Longest file, in lines.
const FILE_LINES: usize = 700;
/// Functions and files that are longer, with the length that they had when they were let through. A length may
/// only go down; whoever gets below the limit takes the row out.
const TOO_LONG: &[(&str, usize)] = &[];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("in a workspace").to_path_buf()
}

/// The Rust files below a folder of the workspace, with their text, by their path from the root.
fn sources(folder: &str) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    collect(&root().join(folder), &mut files);
    files
}

fn collect(folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name =
                path.strip_prefix(root()).expect("below the root").to_string_lossy().replace('\\', "/");
            files.insert(name, fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

/// Lines with code: without comments and strings' contents being told apart from code.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
}

fn assert_none(broken: Vec<String>, law: &str) {
    assert!(broken.is_empty(), "{law}\n{}", broken.join("\n"));
}

#[test]
fn crates_import_only_those_below() {
    let mut broken = Vec::new();
    for (at, (folder, _)) in CRATES.iter().enumerate() {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.lines().skip_while(|line| !line.ends_with("dependencies]"));
        for line in dependencies.filter(|line| line.starts_with("glassnet")) {
            let name = line.split([' ', '.', '=']).next().unwrap_or("");
            if CRATES[at..].iter().any(|(_, above)| *above == name) {
                broken.push(format!("{folder}/Cargo.toml: {line}"));
            }
        }
    }
    assert_none(broken, "imports run one way: scenarios, userland, kernel, hardware, wire, sim");
}

#[test]
fn every_crate_is_in_the_order() {
    let known: BTreeSet<&str> = CRATES.iter().map(|(folder, _)| *folder).collect();
    let mut found = BTreeSet::new();
    for folder in ["", "models", "scenarios"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder").flatten() {
            if entry.path().join("Cargo.toml").is_file() {
                found.insert(format!("{folder}/{}", entry.file_name().to_string_lossy()).replace("//", "/"));
            }
        }
    }
    let found: BTreeSet<&str> = found.iter().map(|name| name.trim_start_matches('/')).collect();
    assert_eq!(found, known);
}

#[test]
fn tables_know_no_verbs() {
    let verbs = [
        "crate::net::",
        "crate::net}",
        "crate::drivers",
        "crate::Cx",
        "crate::cx",
        "crate::door",
        "crate::walk",
    ];
    let mut broken = Vec::new();
    for (file, text) in sources("models/kernel/src/tables") {
        for (line, text) in code(&text) {
            if verbs.iter().any(|verb| text.contains(verb)) {
                broken.push(format!("{file}:{line}: {}", text.trim()));
            }
        }
    }
    assert_none(broken, "tables are nouns: they use no door and no Cx");
}

/// Files of net/core that configure every kind of device or tell everybody of a change, and so know the other rooms.
const CONFIGURES_ALL: &[&str] = &["rtnetlink.rs", "net_namespace.rs", "dev_ioctl.rs", "notifier.rs"];

/// Calls from one room into another that are there all the same. The kernel calls ARP through `neigh_ops`, and a
/// bridge joins the groups that it snoops; both could become doors. The backlog fetches entries of connections ahead,
/// which the kernel has no word for. No row may be added.
const CALLS_ACROSS: &[(&str, &str)] = &[
    ("core/neighbour.rs", "crate::net::ipv4::arp"),
    ("core/neighbour.rs", "crate::net::ipv4::ip_input::ip_hdr"),
    ("bridge/br_multicast.rs", "crate::net::ipv4::igmp"),
    ("core/dev.rs", "crate::net::netfilter::nf_conntrack_prefetch"),
];

/// Netfilter is a guest in every room: its hooks (the kernel's include/linux/netfilter.h) may be called from all of them,
/// and its own files look at whatever layer a packet is in.
const HOOKS: &str = "crate::net::netfilter::core::";

fn is_netfilter(file: &str) -> bool {
    file.contains("/netfilter/") || file.ends_with("/br_netfilter_hooks.rs")
}

#[test]
fn a_room_of_the_network_does_not_call_another() {
    let mut broken = Vec::new();
    for (file, text) in sources("models/kernel/src/net") {
        let mut parts = file.trim_start_matches("models/kernel/src/net/").split('/');
        let (Some(room), Some(name)) = (parts.next(), parts.next()) else { continue };
        if room == "core" && CONFIGURES_ALL.contains(&name) || is_netfilter(&file) {
            continue;
        }
        let across =
            |text: &str| CALLS_ACROSS.iter().any(|(at, what)| file.ends_with(at) && text.contains(what));
        for (line, text) in code(&text).filter(|(_, text)| !across(text) && !text.contains(HOOKS)) {
            let used = text
                .split("net::")
                .skip(1)
                .filter_map(|rest| rest.split(|c: char| !c.is_alphanumeric()).next());
            for other in
                used.filter(|other| ["bridge", "ipv4", "netfilter", "packet", "sched"].contains(other))
            {
                if other != room && text.contains("crate::net::") {
                    broken.push(format!("{file}:{line}: {}", text.trim()));
                }
            }
        }
    }
    assert_none(
        broken,
        "net/X imports net/core, netfilter's hooks and no other net/Y: it returns a door into it",
    );
}

#[test]
fn the_engine_has_no_network_word() {
    let words = [
        "net",
        "network",
        "packet",
        "packets",
        "skb",
        "frame",
        "frames",
        "device",
        "devices",
        "nic",
        "ip",
        "ipv4",
        "arp",
        "bridge",
        "kernel",
        "namespace",
        "socket",
        "mac",
    ];
    let mut broken = Vec::new();
    for (file, text) in sources("sim/src") {
        // The one line that says so may say so.
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.contains("a network word")) {
            let mut found = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            if let Some(word) = found.find(|word| words.contains(&&**word)) {
                broken.push(format!("{file}:{}: {word}", at + 1));
            }
        }
    }
    assert_none(broken, "sim knows time, order and chance, and no network word");
}

/// The doors of `door.rs`: function name and the file that it should be in.
fn doors() -> Vec<(String, String)> {
    let text = fs::read_to_string(root().join("models/kernel/src/door.rs")).expect("door.rs");
    let list = text.split("\ndoors! {").nth(1).expect("the list of doors");
    let list = list.split("\n    continuations {").next().expect("what comes before");
    let paths = list.split("=>").skip(1).map(|rest| rest.split(',').next().unwrap_or("").trim());
    let doors = paths.map(|path| {
        let (module, function) = path.rsplit_once("::").expect("a path");
        (function.to_owned(), format!("models/kernel/src/{}.rs", module.replace("::", "/")))
    });
    doors.collect()
}

/// The doc lines above a function, without their slashes.
fn docs<'a>(text: &'a str, function: &str) -> Option<Vec<&'a str>> {
    let lines: Vec<&str> = text.lines().collect();
    let start = format!("fn {function}(");
    let generic = format!("fn {function}<");
    let at = lines.iter().position(|line| {
        let is_public = line.starts_with("pub");
        is_public && (line.contains(&start) || line.contains(&generic))
    })?;
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("///") || line.starts_with("#["));
    Some(above.filter_map(|line| line.strip_prefix("///")).map(str::trim).collect())
}

#[test]
fn every_door_says_where_it_is_in_the_kernel_and_what_it_leaves_out() {
    let mut broken = Vec::new();
    let files = sources("models/kernel/src");
    for (function, file) in doors() {
        let docs = files.get(&file).and_then(|text| docs(text, &function)).unwrap_or_default();
        for wanted in ["Kernel: ", "Not modelled: "] {
            if !docs.iter().any(|line| line.starts_with(wanted)) {
                broken.push(format!("{file}: {function} has no line `{wanted}`"));
            }
        }
    }
    assert_none(broken, "every door has its `Kernel:` and `Not modelled:` lines");
}

#[test]
fn the_view_names_the_kernel_file_that_the_door_names() {
    let mut broken = Vec::new();
    let files = sources("models/kernel/src");
    for (function, file) in doors() {
        let docs = files.get(&file).and_then(|text| docs(text, &function)).unwrap_or_default();
        let named = docs.iter().find_map(|line| line.strip_prefix("Kernel: ")).unwrap_or("").to_owned();
        let gloss = glassnet_scenarios::view::GLOSSES.iter().find(|gloss| gloss.name == function);
        if let Some(gloss) = gloss.filter(|gloss| gloss.file != named) {
            broken.push(format!("{function}: `{}` in the view, `{named}` in {file}", gloss.file));
        }
    }
    assert_none(broken, "view/gloss.rs and the doors agree on kernel files");
}

#[test]
fn models_have_no_clock_and_no_ambient_state() {
    let words =
        ["Instant::now", "SystemTime", "std::time::Instant", "thread_local!", "static mut", "std::env::"];
    let mut broken = Vec::new();
    for folder in
        ["sim/src", "models/wire/src", "models/hardware/src", "models/kernel/src", "models/userland/src"]
    {
        for (file, text) in sources(folder) {
            for (line, text) in code(&text) {
                if words.iter().any(|word| text.contains(word)) {
                    broken.push(format!("{file}:{line}: {}", text.trim()));
                }
            }
        }
    }
    assert_none(broken, "same scenario, same seed, same bytes: no clock, no environment, no ambient state");
}

#[test]
fn models_do_not_depend_on_the_order_of_a_hash_map() {
    let lints = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    assert!(lints.contains("iter_over_hash_type = \"deny\""), "clippy looks for loops over hash maps");
    let methods = [".keys()", ".values()", ".values_mut()", ".iter()", ".iter_mut()", ".drain()", ".retain("];
    let mut broken = Vec::new();
    for folder in ["sim/src", "models"] {
        for (file, text) in sources(folder).into_iter().filter(|(file, _)| file.contains("/src/")) {
            let maps = hash_maps(&text);
            for (line, text) in code(&text) {
                let is_walked =
                    |map: &String| methods.iter().any(|method| text.contains(&format!(".{map}{method}")));
                if maps.iter().any(is_walked) {
                    broken.push(format!("{file}:{line}: {}", text.trim()));
                }
            }
        }
    }
    assert_none(broken, "a hash map is for look-ups only: its order is not the scenario's");
}

/// Names of fields that are hash maps or hash sets.
fn hash_maps(text: &str) -> Vec<String> {
    let fields = code(text).filter(|(_, line)| line.contains(": HashMap<") || line.contains(": HashSet<"));
    fields
        .filter_map(|(_, line)| Some(line.trim().rsplit_once(": Hash")?.0.rsplit(' ').next()?.to_owned()))
        .collect()
}

/// Functions with their length in lines. Formatted code closes a function at the indentation that it began at.
fn functions(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    let mut open: Vec<(String, String, usize)> = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let indent = &line[..line.len() - line.trim_start().len()];
        let rest = line.trim_start();
        let is_function = rest.contains("fn ")
            && (rest.starts_with("fn ")
                || rest.starts_with("pub")
                || rest.starts_with("async fn ")
                || rest.starts_with("const fn "));
        if is_function && !rest.ends_with(';') && !rest.ends_with('}') {
            let name = rest.split("fn ").nth(1).and_then(|name| name.split(['(', '<']).next()).unwrap_or("");
            open.push((indent.to_owned(), name.to_owned(), at));
        } else if rest == "}"
            && let Some(position) = open.iter().rposition(|(begun, ..)| begun == indent)
        {
            let (_, name, from) = open.swap_remove(position);
            found.push((name, at + 1 - from));
        }
    }
    found
}

#[test]
fn functions_and_files_stay_short() {
    let mut long: BTreeMap<String, usize> = BTreeMap::new();
    for folder in ["sim", "models", "scenarios", "benches"] {
        for (file, text) in sources(folder) {
            if text.lines().count() > FILE_LINES {
                long.insert(file.clone(), text.lines().count());
            }
            for (name, lines) in functions(&text).into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES) {
                long.insert(format!("{file}: {name}"), lines);
            }
        }
    }
    let allowed: BTreeMap<String, usize> =
        TOO_LONG.iter().map(|(name, lines)| ((*name).to_owned(), *lines)).collect();
    let mut broken = Vec::new();
    for (name, lines) in &long {
        if allowed.get(name).is_none_or(|limit| lines > limit) {
            broken.push(format!("{name}: {lines} lines"));
        }
    }
    for name in allowed.keys().filter(|name| !long.contains_key(*name)) {
        broken.push(format!("{name}: is short now, take it out of TOO_LONG"));
    }
    assert_none(broken, "a function has at most 80 lines, a file 700");
}

#[test]
fn the_ruler_measures_functions() {
    let text = "impl A {\n    pub fn short(&self) -> u8 {\n        1\n    }\n}\n\nfn long() {\n    if a {\n    }\n    b();\n}\n";
    assert_eq!(functions(text), [("short".to_owned(), 3), ("long".to_owned(), 5)]);
}

/// Names of the files in a folder that end so, without the ending.
fn stems(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter_map(|name| name.strip_suffix(ending).map(str::to_owned)).collect()
}

#[test]
fn every_lesson_has_a_snapshot_and_every_snapshot_a_lesson() {
    assert_eq!(stems("snapshots/walks", ".snap"), stems("scenarios/lessons", ".md"));
    assert!(stems("snapshots/walks", ".snap.new").is_empty(), "a changed walk waits for a review");
}
