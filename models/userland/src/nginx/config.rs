//! `nginx.conf`: its words, and what they say.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::directives::{Context, Directive, find};
use super::variables::Template;

/// Why a configuration is refused, in nginx's words, with the place if there is one.
pub type Refused = String;

/// A server of an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub address: (Ipv4Addr, u16),
    pub weight: i64,
    pub max_fails: u64,
    pub fail_timeout: Nanos,
    pub down: bool,
}

/// Servers that share requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub name: String,
    pub peers: Vec<Peer>,
}

/// `return`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Return {
    pub status: u16,
    /// The text of the page, or where a redirect leads.
    pub text: Option<Template>,
}

/// What a request is proxied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// The name of the upstream, and `$proxy_host`.
    pub host: String,
    /// What stands for the part of the path that the location names.
    pub uri: Option<String>,
}

/// What blocks inherit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `None`: off.
    pub access_log: Option<String>,
    pub default_type: String,
    pub keepalive: Nanos,
    pub connect_timeout: Nanos,
    pub read_timeout: Nanos,
    /// HTTP 1.1 to upstreams.
    pub http11: bool,
    pub headers: Vec<(String, Template)>,
}

/// A location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    pub exact: bool,
    pub path: String,
    pub pass: Option<Pass>,
    pub answer: Option<Return>,
    pub settings: Settings,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VirtualServer {
    /// Where it listens, and whether it is the default there.
    pub listens: Vec<((Ipv4Addr, u16), bool)>,
    pub names: Vec<String>,
    pub locations: Vec<Location>,
    pub answer: Option<Return>,
    pub settings: Settings,
}

/// What a configuration says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    pub daemon: bool,
    pub pid: String,
    pub error_log: String,
    pub upstreams: Vec<Upstream>,
    pub servers: Vec<VirtualServer>,
}

/// A token: a word with its quotes taken off, or one of `{`, `}`, `;`.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Open,
    Close,
    End,
}

struct Reader<'a> {
    path: &'a str,
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    line: usize,
    config: Config,
    /// Addresses of names, as the caller found them.
    known: &'a [(String, Ipv4Addr)],
    /// What requests are proxied to, each with its line.
    passes: Vec<(String, usize)>,
    has_events: bool,
}

/// What is wrong, with its place.
fn at(path: &str, line: usize, what: &str) -> Refused {
    format!("{what} in {path}:{line}")
}

/// Names of hosts that a configuration may name, without their ports.
pub fn hosts(text: &str) -> Vec<String> {
    // A brace that is opened is no word: `server {`.
    let text = text.replace('{', " { ");
    let is_between = |letter: char| letter.is_whitespace() || letter == ';' || letter == '}';
    let words: Vec<&str> = text.split(is_between).filter(|word| !word.is_empty()).collect();
    let host = |pair: &[&str]| {
        let rest = match pair {
            ["proxy_pass", url] => url.strip_prefix("http://")?,
            ["server", host] if *host != "{" => host,
            _ => return None,
        };
        let host = rest.split(['/', ':']).next().filter(|host| !host.is_empty() && !host.contains('$'))?;
        host.parse::<Ipv4Addr>().is_err().then(|| host.to_owned())
    };
    words.windows(2).filter_map(host).collect()
}

/// A time: `60`, `60s`, `500ms`, `1m`.
fn time(text: &str) -> Option<Nanos> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = match &text[digits..] {
        "ms" => 1,
        "" | "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return None,
    };
    Some(Nanos::from_millis(number.checked_mul(unit)?))
}

impl Config {
    /// Reads the text of the file at `path`; `known` are addresses of names that were looked up.
    ///
    /// # Errors
    ///
    /// What is wrong first.
    pub fn parse(path: &str, text: &str, known: &[(String, Ipv4Addr)]) -> Result<Config, Refused> {
        let config = Config {
            daemon: true,
            pid: "/run/nginx.pid".to_owned(),
            // As Debian builds it.
            error_log: "stderr".to_owned(),
            upstreams: Vec::new(),
            servers: Vec::new(),
        };
        let rest = text.chars().peekable();
        let mut reader = Reader { path, rest, line: 1, config, known, passes: Vec::new(), has_events: false };
        let settings = Settings {
            access_log: Some("/var/log/nginx/access.log".to_owned()),
            default_type: "text/plain".to_owned(),
            keepalive: Nanos::from_secs(75),
            connect_timeout: Nanos::from_secs(60),
            read_timeout: Nanos::from_secs(60),
            http11: false,
            headers: Vec::new(),
        };
        reader.block(Context::Main, &mut Block::new(settings))?;
        reader.finish()
    }

