//! Where a packet goes, once it was routed (`struct rtable` and `struct dst_entry`, include/net/route.h).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use super::fib::FibInfoId;
use super::jiffies::last_tick;
use super::route_types::RouteType;
use crate::ids::{CpuId, DevId, NeighId};
use crate::netlink::Errno;

/// `DST_FAKE_RTABLE`, kept among the flags: the packet is bridged, and this is no route.
pub const DST_FAKE_RTABLE: u32 = 0x0000_0008;
/// `RTCF_LOCAL`: the packet is (also) for this machine.
pub const RTCF_LOCAL: u32 = 0x8000_0000;
/// `RTCF_MULTICAST`.
pub const RTCF_MULTICAST: u32 = 0x2000_0000;
/// `RTCF_BROADCAST`.
pub const RTCF_BROADCAST: u32 = 0x1000_0000;
/// `RTCF_REDIRECTED`: an ICMP redirect changed the gateway.
pub const RTCF_REDIRECTED: u32 = 0x0004_0000;
/// `RTCF_DOREDIRECT`: the sender should be told of a better gateway.
pub const RTCF_DOREDIRECT: u32 = 0x0100_0000;

/// What a received packet meets next (`dst->input`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DstInput {
    /// `ip_local_deliver`.
    LocalDeliver,
    /// `ip_forward`.
    Forward,
    /// `ip_error`, with the reason.
    Error(Errno),
    /// `dst_discard`: it is a route of packets that leave.
    Discard,
}

/// The decision of routing, carried by the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rtable {
    /// The device that it leaves by.
    pub dev: DevId,
    /// The router to send it to; `0.0.0.0`: the destination itself.
    pub gateway: Ipv4Addr,
    /// RTCF_*.
    pub flags: u32,
    /// Path MTU in bytes that the route or an ICMP message says, 0: the device's.
    pub mtu: u32,
    /// Type of the route.
    pub kind: RouteType,
    /// What a received packet meets next.
    pub input: DstInput,
    /// The route's `fib_info`, whose metrics a connection begins with; valid until the tables change.
    pub info: Option<FibInfoId>,
    /// The path MTU is fixed (`mtu lock`): DF is not set.
    pub mtu_locked: bool,
    /// A copy of it goes to this machine: `ip_mc_output` in place of `ip_output`.
    pub mc_output: bool,
    /// Where the neighbour that it goes to was last seen in the table; who uses it checks that it is the one.
    pub neigh: Option<NeighId>,
}

/// Where the flags of a route have the next hop that has `lwtstate`, as one more than its place; 0: it has none.
const LWT_NEXTHOP_SHIFT: u32 = 8;

impl Rtable {
    /// The next hop at this place tells a tunnel's device what to write into the outer headers.
    pub fn set_lwt_nexthop(&mut self, at: u16) {
        self.flags |= u32::from(at.min(254) + 1) << LWT_NEXTHOP_SHIFT;
    }

    /// The place of that next hop.
    #[inline]
    pub fn lwt_nexthop(&self) -> Option<usize> {
        usize::from((self.flags >> LWT_NEXTHOP_SHIFT) as u8).checked_sub(1)
    }
}

const _: () = assert!(size_of::<Rtable>() == 32, "each packet and each place of the memo holds one");

/// What a packet of this machine is routed by (`struct flowi4`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowOut {
    /// Destination.
    pub daddr: Ipv4Addr,
    /// Source, `0.0.0.0` to let the route choose.
    pub saddr: Ipv4Addr,
    /// The device that it must leave by.
    pub oif: Option<DevId>,
    /// TOS.
    pub tos: u8,
    /// Mark.
    pub mark: u32,
    /// Protocol.
    pub proto: u8,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// The source need not be an own address (`FLOWI_FLAG_ANYSRC`).
    pub any_source: bool,
    /// SO_DONTROUTE: the destination must be on the link.
    pub onlink: bool,
}

impl Default for FlowOut {
    fn default() -> Self {
        FlowOut {
            daddr: Ipv4Addr::UNSPECIFIED,
            saddr: Ipv4Addr::UNSPECIFIED,
            oif: None,
            tos: 0,
            mark: 0,
            proto: 0,
            sport: 0,
            dport: 0,
            any_source: false,
            onlink: false,
        }
    }
}

/// A route that somebody keeps for the packets that follow.
#[derive(Clone, Copy, Debug)]
pub struct KeptRoute {
    /// The generation of the tables that it is of.
    pub generation: u32,
    /// The route.
    pub route: Rtable,
    /// What was asked for, with the source that the route chose.
    pub flow: FlowOut,
}

/// The route that a connected socket keeps (`sk_dst_cache`).
#[derive(Clone, Copy, Debug)]
pub struct SkDst {
    /// What the socket asked for. Ports are left out, as Linux keeps the route until an option is set.
    pub asked: FlowOut,
    /// The route.
    pub kept: KeptRoute,
}

