//! The command line of ping.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::socket::PmtuDisc;

use crate::getopt::{self, Opt};
use crate::stop::{Done, Stop};

const SHORT: &str = "h?4bRT:6F:N:aABc:CdDe:fi:I:l:Lm:M:nOp:qQ:rs:S:t:UvVw:W:";

/// The largest number that C's `long` holds.
const LONG_MAX: i64 = i64::MAX;
/// The largest number that C's `int` holds.
const INT_MAX: i64 = i32::MAX as i64;

const USAGE: &str = "
Usage
  ping [options] <destination>

Options:
  <destination>      dns name or ip address
  -a                 use audible ping
  -A                 use adaptive ping
  -B                 sticky source address
  -c <count>         stop after <count> replies
  -C                 call connect() syscall on socket creation
  -D                 print timestamps
  -d                 use SO_DEBUG socket option
  -e <identifier>    define identifier for ping session, default is random for
                     SOCK_RAW and kernel defined for SOCK_DGRAM
                     Imply using SOCK_RAW (for IPv4 only for identifier 0)
  -f                 flood ping
  -h                 print help and exit
  -I <interface>     either interface name or address
  -i <interval>      seconds between sending each packet
  -L                 suppress loopback of multicast packets
  -l <preload>       send <preload> number of packages while waiting replies
  -m <mark>          tag the packets going out
  -M <pmtud opt>     define mtu discovery, can be one of <do|dont|want>
  -n                 no dns name resolution
  -O                 report outstanding replies
  -p <pattern>       contents of padding byte
  -q                 quiet output
  -Q <tclass>        use quality of service <tclass> bits
  -s <size>          use <size> as number of data bytes to be sent
  -S <size>          use <size> as SO_SNDBUF socket option value
  -t <ttl>           define time to live
  -U                 print user-to-user latency
  -v                 verbose output
  -V                 print version and exit
  -w <deadline>      reply wait <deadline> in seconds
  -W <timeout>       time to wait for response

IPv4 options:
  -4                 use IPv4
  -b                 allow pinging broadcast
  -R                 record route
  -T <timestamp>     define timestamp, can be one of <tsonly|tsandaddr|tsprespec>

IPv6 options:
  -6                 use IPv6
  -F <flowlabel>     define flow label, default is random
  -N <nodeinfo opt>  use icmp6 node info query, try <help> as argument

For more details see ping(8).
";

const VERSION: &str = "ping from iputils 20221126
libcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes
";

/// ping's `error()`.
pub fn error<T>(status: i32, text: &str) -> Done<T> {
    Err(Stop::error(status, format!("ping: {text}\n")))
}

/// Options.
#[derive(Debug, Clone)]
pub struct Options {
    /// `-4` was given.
    pub ipv4: bool,
    /// Destination.
    pub target: String,
    /// `-a`
    pub audible: bool,
    /// `-A`
    pub adaptive: bool,
    /// `-b`
    pub broadcast: bool,
    /// `-B`, and `-I` with an address.
    pub strict_source: bool,
    /// `-c`
    pub count: Option<u64>,
    /// `-D`
    pub time_of_day: bool,
    /// `-e`
    pub ident: Option<u16>,
    /// `-f`
    pub flood: bool,
    /// `-i`, in milliseconds.
    pub interval: i64,
    /// `-I` with a device.
    pub device: Option<String>,
    /// `-I` with an address.
    pub source: Ipv4Addr,
    /// `-l`, packets.
    pub preload: i64,
    /// `-L`
    pub no_loop: bool,
    /// `-m`
    pub mark: u32,
    /// `-r`: the destination must be on the link.
    pub dontroute: bool,
    /// `-M`
    pub pmtudisc: Option<PmtuDisc>,
    /// `-n`
    pub numeric: bool,
    /// `-O`
    pub outstanding: bool,
    /// `-p`
    pub pattern: Vec<u8>,
    /// `-q`
    pub quiet: bool,
    /// `-Q`
    pub tos: u8,
    /// `-s`, bytes.
    pub size: usize,
    /// `-S`, bytes.
    pub sndbuf: Option<u32>,
    /// `-t`, hops.
    pub ttl: Option<u8>,
    /// `-v`
    pub verbose: bool,
    /// `-w`, seconds.
    pub deadline: u64,
    /// `-W`, milliseconds.
    pub linger: u64,
    interval_given: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            ipv4: false,
            target: String::new(),
            audible: false,
            adaptive: false,
            broadcast: false,
            strict_source: false,
            count: None,
            time_of_day: false,
            ident: None,
            flood: false,
            interval: 1000,
            device: None,
            source: Ipv4Addr::UNSPECIFIED,
            preload: 1,
            no_loop: false,
            mark: 0,
            dontroute: false,
            pmtudisc: None,
            numeric: false,
            outstanding: false,
            pattern: Vec::new(),
            quiet: false,
            tos: 0,
            size: 56,
            sndbuf: None,
            ttl: None,
            verbose: false,
            deadline: 0,
            linger: 10_000,
            interval_given: false,
        }
    }
}

