//! A connection of the HTTP server (HTTP/1.0): one request and its response.

use glassnet_sim::Nanos;

use crate::process::Process;
use crate::sock::Sock;
use crate::stream::BUFSIZE;

use super::pages::{self, error_page, guess_type, head, http_date, listing, log_date, phrase};

/// What CPython takes from the last byte of a response to the end of the connection; a client that knows the length of the
/// response has closed by then.
const FINISHING: Nanos = Nanos::from_micros(100);

/// The server's next step for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Wait for it.
    Wait,
    /// Done.
    Close,
}

/// State of a connection.
pub struct Connection {
    /// The socket.
    pub socket: Sock,
    received: Vec<u8>,
    /// Pending writes, in order.
    to_send: Vec<Vec<u8>>,
    answered: bool,
    /// When it is closed, once all is written.
    pub ends_at: Option<Nanos>,
}

/// A parsed request line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Request {
    line: String,
    command: String,
    path: String,
    /// HTTP/0.9: response without a head.
    bare: bool,
}

impl Connection {
    /// A newly accepted connection.
    pub fn new(socket: Sock) -> Connection {
        Connection { socket, received: Vec::new(), to_send: Vec::new(), answered: false, ends_at: None }
    }

    /// Pending writes wait for buffer space.
    pub fn is_writing(&self) -> bool {
        !self.to_send.is_empty()
    }

    /// Proceeds as far as possible without waiting.
    pub async fn advance(&mut self, process: &mut Process, root: &str) -> Next {
        if let Some(at) = self.ends_at {
            if process.now() < at {
                return Next::Wait;
            }
            return self.end();
        }
        while !self.answered {
            match self.socket.read(BUFSIZE) {
                Ok(Some(bytes)) if bytes.is_empty() => {
                    if self.received.contains(&b'\n') || self.received.is_empty() {
                        self.received.clear();
                    }
                    let rest = std::mem::take(&mut self.received);
                    if rest.is_empty() {
                        return Next::Close;
                    }
                    self.received = [rest, b"\n\n".to_vec()].concat();
                }
                Ok(Some(bytes)) => self.received.extend(bytes),
                Ok(None) => return Next::Wait,
                Err(_) => return Next::Close,
            }
            if let Some(head) = complete_head(&self.received) {
                self.answered = true;
                self.answer(process, root, &head).await;
            }
        }
        // Where computing takes no time, nobody else has a turn before the end.
        let computes = process.world().kernel(process.machine).config.exec_time > Nanos::ZERO;
        self.write(computes.then(|| process.now() + FINISHING))
    }

    /// Writes what is left; when all is written, the connection ends, at this time if there is one.
    fn write(&mut self, ends_at: Option<Nanos>) -> Next {
        while let Some(first) = self.to_send.first_mut() {
            match self.socket.write(first) {
                Ok(0) => return Next::Wait,
                Ok(taken) => {
                    first.drain(..taken);
                    if first.is_empty() {
                        self.to_send.remove(0);
                    }
                }
                Err(_) => return Next::Close,
            }
        }
        self.ends_at = ends_at;
        if ends_at.is_some() {
            return Next::Wait;
        }
        self.end()
    }

    fn end(&mut self) -> Next {
        _ = self.socket.shutdown(false, true);
        Next::Close
    }

    async fn answer(&mut self, process: &mut Process, root: &str, head: &str) {
        let Some(request) = parse_request(head) else { return };
        let request = match request {
            Ok(request) => request,
            Err((line, message, bare)) => {
                let request = Request { line, command: String::new(), path: String::new(), bare };
                return self.error(process, &request, 400, &message);
            }
        };
        match request.command.as_str() {
            "GET" | "HEAD" => self.send_file(process, root, &request).await,
            other => {
                let message = format!("Unsupported method ('{other}')");
                self.error(process, &request, 501, &message);
            }
        }
    }

    async fn send_file(&mut self, process: &mut Process, root: &str, request: &Request) {
        let path = translate_path(root, &request.path);
        let files = process.files.clone();
        let Ok(entries) = files.list(&path).await else {
            return self.send_content(process, request, &path).await;
        };
        let without_query = request.path.split(['?', '#']).next().unwrap_or("");
        if !without_query.ends_with('/') {
            let to = format!("{without_query}/{}", &request.path[without_query.len()..]);
            let extra = format!("Location: {to}\r\nContent-Length: 0\r\n");
            return self.respond(process, request, 301, &extra, Vec::new());
        }
        for index in ["index.html", "index.htm"] {
            if entries.iter().any(|entry| entry.0 == index && !entry.1) {
                let path = format!("{}/{index}", path.trim_end_matches('/'));
                return self.send_content(process, request, &path).await;
            }
        }
        let page = listing(&unquote(without_query), entries);
        let extra = format!("Content-type: text/html; charset=utf-8\r\nContent-Length: {}\r\n", page.len());
        self.respond(process, request, 200, &extra, page.into_bytes());
    }

    async fn send_content(&mut self, process: &mut Process, request: &Request, path: &str) {
        let files = process.files.clone();
        let read = if path.ends_with('/') { None } else { files.read(path).await.ok() };
        let Some(content) = read else { return self.error(process, request, 404, "File not found") };
        let extra = format!(
            "Content-type: {}\r\nContent-Length: {}\r\nLast-Modified: {}\r\n",
            guess_type(path),
            content.len(),
            http_date(pages::FILE_TIME)
        );
        self.respond(process, request, 200, &extra, content);
    }

