//! `-m policy`: the IPsec policy of a packet (iptables-extensions(8)).

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::netfilter::xt_policy::{Element, Policy};
use glassnet_kernel::tables::xt::Match;

use super::words::{incomplete, parameter};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, nat, x6};
use crate::services;

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::value("dir"),
        Opt::value("pol"),
        Opt::flag("strict"),
        Opt::invertible("reqid").many(),
        Opt::invertible("spi").many(),
        Opt::invertible("tunnel-src").many(),
        Opt::invertible("tunnel-dst").many(),
        Opt::invertible("proto").many(),
        Opt::invertible("mode").many(),
        Opt::flag("next").many(),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const NAME: &str = "policy";
/// `XT_POLICY_MAX_ELEM`.
const MOST: usize = 4;

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let mut dir = None;
    let mut with = Policy { out: false, none: false, strict: false, elements: vec![Element::default()] };
    for option in given {
        match (option.name, option.value()) {
            ("dir", "in") => dir = Some(false),
            ("dir", "out") => dir = Some(true),
            ("dir", other) => return parameter(format!("policy_match: invalid dir \"{other}\"")),
            ("pol", "none") => with.none = true,
            ("pol", "ipsec") => with.none = false,
            ("pol", other) => return parameter(format!("policy match: invalid policy \"{other}\"")),
            ("strict", _) => with.strict = true,
            ("next", _) if with.elements.len() == MOST => {
                return parameter("policy match: maximum policy depth reached");
            }
            ("next", _) => with.elements.push(Element::default()),
            _ => {
                let last = with.elements.len() - 1;
                element(option, context, &mut with.elements[last])?;
            }
        }
    }
    let Some(out) = dir else {
        return incomplete("policy match: neither --dir in nor --dir out specified");
    };
    with.out = out;
    check(&with)?;
    if with.none || !with.strict && with.elements[0] == Element::default() {
        with.elements.clear();
    }
    Ok(Match::new(with))
}

fn element(option: &Given, context: &Context, element: &mut Element) -> Result<(), XtError> {
    let (name, invert, text) = (option.name, option.invert, option.value());
    let is_taken = match name {
        "reqid" => element.reqid.is_some(),
        "spi" => element.spi.is_some(),
        "tunnel-src" => element.tunnel_src.is_some(),
        "tunnel-dst" => element.tunnel_dst.is_some(),
        "proto" => element.proto.is_some(),
        _ => element.tunnel.is_some(),
    };
    if is_taken {
        return parameter(format!("policy match: double --{name} option"));
    }
    let number =
        || x6::uint(NAME, option, 0, u64::from(u32::MAX)).map(|number| Some((invert, number as u32)));
    match name {
        "reqid" => element.reqid = number()?,
        "spi" => element.spi = number()?,
        "tunnel-src" | "tunnel-dst" => {
            let (host, mask) = text.split_once('/').map_or((text, None), |(host, mask)| (host, Some(mask)));
            let length = mask.map_or(Ok(32), |mask| x6::prefix(NAME, name, mask))?;
            let network = Some((invert, nat::host_address(host, context)?, length));
            *(if name == "tunnel-src" { &mut element.tunnel_src } else { &mut element.tunnel_dst }) = network;
        }
        "proto" => match x6::protocol(text)? {
            // ESP, AH, IPComp.
            proto @ (50 | 51 | 108) => element.proto = Some((invert, proto)),
            _ => return parameter("policy match: protocol must be ah/esp/ipcomp"),
        },
        _ => match text {
            "tunnel" | "transport" => element.tunnel = Some((invert, text == "tunnel")),
            _ => return parameter(format!("policy match: invalid mode \"{text}\"")),
        },
    }
    Ok(())
}

