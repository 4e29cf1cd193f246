//! `dmesg` of util-linux 2.38.1: the kernel log.

use std::fmt::Write;

use chrono::{DateTime, Utc};
use glassnet_kernel::tables::klog::KernelLine;

use crate::getopt::{self, Long, Opt, Takes};
use crate::process::{BOOT_TIME, Process, Running};

/// Names of the levels, by number.
const LEVELS: [&str; 8] = ["emerg", "alert", "crit", "err", "warn", "notice", "info", "debug"];
/// Names of the facilities; the model uses only the first.
const FACILITIES: [&str; 12] =
    ["kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp"];
const LONG: &[Long] = &[
    ("clear", Takes::Nothing, "C"),
    ("read-clear", Takes::Nothing, "c"),
    ("console-off", Takes::Nothing, "D"),
    ("show-delta", Takes::Nothing, "d"),
    ("console-on", Takes::Nothing, "E"),
    ("reltime", Takes::Nothing, "e"),
    ("facility", Takes::Value, "f"),
    ("file", Takes::Value, "F"),
    ("human", Takes::Nothing, "H"),
    ("json", Takes::Nothing, "J"),
    ("kernel", Takes::Nothing, "k"),
    ("color", Takes::Nothing, "L"),
    ("level", Takes::Value, "l"),
    ("console-level", Takes::Value, "n"),
    ("noescape", Takes::Nothing, "noescape"),
    ("nopager", Takes::Nothing, "P"),
    ("force-prefix", Takes::Nothing, "p"),
    ("raw", Takes::Nothing, "r"),
    ("syslog", Takes::Nothing, "S"),
    ("buffer-size", Takes::Value, "s"),
    ("since", Takes::Value, "since"),
    ("until", Takes::Value, "until"),
    ("ctime", Takes::Nothing, "T"),
    ("time-format", Takes::Value, "time-format"),
    ("notime", Takes::Nothing, "t"),
    ("userspace", Takes::Nothing, "u"),
    ("follow", Takes::Nothing, "w"),
    ("follow-new", Takes::Nothing, "W"),
    ("decode", Takes::Nothing, "x"),
    ("help", Takes::Nothing, "h"),
    ("version", Takes::Nothing, "V"),
];
const SHORT: &str = "CcDdEeF:f:HhJkLl:n:iPprSs:TtuVWwx";

/// Format of time stamps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Time {
    #[default]
    Seconds,
    Date,
    None,
}

/// What the options say.
#[derive(Clone, Debug, Default)]
struct Options {
    /// Bit mask of levels; 0: all.
    levels: u8,
    /// Without lines of the kernel.
    no_kernel: bool,
    time: Time,
    raw: bool,
    decode: bool,
    clear: bool,
    print: bool,
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let parsed = getopt::parse(process.args(), SHORT, LONG);
        let error = parsed.error.map(|error| format!("{error}\nTry 'dmesg --help' for more information."));
        let bad_usage = !parsed.operands.is_empty();
        let options = match error {
            Some(error) => Err(error),
            None => read(&parsed.options),
        };
        match options {
            Err(error) => {
                process.eprint(format!("dmesg: {error}\n"));
                1
            }
            Ok(None) => {
                process.print("dmesg from util-linux 2.38.1\n");
                0
            }
            Ok(Some(_)) if bad_usage => {
                process.eprint("dmesg: bad usage\nTry 'dmesg --help' for more information.\n");
                1
            }
            Ok(Some(options)) => {
                let text = process.syscall(|cx| {
                    let text = show(&options, cx.k.log.lines());
                    if options.clear {
                        cx.k.log.clear();
                    }
                    text
                });
                process.print(text);
                0
            }
        }
    })
}

/// `None`: `--version`.
fn read(given: &[Opt]) -> Result<Option<Options>, String> {
    let mut options = Options { print: true, ..Options::default() };
    exclusive(given, &[("T", "ctime"), ("t", "notime"), ("r", "raw")], |a, b| a != "r" && b != "r")?;
    exclusive(given, &[("C", "clear"), ("c", "read-clear"), ("r", "raw")], |_, _| false)?;
    for option in given {
        match option.name.as_str() {
            "C" => (options.clear, options.print) = (true, false),
            "c" => options.clear = true,
            "k" => {}
            "l" => options.levels = levels(&option.value)?,
            "f" => options.no_kernel = !has_kernel(&option.value)?,
            "u" => options.no_kernel = true,
            "r" => options.raw = true,
            "T" => options.time = Time::Date,
            "t" => options.time = Time::None,
            "x" => options.decode = true,
            // No effect: no pager, and no long lines.
            "P" | "S" => {}
            "V" => return Ok(None),
            name if name.len() == 1 => return Err(format!("not modelled yet: -{name}")),
            name => return Err(format!("not modelled yet: --{name}")),
        }
    }
    Ok(Some(options))
}

