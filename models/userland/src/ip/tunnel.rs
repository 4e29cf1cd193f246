//! `ip tunnel`: tunnels by the older calls of the kernel.
//!
//! iproute2: ip/iptunnel.c, ip/tunnel.c

use std::net::Ipv4Addr;

use glassnet_kernel::net::core::dev::dev_get_stats;
use glassnet_kernel::net::ipv4::ip_tunnel_ctl::{tunnel_add, tunnel_change, tunnel_del, tunnel_get};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::ip_tunnel::{IpTunnel, IpTunnelParm};
use glassnet_kernel::tables::netdev::NetDevice;
use glassnet_wire::gre::{GRE_CSUM, GRE_KEY, GRE_SEQ};
use glassnet_wire::ipv4::{IPPROTO_GRE, IPPROTO_IPIP};

use super::args::{Args, Done, Stop, check_ifname, duparg2, invarg, ipv4, matches, nodev};
use super::link::link_gre::{gre_option, group_keys};
use super::link::link_iptnl::{check, host, link_name, ttl};
use super::link_show::{View, What};
use super::names::Names;
use super::out::{Out, Value};
use super::{Ip, usage_of};

/// The tunnels that are modelled: words for the mode, what is inside, and the device that the calls for new ones go to.
const MODES: &[(&[&str], u8, &str)] =
    &[(&["ipip", "ip/ip"], IPPROTO_IPIP, "tunl0"), (&["gre", "gre/ip"], IPPROTO_GRE, "gre0")];
/// Modes of iproute2 6.1 that are not modelled; those behind `vti` are tunnels over IPv6.
const OTHER_MODES: &[&str] = &[
    "sit",
    "ipv6/ip",
    "isatap",
    "vti",
    "ip6ip6",
    "ipv6/ipv6",
    "ipip6",
    "ip4ip6",
    "ipv4/ipv6",
    "ip6gre",
    "gre/ipv6",
    "any",
    "any/ipv6",
    "vti6",
];

/// What is asked of the kernel.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cmd {
    Add,
    Change,
    Del,
    Show,
}

/// Arguments (`struct ip_tunnel_parm`).
struct Parsed {
    name: String,
    parms: IpTunnelParm,
}

impl Parsed {
    /// The device that stands for all tunnels of the mode (`tnl_defname`).
    fn defname(&self) -> Option<&'static str> {
        MODES.iter().find(|mode| mode.1 == self.parms.protocol).map(|mode| mode.2)
    }
}

