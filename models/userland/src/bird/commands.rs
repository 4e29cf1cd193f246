//! Commands of `birdc`, as the daemon does them.

use super::config::{Config, Included, Parser, Refused, Symbol, Token};
use super::daemon::Daemon;
use super::filter::Filter;
use super::proto::{Key, State};
use super::route::Rte;
use super::value::{Net, matches_pattern};

/// What a command comes to.
pub enum Answer {
    /// This is printed.
    Text(String),
    /// The configuration is read again, from this file if one is named.
    Configure {
        file: Option<String>,
        soft: bool,
        check: bool,
    },
    Down,
}

/// An answer, or why there is none.
pub type Answered = Result<Answer, Refused>;

/// Commands, for the client to complete; those that only change something are refused with `-r`.
pub const COMMANDS: &[(&str, bool)] = &[
    ("configure", true),
    ("configure check", true),
    ("configure soft", true),
    ("debug", true),
    ("disable", true),
    ("down", true),
    ("echo", true),
    ("enable", true),
    ("eval", false),
    ("exit", false),
    ("help", false),
    ("quit", false),
    ("reload", true),
    ("reload in", true),
    ("reload out", true),
    ("restart", true),
    ("restrict", false),
    ("show interfaces", false),
    ("show interfaces summary", false),
    ("show memory", false),
    ("show protocols", false),
    ("show protocols all", false),
    ("show route", false),
    ("show static", false),
    ("show status", false),
    ("show symbols", false),
];

/// Which routes `show route` prints.
#[derive(Default)]
struct Wanted {
    table: Option<String>,
    net: Option<Net>,
    /// The network is that of the longest match; or all within it.
    longest: bool,
    within: bool,
    all: bool,
    primary: bool,
    filtered: bool,
    count: bool,
    filter: Option<Filter>,
    protocol: Option<usize>,
    /// As a protocol is told, or is not.
    export: Option<(ExportMode, usize)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ExportMode {
    Export,
    NoExport,
    PreExport,
}

impl Daemon {
    /// Does a command.
    ///
    /// # Errors
    ///
    /// The command is wrong, in BIRD's words.
    pub fn command(&mut self, line: &str, hostname: &str) -> Answered {
        let mut parser = Parser::new("", line, &Included::new(), self.config.clone())?;
        let text = |text: String| Ok(Answer::Text(text));
        let Token::Word(word) = parser.take() else { return Err(Refused::Error("syntax error".to_owned())) };
        match word.as_str() {
            "show" => text(self.show(&mut parser, hostname)?),
            "enable" | "disable" | "restart" => text(self.operate(&mut parser, &word)?),
            "reload" => text(self.reload(&mut parser)?),
            "configure" => configure(&mut parser),
            "down" => {
                parser.end()?;
                Ok(Answer::Down)
            }
            "eval" => {
                let value = parser.computed()?;
                parser.end()?;
                text(format!("{value}\n"))
            }
            "debug" => {
                let ids = self.chosen(&mut parser, "CF_SYM_KNOWN or TEXT or ALL")?;
                let debug = parser.debug()?;
                parser.end()?;
                ids.into_iter().for_each(|id| self.protos[id].debug = debug);
                text(String::new())
            }
            "echo" => {
                parser.debug()?;
                Err(Refused::Error("not modelled yet: echo".to_owned()))
            }
            _ => Err(Refused::Error(format!("not modelled yet: {word}"))),
        }
    }

    /// Protocols in the order of the configuration.
    fn shown(&self) -> Vec<usize> {
        let position = |name: &str| self.config.protocols.iter().position(|proto| proto.name == name);
        let mut all: Vec<(usize, usize)> = self
            .protos
            .iter()
            .enumerate()
            .filter_map(|(id, proto)| Some((position(&proto.name)?, id)))
            .filter(|(_, id)| !self.protos[*id].removed)
            .collect();
        all.sort_unstable();
        all.into_iter().map(|(_, id)| id).collect()
    }

    fn protocol(&self, parser: &mut Parser, expecting: &str) -> Result<usize, Refused> {
        let Token::Word(name) = parser.peek().clone() else { return parser.unexpected(expecting) };
        let found = self.protos.iter().position(|proto| *proto.name == *name && !proto.removed);
        match found {
            Some(id) => {
                parser.take();
                Ok(id)
            }
            None if self.config.symbols.contains_key(&name) => {
                Err(Refused::Error(format!("{name} is not a protocol")))
            }
            None => parser.unexpected(expecting),
        }
    }