/// Refuses two of these options together, with util-linux's message, apart from allowed pairs.
fn exclusive(
    given: &[Opt],
    names: &[(&str, &str)],
    allowed: impl Fn(&str, &str) -> bool,
) -> Result<(), String> {
    let is_given = |name: &str| given.iter().any(|option| option.name == name);
    let found: Vec<_> = names.iter().filter(|name| is_given(name.0)).collect();
    match found[..] {
        [a, b, ..] if !allowed(a.0, b.0) => {
            let (mut first, mut second) = (a.1, b.1);
            if (a.0, b.0) == ("t", "r") {
                (first, second) = (b.1, a.1);
            }
            Err(format!("mutually exclusive arguments: --{first} --{second}"))
        }
        _ => Ok(()),
    }
}

fn levels(text: &str) -> Result<u8, String> {
    let mut bits = 0;
    for name in text.split(',') {
        let level = LEVELS.iter().position(|level| *level == name);
        bits |= 1 << level.ok_or_else(|| format!("unknown level '{name}'"))?;
    }
    Ok(bits)
}

fn has_kernel(text: &str) -> Result<bool, String> {
    let mut found = false;
    for name in text.split(',') {
        if !FACILITIES.contains(&name) {
            return Err(format!("unknown facility '{name}'"));
        }
        found |= name == "kern";
    }
    Ok(found)
}

fn show<'a>(options: &Options, lines: impl Iterator<Item = &'a KernelLine>) -> String {
    let mut out = String::new();
    let wanted = |line: &&KernelLine| options.levels == 0 || options.levels & (1 << line.level) != 0;
    for line in lines.filter(wanted).filter(|_| options.print && !options.no_kernel) {
        let stamp = format!("{:>5}.{:06}", line.at.0 / 1_000_000_000, line.at.0 / 1000 % 1_000_000);
        if options.raw {
            let _ = writeln!(out, "<{}>[{stamp}] {}", line.level, line.text);
            continue;
        }
        if options.decode {
            let _ = write!(out, "kern  :{:<6}: ", LEVELS[usize::from(line.level & 7)]);
        }
        let _ = match options.time {
            Time::None => Ok(()),
            Time::Seconds => write!(out, "[{stamp}] "),
            Time::Date => {
                let nanos = line.at.0 + BOOT_TIME * 1_000_000_000;
                let time: DateTime<Utc> = DateTime::from_timestamp_nanos(nanos as i64);
                write!(out, "[{}] ", time.format("%a %b %e %H:%M:%S %Y"))
            }
        };
        let _ = writeln!(out, "{}", line.text);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use glassnet_sim::Nanos;

    fn options(line: &str) -> Result<Options, String> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let parsed = getopt::parse(&args, SHORT, LONG);
        assert_eq!(parsed.error, None);
        read(&parsed.options).map(|options| options.expect("not the version"))
    }

    #[test]
    fn lines_as_util_linux_shows_them() {
        let line = |at, level, text: &str| KernelLine { at: Nanos(at), level, text: text.to_owned() };
        let lines = [line(12_345_678_901, 4, "IN=eth0 OUT= "), line(14_306_005_612_000, 6, "x")];
        for (args, expected) in [
            ("", "[   12.345678] IN=eth0 OUT= \n[14306.005612] x\n"),
            ("-t", "IN=eth0 OUT= \nx\n"),
            ("-l warn,err", "[   12.345678] IN=eth0 OUT= \n"),
            ("-x --level info", "kern  :info  : [14306.005612] x\n"),
            ("-tx -l warn", "kern  :warn  : IN=eth0 OUT= \n"),
            ("-r", "<4>[   12.345678] IN=eth0 OUT= \n<6>[14306.005612] x\n"),
            ("-T -l info", "[Wed Nov 15 02:11:46 2023] x\n"),
            ("-u", ""),
            ("-C", ""),
        ] {
            assert_eq!(show(&options(args).expect(args), lines.iter()), expected, "{args}");
        }
    }

    #[test]
    fn what_is_wrong_or_missing_is_said() {
        for (args, expected) in [
            ("-l foo", "unknown level 'foo'"),
            ("-f foo", "unknown facility 'foo'"),
            ("-w", "not modelled yet: -w"),
            ("--since x", "not modelled yet: --since"),
            ("-T -r", "mutually exclusive arguments: --ctime --raw"),
            ("-r -t", "mutually exclusive arguments: --raw --notime"),
        ] {
            assert_eq!(options(args).expect_err(args), expected);
        }
    }
}
