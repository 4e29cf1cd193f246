//! `type vxlan`.
//!
//! iproute2: ip/iplink_vxlan.c

use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::drivers::vxlan::vxlan_core::vxlan;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::vxlan::VxlanConfig;

use super::LinkUtil;
use super::udp_tunnel::{Given, Outer, each_option, get_addr, print_df, print_tos, print_ttl};
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, nodev, number};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    check_opt: Some(check),
    print_opt: Some(print),
    ..LinkUtil::new("vxlan", include_str!("iplink_vxlan.txt"))
};

/// All options, in the order in which the real tool looks for an abbreviation.
const OPTIONS: &[&str] = &[
    "id",
    "vni",
    "group",
    "remote",
    "local",
    "dev",
    "ttl",
    "hoplimit",
    "tos",
    "dsfield",
    "df",
    "label",
    "flowlabel",
    "ageing",
    "maxaddress",
    "port",
    "srcport",
    "dstport",
    "nolearning",
    "learning",
    "noproxy",
    "proxy",
    "norsc",
    "rsc",
    "nol2miss",
    "l2miss",
    "nol3miss",
    "l3miss",
    "udpcsum",
    "noudpcsum",
    "udp6zerocsumtx",
    "noudp6zerocsumtx",
    "udp6zerocsumrx",
    "noudp6zerocsumrx",
    "remcsumtx",
    "noremcsumtx",
    "remcsumrx",
    "noremcsumrx",
    "external",
    "noexternal",
    "gbp",
    "gpe",
    "vnifilter",
    "novnifilter",
    "help",
];

/// What was parsed so far.
#[derive(Default)]
struct Parsed {
    options: VxlanOptions,
    outer: Outer,
    given: Given,
    /// `external`, or its absence, was asked for, and what else only matters with it.
    metadata: bool,
    vnifilter: bool,
}

fn parse(ip: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut parsed = Parsed::default();
    each_option("vxlan", OPTIONS, LINK_UTIL.help, args, |option, word, args| {
        Ok(address(&mut parsed, option, args)?
            || parsed.outer.value(&mut parsed.given, option, args)?
            || value(ip, &mut parsed, option, args)?
            || flag(&mut parsed, option, word)?)
    })?;
    if parsed.metadata && parsed.outer.id.is_some() {
        return Err(Stop::failed("vxlan: both 'external' and vni cannot be specified\n"));
    }
    if parsed.vnifilter && !parsed.metadata {
        return Err(Stop::failed("vxlan: vnifilter is valid only when 'external' is set\n"));
    }
    if parsed.vnifilter {
        return Err(Stop::not_modelled("link … type vxlan vnifilter"));
    }
    let Outer { id, ttl, ttl_inherit, tos, df, port } = parsed.outer;
    Ok(VxlanOptions { id, ttl, ttl_inherit, tos, df, port, ..parsed.options }.into())
}

/// What the tool checks at the end: a new device must have a number.
fn check(ip: &mut Ip, info: &LinkInfo, is_new: bool) -> Done {
    let Some(options) = info.data::<VxlanOptions>() else { return Ok(()) };
    if options.id.is_none() && is_new && options.collect_md != Some(true) {
        return Err(Stop::failed("vxlan: missing virtual network identifier\n"));
    }
    if options.group.is_some_and(|group| group.is_multicast()) && options.link.is_none() {
        return Err(Stop::failed("vxlan: 'group' requires 'dev' to be specified\n"));
    }
    if options.port.is_none() && is_new {
        ip.process.eprint(
            "vxlan: destination port not specified\nWill use Linux kernel default (non-standard value)\n\
             Use 'dstport 4789' to get the IANA assigned value\nUse 'dstport 0' to get default and quiet this \
             message\n",
        );
    }
    Ok(())
}

/// Parses an option with an address; false if it is another.
fn address(parsed: &mut Parsed, option: &str, args: &mut Args) -> Done<bool> {
    let before = parsed.options.group;
    let both = || Err(Stop::failed("vxlan: both group and remote cannot be specified\n"));
    match option {
        "group" if before.is_some_and(|to| !to.is_multicast() && !to.is_unspecified()) => return both(),
        "remote" if before.is_some_and(|to| to.is_multicast()) => return both(),
        "group" | "remote" | "local" => {}
        _ => return Ok(false),
    }
    let word = args.value()?;
    parsed.given.once(if option == "local" { "local" } else { "group" }, option, word)?;
    let given = get_addr("vxlan", option, word)?;
    let fits = given.is_some_and(|address| address.is_multicast() == (option == "group"));
    let Some(given) = given.filter(|_| fits) else {
        return Err(invarg(&format!("invalid {option} address"), word));
    };
    match option {
        "local" => parsed.options.local = Some(given),
        _ => parsed.options.group = Some(given),
    }
    Ok(true)
}

