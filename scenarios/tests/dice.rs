//! How dice fell in a kernel is found, however they fell; nothing else is left to chance. The simulator is that kernel here, with
//! time that only timers take, in which much happens at once.

use std::fs;
use std::path::Path;

use glassnet_scenarios::backend::observe;
use glassnet_scenarios::compare::verify::replay;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::observation::{KernelConfig, Observation};
use glassnet_scenarios::plan::Plan;
use glassnet_scenarios::simulator::Simulator;
use glassnet_sim::Dice;

fn lesson(name: &str) -> Lesson {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
    Lesson::parse(Path::new(name), fs::read_to_string(path).unwrap()).unwrap()
}

fn run(lesson: &Lesson, falls: Vec<usize>) -> Observation {
    let config = KernelConfig { virtual_time: true, ..KernelConfig::default() };
    observe(&Simulator { config, falls, ..Simulator::default() }, &Plan::from(lesson)).unwrap()
}

#[test]
fn dice_are_turned_until_they_fell_as_the_kernels() {
    let mut turned = 0;
    for name in ["load-balancer.md", "service.md"] {
        let lesson = lesson(name);
        for seed in 0..3 {
            let mut dice = Dice::new(seed);
            let falls = (0..100).map(|_| usize::from(dice.below(2) == 1)).collect();
            let report = replay(&[(lesson.clone(), run(&lesson, falls))], "").unwrap();
            let [lesson] = report.lessons.as_slice() else { panic!("{report}") };
            assert_eq!(lesson.differences, [], "{name}, seed {seed}\n{report}");
            turned += lesson.turned;
        }
    }
    assert!(turned > 10, "{turned} packets had dice turned");
}

#[test]
fn what_happens_at_once_has_the_same_order_in_each_run() {
    let lesson = lesson("load-balancer.md");
    let first = run(&lesson, Vec::new());
    for _ in 0..6 {
        assert!(run(&lesson, Vec::new()) == first, "another run differs");
    }
}
