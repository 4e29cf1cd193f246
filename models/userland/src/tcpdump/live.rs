//! Live captures on one device, or on all.

use std::mem::offset_of;
use std::net::Ipv4Addr;

use glassnet_kernel::tables::arphrd::Arphrd;
use glassnet_kernel::tables::jiffies::{last_tick, wheel_expiry};
use glassnet_kernel::tables::netdev::{IFF_LOOPBACK, IFF_RUNNING, IFF_UP};
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::tables::socket::{Received, SockKind};
use glassnet_kernel::tables::vlan_tag::VlanTag;
use glassnet_sim::Nanos;
use glassnet_wire::eth::ETH_P_ALL;
use glassnet_wire::ipv4::Ipv4Hdr;

use super::filter::Packet;
use super::options::{Direction, Options, error};
use super::print::{Captured, LinkType};
use super::{Sink, compile, plural};
use crate::process::{Process, Signal, Woken};
use crate::sock::{self, Sock};
use crate::stop::{Done, Stop};

const ANY: &str = "any";
/// Where the protocol stands in a cooked header of the first version.
const SLL_PROTOCOL: usize = 14;

/// The captured device.
struct Device {
    name: String,
    ifindex: u32,
    link: LinkType,
    loopback: u32,
    netmask: Ipv4Addr,
}

/// Captures until `-c` packets were received or a signal arrives; returns the exit status.
pub async fn run(process: &mut Process, options: Options) -> Done<i32> {
    let device = open(process, &options)?;
    if options.list_link_types {
        process.eprint(link_types(&device));
        return Ok(0);
    }
    if options.link.is_some() || options.interface.as_deref() == Some(ANY) {
        process.eprint(format!("tcpdump: data link type {}\n", device.link.names().0));
    }
    let filter = compile(process, &options, device.link, device.netmask, true).await?;
    for signal in [Signal::INT, Signal::TERM] {
        process.signals.catch(signal);
    }
    let socket = Sock::open(process, SockKind::Packet { protocol: ETH_P_ALL, cooked: false });
    if socket.packet_bind(device.ifindex).is_err() {
        return Err(no_such_device(&device.name));
    }
    if device.ifindex != 0 && !options.no_promiscuous && socket.packet_promiscuous().is_err() {
        return Err(no_such_device(&device.name));
    }
    let mut sink = Sink::open(process, &options, device.link).await?;
    announce(process, &options, &device);
    let mut ring = Ring::open(process.now(), &options);
    let mut matched = 0;
    let interrupted = loop {
        if !ring.fill(process, &socket).await {
            break true;
        }
        if !drain(process, &socket, &device, &options, &filter, &mut sink, &mut matched).await? {
            break false;
        }
    };
    if interrupted && options.write.is_none() {
        process.print("\n");
    }
    matched += pending(&socket, &device, &options, &filter);
    summary(process, sink.captured, matched, socket.packet_statistics().1.into());
    Ok(0)
}

/// The kernel's ring buffer (`TPACKET_V3`): a block that is not full is returned when its timer expires, so tcpdump
/// gets packets up to a second late.
struct Ring {
    /// When the timer expires next (`retire_blk_timer`).
    expires: Nanos,
    period: Nanos,
}

impl Ring {
    fn open(now: Nanos, options: &Options) -> Ring {
        let period = Ring::period(options);
        Ring { expires: wheel_expiry(now, last_tick(now) + period), period }
    }

    /// Timeout of a block: a tenth of a second if packets are printed line buffered.
    fn period(options: &Options) -> Nanos {
        let printing = options.write.is_none() || options.print_also;
        match (options.immediate, options.line_buffered && printing) {
            (true, _) => Nanos::ZERO,
            (false, true) => Nanos::from_millis(100),
            (false, false) => Nanos::from_secs(1),
        }
    }