    fn respond(&mut self, process: &mut Process, request: &Request, status: u16, extra: &str, body: Vec<u8>) {
        self.log(process, request, status);
        self.queue(process, request, &head(status, phrase(status), now(process)), extra, body);
    }

    fn error(&mut self, process: &mut Process, request: &Request, status: u16, message: &str) {
        self.say(process, &format!("code {status}, message {message}"));
        self.log(process, request, status);
        let page = error_page(status, message);
        let extra = format!(
            "Connection: close\r\nContent-Type: text/html;charset=utf-8\r\nContent-Length: {}\r\n",
            page.len()
        );
        let head = head(status, message, now(process));
        self.queue(process, request, &head, &extra, page.into_bytes());
    }

    /// Head and body are separate writes.
    fn queue(&mut self, _: &Process, request: &Request, head: &str, extra: &str, body: Vec<u8>) {
        if !request.bare {
            self.to_send.push(format!("{head}{extra}\r\n").into_bytes());
        }
        if request.command != "HEAD" && !body.is_empty() {
            self.to_send.push(body);
        }
    }

    fn log(&self, process: &mut Process, request: &Request, status: u16) {
        self.say(process, &format!("\"{}\" {status} -", request.line));
    }

    fn say(&self, process: &mut Process, text: &str) {
        let peer = self.socket.peer().map_or(String::new(), |peer| peer.0.to_string());
        let date = log_date(now(process));
        let shown: String = text.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        process.eprint(format!("{peer} - - [{date}] {shown}\n"));
    }
}

/// The time in seconds since 1970.
fn now(process: &Process) -> u64 {
    crate::sock::wall(process.now()) / 1_000_000_000
}

/// The complete head of a request: up to an empty line, or a single line without HTTP/1.x.
fn complete_head(received: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(received);
    let line = text.split_inclusive('\n').next().filter(|line| line.ends_with('\n'))?;
    if !matches!(parse_request(line), Some(Ok(Request { bare: false, .. }))) {
        return Some(line.to_owned());
    }
    (text.contains("\r\n\r\n") || text.contains("\n\n")).then(|| text.into_owned())
}

type Refusal = (String, String, bool);

/// Parses a request line; `None` for an empty line, which gets no response.
fn parse_request(head: &str) -> Option<Result<Request, Refusal>> {
    let line = head.lines().next().unwrap_or("").trim_end_matches(['\r', '\n']).to_owned();
    let words: Vec<&str> = line.split_whitespace().collect();
    let refuse = |message: String, bare: bool| Some(Err((line.clone(), message, bare)));
    let request =
        |bare| Request { line: line.clone(), command: words[0].to_owned(), path: words[1].to_owned(), bare };
    match words.as_slice() {
        [] => None,
        [_, _, .., version] => {
            let number = version.strip_prefix("HTTP/").and_then(|number| number.split_once('.'));
            let valid = number.is_some_and(|(major, minor)| {
                major.parse::<u8>().is_ok_and(|major| major < 2) && minor.parse::<u32>().is_ok()
            });
            match (valid, words.len()) {
                (false, _) => refuse(format!("Bad request version ('{version}')"), true),
                (true, 3) => Some(Ok(request(false))),
                (true, _) => refuse(format!("Bad request syntax ('{line}')"), false),
            }
        }
        ["GET", _] => Some(Ok(request(true))),
        [command, _] => refuse(format!("Bad HTTP/0.9 request type ('{command}')"), true),
        _ => refuse(format!("Bad request syntax ('{line}')"), true),
    }
}

fn unquote(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let code = text.get(at + 1..at + 3).and_then(|code| u8::from_str_radix(code, 16).ok());
        match (bytes[at], code) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                at += 3;
            }
            (byte, _) => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// The file of a URL path (`translate_path`); `..` cannot leave the root.
fn translate_path(root: &str, path: &str) -> String {
    let plain = unquote(path.split(['?', '#']).next().unwrap_or(""));
    let mut parts: Vec<&str> = Vec::new();
    for part in plain.split('/') {
        match part {
            "" | "." => {}
            ".." => _ = parts.pop(),
            name => parts.push(name),
        }
    }
    let slash = if plain.ends_with('/') && !parts.is_empty() { "/" } else { "" };
    format!("{}/{}{slash}", root.trim_end_matches('/'), parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_as_cpython_reads_them() {
        let refused = |line: &str| parse_request(line).unwrap().unwrap_err().1;
        assert_eq!(refused("hello\r\n"), "Bad request syntax ('hello')");
        assert_eq!(refused("GET / FOO/1\r\n"), "Bad request version ('FOO/1')");
        assert_eq!(refused("POST /\r\n"), "Bad HTTP/0.9 request type ('POST')");
        assert!(parse_request("\r\n").is_none());
        assert!(parse_request("GET /\r\n").unwrap().unwrap().bare);
        assert_eq!(complete_head(b"GET / HTTP/1.1\r\nHost: x\r\n"), None);
        assert!(complete_head(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").is_some());
        assert!(complete_head(b"GET /\r\n").is_some());
    }

    #[test]
    fn paths_stay_below_the_root() {
        assert_eq!(translate_path("/srv", "/a%20b/../../etc?x"), "/srv/etc");
        assert_eq!(translate_path("/srv", "/"), "/srv/");
        assert_eq!(translate_path("/", "/a/"), "/a/");
    }
}
