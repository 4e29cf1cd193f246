//! Interfaces, as the kernel tells of them, and what is on their links.

use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_kernel::ids::NetnsId;
use glassnet_kernel::kernel::Kernel;
use glassnet_kernel::tables::netdev::{
    IFF_BROADCAST, IFF_LOOPBACK, IFF_LOWER_UP, IFF_MULTICAST, IFF_POINTOPOINT, IFF_UP,
};
use glassnet_kernel::tables::route_types::Scope;

use super::route::Link;
use super::value::{Net, matches_pattern};

/// Flags that the daemon knows.
const FLAGS: u32 = IFF_UP | IFF_LOWER_UP | IFF_BROADCAST | IFF_LOOPBACK | IFF_POINTOPOINT | IFF_MULTICAST;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub ip: Ipv4Addr,
    /// The network on the link, or the other end.
    pub net: Net,
    /// The other end, if there are only two.
    pub peer: Option<Ipv4Addr>,
    pub secondary: bool,
    pub scope: Scope,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iface {
    pub index: u32,
    pub name: Arc<str>,
    pub flags: u32,
    pub mtu: u32,
    pub master: Option<Arc<str>>,
    pub addresses: Vec<Address>,
}

impl Iface {
    pub fn is_up(&self) -> bool {
        self.flags & IFF_UP != 0
    }

    pub fn has_link(&self) -> bool {
        self.flags & IFF_LOWER_UP != 0
    }

    /// Protocols take no notice of it.
    pub fn is_ignored(&self) -> bool {
        self.flags & IFF_LOOPBACK != 0
    }

    pub fn has_broadcast(&self) -> bool {
        self.flags & IFF_BROADCAST != 0
    }

    pub fn has_multicast(&self) -> bool {
        self.flags & IFF_MULTICAST != 0
    }

    pub fn is_point_to_point(&self) -> bool {
        self.flags & IFF_POINTOPOINT != 0
    }

    pub fn link(&self) -> Link {
        Link { index: self.index, name: self.name.clone() }
    }

    /// One of a list of patterns takes it; an empty list takes all.
    pub fn is_chosen(&self, patterns: &[(bool, String)]) -> bool {
        let found = patterns.iter().find(|(_, pattern)| matches_pattern(pattern, &self.name));
        found.map_or(patterns.is_empty(), |(is_wanted, _)| *is_wanted)
    }
}

/// All interfaces of a namespace.
pub fn scan(kernel: &Kernel, netns: NetnsId) -> Vec<Iface> {
    let Some(space) = kernel.netns.get(netns) else { return Vec::new() };
    let of_device = |(index, dev): (&u32, &glassnet_kernel::ids::DevId)| {
        let netdev = &kernel.devs[*dev];
        let addresses = kernel.inet.get(*dev).map_or(&[][..], |inet| &inet.addrs);
        let address = |ifa: &glassnet_kernel::tables::inet::InIfaddr| {
            let peer = (ifa.address != ifa.local).then_some(ifa.address);
            let net = Net::new(peer.unwrap_or(ifa.local), ifa.prefix_len);
            Address { ip: ifa.local, net, peer, secondary: ifa.is_secondary(), scope: ifa.scope }
        };
        Iface {
            index: *index,
            name: Arc::from(netdev.name.as_str()),
            flags: netdev.dev_get_flags() & FLAGS,
            mtu: netdev.mtu,
            master: netdev
                .master()
                .and_then(|master| kernel.devs.get(master))
                .map(|dev| Arc::from(dev.name.as_str())),
            addresses: addresses.iter().map(address).collect(),
        }
    };
    space.devs.iter().map(of_device).collect()
}

/// What an address is to this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// It is this machine's own.
    Own,
    /// It is on a link.
    On(Link),
    Nowhere,
}

/// Where an address is that must be on a link.
pub fn reach(ifaces: &[Iface], address: Ipv4Addr, only: Option<&str>) -> Reach {
    let chosen =
        || ifaces.iter().filter(|iface| iface.is_up() && only.is_none_or(|name| *iface.name == *name));
    if chosen().any(|iface| iface.addresses.iter().any(|own| own.ip == address)) {
        return Reach::Own;
    }
    let on_link = |iface: &&Iface| {
        iface
            .addresses
            .iter()
            .any(|own| own.peer == Some(address) || own.net.len < 32 && own.net.contains(address))
    };
    chosen().find(on_link).map_or(Reach::Nowhere, |iface| Reach::On(iface.link()))
}

/// The interfaces are no longer as they were; it is asked often.
pub fn differs(kernel: &Kernel, netns: NetnsId, known: &[Iface]) -> bool {
    let Some(space) = kernel.netns.get(netns) else { return false };
    if space.devs.len() != known.len() {
        return true;
    }
    space.devs.iter().zip(known).any(|((index, dev), iface)| {
        let netdev = &kernel.devs[*dev];
        let addresses = kernel.inet.get(*dev).map_or(&[][..], |inet| &inet.addrs);
        *index != iface.index
            || netdev.dev_get_flags() & FLAGS != iface.flags
            || netdev.mtu != iface.mtu
            || *netdev.name != *iface.name
            || addresses.len() != iface.addresses.len()
            || addresses
                .iter()
                .zip(&iface.addresses)
                .any(|(ifa, own)| ifa.local != own.ip || ifa.prefix_len != own.net.len)
    })
}
