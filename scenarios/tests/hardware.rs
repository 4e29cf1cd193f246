//! Lessons about cards and CPUs, in `scenarios/hardware`: what they print is held against what they say. A real kernel has no
//! such cards where `verify` runs it, so they are not verified.

use std::fs;
use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::{matches, run};

#[test]
fn every_lesson_prints_what_it_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("hardware");
    let mut lessons = 0;
    for entry in fs::read_dir(&folder).expect("the lessons") {
        let path = entry.expect("an entry").path();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let lesson = Lesson::parse(&path, text).unwrap_or_else(|error| panic!("{error}"));
        let outcomes =
            run(&lesson, SEED, |_, _| {}).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        for (prompt, outcome) in lesson.prompts().zip(outcomes) {
            let (line, command, output) = (prompt.line, &prompt.command, &outcome.output);
            assert!(matches(&prompt.expected, output), "{}:{line}: {command}\n{output}", path.display());
        }
        lessons += 1;
    }
    assert!(lessons >= 12, "{lessons} lessons");
}
