//! SNMP counters of a namespace: `/proc/net/snmp` and `/proc/net/netstat`.
//!
//! Kernel: include/uapi/linux/snmp.h, net/ipv4/proc.c

use std::collections::BTreeMap;

macro_rules! counters {
    ($(#[$doc:meta])* $name:ident { $($field:ident),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[allow(missing_docs, reason = "the fields have the kernel's names, which say what they count")]
        pub struct $name { $(pub $field: u64),* }

        impl $name {
            /// Names and values, in the kernel's order.
            pub fn entries(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($field), self.$field)),*].into_iter()
            }
        }
    };
}

counters!(
    /// Counters of IPv4 in packets: the `Ip:` lines, after Forwarding and DefaultTTL.
    #[allow(non_snake_case)]
    IpMib {
        InReceives, InHdrErrors, InAddrErrors, ForwDatagrams, InUnknownProtos, InDiscards, InDelivers,
        OutRequests, OutDiscards, OutNoRoutes, ReasmTimeout, ReasmReqds, ReasmOKs, ReasmFails, FragOKs,
        FragFails, FragCreates,
    }
);

counters!(
    /// Counters of ICMP in messages: the `Icmp:` lines without those of each type.
    #[allow(non_snake_case)]
    IcmpMib { InMsgs, InErrors, InCsumErrors, OutMsgs, OutErrors, OutRateLimitGlobal, OutRateLimitHost }
);

counters!(
    /// Counters of UDP in datagrams: the `Udp:` lines.
    #[allow(non_snake_case)]
    UdpMib {
        InDatagrams, NoPorts, InErrors, OutDatagrams, RcvbufErrors, SndbufErrors, InCsumErrors, IgnoredMulti,
        MemErrors,
    }
);

counters!(
    /// Counters of TCP in segments and connections: the `Tcp:` lines without `CurrEstab`, which is counted when read.
    #[allow(non_snake_case)]
    TcpMib {
        ActiveOpens, PassiveOpens, AttemptFails, EstabResets, InSegs, OutSegs, RetransSegs, InErrs, OutRsts,
        InCsumErrors,
    }
);

counters!(
    /// Modelled TCP counters of the `TcpExt:` lines.
    #[allow(non_snake_case)]
    TcpExtMib {
        EmbryonicRsts, TW, TWKilled, DelayedACKs, ListenOverflows, ListenDrops, TCPTimeouts, TCPLossProbes,
        TCPAbortOnData, TCPAbortOnClose, TCPAbortOnTimeout, TCPSynRetrans, TCPWinProbe, TCPKeepAlive,
        TcpTimeoutRehash, TcpDuplicateDataRehash, TCPHPAcks, TCPPureAcks, TCPOrigDataSent, TCPDelivered, TCPAutoCorking, TCPSackRecovery,
        TCPFastRetrans, TCPSlowStartRetrans, TCPHystartTrainDetect, TCPHystartTrainCwnd, TCPHystartDelayDetect,
        TCPHystartDelayCwnd, TCPACKSkippedSynRecv, TCPACKSkippedTimeWait, TCPACKSkippedChallenge, TCPChallengeACK,
        TCPRetransFail, SyncookiesSent, SyncookiesRecv, SyncookiesFailed, TCPReqQFullDoCookies, TCPReqQFullDrop,
    }
);

counters!(
    /// Counters of IPv4 in packets and octets: the `IpExt:` lines.
    #[allow(non_snake_case)]
    IpExtMib {
        InNoRoutes, InTruncatedPkts, InMcastPkts, OutMcastPkts, InBcastPkts, OutBcastPkts, InOctets,
        OutOctets, InMcastOctets, OutMcastOctets, InBcastOctets, OutBcastOctets, InCsumErrors, InNoECTPkts,
        InECT1Pkts, InECT0Pkts, InCEPkts, ReasmOverlaps,
    }
);

/// All counters of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snmp {
    /// `Ip:`.
    pub ip: IpMib,
    /// `IpExt:` of /proc/net/netstat.
    pub ip_ext: IpExtMib,
    /// `Icmp:`.
    pub icmp: IcmpMib,
    /// `IcmpMsg: InType…`, by type.
    pub icmp_in: BTreeMap<u8, u64>,
    /// `IcmpMsg: OutType…`, by type.
    pub icmp_out: BTreeMap<u8, u64>,
    /// `Udp:`.
    pub udp: UdpMib,
    /// `Tcp:`.
    pub tcp: TcpMib,
    /// `TcpExt:` of /proc/net/netstat.
    pub tcp_ext: TcpExtMib,
    /// `IPReversePathFilter` of `TcpExt:` in /proc/net/netstat.
    pub ip_reverse_path_filter: u64,
    /// `ArpFilter` of `TcpExt:`.
    pub arp_filter: u64,
}
