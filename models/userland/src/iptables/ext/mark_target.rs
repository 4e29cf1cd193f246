//! `-j MARK`: sets the packet's mark (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_mark::MarkTg;
use glassnet_kernel::tables::xt::Target;

use super::words::{conflicts, incomplete, set_mark, show_set_mark};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError};

/// The extension.
pub const TARGET: TargetExt =
    TargetExt { name: "MARK", options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (2, drawn) };

const OPTIONS: &[Opt] = &[
    Opt::value("set-xmark"),
    Opt::value("set-mark"),
    Opt::value("and-mark"),
    Opt::value("or-mark"),
    Opt::value("xor-mark"),
];

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let (mark, mask) = set_mark("MARK", option)?;
        found = Some(MarkTg { mark, mask });
    }
    let Some(found) = found else {
        return incomplete("MARK: One of the --set-xmark, --{and,or,xor,set}-mark options is required");
    };
    conflicts(
        "MARK",
        given,
        &[
            ("set-xmark", &["set-mark", "and-mark", "or-mark", "xor-mark"]),
            ("set-mark", &["and-mark", "or-mark", "xor-mark"]),
            ("and-mark", &["or-mark", "xor-mark"]),
            ("or-mark", &["xor-mark"]),
        ],
    )?;
    Ok(Target::new(found))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(&MarkTg { mark, mask }) = target.get() else { return };
    if style == Style::Save {
        let _ = write!(out, " --set-xmark 0x{mark:x}/0x{mask:x}");
    } else {
        out.push_str(" MARK");
        show_set_mark(mark, mask, out);
    }
}

fn arbitrary(make: &mut Maker) {
    let option = make.pick(&["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark"]);
    let value = if option.starts_with("set") { make.mark() } else { make.number(1 << 32) };
    make.add(format!("-j MARK --{option} {value}"));
}

fn drawn(draw: &mut Draw, _: Place) -> DrawnTarget {
    let words = match draw.below(6) {
        0 | 1 => format!("-j MARK --set-mark {}", draw.mark()),
        2 => format!("-j MARK --set-xmark {}", draw.mark()),
        _ => format!("-j MARK --{}-mark {}", draw.pick(&["or", "and", "xor"]), draw.below(4)),
    };
    DrawnTarget::plain(words)
}
