//! Filters of `ss`: states, and expressions on ports and addresses.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::tcp_sock::TcpState;

use crate::hosts::inet_aton;
use crate::services::ports_by_name;

/// A set of states, by number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(pub u32);

/// Every state.
pub const ALL: States = States(0xffe);
/// Default without options: no listeners, no closed or opening connections.
pub const CONNECTED: States = States(
    ALL.0
        & !(bit(TcpState::Listen) | bit(TcpState::Close) | bit(TcpState::TimeWait) | bit(TcpState::SynRecv)),
);
/// What `-l` shows.
pub const LISTENING: States = States(bit(TcpState::Listen) | bit(TcpState::Close));

const fn bit(state: TcpState) -> u32 {
    1 << state as u32
}

impl States {
    /// The state is in the set.
    pub fn has(self, state: TcpState) -> bool {
        self.0 & bit(state) != 0
    }

    /// A single state: no column is needed.
    pub fn is_single(self) -> bool {
        self.0.count_ones() == 1
    }

    /// A set by name, for `state` and `exclude`.
    pub fn named(name: &str) -> Option<States> {
        use TcpState::{
            Close, CloseWait, Closing, Established, FinWait1, FinWait2, LastAck, Listen, SynRecv,
        };
        use TcpState::{SynSent, TimeWait};
        let single = match name {
            "established" => Established,
            "syn-sent" => SynSent,
            "syn-recv" => SynRecv,
            "fin-wait-1" => FinWait1,
            "fin-wait-2" => FinWait2,
            "time-wait" => TimeWait,
            "unconnected" | "closed" => Close,
            "close-wait" => CloseWait,
            "last-ack" => LastAck,
            "listen" | "listening" => Listen,
            "closing" => Closing,
            "all" => return Some(ALL),
            "connected" => return Some(States(ALL.0 & !(bit(Close) | bit(Listen)))),
            "synchronized" => return Some(States(ALL.0 & !(bit(Close) | bit(Listen) | bit(SynSent)))),
            "bucket" => return Some(States(bit(SynRecv) | bit(TimeWait))),
            "big" => return Some(States(ALL.0 & !(bit(SynRecv) | bit(TimeWait)))),
            _ => return None,
        };
        Some(States(bit(single)))
    }
}

/// An expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr {
    /// Everything.
    True,
    /// Both.
    And(Box<Expr>, Box<Expr>),
    /// Either.
    Or(Box<Expr>, Box<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// Compares a port.
    Port(End, Cmp, u16),
    /// Compares an address with a network, and a port.
    Address(End, Ipv4Addr, u8, Option<u16>),
}

/// One end of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// `src`, `sport`.
    Local,
    /// `dst`, `dport`.
    Peer,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cmp {
    /// `=`.
    Eq,
    /// `!=`.
    Ne,
    /// `<`.
    Lt,
    /// `<=`.
    Le,
    /// `>`.
    Gt,
    /// `>=`.
    Ge,
}

/// Error of a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Syntax error.
    Syntax,
    /// Nested more deeply than [`DEEPEST`].
    TooDeep,
    /// A message.
    Says(String),
}

type Ends = ((Ipv4Addr, u16), (Ipv4Addr, u16));

impl Expr {
    /// The expression matches a socket's addresses and ports.
    pub fn matches(&self, ends: Ends) -> bool {
        let end = |which: End| if which == End::Local { ends.0 } else { ends.1 };
        match self {
            Expr::True => true,
            Expr::And(a, b) => a.matches(ends) && b.matches(ends),
            Expr::Or(a, b) => a.matches(ends) || b.matches(ends),
            Expr::Not(inner) => !inner.matches(ends),
            Expr::Port(which, cmp, port) => {
                let own = end(*which).1;
                match cmp {
                    Cmp::Eq => own == *port,
                    Cmp::Ne => own != *port,
                    Cmp::Lt => own < *port,
                    Cmp::Le => own <= *port,
                    Cmp::Gt => own > *port,
                    Cmp::Ge => own >= *port,
                }
            }
            Expr::Address(which, network, len, port) => {
                let (address, own) = end(*which);
                let mask = inet_make_mask(*len);
                address & mask == *network & mask && port.is_none_or(|port| port == own)
            }
        }
    }
}

