//! Which room of the kernel may use which. Imports are resolved (`imports.rs`), so no way of writing them escapes.

use std::collections::BTreeSet;

use crate::imports::{Imports, imports, largest_circle};
use crate::source::{assert_none, root, sample, sources};

const KERNEL: &str = "models/kernel/src/";

/// A room: the files whose path begins so, below the kernel's sources, and the beginnings of what they may use of
/// other rooms of `net` and `drivers`. The first row that fits a file is its room.
const ROOMS: &[(&str, &[&str])] = &[
    // The top room names every feature.
    ("modules", &[""]),
    // Nouns know no verbs.
    ("tables/", &[]),
    // Netfilter looks at whatever layer a packet is in; of bridges it knows br_netfilter alone, which is its own.
    ("net/bridge/br_netfilter_hooks.rs", &["net/core/", "net/ipv4/", "net/netfilter/", "net/bridge/"]),
    ("net/ipv4/netfilter/", &["net/core/", "net/ipv4/", "net/netfilter/"]),
    ("net/netfilter/", &["net/core/", "net/ipv4/"]),
    ("net/core/", &[]),
    ("net/packet/", &["net/core/"]),
    ("net/sched/", &["net/core/"]),
    ("net/bridge/", &["net/core/"]),
    ("net/ipv4/", &["net/core/"]),
    ("net/vlan_8021q/", &["net/core/"]),
    // A routed ipvlan device asks the routes of the namespace below.
    ("drivers/ipvlan/", &["net/core/", "net/ipv4/"]),
    // A VRF routes, and has its packets pass the hooks.
    ("drivers/vrf.rs", &["net/core/", "net/ipv4/", "net/netfilter/"]),
    // A bond asks for addresses by ARP.
    ("drivers/bonding/", &["net/core/", "net/ipv4/"]),
    // Tunnels send by IPv4.
    ("drivers/geneve.rs", &["net/core/", "net/ipv4/"]),
    ("drivers/vxlan/", &["net/core/", "net/ipv4/"]),
    ("drivers/", &["net/core/"]),
];

/// What every room but the tables may use: where a packet is offered to hooks (include/linux/netfilter.h), and
/// Ethernet headers (include/linux/etherdevice.h).
const EVERYWHERE: &[&str] = &["net/netfilter/core.rs", "net/ethernet/eth.rs"];

/// Single imports that are there all the same. No row may be added.
const ALL_THE_SAME: &[(&str, &str)] = &[
    ("net/bridge/br_multicast.rs", "net/ipv4/igmp.rs"),
    ("net/core/dev.rs", "net/netfilter/nf_conntrack_prefetch.rs"),
];

/// Files in the largest group that use each other, directly or not. May only go down.
const LARGEST_CIRCLE: usize = 26;

fn room(file: &str) -> Option<&'static (&'static str, &'static [&'static str])> {
    ROOMS.iter().find(|(beginning, _)| file.starts_with(beginning))
}

/// Imports between the kernel's rooms that no row allows, as (from, to) below the kernel's sources.
fn across(imports: &Imports) -> BTreeSet<(String, String)> {
    let mut broken = BTreeSet::new();
    for (from, targets) in imports {
        let Some(from) = from.strip_prefix(KERNEL) else { continue };
        let Some((own, allowed)) = room(from) else { continue };
        for to in targets.iter().filter_map(|to| to.strip_prefix(KERNEL)) {
            let is_verb = to.starts_with("net/") || to.starts_with("drivers/");
            let is_verb = is_verb || *own == "tables/" && ["cx.rs", "door.rs", "walk.rs"].contains(&to);
            let is_common = *own != "tables/" && EVERYWHERE.contains(&to);
            let is_allowed = allowed.iter().any(|beginning| to.starts_with(beginning));
            if is_verb && !is_common && !is_allowed && !to.starts_with(own) && !to.ends_with("mod.rs") {
                broken.insert((from.to_owned(), to.to_owned()));
            }
        }
    }
    broken
}

