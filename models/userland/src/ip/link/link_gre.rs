//! `type gre` and `type gretap`.
//!
//! iproute2: ip/link_gre.c, ip/tunnel.c

use std::net::Ipv4Addr;

use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::ipv4::ip_tunnel::TunnelOptions;
use glassnet_kernel::tables::ip_tunnel::{IpTunnel, IpTunnelParm};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::gre::{GRE_CSUM, GRE_KEY, GRE_SEQ};

use super::LinkUtil;
use super::link_iptnl::{encap_option, new, present, print_common, print_encap, print_fwmark, tunnel_option};
use crate::ip::Ip;
use crate::ip::args::{Args, Done, Stop, ipv4, number};
use crate::ip::link_show::View;
use crate::ip::out::Out;

/// The row of tunnels of packets.
pub(super) static LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(|ip, args| parse(ip, args, &LINK_UTIL, new())),
    parse_change: Some(|ip, args, dev| parse(ip, args, &LINK_UTIL, present(ip, dev)?)),
    print_opt: Some(print),
    ..LinkUtil::new("gre", include_str!("link_gre.txt"))
};

/// The row of tunnels of frames.
pub(super) static TAP_LINK_UTIL: LinkUtil = LinkUtil {
    parse_opt: Some(|ip, args| parse(ip, args, &TAP_LINK_UTIL, new())),
    parse_change: Some(|ip, args, dev| parse(ip, args, &TAP_LINK_UTIL, present(ip, dev)?)),
    print_opt: Some(print),
    ..LinkUtil::new("gretap", include_str!("link_gretap.txt"))
};

fn parse(ip: &Ip, args: &mut Args, util: &LinkUtil, mut options: TunnelOptions) -> Done<LinkInfo> {
    while let Some(word) = args.take() {
        let TunnelOptions { parms, encap, .. } = &mut options;
        let is_known = gre_option(word, args, parms)?
            || tunnel_option(ip, word, args, parms)?
            || encap_option(word, args, encap)?;
        if is_known {
            continue;
        }
        match word {
            "fwmark" => options.fwmark = args.number("invalid fwmark\n")?,
            "ignore-df" | "noignore-df" => options.ignore_df = Some(word == "ignore-df"),
            "external" => options.collect_md = true,
            _ => return Err(Stop::failed(util.help)),
        }
    }
    let parms = &mut options.parms;
    group_keys(parms);
    if parms.daddr.is_multicast() && parms.saddr.is_unspecified() {
        return Err(Stop::failed("A broadcast tunnel requires a source address.\n"));
    }
    Ok(LinkInfo::with(util.id, options))
}

/// A group at the other end is the key, where no other is given.
pub(in crate::ip) fn group_keys(parms: &mut IpTunnelParm) {
    if !parms.daddr.is_multicast() {
        return;
    }
    for (flags, key) in [(&mut parms.i_flags, &mut parms.i_key), (&mut parms.o_flags, &mut parms.o_key)] {
        if *key == 0 {
            (*flags, *key) = (*flags | GRE_KEY, parms.daddr.to_bits());
        }
    }
}

/// Parses an option that only GRE has; false if it is another.
pub(in crate::ip) fn gre_option(word: &str, args: &mut Args, parms: &mut IpTunnelParm) -> Done<bool> {
    let (what, is_on) = match word.strip_prefix("no") {
        Some(rest) if rest != "pmtudisc" => (rest, false),
        _ => (word, true),
    };
    let (inward, outward, name) = match what {
        "key" | "seq" | "csum" => (true, true, what),
        "ikey" | "iseq" | "icsum" => (true, false, &what[1..]),
        "okey" | "oseq" | "ocsum" => (false, true, &what[1..]),
        _ => return Ok(false),
    };
    let flag = match name {
        "key" => GRE_KEY,
        "seq" => GRE_SEQ,
        _ => GRE_CSUM,
    };
    let key = if flag == GRE_KEY && is_on { tnl_parse_key(what, args.value()?)? } else { 0 };
    for (side, flags, own_key) in
        [(inward, &mut parms.i_flags, &mut parms.i_key), (outward, &mut parms.o_flags, &mut parms.o_key)]
    {
        if !side {
            continue;
        }
        *flags = if is_on { *flags | flag } else { *flags & !flag };
        if flag == GRE_KEY {
            *own_key = key;
        }
    }
    Ok(true)
}

/// A key: a number, or four bytes as an address is written.
fn tnl_parse_key(name: &str, word: &str) -> Done<u32> {
    let key = if word.contains('.') { ipv4(word).map(Ipv4Addr::to_bits) } else { number(word) };
    let text = format!("invalid value for \"{name}\": \"{word}\"; it should be an unsigned integer\n");
    key.ok_or_else(|| Stop::usage(text))
}

fn print(view: &View, out: &mut Out, dev: &NetDevice) {
    let Some(IpTunnel { parms, fwmark, encap, ignore_df, collect_md, .. }) = dev.netdev_priv() else {
        return;
    };
    if *collect_md {
        out.any("external", true, "external ");
    }
    print_common(view, out, dev, parms);
    if parms.df {
        out.json("pmtudisc", true);
    } else {
        out.any("pmtudisc", false, "nopmtudisc ");
    }
    if *ignore_df {
        out.any("ignore_df", true, "ignore-df ");
    }
    for (key, flags, value) in [("ikey", parms.i_flags, parms.i_key), ("okey", parms.o_flags, parms.o_key)] {
        if flags & GRE_KEY != 0 {
            let text = Ipv4Addr::from_bits(value).to_string();
            out.any(key, text.as_str(), format_args!("{key} {text} "));
        }
    }
    for (key, flags, flag) in [
        ("iseq", parms.i_flags, GRE_SEQ),
        ("oseq", parms.o_flags, GRE_SEQ),
        ("icsum", parms.i_flags, GRE_CSUM),
        ("ocsum", parms.o_flags, GRE_CSUM),
    ] {
        if flags & flag != 0 {
            out.any(key, true, format_args!("{key} "));
        }
    }
    print_fwmark(out, *fwmark);
    print_encap(out, encap);
}
