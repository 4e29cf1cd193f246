//! JSON as Go's `encoding/json` reads and writes it, with its messages: what is not JSON, or has another type than a field.

use std::net::Ipv4Addr;

use serde::Serialize;
use serde_json::ser::PrettyFormatter;
use serde_json::{Map, Serializer, Value};

use super::types::IpNet;

/// Nesting that serde_json reads, and one more.
const DEEPEST: usize = 127;

/// Reads a text.
///
/// # Errors
///
/// Go's message about what is wrong.
pub(super) fn parse(text: &[u8]) -> Result<Value, String> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.value(0)?;
    scanner.blanks();
    if scanner.peek().is_some() {
        return Err(scanner.unexpected("after top-level value"));
    }
    serde_json::from_slice(text).map_err(|error| error.to_string())
}

/// Looks for the first mistake.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// What stands here does not belong there.
    fn unexpected(&self, place: &str) -> String {
        let Some(byte) = self.peek() else { return "unexpected end of JSON input".to_owned() };
        let quoted = match byte {
            b'\'' => r"'\''".to_owned(),
            b'"' => "'\"'".to_owned(),
            _ => format!("'{}'", char::from(byte).escape_default()),
        };
        format!("invalid character {quoted} {place}")
    }

    fn value(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err("exceeded max depth".to_owned());
        }
        self.blanks();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            _ => Err(self.unexpected("looking for beginning of value")),
        }
    }

    fn object(&mut self, depth: usize) -> Result<(), String> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.blanks();
            if self.peek() != Some(b'"') {
                return Err(self.unexpected("looking for beginning of object key string"));
            }
            self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.unexpected("after object key"));
            }
            self.at += 1;
            self.value(depth + 1)?;
            if self.ends(b'}', "after object key:value pair")? {
                return Ok(());
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), String> {
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(depth + 1)?;
            if self.ends(b']', "after array element")? {
                return Ok(());
            }
        }
    }

    /// Whether it is over after a value, or goes on.
    fn ends(&mut self, end: u8, place: &str) -> Result<bool, String> {
        self.blanks();
        match self.peek() {
            Some(byte) if byte == end || byte == b',' => {
                self.at += 1;
                Ok(byte == end)
            }
            _ => Err(self.unexpected(place)),
        }
    }

    fn string(&mut self) -> Result<(), String> {
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(());
                }
                Some(b'\\') => {
                    self.at += 1;
                    self.escape()?;
                }
                Some(0x20..) => self.at += 1,
                _ => return Err(self.unexpected("in string literal")),
            }
        }
    }

    fn escape(&mut self) -> Result<(), String> {
        match self.peek() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
            Some(b'u') => {
                self.at += 1;
                for _ in 0..4 {
                    if !self.peek().is_some_and(|byte| byte.is_ascii_hexdigit()) {
                        return Err(self.unexpected("in \\u hexadecimal character escape"));
                    }
                    self.at += 1;
                }
            }
            _ => return Err(self.unexpected("in string escape code")),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<(), String> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits("in numeric literal")?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits("after decimal point in numeric literal")?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits("in exponent of numeric literal")?;
        }
        Ok(())
    }

    /// One digit at least.
    fn digits(&mut self, place: &str) -> Result<(), String> {
        if !self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            return Err(self.unexpected(place));
        }
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        Ok(())
    }

    fn literal(&mut self, word: &str) -> Result<(), String> {
        for expected in word.bytes() {
            if self.peek() != Some(expected) {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return Err(self.unexpected(&place));
            }
            self.at += 1;
        }
        Ok(())
    }
}

/// An object that is read into a struct of Go.
pub(super) struct Fields<'a> {
    /// The struct's name.
    of: &'static str,
    /// The way to it, with a full stop at the end.
    way: String,
    map: Option<&'a Map<String, Value>>,
}

