//! Filters for connections.

use std::net::Ipv4Addr;

use glassnet_kernel::tables::conntrack::{
    Conn, Dir, IPS_DST_NAT_DONE, IPS_SRC_NAT_DONE, Proto, SctpState, TcpState, Tuple,
};
use glassnet_wire::ipv4::IPPROTO_ICMP;

use super::show::common_zone;

/// An address and its mask.
pub type Network = (Ipv4Addr, Ipv4Addr);

/// Condition on a NAT mapping; empty: any.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Nat {
    /// The address.
    pub address: Option<Ipv4Addr>,
    /// The port.
    pub port: Option<u16>,
}

/// Conditions on a connection; `None`: any.
#[derive(Clone, Copy, Debug, Default)]
pub struct Filter {
    /// Matches nothing: another address family.
    pub never: bool,
    /// Source and destination of the original direction.
    pub orig: (Option<Network>, Option<Network>),
    /// Source and destination of the reply direction.
    pub reply: (Option<Network>, Option<Network>),
    /// Protocol.
    pub proto: Option<u8>,
    /// Ports: source and destination of the original direction, then of the reply direction.
    pub ports: [Option<u16>; 4],
    /// ICMP type, code and identifier of the original direction.
    pub icmp: [Option<u16>; 3],
    /// TCP state.
    pub state: Option<TcpState>,
    /// SCTP state.
    pub sctp_state: Option<SctpState>,
    /// `IPS_*` bits that must be set, and bits that must not.
    pub status: Option<(u16, u16)>,
    /// Mark and mask.
    pub mark: Option<(u32, u32)>,
    /// Zone of both directions.
    pub zone: Option<u16>,
    /// Zone of each direction.
    pub zones: (Option<u16>, Option<u16>),
    /// `-n`.
    pub src_nat: Option<Nat>,
    /// `-g`.
    pub dst_nat: Option<Nat>,
    /// `-j`.
    pub any_nat: Option<Nat>,
}

impl Filter {
    /// Matches a connection. `by_mark`: mark and status are conditions, not values to set.
    pub fn means(&self, conn: &Conn, by_mark: bool) -> bool {
        let inside =
            |network: Option<Network>, addr: Ipv4Addr| network.is_none_or(|(net, mask)| addr & mask == net);
        let [original, reply] = &conn.tuples;
        let values = [original.sport, original.dport, reply.sport, reply.dport];
        let icmp = [original.dport >> 8, original.dport & 0xff, original.sport];
        let same = |wanted: &[Option<u16>], have: &[u16]| {
            wanted.iter().zip(have).all(|(wanted, have)| wanted.is_none_or(|wanted| wanted == *have))
        };
        !self.never
            && inside(self.orig.0, original.src)
            && inside(self.orig.1, original.dst)
            && inside(self.reply.0, reply.src)
            && inside(self.reply.1, reply.dst)
            && self.proto.is_none_or(|proto| proto == original.proto)
            && same(&self.ports, &values)
            && same(&self.icmp, &icmp)
            && self.means_zone(conn)
            && self.means_nat(conn)
            && (!by_mark || self.means_state(conn))
    }

    fn means_state(&self, conn: &Conn) -> bool {
        let (state, sctp_state) = match &conn.proto {
            Proto::Tcp(track) => (Some(track.state), None),
            Proto::Sctp(track) => (None, Some(track.state)),
            Proto::None | Proto::Udp { .. } => (None, None),
        };
        self.state.is_none_or(|wanted| state == Some(wanted))
            && self.sctp_state.is_none_or(|wanted| sctp_state == Some(wanted))
            && self.mark.is_none_or(|(mark, mask)| conn.mark & mask == mark)
            && self.status.is_none_or(|(set, unset)| conn.status & set == set && conn.status & unset == 0)
    }

    fn means_zone(&self, conn: &Conn) -> bool {
        // The zone of one direction differs from that of both.
        let common = common_zone(conn);
        let of = |dir: usize| if common.is_none() { conn.zone[dir] } else { 0 };
        self.zone.is_none_or(|zone| common.unwrap_or(0) == zone)
            && self.zones.0.is_none_or(|zone| of(0) == zone)
            && self.zones.1.is_none_or(|zone| of(1) == zone)
    }

    fn means_nat(&self, conn: &Conn) -> bool {
        let source = |nat: Nat| natted(conn, Dir::Original, nat);
        let dest = |nat: Nat| natted(conn, Dir::Reply, nat);
        let wanted = [self.src_nat.map(source), self.dst_nat.map(dest)];
        wanted.into_iter().all(|wanted| wanted.is_none_or(|is| is))
            && self.any_nat.is_none_or(|nat| source(nat) || dest(nat))
    }
}

/// Ports as the library compares them: for ICMP the identifier, and type and code.
fn ports(tuple: &Tuple) -> (u16, u16) {
    (tuple.sport, tuple.dport)
}

/// The connection has source NAT (direction `Original`) or destination NAT with this mapping.
fn natted(conn: &Conn, dir: Dir, nat: Nat) -> bool {
    let [original, reply] = &conn.tuples;
    let (done, before, after) = match dir {
        Dir::Original => (IPS_SRC_NAT_DONE, (original.src, ports(original).0), (reply.dst, ports(reply).1)),
        Dir::Reply => (IPS_DST_NAT_DONE, (original.dst, ports(original).1), (reply.src, ports(reply).0)),
    };
    if !conn.has(done) {
        return false;
    }
    let (moved, renumbered) = (before.0 != after.0, before.1 != after.1);
    match (nat.address, nat.port) {
        (None, None) => moved || renumbered,
        (address, port) => {
            address.is_none_or(|address| moved && after.0 == address)
                && port.is_none_or(|port| renumbered && after.1 == port && original.proto != IPPROTO_ICMP)
        }
    }
}
