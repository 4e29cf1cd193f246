//! The grammar: boolean terms, relations of numbers, and primitives with inherited qualifiers.

use super::eval::{Base, Number, Operator, Relation, Test};
use super::generate::{ETHERTYPE_IP, ETHERTYPE_IPV6, Layout, and, or};
use super::lex::{Token, tokens};
use super::primitive::Qualifiers;
use super::{Environment, Tag};

/// libpcap's syntax error.
pub const SYNTAX_ERROR: &str = "can't parse filter expression: syntax error";

/// The state of a parse.
pub struct Parser<'a> {
    tokens: Vec<Token>,
    at: usize,
    /// Environment.
    pub environment: &'a Environment<'a>,
    /// Layout for the rest of the expression: `vlan` changes it.
    pub layout: Layout,
    /// Where the tag is that the next `vlan` asks for.
    pub tag: Tag,
    /// The qualifiers that a bare name inherits.
    pub last: Option<Qualifiers>,
    /// Nesting depth.
    depth: usize,
}

/// Maximum nesting depth; deeper expressions are a syntax error.
const DEEPEST: usize = 200;

/// Parses a whole expression.
pub fn parse(text: &str, environment: &Environment, tag: Tag) -> Result<Test, String> {
    let tokens = tokens(text).ok_or(SYNTAX_ERROR)?;
    let layout = Layout::new(environment.link);
    let mut parser = Parser { tokens, at: 0, environment, layout, tag, last: None, depth: 0 };
    let test = parser.expression()?;
    if parser.at < parser.tokens.len() {
        return Err(SYNTAX_ERROR.to_owned());
    }
    Ok(test)
}

/// A number, and the condition under which it can be loaded.
type Guarded = (Number, Option<Test>);

impl Parser<'_> {
    /// The next token.
    pub fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token.
    pub fn take(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at += 1;
        token
    }

    /// Takes the next token if it is this sign.
    pub fn sign(&mut self, sign: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Sign(next)) if *next == sign);
        self.at += usize::from(found);
        found
    }

    /// Takes the next token if it is this keyword.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some(Token::Word(next)) if next == word);
        self.at += usize::from(found);
        found
    }

    /// Position, for [`Parser::reset`].
    pub fn mark(&self) -> usize {
        self.at
    }

    /// Goes back.
    pub fn reset(&mut self, mark: usize) {
        self.at = mark;
    }

    fn expression(&mut self) -> Result<Test, String> {
        let mut left = self.term()?;
        loop {
            // Both connectives have the same precedence and are left-associative.
            if self.keyword("and") || self.sign("&&") {
                left = and(left, self.term()?);
            } else if self.keyword("or") || self.sign("||") {
                left = or(left, self.term()?);
            } else {
                return Ok(left);
            }
        }
    }

    fn term(&mut self) -> Result<Test, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SYNTAX_ERROR.to_owned());
        }
        let test = self.bare_term();
        self.depth -= 1;
        test
    }

    fn bare_term(&mut self) -> Result<Test, String> {
        if self.keyword("not") || self.sign("!") {
            return Ok(Test::Not(Box::new(self.term()?)));
        }
        if let Some(test) = self.relation()? {
            return Ok(test);
        }
        if self.sign("(") {
            let test = self.expression()?;
            if !self.sign(")") {
                return Err(SYNTAX_ERROR.to_owned());
            }
            return Ok(test);
        }
        self.primitive()
    }

    /// `arithmetic relation arithmetic`; `None` if the input is something else.
    fn relation(&mut self) -> Result<Option<Test>, String> {
        let (mark, layout) = (self.mark(), self.layout);
        if let Some((left, before)) = self.arithmetic(0)?
            && let Some(relation) = self.relation_sign()
        {
            let Some((right, also)) = self.arithmetic(0)? else { return Err(SYNTAX_ERROR.to_owned()) };
            let compare = Test::Compare(left, relation, right);
            let guards = [before, also].into_iter().flatten();
            return Ok(Some(guards.rev().fold(compare, |test, guard| and(guard, test))));
        }
        self.reset(mark);
        self.layout = layout;
        Ok(None)
    }

    fn relation_sign(&mut self) -> Option<Relation> {
        let signs = [
            ("=", Relation::Equal),
            ("==", Relation::Equal),
            ("!=", Relation::Unequal),
            (">=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            (">", Relation::Greater),
            ("<", Relation::Less),
        ];
        signs.into_iter().find(|(sign, _)| self.sign(sign)).map(|(_, relation)| relation)
    }

    /// Arithmetic with operators of at least this precedence.
    fn arithmetic(&mut self, level: usize) -> Result<Option<Guarded>, String> {
        const LEVELS: [&[(&str, Operator)]; 4] = [
            &[("|", Operator::Or), ("&", Operator::And), ("^", Operator::Xor)],
            &[("<<", Operator::Left), (">>", Operator::Right)],
            &[("+", Operator::Add), ("-", Operator::Subtract)],
            &[("*", Operator::Multiply), ("/", Operator::Divide), ("%", Operator::Modulo)],
        ];
        let Some(operators) = LEVELS.get(level) else { return self.factor() };
        let Some((mut left, mut guard)) = self.arithmetic(level + 1)? else { return Ok(None) };
        while let Some((_, operator)) = operators.iter().find(|(sign, _)| self.sign(sign)) {
            let Some((right, more)) = self.arithmetic(level + 1)? else { return Ok(None) };
            if matches!(operator, Operator::Divide | Operator::Modulo) && right == Number::Constant(0) {
                let what = if *operator == Operator::Divide { "division" } else { "modulus" };
                return Err(format!("{what} by zero"));
            }
            left = Number::Binary(*operator, Box::new(left), Box::new(right));
            guard = match (guard, more) {
                (Some(a), Some(b)) => Some(and(a, b)),
                (a, b) => a.or(b),
            };
        }
        Ok(Some((left, guard)))
    }

    fn factor(&mut self) -> Result<Option<Guarded>, String> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(SYNTAX_ERROR.to_owned());
        }
        let number = self.bare_factor();
        self.depth -= 1;
        number
    }

    fn bare_factor(&mut self) -> Result<Option<Guarded>, String> {
        if self.sign("-") {
            let negate =
                |number| Number::Binary(Operator::Subtract, Box::new(Number::Constant(0)), Box::new(number));
            return Ok(self.factor()?.map(|(number, guard)| (negate(number), guard)));
        }
        if self.sign("(") {
            let inner = self.arithmetic(0)?;
            return Ok(inner.filter(|_| self.sign(")")));
        }
        match self.take() {
            Some(Token::Number(value)) => Ok(Some((Number::Constant(value), None))),
            Some(Token::Word(word)) if word == "len" => Ok(Some((Number::Length, None))),
            Some(Token::Word(word)) => match constant(&word) {
                Some(value) => Ok(Some((Number::Constant(value), None))),
                None => self.bytes(&word),
            },
            _ => Ok(None),
        }
    }

    /// `protocol[offset:size]`.
    fn bytes(&mut self, protocol: &str) -> Result<Option<Guarded>, String> {
        let Some((base, guard)) = accessor(protocol, self.layout) else { return Ok(None) };
        if !self.sign("[") {
            return Ok(None);
        }
        let Some((offset, more)) = self.arithmetic(0)? else { return Err(SYNTAX_ERROR.to_owned()) };
        let size = match self.sign(":") {
            false => 1,
            true => match self.take() {
                Some(Token::Number(size @ (1 | 2 | 4))) => size,
                Some(Token::Number(_)) => return Err("data size must be 1, 2, or 4".to_owned()),
                _ => return Err(SYNTAX_ERROR.to_owned()),
            },
        };
        if !self.sign("]") {
            return Err(SYNTAX_ERROR.to_owned());
        }
        let guard = match (more, guard) {
            (Some(a), Some(b)) => Some(and(a, b)),
            (a, b) => a.or(b),
        };
        Ok(Some((Number::Load(base, Box::new(offset), size), guard)))
    }
}

