//! `ip` against recordings of the real one: `tests/ip/record FILE…` makes them anew.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::CpuId;
use glassnet_kernel::kernel::INIT_NET;
use glassnet_kernel::net::ipv4::route_errors::ip_rt_update_pmtu;
use glassnet_kernel::world::World;
use glassnet_sim::Nanos;
use glassnet_userland::harness;
use words::words;

#[path = "shared/words.rs"]
mod words;

/// The text that printf makes of this one: `\\n` and `\\\\`.
fn unescape(text: &str) -> String {
    text.split("\\\\").map(|part| part.replace("\\n", "\n")).collect::<Vec<_>>().join("\\")
}

/// The recorder waits after such commands: the kernel takes up to a second to notice a carrier.
fn waits_after(command: &str) -> bool {
    let (deletes, sets) =
        (command.contains("link del") || command.contains("netns del"), command.contains("set "));
    deletes
        || command.contains("l s") && command.contains(" up")
        || sets && [" up", " down", "master"].iter().any(|change| command.contains(change))
}

fn let_a_carrier_be_noticed(world: &Mutex<World>) {
    let mut world = world.lock().expect("nobody panicked");
    let until = world.now() + Nanos::from_millis(1100);
    world.wake_at(until);
    while world.next_event_at().is_some_and(|at| at <= until) {
        world.step().expect("no loop");
    }
}

/// Runs the commands of a recording and compares everything that they print.
fn check(name: &str, recording: &str) {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    // The recordings are of a kernel without it.
    world.kernel_mut(machine).config.bridge_vlan_filtering = false;
    let world = Arc::new(Mutex::new(world));
    let mut ours = String::new();
    for line in recording.lines() {
        if line.starts_with('#') {
            ours.push_str(line);
            ours.push('\n');
        }
        let Some(command) = line.strip_prefix("$ ") else { continue };
        // `printf TEXT | ip …` gives the command its standard input.
        let (stdin, command) = match command.strip_prefix("printf ").and_then(|rest| rest.split_once(" | ")) {
            Some((text, command)) => (unescape(&words(text).concat()), command),
            None => (String::new(), command),
        };
        let argv = words(command);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let outcome = harness::run(&world, (machine, INIT_NET), &argv, &stdin).expect("a program that ends");
        ours.push_str(&format!("{line}\n{}{}", outcome.stdout, outcome.stderr));
        if outcome.status != 0 {
            ours.push_str(&format!("[{}]\n", outcome.status));
        }
        if waits_after(command) {
            let_a_carrier_be_noticed(&world);
        }
    }
    let kept = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("ip-{name}.txt"));
    std::fs::write(&kept, &ours).expect("a directory for what tests leave behind");
    let differences = first_difference(&ours, recording);
    assert!(ours == recording, "ours is in {}\n{differences}", kept.display());
}

fn first_difference(ours: &str, theirs: &str) -> String {
    let (mut command, mut count) = ("", 0);
    let mut text = String::new();
    for (a, b) in ours.lines().zip(theirs.lines()) {
        if b.starts_with("$ ") {
            command = b;
        }
        if a != b {
            text.push_str(&format!("{command}\n  ours   {a}\n  theirs {b}\n"));
            count += 1;
            if count > 2 || a.starts_with("$ ") != b.starts_with("$ ") {
                break;
            }
        }
    }
    text
}

macro_rules! recordings {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            check(stringify!($name), include_str!(concat!("ip/", stringify!($name), ".txt")));
        })*
    };
}

/// Runs commands one after the other on a fresh machine and gives what the last one did.
fn last(commands: &[&str]) -> harness::Outcome {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 2);
    let world = Arc::new(Mutex::new(world));
    let run = |command: &&str| {
        let argv = words(command);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        harness::run(&world, (machine, INIT_NET), &argv, "").expect("a program that ends")
    };
    commands.iter().map(run).fold(None, |_, outcome| Some(outcome)).expect("a command")
}

