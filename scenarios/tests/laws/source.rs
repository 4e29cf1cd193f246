//! The sources that the laws read: their text and their syntax tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// A Rust file.
pub struct Source {
    /// Its text.
    pub text: String,
    /// Its syntax tree.
    pub tree: syn::File,
}

/// Files by their path from the root of the workspace, with `/` between folders.
pub type Sources = BTreeMap<String, Source>;

/// The root of the workspace.
pub fn root() -> PathBuf {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let is_root = |folder: &&Path| folder.join("ARCHITECTURE.md").is_file();
    above.into_iter().find(is_root).expect("in a workspace").to_path_buf()
}

/// The texts of the Rust files below folders of the workspace.
pub fn texts(folders: &[&str]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for folder in folders {
        collect(&root().join(folder), &mut texts);
    }
    texts
}

/// The Rust files below folders of the workspace.
pub fn sources(folders: &[&str]) -> Sources {
    texts(folders).into_iter().map(|(path, text)| (path, parse(text))).collect()
}

/// A made-up tree, to show that a law fails where it should.
pub fn sample(files: &[(&str, &str)]) -> Sources {
    files.iter().map(|(path, text)| ((*path).to_owned(), parse((*text).to_owned()))).collect()
}

fn parse(text: String) -> Source {
    let tree = syn::parse_file(&text).expect("the compiler read it too");
    Source { text, tree }
}

fn collect(folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            collect(&path, files);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy();
            files.insert(name.replace('\\', "/"), fs::read_to_string(&path).expect("UTF-8"));
        }
    }
}

/// True for what is compiled for tests only.
pub fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("test"),
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string() == "test",
        syn::Meta::NameValue(_) => false,
    })
}

/// Fails with what broke a law.
pub fn assert_none(broken: &[String], law: &str) {
    assert!(broken.is_empty(), "{law}\n{}", broken.join("\n"));
}
