//! Expressions and sets.

use std::net::Ipv4Addr;

use super::parser::{Parsed, Parser};
use super::{Refused, Symbol, Token};
use crate::bird::filter::{Change, Expr, Fixed, Operator, Part, Place, pair};
use crate::bird::route::{ATTRS, Attr};
use crate::bird::value::{Net, PathMask, PrefixPattern, Span, Value, constant};

/// Attributes of every route, each with a value of its type; false: it cannot be set.
const FIXED: &[(&str, Fixed, Value, bool)] = &[
    ("dest", Fixed::Dest, Value::Enum("rtd", 0), true),
    ("from", Fixed::From, Value::Ip(Ipv4Addr::UNSPECIFIED), true),
    ("gw", Fixed::Gw, Value::Ip(Ipv4Addr::UNSPECIFIED), true),
    ("ifindex", Fixed::Ifindex, Value::Int(0), false),
    ("ifname", Fixed::Ifname, Value::Text(String::new()), true),
    ("preference", Fixed::Preference, Value::Int(0), true),
    ("proto", Fixed::Proto, Value::Text(String::new()), false),
    ("scope", Fixed::Scope, Value::Enum("scope", 0), true),
    ("source", Fixed::Source, Value::Enum("rts", 0), false),
];

/// Operators with their precedence: the higher binds tighter.
const OPERATORS: &[(&str, Operator, u8, bool)] = &[
    ("||", Operator::Or, 1, false),
    ("&&", Operator::And, 1, false),
    ("=", Operator::Equal, 2, false),
    ("!=", Operator::Unequal, 2, false),
    ("<", Operator::Less, 2, false),
    ("<=", Operator::LessEqual, 2, false),
    // The other way round: the operands change places.
    (">", Operator::Less, 2, true),
    (">=", Operator::LessEqual, 2, true),
    ("~", Operator::In, 2, false),
    ("!~", Operator::NotIn, 2, false),
    ("+", Operator::Plus, 3, false),
    ("-", Operator::Minus, 3, false),
    ("*", Operator::Times, 4, false),
    ("/", Operator::Divide, 4, false),
];

impl Parser {
    /// The attribute that is next, with a value of its type, and whether it can be set.
    pub(super) fn place_ahead(&self) -> Option<(Place, Value, bool)> {
        let Token::Word(word) = self.peek() else { return None };
        if word == "net" {
            let net = Net::new(Ipv4Addr::UNSPECIFIED, 0);
            return Some((Place::Fixed(Fixed::Net), Value::Net(net), false));
        }
        if let Some((_, fixed, value, can_set)) = FIXED.iter().find(|(name, ..)| name == word) {
            return Some((Place::Fixed(*fixed), value.clone(), *can_set));
        }
        if let Some((_, attr, _, value)) = ATTRS.iter().find(|(name, ..)| name == word) {
            return Some((Place::Attr(*attr), value.clone(), true));
        }
        match self.config.symbols.get(word) {
            Some(Symbol::Attribute(number, value)) => {
                Some((Place::Attr(Attr::Custom(*number)), value.clone(), true))
            }
            _ => None,
        }
    }

    pub(super) fn place(&mut self) -> Option<Place> {
        let (place, ..) = self.place_ahead()?;
        self.take();
        Some(place)
    }

