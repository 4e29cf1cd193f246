//! What a connection has to send, and what it sent and nobody acknowledged.
//!
//! Kernel: include/net/tcp.h (`struct tcp_skb_cb`), net/ipv4/tcp_output.c (`tcp_fragment`, `tcp_trim_head`)

use std::collections::VecDeque;

use glassnet_sim::Nanos;
use glassnet_wire::tcp::{TCP_FIN, TCP_PSH};

use super::skb::alloc_truesize;
use super::tcp_sock::before;

/// Room for headers in a packet of the write queue, bytes (`MAX_TCP_HEADER`).
pub const MAX_TCP_HEADER: usize = 320;
/// Memory of a packet without its data, bytes.
pub const TCP_SKB_OVERHEAD: u32 = alloc_truesize(MAX_TCP_HEADER);

/// A packet of a connection's queues (`struct tcp_skb_cb`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpSkb {
    /// The sequence number of its first byte.
    pub seq: u32,
    /// Its bytes.
    pub data: Vec<u8>,
    /// `TCP_PSH` and `TCP_FIN`.
    pub flags: u8,
    /// The segments that it goes out in (`tcp_skb_pcount`).
    pub pcount: u32,
    /// When it was sent last.
    pub sent: Nanos,
    /// It was sent more than once (`TCPCB_EVER_RETRANS`).
    pub ever_retrans: bool,
    /// It was sent again, and that may still arrive (`TCPCB_SACKED_RETRANS`).
    pub retrans: bool,
    /// The peer has it, though not what precedes it (`TCPCB_SACKED_ACKED`).
    pub sacked: bool,
    /// It counts as lost (`TCPCB_LOST`).
    pub lost: bool,
}

impl TcpSkb {
    /// What it takes of the sequence space.
    pub fn len(&self) -> u32 {
        self.data.len() as u32 + u32::from(self.flags & TCP_FIN != 0)
    }

    /// It has neither data nor a FIN.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sequence number behind it.
    pub fn end(&self) -> u32 {
        self.seq.wrapping_add(self.len())
    }

    /// The memory that it takes, bytes.
    pub fn truesize(&self) -> u32 {
        TCP_SKB_OVERHEAD + self.data.len() as u32
    }

    /// Counts its segments of `mss` bytes.
    pub fn set_segs(&mut self, mss: u32) {
        self.pcount = (self.data.len() as u32).div_ceil(mss.max(1)).max(1);
    }

    /// Cuts it behind `len` bytes: the rest, which has its FIN and its push.
    pub fn split(&mut self, len: usize, mss: u32) -> TcpSkb {
        let data = self.data.split_off(len);
        let mut rest = TcpSkb { seq: self.seq.wrapping_add(len as u32), data, ..self.clone_head() };
        self.flags &= !(TCP_FIN | TCP_PSH);
        self.set_segs(mss);
        rest.set_segs(mss);
        rest
    }

    fn clone_head(&self) -> TcpSkb {
        TcpSkb { data: Vec::new(), ..*self }
    }

    /// Takes away what was acknowledged in front.
    fn trim_head(&mut self, len: u32, mss: u32) {
        self.data.drain(..(len as usize).min(self.data.len()));
        self.seq = self.seq.wrapping_add(len);
        self.set_segs(mss);
    }
}

/// What an acknowledgement took out of the queue of what was sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Segments that arrived for the first time known.
    pub delivered: u32,
    /// When the first packet that was sent only once was sent.
    pub first_sent: Option<Nanos>,
    /// The latest time at which something that arrived was sent, and the end of that (`struct tcp_rack`).
    pub latest: Option<(Nanos, u32)>,
    /// Memory that got free, bytes.
    pub truesize: u32,
    /// Packets that were cut, each of which is one more.
    pub cuts: u32,
    /// Something that was sent again is acknowledged.
    pub retrans: bool,
}

impl Cleaned {
    /// A packet arrived.
    pub fn arrived(&mut self, skb: &TcpSkb, pcount: u32) {
        self.delivered += pcount;
        if !skb.ever_retrans {
            self.first_sent.get_or_insert(skb.sent);
        }
        self.retrans |= skb.ever_retrans;
        let later =
            |(at, end): (Nanos, u32)| (at, 0) < (skb.sent, 0) || at == skb.sent && before(end, skb.end());
        if self.latest.is_none_or(later) {
            self.latest = Some((skb.sent, skb.end()));
        }
    }
}

/// What was sent and not acknowledged, in its order (`tcp_rtx_queue`).
#[derive(Clone, Debug, Default)]
pub struct RtxQueue {
    /// The packets.
    pub skbs: VecDeque<TcpSkb>,
}

impl RtxQueue {
    /// Segments under way, as far as one can know (`tcp_packets_in_flight`).
    pub fn in_flight(&self) -> u32 {
        let count = |skb: &TcpSkb| match skb.sacked {
            true => 0,
            false => u32::from(!skb.lost) * skb.pcount + u32::from(skb.retrans) * skb.pcount,
        };
        self.skbs.iter().map(count).sum()
    }

