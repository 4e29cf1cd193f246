//! Chance in rules and turns of schedulers: what `-m statistic --mode random` or IPVS decides, and a script that decides in their place
//! for who asks "what if?".

use std::collections::BTreeMap;

/// What is certain, in the unit of the shares of a rule.
pub const CERTAIN: u32 = 1 << 31;
/// In how many ways a drawn hash may fall, and by how much of its range they differ.
const EIGHTHS: usize = 8;
const EIGHTH: u32 = 1 << 29;

/// Who decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chooser {
    /// A rule matched (0) or not (1). The next [note](crate::trace::Trace::notes) about a rule is about it.
    Rule {
        /// How many notes there were.
        note: usize,
    },
    /// A scheduler of IPVS chose one of the destinations that take new connections, oldest first.
    Scheduler(&'static str),
    /// The hash that a socket drew for its flow is so many eighths of the range further.
    Socket,
}

/// A decision about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chance {
    /// The packet (`Skb::packet`).
    pub packet: u32,
    /// Who decided.
    pub by: Chooser,
    /// How likely each outcome was: its part of the sum.
    pub shares: Vec<u32>,
    /// The outcome.
    pub outcome: usize,
}

/// Whose decisions are kept, and perhaps given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Whose {
    /// Nobody's: the world's dice and the schedulers' turns decide.
    #[default]
    Nobodys,
    /// Those about a packet (`Skb::packet`).
    Packet(u32),
    /// Those of the dice, about any packet.
    Dice,
}

/// How decisions fall.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Which ones.
    pub whose: Whose,
    /// How they are to fall, in order.
    pub falls: Vec<usize>,
    /// How they are to fall after that; `None`: as the dice and turns do.
    pub then: Option<usize>,
    /// Those that were met, in order. What is certain is no decision.
    pub met: Vec<Chance>,
    /// Hashes that sockets drew for their flows; those that something hung on, and how they fell.
    pub drawn: BTreeMap<u32, Option<u32>>,
}

impl Script {
    /// A socket drew a hash for its flow.
    pub(crate) fn note_drawn(&mut self, hash: u32) {
        if self.whose == Whose::Dice {
            self.drawn.insert(hash, None);
        }
    }

    /// The hash of a packet's flow, as it falls if a socket drew it: each of the next hops that share a route evenly, of up to eight,
    /// has an outcome that leads to it.
    pub(crate) fn fallen(&mut self, packet: u32, hash: u32) -> u32 {
        let Some(known) = self.drawn.get(&hash) else { return hash };
        if let Some(fallen) = known {
            return *fallen;
        }
        let outcome = self.next().unwrap_or(0) % EIGHTHS;
        let fallen = hash.wrapping_add((outcome as u32).wrapping_mul(EIGHTH));
        self.met.push(Chance {
            packet,
            by: Chooser::Socket,
            shares: vec![CERTAIN / EIGHTHS as u32; EIGHTHS],
            outcome,
        });
        self.drawn.insert(hash, Some(fallen));
        fallen
    }

    /// How the next decision is to fall, if that is given.
    pub(crate) fn next(&self) -> Option<usize> {
        self.falls.get(self.met.len()).copied().or(self.then)
    }
}
