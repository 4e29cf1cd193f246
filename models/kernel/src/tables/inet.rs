//! IPv4 per device: addresses, multicast groups and settings.
//!
//! Kernel: include/linux/inetdevice.h (`struct in_device`, `struct in_ifaddr`), net/ipv4/devinet.c

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

use crate::ids::DevId;
use crate::netlink::Errno;
use crate::tables::fib_trie::inet_make_mask;
use crate::tables::inet_conf::{Conf, Ipv4Conf};
use crate::tables::inet_types::{
    AddrMsg, IFA_F_DEPRECATED, IFA_F_PERMANENT, IFA_F_SECONDARY, INFINITY_LIFE_TIME,
};
use crate::tables::neigh_parms::NeighParms;
use crate::tables::route_types::Scope;

/// An address of a device (`struct in_ifaddr`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InIfaddr {
    /// Local address.
    pub local: Ipv4Addr,
    /// Peer address, or `local`; with the mask it gives the subnet.
    pub address: Ipv4Addr,
    /// Broadcast address, `0.0.0.0` if none.
    pub broadcast: Ipv4Addr,
    /// Netmask.
    pub mask: Ipv4Addr,
    /// Length of the mask in bits.
    pub prefix_len: u8,
    /// Scope.
    pub scope: Scope,
    /// IFA_F_*.
    pub flags: u32,
    /// Metric of the connected route; 0: not set.
    pub metric: u32,
    /// Label.
    pub label: String,
    /// Valid lifetime in s, counted from `changed`.
    pub valid_lft: u32,
    /// Preferred lifetime in s, counted from `changed`.
    pub preferred_lft: u32,
    /// When the lifetimes were set.
    pub changed: Nanos,
    /// IFA_PROTO.
    pub protocol: u8,
}

impl InIfaddr {
    /// Secondary: another address of the subnet was added before.
    pub fn is_secondary(&self) -> bool {
        self.flags & IFA_F_SECONDARY != 0
    }

    /// `address` is in its subnet (`inet_ifa_match`).
    #[inline]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address & self.mask == self.address & self.mask
    }

    fn same_subnet(&self, other: &InIfaddr) -> bool {
        self.mask == other.mask && self.contains(other.address)
    }

    /// The address as the RTM_NEWADDR message that adds it.
    pub fn message(&self, dev: DevId, now: Nanos) -> AddrMsg {
        let age = (now.since(self.changed).0 / 1_000_000_000) as u32;
        let left = |span: u32| if span == INFINITY_LIFE_TIME { span } else { span.saturating_sub(age) };
        let permanent = self.flags & IFA_F_PERMANENT != 0;
        AddrMsg {
            dev,
            local: self.local,
            peer: Some(self.address),
            prefix_len: self.prefix_len,
            broadcast: (!self.broadcast.is_unspecified()).then_some(self.broadcast),
            scope: self.scope,
            label: Some(self.label.clone()),
            flags: self.flags,
            metric: self.metric,
            valid_lft: left(self.valid_lft),
            preferred_lft: if permanent { INFINITY_LIFE_TIME } else { left(self.preferred_lft) },
            protocol: self.protocol,
        }
    }
}

/// Multicast group membership of a device (`struct ip_mc_list`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct McGroup {
    /// The group.
    pub group: Ipv4Addr,
    /// Number of users: sockets and the kernel.
    pub users: u32,
    /// Its link-layer address is listened to.
    pub loaded: bool,
    /// In how many reports it is still to be told of.
    pub crcount: u8,
}

/// What a device still has to report of its groups (`struct in_device`).
#[derive(Clone, Debug, Default)]
pub struct McReports {
    /// Groups that it left, and in how many reports they are still to be told of (`mc_tomb`).
    pub tomb: Vec<(Ipv4Addr, u8)>,
    /// How many reports follow (`mr_ifc_count`).
    pub ifc_count: u8,
    /// When the next one is due (`mr_ifc_timer`).
    pub ifc_timer: Option<Nanos>,
}

/// IPv4 state of a device (`struct in_device`).
#[derive(Clone, Debug)]
pub struct InDevice {
    /// Settings.
    pub conf: Ipv4Conf,
    /// Addresses: primary ones by scope, then secondary ones.
    pub addrs: Vec<InIfaddr>,
    /// Multicast groups.
    pub groups: Vec<McGroup>,
    /// What is to be reported of them.
    pub reports: McReports,
    /// ARP parameters of the device.
    pub arp: NeighParms,
}

/// `224.0.0.1`, all systems.
pub const IGMP_ALL_HOSTS: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 1);

