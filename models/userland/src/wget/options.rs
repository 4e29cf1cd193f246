//! The command line of `wget`.

use glassnet_sim::Nanos;

use crate::getopt::{self, Takes};

/// How much is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Verbosity {
    /// `-q`
    Quiet,
    /// `-nv`
    Terse,
    #[default]
    Verbose,
}

/// The options.
#[derive(Clone, Debug, Default)]
pub(super) struct Options {
    pub(super) verbosity: Verbosity,
    /// `-O`
    pub(super) output: Option<String>,
    /// `-S`
    pub(super) server_response: bool,
    /// `--spider`
    pub(super) spider: bool,
    /// `-T`: of the connection, and of each read.
    pub(super) connect_timeout: Option<Nanos>,
    pub(super) read_timeout: Option<Nanos>,
    /// `-t`; 0: without end.
    pub(super) tries: u64,
    /// `--retry-connrefused`
    pub(super) retry_refused: bool,
    /// The longest wait before another try, seconds.
    pub(super) wait_retry: u64,
    pub(super) max_redirect: u64,
    /// `--header`: name and value.
    pub(super) headers: Vec<(String, String)>,
    pub(super) user_agent: Option<String>,
    pub(super) method: String,
    pub(super) body: Option<Vec<u8>>,
    /// `--content-on-error`
    pub(super) content_on_error: bool,
    pub(super) urls: Vec<String>,
}

