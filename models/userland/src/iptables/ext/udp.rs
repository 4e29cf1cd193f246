//! `-m udp`: ports (iptables-extensions(8)).

use glassnet_kernel::net::netfilter::xt_tcpudp::Udp;
use glassnet_kernel::tables::xt::Match;
use glassnet_kernel::tables::xt::Ports;
use glassnet_wire::ipv4::IPPROTO_UDP;

use super::tcp::show_ports;
use super::{Context, Draw, Given, MatchExt, Opt, Place, Style, XtError, x6};

/// The extension.
pub const EXT: MatchExt = MatchExt {
    name: "udp",
    options: &[
        Opt::invertible("source-port").many(),
        Opt::invertible("sport").many(),
        Opt::invertible("destination-port").many(),
        Opt::invertible("dport").many(),
    ],
    parse,
    show,
    arbitrary: None,
    drawn: (1, drawn),
};

fn parse(given: &[Given], _: &Context) -> Result<Match, XtError> {
    let mut udp = Udp::default();
    let (mut sport, mut dport) = (false, false);
    for option in given {
        let (seen, place, name) = match option.name {
            "source-port" | "sport" => (&mut sport, &mut udp.sport, "source-port"),
            _ => (&mut dport, &mut udp.dport, "destination-port"),
        };
        if std::mem::replace(seen, true) {
            return x6::error("udp", &format!("option \"--{name}\" can only be used once."));
        }
        *place = Ports { invert: option.invert, range: x6::ports("udp", name, option.value())? };
    }
    Ok(Match::new(udp))
}

fn show(with: &Match, style: Style, out: &mut String) {
    let Some(udp) = with.get::<Udp>() else { return };
    if style != Style::Save {
        *out += " udp";
    }
    show_ports(&udp.sport, "sport", style, IPPROTO_UDP, out);
    show_ports(&udp.dport, "dport", style, IPPROTO_UDP, out);
}

fn drawn(draw: &mut Draw, place: Place) -> String {
    if !place.is_proto(&["udp"]) {
        return String::new();
    }
    let side = draw.pick(&["sport", "dport", "dport"]);
    format!("-m udp {}--{side} {}", draw.not(), draw.ports())
}
