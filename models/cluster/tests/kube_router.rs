//! kube-router held against recordings of the real one: its commands run on a machine, whose tables are then compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use glassnet_cluster::command::{Answer, Command, Run};
use glassnet_cluster::config::Range;
use glassnet_cluster::kube_router::{Controller, Objects};
use glassnet_kernel::World;
use glassnet_kernel::ids::MachineId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use serde_json::{Value, json};

const CASES: [&str; 8] = [
    "allow-namespace",
    "allow-pods",
    "deny-all",
    "deny-ingress",
    "egress-dns",
    "ipblock",
    "named-port",
    "none",
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../snapshots/recordings/kubernetes/netpol")
}

/// Runs a future that never waits.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// Objects of a cluster.
#[derive(Default)]
struct Cluster {
    policies: Vec<NetworkPolicy>,
    pods: Vec<Pod>,
    namespaces: Vec<Namespace>,
}

impl Cluster {
    fn add(&mut self, object: Value) {
        match object["kind"].as_str() {
            Some("NetworkPolicy") => self.policies.push(serde_json::from_value(object).unwrap()),
            Some("Pod") => self.pods.push(serde_json::from_value(object).unwrap()),
            Some("Namespace") => self.namespaces.push(serde_json::from_value(object).unwrap()),
            Some("Node") => {}
            other => panic!("what is {other:?}?"),
        }
    }

    /// The objects of a recording.
    fn recorded(case: &str) -> Cluster {
        let text = fs::read_to_string(folder().join(case).join("manifest.yaml")).unwrap();
        let mut cluster = Cluster::default();
        for document in text.split("\n---\n").filter(|document| document.contains("kind:")) {
            cluster.add(serde_saphyr::from_str(document.trim_end_matches("---\n")).unwrap());
        }
        cluster
    }

    /// The pods and namespaces of the recordings, with a policy.
    fn with_policy(spec: Value) -> Cluster {
        let mut cluster = Cluster::recorded("none");
        cluster.add(json!({
            "kind": "NetworkPolicy", "metadata": {"name": "p", "namespace": "shop"}, "spec": spec,
        }));
        cluster
    }
}

/// A node on which commands run.
struct Node {
    world: SharedWorld,
    ran: Vec<Command>,
}

impl Node {
    fn new() -> Node {
        let mut world = World::new(1);
        world.add_machine("node1", 1);
        Node { world: Arc::new(Mutex::new(world)), ran: Vec::new() }
    }

    fn answer(&self, argv: &[&str], stdin: &str) -> Answer {
        let outcome =
            harness::run(&self.world, (MachineId(0), INIT_NET), argv, stdin).expect("the program ends");
        Answer { status: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr }
    }

    fn sync(&mut self, cluster: &Cluster, version: &str) {
        let controller =
            Controller { node_ip: "192.168.0.1".to_owned(), services: Range::parse("10.96.0.0/12").unwrap() };
        let objects = Objects {
            policies: cluster.policies.iter().collect(),
            pods: cluster.pods.iter().collect(),
            namespaces: cluster.namespaces.iter().collect(),
        };
        now(controller.sync(&objects, version, self)).unwrap_or_else(|error| panic!("{error}"));
    }

    fn state(&self) -> State {
        let save = self.answer(&["iptables-save", "-t", "filter"], "").stdout;
        let sets = self.answer(&["ipset", "save"], "").stdout;
        let without_seed = |line: &str| line.split(" initval ").next().unwrap_or_default().to_owned();
        State::new(&save, sets.lines().map(without_seed))
    }
}

impl Run for Node {
    async fn run(&mut self, command: Command) -> Answer {
        let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        let answer = self.answer(&argv, &command.stdin);
        self.ran.push(command);
        answer
    }
}

/// What tables and sets hold, with what chains are for in the place of their names.
#[derive(Debug, PartialEq, Eq)]
struct State {
    /// Rules of each chain in order; in chains that all pods share, those of a pod.
    chains: BTreeMap<String, Vec<String>>,
    sets: BTreeSet<String>,
}

impl State {
    fn new(save: &str, sets: impl Iterator<Item = String>) -> State {
        let names = names(save);
        let renamed =
            |line: &str| names.iter().fold(line.to_owned(), |line, (name, is)| line.replace(name, is));
        let mut chains = BTreeMap::<_, Vec<String>>::new();
        for line in save.lines() {
            if let Some(chain) = line.strip_prefix(':') {
                chains.insert(renamed(chain.split(' ').next().unwrap()), Vec::new());
            } else if let Some(rule) = line.strip_prefix("-A ") {
                let (chain, rule) = rule.split_once(' ').unwrap();
                chains.get_mut(&renamed(chain)).unwrap().push(renamed(rule));
            }
        }
        for (_, rules) in chains.iter_mut().filter(|(chain, _)| chain.starts_with("KUBE-ROUTER-")) {
            rules.sort_by_key(|rule| rule.split("POD name:").nth(1).unwrap_or_default().to_owned());
        }
        State { chains, sets: sets.filter(|line| !line.is_empty()).collect() }
    }

