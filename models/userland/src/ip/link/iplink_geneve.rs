//! `type geneve`.
//!
//! iproute2: ip/iplink_geneve.c

use std::net::Ipv4Addr;

use glassnet_kernel::drivers::geneve::{GeneveOptions, geneve};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::tables::ip_tunnel::TunnelDf;
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::geneve::GENEVE_N_VID;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, duparg2, invarg, ipv4, matches, number};
use crate::ip::link_show::View;
use crate::ip::names::Names;
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

/// What was parsed so far.
#[derive(Default)]
struct Parsed {
    options: GeneveOptions,
    /// Names of attributes that were given (`attrs`).
    given: Vec<&'static str>,
    external: bool,
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

fn parse(_: &Ip, args: &mut Args) -> Done<LinkInfo> {
    let mut parsed = Parsed::default();
    while let Some(word) = args.take() {
        match OPTIONS.iter().copied().find(|full| matches(word, full)) {
            Some("help") => return Err(Stop::failed(LINK_UTIL.help)),
            None => {
                let unknown = format!("geneve: unknown command \"{word}\"?\n{}", LINK_UTIL.help);
                return Err(Stop::failed(unknown));
            }
            Some(option) => {
                if !(value(&mut parsed, option, args)? || flag(&mut parsed, option, word)?) {
                    return Err(Stop::not_modelled(&format!("link … type geneve {option}")));
                }
            }
        }
    }
    if parsed.external && parsed.options.id.is_some() {
        return Err(Stop::failed("geneve: both 'external' and vni cannot be specified\n"));
    }
    if parsed.external {
        return Err(Stop::not_modelled("link … type geneve external"));
    }
    Ok(parsed.options.into())
}

/// What the tool checks at the end: a change names the network too.
fn check(_: &mut Ip, info: &LinkInfo, is_new: bool) -> Done {
    let Some(options) = info.data::<GeneveOptions>() else { return Ok(()) };
    if options.id.is_none() {
        return Err(Stop::failed("geneve: missing virtual network identifier\n"));
    }
    if options.remote.is_none() && is_new {
        return Err(Stop::failed("geneve: remote link partner not specified\n"));
    }
    Ok(())
}

/// Parses an option with a value; false if it is another.
fn value(parsed: &mut Parsed, option: &str, args: &mut Args) -> Done<bool> {
    match option {
        "id" | "vni" => {
            let word = args.value()?;
            parsed.once("id", "id", word)?;
            let id = number(word).filter(|id| *id < GENEVE_N_VID);
            parsed.options.id = Some(id.ok_or_else(|| invarg("invalid id", word))?);
        }
        "remote" => {
            let word = args.value()?;
            parsed.once("remote", "remote", word)?;
            parsed.options.remote = Some(remote(word)?);
        }
        "ttl" | "hoplimit" => {
            let word = args.value()?;
            parsed.once("ttl", "ttl", word)?;
            match word {
                "inherit" => parsed.options.ttl_inherit = true,
                "auto" => parsed.options.ttl = Some(0),
                _ => {
                    let ttl: u32 = number(word).ok_or_else(|| invarg("invalid TTL", word))?;
                    let ttl = u8::try_from(ttl).map_err(|_| invarg("TTL must be <= 255", word))?;
                    parsed.options.ttl = Some(ttl);
                }
            }
        }
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
        "dstport" => {
            let word = args.value()?;
            parsed.once("dstport", "dstport", word)?;
            parsed.options.port = Some(number(word).ok_or_else(|| invarg("dst port", word))?);
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn remote(word: &str) -> Done<Ipv4Addr> {
    if word.contains(':') {
        return Err(Stop::not_modelled(&format!("link … type geneve remote {word}")));
    }
    let bad = || Stop::failed(format!("Error: any valid address is expected rather than \"{word}\".\n"));
    let address = ipv4(word).ok_or_else(bad)?;
    if address.is_multicast() { Err(invarg("invalid remote address", word)) } else { Ok(address) }
}

/// Parses an option without a value; false if it is not modelled.
fn flag(parsed: &mut Parsed, option: &'static str, word: &str) -> Done<bool> {
    let name = option.strip_prefix("no").unwrap_or(option);
    parsed.once(name, word, word)?;
    let on = name == option;
    match name {
        "udpcsum" => parsed.options.udp_csum = Some(on),
        "external" => parsed.external = on,
        _ => return Ok(false),
    }
    Ok(true)
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(device) = geneve(view.kernel, dev.id) else { return };
    let cfg = &device.cfg;
    out.any("id", cfg.vni, format_args!("id {} ", cfg.vni));
    if !cfg.remote.is_unspecified() {
        out.any("remote", cfg.remote.to_string(), format_args!("remote {} ", cfg.remote));
    }
    if cfg.ttl_inherit {
        out.text("ttl inherit ");
    } else if cfg.ttl == 0 {
        out.any("ttl", 0, "ttl auto ");
    } else {
        out.any("ttl", cfg.ttl, format_args!("ttl {} ", cfg.ttl));
    }
    match cfg.tos {
        0 => {}
        1 => out.any("tos", "0x1", "tos inherit "),
        tos => out.any("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
    }
    if let Some((_, name)) = TunnelDf::ALL.iter().find(|(df, _)| *df == cfg.df) {
        out.json("df", *name);
        if cfg.df != TunnelDf::Unset {
            out.text(format_args!("df {name} "));
        }
    }
    out.any("port", cfg.port, format_args!("dstport {} ", cfg.port));
    out.any("udp_csum", cfg.udp_csum, if cfg.udp_csum { "udpcsum " } else { "noudpcsum " });
    out.any("udp_zero_csum6_rx", true, "udp6zerocsumrx ");
}
