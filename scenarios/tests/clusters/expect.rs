//! What may become of a request, by the objects alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use glassnet_cluster::api::ApiServer;
use glassnet_cluster::object::{Key, Kind, Object};
use glassnet_cluster::store::Change;
use glassnet_scenarios::run::Run;
use glassnet_sim::Nanos;

use super::draw::{CLIENT, Case, Drawn, Request, Source, Target};

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// The pod of this name answered.
    From(String),
    Refused,
    Dropped,
}

/// All objects at a moment.
type State = BTreeMap<Key, Arc<Object>>;

/// Every change of the cluster so far.
pub struct History {
    changes: Vec<Change>,
    /// How old what a kube-proxy knows may be.
    lag: Nanos,
}

/// A pod that may be an endpoint.
struct Pod {
    name: String,
    node: String,
    app: String,
    is_ready: bool,
    is_ending: bool,
}

fn pods(state: &State) -> Vec<Pod> {
    let of = |object: &Arc<Object>| {
        let Object::Pod(pod) = &**object else { return None };
        let (meta, status) = (&pod.metadata, pod.status.as_ref()?);
        let mut conditions = status.conditions.iter().flatten();
        status.pod_ip.as_ref()?;
        Some(Pod {
            name: meta.name.clone()?,
            node: pod.spec.as_ref()?.node_name.clone()?,
            app: meta.labels.as_ref()?.get("app")?.clone(),
            is_ready: conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True"),
            is_ending: meta.deletion_timestamp.is_some(),
        })
    };
    let all = state.iter().filter(|(key, _)| key.kind == Kind::Pod);
    all.filter_map(|(_, object)| of(object)).collect()
}

/// Names of the pods that are used: those that are ready, or, where there are none, those that end and still serve.
fn used<'a>(pods: impl Iterator<Item = &'a Pod> + Clone, version: &str) -> BTreeSet<String> {
    let ready: BTreeSet<String> =
        pods.clone().filter(|pod| pod.is_ready && !pod.is_ending).map(|pod| pod.name.clone()).collect();
    match ready.is_empty() && version != "1.20" {
        true => pods.filter(|pod| pod.is_ready && pod.is_ending).map(|pod| pod.name.clone()).collect(),
        false => ready,
    }
}

impl History {
    pub fn new(case: &Case) -> History {
        // A kube-proxy waits a second between two syncs, and a change passes three watches.
        let lag = Nanos(1_100_000_000 + 4 * case.delay_ms * 1_000_000);
        History { changes: Vec::new(), lag }
    }

    /// Takes in what has changed.
    pub fn read(&mut self, run: &Run) {
        let Some(api) = ApiServer::in_world(&run.session.world()) else { return };
        let store = api.store();
        self.changes.extend(store.changes(self.changes.len()).iter().cloned());
    }

    fn now(run: &Run) -> Vec<Arc<Object>> {
        let Some(api) = ApiServer::in_world(&run.session.world()) else { return Vec::new() };
        let store = api.store();
        store.objects(Kind::Pod).chain(store.objects(Kind::Service)).cloned().collect()
    }

    /// Pods that run now and go on.
    pub fn running(&self, run: &Run) -> Vec<String> {
        let state: State = Self::now(run).into_iter().map(|object| (object.key(), object)).collect();
        let runs = |pod: &Pod| pod.is_ready && !pod.is_ending;
        pods(&state).into_iter().filter(runs).map(|pod| pod.name).collect()
    }

    /// Services with their addresses: of the cluster, the port of nodes, and the load balancer's.
    pub fn services(&self, run: &Run) -> BTreeMap<String, (String, Option<u16>, Option<String>)> {
        let mut all = BTreeMap::new();
        for object in Self::now(run) {
            let Object::Service(service) = &*object else { continue };
            let name = service.metadata.name.clone().unwrap_or_default();
            let spec = service.spec.clone().unwrap_or_default();
            let port = spec.ports.iter().flatten().find_map(|port| port.node_port).map(|port| port as u16);
            let status = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
            let ingress = status.and_then(|status| status.ingress.as_ref()?.first()?.ip.clone());
            if name != "kubernetes" {
                all.insert(name, (spec.cluster_ip.unwrap_or_default(), port, ingress));
            }
        }
        all
    }

    /// The states that a kube-proxy may have known from a moment on.
    fn states(&self, from: Nanos) -> Vec<State> {
        let (mut state, mut all) = (State::new(), Vec::new());
        for change in &self.changes {
            if change.at > from {
                all.push(state.clone());
            }
            match &change.object {
                Some(object) => _ = state.insert(change.key.clone(), object.clone()),
                None => _ = state.remove(&change.key),
            }
        }
        all.push(state);
        all
    }

