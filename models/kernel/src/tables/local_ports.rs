//! The ports that the kernel chooses from in a namespace.
//!
//! Kernel: include/net/netns/ipv4.h (`struct local_ports`, `sysctl_local_reserved_ports`, `sysctl_ip_prot_sock`)

use std::ops::RangeInclusive;

/// Ports for sockets that ask for any (`ip_local_port_range` and its relatives).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalPorts {
    /// First and last one to choose from.
    pub range: (u16, u16),
    /// Ranges that are never chosen, first and last port of each, in order and apart from each other.
    pub reserved: Vec<(u16, u16)>,
    /// The first port that needs no privilege.
    pub unprivileged: u16,
    /// It was told once that first and last port should differ in parity.
    pub warned: bool,
}

impl Default for LocalPorts {
    fn default() -> Self {
        Self { range: (32_768, 60_999), reserved: Vec::new(), unprivileged: 1024, warned: false }
    }
}

impl LocalPorts {
    /// All ports of the range.
    pub fn all(&self) -> RangeInclusive<u16> {
        self.range.0..=self.range.1
    }

    /// The port is never chosen (`inet_is_local_reserved_port`).
    pub fn is_reserved(&self, port: u16) -> bool {
        self.reserved.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// Reserves the ports of a list of ranges, and no others.
    pub fn reserve(&mut self, mut ranges: Vec<(u16, u16)>) {
        ranges.sort_unstable();
        self.reserved.clear();
        for (first, last) in ranges {
            match self.reserved.last_mut() {
                Some(before) if u32::from(first) <= u32::from(before.1) + 1 => before.1 = before.1.max(last),
                _ => self.reserved.push((first, last)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_touch_are_one() {
        let mut ports = LocalPorts::default();
        ports.reserve(vec![(9000, 9010), (80, 80), (81, 90), (9005, 9020), (65_535, 65_535)]);
        assert_eq!(ports.reserved, [(80, 90), (9000, 9020), (65_535, 65_535)]);
        let taken: Vec<bool> = [79, 80, 90, 91, 9020, 65_535].map(|port| ports.is_reserved(port)).to_vec();
        assert_eq!(taken, [false, true, true, false, true, true]);
    }
}
