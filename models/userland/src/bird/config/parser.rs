//! The parser: statements of the whole file, and what all statements are made of.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::lexer::{Lexer, Spanned, is_keyword, place};
use super::{Config, Debug, Included, Log, LogTo, Refused, Symbol, TimeFormat, Token};
use crate::bird::filter::{Expr, constant};
use crate::bird::value::{Net, Value};

/// A result, or why the text is refused.
pub type Parsed<T = ()> = Result<T, Refused>;

/// Reads tokens.
pub struct Parser {
    tokens: Vec<Spanned>,
    files: Vec<String>,
    at: usize,
    pub config: Config,
    /// Variables of the function that is read, with their names.
    pub(super) variables: Vec<(String, Value)>,
    /// The name of that function, and how many arguments it has.
    pub(super) function: Option<(String, usize)>,
}

/// Classes of messages.
const CLASSES: &[(&str, &str)] = &[
    ("debug", "DBG"),
    ("trace", "TRACE"),
    ("info", "INFO"),
    ("remote", "RMT"),
    ("warning", "WARN"),
    ("error", "ERR"),
    ("auth", "AUTH"),
    ("fatal", "FATAL"),
    ("bug", "BUG"),
];

impl Parser {
    /// A parser of a text. One without a path is a command of `birdc`.
    ///
    /// # Errors
    ///
    /// What is no token.
    pub fn new(path: &str, text: &str, included: &Included, config: Config) -> Parsed<Parser> {
        let (tokens, files) = Lexer::tokens(path, text, included)?;
        Ok(Parser { tokens, files, at: 0, config, variables: Vec::new(), function: None })
    }

    fn spanned(&self, at: usize) -> &Spanned {
        &self.tokens[at.min(self.tokens.len() - 1)]
    }

    pub fn peek(&self) -> &Token {
        &self.spanned(self.at).token
    }

    pub(super) fn peek_second(&self) -> &Token {
        &self.spanned(self.at + 1).token
    }

    /// An address with a length is next.
    pub fn is_network(&self) -> bool {
        matches!((self.peek(), self.peek_second()), (Token::Ip(_), Token::Sign("/")))
    }

    pub fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn error_at(&self, at: usize, what: &str) -> Refused {
        let found = self.spanned(at);
        Refused::Error(place(
            self.files.get(found.file).map_or("", String::as_str),
            found.line,
            found.column,
            what,
        ))
    }

    /// An error at the last token that was taken.
    pub(super) fn error<T>(&self, what: impl AsRef<str>) -> Parsed<T> {
        Err(self.error_at(self.at.saturating_sub(1), what.as_ref()))
    }

    /// An error at the next token.
    pub(super) fn error_ahead<T>(&self, what: &str) -> Parsed<T> {
        Err(self.error_at(self.at, what))
    }

    /// A statement that BIRD has and this model does not.
    pub(super) fn not_modelled<T>(&self, what: &str) -> Parsed<T> {
        self.error_ahead(&format!("not modelled yet: {what}"))
    }

