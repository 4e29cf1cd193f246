//! Tokens of a configuration file, with their places.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

/// Why a text is refused, in BIRD's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// An error with its place, `FILE:LINE:COL TEXT` in a file, or only the text for a command of `birdc`.
    Error(String),
    /// A file is included that was not read yet: its path or pattern, absolute.
    Include(String),
}

/// Files that are included: a path or pattern, and what was found there, each with its path.
pub type Included = BTreeMap<String, Vec<(String, String)>>;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    /// A number.
    Num(u32),
    /// An IPv4 address.
    Ip(Ipv4Addr),
    /// An IPv6 address, as it was written.
    Ip6(String),
    /// A text in quotes.
    Text(String),
    /// A name or keyword.
    Word(String),
    /// A sign of one or two letters.
    Sign(&'static str),
    /// The end of the text.
    End,
}

/// A token with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Spanned {
    pub token: Token,
    pub file: usize,
    pub line: u32,
    pub column: u32,
}

/// Signs, the longer first.
const SIGNS: &[&str] = &[
    "&&", "||", "!=", "<=", ">=", "!~", "..", "[=", "=]", "{", "}", "(", ")", "[", "]", ";", ",", ":", "=",
    "<", ">", "+", "-", "*", "/", "~", "!", ".", "?", "%", "|", "&",
];

/// The words of BIRD's grammar that modelled statements and their neighbours use. A name that is none of them is a symbol.
const KEYWORDS: &[&str] = &[
    "accept",
    "action",
    "add",
    "advertise",
    "all",
    "allow",
    "always",
    "as",
    "attribute",
    "aware",
    "base",
    "bfd",
    "bgp",
    "bgp_aggregator",
    "bgp_atomic_aggr",
    "bgp_cluster_list",
    "bgp_community",
    "bgp_ext_community",
    "bgp_large_community",
    "bgp_local_pref",
    "bgp_med",
    "bgp_next_hop",
    "bgp_origin",
    "bgp_originator_id",
    "bgp_path",
    "blackhole",
    "block",
    "bool",
    "bgpmask",
    "bgppath",
    "capabilities",
    "case",
    "channels",
    "check",
    "class",
    "clist",
    "client",
    "cluster",
    "commands",
    "confederation",
    "configure",
    "connect",
    "count",
    "debug",
    "default",
    "define",
    "defined",
    "delay",
    "delete",
    "description",
    "dest",
    "deterministic",
    "dev",
    "device",
    "direct",
    "disable",
    "disabled",
    "down",
    "dump",
    "ebgp",
    "eclist",
    "ec",
    "echo",
    "else",
    "enable",
    "error",
    "eval",
    "events",
    "export",
    "exported",
    "extended",
    "external",
    "false",
    "fatal",
    "filter",
    "filtered",
    "filters",
    "first",
    "flow4",
    "flow6",
    "for",
    "forget",
    "free",
    "from",
    "function",
    "gateway",
    "generate",
    "graceful",
    "gw",
    "hold",
    "hop",
    "hostname",
    "ibgp",
    "id",
    "if",
    "ifindex",
    "ifname",
    "igp",
    "import",
    "in",
    "info",
    "int",
    "interface",
    "interfaces",
    "internal",
    "interpret",
    "ip",
    "ipv4",
    "ipv6",
    "iso",
    "keep",
    "keepalive",
    "kernel",
    "krt_advmss",
    "krt_metric",
    "krt_mtu",
    "krt_prefsrc",
    "krt_realm",
    "krt_scope",
    "krt_source",
    "krt_window",
    "krt_rtt",
    "krt_initcwnd",
    "last",
    "latency",
    "lc",
    "lclist",
    "learn",
    "len",
    "limit",
    "link",
    "local",
    "log",
    "long",
    "mask",
    "max",
    "med",
    "memory",
    "merge",
    "messages",
    "metric",
    "min",
    "mrtdump",
    "ms",
    "multihop",
    "name",
    "neighbor",
    "neighbors",
    "net",
    "netmask",
    "next",
    "noexport",
    "none",
    "off",
    "older",
    "on",
    "onlink",
    "ospf",
    "out",
    "packets",
    "pair",
    "password",
    "passwords",
    "passive",
    "path",
    "paths",
    "period",
    "persist",
    "pipe",
    "port",
    "prefer",
    "preference",
    "preexport",
    "prefix",
    "prepend",
    "primary",
    "print",
    "printn",
    "prohibit",
    "proto",
    "protocol",
    "protocols",
    "quad",
    "range",
    "rd",
    "receive",
    "recursive",
    "refresh",
    "reject",
    "reload",
    "remote",
    "require",
    "reset",
    "restart",
    "restrict",
    "retry",
    "return",
    "rip",
    "roa4",
    "roa6",
    "route",
    "router",
    "routes",
    "rr",
    "rs",
    "rx",
    "s",
    "sadr",
    "scan",
    "scope",
    "secondary",
    "security",
    "self",
    "set",
    "setkey",
    "show",
    "sorted",
    "soft",
    "source",
    "start",
    "startup",
    "static",
    "state",
    "states",
    "stats",
    "status",
    "stderr",
    "strict",
    "string",
    "summary",
    "symbols",
    "syslog",
    "table",
    "template",
    "then",
    "threshold",
    "time",
    "timeformat",
    "timeout",
    "trace",
    "true",
    "trie",
    "ttl",
    "tx",
    "type",
    "undo",
    "unicast",
    "unreachable",
    "unset",
    "us",
    "via",
    "vpn4",
    "vpn6",
    "vrf",
    "wait",
    "warn",
    "warning",
    "watchdog",
    "weight",
    "where",
];

