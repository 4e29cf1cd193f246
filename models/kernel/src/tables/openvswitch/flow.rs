//! What a datapath reads in a packet, masks over it, and what a flow does.
//!
//! Kernel: net/openvswitch/flow.h

use std::net::Ipv4Addr;
use std::ops::{Index, IndexMut};
use std::sync::Arc;

use glassnet_sim::Nanos;

use crate::tables::ip_tunnel::{IpTunnelInfo, IpTunnelKey};

/// A field of [`SwFlowKey`]. The order is that of `ovs-vswitchd`'s lookups: where a packet comes from, link layer, network layer,
/// transport layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(usize)]
pub enum KeyField {
    /// The number of the tunnel's network that the packet came through; 0 with all of the tunnel: it came through none.
    TunId,
    /// Source of the tunnel's outer header.
    TunSrc,
    /// Destination of the outer header.
    TunDst,
    /// Type of service of the outer header.
    TunTos,
    /// Time to live of the outer header.
    TunTtl,
    /// `TUNNEL_*` of the outer header.
    TunFlags,
    /// Source port of the outer header.
    TunTpSrc,
    /// Destination port of the outer header.
    TunTpDst,
    /// The port that the packet came in by.
    InPort,
    /// Source of the frame.
    EthSrc,
    /// Destination of the frame.
    EthDst,
    /// VLAN tag, with [`VLAN_CFI`] if there is one.
    VlanTci,
    /// Ethertype, behind the tag.
    EthType,
    /// Source of IPv4; the sender's address of ARP.
    Ipv4Src,
    /// Destination of IPv4; the address that ARP asks for.
    Ipv4Dst,
    /// Type of service.
    IpTos,
    /// Time to live.
    IpTtl,
    /// [`FRAG_NONE`], [`FRAG_FIRST`] or [`FRAG_LATER`].
    IpFrag,
    /// IP protocol; the operation of ARP.
    IpProto,
    /// The sender's hardware address of ARP.
    ArpSha,
    /// The hardware address that ARP asks for.
    ArpTha,
    /// Source port; type of ICMP.
    TpSrc,
    /// Destination port; code of ICMP.
    TpDst,
    /// Flags of TCP.
    TcpFlags,
}

/// How many fields there are.
pub const KEY_FIELDS: usize = KeyField::TcpFlags as usize + 1;

/// In [`KeyField::VlanTci`]: there is a tag (`VLAN_CFI_MASK`).
pub const VLAN_CFI: u64 = 0x1000;
/// Not a fragment (`OVS_FRAG_TYPE_NONE`).
pub const FRAG_NONE: u64 = 0;
/// The first fragment.
pub const FRAG_FIRST: u64 = 1;
/// A later fragment.
pub const FRAG_LATER: u64 = 2;

impl KeyField {
    /// All, in order.
    pub const ALL: [KeyField; KEY_FIELDS] = [
        KeyField::TunId,
        KeyField::TunSrc,
        KeyField::TunDst,
        KeyField::TunTos,
        KeyField::TunTtl,
        KeyField::TunFlags,
        KeyField::TunTpSrc,
        KeyField::TunTpDst,
        KeyField::InPort,
        KeyField::EthSrc,
        KeyField::EthDst,
        KeyField::VlanTci,
        KeyField::EthType,
        KeyField::Ipv4Src,
        KeyField::Ipv4Dst,
        KeyField::IpTos,
        KeyField::IpTtl,
        KeyField::IpFrag,
        KeyField::IpProto,
        KeyField::ArpSha,
        KeyField::ArpTha,
        KeyField::TpSrc,
        KeyField::TpDst,
        KeyField::TcpFlags,
    ];

    /// All bits of the field.
    pub const fn full(self) -> u64 {
        match self {
            KeyField::TunId => u64::MAX,
            KeyField::InPort
            | KeyField::Ipv4Src
            | KeyField::Ipv4Dst
            | KeyField::TunSrc
            | KeyField::TunDst => 0xffff_ffff,
            KeyField::EthSrc | KeyField::EthDst | KeyField::ArpSha | KeyField::ArpTha => 0xffff_ffff_ffff,
            KeyField::VlanTci
            | KeyField::EthType
            | KeyField::TpSrc
            | KeyField::TpDst
            | KeyField::TunFlags
            | KeyField::TunTpSrc
            | KeyField::TunTpDst => 0xffff,
            KeyField::IpTos | KeyField::IpTtl | KeyField::IpProto | KeyField::TunTos | KeyField::TunTtl => {
                0xff
            }
            KeyField::IpFrag => 0x3,
            KeyField::TcpFlags => 0xfff,
        }
    }
}

