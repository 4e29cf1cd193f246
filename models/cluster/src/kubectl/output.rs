//! Objects as YAML and JSON, in the form that `kubectl` writes (go-yaml, `encoding/json`).

use serde_json::Value;

/// Columns behind which go-yaml folds a line.
const WIDTH: usize = 80;

/// As `-o yaml`.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    node(&mut out, value, 0, false);
    out
}

/// Writes a value whose line has begun; `after_key`: behind `key:`.
fn node(out: &mut String, value: &Value, indent: usize, after_key: bool) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            let pad = " ".repeat(indent);
            for (at, (key, inside)) in fields.iter().enumerate() {
                match (at, after_key) {
                    (0, true) => out.push_str(&format!("\n{pad}")),
                    (0, false) => {}
                    _ => out.push_str(&pad),
                }
                scalar(out, key, indent);
                out.push(':');
                match inside {
                    Value::Array(items) if !items.is_empty() => node(out, inside, indent, true),
                    _ => node(out, inside, indent + 2, true),
                }
            }
        }
        Value::Array(items) if !items.is_empty() => {
            let pad = " ".repeat(indent);
            for (at, item) in items.iter().enumerate() {
                match (at, after_key) {
                    (0, true) => out.push_str(&format!("\n{pad}")),
                    (0, false) => {}
                    _ => out.push_str(&pad),
                }
                out.push_str("- ");
                node(out, item, indent + 2, false);
            }
        }
        other => {
            if after_key {
                out.push(' ');
            }
            match other {
                Value::Object(_) => out.push_str("{}"),
                Value::Array(_) => out.push_str("[]"),
                Value::String(text) => scalar(out, text, indent),
                other => out.push_str(&other.to_string()),
            }
            out.push('\n');
        }
    }
}

/// Writes a text in the style that go-yaml takes for it; further lines have this indentation.
fn scalar(out: &mut String, text: &str, indent: usize) {
    let is_special = |c: char| c.is_control() && c != '\n' || c == '\u{feff}';
    let has_bad_break = text.contains(" \n");
    if text.contains('\n') && !has_bad_break && !text.chars().any(is_special) && !text.starts_with('\n') {
        literal(out, text, indent);
    } else if text.contains('\n') || text.chars().any(is_special) || is_another_type(text) {
        let quoted = serde_json::to_string(text).unwrap_or_default();
        fold(out, &quoted, indent);
    } else if is_plain(text) {
        fold(out, text, indent);
    } else {
        fold(out, &format!("'{}'", text.replace('\'', "''")), indent);
    }
}

fn literal(out: &mut String, text: &str, indent: usize) {
    let chomp = match () {
        () if text.ends_with("\n\n") => "+",
        () if text.ends_with('\n') => "",
        () => "-",
    };
    let hint = if text.starts_with(' ') { "2" } else { "" };
    out.push_str(&format!("|{hint}{chomp}"));
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            out.push_str(&format!("{}{line}", " ".repeat(indent)));
        }
    }
}

/// Breaks the line at the first blank behind the width.
fn fold(out: &mut String, text: &str, indent: usize) {
    let start = out.rfind('\n').map_or(0, |at| at + 1);
    let mut column = out[start..].chars().count();
    let letters: Vec<char> = text.chars().collect();
    for (at, letter) in letters.iter().enumerate() {
        let beside = |other: Option<&char>| other.is_some_and(|other| *other != ' ');
        let single = *letter == ' ' && at > 0 && beside(letters.get(at - 1)) && beside(letters.get(at + 1));
        if single && column > WIDTH {
            out.push_str(&format!("\n{}", " ".repeat(indent)));
            column = indent;
        } else {
            out.push(*letter);
            column += 1;
        }
    }
}

