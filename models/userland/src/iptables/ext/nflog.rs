//! `-j NFLOG`: sends the packet to a netlink group (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_log::Nflog;
use glassnet_kernel::tables::xt::{Target, Variant};

use super::words::{conflicts, save_string};
use super::{Context, Draw, DrawnTarget, Given, Maker, Opt, Place, Style, TargetExt, XtError, log, x6};

/// The extension.
pub const TARGET: TargetExt =
    TargetExt { name: "NFLOG", options: OPTIONS, parse, show, arbitrary: Some(arbitrary), drawn: (1, drawn) };

const OPTIONS: &[Opt] = &[
    Opt::value("nflog-group"),
    Opt::value("nflog-prefix"),
    Opt::value("nflog-range"),
    Opt::value("nflog-size"),
    Opt::value("nflog-threshold"),
];
/// Maximum length of a prefix, bytes: of the extension, and of the nf_tables expression that the nft variant uses.
const PREFIX: (usize, usize) = (63, 127);

fn parse(given: &[Given], context: &Context) -> Result<Target, XtError> {
    let nft = context.variant == Variant::Nft;
    let mut target = Nflog::default();
    for option in given {
        let number = |max: u32| x6::uint("NFLOG", option, 0, u64::from(max)).map(|value| value as u32);
        match option.name {
            "nflog-group" => target.group = number(0xffff)? as u16,
            "nflog-prefix" => {
                target.prefix = log::prefix(option, if nft { PREFIX.1 } else { PREFIX.0 })?;
            }
            "nflog-range" => {
                let range = number(u32::MAX)?;
                // It has no effect; the nft variant drops it.
                target.size = Some((false, range)).filter(|_| !nft && range != 0);
            }
            "nflog-size" => target.size = Some((true, number(u32::MAX)?)),
            _ => target.threshold = number(0xffff)? as u16,
        }
    }
    conflicts("NFLOG", given, &[("nflog-range", &["nflog-size"])])?;
    Ok(Target::new(target))
}

fn show(target: &Target, style: Style, out: &mut String) {
    let Some(target) = target.get::<Nflog>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    if !target.prefix.is_empty() {
        let _ = write!(out, " {dashes}nflog-prefix");
        save_string(&target.prefix, out);
    }
    if target.group != 0 {
        let _ = write!(out, " {dashes}nflog-group {}", target.group);
    }
    if let Some((is_size, bytes)) = target.size {
        let _ = write!(out, " {dashes}nflog-{} {bytes}", if is_size { "size" } else { "range" });
    }
    if target.threshold != 0 {
        let _ = write!(out, " {dashes}nflog-threshold {}", target.threshold);
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-j NFLOG");
    if make.one_in(2) {
        let text = make.text(60);
        make.add(format!("--nflog-prefix {text}"));
    }
    for (option, bound) in [("group", 1 << 16), ("size", 1 << 32), ("threshold", 1 << 16)] {
        if make.one_in(2) {
            let value = make.number(bound);
            make.add(format!("--nflog-{option} {value}"));
        }
    }
}

fn drawn(draw: &mut Draw, _: Place) -> DrawnTarget {
    let (group, prefix) = (draw.below(3), draw.below(9));
    DrawnTarget::plain(format!("-j NFLOG --nflog-group {group} --nflog-prefix n{prefix}"))
}