/// The last route to the other end of a tunnel, of each CPU (`struct dst_cache`).
#[derive(Clone, Debug, Default)]
pub struct DstCache(Vec<Option<KeptRoute>>);

impl DstCache {
    /// What a CPU keeps.
    pub fn get(&self, cpu: CpuId) -> Option<KeptRoute> {
        self.0.get(cpu.index()).copied().flatten()
    }

    /// It keeps this from now on.
    pub fn set(&mut self, cpu: CpuId, kept: Option<KeptRoute>) {
        if self.0.len() <= cpu.index() {
            self.0.resize(cpu.index() + 1, None);
        }
        self.0[cpu.index()] = kept;
    }
}

/// What a packet that came in is routed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteKey {
    /// Destination.
    pub daddr: Ipv4Addr,
    /// Source.
    pub saddr: Ipv4Addr,
    /// Handle of the device that it came in by.
    pub dev: u32,
    /// Mark.
    pub mark: u32,
    /// TOS bits used in routing.
    pub tos: u8,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    key: RouteKey,
    generation: u32,
    /// CPU time that the search took, ns.
    cost: u32,
    route: Rtable,
}

/// Routes of packets that came in of late. Nothing of it shows: a search of the tables that would give the same
/// answer is left out, its CPU time is charged all the same, and a search that is observed is always made.
#[derive(Clone, Debug, Default)]
pub struct RouteMemo(Vec<Option<Remembered>>);

/// Places in the memo, a few KiB a namespace that routes.
const MEMO: usize = 128;

impl RouteMemo {
    #[inline]
    fn place(key: &RouteKey) -> usize {
        let word =
            u64::from(key.daddr.to_bits()) << 32 | u64::from(key.saddr.to_bits().rotate_left(16) ^ key.dev);
        (word.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize & (MEMO - 1)
    }

    /// The route of an equal packet since the tables had this generation, and what it cost, ns.
    #[inline]
    pub fn get(&mut self, key: &RouteKey, generation: u32) -> Option<(&mut Rtable, u32)> {
        let found = self.0.get_mut(RouteMemo::place(key))?.as_mut()?;
        let same = found.generation == generation && found.key == *key;
        same.then_some((&mut found.route, found.cost))
    }

    /// Remembers a route.
    pub fn put(&mut self, key: RouteKey, generation: u32, route: Rtable, cost: u32) {
        if self.0.is_empty() {
            self.0 = vec![None; MEMO];
        }
        self.0[RouteMemo::place(&key)] = Some(Remembered { key, generation, cost, route });
    }
}

/// What the world told of the way to one destination (`struct fib_nh_exception`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FibException {
    /// Path MTU in bytes, 0: not told.
    pub pmtu: u32,
    /// The gateway of a redirect, `0.0.0.0`: none.
    pub gateway: Ipv4Addr,
    /// The path MTU was below the minimum that is accepted, so it is fixed.
    pub locked: bool,
    /// When it is forgotten.
    pub expires: Nanos,
}

impl Default for FibException {
    fn default() -> Self {
        FibException { pmtu: 0, gateway: Ipv4Addr::UNSPECIFIED, locked: false, expires: Nanos::default() }
    }
}

/// All exceptions of a namespace, by output device and destination.
#[derive(Clone, Debug, Default)]
pub struct FibExceptions(BTreeMap<(DevId, Ipv4Addr), FibException>);

impl FibExceptions {
    /// Nothing was told.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What holds now for a destination by a device.
    #[inline]
    pub fn find(&self, dev: DevId, dst: Ipv4Addr, now: Nanos) -> Option<FibException> {
        if self.0.is_empty() {
            return None;
        }
        let now = last_tick(now);
        self.0.get(&(dev, dst)).filter(|found| now <= found.expires).copied()
    }

    /// Notes something for a destination until `expires`; what was noted before holds as long (`update_or_create_fnhe`).
    pub fn update(
        &mut self,
        (dev, dst): (DevId, Ipv4Addr),
        now: Nanos,
        expires: Nanos,
        change: impl FnOnce(&mut FibException),
    ) {
        let found = self.0.entry((dev, dst)).or_default();
        if now > found.expires {
            *found = FibException::default();
        }
        found.expires = expires;
        change(found);
    }

    /// The MTU of a device has become another: paths that are wider, or that were as wide as it was, follow
    /// (`fib_nhc_update_mtu`).
    pub fn update_mtu(&mut self, dev: DevId, new: u32, old: u32) {
        for (_, found) in self.0.iter_mut().filter(|((of, _), found)| *of == dev && found.pmtu != 0) {
            if found.locked {
                (found.pmtu, found.locked) = (found.pmtu.min(new), new > found.pmtu);
            } else if new < found.pmtu || old == found.pmtu {
                found.pmtu = new;
            }
        }
    }

    /// Forgets everything (`rt_cache_flush`).
    pub fn clear(&mut self) {
        self.0.clear();
    }
}