/// Unquoted, it would be a number, a truth value, a time or nothing.
fn is_another_type(text: &str) -> bool {
    const WORDS: &[&str] = &["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let lower = text.to_ascii_lowercase();
    let has_case = text == lower || text.chars().all(|c| c.is_ascii_uppercase()) || {
        let mut letters = text.chars();
        letters.next().is_some_and(|c| c.is_ascii_uppercase()) && letters.all(|c| c.is_ascii_lowercase())
    };
    if text.is_empty() || text == "~" || text == "<<" || has_case && WORDS.contains(&lower.as_str()) {
        return true;
    }
    let unsigned = text.trim_start_matches(['+', '-']);
    if text.len() - unsigned.len() > 1 || !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let plain = unsigned.replace('_', "");
    let radix = |prefix: &str, radix| {
        plain.strip_prefix(prefix).is_some_and(|digits| u64::from_str_radix(digits, radix).is_ok())
    };
    let inside = |c: char| c.is_ascii_digit() || "+-.eE".contains(c);
    let is_float = plain.chars().all(inside) && plain.parse::<f64>().is_ok();
    let is_base60 =
        plain.contains(':') && plain.split(':').all(|part| !part.is_empty() && part.parse::<f64>().is_ok());
    let is_date = text.len() >= 8
        && text.split('T').next().is_some_and(|date| {
            let parts: Vec<&str> = date.split(' ').next().unwrap_or(date).split('-').collect();
            parts.len() == 3 && parts[0].len() == 4 && parts.iter().all(|part| part.parse::<u32>().is_ok())
        });
    let special =
        ["inf", "nan"].iter().any(|word| lower.trim_start_matches(['+', '-']) == format!(".{word}"));
    radix("0x", 16) || radix("0b", 2) || radix("0o", 8) || is_float || is_base60 || is_date || special
}

/// It needs no quotes.
fn is_plain(text: &str) -> bool {
    let followed = |rest: &str| rest.is_empty() || rest.starts_with(' ');
    let first = text.chars().next().unwrap_or(' ');
    if "#,[]{}&*!|>'\"%@`".contains(first) || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if text.starts_with(' ') || text.ends_with(' ') || "?-:".contains(first) && followed(&text[1..]) {
        return false;
    }
    !text.contains(" #") && !text.contains(": ") && !text.ends_with(':')
}

/// As `-o json`.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    json_node(&mut out, value, Some(0));
    out.push('\n');
    out
}

/// JSON in one line, as Go writes it.
pub(super) fn compact(value: &Value) -> String {
    let mut out = String::new();
    json_node(&mut out, value, None);
    out
}

fn json_node(out: &mut String, value: &Value, depth: Option<usize>) {
    let line = |out: &mut String, depth: Option<usize>| {
        if let Some(depth) = depth {
            out.push_str(&format!("\n{}", "    ".repeat(depth)));
        }
    };
    let inner = depth.map(|depth| depth + 1);
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            out.push('{');
            for (at, (key, inside)) in fields.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(out, inner);
                out.push_str(&escaped(key));
                out.push_str(if depth.is_some() { ": " } else { ":" });
                json_node(out, inside, inner);
            }
            line(out, depth);
            out.push('}');
        }
        Value::Array(items) if !items.is_empty() => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { "," } else { "" });
                line(out, inner);
                json_node(out, item, inner);
            }
            line(out, depth);
            out.push(']');
        }
        Value::String(text) => out.push_str(&escaped(text)),
        other => out.push_str(&other.to_string()),
    }
}

/// A string in JSON, fit for HTML as Go writes it.
fn escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lists_are_not_indented_and_keys_are_sorted() {
        let value = json!({"kind": "Pod", "apiVersion": "v1", "items": [{"b": "1", "a": [{"x": 1}]}, "z"], "e": {}, "l": []});
        assert_eq!(
            yaml(&value),
            "apiVersion: v1\ne: {}\nitems:\n- a:\n  - x: 1\n  b: \"1\"\n- z\nkind: Pod\nl: []\n"
        );
    }

    #[test]
    fn texts_are_quoted_as_go_yaml_does() {
        for (text, shown) in [
            ("yes", "\"yes\""),
            ("80", "\"80\""),
            ("1.36", "\"1.36\""),
            ("10.0.0.1", "10.0.0.1"),
            ("10.244.0.0/16", "10.244.0.0/16"),
            ("2024-01-01T00:00:00Z", "\"2024-01-01T00:00:00Z\""),
            ("*", "'*'"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("", "\"\""),
            ("25%", "25%"),
            ("true", "\"true\""),
            ("tRue", "tRue"),
        ] {
            assert_eq!(yaml(&json!({"k": text})), format!("k: {shown}\n"), "{text}");
        }
        assert_eq!(yaml(&json!({"k": {"a": "x\ny\n"}})), "k:\n  a: |\n    x\n    y\n");
        assert_eq!(yaml(&json!(["x\ny"])), "- |-\n  x\n  y\n");
    }

    #[test]
    fn long_lines_are_folded() {
        let text = format!("{} {} end", "a".repeat(60), "b".repeat(30));
        assert_eq!(yaml(&json!({"k": text})), format!("k: {} {}\n  end\n", "a".repeat(60), "b".repeat(30)));
    }

    #[test]
    fn json_has_four_blanks_a_level() {
        assert_eq!(
            json(&json!({"b": [1], "a": {}, "c": "<"})),
            "{\n    \"a\": {},\n    \"b\": [\n        1\n    ],\n    \"c\": \"\\u003c\"\n}\n"
        );
        assert_eq!(compact(&json!({"b": [1, 2], "a": {}})), "{\"a\":{},\"b\":[1,2]}");
    }
}
