//! A peer that is written by hand, at 10.0.0.9: it says what a test gives it, and nothing by itself.

use glassnet_kernel::ids::SocketId;
use glassnet_kernel::net::core::neighbour::rtm_newneigh;
use glassnet_kernel::net::ipv4::tcp_output::tcp_v4_send_check;
use glassnet_kernel::net::socket::{SendTo, accept, sendto, socket};
use glassnet_kernel::netlink::{NLM_F_CREATE, NLM_F_REPLACE};
use glassnet_kernel::tables::neigh_types::{NeighMsg, Nud};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_wire::checksum::checksum;
use glassnet_wire::tcp::{TCP_ACK, TCP_SYN};

use crate::net::{Net, ip, net, rtm_newneigh_permanent};

/// Flags, sequence number, acknowledgement and data length of a segment.
pub type Segment = (u8, u32, u32, usize);

/// The sequence number of the peer's SYN.
pub const ISS: u32 = 1000;
/// The options of a SYN as Linux sends it: MSS 1460, SACK permitted, window scale 7 (without timestamps).
pub const OPTIONS: &[u8] = &[2, 4, 5, 0xb4, 1, 1, 4, 2, 1, 3, 3, 7];

pub struct Peer {
    pub net: Net,
    pub port: u16,
    pub window: u16,
    raw: SocketId,
}

impl Peer {
    pub fn new() -> Peer {
        let mut net = net(1);
        let (a, b, dev) = (net.a, net.b, net.dev_b);
        let raw = net.enter(|cx| {
            rtm_newneigh_permanent(cx, a);
            let far = cx.k.devs[dev].link.expect("the other end");
            let lladdr = Some(cx.k.devs[far].addr);
            let (dst, state) = (ip("10.0.0.9"), Nud::Permanent);
            let neigh = NeighMsg { dev, dst, lladdr, state, flags: 0, protocol: 0 };
            rtm_newneigh(cx, b, &neigh, NLM_F_CREATE | NLM_F_REPLACE).expect("a neighbour");
            let raw = socket(cx, a, SockKind::Raw { protocol: 255 });
            cx.k.sockets.get_mut(raw).expect("just opened").opts.hdrincl = true;
            raw
        });
        Peer { net, port: 1234, window: 0x2000, raw }
    }

    /// A connection from here to port 80 of b, whose SYN had these options: the server's socket, and the next sequence
    /// number of the server.
    pub fn connected(options: &[u8]) -> (Peer, SocketId, u32) {
        let mut peer = Peer::new();
        let b = peer.net.b;
        let listener = peer.net.listener(b, "0.0.0.0", 80, 5);
        let answers = peer.send_with(TCP_SYN, (ISS, 0), options, b"");
        let [(flags, theirs, ack, 0)] = answers[..] else { panic!("{answers:?}") };
        assert_eq!((flags, ack), (TCP_SYN | TCP_ACK, ISS + 1));
        let next = theirs.wrapping_add(1);
        assert_eq!(peer.send(TCP_ACK, (ISS + 1, next), b""), []);
        let server = peer.net.enter(|cx| accept(cx, listener)).expect("listens").expect("a connection");
        (peer, server, next)
    }

    /// A packet to b, from here.
    fn packet(&mut self, proto: u8, payload: &[u8]) {
        let mut packet = vec![0x45, 0, 0, 0, 0, 9, 0, 0, 64, proto, 0, 0, 10, 0, 0, 9, 10, 0, 0, 2];
        packet.extend_from_slice(payload);
        let raw = self.raw;
        self.net.enter(|cx| _ = sendto(cx, raw, SendTo::Inet(ip("10.0.0.2"), 0), &packet).expect("sent"));
        self.net.run(2);
    }

    /// The bytes of a segment from here to port 80 of b.
    pub fn segment(&self, flags: u8, (seq, ack): (u32, u32), options: &[u8], data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.port, 80].map(u16::to_be_bytes).concat();
        bytes.extend([seq, ack].map(u32::to_be_bytes).concat());
        bytes.extend([((20 + options.len()) as u8 / 4) << 4, flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend_from_slice(options);
        bytes.extend_from_slice(data);
        tcp_v4_send_check(&mut bytes, ip("10.0.0.9"), ip("10.0.0.2"));
        bytes
    }

    /// Sends a segment whose ports were changed.
    pub fn bytes(&mut self, mut segment: Vec<u8>) {
        tcp_v4_send_check(&mut segment, ip("10.0.0.9"), ip("10.0.0.2"));
        self.packet(6, &segment);
    }

    /// Sends a segment; what b answers within 2 ms.
    pub fn send(&mut self, flags: u8, numbers: (u32, u32), data: &[u8]) -> Vec<Segment> {
        self.send_with(flags, numbers, &[], data)
    }

    pub fn send_with(&mut self, flags: u8, numbers: (u32, u32), options: &[u8], data: &[u8]) -> Vec<Segment> {
        self.net.world.trace.frames.clear();
        let bytes = self.segment(flags, numbers, options, data);
        self.packet(6, &bytes);
        self.heard()
    }

    /// An ICMP error about what b sent: the first bytes of its segment are quoted.
    pub fn icmp_error(&mut self, kind: u8, code: u8, quoted: &[u8]) {
        let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
        let total = (20 + quoted.len() as u16).to_be_bytes();
        message.extend([0x45, 0, total[0], total[1], 0, 1, 0, 0, 60, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 9]);
        message.extend_from_slice(quoted);
        let check = checksum(&message);
        message[2..4].copy_from_slice(&check.to_be_bytes());
        self.packet(1, &message);
    }

    /// The TCP segments that b sent here since the frames were cleared.
    pub fn heard(&self) -> Vec<Segment> {
        self.segments().iter().map(|(_, segment)| read(segment)).collect()
    }

    /// The same with the time, ms, as bytes.
    pub fn segments(&self) -> Vec<(u64, Vec<u8>)> {
        let label = self.net.world.kernel(crate::net::MACHINE).devs[self.net.dev_b].label;
        let frames = self.net.world.trace.frames.iter().filter(|frame| frame.dev == label);
        let sent = frames.filter(|frame| frame.bytes[12..14] == [8, 0] && frame.bytes[23] == 6);
        let to_here = sent.filter(|frame| frame.bytes[30..34] == [10, 0, 0, 9]);
        to_here.map(|frame| (frame.at.0 / 1_000_000, frame.bytes[34..].to_vec())).collect()
    }
}

fn read(segment: &[u8]) -> Segment {
    let word =
        |at: usize| u32::from_be_bytes([segment[at], segment[at + 1], segment[at + 2], segment[at + 3]]);
    (segment[13], word(4), word(8), segment.len() - usize::from(segment[12] >> 4) * 4)
}
