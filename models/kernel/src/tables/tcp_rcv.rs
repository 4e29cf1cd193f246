//! What a connection may receive: its buffer, the window that it offers, and when it acknowledges.
//!
//! Kernel: net/ipv4/tcp_input.c (`tcp_grow_window`, `tcp_rcv_space_adjust`, `tcp_event_data_recv`), net/ipv4/tcp_output.c
//! (`__tcp_select_window`, `tcp_send_delayed_ack`)

use std::collections::VecDeque;

use glassnet_sim::Nanos;

use super::inet_csk::TCP_INIT_CWND;
use super::skb::skb_truesize;
use super::tcp_queue::MAX_TCP_HEADER;

/// Delay of an acknowledgement: the least (`TCP_DELACK_MIN`, `TCP_ATO_MIN`), and the greatest (`TCP_DELACK_MAX`).
pub const TCP_DELACK_MIN: Nanos = Nanos::from_millis(40);
const TCP_DELACK_MAX: Nanos = Nanos::from_millis(200);
/// Acknowledgements that are not delayed when something new begins (`TCP_MAX_QUICKACKS`).
const TCP_MAX_QUICKACKS: u32 = 16;

/// The receive buffer and its window.
#[derive(Clone, Debug, Default)]
pub struct RcvWindow {
    /// Bytes in order that were not read (`sk_receive_queue`).
    pub queue: VecDeque<u8>,
    /// How many of them each packet brought, and the memory that it takes.
    held: VecDeque<(usize, u32)>,
    /// Memory of the queue, bytes (`sk_rmem_alloc`).
    pub rmem_alloc: u32,
    /// The buffer, bytes (`sk_rcvbuf`); it grows up to `most`, unless the program chose it (`SOCK_RCVBUF_LOCK`).
    pub rcvbuf: u32,
    most: Option<u32>,
    /// The next byte that is expected (`rcv_nxt`).
    pub nxt: u32,
    /// What the last acknowledgement said (`rcv_wup`), and the window that it offered (`rcv_wnd`).
    pub wup: u32,
    /// See `wup`.
    pub wnd: u32,
    /// The window is at most this now (`rcv_ssthresh`), and at most that ever (`window_clamp`).
    ssthresh: u32,
    clamp: u32,
    /// The greatest segment that is asked for (`advmss`).
    advmss: u32,
    /// The shift of its windows (`rcv_wscale`).
    wscale: u8,
    /// The least data in a full segment of the peer, as far as seen (`rcv_mss`).
    pub mss: u32,
    /// Bytes that the program read in a round trip (`rcvq_space`): the most, since when they are counted, and how many.
    space: u32,
    since: Nanos,
    copied: u32,
    /// The round trip as a receiver sees it, eight times, µs (`rcv_rtt_est`); 0: not known.
    rtt_us: u64,
}

/// The window of so much memory (`tcp_win_from_space` with `tcp_adv_win_scale` 1).
fn win_from_space(space: u32) -> u32 {
    space / 2
}

impl RcvWindow {
    /// Before the handshake. `wnd`: the window of its SYN; `most`: up to where its buffer grows by itself.
    pub fn new(
        (rcvbuf, most): (u32, Option<u32>),
        wnd: u32,
        wscale: u8,
        clamp: Option<u32>,
        advmss: u32,
    ) -> Self {
        let full = win_from_space(rcvbuf);
        let clamp = clamp.unwrap_or(u32::MAX).min(full);
        let ssthresh = wnd.min(clamp);
        let mss = advmss.min(wnd / 2).clamp(88, 536);
        RcvWindow { rcvbuf, most, wnd, ssthresh, clamp, advmss, wscale, mss, ..RcvWindow::default() }
    }

    /// Data of a packet came in order; `truesize`: its memory.
    pub fn push(&mut self, bytes: Vec<u8>, truesize: u32) {
        self.held.push_back((bytes.len(), truesize));
        self.rmem_alloc += truesize;
        self.queue.extend(bytes);
    }

    /// The program reads up to `max` bytes.
    pub fn read(&mut self, max: usize) -> Vec<u8> {
        let bytes: Vec<u8> = self.queue.drain(..max.min(self.queue.len())).collect();
        let mut left = bytes.len();
        while let Some((len, truesize)) = self.held.front_mut() {
            if left < *len {
                *len -= left;
                break;
            }
            left -= *len;
            self.rmem_alloc -= *truesize;
            self.held.pop_front();
        }
        bytes
    }