impl InDevice {
    /// IPv4 state of a new device, with its namespace's `default` settings (`inetdev_init`).
    pub fn new(conf: Ipv4Conf, arp: NeighParms) -> InDevice {
        InDevice { conf, addrs: Vec::new(), groups: Vec::new(), reports: McReports::default(), arp }
    }

    /// Where an address goes in the list, as secondary if its subnet exists already (`__inet_insert_ifa`).
    ///
    /// # Errors
    ///
    /// `EEXIST`: the address exists in this subnet. `EINVAL`: the subnet exists with another scope.
    pub fn place(&self, mut ifa: InIfaddr) -> Result<(usize, InIfaddr), Errno> {
        ifa.flags &= !IFA_F_SECONDARY;
        let mut last_primary = 0;
        for (at, other) in self.addrs.iter().enumerate() {
            if !other.is_secondary() && ifa.scope <= other.scope {
                last_primary = at + 1;
            }
            if other.same_subnet(&ifa) {
                if other.local == ifa.local {
                    return Err(Errno::EEXIST);
                }
                if other.scope != ifa.scope {
                    return Err(Errno::EINVAL);
                }
                ifa.flags |= IFA_F_SECONDARY;
            }
        }
        let at = if ifa.is_secondary() { self.addrs.len() } else { last_primary };
        Ok((at, ifa))
    }

    /// The first primary address of a subnet (`inet_ifa_byprefix`).
    pub fn by_prefix(&self, prefix: Ipv4Addr, mask: Ipv4Addr) -> Option<&InIfaddr> {
        self.addrs.iter().find(|ifa| ifa.mask == mask && ifa.contains(prefix))
    }

    /// The address with this local address and mask (`find_matching_ifa`).
    pub fn find(&self, local: Ipv4Addr, address: Ipv4Addr, mask: Ipv4Addr) -> Option<usize> {
        self.addrs.iter().position(|ifa| ifa.mask == mask && ifa.contains(address) && ifa.local == local)
    }

    /// The address that an RTM_DELADDR message names.
    pub fn find_for_delete(&self, msg: &AddrMsg) -> Option<usize> {
        self.addrs.iter().position(|ifa| {
            ifa.local == msg.local
                && msg.label.as_ref().is_none_or(|label| *label == ifa.label)
                && msg.peer.is_none_or(|peer| ifa.prefix_len == msg.prefix_len && ifa.contains(peer))
        })
    }

    /// `local` (and `peer`, unless `0.0.0.0`) are in one subnet of the device (`inet_addr_onlink`).
    pub fn onlink(&self, local: Ipv4Addr, peer: Ipv4Addr) -> bool {
        self.addrs.iter().any(|ifa| ifa.contains(local) && (peer.is_unspecified() || ifa.contains(peer)))
    }

    /// The narrowest scope that an address of the device has: with `route_localnet` the host's own serve on the link, too.
    pub fn localnet_scope(&self, all: &Ipv4Conf) -> Scope {
        if or_conf(self, all, Conf::RouteLocalnet) { Scope::LINK } else { Scope::HOST }
    }

    /// The first address usable as a source for `dst` with a scope no narrower than `scope`
    /// (`inet_select_addr`, the per-device part).
    pub fn select_addr(&self, dst: Ipv4Addr, scope: Scope, all: &Ipv4Conf) -> Option<Ipv4Addr> {
        let mut first = None;
        let narrowest = self.localnet_scope(all);
        let fits = |ifa: &&InIfaddr| !ifa.is_secondary() && ifa.scope.min(narrowest) <= scope;
        for ifa in self.addrs.iter().filter(fits) {
            if dst.is_unspecified() || ifa.contains(dst) {
                return Some(ifa.local);
            }
            first = first.or(Some(ifa.local));
        }
        first
    }

    /// The device is a member of the group (`ip_check_mc_rcu`, without source filters).
    pub fn listens(&self, group: Ipv4Addr) -> bool {
        self.groups.iter().any(|entry| entry.group == group)
    }

    /// Joins a group; true if it is the first user.
    pub fn join(&mut self, group: Ipv4Addr) -> bool {
        if let Some(entry) = self.groups.iter_mut().find(|entry| entry.group == group) {
            entry.users += 1;
            return false;
        }
        // /proc/net/igmp lists the newest group first.
        self.groups.insert(0, McGroup { group, users: 1, loaded: false, crcount: 0 });
        true
    }

    /// Leaves a group; true if it was the last user.
    pub fn leave(&mut self, group: Ipv4Addr) -> bool {
        let Some(at) = self.groups.iter().position(|entry| entry.group == group) else { return false };
        self.groups[at].users -= 1;
        let last = self.groups[at].users == 0;
        if last {
            self.groups.remove(at);
        }
        last
    }
}

