//! Protocols, templates and channels.

use std::net::Ipv4Addr;

use super::parser::{Parsed, Parser};
use super::{
    BgpConfig, ChannelConfig, KernelConfig, Kind, Limit, LimitAction, NextHop, ProtoConfig, StaticHop,
    StaticRoute, StaticTo, Symbol, Token,
};
use crate::bird::route::Dest;

/// Protocols of BIRD that are not modelled.
const OTHERS: &[&str] = &["babel", "bfd", "mrt", "ospf", "perf", "pipe", "radv", "rip", "rpki"];

impl ChannelConfig {
    fn new() -> ChannelConfig {
        ChannelConfig {
            table: "master4".to_owned(),
            import: None,
            export: None,
            preference: None,
            keep_filtered: false,
            import_limit: None,
            next_hop_self: NextHop::Never,
            next_hop_keep: NextHop::Never,
            next_hop_address: None,
            gateway_recursive: None,
            igp_table: None,
            add_paths_rx: false,
            add_paths_tx: false,
        }
    }
}

/// A protocol of this kind before its statements are read.
fn kind_of(word: &str) -> Option<Kind> {
    Some(match word {
        "device" => Kind::Device { scan_time: 60 },
        "direct" => Kind::Direct { interfaces: Vec::new(), check_link: false },
        "kernel" => Kind::Kernel(KernelConfig {
            learn: false,
            persist: false,
            scan_time: 60,
            merge_paths: None,
            metric: 32,
            table: 254,
        }),
        "static" => Kind::Static { routes: Vec::new(), check_link: false, igp_table: None },
        "bgp" => Kind::Bgp(Box::new(BgpConfig::new())),
        _ => return None,
    })
}

impl Parser {
    /// `protocol KIND [NAME] [from TEMPLATE] { … }`, or `template`.
    pub(super) fn protocol(&mut self) -> Parsed {
        let is_template = self.is_word("template");
        self.take();
        let Token::Word(word) = self.peek().clone() else { return self.unexpected("") };
        if OTHERS.contains(&word.as_str()) {
            return self.not_modelled(&format!("protocol {word}"));
        }
        let Some(kind) = kind_of(&word) else { return self.unexpected("") };
        self.take();
        let mut proto = ProtoConfig {
            name: String::new(),
            kind,
            disabled: false,
            debug: None,
            description: None,
            router_id: None,
            channel: None,
        };
        let is_named = !self.is_sign("{") && !self.is_word("from");
        if *self.peek() == Token::End {
            return self.unexpected("");
        }
        proto.name = if is_named { self.name()? } else { self.default_name(&proto.kind, is_template) };
        if self.config.symbols.contains_key(&proto.name) {
            return self.error_ahead(&format!("Symbol '{}' already defined", proto.name));
        }
        if self.word("from") {
            let Some(symbol) = self.symbol() else { return self.unexpected("CF_SYM_KNOWN") };
            let Symbol::Template(template) = symbol.clone() else {
                return self.error_ahead("Template or protocol name expected");
            };
            self.take();
            if template.kind.names() != proto.kind.names() {
                return self.error("Can't copy configuration from a different protocol type");
            }
            proto = ProtoConfig { name: proto.name, ..*template };
        }
        let inherited = proto.channel.is_some();
        if !self.sign("{") {
            return self.unexpected(if is_named { "FROM or '{'" } else { "" });
        }
        let mut channels = 0;
        while !self.sign("}") {
            if self.sign(";") {
                continue;
            }
            if self.is_word("ipv4") {
                self.take();
                if channels > 0 {
                    return self.error_ahead("Multiple ipv4 channels");
                }
                channels += 1;
                if matches!(proto.kind, Kind::Device { .. }) {
                    return self.unexpected("");
                }
                self.channel(&mut proto, inherited)?;
            } else {
                self.item(&mut proto)?;
            }
            self.need_sign(";")?;
        }
        if !is_template {
            self.check(&mut proto)?;
        }
        self.remember(proto, is_template)
    }

    fn remember(&mut self, proto: ProtoConfig, is_template: bool) -> Parsed {
        let name = proto.name.clone();
        if is_template {
            self.config.symbols.insert(name, Symbol::Template(Box::new(proto)));
        } else {
            self.config.symbols.insert(name, Symbol::Protocol);
            self.config.protocols.push(proto);
        }
        Ok(())
    }

