//! Main loop of ping: sends probes, receives replies and errors, prints the summary.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::jiffies::wheel_expiry;
use glassnet_kernel::tables::socket::{Received, SockError};
use glassnet_sim::Nanos;

use super::options::Options;
use super::report;
use crate::hosts::Hosts;
use crate::process::{Process, Signal, Woken};
use crate::sock::{self, Sock};
use crate::tcpdump::print::checksum;

/// Minimum wait between probes while a reply is outstanding, ms.
const MIN_INTERVAL: i64 = 10;
/// Greater than any packet, bytes.
const LONGEST: usize = 66_000;
/// Size of `struct timeval` in a probe, bytes.
const TIMEVAL: usize = 16;

/// State of a running ping.
pub struct Engine {
    options: Options,
    to: Ipv4Addr,
    hostname: String,
    multicast: bool,
    socket: Sock,
    hosts: Hosts,
    ident: u16,
    data: Vec<u8>,
    interval: i64,
    started: Nanos,
    /// Due time of the last probe (`cur_time`).
    current: Option<Nanos>,
    tokens: i64,
    alarm: Option<Nanos>,
    exiting: bool,
    waiting_to_exit: bool,
    transmitted: i64,
    received: i64,
    repeats: i64,
    errors: i64,
    /// How often the device did not take a probe (`oom_count`).
    not_taken: i64,
    acknowledged: u16,
    pipe: i64,
    seen: BTreeSet<u16>,
    times: Times,
}

/// Round-trip times in microseconds.
#[derive(Default)]
struct Times {
    least: Option<i64>,
    most: i64,
    sum: i64,
    squares: f64,
    /// Eight times the moving average.
    smoothed: i64,
}

impl Engine {
    /// A ping that was not started.
    pub fn new(
        process: &Process,
        options: Options,
        to: Ipv4Addr,
        hostname: String,
        multicast: bool,
        socket: Sock,
        hosts: Hosts,
    ) -> Engine {
        let started = process.now();
        let ident = options.ident.unwrap_or_else(|| sock::random(process, 0x1_0000) as u16);
        let alarm = (options.deadline > 0).then(|| started + Nanos::from_secs(options.deadline));
        // The kernel refuses longer packets.
        let size = options.size.min(LONGEST);
        let data = match options.pattern.as_slice() {
            [] => (0..size).map(|at| at as u8).collect(),
            pattern => pattern.iter().copied().cycle().take(size).collect(),
        };
        Engine {
            interval: options.interval,
            options,
            to,
            hostname,
            multicast,
            socket,
            hosts,
            ident,
            data,
            started,
            current: None,
            tokens: 0,
            alarm,
            exiting: false,
            waiting_to_exit: false,
            transmitted: 0,
            received: 0,
            repeats: 0,
            errors: 0,
            not_taken: 0,
            acknowledged: 0,
            pipe: -1,
            seen: BTreeSet::new(),
            times: Times::default(),
        }
    }

    /// Runs to the end and gives the exit status.
    pub async fn run(mut self, process: &mut Process) -> i32 {
        process.signals.catch(Signal::INT);
        process.signals.catch(Signal::QUIT);
        while !self.done() {
            let next = loop {
                let next = self.pinger(process);
                let next = self.schedule_exit(process, next);
                if next > 0 {
                    break next;
                }
            };
            self.wait(process, next).await;
            self.take(process).await;
        }
        self.finish(process)
    }

    fn done(&self) -> bool {
        let enough = |count: u64| self.received + self.errors >= count as i64;
        self.exiting
            || self.options.count.is_some_and(enough)
            || (self.options.deadline > 0 && self.errors > 0)
    }

