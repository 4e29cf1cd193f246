//! `type geneve`.
//!
//! iproute2: ip/iplink_geneve.c

use glassnet_kernel::drivers::geneve::{GeneveOptions, geneve};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::netdev::NetDevice;

use super::LinkUtil;
use super::udp_tunnel::{Given, Outer, each_option, get_addr, print_df, print_tos, print_ttl};
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(parse),
    check_opt: Some(check),
    print_opt: Some(print),
    ..LinkUtil::new("geneve", include_str!("iplink_geneve.txt"))
};

/// All options, in the order in which the real tool looks for an abbreviation.
const OPTIONS: &[&str] = &[
    "id",
    "vni",
    "remote",
    "ttl",
    "hoplimit",
    "tos",
    "dsfield",
    "df",
    "label",
    "flowlabel",
    "dstport",
    "external",
    "noexternal",
    "udpcsum",
    "noudpcsum",
    "udp6zerocsumtx",
    "noudp6zerocsumtx",
    "udp6zerocsumrx",
    "noudp6zerocsumrx",
    "innerprotoinherit",
    "help",
];

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let (mut outer, mut given, mut external) = (Outer::default(), Given::default(), false);
    let mut options = GeneveOptions::default();
    each_option("geneve", OPTIONS, LINK_UTIL.help, args, |option, word, args| {
        if option == "remote" {
            let word = args.value()?;
            given.once("remote", "remote", word)?;
            let remote = get_addr("geneve", option, word)?.filter(|remote| !remote.is_multicast());
            options.remote = Some(remote.ok_or_else(|| invarg("invalid remote address", word))?);
            return Ok(true);
        }
        if outer.value(&mut given, option, args)? {
            return Ok(true);
        }
        let name = option.strip_prefix("no").unwrap_or(option);
        given.once(name, word, word)?;
        match name {
            "udpcsum" => options.udp_csum = Some(name == option),
            "external" => external = name == option,
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    if external && outer.id.is_some() {
        return Err(Stop::failed("geneve: both 'external' and vni cannot be specified\n"));
    }
    options.collect_md = external;
    let Outer { id, ttl, ttl_inherit, tos, df, port } = outer;
    Ok(GeneveOptions { id, ttl, ttl_inherit, tos, df, port, ..options }.into())
}

/// What the tool checks at the end: a change names the network too.
fn check(_: &mut Ip, info: &LinkInfo, is_new: bool) -> Done {
    let Some(options) = info.data::<GeneveOptions>() else { return Ok(()) };
    if options.collect_md {
        return Ok(());
    }
    if options.id.is_none() {
        return Err(Stop::failed("geneve: missing virtual network identifier\n"));
    }
    if options.remote.is_none() && is_new {
        return Err(Stop::failed("geneve: remote link partner not specified\n"));
    }
    Ok(())
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(device) = geneve(view.kernel, dev.id) else { return };
    let cfg = &device.cfg;
    if cfg.collect_md {
        out.any("external", true, "external ");
    }
    out.any("id", cfg.vni, format_args!("id {} ", cfg.vni));
    if !cfg.remote.is_unspecified() {
        out.any("remote", cfg.remote.to_string(), format_args!("remote {} ", cfg.remote));
    }
    print_ttl(out, cfg.ttl_inherit, cfg.ttl);
    print_tos(out, cfg.tos);
    print_df(out, cfg.df);
    out.any("port", cfg.port, format_args!("dstport {} ", cfg.port));
    if !cfg.collect_md {
        out.any("udp_csum", cfg.udp_csum, if cfg.udp_csum { "udpcsum " } else { "noudpcsum " });
    }
    out.any("udp_zero_csum6_rx", true, "udp6zerocsumrx ");
}
