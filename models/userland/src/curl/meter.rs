//! The progress meter, and `-w`.

use glassnet_sim::Nanos;

/// The two lines above the meter.
pub const HEADING: &str = "  % Total    % Received % Xferd  Average Speed   Time    Time     Time  Current
                                 Dload  Upload   Total   Spent    Left  Speed
";

/// Values of the meter.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Expected bytes, if known.
    pub expected: Option<u64>,
    /// Bytes received.
    pub received: u64,
    /// Bytes sent.
    pub sent: u64,
    /// Time since the start.
    pub spent: Nanos,
}

impl Meter {
    /// The line, to be printed after a carriage return.
    pub fn line(&self) -> String {
        let total = self.expected.unwrap_or(self.received) + self.sent;
        let share = |part: u64, whole: u64| part.saturating_mul(100).checked_div(whole).unwrap_or(0);
        let speed = |bytes: u64| match self.spent.0 / 1_000 {
            0 => bytes,
            micros => (u128::from(bytes) * 1_000_000 / u128::from(micros)) as u64,
        };
        let seconds = self.spent.0 / 1_000_000_000;
        let done = self.received + self.sent;
        format!(
            "{:>3} {}  {:>3} {}  {:>3} {}  {}  {} {} {} {} {}",
            share(done, total),
            short(total),
            share(self.received, self.expected.unwrap_or(0)),
            short(self.received),
            share(self.sent, self.sent),
            short(self.sent),
            short(speed(self.received)),
            short(speed(self.sent)),
            clock(0),
            clock(seconds),
            clock(0),
            short(speed(done)),
        )
    }
}

/// A time as the meter shows it.
fn clock(seconds: u64) -> String {
    match seconds {
        0 => "--:--:--".to_owned(),
        _ => format!("{:>2}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60),
    }
}

/// A number in five columns.
fn short(bytes: u64) -> String {
    const KB: u64 = 1024;
    const MB: u64 = 1024 * KB;
    match bytes {
        0..100_000 => format!("{bytes:>5}"),
        _ if bytes < 10_000 * KB => format!("{:>4}k", bytes / KB),
        _ if bytes < 100 * MB => format!("{:>2}.{}M", bytes / MB, bytes % MB / (MB / 10)),
        _ => format!("{:>4}M", bytes / MB),
    }
}

/// Replaces `%{name}` and escapes in a format of `-w`; the second text is the errors for unknown names.
pub fn write_out(format: &str, value: impl Fn(&str) -> Option<String>) -> (String, String) {
    let (mut text, mut errors) = (String::new(), String::new());
    let mut rest = format;
    while let Some(first) = rest.chars().next() {
        let after = &rest[first.len_utf8()..];
        match (first, after.chars().next()) {
            ('%', Some('%')) => {
                text.push('%');
                rest = &after[1..];
            }
            ('%', Some('{')) if after.contains('}') => {
                let end = after.find('}').unwrap_or(0);
                let name = &after[1..end];
                match value(name) {
                    Some(value) => text += &value,
                    None => errors += &format!("curl: unknown --write-out variable: '{name}'\n"),
                }
                rest = &after[end + 1..];
            }
            ('\\', Some(escaped @ ('n' | 'r' | 't'))) => {
                text.push(match escaped {
                    'n' => '\n',
                    'r' => '\r',
                    _ => '\t',
                });
                rest = &after[1..];
            }
            _ => {
                text.push(first);
                rest = after;
            }
        }
    }
    (text, errors)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded from curl 7.88.1.
    #[test]
    fn the_meter_as_curl_draws_it() {
        let zero = "  0     0    0     0    0     0      0      0 --:--:-- --:--:-- --:--:--     0";
        assert_eq!(Meter::default().line(), zero);
        let waits = Meter { spent: Nanos::from_millis(1009), ..Meter::default() };
        assert_eq!(
            waits.line(),
            "  0     0    0     0    0     0      0      0 --:--:--  0:00:01 --:--:--     0"
        );
        let done =
            Meter { expected: Some(15), received: 15, spent: Nanos::from_millis(14), ..Meter::default() };
        assert_eq!(
            done.line(),
            "100    15  100    15    0     0   1071      0 --:--:-- --:--:-- --:--:--  1071"
        );
    }

    #[test]
    fn formats_of_write_out() {
        let value = |name: &str| (name == "http_code").then(|| "200".to_owned());
        let written = write_out("%{http_code} %% %{no}\\n%x", value);
        assert_eq!(written.0, "200 % \n%x");
        assert_eq!(written.1, "curl: unknown --write-out variable: 'no'\n");
    }
}
