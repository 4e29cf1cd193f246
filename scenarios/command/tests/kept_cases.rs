//! Cases that once differed, as lessons.

use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::fuzz::lesson;
use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::observation::KernelConfig;
use glassnet_scenarios::rig::case::Case;
use glassnet_scenarios::rig::{Outcome, play};
use glassnet_scenarios::run::{matches, run};
use glassnet_scenarios::simulator::Router;

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/cases");
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).expect("cases").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let read = |path: &PathBuf| fs::read_to_string(path).expect("a case");
    paths.iter().map(|path| serde_saphyr::from_str(&read(path)).expect("a case")).collect()
}

/// The case as a lesson, with the frames that came in when the model ran it.
fn as_lesson(case: &Case) -> (Lesson, Outcome) {
    let mut rig = Router::new(SEED, KernelConfig::default()).expect("a router");
    let (outcome, came_in) = play(&mut rig, case).expect("the case runs");
    let text = lesson::lesson(case, &came_in, &[]);
    let path = PathBuf::from(format!("{}.md", case.name));
    let lesson = Lesson::parse(&path, text.clone()).unwrap_or_else(|error| panic!("{error}\n{text}"));
    (lesson, outcome)
}

/// Rules and policies with their counters, without comments.
fn rules(dump: &str) -> Vec<&str> {
    dump.lines().filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn a_case_as_a_lesson_leads_to_the_same_counters() {
    let cases = cases();
    assert!(!cases.is_empty());
    for case in cases {
        let (lesson, outcome) = as_lesson(&case);
        let outcomes = run(&lesson, SEED, |prompt, outcome| {
            // What the tools say of rules that they do not take is left open.
            let is_right = outcome.status == 0 || prompt.expected == "…\n";
            assert!(is_right, "{}: {}: {}", case.name, prompt.command, outcome.output);
            assert!(
                matches(&prompt.expected, &outcome.output),
                "{}: {}: {}",
                case.name,
                prompt.command,
                outcome.output
            );
        });
        let outcomes = outcomes.expect("the lesson runs to its end");
        let save = lesson.prompts().position(|prompt| prompt.command.ends_with("-save -c")).expect("a dump");
        let dump = &outcomes[save].output;
        assert_eq!(rules(dump), rules(&outcome.rules.text), "{}\n{}", case.name, lesson.source);
    }
}

/// A frame that is answered, packets of the router itself, rules of the legacy tools.
#[cfg(target_os = "linux")]
#[test]
fn lessons_of_cases_agree_with_the_running_kernel() {
    use glassnet::backends::host::Host;
    use glassnet_scenarios::compare::verify::{VerifyError, verify};
    use glassnet_scenarios::error::BackendError;
    use std::time::Duration;

    if std::process::Command::new("mausezahn").arg("-h").output().is_err() {
        eprintln!("SKIPPED: no mausezahn (Debian: netsniff-ng) to send frames with");
        return;
    }
    const SOME: [&str; 3] = ["seed 21793", "seed 20685", "seed 21910"];
    let some = |case: &&Case| SOME.iter().any(|name| case.name.ends_with(name));
    let lessons: Vec<Lesson> = cases().iter().filter(some).map(|case| as_lesson(case).0).collect();
    assert_eq!(lessons.len(), SOME.len());
    let helper = PathBuf::from(env!("CARGO_BIN_EXE_glassnet"));
    let host = Host { helper, prompt_timeout: Duration::from_secs(20), blind: None };
    let known = include_str!("../../../snapshots/divergences.md");
    for lesson in lessons {
        let differs = || match verify(std::slice::from_ref(&lesson), known, &host, 1, |_| ()) {
            Ok(report) => (report.exit_code() == 1).then(|| report.to_string()),
            Err(VerifyError::Real(missing @ BackendError::Missing(_))) => {
                eprintln!("SKIPPED: {missing}");
                None
            }
            Err(error) => panic!("{error}"),
        };
        // A busy host may be late once, as in `glassnet fuzz`: what differs does so again.
        if let Some(first) = differs() {
            assert_eq!(differs(), None, "{first}");
        }
    }
}
