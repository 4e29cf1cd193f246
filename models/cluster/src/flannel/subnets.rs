//! Leases of subnets (the Kubernetes subnet manager): a node's range of pods is its lease, which its annotations tell to others.

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Node, NodeCondition};

use super::daemon::{Daemon, Level};
use super::net_conf::cidr;
use crate::api::{News, Watch};
use crate::config::Range;
use crate::object::{Key, Kind, Object};
use crate::store::{Store, wall_clock};

/// What other nodes are told beside a subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attributes {
    pub public: Ipv4Addr,
    pub kind: String,
    /// JSON of the backend; `null` if it has nothing to tell.
    pub data: String,
}

/// The subnet of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    pub subnet: Range,
    pub attributes: Attributes,
}

/// What became of a lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    Added(Lease),
    Removed(Lease),
}

/// Names of annotations, which begin with the same.
struct Names {
    data: String,
    kind: String,
    managed: String,
    public: String,
    public_overwrite: String,
}

impl Names {
    /// The names with a prefix (`--kube-annotation-prefix`).
    fn of(prefix: &str) -> Result<Names, String> {
        let mut prefix = prefix.to_owned();
        match prefix.matches('/').count() {
            0 => prefix.push('/'),
            1 => {}
            _ => return Err("subnet/kube: prefix can contain at most single slash".to_owned()),
        }
        if !prefix.ends_with(['/', '-']) {
            prefix.push('-');
        }
        let form = regex::Regex::new(r"(?:[a-z0-9_-]+\.)+[a-z0-9_-]+/(?:[a-z0-9_-]+-)?$");
        if form.is_ok_and(|form| !form.is_match(&prefix)) {
            return Err("subnet/kube: prefix must be in a format: fqdn/[0-9a-z-_]*".to_owned());
        }
        Ok(Names {
            data: format!("{prefix}backend-data"),
            kind: format!("{prefix}backend-type"),
            managed: format!("{prefix}kube-subnet-manager"),
            public: format!("{prefix}public-ip"),
            public_overwrite: format!("{prefix}public-ip-overwrite"),
        })
    }
}

/// What flanneld knows of the nodes.
pub(super) struct Subnets {
    node: String,
    names: Names,
    pub watch: Watch,
    /// Its own lease.
    own: Option<Range>,
    /// Leases of others, by their subnets.
    leases: Vec<Lease>,
    /// What was learnt before there was a lease.
    pending: Vec<News>,
}

impl Subnets {
    /// Of a node, by the prefix of annotations.
    ///
    /// # Errors
    ///
    /// The prefix is wrong.
    pub(super) fn new(node: String, prefix: &str) -> Result<Subnets, String> {
        let names = Names::of(prefix)?;
        let watch = Watch::of(&[Kind::Node]);
        Ok(Subnets { node, names, watch, own: None, leases: Vec::new(), pending: Vec::new() })
    }

    /// Takes in what is known of nodes by now; what it means for leases is told later.
    pub(super) fn learn(&mut self, store: &Store, now: Nanos) {
        self.pending.extend(self.watch.take(store, now));
    }

    /// Tells others of the node's subnet, and says that its network is there.
    ///
    /// # Errors
    ///
    /// The node is not known, or has no range of pods yet.
    pub(super) fn acquire(
        &mut self,
        daemon: &mut Daemon<'_>,
        attributes: &Attributes,
    ) -> Result<Range, String> {
        let failed = |why: String| format!("failed to acquire lease: {why}");
        let name = &self.node;
        let known = self.watch.objects.get(&Key::new(Kind::Node, "", name));
        let Some(Object::Node(node)) = known.map(|object| &**object) else {
            return Err(failed(format!("node \"{name}\" not found")));
        };
        let Some(text) =
            node.spec.as_ref().and_then(|spec| spec.pod_cidr.as_deref()).filter(|text| !text.is_empty())
        else {
            return Err(failed(format!("node \"{name}\" pod cidr not assigned")));
        };
        let subnet = cidr(text).ok_or_else(|| failed(format!("invalid CIDR address: {text}")))?;
        let annotation = |key: &str| node.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned();
        let overwrite = annotation(&self.names.public_overwrite).filter(|text| !text.is_empty());
        let public = match &overwrite {
            Some(overwrite) if annotation(&self.names.public).as_ref() != Some(overwrite) => {
                let key = &self.names.public_overwrite;
                daemon.info(
                    "kube.go:246",
                    format_args!("Overriding public ip with '{overwrite}' from node annotation '{key}'"),
                );
                overwrite.clone()
            }
            Some(overwrite) => overwrite.clone(),
            None => attributes.public.to_string(),
        };
        let Names { data, kind, managed, public: public_ip, .. } = &self.names;
        let told = [
            (data, attributes.data.clone()),
            (kind, attributes.kind.clone()),
            (managed, "true".to_owned()),
            (public_ip, public),
        ];
        let (process, api) = (&*daemon.process, &daemon.api);
        let edited = api.change(process, |store, now| {
            store.edit(("", name), now, |node: &mut Node| {
                let annotations = node.metadata.annotations.get_or_insert_default();
                annotations.extend(told.map(|(key, value)| (key.clone(), value)));
                let status = node.status.get_or_insert_default();
                let conditions = status.conditions.get_or_insert_default();
                conditions.retain(|condition| condition.type_ != "NetworkUnavailable");
                conditions.insert(
                    0,
                    NodeCondition {
                        type_: "NetworkUnavailable".to_owned(),
                        status: "False".to_owned(),
                        reason: Some("FlannelIsUp".to_owned()),
                        message: Some("Flannel is running on this node".to_owned()),
                        last_heartbeat_time: Some(wall_clock(now)),
                        last_transition_time: Some(wall_clock(now)),
                    },
                );
            })
        });
        edited.map_err(|error| failed(error.to_string()))?;
        self.own = Some(subnet);
        Ok(subnet)
    }

