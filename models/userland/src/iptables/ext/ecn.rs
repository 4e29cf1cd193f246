//! `-m ecn`: Explicit Congestion Notification (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_ecn::Ecn;
use glassnet_kernel::tables::xt::Match;

use super::words::incomplete;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "ecn",
    options: &[
        Opt::invertible_flag("ecn-tcp-cwr"),
        Opt::invertible_flag("ecn-tcp-ece"),
        Opt::invertible("ecn-ip-ect"),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Ecn::default();
    for option in given {
        match option.name {
            "ecn-tcp-cwr" => with.cwr = Some(option.invert),
            "ecn-tcp-ece" => with.ece = Some(option.invert),
            _ => with.ect = Some((option.invert, x6::uint("ecn", option, 0, 3)? as u8)),
        }
    }
    if given.is_empty() {
        return incomplete("ECN match: some option required");
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(&Ecn { ece, cwr, ect }) = with.get() else { return };
    let save = style == Style::Save;
    if !save {
        *out += " ECN match";
    }
    for (flag, option, name) in [(ece, "ecn-tcp-ece", "ECE"), (cwr, "ecn-tcp-cwr", "CWR")] {
        match (flag, save) {
            (None, _) => {}
            (Some(invert), true) => *out += &format!("{} --{option}", if invert { " !" } else { "" }),
            (Some(invert), false) => *out += &format!(" {}{name}", if invert { "!" } else { "" }),
        }
    }
    let _ = match (ect, save) {
        (None, _) => Ok(()),
        (Some((invert, ect)), true) => write!(out, "{} --ecn-ip-ect {ect}", if invert { " !" } else { "" }),
        (Some((invert, ect)), false) => write!(out, " {}ECT={ect}", if invert { "!" } else { "" }),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m ecn");
    make.not();
    let ect = make.below(4);
    make.add(format!("--ecn-ip-ect {ect}"));
    if make.is_proto(&["tcp"]) && make.one_in(2) {
        make.not();
        let flag = make.pick(&["ecn-tcp-cwr", "ecn-tcp-ece"]);
        make.add(format!("--{flag}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    let (not, ect) = (draw.not(), draw.below(4));
    match place.is_proto(&["tcp"]) && draw.one_in(2) {
        true => format!("-m ecn {not}--{}", draw.pick(&["ecn-tcp-cwr", "ecn-tcp-ece"])),
        false => format!("-m ecn {not}--ecn-ip-ect {ect}"),
    }
}
