//! What a kernel's timers do when they expire.

use crate::Cx;
use crate::ids::{DevId, NeighId, NetnsId, SocketId};

/// A timer. One that was set again or is no longer wanted is recognised when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// A bridge forgets silent stations.
    FdbCleanup(DevId),
    /// A neighbour is to be looked at.
    Neigh(NeighId),
    /// Neighbours may have been silent for too long.
    NeighGc,
    /// Fragments may have waited too long.
    IpFrag(NetnsId),
    /// A TCP socket sends again, or its state ends.
    Tcp(SocketId),
    /// Connections may have expired.
    ConntrackGc,
}

impl Timer {
    /// Runs the timer's function.
    pub fn expire(self, cx: &mut Cx) {
        match self {
            Timer::FdbCleanup(bridge) => crate::net::bridge::br_fdb::br_fdb_cleanup(cx, bridge),
            Timer::Neigh(neigh) => crate::net::core::neighbour::neigh_timer_handler(cx, neigh),
            Timer::NeighGc => crate::net::core::neighbour::neigh_periodic_work(cx),
            Timer::IpFrag(netns) => crate::net::ipv4::ip_fragment::ip_expire(cx, netns),
            Timer::Tcp(sock) => crate::net::ipv4::tcp_timer::tcp_write_timer(cx, sock),
            Timer::ConntrackGc => crate::net::netfilter::nf_conntrack_gc::gc_worker(cx),
        }
    }
}
