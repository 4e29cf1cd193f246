//! `ip fou`.
//!
//! iproute2: ip/ipfou.c

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::fou_core::{FouCfg, fou_nl_add_doit, fou_nl_del_doit, fou_nl_get_dumpit};
use glassnet_kernel::net::ipv4::udp_tunnel_core::UdpPortCfg;
use glassnet_kernel::netlink::Errno;

use super::addr::get_addr;
use super::args::{Args, Done, Stop, check_altifname, invarg, matches, number};
use super::link_show::{View, What};
use super::out::{Out, Value};
use super::{Family, Ip};
use crate::services::protocol_by_name;

/// What `ip fou add` and `del` are told.
#[derive(Default)]
struct Parsed {
    port: Option<u16>,
    protocol: Option<u8>,
    gue: bool,
    local: Option<String>,
    peer: Option<String>,
    peer_port: Option<u16>,
    ifindex: u32,
}

impl Ip<'_> {
    pub(super) fn fou(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take().filter(|word| !matches(word, "help")) else { return Err(usage()) };
        if !self.kernel(|kernel| kernel.config.fou) {
            // The family of netlink is the module's (`genl_init_handle`).
            return Err(Stop::failed(
                "RTNETLINK answers: No such file or directory\nError talking to the kernel\n",
            ));
        }
        let is = |full| matches(word, full);
        match word {
            _ if is("add") => self.fou_modify(args, true),
            _ if is("delete") => self.fou_modify(args, false),
            _ if is("show") => self.fou_show(&args),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip fou help\".\n"))),
        }
    }

    fn fou_modify(&mut self, args: Args, adding: bool) -> Done {
        let cfg = self.fou_parse_opt(args, adding)?;
        let netns = self.netns;
        let done = self.enter(|cx| match adding {
            true => fou_nl_add_doit(cx, netns, cfg),
            false => fou_nl_del_doit(cx, netns, cfg),
        });
        Ok(done?)
    }

    fn fou_parse_opt(&self, mut args: Args, adding: bool) -> Done<FouCfg> {
        let mut parsed = Parsed::default();
        while let Some(word) = args.take() {
            let is = |full| matches(word, full);
            match word {
                _ if is("port") => parsed.port = Some(port(args.value()?, "invalid port")?),
                _ if is("ipproto") => {
                    let word = args.value()?;
                    let protocol =
                        protocol_by_name(word).or_else(|| number(word).filter(|number| *number != 0));
                    parsed.protocol = Some(protocol.ok_or_else(|| invarg("invalid ipproto", word))?);
                }
                _ if is("gue") => parsed.gue = true,
                "-6" => return Err(Stop::not_modelled("fou … -6")),
                _ if is("local") => parsed.local = Some(args.value()?.to_owned()),
                _ if is("peer") => parsed.peer = Some(args.value()?.to_owned()),
                _ if is("peer_port") => parsed.peer_port = Some(port(args.value()?, "invalid peer port")?),
                _ if is("dev") => {
                    let name = args.value()?;
                    check_altifname("dev", name).map_err(|_| Stop::failed("fou: invalid device name\n"))?;
                    let dev = self.find_dev(name);
                    let dev = dev.ok_or_else(|| Stop::failed("fou: unknown device name\n"))?;
                    parsed.ifindex = self.kernel(|kernel| kernel.devs[dev].ifindex);
                }
                _ => {
                    let mut stop = usage();
                    stop.stderr.insert_str(0, &format!("fou: unknown command \"{word}\"?\n"));
                    return Err(stop);
                }
            }
        }
        parsed.config(adding, self.opts.family)
    }

    fn fou_show(&mut self, args: &Args) -> Done {
        if !args.is_empty() {
            return Err(Stop::failed("\"ip fou show\" does not take any arguments.\n"));
        }
        let netns = self.netns;
        let mut out = self.out();
        self.view(What::Link, |view| {
            for cfg in fou_nl_get_dumpit(view.kernel, netns) {
                print_fou_mapping(view, &mut out, &cfg);
            }
        });
        self.show(out);
        Ok(())
    }
}

impl Parsed {
    fn config(self, adding: bool, family: Family) -> Done<FouCfg> {
        let Parsed { protocol, gue, peer, peer_port, .. } = self;
        if family == Family::Inet6 {
            return Err(Stop::not_modelled("-6 fou"));
        }
        // The tool asks the kernel all the same, for nothing.
        let missing = |what: &str| {
            let mut stop = Stop::refused(&Errno::EINVAL.into());
            stop.stderr.insert_str(0, &format!("fou: {what}\n"));
            stop
        };
        let port = self.port.ok_or_else(|| missing("missing port"))?;
        if protocol.is_none() && !gue && adding {
            return Err(missing("must set ipproto or gue"));
        }
        if protocol.is_some() && gue {
            return Err(missing("cannot set ipproto and gue"));
        }
        if peer.is_some() != peer_port.is_some() {
            return Err(missing("both peer and peer port must be set"));
        }
        let address = |word: String| get_addr(&word, Family::Inet);
        let local = self.local.map_or(Ok(Ipv4Addr::UNSPECIFIED), address)?;
        let peer = peer.map(address).transpose()?.zip(peer_port);
        let udp_config = UdpPortCfg { local: (local, port), peer, bind_ifindex: self.ifindex };
        Ok(FouCfg { protocol, udp_config })
    }
}

fn print_fou_mapping(view: &View, out: &mut Out, cfg: &FouCfg) {
    let UdpPortCfg { local: (local, port), peer, bind_ifindex } = cfg.udp_config;
    out.open(None);
    out.any("port", port, format_args!("port {port}"));
    match cfg.protocol {
        None => out.any("gue", Value::Null, " gue"),
        Some(protocol) => out.any("ipproto", protocol, format_args!(" ipproto {protocol}")),
    }
    out.json("family", "inet");
    if !local.is_unspecified() {
        out.any("local", local.to_string(), format_args!(" local {local}"));
    }
    if let Some((peer, peer_port)) = peer {
        out.any("peer", peer.to_string(), format_args!(" peer {peer}"));
        out.any("peer_port", peer_port, format_args!(" peer_port {peer_port}"));
    }
    if let Some(dev) = view.kernel.dev_by_index(view.netns, bind_ifindex) {
        let name = &view.kernel.devs[dev].name;
        out.any("dev", name.as_str(), format_args!(" dev {name}"));
    }
    out.text("\n");
    out.close();
}

/// A port that is not 0.
fn port(word: &str, message: &str) -> Done<u16> {
    number(word).filter(|port| *port != 0).ok_or_else(|| invarg(message, word))
}

fn usage() -> Stop {
    Stop::usage(include_str!("help/fou.txt"))
}
