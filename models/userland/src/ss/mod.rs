//! `ss` of iproute2 6.1: TCP, UDP and raw sockets of IPv4.
//!
//! Not modelled: netlink, packet and UNIX sockets, `-i`, `-e`, `-m`, `-s`, `-K`, `-E`. The real tool lists sockets in
//! the order of the kernel's hash; here they stand in the order of their ports.

mod columns;
mod filter;
mod timer;

use std::net::Ipv4Addr;

use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::tables::socket::{SockKind, Socket};
use glassnet_kernel::tables::tcp_sock::TcpState;
use glassnet_sim::Nanos;

use crate::getopt::{self, Long, Takes};
use crate::process::{Process, Running};
use crate::services::{protocol_name, tcp_port_name, udp_port_name};
use crate::stop::{Done, Stop};
use columns::{Row, render};
use filter::{ALL, CONNECTED, Expr, LISTENING, States, Wrong};

const HELP: &str = include_str!("help.txt");
const SHORT: &str = "hVnraloemplTisbEZzN:460tMSudwxf:KHOA:D:F:";
const LONG: &[Long] = &[
    ("all", Takes::Nothing, "a"),
    ("extended", Takes::Nothing, "e"),
    ("family", Takes::Value, "f"),
    ("help", Takes::Nothing, "h"),
    ("info", Takes::Nothing, "i"),
    ("ipv4", Takes::Nothing, "4"),
    ("ipv6", Takes::Nothing, "6"),
    ("kill", Takes::Nothing, "K"),
    ("listening", Takes::Nothing, "l"),
    ("memory", Takes::Nothing, "m"),
    ("net", Takes::Value, "N"),
    ("no-header", Takes::Nothing, "H"),
    ("numeric", Takes::Nothing, "n"),
    ("oneline", Takes::Nothing, "O"),
    ("options", Takes::Nothing, "o"),
    ("processes", Takes::Nothing, "p"),
    ("raw", Takes::Nothing, "w"),
    ("resolve", Takes::Nothing, "r"),
    ("summary", Takes::Nothing, "s"),
    ("tcp", Takes::Nothing, "t"),
    ("udp", Takes::Nothing, "u"),
    ("unix", Takes::Nothing, "x"),
    ("version", Takes::Nothing, "V"),
];

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        match ss(process) {
            Ok(text) => {
                process.print(text);
                0
            }
            Err(stop) => stop.say(process),
        }
    })
}

#[derive(Clone, Debug, Default)]
struct Options {
    tcp: bool,
    udp: bool,
    raw: bool,
    all: bool,
    listening: bool,
    numeric: bool,
    processes: bool,
    no_header: bool,
    timers: bool,
    netns: Option<String>,
}

fn ss(process: &Process) -> Done<String> {
    let parsed = getopt::parse(process.args(), SHORT, LONG);
    let mut options = Options::default();
    for option in &parsed.options {
        set(&mut options, &option.name, &option.value)?;
    }
    if let Some(error) = parsed.error {
        return Err(Stop::error(255, format!("ss: {error}\n{HELP}")));
    }
    let (states, expr) = filters(&options, &parsed.operands)?;
    if !options.tcp && !options.udp && !options.raw {
        if options.all || options.listening {
            return Err(Stop::error(
                1,
                "ss: not modelled yet: netlink, packet and UNIX sockets; ask for -t, -u or -w\n",
            ));
        }
        (options.tcp, options.udp, options.raw) = (true, true, true);
    }
    let netns = match &options.netns {
        None => process.netns,
        Some(name) => named_netns(process, name)?,
    };
    let world = process.world();
    let sockets = &world.kernel(process.machine).sockets;
    let mut listed: Vec<&Socket> = sockets
        .iter()
        .filter(|socket| socket.netns == netns && wanted(&options, socket))
        .filter(|socket| states.has(state(socket)) && expr.matches(ends(socket)))
        .collect();
    listed.sort_by_key(|socket| (order(socket), socket.local.1, socket.local.0, socket.remote));
    let device = |ifindex: u32| {
        let kernel = world.kernel(process.machine);
        kernel.dev_by_index(netns, ifindex).map(|dev| kernel.devs[dev].name.clone())
    };
    let now = world.now();
    let rows: Vec<Row> = listed.iter().map(|socket| row(&options, socket, now, device)).collect();
    let families = usize::from(options.tcp) + usize::from(options.udp) + usize::from(options.raw);
    let mut shown = [true; 9];
    (shown[0], shown[1]) = (families > 1, !states.is_single());
    Ok(render(&rows, shown, !options.no_header))
}

fn named_netns(process: &Process, name: &str) -> Done<NetnsId> {
    let found = process.world().kernel(process.machine).netns_names.get(name).copied();
    match found {
        Some(netns) => Ok(netns),
        None => Err(Stop::error(
            1,
            format!("Cannot open network namespace \"{name}\": No such file or directory\n"),
        )),
    }
}

fn set(options: &mut Options, name: &str, value: &str) -> Done {
    match name {
        "h" => return Err(Stop::shown(HELP)),
        "V" => return Err(Stop::shown("ss utility, iproute2-6.1.0\n")),
        "n" => options.numeric = true,
        "a" => options.all = true,
        "l" => options.listening = true,
        "p" => options.processes = true,
        "o" => options.timers = true,
        "t" => options.tcp = true,
        "u" => options.udp = true,
        "w" => options.raw = true,
        "H" => options.no_header = true,
        // No effect: there is no IPv6, and every socket has one line.
        "4" | "O" => {}
        "f" if value == "inet" => {}
        "N" => options.netns = Some(value.to_owned()),
        other => return Err(Stop::error(1, format!("ss: not modelled yet: -{other}\n"))),
    }
    Ok(())
}

