//! What `type vxlan` and `type geneve` have in common.
//!
//! iproute2: ip/iplink_vxlan.c, ip/iplink_geneve.c

use std::net::Ipv4Addr;

use glassnet_kernel::tables::ip_tunnel::TunnelDf;
use glassnet_wire::vxlan::VXLAN_N_VID;

use crate::ip::args::{Args, Done, Stop, duparg2, invarg, ipv4, matches, number};
use crate::ip::names::Names;
use crate::ip::out::Out;

/// Names of attributes that were given (`attrs`).
#[derive(Default)]
pub(super) struct Given(Vec<&'static str>);

impl Given {
    /// An attribute may be given once (`check_duparg`).
    pub fn once(&mut self, attr: &'static str, key: &str, word: &str) -> Done {
        if self.0.contains(&attr) {
            return Err(duparg2(key, word));
        }
        self.0.push(attr);
        Ok(())
    }
}

/// The network and what is written around its frames.
#[derive(Default)]
pub(super) struct Outer {
    pub id: Option<u32>,
    pub ttl: Option<u8>,
    pub ttl_inherit: bool,
    pub tos: Option<u8>,
    pub df: Option<TunnelDf>,
    pub port: Option<u16>,
}

impl Outer {
    /// Parses an option; false if it is another.
    pub fn value(&mut self, given: &mut Given, option: &str, args: &mut Args) -> Done<bool> {
        match option {
            "id" | "vni" => {
                let word = args.value()?;
                given.once("id", "id", word)?;
                // `GENEVE_N_VID` is the same.
                let id = number(word).filter(|id| *id < VXLAN_N_VID);
                self.id = Some(id.ok_or_else(|| invarg("invalid id", word))?);
            }
            "ttl" | "hoplimit" => {
                let word = args.value()?;
                given.once("ttl", "ttl", word)?;
                match word {
                    "inherit" => self.ttl_inherit = true,
                    "auto" => self.ttl = Some(0),
                    _ => {
                        let ttl: u32 = number(word).ok_or_else(|| invarg("invalid TTL", word))?;
                        self.ttl = Some(u8::try_from(ttl).map_err(|_| invarg("TTL must be <= 255", word))?);
                    }
                }
            }
            "tos" | "dsfield" => {
                let word = args.value()?;
                given.once("tos", "tos", word)?;
                let tos = if word == "inherit" { Some(1) } else { Names::Dsfield.number(word) };
                self.tos = Some(tos.ok_or_else(|| invarg("bad TOS value", word))? as u8);
            }
            "df" => {
                let word = args.value()?;
                given.once("df", "df", word)?;
                let df = TunnelDf::ALL.iter().find(|(_, name)| *name == word).map(|(df, _)| *df);
                let bad = || invarg("DF must be 'unset', 'set' or 'inherit'", word);
                self.df = Some(df.ok_or_else(bad)?);
            }
            "dstport" => {
                let word = args.value()?;
                given.once("dstport", "dstport", word)?;
                self.port = Some(number(word).ok_or_else(|| invarg("dst port", word))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Parses all options: `parse` gets each of them by its full name and as it was typed, and returns false if it is not modelled.
pub(super) fn each_option(
    kind: &str,
    options: &[&'static str],
    help: &str,
    args: &mut Args,
    mut parse: impl FnMut(&'static str, &str, &mut Args) -> Done<bool>,
) -> Done {
    while let Some(word) = args.take() {
        match options.iter().copied().find(|full| matches(word, full)) {
            Some("help") => return Err(Stop::failed(help)),
            None => return Err(Stop::failed(format!("{kind}: unknown command \"{word}\"?\n{help}"))),
            Some(option) => {
                if !parse(option, word, args)? {
                    return Err(Stop::not_modelled(&format!("link … type {kind} {option}")));
                }
            }
        }
    }
    Ok(())
}

/// An address (`get_addr`); `None`: none in particular.
pub(super) fn get_addr(kind: &str, option: &str, word: &str) -> Done<Option<Ipv4Addr>> {
    if matches!(word, "any" | "all" | "default") {
        return Ok(None);
    }
    if word.contains(':') {
        return Err(Stop::not_modelled(&format!("link … type {kind} {option} {word}")));
    }
    let bad = || Stop::failed(format!("Error: any valid address is expected rather than \"{word}\".\n"));
    ipv4(word).map(Some).ok_or_else(bad)
}

pub(super) fn print_ttl(out: &mut Out, inherit: bool, ttl: u8) {
    match (inherit, ttl) {
        (true, _) => out.text("ttl inherit "),
        (false, 0) => out.any("ttl", 0, "ttl auto "),
        (false, ttl) => out.any("ttl", ttl, format_args!("ttl {ttl} ")),
    }
}

pub(super) fn print_tos(out: &mut Out, tos: u8) {
    match tos {
        0 => {}
        1 => out.any("tos", "0x1", "tos inherit "),
        tos => out.any("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
    }
}

pub(super) fn print_df(out: &mut Out, df: TunnelDf) {
    let name = TunnelDf::ALL.iter().find(|(other, _)| *other == df).map_or("", |(_, name)| name);
    match df {
        TunnelDf::Unset => out.json("df", name),
        _ => out.any("df", name, format_args!("df {name} ")),
    }
}
