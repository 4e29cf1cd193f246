//! Filters and functions: their statements.

use std::net::Ipv4Addr;
use std::sync::Arc;

use super::parser::{Parsed, Parser};
use super::{Symbol, Token};
use crate::bird::filter::{Change, Expr, Filter, Fixed, Function, Place, Statement};
use crate::bird::value::{Value, constant};

/// The attribute of a place, as errors name what sets it.
fn setter(place: Place) -> &'static str {
    match place {
        Place::Fixed(_) => "RTA_SET",
        Place::Attr(_) => "EA_SET",
    }
}

impl Parser {
    /// `filter NAME { … }`.
    pub(super) fn filter_definition(&mut self) -> Parsed {
        self.take();
        let name = self.new_symbol()?;
        let function = self.function_body(name.clone(), 0)?;
        self.config.symbols.insert(name, Symbol::Filter(Arc::new(function)));
        Ok(())
    }

    /// `function NAME(…) { … }`.
    pub(super) fn function_definition(&mut self) -> Parsed {
        self.take();
        let name = self.new_symbol()?;
        self.need_sign("(")?;
        self.variables.clear();
        while !self.sign(")") {
            let Some(value) = self.type_name() else { return self.unexpected("") };
            let variable = self.name()?;
            self.variables.push((variable, value));
            if !self.is_sign(")") && !self.sign(";") {
                return self.unexpected("';' or ')'");
            }
        }
        let function = self.function_body(name.clone(), self.variables.len())?;
        self.config.symbols.insert(name, Symbol::Function(Arc::new(function)));
        Ok(())
    }

    /// A filter without a name, up to its brace.
    pub fn unnamed(&mut self) -> Parsed<Arc<Function>> {
        self.variables.clear();
        Ok(Arc::new(self.function_body(String::new(), 0)?))
    }

    fn function_body(&mut self, name: String, arguments: usize) -> Parsed<Function> {
        if arguments == 0 {
            self.variables.clear();
        }
        self.function = Some((name.clone(), arguments));
        // Variables may stand before the brace.
        while !self.is_sign("{") {
            let Some(value) = self.type_name() else { return self.unexpected("") };
            let variable = self.name()?;
            self.variables.push((variable, value));
            self.need_sign(";")?;
        }
        let body = self.block()?;
        self.function = None;
        let variables = std::mem::take(&mut self.variables).into_iter().map(|(_, value)| value).collect();
        let result = body.iter().rev().find_map(|statement| match statement {
            Statement::Return(expr) => self.type_of(expr),
            _ => None,
        });
        Ok(Function { name, arguments, variables, body, result })
    }

    /// Which routes pass: `all`, `none`, `filter …`, `where …`.
    pub(super) fn filter(&mut self) -> Parsed<Filter> {
        if self.word("all") {
            return Ok(Filter::Accept);
        }
        if self.word("none") {
            return Ok(Filter::Reject);
        }
        if self.word("where") {
            return self.where_filter();
        }
        if self.word("filter") {
            if self.is_sign("{") {
                return Ok(Filter::Function(self.unnamed()?));
            }
            return match self.symbol() {
                Some(Symbol::Filter(function)) => {
                    let filter = Filter::Function(function.clone());
                    self.take();
                    Ok(filter)
                }
                Some(_) => self.error_ahead("Filter name expected"),
                None => self.unexpected(""),
            };
        }
        self.unexpected("")
    }

    /// `where CONDITION` as a filter.
    pub fn where_filter(&mut self) -> Parsed<Filter> {
        self.variables.clear();
        let condition = self.expr()?;
        self.need_bool(&condition)?;
        let body = vec![Statement::If(condition, vec![Statement::Accept], vec![Statement::Reject])];
        let name = String::new();
        Ok(Filter::Function(Arc::new(Function {
            name,
            arguments: 0,
            variables: Vec::new(),
            body,
            result: None,
        })))
    }

    /// `{ … }` after a static route: what is done to it.
    pub(super) fn changes(&mut self) -> Parsed<Arc<Function>> {
        self.variables.clear();
        let mut body = self.block()?;
        body.push(Statement::Accept);
        let variables = std::mem::take(&mut self.variables).into_iter().map(|(_, value)| value).collect();
        Ok(Arc::new(Function { name: String::new(), arguments: 0, variables, body, result: None }))
    }

