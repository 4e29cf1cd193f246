//! Nothing that can be set is ignored: what `/proc/sys` keeps, the kernel reads.

use std::collections::{BTreeMap, BTreeSet};

use syn::visit::{self, Visit};

use crate::source::{Sources, is_test, sample, sources};

/// Enums with a variant for each setting.
const ENUMS: &[&str] = &["Conf", "CtSysctl"];
/// Structs with a field for each setting.
const STRUCTS: &[&str] = &["CoreSysctl", "NeighParms"];

/// Settings that have no effect in Linux either, where there is nothing of what they are about.
const WITHOUT_EFFECT: &[&str] = &[
    // Linux does not read them.
    "Conf::BootpRelay",
    "Conf::Tag",
    // There are no IPsec policies.
    "Conf::DisableXfrm",
    "Conf::DisablePolicy",
    // Only IPv6 has anycast addresses.
    ".anycast_delay",
    // The host never lacks memory, for which the modes of IPVS that the model takes wait.
    "DROP_ENTRY",
];

/// Settings that are stored and that nobody reads: a `Setting` by its name, a variant as `Conf::Tag`, a field as `.locktime`.
fn unread(sources: &Sources) -> Vec<String> {
    let mut readers = BTreeMap::new();
    for (file, source) in sources {
        let mut reader = Reader::default();
        reader.visit_file(&source.tree);
        readers.insert(file, reader);
    }
    let mut unread = Vec::new();
    for (file, reader) in &readers {
        let read_elsewhere =
            |name: &str| readers.iter().any(|(other, reader)| other != file && reader.named.contains(name));
        let is_read = |name: &str| readers.values().any(|reader| reader.got.contains(name));
        let kept = reader.kept.iter().filter(|name| !is_read(name) && !read_elsewhere(name));
        unread.extend(kept.cloned());
    }
    unread
}

#[derive(Default)]
struct Reader {
    /// The settings that are defined here.
    kept: Vec<String>,
    /// The statics that are given to a `get`.
    got: BTreeSet<String>,
    /// The variants and fields that are named. In the file that defines them this says nothing.
    named: BTreeSet<String>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_static(&mut self, item: &'ast syn::ItemStatic) {
        if matches!(&*item.ty, syn::Type::Path(kind) if kind.path.is_ident("Setting")) {
            self.kept.push(item.ident.to_string());
        }
    }
    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        if ENUMS.iter().any(|name| item.ident == name) {
            self.kept
                .extend(item.variants.iter().map(|variant| format!("{}::{}", item.ident, variant.ident)));
        }
    }
    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        if STRUCTS.iter().any(|name| item.ident == name) {
            self.kept
                .extend(item.fields.iter().flat_map(|field| &field.ident).map(|name| format!(".{name}")));
        }
    }
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let (true, Some(syn::Expr::Reference(argument))) = (call.method == "get", call.args.first())
            && let syn::Expr::Path(path) = &*argument.expr
            && let Some(name) = path.path.segments.last()
        {
            self.got.insert(name.ident.to_string());
        }
        // To write a setting is not to read it.
        let written = usize::from(call.method == "set");
        self.visit_expr(&call.receiver);
        call.args.iter().skip(written).for_each(|argument| self.visit_expr(argument));
    }
    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let [.., of, name] = &names[..] {
            self.named.insert(format!("{of}::{name}"));
        }
        visit::visit_path(self, path);
    }
    fn visit_expr_field(&mut self, field: &'ast syn::ExprField) {
        if let syn::Member::Named(name) = &field.member {
            self.named.insert(format!(".{name}"));
        }
        visit::visit_expr_field(self, field);
    }
}

#[test]
fn every_setting_is_read() {
    let mut unread = unread(&sources(&["models/kernel/src"]));
    let mut expected: Vec<String> = WITHOUT_EFFECT.iter().map(|name| (*name).to_owned()).collect();
    unread.sort();
    expected.sort();
    assert_eq!(unread, expected, "a setting that nobody reads is `Sysctl::not_followed`");
}

#[test]
fn the_law_of_settings_fails_where_it_should() {
    let sources = sample(&[
        (
            "models/kernel/src/a.rs",
            "static READ: Setting = Setting::new(); static IGNORED: Setting = Setting::new();
             static ROWS: &[Sysctl] = &[Sysctl::net(&READ), Sysctl::net(&IGNORED)];
             fn f(net: &Net) { net.sysctls.get(&READ); }
             #[cfg(test)] mod tests { fn g(net: &Net) { net.sysctls.get(&IGNORED); } }",
        ),
        (
            "models/kernel/src/b.rs",
            "enum Conf { Read, Ignored } struct NeighParms { read: u8, ignored: u8 }
             const TABLE: &[Conf] = &[Conf::Read, Conf::Ignored];
             fn f(parms: &NeighParms) { parms.read + parms.ignored }",
        ),
        ("models/kernel/src/c.rs", "fn f(parms: &NeighParms) { conf(Conf::Read) + parms.read }"),
    ]);
    assert_eq!(unread(&sources), ["IGNORED", "Conf::Ignored", ".ignored"]);
}
