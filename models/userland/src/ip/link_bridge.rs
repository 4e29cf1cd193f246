//! The options of `type bridge` and `type bridge_slave`.

use glassnet_kernel::net::core::rtnetlink::{BridgeOptions, PortOptions};
use glassnet_kernel::tables::bridge::PortState;

use super::args::{Args, Done, Stop, invarg, matches, number, one_of};

/// Options of a bridge that the model keeps at their defaults, which are also accepted.
const FIXED: &[(&str, u64)] = &[
    ("no_linklocal_learn", 0),
    ("vlan_default_pvid", 1),
    ("vlan_stats_enabled", 0),
    ("vlan_stats_per_port", 0),
    ("mcast_vlan_snooping", 0),
    ("mcast_router", 1),
    ("mcast_query_use_ifaddr", 0),
    ("mcast_querier", 0),
    ("mcast_hash_elasticity", 16),
    ("mcast_hash_max", 4096),
    ("mcast_last_member_count", 2),
    ("mcast_startup_query_count", 2),
    ("mcast_last_member_interval", 100),
    ("mcast_membership_interval", 26000),
    ("mcast_querier_interval", 25500),
    ("mcast_query_interval", 12500),
    ("mcast_query_response_interval", 1000),
    ("mcast_startup_query_interval", 3124),
    ("mcast_stats_enabled", 0),
    ("mcast_igmp_version", 2),
    ("mcast_mld_version", 1),
];

/// Switches of a port that the model keeps off.
const FIXED_PORT: &[&str] =
    &["proxy_arp", "proxy_arp_wifi", "mcast_to_unicast", "neigh_suppress", "vlan_tunnel", "locked"];

fn unsigned<T: TryFrom<u64>>(args: &mut Args, name: &str) -> Done<Option<T>> {
    args.number(&format!("invalid {name}")).map(Some)
}

/// A number that the kernel takes for off or on.
fn switch(args: &mut Args, name: &str) -> Done<Option<bool>> {
    Ok(unsigned::<u8>(args, name)?.map(|value| value != 0))
}

/// The words after `type bridge`.
pub(super) fn parse_bridge(args: &mut Args) -> Done<BridgeOptions> {
    let mut options = BridgeOptions::default();
    while let Some(word) = args.take() {
        match word {
            _ if matches(word, "forward_delay") => options.forward_delay = unsigned(args, "forward_delay")?,
            _ if matches(word, "hello_time") => options.hello_time = unsigned(args, "hello_time")?,
            _ if matches(word, "max_age") => options.max_age = unsigned(args, "max_age")?,
            _ if matches(word, "ageing_time") => options.ageing_time = unsigned(args, "ageing_time")?,
            _ if matches(word, "nf_call_iptables") => {
                options.nf_call_iptables = switch(args, "nf_call_iptables")?
            }
            _ if matches(word, "nf_call_ip6tables") => {
                options.nf_call_ip6tables = switch(args, "nf_call_ip6tables")?
            }
            _ if matches(word, "nf_call_arptables") => {
                options.nf_call_arptables = switch(args, "nf_call_arptables")?
            }
            _ if matches(word, "stp_state") => options.stp_state = switch(args, "stp_state")?,
            _ if matches(word, "priority") => options.priority = unsigned(args, "priority")?,
            _ if matches(word, "vlan_filtering") => {
                options.vlan_filtering = switch(args, "vlan_filtering")?;
            }
            _ if matches(word, "group_fwd_mask") => {
                options.group_fwd_mask = unsigned(args, "group_fwd_mask")?;
            }
            _ if matches(word, "mcast_snooping") => {
                options.mcast_snooping = switch(args, "mcast_snooping")?;
            }
            _ if matches(word, "fdb_flush") => options.fdb_flush = true,
            _ if matches(word, "help") => return Err(Stop::failed(include_str!("help/link_bridge.txt"))),
            _ => fixed(word, args)?,
        }
    }
    Ok(options)
}

