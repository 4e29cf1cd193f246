//! Tunnels over IPv4 as a namespace knows them (`struct ip_tunnel`, `struct ip_tunnel_net`, include/net/ip_tunnels.h).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use glassnet_sim::Nanos;
use glassnet_wire::eth::ETH_HLEN;
use glassnet_wire::gre::gre_calc_hlen;
use glassnet_wire::gue::GUE_HLEN;
use glassnet_wire::ipv4::IPV4_HLEN;
use glassnet_wire::udp::UDP_HLEN;

use super::route::{DstCache, KeptRoute};
use crate::ids::{CpuId, DevId, NetnsId};

/// The outer header has a checksum (a bit of [`IpTunnelKey::tun_flags`]).
pub const TUNNEL_CSUM: u16 = 0x0001;
/// The outer header has the number of a network.
pub const TUNNEL_KEY: u16 = 0x0004;
/// The outer header numbers packets.
pub const TUNNEL_SEQ: u16 = 0x0008;
/// Outer packets are not to be fragmented.
pub const TUNNEL_DONT_FRAGMENT: u16 = 0x0100;
/// The packet is of the tunnel's own management.
pub const TUNNEL_OAM: u16 = 0x0200;
/// An option must be understood.
pub const TUNNEL_CRIT_OPT: u16 = 0x0400;

/// What stands in the outer headers (`struct ip_tunnel_key`); 0 where it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpTunnelKey {
    /// The number of the network.
    pub tun_id: u64,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// `TUNNEL_*`.
    pub tun_flags: u16,
    /// TOS.
    pub tos: u8,
    /// TTL.
    pub ttl: u8,
    /// Source port.
    pub tp_src: u16,
    /// Destination port.
    pub tp_dst: u16,
}

impl Default for IpTunnelKey {
    fn default() -> Self {
        let (src, dst) = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        IpTunnelKey { tun_id: 0, src, dst, tun_flags: 0, tos: 0, ttl: 0, tp_src: 0, tp_dst: 0 }
    }
}

impl IpTunnelKey {
    /// The number of the network as VXLAN and Geneve have it, 24 bits.
    pub fn vni(&self) -> u32 {
        self.tun_id as u32 & 0xff_ffff
    }
}

/// What a packet carries of outer headers: those that it came with, or those that it is to get (`struct ip_tunnel_info`).
#[derive(Debug)]
pub struct IpTunnelInfo {
    /// What stands there.
    pub key: IpTunnelKey,
    /// A tunnel's device is to write it (`IP_TUNNEL_INFO_TX`).
    pub is_tx: bool,
    /// The last route to the other end.
    dst_cache: Mutex<DstCache>,
}

impl IpTunnelInfo {
    /// What a packet came with.
    pub fn received(key: IpTunnelKey) -> IpTunnelInfo {
        IpTunnelInfo { key, is_tx: false, dst_cache: Mutex::default() }
    }

    /// What packets are to get.
    pub fn to_send(key: IpTunnelKey) -> IpTunnelInfo {
        IpTunnelInfo { is_tx: true, ..IpTunnelInfo::received(key) }
    }

    /// For the answer to a packet (`iptunnel_metadata_reply`); `None`: it did not come through a tunnel.
    pub fn metadata_reply(&self) -> Option<Arc<IpTunnelInfo>> {
        let IpTunnelKey { tun_id, src, tun_flags, .. } = self.key;
        let key = IpTunnelKey { tun_id, dst: src, tun_flags, ..IpTunnelKey::default() };
        (!self.is_tx).then(|| Arc::new(IpTunnelInfo::to_send(key)))
    }

    /// For an error that the other end is taken to have sent, to an own address.
    pub fn turned(&self, own: Ipv4Addr) -> IpTunnelInfo {
        let key = IpTunnelKey { src: self.key.dst, dst: own, ..self.key };
        IpTunnelInfo { is_tx: self.is_tx, ..IpTunnelInfo::received(key) }
    }

    /// The route that a CPU keeps (`dst_cache_get_ip4`).
    pub fn dst_cache_get(&self, cpu: CpuId) -> Option<KeptRoute> {
        self.dst_cache.lock().map_or(None, |cache| cache.get(cpu))
    }

