//! The command line of `iperf3`.

use crate::getopt::{self, Long, Takes};

/// Options of a run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `-s`.
    pub server: bool,
    /// `-c`.
    pub client: Option<String>,
    /// `-1`.
    pub once: bool,
    /// `-p`.
    pub port: u16,
    /// `-B`.
    pub bind: Option<String>,
    /// `-t`, seconds.
    pub time: u64,
    /// `-n`, bytes.
    pub bytes: Option<u64>,
    /// `-u`.
    pub udp: bool,
    /// `-b`, bits per second; 0: unlimited.
    pub bitrate: Option<u64>,
    /// `-l`, bytes per write.
    pub len: Option<usize>,
}

const SHORT: &str = "sc:1p:B:t:n:ub:l:hvi:P:RJVDf:w:M:N46S:Z:O:T:C:A:k:";
const LONG: &[Long] = &[
    ("server", Takes::Nothing, "s"),
    ("client", Takes::Value, "c"),
    ("one-off", Takes::Nothing, "1"),
    ("port", Takes::Value, "p"),
    ("bind", Takes::Value, "B"),
    ("time", Takes::Value, "t"),
    ("bytes", Takes::Value, "n"),
    ("udp", Takes::Nothing, "u"),
    ("bitrate", Takes::Value, "b"),
    ("length", Takes::Value, "l"),
    ("version", Takes::Nothing, "v"),
];

/// The message for an invalid number.
fn wrong(what: &str) -> String {
    format!("iperf3: parameter error - {what}\n")
}

/// A number with a unit: `base` 1000 for rates, 1024 for bytes.
fn with_unit(text: &str, base: u64) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let power = match &text[digits.len()..] {
        "" => 0,
        "k" | "K" => 1,
        "m" | "M" => 2,
        "g" | "G" => 3,
        _ => return None,
    };
    let value = digits.parse::<f64>().ok().filter(|value| *value >= 0.0)?;
    Some((value * base.pow(power) as f64) as u64)
}

/// Parses the command line; the error is text for standard error.
pub fn parse(args: &[String]) -> Result<Options, String> {
    let parsed = getopt::parse(args, SHORT, LONG);
    let mut options = Options {
        server: false,
        client: None,
        once: false,
        port: 5201,
        bind: None,
        time: 10,
        bytes: None,
        udp: false,
        bitrate: None,
        len: None,
    };
    for option in parsed.options {
        set(&mut options, &option.name, &option.value)?;
    }
    if let Some(error) = parsed.error {
        return Err(format!("iperf3: {error}\n"));
    }
    match (options.server, &options.client) {
        (true, Some(_)) => Err(wrong("cannot be both server and client")),
        (false, None) => Err(wrong("must either be a client (-c) or server (-s)")),
        _ => Ok(options),
    }
}

fn set(options: &mut Options, name: &str, value: &str) -> Result<(), String> {
    match name {
        "s" => options.server = true,
        "c" => options.client = Some(value.to_owned()),
        "1" => options.once = true,
        "p" => match value.parse::<u16>() {
            Ok(port) if port > 0 => options.port = port,
            _ => return Err(wrong("port number must be between 1 and 65535 inclusive")),
        },
        "B" => options.bind = Some(value.to_owned()),
        "t" => match value.parse::<u64>() {
            Ok(time @ 1..=86_400) => options.time = time,
            _ => return Err(wrong("test duration valid values are 0 to 86400 seconds")),
        },
        "n" => options.bytes = with_unit(value, 1024),
        "u" => options.udp = true,
        "b" => options.bitrate = with_unit(value, 1000),
        "l" => options.len = with_unit(value, 1024).map(|len| len.clamp(16, 1 << 20) as usize),
        "4" => {}
        other => return Err(format!("iperf3: not modelled yet: -{other}\n")),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::getopt::words;

    #[test]
    fn numbers_and_refusals() {
        let options = parse(&words("-c h -u -b 10M -n 1K -p 5300")).unwrap();
        assert_eq!((options.bitrate, options.bytes, options.port), (Some(10_000_000), Some(1024), 5300));
        assert_eq!(parse(&words("")).unwrap_err(), wrong("must either be a client (-c) or server (-s)"));
        assert_eq!(parse(&words("-s -c h")).unwrap_err(), wrong("cannot be both server and client"));
        assert_eq!(parse(&words("-s -R")).unwrap_err(), "iperf3: not modelled yet: -R\n");
    }
}
