//! What is drawn: a cluster, changes of its objects, and requests.

use std::collections::BTreeMap;
use std::fmt::Write;

use glassnet_scenarios::run::Run;
use glassnet_sim::Dice;

use super::expect::History;

/// The address of the client outside.
pub const CLIENT: &str = "192.168.0.100";
const EXTERNAL: &str = "192.168.0.210";

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    Pod(String),
    /// A node, or the client.
    Machine(String),
}

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The address of the cluster, from within.
    Cluster(String, u16),
    /// A port of a node.
    Node(usize, u16),
    /// The address of a load balancer.
    Balancer(String, u16),
    /// An external address of the service.
    External(u16),
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub from: Source,
    pub service: String,
    pub to: Target,
}

impl Request {
    pub fn url(&self) -> String {
        match &self.to {
            Target::Cluster(address, port) | Target::Balancer(address, port) => {
                format!("http://{address}:{port}/")
            }
            Target::Node(node, port) => format!("http://{}:{port}/", node_address(*node)),
            Target::External(port) => format!("http://{EXTERNAL}:{port}/"),
        }
    }
}

/// The address of a node by its number.
pub fn node_address(node: usize) -> String {
    format!("192.168.0.{}", 11 + node)
}

/// A service as it was drawn last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Drawn {
    pub app: String,
    pub kind: String,
    pub external_local: bool,
    pub internal_local: bool,
    pub affinity: bool,
    pub external_ip: bool,
    /// Who may use the load balancer.
    pub ranges: Option<&'static str>,
}

/// A cluster.
pub struct Case {
    dice: Dice,
    pub nodes: usize,
    pub mode: &'static str,
    pub version: &'static str,
    pub delay_ms: u64,
    pub steps: usize,
    /// The node to which the client sends what is for addresses of services.
    pub entry: usize,
    pub services: BTreeMap<String, Drawn>,
    pods: usize,
    has_deployment: bool,
}

const APPS: [&str; 3] = ["a", "b", "c"];

impl Case {
    pub fn draw(seed: u64) -> Case {
        let mut dice = Dice::new(seed);
        let nodes = 2 + dice.below(2) as usize;
        let ways = [
            ("iptables", "1.36"),
            ("ipvs", "1.36"),
            ("iptables", "1.30"),
            ("iptables", "1.20"),
            ("ipvs", "1.30"),
        ];
        let (mode, version) = ways[(seed % ways.len() as u64) as usize];
        let entry = dice.below(nodes as u64) as usize;
        let delay_ms = 5 + dice.below(100);
        let (services, pods, has_deployment) = (BTreeMap::new(), 0, false);
        Case { dice, nodes, mode, version, delay_ms, steps: 7, entry, services, pods, has_deployment }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.dice.below(100) < percent
    }

    pub fn front_matter(&self) -> String {
        let mut text = String::from("---\ntitle: A cluster\ntopology:\n  nodes: {client: {}");
        let names: Vec<String> = (1..=self.nodes).map(|node| format!("node{node}: {{}}")).collect();
        let _ = writeln!(text, ", {}}}\n  switches: {{net: {{}}}}\n  links:", names.join(", "));
        for node in 1..=self.nodes {
            let _ = writeln!(text, "    - endpoints: [\"node{node}:eth0\", \"net:{node}\"]");
        }
        let _ = writeln!(
            text,
            "    - endpoints: [\"client:eth0\", \"net:9\"]\ncluster:\n  nodes: {{{}}}",
            names.join(", ")
        );
        let _ = writeln!(
            text,
            "  proxy: {}\n  version: \"{}\"\n  delay: {}ms",
            self.mode, self.version, self.delay_ms
        );
        text + "  load_balancers: 192.168.0.200/29\n---\n\n# A cluster\n"
    }

    /// What is typed before anything else.
    pub fn prepare(&self) -> Vec<(String, String)> {
        let via = node_address(self.entry);
        ["ip addr add 192.168.0.100/24 dev eth0", "ip link set eth0 up"]
            .map(str::to_owned)
            .into_iter()
            .chain([
                format!("ip route add 192.168.0.200/29 via {via}"),
                format!("ip route add {EXTERNAL}/32 via {via}"),
            ])
            .map(|line| ("client".to_owned(), line))
            .collect()
    }

    /// So much time passes before requests are sent, seconds.
    pub fn pause(&mut self) -> f64 {
        self.dice.below(2500) as f64 / 1000.0
    }

    pub fn is_quiet(&mut self) -> bool {
        self.chance(45)
    }

    fn apply(manifest: &str) -> String {
        format!("kubectl apply -f - <<'EOF'\n{manifest}\nEOF")
    }

