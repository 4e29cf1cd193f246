//! What real BIRDs answered (`snapshots/recordings/kubernetes/bird`), and what the model's answer.
//!
//! A recording is steps with what was answered: `# start N`, `# kill N` (SIGTERM), `# crash N` (SIGKILL), `# sleep SECONDS`, `## nodeN` (who is
//! asked), `bird> COMMAND` and `$ COMMAND`. `record.py` there makes them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::run;
use regex::Regex;

fn folder(case: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/recordings/kubernetes/bird").join(case)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The prompts of a recording: each with what was answered, if it was asked.
struct Prompts {
    text: String,
    answers: Vec<Option<String>>,
}

impl Prompts {
    fn push(&mut self, node: &str, command: &str, answer: Option<String>) {
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "node{node}# {command}");
        self.answers.push(answer);
    }

    /// The three nodes on a switch, with the files that their daemons read.
    fn new(case: &str) -> Prompts {
        let mut prompts = Prompts { text: String::new(), answers: Vec::new() };
        for node in ["1", "2", "3"] {
            prompts.push(
                node,
                &format!("ip link set lo up; ip link set eth0 up; ip addr add 192.168.0.{node}/24 dev eth0"),
                None,
            );
            if case == "mesh" {
                let pod =
                    format!("ip link add cali{node} type veth peer name pod; ip link set cali{node} up");
                prompts.push(
                    node,
                    &format!("{pod}; ip route add 10.244.{node}.2 dev cali{node} scope link"),
                    None,
                );
            }
            let path = folder(case).join(format!("node{node}.conf"));
            if path.exists() {
                let _ = writeln!(
                    prompts.text,
                    "node{node}# mkdir -p /etc/bird; cat > /etc/bird/node{node}.conf << 'END'"
                );
                for line in read(&path).lines() {
                    let _ = writeln!(prompts.text, "> {line}");
                }
                prompts.text += "> END\n";
                prompts.answers.push(None);
            }
        }
        prompts.push("1", "sleep 1", None);
        prompts
    }

    fn start(&mut self, nodes: &str) {
        for node in nodes.split(' ') {
            self.push(node, &format!("bird -P /run/bird.pid -c /etc/bird/node{node}.conf"), None);
        }
    }
}

/// The steps of a recording as prompts.
fn prompts(case: &str) -> Prompts {
    let mut prompts = Prompts::new(case);
    let mut node = "1".to_owned();
    let text = read(&folder(case).join("recorded.bird-2.0.12.txt"));
    if case == "mesh" {
        prompts.start("1 2 3");
        prompts.push("1", "sleep 12", None);
    }
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(nodes) = line.strip_prefix("# start ") {
            prompts.start(nodes);
        } else if let Some(seconds) = line.strip_prefix("# sleep ") {
            prompts.push("1", &format!("sleep {seconds}"), None);
        } else if let Some(node) = line.strip_prefix("# kill ") {
            prompts.push(node, "kill $(cat /run/bird.pid)", None);
        } else if let Some(node) = line.strip_prefix("# crash ") {
            prompts.push(node, "kill -9 $(cat /run/bird.pid)", None);
        } else if line.starts_with("# node3's bird has ended") {
            prompts.push("3", "kill $(cat /run/bird.pid)", None);
            prompts.push("1", "sleep 12", None);
        } else if let Some(next) = line.strip_prefix("## node") {
            node = next.to_owned();
        } else if line.starts_with("bird> ") || line.starts_with("$ ") {
            let mut answer = String::new();
            while let Some(next) = lines
                .next_if(|next| !["# ", "## ", "bird> ", "$ "].iter().any(|start| next.starts_with(start)))
            {
                answer += next;
                answer += "\n";
            }
            match line.strip_prefix("bird> ") {
                Some(command) => {
                    // The maintainers kept no errors.
                    let errors = if case == "mesh" { "/dev/null" } else { "&1" };
                    prompts.push(&node, &format!("birdc '{command}' 2>{errors}"), Some(answer));
                }
                None => prompts.push(&node, &line[2..], Some(answer)),
            }
        }
    }
    prompts
}

/// What differs from run to run.
fn clean(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\d ", "DATE "),
        (r"\d\d:\d\d:\d\d\.\d{3}", "TIME"),
        (r"((?:timer|wait|delay): +)[\d.]+/", "${1}SECONDS/"),
        (r"Hostname is .*", "Hostname is HOST"),
        (r"BIRD 2.0.12 ready.\n", ""),
        (r"(control socket) \(.*\): .*", "$1"),
    ];
    rules.iter().fold(text.to_owned(), |text, (pattern, to)| {
        let rule = Regex::new(pattern).unwrap_or_else(|error| panic!("{error}"));
        rule.replace_all(&text, *to).into_owned()
    })
}

/// Replays a recording and holds every answer against it.
fn answers_as(case: &str) {
    let prompts = prompts(case);
    let links: String =
        (1..4).map(|n| format!("    - {{ endpoints: [\"node{n}:eth0\", \"sw:p{n}\"] }}\n")).collect();
    let nodes: String = (1..4).map(|n| format!("    node{n}: {{ nics: {{ eth0: {{}} }} }}\n")).collect();
    let text = format!(
        "---\ntitle: {case}\ntopology:\n  nodes:\n{nodes}  switches:\n    sw: {{}}\n  links:\n{links}---\n# {case}\n\n```console\n{}```\n",
        prompts.text
    );
    let lesson = Lesson::parse(Path::new(case), text).unwrap_or_else(|error| panic!("{error:?}"));
    let outcomes = run(&lesson, SEED, |_, _| {}).unwrap_or_else(|error| panic!("{case}: {error}"));
    assert_eq!(outcomes.len(), prompts.answers.len());
    let mut wrong = String::new();
    for ((prompt, outcome), answer) in lesson.prompts().zip(&outcomes).zip(&prompts.answers) {
        let got = clean(&outcome.output);
        match answer {
            None if !got.is_empty() => _ = writeln!(wrong, "{}: {got}", prompt.command),
            Some(answer) if clean(answer) != got => {
                _ = writeln!(wrong, "--- {}\n{}+++ the model\n{got}", prompt.command, clean(answer));
            }
            _ => {}
        }
    }
    assert!(wrong.is_empty(), "{case}:\n{wrong}");
}

macro_rules! recordings {
    ($($test:ident: $case:literal,)*) => {
        $(#[test]
        fn $test() {
            answers_as($case);
        })*
    };
}

recordings! {
    a_neighbour_that_restarts: "graceful",
    packets_are_lost_and_a_hold_time_ends: "hold",
    a_cable_is_pulled: "link-down",
    a_full_mesh: "mesh",
    an_operator: "operator",
    a_route_reflector: "reflector",
    static_routes_and_filters: "statics",
    a_wrong_as_and_a_wrong_id: "wrong-as",
}