    /// The next token does not belong here.
    pub fn unexpected<T>(&self, expecting: &str) -> Parsed<T> {
        let name = self.peek().name(|word| {
            self.config.symbols.contains_key(word) || self.variables.iter().any(|(known, _)| known == word)
        });
        let expecting = if expecting.is_empty() { String::new() } else { format!(", expecting {expecting}") };
        self.error_ahead(&format!("syntax error, unexpected {name}{expecting}"))
    }

    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Word(next) if next == word)
    }

    pub fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(next) if *next == sign)
    }

    /// Takes a word if it is next.
    pub fn word(&mut self, word: &str) -> bool {
        let is = self.is_word(word);
        self.at += usize::from(is);
        is
    }

    pub fn sign(&mut self, sign: &str) -> bool {
        let is = self.is_sign(sign);
        self.at += usize::from(is);
        is
    }

    pub(super) fn need_sign(&mut self, sign: &str) -> Parsed {
        if self.sign(sign) { Ok(()) } else { self.unexpected(&format!("'{sign}'")) }
    }

    /// The same where the grammar has so many ways to go on that BIRD names none.
    pub(super) fn need_sign_quietly(&mut self, sign: &str) -> Parsed {
        if self.sign(sign) { Ok(()) } else { self.unexpected("") }
    }

    pub fn need_word(&mut self, word: &str) -> Parsed {
        if self.word(word) { Ok(()) } else { self.unexpected(&word.to_uppercase()) }
    }

    /// Words in a row, if all are next.
    pub(super) fn words(&mut self, words: &[&str]) -> bool {
        let next = |(at, word): (usize, &&str)| matches!(&self.spanned(self.at + at).token, Token::Word(found) if found == word);
        let all = words.iter().enumerate().all(next);
        if all {
            self.at += words.len();
        }
        all
    }

    pub fn end(&self) -> Parsed {
        if *self.peek() == Token::End { Ok(()) } else { self.unexpected("END") }
    }

    /// A name that may be new.
    pub(super) fn name(&mut self) -> Parsed<String> {
        match self.peek().clone() {
            Token::Word(name) if !is_keyword(&name) => {
                self.at += 1;
                Ok(name)
            }
            _ => self.unexpected(""),
        }
    }

    pub(super) fn new_symbol(&mut self) -> Parsed<String> {
        let name = self.name()?;
        if self.config.symbols.contains_key(&name) {
            return self.error(format!("Symbol '{name}' already defined"));
        }
        Ok(name)
    }

    /// The symbol of this name, if the next token is one.
    pub(super) fn symbol(&self) -> Option<&Symbol> {
        match self.peek() {
            Token::Word(name) => self.config.symbols.get(name),
            _ => None,
        }
    }

    /// The value of a constant's name.
    fn constant(&mut self) -> Option<Value> {
        let Some(Symbol::Constant(value)) = self.symbol() else { return None };
        let value = value.clone();
        self.at += 1;
        Some(value)
    }

    pub fn number(&mut self) -> Parsed<u32> {
        if let Token::Num(number) = self.peek() {
            let number = *number;
            self.at += 1;
            return Ok(number);
        }
        if self.is_sign("(") {
            return match self.computed()? {
                Value::Int(number) => Ok(number),
                _ => self.error("Number expression expected"),
            };
        }
        match self.constant() {
            Some(Value::Int(number)) => Ok(number),
            Some(_) => self.error("Number constant expected"),
            None => self.unexpected("NUM or CF_SYM_KNOWN or '('"),
        }
    }

    /// The value of an expression that needs no route.
    pub fn computed(&mut self) -> Parsed<Value> {
        let expr: Expr = self.expr()?;
        constant(&expr).or_else(|why| self.error(why))
    }

    /// `on`, `off`, a number, or nothing.
    pub(super) fn boolean(&mut self) -> Parsed<bool> {
        for (word, truth) in
            [("on", true), ("yes", true), ("true", true), ("off", false), ("no", false), ("false", false)]
        {
            if self.word(word) {
                return Ok(truth);
            }
        }
        match self.peek() {
            Token::Sign(";" | "}") => Ok(true),
            Token::Num(_) | Token::Sign("(") => Ok(self.number()? != 0),
            _ if self.symbol().is_some() => Ok(self.number()? != 0),
            _ => self.unexpected(""),
        }
    }

    pub(super) fn address(&mut self) -> Parsed<Ipv4Addr> {
        match self.peek() {
            Token::Ip(address) => {
                let address = *address;
                self.at += 1;
                Ok(address)
            }
            Token::Ip6(_) => self.not_modelled("IPv6"),
            _ => match self.constant() {
                Some(Value::Ip(address)) => Ok(address),
                Some(_) => self.error("IP address constant expected"),
                None => self.unexpected(""),
            },
        }
    }

    pub(super) fn text(&mut self) -> Parsed<String> {
        if let Token::Text(text) = self.peek() {
            let text = text.clone();
            self.at += 1;
            return Ok(text);
        }
        match self.constant() {
            Some(Value::Text(text)) => Ok(text),
            Some(_) => self.error("String constant expected"),
            None => self.unexpected("CF_SYM_KNOWN or TEXT"),
        }
    }

    /// An address and its length, which were written with a slash.
    pub fn network(&mut self) -> Parsed<Net> {
        if let Some(value) = self.constant() {
            return match value {
                Value::Net(net) => Ok(net),
                _ => self.error("Prefix constant expected"),
            };
        }
        if matches!(self.peek(), Token::Ip6(_)) {
            return self.not_modelled("IPv6");
        }
        let Token::Ip(address) = *self.peek() else { return self.unexpected("") };
        self.at += 1;
        self.need_sign("/")?;
        let Token::Num(len) = *self.peek() else { return self.unexpected("NUM") };
        // An error about the network is found where the next token is read.
        self.at += 1;
        if len > 32 {
            return self.error(format!("Invalid prefix length {len}"));
        }
        let net = Net::new(address, len as u8);
        if net.address != address {
            return self.error(format!("Invalid IPv4 prefix {address}/{len}, maybe you wanted {net}"));
        }
        Ok(net)
    }

    /// A time in seconds, with a unit if it is another.
    pub(super) fn time(&mut self) -> Parsed<Nanos> {
        let number = u64::from(self.number()?);
        Ok(if self.word("ms") {
            Nanos::from_millis(number)
        } else if self.word("us") {
            Nanos(number.saturating_mul(1000))
        } else {
            self.word("s");
            Nanos::from_secs(number)
        })
    }

    /// Statements to the end of the file.
    pub(super) fn file(&mut self) -> Parsed {
        while *self.peek() != Token::End {
            if !self.sign(";") {
                self.statement()?;
            }
        }
        Ok(())
    }

    fn statement(&mut self) -> Parsed {
        let Token::Word(word) = self.peek().clone() else { return self.unexpected("") };
        match word.as_str() {
            "protocol" | "template" => return self.protocol(),
            "filter" => return self.filter_definition(),
            "function" => return self.function_definition(),
            _ => {}
        }
        self.take();
        match word.as_str() {
            "router" => self.router_id()?,
            "log" => self.log()?,
            "debug" => self.debug_default()?,
            "define" => self.define()?,
            "attribute" => self.attribute()?,
            // The value goes to the log, which is not open yet.
            "eval" => _ = self.computed()?,
            "hostname" => self.config.hostname = Some(self.text()?),
            "timeformat" => self.time_format()?,
            "ipv4" => self.table()?,
            // What the daemon itself takes too long for.
            "watchdog" => {
                if !self.word("warning") {
                    self.need_word("timeout")?;
                }
                self.time()?;
            }
            "graceful" => {
                self.need_word("restart")?;
                self.need_word("wait")?;
                self.number()?;
            }
            "ipv6" | "roa4" | "roa6" | "flow4" | "flow6" | "vpn4" | "vpn6" | "mrtdump" => {
                self.at -= 1;
                return self.not_modelled(&word);
            }
            _ => {
                self.at -= 1;
                return self.unexpected("");
            }
        }
        self.need_sign(";")
    }

    fn router_id(&mut self) -> Parsed {
        self.need_word("id")?;
        if self.is_word("from") {
            return self.not_modelled("router id from");
        }
        self.config.router_id = Some(self.id()?);
        Ok(())
    }

    /// A number that is written as an address, or not.
    pub(super) fn id(&mut self) -> Parsed<Ipv4Addr> {
        match *self.peek() {
            Token::Ip(address) => {
                self.at += 1;
                Ok(address)
            }
            Token::Num(number) => {
                self.at += 1;
                Ok(Ipv4Addr::from_bits(number))
            }
            _ => match self.constant() {
                Some(Value::Ip(address) | Value::Quad(address)) => Ok(address),
                Some(Value::Int(number)) => Ok(Ipv4Addr::from_bits(number)),
                Some(_) => self.error("Number of IPv4 address constant expected"),
                None => self.unexpected(""),
            },
        }
    }

    fn log(&mut self) -> Parsed {
        let to = if self.word("syslog") {
            if self.word("name") {
                self.text()?;
            }
            LogTo::Syslog
        } else if self.word("stderr") {
            LogTo::Stderr
        } else if matches!(self.peek(), Token::Text(_)) || self.symbol().is_some() {
            let path = self.text()?;
            if matches!(self.peek(), Token::Num(_)) {
                return self.not_modelled("a limit of a log file");
            }
            LogTo::File(path)
        } else {
            return self.unexpected("CF_SYM_KNOWN or TEXT or SYSLOG or STDERR");
        };
        let mut classes = Vec::new();
        if self.word("all") {
            classes = CLASSES.iter().map(|(_, shown)| *shown).collect();
        } else {
            self.need_sign_quietly("{")?;
            loop {
                let Some((_, shown)) = CLASSES.iter().find(|(word, _)| self.is_word(word)) else {
                    return self.unexpected("");
                };
                self.take();
                classes.push(*shown);
                if self.sign("}") {
                    break;
                }
                if !self.sign(",") {
                    return self.unexpected("',' or '}'");
                }
            }
        }
        self.config.logs.push(Log { to, classes });
        Ok(())
    }

    fn debug_default(&mut self) -> Parsed {
        if self.word("protocols") {
            self.config.debug = self.debug()?;
        } else if self.word("channels") || self.word("tables") {
            self.debug()?;
        } else if self.word("commands") {
            self.number()?;
        } else if self.word("latency") {
            if self.word("limit") { _ = self.time()? } else { _ = self.boolean()? }
        } else {
            return self.unexpected("PROTOCOLS or CHANNELS or COMMANDS or LATENCY");
        }
        Ok(())
    }

    /// `all`, `off` or `{ states, … }`.
    pub fn debug(&mut self) -> Parsed<Debug> {
        const BITS: &[(&str, u8)] = &[
            ("states", Debug::STATES),
            ("routes", Debug::ROUTES),
            ("filters", Debug::FILTERS),
            ("interfaces", Debug::INTERFACES),
            ("events", Debug::EVENTS),
            ("packets", Debug::PACKETS),
        ];
        if self.word("all") {
            return Ok(Debug(Debug::ALL));
        }
        if self.word("off") {
            return Ok(Debug(0));
        }
        if !self.sign("{") {
            return self.unexpected("OFF or '{' or ALL");
        }
        let mut debug = Debug(0);
        loop {
            let Some((_, bit)) = BITS.iter().find(|(word, _)| self.is_word(word)) else {
                return self.unexpected("");
            };
            self.take();
            debug.0 |= bit;
            if self.sign("}") {
                return Ok(debug);
            }
            if !self.sign(",") {
                return self.unexpected("',' or '}'");
            }
        }
    }

    fn define(&mut self) -> Parsed {
        let name = self.name()?;
        self.need_sign("=")?;
        let value = self.computed()?;
        if !self.is_sign(";") {
            return self.unexpected("");
        }
        if self.config.symbols.contains_key(&name) {
            return self.error_ahead(&format!("Symbol '{name}' already defined"));
        }
        self.config.symbols.insert(name, Symbol::Constant(value));
        Ok(())
    }

    fn attribute(&mut self) -> Parsed {
        let Some(value) = self.type_name() else { return self.unexpected("") };
        let name = self.new_symbol()?;
        let number = self.config.custom.len() as u16;
        self.config.custom.push((name.clone(), value.clone()));
        self.config.symbols.insert(name, Symbol::Attribute(number, value));
        Ok(())
    }

    fn table(&mut self) -> Parsed {
        self.need_word("table")?;
        let name = self.name()?;
        match self.config.symbols.get(&name) {
            None => self.config.tables.push((name.clone(), false)),
            Some(Symbol::Table) if name == "master4" => {}
            Some(_) => return self.error(format!("Symbol '{name}' already defined")),
        }
        if self.is_word("sorted") || self.is_sign("{") || self.is_word("trie") {
            return self.not_modelled("options of a table");
        }
        self.config.symbols.insert(name, Symbol::Table);
        Ok(())
    }

    fn time_format(&mut self) -> Parsed {
        let what = ["route", "protocol", "base", "log"].into_iter().find(|word| self.is_word(word));
        let Some(what) = what else { return self.unexpected("PROTOCOL or ROUTE or LOG or BASE") };
        self.take();
        let format = if self.word("iso") {
            let is_long = self.word("long");
            if !is_long && !self.word("short") {
                return self.unexpected("SHORT or LONG");
            }
            let seconds = match (self.word("ms"), self.word("us")) {
                (true, _) => "%T.%3f",
                (_, true) => "%T.%6f",
                _ => "%T",
            };
            match is_long {
                true => {
                    let format = format!("%F {seconds}");
                    TimeFormat { recent: format.clone(), limit: Nanos::ZERO, older: format }
                }
                false => TimeFormat { recent: seconds.to_owned(), ..TimeFormat::short() },
            }
        } else {
            let recent = self.text()?;
            let (mut limit, mut older) = (Nanos::ZERO, recent.clone());
            if matches!(self.peek(), Token::Num(_)) {
                limit = Nanos::from_secs(self.number()?.into());
                older = self.text()?;
            }
            TimeFormat { recent, limit, older }
        };
        self.config.time_formats.insert(what, format);
        Ok(())
    }

    /// What was read, when the file is at its end.
    pub(super) fn finish(self) -> Parsed<Config> {
        if self.config.protocols.is_empty() {
            return self.error_ahead("No protocol is specified in the config file");
        }
        Ok(self.config)
    }
}
