//! The house rules that no compiler checks. Each reads the sources.

mod dead;
mod imports;
mod packets;
mod rooms;
mod settings;
mod source;
mod style;

use std::collections::BTreeSet;
use std::fs;

use glassnet_kernel::door::Func;

use source::{assert_none, root, texts};

/// Crates in the order of imports: each may use those before it.
const CRATES: &[(&str, &str)] = &[
    ("sim", "glassnet-sim"),
    ("models/wire", "glassnet-wire"),
    ("models/hardware", "glassnet-hardware"),
    ("models/kernel", "glassnet-kernel"),
    ("models/userland", "glassnet-userland"),
    ("models/cluster", "glassnet-cluster"),
    ("scenarios", "glassnet-scenarios"),
    ("scenarios/command", "glassnet"),
    ("scenarios/wasm", "glassnet-wasm"),
    ("benches", "glassnet-benches"),
];

/// Lines with code: without comments and strings' contents being told apart from code.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
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
    assert_none(&broken, "imports run one way: scenarios, cluster, userland, kernel, hardware, wire, sim");
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
    for (file, text) in texts(&["sim/src"]) {
        // The one line that says so may say so.
        for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.contains("a network word")) {
            let mut found = line.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
            if let Some(word) = found.find(|word| words.contains(&&**word)) {
                broken.push(format!("{file}:{}: {word}", at + 1));
            }
        }
    }
    assert_none(&broken, "sim knows time, order and chance, and no network word");
}

/// The functions behind the doors that `modules/doors.rs` lists, and the file that each should be in. Where a function
/// goes on that was entered before, it is no function of the kernel.
fn doors() -> Vec<(String, String)> {
    let file = root().join("models/kernel/src/modules/doors.rs");
    let text = fs::read_to_string(file).expect("modules/doors.rs");
    let list = text.split("\ndoors! {").nth(1).expect("the list of doors");
    let paths = list.split("=>").skip(1).map(|rest| rest.split(',').next().unwrap_or("").trim());
    let of_the_kernel = |name: &str| Func::ALL.iter().any(|func| func.name() == name);
    let paths = paths.filter(|path| path.rsplit("::").next().is_some_and(of_the_kernel));
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
    let files = texts(&["models/kernel/src"]);
    for (function, file) in doors() {
        let docs = files.get(&file).and_then(|text| docs(text, &function)).unwrap_or_default();
        for wanted in ["Kernel: ", "Not modelled: "] {
            if !docs.iter().any(|line| line.starts_with(wanted)) {
                broken.push(format!("{file}: {function} has no line `{wanted}`"));
            }
        }
    }
    assert_none(&broken, "every door has its `Kernel:` and `Not modelled:` lines");
}

#[test]
fn the_table_of_functions_names_the_kernel_file_that_the_door_names() {
    let mut broken = Vec::new();
    let files = texts(&["models/kernel/src"]);
    for (function, file) in doors() {
        let docs = files.get(&file).and_then(|text| docs(text, &function)).unwrap_or_default();
        let named = docs.iter().find_map(|line| line.strip_prefix("Kernel: ")).unwrap_or("").to_owned();
        let row = Func::ALL.iter().map(|func| func.row()).find(|row| row.name == function).expect("a row");
        if row.file != named {
            broken.push(format!("{function}: `{}` in door.rs, `{named}` in {file}", row.file));
        }
    }
    assert_none(
        &broken,
        "the table of functions in door.rs and the functions themselves agree on kernel files",
    );
}

#[test]
fn models_have_no_clock_and_no_ambient_state() {
    let words =
        ["Instant::now", "SystemTime", "std::time::Instant", "thread_local!", "static mut", "std::env::"];
    let mut broken = Vec::new();
    for folder in [
        "sim/src",
        "models/wire/src",
        "models/hardware/src",
        "models/kernel/src",
        "models/userland/src",
        "models/cluster/src",
    ] {
        for (file, text) in texts(&[folder]) {
            for (line, text) in code(&text) {
                if words.iter().any(|word| text.contains(word)) {
                    broken.push(format!("{file}:{line}: {}", text.trim()));
                }
            }
        }
    }
    assert_none(&broken, "same scenario, same seed, same bytes: no clock, no environment, no ambient state");
}

#[test]
fn models_do_not_depend_on_the_order_of_a_hash_map() {
    let lints = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    assert!(lints.contains("iter_over_hash_type = \"deny\""), "clippy looks for loops over hash maps");
    let methods = [".keys()", ".values()", ".values_mut()", ".iter()", ".iter_mut()", ".drain()", ".retain("];
    let mut broken = Vec::new();
    for folder in ["sim/src", "models"] {
        for (file, text) in texts(&[folder]).into_iter().filter(|(file, _)| file.contains("/src/")) {
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
    assert_none(&broken, "a hash map is for look-ups only: its order is not the scenario's");
}

/// Names of fields that are hash maps or hash sets.
fn hash_maps(text: &str) -> Vec<String> {
    let fields = code(text).filter(|(_, line)| line.contains(": HashMap<") || line.contains(": HashSet<"));
    fields
        .filter_map(|(_, line)| Some(line.trim().rsplit_once(": Hash")?.0.rsplit(' ').next()?.to_owned()))
        .collect()
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
