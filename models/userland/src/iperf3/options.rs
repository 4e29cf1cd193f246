//! The command line of `iperf3`.

use glassnet_sim::Nanos;

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
    /// `-P`, streams.
    pub parallel: usize,
    /// `-R`: the server sends.
    pub reverse: bool,
    /// `-i`: time between lines; none: only the whole.
    pub interval: Option<Nanos>,
    /// `-O`, seconds at the beginning that do not count.
    pub omit: u64,
    /// `-w`, buffers of sockets, bytes.
    pub window: Option<u32>,
    /// `-M`, bytes.
    pub mss: Option<u16>,
    /// `-N`.
    pub nodelay: bool,
    /// `-f`: the unit of rates.
    pub format: char,
    /// `-J`.
    pub json: bool,
}

/// Streams at most.
const MAX_STREAMS: usize = 128;
const SHORT: &str = "sc:1p:B:t:n:ub:l:hvi:P:RJVDf:w:M:N46S:ZO:T:C:A:k:";
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
    ("parallel", Takes::Value, "P"),
    ("reverse", Takes::Nothing, "R"),
    ("interval", Takes::Value, "i"),
    ("omit", Takes::Value, "O"),
    ("window", Takes::Value, "w"),
    ("set-mss", Takes::Value, "M"),
    ("no-delay", Takes::Nothing, "N"),
    ("format", Takes::Value, "f"),
    ("json", Takes::Nothing, "J"),
    ("verbose", Takes::Nothing, "V"),
    ("zerocopy", Takes::Nothing, "Z"),
    ("version4", Takes::Nothing, "4"),
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
        parallel: 1,
        reverse: false,
        interval: Some(Nanos::from_secs(1)),
        omit: 0,
        window: None,
        mss: None,
        nodelay: false,
        format: 'a',
        json: false,
    };
    for option in parsed.options {
        set(&mut options, &option.name, &option.value)?;
    }
    if let Some(error) = parsed.error {
        return Err(format!("iperf3: {error}\n"));
    }
    let of_client = options.reverse
        || options.parallel != 1
        || options.omit > 0
        || options.window.is_some()
        || options.mss.is_some()
        || options.nodelay
        || options.len.is_some()
        || options.bytes.is_some()
        || options.udp
        || options.bitrate.is_some();
    match (options.server, &options.client) {
        (true, None) if of_client => Err(wrong("some option you are trying to set is client only")),
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
        "P" => match value.parse::<usize>() {
            Ok(streams) if streams <= MAX_STREAMS => options.parallel = streams.max(1),
            _ => return Err(wrong("number of parallel streams too large (maximum = 128)")),
        },
        "R" => options.reverse = true,
        "i" => match value.parse::<f64>() {
            Ok(0.0) => options.interval = None,
            Ok(every) if (0.1..=60.0).contains(&every) => {
                options.interval = Some(Nanos((every * 1e9) as u64))
            }
            _ => {
                let what = "invalid report interval (min = 0.1, max = 60 seconds)";
                return Err(wrong(what));
            }
        },
        "O" => match value.parse::<u64>() {
            Ok(omit @ 0..=60) => options.omit = omit,
            _ => return Err(wrong("bogus value for --omit")),
        },
        "w" => match with_unit(value, 1024) {
            Some(size @ 0..=0x2000_0000) => options.window = Some(size as u32),
            _ => return Err(wrong("socket buffer size too large (maximum = 536870912 bytes)")),
        },
        "M" => match value.parse::<u16>() {
            Ok(mss @ 0..=9216) => options.mss = Some(mss).filter(|mss| *mss > 0),
            _ => return Err(wrong("TCP MSS too large (maximum = 9216 bytes)")),
        },
        "N" => options.nodelay = true,
        "f" => match value.chars().next() {
            Some(unit) if "kmgtKMGT".contains(unit) => options.format = unit,
            _ => return Err(wrong("bad format specifier (valid formats are in the set [kmgtKMGT])")),
        },
        "J" => options.json = true,
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
        assert_eq!(
            parse(&words("-s -R")).unwrap_err(),
            wrong("some option you are trying to set is client only")
        );
        assert_eq!(parse(&words("-c h -Z")).unwrap_err(), "iperf3: not modelled yet: -Z\n");
        for bad in ["-P 129", "-i 0.01", "-O x", "-w 1G", "-M 9217", "-f x"] {
            assert!(
                parse(&words(&format!("-c h {bad}"))).unwrap_err().starts_with("iperf3: parameter error - ")
            );
        }
        let options = parse(&words("-c h -P 2 -R -i 0.5 -O 1 -w 64K -M 1000 -f K -J")).unwrap();
        assert_eq!((options.parallel, options.window, options.mss), (2, Some(65_536), Some(1000)));
        assert_eq!(options.interval, Some(Nanos::from_millis(500)));
    }
}
