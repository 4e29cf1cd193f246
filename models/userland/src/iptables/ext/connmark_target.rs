//! `-j CONNMARK`: sets the connection mark, or copies it from or to the packet (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_connmark::{ConnmarkMode, ConnmarkTg};
use glassnet_kernel::tables::xt::Target;

use super::words::{conflicts, parameter, set_mark, show_set_mark};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt =
    TargetExt { name: NAME, options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (2, drawn) };

const NAME: &str = "CONNMARK";
const OPTIONS: &[Opt] = &[
    Opt::value("set-xmark"),
    Opt::value("set-mark"),
    Opt::value("and-mark"),
    Opt::value("or-mark"),
    Opt::value("xor-mark"),
    Opt::flag("save-mark"),
    Opt::flag("restore-mark"),
    Opt::value("left-shift-mark"),
    Opt::value("right-shift-mark"),
    Opt::value("ctmask"),
    Opt::value("nfmask"),
    Opt::value("mask"),
];
/// Operations, of which one must be given.
const OPERATIONS: [&str; 7] =
    ["set-xmark", "set-mark", "and-mark", "or-mark", "xor-mark", "save-mark", "restore-mark"];

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut mode = None;
    let (mut ctmark, mut ctmask, mut nfmask, mut shift) = (0, u32::MAX, u32::MAX, 0);
    for option in given {
        let number = |max: u32| x6::uint(NAME, option, 0, u64::from(max)).map(|value| value as u32);
        match option.name {
            "save-mark" => mode = Some(ConnmarkMode::Save),
            "restore-mark" => mode = Some(ConnmarkMode::Restore),
            "left-shift-mark" => shift = number(32)? as i8,
            "right-shift-mark" => shift = -(number(32)? as i8),
            "ctmask" => ctmask = number(u32::MAX)?,
            "nfmask" => nfmask = number(u32::MAX)?,
            "mask" => {
                ctmask = number(u32::MAX)?;
                nfmask = ctmask;
            }
            _ => {
                mode = Some(ConnmarkMode::Set);
                (ctmark, ctmask) = set_mark(NAME, option)?;
            }
        }
    }
    let Some(mode) = mode else { return parameter("CONNMARK target: No operation specified") };
    for (at, operation) in OPERATIONS.iter().enumerate() {
        conflicts(NAME, given, &[(operation, &OPERATIONS[at + 1..])])?;
    }
    conflicts(NAME, given, &[("ctmask", &["mask"]), ("nfmask", &["mask"])])?;
    Ok(Target::new(ConnmarkTg { mode, ctmark, ctmask, nfmask, shift }))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<ConnmarkTg>() else { return };
    if style == Style::Save {
        show_save(target, out);
    } else {
        show_list(target, out);
    }
    if target.shift != 0 {
        let side = if target.shift > 0 { "left" } else { "right" };
        let dashes = if style == Style::Save { "--" } else { "" };
        let _ = write!(out, " {dashes}{side}-shift-mark {}", target.shift.unsigned_abs());
    }
}

fn show_save(target: &ConnmarkTg, out: &mut String) {
    let ConnmarkTg { ctmark, ctmask, nfmask, .. } = target;
    let masks = format!("--nfmask 0x{nfmask:x} --ctmask 0x{ctmask:x}");
    let _ = match target.mode {
        ConnmarkMode::Set => write!(out, " --set-xmark 0x{ctmark:x}/0x{ctmask:x}"),
        ConnmarkMode::Save => write!(out, " --save-mark {masks}"),
        ConnmarkMode::Restore => write!(out, " --restore-mark {masks}"),
    };
}

fn show_list(target: &ConnmarkTg, out: &mut String) {
    let ConnmarkTg { ctmark, ctmask, nfmask, .. } = *target;
    out.push_str(" CONNMARK");
    match target.mode {
        ConnmarkMode::Set => {
            show_set_mark(ctmark, ctmask, out);
            return;
        }
        ConnmarkMode::Save => out.push_str(" save"),
        ConnmarkMode::Restore => out.push_str(" restore"),
    }
    let _ = match target.mode {
        _ if (ctmask, nfmask) == (u32::MAX, u32::MAX) => Ok(()),
        _ if ctmask == nfmask => write!(out, " mask 0x{nfmask:x}"),
        ConnmarkMode::Save => write!(out, " nfmask 0x{nfmask:x} ctmask ~0x{ctmask:x}"),
        _ => write!(out, " ctmask 0x{ctmask:x} nfmask ~0x{nfmask:x}"),
    };
}

fn arbitrary(make: &mut Maker) {
    make.add("-j CONNMARK");
    match make.below(3) {
        0 => {
            let option = make.pick(&["set-mark", "set-xmark", "and-mark", "or-mark", "xor-mark"]);
            let value = if option.starts_with("set") { make.mark() } else { make.number(1 << 32) };
            make.add(format!("--{option} {value}"));
        }
        _ => {
            let option = make.pick(&["--save-mark", "--restore-mark"]);
            make.add(option);
            for mask in [&["mask"][..], &["ctmask", "nfmask"]][make.below(2) as usize] {
                if make.one_in(2) {
                    let value = make.number(1 << 32);
                    make.add(format!("--{mask} {value}"));
                }
            }
        }
    }
    if make.one_in(3) {
        let (side, bits) = (make.pick(&["left", "right"]), make.below(32));
        make.add(format!("--{side}-shift-mark {bits}"));
    }
}

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    // In raw it sets the mark of a template of CT, which is not kept for the next packet here.
    if place.table == "raw" {
        return DrawnTarget::NONE;
    }
    let words = match draw.below(8) {
        0 | 1 => format!("-j CONNMARK --set-mark {}", draw.mark()),
        2 => format!("-j CONNMARK --{}-mark {}", draw.pick(&["or", "and", "xor"]), draw.below(4)),
        3 => "-j CONNMARK --set-xmark 0x1/0x3 --left-shift-mark 1".to_owned(),
        4 => "-j CONNMARK --save-mark --nfmask 0x3 --ctmask 0xff".to_owned(),
        5 => "-j CONNMARK --restore-mark --nfmask 0xff --ctmask 0x3".to_owned(),
        6 => "-j CONNMARK --save-mark".to_owned(),
        _ => "-j CONNMARK --restore-mark".to_owned(),
    };
    DrawnTarget::plain(words)
}