impl Token {
    /// What an error calls it. `known`: a symbol that has a meaning.
    pub fn name(&self, known: impl Fn(&str) -> bool) -> String {
        match self {
            Token::Num(_) => "NUM".to_owned(),
            Token::Ip(_) => "IP4".to_owned(),
            Token::Ip6(_) => "IP6".to_owned(),
            Token::Text(_) => "TEXT".to_owned(),
            Token::Sign("..") => "DDOT".to_owned(),
            Token::Sign("!=") => "NEQ".to_owned(),
            Token::Sign("<=") => "LEQ".to_owned(),
            Token::Sign(">=") => "GEQ".to_owned(),
            Token::Sign("!~") => "NMA".to_owned(),
            Token::Sign("&&") => "AND".to_owned(),
            Token::Sign("||") => "OR".to_owned(),
            Token::Sign("[=") => "PO".to_owned(),
            Token::Sign("=]") => "PC".to_owned(),
            Token::Sign(sign) => format!("'{sign}'"),
            Token::Word(word) if is_keyword(word) => word.to_uppercase(),
            Token::Word(word) if crate::bird::value::constant(word).is_some() => "ENUM".to_owned(),
            Token::Word(word) if known(word) => "CF_SYM_KNOWN".to_owned(),
            Token::Word(_) => "CF_SYM_UNDEFINED".to_owned(),
            Token::End => "END".to_owned(),
        }
    }
}

/// The word belongs to the grammar: it is no name.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.contains(&word)
}

/// Splits a text into tokens.
pub struct Lexer<'a> {
    files: Vec<String>,
    included: &'a Included,
    tokens: Vec<Spanned>,
}

/// Files within files, at most so deep.
const MAX_DEPTH: usize = 8;

impl<'a> Lexer<'a> {
    /// The tokens of a file and of those that it includes, and the names of all files.
    ///
    /// # Errors
    ///
    /// What is no token, or a file that is yet to be read.
    pub fn tokens(
        path: &str,
        text: &str,
        included: &'a Included,
    ) -> Result<(Vec<Spanned>, Vec<String>), Refused> {
        let mut lexer = Lexer { files: Vec::new(), included, tokens: Vec::new() };
        lexer.file(path, text, 1)?;
        lexer.tokens.push(Spanned { token: Token::End, file: 0, line: 1, column: 0 });
        Ok((lexer.tokens, lexer.files))
    }

    fn file(&mut self, path: &str, text: &str, depth: usize) -> Result<(), Refused> {
        self.files.push(path.to_owned());
        let mut scan = Scan { rest: text, path, line: 1, column: 1, file: self.files.len() - 1 };
        while let Some(found) = scan.next()? {
            // A file is included by a line of its own; elsewhere the word is a name.
            let is_first =
                self.tokens.last().is_none_or(|last| (last.file, last.line) != (found.file, found.line));
            if found.token != Token::Word("include".to_owned()) || !is_first {
                self.tokens.push(found);
                continue;
            }
            let Some(Spanned { token: Token::Text(pattern), .. }) = scan.next()? else {
                return Err(scan.refuse(found.line, found.column, "Include: missing file name"));
            };
            let at = (scan.line, scan.column);
            if !matches!(scan.next()?, Some(Spanned { token: Token::Sign(";"), .. })) {
                return Err(scan.refuse(at.0, at.1, "Include: missing ';'"));
            }
            if depth >= MAX_DEPTH {
                return Err(scan.refuse(found.line, found.column, "Max include depth reached"));
            }
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            let full = if pattern.starts_with('/') { pattern } else { format!("{folder}/{pattern}") };
            let Some(files) = self.included.get(&full) else { return Err(Refused::Include(full)) };
            if files.is_empty() && !full.contains(['*', '?', '[']) {
                let why = format!("Unable to open included file {full}: No such file or directory");
                return Err(scan.refuse(found.line, found.column + 9, &why));
            }
            for (path, text) in files.clone() {
                self.file(&path, &text, depth + 1)?;
            }
        }
        Ok(())
    }
}

