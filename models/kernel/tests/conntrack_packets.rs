//! Which packets connection tracking takes: lengths, checksums and flags (`udp_error`, `udplite_error`, `tcp_error`).

use glassnet_kernel::net::netfilter::nf_conntrack_proto::nf_ct_netns_get;
use glassnet_kernel::tables::conntrack::extend::SeqAdj;
use glassnet_kernel::tables::conntrack::{CtSysctl, IPS_SEQ_ADJUST};
use glassnet_wire::checksum::{fold, pseudo_header, sum};
use packets::{TCP, UDP, ip, ipv4, with_check};
use router::{INSIDE, OUTSIDE, Router, shown};

mod packets;
mod router;

const SRC: &str = "10.1.0.1";
const DST: &str = "10.2.0.1";
const UDPLITE: u8 = 136;

fn router() -> Router {
    let mut router = Router::new();
    let netns = router.netns;
    router.enter(|cx| nf_ct_netns_get(cx.k, netns));
    router
}

/// A connection begins with this packet.
fn begins(router: &mut Router, packet: &[u8]) -> bool {
    let before = router.connections().len();
    router.send(INSIDE, packet);
    router.connections().len() > before
}

/// A datagram with this length field, of which the checksum covers `covered` bytes with the pseudo header of UDP; `wrong` is
/// added to the checksum, and `None` stands for none.
fn datagram(proto: u8, sport: u16, len: u16, covered: usize, wrong: Option<u16>) -> Vec<u8> {
    let mut payload = [sport, 53, len, 0].map(u16::to_be_bytes).concat();
    payload.extend(b"12345678");
    if let Some(wrong) = wrong {
        let pseudo = pseudo_header(ip(SRC), ip(DST), UDP, payload.len() as u16);
        let check = fold(sum(pseudo, &payload[..covered])).wrapping_add(wrong);
        payload[6..8].copy_from_slice(&check.to_be_bytes());
    }
    ipv4(SRC, DST, proto, &payload)
}

/// The length field is at least a header and at most what is there; the checksum is right, or 0.
#[test]
fn datagrams() {
    let mut router = router();
    let mut sport = 1000;
    for len in [0, 7, 8, 9, 15, 16, 17, 65535] {
        for (wrong, right) in [(Some(0), true), (None, true), (Some(1), false), (Some(256), false)] {
            sport += 1;
            let packet = datagram(UDP, sport, len, 16, wrong);
            let fits = (8..=16).contains(&len) && right;
            assert_eq!(begins(&mut router, &packet), fits, "length {len}, checksum {wrong:?}");
        }
    }
    let cut = ipv4(SRC, DST, UDP, &[0, 9, 0, 53, 0, 8, 0]);
    assert!(!begins(&mut router, &cut), "no whole header");
}

/// RFC 3828: the length field is what the checksum covers beside the pseudo header, 0 for all, and there must be a
/// checksum. Linux has UDP's number in the pseudo header that it checks with.
#[test]
fn datagrams_of_udp_lite() {
    let mut router = router();
    let mut sport = 1000;
    for len in [0_u16, 7, 8, 9, 16, 17] {
        let covered = if len == 0 { 16 } else { usize::from(len).min(16) };
        for (wrong, right) in [(Some(0), true), (None, false), (Some(1), false)] {
            sport += 1;
            let packet = datagram(UDPLITE, sport, len, covered, wrong);
            let fits = (len == 0 || (8..=16).contains(&len)) && right;
            assert_eq!(begins(&mut router, &packet), fits, "coverage {len}, checksum {wrong:?}");
        }
    }
}

fn segment(sport: u16, offset: u8, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut payload = [sport, 80].map(u16::to_be_bytes).concat();
    payload.extend([0, 0, 0, 8, 0, 0, 0, 9, offset << 4, flags, 0x20, 0, 0, 0, 0, 0]);
    payload.extend_from_slice(data);
    with_check(SRC, DST, TCP, payload, 16)
}

/// A connection begins with a SYN, or in the middle with an acknowledgement (`nf_conntrack_tcp_loose`); other flags are
/// invalid, whatever PSH, ECE and CWR are.
#[test]
fn flags_of_the_first_segment() {
    let mut router = router();
    for flags in 0..=255_u8 {
        let begins_with = matches!(flags & !0xc8, 0x02 | 0x22 | 0x10 | 0x30);
        let packet = segment(1000 + u16::from(flags), 5, flags, b"");
        assert_eq!(begins(&mut router, &packet), begins_with, "flags {flags:#x}");
    }
}