    /// Waits for a packet, at most `next` ms, and handles the alarm and signals.
    async fn wait(&mut self, process: &mut Process, next: i64) {
        let now = process.now();
        // `recvmsg` itself waits for a whole interval (SO_RCVTIMEO), until a slot of the timer wheel ends; `poll` for less.
        let whole = Nanos::from_millis(self.interval as u64);
        let receives = !self.options.flood && !self.options.adaptive && next >= self.interval;
        let due =
            if receives { wheel_expiry(now, now + whole) } else { now + Nanos::from_millis(next as u64) };
        let deadline = self.alarm.map_or(due, |alarm| alarm.min(due));
        match self.socket.wait(process, Some(deadline)).await {
            Woken::Signal(Signal::QUIT) => self.status(process),
            Woken::Signal(_) => self.exiting = true,
            Woken::Ready(()) | Woken::Elapsed => {}
        }
        if self.alarm.is_some_and(|alarm| process.now() >= alarm) {
            self.exiting = true;
        }
    }

    /// Sends a probe if one is due; returns the ms until the next may be sent (`pinger`).
    fn pinger(&mut self, process: &mut Process) -> i64 {
        let sent_all = self.options.count.is_some_and(|count| self.transmitted >= count as i64);
        if self.exiting || (sent_all && self.options.deadline == 0) {
            return 1000;
        }
        let now = process.now();
        match self.current {
            None => {
                self.current = Some(now);
                self.tokens = self.interval * (self.options.preload - 1);
            }
            Some(last) => {
                let mut tokens = elapsed_ms(last, now);
                if self.interval == 0 && tokens < MIN_INTERVAL && self.in_flight() >= self.options.preload {
                    return MIN_INTERVAL - tokens;
                }
                tokens = (tokens + self.tokens).min(self.interval * self.options.preload);
                if tokens < self.interval {
                    return self.interval - tokens;
                }
                self.current = Some(now);
                self.tokens = tokens - self.interval;
            }
        }
        if self.options.outstanding && self.transmitted > 0 && !self.seen.contains(&(self.transmitted as u16))
        {
            self.print_time(process);
            process.print(format!("no answer yet for icmp_seq={}\n", self.transmitted % 65_536));
        }
        self.probe(process)
    }

    fn probe(&mut self, process: &mut Process) -> i64 {
        let sequence = (self.transmitted + 1) as u16;
        self.seen.remove(&sequence);
        let packet = self.packet(process.now(), sequence);
        let outcome = self.socket.send_to(self.to, 0, &packet);
        if outcome == Err(Errno::ENOBUFS)
            && let Some(pause) = self.pause_before_retry()
        {
            return pause;
        }
        self.advance();
        match outcome {
            Ok(_) => {
                if !self.options.quiet && self.options.flood {
                    process.print(".");
                }
                self.interval - self.tokens
            }
            Err(errno) => {
                self.refused(process, errno);
                self.tokens = 0;
                self.interval.max(MIN_INTERVAL)
            }
        }
    }

    /// The device did not take the probe: tries again for as long as ping lingers, ms. None if that is over.
    fn pause_before_retry(&mut self) -> Option<i64> {
        self.tokens = 0;
        self.not_taken += 1;
        let pause = (self.interval / 2).clamp(MIN_INTERVAL, 500);
        (self.not_taken * pause < self.options.linger as i64).then_some(pause)
    }

    /// Sending failed. An error about an earlier probe is reported first.
    fn refused(&mut self, process: &mut Process, errno: Errno) {
        let prints = match self.socket.receive_error() {
            _ if errno == Errno::ENOBUFS => true,
            Some(error) => self.error(process, &error),
            None => false,
        };
        if prints && !self.options.quiet {
            match self.options.flood {
                true => process.print("E"),
                false => process.eprint(format!("ping: sendmsg: {}\n", errno.strerror())),
            }
        }
    }

