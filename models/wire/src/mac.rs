//! Ethernet addresses.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// An Ethernet (MAC) address, in the order of the wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: Mac = Mac([0xff; 6]);
    /// `00:00:00:00:00:00`, the address of `lo`.
    pub const ZERO: Mac = Mac([0; 6]);

    /// The group bit is set: a multicast or broadcast address.
    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// All bits are set.
    pub fn is_broadcast(self) -> bool {
        self == Mac::BROADCAST
    }

    /// A unicast address that is not zero (`is_valid_ether_addr`, include/linux/etherdevice.h).
    pub fn is_valid(self) -> bool {
        !self.is_multicast() && self != Mac::ZERO
    }

    /// `01:80:c2:00:00:0x`, which a bridge does not forward (IEEE 802.1D table 7-10).
    pub fn is_link_local(self) -> bool {
        self.0[..5] == [0x01, 0x80, 0xc2, 0, 0] && self.0[5] & 0xf0 == 0
    }

    /// The address as a number, first byte highest: a key for tables.
    pub fn to_u64(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_be_bytes([0, 0, a, b, c, d, e, f])
    }

    /// The group address of an IPv4 multicast group (RFC 1112 section 6.4).
    pub fn of_ipv4_group(group: Ipv4Addr) -> Mac {
        let [_, b, c, d] = group.octets();
        Mac([0x01, 0x00, 0x5e, b & 0x7f, c, d])
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not six hexadecimal bytes between colons.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadMac;

impl fmt::Display for BadMac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an Ethernet address is six hexadecimal bytes between colons, as 02:42:ac:11:00:02")
    }
}

impl std::error::Error for BadMac {}

impl FromStr for Mac {
    type Err = BadMac;

    fn from_str(text: &str) -> Result<Mac, BadMac> {
        let mut mac = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut mac {
            let part = parts.next().ok_or(BadMac)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(BadMac);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| BadMac)?;
        }
        if parts.next().is_some() { Err(BadMac) } else { Ok(Mac(mac)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip_and_refusals() {
        for (text, expected) in [
            ("02:42:ac:11:00:02", Some("02:42:ac:11:00:02")),
            ("2:42:ac:11:0:2", Some("02:42:ac:11:00:02")),
            ("02:42:ac:11:00", None),
            ("02:42:ac:11:00:02:03", None),
            ("02:42:ac:11:00:zz", None),
            ("02:42:ac:11:00:+2", None),
            ("", None),
        ] {
            assert_eq!(text.parse::<Mac>().ok().map(|mac| mac.to_string()).as_deref(), expected, "{text}");
        }
    }
}
