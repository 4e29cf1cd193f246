//! `-m recent`: lists of recently seen addresses (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_recent::{Recent, RecentMode};
use glassnet_kernel::tables::xt::Match;

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};
use crate::hosts::{TEMPORARY_FAILURE, inet_aton};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::invertible_flag("set"),
        Opt::invertible_flag("rcheck"),
        Opt::invertible_flag("update"),
        Opt::invertible_flag("remove"),
        Opt::value("seconds"),
        Opt::flag("reap"),
        Opt::value("hitcount"),
        Opt::flag("rttl"),
        Opt::value("name"),
        Opt::flag("rsource"),
        Opt::flag("rdest"),
        Opt::value("mask"),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (4, drawn),
};

const NAME: &str = "recent";
const MODES: [(&str, RecentMode); 4] = [
    ("set", RecentMode::Set),
    ("rcheck", RecentMode::Rcheck),
    ("update", RecentMode::Update),
    ("remove", RecentMode::Remove),
];

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let mut mode = None;
    let mut with = Recent {
        invert: false,
        mode: RecentMode::Set,
        seconds: 0,
        reap: false,
        hitcount: 0,
        rttl: false,
        name: "DEFAULT".to_owned(),
        mask: Ipv4Addr::BROADCAST,
        dest: false,
    };
    let max = u64::from(u32::MAX);
    for option in given {
        match option.name {
            "seconds" => with.seconds = x6::uint(NAME, option, 1, max)? as u32,
            "hitcount" => with.hitcount = x6::uint(NAME, option, 0, max)? as u32,
            "reap" => with.reap = true,
            "rttl" => with.rttl = true,
            "name" => with.name = option.value().to_owned(),
            "rsource" => with.dest = false,
            "rdest" => with.dest = true,
            "mask" => with.mask = mask(option.value(), context)?,
            name => {
                mode = MODES.iter().find(|(known, _)| *known == name).map(|(_, mode)| *mode).or(mode);
                with.invert = option.invert;
            }
        }
    }
    let table: &[(&str, &[&str])] = &[
        ("set", &["rcheck", "update", "remove"]),
        ("rcheck", &["set", "update", "remove"]),
        ("update", &["set", "rcheck", "remove"]),
        ("remove", &["set", "rcheck", "update"]),
        ("rttl", &["set", "remove"]),
    ];
    conflicts(NAME, given, table)?;
    if with.reap && with.seconds == 0 {
        return incomplete(format!("{NAME}: option \"--reap\" also requires \"--seconds\".\n"));
    }
    let Some(mode) = mode else {
        return incomplete("recent: you must specify one of `--set', `--rcheck' `--update' or `--remove'");
    };
    Ok(Match::new(Recent { mode, ..with }))
}

fn mask(text: &str, context: &Context) -> Result<Ipv4Addr, XtError> {
    let found = inet_aton(text).or_else(|| context.hosts.ipv4(text).map(|(address, _)| address));
    match found {
        Some(address) => Ok(address),
        None => parameter(format!("getaddrinfo: {TEMPORARY_FAILURE}\n")),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Recent>() else { return };
    let not = if with.invert { " !" } else { "" };
    let mask = with.mask;
    let mode = MODES.iter().find(|(_, mode)| *mode == with.mode).map_or("", |(name, _)| name);
    if style == Style::Save {
        let _ = write!(out, "{not} --{mode}");
        if with.seconds != 0 {
            let _ = write!(out, " --seconds {}", with.seconds);
        }
        out.push_str(if with.reap { " --reap" } else { "" });
        if with.hitcount != 0 {
            let _ = write!(out, " --hitcount {}", with.hitcount);
        }
        out.push_str(if with.rttl { " --rttl" } else { "" });
        let side = if with.dest { "--rdest" } else { "--rsource" };
        let _ = write!(out, " --name {} --mask {mask} {side}", with.name);
        return;
    }
    let mode = if with.mode == RecentMode::Rcheck { "CHECK".to_owned() } else { mode.to_uppercase() };
    let _ = write!(out, "{not} recent: {mode}");
    if with.seconds != 0 {
        let _ = write!(out, " seconds: {}", with.seconds);
    }
    out.push_str(if with.reap { " reap" } else { "" });
    if with.hitcount != 0 {
        let _ = write!(out, " hit_count: {}", with.hitcount);
    }
    out.push_str(if with.rttl { " TTL-Match" } else { "" });
    let side = if with.dest { "dest" } else { "source" };
    let _ = write!(out, " name: {} side: {side} mask: {mask}", with.name);
}

/// Rules share lists. A case without pauses takes less than a second, and none takes an hour.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let how = match draw.below(8) {
        0..=2 => "--set".to_owned(),
        3 => "--remove".to_owned(),
        _ => {
            let seconds = draw.pick(&["", "", " --seconds 1", " --seconds 3600", " --seconds 3600 --reap"]);
            let hits = draw.pick(&["", " --hitcount 1", " --hitcount 2", " --hitcount 3"]);
            let ttl = if draw.one_in(6) { " --rttl" } else { "" };
            format!("{}{seconds}{hits}{ttl}", draw.pick(&["--rcheck", "--update"]))
        }
    };
    let side = draw.pick(&["", "", " --rsource", " --rdest"]);
    // All rules of a list have the same mask; otherwise it depends on which one is added first.
    let list = draw.pick(&["list0", "list0", "list1 --mask 255.255.255.0"]);
    format!("-m recent {}{how} --name {list}{side}", draw.not())
}
