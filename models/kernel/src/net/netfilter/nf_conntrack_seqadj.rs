//! Sequence numbers of TCP connections in which NAT changed the length of a segment.
//!
//! Kernel: net/netfilter/nf_conntrack_seqadj.c

use glassnet_wire::checksum::replace;
use glassnet_wire::tcp::{TCP_ACK, TCP_HLEN, TcpHdr};
use zerocopy::big_endian::{U16, U32};

use crate::Cx;
use crate::door::Func;
use crate::ids::SkbId;
use crate::tables::conntrack::{Conn, CtId, CtInfo, Dir, IPS_SEQ_ADJUST};

/// SACK blocks (RFC 2018).
const OPT_SACK: u8 = 5;

/// NAT made the segment that begins at `seq` longer by `off` bytes (`nf_ct_seqadj_set`).
pub(super) fn nf_ct_seqadj_set(conn: &mut Conn, dir: Dir, seq: u32, off: i32) {
    if off == 0 {
        return;
    }
    conn.status |= IPS_SEQ_ADJUST;
    let this = &mut conn.ext_mut().seqadj[dir as usize];
    let is_later = (this.correction_pos.wrapping_sub(seq) as i32) < 0;
    if this.offset_before == this.offset_after || is_later {
        this.correction_pos = seq;
        this.offset_before = this.offset_after;
        this.offset_after += off;
    }
}

/// By how much a sequence number of a direction is moved (`nf_ct_seq_offset`), bytes.
#[inline]
pub(super) fn nf_ct_seq_offset(conn: &Conn, dir: Dir, seq: u32) -> i32 {
    if !conn.has(IPS_SEQ_ADJUST) {
        return 0;
    }
    conn.ext.as_deref().map_or(0, |ext| ext.seqadj(dir).offset(seq))
}

/// A sequence number that NAT moved, as its sender knows it.
fn moved_back(conn: &Conn, dir: Dir, seq: u32) -> u32 {
    let Some(adj) = conn.ext.as_deref().map(|ext| ext.seqadj(dir)) else { return seq };
    let before = seq.wrapping_sub_signed(adj.offset_before);
    let behind = (adj.correction_pos.wrapping_sub(before) as i32) < 0;
    seq.wrapping_sub_signed(if behind { adj.offset_after } else { adj.offset_before })
}

/// Moves the sequence and acknowledgement numbers of a segment, and those of its SACK blocks (`nf_ct_seq_adjust`); false
/// if it is cut short. `at`: offset of the TCP header in the buffer.
pub(super) fn nf_ct_seq_adjust(cx: &mut Cx, skb: SkbId, at: u32, id: CtId, info: CtInfo) -> bool {
    cx.call(Func::NfCtSeqAdjust, skb);
    let dir = info.dir();
    let Some(conn) = cx.k.conntrack.get(id) else { return true };
    let Some(tcp) = cx.skbs.header::<TcpHdr>(skb, at).copied() else { return false };
    let seq = tcp.seq.get().wrapping_add_signed(nf_ct_seq_offset(conn, dir, tcp.seq.get()));
    let mut words = vec![(4, tcp.seq.get(), seq)];
    if tcp.flags & TCP_ACK != 0 {
        let ack = tcp.ack_seq.get();
        words.push((8, ack, moved_back(conn, dir.other(), ack)));
        let options = cx.skbs.data(skb).get(l4_options(cx, skb, at, &tcp)).unwrap_or(&[]);
        let edges = sack_edges(options)
            .map(|(place, edge)| (TCP_HLEN as u32 + place, edge, moved_back(conn, dir.other(), edge)));
        words.extend(edges);
    }
    for (place, old, new) in words {
        if let Some(word) = cx.skbs.header_mut::<U32>(skb, at + place) {
            *word = U32::new(new);
        }
        if let Some(tcp) = cx.skbs.header_mut::<TcpHdr>(skb, at) {
            let high = replace(tcp.check.get(), (old >> 16) as u16, (new >> 16) as u16);
            tcp.check = U16::new(replace(high, old as u16, new as u16));
        }
    }
    true
}

/// Where TCP's options are in the packet's data.
fn l4_options(cx: &Cx, skb: SkbId, at: u32, tcp: &TcpHdr) -> std::ops::Range<usize> {
    let start = (at - cx.skbs[skb].data) as usize;
    start + TCP_HLEN..start + tcp.header_len().max(TCP_HLEN)
}

