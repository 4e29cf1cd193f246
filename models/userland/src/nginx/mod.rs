//! `nginx` 1.22.1 as a proxy for HTTP: virtual servers, locations, upstreams.
//!
//! | file | owns |
//! |---|---|
//! | `directives.rs` | where each directive may stand |
//! | `config.rs` | `nginx.conf` |
//! | `variables.rs` | texts with variables |
//! | `http.rs` | requests, and pages of its own |
//! | `balance.rs` | the choice of an upstream's server |
//! | `connection.rs` | a client's connection: its requests |
//! | `exchange.rs` | what an upstream is asked, and its answer |
//!
//! One process does the work of master and workers. Not modelled: files, TLS, caches, buffers, regular expressions, the modules beside.

mod balance;
mod config;
mod connection;
mod directives;
mod exchange;
mod http;
#[cfg(test)]
mod tests;
mod variables;

use std::net::Ipv4Addr;
use std::sync::Arc;

use chrono::DateTime;

use crate::hosts::Hosts;
use crate::process::{Process, Running, Signal, Woken};
use crate::sock::{Sock, readable, wall};
use crate::stop::{Done, Stop};

use balance::Balancer;
use config::{Config, hosts};
use connection::Connection;
use http::SERVER;

const USAGE: &str = include_str!("usage.txt");
/// The backlog of listen(2) (`NGX_LISTEN_BACKLOG`).
const BACKLOG: usize = 511;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nginx(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

/// What the command line asks for.
struct Options {
    config: String,
    prefix: String,
    test: bool,
    quiet: bool,
    signal: Option<String>,
    /// `-g`: directives beside the file's.
    globals: String,
}

fn parse(args: &[String]) -> Done<Options> {
    let mut options = Options {
        config: "/etc/nginx/nginx.conf".to_owned(),
        prefix: "/usr/share/nginx/".to_owned(),
        test: false,
        quiet: false,
        signal: None,
        globals: String::new(),
    };
    let refuse = |text: String| Err(Stop::error(1, text));
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        let Some(letters) = arg.strip_prefix('-') else {
            return refuse(format!("nginx: invalid option: \"{arg}\"\n"));
        };
        for (at, letter) in letters.char_indices() {
            match letter {
                '?' | 'h' => return Err(Stop::error(0, format!("nginx version: {SERVER}\n{USAGE}"))),
                'v' => return Err(Stop::error(0, format!("nginx version: {SERVER}\n"))),
                't' => options.test = true,
                'q' => options.quiet = true,
                'V' | 'T' | 'e' => return refuse(format!("nginx: not modelled yet: -{letter}\n")),
                'p' | 'c' | 's' | 'g' => {
                    let attached = &letters[at + 1..];
                    let value =
                        if attached.is_empty() { rest.next().cloned() } else { Some(attached.to_owned()) };
                    let Some(value) = value else {
                        let what = match letter {
                            'p' => "directory name",
                            'c' => "file name",
                            's' => "parameter",
                            _ => "parameter",
                        };
                        return refuse(format!("nginx: option \"-{letter}\" requires {what}\n"));
                    };
                    match letter {
                        'p' => options.prefix = value,
                        'c' => options.config = value,
                        'g' => options.globals = value,
                        _ if ["stop", "quit", "reload", "reopen"].contains(&value.as_str()) => {
                            options.signal = Some(value);
                        }
                        _ => return refuse(format!("nginx: invalid option: \"-s {value}\"\n")),
                    }
                    break;
                }
                other => return refuse(format!("nginx: invalid option: \"{other}\"\n")),
            }
        }
    }
    Ok(options)
}

/// A path of the configuration; relative ones are below the prefix.
fn below(process: &Process, prefix: &str, path: &str) -> String {
    match path.starts_with('/') {
        true => path.to_owned(),
        false => process.path(&format!("{}/{path}", prefix.trim_end_matches('/'))),
    }
}

/// A time as nginx logs errors.
fn stamp(process: &Process, level: &str) -> String {
    let time = DateTime::from_timestamp((wall(process.now()) / 1_000_000_000) as i64, 0).unwrap_or_default();
    format!("{} [{level}] {pid}#{pid}: ", time.format("%Y/%m/%d %H:%M:%S"), pid = process.pid)
}