/// What the real tool asks of the options together.
fn check(with: &Policy) -> Result<(), XtError> {
    if with.none {
        return match (with.strict, with.elements.len()) {
            (true, _) => incomplete("policy match: policy none but --strict given"),
            (_, 1) => Ok(()),
            _ => incomplete("policy match: policy none but policy given"),
        };
    }
    if !with.strict && with.elements.len() > 1 {
        return incomplete("policy: option \"--next\" also requires \"--strict\".\n");
    }
    for (at, element) in with.elements.iter().enumerate() {
        if with.strict && *element == Element::default() {
            return incomplete(format!(
                "policy match: empty policy element {at}. --strict is in effect, but at least one of reqid, spi, \
                 tunnel-src, tunnel-dst, proto or mode is required."
            ));
        }
        let has_end = element.tunnel_src.is_some() || element.tunnel_dst.is_some();
        if has_end && element.tunnel != Some((false, true)) {
            return incomplete("policy match: --tunnel-src/--tunnel-dst is only valid in tunnel mode");
        }
    }
    Ok(())
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Policy>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    if style != Style::Save {
        *out += " policy match";
    }
    let (dir, pol) = (if with.out { "out" } else { "in" }, if with.none { "none" } else { "ipsec" });
    let _ = write!(out, " {dashes}dir {dir} {dashes}pol {pol}");
    if with.strict {
        let _ = write!(out, " {dashes}strict");
    }
    for (at, element) in with.elements.iter().enumerate() {
        match style {
            Style::Save if at > 0 => *out += " --next",
            Style::List { .. } if with.elements.len() > 1 => {
                let _ = write!(out, " [{at}]");
            }
            _ => {}
        }
        show_element(element, style, dashes, out);
    }
}

fn show_element(element: &Element, style: Style, dashes: &str, out: &mut String) {
    let mut word = |invert: bool, name: &str, value: &str| {
        let _ = write!(out, "{} {dashes}{name} {value}", if invert { " !" } else { "" });
    };
    if let Some((invert, reqid)) = element.reqid {
        word(invert, "reqid", &reqid.to_string());
    }
    if let Some((invert, spi)) = element.spi {
        word(invert, "spi", &format!("0x{spi:x}"));
    }
    if let Some((invert, proto)) = element.proto {
        let numeric = matches!(style, Style::List { numeric: true, .. });
        let name = services::protocol_name(proto).filter(|_| !numeric);
        word(invert, "proto", &name.map_or(proto.to_string(), str::to_owned));
    }
    if let Some((invert, tunnel)) = element.tunnel {
        word(invert, "mode", if tunnel { "tunnel" } else { "transport" });
    }
    for (name, network) in [("tunnel-dst", element.tunnel_dst), ("tunnel-src", element.tunnel_src)] {
        if let Some((invert, address, length)) = network {
            word(invert, name, &network_text(address, length));
        }
    }
}

fn network_text(address: Ipv4Addr, length: u8) -> String {
    if length == 32 { address.to_string() } else { format!("{address}/{length}") }
}

fn arbitrary(make: &mut Maker) {
    let dir = match make.chain {
        "PREROUTING" | "INPUT" => "in",
        "OUTPUT" | "POSTROUTING" => "out",
        "FORWARD" => make.pick(&["in", "out"]),
        _ => return,
    };
    make.add(format!("-m policy --dir {dir}"));
    match make.below(3) {
        0 => make.add("--pol none"),
        1 => make.add("--pol ipsec --strict --reqid 7 --mode tunnel --tunnel-src 10.0.0.0/8 --next --spi 0x5 --proto ah"),
        _ => {
            make.add("--pol ipsec");
            make.not();
            let reqid = make.number(1 << 32);
            make.add(format!("--reqid {reqid}"));
        }
    }
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    let dir = match place.chain {
        "PREROUTING" | "INPUT" => "in",
        "OUTPUT" | "POSTROUTING" => "out",
        "FORWARD" => draw.pick(&["in", "out"]),
        _ => return String::new(),
    };
    format!("-m policy --dir {dir} --pol {}", draw.pick(&["none", "none", "ipsec"]))
}
