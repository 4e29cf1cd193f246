//! Parameters with their values, as `-G`, `-L` and `-C` take them, and what the kernel refuses of them.

use crate::numbers;
use crate::stop::Stop;

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A number.
    Number,
    /// `on` or `off`.
    OnOff,
}

/// Reads pairs of words; `on` is 1 and `off` is 0.
pub(super) fn parse<'a>(
    option: &str,
    words: &[&'a str],
    known: &[(&str, Takes)],
) -> Result<Vec<(&'a str, u32)>, Stop> {
    let mut wanted: Vec<(&str, u32)> = Vec::new();
    for pair in words.chunks(2) {
        let refused = |what: String| Stop::error(1, format!("ethtool ({option}): {what}\n"));
        let parameter = pair[0];
        let Some((_, takes)) = known.iter().find(|(name, _)| *name == parameter) else {
            return Err(refused(format!("unknown parameter '{parameter}'")));
        };
        if wanted.iter().any(|(name, _)| *name == parameter) {
            return Err(refused(format!("duplicate parameter '{parameter}'")));
        }
        let Some(text) = pair.get(1) else {
            return Err(refused(format!("no value for parameter '{parameter}'")));
        };
        let value = match (takes, *text) {
            (Takes::OnOff, "on") => Some(1),
            (Takes::OnOff, "off") => Some(0),
            (Takes::OnOff, _) => None,
            (Takes::Number, _) if text.starts_with('-') => None,
            (Takes::Number, _) => numbers::whole(text).and_then(|number| number.try_into().ok()),
        };
        let wrong = || refused(format!("invalid value '{text}' for parameter '{parameter}'"));
        wanted.push((parameter, value.ok_or_else(wrong)?));
    }
    Ok(wanted)
}

/// Where the first parameter lies in the message to the kernel, and how far the next ones are, bytes.
const OFFSET: (usize, usize) = (36, 8);

/// The kernel's refusal of the parameter at a position.
pub(super) fn refused(status: i32, position: usize, what: &str, error: &str) -> Stop {
    let offset = OFFSET.0 + position * OFFSET.1;
    Stop::error(status, format!("netlink error: {what} (offset {offset})\nnetlink error: {error}\n"))
}
