//! The command line of `curl`.

use std::net::Ipv4Addr;

/// Error of a command line: the message without `curl: `, empty for none.
pub type Wrong = String;

/// Long options of the real tool that are not modelled.
const UNMODELLED: &str = "anyauth append basic cacert cert ciphers compressed config connect-to continue-at cookie \
     cookie-jar create-dirs data-ascii data-urlencode digest dns-interface dns-servers doh-url dump-header fail-early \
     fail-with-body form get haproxy-protocol help http2 http3 insecure ipv6 json limit-rate \
     location-trusted manual netrc next noproxy output-dir parallel path-as-is post301 post302 post303 \
     progress-bar proto proxy proxy-user range rate raw referer remote-header-name remote-time retry \
     retry-all-errors retry-connrefused retry-delay retry-max-time socks4 socks5 socks5-hostname speed-limit \
     speed-time stderr tcp-fastopen tlsv1 tlsv1.2 tlsv1.3 trace trace-ascii trace-time unix-socket upload-file user";

/// Long options, their letter (or a substitute), and whether they take a value.
const LONG: &[(&str, &str, bool)] = &[
    ("connect-timeout", "C", true),
    ("data", "d", true),
    ("data-binary", "B", true),
    ("data-raw", "R", true),
    ("fail", "f", false),
    ("head", "I", false),
    ("header", "H", true),
    ("http0.9", "9", false),
    ("http1.0", "0", false),
    ("http1.1", "1", false),
    ("include", "i", false),
    ("interface", "F", true),
    ("ipv4", "4", false),
    ("keepalive", "K", false),
    ("keepalive-time", "T", true),
    ("local-port", "P", true),
    ("location", "L", false),
    ("max-redirs", "M", true),
    ("max-time", "m", true),
    ("no-buffer", "N", false),
    ("no-progress-meter", "p", false),
    ("output", "o", true),
    ("remote-name", "O", false),
    ("request", "X", true),
    ("resolve", "V", true),
    ("show-error", "S", false),
    ("silent", "s", false),
    ("tcp-nodelay", "y", false),
    ("url", "U", true),
    ("user-agent", "A", true),
    ("verbose", "v", false),
    ("version", "W", false),
    ("write-out", "w", true),
];
/// Short letters, each with `:` if it takes a value.
const SHORT: &str = "d:fIH:0i4Lm:No:OX:SsA:vVw:";
/// Short options of the real tool that are not modelled, each with `:` if it takes a value.
const SHORT_UNMODELLED: &str = "ab:Bc:C:D:e:E:F:gGhjJkK:lMnpP:qQ:r:Rt:T:u:U:x:y:Y:z:Z#236:";

/// The options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What to fetch.
    pub urls: Vec<String>,
    /// `-s`.
    pub silent: bool,
    /// `-S`.
    pub show_error: bool,
    /// `--no-progress-meter`.
    pub no_meter: bool,
    /// `-v`.
    pub verbose: bool,
    /// `-i`.
    pub include: bool,
    /// `-I`.
    pub head: bool,
    /// `-f`.
    pub fail: bool,
    /// `-L`.
    pub location: bool,
    /// `-0`.
    pub http10: bool,
    /// `--http0.9`.
    pub http09: bool,
    /// `-o`, one a URL, and `-O`: none.
    pub outputs: Vec<Option<String>>,
    /// `-w`.
    pub write_out: Option<String>,
    /// `-m`, ms.
    pub max_time: Option<u64>,
    /// `--connect-timeout`, ms.
    pub connect_timeout: Option<u64>,
    /// `--no-keepalive`.
    pub no_keepalive: bool,
    /// `--keepalive-time`, seconds.
    pub keepalive_time: Option<u32>,
    /// `-X`.
    pub request: Option<String>,
    /// `-H`.
    pub headers: Vec<String>,
    /// `-d`, joined; `@FILE` parts are read when the request is sent.
    pub data: Vec<Data>,
    /// `-A`.
    pub user_agent: Option<String>,
    /// `--interface`.
    pub interface: Option<String>,
    /// `--local-port`: first port and number of ports.
    pub local_port: Option<(u16, u16)>,
    /// `--resolve`: host, port, address.
    pub resolve: Vec<(String, u16, Ipv4Addr)>,
    /// `--max-redirs`.
    pub max_redirs: Option<u64>,
    /// `-4`.
    pub ipv4: bool,
    /// `-V`.
    pub version: bool,
}

