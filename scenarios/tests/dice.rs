//! How dice fell in a kernel is found, however they fell; nothing else is left to chance. The simulator is that kernel here, with
//! time that only timers take, in which much happens at once.

use std::fs;
use std::path::Path;

use glassnet_scenarios::backend::observe;
use glassnet_scenarios::compare::verify::replay;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::observation::{KernelConfig, Observation};
use glassnet_scenarios::plan::Plan;
use glassnet_scenarios::simulator::Simulator;
use glassnet_sim::Dice;

fn lesson(name: &str) -> Lesson {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("cluster").join(name);
    Lesson::parse(Path::new(name), fs::read_to_string(path).unwrap()).unwrap()
}

fn run(lesson: &Lesson, falls: Vec<usize>) -> Observation {
    let config = KernelConfig { virtual_time: true, ..KernelConfig::default() };
    observe(&Simulator { config, falls, ..Simulator::default() }, &Plan::from(lesson)).unwrap()
}

#[test]
fn dice_are_turned_until_they_fell_as_the_kernels() {
    let mut turned = 0;
    for name in ["load-balancer.md", "service.md"] {
        let lesson = lesson(name);
        for seed in 0..3 {
            let mut dice = Dice::new(seed);
            let falls = (0..100).map(|_| usize::from(dice.below(2) == 1)).collect();
            let report = replay(&[(lesson.clone(), run(&lesson, falls))], "").unwrap();
            let [lesson] = report.lessons.as_slice() else { panic!("{report}") };
            assert_eq!(lesson.differences, [], "{name}, seed {seed}\n{report}");
            turned += lesson.turned;
        }
    }
    assert!(turned > 10, "{turned} packets had dice turned");
}

/// A router with three ways to a server, which connected sockets' hashes choose among.
const WAYS: &str = r#"---
title: Three ways of the same length
topology:
  nodes: { r: {}, s: {} }
  links:
    - { endpoints: ["r:eth0", "s:eth0"] }
    - { endpoints: ["r:eth1", "s:eth1"] }
    - { endpoints: ["r:eth2", "s:eth2"] }
---
```console
r# sysctl -qw net.ipv4.ip_forward=1 net.ipv4.fib_multipath_hash_policy=1
r# for i in 0 1 2; do ip addr add 10.0.$i.1/24 dev eth$i; ip link set eth$i up; done
s# for i in 0 1 2; do ip addr add 10.0.$i.2/24 dev eth$i; ip link set eth$i up; done; ip addr add 10.9.0.1/32 dev lo
s# sysctl -qw net.ipv4.conf.all.rp_filter=0; ip route add 10.1.0.0/24 via 10.0.0.1; nc -lkp 80 > got & nc -ulkp 53 > asked &
r# ip route add 10.9.0.1 nexthop via 10.0.0.2 nexthop via 10.0.1.2 nexthop via 10.0.2.2
r# ip netns add lan; ip link add l0 type veth peer name eth0 netns lan; ip addr add 10.1.0.1/24 dev l0; ip link set l0 up
r# ip -n lan addr add 10.1.0.9/24 dev eth0; ip -n lan link set eth0 up; ip -n lan route add default via 10.1.0.1
r# for p in 1 2 3 4; do echo $p | ip netns exec lan nc -N -w 1 -p 4000$p 10.9.0.1 80; done
r# for p in 1 2 3 4; do echo $p | ip netns exec lan nc -u -w 1 -p 4000$p 10.9.0.1 53; done
```
"#;

#[test]
fn hashes_that_sockets_drew_are_turned_too() {
    let lesson = Lesson::parse(Path::new("ways.md"), WAYS.to_owned()).unwrap();
    let drawn = run(&lesson, Vec::new());
    assert_eq!(drawn.falls.len(), 8, "a hash for each connection: {:?}", drawn.falls);
    let mut turned = 0;
    for seed in 0..3 {
        let mut dice = Dice::new(seed);
        let falls = (0..8).map(|_| dice.below(8) as usize).collect();
        let report = replay(&[(lesson.clone(), run(&lesson, falls))], "").unwrap();
        let [compared] = report.lessons.as_slice() else { panic!("{report}") };
        assert_eq!(compared.differences, [], "seed {seed}\n{report}");
        turned += compared.turned;
    }
    assert!(turned > 8, "{turned} hashes turned");
}

#[test]
fn what_happens_at_once_has_the_same_order_in_each_run() {
    let lesson = lesson("load-balancer.md");
    let first = run(&lesson, Vec::new());
    for _ in 0..6 {
        assert!(run(&lesson, Vec::new()) == first, "another run differs");
    }
}
