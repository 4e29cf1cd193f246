//! `ip route add`, `change`, `replace`, `append`, `prepend` and `delete`.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::fib_frontend::{rtm_delroute, rtm_newroute};
use glassnet_kernel::netlink::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use glassnet_kernel::tables::ip_tunnel::IpTunnelKey;
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RT_TABLE_LOCAL, RTNH_F_ONLINK, RTPROT_BOOT, RouteMsg, RouteType, Scope,
};

use super::addr::{get_addr, get_prefix};
use super::args::{Args, Done, Stop, duparg2, invarg, matches};
use super::iproute_lwtunnel::parse_encap;
use super::names::Names;
use super::route_metrics::metric_word;
use super::{Family, Ip};

/// Route types by name.
pub(super) const TYPES: &[(&str, RouteType)] = &[
    ("unicast", RouteType::Unicast),
    ("local", RouteType::Local),
    ("broadcast", RouteType::Broadcast),
    ("brd", RouteType::Broadcast),
    ("anycast", RouteType::Anycast),
    ("multicast", RouteType::Multicast),
    ("blackhole", RouteType::Blackhole),
    ("unreachable", RouteType::Unreachable),
    ("prohibit", RouteType::Prohibit),
    ("throw", RouteType::Throw),
];

/// Arguments of `ip route add` that are not modelled.
const OTHER_WORDS: &[&str] = &[
    "as",
    "from",
    "expires",
    "realm",
    "realms",
    "congctl",
    "nhid",
    "pref",
    "ttl-propagate",
    "fastopen_no_cookie",
];

/// The type with this name, or with this number.
pub(super) fn route_type(text: &str) -> Option<RouteType> {
    let named = TYPES.iter().find(|(name, _)| *name == text).map(|(_, kind)| *kind);
    let numbered = || {
        let number: u8 = super::args::number(text)?;
        TYPES.iter().find(|(_, kind)| *kind as u8 == number).map(|(_, kind)| *kind)
    };
    named.or_else(numbered)
}

/// Arguments that are not yet in the message.
#[derive(Default)]
struct Parsed {
    msg: RouteMsg,
    dst: bool,
    via: Option<Ipv4Addr>,
    dev: Option<String>,
    encap: Option<IpTunnelKey>,
    onlink: bool,
    kind: bool,
    scope: bool,
    table: bool,
}

fn usage() -> Stop {
    Stop::usage(include_str!("help/route.txt"))
}

