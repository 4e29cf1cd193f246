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

            /// What it means, in a sentence.
            pub fn meaning(self) -> &'static str {
                match self { $(DropReason::$name => $doc.trim_ascii(),)* }
            }
        }
    };
}

reasons! {
    /// The kernel gives no reason at this place.
    NotSpecified = "NOT_SPECIFIED",
    /// No socket listens.
    NoSocket = "NO_SOCKET",
    /// Shorter than its header says, or than a header.
    PktTooSmall = "PKT_TOO_SMALL",
    /// Wrong TCP checksum.
    TcpCsum = "TCP_CSUM",
    /// The flags of the segment make no sense in the socket's state.
    TcpFlags = "TCP_FLAGS",
    /// A RST that ends nothing.
    TcpReset = "TCP_RESET",
    /// Everything in the segment was received before.
    TcpOldData = "TCP_OLD_DATA",
    /// The segment is outside the window.
    TcpInvalidSequence = "TCP_INVALID_SEQUENCE",
    /// The connection is closed already.
    TcpClose = "TCP_CLOSE",
    /// A socket's filter refused it.
    SocketFilter = "SOCKET_FILTER",
    /// Wrong UDP checksum.
    UdpCsum = "UDP_CSUM",
    /// Netfilter said drop.
    NetfilterDrop = "NETFILTER_DROP",
    /// The frame is for another host.
    OtherHost = "OTHERHOST",
    /// Wrong IPv4 header checksum.
    IpCsum = "IP_CSUM",
    /// Malformed IPv4 header.
    IpInhdr = "IP_INHDR",
    /// Refused by `rp_filter`.
    IpRpfilter = "IP_RPFILTER",
    /// A unicast address in a multicast or broadcast frame (RFC 1122).
    UnicastInL2Multicast = "UNICAST_IN_L2_MULTICAST",
    /// Nobody handles this IP protocol.
    IpNoproto = "IP_NOPROTO",
    /// The socket's receive buffer is full.
    SocketRcvbuff = "SOCKET_RCVBUFF",
    /// No route out.
    IpOutnoroutes = "IP_OUTNOROUTES",
    /// The neighbour entry could not be made.
    NeighCreatefail = "NEIGH_CREATEFAIL",
    /// The neighbour did not answer.
    NeighFailed = "NEIGH_FAILED",
    /// Too many packets wait for the neighbour.
    NeighQueuefull = "NEIGH_QUEUEFULL",
    /// The neighbour entry is going away.
    NeighDead = "NEIGH_DEAD",
    /// A filter of what comes in dropped it.
    TcIngress = "TC_INGRESS",
    /// A filter of what goes out dropped it.
    TcEgress = "TC_EGRESS",
    /// A queueing discipline dropped it.
    QdiscDrop = "QDISC_DROP",
    /// The CPU's backlog is full (`netdev_max_backlog`).
    CpuBacklog = "CPU_BACKLOG",
    /// Nobody handles this ethertype.
    UnhandledProto = "UNHANDLED_PROTO",
    /// The headers do not fit in the packet.
    HdrTrunc = "HDR_TRUNC",
    /// The device cannot send: down, or without a peer.
    DevReady = "DEV_READY",
    /// The receive ring is full.
    FullRing = "FULL_RING",
    /// No memory.
    Nomem = "NOMEM",
    /// Wrong ICMP checksum.
    IcmpCsum = "ICMP_CSUM",
    /// Not a valid protocol.
    InvalidProto = "INVALID_PROTO",
    /// Bad source or destination address.
    IpInaddrerrors = "IP_INADDRERRORS",
    /// No route in.
    IpInnoroutes = "IP_INNOROUTES",
    /// Larger than the MTU.
    PktTooBig = "PKT_TOO_BIG",
    /// Duplicate fragment.
    DupFrag = "DUP_FRAG",
    /// Fragments did not all come in time.
    FragReasmTimeout = "FRAG_REASM_TIMEOUT",
    /// Fragments from too far apart.
    FragTooFar = "FRAG_TOO_FAR",
}
