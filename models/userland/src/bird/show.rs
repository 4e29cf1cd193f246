//! What `birdc show …` prints.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use chrono::DateTime;
use glassnet_sim::Nanos;
use rustbgpd_wire::{Capability, OpenMessage};

use super::bgp::{Bgp, Phase, Timer};
use super::config::{Kind, StaticTo, TimeFormat};
use super::daemon::Daemon;
use super::iface::Iface;
use super::proto::{Channel, Counts, Proto, Running, State};
use super::route::{ATTRS, Attr, Dest, IGP_METRIC_UNKNOWN, Rte};
use super::value::{Value, members};
use crate::sock::wall;

/// The version.
pub const VERSION: &str = "2.0.12";

/// The printed name of an attribute.
pub fn attr_name(attr: Attr) -> String {
    let known = ATTRS.iter().find(|(_, other, ..)| *other == attr);
    match (known, attr) {
        (Some((_, _, shown, _)), _) => (*shown).to_owned(),
        (None, Attr::Unknown(code)) => format!("{code:02x} [t]"),
        (None, _) => String::new(),
    }
}

/// A point in time in a format.
pub fn time(format: &TimeFormat, at: Nanos, now: Nanos) -> String {
    let text = if format.limit == Nanos::ZERO || now.since(at) <= format.limit {
        &format.recent
    } else {
        &format.older
    };
    // BIRD counts digits of fractions as `%3f`, chrono has them as `%3f` too.
    DateTime::from_timestamp_nanos(wall(at) as i64).format(text).to_string()
}

/// How long a timer still runs, and for how long it was set.
fn timer(timer: Option<Timer>, now: Nanos) -> Option<String> {
    let timer = timer?;
    let left = timer.at.since(now.min(timer.at));
    Some(format!("{}.{:03}/{}", left.0 / 1_000_000_000, left.0 / 1_000_000 % 1000, timer.span))
}

/// The scope of an address, as BIRD names it.
fn scope(address: Ipv4Addr) -> &'static str {
    if address.is_loopback() {
        "host"
    } else if address.is_link_local() {
        "link"
    } else if address.is_private() {
        "site"
    } else {
        "univ"
    }
}

impl Daemon {
    pub fn show_status(&self, hostname: &str) -> String {
        let at = |at| time(&self.config.time_format("base"), at, self.now);
        let hostname = self.config.hostname.as_deref().unwrap_or(hostname);
        let state = if self.shutting_down { "Shutdown in progress" } else { "Daemon is up and running" };
        format!(
            "BIRD {VERSION}\nRouter ID is {}\nHostname is {hostname}\nCurrent server time is {}\n\
             Last reboot on {}\nLast reconfiguration on {}\n{state}\n",
            self.router_id,
            at(self.now),
            at(self.started),
            at(self.reconfigured)
        )
    }

    pub fn show_interfaces(&self) -> String {
        self.ifaces.iter().map(interface).collect()
    }

    pub fn show_interfaces_summary(&self) -> String {
        let mut text = "Interface  State  IPv4 address       IPv6 address\n".to_owned();
        for iface in &self.ifaces {
            let state = if iface.is_up() { "up" } else { "down" };
            let address =
                iface.addresses.first().map_or(String::new(), |own| format!("{}/{}", own.ip, own.net.len));
            text += &format!("{:<10} {state:<6} {address:<18} \n", iface.name);
        }
        text
    }

    pub fn show_protocols_head() -> String {
        "Name       Proto      Table      State  Since         Info\n".to_owned()
    }

    /// A protocol's line, and all that is known of it.
    pub fn show_protocol(&self, proto: &Proto, all: bool) -> String {
        let table = match &proto.channel {
            Some(channel) if matches!(proto.config.kind, Kind::Kernel(_) | Kind::Static { .. }) => {
                channel.config.table.as_str()
            }
            _ => "---",
        };
        let since = time(&self.config.time_format("protocol"), proto.since, self.now);
        let info = match proto.bgp() {
            Some(bgp) if proto.state != State::Down => {
                format!("{:<14}{}", bgp.state_word(), bgp.error_text())
            }
            Some(bgp) => bgp.error_text(),
            None => String::new(),
        };
        let (kind, _) = proto.config.kind.names();
        let (name, state) = (&proto.name, proto.state.word());
        let mut text = format!("{name:<10} {kind:<10} {table:<10} {state:<6} {since:<12}  {info}\n");
        if !all {
            return text;
        }
        if let Some(description) = &proto.config.description {
            text += &format!("  Description:    {description}\n");
        }
        if !proto.message.is_empty() {
            text += &format!("  Message:        {}\n", proto.message);
        }
        if let Some(bgp) = proto.bgp() {
            text += &self.show_bgp(proto, bgp);
        }
        if let Some(channel) = &proto.channel {
            text += &self.show_channel(proto, channel);
        }
        text += "\n";
        text
    }

