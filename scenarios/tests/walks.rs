//! Every lesson's walk, held against `snapshots/walks`; that a second run gives the same bytes; and that a lesson prints what
//! it says when nobody observes.
//!
//! `INSTA_UPDATE=always cargo test -p glassnet-scenarios --test walks` writes the snapshots anew.

use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::{matches, run};
use glassnet_scenarios::view::{self, Selection, Zoom};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace").to_path_buf()
}

/// The lessons in the order of their names.
fn lessons() -> Vec<(String, Lesson)> {
    let folder = root().join("scenarios/lessons");
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "md"))
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        let lesson = Lesson::parse(&path, fs::read_to_string(&path).expect("UTF-8"));
        (name, lesson.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    paths.into_iter().map(read).collect()
}

/// The walk of a lesson as text and as JSON.
fn walk(lesson: &Lesson) -> (String, String) {
    let observed = view::observe(lesson, SEED, |_| ()).expect("the lesson runs to its end");
    let world = observed.world();
    let story = observed.story(&world);
    let all = Selection::default();
    let text = view::text(&story, Zoom::Doors, &all, true);
    (anstream::adapter::strip_str(&text).to_string(), view::json(&story, &all))
}

#[test]
fn walks_are_as_in_their_snapshots() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/walks"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        for (name, lesson) in lessons() {
            insta::assert_snapshot!(name, walk(&lesson).0);
        }
    });
}

#[test]
fn two_runs_give_the_same_bytes() {
    for (name, lesson) in lessons() {
        let (first, second) = (walk(&lesson), walk(&lesson));
        assert!(first == second, "{name} differs from run to run");
    }
}

#[test]
fn every_lesson_prints_what_it_says_when_nobody_observes() {
    for (name, lesson) in lessons() {
        let outcomes = run(&lesson, SEED, |_, _| {}).unwrap_or_else(|error| panic!("{name}: {error}"));
        for (prompt, outcome) in lesson.prompts().zip(outcomes) {
            let output = &outcome.output;
            assert!(matches(&prompt.expected, output), "{name}.md:{}: {output}", prompt.line);
        }
    }
}