    fn recorded(case: &str) -> State {
        let text = fs::read_to_string(folder().join(case).join("kube-router-1.2.0.txt")).unwrap();
        let (save, sets) = text.split_once("$ ipset save\n").unwrap();
        State::new(save, sets.lines().map(str::to_owned))
    }

    /// Rules of the policy's chain that mark, from their sets on.
    fn marks(&self) -> Vec<String> {
        let rules = self.chains["<policy shop p>"].iter().filter(|rule| rule.contains("-j MARK"));
        rules.map(|rule| rule.replace(" -j MARK --set-xmark 0x10000/0x10000", "")).collect()
    }
}

/// What the chains are for whose names depend on the time, as comments have it.
fn names(save: &str) -> BTreeMap<String, String> {
    let rules: Vec<(&str, &str)> =
        save.lines().filter_map(|line| line.strip_prefix("-A ")?.split_once(' ')).collect();
    let mut names = BTreeMap::new();
    let mut namespaces = BTreeMap::new();
    for (chain, rule) in &rules {
        if let Some((_, pod)) = rule.split_once("rule to REJECT traffic destined for POD name:") {
            let (name, rest) = pod.split_once(" namespace: ").unwrap();
            let namespace = rest.split('"').next().unwrap();
            names.insert((*chain).to_owned(), format!("<pod {namespace} {name}>"));
            namespaces.insert(*chain, namespace);
        }
    }
    for (chain, rule) in &rules {
        if let Some((_, policy)) = rule.split_once("run through nw policy ") {
            let (name, rest) = policy.split_once('"').unwrap();
            let to = rest.split("-j ").nth(1).unwrap();
            names.insert(to.to_owned(), format!("<policy {} {name}>", namespaces[chain]));
        }
    }
    names
}

#[test]
fn every_recording_is_a_case() {
    let found = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap());
    let found: BTreeSet<_> = found
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, CASES.iter().map(|case| (*case).to_owned()).collect());
}

#[test]
fn recordings() {
    for case in CASES {
        let (cluster, real) = (Cluster::recorded(case), State::recorded(case));
        let mut node = Node::new();
        // The second sync finds what the first one wrote.
        for version in ["1", "2"] {
            node.sync(&cluster, version);
            let ours = node.state();
            assert_eq!(ours.chains, real.chains, "{case}, sync {version}");
            assert_eq!(ours.sets, real.sets, "{case}, sync {version}");
        }
    }
}

#[test]
fn what_is_no_longer_wanted_goes() {
    let mut node = Node::new();
    let none = Cluster::recorded("none");
    node.sync(&none, "1");
    let empty = node.state();
    for (at, case) in CASES.iter().enumerate() {
        node.sync(&Cluster::recorded(case), &format!("2{at}"));
    }
    node.sync(&none, "3");
    assert_eq!(node.state(), empty);
}

#[test]
fn a_jump_that_was_pushed_down_comes_back_to_its_place() {
    let mut node = Node::new();
    let none = Cluster::recorded("none");
    node.sync(&none, "1");
    let before = node.state();
    for chain in ["INPUT", "KUBE-ROUTER-INPUT"] {
        assert_eq!(node.answer(&["iptables", "-I", chain, "-s", "192.0.2.1", "-j", "DROP"], "").status, 0);
    }
    node.sync(&none, "2");
    for (chain, rules) in node.state().chains {
        let own = rules.iter().filter(|rule| !rule.contains("192.0.2.1")).cloned().collect::<Vec<_>>();
        assert_eq!(own, before.chains[&chain]);
        assert!(rules.first().is_none_or(|first| !first.contains("192.0.2.1")), "{chain}: {rules:#?}");
    }
}

