//! `nc` of netcat-openbsd 1.219 with Debian's changes.
//!
//! Not modelled: UNIX sockets, proxies, TELNET, MD5 signatures, DCCP, passing of descriptors, `-i`, `-r`, `-T`, `-V`.

mod options;
mod relay;

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::SockKind;
use glassnet_sim::Nanos;

use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Running, Woken};
use crate::resolver::{Family, Gai};
use crate::services::{tcp_port_name, udp_port_name};
use crate::sock::Sock;
use crate::stop::Done;
use options::{Options, failure};
use relay::Relay;

/// Number of attempts for a UDP port without `-w`, a second each.
const UDP_SCAN_TIMEOUT: u64 = 3;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { nc(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

async fn nc(process: &mut Process) -> Done<i32> {
    let options = options::parse(process.args())?;
    let mut hosts = Hosts::read(process).await;
    if options.listen {
        return listen(process, &options, &mut hosts).await;
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

async fn resolve(
    process: &mut Process,
    options: &Options,
    hosts: &Hosts,
    (host, what): (&str, &str),
) -> Done<Ipv4Addr> {
    if let Some(address) = inet_aton(host) {
        return Ok(address);
    }
    let failed = |gai: Gai| failure(format!("getaddrinfo{what}: {}", gai.text()));
    if host.parse::<std::net::Ipv6Addr>().is_ok() {
        return Err(failure("not modelled yet: IPv6"));
    }
    if options.numeric {
        return Err(failed(Gai::NoName));
    }
    let family = if options.ipv4 { Family::Ipv4 } else { Family::Any };
    let found = hosts.look_up(process, host, family).await;
    found.map(|found| found.addresses[0]).map_err(failed)
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
async fn bind_source(process: &mut Process, options: &Options, hosts: &Hosts, socket: &Sock) -> Done {
    if options.source.is_none() && options.source_port.is_none() {
        return Ok(());
    }
    let address = match &options.source {
        Some(source) => resolve(process, options, hosts, (source, "")).await?,
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
    let what = format!(" for host \"{host}\" port {port}");
    let address = resolve(process, options, hosts, (&host, &what)).await?;
    let socket = open(process, options);
    bind_source(process, options, hosts, &socket).await?;
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

async fn listen(process: &mut Process, options: &Options, hosts: &mut Hosts) -> Done<i32> {
    let address = match &options.host {
        Some(host) => resolve(process, options, hosts, (host, "")).await?,
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
    hosts: &mut Hosts,
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
    report(process, options, hosts, (state, socket.local())).await;
    if options.udp {
        return listen_udp(process, options, hosts, socket).await;
    }
    loop {
        let (Woken::Ready(()), Ok(accepted)) = (socket.wait(process, None).await, socket.accept()) else {
            return Ok(1);
        };
        let Some(connection) = accepted else { continue };
        let peer = connection.peer().unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        report(process, options, hosts, ("Connection received on", peer)).await;
        let status = Relay::new(options, connection).run(process).await;
        if !options.keep {
            return Ok(status);
        }
    }
}

/// Connects to the sender of the first datagram; with `-k`, prints datagrams of any sender.
async fn listen_udp(process: &mut Process, options: &Options, hosts: &mut Hosts, socket: Sock) -> Done<i32> {
    if options.keep {
        return Ok(Relay::new(options, socket).run(process).await);
    }
    if !matches!(socket.wait(process, None).await, Woken::Ready(())) {
        return Ok(1);
    }
    let Some(peer) = socket.peek_sender() else { return Ok(1) };
    socket.connect(peer.0, peer.1).map_err(|errno| failure(format!("connect: {}", errno.strerror())))?;
    report(process, options, hosts, ("Connection received on", peer)).await;
    Ok(Relay::new(options, socket).run(process).await)
}

/// Reports the listening address, or a peer.
async fn report(
    process: &mut Process,
    options: &Options,
    hosts: &mut Hosts,
    (what, (address, port)): (&str, (Ipv4Addr, u16)),
) {
    if !options.verbose {
        return;
    }
    if options.numeric {
        return process.eprint(format!("{what} {address} {port}\n"));
    }
    match hosts.learn(process, address).await {
        Ok(()) => {
            let numeric = address.to_string();
            let name = hosts.name(address.into()).unwrap_or(&numeric);
            process.eprint(format!("{what} {name} {port}\n"));
        }
        Err(gai) => process.eprint(format!("nc: getnameinfo: {}\n", gai.text())),
    }
}