    /// Segments that were sent and not acknowledged (`packets_out`).
    pub fn packets_out(&self) -> u32 {
        self.skbs.iter().map(|skb| skb.pcount).sum()
    }

    /// Segments that arrived out of order (`sacked_out`).
    pub fn sacked_out(&self) -> u32 {
        self.skbs.iter().filter(|skb| skb.sacked).map(|skb| skb.pcount).sum()
    }

    /// Everything up to `ack` arrived (`tcp_clean_rtx_queue`).
    pub fn clean(&mut self, ack: u32, mss: u32) -> Cleaned {
        let mut cleaned = Cleaned::default();
        while let Some(first) = self.skbs.front_mut().filter(|first| before(first.seq, ack)) {
            let (segs, size) = (first.pcount, first.truesize());
            if before(ack, first.end()) {
                first.trim_head(ack.wrapping_sub(first.seq), mss);
                let gone = segs.saturating_sub(first.pcount);
                cleaned.truesize += size - first.truesize();
                if !first.sacked && gone > 0 {
                    cleaned.arrived(first, gone);
                }
                break;
            }
            cleaned.truesize += size;
            if !first.sacked {
                cleaned.arrived(first, segs);
            }
            self.skbs.pop_front();
        }
        cleaned
    }

    /// The peer has a block (`tcp_sacktag_write_queue`). A packet of several segments is cut where the block ends.
    pub fn sack(&mut self, (start, end): (u32, u32), mss: u32, cleaned: &mut Cleaned) {
        let mut at = self.skbs.partition_point(|skb| !before(start, skb.end()));
        while let Some(skb) = self.skbs.get_mut(at).filter(|skb| before(skb.seq, end)) {
            let front = if before(skb.seq, start) { start.wrapping_sub(skb.seq) } else { 0 };
            let inside = if before(end, skb.end()) { end.wrapping_sub(skb.seq) } else { skb.len() };
            let cut = if front > 0 { front } else { inside };
            if skb.sacked || cut >= skb.len() && front > 0 {
                at += 1;
                continue;
            }
            if cut < skb.len() {
                let whole = cut / mss * mss;
                let rest = (whole > 0).then(|| skb.split(whole as usize, mss));
                let is_part = rest.is_none();
                cleaned.cuts += u32::from(!is_part);
                rest.into_iter().for_each(|rest| self.skbs.insert(at + 1, rest));
                if front > 0 || is_part {
                    at += 1;
                    continue;
                }
            }
            let skb = &mut self.skbs[at];
            cleaned.arrived(skb, skb.pcount);
            (skb.sacked, skb.lost, skb.retrans) = (true, false, false);
            at += 1;
        }
    }

    /// Cuts the packet at this place behind so many segments, if it has more. True: there is one packet more.
    pub fn cut(&mut self, at: usize, segs: u32, mss: u32) -> bool {
        let most = (segs * mss) as usize;
        let Some(skb) = self.skbs.get_mut(at).filter(|skb| skb.data.len() > most) else { return false };
        let rest = skb.split(most, mss);
        self.skbs.insert(at + 1, rest);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue() -> RtxQueue {
        let skb = |at: u32, segs: u32| {
            let data = vec![0; segs as usize * 100];
            TcpSkb { seq: at, data, pcount: segs, sent: Nanos(u64::from(at)), ..TcpSkb::default() }
        };
        RtxQueue { skbs: [skb(0, 3), skb(300, 2), skb(500, 1)].into() }
    }

    #[test]
    fn what_is_acknowledged_leaves() {
        let mut queue = queue();
        let cleaned = queue.clean(400, 100);
        assert_eq!((cleaned.delivered, cleaned.first_sent), (4, Some(Nanos(0))));
        assert_eq!((queue.packets_out(), queue.skbs[0].seq), (2, 400));
        // Half a segment is none.
        assert_eq!(queue.clean(450, 100).delivered, 0);
        assert_eq!(queue.clean(600, 100).delivered, 2);
        assert!(queue.skbs.is_empty());
    }

    #[test]
    fn blocks_cut_packets_of_several_segments() {
        let mut queue = queue();
        let mut cleaned = Cleaned::default();
        queue.sack((100, 200), 100, &mut cleaned);
        let seen: Vec<_> = queue.skbs.iter().map(|skb| (skb.seq, skb.pcount, skb.sacked)).collect();
        assert_eq!(seen, [(0, 1, false), (100, 1, true), (200, 1, false), (300, 2, false), (500, 1, false)]);
        assert_eq!((cleaned.delivered, queue.sacked_out(), queue.in_flight()), (1, 1, 5));
        // Told again, it counts once.
        queue.sack((100, 200), 100, &mut cleaned);
        queue.sack((300, 600), 100, &mut cleaned);
        assert_eq!((cleaned.delivered, queue.sacked_out()), (4, 4));
        assert_eq!(cleaned.latest, Some((Nanos(500), 600)));
        // What was reported before counts no more.
        assert_eq!(queue.clean(600, 100).delivered, 2);
    }
}
