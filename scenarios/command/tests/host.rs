//! The host backend on the running kernel. These tests need root and say so where they do not have it.
#![cfg(target_os = "linux")]
#![allow(clippy::disallowed_methods, reason = "a real kernel lives in real time")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use glassnet::backends::host::Host;
use glassnet_scenarios::backend::{Backend, observe};
use glassnet_scenarios::canary::Eye;
use glassnet_scenarios::error::BackendError;
use glassnet_scenarios::fuzz::networks::canary;
use glassnet_scenarios::lesson::{Endpoint, Link, Nic, Node, Topology};
use glassnet_scenarios::observation::{DUMPS, Direction, Observation};
use glassnet_scenarios::plan::{Dump, Plan, PlannedBlock, PlannedPrompt};
use glassnet_sim::Nanos;

fn host() -> Host {
    Host {
        helper: PathBuf::from(env!("CARGO_BIN_EXE_glassnet")),
        prompt_timeout: Duration::from_secs(20),
        blind: None,
    }
}

/// Two machines on one cable, `eth0` each, and prompts `machine# command` in one block.
fn plan(prompts: &[&str]) -> Plan {
    let machine = |name: &str| {
        let nics = [("eth0".to_owned(), Nic::default())];
        (name.to_owned(), Node { nics: nics.into(), ..Node::default() })
    };
    let end = |name: &str| Endpoint { node: name.to_owned(), port: "eth0".to_owned() };
    let prompt = |(at, text): (usize, &&str)| {
        let (machine, command) = text.split_once("# ").expect("machine# command");
        PlannedPrompt {
            line: at + 1,
            machine: machine.into(),
            command: command.into(),
            ..PlannedPrompt::default()
        }
    };
    let topology = Topology {
        nodes: [machine("node1"), machine("node2")].into(),
        links: vec![Link {
            endpoints: [end("node1"), end("node2")],
            rate: 1,
            delay: Nanos::ZERO,
            faults: Default::default(),
        }],
        ..Topology::default()
    };
    let prompts = prompts.iter().enumerate().map(prompt).collect();
    let dumps = DUMPS.map(Dump::from).to_vec();
    Plan { lesson: "test.md".into(), topology, blocks: vec![PlannedBlock { line: 1, prompts }], dumps }
}

/// Runs the plan, or says what is missing and gives none.
fn seen(plan: &Plan) -> Option<Observation> {
    match observe(&host(), plan) {
        Ok(seen) => Some(seen),
        Err(missing @ BackendError::Missing(_)) => {
            eprintln!("SKIPPED: {missing}");
            None
        }
        Err(e) => panic!("{e}"),
    }
}

fn outputs(seen: &Observation) -> Vec<&str> {
    seen.prompts.iter().map(|p| p.output.as_str()).collect()
}

#[test]
fn shells_keep_their_state_and_machines_their_own_files() {
    let prompts = [
        "node1# x=5; false",
        "node1# echo $? $x; hostname; touch /etc/no /usr/no",
        "node2# echo $x; hostname",
        "node1# echo 1 > /proc/sys/net/ipv4/ip_forward; cat /proc/sys/net/ipv4/ip_forward",
        "node2# cat /proc/sys/net/ipv4/ip_forward; echo 60 > /proc/sys/vm/swappiness",
        "node1# ls -1 /sys/class/net; ip netns add x; ls /run/netns; ip netns exec x ls -1 /sys/class/net",
    ];
    let Some(seen) = seen(&plan(&prompts)) else { return };
    let out = outputs(&seen);
    assert_eq!(out[1], "1 5\nnode1\ntouch: cannot touch '/usr/no': Read-only file system\n");
    assert!(!Path::new("/etc/no").exists(), "a machine's /etc is its own");
    assert_eq!(out[2], "\nnode2\n");
    assert_eq!(out[3], "1\n");
    assert_eq!(out[4], "0\nbash: line 6: /proc/sys/vm/swappiness: Read-only file system\n");
    assert_eq!(out[5], "eth0\nlo\nx\nlo\n");
}

/// A comparison that saw nothing would find no difference.
#[test]
fn a_kernel_that_is_blind_in_one_eye_is_found_out() {
    for eye in Eye::ALL.into_iter().filter(|eye| *eye != Eye::Log || host().sees().log) {
        let blind = Host { blind: Some(eye), ..host() };
        match observe(&blind, &plan(&["node1# ip link"])) {
            Err(BackendError::Blind { eye: found, .. }) => assert_eq!(found, eye),
            Err(missing @ BackendError::Missing(_)) => return eprintln!("SKIPPED: {missing}"),
            other => panic!("{eye}: {other:?}"),
        }
        match canary::check(&blind) {
            Err(BackendError::Blind { eye: found, .. }) => assert_eq!(found, eye),
            other => panic!("{eye}, plain commands: {other:?}"),
        }
    }
    canary::check(&host()).expect("who sees is not blind");
}

