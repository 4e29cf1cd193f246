//! Filters and functions: what they do to a route.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::route::{ATTRS, Attr, Dest, Hop, Link, Rte};
use super::value::{Net, Segment, Span, Value, members, path_len};

/// Attributes that every route has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fixed {
    Net,
    Proto,
    Source,
    Scope,
    Dest,
    From,
    Gw,
    Ifname,
    Ifindex,
    Preference,
}

/// What is read from a route or written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Fixed(Fixed),
    Attr(Attr),
}

/// An operator of two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Or,
    And,
    Equal,
    Unequal,
    Less,
    LessEqual,
    In,
    NotIn,
    Plus,
    Minus,
    Times,
    Divide,
}

/// A part of a value, or what is made of it (`.len`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Len,
    Ip,
    Type,
    First,
    Last,
    Asn,
    Data,
}

/// How a list is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Prepend,
    Add,
    Delete,
    Filter,
    Empty,
}

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Const(Value),
    Variable(usize),
    Read(Place),
    Not(Box<Expr>),
    Defined(Place),
    Two(Operator, Box<Expr>, Box<Expr>),
    Part(Part, Box<Expr>),
    Changed(Change, Box<Expr>, Option<Box<Expr>>),
    Pair(Box<Expr>, Box<Expr>),
    Call(Arc<Function>, Vec<Expr>),
    /// The function itself, while it is read.
    Recursion(String, Vec<Expr>),
}

/// A statement.
#[derive(Clone, Debug, PartialEq)]
pub enum Statement {
    If(Expr, Vec<Statement>, Vec<Statement>),
    Case(Expr, Vec<(Vec<Span>, Vec<Statement>)>, Vec<Statement>),
    Set(Place, Expr),
    SetVariable(usize, Expr),
    Unset(Attr),
    Print(Vec<Expr>, bool),
    Accept,
    Reject,
    Return(Expr),
    Value(Expr),
}

/// A function, or a filter, which has no name if it stands where it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Function {
    pub name: String,
    /// How many of the variables are arguments.
    pub arguments: usize,
    /// The variables, each with a value of its type.
    pub variables: Vec<Value>,
    pub body: Vec<Statement>,
    /// The value of the function, as far as its type is known.
    pub result: Option<Value>,
}

/// Which routes pass.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    Accept,
    Reject,
    Function(Arc<Function>),
}

impl Filter {
    /// What `show protocols all` calls it.
    pub fn name(&self) -> &str {
        match self {
            Filter::Accept => "ACCEPT",
            Filter::Reject => "REJECT",
            Filter::Function(function) if function.name.is_empty() => "(unnamed)",
            Filter::Function(function) => &function.name,
        }
    }

    /// Does to the route what the filter says; false: it is rejected. What is printed goes to `log`.
    pub fn passes(&self, rte: &mut Rte, log: &mut Vec<String>) -> bool {
        let function = match self {
            Filter::Accept => return true,
            Filter::Reject => return false,
            Filter::Function(function) => function,
        };
        let mut run = Run { rte, line: String::new(), log, depth: 0 };
        let ended = run.body(&function.body, &mut function.variables.clone(), function);
        if !run.line.is_empty() {
            let line = std::mem::take(&mut run.line);
            run.log.push(format!("<INFO> {line}"));
        }
        match ended {
            Ok(End::Accept) => true,
            Ok(End::Reject) => false,
            Ok(End::On | End::Return(_)) => {
                let name = if function.name.is_empty() { "(unnamed)" } else { &function.name };
                log.push(format!("<ERR> Filter {name} did not return accept nor reject. Make up your mind"));
                false
            }
            Err(why) => {
                log.push(format!("<ERR> filters: {why}"));
                false
            }
        }
    }
}

