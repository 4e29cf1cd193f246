//! `-m comment`: a text for people (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_comment::Comment;
use glassnet_kernel::tables::xt::Match;

use super::words::{save_string, truncated};
use super::{Context, Given, MatchExt, Opt, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt { name: "comment", options: &[Opt::value("comment")], parse, show };

/// Longest comment, in bytes (`XT_MAX_COMMENT_LEN` less the zero).
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
