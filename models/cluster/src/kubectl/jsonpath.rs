//! Templates of `-o jsonpath`, in the dialect of client-go (`util/jsonpath`): `{range .items[*]}{.metadata.name}{"\n"}{end}`.

use serde_json::Value;

use super::failure::{Done, Failure};
use super::output::compact;

/// A template.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Template {
    source: String,
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    /// Text as it is.
    Text(String),
    /// What a path finds.
    Path(Vec<Step>),
    /// For each that a path finds.
    Range(Vec<Step>, Vec<Node>),
}

#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// `.name`, `['name']`.
    Field(String),
    /// `.*`, `[*]`.
    All,
    /// `..`: it and everything below it.
    Below,
    /// `[start:end:step]`; an index is a slice of one.
    Slice { start: Option<i64>, end: Option<i64>, step: i64, is_index: bool },
    /// `['a','b']`, `[0,1]`.
    Union(Vec<Step>),
    /// `[?(@.a=="b")]`.
    Filter(Operand, Option<(String, Operand)>),
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Path(Vec<Step>),
    Value(Value),
}

impl Template {
    /// Reads a template.
    pub(super) fn parse(source: &str) -> Done<Template> {
        let mut reader = Reader { text: source.chars().collect(), at: 0 };
        let nodes = reader.nodes(false);
        let nodes = nodes.map_err(|why| Failure::own(format!("error parsing jsonpath {source}, {why}")))?;
        Ok(Template { source: source.to_owned(), nodes })
    }

    /// Reads a path with or without braces and leading point.
    pub(super) fn relaxed(path: &str) -> Done<Template> {
        let inside = path.strip_prefix('{').and_then(|path| path.strip_suffix('}')).unwrap_or(path);
        let point = if inside.starts_with(['.', '[', '$', '@']) { "" } else { "." };
        Template::parse(&format!("{{{point}{inside}}}"))
    }

    /// What it says of a value.
    pub(super) fn text(&self, value: &Value) -> Done<String> {
        let mut out = String::new();
        run(&self.nodes, value, &mut |node| match node {
            Found::Text(text) => out.push_str(text),
            Found::Values(values) => {
                let texts: Vec<String> = values.iter().map(|value| shown(value)).collect();
                out.push_str(&texts.join(" "));
            }
        })
        .map_err(|why| self.error(&why))?;
        Ok(out)
    }

    /// All that its paths find.
    pub(super) fn results(&self, value: &Value) -> Done<Vec<Value>> {
        let mut all = Vec::new();
        run(&self.nodes, value, &mut |node| {
            if let Found::Values(values) = node {
                all.extend(values.into_iter().cloned());
            }
        })
        .map_err(|why| self.error(&why))?;
        Ok(all)
    }

    fn error(&self, why: &str) -> Failure {
        Failure::own(format!("error executing jsonpath {:?}: Error executing template: {why}.", self.source))
    }
}

enum Found<'a> {
    Text(&'a str),
    Values(Vec<&'a Value>),
}

fn run<'a>(nodes: &'a [Node], value: &'a Value, out: &mut dyn FnMut(Found<'a>)) -> Result<(), String> {
    for node in nodes {
        match node {
            Node::Text(text) => out(Found::Text(text)),
            Node::Path(steps) => out(Found::Values(find(steps, value)?)),
            Node::Range(steps, body) => {
                for item in find(steps, value)? {
                    run(body, item, out)?;
                }
            }
        }
    }
    Ok(())
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => compact(other),
    }
}

fn find<'a>(steps: &[Step], value: &'a Value) -> Result<Vec<&'a Value>, String> {
    let mut found = vec![value];
    for step in steps {
        let mut next = Vec::new();
        for value in found {
            take(step, value, &mut next)?;
        }
        found = next;
    }
    Ok(found)
}

