//! `-m owner`: owner of the sending socket (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_owner::Owner;
use glassnet_kernel::tables::xt::Match;

use crate::passwd::{GROUPS, USERS};

use super::words::{bad_value, incomplete};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt =
    MatchExt { name: "owner", options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (2, drawn) };

const OPTIONS: &[Opt] = &[
    Opt::invertible("uid-owner"),
    Opt::invertible("gid-owner"),
    Opt::invertible_flag("socket-exists"),
    Opt::flag("suppl-groups"),
];

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut with = Owner::default();
    for option in given {
        let ids = |names| ids(option, names).map(|(low, high)| Some((option.invert, low, high)));
        match option.name {
            "uid-owner" => with.uid = ids(USERS)?,
            "gid-owner" => with.gid = ids(GROUPS)?,
            "socket-exists" => with.socket_exists = Some(option.invert),
            name if with.gid.is_none() => {
                return bad_value("owner", name, "you need to use --gid-owner first");
            }
            _ => with.suppl_groups = true,
        }
    }
    if given.is_empty() {
        return incomplete("owner: At least one of --uid-owner, --gid-owner or --socket-exists is required");
    }
    Ok(Match::new(with))
}

/// A name, a number, or a range with `-` or `:`.
fn ids(given: &Given, names: &[(&str, u32)]) -> Result<(u32, u32), XtError> {
    let text = given.value();
    if let Some((_, id)) = names.iter().find(|name| name.0 == text) {
        return Ok((*id, *id));
    }
    match numbers(text) {
        Some(ids) => Ok(ids),
        None => bad_value("owner", given.name, text),
    }
}

fn numbers(text: &str) -> Option<(u32, u32)> {
    let max = u64::from(u32::MAX) - 1;
    let (low, rest) = x6::strtoul(text).filter(|(id, _)| *id <= max)?;
    let high = match rest.strip_prefix(['-', ':']) {
        Some(high) => x6::strtoui(high, 0, max)?,
        None if rest.is_empty() => low,
        None => return None,
    };
    Some((low as u32, high as u32))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Owner>() else { return };
    let save = style == Style::Save;
    let by_name = matches!(style, Style::List { numeric: false, .. });
    if let Some(not) = with.socket_exists {
        let text = if save { "--socket-exists" } else { "owner socket exists" };
        let _ = write!(out, "{} {text}", if not { " !" } else { "" });
    }
    for (option, list, ids, names) in [
        ("--uid-owner", "owner UID match", with.uid, USERS),
        ("--gid-owner", "owner GID match", with.gid, GROUPS),
    ] {
        let Some((not, low, high)) = ids else { continue };
        let _ = write!(out, "{} {} ", if not { " !" } else { "" }, if save { option } else { list });
        let name = names.iter().find(|name| by_name && low == high && name.1 == low);
        let _ = match name {
            Some((name, _)) => write!(out, "{name}"),
            None if low == high => write!(out, "{low}"),
            None => write!(out, "{low}-{high}"),
        };
    }
    if with.suppl_groups {
        out.push_str(if save { " --suppl-groups" } else { " incl. suppl. groups" });
    }
}

fn arbitrary(make: &mut Maker) {
    if !matches!(make.chain, "OUTPUT" | "POSTROUTING") {
        return;
    }
    make.add("-m owner");
    let which = make.below(4);
    if which != 1 {
        make.not();
        let (a, b) = (make.below(70_000), make.below(70_000));
        let ids = if make.one_in(2) { a.to_string() } else { format!("{}-{}", a.min(b), a.max(b)) };
        make.add(format!("--uid-owner {ids}"));
    }
    if which < 2 {
        make.not();
        let group = make.pick(&["root", "7", "100-200", "nogroup"]);
        make.add(format!("--gid-owner {group}"));
        if make.one_in(3) {
            make.add("--suppl-groups");
        }
    }
    if which == 3 {
        make.not();
        make.add("--socket-exists");
    }
}

/// Programs run as root.
fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_in(&["OUTPUT", "POSTROUTING"]) {
        return String::new();
    }
    let what =
        ["--uid-owner 0", "--uid-owner 1000", "--gid-owner 0-10", "--socket-exists", "--uid-owner root"];
    format!("-m owner {}{}", draw.not(), draw.pick(&what))
}
