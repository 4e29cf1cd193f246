//! The memory of flows shows in nothing: random cases give the same frames, counters, connections and times with it on
//! and off.

use glassnet_scenarios::fuzz::generate;
use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::observation::KernelConfig;
use glassnet_scenarios::rig::case::Case;
use glassnet_scenarios::rig::{Outcome, Rig, run};
use glassnet_scenarios::simulator::Router;
use glassnet_sim::Nanos;

/// How many random cases are run, as for the other random tests.
fn count() -> u64 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(256)
}

fn outcome(case: &Case, remembers_verdicts: bool) -> (Outcome, Nanos, usize) {
    let mut router = Router::with(SEED, KernelConfig::default(), remembers_verdicts).expect("a router");
    run(&mut router, case).expect("the case runs");
    // What was remembered of rules that are gone does no harm.
    router.clean().expect("the router is cleaned");
    let outcome = run(&mut router, case).expect("the case runs again");
    (outcome, router.now(), router.passages())
}

#[test]
fn random_cases_are_the_same_with_and_without_the_memory_of_flows() {
    let mut passages = 0;
    for seed in 0..count() {
        let mut case = generate::case(seed);
        // A flow is remembered once a packet of it has passed.
        case.steps = [&case.steps[..]; 3].concat();
        let (with, at, remembered) = outcome(&case, true);
        let (without, also_at, nothing) = outcome(&case, false);
        assert_eq!(nothing, 0);
        passages += remembered;
        assert_eq!(with.said, without.said, "{}", case.name);
        assert_eq!(with.frames, without.frames, "{}", case.name);
        assert_eq!(with.rules.text, without.rules.text, "{}", case.name);
        assert_eq!(with.connections.text, without.connections.text, "{}", case.name);
        assert_eq!(with.sets.text, without.sets.text, "{}", case.name);
        assert_eq!(with.lists, without.lists, "{}", case.name);
        assert_eq!(at, also_at, "{}", case.name);
    }
    assert!(passages > 0, "some flows were remembered");
}
