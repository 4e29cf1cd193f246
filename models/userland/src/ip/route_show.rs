//! `ip route show` and `flush`.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::ipv4::fib_frontend::{dump_routes, rtm_delroute};
use glassnet_kernel::net::ipv4::sysctl_net_ipv4::rt_cache_flush;
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::route_types::{
    NexthopMsg, RT_TABLE_MAIN, RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, RTPROT_BOOT, RouteMsg, RouteType,
    Scope,
};

use super::addr::{get_addr, get_prefix};
use super::args::{Args, Done, Stop, invarg, matches};
use super::iproute_lwtunnel::print_encap;
use super::link_show::{View, What};
use super::names::Names;
use super::out::{Color, Out};
use super::route::{TYPES, route_type};
use super::route_metrics::print_metrics;
use super::{Family, Ip};

/// Maximum number of rounds of a flush.
const MAX_FLUSH_LOOPS: u32 = 10;

/// Filter of routes. Attributes in the filter are not printed.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteFilter {
    /// 0: all tables.
    table: u32,
    root: Option<(Ipv4Addr, u8)>,
    matching: Option<(Ipv4Addr, u8)>,
    dev: Option<DevId>,
    via: Option<Ipv4Addr>,
    src: Option<Ipv4Addr>,
    protocol: Option<u8>,
    scope: Option<u8>,
    kind: Option<RouteType>,
    /// Without local and broadcast routes.
    no_own: bool,
    metric: Option<u32>,
    tos: Option<u8>,
    /// The routing cache, which Linux no longer has.
    cache: bool,
}

impl RouteFilter {
    fn takes(&self, route: &RouteMsg) -> bool {
        let same = |prefix: Ipv4Addr, mask: Ipv4Addr| prefix & mask == route.dst & mask;
        let within =
            |(prefix, len): (Ipv4Addr, u8)| route.dst_len >= len && same(prefix, inet_make_mask(len));
        let around = |(prefix, len): (Ipv4Addr, u8)| {
            route.dst_len <= len && same(prefix, inet_make_mask(route.dst_len))
        };
        let hop = match route.nexthops.as_slice() {
            [hop] => *hop,
            _ => NexthopMsg::default(),
        };
        !self.cache
            && (self.table == 0 || self.table == route.table)
            && self.root.is_none_or(within)
            && self.matching.is_none_or(around)
            && self.dev.is_none_or(|dev| hop.dev == Some(dev))
            && self.via.is_none_or(|via| hop.via == Some(via))
            && self.src.is_none_or(|src| route.prefsrc == Some(src))
            && self.protocol.is_none_or(|protocol| route.protocol == protocol)
            && self.scope.is_none_or(|scope| route.scope.0 == scope)
            && self.kind.is_none_or(|kind| route.kind == kind)
            && !(self.no_own && matches!(route.kind, RouteType::Local | RouteType::Broadcast))
            && self.metric.is_none_or(|metric| route.priority == metric)
            && self.tos.is_none_or(|tos| route.tos == tos)
    }
}