/// The value of an expression without a route (`eval`, `define`).
///
/// # Errors
///
/// What it cannot compute.
pub fn constant(expr: &Expr) -> Result<Value, String> {
    let name: Arc<str> = Arc::from("");
    let mut rte = Rte::new(
        Net::host(Ipv4Addr::UNSPECIFIED),
        (0, name),
        super::route::Source::Static,
        Dest::Unreachable,
    );
    let mut log = Vec::new();
    let mut run = Run { rte: &mut rte, line: String::new(), log: &mut log, depth: 0 };
    let function =
        Function { name: String::new(), arguments: 0, variables: Vec::new(), body: Vec::new(), result: None };
    run.expr(expr, &mut Vec::new(), &function).map_err(|end| match end {
        Stop::Error(why) => why,
        Stop::End(_) => "Cannot use accept or reject here".to_owned(),
    })
}

/// How a list of statements ended.
enum End {
    On,
    Accept,
    Reject,
    Return(Value),
}

/// Why an expression has no value: an error, or a function within ended the filter.
enum Stop {
    Error(String),
    End(End),
}

impl From<String> for Stop {
    fn from(why: String) -> Stop {
        Stop::Error(why)
    }
}

struct Run<'a> {
    rte: &'a mut Rte,
    line: String,
    log: &'a mut Vec<String>,
    depth: u32,
}

/// Functions within functions, at most so many.
const MAX_DEPTH: u32 = 64;

