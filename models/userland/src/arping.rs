//! `arping` of iputils 20221126: ARP requests and replies through a packet socket.

use std::net::Ipv4Addr;

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::arphrd::Arphrd;
use glassnet_kernel::tables::netdev::{IFF_LOOPBACK, IFF_NOARP, IFF_UP};
use glassnet_kernel::tables::skb::PacketType;
use glassnet_kernel::tables::socket::{Received, SockKind};
use glassnet_sim::Nanos;
use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_P_ARP;

use crate::getopt;
use crate::hosts::{Hosts, inet_aton};
use crate::process::{Process, Running, Signal, Woken};
use crate::resolver::Family;
use crate::sock::{self, Sock};
use crate::stop::{Done, Stop};

const USAGE: &str = "
Usage:
  arping [options] <destination>

Options:
  -f            quit on first reply
  -q            be quiet
  -b            keep on broadcasting, do not unicast
  -D            duplicate address detection mode
  -U            unsolicited ARP mode, update your neighbours
  -A            ARP answer mode, update your neighbours
  -V            print version and exit
  -c <count>    how many packets to send
  -w <timeout>  how long to wait for a reply
  -i <interval> set interval between packets (default: 1 second)
  -I <device>   which ethernet device to use
  -s <source>   source ip address
  <destination> dns name or ip address

For more details see arping(8).
";

const VERSION: &str = "arping from iputils 20221126
libcap: yes, IDN: yes, NLS: no, error.h: yes, getrandom(): yes, __fpending(): yes
";

const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const BROADCAST: Mac = Mac([0xff; 6]);

fn error<T>(status: i32, text: &str) -> Done<T> {
    Err(Stop::error(status, format!("arping: {text}\n")))
}

#[derive(Default)]
struct Options {
    target: String,
    quit_on_reply: bool,
    quiet: bool,
    broadcast_only: bool,
    duplicate_detection: bool,
    unsolicited: bool,
    answer: bool,
    count: Option<u64>,
    timeout: u64,
    interval: u64,
    device: Option<String>,
    source: Option<String>,
}

/// State of a running arping.
struct State {
    options: Options,
    socket: Sock,
    device: String,
    target: Ipv4Addr,
    source: Ipv4Addr,
    own: Mac,
    /// Destination of the next probe.
    to: Mac,
    unicasting: bool,
    last: Nanos,
    sent: u64,
    broadcasts_sent: u64,
    received: u64,
    broadcasts_received: u64,
    requests_received: u64,
}

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move { arping(process).await.unwrap_or_else(|stop| stop.say(process)) })
}

fn parse(args: &[String]) -> Done<Options> {
    let parsed = getopt::parse(args, "h?bfDUAqc:w:i:s:I:V", &[]);
    let mut options = Options { interval: 1, ..Options::default() };
    let most = i64::from(i32::MAX);
    for opt in &parsed.options {
        let value = opt.value.clone();
        match opt.name.as_str() {
            "b" => options.broadcast_only = true,
            "f" => options.quit_on_reply = true,
            "D" => (options.duplicate_detection, options.quit_on_reply) = (true, true),
            "U" => options.unsolicited = true,
            "A" => (options.answer, options.unsolicited) = (true, true),
            "q" => options.quiet = true,
            "c" => options.count = Some(integer(&value, 1, most)?),
            "w" => options.timeout = integer(&value, 0, most)?,
            "i" => options.interval = integer(&value, 0, most)?,
            "s" => options.source = Some(value),
            "I" => options.device = Some(value).filter(|name| !name.is_empty()),
            "V" => return Err(Stop::shown(VERSION)),
            _ => return Err(Stop::error(2, USAGE)),
        }
    }
    if let Some(text) = parsed.error {
        return error(2, &format!("{text}\n{}", USAGE.trim_end_matches('\n')));
    }
    match parsed.operands.as_slice() {
        [target] => Ok(Options { target: target.clone(), ..options }),
        _ => Err(Stop::error(2, USAGE)),
    }
}

fn integer(text: &str, least: i64, most: i64) -> Done<u64> {
    match crate::ping::integer(text, least, most) {
        Ok(value) => Ok(value as u64),
        Err(reason) => error(1, &reason),
    }
}

