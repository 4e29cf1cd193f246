//! Signals, and those of a process.

use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use crate::process::remember;

/// A signal by its Linux number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal(pub u8);

impl Signal {
    /// Ctrl-C.
    pub const INT: Signal = Signal(2);
    /// The terminal was closed; daemons read their configuration again.
    pub const HUP: Signal = Signal(1);
    /// Ctrl-\.
    pub const QUIT: Signal = Signal(3);
    /// Cannot be caught.
    pub const KILL: Signal = Signal(9);
    /// Write to a pipe without reader.
    pub const PIPE: Signal = Signal(13);
    /// Default of `kill`.
    pub const TERM: Signal = Signal(15);

    /// A signal by name, with or without `SIG`, or by number.
    pub fn parse(text: &str) -> Option<Signal> {
        const NAMES: [(&str, u8); 14] = [
            ("HUP", 1),
            ("INT", 2),
            ("QUIT", 3),
            ("KILL", 9),
            ("USR1", 10),
            ("USR2", 12),
            ("PIPE", 13),
            ("ALRM", 14),
            ("TERM", 15),
            ("CONT", 18),
            ("STOP", 19),
            ("TSTP", 20),
            ("TTIN", 21),
            ("TTOU", 22),
        ];
        if let Ok(number) = text.parse::<u8>() {
            return (1..65).contains(&number).then_some(Signal(number));
        }
        let upper = text.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| Signal(*number))
    }

    /// It stops a program, or lets a stopped one go on: `CONT`, `STOP`, `TSTP`, `TTIN`, `TTOU`.
    pub fn stops_or_continues(self) -> bool {
        (18..=22).contains(&self.0)
    }

    /// The shell's exit status for a program killed by the signal.
    pub fn exit_status(self) -> i32 {
        128 + i32::from(self.0)
    }
}

#[derive(Default)]
struct SignalState {
    pending: Vec<Signal>,
    caught: Vec<Signal>,
    wakers: Vec<Waker>,
}

/// Signals of a process.
#[derive(Default)]
pub struct Signals {
    state: Mutex<SignalState>,
}

impl Signals {
    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Delivers a signal.
    pub fn send(&self, signal: Signal) {
        let wakers = {
            let mut state = self.lock();
            state.pending.push(signal);
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// The program handles this signal in its waits and is not killed by it.
    pub fn catch(&self, signal: Signal) {
        if signal != Signal::KILL {
            self.lock().caught.push(signal);
        }
    }

    /// The first signal that kills the program; registers the waker if there is none.
    pub fn fatal(&self, waker: &Waker) -> Option<Signal> {
        let mut state = self.lock();
        let fatal = state.pending.iter().copied().find(|signal| !state.caught.contains(signal));
        if fatal.is_none() {
            remember(&mut state.wakers, waker);
        }
        fatal
    }

    /// Takes the next signal that the program handles, or registers the waker.
    pub(crate) fn take_caught(&self, waker: &Waker) -> Option<Signal> {
        let mut state = self.lock();
        let at = state.pending.iter().position(|signal| state.caught.contains(signal));
        if at.is_none() {
            remember(&mut state.wakers, waker);
        }
        at.map(|at| state.pending.remove(at))
    }
}