    fn need_bool(&self, condition: &Expr) -> Parsed {
        match self.type_of(condition) {
            Some(Value::Bool(_)) | None => Ok(()),
            Some(other) => self.error_ahead(&format!(
                "Argument 1 of CONDITION must be of type bool, got type {}",
                other.kind()
            )),
        }
    }

    /// Takes the name of a type, if one is next: a value of it.
    pub(super) fn type_name(&mut self) -> Option<Value> {
        let Token::Word(word) = self.peek() else { return None };
        let value = match word.as_str() {
            "int" => Value::Int(0),
            "bool" => Value::Bool(false),
            "ip" => Value::Ip(Ipv4Addr::UNSPECIFIED),
            "prefix" => Value::Net(crate::bird::value::Net::new(Ipv4Addr::UNSPECIFIED, 0)),
            "pair" => Value::Pair(0),
            "quad" => Value::Quad(Ipv4Addr::UNSPECIFIED),
            "lc" => Value::LargeCommunity([0; 3]),
            "string" => Value::Text(String::new()),
            "bgppath" => Value::Path(Vec::new()),
            "bgpmask" => Value::Mask(Vec::new()),
            "clist" => Value::Communities(Vec::new()),
            "lclist" => Value::LargeCommunities(Vec::new()),
            _ => return None,
        };
        let is_prefix = word == "prefix";
        self.take();
        Some(match (self.word("set"), is_prefix) {
            (true, true) => Value::Prefixes(Vec::new()),
            (true, false) => Value::Set(Vec::new()),
            (false, _) => value,
        })
    }

    fn block(&mut self) -> Parsed<Vec<Statement>> {
        self.need_sign_quietly("{")?;
        let mut body = Vec::new();
        while !self.sign("}") {
            self.statement_into(&mut body)?;
        }
        Ok(body)
    }

    /// A statement or a block, as `then` has it.
    fn branch(&mut self) -> Parsed<Vec<Statement>> {
        if self.is_sign("{") {
            return self.block();
        }
        let mut body = Vec::new();
        self.statement_into(&mut body)?;
        Ok(body)
    }

    fn statement_into(&mut self, body: &mut Vec<Statement>) -> Parsed {
        if self.sign(";") {
            return Ok(());
        }
        if self.is_sign("{") {
            body.extend(self.block()?);
            return Ok(());
        }
        if self.word("if") {
            let condition = self.expr()?;
            if !self.word("then") {
                return self.unexpected("");
            }
            let then = self.branch()?;
            self.need_bool(&condition)?;
            let other = if self.word("else") { self.branch()? } else { Vec::new() };
            body.push(Statement::If(condition, then, other));
            return Ok(());
        }
        if self.word("case") {
            body.push(self.case()?);
            return Ok(());
        }
        if let Some(value) = self.type_name() {
            let name = self.name()?;
            let slot = self.variables.len();
            self.variables.push((name, value));
            if self.sign("=") {
                let expr = self.expr()?;
                body.push(Statement::SetVariable(slot, expr));
            }
            return self.need_sign_quietly(";");
        }
        body.push(self.simple()?);
        Ok(())
    }

