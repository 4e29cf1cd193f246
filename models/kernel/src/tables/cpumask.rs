//! Sets of CPUs, and how files under `/proc` and `/sys` write them.
//!
//! Kernel: lib/bitmap.c (`bitmap_parse`, `bitmap_parselist`), lib/vsprintf.c (`%*pb`, `%*pbl`)

use crate::ids::CpuId;
use crate::netlink::Errno;

/// CPUs of a machine, of which there are at most 64, a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CpuMask(pub u64);

/// Bits of a group of hexadecimal digits.
const GROUP: usize = 32;

impl CpuMask {
    /// Every CPU that there may be.
    pub const ALL: CpuMask = CpuMask(u64::MAX);

    /// The first so many CPUs.
    pub fn first(cpus: usize) -> CpuMask {
        CpuMask(if cpus >= 64 { u64::MAX } else { (1 << cpus) - 1 })
    }

    /// No CPU.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The CPU is one of them.
    #[inline]
    pub fn contains(self, cpu: CpuId) -> bool {
        self.0 >> cpu.0 & 1 == 1
    }

    /// The CPUs, in order.
    pub fn iter(self) -> impl Iterator<Item = CpuId> {
        (0..64).map(CpuId).filter(move |cpu| self.contains(*cpu))
    }

    /// As `%*pb` prints it for a machine of so many CPUs: groups of hexadecimal digits.
    pub fn hex(self, cpus: usize) -> String {
        let top = cpus.div_ceil(GROUP) - 1;
        let digits = (cpus - top * GROUP).div_ceil(4);
        let group = |at: usize| self.0 >> (at * GROUP) & u64::from(u32::MAX);
        let first = format!("{:0digits$x}", group(top));
        (0..top).rev().fold(first, |text, at| format!("{text},{:08x}", group(at)))
    }

    /// As `%*pbl` prints it: ranges such as `0-2,5`.
    pub fn list(self) -> String {
        let mut ranges: Vec<(u32, u32)> = Vec::new();
        for CpuId(cpu) in self.iter() {
            match ranges.last_mut() {
                Some((_, last)) if *last + 1 == cpu => *last = cpu,
                _ => ranges.push((cpu, cpu)),
            }
        }
        let text = |(first, last): (u32, u32)| {
            if first == last { first.to_string() } else { format!("{first}-{last}") }
        };
        ranges.into_iter().map(text).collect::<Vec<_>>().join(",")
    }

    /// Reads groups of hexadecimal digits.
    ///
    /// # Errors
    ///
    /// `EINVAL` for another character, `EOVERFLOW` for more than the machine's CPUs.
    pub fn parse(text: &str, cpus: usize) -> Result<CpuMask, Errno> {
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == ',' || c == '\0');
        let mut mask = 0;
        for (at, group) in text.rsplit(',').enumerate().filter(|_| !text.is_empty()) {
            if at >= cpus.div_ceil(GROUP) {
                return Err(Errno::EOVERFLOW);
            }
            if !group.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(Errno::EINVAL);
            }
            let digits = if group.is_empty() { "0" } else { group };
            let bits = u32::from_str_radix(digits, 16).map_err(|_| Errno::EOVERFLOW)?;
            mask |= u64::from(bits) << (at * GROUP);
        }
        let mask = CpuMask(mask);
        if mask.0 & !CpuMask::first(cpus).0 == 0 { Ok(mask) } else { Err(Errno::EOVERFLOW) }
    }

    /// Reads ranges: `0-2,5`, `all`, `N` for the last CPU, and `0-7:2/4` for the first two of each four.
    ///
    /// # Errors
    ///
    /// `EINVAL` for what is no range, `ERANGE` for more than the machine's CPUs.
    pub fn parse_list(text: &str, cpus: usize) -> Result<CpuMask, Errno> {
        let mut mask = 0;
        for range in text.split([',', '\n', ' ', '\t']).filter(|range| !range.is_empty()) {
            let (first, last, used, group) = parse_range(range, cpus).ok_or(Errno::EINVAL)?;
            if last < first || used == 0 || group < used {
                return Err(Errno::EINVAL);
            }
            if last >= cpus {
                return Err(Errno::ERANGE);
            }
            (first..=last).filter(|cpu| (cpu - first) % group < used).for_each(|cpu| mask |= 1 << cpu);
        }
        Ok(CpuMask(mask))
    }
}

/// First and last CPU, and how many of each group of how many are meant.
fn parse_range(range: &str, cpus: usize) -> Option<(usize, usize, usize, usize)> {
    let number = |text: &str| if text == "N" { Some(cpus - 1) } else { text.parse().ok() };
    let (range, groups) =
        range.split_once(':').map_or((range, None), |(range, groups)| (range, Some(groups)));
    let (first, last) = match range.split_once('-') {
        _ if range.eq_ignore_ascii_case("all") => (0, cpus - 1),
        Some((first, last)) => (number(first)?, number(last)?),
        None => (number(range)?, number(range)?),
    };
    match groups {
        None => Some((first, last, 1, 1)),
        Some(groups) => {
            let (used, group) = groups.split_once('/')?;
            Some((first, last, used.parse().ok()?, group.parse().ok()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_are_written_and_read_as_linux_does() {
        let cases = [
            (2, 3, "3", "0-1"),
            (2, 0, "0", ""),
            (4, 0b1011, "b", "0-1,3"),
            (33, 1 << 32, "1,00000000", "32"),
        ];
        for (cpus, bits, hex, list) in cases {
            let mask = CpuMask(bits);
            assert_eq!((mask.hex(cpus).as_str(), mask.list().as_str()), (hex, list));
            assert_eq!((CpuMask::parse(hex, cpus), CpuMask::parse_list(list, cpus)), (Ok(mask), Ok(mask)));
        }
        assert_eq!(CpuMask(5).hex(12), "005");
    }

    /// As Linux 6.1 with two CPUs answered.
    #[test]
    fn what_is_no_mask_of_the_machine_is_refused() {
        let read = |text| CpuMask::parse(text, 2);
        assert_eq!(["", "\n", "00000003\n"].map(read), [Ok(CpuMask(0)), Ok(CpuMask(0)), Ok(CpuMask(3))]);
        assert_eq!(["4", "ff", "1,1", "ffffffff,ffffffff"].map(read), [Err(Errno::EOVERFLOW); 4]);
        assert_eq!(["x", "-1", "g"].map(read), [Err(Errno::EINVAL); 3]);
        let list = |text| CpuMask::parse_list(text, 8);
        assert_eq!(
            ["all", "N", "0-7:1/2", "1,3-4"].map(|text| list(text).map(|mask| mask.0)),
            [Ok(0xff), Ok(0x80), Ok(0x55), Ok(0x1a)]
        );
        assert_eq!(
            [list("8"), list("3-1"), list("x"), list("1-")],
            [Err(Errno::ERANGE), Err(Errno::EINVAL), Err(Errno::EINVAL), Err(Errno::EINVAL)]
        );
    }
}