    /// `kernel1`, `kernel2`, ….
    fn default_name(&self, kind: &Kind, is_template: bool) -> String {
        let (_, base) = kind.names();
        let base = if is_template { format!("{base}_template") } else { base.to_owned() };
        let mut names = (1..).map(|number| format!("{base}{number}"));
        names.find(|name| !self.config.symbols.contains_key(name)).unwrap_or(base)
    }

    /// What must be true of a protocol as a whole.
    fn check(&mut self, proto: &mut ProtoConfig) -> Parsed {
        match &proto.kind {
            Kind::Kernel(kernel) => {
                let Some(channel) = &proto.channel else { return self.error("Channel not specified") };
                for other in &self.config.protocols {
                    let (Kind::Kernel(known), Some(used)) = (&other.kind, &other.channel) else { continue };
                    if used.table == channel.table {
                        let (name, table) = (&other.name, &used.table);
                        return self
                            .error(format!("Kernel syncer ({name}) already attached to table {table}"));
                    }
                    if known.table == kernel.table {
                        return self.error(format!(
                            "Kernel table {} is already used by {}",
                            kernel.table, other.name
                        ));
                    }
                }
            }
            Kind::Static { .. } if proto.channel.is_none() => return self.error("Channel not specified"),
            Kind::Bgp(_) => self.check_bgp(proto)?,
            _ => {}
        }
        Ok(())
    }

    /// A statement of a protocol.
    fn item(&mut self, proto: &mut ProtoConfig) -> Parsed {
        if self.word("disabled") {
            proto.disabled = self.boolean()?;
        } else if self.word("debug") {
            proto.debug = Some(self.debug()?);
        } else if self.word("description") {
            proto.description = Some(self.text()?);
        } else if self.words(&["router", "id"]) {
            proto.router_id = Some(self.id()?);
        } else if self.is_word("ipv6") || self.is_word("vrf") || self.is_word("mrtdump") {
            let Token::Word(word) = self.peek().clone() else { return Ok(()) };
            return self.not_modelled(&word);
        } else {
            match &mut proto.kind {
                Kind::Device { scan_time } => {
                    if self.words(&["scan", "time"]) {
                        *scan_time = self.number()?;
                    } else if self.is_word("interface") {
                        return self.not_modelled("interface of protocol device");
                    } else {
                        return self.unexpected("");
                    }
                }
                Kind::Direct { interfaces, check_link } => {
                    if self.words(&["check", "link"]) {
                        *check_link = self.boolean()?;
                    } else if self.word("interface") {
                        interfaces.extend(self.interfaces()?);
                    } else {
                        return self.unexpected("");
                    }
                }
                Kind::Kernel(kernel) => self.kernel_item(kernel)?,
                Kind::Static { routes, check_link, igp_table } => {
                    if self.words(&["check", "link"]) {
                        *check_link = self.boolean()?;
                    } else if self.words(&["igp", "table"]) {
                        *igp_table = Some(self.table_name()?);
                    } else if self.word("route") {
                        let route = self.static_route()?;
                        routes.push(route);
                    } else {
                        return self.unexpected("");
                    }
                }
                Kind::Bgp(bgp) => self.bgp_item(bgp)?,
            }
        }
        Ok(())
    }

    /// `"eth*", -"cali*"`.
    fn interfaces(&mut self) -> Parsed<Vec<(bool, String)>> {
        let mut all = Vec::new();
        loop {
            let is_wanted = !self.sign("-");
            match self.peek() {
                Token::Text(_) => all.push((is_wanted, self.text()?)),
                Token::Ip(_) => return self.not_modelled("interfaces by their addresses"),
                _ => return self.unexpected(""),
            }
            if !self.sign(",") {
                return Ok(all);
            }
        }
    }

