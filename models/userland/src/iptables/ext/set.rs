//! `-m set` and `-j SET`: sets of ipset (iptables-extensions(8)).

use std::cmp::Ordering;
use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_set::{SetCompare, SetMatch, SetRef, SetTarget};
use glassnet_kernel::tables::xt::{Match, Target};

use super::words::{incomplete, parameter};
use super::{Context, Draw, DrawnTarget, Given, MatchExt, Opt, Place, Style, TargetExt, XtError, x6};

/// The match.
pub const EXT: MatchExt = MatchExt {
    name: "set",
    options: &[
        Opt::words("match-set", 2).not().many(),
        Opt::words("set", 2).not().many(),
        Opt::invertible_flag("return-nomatch").many(),
        Opt::invertible_flag("update-counters").many(),
        Opt::invertible_flag("update-subcounters").many(),
        Opt::invertible("packets-eq").many(),
        Opt::invertible("packets-lt").many(),
        Opt::invertible("packets-gt").many(),
        Opt::invertible("bytes-eq").many(),
        Opt::invertible("bytes-lt").many(),
        Opt::invertible("bytes-gt").many(),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (6, drawn),
};

/// The target.
pub const TARGET: TargetExt = TargetExt {
    name: "SET",
    options: &[
        // The tool parses `!` and ignores it.
        Opt::words("add-set", 2).not().many(),
        Opt::words("del-set", 2).not().many(),
        Opt::words("map-set", 2).not().many(),
        Opt::value("timeout").not().many(),
        Opt::flag("exist").not().many(),
        Opt::flag("map-mark").not().many(),
        Opt::flag("map-prio").not().many(),
        Opt::flag("map-queue").not().many(),
    ],
    parse: parse_target,
    show: show_target,
    arbitrary: None,
    drawn: (2, drawn_target),
};

/// Maximum number of dimensions (`IPSET_DIM_MAX`).
const MAX_DIM: usize = 6;
/// Maximum length of a set's name, bytes.
const MAX_NAME: usize = 31;

/// The set of an option, and for each dimension source (true) or destination.
fn set_ref(option: &Given, context: &Context) -> Result<SetRef, XtError> {
    let (name, flags) = match option.values.as_slice() {
        [name, flags] => (name.as_str(), flags.as_str()),
        _ => return parameter(format!("--{} requires two args.", option.name)),
    };
    if name.len() > MAX_NAME {
        return parameter(format!("setname `{name}' too long, max {MAX_NAME} characters."));
    }
    if !context.sets.iter().any(|known| known == name) {
        return parameter(format!("Set {name} doesn't exist.\n"));
    }
    let mut source = Vec::new();
    for word in flags.split(',') {
        if source.len() == MAX_DIM {
            return parameter(format!("Can't be more src/dst options than {MAX_DIM}."));
        }
        source.push(match word {
            "src" => true,
            "dst" => false,
            _ => return parameter("You must spefify (the comma separated list of) 'src' or 'dst'."),
        });
    }
    Ok(SetRef { name: name.to_owned(), source })
}

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let mut set: Option<(SetRef, bool)> = None;
    let mut with = SetMatch {
        invert: false,
        name: String::new(),
        source: Vec::new(),
        return_nomatch: false,
        update_counters: true,
        update_subcounters: true,
        packets: None,
        bytes: None,
    };
    for option in given {
        match option.name {
            "match-set" | "set" => {
                if set.is_some() {
                    return parameter("--match-set can be specified only once");
                }
                set = Some((set_ref(option, context)?, option.invert));
            }
            "return-nomatch" if option.invert => {
                return parameter("--return-nomatch flag cannot be inverted");
            }
            "return-nomatch" => with.return_nomatch = true,
            "update-counters" => with.update_counters = !option.invert,
            "update-subcounters" => with.update_subcounters = !option.invert,
            name if name.starts_with("packets") => compare(option, "packets", &mut with.packets)?,
            _ => compare(option, "bytes", &mut with.bytes)?,
        }
    }
    let Some((set, invert)) = set else {
        return incomplete("You must specify `--match-set' with proper arguments");
    };
    Ok(Match::new(SetMatch { invert, name: set.name, source: set.source, ..with }))
}

fn compare(option: &Given, what: &str, into: &mut SetCompare) -> Result<(), XtError> {
    let how = match option.name.rsplit('-').next() {
        Some("eq") => Ordering::Equal,
        Some("lt") => Ordering::Less,
        _ => Ordering::Greater,
    };
    if option.invert && how != Ordering::Equal {
        return parameter(format!("--{} option cannot be inverted", option.name));
    }
    if into.is_some() {
        return parameter(format!("only one of the --{what}-[eq|lt|gt] is allowed"));
    }
    let value = option.value();
    // An overflow parses as the maximum, and is recognized by its length.
    let parsed = x6::strtoui(value, 0, u64::MAX).filter(|number| *number != u64::MAX || is_max(value));
    match parsed {
        Some(number) => *into = Some((option.invert, how, number)),
        None => return parameter(format!("Cannot parse {value} as a counter value")),
    }
    Ok(())
}

