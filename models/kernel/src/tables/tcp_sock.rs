//! A TCP socket (`struct tcp_sock`, include/linux/tcp.h; `struct inet_connection_sock`).

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::IPV4_HLEN;
use glassnet_wire::tcp::TCP_HLEN;
use smoltcp::socket::tcp::State;

use super::inet_csk::Icsk;
use super::tcp_machine::Machine;
use super::tcp_queue::{RtxQueue, TcpSkb};
use super::tcp_rcv::{AckState, RcvWindow};
use crate::ids::SocketId;
use crate::netlink::Errno;

/// States by their numbers (include/net/tcp_states.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
#[allow(missing_docs, reason = "the states of RFC 9293")]
pub enum TcpState {
    Established = 1,
    SynSent,
    SynRecv,
    FinWait1,
    FinWait2,
    TimeWait,
    #[default]
    Close,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

impl From<State> for TcpState {
    fn from(state: State) -> TcpState {
        match state {
            State::Closed => TcpState::Close,
            State::Listen => TcpState::Listen,
            State::SynSent => TcpState::SynSent,
            State::SynReceived => TcpState::SynRecv,
            State::Established => TcpState::Established,
            State::FinWait1 => TcpState::FinWait1,
            State::FinWait2 => TcpState::FinWait2,
            State::CloseWait => TcpState::CloseWait,
            State::Closing => TcpState::Closing,
            State::LastAck => TcpState::LastAck,
            State::TimeWait => TcpState::TimeWait,
        }
    }
}

/// Connections that a listener made and nobody accepted.
#[derive(Clone, Debug, Default)]
pub struct RequestQueue {
    /// How many may wait (`sk_max_ack_backlog`); one more fits.
    pub backlog: usize,
    /// Established, in their order.
    pub accept: VecDeque<SocketId>,
    /// Handshakes under way.
    pub young: Vec<SocketId>,
    /// It said that there are too many of them (`synflood_warned`).
    pub synflood_warned: bool,
    /// The SYNs that it answered and did not enter, of the last two minutes at least.
    pub cookies: BTreeMap<SynKey, SynCookie>,
    /// When it answered the last of them (`rx_opt.ts_recent_stamp`).
    pub last_overflow: Option<Nanos>,
}

/// What tells the SYNs of a listener apart: who sent it, to which address, and its sequence number.
pub type SynKey = ((Ipv4Addr, u16), Ipv4Addr, u32);

/// A SYN that was answered with a cookie.
#[derive(Clone, Debug)]
pub struct SynCookie {
    /// Its packet, from the IPv4 header on, with the options that a cookie tells.
    pub syn: Vec<u8>,
    /// The sequence number of the answer, which is the cookie.
    pub isn: u32,
    /// The seed of that number, and the offset of the timestamps.
    pub chance: (u64, u32),
    /// When it was answered.
    pub at: Nanos,
}

impl RequestQueue {
    /// No established connection more fits (`sk_acceptq_is_full`).
    pub fn is_full(&self) -> bool {
        self.accept.len() > self.backlog
    }
}

/// What a socket has that speaks TCP.
#[derive(Debug, Default)]
pub struct TcpSock {
    /// Its state.
    pub state: TcpState,
    /// The protocol machine of a connection.
    pub machine: Option<Machine>,
    /// Listening: who waits to be accepted.
    pub requests: Option<RequestQueue>,
    /// The listener that made it, until it was accepted.
    pub parent: Option<SocketId>,
    /// No program holds it any more (`SOCK_DEAD`).
    pub orphan: bool,
    /// It is entered in the table of connections.
    pub hashed: bool,
    /// The program reads no more (`RCV_SHUTDOWN`).
    pub rcv_shutdown: bool,
    /// The program writes no more (`SEND_SHUTDOWN`).
    pub snd_shutdown: bool,
    /// The peer sent its FIN (`SOCK_DONE`).
    pub done: bool,
    /// What it received, and the window that it offers.
    pub rcv: RcvWindow,
    /// When it acknowledges.
    pub ack: AckState,
    /// What it has to send (`sk_write_queue`).
    pub write_queue: VecDeque<TcpSkb>,
    /// What it sent and nobody acknowledged (`tcp_rtx_queue`).
    pub rtx: RtxQueue,
    /// The sequence number behind what the program wrote (`write_seq`).
    pub write_seq: u32,
    /// A FIN is behind that.
    pub fin_queued: bool,
    /// Memory of both queues, bytes (`sk_wmem_queued`), and how much there may be (`sk_sndbuf`).
    pub wmem_queued: u32,
    /// See `wmem_queued`.
    pub sndbuf: u32,
    /// A program waits for room in it (`SOCK_NOSPACE`).
    pub nospace: bool,
    /// The program chose the send buffer (`SOCK_SNDBUF_LOCK`).
    pub sndbuf_locked: bool,
    /// Longest packet of its path, bytes (`icsk_pmtu_cookie`).
    pub mtu: u32,
    /// The greatest window that the peer offered (`max_window`).
    pub max_window: u32,
    /// It waits until what it sent has left the host (`TSQ_THROTTLED`).
    pub throttled: bool,
    /// The window of the next segment, if it is one that nothing is to be looked at (`pred_flags`).
    pub predicted: Option<u16>,
    /// When its timer expires.
    pub timer_at: Option<Nanos>,
    /// When its state ends by itself: FIN_WAIT2 of an orphan, TIME_WAIT.
    pub ends_at: Option<Nanos>,
    /// When the peer is asked whether it is there: the time, and when the timer expires (`sk_timer`).
    pub keepalive: Option<(Nanos, Nanos)>,
    /// When the last acknowledgement came in (`rcv_tstamp`, `lrcvtime`).
    pub rcv_tstamp: Nanos,
    /// The last timestamp of the peer (`ts_recent`); none without timestamps.
    pub ts_recent: Option<u32>,
    /// When it sends again.
    pub icsk: Icsk,
    /// How often anything was sent again (`total_retrans`).
    pub total_retrans: u32,
    /// What may be the reason if the peer does not answer (`sk_err_soft`).
    pub soft_error: Option<Errno>,
    /// The next identification of its packets (`inet_id`).
    pub inet_id: u16,
    /// Segments have timestamps (`tstamp_ok`).
    pub tstamp_ok: bool,
    /// Windows are scaled, its own by [`rcv_wscale`](Self::rcv_wscale).
    pub wscale_ok: bool,
    /// The shift of its own windows.
    pub rcv_wscale: u8,
    /// Its route says that acknowledgements are not delayed.
    pub quickack: bool,
    /// The shift of the peer's windows (`snd_wscale`).
    pub snd_wscale: u8,
    /// The sequence number of the segment that told the peer's window last (`snd_wl1`).
    pub snd_wl1: u32,
    /// Its own SYN counts as delivered: it connected.
    pub counts_syn: bool,
    /// The peer takes SACK.
    pub sack_ok: bool,
    /// The window that the peer offers, bytes (`snd_wnd`).
    pub snd_wnd: u32,
    /// The segment that is taken in acknowledged something new.
    pub acked: bool,
    /// An ICMP error is in the error queue, which wakes who polls (`sk_error_queue`).
    pub error_queued: bool,
    /// The peer acknowledged something: the next segment confirms the neighbour (`sk_dst_pending_confirm`).
    pub dst_pending_confirm: bool,
    /// Data that came twice, which the next acknowledgement tells (`duplicate_sack`).
    pub duplicate_sack: Option<(u32, u32)>,
    /// Where what came twice last began.
    pub duplicate_start: Option<u32>,
    /// The tick when a segment out of the window was answered last (`last_oow_ack_time`).
    pub last_oow_ack: Option<Nanos>,
    /// The generation of the routing tables that its path MTU is of.
    pub pmtu_generation: u32,
    /// Offset of its timestamps, ms (`tsoffset`).
    pub ts_offset: u32,
    /// Greatest segment that the other side takes, bytes (`mss_clamp`), and that the program asked for (`user_mss`).
    pub peer_mss: u32,
    /// See `peer_mss`.
    pub user_mss: u16,
    /// Greatest segment that the other side is asked for, bytes (`advmss`).
    pub advmss: u16,
    /// The sequence number behind the last byte that was sent.
    pub snd_nxt: u32,
    /// The sequence number behind the last small segment: another one waits until it is acknowledged (`snd_sml`).
    pub snd_sml: u32,
    /// A sequence number was sent.
    pub sent_any: bool,
    /// The last acknowledgement that came in (`snd_una`).
    pub snd_una: u32,
    /// The sequence number of its SYN.
    pub iss: u32,
    /// The last acknowledgement of the machine.
    pub last_ack: Vec<u8>,
}

/// Length of the timestamp option in each segment, bytes.
pub const TIMESTAMPS: u32 = 12;

impl TcpSock {
    /// A connection is there in the sense of `CurrEstab`.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, TcpState::Established | TcpState::CloseWait)
    }

