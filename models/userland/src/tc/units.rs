//! Rates, sizes, times and percentages, as iproute2 reads and prints them. It computes with C's doubles.
//!
//! Source: lib/utils.c, lib/utils_math.c, lib/json_print.c, tc/tc_core.c, tc/tc_util.c of iproute2 6.1.0

/// Units of time in a second: µs.
pub const TIME_UNITS_PER_SEC: f64 = 1_000_000.0;

/// The number at the beginning of a word, and what stands behind it (`strtod`); `None`: it begins with none.
pub fn strtod(text: &str) -> Option<(f64, &str)> {
    let start = text.trim_start();
    let unsigned = start.strip_prefix(['+', '-']).unwrap_or(start);
    let sign = if start.starts_with('-') { -1.0 } else { 1.0 };
    let lower = unsigned.to_ascii_lowercase();
    for (name, value) in [("infinity", f64::INFINITY), ("inf", f64::INFINITY), ("nan", f64::NAN)] {
        if lower.starts_with(name) {
            return Some((sign * value, &unsigned[name.len()..]));
        }
    }
    if let Some(hex) = lower.strip_prefix("0x") {
        let len = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
        if len > 0 {
            let digits = hex[..len].bytes().map(|digit| (digit as char).to_digit(16).unwrap_or(0));
            let value = digits.fold(0.0, |value, digit| value * 16.0 + f64::from(digit));
            return Some((sign * value, &unsigned[2 + len..]));
        }
    }
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(unsigned);
    let fraction = unsigned[whole..].strip_prefix('.').map_or(0, digits);
    if whole + fraction == 0 {
        return None;
    }
    let mut len = whole + if unsigned[whole..].starts_with('.') { 1 + fraction } else { 0 };
    if let Some(exponent) = unsigned[len..].strip_prefix(['e', 'E']) {
        let signed = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        if digits(signed) > 0 {
            len += 1 + (exponent.len() - signed.len()) + digits(signed);
        }
    }
    let value: f64 = unsigned[..len].parse().ok()?;
    Some((sign * value, &unsigned[len..]))
}

/// A double as C makes an `unsigned int` of it on this processor: of a whole number of 64 bits, the lower half.
pub fn to_u32(value: f64) -> u32 {
    to_i64(value) as u32
}

fn to_i64(value: f64) -> i64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value.is_nan() || !(-LIMIT..LIMIT).contains(&value) { i64::MIN } else { value as i64 }
}

fn to_u64(value: f64) -> u64 {
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if value >= LIMIT { (to_i64(value - LIMIT) as u64) ^ (1 << 63) } else { to_i64(value) as u64 }
}

/// A rate, in bytes a second (`get_rate64`).
pub fn get_rate64(text: &str) -> Option<u64> {
    const PREFIXES: [(&str, f64); 9] = [
        ("", 1.0),
        ("ki", 1024.0),
        ("k", 1e3),
        ("mi", 1_048_576.0),
        ("m", 1e6),
        ("gi", 1_073_741_824.0),
        ("g", 1e9),
        ("ti", 1_099_511_627_776.0),
        ("t", 1e12),
    ];
    let (value, unit) = strtod(text)?;
    let unit = unit.to_ascii_lowercase();
    let scale = |unit: &str, suffix: &str| {
        let prefix = unit.strip_suffix(suffix)?;
        PREFIXES.iter().find(|(name, _)| *name == prefix).map(|(_, scale)| *scale)
    };
    let bits = match unit.as_str() {
        "" => value,
        unit => value * scale(unit, "bit").or_else(|| Some(8.0 * scale(unit, "bps")?))?,
    };
    Some(to_u64(bits / 8.0))
}

/// A size, in bytes (`get_size`).
pub fn get_size(text: &str) -> Option<u32> {
    let (value, unit) = strtod(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1.0,
        "kb" | "k" => 1024.0,
        "gb" | "g" => 1_073_741_824.0,
        "gbit" => 134_217_728.0,
        "mb" | "m" => 1_048_576.0,
        "mbit" => 131_072.0,
        "kbit" => 128.0,
        _ => return None,
    };
    let size = to_u32(value * scale);
    (f64::from(size) == (value * scale).floor()).then_some(size)
}

/// A size, with the size of cells behind a slash (`get_size_and_cell`).
pub fn get_size_and_cell(text: &str) -> Option<u32> {
    let Some((size, cell)) = text.split_once('/') else { return get_size(text) };
    let cell = crate::numbers::whole(cell)?;
    (cell.is_power_of_two() && cell <= 1 << 31).then(|| get_size(size))?
}

