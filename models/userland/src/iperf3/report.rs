//! The lines that `iperf3` prints.

use glassnet_sim::Nanos;

/// The line between intervals and the summary.
pub const RULE: &str = "- - - - - - - - - - - - - - - - - - - - - - - - -\n";
/// The file descriptor of the real tool's first stream.
pub const STREAM: u32 = 5;

fn scaled(mut value: f64, base: f64, units: [&str; 5]) -> String {
    let mut unit = 0;
    while value >= base && unit < units.len() - 1 {
        value /= base;
        unit += 1;
    }
    let number = match value {
        value if value < 9.995 => format!("{value:4.2}"),
        value if value < 99.95 => format!("{value:4.1}"),
        value => format!("{value:4.0}"),
    };
    format!("{number} {}", units[unit])
}

/// A number of bytes.
pub fn bytes(count: u64) -> String {
    scaled(count as f64, 1024.0, ["Bytes", "KBytes", "MBytes", "GBytes", "TBytes"])
}

/// A rate over a span.
pub fn rate(count: u64, span: Nanos) -> String {
    let seconds = span.as_secs_f64();
    let bits = if seconds > 0.0 { count as f64 * 8.0 / seconds } else { 0.0 };
    scaled(bits, 1000.0, ["bits", "Kbits", "Mbits", "Gbits", "Tbits"])
}

/// Beginning of a line: stream, interval, bytes and rate.
pub fn head(from: Nanos, until: Nanos, count: u64) -> String {
    let (begin, end) = (from.as_secs_f64(), until.as_secs_f64());
    let rate = rate(count, until.since(from));
    format!("[{STREAM:3}] {begin:6.2}-{end:<6.2} sec  {}  {rate}/sec", bytes(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from iperf 3.12.
    #[test]
    fn lines_as_iperf3_writes_them() {
        let second = |n| Nanos::from_secs(n);
        assert_eq!(
            head(second(0), second(1), 590_000_000),
            "[  5]   0.00-1.00   sec   563 MBytes  4.72 Gbits/sec"
        );
        assert_eq!(
            head(second(0), second(2), 2_499_248),
            "[  5]   0.00-2.00   sec  2.38 MBytes  10.0 Mbits/sec"
        );
        assert_eq!(bytes(758_784), " 741 KBytes");
    }
}
