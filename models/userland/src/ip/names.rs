//! Names of rtnetlink's numbers, as in Debian's /etc/iproute2.

const TABLES: &[(u32, &str)] = &[(255, "local"), (254, "main"), (253, "default"), (0, "unspec")];

const PROTOS: &[(u32, &str)] = &[
    (0, "unspec"),
    (1, "redirect"),
    (2, "kernel"),
    (3, "boot"),
    (4, "static"),
    (8, "gated"),
    (9, "ra"),
    (10, "mrt"),
    (11, "zebra"),
    (12, "bird"),
    (13, "dnrouted"),
    (14, "xorp"),
    (15, "ntk"),
    (16, "dhcp"),
    (18, "keepalived"),
    (42, "babel"),
    (99, "openr"),
    (186, "bgp"),
    (187, "isis"),
    (188, "ospf"),
    (189, "rip"),
    (192, "eigrp"),
];

const SCOPES: &[(u32, &str)] =
    &[(0, "global"), (255, "nowhere"), (254, "host"), (253, "link"), (200, "site")];

const DSFIELDS: &[(u32, &str)] = &[
    (0x00, "default"),
    (0x28, "AF11"),
    (0x30, "AF12"),
    (0x38, "AF13"),
    (0x48, "AF21"),
    (0x50, "AF22"),
    (0x58, "AF23"),
    (0x68, "AF31"),
    (0x70, "AF32"),
    (0x78, "AF33"),
    (0x88, "AF41"),
    (0x90, "AF42"),
    (0x98, "AF43"),
    (0x20, "CS1"),
    (0x40, "CS2"),
    (0x60, "CS3"),
    (0x80, "CS4"),
    (0xa0, "CS5"),
    (0xc0, "CS6"),
    (0xe0, "CS7"),
    (0xb8, "EF"),
];

const GROUPS: &[(u32, &str)] = &[(0, "default")];

/// A list of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// rt_tables.
    Table,
    /// rt_protos.
    Proto,
    /// rt_scopes.
    Scope,
    /// rt_dsfield.
    Dsfield,
    /// group.
    Group,
}

impl Names {
    fn list(self) -> &'static [(u32, &'static str)] {
        match self {
            Names::Table => TABLES,
            Names::Proto => PROTOS,
            Names::Scope => SCOPES,
            Names::Dsfield => DSFIELDS,
            Names::Group => GROUPS,
        }
    }

    /// The name of a number; with `numeric` (`-N`), and for unknown ones, the number itself.
    pub fn name(self, number: u32, numeric: bool) -> String {
        let known = self.list().iter().find(|entry| entry.0 == number && !numeric);
        match (known, self) {
            (Some(entry), _) => entry.1.to_owned(),
            (None, Names::Dsfield) => format!("{number:#04x}"),
            (None, _) => number.to_string(),
        }
    }

    /// The number of a name, or a number as text.
    pub fn number(self, text: &str) -> Option<u32> {
        let known = self.list().iter().find(|entry| entry.1 == text);
        let most = if matches!(self, Names::Table | Names::Group) { u32::MAX } else { 255 };
        let plain = || match self {
            Names::Dsfield => u32::from_str_radix(text.trim_start_matches("0x"), 16).ok(),
            _ => super::args::number(text),
        };
        known.map(|entry| entry.0).or_else(plain).filter(|number| *number <= most)
    }
}
