//! VXLAN: a device, its forwarding database, and the sockets of a namespace.
//!
//! Kernel: include/net/vxlan.h, drivers/net/vxlan/vxlan_private.h

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

use super::eth_hash::eth_hash;
use super::fast_hash::FastHasher;
use super::ip_tunnel::TunnelDf;
use super::neigh_types::Nud;
use super::route::DstCache;
use crate::ids::{DevId, NetnsId, SocketId};

/// How a device is set (`struct vxlan_config`).
#[derive(Clone, Debug)]
pub struct VxlanConfig {
    /// The number of its network.
    pub vni: u32,
    /// Where frames go whose station is not known: another end, or a group; `0.0.0.0`: nowhere.
    pub remote_ip: Ipv4Addr,
    /// The outer source; `0.0.0.0`: the route's.
    pub saddr: Ipv4Addr,
    /// The device that what goes to `remote_ip` leaves by, by its ifindex; 0: the route's.
    pub remote_ifindex: u32,
    /// The port that it listens on and sends to.
    pub dst_port: u16,
    /// The ports that it sends from; both 0: those of the namespace for any use.
    pub port_range: (u16, u16),
    /// The outer TOS; 1: as inside.
    pub tos: u8,
    /// The outer TTL; 0: the route's.
    pub ttl: u8,
    /// The outer TTL is that inside.
    pub ttl_inherit: bool,
    /// The outer "do not fragment".
    pub df: TunnelDf,
    /// Learns where stations are.
    pub learn: bool,
    /// Answers ARP requests for neighbours that it knows, and sends no others (`VXLAN_F_PROXY`).
    pub proxy: bool,
    /// Sends packets to a router's station right to the station of their destination (`VXLAN_F_RSC`).
    pub rsc: bool,
    /// Asks programs for stations that it does not know (`VXLAN_F_L2MISS`).
    pub l2miss: bool,
    /// The same for the stations of addresses (`VXLAN_F_L3MISS`).
    pub l3miss: bool,
    /// Packets say themselves where they go and what network they are of (`VXLAN_F_COLLECT_METADATA`).
    pub collect_md: bool,
    /// Takes datagrams of IPv6 without a checksum, of which there are none here.
    pub udp_zero_csum6_rx: bool,
    /// Computes the outer checksum.
    pub udp_csum: bool,
    /// How long a learned station is kept without use, s.
    pub age_interval: u32,
    /// How many entries there may be; 0: any number.
    pub addrmax: u32,
}

impl Default for VxlanConfig {
    fn default() -> Self {
        VxlanConfig {
            vni: 0,
            remote_ip: Ipv4Addr::UNSPECIFIED,
            saddr: Ipv4Addr::UNSPECIFIED,
            remote_ifindex: 0,
            dst_port: 0,
            port_range: (0, 0),
            tos: 0,
            ttl: 0,
            ttl_inherit: false,
            df: TunnelDf::Unset,
            learn: true,
            proxy: false,
            rsc: false,
            l2miss: false,
            l3miss: false,
            collect_md: false,
            udp_zero_csum6_rx: false,
            udp_csum: true,
            age_interval: 0,
            addrmax: 0,
        }
    }
}

/// A place that an entry leads to (`struct vxlan_rdst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VxlanRdst {
    /// The other end.
    pub ip: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// The network there.
    pub vni: u32,
    /// The device that leads there, by its ifindex; 0: the route's.
    pub ifindex: u32,
}

/// A place with the route to it.
#[derive(Clone, Debug)]
pub struct VxlanRemote {
    /// Where it is.
    pub to: VxlanRdst,
    /// The last route.
    pub dst_cache: DstCache,
}

impl From<VxlanRdst> for VxlanRemote {
    fn from(to: VxlanRdst) -> VxlanRemote {
        VxlanRemote { to, dst_cache: DstCache::default() }
    }
}

/// An entry of the forwarding database (`struct vxlan_fdb`).
#[derive(Clone, Debug)]
pub struct VxlanFdb {
    /// The station; zero: all that are not known.
    pub mac: Mac,
    /// `NUD_*`.
    pub state: u16,
    /// `NTF_*` beside `NTF_SELF`.
    pub flags: u8,
    /// A user made it (`NTF_VXLAN_ADDED_BY_USER`).
    pub added_by_user: bool,
    /// When a frame to or from it passed last.
    pub used: Nanos,
    /// When it was changed last.
    pub updated: Nanos,
    /// Where it is, at least one place.
    pub remotes: Vec<VxlanRemote>,
    /// How many entries were made before.
    seq: u64,
}

impl VxlanFdb {
    /// It stays until somebody deletes it.
    pub fn is_fixed(&self) -> bool {
        self.state & (Nud::Permanent as u16 | Nud::Noarp as u16) != 0
    }

