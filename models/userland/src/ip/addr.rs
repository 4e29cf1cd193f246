//! `ip addr add`, `change`, `replace`, `delete` and `flush`.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::devinet::{rtm_deladdr, rtm_newaddr};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::inet_types::{
    AddrMsg, IFA_F_NOPREFIXROUTE, IFA_F_SECONDARY, INFINITY_LIFE_TIME,
};
use glassnet_kernel::tables::route_types::Scope;

use super::addr_show::AddrFilter;
use super::args::{Args, Done, Stop, duparg, duparg2, invarg, matches, nodev, number, prefix};
use super::link_show::What;
use super::names::Names;
use super::{Family, Ip};

/// Longest label, bytes (`IFNAMSIZ` without the final zero).
const MAX_LABEL: usize = 15;
/// Maximum number of rounds of a flush.
const MAX_FLUSH_LOOPS: u32 = 10;
/// Greatest prefix length with a broadcast address.
const MAX_BROADCAST_PREFIX: u8 = 30;

/// Flags that only IPv6 addresses have.
const IPV6_FLAGS: &[&str] = &["home", "nodad", "mngtmpaddr"];

/// Arguments of `ip addr add`.
#[derive(Default)]
struct Parsed<'a> {
    dev: Option<&'a str>,
    local: Option<(Ipv4Addr, Option<u8>)>,
    local_text: &'a str,
    peer: Option<(Ipv4Addr, Option<u8>)>,
    broadcast: Option<&'a str>,
    scope: Option<Scope>,
    label: Option<String>,
    metric: u32,
    flags: u32,
    valid_lft: Option<u32>,
    preferred_lft: Option<u32>,
    warnings: String,
}

/// Parses an IPv4 prefix, or with `inet6` checks an IPv6 one.
pub(super) fn get_prefix(text: &str, family: Family) -> Done<(Ipv4Addr, Option<u8>)> {
    let expected =
        |what: &str| Stop::failed(format!("Error: {what} prefix is expected rather than \"{text}\".\n"));
    refuse_ipv6(text, family)?;
    match family {
        Family::Inet6 => Err(expected("inet6")),
        Family::Inet => prefix(text).ok_or_else(|| expected("inet")),
        _ => prefix(text).ok_or_else(|| expected("any valid")),
    }
}

/// Refuses IPv6 addresses, which are not modelled.
fn refuse_ipv6(text: &str, family: Family) -> Done {
    let address = text.split('/').next().unwrap_or(text);
    match address.parse::<std::net::Ipv6Addr>() {
        Ok(_) if family != Family::Inet => Err(Stop::not_modelled("-6")),
        _ => Ok(()),
    }
}

/// An address without prefix length.
pub(super) fn get_addr(text: &str, family: Family) -> Done<Ipv4Addr> {
    let kind = match family {
        Family::Inet => "inet",
        Family::Inet6 => "inet6",
        _ => "any valid",
    };
    let bad = || Stop::failed(format!("Error: {kind} address is expected rather than \"{text}\".\n"));
    refuse_ipv6(text, family)?;
    match text {
        "default" | "any" | "all" => Ok(Ipv4Addr::UNSPECIFIED),
        _ if family == Family::Inet6 => Err(bad()),
        _ => super::args::ipv4(text).ok_or_else(bad),
    }
}

