//! Bounds-checked access to captured bytes.

use std::net::{Ipv4Addr, Ipv6Addr};

/// The capture ends before a needed field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Truncated;

/// What a printer returns.
pub type Print = Result<(), Truncated>;

/// The captured bytes from a header on.
#[derive(Debug, Clone, Copy)]
pub struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    /// Number of captured bytes.
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// `count` bytes at `at` were captured.
    pub fn has(self, at: usize, count: usize) -> bool {
        at.checked_add(count).is_some_and(|end| end <= self.0.len())
    }

    /// The bytes `at..at + count`.
    pub fn take(self, at: usize, count: usize) -> Result<&'a [u8], Truncated> {
        let end = at.checked_add(count).ok_or(Truncated)?;
        self.0.get(at..end).ok_or(Truncated)
    }

    /// Everything from `at` on; nothing if the capture ends before.
    pub fn from(self, at: usize) -> Bytes<'a> {
        Bytes(self.0.get(at..).unwrap_or(&[]))
    }

    /// At most `count` bytes from here.
    pub fn first(self, count: usize) -> Bytes<'a> {
        Bytes(&self.0[..count.min(self.0.len())])
    }

    /// One byte.
    pub fn u8(self, at: usize) -> Result<u8, Truncated> {
        self.0.get(at).copied().ok_or(Truncated)
    }

    /// Two bytes in network order.
    pub fn u16(self, at: usize) -> Result<u16, Truncated> {
        let b = self.take(at, 2)?;
        Ok(u16::from_be_bytes([b[0], b[1]]))
    }

    /// Three bytes in network order.
    pub fn u24(self, at: usize) -> Result<u32, Truncated> {
        let b = self.take(at, 3)?;
        Ok(u32::from_be_bytes([0, b[0], b[1], b[2]]))
    }

    /// Four bytes in network order.
    pub fn u32(self, at: usize) -> Result<u32, Truncated> {
        let b = self.take(at, 4)?;
        Ok(u32::from_be_bytes([b[0], b[1], b[2], b[3]]))
    }

    /// An IPv4 address.
    pub fn ipv4(self, at: usize) -> Result<Ipv4Addr, Truncated> {
        self.u32(at).map(Ipv4Addr::from)
    }

    /// An IPv6 address.
    pub fn ipv6(self, at: usize) -> Result<Ipv6Addr, Truncated> {
        let mut address = [0; 16];
        address.copy_from_slice(self.take(at, 16)?);
        Ok(Ipv6Addr::from(address))
    }

    /// A MAC address.
    pub fn mac(self, at: usize) -> Result<[u8; 6], Truncated> {
        let mut address = [0; 6];
        address.copy_from_slice(self.take(at, 6)?);
        Ok(address)
    }
}

/// Internet checksum over the concatenation of `parts`; 0 if a stored checksum is correct (RFC 1071).
pub fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    let mut odd: Option<u8> = None;
    for byte in parts.iter().flat_map(|part| part.iter().copied()) {
        match odd.take() {
            None => odd = Some(byte),
            Some(high) => sum += u64::from(u16::from_be_bytes([high, byte])),
        }
    }
    if let Some(high) = odd {
        sum += u64::from(high) << 8;
    }
    !fold(sum)
}

/// The correct checksum, for a stored one and the result of [`checksum`].
pub fn checksum_should_be(stored: u16, computed: u16) -> u16 {
    fold(u64::from(stored) + u64::from(computed))
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
