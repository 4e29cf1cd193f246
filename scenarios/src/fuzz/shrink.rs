//! Shrinking of a case.

use crate::rig::case::{Case, Step};

/// The smallest case found for which `differs` holds, with at most `budget` attempts.
pub fn shrink(case: &Case, budget: usize, differs: impl FnMut(&Case) -> bool) -> Case {
    smallest(case, budget, candidates, differs)
}

/// The smallest thing found for which `differs` holds: the first of its `candidates`, again and again, with at most `budget`
/// attempts.
pub(super) fn smallest<T: Clone>(
    first: &T,
    budget: usize,
    candidates: impl Fn(&T) -> Vec<T>,
    mut differs: impl FnMut(&T) -> bool,
) -> T {
    let mut best = first.clone();
    let mut left = budget;
    loop {
        let smaller = candidates(&best).into_iter().find(|candidate| {
            let may = left > 0;
            left = left.saturating_sub(1);
            may && differs(candidate)
        });
        match smaller {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

/// Smaller cases, the largest cuts first.
fn candidates(case: &Case) -> Vec<Case> {
    let mut all = Vec::new();
    let mut without = |change: &dyn Fn(&mut Case)| {
        let mut smaller = case.clone();
        change(&mut smaller);
        if smaller != *case {
            all.push(smaller);
        }
    };
    for half in halves(case.steps.len()) {
        without(&|case| drop(case.steps.drain(half.clone())));
    }
    for half in halves(case.rules.len()) {
        without(&|case| {
            let kept =
                case.rules.iter().enumerate().filter(|(at, rule)| !half.contains(at) || !is_rule(rule));
            case.rules = kept.map(|(_, rule)| rule.clone()).collect();
        });
    }
    without(&|case| case.sets.clear());
    without(&|case| case.accounts.clear());
    without(&|case| case.bridge_nf = false);
    for (at, rule) in case.rules.iter().enumerate().filter(|(_, rule)| is_rule(rule)) {
        for shorter in shorter(rule) {
            without(&|case| case.rules[at].clone_from(&shorter));
        }
    }
    for at in 0..case.steps.len() {
        without(&|case| simplify(&mut case.steps[at]));
    }
    all
}

/// Ranges of a list to remove: halves, quarters, …, single entries.
pub(super) fn halves(len: usize) -> Vec<std::ops::Range<usize>> {
    let mut parts = Vec::new();
    let mut size = len;
    while size > 0 {
        parts.extend((0..len).step_by(size).map(|start| start..(start + size).min(len)));
        size /= 2;
    }
    parts
}

fn is_rule(line: &str) -> bool {
    line.starts_with("-A")
}

/// The rule without one option and its arguments.
fn shorter(rule: &str) -> Vec<String> {
    let words: Vec<&str> = rule.split(' ').collect();
    let starts: Vec<usize> = (2..words.len())
        .filter(|at| words[*at] == "!" || words[*at].starts_with('-') && words[at - 1] != "!")
        .collect();
    let part = |at: usize| {
        let (from, to) = (starts[at], starts.get(at + 1).copied().unwrap_or(words.len()));
        (words[from] != "-j").then(|| [&words[..from], &words[to..]].concat().join(" "))
    };
    (0..starts.len()).filter_map(part).collect()
}

fn simplify(step: &mut Step) {
    let packet = match step {
        Step::Send(send) => &mut send.packet,
        Step::Local(packet) => packet,
        Step::Reply(reply) => {
            reply.len = 0;
            return;
        }
        Step::Wait(_) => return,
    };
    (packet.len, packet.tos, packet.bad_sum) = (0, 0, false);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_goes() {
        let rules =
            ["*filter", "-A INPUT -p tcp -j DROP", "-A INPUT ! -s 10.0.0.2 -p udp -j ACCEPT", "COMMIT"];
        let steps = vec![Step::Wait(1), Step::Wait(2), Step::Wait(3)];
        let case =
            Case { rules: rules.map(str::to_owned).to_vec(), steps, bridge_nf: true, ..Case::default() };
        let differs = |case: &Case| {
            case.steps.contains(&Step::Wait(2)) && case.rules.iter().any(|rule| rule.contains("udp"))
        };
        let small = shrink(&case, 1000, differs);
        assert_eq!(small.rules, ["*filter", "-A INPUT -p udp -j ACCEPT", "COMMIT"]);
        assert_eq!((small.steps, small.bridge_nf), (vec![Step::Wait(2)], false));
    }
}
