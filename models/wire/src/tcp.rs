//! The TCP header (RFC 9293; `struct tcphdr`, include/uapi/linux/tcp.h).

use zerocopy::big_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Length in bytes of a header without options.
pub const TCP_HLEN: usize = 20;
/// FIN: the sender has no more data.
pub const TCP_FIN: u8 = 0x01;
/// SYN: sequence numbers are synchronised.
pub const TCP_SYN: u8 = 0x02;
/// RST: the connection is reset.
pub const TCP_RST: u8 = 0x04;
/// PSH: push.
pub const TCP_PSH: u8 = 0x08;
/// ACK: [`TcpHdr::ack_seq`] counts.
pub const TCP_ACK: u8 = 0x10;
/// URG: [`TcpHdr::urg_ptr`] counts.
pub const TCP_URG: u8 = 0x20;
/// ECE.
pub const TCP_ECE: u8 = 0x40;
/// CWR.
pub const TCP_CWR: u8 = 0x80;

/// A TCP header without its options.
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct TcpHdr {
    /// Source port.
    pub source: U16,
    /// Destination port.
    pub dest: U16,
    /// Sequence number.
    pub seq: U32,
    /// The next byte that the sender expects.
    pub ack_seq: U32,
    /// Header length in 4-byte words in the high half; reserved bits in the low half.
    pub doff_res: u8,
    /// FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, from the lowest bit.
    pub flags: u8,
    /// Window in bytes, before scaling.
    pub window: U16,
    /// Checksum over pseudo header, header and payload.
    pub check: U16,
    /// Where urgent data ends.
    pub urg_ptr: U16,
}

impl TcpHdr {
    /// Length of the header with options, in bytes.
    pub fn header_len(&self) -> usize {
        usize::from(self.doff_res >> 4) * 4
    }

    /// `doff_res` of a header with so many bytes of options, a multiple of 4.
    pub fn doff(options: usize) -> u8 {
        ((TCP_HLEN + options) as u8 / 4) << 4
    }
}
