//! HTTP as health checks speak it: requests without bodies, and answers as Go's server writes them.

use glassnet_sim::Nanos;
use glassnet_userland::sock::Sock;

use super::Ready;
use crate::kube_proxy::health::Answer;
use crate::store::wall_clock;

/// Most that is read at once, bytes.
const BLOCK: usize = 4_096;
/// The longest head of a request, bytes (`DefaultMaxHeaderBytes`, and what is read beyond).
const LONGEST: usize = (1 << 20) + 4_096;
/// Most headers that a request may have here.
const HEADERS: usize = 100;

/// A request, as far as it matters.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    path: String,
    is_head: bool,
    version: u8,
    /// The connection ends with the answer.
    closes: bool,
}

/// What was received so far.
#[derive(Debug, PartialEq, Eq)]
enum Parsed {
    Partial,
    /// A request and its length.
    Whole(Request, usize),
    /// No request; the status line's end says why.
    Wrong(&'static str),
}

/// A client's connection.
pub(super) struct Connection {
    socket: Sock,
    received: Vec<u8>,
    to_send: Vec<u8>,
    closes: bool,
}

impl Connection {
    /// One that was accepted.
    pub(super) fn new(socket: Sock) -> Connection {
        Connection { socket, received: Vec::new(), to_send: Vec::new(), closes: false }
    }

    /// Does what can be done without waiting; `answer` says what is at a path. False: it is over.
    pub(super) fn step(&mut self, now: Nanos, answer: impl Fn(&str) -> Answer) -> bool {
        loop {
            while !self.to_send.is_empty() {
                match self.socket.write(&self.to_send) {
                    Ok(0) => return true,
                    Ok(taken) => drop(self.to_send.drain(..taken)),
                    Err(glassnet_kernel::netlink::Errno::EAGAIN) => return true,
                    Err(_) => return false,
                }
            }
            if self.closes {
                return false;
            }
            match parse(&self.received) {
                Parsed::Partial => match self.socket.read(BLOCK) {
                    Ok(None) => return true,
                    Ok(Some(bytes)) if !bytes.is_empty() => self.received.extend(bytes),
                    _ => return false,
                },
                Parsed::Whole(request, length) => {
                    self.received.drain(..length);
                    self.closes = request.closes;
                    self.to_send = response(&request, &answer(&request.path), now);
                }
                Parsed::Wrong(status) => {
                    self.closes = true;
                    let head = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n";
                    self.to_send = format!("HTTP/1.1 {status}\r\n{head}{status}").into_bytes();
                }
            }
        }
    }

    /// What it waits for.
    pub(super) fn condition(&self) -> Ready {
        match self.to_send.is_empty() {
            true => Box::new(self.socket.readable()),
            false => Box::new(self.socket.writable()),
        }
    }
}

fn parse(received: &[u8]) -> Parsed {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(received) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) if received.len() < LONGEST => return Parsed::Partial,
        Ok(httparse::Status::Partial) | Err(httparse::Error::TooManyHeaders) => {
            return Parsed::Wrong("431 Request Header Fields Too Large");
        }
        Err(_) => return Parsed::Wrong("400 Bad Request"),
    };
    let header = |name: &str| {
        let mut all = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        all.find_map(|header| std::str::from_utf8(header.value).ok())
    };
    let version = request.version.unwrap_or(1);
    if version == 1 && header("host").is_none() {
        return Parsed::Wrong("400 Bad Request: missing required Host header");
    }
    let asks = |what: &str| header("connection").is_some_and(|value| value.eq_ignore_ascii_case(what));
    // A body is of no use here, and not read.
    let has_body =
        header("content-length").is_some_and(|length| length != "0") || header("transfer-encoding").is_some();
    let target = request.path.unwrap_or_default();
    let whole = Request {
        path: target.split(['?', '#']).next().unwrap_or_default().to_owned(),
        is_head: request.method == Some("HEAD"),
        version,
        closes: asks("close") || has_body || version == 0 && !asks("keep-alive"),
    };
    Parsed::Whole(whole, length)
}

fn response(request: &Request, answer: &Answer, now: Nanos) -> Vec<u8> {
    let reason = match answer.status {
        200 => "OK",
        404 => "Not Found",
        _ => "Service Unavailable",
    };
    let mut text = format!("HTTP/1.{} {} {reason}\r\n", request.version, answer.status);
    for (name, value) in &answer.headers {
        text += &format!("{name}: {value}\r\n");
    }
    let date = wall_clock(now).0.strftime("%a, %d %b %Y %H:%M:%S GMT");
    text += &format!("Date: {date}\r\nContent-Length: {}\r\n", answer.body.len());
    if request.closes && request.version == 1 {
        text += "Connection: close\r\n";
    }
    text += "\r\n";
    if !request.is_head {
        text += &answer.body;
    }
    text.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> Request {
        match parse(text.as_bytes()) {
            Parsed::Whole(request, length) if length == text.len() => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_are_read() {
        let request = whole("GET /healthz?verbose HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!((request.path.as_str(), request.closes, request.is_head), ("/healthz", false, false));
        assert!(whole("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: Close\r\n\r\n").is_head);
        assert!(whole("GET / HTTP/1.0\r\n\r\n").closes);
        assert!(!whole("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").closes);
        assert!(whole("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n").closes);
        assert_eq!(parse(b"GET / HTTP/1.1\r\nHost:"), Parsed::Partial);
        assert_eq!(parse(b"hello\r\n\r\n"), Parsed::Wrong("400 Bad Request"));
        let wrong = Parsed::Wrong("400 Bad Request: missing required Host header");
        assert_eq!(parse(b"GET / HTTP/1.1\r\n\r\n"), wrong);
        let long = [b"GET / HTTP/1.1\r\nA: ".as_slice(), &vec![b'a'; LONGEST]].concat();
        assert_eq!(parse(&long), Parsed::Wrong("431 Request Header Fields Too Large"));
    }

    #[test]
    fn answers_are_written_as_go_writes_them() {
        let answer = Answer {
            status: 503,
            headers: vec![("Content-Type", "application/json".to_owned())],
            body: "{}".to_owned(),
        };
        let mut request = whole("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        let text = |request: &Request| String::from_utf8(response(request, &answer, Nanos::ZERO)).unwrap();
        let head = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n\
                    Date: Tue, 14 Nov 2023 22:13:20 GMT\r\nContent-Length: 2\r\n";
        assert_eq!(text(&request), format!("{head}\r\n{{}}"));
        (request.closes, request.is_head) = (true, true);
        assert_eq!(text(&request), format!("{head}Connection: close\r\n\r\n"));
    }
}
