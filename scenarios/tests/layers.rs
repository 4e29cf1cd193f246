//! The modules of this crate import only those below them, in the order that the table of `lib.rs` gives.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The modules from the bottom to the top: rows of the table in the crate's documentation.
fn layers(root: &str) -> Vec<&str> {
    root.lines().filter_map(|line| line.strip_prefix("//! | [`")?.split('`').next()).collect()
}

/// Modules of this crate that a text names in paths, outside of comments.
fn named<'a>(text: &str, layers: &[&'a str]) -> Vec<&'a str> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = code.join("\n");
    let first = code.split("crate::").skip(1).flat_map(|path| match path.strip_prefix('{') {
        Some(group) => members(group),
        None => vec![path],
    });
    let word =
        |path: &str| path.trim().split(|c: char| !c.is_alphanumeric() && c != '_').next().map(str::to_owned);
    let modules: Vec<String> = first.filter_map(word).collect();
    layers.iter().copied().filter(|layer| modules.iter().any(|module| module == layer)).collect()
}

/// What stands between the commas of a group, up to its closing brace; groups in it belong to their member.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (1, 0, Vec::new());
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        if depth == 0 || depth == 1 && c == ',' {
            found.push(&group[start..at]);
            start = at + 1;
        }
        if depth == 0 {
            break;
        }
    }
    found
}

/// Files that import a module above their own.
fn broken(files: &[(String, String)], layers: &[&str]) -> Vec<String> {
    let place = |module: &str| layers.iter().position(|layer| *layer == module);
    let mut broken = Vec::new();
    for (file, text) in files {
        let own = file.split(['/', '.']).next().unwrap_or("");
        for module in named(text, layers) {
            if place(own).is_some_and(|own| place(module).is_some_and(|other| other > own)) {
                broken.push(format!("src/{file} imports {module}"));
            }
        }
    }
    broken
}

#[test]
fn modules_import_only_those_below() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let root = fs::read_to_string(src.join("lib.rs")).expect("lib.rs");
    let layers = layers(&root);
    let mut paths = Vec::new();
    sources(&src, &mut paths);
    let name = |path: &Path| path.strip_prefix(&src).expect("below").to_string_lossy().replace('\\', "/");
    let files: Vec<_> =
        paths.iter().map(|path| (name(path), fs::read_to_string(path).expect("UTF-8"))).collect();
    let modules = root.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(modules.filter(|module| !layers.contains(module)).count(), 0, "a module is not in the table");
    assert_eq!(broken(&files, &layers), [""; 0]);
}

#[test]
fn an_import_upwards_is_found() {
    let file = |name: &str, text: &str| (name.to_owned(), text.to_owned());
    let files = [
        file("low.rs", "// crate::high\nuse crate::{\n    low::{a, b},\n    high::Thing,\n};\n"),
        file("low/part.rs", "    crate::high::f();\n"),
        file("high/mod.rs", "use crate::low;\n"),
    ];
    assert_eq!(broken(&files, &["low", "high"]), ["src/low.rs imports high", "src/low/part.rs imports high"]);
}
