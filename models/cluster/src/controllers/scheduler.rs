//! Nodes for pods (`kube-scheduler`): of the nodes that may run a pod, the one that it likes most, and of those the one with the fewest.
//!
//! Not modelled: preemption, and other scores of nodes.

use std::collections::BTreeMap;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, Pod, PodCondition, PodSpec, Taint};

use super::affinity::{self, Company};
use super::{Again, place};
use crate::api::News;
use crate::error::ApiError;
use crate::events::{Happened, Recorder, reference};
use crate::object::Object;
use crate::qos;
use crate::quantity::Amount;
use crate::store::{Store, wall_clock};

const SCHEDULER: Recorder = Recorder { component: "default-scheduler", host: None };

/// Resources that pods ask for, in the order of messages.
const RESOURCES: [&str; 3] = ["cpu", "ephemeral-storage", "memory"];

/// What pods on a node have taken.
#[derive(Clone, Debug, Default)]
struct Taken {
    pods: i64,
    amounts: [Amount; 3],
    ports: Vec<(i32, String, String)>,
}

impl Taken {
    fn add(&mut self, spec: &PodSpec) {
        self.pods += 1;
        for (sum, name) in self.amounts.iter_mut().zip(RESOURCES) {
            *sum = sum.plus(qos::of_pod(spec, name, false));
        }
        self.ports.extend(host_ports(spec));
    }
}

/// Ports of the node that a pod takes, with their protocols and addresses.
fn host_ports(spec: &PodSpec) -> impl Iterator<Item = (i32, String, String)> {
    let ports = spec.containers.iter().flat_map(|container| container.ports.iter().flatten());
    ports.filter_map(|port| {
        let number = port.host_port.filter(|number| *number > 0)?;
        let protocol = port.protocol.clone().unwrap_or_default();
        Some((number, protocol, port.host_ip.clone().unwrap_or_default()))
    })
}

/// Why a node may not run a pod, and whether it would help if other pods made room.
struct Refusal {
    whys: Vec<String>,
    is_resolvable: bool,
}

fn refusal(store: &Store, pod: &Pod, node: &Node, taken: &Taken) -> Option<Refusal> {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let for_good = |why: &str| Some(Refusal { whys: vec![why.to_owned()], is_resolvable: false });
    let unschedulable = node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let blocks = |effect: &str| ["NoSchedule", "NoExecute"].contains(&effect);
    let mark = Taint {
        key: super::node::UNSCHEDULABLE.to_owned(),
        effect: "NoSchedule".to_owned(),
        ..Taint::default()
    };
    if unschedulable && !spec.tolerations.iter().flatten().any(|one| affinity::tolerates(one, &mark)) {
        return for_good("node(s) were unschedulable");
    }
    if affinity::untolerated(spec, node).any(|taint| blocks(&taint.effect)) {
        return for_good("node(s) had untolerated taint(s)");
    }
    if !affinity::takes_node(spec, node) {
        return for_good("node(s) didn't match Pod's node affinity/selector");
    }
    let clashes = |(number, protocol, address): &(i32, String, String)| {
        taken.ports.iter().any(|(known, of, at)| {
            let same = at == address || at.is_empty() || address.is_empty();
            known == number && of == protocol && same
        })
    };
    if host_ports(spec).any(|port| clashes(&port)) {
        let whys = vec!["node(s) didn't have free ports for the requested pod ports".to_owned()];
        return Some(Refusal { whys, is_resolvable: true });
    }
    let amount = |name: &str| {
        let all = node.status.as_ref().and_then(|status| status.allocatable.as_ref());
        all.map_or(Amount::whole(i64::from(i32::MAX) << 31), |all| {
            all.get(name).and_then(|amount| Amount::parse(&amount.0)).unwrap_or_default()
        })
    };
    let (mut whys, mut is_resolvable) = (Vec::new(), true);
    if Amount::whole(taken.pods + 1) > amount("pods") {
        whys.push("Too many pods".to_owned());
    }
    for (sum, name) in taken.amounts.iter().zip(RESOURCES) {
        let asked = qos::of_pod(spec, name, false);
        if !asked.is_zero() && sum.plus(asked) > amount(name) {
            whys.push(format!("Insufficient {name}"));
            // No pod that goes makes a node larger.
            is_resolvable &= asked <= amount(name);
        }
    }
    if !whys.is_empty() {
        return Some(Refusal { whys, is_resolvable });
    }
    match affinity::company(store, pod, node) {
        Company::Fits => None,
        Company::Missing => for_good("node(s) didn't match pod affinity rules"),
        Company::Unwanted => {
            let whys = vec!["node(s) didn't match pod anti-affinity rules".to_owned()];
            Some(Refusal { whys, is_resolvable: true })
        }
    }
}

/// A pod of a DaemonSet may run on a node.
pub fn may_run_daemon(spec: &PodSpec, node: &Node) -> bool {
    let blocks = |effect: &str| ["NoSchedule", "NoExecute"].contains(&effect);
    affinity::takes_node(spec, node) && !affinity::untolerated(spec, node).any(|taint| blocks(&taint.effect))
}

