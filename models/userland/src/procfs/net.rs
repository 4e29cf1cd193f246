//! `/proc/net/*`.
//!
//! Kernel: net/core/net-procfs.c, net/packet/af_packet.c, net/ipv4/raw.c, net/ipv4/udp.c

use std::fmt::Write;
use std::net::Ipv4Addr;

use glassnet_kernel::net::core::dev::dev_get_stats;
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::netdev::DevStats;
use glassnet_kernel::tables::socket::{SockKind, Socket};

use super::{File, View, conntrack, hex, inet, tcp};

/// A read-only file of a namespace.
const fn net_file(path: &'static str, read: fn(&View) -> String) -> File {
    File { refusal: Errno::EACCES, ..File::new(path, read) }
}

/// The files. Those of IPv6 and of what is not modelled (`fib_trie`, …) do not exist.
pub const FILES: &[File] = &[
    net_file("net/arp", inet::arp),
    net_file("net/dev", dev),
    net_file("net/dev_mcast", dev_mcast),
    net_file("net/icmp", |view| datagrams(view, is_ping, 127, "")),
    net_file("net/igmp", inet::igmp),
    // Readable by root only.
    File { mode: 0o440, ..net_file("net/nf_conntrack", conntrack::nf_conntrack) },
    File { mode: 0o440, ..net_file("net/nf_conntrack_expect", conntrack::nf_conntrack_expect) },
    net_file("net/netstat", inet::netstat),
    net_file("net/packet", packet),
    net_file("net/ptype", ptype),
    net_file("net/raw", |view| datagrams(view, is_raw, 0, "")),
    net_file("net/route", inet::route),
    net_file("net/rt_cache", inet::rt_cache),
    net_file("net/snmp", inet::snmp),
    net_file("net/softnet_stat", softnet_stat),
    net_file("net/tcp", tcp::tcp),
    net_file("net/udp", |view| datagrams(view, is_udp, 127, " ")),
    net_file("net/stat/nf_conntrack", conntrack::stat),
];

const DEV_HEAD: &str = "Inter-|   Receive                                                |  Transmit\n face |bytes    \
     packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n";

fn dev(view: &View) -> String {
    let mut text = DEV_HEAD.to_owned();
    for dev in view.devs() {
        let DevStats {
            rx_packets,
            rx_bytes,
            tx_packets,
            tx_bytes,
            rx_dropped,
            tx_dropped,
            rx_errors,
            tx_errors,
            multicast,
            rx_missed_errors,
            rx_crc_errors,
            rx_nohandler: _,
            rx_frame_errors,
            rx_fifo_errors,
            tx_carrier_errors,
            collisions,
        } = dev_get_stats(view.kernel, dev);
        let (rx_dropped, rx_frame) = (rx_dropped + rx_missed_errors, rx_crc_errors + rx_frame_errors);
        let _ = writeln!(
            text,
            "{:>6}: {rx_bytes:>7} {rx_packets:>7} {rx_errors:>4} {rx_dropped:>4} {:>4} {rx_frame:>5} {:>10} \
             {multicast:>9} {tx_bytes:>8} {tx_packets:>7} {tx_errors:>4} {tx_dropped:>4} {:>4} {collisions:>5} {tx_carrier_errors:>7} {:>10}",
            dev.name, rx_fifo_errors, 0, 0, 0
        );
    }
    text
}

fn dev_mcast(view: &View) -> String {
    let mut text = String::new();
    for dev in view.devs() {
        for (group, users) in &dev.mc {
            // Each device below that was told of the group is a user too.
            let synced = dev.rx_asked.values().filter(|asked| asked.mc.contains(group)).count();
            let users = users + synced as u32;
            let digits: String = group.0.iter().map(|byte| format!("{byte:02x}")).collect();
            let _ = writeln!(text, "{:<4} {:<15} {users:<5} {:<5} {digits}", dev.ifindex, dev.name, 0);
        }
    }
    text
}