impl Ip<'_> {
    pub(super) fn route(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.route_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("list") || is("show") || is("lst") => self.route_show(args),
            _ if is("get") => self.route_get(args),
            _ if is("add") => self.route_modify(args, Some(NLM_F_CREATE | NLM_F_EXCL)),
            _ if is("change") || word == "chg" => self.route_modify(args, Some(NLM_F_REPLACE)),
            _ if is("replace") => self.route_modify(args, Some(NLM_F_CREATE | NLM_F_REPLACE)),
            _ if is("prepend") => self.route_modify(args, Some(NLM_F_CREATE)),
            _ if is("append") => self.route_modify(args, Some(NLM_F_CREATE | NLM_F_APPEND)),
            _ if is("test") => self.route_modify(args, Some(NLM_F_EXCL)),
            _ if is("delete") => self.route_modify(args, None),
            _ if is("flush") => self.route_flush(args),
            _ if is("save") || is("restore") || is("showdump") => {
                Err(Stop::not_modelled(&format!("route {word}")))
            }
            _ if is("help") => Err(usage()),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip route help\".\n"))),
        }
    }

    /// Adds or changes a route; without flags deletes it.
    fn route_modify(&mut self, args: Args, flags: Option<u16>) -> Done {
        let msg = self.route_message(args, flags.is_none())?;
        let netns = self.netns;
        self.enter(|cx| match flags {
            Some(flags) => rtm_newroute(cx, netns, &msg, flags),
            None => rtm_delroute(cx, netns, &msg),
        })?;
        Ok(())
    }

    fn route_message(&self, mut args: Args, delete: bool) -> Done<RouteMsg> {
        let mut parsed = Parsed::default();
        if delete {
            parsed.msg.kind = RouteType::Unspec;
            parsed.msg.scope = Scope::NOWHERE;
        } else {
            parsed.msg.protocol = RTPROT_BOOT;
        }
        while let Some(word) = args.take() {
            self.route_word(word, &mut args, &mut parsed)?;
        }
        if !parsed.dst {
            return Err(usage());
        }
        self.complete(parsed, delete)
    }

    fn route_word(&self, word: &str, args: &mut Args, parsed: &mut Parsed) -> Done {
        let family = if parsed.dst { Family::Inet } else { self.opts.family };
        let msg = &mut parsed.msg;
        match word {
            "src" => msg.prefsrc = Some(get_addr(args.value()?, family)?),
            "via" => {
                if parsed.via.is_some() {
                    return Err(invarg("use nexthop syntax to specify multiple via\n", word));
                }
                parsed.via = Some(via(args, family)?);
            }
            "metric" | "preference" => msg.priority = args.number("\"metric\" value is invalid\n")?,
            "encap" => parsed.encap = Some(parse_encap(args)?),
            "onlink" => parsed.onlink = true,
            "nexthop" => self.nexthops(args, &mut msg.nexthops, family)?,
            "dev" | "oif" => parsed.dev = Some(args.value()?.to_owned()),
            "scope" => {
                let scope = name(args, Names::Scope, "invalid \"scope\" value\n")?;
                (msg.scope, parsed.scope) = (Scope(scope as u8), true);
            }
            _ if word == "tos" || matches(word, "dsfield") => {
                msg.tos = name(args, Names::Dsfield, "\"tos\" value is invalid\n")? as u8;
            }
            _ if matches(word, "priority") => msg.priority = args.number("\"metric\" value is invalid\n")?,
            _ if metric_word(word, args, &mut msg.metrics)? => {}
            _ if OTHER_WORDS.contains(&word) => {
                return Err(Stop::not_modelled(&format!("route add … {word}")));
            }
            _ if matches(word, "protocol") => {
                msg.protocol = name(args, Names::Proto, "\"protocol\" value is invalid\n")? as u8;
            }
            _ if matches(word, "table") => {
                msg.table = name(args, Names::Table, "\"table\" value is invalid\n")?;
                parsed.table = true;
            }
            _ if matches(word, "vrf") => {
                msg.table = self.vrf_table_arg(args)?;
                parsed.table = true;
            }
            _ => self.route_target(word, args, parsed)?,
        }
        Ok(())
    }

    /// `[to] [TYPE] PREFIX`.
    fn route_target(&self, word: &str, args: &mut Args, parsed: &mut Parsed) -> Done {
        let mut text = if word == "to" { args.value()? } else { word };
        if !text.starts_with(|c: char| c.is_ascii_digit())
            && let Some(kind) = route_type(text)
        {
            (parsed.msg.kind, parsed.kind) = (kind, true);
            text = args.value()?;
        }
        if matches(text, "help") {
            return Err(usage());
        }
        if parsed.dst {
            return Err(duparg2("to", text));
        }
        let (prefix, len) = get_prefix(text, self.opts.family)?;
        (parsed.msg.dst, parsed.msg.dst_len, parsed.dst) = (prefix, len.unwrap_or(32), true);
        Ok(())
    }

    fn nexthops(&self, args: &mut Args, hops: &mut Vec<NexthopMsg>, family: Family) -> Done {
        if args.is_empty() {
            return Err(Stop::usage("Error: unexpected end of line after \"nexthop\"\n"));
        }
        let mut hop = NexthopMsg::default();
        while let Some(word) = args.peek() {
            args.take();
            match word {
                "via" => hop.via = Some(via(args, family)?),
                "dev" | "oif" => {
                    // `parse_one_nh` comes back with an error, where others end the program.
                    let unparsed =
                        |stop: Stop| Stop::error(255, stop.stderr + "Error: cannot parse nexthop\n");
                    hop.dev = Some(self.dev(args.value()?).map_err(unparsed)?);
                }
                "weight" => {
                    let text = args.value()?;
                    let weight = super::args::number(text).filter(|weight| (1..=256).contains(weight));
                    hop.weight = weight.ok_or_else(|| invarg("\"weight\" is invalid\n", text))?;
                }
                "onlink" => hop.flags |= RTNH_F_ONLINK,
                "encap" => hop.encap = Some(parse_encap(args)?),
                "realm" | "realms" | "as" => {
                    return Err(Stop::not_modelled(&format!("route add … nexthop … {word}")));
                }
                "nexthop" => {
                    hops.push(hop);
                    return self.nexthops(args, hops, family);
                }
                other => {
                    return Err(Stop::usage(format!(
                        "Error: \"nexthop\" or end of line is expected instead of \"{other}\"\n"
                    )));
                }
            }
        }
        hops.push(hop);
        Ok(())
    }

    /// Fills in iproute2's defaults.
    fn complete(&self, parsed: Parsed, delete: bool) -> Done<RouteMsg> {
        let Parsed { mut msg, via, dev, encap, onlink, kind, scope, table, .. } = parsed;
        let dev = dev.map(|name| self.dev(&name)).transpose()?;
        let multipath = !msg.nexthops.is_empty();
        if !multipath && (dev.is_some() || via.is_some() || encap.is_some() || onlink) {
            let flags = if onlink { RTNH_F_ONLINK } else { 0 };
            msg.nexthops.push(NexthopMsg { dev, via, weight: 1, flags, encap });
        }
        let local = matches!(msg.kind, RouteType::Local | RouteType::Broadcast | RouteType::Anycast);
        if !table && kind && local {
            msg.table = RT_TABLE_LOCAL;
        }
        if !scope {
            msg.scope = match msg.kind {
                RouteType::Local => Scope::HOST,
                RouteType::Broadcast | RouteType::Multicast | RouteType::Anycast => Scope::LINK,
                RouteType::Unicast | RouteType::Unspec if delete => Scope::NOWHERE,
                RouteType::Unicast | RouteType::Unspec if via.is_none() && !multipath => Scope::LINK,
                _ => msg.scope,
            };
        }
        Ok(msg)
    }
}

fn name(args: &mut Args, names: Names, message: &str) -> Done<u32> {
    let text = args.value()?;
    names.number(text).ok_or_else(|| invarg(message, text))
}

fn via(args: &mut Args, family: Family) -> Done<Ipv4Addr> {
    match args.value()? {
        "inet" => get_addr(args.value()?, Family::Inet),
        "inet6" => Err(Stop::not_modelled("route add … via inet6")),
        text => get_addr(text, family),
    }
}