/// A time, in µs (`get_time`).
pub fn get_time(text: &str) -> Option<u32> {
    let (value, unit) = strtod(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" => TIME_UNITS_PER_SEC,
        "ms" | "msec" | "msecs" => TIME_UNITS_PER_SEC / 1000.0,
        "" | "us" | "usec" | "usecs" => 1.0,
        _ => return None,
    };
    Some(to_u32(value * scale))
}

/// Why a word is no percentage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadPercent {
    /// Less than 0 or more than 100.
    OutOfRange,
    /// Something stands behind it.
    Malformed,
}

/// A percentage, 1 being the whole (`parse_percent`).
///
/// # Errors
///
/// What is wrong with it.
pub fn parse_percent(text: &str) -> Result<f64, BadPercent> {
    let (value, rest) = strtod(text).unwrap_or((0.0, text));
    let value = value / 100.0;
    if !(0.0..=1.0).contains(&value) && !value.is_nan() {
        return Err(BadPercent::OutOfRange);
    }
    if rest.is_empty() || rest == "%" { Ok(value) } else { Err(BadPercent::Malformed) }
}

/// A probability in units of 2⁻³².
pub fn get_percent(text: &str) -> Option<u32> {
    parse_percent(text).ok().map(|value| to_u32((value * f64::from(u32::MAX)).round_ties_even()))
}

/// Ticks of the kernel's clock in a µs: 64 ns each (`/proc/net/psched`).
const TICK_IN_USEC: f64 = 15.625;

/// µs as ticks.
pub fn time2tick(time: u32) -> u32 {
    to_u32(f64::from(time) * TICK_IN_USEC)
}

/// Ticks as µs.
pub fn tick2time(tick: u32) -> u32 {
    to_u32(f64::from(tick) / TICK_IN_USEC)
}

/// Bytes that a rate sends in so many ticks.
pub fn xmitsize(rate: u64, ticks: u32) -> u32 {
    to_u32(rate as f64 * f64::from(tick2time(ticks)) / TIME_UNITS_PER_SEC)
}

/// Ticks that a rate needs for so many bytes.
pub fn xmittime(rate: u64, size: u32) -> u32 {
    time2tick(to_u32(TIME_UNITS_PER_SEC * (f64::from(size) / rate as f64)))
}

/// A time, in ns (`get_time64`).
pub fn get_time64(text: &str) -> Option<i64> {
    let (value, unit) = strtod(text)?;
    let scale = match unit.to_ascii_lowercase().as_str() {
        "s" | "sec" | "secs" => 1e9,
        "ms" | "msec" | "msecs" => 1e6,
        "us" | "usec" | "usecs" => 1e3,
        "" | "ns" | "nsec" | "nsecs" => 1.0,
        _ => return None,
    };
    Some(to_i64(value * scale))
}

/// A time in ns as it is printed.
pub fn sprint_time64(time: i64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "us")];
    match units.iter().find(|(least, _)| time >= *least) {
        Some((least, unit)) => format!("{}{unit}", format_g(time as f64 / *least as f64, 3)),
        None => format!("{time}ns"),
    }
}

/// As C's `%.*g`.
pub fn format_g(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:.*e}", digits - 1, value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if exponent < -4 || exponent >= digits as i32 {
        let sign = if exponent < 0 { '-' } else { '+' };
        return format!("{}e{sign}{:02}", trim(mantissa), exponent.abs());
    }
    trim(&format!("{:.*}", (digits as i32 - 1 - exponent).max(0) as usize, value))
}

/// A size as it is printed.
pub fn sprint_size(size: u32) -> String {
    const KILO: f64 = 1024.0;
    const MEGA: f64 = KILO * KILO;
    let value = f64::from(size);
    let round = |unit: f64| (value / unit).round_ties_even();
    if value >= MEGA && (MEGA * round(MEGA) - value).abs() < 1024.0 {
        format!("{}Mb", format_g(round(MEGA), 6))
    } else if value >= KILO && (KILO * round(KILO) - value).abs() < 16.0 {
        format!("{}Kb", format_g(round(KILO), 6))
    } else {
        format!("{size}b")
    }
}

/// A time in µs as it is printed.
pub fn sprint_time(time: u32) -> String {
    let value = f64::from(time);
    if value >= TIME_UNITS_PER_SEC {
        format!("{}s", format_g(value / TIME_UNITS_PER_SEC, 3))
    } else if value >= TIME_UNITS_PER_SEC / 1000.0 {
        format!("{}ms", format_g(value / (TIME_UNITS_PER_SEC / 1000.0), 3))
    } else {
        format!("{time}us")
    }
}