impl Ip<'_> {
    pub(super) fn addr(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.addr_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("add") => self.addr_modify(args, NLM_F_CREATE | NLM_F_EXCL),
            _ if is("change") || word == "chg" => self.addr_modify(args, NLM_F_REPLACE),
            _ if is("replace") => self.addr_modify(args, NLM_F_CREATE | NLM_F_REPLACE),
            _ if is("delete") => self.addr_delete(args),
            _ if is("show") || is("lst") || is("list") => self.addr_show(args),
            _ if is("flush") => self.addr_flush(args),
            _ if is("save") || is("showdump") || is("restore") => {
                Err(Stop::not_modelled(&format!("address {word}")))
            }
            _ if is("help") => Err(Stop::usage(include_str!("help/addr.txt"))),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip address help\".\n"))),
        }
    }

    fn addr_words<'a>(&self, mut args: Args<'a>) -> Done<Parsed<'a>> {
        let mut parsed = Parsed::default();
        while let Some(word) = args.take() {
            if self.addr_value(word, &mut args, &mut parsed)? {
                continue;
            }
            match word {
                _ if IPV6_FLAGS.contains(&word) => {
                    let warning = format!("Warning: {word} option can be set only for IPv6 addresses\n");
                    parsed.warnings.push_str(&warning);
                }
                "noprefixroute" => parsed.flags |= IFA_F_NOPREFIXROUTE,
                "autojoin" => return Err(Stop::not_modelled("address add autojoin")),
                _ => {
                    let text = if word == "local" { args.value()? } else { word };
                    if matches(text, "help") {
                        return Err(Stop::usage(include_str!("help/addr.txt")));
                    }
                    if parsed.local.is_some() {
                        return Err(duparg2("local", text));
                    }
                    parsed.local = Some(get_prefix(text, self.opts.family)?);
                    parsed.local_text = text;
                }
            }
        }
        Ok(parsed)
    }

    fn addr_value<'a>(&self, word: &str, args: &mut Args<'a>, parsed: &mut Parsed<'a>) -> Done<bool> {
        let is = |full| matches(word, full);
        match word {
            "peer" | "remote" => {
                let text = args.value()?;
                if parsed.peer.is_some() {
                    return Err(duparg("peer", text));
                }
                let family = if parsed.local.is_some() { Family::Inet } else { self.opts.family };
                parsed.peer = Some(get_prefix(text, family)?);
            }
            _ if is("broadcast") || word == "brd" => {
                let text = args.value()?;
                if parsed.broadcast.is_some() {
                    return Err(duparg("broadcast", text));
                }
                let family = if parsed.local.is_some() { Family::Inet } else { self.opts.family };
                if text != "+" && text != "-" {
                    get_addr(text, family)?;
                }
                parsed.broadcast = Some(text);
            }
            "anycast" => return Err(Stop::not_modelled("address add anycast")),
            "scope" => {
                let text = args.value()?;
                let scope = Names::Scope.number(text).ok_or_else(|| invarg("invalid scope value.", text))?;
                parsed.scope = Some(Scope(scope as u8));
            }
            "dev" => parsed.dev = Some(args.value()?),
            "label" => parsed.label = Some(args.value()?.to_owned()),
            "metric" | "priority" | "preference" => {
                parsed.metric = args.number("\"metric\" value is invalid\n")?;
            }
            _ if is("valid_lft") => {
                parsed.valid_lft = Some(lifetime(args, "valid_lft", parsed.valid_lft.is_some())?)
            }
            _ if is("preferred_lft") => {
                parsed.preferred_lft = Some(lifetime(args, "preferred_lft", parsed.preferred_lft.is_some())?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The netlink message; `delete` leaves a missing prefix length open.
    fn addr_message(&self, parsed: &Parsed, delete: bool) -> Done<AddrMsg> {
        let Some(name) = parsed.dev else {
            return Err(Stop::failed("Not enough information: \"dev\" argument is required.\n"));
        };
        let Some((local, local_len)) = parsed.local else {
            self.dev(name)?;
            return Err(Stop::refused(&Errno::EOPNOTSUPP.into()));
        };
        if ["any", "all", "default"].contains(&parsed.local_text) {
            return Err(Stop::refused(&Errno::EOPNOTSUPP.into()));
        }
        let (peer, len) = parsed.peer.unwrap_or((local, local_len));
        let len = len.unwrap_or(32);
        if !delete {
            if parsed.valid_lft == Some(0) {
                return Err(Stop::failed("valid_lft is zero\n"));
            }
            let valid = parsed.valid_lft.unwrap_or(INFINITY_LIFE_TIME);
            if parsed.preferred_lft.unwrap_or(INFINITY_LIFE_TIME) > valid {
                return Err(Stop::failed("preferred_lft is greater than valid_lft\n"));
            }
        }
        let dev = self.find_dev(name).ok_or_else(|| nodev(name))?;
        if parsed.label.as_ref().is_some_and(|label| label.len() > MAX_LABEL) {
            return Err(Stop::error(2, "Error: Attribute failed policy validation.\n"));
        }
        let any_peer = delete && parsed.peer.is_none() && local_len.is_none();
        let default_scope = if local.octets()[0] == 127 { Scope::HOST } else { Scope::UNIVERSE };
        Ok(AddrMsg {
            peer: (!any_peer).then_some(peer),
            broadcast: parsed.broadcast.and_then(|text| broadcast(text, peer, len)),
            scope: parsed.scope.unwrap_or(default_scope),
            label: parsed.label.clone(),
            flags: parsed.flags,
            metric: parsed.metric,
            valid_lft: parsed.valid_lft.unwrap_or(INFINITY_LIFE_TIME),
            preferred_lft: parsed.preferred_lft.unwrap_or(INFINITY_LIFE_TIME),
            ..AddrMsg::new(dev, local, len)
        })
    }

    fn addr_modify(&mut self, args: Args, flags: u16) -> Done {
        let parsed = self.addr_words(args)?;
        let message = self.addr_message(&parsed, false)?;
        self.process.eprint(&parsed.warnings);
        let netns = self.netns;
        self.enter(|cx| rtm_newaddr(cx, netns, &message, flags))?;
        Ok(())
    }

    fn addr_delete(&mut self, args: Args) -> Done {
        let parsed = self.addr_words(args)?;
        let message = self.addr_message(&parsed, true)?;
        self.process.eprint(&parsed.warnings);
        if message.peer.is_none() {
            let text = parsed.local_text;
            self.process.eprint(format!(
                "Warning: Executing wildcard deletion to stay compatible with old scripts.\n         \
                 Explicitly specify the prefix length ({text}/32) to avoid this warning.\n         \
                 This special behaviour is likely to disappear in further releases,\n         \
                 fix your scripts!\n"
            ));
        }
        let netns = self.netns;
        self.enter(|cx| rtm_deladdr(cx, netns, &message))?;
        Ok(())
    }

    fn addr_flush(&mut self, args: Args) -> Done {
        if args.is_empty() {
            return Err(Stop::failed("Flush requires arguments.\n"));
        }
        let filter = self.addr_filter(args)?;
        let mut round = 0;
        while round < MAX_FLUSH_LOOPS {
            let chosen = self.chosen_addrs(&filter);
            if chosen.is_empty() {
                break;
            }
            round += 1;
            self.delete_chosen(&filter, &chosen, round);
            let only_primary = filter.flagmask & IFA_F_SECONDARY != 0 && filter.flags & IFA_F_SECONDARY == 0;
            if only_primary {
                break;
            }
        }
        if self.opts.stats > 0 {
            self.process.print(match round {
                0 => "Nothing to flush.\n".to_owned(),
                _ => format!(
                    "*** Flush is complete after {round} round{} ***\n",
                    if round > 1 { "s" } else { "" }
                ),
            });
        }
        Ok(())
    }

    fn chosen_addrs(&self, filter: &AddrFilter) -> Vec<AddrMsg> {
        let family_fits = matches!(self.opts.family, Family::Unspec | Family::Inet);
        self.all_addrs().into_iter().filter(|addr| family_fits && filter.takes(addr)).collect()
    }

    fn delete_chosen(&mut self, filter: &AddrFilter, chosen: &[AddrMsg], round: u32) {
        let netns = self.netns;
        if self.opts.stats > 1 {
            let mut out = self.out();
            self.view(What::Addr, |view| {
                for addr in chosen {
                    view.addr(&mut out, filter, addr, true);
                }
            });
            self.show(out);
        }
        for addr in chosen {
            let addr = AddrMsg { label: None, ..addr.clone() };
            // A secondary address may have been deleted with its primary.
            let _gone_before = self.enter(|cx| rtm_deladdr(cx, netns, &addr));
        }
        if self.opts.stats > 0 {
            let count = chosen.len();
            self.process.print(format!("\n*** Round {round}, deleting {count} addresses ***\n"));
        }
    }
}

fn lifetime(args: &mut Args, key: &str, again: bool) -> Done<u32> {
    let text = args.value()?;
    if again {
        return Err(duparg(key, text));
    }
    match text {
        "forever" => Ok(INFINITY_LIFE_TIME),
        _ => number(text).ok_or_else(|| invarg(&format!("{key} value"), text)),
    }
}

/// `brd +` sets the host bits of the prefix, `brd -` clears them.
fn broadcast(text: &str, peer: Ipv4Addr, len: u8) -> Option<Ipv4Addr> {
    let mask = inet_make_mask(len);
    match text {
        "+" | "-" if len > MAX_BROADCAST_PREFIX => None,
        "+" => Some(peer | !mask),
        "-" => Some(peer & mask),
        _ => super::args::ipv4(text),
    }
}
