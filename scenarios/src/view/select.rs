//! Which part of a run is shown.

use super::story::{Exchange, Story};

/// A part of a run; what is `None` does not narrow it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// The prompts of this block, counted from 1.
    pub block: Option<usize>,
    /// This prompt, counted from 1 through the whole lesson.
    pub prompt: Option<usize>,
    /// The exchange of this packet.
    pub packet: Option<usize>,
    /// Every rule that did not match, also of long runs.
    pub all_rules: bool,
}

impl Selection {
    /// The parts that are named exist.
    ///
    /// # Errors
    ///
    /// Which block, prompt or packet is not there.
    pub fn check(&self, story: &Story) -> Result<(), String> {
        let blocks = story.typed.last().map_or(0, |typed| typed.block);
        check("block", self.block, blocks)?;
        check("prompt", self.prompt, story.typed.len())?;
        check("packet", self.packet, story.packets.len())
    }

    /// The prompt with this number is shown; 0: what happened before the first.
    pub fn has_prompt(&self, story: &Story, prompt: usize) -> bool {
        let block = prompt.checked_sub(1).map_or(0, |at| story.typed[at].block);
        self.prompt.is_none_or(|wanted| wanted == prompt) && self.block.is_none_or(|wanted| wanted == block)
    }

    /// The exchange is shown, if its prompt is.
    pub fn has_exchange(&self, exchange: &Exchange) -> bool {
        self.packet.is_none_or(|wanted| exchange.packets.contains(&wanted))
    }
}

fn check(what: &str, wanted: Option<usize>, count: usize) -> Result<(), String> {
    match wanted {
        Some(number) if number == 0 || number > count => {
            Err(format!("there is no {what} {number}: the lesson has {count}, counted from 1"))
        }
        _ => Ok(()),
    }
}
