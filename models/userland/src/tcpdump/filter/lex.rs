//! Tokens of a filter expression.

use std::net::Ipv6Addr;

use crate::numbers::whole;

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A name that may be a keyword.
    Word(String),
    /// A name after a backslash, which is not a keyword.
    Escaped(String),
    /// A number.
    Number(u32),
    /// Two to four numbers with dots.
    Dotted(String),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// A MAC address.
    Mac([u8; 6]),
    /// An operator, bracket or other sign.
    Sign(&'static str),
}

const SIGNS: [&str; 26] = [
    "<<", ">>", "<=", ">=", "!=", "==", "&&", "||", "=", "<", ">", "!", "&", "|", "^", "+", "-", "*", "/",
    "%", "(", ")", "[", "]", ":", ",",
];

/// Splits an expression; `None` for libpcap's syntax error.
pub fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (token, length) = next(rest)?;
        tokens.push(token);
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

fn next(text: &str) -> Option<(Token, usize)> {
    if let Some(name) = text.strip_prefix('\\') {
        let length = name.find(|c: char| c.is_whitespace() || "!()".contains(c)).unwrap_or(name.len());
        return (length > 0).then(|| (Token::Escaped(name[..length].to_owned()), length + 1));
    }
    if let Some(found) = address(text) {
        return Some(found);
    }
    if text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Some(word(text));
    }
    let sign = SIGNS.iter().find(|sign| text.starts_with(**sign))?;
    Some((Token::Sign(sign), sign.len()))
}

/// MAC and IPv6 addresses.
fn address(text: &str) -> Option<(Token, usize)> {
    let length = span(text, LONGEST_ADDRESS, b":.");
    let candidate = &text[..length];
    if let Some(mac) = mac(candidate) {
        return Some((Token::Mac(mac), length));
    }
    if candidate.matches(':').count() >= 2
        && let Ok(address) = candidate.parse()
    {
        return Some((Token::Ipv6(address), length));
    }
    let dashes = span(text, LONGEST_ADDRESS, b"-");
    mac(&text[..dashes].replace('-', ":")).map(|mac| (Token::Mac(mac), dashes))
}

/// Maximum length of an address, bytes.
const LONGEST_ADDRESS: usize = 46;

/// Number of leading bytes that are hexadecimal digits or in `others`, at most `most`.
fn span(text: &str, most: usize, others: &[u8]) -> usize {
    let inside = |byte: &u8| byte.is_ascii_hexdigit() || others.contains(byte);
    text.bytes().take(most).take_while(inside).count()
}

fn mac(text: &str) -> Option<[u8; 6]> {
    let mut mac = [0; 6];
    let mut parts = text.split(':');
    for byte in &mut mac {
        *byte =
            parts.next().filter(|part| part.len() <= 2).and_then(|part| u8::from_str_radix(part, 16).ok())?;
    }
    parts.next().is_none().then_some(mac)
}

/// A name, a number, or a dotted number: the longest match.
fn word(text: &str) -> (Token, usize) {
    let inside = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let length = text.find(|c| !inside(c)).unwrap_or(text.len());
    let name = text[..length].trim_end_matches(['-', '_']);
    let length = name.len().max(1);
    let name = &text[..length];
    let token = if let Some(number) = number(name) {
        Token::Number(number)
    } else if name.contains('.')
        && name.split('.').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
        && name.split('.').count() <= 4
    {
        Token::Dotted(name.to_owned())
    } else {
        Token::Word(name.to_owned())
    };
    (token, length)
}

fn number(text: &str) -> Option<u32> {
    u32::try_from(whole(text)?).ok()
}