/// What `-d` adds to the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Literal bytes.
    Text(String),
    /// The file's bytes; without line ends if the flag is set.
    File(String, bool),
}

/// Reads the command line.
pub fn parse(args: &[String]) -> Result<Options, Wrong> {
    let mut options = Options::default();
    let mut rest = args.iter();
    let mut only_urls = false;
    while let Some(arg) = rest.next() {
        match arg.as_str() {
            "--" => only_urls = true,
            text if !only_urls && text.starts_with("--") => long(&mut options, &text[2..], &mut rest)?,
            text if !only_urls && text.len() > 1 && text.starts_with('-') => {
                cluster(&mut options, &text[1..], &mut rest)?;
            }
            text => options.urls.push(text.to_owned()),
        }
    }
    Ok(options)
}

type Rest<'a> = std::slice::Iter<'a, String>;

fn long(options: &mut Options, word: &str, rest: &mut Rest) -> Result<(), Wrong> {
    let (bare, on) = match word.strip_prefix("no-").filter(|_| LONG.iter().all(|row| row.0 != word)) {
        Some(bare) => (bare, false),
        None => (word, true),
    };
    let starting: Vec<_> = LONG.iter().filter(|row| row.0.starts_with(bare)).collect();
    let exact = LONG.iter().find(|row| row.0 == bare);
    let real = UNMODELLED.split_whitespace().any(|name| name == bare);
    let (_, mark, takes) = match (exact, real, starting.as_slice()) {
        (Some(exact), ..) => exact,
        (None, true, _) => return Err(format!("not modelled yet: --{word}")),
        (None, false, [one]) => *one,
        (None, false, []) => return Err(format!("option --{word}: is unknown")),
        (None, false, _) => return Err(format!("option --{word}: is ambiguous")),
    };
    if *takes {
        let Some(value) = rest.next() else { return Err(format!("option --{word}: requires parameter")) };
        return with_value(options, mark, value, &format!("--{word}"));
    }
    switch(options, mark, on);
    Ok(())
}

fn cluster(options: &mut Options, letters: &str, rest: &mut Rest) -> Result<(), Wrong> {
    for (at, letter) in letters.char_indices() {
        let takes = |known: &str| {
            let place = known.find(letter).filter(|_| letter != ':')?;
            Some(known[place + letter.len_utf8()..].starts_with(':'))
        };
        let after = &letters[at + letter.len_utf8()..];
        let has_value = |rest: &mut Rest| {
            let value = if after.is_empty() { rest.next().cloned() } else { Some(after.to_owned()) };
            value.ok_or_else(|| format!("option -{letter}: requires parameter"))
        };
        match (takes(SHORT), takes(SHORT_UNMODELLED)) {
            (Some(false), _) => switch(options, short_mark(letter), true),
            (Some(true), _) => {
                let value = has_value(rest)?;
                return with_value(options, &letter.to_string(), &value, &format!("-{letter}"));
            }
            (None, Some(takes)) => {
                if takes {
                    has_value(rest)?;
                }
                return Err(format!("not modelled yet: -{letter}"));
            }
            (None, None) => return Err(format!("option -{letters}: is unknown")),
        }
    }
    Ok(())
}

/// `-V` is the version; the letter V stands for `--resolve`.
fn short_mark(letter: char) -> &'static str {
    match letter {
        'V' => "W",
        _ => LONG.iter().map(|row| row.1).find(|mark| mark.starts_with(letter)).unwrap_or(""),
    }
}

fn switch(options: &mut Options, mark: &str, on: bool) {
    match mark {
        "f" => options.fail = on,
        "K" => options.no_keepalive = !on,
        "I" => options.head = on,
        "0" => options.http10 = on,
        "1" => options.http10 = false,
        "9" => options.http09 = on,
        "i" => options.include = on,
        "L" => options.location = on,
        "p" => options.no_meter = true,
        "O" => options.outputs.push(None),
        "S" => options.show_error = on,
        "s" => options.silent = on,
        "v" => options.verbose = on,
        "W" => options.version = true,
        "4" => options.ipv4 = on,
        // No effect: output is written at the end of a transfer. curl sets TCP_NODELAY.
        _ => {}
    }
}

