//! Services and destinations.
//!
//! Kernel: include/net/ip_vs.h (`struct ip_vs_service`, `struct ip_vs_dest`), net/netfilter/ipvs/ip_vs_ctl.c

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::CONN_F_FWD_MASK;
use super::sched::SchedData;
use super::stats::Stats;
use crate::ids::NetnsId;
use crate::tables::fast_hash::FastHasher;
use crate::tables::route::KeptRoute;

/// Handle of a service. Handles are not given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SvcId(pub u32);

/// Handle of a destination. Handles are not given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DestId(pub u32);

/// `IP_VS_SVC_F_PERSISTENT`.
pub const SVC_F_PERSISTENT: u32 = 0x0001;
/// `IP_VS_SVC_F_ONEPACKET`: one-packet scheduling.
pub const SVC_F_ONEPACKET: u32 = 0x0004;
/// `IP_VS_SVC_F_SCHED1`: of sh and mh, another destination if the chosen one is not available.
pub const SVC_F_SCHED1: u32 = 0x0008;
/// `IP_VS_SVC_F_SCHED2`: of sh and mh, the port is part of the hash.
pub const SVC_F_SCHED2: u32 = 0x0010;
/// `IP_VS_SVC_F_SCHED3`.
pub const SVC_F_SCHED3: u32 = 0x0020;

/// What a service is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SvcKey {
    /// Protocol, address and port; port 0: all ports.
    Addr(u8, Ipv4Addr, u16),
    /// The packet's mark.
    FwMark(u32),
}

impl SvcKey {
    /// The protocol; 0 if it is found by a mark.
    pub fn protocol(self) -> u8 {
        if let SvcKey::Addr(protocol, ..) = self { protocol } else { 0 }
    }

    /// The port; 0 if it is found by a mark.
    pub fn port(self) -> u16 {
        if let SvcKey::Addr(_, _, port) = self { port } else { 0 }
    }

    /// The mark; 0 if it is found by an address.
    pub fn fwmark(self) -> u32 {
        if let SvcKey::FwMark(mark) = self { mark } else { 0 }
    }

    /// Its bucket in the kernel's table, which decides the order in which services are listed (`ip_vs_svc_hashkey`; the kernel
    /// mixes a pointer in).
    fn bucket(self) -> (bool, u8) {
        match self {
            SvcKey::Addr(protocol, addr, port) => {
                (false, protocol ^ addr.to_bits() as u8 ^ (port >> 8) as u8 ^ port as u8)
            }
            SvcKey::FwMark(mark) => (true, mark as u8),
        }
    }
}

/// What a program says of a service (`struct ip_vs_service_user_kern`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSpec {
    /// What it is found by.
    pub key: SvcKey,
    /// Name of its scheduler.
    pub scheduler: String,
    /// Name of its persistence engine; empty: none.
    pub pe: String,
    /// `IP_VS_SVC_F_*`.
    pub flags: u32,
    /// How long a persistent service keeps a client's destination, seconds.
    pub timeout: u32,
    /// Which bits of a client's address a persistent service looks at.
    pub netmask: u32,
}

/// A service (`struct ip_vs_service`).
#[derive(Clone, Debug)]
pub struct Service {
    /// Its namespace.
    pub netns: NetnsId,
    /// What it is found by.
    pub key: SvcKey,
    /// `IP_VS_SVC_F_*`.
    pub flags: u32,
    /// How long a template lives.
    pub timeout: Nanos,
    /// Which bits of a client's address a persistent service looks at.
    pub netmask: u32,
    /// Name of its scheduler.
    pub scheduler: &'static str,
    /// What that remembers.
    pub sched_data: SchedData,
    /// Its destinations, newest first.
    pub destinations: Vec<DestId>,
    /// Counters.
    pub stats: Stats,
    /// It has its namespace track connections, as FTP through NAT needs it (`conntrack_afmask`).
    pub tracks: bool,
    /// It is in the table; otherwise removed destinations still refer to it.
    pub hashed: bool,
    /// How many destinations refer to it, those in the trash too.
    pub(super) refs: u32,
}

impl Service {
    /// A service of a namespace without destinations.
    pub fn new(netns: NetnsId, key: SvcKey, scheduler: &'static str) -> Service {
        Service {
            netns,
            key,
            flags: 0,
            timeout: Nanos::ZERO,
            netmask: 0,
            scheduler,
            sched_data: SchedData::None,
            destinations: Vec::new(),
            stats: Stats::default(),
            tracks: false,
            hashed: true,
            refs: 0,
        }
    }

