//! `traceroute` 2.1.2 of Debian 12: probes with a growing TTL, several at once.
//!
//! Not modelled: IPv6, TCP and other methods than UDP and ICMP echo, `-g`, `-r`, `-A`, `--mtu`, `--back`,
//! `--sport`, `--fwmark`.

mod options;

use std::net::{IpAddr, Ipv4Addr};

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{PmtuDisc, SockError, SockKind};
use glassnet_sim::Nanos;

use crate::hosts::Hosts;
use crate::process::{Process, Running};
use crate::sock::{self, Sock};
use crate::stop::{Done, Stop};
use crate::tcpdump::print::checksum;
use options::Options;

/// Bytes of the IPv4 header and of the UDP or ICMP header.
const HEADERS: usize = 28;
/// Default packet length, bytes.
const PACKET: usize = 60;
/// The first port of UDP probes.
const FIRST_PORT: u16 = 33_434;
const IPPROTO_ICMP: u8 = 1;
/// Added to a wait derived from a round-trip time, seconds.
const WAIT_SLACK: f64 = 0.001;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { traceroute(process).await.map_or_else(|stop| stop.say(process), |()| 0) })
}

async fn traceroute(process: &mut Process) -> Done {
    let hosts = Hosts::read(process).await;
    let mut options = options::parse(process.args(), &hosts)?;
    options.address = match hosts.address(process, &options.host).await {
        Ok(address) => address,
        Err(gai) => {
            let (host, at, why) = (&options.host, options.host_at, gai.text());
            return options::refuse(&format!(
                "{host}: {why}\nCannot handle \"host\" cmdline arg `{host}' on position 1 (argc {at})"
            ));
        }
    };
    let length = options.length.unwrap_or(PACKET).max(HEADERS);
    process.print(format!(
        "traceroute to {} ({}), {} hops max, {length} byte packets\n",
        options.host, options.address, options.hops
    ));
    let count = options.hops * options.queries;
    let probes = (0..count).map(|_| Probe::default()).collect();
    let echo = match options.icmp {
        true => Some(open(process, &options, SockKind::Raw { protocol: IPPROTO_ICMP })?),
        false => None,
    };
    let data = (0..length - HEADERS).map(|at| 0x40 + (at & 0x3f) as u8).collect();
    Trace { options, hosts, probes, echo, data, last_send: None }.run(process).await
}

/// One probe.
#[derive(Default)]
struct Probe {
    socket: Option<Sock>,
    sent: Option<Nanos>,
    received: Option<Nanos>,
    from: Option<Ipv4Addr>,
    remark: String,
    /// Answered, or timed out.
    done: bool,
    /// The destination, or an error that ends the trace.
    last: bool,
}

struct Trace {
    options: Options,
    hosts: Hosts,
    probes: Vec<Probe>,
    /// The socket of all ICMP probes.
    echo: Option<Sock>,
    data: Vec<u8>,
    last_send: Option<Nanos>,
}

fn fatal(what: &str, errno: Errno) -> Stop {
    Stop::error(1, format!("{what}: {}\n", errno.strerror()))
}

/// Opens a socket with the options.
fn open(process: &Process, options: &Options, kind: SockKind) -> Done<Sock> {
    let socket = Sock::open(process, kind);
    if let Some(name) = &options.device {
        let ifindex = sock::device(process, name, |dev| dev.ifindex);
        let ifindex = ifindex.ok_or_else(|| fatal("setsockopt SO_BINDTODEVICE", Errno::ENODEV))?;
        socket.set(|opts| opts.bound_dev_if = ifindex);
    }
    let pmtudisc = if options.dont_fragment { PmtuDisc::Do } else { PmtuDisc::Dont };
    socket.set(|opts| (opts.pmtudisc, opts.recverr, opts.tos) = (pmtudisc, true, options.tos));
    if let Some(source) = options.source {
        socket.bind(source, 0).map_err(|errno| fatal("bind", errno))?;
    }
    Ok(socket)
}

