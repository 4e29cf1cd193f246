//! What the first packet of a connection costs by the number of services, in simulated time, beside published measurements.

use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use glassnet_cluster::command::{Answer, Command, Run};
use glassnet_cluster::kube_proxy::Proxier;
use glassnet_kernel::World;
use glassnet_kernel::cost::{Profile, SHIPPED};
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::af_inet::inet_connect;
use glassnet_kernel::net::socket::{close, socket};
use glassnet_kernel::tables::socket::SockKind;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;

use crate::recording::config;
use crate::scale::{cluster, service_address};
use crate::{now, sendable};

const MACHINE: MachineId = MachineId(0);
const CPU: CpuId = CpuId(0);
/// Connections that are made to services from the first to the last, at equal distances.
const CONNECTIONS: usize = 200;

/// A node on which kube-proxy's commands run: a pod is at one cable, the endpoints are behind another.
struct Node {
    world: SharedWorld,
    pod: NetnsId,
    is_legacy: bool,
}

impl Node {
    fn new(is_legacy: bool) -> Node {
        let mut world = World::new(1);
        world.add_machine("node1", 1);
        world.kernel_mut(MACHINE).profile = Profile::parse(SHIPPED[1].1).expect("a profile");
        let mut node = Node { world: Arc::new(Mutex::new(world)), pod: INIT_NET, is_legacy };
        for line in [
            "ip netns add pod",
            "ip link add pod0 type veth peer name eth0 netns pod",
            "ip link set pod0 up",
            "ip addr add 10.244.1.1/24 dev pod0",
            "ip link add out type veth peer name far",
            "ip link set out up",
            "ip link set far up",
            "ip addr add 192.168.0.1/24 dev out",
            "ip neigh add 192.168.0.2 lladdr 02:00:00:00:00:02 dev out nud permanent",
            "ip route add 10.128.0.0/9 via 192.168.0.2",
            "sysctl -w net.ipv4.ip_forward=1",
        ] {
            node.ran(INIT_NET, line);
        }
        let pod = node.world().kernel(MACHINE).netns_names["pod"];
        node.pod = pod;
        for line in [
            "ip link set eth0 up",
            "ip addr add 10.244.1.9/24 dev eth0",
            "ip route add default via 10.244.1.1",
        ] {
            node.ran(node.pod, line);
        }
        node
    }

    fn world(&self) -> std::sync::MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    fn ran(&self, netns: NetnsId, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let outcome = harness::run(&self.world, (MACHINE, netns), &words, "").expect("it ends");
        assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{line}");
    }

    /// Simulated ns that the first packet of a pod's connection to a service takes through the node.
    fn first_packet(&self, service: Ipv4Addr) -> u64 {
        let mut world = self.world();
        world.reset_limit();
        let begin = world.cpu_now(MACHINE, CPU);
        let id = world.enter(MACHINE, CPU, |cx| {
            let id = socket(cx, self.pod, SockKind::Tcp);
            inet_connect(cx, id, service, 80).expect("it is on its way");
            id
        });
        let end = world.cpu_now(MACHINE, CPU);
        world.enter(MACHINE, CPU, |cx| close(cx, id));
        end.since(begin).0
    }

    fn passed(&self) -> u64 {
        let world = self.world();
        let kernel = world.kernel(MACHINE);
        let out = kernel.dev_by_name(INIT_NET, "out").expect("the device");
        kernel.devs[out].stats.tx_packets
    }
}

impl Run for Node {
    async fn run(&mut self, command: Command) -> Answer {
        let mut argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
        if self.is_legacy {
            argv[0] = match argv[0] {
                "iptables" => "iptables-legacy",
                "iptables-restore" => "iptables-legacy-restore",
                "iptables-save" => "iptables-legacy-save",
                other => other,
            };
        }
        let outcome = harness::run(&self.world, (MACHINE, INIT_NET), &argv, &command.stdin).expect("it ends");
        Answer { status: outcome.status, stdout: outcome.stdout, stderr: outcome.stderr }
    }
}

