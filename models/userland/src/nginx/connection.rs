//! A client's connection: its requests, one after the other, and what each waits for.

use std::net::Ipv4Addr;
use std::sync::Arc;

use chrono::DateTime;
use glassnet_kernel::ids::SocketId;
use glassnet_sim::Nanos;

use super::config::{Config, Location, Pass, Return, Settings, VirtualServer};
use super::exchange::{Exchange, Phase, Step};
use super::http::{Read, Request, SERVER, escape, page, phrase};
use super::variables::Facts;
use super::{Shared, log_error, write_log};
use crate::process::Process;
use crate::sock::{Sock, wall};
use crate::stream::BUFSIZE;

/// How long a request may take to arrive (`client_header_timeout`).
const HEADER_TIMEOUT: Nanos = Nanos::from_secs(60);
/// An upstream is read no further while so much waits for the client, bytes.
const BUFFER: usize = 65_536;

/// A connection.
pub(super) struct Connection {
    socket: Sock,
    number: u64,
    client: (Ipv4Addr, u16),
    local: (Ipv4Addr, u16),
    port: u16,
    received: Vec<u8>,
    to_send: Vec<u8>,
    exchange: Option<Exchange>,
    /// It is closed when all is sent.
    closing: bool,
    until: Nanos,
    served: bool,
}

/// Where a request belongs: a server and a location in it.
#[derive(Clone, Copy)]
pub(super) struct Place {
    server: usize,
    location: Option<usize>,
}

impl Place {
    fn server(self, config: &Config) -> &VirtualServer {
        &config.servers[self.server]
    }

    fn location(self, config: &Config) -> Option<&Location> {
        self.location.and_then(|at| config.servers[self.server].locations.get(at))
    }

    pub(super) fn settings(self, config: &Config) -> &Settings {
        self.location(config).map_or(&config.servers[self.server].settings, |location| &location.settings)
    }
}

/// The server of a host at an address: by name, by the longest wildcard, or the default.
fn server_of(config: &Config, (address, port): (Ipv4Addr, u16), host: &str) -> usize {
    let host = host.to_ascii_lowercase();
    let listens = |server: &VirtualServer, default: bool| {
        server.listens.iter().any(|((known, on), is_default)| {
            *on == port && (known.is_unspecified() || *known == address) && (!default || *is_default)
        })
    };
    let here: Vec<usize> =
        (0..config.servers.len()).filter(|at| listens(&config.servers[*at], false)).collect();
    let rank = |name: &String| match (name.strip_prefix('*'), name.strip_suffix('*')) {
        _ if *name == host => Some(1000),
        (Some(end), _) if host.ends_with(end) && host.len() > end.len() => Some(500 + end.len()),
        (_, Some(start)) if host.starts_with(start) => Some(start.len()),
        _ => {
            name.strip_prefix('.').filter(|bare| host == *bare || host.ends_with(name.as_str())).map(|_| 500)
        }
    };
    let best = |at: &usize| config.servers[*at].names.iter().filter_map(rank).max();
    let named = here.iter().filter(|at| best(at).is_some()).min_by_key(|at| std::cmp::Reverse(best(at)));
    let default = || here.iter().find(|at| listens(&config.servers[**at], true));
    named.or_else(default).or(here.first()).copied().unwrap_or(0)
}

/// The location of a path: the exact one, or the longest that begins it.
fn location_of(server: &VirtualServer, uri: &str) -> Option<usize> {
    let all = server.locations.iter().enumerate();
    let exact = all.clone().find(|(_, location)| location.exact && location.path == uri);
    let begins = all.filter(|(_, location)| !location.exact && uri.starts_with(&location.path));
    exact.or_else(|| begins.max_by_key(|(_, location)| location.path.len())).map(|(at, _)| at)
}

