//! `sleep` of coreutils 9.1, on virtual time.

use glassnet_sim::Nanos;

use crate::process::{Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(sleep(process))
}

async fn sleep(process: &mut Process) -> i32 {
    if process.args().is_empty() {
        process.eprint("sleep: missing operand\nTry 'sleep --help' for more information.\n");
        return 1;
    }
    let mut span = Some(Nanos::ZERO);
    for arg in process.args().to_vec() {
        match parse_span(&arg) {
            Some(more) => span = span.map(|span| span + more),
            None => {
                process.eprint(format!("sleep: invalid time interval '{arg}'\n"));
                span = None;
            }
        }
    }
    let Some(span) = span else {
        process.eprint("Try 'sleep --help' for more information.\n");
        return 1;
    };
    match process.sleep(span).await {
        Ok(()) => 0,
        Err(signal) => signal.exit_status(),
    }
}

/// A span without an end: 500 years, as long as a number of nanoseconds can say.
pub const FOREVER: Nanos = Nanos(u64::MAX / 2);

/// A duration in coreutils' format: a decimal number of seconds or `infinity`, or with a unit `s`, `m`, `h`, `d`.
pub fn parse_span(text: &str) -> Option<Nanos> {
    let (number, unit) = match text.char_indices().last()? {
        (_, digit) if digit.is_ascii_digit() || digit == '.' => (text, 1.0),
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3_600.0),
        (at, 'd') => (&text[..at], 86_400.0),
        (_, 'f' | 'F' | 'y' | 'Y') => (text, 1.0),
        _ => return None,
    };
    if ["inf", "infinity"].contains(&number.to_ascii_lowercase().as_str()) {
        return Some(FOREVER);
    }
    // A number as strtod reads it: also 1e3, but not NaN.
    if !number.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte)) {
        return None;
    }
    let seconds: f64 = number.parse().ok().filter(|seconds| *seconds >= 0.0)?;
    Some(Nanos(((seconds * unit * 1e9) as u64).min(FOREVER.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(cases: &[(&str, Option<u64>)]) {
        for (text, expected) in cases {
            assert_eq!(parse_span(text).map(|span| span.0), *expected, "{text}");
        }
    }

    #[test]
    fn spans() {
        check(&[
            ("1", Some(1_000_000_000)),
            ("0.2", Some(200_000_000)),
            ("2m", Some(120_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            ("", None),
            ("x", None),
            ("-1", None),
            ("1y", None),
            ("1e2", Some(100_000_000_000)),
            ("infinity", Some(FOREVER.0)),
            ("INFm", Some(FOREVER.0)),
            ("1e99d", Some(FOREVER.0)),
            ("nan", None),
            ("f", None),
            ("s", None),
        ]);
    }
}
