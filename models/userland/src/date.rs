//! `date` of coreutils 9.1, on virtual time and in UTC.

use chrono::{DateTime, Utc};
use glassnet_sim::Nanos;

use crate::process::{BOOT_TIME, Process, Running};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match line(process.args(), process.now()) {
            Ok(line) => {
                process.print(line);
                0
            }
            Err(message) => {
                process.eprint(format!("{message}Try 'date --help' for more information.\n"));
                1
            }
        }
    })
}

fn line(args: &[String], now: Nanos) -> Result<String, String> {
    let mut format = None;
    for arg in args {
        match arg.strip_prefix('+') {
            Some(text) => format = Some(text),
            None if matches!(arg.as_str(), "-u" | "--utc" | "--universal") => {}
            None if arg.starts_with('-') => return Err(format!("date: not modelled yet: {arg}\n")),
            None => return Err(format!("date: invalid date '{arg}'\n")),
        }
    }
    let nanos = now.0 + BOOT_TIME * 1_000_000_000;
    let time: DateTime<Utc> = DateTime::from_timestamp_nanos(nanos as i64);
    // `%N` is coreutils' own, with its first digits as `%3N`; chrono writes them as `%3f`.
    let mut format = format.unwrap_or("%a %b %e %H:%M:%S UTC %Y").replace("%N", "%9f");
    for digits in [3, 6, 9] {
        format = format.replace(&format!("%{digits}N"), &format!("%{digits}f"));
    }
    let items: Vec<_> = chrono::format::StrftimeItems::new(&format).collect();
    if items.contains(&chrono::format::Item::Error) {
        return Err(format!("date: not modelled yet: +{format}\n"));
    }
    Ok(format!("{}\n", time.format_with_items(items.iter())))
}

/// A point in time as logs have it, in UTC.
pub fn iso(now: Nanos) -> String {
    line(&["+%FT%TZ".to_owned()], now).unwrap_or_default().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats() {
        for (args, expected) in [
            (vec![], Ok("Tue Nov 14 22:13:21 UTC 2023\n")),
            (vec!["+%s.%N"], Ok("1700000001.500000000\n")),
            (vec!["-u", "+%s%3N %6N"], Ok("1700000001500 500000\n")),
            (vec!["-u", "+%F %T"], Ok("2023-11-14 22:13:21\n")),
            (vec!["x"], Err("date: invalid date 'x'\n")),
        ] {
            let args: Vec<String> = args.into_iter().map(str::to_string).collect();
            let line = line(&args, Nanos(1_500_000_000));
            assert_eq!(line.as_deref().map_err(String::as_str), expected);
        }
    }
}
