//! `type macvlan`.
//!
//! iproute2: ip/iplink_macvlan.c

use glassnet_kernel::drivers::macvlan::{MacvlanOptions, macvlan, macvlan_port};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::macvlan::{MACVLAN_FLAG_NOPROMISC, MacvlanMode};
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("macvlan", include_str!("iplink_macvlan.txt"))
};

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut options = MacvlanOptions::default();
    let not_modelled = |what: &str| Err(Stop::not_modelled(&format!("link … type macvlan {what}")));
    while let Some(word) = args.take() {
        let is = |full| matches(word, full);
        if is("mode") {
            options.mode = Some(mode(args.value()?)?);
        } else if is("flag") {
            match args.value()? {
                "nopromisc" => options.flags = Some(MACVLAN_FLAG_NOPROMISC),
                "null" => options.flags = Some(0),
                "nodst" => return not_modelled("flag nodst"),
                other => return Err(must_be("flag", r#""nopromisc", "nodst" or "null""#, other)),
            }
        } else if is("macaddr") {
            return not_modelled("macaddr");
        } else if is("nopromisc") {
            options.flags = Some(MACVLAN_FLAG_NOPROMISC);
        } else if is("nodst") {
            return not_modelled("nodst");
        } else if word == "bcqueuelen" {
            let text = args.value()?;
            let bad = || must_be("bcqueuelen", "a positive integer [0-4294967295]", text);
            options.bc_queue_len = Some(number(text).ok_or_else(bad)?);
        } else if is("help") {
            return Err(Stop::failed(LINK_UTIL.help));
        } else {
            return Err(Stop::failed(format!("macvlan: unknown option \"{word}\"?\n{}", LINK_UTIL.help)));
        }
    }
    let is_passthru = options.mode == Some(MacvlanMode::Passthru);
    if options.flags == Some(MACVLAN_FLAG_NOPROMISC) && !is_passthru {
        let text = "macvlan: nopromisc flag only valid in passthru mode\n";
        return Err(Stop::failed(format!("{text}{}", LINK_UTIL.help)));
    }
    Ok(options.into())
}

fn mode(word: &str) -> Done<MacvlanMode> {
    if word == "source" {
        return Err(Stop::not_modelled("link … type macvlan mode source"));
    }
    let known = MacvlanMode::ALL.iter().find(|(_, name)| *name == word);
    let words = r#""private", "vepa", "bridge", "passthru" or "source""#;
    known.map(|(mode, _)| *mode).ok_or_else(|| must_be("mode", words, word))
}

fn must_be(option: &str, what: &str, word: &str) -> Stop {
    Stop::failed(format!("Error: argument of \"{option}\" must be {what}, not \"{word}\"\n"))
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(vlan) = macvlan(view.kernel, dev.id) else { return };
    out.any("mode", vlan.mode.name(), format_args!("mode {} ", vlan.mode.name()));
    if vlan.flags & MACVLAN_FLAG_NOPROMISC != 0 {
        out.any("flags", "nopromisc", "nopromisc ");
    }
    let wanted = vlan.bc_queue_len_req;
    out.any("bcqueuelen", wanted, format_args!("bcqueuelen {wanted} "));
    let used = macvlan_port(view.kernel, vlan.lowerdev).map_or(0, |port| port.bc_queue_len_used);
    out.any("usedbcqueuelen", used, format_args!("usedbcqueuelen {used} "));
}
