//! What ping prints of ICMP errors and numbers.

use std::net::{IpAddr, Ipv4Addr};

use crate::hosts::Hosts;

/// An address, with its name unless `-n`.
pub fn address(hosts: &Hosts, numeric: bool, address: Ipv4Addr) -> String {
    match hosts.name(IpAddr::V4(address)) {
        Some(name) if !numeric => format!("{name} ({address})"),
        _ => address.to_string(),
    }
}

/// Text for an ICMP message other than a reply, with the newline; `info` is its second word.
pub fn icmp(kind: u8, code: u8, info: u32) -> String {
    let text = match (kind, code) {
        (0, _) => "Echo Reply".to_owned(),
        (3, code) => unreachable(code, info),
        (4, _) => "Source Quench".to_owned(),
        (5, code) => format!("{}(New nexthop: {})", redirect(code), Ipv4Addr::from(info)),
        (8, _) => "Echo Request".to_owned(),
        (11, 0) => "Time to live exceeded".to_owned(),
        (11, 1) => "Frag reassembly time exceeded".to_owned(),
        (11, code) => format!("Time exceeded, Bad Code: {code}"),
        (12, _) => format!("Parameter problem: pointer = {info}"),
        (13, _) => "Timestamp".to_owned(),
        (14, _) => "Timestamp Reply".to_owned(),
        (15, _) => "Information Request".to_owned(),
        (16, _) => "Information Reply".to_owned(),
        (17, _) => "Address Mask Request".to_owned(),
        (18, _) => "Address Mask Reply".to_owned(),
        (kind, _) => format!("Bad ICMP type: {kind}"),
    };
    text + "\n"
}

fn unreachable(code: u8, mtu: u32) -> String {
    let text = match code {
        0 => "Destination Net Unreachable",
        1 => "Destination Host Unreachable",
        2 => "Destination Protocol Unreachable",
        3 => "Destination Port Unreachable",
        4 => return format!("Frag needed and DF set (mtu = {mtu})"),
        5 => "Source Route Failed",
        6 => "Destination Net Unknown",
        7 => "Destination Host Unknown",
        8 => "Source Host Isolated",
        9 => "Destination Net Prohibited",
        10 => "Destination Host Prohibited",
        11 => "Destination Net Unreachable for Type of Service",
        12 => "Destination Host Unreachable for Type of Service",
        13 => "Packet filtered",
        14 => "Precedence Violation",
        15 => "Precedence Cutoff",
        code => return format!("Dest Unreachable, Bad Code: {code}"),
    };
    text.to_owned()
}

fn redirect(code: u8) -> String {
    match code {
        0 => "Redirect Network".to_owned(),
        1 => "Redirect Host".to_owned(),
        2 => "Redirect Type of Service and Network".to_owned(),
        3 => "Redirect Type of Service and Host".to_owned(),
        code => format!("Redirect, Bad Code: {code}"),
    }
}

/// Microseconds as `0.345` milliseconds.
pub fn milliseconds(us: i64) -> String {
    format!("{}.{:03}", us / 1000, us % 1000)
}

/// A round-trip time in microseconds with three significant digits, as ` time=0.345 ms`.
pub fn round_trip(us: i64) -> String {
    match us {
        99_950.. => format!(" time={} ms", (us + 500) / 1000),
        9_995.. => format!(" time={}.{:01} ms", (us + 50) / 1000, (us + 50) % 1000 / 100),
        1_000.. => format!(" time={}.{:02} ms", (us + 5) / 1000, (us + 5) % 1000 / 10),
        _ => format!(" time={} ms", milliseconds(us)),
    }
}

/// A percentage as C's `%g` prints a float.
pub fn percent(share: f64) -> String {
    // Six significant digits.
    let whole = if share > 0.0 { share.log10().floor() as i32 } else { 0 };
    let digits = (5 - whole).max(0) as usize;
    let text = format!("{share:.digits$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_as_ping_prints_them() {
        assert_eq!(round_trip(54), " time=0.054 ms");
        assert_eq!(round_trip(1_234), " time=1.23 ms");
        assert_eq!(round_trip(12_345), " time=12.3 ms");
        assert_eq!(round_trip(123_456), " time=123 ms");
        for (share, text) in
            [(0.0, "0"), (100.0, "100"), (33.333_333, "33.3333"), (6.25, "6.25"), (1.0 / 3.0, "0.333333")]
        {
            assert_eq!(percent(share), text);
        }
    }
}