/// Parses an expression; empty is [`Expr::True`].
pub fn parse(words: &[String]) -> Result<Expr, Wrong> {
    let tokens: Vec<String> = words.iter().flat_map(|word| word.split_whitespace()).flat_map(split).collect();
    if tokens.is_empty() {
        return Ok(Expr::True);
    }
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0 };
    let expr = parser.any()?;
    if parser.at == tokens.len() { Ok(expr) } else { Err(Wrong::Syntax) }
}

/// Parentheses, `!`, `&`, `|` and comparisons are tokens of their own.
fn split(word: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    let letters: Vec<char> = word.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let is_mark = |letter: char| "()!&|=<>".contains(letter);
        let joins = at > 0
            && matches!(letters[at - 1], '!' | '<' | '>' | '=' | '&' | '|')
            && (*letter == '=' || matches!(letter, '&' | '|') && letters[at - 1] == *letter);
        let after_mark = at > 0 && is_mark(letters[at - 1]);
        if (is_mark(*letter) || after_mark) && !joins && tokens.last().is_some_and(|last| !last.is_empty()) {
            tokens.push(String::new());
        }
        if let Some(last) = tokens.last_mut() {
            last.push(*letter);
        }
    }
    tokens.retain(|token| !token.is_empty());
    tokens
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    depth: usize,
}

/// Nesting of parentheses and negations; the real parser has room for some thousands.
const DEEPEST: usize = 1_000;

