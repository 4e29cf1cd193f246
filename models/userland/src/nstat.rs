//! `nstat` of iproute2 6.1.0: counters of `/proc/net/snmp` and `/proc/net/netstat`, as increments since the last call.
//! The last values are in a history file, `/tmp/.nstat.u0` unless `NSTAT_HISTORY` is set.
//! Not modelled: the daemon of `-d`, so there is none to ask and the rates are 0; IPv6; `-r` empties the history where
//! the real one removes the file. A history never ages out, as all files are written since the machine booted.

use std::io;

use crate::getopt::{self, Long, Takes};
use crate::numbers::decimal;
use crate::process::{Process, Running, strerror};
use crate::procfs;
use crate::stop::{Done, Stop};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nstat(process).await.map_or_else(|stop| stop.say(process), |()| 0) })
}

const USAGE: &str = "Usage: nstat [OPTION] [ PATTERN [ PATTERN ] ]
   -h, --help          this message
   -a, --ignore        ignore history
   -d, --scan=SECS     sample every statistics every SECS
   -j, --json          format output in JSON
   -n, --nooutput      do history only
   -p, --pretty        pretty print
   -r, --reset         reset history
   -s, --noupdate      don't update history
   -t, --interval=SECS report average over the last SECS
   -V, --version       output version information
   -z, --zeros         show entries with zero activity
";

const LONG: &[Long] = &[
    ("help", Takes::Nothing, "h"),
    ("ignore", Takes::Nothing, "a"),
    ("scan", Takes::Value, "d"),
    ("nooutput", Takes::Nothing, "n"),
    ("json", Takes::Nothing, "j"),
    ("reset", Takes::Nothing, "r"),
    ("noupdate", Takes::Nothing, "s"),
    ("pretty", Takes::Nothing, "p"),
    ("interval", Takes::Value, "t"),
    ("version", Takes::Nothing, "V"),
    ("zeros", Takes::Nothing, "z"),
];

/// Entries that are not counters.
const USELESS: [&str; 7] = [
    "IpForwarding",
    "IpDefaultTTL",
    "TcpRtoAlgorithm",
    "TcpRtoMin",
    "TcpRtoMax",
    "TcpMaxConn",
    "TcpCurrEstab",
];

/// exit(-1).
const FAILED: i32 = 255;
/// exit(-2).
const BROKEN: i32 = 254;

#[derive(Default)]
struct Options {
    ignore_history: bool,
    no_output: bool,
    no_update: bool,
    reset_history: bool,
    zeros: bool,
    json: bool,
    pretty: bool,
    patterns: Vec<String>,
}

/// A counter and its value.
type Counter = (String, u64);

/// Content of the history file.
#[derive(Default)]
struct History {
    /// Source of the counters: what follows `#`.
    source: String,
    counters: Vec<Counter>,
}

async fn nstat(process: &mut Process) -> Done {
    let options = parse(process)?;
    let mut history = History::default();
    let file = process.env.get("NSTAT_HISTORY").map_or("/tmp/.nstat.u0", String::as_str);
    let file = process.path(file);
    if !options.ignore_history || !options.no_update {
        history = read_history(process, &file, options.reset_history).await?;
    }
    if !history.counters.is_empty() && !["", "kernel"].contains(&history.source.as_str()) {
        process.eprint("nstat: history is stale, ignoring it.\n");
        history = History::default();
    }
    if history.source.is_empty() {
        history.source = "kernel".to_owned();
    }
    let counters = counters(process);
    let now = |name: &String, value: u64| (name.clone(), value, "");
    if !options.no_output {
        let rows: Vec<_> = if options.ignore_history || history.counters.is_empty() {
            counters.iter().map(|(name, value)| now(name, *value)).collect()
        } else {
            counters.iter().map(|(name, value)| since(&history, name, *value)).collect()
        };
        let shown = rows.into_iter().filter(|row| options.matches(&row.0)).collect();
        let text = options.show(&history.source, shown, options.json);
        process.print(text);
    }
    if !options.no_update {
        // Counters that were not requested keep their history.
        let kept = |name: &String, value: u64| {
            let before = history.counters.iter().find(|before| before.0 == *name && !options.matches(name));
            now(name, before.map_or(value, |before| before.1))
        };
        let rows = counters.iter().filter(|(_, value)| options.zeros || *value != 0);
        let rows = rows.map(|(name, value)| kept(name, *value)).collect();
        let all = Options { zeros: true, ..Options::default() };
        let text = all.show(&history.source, rows, false);
        process.files.clone().write(&file, text.as_bytes()).await.map_err(|error| cannot_open(&error))?;
    }
    Ok(())
}