fn fixed(word: &str, args: &mut Args) -> Done {
    if matches(word, "group_address") || matches(word, "vlan_protocol") {
        return Err(Stop::not_modelled(&format!("link … type bridge {word}")));
    }
    let Some((name, default)) = FIXED.iter().find(|(name, _)| matches(word, name)) else {
        let usage = include_str!("help/link_bridge.txt");
        return Err(Stop::failed(format!("bridge: unknown command \"{word}\"?\n{usage}")));
    };
    let text = args.value()?;
    let value: u64 = number(text).ok_or_else(|| invarg(&format!("invalid {name}"), text))?;
    match value == *default {
        true => Ok(()),
        false => Err(Stop::not_modelled(&format!("link … type bridge {name} {text}"))),
    }
}

fn on_off(args: &mut Args, name: &str) -> Done<Option<bool>> {
    match args.value()? {
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        other => Err(one_of(name, other, &["off", "on"])),
    }
}

/// The words after `type bridge_slave`.
pub(super) fn parse_port(args: &mut Args) -> Done<PortOptions> {
    let mut options = PortOptions::default();
    while let Some(word) = args.take() {
        let is = |full| matches(word, full);
        match word {
            _ if is("fdb_flush") => options.fdb_flush = true,
            _ if is("state") => options.state = Some(port_state(args.value()?)?),
            _ if is("priority") => options.priority = args.number("priority is invalid").map(Some)?,
            _ if is("cost") => options.cost = args.number("cost is invalid").map(Some)?,
            _ if is("hairpin") => options.hairpin = on_off(args, "hairpin")?,
            _ if is("guard") => options.guard = on_off(args, "guard")?,
            _ if is("root_block") => options.root_block = on_off(args, "root_block")?,
            _ if is("fastleave") || is("mcast_fast_leave") => options.fastleave = on_off(args, "fastleave")?,
            _ if is("learning") => options.learning = on_off(args, "learning")?,
            _ if is("flood") => options.flood = on_off(args, "flood")?,
            _ if is("mcast_flood") => options.mcast_flood = on_off(args, "mcast_flood")?,
            _ if is("bcast_flood") => options.bcast_flood = on_off(args, "bcast_flood")?,
            _ if is("isolated") => options.isolated = on_off(args, "isolated")?,
            _ if is("group_fwd_mask") => {
                options.group_fwd_mask = args.number("invalid group_fwd_mask").map(Some)?;
            }
            _ if is("help") => return Err(Stop::failed(include_str!("help/link_bridge_slave.txt"))),
            _ => fixed_port(word, args)?,
        }
    }
    Ok(options)
}

fn fixed_port(word: &str, args: &mut Args) -> Done {
    let not_modelled = |what: &str| Err(Stop::not_modelled(&format!("link … type bridge_slave {what}")));
    if let Some(name) = FIXED_PORT.iter().find(|name| matches(word, name)) {
        return match on_off(args, name)? {
            Some(true) => not_modelled(&format!("{name} on")),
            _ => Ok(()),
        };
    }
    if matches(word, "mcast_router") {
        return match args.number::<u8>("invalid mcast_router")? {
            1 => Ok(()),
            value => not_modelled(&format!("mcast_router {value}")),
        };
    }
    if matches(word, "backup_port") {
        return not_modelled("backup_port");
    }
    if matches(word, "nobackup_port") {
        return Ok(());
    }
    let usage = include_str!("help/link_bridge_slave.txt");
    Err(Stop::failed(format!("bridge_slave: unknown option \"{word}\"?\n{usage}")))
}

fn port_state(text: &str) -> Done<PortState> {
    let states = [
        PortState::Disabled,
        PortState::Listening,
        PortState::Learning,
        PortState::Forwarding,
        PortState::Blocking,
    ];
    number::<usize>(text)
        .and_then(|at| states.get(at).copied())
        .ok_or_else(|| invarg("state is invalid", text))
}
