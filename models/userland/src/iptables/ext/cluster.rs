//! `-m cluster`: distributes connections over a cluster (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_cluster::Cluster;
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::value("cluster-total-nodes"),
        Opt::invertible("cluster-local-node"),
        Opt::invertible("cluster-local-nodemask"),
        Opt::value("cluster-hash-seed"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

const NAME: &str = "cluster";

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Cluster { total_nodes: 0, node_mask: 0, hash_seed: 0, invert: false };
    let mut by_mask = false;
    let max = u64::from(u32::MAX);
    for option in given {
        match option.name {
            "cluster-total-nodes" => with.total_nodes = x6::uint(NAME, option, 1, 32)? as u32,
            "cluster-hash-seed" => with.hash_seed = x6::uint(NAME, option, 0, max)? as u32,
            "cluster-local-node" => {
                with.node_mask = 1 << (x6::uint(NAME, option, 1, 32)? - 1);
                with.invert = option.invert;
            }
            _ => {
                with.node_mask = x6::uint(NAME, option, 0, max)? as u32;
                (with.invert, by_mask) = (option.invert, true);
            }
        }
    }
    conflicts(NAME, given, &[("cluster-local-node", &["cluster-local-nodemask"])])?;
    let is_given = |name: &str| given.iter().any(|given| given.name == name);
    if !is_given("cluster-local-node") && !by_mask {
        return incomplete("cluster match: `--cluster-local-node' or`--cluster-local-nodemask' is missing");
    }
    x6::mandatory(NAME, given, "cluster-total-nodes")?;
    x6::mandatory(NAME, given, "cluster-hash-seed")?;
    if u64::from(with.node_mask) >= 1 << with.total_nodes {
        return incomplete(match by_mask {
            true => "cluster match: `--cluster-local-nodemask' too big for `--cluster-total-nodes'",
            false => "cluster match: `--cluster-local-node' must be <= `--cluster-total-nodes'",
        });
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Cluster>() else { return };
    let (mask, total, seed) = (with.node_mask, with.total_nodes, with.hash_seed);
    let _ = match style {
        Style::Save => write!(
            out,
            "{} --cluster-local-nodemask 0x{mask:08x} --cluster-total-nodes {total} --cluster-hash-seed 0x{seed:08x}",
            if with.invert { " !" } else { "" }
        ),
        _ => write!(
            out,
            " cluster {}node_mask=0x{mask:08x} total_nodes={total} hash_seed=0x{seed:08x}",
            if with.invert { "!" } else { "" }
        ),
    };
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    // The running kernel would log a warning for each template of `CT`.
    if place.table == "raw" {
        return String::new();
    }
    let (not, seed) = (draw.not(), draw.pick(&["0xdeadbeef", "1"]));
    let which = draw.pick(&["node 1", "node 2", "nodemask 3", "nodemask 4"]);
    format!("-m cluster --cluster-total-nodes 3 {not}--cluster-local-{which} --cluster-hash-seed {seed}")
}