/// An address from a request, not inserted yet.
pub fn ifaddr(msg: &AddrMsg, device_name: &str, now: Nanos) -> InIfaddr {
    let permanent = if msg.valid_lft == INFINITY_LIFE_TIME { IFA_F_PERMANENT } else { 0 };
    let deprecated = if msg.preferred_lft == 0 { IFA_F_DEPRECATED } else { 0 };
    InIfaddr {
        local: msg.local,
        address: msg.peer.unwrap_or(msg.local),
        broadcast: msg.broadcast.unwrap_or(Ipv4Addr::UNSPECIFIED),
        mask: inet_make_mask(msg.prefix_len),
        prefix_len: msg.prefix_len,
        scope: msg.scope,
        flags: msg.flags & !(IFA_F_PERMANENT | IFA_F_DEPRECATED) | permanent | deprecated,
        metric: msg.metric,
        label: msg.label.clone().unwrap_or_else(|| device_name.to_owned()),
        valid_lft: msg.valid_lft,
        preferred_lft: msg.preferred_lft,
        changed: now,
        protocol: msg.protocol,
    }
}

/// IPv4 state of all devices of a machine, by [`DevId`].
#[derive(Clone, Debug, Default)]
pub struct InDevices {
    devices: Vec<Option<Box<InDevice>>>,
    /// When lifetimes of addresses are checked next, if any address does not last.
    pub check_at: Option<Nanos>,
}

impl InDevices {
    /// IPv4 state of a registered device.
    #[inline]
    pub fn get(&self, dev: DevId) -> Option<&InDevice> {
        self.devices.get(dev.index())?.as_deref()
    }

    /// IPv4 state of a registered device, mutable.
    #[inline]
    pub fn get_mut(&mut self, dev: DevId) -> Option<&mut InDevice> {
        self.devices.get_mut(dev.index())?.as_deref_mut()
    }

    /// Sets the state at registration, clears it at unregistration.
    pub fn set(&mut self, dev: DevId, device: Option<InDevice>) {
        if self.devices.len() <= dev.index() {
            self.devices.resize_with(dev.index() + 1, || None);
        }
        self.devices[dev.index()] = device.map(Box::new);
    }

    /// All devices with IPv4 state.
    pub fn iter(&self) -> impl Iterator<Item = (DevId, &InDevice)> {
        self.devices.iter().enumerate().filter_map(|(at, dev)| Some((DevId(at as u32), dev.as_deref()?)))
    }
}

/// Maximum of the device's value and that of `all` (IN_DEV_MAXCONF).
#[inline]
pub fn max_conf(dev: &InDevice, all: &Ipv4Conf, conf: Conf) -> i32 {
    dev.conf.get(conf).max(all.get(conf))
}

/// Set on the device or on `all` (IN_DEV_ORCONF).
#[inline]
pub fn or_conf(dev: &InDevice, all: &Ipv4Conf, conf: Conf) -> bool {
    dev.conf.get(conf) != 0 || all.get(conf) != 0
}

/// Set on the device and on `all` (IN_DEV_ANDCONF).
#[inline]
pub fn and_conf(dev: &InDevice, all: &Ipv4Conf, conf: Conf) -> bool {
    dev.conf.get(conf) != 0 && all.get(conf) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Errno;

    fn addr(text: &str) -> AddrMsg {
        let (local, len) = text.split_once('/').expect("address/length");
        AddrMsg::new(DevId(0), local.parse().expect("address"), len.parse().expect("length"))
    }

    fn check(add: &[&str], expected: &[&str], last: Result<(), Errno>) {
        let mut dev = InDevice::new(Ipv4Conf::default(), NeighParms::default());
        let mut result = Ok(());
        for text in add {
            result = dev
                .place(ifaddr(&addr(text), "eth0", Nanos::ZERO))
                .map(|(at, ifa)| dev.addrs.insert(at, ifa));
        }
        let show = |ifa: &InIfaddr| {
            let second = if ifa.is_secondary() { " secondary" } else { "" };
            format!("{}/{}{second}", ifa.local, ifa.prefix_len)
        };
        assert_eq!(dev.addrs.iter().map(show).collect::<Vec<_>>(), expected);
        assert_eq!(result, last);
    }

    #[test]
    fn secondary_addresses_follow_all_primary_ones() {
        check(
            &["10.0.0.1/24", "10.0.0.2/24", "10.1.0.1/16"],
            &["10.0.0.1/24", "10.1.0.1/16", "10.0.0.2/24 secondary"],
            Ok(()),
        );
        check(&["10.0.0.1/24", "10.0.0.1/24"], &["10.0.0.1/24"], Err(Errno::EEXIST));
        check(&["10.0.0.1/24", "10.0.0.1/16"], &["10.0.0.1/24", "10.0.0.1/16"], Ok(()));
    }
}
