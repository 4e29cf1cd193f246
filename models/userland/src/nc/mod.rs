//! `nc` of netcat-openbsd 1.219 with Debian's changes.
//!
//! Not modelled: UNIX sockets, proxies, TELNET, MD5 signatures, DCCP, passing of descriptors, `-i`, `-r`, `-T`, `-V`.

mod options;
mod relay;

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use crate::hosts::{Hosts, TEMPORARY_FAILURE, inet_aton};
use crate::process::{Process, Running, Woken};
use crate::services::{tcp_port_name, udp_port_name};
use crate::sock::Sock;
use crate::stop::Done;
use options::{Options, failure};
use relay::Relay;

/// getaddrinfo(3)'s error for a name with `-n`.
const NOT_KNOWN: &str = "Name or service not known";
/// Number of attempts for a UDP port without `-w`, a second each.
const UDP_SCAN_TIMEOUT: u64 = 3;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nc(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

async fn nc(process: &mut Process) -> Done<i32> {
    let options = options::parse(process.args())?;
    let hosts = Hosts::read(process).await;
    if options.listen {
        return listen(process, &options, &hosts).await;
    }
    let mut status = 1;
    for port in options::ports(&options.port, options.udp)? {
        let Some(socket) = connect(process, &options, &hosts, port).await? else { continue };
        status = 0;
        if !options.scan {
            Relay::new(&options, socket).run(process).await;
        }
    }
    Ok(status)
}

fn resolve(options: &Options, hosts: &Hosts, host: &str, what: &str) -> Done<Ipv4Addr> {
    if let Some(address) = inet_aton(host) {
        return Ok(address);
    }
    let failed = |why: &str| Err(failure(format!("getaddrinfo{what}: {why}")));
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(failure("not modelled yet: IPv6"));
    }
    if options.numeric {
        return failed(NOT_KNOWN);
    }
    hosts.ipv4(host).map_or_else(|| failed(TEMPORARY_FAILURE), |found| Ok(found.0))
}

fn open(process: &Process, options: &Options) -> Sock {
    let socket = Sock::open(process, if options.udp { SockKind::Udp } else { SockKind::Tcp });
    socket.set(|opts| {
        opts.ttl = options.ttl;
        opts.broadcast = options.broadcast;
    });
    socket
}

fn protocol(options: &Options) -> &'static str {
    if options.udp { "udp" } else { "tcp" }
}

/// Binds to the source of `-s` and `-p`.
fn bind_source(options: &Options, hosts: &Hosts, socket: &Sock) -> Done {
    if options.source.is_none() && options.source_port.is_none() {
        return Ok(());
    }
    let address = match &options.source {
        Some(source) => resolve(options, hosts, source, "")?,
        None => Ipv4Addr::UNSPECIFIED,
    };
    let port = options.source_port.as_deref().map_or(Ok(0), |port| local_port(options, port))?;
    socket.bind(address, port).map_err(|errno| failure(format!("bind failed: {}", errno.strerror())))
}

fn local_port(options: &Options, text: &str) -> Done<u16> {
    let named = options::service(text, options.udp);
    let port = named.or_else(|| text.parse::<u64>().ok().map(|port| port as u16));
    port.ok_or_else(|| failure("getaddrinfo: Servname not supported for ai_socktype"))
}

/// Connects to a port; `None` after an error message.
async fn connect(process: &mut Process, options: &Options, hosts: &Hosts, port: u16) -> Done<Option<Sock>> {
    let host = options.host.clone().unwrap_or_default();
    let address = resolve(options, hosts, &host, &format!(" for host \"{host}\" port {port}"))?;
    let socket = open(process, options);
    bind_source(options, hosts, &socket)?;
    let deadline = options.timeout.map(|secs| process.now() + Nanos::from_secs(secs));
    let connected = match socket.connect(address, port) {
        Ok(()) if options.udp => Woken::Ready(Ok(())),
        Ok(()) => socket.connected(process, deadline).await,
        Err(errno) => Woken::Ready(Err(errno)),
    };
    let shown = shown_host(&host, address);
    let failure = match connected {
        Woken::Ready(Ok(())) => None,
        Woken::Ready(Err(errno)) => Some(format!("failed: {}", errno.strerror())),
        Woken::Elapsed => Some(format!("timed out: {}", Errno::EINPROGRESS.strerror())),
        Woken::Signal(_) => return Ok(None),
    };
    if let Some(failure) = failure {
        if options.verbose {
            let protocol = protocol(options);
            process.eprint(format!("nc: connect to {shown} port {port} ({protocol}) {failure}\n"));
        }
        return Ok(None);
    }
    if options.verbose {
        if options.udp && !udp_answers(process, options, &socket).await {
            return Ok(None);
        }
        let (name, protocol) = (service_name(options, port), protocol(options));
        process.eprint(format!("Connection to {shown} {port} port [{protocol}/{name}] succeeded!\n"));
    }
    Ok(Some(socket))
}

