//! `named.conf`: statements, and what they say.

use std::net::Ipv4Addr;

/// Why a configuration is refused: each line as it is logged.
pub type Refused = Vec<String>;

/// A statement: words, and a block if there is one.
#[derive(Debug)]
struct Statement {
    line: usize,
    words: Vec<Word>,
    block: Option<Vec<Statement>>,
}

#[derive(Clone, Debug)]
struct Word {
    text: String,
    quoted: bool,
}

/// The order of records of one name in answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// By chance.
    #[default]
    Random,
    /// As they are kept.
    None,
}

/// A zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ZoneConfig {
    /// Its name, without a dot at the end.
    pub name: String,
    /// Its file, as it is written.
    pub file: String,
    line: usize,
}

/// What a configuration says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// The directory of relative paths.
    pub directory: Option<String>,
    /// Where the process id is written.
    pub pid_file: Option<String>,
    /// Addresses to listen on; `None`: all.
    pub listen_on: Option<Vec<Ipv4Addr>>,
    /// Names of others are looked up.
    pub recursion: bool,
    /// Whom to ask for them.
    pub forwarders: Vec<Ipv4Addr>,
    /// The order of records.
    pub order: Order,
    /// The zones.
    pub zones: Vec<ZoneConfig>,
}

/// Statements and options of BIND that are not modelled.
const UNMODELLED: &str = "acl also-notify allow-new-zones allow-notify allow-query-cache allow-recursion allow-transfer \
    allow-update auth-nxdomain blackhole check-names dns64 dnssec-policy dnstap fetches-per-server http include key \
    key-directory logging managed-keys masterfile-format max-cache-size max-cache-ttl max-ncache-ttl minimal-responses notify \
    primaries masters prefetch query-source querylog rate-limit response-policy server statistics-channels \
    tcp-clients tls transfer-format trust-anchors update-policy version view zone-statistics";

/// A token: a word, or one of `{`, `}` and `;`, with its line.
#[derive(Debug, PartialEq, Eq)]
enum Token {
    Word(String, bool),
    Open,
    Close,
    End,
}

fn tokens(path: &str, text: &str) -> Result<Vec<(usize, Token)>, Refused> {
    let (mut all, mut line) = (Vec::new(), 1);
    let mut rest = text.chars().peekable();
    while let Some(&letter) = rest.peek() {
        let token = match letter {
            '{' => Token::Open,
            '}' => Token::Close,
            ';' => Token::End,
            '"' => {
                rest.next();
                let mut word = String::new();
                loop {
                    match rest.next() {
                        Some('"') => break,
                        Some(letter) => {
                            line += usize::from(letter == '\n');
                            word.push(letter);
                        }
                        None => {
                            return Err(vec![
                                format!("{path}:{line}: unexpected end of input "),
                                "loading configuration: unexpected end of input".to_owned(),
                            ]);
                        }
                    }
                }
                all.push((line, Token::Word(word, true)));
                continue;
            }
            letter if letter.is_whitespace() => {
                line += usize::from(letter == '\n');
                rest.next();
                continue;
            }
            '#' => {
                while rest.next_if(|letter| *letter != '\n').is_some() {}
                continue;
            }
            _ => {
                let mut word = String::new();
                while let Some(letter) = rest.next_if(|c| !c.is_whitespace() && !"{};\"#".contains(*c)) {
                    word.push(letter);
                }
                if word.starts_with("//") {
                    while rest.next_if(|letter| *letter != '\n').is_some() {}
                } else if word.starts_with("/*") {
                    line += skip_comment(&mut rest, &word);
                } else {
                    all.push((line, Token::Word(word, false)));
                }
                continue;
            }
        };
        rest.next();
        all.push((line, token));
    }
    Ok(all)
}

/// Skips a comment that began with `word`; how many lines it has.
fn skip_comment(rest: &mut std::iter::Peekable<std::str::Chars>, word: &str) -> usize {
    let (mut lines, mut last) = (0, ' ');
    if word.len() > 3 && word.ends_with("*/") {
        return 0;
    }
    for letter in rest.by_ref() {
        lines += usize::from(letter == '\n');
        if (last, letter) == ('*', '/') {
            break;
        }
        last = letter;
    }
    lines
}

fn unexpected(path: &str, line: usize, what: &str) -> Refused {
    vec![format!("{path}:{line}: {what}"), "loading configuration: unexpected token".to_owned()]
}

fn failure(path: &str, line: usize, what: &str) -> Refused {
    vec![format!("{path}:{line}: {what}"), "loading configuration: failure".to_owned()]
}

/// How deep blocks may stand in each other.
const DEPTH: usize = 8;