    fn show_bgp(&self, proto: &Proto, bgp: &Bgp) -> String {
        let state = if proto.state == State::Down { "Down" } else { bgp.state_word() };
        let mut text = format!("  BGP state:          {state}\n    Neighbor address: {}", bgp.neighbor());
        if let Some(name) = &bgp.config.iface {
            text += &format!("%{name}");
        }
        text += "\n";
        let mut line = |name: &str, value: String| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "    {:<17} {value}", format!("{name}:"));
        };
        if bgp.config.neighbor_port != 179 {
            line("Neighbor port", bgp.config.neighbor_port.to_string());
        }
        if let Some(asn) = bgp.neighbor_as() {
            line("Neighbor AS", asn.to_string());
        }
        line("Local AS", bgp.config.local_as.to_string());
        if bgp.restart_timer.is_some() {
            text += "    Neighbor graceful restart active\n";
        }
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "    {:<17} {value}", format!("{name}:"));
        };
        if proto.state == State::Start {
            if bgp.phase == Phase::ErrorWait
                && let Some(left) = timer(bgp.error_timer, self.now)
            {
                line("Error wait", left);
            }
            if bgp.outgoing.is_none()
                && let Some(left) = timer(bgp.connect_timer, self.now)
            {
                line("Connect delay", left);
            }
            if let Some(left) = timer(bgp.restart_timer, self.now) {
                line("Restart timer", format!("{}/-", left.split('/').next().unwrap_or_default()));
            }
        }
        if let Some(conn) = bgp.session().filter(|_| proto.state == State::Up) {
            if let Some(id) = bgp.neighbor_id() {
                text += &format!("    Neighbor ID:      {id}\n");
            }
            text += &capabilities("Local", conn.open.as_ref());
            text += &capabilities("Neighbor", conn.remote.as_ref());
            let config = &bgp.config;
            let words = [
                (true, if config.is_internal() { "internal" } else { "external" }),
                (!config.is_direct(), "multihop"),
                (config.rr_client, "route-reflector"),
                (config.rs_client, "route-server"),
                (conn.has_as4(), "AS4"),
            ];
            let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
            text += &format!("    Session:          {}\n", words.join(" "));
            let local = bgp.local.unwrap_or_else(|| conn.socket.local().0);
            text += &format!("    Source address:   {local}\n");
            let of = |left| timer(left, self.now).unwrap_or_else(|| "0.000/0".to_owned());
            text += &format!("    Hold timer:       {}\n", of(conn.hold));
            text += &format!("    Keepalive timer:  {}\n", of(conn.keepalive));
        }
        if bgp.last_error.is_some() {
            text += &format!("    Last error:       {}\n", bgp.error_text());
        }
        text
    }

    fn show_channel(&self, proto: &Proto, channel: &Channel) -> String {
        // A channel whose neighbour restarts keeps its routes.
        let waits = proto.bgp().is_some_and(|bgp| bgp.restart_timer.is_some());
        let state = match (channel.up, waits) {
            (true, _) => "UP",
            (false, true) => "START",
            (false, false) => "DOWN",
        };
        let mut text = format!(
            "  Channel ipv4\n    State:          {state}\n    Table:          {}\n    Preference:     {}\n    \
             Input filter:   {}\n    Output filter:  {}\n",
            channel.config.table,
            proto.preference(),
            channel.import().name(),
            channel.export().name()
        );
        if let Some(limit) = channel.config.import_limit {
            let hit = if channel.limited { " [HIT]" } else { "" };
            let action = format!("{:?}", limit.action).to_lowercase();
            text += &format!("    Import limit:   {}{hit}\n      Action:       {action}\n", limit.count);
        }
        if channel.up || waits {
            let id = self.protos.iter().position(|other| other.name == proto.name).unwrap_or(0);
            let imported = self.routes_of(id);
            let table = self.tables.get(&channel.config.table);
            let is_best = |rte: &&&Rte| {
                let best = table.and_then(|table| table.nets.get(&rte.net)).and_then(|routes| routes.first());
                best.is_some_and(|best| best.proto == id && best.path_id == rte.path_id)
            };
            let filtered = match channel.config.keep_filtered {
                true => format!("{} filtered, ", channel.filtered.len()),
                false => String::new(),
            };
            text += &format!(
                "    Routes:         {} imported, {filtered}{} exported, {} preferred\n",
                imported.len(),
                channel.exported.len(),
                imported.iter().filter(is_best).count()
            );
            text += "    Route change stats:     received   rejected   filtered    ignored   accepted\n";
            let stats = &channel.stats;
            text += &counts("Import updates:", &stats.import_updates, [true; 5]);
            text += &counts("Import withdraws:", &stats.import_withdraws, [true, true, false, true, true]);
            text += &counts("Export updates:", &stats.export_updates, [true, true, true, false, true]);
            text += &counts("Export withdraws:", &stats.export_withdraws, [true, false, false, false, true]);
        }
        if let Some(bgp) = proto.bgp() {
            if channel.up {
                let own = bgp.local.or_else(|| Some(bgp.session()?.socket.local().0));
                let own = channel.config.next_hop_address.or(own).unwrap_or(Ipv4Addr::UNSPECIFIED);
                text += &format!("    BGP Next hop:   {own}\n");
            }
            if waits {
                text += "    Neighbor GR:    Regular\n";
            }
            if bgp.is_recursive(channel.config.gateway_recursive) {
                let table = channel.config.igp_table.as_ref().unwrap_or(&channel.config.table);
                text += &format!("    IGP IPv4 table: {table}\n");
            }
        }
        text
    }

    /// A route's lines; `first`: it is the first of its network.
    pub fn show_rte(&self, rte: &Rte, first: bool, best: bool, all: bool) -> String {
        let net = if first { rte.net.to_string() } else { String::new() };
        let since = time(&self.config.time_format("route"), rte.since, self.now);
        let only = |address: &Ipv4Addr| rte.dest.hops().first().and_then(|hop| hop.via) != Some(*address);
        let from = rte.from.filter(only).map_or(String::new(), |from| format!(" from {from}"));
        let best = if best { " *" } else { "" };
        let igp = match (rte.recursive, &rte.dest, rte.igp_metric) {
            (None, ..) | (_, _, 0) => String::new(),
            (_, Dest::Unreachable, _) => "/-".to_owned(),
            (_, _, IGP_METRIC_UNKNOWN..) => "/?".to_owned(),
            (_, _, metric) => format!("/{metric}"),
        };
        // A static route's next hop may be looked up, too, of which only sessions speak.
        let igp = if rte.peer.is_some() { igp } else { String::new() };
        let info = match rte.peer {
            None => String::new(),
            Some(_) => {
                let origin = match rte.int(Attr::Origin) {
                    Some(0) => "i",
                    Some(1) => "e",
                    _ => "?",
                };
                let asn = members(rte.path()).last().map_or(String::new(), |asn| format!("AS{asn}"));
                format!(" [{asn}{origin}]")
            }
        };
        let mut text = format!(
            "{net:<20} {} [{} {since}{from}]{best} ({}{igp}){info}\n",
            rte.dest.word(),
            rte.proto_name,
            rte.preference
        );
        let hops = rte.dest.hops();
        for hop in hops {
            let weight = if hops.len() > 1 { format!(" weight {}", hop.weight) } else { String::new() };
            text += &match hop.via {
                Some(via) => format!("\tvia {via} on {}{weight}\n", hop.link.name),
                None => format!("\tdev {}{weight}\n", hop.link.name),
            };
        }
        if all {
            text += &format!("\tType: {} univ\n", rte.source.word());
            for (attr, value) in &rte.attrs {
                let shown = match value {
                    Value::Enum("bgp_origin", number) => {
                        ["IGP", "EGP", "Incomplete"][(*number).min(2) as usize].to_owned()
                    }
                    Value::Void => String::new(),
                    value => value.to_string(),
                };
                text += &format!("\t{}: {shown}\n", self.config.attr_name(*attr));
            }
        }
        text
    }

    /// Static routes as they are configured.
    pub fn show_static(&self, proto: &Proto) -> String {
        let Kind::Static { routes, check_link, .. } = &proto.config.kind else { return String::new() };
        let mut text = String::new();
        for route in routes {
            match &route.to {
                StaticTo::Special(dest) => text += &format!("{}\t{}\n", route.net, dest.word()),
                StaticTo::Recursive(via) => text += &format!("{}\trecursive {via}\n", route.net),
                StaticTo::Hops(hops) => {
                    text += &format!("{}\n", route.net);
                    for hop in hops {
                        let works = matches!(proto.running, Running::Static)
                            && self.static_hop(hop, *check_link).is_some();
                        let dormant = if works { "" } else { " (dormant)" };
                        let iface = hop.iface.as_deref();
                        text += &match (hop.via, iface) {
                            (Some(via), Some(name)) => format!("\tvia {via}%{name}{dormant}\n"),
                            (Some(via), None) => format!("\tvia {via}{dormant}\n"),
                            (None, name) => format!("\tdev {}{dormant}\n", name.unwrap_or_default()),
                        };
                    }
                }
            }
        }
        text
    }
}

