//! `-m physdev`: the bridge ports of a bridged packet (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_physdev::Physdev;
use glassnet_kernel::tables::xt::{Iface, Match};

use super::words::{incomplete, parameter};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "physdev",
    options: OPTIONS,
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (3, drawn),
};

const OPTIONS: &[Opt] = &[
    Opt::invertible("physdev-in"),
    Opt::invertible("physdev-out"),
    Opt::invertible_flag("physdev-is-in"),
    Opt::invertible_flag("physdev-is-out"),
    Opt::invertible_flag("physdev-is-bridged"),
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Physdev::default();
    for option in given {
        match option.name {
            "physdev-in" => with.input = Some(iface(option)?),
            "physdev-out" => with.output = Some(iface(option)?),
            "physdev-is-in" => with.is_in = Some(option.invert),
            "physdev-is-out" => with.is_out = Some(option.invert),
            _ => with.is_bridged = Some(option.invert),
        }
    }
    if given.is_empty() {
        return incomplete("PHYSDEV: no physdev option specified");
    }
    Ok(Match::new(with))
}

fn iface(given: &Given) -> Result<Iface, XtError> {
    let name = given.value();
    if name.len() > 15 {
        return parameter(format!("interface name `{name}' must be shorter than IFNAMSIZ (15)"));
    }
    Ok(Iface { invert: given.invert, name: name.to_owned() })
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Physdev>() else { return };
    if style != Style::Save {
        out.push_str(" PHYSDEV match");
    }
    let flag = |out: &mut String, name: &str, flag: Option<bool>| {
        if let Some(not) = flag {
            let _ = write!(out, "{} --physdev-{name}", if not { " !" } else { "" });
        }
    };
    let device = |out: &mut String, name: &str, iface: &Option<Iface>| {
        if let Some(iface) = iface {
            flag(out, name, Some(iface.invert));
            let _ = write!(out, " {}", iface.name);
        }
    };
    flag(out, "is-in", with.is_in);
    device(out, "in", &with.input);
    flag(out, "is-out", with.is_out);
    device(out, "out", &with.output);
    flag(out, "is-bridged", with.is_bridged);
}

fn arbitrary(make: &mut Maker) {
    make.add("-m physdev");
    let before = make.out.len();
    while make.out.len() == before {
        for name in ["in", "out"] {
            let can = name == "in" || make.chain != "OUTPUT";
            if can && make.one_in(3) {
                make.not();
                make.add(format!("--physdev-is-{name}"));
            }
            if can && make.one_in(3) {
                make.not();
                let device = make.device();
                make.add(format!("--physdev-{name} {device}"));
            }
        }
        if make.one_in(3) {
            make.not();
            make.add("--physdev-is-bridged");
        }
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    let not = draw.not();
    let device = draw.pick(&["p0", "p1", "p+", "c0"]);
    let what = match draw.below(5) {
        0 => "--physdev-is-bridged".to_owned(),
        1 => format!("--physdev-in {device}"),
        2 => "--physdev-is-in".to_owned(),
        3 if place.is_in(&["FORWARD", "POSTROUTING"]) => format!("--physdev-out {device}"),
        4 if place.is_in(&["FORWARD", "POSTROUTING"]) => "--physdev-is-out".to_owned(),
        _ => return String::new(),
    };
    format!("-m physdev {not}{what}")
}
