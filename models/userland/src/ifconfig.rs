//! `ifconfig` of net-tools 2.10, IPv4.
//!
//! Not modelled: aliases (`eth0:1`), `pointopoint`, `media`, IPv6, hardware resources.

use std::net::Ipv4Addr;

use glassnet_kernel::ids::DevId;
use glassnet_kernel::net::core::dev::dev_get_stats;
use glassnet_kernel::net::core::rtnetlink::{LinkSet, do_setlink};
use glassnet_kernel::net::ipv4::devinet::{rtm_deladdr, rtm_newaddr};
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL, NlError};
use glassnet_kernel::tables::arphrd::Arphrd;
use glassnet_kernel::tables::fib_trie::inet_make_mask;
use glassnet_kernel::tables::inet::InIfaddr;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::tables::netdev::{IFF_BROADCAST, IFF_POINTOPOINT, NetDevice};
use glassnet_kernel::tables::route_types::Scope;
use glassnet_wire::Mac;

use crate::process::{Process, Running};
use crate::procfs::View;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { run(process) })
}

/// Flags with their words and, for the short form, letters.
const FLAGS: &[(u32, &str)] = &[
    (0x1, "UP"),
    (0x2, "BROADCAST"),
    (0x8, "LOOPBACK"),
    (0x10, "POINTOPOINT"),
    (0x40, "RUNNING"),
    (0x80, "NOARP"),
    (0x100, "PROMISC"),
    (0x200, "ALLMULTI"),
    (0x800, "SLAVE"),
    (0x400, "MASTER"),
    (0x1000, "MULTICAST"),
];

const LETTERS: &[(u32, char)] = &[
    (0x200, 'A'),
    (0x2, 'B'),
    (0x8, 'L'),
    (0x1000, 'M'),
    (0x80, 'O'),
    (0x100, 'P'),
    (0x800, 's'),
    (0x400, 'm'),
    (0x40, 'R'),
    (0x1, 'U'),
];

fn run(process: &mut Process) -> i32 {
    let words = process.args().to_vec();
    let (mut all, mut short, mut at) = (false, false, 0);
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        match word.as_str() {
            "-a" => all = true,
            "-s" => short = true,
            "-v" => {}
            "-V" | "--version" => {
                process.print("net-tools 2.10\n");
                return 0;
            }
            other => return not_modelled(process, other),
        }
        at += 1;
    }
    match &words[at..] {
        [] => {
            let text = show_all(process, all, short);
            process.print(text);
            0
        }
        [name] => show_one(process, name, short),
        [name, rest @ ..] => change(process, name, rest),
    }
}

fn not_modelled(process: &mut Process, what: &str) -> i32 {
    process.eprint(format!("not modelled yet: ifconfig {what}\n"));
    2
}

const SHORT_HEAD: &str = "Iface      MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n";

/// Devices are sorted by name, trailing numbers numerically.
fn sort_key(name: &str) -> (String, u32) {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    (prefix.to_owned(), name[prefix.len()..].parse().unwrap_or(0))
}

fn show_all(process: &Process, all: bool, short: bool) -> String {
    let world = process.world();
    let view = View::new(&world, process.caller(&world));
    let mut devs: Vec<&NetDevice> = view.devs().filter(|dev| all || dev.is_up()).collect();
    devs.sort_by_key(|dev| sort_key(&dev.name));
    let lines = devs.into_iter().map(|dev| if short { brief(&view, dev) } else { full(&view, dev) });
    let head = if short { SHORT_HEAD } else { "" };
    head.to_owned() + &lines.collect::<String>()
}

fn show_one(process: &mut Process, name: &str, short: bool) -> i32 {
    let text = {
        let world = process.world();
        let view = View::new(&world, process.caller(&world));
        view.dev(name)
            .map(|dev| if short { SHORT_HEAD.to_owned() + &brief(&view, dev) } else { full(&view, dev) })
    };
    match text {
        Some(text) => {
            process.print(text);
            0
        }
        None => {
            process.eprint(format!("{name}: error fetching interface information: Device not found\n"));
            1
        }
    }
}

fn brief(view: &View, dev: &NetDevice) -> String {
    let (flags, stats) = (dev.dev_get_flags(), dev_get_stats(view.kernel, dev));
    let letters: String =
        LETTERS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, letter)| *letter).collect();
    format!(
        "{:<15} {:>5} {:>8} {:>6} {:>6} {:<6} {:>8} {:>6} {:>6} {:>6} {letters}\n",
        dev.name,
        dev.mtu,
        stats.rx_packets,
        stats.rx_errors,
        stats.rx_dropped + stats.rx_missed_errors,
        0,
        stats.tx_packets,
        stats.tx_errors,
        stats.tx_dropped,
        0
    )
}