    /// `NAME`, `"PATTERN"` or `all`.
    fn chosen(&self, parser: &mut Parser, expecting: &str) -> Result<Vec<usize>, Refused> {
        if parser.word("all") {
            return Ok(self.shown());
        }
        if let Token::Text(pattern) = parser.peek().clone() {
            parser.take();
            let fits = |id: &usize| matches_pattern(&pattern, &self.protos[*id].name);
            let found: Vec<usize> = self.shown().into_iter().filter(fits).collect();
            return match found.is_empty() {
                true => Err(Refused::Error("No protocols match".to_owned())),
                false => Ok(found),
            };
        }
        Ok(vec![self.protocol(parser, expecting)?])
    }

    fn operate(&mut self, parser: &mut Parser, word: &str) -> Result<String, Refused> {
        let ids = self.chosen(parser, "CF_SYM_KNOWN or TEXT or ALL")?;
        let message = match parser.peek().clone() {
            Token::Text(text) => {
                parser.take();
                text
            }
            _ => String::new(),
        };
        parser.end()?;
        let mut text = String::new();
        for id in ids {
            let name = self.protos[id].name.clone();
            let (is_disabled, log) =
                (self.protos[id].disabled, |what: &str| format!("<INFO> {what} protocol {name}"));
            let said = match (word, is_disabled) {
                ("enable", false) => "already enabled",
                ("enable", true) => {
                    self.log.push(log("Enabling"));
                    self.protos[id].disabled = false;
                    self.start(id);
                    "enabled"
                }
                ("disable", true) => "already disabled",
                ("disable", false) => {
                    self.log.push(log("Disabling"));
                    self.protos[id].disabled = true;
                    self.bgp_operator(id, 2);
                    self.stop(id);
                    self.protos[id].message = message.clone();
                    "disabled"
                }
                (_, true) => "already disabled",
                (_, false) => {
                    self.log.push(log("Restarting"));
                    self.bgp_operator(id, 4);
                    self.restart(id);
                    "restarted"
                }
            };
            text += &format!("{name}: {said}\n");
        }
        Ok(text)
    }

    fn reload(&mut self, parser: &mut Parser) -> Result<String, Refused> {
        let (only_in, only_out) = (parser.word("in"), parser.word("out"));
        let ids = self.chosen(parser, "CF_SYM_KNOWN or TEXT or ALL")?;
        parser.end()?;
        let mut text = String::new();
        for id in ids {
            let name = self.protos[id].name.clone();
            if self.protos[id].disabled {
                text += &format!("{name}: already disabled\n");
                continue;
            }
            self.log.push(format!("<INFO> Reloading protocol {name}"));
            if !only_out && !self.reload_in(id) {
                text += &format!("{name}: reload failed\n");
                continue;
            }
            if !only_in && self.protos[id].state == State::Up {
                self.feed(id);
            }
            text += &format!("{name}: reloading\n");
        }
        Ok(text)
    }

    /// Routes of a protocol are imported once more; false: it cannot be.
    pub fn reload_in(&mut self, id: usize) -> bool {
        if self.protos[id].bgp().is_some() {
            return self.bgp_ask_again(id);
        }
        let again: Vec<(Key, Rte)> =
            self.routes_of(id).into_iter().map(|rte| ((rte.net, rte.path_id), rte.clone())).collect();
        match self.protos[id].running {
            super::proto::Running::Static => self.static_update(id),
            super::proto::Running::Direct => self.direct_update(id),
            _ => again.into_iter().for_each(|(key, rte)| self.import(id, key, Some(rte))),
        }
        true
    }

