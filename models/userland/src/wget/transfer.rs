//! One request and its reply.

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_sim::Nanos;

use super::{Session, words};
use crate::curl::response::{Progress, Response};
use crate::curl::url::Url;
use crate::process::Woken;
use crate::sock::Sock;
use crate::stream::BUFSIZE;

/// How long a read waits without `-T`, seconds.
const READ_TIMEOUT: u64 = 900;

/// Why there is no reply.
pub(super) enum NoReply {
    /// The connection fails at once, and would again.
    Unreachable(&'static str),
    Refused,
    /// The connection takes too long.
    Connecting,
    /// The reply takes too long, or the connection breaks.
    Reading(&'static str),
    /// The server said nothing.
    Nothing,
}

/// A reply.
pub(super) struct Fetched {
    pub(super) response: Response,
    /// What the server calls its status.
    pub(super) reason: String,
    /// From the end of the head to that of the body.
    pub(super) time: Nanos,
}

impl Fetched {
    /// Length and type as they are shown.
    pub(super) fn length(&self) -> String {
        let length = self.response.header("Content-Length").and_then(|length| length.parse().ok());
        let length = length.map_or("unspecified".to_owned(), words::length);
        let kind = self.response.header("Content-Type");
        let kind = kind.map(|kind| kind.split(';').next().unwrap_or_default().trim().to_owned());
        kind.map_or(length.clone(), |kind| format!("{length} [{kind}]"))
    }
}

/// Connects, asks and reads.
pub(super) async fn request(
    session: &mut Session<'_>,
    url: &Url,
    address: Ipv4Addr,
) -> Result<Fetched, NoReply> {
    let place = if url.host == address.to_string() {
        format!("{address}:{}", url.port)
    } else {
        format!("{} ({})|{address}|:{}", url.host, url.host, url.port)
    };
    session.say(&format!("Connecting to {place}... "));
    let socket = Sock::stream(session.process);
    socket.connect(address, url.port).map_err(of_connect)?;
    let deadline = session.options.connect_timeout.map(|limit| session.process.now() + limit);
    match socket.connected(session.process, deadline).await {
        Woken::Ready(Ok(())) => {}
        Woken::Ready(Err(errno)) => return Err(of_connect(errno)),
        Woken::Elapsed | Woken::Signal(_) => return Err(NoReply::Connecting),
    }
    session.say("connected.\n");
    session.say("HTTP request sent, awaiting response... ");
    let message =
        [head(session, url).into_bytes(), session.options.body.clone().unwrap_or_default()].concat();
    match socket.write_all(session.process, &message, None).await {
        Woken::Ready(Ok(())) => {}
        Woken::Ready(Err(errno)) => return Err(NoReply::Reading(errno.strerror())),
        Woken::Elapsed | Woken::Signal(_) => return Err(NoReply::Reading(Errno::ETIMEDOUT.strerror())),
    }
    read(session, &socket).await
}

fn of_connect(errno: Errno) -> NoReply {
    match errno {
        Errno::ECONNREFUSED => NoReply::Refused,
        Errno::ETIMEDOUT => NoReply::Connecting,
        other => NoReply::Unreachable(other.strerror()),
    }
}

fn head(session: &Session<'_>, url: &Url) -> String {
    let options = &session.options;
    let method = match (options.method.as_str(), options.spider) {
        ("", true) => "HEAD",
        ("", false) => "GET",
        (method, _) => method,
    };
    let mut head = format!("{method} {} HTTP/1.1\r\n", url.path);
    let length = options.body.as_ref().map(|body| body.len().to_string());
    let agent = options.user_agent.clone().unwrap_or("Wget/1.21.3".to_owned());
    let usual = [
        ("Host", Some(url.authority())),
        ("User-Agent", Some(agent).filter(|agent| !agent.is_empty())),
        ("Accept", Some("*/*".to_owned())),
        ("Accept-Encoding", Some("identity".to_owned())),
        ("Connection", Some("Keep-Alive".to_owned())),
        ("Content-Type", length.as_ref().map(|_| "application/x-www-form-urlencoded".to_owned())),
        ("Content-Length", length),
    ];
    for (name, value) in &usual {
        let given = options.headers.iter().rfind(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some(value) = given.map(|(_, value)| value).or(value.as_ref()) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    for (name, value) in &options.headers {
        if !usual.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
            head += &format!("{name}: {value}\r\n");
        }
    }
    head + "\r\n"
}

async fn read(session: &mut Session<'_>, socket: &Sock) -> Result<Fetched, NoReply> {
    let limit = session.options.read_timeout.unwrap_or(Nanos::from_secs(READ_TIMEOUT));
    let is_head = session.options.spider || session.options.method == "HEAD";
    let mut response = Response::default();
    let mut reason = String::new();
    let mut begun = session.process.now();
    loop {
        let bytes = match socket.read(BUFSIZE) {
            Ok(Some(bytes)) => bytes,
            Ok(None) => {
                let deadline = session.process.now() + limit;
                match socket.wait(session.process, Some(deadline)).await {
                    Woken::Ready(()) => continue,
                    Woken::Elapsed | Woken::Signal(_) if response.has_head() => break,
                    Woken::Elapsed | Woken::Signal(_) => {
                        return Err(NoReply::Reading(Errno::ETIMEDOUT.strerror()));
                    }
                }
            }
            Err(_) if response.has_head() => break,
            Err(errno) => return Err(NoReply::Reading(errno.strerror())),
        };
        if bytes.is_empty() {
            break;
        }
        let had_head = response.has_head();
        let progress = response.feed(&bytes, is_head);
        if !had_head && response.has_head() {
            begun = session.process.now();
            reason = answered(session, &response);
        }
        match progress {
            Progress::More => {}
            Progress::Complete => break,
            Progress::NotHttp | Progress::BadChunk => {
                session.tell("not modelled yet: wget of a reply without a head\n");
                return Err(NoReply::Nothing);
            }
        }
    }
    if !response.has_head() {
        return Err(NoReply::Nothing);
    }
    let time = session.process.now().since(begun);
    Ok(Fetched { response, reason, time })
}

/// Says what the server answered; returns the words of its status.
fn answered(session: &mut Session<'_>, response: &Response) -> String {
    let head = String::from_utf8_lossy(&response.head).into_owned();
    let lines: Vec<&str> = head.trim_end().lines().collect();
    let reason =
        lines.first().and_then(|line| line.splitn(3, ' ').nth(2)).unwrap_or("(no description)").to_owned();
    if session.options.server_response {
        let shown: String = lines.iter().map(|line| format!("  {}\n", line.trim_end())).collect();
        session.tell(&format!("\n{shown}"));
    } else {
        session.say(&format!("{} {reason}\n", response.status));
    }
    reason
}
