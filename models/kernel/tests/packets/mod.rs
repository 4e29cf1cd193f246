//! Packets for tests, made and read.
#![allow(dead_code, reason = "each test crate uses a part")]

use std::net::Ipv4Addr;

use glassnet_wire::checksum::{checksum, fold, pseudo_header, sum};

/// UDP.
pub const UDP: u8 = 17;
/// TCP.
pub const TCP: u8 = 6;
/// ICMP.
pub const ICMP: u8 = 1;

/// An address.
pub fn ip(text: &str) -> Ipv4Addr {
    text.parse().expect("an address")
}

/// An IPv4 packet.
pub fn ipv4(src: &str, dst: &str, proto: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0, 0, 0, 0x12, 0x34, 0, 0, 64, proto, 0, 0];
    packet.extend_from_slice(&ip(src).octets());
    packet.extend_from_slice(&ip(dst).octets());
    packet.extend_from_slice(payload);
    let len = packet.len() as u16;
    packet[2..4].copy_from_slice(&len.to_be_bytes());
    let check = checksum(&packet[..20]);
    packet[10..12].copy_from_slice(&check.to_be_bytes());
    packet
}

/// An IPv4 packet with the transport's checksum at offset `at` of its payload.
pub fn with_check(src: &str, dst: &str, proto: u8, mut payload: Vec<u8>, at: usize) -> Vec<u8> {
    let pseudo = if proto == ICMP { 0 } else { pseudo_header(ip(src), ip(dst), proto, payload.len() as u16) };
    let check = fold(sum(pseudo, &payload));
    let check = if proto == UDP && check == 0 { 0xffff } else { check };
    payload[at..at + 2].copy_from_slice(&check.to_be_bytes());
    ipv4(src, dst, proto, &payload)
}

/// A datagram.
pub fn udp(src: &str, sport: u16, dst: &str, dport: u16, data: &[u8]) -> Vec<u8> {
    let mut payload = [sport, dport, 8 + data.len() as u16, 0].map(u16::to_be_bytes).concat();
    payload.extend_from_slice(data);
    with_check(src, dst, UDP, payload, 6)
}

/// A segment without data that acknowledges 9.
pub fn tcp(src: &str, sport: u16, dst: &str, dport: u16, flags: u8, seq: u32) -> Vec<u8> {
    let mut payload = [sport, dport].map(u16::to_be_bytes).concat();
    payload.extend_from_slice(&seq.to_be_bytes());
    payload.extend_from_slice(&[0, 0, 0, 9, 0x50, flags, 0x20, 0, 0, 0, 0, 0]);
    with_check(src, dst, TCP, payload, 16)
}

/// An echo request (8) or reply (0).
pub fn echo(src: &str, dst: &str, kind: u8, id: u16) -> Vec<u8> {
    let mut payload = vec![kind, 0, 0, 0];
    payload.extend_from_slice(&id.to_be_bytes());
    payload.extend_from_slice(&[0, 1, 0xab, 0xcd]);
    with_check(src, dst, ICMP, payload, 2)
}

/// `SRC:PORT>DST:PORT` of a packet (ICMP: `SRC>DST TYPE/CODE ID`), after its checksums were found right.
pub fn show(packet: &[u8]) -> String {
    assert_eq!(checksum(&packet[..20]), 0, "the header's checksum");
    let word = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
    let addr = |at: usize| Ipv4Addr::new(packet[at], packet[at + 1], packet[at + 2], packet[at + 3]);
    let (src, dst, proto, payload) = (addr(12), addr(16), packet[9], &packet[20..]);
    if proto == ICMP {
        assert_eq!(checksum(payload), 0, "the checksum of ICMP");
        return format!("{src}>{dst} {}/{} {}", payload[0], payload[1], word(24));
    }
    if !(proto == UDP && word(26) == 0) {
        let pseudo = pseudo_header(src, dst, proto, payload.len() as u16);
        assert_eq!(fold(sum(pseudo, payload)), 0, "the transport's checksum");
    }
    format!("{src}:{}>{dst}:{}", word(20), word(22))
}