fn statements(
    path: &str,
    tokens: &mut std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    depth: usize,
    last: &mut usize,
) -> Result<Vec<Statement>, Refused> {
    let mut all = Vec::new();
    loop {
        let (mut words, mut block, mut begin) = (Vec::new(), None, None);
        loop {
            let Some((line, token)) = tokens.next() else {
                if depth == 0 && begin.is_none() {
                    return Ok(all);
                }
                return Err(unexpected(path, *last + 1, "'}' expected near end of file"));
            };
            *last = line;
            match token {
                Token::Close if begin.is_none() && depth > 0 => return Ok(all),
                Token::Close if begin.is_none() => {
                    return Err(unexpected(path, line, "unexpected token near '}'"));
                }
                Token::Close => return Err(failure(path, line, "missing ';' before '}'")),
                Token::End => break,
                Token::Word(text, quoted) => words.push(Word { text, quoted }),
                Token::Open if depth >= DEPTH => {
                    return Err(unexpected(path, line, "unexpected token near '{'"));
                }
                Token::Open => block = Some(statements(path, tokens, depth + 1, last)?),
            }
            begin.get_or_insert(line);
        }
        if let Some(line) = begin {
            all.push(Statement { line, words, block });
        }
    }
}

impl Config {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    ///
    /// What is logged of it.
    pub fn parse(path: &str, text: &str) -> Result<Config, Refused> {
        let mut tokens = tokens(path, text)?.into_iter().peekable();
        let mut config = Config { recursion: true, ..Config::default() };
        for statement in statements(path, &mut tokens, 0, &mut 1)? {
            config.statement(path, &statement)?;
        }
        let zones = &config.zones;
        for (at, zone) in zones.iter().enumerate() {
            if let Some(before) = zones[..at].iter().find(|before| before.name == zone.name) {
                let (name, line) = (&zone.name, before.line);
                let what = format!("zone '{name}': already exists previous definition: {path}:{line}");
                return Err(failure(path, zone.line, &what));
            }
        }
        Ok(config)
    }

    fn statement(&mut self, path: &str, statement: &Statement) -> Result<(), Refused> {
        let name = statement.words.first().map_or("", |word| word.text.as_str());
        match (name, &statement.block) {
            ("options", Some(block)) => {
                let mut seen: Vec<&str> = Vec::new();
                for option in block {
                    let name = option.words.first().map_or("", |word| word.text.as_str());
                    if seen.contains(&name) {
                        let what = format!("'{name}' redefined near '{name}'");
                        return Err(vec![
                            format!("{path}:{}: {what}", option.line),
                            "loading configuration: already exists".to_owned(),
                        ]);
                    }
                    seen.push(name);
                    self.option(path, option)?;
                }
                Ok(())
            }
            ("zone", Some(block)) => self.zone(path, statement, block),
            ("controls", Some(block)) if block.is_empty() => Ok(()),
            ("controls", _) => Err(failure(path, statement.line, "not modelled yet: controls")),
            ("options" | "zone", None) => Err(unexpected(path, statement.line, "'{' expected near ';'")),
            (name, _) => Err(unknown(path, statement.line, name)),
        }
    }

    fn option(&mut self, path: &str, option: &Statement) -> Result<(), Refused> {
        let (line, words) = (option.line, &option.words);
        let name = words.first().map_or("", |word| word.text.as_str());
        let value = words.get(1).map_or("", |word| word.text.as_str());
        let unmodelled = |what: &str| Err(failure(path, line, &format!("not modelled yet: {what}")));
        let list = || option.block.iter().flatten().map(|entry| entry.words[0].text.as_str());
        let addresses = || -> Result<Vec<Ipv4Addr>, Refused> {
            let read = |text: &str| {
                let expected = || unexpected(path, line, &format!("expected IP address near '{text}'"));
                text.parse::<Ipv4Addr>().map_err(|_| expected())
            };
            list().map(read).collect()
        };
        match name {
            "directory" => self.directory = Some(value.to_owned()),
            "pid-file" => {
                let is_none = value == "none" && !words[1].quoted;
                self.pid_file = (!is_none).then(|| value.to_owned());
            }
            "session-keyfile" | "lock-file" if value == "none" => {}
            "session-keyfile" | "lock-file" => return unmodelled(&format!("{name} with a path")),
            "listen-on" if words.len() > 1 => return unmodelled("listen-on with a port"),
            "listen-on" => {
                let all = list().any(|entry| entry == "any");
                self.listen_on = if all { None } else { Some(addresses()?) };
            }
            "listen-on-v6" if list().eq(["none"]) => {}
            "listen-on-v6" => return unmodelled("IPv6"),
            "allow-query" if list().eq(["any"]) => {}
            "allow-query" => return unmodelled("allow-query that is not { any; }"),
            "recursion" => self.recursion = boolean(path, line, value)?,
            "forwarders" => self.forwarders = addresses()?,
            "forward" if value == "only" => {}
            "forward" => return unmodelled("forward first: only forwarders are asked"),
            "dnssec-validation" if matches!(value, "auto" | "yes") => return unmodelled("DNSSEC"),
            "dnssec-validation" => _ = boolean(path, line, value)?,
            "empty-zones-enable" if boolean(path, line, value)? => {
                return unmodelled("automatic empty zones");
            }
            "empty-zones-enable" => {}
            "rrset-order" => {
                let entries: Vec<&Statement> = option.block.iter().flatten().collect();
                let order: Vec<&str> = entries
                    .iter()
                    .flat_map(|entry| entry.words.iter().map(|word| word.text.as_str()))
                    .collect();
                self.order = match order.as_slice() {
                    ["order", "random"] => Order::Random,
                    ["order", "none"] => Order::None,
                    _ => return unmodelled("rrset-order that is not { order random; } or { order none; }"),
                };
            }
            name => return Err(unknown(path, line, name)),
        }
        Ok(())
    }