/// Base of `protocol[0]`, and its condition.
fn accessor(protocol: &str, layout: Layout) -> Option<(Base, Option<Test>)> {
    use super::generate as g;
    let network = Base::Frame(layout.network);
    let transport = |number: u32| {
        let guard = and(layout.ipv4_protocol(number), layout.first_fragment());
        Some((Base::Transport(layout.network), Some(guard)))
    };
    match protocol {
        "ether" | "link" => Some((Base::Frame(0), None)),
        "ip" => Some((network, Some(layout.carries(ETHERTYPE_IP)))),
        "ip6" => Some((network, Some(layout.carries(ETHERTYPE_IPV6)))),
        "arp" => Some((network, Some(layout.carries(g::ETHERTYPE_ARP)))),
        "rarp" => Some((network, Some(layout.carries(g::ETHERTYPE_RARP)))),
        "icmp" => transport(1),
        "igmp" => transport(2),
        "tcp" => transport(g::TCP),
        "udp" => transport(g::UDP),
        "sctp" => transport(g::SCTP),
        "icmp6" => Some((Base::Frame(layout.network + 40), Some(layout.ipv6_protocol(58)))),
        _ => None,
    }
}

/// Named offsets and values of pcap-filter(7).
fn constant(name: &str) -> Option<u32> {
    Some(match name {
        "icmptype" | "icmp6type" => 0,
        "icmpcode" | "icmp6code" => 1,
        "tcpflags" => 13,
        "icmp-echoreply" => 0,
        "icmp-unreach" => 3,
        "icmp-sourcequench" => 4,
        "icmp-redirect" => 5,
        "icmp-echo" => 8,
        "icmp-routeradvert" => 9,
        "icmp-routersolicit" => 10,
        "icmp-timxceed" => 11,
        "icmp-paramprob" => 12,
        "icmp-tstamp" => 13,
        "icmp-tstampreply" => 14,
        "icmp-ireq" => 15,
        "icmp-ireqreply" => 16,
        "icmp-maskreq" => 17,
        "icmp-maskreply" => 18,
        "icmp6-destinationrunreach" => 1,
        "icmp6-packettoobig" => 2,
        "icmp6-timeexceeded" => 3,
        "icmp6-parameterproblem" => 4,
        "icmp6-echo" => 128,
        "icmp6-echoreply" => 129,
        "icmp6-routersolicit" => 133,
        "icmp6-routeradvert" => 134,
        "icmp6-neighborsolicit" => 135,
        "icmp6-neighboradvert" => 136,
        "icmp6-redirect" => 137,
        "tcp-fin" => 0x01,
        "tcp-syn" => 0x02,
        "tcp-rst" => 0x04,
        "tcp-push" => 0x08,
        "tcp-ack" => 0x10,
        "tcp-urg" => 0x20,
        "tcp-ece" => 0x40,
        "tcp-cwr" => 0x80,
        _ => return None,
    })
}
