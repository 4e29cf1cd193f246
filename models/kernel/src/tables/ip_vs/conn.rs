//! The connection table of IPVS.
//!
//! Kernel: net/netfilter/ipvs/ip_vs_conn.c, net/netfilter/ipvs/ip_vs_proto_tcp.c

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use glassnet_wire::ipv4::{IPPROTO_TCP, IPPROTO_UDP};

use super::svc::DestId;
use super::{CONN_F_FWD_MASK, CONN_F_HASHED, CONN_F_MASQ, CONN_F_TEMPLATE};
use crate::ids::NetnsId;
use crate::tables::fast_hash::FastHasher;

/// Number of TCP's states, with the one of no connection (`IP_VS_TCP_S_LAST`).
pub const TCP_STATES: usize = 11;
/// `IP_VS_TCP_S_NONE`.
pub const TCP_S_NONE: u8 = 0;
/// `IP_VS_TCP_S_ESTABLISHED`.
pub const TCP_S_ESTABLISHED: u8 = 1;
/// `IP_VS_TCP_S_SYN_SENT`.
pub const TCP_S_SYN_SENT: u8 = 2;
/// `IP_VS_TCP_S_SYN_RECV`.
pub const TCP_S_SYN_RECV: u8 = 3;
/// `IP_VS_TCP_S_FIN_WAIT`.
pub const TCP_S_FIN_WAIT: u8 = 4;
/// `IP_VS_TCP_S_TIME_WAIT`.
pub const TCP_S_TIME_WAIT: u8 = 5;
/// `IP_VS_TCP_S_CLOSE`.
pub const TCP_S_CLOSE: u8 = 6;
/// `IP_VS_TCP_S_SYNACK`.
pub const TCP_S_SYNACK: u8 = 10;

/// Names and timeouts of TCP's states, seconds.
const TCP_STATE_TABLE: [(&str, u64); TCP_STATES] = [
    ("NONE", 2),
    ("ESTABLISHED", 15 * 60),
    ("SYN_SENT", 2 * 60),
    ("SYN_RECV", 60),
    ("FIN_WAIT", 2 * 60),
    ("TIME_WAIT", 2 * 60),
    ("CLOSE", 10),
    ("CLOSE_WAIT", 60),
    ("LAST_ACK", 30),
    ("LISTEN", 2 * 60),
    ("SYNACK", 2 * 60),
];

/// TCP's timeouts, as a namespace begins.
pub fn tcp_timeouts() -> [Nanos; TCP_STATES] {
    TCP_STATE_TABLE.map(|(_, secs)| Nanos::from_secs(secs))
}

/// `IP_VS_CTPL_S_ASSURED`: a connection of the template was established.
pub const CTPL_S_ASSURED: u8 = 1;

/// Handle of a connection; handles are reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u32);

/// Client and service of a connection (`struct ip_vs_conn_param`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnParam {
    /// Protocol; 0: a template of a service that is found by a mark.
    pub protocol: u8,
    /// The client, of a template its network.
    pub caddr: Ipv4Addr,
    /// The client's port; 0: a template.
    pub cport: u16,
    /// The service's address; of a template of a mark, the mark.
    pub vaddr: Ipv4Addr,
    /// The service's port.
    pub vport: u16,
}

/// A connection (`struct ip_vs_conn`).
#[derive(Clone, Debug)]
pub struct IpVsConn {
    /// Its namespace.
    pub netns: NetnsId,
    /// Client and service.
    pub param: ConnParam,
    /// The destination's address.
    pub daddr: Ipv4Addr,
    /// The destination's port.
    pub dport: u16,
    /// `IP_VS_CONN_F_*`.
    pub flags: u32,
    /// The mark of its first packet.
    pub fwmark: u32,
    /// Its destination.
    pub dest: Option<DestId>,
    /// State of the protocol; of a template, `IP_VS_CTPL_S_*`.
    pub state: u8,
    /// How long it lives without a packet.
    pub timeout: Nanos,
    /// When it expires, by the clock of ticks (`timer.expires`).
    pub expires: Nanos,
    /// When its timer runs, at the end of a slot of the wheel.
    pub fires: Nanos,
    /// For when a timer of the machine is set; it may have been put off since.
    pub armed: Option<Nanos>,
    /// The template that it was made by (`control`).
    pub control: Option<ConnId>,
    /// How many connections it is the template of.
    pub n_control: u32,
    /// Packets from the client.
    pub in_pkts: u32,
    /// Number in the order of creation.
    pub seq: u64,
}

impl IpVsConn {
    /// How its packets get to the destination (`IP_VS_FWD_METHOD`).
    pub fn fwd(&self) -> u32 {
        self.flags & CONN_F_FWD_MASK
    }

    /// The flag is set.
    pub fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }

    /// The name of its state (`ip_vs_state_name`).
    pub fn state_name(&self) -> &'static str {
        if self.has(CONN_F_TEMPLATE) {
            return if self.state == CTPL_S_ASSURED { "ASSURED" } else { "NONE" };
        }
        match self.param.protocol {
            IPPROTO_TCP => TCP_STATE_TABLE.get(usize::from(self.state)).map_or("ERR!", |state| state.0),
            IPPROTO_UDP => "UDP",
            _ => "NONE",
        }
    }
}

