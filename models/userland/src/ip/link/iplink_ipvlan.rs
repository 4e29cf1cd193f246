//! `type ipvlan`.
//!
//! iproute2: ip/iplink_ipvlan.c

use glassnet_kernel::drivers::ipvlan::ipvlan_main::{IpvlanOptions, ipvlan, ipvlan_port};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::ipvlan::{IPVLAN_F_PRIVATE, IPVLAN_F_VEPA, IpvlanMode};
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, matches};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("ipvlan", include_str!("iplink_ipvlan.txt"))
};

/// The flags, of which one can be given, by their words.
const FLAGS: [(&str, u16); 3] = [("private", IPVLAN_F_PRIVATE), ("vepa", IPVLAN_F_VEPA), ("bridge", 0)];

/// Flags are sent in any case.
fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let (mut mode, mut flags) = (None, None);
    while let Some(word) = args.take() {
        if matches(word, "mode") {
            mode = Some(parse_mode(args.value()?)?);
        } else if let Some((_, flag)) = FLAGS.iter().find(|(full, _)| flags.is_none() && matches(word, full))
        {
            flags = Some(*flag);
        } else if matches(word, "help") {
            return Err(Stop::failed(LINK_UTIL.help));
        } else {
            return Err(Stop::failed(format!("ipvlan: unknown option \"{word}\"?\n{}", LINK_UTIL.help)));
        }
    }
    Ok(IpvlanOptions { mode, flags: Some(flags.unwrap_or(0)) }.into())
}

fn parse_mode(word: &str) -> Done<IpvlanMode> {
    let known = IpvlanMode::ALL.iter().find(|(_, name)| *name == word);
    let bad = || Stop::failed("Error: argument of \"mode\" must be either \"l2\", \"l3\" or \"l3s\"\n");
    known.map(|(mode, _)| *mode).ok_or_else(bad)
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(ipvlan) = ipvlan(view.kernel, dev.id) else { return };
    let Some(port) = ipvlan_port(view.kernel, ipvlan.phy_dev) else { return };
    out.any("mode", port.mode.name(), format_args!(" mode {} ", port.mode.name()));
    for (word, is_set) in [
        ("private", port.is_private()),
        ("vepa", port.is_vepa()),
        ("bridge", !port.is_private() && !port.is_vepa()),
    ] {
        if is_set {
            out.any(word, true, format_args!("{word} "));
        }
    }
}