/// Parses the arguments; the text is warnings for standard error.
///
/// # Errors
///
/// Output of ping in the place of a run.
pub fn parse(args: &[String]) -> Done<(Options, String)> {
    let parsed = getopt::parse(args, SHORT, &[]);
    let mut options = Options::default();
    let mut warnings = String::new();
    for opt in &parsed.options {
        apply(&mut options, opt, &mut warnings)?;
    }
    if let Some(text) = parsed.error {
        return error(2, &format!("{text}\n{}", USAGE.trim_end_matches('\n')));
    }
    if options.flood && !options.interval_given {
        options.interval = 0;
    }
    match parsed.operands.as_slice() {
        [] => error(1, "usage error: Destination address required"),
        [target] => {
            options.target = target.clone();
            Ok((options, warnings))
        }
        _ => error(2, "not modelled yet: source route"),
    }
}

fn apply(options: &mut Options, opt: &Opt, warnings: &mut String) -> Done {
    let value = opt.value.as_str();
    match opt.name.as_str() {
        "4" => options.ipv4 = true,
        "6" if options.ipv4 => return error(2, "only one -4 or -6 option may be specified"),
        "a" => options.audible = true,
        "A" => options.adaptive = true,
        "b" => options.broadcast = true,
        "B" => options.strict_source = true,
        "c" => options.count = Some(integer(value, 1, LONG_MAX)? as u64),
        // No effect here: `connect` before the first packet, debugging, kernel time stamps.
        "C" | "d" | "U" => {}
        "D" => options.time_of_day = true,
        "e" => options.ident = Some(integer(value, 0, 0xffff)? as u16),
        "f" => (options.flood, options.numeric) = (true, true),
        "i" => {
            let seconds = seconds(value, warnings);
            if seconds > INT_MAX as f64 / 1000.0 || seconds < 0.0 {
                return error(2, &format!("bad timing interval: {value}"));
            }
            (options.interval, options.interval_given) = ((seconds * 1000.0) as i64, true);
        }
        "I" => match value.parse() {
            Ok(address) => (options.source, options.strict_source) = (address, true),
            Err(_) if value.contains(':') => return error(2, "not modelled yet: IPv6"),
            Err(_) => options.device = Some(value.to_owned()),
        },
        "l" => options.preload = integer(value, 1, 65_536)?,
        "L" => options.no_loop = true,
        "m" => options.mark = integer(value, 0, u32::MAX.into())? as u32,
        "M" => {
            options.pmtudisc = Some(match value {
                "do" => PmtuDisc::Do,
                "dont" => PmtuDisc::Dont,
                "want" => PmtuDisc::Want,
                _ => return error(2, &format!("invalid -M argument: {value}")),
            })
        }
        "n" => options.numeric = true,
        "O" => options.outstanding = true,
        "p" => options.pattern = pattern(value)?,
        "q" => options.quiet = true,
        "r" => options.dontroute = true,
        "Q" => options.tos = tos(value)?,
        "s" => options.size = integer(value, 0, INT_MAX)? as usize,
        "S" => options.sndbuf = Some(integer(value, 1, INT_MAX)? as u32),
        "t" => options.ttl = Some(integer(value, 0, 255)? as u8),
        "v" => options.verbose = true,
        "V" => return Err(Stop::shown(VERSION)),
        "w" => options.deadline = integer(value, 0, INT_MAX)? as u64,
        "W" => {
            let seconds = seconds(value, warnings);
            if !(0.0..=INT_MAX as f64 / 1000.0).contains(&seconds) {
                return error(2, &format!("bad linger time: {value}"));
            }
            options.linger = (seconds * 1000.0) as u64;
        }
        "T" if !["tsonly", "tsandaddr", "tsprespec"].contains(&value) => {
            return error(2, &format!("invalid timestamp type: {value}"));
        }
        "h" | "?" => return Err(Stop::error(2, USAGE)),
        other => return error(2, &format!("not modelled yet: -{other}")),
    }
    Ok(())
}

