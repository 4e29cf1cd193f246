//! What is drawn: a cluster with namespaces and pods, and lines that change them and their policies.

use glassnet_sim::Dice;
use serde_json::{Value, json};

/// The address of the client outside.
pub const CLIENT: &str = "192.168.0.100";
const NAMESPACES: [&str; 3] = ["default", "red", "blue"];
const TEAMS: [&str; 2] = ["x", "y"];
const APPS: [&str; 3] = ["a", "b", "c"];
const PODS: u64 = 7;
const POLICIES: u64 = 5;

/// A cluster.
pub struct Case {
    dice: Dice,
}

impl Case {
    pub fn draw(seed: u64) -> Case {
        Case { dice: Dice::new(seed) }
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.dice.below(of.len() as u64) as usize]
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.dice.below(100) < percent
    }

    pub fn front_matter() -> &'static str {
        "---\ntitle: Policies\ntopology:\n  nodes: {client: {}, node1: {}, node2: {}}\n  switches: {net: {}}\n  links:\n    \
         - endpoints: [\"node1:eth0\", \"net:1\"]\n    - endpoints: [\"node2:eth0\", \"net:2\"]\n    \
         - endpoints: [\"client:eth0\", \"net:9\"]\n\
         cluster: {nodes: {node1: {}, node2: {}}, policy: kube-router}\n---\n\n# Policies\n"
    }

    /// What is typed on the client before anything else.
    pub fn prepare() -> [String; 4] {
        [
            format!("ip addr add {CLIENT}/24 dev eth0"),
            "ip link set eth0 up".to_owned(),
            "ip route add 10.244.0.0/24 via 192.168.0.11".to_owned(),
            "ip route add 10.244.1.0/24 via 192.168.0.12".to_owned(),
        ]
    }

    fn apply(object: &Value) -> String {
        format!("kubectl apply -f - <<'EOF'\n{object}\nEOF")
    }

    /// Namespaces, pods and the first policies.
    pub fn begin(&mut self) -> Vec<String> {
        let mut lines: Vec<String> =
            NAMESPACES[1..].iter().map(|name| format!("kubectl create namespace {name}")).collect();
        lines.push(self.team());
        lines.extend((0..PODS).map(|number| self.pod(number)));
        lines.extend((0..3).map(|_| self.policy()));
        lines
    }

    /// Lines that change something.
    pub fn change(&mut self) -> Vec<String> {
        let count = 1 + self.dice.below(3);
        (0..count).flat_map(|_| self.change_one()).collect()
    }

    fn change_one(&mut self) -> Vec<String> {
        let pod = self.dice.below(PODS);
        let all = NAMESPACES.map(|namespace| (namespace, format!("-n {namespace} --ignore-not-found")));
        match self.dice.below(10) {
            0..=4 => vec![self.policy()],
            5 => {
                let policy = self.dice.below(POLICIES);
                let (_, place) = &all[self.dice.below(3) as usize];
                vec![format!("kubectl delete networkpolicy n{policy} {place}")]
            }
            6 => vec![self.team()],
            7 => {
                let app = self.one(&APPS);
                let (namespace, _) = all[self.dice.below(3) as usize];
                vec![format!("kubectl label pods --all app={app} -n {namespace} --overwrite")]
            }
            _ => {
                let gone = all.iter().map(|(_, place)| format!("kubectl delete pod p{pod} {place}"));
                let mut lines: Vec<String> = gone.collect();
                lines.push(self.pod(pod));
                lines
            }
        }
    }

    fn team(&mut self) -> String {
        let (namespace, team) = (self.one(&NAMESPACES), self.one(&TEAMS));
        format!("kubectl label namespace {namespace} team={team} --overwrite")
    }

    fn pod(&mut self, number: u64) -> String {
        let (namespace, app, node) = (self.one(&NAMESPACES), self.one(&APPS), self.one(&["node1", "node2"]));
        let mut ports = Vec::new();
        if self.chance(70) {
            let number = [80, 8080][self.dice.below(2) as usize];
            ports.push(json!({"name": "http", "containerPort": number}));
        }
        if self.chance(40) {
            ports.push(json!({"name": "dns", "containerPort": 53, "protocol": "UDP"}));
        }
        let container =
            json!({"name": "c", "image": "busybox", "command": ["sleep", "infinity"], "ports": ports});
        Self::apply(&json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": format!("p{number}"), "namespace": namespace, "labels": {"app": app}},
            "spec": {"nodeName": node, "terminationGracePeriodSeconds": 1, "containers": [container]},
        }))
    }

    fn policy(&mut self) -> String {
        let (number, namespace) = (self.dice.below(POLICIES), self.one(&NAMESPACES));
        let mut spec = json!({"podSelector": self.selector("app", &APPS)});
        match self.dice.below(4) {
            0 => spec["policyTypes"] = json!(["Ingress"]),
            1 => spec["policyTypes"] = json!(["Egress"]),
            2 => spec["policyTypes"] = json!(["Ingress", "Egress"]),
            // The API server fills them in.
            _ => {}
        }
        for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
            if self.chance(65) {
                let count = self.dice.below(3);
                let rules: Vec<Value> = (0..count).map(|_| self.rule(peers)).collect();
                spec[direction] = json!(rules);
            }
        }
        Self::apply(&json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": format!("n{number}"), "namespace": namespace}, "spec": spec,
        }))
    }

    fn rule(&mut self, word: &str) -> Value {
        let mut rule = json!({});
        if self.chance(80) {
            let count = 1 + self.dice.below(2);
            rule[word] = (0..count).map(|_| self.peer()).collect();
        }
        if self.chance(60) {
            let count = 1 + self.dice.below(2);
            rule["ports"] = (0..count).map(|_| self.port()).collect();
        }
        rule
    }

    fn selector(&mut self, key: &str, values: &[&str]) -> Value {
        let value = self.one(values);
        match self.dice.below(6) {
            0 | 1 => json!({}),
            2 | 3 => json!({"matchLabels": {key: value}}),
            4 => json!({"matchExpressions": [{"key": key, "operator": "NotIn", "values": [value]}]}),
            _ => json!({"matchExpressions": [{"key": key, "operator": "Exists"}]}),
        }
    }

    fn peer(&mut self) -> Value {
        match self.dice.below(5) {
            0 => json!({"podSelector": self.selector("app", &APPS)}),
            1 => json!({"namespaceSelector": self.selector("team", &TEAMS)}),
            2 | 3 => json!({
                "namespaceSelector": self.selector("team", &TEAMS), "podSelector": self.selector("app", &APPS),
            }),
            _ => {
                let blocks = [
                    json!({"cidr": "0.0.0.0/0"}),
                    json!({"cidr": "0.0.0.0/0", "except": ["10.244.0.0/16"]}),
                    json!({"cidr": "10.244.0.0/16", "except": ["10.244.1.0/24"]}),
                    json!({"cidr": "10.244.0.0/29"}),
                    json!({"cidr": "192.168.0.0/24", "except": ["192.168.0.12/32", "192.168.0.100/32"]}),
                    json!({"cidr": "192.168.0.64/26"}),
                ];
                json!({"ipBlock": blocks[self.dice.below(blocks.len() as u64) as usize]})
            }
        }
    }

    fn port(&mut self) -> Value {
        match self.dice.below(8) {
            0 | 1 => json!({"port": 80}),
            2 => json!({"port": 8080, "protocol": "TCP"}),
            3 => json!({"port": 79, "endPort": 81}),
            4 => json!({"port": "http"}),
            5 => json!({"port": "dns", "protocol": "UDP"}),
            6 => json!({"protocol": "UDP"}),
            _ => json!({"port": 53, "protocol": "UDP"}),
        }
    }
}