    /// Data in a full segment, bytes (`mss_cache`).
    pub fn mss(&self) -> u32 {
        let headers = (IPV4_HLEN + TCP_HLEN) as u32 + if self.tstamp_ok { TIMESTAMPS } else { 0 };
        self.mtu.saturating_sub(headers).min(self.peer_mss.saturating_sub(headers - 40)).max(1)
    }

    /// The peer says, or says not, how large segments it takes.
    pub fn clamp_mss(&mut self, told: Option<u16>) {
        let asked = if self.user_mss > 0 { self.user_mss } else { u16::MAX };
        self.peer_mss = u32::from(told.unwrap_or(536).min(asked));
    }

    /// Bytes that a program can read at once.
    pub fn unread(&self) -> usize {
        self.rcv.queue.len()
    }

    /// What was written and not acknowledged, with SYN and FIN; a request has nothing.
    pub fn unacked(&self) -> u32 {
        if self.state == TcpState::SynRecv { 0 } else { self.write_seq.wrapping_sub(self.snd_una) }
    }

    /// The peer acknowledged its FIN.
    pub fn fin_acked(&self) -> bool {
        self.fin_queued && self.snd_una == self.write_seq
    }

    /// Numbers are agreed on, and the connection is there.
    pub fn is_synchronised(&self) -> bool {
        use TcpState::{Close, Listen, SynRecv, SynSent, TimeWait};
        !matches!(self.state, Close | Listen | SynRecv | SynSent | TimeWait)
    }

