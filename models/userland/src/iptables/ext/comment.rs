//! `-m comment` (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_comment::Comment;
use glassnet_kernel::tables::xt::Match;

use super::words::{save_string, truncated};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "comment",
    options: &[Opt::value("comment")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// Maximum length of a comment, bytes (`XT_MAX_COMMENT_LEN` without the terminating zero).
const MAX: usize = 255;

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("comment", given, "comment")?;
    Ok(Match::new(Comment(truncated(given.value(), MAX))))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(Comment(text)) = with.get() else { return };
    if style == Style::Save {
        out.push_str(" --comment");
        save_string(text, out);
    } else {
        let _ = write!(out, " /* {text} */");
    }
}

fn arbitrary(make: &mut Maker) {
    let text = make.text(60);
    make.add(format!("-m comment --comment {text}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m comment --comment \"rule {}\"", draw.below(100))
}
