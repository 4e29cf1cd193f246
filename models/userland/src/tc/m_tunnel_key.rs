//! `tunnel_key`.
//!
//! iproute2: tc/m_tunnel_key.c

use std::net::Ipv4Addr;

use glassnet_kernel::action::{TcAct, action_data};
use glassnet_kernel::net::sched::act_api::ActionDump;
use glassnet_kernel::net::sched::act_tunnel_key::TunnelKey;
use glassnet_kernel::tables::ip_tunnel::{IpTunnelKey, TUNNEL_CSUM, TUNNEL_KEY as HAS_KEY};

use super::action::{ActionKind, Parsed, bad, control_or, index, print_control, print_index};
use super::{Tc, not_modelled};
use crate::iproute2::args::{Args, Done, Stop, ipv4, matches};
use crate::iproute2::out::Out;

pub static TUNNEL_KEY: ActionKind = ActionKind { id: "tunnel_key", parse, print };

const USAGE: &str = include_str!("help/tunnel_key.txt");

/// Words, of which the first that begins as it was typed is meant.
const WORDS: [&str; 14] = [
    "unset",
    "set",
    "src_ip",
    "dst_ip",
    "id",
    "dst_port",
    "geneve_opts",
    "vxlan_opts",
    "erspan_opts",
    "tos",
    "ttl",
    "csum",
    "nocsum",
    "help",
];

/// What was read.
struct Words {
    what: Option<&'static str>,
    src: Option<Ipv4Addr>,
    dst: Option<Ipv4Addr>,
    key: IpTunnelKey,
}

impl Words {
    fn read(&mut self, args: &mut Args) -> Done {
        while let Some(word) = args.peek() {
            let Some(name) = WORDS.into_iter().find(|name| matches(word, name)) else { break };
            args.take();
            match name {
                "unset" | "set" if self.what.is_some() => {
                    let text = format!("unexpected \"{word}\" - action already specified\n{USAGE}");
                    return Err(bad(text));
                }
                "unset" | "set" => self.what = Some(name),
                "src_ip" => self.src = Some(address(args.value()?)?),
                "dst_ip" => self.dst = Some(address(args.value()?)?),
                "id" => {
                    let id: u32 = decimal(args.value()?, "id")?;
                    (self.key.tun_id, self.key.tun_flags) = (u64::from(id), self.key.tun_flags | HAS_KEY);
                }
                "dst_port" => self.key.tp_dst = decimal(args.value()?, "dst port")?,
                "tos" => self.key.tos = decimal_or_hex(args.value()?, "tos")?,
                "ttl" => self.key.ttl = decimal_or_hex(args.value()?, "ttl")?,
                "csum" => self.key.tun_flags |= TUNNEL_CSUM,
                "nocsum" => self.key.tun_flags &= !TUNNEL_CSUM,
                "help" => return Err(Stop::usage(USAGE)),
                options => return Err(not_modelled(&format!("… action tunnel_key {options}"))),
            }
        }
        Ok(())
    }
}

fn address(text: &str) -> Done<Ipv4Addr> {
    match text {
        "default" | "any" | "all" => return Ok(Ipv4Addr::UNSPECIFIED),
        _ if text.contains(':') => return Err(not_modelled(&format!("… action tunnel_key {text}"))),
        _ => {}
    }
    let expected = || format!("Error: any valid address is expected rather than \"{text}\".\n");
    ipv4(text).ok_or_else(|| Stop::failed(expected()))
}

fn decimal<T: std::str::FromStr>(text: &str, what: &str) -> Done<T> {
    text.parse().map_err(|_| bad(format!("Illegal \"{what}\"\n")))
}

/// A byte; hexadecimal if it is no decimal number.
fn decimal_or_hex(text: &str, what: &str) -> Done<u8> {
    let hex = || u8::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    text.parse().ok().or_else(hex).ok_or_else(|| bad(format!("Illegal \"{what}\"\n")))
}

fn parse(_: &Tc, args: &mut Args) -> Done<Parsed> {
    args.take();
    if args.is_empty() {
        args.value()?;
    }
    let key = IpTunnelKey { tun_flags: TUNNEL_CSUM, ..IpTunnelKey::default() };
    let mut words = Words { what: None, src: None, dst: None, key };
    words.read(args)?;
    let action = control_or(args, TcAct::Pipe)?;
    let index = index(args, "tunnel_key: Illegal \"index\"\n")?;
    let data = match (words.what, words.src, words.dst) {
        (Some("set"), Some(src), Some(dst)) => TunnelKey::Set(IpTunnelKey { src, dst, ..words.key }),
        (Some("set"), ..) => return Err(bad(format!("set needs tunnel_key parameters\n{USAGE}"))),
        (Some(_), ..) => TunnelKey::Unset,
        (None, ..) => TunnelKey::Unsaid,
    };
    Ok((Box::new(data), action, index))
}

fn print(tc: &Tc, out: &mut Out, dump: &ActionDump) {
    out.text("tunnel_key ");
    match action_data::<TunnelKey>(dump.data.as_ref()) {
        Some(TunnelKey::Metadata(info)) => print_set(out, &info.key),
        _ => out.any("mode", "unset", " unset"),
    }
    print_control(out, " ", dump.action, "");
    print_index(tc, out, dump, "\t ");
}

fn print_set(out: &mut Out, key: &IpTunnelKey) {
    out.any("mode", "set", " set");
    let line = |out: &mut Out, name: &str, value: u32| {
        out.nl();
        out.any(name, value, format_args!("\t{name} {value}"));
    };
    for (name, address) in [("src_ip", key.src), ("dst_ip", key.dst)] {
        out.nl();
        out.any(name, address.to_string(), format_args!("\t{name} {address}"));
    }
    if key.tun_flags & HAS_KEY != 0 {
        line(out, "key_id", key.tun_id as u32);
    }
    if key.tp_dst != 0 {
        line(out, "dst_port", u32::from(key.tp_dst));
    }
    let csum = if key.tun_flags & TUNNEL_CSUM != 0 { "csum" } else { "nocsum" };
    out.nl();
    out.any("flag", csum, format_args!("\t{csum}"));
    if key.tos != 0 {
        out.nl();
        out.any("tos", u32::from(key.tos), format_args!("\ttos {:#x}", key.tos));
    }
    if key.ttl != 0 {
        line(out, "ttl", u32::from(key.ttl));
    }
}
