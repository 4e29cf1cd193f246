//! A packet's way in time, as text: on which CPU and in which context it was worked on and for how long, and where it waited between.

use glassnet_kernel::drivers::nic::transmits;
use glassnet_kernel::trace::{Context, StepKind};
use glassnet_sim::Nanos;

use super::story::{Exchange, Story};

/// A time in which one CPU worked on a packet in one context.
#[derive(Clone, Debug)]
pub struct Stretch {
    /// From when on.
    pub from: Nanos,
    /// Until when.
    pub to: Nanos,
    /// Its steps, as indexes into [`Trace::steps`](glassnet_kernel::trace::Trace::steps).
    pub steps: Vec<usize>,
    /// Where the packet was since the stretch before, and how long.
    pub waited: Option<(Nanos, String)>,
}

/// When a step was over: a call that others follow in, not necessarily of this packet, when the first of them began.
fn end(story: &Story, at: usize) -> Nanos {
    let step = story.step(at);
    let end = step.left.or(step.handed_on).unwrap_or(step.at);
    let next = story.world().trace.steps.get(at + 1);
    let next = next.filter(|next| (next.machine, next.cpu) == (step.machine, step.cpu));
    next.map_or(end, |next| end.min(next.at).max(step.at))
}

/// The stretches of a packet in an exchange, in the order of time.
pub fn stretches(story: &Story, exchange: &Exchange, packet: usize) -> Vec<Stretch> {
    let mut all: Vec<Stretch> = Vec::new();
    let lane = |at: usize| {
        let step = story.step(at);
        (step.machine, step.cpu, step.context)
    };
    let mut before = None;
    for at in exchange.steps.iter().copied() {
        let own = story.owner(at) == packet;
        // What the CPU did for another packet meanwhile ends a stretch.
        let goes_on = own && before == Some(lane(at));
        before = own.then(|| lane(at));
        match all.last_mut().filter(|_| goes_on) {
            Some(stretch) => {
                stretch.to = stretch.to.max(end(story, at));
                stretch.steps.push(at);
            }
            None if own => {
                all.push(Stretch {
                    from: story.step(at).at,
                    to: end(story, at),
                    steps: vec![at],
                    waited: None,
                });
            }
            None => {}
        }
    }
    all.sort_by_key(|stretch| stretch.from);
    for at in 1..all.len() {
        all[at].waited = waited(story, &all[..at], &all[at]);
    }
    all
}

/// The card gives a packet back that was sent: it is at the other end of the cable by then.
fn is_completion(story: &Story, stretch: &Stretch) -> bool {
    let is_call = |at: &usize| story.step(*at).kind == StepKind::Call;
    let first = story.step(stretch.steps[0]);
    first.context != Context::Task && stretch.steps.iter().all(is_call)
}

/// Where a packet was before a stretch, and how long.
fn waited(story: &Story, before: &[Stretch], stretch: &Stretch) -> Option<(Nanos, String)> {
    let first = story.step(stretch.steps[0]);
    let is_here = |other: &&Stretch| story.step(other.steps[0]).machine == first.machine;
    let sent = before.iter().rev().find(|other| !is_completion(story, other));
    let left = before.iter().rev().find(is_here).or(sent)?;
    let last = story.step(*left.steps.last()?);
    let wait = stretch.from.since(left.to);
    if wait == Nanos::ZERO || transmits(last.func) && last.machine == first.machine {
        return None;
    }
    let name = last.func.name();
    let place = if last.machine != first.machine {
        match first.context {
            Context::HardIrq => "on the cable, and in the receive ring for the interrupt".to_owned(),
            _ => "on the cable and in the receive ring".to_owned(),
        }
    } else if name == "enqueue_to_backlog" {
        format!("in the backlog of CPU {}", first.cpu)
    } else if name == "__neigh_event_send" || name == "arp_send_dst" {
        "until the next hop's address is known".to_owned()
    } else if name.ends_with("_enqueue") {
        "in the queueing discipline".to_owned()
    } else if first.context == Context::Task && last.context != Context::Task {
        "in the queue of the socket".to_owned()
    } else if last.context == Context::HardIrq {
        "in the receive ring".to_owned()
    } else {
        format!("until CPU {} goes on", first.cpu)
    };
    Some((wait, place))
}
