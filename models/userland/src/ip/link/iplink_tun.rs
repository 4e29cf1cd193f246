//! `type tun`, of which `ip link` only shows attributes.
//!
//! iproute2: ip/iptuntap.c

use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::tun::{IFF_NO_PI, IFF_PERSIST, IFF_TAP};

use super::LinkUtil;
use crate::ip::link_show::View;
use crate::ip::out::Out;
use crate::passwd::{self, GROUPS, USERS};

/// The row.
pub(super) static LINK_UTIL: LinkUtil =
    LinkUtil { print_opt: Some(print), ..LinkUtil::new("tun", include_str!("../help/link.txt")) };

fn print(_: &View, out: &mut Out, dev: &NetDevice) {
    let Some(tun) = dev.tun() else { return };
    let kind = if tun.flags & IFF_TAP != 0 { "tap" } else { "tun" };
    out.any("type", kind, format_args!("type {kind} "));
    let pi = tun.flags & IFF_NO_PI == 0;
    out.any("pi", pi, format_args!("pi {} ", on_off(pi)));
    out.any("vnet_hdr", false, "vnet_hdr off ");
    out.json("multi_queue", false);
    let persist = tun.flags & IFF_PERSIST != 0;
    out.any("persist", persist, format_args!("persist {} ", on_off(persist)));
    for (key, id, names) in [("user", tun.owner, USERS), ("group", tun.group, GROUPS)] {
        let Some(id) = id else { continue };
        match passwd::name(names, id) {
            Some(name) => out.any(key, name, format_args!("{key} {name} ")),
            None => out.any(key, id, format_args!("{key} {id} ")),
        }
    }
}

fn on_off(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}