impl Connection {
    /// A connection that was accepted at a port.
    pub(super) fn new(socket: Sock, number: u64, port: u16, now: Nanos) -> Connection {
        let (client, local) = (socket.peer().unwrap_or((Ipv4Addr::UNSPECIFIED, 0)), socket.local());
        Connection {
            socket,
            number,
            client,
            local,
            port,
            received: Vec::new(),
            to_send: Vec::new(),
            exchange: None,
            closing: false,
            until: now + HEADER_TIMEOUT,
            served: false,
        }
    }

    /// It waits for another request.
    pub(super) fn is_idle(&self) -> bool {
        self.exchange.is_none() && self.to_send.is_empty() && self.received.is_empty() && self.served
    }

    /// Sockets that it waits for, and whether to write.
    pub(super) fn waits(&self) -> Vec<(SocketId, bool)> {
        let mut all = Vec::new();
        if !self.to_send.is_empty() {
            all.push((self.socket.id, true));
        } else if self.exchange.is_none() {
            all.push((self.socket.id, false));
        }
        if let Some(exchange) = &self.exchange {
            let writes = matches!(exchange.phase, Phase::Connecting | Phase::Sending);
            if writes || self.to_send.len() < BUFFER {
                all.push((exchange.socket.id, writes));
            }
        }
        all
    }

    /// When it has waited too long.
    pub(super) fn deadline(&self) -> Option<Nanos> {
        Some(self.exchange.as_ref().map_or(self.until, |exchange| exchange.deadline))
    }

    /// Goes on as far as possible; false: it is over.
    pub(super) async fn advance(&mut self, process: &mut Process, shared: &mut Shared) -> bool {
        loop {
            self.write();
            if self.exchange.is_some() {
                if !self.go_on(process, shared).await {
                    self.write();
                    return true;
                }
                continue;
            }
            if self.closing {
                if self.to_send.is_empty() {
                    _ = self.socket.shutdown(false, true);
                    return false;
                }
                return true;
            }
            if !self.to_send.is_empty() {
                return true;
            }
            match Request::read(&self.received) {
                _ if self.received.is_empty() => {}
                Read::Partial => {}
                Read::Whole(request, length) => {
                    self.received.drain(..length);
                    self.served = true;
                    self.begin(process, shared, request).await;
                    continue;
                }
                Read::Refused(status, line) => {
                    self.refuse(process, shared, status, line).await;
                    continue;
                }
            }
            match self.socket.read(BUFSIZE) {
                Ok(Some(bytes)) if bytes.is_empty() => return false,
                Ok(Some(bytes)) => self.received.extend(bytes),
                Ok(None) => return process.now() < self.until,
                Err(_) => return false,
            }
        }
    }

    fn write(&mut self) {
        if self.to_send.is_empty() {
            return;
        }
        match self.socket.write(&self.to_send) {
            Ok(taken) => _ = self.to_send.drain(..taken),
            Err(_) => {
                self.to_send.clear();
                self.closing = true;
            }
        }
    }

