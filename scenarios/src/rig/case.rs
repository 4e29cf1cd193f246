//! Cases, and the bytes of their packets.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use etherparse::{
    IcmpEchoHeader, Icmpv4Type, IpFragOffset, IpNumber, Ipv4Header, PacketBuilder, TcpHeader,
    TcpOptionElement, ip_number,
};
use serde::{Deserialize, Serialize};

/// Rules, and packets that meet them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// Description, or seed.
    pub name: String,
    /// For `iptables-legacy`.
    #[serde(default)]
    pub legacy: bool,
    /// `bridge-nf-call-iptables` is on.
    #[serde(default)]
    pub bridge_nf: bool,
    /// Text for `ipset restore`, a line each.
    #[serde(default)]
    pub sets: Vec<String>,
    /// Text for `nfacct restore`, a line each.
    #[serde(default)]
    pub accounts: Vec<String>,
    /// Text for `iptables-restore`, a line each.
    pub rules: Vec<String>,
    /// Steps after loading.
    pub steps: Vec<Step>,
}

impl Case {
    /// Files of `recent` and `hashlimit` rules.
    pub fn lists(&self) -> BTreeSet<String> {
        let named = |option: &'static str, folder: &'static str| {
            let words = self.rules.iter().flat_map(|rule| rule.split(' ').zip(rule.split(' ').skip(1)));
            words.filter(move |(word, _)| *word == option).map(move |(_, name)| format!("{folder}/{name}"))
        };
        let recent = named("--name", "/proc/net/xt_recent");
        recent.chain(named("--hashlimit-name", "/proc/net/ipt_hashlimit")).collect()
    }
}

/// A port of the rig.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Port {
    /// The clients' cable, at the router's `c0`.
    C1,
    /// The servers' cable, at the router's `s0`.
    S1,
    /// The first cable of the bridge, at its port `p0`.
    Q0,
    /// The second cable of the bridge, at its port `p1`.
    Q1,
}

/// All ports.
pub const PORTS: [Port; 4] = [Port::C1, Port::S1, Port::Q0, Port::Q1];

impl Port {
    /// The device at the far end of the cable.
    pub fn name(self) -> &'static str {
        ["c1", "s1", "q0", "q1"][self as usize]
    }

    /// The router's device.
    pub fn near(self) -> &'static str {
        ["c0", "s0", "p0", "p1"][self as usize]
    }

    /// Third byte of the addresses behind it: 10.0.N.x.
    fn net(self) -> u8 {
        [0, 1, 2, 2][self as usize]
    }
}

/// A step of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// A frame is received on a port.
    Send(Send),
    /// The router sends a packet (raw socket with `IP_HDRINCL`).
    Local(Packet),
    /// A host replies to the last IPv4 packet that left by a port, if there was one.
    Reply(Reply),
    /// Wait, ms.
    Wait(u64),
}

/// A received frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Send {
    /// Port.
    pub port: Port,
    /// Packet.
    pub packet: Packet,
}

/// An IPv4 packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packet {
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// TTL, hops.
    pub ttl: u8,
    /// TOS.
    #[serde(default)]
    pub tos: u8,
    /// Payload length of the transport header, bytes.
    #[serde(default)]
    pub len: usize,
    /// Wrong transport checksum.
    #[serde(default)]
    pub bad_sum: bool,
    /// Transport header.
    pub proto: Proto,
}

/// A transport header.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Proto {
    /// TCP; flags as letters of `FSRPAU`, `E` (ECE) and `W` (CWR).
    Tcp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Flags.
        flags: String,
        /// Sequence number.
        seq: u32,
        /// Acknowledgement number.
        ack: u32,
        /// MSS option, bytes.
        #[serde(default)]
        mss: Option<u16>,
    },
    /// UDP.
    Udp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
    },
    /// ICMP with an identifier and a sequence number.
    Icmp {
        /// Type.
        kind: u8,
        /// Code.
        code: u8,
        /// Identifier.
        id: u16,
        /// Sequence number.
        seq: u16,
    },
    /// SCTP.
    Sctp {
        /// Source port.
        sport: u16,
        /// Destination port.
        dport: u16,
        /// Verification tag.
        vtag: u32,
        /// `Initiate Tag` of INIT and INIT ACK.
        tag: u32,
        /// Type and flags of its chunks.
        chunks: Vec<(u8, u8)>,
    },
    /// Another protocol with payload only.
    Other(u8),
}

/// Reply of a host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reply {
    /// The port by which the packet left.
    pub port: Port,
    /// TCP flags.
    #[serde(default)]
    pub flags: String,
    /// Payload length, bytes.
    #[serde(default)]
    pub len: usize,
    /// Instead: ICMP destination unreachable with this code.
    #[serde(default)]
    pub unreachable: Option<u8>,
}

