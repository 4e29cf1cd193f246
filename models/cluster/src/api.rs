//! The API server, as its clients reach it.
//!
//! Not modelled: the network between it and them. Each machine of a cluster reaches it through a socket of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::process::{Boxed, Child, Output, Process};

use crate::command::Ran;
use crate::config::Config;
use crate::object::{Kept, Key, Kind, Object};
use crate::store::{Change, Store};

/// The path of the socket.
const SOCKET: &str = "/run/kubernetes/apiserver.sock";

/// A command that `kubectl exec` asks a node's kubelet to run in a pod.
pub struct Exec {
    /// The pod.
    pub pod: Key,
    /// Its container.
    pub container: String,
    /// The command, with the streams of `kubectl`. Its namespace is the pod's.
    pub child: Child,
    /// Its exit status, when it has ended.
    pub ended: Arc<Mutex<Option<i32>>>,
}

/// The API server.
pub struct ApiServer {
    store: Mutex<Store>,
    ran: Mutex<Vec<Ran>>,
    execs: Mutex<BTreeMap<String, Vec<Exec>>>,
    logs: Mutex<BTreeMap<Key, Logs>>,
}

/// The outputs of a pod's containers, by their names: one for each start.
type Logs = BTreeMap<String, Vec<Arc<Log>>>;

/// The output of a container, from its start to its end.
#[derive(Default)]
pub struct Log(Mutex<Vec<u8>>);

impl Output for Log {
    fn write<'a>(&'a self, bytes: &'a [u8]) -> Boxed<'a, std::io::Result<()>> {
        lock(&self.0).extend_from_slice(bytes);
        Box::pin(async { Ok(()) })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

impl ApiServer {
    /// A server with an empty store.
    pub fn new(config: Config, seed: u64) -> ApiServer {
        let (ran, execs, logs) = Default::default();
        ApiServer { store: Mutex::new(Store::new(config, seed)), ran, execs, logs }
    }

    /// The server of the cluster to which a machine belongs.
    pub fn of(process: &Process) -> Option<Arc<ApiServer>> {
        process.world().kernel(process.machine).unix.connect(SOCKET)
    }

    /// The server of the cluster of a world.
    pub fn in_world(world: &World) -> Option<Arc<ApiServer>> {
        world.machines.first()?.unix.connect(SOCKET)
    }

    /// All machines of a world reach the server from now on.
    pub fn bind(self: &Arc<Self>, world: &mut World) {
        for kernel in &mut world.machines {
            kernel.unix.bind(SOCKET, self.clone());
        }
    }

    /// Its store, locked. Never keep the guard over an await.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.store)
    }

    /// Does something with the store, and wakes those who wait for a change.
    pub fn change<T>(&self, process: &Process, work: impl FnOnce(&mut Store, Nanos) -> T) -> T {
        let now = process.now();
        let mut store = self.store();
        let before = store.changes(0).len();
        let done = work(&mut store, now);
        if store.changes(before).is_empty() {
            return done;
        }
        drop(store);
        process.syscall(|cx| cx.wake_up());
        done
    }

    /// Keeps a command that an agent ran.
    pub fn note(&self, ran: Ran) {
        lock(&self.ran).push(ran);
    }

    /// The commands that agents ran, in order.
    pub fn ran(&self) -> Vec<Ran> {
        lock(&self.ran).clone()
    }

    /// Asks the kubelet of a node to run a command in a pod.
    pub fn exec(&self, process: &Process, node: &str, exec: Exec) {
        lock(&self.execs).entry(node.to_owned()).or_default().push(exec);
        process.syscall(|cx| cx.wake_up());
    }

    /// What a node's kubelet is asked to run.
    pub fn take_execs(&self, node: &str) -> Vec<Exec> {
        lock(&self.execs).remove(node).unwrap_or_default()
    }

    /// A node's kubelet is asked to run something.
    pub fn has_execs(&self, node: &str) -> bool {
        lock(&self.execs).contains_key(node)
    }

    /// A pod is made: what one of its name printed is forgotten.
    pub fn forget_logs(&self, pod: &Key) {
        lock(&self.logs).remove(pod);
    }

    /// A container starts: what it prints from now on.
    pub fn new_log(&self, pod: &Key, container: &str) -> Arc<Log> {
        let log = Arc::<Log>::default();
        let mut logs = lock(&self.logs);
        logs.entry(pod.clone()).or_default().entry(container.to_owned()).or_default().push(log.clone());
        log
    }

    /// What a container printed since it was started so many times ago; `None`: it was not.
    pub fn logged(&self, pod: &Key, container: &str, ago: usize) -> Option<Vec<u8>> {
        let logs = lock(&self.logs);
        let log = logs.get(pod)?.get(container)?.iter().rev().nth(ago)?;
        Some(lock(&log.0).clone())
    }
}

/// A change that an agent has learned of.
#[derive(Clone, Debug)]
pub struct News {
    /// What changed.
    pub key: Key,
    /// The object before; `None`: it is new.
    pub before: Option<Arc<Object>>,
    /// The object afterwards; `None`: it is gone.
    pub object: Option<Arc<Object>>,
}

/// What an agent knows of the kinds that it watches: it learns of each change after the cluster's delay.
#[derive(Debug)]
pub struct Watch {
    /// The objects as far as it knows.
    pub objects: BTreeMap<Key, Arc<Object>>,
    kinds: &'static [Kind],
    next: usize,
}

impl Watch {
    /// Watches objects of these kinds.
    pub fn of(kinds: &'static [Kind]) -> Watch {
        Watch { objects: BTreeMap::new(), kinds, next: 0 }
    }

