//! `bc` 1.07.1: arithmetic of any precision, a line at a time.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | input and output, statements and expressions |
//! | `number.rs` | numbers |
//!
//! Not modelled: functions that are defined, arrays, `if`, `while`, `for`, and the functions of `-l`.

mod number;

use std::collections::BTreeMap;

use crate::process::{Process, Running, strerror};
use number::Number;

/// Digits a line; a longer number goes on in the next one.
const LINE: usize = 69;
/// Nesting of an expression.
const DEEPEST: usize = 500;
/// Words that are read and not modelled.
const OTHER_WORDS: [&str; 12] = [
    "if", "else", "while", "for", "define", "return", "auto", "break", "continue", "read", "warranty",
    "limits",
];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(bc(process))
}

async fn bc(process: &mut Process) -> i32 {
    let (mut files, mut state) = (Vec::new(), State::default());
    for arg in process.args().to_vec() {
        match arg.as_str() {
            "-l" | "--mathlib" => state.scale = 20,
            "-q" | "--quiet" | "-s" | "-w" | "-i" => {}
            option if option.len() > 1 && option.starts_with('-') => {
                process.eprint(format!("not modelled yet: bc {option}\n"));
                return 1;
            }
            file => files.push(file.to_owned()),
        }
    }
    files.push("-".to_owned());
    for file in files {
        let text = match process.read_operand(&file).await {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                process.eprint(format!("File {file} is unavailable: {}\n", strerror(&error)));
                return 1;
            }
        };
        let name = if file == "-" { "(standard_in)" } else { file.as_str() };
        for (number, line) in without_comments(&text).lines().enumerate() {
            let mut shown = String::new();
            let ended =
                Line { text: line.chars().collect(), at: 0, depth: 0, state: &mut state }.run(&mut shown);
            match ended {
                Ok(()) => process.print(shown),
                Err(Stop::Quit) => {
                    process.print(shown);
                    return 0;
                }
                Err(Stop::Syntax) => process.eprint(format!("{name} {}: syntax error\n", number + 1)),
                Err(Stop::Runtime(why)) => {
                    process.print(shown);
                    process.eprint(format!("Runtime error (func=(main), adr=0): {why}\n"));
                }
                Err(Stop::NotModelled(what)) => {
                    process.eprint(format!("not modelled yet: bc {what}\n"));
                    return 1;
                }
            }
        }
    }
    0
}

/// The text without `/* … */` and `# …`.
fn without_comments(text: &str) -> String {
    let mut rest = text;
    let mut kept = String::new();
    while let Some((before, after)) = rest.split_once("/*") {
        kept += before;
        rest = after.split_once("*/").map_or("", |(_, after)| after);
    }
    kept += rest;
    kept.lines().map(|line| line.split('#').next().unwrap_or_default().to_owned() + "\n").collect()
}

enum Stop {
    Quit,
    Syntax,
    Runtime(&'static str),
    NotModelled(String),
}

type Done<T> = Result<T, Stop>;

struct State {
    scale: u32,
    ibase: u32,
    obase: u32,
    last: Number,
    names: BTreeMap<String, Number>,
}

impl Default for State {
    fn default() -> State {
        State { scale: 0, ibase: 10, obase: 10, last: Number::whole(0), names: BTreeMap::new() }
    }
}

impl State {
    fn get(&self, name: &str) -> Number {
        match name {
            "scale" => Number::whole(self.scale.into()),
            "ibase" => Number::whole(self.ibase.into()),
            "obase" => Number::whole(self.obase.into()),
            "last" | "." => self.last.clone(),
            name => self.names.get(name).cloned().unwrap_or_else(|| Number::whole(0)),
        }
    }

    /// Sets a variable; the special ones stay within their limits.
    fn set(&mut self, name: &str, value: &Number) {
        let within = |least: i64, most: i64| value.small().unwrap_or(most).clamp(least, most) as u32;
        match name {
            "scale" => self.scale = within(0, 100_000),
            "ibase" => self.ibase = within(2, 16),
            "obase" => self.obase = within(2, 1_000_000),
            "last" | "." => self.last = value.clone(),
            name => drop(self.names.insert(name.to_owned(), value.clone())),
        }
    }
}

struct Line<'a> {
    text: Vec<char>,
    at: usize,
    depth: usize,
    state: &'a mut State,
}

