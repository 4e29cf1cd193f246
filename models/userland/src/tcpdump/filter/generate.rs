//! Code generation for primitives, by the layout of the link layer.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::eval::{Base, Number, Operator, Relation, Test};
use crate::tcpdump::print::LinkType;

pub const ETHERTYPE_IP: u32 = 0x0800;
pub const ETHERTYPE_ARP: u32 = 0x0806;
pub const ETHERTYPE_RARP: u32 = 0x8035;
pub const ETHERTYPE_VLAN: u32 = 0x8100;
pub const ETHERTYPE_IPV6: u32 = 0x86dd;

pub const TCP: u32 = 6;
pub const UDP: u32 = 17;
pub const SCTP: u32 = 132;

/// Source or destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// `src or dst`, and no word at all.
    #[default]
    Either,
    /// `src`
    Source,
    /// `dst`
    Destination,
    /// `src and dst`
    Both,
}

/// Offsets of the network header and of its type, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Layout {
    pub link: LinkType,
    pub kind: u32,
    pub network: u32,
}

impl Layout {
    /// The layout of frames without VLAN tags.
    pub fn new(link: LinkType) -> Layout {
        let (kind, network) = match link {
            LinkType::Ethernet => (12, 14),
            LinkType::Raw => (0, 0),
            LinkType::LinuxSll => (14, 16),
            LinkType::LinuxSll2 => (0, 20),
        };
        Layout { link, kind, network }
    }

    /// Layout behind a VLAN tag.
    pub fn behind_tag(self) -> Layout {
        Layout { kind: self.network + 2, network: self.network + 4, ..self }
    }
}

pub fn and(a: Test, b: Test) -> Test {
    Test::And(Box::new(a), Box::new(b))
}

pub fn or(a: Test, b: Test) -> Test {
    Test::Or(Box::new(a), Box::new(b))
}

fn any(tests: impl IntoIterator<Item = Test>) -> Test {
    tests.into_iter().reduce(or).unwrap_or(Test::Always(false))
}

fn all(tests: impl IntoIterator<Item = Test>) -> Test {
    tests.into_iter().reduce(and).unwrap_or(Test::Always(true))
}

pub fn load(base: Base, at: u32, size: u32) -> Number {
    Number::Load(base, Box::new(Number::Constant(at)), size)
}

fn frame(at: u32, size: u32) -> Number {
    load(Base::Frame(at), 0, size)
}

fn equals(number: Number, value: u32) -> Test {
    Test::Compare(number, Relation::Equal, Number::Constant(value))
}

fn masked(number: Number, mask: u32) -> Number {
    if mask == u32::MAX {
        return number;
    }
    Number::Binary(Operator::And, Box::new(number), Box::new(Number::Constant(mask)))
}

impl Direction {
    /// Combines the tests of source and destination.
    pub fn combine(self, source: Test, destination: Test) -> Test {
        match self {
            Direction::Either => or(source, destination),
            Direction::Both => and(source, destination),
            Direction::Source => source,
            Direction::Destination => destination,
        }
    }
}

impl Layout {
    /// The frame has this EtherType.
    pub fn carries(self, kind: u32) -> Test {
        match self.link {
            LinkType::Raw => {
                let version = masked(frame(0, 1), 0xf0);
                match kind {
                    ETHERTYPE_IP => equals(version, 0x40),
                    ETHERTYPE_IPV6 => equals(version, 0x60),
                    _ => Test::Always(false),
                }
            }
            _ => equals(frame(self.kind, 2), kind),
        }
    }

    /// An 802.2 frame with this service access point.
    pub fn service(self, sap: u32) -> Test {
        if self.link != LinkType::Ethernet {
            // libpcap compares a field that is not set in cooked captures.
            return Test::Always(false);
        }
        let length = Test::Compare(frame(self.kind, 2), Relation::AtMost, Number::Constant(1500));
        and(length, equals(frame(self.network, 1), sap))
    }

    fn field(self, at: u32, size: u32) -> Number {
        frame(self.network + at, size)
    }

    /// IPv4 with this protocol.
    pub fn ipv4_protocol(self, protocol: u32) -> Test {
        and(self.carries(ETHERTYPE_IP), equals(self.field(9, 1), protocol))
    }

    /// IPv6 with this next header, also behind a fragment header.
    pub fn ipv6_protocol(self, protocol: u32) -> Test {
        let behind = and(equals(self.field(6, 1), 44), equals(self.field(40, 1), protocol));
        and(self.carries(ETHERTYPE_IPV6), or(equals(self.field(6, 1), protocol), behind))
    }

    /// Either version of IP with this protocol.
    pub fn ip_protocol(self, protocol: u32) -> Test {
        or(self.ipv4_protocol(protocol), self.ipv6_protocol(protocol))
    }

    /// Not a later fragment, so there is a transport header.
    pub fn first_fragment(self) -> Test {
        equals(masked(self.field(6, 2), 0x1fff), 0)
    }

