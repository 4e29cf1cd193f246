//! Chance in rules: what `-m statistic --mode random` decides, and a script that decides in its place for who asks
//! "what if?".

use crate::Cx;
use crate::ids::SkbId;

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

impl Cx<'_> {
    /// Decides by chance about a packet: "yes" in `probability` of 2^31 cases.
    pub fn chance(&mut self, skb: SkbId, probability: u32) -> bool {
        if probability == 0 || probability >= CERTAIN {
            return probability != 0;
        }
        let (packet, note) = (self.skbs[skb].packet, self.trace.notes.len());
        let script = &mut self.trace.script;
        if script.packet == 0 || script.packet != packet {
            return self.dice.below(u64::from(CERTAIN)) < u64::from(probability);
        }
        let outcome = match &script.falls {
            Some(falls) => falls.get(script.met.len()).copied().unwrap_or(true),
            None => self.dice.below(u64::from(CERTAIN)) < u64::from(probability),
        };
        script.met.push(Chance { note, probability, outcome });
        outcome
    }
}
