//! ping, arping, tracepath and tcpdump over simulated veth pairs, as the real tools print.

use std::sync::{Arc, Mutex};

use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::netlink::NLM_F_CREATE;
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_kernel::world::World;
use glassnet_userland::harness::{Outcome, run};
use glassnet_userland::process::SharedWorld;

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
        bench.all(&["ip netns add b", "ip link add v1 type veth peer name v2 netns b"]);
        bench.address("", "v1", "10.9.0.1/24");
        bench.address("b", "v2", "10.9.0.2/24");
        bench.all(&["ip link set v1 up", "ip -n b link set v2 up", "ip -n b link set lo up"]);
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
        world.kernel(self.machine).netns_names.get(name).copied().unwrap_or(NetnsId(0))
    }

    fn address(&self, netns: &str, device: &str, address: &str) {
        let netns = self.netns(netns);
        let (address, bits) = address.split_once('/').expect("a prefix length");
        let mut world = self.world.lock().expect("the world");
        let dev = world.kernel(self.machine).dev_by_name(netns, device).expect("a device");
        let mut msg = AddrMsg::new(dev, address.parse().expect("an address"), bits.parse().expect("bits"));
        msg.broadcast = Some(std::net::Ipv4Addr::new(10, 9, 0, 255)).filter(|_| bits == "24");
        world
            .enter(self.machine, CpuId(0), |cx| rtm_newaddr(cx, netns, &msg, NLM_F_CREATE))
            .expect("an address");
    }

    fn run(&self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split_whitespace().collect();
        run(&self.world, (self.machine, NetnsId(0)), &words, "").expect("the program ends")
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
