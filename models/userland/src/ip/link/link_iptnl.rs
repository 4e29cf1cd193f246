//! `type ipip`.
//!
//! iproute2: ip/link_iptnl.c, ip/tunnel.c

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::ipv4::ip_tunnel::{TunnelOptions, ip_tunnel};
use glassnet_kernel::tables::ip_tunnel::{EncapType, IpTunnel, IpTunnelEncap, IpTunnelParm};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::ipv4::IPPROTO_IPIP;

use super::LinkUtil;
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, invarg, ipv4, matches, nodev, number};
use crate::ip::link_show::View;
use crate::ip::names::Names;
use crate::ip::out::Out;

/// The row.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(|ip, args| parse(ip, args, new())),
    parse_change: Some(|ip, args, dev| parse(ip, args, present(ip, dev)?)),
    print_opt: Some(print),
    ..LinkUtil::new("ipip", include_str!("link_iptnl.txt"))
};

/// A new tunnel, as far as nothing is said.
pub(super) fn new() -> TunnelOptions {
    TunnelOptions { parms: IpTunnelParm { df: true, ..IpTunnelParm::default() }, ..TunnelOptions::default() }
}

/// A tunnel as it is.
pub(super) fn present(ip: &Ip, dev: DevId) -> Done<TunnelOptions> {
    let options = |tunnel: &IpTunnel| {
        let IpTunnel { parms, fwmark, encap, ignore_df, collect_md, .. } = *tunnel;
        // iproute2 takes ports of the answer for numbers of this machine, and makes them those of the network again.
        let (sport, dport) = (encap.sport.swap_bytes(), encap.dport.swap_bytes());
        let encap = IpTunnelEncap { sport, dport, ..encap };
        TunnelOptions { parms, fwmark, encap, ignore_df: ignore_df.then_some(true), collect_md }
    };
    let present = ip.kernel(|kernel| ip_tunnel(kernel, dev).map(options));
    present.ok_or_else(|| Stop::failed("Failed to get existing tunnel info.\n"))
}

/// Words for what may be inside, as options and as they are printed.
const MODES: &[(&[&str], u8, &str)] = &[
    (&["ipip", "ip4ip4", "ipv4/ipv4", "ip/ip"], IPPROTO_IPIP, "ipip "),
    (&["any", "any/ipv4", "any/ip"], 0, "any "),
];

fn parse(ip: &Ip, args: &mut Args, mut options: TunnelOptions) -> Done<LinkInfo> {
    let other = |option: &str| Err(Stop::not_modelled(&format!("link … type ipip {option}")));
    while let Some(word) = args.take() {
        if tunnel_option(ip, word, args, &mut options.parms)? || encap_option(word, args, &mut options.encap)?
        {
            continue;
        }
        match word {
            "mode" => {
                let word = args.value()?;
                if matches!(word, "mplsip" | "mpls/ipv4" | "mpls/ip") {
                    return other("mode mplsip");
                }
                let mode = MODES.iter().find(|(words, ..)| words.contains(&word));
                options.parms.protocol =
                    mode.map(|mode| mode.1).ok_or_else(|| invarg("Cannot guess tunnel mode.", word))?;
            }
            "fwmark" => options.fwmark = args.number("invalid fwmark\n")?,
            // 6rd is for SIT.
            "external" | "6rd-prefix" | "6rd-relay_prefix" | "6rd-reset" => return other(word),
            _ => return Err(Stop::failed(LINK_UTIL.help)),
        }
    }
    check(&options.parms).map_err(Stop::usage)?;
    Ok(LinkInfo::with("ipip", options))
}

/// Parses an option about UDP around a tunnel's packets; false if it is another.
pub(super) fn encap_option(word: &str, args: &mut Args, encap: &mut IpTunnelEncap) -> Done<bool> {
    match word {
        "noencap" => encap.kind = EncapType::None,
        "encap" => {
            encap.kind = match args.value()? {
                "none" => EncapType::None,
                "fou" => EncapType::Fou,
                "gue" => EncapType::Gue,
                kind => return Err(invarg("Invalid encap type.", kind)),
            }
        }
        "encap-sport" => {
            let word = args.value()?;
            let port = if word == "auto" { Some(0) } else { number(word) };
            encap.sport = port.ok_or_else(|| invarg("Invalid source port.", word))?;
        }
        "encap-dport" => encap.dport = args.number("Invalid destination port.")?,
        "encap-csum" | "noencap-csum" => encap.csum = word == "encap-csum",
        // The help calls it "encap-csum6".
        "encap-udp6-csum" | "noencap-udp6-csum" => encap.csum6 = word == "encap-udp6-csum",
        "encap-remcsum" | "noencap-remcsum" => encap.remcsum = word == "encap-remcsum",
        _ => return Ok(false),
    }
    Ok(true)
}

/// What no tunnel can be.
pub(in crate::ip) fn check(parms: &IpTunnelParm) -> Result<(), &'static str> {
    let is_bad = parms.ttl != 0 && !parms.df;
    if is_bad { Err("ttl != 0 and nopmtudisc are incompatible\n") } else { Ok(()) }
}

