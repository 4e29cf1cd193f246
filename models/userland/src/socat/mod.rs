//! `socat` 1.7.4.4: two addresses, and bytes or packets from each to the other.
//!
//! | module | owns |
//! |---|---|
//! | [`options`] | the command line |
//! | [`address`] | what an address and its options say |
//! | [`open`] | opens an address |
//! | [`end`] | reads and writes what is open |
//! | [`relay`] | carries data between two ends |
//!
//! A forked child is a relay of the same process, with its number, and ends with it. Not modelled: IPv6, host names, files, programs, pipes, UNIX sockets, TLS,
//! SCTP, proxies, terminals, and `-d` more than twice; known addresses and options are refused by name.

mod address;
mod end;
mod open;
mod options;
mod relay;

use chrono::{DateTime, Utc};

use crate::process::{Process, Running, Signal, Woken};
use crate::sock;
use crate::stop::Stop;
use address::Address;
use open::{Listener, Opened};
use options::Options;
use relay::{Relay, Relays};

/// Why socat ends early.
#[derive(Debug)]
pub enum Fail {
    /// An error of the real program.
    Error(String),
    /// The program can that, and the model cannot.
    NotModelled(String),
    /// A signal that it handles.
    Signal(Signal),
    /// Help was asked for.
    Help,
}

/// Result of a step.
pub type Res<T = ()> = Result<T, Fail>;

/// An error of the real program.
fn error<T>(text: impl Into<String>) -> Res<T> {
    Err(Fail::Error(text.into()))
}

/// What the model cannot.
fn not_modelled<T>(what: impl Into<String>) -> Res<T> {
    Err(Fail::NotModelled(what.into()))
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let options = match options::parse(process.args()) {
            Ok(options) => options,
            Err(fail) => return Log { level: 0 }.failed(process, fail),
        };
        let log = Log { level: options.level };
        for signal in [Signal::INT, Signal::TERM, Signal::QUIT] {
            process.signals.catch(signal);
        }
        match socat(process, &options).await {
            Ok(()) => {
                log.notice(process, "exiting with status 0");
                0
            }
            Err(fail) => log.failed(process, fail),
        }
    })
}

/// Writes messages of the levels that were asked for.
#[derive(Clone, Copy)]
pub struct Log {
    level: u32,
}

impl Log {
    fn write(self, process: &mut Process, letter: char, text: &str) {
        let time: DateTime<Utc> = DateTime::from_timestamp_nanos(sock::wall(process.now()) as i64);
        let pid = process.pid;
        process.eprint(format!("{} socat[{pid}] {letter} {text}\n", time.format("%Y/%m/%d %H:%M:%S")));
    }

    /// With `-d -d`.
    pub fn notice(self, process: &mut Process, text: &str) {
        if self.level > 1 {
            self.write(process, 'N', text);
        }
    }

    /// With `-d`.
    pub fn warning(self, process: &mut Process, text: &str) {
        if self.level > 0 {
            self.write(process, 'W', text);
        }
    }

    /// Says why it ends; returns the exit status.
    pub fn failed(self, process: &mut Process, fail: Fail) -> i32 {
        match fail {
            Fail::Error(text) => {
                self.write(process, 'E', &text);
                self.notice(process, "exit(1)");
                1
            }
            Fail::NotModelled(what) => {
                Stop::error(1, format!("not modelled yet: socat {what}\n")).say(process)
            }
            Fail::Signal(Signal(number)) => {
                self.notice(process, &format!("socat_signal(): handling signal {number}"));
                self.warning(process, &format!("exiting on signal {number}"));
                self.notice(process, &format!("socat_signal(): finishing signal {number}"));
                let status = 128 + i32::from(number);
                self.notice(process, &format!("exit({status})"));
                status
            }
            Fail::Help => Stop::shown(include_str!("help.txt")).say(process),
        }
    }
}

async fn socat(process: &mut Process, options: &Options) -> Res {
    let [left, right] = &options.addresses;
    let (left, right) = (Address::parse(left)?, Address::parse(right)?);
    if right.forks() {
        return not_modelled("… fork of the second address");
    }
    let log = Log { level: options.level };
    let (left_use, right_use) = options.uses();
    let mut fds = open::Fds::default();
    match open::open(process, log, &left, left_use, &mut fds).await? {
        Opened::End(left) => {
            let right = open::second(process, log, &right, right_use, &mut fds).await?;
            let mut relays = Relays::new(options, log);
            relays.push(process, Relay::new(left, right));
            relays.run(process).await
        }
        Opened::Listener(listener) => serve(process, options, listener, (&right, right_use)).await,
    }
}

/// Accepts for ever, and relays what was accepted.
async fn serve(
    process: &mut Process,
    options: &Options,
    mut listener: Listener,
    (right, right_use): (&Address, open::Use),
) -> Res {
    let log = Log { level: options.level };
    let mut relays = Relays::new(options, log);
    loop {
        listener.announce(process, log);
        loop {
            let mut reading = None;
            let woken = relays.wait(process, &mut reading, Some(listener.readable())).await;
            if let Woken::Signal(signal) = woken {
                return Err(Fail::Signal(signal));
            }
            relays.step(process);
            if listener.has_one(process) {
                break;
            }
        }
        let Some(left) = listener.accept(process, log)? else { continue };
        let mut fds = open::Fds::of(&left);
        let number = process.pid;
        log.notice(process, &format!("forked off child process {number}"));
        // The child closes the descriptor that listens, and opens the other address there.
        match open::start(process, log, right, right_use, &mut fds) {
            Ok(right) => relays.push(process, Relay::new(left, right)),
            Err(Fail::Error(text)) => _ = log.failed(process, Fail::Error(text)),
            Err(fail) => return Err(fail),
        }
    }
}