impl Line<'_> {
    fn run(mut self, shown: &mut String) -> Done<()> {
        while self.next().is_some() {
            if !self.take(";") {
                self.statement(shown)?;
                if self.next().is_some() && !self.take(";") {
                    return Err(Stop::Syntax);
                }
            }
        }
        Ok(())
    }

    /// The next character that is no blank.
    fn next(&mut self) -> Option<char> {
        while self.text.get(self.at).is_some_and(|c| c.is_whitespace()) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn take(&mut self, sign: &str) -> bool {
        let found = self.next().is_some()
            && sign.chars().enumerate().all(|(n, c)| self.text.get(self.at + n) == Some(&c));
        self.at += if found { sign.len() } else { 0 };
        found
    }

    /// A name at this place.
    fn name(&mut self) -> Option<String> {
        self.next().filter(char::is_ascii_lowercase)?;
        let rest = self.text[self.at..].iter();
        let name: String =
            rest.take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || **c == '_').collect();
        self.at += name.len();
        Some(name)
    }

    fn string(&mut self) -> Done<String> {
        let end = self.text[self.at..].iter().position(|c| *c == '"').ok_or(Stop::Syntax)?;
        let text = self.text[self.at..self.at + end].iter().collect();
        self.at += end + 1;
        Ok(text)
    }

    fn statement(&mut self, shown: &mut String) -> Done<()> {
        if self.take("\"") {
            *shown += &self.string()?;
            return Ok(());
        }
        let before = self.at;
        match self.name().as_deref() {
            Some("quit" | "halt") => return Err(Stop::Quit),
            Some("print") => return self.print(shown),
            Some(word) if OTHER_WORDS.contains(&word) => return Err(Stop::NotModelled(word.to_owned())),
            Some(_) if self.assignment().is_some() => {
                self.at = before;
                return self.expression().map(|_| ());
            }
            _ => self.at = before,
        }
        let value = self.expression()?;
        let text = value.show(self.state.obase);
        *shown += &folded(&text);
        shown.push('\n');
        self.state.last = value;
        Ok(())
    }

    fn print(&mut self, shown: &mut String) -> Done<()> {
        loop {
            if self.take("\"") {
                *shown += &self.string()?.replace("\\n", "\n").replace("\\t", "\t").replace("\\q", "\"");
            } else {
                *shown += &self.expression()?.show(self.state.obase);
            }
            if !self.take(",") {
                return Ok(());
            }
        }
    }

    /// `=`, or the operator before it; takes it.
    fn assignment(&mut self) -> Option<Option<char>> {
        let first = self.next()?;
        let (second, third) = (self.text.get(self.at + 1).copied(), self.text.get(self.at + 2).copied());
        match (first, second) {
            ('=', next) if next != Some('=') => self.at += 1,
            ('+' | '-' | '*' | '/' | '%' | '^', Some('=')) if third != Some('=') => {
                self.at += 2;
                return Some(Some(first));
            }
            _ => return None,
        }
        Some(None)
    }

    /// `||`, the operator that binds least.
    fn expression(&mut self) -> Done<Number> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Stop::NotModelled(format!("expressions nested more than {DEEPEST} deep")));
        }
        let mut left = self.conjunction()?;
        while self.take("||") {
            let right = self.conjunction()?;
            left = Number::whole(i64::from(!left.is_zero() || !right.is_zero()));
        }
        self.depth -= 1;
        Ok(left)
    }

    fn conjunction(&mut self) -> Done<Number> {
        let mut left = self.negation()?;
        while self.take("&&") {
            let right = self.negation()?;
            left = Number::whole(i64::from(!left.is_zero() && !right.is_zero()));
        }
        Ok(left)
    }

    fn negation(&mut self) -> Done<Number> {
        let mut count = 0;
        while self.next() == Some('!') && self.text.get(self.at + 1) != Some(&'=') {
            self.at += 1;
            count += 1;
        }
        let value = self.relation()?;
        Ok(if count == 0 { value } else { Number::whole(i64::from(value.is_zero() == (count % 2 == 1))) })
    }

    fn relation(&mut self) -> Done<Number> {
        let mut left = self.sum()?;
        for (sign, holds) in [
            ("==", [false, true, false]),
            ("!=", [true, false, true]),
            ("<=", [true, true, false]),
            (">=", [false, true, true]),
            ("<", [true, false, false]),
            (">", [false, false, true]),
        ] {
            if self.take(sign) {
                let order = left.compare(&self.sum()?) as i8 + 1;
                left = Number::whole(i64::from(holds[order as usize]));
                break;
            }
        }
        Ok(left)
    }

    fn sum(&mut self) -> Done<Number> {
        let mut left = self.product()?;
        loop {
            match self.next() {
                Some('+') => {
                    self.at += 1;
                    left = left.add(&self.product()?);
                }
                Some('-') => {
                    self.at += 1;
                    left = left.add(&self.product()?.negate());
                }
                _ => return Ok(left),
            }
        }
    }

    fn product(&mut self) -> Done<Number> {
        let mut left = self.power()?;
        while let Some(sign @ ('*' | '/' | '%')) = self.next() {
            self.at += 1;
            let right = self.power()?;
            left = self.calculate(&left, sign, &right)?;
        }
        Ok(left)
    }

    fn power(&mut self) -> Done<Number> {
        let base = self.unary()?;
        if !self.take("^") {
            return Ok(base);
        }
        let exponent = self.power()?;
        self.calculate(&base, '^', &exponent)
    }

    fn calculate(&self, left: &Number, sign: char, right: &Number) -> Done<Number> {
        let scale = self.state.scale;
        match sign {
            '+' => Ok(left.add(right)),
            '-' => Ok(left.add(&right.negate())),
            '*' => Ok(left.multiply(right, scale)),
            '/' => left.divide(right, scale).ok_or(Stop::Runtime("Divide by zero")),
            '%' => left.remainder(right, scale).ok_or(Stop::Runtime("Modulo by zero")),
            _ => left.power(right, scale).ok_or(Stop::Runtime("exponent too large in raise")),
        }
    }

    fn unary(&mut self) -> Done<Number> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Stop::NotModelled(format!("expressions nested more than {DEEPEST} deep")));
        }
        let value = match self.next() {
            Some('-') if self.text.get(self.at + 1) != Some(&'-') => {
                self.at += 1;
                self.unary()?.negate()
            }
            _ => self.primary()?,
        };
        self.depth -= 1;
        Ok(value)
    }

    fn primary(&mut self) -> Done<Number> {
        for (sign, step) in [("++", 1), ("--", -1)] {
            if self.take(sign) {
                let name = self.name().ok_or(Stop::Syntax)?;
                let value = self.state.get(&name).add(&Number::whole(step));
                self.state.set(&name, &value);
                return Ok(value);
            }
        }
        if self.take("(") {
            let value = self.expression()?;
            return if self.take(")") { Ok(value) } else { Err(Stop::Syntax) };
        }
        if let Some(name) = self.name() {
            return self.named(&name);
        }
        let rest = self.text[self.at..].iter();
        let digits: String = rest.take_while(|c| matches!(c, '0'..='9' | 'A'..='F' | '.')).collect();
        if digits.is_empty() || digits.matches('.').count() > 1 {
            return Err(Stop::Syntax);
        }
        self.at += digits.len();
        Ok(if digits == "." { self.state.last.clone() } else { Number::parse(&digits, self.state.ibase) })
    }

    /// A variable, an assignment to it, or a function.
    fn named(&mut self, name: &str) -> Done<Number> {
        if OTHER_WORDS.contains(&name) || self.next() == Some('[') {
            return Err(Stop::NotModelled(name.to_owned()));
        }
        if self.take("(") {
            if !["sqrt", "length", "scale"].contains(&name) {
                return Err(Stop::NotModelled(format!("{name}()")));
            }
            let value = self.expression()?;
            if !self.take(")") {
                return Err(Stop::Syntax);
            }
            return match name {
                "length" => Ok(Number::whole(value.length() as i64)),
                "scale" => Ok(Number::whole(value.scale.into())),
                _ => value.root(self.state.scale).ok_or(Stop::Runtime("Square root of a negative number")),
            };
        }
        let before = self.state.get(name);
        for (sign, step) in [("++", 1), ("--", -1)] {
            if self.take(sign) {
                self.state.set(name, &before.add(&Number::whole(step)));
                return Ok(before);
            }
        }
        let Some(operator) = self.assignment() else { return Ok(before) };
        let value = self.sum()?;
        let value = match operator {
            None => value,
            Some(sign) => self.calculate(&before, sign, &value)?,
        };
        self.state.set(name, &value);
        Ok(value)
    }
}