    /// What may become of a request that was sent at a time. When all is quiet, what objects say is what is known.
    pub fn may(&self, case: &Case, request: &Request, sent: Nanos, quiet: bool) -> BTreeSet<Answer> {
        let from = if quiet { sent } else { Nanos(sent.0.saturating_sub(self.lag.0)) };
        let states = self.states(from);
        let mut may = BTreeSet::new();
        for state in &states {
            may.extend(answers(case, request, state));
        }
        // A pod that is none all the time may not answer.
        let serves = |name: &str, state: &State| {
            pods(state).iter().any(|pod| pod.name == name && pod.is_ready && !pod.is_ending)
        };
        let is_shaky = |answer: &Answer| match answer {
            Answer::From(name) => !states.iter().all(|state| serves(name, state)),
            _ => false,
        };
        if !quiet && may.iter().any(is_shaky) {
            may.extend([Answer::Refused, Answer::Dropped]);
        }
        may
    }
}

/// The service as it is in a state, as far as it was drawn.
fn drawn(state: &State, name: &str) -> Option<Drawn> {
    let Object::Service(service) = &**state.get(&Key::new(Kind::Service, "default", name))? else {
        return None;
    };
    let spec = service.spec.clone()?;
    let is_local = |policy: &Option<String>| policy.as_deref() == Some("Local");
    let ranges = spec.load_balancer_source_ranges.and_then(|ranges| ranges.first().cloned());
    Some(Drawn {
        app: spec.selector?.get("app")?.clone(),
        kind: spec.type_?,
        external_local: is_local(&spec.external_traffic_policy),
        internal_local: is_local(&spec.internal_traffic_policy),
        affinity: false,
        external_ip: spec.external_ips.is_some(),
        ranges: ranges
            .map(|range| if range.ends_with("/32") { "192.168.0.100/32" } else { "192.168.0.0/24" }),
    })
}

/// What may become of a request if the objects are these.
fn answers(case: &Case, request: &Request, state: &State) -> BTreeSet<Answer> {
    let (refused, dropped) = (BTreeSet::from([Answer::Refused]), BTreeSet::from([Answer::Dropped]));
    // Nobody has such an address or port.
    let Some(service) = drawn(state, &request.service) else {
        return [Answer::Refused, Answer::Dropped].into();
    };
    let known = match &request.to {
        Target::Cluster(..) => true,
        Target::Node(..) => service.kind != "ClusterIP",
        Target::Balancer(..) => service.kind == "LoadBalancer",
        Target::External(..) => service.external_ip,
    };
    if !known {
        return [Answer::Refused, Answer::Dropped].into();
    }
    let all = pods(state);
    let sender = match &request.from {
        Source::Pod(name) => all.iter().find(|pod| pod.name == *name).map(|pod| pod.node.clone()),
        Source::Machine(name) => Some(name.clone()).filter(|name| name != "client"),
    };
    // The node whose rules choose, and whether it takes the sender for one from within.
    let entry = format!("node{}", case.entry + 1);
    let (node, inside) = match (&request.to, &sender) {
        (Target::Node(node, _), sender) => {
            let node = format!("node{}", node + 1);
            let inside = sender.as_ref() == Some(&node);
            (node, inside)
        }
        (_, Some(sender)) => (sender.clone(), true),
        (_, None) => (entry, false),
    };
    let of_app = all.iter().filter(|pod| pod.app == service.app);
    let cluster = used(of_app.clone(), case.version);
    let local = used(of_app.filter(|pod| pod.node == node), case.version);
    let answered =
        |names: &BTreeSet<String>| names.iter().cloned().map(Answer::From).collect::<BTreeSet<_>>();
    let is_local = match &request.to {
        Target::Cluster(..) => service.internal_local,
        _ => service.external_local,
    };
    let from_node = matches!(request.from, Source::Machine(_)) && sender.is_some();
    let is_elsewhere = matches!(request.to, Target::Balancer(..) | Target::External(..));
    if cluster.is_empty() && local.is_empty() {
        // What a node itself sends to an address outside is not refused: it goes out, where nobody has the address. IPVS has it on the
        // node, and drops what comes from outside the source ranges before.
        let is_unsure = is_elsewhere && (from_node || case.mode == "ipvs");
        return if is_unsure { [Answer::Refused, Answer::Dropped].into() } else { refused };
    }
    if let (Target::Balancer(..), Some(range)) = (&request.to, service.ranges) {
        let is_in = match &request.from {
            Source::Pod(_) => false,
            Source::Machine(name) if name == "client" => true,
            Source::Machine(_) => !range.starts_with(CLIENT),
        };
        if !is_in {
            return dropped;
        }
    }
    match (is_local, case.mode) {
        (false, _) => answered(&cluster),
        // IPVS has one list for all senders: the local endpoints, and all where there are none, unless traffic from within stays local.
        (true, "ipvs") if !local.is_empty() => answered(&local),
        (true, "ipvs") if service.internal_local => refused,
        // A node sends from the very address that it asks for, to which endpoints on other nodes cannot answer.
        (true, "ipvs") if from_node && is_elsewhere => {
            answered(&cluster).into_iter().chain([Answer::Refused, Answer::Dropped]).collect()
        }
        (true, "ipvs") if inside => answered(&cluster),
        (true, "ipvs") => [Answer::Refused, Answer::Dropped].into(),
        // Pods and the node itself do not come from outside.
        (true, _) if inside && !matches!(request.to, Target::Cluster(..)) => answered(&cluster),
        (true, _) if local.is_empty() => dropped,
        (true, _) => answered(&local),
    }
}
