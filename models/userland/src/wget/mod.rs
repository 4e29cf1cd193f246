//! GNU `wget` 1.21.3, as far as single documents over HTTP go.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | URLs, tries, and what is said |
//! | `transfer.rs` | one request |
//! | `options.rs` | the command line |
//! | `words.rs` | numbers and progress |
//!
//! Not modelled: TLS and FTP, recursion, cookies, authentication, connections that serve a second request, ranges, `wgetrc`.

mod options;
mod transfer;
mod words;

use std::net::Ipv4Addr;

use chrono::DateTime;
use glassnet_sim::Nanos;

use crate::curl::url::Url;
use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Running};
use crate::resolver::{Family, Gai};
use crate::sock::wall;
use options::{Options, Stop, Verbosity};
use transfer::{Fetched, NoReply, request};

const TRY: &str = "Usage: wget [OPTION]... [URL]...\n\nTry `wget --help' for more options.\n";

/// Exit statuses (wget(1)); of several the least but 0.
const GENERIC: i32 = 1;
const FILE: i32 = 3;
const NETWORK: i32 = 4;
const SERVER: i32 = 8;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let args = process.args().to_vec();
        match options::parse(&args) {
            Ok(options) => run(process, options).await,
            Err(Stop::Shown(text)) => {
                process.print(text);
                0
            }
            Err(Stop::Wrong(message, with_usage, status)) => {
                process.eprint(format!("wget: {message}\n{}", if with_usage { TRY } else { "" }));
                status
            }
            Err(Stop::NotModelled(what)) => {
                process.eprint(format!("not modelled yet: wget {what}\n"));
                2
            }
        }
    })
}

async fn run(process: &mut Process, options: Options) -> i32 {
    let hosts = Hosts::read(process).await;
    let begun = process.now();
    let mut session = Session {
        process,
        options,
        hosts,
        known: Vec::new(),
        saved: 0,
        bytes: 0,
        time: Nanos(0),
        begun_file: false,
    };
    let mut statuses = Vec::new();
    for url in session.options.urls.clone() {
        statuses.push(session.url(&url).await);
    }
    if statuses.len() > 1 && session.saved > 0 {
        session.finished(begun);
    }
    session.process.flush().await;
    statuses.into_iter().filter(|status| *status != 0).min().unwrap_or(0)
}

/// A run.
struct Session<'p> {
    process: &'p mut Process,
    options: Options,
    hosts: Hosts,
    /// Names that were looked up.
    known: Vec<(String, Ipv4Addr)>,
    /// Documents that were saved, their bytes, and the time that took.
    saved: usize,
    bytes: usize,
    time: Nanos,
    /// Something was written to the file of `-O`.
    begun_file: bool,
}

