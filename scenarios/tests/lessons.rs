//! Lessons that CI does not verify: what they print is held against what they say.

use std::fs;
use std::path::Path;

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::{matches, run};

/// Runs the lessons of a folder, of which there are at least so many.
fn print_what_they_say(folder: &str, least: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut lessons = 0;
    for entry in fs::read_dir(&folder).expect("the lessons") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
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
    assert!(lessons >= least, "{lessons} lessons");
}

/// A real kernel has no such cards where `verify` runs it.
#[test]
fn lessons_about_cards_and_cpus() {
    print_what_they_say("hardware", 12);
}

/// No real kernel has `kubectl`; what agents run there is another matter.
#[test]
fn lessons_about_clusters() {
    print_what_they_say("cluster", 19);
}