fn parse(process: &Process) -> Done<Options> {
    let parsed = getopt::parse(process.args(), "h?vVzrnasd:t:jp", LONG);
    let mut options = Options { patterns: parsed.operands, ..Options::default() };
    for option in &parsed.options {
        match option.name.as_str() {
            "a" => options.ignore_history = true,
            "n" => options.no_output = true,
            "s" => options.no_update = true,
            "r" => options.reset_history = true,
            "z" => options.zeros = true,
            "j" => options.json = true,
            "p" => options.pretty = true,
            "d" if leading_digits(&option.value) > 0 => {
                return Err(Stop::error(2, "not modelled yet: nstat -d\n"));
            }
            "d" => {}
            "t" if leading_digits(&option.value) == 0 => {
                return Err(Stop::error(FAILED, "nstat: invalid time constant divisor\n"));
            }
            // Averages are computed by the daemon.
            "t" => {}
            "v" | "V" => {
                let version = process.program.version;
                return Err(Stop::shown(format!("nstat utility, iproute2-{version}\n")));
            }
            _ => return Err(Stop::error(FAILED, USAGE)),
        }
    }
    match parsed.error {
        Some(error) => Err(Stop::error(FAILED, format!("nstat: {error}\n{USAGE}"))),
        None => Ok(options),
    }
}

/// The number at the start of a word, as atoi(3); 0 if negative.
fn leading_digits(word: &str) -> u32 {
    let word = word.trim_start();
    let digits = decimal(word.strip_prefix('+').unwrap_or(word));
    digits.and_then(|digits| u32::try_from(digits.value?).ok()).unwrap_or(0)
}

fn cannot_open(error: &io::Error) -> Stop {
    Stop::error(FAILED, format!("nstat: open history file: {}\n", strerror(error)))
}