fn take<'a>(step: &Step, value: &'a Value, next: &mut Vec<&'a Value>) -> Result<(), String> {
    match step {
        Step::Field(name) => next.extend(value.get(name)),
        Step::All => match value {
            Value::Array(items) => next.extend(items),
            Value::Object(fields) => next.extend(fields.values()),
            _ => {}
        },
        Step::Below => below(value, next),
        Step::Union(steps) => {
            for step in steps {
                take(step, value, next)?;
            }
        }
        Step::Slice { start, end, step, is_index } => {
            let Value::Array(items) = value else {
                return if value.is_null() {
                    Ok(())
                } else {
                    Err(format!("{} is not array or slice", kind(value)))
                };
            };
            slice(items, (*start, *end, *step, *is_index), next)?;
        }
        Step::Filter(left, test) => {
            let items: Vec<&Value> = match value {
                Value::Array(items) => items.iter().collect(),
                _ => return Err(format!("{value} is not array or slice and cannot be filtered")),
            };
            for item in items {
                if holds(left, test.as_ref(), item)? {
                    next.push(item);
                }
            }
        }
    }
    Ok(())
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Object(_) => "map[string]interface {}",
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        _ => "float64",
    }
}

fn below<'a>(value: &'a Value, next: &mut Vec<&'a Value>) {
    next.push(value);
    match value {
        Value::Array(items) => items.iter().for_each(|item| below(item, next)),
        Value::Object(fields) => fields.values().for_each(|inside| below(inside, next)),
        _ => {}
    }
}

fn slice<'a>(
    items: &'a [Value],
    (start, end, step, is_index): (Option<i64>, Option<i64>, i64, bool),
    next: &mut Vec<&'a Value>,
) -> Result<(), String> {
    let len = items.len() as i64;
    let place = |at: i64| if at < 0 { at + len } else { at };
    let from = place(start.unwrap_or(0));
    if is_index {
        let item = usize::try_from(from).ok().and_then(|at| items.get(at));
        let out = || format!("array index out of bounds: index {}, length {len}", start.unwrap_or(0));
        next.push(item.ok_or_else(out)?);
        return Ok(());
    }
    let to = end.map_or(len, place).min(len);
    if from >= 0 && step > 0 {
        next.extend((from..to).step_by(step as usize).filter_map(|at| items.get(at as usize)));
    }
    Ok(())
}

fn holds(left: &Operand, test: Option<&(String, Operand)>, item: &Value) -> Result<bool, String> {
    let values = |operand: &Operand| -> Result<Vec<Value>, String> {
        Ok(match operand {
            Operand::Path(steps) => find(steps, item)?.into_iter().cloned().collect(),
            Operand::Value(value) => vec![value.clone()],
        })
    };
    let left = values(left)?;
    let Some((sign, right)) = test else { return Ok(!left.is_empty()) };
    let right = values(right)?;
    let (Some(left), Some(right)) = (left.first(), right.first()) else { return Ok(false) };
    let order = match (left, right) {
        (Value::Number(left), Value::Number(right)) => left.as_f64().partial_cmp(&right.as_f64()),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        (Value::Bool(left), Value::Bool(right)) => Some(left.cmp(right)),
        _ => return Err("incompatible types for comparison".to_owned()),
    };
    Ok(match sign.as_str() {
        "==" => order.is_some_and(|order| order.is_eq()),
        "!=" => order.is_some_and(|order| order.is_ne()),
        "<" => order.is_some_and(|order| order.is_lt()),
        "<=" => order.is_some_and(|order| order.is_le()),
        ">" => order.is_some_and(|order| order.is_gt()),
        _ => order.is_some_and(|order| order.is_ge()),
    })
}

struct Reader {
    text: Vec<char>,
    at: usize,
}

type Read<T> = Result<T, String>;

