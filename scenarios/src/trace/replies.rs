//! What is sent back because of the packet, and whether it gets through.

use glassnet_kernel::trace::StepKind;

use super::copies;
use super::phases::phases;
use super::send::Sent;
use super::verdict::{Ending, verdict};
use crate::view::Story;

/// A packet that answers the one that was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// As tcpdump prints it.
    pub summary: String,
    /// What drops it on its way back, and where; none if nothing does.
    pub lost: Option<String>,
}

/// The IPv4 packets that the packet with this number caused, in their order.
pub(super) fn replies(story: &Story, number: usize) -> Vec<Reply> {
    let caused = |packet: &crate::view::Packet| packet.cause == Some(number);
    let caused = story.packets.iter().enumerate().filter(|(_, packet)| caused(packet));
    let mut replies = Vec::new();
    for (at, packet) in caused {
        let lost = lost(story, at + 1);
        // One that was never sent has no header to print.
        if packet.summary.starts_with("IP ") {
            replies.push(Reply { summary: packet.summary.clone(), lost });
        }
    }
    replies
}

/// What drops the packet with this number, other than that nobody waits for it.
fn lost(story: &Story, number: usize) -> Option<String> {
    let steps = &story.world().trace.steps;
    let first = (0..steps.len()).find(|at| story.owner(*at) == number && steps[*at].packet != 0)?;
    let way = copies::way(story, steps[first].packet);
    if !way.iter().any(|at| matches!(story.step(*at).kind, StepKind::Drop(_))) {
        return None;
    }
    let sent = Sent { packet: steps[first].packet, refused: None };
    let end = verdict(story, &way, &phases(story, &way), &sent, &[]);
    let by_a_rule = end.ending == Ending::Refused && end.text.starts_with("refused by ");
    (end.ending == Ending::Dropped || by_a_rule).then_some(end.text)
}