/// A line per CPU; columns of RPS and flow limits are 0.
fn softnet_stat(view: &View) -> String {
    let mut text = String::new();
    for (cpu, sd) in view.kernel.cpus.iter().enumerate() {
        let stat = &sd.stat;
        let (input, process) = (sd.input_pkt_queue.len() as u32, sd.process_queue.len() as u32);
        let columns = [
            stat.processed,
            stat.dropped,
            stat.time_squeeze,
            0,
            0,
            0,
            0,
            0,
            0,
            stat.received_rps,
            0,
            input + process,
            cpu as u32,
        ];
        let line: Vec<String> = columns.iter().map(|value| format!("{value:08x}")).collect();
        text.push_str(&line.join(" "));
        text.push('\n');
    }
    text
}

fn ptype(view: &View) -> String {
    let mut text = "Type Device      Function\n".to_owned();
    let mut tap = |protocol: u16, dev: &str| {
        let protocol = if protocol == ETH_P_ALL { "ALL ".to_owned() } else { format!("{protocol:04x}") };
        let _ = writeln!(text, "{protocol} {dev:<8} packet_rcv");
    };
    for socket in view.kernel.sockets.iter().filter(|socket| socket.netns == view.netns) {
        if let SockKind::Packet { protocol, .. } = socket.kind {
            tap(protocol, view.devs().find(|dev| dev.ifindex == socket.ifindex).map_or("", |dev| &dev.name));
        }
    }
    for (protocol, function) in [(0x0800, "ip_rcv"), (0x0806, "arp_rcv")] {
        let _ = writeln!(text, "{protocol:04x} {:<8} {function}", "");
    }
    text
}

const ETH_P_ALL: u16 = 3;

fn packet(view: &View) -> String {
    let mut text = "sk               RefCnt Type Proto  Iface R Rmem   User   Inode\n".to_owned();
    for socket in view.kernel.sockets.iter().filter(|socket| socket.netns == view.netns) {
        let SockKind::Packet { protocol, cooked } = socket.kind else { continue };
        let kind = if cooked { 2 } else { 3 };
        let _ = writeln!(
            text,
            "{:016x} {:<6} {kind:<4} {protocol:04x}   {:<5} 1 {:<6} {:<6} {:<6}",
            0,
            2,
            socket.ifindex,
            socket.rmem_alloc,
            0,
            inode(socket)
        );
    }
    text
}

fn is_raw(kind: SockKind) -> bool {
    matches!(kind, SockKind::Raw { .. })
}

fn is_udp(kind: SockKind) -> bool {
    kind == SockKind::Udp
}

fn is_ping(kind: SockKind) -> bool {
    kind == SockKind::Ping
}

const DATAGRAM_HEAD: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  \
     timeout inode ref pointer drops";

/// The socket's number instead of an inode, which is not modelled.
pub(super) fn inode(socket: &Socket) -> u32 {
    socket.id.0 + 1
}

/// Format of raw, UDP and ping sockets. Lines of UDP and ping are padded to `width` columns and have one more space
/// before the slot; raw's have no width. UDP's header has a space more, too.
fn datagrams(view: &View, wanted: fn(SockKind) -> bool, width: usize, before_head: &str) -> String {
    let indent = if width > 0 { " " } else { "" };
    let mut text = format!("{:<width$}\n", format!("{before_head}{DATAGRAM_HEAD}"));
    let sockets = view.kernel.sockets.iter();
    for socket in sockets.filter(|socket| socket.netns == view.netns && wanted(socket.kind)) {
        let port = match socket.kind {
            SockKind::Raw { protocol } => u16::from(protocol),
            _ => socket.local.1,
        };
        let (remote, remote_port) = socket.remote.unwrap_or((Ipv4Addr::UNSPECIFIED, 0));
        let state = if socket.remote.is_some() { 1 } else { 7 };
        let line = format!(
            "{indent}{:4}: {}:{port:04X} {}:{remote_port:04X} {state:02X} {:08X}:{:08X} 00:00000000 \
             00000000 {:5} {:8} {} 2 {:016x} {}",
            port,
            hex(socket.local.0),
            hex(remote),
            socket.wmem_alloc,
            socket.rmem_alloc,
            0,
            0,
            inode(socket),
            0,
            socket.drops
        );
        let _ = writeln!(text, "{line:<width$}");
    }
    text
}
