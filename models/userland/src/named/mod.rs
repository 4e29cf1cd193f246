//! `named` of BIND 9.18: a name server for its own zones, which asks forwarders for other names.
//!
//! | file | owns |
//! |---|---|
//! | `config.rs` | `named.conf` |
//! | `zone.rs` | zone files |
//! | `answer.rs` | answers from zones |
//! | `forward.rs` | questions to forwarders, and the memory of their answers |
//!
//! It runs in the foreground (`-g` with its log on standard error, `-f` without one). It listens on the addresses that are there when it
//! starts or reads its configuration again. Not modelled: the daemon, what it logs of its build, `rndc`, transfers and updates of zones,
//! DNSSEC, automatic empty zones, recursion from the root.
//! Names in messages are compressed wherever they can be; BIND writes some in full (those of SOA and NS records), and points at targets of SRV.

mod answer;
mod config;
mod forward;
mod zone;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use chrono::DateTime;
use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};
use glassnet_sim::Nanos;
use simple_dns::{OPCODE, Packet, PacketFlag, QTYPE, RCODE};

use crate::dig::RELEASE;
use crate::dig::lookup::{COOKIE, opt};
use crate::getopt;
use crate::process::{Process, Running, Signal, Woken};
use crate::resolver::exchange::{PORT, framed, take_framed};
use crate::sock::{self, Sock, readable, wall};
use crate::stop::{Done, Stop};
use crate::stream::{BUFSIZE, writable};

use answer::{Answer, put_in_order};
use config::Config;
use forward::{Cache, Pending};
use zone::Zone;

