//! A transfer: name lookup, connection, request, response, redirects.

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::Keepalive;
use glassnet_sim::Nanos;

use super::heading;
use super::meter::Meter;
use super::options::Options;
use super::response::{Progress, Response};
use super::url::Url;
use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Woken};
use crate::resolver::Family;
use crate::sock::{Sock, addresses, device};
use crate::stream::BUFSIZE;

/// Default of `--max-redirs`.
const MAX_REDIRS: u64 = 50;
/// Default of `--connect-timeout`, ms.
const CONNECT_TIMEOUT: u64 = 300_000;

/// A URL, and the file that it goes to.
pub struct Target {
    /// The URL.
    pub url: Url,
    /// `-o`; none: standard output.
    pub file: Option<String>,
}

/// An error: exit status and message.
type Failure = (i32, String);

/// Result of a transfer.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Exit status.
    pub code: i32,
    /// Error message.
    pub message: String,
    /// Output: the body, with `-i` and `-I` the heads.
    pub output: Vec<u8>,
    /// `-o`.
    pub file: Option<String>,
    /// Redirects are followed, so their bodies are discarded.
    follows: bool,
    method: String,
    url: String,
    response: Response,
    ends: Option<((Ipv4Addr, u16), (Ipv4Addr, u16))>,
    connects: u64,
    redirects: u64,
    redirect_url: String,
    head_bytes: u64,
    request_bytes: u64,
    sent_bytes: u64,
    began: Nanos,
    named: Nanos,
    connected: Nanos,
    requested: Nanos,
    answered: Nanos,
    redirected: Nanos,
    ended: Nanos,
}

impl Done {
    /// The value of a variable of `-w`.
    pub fn variable(&self, name: &str, asked: &str, at: usize) -> Option<String> {
        let span = |until: Nanos| {
            let micros = if until == Nanos::ZERO { 0 } else { until.since(self.began).0 / 1_000 };
            format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000)
        };
        let total = self.ended.since(self.began).0 / 1_000;
        let speed = |bytes: u64| (bytes * 1_000_000).checked_div(total).unwrap_or(0).to_string();
        let ends = self.ends;
        let end = |end: Option<(Ipv4Addr, u16)>| {
            end.map_or((String::new(), "0".to_owned()), |(ip, port)| (ip.to_string(), port.to_string()))
        };
        let (remote, local) = (end(ends.map(|ends| ends.0)), end(ends.map(|ends| ends.1)));
        Some(match name {
            "http_code" | "response_code" => format!("{:03}", self.response.status),
            "size_download" => self.response.body.len().to_string(),
            "size_upload" => self.sent_bytes.to_string(),
            "size_header" => self.head_bytes.to_string(),
            "size_request" => self.request_bytes.to_string(),
            "remote_ip" => remote.0,
            "remote_port" => remote.1,
            "local_ip" => local.0,
            "local_port" => local.1,
            "num_connects" => self.connects.to_string(),
            "num_redirects" => self.redirects.to_string(),
            "num_headers" => {
                self.response.head.split(|byte| *byte == b'\n').count().saturating_sub(3).to_string()
            }
            "redirect_url" => self.redirect_url.clone(),
            "url_effective" => self.url.clone(),
            "url" => asked.to_owned(),
            "urlnum" => at.to_string(),
            "content_type" => self.response.header("Content-Type").unwrap_or_default(),
            "method" => self.method.clone(),
            "scheme" => if ends.is_some() { "HTTP" } else { "" }.to_owned(),
            "http_version" => match (self.response.status, self.response.minor) {
                (0, _) => "0".to_owned(),
                (_, 0) => "1".to_owned(),
                _ => "1.1".to_owned(),
            },
            "exitcode" => self.code.to_string(),
            "errormsg" => self.message.clone(),
            "filename_effective" => self.file.clone().unwrap_or_default(),
            "speed_download" => speed(self.response.body.len() as u64),
            "speed_upload" => speed(self.sent_bytes),
            "time_namelookup" => span(self.named),
            "time_connect" => span(self.connected),
            "time_pretransfer" => span(self.requested),
            "time_starttransfer" => span(self.answered),
            "time_redirect" => span(self.redirected),
            "time_appconnect" => span(Nanos::ZERO),
            "time_total" => span(self.ended),
            "ssl_verify_result" => "0".to_owned(),
            _ => return None,
        })
    }
}

