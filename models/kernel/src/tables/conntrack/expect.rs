//! Expected connections.
//!
//! Kernel: include/net/netfilter/nf_conntrack_expect.h, net/netfilter/nf_conntrack_expect.c

use glassnet_sim::Nanos;

use super::{CtId, Dir, Tuple};
use crate::ids::NetnsId;

/// A connection that a helper expects (`struct nf_conntrack_expect`). Its source port may be any.
#[derive(Clone, Debug)]
pub struct Expect {
    /// The tuple of its first packet, with source port 0.
    pub tuple: Tuple,
    /// The connection that announced it. It holds no reference: with it the expectation goes.
    pub master: CtId,
    /// Namespace of the master.
    pub netns: NetnsId,
    /// Zone of the master, by direction.
    pub zone: [u16; 2],
    /// When it is given up.
    pub timeout: Nanos,
    /// NAT of the connection, if its master has NAT.
    pub nat: Option<ExpectNat>,
    /// Serial number.
    pub number: u32,
}

/// NAT of an expected connection.
#[derive(Clone, Copy, Debug)]
pub struct ExpectNat {
    /// The direction of the master that it follows (`dir`).
    pub dir: Dir,
    /// The port that was announced (`saved_proto`).
    pub saved_port: u16,
}

impl Expect {
    /// Remaining time in whole seconds.
    pub fn expires_secs(&self, now: Nanos) -> u64 {
        self.timeout.since(super::nfct_time_stamp(now)).0 / 1_000_000_000
    }

    /// A packet with this tuple, in this zone, is the expected one. Two expectations of which one has the tuple of the
    /// other clash.
    pub fn means(&self, netns: NetnsId, zone: [u16; 2], tuple: &Tuple) -> bool {
        let wanted = Tuple { sport: self.tuple.sport, ..*tuple };
        // Of a zone only the number counts, whatever its direction.
        let number = |[original, reply]: [u16; 2]| original.max(reply);
        self.netns == netns && self.tuple == wanted && number(self.zone) == number(zone)
    }
}

/// All expectations of a machine, newest last.
#[derive(Debug, Default)]
pub struct Expectations {
    list: Vec<Expect>,
    made: u32,
}

impl Expectations {
    /// All, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Expect> {
        self.list.iter()
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds one and returns its serial number.
    pub fn insert(&mut self, expect: Expect) -> u32 {
        self.made = self.made.wrapping_add(1);
        self.list.push(Expect { number: self.made, ..expect });
        self.made
    }

    /// Takes one out.
    pub fn remove(&mut self, number: u32) -> Option<Expect> {
        let at = self.list.iter().position(|expect| expect.number == number)?;
        Some(self.list.remove(at))
    }
}