/// A rate in bytes a second as it is printed: in bits, with prefixes of 1000, or of 1024 with `-iec`.
pub fn sprint_rate(rate: u64, iec: bool) -> String {
    const UNITS: [&str; 5] = ["", "K", "M", "G", "T"];
    let kilo = if iec { 1024 } else { 1000 };
    let (mut rate, mut unit) = (rate << 3, 0);
    while unit < UNITS.len() - 1 && rate >= kilo && (rate % kilo == 0 || rate >= 1000 * kilo) {
        rate /= kilo;
        unit += 1;
    }
    format!("{:.0}{}{}bit", rate as f64, UNITS[unit], if iec && unit > 0 { "i" } else { "" })
}

/// A handle as it is printed (`print_tc_classid`).
pub fn sprint_classid(handle: u32) -> String {
    match (handle >> 16, handle & 0xffff) {
        (0xffff, 0xffff) => "root".to_owned(),
        (0, 0) => "none".to_owned(),
        (0, minor) => format!(":{minor:x}"),
        (major, 0) => format!("{major:x}:"),
        (major, minor) => format!("{major:x}:{minor:x}"),
    }
}

/// The hexadecimal number at the beginning of a word (`strtoul`), and what stands behind it.
fn strtoul16(text: &str) -> Option<(u64, &str)> {
    let start = text.trim_start();
    let negative = start.starts_with('-');
    let unsigned = start.strip_prefix(['+', '-']).unwrap_or(start);
    let prefixed = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X"));
    let digits = prefixed.filter(|rest| rest.starts_with(|c: char| c.is_ascii_hexdigit()));
    let digits = digits.unwrap_or(unsigned);
    let len = digits.bytes().take_while(u8::is_ascii_hexdigit).count();
    if len == 0 {
        return None;
    }
    let value = u64::from_str_radix(&digits[..len], 16)
        .map_or(u64::MAX, |value| if negative { value.wrapping_neg() } else { value });
    Some((value, &digits[len..]))
}

/// The handle of a discipline (`get_qdisc_handle`).
pub fn get_qdisc_handle(text: &str) -> Option<u32> {
    if text == "none" {
        return Some(0);
    }
    let (major, rest) = strtoul16(text)?;
    (major < 1 << 16 && (rest.is_empty() || rest.starts_with(':'))).then_some((major as u32) << 16)
}

/// The handle of a class or a discipline (`get_tc_classid`).
pub fn get_tc_classid(text: &str) -> Option<u32> {
    match text {
        "root" => return Some(u32::MAX),
        "none" => return Some(0),
        _ => {}
    }
    let (major, rest) = match strtoul16(text) {
        Some(found) => found,
        None if text.starts_with(':') => (0, text),
        None => return None,
    };
    let Some(minor) = rest.strip_prefix(':') else {
        return rest.is_empty().then_some(major as u32);
    };
    let (minor, rest) = strtoul16(minor).unwrap_or((0, minor));
    let fits = major < 1 << 16 && minor < 1 << 16 && rest.is_empty();
    fits.then_some((major as u32) << 16 | minor as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_c_prints_them() {
        let printed: Vec<String> =
            [100.0, 0.001, 1e-5, 123_456_789.0, 33.333_333].map(|value| format_g(value, 6)).into();
        assert_eq!(printed, ["100", "0.001", "1e-05", "1.23457e+08", "33.3333"]);
        assert_eq!((format_g(999.6, 3), format_g(49.9, 3)), ("1e+03".into(), "49.9".into()));
    }

    #[test]
    fn rates_sizes_and_times() {
        assert_eq!(
            ["1mbit", "1MBps", "8kibit", "1e3", "x", "1furlong"].map(get_rate64),
            [Some(125_000), Some(1_000_000), Some(1024), Some(125), None, None]
        );
        assert_eq!(
            ["2k", "1.5kb", "1mbit", "5g", "-1"].map(get_size),
            [Some(2048), Some(1536), Some(131_072), None, None]
        );
        assert_eq!(
            ["20ms", "1s", "5", "7us", "3h"].map(get_time),
            [Some(20_000), Some(1_000_000), Some(5), Some(7), None]
        );
        assert_eq!([1500, 2048, 32 << 20, 10_240].map(sprint_size), ["1500b", "2Kb", "32Mb", "10Kb"]);
        assert_eq!([125_000, 187_500, 1].map(|rate| sprint_rate(rate, false)), ["1Mbit", "1500Kbit", "8bit"]);
    }
}
