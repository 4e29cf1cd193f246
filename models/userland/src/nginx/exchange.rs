//! What an upstream is asked, and what the client gets of its answer.

use std::sync::Arc;

use glassnet_kernel::netlink::Errno;
use glassnet_sim::Nanos;

use super::config::{Config, Pass};
use super::connection::{Place, head};
use super::http::Request;
use crate::process::Process;
use crate::sock::Sock;
use crate::stream::BUFSIZE;

/// How many headers an answer may have.
const MAX_HEADERS: usize = 64;

/// A request that an upstream is asked for.
pub(super) struct Exchange {
    pub(super) request: Request,
    pub(super) config: Arc<Config>,
    pub(super) place: Place,
    pub(super) pass: Pass,
    pub(super) tried: Vec<usize>,
    pub(super) peer: usize,
    pub(super) socket: Sock,
    pub(super) phase: Phase,
    pub(super) to_send: Vec<u8>,
    pub(super) received: Vec<u8>,
    /// The status of its answer.
    pub(super) status: u16,
    /// Bytes of the body so far, and how many it has.
    pub(super) body: (usize, Option<usize>),
    /// The client gets the body in chunks.
    pub(super) chunked: bool,
    /// The client's connection ends with the answer.
    pub(super) ends: bool,
    pub(super) deadline: Nanos,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Sending,
    Head,
    Body,
}

/// What became of asking an upstream.
pub(super) enum Step {
    Wait,
    /// The next server is asked: what went wrong, and the status if there is none.
    Failed(String, u16),
    /// The answer is complete, or cut short.
    Done,
}

/// A call of a socket failed.
fn failed(errno: Errno, call: &str, during: &str) -> Step {
    let text = format!("{call} failed ({}: {}) while {during}", errno.number(), errno.strerror());
    Step::Failed(text, 502)
}

impl Exchange {
    /// One step; what the client gets is appended.
    pub(super) fn step(&mut self, process: &Process, now: Nanos, client: &mut Vec<u8>) -> Step {
        let during = match self.phase {
            Phase::Connecting => "connecting to upstream",
            Phase::Sending => "sending request to upstream",
            Phase::Head => "reading response header from upstream",
            Phase::Body => "reading upstream",
        };
        if now >= self.deadline {
            if self.phase == Phase::Body {
                self.ends = true;
                return Step::Done;
            }
            let what = format!("upstream timed out (110: Connection timed out) while {during}");
            return Step::Failed(what, 504);
        }
        if self.phase == Phase::Connecting {
            let (world, machine) = (process.world(), process.machine);
            let is_up = crate::stream::writable(&world, machine, self.socket.id);
            drop(world);
            match self.socket.take_error() {
                Some(errno) => return failed(errno, "connect()", during),
                None if !is_up => return Step::Wait,
                None => self.phase = Phase::Sending,
            }
        }
        while self.phase == Phase::Sending {
            match self.socket.write(&self.to_send) {
                Ok(0) if !self.to_send.is_empty() => return Step::Wait,
                Ok(taken) => _ = self.to_send.drain(..taken),
                Err(errno) => return failed(errno, "send()", "sending request to upstream"),
            }
            if self.to_send.is_empty() {
                let timeout = self.place.settings(&self.config).read_timeout;
                (self.phase, self.deadline) = (Phase::Head, now + timeout);
            }
        }
        self.receive(process, now, client)
    }

    /// Reads as much of the answer as there is.
    fn receive(&mut self, process: &Process, now: Nanos, client: &mut Vec<u8>) -> Step {
        let during = "reading response header from upstream";
        let timeout = self.place.settings(&self.config).read_timeout;
        loop {
            let bytes = match self.socket.read(BUFSIZE) {
                Ok(None) => return Step::Wait,
                Ok(Some(bytes)) => bytes,
                Err(errno) if self.phase == Phase::Head => return failed(errno, "recv()", during),
                Err(_) => Vec::new(),
            };
            self.deadline = now + timeout;
            let ended = bytes.is_empty();
            match self.phase {
                Phase::Body => self.pass_on(&bytes, client),
                _ if ended => {
                    return Step::Failed(
                        format!("upstream prematurely closed connection while {during}"),
                        502,
                    );
                }
                _ => {
                    self.received.extend(bytes);
                    if self.take_head(process, client).is_err() {
                        return Step::Failed(format!("upstream sent invalid header while {during}"), 502);
                    }
                }
            }
            let whole = self.phase == Phase::Body && self.body.1.is_some_and(|length| self.body.0 >= length);
            if whole || ended {
                if self.chunked {
                    client.extend(b"0\r\n\r\n");
                }
                // If something is missing, the client notices by the connection's end.
                self.ends |= !whole && self.body.1.is_some();
                return Step::Done;
            }
        }
    }

    /// Takes the head of the answer, if it is there in full, and gives the client its own.
    fn take_head(&mut self, process: &Process, client: &mut Vec<u8>) -> Result<(), ()> {
        let received = std::mem::take(&mut self.received);
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut headers);
        let length = match parsed.parse(&received) {
            Ok(httparse::Status::Complete(length)) => length,
            Ok(httparse::Status::Partial) => {
                self.received = received;
                return Ok(());
            }
            Err(_) => return Err(()),
        };
        let (status, reason) = (parsed.code.unwrap_or(0), parsed.reason.unwrap_or_default().to_owned());
        let all: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|header| (header.name.to_owned(), String::from_utf8_lossy(header.value).into_owned()))
            .collect();
        let of = |name: &str| {
            all.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
        };
        let has_none = self.request.method == "HEAD" || matches!(status, 204 | 304);
        let announced = of("Content-Length").and_then(|length| length.parse::<usize>().ok());
        let in_chunks = of("Transfer-Encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        self.status = status;
        self.body.1 = if has_none { Some(0) } else { announced };
        self.chunked = self.body.1.is_none() && self.request.minor > 0 && !in_chunks;
        let keepalive = self.place.settings(&self.config).keepalive > Nanos::ZERO;
        let has_end = self.body.1.is_some() || self.request.minor > 0;
        self.ends = !(self.request.keeps_alive() && keepalive && has_end);
        let mut head = head(process, status, &reason);
        for name in ["Content-Type", "Content-Length"] {
            if let Some(value) = of(name) {
                head += &format!("{name}: {value}\r\n");
            }
        }
        if self.chunked || in_chunks {
            head += "Transfer-Encoding: chunked\r\n";
        }
        head += if self.ends { "Connection: close\r\n" } else { "Connection: keep-alive\r\n" };
        const NOT_PASSED: &[&str] = &[
            "server",
            "date",
            "content-type",
            "content-length",
            "connection",
            "keep-alive",
            "transfer-encoding",
        ];
        for (name, value) in
            all.iter().filter(|(name, _)| !NOT_PASSED.contains(&name.to_ascii_lowercase().as_str()))
        {
            head += &format!("{name}: {value}\r\n");
        }
        client.extend(format!("{head}\r\n").into_bytes());
        self.phase = Phase::Body;
        self.pass_on(&received[length..], client);
        Ok(())
    }

    /// Gives the client a part of the body.
    fn pass_on(&mut self, bytes: &[u8], client: &mut Vec<u8>) {
        let room = self.body.1.map_or(bytes.len(), |length| length - self.body.0.min(length));
        let part = &bytes[..bytes.len().min(room)];
        self.body.0 += part.len();
        if self.chunked && !part.is_empty() {
            client.extend(format!("{:x}\r\n", part.len()).into_bytes());
            client.extend(part);
            client.extend(b"\r\n");
        } else {
            client.extend(part);
        }
    }
}
