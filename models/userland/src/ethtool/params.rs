//! Parameters with their values, as `-G`, `-L` and `-C` take them, and what the kernel refuses of them.

use crate::numbers;
use crate::stop::Stop;

/// What a parameter takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// A number.
    Number,
    /// A number in base 16.
    Hex,
    /// `on` or `off`.
    OnOff,
    /// One of these words: its place.
    Word(&'static [&'static str]),
    /// Some of these letters: a bit for each; the last one is none.
    Letters(&'static str),
}

/// Bits of letters, by their places among those that there are; the last one is none.
pub(super) fn letters(known: &str, text: &str) -> u32 {
    let bits = text.chars().filter_map(|letter| known.find(letter)).filter(|bit| bit + 1 < known.len());
    bits.fold(0, |bits, bit| bits | 1 << bit)
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
            (Takes::Word(known), _) => known.iter().position(|word| word == text).map(|at| at as u32),
            (Takes::Letters(known), _) => {
                text.chars().all(|letter| known.contains(letter)).then(|| letters(known, text))
            }
            (Takes::Hex, _) => u32::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
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