/// Why nothing is fetched.
pub(super) enum Stop {
    /// `-V` or `-h`: the text for standard output.
    Shown(&'static str),
    /// The message without the program's name, whether the usage follows, and the exit status.
    Wrong(String, bool, i32),
    NotModelled(String),
}

/// Long options, with the letter or word by which they are known here.
const LONG: &[getopt::Long] = &[
    ("body-data", Takes::Value, "body-data"),
    ("connect-timeout", Takes::Value, "connect-timeout"),
    ("content-on-error", Takes::Nothing, "content-on-error"),
    ("header", Takes::Value, "header"),
    ("help", Takes::Nothing, "h"),
    ("inet4-only", Takes::Nothing, "4"),
    ("max-redirect", Takes::Value, "max-redirect"),
    ("method", Takes::Value, "method"),
    ("no-check-certificate", Takes::Nothing, "4"),
    ("no-proxy", Takes::Nothing, "4"),
    ("no-verbose", Takes::Nothing, "n"),
    ("output-document", Takes::Value, "O"),
    ("post-data", Takes::Value, "post-data"),
    ("quiet", Takes::Nothing, "q"),
    ("read-timeout", Takes::Value, "read-timeout"),
    ("retry-connrefused", Takes::Nothing, "retry-connrefused"),
    ("server-response", Takes::Nothing, "S"),
    ("spider", Takes::Nothing, "spider"),
    ("timeout", Takes::Value, "T"),
    ("tries", Takes::Value, "t"),
    ("user-agent", Takes::Value, "U"),
    ("verbose", Takes::Nothing, "v"),
    ("version", Takes::Nothing, "V"),
    ("waitretry", Takes::Value, "waitretry"),
];

/// Long options of the real tool that are not modelled.
const UNMODELLED: &str = "accept accept-regex adjust-extension append-output ask-password auth-no-challenge background \
     backup-converted backups base bind-address body-file ca-certificate ca-directory cache certificate ciphers \
     clobber compression config content-disposition continue convert-links cookies crl-file cut-dirs debug \
     default-page delete-after directories directory-prefix dns-servers dns-timeout domains exclude-directories \
     exclude-domains execute follow-ftp follow-tags force-directories force-html host-directories hsts html-extension \
     http-password http-user https-only if-modified-since ignore-case ignore-length ignore-tags include-directories \
     inet6-only input-file iri keep-session-cookies level limit-rate load-cookies local-encoding mirror netrc \
     no-cache no-clobber no-config no-cookies no-directories no-dns-cache no-hsts no-http-keep-alive no-iri no-netrc \
     no-parent no-use-server-timestamps no-warc-keep-log output-file page-requisites parent password pinnedpubkey \
     post-file prefer-family private-key progress protocol-directories proxy proxy-password proxy-user quota random-wait \
     recursive referer regex-type reject reject-regex relative remote-encoding rejected-log report-speed \
     restrict-file-names retry-on-host-error retry-on-http-error save-cookies save-headers secure-protocol show-progress \
     span-hosts start-pos strict-comments timestamping trust-server-names unlink use-askpass use-server-timestamps user \
     wait warc-file xattr";
/// Short options of the real tool that are not modelled.
const SHORT_UNMODELLED: &str = "aBbcdeFHiIklLmNoPpQrRwx6AXDEK";

const VERSION: &str = "GNU Wget 1.21.3 built on linux-gnu.\n";

/// Reads the arguments.
pub(super) fn parse(args: &[String]) -> Result<Options, Stop> {
    let mut options = Options { tries: 20, wait_retry: 10, max_redirect: 20, ..Options::default() };
    // `-nv` is a letter that takes one.
    let args: Vec<String> =
        args.iter().map(|arg| if arg == "-nv" { "--no-verbose".to_owned() } else { arg.clone() }).collect();
    let parsed = getopt::parse(&args, "qO:ST:t:U:vVh4", LONG);
    for option in &parsed.options {
        options.take(&option.name, &option.value)?;
    }
    if let Some(error) = parsed.error {
        return Err(refusal(error));
    }
    options.urls = parsed.operands;
    if options.urls.is_empty() {
        return Err(Stop::Wrong("missing URL".to_owned(), true, 1));
    }
    Ok(options)
}

/// An option that is not known here.
fn refusal(error: String) -> Stop {
    let named = error.split('\'').nth(1).unwrap_or_default();
    let long = named.trim_start_matches("--").split('=').next().unwrap_or_default();
    let is_long =
        error.starts_with("unrecognized") && UNMODELLED.split_whitespace().any(|known| known == long);
    let is_short = error.starts_with("invalid option") && named.chars().all(|c| SHORT_UNMODELLED.contains(c));
    match (is_long, is_short) {
        (true, _) => Stop::NotModelled(format!("--{long}")),
        (_, true) => Stop::NotModelled(format!("-{named}")),
        _ => Stop::Wrong(error, true, 2),
    }
}

impl Options {
    fn take(&mut self, name: &str, value: &str) -> Result<(), Stop> {
        match name {
            "q" => self.verbosity = Verbosity::Quiet,
            "n" => self.verbosity = Verbosity::Terse,
            "v" => self.verbosity = Verbosity::Verbose,
            "O" => self.output = Some(value.to_owned()),
            "S" => self.server_response = true,
            "spider" => self.spider = true,
            "T" => {
                let period = period("timeout", value)?;
                (self.connect_timeout, self.read_timeout) = (period, period);
            }
            "connect-timeout" => self.connect_timeout = period(name, value)?,
            "read-timeout" => self.read_timeout = period(name, value)?,
            // As atoi(3) reads it.
            "t" => self.tries = number(value),
            "retry-connrefused" => self.retry_refused = true,
            "waitretry" => self.wait_retry = number(value),
            "max-redirect" => self.max_redirect = number(value),
            "header" => match value.split_once(':') {
                Some((name, value)) if !name.is_empty() => {
                    self.headers.push((name.to_owned(), value.trim().to_owned()));
                }
                _ => {
                    let text = format!("--header: Invalid header '{value}'.");
                    return Err(Stop::Wrong(text, false, 2));
                }
            },
            "U" => self.user_agent = Some(value.to_owned()),
            "method" => self.method = value.to_ascii_uppercase(),
            "body-data" => self.body = Some(value.as_bytes().to_vec()),
            "post-data" => {
                (self.method, self.body) = ("POST".to_owned(), Some(value.as_bytes().to_vec()));
            }
            "content-on-error" => self.content_on_error = true,
            "V" => return Err(Stop::Shown(VERSION)),
            "h" => return Err(Stop::NotModelled("--help".to_owned())),
            // What holds already: IPv4 only, no proxy, no TLS.
            _ => {}
        }
        Ok(())
    }
}

fn number(text: &str) -> u64 {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    text[..digits].parse().unwrap_or(0)
}

/// Seconds, or with a unit; 0: without end.
fn period(option: &str, text: &str) -> Result<Option<Nanos>, Stop> {
    let (figures, unit) = match text.char_indices().last() {
        Some((at, 's')) => (&text[..at], 1.0),
        Some((at, 'm')) => (&text[..at], 60.0),
        Some((at, 'h')) => (&text[..at], 3_600.0),
        Some((at, 'd')) => (&text[..at], 86_400.0),
        Some((at, 'w')) => (&text[..at], 604_800.0),
        _ => (text, 1.0),
    };
    let seconds = figures
        .parse::<f64>()
        .ok()
        .filter(|number| figures.starts_with(|c: char| c.is_ascii_digit()) && *number < 1e9);
    let Some(seconds) = seconds else {
        return Err(Stop::Wrong(format!("--{option}: Invalid time period '{text}'"), false, 2));
    };
    Ok((seconds > 0.0).then_some(Nanos((seconds * unit * 1e9) as u64)))
}