    /// An IPv4 address, after `mask`, in the header of this EtherType.
    pub fn ipv4_host(self, kind: u32, address: Ipv4Addr, mask: Ipv4Addr, direction: Direction) -> Test {
        let (source, destination) = if kind == ETHERTYPE_IP { (12, 16) } else { (14, 24) };
        let end = |at| equals(masked(self.field(at, 4), mask.to_bits()), (address & mask).to_bits());
        and(self.carries(kind), direction.combine(end(source), end(destination)))
    }

    /// An IPv6 network.
    pub fn ipv6_host(self, address: Ipv6Addr, bits: u32, direction: Direction) -> Test {
        let words = address.octets();
        let end = |at: u32| {
            all((0..4).filter_map(|word: u32| {
                let mask = prefix_mask(bits.saturating_sub(word * 32).min(32));
                let first = word as usize * 4;
                let value =
                    u32::from_be_bytes([words[first], words[first + 1], words[first + 2], words[first + 3]]);
                (mask != 0).then(|| equals(masked(self.field(at + word * 4, 4), mask), value & mask))
            }))
        };
        and(self.carries(ETHERTYPE_IPV6), direction.combine(end(8), end(24)))
    }

    /// Ports from `low` to `high` of these protocols.
    pub fn ports(self, protocols: &[u32], low: u32, high: u32, direction: Direction) -> Test {
        let within = |number: Number| {
            if low == high {
                return equals(number, low);
            }
            let least = Test::Compare(number.clone(), Relation::AtLeast, Number::Constant(low));
            and(least, Test::Compare(number, Relation::AtMost, Number::Constant(high)))
        };
        let transport = Base::Transport(self.network);
        let ipv6_ports = direction.combine(within(self.field(40, 2)), within(self.field(42, 2)));
        let ipv4_ports = direction.combine(within(load(transport, 0, 2)), within(load(transport, 2, 2)));
        let ipv6 = any(protocols.iter().map(|protocol| equals(self.field(6, 1), *protocol)));
        let ipv4 = any(protocols.iter().map(|protocol| equals(self.field(9, 1), *protocol)));
        or(
            and(self.carries(ETHERTYPE_IPV6), and(ipv6, ipv6_ports)),
            and(self.carries(ETHERTYPE_IP), and(ipv4, and(self.first_fragment(), ipv4_ports))),
        )
    }

    /// A MAC address of an Ethernet frame.
    pub fn ether_host(self, mac: [u8; 6], direction: Direction) -> Test {
        let end = |at: u32| {
            let low = u32::from_be_bytes([mac[2], mac[3], mac[4], mac[5]]);
            let high = u32::from_be_bytes([0, 0, mac[0], mac[1]]);
            and(equals(frame(at + 2, 4), low), equals(frame(at, 2), high))
        };
        direction.combine(end(6), end(0))
    }

    /// The group bit of the destination MAC address.
    pub fn ether_multicast(self) -> Test {
        Test::Compare(masked(frame(0, 1), 1), Relation::Unequal, Number::Constant(0))
    }

    /// IPv4 multicast.
    pub fn ip_multicast(self) -> Test {
        let group = Test::Compare(self.field(16, 1), Relation::AtLeast, Number::Constant(224));
        and(self.carries(ETHERTYPE_IP), group)
    }

    /// IPv6 multicast.
    pub fn ip6_multicast(self) -> Test {
        and(self.carries(ETHERTYPE_IPV6), equals(self.field(24, 1), 255))
    }

    /// IPv4 broadcast in a network with this mask.
    pub fn ip_broadcast(self, netmask: Ipv4Addr) -> Test {
        let hosts = (!netmask).to_bits();
        let address = || masked(self.field(16, 4), hosts);
        and(self.carries(ETHERTYPE_IP), or(equals(address(), 0), equals(address(), hosts)))
    }

    /// Outgoing or incoming packets.
    pub fn way(self, outgoing: bool, live: bool) -> Result<Test, String> {
        const PACKET_OUTGOING: u32 = 4;
        let relation = if outgoing { Relation::Equal } else { Relation::Unequal };
        let kind = match self.link {
            LinkType::LinuxSll => frame(0, 2),
            LinkType::LinuxSll2 => frame(10, 1),
            _ if live => return Ok(equals(Number::Outgoing, u32::from(outgoing))),
            other => {
                let link = other.names().1;
                return Err(format!("inbound/outbound not supported on {link} when reading savefiles"));
            }
        };
        Ok(Test::Compare(kind, relation, Number::Constant(PACKET_OUTGOING)))
    }

    /// The VLAN tag beside the packet, with this VLAN ID if given.
    pub fn tagged_beside(self, number: Option<u32>) -> Test {
        number.map_or(Test::Always(true), |number| equals(masked(Number::Tag, 0x0fff), number))
    }

    /// A VLAN tag, with this VLAN ID if given.
    pub fn tagged(self, number: Option<u32>) -> Test {
        let kinds = [ETHERTYPE_VLAN, 0x88a8, 0x9100];
        let tag = any(kinds.map(|kind| self.carries(kind)));
        match number {
            Some(number) => and(tag, equals(masked(self.field(0, 2), 0x0fff), number)),
            None => tag,
        }
    }
}

/// The netmask of a prefix of this many bits, at most 32.
pub fn prefix_mask(bits: u32) -> u32 {
    u32::MAX.checked_shl(32 - bits).unwrap_or(0)
}
