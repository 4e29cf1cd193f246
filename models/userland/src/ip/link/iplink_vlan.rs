//! `type vlan`.
//!
//! iproute2: ip/iplink_vlan.c

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::vlan_8021q::vlan_netlink::VlanOptions;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::vlan::{
    VLAN_FLAG_BRIDGE_BINDING, VLAN_FLAG_GVRP, VLAN_FLAG_LOOSE_BINDING, VLAN_FLAG_MVRP, VLAN_FLAG_REORDER_HDR,
};
use glassnet_kernel::tables::vlan_tag::VLAN_PRIO_SHIFT;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::Out;
use crate::iproute2::ll_proto::{ll_proto_a2n, ll_proto_n2a};

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("vlan", include_str!("iplink_vlan.txt"))
};

/// Flags by option and as they are printed, in the order of both.
const FLAGS: &[(&str, u32, &str)] = &[
    ("reorder_hdr", VLAN_FLAG_REORDER_HDR, "REORDER_HDR"),
    ("gvrp", VLAN_FLAG_GVRP, "GVRP"),
    ("mvrp", VLAN_FLAG_MVRP, "MVRP"),
    ("loose_binding", VLAN_FLAG_LOOSE_BINDING, "LOOSE_BINDING"),
    ("bridge_binding", VLAN_FLAG_BRIDGE_BINDING, "BRIDGE_BINDING"),
];

/// Flags that are not modelled: the model registers its VLANs with nobody, and the carrier follows the device below.
const NOT_MODELLED: u32 = VLAN_FLAG_GVRP | VLAN_FLAG_MVRP | VLAN_FLAG_BRIDGE_BINDING;

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut options = VlanOptions::default();
    while let Some(word) = args.take() {
        let is = |full| matches(word, full);
        if is("protocol") {
            let text = args.value()?;
            options.protocol = Some(ll_proto_a2n(text).ok_or_else(|| invarg("protocol is invalid", text))?);
        } else if is("id") {
            let text = args.value()?;
            options.id = Some(number(text).ok_or_else(|| invarg("id is invalid", text))?);
        } else if let Some((keyword, flag, _)) = FLAGS.iter().find(|(keyword, ..)| is(keyword)) {
            let on = args.on_off(keyword)?;
            if on && NOT_MODELLED & flag != 0 {
                return Err(Stop::not_modelled(&format!("link … type vlan {keyword} on")));
            }
            options.flags.0 = options.flags.0 & !flag | if on { *flag } else { 0 };
            options.flags.1 |= flag;
        } else if is("ingress-qos-map") {
            options.ingress_qos = qos_map(args, "invalid ingress-qos-map")?;
        } else if is("egress-qos-map") {
            options.egress_qos = qos_map(args, "invalid egress-qos-map")?;
        } else if is("help") {
            return Err(Stop::failed(LINK_UTIL.help));
        } else {
            return Err(Stop::failed(format!("vlan: unknown command \"{word}\"?\n{}", LINK_UTIL.help)));
        }
    }
    Ok(options.into())
}

/// Pairs `FROM:TO` as long as there are some.
fn qos_map(args: &mut Args, message: &str) -> Done<Vec<(u32, u32)>> {
    let mut map = Vec::new();
    if args.is_empty() {
        args.value()?;
    }
    while let Some((from, to)) = args.peek().and_then(|word| word.split_once(':')) {
        args.take();
        // The tool has cut the word at its colon.
        let bad = || invarg(message, from);
        map.push((number(from).ok_or_else(bad)?, number(to).ok_or_else(bad)?));
    }
    Ok(map)
}

fn print(_: &View, out: &mut Out, dev: &NetDevice) {
    let Some(vlan) = dev.vlan_dev_priv() else { return };
    let protocol = ll_proto_n2a(vlan.vlan_proto.ethertype());
    out.any("protocol", protocol.as_str(), format_args!("protocol {protocol} "));
    out.any("id", u32::from(vlan.vlan_id), format_args!("id {} ", vlan.vlan_id));
    let flags: Vec<&str> =
        FLAGS.iter().filter(|(_, flag, _)| vlan.flags & flag != 0).map(|(.., name)| *name).collect();
    if !flags.is_empty() {
        out.open_array(Some("flags"));
        out.text(format_args!("<{}> ", flags.join(",")));
        flags.into_iter().for_each(|flag| out.item(flag, ""));
        out.close_array();
    }
    let of_tag = (0_u32..).zip(vlan.ingress_priority_map).filter(|(_, to)| *to != 0);
    map(out, "ingress_qos", "ingress-qos-map", of_tag);
    let of_packet = vlan.egress_priorities().map(|(from, qos)| (from, u32::from(qos >> VLAN_PRIO_SHIFT)));
    map(out, "egress_qos", "egress-qos-map", of_packet.filter(|(_, to)| *to != 0));
}

fn map(out: &mut Out, key: &str, word: &str, pairs: impl Iterator<Item = (u32, u32)>) {
    let pairs: Vec<(u32, u32)> = pairs.collect();
    if pairs.is_empty() {
        return;
    }
    out.open_array(Some(key));
    out.nl();
    out.text(format_args!("      {word} {{ "));
    for (from, to) in pairs {
        out.open(None);
        out.any("from", from, from);
        out.any("to", to, format_args!(":{to} "));
        out.close();
    }
    out.close_array();
    out.text("} ");
}