impl Parser<'_> {
    fn peek(&self) -> Option<&str> {
        self.tokens.get(self.at).map(String::as_str)
    }

    fn take(&mut self, wanted: &[&str]) -> bool {
        let found = self.peek().is_some_and(|token| wanted.contains(&token));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self) -> Result<Expr, Wrong> {
        let mut left = self.all()?;
        while self.take(&["or", "|", "||"]) {
            left = Expr::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Expr, Wrong> {
        let mut left = self.one()?;
        while self.take(&["and", "&", "&&"])
            || self.peek().is_some_and(|next| !matches!(next, "or" | "|" | "||" | ")"))
        {
            left = Expr::And(Box::new(left), Box::new(self.one()?));
        }
        Ok(left)
    }

    fn one(&mut self) -> Result<Expr, Wrong> {
        if self.depth == DEEPEST {
            return Err(Wrong::TooDeep);
        }
        self.depth += 1;
        let expr = self.bare_one();
        self.depth -= 1;
        expr
    }

    fn bare_one(&mut self) -> Result<Expr, Wrong> {
        if self.take(&["not", "!"]) {
            return Ok(Expr::Not(Box::new(self.one()?)));
        }
        if self.take(&["("]) {
            let inner = self.any()?;
            return if self.take(&[")"]) { Ok(inner) } else { Err(Wrong::Syntax) };
        }
        let Some(word) = self.peek().map(str::to_owned) else { return Err(Wrong::Syntax) };
        self.at += 1;
        match word.as_str() {
            "sport" => self.port(End::Local),
            "dport" => self.port(End::Peer),
            "src" => self.address(End::Local),
            "dst" => self.address(End::Peer),
            "dev" | "fwmark" | "cgroup" | "autobound" => {
                Err(Wrong::Says(format!("ss: not modelled yet: {word}\n")))
            }
            ")" | "or" | "and" | "|" | "&" => Err(Wrong::Syntax),
            // The real one reads an address before it misses `src` or `dst`.
            _ => {
                self.at -= 1;
                self.address(End::Peer).and(Err(Wrong::Syntax))
            }
        }
    }

    fn comparison(&mut self) -> Option<Cmp> {
        let cmp = match self.peek()? {
            "=" | "==" | "eq" => Cmp::Eq,
            "!=" | "ne" | "neq" => Cmp::Ne,
            "<" | "lt" => Cmp::Lt,
            "<=" | "le" | "leq" => Cmp::Le,
            ">" | "gt" => Cmp::Gt,
            ">=" | "ge" | "geq" => Cmp::Ge,
            _ => return None,
        };
        self.at += 1;
        Some(cmp)
    }

    fn port(&mut self, end: End) -> Result<Expr, Wrong> {
        let cmp = self.comparison().unwrap_or(Cmp::Eq);
        let Some(text) = self.peek().map(str::to_owned) else { return Err(Wrong::Syntax) };
        self.at += 1;
        Ok(port(text.trim_start_matches(':'))?.map_or(Expr::True, |port| Expr::Port(end, cmp, port)))
    }

    fn address(&mut self, end: End) -> Result<Expr, Wrong> {
        if self.comparison().is_some_and(|cmp| cmp != Cmp::Eq) {
            return Err(Wrong::Syntax);
        }
        let Some(text) = self.peek().map(str::to_owned) else { return Err(Wrong::Syntax) };
        self.at += 1;
        let (host, own_port) = match text.rsplit_once(':') {
            Some((host, own_port)) => (host, port(own_port)?),
            None => (text.as_str(), None),
        };
        let (network, len) = match host.split_once('/') {
            Some((network, len)) => (network, len.parse::<u8>().ok().filter(|len| *len <= 32)),
            None if host.is_empty() || host == "*" => ("0.0.0.0", Some(0)),
            None => (host, Some(32)),
        };
        let found = inet_aton(network).zip(len);
        let Some((network, len)) = found else {
            return Err(Wrong::Says(format!(
                "Error: an inet prefix is expected rather than \"{host}\".\nCannot parse dst/src address.\n"
            )));
        };
        Ok(Expr::Address(end, network, len, own_port))
    }
}

/// A port by number or name; none for any.
fn port(text: &str) -> Result<Option<u16>, Wrong> {
    if text.is_empty() || text == "*" {
        return Ok(None);
    }
    if let Ok(number) = text.parse::<u32>() {
        return Ok(Some(number as u16));
    }
    let (tcp, udp) = ports_by_name(text);
    tcp.or(udp).map(Some).ok_or_else(|| {
        Wrong::Says(format!("Error: \"{text}\" does not look like a port.\nCannot parse dst/src address.\n"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::getopt::words;

    fn shows(filter: &str, local: u16, peer: u16) -> bool {
        let host = |n| Ipv4Addr::new(10, 0, 0, n);
        parse(&words(filter)).expect("a filter").matches(((host(1), local), (host(2), peer)))
    }

    #[test]
    fn filters_choose() {
        for (filter, shown) in [
            ("sport = :80", true),
            ("sport = 81", false),
            ("sport = :http", true),
            ("dport > :5000", false),
            ("dport >= :5000", true),
            ("( sport = :81 or sport = :80 ) and dst 10.0.0.2", true),
            ("(sport=:81 or dport=:80)", false),
            ("dst 10.0.0.0/24 and not src 10.0.0.1", false),
            ("dst 10.0.0.2:5000", true),
            ("! dport = :1", true),
            ("dst 10.0.0.2:*", true),
            ("src = 10.0.0.2:", false),
            ("sport = :*", true),
            ("", true),
        ] {
            let one_word = parse(&[filter.to_owned()]).expect("a filter");
            assert_eq!(one_word, parse(&words(filter)).expect("a filter"), "{filter}");
            assert_eq!(shows(filter, 80, 5000), shown, "{filter}");
        }
    }

    #[test]
    fn refusals_as_ss_words_them() {
        assert_eq!(parse(&words("sport")), Err(Wrong::Syntax));
        assert_eq!(parse(&words("( sport = :80")), Err(Wrong::Syntax));
        assert_eq!(parse(&words("10.0.0.2")), Err(Wrong::Syntax));
        assert_eq!(parse(&words("dst != 10.0.0.2")), Err(Wrong::Syntax));
        for sign in ["( ", "! "] {
            assert_eq!(parse(&words(&sign.repeat(20_000))), Err(Wrong::TooDeep));
        }
        let foo = "Error: an inet prefix is expected rather than \"foo\".\nCannot parse dst/src address.\n";
        assert_eq!(parse(&words("foo")), Err(Wrong::Says(foo.to_owned())));
        let port = "Error: \"nosuch\" does not look like a port.\nCannot parse dst/src address.\n";
        assert_eq!(parse(&words("sport = :nosuch")), Err(Wrong::Says(port.to_owned())));
    }
}