fn is_max(text: &str) -> bool {
    text == u64::MAX.to_string() || text.eq_ignore_ascii_case("0xffffffffffffffff")
}

fn directions(source: &[bool]) -> String {
    let words: Vec<&str> = source.iter().map(|source| if *source { "src" } else { "dst" }).collect();
    words.join(",")
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<SetMatch>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    let not = |invert: bool| if invert { " !" } else { "" };
    let _ = write!(out, "{} {dashes}match-set {} {}", not(with.invert), with.name, directions(&with.source));
    let flags = [
        (with.return_nomatch, "", "return-nomatch"),
        (!with.update_counters, " !", "update-counters"),
        (!with.update_subcounters, " !", "update-subcounters"),
    ];
    for (_, not, name) in flags.into_iter().filter(|flag| flag.0) {
        let _ = write!(out, "{not} {dashes}{name}");
    }
    for (name, compare) in [("packets", with.packets), ("bytes", with.bytes)] {
        let Some((invert, how, value)) = compare else { continue };
        let how = match how {
            Ordering::Equal => "eq",
            Ordering::Less => "lt",
            Ordering::Greater => "gt",
        };
        let _ = write!(out, "{} {dashes}{name}-{how} {value}", not(invert));
    }
}

fn parse_target(given: &[Given], context: &Context) -> Result<Target, XtError> {
    let mut with = SetTarget::default();
    for option in given {
        let once = |known: &Option<SetRef>| match known {
            Some(_) => parameter(format!("--{} can be specified only once", option.name)),
            None => set_ref(option, context).map(Some),
        };
        match option.name {
            "add-set" => with.add = once(&with.add)?,
            "del-set" => with.del = once(&with.del)?,
            "map-set" => with.map = once(&with.map)?,
            "exist" => with.exist = true,
            "timeout" => {
                let Some(seconds) = x6::strtoui(option.value(), 0, u64::from(u32::MAX) - 1) else {
                    return parameter("Invalid value for option --timeout or out of range 0-4294967294");
                };
                with.timeout = Some(seconds as u32);
            }
            "map-mark" => with.map_mark = true,
            "map-prio" => with.map_prio = true,
            _ => with.map_queue = true,
        }
    }
    check_target(&with)?;
    Ok(Target::new(with))
}

fn check_target(with: &SetTarget) -> Result<(), XtError> {
    if with.add.is_none() && with.del.is_none() && with.map.is_none() {
        return incomplete("You must specify either `--add-set' or `--del-set' or `--map-set'");
    }
    if with.add.is_none() {
        if with.exist {
            return parameter("Flag `--exist' can be used with `--add-set' only");
        }
        if with.timeout.is_some() {
            return parameter("Option `--timeout' can be used with `--add-set' only");
        }
    }
    let maps = with.map_mark || with.map_prio || with.map_queue;
    if with.map.is_some() && !maps {
        return incomplete("You must specify flags `--map-mark' or '--map-prio` or `--map-queue'");
    }
    Ok(())
}

fn show_target(with: &Target, style: Style, out: &mut String) {
    let Some(with) = with.get::<SetTarget>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    let show = |out: &mut String, name: &str, set: &Option<SetRef>| {
        if let Some(set) = set {
            let _ = write!(out, " {dashes}{name} {} {}", set.name, directions(&set.source));
        }
    };
    show(out, "add-set", &with.add);
    if with.exist {
        let _ = write!(out, " {dashes}exist");
    }
    if let Some(seconds) = with.timeout {
        let _ = write!(out, " {dashes}timeout {seconds}");
    }
    show(out, "del-set", &with.del);
    show(out, "map-set", &with.map);
    let maps = [(with.map_mark, "map-mark"), (with.map_prio, "map-prio"), (with.map_queue, "map-queue")];
    for (_, name) in maps.into_iter().filter(|(on, _)| *on) {
        let _ = write!(out, " {dashes}{name}");
    }
}

/// `-m set`, if the case has sets.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let Some(set) = draw.set_words() else { return String::new() };
    let more = match draw.below(10) {
        0 => " --return-nomatch",
        1 => " ! --update-counters",
        2 => " ! --update-subcounters",
        3 => " --packets-gt 1",
        4 => " ! --packets-eq 0",
        5 => " --bytes-lt 150",
        _ => "",
    };
    format!("-m set {}--match-set {set}{more}", draw.not())
}

fn drawn_target(draw: &mut Draw, place: Place) -> DrawnTarget {
    let Some(set) = draw.set_words() else { return DrawnTarget::NONE };
    DrawnTarget::plain(match draw.below(6) {
        0 | 1 => format!("-j SET --del-set {set}"),
        // Priorities are set only for outgoing packets.
        2 if place.table == "mangle" && place.leaves() => {
            format!("-j SET --map-set {set} --map-prio --map-mark")
        }
        2 | 3 if place.table == "mangle" => format!("-j SET --map-set {set} --map-mark"),
        4 => format!("-j SET --add-set {set} --exist{}", draw.pick(&["", " --timeout 900"])),
        _ => format!("-j SET --add-set {set}"),
    })
}