    /// It may lead to several places at once.
    pub fn is_flooded(&self) -> bool {
        self.mac == Mac::ZERO || self.mac.is_multicast()
    }

    /// The place among its own.
    pub fn find_rdst(&self, to: &VxlanRdst) -> Option<usize> {
        self.remotes.iter().position(|remote| remote.to == *to)
    }
}

/// When the search for entries that nobody uses comes next. While none ages there is no timer.
#[derive(Clone, Copy, Debug)]
pub struct AgeTimer {
    /// When it was set.
    pub set: Nanos,
    /// For when.
    pub expires: Nanos,
    /// There is a timer.
    pub armed: bool,
}

/// What is known of a device of this kind (`struct vxlan_dev`).
#[derive(Debug)]
pub struct VxlanDev {
    /// How it is set.
    pub cfg: VxlanConfig,
    /// The namespace that its outer packets are in; it may be in another one itself.
    pub net: NetnsId,
    /// Its socket, while it is up.
    pub sock: Option<SocketId>,
    /// The search for aged entries, while it is up.
    pub age_timer: Option<AgeTimer>,
    fdb: BTreeMap<Mac, VxlanFdb>,
    made: u64,
}

impl VxlanDev {
    /// A device whose outer packets are in a namespace, with an empty database.
    pub fn new(net: NetnsId) -> VxlanDev {
        VxlanDev {
            cfg: VxlanConfig::default(),
            net,
            sock: None,
            age_timer: None,
            fdb: BTreeMap::new(),
            made: 0,
        }
    }

    /// The entry of a station.
    #[inline]
    pub fn find(&self, mac: Mac) -> Option<&VxlanFdb> {
        self.fdb.get(&mac)
    }

    /// The same, to change it.
    #[inline]
    pub fn find_mut(&mut self, mac: Mac) -> Option<&mut VxlanFdb> {
        self.fdb.get_mut(&mac)
    }

    /// Makes an entry with one place.
    pub fn insert(
        &mut self,
        mac: Mac,
        (state, flags): (u16, u8),
        to: VxlanRdst,
        now: Nanos,
    ) -> &mut VxlanFdb {
        self.made += 1;
        let (used, updated, seq) = (now, now, self.made);
        let entry = VxlanFdb {
            mac,
            state,
            flags,
            added_by_user: false,
            used,
            updated,
            remotes: vec![to.into()],
            seq,
        };
        self.fdb.insert(mac, entry);
        self.fdb.get_mut(&mac).expect("inserted just now")
    }

    /// Deletes a station's entry.
    pub fn remove(&mut self, mac: Mac) {
        self.fdb.remove(&mac);
    }

    /// How many entries there are.
    pub fn addrcnt(&self) -> usize {
        self.fdb.len()
    }

    /// All entries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &VxlanFdb> {
        self.fdb.values()
    }

    /// All entries as the kernel shows them: list after list, and of a list the newest first.
    pub fn dump(&self) -> Vec<&VxlanFdb> {
        let mut all: Vec<&VxlanFdb> = self.fdb.values().collect();
        all.sort_by_key(|entry| (eth_hash(entry.mac), std::cmp::Reverse(entry.seq)));
        all
    }
}

/// A socket that the devices with one port share (`struct vxlan_sock`).
#[derive(Debug)]
pub struct VxlanSock {
    /// The socket.
    pub sock: SocketId,
    /// Its device takes all networks (`VXLAN_F_COLLECT_METADATA` in `flags`).
    pub collect_md: bool,
    /// The devices that are up, by their VNIs.
    pub devs: HashMap<u32, DevId, BuildHasherDefault<FastHasher>>,
}

/// VXLAN in a namespace (`struct vxlan_net`).
#[derive(Debug, Default)]
pub struct VxlanNet {
    /// The devices whose outer packets are here, the newest first.
    pub devs: Vec<DevId>,
    /// The sockets, by their ports and the ifindex of the L3 master that they are bound to; 0: none.
    pub socks: BTreeMap<(u16, u32), VxlanSock>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_shown_list_after_list() {
        let mut dev = VxlanDev::new(NetnsId(0));
        let to = VxlanRdst { ip: Ipv4Addr::LOCALHOST, port: 1, vni: 1, ifindex: 0 };
        let mac = |last| Mac([2, 0, 0, 0, 0, last]);
        for last in [3, 1, 2] {
            dev.insert(mac(last), (0, 0), to, Nanos::ZERO);
        }
        dev.insert(Mac::ZERO, (0, 0), to, Nanos::ZERO);
        let lists: Vec<u64> = dev.dump().iter().map(|entry| eth_hash(entry.mac)).collect();
        assert!(lists.is_sorted() && lists[0] == 0, "{lists:?}");
        dev.remove(mac(1));
        assert_eq!((dev.addrcnt(), dev.find(mac(1)).is_none()), (3, true));
    }
}