impl Trace {
    async fn run(mut self, process: &mut Process) -> Done {
        let mut start = (self.options.first - 1) * self.options.queries;
        let mut end = self.probes.len();
        while start < end {
            let mut wake: Option<Nanos> = None;
            let mut under_way = 0;
            let mut at = start;
            while at < end {
                let now = process.now();
                self.expire(at, now);
                if self.probes[at].done {
                    if at == start {
                        if let Some(from) = self.probes[at].from.filter(|_| !self.options.numeric) {
                            // Without a name it is printed as a number.
                            let _ = self.hosts.learn(process, from).await;
                        }
                        let line = self.describe(at);
                        process.print(line);
                        start += 1;
                    }
                    if self.probes[at].last {
                        end = (at / self.options.queries + 1) * self.options.queries;
                    }
                    at += 1;
                    continue;
                }
                if self.probes[at].sent.is_none() {
                    if let Some(due) = self.paused_until(now) {
                        wake = Some(due);
                        break;
                    }
                    self.send(process, at)?;
                }
                if let Some(sent) = self.probes[at].sent {
                    let due = sent + seconds(self.patience(at));
                    wake = Some(wake.map_or(due, |wake| wake.min(due)));
                }
                under_way += 1;
                if under_way >= self.options.together {
                    break;
                }
                at += 1;
            }
            if wake.is_some() {
                self.wait(process, wake).await;
            }
        }
        Ok(())
    }

    fn expire(&mut self, at: usize, now: Nanos) {
        let patience = seconds(self.patience(at));
        let probe = &mut self.probes[at];
        if !probe.done && probe.sent.is_some_and(|sent| now.since(sent) >= patience) {
            (probe.done, probe.socket) = (true, None);
        }
    }

    /// Time of the next probe with `-z`, if in the future.
    fn paused_until(&self, now: Nanos) -> Option<Nanos> {
        let due = self.last_send? + seconds(self.options.pause);
        (self.options.pause > 0.0 && due > now).then_some(due)
    }

    /// Timeout of a probe in seconds; shorter if its hop or a later one answered.
    fn patience(&self, at: usize) -> f64 {
        let [most, here, near] = self.options.wait;
        let trip = |probe: &Probe| match (probe.done, probe.sent, probe.received) {
            (true, Some(sent), Some(received)) if received > sent => Some(received.since(sent).as_secs_f64()),
            _ => None,
        };
        let hop = at - at % self.options.queries;
        let same = self.probes[hop..hop + self.options.queries].iter().find_map(trip);
        let later = self.probes[at + 1..].iter().take_while(|probe| probe.sent.is_some()).find_map(trip);
        match (same.filter(|_| here > 0.0), later.filter(|_| near > 0.0)) {
            (Some(trip), _) => most.min((trip + WAIT_SLACK) * here),
            (None, Some(trip)) => most.min((trip + WAIT_SLACK) * near),
            (None, None) => most,
        }
    }

    fn send(&mut self, process: &mut Process, at: usize) -> Done {
        let ttl = (at / self.options.queries + 1) as u8;
        let sent = process.now();
        let outcome = match &self.echo {
            Some(socket) => {
                socket.set(|opts| opts.ttl = Some(ttl));
                let packet = self.echo_request(process.pid as u16, self.sequence(at));
                socket.send_to(self.options.address, 0, &packet)
            }
            None => {
                let socket = open(process, &self.options, SockKind::Udp)?;
                socket.set(|opts| opts.ttl = Some(ttl));
                let port = self.options.port.unwrap_or(FIRST_PORT).wrapping_add(at as u16);
                socket.connect(self.options.address, port).map_err(|errno| fatal("connect", errno))?;
                let outcome = socket.send_to(self.options.address, port, &self.data);
                self.probes[at].socket = Some(socket);
                outcome
            }
        };
        self.probes[at].sent = Some(sent);
        self.last_send = Some(sent);
        match outcome {
            // Errors are in the error queue.
            Ok(_) | Err(Errno::EMSGSIZE | Errno::EHOSTUNREACH | Errno::ECONNREFUSED) => Ok(()),
            Err(errno) => Err(fatal("send", errno)),
        }
    }

    fn sequence(&self, at: usize) -> u16 {
        self.options.port.unwrap_or(1).wrapping_add(at as u16)
    }

    fn echo_request(&self, ident: u16, sequence: u16) -> Vec<u8> {
        let mut packet = vec![8, 0, 0, 0];
        packet.extend(ident.to_be_bytes());
        packet.extend(sequence.to_be_bytes());
        packet.extend(&self.data);
        let sum = checksum(&[&packet]);
        packet[2..4].copy_from_slice(&sum.to_be_bytes());
        packet
    }

    async fn wait(&mut self, process: &mut Process, deadline: Option<Nanos>) {
        let sockets = self.probes.iter().filter_map(|probe| probe.socket.as_ref()).chain(&self.echo);
        let wait = sock::wait_any(sockets.collect());
        process.wait(deadline, wait).await;
        self.take_udp();
        self.take_echo(process.pid as u16);
    }

