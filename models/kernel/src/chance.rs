//! Chance in rules: what `-m statistic --mode random` decides, and a script that decides in its place for who asks
//! "what if?".

/// What is certain, in the unit of [`Chance::probability`].
pub const CERTAIN: u32 = 1 << 31;

/// A decision that chance made about a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chance {
    /// How many [notes](crate::trace::Trace::notes) there were: the next one about a rule is about the one that asked.
    pub note: usize,
    /// How likely "yes" was, in units of 2^-31, as the rule holds it.
    pub probability: u32,
    /// How it fell.
    pub outcome: bool,
}

/// How the decisions about one packet fall. About other packets the world's dice decide, and nobody keeps it.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// The packet (`Skb::packet`); 0: none.
    pub packet: u32,
    /// How they are to fall, in order, and "yes" after that; `None`: as the world's dice do.
    pub falls: Option<Vec<bool>>,
    /// Those that the packet met, in order. What is certain is no decision.
    pub met: Vec<Chance>,
}
