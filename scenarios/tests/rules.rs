//! Rules of Linux 6.1, a subject a lesson in `rules/`. What programs print there is the real kernel's:
//! `glassnet verify scenarios/tests/rules/*.md --on uml` asks it.

use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::{matches, run};

/// The lesson of a subject.
fn lesson(subject: &str) -> Lesson {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules").join(format!("{subject}.md"));
    let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Lesson::parse(&path, text).unwrap_or_else(|error| panic!("{error}"))
}

/// Runs a lesson, and holds each output against what it says.
fn keeps(subject: &str) {
    let lesson = lesson(subject);
    let outcomes = run(&lesson, SEED, |_, _| {}).unwrap_or_else(|error| panic!("{subject}: {error}"));
    for (prompt, outcome) in lesson.prompts().zip(outcomes) {
        let (line, command, output) = (prompt.line, &prompt.command, &outcome.output);
        assert!(matches(&prompt.expected, output), "{subject}.md:{line}: {command}\n{output}");
    }
}

macro_rules! rules {
    ($($test:ident: $subject:literal,)*) => {
        const SUBJECTS: &[&str] = &[$($subject),*];

        $(#[test]
        fn $test() {
            keeps($subject);
        })*
    };
}

rules! {
    what_follows_from_an_address: "addresses",
    a_router_that_sends_packets_back: "back",
    a_bond_that_watches_its_links_by_arp: "bonding-arp",
    two_systems_that_agree_on_their_links: "bonding-lacp",
    a_bond_that_sends_by_load: "bonding-tlb",
    what_a_bond_does_with_its_slaves: "bonding",
    what_a_bridges_port_lets_through: "bridge-ports",
    what_bridges_and_ports_may_be_told: "bridge-settings",
    who_is_in_which_vlan_of_a_bridge: "bridge-vlan",
    how_long_a_connection_lasts: "connections",
    packets_that_are_not_whole: "damaged",
    which_class_a_filter_says: "filters",
    which_packets_of_a_host_a_rule_takes: "flows",
    a_router_forwards: "forwarding",
    what_foo_over_udp_takes_sends_and_receives: "fou",
    fragments: "fragments",
    gateways_that_do_not_answer: "gateways",
    what_geneve_devices_do: "geneve",
    what_a_gre_tunnel_takes_sends_and_receives: "gre",
    a_limit_for_each_of_many: "hashlimit",
    what_an_ifb_does_with_packets: "ifb",
    which_options_a_packet_may_have: "ip-options",
    what_an_ipip_tunnel_takes_sends_and_receives: "ipip",
    what_ipvlan_devices_do: "ipvlan",
    what_ipvs_remembers_of_clients: "ipvs-persistence",
    which_server_a_scheduler_chooses: "ipvs-schedulers",
    what_ipvs_makes_of_packets: "ipvs",
    what_ipvsadm_says: "ipvsadm",
    what_the_kernel_logs: "kernel-log",
    which_table_routes_what: "l3mdev",
    what_the_link_layer_takes: "link-layer",
    which_ports_the_kernel_chooses: "local-ports",
    what_macvlan_devices_do: "macvlan",
    marks_of_replies: "marks",
    what_matches_see: "matches",
    what_the_kernel_tells_of_neighbours_and_stations: "monitor",
    what_nat_makes_of_a_connection: "nat",
    neighbours: "neighbours",
    what_devices_do_for_the_kernel: "offloads",
    what_patches_and_groups_do: "ovs-groups",
    how_open_vswitch_tunnels: "ovs-tunnels",
    what_an_open_vswitch_does: "ovs",
    what_the_packet_generator_sends: "pktgen",
    where_an_extension_may_stand: "places",
    which_rule_of_routing_holds: "policy",
    how_classes_share: "queueing-classes",
    how_packets_wait: "queueing",
    what_routers_say: "redirects",
    which_way_a_packet_takes: "routes",
    what_a_socket_may_send: "send-buffer",
    sets_and_packets: "sets",
    what_socat_carries: "socat",
    where_a_packet_may_come_from: "sources",
    what_targets_do: "targets",
    what_filters_and_actions_do_to_packets: "tc-actions",
    which_packets_a_flower_filter_takes: "tc-flower",
    segments_that_do_not_leave_their_host: "tcp-not-sent",
    what_comes_before_a_connection: "tcp-requests",
    what_tcp_takes_from_routes: "tcp-routes",
    what_a_transfer_of_tcp_counts: "tcp-transfer",
    tcp_when_all_does_not_go_well: "tcp",
    who_gets_a_port_that_is_in_time_wait: "time-wait",
    what_is_changed_in_connections: "tracking",
    what_tun_and_tap_devices_take: "tun",
    what_vlan_devices_do: "vlan",
    tunnels_whose_packets_say_where: "vxlan-external",
    what_a_vxlan_device_takes: "vxlan",
    what_wget_says: "wget",
    zones_of_connections: "zones",
}

#[test]
fn every_lesson_is_run() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/rules");
    let entries = fs::read_dir(folder).expect("lessons").map(|entry| entry.expect("readable").path());
    let mut found: Vec<PathBuf> = entries.collect();
    found.sort();
    let names: Vec<_> =
        found.iter().map(|path| path.file_stem().expect("a name").to_string_lossy()).collect();
    assert_eq!(names, SUBJECTS);
}
