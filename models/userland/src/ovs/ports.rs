//! Names and numbers of ports as OpenFlow has them.

/// Back to where the packet came from.
pub const IN_PORT: u32 = 0xfff8;
/// As an ordinary switch would.
pub const NORMAL: u32 = 0xfffa;
/// To all ports but those that take no floods.
pub const FLOOD: u32 = 0xfffb;
/// To all ports.
pub const ALL: u32 = 0xfffc;
/// To a controller.
pub const CONTROLLER: u32 = 0xfffd;
/// The bridge's own device.
pub const LOCAL: u32 = 0xfffe;
/// The first number that is none of a port.
pub const MAX: u32 = 0xff00;

/// Numbers with names.
const RESERVED: [(&str, u32); 6] = [
    ("IN_PORT", IN_PORT),
    ("NORMAL", NORMAL),
    ("FLOOD", FLOOD),
    ("ALL", ALL),
    ("CONTROLLER", CONTROLLER),
    ("LOCAL", LOCAL),
];

/// The reserved port of a name in any case.
pub fn reserved(name: &str) -> Option<u32> {
    RESERVED.iter().find(|row| row.0.eq_ignore_ascii_case(name)).map(|row| row.1)
}

/// The word for a number, or the number.
pub fn number(port: u32) -> String {
    let word = RESERVED.iter().find(|row| row.1 == port);
    word.map_or_else(|| port.to_string(), |row| row.0.to_owned())
}

/// The names of a bridge's ports.
#[derive(Clone, Debug, Default)]
pub struct PortNames {
    /// Number and name of each.
    pub ports: Vec<(u32, String)>,
    /// They are printed; otherwise numbers are.
    pub show: bool,
}

impl PortNames {
    /// A port as it is printed.
    pub fn name(&self, port: u32) -> String {
        let known = self.ports.iter().find(|row| self.show && row.0 == port && port != LOCAL);
        known.map_or_else(|| number(port), |row| row.1.clone())
    }

    /// The number of a port, by number, name, or reserved word.
    pub fn parse(&self, text: &str) -> Option<u32> {
        let number = text.parse().ok().filter(|port| *port < MAX || (IN_PORT..=LOCAL).contains(port));
        let named = || self.ports.iter().find(|row| row.1 == text).map(|row| row.0);
        number.or_else(|| reserved(text)).or_else(named)
    }
}
