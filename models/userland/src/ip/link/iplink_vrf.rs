//! `type vrf`.
//!
//! iproute2: ip/iplink_vrf.c

use glassnet_kernel::drivers::vrf::VrfAttrs;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches};
use crate::ip::link_show::View;
use crate::ip::names::Names;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(|_, out, dev| print(out, dev)),
    ..LinkUtil::new("vrf", "Usage: ... vrf table TABLEID\n")
};

/// The same of a device under a VRF.
pub(super) static SLAVE_LINK_UTIL: LinkUtil = LinkUtil {
    print_opt: Some(|view: &View, out, dev| {
        if let Some(vrf) = view.kernel.devs.l3mdev_master(dev.id) {
            print(out, &view.kernel.devs[vrf]);
        }
    }),
    ..LinkUtil::new("vrf_slave", "")
};

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut attrs = VrfAttrs::default();
    while let Some(word) = args.take() {
        if matches(word, "table") {
            let text = args.value()?;
            let bad = || invarg("invalid table ID\n", text);
            attrs.table = Some(Names::Table.number(text).ok_or_else(bad)?);
        } else if matches(word, "help") {
            return Err(Stop::failed(LINK_UTIL.help));
        } else {
            return Err(Stop::failed(format!("vrf: unknown option \"{word}\"?\n{}", LINK_UTIL.help)));
        }
    }
    Ok(LinkInfo::with("vrf", attrs))
}

fn print(out: &mut Out, vrf: &NetDevice) {
    if let Some(table) = vrf.l3mdev_fib_table {
        out.any("table", table, format_args!("table {table} "));
    }
}
