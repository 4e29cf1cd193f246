//! The objects of a cluster as they were at any time, for views of packets: who has an address, and what a name stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Pod, Service};

use crate::config::Config;
use crate::kubelet::netns_name;
use crate::object::{Kept, Key, Kind, Object};
use crate::store::Store;

/// What of an object is known.
#[derive(Debug, Default)]
struct Versions {
    /// Its versions, each with the time from which on it was so.
    known: Vec<(Nanos, Arc<Object>)>,
    /// When it was deleted, if it is not there.
    gone: Option<Nanos>,
}

/// All objects that ever were.
#[derive(Debug)]
pub struct History {
    /// What the cluster is like.
    pub config: Config,
    objects: BTreeMap<Key, Versions>,
    /// Pods by the addresses that they had.
    pods: BTreeMap<Ipv4Addr, BTreeSet<Key>>,
    /// Pods by the names of their network namespaces.
    netns: BTreeMap<String, Key>,
}

/// Who has an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// A pod or a node.
    pub key: Key,
    /// The node.
    pub node: String,
    /// It was deleted.
    pub is_gone: bool,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The object.
    pub key: Key,
    /// Its address.
    pub address: Ipv4Addr,
    /// Ports of a service, with their protocols.
    pub ports: Vec<(u16, String)>,
}

/// Why a name stands for no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAddress {
    /// No object has it.
    Unknown,
    /// The object has none, as the sentence says.
    Without(String),
}

impl History {
    /// The history of a store.
    pub fn new(store: &Store) -> History {
        let mut history = History {
            config: store.config.clone(),
            objects: BTreeMap::new(),
            pods: BTreeMap::new(),
            netns: BTreeMap::new(),
        };
        for change in store.changes(0) {
            let versions = history.objects.entry(change.key.clone()).or_default();
            let Some(object) = &change.object else {
                versions.gone = Some(change.at);
                continue;
            };
            versions.gone = None;
            versions.known.push((change.at, object.clone()));
            let Some(pod) = Pod::of(object) else { continue };
            if let Some(uid) = &pod.metadata.uid {
                history.netns.insert(netns_name(uid), change.key.clone());
            }
            if let Some(address) = pod_address(pod) {
                history.pods.entry(address).or_default().insert(change.key.clone());
            }
        }
        history
    }

    /// An object at a time; if it was deleted by then, as it was last.
    pub fn at<T: Kept>(&self, key: &Key, at: Nanos) -> Option<&T> {
        let known = &self.objects.get(key)?.known;
        let seen = known.partition_point(|(from, _)| *from <= at).saturating_sub(1);
        T::of(&known.get(seen)?.1)
    }

    /// The versions of all objects of a type.
    pub fn versions<T: Kept>(&self) -> impl Iterator<Item = &T> {
        self.of_kind(T::KIND_OF)
            .flat_map(|(_, versions)| &versions.known)
            .filter_map(|(_, object)| T::of(object))
    }

    /// The objects of a type that were there at a time, as they were.
    pub(crate) fn all_at<T: Kept>(&self, at: Nanos) -> impl Iterator<Item = &T> {
        let was_there = move |versions: &Versions| {
            let is_made = versions.known.first().is_some_and(|(from, _)| *from <= at);
            is_made && versions.gone.is_none_or(|gone| gone > at)
        };
        let there = self.of_kind(T::KIND_OF).filter(move |(_, versions)| was_there(versions));
        there.filter_map(move |(key, _)| self.at(key, at))
    }

    /// How many network policies there are that no agent of the cluster enforces.
    pub fn unenforced_policies(&self) -> usize {
        match self.config.policy {
            Some(_) => 0,
            None => self.present(Kind::NetworkPolicy).count(),
        }
    }

    /// The keys of the objects of a kind that are there now.
    fn present(&self, kind: Kind) -> impl Iterator<Item = &Key> {
        self.of_kind(kind).filter(|(_, versions)| versions.gone.is_none()).map(|(key, _)| key)
    }

    fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (&Key, &Versions)> {
        let from = Key { kind, namespace: String::new(), name: String::new() };
        self.objects.range(from..).take_while(move |(key, _)| key.kind == kind)
    }

    /// The pod or node that has an address at a time; if nobody has it any more, the pod that had it.
    pub fn holder(&self, address: Ipv4Addr, at: Nanos) -> Option<Holder> {
        let mut nodes = self.config.nodes.iter();
        if let Some((name, _)) = nodes.find(|(_, node)| node.address.0 == address) {
            let key = Key::new(Kind::Node, "", name);
            return Some(Holder { key, node: name.clone(), is_gone: false });
        }
        let holders = self.pods.get(&address)?.iter().filter_map(|key| {
            let pod = self.at::<Pod>(key, at).filter(|pod| pod_address(pod) == Some(address))?;
            let is_gone = self.objects.get(key)?.gone.is_some_and(|gone| gone <= at);
            Some(Holder { key: key.clone(), node: node_of(pod), is_gone })
        });
        holders.min_by_key(|holder| holder.is_gone)
    }

    /// The pod whose network namespace has this name.
    pub fn pod_in(&self, netns: &str) -> Option<&Key> {
        self.netns.get(netns)
    }

    /// The pods that have an address and a network namespace of their own, each with its node, namespace and address.
    pub fn pods(&self) -> Vec<(Key, String, String, Ipv4Addr)> {
        let of = |key: &Key| {
            let pod = self.at::<Pod>(key, Nanos(u64::MAX))?;
            let on_host = pod.spec.as_ref().is_some_and(|spec| spec.host_network == Some(true));
            let (address, uid) = (pod_address(pod).filter(|_| !on_host)?, pod.metadata.uid.as_ref()?);
            Some((key.clone(), node_of(pod), netns_name(uid), address))
        };
        self.present(Kind::Pod).filter_map(of).collect()
    }

