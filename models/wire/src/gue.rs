//! The header of Generic UDP Encapsulation (draft-ietf-intarea-gue; `struct guehdr`, include/net/gue.h).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::ipv4::IPPROTO_IPIP;

/// Length of the header without optional fields, bytes.
pub const GUE_HLEN: usize = 4;
/// A word of private flags follows (`GUE_FLAG_PRIV`), the only flag that Linux knows.
const GUE_FLAG_PRIV: u16 = 1;
/// The only private flag that Linux knows: a checksum of the packet inside is left to the receiver.
const GUE_PFLAG_REMCSUM: u32 = 1 << 31;

/// A GUE header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GueHdr {
    /// The version, whether it is a control message, and how many four bytes of optional fields follow.
    ver_c_hlen: u8,
    /// The IP protocol of what is inside.
    proto_ctype: u8,
    /// `GUE_FLAG_PRIV`.
    flags: U16,
}

/// The optional fields of a packet whose checksum the receiver computes.
#[derive(Clone, Copy, Debug, FromBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
struct GueRemcsum {
    /// `GUE_PFLAG_REMCSUM`.
    private_flags: U32,
    /// The first byte that it is over, behind the header.
    start: U16,
    /// Where it stands.
    offset: U16,
}

/// What is behind the UDP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gue {
    /// Length of the header, bytes; 0 in version 1, where a packet of IP follows at once.
    pub len: usize,
    /// The IP protocol of what is inside.
    pub protocol: u8,
}

impl GueHdr {
    /// The header in front of a packet of this protocol, without optional fields.
    pub fn new(protocol: u8) -> GueHdr {
        GueHdr { ver_c_hlen: 0, proto_ctype: protocol, flags: U16::new(0) }
    }
}

impl Gue {
    /// Reads a header; `None`: it is cut off, a control message, with IPv6 inside, or of what Linux does not know
    /// (`validate_gue_flags`).
    pub fn parse(bytes: &[u8]) -> Option<Gue> {
        const CONTROL: u8 = 0x20;
        let (header, behind) = GueHdr::read_from_prefix(bytes).ok()?;
        match header.ver_c_hlen >> 6 {
            0 => {}
            1 if header.ver_c_hlen >> 4 == 4 => return Some(Gue { len: 0, protocol: IPPROTO_IPIP }),
            _ => return None,
        }
        let options = behind.get(..usize::from(header.ver_c_hlen & 0x1f) * 4)?;
        let flags = header.flags.get();
        let is_known = match flags & GUE_FLAG_PRIV {
            0 => true,
            _ => has_known_private_flags(options)?,
        };
        let is_data = header.ver_c_hlen & CONTROL == 0 && header.proto_ctype != 0;
        let is_whole = is_known && flags & !GUE_FLAG_PRIV == 0 && is_data;
        is_whole.then_some(Gue { len: GUE_HLEN + options.len(), protocol: header.proto_ctype })
    }
}

/// `None`: they are cut off.
fn has_known_private_flags(options: &[u8]) -> Option<bool> {
    let (flags, _) = U32::read_from_prefix(options).ok()?;
    if flags.get() & GUE_PFLAG_REMCSUM == 0 {
        return Some(flags.get() == 0);
    }
    let (remcsum, _) = GueRemcsum::read_from_prefix(options).ok()?;
    Some(flags.get() == GUE_PFLAG_REMCSUM && remcsum.offset.get() >= remcsum.start.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_or_the_packet_of_ip_in_its_place() {
        let gue = |len, protocol| Some(Gue { len, protocol });
        let remcsum = |start, offset| [2, 4, 0, 1, 0x80, 0, 0, 0, 0, start, 0, offset];
        assert_eq!(Gue::parse(GueHdr::new(47).as_bytes()), gue(4, 47));
        assert_eq!(Gue::parse(&remcsum(20, 36)), gue(12, 4));
        assert_eq!(Gue::parse(&remcsum(36, 20)), None, "in front of what it is over");
        assert_eq!(Gue::parse(&remcsum(20, 36)[..8]), None, "cut off");
        assert_eq!(Gue::parse(&[0x45, 0, 0, 20]), gue(0, 4));
        assert_eq!(Gue::parse(&[1, 4, 0, 0, 9, 9, 9, 9, 0x45]), gue(8, 4), "unknown options are passed over");
        assert_eq!(Gue::parse(&[0x20, 4, 0, 0]), None, "a control message");
        assert_eq!(Gue::parse(&[0x60, 0, 0, 0]), None, "IPv6");
        assert_eq!(Gue::parse(&[0x80, 4, 0, 0]), None, "version 2");
        assert_eq!(Gue::parse(&[0, 4, 0, 2]), None, "an unknown flag");
        assert_eq!(Gue::parse(&[1, 4, 0, 1, 0, 0, 0, 1]), None, "an unknown private flag");
    }
}
