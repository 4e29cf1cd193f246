//! Data goes from each end to the other (`_socat`).

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;

use super::end::{End, Ready};
use super::options::Options;
use super::{Fail, Log, Res, error};
use crate::process::{Process, ReadOr, Reading, Woken};

/// Where the buffer lies, as messages have it.
const BUFFER: &str = "0x555555560000";

/// One direction.
#[derive(Debug, Default)]
struct Way {
    /// Nothing more comes.
    eof: bool,
    /// It was read, and not written yet.
    pending: Vec<u8>,
}

/// Two ends.
pub struct Relay {
    ends: [End; 2],
    /// From each end to the other.
    ways: [Way; 2],
    started: bool,
    /// One direction has ended.
    closing: bool,
    /// When data moved last.
    active: Nanos,
}

impl Relay {
    /// Between two ends.
    pub fn new(left: End, right: End) -> Relay {
        Relay {
            ends: [left, right],
            ways: Default::default(),
            started: false,
            closing: false,
            active: Nanos::ZERO,
        }
    }

    fn waits_for_stdin(&self, world: &World) -> bool {
        let idle = |way: &Way| !way.eof && way.pending.is_empty();
        let waits = |at: usize| {
            self.ends[at].reads_stdin() && idle(&self.ways[at]) && self.ends[1 - at].writable()(world)
        };
        self.started && (0..2).any(waits)
    }

    /// What it waits for: an end is read when the other can be written to.
    fn conditions(&self, world: &World) -> Vec<Ready> {
        if let Some(end) = self.ends.iter().find(|end| end.connecting().is_some()) {
            return vec![end.writable()];
        }
        let wants = |at: usize| -> Option<Ready> {
            let (from, way) = (&self.ends[at], &self.ways[at]);
            let (readable, writable) = (from.readable(), self.ends[1 - at].writable());
            match way {
                Way { eof: true, .. } => None,
                way if !way.pending.is_empty() => Some(writable),
                // Standard input is read meanwhile.
                _ if from.reads_stdin() => (!writable(world)).then_some(writable),
                _ => Some(Box::new(move |world| readable(world) && writable(world))),
            }
        };
        (0..2).filter_map(wants).collect()
    }

    /// When it ends if nothing happens.
    fn deadline(&self, options: &Options) -> Option<Nanos> {
        let closing = self.closing.then_some(options.close_wait);
        closing.or(options.total).filter(|_| self.started).map(|time| self.active + time)
    }

    /// Does what can be done without waiting; a result is the end.
    fn step(
        &mut self,
        process: &mut Process,
        options: &Options,
        log: Log,
        input: &mut Option<Vec<u8>>,
    ) -> Option<Res> {
        for end in &mut self.ends {
            let Some(socket) = end.connecting() else { continue };
            if !end.writable()(&process.world()) {
                return None;
            }
            let done = socket.take_error().map_or(Ok(()), Err);
            if let Err(fail) = end.connected(process, log, done) {
                return Some(Err(fail));
            }
        }
        if !self.started {
            self.start(process, options, log);
        }
        for at in 0..2 {
            if let Err(fail) = self.transfer(process, at, options.block, log, input) {
                return Some(Err(fail));
            }
        }
        let late = self.deadline(options).is_some_and(|deadline| process.now() >= deadline);
        (late || self.ways.iter().all(|way| way.eof)).then_some(Ok(()))
    }

    fn start(&mut self, process: &mut Process, options: &Options, log: Log) {
        (self.started, self.active) = (true, process.now());
        self.ways[0].eof = options.right_to_left;
        self.ways[1].eof = options.left_to_right;
        let [left, right] = [0, 1].map(|at| format!("[{},{}]", self.ends[at].fds.0, self.ends[at].fds.1));
        log.notice(process, &format!("starting data transfer loop with FDs {left} and {right}"));
    }

