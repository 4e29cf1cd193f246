//! flanneld held against recordings of the real one (`snapshots/recordings/kubernetes/flannel`): what it makes of a node while others join
//! and leave. Pods that reach each other by each of its backends.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use glassnet_cluster::api::ApiServer;
use glassnet_cluster::object::Kind;
use glassnet_scenarios::lab::{self, SEED};
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::shell::Session;
use glassnet_sim::Nanos;
use regex::Regex;
use serde_json::Value;

/// The cases, each with its backend as the front matter has it.
const CASES: [(&str, &str); 4] = [
    ("host-gw", "backend: host-gw"),
    ("udp", "backend: udp"),
    ("vxlan", "backend: vxlan"),
    ("vxlan-directrouting", "backend: vxlan, direct_routing: true"),
];

fn folder() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("in a workspace");
    root.join("snapshots/recordings/kubernetes/flannel")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn lesson(nodes: &str, cluster: &str) -> Lesson {
    let text =
        format!("---\ntitle: t\ntopology: {nodes}\ncluster: {cluster}\n---\n```console\nnode1# true\n```\n");
    Lesson::parse(Path::new("x.md"), text).unwrap_or_else(|error| panic!("{error:?}"))
}

fn say(session: &mut Session, machine: &str, line: &str) -> String {
    let outcome = session.run(machine, line).unwrap_or_else(|error| panic!("{machine}# {line}\n{error}"));
    outcome.output
}

/// What a command printed in a recording, at each of its steps.
fn recorded<'t>(step: &'t str, command: &str) -> &'t str {
    let mut parts = step.split("\n$ ");
    let part = parts.find_map(|part| part.strip_prefix(command)).unwrap_or_else(|| panic!("no {command}"));
    part.split_once('\n').map_or("", |(_, text)| text)
}