    fn show(&mut self, parser: &mut Parser, hostname: &str) -> Result<String, Refused> {
        let Token::Word(what) = parser.take() else { return Err(Refused::Error("syntax error".to_owned())) };
        match what.as_str() {
            "status" => {
                parser.end()?;
                Ok(self.show_status(hostname))
            }
            "interfaces" => {
                let is_summary = parser.word("summary");
                parser.end()?;
                Ok(if is_summary { self.show_interfaces_summary() } else { self.show_interfaces() })
            }
            "protocols" => {
                let all = parser.word("all");
                let ids = match parser.peek() {
                    Token::End => self.shown(),
                    _ => self.chosen(parser, "END or CF_SYM_KNOWN or TEXT or ALL")?,
                };
                parser.end()?;
                let mut text = Daemon::show_protocols_head();
                for id in ids {
                    text += &self.show_protocol(&self.protos[id], all);
                }
                Ok(text)
            }
            "route" => {
                let wanted = self.wanted(parser)?;
                self.show_routes(wanted)
            }
            "static" => {
                let id = match parser.peek() {
                    Token::End => self
                        .shown()
                        .into_iter()
                        .find(|id| matches!(self.protos[*id].running, super::proto::Running::Static)),
                    _ => Some(self.protocol(parser, "END or CF_SYM_KNOWN")?),
                };
                parser.end()?;
                match id {
                    Some(id) => Ok(self.show_static(&self.protos[id])),
                    None => Err(Refused::Error("There is no static protocol running".to_owned())),
                }
            }
            "symbols" => self.show_symbols(parser),
            other => Err(Refused::Error(format!("not modelled yet: show {other}"))),
        }
    }

    /// Names that the configuration defines.
    fn show_symbols(&self, parser: &mut Parser) -> Result<String, Refused> {
        let only = match parser.take() {
            Token::Word(name) => Some(name),
            _ => None,
        };
        let mut text = String::new();
        for (name, symbol) in &self.config.symbols {
            if only.as_ref().is_some_and(|only| only != name) {
                continue;
            }
            let kind = match symbol {
                Symbol::Filter(_) => "filter",
                Symbol::Function(_) => "function",
                Symbol::Constant(_) => "constant",
                Symbol::Protocol => "protocol",
                Symbol::Template(_) => "protocol template",
                Symbol::Table => "routing table",
                Symbol::Attribute(..) => "custom attribute",
            };
            text += &format!("{name:<8}\t{kind}\n");
        }
        Ok(text)
    }

    fn wanted(&self, parser: &mut Parser) -> Result<Wanted, Refused> {
        let mut wanted = Wanted::default();
        loop {
            match parser.peek().clone() {
                Token::End => return Ok(wanted),
                Token::Ip(_) => wanted.net = Some(parser.network()?),
                Token::Num(_) => return parser.unexpected(""),
                Token::Word(word) => self.wanted_word(parser, &mut wanted, &word)?,
                _ => return parser.unexpected(""),
            }
        }
    }

    fn wanted_word(&self, parser: &mut Parser, wanted: &mut Wanted, word: &str) -> Result<(), Refused> {
        parser.take();
        match word {
            "for" => {
                wanted.longest = true;
                wanted.net = Some(match parser.peek().clone() {
                    Token::Ip(address) => {
                        if parser.is_network() {
                            parser.network()?
                        } else {
                            parser.take();
                            Net::host(address)
                        }
                    }
                    _ => return parser.unexpected("IP4 or IP6 or VPN_RD or CF_SYM_KNOWN"),
                });
            }
            "in" => (wanted.within, wanted.net) = (true, Some(parser.network()?)),
            "table" => {
                let Token::Word(name) = parser.peek().clone() else {
                    return parser.unexpected("CF_SYM_KNOWN or ALL");
                };
                let is_known = self.config.tables.iter().any(|(table, _)| *table == name);
                if !is_known && name != "all" {
                    return parser.unexpected("CF_SYM_KNOWN or ALL");
                }
                parser.take();
                wanted.table = (name != "all").then_some(name);
            }
            "all" => wanted.all = true,
            "primary" => wanted.primary = true,
            "filtered" => wanted.filtered = true,
            "count" | "stats" => wanted.count = true,
            "where" => wanted.filter = Some(parser.where_filter()?),
            "filter" => {
                wanted.filter = Some(match (parser.peek().clone(), parser.is_sign("{")) {
                    (_, true) => Filter::Function(parser.unnamed()?),
                    (Token::Word(name), _) => match self.config.symbols.get(&name) {
                        Some(Symbol::Filter(function)) => {
                            parser.take();
                            Filter::Function(function.clone())
                        }
                        _ => return parser.unexpected("CF_SYM_KNOWN or '{'"),
                    },
                    _ => return parser.unexpected("CF_SYM_KNOWN or '{'"),
                });
            }
            "protocol" => wanted.protocol = Some(self.protocol(parser, "CF_SYM_KNOWN")?),
            "export" | "noexport" | "preexport" => {
                let mode = match word {
                    "export" => ExportMode::Export,
                    "noexport" => ExportMode::NoExport,
                    _ => ExportMode::PreExport,
                };
                wanted.export = Some((mode, self.protocol(parser, "CF_SYM_KNOWN")?));
            }
            _ => return Err(Refused::Error(format!("not modelled yet: show route {word}"))),
        }
        Ok(())
    }

