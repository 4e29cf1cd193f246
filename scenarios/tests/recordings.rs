//! Holds the simulator against recordings of a real kernel, without privileges.

use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::compare::verify::{read_recording, replay};
use glassnet_scenarios::lesson::Lesson;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Files of a folder with this ending, sorted; none if there is no such folder yet.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    let mut paths: Vec<_> =
        entries.map(|e| e.path()).filter(|p| p.to_string_lossy().ends_with(ending)).collect();
    paths.sort();
    paths
}

fn lesson(name: &str) -> Lesson {
    let path = root().join("scenarios/lessons").join(name);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    Lesson::parse(Path::new(name), text).unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn the_model_does_what_the_recorded_kernel_did() {
    let recordings: Vec<_> = files("snapshots/recordings", ".json")
        .iter()
        .map(|path| read_recording(path).unwrap_or_else(|e| panic!("{e}")))
        .map(|seen| (lesson(&seen.lesson), seen))
        .collect();
    let divergences = fs::read_to_string(root().join("snapshots/divergences.md")).unwrap();
    let report = replay(&recordings, &divergences).unwrap_or_else(|e| panic!("{e}"));
    println!("{report}");
    let differ: usize = report.lessons.iter().map(|l| l.differences.len()).sum();
    assert_eq!(differ, 0, "\n{report}\nIf a lesson changed, run `glassnet record` on it as root.");
}

#[test]
fn every_lesson_has_a_recording() {
    let names = |paths: Vec<PathBuf>| -> Vec<String> {
        paths
            .iter()
            .map(|p| p.file_name().unwrap().to_string_lossy().split('.').next().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(files("scenarios/lessons", ".md")), names(files("snapshots/recordings", ".json")));
}
