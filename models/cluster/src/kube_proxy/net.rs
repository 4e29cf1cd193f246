//! Networks of addresses, as objects and configurations write them.

use std::fmt;
use std::net::Ipv4Addr;

/// An IPv4 network. Printed without the bits of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cidr {
    address: Ipv4Addr,
    length: u8,
}

impl Cidr {
    /// Reads `10.244.0.0/16`; none if it is not an IPv4 network.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, length) = text.trim().split_once('/')?;
        let address: Ipv4Addr = address.parse().ok()?;
        let length: u8 = length.parse().ok().filter(|length| *length <= 32)?;
        Some(Self { address: (address.to_bits() & mask(length)).into(), length })
    }

    /// Whether an address is in it.
    pub fn contains(self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.length) == self.address.to_bits()
    }

    /// Whether it is in 127.0.0.0/8, or that is in it.
    pub fn has_loopback(self) -> bool {
        self.address.is_loopback() || self.contains(Ipv4Addr::new(127, 0, 0, 0))
    }

    /// Whether it is `0.0.0.0/0`.
    pub fn is_everything(self) -> bool {
        self.length == 0
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}
