//! Random rules and packets, held against what a real kernel did with them, without privileges.
//!
//! `glassnet fuzz --on host --seed 800000 --cases 150 --record snapshots/random-rules.linux-6.18.json` records them anew, as root.

use glassnet_scenarios::fuzz::outcome::differences;
use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::rig::recorded::Recording;
use glassnet_scenarios::rig::{Rig, run};
use glassnet_scenarios::simulator::Router;

fn recording() -> Recording {
    Recording::from_json(include_str!("../../snapshots/random-rules.linux-6.18.json")).expect("a recording")
}

#[test]
fn the_model_does_with_random_rules_what_the_recorded_kernel_did() {
    let recording = recording();
    let mut router = Router::new(SEED, recording.config).expect("a router");
    let mut differ = Vec::new();
    for (case, real) in &recording.cases {
        router.clean().expect("the router is cleaned");
        let model = run(&mut router, case).expect("the case runs");
        let found = differences(case, real, &model);
        if !found.is_empty() {
            differ.push(format!("{}\n{}", case.name, found.join("\n")));
        }
    }
    assert!(differ.is_empty(), "{} differs in\n{}", recording.kernel, differ.join("\n\n"));
}

#[test]
fn a_recording_that_is_read_and_written_is_the_same() {
    let text = include_str!("../../snapshots/random-rules.linux-6.18.json");
    assert!(recording().to_json().expect("JSON") == text);
}
