//! The bytes of packets.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use glassnet_wire::checksum::{fold, pseudo_header, sum};

/// Addresses, ends included.
pub type Addresses = RangeInclusive<Ipv4Addr>;

/// IPv4 packets as `-t` describes them.
#[derive(Debug, PartialEq)]
pub struct Packet {
    /// Sources; otherwise the device's address.
    pub src: Option<Addresses>,
    /// Destinations.
    pub dst: Addresses,
    /// Source ports of UDP and TCP.
    pub sport: RangeInclusive<u16>,
    /// Destination ports of UDP and TCP.
    pub dport: RangeInclusive<u16>,
    /// Type of service.
    pub tos: u8,
    /// Time to live.
    pub ttl: u8,
    /// Identification; the kernel chooses one in the place of 0.
    pub id: u16,
    /// Don't fragment.
    pub df: bool,
    /// Payload protocol.
    pub transport: Transport,
    /// `-P`: text instead of the bytes of `p=`.
    pub text: Option<String>,
    /// Bytes behind the header (`p=`).
    pub data: Vec<u8>,
}

/// A transport header.
#[derive(Debug, PartialEq)]
pub enum Transport {
    /// None.
    Ip { proto: u8 },
    /// UDP.
    Udp,
    /// TCP.
    Tcp { seq: u32, ack: u32, window: u16, flags: u8 },
    /// An ICMP echo request.
    Ping { id: u16, seq: u16 },
}

/// What differs between the packets of one description.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    /// Addresses: source, destination.
    pub addresses: [Ipv4Addr; 2],
    /// Ports: source, destination.
    pub ports: [u16; 2],
}

/// Options that the tool gives every segment with SYN: MSS, SACK, a timestamp, window scale.
const SYN_OPTIONS: [u8; 20] = [2, 4, 5, 0xac, 4, 2, 8, 10, 0x19, 0x35, 0x90, 0xc3, 0, 0, 0, 0, 1, 3, 3, 5];
/// SYN among the flags.
const SYN: u8 = 2;
/// Padding byte.
const PADDING: u8 = 0x42;

impl Transport {
    /// Default TCP header.
    pub fn tcp() -> Transport {
        Transport::Tcp { seq: 42, ack: 42, window: 10_000, flags: 0 }
    }

    fn protocol(&self) -> u8 {
        match self {
            Transport::Ip { proto } => *proto,
            Transport::Udp => 17,
            Transport::Tcp { .. } => 6,
            Transport::Ping { .. } => 1,
        }
    }

    /// The header with a zero checksum, and the checksum's offset.
    fn header(&self, ports: [u16; 2], data: usize) -> (Vec<u8>, Option<usize>) {
        let mut header = ports.map(u16::to_be_bytes).concat();
        match self {
            Transport::Ip { .. } => (Vec::new(), None),
            Transport::Udp => {
                let len = (8 + data) as u16;
                header.extend([len.to_be_bytes(), [0; 2]].concat());
                (header, Some(6))
            }
            Transport::Tcp { seq, ack, window, flags } => {
                let options: &[u8] = if flags & SYN != 0 { &SYN_OPTIONS } else { &[] };
                let words = (20 + options.len()) as u8 / 4;
                header.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
                header.extend([words << 4, *flags]);
                header.extend([window.to_be_bytes(), [0; 2], [0; 2]].concat());
                header.extend(options);
                (header, Some(16))
            }
            Transport::Ping { id, seq } => {
                ([[8, 0], [0, 0], id.to_be_bytes(), seq.to_be_bytes()].concat(), Some(2))
            }
        }
    }
}

impl Packet {
    /// The flows that are meant, in the order in which they are sent; `own` is the device's address.
    pub fn flows(&self, own: Ipv4Addr) -> impl Iterator<Item = Flow> {
        let sources = self.src.clone().unwrap_or(own..=own);
        let (to, sports, dports) = (self.dst.clone(), self.sport.clone(), self.dport.clone());
        each(sources).flat_map(move |src| {
            let (sports, dports) = (sports.clone(), dports.clone());
            each(to.clone()).flat_map(move |dst| {
                let dports = dports.clone();
                sports.clone().flat_map(move |sport| {
                    dports.clone().map(move |dport| Flow { addresses: [src, dst], ports: [sport, dport] })
                })
            })
        })
    }

    /// Bytes from the IPv4 header on, with `pad` bytes of padding.
    pub fn bytes(&self, flow: Flow, pad: usize) -> Vec<u8> {
        let [src, dst] = flow.addresses;
        let data = self.text.as_deref().map_or(&self.data[..], str::as_bytes);
        let data: Vec<u8> = data.iter().copied().chain(std::iter::repeat_n(PADDING, pad)).collect();
        let (mut segment, place) = self.transport.header(flow.ports, data.len());
        segment.extend(data);
        let protocol = self.transport.protocol();
        if let Some(at) = place {
            let len = segment.len() as u16;
            let start = match self.transport {
                Transport::Ping { .. } => 0,
                _ => pseudo_header(src, dst, protocol, len),
            };
            let check = fold(sum(start, &segment));
            segment[at..at + 2].copy_from_slice(&check.to_be_bytes());
        }
        let flags = if self.df { 0x40 } else { 0 };
        let total = (20 + segment.len()) as u16;
        let mut header = vec![0x45, self.tos];
        header.extend([total.to_be_bytes(), self.id.to_be_bytes()].concat());
        header.extend([flags, 0, self.ttl, protocol, 0, 0]);
        header.extend([src.octets(), dst.octets()].concat());
        let check = fold(sum(0, &header));
        header[10..12].copy_from_slice(&check.to_be_bytes());
        [header, segment].concat()
    }
}

