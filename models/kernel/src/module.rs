//! What a module brings: the shape of a row (`module_init`, include/linux/module.h).
//!
//! Each feature states in its own file what it adds to the kernel, as a `pub static MODULE: Module`; the top room
//! ([`crate::modules`]) lists the rows. Lower rooms reach them through [`crate::Kernel::modules`] and know only this
//! shape, so none of them names a feature.

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::Ipv4Hdr;

use crate::action::TcActionOps;
use crate::filter::TcfProtoOps;
use crate::hook::Verdict;
use crate::ids::{DevId, NetnsId, SkbId};
use crate::link::LinkOps;
use crate::netlink::NlError;
use crate::qdisc::QdiscOps;
use crate::sysctl::SysctlTable;
use crate::tables::conntrack::extend::CtHelper;
use crate::tables::conntrack::{CtId, CtInfo, Expect};
use crate::tables::gro::{GroVerdict, Segment};
use crate::tables::skb::PacketType;
use crate::{Cx, Kernel};

/// A device event (`NETDEV_*`, include/linux/netdevice.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NetdevEvent {
    /// Registered, or moved into this namespace.
    Register,
    /// Unregistered, or moved out of this namespace.
    Unregister,
    /// Set up.
    Up,
    /// About to be set down.
    GoingDown,
    /// Set down.
    Down,
    /// Carrier or flags changed while up.
    Change {
        /// `IFF_*` that changed (`flags_changed`).
        flags: u32,
    },
    /// Renamed.
    ChangeName,
    /// MTU changed.
    ChangeMtu {
        /// What it was, bytes (`orig_mtu`).
        old: u32,
    },
    /// Address changed.
    ChangeAddr,
    /// Features changed.
    FeatChange,
    /// It came under an L3 master, or left it.
    ChangeUpper,
    /// Its neighbours are to learn of it again.
    NotifyPeers,
}

/// An event of an address (`inetaddr_chain`, net/ipv4/devinet.c).
#[derive(Clone, Copy, Debug)]
pub enum InetaddrEvent {
    /// A device got it.
    Up(Ipv4Addr),
    /// It lost it.
    Down(Ipv4Addr),
}

/// Refuses an address that a device is to get, or does not.
pub type InetaddrValidator = fn(&Kernel, DevId, Ipv4Addr) -> Result<(), NlError>;

/// Is shown a packet that a device receives or sends; true if somebody took it.
pub type Tap = fn(&mut Cx, SkbId, DevId, PacketType) -> bool;

/// Takes a received packet, which also goes to its protocol if that is true; returns what is left for it.
pub type Receive = fn(&mut Cx, SkbId, bool) -> Option<SkbId>;

/// Is told of an ICMP error: the packet that brought it, the header that it quotes, and its type, code and rest; true if it was about
/// a packet of its own.
pub type ErrHandler = fn(&mut Cx, SkbId, &Ipv4Hdr, (u8, u8, u32)) -> bool;

/// How a protocol merges its packets (`struct packet_offload`), and takes them together (`struct packet_type`).
#[derive(Debug)]
pub struct PacketOffload {
    /// Its Ethertype.
    pub protocol: u16,
    /// Looks for the held packet that one continues (`gro_receive`).
    pub gro_receive: fn(&mut Cx, SkbId) -> GroVerdict,
    /// Writes the headers of a merged packet (`gro_complete`).
    pub gro_complete: fn(&mut Cx, SkbId),
    /// Writes the headers of a segment that a merged packet is cut into (`gso_segment`).
    pub gso_segment: fn(&mut Cx, SkbId, Segment),
    /// Takes packets that one device received (`list_func`); the list is empty afterwards.
    pub list_rcv: fn(&mut Cx, &mut Vec<SkbId>),
}

/// A helper of connection tracking with its functions (`struct nf_conntrack_helper`).
#[derive(Debug)]
pub struct HelperOps {
    /// The helper.
    pub helper: &'static CtHelper,
    /// Reads a packet; `usize` is the offset of the IPv4 payload in its data. What it says holds for the packet.
    pub help: fn(&mut Cx, SkbId, usize, CtId, CtInfo) -> Verdict,
    /// Chooses the addresses of an expected connection, if its master has NAT (`expectfn`).
    pub expectfn: fn(&mut Cx, CtId, &Expect),
}