#[test]
fn what_is_not_modelled_says_so() {
    for (command, what) in [
        ("ip maddr", "maddress"),
        ("ip monitor", "monitor without `neigh`"),
        ("ip tunnel add x mode sit", "tunnel mode sit"),
        ("ip -r link", "-resolve"),
        ("ip link add type team", "link add type team"),
        ("ip link add gn0 type geneve id 4 remote ::1", "link … type geneve remote ::1"),
        ("ip link add gn0 type geneve id 4 label 5", "link … type geneve label"),
        ("ip link add gn0 type geneve id 4 innerprotoinherit", "link … type geneve innerprotoinherit"),
        ("ip link add x link lo type macvlan mode source", "link … type macvlan mode source"),
        ("ip link add x type ipvtap", "link add type ipvtap"),
        ("ip link add mv0 link lo type ipvtap mode l2", "link add type ipvtap"),
        ("ip link add tm0 numtxqueues 4 type team", "link add type team"),
        ("ip link add wg0 type wireguard", "link add type wireguard"),
        ("ip route add 10.0.0.0/8 dev lo realm 5", "route add … realm"),
        ("ip link set lo xdp off", "link … xdp"),
        ("ip link set lo addrgenmode none", "link … addrgenmode"),
        ("ip link xstats", "link xstats"),
        ("ip link add br0 type bridge mcast_querier 1", "link … type bridge mcast_querier 1"),
        ("ip link set lo type bridge_slave vlan_tunnel on", "link … type bridge_slave vlan_tunnel on"),
        ("ip addr add ::1/128 dev lo", "-6"),
        ("ip -6 addr add ::1/128 dev lo", "-6"),
        ("ip addr add 10.0.0.1/8 anycast 10.0.0.2 dev lo", "address add anycast"),
        ("ip addr save", "address save"),
        ("ip route add 10.0.0.0/8 encap mpls 5 dev lo", "route … encap mpls"),
        ("ip route add 10.0.0.0/8 via inet6 ::1", "route add … via inet6"),
        ("ip route get 10.0.0.1 uid 5", "route get uid"),
        ("ip rule add uidrange 0-5 table 5", "rule … uidrange"),
        ("ip neigh add 10.0.0.1 dev lo managed", "neigh add … managed"),
        ("ip netns monitor", "netns monitor"),
    ] {
        let outcome = last(&[command]);
        let said = (outcome.stderr.as_str(), outcome.status);
        assert_eq!(said, (format!("not modelled yet: ip {what}\n").as_str(), 2), "{command}");
    }
}

#[test]
fn a_device_returns_to_the_namespace_of_process_1() {
    let outcome = last(&[
        "ip netns add n",
        "ip link add v type veth peer name w",
        "ip link set v netns n",
        "ip -n n link set v netns 1",
        "ip -br link show type veth",
    ]);
    assert_eq!(outcome.stdout.lines().filter(|line| line.starts_with(['v', 'w'])).count(), 2, "{outcome:?}");
}

/// What was learnt of a path is forgotten (`route/flush`).
#[test]
fn a_flushed_cache_has_no_path_mtu() {
    let mut world = World::new(1);
    let machine = world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    let run = |command: &str| {
        let argv = words(command);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        harness::run(&world, (machine, INIT_NET), &argv, "").expect("a program that ends").stdout
    };
    for command in [
        "ip link add v type veth peer name w",
        "ip link set v up",
        "ip link set w up",
        "ip addr add 10.0.0.1/24 dev v",
    ] {
        run(command);
    }
    let_a_carrier_be_noticed(&world);
    world.lock().expect("nobody panicked").enter(machine, CpuId(0), |cx| {
        let dev = cx.k.dev_by_name(INIT_NET, "v").expect("a device");
        ip_rt_update_pmtu(cx, INIT_NET, dev, [10, 0, 0, 2].into(), 1000);
    });
    assert!(run("ip route get 10.0.0.2").contains("expires 600sec mtu 1000"));
    run("ip route flush cache");
    assert!(!run("ip route get 10.0.0.2").contains("mtu"));
}

recordings!(netns link_veth link_errors link_bridge addr route neigh rule numbers global batch random_1 random_2 random_3);