impl Reader {
    fn peek(&self) -> Option<char> {
        self.text.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    fn starts(&self, word: &str) -> bool {
        word.chars().enumerate().all(|(at, letter)| self.text.get(self.at + at) == Some(&letter))
    }

    fn blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    /// Text and actions, up to the end or to `{end}`.
    fn nodes(&mut self, in_range: bool) -> Read<Vec<Node>> {
        let mut nodes = Vec::new();
        loop {
            let mut text = String::new();
            while let Some(letter) = self.peek().filter(|letter| *letter != '{') {
                text.push(letter);
                self.at += 1;
            }
            if !text.is_empty() {
                nodes.push(Node::Text(text));
            }
            if self.next().is_none() {
                return if in_range { Err("unclosed range".to_owned()) } else { Ok(nodes) };
            }
            if self.action(&mut nodes)? {
                return if in_range { Ok(nodes) } else { Err("not in range, nothing to end".to_owned()) };
            }
        }
    }

    /// What stands between braces; `true`: it was `{end}`.
    fn action(&mut self, nodes: &mut Vec<Node>) -> Read<bool> {
        loop {
            self.blanks();
            match self.peek() {
                None => return Err("unclosed action".to_owned()),
                Some('}') => {
                    self.at += 1;
                    return Ok(false);
                }
                Some(quote @ ('"' | '\'')) => {
                    self.at += 1;
                    nodes.push(Node::Text(self.quoted(quote)?));
                }
                Some('.' | '[' | '@' | '$') => nodes.push(Node::Path(self.path()?)),
                Some(_) if self.starts("range") => {
                    self.at += 5;
                    self.blanks();
                    let path = self.path()?;
                    self.blanks();
                    if self.next() != Some('}') {
                        return Err("unclosed action".to_owned());
                    }
                    nodes.push(Node::Range(path, self.nodes(true)?));
                    return Ok(false);
                }
                Some(_) if self.starts("end") => {
                    self.at += 3;
                    self.blanks();
                    if self.next() != Some('}') {
                        return Err("unclosed action".to_owned());
                    }
                    return Ok(true);
                }
                Some(letter) if letter.is_ascii_alphabetic() => {
                    let word = self.word();
                    return Err(format!("unrecognized identifier {word}"));
                }
                Some(other) => {
                    return Err(format!(
                        "unrecognized character in action: U+{:04X} '{other}'",
                        other as u32
                    ));
                }
            }
        }
    }

    fn word(&mut self) -> String {
        let mut word = String::new();
        while let Some(letter) = self.peek().filter(|c| c.is_alphanumeric() || "_-\\/".contains(*c)) {
            self.at += 1;
            // A point in a name is written `\.`.
            match letter {
                '\\' => word.extend(self.next()),
                letter => word.push(letter),
            }
        }
        word
    }

    fn quoted(&mut self, quote: char) -> Read<String> {
        let mut text = String::new();
        loop {
            match self.next().ok_or("unterminated quoted string")? {
                letter if letter == quote => return Ok(text),
                '\\' => match self.next().ok_or("unterminated quoted string")? {
                    'n' => text.push('\n'),
                    't' => text.push('\t'),
                    'r' => text.push('\r'),
                    other => text.push(other),
                },
                letter => text.push(letter),
            }
        }
    }

    fn path(&mut self) -> Read<Vec<Step>> {
        let mut steps = Vec::new();
        loop {
            match self.peek() {
                Some('@' | '$') if steps.is_empty() => self.at += 1,
                Some('.') if self.starts("..") => {
                    self.at += 2;
                    steps.push(Step::Below);
                    if self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                        steps.push(Step::Field(self.word()));
                    } else if self.peek() == Some('*') {
                        self.at += 1;
                        steps.push(Step::All);
                    }
                }
                Some('.') => {
                    self.at += 1;
                    match self.peek() {
                        Some('*') => {
                            self.at += 1;
                            steps.push(Step::All);
                        }
                        Some('[') => {}
                        _ => {
                            let word = self.word();
                            if !word.is_empty() {
                                steps.push(Step::Field(word));
                            }
                        }
                    }
                }
                Some('[') => {
                    self.at += 1;
                    steps.push(self.brackets()?);
                }
                _ => return Ok(steps),
            }
        }
    }

    fn brackets(&mut self) -> Read<Step> {
        self.blanks();
        if self.starts("?(") {
            self.at += 2;
            return self.filter();
        }
        let mut all = Vec::new();
        loop {
            self.blanks();
            match self.peek().ok_or("unterminated array")? {
                quote @ ('"' | '\'') => {
                    self.at += 1;
                    all.push(Step::Field(self.quoted(quote)?));
                }
                '*' => {
                    self.at += 1;
                    all.push(Step::All);
                }
                _ => all.push(self.range()?),
            }
            self.blanks();
            match self.next().ok_or("unterminated array")? {
                ']' if all.len() == 1 => return Ok(all.remove(0)),
                ']' => return Ok(Step::Union(all)),
                ',' => {}
                _ => return Err("unterminated array".to_owned()),
            }
        }
    }