/// How Go calls the type of a value.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl<'a> Fields<'a> {
    /// The text's own object.
    pub(super) fn of(of: &'static str, value: &'a Value) -> Result<Self, String> {
        let map = value.as_object();
        if map.is_none() && !value.is_null() {
            return Err(format!("json: cannot unmarshal {} into Go value of type {of}", kind(value)));
        }
        // Packages have no names in structs' names.
        Ok(Fields { of: of.rsplit('.').next().unwrap_or(of), way: String::new(), map })
    }

    /// A field that is there; names are the same in whatever case.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        let map = self.map?;
        let found = map
            .get(key)
            .or_else(|| map.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, value)| value));
        found.filter(|value| !value.is_null())
    }

    fn mismatch(&self, what: &str, key: &str, go: &str) -> String {
        let (of, way) = (self.of, &self.way);
        format!("json: cannot unmarshal {what} into Go struct field {of}.{way}{key} of type {go}")
    }

    fn read<T>(
        &self,
        key: &str,
        go: &str,
        of: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, String> {
        let Some(value) = self.get(key) else { return Ok(None) };
        of(value).map(Some).ok_or_else(|| self.mismatch(kind(value), key, go))
    }

    pub(super) fn string(&self, key: &str) -> Result<String, String> {
        Ok(self.read(key, "string", Value::as_str)?.unwrap_or_default().to_owned())
    }

    pub(super) fn boolean(&self, key: &str) -> Result<bool, String> {
        Ok(self.flag(key)?.unwrap_or_default())
    }

    /// A switch that may be neither on nor off.
    pub(super) fn flag(&self, key: &str) -> Result<Option<bool>, String> {
        self.read(key, "bool", Value::as_bool)
    }

    pub(super) fn int(&self, key: &str) -> Result<i64, String> {
        self.number(key, "int", Value::as_i64)
    }

    pub(super) fn uint(&self, key: &str, go: &str) -> Result<u64, String> {
        self.number(key, go, Value::as_u64)
    }

    /// A number; what the type has no room for is told with the number.
    fn number<T: Default>(
        &self,
        key: &str,
        go: &str,
        of: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, String> {
        match self.get(key) {
            None => Ok(T::default()),
            Some(Value::Number(number)) => of(&Value::Number(number.clone()))
                .ok_or_else(|| self.mismatch(&format!("number {number}"), key, go)),
            Some(value) => Err(self.mismatch(kind(value), key, go)),
        }
    }

    /// An object, empty if it is not there.
    pub(super) fn object(&self, key: &str, of: &'static str) -> Result<Fields<'a>, String> {
        let map = self.read(key, of, Value::as_object)?;
        Ok(self.inside(key, of, map))
    }

    fn inside(&self, key: &str, of: &'static str, map: Option<&'a Map<String, Value>>) -> Fields<'a> {
        let of = of.trim_start_matches('*').rsplit('.').next().unwrap_or(of);
        Fields { of, way: format!("{}{key}.", self.way), map }
    }

    /// The elements of a list.
    pub(super) fn list(&self, key: &str, go: &str) -> Result<&'a [Value], String> {
        Ok(self.read(key, go, Value::as_array)?.map_or(&[], Vec::as_slice))
    }

    /// A list of objects of a struct.
    pub(super) fn objects(&self, key: &str, of: &'static str) -> Result<Vec<Fields<'a>>, String> {
        self.elements(self.list(key, &format!("[]{of}"))?, key, of)
    }

    /// Elements of a list as objects of a struct.
    pub(super) fn elements(
        &self,
        list: &'a [Value],
        key: &str,
        of: &'static str,
    ) -> Result<Vec<Fields<'a>>, String> {
        let object = |value: &'a Value| match value {
            Value::Object(map) => Ok(self.inside(key, of, Some(map))),
            Value::Null => Ok(self.inside(key, of, None)),
            _ => Err(self.mismatch(kind(value), key, of.trim_start_matches('*'))),
        };
        list.iter().map(object).collect()
    }

    pub(super) fn strings(&self, key: &str) -> Result<Vec<String>, String> {
        let text = |value: &Value| {
            value.as_str().map(str::to_owned).ok_or_else(|| self.mismatch(kind(value), key, "string"))
        };
        self.list(key, "[]string")?.iter().map(text).collect()
    }

    /// A map of strings, in the order of its keys.
    pub(super) fn string_map(&self, key: &str) -> Result<Vec<(String, String)>, String> {
        let Some(map) = self.read(key, "map[string]string", Value::as_object)? else { return Ok(Vec::new()) };
        let text = |(name, value): (&String, &Value)| {
            let text = value.as_str().ok_or_else(|| self.mismatch(kind(value), key, "string"))?;
            Ok((name.clone(), text.to_owned()))
        };
        let mut all: Vec<_> = map.iter().map(text).collect::<Result<_, String>>()?;
        all.sort();
        Ok(all)
    }

    /// A network in CIDR notation.
    pub(super) fn cidr(&self, key: &str) -> Result<Option<IpNet>, String> {
        self.read(key, "string", Value::as_str)?.map(IpNet::parse).transpose()
    }

    /// An address; an empty string is none.
    pub(super) fn ip(&self, key: &str) -> Result<Option<Ipv4Addr>, String> {
        let text = self.read(key, "net.IP", Value::as_str)?.filter(|text| !text.is_empty());
        text.map(|text| parse_ip(text, || format!("invalid IP address: {text}"))).transpose()
    }
}

