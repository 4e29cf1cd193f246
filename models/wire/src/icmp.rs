//! The ICMP header (RFC 792; `struct icmphdr`, include/uapi/linux/icmp.h).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Echo reply.
pub const ICMP_ECHOREPLY: u8 = 0;
/// Destination unreachable.
pub const ICMP_DEST_UNREACH: u8 = 3;
/// Redirect.
pub const ICMP_REDIRECT: u8 = 5;
/// Echo request.
pub const ICMP_ECHO: u8 = 8;
/// Time exceeded.
pub const ICMP_TIME_EXCEEDED: u8 = 11;
/// Parameter problem.
pub const ICMP_PARAMETERPROB: u8 = 12;
/// Timestamp request.
pub const ICMP_TIMESTAMP: u8 = 13;
/// Timestamp reply.
pub const ICMP_TIMESTAMPREPLY: u8 = 14;

/// The first eight bytes of an ICMP message.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct IcmpHdr {
    /// Type.
    pub kind: u8,
    /// Code, whose meaning depends on the type.
    pub code: u8,
    /// Checksum of the whole message.
    pub checksum: U16,
    /// Echo: identifier. Otherwise the high half of the "rest of header".
    pub id: U16,
    /// Echo: sequence number. Fragmentation needed: the MTU in bytes. Otherwise the low half.
    pub sequence: U16,
}

/// Length of the header in bytes.
pub const ICMP_HLEN: usize = 8;
