//! Output as text or JSON.
//!
//! The layout of the JSON is iproute2's: compact, or indented with `-p`.

use std::fmt::{Display, Write};

/// A value of JSON.
#[derive(Clone, Debug)]
pub enum Value {
    /// A text.
    Str(String),
    /// A whole number.
    Num(i64),
    /// A number beyond `i64`.
    Big(u64),
    /// True or false.
    Bool(bool),
    /// Already JSON, such as `0.00`.
    Raw(String),
    /// `null`.
    Null,
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Str(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Str(text)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Bool(value)
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Big(value)
    }
}

macro_rules! from_number {
    ($($int:ty)*) => {
        $(impl From<$int> for Value {
            fn from(value: $int) -> Value {
                Value::Num(i64::from(value))
            }
        })*
    };
}
from_number!(u8 u16 u32 i32 i64);

/// Meaning of a text, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Name of a device.
    Ifname,
    /// Link-layer address.
    Mac,
    /// IPv4 address.
    Inet,
    /// Operational state up.
    Up,
    /// Operational state down.
    Down,
}

impl Color {
    /// The escape sequence for light backgrounds, iproute2's default.
    fn escape(self) -> &'static str {
        match self {
            Color::Ifname => "\x1b[36m",
            Color::Mac => "\x1b[33m",
            Color::Inet => "\x1b[35m",
            Color::Up => "\x1b[32m",
            Color::Down => "\x1b[31m",
        }
    }
}

/// Output format.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// `-j`.
    pub json: bool,
    /// `-p`.
    pub pretty: bool,
    /// `-o`.
    pub oneline: bool,
    /// `-c`.
    pub color: bool,
}

/// Collects the output of a command.
#[derive(Debug)]
pub struct Out {
    style: Style,
    text: String,
    depth: usize,
    /// The next value needs a comma before it.
    comma: bool,
}

impl Out {
    /// Begins; JSON output is one array.
    pub fn new(style: Style) -> Out {
        let mut out = Out { style, text: String::new(), depth: 0, comma: false };
        out.open_array(None);
        out
    }

    /// Ends the output and returns it.
    pub fn finish(mut self) -> String {
        self.close_array();
        if self.style.json {
            self.text.push('\n');
        }
        self.text
    }

    /// The format is JSON.
    pub fn is_json(&self) -> bool {
        self.style.json
    }

    /// Text, not in JSON.
    pub fn text(&mut self, text: impl Display) {
        if !self.style.json {
            let _ = write!(self.text, "{text}");
        }
    }

    /// A value in JSON, not in text.
    pub fn json(&mut self, key: &str, value: impl Into<Value>) {
        if self.style.json {
            self.name(Some(key));
            self.value(value.into());
        }
    }

    /// A value: in JSON under its key, in text as `text`.
    pub fn any(&mut self, key: &str, value: impl Into<Value>, text: impl Display) {
        self.json(key, value);
        self.text(text);
    }

    /// As [`Out::any`], in colour.
    pub fn color(&mut self, color: Option<Color>, key: &str, value: impl Into<Value>, text: impl Display) {
        self.json(key, value);
        match color {
            Some(color) if self.style.color => self.text(format_args!("{}{text}\x1b[0m", color.escape())),
            _ => self.text(text),
        }
    }

    /// An element of an array.
    pub fn item(&mut self, value: impl Into<Value>, text: impl Display) {
        if self.style.json {
            self.name(None);
            self.value(value.into());
        }
        self.text(text);
    }

    /// A line end; a backslash with `-o`.
    pub fn nl(&mut self) {
        self.text(if self.style.oneline { "\\" } else { "\n" });
    }

    /// Ends a line, in JSON too.
    pub fn line(&mut self) {
        self.text.push('\n');
    }

    /// Begins an object.
    pub fn open(&mut self, key: Option<&str>) {
        if self.style.json {
            self.name(key);
            self.begin('{');
        }
    }

    /// Ends an object.
    pub fn close(&mut self) {
        if self.style.json {
            self.depth -= 1;
            if self.comma {
                self.indent();
            }
            self.text.push('}');
            self.comma = true;
        }
    }

    /// Begins an array.
    pub fn open_array(&mut self, key: Option<&str>) {
        if self.style.json {
            self.name(key);
            self.begin('[');
            if self.style.pretty {
                self.text.push(' ');
            }
        }
    }

    /// Ends an array.
    pub fn close_array(&mut self) {
        if self.style.json {
            self.depth -= 1;
            if self.style.pretty && self.comma {
                self.text.push(' ');
            }
            self.text.push(']');
            self.comma = true;
        }
    }

    fn begin(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth += 1;
        self.comma = false;
    }

    fn indent(&mut self) {
        if self.style.pretty {
            self.text.push('\n');
            self.text.extend(std::iter::repeat_n(' ', 4 * self.depth));
        }
    }

    /// The comma before a value and, in an object, its key.
    fn name(&mut self, key: Option<&str>) {
        if self.comma {
            self.text.push(',');
        }
        self.comma = false;
        let Some(key) = key else { return };
        self.indent();
        let _ = write!(self.text, "\"{key}\":{}", if self.style.pretty { " " } else { "" });
    }

    fn value(&mut self, value: Value) {
        let _ = match value {
            Value::Str(text) => {
                self.quoted(&text);
                Ok(())
            }
            Value::Num(number) => write!(self.text, "{number}"),
            Value::Big(number) => write!(self.text, "{number}"),
            Value::Bool(truth) => write!(self.text, "{truth}"),
            Value::Raw(json) => write!(self.text, "{json}"),
            Value::Null => write!(self.text, "null"),
        };
        self.comma = true;
    }

    fn quoted(&mut self, text: &str) {
        self.text.push('"');
        for char in text.chars() {
            match char {
                '\t' => self.text.push_str("\\t"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\x0c' => self.text.push_str("\\f"),
                '\x08' => self.text.push_str("\\b"),
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                other => self.text.push(other),
            }
        }
        self.text.push('"');
    }
}
