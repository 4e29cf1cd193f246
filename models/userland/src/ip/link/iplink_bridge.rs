//! `type bridge`.
//!
//! iproute2: ip/iplink_bridge.c

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::{Access, Attrs, BrAttr, Unit};
use glassnet_kernel::net::bridge::br_attrs_bridge as bridge;
use glassnet_kernel::tables::bridge::PortState;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::Mac;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::{Out, Value};
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bridge", include_str!("iplink_bridge.txt"))
};

/// The first attribute of a table that can be set and whose name this word abbreviates.
pub(super) fn find_attr(table: &[&'static BrAttr], word: &str) -> Option<&'static BrAttr> {
    let is_set = |attr: &BrAttr| !matches!(attr.access, Access::ReadOnly(_));
    table.iter().copied().find(|attr| is_set(attr) && matches(word, attr.name))
}

/// The number after an attribute's name, with the word itself.
pub(super) fn attr_value<'a>(args: &mut Args<'a>, attr: &BrAttr, message: &str) -> Done<(u64, &'a str)> {
    let text = args.value()?;
    let value = number(text).filter(|value| *value <= attr.max);
    Ok((value.ok_or_else(|| invarg(message, text))?, text))
}

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut attrs = Attrs::default();
    while let Some(word) = args.take() {
        let not_modelled = |what: &str| Stop::not_modelled(&format!("link … type bridge {what}"));
        let Some(attr) = find_attr(bridge::BRIDGE_ATTRS, word) else {
            return Err(match word {
                _ if matches(word, "help") => Stop::failed(LINK_UTIL.help),
                _ if matches(word, bridge::GROUP_ADDRESS.name) => not_modelled(word),
                _ => Stop::failed(format!("bridge: unknown command \"{word}\"?\n{}", LINK_UTIL.help)),
            });
        };
        match attr.access {
            Access::WriteOnly(_) => attrs.put(attr, 1),
            _ if attr.unit == Unit::EtherType => {
                let text = args.value()?;
                let bad = || invarg(&format!("invalid {}", attr.name), text);
                attrs.put(attr, u64::from(ll_proto_a2n(text).ok_or_else(bad)?));
            }
            _ => {
                let (value, text) = attr_value(args, attr, &format!("invalid {}", attr.name))?;
                match attr.access {
                    Access::Fixed(fixed) if fixed != value => {
                        return Err(not_modelled(&format!("{} {text}", attr.name)));
                    }
                    _ => attrs.put(attr, value),
                }
            }
        }
    }
    Ok(LinkInfo::with(LINK_UTIL.id, attrs))
}