fn each(addresses: Addresses) -> impl Iterator<Item = Ipv4Addr> {
    (addresses.start().to_bits()..=addresses.end().to_bits()).map(Ipv4Addr::from_bits)
}

#[cfg(test)]
mod tests {
    use super::super::options::{What, parse};
    use super::*;

    /// What the real tool sent for `-A 10.0.0.1 -B 10.0.0.2 -b 02:00:00:00:00:55`, from the IPv4 header on.
    const RECORDED: &[(&[&str], &str)] = &[
        (&["-t", "ip"], "4500001400000000ff00a7e70a0000010a000002"),
        (
            &["-t", "ip", "id=1,ttl=63,tos=10,proto=17,p=03:e8:00:35:00:0d:00:00:61:62:63:64:65"],
            "45100021000100003f1167b90a0000010a00000203e80035000d00006162636465",
        ),
        (&["-t", "ip", "id=1,ttl=1,proto=17,p=61,df"], "4500001500014000011165d50a0000010a00000261"),
        (
            &["-t", "udp", "sp=1000,dp=53", "-P", "hello"],
            "4500002100000000ff11a7c90a0000010a00000203e80035000da3e268656c6c6f",
        ),
        (
            &["-t", "udp", "sp=1,dp=2", "-P", "hi", "-p", "3"],
            "4500002100000000ff11a7c90a0000010a00000200010002000dff226869424242",
        ),
        (
            &["-t", "udp", "sp=1,dp=2,p=01:02", "-P", "hi"],
            "4500001e00000000ff11a7cc0a0000010a00000200010002000a836b6869",
        ),
        (&["-t", "udp", "sp=1,dp=2,p=01:02"], "4500001e00000000ff11a7cc0a0000010a00000200010002000aead20102"),
        (
            &["-t", "tcp", "flags=fin|psh|urg|ecn|cwr,p=aa"],
            "4500002900000000ff06a7cc0a0000010a000002000000000000002a0000002a50e92710c9930000aa",
        ),
        (&["-t", "ip", "proto=47", "-p", "2"], "4500001600000000ff2fa7b60a0000010a0000024242"),
        (
            &["-t", "tcp", "sp=1000,dp=80,flags=syn"],
            "4500003c00000000ff06a7b90a0000010a00000203e800500000002a0000002aa00227105e730000020405ac0402080a193590c30000000001030305",
        ),
        (
            &["-t", "tcp", "sp=1000,dp=80,flags=syn|ack,s=5,a=6,win=9", "-p", "4"],
            "4500004000000000ff06a7b50a0000010a00000203e800500000000500000006a0120009012b0000020405ac0402080a193590c3000000000103030542424242",
        ),
        (&["-t", "tcp"], "4500002800000000ff06a7cd0a0000010a000002000000000000002a0000002a50002710747e0000"),
        (&["-t", "icmp", "ping"], "4500001c00000000ff01a7de0a0000010a0000020800f7bc00420001"),
        (&["-t", "icmp", "echoreq"], "4500001c00000000ff01a7de0a0000010a0000020800f7bc00420001"),
        (&["-t", "icmp", "ping,id=7,seq=9"], "4500001c00070000ff01a7d70a0000010a0000020800f7ef00070009"),
    ];

    #[test]
    fn packets_are_those_of_the_real_tool() {
        for (args, expected) in RECORDED {
            let args = ["v0"].iter().chain(*args).chain(&["-A", "10.0.0.1", "-B", "10.0.0.2"]);
            let args: Vec<String> = args.map(|arg| (*arg).to_owned()).collect();
            let options = parse(&args).expect("it is understood");
            let What::Packet(packet) = &options.what else { panic!("a packet: {args:?}") };
            let flow = packet.flows([10, 0, 0, 1].into()).next().expect("a flow");
            let bytes = packet.bytes(flow, options.pad);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, *expected, "{args:?}");
        }
    }

    #[test]
    fn ranges_go_by_source_destination_and_ports() {
        for (args, expected) in [
            (&["sp=1-2,dp=11-10"][..], "1:1>2:10 1:1>2:11 1:2>2:10 1:2>2:11"),
            (&["-A", "10.0.0.7-10.0.0.8", "-B", "10.0.0.2-10.0.0.3"], "7:0>2:0 7:0>3:0 8:0>2:0 8:0>3:0"),
            (&["-B", "10.0.0.1/30"], "1:0>1:0 1:0>2:0 1:0>3:0"),
            (&["-A", "10.0.0.9-10.0.0.8"], "9:0>2:0"),
        ] {
            let args = ["v0", "-t", "udp", "-B", "10.0.0.2"].iter().chain(args);
            let args: Vec<String> = args.map(|arg| (*arg).to_owned()).collect();
            let options = parse(&args).expect("it is understood");
            let What::Packet(packet) = &options.what else { panic!("a packet: {args:?}") };
            let last = |address: Ipv4Addr| address.octets()[3];
            let flows = packet.flows([10, 0, 0, 1].into()).map(|Flow { addresses: [from, to], ports }| {
                format!("{}:{}>{}:{}", last(from), ports[0], last(to), ports[1])
            });
            assert_eq!(flows.collect::<Vec<_>>().join(" "), expected, "{args:?}");
        }
    }
}
