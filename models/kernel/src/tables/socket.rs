//! Sockets: what programs send to and receive from.
//!
//! Kernel: include/net/sock.h, net/packet/af_packet.c

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::arphrd::Arphrd;
use super::inet_hashtables::InetHashinfo;
use super::route::SkDst;
use super::skb::PacketType;
use super::tcp_sock::TcpSock;
use super::vlan_tag::VlanTag;
use crate::encap::UdpTunnelSockCfg;
use crate::ids::{DevId, NetnsId, SkbId, SocketId};
use crate::netlink::Errno;

/// What a socket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SockKind {
    /// `socket(AF_INET, SOCK_RAW, protocol)`.
    Raw {
        /// IP protocol.
        protocol: u8,
    },
    /// `socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP)`: echo requests without privileges.
    Ping,
    /// `socket(AF_INET, SOCK_DGRAM, 0)`.
    Udp,
    /// `socket(AF_INET, SOCK_STREAM, 0)`.
    Tcp,
    /// `socket(AF_PACKET, …, protocol)`: frames.
    Packet {
        /// Ethertype; `ETH_P_ALL` takes every frame, both ways.
        protocol: u16,
        /// `SOCK_DGRAM`: without the Ethernet header.
        cooked: bool,
    },
}

/// Options of a socket (`setsockopt`).
#[derive(Clone, Debug)]
pub struct SockOpts {
    /// `IP_TTL`, hops; `None`: the namespace's default.
    pub ttl: Option<u8>,
    /// `IP_TOS`.
    pub tos: u8,
    /// `IP_MTU_DISCOVER`.
    pub pmtudisc: PmtuDisc,
    /// `SO_BROADCAST`.
    pub broadcast: bool,
    /// `IP_HDRINCL`: the program writes the IPv4 header.
    pub hdrincl: bool,
    /// `IP_RECVERR`: errors are queued.
    pub recverr: bool,
    /// `IP_MULTICAST_TTL`, hops.
    pub mcast_ttl: u8,
    /// `IP_MULTICAST_LOOP`.
    pub mcast_loop: bool,
    /// `IP_MULTICAST_IF`, ifindex.
    pub mcast_ifindex: u32,
    /// `SO_DONTROUTE`: the destination must be on the link.
    pub dontroute: bool,
    /// `SO_MARK`.
    pub mark: u32,
    /// `SO_BINDTODEVICE`, ifindex; 0: any.
    pub bound_dev_if: u32,
    /// `ICMP_FILTER`: a bit for each ICMP type that is not wanted.
    pub icmp_filter: u32,
    /// Receive buffer, bytes (`sk_rcvbuf`).
    pub rcvbuf: u32,
    /// Send buffer, bytes (`sk_sndbuf`).
    pub sndbuf: u32,
    /// The program chose its receive buffer (`SOCK_RCVBUF_LOCK`), or its send buffer (`SOCK_SNDBUF_LOCK`).
    pub rcvbuf_locked: bool,
    /// See `rcvbuf_locked`.
    pub sndbuf_locked: bool,
    /// `SO_REUSEADDR`.
    pub reuseaddr: bool,
    /// `SO_REUSEPORT`.
    pub reuseport: bool,
    /// `TCP_MAXSEG`, bytes; 0: as the path has it.
    pub maxseg: u16,
    /// `TCP_NODELAY`.
    pub nodelay: bool,
    /// `SO_KEEPALIVE`.
    pub keepalive: Option<Keepalive>,
    /// `SO_TXREHASH`: the hash of the flow is drawn anew when packets seem to be lost.
    pub txrehash: bool,
}

/// How a connection asks whether its silent peer is still there; 0: as the namespace's settings say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keepalive {
    /// `TCP_KEEPIDLE`: after how long a silence, seconds.
    pub idle: u32,
    /// `TCP_KEEPINTVL`: how long an answer may take, seconds.
    pub intvl: u32,
}

/// `IP_MTU_DISCOVER` (include/uapi/linux/in.h).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PmtuDisc {
    /// Never set "do not fragment".
    Dont,
    /// Set it where the route says so.
    #[default]
    Want,
    /// Always set it.
    Do,
    /// Set it, and ignore what was learned of the path.
    Probe,
}

/// What a socket does with the room that a packet leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Freed {
    /// A program waits for it.
    pub wakes: bool,
    /// Its connection waited until what it sent left the host.
    pub goes_on: bool,
}

/// What sockets have by default and may ask for, bytes (`SK_WMEM_MAX`, `SK_RMEM_MAX`).
pub const SK_MEM_DEFAULT: u32 = 212_992;

impl Default for SockOpts {
    fn default() -> Self {
        SockOpts {
            ttl: None,
            tos: 0,
            pmtudisc: PmtuDisc::default(),
            broadcast: false,
            hdrincl: false,
            recverr: false,
            mcast_ttl: 1,
            mcast_loop: true,
            mcast_ifindex: 0,
            dontroute: false,
            mark: 0,
            bound_dev_if: 0,
            icmp_filter: 0,
            rcvbuf: SK_MEM_DEFAULT,
            sndbuf: SK_MEM_DEFAULT,
            rcvbuf_locked: false,
            sndbuf_locked: false,
            reuseaddr: false,
            reuseport: false,
            maxseg: 0,
            nodelay: false,
            keepalive: None,
            txrehash: true,
        }
    }
}