    /// Nothing was read any more: what is left is given up.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.held.clear();
        self.rmem_alloc = 0;
    }

    fn free_space(&self) -> u32 {
        win_from_space(self.rcvbuf.saturating_sub(self.rmem_alloc))
    }

    /// What is left of the window that was offered (`tcp_receive_window`).
    pub fn left(&self) -> u32 {
        let left = self.wup.wrapping_add(self.wnd).wrapping_sub(self.nxt);
        if (left as i32) < 0 { 0 } else { left }
    }

    /// The window that there is room for (`__tcp_select_window`).
    pub fn room(&self) -> u32 {
        let (full, mut free) = (self.clamp.min(win_from_space(self.rcvbuf)), self.free_space());
        let mss = self.mss.min(full);
        if free < full / 2 {
            free = free >> self.wscale << self.wscale;
            if free < full >> 4 || free < mss {
                return 0;
            }
        }
        free = free.min(self.ssthresh);
        if self.wscale > 0 {
            return free.next_multiple_of(1 << self.wscale);
        }
        match () {
            () if self.wnd <= free.saturating_sub(mss) || self.wnd > free => free / mss.max(1) * mss,
            () if mss == full && free > self.wnd + full / 2 => free,
            () => self.wnd,
        }
    }

    /// The window that the next segment offers (`tcp_select_window`): never less than what was offered before.
    pub fn select(&mut self) -> u16 {
        let (left, room) = (self.left(), self.room());
        let offered = if room < left { left.next_multiple_of(1 << self.wscale) } else { room };
        let most = u32::from(u16::MAX) << self.wscale;
        (self.wnd, self.wup) = (offered.min(most), self.nxt);
        (self.wnd >> self.wscale) as u16
    }

    /// A segment of `len` bytes came that takes `truesize` of memory: the window may grow (`tcp_grow_window`).
    pub fn grow(&mut self, len: u32, truesize: u32) {
        let room = self.clamp.min(self.free_space()).saturating_sub(self.ssthresh);
        if room == 0 || len < 128 {
            return;
        }
        let (mut size, mut window) = (win_from_space(truesize), win_from_space(self.rcvbuf.max(self.clamp)));
        let mut increase = 2 * self.advmss;
        if size > len {
            (size, increase) = (size / 2, 0);
            window /= 2;
            while self.ssthresh <= window {
                if size <= len {
                    increase = 2 * self.mss;
                    break;
                }
                (size, window) = (size / 2, window / 2);
            }
        }
        if increase > 0 {
            self.ssthresh += room.min(increase.max(2 * len));
        }
    }

    /// The peer echoed a timestamp, `rtt_ms` after it was sent (`tcp_rcv_rtt_measure_ts`).
    pub fn measured(&mut self, rtt_ms: u32) {
        let sample = u64::from(rtt_ms.max(1)) * 1000;
        self.rtt_us = match self.rtt_us {
            0 => sample << 3,
            old => old - (old >> 3) + sample,
        };
    }

    /// The program read `len` bytes: once a round trip the buffer is fitted to how fast it reads (`tcp_rcv_space_adjust`).
    pub fn adjust(&mut self, len: u32, now: Nanos) {
        self.copied += len;
        if self.rtt_us == 0 || now.since(self.since).0 / 1000 < self.rtt_us >> 3 {
            return;
        }
        let copied = std::mem::take(&mut self.copied);
        self.since = now;
        if copied <= self.space {
            return;
        }
        if let Some(most) = self.most {
            let window = 2 * u64::from(copied) + 16 * u64::from(self.advmss);
            let grown = window * u64::from(copied - self.space) / u64::from(self.space.max(1));
            let segments = (window + 2 * grown) / u64::from(self.advmss.max(1));
            let mut memory = skb_truesize(self.advmss as usize + MAX_TCP_HEADER);
            while win_from_space(memory) < self.advmss {
                memory += 128;
            }
            let rcvbuf = (segments * u64::from(memory)).min(u64::from(most)) as u32;
            if rcvbuf > self.rcvbuf {
                (self.rcvbuf, self.clamp) = (rcvbuf, win_from_space(rcvbuf));
            }
        }
        self.space = copied;
    }

    /// The connection begins: room for a segment is kept back, and counting begins (`tcp_init_buffer_space` with `tcp_app_win`
    /// 31). `option`: bytes of the timestamps in each segment.
    pub fn begin(&mut self, option: u32, now: Nanos) {
        self.advmss = self.advmss.saturating_sub(option);
        let full = win_from_space(self.rcvbuf);
        if self.clamp > 2 * self.advmss && self.clamp + self.advmss > full {
            self.clamp = full.saturating_sub(self.advmss).max(2 * self.advmss);
        }
        self.ssthresh = self.ssthresh.min(self.clamp);
        self.space = self.ssthresh.min(self.wnd).min(TCP_INIT_CWND * self.advmss);
        self.since = now;
    }

    /// What the window may be at most (`window_clamp`).
    pub fn clamp(&self) -> u32 {
        self.clamp
    }
}