    fn show_routes(&mut self, wanted: Wanted) -> Result<String, Refused> {
        let of_protocol = wanted.export.map(|(_, id)| id).filter(|_| wanted.table.is_none());
        let tables: Vec<(String, bool)> = match of_protocol.and_then(|id| self.table_of(id)) {
            Some(table) => vec![(table, false)],
            None => {
                let is_wanted = |name: &str| wanted.table.as_ref().is_none_or(|table| table == name);
                self.config.tables.iter().filter(|(name, _)| is_wanted(name)).cloned().collect()
            }
        };
        let (mut text, mut total, mut found_net) = (String::new(), (0, 0, 0), false);
        for (name, _) in &tables {
            let (shown, counts, found) = self.show_table(name, &wanted);
            found_net |= found;
            total = (total.0 + counts.0, total.1 + counts.1, total.2 + counts.2);
            if wanted.count {
                let (shown, all, nets) = counts;
                text += &format!("{shown} of {all} routes for {nets} networks in table {name}\n");
            } else if !shown.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                text += &format!("{gap}Table {name}:\n{shown}");
            }
        }
        if wanted.count && tables.len() > 1 {
            let (shown, all, nets) = total;
            text +=
                &format!("Total: {shown} of {all} routes for {nets} networks in {} tables\n", tables.len());
        }
        if wanted.net.is_some() && !wanted.within && !wanted.count && !found_net {
            return Err(Refused::Error("Network not found".to_owned()));
        }
        Ok(text)
    }

    /// The routes of a table: their lines; shown routes, all routes, networks; and whether the network is there.
    fn show_table(&mut self, name: &str, wanted: &Wanted) -> (String, (u32, u32, u32), bool) {
        let nets: Vec<(Net, Vec<Rte>)> = self.table_routes(name, wanted);
        let (mut text, mut counts, found) = (String::new(), (0, 0, 0), !nets.is_empty());
        for (_, routes) in nets {
            counts.1 += routes.len() as u32;
            let mut first = true;
            for (at, rte) in routes.into_iter().enumerate() {
                // What is announced is the best of a network.
                if at > 0 && (wanted.primary || wanted.export.is_some()) {
                    break;
                }
                let best = at == 0 && !wanted.filtered;
                let Some(shown) = self.shown_route(rte, wanted) else { continue };
                if first {
                    counts.2 += 1;
                }
                counts.0 += 1;
                text += &self.show_rte(&shown, first, best, wanted.all);
                first = false;
            }
        }
        (text, counts, found)
    }

    fn table_routes(&self, name: &str, wanted: &Wanted) -> Vec<(Net, Vec<Rte>)> {
        let Some(table) = self.tables.get(name) else { return Vec::new() };
        if wanted.filtered {
            let channels = self.protos.iter().filter_map(|proto| proto.channel.as_ref());
            let here = channels.filter(|channel| channel.config.table == name);
            return here.flat_map(|c| c.filtered.values().map(|rte| (rte.net, vec![rte.clone()]))).collect();
        }
        let all = |net: &Net| table.nets.get(net).map(|routes| (*net, routes.clone()));
        match wanted.net {
            Some(net) if wanted.longest => {
                let found = (0..=net.len).rev().find_map(|len| all(&Net::new(net.address, len)));
                found.into_iter().collect()
            }
            Some(net) if wanted.within => {
                table.nets.keys().filter(|key| net.covers(key)).filter_map(all).collect()
            }
            Some(net) => all(&net).into_iter().collect(),
            None => table.nets.keys().filter_map(all).collect(),
        }
    }

