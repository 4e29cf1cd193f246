//! `dig`'s command line.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use simple_dns::{PacketFlag, QTYPE, TYPE};

use super::lookup::{Asking, illegal};
use super::text::{TypeWord, kind};
use crate::resolver::arpa;
use crate::stop::{Done, Stop};

const USAGE: &str = "Usage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}
            {global-d-opt} host [@local-server] {local-d-opt}
            [ host [@local-server] {local-d-opt} [...]]

Use \"dig -h\" (or \"dig -h | more\") for complete list of options
";

/// Options that exist and are not modelled.
const UNMODELLED: &str = "aaflag aaonly adflag badcookie besteffort cdflag class crypto defname dns64prefix dnssec domain \
    dscp ednsflags ednsnegotiation ednsopt expandaaaa expire fail fuzztime header-only https https-get https-plain http-plain \
    identify idnin idnout keepalive keepopen mapped multiline ndots nsid nssearch onesoa opcode padding qid qr raflag \
    rdflag rrcomments sigchase split subnet tcflag tls topdown trace trusted-key ttlid ttlunits unknownformat yaml zflag";

/// What is printed of an answer.
#[derive(Clone, Debug)]
pub struct Show {
    pub short: bool,
    pub comments: bool,
    pub question: bool,
    pub answer: bool,
    pub authority: bool,
    pub additional: bool,
    pub stats: bool,
}

/// A question.
#[derive(Clone, Debug)]
pub struct Query {
    pub name: String,
    pub kind: QTYPE,
    /// The search list is used.
    pub search: bool,
    pub show: Show,
    pub asking: Asking,
    /// A server by a name that has to be looked up.
    pub server: Option<String>,
}

/// The command line.
pub struct Given {
    pub queries: Vec<Query>,
    /// The command is told.
    pub command: bool,
    /// Errors that do not stop it.
    pub warnings: String,
}

struct Reader {
    default: Query,
    queries: Vec<Query>,
    command: bool,
    warnings: String,
    /// A type was given before the first name.
    typed: bool,
}

/// Reads it.
pub fn parse(args: &[String], asking: Asking) -> Done<Given> {
    let show = Show {
        short: false,
        comments: true,
        question: true,
        answer: true,
        authority: true,
        additional: true,
        stats: true,
    };
    let mut asking = Asking { edns: Some(1232), cookie: true, ..asking };
    asking.flags |= PacketFlag::AUTHENTIC_DATA;
    let default =
        Query { name: ".".to_owned(), kind: QTYPE::TYPE(TYPE::A), search: false, show, asking, server: None };
    let mut reader =
        Reader { default, queries: Vec::new(), command: true, warnings: String::new(), typed: false };
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        if let Some(server) = arg.strip_prefix('@') {
            reader.server(server);
        } else if let Some(word) = arg.strip_prefix('+') {
            reader.plus(word)?;
        } else if let Some(word) = arg.strip_prefix('-').filter(|word| !word.is_empty()) {
            reader.dash(word, &mut rest)?;
        } else {
            reader.word(arg)?;
        }
    }
    if reader.queries.is_empty() {
        let mut root = reader.default.clone();
        if !reader.typed {
            root.kind = QTYPE::TYPE(TYPE::NS);
        }
        reader.queries.push(root);
    }
    Ok(Given { queries: reader.queries, command: reader.command, warnings: reader.warnings })
}

fn invalid(option: &str) -> Stop {
    Stop::error(1, format!("Invalid option: {option}\n{USAGE}"))
}

fn number(text: &str, what: &str, status: i32) -> Done<u64> {
    text.parse().map_err(|_| {
        let named = if what == "port number" { "port number" } else { what };
        Stop::error(
            status,
            format!("invalid {named} '{text}': not a valid number\ndig: Couldn't parse {what}\n"),
        )
    })
}

impl Reader {
    /// What options apply to: the last question, or those to come.
    fn now(&mut self) -> &mut Query {
        self.queries.last_mut().unwrap_or(&mut self.default)
    }

    fn server(&mut self, server: &str) {
        let query = self.now();
        match server.parse::<Ipv4Addr>() {
            Ok(address) => query.asking.servers = vec![(address, server.to_owned())],
            Err(_) => query.asking.servers.clear(),
        }
        query.server = Some(server.to_owned());
        if self.queries.len() == 1 && self.default.server.is_none() {
            let (servers, named) = (self.queries[0].asking.servers.clone(), self.queries[0].server.clone());
            (self.default.asking.servers, self.default.server) = (servers, named);
        }
    }

    fn word(&mut self, word: &str) -> Done {
        match kind(word) {
            TypeWord::Known(kind) => {
                self.set_kind(kind);
                Ok(())
            }
            TypeWord::Unmodelled => {
                Err(Stop::error(1, format!("dig: not modelled yet: type {}\n", word.to_uppercase())))
            }
            TypeWord::None if word.eq_ignore_ascii_case("in") => Ok(()),
            TypeWord::None => self.name(word.to_owned()),
        }
    }