impl Run<'_> {
    fn body(&mut self, body: &[Statement], vars: &mut Vec<Value>, of: &Function) -> Result<End, String> {
        match self.statements(body, vars, of) {
            Ok(end) => Ok(end),
            Err(Stop::End(end)) => Ok(end),
            Err(Stop::Error(why)) => Err(why),
        }
    }

    fn statements(&mut self, body: &[Statement], vars: &mut Vec<Value>, of: &Function) -> Result<End, Stop> {
        for statement in body {
            match self.statement(statement, vars, of)? {
                End::On => {}
                end => return Ok(end),
            }
        }
        Ok(End::On)
    }

    fn statement(
        &mut self,
        statement: &Statement,
        vars: &mut Vec<Value>,
        of: &Function,
    ) -> Result<End, Stop> {
        match statement {
            Statement::If(condition, then, other) => {
                let branch = if truth(&self.expr(condition, vars, of)?)? { then } else { other };
                return self.statements(branch, vars, of);
            }
            Statement::Case(expr, arms, other) => {
                let value = self.expr(expr, vars, of)?;
                let found =
                    arms.iter().find(|(spans, _)| value.is_in(&Value::Set(spans.clone())) == Some(true));
                return self.statements(found.map_or(other, |(_, body)| body), vars, of);
            }
            Statement::Set(place, expr) => {
                let value = self.expr(expr, vars, of)?;
                self.set(*place, value)?;
            }
            Statement::SetVariable(slot, expr) => vars[*slot] = self.expr(expr, vars, of)?,
            Statement::Unset(attr) => _ = self.rte.attrs.remove(attr),
            Statement::Print(all, ends) => {
                for expr in all {
                    let text = self.expr(expr, vars, of)?.to_string();
                    self.line += &text;
                }
                if *ends {
                    let line = std::mem::take(&mut self.line);
                    self.log.push(format!("<INFO> {line}"));
                }
            }
            Statement::Accept => return Ok(End::Accept),
            Statement::Reject => return Ok(End::Reject),
            Statement::Return(expr) => return Ok(End::Return(self.expr(expr, vars, of)?)),
            Statement::Value(expr) => _ = self.expr(expr, vars, of)?,
        }
        Ok(End::On)
    }

    fn expr(&mut self, expr: &Expr, vars: &mut Vec<Value>, of: &Function) -> Result<Value, Stop> {
        Ok(match expr {
            Expr::Const(value) => value.clone(),
            Expr::Variable(slot) => vars[*slot].clone(),
            Expr::Read(place) => self.read(*place),
            Expr::Not(inner) => Value::Bool(!truth(&self.expr(inner, vars, of)?)?),
            Expr::Defined(place) => Value::Bool(match place {
                Place::Fixed(_) => true,
                Place::Attr(attr) => self.rte.attrs.contains_key(attr),
            }),
            Expr::Two(operator @ (Operator::Or | Operator::And), a, b) => {
                let first = truth(&self.expr(a, vars, of)?)?;
                match (operator, first) {
                    (Operator::Or, true) | (Operator::And, false) => Value::Bool(first),
                    _ => Value::Bool(truth(&self.expr(b, vars, of)?)?),
                }
            }
            Expr::Two(operator, a, b) => {
                let (a, b) = (self.expr(a, vars, of)?, self.expr(b, vars, of)?);
                compute(*operator, &a, &b)?
            }
            Expr::Part(part, inner) => part_of(*part, &self.expr(inner, vars, of)?)?,
            Expr::Changed(change, list, argument) => {
                let list = self.expr(list, vars, of)?;
                let argument = match argument {
                    Some(argument) => self.expr(argument, vars, of)?,
                    None => Value::Void,
                };
                changed(*change, list, &argument)?
            }
            Expr::Pair(a, b) => pair(&self.expr(a, vars, of)?, &self.expr(b, vars, of)?)?,
            Expr::Call(function, arguments) => self.call(&function.clone(), arguments, vars, of)?,
            Expr::Recursion(_, arguments) => self.call(of, arguments, vars, of)?,
        })
    }

    fn call(
        &mut self,
        function: &Function,
        arguments: &[Expr],
        vars: &mut Vec<Value>,
        of: &Function,
    ) -> Result<Value, Stop> {
        if self.depth >= MAX_DEPTH {
            return Err(Stop::Error("execution stack overflow".to_owned()));
        }
        let mut inner = function.variables.clone();
        for (slot, argument) in arguments.iter().enumerate() {
            inner[slot] = self.expr(argument, vars, of)?;
        }
        self.depth += 1;
        let ended = self.statements(&function.body, &mut inner, function);
        self.depth -= 1;
        match ended? {
            End::Return(value) => Ok(value),
            End::On => Ok(Value::Void),
            end => Err(Stop::End(end)),
        }
    }

    fn read(&self, place: Place) -> Value {
        let rte = &*self.rte;
        let fixed = match place {
            Place::Fixed(fixed) => fixed,
            Place::Attr(attr) => return rte.attrs.get(&attr).cloned().unwrap_or_else(|| absent(attr)),
        };
        let hop = rte.dest.hops().first();
        match fixed {
            Fixed::Net => Value::Net(rte.net),
            Fixed::Proto => Value::Text(rte.proto_name.to_string()),
            Fixed::Source => Value::Enum("rts", rte.source as u32),
            Fixed::Scope => Value::Enum("scope", 4),
            Fixed::Dest => Value::Enum("rtd", rte.dest.number()),
            Fixed::From => Value::Ip(rte.from.unwrap_or(Ipv4Addr::UNSPECIFIED)),
            Fixed::Gw => Value::Ip(hop.and_then(|hop| hop.via).unwrap_or(Ipv4Addr::UNSPECIFIED)),
            Fixed::Ifname => Value::Text(hop.map(|hop| hop.link.name.to_string()).unwrap_or_default()),
            Fixed::Ifindex => Value::Int(hop.map_or(0, |hop| hop.link.index)),
            Fixed::Preference => Value::Int(rte.preference),
        }
    }

    fn set(&mut self, place: Place, value: Value) -> Result<(), String> {
        match (place, value) {
            (Place::Attr(attr), value) => {
                self.rte.set_by_filter.insert(attr);
                self.rte.attrs.insert(attr, value);
            }
            (Place::Fixed(Fixed::Preference), Value::Int(number)) => self.rte.preference = number,
            (Place::Fixed(Fixed::Dest), Value::Enum("rtd", number)) => {
                self.rte.dest = match number {
                    2 => Dest::Blackhole,
                    3 => Dest::Unreachable,
                    4 => Dest::Prohibit,
                    _ => {
                        return Err("Destination can be changed only to blackhole, unreachable or prohibit"
                            .to_owned());
                    }
                };
            }
            (Place::Fixed(Fixed::From), Value::Ip(address)) => self.rte.from = Some(address),
            (Place::Fixed(Fixed::Gw), Value::Ip(address)) => {
                let link = self.rte.dest.hops().first().map(|hop| hop.link.clone());
                let link = link.unwrap_or(Link { index: 0, name: Arc::from("") });
                self.rte.dest = Dest::Unicast(vec![Hop { via: Some(address), link, weight: 1 }]);
            }
            (Place::Fixed(_), _) => return Err("This static attribute is read-only.".to_owned()),
        }
        Ok(())
    }
}

