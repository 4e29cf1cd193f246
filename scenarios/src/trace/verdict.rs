//! End of a trace.

use glassnet_kernel::door::Func;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::trace::StepKind;

use super::phases::{Kind, Phase};
use super::replies::Reply;
use super::send::Sent;
use crate::view::{End, Story};
use glassnet_kernel::drivers::nic::transmits;

/// Kind of end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Delivered to a socket or to the kernel.
    Delivered,
    /// It left the machines of the lesson.
    SentOut,
    /// Refused: no listener, a rule that rejects, or no route.
    Refused,
    /// Dropped silently.
    Dropped,
    /// Still queued.
    Waiting,
}

impl Ending {
    /// Name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Delivered => "delivered",
            Ending::SentOut => "sent out",
            Ending::Refused => "refused",
            Ending::Dropped => "dropped",
            Ending::Waiting => "waiting",
        }
    }

    /// The packet got through.
    pub fn is_success(self) -> bool {
        matches!(self, Ending::Delivered | Ending::SentOut)
    }
}

/// End of a trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Kind.
    pub ending: Ending,
    /// A line of text.
    pub text: String,
}

/// Determines the end of a trace.
pub fn verdict(story: &Story, way: &[usize], phases: &[Phase], sent: &Sent, replies: &[Reply]) -> Verdict {
    let Some(last) = phases.last() else { return not_sent(sent) };
    let at = format!("in {}", last.host);
    let (ending, text) = match (last.kind, &last.hook) {
        (Kind::Delivered, _) => (Ending::Delivered, format!("{} {at}", last.text)),
        (_, Some(hooked)) if hooked.dropped.is_some() => {
            let by = hooked.dropped_by().unwrap_or_else(|| format!("the hook {}", hooked.chain));
            match hooked.refused() {
                Some(answer) => (Ending::Refused, format!("refused by {by} {at}: {answer}")),
                None => (Ending::Dropped, format!("dropped by {by} {at}")),
            }
        }
        (Kind::Dropped, _) => dropped(story, way, last, &at, replies),
        (Kind::Cable, _) if way.iter().any(|at| transmits(story.step(*at).func)) => {
            (Ending::SentOut, format!("left {} by {}", last.host, last.device))
        }
        _ if sent.refused.is_some() => return not_sent(sent),
        _ => (Ending::Waiting, format!("still on its way {at}: {}", last.text)),
    };
    Verdict { ending, text }
}

/// The system call failed.
fn not_sent(sent: &Sent) -> Verdict {
    let why = sent.refused.map_or("nothing happened".to_owned(), |errno| errno.strerror().to_owned());
    Verdict { ending: Ending::Refused, text: format!("not sent: {why}") }
}

fn passed(story: &Story, way: &[usize], func: Func) -> bool {
    way.iter().any(|at| story.step(*at).func == func)
}

fn dropped(story: &Story, way: &[usize], last: &Phase, at: &str, replies: &[Reply]) -> (Ending, String) {
    let reason = way.iter().rev().find_map(|step| match story.step(*step).kind {
        StepKind::Drop(reason) => Some(reason),
        _ => None,
    });
    let to = story.headers_at(last.step).map_or(String::new(), |headers| End::Destination.of(headers));
    match reason {
        Some(DropReason::NoSocket) if passed(story, way, Func::TcpV4Rcv) => {
            (Ending::Refused, format!("refused: no listener on {to} {at} ({})", goes_back("reset", replies)))
        }
        Some(DropReason::NoSocket) => {
            let icmp = goes_back("ICMP port unreachable", replies);
            (Ending::Refused, format!("refused: no listener on {to} {at} ({icmp})"))
        }
        _ => (Ending::Dropped, format!("{} {at}", last.text)),
    }
}

/// Whether the answer of a host without a listener goes back.
fn goes_back(answer: &str, replies: &[Reply]) -> String {
    match replies.first().map(|reply| &reply.lost) {
        Some(None) if answer == "reset" => "a reset goes back".to_owned(),
        Some(None) => format!("{answer} goes back"),
        Some(Some(lost)) => format!("its {answer} is {lost}"),
        None => format!("no {answer} goes back"),
    }
}
