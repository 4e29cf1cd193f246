//! `-m tcpmss`: MSS of a SYN (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_tcpmss::TcpmssMt;
use glassnet_kernel::tables::xt::Match;

use super::words::{parameter, show_range};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "tcpmss",
    options: &[Opt::invertible("mss")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (3, drawn),
};

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

fn arbitrary(make: &mut Maker) {
    if make.is_proto(&["tcp"]) {
        make.add("-m tcpmss");
        make.not();
        let range = make.range(65_536);
        make.add(format!("--mss {range}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["tcp"]) {
        return String::new();
    }
    format!("-m tcpmss {}--mss {}", draw.not(), draw.pick(&["1000:1500", "1460", "536:1400"]))
}
