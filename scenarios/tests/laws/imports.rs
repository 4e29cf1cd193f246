//! Which file uses which: every path of the sources, resolved through `use`, `super`, re-exports and macros.

use std::collections::{BTreeMap, BTreeSet};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};

use crate::source::{Sources, is_test};

/// The path of a module or an item: its crate, as code names it, and the names on the way to it.
type Path = Vec<String>;

/// The files that each file uses.
pub type Imports = BTreeMap<String, BTreeSet<String>>;

/// The crates by their source folder.
const CRATES: &[(&str, &str)] = &[
    ("sim/src/", "glassnet_sim"),
    ("models/wire/src/", "glassnet_wire"),
    ("models/hardware/src/", "glassnet_hardware"),
    ("models/kernel/src/", "glassnet_kernel"),
    ("models/userland/src/", "glassnet_userland"),
    ("models/cluster/src/", "glassnet_cluster"),
    ("scenarios/src/", "glassnet_scenarios"),
    ("scenarios/command/src/", "glassnet"),
    ("scenarios/wasm/src/", "glassnet_wasm"),
    ("benches/src/", "glassnet_benches"),
];

fn module_of(file: &str) -> Option<Path> {
    let (folder, name) = CRATES.iter().find(|(folder, _)| file.starts_with(folder))?;
    let path = file[folder.len()..].strip_suffix(".rs")?;
    let names = path.split('/').filter(|name| !["lib", "mod"].contains(name));
    Some(std::iter::once(*name).chain(names).map(str::to_owned).collect())
}

/// All imports between the files of a tree; those of its unit tests are left out.
pub fn imports(sources: &Sources) -> Imports {
    let mut modules = Modules { files: BTreeMap::new(), reexports: BTreeMap::new() };
    for file in sources.keys() {
        if let Some(module) = module_of(file) {
            modules.files.insert(module, file.clone());
        }
    }
    let mut readers = Vec::new();
    for (module, file) in &modules.files {
        let mut reader = Reader { module: module.clone(), ..Reader::default() };
        reader.visit_file(&sources[file].tree);
        readers.push((module.clone(), file.clone(), reader));
    }
    for (module, _, reader) in &readers {
        for (name, standing) in &reader.public {
            if let Some(target) = reader.absolute(standing, &modules) {
                modules.reexports.insert((module.clone(), name.clone()), target);
            }
        }
    }
    let used = |file: String, reader: Reader| {
        let absolute = reader.paths.iter().filter_map(|path| reader.absolute(path, &modules));
        let mut files: BTreeSet<String> = absolute.filter_map(|path| modules.file(&path).cloned()).collect();
        files.remove(&file);
        (file, files)
    };
    readers.into_iter().map(|(_, file, reader)| used(file, reader)).collect()
}

/// The largest group of files below a folder that all use each other, directly or not.
pub fn largest_circle(imports: &Imports, folder: &str) -> Vec<String> {
    let mut graph = DiGraphMap::<&str, ()>::new();
    for (from, targets) in imports.iter().filter(|(from, _)| from.starts_with(folder)) {
        for to in targets.iter().filter(|to| to.starts_with(folder)) {
            graph.add_edge(from, to, ());
        }
    }
    let circles = tarjan_scc(&graph).into_iter();
    let mut largest: Vec<String> =
        circles.max_by_key(Vec::len).unwrap_or_default().into_iter().map(str::to_owned).collect();
    largest.sort();
    largest
}

/// The modules of a tree, and what each of them lets others reach under another path (`pub use`).
struct Modules {
    files: BTreeMap<Path, String>,
    reexports: BTreeMap<(Path, String), Path>,
}

impl Modules {
    /// The file in which the item at an absolute path stands.
    fn file(&self, path: &[String]) -> Option<&String> {
        let mut module = path.get(..1)?.to_vec();
        for (at, name) in path.iter().enumerate().skip(1) {
            let child: Path = module.iter().chain([name]).cloned().collect();
            if self.files.contains_key(&child) {
                module = child;
                continue;
            }
            let Some(target) = self.reexports.get(&(module.clone(), name.clone())) else { break };
            let whole: Path = target.iter().chain(&path[at + 1..]).cloned().collect();
            return if whole == path { self.files.get(&module) } else { self.file(&whole) };
        }
        self.files.get(&module)
    }
}

/// Reads the paths of one file.
#[derive(Default)]
struct Reader {
    /// The module whose code is read: the file's, or one inside it.
    module: Path,
    /// Paths as they stand, each with the module that it stands in.
    paths: Vec<(Path, Path)>,
    /// What `use` brings in: a name and its path as it stands, with the module.
    scope: BTreeMap<String, (Path, Path)>,
    /// Names that `pub use` hands on, each with its path as it stands.
    public: Vec<(String, (Path, Path))>,
}

impl Reader {
    /// A path from its crate's root on; `None` for names of the language, of other crates and of the file itself.
    fn absolute(&self, (module, path): &(Path, Path), modules: &Modules) -> Option<Path> {
        let (first, rest) = path.split_first()?;
        let with = |base: &[String]| Some(base.iter().chain(rest).cloned().collect::<Path>());
        match first.as_str() {
            "crate" => with(&module[..1]),
            "self" => with(module),
            "super" => {
                let above = path.iter().take_while(|name| *name == "super").count();
                let base = &module[..module.len().checked_sub(above)?];
                Some(base.iter().chain(&path[above..]).cloned().collect())
            }
            name if CRATES.iter().any(|(_, known)| *known == name) => Some(path.clone()),
            name => match self.scope.get(name) {
                // A name may bring in itself, as `use core` does.
                Some((_, target)) if target.first() == Some(first) => None,
                Some(target) => with(&self.absolute(target, modules)?),
                None => {
                    let child: Path = module.iter().chain([first]).cloned().collect();
                    modules.files.contains_key(&child).then(|| with(&child)).flatten()
                }
            },
        }
    }

