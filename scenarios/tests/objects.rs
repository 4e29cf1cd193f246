//! What views say of a cluster's objects: `glassnet reach`, `trace` and `walk`, held against `snapshots/objects`.
//!
//! `INSTA_UPDATE=always cargo test --workspace --test objects` writes the snapshots anew.

use std::fs;
use std::path::{Path, PathBuf};

use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::reach::{self, Matrix, Settings};
use glassnet_scenarios::trace::{self, Answer, Asked, Ending, Protocol, TraceError};
use glassnet_scenarios::view::{self, Selection, Zoom};
use serde_json::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace").to_path_buf()
}

/// A lesson about clusters up to one of its blocks, with another line `cluster:` in its front matter.
fn lesson(name: &str, blocks: usize, cluster: Option<&str>) -> Lesson {
    let path = root().join("scenarios/cluster").join(name);
    let text = fs::read_to_string(&path).expect("a lesson");
    let changed = |line: &str| match cluster {
        Some(cluster) if line.starts_with("cluster:") => format!("cluster: {cluster}\n"),
        _ => format!("{line}\n"),
    };
    let text: String = text.lines().map(changed).collect();
    let mut lesson = Lesson::parse(&path, text).unwrap_or_else(|error| panic!("{error}"));
    lesson.blocks.truncate(blocks);
    lesson
}

fn asked(src: &str, dst: &str, dport: Option<u16>) -> Asked {
    let address = |text: &str| text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    Asked {
        src: address(src),
        dst: address(dst),
        protocol: Protocol::Tcp,
        sport: 40_000,
        dport,
        from: None,
        input: None,
    }
}

fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn with_snapshots(test: impl FnOnce()) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root().join("snapshots/objects"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(test);
}

fn matrix(lesson: &Lesson, settings: Settings) -> Matrix {
    let run = trace::ran(lesson, SEED).unwrap_or_else(|error| panic!("{error}"));
    let mut world = run.session.world();
    reach::matrix(&mut world, settings).unwrap_or_else(|error| panic!("{error}"))
}

const PING: Settings = Settings { probe: Protocol::Icmp, port: 0, services: false };

fn sum(answers: &[Answer]) -> f64 {
    answers.iter().map(Answer::probability).sum()
}

/// The pods that the branches lead to, each with its probability.
fn shares(answers: &[Answer]) -> Vec<(String, f64)> {
    let pod = |answer: &Answer| {
        let endpoint = answer.object.as_ref()?.endpoint.as_ref()?;
        Some((endpoint.pod.as_ref()?.1.clone(), answer.probability()))
    };
    let mut shares: Vec<_> = answers.iter().filter_map(pod).collect();
    shares.sort_by(|a, b| a.0.cmp(&b.0));
    shares
}

/// Every pod and node reaches every other. Nobody translates between pods, and from nodes to pods; kubenet does from pods to other nodes.
#[test]
fn the_network_model_is_a_matrix() {
    let matrix = matrix(&lesson("network-model.md", usize::MAX, None), PING);
    assert!(matrix.is_whole());
    assert_eq!((matrix.from.len(), matrix.to.len()), (5, 5));
    assert!(matrix.cells.iter().all(|row| row[..3].iter().all(|cell| !cell.is_translated())));
    for page in ["scenarios/cluster/network-model.md", "README.md"] {
        let text = fs::read_to_string(root().join(page)).expect("a page");
        assert!(text.contains(&plain(&reach::text(&matrix))), "the matrix of {page} is another");
    }
    with_snapshots(|| {
        insta::assert_snapshot!("reach-network-model", plain(&reach::text(&matrix)));
        insta::assert_snapshot!("reach-network-model.json", reach::json(&matrix));
    });
    for line in reach::json(&matrix).lines() {
        let _: Value = serde_json::from_str(line).expect("an object");
    }
}

/// Services are columns, with the endpoint that each client got.
#[test]
fn services_are_columns() {
    let service = lesson("service.md", 2, None);
    let with_services = matrix(&service, Settings { services: true, ..PING });
    with_snapshots(|| insta::assert_snapshot!("reach-services", plain(&reach::text(&with_services))));
    assert!(with_services.is_whole());
    let without = lesson("service.md", usize::MAX, None);
    let without = matrix(&without, Settings { services: true, ..PING });
    assert!(!without.is_whole());
    with_snapshots(|| insta::assert_snapshot!("reach-no-endpoints", plain(&reach::text(&without))));
}

