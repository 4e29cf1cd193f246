//! `arp` of net-tools 2.10.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::core::neighbour::{rtm_delneigh, rtm_newneigh};
use glassnet_kernel::net::ipv4::route_get::rtm_getroute;
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_REPLACE};
use glassnet_kernel::tables::neigh_types::{NTF_PROXY, NeighMsg, Nud};
use glassnet_kernel::tables::route_types::RouteQuery;
use glassnet_wire::Mac;

use crate::getopt::{self, Long, Takes};
use crate::process::{Process, Running};
use crate::procfs::View;
use crate::procfs::inet::{ArpRow, arp_rows};

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

const HELP: &str = include_str!("arp_help.txt");

const LONG: &[Long] = &[
    ("verbose", Takes::Nothing, "v"),
    ("version", Takes::Nothing, "V"),
    ("all", Takes::Nothing, "a"),
    ("delete", Takes::Nothing, "d"),
    ("file", Takes::Nothing, "f"),
    ("numeric", Takes::Nothing, "n"),
    ("set", Takes::Nothing, "s"),
    ("protocol", Takes::Value, "A"),
    ("hw-type", Takes::Value, "H"),
    ("device", Takes::Value, "i"),
    ("help", Takes::Nothing, "h"),
    ("use-device", Takes::Nothing, "D"),
];

/// `ATF_*` (include/uapi/linux/if_arp.h).
const ATF_COM: u8 = 0x02;
const ATF_PERM: u8 = 0x04;
const ATF_PUBL: u8 = 0x08;

#[derive(Default)]
struct Options {
    bsd: bool,
    linux: bool,
    numeric: bool,
    verbose: bool,
    use_device: bool,
    device: Option<String>,
    what: u8,
}

const VERSION: &str = "net-tools 2.10\n+I18N +SELINUX\n\
    AF: (inet) +UNIX +INET +INET6 +IPX +AX25 +NETROM +X25 +ATALK +ECONET +ROSE -BLUETOOTH\n\
    HW: (ether) +ETHER +ARC +SLIP +PPP +TUNNEL -TR +AX25 +NETROM +X25 +FR +ROSE +ASH +SIT +FDDI +HIPPI \
    +HDLC/LAPB +EUI64 \n";

fn run(process: &mut Process) -> i32 {
    let parsed = getopt::parse(process.args(), "A:H:adfp:nsei:t:vh?DV", LONG);
    if let Some(error) = parsed.error {
        process.eprint(format!("arp: {error}\n{HELP}"));
        return 3;
    }
    let mut opts = Options::default();
    for option in parsed.options {
        match option.name.as_str() {
            "a" => opts.bsd = true,
            "e" => opts.linux = true,
            "n" => opts.numeric = true,
            "v" => opts.verbose = true,
            "D" => opts.use_device = true,
            "i" => opts.device = Some(option.value),
            letter @ ("d" | "s") => opts.what = letter.as_bytes()[0],
            "V" => {
                process.print(VERSION);
                return 0;
            }
            "h" | "?" => {
                process.eprint(HELP);
                return 3;
            }
            "H" | "t" if option.value == "ether" => {}
            "A" | "p" if option.value == "inet" => {}
            other => {
                process.eprint(format!("not modelled yet: arp -{other}\n"));
                return 2;
            }
        }
    }
    match opts.what {
        b'd' => delete(process, &opts, &parsed.operands),
        b's' => set(process, &opts, &parsed.operands),
        _ => show(process, &opts, parsed.operands.first().map(String::as_str)),
    }
}

fn fail(process: &mut Process, text: &str) -> i32 {
    process.eprint(format!("{text}\n"));
    255
}

/// An address. Names of `/etc/hosts` are not modelled.
fn address(process: &mut Process, host: &str) -> Result<Ipv4Addr, i32> {
    host.parse().map_err(|_| {
        process.eprint(format!("{host}: Unknown host\n"));
        255
    })
}

fn show(process: &mut Process, opts: &Options, host: Option<&str>) -> i32 {
    let only = match host.map(|host| address(process, host)).transpose() {
        Ok(only) => only,
        Err(status) => return status,
    };
    let rows = {
        let world = process.world();
        arp_rows(&View::new(&world, process.caller(&world)))
    };
    let wanted = |row: &&ArpRow| {
        only.is_none_or(|ip| ip == row.ip) && opts.device.as_ref().is_none_or(|dev| *dev == row.dev)
    };
    let shown: Vec<&ArpRow> = rows.iter().filter(wanted).collect();
    if opts.bsd && !opts.linux {
        shown.iter().for_each(|row| process.print(bsd(row)));
    } else {
        if !shown.is_empty() {
            process
                .print("Address                  HWtype  HWaddress           Flags Mask            Iface\n");
        }
        shown.iter().for_each(|row| process.print(linux(row)));
    }
    if opts.verbose {
        let (entries, found) = (rows.len(), shown.len());
        process.print(format!("Entries: {entries}\tSkipped: {}\tFound: {found}\n", entries - found));
    }
    if shown.is_empty() {
        match host {
            Some(host) if !opts.bsd => process.print(format!("{host} ({host}) -- no entry\n")),
            None if opts.device.is_none() => {}
            _ => process.print(format!("arp: in {} entries no match found.\n", rows.len())),
        }
    }
    0
}

