//! `-m tos` and `-j TOS`: the type of service (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_dscp::{TosMt, TosTg};
use glassnet_kernel::tables::xt::{Match, TableName, Target};

use super::words::{conflicts, incomplete, parameter};
use super::{Context, Draw, DrawnTarget, Given, Maker, MatchExt, Opt, Place, Style, TargetExt, XtError, x6};

/// The match.
pub const EXT: MatchExt = MatchExt {
    name: "tos",
    options: &[Opt::invertible("tos")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

/// The target.
pub const TARGET: TargetExt = TargetExt {
    name: "TOS",
    options: OPTIONS,
    parse: parse_target,
    show: show_target,
    arbitrary: Some(arbitrary_target),
    drawn: (1, drawn_target),
};

const OPTIONS: &[Opt] =
    &[Opt::value("set-tos"), Opt::value("and-tos"), Opt::value("or-tos"), Opt::value("xor-tos")];

/// Names of RFC 1349, without the ECN bits.
const NAMES: [(&str, u8); 5] = [
    ("Minimize-Delay", 0x10),
    ("Maximize-Throughput", 0x08),
    ("Maximize-Reliability", 0x04),
    ("Minimize-Cost", 0x02),
    ("Normal-Service", 0x00),
];
/// Mask of a name.
const NAME_MASK: u8 = 0x3f;

/// `value[/mask]` or a name (`XTTYPE_TOSMASK`).
fn value_mask(text: &str) -> Result<(u8, u8), XtError> {
    let Some((value, rest)) = x6::strtoul(text).filter(|(value, _)| *value <= 255) else {
        return match NAMES.iter().find(|name| name.0.eq_ignore_ascii_case(text)) {
            Some((_, value)) => Ok((*value, NAME_MASK)),
            None => parameter(format!("Symbolic name \"{text}\" is unknown")),
        };
    };
    let mask = match rest.strip_prefix('/') {
        Some(mask) => x6::strtoui(mask, 0, 255),
        None => rest.is_empty().then_some(255),
    };
    match mask {
        Some(mask) => Ok((value as u8, mask as u8)),
        None => parameter(format!("Illegal value: \"{text}\"")),
    }
}

fn name(value: u8, mask: u8) -> Option<&'static str> {
    NAMES.iter().find(|name| mask == NAME_MASK && name.1 == value).map(|name| name.0)
}

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("tos", given, "tos")?;
    let (value, mask) = value_mask(given.value())?;
    Ok(Match::new(TosMt { invert: given.invert, value, mask }))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<TosMt>() else { return };
    let numbers = format!("0x{:02x}/0x{:02x}", with.value, with.mask);
    let not = if with.invert { "!" } else { "" };
    let _ = match (style, name(with.value, with.mask)) {
        (Style::Save, _) => write!(out, " {not}{}--tos {numbers}", if with.invert { " " } else { "" }),
        (Style::List { numeric: false, .. }, Some(name)) => write!(out, " tos match{not} {name}"),
        // The real tool prints no space here.
        _ => write!(out, " tos match{not}{numbers}"),
    };
}

fn parse_target(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut found = None;
    for option in given {
        let number = || x6::uint("TOS", option, 0, 255).map(|value| value as u8);
        let (value, mask) = match option.name {
            "set-tos" => value_mask(option.value())?,
            "and-tos" => (0, !number()?),
            "or-tos" => {
                let value = number()?;
                (value, value)
            }
            _ => (number()?, 0),
        };
        found = Some(TosTg { value, mask });
    }
    let Some(found) = found else { return incomplete("TOS: An action is required") };
    conflicts(
        "TOS",
        given,
        &[
            ("set-tos", &["and-tos", "or-tos", "xor-tos"]),
            ("and-tos", &["or-tos", "xor-tos"]),
            ("or-tos", &["xor-tos"]),
        ],
    )?;
    Ok(Target::new(found))
}

fn show_target(target: &Target, style: Style, out: &mut String) {
    let Some(&TosTg { value, mask }) = target.get() else { return };
    let by_name = matches!(style, Style::List { numeric: false, .. });
    let _ = match (value, mask) {
        _ if style == Style::Save => write!(out, " --set-tos 0x{value:02x}/0x{mask:02x}"),
        _ if !by_name => write!(out, " TOS set 0x{value:02x}/0x{mask:02x}"),
        // The real tool prints one space too many and one too few here.
        _ if name(value, mask).is_some() => {
            write!(out, "  TOS set{}", name(value, mask).unwrap_or_default())
        }
        (0, mask) => write!(out, " TOS and 0x{:02x}", !mask),
        (value, mask) if value == mask => write!(out, " TOS or 0x{value:02x}"),
        (value, 0) => write!(out, " TOS xor 0x{value:02x}"),
        _ => write!(out, " TOS set 0x{value:02x}/0x{mask:02x}"),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-m tos");
    make.not();
    let tos = arbitrary_value(make);
    make.add(format!("--tos {tos}"));
}

fn drawn(draw: &mut Draw, _: Place) -> String {
    format!("-m tos {}--tos {}", draw.not(), draw.pick(&["0x10", "0x00/0xff", "Minimize-Delay", "0x10/0x3f"]))
}

fn arbitrary_target(make: &mut Maker) {
    if make.table != TableName::Mangle {
        return;
    }
    if make.one_in(2) {
        let tos = arbitrary_value(make);
        make.add(format!("-j TOS --set-tos {tos}"));
    } else {
        let (option, tos) = (make.pick(&["and", "or", "xor"]), make.number(256));
        make.add(format!("-j TOS --{option}-tos {tos}"));
    }
}

fn drawn_target(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "mangle" {
        return DrawnTarget::NONE;
    }
    let what = ["--set-tos 0x10", "--set-tos 0x08/0x18", "--and-tos 0xf0"];
    DrawnTarget::plain(format!("-j TOS {}", draw.pick(&what)))
}

fn arbitrary_value(make: &mut Maker) -> String {
    match make.below(3) {
        0 => make
            .pick(&[
                "Minimize-Delay",
                "maximize-throughput",
                "Maximize-Reliability",
                "Minimize-Cost",
                "Normal-Service",
            ])
            .to_owned(),
        1 => make.number(256),
        _ => format!("{}/{}", make.number(256), make.number(256)),
    }
}
