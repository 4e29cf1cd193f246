//! `timeout` of coreutils 9.1, on virtual time.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use glassnet_sim::Nanos;

use crate::process::{Process, Running, Signal, Signals, Woken};
use crate::sleep::parse_span;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(timeout(process))
}

const TRY: &str = "Try 'timeout --help' for more information.\n";

struct Options {
    signal: Signal,
    kill_after: Option<Nanos>,
    preserve_status: bool,
    span: Nanos,
    command: Vec<String>,
}

async fn timeout(process: &mut Process) -> i32 {
    let options = match parse(process.args()) {
        Ok(options) => options,
        Err(message) => {
            process.eprint(format!("{message}{TRY}"));
            return 125;
        }
    };
    let name = &options.command[0];
    if let Err(error) = process.find(name).await {
        process.eprint(format!("timeout: failed to run command '{name}': {error}\n"));
        return not_run(&error);
    }
    run(process, options).await
}

/// The exit status of a program whose command cannot be run, by the text of its error.
pub fn not_run(error: &str) -> i32 {
    if error == "Permission denied" { 126 } else { 127 }
}

/// Runs the command and sends the signal after the timeout.
async fn run(process: &mut Process, options: Options) -> i32 {
    process.signals.catch(Signal::TERM);
    process.signals.catch(Signal::INT);
    process.flush().await;
    let signals = Arc::new(Signals::default());
    let mut child = process.child(process.netns, options.command);
    child.signals = signals.clone();
    let shell = process.shell.clone();
    let mut running = shell.spawn(child);
    let deadline = (options.span > Nanos::ZERO).then(|| process.now() + options.span);
    let mut waiting = Box::pin(process.wait::<()>(deadline, |_| None));
    let first = poll_fn(|cx| {
        if let Poll::Ready(status) = running.as_mut().poll(cx) {
            return Poll::Ready(Ok(status));
        }
        waiting.as_mut().poll(cx).map(Err)
    })
    .await;
    drop(waiting);
    let timed_out = match first {
        Ok(status) => return status,
        Err(Woken::Signal(signal)) => {
            signals.send(signal);
            false
        }
        Err(_) => {
            signals.send(options.signal);
            true
        }
    };
    let killed_at = options.kill_after.map(|span| process.now() + span);
    let mut waiting = Box::pin(process.wait::<()>(killed_at, |_| None));
    let mut kill_waits = killed_at.is_some();
    let status = poll_fn(|cx| {
        if kill_waits && waiting.as_mut().poll(cx).is_ready() {
            kill_waits = false;
            signals.send(Signal::KILL);
        }
        running.as_mut().poll(cx)
    })
    .await;
    match timed_out && !options.preserve_status && status != Signal::KILL.exit_status() {
        true => 124,
        false => status,
    }
}

fn parse(args: &[String]) -> Result<Options, String> {
    let mut options = Options {
        signal: Signal::TERM,
        kill_after: None,
        preserve_status: false,
        span: Nanos::ZERO,
        command: vec![],
    };
    let mut args = args.iter();
    let duration = loop {
        let arg = args.next().ok_or("timeout: missing operand\n")?;
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with("--") => (name, Some(value.to_string())),
            _ if arg.starts_with("-s") && arg.len() > 2 => ("-s", Some(arg[2..].to_string())),
            _ if arg.starts_with("-k") && arg.len() > 2 => ("-k", Some(arg[2..].to_string())),
            _ => (arg.as_str(), None),
        };
        let mut value_of = |name: &str| {
            value.clone().or_else(|| args.next().cloned()).ok_or_else(|| {
                format!("timeout: option requires an argument -- '{}'\n", name.trim_start_matches('-'))
            })
        };
        match name {
            "-s" | "--signal" => {
                let text = value_of("s")?;
                options.signal =
                    Signal::parse(&text).ok_or_else(|| format!("timeout: '{text}': invalid signal\n"))?;
            }
            "-k" | "--kill-after" => {
                let text = value_of("k")?;
                let invalid = || format!("timeout: invalid time interval '{text}'\n");
                options.kill_after = Some(parse_span(&text).ok_or_else(invalid)?);
            }
            "--preserve-status" => options.preserve_status = true,
            "--foreground" | "-v" | "--verbose" => {
                return Err(format!("timeout: not modelled yet: {name}\n"));
            }
            _ if name.starts_with("--") && name.len() > 2 => {
                return Err(format!("timeout: unrecognized option '{name}'\n"));
            }
            _ if name.starts_with('-') && name.len() > 1 => {
                return Err(format!("timeout: invalid option -- '{}'\n", &name[1..2]));
            }
            _ => break arg,
        }
    };
    options.span =
        parse_span(duration).ok_or_else(|| format!("timeout: invalid time interval '{duration}'\n"))?;
    options.command = args.cloned().collect();
    match options.command.is_empty() {
        true => Err("timeout: missing operand\n".to_string()),
        false => Ok(options),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options() {
        let check = |args: &str| {
            let args: Vec<String> = args.split_whitespace().map(str::to_string).collect();
            parse(&args).map(|o| (o.signal, o.kill_after.map(|k| k.0), o.span.0, o.command.join(" ")))
        };
        let second = 1_000_000_000;
        assert_eq!(check("5 ping x"), Ok((Signal::TERM, None, 5 * second, "ping x".into())));
        assert_eq!(
            check("-s INT -k 2 1.5s a -b"),
            Ok((Signal::INT, Some(2 * second), 3 * second / 2, "a -b".into()))
        );
        assert_eq!(check("--signal=9 1 a"), Ok((Signal::KILL, None, second, "a".into())));
        assert_eq!(check("5"), Err("timeout: missing operand\n".into()));
        assert_eq!(check("x a"), Err("timeout: invalid time interval 'x'\n".into()));
        assert_eq!(check("-z 1 a"), Err("timeout: invalid option -- 'z'\n".into()));
    }
}