    /// It keeps this from now on (`dst_cache_set_ip4`).
    pub fn dst_cache_set(&self, cpu: CpuId, kept: Option<KeptRoute>) {
        if let Ok(mut cache) = self.dst_cache.lock() {
            cache.set(cpu, kept);
        }
    }
}

impl PartialEq for IpTunnelInfo {
    fn eq(&self, other: &IpTunnelInfo) -> bool {
        (self.key, self.is_tx) == (other.key, other.is_tx)
    }
}

impl Eq for IpTunnelInfo {}

/// The outer header's "do not fragment" (`IFLA_VXLAN_DF`, `IFLA_GENEVE_DF`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TunnelDf {
    /// Never.
    #[default]
    Unset,
    /// Always.
    Set,
    /// As in the packet inside.
    Inherit,
}

impl TunnelDf {
    /// All, by their words.
    pub const ALL: [(TunnelDf, &'static str); 3] =
        [(TunnelDf::Unset, "unset"), (TunnelDf::Set, "set"), (TunnelDf::Inherit, "inherit")];
}

/// Kinds of tunnels, which do not see each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunnelKind {
    /// `ipip`.
    Ipip,
    /// `gre`.
    Ipgre,
    /// `gretap`.
    GreTap,
}

/// How a tunnel is set (`struct ip_tunnel_parm`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpTunnelParm {
    /// The ifindex of the device that outer packets leave by; 0: any.
    pub link: u32,
    /// The outer source; unspecified: that of the route.
    pub saddr: Ipv4Addr,
    /// The other end; unspecified: the next hop of what goes in.
    pub daddr: Ipv4Addr,
    /// What may be inside (`IPPROTO_*`); 0: anything.
    pub protocol: u8,
    /// The outer TTL; 0: the inner one.
    pub ttl: u8,
    /// The outer TOS; with its lowest bit, the inner one of an IPv4 packet.
    pub tos: u8,
    /// Outer packets have DF, so that the path's MTU is learnt (`frag_off`).
    pub df: bool,
    /// What packets that come in must have (`GRE_*`).
    pub i_flags: u16,
    /// What packets that go out have.
    pub o_flags: u16,
    /// The key of packets that come in.
    pub i_key: u32,
    /// The key of packets that go out.
    pub o_key: u32,
}

impl Default for IpTunnelParm {
    fn default() -> Self {
        IpTunnelParm {
            link: 0,
            saddr: Ipv4Addr::UNSPECIFIED,
            daddr: Ipv4Addr::UNSPECIFIED,
            protocol: 0,
            ttl: 0,
            tos: 0,
            df: false,
            i_flags: 0,
            o_flags: 0,
            i_key: 0,
            o_key: 0,
        }
    }
}

/// How a tunnel's packets go in UDP (`struct ip_tunnel_encap`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IpTunnelEncap {
    /// Whether they do.
    pub kind: EncapType,
    /// The source port; 0: by the flow.
    pub sport: u16,
    /// The destination port.
    pub dport: u16,
    /// With a checksum of the outer datagram (`TUNNEL_ENCAP_FLAG_CSUM`).
    pub csum: bool,
    /// The same over IPv6 (`TUNNEL_ENCAP_FLAG_CSUM6`).
    pub csum6: bool,
    /// The receiver computes the checksum of the datagram or segment inside (`TUNNEL_ENCAP_FLAG_REMCSUM`).
    pub remcsum: bool,
}

impl IpTunnelEncap {
    /// Bytes that packets have in front of them so that they go in UDP (`ip_encap_hlen`).
    pub fn hlen(&self) -> usize {
        match self.kind {
            EncapType::None => 0,
            EncapType::Fou => UDP_HLEN,
            EncapType::Gue => UDP_HLEN + GUE_HLEN,
        }
    }
}

/// What is between UDP and a tunnel's packet (`enum tunnel_encap_types`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EncapType {
    /// They do not go in UDP.
    #[default]
    None,
    /// Nothing: foo over UDP.
    Fou,
    /// The header of GUE.
    Gue,
}