impl Ip<'_> {
    pub(super) fn tunnel(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.tunnel_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("add") => self.tunnel_set(args, Cmd::Add),
            _ if is("change") => self.tunnel_set(args, Cmd::Change),
            _ if is("delete") => self.tunnel_delete(args),
            _ if is("show") || is("lst") || is("list") => self.tunnel_show(args),
            _ if is("prl") || is("6rd") => Err(Stop::not_modelled(&format!("tunnel {word}"))),
            _ if is("help") => Err(usage_of(include_str!("help/tunnel.txt"))),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip tunnel help\"\n"))),
        }
    }

    fn tunnel_args(&mut self, mut args: Args, cmd: Cmd) -> Done<Parsed> {
        let parms = IpTunnelParm { df: true, ..IpTunnelParm::default() };
        let mut parsed = Parsed { name: String::new(), parms };
        let (mut medium, mut count) = (None, 0);
        while let Some(word) = args.take() {
            count += 1;
            if !word.starts_with("no") && gre_option(word, &mut args, &mut parsed.parms)? {
                continue;
            }
            match word {
                "mode" => mode(&mut parsed.parms, args.value()?)?,
                "remote" => parsed.parms.daddr = get_addr32(args.value()?)?,
                "local" => parsed.parms.saddr = get_addr32(args.value()?)?,
                "dev" => medium = Some(args.value()?),
                "ttl" | "hoplimit" | "hlim" => parsed.parms.ttl = ttl(args.value()?)?,
                "tos" | "tclass" => parsed.parms.tos = tos(args.value()?)?,
                _ if matches(word, "dsfield") => parsed.parms.tos = tos(args.value()?)?,
                "nopmtudisc" => parsed.parms.df = false,
                "pmtudisc" => parsed.parms.df = true,
                _ => {
                    let name = if word == "name" { args.value()? } else { word };
                    if matches(name, "help") {
                        return Err(usage_of(include_str!("help/tunnel.txt")));
                    }
                    if !parsed.name.is_empty() {
                        return Err(duparg2("name", name));
                    }
                    check_ifname("name", name)?;
                    name.clone_into(&mut parsed.name);
                    if cmd == Cmd::Change && count == 1 {
                        parsed.parms = self.tunnel_parms(name)?;
                    }
                }
            }
        }
        parsed.mode_by_name()?;
        keys(&parsed.parms)?;
        if let Some(name) = medium {
            let dev = self.find_dev(name).ok_or_else(|| nodev(name))?;
            parsed.parms.link = self.kernel(|kernel| kernel.devs[dev].ifindex);
        }
        if parsed.parms.protocol == IPPROTO_GRE {
            group_keys(&mut parsed.parms);
        }
        if parsed.parms.daddr.is_multicast() && parsed.parms.saddr.is_unspecified() {
            return Err(Stop::failed("A broadcast tunnel requires a source address\n"));
        }
        Ok(parsed)
    }

    /// How a tunnel is set now.
    fn tunnel_parms(&self, name: &str) -> Done<IpTunnelParm> {
        let found = self.kernel(|kernel| tunnel_get(kernel, self.netns, name));
        found.map_err(|errno| failed("get", name, errno))
    }

    fn tunnel_set(&mut self, args: Args, cmd: Cmd) -> Done {
        let parsed = self.tunnel_args(args, cmd)?;
        check(&parsed.parms).map_err(Stop::failed)?;
        let unknown = "cannot determine tunnel mode (ipip, gre, vti or sit)\n";
        let basedev = parsed.defname().ok_or_else(|| Stop::failed(unknown))?;
        if parsed.parms.protocol == IPPROTO_GRE && parsed.parms.daddr.is_multicast() {
            return Err(Stop::not_modelled("tunnel mode gre to a group"));
        }
        let (netns, Parsed { name, parms }) = (self.netns, &parsed);
        if cmd == Cmd::Change {
            let to = if name.is_empty() { basedev } else { name };
            let changed = self.enter(|cx| tunnel_change(cx, netns, to, *parms));
            return changed.map_err(|errno| failed("add", to, errno));
        }
        let added = self.enter(|cx| tunnel_add(cx, netns, basedev, name, *parms));
        added.map_err(|errno| failed("add", basedev, errno))
    }

    fn tunnel_delete(&mut self, args: Args) -> Done {
        let parsed = self.tunnel_args(args, Cmd::Del)?;
        let (netns, parms) = (self.netns, &parsed.parms);
        let name = match parsed.name.as_str() {
            "" => parsed.defname().unwrap_or_default(),
            name => name,
        };
        self.enter(|cx| tunnel_del(cx, netns, name, parms)).map_err(|errno| failed("delete", name, errno))
    }

    fn tunnel_show(&mut self, args: Args) -> Done {
        let parsed = self.tunnel_args(args, Cmd::Show)?;
        if self.opts.stats > 0 && self.opts.style.json {
            return Err(Stop::not_modelled("-json -stats tunnel"));
        }
        // With a mode, the one that is named, or that stands for all.
        let only = parsed.defname().map(|basedev| match parsed.name.as_str() {
            "" => basedev,
            name => name,
        });
        if let Some(name) = only {
            self.tunnel_parms(name)?;
        }
        let devs = self.visible_devs();
        let mut out = self.out();
        self.view(What::Link, |view| {
            for dev in devs.into_iter().map(|dev| &view.kernel.devs[dev]) {
                let tunnel = dev.netdev_priv::<IpTunnel>().filter(|_| !dev.arphrd.has_mac());
                let Some(tunnel) = tunnel else { continue };
                if only.map_or_else(|| parsed.takes(dev, tunnel), |name| dev.name == name) {
                    view.tunnel(&mut out, dev, &tunnel.parms);
                }
            }
        });
        self.show(out);
        Ok(())
    }
}

