//! Parsing of arguments, abbreviated as iproute2 allows, with its errors.

use std::net::Ipv4Addr;

use glassnet_kernel::net::core::dev::MAX_NAME;
use glassnet_kernel::netlink::NlError;
use glassnet_wire::Mac;

use crate::numbers::whole;

// For the modules that parse arguments.
pub use crate::stop::{Done, Stop};

impl Stop {
    /// A mistake in the command line: exit(-1).
    pub fn usage(text: impl Into<String>) -> Stop {
        Stop::error(255, text)
    }

    /// A command that failed: main returns 1.
    pub fn failed(text: impl Into<String>) -> Stop {
        Stop::error(1, text)
    }

    /// The kernel refused, or it is not modelled.
    pub fn refused(error: &NlError) -> Stop {
        let stderr = match (error.not_modelled, error.extack) {
            (Some(what), _) => format!("not modelled yet: {what}\n"),
            (None, Some(text)) => format!("Error: {text}.\n"),
            (None, None) => format!("RTNETLINK answers: {}\n", error.errno.strerror()),
        };
        Stop::error(2, stderr)
    }
}

impl From<NlError> for Stop {
    fn from(error: NlError) -> Stop {
        Stop::refused(&error)
    }
}

/// An argument has a bad value.
pub fn invarg(message: &str, arg: &str) -> Stop {
    Stop::usage(format!("Error: argument \"{arg}\" is wrong: {message}\n"))
}

/// A keyword came twice.
pub fn duparg(key: &str, arg: &str) -> Stop {
    Stop::usage(format!("Error: duplicate \"{key}\": \"{arg}\" is the second value.\n"))
}

/// An argument without keyword that is not expected.
pub fn duparg2(key: &str, arg: &str) -> Stop {
    Stop::usage(format!("Error: either \"{key}\" is duplicate, or \"{arg}\" is a garbage.\n"))
}

/// A value that must be one of a few words.
pub fn one_of(what: &str, given: &str, words: &[&str]) -> Stop {
    let list: String = words.iter().map(|word| format!("\"{word}\", ")).collect();
    Stop::failed(format!("Error: argument of \"{what}\" must be one of {list}not \"{given}\"\n"))
}

/// No device has this name.
pub fn nodev(name: &str) -> Stop {
    Stop::failed(format!("Cannot find device \"{name}\"\n"))
}

/// `word` abbreviates `full`, or equals it.
pub fn matches(word: &str, full: &str) -> bool {
    !word.is_empty() && full.starts_with(word)
}

/// Arguments of a command line.
#[derive(Clone, Debug)]
pub struct Args<'a> {
    words: &'a [String],
    at: usize,
}

impl<'a> Args<'a> {
    /// All these words.
    pub fn new(words: &'a [String]) -> Args<'a> {
        Args { words, at: 0 }
    }

    /// The word at the current place.
    pub fn peek(&self) -> Option<&'a str> {
        self.words.get(self.at).map(String::as_str)
    }

    /// Takes the word at the current place.
    pub fn take(&mut self) -> Option<&'a str> {
        let word = self.peek()?;
        self.at += 1;
        Some(word)
    }

    /// Takes the value that a keyword needs.
    ///
    /// # Errors
    ///
    /// The tool's "not complete" message at the end of the command line.
    pub fn value(&mut self) -> Done<&'a str> {
        self.take().ok_or_else(|| Stop::usage("Command line is not complete. Try option \"help\"\n"))
    }

    /// Nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at >= self.words.len()
    }

    /// What is left.
    pub fn rest(&self) -> &'a [String] {
        &self.words[self.at.min(self.words.len())..]
    }

    /// Takes a number.
    ///
    /// # Errors
    ///
    /// `message` for a word that is not a number of this type, and those of [`Args::value`].
    pub fn number<T: TryFrom<u64>>(&mut self, message: &str) -> Done<T> {
        let word = self.value()?;
        number(word).ok_or_else(|| invarg(message, word))
    }

    /// Takes `on` or `off`.
    ///
    /// # Errors
    ///
    /// A word other than these two, and those of [`Args::value`].
    pub fn on_off(&mut self, keyword: &str) -> Done<bool> {
        match self.value()? {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(Stop::failed(format!(
                "Error: argument of \"{keyword}\" must be \"on\" or \"off\", not \"{other}\"\n"
            ))),
        }
    }
}