/// What is printed of a bridge, in order: the key in JSON and the attribute, whose name stands in text.
const SHOWN: &[(&str, &BrAttr)] = &[
    ("forward_delay", &bridge::FORWARD_DELAY),
    ("hello_time", &bridge::HELLO_TIME),
    ("max_age", &bridge::MAX_AGE),
    ("ageing_time", &bridge::AGEING_TIME),
    ("stp_state", &bridge::STP_STATE),
    ("priority", &bridge::PRIORITY),
    ("vlan_filtering", &bridge::VLAN_FILTERING),
    ("vlan_protocol", &bridge::VLAN_PROTOCOL),
    ("bridge_id", &bridge::BRIDGE_ID),
    ("root_id", &bridge::DESIGNATED_ROOT),
    ("root_port", &bridge::ROOT_PORT),
    ("root_path_cost", &bridge::ROOT_PATH_COST),
    ("topology_change", &bridge::TOPOLOGY_CHANGE),
    ("topology_change_detected", &bridge::TOPOLOGY_CHANGE_DETECTED),
    ("hello_timer", &bridge::HELLO_TIMER),
    ("tcn_timer", &bridge::TCN_TIMER),
    ("topology_change_timer", &bridge::TOPOLOGY_CHANGE_TIMER),
    ("gc_timer", &bridge::GC_TIMER),
    ("vlan_default_pvid", &bridge::VLAN_DEFAULT_PVID),
    ("vlan_stats_enabled", &bridge::VLAN_STATS_ENABLED),
    ("vlan_stats_per_port", &bridge::VLAN_STATS_PER_PORT),
    ("group_fwd_mask", &bridge::GROUP_FWD_MASK),
    ("group_addr", &bridge::GROUP_ADDRESS),
    ("mcast_snooping", &bridge::MCAST_SNOOPING),
    ("no_linklocal_learn", &bridge::NO_LINKLOCAL_LEARN),
    ("mcast_vlan_snooping", &bridge::MCAST_VLAN_SNOOPING),
    ("mcast_router", &bridge::MCAST_ROUTER),
    ("mcast_query_use_ifaddr", &bridge::MCAST_QUERY_USE_IFADDR),
    ("mcast_querier", &bridge::MCAST_QUERIER),
    ("mcast_hash_elasticity", &bridge::MCAST_HASH_ELASTICITY),
    ("mcast_hash_max", &bridge::MCAST_HASH_MAX),
    ("mcast_last_member_cnt", &bridge::MCAST_LAST_MEMBER_COUNT),
    ("mcast_startup_query_cnt", &bridge::MCAST_STARTUP_QUERY_COUNT),
    ("mcast_last_member_intvl", &bridge::MCAST_LAST_MEMBER_INTERVAL),
    ("mcast_membership_intvl", &bridge::MCAST_MEMBERSHIP_INTERVAL),
    ("mcast_querier_intvl", &bridge::MCAST_QUERIER_INTERVAL),
    ("mcast_query_intvl", &bridge::MCAST_QUERY_INTERVAL),
    ("mcast_query_response_intvl", &bridge::MCAST_QUERY_RESPONSE_INTERVAL),
    ("mcast_startup_query_intvl", &bridge::MCAST_STARTUP_QUERY_INTERVAL),
    ("mcast_stats_enabled", &bridge::MCAST_STATS_ENABLED),
    ("mcast_igmp_version", &bridge::MCAST_IGMP_VERSION),
    ("mcast_mld_version", &bridge::MCAST_MLD_VERSION),
    ("nf_call_iptables", &bridge::NF_CALL_IPTABLES),
    ("nf_call_ip6tables", &bridge::NF_CALL_IP6TABLES),
    ("nf_call_arptables", &bridge::NF_CALL_ARPTABLES),
];

/// Attributes of a kernel that is built to filter VLANs (`CONFIG_BRIDGE_VLAN_FILTERING`).
const OF_VLANS: [&BrAttr; 4] = [
    &bridge::VLAN_PROTOCOL,
    &bridge::VLAN_DEFAULT_PVID,
    &bridge::VLAN_STATS_ENABLED,
    &bridge::VLAN_STATS_PER_PORT,
];

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let is_built = |attr: &BrAttr| {
        view.kernel.config.bridge_vlan_filtering || OF_VLANS.iter().all(|of_vlans| of_vlans.name != attr.name)
    };
    let shown: Vec<_> = SHOWN.iter().copied().filter(|(_, attr)| is_built(attr)).collect();
    print_attrs(view, out, dev, &shown);
}

/// Prints attributes as their units ask for it.
pub(super) fn print_attrs(view: &View, out: &mut Out, dev: &NetDevice, attrs: &[(&str, &BrAttr)]) {
    for (key, attr) in attrs {
        let Some(value) = attr.get(view.kernel, dev, view.now) else { continue };
        let name = attr.name;
        let text = match attr.unit {
            Unit::Number | Unit::Bool | Unit::ClockT | Unit::Device => {
                out.any(key, value, format_args!("{name} {value} "));
                continue;
            }
            Unit::Timer => {
                let seconds = format!("{}.{:02}", value / 100, value % 100);
                out.any(key, Value::Raw(seconds.clone()), format_args!("{name} {seconds:>7} "));
                continue;
            }
            Unit::GroupMask if value == 0 => "0".to_owned(),
            Unit::EtherType => ll_proto_n2a(value as u16),
            Unit::GroupMask | Unit::Hex => format!("{value:#x}"),
            Unit::Mac => {
                let [_, _, mac @ ..] = value.to_be_bytes();
                Mac(mac).to_string()
            }
            Unit::BridgeId => {
                let [_, _, a, b, c, d, e, f] = value.to_be_bytes();
                format!("{:x}.{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}", value >> 48)
            }
            Unit::State => PortState::ALL[value as usize].name().to_owned(),
        };
        out.any(key, text.as_str(), format_args!("{name} {text} "));
    }
}