    /// The flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// How packets are put into others for a destination (`IP_VS_CONN_F_TUNNEL_TYPE_*`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TunType {
    /// IPIP.
    #[default]
    Ipip,
    /// Generic UDP encapsulation.
    Gue,
    /// GRE.
    Gre,
}

/// What a program says of a destination (`struct ip_vs_dest_user_kern`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DestSpec {
    /// Its address.
    pub addr: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// `IP_VS_CONN_F_FWD_MASK`: how packets get there.
    pub fwd: u32,
    /// Its weight.
    pub weight: i32,
    /// With so many connections it gets no more; 0: no limit.
    pub u_threshold: u32,
    /// With fewer than so many it gets new ones again; 0: three quarters of the upper one.
    pub l_threshold: u32,
    /// What kind of tunnel.
    pub tun_type: TunType,
    /// UDP port of the tunnel.
    pub tun_port: u16,
    /// `IP_VS_TUNNEL_ENCAP_FLAG_*`.
    pub tun_flags: u16,
}

/// A destination (`struct ip_vs_dest`).
#[derive(Clone, Debug)]
pub struct Dest {
    /// What a program said of it.
    pub spec: DestSpec,
    /// The latest weight that was not 0 (`last_weight`).
    pub last_weight: i32,
    /// Flags of its connections (`conn_flags`).
    pub conn_flags: u32,
    /// It is one of its service's destinations (`IP_VS_DEST_CF_AVAILABLE`).
    pub available: bool,
    /// It has as many connections as it may (`IP_VS_DEST_F_OVERLOAD`).
    pub overload: bool,
    /// Active connections.
    pub activeconns: i32,
    /// All connections.
    pub totalconns: i32,
    /// Templates.
    pub persistconns: i32,
    /// Its service, or the one that it was removed from.
    pub svc: SvcId,
    /// Connections and templates that refer to it, and caches of schedulers.
    pub refs: u32,
    /// Counters.
    pub stats: Stats,
    /// The route there, which is kept until tables change.
    pub dst: Option<KeptRoute>,
    /// Since when nothing refers to it, in the trash.
    pub idle_start: Option<Nanos>,
}

impl Dest {
    /// How packets get there (`IP_VS_DFWD_METHOD`).
    pub fn fwd(&self) -> u32 {
        self.conn_flags & CONN_F_FWD_MASK
    }

    /// Connections that are not active (`ip_vs_dest_inactconns`).
    pub fn inactconns(&self) -> i32 {
        (self.totalconns - self.activeconns).max(0)
    }

    /// The load that its connections are (`ip_vs_dest_conn_overhead`): an active one is 256 others.
    pub fn conn_overhead(&self) -> i64 {
        (i64::from(self.activeconns) << 8) + i64::from(self.totalconns)
    }

    /// It takes new connections.
    pub fn takes_new(&self) -> bool {
        self.spec.weight > 0 && !self.overload
    }

    /// The number of connections below which it takes new ones again, once it was overloaded (`l_threshold_val`).
    pub fn l_threshold(&self) -> u32 {
        match self.spec.l_threshold {
            0 => self.spec.u_threshold - (self.spec.u_threshold >> 2),
            given => given,
        }
    }

    /// Holds its connections against the thresholds: after there was one more (1), one less (-1), or the thresholds changed (0)
    /// (`__ip_vs_dest_update_overload`).
    pub fn update_overload(&mut self, mode: i32) {
        let (upper, lower) = (self.spec.u_threshold, self.l_threshold());
        let conns = self.totalconns.max(0) as u32;
        if upper != 0 {
            if conns >= if mode > 0 { lower } else { upper } {
                self.overload = true;
                return;
            }
            if conns >= if mode < 0 { upper } else { lower } {
                return;
            }
        }
        self.overload = false;
    }
}

/// The services and destinations of a machine.
#[derive(Debug, Default)]
pub struct Services {
    svcs: Vec<Option<Service>>,
    dests: Vec<Option<Dest>>,
    table: HashMap<(NetnsId, SvcKey), SvcId, BuildHasherDefault<FastHasher>>,
}