/// States and expression of the options and operands.
fn filters(options: &Options, operands: &[String]) -> Done<(States, Expr)> {
    let mut states = match (options.all, options.listening) {
        (true, _) => ALL,
        (false, true) => LISTENING,
        (false, false) => CONNECTED,
    };
    let mut rest = operands;
    let mut named: Option<States> = None;
    while let [word, name, after @ ..] = rest {
        if word != "state" && word != "exclude" {
            break;
        }
        let Some(set) = States::named(name) else {
            return Err(Stop::error(255, format!("ss: wrong state name: {name}\n")));
        };
        named = Some(match (word.as_str(), named) {
            ("state", None) => set,
            ("state", Some(before)) => States(before.0 | set.0),
            (_, before) => States(before.unwrap_or(ALL).0 & !set.0),
        });
        rest = after;
    }
    if matches!(rest, [word] if word == "state" || word == "exclude") {
        return Err(Stop::error(255, "Command line is not complete. Try option \"help\"\n"));
    }
    if let Some(named) = named {
        states = named;
    }
    match filter::parse(rest) {
        Ok(expr) => Ok((states, expr)),
        Err(Wrong::Says(text)) => Err(Stop::error(1, text)),
        Err(Wrong::Syntax) => Err(bellows("syntax error!")),
        Err(Wrong::TooDeep) => Err(bellows("memory exhausted!")),
    }
}

fn bellows(error: &str) -> Stop {
    Stop::error(255, format!("ss: bison bellows (while parsing filter): \"{error}\" Sorry.\n{HELP}"))
}

fn wanted(options: &Options, socket: &Socket) -> bool {
    match socket.kind {
        // Sockets that are neither connected nor listening are in no table.
        SockKind::Tcp => {
            options.tcp && socket.tcp.as_ref().is_some_and(|tp| tp.hashed || tp.state == TcpState::Listen)
        }
        SockKind::Udp => options.udp && socket.local.1 != 0,
        SockKind::Raw { .. } => options.raw,
        SockKind::Ping | SockKind::Packet { .. } => false,
    }
}

fn order(socket: &Socket) -> (u8, bool) {
    let family = match socket.kind {
        SockKind::Raw { .. } => 0,
        SockKind::Udp => 1,
        _ => 2,
    };
    (family, state(socket) != TcpState::Listen)
}

fn state(socket: &Socket) -> TcpState {
    match (&socket.tcp, socket.remote) {
        (Some(tp), _) => tp.state,
        (None, Some(_)) => TcpState::Established,
        (None, None) => TcpState::Close,
    }
}

fn ends(socket: &Socket) -> ((Ipv4Addr, u16), (Ipv4Addr, u16)) {
    let listens = state(socket) == TcpState::Listen;
    (socket.local, socket.remote.filter(|_| !listens).unwrap_or((Ipv4Addr::UNSPECIFIED, 0)))
}

fn state_name(state: TcpState) -> &'static str {
    match state {
        TcpState::Established => "ESTAB",
        TcpState::SynSent => "SYN-SENT",
        TcpState::SynRecv => "SYN-RECV",
        TcpState::FinWait1 => "FIN-WAIT-1",
        TcpState::FinWait2 => "FIN-WAIT-2",
        TcpState::TimeWait => "TIME-WAIT",
        TcpState::Close => "UNCONN",
        TcpState::CloseWait => "CLOSE-WAIT",
        TcpState::LastAck => "LAST-ACK",
        TcpState::Listen => "LISTEN",
        TcpState::Closing => "CLOSING",
    }
}

/// Unread bytes and unacknowledged bytes; for a listener the accept queue's length and the backlog.
fn queues(socket: &Socket) -> (usize, usize) {
    match &socket.tcp {
        None => (socket.rmem_alloc as usize, socket.wmem_alloc as usize),
        Some(tp) => match (&tp.requests, &tp.machine) {
            (Some(requests), _) => (requests.accept.len(), requests.backlog),
            (None, Some(_)) => (tp.unread(), tp.unacked() as usize),
            (None, None) => (0, 0),
        },
    }
}

fn row(options: &Options, socket: &Socket, now: Nanos, device: impl Fn(u32) -> Option<String>) -> Row {
    let (family, udp) = match socket.kind {
        SockKind::Udp => ("udp", true),
        SockKind::Raw { .. } => ("raw", false),
        _ => ("tcp", false),
    };
    let (receive, send) = queues(socket);
    let (local, peer) = ends(socket);
    let port = |port: u16| match (port, socket.kind) {
        (_, SockKind::Raw { protocol }) if port == local.1 => {
            protocol_name(protocol).map_or_else(|| protocol.to_string(), str::to_owned)
        }
        (0, _) => "*".to_owned(),
        (port, _) if options.numeric => port.to_string(),
        (port, _) => {
            let name = if udp { udp_port_name(port) } else { tcp_port_name(port) };
            name.map_or_else(|| port.to_string(), str::to_owned)
        }
    };
    let bound = match socket.opts.bound_dev_if {
        0 => String::new(),
        ifindex => device(ifindex).map_or(String::new(), |name| format!("%{name}")),
    };
    let mut process = match &socket.owner {
        Some(owner) if options.processes => {
            format!(" users:((\"{}\",pid={},fd={}))", owner.comm, owner.pid, owner.fd)
        }
        _ => String::new(),
    };
    if options.timers {
        process += &timer::shown(socket, now);
    }
    [
        family.to_owned(),
        state_name(state(socket)).to_owned(),
        format!("{receive:<6}"),
        format!("{send:<6}"),
        format!("{}{bound}:", local.0),
        port(local.1),
        format!("{}:", peer.0),
        if peer.1 == 0 { "*".to_owned() } else { port(peer.1) },
        process,
    ]
}
