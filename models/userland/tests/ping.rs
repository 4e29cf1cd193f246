//! ping, arping, tracepath and tcpdump over simulated veth pairs, as the real tools print.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::world::World;
use glassnet_userland::harness::{Outcome, run, run_together};
use glassnet_userland::process::SharedWorld;
use glassnet_userland::procfs::{self, Caller};

/// A machine with a namespace `b` behind a veth pair: 10.9.0.1 here, 10.9.0.2 there.
struct Bench {
    world: SharedWorld,
    machine: MachineId,
}

impl Bench {
    fn new() -> Bench {
        let mut world = World::new(7);
        let machine = world.add_machine("node1", 1);
        let bench = Bench { world: Arc::new(Mutex::new(world)), machine };
        bench.all(&[
            "ip netns add b",
            "ip link add v1 type veth peer name v2 netns b",
            "ip addr add 10.9.0.1/24 dev v1",
            "ip -n b addr add 10.9.0.2/24 dev v2",
            "ip link set v1 up",
            "ip -n b link set v2 up",
            "ip -n b link set lo up",
        ]);
        bench
    }

    /// Adds a network 10.7.2.0/24 behind `b`, with 10.7.2.1 in `c`.
    fn routed() -> Bench {
        let bench = Bench::new();
        bench.all(&[
            "ip netns add c",
            "ip -n b link add s2 type veth peer name s1 netns c",
            "ip -n b addr add 10.7.2.254/24 dev s2",
            "ip -n c addr add 10.7.2.1/24 dev s1",
            "ip -n b link set s2 up",
            "ip -n c link set s1 up",
            "ip -n c link set lo up",
            "ip route add 10.7.2.0/24 via 10.9.0.2",
            "ip route add 10.64.0.0/10 via 10.9.0.2",
            "ip -n b route add unreachable 10.66.0.0/16",
            "ip -n b route add prohibit 10.67.0.0/16",
            "ip -n c route add default via 10.7.2.254",
        ]);
        let netns = bench.netns("b");
        let mut world = bench.world.lock().expect("the world");
        let caller = Caller { machine: bench.machine, cpu: CpuId(0), netns };
        procfs::write(&mut world, caller, "/proc/sys/net/ipv4/ip_forward", "1").expect("a sysctl");
        drop(world);
        bench
    }

    fn all(&self, lines: &[&str]) {
        for line in lines {
            let outcome = self.run(line);
            assert_eq!((outcome.status, outcome.stderr.as_str()), (0, ""), "{line}");
        }
    }

    fn netns(&self, name: &str) -> NetnsId {
        let world = self.world.lock().expect("the world");
        world.kernel(self.machine).netns_names[name]
    }

    fn run(&self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split_whitespace().collect();
        run(&self.world, (self.machine, NetnsId(0)), &words, "").expect("the program ends")
    }
}

impl Bench {
    /// Runs command lines at once, each in a namespace (`""`: the first).
    fn together(&self, lines: &[(&str, &str)]) -> Vec<Outcome> {
        let words: Vec<Vec<&str>> = lines.iter().map(|line| line.1.split_whitespace().collect()).collect();
        let place = |name: &str| (self.machine, if name.is_empty() { NetnsId(0) } else { self.netns(name) });
        let programs: Vec<_> =
            lines.iter().zip(&words).map(|(line, words)| (place(line.0), &words[..])).collect();
        run_together(&self.world, &programs, "").expect("the programs end")
    }
}

/// Replaces digits after `time=` and the like, which are the model's own.
fn untimed(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        for mark in ["time=", "time ", "mdev = ", "ewma "] {
            if let Some(at) = line.find(mark) {
                let start = at + mark.len();
                let end = line[start..].find(|c: char| !(c.is_ascii_digit() || "./".contains(c)));
                line.replace_range(start..end.map_or(line.len(), |end| start + end), "N");
            }
        }
        out += &(line + "\n");
    }
    out
}

fn check(bench: &Bench, line: &str, status: i32, stdout: &str, stderr: &str) {
    let outcome = bench.run(line);
    assert_eq!(untimed(&outcome.stdout), stdout, "{line}");
    assert_eq!(outcome.stderr, stderr, "{line}");
    assert_eq!(outcome.status, status, "{line}");
}

#[test]
fn ping_answers() {
    let bench = Bench::new();
    check(
        &bench,
        "ping -c 2 10.9.0.2",
        0,
        "PING 10.9.0.2 (10.9.0.2) 56(84) bytes of data.\n\
         64 bytes from 10.9.0.2: icmp_seq=1 ttl=64 time=N ms\n\
         64 bytes from 10.9.0.2: icmp_seq=2 ttl=64 time=N ms\n\
         \n\
         --- 10.9.0.2 ping statistics ---\n\
         2 packets transmitted, 2 received, 0% packet loss, time Nms\n\
         rtt min/avg/max/mdev = N ms\n",
        "",
    );
}

#[test]
fn ping_to_nobody() {
    let bench = Bench::new();
    check(
        &bench,
        "ping -c 1 10.9.0.9",
        1,
        "PING 10.9.0.9 (10.9.0.9) 56(84) bytes of data.\n\
         From 10.9.0.1 icmp_seq=1 Destination Host Unreachable\n\
         \n\
         --- 10.9.0.9 ping statistics ---\n\
         1 packets transmitted, 0 received, +1 errors, 100% packet loss, time Nms\n\
         \n",
        "",
    );
}

