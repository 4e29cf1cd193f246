//! Network namespaces (`struct net`, include/net/net_namespace.h).

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Debug;

use super::hooks::Hooks;
use super::ipset::IpSets;
use super::ipv4::Ipv4Netns;
use super::netfilter::BridgeCalls;
use super::sysctl::Settings;
use super::verdicts::Passages;
use super::xt::{Table, Variant, XtTables};
use crate::ids::{DevId, NetnsId, SocketId};

/// What modules keep for a namespace: a value of each type that one asked for (`struct net_generic`).
#[derive(Debug, Default)]
pub struct NetGeneric(Vec<Box<dyn Kept>>);

/// Anything that a module keeps.
trait Kept: Any + Debug + Send + Sync {}

impl<T: Any + Debug + Send + Sync> Kept for T {}

impl NetGeneric {
    /// The value of this type, if some module has one (`net_generic`).
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.0.iter().find_map(|kept| (&**kept as &dyn Any).downcast_ref())
    }

    /// The value of this type, which begins as its default.
    pub fn get_mut<T: Any + Debug + Default + Send + Sync>(&mut self) -> &mut T {
        let at = self.0.iter().position(|kept| (&**kept as &dyn Any).is::<T>()).unwrap_or_else(|| {
            self.0.push(Box::new(T::default()));
            self.0.len() - 1
        });
        (&mut *self.0[at] as &mut dyn Any).downcast_mut().expect("found by its type")
    }
}

/// A network namespace: devices, addresses, routes, neighbours and sockets of its own.
#[derive(Debug)]
pub struct Netns {
    /// Its handle.
    pub id: NetnsId,
    /// Its devices by ifindex.
    pub devs: BTreeMap<u32, DevId>,
    /// The ifindex that was given out last.
    pub last_ifindex: u32,
    /// Its `lo`.
    pub loopback: DevId,
    /// IPv4.
    pub ipv4: Ipv4Netns,
    /// Netfilter's hooks.
    pub hooks: Hooks,
    /// Which tables all bridges call (`struct brnf_net`).
    pub brnf: BridgeCalls,
    /// The tables of iptables.
    pub xt: XtTables,
    /// How packets of its connections pass hooks.
    pub passages: Passages,
    /// Its ipsets.
    pub ipsets: IpSets,
    /// What modules keep here.
    pub generic: NetGeneric,
    /// Packet sockets that listen on all devices.
    pub taps: Vec<SocketId>,
    /// The numbers by which other namespaces go here (`netns_ids`).
    pub nsids: BTreeMap<u32, NetnsId>,
    /// Settings that are plain numbers.
    pub sysctls: Settings,
}

impl Netns {
    /// A namespace without devices; `loopback` is where its `lo` will be.
    pub fn new(id: NetnsId, loopback: DevId, ipv4: Ipv4Netns) -> Netns {
        Netns {
            id,
            devs: BTreeMap::new(),
            last_ifindex: 0,
            loopback,
            ipv4,
            hooks: Hooks::default(),
            brnf: BridgeCalls::ALL,
            xt: XtTables::default(),
            passages: Passages::default(),
            ipsets: IpSets::default(),
            generic: NetGeneric::default(),
            taps: Vec::new(),
            nsids: BTreeMap::new(),
            sysctls: Settings::default(),
        }
    }

    /// The next free ifindex (`dev_new_index`, net/core/dev.c).
    pub fn new_ifindex(&mut self) -> u32 {
        loop {
            self.last_ifindex += 1;
            if !self.devs.contains_key(&self.last_ifindex) {
                return self.last_ifindex;
            }
        }
    }

    /// Counts on rules and policies what passed by memory: before a counter or the place of a rule changes.
    pub fn settle_counters(&mut self) {
        self.passages.settle(|counter, packets| self.xt.count(counter, packets));
    }

    /// Writes counters as they are now into a copy of a table (`get_counters`, net/ipv4/netfilter/ip_tables.c).
    pub fn write_counters(&self, variant: Variant, table: &mut Table) {
        self.xt.write_policy_counters(variant, table);
        for (counter, packets) in self.passages.uncounted() {
            table.count(variant, counter, packets);
        }
    }
}

/// The network namespaces of a machine.
#[derive(Debug, Default)]
pub struct NetnsTable {
    slots: Vec<Option<Netns>>,
}

impl NetnsTable {
    /// The handle that the next namespace gets. Handles are never given out twice.
    pub fn next_id(&self) -> NetnsId {
        NetnsId(self.slots.len() as u32)
    }

    /// Adds a namespace, whose handle is [`NetnsTable::next_id`].
    pub fn insert(&mut self, netns: Netns) -> NetnsId {
        let id = self.next_id();
        debug_assert_eq!(id, netns.id);
        self.slots.push(Some(netns));
        id
    }

    /// Removes a namespace.
    pub fn remove(&mut self, id: NetnsId) -> Option<Netns> {
        self.slots.get_mut(id.index())?.take()
    }

    /// The namespace, if it exists.
    pub fn get(&self, id: NetnsId) -> Option<&Netns> {
        self.slots.get(id.index())?.as_ref()
    }

    /// All namespaces, to change them.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = &mut Netns> {
        self.slots.iter_mut().flatten()
    }

    /// All namespaces, in the order in which they were made.
    pub fn iter(&self) -> impl Iterator<Item = &Netns> {
        self.slots.iter().flatten()
    }
}

impl std::ops::Index<NetnsId> for NetnsTable {
    type Output = Netns;
    #[inline]
    fn index(&self, id: NetnsId) -> &Netns {
        self.slots[id.index()].as_ref().expect("a namespace that exists")
    }
}

impl std::ops::IndexMut<NetnsId> for NetnsTable {
    #[inline]
    fn index_mut(&mut self, id: NetnsId) -> &mut Netns {
        self.slots[id.index()].as_mut().expect("a namespace that exists")
    }
}
