//! Why a packet was dropped (`enum skb_drop_reason`, include/net/dropreason.h, Linux 6.1).

macro_rules! reasons {
    ($(#[doc = $doc:literal] $name:ident = $text:literal,)*) => {
        /// Why a packet was dropped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum DropReason { $(#[doc = $doc] $name,)* }

        impl DropReason {
            /// The kernel's name, without `SKB_DROP_REASON_`.
            pub fn name(self) -> &'static str {
                match self { $(DropReason::$name => $text,)* }
            }

            /// One-sentence description.
            pub fn meaning(self) -> &'static str {
                match self { $(DropReason::$name => $doc.trim_ascii(),)* }
            }
        }
    };
}

reasons! {
    /// `NOT_SPECIFIED`: this drop site gives no reason.
    NotSpecified = "NOT_SPECIFIED",
    /// No listening socket.
    NoSocket = "NO_SOCKET",
    /// Packet too short for its header or its length field.
    PktTooSmall = "PKT_TOO_SMALL",
    /// TCP checksum error.
    TcpCsum = "TCP_CSUM",
    /// TCP flags invalid in the socket's state.
    TcpFlags = "TCP_FLAGS",
    /// A RST for which the socket is not connected or out of sequence.
    TcpReset = "TCP_RESET",
    /// The socket is closed.
    TcpClose = "TCP_CLOSE",
    /// Dropped by a socket filter.
    SocketFilter = "SOCKET_FILTER",
    /// UDP checksum error.
    UdpCsum = "UDP_CSUM",
    /// NF_DROP verdict.
    NetfilterDrop = "NETFILTER_DROP",
    /// The frame is addressed to another host.
    OtherHost = "OTHERHOST",
    /// IPv4 header checksum error.
    IpCsum = "IP_CSUM",
    /// IPv4 header error.
    IpInhdr = "IP_INHDR",
    /// Reverse path filter (`rp_filter`).
    IpRpfilter = "IP_RPFILTER",
    /// Unicast IPv4 address in a link-layer multicast or broadcast frame (RFC 1122).
    UnicastInL2Multicast = "UNICAST_IN_L2_MULTICAST",
    /// No handler for this IP protocol.
    IpNoproto = "IP_NOPROTO",
    /// The socket's receive buffer is full.
    SocketRcvbuff = "SOCKET_RCVBUFF",
    /// No output route.
    IpOutnoroutes = "IP_OUTNOROUTES",
    /// Neighbour entry allocation failed.
    NeighCreatefail = "NEIGH_CREATEFAIL",
    /// Neighbour resolution failed.
    NeighFailed = "NEIGH_FAILED",
    /// The neighbour's queue is full.
    NeighQueuefull = "NEIGH_QUEUEFULL",
    /// The neighbour entry is dead.
    NeighDead = "NEIGH_DEAD",
    /// Dropped by a queueing discipline.
    QdiscDrop = "QDISC_DROP",
    /// The CPU's backlog is full (`netdev_max_backlog`).
    CpuBacklog = "CPU_BACKLOG",
    /// No handler for this ethertype.
    UnhandledProto = "UNHANDLED_PROTO",
    /// The headers do not fit in the packet.
    HdrTrunc = "HDR_TRUNC",
    /// The device is not ready: down, or without a peer.
    DevReady = "DEV_READY",
    /// The receive ring is full.
    FullRing = "FULL_RING",
    /// Out of memory.
    Nomem = "NOMEM",
    /// ICMP checksum error.
    IcmpCsum = "ICMP_CSUM",
    /// Invalid protocol.
    InvalidProto = "INVALID_PROTO",
    /// Invalid source or destination address.
    IpInaddrerrors = "IP_INADDRERRORS",
    /// No input route.
    IpInnoroutes = "IP_INNOROUTES",
    /// Packet exceeds the MTU.
    PktTooBig = "PKT_TOO_BIG",
    /// Duplicate fragment.
    DupFrag = "DUP_FRAG",
    /// Reassembly timeout.
    FragReasmTimeout = "FRAG_REASM_TIMEOUT",
    /// Fragment too far from the others (`ipfrag_max_dist`).
    FragTooFar = "FRAG_TOO_FAR",
}