/// Reads the configuration.
async fn read(process: &mut Process, options: &Options) -> Result<Config, String> {
    let path = below(process, &options.prefix, &options.config);
    let Ok(bytes) = process.files.clone().read(&path).await else {
        return Err(format!("open() \"{path}\" failed (2: No such file or directory)"));
    };
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let known = {
        let (hosts_of_machine, mut known) = (Hosts::read(process).await, Vec::new());
        // Names of upstreams are no hosts, and are not looked up.
        let upstreams: Vec<&str> =
            text.split("upstream ").skip(1).filter_map(|rest| rest.split_whitespace().next()).collect();
        for name in hosts(&text) {
            if upstreams.contains(&name.as_str()) {
                continue;
            }
            if let Ok(address) = hosts_of_machine.address(process, &name).await {
                known.push((name, address));
            }
        }
        known
    };
    let mut config = Config::parse(&path, &text, &known)?;
    if !options.globals.is_empty() {
        let more = format!("{}\nevents {{}}\n", options.globals);
        config.daemon = Config::parse("command line", &more, &[])?.daemon;
    }
    config.pid = below(process, &options.prefix, &config.pid);
    Ok(config)
}

async fn nginx(process: &mut Process) -> Done<i32> {
    let options = parse(process.args())?;
    let path = below(process, &options.prefix, &options.config);
    let config = match read(process, &options).await {
        Ok(config) => config,
        Err(why) => {
            let mut text = String::new();
            if why == Config::NO_EVENTS && options.test && !options.quiet {
                text += &format!("nginx: the configuration file {path} syntax is ok\n");
            }
            text += &format!("{}{why}\n", stamp(process, "emerg"));
            if options.test {
                text += &format!("nginx: configuration file {path} test failed\n");
            }
            return Err(Stop::error(1, text));
        }
    };
    if options.test {
        if !options.quiet {
            process.eprint(format!(
                "nginx: the configuration file {path} syntax is ok\n\
                 nginx: configuration file {path} test is successful\n"
            ));
        }
        return Ok(0);
    }
    if let Some(signal) = options.signal {
        return send_signal(process, &signal, &config.pid).await;
    }
    let sockets = bind(process, &config, Vec::new()).await?;
    if config.daemon {
        drop(sockets);
        let mut argv = process.argv.clone();
        argv.extend(["-g".to_owned(), "daemon off;".to_owned()]);
        let child = process.daemon(process.netns, argv);
        process.shell.clone().detach(child);
        return Ok(0);
    }
    let pid = format!("{}\n", process.pid);
    if process.files.clone().write(&config.pid, pid.as_bytes()).await.is_err() {
        let why = format!("open() \"{}\" failed (2: No such file or directory)", config.pid);
        return Err(Stop::error(1, format!("{}{why}\n", stamp(process, "emerg"))));
    }
    for signal in [Signal::HUP, Signal::TERM, Signal::INT, Signal::QUIT] {
        process.signals.catch(signal);
    }
    let server =
        Server { options, shared: Shared::new(config), sockets, connections: Vec::new(), accepted: 0 };
    Ok(server.run(process).await)
}

/// `-s`: tells the process of the pid file.
async fn send_signal(process: &mut Process, signal: &str, file: &str) -> Done<i32> {
    process.eprint(format!("{}signal process started\n", stamp(process, "notice")));
    let failed =
        |process: &Process, why: String| Err(Stop::error(1, format!("{}{why}\n", stamp(process, "error"))));
    let Ok(bytes) = process.files.clone().read(file).await else {
        return failed(process, format!("open() \"{file}\" failed (2: No such file or directory)"));
    };
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    let Ok(pid) = text.parse::<u32>() else {
        return failed(process, format!("invalid PID number \"{text}\" in \"{file}\""));
    };
    let name = match signal {
        "reload" => "-HUP",
        "stop" => "-TERM",
        "quit" => "-QUIT",
        _ => return failed(process, "not modelled yet: -s reopen".to_owned()),
    };
    let argv = ["kill", name, &pid.to_string()].map(str::to_owned).to_vec();
    let mut child = process.child(process.netns, argv);
    child.stderr = Arc::new(crate::process::Nowhere);
    match process.shell.clone().spawn(child).await {
        0 => Ok(0),
        _ => failed(process, format!("kill({pid}, {}) failed (3: No such process)", signal_number(name))),
    }
}

fn signal_number(name: &str) -> u8 {
    Signal::parse(name.trim_start_matches('-')).map_or(0, |signal| signal.0)
}

/// A socket that listens, with its address.
type Listener = ((Ipv4Addr, u16), Sock);