    fn pod(&mut self) -> String {
        let (name, app) = (format!("p{}", self.pods), APPS[self.dice.below(3) as usize]);
        let node = 1 + self.dice.below(self.nodes as u64);
        self.pods += 1;
        let mut container = String::from("name: web, image: python, args: [\"-m\", http.server, \"8080\"]");
        if self.chance(50) {
            container += ", readinessProbe: {httpGet: {port: 8080}, periodSeconds: 1}";
        }
        if self.chance(20) {
            container += ", lifecycle: {preStop: {sleep: {seconds: 2}}}";
        }
        Self::apply(&format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {app}}}}}\n\
             spec: {{nodeName: node{node}, containers: [{{{container}}}]}}"
        ))
    }

    fn service(&mut self, name: &str) -> String {
        let app = APPS[self.dice.below(3) as usize].to_owned();
        let kind = ["ClusterIP", "NodePort", "LoadBalancer"][self.dice.below(3) as usize].to_owned();
        let is_old = self.version == "1.20";
        let drawn = Drawn {
            external_local: kind != "ClusterIP" && self.chance(40),
            internal_local: !is_old && self.chance(20),
            affinity: self.chance(20),
            external_ip: self.chance(20),
            ranges: (kind == "LoadBalancer" && self.chance(40))
                .then(|| ["192.168.0.100/32", "192.168.0.0/24"][self.dice.below(2) as usize]),
            app,
            kind,
        };
        let mut spec = format!("type: {}, selector: {{app: {}}}", drawn.kind, drawn.app);
        spec += ", ports: [{port: 80, targetPort: 8080}]";
        if drawn.external_local {
            spec += ", externalTrafficPolicy: Local";
        }
        if drawn.internal_local {
            spec += ", internalTrafficPolicy: Local";
        }
        if drawn.affinity {
            spec += ", sessionAffinity: ClientIP";
        }
        // Two services cannot share an address and a port.
        if drawn.external_ip && name == "s0" {
            let _ = write!(spec, ", externalIPs: [{EXTERNAL}]");
        }
        if let Some(ranges) = drawn.ranges {
            let _ = write!(spec, ", loadBalancerSourceRanges: [{ranges}]");
        }
        self.services.insert(name.to_owned(), drawn);
        Self::apply(&format!("apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{{spec}}}"))
    }

    fn deployment(&mut self) -> String {
        if self.has_deployment {
            return match self.dice.below(2) {
                0 => format!("kubectl scale deployment/d --replicas={}", self.dice.below(4)),
                _ => "kubectl rollout restart deployment/d".to_owned(),
            };
        }
        self.has_deployment = true;
        let app = APPS[self.dice.below(3) as usize];
        Self::apply(&format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: d}}\nspec: {{replicas: 2, selector: {{matchLabels: {{app: {app}}}}}, \
             template: {{metadata: {{labels: {{app: {app}}}}}, spec: {{containers: [{{name: web, image: python, \
             args: [\"-m\", http.server, \"8080\"]}}]}}}}}}"
        ))
    }

    /// Lines that change objects.
    pub fn change(&mut self) -> Vec<String> {
        if self.pods == 0 {
            let mut lines: Vec<String> = (0..5).map(|_| self.pod()).collect();
            lines.extend(["s0", "s1", "s2"].map(|name| self.service(name)));
            return lines;
        }
        let count = 1 + self.dice.below(2);
        let mut lines = Vec::new();
        for _ in 0..count {
            match self.dice.below(10) {
                0..=2 => lines.push(self.pod()),
                3 | 4 => {
                    let pod = self.dice.below(self.pods as u64);
                    let force = if self.chance(30) { " --grace-period=0 --force" } else { "" };
                    lines.push(format!("kubectl delete pod p{pod} --ignore-not-found --wait=false{force}"));
                }
                5 | 6 => {
                    let name = format!("s{}", self.dice.below(3));
                    lines.push(self.service(&name));
                }
                7 => {
                    let node = 1 + self.dice.below(self.nodes as u64);
                    lines.push(format!("kubectl drain node{node} --force --timeout=60s"));
                    lines.push(format!("kubectl uncordon node{node}"));
                }
                _ => lines.push(self.deployment()),
            }
        }
        lines
    }

    /// Requests to send now.
    pub fn requests(&mut self, history: &History, run: &Run) -> Vec<Request> {
        let (pods, services) = (history.running(run), history.services(run));
        let mut all = Vec::new();
        for (name, (address, node_port, balancer)) in services {
            let Some(drawn) = self.services.get(&name).cloned() else { continue };
            let mut targets = vec![Target::Cluster(address, 80)];
            targets.extend(
                node_port.map(|port| Target::Node(self.dice.below(self.nodes as u64) as usize, port)),
            );
            targets.extend(balancer.map(|address| Target::Balancer(address, 80)));
            if drawn.external_ip && name == "s0" {
                targets.push(Target::External(80));
            }
            for to in targets {
                let is_inside = matches!(to, Target::Cluster(..));
                let from = match self.dice.below(3) {
                    0 if !pods.is_empty() => {
                        Source::Pod(pods[self.dice.below(pods.len() as u64) as usize].clone())
                    }
                    1 if !is_inside => Source::Machine("client".to_owned()),
                    _ => Source::Machine(format!("node{}", 1 + self.dice.below(self.nodes as u64))),
                };
                all.push(Request { from, service: name.clone(), to });
            }
        }
        all
    }

    pub fn has_affinity(&self, request: &Request) -> bool {
        self.services.get(&request.service).is_some_and(|drawn| drawn.affinity)
    }
}