/// A lesson without a cluster has machines and namespaces; what is not reached has a reason.
#[test]
fn machines_and_namespaces_are_places_too() {
    let text = include_str!("trace/router.md").to_owned();
    let router = Lesson::parse(Path::new("router.md"), text).expect("a lesson");
    let pings = matrix(&router, PING);
    let connections = matrix(&router, Settings { probe: Protocol::Tcp, port: 22, services: false });
    with_snapshots(|| {
        insta::assert_snapshot!("reach-router", plain(&reach::text(&pings)));
        insta::assert_snapshot!("reach-router-tcp-22", plain(&reach::text(&connections)));
    });
    // The client's source is translated on its way to the outside.
    let translated = pings.cells.iter().flatten().filter(|cell| cell.is_translated()).count();
    assert_eq!(translated, 1);
}

/// Who reaches whom before and after a policy; what is refused names the policy, and what is allowed the rule that did.
#[test]
fn a_policy_is_a_reason() {
    let page = fs::read_to_string(root().join("scenarios/cluster/network-policy.md")).expect("a page");
    let connections = Settings { probe: Protocol::Tcp, port: 80, services: false };
    for blocks in [2, usize::MAX] {
        let text = plain(&reach::text(&matrix(&lesson("network-policy.md", blocks, None), connections)));
        assert!(page.contains(&text), "the matrix behind {blocks} blocks is another:\n{text}");
    }
    let policy = lesson("network-policy.md", 3, None);
    let said = |src: &str| {
        let answers = trace::ask(&policy, SEED, &asked(src, "pod/db", Some(80)), None).expect("an answer");
        plain(&trace::text(&[answers], false, true))
    };
    let refused = "kube-router: policy default/allow-web: pod default/db is isolated for ingress and no policy allows this source";
    assert!(said("pod/other").contains(refused));
    let allowed = "kube-router: policy default/allow-web: its spec.ingress[0] allows this packet: marked";
    assert!(said("pod/web").contains(allowed) && said("pod/far").contains(allowed));
    assert!(said("node1").contains("kube-router: a pod's own node may always reach it"));
    // The port is another one.
    let pings = matrix(&policy, PING);
    let why = "policy default/allow-web: pod default/db is isolated for ingress and no policy allows this source to use this \
               protocol and port";
    assert!(pings.cells.iter().flatten().any(|cell| cell.why.contains(why)));
}

/// A policy is an object, no more, where nobody enforces it.
#[test]
fn a_policy_without_an_agent_has_no_effect() {
    let ignored = lesson("network-policy.md", 3, Some("{policy: none}"));
    let connections = Settings { probe: Protocol::Tcp, port: 80, services: false };
    let matrix = matrix(&ignored, connections);
    assert_eq!(matrix.unenforced, 1);
    assert!(matrix.cells.iter().all(|row| row[..4].iter().all(|cell| cell.reached)));
    let text = plain(&reach::text(&matrix));
    assert!(
        text.contains("Network policies without effect: 1; no agent of this cluster enforces them"),
        "{text}"
    );
    assert!(reach::json(&matrix).contains("\"unenforced_policies\":1"));
}

/// The packets are sent after the lesson, so it prints what it says; and a second run gives the same bytes.
#[test]
fn asking_twice_gives_the_same() {
    let service = lesson("service.md", 2, None);
    let settings = Settings { services: true, ..PING };
    assert_eq!(reach::json(&matrix(&service, settings)), reach::json(&matrix(&service, settings)));
}

#[test]
fn nobody_to_ask_is_an_error() {
    let text = "---\ntitle: t\ntopology: { nodes: { n: {} } }\n---\n```console\nn# true\n```\n";
    let lesson = Lesson::parse(Path::new("t.md"), text.to_owned()).expect("a lesson");
    let run = trace::ran(&lesson, SEED).expect("it runs");
    let error = reach::matrix(&mut run.session.world(), PING).expect_err("nobody");
    assert_eq!(error, "no machine has an address when the lesson has run");
}