/// Parses an option with another value; false if it is another.
fn value(ip: &Ip, parsed: &mut Parsed, option: &str, args: &mut Args) -> Done<bool> {
    match option {
        "dev" => {
            let name = args.value()?;
            parsed.given.once("dev", "dev", name)?;
            let dev = ip.find_dev(name).ok_or_else(|| Stop { status: 255, ..nodev(name) })?;
            parsed.options.link = Some(ip.kernel(|kernel| kernel.devs[dev].ifindex));
        }
        "label" | "flowlabel" => {
            /// `LABEL_MAX_MASK`.
            const MOST: u32 = 0xf_ffff;
            let word = args.value()?;
            parsed.given.once("label", "flowlabel", word)?;
            let label = number(word).filter(|label| *label <= MOST);
            parsed.options.label = label.ok_or_else(|| invarg("invalid flowlabel", word))?;
        }
        "ageing" | "maxaddress" => {
            let word = args.value()?;
            let (attr, none, bad) = match option {
                "ageing" => ("ageing", "none", "ageing timer"),
                _ => ("maxaddress", "unlimited", "max addresses"),
            };
            parsed.given.once(attr, attr, word)?;
            let count = if word == none { Some(0) } else { number(word) };
            let count = Some(count.ok_or_else(|| invarg(bad, word))?);
            match option {
                "ageing" => parsed.options.ageing = count,
                _ => parsed.options.limit = count,
            }
        }
        "port" | "srcport" => {
            let word = args.value()?;
            parsed.given.once("srcport", "srcport", word)?;
            let low = number(word).ok_or_else(|| invarg("min port", word))?;
            parsed.options.port_range = Some((low, args.number("max port")?));
        }
        _ => return Ok(false),
    }
    Ok(true)
}

/// Parses an option without a value; false if it is not modelled.
fn flag(parsed: &mut Parsed, option: &'static str, word: &str) -> Done<bool> {
    let name = option.strip_prefix("no").unwrap_or(option);
    parsed.given.once(name, word, word)?;
    let (options, on) = (&mut parsed.options, name == option);
    match name {
        "learning" => options.learning = Some(on),
        "udpcsum" => options.udp_csum = Some(on),
        "external" => {
            parsed.metadata = on;
            options.collect_md = Some(on);
            if on {
                // Unless it is asked for later, such a device does not learn.
                options.learning = Some(false);
            }
        }
        "vnifilter" => parsed.vnifilter = on,
        _ if on && !matches!(name, "proxy" | "rsc" | "l2miss" | "l3miss") => return Ok(false),
        _ => options.flags.push((name, on)),
    }
    Ok(true)
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(device) = vxlan(view.kernel, dev.id) else { return };
    let cfg = &device.cfg;
    if cfg.collect_md {
        out.any("external", true, "external ");
    }
    out.any("id", cfg.vni, format_args!("id {} ", cfg.vni));
    if !cfg.remote_ip.is_unspecified() {
        let key = if cfg.remote_ip.is_multicast() { "group" } else { "remote" };
        out.any(key, cfg.remote_ip.to_string(), format_args!("{key} {} ", cfg.remote_ip));
    }
    if !cfg.saddr.is_unspecified() {
        out.any("local", cfg.saddr.to_string(), format_args!("local {} ", cfg.saddr));
    }
    if cfg.remote_ifindex != 0 {
        let lower = view.kernel.dev_by_index(dev.netns, cfg.remote_ifindex);
        let name =
            lower.map_or(format!("if{}", cfg.remote_ifindex), |dev| view.kernel.devs[dev].name.clone());
        out.any("link", name.as_str(), format_args!("dev {name} "));
    }
    let (low, high) = cfg.port_range;
    out.open(Some("port_range"));
    out.any("low", low, format_args!("srcport {low} "));
    out.any("high", high, format_args!("{high} "));
    out.close();
    out.any("port", cfg.dst_port, format_args!("dstport {} ", cfg.dst_port));
    print_flags(out, cfg);
    out.any("ageing", cfg.age_interval, format_args!("ageing {} ", cfg.age_interval));
    if cfg.addrmax != 0 {
        out.any("limit", cfg.addrmax, format_args!("maxaddr {} ", cfg.addrmax));
    }
    let no = |on: bool| if on { "" } else { "no" };
    out.any("udp_csum", cfg.udp_csum, format_args!("{}udpcsum ", no(cfg.udp_csum)));
    out.any("udp_zero_csum6_tx", false, "noudp6zerocsumtx ");
    let rx = cfg.udp_zero_csum6_rx;
    out.any("udp_zero_csum6_rx", rx, format_args!("{}udp6zerocsumrx ", no(rx)));
}

fn print_flags(out: &mut Out, cfg: &VxlanConfig) {
    out.any("learning", cfg.learn, if cfg.learn { "" } else { "nolearning " });
    let flags = [("proxy", cfg.proxy), ("rsc", cfg.rsc), ("l2miss", cfg.l2miss), ("l3miss", cfg.l3miss)];
    for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
        out.any(name, true, format_args!("{name} "));
    }
    print_tos(out, cfg.tos);
    print_ttl(out, cfg.ttl_inherit, cfg.ttl);
    print_df(out, cfg.df);
}
