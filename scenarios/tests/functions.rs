//! Which functions of the kernel run, held against the function tracer of a stock Linux 6.1, without QEMU.
//!
//! `glassnet record --on qemu` makes the recordings; what is compared, and how, stands in `functions/compare.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use glassnet_kernel::door::Func;
use glassnet_scenarios::functions::{Recording, Report, compare, of_model};
use glassnet_scenarios::lesson::Lesson;

/// Lessons whose differences are known, and why they are open.
const OPEN: &[(&str, &str)] = &[
    (
        "bridge",
        "a socket that connects without a source looks its route up twice: ip_route_connect leaves the second out",
    ),
    ("card", RECEIVE),
    ("netif-rx", "there is no driver that hands frames to netif_rx yet"),
    ("rps", RECEIVE),
    ("socket", RECEIVE),
];

const RECEIVE: &str = "the way of received frames through GRO and lists, and who frees what was sent, are not as in the kernel yet";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of a folder with this ending, by their names without it.
fn names(folder: &str, ending: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).unwrap().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| Some(name.strip_suffix(ending)?.to_owned())).collect()
}

fn report(name: &str) -> Report {
    let read =
        |path: String| fs::read_to_string(root().join(&path)).unwrap_or_else(|e| panic!("{path}: {e}"));
    let text = read(format!("scenarios/functions/{name}.md"));
    let lesson = Lesson::parse(Path::new(&format!("{name}.md")), text).unwrap_or_else(|e| panic!("{e}"));
    let recording = Recording::parse(&read(format!("snapshots/recordings/functions/{name}.txt"))).unwrap();
    compare(&recording, &of_model(&lesson).unwrap())
}

fn recorded() -> BTreeSet<String> {
    let mut names = names("snapshots/recordings/functions", ".txt");
    assert!(names.remove("available"));
    names
}

#[test]
fn the_model_runs_the_functions_that_the_recorded_kernel_ran() {
    let mut differ = String::new();
    for name in recorded() {
        let report = report(&name);
        assert!(report.functions > 100, "{name}: only {} functions were compared", report.functions);
        match OPEN.iter().find(|(open, _)| *open == name) {
            None if report.differences.is_empty() => {}
            None => differ += &report.to_string(),
            Some(_) => assert!(!report.differences.is_empty(), "{name} has no difference any more: not open"),
        }
    }
    assert!(differ.is_empty(), "\n{differ}");
}

#[test]
fn every_lesson_of_functions_has_a_recording() {
    assert_eq!(names("scenarios/functions", ".md"), recorded());
}

#[test]
fn every_function_of_the_table_can_be_traced_or_says_where_its_code_is() {
    let path = root().join("snapshots/recordings/functions/available.txt");
    let text = fs::read_to_string(path).unwrap();
    let available: BTreeSet<&str> = text.lines().collect();
    for func in Func::ALL.iter().map(|func| func.row()) {
        let is_told = available.contains(func.name) || !func.inlined.is_empty();
        assert!(is_told, "{}: not in available_filter_functions, and its row does not say why", func.name);
    }
}