/// What only a tunnel's device has.
#[derive(Clone, Debug)]
pub struct IpTunnel {
    /// Its kind.
    pub kind: TunnelKind,
    /// The namespace of its outer packets.
    pub net: NetnsId,
    /// How it is set.
    pub parms: IpTunnelParm,
    /// The mark that outer packets are routed by.
    pub fwmark: u32,
    /// How its packets go in UDP.
    pub encap: IpTunnelEncap,
    /// Outer packets may be fragmented even where that inside may not (`ignore_df`).
    pub ignore_df: bool,
    /// The route to the other end.
    pub dst_cache: DstCache,
    /// The least number that a packet that comes in may have.
    pub i_seqno: u32,
    /// The number of the next packet that goes out.
    pub o_seqno: u32,
    /// ICMP errors that came, of which senders are still to be told.
    pub err_count: u32,
    /// When the last one came.
    pub err_time: Nanos,
    /// Packets say themselves where they go.
    pub collect_md: bool,
}

impl IpTunnel {
    /// Of a device that is not set yet.
    pub fn new(kind: TunnelKind, net: NetnsId) -> IpTunnel {
        let parms = IpTunnelParm::default();
        IpTunnel {
            kind,
            net,
            parms,
            fwmark: 0,
            encap: IpTunnelEncap::default(),
            ignore_df: false,
            dst_cache: DstCache::default(),
            i_seqno: 0,
            o_seqno: 0,
            err_count: 0,
            err_time: Nanos::ZERO,
            collect_md: false,
        }
    }

    /// Bytes between the outer header and what goes in (`hlen`).
    fn hlen(&self) -> u32 {
        let own = match self.kind {
            TunnelKind::Ipip => 0,
            TunnelKind::Ipgre | TunnelKind::GreTap => gre_calc_hlen(self.parms.o_flags),
        };
        (own + self.encap.hlen()) as u32
    }

    /// Bytes that a tunnel puts in front of a packet of IP, with the header of a frame.
    pub fn t_hlen(&self) -> u32 {
        let frame = if self.kind == TunnelKind::GreTap { ETH_HLEN } else { 0 };
        (IPV4_HLEN + frame) as u32 + self.hlen()
    }
}

/// The tunnels of one kind in a namespace.
#[derive(Debug, Default)]
pub struct IpTunnelNet {
    /// Those that have an address at the other end, by that, and the others by an unspecified one; the newest first.
    tunnels: BTreeMap<Ipv4Addr, Vec<DevId>>,
    /// The device that takes what is for no tunnel.
    pub fb_tunnel_dev: Option<DevId>,
    /// The device whose packets say themselves where they go.
    pub collect_md_tun: Option<DevId>,
}

/// Where a tunnel with this other end is found: groups are with those that have none (`ip_bucket`).
fn bucket(daddr: Ipv4Addr) -> Ipv4Addr {
    if daddr.is_multicast() { Ipv4Addr::UNSPECIFIED } else { daddr }
}

impl IpTunnelNet {
    /// Enters a tunnel (`ip_tunnel_add`).
    pub fn add(&mut self, dev: DevId, daddr: Ipv4Addr) {
        self.tunnels.entry(bucket(daddr)).or_default().insert(0, dev);
    }

    /// Takes it out (`ip_tunnel_del`).
    pub fn del(&mut self, dev: DevId, daddr: Ipv4Addr) {
        let Some(tunnels) = self.tunnels.get_mut(&bucket(daddr)) else { return };
        tunnels.retain(|other| *other != dev);
        if tunnels.is_empty() {
            self.tunnels.remove(&bucket(daddr));
        }
    }

    /// The tunnels that may have this other end.
    pub fn bucket(&self, daddr: Ipv4Addr) -> &[DevId] {
        self.tunnels.get(&bucket(daddr)).map_or(&[], Vec::as_slice)
    }

    /// All of them.
    pub fn all(&self) -> Vec<DevId> {
        self.tunnels.values().flatten().copied().chain(self.fb_tunnel_dev).collect()
    }
}

/// The tunnels of a namespace.
#[derive(Debug, Default)]
pub struct IpTunnelNets(BTreeMap<TunnelKind, IpTunnelNet>);

impl IpTunnelNets {
    /// Those of a kind, if there were any.
    pub fn get(&self, kind: TunnelKind) -> Option<&IpTunnelNet> {
        self.0.get(&kind)
    }

    /// Those of a kind.
    pub fn get_mut(&mut self, kind: TunnelKind) -> &mut IpTunnelNet {
        self.0.entry(kind).or_default()
    }
}