/// An integer in a range, with the error texts of iputils.
pub fn integer(text: &str, least: i64, most: i64) -> Done<i64> {
    let trimmed = text.trim_start();
    let digits = trimmed.strip_prefix(['-', '+']).unwrap_or(trimmed);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return error(1, &format!("invalid argument: '{text}'"));
    }
    match trimmed.parse::<i64>() {
        Ok(value) if (least..=most).contains(&value) => Ok(value),
        Ok(_) => error(1, &format!("invalid argument: '{text}': out of range: {least} <= value <= {most}")),
        Err(_) => error(1, &format!("invalid argument: '{text}': Numerical result out of range")),
    }
}

/// Seconds as C's `strtod`; trailing characters cause a warning.
fn seconds(text: &str, warnings: &mut String) -> f64 {
    let numeric = |end: &usize| text[..*end].trim_start().parse::<f64>().is_ok_and(f64::is_finite);
    let ends: Vec<usize> = (0..=text.len()).rev().filter(|end| text.is_char_boundary(*end)).collect();
    let end = ends.into_iter().find(numeric).unwrap_or(0);
    if end < text.len() {
        *warnings += &format!(
            "ping: option argument contains garbage: {}\nping: this will become fatal error in the future\n",
            &text[end..]
        );
    }
    text[..end].trim_start().parse().unwrap_or(0.0)
}

fn pattern(text: &str) -> Done<Vec<u8>> {
    if let Some(at) = text.find(|c: char| !c.is_ascii_hexdigit()) {
        return error(2, &format!("patterns must be specified as hex digits: {}", &text[at..]));
    }
    let pairs = text.as_bytes().chunks(2).take(16);
    let byte = |pair: &[u8]| {
        pair.iter().fold(0, |value, digit| value << 4 | char::from(*digit).to_digit(16).unwrap_or(0))
    };
    Ok(pairs.map(|pair| byte(pair) as u8).collect())
}

fn tos(text: &str) -> Done<u8> {
    let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(hex) => i64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    match number {
        Some(value) if value > 255 => {
            error(2, &format!("the decimal value of TOS bits must be in range 0-255: {value}"))
        }
        Some(value) => Ok(value as u8),
        None => error(2, &format!("bad TOS value: {text}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::getopt::words;

    fn check(line: &str, status: i32, text: &str) {
        let stop = parse(&words(line)).expect_err(line);
        assert_eq!((stop.status, stop.stderr.as_str()), (status, text), "{line}");
    }

    #[test]
    fn errors_as_ping_words_them() {
        check(
            "-s 40000000000 1.2.3.4",
            1,
            "ping: invalid argument: '40000000000': out of range: 0 <= value <= 2147483647\n",
        );
        check("-s x 1.2.3.4", 1, "ping: invalid argument: 'x'\n");
        check("-c 0 h", 1, "ping: invalid argument: '0': out of range: 1 <= value <= 9223372036854775807\n");
        check("-W -1 h", 2, "ping: bad linger time: -1\n");
        check("-M foo h", 2, "ping: invalid -M argument: foo\n");
        check("-p zz h", 2, "ping: patterns must be specified as hex digits: zz\n");
        check("-Q 300 h", 2, "ping: the decimal value of TOS bits must be in range 0-255: 300\n");
        check("-Q zz h", 2, "ping: bad TOS value: zz\n");
        check("-T foo h", 2, "ping: invalid timestamp type: foo\n");
        check("", 1, "ping: usage error: Destination address required\n");
        check("-4 -6 h", 2, "ping: only one -4 or -6 option may be specified\n");
        check("-z", 2, &format!("ping: invalid option -- 'z'\n{USAGE}"));
    }

    #[test]
    fn garbage_is_warned_of() {
        let (options, warnings) = parse(&words("-i x 1.2.3.4")).expect("runs");
        assert_eq!(options.interval, 0);
        assert_eq!(
            warnings,
            "ping: option argument contains garbage: x\nping: this will become fatal error in the future\n"
        );
        let (options, warnings) = parse(&words("-i 0.25 1.2.3.4")).expect("runs");
        assert_eq!((options.interval, warnings.as_str()), (250, ""));
    }
}