impl Parsed {
    /// Without a mode, the name tells.
    fn mode_by_name(&mut self) -> Done {
        if self.parms.protocol != 0 {
            return Ok(());
        }
        let begins = |words: &[&str]| words.iter().any(|word| self.name.starts_with(word));
        if begins(&["sit", "isatap", "vti"]) {
            return Err(Stop::not_modelled(&format!("tunnel {}", self.name)));
        }
        let named = [("gre", IPPROTO_GRE), ("ipip", IPPROTO_IPIP)];
        let mode = named.into_iter().find(|(word, _)| begins(&[word]));
        self.parms.protocol = mode.map_or(0, |(_, protocol)| protocol);
        Ok(())
    }

    /// The filter of a list.
    fn takes(&self, dev: &NetDevice, tunnel: &IpTunnel) -> bool {
        let (wanted, own) = (&self.parms, &tunnel.parms);
        let is = |wanted: Ipv4Addr, own| wanted.is_unspecified() || wanted == own;
        (self.name.is_empty() || self.name == dev.name)
            && (wanted.link == 0 || wanted.link == own.link)
            && is(wanted.daddr, own.daddr)
            && is(wanted.saddr, own.saddr)
    }
}

impl View<'_> {
    fn tunnel(&self, out: &mut Out, dev: &NetDevice, parms: &IpTunnelParm) {
        out.open(None);
        out.any("ifname", dev.name.as_str(), format_args!("{}: ", dev.name));
        let mode = match parms.protocol {
            IPPROTO_IPIP => "ip/ip",
            IPPROTO_GRE => "gre/ip",
            _ => "any/ip",
        };
        out.any("mode", mode, mode);
        for (key, addr) in [("remote", parms.daddr), ("local", parms.saddr)] {
            out.any(key, addr.to_string(), format_args!(" {key} {}", host(addr)));
        }
        if parms.link != 0 {
            let name = link_name(self, dev, parms.link);
            out.any("dev", name.as_str(), format_args!(" dev {name}"));
        }
        match parms.ttl {
            0 => out.text(" ttl inherit"),
            ttl => out.any("ttl", ttl, format_args!(" ttl {ttl}")),
        }
        if parms.tos != 0 {
            out.any("tos", format!("{:#04x}", parms.tos), format_args!(" tos {}", tos_text(parms.tos)));
        }
        if !parms.df {
            out.any("nopmtudisc", Value::Null, " nopmtudisc");
        }
        if parms.protocol == IPPROTO_GRE {
            print_gre(out, parms);
        }
        if self.opts.stats > 0 {
            stats(out, self, dev);
        }
        out.close();
        out.line();
    }
}

/// What packets have, and must have.
fn print_gre(out: &mut Out, parms: &IpTunnelParm) {
    let key = |flags: u16, key: u32| (flags & GRE_KEY != 0).then_some(key);
    match (key(parms.i_flags, parms.i_key), key(parms.o_flags, parms.o_key)) {
        (Some(inward), Some(outward)) if inward == outward => {
            out.any("key", u64::from(inward), format_args!(" key {inward}"));
        }
        (inward, outward) => {
            for (name, key) in [("ikey", inward), ("okey", outward)] {
                if let Some(key) = key {
                    out.any(name, u64::from(key), format_args!(" {name} {key}"));
                }
            }
        }
    }
    out.open_array(Some("flags"));
    for (flags, flag, word, text) in [
        (parms.i_flags, GRE_SEQ, "rx_drop_ooseq", "  Drop packets out of sequence."),
        (parms.i_flags, GRE_CSUM, "rx_csum", "  Checksum in received packet is required."),
        (parms.o_flags, GRE_SEQ, "tx_seq", "  Sequence packets on output."),
        (parms.o_flags, GRE_CSUM, "tx_csum", "  Checksum output packets."),
    ] {
        if flags & flag != 0 {
            out.nl();
            out.item(word, text);
        }
    }
    out.close_array();
}