/// Every mode and version: each endpoint with its probability, by the name of the service.
#[test]
fn every_endpoint_has_its_probability() {
    for (name, cluster) in [
        ("iptables-1.20", "{proxy: iptables, version: \"1.20\"}"),
        ("iptables-1.30", "{proxy: iptables, version: \"1.30\"}"),
        ("iptables-1.36", "{proxy: iptables}"),
        ("ipvs-1.30", "{proxy: ipvs, version: \"1.30\"}"),
        ("ipvs-1.36", "{proxy: ipvs}"),
    ] {
        let service = lesson("service.md", 1, Some(cluster));
        let all = trace::ask_all(&service, SEED, &asked("pod/client", "web.default.svc", None));
        let (answers, whole) = all.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(whole && (sum(&answers) - 1.0).abs() < 1e-9, "{name}: {}", sum(&answers));
        let shares = shares(&answers);
        let expected = [("web-1".to_owned(), 0.5), ("web-2".to_owned(), 0.5)];
        assert_eq!(shares, expected, "{name}");
        assert!(answers.iter().all(|answer| answer.verdict.ending == Ending::Delivered), "{name}");
        with_snapshots(|| insta::assert_snapshot!(name, plain(&trace::text(&answers, true, whole))));
        let json = trace::json(&answers, true, whole);
        let first: Value = serde_json::from_str(json.lines().next().unwrap_or("")).expect("an object");
        let object = &first["object"];
        assert_eq!((object["service"].as_str(), object["port"].as_str()), (Some("default/web"), Some("80")));
        assert!(object["pod"].is_string() && object["node"].is_string(), "{name}: {object}");
    }
}

/// Weights of IPVS are shares; a scheduler that decides by load or address has one branch.
#[test]
fn shares_follow_the_weights() {
    for (scheduler, branches) in [("wrr", 2), ("sh", 1), ("lc", 1)] {
        let cluster = format!("{{proxy: ipvs, kube_proxy: {{ipvs: {{scheduler: {scheduler}}}}}}}");
        let mut service = lesson("service.md", 2, Some(&cluster));
        let prompt = service.blocks[1].prompts[0].clone();
        let command = "ipvsadm -e -t 10.96.0.10:80 -r 10.244.1.2:80 -m -w 3".to_owned();
        service.blocks[1].prompts = vec![glassnet_scenarios::lesson::Prompt { command, ..prompt }];
        let all = trace::ask_all(&service, SEED, &asked("pod/client", "web", Some(80)));
        let (answers, _) = all.unwrap_or_else(|error| panic!("{scheduler}: {error}"));
        assert_eq!(answers.len(), branches, "{scheduler}");
        assert!((sum(&answers) - 1.0).abs() < 1e-9, "{scheduler}");
        if scheduler == "wrr" {
            assert_eq!(shares(&answers), [("web-1".to_owned(), 0.25), ("web-2".to_owned(), 0.75)]);
        }
    }
}

/// All names of a service are one question, and a pod is found by its name.
#[test]
fn names_are_addresses() {
    let service = lesson("service.md", 1, None);
    for name in [
        "web",
        "svc/web",
        "service/web",
        "web.default",
        "web.default.svc",
        "web.default.svc.cluster.local",
        "10.96.0.10",
    ] {
        let answer = trace::ask(&service, SEED, &asked("pod/client", name, Some(80)), None);
        let answer = answer.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(answer.question.to_string(), "TCP SYN 10.244.0.3:40000 > 10.96.0.10:80");
        assert_eq!(answer.ends.as_deref(), Some("from pod/client to service default/web port 80"), "{name}");
    }
    let answer = trace::ask(&service, SEED, &asked("node1", "pod/web-2", Some(80)), None).expect("an answer");
    assert_eq!(answer.ends.as_deref(), Some("from node/node1 to pod/web-2"));
    assert_eq!(answer.phases.last().expect("phases").host, "pod/web-2");
}

