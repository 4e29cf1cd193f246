//! `ping` of iputils 20221126, on a raw socket as for root.
//!
//! Not modelled: IPv6, `-R`, `-T`, `-r`, source routes, and replies whose data was changed on the way.

mod engine;
mod options;
mod report;

use std::net::Ipv4Addr;

use glassnet_kernel::net::core::sock::{set_rcvbuf, set_sndbuf};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::socket::{PmtuDisc, SockKind};

use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Running};
use crate::resolver::Family;
use crate::sock::{self, Sock};
use crate::stop::{Done, Stop};
use engine::Engine;
use options::{Options, error};

const IPPROTO_ICMP: u8 = 1;
/// ICMP types of a ping socket; the filter has the others.
const WANTED: [u8; 6] = [0, 3, 4, 5, 11, 12];

/// An integer in a range, or the error text of iputils.
///
/// # Errors
///
/// Not an integer, or out of range.
pub fn integer(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let bare = |stop: Stop| stop.stderr.trim_start_matches("ping: ").trim_end().to_owned();
    options::integer(text, least, most).map_err(bare)
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { ping(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

/// Destination and source.
struct Route {
    address: Ipv4Addr,
    hostname: String,
    source: Ipv4Addr,
    multicast: bool,
}

async fn ping(process: &mut Process) -> Done<i32> {
    let (mut options, warnings) = options::parse(process.args())?;
    process.eprint(&warnings);
    if !options.pattern.is_empty() && !options.quiet {
        let hex: String = options.pattern.iter().map(|byte| format!("{byte:02x}")).collect();
        process.print(format!("PATTERN: 0x{hex}\n"));
    }
    if options.verbose {
        let family = if options.ipv4 {
            "sock6.fd: -1 (socktype: 0), hints.ai_family: AF_INET"
        } else {
            "sock6.fd: 4 (socktype: SOCK_RAW), hints.ai_family: AF_UNSPEC"
        };
        process.eprint(format!("ping: sock4.fd: 3 (socktype: SOCK_RAW), {family}\n\n"));
    }
    let hosts = Hosts::read(process).await;
    let (address, hostname, numeric) = resolve(process, &options, &hosts).await?;
    options.numeric |= numeric;
    if options.verbose {
        process.print(format!("ai->ai_family: AF_INET, ai->ai_canonname: '{hostname}'\n"));
    }
    let socket = Sock::open(process, SockKind::Raw { protocol: IPPROTO_ICMP });
    let route = probe(process, &options, address, hostname, &socket)?;
    configure(&options, &route, &socket)?;
    let shown = match (&options.device, options.strict_source) {
        (None, false) => String::new(),
        (device, _) => format!("from {} {}: ", route.source, device.as_deref().unwrap_or("")),
    };
    let size = options.size;
    process.print(format!(
        "PING {} ({}) {shown}{size}({}) bytes of data.\n",
        route.hostname,
        route.address,
        size + 28
    ));
    if options.interval >= i64::from(i32::MAX) / options.preload {
        return error(2, &format!("illegal preload and/or interval: {}", options.interval));
    }
    let engine = Engine::new(process, options, route.address, route.hostname, route.multicast, socket, hosts);
    Ok(engine.run(process).await)
}

/// Address of the target, name to print, and whether the target is numeric.
async fn resolve(process: &mut Process, options: &Options, hosts: &Hosts) -> Done<(Ipv4Addr, String, bool)> {
    let target = &options.target;
    if let Some(address) = inet_aton(target) {
        return Ok((address, target.clone(), true));
    }
    if target.parse::<std::net::Ipv6Addr>().is_ok() {
        if options.ipv4 {
            return error(2, &format!("{target}: Address family for hostname not supported"));
        }
        return error(2, "not modelled yet: IPv6");
    }
    let family = if options.ipv4 { Family::Ipv4 } else { Family::Any };
    match hosts.look_up(process, target, family).await {
        Ok(found) => Ok((found.addresses[0], found.canonical, false)),
        Err(gai) => error(2, &format!("{target}: {}", gai.text())),
    }
}

/// Determines the source with a UDP socket, as ping does, and binds the ICMP socket to the device.
fn probe(
    process: &mut Process,
    options: &Options,
    address: Ipv4Addr,
    hostname: String,
    socket: &Sock,
) -> Done<Route> {
    let ifindex = match &options.device {
        None => None,
        Some(name) => match sock::device(process, name, |dev| dev.ifindex) {
            Some(ifindex) => Some(ifindex),
            None => return error(2, &format!("SO_BINDTODEVICE {name}: No such device")),
        },
    };
    socket.set(|opts| opts.bound_dev_if = ifindex.unwrap_or(opts.bound_dev_if));
    let mut source = options.source;
    if source.is_unspecified() {
        let probe = Sock::open(process, SockKind::Udp);
        probe.set(|opts| {
            opts.bound_dev_if = ifindex.unwrap_or(opts.bound_dev_if);
            (opts.tos, opts.mark) = (options.tos, options.mark);
        });
        connect(process, options, &probe, address)?;
        source = probe.local().0;
        if let Some(name) = &options.device
            && !crate::sock::addresses(process, name).contains(&source)
        {
            process.eprint(format!(
                "ping: Warning: source address might be selected on device other than: {name}\n"
            ));
        }
    }
    let address = if address.is_unspecified() { source } else { address };
    let multicast = options.broadcast || address.is_multicast();
    Ok(Route { address, hostname, source, multicast })
}

fn connect(process: &mut Process, options: &Options, probe: &Sock, address: Ipv4Addr) -> Done {
    const PROBE_PORT: u16 = 1025;
    let failed = |errno: Errno| error(2, &format!("connect: {}", errno.strerror()));
    match probe.connect(address, PROBE_PORT) {
        Ok(()) => Ok(()),
        Err(Errno::EACCES) if !options.broadcast => {
            error(2, "Do you want to ping broadcast? Then -b. If not, check your local firewall rules")
        }
        Err(Errno::EACCES) => {
            process.eprint("WARNING: pinging broadcast address\n");
            probe.set(|opts| opts.broadcast = true);
            probe.connect(address, PROBE_PORT).or_else(failed)
        }
        Err(errno) => failed(errno),
    }
}

fn configure(options: &Options, route: &Route, socket: &Sock) -> Done {
    let pmtudisc = options.pmtudisc.or(route.multicast.then_some(PmtuDisc::Do));
    if options.strict_source
        && let Err(errno) = socket.bind(route.source, 0)
    {
        return error(2, &format!("bind: {}", errno.strerror()));
    }
    if options.ttl == Some(0) {
        return error(2, "cannot set unicast time-to-live: Invalid argument");
    }
    socket.set(|opts| {
        opts.pmtudisc = pmtudisc.unwrap_or(opts.pmtudisc);
        opts.icmp_filter = !WANTED.iter().fold(0, |wanted, kind| wanted | 1 << kind);
        opts.recverr = true;
        opts.broadcast = options.broadcast;
        opts.mcast_loop = !options.no_loop;
        opts.tos = options.tos;
        (opts.mark, opts.dontroute) = (options.mark, options.dontroute);
        if let Some(ttl) = options.ttl {
            (opts.ttl, opts.mcast_ttl) = (Some(ttl), ttl);
        }
    });
    // What ping takes for the memory of a packet (`sock_setbufs`).
    let packet = (options.size + 8 + (options.size + 8).div_ceil(512) * 260) as u64;
    let (sndbuf, rcvbuf) = (options.sndbuf.unwrap_or(packet as u32), packet * options.preload as u64);
    socket.call(|cx| {
        set_sndbuf(cx, socket.id, sndbuf);
        set_rcvbuf(cx, socket.id, rcvbuf.clamp(65_536, i32::MAX as u64) as u32);
    });
    Ok(())
}
