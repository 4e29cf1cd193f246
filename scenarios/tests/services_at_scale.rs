//! 10,000 services with two endpoints each through a whole cluster: `kubectl apply` of all, what kube-proxy makes of it, and a change of
//! one endpoint. It measures real time, so it runs only when asked for:
//! `cargo test --release --workspace --test services_at_scale -- --ignored --nocapture`; `SERVICES=1000` is another number.

#![expect(clippy::disallowed_methods, reason = "it measures real time")]

use std::fmt::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::run::Run;

const LESSON: &str = "---\ntitle: Scale\ntopology:\n  nodes: {node1: {}, router: {}}\n  links:\n    - endpoints: [\"node1:eth0\", \"router:eth0\"]\n\
                      cluster: {nodes: {node1: {}}, proxy: MODE}\n---\n\n# Scale\n";

/// So many services stand in a file.
const IN_A_FILE: usize = 500;

fn manifest(services: std::ops::Range<usize>) -> String {
    let mut text = String::new();
    for at in services {
        let (high, low) = (at / 250, at % 250 + 1);
        let _ = writeln!(
            text,
            "---\n{{apiVersion: v1, kind: Service, metadata: {{name: s{at}}}, spec: {{clusterIP: 10.100.{high}.{low}, ports: [{{name: http, \
             port: 80, targetPort: 8080}}]}}}}\n---\n{{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {{name: s{at}, labels: \
             {{kubernetes.io/service-name: s{at}}}}}, addressType: IPv4, ports: [{{name: http, port: 8080, protocol: TCP}}], endpoints: \
             [{{addresses: [10.244.{high}.{low}], conditions: {{ready: true}}}}, {{addresses: [10.245.{high}.{low}], conditions: {{ready: true}}}}]}}"
        );
    }
    text
}

/// Runs a line; how long that took.
fn timed(run: &mut Run, line: &str) -> Duration {
    let start = Instant::now();
    let outcome = run.session.run("node1", line).unwrap_or_else(|error| panic!("{line}: {error}"));
    assert_eq!(outcome.status, 0, "{line}\n{}", outcome.output.lines().last().unwrap_or_default());
    start.elapsed()
}

/// The most memory that this process had, MiB.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn measure(mode: &str, count: usize) {
    let lesson = Lesson::parse(Path::new("scale.md"), LESSON.replace("MODE", mode)).expect("a lesson");
    let mut run = Run::new(&lesson, 1).expect("a cluster");
    timed(&mut run, "mkdir services");
    for from in (0..count).step_by(IN_A_FILE) {
        let text = manifest(from..(from + IN_A_FILE).min(count));
        timed(&mut run, &format!("cat > services/{from:05}.yaml <<'EOF'\n{text}EOF"));
    }
    let applied = timed(&mut run, "kubectl apply -f services > /dev/null");
    let loaded = timed(&mut run, "sleep 3");
    let again = timed(&mut run, "kubectl apply -f services > /dev/null");
    timed(&mut run, "sleep 3");
    let patch = "kubectl patch endpointslice s7 --type=json -p \
                 '[{\"op\":\"replace\",\"path\":\"/endpoints/0/addresses/0\",\"value\":\"10.246.0.1\"}]'";
    let patched = timed(&mut run, patch);
    let changed = timed(&mut run, "sleep 3");
    println!(
        "{mode}, {count} services: apply {applied:.2?}, compiled and loaded {loaded:.2?}, applied again {again:.2?}, a change {patched:.2?} \
         and {changed:.2?}, at most {} MiB",
        memory()
    );
    assert!(memory() < 2048, "{} MiB", memory());
    let is_small = count > 10_000 || cfg!(debug_assertions);
    assert!(is_small || loaded < Duration::from_secs(2) && changed < Duration::from_millis(100));
}

fn count() -> usize {
    std::env::var("SERVICES").ok().and_then(|text| text.parse().ok()).unwrap_or(10_000)
}

#[test]
#[ignore = "measures real time"]
fn ten_thousand_services_by_iptables() {
    measure("iptables", count());
}

#[test]
#[ignore = "measures real time"]
fn ten_thousand_services_by_ipvs() {
    measure("ipvs", count());
}
