//! `-m string`: bytes in the packet (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_string::StringMatch;
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete, parameter, truncated};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::value("algo"),
        Opt::value("from"),
        Opt::value("to"),
        Opt::invertible("string"),
        Opt::invertible("hex-string"),
        Opt::flag("icase"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (2, drawn),
};

const NAME: &str = "string";
/// Maximum length of a pattern, bytes (`XT_STRING_MAX_PATTERN_SIZE`).
const MAX: usize = 128;
/// Maximum length of an algorithm's name, bytes.
const MAX_ALGO: usize = 15;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = StringMatch {
        invert: false,
        algo: String::new(),
        from: 0,
        to: u16::MAX,
        icase: false,
        pattern: Vec::new(),
    };
    let mut has_pattern = false;
    for option in given {
        let value = option.value();
        match option.name {
            "algo" => with.algo = truncated(value, MAX_ALGO),
            "from" => with.from = x6::uint(NAME, option, 0, 65535)? as u16,
            "to" => with.to = x6::uint(NAME, option, 0, 65535)? as u16,
            "icase" => with.icase = true,
            name => {
                with.pattern = if name == "string" { plain(value)? } else { hex(value)? };
                (with.invert, has_pattern) = (option.invert, true);
            }
        }
    }
    conflicts(NAME, given, &[("string", &["hex-string"])])?;
    if !has_pattern {
        return incomplete("STRING match: You must specify `--string' or `--hex-string'");
    }
    x6::mandatory(NAME, given, "algo")?;
    Ok(Match::new(with))
}

fn too_long<T>(text: &str) -> Result<T, XtError> {
    parameter(format!("STRING too long \"{text}\""))
}

fn plain(text: &str) -> Result<Vec<u8>, XtError> {
    if text.len() > MAX { too_long(text) } else { Ok(text.as_bytes().to_vec()) }
}

/// Text with hexadecimal bytes between `|`; a backslash escapes the next character.
fn hex(text: &str) -> Result<Vec<u8>, XtError> {
    if text.is_empty() {
        return parameter("STRING must contain at least one char");
    }
    let bytes = text.as_bytes();
    let (mut pattern, mut at, mut inside) = (Vec::new(), 0, false);
    while at < bytes.len() {
        match (bytes[at], inside) {
            (b'\\', false) if at + 1 < bytes.len() => {
                pattern.push(bytes[at + 1]);
                at += 2;
            }
            (b'\\', false) => return parameter("Bad literal placement at end of string"),
            (b'|', _) => {
                inside = !inside;
                at += 1;
                while inside && bytes.get(at) == Some(&b' ') {
                    at += 1;
                }
            }
            (_, true) => {
                let Some([high, low]) = bytes.get(at..at + 2).and_then(|pair| <[u8; 2]>::try_from(pair).ok())
                else {
                    return parameter("Invalid hex block");
                };
                if high == b'|' || low == b'|' {
                    return parameter("Invalid hex block");
                }
                pattern.push(nibble(high)? << 4 | nibble(low)?);
                at += 2;
                while bytes.get(at) == Some(&b' ') {
                    at += 1;
                }
                if at == bytes.len() {
                    return parameter("Invalid hex block");
                }
            }
            (byte, false) => {
                pattern.push(byte);
                at += 1;
            }
        }
        if pattern.len() > MAX {
            return too_long(text);
        }
    }
    Ok(pattern)
}

fn nibble(letter: u8) -> Result<u8, XtError> {
    match (letter as char).to_digit(16) {
        Some(digit) => Ok(digit as u8),
        None => parameter(format!("Invalid hex char '{}'", letter as char)),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<StringMatch>() else { return };
    let printable = with.pattern.iter().all(|byte| (0x20..0x7f).contains(byte));
    let not = if with.invert { " !" } else { "" };
    if style == Style::Save {
        let _ = write!(out, "{not} --{}", if printable { "string" } else { "hex-string" });
    } else {
        let _ = write!(out, " STRING match {}", if with.invert { "!" } else { "" });
    }
    out.push_str(" \"");
    if printable {
        for byte in &with.pattern {
            if matches!(byte, b'"' | b'\\') {
                out.push('\\');
            }
            out.push(*byte as char);
        }
    } else {
        out.push('|');
        with.pattern.iter().for_each(|byte| _ = write!(out, "{byte:02x}"));
        out.push('|');
    }
    out.push('"');
    let words = match style {
        Style::Save => ["--algo", "--from", "--to", "--icase"],
        _ => ["ALGO name", "FROM", "TO", "ICASE"],
    };
    let _ = write!(out, " {} {}", words[0], with.algo);
    if with.from != 0 {
        let _ = write!(out, " {} {}", words[1], with.from);
    }
    if with.to != u16::MAX {
        let _ = write!(out, " {} {}", words[2], with.to);
    }
    if with.icase {
        let _ = write!(out, " {}", words[3]);
    }
}

/// The payload is `abcdef…`.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let (not, algo) = (draw.not(), draw.pick(&["bm", "kmp"]));
    let what =
        ["--string abc", "--string jklm", "--string AbC --icase", "--hex-string \"|6162|cd\"", "--string xy"];
    let (what, span) = (
        draw.pick(&what),
        draw.pick(&["", "", " --from 28", " --from 40 --to 60", " --to 30", " --from 29"]),
    );
    format!("-m string --algo {algo} {not}{what}{span}")
}
