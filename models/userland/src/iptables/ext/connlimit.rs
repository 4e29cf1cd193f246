//! `-m connlimit`: number of connections of an address (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::extension::Kept;
use glassnet_kernel::net::netfilter::xt_connlimit::Connlimit;
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "connlimit",
    options: &[
        Opt::invertible("connlimit-upto"),
        Opt::invertible("connlimit-above"),
        Opt::value("connlimit-mask"),
        Opt::flag("connlimit-saddr"),
        Opt::flag("connlimit-daddr"),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (2, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Connlimit { above: false, limit: 0, mask: 32, dest: false, counted: Kept::default() };
    let mut limited = false;
    for option in given {
        match option.name {
            "connlimit-mask" => with.mask = x6::prefix("connlimit", option.name, option.value())?,
            "connlimit-saddr" => with.dest = false,
            "connlimit-daddr" => with.dest = true,
            name => {
                with.limit = x6::uint("connlimit", option, 0, u64::from(u32::MAX))? as u32;
                with.above = (name == "connlimit-above") != option.invert;
                limited = true;
            }
        }
    }
    conflicts(
        "connlimit",
        given,
        &[("connlimit-upto", &["connlimit-above"]), ("connlimit-saddr", &["connlimit-daddr"])],
    )?;
    if !limited {
        return incomplete("You must specify \"--connlimit-above\" or \"--connlimit-upto\".");
    }
    Ok(Match::new(with))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Connlimit>() else { return };
    let Connlimit { above, limit, mask, dest, .. } = with;
    let _ = match style {
        Style::Save => {
            let how = if *above { "above" } else { "upto" };
            let side = if *dest { "daddr" } else { "saddr" };
            write!(out, " --connlimit-{how} {limit} --connlimit-mask {mask} --connlimit-{side}")
        }
        Style::List { .. } => {
            let how = if *above { ">" } else { "<=" };
            write!(out, " #conn {}/{mask} {how} {limit}", if *dest { "dst" } else { "src" })
        }
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m connlimit");
    make.not();
    let (how, limit) = (make.pick(&["upto", "above"]), make.number(1 << 32));
    make.add(format!("--connlimit-{how} {limit}"));
    if make.one_in(2) {
        let mask = make.below(33);
        make.add(format!("--connlimit-mask {mask}"));
    }
    if make.one_in(2) {
        let side = make.pick(&["saddr", "daddr"]);
        make.add(format!("--connlimit-{side}"));
    }
}

/// Limits of 0, or greater than the connections of a case, since the number of live connections depends on the time between
/// packets.
fn drawn(draw: &mut Draw, place: Place) -> String {
    // The model makes a template of `CT` for each packet, the kernel one for each rule.
    if place.table == "raw" {
        return String::new();
    }
    let (not, how) = (draw.not(), draw.pick(&["upto 0", "above 0", "above 0", "upto 1000", "above 1000"]));
    let mask = draw.pick(&["", " --connlimit-mask 24", " --connlimit-mask 0"]);
    let side = draw.pick(&["", " --connlimit-saddr", " --connlimit-daddr"]);
    format!("-m connlimit {not}--connlimit-{how}{mask}{side}")
}