    fn range(&mut self) -> Read<Step> {
        let mut text = String::new();
        while let Some(letter) = self.peek().filter(|c| c.is_ascii_digit() || "-:".contains(*c)) {
            text.push(letter);
            self.at += 1;
        }
        let parts: Vec<&str> = text.split(':').collect();
        let number = |part: Option<&&str>| match part {
            None | Some(&"") => Ok(None),
            Some(part) => part.parse::<i64>().map(Some).map_err(|_| format!("invalid array index {text}")),
        };
        if text.is_empty() || parts.len() > 3 {
            return Err(format!("invalid array index {}", self.peek().map_or(text, String::from)));
        }
        let step = number(parts.get(2))?.unwrap_or(1);
        Ok(Step::Slice {
            start: number(parts.first())?,
            end: number(parts.get(1))?,
            step,
            is_index: parts.len() == 1,
        })
    }

    fn filter(&mut self) -> Read<Step> {
        let left = self.operand()?;
        self.blanks();
        let sign = ["==", "!=", "<=", ">=", "<", ">"].into_iter().find(|sign| self.starts(sign));
        let test = match sign {
            None => None,
            Some(sign) => {
                self.at += sign.len();
                Some((sign.to_owned(), self.operand()?))
            }
        };
        self.blanks();
        if !self.starts(")]") {
            return Err("unterminated filter".to_owned());
        }
        self.at += 2;
        Ok(Step::Filter(left, test))
    }

    fn operand(&mut self) -> Read<Operand> {
        self.blanks();
        match self.peek().ok_or("unterminated filter")? {
            quote @ ('"' | '\'') => {
                self.at += 1;
                Ok(Operand::Value(Value::String(self.quoted(quote)?)))
            }
            '@' | '.' | '$' | '[' => self.path().map(Operand::Path),
            _ => {
                let mut text = String::new();
                while let Some(letter) = self.peek().filter(|c| c.is_alphanumeric() || "+-.".contains(*c)) {
                    text.push(letter);
                    self.at += 1;
                }
                let value =
                    serde_json::from_str(&text).map_err(|_| format!("unrecognized identifier {text}"))?;
                Ok(Operand::Value(value))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn said(template: &str) -> Result<String, Failure> {
        let list = json!({"items": [
            {"metadata": {"name": "a", "labels": {"app.x/y": "1"}}, "n": 1, "ports": [80, 443]},
            {"metadata": {"name": "b"}, "n": 2, "ports": [53], "up": true},
        ]});
        Template::parse(template)?.text(&list)
    }

    #[test]
    fn paths_find_fields_items_and_slices() {
        for (template, expected) in [
            ("{.items[*].metadata.name}", "a b"),
            ("{.items[0].metadata.name}", "a"),
            ("{.items[-1].metadata.name}", "b"),
            ("{$.items[0:1].n}", "1"),
            ("{.items[*]['n','up']}", "1 2 true"),
            ("{.items[0].metadata['labels']}", "{\"app.x/y\":\"1\"}"),
            ("{.items[0].metadata.labels.app\\.x/y}", "1"),
            ("{..name}", "a b"),
            ("{.items[*].missing}", ""),
            ("{.items[0].ports}", "[80,443]"),
            ("plain {.items[1].n}!", "plain 2!"),
            (".items", ".items"),
        ] {
            assert_eq!(said(template), Ok(expected.to_owned()), "{template}");
        }
    }

    #[test]
    fn ranges_repeat_their_body() {
        let template = "{range .items[*]}{.metadata.name}{\"\\t\"}{@.n}{'\\n'}{end}";
        assert_eq!(said(template), Ok("a\t1\nb\t2\n".to_owned()));
    }

    #[test]
    fn filters_compare() {
        for (template, expected) in [
            ("{.items[?(@.metadata.name==\"b\")].n}", "2"),
            ("{.items[?(@.n>=1)].n}", "1 2"),
            ("{.items[?(@.up)].metadata.name}", "b"),
            ("{.items[?(@.metadata.name != 'b')].n}", "1"),
        ] {
            assert_eq!(said(template), Ok(expected.to_owned()), "{template}");
        }
    }

    #[test]
    fn errors_name_the_template() {
        let error = |template: &str| match said(template) {
            Err(Failure::Own(text)) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(error("{.items[*}"), "error parsing jsonpath {.items[*}, unterminated array");
        assert_eq!(error("{.items"), "error parsing jsonpath {.items, unclosed action");
        assert_eq!(
            error("{.items[5].n}"),
            "error executing jsonpath \"{.items[5].n}\": Error executing template: array index out of bounds: index 5, length 2."
        );
    }
}