async fn arping(process: &mut Process) -> Done<i32> {
    let options = parse(process.args())?;
    let target = match inet_aton(&options.target) {
        Some(address) => address,
        None => {
            let found = Hosts::read(process).await.look_up(process, &options.target, Family::Ipv4).await;
            found
                .map(|found| found.addresses[0])
                .or_else(|gai| error(2, &format!("{}: {}", options.target, gai.text())))?
        }
    };
    let device = choose_device(process, &options, target)?;
    let source = choose_source(process, &options, &device, target)?;
    let (own, ifindex) =
        sock::device(process, &device, |dev| (dev.addr, dev.ifindex)).unwrap_or((Mac::ZERO, 0));
    let socket = Sock::open(process, SockKind::Packet { protocol: ETH_P_ARP, cooked: true });
    if let Err(errno) = socket.packet_bind(ifindex) {
        return error(2, &format!("bind: {}", errno.strerror()));
    }
    if !options.quiet {
        process.print(format!("ARPING {target} from {source} {device}\n"));
    }
    if options.source.is_none() && source.is_unspecified() && !options.duplicate_detection {
        return error(2, "no source address in not-DAD mode");
    }
    let state = State {
        options,
        socket,
        device,
        target,
        source,
        own,
        to: BROADCAST,
        unicasting: false,
        last: Nanos::ZERO,
        sent: 0,
        broadcasts_sent: 0,
        received: 0,
        broadcasts_received: 0,
        requests_received: 0,
    };
    Ok(state.run(process).await)
}

/// The device of `-I`, or that of the route to the target, if it does ARP.
fn choose_device(process: &mut Process, options: &Options, target: Ipv4Addr) -> Done<String> {
    let name = match &options.device {
        Some(name) => name.clone(),
        None => match sock::route_device(process, target) {
            Some(name) => name,
            None => return error(1, "NETLINK_ROUTE unexpected iov element"),
        },
    };
    let Some((flags, arphrd)) = sock::device(process, &name, |dev| (dev.flags, dev.arphrd)) else {
        return error(2, &format!("Device {name} not available."));
    };
    // It is looked for among those that have an address of the link.
    if arphrd == Arphrd::None {
        return error(1, &format!("Device {name} not available."));
    }
    let refuse = |reason: &str, status| {
        let text = if options.quiet { String::new() } else { format!("Interface \"{name}\" is {reason}\n") };
        Err(Stop { stdout: text, status, ..Stop::default() })
    };
    if flags & IFF_UP == 0 {
        return refuse("down", 2);
    }
    if flags & (IFF_NOARP | IFF_LOOPBACK) != 0 {
        return refuse("not ARPable", if options.duplicate_detection { 0 } else { 2 });
    }
    Ok(name)
}

/// The source address: of `-s`, the announced address, or that of a UDP socket on the device.
fn choose_source(process: &mut Process, options: &Options, device: &str, target: Ipv4Addr) -> Done<Ipv4Addr> {
    let mut source = Ipv4Addr::UNSPECIFIED;
    if let Some(text) = &options.source {
        match inet_aton(text) {
            Some(address) => source = address,
            None => return error(2, &format!("invalid source {text}")),
        }
    } else if options.unsolicited && !options.duplicate_detection {
        source = target;
    }
    if options.duplicate_detection && options.source.is_none() {
        return Ok(source);
    }
    let probe = Sock::open(process, SockKind::Udp);
    let ifindex = sock::device(process, device, |dev| dev.ifindex).unwrap_or(0);
    probe.set(|opts| opts.bound_dev_if = ifindex);
    let failed = |what: &str, errno: Errno| error(2, &format!("{what}: {}", errno.strerror()));
    if options.source.is_some() || !source.is_unspecified() {
        return match probe.bind(source, 0) {
            Ok(()) => Ok(source),
            Err(errno) => failed("bind", errno),
        };
    }
    match probe.connect(target, 1025) {
        Ok(()) => Ok(probe.local().0),
        Err(errno) => failed("connect", errno),
    }
}

impl State {
    async fn run(mut self, process: &mut Process) -> i32 {
        for signal in [Signal::INT, Signal::QUIT, Signal::TERM] {
            process.signals.catch(signal);
        }
        let started = process.now();
        let interval = (self.options.interval > 0).then(|| Nanos::from_secs(self.options.interval));
        let timeout = (self.options.timeout > 0).then(|| started + Nanos::from_secs(self.options.timeout));
        let mut next = interval.map(|interval| started + interval);
        let mut expirations = 1;
        self.send(process);
        loop {
            let deadline = [next, timeout].into_iter().flatten().min();
            if let Woken::Signal(_) = self.socket.wait(process, deadline).await {
                break;
            }
            let now = process.now();
            if let (Some(due), Some(interval)) = (next, interval)
                && now >= due
            {
                next = Some(due + interval);
                expirations += 1;
                if self.options.count.is_some_and(|count| count < expirations) {
                    break;
                }
                self.send(process);
            }
            if timeout.is_some_and(|timeout| now >= timeout) || self.take(process) {
                break;
            }
        }
        self.finish(process)
    }

    fn send(&mut self, process: &Process) {
        let operation = if self.options.answer { REPLY } else { REQUEST };
        let target_mac = if self.options.answer { self.own } else { self.to };
        let mut packet = vec![0, 1, 8, 0, 6, 4];
        packet.extend(operation.to_be_bytes());
        packet.extend(self.own.0);
        packet.extend(self.source.octets());
        packet.extend(target_mac.0);
        packet.extend(self.target.octets());
        let now = process.now();
        if self.socket.send_frame(self.to, &packet).is_ok() {
            self.last = now;
            self.sent += 1;
            self.broadcasts_sent += u64::from(!self.unicasting);
        }
    }