    /// An expression.
    ///
    /// # Errors
    ///
    /// What does not belong there.
    pub fn expr(&mut self) -> Parsed<Expr> {
        self.binary(1)
    }

    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.term()?;
        loop {
            let Token::Sign(sign) = self.peek() else { return Ok(left) };
            let found = OPERATORS.iter().find(|(known, _, level, _)| known == sign && *level >= least);
            let Some((_, operator, level, swapped)) = found else { return Ok(left) };
            self.take();
            let right = self.binary(level + 1)?;
            let (a, b) = if *swapped { (right, left) } else { (left, right) };
            left = Expr::Two(*operator, Box::new(a), Box::new(b));
        }
    }

    pub(super) fn term(&mut self) -> Parsed<Expr> {
        let mut expr = self.primary()?;
        while self.sign(".") {
            expr = self.change(expr)?;
        }
        Ok(expr)
    }

    /// What follows a dot.
    pub(super) fn change(&mut self, of: Expr) -> Parsed<Expr> {
        const PARTS: &[(&str, Part)] = &[
            ("len", Part::Len),
            ("ip", Part::Ip),
            ("type", Part::Type),
            ("first", Part::First),
            ("last", Part::Last),
            ("asn", Part::Asn),
            ("data", Part::Data),
        ];
        const CHANGES: &[(&str, Change)] = &[
            ("prepend", Change::Prepend),
            ("add", Change::Add),
            ("delete", Change::Delete),
            ("filter", Change::Filter),
        ];
        let Token::Word(word) = self.peek().clone() else { return self.unexpected("") };
        if let Some((_, part)) = PARTS.iter().find(|(name, _)| *name == word) {
            self.take();
            return Ok(Expr::Part(*part, Box::new(of)));
        }
        if word == "empty" {
            self.take();
            return Ok(Expr::Changed(Change::Empty, Box::new(of), None));
        }
        let Some((_, change)) = CHANGES.iter().find(|(name, _)| *name == word) else {
            return match word.as_str() {
                "mask" | "last_nonaggregated" | "data1" | "data2" | "maxlen" | "min" | "max" => {
                    self.not_modelled(&format!(".{word}"))
                }
                _ => self.unexpected(""),
            };
        };
        self.take();
        self.need_sign("(")?;
        let argument = self.expr()?;
        self.need_sign(")")?;
        Ok(Expr::Changed(*change, Box::new(of), Some(Box::new(argument))))
    }

    fn primary(&mut self) -> Parsed<Expr> {
        if self.sign("!") {
            return Ok(Expr::Not(Box::new(self.term()?)));
        }
        if self.sign("(") {
            return self.parenthesis();
        }
        if self.is_sign("[") || self.is_sign("[=") {
            return Ok(Expr::Const(self.set()?));
        }
        for (sign, value) in [("+", Value::Path(Vec::new())), ("-", Value::Communities(Vec::new()))] {
            if self.is_sign(sign) {
                return self.empty(sign, value);
            }
        }
        match self.peek().clone() {
            Token::Num(number) => {
                self.take();
                Ok(Expr::Const(Value::Int(number)))
            }
            Token::Text(text) => {
                self.take();
                Ok(Expr::Const(Value::Text(text)))
            }
            Token::Ip(address) => match self.peek_second() {
                Token::Sign("/") => Ok(Expr::Const(Value::Net(self.network()?))),
                _ => {
                    self.take();
                    Ok(Expr::Const(Value::Ip(address)))
                }
            },
            Token::Ip6(_) => self.not_modelled("IPv6"),
            Token::Word(word) => self.named(&word),
            _ => self.unexpected(""),
        }
    }

    /// `+empty+`, `-empty-`, `---empty---`.
    fn empty(&mut self, sign: &str, mut value: Value) -> Parsed<Expr> {
        let mut count = 0;
        while self.sign(sign) {
            count += 1;
        }
        if !self.word("empty") {
            return self.unexpected("");
        }
        for _ in 0..count {
            self.need_sign_quietly(sign)?;
        }
        match count {
            1 => {}
            3 => value = Value::LargeCommunities(Vec::new()),
            _ => return self.not_modelled("extended communities"),
        }
        Ok(Expr::Const(value))
    }

    fn parenthesis(&mut self) -> Parsed<Expr> {
        if let Token::Word(word) = self.peek()
            && ["rt", "ro", "ec", "generic", "unknown"].contains(&word.as_str())
        {
            return self.not_modelled("extended communities");
        }
        let first = self.expr()?;
        if !self.sign(",") {
            self.need_sign_quietly(")")?;
            return Ok(first);
        }
        let second = self.expr()?;
        if self.sign(",") {
            let third = self.expr()?;
            self.need_sign(")")?;
            let parts = [first, second, third].map(|part| match part {
                Expr::Const(Value::Int(number)) => Some(number),
                _ => None,
            });
            return match parts {
                [Some(a), Some(b), Some(c)] => Ok(Expr::Const(Value::LargeCommunity([a, b, c]))),
                _ => self.error("not modelled yet: a large community that is computed"),
            };
        }
        self.need_sign(")")?;
        if let (Expr::Const(a), Expr::Const(b)) = (&first, &second) {
            return match pair(a, b) {
                Ok(pair) => Ok(Expr::Const(pair)),
                Err(why) => self.error(format!("filter preevaluation, line 1: {why}")),
            };
        }
        Ok(Expr::Pair(Box::new(first), Box::new(second)))
    }

    /// What a word stands for in an expression.
    fn named(&mut self, word: &str) -> Parsed<Expr> {
        if let Some(slot) = self.variables.iter().rposition(|(name, _)| name == word) {
            self.take();
            return Ok(Expr::Variable(slot));
        }
        if let Some(place) = self.place() {
            return Ok(Expr::Read(place));
        }
        for (name, truth) in [("true", true), ("false", false)] {
            if self.word(name) {
                return Ok(Expr::Const(Value::Bool(truth)));
            }
        }
        if let Some(value) = constant(word) {
            self.take();
            return Ok(Expr::Const(value));
        }
        if self.word("defined") {
            self.need_sign("(")?;
            let Some(place) = self.place() else { return self.unexpected("") };
            self.need_sign(")")?;
            return Ok(Expr::Defined(place));
        }
        let change = [
            ("add", Change::Add),
            ("delete", Change::Delete),
            ("prepend", Change::Prepend),
            ("filter", Change::Filter),
        ];
        if let Some((_, change)) = change.iter().find(|(name, _)| *name == word) {
            self.take();
            self.need_sign("(")?;
            let list = self.expr()?;
            self.need_sign(",")?;
            let argument = self.expr()?;
            self.need_sign(")")?;
            return Ok(Expr::Changed(*change, Box::new(list), Some(Box::new(argument))));
        }
        if ["bgp_ext_community", "bgp_aggregator", "krt_realm", "krt_mtu", "krt_advmss", "roa_check"]
            .contains(&word)
        {
            return self.not_modelled(word);
        }
        let own = self.function.clone().filter(|(name, _)| name == word && !name.is_empty());
        match (self.symbol().cloned(), own) {
            (Some(Symbol::Constant(value)), _) => {
                self.take();
                Ok(Expr::Const(value))
            }
            (Some(Symbol::Function(function)), _) => {
                self.take();
                if !self.is_sign("(") {
                    return self.error_ahead(&format!("Can't get value of symbol {word}"));
                }
                let arguments = self.arguments(word, function.arguments)?;
                for (at, argument) in arguments.iter().enumerate() {
                    let wanted = function.variables[at].kind();
                    if let Some(found) = self.type_of(argument).filter(|found| found.kind() != wanted) {
                        let (at, found) = (at + 1, found.kind());
                        return self
                            .error(format!("Argument {at} of '{word}' must be {wanted}, got {found}"));
                    }
                }
                Ok(Expr::Call(function, arguments))
            }
            (None, Some((name, count))) => {
                self.take();
                let arguments = self.arguments(word, count)?;
                Ok(Expr::Recursion(name, arguments))
            }
            _ => self.unexpected(""),
        }
    }

    fn arguments(&mut self, name: &str, wanted: usize) -> Parsed<Vec<Expr>> {
        self.need_sign("(")?;
        let mut arguments = Vec::new();
        while !self.sign(")") {
            arguments.push(self.expr()?);
            if !self.is_sign(")") && !self.sign(",") {
                return self.unexpected("");
            }
        }
        if arguments.len() != wanted {
            let found = arguments.len();
            return self
                .error(format!("Function '{name}' expects {wanted} arguments, got {found} arguments"));
        }
        Ok(arguments)
    }

    /// `[ … ]` or `[= … =]`.
    fn set(&mut self) -> Parsed<Value> {
        if self.sign("[=") {
            let mut mask = Vec::new();
            while !self.sign("=]") {
                mask.push(match self.take() {
                    Token::Sign("*") => PathMask::Star,
                    Token::Sign("?") => PathMask::Any,
                    Token::Sign("+") => PathMask::Plus,
                    Token::Num(low) if self.sign("..") => PathMask::Range(low, self.number()?),
                    Token::Num(number) => PathMask::As(number),
                    _ => return self.error("not modelled yet: this part of a mask for paths"),
                });
            }
            return Ok(Value::Mask(mask));
        }
        self.take();
        if self.sign("]") {
            return Ok(Value::Set(Vec::new()));
        }
        let is_prefix = |parser: &Parser| {
            matches!((parser.peek(), parser.peek_second()), (Token::Ip(_), Token::Sign("/")))
                || matches!(parser.symbol(), Some(Symbol::Constant(Value::Net(_))))
        };
        let (mut patterns, mut spans) = (Vec::new(), Vec::new());
        loop {
            if !patterns.is_empty() && matches!(self.peek(), Token::Num(_)) {
                return self.unexpected("IP4 or IP6");
            }
            if is_prefix(self) {
                patterns.push(self.prefix_pattern()?)
            } else {
                spans.push(self.span()?)
            }
            if self.sign("]") {
                break;
            }
            if !self.sign(",") {
                return self.unexpected("");
            }
        }
        match (patterns.is_empty(), spans.is_empty()) {
            (true, _) => Ok(Value::Set(spans)),
            (_, true) => Ok(Value::Prefixes(patterns)),
            _ => self.error("Incompatible set items"),
        }
    }

    fn prefix_pattern(&mut self) -> Parsed<PrefixPattern> {
        let net = self.network()?;
        if self.sign("+") {
            return Ok(PrefixPattern { net, low: net.len, high: 32 });
        }
        if self.sign("-") {
            return Ok(PrefixPattern { net, low: 0, high: net.len });
        }
        if !self.sign("{") {
            return Ok(PrefixPattern { net, low: net.len, high: net.len });
        }
        let low = self.number()?;
        self.need_sign(",")?;
        let high = self.number()?;
        self.need_sign("}")?;
        if low > high || high > 32 {
            return self.error(format!("Invalid prefix pattern range: {{{low}, {high}}}"));
        }
        Ok(PrefixPattern { net, low: low as u8, high: high as u8 })
    }

    /// A member of a set, or from one to another.
    pub(super) fn span(&mut self) -> Parsed<Span> {
        if self.sign("(") {
            return self.tuple_span();
        }
        let low = self.member()?;
        let high = if self.sign("..") { self.member()? } else { low.clone() };
        Ok(Span { low, high })
    }

    fn member(&mut self) -> Parsed<Value> {
        match self.peek().clone() {
            Token::Num(_) => Ok(Value::Int(self.number()?)),
            Token::Ip(_) => Ok(Value::Ip(self.address()?)),
            Token::Text(text) => {
                self.take();
                Ok(Value::Text(text))
            }
            Token::Word(word) => match (constant(&word), self.symbol()) {
                (Some(value), _) => {
                    self.take();
                    Ok(value)
                }
                (_, Some(Symbol::Constant(value))) => {
                    let value = value.clone();
                    self.take();
                    Ok(value)
                }
                _ => self.unexpected(""),
            },
            _ => self.unexpected(""),
        }
    }

    /// `(1,*)`, `(1,5..9)`, `(1,2,3)` in a set.
    fn tuple_span(&mut self) -> Parsed<Span> {
        let mut parts: Vec<(u32, Option<u32>)> = Vec::new();
        loop {
            let part = if self.sign("*") {
                (0, None)
            } else {
                let low = self.number()?;
                (low, Some(if self.sign("..") { self.number()? } else { low }))
            };
            parts.push(part);
            if self.sign(")") {
                break;
            }
            if !self.sign(",") {
                return self.unexpected("");
            }
        }
        let out_of_bounds = || -> Result<Span, Refused> {
            self.error("Can't operate with value out of bounds in pair constructor")
        };
        match parts.as_slice() {
            [a, b] => {
                let high = |part: &(u32, Option<u32>)| part.1.unwrap_or(0xffff);
                if [a, b].iter().any(|part| part.0 > 0xffff || high(part) > 0xffff) {
                    return out_of_bounds();
                }
                let low = Value::Pair(a.0 << 16 | b.0);
                Ok(Span { low, high: Value::Pair(high(a) << 16 | high(b)) })
            }
            [a, b, c] => {
                let high = |part: &(u32, Option<u32>)| part.1.unwrap_or(u32::MAX);
                let low = Value::LargeCommunity([a.0, b.0, c.0]);
                Ok(Span { low, high: Value::LargeCommunity([high(a), high(b), high(c)]) })
            }
            _ => self.error("Incompatible set items"),
        }
    }

    /// A value of the type of an expression, if that is known here.
    pub(super) fn type_of(&self, expr: &Expr) -> Option<Value> {
        match expr {
            Expr::Const(value) => Some(value.clone()),
            Expr::Variable(slot) => self.variables.get(*slot).map(|(_, value)| value.clone()),
            Expr::Read(Place::Attr(Attr::Custom(number))) => {
                self.config.custom.get(usize::from(*number)).map(|(_, value)| value.clone())
            }
            Expr::Read(Place::Attr(attr)) => {
                ATTRS.iter().find(|(_, known, ..)| known == attr).map(|(.., value)| value.clone())
            }
            Expr::Read(Place::Fixed(fixed)) => {
                FIXED.iter().find(|(_, known, ..)| known == fixed).map(|(_, _, value, _)| value.clone())
            }
            Expr::Not(_) | Expr::Defined(_) => Some(Value::Bool(false)),
            Expr::Two(Operator::Plus | Operator::Minus | Operator::Times | Operator::Divide, ..) => {
                Some(Value::Int(0))
            }
            Expr::Two(..) => Some(Value::Bool(false)),
            Expr::Pair(..) => Some(Value::Pair(0)),
            Expr::Call(function, _) => function.result.clone(),
            Expr::Changed(_, list, _) => self.type_of(list),
            Expr::Part(..) | Expr::Recursion(..) => None,
        }
    }
}