    /// One that knows these objects.
    #[cfg(test)]
    pub(crate) fn knowing(objects: &[(Kind, serde_json::Value)]) -> Watch {
        let mut watch = Watch::of(&[]);
        for (kind, value) in objects {
            let object = kind.read(value.clone()).expect("an object");
            watch.objects.insert(object.key(), Arc::new(object));
        }
        watch
    }

    /// The objects of a type, as far as it knows.
    pub fn all<T: Kept>(&self) -> impl Iterator<Item = &T> {
        let from = Key::new(T::KIND_OF, "", "");
        let of_kind = self.objects.range(from..).take_while(|(key, _)| key.kind == T::KIND_OF);
        of_kind.filter_map(|(_, object)| T::of(object))
    }

    /// Takes in what is known by now; the changes, in order.
    pub fn take(&mut self, store: &Store, now: Nanos) -> Vec<News> {
        let is_known = |change: &&Change| change.at + store.config.delay <= now;
        let mut news = Vec::new();
        for change in store.changes(self.next).iter().take_while(is_known) {
            self.next += 1;
            if !self.kinds.contains(&change.key.kind) {
                continue;
            }
            let before = match &change.object {
                Some(object) => self.objects.insert(change.key.clone(), object.clone()),
                None => self.objects.remove(&change.key),
            };
            news.push(News { key: change.key.clone(), before, object: change.object.clone() });
        }
        news
    }

    /// When the next change is known.
    pub fn due(&mut self, store: &Store) -> Option<Nanos> {
        let changes = store.changes(self.next);
        let others = changes.iter().take_while(|change| !self.kinds.contains(&change.key.kind)).count();
        self.next += others;
        Some(changes.get(others)?.at + store.config.delay)
    }
}

/// Waits until the agent learns of a change, the deadline passes, or `ready`.
pub async fn wait(
    process: &mut Process,
    api: &ApiServer,
    watch: &mut Watch,
    deadline: Option<Nanos>,
    mut ready: impl FnMut(&mut World) -> bool + Send,
) {
    loop {
        let due = watch.due(&api.store());
        let until = [due, deadline].into_iter().flatten().min();
        let is_news = |world: &mut World| {
            // Another change makes another deadline.
            let changed = due.is_none() && watch.due(&api.store()).is_some();
            (ready(world) || changed).then_some(!changed)
        };
        match process.wait(until, is_news).await {
            glassnet_userland::process::Woken::Ready(false) => {}
            _ => return,
        }
    }
}
