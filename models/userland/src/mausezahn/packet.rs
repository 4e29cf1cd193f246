//! The bytes of a packet.

use std::net::Ipv4Addr;

use glassnet_wire::checksum::{fold, pseudo_header, sum};

/// An IPv4 packet as `-t` describes it.
#[derive(Debug, PartialEq)]
pub struct Packet {
    /// Source; otherwise the device's address.
    pub src: Option<Ipv4Addr>,
    /// Destination.
    pub dst: Ipv4Addr,
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
    Udp { sport: u16, dport: u16 },
    /// TCP.
    Tcp { sport: u16, dport: u16, seq: u32, ack: u32, window: u16, flags: u8 },
    /// An ICMP echo request.
    Ping { id: u16, seq: u16 },
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
        Transport::Tcp { sport: 0, dport: 0, seq: 42, ack: 42, window: 10_000, flags: 0 }
    }

    fn protocol(&self) -> u8 {
        match self {
            Transport::Ip { proto } => *proto,
            Transport::Udp { .. } => 17,
            Transport::Tcp { .. } => 6,
            Transport::Ping { .. } => 1,
        }
    }

    /// The header with a zero checksum, and the checksum's offset.
    fn header(&self, data: usize) -> (Vec<u8>, Option<usize>) {
        match self {
            Transport::Ip { .. } => (Vec::new(), None),
            Transport::Udp { sport, dport } => {
                let len = (8 + data) as u16;
                ([sport.to_be_bytes(), dport.to_be_bytes(), len.to_be_bytes(), [0; 2]].concat(), Some(6))
            }
            Transport::Tcp { sport, dport, seq, ack, window, flags } => {
                let options: &[u8] = if flags & SYN != 0 { &SYN_OPTIONS } else { &[] };
                let words = (20 + options.len()) as u8 / 4;
                let mut header = [sport.to_be_bytes(), dport.to_be_bytes()].concat();
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
    /// Bytes from the IPv4 header on, with `pad` bytes of padding.
    pub fn bytes(&self, src: Ipv4Addr, pad: usize) -> Vec<u8> {
        let data = self.text.as_deref().map_or(&self.data[..], str::as_bytes);
        let data: Vec<u8> = data.iter().copied().chain(std::iter::repeat_n(PADDING, pad)).collect();
        let (mut segment, place) = self.transport.header(data.len());
        segment.extend(data);
        let protocol = self.transport.protocol();
        if let Some(at) = place {
            let len = segment.len() as u16;
            let start = match self.transport {
                Transport::Ping { .. } => 0,
                _ => pseudo_header(src, self.dst, protocol, len),
            };
            let check = fold(sum(start, &segment));
            segment[at..at + 2].copy_from_slice(&check.to_be_bytes());
        }
        let flags = if self.df { 0x40 } else { 0 };
        let total = (20 + segment.len()) as u16;
        let mut header = vec![0x45, self.tos];
        header.extend([total.to_be_bytes(), self.id.to_be_bytes()].concat());
        header.extend([flags, 0, self.ttl, protocol, 0, 0]);
        header.extend([src.octets(), self.dst.octets()].concat());
        let check = fold(sum(0, &header));
        header[10..12].copy_from_slice(&check.to_be_bytes());
        [header, segment].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::{What, parse};

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
        (&["-t", "icmp", "ping,id=7,seq=9"], "4500001c00070000ff01a7d70a0000010a0000020800f7ef00070009"),
    ];

    #[test]
    fn packets_are_those_of_the_real_tool() {
        for (args, expected) in RECORDED {
            let args = ["v0"].iter().chain(*args).chain(&["-A", "10.0.0.1", "-B", "10.0.0.2"]);
            let args: Vec<String> = args.map(|arg| (*arg).to_owned()).collect();
            let options = parse(&args).expect("it is understood");
            let What::Packet(packet) = &options.what else { panic!("a packet: {args:?}") };
            let bytes = packet.bytes([10, 0, 0, 1].into(), options.pad);
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, *expected, "{args:?}");
        }
    }
}