/// A TOS; its lowest bit: that of the packet inside, where there is one.
fn tos_text(tos: u8) -> String {
    match (tos & 1 != 0, tos & !1) {
        (true, 0) => "inherit".to_owned(),
        (true, tos) => format!("inherit/{tos:#04x}"),
        (false, tos) => format!("{tos:#04x}"),
    }
}

fn stats(out: &mut Out, view: &View, dev: &NetDevice) {
    let stats = dev_get_stats(view.kernel, dev);
    out.nl();
    out.text("RX: Packets    Bytes        Errors CsumErrs OutOfSeq Mcasts");
    out.nl();
    out.text(format_args!(
        "    {:<10} {:<12} {:<6} {:<8} {:<8} {:<8}",
        stats.rx_packets,
        stats.rx_bytes,
        stats.rx_errors,
        stats.rx_frame_errors,
        stats.rx_fifo_errors,
        stats.multicast
    ));
    out.nl();
    out.text("TX: Packets    Bytes        Errors DeadLoop NoRoute  NoBufs");
    out.nl();
    out.text(format_args!(
        "    {:<10} {:<12} {:<6} {:<8} {:<8} {:<6}",
        stats.tx_packets,
        stats.tx_bytes,
        stats.tx_errors,
        stats.collisions,
        stats.tx_carrier_errors,
        stats.tx_dropped
    ));
}

fn failed(what: &str, name: &str, errno: Errno) -> Stop {
    Stop::failed(format!("{what} tunnel \"{name}\" failed: {}\n", errno.strerror()))
}

fn mode(parms: &mut IpTunnelParm, word: &str) -> Done {
    if OTHER_MODES.contains(&word) {
        return Err(Stop::not_modelled(&format!("tunnel mode {word}")));
    }
    let mode = MODES.iter().find(|(words, ..)| words.contains(&word));
    let (_, protocol, _) = *mode.ok_or_else(|| Stop::usage(format!("Unknown tunnel mode \"{word}\"\n")))?;
    if parms.protocol != 0 && parms.protocol != protocol {
        return Err(Stop::usage("You managed to ask for more than one tunnel mode.\n"));
    }
    parms.protocol = protocol;
    Ok(())
}

/// Keys are GRE's.
fn keys(parms: &IpTunnelParm) -> Done {
    if parms.protocol != IPPROTO_GRE && (parms.i_flags | parms.o_flags) & GRE_KEY != 0 {
        return Err(Stop::failed("Keys are not allowed with ipip and sit tunnels\n"));
    }
    Ok(())
}

fn get_addr32(word: &str) -> Done<Ipv4Addr> {
    if matches!(word, "any" | "all" | "default") {
        return Ok(Ipv4Addr::UNSPECIFIED);
    }
    ipv4(word)
        .ok_or_else(|| Stop::failed(format!("Error: an IP address is expected rather than \"{word}\"\n")))
}

fn tos(word: &str) -> Done<u8> {
    let bad = || invarg("bad TOS value", word);
    match word.strip_prefix("inherit") {
        Some("") => Ok(1),
        Some(rest) => {
            let tos = rest.strip_prefix('/').and_then(|rest| Names::Dsfield.number(rest)).ok_or_else(bad)?;
            Ok(tos as u8 | 1)
        }
        None => Ok(Names::Dsfield.number(word).ok_or_else(bad)? as u8),
    }
}