#[test]
fn a_room_of_the_kernel_uses_only_those_below() {
    let found = across(&imports(&sources(&["models/kernel/src"])));
    let allowed: BTreeSet<(String, String)> =
        ALL_THE_SAME.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect();
    let mut broken: Vec<String> =
        found.difference(&allowed).map(|(from, to)| format!("{from} uses {to}")).collect();
    broken.extend(
        allowed.difference(&found).map(|(from, to)| format!("{from} no longer uses {to}: take the row out")),
    );
    assert_none(&broken, "a room returns a door into another, or is a row of a module");
}

#[test]
fn the_law_of_rooms_fails_where_it_should() {
    let sources = sample(&[
        ("models/kernel/src/net/mod.rs", ""),
        ("models/kernel/src/net/core/mod.rs", ""),
        ("models/kernel/src/net/ipv4/mod.rs", ""),
        ("models/kernel/src/net/netfilter/mod.rs", ""),
        ("models/kernel/src/cx.rs", "pub struct Cx;"),
        ("models/kernel/src/tables/netdev.rs", "use crate::cx::Cx;"),
        ("models/kernel/src/net/core/dev.rs", "use super::super::ipv4::{arp::arp_rcv};"),
        ("models/kernel/src/net/ipv4/arp.rs", "use crate::net::{core::dev, netfilter::core::hook};"),
        ("models/kernel/src/net/netfilter/core.rs", ""),
    ]);
    let found = across(&imports(&sources));
    let found: Vec<(&str, &str)> = found.iter().map(|(from, to)| (from.as_str(), to.as_str())).collect();
    assert_eq!(found, [("net/core/dev.rs", "net/ipv4/arp.rs"), ("tables/netdev.rs", "cx.rs")]);
}

#[test]
fn circles_of_imports_stay_small() {
    let circle = largest_circle(&imports(&sources(&["models/kernel/src"])), KERNEL);
    assert!(circle.len() <= LARGEST_CIRCLE, "{} files use each other:\n{}", circle.len(), circle.join("\n"));
    assert_eq!(circle.len(), LARGEST_CIRCLE, "the circle is smaller now: lower LARGEST_CIRCLE");
}

/// The room of a file in the drawing: its folder of `net` or `drivers`, or the top room; `None` for tables and shapes,
/// which every room uses.
fn drawn_room(file: &str) -> Option<String> {
    let file = file.strip_prefix(KERNEL)?;
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    match folder {
        _ if file == "modules.rs" || folder == "modules" => Some("modules".to_owned()),
        "" | "net" if file == "net/socket.rs" => Some("net/socket".to_owned()),
        "net/netfilter/ipset" => Some("net/netfilter".to_owned()),
        folder if folder.starts_with("net/") || folder == "drivers" => Some(folder.to_owned()),
        _ => None,
    }
}

#[test]
fn the_drawing_shows_the_rooms_of_the_kernel() {
    let mut arrows = BTreeSet::new();
    for (from, targets) in imports(&sources(&["models/kernel/src"])) {
        let Some(from) = drawn_room(&from) else { continue };
        let to = targets.iter().filter(|to| !to.ends_with("/mod.rs")).filter_map(|to| drawn_room(to));
        arrows.extend(to.filter(|to| *to != from).map(|to| format!("{from} --> {to}")));
    }
    let page = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md");
    let drawing = page.split("```mermaid\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or("");
    let drawn: BTreeSet<String> =
        drawing.lines().map(|line| line.trim().to_owned()).filter(|line| line.contains("-->")).collect();
    let missing = arrows.difference(&drawn).map(|arrow| format!("not drawn: {arrow}"));
    let wrong = drawn.difference(&arrows).map(|arrow| format!("no such import: {arrow}"));
    assert_none(
        &missing.chain(wrong).collect::<Vec<_>>(),
        "ARCHITECTURE.md draws the rooms of the kernel as they are",
    );
}