/// Opens the sockets that a configuration wants; those that are open stay.
async fn bind(process: &mut Process, config: &Config, mut open: Vec<Listener>) -> Done<Vec<Listener>> {
    let mut wanted: Vec<(Ipv4Addr, u16)> =
        config.servers.iter().flat_map(|server| &server.listens).map(|(address, _)| *address).collect();
    wanted.sort_unstable();
    wanted.dedup();
    // What listens on all addresses listens on each.
    let ports: Vec<u16> =
        wanted.iter().filter(|(address, _)| address.is_unspecified()).map(|(_, port)| *port).collect();
    wanted.retain(|(address, port)| address.is_unspecified() || !ports.contains(port));
    open.retain(|(address, _)| wanted.contains(address));
    for (address, port) in wanted {
        if open.iter().any(|(known, _)| *known == (address, port)) {
            continue;
        }
        let socket = Sock::stream(process);
        socket.set(|opts| opts.reuseaddr = true);
        if let Err(errno) = socket.bind(address, port).and_then(|()| socket.listen(BACKLOG)) {
            let (number, why) = (errno.number(), errno.strerror());
            let start = match config.error_log.as_str() {
                "stderr" => stamp(process, "emerg"),
                _ => "nginx: [emerg] ".to_owned(),
            };
            let line = format!("{start}bind() to {address}:{port} failed ({number}: {why})\n");
            // It tries five times, half a second apart.
            return Err(Stop::error(1, format!("{}{start}still could not bind()\n", line.repeat(5))));
        }
        open.push(((address, port), socket));
    }
    Ok(open)
}

/// What all connections share.
struct Shared {
    config: Arc<Config>,
    balancers: Vec<Balancer>,
}

impl Shared {
    fn new(config: Config) -> Shared {
        let balancers = config.upstreams.iter().map(Balancer::new).collect();
        Shared { config: Arc::new(config), balancers }
    }
}

struct Server {
    options: Options,
    shared: Shared,
    sockets: Vec<Listener>,
    connections: Vec<Connection>,
    accepted: u64,
}

impl Server {
    async fn run(mut self, process: &mut Process) -> i32 {
        let mut quits = false;
        loop {
            for (address, socket) in &self.sockets {
                while let Ok(Some(accepted)) = socket.accept() {
                    self.accepted += 1;
                    let port = address.1;
                    self.connections.push(Connection::new(accepted, self.accepted, port, process.now()));
                }
            }
            let mut open = Vec::new();
            for mut connection in std::mem::take(&mut self.connections) {
                if connection.advance(process, &mut self.shared).await {
                    open.push(connection);
                }
            }
            self.connections = open;
            if quits && self.connections.iter().all(Connection::is_idle) {
                break;
            }
            match self.wait(process).await {
                Woken::Signal(Signal::HUP) => self.reload(process).await,
                Woken::Signal(Signal::QUIT) => {
                    quits = true;
                    self.sockets.clear();
                }
                Woken::Signal(_) => break,
                Woken::Ready(()) | Woken::Elapsed => {}
            }
        }
        0
    }

    /// Takes a new configuration; requests that are under way keep theirs. One that is wrong is only logged.
    async fn reload(&mut self, process: &mut Process) {
        let config = match read(process, &self.options).await {
            Ok(config) => config,
            Err(why) => return log_error(process, &self.shared.config, "emerg", &why).await,
        };
        match bind(process, &config, std::mem::take(&mut self.sockets)).await {
            Ok(sockets) => {
                self.sockets = sockets;
                self.shared = Shared::new(config);
                // The old workers close what waits for another request.
                self.connections.retain(|connection| !connection.is_idle());
            }
            Err(stop) => {
                let why = stop.stderr.lines().next().unwrap_or_default().to_owned();
                log_error(process, &self.shared.config, "emerg", &why).await;
            }
        }
    }

    async fn wait(&self, process: &mut Process) -> Woken<()> {
        let machine = process.machine;
        let listeners: Vec<_> = self.sockets.iter().map(|(_, socket)| socket.id).collect();
        let waits: Vec<_> = self.connections.iter().flat_map(Connection::waits).collect();
        let deadline = self.connections.iter().filter_map(Connection::deadline).min();
        process
            .wait(deadline, move |world| {
                let ready = listeners.iter().any(|id| readable(world, machine, *id))
                    || waits.iter().any(|(id, writes)| match writes {
                        true => crate::stream::writable(world, machine, *id),
                        false => readable(world, machine, *id),
                    });
                ready.then_some(())
            })
            .await
    }
}

/// Writes a line to the error log.
async fn log_error(process: &mut Process, config: &Config, level: &str, what: &str) {
    let line = format!("{}{what}\n", stamp(process, level));
    write_log(process, &config.error_log, line).await;
}

/// Writes to a log: a file, standard error or standard output.
async fn write_log(process: &mut Process, path: &str, line: String) {
    match path {
        "stderr" | "/dev/stderr" => process.eprint(line),
        "/dev/stdout" => process.print(line),
        path => {
            let path = process.path(path);
            // A log that cannot be written is lost.
            let _ = process.files.clone().append(&path, line.as_bytes()).await;
        }
    }
}
