//! `type bond_slave`: a slave of a bond.
//!
//! iproute2: ip/iplink_bond_slave.c

use glassnet_kernel::drivers::bonding::bond_netlink::SlaveAttrs;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::bonding::{BondLink, Mode};
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bond_slave", "Usage: ... bond_slave [ queue_id ID ] [ prio PRIORITY ]\n")
};

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut attrs = SlaveAttrs::default();
    while let Some(word) = args.take() {
        let name = match word {
            _ if matches(word, "queue_id") => "queue_id",
            "prio" => "prio",
            _ if matches(word, "help") => return Err(Stop::failed(LINK_UTIL.help)),
            _ => {
                return Err(Stop::failed(format!(
                    "bond_slave: unknown option \"{word}\"?\n{}",
                    LINK_UTIL.help
                )));
            }
        };
        let text = args.value()?;
        let bad = || invarg(&format!("{name} is invalid"), text);
        if name == "prio" {
            attrs.prio = Some(text.parse().map_err(|_| bad())?);
        } else if number::<u16>(text).ok_or_else(bad)? != 0 {
            return Err(Stop::not_modelled(&format!("link … type bond_slave queue_id {text}")));
        }
    }
    Ok(LinkInfo::with(LINK_UTIL.id, attrs))
}

/// The word for the state of a slave's link.
fn mii_status(link: BondLink) -> &'static str {
    match link {
        BondLink::Up => "UP",
        BondLink::Fail => "GOING_DOWN",
        BondLink::Down => "DOWN",
        BondLink::Back => "GOING_BACK",
    }
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let bond = dev.master().and_then(|master| view.kernel.devs[master].bond());
    let Some(slave) = bond.and_then(|bond| bond.slave(dev.id)) else { return };
    let state = if slave.active { "ACTIVE" } else { "BACKUP" };
    out.any("state", state, format_args!("state {state} "));
    let status = mii_status(slave.link);
    out.any("mii_status", status, format_args!("mii_status {status} "));
    let failures = slave.link_failure_count;
    out.any("link_failure_count", failures, format_args!("link_failure_count {failures} "));
    let addr = slave.perm_hwaddr.to_string();
    out.any("perm_hwaddr", addr.as_str(), format_args!("perm_hwaddr {addr} "));
    out.any("queue_id", 0, format_args!("queue_id 0 "));
    out.any("prio", slave.prio, format_args!("prio {} ", slave.prio));
    let port = &slave.ad.port;
    let Some(agg) =
        bond.filter(|bond| bond.mode() == Mode::Ieee8023ad).and_then(|bond| bond.aggregator_of(port))
    else {
        return;
    };
    let id = agg.aggregator_identifier;
    out.any("ad_aggregator_id", id, format_args!("ad_aggregator_id {id} "));
    print_state(out, "ad_actor_oper_port_state", port.actor_oper_port_state);
    print_state(out, "ad_partner_oper_port_state", port.partner_oper.port_state);
}

/// State of a port: the number, and the words.
fn print_state(out: &mut Out, key: &str, state: u8) {
    let words =
        ["active", "short_timeout", "aggregating", "in_sync", "collecting", "distributing", "defaulted"];
    let words = words.iter().chain(&["expired"]).enumerate().filter(|(at, _)| state & 1 << at != 0);
    let words: Vec<&str> = words.map(|(_, word)| *word).collect();
    out.any(key, state, format_args!("{key} {state} "));
    out.open_array(Some(&format!("{key}_str")));
    out.text(format_args!("{key}_str <{}> ", words.join(",")));
    words.into_iter().for_each(|word| out.item(word, ""));
    out.close_array();
}
