//! `-j LOG`: logs the packet (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_log::Log;
use glassnet_kernel::tables::xt::Target;

use super::words::{parameter, save_string, truncated};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, x6};

/// The extension.
pub const TARGET: TargetExt =
    TargetExt { name: "LOG", options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (1, drawn) };

const OPTIONS: &[Opt] = &[
    Opt::value("log-level"),
    Opt::value("log-prefix"),
    Opt::flag("log-tcp-sequence"),
    Opt::flag("log-tcp-options"),
    Opt::flag("log-ip-options"),
    Opt::flag("log-uid"),
    Opt::flag("log-macdecode"),
];

/// Accepted names.
const LEVELS: [(&str, u8); 9] = [
    ("alert", 1),
    ("crit", 2),
    ("debug", 7),
    ("emerg", 0),
    ("error", 3),
    ("info", 6),
    ("notice", 5),
    ("panic", 0),
    ("warning", 4),
];
/// Printed names.
const NAMES: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
/// Default level (`LOG_DEFAULT_LEVEL`).
const DEFAULT: u8 = 4;
/// Maximum length of a prefix, bytes.
const PREFIX: usize = 29;

/// A log prefix: not empty, no newline. The messages of `NFLOG` name the option of `LOG`.
///
/// # Errors
///
/// A prefix that is empty or contains a newline.
pub fn prefix(given: &Given, max: usize) -> Result<String, XtError> {
    match given.value() {
        "" => parameter("Argument must have a minimum length of 1 characters\n"),
        text if text.contains('\n') => parameter("Newlines not allowed in --log-prefix"),
        text => Ok(truncated(text, max)),
    }
}

fn parse(given: &[Given], _: &Context) -> Result<Target, XtError> {
    let mut target = Log {
        level: DEFAULT,
        prefix: String::new(),
        tcp_sequence: false,
        tcp_options: false,
        ip_options: false,
        uid: false,
        macdecode: false,
    };
    for option in given {
        match option.name {
            "log-level" => target.level = level(option.value())?,
            "log-prefix" => target.prefix = prefix(option, PREFIX)?,
            "log-tcp-sequence" => target.tcp_sequence = true,
            "log-tcp-options" => target.tcp_options = true,
            "log-ip-options" => target.ip_options = true,
            "log-uid" => target.uid = true,
            _ => target.macdecode = true,
        }
    }
    Ok(Target::new(target))
}

fn level(text: &str) -> Result<u8, XtError> {
    let by_name = || LEVELS.iter().find(|level| level.0 == text).map(|level| level.1);
    match x6::strtoui(text, 0, 7).map(|level| level as u8).or_else(by_name) {
        Some(level) => Ok(level),
        None => parameter(format!("log level \"{text}\" unknown\n")),
    }
}

fn flags(target: &Log) -> [(&'static str, bool, u8); 5] {
    [
        ("tcp-sequence", target.tcp_sequence, 1),
        ("tcp-options", target.tcp_options, 2),
        ("ip-options", target.ip_options, 4),
        ("uid", target.uid, 8),
        ("macdecode", target.macdecode, 32),
    ]
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<Log>() else { return };
    let set = flags(target).into_iter().filter(|flag| flag.1);
    match style {
        Style::Save => {
            if !target.prefix.is_empty() {
                out.push_str(" --log-prefix");
                save_string(&target.prefix, out);
            }
            if target.level != DEFAULT {
                let _ = write!(out, " --log-level {}", target.level);
            }
            set.for_each(|(name, ..)| {
                let _ = write!(out, " --log-{name}");
            });
            return;
        }
        Style::List { numeric: true, .. } => {
            let bits = set.fold(0, |bits, flag| bits | flag.2);
            let _ = write!(out, " LOG flags {bits} level {}", target.level);
        }
        Style::List { numeric: false, .. } => {
            let _ = write!(out, " LOG level {}", NAMES[usize::from(target.level & 7)]);
            set.for_each(|(name, ..)| {
                let _ = write!(out, " {name}");
            });
        }
    }
    if !target.prefix.is_empty() {
        let _ = write!(out, " prefix \"{}\"", target.prefix);
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-j LOG");
    if make.one_in(2) {
        let text = make.text(29);
        make.add(format!("--log-prefix {text}"));
    }
    if make.one_in(2) {
        let level = make.pick(&[
            "emerg", "panic", "alert", "crit", "error", "warning", "notice", "info", "debug", "3", "7",
        ]);
        make.add(format!("--log-level {level}"));
    }
    for flag in ["tcp-sequence", "tcp-options", "ip-options", "uid", "macdecode"] {
        if make.one_in(3) {
            make.add(format!("--log-{flag}"));
        }
    }
}

fn drawn(draw: &mut Draw, _: Place) -> DrawnTarget {
    DrawnTarget::plain(format!("-j LOG --log-prefix \"x{} \"", draw.below(9)))
}