    fn set_kind(&mut self, kind: QTYPE) {
        self.typed |= self.queries.is_empty();
        let query = self.now();
        query.kind = kind;
        query.asking.tcp |= kind == QTYPE::ANY;
    }

    fn name(&mut self, name: String) -> Done {
        if let Some(why) = illegal(&name) {
            return Err(Stop::error(10, format!("dig: '{name}' is not a legal name ({why})\n")));
        }
        self.queries.push(Query { name, ..self.default.clone() });
        Ok(())
    }

    fn dash(&mut self, word: &str, rest: &mut std::slice::Iter<String>) -> Done {
        let (letter, attached) = word.split_at(1);
        match letter {
            "4" => return Ok(()),
            "v" => return Err(Stop::error(0, format!("DiG {}\n", super::RELEASE))),
            "h" => return Err(Stop::error(1, "dig: not modelled yet: -h\n")),
            "6" | "b" | "f" | "k" | "m" | "r" | "u" | "y" => {
                return Err(Stop::error(1, format!("dig: not modelled yet: -{letter}\n")));
            }
            "c" | "p" | "q" | "t" | "x" => {}
            _ => return Err(invalid(&format!("-{word}"))),
        }
        let value = match attached {
            "" => rest.next().cloned(),
            attached => Some(attached.to_owned()),
        };
        let Some(value) = value else { return Err(invalid(&format!("-{letter}"))) };
        match letter {
            "p" => self.now().asking.port = number(&value, "port number", 1)? as u16,
            "q" => self.name(value)?,
            "x" => match value.parse::<Ipv4Addr>() {
                Ok(address) => {
                    self.name(arpa(address))?;
                    self.set_kind(QTYPE::TYPE(TYPE::PTR));
                }
                Err(_) => return Err(Stop::error(1, format!("Invalid IP address {value}\n"))),
            },
            "t" => match kind(&value) {
                TypeWord::None => self.warnings += &format!(";; Warning, ignoring invalid type {value}\n"),
                _ => self.word(&value)?,
            },
            _ if value.eq_ignore_ascii_case("in") => {}
            _ => return Err(Stop::error(1, format!("dig: not modelled yet: class {value}\n"))),
        }
        Ok(())
    }

    fn plus(&mut self, word: &str) -> Done {
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value)));
        let (bare, on) = match name.strip_prefix("no") {
            Some(bare) => (bare, false),
            None => (name, true),
        };
        let invalid = || invalid(&format!("+{word}"));
        if let Some(value) = value {
            let asking = &mut self.now().asking;
            match bare {
                "time" | "timeout" => {
                    asking.timeout = Nanos::from_secs(number(value, "timeout", 10)?.max(1));
                }
                "tries" => asking.tries = number(value, "tries", 10)?.max(1) as usize,
                "retry" | "retries" => asking.tries = number(value, "retry", 10)? as usize + 1,
                "bufsize" => asking.edns = Some(number(value, "buffer size", 10)? as u16),
                "edns" if value == "0" => asking.edns = asking.edns.or(Some(1232)),
                _ => return Err(Stop::error(1, format!("dig: not modelled yet: +{word}\n"))),
            }
            return Ok(());
        }
        if bare == "cmd" {
            self.command = on;
            return Ok(());
        }
        if bare == "all" {
            self.command = on;
        }
        let query = self.now();
        let (show, asking) = (&mut query.show, &mut query.asking);
        match bare {
            "all" => {
                (show.comments, show.question, show.answer) = (on, on, on);
                (show.authority, show.additional, show.stats) = (on, on, on);
            }
            "ad" | "adflag" => asking.flags.set(PacketFlag::AUTHENTIC_DATA, on),
            "cd" | "cdflag" => asking.flags.set(PacketFlag::CHECKING_DISABLED, on),
            "additional" => show.additional = on,
            "answer" => show.answer = on,
            "authority" => show.authority = on,
            "comments" => show.comments = on,
            "cookie" => asking.cookie = on,
            "edns" => asking.edns = on.then_some(1232),
            "ignore" => asking.ignores_truncation = on,
            "question" => show.question = on,
            "rec" | "recurse" | "rdflag" => asking.flags.set(PacketFlag::RECURSION_DESIRED, on),
            "search" => query.search = on,
            "short" => show.short = on,
            "stats" => show.stats = on,
            "tcp" | "vc" => asking.tcp = on,
            _ if UNMODELLED.split_whitespace().any(|known| known == bare) || bare == "showsearch" => {
                return Err(Stop::error(1, format!("dig: not modelled yet: +{word}\n")));
            }
            _ => return Err(invalid()),
        }
        Ok(())
    }
}