struct Scan<'a> {
    rest: &'a str,
    path: &'a str,
    file: usize,
    line: u32,
    column: u32,
}

impl Scan<'_> {
    fn refuse(&self, line: u32, column: u32, what: &str) -> Refused {
        Refused::Error(place(self.path, line, column, what))
    }

    fn advance(&mut self, bytes: usize) {
        for letter in self.rest[..bytes].chars() {
            match letter {
                '\n' => (self.line, self.column) = (self.line + 1, 1),
                _ => self.column += 1,
            }
        }
        self.rest = &self.rest[bytes..];
    }

    /// Passes over blanks and comments.
    fn skip(&mut self) -> Result<(), Refused> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.advance(blank);
            if self.rest.starts_with('#') {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.advance(end);
            } else if self.rest.starts_with("/*") {
                let Some(end) = self.rest.find("*/") else {
                    let lines = self.rest.matches('\n').count() as u32;
                    return Err(self.refuse(self.line + lines, 0, "Unterminated comment"));
                };
                self.advance(end + 2);
            } else if blank == 0 {
                return Ok(());
            }
        }
    }

    fn next(&mut self) -> Result<Option<Spanned>, Refused> {
        self.skip()?;
        let (line, column) = (self.line, self.column);
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let (token, length) = match first {
            '"' => {
                let end = self.rest[1..].find(['"', '\n']).map(|end| end + 1);
                match end {
                    Some(end) if self.rest[end..].starts_with('"') => {
                        (Token::Text(self.rest[1..end].to_owned()), end + 1)
                    }
                    end => {
                        let column = column + end.unwrap_or(self.rest.len()) as u32;
                        return Err(self.refuse(line, column, "Unterminated string"));
                    }
                }
            }
            '\'' => match self.rest[1..].find('\'') {
                Some(end) => (Token::Word(self.rest[1..=end].to_owned()), end + 2),
                None => return Err(self.refuse(line, column, "Unknown character")),
            },
            _ if first.is_ascii_alphabetic() || first == '_' => self.word(),
            _ if first.is_ascii_digit() || self.rest.starts_with("::") => self.number(line, column)?,
            _ => match SIGNS.iter().find(|sign| self.rest.starts_with(**sign)) {
                Some(sign) => (Token::Sign(sign), sign.len()),
                None => return Err(self.refuse(line, column, "Unknown character")),
            },
        };
        self.advance(length);
        Ok(Some(Spanned { token, file: self.file, line, column }))
    }

    /// A word; one of hexadecimal digits with colons is an IPv6 address.
    fn word(&self) -> (Token, usize) {
        let end = |good: fn(char) -> bool| self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        let address = end(|c| c.is_ascii_hexdigit() || c == ':');
        if self.rest[..address].matches(':').count() > 1 && !self.rest[..address].ends_with("::_") {
            return (Token::Ip6(self.rest[..address].to_owned()), address);
        }
        let length = end(|c| c.is_ascii_alphanumeric() || c == '_');
        (Token::Word(self.rest[..length].to_owned()), length)
    }

    fn number(&self, line: u32, column: u32) -> Result<(Token, usize), Refused> {
        let end = |good: fn(char) -> bool| self.rest.find(|c| !good(c)).unwrap_or(self.rest.len());
        let address = end(|c| c.is_ascii_hexdigit() || c == ':');
        if self.rest[..address].matches(':').count() > 1 {
            return Ok((Token::Ip6(self.rest[..address].to_owned()), address));
        }
        let dotted = end(|c| c.is_ascii_digit() || c == '.');
        if let Ok(address) = self.rest[..dotted].parse() {
            return Ok((Token::Ip(address), dotted));
        }
        let (digits, radix, length) = match self.rest.strip_prefix("0x") {
            Some(rest) => {
                let length = rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len());
                (&rest[..length], 16, length + 2)
            }
            None => {
                let length = end(|c| c.is_ascii_digit());
                (&self.rest[..length], 10, length)
            }
        };
        match u32::from_str_radix(digits, radix) {
            Ok(number) => Ok((Token::Num(number), length)),
            Err(_) => Err(self.refuse(line, column, "Number out of range")),
        }
    }
}

/// An error at a place; a command of `birdc` has none.
pub fn place(path: &str, line: u32, column: u32, what: &str) -> String {
    if path.is_empty() { what.to_owned() } else { format!("{path}:{line}:{column} {what}") }
}