/// When what came is acknowledged (`icsk_ack`).
#[derive(Clone, Debug, Default)]
pub struct AckState {
    /// An acknowledgement is due (`ICSK_ACK_SCHED`).
    pub scheduled: bool,
    /// A small segment came (`ICSK_ACK_PUSHED`), and another one (`ICSK_ACK_PUSHED2`).
    pub pushed: bool,
    /// See `pushed`.
    pub pushed2: bool,
    /// It goes out at once (`ICSK_ACK_NOW`).
    pub now: bool,
    /// Acknowledgements that are not delayed (`quick`).
    pub quick: u32,
    /// The program answers what comes, so an acknowledgement can go with the answer (`inet_csk_in_pingpong_mode`).
    pub pingpong: bool,
    /// How long it is delayed (`ato`).
    ato: Nanos,
    /// When data came last (`lrcvtime`), by the tick.
    lrcvtime: Nanos,
    /// When a delayed one is sent (`timeout`).
    pub timeout: Option<Nanos>,
    /// The length of the last segment (`last_seg_size`).
    last_seg: u32,
}

impl AckState {
    /// Data came (`tcp_event_data_recv`).
    pub fn data_received(&mut self, window: &RcvWindow, tick: Nanos, rto: Nanos) {
        self.scheduled = true;
        let quick = (window.wnd / (2 * window.mss.max(1))).max(2);
        if self.ato == Nanos::ZERO {
            self.quick = self.quick.max(quick.min(TCP_MAX_QUICKACKS));
            self.ato = TCP_DELACK_MIN;
        } else {
            let gap = tick.since(self.lrcvtime);
            match () {
                () if gap <= Nanos(TCP_DELACK_MIN.0 / 2) => {
                    self.ato = Nanos(self.ato.0 / 2 + TCP_DELACK_MIN.0 / 2);
                }
                () if gap < self.ato => self.ato = Nanos(self.ato.0 / 2 + gap.0).min(rto),
                // The peer paused: it may begin slowly again.
                () if gap > rto => self.quick = self.quick.max(quick.min(TCP_MAX_QUICKACKS)),
                () => {}
            }
        }
        self.lrcvtime = tick;
    }

    /// How long the segments of the peer are (`tcp_measure_rcv_mss`): `segment` bytes each, `headers` with the options.
    pub fn measure(&mut self, window: &mut RcvWindow, segment: u32) {
        let last = std::mem::replace(&mut self.last_seg, 0);
        if segment >= window.mss {
            window.mss = segment.min(window.advmss);
            return;
        }
        if segment >= 536 {
            self.last_seg = segment;
            if segment == last {
                window.mss = segment;
                return;
            }
        }
        self.pushed2 |= self.pushed;
        self.pushed = true;
    }

    /// The program sent data (`tcp_event_data_sent`).
    pub fn data_sent(&mut self, tick: Nanos) {
        if self.ato > Nanos::ZERO && tick.since(self.lrcvtime) < self.ato {
            self.pingpong = true;
        }
    }

    /// An acknowledgement was sent, in a segment of `segs` or by itself (`tcp_event_ack_sent`).
    pub fn sent(&mut self, segs: u32) {
        if self.quick > 0 {
            if segs >= self.quick {
                (self.quick, self.ato) = (0, TCP_DELACK_MIN);
            } else {
                self.quick -= segs;
            }
        }
        (self.scheduled, self.pushed, self.pushed2, self.now, self.timeout) =
            (false, false, false, false, None);
    }

    /// It must not be delayed (`__tcp_ack_snd_check`): `always` if the route says so.
    pub fn is_due(&self, window: &RcvWindow, always: bool) -> bool {
        let much = window.nxt.wrapping_sub(window.wup) > window.mss;
        self.now || always || self.quick > 0 && !self.pingpong || much && window.room() >= window.left()
    }