    /// A request that cannot be read.
    async fn refuse(&mut self, process: &mut Process, shared: &Shared, status: u16, line: String) {
        self.received.clear();
        let request = Request {
            line,
            method: String::new(),
            target: String::new(),
            uri: String::new(),
            minor: 0,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let config = shared.config.clone();
        let server = server_of(&config, (self.local.0, self.port), "");
        self.answer(process, &config, Place { server, location: None }, &request, (status, None)).await;
    }

    /// Finds out who answers a request.
    async fn begin(&mut self, process: &mut Process, shared: &mut Shared, request: Request) {
        let config = shared.config.clone();
        let server = server_of(&config, (self.local.0, self.port), request.host());
        let location = location_of(&config.servers[server], &request.uri);
        let place = Place { server, location };
        if let Some(answer) = &config.servers[server].answer {
            return self.answer(process, &config, place, &request, (answer.status, Some(answer))).await;
        }
        let Some(found) = place.location(&config) else {
            return self.answer(process, &config, place, &request, (404, None)).await;
        };
        if let Some(answer) = &found.answer {
            return self.answer(process, &config, place, &request, (answer.status, Some(answer))).await;
        }
        match &found.pass {
            Some(pass) => self.ask(process, shared, (request, place, pass.clone()), Vec::new()).await,
            // There are no files.
            None => self.answer(process, &config, place, &request, (404, None)).await,
        }
    }

    /// A page of nginx's own.
    async fn answer(
        &mut self,
        process: &mut Process,
        config: &Config,
        place: Place,
        request: &Request,
        (status, answer): (u16, Option<&Return>),
    ) {
        let facts = self.facts(config, place, request, "");
        let text = answer.and_then(|answer| answer.text.as_ref()).map(|text| text.fill(&facts));
        let redirects = matches!(status, 301 | 302 | 303 | 307 | 308) && text.is_some();
        let settings = place.settings(config);
        let (kind, body) = match &text {
            Some(text) if !redirects => (settings.default_type.clone(), text.clone()),
            _ if status >= 300 => ("text/html".to_owned(), page(status)),
            _ => (settings.default_type.clone(), String::new()),
        };
        let keeps = status != 400 && request.keeps_alive() && settings.keepalive > Nanos::ZERO;
        let mut head = head(process, status, phrase(status));
        head += &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len());
        head += if keeps { "Connection: keep-alive\r\n" } else { "Connection: close\r\n" };
        if let Some(to) = text.filter(|_| redirects) {
            head += &format!("Location: {to}\r\n");
        }
        self.to_send.extend(format!("{head}\r\n").into_bytes());
        let sent = if request.method == "HEAD" { 0 } else { body.len() };
        self.to_send.extend(&body.as_bytes()[..sent]);
        self.finish(process, settings, request, (status, sent), keeps).await;
    }

    /// The answer is on its way: it is logged, and the next request may come.
    async fn finish(
        &mut self,
        process: &mut Process,
        settings: &Settings,
        request: &Request,
        (status, sent): (u16, usize),
        keeps: bool,
    ) {
        self.closing |= !keeps;
        self.until = process.now() + settings.keepalive;
        let Some(path) = settings.access_log.clone() else { return };
        let seconds = wall(process.now()) / 1_000_000_000;
        let time = DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
        let of = |name: &str| request.header(name).unwrap_or("-").to_owned();
        let line = format!(
            "{} - - [{}] \"{}\" {status} {sent} \"{}\" \"{}\"\n",
            self.client.0,
            time.format("%d/%b/%Y:%H:%M:%S +0000"),
            request.line,
            of("Referer"),
            of("User-Agent")
        );
        write_log(process, &path, line).await;
    }

