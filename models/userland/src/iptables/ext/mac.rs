//! `-m mac`: source MAC address (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_mac::MacSource;
use glassnet_kernel::tables::xt::Match;
use glassnet_wire::Mac;

use super::words::parameter;
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "mac",
    options: &[Opt::invertible("mac-source")],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (2, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let given = x6::mandatory("mac", given, "mac-source")?;
    match address(given.value()) {
        Some(addr) => Ok(Match::new(MacSource { invert: given.invert, addr })),
        None => parameter("Invalid MAC address specified."),
    }
}

/// Six bytes separated by colons; leading zeros and the last byte may be omitted.
fn address(text: &str) -> Option<Mac> {
    let mut bytes = [0; 6];
    let parts: Vec<&str> = text.split(':').collect();
    if parts.len() != 6 {
        return None;
    }
    for (at, (byte, part)) in bytes.iter_mut().zip(parts).enumerate() {
        let is_byte = part.len() <= 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit());
        *byte = match part {
            "" if at == 5 => 0,
            part if is_byte => u8::from_str_radix(part, 16).ok()?,
            _ => return None,
        };
    }
    Some(Mac(bytes))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<MacSource>() else { return };
    let _ = match (style, with.invert) {
        (Style::Save, false) => write!(out, " --mac-source {}", with.addr),
        (Style::Save, true) => write!(out, " ! --mac-source {}", with.addr),
        (_, false) => write!(out, " MAC {}", with.addr),
        (_, true) => write!(out, " MAC ! {}", with.addr),
    };
}

fn arbitrary(make: &mut Maker) {
    if !matches!(make.chain, "PREROUTING" | "INPUT" | "FORWARD") {
        return;
    }
    let mut mac = [0; 6];
    make.dice.fill(&mut mac);
    let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02X}")).collect();
    make.add("-m mac");
    make.not();
    make.add(format!("--mac-source {}", mac.join(":")));
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.comes_in() {
        return String::new();
    }
    format!("-m mac {}--mac-source 02:00:00:00:1{}:0{}", draw.not(), draw.below(3), draw.below(3) + 2)
}