#[test]
fn tcpdump_sees_arp_and_a_ping() {
    let bench = Bench::new();
    let line = "tcpdump -i v2 -n -t -c 4 arp or icmp";
    let outcomes = bench.together(&[("b", line), ("", "ping -c 1 10.9.0.2")]);
    let macs: Vec<String> = ["v2"].iter().map(|name| mac(&bench, "b", name)).collect();
    let id = outcomes[0]
        .stdout
        .split("id ")
        .nth(1)
        .and_then(|rest| rest.split(',').next())
        .unwrap_or("")
        .to_owned();
    assert_eq!(
        outcomes[0].stdout,
        format!(
            "ARP, Request who-has 10.9.0.2 tell 10.9.0.1, length 28\n\
             ARP, Reply 10.9.0.2 is-at {}, length 28\n\
             IP 10.9.0.1 > 10.9.0.2: ICMP echo request, id {id}, seq 1, length 64\n\
             IP 10.9.0.2 > 10.9.0.1: ICMP echo reply, id {id}, seq 1, length 64\n",
            macs[0]
        )
    );
    assert_eq!(
        outcomes[0].stderr,
        "tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n\
         listening on v2, link-type EN10MB (Ethernet), snapshot length 262144 bytes\n\
         4 packets captured\n\
         4 packets received by filter\n\
         0 packets dropped by kernel\n"
    );
}

fn mac(bench: &Bench, netns: &str, device: &str) -> String {
    let netns = bench.netns(netns);
    let world = bench.world.lock().expect("the world");
    let kernel = world.kernel(bench.machine);
    kernel.devs[kernel.dev_by_name(netns, device).expect("a device")].addr.to_string()
}

#[test]
fn tcpdump_on_any_device() {
    let bench = Bench::new();
    let line = "timeout 3 tcpdump -i any -n -t icmp";
    let outcomes = bench.together(&[("", line), ("", "ping -c 1 10.9.0.1")]);
    let lines: Vec<&str> = outcomes[0].stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", outcomes[0].stdout);
    assert!(lines[0].starts_with("lo    In  IP 10.9.0.1 > 10.9.0.1: ICMP echo request, id "), "{}", lines[0]);
    assert_eq!(lines[2], "");
    assert_eq!(
        outcomes[0].stderr,
        "tcpdump: data link type LINUX_SLL2\n\
         tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\n\
         listening on any, link-type LINUX_SLL2 (Linux cooked v2), snapshot length 262144 bytes\n\
         2 packets captured\n\
         4 packets received by filter\n\
         0 packets dropped by kernel\n"
    );
}

#[test]
fn traces_through_a_router() {
    let bench = Bench::routed();
    let outcome = bench.run("traceroute -n -q 1 10.7.2.1");
    let hops: Vec<&str> = outcome.stdout.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    assert_eq!(hops, ["10.9.0.2", "10.7.2.1"], "{}", outcome.stdout);
    let outcome = bench.run("traceroute -n -I -q 1 10.7.2.1");
    let hops: Vec<&str> = outcome.stdout.lines().filter_map(|line| line.split("  ").nth(1)).collect();
    assert_eq!(hops, ["10.9.0.2", "10.7.2.1"], "{}", outcome.stdout);
    let outcome = bench.run("tracepath -n 10.7.2.1");
    assert!(
        outcome.stdout.ends_with("reached\n     Resume: pmtu 1500 hops 2 back 2 \n"),
        "{}",
        outcome.stdout
    );
    check(
        &bench,
        "ping -c 1 -t 1 10.7.2.1",
        1,
        "PING 10.7.2.1 (10.7.2.1) 56(84) bytes of data.\n\
         From 10.9.0.2 icmp_seq=1 Time to live exceeded\n\
         \n\
         --- 10.7.2.1 ping statistics ---\n\
         1 packets transmitted, 0 received, +1 errors, 100% packet loss, time Nms\n\
         \n",
        "",
    );
}

#[test]
fn arping_finds_a_neighbour_and_a_double() {
    let bench = Bench::new();
    let outcome = bench.run("arping -c 1 10.9.0.2");
    assert!(outcome.stdout.starts_with("ARPING 10.9.0.2 from 10.9.0.1 v1\nUnicast reply from 10.9.0.2 ["));
    assert!(outcome.stdout.ends_with("Sent 1 probes (1 broadcast(s))\nReceived 1 response(s)\n"));
    assert_eq!(outcome.status, 0);
    assert_eq!(bench.run("arping -D -c 1 -I v1 10.9.0.2").status, 1);
    assert_eq!(bench.run("arping -D -c 1 -I v1 10.9.0.7").status, 0);
    check(&bench, "arping -I nosuch 10.9.0.2", 2, "", "arping: Device nosuch not available.\n");
    check(&bench, "arping -I lo 10.9.0.2", 2, "Interface \"lo\" is not ARPable\n", "");
}

#[test]
fn tcpdump_gets_its_packets_a_block_at_a_time() {
    let bench = Bench::new();
    // Two pings a second apart: the second packet's block is handed over only after tcpdump was told to end.
    let late = "timeout 1.5 tcpdump -i v2 -n -t icmp";
    let outcomes = bench.together(&[("b", late), ("", "ping -c 2 -i 1.2 10.9.0.2")]);
    assert!(
        outcomes[0].stderr.contains("2 packets captured\n4 packets received by filter\n"),
        "{outcomes:?}"
    );
    let at_once = "timeout 1.5 tcpdump --immediate-mode -i v2 -n -t icmp";
    let outcomes = bench.together(&[("b", at_once), ("", "ping -c 2 -i 1.2 10.9.0.2")]);
    assert!(
        outcomes[0].stderr.contains("4 packets captured\n4 packets received by filter\n"),
        "{outcomes:?}"
    );
}
