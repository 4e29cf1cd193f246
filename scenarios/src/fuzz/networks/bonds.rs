//! Bonds. A new mode is a row of [`MODES`].

use glassnet_wire::Mac;

use super::devices::veth_to_namespace;
use super::net::Net;

/// A mode, and words of its own.
type Mode = (&'static str, &'static [&'static str]);

/// Modes by weight.
const MODES: &[(usize, Mode)] = &[
    (3, ("active-backup", &["", "", " fail_over_mac active", " primary_reselect failure"])),
    (2, ("balance-rr", &["", " packets_per_slave 3"])),
    (2, ("balance-xor", &["", " xmit_hash_policy layer2+3", " xmit_hash_policy layer3+4"])),
    (1, ("broadcast", &[""])),
    (
        4,
        (
            "802.3ad",
            &["", "", " lacp_rate fast", " xmit_hash_policy layer3+4", " min_links 2", " lacp_active off"],
        ),
    ),
    (2, ("balance-tlb", &["", " tlb_dynamic_lb 0"])),
];

/// What asks the neighbours by ARP whether a link works, without whom.
const BY_ARP: &str = " arp_interval 200 arp_ip_target ";

/// Two cables between two namespaces of a machine, or those of the topology between two machines, as a bond at both ends.
pub(super) fn bonds(net: &mut Net, space: usize) {
    if net.devices.iter().any(|device| device.name.starts_with("bd")) {
        return;
    }
    let cards = std::mem::take(&mut net.trunk);
    let slaves = if cards.is_empty() { veths(net, space) } else { cards };
    let [near, .., far] = slaves[..] else { return };
    let segment = net.devices[near].segment;
    let (mode, options) = net.weighted(MODES);
    let watch = match mode {
        "802.3ad" | "balance-tlb" => net.pick(&["", " miimon 100", " miimon 50 updelay 100"]),
        _ => net.pick(&["", " miimon 100", " miimon 100", " miimon 100 updelay 200 downdelay 100", BY_ARP]),
    };
    net.talks |= ["802.3ad", "balance-tlb"].contains(&mode) || watch == BY_ARP;
    let ends = [(net.devices[near].space, 2), (net.devices[far].space, 1)];
    for (end, other) in ends {
        let options = net.pick(options);
        let target = if watch == BY_ARP { format!("10.0.{segment}.{other}") } else { String::new() };
        net.tool(end, &format!("ip link add bd0 type bond mode {mode}{watch}{target}{options}"));
        for &slave in &slaves {
            if net.devices[slave].space == end {
                let name = net.devices[slave].name.clone();
                net.tool(end, &format!("ip link set {name} master bd0"));
                net.devices[slave].is_port = true;
            }
        }
        net.tool(end, "ip link set bd0 up");
        net.device(end, "bd0", segment);
        // Two machines whose timers run in one tick send in an order that hangs on nothing in the network, and the referee's
        // one kernel looks at carriers once a second for all of them.
        net.run(end, "sleep 1.14");
    }
}

/// Two cables from a namespace to another of its machine.
fn veths(net: &mut Net, space: usize) -> Vec<usize> {
    let far = |net: &Net| {
        let is_far = |at: &usize| {
            let there = &net.spaces[*at];
            there.machine == net.spaces[space].machine && *at != space && !there.netns.is_empty()
        };
        (0..net.spaces.len()).find(is_far)
    };
    if far(net).is_none() {
        veth_to_namespace(net, space);
    }
    let Some(far) = far(net) else { return Vec::new() };
    let (netns, segment) = (net.spaces[far].netns.clone(), net.segment());
    let mut ends = [Vec::new(), Vec::new()];
    for at in 0..2 {
        let (near_mac, far_mac) = (Mac(net.mac()), Mac([2, 1, 0, 0, at, net.devices.len() as u8]));
        let near = format!("ip link add s{at} address {near_mac} type veth peer name s{at}");
        net.tool(space, &format!("{near} address {far_mac} netns {netns}"));
        ends[0].push(net.device(space, &format!("s{at}"), segment));
        ends[1].push(net.device(far, &format!("s{at}"), segment));
    }
    ends.concat()
}
