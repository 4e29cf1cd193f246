//! `ip rule`.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::fib_rules::{dump_rules, rtm_delrule, rtm_newrule};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::route_types::{
    RT_TABLE_LOCAL, RT_TABLE_MAIN, RTPROT_KERNEL, RouteType, RuleAction, RuleMsg,
};

use super::addr::get_prefix;
use super::args::{Args, Done, Stop, invarg, matches, number};
use super::names::Names;
use super::out::{Color, Out, Value};
use super::route::route_type;
use super::route_show::type_name;
use super::{Family, Ip};

/// Longest name of a device, bytes (`IFNAMSIZ` without the final zero).
const MAX_NAME: usize = 15;

/// Arguments of `ip rule` that are not modelled.
const OTHER_WORDS: &[&str] =
    &["realms", "tun_id", "suppress_ifgroup", "sup_group", "uidrange", "nat", "map-to"];

/// IP protocols by name (/etc/protocols of Debian 12, the usual ones).
const PROTOCOLS: &[(&str, u8)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipencap", 4),
    ("tcp", 6),
    ("udp", 17),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("ospf", 89),
    ("ipip", 94),
    ("vrrp", 112),
    ("sctp", 132),
];

/// The number of an IP protocol.
pub(super) fn protocol_number(text: &str) -> Option<u8> {
    let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    named.or_else(|| number(text))
}

/// Arguments of `ip rule`.
#[derive(Default)]
struct Parsed {
    msg: RuleMsg,
    from: bool,
    to: bool,
    table: bool,
    action: bool,
}

fn usage() -> Stop {
    Stop::usage(include_str!("help/rule.txt"))
}

