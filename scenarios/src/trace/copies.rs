//! Copies of a packet: flooding makes several, and a cable makes a new one. The trace follows the copy that got
//! furthest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use glassnet_kernel::door::Func;
use glassnet_kernel::tables::drop_reason::DropReason;
use glassnet_kernel::trace::StepKind;

use crate::view::Story;
use glassnet_kernel::drivers::nic::transmits;

/// One copy.
#[derive(Clone, Debug, Default)]
struct Copy {
    /// The copy that it was cloned from.
    parent: Option<usize>,
    /// Its steps.
    steps: Vec<usize>,
}

/// Steps of the copy that got furthest, in order.
pub fn way(story: &Story, packet: u32) -> Vec<usize> {
    let copies = copies(story, packet);
    let depth = |at: usize| std::iter::successors(Some(at), |at| copies[*at].parent).count();
    let key = |at: &usize| (rank(story, &copies[*at]), depth(*at), Reverse(*at));
    let best = (0..copies.len()).max_by_key(key);
    let mut way = Vec::new();
    let mut next = best;
    while let Some(at) = next {
        let before = way.last().copied().unwrap_or(usize::MAX);
        way.extend(copies[at].steps.iter().rev().filter(|step| **step < before));
        next = copies[at].parent;
    }
    way.reverse();
    way
}

fn copies(story: &Story, packet: u32) -> Vec<Copy> {
    let mut copies: Vec<Copy> = Vec::new();
    let mut alive: BTreeMap<u32, usize> = BTreeMap::new();
    let mut maker = None;
    for at in story.steps_of(packet, 0) {
        let step = story.step(at);
        let copy = *alive.entry(step.skb).or_insert_with(|| {
            copies.push(Copy { parent: maker, steps: Vec::new() });
            copies.len() - 1
        });
        copies[copy].steps.push(at);
        if matches!(step.func, Func::SkbClone | Func::PskbCopyFclone) || transmits(step.func) {
            maker = Some(copy);
        }
        if step.func.is_end() || matches!(step.kind, StepKind::Drop(_)) {
            alive.remove(&step.skb);
        }
    }
    copies
}

/// Progress of a copy.
fn rank(story: &Story, copy: &Copy) -> u8 {
    let passed = |funcs: &[Func]| copy.steps.iter().any(|at| funcs.contains(&story.step(*at).func));
    let dropped = copy.steps.last().and_then(|at| match story.step(*at).kind {
        StepKind::Drop(reason) => Some(reason),
        _ => None,
    });
    if passed(&[Func::UdpQueueRcvSkb, Func::TcpV4DoRcv, Func::IcmpEcho]) {
        return 6;
    }
    match dropped {
        Some(DropReason::NetfilterDrop | DropReason::NoSocket) => 5,
        Some(DropReason::OtherHost) => 0,
        _ if passed(&[Func::IpRcv]) && dropped.is_some() => 4,
        _ if copy.steps.iter().any(|at| transmits(story.step(*at).func)) => 3,
        Some(_) => 2,
        // A clone for tcpdump or for the observer.
        None if passed(&[Func::TpacketRcv]) && copy.steps.len() < 3 => 0,
        None if copy.steps.iter().any(|at| story.step(*at).func.is_end()) => 0,
        None => 1,
    }
}
