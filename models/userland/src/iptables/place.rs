//! Tables of the program's namespace.

use glassnet_kernel::Cx;
use glassnet_kernel::extension::XtMatch;
use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::net::netfilter::x_tables::{
    xt_replace_table, xt_splice_rules, xt_table, xt_unregister_table, xt_zero_counters,
};
use glassnet_kernel::net::netfilter::xt_ipvs::Ipvs;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::{Table, TableName, Variant};

use super::draft::{Draft, Edit};
use crate::process::Process;

/// The order in which `iptables-nft-save` prints tables.
pub const NFT_ORDER: [TableName; 5] =
    [TableName::Mangle, TableName::Security, TableName::Raw, TableName::Filter, TableName::Nat];

/// First line of `iptables-nft -L` if there are legacy tables.
pub const LEGACY_WARNING: &str =
    "# Warning: iptables-legacy tables present, use iptables-legacy to see them\n";

/// What `iptables-nft-save` says if there are legacy tables.
pub const LEGACY_SAVE_WARNING: &str =
    "# Warning: iptables-legacy tables present, use iptables-legacy-save to see them\n";

/// A copy of a table with its counters.
pub fn table(process: &Process, variant: Variant, name: TableName) -> Option<Table> {
    let world = process.world();
    xt_table(world.kernel(process.machine), process.netns, variant, name)
}

/// The names of the namespace's ipsets.
pub fn sets(process: &Process) -> Vec<String> {
    let world = process.world();
    let netns = world.kernel(process.machine).netns.get(process.netns);
    netns.map_or(Vec::new(), |netns| netns.ipsets.iter().map(|set| set.name.clone()).collect())
}

/// The matches for which the kernel has no module. The kernel refuses rules with one ([`Ipvs`]).
pub fn absent_matches(process: &Process) -> &'static [&'static str] {
    if process.world().kernel(process.machine).config.xt_ipvs { &[] } else { &[Ipvs::NAME] }
}

/// The namespace has legacy tables.
pub fn has_legacy(process: &Process) -> bool {
    let world = process.world();
    let netns = world.kernel(process.machine).netns.get(process.netns);
    netns.is_some_and(|netns| !netns.xt.legacy_order().is_empty())
}

/// Replaces a table; a table of nft that does not exist is deleted. nf_tables keeps rules that a command does not
/// name, with the state of their matches; the legacy tool replaces them all.
///
/// # Errors
///
/// As of [`xt_replace_table`] and [`xt_splice_rules`].
pub fn commit(cx: &mut Cx, netns: NetnsId, draft: &Draft) -> Result<(), Errno> {
    match (draft.variant, draft.edits()) {
        (Variant::Nft, Some([])) => return Ok(()),
        (Variant::Nft, Some([edit])) => return commit_edit(cx, netns, draft, edit),
        _ => {}
    }
    commit_table(cx, netns, draft.variant, draft.table.name, draft.to_commit())
}

/// The same with a table or none.
///
/// # Errors
///
/// As of [`xt_replace_table`].
pub fn commit_table(
    cx: &mut Cx,
    netns: NetnsId,
    variant: Variant,
    name: TableName,
    table: Option<Table>,
) -> Result<(), Errno> {
    match table {
        Some(table) => xt_replace_table(cx, netns, variant, table),
        None => {
            xt_unregister_table(cx, netns, variant, name);
            Ok(())
        }
    }
}

fn commit_edit(cx: &mut Cx, netns: NetnsId, draft: &Draft, edit: &Edit) -> Result<(), Errno> {
    let name = draft.table.name;
    match edit {
        Edit::Splice { chain, at, remove, add } => {
            let rules = draft.chain(chain).and_then(|chain| chain.rules.get(*at..*at + *add));
            let rules = rules.unwrap_or_default().to_vec();
            xt_splice_rules(cx, netns, draft.variant, name, (chain, *at, *remove), rules)
        }
        Edit::Zero { chain, rule } => {
            xt_zero_counters(cx.k, netns, draft.variant, name, Some(chain), *rule);
            Ok(())
        }
    }
}