    /// It waits (`tcp_send_delayed_ack`); until when.
    pub fn delay(&mut self, tick: Nanos, srtt: Option<Nanos>) {
        let mut ato = self.ato.max(TCP_DELACK_MIN);
        if ato > TCP_DELACK_MIN {
            let most = if self.pingpong || self.pushed { TCP_DELACK_MAX } else { Nanos::from_millis(500) };
            let most = srtt.map_or(most, |srtt| most.min(srtt.max(TCP_DELACK_MIN)));
            ato = ato.min(most);
        }
        let until = tick + ato;
        self.timeout = Some(self.timeout.map_or(until, |before| before.min(until)));
    }

    /// The time came (`tcp_delack_timer_handler`).
    pub fn expired(&mut self, rto: Nanos) {
        self.timeout = None;
        match self.pingpong {
            true => (self.pingpong, self.ato) = (false, TCP_DELACK_MIN),
            false => self.ato = Nanos(self.ato.0 * 2).min(rto),
        }
    }

    /// The program took everything: who waits for an acknowledgement gets it (`tcp_cleanup_rbuf`).
    pub fn is_due_after_read(&self, window: &RcvWindow, copied: usize) -> bool {
        let much = window.nxt.wrapping_sub(window.wup) > window.mss;
        let all = copied > 0 && window.rmem_alloc == 0;
        self.scheduled && (much || all && (self.pushed2 || self.pushed && !self.pingpong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::skb::alloc_truesize;

    fn window() -> RcvWindow {
        RcvWindow::new((131_072, Some(6_291_456)), 65_160, 7, None, 1460)
    }

    fn receive(window: &mut RcvWindow, len: usize) -> u16 {
        let truesize = alloc_truesize(MAX_TCP_HEADER) + len as u32;
        window.nxt = window.nxt.wrapping_add(len as u32);
        window.grow(len as u32, truesize);
        window.push(vec![0; len], truesize);
        window.select()
    }

    /// The windows that Linux 6.1.192 offered while a program did not read.
    #[test]
    fn a_window_closes_as_memory_fills() {
        let mut window = window();
        let seen = [7240, 7240, 1904, 15_928, 456, 16_384].map(|len| receive(&mut window, len));
        assert_eq!(seen, [479, 446, 433, 366, 363, 290]);
    }

    /// A reader that takes everything gets a larger buffer each round trip, up to the greatest.
    #[test]
    fn a_buffer_grows_with_its_reader() {
        let mut window = window();
        window.measured(20);
        for round in 1..60 {
            for _ in 0..20 {
                let len = window.left().min(60_000) as usize;
                receive(&mut window, len);
                let read = window.read(usize::MAX).len();
                window.adjust(read as u32, Nanos::from_millis(20 * round));
            }
        }
        assert_eq!(window.rcvbuf, 6_291_456);
        assert!(window.wnd > 1_000_000, "{}", window.wnd);
        let mut chosen = RcvWindow::new((65_536, None), 32_768, 7, None, 1460);
        chosen.measured(20);
        receive(&mut chosen, 30_000);
        let read = chosen.read(usize::MAX).len();
        chosen.adjust(read as u32, Nanos::from_millis(40));
        assert_eq!(chosen.rcvbuf, 65_536, "the program chose it");
    }

    /// Sixteen acknowledgements at once, then one for two segments; none at once when the program answers.
    #[test]
    fn acknowledgements_are_delayed() {
        let (mut window, mut ack) = (window(), AckState::default());
        let mut at_once = 0;
        for segment in 0..40_u64 {
            window.nxt = window.nxt.wrapping_add(1448);
            ack.measure(&mut window, 1448);
            ack.data_received(&window, Nanos::from_millis(segment), Nanos::from_millis(200));
            if ack.is_due(&window, false) {
                at_once += 1;
                window.select();
                ack.sent(1);
            }
        }
        assert_eq!(at_once, 16 + (40 - 16) / 2);
        ack.data_sent(Nanos::from_millis(40));
        assert!(ack.pingpong);
        window.nxt = window.nxt.wrapping_add(10);
        ack.quick = 5;
        assert!(!ack.is_due(&window, false) && ack.is_due(&window, true));
        ack.delay(Nanos::from_millis(41), None);
        assert_eq!(ack.timeout, Some(Nanos::from_millis(81)));
        ack.expired(Nanos::from_millis(200));
        assert_eq!((ack.pingpong, ack.timeout), (false, None));
    }
}
