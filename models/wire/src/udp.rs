//! The UDP header (RFC 768; `struct udphdr`, include/uapi/linux/udp.h).

use std::net::Ipv4Addr;

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum;
use crate::ipv4::IPPROTO_UDP;

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

/// The checksum of a datagram goes into its header (`udp_set_csum`); one that is 0 is written as all ones.
pub fn udp_set_csum(datagram: &mut [u8], saddr: Ipv4Addr, daddr: Ipv4Addr) {
    datagram[6..8].fill(0);
    let pseudo = checksum::pseudo_header(saddr, daddr, IPPROTO_UDP, datagram.len() as u16);
    let check = match checksum::fold(checksum::sum(pseudo, datagram)) {
        0 => 0xffff,
        check => check,
    };
    datagram[6..8].copy_from_slice(&check.to_be_bytes());
}