    /// A segment with the same window is the next one that is expected (`tcp_fast_path_check`).
    pub fn predict(&mut self) {
        let room = self.rcv.wnd > 0 && self.rcv.rmem_alloc < self.rcv.rcvbuf;
        let shift = if self.wscale_ok { self.snd_wscale } else { 0 };
        self.predicted = room.then_some((self.snd_wnd >> shift) as u16);
    }

    /// The send buffer is not full (`sk_stream_memory_free`).
    pub fn has_room(&self) -> bool {
        self.wmem_queued < self.sndbuf
    }

    /// The peer sends no more, and everything was read.
    pub fn at_end(&self) -> bool {
        let closed = self.machine.as_ref().is_some_and(Machine::peer_closed);
        self.rcv_shutdown || ((self.done || closed) && self.unread() == 0)
    }

    /// A call that reads would not wait.
    pub fn is_readable(&self) -> bool {
        let acceptable = self.requests.as_ref().is_some_and(|requests| !requests.accept.is_empty());
        acceptable || self.unread() > 0 || self.at_end() || self.is_over()
    }

    /// A call that writes would not wait.
    pub fn is_writable(&self) -> bool {
        // A third of the buffer is free (`sk_stream_is_writeable`).
        let worth = self.sndbuf.saturating_sub(self.wmem_queued) >= self.wmem_queued / 2 && self.has_room();
        self.is_over() || self.snd_shutdown || self.is_connected() && worth
    }

    /// There is no connection any more, or never was.
    pub fn is_over(&self) -> bool {
        matches!(self.state, TcpState::Close | TcpState::TimeWait)
    }
}

/// `a` is before `b` in sequence space.
pub fn before(a: u32, b: u32) -> bool {
    (a.wrapping_sub(b) as i32) < 0
}