fn counts(name: &str, counts: &Counts, shown: [bool; 5]) -> String {
    let all = [counts.received, counts.rejected, counts.filtered, counts.ignored, counts.accepted];
    let columns =
        all.iter().zip(shown).map(|(count, is)| if is { count.to_string() } else { "---".to_owned() });
    let columns: Vec<String> = columns.map(|column| format!("{column:>10}")).collect();
    format!("      {name:<18}  {}\n", columns.join(" "))
}

fn interface(iface: &Iface) -> String {
    let state = if iface.is_up() { "up" } else { "down" };
    let master = iface.master.as_ref().map_or(String::new(), |master| format!(" master={master}"));
    let words = [
        (iface.is_point_to_point(), "PtP"),
        (!iface.is_point_to_point(), "MultiAccess"),
        (iface.has_broadcast(), "Broadcast"),
        (iface.has_multicast(), "Multicast"),
        (iface.is_up(), "AdminUp"),
        (!iface.is_up(), "AdminDown"),
        (iface.has_link(), "LinkUp"),
        (!iface.has_link(), "LinkDown"),
        (iface.is_ignored(), "Loopback Ignored"),
    ];
    let words: Vec<&str> = words.into_iter().filter(|(is, _)| *is).map(|(_, word)| word).collect();
    let mut text = format!(
        "{} {state} (index={}{master})\n\t{} MTU={}\n",
        iface.name,
        iface.index,
        words.join(" "),
        iface.mtu
    );
    for own in &iface.addresses {
        let rank = if own.secondary { "Secondary" } else { "Preferred" };
        let opposite = own.peer.map_or(String::new(), |peer| format!("opposite {peer}, "));
        text += &format!("\t{}/{} ({rank}, {opposite}scope {})\n", own.ip, own.net.len, scope(own.ip));
    }
    text
}