impl Ip<'_> {
    pub(super) fn rule(&mut self, mut args: Args) -> Done {
        let Some(word) = args.take() else { return self.rule_show(args) };
        let is = |full| matches(word, full);
        match word {
            _ if is("list") || is("lst") || is("show") => self.rule_show(args),
            _ if is("save") || is("restore") => Err(Stop::not_modelled(&format!("rule {word}"))),
            _ if is("add") => self.rule_modify(args, true),
            _ if is("delete") => self.rule_modify(args, false),
            _ if is("flush") => self.rule_flush(args),
            _ if is("help") => Err(usage()),
            _ => Err(Stop::usage(format!("Command \"{word}\" is unknown, try \"ip rule help\".\n"))),
        }
    }

    fn rule_modify(&mut self, args: Args, add: bool) -> Done {
        if args.is_empty() {
            let what = if add { "add" } else { "del" };
            return Err(Stop::failed(format!("\"ip rule {what}\" requires arguments.\n")));
        }
        let parsed = self.rule_words(args)?;
        let mut msg = parsed.msg;
        let netns = self.netns;
        if add {
            if parsed.table && msg.l3mdev {
                return Err(Stop::error(255, "table can not be specified for l3mdev rules\n"));
            }
            if !parsed.table && !msg.l3mdev && msg.action == RuleAction::ToTable {
                msg.table = RT_TABLE_MAIN;
            }
            self.enter(|cx| rtm_newrule(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL))?;
        } else {
            self.enter(|cx| rtm_delrule(cx, netns, &msg))?;
        }
        Ok(())
    }

    fn rule_words(&self, mut args: Args) -> Done<Parsed> {
        let mut parsed = Parsed::default();
        while let Some(word) = args.take() {
            if self.rule_selector(word, &mut args, &mut parsed)? {
                continue;
            }
            let text = if word == "type" { args.value()? } else { word };
            if matches(text, "help") {
                return Err(usage());
            }
            let msg = &mut parsed.msg;
            parsed.action = true;
            match text {
                "goto" => {
                    msg.action = RuleAction::Goto;
                    msg.goto = args.number("invalid target\n")?;
                }
                "nop" => msg.action = RuleAction::Nop,
                _ => {
                    let bad = || invarg("Failed to parse rule type", text);
                    msg.action = action(route_type(text)).ok_or_else(bad)?;
                }
            }
        }
        Ok(parsed)
    }

    /// Parses selectors and the table.
    fn rule_selector(&self, word: &str, args: &mut Args, parsed: &mut Parsed) -> Done<bool> {
        let msg = &mut parsed.msg;
        match word {
            "not" => msg.invert = true,
            "from" => (msg.src, parsed.from) = (self.rule_prefix(args)?, true),
            "to" => (msg.dst, parsed.to) = (self.rule_prefix(args)?, true),
            _ if matches(word, "preference") || matches(word, "order") || matches(word, "priority") => {
                msg.priority = Some(args.number("preference value is invalid\n")?);
            }
            _ if word == "tos" || matches(word, "dsfield") => {
                let text = args.value()?;
                let bad = || invarg("TOS value is invalid\n", text);
                msg.tos = Names::Dsfield.number(text).ok_or_else(bad)? as u8;
            }
            "fwmark" => {
                let text = args.value()?;
                let (mark, mask) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
                msg.mark = number(mark).ok_or_else(|| invarg("fwmark value is invalid\n", text))?;
                let bad = |text| invarg("fwmask value is invalid\n", text);
                msg.mask = mask.map(|mask| number(mask).ok_or_else(|| bad(mask))).transpose()?;
            }
            _ if matches(word, "protocol") => {
                let text = args.value()?;
                let bad = || invarg("\"protocol\" value is invalid\n", text);
                msg.protocol = Names::Proto.number(text).ok_or_else(bad)? as u8;
            }
            _ if matches(word, "table") || word == "lookup" => {
                let text = args.value()?;
                msg.table = Names::Table.number(text).ok_or_else(|| invarg("invalid table ID\n", text))?;
                parsed.table = true;
            }
            "suppress_prefixlength" | "sup_pl" => {
                msg.suppress_prefixlen = Some(args.number("suppress_prefixlength value is invalid\n")?);
            }
            "l3mdev" => msg.l3mdev = true,
            "dev" | "iif" => msg.iif = Some(rule_device(args, "iif\"/\"dev")?),
            "oif" => msg.oif = Some(rule_device(args, "oif")?),
            "ipproto" => {
                let text = args.value()?;
                let bad = || invarg("Invalid \"ipproto\" value\n", text);
                msg.ip_proto = protocol_number(text).ok_or_else(bad)?;
            }
            "sport" => msg.sport = Some(ports(args.value()?)?),
            "dport" => msg.dport = Some(ports(args.value()?)?),
            _ if OTHER_WORDS.contains(&word) => return Err(Stop::not_modelled(&format!("rule … {word}"))),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn rule_prefix(&self, args: &mut Args) -> Done<(Ipv4Addr, u8)> {
        let (prefix, len) = get_prefix(args.value()?, self.opts.family)?;
        Ok((prefix, len.unwrap_or(32)))
    }

    fn chosen_rules(&self, parsed: &Parsed) -> Vec<RuleMsg> {
        let mut rules = match self.opts.family {
            Family::Unspec | Family::Inet => self.kernel(|kernel| dump_rules(kernel, self.netns)),
            Family::Inet6 => ipv6_rules(),
            _ => Vec::new(),
        };
        rules.retain(|rule| takes(parsed, rule));
        rules
    }

    fn rule_filter(&self, mut args: Args) -> Done<Parsed> {
        let mut parsed = Parsed::default();
        while let Some(word) = args.take() {
            if matches(word, "protocol") {
                // iproute2 6.1 parses it, but shows every rule.
                let text = args.value()?;
                Names::Proto.number(text).ok_or_else(|| invarg("invalid \"protocol\"\n", text))?;
                continue;
            }
            let chooses = !word.starts_with("sup");
            if !(chooses && self.rule_selector(word, &mut args, &mut parsed)?) {
                let (prefix, len) = get_prefix(word, Family::Inet)?;
                (parsed.msg.src, parsed.from) = ((prefix, len.unwrap_or(32)), true);
            }
        }
        Ok(parsed)
    }

    fn rule_show(&mut self, args: Args) -> Done {
        let filter = self.rule_filter(args)?;
        let rules = self.chosen_rules(&filter);
        let (details, numeric) = (self.opts.details > 0, self.opts.numeric);
        let mut out = self.out();
        for rule in &rules {
            out.open(None);
            print_rule(&mut out, rule, details, numeric);
            out.close();
        }
        self.show(out);
        Ok(())
    }

    /// Deletes all rules but that with priority 0.
    fn rule_flush(&mut self, args: Args) -> Done {
        let filter = self.rule_filter(args)?;
        let netns = self.netns;
        for rule in self.chosen_rules(&filter) {
            if rule.priority.is_some_and(|priority| priority != 0) {
                self.enter(|cx| rtm_delrule(cx, netns, &rule))?;
            }
        }
        Ok(())
    }
}

/// The default rules of IPv6.
fn ipv6_rules() -> Vec<RuleMsg> {
    let rule = |priority, table| RuleMsg {
        priority: Some(priority),
        table,
        protocol: RTPROT_KERNEL,
        ..RuleMsg::default()
    };
    vec![rule(0, RT_TABLE_LOCAL), rule(32766, RT_TABLE_MAIN)]
}

fn action(kind: Option<RouteType>) -> Option<RuleAction> {
    match kind? {
        RouteType::Unicast => Some(RuleAction::ToTable),
        RouteType::Blackhole => Some(RuleAction::Blackhole),
        RouteType::Unreachable => Some(RuleAction::Unreachable),
        RouteType::Prohibit => Some(RuleAction::Prohibit),
        _ => None,
    }
}

fn rule_device(args: &mut Args, keyword: &str) -> Done<String> {
    let name = args.value()?;
    if name.len() > MAX_NAME || name.is_empty() || name.contains(['/', ' ']) {
        return Err(invarg(&format!("\"{keyword}\" not a valid ifname"), name));
    }
    Ok(name.to_owned())
}

fn ports(text: &str) -> Done<(u16, u16)> {
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    match (number(low), number(high)) {
        (Some(low), Some(high)) => Ok((low, high)),
        _ => Err(invarg("invalid port range\n", text)),
    }
}

/// The filter of `ip rule show` matches this rule.
fn takes(parsed: &Parsed, rule: &RuleMsg) -> bool {
    let wanted = &parsed.msg;
    let within = |(prefix, len): (Ipv4Addr, u8), own: (Ipv4Addr, u8)| {
        let mask = inet_make_mask(len);
        own.1 > 0 && prefix & mask == own.0 & mask
    };
    (!parsed.from || within(wanted.src, rule.src))
        && (!parsed.to || within(wanted.dst, rule.dst))
        && (!parsed.table || wanted.table == rule.table)
        && wanted.priority.is_none_or(|priority| rule.priority == Some(priority))
        && (wanted.tos == 0 || wanted.tos == rule.tos)
        && (wanted.mark == 0 || wanted.mark == rule.mark)
        && wanted.mask.is_none_or(|mask| rule.mask == Some(mask))
        && (!wanted.invert || rule.invert)
        && (wanted.iif.is_none() || wanted.iif == rule.iif)
        && (wanted.oif.is_none() || wanted.oif == rule.oif)
        && (wanted.ip_proto == 0 || wanted.ip_proto == rule.ip_proto)
        && (wanted.sport.is_none() || wanted.sport == rule.sport)
        && (wanted.dport.is_none() || wanted.dport == rule.dport)
}

fn print_rule(out: &mut Out, rule: &RuleMsg, details: bool, numeric: bool) {
    let priority = rule.priority.unwrap_or(0);
    out.any("priority", priority, format_args!("{priority}:\t"));
    if rule.invert {
        out.any("not", Value::Null, "not ");
    }
    out.text("from ");
    print_side(out, ("src", "srclen"), rule.src, true);
    if rule.dst.1 > 0 {
        out.text("to ");
        print_side(out, ("dst", "dstlen"), rule.dst, false);
    }
    if rule.tos != 0 {
        let tos = Names::Dsfield.name(u32::from(rule.tos), numeric);
        out.any("tos", tos.as_str(), format_args!("tos {tos} "));
    }
    print_mark(out, rule);
    print_device(out, "iif", rule.iif.as_deref(), rule.iif_detached);
    print_device(out, "oif", rule.oif.as_deref(), rule.oif_detached);
    if rule.ip_proto != 0 {
        let known = PROTOCOLS.iter().find(|(_, number)| *number == rule.ip_proto && !numeric);
        let name = known.map_or_else(|| format!("ipproto-{}", rule.ip_proto), |(name, _)| (*name).to_owned());
        out.any("ipproto", name.as_str(), format_args!("ipproto {name} "));
    }
    print_ports(out, "sport", rule.sport);
    print_ports(out, "dport", rule.dport);
    print_action(out, rule, numeric);
    if rule.protocol != 0 && rule.protocol != RTPROT_KERNEL || details {
        let protocol = Names::Proto.name(u32::from(rule.protocol), numeric);
        out.any("protocol", protocol.as_str(), format_args!(" proto {protocol}"));
    }
    out.text("\n");
}

fn print_side(out: &mut Out, (key, len_key): (&str, &str), (prefix, len): (Ipv4Addr, u8), source: bool) {
    if len == 0 && source {
        return out.any(key, "all", "all ");
    }
    let address = prefix.to_string();
    out.color(Some(Color::Inet), key, address.as_str(), &address);
    if len < 32 {
        out.any(len_key, len, format_args!("/{len}"));
    }
    out.text(" ");
}

fn print_mark(out: &mut Out, rule: &RuleMsg) {
    let mask = rule.mask.filter(|mask| *mask != u32::MAX);
    if rule.mark == 0 && mask.is_none_or(|mask| mask == 0) {
        return;
    }
    // As C's %#x.
    let mark = if rule.mark == 0 { "0".to_owned() } else { format!("{:#x}", rule.mark) };
    out.any("fwmark", mark.as_str(), format_args!("fwmark {mark}"));
    if let Some(mask) = mask {
        let mask = format!("{mask:#x}");
        out.any("fwmask", mask.as_str(), format_args!("/{mask}"));
    }
    out.text(" ");
}

fn print_device(out: &mut Out, key: &str, name: Option<&str>, detached: bool) {
    let Some(name) = name else { return };
    out.text(format_args!("{key} "));
    out.color(Some(Color::Ifname), key, name, format_args!("{name} "));
    if detached {
        out.any(&format!("{key}_detached"), Value::Null, "[detached] ");
    }
}

fn print_ports(out: &mut Out, key: &str, range: Option<(u16, u16)>) {
    match range {
        None => {}
        Some((low, high)) if low == high => out.any(key, low, format_args!("{key} {low} ")),
        Some((low, high)) => {
            out.json(&format!("{key}_start"), low);
            out.json(&format!("{key}_end"), high);
            out.text(format_args!("{key} {low}-{high} "));
        }
    }
}

fn print_action(out: &mut Out, rule: &RuleMsg, numeric: bool) {
    match rule.action {
        RuleAction::ToTable => {
            if rule.l3mdev {
                out.any("l3mdev", Value::Null, "lookup [l3mdev-table]");
            } else {
                let table = Names::Table.name(rule.table, numeric);
                out.any("table", table.as_str(), format_args!("lookup {table}"));
            }
            if let Some(len) = rule.suppress_prefixlen {
                out.any("suppress_prefixlen", len, format_args!(" suppress_prefixlength {len}"));
            }
        }
        RuleAction::Goto => {
            out.any("goto", rule.goto, format_args!("goto {}", rule.goto));
            if rule.unresolved {
                out.any("unresolved", Value::Null, " [unresolved]");
            }
        }
        RuleAction::Nop => out.any("nop", Value::Null, "nop"),
        RuleAction::Blackhole => refuse(out, RouteType::Blackhole, numeric),
        RuleAction::Unreachable => refuse(out, RouteType::Unreachable, numeric),
        RuleAction::Prohibit => refuse(out, RouteType::Prohibit, numeric),
    }
}

fn refuse(out: &mut Out, kind: RouteType, numeric: bool) {
    let kind = type_name(kind, numeric);
    out.any("action", kind.as_str(), &kind);
}
