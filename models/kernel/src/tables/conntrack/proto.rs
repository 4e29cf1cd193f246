//! What is remembered of a connection for its protocol.
//!
//! Kernel: include/uapi/linux/netfilter/nf_conntrack_tcp.h, include/net/netfilter/nf_conntrack_l4proto.h

use glassnet_sim::Nanos;

/// The state of a TCP connection as one who listens in sees it (`enum tcp_conntrack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TcpState {
    /// Nothing was seen yet.
    #[default]
    None,
    /// A SYN was seen.
    SynSent,
    /// A SYN/ACK answered.
    SynRecv,
    /// An ACK completed the handshake.
    Established,
    /// One side sent its FIN.
    FinWait,
    /// The other side acknowledged it.
    CloseWait,
    /// Both sides sent their FIN.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// It was reset.
    Close,
    /// Both sides sent a SYN.
    SynSent2,
}

impl TcpState {
    /// The name that `conntrack -L` shows.
    pub fn name(self) -> &'static str {
        match self {
            TcpState::None => "NONE",
            TcpState::SynSent => "SYN_SENT",
            TcpState::SynRecv => "SYN_RECV",
            TcpState::Established => "ESTABLISHED",
            TcpState::FinWait => "FIN_WAIT",
            TcpState::CloseWait => "CLOSE_WAIT",
            TcpState::LastAck => "LAST_ACK",
            TcpState::TimeWait => "TIME_WAIT",
            TcpState::Close => "CLOSE",
            TcpState::SynSent2 => "SYN_SENT2",
        }
    }
}

/// `IP_CT_TCP_FLAG_WINDOW_SCALE`: this side offered window scaling.
pub const TCP_FLAG_WINDOW_SCALE: u8 = 0x01;
/// `IP_CT_TCP_FLAG_SACK_PERM`: this side offered SACK.
pub const TCP_FLAG_SACK_PERM: u8 = 0x02;
/// `IP_CT_TCP_FLAG_CLOSE_INIT`: this side closed first.
pub const TCP_FLAG_CLOSE_INIT: u8 = 0x04;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`: its window is not checked.
pub const TCP_FLAG_BE_LIBERAL: u8 = 0x08;
/// `IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED`: data waits for its acknowledgement.
pub const TCP_FLAG_DATA_UNACKNOWLEDGED: u8 = 0x10;
/// `IP_CT_TCP_FLAG_MAXACK_SET`: [`TcpSeen::maxack`] counts.
pub const TCP_FLAG_MAXACK_SET: u8 = 0x20;
/// `IP_CT_EXP_CHALLENGE_ACK`: an RFC 5961 challenge ACK is expected.
pub const TCP_FLAG_CHALLENGE_ACK: u8 = 0x40;
/// `IP_CT_TCP_SIMULTANEOUS_OPEN`: both sides sent a SYN.
pub const TCP_FLAG_SIMULTANEOUS_OPEN: u8 = 0x80;

/// What was seen of one side of a TCP connection (`struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSeen {
    /// Highest sequence number after the data that it sent.
    pub end: u32,
    /// Highest sequence number that the other side's window lets it reach.
    pub maxend: u32,
    /// Its largest window, bytes; 0: it has sent nothing.
    pub maxwin: u32,
    /// Highest sequence number that it acknowledged.
    pub maxack: u32,
    /// Its window scale, bits.
    pub scale: u8,
    /// `TCP_FLAG_*`.
    pub flags: u8,
}

/// What is remembered of a TCP connection (`struct ip_ct_tcp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpTrack {
    /// By direction.
    pub seen: [TcpSeen; 2],
    /// The state.
    pub state: TcpState,
    /// Direction of the last packet.
    pub last_dir: u8,
    /// How often the last packet was sent again.
    pub retrans: u8,
    /// Kind of the last packet: which flag decided.
    pub last_index: u8,
    /// Sequence number of the last packet.
    pub last_seq: u32,
    /// Its acknowledgement.
    pub last_ack: u32,
    /// Sequence number after it.
    pub last_end: u32,
    /// Its window, unscaled.
    pub last_win: u16,
    /// Window scale that a SYN offered which was let through unproved.
    pub last_wscale: u8,
    /// Flags that it offered.
    pub last_flags: u8,
}

/// What is remembered for a protocol (`union nf_conntrack_proto`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proto {
    /// Nothing.
    None,
    /// TCP.
    Tcp(Box<TcpTrack>),
    /// UDP: from when on packets in both directions make it a stream.
    Udp {
        /// When.
        stream_ts: Nanos,
    },
}