impl Session<'_> {
    /// What is said unless `-nv`.
    fn say(&mut self, text: &str) {
        if self.options.verbosity == Verbosity::Verbose {
            self.process.eprint(text);
        }
    }

    /// What is said even with `-nv`.
    fn tell(&mut self, text: &str) {
        if self.options.verbosity != Verbosity::Quiet {
            self.process.eprint(text);
        }
    }

    fn clock(&self) -> String {
        let at = DateTime::from_timestamp_nanos(wall(self.process.now()) as i64);
        at.format("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// Fetches a URL and where it is redirected to. Returns the exit status.
    async fn url(&mut self, text: &str) -> i32 {
        let mut url = match read_url(text) {
            Ok(url) => url,
            Err(why) => {
                self.process.eprint(format!("{text}: {why}\n"));
                return GENERIC;
            }
        };
        let name = file_name(&url);
        let mut redirects = 0;
        loop {
            let fetched = match self.tries(&url).await {
                Ok(fetched) => fetched,
                Err(status) => return status,
            };
            let response = &fetched.response;
            let location =
                response.header("Location").filter(|_| [301, 302, 303, 307, 308].contains(&response.status));
            let Some(location) = location else { return self.done(&url, &name, fetched).await };
            self.say(&format!("Location: {location} [following]\n"));
            redirects += 1;
            if redirects > self.options.max_redirect {
                self.tell(&format!("{} redirections exceeded.\n", self.options.max_redirect));
                return SERVER;
            }
            url = match url.join(&location) {
                Ok(next) => next,
                Err((_, why)) => {
                    self.process.eprint(format!("{location}: {why}.\n"));
                    return GENERIC;
                }
            };
            if fetched.response.status == 303
                || self.options.method == "POST" && fetched.response.status < 303
            {
                (self.options.method, self.options.body) = (String::new(), None);
            }
        }
    }

    /// Tries until there is a reply. Returns the exit status otherwise.
    async fn tries(&mut self, url: &Url) -> Result<Fetched, i32> {
        if self.options.spider {
            self.say("Spider mode enabled. Check if remote file exists.\n");
        }
        let mut count = 0;
        loop {
            count += 1;
            let number = if count > 1 { format!("  (try:{count:>2})") } else { String::new() };
            let clock = self.clock();
            self.say(&format!("--{clock}--{number}  {url}\n"));
            let address = self.address(url).await?;
            let failure = match request(self, url, address).await {
                Ok(fetched) => return Ok(fetched),
                Err(failure) => failure,
            };
            let (said, is_final) = match failure {
                NoReply::Unreachable(why) => (format!("failed: {why}.\n"), true),
                NoReply::Refused => ("failed: Connection refused.\n".to_owned(), !self.options.retry_refused),
                NoReply::Connecting => ("failed: Connection timed out.\n".to_owned(), false),
                NoReply::Reading(why) => (format!("Read error ({why}) in headers.\n"), false),
                NoReply::Nothing => ("No data received.\n".to_owned(), false),
            };
            self.tell(&said);
            if is_final {
                return Err(NETWORK);
            }
            if count == self.options.tries {
                self.say("Giving up.\n\n");
                return Err(NETWORK);
            }
            self.say("Retrying.\n\n");
            let wait = count.min(self.options.wait_retry);
            if self.process.sleep(Nanos::from_secs(wait)).await.is_err() {
                return Err(NETWORK);
            }
        }
    }

    async fn address(&mut self, url: &Url) -> Result<Ipv4Addr, i32> {
        if let Some(address) = inet_aton(&url.host) {
            return Ok(address);
        }
        let host = &url.host;
        if let Some((_, address)) = self.known.iter().find(|(name, _)| name == host) {
            return Ok(*address);
        }
        self.say(&format!("Resolving {host} ({host})... "));
        match self.hosts.look_up(self.process, host, Family::Any).await {
            Ok(found) => {
                let shown: Vec<String> = found.addresses.iter().take(3).map(Ipv4Addr::to_string).collect();
                let more = if found.addresses.len() > 3 { ", ..." } else { "" };
                self.say(&format!("{}{more}\n", shown.join(", ")));
                self.known.push((host.clone(), found.addresses[0]));
                Ok(found.addresses[0])
            }
            Err(why) => {
                self.tell(&format!("failed: {}.\n", Gai::text(why)));
                self.tell(&format!("wget: unable to resolve host address '{host}'\n"));
                Err(NETWORK)
            }
        }
    }

    /// A reply that leads nowhere else: saves it, or says why not.
    async fn done(&mut self, url: &Url, name: &str, fetched: Fetched) -> i32 {
        let status = fetched.response.status;
        if self.options.spider {
            return self.spied(url, &fetched);
        }
        if !(200..300).contains(&status) && !self.options.content_on_error {
            if self.options.verbosity == Verbosity::Terse {
                self.tell(&format!("{url}:\n"));
            }
            let (clock, reason) = (self.clock(), &fetched.reason);
            let end = if self.options.verbosity == Verbosity::Verbose { "\n" } else { "" };
            self.tell(&format!("{clock} ERROR {status}: {reason}.\n{end}"));
            return SERVER;
        }
        let kept = match self.kept(name).await {
            Some(kept) => kept,
            None => return FILE,
        };
        if status != 204 {
            self.say(&format!("Length: {}\n", fetched.length()));
            self.say(&format!("Saving to: '{}'\n", kept.as_deref().unwrap_or("STDOUT")));
        }
        let bytes = fetched.response.body.len();
        if let Err(code) = self.write(kept.as_deref(), &fetched.response.body).await {
            return code;
        }
        if status != 204 {
            let text = words::dots(bytes, fetched.response.length(), fetched.time);
            self.say(&format!("\n{text}\n"));
        }
        self.report(url, kept.as_deref(), &fetched)
    }

    /// `--spider`: whether the document is there.
    fn spied(&mut self, url: &Url, fetched: &Fetched) -> i32 {
        if !(200..300).contains(&fetched.response.status) {
            let end = if self.options.verbosity == Verbosity::Verbose { "\n" } else { "" };
            let head =
                if self.options.verbosity == Verbosity::Terse { format!("{url}:\n") } else { String::new() };
            self.tell(&format!("{head}Remote file does not exist -- broken link!!!\n{end}"));
            return SERVER;
        }
        self.say(&format!("Length: {}\n", fetched.length()));
        let is_page =
            fetched.response.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html"));
        match (self.options.verbosity, is_page) {
            (Verbosity::Verbose, true) => self.say(
                "Remote file exists and could contain further links,\nbut recursion is disabled -- not retrieving.\n\n",
            ),
            (Verbosity::Verbose, false) => self.say("Remote file exists.\n\n"),
            _ => {
                let (clock, reason) = (self.clock(), &fetched.reason);
                let status = fetched.response.status;
                self.tell(&format!("{clock} URL: {url} {status} {reason}\n"));
            }
        }
        0
    }

    /// The file to save to, one that is not there yet; `Some(None)`: standard output.
    async fn kept(&mut self, name: &str) -> Option<Option<String>> {
        match self.options.output.as_deref() {
            Some("-") => return Some(None),
            Some(file) => return Some(Some(file.to_owned())),
            None => {}
        }
        let files = self.process.files.clone();
        for number in 0..=u32::MAX {
            let file = if number == 0 { name.to_owned() } else { format!("{name}.{number}") };
            let path = self.process.path(&file);
            if files.read(&path).await.is_err() && files.list(&path).await.is_err() {
                return Some(Some(file));
            }
        }
        None
    }

    async fn write(&mut self, file: Option<&str>, body: &[u8]) -> Result<(), i32> {
        let Some(file) = file else {
            self.process.print(body);
            self.process.flush().await;
            return Ok(());
        };
        if file == "/dev/null" {
            return Ok(());
        }
        let path = self.process.path(file);
        let files = self.process.files.clone();
        // Documents of one -O follow each other.
        let done = match self.options.output.is_some() && self.begun_file {
            true => files.append(&path, body).await,
            false => files.write(&path, body).await,
        };
        self.begun_file = true;
        done.map_err(|_| {
            self.process.eprint(format!("{file}: No such file or directory\n"));
            FILE
        })
    }

    /// The last line, and the exit status.
    fn report(&mut self, url: &Url, file: Option<&str>, fetched: &Fetched) -> i32 {
        let bytes = fetched.response.body.len();
        let (clock, speed) = (self.clock(), words::speed(bytes, fetched.time));
        if fetched.response.missing().is_some() {
            self.say(&format!("{clock} ({speed}) - Connection closed at byte {bytes}. "));
            self.say("Giving up.\n\n");
            return NETWORK;
        }
        (self.saved, self.bytes) = (self.saved + 1, self.bytes + bytes);
        self.time += fetched.time;
        let of = fetched.response.length().filter(|_| fetched.response.status != 204);
        let size = of.map_or(format!("[{bytes}]"), |whole| format!("[{bytes}/{whole}]"));
        match (self.options.verbosity, file) {
            (Verbosity::Verbose, None) => {
                self.say(&format!("{clock} ({speed}) - written to stdout {size}\n\n"))
            }
            (Verbosity::Verbose, Some(file)) => {
                self.say(&format!("{clock} ({speed}) - '{file}' saved {size}\n\n"));
            }
            (_, file) => {
                let file = file.unwrap_or("-");
                self.tell(&format!("{clock} URL:{url} {size} -> \"{file}\" [1]\n"));
            }
        }
        0
    }

    /// What is said behind several URLs.
    fn finished(&mut self, begun: Nanos) {
        let clock = self.clock();
        let (bytes, time) = (self.bytes, self.time);
        let passed = words::seconds(self.process.now().since(begun));
        let (saved, speed, took) = (self.saved, words::speed(bytes, time), words::seconds(time));
        let size = words::short_length(bytes as u64);
        self.tell(&format!(
            "FINISHED --{clock}--\nTotal wall clock time: {passed}\nDownloaded: {saved} files, {size} in {took} ({speed})\n"
        ));
    }
}

/// A URL, or why it is none.
fn read_url(text: &str) -> Result<Url, String> {
    if let Some((scheme, rest)) = text.split_once("://") {
        match scheme.to_ascii_lowercase().as_str() {
            "http" if rest.is_empty() || rest.starts_with('/') => return Err("Invalid host name.".to_owned()),
            "http" => {}
            "https" | "ftp" | "ftps" => return Err(format!("not modelled yet: {scheme}")),
            _ => return Err(format!("Unsupported scheme '{scheme}'.")),
        }
    }
    Url::parse(text).map_err(|(_, why)| why)
}

/// The last word of the path.
fn file_name(url: &Url) -> String {
    let name = url.path.rsplit('/').next().unwrap_or_default();
    if name.is_empty() || name.starts_with('?') { format!("index.html{name}") } else { name.to_owned() }
}
