//! flanneld as a program: it chooses its interface, reads its configuration, gets its lease, and then follows what other nodes do.

use std::convert::Infallible;
use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::Poll;

use glassnet_sim::Nanos;
use glassnet_userland::process::{Process, Running};
use k8s_openapi::api::core::v1::Pod;

use super::RELEASE;
use super::backend::Backend;
use super::daemon::{Daemon, Level};
use super::interface;
use super::iptables::{self, Keeper};
use super::net_conf::{NetConf, cidr};
use super::options::Options;
use super::proxy::Proxy;
use super::subnets::Subnets;
use crate::api::{self, ApiServer};
use crate::command::Command;
use crate::config::Range;

/// How often it looks whether it knows all nodes.
const SYNC_POLL: Nanos = Nanos(1_000_000_000);

const SECOND: u64 = 1_000_000_000;

/// Entry point.
pub fn main(process: &mut Process) -> Running<'_> {
    Box::pin(async move {
        let options = match Options::parse(process.args(), &process.env) {
            Ok(options) => options,
            Err(why) => {
                let name = process.name().to_owned();
                let why = if why.is_empty() { why } else { format!("{why}\n") };
                process.eprint(format!("{why}Usage: {name} [OPTION]...\n"));
                return 0;
            }
        };
        if options.is("version") {
            process.eprint(format!("v{RELEASE}\n"));
            return 0;
        }
        let Some(api) = ApiServer::of(process) else {
            process.eprint("flanneld: this machine is in no cluster\n");
            return 1;
        };
        let mut thread = Some(process.thread());
        let handed = Arc::<Mutex<Option<Proxy>>>::default();
        let mut agent = pin!(run(process, api, &options, &handed));
        let mut carrying: Option<Pin<Box<dyn Future<Output = Infallible> + Send>>> = None;
        poll_fn(|cx| {
            if let Poll::Ready(status) = agent.as_mut().poll(cx) {
                return Poll::Ready(status);
            }
            let proxy = handed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).take();
            if let Some(proxy) = proxy
                && let Some(mut thread) = thread.take()
            {
                carrying = Some(Box::pin(async move { proxy.serve(&mut thread).await }));
            }
            if let Some(carrying) = &mut carrying {
                // It never ends.
                let _ = carrying.as_mut().poll(cx);
            }
            Poll::Pending
        })
        .await
    })
}

/// Runs until something fails; its exit status.
async fn run(
    process: &mut Process,
    api: Arc<ApiServer>,
    options: &Options,
    handed: &Mutex<Option<Proxy>>,
) -> i32 {
    let verbosity = u8::try_from(options.number("v")).unwrap_or(u8::MAX);
    let mut daemon = Daemon { process, api, verbosity };
    match start(&mut daemon, options, handed).await {
        Ok(running) => running.go_on(&mut daemon).await,
        Err((place, why)) => {
            daemon.error(place, why);
            1
        }
    }
}

/// What went wrong, and where the real one says it.
type Failure = (&'static str, String);

/// What runs after the start.
struct Started {
    subnets: Subnets,
    backend: Backend,
    rules: Keeper,
}

async fn start(
    daemon: &mut Daemon<'_>,
    options: &Options,
    handed: &Mutex<Option<Proxy>>,
) -> Result<Started, Failure> {
    let margin = options.number("subnet-lease-renew-margin");
    if !(1..24 * 60).contains(&margin) {
        return Err((
            "main.go:194",
            "Invalid subnet-lease-renew-margin option, out of acceptable range".to_owned(),
        ));
    }
    for (is_asked, what) in
        [(options.number("healthz-port") > 0, "-healthz-port"), (!options.is("kube-subnet-mgr"), "etcd")]
    {
        if is_asked {
            return Err(("main.go:251", format!("not modelled yet: {what} of flanneld")));
        }
    }
    let outside = interface::choose(daemon, options).map_err(|why| ("main.go:205", why))?;
    let subnets = subnet_manager(daemon, options).await;
    let (mut subnets, conf) =
        subnets.map_err(|why| ("main.go:251", format!("Failed to create SubnetManager: {why}")))?;
    daemon.info("main.go:257", "Installing signal handlers");
    daemon.info("main.go:392", format_args!("Found network config - Backend type: {}", conf.kind));
    let registered = Backend::register(daemon, &mut subnets, (&outside, &conf)).await;
    let (backend, subnet, proxy) = registered.map_err(|why| ("main.go:293", why))?;
    let rules = rules(daemon, options, (conf.network, subnet)).await?;
    match write_subnet_file(daemon, options, (conf.network, subnet), backend.mtu()).await {
        Ok(path) => daemon.info("main.go:323", format_args!("Wrote subnet file to {path}")),
        Err(why) => {
            daemon.log(Level::Warning, "main.go:321", format_args!("Failed to write subnet file: {why}"))
        }
    }
    daemon.info("main.go:327", "Running backend.");
    daemon.info("main.go:345", "Waiting for all goroutines to exit");
    backend.begin(daemon);
    *handed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = proxy;
    Ok(Started { subnets, backend, rules })
}

/// Reads the configuration, and waits until the nodes are known.
async fn subnet_manager(daemon: &mut Daemon<'_>, options: &Options) -> Result<(Subnets, NetConf), String> {
    let node = node_name(daemon)?;
    let path = options.text("net-config-path");
    let text = daemon.process.files.clone().read(path).await;
    let text = text.map_err(|error| format!("failed to read net conf: open {path}: {}", reason(&error)))?;
    let conf = NetConf::parse(&String::from_utf8_lossy(&text));
    let conf = conf.map_err(|why| format!("error parsing subnet config: {why}"))?;
    let subnets = Subnets::new(node.clone(), options.text("kube-annotation-prefix"));
    let mut subnets = subnets.map_err(|why| format!("error creating network manager: {why}"))?;
    daemon.info("kube.go:116", "Waiting 10m0s for node controller to sync");
    daemon.info("kube.go:299", "Starting kube subnet manager");
    // It has no signal handlers that would end this.
    let _ = daemon.process.sleep(SYNC_POLL).await;
    daemon.info("kube.go:123", "Node controller sync successful");
    daemon.info("main.go:254", format_args!("Created subnet manager: Kubernetes Subnet Manager - {node}"));
    // Its own node is among them, though nobody is to be told yet of the others.
    let now = daemon.process.now();
    subnets.learn(&daemon.api.store(), now);
    Ok((subnets, conf))
}

/// The kernel's word for a file that cannot be read.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        _ => error.to_string(),
    }
}

