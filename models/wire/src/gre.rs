//! The header of GRE (RFC 2784, RFC 2890; `struct gre_base_hdr`, include/net/gre.h).

use crate::checksum::checksum;

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the part that is always there, bytes.
pub const GRE_BASE_HLEN: usize = 4;
/// A checksum follows (`GRE_CSUM`).
pub const GRE_CSUM: u16 = 0x8000;
/// A route follows.
pub const GRE_ROUTING: u16 = 0x4000;
/// A key follows.
pub const GRE_KEY: u16 = 0x2000;
/// A sequence number follows.
pub const GRE_SEQ: u16 = 0x1000;
/// The version.
pub const GRE_VERSION: u16 = 0x0007;

/// What is always there.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GreBaseHdr {
    /// `GRE_*`.
    pub flags: U16,
    /// The Ethertype of what is inside.
    pub protocol: U16,
}

/// The fields of a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gre {
    /// Ethertype of what is inside.
    pub protocol: u16,
    /// There is a checksum.
    pub has_csum: bool,
    /// The key.
    pub key: Option<u32>,
    /// The sequence number.
    pub seq: Option<u32>,
}

/// Length of a header with these flags, bytes (`gre_calc_hlen`).
pub fn gre_calc_hlen(flags: u16) -> usize {
    GRE_BASE_HLEN + 4 * (flags & (GRE_CSUM | GRE_KEY | GRE_SEQ)).count_ones() as usize
}

/// Writes the checksum of a packet that has one, over header and payload.
pub fn gre_set_csum(packet: &mut [u8]) {
    packet[GRE_BASE_HLEN..GRE_BASE_HLEN + 4].fill(0);
    let check = checksum(packet);
    packet[GRE_BASE_HLEN..GRE_BASE_HLEN + 2].copy_from_slice(&check.to_be_bytes());
}

impl Gre {
    /// Reads a header and says how long it is; `None`: it is cut off, or of another kind (`gre_parse_header`).
    pub fn parse(bytes: &[u8]) -> Option<(Gre, usize)> {
        let (base, rest) = GreBaseHdr::ref_from_prefix(bytes).ok()?;
        let flags = base.flags.get();
        let len = gre_calc_hlen(flags);
        if flags & (GRE_VERSION | GRE_ROUTING) != 0 || bytes.len() < len {
            return None;
        }
        let mut words =
            rest.chunks_exact(4).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        let mut next = |flag| if flags & flag != 0 { words.next() } else { None };
        let has_csum = next(GRE_CSUM).is_some();
        Some((Gre { protocol: base.protocol.get(), has_csum, key: next(GRE_KEY), seq: next(GRE_SEQ) }, len))
    }

    /// Writes a header, its checksum as 0.
    pub fn write(&self) -> Vec<u8> {
        let flag = |is_there: bool, flag: u16| if is_there { flag } else { 0 };
        let flags = flag(self.has_csum, GRE_CSUM)
            | flag(self.key.is_some(), GRE_KEY)
            | flag(self.seq.is_some(), GRE_SEQ);
        let base = GreBaseHdr { flags: U16::new(flags), protocol: U16::new(self.protocol) };
        let words = [self.has_csum.then_some(0), self.key, self.seq];
        let words: Vec<U32> = words.into_iter().flatten().map(U32::new).collect();
        [base.as_bytes(), words.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for (has_csum, key, seq) in
            [(false, None, None), (true, Some(5), None), (false, None, Some(7)), (true, Some(1), Some(2))]
        {
            let gre = Gre { protocol: 0x0800, has_csum, key, seq };
            let bytes = gre.write();
            assert_eq!(Gre::parse(&bytes), Some((gre, bytes.len())));
            assert_eq!(Gre::parse(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(Gre::parse(&[0x00, 0x01, 0x08, 0x00]), None, "another version");
        assert_eq!(Gre::parse(&[0x40, 0x00, 0x08, 0x00]), None, "a route");
    }
}
