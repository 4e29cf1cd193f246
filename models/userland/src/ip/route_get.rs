//! `ip route get`.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::tables::route_types::{RouteAnswer, RouteQuery, RouteType};

use super::addr::get_prefix;
use super::args::{Args, Done, Stop, invarg, matches};
use super::iproute_lwtunnel::print_encap;
use super::link_show::{View, What};
use super::names::Names;
use super::out::{Color, Out};
use super::route_metrics::print_metrics;
use super::route_show::{RouteFilter, print_via, type_name};
use super::rule::protocol_number;
use super::{Family, Ip};

/// Flags of a route in the high half of `rtm_flags`, by the names that `ip` prints.
const RTCF: &[(u32, &str)] = &[
    (0x8000_0000, "local"),
    (0x4000_0000, "reject"),
    (RTCF_MULTICAST, "mc"),
    (0x1000_0000, "brd"),
    (0x0400_0000, "src-direct"),
    (0x0004_0000, "redirected"),
    (0x0100_0000, "redirect"),
];
const RTCF_MULTICAST: u32 = 0x2000_0000;

impl Ip<'_> {
    pub(super) fn route_get(&mut self, mut args: Args) -> Done {
        let mut query = RouteQuery::default();
        let mut to = None;
        while let Some(word) = args.take() {
            if self.route_get_value(word, &mut args, &mut query)? {
                continue;
            }
            let text = if word == "to" { args.value()? } else { word };
            if matches(text, "help") {
                return Err(Stop::usage(include_str!("help/route.txt")));
            }
            let family = if to.is_some() { Family::Inet } else { self.opts.family };
            to = Some(self.host(text, family)?);
        }
        let Some(to) = to else {
            return Err(Stop::failed("need at least a destination address\n"));
        };
        query.dst = to;
        let netns = self.netns;
        let answer = self.enter(|cx| rtm_getroute(cx, netns, &query))?;
        let mut out = self.out();
        self.view(What::Addr, |view| {
            out.open(None);
            match &answer.entry {
                Some(entry) => view.route(&mut out, entry, &RouteFilter::default()),
                None => view.answer(&mut out, &answer),
            }
            out.close();
        });
        self.show(out);
        Ok(())
    }

    fn route_get_value(&self, word: &str, args: &mut Args, query: &mut RouteQuery) -> Done<bool> {
        match word {
            "from" => query.src = get_prefix(args.value()?, self.opts.family)?.0,
            "iif" => query.iif = Some(self.dev(args.value()?)?),
            "oif" | "dev" => query.oif = Some(self.dev(args.value()?)?),
            "mark" => query.mark = args.number("\"mark\" value is invalid\n")?,
            "fibmatch" => query.fibmatch = true,
            "ipproto" => {
                let text = args.value()?;
                let bad = || invarg("Invalid \"ipproto\" value\n", text);
                query.ip_proto = protocol_number(text).ok_or_else(bad)?;
            }
            "sport" => query.sport = args.number("invalid port\n")?,
            "dport" => query.dport = args.number("invalid port\n")?,
            _ if matches(word, "vrf") => query.oif = Some(self.vrf_arg(args, "Invalid VRF\n")?),
            "uid" | "notify" | "connected" => {
                return Err(Stop::not_modelled(&format!("route get {word}")));
            }
            _ if word == "tos" || matches(word, "dsfield") => {
                let text = args.value()?;
                let bad = || invarg("TOS value is invalid\n", text);
                query.tos = Names::Dsfield.number(text).ok_or_else(bad)? as u8;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn host(&mut self, text: &str, family: Family) -> Done<Ipv4Addr> {
        let (address, len) = get_prefix(text, family)?;
        if let Some(len) = len.filter(|len| *len != 32 && text.contains('/')) {
            self.process
                .eprint(format!("Warning: /{len} as prefix is invalid, only /32 (or none) is supported.\n"));
        }
        Ok(address)
    }
}

impl View<'_> {
    fn answer(&self, out: &mut Out, answer: &RouteAnswer) {
        let detail = self.opts.details > 0;
        if answer.kind != RouteType::Unicast || detail {
            let kind = type_name(answer.kind, self.opts.numeric);
            out.any("type", kind.as_str(), format_args!("{kind} "));
        }
        print_address(out, "", "dst", answer.dst);
        if !answer.src.is_unspecified() {
            print_address(out, "from ", "from", answer.src);
        }
        print_encap(out, answer.encap.as_ref());
        if answer.tos != 0 {
            let tos = Names::Dsfield.name(u32::from(answer.tos), self.opts.numeric);
            out.any("tos", tos.as_str(), format_args!("tos {tos} "));
        }
        if let Some(via) = answer.via {
            print_via(out, via);
        }
        if let Some(dev) = answer.oif.and_then(|dev| self.kernel.devs.get(dev)) {
            out.text("dev ");
            out.color(Some(Color::Ifname), "dev", dev.name.as_str(), format_args!("{} ", dev.name));
        }
        self.table(out, answer);
        if let Some(src) = answer.prefsrc.filter(|_| answer.src.is_unspecified()) {
            print_address(out, "src ", "prefsrc", src);
        }
        out.open_array(Some("flags"));
        if answer.rtcf & RTCF_MULTICAST != 0 {
            // The same bit as RTM_F_OFFLOAD_FAILED, which iproute2 prints for it.
            out.item("rt_offload_failed", "rt_offload_failed ");
        }
        out.close_array();
        if answer.mark != 0 {
            // iproute2 prints the larger ones in hexadecimal, but not in JSON.
            let text = if answer.mark < 16 { answer.mark.to_string() } else { format!("{:#x}", answer.mark) };
            out.any("mark", answer.mark, format_args!("mark {text} "));
        }
        if answer.iif.is_none() {
            out.any("uid", 0, "uid 0 ");
        }
        self.cache(out, answer);
    }

    /// Without policy rules local and main are one table, reported as main.
    fn table(&self, out: &mut Out, answer: &RouteAnswer) {
        let custom = self.kernel.netns[self.netns].ipv4.fib.rules.custom;
        let main = glassnet_kernel::tables::route_types::RT_TABLE_MAIN;
        let table = if custom { answer.table } else { main };
        if table != main && table != 0 || self.opts.details > 0 {
            let table = Names::Table.name(table, self.opts.numeric);
            out.any("table", table.as_str(), format_args!("table {table} "));
        }
    }

    fn cache(&self, out: &mut Out, answer: &RouteAnswer) {
        out.nl();
        out.text("    cache ");
        let names: Vec<&str> =
            RTCF.iter().filter(|(flag, _)| answer.rtcf & flag != 0).map(|(_, name)| *name).collect();
        out.open_array(Some("cache"));
        for name in &names {
            out.item(*name, "");
        }
        out.close_array();
        if !names.is_empty() {
            out.text(format_args!("<{}> ", names.join(",")));
        }
        if let Some(expires) = answer.expires {
            let seconds = expires / 1_000_000_000;
            out.any("expires", seconds, format_args!("expires {seconds}sec "));
        }
        print_metrics(out, &answer.metrics);
        if let Some(dev) = answer.iif.and_then(|dev| self.kernel.devs.get(dev)) {
            out.any("iif", dev.name.as_str(), format_args!("iif {} ", dev.name));
        }
        out.text("\n");
    }
}

fn print_address(out: &mut Out, word: &str, key: &str, address: Ipv4Addr) {
    let address = address.to_string();
    out.text(word);
    out.color(Some(Color::Inet), key, address.as_str(), format_args!("{address} "));
}