    /// The configuration has an `events` section; without one nginx does not start.
    pub const NO_EVENTS: &'static str = "no \"events\" section in configuration";
}

/// What a block has said so far.
struct Block {
    settings: Settings,
    /// Headers were set here, so those from outside are forgotten.
    own_headers: bool,
    seen: Vec<&'static str>,
    peers: Vec<Peer>,
    server: Option<VirtualServer>,
    pass: Option<Pass>,
    answer: Option<Return>,
}

impl Block {
    fn new(settings: Settings) -> Block {
        Block {
            settings,
            own_headers: false,
            seen: Vec::new(),
            peers: Vec::new(),
            server: None,
            pass: None,
            answer: None,
        }
    }
}

impl Reader<'_> {
    fn refuse<T>(&self, what: impl AsRef<str>) -> Result<T, Refused> {
        Err(at(self.path, self.line, what.as_ref()))
    }

    /// The next token; `None` at the end of the file.
    fn token(&mut self) -> Result<Option<Token>, Refused> {
        loop {
            let Some(&letter) = self.rest.peek() else { return Ok(None) };
            match letter {
                '\n' => self.line += 1,
                letter if letter.is_whitespace() => {}
                '#' => {
                    while self.rest.next_if(|c| *c != '\n').is_some() {}
                    continue;
                }
                '{' => return Ok(self.rest.next().map(|_| Token::Open)),
                '}' => return Ok(self.rest.next().map(|_| Token::Close)),
                ';' => return Ok(self.rest.next().map(|_| Token::End)),
                quote @ ('"' | '\'') => return self.quoted(quote).map(Some),
                _ => {
                    let mut word = String::new();
                    while let Some(letter) = self.rest.peek().copied() {
                        // `${name}` is part of a word.
                        let is_brace = letter == '{' && word.ends_with('$');
                        if letter.is_whitespace() || letter == ';' || letter == '{' && !is_brace {
                            break;
                        }
                        word.push(letter);
                        self.rest.next();
                    }
                    return Ok(Some(Token::Word(word)));
                }
            }
            self.rest.next();
        }
    }

    fn quoted(&mut self, quote: char) -> Result<Token, Refused> {
        self.rest.next();
        let mut word = String::new();
        loop {
            match self.rest.next() {
                Some('\\') => match self.rest.next() {
                    Some('n') => word.push('\n'),
                    Some('r') => word.push('\r'),
                    Some('t') => word.push('\t'),
                    Some(other) => word.push(other),
                    None => {}
                },
                Some(letter) if letter == quote => return Ok(Token::Word(word)),
                Some(letter) => {
                    self.line += usize::from(letter == '\n');
                    word.push(letter);
                }
                None => return self.refuse("unexpected end of file, expecting \";\" or \"}\""),
            }
        }
    }

    /// Reads directives to the end of a block.
    fn block(&mut self, context: Context, block: &mut Block) -> Result<(), Refused> {
        loop {
            let mut words = Vec::new();
            let opens = loop {
                match self.token()? {
                    Some(Token::Word(word)) => words.push(word),
                    Some(Token::End) if words.is_empty() => return self.refuse("unexpected \";\""),
                    Some(Token::End) => break false,
                    Some(Token::Open) if words.is_empty() => return self.refuse("unexpected \"{\""),
                    Some(Token::Open) => break true,
                    Some(Token::Close) if words.is_empty() && context != Context::Main => return Ok(()),
                    Some(Token::Close) => return self.refuse("unexpected \"}\""),
                    None if !words.is_empty() => {
                        return self.refuse("unexpected end of file, expecting \";\" or \"}\"");
                    }
                    None if context == Context::Main => return Ok(()),
                    None => return self.refuse("unexpected end of file, expecting \"}\""),
                }
            };
            let directive = find(&words[0], context).or_else(|what| self.refuse(what))?;
            self.check(directive, &words, opens, block)?;
            match directive.opens {
                Some(inner) => self.section(directive, inner, &words, block)?,
                None => self.simple(&words, block)?,
            }
        }
    }

    /// The directive may stand here with these words.
    fn check(
        &self,
        directive: &'static Directive,
        words: &[String],
        opens: bool,
        block: &mut Block,
    ) -> Result<(), Refused> {
        let name = directive.name;
        if opens != directive.opens.is_some() {
            return self.refuse(match opens {
                true => format!("directive \"{name}\" is not terminated by \";\""),
                false => format!("directive \"{name}\" has no opening \"{{\""),
            });
        }
        let (least, most) = directive.words;
        if !(least..=most).contains(&(words.len() - 1)) {
            return self.refuse(format!("invalid number of arguments in \"{name}\" directive"));
        }
        if !directive.repeats && block.seen.contains(&name) {
            return self.refuse(format!("\"{name}\" directive is duplicate"));
        }
        block.seen.push(name);
        Ok(())
    }

    fn section(
        &mut self,
        directive: &Directive,
        inner: Context,
        words: &[String],
        outer: &mut Block,
    ) -> Result<(), Refused> {
        let mut block = Block::new(outer.settings.clone());
        match directive.name {
            "events" => self.has_events = true,
            "upstream" if self.config.upstreams.iter().any(|known| known.name == words[1]) => {
                return self.refuse(format!("duplicate upstream \"{}\"", words[1]));
            }
            "server" => {
                let settings = outer.settings.clone();
                let (listens, names, locations) = (Vec::new(), Vec::new(), Vec::new());
                block.server = Some(VirtualServer { listens, names, locations, answer: None, settings });
            }
            "location" => return self.location(words, outer, block),
            _ => {}
        }
        self.block(inner, &mut block)?;
        if directive.name == "upstream" {
            if block.peers.is_empty() {
                return self.refuse("no servers are inside upstream");
            }
            self.config.upstreams.push(Upstream { name: words[1].clone(), peers: block.peers });
        } else if let Some(mut server) = block.server.take() {
            (server.settings, server.answer) = (block.settings, block.answer);
            if server.listens.is_empty() {
                server.listens.push(((Ipv4Addr::UNSPECIFIED, 80), false));
            }
            self.config.servers.push(server);
        } else if directive.name == "http" {
            outer.settings = block.settings;
        }
        Ok(())
    }

    fn location(&mut self, words: &[String], outer: &mut Block, mut block: Block) -> Result<(), Refused> {
        let (exact, path) = match words {
            [_, path] if !path.starts_with(['~', '@', '=', '^']) => (false, path.clone()),
            [_, modifier, path] if modifier == "=" => (true, path.clone()),
            [_, modifier, path] if modifier == "^~" => (false, path.clone()),
            [_, modifier, ..] if modifier.starts_with('~') => {
                return self.refuse("not modelled yet: a location with a regular expression");
            }
            [_, name] if name.starts_with('@') => return self.refuse("not modelled yet: a named location"),
            [_, modifier, _] => return self.refuse(format!("invalid location modifier \"{modifier}\"")),
            _ => return self.refuse("not modelled yet: a modifier without a blank behind it"),
        };
        let known = outer.server.iter().flat_map(|server| &server.locations);
        if known.into_iter().any(|known| known.exact == exact && known.path == path) {
            return self.refuse(format!("duplicate location \"{path}\""));
        }
        // A server's own directives count wherever they stand in it.
        block.settings = outer.settings.clone();
        self.block(Context::Location, &mut block)?;
        if let Some(server) = &mut outer.server {
            let Block { settings, pass, answer, .. } = block;
            server.locations.push(Location { exact, path, pass, answer, settings });
        }
        Ok(())
    }

    fn simple(&mut self, words: &[String], block: &mut Block) -> Result<(), Refused> {
        let value = words[1].as_str();
        let settings = &mut block.settings;
        match words[0].as_str() {
            "access_log" => settings.access_log = (value != "off").then(|| value.to_owned()),
            "daemon" => match value {
                "on" | "off" => self.config.daemon = value == "on",
                _ => {
                    return self.refuse(format!(
                        "invalid value \"{value}\" in \"daemon\" directive, it must be \"on\" or \"off\""
                    ));
                }
            },
            "default_type" => settings.default_type = value.to_owned(),
            "error_log" if words.len() > 2 && words[2] != "error" => {
                return self.refuse(format!("not modelled yet: error_log with the level \"{}\"", words[2]));
            }
            "error_log" => self.config.error_log = value.to_owned(),
            name @ ("keepalive_timeout" | "proxy_connect_timeout" | "proxy_read_timeout") => {
                let Some(time) = time(value) else {
                    return self.refuse(format!("\"{name}\" directive invalid value"));
                };
                match name {
                    "keepalive_timeout" => settings.keepalive = time,
                    "proxy_connect_timeout" => settings.connect_timeout = time,
                    _ => settings.read_timeout = time,
                }
            }
            "pid" => self.config.pid = value.to_owned(),
            "proxy_http_version" => match value {
                "1.0" | "1.1" => settings.http11 = value == "1.1",
                _ => return self.refuse(format!("invalid value \"{value}\"")),
            },
            "proxy_set_header" => {
                let template = self.template(&words[2])?;
                if !std::mem::replace(&mut block.own_headers, true) {
                    block.settings.headers.clear();
                }
                block.settings.headers.push((value.to_owned(), template));
            }
            "worker_connections" | "worker_processes" if value != "auto" && value.parse::<u64>().is_err() => {
                return self.refuse(match words[0].as_str() {
                    "worker_connections" => format!("invalid number \"{value}\""),
                    _ => "\"worker_processes\" directive invalid value".to_owned(),
                });
            }
            // One process does the work of all, for any user.
            "user" | "worker_connections" | "worker_processes" => {}
            _ => return self.of_servers(words, block),
        }
        Ok(())
    }

    /// Directives of servers, locations and upstreams.
    fn of_servers(&mut self, words: &[String], block: &mut Block) -> Result<(), Refused> {
        let value = words[1].as_str();
        match (words[0].as_str(), &mut block.server) {
            ("listen", Some(_)) => {
                let listen = self.listen(words)?;
                let mut others = self.config.servers.iter().flat_map(|server| &server.listens);
                if listen.1 && others.any(|other| *other == listen) {
                    let (address, port) = listen.0;
                    return self.refuse(format!("a duplicate default server for {address}:{port}"));
                }
                let server = block.server.iter_mut();
                for server in server {
                    if server.listens.iter().any(|(known, _)| *known == listen.0) {
                        let (address, port) = listen.0;
                        return Err(at(
                            self.path,
                            self.line,
                            &format!("a duplicate listen {address}:{port}"),
                        ));
                    }
                    server.listens.push(listen);
                }
            }
            ("server_name", Some(server)) => {
                if words[1..].iter().any(|name| name.starts_with('~')) {
                    return self.refuse("not modelled yet: a server name with a regular expression");
                }
                server.names.extend(words[1..].iter().map(|name| name.to_ascii_lowercase()));
            }
            ("server", _) => {
                let peer = self.peer(words)?;
                block.peers.push(peer);
            }
            ("return", _) => {
                // The first one counts.
                let answer = self.answer(words)?;
                block.answer.get_or_insert(answer);
            }
            _ => block.pass = Some(self.pass(value)?),
        }
        Ok(())
    }

    fn template(&self, text: &str) -> Result<Template, Refused> {
        // nginx tells no place of it.
        Template::parse(text)
    }

    fn answer(&self, words: &[String]) -> Result<Return, Refused> {
        let is_url = words[1].starts_with("http://") || words[1].starts_with("https://");
        let (status, text) = match words {
            [_, url] if is_url => (302, Some(url)),
            [_, code, rest @ ..] => match code.parse::<u16>() {
                Ok(status) if status <= 999 => (status, rest.first()),
                _ => return self.refuse(format!("invalid return code \"{code}\"")),
            },
            _ => return self.refuse("invalid number of arguments in \"return\" directive"),
        };
        let text = text.map(|text| self.template(text)).transpose()?;
        Ok(Return { status, text })
    }

    fn listen(&self, words: &[String]) -> Result<((Ipv4Addr, u16), bool), Refused> {
        let value = words[1].as_str();
        if value.starts_with('[') || value.starts_with("unix:") {
            return self.refuse("not modelled yet: listen on IPv6 or a Unix socket");
        }
        let (host, port) = match value.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None if value.bytes().all(|byte| byte.is_ascii_digit()) => ("*", Some(value)),
            None => (value, None),
        };
        let port = match port.map(str::parse::<u16>) {
            None => 80,
            Some(Ok(port)) if port > 0 => port,
            Some(_) => {
                return self.refuse(format!("invalid port in \"{value}\" of the \"listen\" directive"));
            }
        };
        let address = match host {
            "*" => Some(Ipv4Addr::UNSPECIFIED),
            "localhost" => Some(Ipv4Addr::LOCALHOST),
            host => host.parse().ok(),
        };
        let Some(address) = address else {
            return self.refuse(format!("host not found in \"{value}\" of the \"listen\" directive"));
        };
        let default = match words.get(2).map(String::as_str) {
            None => false,
            Some("default_server" | "default") => true,
            Some(known @ ("ssl" | "http2" | "proxy_protocol" | "reuseport" | "deferred" | "bind")) => {
                return self.refuse(format!("not modelled yet: listen with {known}"));
            }
            Some(other) => return self.refuse(format!("invalid parameter \"{other}\"")),
        };
        Ok(((address, port), default))
    }

    /// The address of a host in an upstream.
    fn host(&self, text: &str) -> Result<(Ipv4Addr, u16), Refused> {
        let (host, port) = text.split_once(':').unwrap_or((text, "80"));
        let Some(port) = port.parse::<u16>().ok().filter(|port| *port > 0) else {
            return self.refuse(format!("invalid port in upstream \"{text}\""));
        };
        if let Ok(address) = host.parse() {
            return Ok((address, port));
        }
        match self.known.iter().find(|(name, _)| name == host) {
            Some((_, address)) => Ok((*address, port)),
            None => self.refuse(format!("host not found in upstream \"{text}\"")),
        }
    }

    fn peer(&self, words: &[String]) -> Result<Peer, Refused> {
        let mut peer = Peer {
            address: self.host(&words[1])?,
            weight: 1,
            max_fails: 1,
            fail_timeout: Nanos::from_secs(10),
            down: false,
        };
        for word in &words[2..] {
            let bad = || at(self.path, self.line, &format!("invalid parameter \"{word}\""));
            match word.split_once('=') {
                Some(("weight", value)) => {
                    let weight = value.parse().ok().filter(|weight| *weight > 0);
                    peer.weight = weight.ok_or_else(bad)?;
                }
                Some(("max_fails", value)) => peer.max_fails = value.parse().map_err(|_| bad())?,
                Some(("fail_timeout", value)) => peer.fail_timeout = time(value).ok_or_else(bad)?,
                None if word == "down" => peer.down = true,
                _ if word == "backup" || word.starts_with("max_conns=") || word == "resolve" => {
                    return self.refuse(format!("not modelled yet: server with {word}"));
                }
                _ => return Err(bad()),
            }
        }
        Ok(peer)
    }

    fn pass(&mut self, url: &str) -> Result<Pass, Refused> {
        if url.contains('$') {
            return self.refuse("not modelled yet: proxy_pass with variables");
        }
        let Some(rest) = url.strip_prefix("http://") else {
            return self.refuse(match url.starts_with("https://") {
                true => "not modelled yet: proxy_pass over TLS",
                false => "invalid URL prefix",
            });
        };
        let (host, uri) = match rest.find('/') {
            Some(slash) => (&rest[..slash], Some(rest[slash..].to_owned())),
            None => (rest, None),
        };
        // An upstream of this name may come later.
        self.passes.push((host.to_owned(), self.line));
        Ok(Pass { host: host.to_owned(), uri })
    }

    /// What is checked at the end: hosts that no upstream names, names that are given twice.
    fn finish(mut self) -> Result<Config, Refused> {
        for (host, line) in std::mem::take(&mut self.passes) {
            if self.config.upstreams.iter().any(|upstream| upstream.name == host) {
                continue;
            }
            self.line = line;
            let address = match self.host(&host) {
                Ok(address) => address,
                Err(_) => {
                    let name = host.split(':').next().unwrap_or(&host);
                    return self.refuse(format!("host not found in upstream \"{name}\""));
                }
            };
            let peer =
                Peer { address, weight: 1, max_fails: 1, fail_timeout: Nanos::from_secs(10), down: false };
            self.config.upstreams.push(Upstream { name: host, peers: vec![peer] });
        }
        match self.has_events {
            true => Ok(self.config),
            false => Err(Config::NO_EVENTS.to_owned()),
        }
    }
}
