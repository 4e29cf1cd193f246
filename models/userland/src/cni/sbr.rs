//! `sbr`: routes of a container's device in a table of their own, for what has its addresses as source.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::BOOT_TIME;
use glassnet_kernel::net::ipv4::fib_frontend::{dump_routes, rtm_delroute};
use glassnet_kernel::net::ipv4::fib_rules::{dump_rules, rtm_delrule, rtm_newrule};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::route_types::{RTPROT_BOOT, RouteMsg, RuleMsg, Scope};

use super::error::{Done, refusal};
use super::json::Fields;
use super::link::{MAIN, route_to};
use super::skel::{ALL, Cmd, NetConf, Plugin};
use super::types::{CniResult, IpConfig, IpNet};
use crate::process::Boxed;

/// The row.
pub(super) static PLUGIN: Plugin = Plugin { name: "sbr", versions: ALL, add, check, del };

/// The first table that it takes.
const FIRST_TABLE: u32 = 100;

fn read(cmd: &Cmd) -> Done<NetConf> {
    let failed = |error| format!("failed to parse network configuration: {error}");
    let value = cmd.conf().map_err(failed)?;
    let net = Fields::of("PluginConf", &value).and_then(|fields| NetConf::read(&fields)).map_err(failed)?;
    match &net.prev_error {
        Some(error) => Err(error.clone().into()),
        None => Ok(net),
    }
}

/// A result as Go prints the struct; numbers in the heap are none here.
fn go_result(result: &CniResult) -> String {
    let interfaces: Vec<String> = result
        .interfaces
        .iter()
        .map(|own| format!("{{Name:{} Mac:{} Sandbox:{}}}", own.name, own.mac, own.sandbox))
        .collect();
    let ips: Vec<String> = result.ips.iter().map(go_ip).collect();
    let routes: Vec<String> = result.routes.iter().map(super::types::Route::go).collect();
    let dns = &result.dns;
    let (interfaces, ips, routes) = (interfaces.join(" "), ips.join(" "), routes.join(" "));
    let dns = format!(
        "{{[{}] {} [{}] [{}]}}",
        dns.nameservers.join(" "),
        dns.domain,
        dns.search.join(" "),
        dns.options.join(" ")
    );
    format!("&{{1.0.0 [{interfaces}] [{ips}] [{routes}] {dns}}}")
}

fn go_ip(ip: &IpConfig) -> String {
    let gateway = ip.gateway.map_or("<nil>".to_owned(), |gateway| gateway.to_string());
    let interface = if ip.interface.is_some() { "0xc000000000" } else { "<nil>" };
    format!("{{Interface:{interface} Address:{} Gateway:{gateway}}}", ip.address.go())
}

