//! `-m tcpmss`: the maximum segment size of a SYN (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_tcpmss::TcpmssMt;
use glassnet_kernel::tables::xt::Match;

use super::words::{parameter, show_range};
use super::{Context, Given, MatchExt, Opt, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt { name: "tcpmss", options: &[Opt::invertible("mss")], parse, show };

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("tcpmss", given, "mss")?;
    let (low, high) = x6::range("tcpmss", given, 0xffff)?;
    if low > high {
        return parameter("tcpmss: invalid range given");
    }
    Ok(Match::new(TcpmssMt { invert: given.invert, range: (low as u16, high as u16) }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<TcpmssMt>() else { return };
    out.push_str(match (style, with.invert) {
        (Style::Save, false) => " --mss ",
        (Style::Save, true) => " ! --mss ",
        (_, false) => " tcpmss match ",
        (_, true) => " tcpmss match !",
    });
    show_range((u32::from(with.range.0), u32::from(with.range.1)), out);
}
