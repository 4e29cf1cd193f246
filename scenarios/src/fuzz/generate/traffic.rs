//! Random traffic: short flows between a few hosts, and invalid packets.

use std::net::Ipv4Addr;

use super::CaseDraw;
use crate::rig::case::{Packet, Port, Proto, Reply, Send, Step};

impl CaseDraw {
    pub(super) fn steps(&mut self) -> Vec<Step> {
        let mut steps = Vec::new();
        for _ in 0..4 + self.below(5) {
            match self.below(9) {
                0..=2 => self.tcp_flow(&mut steps),
                3 | 4 => self.udp_flow(&mut steps),
                5 => self.echo(&mut steps),
                6 => self.local(&mut steps),
                7 => self.sctp_flow(&mut steps),
                _ => self.odd(&mut steps),
            }
        }
        if self.one_in(25) {
            steps.insert(self.below(steps.len() + 1), Step::Wait(1100));
        }
        steps
    }

    /// A port, a host behind it, and a destination: another host, the router, or a distant one.
    fn ends(&mut self) -> (Port, Ipv4Addr, Ipv4Addr) {
        let net = self.pick(&[0, 0, 1, 2, 2]);
        let src = self.host_of(net);
        // Sometimes a spoofed source; not on the bridge, where the FDB entry would move for all later cases.
        let port = if self.one_in(12) { self.pick(&[Port::C1, Port::S1]) } else { Self::behind(src) };
        let dst = match self.below(8) {
            0 | 2 => Ipv4Addr::new(10, 0, self.below(3) as u8, 1),
            1 => Ipv4Addr::new(8, 8, 8, 8),
            _ => self.host(),
        };
        (port, src, dst)
    }

    /// The port of a host, on which its replies are received.
    fn behind(dst: Ipv4Addr) -> Port {
        match dst.octets() {
            [10, 0, 0, _] => Port::C1,
            [10, 0, 2, 2] => Port::Q0,
            [10, 0, 2, _] => Port::Q1,
            _ => Port::S1,
        }
    }

    fn packet(&mut self, src: Ipv4Addr, dst: Ipv4Addr, proto: Proto) -> Packet {
        let ttl = self.pick(&[64, 64, 64, 64, 2, 1]);
        let (tos, len) = (self.pick(&[0, 0, 0, 0x10, 0x02, 0x03]), self.pick(&[0, 10, 60]));
        Packet { src, dst, ttl, tos, len, bad_sum: self.one_in(40), proto }
    }

    /// The port of replies: usually that of the destination; after NAT any.
    fn answers(&mut self, dst: Ipv4Addr) -> Port {
        if self.one_in(4) { self.pick(&[Port::C1, Port::S1, Port::Q0, Port::Q1]) } else { Self::behind(dst) }
    }

    fn tcp_flow(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let (sport, dport) = (self.pick(&[1000, 1001]), self.port());
        let back = self.answers(dst);
        let script: &[(&str, u32, u32)] =
            &[("S", 1000, 0), ("A", 1001, 5001), ("PA", 1001, 5001), ("FA", 1011, 5001)];
        let replies = ["SA", "A", "PA", "FA", "R", "RA"];
        let length = self.below(script.len()) + 1;
        for (at, (flags, seq, ack)) in script.iter().take(length).enumerate() {
            let odd = self.one_in(12);
            let flags = if odd { self.pick(&["FPU", "", "SF", "R", "SR", "A", "SEW", "AE"]) } else { flags };
            let seq = if self.one_in(15) { seq + 100_000 } else { *seq };
            let mss = if flags.contains('S') { self.pick(&[None, Some(1460), Some(900)]) } else { None };
            let proto = Proto::Tcp { sport, dport, flags: flags.to_owned(), seq, ack: *ack, mss };
            let packet = Packet { len: if *flags == *"PA" { 10 } else { 0 }, ..self.packet(src, dst, proto) };
            steps.push(Step::Send(Send { port, packet }));
            if !self.one_in(4) {
                let flags = if self.one_in(6) { self.pick(&replies) } else { replies[at.min(3)] };
                let unreachable = self.one_in(15).then(|| self.pick(&[1, 3, 13]));
                let len = if flags == "PA" { 5 } else { 0 };
                steps.push(Step::Reply(Reply { port: back, flags: flags.to_owned(), len, unreachable }));
            }
        }
    }

    fn udp_flow(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        // The router's listeners.
        let is_router = dst.octets()[3] == 1;
        let dport = if is_router && self.one_in(2) { self.pick(&[53, 443]) } else { self.port() };
        let proto = Proto::Udp { sport: self.pick(&[1000, 1001]), dport };
        let back = self.answers(dst);
        for _ in 0..=self.below(3) {
            let packet = self.packet(src, dst, proto.clone());
            steps.push(Step::Send(Send { port, packet }));
            if self.one_in(2) {
                let unreachable = self.one_in(3).then(|| self.pick(&[1, 3, 3, 4, 13]));
                steps.push(Step::Reply(Reply { port: back, flags: String::new(), len: 7, unreachable }));
            }
        }
    }