    /// The services that have an address, each with it and its ports.
    pub fn services(&self) -> Vec<Named> {
        self.present(Kind::Service).filter_map(|key| self.service(key).ok()).collect()
    }

    /// What a name stands for: `NAME`, `NAME.NAMESPACE`, `NAME.NAMESPACE.svc`, `NAME.NAMESPACE.svc.cluster.local` or `svc/NAME` a
    /// service, `pod/NAME` or `pod/NAMESPACE/NAME` a pod, `node/NAME` a node.
    ///
    /// # Errors
    ///
    /// It stands for no address.
    pub fn find(&self, name: &str) -> Result<Named, NoAddress> {
        let (kind, rest) = match name.split_once('/') {
            Some((kind, rest)) => (Kind::of_word(kind).ok_or(NoAddress::Unknown)?, rest),
            None => (Kind::Service, name),
        };
        match kind {
            Kind::Service => self.service(&self.service_key(rest)?),
            Kind::Pod => self.pod(rest),
            Kind::Node => {
                let node = self.config.nodes.get(rest).ok_or(NoAddress::Unknown)?;
                let key = Key::new(Kind::Node, "", rest);
                Ok(Named { key, address: node.address.0, ports: Vec::new() })
            }
            _ => {
                Err(NoAddress::Without(format!("{name} has no address: a service, a pod or a node has one")))
            }
        }
    }

    /// Names that [`History::find`] takes, one for each object.
    pub fn names(&self) -> Vec<String> {
        let services = self.present(Kind::Service).map(|key| match key.namespace.as_str() {
            "default" => key.name.clone(),
            namespace => format!("{}.{namespace}", key.name),
        });
        let nodes = self.config.nodes.keys().map(|name| format!("node/{name}"));
        services.chain(self.present(Kind::Pod).map(pod_word)).chain(nodes).collect()
    }

    fn service_key(&self, name: &str) -> Result<Key, NoAddress> {
        let short = name.strip_suffix(".cluster.local").unwrap_or(name);
        let short = short.strip_suffix(".svc").unwrap_or(short);
        let is_short = short.len() == name.len();
        let (name, namespace) = short.split_once('.').unwrap_or((short, "default"));
        // `web.svc` is no name: a namespace comes before `svc`.
        if !is_short && !short.contains('.') {
            return Err(NoAddress::Unknown);
        }
        Ok(Key::new(Kind::Service, namespace, name))
    }

    fn service(&self, key: &Key) -> Result<Named, NoAddress> {
        let is_there = self.objects.get(key).is_some_and(|versions| versions.gone.is_none());
        let service = self.at::<Service>(key, Nanos(u64::MAX)).filter(|_| is_there);
        let spec = service.and_then(|service| service.spec.as_ref()).ok_or(NoAddress::Unknown)?;
        if spec.type_.as_deref() == Some("ExternalName") {
            let name = spec.external_name.as_deref().unwrap_or_default();
            return Err(NoAddress::Without(format!("service {key} has no address: it is a name for {name}")));
        }
        let address = spec.cluster_ip.as_ref().and_then(|text| text.parse().ok());
        let address = address.ok_or_else(|| {
            NoAddress::Without(format!("service {key} is headless: it has no address, only its pods have"))
        })?;
        let port = |port: &k8s_openapi::api::core::v1::ServicePort| {
            Some((u16::try_from(port.port).ok()?, port.protocol.clone().unwrap_or_else(|| "TCP".to_owned())))
        };
        let ports = spec.ports.iter().flatten().filter_map(port).collect();
        Ok(Named { key: key.clone(), address, ports })
    }

    fn pod(&self, name: &str) -> Result<Named, NoAddress> {
        let mut found: Vec<&Key> = match name.split_once('/') {
            Some((namespace, name)) => {
                let is_it = |key: &&Key| key.namespace == namespace && key.name == name;
                self.present(Kind::Pod).filter(is_it).collect()
            }
            None => self.present(Kind::Pod).filter(|key| key.name == name).collect(),
        };
        found.sort_by_key(|key| key.namespace != "default");
        let key = match found[..] {
            [] => return Err(NoAddress::Unknown),
            [first, second, ..] if first.namespace != "default" => {
                let (first, second) = (pod_word(first), pod_word(second));
                return Err(NoAddress::Without(format!("pod/{name} is {first} or {second}: say which one")));
            }
            [first, ..] => first,
        };
        let address = self.at::<Pod>(key, Nanos(u64::MAX)).and_then(pod_address);
        let address = address.ok_or_else(|| NoAddress::Without(format!("pod {key} has no address yet")))?;
        Ok(Named { key: key.clone(), address, ports: Vec::new() })
    }
}

/// A pod as [`History::find`] takes it.
pub fn pod_word(key: &Key) -> String {
    match key.namespace.as_str() {
        "default" => format!("pod/{}", key.name),
        namespace => format!("pod/{namespace}/{}", key.name),
    }
}

fn pod_address(pod: &Pod) -> Option<Ipv4Addr> {
    pod.status.as_ref()?.pod_ip.as_ref()?.parse().ok()
}

fn node_of(pod: &Pod) -> String {
    pod.spec.as_ref().and_then(|spec| spec.node_name.clone()).unwrap_or_default()
}