    /// A statement that ends with a semicolon.
    fn simple(&mut self) -> Parsed<Statement> {
        for (word, statement) in [("accept", Statement::Accept), ("reject", Statement::Reject)] {
            if self.word(word) {
                let said = if self.is_sign(";") { None } else { Some(self.expr()?) };
                self.need_sign_quietly(";")?;
                return Ok(match said {
                    // What is said with it is printed.
                    Some(expr) => {
                        let always = Expr::Const(Value::Bool(true));
                        let all = vec![Statement::Print(vec![expr], true), statement];
                        Statement::If(always, all, Vec::new())
                    }
                    None => statement,
                });
            }
        }
        for (word, ends) in [("print", true), ("printn", false)] {
            if self.word(word) {
                let mut all = vec![self.expr()?];
                while self.sign(",") {
                    all.push(self.expr()?);
                }
                self.need_sign_quietly(";")?;
                return Ok(Statement::Print(all, ends));
            }
        }
        if self.word("return") {
            let expr = self.expr()?;
            self.need_sign_quietly(";")?;
            return Ok(Statement::Return(expr));
        }
        if self.word("unset") {
            self.need_sign("(")?;
            let Some(Place::Attr(attr)) = self.place() else { return self.unexpected("") };
            self.need_sign(")")?;
            self.need_sign_quietly(";")?;
            return Ok(Statement::Unset(attr));
        }
        if let Token::Word(name) = self.peek().clone()
            && let Some(slot) = self.variables.iter().rposition(|(known, _)| *known == name)
        {
            self.take();
            self.need_sign_quietly("=")?;
            let expr = self.expr()?;
            self.need_sign_quietly(";")?;
            let wanted = self.variables[slot].1.clone();
            self.need_type("VAR_SET", &wanted, &expr)?;
            return Ok(Statement::SetVariable(slot, expr));
        }
        if let Some((place, kind, can_set)) = self.place_ahead() {
            return self.assignment(place, kind, can_set);
        }
        if matches!(self.peek_second(), Token::Sign("(")) {
            let expr = self.term()?;
            self.need_sign_quietly(";")?;
            return Ok(Statement::Value(expr));
        }
        self.unexpected("")
    }

    /// `ATTRIBUTE = VALUE;` or `ATTRIBUTE.add(…);`.
    fn assignment(&mut self, place: Place, kind: Value, can_set: bool) -> Parsed<Statement> {
        self.take();
        if matches!(place, Place::Fixed(_)) && !self.is_sign("=") {
            return self.unexpected("'='");
        }
        if self.sign(".") {
            let list = Expr::Read(place);
            let expr = self.change(list)?;
            self.need_sign_quietly(";")?;
            if let Expr::Changed(Change::Prepend, _, Some(argument)) = &expr
                && let Some(found) = self.type_of(argument)
                && found.kind() != "int"
            {
                let kind = found.kind();
                return self
                    .error(format!("Argument 2 of PATH_PREPEND must be of type int, got type {kind}"));
            }
            return Ok(Statement::Set(place, expr));
        }
        self.need_sign_quietly("=")?;
        let expr = self.expr()?;
        self.need_sign_quietly(";")?;
        if !can_set {
            return self.error("This static attribute is read-only.");
        }
        if matches!(place, Place::Fixed(Fixed::Ifname | Fixed::Scope)) {
            self.need_type(setter(place), &kind, &expr)?;
            return self.error("not modelled yet: this attribute in an assignment");
        }
        if matches!(kind, Value::Quad(_)) && matches!(self.type_of(&expr), Some(Value::Ip(_) | Value::Int(_)))
        {
            return Ok(Statement::Set(place, expr));
        }
        self.need_type(setter(place), &kind, &expr)?;
        Ok(Statement::Set(place, expr))
    }

    fn need_type(&self, what: &str, wanted: &Value, expr: &Expr) -> Parsed {
        match self.type_of(expr) {
            Some(found) if found.kind() != wanted.kind() => self.error(format!(
                "Argument 1 of {what} must be of type {}, got type {}",
                wanted.kind_text(),
                found.kind_text()
            )),
            _ => Ok(()),
        }
    }

    fn case(&mut self) -> Parsed<Statement> {
        let expr = self.expr()?;
        self.need_sign_quietly("{")?;
        let (mut arms, mut other) = (Vec::new(), Vec::new());
        while !self.sign("}") {
            let is_else = self.word("else");
            let mut spans = Vec::new();
            if !is_else {
                spans.push(self.span()?);
                while self.sign(",") {
                    spans.push(self.span()?);
                }
            }
            self.need_sign_quietly(":")?;
            let mut body = Vec::new();
            while !self.is_sign("}") && !self.is_word("else") && !self.starts_span() {
                self.statement_into(&mut body)?;
            }
            if is_else { other = body } else { arms.push((spans, body)) }
        }
        Ok(Statement::Case(expr, arms, other))
    }

    fn starts_span(&self) -> bool {
        match self.peek() {
            Token::Num(_) | Token::Ip(_) | Token::Sign("(") => true,
            Token::Word(word) => constant(word).is_some(),
            _ => false,
        }
    }
}
