//! The list of programs against the programs themselves.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{MachineId, NetnsId};
use glassnet_kernel::world::World;
use glassnet_userland::{PROGRAMS, harness, installed, program};

/// Programs that tell their version, and the option that asks for it.
const ASKED: &[(&str, &str)] = &[
    ("arping", "-V"),
    ("arp", "-V"),
    ("brctl", "-V"),
    ("bridge", "-V"),
    ("conntrack", "-V"),
    ("curl", "-V"),
    ("dmesg", "-V"),
    ("ethtool", "--version"),
    ("ifconfig", "-V"),
    ("ip", "-V"),
    ("ipset", "-v"),
    ("iptables", "-V"),
    ("iptables-save", "-V"),
    ("iptables-legacy-restore", "-V"),
    ("nsenter", "-V"),
    ("nstat", "-V"),
    ("ping", "-V"),
    ("python3", "-V"),
    ("route", "-V"),
    ("ss", "-V"),
    ("sysctl", "-V"),
    ("tc", "-V"),
    ("tcpdump", "--version"),
    ("tracepath", "-V"),
    ("traceroute", "-V"),
];

#[test]
fn programs_print_the_version_of_their_row() {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    for (name, option) in ASKED {
        let row = program(name).expect("a program");
        let outcome = harness::run(&world, (MachineId(0), NetnsId(0)), &[name, option], "").expect("ends");
        let said = outcome.stdout + &outcome.stderr;
        assert!(said.contains(row.version), "{name} {option}: {} is not in {said:?}", row.version);
    }
}

#[test]
fn programs_are_listed_once_in_the_order_of_their_names() {
    let names: Vec<&str> = PROGRAMS.iter().map(|program| program.name()).collect();
    assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
}

#[test]
fn what_is_not_modelled_is_refused_by_name() {
    let mut names: Vec<&str> = installed().map(|program| program.name()).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count, "a name in both lists, or twice in one");
    let places = ["/usr/bin/", "/usr/sbin/", "/usr/share/openvswitch/scripts/"];
    assert!(installed().all(|row| places.iter().any(|place| row.path.starts_with(place))));
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    for name in ["tipc", "nft", "ip6tables", "ovs-pcap", "unshare", "drill", "kubeadm", "docker"] {
        let outcome = harness::run(&world, (MachineId(0), NetnsId(0)), &[name, "-x"], "").expect("ends");
        assert_eq!((outcome.status, outcome.stderr), (2, format!("not modelled yet: {name}\n")));
    }
    assert!(program("nosuch").is_none());
}

/// What Debian's `modules.builtin` does not name is not found, though the kernel has it.
#[test]
fn modprobe_knows_modules_and_those_that_are_built_in() {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let world = Arc::new(Mutex::new(world));
    let modprobe = |name: &str| {
        let outcome =
            harness::run(&world, (MachineId(0), NetnsId(0)), &["modprobe", name], "").expect("ends");
        (outcome.status, outcome.stderr)
    };
    for name in ["bridge", "br-netfilter", "dummy", "nf_conntrack", "xt_comment", "ipv6", "af_packet"] {
        assert_eq!(modprobe(name), (0, String::new()), "{name}");
    }
    for name in ["devinet", "ipv4", "loopback", "net", "nft_counter", "rtnetlink", "tcp"] {
        let said =
            format!("modprobe: FATAL: Module {name} not found in directory /lib/modules/6.1.0-28-amd64\n");
        assert_eq!(modprobe(name), (1, said));
    }
}
