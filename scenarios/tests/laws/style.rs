//! Functions and files stay short enough to read at once.

use std::collections::BTreeMap;

use syn::spanned::Spanned;
use syn::visit::{self, Visit};

use crate::source::{Sources, assert_none, sample, sources};

/// Longest function, in lines.
const FUNCTION_LINES: usize = 80;
/// Longest file, in lines.
const FILE_LINES: usize = 700;
/// Functions and files that are longer, with the length that they had when they were let through. A length may
/// only go down; whoever gets below the limit takes the row out.
const TOO_LONG: &[(&str, usize)] = &[];

/// The functions of a file, with their length in lines.
#[derive(Default)]
struct Functions(Vec<(String, usize)>);

impl Functions {
    fn measure(&mut self, signature: &syn::Signature, body: &syn::Block) {
        let lines = body.span().end().line + 1 - signature.span().start().line;
        self.0.push((signature.ident.to_string(), lines));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast syn::TraitItemFn) {
        if let Some(body) = &item.default {
            self.measure(&item.sig, body);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

/// What is longer than it may be, with its length.
fn too_long(sources: &Sources) -> BTreeMap<String, usize> {
    let mut long = BTreeMap::new();
    for (file, source) in sources {
        let lines = source.text.lines().count();
        if lines > FILE_LINES {
            long.insert(file.clone(), lines);
        }
        let mut functions = Functions::default();
        functions.visit_file(&source.tree);
        let found = functions.0.into_iter().filter(|(_, lines)| *lines > FUNCTION_LINES);
        long.extend(found.map(|(name, lines)| (format!("{file}: {name}"), lines)));
    }
    long
}

#[test]
fn functions_and_files_stay_short() {
    let long = too_long(&sources(&["sim", "models", "scenarios", "benches"]));
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
    assert_none(&broken, "a function has at most 80 lines, a file 700");
}

#[test]
fn the_law_of_length_fails_where_it_should() {
    let body = |lines: usize| "    a();\n".repeat(lines);
    let text = format!("fn short() {{\n{}}}\nimpl A {{\n  pub fn long() {{\n{}}}\n}}\n", body(78), body(79));
    let found = too_long(&sample(&[("sim/src/a.rs", &text)]));
    assert_eq!(found, BTreeMap::from([("sim/src/a.rs: long".to_owned(), 81)]));
}
