//! Names of Ethertypes.
//!
//! iproute2: lib/ll_proto.c

use super::args::number;

/// Names with their Ethertypes; of several names of one, the first is printed.
const NAMES: &[(u16, &str)] = &[
    (0x0060, "loop"),
    (0x0200, "pup"),
    (0x0800, "ip"),
    (0x0805, "x25"),
    (0x0806, "arp"),
    (0x08ff, "bpq"),
    (0x6000, "dec"),
    (0x6004, "lat"),
    (0x6005, "diag"),
    (0x6006, "cust"),
    (0x6007, "sca"),
    (0x8035, "rarp"),
    (0x809b, "atalk"),
    (0x80f3, "aarp"),
    (0x8100, "802.1Q"),
    (0x88a8, "802.1ad"),
    (0x8137, "ipx"),
    (0x86dd, "ipv6"),
    (0x8847, "mpls_uc"),
    (0x8848, "mpls_mc"),
    (0x0800, "ipv4"),
    (0x0003, "all"),
];

/// The Ethertype of a name or number (`ll_proto_a2n`).
pub fn ll_proto_a2n(text: &str) -> Option<u16> {
    let named = NAMES.iter().find(|(_, name)| name.eq_ignore_ascii_case(text));
    named.map(|(kind, _)| *kind).or_else(|| number(text))
}

/// The name of an Ethertype, or its number (`ll_proto_n2a`).
pub fn ll_proto_n2a(kind: u16) -> String {
    let named = NAMES.iter().find(|(known, _)| *known == kind);
    named.map_or_else(|| format!("[{kind}]"), |(_, name)| (*name).to_owned())
}