/// Gives each pod that has none a node.
pub fn sync(store: &mut Store, _: &[News], now: Nanos) -> Again {
    let waits = |pod: &&Pod| {
        let spec = pod.spec.as_ref();
        spec.is_some_and(|spec| {
            spec.node_name.is_none() && spec.scheduler_name.as_deref() == Some(SCHEDULER.component)
        }) && super::replicaset::is_active(pod)
    };
    let waiting: Vec<Pod> = store.list::<Pod>().filter(waits).cloned().collect();
    if waiting.is_empty() {
        return Ok(None);
    }
    let mut taken: BTreeMap<String, Taken> = BTreeMap::new();
    let runs = |pod: &&Pod| {
        let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default();
        !["Succeeded", "Failed"].contains(&phase)
    };
    for spec in store.list::<Pod>().filter(runs).filter_map(|pod| pod.spec.as_ref()) {
        if let Some(node) = &spec.node_name {
            taken.entry(node.clone()).or_default().add(spec);
        }
    }
    for pod in waiting {
        let (mut may, mut refusals) = (Vec::new(), Vec::new());
        for node in store.list::<Node>() {
            let name = node.metadata.name.clone().unwrap_or_default();
            let of_node = taken.entry(name.clone()).or_default();
            match refusal(store, &pod, node, of_node) {
                Some(refusal) => refusals.push(refusal),
                None => may.push((score(store, &pod, node), of_node.pods, name)),
            }
        }
        match may.into_iter().min() {
            Some((.., node)) => {
                taken.entry(node.clone()).or_default().add(&pod.spec.clone().unwrap_or_default());
                bind(store, &pod, node, now)?;
            }
            None => tell(store, &pod, &refusals, now)?,
        }
    }
    Ok(None)
}

/// Less is better.
fn score(store: &Store, pod: &Pod, node: &Node) -> i64 {
    let empty = PodSpec::default();
    let spec = pod.spec.as_ref().unwrap_or(&empty);
    let disliked =
        affinity::untolerated(spec, node).filter(|taint| taint.effect == "PreferNoSchedule").count();
    1000 * disliked as i64 - affinity::preference(spec, node) - affinity::liking(store, pod, node)
}

fn condition(pod: &Pod, message: Option<String>, now: Nanos) -> PodCondition {
    PodCondition {
        type_: "PodScheduled".to_owned(),
        status: if message.is_none() { "True" } else { "False" }.to_owned(),
        reason: message.is_some().then(|| "Unschedulable".to_owned()),
        message,
        last_transition_time: Some(wall_clock(now)),
        observed_generation: pod.metadata.generation,
        ..PodCondition::default()
    }
}

fn bind(store: &mut Store, pod: &Pod, node: String, now: Nanos) -> Result<(), ApiError> {
    let (namespace, name) = place(&pod.metadata);
    let message = format!("Successfully assigned {namespace}/{name} to {node}");
    let condition = condition(pod, None, now);
    store.edit((namespace, name), now, |pod: &mut Pod| {
        pod.spec.get_or_insert_default().node_name = Some(node);
        pod.status.get_or_insert_default().conditions = Some(vec![condition]);
    })?;
    let what = Happened::normal("Scheduled", &message);
    SCHEDULER.tell(store, now, reference(&Object::from(pod.clone())), what);
    Ok(())
}

/// Counts of texts, in their order: `1 a, 2 b`.
fn counted(texts: impl Iterator<Item = String>) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    texts.for_each(|text| *counts.entry(text).or_default() += 1);
    let mut all: Vec<String> = counts.into_iter().map(|(text, count)| format!("{count} {text}")).collect();
    all.sort();
    all.join(", ")
}

fn tell(store: &mut Store, pod: &Pod, refusals: &[Refusal], now: Nanos) -> Result<(), ApiError> {
    let message = match refusals.len() {
        0 => "no nodes available to schedule pods".to_owned(),
        count => {
            let whys = counted(refusals.iter().flat_map(|refusal| refusal.whys.clone()));
            let helps = |refusal: &Refusal| match refusal.is_resolvable {
                true => "No preemption victims found for incoming pod".to_owned(),
                false => "Preemption is not helpful for scheduling".to_owned(),
            };
            let room = counted(refusals.iter().map(helps));
            format!(
                "0/{count} nodes are available: {whys}. no new claims to deallocate, preemption: 0/{count} nodes are available: {room}."
            )
        }
    };
    let told = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    if told.into_iter().any(|known| known.message.as_ref() == Some(&message)) {
        return Ok(());
    }
    let what = Happened::warning("FailedScheduling", &message);
    SCHEDULER.tell(store, now, reference(&Object::from(pod.clone())), what);
    let condition = condition(pod, Some(message.clone()), now);
    store.edit(place(&pod.metadata), now, |pod: &mut Pod| {
        let status = pod.status.get_or_insert_default();
        status.phase = Some("Pending".to_owned());
        status.conditions = Some(vec![condition]);
    })
}
