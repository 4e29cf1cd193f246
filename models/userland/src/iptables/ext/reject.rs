//! `REJECT`.

use glassnet_kernel::net::ipv4::netfilter::ipt_reject::Reject;
use glassnet_kernel::tables::xt::Target;

use super::{Draw, DrawnTarget, Opt, Place, Style, TargetExt, XtError};

/// Reply types in the order in which abbreviations are looked up: name, alias, reply.
const TYPES: [(&str, &str, Reject); 8] = [
    ("icmp-net-unreachable", "net-unreach", Reject::Icmp(0)),
    ("icmp-host-unreachable", "host-unreach", Reject::Icmp(1)),
    ("icmp-proto-unreachable", "proto-unreach", Reject::Icmp(2)),
    ("icmp-port-unreachable", "port-unreach", Reject::Icmp(3)),
    ("icmp-net-prohibited", "net-prohib", Reject::Icmp(9)),
    ("icmp-host-prohibited", "host-prohib", Reject::Icmp(10)),
    ("tcp-reset", "tcp-rst", Reject::TcpReset),
    ("icmp-admin-prohibited", "admin-prohib", Reject::Icmp(13)),
];

/// `-j REJECT`.
pub const EXT: TargetExt = TargetExt {
    name: "REJECT",
    options: &[Opt::value("reject-with")],
    parse: |given, _| {
        let Some(given) = given.first() else { return Ok(Target::new(Reject::Icmp(3))) };
        let text = given.value();
        let begins =
            |name: &str| name.get(..text.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(text));
        match TYPES.iter().find(|(name, alias, _)| begins(name) || begins(alias)) {
            Some((_, _, answer)) => Ok(Target::new(*answer)),
            None => Err(XtError::Parameter(format!("unknown reject type \"{text}\""))),
        }
    },
    show: |target, style, out| {
        let Some(answer) = target.get::<Reject>() else { return };
        let name = TYPES.iter().find(|(_, _, known)| known == answer).map_or("", |(name, _, _)| name);
        out.push_str(if style == Style::Save { " --reject-with " } else { " reject-with " });
        out.push_str(name);
    },
    arbitrary: None,
    drawn: (3, drawn),
};

fn drawn(draw: &mut Draw, place: Place) -> DrawnTarget {
    if place.table != "filter" || place.chain.is_empty() {
        return DrawnTarget::NONE;
    }
    let types = [
        "icmp-net-unreachable",
        "icmp-host-unreachable",
        "icmp-port-unreachable",
        "icmp-proto-unreachable",
        "icmp-net-prohibited",
        "icmp-host-prohibited",
        "icmp-admin-prohibited",
    ];
    match draw.below(3) {
        0 => DrawnTarget::of("tcp", "-j REJECT --reject-with tcp-reset"),
        1 => DrawnTarget::plain("-j REJECT"),
        _ => DrawnTarget::plain(format!("-j REJECT --reject-with {}", draw.pick(&types))),
    }
}