    /// What is known by now of other nodes' leases.
    pub(super) fn events(&mut self, daemon: &mut Daemon<'_>) -> Vec<Event> {
        let now = daemon.process.now();
        self.learn(&daemon.api.store(), now);
        let news = std::mem::take(&mut self.pending);
        let events = news.iter().filter_map(|news| self.event(daemon, news)).collect::<Vec<_>>();
        events.into_iter().filter_map(|event| self.keep(daemon, event)).collect()
    }

    /// What a change of a node is for leases.
    fn event(&self, daemon: &mut Daemon<'_>, news: &News) -> Option<Event> {
        let node = |object: &Option<std::sync::Arc<Object>>| match object.as_deref() {
            Some(Object::Node(node)) => Some((**node).clone()),
            _ => None,
        };
        let (before, after) = (node(&news.before), node(&news.object));
        let node = after.as_ref().or(before.as_ref())?;
        let value = |node: &Node, key: &str| {
            node.metadata.annotations.as_ref().and_then(|all| all.get(key)).cloned().unwrap_or_default()
        };
        let Names { data, kind, managed, public, .. } = &self.names;
        if value(node, managed) != "true" {
            return None;
        }
        if let (Some(before), Some(after)) = (&before, &after)
            && [data, kind, public].iter().all(|key| value(before, key) == value(after, key))
        {
            return None;
        }
        let lease = || {
            let address = value(node, public).parse().map_err(|_| "Invalid IP address format".to_owned())?;
            let text = node.spec.as_ref().and_then(|spec| spec.pod_cidr.clone()).unwrap_or_default();
            let subnet = cidr(&text).ok_or_else(|| format!("invalid CIDR address: {text}"))?;
            let attributes = Attributes { public: address, kind: value(node, kind), data: value(node, data) };
            Ok::<_, String>(Lease { subnet, attributes })
        };
        match lease() {
            Ok(lease) if after.is_some() => Some(Event::Added(lease)),
            Ok(lease) => Some(Event::Removed(lease)),
            Err(why) => {
                let name = node.metadata.name.clone().unwrap_or_default();
                daemon.info("kube.go:189", format_args!("Error turning node \"{name}\" to lease: {why}"));
                None
            }
        }
    }

    /// Keeps a lease of another node, or forgets it. What is removed is what was added.
    fn keep(&mut self, daemon: &mut Daemon<'_>, event: Event) -> Option<Event> {
        let (Event::Added(lease) | Event::Removed(lease)) = &event;
        if Some(lease.subnet) == self.own {
            return None;
        }
        let at = self.leases.iter().position(|known| known.subnet == lease.subnet);
        match (event, at) {
            (Event::Added(lease), Some(at)) => {
                self.leases[at] = lease.clone();
                Some(Event::Added(lease))
            }
            (Event::Added(lease), None) => {
                self.leases.push(lease.clone());
                Some(Event::Added(lease))
            }
            (Event::Removed(_), Some(at)) => Some(Event::Removed(self.leases.remove(at))),
            (Event::Removed(lease), None) => {
                let text = format!("Removed subnet ({}) was not found", lease.subnet);
                daemon.log(Level::Error, "watch.go:154", text);
                Some(Event::Removed(lease))
            }
        }
    }
}
