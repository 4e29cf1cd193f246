//! What hands do to a cable while a lesson runs: a `cable` fence, whose changes happen before the next prompt.

use std::ops::Range;

use glassnet_hardware::Cable;
use glassnet_sim::Nanos;

use super::error::Reader;
use super::topology::{MILLION, parse_delay, parse_rate, parse_share};
use super::{Endpoint, LessonError, Topology};

/// A change of a cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CableChange {
    /// One of its ends.
    pub end: Endpoint,
    /// What is done to it.
    pub what: Change,
}

/// What is done to a cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is pulled out.
    Pull,
    /// It is put back.
    Plug,
    /// From now on it carries frames in another way, by the keys of a link in the front matter.
    Set(Vec<(Key, u64)>),
}

/// A key of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Bits a second.
    Rate,
    /// Nanoseconds.
    Delay,
    /// How late a frame is at most, ns.
    Jitter,
    /// Millionths.
    Loss,
    /// Millionths.
    Duplicate,
    /// Millionths.
    Corrupt,
    /// Millionths.
    Reorder,
}

/// Reads a value.
type Parse = fn(&str) -> Option<u64>;

/// How a key is written, how its value is read, and what its value is.
const KEYS: [(&str, Key, Parse, &str); 7] = [
    ("rate", Key::Rate, parse_rate, "a rate such as 10Gbit"),
    ("delay", Key::Delay, parse_delay, "a delay such as 5us"),
    ("jitter", Key::Jitter, parse_delay, "a time such as 5us"),
    ("loss", Key::Loss, parse_share, "a share such as 1%"),
    ("duplicate", Key::Duplicate, parse_share, "a share such as 1%"),
    ("corrupt", Key::Corrupt, parse_share, "a share such as 1%"),
    ("reorder", Key::Reorder, parse_share, "a share such as 1%"),
];

/// The same cable after some of its keys changed.
pub fn changed(mut cable: Cable, set: &[(Key, u64)]) -> Cable {
    let faults = &mut cable.faults;
    for (key, value) in set {
        match key {
            Key::Rate => cable.rate = *value,
            Key::Delay => cable.delay = Nanos(*value),
            Key::Loss => faults.loss = *value as u32,
            Key::Duplicate => faults.duplicate = *value as u32,
            Key::Corrupt => faults.corrupt = *value as u32,
            Key::Reorder => faults.reorder = *value as u32,
            Key::Jitter => {
                faults.late = Nanos(*value);
                // Jitter alone makes every frame late by chance.
                if set.iter().all(|(key, _)| *key != Key::Reorder) {
                    faults.reorder = if *value > 0 { MILLION as u32 } else { 0 };
                }
            }
        }
    }
    cable
}

/// A word and where it stands.
type Word<'a> = (&'a str, Range<usize>);

/// Reads a line of a `cable` fence, or a `cable` step; `None`: it is empty.
pub(super) fn parse(
    reader: &Reader,
    line: Range<usize>,
    topology: &Topology,
) -> Result<Option<CableChange>, LessonError> {
    let text = &reader.source[line.clone()];
    let words: Vec<Word> = text
        .split_whitespace()
        .map(|word| {
            // A word is a part of the text, so their addresses tell where it begins.
            let at = line.start + (word.as_ptr() as usize - text.as_ptr() as usize);
            (word, at..at + word.len())
        })
        .collect();
    let [(verb, at), rest @ ..] = words.as_slice() else { return Ok(None) };
    let help = "pull node1:eth0, plug node1:eth0, or set node1:eth0 loss 10%";
    let [end, rest @ ..] = rest else {
        return Err(reader.error_with_help(
            at.clone(),
            "a change of a cable names one of its ends",
            "of which?",
            help,
        ));
    };
    let end = endpoint(reader, end, topology)?;
    let what = match *verb {
        "pull" | "plug" => {
            if let Some((_, at)) = rest.first() {
                return Err(reader.error(
                    at.clone(),
                    format!("nothing follows an end of `{verb}`"),
                    "one word too many",
                ));
            }
            if *verb == "pull" { Change::Pull } else { Change::Plug }
        }
        "set" if !rest.is_empty() => {
            Change::Set(rest.chunks(2).map(|pair| setting(reader, pair)).collect::<Result<_, _>>()?)
        }
        "set" => return Err(reader.error_with_help(at.clone(), "nothing is set", "what?", help)),
        _ => {
            let message = format!("a cable cannot be told to `{verb}`");
            return Err(reader.error_with_help(at.clone(), message, "not known", help));
        }
    };
    Ok(Some(CableChange { end, what }))
}

/// An end of a cable of the topology.
fn endpoint(reader: &Reader, (text, at): &Word, topology: &Topology) -> Result<Endpoint, LessonError> {
    let ends = topology.links.iter().flat_map(|link| &link.endpoints);
    let found = ends.clone().find(|end| format!("{}:{}", end.node, end.port) == *text);
    found.cloned().ok_or_else(|| {
        let known: Vec<_> = ends.map(|end| format!("{}:{}", end.node, end.port)).collect();
        let help = match known.as_slice() {
            [] => "the topology has no cables".to_owned(),
            _ => format!("cables end at {}", known.join(", ")),
        };
        reader.error_with_help(at.clone(), format!("no cable ends at `{text}`"), "not in the topology", help)
    })
}

fn setting(reader: &Reader, pair: &[Word]) -> Result<(Key, u64), LessonError> {
    let (name, at) = &pair[0];
    let Some((_, key, parse, what)) = KEYS.iter().find(|(known, ..)| known == name) else {
        let known = KEYS.map(|(name, ..)| name).join(", ");
        return Err(reader.error_with_help(
            at.clone(),
            format!("a cable has no `{name}`"),
            "not known",
            known,
        ));
    };
    let Some((text, at)) = pair.get(1) else {
        return Err(reader.error(at.clone(), format!("`{name}` has no value"), "expected a value behind it"));
    };
    let value = parse(text)
        .ok_or_else(|| reader.error(at.clone(), format!("`{text}` is not {what}"), format!("not {what}")))?;
    Ok((*key, value))
}
