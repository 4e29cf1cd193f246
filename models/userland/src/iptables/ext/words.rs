//! Common parts of extensions that do not use the guided options: errors, quoting, marks, conflicts, warnings.

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::{Given, XtError, x6};

/// An error with the extension's own text.
///
/// # Errors
///
/// Always this one.
pub fn parameter<T>(text: impl Into<String>) -> Result<T, XtError> {
    Err(XtError::Parameter(text.into()))
}

/// An error that the real tool finds when all options were read.
///
/// # Errors
///
/// Always this one.
pub fn incomplete<T>(text: impl Into<String>) -> Result<T, XtError> {
    Err(XtError::Final(text.into()))
}

/// `EXT: Bad value for "--X" option: "VALUE"` (`XTF_BAD_VALUE`).
///
/// # Errors
///
/// Always this one.
pub fn bad_value<T>(ext: &str, option: &str, value: &str) -> Result<T, XtError> {
    parameter(format!("{ext}: Bad value for \"--{option}\" option: \"{value}\""))
}

/// Checks for conflicting options in the order of the extension's table, not of the command line
/// (`xtables_options_fcheck`): each row has an option and those that it conflicts with.
///
/// # Errors
///
/// The first conflict.
pub fn conflicts(ext: &str, given: &[Given], table: &[(&str, &[&str])]) -> Result<(), XtError> {
    let is_given = |name: &str| given.iter().any(|given| given.name == name);
    for (name, others) in table.iter().filter(|row| is_given(row.0)) {
        if let Some(other) = others.iter().find(|other| is_given(other)) {
            let text = format!("option \"--{name}\" cannot be used together with \"--{other}\".");
            return incomplete(format!("{ext}: {text}\n"));
        }
    }
    Ok(())
}