fn full(view: &View, dev: &NetDevice) -> String {
    let flags = dev.dev_get_flags() & 0xffff;
    let words: Vec<&str> =
        FLAGS.iter().filter(|(flag, _)| flags & flag != 0).map(|(_, word)| *word).collect();
    let mut text = format!("{}: flags={flags}<{}>  mtu {}\n", dev.name, words.join(","), dev.mtu);
    if let Some(ifa) = view.kernel.inet.get(dev.id).and_then(|inet| inet.addrs.first()) {
        text += &format!("        inet {}  netmask {}", ifa.local, ifa.mask);
        if flags & IFF_BROADCAST != 0 {
            text += &format!("  broadcast {}", ifa.broadcast);
        }
        if flags & IFF_POINTOPOINT != 0 {
            text += &format!("  destination {}", ifa.address);
        }
        text.push('\n');
    }
    let queue = dev.tx_queue_len;
    text += &match dev.arphrd {
        Arphrd::Loopback => format!("        loop  txqueuelen {queue}  (Local Loopback)\n"),
        Arphrd::Ether => format!("        ether {}  txqueuelen {queue}  (Ethernet)\n", dev.addr),
        Arphrd::Tunnel => format!("        tunnel   txqueuelen {queue}  (IPIP Tunnel)\n"),
        Arphrd::Ipgre | Arphrd::None => {
            let bytes: Vec<String> =
                dev.addr.0.iter().chain(&[0; 10]).map(|byte| format!("{byte:02X}")).collect();
            format!("        unspec {}  txqueuelen {queue}  (UNSPEC)\n", bytes.join("-"))
        }
    };
    let stats = dev_get_stats(view.kernel, dev);
    text + &format!(
        "        RX packets {}  bytes {} ({})\n        RX errors {}  dropped {}  overruns 0  frame {}\n        \
         TX packets {}  bytes {} ({})\n        TX errors {}  dropped {} overruns 0  carrier {}  collisions {}\n\n",
        stats.rx_packets,
        stats.rx_bytes,
        scaled(stats.rx_bytes),
        stats.rx_errors,
        stats.rx_dropped + stats.rx_missed_errors,
        stats.rx_frame_errors,
        stats.tx_packets,
        stats.tx_bytes,
        scaled(stats.tx_bytes),
        stats.tx_errors,
        stats.tx_dropped,
        stats.tx_carrier_errors,
        stats.collisions
    )
}