    /// Waits for a block with packets; false if a signal arrived.
    async fn fill(&mut self, process: &mut Process, socket: &Sock) -> bool {
        if let Woken::Signal(_) = socket.wait(process, None).await {
            return false;
        }
        if self.period == Nanos::ZERO {
            return true;
        }
        while self.expires < process.now() {
            self.expires = wheel_expiry(self.expires, self.expires + self.period);
        }
        !matches!(process.wait::<()>(Some(self.expires), |_| None).await, Woken::Signal(_))
    }
}

/// Takes packets off the socket's queue; false after `-c` packets.
async fn drain(
    process: &mut Process,
    socket: &Sock,
    device: &Device,
    options: &Options,
    filter: &super::filter::Filter,
    sink: &mut Sink,
    matched: &mut u64,
) -> Done<bool> {
    while let Ok(Some(received)) = socket.receive() {
        let Some(packet) = accept(&received, device, options, filter) else { continue };
        *matched += 1;
        if let Some(packet) = packet
            && !sink.take(process, &packet).await?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Number of matching packets left in the queue.
fn pending(socket: &Sock, device: &Device, options: &Options, filter: &super::filter::Filter) -> u64 {
    let mut count = 0;
    while let Ok(Some(received)) = socket.receive() {
        count += u64::from(accept(&received, device, options, filter).is_some());
    }
    count
}

/// The packet as captured: `None` if the filter rejects it, `Some(None)` if only `-Q` or the loopback duplicate does,
/// which the kernel does not count.
fn accept(
    received: &Received,
    device: &Device,
    options: &Options,
    filter: &super::filter::Filter,
) -> Option<Option<Captured>> {
    let outgoing = received.pkt_type == PacketType::Outgoing;
    let mut data = match device.link {
        LinkType::LinuxSll => cooked_1(received),
        LinkType::LinuxSll2 => cooked_2(received),
        _ => received.data.clone(),
    };
    let tag = received.vlan_tag;
    if !filter.matches(Packet { data: &data, length: data.len(), outgoing, tag: tag.map(|tag| tag.tci) }) {
        return None;
    }
    if let Some(tag) = tag {
        put_in(&mut data, device.link, tag);
    }
    let length = data.len();
    let wanted = match options.direction {
        Direction::Both => true,
        Direction::In => !outgoing,
        Direction::Out => outgoing,
    };
    // A packet sent on lo is also received.
    if !wanted || (outgoing && received.ifindex == device.loopback) {
        return Some(None);
    }
    data.truncate(options.snapshot as usize);
    Some(Some(Captured { time: sock::wall(received.at), data, length }))
}

/// libpcap puts the tag that stood beside a packet back into it, where there is a place for it.
fn put_in(data: &mut Vec<u8>, link: LinkType, tag: VlanTag) {
    match link {
        LinkType::LinuxSll => {
            let bytes = [tag.proto.ethertype(), tag.tci].map(u16::to_be_bytes);
            data.splice(SLL_PROTOCOL..SLL_PROTOCOL, bytes.as_flattened().iter().copied());
        }
        LinkType::Ethernet => tag.write_into(data),
        LinkType::LinuxSll2 | LinkType::Raw => {}
    }
}

fn kind(packet: PacketType) -> u8 {
    match packet {
        PacketType::Host => 0,
        PacketType::Broadcast => 1,
        PacketType::Multicast => 2,
        PacketType::OtherHost => 3,
        PacketType::Outgoing => 4,
        PacketType::Loopback => 5,
    }
}

/// Length and field of the source address in a cooked header; a packet without a link header has none, one with a header of IPv4 that of
/// IPv4.
fn address(received: &Received) -> (u8, [u8; 8]) {
    let mut address = [0; 8];
    if received.arphrd.has_mac() {
        address[..6].copy_from_slice(&received.mac.0);
        return (6, address);
    }
    match received.data.get(offset_of!(Ipv4Hdr, saddr)..received.link_len).and_then(<[u8]>::first_chunk::<4>)
    {
        Some(saddr) => {
            address[..4].copy_from_slice(saddr);
            (4, address)
        }
        None => (0, address),
    }
}

/// The packet behind its link header.
fn payload(received: &Received) -> &[u8] {
    received.data.get(received.link_len..).unwrap_or(&[])
}

fn cooked_1(received: &Received) -> Vec<u8> {
    let (length, address) = address(received);
    let mut data = u16::from(kind(received.pkt_type)).to_be_bytes().to_vec();
    data.extend((received.arphrd as u16).to_be_bytes());
    data.extend(u16::from(length).to_be_bytes());
    data.extend(address);
    data.extend(received.protocol.to_be_bytes());
    data.extend(payload(received));
    data
}

fn cooked_2(received: &Received) -> Vec<u8> {
    let (length, address) = address(received);
    let mut data = received.protocol.to_be_bytes().to_vec();
    data.extend([0, 0]);
    data.extend(received.ifindex.to_be_bytes());
    data.extend((received.arphrd as u16).to_be_bytes());
    data.extend([kind(received.pkt_type), length]);
    data.extend(address);
    data.extend(payload(received));
    data
}

fn announce(process: &mut Process, options: &Options, device: &Device) {
    process.eprint("tcpdump: ");
    if options.print.verbose == 0 && options.write.is_none() {
        process.eprint("verbose output suppressed, use -v[v]... for full protocol decode\n");
    }
    let (link, description) = device.link.names();
    process.eprint(format!(
        "listening on {}, link-type {link} ({description}), snapshot length {} bytes\n",
        device.name, options.snapshot
    ));
}

fn summary(process: &mut Process, captured: u64, received: u64, dropped: u64) {
    for (count, what) in
        [(captured, "captured"), (received, "received by filter"), (dropped, "dropped by kernel")]
    {
        process.eprint(format!("{count} packet{} {what}\n", plural(count)));
    }
}

fn no_such_device(name: &str) -> Stop {
    error(&format!("{name}: No such device exists\n(No such device exists)"))
}

/// Opens the device for a capture.
fn open(process: &Process, options: &Options) -> Done<Device> {
    let name = match &options.interface {
        None => found(process).swap_remove(0).name,
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            let at = number.parse::<usize>().unwrap_or(0);
            let mut names = listed(process);
            if at == 0 || at > names.len() {
                return Err(error("Invalid adapter index"));
            }
            names.swap_remove(at - 1).0
        }
        Some(name) => name.clone(),
    };
    let loopback = sock::device(process, "lo", |dev| dev.ifindex).unwrap_or(0);
    let mut device =
        Device { name, ifindex: 0, link: LinkType::Ethernet, loopback, netmask: Ipv4Addr::UNSPECIFIED };
    if device.name == ANY {
        device.link = match options.interface {
            Some(_) => LinkType::LinuxSll2,
            None => LinkType::LinuxSll,
        };
    } else {
        let flags = sock::device(process, &device.name, |dev| (dev.ifindex, dev.dev_get_flags(), dev.arphrd));
        let Some((ifindex, flags, arphrd)) = flags else { return Err(no_such_device(&device.name)) };
        if flags & IFF_UP == 0 {
            return Err(error(&format!("{}: That device is not up", device.name)));
        }
        device.ifindex = ifindex;
        device.link = link_type(arphrd);
        device.netmask = sock::netmask(process, &device.name);
    }
    if let Some(link) = options.link {
        let known: &[LinkType] =
            if device.name == ANY { &[LinkType::LinuxSll, LinkType::LinuxSll2] } else { &[device.link] };
        if !known.contains(&link) {
            let link = link.names().0;
            return Err(error(&format!("{link} is not one of the DLTs supported by this device")));
        }
        device.link = link;
    }
    Ok(device)
}

/// How libpcap captures on a kind of link.
fn link_type(arphrd: Arphrd) -> LinkType {
    match arphrd {
        Arphrd::Ether | Arphrd::Loopback => LinkType::Ethernet,
        Arphrd::Tunnel | Arphrd::None => LinkType::Raw,
        Arphrd::Ipgre => LinkType::LinuxSll,
    }
}

fn link_types(device: &Device) -> String {
    let name = device.name.as_str();
    let links: &[LinkType] =
        if name == ANY { &[LinkType::LinuxSll, LinkType::LinuxSll2] } else { &[device.link] };
    let mut text = format!("Data link types for {name} (use option -y to set):\n");
    for link in links {
        let (name, description) = link.names();
        text += &format!("  {name} ({description})\n");
    }
    if device.link == LinkType::Ethernet && name != "lo" {
        // libpcap lists it for every Ethernet device.
        text += "  DOCSIS (DOCSIS) (printing not supported)\n";
    }
    text
}

/// A device in libpcap's list.
struct Found {
    merit: u32,
    name: String,
    text: String,
}

/// Devices in libpcap's order: running ones, loopback, those that are down.
fn found(process: &Process) -> Vec<Found> {
    let mut found: Vec<Found> = sock::interfaces(process)
        .into_iter()
        .filter_map(|(_, name)| {
            let (flags, carrier, arphrd) =
                sock::device(process, &name, |dev| (dev.dev_get_flags(), dev.carrier, dev.arphrd))?;
            let connected = (arphrd == Arphrd::Ether).then_some(carrier && flags & IFF_UP != 0);
            Some(describe(name, flags, connected))
        })
        .collect();
    let fixed = [
        (0x0800_0000, ANY, "any (Pseudo-device that captures on all interfaces) [Up, Running]"),
        (0xc000_0000, "bluetooth-monitor", "bluetooth-monitor (Bluetooth Linux Monitor) [Wireless]"),
        (0xc000_0000, "nflog", "nflog (Linux netfilter log (NFLOG) interface) [none]"),
        (0xc000_0000, "nfqueue", "nfqueue (Linux netfilter queue (NFQUEUE) interface) [none]"),
        (0xc000_0000, "dbus-system", "dbus-system (D-Bus system bus) [none]"),
        (0xc000_0000, "dbus-session", "dbus-session (D-Bus session bus) [none]"),
    ];
    found.extend(fixed.map(|(merit, name, text)| Found {
        merit,
        name: name.to_owned(),
        text: text.to_owned(),
    }));
    found.sort_by_key(|device| device.merit);
    found
}

fn listed(process: &Process) -> Vec<(String, String)> {
    found(process).into_iter().map(|device| (device.name, device.text)).collect()
}

fn describe(name: String, flags: u32, connected: Option<bool>) -> Found {
    let (up, running) = (flags & IFF_UP != 0, flags & IFF_RUNNING != 0);
    let loopback = flags & IFF_LOOPBACK != 0;
    let mut merit = 0;
    let mut words = Vec::new();
    for (bad, weight) in [
        (!running, 0x8000_0000),
        (!up, 0x4000_0000),
        (connected == Some(false), 0x2000_0000),
        (loopback, 0x1000_0000),
    ] {
        merit |= if bad { weight } else { 0 };
    }
    for (is, word) in [(up, "Up"), (running, "Running"), (loopback, "Loopback")] {
        words.extend(is.then_some(word));
    }
    if words.is_empty() {
        words.push("none");
    }
    if let Some(connected) = connected {
        words.push(if connected { "Connected" } else { "Disconnected" });
    }
    let text = format!("{name} [{}]", words.join(", "));
    Found { merit, name, text }
}

/// Output of `-D`.
pub fn list_interfaces(process: &Process) -> String {
    let line = |(at, device): (usize, (String, String))| format!("{}.{}\n", at + 1, device.1);
    listed(process).into_iter().enumerate().map(line).collect()
}