/// MAC address of the host 10.0.`net`.`host`.
pub fn mac_of(net: u8, host: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0x10 + net, host]
}

/// MAC address of the router in 10.0.`net`.0/24.
pub fn router_mac(net: u8) -> [u8; 6] {
    [2, 0, 0, 0, 1, net]
}

impl Send {
    /// The frame: to the destination if both hosts are on the bridge, otherwise to the router.
    pub fn frame(&self) -> Vec<u8> {
        let (net, [_, _, src_net, src_host]) = (self.port.net(), self.packet.src.octets());
        let host = if src_net == net { src_host } else { 2 };
        let [a, b, dst_net, dst_host] = self.packet.dst.octets();
        let bridged = net == 2 && [a, b, dst_net] == [10, 0, 2] && dst_host != 1;
        let to = if bridged { mac_of(2, dst_host) } else { router_mac(net) };
        ethernet(to, mac_of(net, host), &self.packet.bytes())
    }
}

fn ethernet(to: [u8; 6], from: [u8; 6], packet: &[u8]) -> Vec<u8> {
    [&to[..], &from, &[8, 0], packet].concat()
}

impl Packet {
    /// Bytes from the IPv4 header on.
    pub fn bytes(&self) -> Vec<u8> {
        let payload: Vec<u8> = (0..self.len).map(|at| b'a' + (at % 26) as u8).collect();
        let mut bytes = match &self.proto {
            Proto::Tcp { sport, dport, flags, seq, ack, mss } => {
                let mut tcp = TcpHeader::new(*sport, *dport, *seq, 64240);
                tcp.acknowledgment_number = *ack;
                let has = |letter| flags.contains(letter);
                (tcp.fin, tcp.syn, tcp.rst, tcp.psh) = (has('F'), has('S'), has('R'), has('P'));
                (tcp.ack, tcp.urg) = (has('A'), has('U'));
                (tcp.ece, tcp.cwr) = (has('E'), has('W'));
                // One option fits.
                let _ = mss.map(|mss| tcp.set_options(&[TcpOptionElement::MaximumSegmentSize(mss)]));
                written(|out| PacketBuilder::ip(self.header(6)).tcp_header(tcp).write(out, &payload))
            }
            Proto::Udp { sport, dport } => {
                written(|out| PacketBuilder::ip(self.header(17)).udp(*sport, *dport).write(out, &payload))
            }
            Proto::Icmp { kind, code, id, seq } => {
                let echo = IcmpEchoHeader { id: *id, seq: *seq };
                let icmp = match (kind, code) {
                    (8, 0) => Icmpv4Type::EchoRequest(echo),
                    (0, 0) => Icmpv4Type::EchoReply(echo),
                    _ => Icmpv4Type::Unknown { type_u8: *kind, code_u8: *code, bytes5to8: echo.to_bytes() },
                };
                written(|out| PacketBuilder::ip(self.header(1)).icmpv4(icmp).write(out, &payload))
            }
            Proto::Sctp { sport, dport, vtag, tag, chunks } => {
                let sctp = sctp(*sport, *dport, (*vtag, *tag), chunks);
                written(|out| PacketBuilder::ip(self.header(132)).write(out, ip_number::SCTP, &sctp))
            }
            Proto::Other(proto) => {
                let proto = IpNumber::from(*proto);
                written(|out| PacketBuilder::ip(self.header(proto.0)).write(out, proto, &payload))
            }
        };
        if self.bad_sum {
            self.spoil(&mut bytes);
        }
        bytes
    }

    fn header(&self, proto: u8) -> etherparse::IpHeaders {
        let mut header =
            Ipv4Header::new(0, self.ttl, IpNumber::from(proto), self.src.octets(), self.dst.octets())
                .unwrap_or_default();
        header.identification = 1;
        header.dont_fragment = false;
        header.fragment_offset = IpFragOffset::ZERO;
        header.dscp = etherparse::IpDscp::try_new(self.tos >> 2).unwrap_or_default();
        header.ecn = etherparse::IpEcn::try_new(self.tos & 3).unwrap_or_default();
        etherparse::IpHeaders::Ipv4(header, etherparse::Ipv4Extensions::default())
    }

    /// Inverts a bit of the transport checksum.
    fn spoil(&self, bytes: &mut [u8]) {
        let at = match self.proto {
            Proto::Tcp { .. } => 36,
            Proto::Udp { .. } => 26,
            Proto::Icmp { .. } => 22,
            Proto::Sctp { .. } => 28,
            Proto::Other(_) => return,
        };
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x55;
        }
    }
}

