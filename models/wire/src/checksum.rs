//! The Internet checksum (RFC 1071), and its incremental update (RFC 1624).

use std::net::Ipv4Addr;

/// The ones' complement sum of `bytes` added to `start`, not yet folded.
#[inline]
pub fn sum(start: u32, bytes: &[u8]) -> u32 {
    let mut acc = u64::from(start);
    let mut quads = bytes.chunks_exact(4);
    for quad in &mut quads {
        acc += u64::from(u32::from_be_bytes([quad[0], quad[1], quad[2], quad[3]]));
    }
    let rest = quads.remainder();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    acc += u64::from(u32::from_be_bytes(last));
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    acc = (acc & 0xffff_ffff) + (acc >> 32);
    let acc = (acc & 0xffff) + (acc >> 16);
    ((acc & 0xffff) + (acc >> 16)) as u32
}

/// Folds a sum into the checksum that stands in a header.
#[inline]
pub fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    !(sum as u16)
}

/// The checksum of `bytes`; 0 if they contain their own correct checksum.
pub fn checksum(bytes: &[u8]) -> u16 {
    fold(sum(0, bytes))
}

/// The sum of the IPv4 pseudo header (RFC 768, RFC 793): addresses, protocol and length in bytes.
#[inline]
pub fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, protocol: u8, len: u16) -> u32 {
    let address = |a: Ipv4Addr| (a.to_bits() >> 16) + (a.to_bits() & 0xffff);
    address(source) + address(destination) + u32::from(protocol) + u32::from(len)
}

/// The checksum after a 16-bit word changed from `old` to `new` (RFC 1624 equation 3).
pub fn replace(check: u16, old: u16, new: u16) -> u16 {
    fold(u32::from(!check) + u32::from(!old) + u32::from(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc1071_example() {
        assert_eq!(fold(sum(0, &[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), !0xddf2);
    }

    #[test]
    fn odd_lengths_count_the_last_byte_as_the_high_half() {
        assert_eq!(checksum(&[0x12]), !0x1200);
        assert_eq!(checksum(&[0, 0, 0, 0, 0x12]), !0x1200);
    }

    #[test]
    fn incremental_equals_whole() {
        let mut bytes = [0x45, 0, 0, 84, 0x12, 0x34, 0x40, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let before = checksum(&bytes);
        let old = u16::from_be_bytes([bytes[8], bytes[9]]);
        bytes[8] = 63;
        let new = u16::from_be_bytes([bytes[8], bytes[9]]);
        assert_eq!(replace(before, old, new), checksum(&bytes));
    }
}
