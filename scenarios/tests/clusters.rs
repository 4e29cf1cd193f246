//! Random clusters. Whatever packet is sent at whatever time: it reaches an endpoint that was one when it was sent, or that kube-proxy
//! still took for one, or it is refused or dropped for a reason that the objects give. When all is quiet, shares are equal.
//!
//! `GLASSNET_CLUSTERS=100` draws as many clusters as it says, from the seed `GLASSNET_SEED` on.

mod clusters {
    pub mod draw;
    pub mod expect;
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use clusters::draw::{Case, Request, Source};
use clusters::expect::{Answer, History};
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::Run;

/// How many clusters are drawn where nothing else is asked for.
const FEW: u64 = 6;

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// Runs a line on a machine; what it prints.
fn shell(run: &mut Run, machine: &str, line: &str) -> String {
    let outcome = run.session.run(machine, line).unwrap_or_else(|error| panic!("{machine}# {line}\n{error}"));
    outcome.output
}

/// What became of a request.
fn ask(run: &mut Run, request: &Request) -> Answer {
    let curl = format!("curl -s -S -m 2 {}", request.url());
    let printed = match &request.from {
        Source::Pod(name) => shell(run, "node1", &format!("kubectl exec {name} -- {curl}")),
        Source::Machine(name) => shell(run, name, &curl),
    };
    match () {
        () if printed.contains("curl: (28)") => Answer::Dropped,
        () if printed.contains("curl: (7)") => Answer::Refused,
        // The server ended while it answered.
        () if printed.contains("curl: (52)") || printed.contains("curl: (56)") => Answer::Refused,
        () => Answer::From(printed.trim().lines().next().unwrap_or_default().to_owned()),
    }
}

fn check(seed: u64) {
    let mut case = Case::draw(seed);
    let text = case.front_matter();
    let lesson = Lesson::parse(Path::new("cluster.md"), text).unwrap_or_else(|error| panic!("{error}"));
    let mut run = Run::new(&lesson, seed).expect("a cluster");
    for (machine, line) in case.prepare() {
        shell(&mut run, &machine, &line);
    }
    let mut history = History::new(&case);
    for step in 0..case.steps {
        for line in case.change() {
            let printed = shell(&mut run, "node1", &line);
            assert!(!printed.contains("rror"), "seed {seed}, step {step}: {line}\n{printed}");
        }
        let quiet = case.is_quiet();
        shell(&mut run, "node1", &format!("sleep {}", if quiet { 8.0 } else { case.pause() }));
        for request in case.requests(&history, &run) {
            let sent = run.session.world().now();
            let answer = ask(&mut run, &request);
            history.read(&run);
            let may = history.may(&case, &request, sent, quiet);
            assert!(
                may.contains(&answer),
                "seed {seed}, step {step}: {request:?} at {sent:?}: {answer:?}, and it may be {may:?}\n{}",
                shell(&mut run, "node1", "kubectl get pods,svc,endpointslices -o wide")
            );
        }
        if quiet {
            shares(&mut run, &mut case, &mut history, seed);
        }
    }
}

/// Without affinity each endpoint gets its share: within five times the deviation that chance gives.
fn shares(run: &mut Run, case: &mut Case, history: &mut History, seed: u64) {
    let Some(request) = case.requests(history, run).into_iter().find(|request| !case.has_affinity(request))
    else {
        return;
    };
    history.read(run);
    let sent = run.session.world().now();
    let may: BTreeSet<String> = history
        .may(case, &request, sent, true)
        .into_iter()
        .filter_map(|answer| match answer {
            Answer::From(name) => Some(name),
            _ => None,
        })
        .collect();
    let count = 24 * may.len();
    let mut got: BTreeMap<String, usize> = may.iter().map(|name| (name.clone(), 0)).collect();
    for _ in 0..count {
        if let Answer::From(name) = ask(run, &request) {
            *got.entry(name).or_default() += 1;
        }
    }
    let share = 1.0 / may.len() as f64;
    let (mean, deviation) = (count as f64 * share, (count as f64 * share * (1.0 - share)).sqrt());
    for (name, times) in &got {
        let off = (*times as f64 - mean).abs();
        assert!(
            off <= 5.0 * deviation.max(0.5),
            "seed {seed}: {request:?}: {name} {times} of {count}: {got:?}"
        );
    }
}

#[test]
fn packets_go_where_the_objects_say() {
    let from = number("GLASSNET_SEED", 0);
    for seed in from..from + number("GLASSNET_CLUSTERS", FEW) {
        check(seed);
    }
}
