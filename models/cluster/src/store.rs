//! The API server's store: objects with versions, and every change in order.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::{Dice, Nanos};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use k8s_openapi::jiff::Timestamp;

use glassnet_kernel::kernel::BOOT_TIME;

use crate::admission;
use crate::config::{Config, NODE_PORTS};
use crate::error::ApiError;
use crate::object::{Kept, Key, Kind, Object};

/// A change.
#[derive(Clone, Debug)]
pub struct Change {
    /// When, ns since boot.
    pub at: Nanos,
    /// What.
    pub key: Key,
    /// The object afterwards; `None`: it is gone.
    pub object: Option<Arc<Object>>,
}

/// All objects.
#[derive(Debug)]
pub struct Store {
    /// What the cluster is like.
    pub config: Config,
    objects: BTreeMap<Key, Arc<Object>>,
    changes: Vec<Change>,
    dice: Dice,
    /// What is random of events. They have dice of their own, so that what is told changes nothing else.
    events: Dice,
    /// Objects by the uids of their owners.
    owned: BTreeMap<String, BTreeSet<Key>>,
    /// Addresses that services have.
    addresses: BTreeSet<Ipv4Addr>,
    /// Ports that services have on nodes, with their protocols.
    node_ports: BTreeSet<(u16, String)>,
}

/// Letters and digits of generated names (apimachinery's `rand.String`): without vowels, so that no words appear.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Nanoseconds since 1970 at a moment of virtual time.
pub fn nanoseconds(now: Nanos) -> u64 {
    BOOT_TIME * 1_000_000_000 + now.0
}

/// The wall clock's time at a moment of virtual time.
pub fn wall_clock(now: Nanos) -> Time {
    let seconds = BOOT_TIME + now.0 / 1_000_000_000;
    Time(Timestamp::from_second(seconds as i64).unwrap_or_default())
}

impl Store {
    /// An empty store.
    pub fn new(config: Config, seed: u64) -> Store {
        Store {
            config,
            objects: BTreeMap::new(),
            changes: Vec::new(),
            dice: Dice::new(seed),
            events: Dice::new(!seed),
            owned: BTreeMap::new(),
            addresses: BTreeSet::new(),
            node_ports: BTreeSet::new(),
        }
    }