/// The host, with its address if it is a name.
fn shown_host(host: &str, address: Ipv4Addr) -> String {
    let numeric = address.to_string();
    if host == numeric { numeric } else { format!("{host} ({numeric})") }
}

fn service_name(options: &Options, port: u16) -> &'static str {
    let known = if options.udp { udp_port_name(port) } else { tcp_port_name(port) };
    known.filter(|_| !options.numeric).unwrap_or("*")
}

/// Sends single bytes for some seconds: a closed port returns an error, and so does a packet that cannot leave.
async fn udp_answers(process: &mut Process, options: &Options, socket: &Sock) -> bool {
    let seconds = options.timeout.unwrap_or(UDP_SCAN_TIMEOUT);
    let failed = || socket.write(b"X").is_err();
    if failed() || failed() {
        return false;
    }
    for _ in 0..seconds {
        if process.sleep(Nanos::from_secs(1)).await.is_err() || failed() {
            return false;
        }
    }
    true
}

async fn listen(process: &mut Process, options: &Options, hosts: &Hosts) -> Done<i32> {
    let address = match &options.host {
        Some(host) => resolve(options, hosts, host, "")?,
        None => Ipv4Addr::UNSPECIFIED,
    };
    let port = local_port(options, &options.port)?;
    loop {
        let status = listen_once(process, options, hosts, (address, port)).await?;
        if !options.keep {
            return Ok(status);
        }
    }
}

async fn listen_once(
    process: &mut Process,
    options: &Options,
    hosts: &Hosts,
    (address, port): (Ipv4Addr, u16),
) -> Done<i32> {
    let failed = |errno: Errno| failure(errno.strerror().to_owned());
    let socket = open(process, options);
    socket.set(|opts| (opts.reuseaddr, opts.reuseport) = (true, true));
    socket.bind(address, port).map_err(failed)?;
    if !options.udp {
        socket.listen(1).map_err(failed)?;
    }
    let state = if options.udp { "Bound on" } else { "Listening on" };
    report(process, options, hosts, state, socket.local());
    if options.udp {
        return listen_udp(process, options, hosts, socket).await;
    }
    loop {
        let (Woken::Ready(()), Ok(accepted)) = (socket.wait(process, None).await, socket.accept()) else {
            return Ok(1);
        };
        let Some(connection) = accepted else { continue };
        let peer = connection.peer().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        report(process, options, hosts, "Connection received on", peer);
        let status = Relay::new(options, connection).run(process).await;
        if !options.keep {
            return Ok(status);
        }
    }
}

/// Connects to the sender of the first datagram; with `-k`, prints datagrams of any sender.
async fn listen_udp(process: &mut Process, options: &Options, hosts: &Hosts, socket: Sock) -> Done<i32> {
    if options.keep {
        return Ok(Relay::new(options, socket).run(process).await);
    }
    if !matches!(socket.wait(process, None).await, Woken::Ready(())) {
        return Ok(1);
    }
    let Some(peer) = socket.peek_sender() else { return Ok(1) };
    socket.connect(peer.0, peer.1).map_err(|errno| failure(format!("connect: {}", errno.strerror())))?;
    report(process, options, hosts, "Connection received on", peer);
    Ok(Relay::new(options, socket).run(process).await)
}

/// Reports the listening address, or a peer.
fn report(process: &mut Process, options: &Options, hosts: &Hosts, what: &str, end: (Ipv4Addr, u16)) {
    if !options.verbose {
        return;
    }
    let named = hosts.name(end.0.into()).map(str::to_owned);
    match (options.numeric, named) {
        (true, _) => process.eprint(format!("{what} {} {}\n", end.0, end.1)),
        (false, Some(name)) => process.eprint(format!("{what} {name} {}\n", end.1)),
        // There is no name server.
        (false, None) => process.eprint(format!("nc: getnameinfo: {TEMPORARY_FAILURE}\n")),
    }
}
