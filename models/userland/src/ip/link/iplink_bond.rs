//! `type bond`.
//!
//! iproute2: ip/iplink_bond.c

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::bonding::bond_netlink::BondAttrs;
use glassnet_kernel::drivers::bonding::bond_options::{BondOption, OPTIONS, option};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::netlink::{Errno, NlError};
use glassnet_kernel::tables::bonding::{BOND_MAX_ARP_TARGETS, Bonding, Mode, Opt};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::Mac;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, ipv4, lladdr, mac, matches, number};
use crate::ip::link_show::View;
use crate::ip::out::{Out, Value};

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    print_opt: Some(print),
    ..LinkUtil::new("bond", include_str!("iplink_bond.txt"))
};

/// The options that take a number or a word, in the order in which a word is tried.
const WORDS: &[Opt] = &[
    Opt::Mode,
    Opt::Miimon,
    Opt::Updelay,
    Opt::Downdelay,
    Opt::PeerNotifyDelay,
    Opt::UseCarrier,
    Opt::ArpInterval,
    Opt::ArpValidate,
    Opt::ArpAllTargets,
    Opt::PrimaryReselect,
    Opt::FailOverMac,
    Opt::XmitHashPolicy,
    Opt::ResendIgmp,
    Opt::NumGratArp,
    Opt::AllSlavesActive,
    Opt::MinLinks,
    Opt::LpInterval,
    Opt::PacketsPerSlave,
    Opt::LacpActive,
    Opt::LacpRate,
    Opt::AdSelect,
    Opt::AdUserPortKey,
    Opt::AdActorSysPrio,
    Opt::TlbDynamicLb,
    Opt::ArpMissedMax,
];

fn parse(ip: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut attrs = BondAttrs::default();
    while let Some(word) = args.take() {
        let is = |name: &str| matches(word, name);
        let row = WORDS.iter().map(|opt| option(*opt)).find(|row| is(row.name));
        match row {
            // `active_slave` stands behind `mode`, and `clear_active_slave` behind it.
            Some(row) if row.opt == Opt::Mode => attrs.options.push((row.opt, value(args, row)?)),
            _ if is("active_slave") => attrs.active_slave = Some(Some(ip.dev(args.value()?)?)),
            _ if is("clear_active_slave") => attrs.active_slave = Some(None),
            _ if is("num_unsol_na") => {
                attrs.options.push((Opt::NumGratArp, value(args, option(Opt::NumGratArp))?))
            }
            _ if is("primary") => attrs.primary = Some(ip.dev(args.value()?)?),
            Some(row) => attrs.options.push((row.opt, value(args, row)?)),
            None if is("arp_ip_target") => attrs.arp_ip_target = Some(arp_ip_target(args)?),
            None if is("ns_ip6_target") => return Err(Stop::not_modelled("link … type bond ns_ip6_target")),
            None if is("ad_actor_system") => attrs.ad_actor_system = Some(ad_actor_system(args)?),
            None if is("help") => return Err(Stop::failed(LINK_UTIL.help)),
            None => {
                return Err(Stop::failed(format!("bond: unknown command \"{word}\"?\n{}", LINK_UTIL.help)));
            }
        }
    }
    Ok(LinkInfo::with(LINK_UTIL.id, attrs))
}

/// Addresses with commas between them; none if the command ends here.
fn arp_ip_target(args: &mut Args) -> Done<Vec<Ipv4Addr>> {
    let texts = args.take().unwrap_or_default().split(',').filter(|text| !text.is_empty());
    let bad = |text: &str| Stop::failed(format!("Error: an IP address is expected rather than \"{text}\"\n"));
    texts.take(BOND_MAX_ARP_TARGETS).map(|text| ipv4(text).ok_or_else(|| bad(text))).collect()
}

/// An Ethernet address. The kernel refuses another one.
fn ad_actor_system(args: &mut Args) -> Done<Mac> {
    mac(&lladdr(args.value()?)?).map_err(|bytes| {
        Stop::refused(&if bytes < 6 {
            Errno::EINVAL.into()
        } else {
            NlError::with(Errno::ERANGE, "Attribute failed policy validation")
        })
    })
}

/// The value of an option: a number, or the name or the number of a choice.
fn value(args: &mut Args, row: &BondOption) -> Done<u32> {
    let text = args.value()?;
    let named = row.choices.iter().position(|choice| *choice == text).map(|at| at as u32);
    let max = match row.opt {
        _ if !row.choices.is_empty() => row.choices.len() as u32 - 1,
        // `get_u8`
        Opt::UseCarrier | Opt::NumGratArp | Opt::AllSlavesActive | Opt::TlbDynamicLb | Opt::ArpMissedMax => {
            255
        }
        // `get_u16`
        Opt::AdUserPortKey | Opt::AdActorSysPrio => 65_535,
        _ => u32::MAX,
    };
    let value = named.or_else(|| number(text).filter(|value| *value <= max));
    let name = if row.opt == Opt::NumGratArp { "num_grat_arp|num_unsol_na" } else { row.name };
    value.ok_or_else(|| invarg(&format!("invalid {name}"), text))
}

