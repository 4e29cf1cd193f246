//! The IPv4 header (RFC 791; `struct iphdr`, include/uapi/linux/ip.h).

use std::net::Ipv4Addr;

use zerocopy::big_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::checksum;

/// Length in bytes of a header without options.
pub const IPV4_HLEN: usize = 20;
/// "Do not fragment" in [`Ipv4Hdr::frag_off`].
pub const IP_DF: u16 = 0x4000;
/// "More fragments" in [`Ipv4Hdr::frag_off`].
pub const IP_MF: u16 = 0x2000;
/// The bits of [`Ipv4Hdr::frag_off`] that hold the offset in units of 8 bytes.
pub const IP_OFFSET: u16 = 0x1fff;
/// ICMP.
pub const IPPROTO_ICMP: u8 = 1;
/// IGMP.
pub const IPPROTO_IGMP: u8 = 2;
/// An IPv4 packet inside (`IPPROTO_IPIP`).
pub const IPPROTO_IPIP: u8 = 4;
/// TCP.
pub const IPPROTO_TCP: u8 = 6;
/// UDP.
pub const IPPROTO_UDP: u8 = 17;

/// GRE.
pub const IPPROTO_GRE: u8 = 47;

/// An IPv4 address in a header (`struct in_addr`, include/uapi/linux/in.h).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned,
)]
#[repr(transparent)]
pub struct InAddr([u8; 4]);

impl InAddr {
    /// Bytes of a header for `address`.
    #[inline]
    pub const fn new(address: Ipv4Addr) -> InAddr {
        InAddr(address.octets())
    }

    /// The address.
    #[inline]
    pub const fn get(self) -> Ipv4Addr {
        Ipv4Addr::from_octets(self.0)
    }
}

/// An IPv4 header without its options.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct Ipv4Hdr {
    /// Version in the high half, header length in 4-byte words in the low half.
    pub version_ihl: u8,
    /// Type of service.
    pub tos: u8,
    /// Length of header and payload in bytes.
    pub tot_len: U16,
    /// Identification.
    pub id: U16,
    /// Flags and fragment offset.
    pub frag_off: U16,
    /// Time to live in hops.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Header checksum.
    pub check: U16,
    /// Source address.
    pub saddr: InAddr,
    /// Destination address.
    pub daddr: InAddr,
}

impl Ipv4Hdr {
    /// The version, 4 in a correct header.
    pub fn version(&self) -> u8 {
        self.version_ihl >> 4
    }

    /// Length of the header with options, in bytes.
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    /// The packet is a fragment of a larger one (`ip_is_fragment`).
    pub fn is_fragment(&self) -> bool {
        self.frag_off.get() & (IP_MF | IP_OFFSET) != 0
    }

    /// The sender forbids fragmentation.
    pub fn dont_fragment(&self) -> bool {
        self.frag_off.get() & IP_DF != 0
    }

    /// Where the payload stands in the whole packet, in bytes.
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.frag_off.get() & IP_OFFSET) * 8
    }

    /// Lowers the TTL by one and mends the checksum (`ip_decrease_ttl`, include/net/ip.h).
    pub fn decrease_ttl(&mut self) {
        let old = u16::from_be_bytes([self.ttl, self.protocol]);
        self.ttl -= 1;
        let new = u16::from_be_bytes([self.ttl, self.protocol]);
        self.check = U16::new(checksum::replace(self.check.get(), old, new));
    }
}

/// The checksum of a header without options; 0 if it contains its own correct checksum (`ip_fast_csum`).
#[inline]
pub fn ip_fast_csum(header: &Ipv4Hdr) -> u16 {
    let words = header.as_bytes().chunks_exact(4);
    let sum: u64 =
        words.map(|word| u64::from(u32::from_ne_bytes([word[0], word[1], word[2], word[3]]))).sum();
    // Byte order does not matter to a ones' complement sum (RFC 1071).
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::from_be(!(((sum & 0xffff) + (sum >> 16)) as u16))
}

/// Writes the checksum of the header that starts `packet` (`ip_send_check`).
pub fn ip_send_check(packet: &mut [u8]) {
    let len = usize::from(packet[0] & 0x0f) * 4;
    packet[10..12].fill(0);
    let check = checksum::checksum(&packet[..len]);
    packet[10..12].copy_from_slice(&check.to_be_bytes());
}

/// `224.0.0.0/24`, which no router forwards (RFC 5771 section 4).
pub fn is_local_multicast(address: Ipv4Addr) -> bool {
    address.octets()[..3] == [224, 0, 0]
}

/// 0.0.0.0; the rest of `0.0.0.0/8` are addresses like others (since Linux 5.3).
pub fn is_zeronet(address: Ipv4Addr) -> bool {
    address.is_unspecified()
}
