//! What `ip -d link` says of bridges and ports.

use glassnet_kernel::tables::bridge::{Bridge, BridgePort};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::link_show::View;
use super::out::{Out, Value};

/// Hundredths of a second, the unit of the bridge's times.
fn centiseconds(time: Nanos) -> u64 {
    time.0 / 10_000_000
}

/// A bridge's identifier: its priority and its address.
fn bridge_id(bridge: &Bridge, dev: &NetDevice) -> String {
    let chosen = bridge.conf.addr_is_set || !bridge.ports.is_empty();
    let Mac([a, b, c, d, e, f]) = if chosen { dev.addr } else { Mac::ZERO };
    format!("{:x}.{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}", bridge.conf.priority)
}

fn hex_mask(mask: u16) -> String {
    if mask == 0 { "0".to_owned() } else { format!("{mask:#x}") }
}

fn timers(out: &mut Out, names: &[&str]) {
    for name in names {
        out.any(name, Value::Raw("0.00".to_owned()), format_args!("{name} {:>7} ", "0.00"));
    }
}

impl View<'_> {
    /// The line of the device's kind.
    pub(super) fn kind_detail(&self, out: &mut Out, dev: &NetDevice) {
        let Some(kind) = dev.kind.name() else { return };
        out.nl();
        out.any("info_kind", kind, format_args!("    {kind} "));
        if let Some(bridge) = dev.bridge() {
            out.open(Some("info_data"));
            bridge_data(out, bridge, dev);
            out.close();
        }
    }

    /// The line of a port.
    pub(super) fn port_detail(&self, out: &mut Out, dev: &NetDevice) {
        let Some(port) = &dev.port else { return };
        out.nl();
        out.any("info_slave_kind", "bridge", "    bridge_slave ");
        out.open(Some("info_slave_data"));
        let master = &self.kernel.devs[port.bridge];
        let id = master.bridge().map(|bridge| bridge_id(bridge, master)).unwrap_or_default();
        port_data(out, port, &id);
        out.close();
    }
}

fn bridge_data(out: &mut Out, bridge: &Bridge, dev: &NetDevice) {
    let conf = &bridge.conf;
    for (key, value) in [
        ("forward_delay", centiseconds(conf.forward_delay)),
        ("hello_time", centiseconds(conf.hello_time)),
        ("max_age", centiseconds(conf.max_age)),
        ("ageing_time", centiseconds(conf.ageing_time)),
        ("stp_state", u64::from(conf.stp_state)),
        ("priority", u64::from(conf.priority)),
        ("vlan_filtering", u64::from(conf.vlan_filtering)),
    ] {
        out.any(key, value, format_args!("{key} {value} "));
    }
    let id = bridge_id(bridge, dev);
    out.any("bridge_id", id.as_str(), format_args!("bridge_id {id} "));
    out.any("root_id", id.as_str(), format_args!("designated_root {id} "));
    for key in ["root_port", "root_path_cost", "topology_change", "topology_change_detected"] {
        out.any(key, 0, format_args!("{key} 0 "));
    }
    timers(out, &["hello_timer", "tcn_timer", "topology_change_timer", "gc_timer"]);
    let mask = hex_mask(conf.group_fwd_mask);
    out.any("group_fwd_mask", mask.as_str(), format_args!("group_fwd_mask {mask} "));
    out.any("group_addr", "01:80:c2:00:00:00", "group_address 01:80:c2:00:00:00 ");
    let snooping = u8::from(conf.mcast_snooping);
    out.any("mcast_snooping", snooping, format_args!("mcast_snooping {snooping} "));
    for (key, word, value) in MULTICAST {
        out.any(key, *value, format_args!("{word} {value} "));
    }
    let calls = conf.nf_call;
    for (key, on) in [
        ("nf_call_iptables", calls.iptables),
        ("nf_call_ip6tables", calls.ip6tables),
        ("nf_call_arptables", calls.arptables),
    ] {
        out.any(key, u8::from(on), format_args!("{key} {} ", u8::from(on)));
    }
}