    /// A route as it is printed, if it is wanted.
    fn shown_route(&mut self, mut rte: Rte, wanted: &Wanted) -> Option<Rte> {
        if wanted.protocol.is_some_and(|id| id != rte.proto) {
            return None;
        }
        if let Some((mode, id)) = wanted.export {
            if !self.may_export(id, &rte) {
                return None;
            }
            match mode {
                ExportMode::PreExport => {}
                ExportMode::Export => rte = self.preview(id, rte)?,
                ExportMode::NoExport if self.preview(id, rte.clone()).is_some() => return None,
                ExportMode::NoExport => {}
            }
        }
        match &wanted.filter {
            Some(filter) => {
                let mut log = Vec::new();
                filter.passes(&mut rte, &mut log).then_some(rte)
            }
            None => Some(rte),
        }
    }

    /// Takes a new configuration.
    pub fn reconfigure(&mut self, config: Config, soft: bool) {
        self.log.push("<INFO> Reconfiguring".to_owned());
        (self.config, self.reconfigured) = (config, self.now);
        if let Some(id) = self.config.router_id {
            self.router_id = id;
        }
        self.make_tables();
        for id in 0..self.protos.len() {
            let name = self.protos[id].name.clone();
            if !self.config.protocols.iter().any(|config| *config.name == *name) && !self.protos[id].removed {
                self.log.push(format!("<INFO> Removing protocol {name}"));
                self.bgp_operator(id, 3);
                (self.protos[id].disabled, self.protos[id].removed) = (true, true);
                self.stop(id);
            }
        }
        for config in self.config.protocols.clone() {
            let known = self.protos.iter().position(|proto| *proto.name == *config.name && !proto.removed);
            match known {
                Some(id) => self.reconfigure_one(id, config, soft),
                None => {
                    self.log.push(format!("<INFO> Adding protocol {}", config.name));
                    let proto = super::proto::Proto::new(config, self.config.debug, self.now);
                    self.protos.push(proto);
                    self.know_sessions();
                    self.start(self.protos.len() - 1);
                }
            }
        }
        self.know_sessions();
        self.log.push("<INFO> Reconfigured".to_owned());
    }

    fn reconfigure_one(&mut self, id: usize, config: super::config::ProtoConfig, soft: bool) {
        let old = self.protos[id].config.clone();
        self.protos[id].debug = config.debug.unwrap_or(self.config.debug);
        if old == config {
            return;
        }
        let filters_only = {
            let mut same = config.clone();
            if let (Some(new), Some(old)) = (&mut same.channel, &old.channel) {
                (new.import, new.export) = (old.import.clone(), old.export.clone());
            }
            (same.debug, same.description) = (old.debug, old.description.clone());
            same == old
        };
        let name = self.protos[id].name.clone();
        if filters_only || same_but_routes(&old, &config) {
            self.log.push(format!("<INFO> Reconfiguring protocol {name}"));
            let has_new_filters = old.channel != config.channel;
            if let (Some(channel), Some(new)) = (&mut self.protos[id].channel, &config.channel) {
                channel.config = new.clone();
            }
            self.protos[id].config = config;
            if matches!(self.protos[id].running, super::proto::Running::Static) {
                self.static_update(id);
            }
            if has_new_filters && !soft && self.protos[id].state == State::Up {
                self.reload_in(id);
                self.feed(id);
            }
            return;
        }
        self.log.push(format!("<INFO> Restarting protocol {name}"));
        self.bgp_operator(id, 6);
        self.stop(id);
        self.protos[id] = super::proto::Proto::new(config, self.config.debug, self.now);
        self.know_sessions();
        self.start(id);
    }
}

/// Only the routes of a static protocol differ.
fn same_but_routes(old: &super::config::ProtoConfig, new: &super::config::ProtoConfig) -> bool {
    use super::config::Kind;
    let mut same = new.clone();
    if let (Kind::Static { routes, .. }, Kind::Static { routes: before, .. }) = (&mut same.kind, &old.kind) {
        *routes = before.clone();
    }
    same == *old
}

fn configure(parser: &mut Parser) -> Answered {
    let check = parser.word("check");
    let soft = !check && parser.word("soft");
    let file = match parser.peek().clone() {
        Token::Text(file) => {
            parser.take();
            Some(file)
        }
        _ => None,
    };
    for word in ["timeout", "undo", "confirm"] {
        if parser.is_word(word) {
            return Err(Refused::Error(format!("not modelled yet: configure {word}")));
        }
    }
    parser.end()?;
    Ok(Answer::Configure { file, soft, check })
}