/// A packet in a socket's receive queue, which holds it until it is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The packet; its data begins where this kind of socket shows it from.
    pub skb: SkbId,
    /// When it was taken in.
    pub at: Nanos,
    /// Where it came in (or went out, for a tap).
    pub ifindex: u32,
    /// What kind of link that is.
    pub arphrd: Arphrd,
    /// Who the frame is for; for a tap, whether it goes out.
    pub pkt_type: PacketType,
}

/// What `recvmsg` returns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// When the packet was taken in.
    pub at: Nanos,
    /// The bytes, from the header on that this kind of socket shows.
    pub data: Vec<u8>,
    /// Source address and port; `0.0.0.0` and 0 for packet sockets.
    pub from: (Ipv4Addr, u16),
    /// Destination address.
    pub to: Ipv4Addr,
    /// Where it came in (or went out, for a tap).
    pub ifindex: u32,
    /// What kind of link that is (`sll_hatype`).
    pub arphrd: Arphrd,
    /// Bytes of a link header at the beginning of `data` (packet sockets).
    pub link_len: usize,
    /// TTL of its header.
    pub ttl: u8,
    /// Who the frame is for.
    pub pkt_type: PacketType,
    /// Ethertype.
    pub protocol: u16,
    /// The VLAN tag that stood beside the packet (`PACKET_AUXDATA`).
    pub vlan_tag: Option<VlanTag>,
    /// Source address of the frame (packet sockets).
    pub mac: Mac,
}

/// An error that a packet of this socket met (`struct sock_extended_err`, `MSG_ERRQUEUE`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SockError {
    /// When it came.
    pub at: Nanos,
    /// The error.
    pub errno: Errno,
    /// An ICMP message brought it; otherwise this host found it.
    pub from_icmp: bool,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// Path MTU in bytes, where the error tells it.
    pub info: u32,
    /// Who sent the ICMP message (`SO_EE_OFFENDER`).
    pub offender: Ipv4Addr,
    /// Where the packet went.
    pub to: (Ipv4Addr, u16),
    /// The packet that met the error, from the header on that this kind of socket shows.
    pub data: Vec<u8>,
    /// TTL of the ICMP message's header.
    pub ttl: u8,
}

/// A socket.
#[derive(Debug)]
pub struct Socket {
    /// Its handle.
    pub id: SocketId,
    /// What it speaks.
    pub kind: SockKind,
    /// Its namespace.
    pub netns: NetnsId,
    /// Address and port that it is bound to; `0.0.0.0` and 0: any.
    pub local: (Ipv4Addr, u16),
    /// Address and port that it is connected to.
    pub remote: Option<(Ipv4Addr, u16)>,
    /// Its options.
    pub opts: SockOpts,
    /// The route to where it is connected.
    pub dst: Option<SkDst>,
    /// Packet sockets: the device that it is bound to; 0: all.
    pub ifindex: u32,
    /// What came in and was not read.
    pub receive_queue: VecDeque<Queued>,
    /// Memory that the queue takes, bytes (`sk_rmem_alloc`).
    pub rmem_alloc: u32,
    /// Memory of the packets that it sent and that were not freed yet, bytes (`sk_wmem_alloc`).
    pub wmem_alloc: u32,
    /// A program waits for room in the send buffer, or did once (`SOCK_NOSPACE`).
    pub nospace: bool,
    /// Errors that were not read.
    pub error_queue: VecDeque<SockError>,
    /// The error that the next call returns (`SO_ERROR`).
    pub error: Option<Errno>,
    /// Packet sockets: the device that it keeps in promiscuous mode.
    pub promisc: Option<DevId>,
    /// Packets taken, for `PACKET_STATISTICS`.
    pub packets: u32,
    /// Packets dropped because the queue was full.
    pub drops: u32,
    /// TCP sockets: the connection or the listener.
    pub tcp: Option<Box<TcpSock>>,
    /// The program that holds it; none once it is closed.
    pub owner: Option<Owner>,
    /// Hash of the flow that it receives, if that is known (`sk_rxhash`).
    pub rxhash: u32,
    /// Hash of the flow that it sends, which it drew when it was connected; 0: none (`sk_txhash`).
    pub txhash: u32,
    /// The kernel's socket of a tunnel over UDP: what the tunnel does with its datagrams.
    pub tunnel: Option<&'static UdpTunnelSockCfg>,
}

impl Socket {
    /// There is room for what is worth waking a program (`sock_writeable`): half of the send buffer is free.
    pub fn is_writeable(&self) -> bool {
        self.wmem_alloc + 1 < self.opts.sndbuf / 2
    }
}