    fn zone(&mut self, path: &str, statement: &Statement, block: &[Statement]) -> Result<(), Refused> {
        let name = statement.words.get(1).map_or("", |word| word.text.as_str());
        let (mut file, mut kind) = (None, None);
        for entry in block {
            let word = |at: usize| entry.words.get(at).map_or("", |word| word.text.as_str());
            let unmodelled =
                |what: &str| Err(failure(path, entry.line, &format!("not modelled yet: {what}")));
            match (word(0), word(1)) {
                ("type", known @ ("primary" | "master")) => kind = Some(known.to_owned()),
                (
                    "type",
                    other @ ("secondary" | "slave" | "forward" | "hint" | "mirror" | "redirect" | "stub"
                    | "static-stub" | "delegation-only"),
                ) => return unmodelled(&format!("zones of type {other}")),
                ("type", other) => {
                    return Err(unexpected(path, entry.line, &format!("'{other}' unexpected")));
                }
                ("file", path) => file = Some(path.to_owned()),
                ("allow-query", _) => return unmodelled("allow-query of a zone"),
                (name, _) => return Err(unknown(path, entry.line, name)),
            }
        }
        let line = statement.line;
        if kind.is_none() {
            return Err(failure(path, line, &format!("zone '{name}': type not present")));
        }
        let Some(file) = file else {
            return Err(failure(path, line, &format!("zone '{name}': missing 'file' entry")));
        };
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        self.zones.push(ZoneConfig { name, file, line });
        Ok(())
    }
}

fn unknown(path: &str, line: usize, name: &str) -> Refused {
    match UNMODELLED.split_whitespace().any(|known| known == name) {
        true => failure(path, line, &format!("not modelled yet: {name}")),
        false => failure(path, line, &format!("unknown option '{name}'")),
    }
}

fn boolean(path: &str, line: usize, text: &str) -> Result<bool, Refused> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" | "1" => Ok(true),
        "no" | "false" | "0" => Ok(false),
        _ => Err(unexpected(path, line, &format!("boolean expected near '{text}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration() {
        let text = "// ours\noptions {\n  directory \"/run/x\"; pid-file none; /* not\n here */\n  recursion yes;\n\
                    forwarders { 10.0.0.1; 10.0.0.2; };\n forward only; listen-on { any; };\n};\ncontrols { };\n\
                    zone \"cluster.local\" { type primary; file \"c\"; }; # end\n";
        let config = Config::parse("named.conf", text).unwrap();
        assert_eq!(config.directory.as_deref(), Some("/run/x"));
        assert_eq!(config.forwarders.len(), 2);
        assert_eq!((config.zones[0].name.as_str(), config.zones[0].file.as_str()), ("cluster.local", "c"));
    }

    /// Recorded from BIND 9.18.
    #[test]
    fn what_is_wrong_is_named_as_bind_does() {
        for (text, first, second) in [
            ("options { directory \"/tmp\" };\n", "c:1: missing ';' before '}'", "failure"),
            ("options { foo bar; };\n", "c:1: unknown option 'foo'", "failure"),
            ("option { };\n", "c:1: unknown option 'option'", "failure"),
            (
                "options { forwarders { 10.1.1; }; };\n",
                "c:1: expected IP address near '10.1.1'",
                "unexpected token",
            ),
            ("options { recursion maybe; };\n", "c:1: boolean expected near 'maybe'", "unexpected token"),
            ("options { recursion yes; \n", "c:2: '}' expected near end of file", "unexpected token"),
            ("options { directory \"/tmp; };\n", "c:2: unexpected end of input ", "unexpected end of input"),
            (
                "options { recursion yes; recursion no; };",
                "c:1: 'recursion' redefined near 'recursion'",
                "already exists",
            ),
            ("\nzone \"x\" { type primary; };\n", "c:2: zone 'x': missing 'file' entry", "failure"),
            ("zone \"x\" { type foo; file \"y\"; };\n", "c:1: 'foo' unexpected", "unexpected token"),
            ("logging { };\n", "c:1: not modelled yet: logging", "failure"),
        ] {
            let second = format!("loading configuration: {second}");
            assert_eq!(Config::parse("c", text), Err(vec![first.to_owned(), second]), "{text}");
        }
    }
}
