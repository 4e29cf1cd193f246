//! Programs against recordings of the real ones: see `golden/record.sh`.

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use glassnet_kernel::World;
use glassnet_kernel::drivers::veth::VethOptions;
use glassnet_kernel::ids::{CpuId, MachineId, NetnsId};
use glassnet_kernel::link::LinkInfo;
use glassnet_kernel::net::core::net_namespace::copy_net_ns;
use glassnet_kernel::net::core::rtnetlink::{LinkNew, LinkSet, do_setlink, rtm_newlink};
use glassnet_kernel::net::ipv4::devinet::rtm_newaddr;
use glassnet_kernel::netlink::{Errno, NLM_F_CREATE, NLM_F_EXCL};
use glassnet_kernel::tables::inet_types::AddrMsg;
use glassnet_sim::Nanos;
use glassnet_userland::harness;
use glassnet_userland::process::SharedWorld;
use glassnet_userland::procfs::{self, Caller};
use glassnet_wire::Mac;

#[path = "shared/recording.rs"]
mod recording;

const NODE: MachineId = MachineId(0);

/// The network that `record.sh` sets up before each recording.
fn network() -> (SharedWorld, NetnsId) {
    let mut world = World::new(1);
    world.add_machine("node1", 1);
    let netns = world.enter(NODE, CpuId(0), |cx| {
        let netns = copy_net_ns(cx);
        cx.k.netns_names.insert("test".to_owned(), netns);
        let new = |name: String, last: u8| LinkNew {
            name: Some(name),
            set: LinkSet { address: Some(Mac([2, 0, 0, 0, 0, last])), ..LinkSet::default() },
            ..LinkNew::default()
        };
        let bridge = LinkNew {
            name: Some("br0".to_owned()),
            set: LinkSet { info: Some(LinkInfo::new("bridge")), ..LinkSet::default() },
            ..LinkNew::default()
        };
        rtm_newlink(cx, netns, bridge).expect("br0");
        for n in 1..=2 {
            let peer = new(format!("v{n}p"), 2 * n);
            let info = Some(VethOptions { peer }.into());
            let mut veth = new(format!("v{n}"), 2 * n - 1);
            veth.set.info = info;
            rtm_newlink(cx, netns, veth).expect("veth");
        }
        let dev = |cx: &glassnet_kernel::Cx, name| cx.k.dev_by_name(netns, name).expect("device");
        let (v1, br0) = (dev(cx, "v1"), dev(cx, "br0"));
        do_setlink(cx, v1, LinkSet { master: Some(Some(br0)), ..LinkSet::default() }).expect("master");
        for name in ["lo", "br0", "v1", "v1p", "v2"] {
            let dev = dev(cx, name);
            do_setlink(cx, dev, LinkSet { up: Some(true), ..LinkSet::default() }).expect("up");
        }
        let mut address = AddrMsg::new(br0, Ipv4Addr::new(10, 0, 0, 1), 24);
        address.peer = Some(address.local);
        rtm_newaddr(cx, netns, &address, NLM_F_CREATE | NLM_F_EXCL).expect("address");
        netns
    });
    world.wake_at(Nanos::from_secs(16));
    while world.step().expect("no loop") {}
    world.take_wakeups();
    (Arc::new(Mutex::new(world)), netns)
}

/// Runs a line of a `.cmd` file: a program, or `cat FILE…` and `echo WORDS > FILE` on `/proc` and `/sys`.
fn run(world: &SharedWorld, netns: NetnsId, line: &str) -> (String, i32) {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words.as_slice() {
        ["cat", files @ ..] => cat(world, netns, files),
        ["echo", text @ .., ">", file] => {
            let text = format!("{}\n", text.join(" ").trim_matches('"'));
            let mut world = world.lock().expect("not poisoned");
            match procfs::write(&mut world, Caller { machine: NODE, cpu: CpuId(0), netns }, file, &text) {
                Ok(()) => (String::new(), 0),
                Err(error @ (Errno::ENOENT | Errno::EACCES | Errno::EISDIR)) => {
                    (format!("bash: line 1: {file}: {}\n", error.strerror()), 1)
                }
                Err(error) => (format!("bash: line 1: echo: write error: {}\n", error.strerror()), 1),
            }
        }
        _ => {
            let outcome = harness::run(world, (NODE, netns), &words, "").expect("the program ends");
            // Standard error is not buffered, so it comes first in a recording.
            (outcome.stderr + &outcome.stdout, outcome.status)
        }
    }
}

fn cat(world: &SharedWorld, netns: NetnsId, files: &[&str]) -> (String, i32) {
    let (mut text, mut status) = (String::new(), 0);
    for file in files {
        let caller = Caller { machine: NODE, cpu: CpuId(0), netns };
        match procfs::read(&world.lock().expect("not poisoned"), caller, file) {
            Ok(content) => text += &content,
            Err(error) => {
                let _ = writeln!(text, "cat: {file}: {}", error.strerror());
                status = 1;
            }
        }
    }
    (text, status)
}

/// Without the timer that the recordings have lost, too (`record.sh`).
fn timeless(text: &str) -> String {
    const TIMER: &str = "gc timer\t\t";
    let line = |line: &str| match line.split_once(TIMER) {
        Some((before, _)) => format!("{before}{TIMER}   0.00\n"),
        None => line.to_owned(),
    };
    text.split_inclusive('\n').map(line).collect()
}

fn check(name: &str) {
    let (world, netns) = network();
    let run = |line: &str| {
        let (output, status) = run(&world, netns, line);
        (timeless(&output), status)
    };
    recording::check(("golden", name, name), run, |recorded, played| recorded == played);
}

macro_rules! recordings {
    ($($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

recordings!(arp, br_netfilter, brctl, bridge_fdb, bridge_link, ethtool, ifconfig, procfs, route, sysctl);

/// User Mode Linux has one CPU and does not tell how many receive queues a device has.
#[test]
fn iplink_dummy() {
    let (world, netns) = network();
    let same = |recorded: &str, played: &str| {
        recorded == played.replace("numrxqueues 1 ", "").replace("\"num_rx_queues\":1,", "")
    };
    recording::check(("golden", "iplink_dummy", "iplink_dummy"), |line| run(&world, netns, line), same);
}
