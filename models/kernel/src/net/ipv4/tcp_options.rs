//! Options of TCP segments.
//!
//! Kernel: net/ipv4/tcp_input.c (`tcp_parse_options`), net/ipv4/tcp_output.c (`tcp_options_write`)

use glassnet_wire::tcp::{TCP_HLEN, TcpHdr};
use zerocopy::{FromBytes, IntoBytes};

/// End of the options.
const TCPOPT_EOL: u8 = 0;
/// No operation, for alignment.
const TCPOPT_NOP: u8 = 1;
/// Maximum segment size, bytes.
const TCPOPT_MSS: u8 = 2;
/// Window scale.
const TCPOPT_WINDOW: u8 = 3;
/// SACK permitted.
const TCPOPT_SACK_PERM: u8 = 4;
/// SACK blocks.
const TCPOPT_SACK: u8 = 5;
/// Timestamps.
const TCPOPT_TIMESTAMP: u8 = 8;

/// Options of a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpOptions<'a> {
    /// MSS, bytes.
    pub mss: Option<u16>,
    /// Window scale.
    pub window_shift: Option<u8>,
    /// SACK permitted.
    pub sack_permitted: bool,
    /// SACK blocks: left and right edge, 8 bytes each.
    pub sack: &'a [u8],
    /// Timestamp value and echo reply.
    pub timestamps: Option<(u32, u32)>,
}

/// Where the TCP header of an IPv4 packet begins, and the header.
pub fn tcp_header(packet: &[u8]) -> Option<(usize, TcpHdr)> {
    let at = packet.first().map(|first| usize::from(first & 15) * 4)?;
    let (header, _) = TcpHdr::read_from_prefix(packet.get(at..)?).ok()?;
    Some((at, header))
}

/// A packet of its IPv4 header and these parts, whose lengths are right; its checksums are not.
pub fn with_options(iph: &[u8], mut header: TcpHdr, options: &[u8], payload: &[u8]) -> Vec<u8> {
    header.doff_res = TcpHdr::doff(options.len());
    let mut bytes = [iph, header.as_bytes(), options, payload].concat();
    let len = (bytes.len() as u16).to_be_bytes();
    bytes[2..4].copy_from_slice(&len);
    bytes
}

/// Reads the options of a segment (`tcp_parse_options`), up to the first malformed one.
pub fn tcp_parse_options(segment: &[u8]) -> TcpOptions<'_> {
    let mut found = TcpOptions::default();
    let Ok((header, _)) = TcpHdr::read_from_prefix(segment) else { return found };
    let mut rest = segment.get(TCP_HLEN..header.header_len()).unwrap_or(&[]);
    while let [kind, after @ ..] = rest {
        if *kind == TCPOPT_EOL {
            break;
        }
        if *kind == TCPOPT_NOP {
            rest = after;
            continue;
        }
        let Some(value) = rest.get(1).and_then(|len| rest.get(2..usize::from(*len))) else {
            break;
        };
        rest = &rest[2 + value.len()..];
        match (*kind, value) {
            (TCPOPT_MSS, [high, low]) => found.mss = Some(u16::from_be_bytes([*high, *low])),
            (TCPOPT_WINDOW, [shift]) => found.window_shift = Some(*shift),
            (TCPOPT_SACK_PERM, []) => found.sack_permitted = true,
            (TCPOPT_SACK, blocks) => found.sack = blocks,
            (TCPOPT_TIMESTAMP, [a, b, c, d, e, f, g, h]) => {
                let stamp = |bytes| u32::from_be_bytes(bytes);
                found.timestamps = Some((stamp([*a, *b, *c, *d]), stamp([*e, *f, *g, *h])));
            }
            _ => {}
        }
    }
    found
}

/// Writes options in Linux's order and with its padding (`tcp_options_write`).
pub fn tcp_options_write(options: &TcpOptions) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(40);
    if let Some(mss) = options.mss {
        bytes.extend_from_slice(&[TCPOPT_MSS, 4]);
        bytes.extend_from_slice(&mss.to_be_bytes());
    }
    match (options.timestamps, options.sack_permitted) {
        (Some(_), true) => bytes.extend_from_slice(&[TCPOPT_SACK_PERM, 2]),
        (Some(_), false) => bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP]),
        (None, true) => bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK_PERM, 2]),
        (None, false) => {}
    }
    if let Some((value, echo)) = options.timestamps {
        bytes.extend_from_slice(&[TCPOPT_TIMESTAMP, 10]);
        bytes.extend_from_slice(&value.to_be_bytes());
        bytes.extend_from_slice(&echo.to_be_bytes());
    }
    if let Some(shift) = options.window_shift {
        bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_WINDOW, 3, shift]);
    }
    if !options.sack.is_empty() {
        bytes.extend_from_slice(&[TCPOPT_NOP, TCPOPT_NOP, TCPOPT_SACK, 2 + options.sack.len() as u8]);
        bytes.extend_from_slice(options.sack);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_written_as_linux_orders_them() {
        let options = TcpOptions {
            mss: Some(1460),
            window_shift: Some(7),
            sack_permitted: true,
            timestamps: Some((1, 0)),
            ..TcpOptions::default()
        };
        let written = tcp_options_write(&options);
        let syn = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7];
        assert_eq!(written, syn);
        let mut segment = vec![0; TCP_HLEN];
        segment[12] = 0xa0;
        segment.extend_from_slice(&written);
        assert_eq!(tcp_parse_options(&segment), options);
    }

    #[test]
    fn broken_options_end_the_list() {
        for broken in [&[8, 10, 1, 1][..], &[2, 0, 1, 1], &[2, 1, 1, 1], &[3, 3, 3, 7]] {
            let mut segment = vec![0; TCP_HLEN];
            segment[12] = 0x60;
            segment.extend_from_slice(broken);
            assert_eq!(tcp_parse_options(&segment).mss, None, "{broken:?}");
        }
    }
}