/// A name that may be a device's, as iproute2 checks it.
///
/// # Errors
///
/// A name that is empty or holds `/` or white space.
pub fn check_altifname(keyword: &str, name: &str) -> Done {
    let bad = name.is_empty() || name.bytes().any(|b| b == b'/' || b.is_ascii_whitespace());
    if bad { Err(invarg(&format!("\"{keyword}\" not a valid ifname"), name)) } else { Ok(()) }
}

/// The same for a name that a device is to get.
///
/// # Errors
///
/// As of [`check_altifname`], or one that is too long.
pub fn check_ifname(keyword: &str, name: &str) -> Done {
    if name.len() > MAX_NAME {
        return Err(invarg(&format!("\"{keyword}\" not a valid ifname"), name));
    }
    check_altifname(keyword, name)
}

/// A number without a sign (`get_unsigned`).
pub fn number<T: TryFrom<u64>>(word: &str) -> Option<T> {
    T::try_from(whole(word)?).ok()
}

/// A link-layer address as bytes: hexadecimal bytes between colons, or an IPv4 address.
///
/// # Errors
///
/// A part that begins with no hexadecimal byte, or a text with dots that is no IPv4 address.
pub fn lladdr(text: &str) -> Done<Vec<u8>> {
    let bad = || Stop::failed(format!("\"{text}\" is invalid lladdr.\n"));
    if text.contains('.') {
        return text.parse::<Ipv4Addr>().map(|ip| ip.octets().to_vec()).map_err(|_| bad());
    }
    let byte = |part: &str| {
        // As sscanf(3): what follows the digits is ignored.
        let digits = part.bytes().take_while(u8::is_ascii_hexdigit).count();
        let bad = || Stop::failed(format!("\"{part}\" is invalid lladdr.\n"));
        u8::from_str_radix(&part[..digits], 16).map_err(|_| bad())
    };
    text.split(':').map(byte).collect()
}

/// An Ethernet address.
///
/// # Errors
///
/// The number of bytes if they are not six.
pub fn mac(bytes: &[u8]) -> Result<Mac, usize> {
    <[u8; 6]>::try_from(bytes).map(Mac).map_err(|_| bytes.len())
}

/// An IPv4 address as iproute2 reads it: one to four decimal bytes, the missing ones are zero.
pub fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut bytes = [0u8; 4];
    for (at, part) in text.split('.').enumerate() {
        if part.len() > 3 || part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *bytes.get_mut(at)? = part.parse().ok()?;
    }
    Some(Ipv4Addr::from(bytes))
}

/// An IPv4 prefix: the address and, if there is a slash, the length in bits (also as a netmask).
pub fn prefix(text: &str) -> Option<(Ipv4Addr, Option<u8>)> {
    let (address, len) = match text.split_once('/') {
        Some((address, len)) => (address, Some(prefix_len(len)?)),
        None => (text, None),
    };
    match address {
        "default" | "any" | "all" => Some((Ipv4Addr::UNSPECIFIED, len.or(Some(0)))),
        _ => Some((ipv4(address)?, len)),
    }
}

fn prefix_len(text: &str) -> Option<u8> {
    if let Some(len) = number::<u8>(text) {
        return (len <= 32).then_some(len);
    }
    let mask = ipv4(text)?.to_bits();
    (mask.leading_ones() + mask.trailing_zeros() >= 32).then_some(mask.leading_ones() as u8)
}

/// Colour of an option; `auto` is off, as output is never a terminal.
pub fn color(opt: &str) -> Option<bool> {
    let (name, when) = opt.split_once('=').unwrap_or((opt, "always"));
    let known = matches(name, "-color") && name != "-";
    match when {
        "always" if known => Some(true),
        "auto" | "never" if known => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_prefixes() {
        for (text, expected) in [
            ("10", Some(10u64)),
            ("0x1f", Some(31)),
            ("010", Some(8)),
            ("0", Some(0)),
            ("-1", None),
            ("", None),
        ] {
            assert_eq!(number::<u64>(text), expected, "{text}");
        }
        for (text, expected) in [
            ("10.0.0.1/24", Some(("10.0.0.1", Some(24)))),
            ("10.1", Some(("10.1.0.0", None))),
            ("default", Some(("0.0.0.0", Some(0)))),
            ("10.0.0.0/255.255.0.0", Some(("10.0.0.0", Some(16)))),
            ("10.0.0.0/33", None),
            ("10.0.0.0.0", None),
            ("10.0.0.256", None),
        ] {
            let expected = expected.map(|(ip, len): (&str, _)| (ip.parse().unwrap(), len));
            assert_eq!(prefix(text), expected, "{text}");
        }
    }
}
