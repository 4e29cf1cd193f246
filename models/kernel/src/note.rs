//! What a function found or decided, for whoever looks that closely: typed, without words.
//!
//! Devices, chains and sets are named, for they may be gone or have another name when somebody reads the note.

use std::fmt;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use crate::action::TcAct;
use crate::netlink::Errno;
use crate::tables::conntrack::{CtInfo, Tuple, proto};
use crate::tables::neigh_types::Nud;
use crate::tables::netfilter::{Hook, Pf};
use crate::tables::tcp_sock::TcpState;
use crate::tables::xt::TableName;

/// A remark about a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A packet is offered to the functions of a hook.
    Hook(HookNote),
    /// A rule was tried, or the end of a chain was reached.
    Rule(RuleNote),
    /// What `nft monitor trace` tells of a packet that a `TRACE` rule marked: a rule that matched, or a policy.
    NftTrace(RuleNote),
    /// `LOG` wrote a line.
    Log {
        /// It is in the kernel's log; otherwise only here, as `nf_log_all_netns` is 0.
        heard: bool,
        /// The line.
        line: String,
    },
    /// `NFLOG` sent a packet to a group to which no program listens.
    Nflog {
        /// The group.
        group: u16,
        /// The rule's prefix; empty: none.
        prefix: String,
    },
    /// `AUDIT` wrote a record.
    Audit {
        /// The packet's mark; 0: none.
        mark: u32,
        /// Source.
        saddr: Ipv4Addr,
        /// Destination.
        daddr: Ipv4Addr,
        /// IP protocol.
        proto: u8,
    },
    /// An IP set was asked.
    Set {
        /// Its name.
        name: String,
        /// It has an entry for the packet.
        found: bool,
    },
    /// Connection tracking.
    Conntrack(ConntrackNote),
    /// NAT decided about one end of a connection.
    Nat(NatNote),
    /// IPVS found where a packet of a client goes.
    Ipvs(IpvsNote),
    /// `MASQUERADE` found no address on the device by which the packet leaves.
    NoAddress {
        /// The device.
        dev: String,
    },
    /// A bridge took a frame.
    Bridge {
        /// The bridge.
        name: String,
    },
    /// A bridge floods a frame.
    Flood {
        /// The ports that get it.
        ports: Vec<String>,
        /// The bridge itself gets it too.
        local: bool,
    },
    /// A bridge that filters VLANs dropped a frame.
    Vlan(VlanNote),
    /// The bridge's table of stations.
    Fdb(FdbNote),
    /// A datapath of Open vSwitch looked for a packet's flow.
    Ovs(OvsNote),
    /// Filters and actions of tc.
    Tc(TcNote),
    /// A device packs a frame, or a packet, into a datagram.
    Tunnel(TunnelNote),
    /// The neighbour of a packet that waits or uses an unconfirmed entry; `None`: it is gone.
    Neigh(Option<(Ipv4Addr, Nud)>),
    /// A neighbour was heard of.
    NeighUpdate {
        /// Its IPv4 address.
        ip: Ipv4Addr,
        /// Its MAC address.
        lladdr: Mac,
        /// The state that its entry gets.
        state: Nud,
    },
    /// The routing tables were asked.
    Fib(Result<FibNote, Errno>),
    /// The socket of a TCP segment; `None`: there is none.
    Socket(Option<SocketNote>),
    /// No ICMP error is sent: `icmp_msgs_per_sec` is reached.
    IcmpGlobalLimit,
    /// No ICMP error is sent: `icmp_ratelimit` for its receiver is reached.
    IcmpPeerLimit,
    /// A SYN is ignored: the listener's queue is full.
    ListenOverflow,
}

/// What a filter of tc, or one of its actions, says of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcNote {
    /// The filter matches.
    Filter {
        /// Its classifier.
        kind: &'static str,
        /// Its priority.
        prio: u16,
        /// Its chain.
        chain: u32,
        /// Its handle.
        handle: u32,
    },
    /// The action was done.
    Action {
        /// Its kind.
        kind: &'static str,
        /// Its index.
        index: u32,
        /// What it says.
        said: TcAct,
    },
}

/// Why a bridge that filters VLANs drops a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VlanNote {
    /// It has no tag, and there is no VLAN for such frames.
    NoPvid {
        /// The port, or the bridge itself.
        dev: String,
    },
    /// Where it came in is not in its VLAN.
    NotIn {
        /// The port, or the bridge itself.
        dev: String,
        /// The VLAN.
        vid: u16,
    },
}

/// What a datapath of Open vSwitch found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OvsNote {
    /// A flow.
    Flow {
        /// Masks that were tried.
        masks: u32,
        /// The cache had the right one.
        cached: bool,
        /// The ports that it sends to; none: it drops.
        ports: Vec<String>,
    },
    /// None.
    Miss {
        /// Masks that were tried.
        masks: u32,
    },
}

/// Kinds of tunnels over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpTunnel {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
    /// Foo over UDP, with packets of this IP protocol in it.
    Fou(u8),
    /// Generic UDP Encapsulation.
    Gue,
}

/// A frame or a packet in a tunnel over UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TunnelNote {
    /// Which of them.
    pub kind: UdpTunnel,
    /// The number of its network, where there are several.
    pub vni: Option<u32>,
    /// The other end of the tunnel.
    pub to: Ipv4Addr,
    /// The port there.
    pub port: u16,
}

