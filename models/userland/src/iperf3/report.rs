//! The lines that `iperf3` prints.

use glassnet_sim::Nanos;

/// The line between intervals and the summary.
pub const RULE: &str = "- - - - - - - - - - - - - - - - - - - - - - - - -\n";

/// A number with its unit: as fits, or in a unit that was asked for.
fn scaled(mut value: f64, base: f64, units: [&str; 5], fixed: Option<usize>) -> String {
    let mut unit = 0;
    while fixed.map_or(value >= base && unit < units.len() - 1, |fixed| unit < fixed) {
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
    scaled(count as f64, 1024.0, ["Bytes", "KBytes", "MBytes", "GBytes", "TBytes"], None)
}

/// A rate over a span, in the unit of `-f`: bits for small letters, bytes for capitals.
pub fn rate(count: u64, span: Nanos, format: char) -> String {
    let seconds = span.as_secs_f64();
    let bytes = if seconds > 0.0 { count as f64 / seconds } else { 0.0 };
    let fixed = "kmgt".find(format.to_ascii_lowercase()).map(|unit| unit + 1);
    match format.is_ascii_uppercase() {
        true => scaled(bytes, 1024.0, ["Bytes", "KBytes", "MBytes", "GBytes", "TBytes"], fixed),
        false => scaled(bytes * 8.0, 1000.0, ["bits", "Kbits", "Mbits", "Gbits", "Tbits"], fixed),
    }
}

/// Beginning of a line: stream, interval, bytes and rate. Without a stream it is the sum of all.
pub fn head(stream: Option<u32>, (from, until): (Nanos, Nanos), count: u64, format: char) -> String {
    let name = stream.map_or_else(|| "SUM".to_owned(), |stream| format!("{stream:3}"));
    let (begin, end) = (from.as_secs_f64(), until.as_secs_f64());
    let rate = rate(count, until.since(from), format);
    format!("[{name}] {begin:6.2}-{end:<6.2} sec  {}  {rate}/sec", bytes(count))
}

/// Lost datagrams in percent, with two digits (`%.2g`).
pub fn percent(lost: u64, total: u64) -> String {
    let value = if total > 0 { lost as f64 * 100.0 / total as f64 } else { 0.0 };
    match value {
        0.0 => "0".to_owned(),
        value if value >= 99.5 => "1e+02".to_owned(),
        value if value >= 9.95 => format!("{value:.0}"),
        value => {
            let decimals = 1 - value.log10().floor() as i32;
            let text = format!("{value:.*}", decimals as usize);
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from iperf 3.12.
    #[test]
    fn lines_as_iperf3_writes_them() {
        let second = |n| Nanos::from_secs(n);
        assert_eq!(
            head(Some(5), (second(0), second(1)), 590_000_000, 'a'),
            "[  5]   0.00-1.00   sec   563 MBytes  4.72 Gbits/sec"
        );
        assert_eq!(
            head(None, (second(0), second(2)), 2_499_248, 'a'),
            "[SUM]   0.00-2.00   sec  2.38 MBytes  10.0 Mbits/sec"
        );
        assert_eq!(bytes(758_784), " 741 KBytes");
        assert_eq!(rate(10_485_760, Nanos(24_618_000), 'K'), "415956 KBytes");
        assert_eq!(rate(1_250_000, second(1), 'g'), "0.01 Gbits");
    }

    #[test]
    fn percents_have_two_digits() {
        let cases =
            [(0, 10, "0"), (1, 8, "12"), (1, 3, "33"), (1, 1000, "0.1"), (7, 5200, "0.13"), (1, 1, "1e+02")];
        for (lost, total, text) in cases {
            assert_eq!(percent(lost, total), text, "{lost} of {total}");
        }
    }
}