    fn kernel_item(&mut self, kernel: &mut KernelConfig) -> Parsed {
        if self.word("learn") {
            kernel.learn = self.boolean()?;
        } else if self.word("persist") {
            kernel.persist = self.boolean()?;
        } else if self.words(&["scan", "time"]) {
            kernel.scan_time = self.number()?;
        } else if self.words(&["merge", "paths"]) {
            let is_on = self.boolean()?;
            let limit = if self.word("limit") { self.number()? } else { 16 };
            if limit == 0 || limit > 255 {
                return self.error("Merge paths limit must be in range 1-255");
            }
            kernel.merge_paths = is_on.then_some(limit);
        } else if self.words(&["kernel", "table"]) {
            kernel.table = self.number()?;
        } else if self.word("metric") {
            kernel.metric = self.number()?;
        } else if self.words(&["graceful", "restart"]) {
            // Routes of an earlier run are kept until neighbours have told theirs; only `bird -R` asks for it.
            self.boolean()?;
        } else {
            return self.unexpected("");
        }
        Ok(())
    }

    /// `P via G | blackhole | …`, up to its semicolon or braces.
    fn static_route(&mut self) -> Parsed<StaticRoute> {
        let net = self.network()?;
        let special = [
            ("blackhole", Dest::Blackhole),
            ("unreachable", Dest::Unreachable),
            ("prohibit", Dest::Prohibit),
            ("drop", Dest::Blackhole),
            ("reject", Dest::Unreachable),
        ];
        let mut to = None;
        for (word, dest) in special {
            if self.word(word) {
                to = Some(StaticTo::Special(dest));
            }
        }
        if to.is_none() && self.word("recursive") {
            to = Some(StaticTo::Recursive(self.address()?));
        }
        let mut hops: Vec<StaticHop> = Vec::new();
        while to.is_none() && self.word("via") {
            hops.push(self.static_hop()?);
        }
        let Some(to) = to.or((!hops.is_empty()).then_some(StaticTo::Hops(hops))) else {
            return match self.is_sign(";") {
                true => self.error_ahead("Unexpected or missing nexthop/type"),
                false => self.unexpected(""),
            };
        };
        let changes = if self.is_sign("{") { Some(self.changes()?) } else { None };
        if changes.is_none() && !self.is_sign(";") {
            return self.unexpected(if matches!(to, StaticTo::Hops(_)) { "" } else { "';' or '{'" });
        }
        Ok(StaticRoute { net, to, changes })
    }

    fn static_hop(&mut self) -> Parsed<StaticHop> {
        let mut hop = StaticHop { via: None, iface: None, weight: 1 };
        if let Token::Text(name) = self.peek().clone() {
            self.take();
            hop.iface = Some(name);
        } else {
            if self.is_sign(";") {
                return self.unexpected("IP4 or IP6 or CF_SYM_KNOWN or TEXT");
            }
            hop.via = Some(self.address()?);
            if self.sign("%") {
                hop.iface = Some(match self.take() {
                    Token::Text(name) | Token::Word(name) => name,
                    _ => return self.error("Interface name expected"),
                });
            }
        }
        loop {
            if self.word("weight") {
                let weight = self.number()?;
                if !(1..=256).contains(&weight) {
                    return self.error("Weight must be in range 1-256");
                }
                hop.weight = weight as u16;
            } else if self.is_word("onlink") || self.is_word("bfd") || self.is_word("mpls") {
                return self.not_modelled("onlink, bfd and mpls of a next hop");
            } else {
                return Ok(hop);
            }
        }
    }

    /// The name of a table.
    pub(super) fn table_name(&mut self) -> Parsed<String> {
        match (self.symbol(), self.peek().clone()) {
            (Some(Symbol::Table), Token::Word(name)) => {
                if name == "master6" {
                    return self.not_modelled("IPv6");
                }
                self.take();
                Ok(name)
            }
            (Some(_), _) => self.error_ahead("Table name expected"),
            _ => self.unexpected("CF_SYM_KNOWN"),
        }
    }

    /// `ipv4 [{ … }]`.
    fn channel(&mut self, proto: &mut ProtoConfig, inherited: bool) -> Parsed {
        let mut channel = match (inherited, proto.channel.take()) {
            (true, Some(channel)) => channel,
            _ => ChannelConfig::new(),
        };
        let is_bgp = matches!(proto.kind, Kind::Bgp(_));
        if matches!(self.peek(), Token::Word(word) if word == "multicast" || word == "mpls") {
            return self.not_modelled("channels of other kinds");
        }
        if self.sign("{") {
            while !self.sign("}") {
                if self.sign(";") {
                    continue;
                }
                self.channel_item(&mut channel, is_bgp)?;
                self.need_sign(";")?;
            }
        } else if !self.is_sign(";") {
            return self.unexpected("");
        }
        proto.channel = Some(channel);
        Ok(())
    }