    fn facts<'a>(
        &self,
        config: &'a Config,
        place: Place,
        request: &'a Request,
        proxy_host: &'a str,
    ) -> Facts<'a> {
        let server_name = place.server(config).names.first().map_or("", String::as_str);
        let server = (self.local.0, self.port);
        Facts { request, client: self.client, server, server_name, proxy_host }
    }

    /// Asks the next server of an upstream.
    async fn ask(
        &mut self,
        process: &mut Process,
        shared: &mut Shared,
        (request, place, pass): (Request, Place, Pass),
        mut tried: Vec<usize>,
    ) {
        let config = shared.config.clone();
        let at = config.upstreams.iter().position(|upstream| upstream.name == pass.host);
        let Some(at) = at.filter(|at| *at < shared.balancers.len()) else {
            // The configuration changed meanwhile.
            return self.answer(process, &config, place, &request, (502, None)).await;
        };
        loop {
            let now = process.now();
            let Some(peer) = shared.balancers[at].choose(&tried, now) else {
                if tried.is_empty() {
                    let url =
                        format!("http://{}{}", pass.host, target(place.location(&config), &pass, &request));
                    let what = "no live upstreams while connecting to upstream".to_owned();
                    self.complain(process, &config, place, &request, (&what, &url)).await;
                }
                return self.answer(process, &config, place, &request, (502, None)).await;
            };
            tried.push(peer);
            let (address, port) = shared.balancers[at].peers[peer].address;
            let socket = Sock::stream(process);
            let url = format!("http://{address}:{port}{}", target(place.location(&config), &pass, &request));
            if let Err(errno) = socket.connect(address, port) {
                let (number, why) = (errno.number(), errno.strerror());
                let what = format!(
                    "connect() to {address}:{port} failed ({number}: {why}) while connecting to upstream"
                );
                self.complain(process, &config, place, &request, (&what, &url)).await;
                shared.balancers[at].failed(peer, now);
                continue;
            }
            let to_send = self.request(&config, place, &request, &pass);
            let deadline = now + place.settings(&config).connect_timeout;
            self.exchange = Some(Exchange {
                request,
                config,
                place,
                pass,
                tried,
                peer,
                socket,
                phase: Phase::Connecting,
                to_send,
                received: Vec::new(),
                status: 0,
                body: (0, None),
                chunked: false,
                ends: false,
                deadline,
            });
            return;
        }
    }

    /// The request as it is sent to an upstream.
    fn request(&self, config: &Config, place: Place, request: &Request, pass: &Pass) -> Vec<u8> {
        let settings = place.settings(config);
        let facts = self.facts(config, place, request, &pass.host);
        let version = if settings.http11 { "1.1" } else { "1.0" };
        let uri = target(place.location(config), pass, request);
        let mut text = format!("{} {uri} HTTP/{version}\r\n", request.method);
        let own = |name: &str| settings.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        for (name, value) in &settings.headers {
            let value = value.fill(&facts);
            if !value.is_empty() {
                text += &format!("{name}: {value}\r\n");
            }
        }
        if !own("Host") {
            text += &format!("Host: {}\r\n", pass.host);
        }
        if !own("Connection") {
            text += "Connection: close\r\n";
        }
        if request.header("Content-Length").is_some() {
            text += &format!("Content-Length: {}\r\n", request.body.len());
        }
        const NOT_PASSED: &[&str] = &[
            "host",
            "connection",
            "keep-alive",
            "content-length",
            "transfer-encoding",
            "te",
            "expect",
            "upgrade",
        ];
        for (name, value) in &request.headers {
            if !own(name) && !NOT_PASSED.contains(&name.to_ascii_lowercase().as_str()) {
                text += &format!("{name}: {value}\r\n");
            }
        }
        [text.as_bytes(), b"\r\n", &request.body].concat()
    }

    async fn complain(
        &self,
        process: &mut Process,
        config: &Config,
        place: Place,
        request: &Request,
        (what, url): (&str, &str),
    ) {
        let server = place.server(config).names.first().cloned().unwrap_or_default();
        let host = request.header("Host").unwrap_or_default();
        let line = format!(
            "*{} {what}, client: {}, server: {server}, request: \"{}\", upstream: \"{url}\", host: \"{host}\"",
            self.number, self.client.0, request.line
        );
        log_error(process, config, "error", &line).await;
    }

    /// Goes on with an upstream; false: it has to wait.
    async fn go_on(&mut self, process: &mut Process, shared: &mut Shared) -> bool {
        let Some(mut exchange) = self.exchange.take() else { return true };
        let (now, is_slow) = (process.now(), self.to_send.len() >= BUFFER);
        let step = if is_slow { Step::Wait } else { exchange.step(process, now, &mut self.to_send) };
        match step {
            Step::Wait => {
                self.exchange = Some(exchange);
                false
            }
            Step::Done => {
                let at =
                    exchange.config.upstreams.iter().position(|upstream| upstream.name == exchange.pass.host);
                if let Some(balancer) = at.and_then(|at| shared.balancers.get_mut(at)) {
                    balancer.succeeded(exchange.peer);
                }
                let Exchange { request, config, place, body, status, ends, .. } = exchange;
                let settings = place.settings(&config);
                self.finish(process, settings, &request, (status, body.0), !ends).await;
                true
            }
            Step::Failed(what, status) => {
                self.next(process, shared, exchange, (what, status)).await;
                true
            }
        }
    }

    /// A server of an upstream failed: the next one is asked, unless the request may not be sent twice.
    async fn next(
        &mut self,
        process: &mut Process,
        shared: &mut Shared,
        exchange: Exchange,
        (what, status): (String, u16),
    ) {
        let Exchange { request, config, place, pass, tried, peer, phase, .. } = exchange;
        let at = config.upstreams.iter().position(|upstream| upstream.name == pass.host);
        let address = at.and_then(|at| config.upstreams[at].peers.get(peer)).map(|peer| peer.address);
        let (address, port) = address.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let url = format!("http://{address}:{port}{}", target(place.location(&config), &pass, &request));
        self.complain(process, &config, place, &request, (&what, &url)).await;
        if let Some(balancer) = at.and_then(|at| shared.balancers.get_mut(at)) {
            balancer.failed(peer, process.now());
        }
        let again =
            phase == Phase::Connecting || !matches!(request.method.as_str(), "POST" | "LOCK" | "PATCH");
        let count = at.map_or(0, |at| config.upstreams[at].peers.len());
        if again && tried.len() < count && Arc::ptr_eq(&config, &shared.config) {
            return self.ask(process, shared, (request, place, pass), tried).await;
        }
        self.answer(process, &config, place, &request, (status, None)).await;
    }
}

