//! A packet is freed by way of `Cx`, which says why.

use syn::visit::{self, Visit};

use crate::source::{Sources, assert_none, sample, sources};

/// The file that may free packets.
const FREES: &str = "models/kernel/src/cx.rs";

/// Calls of `SkbPool::release` elsewhere.
fn released_elsewhere(sources: &Sources) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, source) in sources.iter().filter(|(file, _)| file.contains("/src/") && *file != FREES) {
        let mut reader = Reader::default();
        reader.visit_file(&source.tree);
        broken.extend(reader.lines.into_iter().map(|line| format!("{file}:{line}")));
    }
    broken
}

#[derive(Default)]
struct Reader {
    lines: Vec<usize>,
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        let is_pool = matches!(&*call.receiver, syn::Expr::Field(syn::ExprField { member: syn::Member::Named(name), .. })
            if name == "skbs");
        if call.method == "release" && is_pool {
            self.lines.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }
}

#[test]
fn packets_are_freed_by_cx() {
    assert_none(
        &released_elsewhere(&sources(&["models"])),
        "kfree_skb, consume_skb or discard_skb frees a packet",
    );
}

#[test]
fn the_law_of_packets_fails_where_it_should() {
    let sources = sample(&[
        (FREES, "fn f(cx: &mut Cx) { cx.skbs.release(skb); }"),
        (
            "models/kernel/src/net/socket.rs",
            "fn f() {\n cx.skbs.release(skb);\n cx.skbs.bufs.release(buf); }",
        ),
    ]);
    assert_eq!(released_elsewhere(&sources), ["models/kernel/src/net/socket.rs:2"]);
}
