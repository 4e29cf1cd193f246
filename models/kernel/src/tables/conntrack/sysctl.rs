//! Conntrack sysctls of a namespace: `/proc/sys/net/netfilter/nf_conntrack_*`.
//!
//! Kernel: net/netfilter/nf_conntrack_standalone.c

/// A sysctl, named as its file without `nf_conntrack_`. Timeouts are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
#[allow(missing_docs, reason = "the names are those of Documentation/networking/nf_conntrack-sysctl.rst")]
pub enum CtSysctl {
    Acct,
    Checksum,
    Events,
    GenericTimeout,
    IcmpTimeout,
    SctpTimeoutClosed,
    SctpTimeoutCookieEchoed,
    SctpTimeoutCookieWait,
    SctpTimeoutEstablished,
    SctpTimeoutHeartbeatSent,
    SctpTimeoutShutdownAckSent,
    SctpTimeoutShutdownRecd,
    SctpTimeoutShutdownSent,
    TcpBeLiberal,
    TcpIgnoreInvalidRst,
    TcpLoose,
    TcpMaxRetrans,
    TcpTimeoutClose,
    TcpTimeoutCloseWait,
    TcpTimeoutEstablished,
    TcpTimeoutFinWait,
    TcpTimeoutLastAck,
    TcpTimeoutMaxRetrans,
    TcpTimeoutSynRecv,
    TcpTimeoutSynSent,
    TcpTimeoutTimeWait,
    TcpTimeoutUnacknowledged,
    Timestamp,
    UdpTimeout,
    UdpTimeoutStream,
}

/// Number of sysctls.
pub const CT_SYSCTL_COUNT: usize = CtSysctl::UdpTimeoutStream as usize + 1;

/// The largest timeout, seconds: what fits in jiffies at HZ=250 as an int.
const TIMEOUT: i64 = (i32::MAX / 250) as i64;

/// Every sysctl: file below `/proc/sys/net/netfilter`, default, maximum; the minimum is 0, for timeouts the
/// negated maximum.
pub const CT_SYSCTL_TABLE: [(CtSysctl, &str, i64, i64); CT_SYSCTL_COUNT] = {
    use CtSysctl as S;
    [
        (S::Acct, "nf_conntrack_acct", 0, 1),
        (S::Checksum, "nf_conntrack_checksum", 1, 1),
        (S::Events, "nf_conntrack_events", 2, 2),
        (S::GenericTimeout, "nf_conntrack_generic_timeout", 600, TIMEOUT),
        (S::IcmpTimeout, "nf_conntrack_icmp_timeout", 30, TIMEOUT),
        (S::SctpTimeoutClosed, "nf_conntrack_sctp_timeout_closed", 10, TIMEOUT),
        (S::SctpTimeoutCookieEchoed, "nf_conntrack_sctp_timeout_cookie_echoed", 3, TIMEOUT),
        (S::SctpTimeoutCookieWait, "nf_conntrack_sctp_timeout_cookie_wait", 3, TIMEOUT),
        (S::SctpTimeoutEstablished, "nf_conntrack_sctp_timeout_established", 210, TIMEOUT),
        (S::SctpTimeoutHeartbeatSent, "nf_conntrack_sctp_timeout_heartbeat_sent", 30, TIMEOUT),
        (S::SctpTimeoutShutdownAckSent, "nf_conntrack_sctp_timeout_shutdown_ack_sent", 3, TIMEOUT),
        (S::SctpTimeoutShutdownRecd, "nf_conntrack_sctp_timeout_shutdown_recd", 3, TIMEOUT),
        (S::SctpTimeoutShutdownSent, "nf_conntrack_sctp_timeout_shutdown_sent", 3, TIMEOUT),
        (S::TcpBeLiberal, "nf_conntrack_tcp_be_liberal", 0, 1),
        (S::TcpIgnoreInvalidRst, "nf_conntrack_tcp_ignore_invalid_rst", 0, 1),
        (S::TcpLoose, "nf_conntrack_tcp_loose", 1, 1),
        (S::TcpMaxRetrans, "nf_conntrack_tcp_max_retrans", 3, 255),
        (S::TcpTimeoutClose, "nf_conntrack_tcp_timeout_close", 10, TIMEOUT),
        (S::TcpTimeoutCloseWait, "nf_conntrack_tcp_timeout_close_wait", 60, TIMEOUT),
        (S::TcpTimeoutEstablished, "nf_conntrack_tcp_timeout_established", 432_000, TIMEOUT),
        (S::TcpTimeoutFinWait, "nf_conntrack_tcp_timeout_fin_wait", 120, TIMEOUT),
        (S::TcpTimeoutLastAck, "nf_conntrack_tcp_timeout_last_ack", 30, TIMEOUT),
        (S::TcpTimeoutMaxRetrans, "nf_conntrack_tcp_timeout_max_retrans", 300, TIMEOUT),
        (S::TcpTimeoutSynRecv, "nf_conntrack_tcp_timeout_syn_recv", 60, TIMEOUT),
        (S::TcpTimeoutSynSent, "nf_conntrack_tcp_timeout_syn_sent", 120, TIMEOUT),
        (S::TcpTimeoutTimeWait, "nf_conntrack_tcp_timeout_time_wait", 120, TIMEOUT),
        (S::TcpTimeoutUnacknowledged, "nf_conntrack_tcp_timeout_unacknowledged", 300, TIMEOUT),
        (S::Timestamp, "nf_conntrack_timestamp", 0, 1),
        (S::UdpTimeout, "nf_conntrack_udp_timeout", 30, TIMEOUT),
        (S::UdpTimeoutStream, "nf_conntrack_udp_timeout_stream", 120, TIMEOUT),
    ]
};

/// The minimum for this maximum. A timeout may be negative, which means expired at once.
pub const fn least(max: i64) -> i64 {
    if max == TIMEOUT { -TIMEOUT } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_enum() {
        for (at, entry) in CT_SYSCTL_TABLE.iter().enumerate() {
            assert_eq!(entry.0 as usize, at, "{}", entry.1);
        }
    }
}
