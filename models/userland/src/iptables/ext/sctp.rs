//! `-m sctp`: ports and chunks (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::nf_conntrack_tuple::IPPROTO_SCTP;
use glassnet_kernel::net::netfilter::xt_sctp::{ChunkMatch, ChunkTypes, Sctp};
use glassnet_kernel::tables::xt::{Match, Ports};

use super::tcp;
use super::words::parameter;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "sctp",
    options: &[
        Opt::invertible("source-port").many(),
        Opt::invertible("sport").many(),
        Opt::invertible("destination-port").many(),
        Opt::invertible("dport").many(),
        Opt::words("chunk-types", 2).not().many(),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// Names of chunks, their numbers, and the letters of their flags from bit 7 on.
const CHUNKS: [(&str, u8, &[u8; 8]); 21] = [
    ("DATA", 0, b"----IUBE"),
    ("INIT", 1, b"--------"),
    ("INIT_ACK", 2, b"--------"),
    ("SACK", 3, b"--------"),
    ("HEARTBEAT", 4, b"--------"),
    ("HEARTBEAT_ACK", 5, b"--------"),
    ("ABORT", 6, b"-------T"),
    ("SHUTDOWN", 7, b"--------"),
    ("SHUTDOWN_ACK", 8, b"--------"),
    ("ERROR", 9, b"--------"),
    ("COOKIE_ECHO", 10, b"--------"),
    ("COOKIE_ACK", 11, b"--------"),
    ("ECN_ECNE", 12, b"--------"),
    ("ECN_CWR", 13, b"--------"),
    ("SHUTDOWN_COMPLETE", 14, b"-------T"),
    ("I_DATA", 64, b"----IUBE"),
    ("RE_CONFIG", 130, b"--------"),
    ("PAD", 132, b"--------"),
    ("ASCONF", 193, b"--------"),
    ("ASCONF_ACK", 128, b"--------"),
    ("FORWARD_TSN", 192, b"--------"),
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Sctp::default();
    for option in given {
        let (is_taken, name) = match option.name {
            "source-port" | "sport" => (with.sport.is_some(), "source-port"),
            "destination-port" | "dport" => (with.dport.is_some(), "destination-port"),
            name => (with.chunks.is_some(), name),
        };
        if is_taken {
            return parameter(format!("Only one `--{name}' allowed"));
        }
        match name {
            "source-port" => with.sport = Some(tcp::ports(option, IPPROTO_SCTP)?),
            "destination-port" => with.dport = Some(tcp::ports(option, IPPROTO_SCTP)?),
            _ => with.chunks = Some(chunk_types(option)?),
        }
    }
    Ok(Match::new(with))
}

fn chunk_types(option: &Given) -> Result<ChunkTypes, XtError> {
    let [how, list] = option.values.as_slice() else { return parameter("--chunk-types requires two args") };
    let how = match how.to_ascii_lowercase().as_str() {
        "any" => ChunkMatch::Any,
        "all" => ChunkMatch::All,
        "only" => ChunkMatch::Only,
        _ => return parameter("Match type has to be one of \"ALL\", \"ANY\" or \"ONLY\""),
    };
    let mut wanted = ChunkTypes { invert: option.invert, how, map: [0, 0], flags: Vec::new() };
    match list.to_ascii_uppercase().as_str() {
        "ALL" => wanted.map = [u128::MAX, u128::MAX],
        "NONE" => {}
        _ => list.split(',').filter(|word| !word.is_empty()).try_for_each(|word| chunk(word, &mut wanted))?,
    }
    Ok(wanted)
}

/// `NAME` or `NAME:FLAGS`: a capital asks for a flag that is set, a small letter for one that is not.
fn chunk(word: &str, wanted: &mut ChunkTypes) -> Result<(), XtError> {
    let (name, flags) = word.split_once(':').map_or((word, None), |(name, flags)| (name, Some(flags)));
    let Some(at) = CHUNKS.iter().position(|chunk| chunk.0.eq_ignore_ascii_case(name)) else {
        return parameter(format!("Unknown sctp chunk `{name}'"));
    };
    let (_, kind, letters) = CHUNKS[at];
    wanted.map[usize::from(kind >> 7)] |= 1 << (kind & 127);
    let Some(flags) = flags.filter(|flags| !flags.is_empty()) else { return Ok(()) };
    let place = wanted.flags.iter().position(|known| known.0 == kind).unwrap_or_else(|| {
        wanted.flags.push((kind, 0, 0));
        wanted.flags.len() - 1
    });
    for letter in flags.bytes() {
        let bit = letters.iter().rposition(|known| *known != b'-' && known.eq_ignore_ascii_case(&letter));
        let Some(bit) = bit.map(|bit| 1 << (7 - bit)) else {
            return parameter(format!("Invalid flags for chunk type {at}"));
        };
        let (_, mask, set) = &mut wanted.flags[place];
        *mask |= bit;
        *set |= if letter.is_ascii_uppercase() { bit } else { 0 };
    }
    Ok(())
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Sctp>() else { return };
    if style != Style::Save {
        *out += " sctp";
    }
    for (ports, option) in [(with.sport, "sport"), (with.dport, "dport")] {
        match (ports, style) {
            // Saved even if it is every port.
            (Some(Ports { invert, range: (0, u16::MAX) }), Style::Save) => {
                let _ = write!(out, "{} --{option} 0:65535", if invert { " !" } else { "" });
            }
            (Some(ports), _) => tcp::show_ports(&ports, option, style, IPPROTO_SCTP, out),
            (None, _) => {}
        }
    }
    let Some(wanted) = &with.chunks else { return };
    *out += if wanted.invert { " !" } else { "" };
    let numeric = matches!(style, Style::List { numeric: true, .. });
    *out += if style == Style::Save { " --chunk-types" } else { "" };
    *out += match wanted.how {
        ChunkMatch::Any => " any ",
        ChunkMatch::All => " all ",
        ChunkMatch::Only => " only ",
    };
    show_chunks(wanted, numeric, out);
}

fn show_chunks(wanted: &ChunkTypes, numeric: bool, out: &mut String) {
    match wanted.map {
        [0, 0] => *out += "NONE",
        [u128::MAX, u128::MAX] => *out += "ALL",
        _ => {
            let words: Vec<String> = (0..=u8::MAX)
                .filter(|kind| wanted.has(*kind))
                .map(|kind| {
                    let known = CHUNKS.iter().find(|chunk| chunk.1 == kind);
                    let name = known.filter(|_| !numeric).map(|chunk| chunk.0.to_owned());
                    name.unwrap_or(format!("0x{kind:04X}")) + &flag_letters(wanted, kind)
                })
                .collect();
            *out += &words.join(",");
        }
    }
}

/// `:` and the letters of the flags that are asked for. The real tool prints none of `I_DATA`.
fn flag_letters(wanted: &ChunkTypes, kind: u8) -> String {
    let known = CHUNKS.iter().find(|chunk| chunk.1 == kind && kind < 64);
    let flags = wanted.flags.iter().find(|flags| flags.0 == kind && flags.1 != 0);
    let (Some((_, _, letters)), Some((_, mask, set))) = (known, flags) else { return String::new() };
    let asked = letters.iter().enumerate().filter(|(at, _)| mask >> (7 - at) & 1 != 0);
    let letter = |(at, letter): (usize, &u8)| {
        let letter = if set >> (7 - at) & 1 != 0 { *letter } else { letter.to_ascii_lowercase() };
        char::from(letter)
    };
    format!(":{}", asked.map(letter).collect::<String>())
}

fn arbitrary(make: &mut Maker) {
    if !make.is_proto(&["sctp"]) {
        return;
    }
    make.add("-m sctp");
    if make.one_in(2) {
        make.not();
        let (side, ports) = (make.pick(&["sport", "dport"]), make.range(1 << 16));
        make.add(format!("--{side} {ports}"));
    }
    if make.one_in(2) {
        make.not();
        let how = make.pick(&["any", "all", "only"]);
        let names = CHUNKS.map(|chunk| chunk.0);
        let list = match make.below(6) {
            0 => "ALL".to_owned(),
            1 => "NONE".to_owned(),
            2 => "DATA:Ub,ABORT:T".to_owned(),
            _ => make.some(&names),
        };
        make.add(format!("--chunk-types {how} {list}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["sctp"]) {
        return String::new();
    }
    if draw.one_in(2) {
        let side = draw.pick(&["sport", "dport", "dport"]);
        return format!("-m sctp {}--{side} {}", draw.not(), draw.ports());
    }
    let (not, how) = (draw.not(), draw.pick(&["any", "all", "only"]));
    let list = draw.pick(&[
        "INIT",
        "DATA",
        "DATA:E",
        "DATA:bE,SACK",
        "INIT,INIT_ACK",
        "COOKIE_ECHO,DATA",
        "ABORT:t",
        "ALL",
    ]);
    format!("-m sctp {not}--chunk-types {how} {list}")
}
