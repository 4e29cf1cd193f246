//! `type bridge_slave`: a port of a bridge.
//!
//! iproute2: ip/iplink_bridge_slave.c

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_attrs::{Access, Attrs, BrAttr, Unit};
use glassnet_kernel::net::bridge::br_attrs_port as port;
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use super::iplink_bridge::{attr_value, find_attr, print_attrs};
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, matches, one_of};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bridge_slave", include_str!("iplink_bridge_slave.txt"))
};

fn on_off(args: &mut Args, name: &str) -> Done<u64> {
    match args.value()? {
        "on" => Ok(1),
        "off" => Ok(0),
        other => Err(one_of(name, other, &["off", "on"])),
    }
}

fn value(args: &mut Args, attr: &BrAttr) -> Done<u64> {
    let name = attr.name;
    let message = match name {
        "state" | "priority" | "cost" => format!("{name} is invalid"),
        _ => format!("invalid {name}"),
    };
    Ok(attr_value(args, attr, &message)?.0)
}

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let not_modelled = |what: &str| Stop::not_modelled(&format!("link … type bridge_slave {what}"));
    let mut attrs = Attrs::default();
    while let Some(word) = args.take() {
        let attr = match find_attr(port::PORT_ATTRS, word) {
            // Tried before all names that begin alike.
            _ if matches(word, "mcast_fast_leave") => &port::FASTLEAVE,
            Some(attr) => attr,
            None if matches(word, "nobackup_port") => continue,
            None if matches(word, "help") => return Err(Stop::failed(LINK_UTIL.help)),
            None => {
                let usage = LINK_UTIL.help;
                return Err(Stop::failed(format!("bridge_slave: unknown option \"{word}\"?\n{usage}")));
            }
        };
        let value = match (attr.access, attr.unit) {
            (Access::WriteOnly(_), _) => 1,
            (_, Unit::Device) => return Err(not_modelled(attr.name)),
            (_, Unit::Bool) => on_off(args, attr.name)?,
            _ => value(args, attr)?,
        };
        match attr.access {
            Access::Fixed(fixed) if fixed != value && attr.unit == Unit::Bool => {
                return Err(not_modelled(&format!("{} on", attr.name)));
            }
            Access::Fixed(fixed) if fixed != value => {
                return Err(not_modelled(&format!("{} {value}", attr.name)));
            }
            _ => attrs.put(attr, value),
        }
    }
    Ok(LinkInfo::with(LINK_UTIL.id, attrs))
}

/// Prints flags as words.
fn print_flags(view: &View, out: &mut Out, dev: &NetDevice, flags: &[&BrAttr]) {
    for attr in flags {
        let Some(on) = attr.get(view.kernel, dev, view.now).map(|value| value != 0) else { continue };
        out.any(attr.name, on, format_args!("{} {} ", attr.name, if on { "on" } else { "off" }));
    }
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    print_attrs(
        view,
        out,
        dev,
        &[("state", &port::STATE), ("priority", &port::PRIORITY), ("cost", &port::COST)],
    );
    print_flags(
        view,
        out,
        dev,
        &[&port::HAIRPIN, &port::GUARD, &port::ROOT_BLOCK, &port::FASTLEAVE, &port::LEARNING, &port::FLOOD],
    );
    print_attrs(
        view,
        out,
        dev,
        &[
            ("id", &port::PORT_ID),
            ("no", &port::PORT_NO),
            ("designated_port", &port::DESIGNATED_PORT),
            ("designated_cost", &port::DESIGNATED_COST),
            ("bridge_id", &port::DESIGNATED_BRIDGE),
            ("root_id", &port::DESIGNATED_ROOT),
            ("hold_timer", &port::HOLD_TIMER),
            ("message_age_timer", &port::MESSAGE_AGE_TIMER),
            ("forward_delay_timer", &port::FORWARD_DELAY_TIMER),
            ("topology_change_ack", &port::TOPOLOGY_CHANGE_ACK),
            ("config_pending", &port::CONFIG_PENDING),
        ],
    );
    print_flags(view, out, dev, &[&port::PROXY_ARP, &port::PROXY_ARP_WIFI]);
    print_attrs(view, out, dev, &[("multicast_router", &port::MCAST_ROUTER)]);
    // iproute2 6.1 has no JSON for this one.
    let fastleave = port::FASTLEAVE.get(view.kernel, dev, view.now) == Some(1);
    out.text(if fastleave { "mcast_fast_leave on " } else { "mcast_fast_leave off " });
    print_flags(
        view,
        out,
        dev,
        &[&port::MCAST_FLOOD, &port::BCAST_FLOOD, &port::MCAST_TO_UNICAST, &port::NEIGH_SUPPRESS],
    );
    print_attrs(view, out, dev, &[("group_fwd_mask", &port::GROUP_FWD_MASK)]);
    let mask = format!("{:#x}", port::GROUP_FWD_MASK.get(view.kernel, dev, view.now).unwrap_or_default());
    out.any("group_fwd_mask_str", mask.as_str(), format_args!("group_fwd_mask_str {mask} "));
    print_flags(view, out, dev, &[&port::VLAN_TUNNEL, &port::ISOLATED, &port::LOCKED]);
}