/// What the model keeps as a new bridge has it: JSON key, word, value.
const MULTICAST: &[(&str, &str, u32)] = &[
    ("no_linklocal_learn", "no_linklocal_learn", 0),
    ("mcast_vlan_snooping", "mcast_vlan_snooping", 0),
    ("mcast_router", "mcast_router", 1),
    ("mcast_query_use_ifaddr", "mcast_query_use_ifaddr", 0),
    ("mcast_querier", "mcast_querier", 0),
    ("mcast_hash_elasticity", "mcast_hash_elasticity", 16),
    ("mcast_hash_max", "mcast_hash_max", 4096),
    ("mcast_last_member_cnt", "mcast_last_member_count", 2),
    ("mcast_startup_query_cnt", "mcast_startup_query_count", 2),
    ("mcast_last_member_intvl", "mcast_last_member_interval", 100),
    ("mcast_membership_intvl", "mcast_membership_interval", 26000),
    ("mcast_querier_intvl", "mcast_querier_interval", 25500),
    ("mcast_query_intvl", "mcast_query_interval", 12500),
    ("mcast_query_response_intvl", "mcast_query_response_interval", 1000),
    ("mcast_startup_query_intvl", "mcast_startup_query_interval", 3124),
    ("mcast_stats_enabled", "mcast_stats_enabled", 0),
    ("mcast_igmp_version", "mcast_igmp_version", 2),
    ("mcast_mld_version", "mcast_mld_version", 1),
];

fn switches(out: &mut Out, switches: &[(&str, bool)]) {
    for (name, on) in switches {
        out.any(name, *on, format_args!("{name} {} ", if *on { "on" } else { "off" }));
    }
}

fn port_data(out: &mut Out, port: &BridgePort, bridge: &str) {
    let flags = &port.flags;
    out.any("state", port.state.name(), format_args!("state {} ", port.state.name()));
    out.any("priority", port.priority, format_args!("priority {} ", port.priority));
    out.any("cost", port.path_cost, format_args!("cost {} ", port.path_cost));
    switches(
        out,
        &[
            ("hairpin", flags.hairpin),
            ("guard", flags.guard),
            ("root_block", flags.root_block),
            ("fastleave", flags.fastleave),
            ("learning", flags.learning),
            ("flood", flags.flood),
        ],
    );
    let id = u32::from(port.priority) << 10 | u32::from(port.port_no);
    out.any("id", format!("{id:#x}"), format_args!("port_id {id:#x} "));
    out.any("no", format!("{:#x}", port.port_no), format_args!("port_no {:#x} ", port.port_no));
    out.any("designated_port", id, format_args!("designated_port {id} "));
    out.any("designated_cost", 0, "designated_cost 0 ");
    out.any("bridge_id", bridge, format_args!("designated_bridge {bridge} "));
    out.any("root_id", bridge, format_args!("designated_root {bridge} "));
    timers(out, &["hold_timer", "message_age_timer", "forward_delay_timer"]);
    for key in ["topology_change_ack", "config_pending"] {
        out.any(key, 0, format_args!("{key} 0 "));
    }
    switches(out, &[("proxy_arp", false), ("proxy_arp_wifi", false)]);
    out.any("multicast_router", 1, "mcast_router 1 ");
    // iproute2 6.1 has no JSON for this one.
    out.text("mcast_fast_leave ");
    out.text(if flags.fastleave { "on " } else { "off " });
    switches(
        out,
        &[
            ("mcast_flood", flags.mcast_flood),
            ("bcast_flood", flags.bcast_flood),
            ("mcast_to_unicast", flags.mcast_to_unicast),
            ("neigh_suppress", flags.neigh_suppress),
        ],
    );
    let mask = hex_mask(port.group_fwd_mask);
    out.any("group_fwd_mask", mask.as_str(), format_args!("group_fwd_mask {mask} "));
    let mask = format!("{:#x}", port.group_fwd_mask);
    out.any("group_fwd_mask_str", mask.as_str(), format_args!("group_fwd_mask_str {mask} "));
    switches(out, &[("vlan_tunnel", false), ("isolated", flags.isolated), ("locked", flags.locked)]);
}