/// A number in lines of [`LINE`] characters.
fn folded(text: &str) -> String {
    if text.len() <= LINE {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let lines: Vec<String> = letters.chunks(LINE - 1).map(|line| line.iter().collect()).collect();
    lines.join("\\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> String {
        let mut state = State::default();
        let mut shown = String::new();
        let line = Line { text: text.chars().collect(), at: 0, depth: 0, state: &mut state };
        match line.run(&mut shown) {
            Ok(()) | Err(Stop::Quit) => shown,
            Err(Stop::Syntax) => "syntax error".to_owned(),
            Err(Stop::Runtime(why)) => shown + why,
            Err(Stop::NotModelled(what)) => format!("not modelled: {what}"),
        }
    }

    /// Recorded from bc 1.07.1.
    #[test]
    fn lines_as_bc_answers_them() {
        for line in include_str!("recorded.txt").lines() {
            let (text, expected) = line.split_once(" => ").expect("two sides");
            assert_eq!(run(text), expected.replace('|', "\n"), "{text}");
        }
    }

    #[test]
    fn what_is_not_modelled_or_too_deep_is_refused() {
        for (text, what) in
            [("define f(x)", "define"), ("while (1) 2", "while"), ("e(1)", "e()"), ("a[1]", "a")]
        {
            assert_eq!(run(text), format!("not modelled: {what}"));
        }
        for sign in ["(", "- ", "-("] {
            assert!(run(&sign.repeat(20_000)).starts_with("not modelled: expressions nested"));
        }
    }
}