impl Services {
    /// The service.
    pub fn svc(&self, id: SvcId) -> Option<&Service> {
        self.svcs.get(id.0 as usize)?.as_ref()
    }

    /// The service, to change it.
    pub fn svc_mut(&mut self, id: SvcId) -> Option<&mut Service> {
        self.svcs.get_mut(id.0 as usize)?.as_mut()
    }

    /// The destination.
    pub fn dest(&self, id: DestId) -> Option<&Dest> {
        self.dests.get(id.0 as usize)?.as_ref()
    }

    /// The destination, to change it.
    pub fn dest_mut(&mut self, id: DestId) -> Option<&mut Dest> {
        self.dests.get_mut(id.0 as usize)?.as_mut()
    }

    /// The service of this key (`__ip_vs_service_find`, `__ip_vs_svc_fwm_find`).
    #[inline]
    pub fn find(&self, netns: NetnsId, key: SvcKey) -> Option<SvcId> {
        self.table.get(&(netns, key)).copied()
    }

    /// Adds a service to the table (`ip_vs_svc_hash`).
    pub fn add(&mut self, svc: Service) -> SvcId {
        let id = SvcId(self.svcs.len() as u32);
        self.table.insert((svc.netns, svc.key), id);
        self.svcs.push(Some(svc));
        id
    }

    /// Takes a service out of the table (`ip_vs_svc_unhash`); it stays while destinations refer to it.
    pub fn unhash(&mut self, id: SvcId) {
        if let Some(svc) = self.svcs.get_mut(id.0 as usize).and_then(Option::as_mut) {
            svc.hashed = false;
            self.table.remove(&(svc.netns, svc.key));
        }
        self.forget_svc(id);
    }

    /// Frees a service that is not in the table and that no destination refers to.
    fn forget_svc(&mut self, id: SvcId) {
        if self.svc(id).is_some_and(|svc| !svc.hashed && svc.refs == 0) {
            self.svcs[id.0 as usize] = None;
        }
    }

    /// Adds a destination, which no service lists yet.
    pub fn add_dest(&mut self, dest: Dest) -> DestId {
        self.hold(dest.svc);
        self.dests.push(Some(dest));
        DestId(self.dests.len() as u32 - 1)
    }

    fn hold(&mut self, id: SvcId) {
        if let Some(svc) = self.svc_mut(id) {
            svc.refs += 1;
        }
    }

    fn put(&mut self, id: SvcId) {
        if let Some(svc) = self.svc_mut(id) {
            svc.refs -= 1;
        }
        self.forget_svc(id);
    }

    /// A destination becomes another service's (`__ip_vs_bind_svc`).
    pub fn bind(&mut self, id: DestId, svc: SvcId) {
        self.hold(svc);
        if let Some(old) = self.dest_mut(id).map(|dest| std::mem::replace(&mut dest.svc, svc)) {
            self.put(old);
        }
    }

    /// Frees a destination (`ip_vs_dest_free`).
    pub fn free_dest(&mut self, id: DestId) {
        if let Some(dest) = self.dests.get_mut(id.0 as usize).and_then(Option::take) {
            self.put(dest.svc);
        }
    }

    /// The destinations of a service, in the order of its list: newest first.
    pub fn dests_of(&self, id: SvcId) -> impl Iterator<Item = (DestId, &Dest)> {
        let list = self.svc(id).map_or(&[][..], |svc| &svc.destinations);
        list.iter().filter_map(|id| Some((*id, self.dest(*id)?)))
    }

    /// The destination of a service with this address and port (`ip_vs_lookup_dest`).
    pub fn lookup_dest(&self, id: SvcId, addr: Ipv4Addr, port: u16) -> Option<DestId> {
        self.dests_of(id).find(|(_, dest)| (dest.spec.addr, dest.spec.port) == (addr, port)).map(|(id, _)| id)
    }

    /// The services of a namespace in the order in which the kernel lists them: by bucket, newest first; those of marks last.
    pub fn list(&self, netns: NetnsId) -> Vec<SvcId> {
        let hashed = |svc: &Option<Service>| {
            svc.as_ref().filter(|svc| svc.netns == netns && svc.hashed).map(|svc| svc.key.bucket())
        };
        let mut found: Vec<_> = (0..)
            .zip(&self.svcs)
            .filter_map(|(at, svc)| Some((hashed(svc)?, std::cmp::Reverse(at))))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, at)| SvcId(at.0)).collect()
    }
}