/// Size of messages over UDP (`edns-udp-size`), and without EDNS.
const UDP_SIZE: usize = 1232;
const PLAIN_SIZE: usize = 512;
/// The backlog of listen(2).
const BACKLOG: usize = 10;
/// The port of name servers, unless `-p`.
const DEFAULT_CONFIG: &str = "/etc/bind/named.conf";

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { start(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

/// Who asks.
#[derive(Clone, Debug)]
enum Client {
    /// At this one of the sockets, from there.
    Udp(usize, (Ipv4Addr, u16)),
    /// Over a connection: its number.
    Tcp(u64),
}

struct Connection {
    number: u64,
    socket: Sock,
    received: Vec<u8>,
    to_send: Vec<u8>,
    ended: bool,
}

struct Server {
    path: String,
    logs: bool,
    config: Config,
    zones: BTreeMap<String, Zone>,
    /// The texts of the zones' files.
    texts: BTreeMap<String, String>,
    addresses: Vec<Ipv4Addr>,
    udp: Vec<Sock>,
    tcp: Vec<Sock>,
    connections: Vec<Connection>,
    accepted: u64,
    pending: Vec<Pending>,
    cache: Cache,
}

async fn start(process: &mut Process) -> Done<i32> {
    let args = process.args().to_vec();
    let parsed = getopt::parse(&args, "46c:d:fgn:p:t:u:vV", &[]);
    if let Some(error) = parsed.error {
        return Err(Stop::error(1, format!("named: {error}\n")));
    }
    let (mut path, mut foreground, mut logs) = (DEFAULT_CONFIG.to_owned(), false, false);
    for option in parsed.options {
        match option.name.as_str() {
            "c" => path = option.value,
            "f" => foreground = true,
            "g" => (foreground, logs) = (true, true),
            // One thread or several, IPv4 only, as which user: nothing of it shows.
            "4" | "n" | "u" => {}
            "v" => return Err(Stop::shown(format!("BIND {RELEASE} (Extended Support Version) <id:>\n"))),
            other => return Err(Stop::error(1, format!("named: not modelled yet: -{other}\n"))),
        }
    }
    if !foreground {
        return Err(Stop::error(1, "named: not modelled yet: the daemon (use -f or -g)\n"));
    }
    let path = process.path(&path);
    let mut server = Server {
        path,
        logs,
        config: Config::default(),
        zones: BTreeMap::new(),
        texts: BTreeMap::new(),
        addresses: Vec::new(),
        udp: Vec::new(),
        tcp: Vec::new(),
        connections: Vec::new(),
        accepted: 0,
        pending: Vec::new(),
        cache: Cache::default(),
    };
    server.log(process, &format!("starting BIND {RELEASE} (Extended Support Version) <id:>"));
    if !server.configure(process).await {
        server.log(process, "exiting (due to fatal error)");
        return Ok(1);
    }
    server.load(process).await;
    server.log(process, "all zones loaded");
    server.log(process, "running");
    for signal in [Signal::HUP, Signal::TERM, Signal::INT] {
        process.signals.catch(signal);
    }
    Ok(server.serve(process).await)
}

impl Server {
    fn log(&self, process: &mut Process, text: &str) {
        if !self.logs {
            return;
        }
        let nanos = wall(process.now());
        let time = DateTime::from_timestamp_nanos(nanos as i64);
        process.eprint(format!("{} {text}\n", time.format("%d-%b-%Y %H:%M:%S%.3f")));
    }

    /// Reads the configuration; false if it is refused.
    async fn configure(&mut self, process: &mut Process) -> bool {
        let path = self.path.clone();
        self.log(process, &format!("loading configuration from '{path}'"));
        let read = process.files.clone().read(&path).await;
        let refused = match read {
            Ok(bytes) => match Config::parse(&path, &String::from_utf8_lossy(&bytes)) {
                Ok(config) => {
                    self.config = config;
                    Vec::new()
                }
                Err(refused) => refused,
            },
            Err(_) => {
                vec![
                    format!("open: {path}: file not found"),
                    "loading configuration: file not found".to_owned(),
                ]
            }
        };
        for line in &refused {
            self.log(process, line);
        }
        if !refused.is_empty() {
            return false;
        }
        if let Some(directory) = self.config.directory.clone() {
            self.log(process, &format!("the working directory is now '{directory}'"));
            process.cwd = directory;
        }
        if let Some(file) = self.config.pid_file.clone() {
            let (path, text) = (process.path(&file), format!("{}\n", process.pid));
            if process.files.clone().write(&path, text.as_bytes()).await.is_err() {
                self.log(process, &format!("couldn't open pid file '{file}': file not found"));
                return false;
            }
        }
        self.listen(process);
        true
    }

    /// Opens sockets on the addresses that are new.
    fn listen(&mut self, process: &mut Process) {
        for (_, device) in sock::interfaces(process) {
            for address in sock::addresses(process, &device) {
                let wanted = self.config.listen_on.as_ref().is_none_or(|all| all.contains(&address));
                if !wanted || self.addresses.contains(&address) {
                    continue;
                }
                self.log(process, &format!("listening on IPv4 interface {device}, {address}#{PORT}"));
                let (udp, tcp) = (Sock::open(process, SockKind::Udp), Sock::stream(process));
                // As with `IP_PMTUDISC_OMIT`, routers may cut it.
                udp.set(|opts| opts.pmtudisc = PmtuDisc::Dont);
                tcp.set(|opts| opts.reuseaddr = true);
                let bound = udp.bind(address, PORT).and_then(|()| tcp.bind(address, PORT));
                if bound.and_then(|()| tcp.listen(BACKLOG)).is_err() {
                    self.log(process, "could not listen on UDP socket: address in use");
                    self.log(process, &format!("creating IPv4 interface {device} failed; interface ignored"));
                    continue;
                }
                self.addresses.push(address);
                self.udp.push(udp);
                self.tcp.push(tcp);
            }
        }
    }

    /// Loads zones whose files have changed. One that cannot be loaded stays as it is.
    async fn load(&mut self, process: &mut Process) {
        let wanted = self.config.zones.clone();
        self.zones.retain(|name, _| wanted.iter().any(|zone| zone.name == *name));
        for zone in wanted {
            let path = process.path(&zone.file);
            let Ok(bytes) = process.files.clone().read(&path).await else {
                let shown = zone::shown(&zone.name);
                let file = &zone.file;
                self.log(
                    process,
                    &format!("zone {shown}/IN: loading from master file {file} failed: file not found"),
                );
                self.log(process, &format!("zone {shown}/IN: not loaded due to errors."));
                continue;
            };
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if self.texts.get(&zone.name) == Some(&text) {
                continue;
            }
            match Zone::parse(&zone.name, &zone.file, &text) {
                Ok((read, log)) => {
                    let shown = zone::shown(&zone.name);
                    let serial = read.serial;
                    if self.zones.get(&zone.name).is_some_and(|before| before.serial == serial) {
                        let what = format!(
                            "zone {shown}/IN: zone serial ({serial}) unchanged. zone may fail to transfer to secondaries."
                        );
                        self.log(process, &what);
                    }
                    log.iter().for_each(|line| self.log(process, line));
                    self.zones.insert(zone.name.clone(), read);
                }
                Err(log) => log.iter().for_each(|line| self.log(process, line)),
            }
            self.texts.insert(zone.name, text);
        }
    }

    /// Answers questions until a signal ends it.
    async fn serve(&mut self, process: &mut Process) -> i32 {
        loop {
            self.take_datagrams(process);
            self.take_connections(process);
            self.take_answers(process);
            match self.wait(process).await {
                Woken::Signal(Signal::HUP) => self.reload(process).await,
                Woken::Signal(_) => {
                    for address in self.addresses.clone() {
                        self.log(process, &format!("no longer listening on {address}#{PORT}"));
                    }
                    self.log(process, "shutting down");
                    self.log(process, "exiting");
                    return 0;
                }
                Woken::Ready(()) | Woken::Elapsed => {}
            }
        }
    }

    async fn reload(&mut self, process: &mut Process) {
        self.log(process, "received SIGHUP signal to reload zones");
        let before = self.config.clone();
        self.cache.forget_cookies();
        if self.configure(process).await {
            self.log(process, "reloading configuration succeeded");
        } else {
            self.config = before;
            self.log(process, "reloading configuration failed: failure");
        }
        self.log(process, "reloading zones succeeded");
        self.log(process, "running");
        self.load(process).await;
    }

    async fn wait(&self, process: &mut Process) -> Woken<()> {
        let machine = process.machine;
        let sockets: Vec<_> = self.udp.iter().chain(&self.tcp).map(|socket| (socket.id, false)).collect();
        let asked = self.pending.iter().map(|pending| (pending.socket.id, false));
        let open = self.connections.iter().map(|open| (open.socket.id, !open.to_send.is_empty()));
        let all: Vec<_> = sockets.into_iter().chain(asked).chain(open).collect();
        let deadline = self.pending.iter().map(|pending| pending.deadline).min();
        process
            .wait(deadline, move |world| {
                let ready = |&(id, writes): &(_, bool)| {
                    readable(world, machine, id) || writes && writable(world, machine, id)
                };
                all.iter().any(ready).then_some(())
            })
            .await
    }

    fn take_datagrams(&mut self, process: &mut Process) {
        for at in 0..self.udp.len() {
            while let Ok(Some(message)) = self.udp[at].receive() {
                self.question(process, Client::Udp(at, message.from), &message.data);
            }
        }
    }

    fn take_connections(&mut self, process: &mut Process) {
        for at in 0..self.tcp.len() {
            while let Ok(Some(socket)) = self.tcp[at].accept() {
                self.accepted += 1;
                let (received, to_send, number) = (Vec::new(), Vec::new(), self.accepted);
                self.connections.push(Connection { number, socket, received, to_send, ended: false });
            }
        }
        let mut questions = Vec::new();
        for open in &mut self.connections {
            loop {
                match open.socket.read(BUFSIZE) {
                    Ok(Some(bytes)) if bytes.is_empty() => {
                        open.ended = true;
                        break;
                    }
                    Ok(Some(bytes)) => open.received.extend(bytes),
                    Ok(None) => break,
                    Err(_) => {
                        (open.ended, open.to_send) = (true, Vec::new());
                        break;
                    }
                }
            }
            while let Some(message) = take_framed(&mut open.received) {
                questions.push((open.number, message));
            }
        }
        for (number, message) in questions {
            self.question(process, Client::Tcp(number), &message);
        }
        for open in &mut self.connections {
            if let Ok(taken) = open.socket.write(&open.to_send) {
                open.to_send.drain(..taken);
            }
        }
        let waits = |number: u64| {
            self.pending.iter().any(|pending| matches!(pending.client, Client::Tcp(other) if other == number))
        };
        self.connections.retain(|open| !open.ended || !open.to_send.is_empty() || waits(open.number));
    }

    /// Answers a question, or asks others.
    fn question(&mut self, process: &mut Process, client: Client, bytes: &[u8]) {
        let Ok(query) = Packet::parse(bytes) else {
            // What has a header is answered.
            if let (Some([high, low]), true) = (bytes.get(..2), bytes.len() >= 12) {
                let packet = Packet::new_query(u16::from_be_bytes([*high, *low]));
                self.reply(process, &client, &packet, Answer::of(RCODE::FormatError));
            }
            return;
        };
        if query.has_flags(PacketFlag::RESPONSE) {
            return;
        }
        let [asked] = query.questions.as_slice() else {
            return self.reply(process, &client, &query, Answer::of(RCODE::FormatError));
        };
        if query.opcode() != OPCODE::StandardQuery || matches!(asked.qtype, QTYPE::AXFR | QTYPE::IXFR) {
            let rcode =
                if query.opcode() == OPCODE::StandardQuery { RCODE::Refused } else { RCODE::NotImplemented };
            return self.reply(process, &client, &query, Answer::of(rcode));
        }
        let recursive = query.has_flags(PacketFlag::RECURSION_DESIRED);
        let (name, kind, order) = (asked.qname.to_string(), asked.qtype, self.config.order);
        let shuffle = |records: &mut [zone::Record]| {
            put_in_order(order, records, |bound| sock::random(process, bound));
        };
        let answer = answer::answer(&self.zones, (&name, kind), recursive, shuffle);
        let Some(missing) = answer.missing.clone() else {
            return self.reply(process, &client, &query, answer);
        };
        if !recursive || !self.config.recursion {
            let empty = answer.answers.is_empty();
            let answer = if empty { Answer::of(RCODE::Refused) } else { answer };
            return self.reply(process, &client, &query, answer);
        }
        self.look_elsewhere(process, client, (bytes, answer), (missing, kind));
    }

    fn reply(&mut self, process: &mut Process, client: &Client, query: &Packet, answer: Answer) {
        let udp = matches!(client, Client::Udp(..));
        let limit = match query.opt() {
            _ if !udp => usize::from(u16::MAX),
            None => PLAIN_SIZE,
            Some(opt) => usize::from(opt.udp_packet_size).clamp(PLAIN_SIZE, UDP_SIZE),
        };
        let record = query.opt().map(|asked| {
            let mut cookies =
                asked.opt_codes.iter().filter(|code| code.code == COOKIE && code.data.len() >= 8);
            let cookie =
                cookies.next().map(|code| server_cookie(process, &code.data[..8])).unwrap_or_default();
            opt(UDP_SIZE as u16, &cookie)
        });
        let message = answer::message(query, answer, record, self.config.recursion, limit);
        match client {
            Client::Udp(at, (address, port)) => {
                // Who cannot be reached gets no answer.
                let _ = self.udp[*at].send_to(*address, *port, &message);
            }
            Client::Tcp(number) => {
                if let Some(open) = self.connections.iter_mut().find(|open| open.number == *number) {
                    open.to_send.extend(framed(&message));
                    if let Ok(taken) = open.socket.write(&open.to_send) {
                        open.to_send.drain(..taken);
                    }
                }
            }
        }
    }
}

/// The cookie of a client with the server's behind it (RFC 9018): version, time, and a hash with a secret.
fn server_cookie(process: &Process, client: &[u8]) -> Vec<u8> {
    let seconds = (wall(process.now()) / 1_000_000_000) as u32;
    let hash = (0..8).map(|_| sock::random(process, 256) as u8);
    client.iter().copied().chain([1, 0, 0, 0]).chain(seconds.to_be_bytes()).chain(hash).collect()
}

/// A time from now on.
fn after(process: &Process, span: Nanos) -> Nanos {
    process.now() + span
}
