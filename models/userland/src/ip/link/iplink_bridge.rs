//! `type bridge`.
//!
//! iproute2: ip/iplink_bridge.c

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_netlink::BridgeOptions;
use glassnet_kernel::tables::bridge::Bridge;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::{Out, Value};

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bridge", include_str!("iplink_bridge.txt"))
};

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

fn unsigned<T: TryFrom<u64>>(args: &mut Args, name: &str) -> Done<Option<T>> {
    args.number(&format!("invalid {name}")).map(Some)
}

/// A number that the kernel takes for off or on.
fn switch(args: &mut Args, name: &str) -> Done<Option<bool>> {
    Ok(unsigned::<u8>(args, name)?.map(|value| value != 0))
}

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
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
            _ if matches(word, "help") => return Err(Stop::failed(LINK_UTIL.help)),
            _ => fixed(word, args)?,
        }
    }
    Ok(options.into())
}

fn fixed(word: &str, args: &mut Args) -> Done {
    if matches(word, "group_address") || matches(word, "vlan_protocol") {
        return Err(Stop::not_modelled(&format!("link … type bridge {word}")));
    }
    let Some((name, default)) = FIXED.iter().find(|(name, _)| matches(word, name)) else {
        let usage = LINK_UTIL.help;
        return Err(Stop::failed(format!("bridge: unknown command \"{word}\"?\n{usage}")));
    };
    let text = args.value()?;
    let value: u64 = number(text).ok_or_else(|| invarg(&format!("invalid {name}"), text))?;
    match value == *default {
        true => Ok(()),
        false => Err(Stop::not_modelled(&format!("link … type bridge {name} {text}"))),
    }
}

/// Hundredths of a second, the unit of the bridge's times.
fn centiseconds(time: Nanos) -> u64 {
    time.0 / 10_000_000
}

/// A bridge's identifier: its priority and its address.
pub(super) fn bridge_id(bridge: &Bridge, dev: &NetDevice) -> String {
    let chosen = bridge.conf.addr_is_set || !bridge.ports.is_empty();
    let Mac([a, b, c, d, e, f]) = if chosen { dev.addr } else { Mac::ZERO };
    format!("{:x}.{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}", bridge.conf.priority)
}

pub(super) fn hex_mask(mask: u16) -> String {
    if mask == 0 { "0".to_owned() } else { format!("{mask:#x}") }
}

pub(super) fn timers(out: &mut Out, names: &[&str]) {
    for name in names {
        out.any(name, Value::Raw("0.00".to_owned()), format_args!("{name} {:>7} ", "0.00"));
    }
}

fn print(_: &View, out: &mut Out, dev: &NetDevice) {
    let Some(bridge) = dev.bridge() else { return };
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
