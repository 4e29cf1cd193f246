//! Per-protocol state of a connection.
//!
//! Kernel: include/uapi/linux/netfilter/nf_conntrack_tcp.h, include/net/netfilter/nf_conntrack_l4proto.h

use glassnet_sim::Nanos;

use super::Dir;

/// Tracked state of a TCP connection (`enum tcp_conntrack`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TcpState {
    /// No packet seen yet.
    #[default]
    None,
    /// SYN seen.
    SynSent,
    /// SYN/ACK seen.
    SynRecv,
    /// ACK seen: handshake complete.
    Established,
    /// FIN seen.
    FinWait,
    /// The FIN was acknowledged.
    CloseWait,
    /// FIN seen in both directions.
    LastAck,
    /// The last FIN was acknowledged.
    TimeWait,
    /// RST seen.
    Close,
    /// Simultaneous open: SYN seen in both directions.
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
/// `IP_CT_TCP_FLAG_SACK_PERM`: this side offered SACK-permitted.
pub const TCP_FLAG_SACK_PERM: u8 = 0x02;
/// `IP_CT_TCP_FLAG_CLOSE_INIT`: this side closed first.
pub const TCP_FLAG_CLOSE_INIT: u8 = 0x04;
/// `IP_CT_TCP_FLAG_BE_LIBERAL`: no window checks for this side.
pub const TCP_FLAG_BE_LIBERAL: u8 = 0x08;
/// `IP_CT_TCP_FLAG_DATA_UNACKNOWLEDGED`: this side has unacknowledged data.
pub const TCP_FLAG_DATA_UNACKNOWLEDGED: u8 = 0x10;
/// `IP_CT_TCP_FLAG_MAXACK_SET`: [`TcpSeen::maxack`] is valid.
pub const TCP_FLAG_MAXACK_SET: u8 = 0x20;
/// `IP_CT_EXP_CHALLENGE_ACK`: an RFC 5961 challenge ACK is expected.
pub const TCP_FLAG_CHALLENGE_ACK: u8 = 0x40;
/// `IP_CT_TCP_SIMULTANEOUS_OPEN`: both sides sent a SYN.
pub const TCP_FLAG_SIMULTANEOUS_OPEN: u8 = 0x80;

/// Window tracking state of one side (`struct ip_ct_tcp_state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpSeen {
    /// `td_end`: highest end of data sent.
    pub end: u32,
    /// `td_maxend`: highest sequence number allowed by the peer's window.
    pub maxend: u32,
    /// `td_maxwin`: largest window advertised, bytes; 0: nothing sent yet.
    pub maxwin: u32,
    /// `td_maxack`: highest acknowledgement sent.
    pub maxack: u32,
    /// Its window scale, bits.
    pub scale: u8,
    /// `TCP_FLAG_*`.
    pub flags: u8,
}

/// Tracked TCP connection (`struct ip_ct_tcp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpTrack {
    /// Both sides, by direction.
    pub seen: [TcpSeen; 2],
    /// The state.
    pub state: TcpState,
    /// Direction of the last packet.
    pub last_dir: u8,
    /// Retransmissions of the last packet.
    pub retrans: u8,
    /// Type of the last packet, by its flags.
    pub last_index: u8,
    /// Sequence number of the last packet.
    pub last_seq: u32,
    /// Acknowledgement number of the last packet.
    pub last_ack: u32,
    /// End sequence number of the last packet.
    pub last_end: u32,
    /// Window of the last packet, unscaled.
    pub last_win: u16,
    /// Window scale offered by a SYN in an established connection, not yet validated.
    pub last_wscale: u8,
    /// Flags offered by that SYN.
    pub last_flags: u8,
}

/// Tracked state of an SCTP association (`enum sctp_conntrack`), named by what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum SctpState {
    /// Nothing.
    #[default]
    None,
    /// INIT, or the end of the association.
    Closed,
    /// INIT ACK.
    CookieWait,
    /// COOKIE ECHO.
    CookieEchoed,
    /// COOKIE ACK: set up.
    Established,
    /// SHUTDOWN in the original direction.
    ShutdownSent,
    /// SHUTDOWN in the reply direction.
    ShutdownRecd,
    /// SHUTDOWN ACK.
    ShutdownAckSent,
    /// HEARTBEAT on a path that is not known yet.
    HeartbeatSent,
}

impl SctpState {
    /// All states.
    pub const ALL: [SctpState; 9] = [
        SctpState::None,
        SctpState::Closed,
        SctpState::CookieWait,
        SctpState::CookieEchoed,
        SctpState::Established,
        SctpState::ShutdownSent,
        SctpState::ShutdownRecd,
        SctpState::ShutdownAckSent,
        SctpState::HeartbeatSent,
    ];

    /// The name that `conntrack -L` shows.
    pub fn name(self) -> &'static str {
        match self {
            SctpState::None => "NONE",
            SctpState::Closed => "CLOSED",
            SctpState::CookieWait => "COOKIE_WAIT",
            SctpState::CookieEchoed => "COOKIE_ECHOED",
            SctpState::Established => "ESTABLISHED",
            SctpState::ShutdownSent => "SHUTDOWN_SENT",
            SctpState::ShutdownRecd => "SHUTDOWN_RECD",
            SctpState::ShutdownAckSent => "SHUTDOWN_ACK_SENT",
            SctpState::HeartbeatSent => "HEARTBEAT_SENT",
        }
    }
}

/// Tracked SCTP association (`struct ip_ct_sctp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SctpTrack {
    /// The state.
    pub state: SctpState,
    /// The verification tag that packets of each direction have; 0: not known.
    pub vtag: [u32; 2],
    /// An INIT came in this direction since the last COOKIE ACK.
    pub init: [bool; 2],
    /// The direction of a HEARTBEAT with another tag, which its answer may confirm
    /// (`SCTP_FLAG_HEARTBEAT_VTAG_FAILED`).
    pub heartbeat_failed: Option<Dir>,
}

/// Per-protocol state (`union nf_conntrack_proto`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proto {
    /// Nothing.
    None,
    /// TCP.
    Tcp(Box<TcpTrack>),
    /// SCTP.
    Sctp(Box<SctpTrack>),
    /// UDP: `stream_ts`, from when on bidirectional traffic makes it a stream.
    Udp {
        /// The time.
        stream_ts: Nanos,
    },
}