impl Ip<'_> {
    pub(super) fn route_show(&mut self, args: Args) -> Done {
        let filter = self.route_filter(args, "Dump")?;
        let routes = self.chosen_routes(&filter);
        self.print_routes(&filter, &routes);
        Ok(())
    }

    fn print_routes(&mut self, filter: &RouteFilter, routes: &[RouteMsg]) {
        let mut out = self.out();
        self.view(What::Addr, |view| {
            for route in routes {
                out.open(None);
                view.route(&mut out, route, filter);
                out.close();
            }
        });
        self.show(out);
    }

    fn chosen_routes(&self, filter: &RouteFilter) -> Vec<RouteMsg> {
        if !matches!(self.opts.family, Family::Unspec | Family::Inet) {
            return Vec::new();
        }
        let mut routes = self.kernel(|kernel| dump_routes(kernel, self.netns));
        routes.retain(|route| filter.takes(route));
        routes
    }

    fn route_filter(&self, mut args: Args, what: &str) -> Done<RouteFilter> {
        let mut filter = RouteFilter { table: RT_TABLE_MAIN, ..RouteFilter::default() };
        while let Some(word) = args.take() {
            if !self.route_filter_value(word, &mut args, &mut filter)? {
                self.route_filter_prefix(word, &mut args, &mut filter)?;
            }
        }
        // `show` treats a main table that does not exist as empty.
        let known = filter.table == 0
            || filter.table == RT_TABLE_MAIN && what == "Dump"
            || !matches!(self.opts.family, Family::Unspec | Family::Inet)
            || self.kernel(|kernel| kernel.netns[self.netns].ipv4.fib.has_table(filter.table));
        if !known {
            let stderr = format!("Error: ipv4: FIB table does not exist.\n{what} terminated\n");
            return Err(Stop::error(2, stderr));
        }
        Ok(filter)
    }

    fn route_filter_value(&self, word: &str, args: &mut Args, filter: &mut RouteFilter) -> Done<bool> {
        match word {
            "dev" | "oif" => filter.dev = Some(self.dev(args.value()?)?),
            "via" => filter.via = Some(get_addr(args.value()?, self.opts.family)?),
            "src" => filter.src = Some(get_addr(args.value()?, self.opts.family)?),
            "metric" | "priority" | "preference" => {
                filter.metric = Some(args.number("\"metric\" value is invalid\n")?);
            }
            "cached" | "cloned" => filter.cache = true,
            _ if matches(word, "vrf") => {
                filter.table = self.vrf_table_arg(args)?;
                filter.no_own = true;
            }
            "iif" | "mark" | "realms" | "from" | "nhid" => {
                return Err(Stop::not_modelled(&format!("route show {word}")));
            }
            _ if matches(word, "table") => match args.value()? {
                "all" => filter.table = 0,
                "cache" => filter.cache = true,
                text => {
                    let bad = || invarg("table id value is invalid\n", text);
                    filter.table = Names::Table.number(text).ok_or_else(bad)?;
                }
            },
            _ if word == "tos" || matches(word, "dsfield") => {
                filter.tos = choice(args, Names::Dsfield, "TOS value is invalid\n")?;
            }
            _ if matches(word, "protocol") => {
                filter.protocol = choice(args, Names::Proto, "invalid \"protocol\"\n")?;
            }
            _ if matches(word, "scope") => filter.scope = choice(args, Names::Scope, "invalid \"scope\"\n")?,
            _ if matches(word, "type") => {
                let text = args.value()?;
                let bad = || invarg("node type value is invalid\n", text);
                filter.kind = Some(route_type(text).ok_or_else(bad)?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn route_filter_prefix(&self, word: &str, args: &mut Args, filter: &mut RouteFilter) -> Done {
        if matches(word, "help") {
            return Err(Stop::usage(include_str!("help/route.txt")));
        }
        let mut word = if word == "to" { args.value()? } else { word };
        let how = word;
        if ["root", "match", "exact"].iter().any(|kind| matches(how, kind)) {
            word = args.value()?;
        }
        if how == "all" {
            filter.table = 0;
            return Ok(());
        }
        if how == "cache" {
            filter.cache = true;
            return Ok(());
        }
        let (prefix, len) = get_prefix(word, self.opts.family)?;
        let prefix = Some((prefix, len.unwrap_or(32)));
        match how {
            _ if matches(how, "root") => filter.root = prefix,
            _ if matches(how, "match") => filter.matching = prefix,
            _ => (filter.root, filter.matching) = (prefix, prefix),
        }
        Ok(())
    }

    pub(super) fn route_flush(&mut self, args: Args) -> Done {
        if args.is_empty() {
            return Err(Stop::failed("\"ip route flush\" requires arguments.\n"));
        }
        let filter = self.route_filter(args, "Flush")?;
        if filter.cache {
            return self.route_flush_cache();
        }
        let mut round = 0;
        while round < MAX_FLUSH_LOOPS {
            let routes = self.chosen_routes(&filter);
            if routes.is_empty() {
                break;
            }
            round += 1;
            if self.opts.stats > 1 {
                self.print_routes(&filter, &routes);
            }
            let netns = self.netns;
            for route in &routes {
                // The route may have been deleted with the one before it.
                let _gone_before = self.enter(|cx| rtm_delroute(cx, netns, route));
            }
            if self.opts.stats > 0 {
                let count = routes.len();
                self.process.print(format!("\n*** Round {round}, deleting {count} entries ***\n"));
            }
        }
        self.flush_complete(round);
        Ok(())
    }

    /// The last line of `flush -s`.
    pub(super) fn flush_complete(&mut self, rounds: u32) {
        if self.opts.stats > 0 {
            let plural = if rounds > 1 { "s" } else { "" };
            self.process.print(match rounds {
                0 => "Nothing to flush.\n".to_owned(),
                _ => format!("*** Flush is complete after {rounds} round{plural} ***\n"),
            });
        }
    }

    fn route_flush_cache(&mut self) -> Done {
        let netns = self.netns;
        self.enter(|cx| rt_cache_flush(cx, netns));
        if self.opts.stats > 0 {
            self.process.print("*** IPv4 routing cache is flushed.\n");
        }
        Ok(())
    }
}

/// A number by name; `all`: any.
fn choice(args: &mut Args, names: Names, message: &str) -> Done<Option<u8>> {
    match args.value()? {
        "all" => Ok(None),
        text => names.number(text).map(|number| Some(number as u8)).ok_or_else(|| invarg(message, text)),
    }
}

/// The name of a route type.
pub(super) fn type_name(kind: RouteType, numeric: bool) -> String {
    match TYPES.iter().find(|(_, known)| *known == kind && !numeric) {
        Some((name, _)) => (*name).to_owned(),
        None => (kind as u8).to_string(),
    }
}

impl View<'_> {
    fn dev_name(&self, dev: DevId) -> &str {
        self.kernel.devs.get(dev).map_or("*", |dev| &dev.name)
    }

    /// Prints a route with its line end.
    pub(super) fn route(&self, out: &mut Out, route: &RouteMsg, filter: &RouteFilter) {
        let detail = self.opts.details > 0;
        if route.kind != RouteType::Unicast || detail {
            let kind = type_name(route.kind, self.opts.numeric);
            out.any("type", kind.as_str(), format_args!("{kind} "));
        }
        print_prefix(out, route);
        if let [hop] = route.nexthops.as_slice() {
            print_encap(out, hop.encap.as_ref());
        }
        if route.tos != 0 && filter.tos.is_none() {
            let tos = Names::Dsfield.name(u32::from(route.tos), self.opts.numeric);
            out.any("tos", tos.as_str(), format_args!("tos {tos} "));
        }
        let hop = match route.nexthops.as_slice() {
            [hop] => Some(hop),
            _ => None,
        };
        if let Some(hop) = hop {
            self.hop(out, hop, filter);
        }
        self.origin(out, route, filter);
        let flags = match route.nexthops.as_slice() {
            [] => 0,
            [hop] => hop.flags,
            _ => route.flags,
        };
        print_flags(out, flags);
        print_metrics(out, &route.metrics);
        if route.nexthops.len() > 1 {
            self.hops(out, &route.nexthops);
        }
        out.text("\n");
    }

    fn hop(&self, out: &mut Out, hop: &NexthopMsg, filter: &RouteFilter) {
        if let Some(via) = hop.via.filter(|_| filter.via.is_none()) {
            print_via(out, via);
        }
        if let Some(dev) = hop.dev.filter(|_| filter.dev.is_none()) {
            let name = self.dev_name(dev);
            out.text("dev ");
            out.color(Some(Color::Ifname), "dev", name, format_args!("{name} "));
        }
    }

    fn origin(&self, out: &mut Out, route: &RouteMsg, filter: &RouteFilter) {
        let (detail, numeric) = (self.opts.details > 0, self.opts.numeric);
        if filter.table == 0 && (route.table != RT_TABLE_MAIN || detail) {
            let table = Names::Table.name(route.table, numeric);
            out.any("table", table.as_str(), format_args!("table {table} "));
        }
        if filter.protocol.is_none() && (route.protocol != RTPROT_BOOT || detail) {
            let protocol = Names::Proto.name(u32::from(route.protocol), numeric);
            out.any("protocol", protocol.as_str(), format_args!("proto {protocol} "));
        }
        if filter.scope.is_none() && (route.scope != Scope::UNIVERSE || detail) {
            let scope = Names::Scope.name(u32::from(route.scope.0), numeric);
            out.any("scope", scope.as_str(), format_args!("scope {scope} "));
        }
        if let Some(src) = route.prefsrc.filter(|_| filter.src.is_none()) {
            let src = src.to_string();
            out.text("src ");
            out.color(Some(Color::Inet), "prefsrc", src.as_str(), format_args!("{src} "));
        }
        if route.priority != 0 && filter.metric.is_none() {
            out.any("metric", route.priority, format_args!("metric {} ", route.priority));
        }
    }

    fn hops(&self, out: &mut Out, hops: &[NexthopMsg]) {
        out.open_array(Some("nexthops"));
        for hop in hops {
            out.open(None);
            out.nl();
            out.text("\tnexthop ");
            print_encap(out, hop.encap.as_ref());
            if let Some(via) = hop.via {
                print_via(out, via);
            }
            if let Some(dev) = hop.dev {
                let name = self.dev_name(dev);
                out.any("dev", name, format_args!("dev {name} "));
            }
            out.any("weight", u32::from(hop.weight), format_args!("weight {} ", hop.weight));
            print_flags(out, hop.flags);
            out.close();
        }
        out.close_array();
    }
}

fn print_prefix(out: &mut Out, route: &RouteMsg) {
    if route.dst_len == 0 {
        return out.any("dst", "default", "default ");
    }
    let mut prefix = route.dst.to_string();
    if route.dst_len < 32 {
        prefix.push_str(&format!("/{}", route.dst_len));
    }
    out.color(Some(Color::Inet), "dst", prefix.as_str(), format_args!("{prefix} "));
}

pub(super) fn print_via(out: &mut Out, via: Ipv4Addr) {
    let via = via.to_string();
    out.text("via ");
    out.color(Some(Color::Inet), "gateway", via.as_str(), format_args!("{via} "));
}

fn print_flags(out: &mut Out, flags: u32) {
    out.open_array(Some("flags"));
    for (flag, name) in [(RTNH_F_DEAD, "dead"), (RTNH_F_ONLINK, "onlink"), (RTNH_F_LINKDOWN, "linkdown")] {
        if flags & flag != 0 {
            out.item(name, format_args!("{name} "));
        }
    }
    out.close_array();
}