type Key = (NetnsId, u8, Ipv4Addr, u16);

/// All connections of a machine (`ip_vs_conn_tab`), hashed by protocol and client.
#[derive(Debug, Default)]
pub struct ConnTable {
    conns: Vec<Option<IpVsConn>>,
    free: Vec<u32>,
    table: HashMap<Key, Vec<ConnId>, BuildHasherDefault<FastHasher>>,
    made: u64,
}

fn key(netns: NetnsId, param: &ConnParam) -> Key {
    (netns, param.protocol, param.caddr, param.cport)
}

impl ConnTable {
    /// The connection.
    #[inline]
    pub fn get(&self, id: ConnId) -> Option<&IpVsConn> {
        self.conns.get(id.0 as usize)?.as_ref()
    }

    /// The connection, to change it; not what it is hashed by.
    #[inline]
    pub fn get_mut(&mut self, id: ConnId) -> Option<&mut IpVsConn> {
        self.conns.get_mut(id.0 as usize)?.as_mut()
    }

    /// Adds a connection, which is not in the hash table yet.
    pub fn add(&mut self, mut conn: IpVsConn) -> ConnId {
        self.made += 1;
        conn.seq = self.made;
        if let Some(at) = self.free.pop() {
            self.conns[at as usize] = Some(conn);
            return ConnId(at);
        }
        self.conns.push(Some(conn));
        ConnId(self.conns.len() as u32 - 1)
    }

    /// Puts a connection into the hash table (`ip_vs_conn_hash`).
    pub fn hash(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        conn.flags |= CONN_F_HASHED;
        self.table.entry(key(conn.netns, &conn.param)).or_default().push(id);
    }

    /// Takes a connection out of the hash table (`ip_vs_conn_unhash`).
    pub fn unhash(&mut self, id: ConnId) {
        let Some(conn) = self.conns.get_mut(id.0 as usize).and_then(Option::as_mut) else { return };
        conn.flags &= !CONN_F_HASHED;
        let key = key(conn.netns, &conn.param);
        if let Some(chain) = self.table.get_mut(&key) {
            chain.retain(|other| *other != id);
            if chain.is_empty() {
                self.table.remove(&key);
            }
        }
    }

    /// Takes a connection away altogether.
    pub fn remove(&mut self, id: ConnId) -> Option<IpVsConn> {
        self.unhash(id);
        let conn = self.conns.get_mut(id.0 as usize)?.take()?;
        self.free.push(id.0);
        Some(conn)
    }

    fn chain(&self, netns: NetnsId, param: &ConnParam) -> impl Iterator<Item = (ConnId, &IpVsConn)> {
        let chain = self.table.get(&key(netns, param)).map_or(&[][..], Vec::as_slice);
        chain.iter().rev().filter_map(|id| Some((*id, self.get(*id)?)))
    }

    /// The connection of a packet from a client to a service (`ip_vs_conn_in_get`). A client's port 0 is none.
    #[inline]
    pub fn in_get(&self, netns: NetnsId, param: &ConnParam) -> Option<ConnId> {
        if param.cport == 0 {
            return None;
        }
        self.chain(netns, param).find(|(_, conn)| conn.param == *param).map(|(id, _)| id)
    }

    /// The template of a client (`ip_vs_ct_in_get`).
    pub fn template(&self, netns: NetnsId, param: &ConnParam) -> Option<ConnId> {
        let is_it = |conn: &IpVsConn| conn.has(CONN_F_TEMPLATE) && conn.param == *param;
        self.chain(netns, param).find(|(_, conn)| is_it(conn)).map(|(id, _)| id)
    }

    /// The connection of a packet from a destination to a client (`ip_vs_conn_out_get`): in `param` the destination stands for
    /// the client, and the client for the service.
    #[inline]
    pub fn out_get(&self, netns: NetnsId, param: &ConnParam) -> Option<ConnId> {
        let (server, client) = ((param.caddr, param.cport), (param.vaddr, param.vport));
        let by_client = ConnParam { caddr: client.0, cport: client.1, ..*param };
        let sends = |conn: &IpVsConn| match conn.fwd() {
            CONN_F_MASQ => (conn.daddr, conn.dport) == server,
            _ => (conn.param.vaddr, conn.param.vport) == server,
        };
        self.chain(netns, &by_client).find(|(_, conn)| sends(conn)).map(|(id, _)| id)
    }

    /// The connections of a namespace, in the order of creation (the kernel lists them by a hash with a random seed).
    pub fn list(&self, netns: NetnsId) -> Vec<ConnId> {
        let of = |conn: &IpVsConn| (conn.netns == netns && conn.has(CONN_F_HASHED)).then_some(conn.seq);
        let all = (0..).zip(&self.conns);
        let mut found: Vec<_> =
            all.filter_map(|(at, conn)| Some((of(conn.as_ref()?)?, ConnId(at)))).collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }
}
