//! Selection of a part of a run.

use super::story::{Exchange, Story};

/// A part of a run; `None` does not restrict it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Block, from 1.
    pub block: Option<usize>,
    /// Prompt, from 1, counted through the whole lesson.
    pub prompt: Option<usize>,
    /// Packet whose exchange is shown.
    pub packet: Option<usize>,
    /// Does not fold runs of rules that did not match.
    pub all_rules: bool,
}

impl Selection {
    /// Checks that the selected parts exist.
    ///
    /// # Errors
    ///
    /// The missing block, prompt or packet.
    pub fn check(&self, story: &Story) -> Result<(), String> {
        let blocks = story.typed.last().map_or(0, |typed| typed.block);
        check("block", self.block, blocks)?;
        check("prompt", self.prompt, story.typed.len())?;
        check("packet", self.packet, story.packets.len())
    }

    /// The prompt with this number is selected; 0: before the first.
    pub fn has_prompt(&self, story: &Story, prompt: usize) -> bool {
        let block = prompt.checked_sub(1).map_or(0, |at| story.typed[at].block);
        self.prompt.is_none_or(|wanted| wanted == prompt) && self.block.is_none_or(|wanted| wanted == block)
    }

    /// The exchange is selected, if its prompt is.
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