impl Cmd<'_> {
    /// A line of the log on standard error.
    fn log(&mut self, text: &str) {
        let seconds = BOOT_TIME as i64 + (self.process.now().0 / 1_000_000_000) as i64;
        let time = chrono::DateTime::from_timestamp(seconds, 0).unwrap_or_default();
        self.process.eprint(format!("{} {text}\n", time.format("%Y/%m/%d %H:%M:%S")));
    }

    /// The device's addresses in a result.
    fn own_ips(&mut self, result: &CniResult) -> Vec<IpConfig> {
        let name = self.if_name.clone();
        self.log(&format!("Checking for relevant interface: {name}"));
        let mut own = Vec::new();
        for ip in &result.ips {
            let is_own = match ip.interface {
                None => true,
                Some(at) => result.interfaces.get(at).is_some_and(|interface| interface.name == name),
            };
            let found = if is_own { "Found IP address" } else { "Incorrect interface for IP address" };
            self.log(&format!("{found} {}", ip.address.ip));
            if is_own {
                own.push(ip.clone());
            }
        }
        own
    }

    /// Routes by source: a rule and a default route for each address, and the device's other routes.
    fn do_routes(&mut self, netns: NetnsId, ips: &[IpConfig]) -> Done {
        let name = self.if_name.clone();
        let used = self.kernel(|kernel| dump_rules(kernel, netns));
        let mut table = FIRST_TABLE;
        while used.iter().any(|rule| rule.table == table) {
            table += 1;
        }
        self.log(&format!("First unreferenced table: {table}"));
        let dev = self.link(netns, &name);
        let dev = dev.map_err(|error| format!("Cannot find network interface {name}: {error}"))?;
        let before: Vec<RouteMsg> = self
            .routes(netns, MAIN)
            .into_iter()
            .filter(|route| route.nexthops.iter().any(|hop| hop.dev == Some(dev)))
            .collect();
        for ip in ips {
            self.log(&format!("Set rule for source {}", go_ip(ip)));
            let rule =
                RuleMsg { src: (ip.address.ip, 32), table, protocol: RTPROT_BOOT, ..RuleMsg::default() };
            self.log(&format!("Source to use {}/32", ip.address.ip));
            let added = self.enter(|cx| rtm_newrule(cx, netns, &rule, NLM_F_CREATE | NLM_F_EXCL));
            added.map_err(|error| format!("Failed to add rule: {}", refusal(error)))?;
            if let Some(gateway) = ip.gateway {
                self.log(&format!("Adding default route to gateway {gateway}"));
                let default = IpNet { ip: Ipv4Addr::UNSPECIFIED, len: 0 };
                let route = RouteMsg { table, ..route_to(default, dev, Some(gateway), Scope::UNIVERSE) };
                self.add_route(netns, &route, NLM_F_EXCL)
                    .map_err(|error| format!("Failed to add default route to {gateway}: {error}"))?;
            }
            for route in &before {
                self.log(&format!("Copying route {} from table {MAIN} to {table}", self.go_route(route)));
                let copy = RouteMsg { table, ..route.clone() };
                match self.add_route(netns, &copy, NLM_F_EXCL) {
                    Err(error) if error != "file exists" => {
                        return Err(format!("Failed to readd route: {error}").into());
                    }
                    _ => {}
                }
            }
            table += 1;
        }
        for route in &before {
            self.log(&format!("Deleting route {} from table {MAIN}", self.go_route(route)));
            let gone = self.enter(|cx| rtm_delroute(cx, netns, route)).map_err(refusal);
            gone.map_err(|error| format!("Failed to delete route: {error}"))?;
        }
        Ok(())
    }

    /// A route as Go prints it.
    fn go_route(&self, route: &RouteMsg) -> String {
        let hop = route.nexthops.first();
        let index =
            hop.and_then(|hop| hop.dev).map_or(0, |dev| self.kernel(|kernel| kernel.devs[dev].ifindex));
        let text = |ip: Option<Ipv4Addr>| ip.map_or("<nil>".to_owned(), |ip| ip.to_string());
        let dst = match route.dst_len {
            0 => "<nil>".to_owned(),
            len => format!("{}/{len}", route.dst),
        };
        let (src, gw) = (text(route.prefsrc), text(hop.and_then(|hop| hop.via)));
        format!(
            "{{Ifindex: {index} Dst: {dst} Src: {src} Gw: {gw} Flags: [] Table: {} Realm: 0}}",
            route.table
        )
    }

    /// Takes away the rules that lead to tables with routes of the device.
    fn tidy_rules(&mut self, netns: NetnsId) -> Done {
        let dev = self.link(netns, &self.if_name).ok();
        let routes = self.kernel(|kernel| dump_routes(kernel, netns));
        for rule in self.kernel(|kernel| dump_rules(kernel, netns)) {
            let text = go_rule(&rule);
            self.log(&format!("Check rule: {text}"));
            if rule.src.1 == 0 {
                continue;
            }
            let is_own = |route: &RouteMsg| {
                route.table == rule.table
                    && route.nexthops.iter().any(|hop| hop.dev.is_some() && hop.dev == dev)
            };
            if routes.iter().any(is_own) {
                self.log(&format!("Delete rule {text}"));
                let gone = self.enter(|cx| rtm_delrule(cx, netns, &rule)).map_err(refusal);
                gone.map_err(|error| format!("Failed to delete rule {text}: {error}"))?;
            }
        }
        Ok(())
    }
}

/// A rule as Go prints it.
fn go_rule(rule: &RuleMsg) -> String {
    let net = |(ip, len): (Ipv4Addr, u8)| if len == 0 { "all".to_owned() } else { format!("{ip}/{len}") };
    let priority = rule
        .priority
        .filter(|priority| *priority != 0)
        .map_or("-1".to_owned(), |priority| priority.to_string());
    format!("ip rule {priority}: from {} to {} table {}", net(rule.src), net(rule.dst), rule.table)
}

fn add<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        let net = read(cmd)?;
        let before = net.prev_result.as_ref().map_or("<nil>".to_owned(), go_result);
        cmd.log(&format!("Configure SBR for new interface {} - previous result: {before}", cmd.if_name));
        let result = net.prev("This plugin must be called as chained plugin")?;
        let ips = cmd.own_ips(&result);
        cmd.log(&format!("Network namespace to use and lock: {}", cmd.netns));
        let netns = cmd.netns_at(&cmd.netns)?;
        cmd.do_routes(netns, &ips)?;
        Ok(result.json(&net.version)?)
    })
}

fn check<'a>(_: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async { Ok(String::new()) })
}

fn del<'a>(cmd: &'a mut Cmd<'_>) -> Boxed<'a, Done<String>> {
    Box::pin(async move {
        cmd.log(&format!("Cleaning up SBR for {}", cmd.if_name));
        read(cmd)?;
        cmd.log(&format!("Network namespace to use and lock: {}", cmd.netns));
        // A container that is gone has no rules.
        if let Ok(netns) = cmd.netns_at(&cmd.netns) {
            cmd.tidy_rules(netns)?;
        }
        Ok(String::new())
    })
}