    fn channel_item(&mut self, channel: &mut ChannelConfig, is_bgp: bool) -> Parsed {
        if self.words(&["import", "limit"]) {
            channel.import_limit = self.limit()?;
        } else if self.words(&["import", "keep", "filtered"]) {
            channel.keep_filtered = self.boolean()?;
        } else if self.is_word("import") && matches!(self.peek_second(), Token::Word(word) if word == "table")
        {
            return self.not_modelled("import table");
        } else if self.word("import") {
            channel.import = Some(self.filter()?);
        } else if self.is_word("export")
            && matches!(self.peek_second(), Token::Word(word) if ["table", "limit", "in"].contains(&word.as_str()))
        {
            return self.not_modelled("export table and export limit");
        } else if self.word("export") {
            channel.export = Some(self.filter()?);
        } else if self.word("preference") {
            let preference = self.number()?;
            if preference > 0xffff {
                return self.error(format!("Value {preference} out of range (0-65535)"));
            }
            channel.preference = Some(preference);
        } else if self.word("table") {
            channel.table = self.table_name()?;
        } else if self.word("debug") {
            self.debug()?;
        } else if self.is_word("receive") {
            return self.not_modelled("receive limit");
        } else if is_bgp {
            self.bgp_channel_item(channel)?;
        } else {
            return self.unexpected("");
        }
        Ok(())
    }

    fn limit(&mut self) -> Parsed<Option<Limit>> {
        if self.word("off") {
            return Ok(None);
        }
        let count = self.number()?;
        let mut action = LimitAction::Disable;
        if self.word("action") {
            let actions = [
                ("warn", LimitAction::Warn),
                ("block", LimitAction::Block),
                ("restart", LimitAction::Restart),
                ("disable", LimitAction::Disable),
            ];
            let Some((word, chosen)) = actions.into_iter().find(|(word, _)| self.is_word(word)) else {
                return self.unexpected("WARN or BLOCK or RESTART or DISABLE");
            };
            self.need_word(word)?;
            action = chosen;
        }
        Ok(Some(Limit { count, action }))
    }

    /// `self`, `keep` with `ibgp`, `ebgp` or a truth.
    fn next_hop_rule(&mut self) -> Parsed<NextHop> {
        Ok(if self.word("ibgp") {
            NextHop::Ibgp
        } else if self.word("ebgp") {
            NextHop::Ebgp
        } else if self.boolean()? {
            NextHop::Always
        } else {
            NextHop::Never
        })
    }

    fn bgp_channel_item(&mut self, channel: &mut ChannelConfig) -> Parsed {
        if self.words(&["next", "hop"]) {
            if self.word("self") {
                channel.next_hop_self = self.next_hop_rule()?;
            } else if self.word("keep") {
                channel.next_hop_keep = self.next_hop_rule()?;
            } else if self.word("address") {
                let address: Ipv4Addr = self.address()?;
                channel.next_hop_address = Some(address);
            } else if self.is_word("prefer") {
                return self.not_modelled("next hop prefer");
            } else {
                return self.unexpected("KEEP or SELF or ADDRESS or PREFER");
            }
        } else if self.word("gateway") {
            if self.word("direct") {
                channel.gateway_recursive = Some(false);
            } else if self.word("recursive") {
                channel.gateway_recursive = Some(true);
            } else {
                return self.unexpected("DIRECT or RECURSIVE");
            }
        } else if self.words(&["igp", "table"]) {
            channel.igp_table = Some(self.table_name()?);
        } else if self.words(&["add", "paths"]) {
            let (rx, tx) = (self.word("rx"), self.word("tx"));
            let both = !rx && !tx && self.boolean()?;
            (channel.add_paths_rx, channel.add_paths_tx) = (rx || both, tx || both);
        } else {
            const OTHERS: &[&str] = &[
                "aigp",
                "cost",
                "extended",
                "graceful",
                "long",
                "mandatory",
                "missing",
                "require",
                "secondary",
                "validate",
            ];
            return match self.peek().clone() {
                Token::Word(word) if OTHERS.contains(&word.as_str()) => self.not_modelled(&word),
                _ => self.unexpected(""),
            };
        }
        Ok(())
    }
}