/// What an attribute is that a route does not have: an empty list, or nothing.
fn absent(attr: Attr) -> Value {
    let known = ATTRS.iter().find(|(_, other, ..)| *other == attr).map(|(.., value)| value);
    match known {
        Some(
            value
            @ (Value::Path(_) | Value::Communities(_) | Value::LargeCommunities(_) | Value::Clusters(_)),
        ) => value.clone(),
        _ => Value::Void,
    }
}

fn truth(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(truth) => Ok(*truth),
        other => Err(format!("Argument 1 of CONDITION must be of type bool, got type {}", other.kind())),
    }
}

/// A community of two numbers.
///
/// # Errors
///
/// A number is too large.
pub fn pair(a: &Value, b: &Value) -> Result<Value, String> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) if *a < 0x1_0000 && *b < 0x1_0000 => Ok(Value::Pair(a << 16 | b)),
        (Value::Int(_), Value::Int(_)) => {
            Err("Can't operate with value out of bounds in pair constructor".to_owned())
        }
        _ => Err("Can't operate with value of non-integer type in pair constructor".to_owned()),
    }
}

fn compute(operator: Operator, a: &Value, b: &Value) -> Result<Value, String> {
    use std::cmp::Ordering;
    let number = || match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok((*a, *b)),
        (other, Value::Int(_)) | (_, other) => {
            Err(format!("Argument must be of type int, got type {}", other.kind()))
        }
    };
    let order = || a.order(b).ok_or_else(|| "Can't compare values of incompatible types".to_owned());
    let is_in = || a.is_in(b).ok_or_else(|| "~ applied on unknown type pair".to_owned());
    Ok(match operator {
        Operator::Equal => Value::Bool(a == b || a.order(b) == Some(Ordering::Equal)),
        Operator::Unequal => Value::Bool(a != b && a.order(b) != Some(Ordering::Equal)),
        Operator::Less => Value::Bool(order()? == Ordering::Less),
        Operator::LessEqual => Value::Bool(order()? != Ordering::Greater),
        Operator::In => Value::Bool(is_in()?),
        Operator::NotIn => Value::Bool(!is_in()?),
        Operator::Plus => number().map(|(a, b)| Value::Int(a.wrapping_add(b)))?,
        Operator::Minus => number().map(|(a, b)| Value::Int(a.wrapping_sub(b)))?,
        Operator::Times => number().map(|(a, b)| Value::Int(a.wrapping_mul(b)))?,
        Operator::Divide => match number()? {
            (_, 0) => return Err("Mother told me not to divide by 0".to_owned()),
            (a, b) => Value::Int(a / b),
        },
        Operator::Or | Operator::And => Value::Bool(truth(a)? && truth(b)?),
    })
}