/// What is printed behind the mode and the slave that works: the key in JSON and the option.
const SHOWN: &[(&str, Opt)] = &[
    ("miimon", Opt::Miimon),
    ("updelay", Opt::Updelay),
    ("downdelay", Opt::Downdelay),
    ("peer_notify_delay", Opt::PeerNotifyDelay),
    ("use_carrier", Opt::UseCarrier),
    ("arp_interval", Opt::ArpInterval),
    ("arp_missed_max", Opt::ArpMissedMax),
    ("arp_validate", Opt::ArpValidate),
    ("arp_all_targets", Opt::ArpAllTargets),
    ("primary_reselect", Opt::PrimaryReselect),
    ("fail_over_mac", Opt::FailOverMac),
    ("xmit_hash_policy", Opt::XmitHashPolicy),
    ("resend_igmp", Opt::ResendIgmp),
    ("num_peer_notif", Opt::NumGratArp),
    ("all_slaves_active", Opt::AllSlavesActive),
    ("min_links", Opt::MinLinks),
    ("lp_interval", Opt::LpInterval),
    ("packets_per_slave", Opt::PacketsPerSlave),
    ("ad_lacp_active", Opt::LacpActive),
    ("ad_lacp_rate", Opt::LacpRate),
    ("ad_select", Opt::AdSelect),
    ("tlb_dynamic_lb", Opt::TlbDynamicLb),
];

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(bond) = dev.bond() else { return };
    let name = |dev| view.kernel.devs[dev].name.as_str();
    print_value(out, "mode", option(Opt::Mode), bond);
    if let Some(active) = bond.curr_active_slave.filter(|_| bond.uses_primary()) {
        out.any("active_slave", name(active), format_args!("active_slave {} ", name(active)));
    }
    for (key, opt) in SHOWN {
        if *opt == Opt::PrimaryReselect
            && let Some(primary) = &bond.primary
            && bond.slaves.iter().any(|slave| name(slave.dev) == primary)
        {
            out.any("primary", primary.as_str(), format_args!("primary {primary} "));
        }
        if *opt == Opt::TlbDynamicLb && bond.mode() == Mode::Ieee8023ad {
            print_8023ad(out, bond);
        }
        print_value(out, key, option(*opt), bond);
        if *opt == Opt::ArpMissedMax && !bond.arp_targets.is_empty() {
            print_arp_ip_target(out, bond);
        }
    }
}

fn print_arp_ip_target(out: &mut Out, bond: &Bonding) {
    let targets: Vec<String> = bond.arp_targets.iter().map(Ipv4Addr::to_string).collect();
    out.open_array(Some("arp_ip_target"));
    out.text(format_args!("arp_ip_target {} ", targets.join(",")));
    targets.into_iter().for_each(|target| out.item(target, ""));
    out.close_array();
}

/// The aggregator that the bond sends by, and what the user set.
fn print_8023ad(out: &mut Out, bond: &Bonding) {
    if let Some(agg) = bond.active_aggregator() {
        let numbers = [
            ("aggregator", u32::from(agg.aggregator_identifier)),
            ("num_ports", bond.active_ports(agg)),
            ("actor_key", u32::from(agg.actor_oper_aggregator_key)),
            ("partner_key", u32::from(agg.partner_oper_aggregator_key)),
        ];
        out.open(Some("ad_info"));
        numbers.into_iter().for_each(|(key, value)| out.any(key, value, format_args!("ad_{key} {value} ")));
        let partner = agg.partner_system.to_string();
        out.any("partner_mac", partner.as_str(), format_args!("ad_partner_mac {partner} "));
        out.close();
    }
    for opt in [Opt::AdActorSysPrio, Opt::AdUserPortKey] {
        print_value(out, option(opt).name, option(opt), bond);
    }
    let system = bond.ad_actor_system.to_string();
    out.any("ad_actor_system", system.as_str(), format_args!("ad_actor_system {system} "));
}

fn print_value(out: &mut Out, key: &str, row: &BondOption, bond: &Bonding) {
    let value = row.get(bond);
    match row.choices.get(value as usize) {
        // iproute2 has no text for this one in JSON.
        Some(choice) if row.opt == Opt::ArpValidate && value == 0 => {
            out.any(key, Value::Null, format_args!("{} {choice} ", row.name));
        }
        Some(choice) => out.any(key, *choice, format_args!("{} {choice} ", row.name)),
        None => out.any(key, value, format_args!("{} {value} ", row.name)),
    }
}

/// All options are parsed.
const _: () = assert!(WORDS.len() == OPTIONS.len());