/// Options by their first name, each at most once: `aliases` has pairs of alias and first name.
///
/// # Errors
///
/// An option that is given twice, also by an alias.
pub fn canonical(
    ext: &str,
    given: &[Given],
    aliases: &[(&str, &'static str)],
) -> Result<Vec<Given>, XtError> {
    let mut found: Vec<Given> = Vec::new();
    for option in given {
        let mut option = option.clone();
        if let Some(alias) = aliases.iter().find(|alias| alias.0 == option.name) {
            option.name = alias.1;
        }
        if found.iter().any(|before| before.name == option.name) {
            return x6::error(ext, &format!("option \"--{}\" can only be used once.", option.name));
        }
        found.push(option);
    }
    Ok(found)
}

/// A word as `iptables-save` writes it: bare where it has only letters, digits, `-` and `_`, else quoted.
pub fn save_string(text: &str, out: &mut String) {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    out.push(' ');
    if !text.is_empty() && text.bytes().all(is_plain) {
        out.push_str(text);
        return;
    }
    out.push('"');
    for letter in text.chars() {
        if matches!(letter, '"' | '\\' | '\'') {
            out.push('\\');
        }
        out.push(letter);
    }
    out.push('"');
}

/// At most `max` bytes of a word, cut between characters.
pub fn truncated(text: &str, max: usize) -> String {
    let end = (0..=max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text[..end].to_owned()
}

/// A mark with its mask, which is omitted if it is full.
pub fn show_mark(mark: u32, mask: u32, out: &mut String) {
    let _ = match mask {
        u32::MAX => write!(out, "0x{mark:x}"),
        mask => write!(out, "0x{mark:x}/0x{mask:x}"),
    };
}

/// A mark as `MARK` and `CONNMARK` print it.
pub fn show_set_mark(mark: u32, mask: u32, out: &mut String) {
    let _ = match (mark, mask) {
        (0, mask) => write!(out, " and 0x{:x}", !mask),
        (mark, mask) if mark == mask => write!(out, " or 0x{mark:x}"),
        (mark, 0) => write!(out, " xor 0x{mark:x}"),
        (mark, u32::MAX) => write!(out, " set 0x{mark:x}"),
        (mark, mask) => write!(out, " xset 0x{mark:x}/0x{mask:x}"),
    };
}

/// Value and mask of `--set-xmark`, `--set-mark`, `--and-mark`, `--or-mark` or `--xor-mark`.
///
/// # Errors
///
/// Those of [`x6::uint`] and [`x6::mark_mask`].
pub fn set_mark(ext: &str, given: &Given) -> Result<(u32, u32), XtError> {
    let number = || x6::uint(ext, given, 0, u64::from(u32::MAX)).map(|value| value as u32);
    Ok(match given.name {
        "and-mark" => (0, !number()?),
        "or-mark" => {
            let value = number()?;
            (value, value)
        }
        "xor-mark" => (number()?, 0),
        name => {
            let (mark, mask) = x6::mark_mask(ext, given)?;
            (mark, if name == "set-mark" { mark | mask } else { mask })
        }
    })
}

/// Ranges as `low:high`, or one number where both are the same.
pub fn show_range(range: (u32, u32), out: &mut String) {
    let _ = match range {
        (low, high) if low == high => write!(out, "{low}"),
        (low, high) => write!(out, "{low}:{high}"),
    };
}

/// An address of one to four numbers as libxtables reads it: what is missing at the end is 0.
pub fn ipaddr(text: &str) -> Option<Ipv4Addr> {
    let mut bytes = [0; 4];
    let mut parts = text.split('.');
    for byte in &mut bytes {
        match parts.next() {
            Some(part) => *byte = x6::strtoui(part, 0, 255)? as u8,
            None => break,
        }
    }
    parts.next().is_none().then_some(bytes.into())
}

/// The extensions that may have [`warnings`].
pub const WITH_WARNINGS: [&str; 2] = ["iprange", "physdev"];

/// A warning of target `ext`, with its newline, when all its options were accepted.
pub fn final_warning(ext: &str, given: &[Given]) -> Option<&'static str> {
    let has_range = ext == "NFLOG" && given.iter().any(|given| given.name == "nflog-range");
    has_range.then_some(
        "warn: --nflog-range has never worked and is no longer supported, please use --nflog-size instead\n",
    )
}

/// Warnings of extension `ext` for options that it accepts, a line each.
pub fn warnings(ext: &str, given: &[Given]) -> Vec<String> {
    let mut lines = Vec::new();
    for option in given {
        let value = option.value();
        match (ext, option.name) {
            ("iprange", "src-range" | "dst-range") => {
                let ends = value.split_once('-').map(|(low, high)| (ipaddr(low), ipaddr(high)));
                if let Some((Some(low), Some(high))) = ends
                    && low > high
                {
                    lines.push(format!("xt_iprange: range {low}-{high} is reversed and will never match"));
                }
            }
            ("physdev", "physdev-in" | "physdev-out") if value.contains([' ', '/']) => {
                lines.push(format!(
                    "Warning: weird character in interface `{value}' ('/' and ' ' are not allowed by the kernel)."
                ));
            }
            _ => {}
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_the_shell_would_need_it() {
        let quoted = |text| {
            let mut out = String::new();
            save_string(text, &mut out);
            out
        };
        assert_eq!(quoted("foo-1_b"), " foo-1_b");
        assert_eq!(quoted(""), " \"\"");
        assert_eq!(quoted("a\"b\\c it's"), " \"a\\\"b\\\\c it\\'s\"");
        assert_eq!(truncated("aä", 2), "a");
    }

    #[test]
    fn a_short_address_ends_in_zeros() {
        assert_eq!(ipaddr("10.1"), Some(Ipv4Addr::new(10, 1, 0, 0)));
        assert_eq!(ipaddr("0x1"), Some(Ipv4Addr::new(1, 0, 0, 0)));
        assert_eq!(ipaddr("10.0.0.256"), None);
        assert_eq!(ipaddr(""), None);
        assert_eq!(ipaddr("1.2.3.4.5"), None);
    }
}