/// Parses an option that all tunnels over IPv4 have; false if it is another.
pub(super) fn tunnel_option(ip: &Ip, word: &str, args: &mut Args, parms: &mut IpTunnelParm) -> Done<bool> {
    match word {
        "remote" => parms.daddr = get_addr(args.value()?)?,
        "local" => parms.saddr = get_addr(args.value()?)?,
        _ if matches(word, "dev") => {
            let name = args.value()?;
            let dev = ip.find_dev(name).ok_or_else(|| Stop { status: 255, ..nodev(name) })?;
            parms.link = ip.kernel(|kernel| kernel.devs[dev].ifindex);
        }
        "ttl" | "hoplimit" | "hlim" => parms.ttl = ttl(args.value()?)?,
        _ if matches!(word, "tos" | "tclass") || matches(word, "dsfield") => {
            let word = args.value()?;
            let tos = if word == "inherit" { Some(1) } else { Names::Dsfield.number(word) };
            parms.tos = tos.ok_or_else(|| invarg("bad TOS value", word))? as u8;
        }
        "nopmtudisc" => parms.df = false,
        "pmtudisc" => parms.df = true,
        _ => return Ok(false),
    }
    Ok(true)
}

/// A TTL; 0: that of the packet inside.
pub(in crate::ip) fn ttl(word: &str) -> Done<u8> {
    match word {
        "inherit" => Ok(0),
        _ => number(word).ok_or_else(|| invarg("invalid TTL\n", word)),
    }
}

fn get_addr(word: &str) -> Done<Ipv4Addr> {
    if matches!(word, "any" | "all" | "default") {
        return Ok(Ipv4Addr::UNSPECIFIED);
    }
    ipv4(word)
        .ok_or_else(|| Stop::failed(format!("Error: inet address is expected rather than \"{word}\".\n")))
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(IpTunnel { parms, fwmark, encap, .. }) = dev.netdev_priv() else { return };
    if let Some((_, _, text)) = MODES.iter().find(|mode| mode.1 == parms.protocol) {
        out.any("proto", text.trim_end(), text);
    }
    print_common(view, out, dev, parms);
    out.any("pmtudisc", parms.df, if parms.df { "pmtudisc " } else { "nopmtudisc " });
    print_fwmark(out, *fwmark);
    print_encap(out, encap);
}

/// Prints both ends, the device below, TTL and TOS.
pub(super) fn print_common(view: &View, out: &mut Out, dev: &NetDevice, parms: &IpTunnelParm) {
    for (key, addr) in [("remote", parms.daddr), ("local", parms.saddr)] {
        let text = host(addr);
        out.any(key, text.as_str(), format_args!("{key} {text} "));
    }
    if parms.link != 0 {
        let name = link_name(view, dev, parms.link);
        out.any("link", name.as_str(), format_args!("dev {name} "));
    }
    match parms.ttl {
        0 => out.any("ttl", 0, "ttl inherit "),
        ttl => out.any("ttl", ttl, format_args!("ttl {ttl} ")),
    }
    match parms.tos {
        0 => {}
        1 => out.any("tos", "0x1", "tos inherit "),
        tos => out.any("tos", format!("{tos:#x}"), format_args!("tos {tos:#x} ")),
    }
}

pub(super) fn print_fwmark(out: &mut Out, fwmark: u32) {
    if fwmark != 0 {
        out.any("fwmark", format!("{fwmark:#x}"), format_args!("fwmark {fwmark:#x} "));
    }
}

/// Prints how packets go in UDP, if they do (`tnl_print_encap`).
pub(super) fn print_encap(out: &mut Out, encap: &IpTunnelEncap) {
    let kind = match encap.kind {
        EncapType::None => return,
        EncapType::Fou => "fou",
        EncapType::Gue => "gue",
    };
    out.open(Some("encap"));
    out.any("type", kind, format_args!("encap {kind} "));
    let sport = if encap.sport == 0 { "auto".to_owned() } else { encap.sport.to_string() };
    out.any("sport", encap.sport, format_args!("encap-sport {sport} "));
    out.any("dport", encap.dport, format_args!("encap-dport {} ", encap.dport));
    for (key, is_on) in [("csum", encap.csum), ("csum6", encap.csum6), ("remcsum", encap.remcsum)] {
        let no = if is_on { "" } else { "no" };
        out.any(key, is_on, format_args!("{no}encap-{key} "));
    }
    out.close();
}

/// An end of a tunnel.
pub(in crate::ip) fn host(addr: Ipv4Addr) -> String {
    if addr.is_unspecified() { "any".to_owned() } else { addr.to_string() }
}

/// The name of the device below a tunnel; of one that is gone, its number.
pub(in crate::ip) fn link_name(view: &View, dev: &NetDevice, ifindex: u32) -> String {
    let lower = view.kernel.dev_by_index(dev.netns, ifindex);
    lower.map_or(format!("if{ifindex}"), |lower| view.kernel.devs[lower].name.clone())
}