/// The node on which it runs: it is told, or its pod is.
fn node_name(daemon: &Daemon<'_>) -> Result<String, String> {
    let variable = |name: &str| daemon.process.env.get(name).filter(|value| !value.is_empty());
    if let Some(name) = variable("NODE_NAME") {
        return Ok(name.clone());
    }
    let (Some(name), Some(namespace)) = (variable("POD_NAME"), variable("POD_NAMESPACE")) else {
        return Err("env variables POD_NAME and POD_NAMESPACE must be set".to_owned());
    };
    let store = daemon.api.store();
    let Some(pod) = store.get::<Pod>(namespace, name) else {
        return Err(format!("error retrieving pod spec for '{namespace}/{name}': pods \"{name}\" not found"));
    };
    let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
    node.ok_or_else(|| format!("node name not present in pod spec '{namespace}/{name}'"))
}

/// The rules that are to be kept; those of an earlier network or subnet are deleted.
async fn rules(
    daemon: &mut Daemon<'_>,
    options: &Options,
    (network, subnet): (Range, Range),
) -> Result<Keeper, Failure> {
    let mut all = Vec::new();
    if options.is("ip-masq") {
        let random = iptables::knows_random_fully(daemon).await;
        let random =
            random.map_err(|why| ("main.go:302", format!("Failed to recycle IPTables rules, {why}")))?;
        let path = options.text("subnet-file");
        let before = daemon.process.files.clone().read(path).await.unwrap_or_default();
        let before = String::from_utf8_lossy(&before).into_owned();
        let value = |key: &str| {
            let line = before.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
            line.and_then(cidr).unwrap_or(Range { first: Ipv4Addr::UNSPECIFIED, len: 0 })
        };
        let (old_network, old_subnet) = (value("FLANNEL_NETWORK"), value("FLANNEL_SUBNET"));
        if old_network != network && old_subnet != subnet {
            daemon.info(
                "main.go:357",
                format_args!(
                    "Current network or subnet ({network}, {subnet}) is not equal to previous one ({old_network}, {old_subnet}), trying to recycle old iptables rules"
                ),
            );
            // What cannot be deleted stays, as in the real one, which drops this error.
            let _ = iptables::masquerade(old_network, old_subnet, random).delete(daemon).await;
        }
        daemon.info("main.go:307", "Setting up masking rules");
        all.push(iptables::masquerade(network, subnet, random));
    }
    if options.is("iptables-forward-rules") {
        daemon.info("main.go:315", "Changing default FORWARD chain policy to ACCEPT");
        all.push(iptables::forward(network));
    }
    let pause = options.number("iptables-resync").max(0) as u64;
    Ok(Keeper { all, due: daemon.process.now(), pause: Nanos(pause.max(1) * SECOND) })
}

/// Tells the CNI plugin of the node what it has to know; where.
async fn write_subnet_file<'o>(
    daemon: &mut Daemon<'_>,
    options: &'o Options,
    (network, subnet): (Range, Range),
    mtu: u32,
) -> Result<&'o str, String> {
    let path = options.text("subnet-file");
    let (folder, name) = path.rsplit_once('/').unwrap_or((".", path));
    let gateway = subnet.at(1);
    let (len, masquerade) = (subnet.len, options.is("ip-masq"));
    let text = format!(
        "FLANNEL_NETWORK={network}\nFLANNEL_SUBNET={gateway}/{len}\nFLANNEL_MTU={mtu}\nFLANNEL_IPMASQ={masquerade}\n"
    );
    let new = format!("{folder}/.{name}");
    daemon.run(&format!("mkdir -p {folder}")).await?;
    let tee = Command { stdin: text, ..Command::words(&format!("tee {new}")) };
    let answer = daemon.answer(tee).await;
    if answer.status != 0 {
        return Err(answer.stderr.trim_end().to_owned());
    }
    // So that nobody reads half of it.
    daemon.run(&format!("mv {new} {path}")).await?;
    Ok(path)
}

impl Started {
    /// Follows other nodes, and looks after rules and routes, for ever.
    async fn go_on(mut self, daemon: &mut Daemon<'_>) -> i32 {
        loop {
            for event in self.subnets.events(daemon) {
                self.backend.handle(daemon, &event).await;
            }
            self.rules.keep(daemon).await;
            self.backend.keep(daemon).await;
            let rules = (!self.rules.all.is_empty()).then_some(self.rules.due);
            let deadline = [rules, self.backend.due()].into_iter().flatten().min();
            let (process, api) = (&mut *daemon.process, daemon.api.clone());
            api::wait(process, &api, &mut self.subnets.watch, deadline, |_| false).await;
        }
    }
}