/// A part of the kernel.
#[derive(Debug)]
pub struct Module {
    /// The name that `modprobe` knows, with underscores: that of a module, or of one that is built in (`modules.builtin` of
    /// Debian's 6.1). `None`: a part of the kernel proper, which is in neither list.
    pub name: Option<&'static str>,
    /// The matches of iptables that it has.
    pub matches: &'static [&'static str],
    /// The targets of iptables that it has.
    pub targets: &'static [&'static str],
    /// Its helpers of connection tracking (`nf_conntrack_helpers_register`).
    pub helpers: &'static [&'static HelperOps],
    /// Its directories of settings (`register_net_sysctl`).
    pub sysctls: &'static [&'static SysctlTable],
    /// What loading it does; `None`: it is part of the kernel from the start.
    pub init: Option<fn(&mut Cx)>,
    /// It is loaded when somebody asks a device of this name to make another (`MODULE_ALIAS_NETDEV`).
    pub netdevs: &'static [&'static str],
    /// Kinds of devices (`rtnl_link_register`).
    pub links: &'static [&'static LinkOps],
    /// Queueing disciplines (`register_qdisc`).
    pub qdiscs: &'static [&'static QdiscOps],
    /// Classifiers (`register_tcf_proto_ops`).
    pub classifiers: &'static [&'static TcfProtoOps],
    /// Actions of filters (`tcf_register_action`).
    pub actions: &'static [&'static TcActionOps],
    /// It is told of every change to a device (`register_netdevice_notifier`).
    pub netdevice_event: Option<fn(&mut Cx, DevId, NetdevEvent)>,
    /// It may refuse an address that a device is to get (`register_inetaddr_validator_notifier`).
    pub inetaddr_validator: Option<InetaddrValidator>,
    /// It is told of every address that a device gets or loses (`register_inetaddr_notifier`).
    pub inetaddr_event: Option<fn(&mut Cx, DevId, InetaddrEvent)>,
    /// It sees every packet that a device receives or sends (`dev_add_pack` with `ETH_P_ALL`); `PacketType::Outgoing` is
    /// one that leaves. True if somebody took it. Asked only while packet sockets are open.
    pub tap: Option<Tap>,
    /// How it merges and cuts the packets of a protocol (`dev_add_offload`).
    pub offload: Option<&'static PacketOffload>,
    /// It takes received packets of some protocols (`dev_add_pack`). Asked only while packet sockets are open.
    pub receive: Option<Receive>,
    /// It is told of every ICMP error (`err_handler` of `inet_add_protocol`), and looks whether that is about its protocol.
    pub err_handler: Option<ErrHandler>,
    /// A namespace begins (`pernet_operations::init`).
    pub net_init: Option<fn(&mut Cx, NetnsId)>,
    /// A socket that waited until what it sent left the host goes on; by its handle (`tcp_tasklet`).
    pub go_on: Option<fn(&mut Cx, u32)>,
    /// It lets go what it has in a namespace that ends, after the namespace's devices went (`pernet_operations::exit`).
    pub net_exit: Option<fn(&mut Cx, NetnsId)>,
}

impl Module {
    /// The base of the row of a part that `modprobe` does not know.
    pub const UNNAMED: Module = Module {
        name: None,
        matches: &[],
        targets: &[],
        helpers: &[],
        sysctls: &[],
        init: None,
        netdevs: &[],
        links: &[],
        qdiscs: &[],
        classifiers: &[],
        actions: &[],
        netdevice_event: None,
        inetaddr_validator: None,
        inetaddr_event: None,
        tap: None,
        offload: None,
        receive: None,
        err_handler: None,
        net_init: None,
        go_on: None,
        net_exit: None,
    };

    /// A module of which only the name is known yet: the base of a row, or the whole row where other parts of the
    /// model do its work.
    pub const fn named(name: &'static str) -> Module {
        Module { name: Some(name), ..Module::UNNAMED }
    }
}
