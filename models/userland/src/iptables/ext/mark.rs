//! `-m mark`: the packet's mark (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_mark::MarkMt;
use glassnet_kernel::tables::xt::Match;

use super::words::show_mark;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "mark",
    options: &[Opt::invertible("mark")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("mark", given, "mark")?;
    let (mark, mask) = x6::mark_mask("mark", given)?;
    Ok(Match::new(MarkMt { invert: given.invert, mark, mask }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<MarkMt>() else { return };
    out.push_str(match (style, with.invert) {
        (Style::Save, false) => " --mark ",
        (Style::Save, true) => " ! --mark ",
        (_, false) => " mark match ",
        (_, true) => " mark match ! ",
    });
    show_mark(with.mark, with.mask, out);
}

fn arbitrary(make: &mut Maker) {
    make.add("-m mark");
    make.not();
    let mark = make.mark();
    make.add(format!("--mark {mark}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m mark {}--mark {}", draw.not(), draw.mark())
}