/// Bytes with one decimal, cut off, in units of 1024.
fn scaled(bytes: u64) -> String {
    let (tenths, unit) = match bytes {
        0x4000_0001.. => (bytes / 107_374_182, "GiB"),
        0x10_0001.. => (bytes / 104_857, "MiB"),
        0x401.. => (bytes / 102, "KiB"),
        _ => (bytes * 10, "B"),
    };
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// Changes, collected from the arguments and made at the end.
#[derive(Default)]
pub(crate) struct Change {
    pub(crate) address: Option<Ipv4Addr>,
    pub(crate) netmask: Option<u8>,
    pub(crate) broadcast: Option<Ipv4Addr>,
}

fn change(process: &mut Process, name: &str, words: &[String]) -> i32 {
    if name.contains(':') {
        return not_modelled(process, "with an alias");
    }
    let netns = process.netns;
    let Some(dev) = process.syscall(|cx| cx.k.dev_by_name(netns, name)) else {
        let missing = Errno::ENODEV.strerror();
        process.eprint(format!("{name}: ERROR while getting interface flags: {missing}\n"));
        return 255;
    };
    let (mut status, mut change) = (0, Change::default());
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        let (set, call) = match word {
            "up" => (LinkSet { up: Some(true), ..LinkSet::default() }, "SIOCSIFFLAGS"),
            "down" => (LinkSet { up: Some(false), ..LinkSet::default() }, "SIOCSIFFLAGS"),
            "promisc" | "-promisc" => {
                (LinkSet { promisc: Some(word == "promisc"), ..LinkSet::default() }, "SIOCSIFFLAGS")
            }
            "allmulti" | "-allmulti" => {
                (LinkSet { allmulticast: Some(word == "allmulti"), ..LinkSet::default() }, "SIOCSIFFLAGS")
            }
            "multicast" | "-multicast" => {
                (LinkSet { multicast: Some(word == "multicast"), ..LinkSet::default() }, "SIOCSIFFLAGS")
            }
            "arp" | "-arp" => (LinkSet { arp: Some(word == "arp"), ..LinkSet::default() }, "SIOCSIFFLAGS"),
            "mtu" | "txqueuelen" => {
                let Some(value) = words.next().and_then(|word| word.parse().ok()) else {
                    return usage(process);
                };
                if word == "mtu" {
                    (LinkSet { mtu: Some(value), ..LinkSet::default() }, "SIOCSIFMTU")
                } else {
                    (LinkSet { txqueuelen: Some(value), ..LinkSet::default() }, "SIOCSIFTXQLEN")
                }
            }
            "hw" => match hardware(process, words.next(), words.next()) {
                Ok(mac) => (LinkSet { address: Some(mac), ..LinkSet::default() }, "SIOCSIFHWADDR"),
                Err(status) => return status,
            },
            "netmask" | "broadcast" => {
                let Some(value) = words.next().and_then(|word| word.parse::<Ipv4Addr>().ok()) else {
                    return usage(process);
                };
                if word == "netmask" {
                    change.netmask = Some(value.to_bits().leading_ones() as u8);
                } else {
                    change.broadcast = Some(value);
                }
                continue;
            }
            word => {
                let (address, len) = word.split_once('/').map_or((word, None), |(a, len)| (a, Some(len)));
                let Ok(address) = address.parse() else { return not_modelled(process, word) };
                change.address = Some(address);
                change.netmask = len.and_then(|len| len.parse().ok()).or(change.netmask);
                continue;
            }
        };
        if let Err(error) = process.syscall(|cx| do_setlink(cx, dev, set)) {
            process.eprint(format!("{call}: {}\n", error.errno.strerror()));
            status = 1;
        }
    }
    let up = LinkSet {
        up: change.address.map(|address| !address.is_unspecified()).filter(|up| *up),
        ..LinkSet::default()
    };
    let done = set_address(process, dev, &change)
        .and_then(|()| if up.up.is_some() { process.syscall(|cx| do_setlink(cx, dev, up)) } else { Ok(()) });
    if let Err(error) = done {
        process.eprint(format!("SIOCSIFADDR: {}\n", error.errno.strerror()));
        status = 1;
    }
    status
}

fn usage(process: &mut Process) -> i32 {
    process.eprint("ifconfig: `--help' gives usage information.\n");
    1
}

fn hardware(process: &mut Process, kind: Option<&str>, address: Option<&str>) -> Result<Mac, i32> {
    let (Some("ether"), Some(address)) = (kind, address) else { return Err(usage(process)) };
    address.parse().map_err(|_| {
        process.eprint(format!("{address}: invalid ether address.\n"));
        1
    })
}

/// The mask of the address's class, bits (`inet_abc_len`).
fn class_len(address: Ipv4Addr) -> u8 {
    match address.to_bits() >> 28 {
        0..8 => 8,
        8..12 => 16,
        _ => 24,
    }
}

/// Sets the device's address (`devinet_ioctl`).
pub(crate) fn set_address(process: &Process, dev: DevId, change: &Change) -> Result<(), NlError> {
    if change.address.is_none() && change.netmask.is_none() && change.broadcast.is_none() {
        return Ok(());
    }
    let netns = process.netns;
    process.syscall(|cx| {
        let old = cx.k.inet.get(dev).and_then(|inet| inet.addrs.first()).cloned();
        if let Some(old) = &old {
            rtm_deladdr(cx, netns, &old.message(dev, cx.now))?;
        }
        if change.address == Some(Ipv4Addr::UNSPECIFIED) {
            return Ok(());
        }
        let msg = new_address(dev, change, old.as_ref(), cx.k.devs[dev].flags & IFF_BROADCAST != 0)?;
        rtm_newaddr(cx, netns, &msg, NLM_F_CREATE | NLM_F_EXCL)?;
        Ok(())
    })
}

fn new_address(
    dev: DevId,
    change: &Change,
    old: Option<&InIfaddr>,
    has_broadcast: bool,
) -> Result<AddrMsg, NlError> {
    let kept = old.filter(|_| change.address.is_none());
    let local = change.address.or(kept.map(|old| old.local)).ok_or(Errno::EADDRNOTAVAIL)?;
    let len = change.netmask.or(kept.map(|old| old.prefix_len)).unwrap_or_else(|| class_len(local));
    let mut msg = AddrMsg::new(dev, local, len);
    msg.peer = Some(local);
    msg.broadcast =
        (has_broadcast && len < 31).then(|| change.broadcast.unwrap_or(local | !inet_make_mask(len)));
    msg.scope = if local.is_loopback() { Scope::HOST } else { Scope::UNIVERSE };
    Ok(msg)
}