/// A packet at a hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookNote {
    /// The family.
    pub pf: Pf,
    /// The hook.
    pub hook: Hook,
    /// The device that it came in by; empty: none.
    pub input: String,
    /// The device that it leaves by; empty: none.
    pub output: String,
    /// The port that it came into the bridge by, if a bridge offers it to a hook of IPv4.
    pub physin: Option<String>,
    /// The port that it leaves the bridge by, if a bridge offers it to a hook of IPv4.
    pub physout: Option<String>,
}

/// A packet at a rule, or at the end of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNote {
    /// The table.
    pub table: TableName,
    /// The chain.
    pub chain: String,
    /// What became of the packet.
    pub what: AtRule,
}

/// What became of a packet at a rule, or at the end of a chain. Rules are numbered from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtRule {
    /// The rule does not match.
    NoMatch {
        /// Its number.
        rule: usize,
        /// What does not fit.
        part: Part,
    },
    /// The rule matches.
    Match {
        /// Its number.
        rule: usize,
        /// What it did.
        outcome: Outcome,
    },
    /// A match found the packet malformed (`hotdrop`).
    Broken {
        /// The rule's number.
        rule: usize,
        /// The match.
        part: Part,
    },
    /// The end of a user-defined chain.
    Return,
    /// The policy of a built-in chain decided.
    Policy(Outcome),
}

/// A part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// An option that every rule has: `-s`, `-d`, `-i`, `-o`, `-p`, `-f`.
    Option(&'static str),
    /// A match, by its name.
    Match(&'static str),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Part::Option(option) => f.write_str(option),
            Part::Match(name) => write!(f, "-m {name}"),
        }
    }
}

/// What a rule did; it is written as `nft monitor trace` writes a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The table accepts the packet.
    Accept,
    /// The packet is dropped.
    Drop,
    /// Back to the chain before.
    Return,
    /// The next rule is tried.
    Continue,
    /// Into another chain, and back behind this rule.
    Jump(String),
    /// Into another chain, and back to where this one was called from.
    Goto(String),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Outcome::Accept => f.write_str("accept"),
            Outcome::Drop => f.write_str("drop"),
            Outcome::Return => f.write_str("return"),
            Outcome::Continue => f.write_str("continue"),
            Outcome::Jump(chain) => write!(f, "jump {chain}"),
            Outcome::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

/// What connection tracking made of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConntrackNote {
    /// It belongs to a connection; `None` instead of the connection: that is gone already.
    Found(CtInfo, Option<ConnNote>),
    /// It belongs to none: ctstate INVALID.
    Invalid,
    /// Its connection was entered in the table.
    Entered(Option<ConnNote>),
    /// An ICMP error that goes to another address than the packet that it quotes came from.
    ErrorAstray {
        /// Where it goes.
        to: Ipv4Addr,
        /// Where the quoted packet came from.
        expected: Ipv4Addr,
    },
}

/// A connection as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnNote {
    /// Both directions.
    pub tuples: [Tuple; 2],
    /// How long it lives if nothing comes.
    pub left: Nanos,
    /// The state of a TCP connection.
    pub tcp: Option<proto::TcpState>,
    /// An answer was seen.
    pub seen_reply: bool,
    /// It is not dropped early (`[ASSURED]`).
    pub assured: bool,
    /// Its mark.
    pub mark: u32,
    /// Its zone; 0: the default.
    pub zone: u16,
}

/// What NAT decided about one end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NatNote {
    /// It is the source; otherwise the destination.
    pub source: bool,
    /// Address and, for protocols that have one, port or identifier before.
    pub old: (Ipv4Addr, Option<u16>),
    /// The same after.
    pub new: (Ipv4Addr, Option<u16>),
}

/// Where IPVS sends a packet of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpvsNote {
    /// Protocol, and the address and port that the client knows.
    pub service: (u8, Ipv4Addr, u16),
    /// Address and port of the destination; `None`: no destination takes it.
    pub dest: Option<(Ipv4Addr, u16)>,
    /// Who chose it.
    pub by: IpvsChooser,
}

/// Who chose a destination of IPVS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpvsChooser {
    /// The packet's connection has it.
    Connection,
    /// An earlier connection of the client: the service is persistent.
    Template,
    /// The scheduler of this name.
    Scheduler(&'static str),
}

/// What a bridge's table of stations said, or learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FdbNote {
    /// The sender was not known: it is behind this port.
    Learned(Mac, String),
    /// The sender was behind another port: it is behind this one.
    Moved(Mac, String),
    /// The sender is known to be behind this port.
    Known(Mac, String),
    /// The receiver is behind this port.
    Found(Mac, String),
    /// The receiver is this host.
    Local(Mac),
    /// The receiver is not known.
    Unknown(Mac),
}

/// A route that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FibNote {
    /// Its destination.
    pub prefix: Ipv4Addr,
    /// Length of that, bits.
    pub len: u8,
    /// The next hop; `0.0.0.0`: the destination is on the link.
    pub gateway: Ipv4Addr,
    /// The table that it is in.
    pub table: u32,
}

/// A TCP socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SocketNote {
    /// Its own address and port; `0.0.0.0`: any address.
    pub local: (Ipv4Addr, u16),
    /// Its state, and address and port of the other end; `None`: it listens.
    pub connected: Option<(TcpState, (Ipv4Addr, u16))>,
}