    fn take_udp(&mut self) {
        for probe in &mut self.probes {
            let Some(socket) = &probe.socket else { continue };
            if let Some(error) = socket.receive_error() {
                probe.answer(&error, false);
            } else if let Ok(Some(received)) = socket.receive() {
                // A reply of an open port.
                probe.finish(received.at, received.from.0);
                probe.last = true;
            }
        }
    }

    /// One message a round: all echo requests have one socket, and the real tool reads one message of each socket that
    /// is ready.
    fn take_echo(&mut self, ident: u16) {
        let Some(socket) = &self.echo else { return };
        let first = self.options.port.unwrap_or(1);
        let mine = |icmp: &[u8], kind: u8| {
            let icmp = icmp.get(..8).filter(|icmp| icmp[0] == kind && icmp[4..6] == ident.to_be_bytes())?;
            Some(usize::from(u16::from_be_bytes([icmp[6], icmp[7]]).wrapping_sub(first)))
        };
        if let Some(error) = socket.receive_error() {
            if let Some(probe) = mine(&error.data, 8).and_then(|at| self.probes.get_mut(at)) {
                probe.answer(&error, true);
            }
        } else if let Ok(Some(received)) = socket.receive() {
            let header = usize::from(received.data.first().copied().unwrap_or(0) & 0xf) * 4;
            let icmp = received.data.get(header..).unwrap_or(&[]);
            let Some(probe) = mine(icmp, 0).and_then(|at| self.probes.get_mut(at)) else { return };
            if !probe.done {
                probe.finish(received.at, received.from.0);
                probe.last = true;
            }
        }
    }

    /// Output for a finished probe.
    fn describe(&self, at: usize) -> String {
        let queries = self.options.queries;
        let probe = &self.probes[at];
        let before = self.probes[at - at % queries..at].iter().rev().find_map(|probe| probe.from);
        let mut text =
            if at.is_multiple_of(queries) { format!("{:2} ", at / queries + 1) } else { String::new() };
        text += &match probe.from {
            None => " *".to_owned(),
            Some(from) if before == Some(from) => String::new(),
            Some(from) => self.host(from),
        };
        if let (Some(sent), Some(received)) = (probe.sent, probe.received) {
            text += &format!("  {:.3} ms", received.since(sent).0 as f64 / 1e6);
        }
        text += &probe.remark;
        text += if (at + 1).is_multiple_of(queries) { "\n" } else { "" };
        text
    }

    fn host(&self, address: Ipv4Addr) -> String {
        if self.options.numeric {
            return format!(" {address}");
        }
        let digits = address.to_string();
        format!(" {} ({digits})", self.hosts.name(IpAddr::V4(address)).unwrap_or(&digits))
    }
}

impl Probe {
    fn finish(&mut self, at: Nanos, from: Ipv4Addr) {
        (self.received, self.from, self.done, self.socket) = (Some(at), Some(from), true, None);
    }

    /// Handles an ICMP error or local error about a probe.
    fn answer(&mut self, error: &SockError, echo: bool) {
        if self.done {
            return;
        }
        if !error.from_icmp {
            (self.received, self.done, self.last, self.socket) = (Some(error.at), true, true, None);
            self.remark = match error.errno {
                Errno::EMSGSIZE => format!(" !F-{}", error.info),
                _ => String::new(),
            };
            return;
        }
        self.finish(error.at, error.offender);
        if error.kind == 11 {
            return;
        }
        self.last = true;
        self.remark = match (error.kind, error.code) {
            (3, 3) if !echo => String::new(),
            (3, 0 | 6 | 8 | 11) => " !N".to_owned(),
            (3, 1 | 7 | 12) => " !H".to_owned(),
            (3, 2) => " !P".to_owned(),
            (3, 4) => format!(" !F-{}", error.info),
            (3, 5) => " !S".to_owned(),
            (3, 9 | 10 | 13) => " !X".to_owned(),
            (3, 14) => " !V".to_owned(),
            (3, 15) => " !C".to_owned(),
            (3, code) => format!(" !<{code}>"),
            (kind, code) => format!(" !<{kind}-{code}>"),
        };
    }
}

/// Seconds as a duration, at most a year.
fn seconds(seconds: f64) -> Nanos {
    const YEAR: f64 = 365.0 * 86_400.0;
    Nanos((seconds.min(YEAR) * 1e9) as u64)
}
