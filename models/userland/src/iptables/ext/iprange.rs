//! `-m iprange`: address ranges (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_iprange::Iprange;
use glassnet_kernel::tables::xt::Match;

use super::words::{bad_value, incomplete, ipaddr};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "iprange",
    options: &[Opt::invertible("src-range"), Opt::invertible("dst-range")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (2, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Iprange::default();
    for option in given {
        let (low, high) = range(option)?;
        let side = if option.name == "src-range" { &mut with.source } else { &mut with.dest };
        *side = Some((option.invert, low, high));
    }
    if given.is_empty() {
        return incomplete("iprange match: You must specify `--src-range' or `--dst-range'");
    }
    Ok(Match::new(with))
}

fn range(given: &Given) -> Result<(Ipv4Addr, Ipv4Addr), XtError> {
    let text = given.value();
    let (low, high) = text.split_once('-').unwrap_or((text, text));
    let mut ends = [Ipv4Addr::UNSPECIFIED; 2];
    for (end, text) in ends.iter_mut().zip([low, high]) {
        match ipaddr(text) {
            Some(addr) => *end = addr,
            None => return bad_value("iprange", given.name, text),
        }
    }
    Ok(ends.into())
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Iprange>() else { return };
    for (name, text, range) in [("src", "source", with.source), ("dst", "destination", with.dest)] {
        let Some((not, low, high)) = range else { continue };
        let _ = match (style, not) {
            (Style::Save, false) => write!(out, " --{name}-range {low}-{high}"),
            (Style::Save, true) => write!(out, " ! --{name}-range {low}-{high}"),
            (_, false) => write!(out, " {text} IP range {low}-{high}"),
            (_, true) => write!(out, " {text} IP range ! {low}-{high}"),
        };
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-m iprange");
    let sides: &[&str] = [&["src"][..], &["dst"], &["src", "dst"]][make.below(3) as usize];
    for side in sides {
        let (a, b) = (make.below(1 << 32) as u32, make.below(1 << 32) as u32);
        let (low, high) = (Ipv4Addr::from_bits(a.min(b)), Ipv4Addr::from_bits(a.max(b)));
        make.not();
        make.add(format!("--{side}-range {low}-{high}"));
    }
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    let side = draw.pick(&["src", "dst"]);
    let net = draw.below(3) as u8;
    let end = |host| Ipv4Addr::new(10, 0, net, host);
    format!("-m iprange {}--{side}-range {}-{}", draw.not(), end(2), end(draw.pick(&[2, 3, 4])))
}
