//! `-m connbytes`: what a connection has transferred (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_connbytes::{Connbytes, ConnbytesDir, ConnbytesMode};
use glassnet_kernel::tables::xt::Match;

use super::words::parameter;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[Opt::invertible("connbytes"), Opt::value("connbytes-dir"), Opt::value("connbytes-mode")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const NAME: &str = "connbytes";
const DIRS: [(&str, ConnbytesDir); 3] =
    [("original", ConnbytesDir::Original), ("reply", ConnbytesDir::Reply), ("both", ConnbytesDir::Both)];
const MODES: [(&str, ConnbytesMode); 3] =
    [("packets", ConnbytesMode::Packets), ("bytes", ConnbytesMode::Bytes), ("avgpkt", ConnbytesMode::Avgpkt)];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Connbytes {
        invert: false,
        range: (0, u64::MAX),
        dir: ConnbytesDir::Original,
        mode: ConnbytesMode::Packets,
    };
    for option in given {
        let text = option.value();
        match option.name {
            "connbytes" => (with.invert, with.range) = (option.invert, range(option)?),
            "connbytes-dir" => match DIRS.iter().find(|known| known.0 == text) {
                Some((_, dir)) => with.dir = *dir,
                None => return parameter(format!("Unknown --connbytes-dir `{text}'")),
            },
            _ => match MODES.iter().find(|known| known.0 == text) {
                Some((_, mode)) => with.mode = *mode,
                None => return parameter(format!("Unknown --connbytes-mode `{text}'")),
            },
        }
    }
    for name in [NAME, "connbytes-dir", "connbytes-mode"] {
        x6::mandatory(NAME, given, name)?;
    }
    // The real tool swaps the ends to invert, which leaves one number as it is.
    with.invert &= with.range.0 != with.range.1;
    Ok(Match::new(with))
}

/// One number has no upper end.
fn range(option: &Given) -> Result<(u64, u64), XtError> {
    let (low, high) = x6::range(NAME, option, u64::MAX)?;
    match option.value().contains(':') {
        false => Ok((low, u64::MAX)),
        true if high < low => parameter(format!("{low} should be less than {high}")),
        true => Ok((low, high)),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Connbytes>() else { return };
    let (low, high) = with.range;
    *out += if with.invert { " !" } else { "" };
    *out += if style == Style::Save { " --connbytes " } else { " connbytes " };
    let _ = match high {
        u64::MAX => write!(out, "{low}"),
        high => write!(out, "{low}:{high}"),
    };
    let mode = MODES.iter().find(|known| known.1 == with.mode).map_or("", |known| known.0);
    let dir = DIRS.iter().find(|known| known.1 == with.dir).map_or("", |known| known.0);
    let _ = match style {
        Style::Save => write!(out, " --connbytes-mode {mode} --connbytes-dir {dir}"),
        Style::List { .. } => write!(out, " connbytes mode {mode} connbytes direction {dir}"),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m connbytes");
    make.not();
    let (range, dir) = (make.range(1 << 40), make.pick(&["original", "reply", "both"]));
    let mode = make.pick(&["packets", "bytes", "avgpkt"]);
    make.add(format!("--connbytes {range} --connbytes-dir {dir} --connbytes-mode {mode}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let (not, dir) = (draw.not(), draw.pick(&["original", "reply", "both"]));
    let (mode, range) = draw.pick(&[
        ("packets", "2"),
        ("packets", "1:2"),
        ("bytes", "100:"),
        ("bytes", ":60"),
        ("avgpkt", "50"),
    ]);
    format!("-m connbytes {not}--connbytes {range} --connbytes-dir {dir} --connbytes-mode {mode}")
}
