//! Rule sets that real kube-proxies wrote (1.20, 1.30, 1.36; `iptables-save` of iptables 1.8.9) load and are printed as they
//! were.

use std::path::{Path, PathBuf};

use glassnet_userland::harness;
use netns::{NODE, machine};

#[path = "shared/netns.rs"]
mod netns;

/// The accounting objects that kube-proxy makes through netlink.
const ACCOUNTS: [&str; 2] = ["ct_state_invalid_dropped_pkts", "localhost_nps_accepted_pkts"];

/// The tables of a dump, each from `*` to `COMMIT`, by name: the order in which a kernel lists tables is that of their
/// creation.
fn tables(dump: &str) -> Vec<String> {
    let lines: String = dump.split_inclusive('\n').filter(|line| !line.starts_with(['#', '$'])).collect();
    let mut tables: Vec<String> = lines.split_inclusive("COMMIT\n").map(str::to_owned).collect();
    tables.sort();
    tables
}

/// Loads a dump with each variant and compares what is saved then.
fn differences(path: &Path) -> String {
    let dump = std::fs::read_to_string(path).expect("a dump");
    let dump: String = dump.split_inclusive('\n').filter(|line| !line.starts_with('$')).collect();
    let mut found = String::new();
    for variant in ["nft", "legacy"] {
        let (world, netns) = machine();
        let run = |words: &[&str], input: &str| {
            let outcome = harness::run(&world, (NODE, netns), words, input).expect("the program ends");
            if outcome.status != 0 || !outcome.stderr.is_empty() {
                panic!("{}: {words:?}: {}", path.display(), outcome.stderr);
            }
            outcome.stdout
        };
        for name in ACCOUNTS {
            run(&["nfacct", "add", name], "");
        }
        run(&[&format!("iptables-{variant}-restore")], &dump);
        let saved = tables(&run(&[&format!("iptables-{variant}-save")], ""));
        for (saved, wrote) in saved.iter().zip(tables(&dump)).filter(|(saved, wrote)| **saved != *wrote) {
            found += &format!("{} {variant}:\n--- written\n{wrote}--- printed\n{saved}", path.display());
        }
        assert_eq!(saved.len(), tables(&dump).len(), "{}", path.display());
    }
    found
}

fn check(files: &[PathBuf]) {
    let differences: String = files.iter().map(|file| differences(file)).collect();
    assert!(differences.is_empty(), "{differences}");
}

#[test]
fn rule_sets_of_kube_proxy_come_back_as_they_were() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/iptables_kube");
    let files = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files: Vec<PathBuf> = files.collect();
    assert!(files.len() > 5, "only {} rule sets", files.len());
    check(&files);
}

/// `GLASSNET_RULE_SETS='FILE FILE …' cargo test … -- --ignored`: other dumps of `iptables-save`.
#[test]
#[ignore = "needs dumps"]
fn other_rule_sets_come_back_as_they_were() {
    let files = std::env::var("GLASSNET_RULE_SETS").expect("GLASSNET_RULE_SETS is set");
    let files: Vec<PathBuf> = files.split_whitespace().map(PathBuf::from).collect();
    check(&files);
    println!("{} rule sets", files.len());
}
