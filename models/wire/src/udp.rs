//! The UDP header (RFC 768; `struct udphdr`, include/uapi/linux/udp.h).

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length of the header in bytes.
pub const UDP_HLEN: usize = 8;

/// A UDP header.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct UdpHdr {
    /// Source port.
    pub source: U16,
    /// Destination port.
    pub dest: U16,
    /// Length of header and payload in bytes.
    pub len: U16,
    /// Checksum over pseudo header, header and payload; 0: none.
    pub check: U16,
}
