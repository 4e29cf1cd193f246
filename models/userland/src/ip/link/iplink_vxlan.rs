//! `type vxlan`.
//!
//! iproute2: ip/iplink_vxlan.c

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::vxlan::vxlan_config::VxlanOptions;
use glassnet_kernel::drivers::vxlan::vxlan_core::vxlan;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::ip_tunnel::TunnelDf;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_kernel::tables::vxlan::VxlanConfig;
use glassnet_wire::vxlan::VXLAN_N_VID;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, duparg2, invarg, ipv4, matches, nodev, number};
use crate::ip::link_show::View;
use crate::ip::names::Names;
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
    /// Names of attributes that were given (`attrs`).
    given: Vec<&'static str>,
    /// `external`, or its absence, was asked for, and what else only matters with it.
    metadata: bool,
    vnifilter: bool,
}

impl Parsed {
    /// An attribute may be given once (`check_duparg`).
    fn once(&mut self, attr: &'static str, key: &str, word: &str) -> Done {
        if self.given.contains(&attr) {
            return Err(duparg2(key, word));
        }
        self.given.push(attr);
        Ok(())
    }
}

fn parse(ip: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut parsed = Parsed::default();
    while let Some(word) = args.take() {
        let option = OPTIONS.iter().copied().find(|full| matches(word, full));
        match option {
            Some("help") => return Err(Stop::failed(LINK_UTIL.help)),
            None => {
                return Err(Stop::failed(format!("vxlan: unknown command \"{word}\"?\n{}", LINK_UTIL.help)));
            }
            Some(option) => {
                if !(address(&mut parsed, option, args)?
                    || value(ip, &mut parsed, option, args)?
                    || flag(&mut parsed, option, word)?)
                {
                    return Err(Stop::not_modelled(&format!("link … type vxlan {option}")));
                }
            }
        }
    }
    if parsed.metadata && parsed.options.id.is_some() {
        return Err(Stop::failed("vxlan: both 'external' and vni cannot be specified\n"));
    }
    if parsed.vnifilter && !parsed.metadata {
        return Err(Stop::failed("vxlan: vnifilter is valid only when 'external' is set\n"));
    }
    if parsed.metadata {
        return Err(Stop::not_modelled("link … type vxlan external"));
    }
    Ok(parsed.options.into())
}