/// Reads the history file, and creates it if there is none.
async fn read_history(process: &mut Process, file: &str, reset: bool) -> Done<History> {
    let files = process.files.clone();
    let there = files.read(file).await;
    let text = match there {
        Ok(bytes) if !reset => String::from_utf8_lossy(&bytes).into_owned(),
        Ok(_) => String::new(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(cannot_open(&error)),
    };
    if text.is_empty() {
        files.write(file, b"").await.map_err(|error| cannot_open(&error))?;
    }
    let mut history = History::default();
    for line in text.lines() {
        if let Some(source) = line.strip_prefix('#') {
            source.clone_into(&mut history.source);
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next().zip(words.next().and_then(|value| value.parse().ok())) {
            Some((name, value)) => history.counters.push((name.to_owned(), value)),
            None => return Err(Stop::error(BROKEN, "nstat.c:146: error parsing history file\n")),
        }
    }
    Ok(history)
}

/// The kernel's counters: pairs of lines with names and values.
fn counters(process: &Process) -> Vec<Counter> {
    let (world, mut counters) = (process.world(), Vec::new());
    for file in ["/proc/net/snmp", "/proc/net/netstat"] {
        let text = procfs::read(&world, process.caller(&world), file).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        for pair in lines.chunks_exact(2) {
            let Some((group, names)) = pair[0].split_once(": ") else { continue };
            let values = pair[1].split(' ').skip(1);
            let named = names.split(' ').zip(values).map(|(name, value)| (format!("{group}{name}"), value));
            let useful = named.filter(|(name, _)| !USELESS.contains(&name.as_str()));
            counters.extend(useful.map(|(name, value)| (name, value.parse().unwrap_or(0))));
        }
    }
    counters
}

/// Increment of a counter since the history; 0 if it decreased.
fn since(history: &History, name: &String, value: u64) -> (String, u64, &'static str) {
    let before = history.counters.iter().find(|before| before.0 == *name).map_or(0, |before| before.1);
    let overflow = if value < before { " (overflow)" } else { "" };
    (name.clone(), value.saturating_sub(before), overflow)
}

impl Options {
    /// A requested counter.
    fn matches(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let wanted = |pattern: &String| fnmatch(pattern.to_ascii_lowercase().as_bytes(), name.as_bytes());
        self.patterns.is_empty() || self.patterns.iter().any(wanted)
    }

    fn show(&self, source: &str, rows: Vec<(String, u64, &str)>, json: bool) -> String {
        let rows = rows.into_iter().filter(|row| self.zeros || row.1 != 0);
        if !json {
            let lines = rows.map(|(name, value, end)| format!("{name:<32}{value:<16}{:6.1}{end}\n", 0.0));
            return format!("#{source}\n{}", lines.collect::<String>());
        }
        let (newline, indent) = if self.pretty { ("\n", "    ") } else { ("", "") };
        let space = if self.pretty { " " } else { "" };
        let fields: Vec<String> = rows
            .map(|(name, value, _)| format!("{newline}{indent}{indent}\"{name}\":{space}{value}"))
            .collect();
        let end = if fields.is_empty() { String::new() } else { format!("{newline}{indent}") };
        format!("{{{newline}{indent}\"{source}\":{space}{{{}{end}}}{newline}}}\n", fields.join(","))
    }
}

/// fnmatch(3): `*`, `?`, bracket expressions, and `\` as escape.
fn fnmatch(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => (0..=text.len()).any(|at| fnmatch(rest, &text[at..])),
        ([b'?', rest @ ..], [_, text @ ..]) => fnmatch(rest, text),
        ([b'\\', plain, rest @ ..], [first, text @ ..]) => plain == first && fnmatch(rest, text),
        ([b'[', rest @ ..], [first, text @ ..]) => match set(rest, *first) {
            Some((is_in, rest)) => is_in && fnmatch(rest, text),
            None => *first == b'[' && fnmatch(rest, text),
        },
        ([plain, rest @ ..], [first, text @ ..]) => plain == first && fnmatch(rest, text),
        (_, []) => false,
    }
}

/// Whether a character is in the bracket expression at the start of a pattern, and the rest; `None` if unterminated.
fn set(pattern: &[u8], wanted: u8) -> Option<(bool, &[u8])> {
    let (not, pattern) = match pattern {
        [b'!' | b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    // A leading bracket is a member.
    let end = 1 + pattern.get(1..)?.iter().position(|byte| *byte == b']')?;
    let (mut members, mut is_in) = (&pattern[..end], false);
    while let [low, rest @ ..] = members {
        members = rest;
        let high = match rest {
            [b'-', high, rest @ ..] => {
                members = rest;
                high
            }
            _ => low,
        };
        is_in |= (*low..=*high).contains(&wanted);
    }
    Some((is_in != not, &pattern[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text, expected) in [
            ("ip*", "ipinreceives", true),
            ("ip", "ipinreceives", false),
            ("*opens", "tcpactiveopens", true),
            ("ipin?eceives", "ipinreceives", true),
            ("[iu]*", "udp", true),
            ("[!iu]*", "udp", false),
            ("[a-h]*", "udp", false),
            ("[]x]", "]", true),
            ("[x", "[x", true),
            ("\\*", "*", true),
            ("", "x", false),
        ] {
            assert_eq!(fnmatch(pattern.as_bytes(), text.as_bytes()), expected, "{pattern} {text}");
        }
    }
}