    fn read_use(&mut self, tree: &syn::UseTree, mut before: Path, is_public: bool) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.read_use(&path.tree, before, is_public);
            }
            syn::UseTree::Group(group) => {
                group.items.iter().for_each(|tree| self.read_use(tree, before.clone(), is_public));
            }
            syn::UseTree::Glob(_) => self.paths.push((self.module.clone(), before)),
            syn::UseTree::Name(name) => self.bring_in(name.ident.to_string(), &name.ident, before, is_public),
            syn::UseTree::Rename(name) => {
                self.bring_in(name.rename.to_string(), &name.ident, before, is_public)
            }
        }
    }

    fn bring_in(&mut self, name: String, item: &syn::Ident, mut path: Path, is_public: bool) {
        let name = if item == "self" { path.last().cloned().unwrap_or(name) } else { name };
        if item != "self" {
            path.push(item.to_string());
        }
        let standing = (self.module.clone(), path);
        if is_public {
            self.public.push((name.clone(), standing.clone()));
        }
        self.paths.push(standing.clone());
        self.scope.insert(name, standing);
    }

    /// Paths among the tokens of a macro.
    fn read_tokens(&mut self, tokens: TokenStream) {
        let mut path: Path = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => {
                    path.push(name.to_string());
                    colons = 0;
                }
                TokenTree::Punct(mark) if mark.as_char() == ':' => colons += 1,
                other => {
                    if path.len() > 1 {
                        self.paths.push((self.module.clone(), std::mem::take(&mut path)));
                    }
                    (path, colons) = (Vec::new(), 0);
                    match other {
                        TokenTree::Ident(name) => path.push(name.to_string()),
                        TokenTree::Group(group) => self.read_tokens(group.stream()),
                        TokenTree::Punct(_) | TokenTree::Literal(_) => {}
                    }
                }
            }
        }
        if path.len() > 1 {
            self.paths.push((self.module.clone(), path));
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if is_test(&item.attrs) {
            return;
        }
        self.module.push(item.ident.to_string());
        visit::visit_item_mod(self, item);
        self.module.pop();
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        if !is_test(&item.attrs) {
            self.read_use(&item.tree, Vec::new(), is_public);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names = path.segments.iter().map(|segment| segment.ident.to_string());
            self.paths.push((self.module.clone(), names.collect()));
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, item: &'ast syn::Macro) {
        self.read_tokens(item.tokens.clone());
    }

    // Who may see an item is no use of that module.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::sample;

    fn uses(text: &str) -> Vec<String> {
        let sources = sample(&[
            ("models/kernel/src/lib.rs", "pub mod cx; pub mod net; pub use cx::Cx;"),
            ("models/kernel/src/cx.rs", "pub struct Cx;"),
            ("models/kernel/src/net/mod.rs", "pub mod core; pub mod ipv4;"),
            ("models/kernel/src/net/core/mod.rs", "pub mod dev;"),
            ("models/kernel/src/net/core/dev.rs", "pub fn rx() {}"),
            ("models/kernel/src/net/ipv4/mod.rs", "pub mod arp; pub mod icmp;"),
            ("models/kernel/src/net/ipv4/icmp.rs", "pub fn send() {}"),
            ("models/kernel/src/net/ipv4/arp.rs", text),
        ]);
        imports(&sources)["models/kernel/src/net/ipv4/arp.rs"]
            .iter()
            .map(|file| file["models/kernel/src/".len()..].to_owned())
            .collect()
    }

    #[test]
    fn every_way_to_name_another_file_is_seen() {
        assert_eq!(uses("use crate::Cx;"), ["cx.rs"]);
        assert_eq!(uses("use super::super::core::dev::rx;"), ["net/core/dev.rs"]);
        assert_eq!(
            uses("use crate::{net::{core::dev, ipv4::icmp::send}, Cx};"),
            ["cx.rs", "net/core/dev.rs", "net/ipv4/icmp.rs"]
        );
        assert_eq!(uses("use super::icmp as other; fn f() { other::send() }"), ["net/ipv4/icmp.rs"]);
        assert_eq!(
            uses("use crate::net; fn f() { net::core::dev::rx() }"),
            ["net/core/dev.rs", "net/mod.rs"]
        );
        assert_eq!(uses("fn f() { many!(x => crate::net::core::dev::rx, 1); }"), ["net/core/dev.rs"]);
        assert_eq!(uses("fn f() { glassnet_kernel::net::core::dev::rx() }"), ["net/core/dev.rs"]);
    }

    #[test]
    fn what_is_no_use_is_not_seen() {
        assert!(uses("#[cfg(test)] mod tests { use crate::net::core::dev; }").is_empty());
        assert!(uses("//! See [`crate::net::core::dev`].\npub(in crate::net) fn f() {}").is_empty());
        assert!(uses("use std::net::Ipv4Addr; fn f() { Vec::<u8>::new(); }").is_empty());
    }

    #[test]
    fn a_circle_is_found() {
        let sources = sample(&[
            ("sim/src/a.rs", "use crate::b::X;"),
            ("sim/src/b.rs", "use crate::c;"),
            ("sim/src/c.rs", "use super::a;"),
            ("sim/src/d.rs", "use crate::a;"),
        ]);
        assert_eq!(
            largest_circle(&imports(&sources), "sim/"),
            ["sim/src/a.rs", "sim/src/b.rs", "sim/src/c.rs"]
        );
    }
}