fn bsd(row: &ArpRow) -> String {
    let place = match row.flags {
        flags if flags & ATF_COM != 0 => format!("{} [ether] ", row.mac),
        flags if flags & ATF_PUBL != 0 => "<from_interface> ".to_owned(),
        _ => "<incomplete> ".to_owned(),
    };
    let perm = if row.flags & ATF_PERM != 0 { "PERM " } else { "" };
    let publ = if row.flags & ATF_PUBL != 0 { "PUP " } else { "" };
    format!("? ({}) at {place}{perm}{publ}on {}\n", row.ip, row.dev)
}

fn linux(row: &ArpRow) -> String {
    let (kind, place) = match row.flags {
        flags if flags & ATF_COM != 0 => ("ether", row.mac.to_string()),
        flags if flags & ATF_PUBL != 0 => ("*", "<from_interface>".to_owned()),
        _ => ("", "(incomplete)".to_owned()),
    };
    let letters: String = [(ATF_COM, 'C'), (ATF_PERM, 'M'), (ATF_PUBL, 'P')]
        .iter()
        .filter(|(flag, _)| row.flags & flag != 0)
        .map(|(_, letter)| *letter)
        .collect();
    let ip = row.ip.to_string();
    format!("{ip:<23}  {kind:<8}{place:<20}{letters:<6}{:<15} {}\n", "", row.dev)
}

/// The given device, or the output device of the route to the address.
fn device(process: &Process, named: Option<&str>, ip: Ipv4Addr) -> Result<DevId, Errno> {
    let netns = process.netns;
    process.syscall(|cx| {
        if let Some(name) = named {
            return cx.k.dev_by_name(netns, name).ok_or(Errno::ENODEV);
        }
        let query = RouteQuery { dst: ip, ..RouteQuery::default() };
        let answer = rtm_getroute(cx, netns, &query).map_err(|error| error.errno)?;
        answer.oif.ok_or(Errno::EINVAL)
    })
}

fn message(dev: DevId, dst: Ipv4Addr, lladdr: Option<Mac>, state: Nud, flags: u8) -> NeighMsg {
    NeighMsg { dev, dst, lladdr, state, flags, protocol: 0 }
}

fn set(process: &mut Process, opts: &Options, operands: &[String]) -> i32 {
    let mut words = operands.iter().map(String::as_str);
    let Some(host) = words.next() else { return fail(process, "arp: need host name") };
    let ip = match address(process, host) {
        Ok(ip) => ip,
        Err(status) => return status,
    };
    let Some(hardware) = words.next() else { return fail(process, "arp: need hardware address") };
    let netns = process.netns;
    let by_name = |name: &str| process.syscall(|cx| Some(cx.k.devs[cx.k.dev_by_name(netns, name)?].addr));
    let mac: Mac = match (opts.use_device, hardware.parse()) {
        (true, _) => match by_name(hardware) {
            Some(mac) => mac,
            None => return fail(process, &format!("SIOCGIFHWADDR: {}", Errno::ENODEV.strerror())),
        },
        (false, Ok(mac)) => mac,
        (false, Err(_)) => return fail(process, "arp: invalid hardware address"),
    };
    let (mut state, mut public) = (Nud::Permanent, false);
    let mut named = opts.device.clone();
    while let Some(word) = words.next() {
        match word {
            "temp" => state = Nud::Stale,
            "pub" => public = true,
            "dev" => named = words.next().map(str::to_owned),
            other => {
                process.eprint(format!("not modelled yet: arp -s … {other}\n"));
                return 2;
            }
        }
    }
    let done = if public {
        publish(process, named.as_deref(), ip, mac)
    } else {
        device(process, named.as_deref(), ip).and_then(|dev| {
            let msg = message(dev, ip, Some(mac), state, 0);
            let flags = NLM_F_CREATE | NLM_F_REPLACE;
            process.syscall(|cx| rtm_newneigh(cx, netns, &msg, flags)).map_err(|error| error.errno)
        })
    };
    match done {
        Ok(()) => 0,
        Err(error) => fail(process, &format!("SIOCSARP: {}", error.strerror())),
    }
}

/// Adds a proxy entry for the address, on the device with the link-layer address.
fn publish(process: &Process, named: Option<&str>, ip: Ipv4Addr, mac: Mac) -> Result<(), Errno> {
    let netns = process.netns;
    process.syscall(|cx| {
        let devs: Vec<DevId> = cx.k.netns[netns].devs.values().copied().collect();
        let dev = match named {
            Some(name) => cx.k.dev_by_name(netns, name),
            None => devs.into_iter().find(|dev| cx.k.devs[*dev].addr == mac),
        };
        let msg = message(dev.ok_or(Errno::ENODEV)?, ip, None, Nud::None, NTF_PROXY);
        rtm_newneigh(cx, netns, &msg, NLM_F_CREATE | NLM_F_REPLACE).map_err(|error| error.errno)
    })
}

fn delete(process: &mut Process, opts: &Options, operands: &[String]) -> i32 {
    let Some(host) = operands.first() else { return fail(process, "arp: need host name") };
    let ip = match address(process, host) {
        Ok(ip) => ip,
        Err(status) => return status,
    };
    let public = operands[1..].iter().any(|word| word == "pub");
    let (netns, flags) = (process.netns, if public { NTF_PROXY } else { 0 });
    let gone = device(process, opts.device.as_deref(), ip).and_then(|dev| {
        let msg = message(dev, ip, None, Nud::None, flags);
        process.syscall(|cx| rtm_delneigh(cx, netns, &msg)).map_err(|error| error.errno)
    });
    match gone {
        Ok(()) => 0,
        Err(Errno::ENOENT) => fail(process, &format!("No ARP entry for {host}")),
        Err(error) => fail(process, &format!("SIOCDARP(dontpub): {}", error.strerror())),
    }
}