    /// One block from an end to the other.
    fn transfer(
        &mut self,
        process: &mut Process,
        at: usize,
        block: usize,
        log: Log,
        input: &mut Option<Vec<u8>>,
    ) -> Res {
        if self.ways[at].eof || !self.ends[1 - at].writable()(&process.world()) {
            return Ok(());
        }
        if self.ways[at].pending.is_empty() {
            let fd = self.ends[at].fds.0;
            match self.ends[at].read(block, input) {
                Ok(None) => return Ok(()),
                Ok(Some(bytes)) if bytes.is_empty() => {
                    log.notice(process, &format!("socket {} (fd {fd}) is at EOF", at + 1));
                    (self.ways[at].eof, self.closing, self.active) = (true, true, process.now());
                    self.ends[1 - at].shutdown();
                    return Ok(());
                }
                Ok(Some(bytes)) => self.ways[at].pending = bytes,
                Err(errno) => {
                    return error(format!("read({fd}, {BUFFER}, {block}): {}", errno.strerror()));
                }
            }
        }
        self.active = process.now();
        let pending = std::mem::take(&mut self.ways[at].pending);
        match self.ends[1 - at].write(process, &pending) {
            Ok(taken) => self.ways[at].pending = pending[taken.min(pending.len())..].to_vec(),
            Err(Errno::EAGAIN) => self.ways[at].pending = pending,
            Err(errno) => {
                let (fd, len) = (self.ends[1 - at].fds.1, pending.len());
                return error(format!("write({fd}, {BUFFER}, {len}): {}", errno.strerror()));
            }
        }
        Ok(())
    }
}

/// All relays of the program: one, or one a child.
pub struct Relays<'o> {
    options: &'o Options,
    log: Log,
    relays: Vec<Relay>,
    /// What was read from standard input and nobody took yet.
    input: Option<Vec<u8>>,
}

impl<'o> Relays<'o> {
    /// None yet.
    pub fn new(options: &'o Options, log: Log) -> Relays<'o> {
        Relays { options, log, relays: Vec::new(), input: None }
    }

    /// One more.
    pub fn push(&mut self, process: &mut Process, mut relay: Relay) {
        if relay.ends.iter().all(|end| end.connecting().is_none()) {
            relay.start(process, self.options, self.log);
        }
        self.relays.push(relay);
    }

    /// Waits until one of them can go on, or another condition is met.
    pub async fn wait(
        &mut self,
        process: &mut Process,
        reading: &mut Option<Reading>,
        also: Option<Ready>,
    ) -> Woken<()> {
        let deadline = self.relays.iter().filter_map(|relay| relay.deadline(self.options)).min();
        let (conditions, wants_input) = {
            let world = process.world();
            let mut all: Vec<Ready> = self.relays.iter().flat_map(|relay| relay.conditions(&world)).collect();
            all.extend(also);
            (all, self.input.is_none() && self.relays.iter().any(|relay| relay.waits_for_stdin(&world)))
        };
        let reading = wants_input.then_some((reading, self.options.block));
        let ready = move |world: &mut World| conditions.iter().any(|ready| ready(world)).then_some(());
        match process.wait_or_read(deadline, reading, ready).await {
            Woken::Ready(ReadOr::Read(bytes)) => self.input = Some(bytes),
            Woken::Ready(ReadOr::Ready(())) | Woken::Elapsed => {}
            Woken::Signal(signal) => return Woken::Signal(signal),
        }
        Woken::Ready(())
    }

    /// Each does what it can; those that are children end by themselves.
    pub fn step(&mut self, process: &mut Process) {
        let (options, log, input) = (self.options, self.log, &mut self.input);
        self.relays.retain_mut(|relay| match relay.step(process, options, log, input) {
            None => true,
            Some(ended) => {
                match ended {
                    Ok(()) => log.notice(process, "exiting with status 0"),
                    Err(fail) => _ = log.failed(process, fail),
                }
                log.notice(process, "childdied(): handling signal 17");
                false
            }
        });
    }

    /// Runs until the only one ends.
    pub async fn run(mut self, process: &mut Process) -> Res {
        let mut reading = None;
        loop {
            if let Woken::Signal(signal) = self.wait(process, &mut reading, None).await {
                return Err(Fail::Signal(signal));
            }
            let (options, log, input) = (self.options, self.log, &mut self.input);
            if let Some(ended) =
                self.relays.first_mut().and_then(|relay| relay.step(process, options, log, input))
            {
                return ended;
            }
        }
    }
}
