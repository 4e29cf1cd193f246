//! Parsers of libxtables' guided options, with their messages.
//!
//! The texts end with a newline, as the real ones do.

use std::net::Ipv4Addr;

use super::{Given, XtError};
use crate::hosts;
use crate::services;

/// An error of the guided options: `EXT: TEXT` and an empty line.
///
/// # Errors
///
/// Always this one.
pub fn error<T>(ext: &str, text: &str) -> Result<T, XtError> {
    Err(XtError::Parameter(format!("{ext}: {text}\n")))
}

/// A mandatory option.
///
/// # Errors
///
/// The option was not given.
pub fn mandatory<'a>(ext: &str, given: &'a [Given], name: &str) -> Result<&'a Given, XtError> {
    match given.iter().find(|given| given.name == name) {
        Some(given) => Ok(given),
        None => Err(XtError::Final(format!("{ext}: option \"--{name}\" must be specified\n"))),
    }
}

/// The number at the start of `text` as `strtoull(3)` with base 0 (decimal, `0x…`, `0…`), and the rest; `None` without
/// digits, if negative, or if it does not fit.
pub fn strtoul(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let text = text.strip_prefix('+').unwrap_or(text);
    let is_hex = |text: &str| text.bytes().next().is_some_and(|byte| byte.is_ascii_hexdigit());
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).filter(|rest| is_hex(rest));
    let (digits, base) = match hex {
        Some(rest) => (rest, 16),
        None if text.starts_with('0') => (text, 8),
        None => (text, 10),
    };
    let end = digits.find(|letter: char| !letter.is_digit(base)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at(end);
    Some((u64::from_str_radix(digits, base).ok()?, rest))
}

/// A number between `min` and `max` without trailing characters (`xtables_strtoui`).
pub fn strtoui(text: &str, min: u64, max: u64) -> Option<u64> {
    let (value, rest) = strtoul(text)?;
    (rest.is_empty() && (min..=max).contains(&value)).then_some(value)
}

/// An option's number (`XTTYPE_UINT8` to `64`).
///
/// # Errors
///
/// No number, or one out of range.
pub fn uint(ext: &str, given: &Given, min: u64, max: u64) -> Result<u64, XtError> {
    match strtoui(given.value(), min, max) {
        Some(value) => Ok(value),
        None => {
            let name = given.name;
            error(ext, &format!("bad value for option \"--{name}\", or out of range ({min}-{max})."))
        }
    }
}

/// An option's range `a`, `a:`, `:b` or `a:b` (`XTTYPE_UINT8RC` to `64RC`).
///
/// # Errors
///
/// More than two parts, a part that is no number up to `max`, or garbage behind one.
pub fn range(ext: &str, given: &Given, max: u64) -> Result<(u64, u64), XtError> {
    let name = given.name;
    let mut values = Vec::new();
    let mut rest = given.value();
    loop {
        if values.len() == 2 {
            return error(ext, &format!("Too many components for option \"--{name}\" (max: 2)"));
        }
        let end = if rest.is_empty() || rest.starts_with(':') {
            values.push(if values.len() == 1 { max } else { 0 });
            rest
        } else {
            let Some((value, end)) = strtoul(rest).filter(|(value, _)| *value <= max) else {
                let text =
                    format!("bad value for option \"--{name}\" near \"{rest}\", or out of range (0-{max}).");
                return error(ext, &text);
            };
            values.push(value);
            end
        };
        match end.strip_prefix(':') {
            Some(more) => rest = more,
            None if end.is_empty() => break,
            None => {
                let text = format!("Argument to \"--{name}\" has unexpected characters near \"{end}\".");
                return error(ext, &text);
            }
        }
    }
    Ok((values[0], *values.last().unwrap_or(&0)))
}

