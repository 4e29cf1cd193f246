//! User Mode Linux. These tests need its kernel (`glassnet referee build`) and say so where it is not there.
#![cfg(target_os = "linux")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn glassnet(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_glassnet")).args(args).output().expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lesson() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lessons/two-hosts.md");
    path.canonicalize().expect("a lesson of the project").display().to_string()
}

/// Records the lesson; none if there is no kernel.
fn record(folder: &Path) -> Option<Vec<u8>> {
    let out = glassnet(&["record", &lesson(), "--on", "uml", "-o", &folder.display().to_string()]);
    if text(&out.stderr).contains("no User Mode Linux yet") {
        eprintln!("SKIPPED: {}", text(&out.stderr));
        return None;
    }
    assert!(out.status.success(), "{}{}", text(&out.stdout), text(&out.stderr));
    let path = PathBuf::from(text(&out.stdout).trim().strip_prefix("wrote ").expect("a path"));
    assert_eq!(path.file_name().expect("a file"), "two-hosts.linux-6.1.json");
    Some(std::fs::read(path).expect("the recording is there"))
}

#[test]
fn two_boots_see_the_same_bytes() {
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let [first, second] = folders.each_ref().map(|folder| record(folder.path()));
    assert_eq!(first.is_some(), second.is_some());
    assert!(first == second, "two recordings of one lesson differ");
}

#[test]
fn a_status_comes_out_of_the_guest() {
    let out = glassnet(&["verify", "/does/not/exist.md", "--on", "uml"]);
    assert_eq!(out.status.code(), Some(2), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("/does/not/exist.md"), "{}", text(&out.stderr));
}
