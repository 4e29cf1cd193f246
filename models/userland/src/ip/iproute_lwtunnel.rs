//! `encap` of routes.
//!
//! iproute2: ip/iproute_lwtunnel.c

use glassnet_kernel::tables::ip_tunnel::{IpTunnelKey, TUNNEL_CSUM, TUNNEL_KEY, TUNNEL_SEQ};

use super::Family;
use super::addr::get_addr;
use super::args::{Args, Done, Stop, duparg2, invarg, number};
use super::names::Names;
use super::out::Out;

/// Types of headers.
const TYPES: &[&str] = &["mpls", "ip", "ila", "ip6", "seg6", "bpf", "seg6local", "rpl", "ioam6", "xfrm"];
/// Flags, in the order in which they are printed.
const FLAGS: [(&str, u16); 3] = [("key", TUNNEL_KEY), ("csum", TUNNEL_CSUM), ("seq", TUNNEL_SEQ)];

/// What follows `encap` (`lwt_parse_encap`).
pub(super) fn parse_encap(args: &mut Args) -> Done<IpTunnelKey> {
    let kind = args.value()?;
    match kind {
        "help" => return Err(Stop::usage(include_str!("help/encap.txt"))),
        _ if !TYPES.contains(&kind) => return Err(invarg("\"encap type\" value is invalid\n", kind)),
        _ => {}
    }
    match args.rest() {
        [] => _ = args.value()?,
        [_] => return Err(Stop::usage("Error: unexpected end of line after \"encap\"\n")),
        _ => {}
    }
    if kind != "ip" {
        return Err(Stop::not_modelled(&format!("route … encap {kind}")));
    }
    parse_encap_ip(args)
}

fn parse_encap_ip(args: &mut Args) -> Done<IpTunnelKey> {
    let (mut key, mut given) = (IpTunnelKey::default(), Vec::new());
    while let Some(word) = args.peek() {
        let flag = FLAGS.iter().find(|(name, _)| *name == word).map(|(_, flag)| *flag);
        let has_value = ["id", "dst", "src", "tos", "ttl"].contains(&word);
        if word.ends_with("_opts") && ["geneve_opts", "vxlan_opts", "erspan_opts"].contains(&word) {
            return Err(Stop::not_modelled(&format!("route … encap ip {word}")));
        }
        if !has_value && flag.is_none() {
            break;
        }
        args.take();
        let value = if has_value { args.value()? } else { word };
        if given.contains(&word) {
            return Err(duparg2(word, value));
        }
        given.push(word);
        let bad = || invarg(&format!("\"{word}\" value is invalid\n"), value);
        match word {
            "id" => key.tun_id = number(value).ok_or_else(bad)?,
            "dst" => key.dst = get_addr(value, Family::Inet)?,
            "src" => key.src = get_addr(value, Family::Inet)?,
            "tos" => key.tos = Names::Dsfield.number(value).ok_or_else(bad)? as u8,
            "ttl" => key.ttl = number(value).ok_or_else(bad)?,
            _ => key.tun_flags |= flag.unwrap_or(0),
        }
    }
    Ok(key)
}

/// Prints it (`lwt_print_encap`).
pub(super) fn print_encap(out: &mut Out, key: Option<&IpTunnelKey>) {
    let Some(key) = key else { return };
    out.any("encap", "ip", " encap ip ");
    out.any("id", key.tun_id, format_args!("id {} ", key.tun_id));
    out.any("src", key.src.to_string(), format_args!("src {} ", key.src));
    out.any("dst", key.dst.to_string(), format_args!("dst {} ", key.dst));
    out.any("ttl", u32::from(key.ttl), format_args!("ttl {} ", key.ttl));
    out.any("tos", u32::from(key.tos), format_args!("tos {} ", key.tos));
    for (name, _) in FLAGS.iter().filter(|(_, flag)| key.tun_flags & flag != 0) {
        out.any(name, true, format_args!("{name} "));
    }
}
