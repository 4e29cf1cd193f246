//! Events: what components tell of objects (`client-go/tools/record`). The same event again is counted.
//!
//! Not modelled: that events go after an hour, and that a component tells at most 25 of an object at once.

use glassnet_sim::Nanos;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use crate::object::{Kept, Key, Kind, Object};
use crate::store::{Store, nanoseconds, wall_clock};

/// A component that tells events.
#[derive(Clone, Copy, Debug)]
pub struct Recorder<'a> {
    /// Its name, such as `kubelet`.
    pub component: &'a str,
    /// The node that it runs for, if it is a node's.
    pub host: Option<&'a str>,
}

/// What happened.
#[derive(Clone, Copy, Debug)]
pub struct Happened<'a> {
    /// Something is wrong.
    pub is_warning: bool,
    /// In one word.
    pub reason: &'a str,
    /// In a sentence.
    pub message: &'a str,
}

impl<'a> Happened<'a> {
    /// All is well.
    pub fn normal(reason: &'a str, message: &'a str) -> Happened<'a> {
        Happened { is_warning: false, reason, message }
    }

    /// Something is wrong.
    pub fn warning(reason: &'a str, message: &'a str) -> Happened<'a> {
        Happened { is_warning: true, reason, message }
    }
}

/// The part of a pod that is a container, such as `spec.containers{web}`.
pub fn container_field(name: &str, is_init: bool) -> String {
    format!("spec.{}{{{name}}}", if is_init { "initContainers" } else { "containers" })
}

/// A reference to an object.
pub fn reference(object: &Object) -> ObjectReference {
    let (kind, meta) = (object.kind(), object.metadata());
    ObjectReference {
        api_version: Some(kind.api_version().to_owned()),
        kind: Some(kind.name().to_owned()),
        name: meta.name.clone(),
        namespace: meta.namespace.clone(),
        // A node's events name it by its name.
        uid: if kind == Kind::Node { meta.name.clone() } else { meta.uid.clone() },
        resource_version: meta.resource_version.clone().filter(|_| kind != Kind::Node),
        ..ObjectReference::default()
    }
}

impl Recorder<'_> {
    /// Tells what happened to an object. An object that is gone has no events.
    pub fn tell(&self, store: &mut Store, now: Nanos, about: ObjectReference, what: Happened) {
        let namespace = about.namespace.clone().unwrap_or_else(|| "default".to_owned());
        let name = about.name.clone().unwrap_or_default();
        let is_same = |event: &&Event| {
            let (known, source) = (&event.involved_object, event.source.clone().unwrap_or_default());
            (&known.uid, &known.field_path) == (&about.uid, &about.field_path)
                && event.reason.as_deref() == Some(what.reason)
                && event.message.as_deref() == Some(what.message)
                && source.component.as_deref() == Some(self.component)
        };
        let known = of(store, &namespace, &name).find(is_same).cloned();
        let time = Some(wall_clock(now));
        if let Some(mut event) = known {
            (event.count, event.last_timestamp) = (Some(event.count.unwrap_or(1) + 1), time);
            // It is there, and nothing of it is wrong.
            let _ = store.update(event, now);
            return;
        }
        let mut at = nanoseconds(now);
        let name_at = |at: u64| format!("{name}.{at:016x}");
        while store.object(&Key::new(Kind::Event, &namespace, &name_at(at))).is_some() {
            at += 1;
        }
        let event = Event {
            metadata: ObjectMeta {
                name: Some(name_at(at)),
                namespace: Some(namespace),
                ..ObjectMeta::default()
            },
            involved_object: about,
            type_: Some(if what.is_warning { "Warning" } else { "Normal" }.to_owned()),
            reason: Some(what.reason.to_owned()),
            message: Some(what.message.to_owned()),
            source: Some(EventSource {
                component: Some(self.component.to_owned()),
                host: self.host.map(str::to_owned),
            }),
            reporting_component: Some(self.component.to_owned()),
            reporting_instance: Some(self.host.unwrap_or_default().to_owned()),
            count: Some(1),
            first_timestamp: time.clone(),
            last_timestamp: time,
            ..Event::default()
        };
        // Its namespace may be gone.
        let _ = store.create(event, now);
    }
}

/// The events of objects with this name, oldest first.
fn of<'a>(store: &'a Store, namespace: &str, name: &str) -> impl Iterator<Item = &'a Event> {
    let begin = format!("{name}.");
    let from = Key::new(Kind::Event, namespace, &begin);
    let to = from.clone();
    let of_name = move |object: &&std::sync::Arc<Object>| {
        let key = object.key();
        key.kind == Kind::Event && key.namespace == to.namespace && key.name.starts_with(&begin)
    };
    store.from(&from).take_while(of_name).filter_map(|object| Event::of(object))
}

/// The events of an object, in the order in which they were told last.
pub fn about<'a>(store: &'a Store, object: &Object) -> Vec<&'a Event> {
    let reference = reference(object);
    let namespace = reference.namespace.as_deref().unwrap_or("default");
    let is_its = |event: &&Event| {
        event.involved_object.uid == reference.uid && event.involved_object.kind == reference.kind
    };
    let mut all: Vec<&Event> =
        of(store, namespace, reference.name.as_deref().unwrap_or_default()).filter(is_its).collect();
    all.sort_by(|one, other| one.last_timestamp.cmp(&other.last_timestamp));
    all
}