    fn sctp_flow(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let (sport, dport) = (self.pick(&[1000, 1001]), self.port());
        let back = self.answers(dst);
        // Each is answered: INIT ACK, COOKIE ACK, SACK, HEARTBEAT ACK, SHUTDOWN ACK.
        let script: &[&[(u8, u8)]] =
            &[&[(1, 0)], &[(10, 0), (0, 3)], &[(0, 3)], &[(4, 0)], &[(7, 0)], &[(14, 0)]];
        let odd: &[&[(u8, u8)]] = &[
            &[(6, 0)],
            &[(6, 1)],
            &[(9, 0)],
            &[(8, 0)],
            &[(0, 3), (11, 0)],
            &[(5, 0)],
            &[(3, 0), (0, 2)],
            &[],
        ];
        let begin = if self.one_in(8) { self.below(script.len()) } else { 0 };
        let length = self.below(script.len() - begin) + 1;
        for usual in script.iter().skip(begin).take(length) {
            let chunks = if self.one_in(10) { self.pick(odd) } else { usual };
            let wrong = self.one_in(20);
            let is_init = chunks.first().is_some_and(|chunk| chunk.0 == 1);
            let vtag = if is_init != wrong { 0 } else { 2 };
            let proto = Proto::Sctp { sport, dport, vtag, tag: 1, chunks: chunks.to_vec() };
            let packet = Packet { len: 0, ..self.packet(src, dst, proto) };
            steps.push(Step::Send(Send { port, packet }));
            if !self.one_in(4) {
                let unreachable = self.one_in(15).then(|| self.pick(&[1, 2, 3]));
                steps.push(Step::Reply(Reply { port: back, flags: String::new(), len: 0, unreachable }));
            }
        }
    }

    fn echo(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let back = self.answers(dst);
        let id = self.pick(&[7, 8]);
        for seq in 1..=self.below(2) as u16 + 1 {
            let packet = self.packet(src, dst, Proto::Icmp { kind: 8, code: 0, id, seq });
            steps.push(Step::Send(Send { port, packet }));
            if self.one_in(2) {
                steps.push(Step::Reply(Reply {
                    port: back,
                    flags: String::new(),
                    len: 10,
                    unreachable: None,
                }));
            }
        }
    }

    /// A locally generated packet.
    fn local(&mut self, steps: &mut Vec<Step>) {
        let dst = if self.one_in(6) { Ipv4Addr::new(8, 8, 8, 8) } else { self.host() };
        let src = match Self::behind(dst) {
            Port::C1 => Ipv4Addr::new(10, 0, 0, 1),
            Port::S1 => Ipv4Addr::new(10, 0, 1, 1),
            Port::Q0 | Port::Q1 => Ipv4Addr::new(10, 0, 2, 1),
        };
        let proto = match self.below(3) {
            0 => Proto::Tcp {
                sport: 1000,
                dport: self.port(),
                flags: "S".to_owned(),
                seq: 1000,
                ack: 0,
                mss: Some(1460),
            },
            1 => Proto::Udp { sport: 1000, dport: self.port() },
            _ => Proto::Icmp { kind: 8, code: 0, id: 7, seq: 1 },
        };
        // The model's `lo` does not verify checksums, so a wrong one would not be found.
        let packet = Packet { ttl: 64, bad_sum: false, ..self.packet(src, dst, proto) };
        steps.push(Step::Local(packet));
        if !self.one_in(3) {
            let unreachable = self.one_in(4).then_some(3);
            let port = self.answers(dst);
            steps.push(Step::Reply(Reply { port, flags: "SA".to_owned(), len: 0, unreachable }));
        }
    }

    /// An invalid packet.
    fn odd(&mut self, steps: &mut Vec<Step>) {
        let (port, src, dst) = self.ends();
        let proto = match self.below(5) {
            0 => Proto::Icmp { kind: 0, code: 0, id: 7, seq: 1 },
            1 => {
                Proto::Icmp { kind: self.pick(&[3, 5, 11, 13, 99]), code: self.below(4) as u8, id: 7, seq: 1 }
            }
            2 => Proto::Other(self.pick(&[47, 50, 50, 51, 51, 99])),
            3 => Proto::Tcp { sport: 1000, dport: 80, flags: "A".to_owned(), seq: 77, ack: 88, mss: None },
            _ => Proto::Tcp { sport: 1000, dport: 80, flags: "RA".to_owned(), seq: 77, ack: 88, mss: None },
        };
        let packet = self.packet(src, dst, proto);
        steps.push(Step::Send(Send { port, packet }));
    }
}