/// The capabilities of one side.
fn capabilities(whose: &str, open: Option<&OpenMessage>) -> String {
    let mut text = format!("    {whose} capabilities\n");
    for capability in open.iter().flat_map(|open| &open.capabilities) {
        text += &match capability {
            Capability::MultiProtocol { .. } => {
                "      Multiprotocol\n        AF announced: ipv4\n".to_owned()
            }
            Capability::RouteRefresh => "      Route refresh\n".to_owned(),
            Capability::ExtendedMessage => "      Extended message\n".to_owned(),
            Capability::GracefulRestart { families, restart_time, .. } if !families.is_empty() => format!(
                "      Graceful restart\n        Restart time: {restart_time}\n        AF supported: ipv4\n        AF preserved:\n"
            ),
            Capability::GracefulRestart { .. } => "      Graceful restart\n".to_owned(),
            Capability::FourOctetAs { .. } => "      4-octet AS numbers\n".to_owned(),
            Capability::AddPath(families) => {
                let has = |wanted: u8| families.iter().any(|family| family.send_receive as u8 & wanted != 0);
                let receives = if has(1) { "        RX: ipv4\n" } else { "" };
                let sends = if has(2) { "        TX: ipv4\n" } else { "" };
                format!("      ADD-PATH\n{receives}{sends}")
            }
            Capability::EnhancedRouteRefresh => "      Enhanced refresh\n".to_owned(),
            Capability::LongLivedGracefulRestart(_) => "      Long-lived graceful restart\n".to_owned(),
            _ => String::new(),
        };
    }
    text
}