#[test]
fn wrong_names_are_told_with_near_ones() {
    let service = lesson("service.md", 1, None);
    let refused = |src: &str, dst: &str, port: Option<u16>| match trace::ask(
        &service,
        SEED,
        &asked(src, dst, port),
        None,
    ) {
        Err(TraceError::Asked(text)) => text,
        other => panic!("{src} {dst}: {other:?}"),
    };
    for (src, dst, port, said) in [
        (
            "pod/client",
            "wbe",
            Some(80),
            "-d: there is no service, pod, node or machine `wbe`: near it is web",
        ),
        (
            "pod/client",
            "web.svc",
            Some(80),
            "-d: there is no service, pod, node or machine `web.svc`: near it is web",
        ),
        (
            "pod/cleint",
            "web",
            Some(80),
            "-s: there is no service, pod, node or machine `pod/cleint`: near it is pod/client, pod/web-1, pod/web-2",
        ),
        ("svc/web", "pod/web-1", Some(80), "-s: default/web is a service: it sends nothing"),
        ("pod/client", "pod/web-1", None, "--port is missing: TCP goes to a port"),
        (
            "pod/client",
            "deploy/web",
            Some(80),
            "-d: deploy/web has no address: a service, a pod or a node has one",
        ),
    ] {
        assert_eq!(refused(src, dst, port), said);
    }
    assert!("10.244.0.256".parse::<trace::Address>().is_err());
    assert!("".parse::<trace::Address>().is_err());
}

/// A service without endpoints is refused, and the view says whose rule it was and why.
#[test]
fn a_service_without_endpoints_is_refused_with_its_reason() {
    for (proxy, by) in [
        (
            "iptables",
            "refused by filter KUBE-SERVICES rule 2 (kube-proxy: service default/web port 80: it has no endpoints) in node1: \
             answered with icmp-port-unreachable",
        ),
        (
            "ipvs",
            "refused by IPVS, which has no destination for 10.96.0.10:80 (service default/web port 80) in node1: answered with \
             icmp-port-unreachable",
        ),
    ] {
        let mut service = lesson("service.md", usize::MAX, Some(&format!("{{proxy: {proxy}}}")));
        let last = service.blocks.len() - 1;
        service.blocks[last].prompts.truncate(2);
        let answer = trace::ask(&service, SEED, &asked("pod/client", "web", None), None);
        let answer = answer.unwrap_or_else(|error| panic!("{proxy}: {error}"));
        assert_eq!((answer.verdict.ending, answer.verdict.text.as_str()), (Ending::Refused, by));
    }
}

/// A walk tells the service and the endpoint where the address is changed, also after the pod is gone.
#[test]
fn a_walk_speaks_of_objects() {
    let dies = lesson("pod-dies.md", 2, None);
    let observed = view::observe(&dies, SEED, |_| ()).unwrap_or_else(|error| panic!("{error}"));
    let world = observed.world();
    let story = observed.story(&world);
    let hops = plain(&view::text(&story, Zoom::Hops, &Selection::default(), true));
    for words in [
        "(service default/web port 80, endpoint pod web (10.244.1.2:80) on node2",
        "endpoint pod web (10.244.1.2:80), which is gone",
        "pod/web",
    ] {
        assert!(hops.contains(words), "no {words} in {hops}");
    }
    let detail = plain(&view::text(&story, Zoom::Detail, &Selection::default(), false));
    assert!(
        detail.contains("kube-proxy: service default/web port 80: its cluster address 10.96.0.10"),
        "{detail}"
    );
    let json = view::json(&story, &Selection::default());
    let lines = json.lines().map(|line| serde_json::from_str::<Value>(line).expect("an object"));
    let rules = lines.flat_map(|line| line["rules"].as_array().cloned().unwrap_or_default());
    let pods: Vec<Value> = rules.map(|rule| rule["object"]["pod"].clone()).filter(Value::is_string).collect();
    assert!(!pods.is_empty() && pods.iter().all(|pod| pod == "default/web"), "{pods:?}");
}

/// From outside: whose rule keeps a client out, or hides it.
#[test]
fn policies_are_reasons() {
    let cluster = lesson("node-port.md", 2, None);
    let answer = trace::ask(&cluster, SEED, &asked("client", "node1", Some(30080)), None).expect("an answer");
    let said = plain(&trace::text(&[answer], false, true));
    let why = "kube-proxy: service default/web port 80: externalTrafficPolicy Cluster: masquerade, so that answers come back \
               through this node";
    assert!(said.contains(why), "{said}");
    let cluster = lesson("node-port.md", 3, None);
    let answer = trace::ask(&cluster, SEED, &asked("client", "node1", Some(30080)), None).expect("an answer");
    let why = "(kube-proxy: service default/web port 80: no endpoint on this node, and externalTrafficPolicy is Local) in node1";
    assert_eq!(answer.verdict.ending, Ending::Dropped);
    assert!(answer.verdict.text.ends_with(why), "{}", answer.verdict.text);
}