/// What a datapath reads in a packet (`struct sw_flow_key`), or a mask over it; a field that a packet does not have is 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SwFlowKey([u64; KEY_FIELDS]);

impl Index<KeyField> for SwFlowKey {
    type Output = u64;
    fn index(&self, field: KeyField) -> &u64 {
        &self.0[field as usize]
    }
}

impl IndexMut<KeyField> for SwFlowKey {
    fn index_mut(&mut self, field: KeyField) -> &mut u64 {
        &mut self.0[field as usize]
    }
}

impl SwFlowKey {
    /// The bits that are also in a mask (`ovs_flow_mask_key`).
    pub fn masked(&self, mask: &SwFlowKey) -> SwFlowKey {
        let mut key = *self;
        key.0.iter_mut().zip(mask.0).for_each(|(value, mask)| *value &= mask);
        key
    }

    /// The bits of two masks.
    pub fn union(&self, other: &SwFlowKey) -> SwFlowKey {
        let mut key = *self;
        key.0.iter_mut().zip(other.0).for_each(|(value, more)| *value |= more);
        key
    }

    /// It is IPv4.
    pub fn is_ipv4(&self) -> bool {
        self[KeyField::EthType] == 0x0800
    }

    /// What the outer headers of its tunnel say (`ipv4_tun_key`).
    pub fn tunnel(&self) -> IpTunnelKey {
        let address = |field: KeyField| Ipv4Addr::from(self[field] as u32);
        IpTunnelKey {
            tun_id: self[KeyField::TunId],
            src: address(KeyField::TunSrc),
            dst: address(KeyField::TunDst),
            tun_flags: self[KeyField::TunFlags] as u16,
            tos: self[KeyField::TunTos] as u8,
            ttl: self[KeyField::TunTtl] as u8,
            tp_src: self[KeyField::TunTpSrc] as u16,
            tp_dst: self[KeyField::TunTpDst] as u16,
        }
    }

    /// It came through a tunnel whose outer headers say this.
    pub fn set_tunnel(&mut self, key: &IpTunnelKey) {
        self[KeyField::TunId] = key.tun_id;
        self[KeyField::TunSrc] = u64::from(key.src.to_bits());
        self[KeyField::TunDst] = u64::from(key.dst.to_bits());
        self[KeyField::TunFlags] = u64::from(key.tun_flags);
        self[KeyField::TunTos] = u64::from(key.tos);
        self[KeyField::TunTtl] = u64::from(key.ttl);
        self[KeyField::TunTpSrc] = u64::from(key.tp_src);
        self[KeyField::TunTpDst] = u64::from(key.tp_dst);
    }

    /// It is ARP.
    pub fn is_arp(&self) -> bool {
        self[KeyField::EthType] == 0x0806
    }
}

/// What a flow does with a packet (`OVS_ACTION_ATTR_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowAction {
    /// Sends it to a port.
    Output(u32),
    /// Hands it to the daemon.
    Userspace,
    /// Takes its VLAN tag off.
    PopVlan,
    /// Gives it a VLAN tag: Ethertype, and priority and VLAN.
    PushVlan(u16, u16),
    /// Tells the tunnel's device that it is sent to next what to write into the outer headers (`OVS_KEY_ATTR_TUNNEL_INFO`).
    SetTunnel(Arc<IpTunnelInfo>),
    /// Writes fields, as far as the mask says (`OVS_ACTION_ATTR_SET_MASKED`).
    Set {
        /// The values.
        key: Box<SwFlowKey>,
        /// Which bits are written.
        mask: Box<SwFlowKey>,
    },
}

/// The actions of a flow, in turn; none: it is dropped.
pub type FlowActions = Arc<[FlowAction]>;

/// Counters of a flow (`struct sw_flow_stats`).
#[derive(Clone, Copy, Debug, Default)]
pub struct FlowStats {
    /// Packets.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one came; `None`: there was none.
    pub used: Option<Nanos>,
    /// All flags of TCP that they had.
    pub tcp_flags: u64,
}

/// A flow (`struct sw_flow`).
#[derive(Clone, Debug)]
pub struct SwFlow {
    /// What packets have in common, under the mask.
    pub key: SwFlowKey,
    /// Which bits count.
    pub mask: SwFlowKey,
    /// What is done with them.
    pub actions: FlowActions,
    /// Counters.
    pub stats: FlowStats,
}