/// An option's `value[/mask]` (`XTTYPE_MARKMASK32`).
///
/// # Errors
///
/// No number of 32 bits, or garbage behind it.
pub fn mark_mask(ext: &str, given: &Given) -> Result<(u32, u32), XtError> {
    let max = u64::from(u32::MAX);
    let name = given.name;
    let bad = || error(ext, &format!("bad integer value for option \"--{name}\", or out of range."));
    let garbage = || error(ext, &format!("trailing garbage after value for option \"--{name}\"."));
    let Some((mark, rest)) = strtoul(given.value()).filter(|(value, _)| *value <= max) else { return bad() };
    let Some(mask) = rest.strip_prefix('/') else {
        return if rest.is_empty() { Ok((mark as u32, u32::MAX)) } else { garbage() };
    };
    match strtoul(mask).filter(|(value, _)| *value <= max) {
        Some((mask, "")) => Ok((mark as u32, mask as u32)),
        Some(_) => garbage(),
        None => bad(),
    }
}

/// The mask of an option `name` as a prefix length: a length, or an address (`XTTYPE_PLENMASK`). A mask that is not
/// contiguous counts as 32, as in the real tool.
///
/// # Errors
///
/// Neither a number nor an address.
pub fn prefix(ext: &str, name: &str, text: &str) -> Result<u8, XtError> {
    if let Some(length) = strtoui(text, 0, u64::from(u32::MAX)) {
        return Ok(length.min(32) as u8);
    }
    match hosts::inet_aton(text).map(Ipv4Addr::to_bits) {
        Some(mask) if mask.leading_ones() + mask.trailing_zeros() == 32 => Ok(mask.leading_ones() as u8),
        Some(_) => Ok(32),
        None => {
            let text = format!(
                "bad value for option \"--{name}\", neither a valid network mask nor valid CIDR (0-32)."
            );
            error(ext, &text)
        }
    }
}

/// A port by number or by service name of any protocol (`XTTYPE_PORT`). Numbers are taken modulo 65536, an empty text
/// is 0, as with the resolver.
///
/// # Errors
///
/// Neither a number nor the name of a service.
pub fn port(text: &str) -> Result<u16, XtError> {
    let by_name = || {
        let (tcp, udp) = services::ports_by_name(text);
        tcp.or(udp)
    };
    let number = match text {
        "" => Some(0),
        text => text.trim_start().parse::<u64>().ok().map(|number| number as u16),
    };
    number
        .or_else(by_name)
        .ok_or_else(|| XtError::Parameter(format!("Port \"{text}\" does not resolve to anything.\n")))
}

/// The port of an option `name`, or two with a colon between (`XTTYPE_PORTRC`).
///
/// # Errors
///
/// More than two parts, and those of [`port`].
pub fn ports(ext: &str, name: &str, text: &str) -> Result<(u16, u16), XtError> {
    match text.split_once(':') {
        Some((_, high)) if high.contains(':') => {
            error(ext, &format!("Too many components for option \"--{name}\" (max: 2)"))
        }
        None => port(text).map(|port| (port, port)),
        Some((low, high)) => {
            let low = if low.is_empty() { 0 } else { port(low)? };
            Ok((low, if high.is_empty() { u16::MAX } else { port(high)? }))
        }
    }
}

/// Names of protocols that only libxtables knows.
const XTABLES_PROTOCOLS: [(&str, u8); 4] = [("all", 0), ("icmpv6", 58), ("ipv6-mh", 135), ("mh", 135)];

/// A protocol by number or name (`XTTYPE_PROTOCOL`).
///
/// # Errors
///
/// A name that is no known protocol.
pub fn protocol(text: &str) -> Result<u8, XtError> {
    let number = strtoui(text, 0, 255).map(|number| number as u8);
    let lower = text.to_ascii_lowercase();
    number
        .or_else(|| services::protocol_by_name(&lower))
        .or_else(|| XTABLES_PROTOCOLS.iter().find(|known| known.0 == lower).map(|known| known.1))
        .ok_or_else(|| XtError::Parameter(format!("unknown protocol \"{text}\" specified")))
}