#[test]
fn commands_of_a_sync_are_in_order() {
    let mut node = Node::new();
    node.sync(&Cluster::recorded("deny-all"), "1");
    let words = |command: &Command| command.argv.join(" ");
    let ran: Vec<String> = node.ran.iter().map(words).collect();
    assert_eq!(
        ran[..3],
        [
            "iptables --version",
            "iptables -t filter -N KUBE-ROUTER-INPUT --wait",
            "iptables -t filter -C INPUT -m comment --comment kube-router netpol - 4IA2OSFRMVNDXBVV -j KUBE-ROUTER-INPUT --wait",
        ]
    );
    assert_eq!(
        ran[ran.len() - 7..],
        [
            "iptables-save -t filter",
            "ipset save",
            "ipset restore -exist",
            "iptables --version",
            "iptables -t filter -S --wait",
            "iptables-restore -T filter",
            "ipset save",
        ]
    );
}

/// What kube-router 1.2 makes of policies that no recording has, by its documentation and its source.
#[test]
fn other_policies() {
    let marks = |spec: Value| {
        let mut node = Node::new();
        node.sync(&Cluster::with_policy(spec), "1");
        node.state().marks()
    };
    // The end of a range is not looked at.
    let range = json!({"podSelector": {}, "policyTypes": ["Ingress"],
        "ingress": [{"ports": [{"port": 8000, "endPort": 8010, "protocol": "TCP"}]}]});
    let rules = marks(range);
    assert!(rules.len() == 1 && rules[0].ends_with("-m tcp --dport 8000"), "{rules:#?}");
    // A name that no pod has: with peers it is as if there were no ports.
    let unknown = |peers: Value| {
        json!({"podSelector": {}, "policyTypes": ["Ingress"],
        "ingress": [{"from": peers, "ports": [{"port": "nobody", "protocol": "TCP"}]}]})
    };
    let rules = marks(unknown(json!([{"podSelector": {}}])));
    assert!(rules.len() == 1 && rules[0].ends_with(" dst"), "{rules:#?}");
    assert_eq!(marks(unknown(json!([]))), Vec::<String>::new());
    // A protocol alone, and all addresses.
    let all = json!({"podSelector": {}, "policyTypes": ["Egress"], "egress": [
        {"to": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}], "ports": [{"protocol": "UDP"}]},
        {"ports": [{"port": "http", "protocol": "TCP"}]},
    ]});
    let mut node = Node::new();
    node.sync(&Cluster::with_policy(all), "1");
    let state = node.state();
    let rules = state.marks();
    assert_eq!(rules.len(), 3, "{rules:#?}");
    assert!(rules[0].starts_with("-p udp ") && rules[0].ends_with(" dst"), "{rules:#?}");
    for (rule, port) in rules[1..].iter().zip(["8080", "9090"]) {
        assert!(rule.contains(" src") && !rule.contains(" dst") && rule.ends_with(port), "{rules:#?}");
    }
    let entries: Vec<&str> = state
        .sets
        .iter()
        .filter(|line| line.starts_with("add KUBE-DST-"))
        .map(|line| line.splitn(3, ' ').nth(2).unwrap())
        .collect();
    assert_eq!(entries, ["0.0.0.0/1 timeout 0", "10.0.0.0/8 timeout 0 nomatch", "128.0.0.0/1 timeout 0"]);
}

#[test]
fn a_thousand_rules_are_compiled_in_a_second() {
    let rule = |number: usize| {
        json!({"from": [{"podSelector": {"matchLabels": {"app": "web"}}}, {"ipBlock": {"cidr": format!("10.{}.{}.0/24", number / 250, number % 250)}}],
            "ports": [{"port": 1000 + number, "protocol": "TCP"}]})
    };
    let rules: Vec<Value> = (0..1000).map(rule).collect();
    let cluster =
        Cluster::with_policy(json!({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": rules}));
    /// Answers everything with nothing.
    struct Nobody(usize);
    impl Run for Nobody {
        async fn run(&mut self, command: Command) -> Answer {
            self.0 += command.stdin.lines().count();
            Answer { status: 0, stdout: String::new(), stderr: String::new() }
        }
    }
    let controller =
        Controller { node_ip: "192.168.0.1".to_owned(), services: Range::parse("10.96.0.0/12").unwrap() };
    let objects = Objects {
        policies: cluster.policies.iter().collect(),
        pods: cluster.pods.iter().collect(),
        namespaces: cluster.namespaces.iter().collect(),
    };
    #[allow(clippy::disallowed_methods, reason = "how long it takes to compile")]
    let (begin, mut nobody) = (std::time::Instant::now(), Nobody(0));
    now(controller.sync(&objects, "1", &mut nobody)).unwrap();
    // Each rule has two sets, of two pods and of a block, and marks and returns for each.
    assert!(nobody.0 > 1000 * (4 + 3 + 4), "{} lines", nobody.0);
    assert!(begin.elapsed().as_secs_f64() < 1.0, "{:?}", begin.elapsed());
}
