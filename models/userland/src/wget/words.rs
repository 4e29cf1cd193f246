//! Numbers and progress as `wget` prints them.

use glassnet_sim::Nanos;

/// Bytes of a dot, and dots of a group and of a line.
const DOT: usize = 1024;
const GROUP: usize = 10;
const LINE: usize = 50;

/// A speed in bytes a second, with its unit: three figures (`calc_rate`).
fn rate(bytes: usize, time: Nanos) -> (String, usize) {
    // Shorter than a timer can tell.
    let seconds = (time.0 as f64 / 1e9).max(1e-6);
    let mut speed = bytes as f64 / seconds;
    let mut unit = 0;
    while speed >= 1024.0 && unit < 3 {
        speed /= 1024.0;
        unit += 1;
    }
    let digits = if speed >= 99.95 {
        0
    } else if speed >= 9.995 {
        1
    } else {
        2
    };
    (format!("{speed:.digits$}"), unit)
}

/// A speed such as `43.3 KB/s`.
pub(super) fn speed(bytes: usize, time: Nanos) -> String {
    let (figures, unit) = rate(bytes, time);
    format!("{figures} {}", ["B/s", "KB/s", "MB/s", "GB/s"][unit])
}

/// A number with few figures (`print_decimal`).
fn decimal(number: f64) -> String {
    let significant = |digits: f64| {
        let places = (-number.log10().floor()).max(0.0);
        let scale = 10f64.powf(places + digits - 1.0);
        format!("{}", (number * scale).round() / scale)
    };
    match number {
        n if n >= 9.95 => format!("{n:.0}"),
        n if n >= 0.95 => format!("{n:.1}"),
        n if n >= 0.001 => significant(1.0),
        n if n >= 0.0005 => format!("{n:.3}"),
        _ => "0".to_owned(),
    }
}

/// Seconds with few figures, or minutes.
pub(super) fn seconds(time: Nanos) -> String {
    match time.0 as f64 / 1e9 {
        secs if secs < 100.0 => format!("{}s", decimal(secs)),
        secs if secs < 6_000.0 => format!("{}m {}s", secs as u64 / 60, secs as u64 % 60),
        secs => format!("{}h {}m", secs as u64 / 3_600, secs as u64 / 60 % 60),
    }
}

/// A length such as `70000 (68K)`.
pub(super) fn length(bytes: u64) -> String {
    if bytes < 1024 { bytes.to_string() } else { format!("{bytes} ({})", short_length(bytes)) }
}

/// A length such as `68K`.
pub(super) fn short_length(bytes: u64) -> String {
    let units: [(u64, &str); 3] = [(1 << 30, "G"), (1 << 20, "M"), (1 << 10, "K")];
    match units.iter().find(|(unit, _)| bytes >= *unit) {
        None => bytes.to_string(),
        Some((unit, name)) => format!("{}{name}", decimal(bytes as f64 / *unit as f64)),
    }
}

/// The lines of dots for so many bytes out of `whole`.
pub(super) fn dots(bytes: usize, whole: Option<u64>, time: Nanos) -> String {
    let lines = bytes.div_ceil(DOT * LINE).max(1);
    let mut text = String::new();
    for line in 0..lines {
        let begin = line * LINE;
        let is_last = line + 1 == lines;
        let end = if is_last { bytes } else { (begin + LINE) * DOT };
        text += &format!("{:>6}K", begin);
        for dot in 0..LINE {
            if dot % GROUP == 0 {
                text.push(' ');
            }
            text.push(if begin + dot < end / DOT { '.' } else { ' ' });
        }
        if let Some(whole) = whole.filter(|whole| *whole > 0) {
            text += &format!("{:>3}%", (end as u64 * 100) / whole);
        }
        // Lines arrive evenly: how fast each came is not told apart.
        let (figures, unit) = rate(bytes, time);
        text += &format!(" {figures:>4}{}", [" ", "K", "M", "G"][unit]);
        match is_last {
            true => text += &format!("={}", seconds(time)),
            false if whole.is_some() => text += " 0s",
            false => {}
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the real tool (1.21.3) printed them.
    #[test]
    fn figures() {
        let speeds = [
            (6, 6_500_000, "923 B/s"),
            (6, 135_200, "43.3 KB/s"),
            (195, 18_200, "10.2 MB/s"),
            (0, 0, "0.00 B/s"),
        ];
        for (bytes, nanos, text) in speeds {
            assert_eq!(speed(bytes, Nanos(nanos)), text);
        }
        for (nanos, text) in [
            (0, "0s"),
            (3_600_000, "0.004s"),
            (14_000_000, "0.01s"),
            (600_000, "0.001s"),
            (1_540_000_000, "1.5s"),
            (61_000_000_000, "61s"),
            (120_000_000_000, "2m 0s"),
        ] {
            assert_eq!(seconds(Nanos(nanos)), text);
        }
        assert_eq!((length(6), length(70_000)), ("6".to_owned(), "70000 (68K)".to_owned()));
    }

    #[test]
    fn dots_are_kilobytes() {
        let six = "     0K                                                       100% 43.3K=0s\n";
        assert_eq!(dots(6, Some(6), Nanos(135_200)), six);
        let three = "     0K                                                         396K=0s\n";
        assert_eq!(dots(3, None, Nanos(7_400)), three);
        let cut = "     0K                                                        30%  544K=0s\n";
        assert_eq!(dots(3, Some(10), Nanos(5_390)), cut);
        let many = "     0K .......... .......... .......... .......... .......... 73%  217M 0s\n    50K .......... ........                                   100%  217M=0s\n";
        assert_eq!(dots(70_000, Some(70_000), Nanos(308_000)), many);
    }
}