/// What the first packets take, in order, with so many services of two endpoints each.
fn first_packets(mode: &str, is_legacy: bool, count: usize) -> Vec<u64> {
    let mut node = Node::new(is_legacy);
    let cluster = cluster(count);
    let mut proxier = Proxier::new(config("1.36", mode, None)).unwrap();
    now(sendable(proxier.sync(&cluster.objects(), Duration::from_secs(10), &mut node))).unwrap();
    // Neighbours and routes are known from then on.
    node.first_packet(service_address(0));
    let before = node.passed();
    let asked = CONNECTIONS.min(count);
    let mut all: Vec<u64> =
        (0..asked).map(|at| node.first_packet(service_address(at * count / asked))).collect();
    assert_eq!(node.passed() - before, asked as u64, "{mode}, {count} services");
    all.sort_unstable();
    all
}

fn mean(times: &[u64]) -> f64 {
    times.iter().sum::<u64>() as f64 / times.len() as f64
}

fn median(times: &[u64]) -> f64 {
    times[times.len() / 2] as f64
}

/// Requests a second through services of iptables, each with a connection of its own. Source: the guide of Tencent's TKE on the modes of
/// kube-proxy.
const REQUESTS: [(usize, f64); 5] =
    [(10, 31_365.0), (5_000, 22_237.0), (10_000, 17_261.0), (20_000, 12_916.0), (30_000, 9_057.0)];
/// Medians of what the first packet of a connection takes, µs. Source: kubernetes.io, "NFTables mode for kube-proxy" (2025).
const FIRST_PACKETS: [(usize, f64); 3] = [(5_000, 49.0), (10_000, 63.0), (30_000, 273.0)];
/// What IPVS is asked.
const IPVS: [usize; 3] = [10, 1_000, 5_000];

#[test]
fn what_services_cost_beside_published_measurements() {
    let mut table = format!(
        "## Services\n\nThe profile `{}`, in which a rule that does not match takes 4 ns in iptables-legacy and 8 ns in iptables-nft. A service has two \
         endpoints. A\nrequest is a connection of its own to a service, of which there are so many; the first number fits all that does not depend on \
         services\n(32 µs a request, and what the first packet takes elsewhere), the others follow from the rules that a first packet is tried \
         against:\nhalf of them. Above 10,000 services the published times grow faster than the rules: those no longer fit into a cache,\nwhich the \
         model does not know. Which iptables was measured is not said: legacy, as in those years, for TKE's requests, and nft for the first packets\n\
         of 2025. Nothing comparable was found of IPVS.\n\n| what | measured | model | error | |\n|---|---|---|---|---|\n",
        SHIPPED[1].0
    );
    let mut row = |what: String, measured: f64, model: f64, is_fitted: bool| {
        let error = format!("{:+.1} %", model / measured * 100.0 - 100.0);
        let how = if is_fitted { "fitted" } else { "predicted" };
        table += &format!("| {what} | {measured:.0} | {model:.0} | {error} | {how} |\n");
    };
    let few = mean(&first_packets("iptables", true, REQUESTS[0].0));
    for (at, (count, measured)) in REQUESTS.into_iter().enumerate() {
        let more = mean(&first_packets("iptables", true, count)) - few;
        let model = 1e9 / (1e9 / REQUESTS[0].1 + more);
        row(format!("requests/s, iptables, {count} services"), measured, model, at == 0);
    }
    let first = median(&first_packets("iptables", false, FIRST_PACKETS[0].0)) / 1e3;
    for (at, (count, measured)) in FIRST_PACKETS.into_iter().enumerate() {
        let model = FIRST_PACKETS[0].1 + median(&first_packets("iptables", false, count)) / 1e3 - first;
        row(format!("first packet, µs, iptables, {count} services"), measured, model, at == 0);
    }
    table += "\nWhat a first packet takes through a node of the model:\n\n| services | iptables-legacy, µs | iptables-nft, µs | IPVS, µs |\n|---|---|---|---|\n";
    for count in IPVS {
        let [legacy, nft] =
            [true, false].map(|is_legacy| mean(&first_packets("iptables", is_legacy, count)) / 1e3);
        let ipvs = mean(&first_packets("ipvs", false, count)) / 1e3;
        table += &format!("| {count} | {legacy:.1} | {nft:.1} | {ipvs:.1} |\n");
    }
    let kept = include_str!("../../../../snapshots/measurements.md");
    let kept = kept.find("## Services").map_or("", |begin| &kept[begin..]);
    assert_eq!(
        kept, table,
        "if the change is right, this is the new end of snapshots/measurements.md:\n{table}"
    );
}