/// Seconds, as milliseconds.
fn millis(value: &str, option: &str) -> Result<u64, Wrong> {
    match value.parse::<f64>() {
        Ok(seconds) if seconds < 0.0 => {
            Err(format!("option {option}: expected a positive numerical parameter"))
        }
        Ok(seconds) if seconds > (i64::MAX / 1000) as f64 => {
            Err(format!("option {option}: too large number"))
        }
        Ok(seconds) if !seconds.is_nan() => Ok((seconds * 1000.0) as u64),
        _ => Err(format!("option {option}: expected a proper numerical parameter")),
    }
}

fn with_value(options: &mut Options, mark: &str, value: &str, option: &str) -> Result<(), Wrong> {
    let number = || Err(format!("option {option}: expected a proper numerical parameter"));
    match mark {
        "C" => options.connect_timeout = Some(millis(value, option)?).filter(|millis| *millis > 0),
        "m" => options.max_time = Some(millis(value, option)?).filter(|millis| *millis > 0),
        "T" => match value.parse() {
            Ok(secs) => options.keepalive_time = Some(secs),
            Err(_) => return number(),
        },
        "M" => match value.parse() {
            Ok(count) => options.max_redirs = Some(count),
            Err(_) => return number(),
        },
        "d" => options.data.push(match value.strip_prefix('@') {
            Some(file) => Data::File(file.to_owned(), true),
            None => Data::Text(value.to_owned()),
        }),
        "B" => options.data.push(match value.strip_prefix('@') {
            Some(file) => Data::File(file.to_owned(), false),
            None => Data::Text(value.to_owned()),
        }),
        "R" => options.data.push(Data::Text(value.to_owned())),
        "H" => options.headers.push(value.to_owned()),
        "F" => options.interface = Some(value.to_owned()),
        "P" => match ports(value) {
            Some(range) => options.local_port = Some(range),
            None => return Err(format!("option {option}: is badly used here")),
        },
        "o" => options.outputs.push(Some(value.to_owned())),
        "X" => options.request = Some(value.to_owned()),
        "V" => match resolve(value) {
            Some(entry) => options.resolve.push(entry),
            None => return Err(format!("not modelled yet: --resolve {value}")),
        },
        "U" => options.urls.push(value.to_owned()),
        "A" => options.user_agent = Some(value.to_owned()),
        "w" => options.write_out = Some(value.to_owned()),
        _ => {}
    }
    Ok(())
}

fn ports(value: &str) -> Option<(u16, u16)> {
    match value.split_once('-') {
        None => Some((value.parse().ok()?, 1)),
        Some((first, last)) => {
            let (first, last) = (first.trim().parse::<u16>().ok()?, last.trim().parse::<u16>().ok()?);
            Some((first, last.checked_sub(first)? + 1))
        }
    }
}

fn resolve(value: &str) -> Option<(String, u16, Ipv4Addr)> {
    let mut parts = value.splitn(3, ':');
    let (host, port, address) = (parts.next()?, parts.next()?, parts.next()?);
    Some((host.to_owned(), port.parse().ok()?, address.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::getopt::words;

    #[test]
    fn refusals_as_curl_words_them() {
        for (line, wrong) in [
            ("--foo u", "option --foo: is unknown"),
            ("-m", "option -m: requires parameter"),
            ("-m x u", "option -m: expected a proper numerical parameter"),
            ("-m -1 u", "option -m: expected a positive numerical parameter"),
            ("-m 99999999999999999999 u", "option -m: too large number"),
            ("-k u", "not modelled yet: -k"),
            ("--proxy p u", "not modelled yet: --proxy"),
            ("--max u", "option --max: is ambiguous"),
        ] {
            assert_eq!(parse(&words(line)).unwrap_err(), wrong, "{line}");
        }
    }

    #[test]
    fn clusters_and_values() {
        let options = parse(&words("-sSfLo/dev/null -w x --max-ti 1.5 --resolve a:80:10.0.0.1 u")).unwrap();
        assert!(options.silent && options.show_error && options.fail && options.location);
        assert_eq!(options.outputs, [Some("/dev/null".to_owned())]);
        assert_eq!((options.max_time, options.urls.as_slice()), (Some(1500), &["u".to_owned()][..]));
        assert_eq!(options.resolve, [("a".to_owned(), 80, Ipv4Addr::new(10, 0, 0, 1))]);
    }
}