/// The header is at least 20 bytes and at most what is there, and its checksum is right.
#[test]
fn headers_of_segments() {
    let mut router = router();
    for offset in 0..16 {
        let packet = segment(1000 + u16::from(offset), offset, 2, &[1; 12]);
        assert_eq!(begins(&mut router, &packet), (5..=8).contains(&offset), "offset {offset}");
    }
    let mut wrong = segment(2000, 5, 2, b"data");
    wrong[20 + 20] ^= 1;
    assert!(!begins(&mut router, &wrong), "a wrong checksum");
    let whole = segment(2001, 5, 2, b"");
    assert!(!begins(&mut router, &ipv4(SRC, DST, TCP, &whole[20..39])), "no whole header");
    assert!(begins(&mut router, &whole));
}

/// Fragments are put together first; a first fragment alone begins nothing.
#[test]
fn the_parts_of_a_datagram_begin_one_connection() {
    let mut router = router();
    let whole = datagram(UDP, 4000, 16, 16, Some(0));
    let part = |offset: u16, more: bool, payload: &[u8]| {
        let mut packet = ipv4(SRC, DST, UDP, payload);
        packet[6..8].copy_from_slice(&(offset | u16::from(more) << 13).to_be_bytes());
        packet[10..12].fill(0);
        let check = glassnet_wire::checksum::checksum(&packet[..20]);
        packet[10..12].copy_from_slice(&check.to_be_bytes());
        packet
    };
    assert!(!begins(&mut router, &part(0, true, &whole[20..28])));
    assert!(begins(&mut router, &part(1, false, &whole[28..])));
}

/// `nf_ct_seq_adjust`: where NAT made what one side sent seven bytes longer, what the other side tells that it got is seven less to
/// the sender: its acknowledgement, and the edges of its SACK blocks. What was sent before stays.
#[test]
fn what_was_received_is_told_in_the_senders_numbers() {
    let mut router = router();
    let netns = router.netns;
    let segment = |flags: u8, (seq, ack): (u32, u32), options: &[u8]| {
        let there = options.is_empty();
        let (src, dst, ports) = if there { (SRC, DST, [4000, 80]) } else { (DST, SRC, [80, 4000]) };
        let mut payload = ports.map(u16::to_be_bytes).concat();
        payload.extend([seq, ack].map(u32::to_be_bytes).concat());
        payload.extend([(20 + options.len() as u8) << 2, flags, 0x20, 0, 0, 0, 0, 0]);
        payload.extend(options);
        with_check(src, dst, TCP, payload, 16)
    };
    router.send(INSIDE, &segment(2, (1000, 0), &[]));
    router.send(OUTSIDE, &segment(0x12, (5000, 1001), &[1, 1, 4, 2]));
    router.send(INSIDE, &segment(0x10, (1001, 5001), &[]));
    router.enter(|cx| {
        cx.k.conntrack.net_mut(netns).set_sysctl(CtSysctl::TcpBeLiberal, 1);
        let id = cx.k.conntrack.confirmed()[0];
        let conn = cx.k.conntrack.get_mut(id).expect("a connection");
        conn.status |= IPS_SEQ_ADJUST;
        conn.ext_mut().seqadj[0] = SeqAdj { correction_pos: 1100, offset_before: 0, offset_after: 7 };
    });
    for (ack, edges, moved) in [
        (1207, [1307, 1407, 1507, 1607], [1200, 1300, 1400, 1500, 1600]),
        (1050, [1060, 1307, 1507, 1607], [1050, 1060, 1300, 1500, 1600]),
    ] {
        let options = [&[1, 1, 5, 18][..], &edges.map(u32::to_be_bytes).concat()].concat();
        let seen = router.send(OUTSIDE, &segment(0x10, (5001, ack), &options));
        assert_eq!(shown(&seen), [(INSIDE, "10.2.0.1:80>10.1.0.1:4000".to_owned())]);
        let word = |at: usize| u32::from_be_bytes(seen[0].1[at..at + 4].try_into().expect("four bytes"));
        assert_eq!([28, 44, 48, 52, 56].map(word), moved);
    }
}
