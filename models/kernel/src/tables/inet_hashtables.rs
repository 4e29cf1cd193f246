//! TCP socket look-up: connections by address pair, listeners and bound sockets by port.
//!
//! Kernel: include/net/inet_hashtables.h

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::net::Ipv4Addr;

use super::fast_hash::FastHasher;
use crate::ids::{NetnsId, SocketId};

/// Address pair of a connection, as seen by this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionKey {
    /// Namespace.
    pub netns: NetnsId,
    /// Local address and port.
    pub local: (Ipv4Addr, u16),
    /// Remote address and port.
    pub remote: (Ipv4Addr, u16),
}

/// TCP socket hash tables (`struct inet_hashinfo`).
#[derive(Debug, Default)]
pub struct InetHashinfo {
    connections: HashMap<ConnectionKey, SocketId, BuildHasherDefault<FastHasher>>,
    listeners: BTreeMap<(NetnsId, u16), Vec<SocketId>>,
    bound: BTreeMap<(NetnsId, u16), Vec<SocketId>>,
}

impl InetHashinfo {
    /// Looks up an established connection.
    pub fn connection(&self, key: &ConnectionKey) -> Option<SocketId> {
        self.connections.get(key).copied()
    }

    /// Inserts a connection; false if the address pair is in use.
    pub fn insert_connection(&mut self, key: ConnectionKey, id: SocketId) -> bool {
        if self.connections.contains_key(&key) {
            return false;
        }
        self.connections.insert(key, id);
        true
    }

    /// Removes a connection of this socket.
    pub fn remove_connection(&mut self, key: &ConnectionKey, id: SocketId) {
        if self.connections.get(key) == Some(&id) {
            self.connections.remove(key);
        }
    }

    /// Listeners on a port, in the order of `listen()`.
    pub fn listeners(&self, netns: NetnsId, port: u16) -> &[SocketId] {
        self.listeners.get(&(netns, port)).map_or(&[], Vec::as_slice)
    }

    /// Inserts a listener.
    pub fn insert_listener(&mut self, netns: NetnsId, port: u16, id: SocketId) {
        self.listeners.entry((netns, port)).or_default().push(id);
    }

    /// Removes a listener.
    pub fn remove_listener(&mut self, netns: NetnsId, port: u16, id: SocketId) {
        remove(&mut self.listeners, (netns, port), id);
    }

    /// Sockets bound to a port, in order of `bind()`.
    pub fn bound(&self, netns: NetnsId, port: u16) -> &[SocketId] {
        self.bound.get(&(netns, port)).map_or(&[], Vec::as_slice)
    }

    /// Binds a socket to the port.
    pub fn bind(&mut self, netns: NetnsId, port: u16, id: SocketId) {
        self.bound.entry((netns, port)).or_default().push(id);
    }

    /// Releases the port.
    pub fn unbind(&mut self, netns: NetnsId, port: u16, id: SocketId) {
        remove(&mut self.bound, (netns, port), id);
    }
}

fn remove(table: &mut BTreeMap<(NetnsId, u16), Vec<SocketId>>, key: (NetnsId, u16), id: SocketId) {
    if let Some(ids) = table.get_mut(&key) {
        ids.retain(|other| *other != id);
        if ids.is_empty() {
            table.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_by_both_ends_and_leaves_once() {
        let mut table = InetHashinfo::default();
        let key = ConnectionKey {
            netns: NetnsId(0),
            local: (Ipv4Addr::new(10, 0, 0, 1), 80),
            remote: (Ipv4Addr::new(10, 0, 0, 2), 40_000),
        };
        assert!(table.insert_connection(key, SocketId(3)));
        assert!(!table.insert_connection(key, SocketId(4)));
        table.remove_connection(&key, SocketId(4));
        assert_eq!(table.connection(&key), Some(SocketId(3)));
        assert_eq!(table.connection(&ConnectionKey { netns: NetnsId(1), ..key }), None);
        table.remove_connection(&key, SocketId(3));
        assert_eq!(table.connection(&key), None);
    }

    #[test]
    fn ports_are_held_by_several_and_let_go() {
        let mut table = InetHashinfo::default();
        for id in [1, 2] {
            table.bind(NetnsId(0), 80, SocketId(id));
        }
        assert_eq!(table.bound(NetnsId(0), 80), [SocketId(1), SocketId(2)]);
        table.unbind(NetnsId(0), 80, SocketId(1));
        table.unbind(NetnsId(0), 80, SocketId(2));
        assert!(table.bound(NetnsId(0), 80).is_empty() && table.bound(NetnsId(1), 80).is_empty());
    }
}
