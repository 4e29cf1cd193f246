//! `type bridge_slave`: a port of a bridge.
//!
//! iproute2: ip/iplink_bridge_slave.c

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::bridge::br_netlink::PortOptions;
use glassnet_kernel::tables::bridge::PortState;
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use super::iplink_bridge::{bridge_id, hex_mask, timers};
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches, number, one_of};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bridge_slave", include_str!("iplink_bridge_slave.txt"))
};

/// Switches of a port that the model keeps off.
const FIXED_PORT: &[&str] =
    &["proxy_arp", "proxy_arp_wifi", "mcast_to_unicast", "neigh_suppress", "vlan_tunnel", "locked"];

fn on_off(args: &mut Args, name: &str) -> Done<Option<bool>> {
    match args.value()? {
        "on" => Ok(Some(true)),
        "off" => Ok(Some(false)),
        other => Err(one_of(name, other, &["off", "on"])),
    }
}

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
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
            _ if is("help") => return Err(Stop::failed(LINK_UTIL.help)),
            _ => fixed_port(word, args)?,
        }
    }
    Ok(options.into())
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
    let usage = LINK_UTIL.help;
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

fn switches(out: &mut Out, switches: &[(&str, bool)]) {
    for (name, on) in switches {
        out.any(name, *on, format_args!("{name} {} ", if *on { "on" } else { "off" }));
    }
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(port) = &dev.port else { return };
    let master = &view.kernel.devs[port.bridge];
    let bridge = &*master.bridge().map(|bridge| bridge_id(bridge, master)).unwrap_or_default();
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