    fn packet(&self, now: Nanos, sequence: u16) -> Vec<u8> {
        let mut packet = vec![8, 0, 0, 0];
        packet.extend(self.ident.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(&self.data);
        if self.timing() {
            let wall = sock::wall(now) / 1000;
            packet[8..16].copy_from_slice(&(wall / 1_000_000).to_le_bytes());
            packet[16..24].copy_from_slice(&(wall % 1_000_000).to_le_bytes());
        }
        let sum = checksum(&[&packet]);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    fn timing(&self) -> bool {
        self.options.size >= TIMEVAL
    }

    fn advance(&mut self) {
        self.transmitted += 1;
        // The 16-bit sequence number wrapped around.
        if i32::from(self.transmitted as u16) - i32::from(self.acknowledged) > 0x7fff {
            self.acknowledged = (self.transmitted as u16).wrapping_add(1);
        }
    }

    fn in_flight(&self) -> i64 {
        match (self.transmitted as u16).wrapping_sub(self.acknowledged) {
            few @ 0..=0x7fff => few.into(),
            _ => self.transmitted - self.received - self.errors,
        }
    }

    fn acknowledge(&mut self, sequence: u16) {
        let behind = (self.transmitted as u16).wrapping_sub(sequence);
        if behind <= 0x7fff {
            self.pipe = self.pipe.max(i64::from(behind) + 1);
            let newer = (sequence.wrapping_sub(self.acknowledged) as i16) > 0;
            if newer || i32::from(self.transmitted as u16) - i32::from(self.acknowledged) > 0x7fff {
                self.acknowledged = sequence;
            }
        }
    }

    /// After the last probe, sets the alarm that ends the wait for replies.
    fn schedule_exit(&mut self, process: &Process, next: i64) -> i64 {
        let sent_all = self.options.count.is_some_and(|count| self.transmitted >= count as i64);
        if !sent_all || self.options.deadline > 0 || self.waiting_to_exit {
            return next;
        }
        self.waiting_to_exit = true;
        let wait = match self.received {
            0 => self.options.linger as i64 * 1000,
            _ => (2 * self.times.most).max(1000 * self.interval),
        };
        if wait > 0 {
            self.alarm = Some(process.now() + Nanos::from_micros(wait as u64));
        }
        next.max(wait / 1000)
    }

    /// Handles received packets.
    async fn take(&mut self, process: &mut Process) {
        loop {
            match self.socket.receive() {
                Ok(Some(packet)) => {
                    if packet.from.0 == self.to {
                        self.learn(process, self.to).await;
                    }
                    self.reply(process, &packet);
                }
                outcome => match self.socket.receive_error() {
                    Some(error) => {
                        self.learn(process, error.offender).await;
                        self.error(process, &error);
                    }
                    None if outcome.is_ok() => return,
                    // The error queue is not empty.
                    None => continue,
                },
            }
            if self.in_flight() == 0 {
                return;
            }
        }
    }

    /// Asks for the name of an address that will be printed.
    async fn learn(&mut self, process: &mut Process, address: Ipv4Addr) {
        if !self.options.numeric && !self.options.quiet && !self.options.flood {
            // Without a name it is printed as a number.
            let _ = self.hosts.learn(process, address).await;
        }
    }

    fn reply(&mut self, process: &mut Process, packet: &Received) {
        let header = usize::from(packet.data.first().copied().unwrap_or(0) & 0xf) * 4;
        let Some(icmp) = packet.data.get(header..).filter(|icmp| icmp.len() >= 8) else { return };
        let from = packet.from.0;
        if icmp[0] == 0 {
            if u16::from_be_bytes([icmp[4], icmp[5]]) == self.ident {
                self.echo_reply(process, packet, icmp, from);
            }
            return;
        }
        // Redirects and source quench do not end a probe. Errors come through the error queue.
        if !matches!(icmp[0], 4 | 5) || self.options.quiet || self.options.flood {
            return;
        }
        let Some(sequence) = self.own_probe(&icmp[8..]) else { return };
        let info = u32::from_be_bytes([icmp[4], icmp[5], icmp[6], icmp[7]]);
        self.print_time(process);
        let from = report::address(&self.hosts, self.options.numeric, from);
        process.print(format!("From {from}: icmp_seq={sequence} {}", report::icmp(icmp[0], icmp[1], info)));
    }

    /// Sequence number of the probe quoted by an ICMP message, if it is of this ping.
    fn own_probe(&self, inner: &[u8]) -> Option<u16> {
        let header = usize::from(inner.first()? & 0xf) * 4;
        let to: [u8; 4] = inner.get(16..20)?.try_into().ok()?;
        let icmp = inner.get(header..header + 8)?;
        let ours = icmp[0] == 8 && Ipv4Addr::from(to) == self.to && icmp[4..6] == self.ident.to_be_bytes();
        ours.then(|| u16::from_be_bytes([icmp[6], icmp[7]]))
    }

    fn echo_reply(&mut self, process: &mut Process, packet: &Received, icmp: &[u8], from: Ipv4Addr) {
        let sequence = u16::from_be_bytes([icmp[6], icmp[7]]);
        self.received += 1;
        self.acknowledge(sequence);
        let trip = (self.timing() && icmp.len() >= 8 + TIMEVAL).then(|| self.trip(packet.at, icmp));
        let duplicate = !self.seen.insert(sequence);
        if duplicate {
            self.repeats += 1;
            self.received -= 1;
        }
        if self.options.quiet {
            return;
        }
        if self.options.flood {
            process.print("\x08 \x08");
            return;
        }
        self.print_time(process);
        let wrong = !self.options.broadcast && !self.multicast && from != self.to;
        let from = report::address(&self.hosts, self.options.numeric, from);
        let mut line = format!("{} bytes from {from}: icmp_seq={sequence}", icmp.len());
        if self.options.verbose {
            line += &format!(" ident={}", self.ident);
        }
        line += &format!(" ttl={}", packet.ttl);
        if icmp.len() < self.options.size + 8 {
            process.print(line + " (truncated)\n");
            return;
        }
        line += &trip.map(report::round_trip).unwrap_or_default();
        if duplicate && (!self.multicast || self.options.verbose) {
            line += " (DUP!)";
        }
        if wrong {
            line += " (DIFFERENT ADDRESS!)";
        }
        if self.options.audible {
            line += "\x07";
        }
        process.print(line + "\n");
    }

    /// Round-trip time in microseconds, from the time in the reply's data.
    fn trip(&mut self, at: Nanos, icmp: &[u8]) -> i64 {
        let word = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&icmp[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        let sent = word(8).wrapping_mul(1_000_000).wrapping_add(word(16));
        let trip = ((sock::wall(at) / 1000) as i64).wrapping_sub(sent).max(0);
        let times = &mut self.times;
        times.sum += trip;
        times.squares += (trip * trip) as f64;
        times.least = Some(times.least.map_or(trip, |least| least.min(trip)));
        times.most = times.most.max(trip);
        times.smoothed =
            if times.smoothed == 0 { trip * 8 } else { times.smoothed + trip - times.smoothed / 8 };
        if self.options.adaptive {
            let estimate = if times.smoothed != 0 { times.smoothed / 8 } else { self.interval * 1000 };
            self.interval = (estimate + 500) / 1000;
        }
        trip
    }

    /// Prints an error of the socket's queue; true for an ICMP error.
    fn error(&mut self, process: &mut Process, error: &SockError) -> bool {
        if !error.from_icmp {
            self.local_error(process, error);
            return false;
        }
        let Some(sequence) = self.failed_probe(error) else { return false };
        self.acknowledge(sequence);
        self.errors += 1;
        if self.options.quiet {
            return true;
        }
        if self.options.flood {
            process.print("\x08E");
            return true;
        }
        self.print_time(process);
        let from = report::address(&self.hosts, self.options.numeric, error.offender);
        let text = report::icmp(error.kind, error.code, error.info);
        process.print(format!("From {from} icmp_seq={sequence} {text}"));
        true
    }

    /// Sequence number of the probe that an error is about, if it is of this ping.
    fn failed_probe(&self, error: &SockError) -> Option<u16> {
        let icmp = error.data.get(..8)?;
        let ours = icmp[0] == 8 && icmp[4..6] == self.ident.to_be_bytes() && error.to.0 == self.to;
        ours.then(|| u16::from_be_bytes([icmp[6], icmp[7]]))
    }

    fn local_error(&mut self, process: &mut Process, error: &SockError) {
        if self.options.quiet {
            return;
        }
        self.errors += 1;
        match (self.options.flood, error.errno) {
            (true, _) => process.print("E"),
            (false, Errno::EMSGSIZE) => {
                process.eprint(format!("ping: local error: message too long, mtu={}\n", error.info));
            }
            (false, errno) => process.eprint(format!("ping: local error: {}\n", errno.strerror())),
        }
    }

    fn print_time(&self, process: &mut Process) {
        if self.options.time_of_day {
            let wall = sock::wall(process.now()) / 1000;
            process.print(format!("[{}.{:06}] ", wall / 1_000_000, wall % 1_000_000));
        }
    }

    /// SIGQUIT: prints a status line.
    fn status(&self, process: &mut Process) {
        let loss = (self.transmitted - self.received) * 100 / self.transmitted.max(1);
        let mut line = format!("\r{}/{} packets, {loss}% loss", self.received, self.transmitted);
        if self.received > 0 && self.timing() {
            let average = self.times.sum / (self.received + self.repeats);
            let numbers = [self.times.least.unwrap_or(0), average, self.times.smoothed / 8, self.times.most]
                .map(report::milliseconds);
            line += &format!(", min/avg/ewma/max = {} ms", numbers.join("/"));
        }
        process.eprint(line + "\n");
    }

    fn finish(&self, process: &mut Process) -> i32 {
        let span = self.current.map_or(Nanos::ZERO, |current| current.since(self.started));
        process.print(format!("\n--- {} ping statistics ---\n", self.hostname));
        let mut line = format!("{} packets transmitted, {} received", self.transmitted, self.received);
        if self.repeats > 0 {
            line += &format!(", +{} duplicates", self.repeats);
        }
        if self.errors > 0 {
            line += &format!(", +{} errors", self.errors);
        }
        if self.transmitted > 0 {
            let loss = ((self.transmitted - self.received) as f64 * 100.0) / self.transmitted as f64;
            line += &format!(
                ", {}% packet loss, time {}ms",
                report::percent(loss),
                (span.0 + 500_000) / 1_000_000
            );
        }
        process.print(format!("{line}\n{}\n", self.summary(span)));
        let missed = self.options.deadline > 0 && self.received < self.options.count.unwrap_or(0) as i64;
        i32::from(self.received == 0 || missed)
    }

    /// Last line: round-trip times, pipe size, and interval of a flood.
    fn summary(&self, span: Nanos) -> String {
        let mut parts = Vec::new();
        if self.received > 0 && self.timing() {
            let total = self.received + self.repeats;
            let average = self.times.sum / total;
            let variance = if self.times.sum < i64::from(i32::MAX) {
                (self.times.squares - (self.times.sum * self.times.sum / total) as f64) / total as f64
            } else {
                self.times.squares / total as f64 - (average * average) as f64
            };
            let deviation = (variance as i64).max(0).isqrt();
            let numbers = [self.times.least.unwrap_or(0), average, self.times.most, deviation];
            parts.push(format!("rtt min/avg/max/mdev = {} ms", numbers.map(report::milliseconds).join("/")));
        }
        if self.pipe > 1 {
            parts.push(format!("pipe {}", self.pipe));
        }
        let paced = self.interval == 0 || self.options.flood || self.options.adaptive;
        if self.received > 0 && paced && self.transmitted > 1 {
            let gap = (span.0 / 1000) as i64 / (self.transmitted - 1);
            let smoothed = report::milliseconds(self.times.smoothed / 8);
            parts.push(format!("ipg/ewma {}/{smoothed} ms", report::milliseconds(gap)));
        }
        parts.join(", ")
    }
}

/// Whole milliseconds between two times, rounded as in ping.
fn elapsed_ms(from: Nanos, to: Nanos) -> i64 {
    let part = |time: Nanos| ((time.0 / 1_000_000_000) as i64, (time.0 % 1_000_000_000) as i64);
    let ((from_s, from_ns), (to_s, to_ns)) = (part(from), part(to));
    (to_s - from_s) * 1000 + (to_ns - from_ns) / 1_000_000
}