/// After how long a silence curl asks whether the server is there, seconds.
const KEEPALIVE_SECS: u32 = 60;

/// State shared by the transfers of a command.
pub struct Session {
    hosts: Hosts,
    /// Resolved names, with port.
    known: Vec<(String, u16, Ipv4Addr)>,
    connections: usize,
    body: Option<Vec<u8>>,
}

/// A request in progress.
struct Attempt<'o> {
    options: &'o Options,
    deadline: Option<Nanos>,
    method: String,
    with_body: bool,
    http10: bool,
}

impl Session {
    /// Reads `/etc/hosts` and `--resolve`.
    pub async fn new(process: &mut Process, options: &Options, body: Option<Vec<u8>>) -> Session {
        let hosts = Hosts::read(process).await;
        for (host, port, address) in &options.resolve {
            say(process, options, &format!("Added {host}:{port}:{address} to DNS cache"));
        }
        Session { hosts, known: options.resolve.clone(), connections: 0, body }
    }

    /// Transfers a URL, following redirects if asked to.
    pub async fn fetch(&mut self, process: &mut Process, options: &Options, target: Target) -> Done {
        let follows = options.location;
        let mut done = Done { file: target.file, began: process.now(), follows, ..Done::default() };
        if let Some(heading) = heading(process, options, done.file.as_deref()) {
            process.eprint(format!("{heading}\r{}", Meter::default().line()));
        }
        let method = match (&options.request, options.head, &self.body) {
            (Some(request), ..) => request.clone(),
            (None, true, _) => "HEAD".to_owned(),
            (None, false, Some(_)) => "POST".to_owned(),
            (None, false, None) => "GET".to_owned(),
        };
        let mut attempt = Attempt {
            options,
            deadline: options.max_time.map(|millis| done.began + Nanos::from_millis(millis)),
            method,
            with_body: self.body.is_some(),
            http10: options.http10,
        };
        let mut url = target.url;
        let outcome = loop {
            done.url = url.to_string();
            done.method = attempt.method.clone();
            done.response = Response::default();
            if let Err(failure) = self.once(process, &mut attempt, &url, &mut done).await {
                break Err(failure);
            }
            match self.next(process, &mut attempt, &url, &mut done) {
                Ok(Some(next)) => url = next,
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
        };
        done.ended = process.now();
        if let Err((code, message)) = outcome {
            (done.code, done.message) = (code, message);
        }
        done
    }

    /// Target of a redirect, if it is to be followed.
    fn next(
        &mut self,
        process: &mut Process,
        attempt: &mut Attempt<'_>,
        url: &Url,
        done: &mut Done,
    ) -> Result<Option<Url>, Failure> {
        let location =
            done.response.header("Location").filter(|_| (300..400).contains(&done.response.status));
        let Some(location) = location else { return Ok(None) };
        let next = url.join(&location)?;
        if !attempt.options.location {
            done.redirect_url = next.to_string();
            return Ok(None);
        }
        let most = attempt.options.max_redirs.unwrap_or(MAX_REDIRS);
        if done.redirects >= most {
            return Err((47, format!("Maximum ({most}) redirects followed")));
        }
        done.redirects += 1;
        done.redirected = process.now();
        if next.port != url.port {
            let (from, to) = (url.port, next.port);
            say(process, attempt.options, &format!("Clear auth, redirects to port from {from} to {to}"));
        }
        say(process, attempt.options, &format!("Issue another request to this URL: '{next}'"));
        if attempt.with_body && matches!(done.response.status, 301..=303) && attempt.options.request.is_none()
        {
            say(process, attempt.options, &format!("Switch from {} to GET", attempt.method));
            (attempt.method, attempt.with_body) = ("GET".to_owned(), false);
        }
        attempt.http10 |= done.response.minor == 0 && next.host == url.host;
        Ok(Some(next))
    }

    /// One connection, one request, one response.
    async fn once(
        &mut self,
        process: &mut Process,
        attempt: &mut Attempt<'_>,
        url: &Url,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let options = attempt.options;
        let address = self.resolve(process, options, url).await?;
        done.named = process.now();
        let number = self.connections;
        self.connections += 1;
        let socket = match connect(process, attempt, url, address, done).await {
            Ok(socket) => socket,
            Err(failure) => {
                draw(process, options, done);
                let shown = match failure.0 {
                    // A bind error is reported as a connect error.
                    45 => format!(
                        "Failed to connect to {} port {} after 0 ms: Failed binding local connection end",
                        url.host, url.port
                    ),
                    _ => failure.1.clone(),
                };
                say(process, options, &shown);
                say(process, options, &format!("Closing connection {number}"));
                return Err(failure);
            }
        };
        (done.connected, done.connects) = (process.now(), done.connects + 1);
        done.ends = Some(((address, url.port), socket.local()));
        say(
            process,
            options,
            &format!("Connected to {} ({address}) port {} (#{number})", url.host, url.port),
        );
        let result = self.exchange(process, attempt, url, &socket, done).await;
        draw(process, options, done);
        match &result {
            Err(failure) => {
                say(process, options, &failure.1);
                say(process, options, &format!("Closing connection {number}"));
            }
            Ok(()) if done.response.keeps_alive() => {
                say(process, options, &format!("Connection #{number} to host {} left intact", url.host));
            }
            Ok(()) => say(process, options, &format!("Closing connection {number}")),
        }
        result
    }

    async fn resolve(
        &mut self,
        process: &mut Process,
        options: &Options,
        url: &Url,
    ) -> Result<Ipv4Addr, Failure> {
        let known = self.known.iter().find(|(host, port, _)| (host, *port) == (&url.host, url.port));
        if let Some((host, _, address)) = known {
            let address = *address;
            say(process, options, &format!("Hostname {host} was found in DNS cache"));
            return Ok(address);
        }
        let family = if options.ipv4 { Family::Ipv4 } else { Family::Any };
        let found = match inet_aton(&url.host) {
            Some(address) => Some(address),
            None => {
                let found = self.hosts.look_up(process, &url.host, family).await;
                found.ok().map(|found| found.addresses[0])
            }
        };
        let Some(address) = found else {
            let failure = (6, format!("Could not resolve host: {}", url.host));
            say(process, options, &failure.1);
            return Err(failure);
        };
        self.known.push((url.host.clone(), url.port, address));
        Ok(address)
    }

    async fn exchange(
        &self,
        process: &mut Process,
        attempt: &Attempt<'_>,
        url: &Url,
        socket: &Sock,
        done: &mut Done,
    ) -> Result<(), Failure> {
        let options = attempt.options;
        let body = self.body.as_deref().filter(|_| attempt.with_body);
        let head = request_head(attempt, url, body);
        done.requested = process.now();
        done.request_bytes += head.len() as u64;
        for line in head.trim_end_matches("\r\n").split("\r\n") {
            note(process, options, &format!("> {line}"));
        }
        note(process, options, "> ");
        let message = [head.as_bytes(), body.unwrap_or(&[])].concat();
        match socket.write_all(process, &message, attempt.deadline).await {
            Woken::Ready(Ok(())) => {}
            Woken::Ready(Err(errno)) => return Err((55, format!("Send failure: {}", errno.strerror()))),
            Woken::Elapsed | Woken::Signal(_) => return Err(out_of_time(process, done)),
        }
        if let Some(body) = body {
            done.request_bytes += body.len() as u64;
            done.sent_bytes += body.len() as u64;
            note(process, options, &format!("}} [{} bytes data]", body.len()));
        }
        receive(process, attempt, socket, done).await
    }
}

/// Reads the response to its end.
async fn receive(
    process: &mut Process,
    attempt: &Attempt<'_>,
    socket: &Sock,
    done: &mut Done,
) -> Result<(), Failure> {
    let options = attempt.options;
    let bodyless = attempt.method == "HEAD" || options.head;
    loop {
        let bytes = match socket.read(BUFSIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => match socket.wait(process, attempt.deadline).await {
                Woken::Ready(()) => continue,
                Woken::Elapsed | Woken::Signal(_) => return Err(out_of_time(process, done)),
            },
            Err(errno) => return Err((56, format!("Recv failure: {}", errno.strerror()))),
        };
        if bytes.is_empty() {
            return ended(done);
        }
        if done.answered == Nanos::ZERO || !done.response.has_head() {
            done.answered = process.now();
        }
        let (had_head, before) = (done.response.has_head(), done.response.body_wire);
        let progress = done.response.feed(&bytes, bodyless);
        if !had_head && done.response.has_head() {
            took_head(process, options, done)?;
        }
        let more = done.response.body_wire - before;
        if more > 0 {
            note(process, options, &format!("{{ [{more} bytes data]"));
        }
        match progress {
            Progress::More => {}
            Progress::Complete => return ended(done),
            Progress::NotHttp if options.http09 => {
                return Err((1, "not modelled yet: HTTP/0.9".to_owned()));
            }
            Progress::NotHttp => return Err((1, "Received HTTP/0.9 when not allowed".to_owned())),
            Progress::BadChunk => {
                return Err((56, "Malformed encoding found in chunked-encoding".to_owned()));
            }
        }
    }
}

/// Handles a complete head: prints it and checks the status.
fn took_head(process: &mut Process, options: &Options, done: &mut Done) -> Result<(), Failure> {
    let head = String::from_utf8_lossy(&done.response.head).into_owned();
    done.head_bytes += done.response.head.len() as u64;
    let status = done.response.status;
    let refused = options.fail && status >= 400;
    if done.response.minor == 0 {
        say(process, options, "HTTP 1.0, assume close after body");
    }
    for line in head.trim_end_matches("\r\n").split("\r\n") {
        note(process, options, &format!("< {line}"));
    }
    if refused {
        done.response.body.clear();
        return Err((22, format!("The requested URL returned error: {status}")));
    }
    if done.response.has_no_end() {
        say(process, options, "no chunk, no close, no size. Assume close to signal end");
    }
    note(process, options, "< ");
    let redirect = (300..400).contains(&status) && done.response.header("Location").is_some();
    if options.location && redirect && done.response.length() != Some(0) {
        say(process, options, "Ignoring the response-body");
    }
    if options.include || options.head {
        done.output.extend_from_slice(head.as_bytes());
    }
    Ok(())
}

/// Handles the end of a response.
fn ended(done: &mut Done) -> Result<(), Failure> {
    if !done.response.has_head() {
        return Err((52, "Empty reply from server".to_owned()));
    }
    let redirect = (300..400).contains(&done.response.status) && done.response.header("Location").is_some();
    if !(redirect && done.follows) {
        done.output.extend_from_slice(&done.response.body);
    }
    match done.response.missing() {
        None => Ok(()),
        Some(0) => Err((18, "transfer closed with outstanding read data remaining".to_owned())),
        Some(left) => Err((18, format!("transfer closed with {left} bytes remaining to read"))),
    }
}

fn out_of_time(process: &Process, done: &Done) -> Failure {
    let millis = process.now().since(done.began).0 / 1_000_000;
    let got = done.response.body.len();
    let text = match done.response.length() {
        Some(length) => {
            format!(
                "Operation timed out after {millis} milliseconds with {got} out of {length} bytes received"
            )
        }
        None => format!("Operation timed out after {millis} milliseconds with {got} bytes received"),
    };
    (28, text)
}

/// Opens the connection.
async fn connect(
    process: &mut Process,
    attempt: &Attempt<'_>,
    url: &Url,
    address: Ipv4Addr,
    done: &Done,
) -> Result<Sock, Failure> {
    let options = attempt.options;
    say(process, options, &format!("  Trying {address}:{}...", url.port));
    let socket = Sock::stream(process);
    let secs = options.keepalive_time.unwrap_or(KEEPALIVE_SECS);
    let keepalive = (!options.no_keepalive).then_some(Keepalive { idle: secs, intvl: secs });
    socket.set(|opts| (opts.nodelay, opts.keepalive) = (true, keepalive));
    let begun = process.now();
    let failed = |process: &Process, code: i32, why: &str| {
        let millis = process.now().since(begun).0 / 1_000_000;
        let host = &url.host;
        (code, format!("Failed to connect to {host} port {} after {millis} ms: {why}", url.port))
    };
    bind_source(process, options, &socket)?;
    if let Err(errno) = socket.connect(address, url.port) {
        say(process, options, &format!("Immediate connect fail for {address}: {}", errno.strerror()));
        return Err(failed(process, 7, "Couldn't connect to server"));
    }
    let limit = options.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let own = begun + Nanos::from_millis(limit);
    let deadline = attempt.deadline.map_or(own, |deadline| deadline.min(own));
    loop {
        // The meter is updated once per second.
        let second = done.began + Nanos::from_secs(process.now().since(done.began).0 / 1_000_000_000 + 1);
        match socket.connected(process, Some(deadline.min(second))).await {
            Woken::Ready(Ok(())) => return Ok(socket),
            Woken::Ready(Err(errno)) => {
                let shown = errno.strerror();
                say(process, options, &format!("connect to {address} port {} failed: {shown}", url.port));
                let code = if errno == Errno::ETIMEDOUT { 28 } else { 7 };
                return Err(failed(process, code, "Couldn't connect to server"));
            }
            Woken::Elapsed if process.now() < deadline => tick(process, options, done),
            Woken::Elapsed if attempt.deadline == Some(deadline) => {
                let millis = process.now().since(done.began).0 / 1_000_000;
                return Err((28, format!("Connection timed out after {millis} milliseconds")));
            }
            Woken::Elapsed | Woken::Signal(_) => {
                let text = format!("ipv4 connect timeout after {}ms, move on!", limit.saturating_sub(1));
                say(process, options, &text);
                return Err(failed(process, 28, "Timeout was reached"));
            }
        }
    }
}

/// Binds to the source of `--interface` and `--local-port`.
fn bind_source(process: &mut Process, options: &Options, socket: &Sock) -> Result<(), Failure> {
    let mut source = Ipv4Addr::UNSPECIFIED;
    if let Some(interface) = &options.interface {
        let name = interface.trim_start_matches("if!").trim_start_matches("host!");
        let own = device(process, name, |dev| dev.ifindex);
        match (own, inet_aton(name)) {
            (Some(ifindex), _) => {
                socket.set(|opts| opts.bound_dev_if = ifindex);
                source = addresses(process, name).first().copied().unwrap_or(source);
            }
            (None, Some(address)) => {
                source = address;
                let text = format!("Name '{name}' family 2 resolved to '{address}' family 2");
                say(process, options, &text);
            }
            (None, None) => {
                say(process, options, &format!("Could not resolve host: {name}"));
                say(process, options, &format!("Couldn't bind to '{name}'"));
                return Err((45, format!("Couldn't bind to '{name}'")));
            }
        }
    }
    let (first, count) = options.local_port.unwrap_or((0, 1));
    if source.is_unspecified() && first == 0 {
        return Ok(());
    }
    let mut result = Ok(());
    for step in 0..count {
        result = socket.bind(source, first.wrapping_add(step));
        match result {
            Ok(()) => {
                if options.local_port.is_some() {
                    let port = socket.local().1;
                    say(process, options, &format!("Local port: {port}"));
                }
                return Ok(());
            }
            Err(Errno::EADDRINUSE) if step + 1 < count => {
                let next = first.wrapping_add(step + 1);
                say(process, options, &format!("Bind to local port {} failed, trying next", next - 1));
            }
            Err(_) => break,
        }
    }
    let Err(errno) = result else { return Ok(()) };
    let text = format!("bind failed with errno {}: {}", errno.number(), errno.strerror());
    say(process, options, &text);
    Err((45, text))
}

/// Prints a line of `-v`.
fn note(process: &mut Process, options: &Options, text: &str) {
    if options.verbose {
        process.eprint(format!("{text}\n"));
    }
}

/// Prints a remark of `-v`.
fn say(process: &mut Process, options: &Options, text: &str) {
    note(process, options, &format!("* {text}"));
}

fn meter(process: &Process, done: &Done) -> Meter {
    Meter {
        expected: done.response.length(),
        received: done.response.body.len() as u64,
        sent: done.sent_bytes,
        spent: process.now().since(done.began),
    }
}

/// Updates the meter.
fn tick(process: &mut Process, options: &Options, done: &Done) {
    if heading(process, options, done.file.as_deref()).is_some() {
        let line = meter(process, done).line();
        process.eprint(format!("\r{line}"));
    }
}

/// Draws the final meter.
fn draw(process: &mut Process, options: &Options, done: &Done) {
    if heading(process, options, done.file.as_deref()).is_some() {
        tick(process, options, done);
        process.eprint("\n");
    }
}

/// Request line and headers.
fn request_head(attempt: &Attempt<'_>, url: &Url, body: Option<&[u8]>) -> String {
    let options = attempt.options;
    let own: Vec<(&str, Option<&str>)> = options.headers.iter().filter_map(|line| custom(line)).collect();
    let given = |name: &str| own.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    let version = if attempt.http10 { "1.0" } else { "1.1" };
    let mut head = format!("{} {} HTTP/{version}\r\n", attempt.method, url.path);
    match given("Host") {
        None => head += &format!("Host: {}\r\n", url.authority()),
        Some((name, Some(value))) => head += &format!("{name}: {value}\r\n"),
        Some((_, None)) => {}
    }
    if given("User-Agent").is_none() {
        let agent = options.user_agent.as_deref().unwrap_or("curl/7.88.1");
        if !agent.is_empty() {
            head += &format!("User-Agent: {agent}\r\n");
        }
    }
    if given("Accept").is_none() {
        head += "Accept: */*\r\n";
    }
    for (name, value) in own.iter().filter(|header| !header.0.eq_ignore_ascii_case("Host")) {
        match value {
            Some("") => head += &format!("{name}:\r\n"),
            Some(value) => head += &format!("{name}: {value}\r\n"),
            None => {}
        }
    }
    if let Some(body) = body {
        if given("Content-Length").is_none() {
            head += &format!("Content-Length: {}\r\n", body.len());
        }
        if given("Content-Type").is_none() {
            head += "Content-Type: application/x-www-form-urlencoded\r\n";
        }
    }
    head + "\r\n"
}

/// A header of `-H`: name and value; without a value it is removed.
fn custom(line: &str) -> Option<(&str, Option<&str>)> {
    match (line.split_once(':'), line.strip_suffix(';')) {
        (Some((name, value)), _) => {
            let value = value.trim();
            Some((name, (!value.is_empty()).then_some(value)))
        }
        (None, Some(name)) => Some((name, Some(""))),
        (None, None) => None,
    }
}