/// What the tool checks at the end: a new device must have a number.
fn check(ip: &mut Ip, info: &LinkInfo, is_new: bool) -> Done {
    let Some(options) = info.data::<VxlanOptions>() else { return Ok(()) };
    if options.id.is_none() && is_new {
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
    parsed.once(if option == "local" { "local" } else { "group" }, option, word)?;
    let given = get_addr(option, word)?;
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

/// An address; `None`: none in particular.
fn get_addr(option: &str, word: &str) -> Done<Option<Ipv4Addr>> {
    if matches!(word, "any" | "all" | "default") {
        return Ok(None);
    }
    if word.contains(':') {
        return Err(Stop::not_modelled(&format!("link … type vxlan {option} {word}")));
    }
    let bad = || Stop::failed(format!("Error: any valid address is expected rather than \"{word}\".\n"));
    ipv4(word).map(Some).ok_or_else(bad)
}

/// Parses an option with another value; false if it is another.
fn value(ip: &Ip, parsed: &mut Parsed, option: &str, args: &mut Args) -> Done<bool> {
    match option {
        "id" | "vni" => {
            let word = args.value()?;
            parsed.once("id", "id", word)?;
            let id = number(word).filter(|id| *id < VXLAN_N_VID);
            parsed.options.id = Some(id.ok_or_else(|| invarg("invalid id", word))?);
        }
        "dev" => {
            let name = args.value()?;
            parsed.once("dev", "dev", name)?;
            let dev = ip.find_dev(name).ok_or_else(|| Stop { status: 255, ..nodev(name) })?;
            parsed.options.link = Some(ip.kernel(|kernel| kernel.devs[dev].ifindex));
        }
        "ttl" | "hoplimit" => ttl(parsed, args.value()?)?,
        "tos" | "dsfield" => {
            let word = args.value()?;
            parsed.once("tos", "tos", word)?;
            let tos = if word == "inherit" { Some(1) } else { Names::Dsfield.number(word) };
            parsed.options.tos = Some(tos.ok_or_else(|| invarg("bad TOS value", word))? as u8);
        }
        "df" => {
            let word = args.value()?;
            parsed.once("df", "df", word)?;
            let df = TunnelDf::ALL.iter().find(|(_, name)| *name == word).map(|(df, _)| *df);
            let bad = || invarg("DF must be 'unset', 'set' or 'inherit'", word);
            parsed.options.df = Some(df.ok_or_else(bad)?);
        }
        "label" | "flowlabel" => {
            /// `LABEL_MAX_MASK`.
            const MOST: u32 = 0xf_ffff;
            let word = args.value()?;
            parsed.once("label", "flowlabel", word)?;
            let label = number(word).filter(|label| *label <= MOST);
            parsed.options.label = label.ok_or_else(|| invarg("invalid flowlabel", word))?;
        }
        _ => return more_values(parsed, option, args),
    }
    Ok(true)
}

fn more_values(parsed: &mut Parsed, option: &str, args: &mut Args) -> Done<bool> {
    match option {
        "ageing" | "maxaddress" => {
            let word = args.value()?;
            let (attr, none, bad) = match option {
                "ageing" => ("ageing", "none", "ageing timer"),
                _ => ("maxaddress", "unlimited", "max addresses"),
            };
            parsed.once(attr, attr, word)?;
            let count = if word == none { Some(0) } else { number(word) };
            let count = Some(count.ok_or_else(|| invarg(bad, word))?);
            match option {
                "ageing" => parsed.options.ageing = count,
                _ => parsed.options.limit = count,
            }
        }
        "port" | "srcport" => {
            let word = args.value()?;
            parsed.once("srcport", "srcport", word)?;
            let low = number(word).ok_or_else(|| invarg("min port", word))?;
            parsed.options.port_range = Some((low, args.number("max port")?));
        }
        "dstport" => {
            let word = args.value()?;
            parsed.once("dstport", "dstport", word)?;
            parsed.options.port = Some(number(word).ok_or_else(|| invarg("dst port", word))?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn ttl(parsed: &mut Parsed, word: &str) -> Done {
    parsed.once("ttl", "ttl", word)?;
    match word {
        "inherit" => parsed.options.ttl_inherit = true,
        "auto" => parsed.options.ttl = Some(0),
        _ => {
            let ttl: u32 = number(word).ok_or_else(|| invarg("invalid TTL", word))?;
            parsed.options.ttl = Some(u8::try_from(ttl).map_err(|_| invarg("TTL must be <= 255", word))?);
        }
    }
    Ok(())
}

/// Parses an option without a value; false if it is not modelled.
fn flag(parsed: &mut Parsed, option: &'static str, word: &str) -> Done<bool> {
    let name = option.strip_prefix("no").unwrap_or(option);
    parsed.once(name, word, word)?;
    let (options, on) = (&mut parsed.options, name == option);
    match name {
        "learning" => options.learning = Some(on),
        "udpcsum" => options.udp_csum = Some(on),
        "external" => parsed.metadata = on,
        "vnifilter" => parsed.vnifilter = on,
        _ if on && !matches!(name, "proxy" | "rsc" | "l2miss" | "l3miss") => return Ok(false),
        _ => options.flags.push((name, on)),
    }
    Ok(true)
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(device) = vxlan(view.kernel, dev.id) else { return };
    let cfg = &device.cfg;
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
    out.any("udp_zero_csum6_rx", false, "noudp6zerocsumrx ");
}

fn print_flags(out: &mut Out, cfg: &VxlanConfig) {
    out.any("learning", cfg.learn, if cfg.learn { "" } else { "nolearning " });
    let flags = [("proxy", cfg.proxy), ("rsc", cfg.rsc), ("l2miss", cfg.l2miss), ("l3miss", cfg.l3miss)];
    for (name, _) in flags.into_iter().filter(|(_, on)| *on) {
        out.any(name, true, format_args!("{name} "));
    }
    match cfg.tos {
        0 => {}
        1 => out.any("tos", "0x1", "tos inherit "),
        tos => out.any("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
    }
    match (cfg.ttl_inherit, cfg.ttl) {
        (true, _) => out.text("ttl inherit "),
        (false, 0) => out.any("ttl", 0, "ttl auto "),
        (false, ttl) => out.any("ttl", ttl, format_args!("ttl {ttl} ")),
    }
    let df = TunnelDf::ALL.iter().find(|(df, _)| *df == cfg.df).map_or("", |(_, name)| name);
    match cfg.df {
        TunnelDf::Unset => out.json("df", df),
        _ => out.any("df", df, format_args!("df {df} ")),
    }
}