    /// The object there.
    pub fn object(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// The object of this kind and name.
    pub fn get<T: Kept>(&self, namespace: &str, name: &str) -> Option<&T> {
        T::of(self.objects.get(&Key::new(T::KIND_OF, namespace, name))?)
    }

    /// Objects from a place on, by kind, namespace and name.
    pub fn from<'a>(&'a self, key: &Key) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        self.objects.range(key.clone()..).map(|(_, object)| object)
    }

    /// Objects of a kind, by namespace and name.
    pub fn objects(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        let first = Key { kind, namespace: String::new(), name: String::new() };
        self.from(&first).take_while(move |object| object.kind() == kind)
    }

    /// Objects of a kind in a namespace, by name.
    pub fn in_namespace<'a>(
        &'a self,
        kind: Kind,
        namespace: &str,
    ) -> impl Iterator<Item = &'a Arc<Object>> + use<'a> {
        let first = Key::new(kind, namespace, "");
        let objects = self.objects.range(first.clone()..);
        let is_here = move |(key, _): &(&Key, _)| key.kind == first.kind && key.namespace == first.namespace;
        objects.take_while(is_here).map(|(_, object)| object)
    }

    /// Objects of a type that one with this uid owns, by namespace and name.
    pub fn owned<'a, T: Kept>(&'a self, uid: Option<&String>) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let keys = uid.and_then(|uid| self.owned.get(uid)).into_iter().flatten();
        keys.filter_map(|key| T::of(self.objects.get(key)?))
    }

    /// Objects of a type, by namespace and name.
    pub fn list<T: Kept>(&self) -> impl Iterator<Item = &T> {
        self.objects(T::KIND_OF).filter_map(|object| T::of(object))
    }

    /// The changes from a place on, in order.
    pub fn changes(&self, from: usize) -> &[Change] {
        self.changes.get(from..).unwrap_or(&[])
    }

    /// A new object. Its name is made from `generateName` if it has none.
    ///
    /// # Errors
    ///
    /// A wrong field, or a name that is taken.
    pub fn create(&mut self, object: impl Into<Object>, now: Nanos) -> Result<Arc<Object>, ApiError> {
        let object = self.review(object.into(), now)?;
        Ok(self.put(object, now))
    }

    /// What a new object would be, without keeping it (`--dry-run=server`).
    ///
    /// # Errors
    ///
    /// As of [`Store::create`].
    pub fn review(&mut self, mut object: Object, now: Nanos) -> Result<Object, ApiError> {
        let kind = object.kind();
        let uid = uid(if kind == Kind::Event { &mut self.events } else { &mut self.dice });
        let meta = object.metadata_mut();
        if kind.is_namespaced() {
            let _ = meta.namespace.get_or_insert_with(|| "default".to_owned());
        }
        if let (None, Some(prefix)) = (&meta.name, &meta.generate_name) {
            meta.name = Some(format!("{prefix}{}", self.suffix()));
        }
        let key = object.key();
        if let Some(namespace) = object.metadata().namespace.as_deref()
            && kind.is_namespaced()
            && self.object(&Key::new(Kind::Namespace, "", namespace)).is_none()
        {
            return Err(ApiError::NotFound(Key::new(Kind::Namespace, "", namespace)));
        }
        let meta = object.metadata_mut();
        (meta.uid, meta.creation_timestamp) = (Some(uid), Some(wall_clock(now)));
        let has_generation = !matches!(
            kind,
            Kind::ConfigMap | Kind::Event | Kind::Namespace | Kind::Node | Kind::Secret | Kind::Service
        );
        meta.generation = has_generation.then_some(1);
        admission::admit(self, &mut object, None)?;
        // What is wrong with an object is told before that there is one of its name.
        if self.objects.contains_key(&key) { Err(ApiError::AlreadyExists(key)) } else { Ok(object) }
    }

    /// Replaces an object, if it was not changed since it was read.
    ///
    /// # Errors
    ///
    /// A wrong field, an object that is gone, or one that was changed meanwhile.
    pub fn update(&mut self, object: impl Into<Object>, now: Nanos) -> Result<Arc<Object>, ApiError> {
        let (object, before) = self.review_update(object.into())?;
        if object == *before {
            return Ok(before);
        }
        Ok(self.put(object, now))
    }

    /// What an object would become, and what it is, without keeping it (`--dry-run=server`).
    ///
    /// # Errors
    ///
    /// As of [`Store::update`].
    pub fn review_update(&mut self, mut object: Object) -> Result<(Object, Arc<Object>), ApiError> {
        let key = object.key();
        let before = self.objects.get(&key).cloned().ok_or_else(|| ApiError::NotFound(key.clone()))?;
        let given = &object.metadata().resource_version;
        if given.is_some() && *given != before.metadata().resource_version {
            return Err(ApiError::Conflict(key));
        }
        let (old, meta) = (before.metadata(), object.metadata_mut());
        (meta.uid, meta.creation_timestamp) = (old.uid.clone(), old.creation_timestamp.clone());
        (meta.generation, meta.resource_version) = (old.generation, old.resource_version.clone());
        admission::admit(self, &mut object, Some(&before))?;
        if admission::spec_changed(&object, &before) {
            let meta = object.metadata_mut();
            meta.generation = meta.generation.map(|generation| generation + 1);
        }
        Ok((object, before))
    }

    /// Changes an object where it stands; nothing happens if it is gone.
    ///
    /// # Errors
    ///
    /// A wrong field.
    pub fn edit<T: Kept + Clone>(
        &mut self,
        (namespace, name): (&str, &str),
        now: Nanos,
        change: impl FnOnce(&mut T),
    ) -> Result<(), ApiError>
    where
        Object: From<T>,
    {
        let Some(mut object) = self.get::<T>(namespace, name).cloned() else { return Ok(()) };
        change(&mut object);
        self.update(object, now).map(|_| ())
    }

    /// Deletes an object. A pod on a node is only marked: its kubelet removes it when its containers have ended.
    ///
    /// # Errors
    ///
    /// There is none, or it may not go.
    pub fn delete(&mut self, key: &Key, grace: Option<i64>, now: Nanos) -> Result<(), ApiError> {
        let object = self.objects.get(key).cloned().ok_or_else(|| ApiError::NotFound(key.clone()))?;
        if key.kind == Kind::Namespace
            && ["default", "kube-public", "kube-system"].contains(&key.name.as_str())
        {
            return Err(ApiError::Forbidden(key.clone(), "this namespace may not be deleted".to_owned()));
        }
        if let Object::Pod(pod) = &*object
            && let Some(spec) = &pod.spec
            && spec.node_name.is_some()
            && grace != Some(0)
        {
            if pod.metadata.deletion_timestamp.is_some() {
                return Ok(());
            }
            let mut marked = pod.clone();
            let grace = grace.or(spec.termination_grace_period_seconds).unwrap_or(30);
            marked.metadata.deletion_timestamp = Some(wall_clock(now + Nanos(grace as u64 * 1_000_000_000)));
            marked.metadata.deletion_grace_period_seconds = Some(grace);
            self.put(Object::Pod(marked), now);
            return Ok(());
        }
        self.remove(key, now);
        Ok(())
    }

    /// Removes an object at once, and what belongs to it alone.
    pub fn remove(&mut self, key: &Key, now: Nanos) {
        let Some(gone) = self.objects.remove(key) else { return };
        self.give_back(&gone);
        self.changes.push(Change { at: now, key: key.clone(), object: None });
        for owner in gone.metadata().owner_references.iter().flatten() {
            if let Some(owned) = self.owned.get_mut(&owner.uid) {
                owned.remove(key);
            }
        }
        let owned = gone.metadata().uid.as_ref().and_then(|uid| self.owned.remove(uid));
        for key in owned.into_iter().flatten() {
            // The garbage collector deletes as a user would; the key is there.
            let _ = self.delete(&key, None, now);
        }
        if key.kind == Kind::Namespace {
            let inside: Vec<Key> =
                self.objects.keys().filter(|inside| inside.namespace == key.name).cloned().collect();
            for key in inside {
                let _ = self.delete(&key, None, now);
            }
        }
    }

    fn put(&mut self, mut object: Object, now: Nanos) -> Arc<Object> {
        let key = object.key();
        object.metadata_mut().resource_version = Some((self.changes.len() + 1).to_string());
        let object = Arc::new(object);
        if let Some(before) = self.objects.insert(key.clone(), object.clone()) {
            self.give_back(&before);
            for owner in before.metadata().owner_references.iter().flatten() {
                if let Some(owned) = self.owned.get_mut(&owner.uid) {
                    owned.remove(&key);
                }
            }
        }
        for owner in object.metadata().owner_references.iter().flatten() {
            self.owned.entry(owner.uid.clone()).or_default().insert(key.clone());
        }
        if let Object::Service(service) = &*object {
            self.addresses.extend(admission::addresses(service));
            self.node_ports.extend(admission::node_ports(service));
        }
        self.changes.push(Change { at: now, key, object: Some(object.clone()) });
        object
    }

    fn give_back(&mut self, object: &Object) {
        let Object::Service(service) = object else { return };
        admission::addresses(service).for_each(|address| _ = self.addresses.remove(&address));
        admission::node_ports(service).for_each(|port| _ = self.node_ports.remove(&port));
    }

    /// A service has this address.
    pub fn is_address_taken(&self, address: Ipv4Addr) -> bool {
        self.addresses.contains(&address)
    }

    /// A service has this port on nodes.
    pub fn is_node_port_taken(&self, port: u16, protocol: &str) -> bool {
        self.node_ports.contains(&(port, protocol.to_owned()))
    }

    /// An address for a service. The first ones of the range are given only when asked for, as long as there are others (KEP-3070).
    pub fn free_address(&mut self) -> Option<Ipv4Addr> {
        let range = self.config.services;
        let usable = range.size().checked_sub(2).filter(|usable| *usable > 0)?;
        let kept = (range.size() / 16).clamp(16, 256).min(usable);
        let from = if kept < usable { kept + self.dice.below(usable - kept) } else { 0 };
        let in_order = (from..usable).chain(kept.min(from)..from).chain(0..kept);
        in_order.map(|at| range.at(at + 1)).find(|address| !self.addresses.contains(address))
    }

    /// A port on nodes for a service; the first ones are given only when asked for, as long as there are others (KEP-3668).
    pub fn free_node_port(&mut self, protocol: &str, beside: &BTreeSet<u16>) -> Option<u16> {
        let size = u64::from(NODE_PORTS.end() - NODE_PORTS.start()) + 1;
        let kept = (size / 32).clamp(16, 128);
        let from = kept + self.dice.below(size - kept);
        let in_order = (from..size).chain(kept..from).chain(0..kept);
        let ports = in_order.map(|at| NODE_PORTS.start() + at as u16);
        ports.into_iter().find(|port| !beside.contains(port) && !self.is_node_port_taken(*port, protocol))
    }

    /// Five letters and digits, as a generated name ends.
    pub fn suffix(&mut self) -> String {
        (0..5).map(|_| ALPHABET[self.dice.below(ALPHABET.len() as u64) as usize] as char).collect()
    }

    /// A random number below a bound.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.dice.below(bound)
    }
}

/// A random UUID (RFC 9562, version 4).
fn uid(dice: &mut Dice) -> String {
    let mut bytes = [0; 16];
    dice.fill(&mut bytes);
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// A number as the names of templates have it (`rand.SafeEncodeString`).
pub fn safe_encode(number: u32) -> String {
    number.to_string().bytes().map(|byte| ALPHABET[byte as usize % ALPHABET.len()] as char).collect()
}