/// What an upstream is asked for: the client's words, or the location's part replaced.
fn target(location: Option<&Location>, pass: &Pass, request: &Request) -> String {
    let (Some(uri), Some(location)) = (&pass.uri, location) else { return request.target.clone() };
    let rest = request.uri.strip_prefix(&location.path).unwrap_or_default();
    let args = match request.args() {
        "" => String::new(),
        args => format!("?{args}"),
    };
    format!("{uri}{}{args}", escape(rest))
}

/// The first lines of an answer.
pub(super) fn head(process: &Process, status: u16, phrase: &str) -> String {
    let seconds = wall(process.now()) / 1_000_000_000;
    let date = DateTime::from_timestamp(seconds as i64, 0).unwrap_or_default();
    let date = date.format("%a, %d %b %Y %H:%M:%S GMT");
    format!("HTTP/1.1 {status} {phrase}\r\nServer: {SERVER}\r\nDate: {date}\r\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(servers: &str) -> Config {
        Config::parse("n", &format!("events {{}}\nhttp {{ {servers} }}\n"), &[]).unwrap()
    }

    #[test]
    fn servers_by_name() {
        let config = config(
            "server { listen 80; server_name a.x; } server { listen 80 default_server; server_name _; } \
             server { listen 80; server_name *.x; } server { listen 80; server_name *.b.x; } server { listen 81; server_name y; }",
        );
        let of = |host: &str, port: u16| server_of(&config, (Ipv4Addr::LOCALHOST, port), host);
        assert_eq!(
            [of("A.x", 80), of("c.x", 80), of("c.b.x", 80), of("z", 80), of("y", 80)],
            [0, 2, 3, 1, 1]
        );
        assert_eq!(of("a.x", 81), 4);
    }

    #[test]
    fn locations_by_path() {
        let config = config(
            "server { location / { return 200; } location /a { return 200; } location = /a/b { return 200; } \
             location /a/ { return 200; } }",
        );
        let of = |uri: &str| location_of(&config.servers[0], uri);
        assert_eq!([of("/"), of("/ab"), of("/a/b"), of("/a/c")], [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn what_an_upstream_is_asked_for() {
        let config = config(
            "server { location /e/ { proxy_pass http://10.0.0.1/x/; } location /r { proxy_pass http://10.0.0.1; } }",
        );
        let text = "GET /e/a%20b?q=1 HTTP/1.1\r\nHost: a\r\n\r\n";
        let Read::Whole(request, _) = Request::read(text.as_bytes()) else { panic!("a request") };
        let of = |at: usize| {
            let location = &config.servers[0].locations[at];
            location.pass.as_ref().map(|pass| target(Some(location), pass, &request))
        };
        assert_eq!(of(0).as_deref(), Some("/x/a%20b?q=1"));
        assert_eq!(of(1).as_deref(), Some("/e/a%20b?q=1"));
    }
}
