//! Kinds of links (`ARPHRD_*`, include/uapi/linux/if_arp.h), and what their addresses are.

use std::net::Ipv4Addr;

use glassnet_wire::Mac;
use glassnet_wire::eth::ETH_HLEN;

/// A kind of link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Arphrd {
    /// Ethernet.
    #[default]
    Ether = 1,
    /// IP in IPv4: packets without a header of the link, between IPv4 addresses.
    Tunnel = 768,
    /// A loopback, whose packets have Ethernet headers.
    Loopback = 772,
    /// GRE with packets in it, as IP in IPv4.
    Ipgre = 778,
    /// Packets without a header of the link, and no addresses.
    None = 0xfffe,
}

impl Arphrd {
    /// Bytes of the header in front of each packet (`hard_header_len` of devices that write one).
    pub fn header_len(self) -> usize {
        match self {
            Arphrd::Ether | Arphrd::Loopback => ETH_HLEN,
            Arphrd::Tunnel | Arphrd::Ipgre | Arphrd::None => 0,
        }
    }

    /// Bytes of an address (`addr_len`).
    pub fn addr_len(self) -> usize {
        match self {
            Arphrd::Ether | Arphrd::Loopback => 6,
            Arphrd::Tunnel | Arphrd::Ipgre => 4,
            Arphrd::None => 0,
        }
    }

    /// Its addresses are those of Ethernet.
    pub fn has_mac(self) -> bool {
        matches!(self, Arphrd::Ether | Arphrd::Loopback)
    }

    /// An address as programs write it: hexadecimal bytes, or an IPv4 address (`ll_addr_n2a`).
    pub fn address(self, addr: Mac) -> String {
        match self {
            Arphrd::Ether | Arphrd::Loopback => addr.to_string(),
            Arphrd::None => String::new(),
            Arphrd::Tunnel | Arphrd::Ipgre => ipv4_of_link(addr).to_string(),
        }
    }
}

/// The IPv4 address that is the address of a link.
pub fn ipv4_of_link(addr: Mac) -> Ipv4Addr {
    let [a, b, c, d, ..] = addr.0;
    Ipv4Addr::new(a, b, c, d)
}

/// An IPv4 address as the address of a link: the first four bytes.
pub fn ipv4_link_address(addr: Ipv4Addr) -> Mac {
    let [a, b, c, d] = addr.octets();
    Mac([a, b, c, d, 0, 0])
}
