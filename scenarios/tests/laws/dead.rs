//! No public item that nobody uses. The compiler finds private ones. Integration tests count as users, unit tests do not.

use std::collections::BTreeMap;

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::{Sources, is_test};

/// Public items whose name stands nowhere in a tree but where they are defined.
pub fn unused(sources: &Sources) -> Vec<String> {
    let mut named = BTreeMap::<String, usize>::new();
    let mut items = Vec::new();
    for (file, source) in sources {
        let is_library = file.contains("/src/") && !file.contains("/src/bin/");
        let mut reader = Reader::default();
        reader.visit_file(&source.tree);
        if is_library {
            items.extend(reader.items.into_iter().map(|(name, line)| (name, format!("{file}:{line}"))));
        }
        count(without_tests(&source.tree), &mut named);
    }
    let mut defined = BTreeMap::<&str, usize>::new();
    for (name, _) in &items {
        *defined.entry(name).or_default() += 1;
    }
    let is_unused = |name: &str| named.get(name).copied().unwrap_or(0) <= defined[name];
    items.iter().filter(|(name, _)| is_unused(name)).map(|(name, place)| format!("{place}: {name}")).collect()
}

/// The tokens of a file without what is compiled for tests only.
fn without_tests(file: &syn::File) -> TokenStream {
    use quote::ToTokens;
    let kept = file.items.iter().filter(|item| !matches!(item, syn::Item::Mod(item) if is_test(&item.attrs)));
    kept.map(ToTokens::to_token_stream).collect()
}

fn count(tokens: TokenStream, named: &mut BTreeMap<String, usize>) {
    for token in tokens {
        match token {
            TokenTree::Ident(name) => *named.entry(name.to_string()).or_default() += 1,
            TokenTree::Group(group) => count(group.stream(), named),
            // Attributes name functions in strings.
            TokenTree::Literal(text) if text.to_string().contains("::") => {
                for name in text.to_string().split(|c: char| !c.is_alphanumeric() && c != '_') {
                    *named.entry(name.to_owned()).or_default() += 1;
                }
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Collects public items, each with its line.
#[derive(Default)]
struct Reader {
    items: Vec<(String, usize)>,
}

impl Reader {
    fn item(&mut self, visibility: &syn::Visibility, name: &syn::Ident) {
        if matches!(visibility, syn::Visibility::Public(_)) {
            self.items.push((name.to_string(), name.span().start().line));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.item(&item.vis, &item.sig.ident);
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.item(&item.vis, &item.sig.ident);
    }
    fn visit_impl_item_const(&mut self, item: &'ast syn::ImplItemConst) {
        self.item(&item.vis, &item.ident);
    }
    fn visit_item_const(&mut self, item: &'ast syn::ItemConst) {
        self.item(&item.vis, &item.ident);
    }
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        self.item(&item.vis, &item.ident);
    }
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.item(&item.vis, &item.ident);
        visit::visit_item_struct(self, item);
    }
    fn visit_field(&mut self, field: &'ast syn::Field) {
        if let Some(name) = &field.ident {
            self.item(&field.vis, name);
        }
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.item(&item.vis, &item.ident);
    }
    fn visit_item_type(&mut self, item: &'ast syn::ItemType) {
        self.item(&item.vis, &item.ident);
    }
    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.item(&item.vis, &item.ident);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{assert_none, sample, sources};

    #[test]
    fn every_public_item_is_used() {
        let found = unused(&sources(&["sim", "models", "scenarios", "benches"]));
        assert_none(&found, "an item that nobody uses is taken out");
    }

    #[test]
    fn the_law_fails_where_it_should() {
        let sources = sample(&[
            ("sim/src/a.rs", "pub fn used() {} pub fn tested() {} pub struct Lonely; fn private() {}"),
            ("sim/src/b.rs", "fn f() { used() } #[cfg(test)] mod tests { fn g() { Lonely } }"),
            ("sim/tests/c.rs", "fn h() { tested(); }"),
        ]);
        assert_eq!(unused(&sources), ["sim/src/a.rs:1: Lonely"]);
    }
}