/// Output of a builder. Writing to memory does not fail, and the lengths fit.
fn written<E>(write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Vec<u8> {
    let mut out = Vec::new();
    match write(&mut out) {
        Ok(()) => out,
        Err(_) => Vec::new(),
    }
}

impl Reply {
    /// The frame that replies to `frame`, if that is a suitable IPv4 packet.
    pub fn to(&self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = frame.get(14..).filter(|_| frame[12..14] == [8, 0])?;
        let (to, from) = (frame[6..12].try_into().ok()?, frame[..6].try_into().ok()?);
        if let Some(code) = self.unreachable {
            return Some(ethernet(to, from, &unreachable(packet, code)));
        }
        let (ip, rest) = Ipv4Header::from_slice(packet).ok()?;
        let rest = rest.get(..usize::from(ip.total_len).checked_sub(ip.header_len())?)?;
        let proto = match ip.protocol {
            ip_number::TCP => {
                let (tcp, data) = TcpHeader::from_slice(rest).ok()?;
                let seq = if tcp.ack { tcp.acknowledgment_number } else { 5000 };
                let more = data.len() as u32 + u32::from(tcp.syn) + u32::from(tcp.fin);
                let (sport, dport) = (tcp.destination_port, tcp.source_port);
                let ack = tcp.sequence_number.wrapping_add(more);
                Proto::Tcp { sport, dport, flags: self.flags.clone(), seq, ack, mss: None }
            }
            ip_number::UDP => {
                let port = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
                Proto::Udp { sport: port(2)?, dport: port(0)? }
            }
            ip_number::ICMP if rest.first() == Some(&8) => {
                let word = |at: usize| Some(u16::from_be_bytes(rest.get(at..at + 2)?.try_into().ok()?));
                Proto::Icmp { kind: 0, code: 0, id: word(4)?, seq: word(6)? }
            }
            ip_number::SCTP => sctp_answer(rest)?,
            _ => return None,
        };
        let (src, dst) = (ip.destination.into(), ip.source.into());
        let answer = Packet { src, dst, ttl: 64, tos: 0, len: self.len, bad_sum: false, proto };
        Some(ethernet(to, from, &answer.bytes()))
    }
}

/// An SCTP packet. INIT and INIT ACK have a tag and 12 more bytes, other chunks 4 bytes of data.
fn sctp(sport: u16, dport: u16, (vtag, tag): (u32, u32), chunks: &[(u8, u8)]) -> Vec<u8> {
    let mut bytes = [&sport.to_be_bytes()[..], &dport.to_be_bytes(), &vtag.to_be_bytes(), &[0; 4]].concat();
    for (kind, flags) in chunks {
        let content =
            if matches!(kind, 1 | 2) { [&tag.to_be_bytes()[..], &[1; 12]].concat() } else { vec![9; 4] };
        bytes.extend([*kind, *flags, 0, 4 + content.len() as u8]);
        bytes.extend(content);
    }
    let crc = sctp_crc(&bytes);
    bytes[8..12].copy_from_slice(&crc);
    bytes
}

/// The checksum of an SCTP packet, whatever stands in its place (CRC32c, RFC 9260 appendix A).
pub(crate) fn sctp_crc(packet: &[u8]) -> [u8; 4] {
    let crc = packet.iter().enumerate().fold(u32::MAX, |crc, (at, byte)| {
        let byte = if (8..12).contains(&at) { 0 } else { *byte };
        (0..8).fold(crc ^ u32::from(byte), |crc, _| crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 })
    });
    (!crc).to_le_bytes()
}

/// The answer to an SCTP packet by its first chunk. The tags of clients are 1, those of servers 2.
fn sctp_answer(packet: &[u8]) -> Option<Proto> {
    let word = |at: usize| Some(u32::from_be_bytes(packet.get(at..at + 4)?.try_into().ok()?));
    let (kind, vtag) = match packet.get(12)? {
        1 => (2, word(16)?),
        kind => {
            let answers = [(2, 10), (10, 11), (0, 3), (4, 5), (7, 8), (8, 14)];
            (answers.iter().find(|answer| answer.0 == *kind)?.1, 3 - word(4)?.clamp(1, 2))
        }
    };
    let (sport, dport) = ((word(0)? & 0xffff) as u16, (word(0)? >> 16) as u16);
    Some(Proto::Sctp { sport, dport, vtag, tag: 2, chunks: vec![(kind, 0)] })
}

/// An ICMP error about a packet, from its destination.
fn unreachable(packet: &[u8], code: u8) -> Vec<u8> {
    let quoted = &packet[..packet.len().min(28)];
    let address = |at: usize| -> [u8; 4] {
        packet.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default()
    };
    let mut bytes5to8 = [0; 4];
    if code == 4 {
        bytes5to8[2..].copy_from_slice(&1400u16.to_be_bytes());
    }
    let icmp = Icmpv4Type::Unknown { type_u8: 3, code_u8: code, bytes5to8 };
    written(|out| PacketBuilder::ipv4(address(16), address(12), 64).icmpv4(icmp).write(out, quoted))
}