fn lines(text: &str) -> BTreeSet<String> {
    text.lines().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// The lines that speak of flannel's device, without its number and with a name in place of its address. The queueing discipline is the
/// kernel's default.
fn of_device(text: &str, mac: Option<&str>) -> BTreeSet<String> {
    static NOISE: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"^\d+: | qdisc \S+| addrgenmode[^\\]*|promiscuity \d+ +(?:allmulti \d+ )?minmtu \d+ maxmtu \d+ | +valid_lft.*")
            .expect("a pattern")
    });
    let lines = text.lines().filter(|line| line.contains("flannel"));
    let named = lines.map(|line| match mac {
        Some(mac) => line.replace(mac, "OWN-VTEP-MAC"),
        None => line.to_owned(),
    });
    named.map(|line| NOISE.replace_all(&line, "").split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Rules of a table, in order.
fn rules(text: &str, table: &str) -> Vec<String> {
    let mut lines = text.lines().skip_while(|line| *line != format!("*{table}"));
    let rules = lines.by_ref().take_while(|line| *line != "COMMIT").filter(|line| line.starts_with("-A"));
    rules.map(str::to_owned).collect()
}

fn annotations(text: &str) -> Value {
    let json = text.split_once("\n}").map_or(text, |(json, _)| json);
    serde_json::from_str(&format!("{json}\n}}")).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

/// node1 is as a step of the recording says.
fn same_state(session: &mut Session, step: &str, place: &str) {
    let mac = say(session, "node1", "cat /sys/class/net/flannel.1/address 2> /dev/null");
    let mac = Some(mac.trim()).filter(|mac| !mac.is_empty());
    let links = say(session, "node1", "ip -d -o link");
    let real = recorded(step, "ip -d -o link");
    assert_eq!(of_device(&links, mac), of_device(real, None), "{place}: links");
    let addresses = say(session, "node1", "ip -4 -o addr");
    assert_eq!(
        of_device(&addresses, mac),
        of_device(recorded(step, "ip -4 -o addr"), None),
        "{place}: addresses"
    );
    let routes = say(session, "node1", "ip route");
    assert_eq!(lines(&routes), lines(recorded(step, "ip route")), "{place}: routes");
    let neighbours = say(session, "node1", "ip neigh");
    assert_eq!(
        of_device(&neighbours, mac),
        of_device(recorded(step, "ip neigh"), None),
        "{place}: neighbours"
    );
    let fdb = say(session, "node1", "bridge fdb");
    assert_eq!(of_device(&fdb, mac), of_device(recorded(step, "bridge fdb"), None), "{place}: FDB");
    let (saved, real) = (say(session, "node1", "iptables-save"), recorded(step, "iptables-save"));
    for table in ["filter", "nat"] {
        assert_eq!(rules(&saved, table), rules(real, table), "{place}: {table}");
        assert!(!rules(real, table).is_empty());
    }
    let file = "cat /run/flannel/subnet.env";
    assert_eq!(lines(&say(session, "node1", file)), lines(recorded(step, file)), "{place}: subnet.env");
    let node = say(session, "node1", "kubectl get node node1 -o json");
    let node: Value = serde_json::from_str(&node).expect("a node");
    let real = recorded(step, "annotations of node1");
    let ours = node["metadata"]["annotations"].to_string();
    let ours: Value =
        serde_json::from_str(&mac.map_or(ours.clone(), |mac| ours.replace(mac, "OWN-VTEP-MAC")))
            .expect("JSON");
    assert_eq!(ours, annotations(real), "{place}: annotations");
    let condition = node["status"]["conditions"]
        .as_array()
        .and_then(|all| all.iter().find(|condition| condition["type"] == "NetworkUnavailable").cloned());
    let condition = condition.expect("a condition");
    for key in ["status", "reason", "message"] {
        assert!(real.contains(&condition[key].to_string()), "{place}: {condition}");
    }
}

fn check(case: &str, flannel: &str) {
    let folder = folder().join(case);
    let topology = "{nodes: {node1: {}, cable: {}}, links: [{endpoints: [\"node1:eth0\", \"cable:eth0\"]}]}";
    let cluster = format!(
        "{{nodes: {{node1: {{address: 192.168.0.1/24, gateway: 192.168.0.254}}}}, network: flannel, flannel: {{{flannel}}}, proxy: none}}"
    );
    let lesson = lesson(topology, &cluster);
    let world = lab::build(&lesson.front.topology, SEED);
    let api = ApiServer::in_world(&world).expect("a cluster");
    for document in read(&folder.join("manifest.yaml")).split("---\n") {
        let node = Kind::Node.read(yaml(document)).unwrap_or_else(|error| panic!("{error}"));
        api.store().create(node, Nanos::ZERO).expect("a node");
    }
    let mut session = Session::new(world).expect("a session");
    let text = read(&folder.join("v0.14.0.txt"));
    let (states, log) = text.split_once("# flanneld's own words\n").expect("a log");
    let mut states = states.split("\n# ");
    same_state(&mut session, states.next().expect("a state"), case);
    for step in yaml(&read(&folder.join("steps.yaml"))).as_array().expect("steps") {
        let name = step["say"].as_str().expect("a name");
        for change in step["do"].as_array().expect("changes") {
            let object = &change["object"];
            let line = match change["verb"].as_str() {
                Some("apply") => format!("kubectl apply -f - <<'EOF'\n{object}\nEOF"),
                Some("delete") => {
                    format!("kubectl delete node {}", object["metadata"]["name"].as_str().expect("a name"))
                }
                verb => panic!("what is {verb:?}?"),
            };
            say(&mut session, "node1", &line);
        }
        say(&mut session, "node1", "sleep 3");
        let state = states.next().expect("a state");
        assert!(state.starts_with(name), "{state}");
        same_state(&mut session, state, &format!("{case}, {name}"));
    }
    same_words(&mut session, log, case);
}

/// The log has the lines of the real one's, but for those that its verbosity adds. The order of two threads is chance.
fn same_words(session: &mut Session, real: &str, case: &str) {
    let pods = say(session, "node1", "kubectl -n kube-system get pods -l app=flannel -o name");
    let said = say(session, "node1", &format!("kubectl -n kube-system logs {}", pods.trim()));
    let words = |line: &str| line.split_once("] ").map(|(head, text)| (head.to_owned(), text.to_owned()));
    let ours: BTreeSet<String> = said
        .lines()
        .filter_map(words)
        .filter(|(head, _)| !head.contains("main.go"))
        .map(|(_, text)| text)
        .collect();
    let real: BTreeSet<String> =
        real.lines().filter_map(|line| line.splitn(3, ' ').nth(2)).map(str::to_owned).collect();
    let added: BTreeSet<&String> = ours.difference(&real).collect();
    assert!(added.is_empty(), "{case}: {added:?}");
    let is_verbose = |line: &&String| {
        ["adding subnet", "removing subnet", "Adding direct", "Removing direct"]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let missing: Vec<&String> = real.difference(&ours).filter(|line| !is_verbose(line)).collect();
    assert!(missing.is_empty(), "{case}: {missing:?}\n{said}");
}

#[test]
fn a_node_is_as_the_real_one_made_it() {
    let mut found: Vec<String> = fs::read_dir(folder())
        .expect("recordings")
        .map(|entry| entry.expect("an entry"))
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    found.sort_unstable();
    assert_eq!(found, CASES.map(|(case, _)| case));
    for (case, flannel) in CASES {
        check(case, flannel);
    }
}

/// Two nodes, and a third one behind a router.
const ROUTED: &str = "{nodes: {node1: {}, node2: {}, node3: {}, router: {}}, switches: {net: {}}, links: [\
    {endpoints: [\"node1:eth0\", \"net:1\"]}, {endpoints: [\"node2:eth0\", \"net:2\"]}, \
    {endpoints: [\"router:eth0\", \"net:3\"]}, {endpoints: [\"node3:eth0\", \"router:eth1\"]}]}";

fn routed(flannel: &str) -> String {
    let gateways = "node1: {gateway: 192.168.0.1}, node2: {gateway: 192.168.0.1}, \
        node3: {address: 192.168.7.13/24, gateway: 192.168.7.1}";
    format!("{{nodes: {{{gateways}}}, network: flannel, flannel: {{{flannel}}}, proxy: none}}")
}

const ROUTER: &str = "ip addr add 192.168.0.1/24 dev eth0; ip addr add 192.168.7.1/24 dev eth1; ip link set eth0 up; \
    ip link set eth1 up; sysctl -q -w net.ipv4.ip_forward=1";

/// A pod on each node.
fn add_pods(session: &mut Session, nodes: &[&str]) {
    for node in nodes {
        let spec = format!(
            "{{nodeName: {node}, containers: [{{name: pod, image: busybox, command: [sleep, infinity]}}]}}"
        );
        let manifest = format!("{{apiVersion: v1, kind: Pod, metadata: {{name: pod-{node}}}, spec: {spec}}}");
        let line = format!("kubectl apply -f - <<'EOF'\n{manifest}\nEOF");
        assert_eq!(say(session, "node1", &line), format!("pod/pod-{node} created\n"));
    }
    say(session, "node1", "sleep 3");
}

/// The addresses of pods that answer a pod of the first node.
fn reached(session: &mut Session, nodes: &[&str]) -> Vec<bool> {
    let mut all = Vec::new();
    for node in nodes {
        let line = format!("kubectl get pod pod-{node} -o jsonpath='{{.status.podIP}}'");
        let address = say(session, "node1", &line);
        let line = format!("kubectl exec pod-node1 -- ping -q -c 1 -W 1 {}", address.trim());
        all.push(say(session, "node1", &line).contains(" 0% packet loss"));
    }
    all
}

fn started(nodes: &str, cluster: &str) -> Session {
    let world = lab::build(&lesson(nodes, cluster).front.topology, SEED);
    Session::new(world).unwrap_or_else(|error| panic!("{error:?}"))
}

#[test]
fn pods_reach_each_other_across_a_router_unless_the_backend_needs_one_link() {
    for (flannel, far) in [
        ("backend: vxlan", true),
        ("backend: vxlan, direct_routing: true, vni: 7, port: 4789", true),
        ("backend: udp, port: 9000", true),
        ("backend: ipip", true),
        ("backend: ipip, direct_routing: true", true),
        ("backend: host-gw", false),
    ] {
        let session = &mut started(ROUTED, &routed(flannel));
        say(session, "router", ROUTER);
        let nodes = ["node1", "node2", "node3"];
        add_pods(session, &nodes);
        assert_eq!(reached(session, &nodes), [true, true, far], "{flannel}");
        if !far {
            let logs = "kubectl -n kube-system logs daemonset/kube-flannel-ds 2>&1; \
                for pod in $(kubectl -n kube-system get pods -o name); do kubectl -n kube-system logs $pod; done";
            let said = say(session, "node1", logs);
            let why =
                "Error adding route to 10.244.2.0/24 via 192.168.7.13 dev index 2: network is unreachable";
            assert!(said.contains(why), "{said}");
        }
    }
}

const LINKED: &str = "{nodes: {node1: {}, node2: {}, node3: {}}, switches: {net: {}}, links: [\
    {endpoints: [\"node1:eth0\", \"net:1\"]}, {endpoints: [\"node2:eth0\", \"net:2\"]}, {endpoints: [\"node3:eth0\", \"net:3\"]}]}";

#[test]
fn a_node_joins_and_leaves() {
    for backend in ["host-gw", "ipip", "udp", "vxlan"] {
        let cluster = format!(
            "{{nodes: {{node1: , node2: , node3: {{joins: 20s}}}}, network: flannel, flannel: {{backend: {backend}}}, proxy: none}}"
        );
        let session = &mut started(LINKED, &cluster);
        assert!(!say(session, "node1", "kubectl get nodes").contains("node3"));
        say(session, "node1", "sleep 22");
        let nodes = ["node1", "node2", "node3"];
        add_pods(session, &nodes);
        assert_eq!(reached(session, &nodes), [true; 3], "{backend}");
        let range = say(session, "node1", "kubectl get node node3 -o jsonpath='{.spec.podCIDR}'");
        assert_eq!(range.trim(), "10.244.2.0/24");
        say(session, "node1", "kubectl delete node node3; sleep 2");
        for what in ["ip route", "ip neigh", "bridge fdb"] {
            let left = say(session, "node1", what);
            assert!(!left.contains("10.244.2.0") && !left.contains("192.168.0.13 self"), "{backend}: {left}");
        }
        assert_eq!(reached(session, &nodes[..2]), [true; 2], "{backend}");
    }
}

#[test]
fn rules_and_routes_are_put_back() {
    let cluster = "{network: flannel, flannel: {backend: host-gw}, proxy: none}";
    let session = &mut started(LINKED, cluster);
    let (rules, routes) = ("iptables-save | grep -- ^-A", "ip route");
    let before = [rules, routes].map(|line| say(session, "node1", line));
    let spoil = "iptables -t nat -D POSTROUTING 1; iptables -D FORWARD 2; ip route del 10.244.1.0/24";
    assert_eq!(say(session, "node1", spoil), "");
    assert_ne!([rules, routes].map(|line| say(session, "node1", line)), before);
    say(session, "node1", "sleep 11");
    assert_eq!([rules, routes].map(|line| say(session, "node1", line)), before);
}

#[test]
fn a_wrong_configuration_is_told_and_tried_again() {
    let cluster =
        "{pods: 10.244.0.0/16, network: flannel, flannel: {backend: vxlan, gbp: true}, proxy: none}";
    let session = &mut started(LINKED, cluster);
    say(session, "node1", "sleep 3");
    let pods = say(session, "node1", "kubectl -n kube-system get pods");
    assert!(pods.contains("CrashLoopBackOff") || pods.contains("Error"), "{pods}");
    let name = pods.lines().nth(1).and_then(|line| line.split(' ').next()).expect("a pod");
    let said = say(session, "node1", &format!("kubectl -n kube-system logs {name} --previous"));
    assert!(said.contains("Error registering network: ") && said.contains("not modelled yet"), "{said}");
    // A pod waits for its network, and is told why it has none.
    add_pods(session, &["node1"]);
    let told = say(session, "node1", "kubectl describe pod pod-node1");
    let why = "plugin type=\"flannel\" failed (add): loadFlannelSubnetEnv failed: open /run/flannel/subnet.env: no such file or directory";
    assert!(told.contains(why), "{told}");
}

#[test]
fn settings_that_a_backend_has_not_are_refused() {
    for (cluster, why) in [
        (
            "{network: flannel, flannel: {backend: host-gw, port: 1}}",
            "the backend host-gw of flannel has no `port`",
        ),
        (
            "{network: flannel, flannel: {backend: ipsec}}",
            "not modelled yet: the backend \"ipsec\" of flannel",
        ),
        ("{network: flannel, flannel: {vni: 16777216}}", "16777216 is no network identifier"),
        ("{flannel: {backend: udp}}", "settings of flannel for another network"),
        ("{network: calico}", "not modelled yet: the network \"calico\" of a cluster"),
        ("{nodes: {node1: {joins: 3s}}}", "the first node `node1` is the control plane"),
        ("{nodes: {node1: , node2: {joins: soon}}}", "\"soon\" is no time"),
    ] {
        let text = format!(
            "---\ntitle: t\ntopology: {LINKED}\ncluster: {cluster}\n---\n```console\nnode1# true\n```\n"
        );
        let error = Lesson::parse(Path::new("x.md"), text).map(|_| ()).expect_err(cluster);
        assert!(error.to_string().contains(why), "{cluster}: {error}");
    }
}