/// The program that holds a socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// The number of the descriptor.
    pub fd: u32,
}

/// All sockets of a machine.
#[derive(Debug, Default)]
pub struct Sockets {
    slots: Vec<Option<Socket>>,
    /// Memory of packets of closed sockets that were not freed yet, bytes: until then a socket's handle is no other's.
    closed: BTreeMap<SocketId, u32>,
    /// Places of `slots` that the next sockets get.
    free: BTreeSet<SocketId>,
    /// Other sockets than TCP's by what packets find them by: their port, or nothing but their kind.
    hashed: BTreeMap<(NetnsId, SockKind, u16), Vec<SocketId>>,
    /// Where TCP sockets are found.
    pub tcp_hashinfo: InetHashinfo,
    /// There was a tunnel's socket: datagrams that come in one poll are looked at (`udp_encap_needed_key`).
    pub udp_encap_needed: bool,
}

impl Sockets {
    /// Opens a socket.
    pub fn open(&mut self, kind: SockKind, netns: NetnsId) -> SocketId {
        let id = self.free.pop_first().unwrap_or(SocketId(self.slots.len() as u32));
        let socket = Socket {
            id,
            kind,
            netns,
            local: (Ipv4Addr::UNSPECIFIED, 0),
            remote: None,
            opts: SockOpts::default(),
            dst: None,
            ifindex: 0,
            receive_queue: VecDeque::new(),
            rmem_alloc: 0,
            wmem_alloc: 0,
            nospace: false,
            error_queue: VecDeque::new(),
            error: None,
            promisc: None,
            packets: 0,
            drops: 0,
            tcp: (kind == SockKind::Tcp).then(Box::default),
            owner: None,
            rxhash: 0,
            txhash: 0,
            tunnel: None,
        };
        if id.index() == self.slots.len() {
            self.slots.push(None);
        }
        self.slots[id.index()] = Some(socket);
        self.hash((netns, kind, 0), id);
        id
    }

    /// Binds a socket other than TCP's to an address and a port, by which packets find it from now on (`sk_prot->hash`).
    pub fn bind(&mut self, id: SocketId, local: (Ipv4Addr, u16)) {
        let Some(socket) = self.slots.get_mut(id.index()).and_then(Option::as_mut) else { return };
        let (netns, kind, before) = (socket.netns, socket.kind, std::mem::replace(&mut socket.local, local));
        self.unhash((netns, kind, before.1), id);
        self.hash((netns, kind, local.1), id);
    }

    fn hash(&mut self, key: (NetnsId, SockKind, u16), id: SocketId) {
        let ids = self.hashed.entry(key).or_default();
        ids.insert(ids.partition_point(|other| *other < id), id);
    }

    fn unhash(&mut self, key: (NetnsId, SockKind, u16), id: SocketId) {
        if let Some(ids) = self.hashed.get_mut(&key) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.hashed.remove(&key);
            }
        }
    }

    /// The sockets of a kind of a namespace that are bound to a port, in the order of their handles; 0: to none.
    pub fn bound(&self, netns: NetnsId, kind: SockKind, port: u16) -> impl Iterator<Item = &Socket> {
        self.hashed.get(&(netns, kind, port)).into_iter().flatten().filter_map(|id| self.get(*id))
    }

    /// Closes a socket and returns what was left of it.
    pub fn close(&mut self, id: SocketId) -> Option<Socket> {
        let socket = self.slots.get_mut(id.index())?.take()?;
        let port = if socket.kind == SockKind::Tcp { 0 } else { socket.local.1 };
        self.unhash((socket.netns, socket.kind, port), id);
        if socket.wmem_alloc > 0 {
            self.closed.insert(id, socket.wmem_alloc);
        } else {
            self.free.insert(id);
        }
        Some(socket)
    }

    /// A packet of `truesize` bytes of this socket was freed (`sock_wfree`).
    pub fn wfree(&mut self, id: SocketId, truesize: u32) -> Freed {
        if let Some(left) = self.closed.get_mut(&id) {
            *left -= truesize;
            if *left == 0 {
                self.closed.remove(&id);
                self.free.insert(id);
            }
            return Freed::default();
        }
        let Some(socket) = self.get_mut(id) else { return Freed::default() };
        socket.wmem_alloc -= truesize;
        Freed {
            wakes: socket.nospace && socket.is_writeable(),
            goes_on: socket.tcp.as_deref_mut().is_some_and(|tp| std::mem::take(&mut tp.throttled)),
        }
    }

    /// The socket, if it is open.
    pub fn get(&self, id: SocketId) -> Option<&Socket> {
        self.slots.get(id.index())?.as_ref()
    }

    /// The socket, if it is open, to change it.
    pub fn get_mut(&mut self, id: SocketId) -> Option<&mut Socket> {
        self.slots.get_mut(id.index())?.as_mut()
    }

    /// All open sockets, in the order of their handles.
    pub fn iter(&self) -> impl Iterator<Item = &Socket> {
        self.slots.iter().flatten()
    }
}