/// Offsets and values of the edges of all SACK blocks in TCP's options.
fn sack_edges(options: &[u8]) -> impl Iterator<Item = (u32, u32)> {
    let mut edges = Vec::new();
    let mut at = 0;
    while let Some(&kind) = options.get(at) {
        match (kind, options.get(at + 1).map(|len| usize::from(*len))) {
            (0, _) => break,
            (1, _) => at += 1,
            (_, Some(len)) if len >= 2 && at + len <= options.len() => {
                let blocks = &options[at + 2..at + len];
                if kind == OPT_SACK && blocks.len().is_multiple_of(8) {
                    let words = blocks.chunks_exact(4).enumerate();
                    edges.extend(words.map(|(n, word)| {
                        let value = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
                        ((at + 2 + 4 * n) as u32, value)
                    }));
                }
                at += len;
            }
            _ => break,
        }
    }
    edges.into_iter()
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::ids::NetnsId;
    use crate::tables::conntrack::Tuple;

    fn conn() -> Conn {
        let tuple =
            Tuple { src: Ipv4Addr::LOCALHOST, dst: Ipv4Addr::LOCALHOST, sport: 1, dport: 2, proto: 6 };
        Conn::new(NetnsId(0), tuple, tuple, [0, 0])
    }

    /// Two segments that got longer and shorter: each number is moved by what happened before it, and the acknowledgement of
    /// a moved number is moved back. Numbers go round.
    #[test]
    fn numbers_move_by_what_was_changed_before_them() {
        for start in [1000_u32, u32::MAX - 20] {
            let at = |off: u32| start.wrapping_add(off);
            let mut conn = conn();
            let offset = |conn: &Conn, off| nf_ct_seq_offset(conn, Dir::Reply, at(off));
            nf_ct_seqadj_set(&mut conn, Dir::Reply, at(0), 0);
            assert!(!conn.has(IPS_SEQ_ADJUST), "nothing changed");
            assert_eq!(offset(&conn, 5), 0);
            nf_ct_seqadj_set(&mut conn, Dir::Reply, at(0), 7);
            assert!(conn.has(IPS_SEQ_ADJUST));
            assert_eq!([0, 1, 100].map(|off| offset(&conn, off)), [0, 7, 7]);
            assert_eq!(nf_ct_seq_offset(&conn, Dir::Original, at(100)), 0, "the other direction");
            // The same segment again.
            nf_ct_seqadj_set(&mut conn, Dir::Reply, at(0), 7);
            assert_eq!([0, 1, 100].map(|off| offset(&conn, off)), [0, 7, 7]);
            nf_ct_seqadj_set(&mut conn, Dir::Reply, at(50), -3);
            assert_eq!([1, 50, 51, 100].map(|off| offset(&conn, off)), [7, 7, 4, 4]);
            // An earlier one does not count.
            nf_ct_seqadj_set(&mut conn, Dir::Reply, at(49), 9);
            assert_eq!([1, 50, 51, 100].map(|off| offset(&conn, off)), [7, 7, 4, 4]);
            // Within a segment that got shorter the way back is not exact, as in Linux; 50 to 53 is such a one.
            for off in [1, 20, 50, 54, 100] {
                let moved = at(off).wrapping_add_signed(offset(&conn, off));
                assert_eq!(moved_back(&conn, Dir::Reply, moved), at(off), "{off}");
            }
        }
        assert_eq!(moved_back(&conn(), Dir::Reply, 5), 5);
    }

    /// RFC 2018: kind 5, a length, and pairs of edges. What is malformed ends the list.
    #[test]
    fn edges_of_sack_blocks() {
        let blocks = |bytes: &[u8]| sack_edges(bytes).collect::<Vec<_>>();
        let one = [5, 10, 0, 0, 0, 1, 0, 0, 1, 0];
        assert_eq!(blocks(&one), [(2, 1), (6, 256)]);
        assert_eq!(blocks(&[&[1, 1][..], &one].concat()), [(4, 1), (8, 256)]);
        assert_eq!(blocks(&[&[8, 10, 5, 10, 9, 9, 9, 9, 9, 9][..], &one].concat()), [(12, 1), (16, 256)]);
        let two = [5, 18, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 0, 3, 0, 2, 0, 4];
        assert_eq!(blocks(&two), [(2, 1), (6, 2), (10, 0x0100_0003), (14, 0x0002_0004)]);
        assert_eq!(blocks(&[&two[..], &one].concat()).len(), 6);
        for ends in [&[0, 1][..], &[3, 0], &[3, 1], &[3]] {
            assert_eq!(blocks(&[ends, &one].concat()).len() + blocks(ends).len(), 0, "{ends:?}");
        }
        assert_eq!(blocks(&one[..9]), [], "cut off");
        assert_eq!(blocks(&[5, 6, 0, 0, 0, 1]), [], "half a block");
        assert_eq!(blocks(&[5, 2]), []);
        assert_eq!(blocks(&[]), []);
        assert_eq!(blocks(&[&[3, 2][..], &one].concat()), [(4, 1), (8, 256)], "an option without a value");
    }
}