    /// Handles a received packet; true if it ends the program.
    fn take(&mut self, process: &mut Process) -> bool {
        while let Ok(Some(packet)) = self.socket.receive() {
            if self.answer(process, &packet) {
                return true;
            }
        }
        false
    }

    fn answer(&mut self, process: &mut Process, packet: &Received) -> bool {
        let Some(arp) = Arp::parse(&packet.data) else { return false };
        let to_us = !matches!(packet.pkt_type, PacketType::OtherHost | PacketType::Outgoing);
        if !to_us || !self.is_wanted(&arp) {
            return false;
        }
        if !self.options.quiet {
            let line = self.describe(&arp, packet);
            process.print(line);
        }
        self.received += 1;
        if self.options.timeout > 0 && self.options.count == Some(self.received) {
            return true;
        }
        self.broadcasts_received += u64::from(packet.pkt_type != PacketType::Host);
        self.requests_received += u64::from(arp.operation == REQUEST);
        if self.options.quit_on_reply {
            return true;
        }
        if !self.options.broadcast_only {
            (self.to, self.unicasting) = (arp.sender_mac, true);
        }
        false
    }

    fn is_wanted(&self, arp: &Arp) -> bool {
        if arp.sender != self.target {
            return false;
        }
        if self.options.duplicate_detection {
            let ours = arp.sender_mac == self.own;
            return !ours && (self.source.is_unspecified() || self.source == arp.target);
        }
        arp.target == self.source && arp.target_mac == self.own
    }

    fn describe(&self, arp: &Arp, packet: &Received) -> String {
        let cast = if packet.pkt_type == PacketType::Host { "Unicast" } else { "Broadcast" };
        let what = if arp.operation == REPLY { "reply" } else { "request" };
        let mut line = format!("{cast} {what} from {} [{}] ", arp.sender, upper(arp.sender_mac));
        let elsewhere = arp.target != self.source;
        if elsewhere {
            line += &format!("for {} ", arp.target);
        }
        if arp.target_mac != self.own {
            line += if elsewhere { "" } else { "for " };
            line += &format!("[{}]", upper(arp.target_mac));
        }
        let us = (packet.at.since(self.last).0 + 500) / 1000;
        let ms = (us + 500) / 1000;
        // arping rounds the milliseconds and prints the difference, plus half a millisecond, as the fraction.
        line + &format!(" {ms}.{:03}ms\n", us + 500 - ms * 1000)
    }

    fn finish(&self, process: &mut Process) -> i32 {
        if !self.options.quiet {
            process.print(format!("Sent {} probes ({} broadcast(s))\n", self.sent, self.broadcasts_sent));
            let requests =
                (self.requests_received > 0).then(|| format!("{} request(s)", self.requests_received));
            let broadcasts =
                (self.broadcasts_received > 0).then(|| format!("{} broadcast(s)", self.broadcasts_received));
            let parts: Vec<String> = requests.into_iter().chain(broadcasts).collect();
            let parts = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) };
            process.print(format!("Received {} response(s){parts}\n", self.received));
        }
        debug_assert!(!self.device.is_empty());
        self.status()
    }

    fn status(&self) -> i32 {
        let received = self.received > 0;
        let failed = if self.options.duplicate_detection {
            received || self.broadcasts_sent == self.received
        } else if self.options.unsolicited {
            false
        } else if self.options.timeout > 0 && self.options.count.is_none() {
            !received
        } else {
            !received || self.sent != self.received
        };
        i32::from(failed)
    }
}

/// An ARP packet for Ethernet and IPv4.
struct Arp {
    operation: u16,
    sender_mac: Mac,
    sender: Ipv4Addr,
    target_mac: Mac,
    target: Ipv4Addr,
}

impl Arp {
    fn parse(data: &[u8]) -> Option<Arp> {
        let data: &[u8; 28] = data.get(..28)?.try_into().ok()?;
        let operation = u16::from_be_bytes([data[6], data[7]]);
        let mac =
            |at: usize| Mac([data[at], data[at + 1], data[at + 2], data[at + 3], data[at + 4], data[at + 5]]);
        let ip = |at: usize| Ipv4Addr::new(data[at], data[at + 1], data[at + 2], data[at + 3]);
        let known = data[..6] == [0, 1, 8, 0, 6, 4] && matches!(operation, REQUEST | REPLY);
        known.then(|| Arp {
            operation,
            sender_mac: mac(8),
            sender: ip(14),
            target_mac: mac(18),
            target: ip(24),
        })
    }
}

fn upper(mac: Mac) -> String {
    mac.0.map(|byte| format!("{byte:02X}")).join(":")
}