fn part_of(part: Part, value: &Value) -> Result<Value, String> {
    let count = |number: usize| Value::Int(number as u32);
    Ok(match (part, value) {
        (Part::Len, Value::Net(net)) => Value::Int(net.len.into()),
        (Part::Len, Value::Path(path)) => count(path_len(path)),
        (Part::Len, Value::Communities(all)) => count(all.len()),
        (Part::Len, Value::LargeCommunities(all)) => count(all.len()),
        (Part::Len, Value::Clusters(all)) => count(all.len()),
        (Part::Ip, Value::Net(net)) => Value::Ip(net.address),
        (Part::Type, Value::Net(_)) => Value::Enum("nettype", 1),
        (Part::First, Value::Path(path)) => Value::Int(members(path).first().copied().unwrap_or(0)),
        (Part::Last, Value::Path(path)) => Value::Int(members(path).last().copied().unwrap_or(0)),
        (Part::Asn, Value::Pair(pair)) => Value::Int(pair >> 16),
        (Part::Data, Value::Pair(pair)) => Value::Int(pair & 0xffff),
        (_, other) => return Err(format!("No such part of type {}", other.kind())),
    })
}

fn changed(change: Change, list: Value, argument: &Value) -> Result<Value, String> {
    let wanted = |value: Value| match argument {
        Value::Set(_) | Value::Communities(_) | Value::LargeCommunities(_) => {
            value.is_in(argument) == Some(true)
        }
        single => value == *single,
    };
    Ok(match (change, list) {
        (Change::Empty, Value::Path(_)) => Value::Path(Vec::new()),
        (Change::Empty, Value::LargeCommunities(_)) => Value::LargeCommunities(Vec::new()),
        (Change::Empty, _) => Value::Communities(Vec::new()),
        (Change::Prepend, Value::Path(path)) => match argument {
            Value::Int(number) => Value::Path(prepend(path, *number)),
            _ => return Err("Can't prepend non-integer".to_owned()),
        },
        (Change::Add, Value::Communities(mut all)) => {
            match argument {
                Value::Pair(pair) if !all.contains(pair) => all.push(*pair),
                Value::Pair(_) => {}
                Value::Communities(more) => {
                    let new: Vec<u32> = more.iter().filter(|pair| !all.contains(pair)).copied().collect();
                    all.extend(new);
                }
                _ => return Err("Can't add non-pair".to_owned()),
            }
            Value::Communities(all)
        }
        (Change::Add, Value::LargeCommunities(mut all)) => {
            match argument {
                Value::LargeCommunity(one) if !all.contains(one) => all.push(*one),
                Value::LargeCommunity(_) => {}
                _ => return Err("Can't add non-lc".to_owned()),
            }
            Value::LargeCommunities(all)
        }
        (Change::Delete | Change::Filter, Value::Communities(mut all)) => {
            all.retain(|pair| wanted(Value::Pair(*pair)) == (change == Change::Filter));
            Value::Communities(all)
        }
        (Change::Delete | Change::Filter, Value::LargeCommunities(mut all)) => {
            all.retain(|one| wanted(Value::LargeCommunity(*one)) == (change == Change::Filter));
            Value::LargeCommunities(all)
        }
        (Change::Delete | Change::Filter, Value::Path(path)) => {
            let keeps = |number: &u32| wanted(Value::Int(*number)) == (change == Change::Filter);
            let narrowed = path.into_iter().map(|segment| match segment {
                Segment::Sequence(all) => Segment::Sequence(all.into_iter().filter(keeps).collect()),
                Segment::Set(all) => Segment::Set(all.into_iter().filter(keeps).collect()),
            });
            let is_empty = |segment: &Segment| members(std::slice::from_ref(segment)).is_empty();
            Value::Path(narrowed.filter(|segment| !is_empty(segment)).collect())
        }
        (_, other) => return Err(format!("Can't change a value of type {}", other.kind())),
    })
}

/// A path with one more AS in front.
pub fn prepend(mut path: Vec<Segment>, number: u32) -> Vec<Segment> {
    match path.first_mut() {
        Some(Segment::Sequence(all)) if all.len() < 255 => all.insert(0, number),
        _ => path.insert(0, Segment::Sequence(vec![number])),
    }
    path
}