#[test]
fn a_ping_over_a_cable_is_seen_whole() {
    let prompts = [
        "node1# ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up",
        "node2# ip addr add 10.0.0.2/24 dev eth0; ip link set eth0 up",
        "node1# ping -c 1 10.0.0.2",
    ];
    let Some(seen) = seen(&plan(&prompts)) else { return };
    assert_eq!(seen.prompts[2].status, 0, "{}", seen.prompts[2].output);
    let on = |machine: &str| {
        let frames = seen.frames.iter().filter(|f| f.machine == machine && f.device == "eth0");
        frames.map(|f| (f.direction, &f.bytes[24..28])).collect::<Vec<_>>()
    };
    use Direction::{Broadcast, Host, Out};
    assert_eq!(on("node1"), [(Out, "0806"), (Host, "0806"), (Out, "0800"), (Host, "0800")]);
    assert_eq!(on("node2"), [(Broadcast, "0806"), (Out, "0806"), (Host, "0800"), (Out, "0800")]);
    assert_eq!(seen.macs.len(), 2);
    let sent = |j: &&glassnet_scenarios::observation::Journey| j.end == "cable";
    assert_eq!(seen.journeys.iter().filter(sent).count(), 4, "{:#?}", seen.journeys);
    assert_eq!(seen.blocks.len(), 1);
    assert!(seen.blocks[0].tables["node1"]["ip -j -s neigh"].to_string().contains("10.0.0.2"));
}

#[test]
fn a_namespace_is_tapped_from_its_birth_and_let_go_at_its_end() {
    let prompts = [
        "node1# ip netns add x; ip link add va type veth peer name vb netns x; ip link set va up; ip -n x link set vb up",
        "node1# ip addr add 10.1.0.1/24 dev va; ip -n x addr add 10.1.0.2/24 dev vb; ping -q -c 1 10.1.0.2",
        "node1# ip netns del x; sleep 1; ip -br link",
    ];
    let Some(seen) = seen(&plan(&prompts)) else { return };
    assert!(seen.frames.iter().any(|f| f.netns == "x" && f.device == "vb" && f.prompt == 1));
    assert!(seen.frames.iter().all(|f| &f.bytes[24..28] != "86dd"), "no IPv6 noise");
    let last = outputs(&seen)[2];
    assert!(!last.contains("va@"), "the pair went with its namespace: {last}");
}

#[test]
fn a_prompt_that_hangs_or_ends_its_shell_is_told() {
    let mut short = host();
    short.prompt_timeout = Duration::from_millis(300);
    let why = |prompt: &str| match observe(&short, &plan(&[prompt])) {
        Err(BackendError::Prompt { line: 1, why, .. }) => Some(why),
        Err(BackendError::Missing(_)) => None,
        other => panic!("{other:?}"),
    };
    let Some(hangs) = why("node1# echo begun; sleep 100") else { return };
    assert!(hangs.starts_with("still running") && hangs.ends_with("begun"), "{hangs}");
    assert_eq!(why("node1# exit 3").as_deref(), Some("it ended its shell"));
    assert!(why("node1# while true; do :; done").is_some());
}

#[test]
fn a_prompt_or_a_cable_that_goes_nowhere_is_told() {
    let is_plan = |plan: &Plan| match observe(&host(), plan) {
        Err(BackendError::Plan(why)) => why.contains("nowhere"),
        Err(BackendError::Missing(_)) => true,
        other => panic!("{other:?}"),
    };
    assert!(is_plan(&plan(&["nowhere# true"])));
    let mut cable = plan(&["node1# true"]);
    cable.topology.links[0].endpoints[1].node = "nowhere".into();
    assert!(is_plan(&cable));
}

/// Not a test of its own: what the next one kills.
#[test]
#[ignore = "started and killed by nothing_is_left_after_sigkill"]
fn victim() {
    let _ = observe(&host(), &plan(&["node1# ip netns add x; sleep 4711 &", "node2# sleep 4711"]));
}

/// The kernel's trace instances, a name a line, whether or not this machine has tracefs mounted.
fn trace_instances() -> String {
    const LIST: &str =
        "cd /sys/kernel/tracing; test -d instances || mount -t tracefs tracefs .; ls ../tracing/instances";
    let listed = Command::new("unshare").args(["--mount", "sh", "-c", LIST]).output().expect("unshare");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    String::from_utf8_lossy(&listed.stdout).into_owned()
}

#[test]
fn nothing_is_left_after_sigkill() {
    if seen(&plan(&["node1# true"])).is_none() {
        return;
    }
    let mut victim = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "victim", "--ignored"])
        .stdout(Stdio::null())
        .spawn()
        .expect("this test starts itself");
    let left = || {
        let all = Command::new("ps").args(["-eo", "args"]).output().expect("ps");
        let sleeping = String::from_utf8_lossy(&all.stdout).lines().filter(|l| *l == "sleep 4711").count();
        let instance = format!("-{}", victim.id());
        (sleeping, trace_instances().lines().filter(|name| name.ends_with(&instance)).count())
    };
    let reached = |goal: (usize, usize)| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while left() != goal && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        left()
    };
    assert_eq!(reached((2, 1)), (2, 1), "both machines run");
    Command::new("kill").args(["-KILL", &victim.id().to_string()]).status().expect("kill");
    let ended = reached((0, 0));
    let _ = victim.wait();
    assert_eq!(ended, (0, 0), "processes and trace instances left");
}
