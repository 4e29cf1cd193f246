//! Random network policies, pods and namespaces. When all is quiet, a packet of every probe from everybody to everybody reaches its
//! receiver if, and only if, the policies allow it; and what is answered comes back, also where the policies of the other direction
//! would not let it begin.
//!
//! Where kube-router 1.2 differs from the specification, the packets show what kube-router does; so many cells are counted, too.
//!
//! `GLASSNET_POLICIES=100` draws as many clusters as it says, from the seed `GLASSNET_SEED` on.

mod policies {
    pub mod draw;
    pub mod evaluate;
}

use std::path::Path;

use glassnet_cluster::api::ApiServer;
use glassnet_cluster::object::Kind;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::reach::{self, Asked, Cell, Matrix, Place, Settings};
use glassnet_scenarios::run::Run;
use glassnet_scenarios::trace::Protocol;
use policies::draw::Case;
use policies::evaluate::{Cluster, End, Packet, Reader};

/// How many clusters are drawn where nothing else is asked for, and how often each changes.
const FEW: u64 = 1;
const CHANGES: usize = 3;

/// What everybody is asked.
const PROBES: [(Protocol, Packet); 4] = [
    (Protocol::Icmp, ("ICMP", 0)),
    (Protocol::Tcp, ("TCP", 80)),
    (Protocol::Tcp, ("TCP", 8080)),
    (Protocol::Udp, ("UDP", 53)),
];

fn number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")),
        Err(_) => default,
    }
}

/// Runs a line on a machine; what it prints.
fn shell(run: &mut Run, machine: &str, line: &str) -> String {
    let outcome = run.session.run(machine, line).unwrap_or_else(|error| panic!("{machine}# {line}\n{error}"));
    outcome.output
}

/// The objects as they are.
fn objects(run: &Run) -> Cluster {
    let api = ApiServer::in_world(&run.session.world()).expect("a cluster");
    let (store, mut cluster) = (api.store(), Cluster::default());
    for kind in [Kind::Namespace, Kind::NetworkPolicy, Kind::Pod] {
        store.objects(kind).for_each(|object| cluster.add(&object.to_json()));
    }
    cluster
}

/// Who has an address, as policies see it.
fn end(cluster: &Cluster, place: &Place, address: std::net::Ipv4Addr) -> End {
    let pod = cluster.pods.values().find(|(_, known)| *known == address).map(|(pod, _)| pod.clone());
    let node = Some(place.host.machine.clone()).filter(|machine| machine != "client");
    End { address, node, pod }
}

/// Cells, and how many of them kube-router decides otherwise than the specification.
#[derive(Debug, Default)]
struct Counted {
    cells: usize,
    denied: usize,
    otherwise: usize,
}

/// The cells of a matrix, each with its ends.
fn cells(matrix: &Matrix) -> impl Iterator<Item = (&Place, (&Place, &Asked), &Cell)> {
    matrix.from.iter().zip(&matrix.cells).flat_map(move |(from, row)| {
        let to = |asked: &Asked| {
            let has = |place: &&Place| place.name == asked.name;
            matrix.from.iter().find(has).expect("everybody is asked")
        };
        matrix.to.iter().zip(row).map(move |(asked, cell)| (from, (to(asked), asked), cell))
    })
}

fn compare(run: &Run, counted: &mut Counted, place: &str) {
    let cluster = objects(run);
    for (probe, packet) in PROBES {
        let settings = Settings { probe, port: packet.1, services: false };
        let matrix = reach::matrix(&mut run.session.world(), settings).expect("a matrix");
        for (from, (to, asked), cell) in cells(&matrix) {
            let source = cell.sent_from.expect("everybody has a route");
            let (sender, receiver) = (end(&cluster, from, source), end(&cluster, to, asked.address));
            let allowed = |reader| cluster.allows(reader, &sender, &receiver, packet);
            let (wanted, specified) = (allowed(Reader::KubeRouter), allowed(Reader::Specification));
            let what = format!("{place}: {packet:?} from {} to {}: {}", from.name, to.name, cell.why);
            assert_eq!(cell.seen_from.is_some(), wanted, "{what}\n{cluster:#?}");
            if wanted {
                // Nobody listens: a reset or an ICMP error is the answer, and comes back.
                assert!(cell.reached || cell.why.contains("goes back"), "{what}");
            } else {
                assert!(cell.why.contains("kube-router: policy "), "{what}");
            }
            counted.cells += 1;
            counted.denied += usize::from(!wanted);
            counted.otherwise += usize::from(wanted != specified);
        }
    }
}

fn check(seed: u64, counted: &mut Counted) {
    let mut case = Case::draw(seed);
    let text = Case::front_matter().to_owned();
    let lesson = Lesson::parse(Path::new("policies.md"), text).unwrap_or_else(|error| panic!("{error}"));
    let mut run = Run::new(&lesson, seed).expect("a cluster");
    for line in Case::prepare() {
        shell(&mut run, "client", &line);
    }
    for change in 0..CHANGES {
        let lines = if change == 0 { case.begin() } else { case.change() };
        for line in lines {
            let printed = shell(&mut run, "node1", &line);
            assert!(!printed.contains("rror"), "seed {seed}, change {change}: {line}\n{printed}");
        }
        // Connections of the last matrix are forgotten by then.
        shell(&mut run, "node1", "sleep 35");
        compare(&run, counted, &format!("seed {seed}, change {change}"));
    }
}

#[test]
fn packets_pass_where_policies_allow_it() {
    let (from, mut counted) = (number("GLASSNET_SEED", 0), Counted::default());
    for seed in from..from + number("GLASSNET_POLICIES", FEW) {
        check(seed, &mut counted);
    }
    println!("{counted:?}");
    assert!(counted.denied > 0 && counted.otherwise < counted.cells / 10, "{counted:?}");
}
