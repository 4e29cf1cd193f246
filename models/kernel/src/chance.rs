//! Chance in rules and turns of schedulers: what `-m statistic --mode random` or IPVS decides, and a script that decides in their place
//! for who asks "what if?".

/// What is certain, in the unit of the shares of a rule.
pub const CERTAIN: u32 = 1 << 31;

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
}

impl Script {
    /// How the next decision is to fall, if that is given.
    pub(crate) fn next(&self) -> Option<usize> {
        self.falls.get(self.met.len()).copied().or(self.then)
    }
}