/// An address of IPv4; one of IPv6 is refused by name.
pub(super) fn parse_ip(text: &str, invalid: impl FnOnce() -> String) -> Result<Ipv4Addr, String> {
    if text.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(format!("not modelled yet: the IPv6 address {text}"));
    }
    text.parse().map_err(|_| invalid())
}

/// Writes a value as Go does, with its fields' lines indented.
pub(super) fn print(value: &impl Serialize, indent: &str) -> String {
    let mut bytes = Vec::new();
    let mut serializer =
        Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(indent.as_bytes()));
    // Values of this program can be written, and memory does not refuse them.
    let _ = value.serialize(&mut serializer);
    escape(&String::from_utf8_lossy(&bytes))
}

/// Writes a value in one line.
pub(super) fn print_line(value: &impl Serialize) -> String {
    escape(&serde_json::to_string(value).unwrap_or_default())
}

/// Go writes what HTML knows by its number.
fn escape(text: &str) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_as_go_does() {
        let said = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(said(""), "unexpected end of JSON input");
        assert_eq!(said("{"), "unexpected end of JSON input");
        assert_eq!(said("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(said("{x}"), "invalid character 'x' looking for beginning of object key string");
        assert_eq!(said("{\"a\" 1}"), "invalid character '1' after object key");
        assert_eq!(said("{\"a\":1 \"b\"}"), "invalid character '\"' after object key:value pair");
        assert_eq!(said("[1,]"), "invalid character ']' looking for beginning of value");
        assert_eq!(said("[1 2]"), "invalid character '2' after array element");
        assert_eq!(said("{} x"), "invalid character 'x' after top-level value");
        assert_eq!(said("foo"), "invalid character 'o' in literal false (expecting 'a')");
        assert_eq!(said("\"\n"), "invalid character '\\n' in string literal");
        assert_eq!(said("-x"), "invalid character 'x' in numeric literal");
        assert_eq!(said(&"[".repeat(1_000_000)), "exceeded max depth");
    }

    #[test]
    fn a_value_of_another_type_is_told_with_the_way_to_it() {
        let value = parse(br#"{"mtu":"x","IPAM":{"type":3},"rate":-5}"#).unwrap();
        let fields = Fields::of("NetConf", &value).unwrap();
        let of = "json: cannot unmarshal";
        let said = fields.int("mtu").unwrap_err();
        assert_eq!(said, format!("{of} string into Go struct field NetConf.mtu of type int"));
        let said = fields.object("ipam", "types.IPAM").unwrap().string("type").unwrap_err();
        assert_eq!(said, format!("{of} number into Go struct field IPAM.ipam.type of type string"));
        let said = fields.uint("rate", "uint64").unwrap_err();
        assert_eq!(said, format!("{of} number -5 into Go struct field NetConf.rate of type uint64"));
    }
}
