//! `-m ipvs`: what a packet is to IPVS (iptables-extensions(8)).

use std::fmt::Write;

use glassnet_kernel::net::netfilter::xt_ipvs::Ipvs;
use glassnet_kernel::tables::ip_vs::{CONN_F_DROUTE, CONN_F_MASQ, CONN_F_TUNNEL};
use glassnet_kernel::tables::xt::Match;

use super::words::{bad_value, incomplete};
use super::{Context, Draw, Given, Maker, MatchExt, Opt, Place, Style, XtError, nat, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: NAME,
    options: &[
        Opt::invertible_flag("ipvs"),
        Opt::invertible("vproto"),
        Opt::invertible("vaddr"),
        Opt::invertible("vport"),
        Opt::value("vdir"),
        Opt::invertible("vmethod"),
        Opt::invertible("vportctl"),
    ],
    parse,
    show,
    arbitrary: Some(arbitrary),
    drawn: (1, drawn),
};

const NAME: &str = "ipvs";
/// `--vmethod` by name.
const METHODS: [(&str, u32); 3] = [("GATE", CONN_F_DROUTE), ("IPIP", CONN_F_TUNNEL), ("MASQ", CONN_F_MASQ)];

fn parse(given: &[Given], context: &Context) -> Result<Match, XtError> {
    let mut with = Ipvs::default();
    for option in given {
        let (not, value) = (option.invert, option.value());
        match option.name {
            "ipvs" => with.property = Some(not),
            "vproto" => with.proto = Some((not, x6::protocol(value)?)),
            "vaddr" => {
                let (host, mask) =
                    value.split_once('/').map_or((value, None), |(host, mask)| (host, Some(mask)));
                let length = mask.map_or(Ok(32), |mask| x6::prefix(NAME, option.name, mask))?;
                with.vaddr = Some((not, nat::host_address(host, context)?, length));
            }
            "vport" => with.vport = Some((not, port(value)?)),
            "vportctl" => with.vportctl = Some((not, port(value)?)),
            "vmethod" => match METHODS.iter().find(|method| method.0.eq_ignore_ascii_case(value)) {
                Some((_, method)) => with.method = Some((not, *method)),
                None => return bad_value(NAME, option.name, value),
            },
            _ if value.eq_ignore_ascii_case("ORIGINAL") => with.reply = Some(false),
            _ if value.eq_ignore_ascii_case("REPLY") => with.reply = Some(true),
            name => return bad_value(NAME, name, value),
        }
    }
    if with == Ipvs::default() {
        return incomplete("IPVS: At least one option is required");
    }
    Ok(Match::new(with))
}

/// Of a number that is too large the lower bits count.
fn port(text: &str) -> Result<u16, XtError> {
    match x6::strtoui(text, 0, u64::from(u32::MAX)) {
        Some(number) => Ok(number as u16),
        None => x6::port(text),
    }
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(with) = with.get::<Ipvs>() else { return };
    let dashes = if style == Style::Save { "--" } else { "" };
    let mut word = |not: bool, name: &str, value: &str| {
        let _ = write!(out, "{} {dashes}{name}{value}", if not { " !" } else { "" });
    };
    if with.is_property_only() {
        word(with.property == Some(true), "ipvs", "");
    }
    if let Some((not, proto)) = with.proto {
        word(not, "vproto", &format!(" {proto}"));
    }
    if let Some((not, addr, bits)) = with.vaddr {
        let length = if bits == 32 { String::new() } else { format!("/{bits}") };
        word(not, "vaddr", &format!(" {addr}{length}"));
    }
    if let Some((not, port)) = with.vport {
        word(not, "vport", &format!(" {port}"));
    }
    if let Some(reply) = with.reply {
        word(false, "vdir", if reply { " REPLY" } else { " ORIGINAL" });
    }
    if let Some((not, method)) = with.method {
        let name = METHODS.iter().find(|known| known.1 == method).map_or("UNKNOWN", |known| known.0);
        word(not, "vmethod", &format!(" {name}"));
    }
    if let Some((not, port)) = with.vportctl {
        word(not, "vportctl", &format!(" {port}"));
    }
}

fn arbitrary(make: &mut Maker) {
    make.add("-m ipvs");
    if make.one_in(3) {
        make.not();
        make.add("--ipvs");
        return;
    }
    make.not();
    let port = make.below(65_536);
    make.add(format!("--vport {port}"));
    if make.one_in(2) {
        make.not();
        let method = make.pick(&["GATE", "IPIP", "MASQ"]);
        make.add(format!("--vmethod {method}"));
    }
    if make.one_in(2) {
        let dir = make.pick(&["ORIGINAL", "REPLY"]);
        make.add(format!("--vdir {dir}"));
    }
}

/// No service is drawn beside the rules, so IPVS handles nothing.
fn drawn(draw: &mut Draw, _: Place) -> String {
    let not = draw.not();
    format!("-m ipvs {not}--ipvs")
}
