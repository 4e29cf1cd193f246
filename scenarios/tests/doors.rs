//! The doors of a ping over a bridge, one by one, held against the function trace of a real kernel.
//!
//! The recording is of `ping -c 2` between two namespaces whose veth pairs end in a bridge in a third, on Linux
//! 6.1 under QEMU with bridge netfilter and a NAT table loaded. It lists every call of the functions that were
//! asked for, `function <-caller`. What is set aside before the comparison, and nothing else:
//!
//! * in the recording, `nf_hook_slow` below `ip_output`: AppArmor looks at every packet that leaves, which is not
//!   modelled;
//! * in the recording, suffixes such as `.constprop.0`, which the compiler adds to names;
//! * in the model, what comes before the first `raw_sendmsg`, with which the recording begins: `ping` asks for its
//!   source address first, by connecting a UDP socket;
//! * in the model, functions that stand nowhere in the recording: it was not asked for them.

use std::collections::BTreeSet;
use std::path::Path;

use glassnet_kernel::trace::{Step, StepKind};
use glassnet_scenarios::lab::SEED;
use glassnet_scenarios::lesson::Lesson;
use glassnet_scenarios::view;

const RECORDING: &str = include_str!("../../snapshots/recordings/ping-veth-bridge.linux-6.1.ftrace.txt");

/// AppArmor's hook at `POST_ROUTING` in every namespace.
const APPARMOR: &str = "nf_hook_slow <-ip_output";

/// The network of the recording; the last prompt is the ping.
const LESSON: &str = "---
title: The network of the recording
topology:
  nodes:
    node1: { cpus: 1 }
---
```console
node1# modprobe br_netfilter
node1# for n in 1 2 b; do ip netns add $n; done
node1# ip netns exec b iptables-legacy -t nat -L > /dev/null
node1# ip -n b link add br0 type bridge
node1# ip -n b link set br0 up
node1# for n in 1 2; do ip link add veth-$n-a netns $n type veth peer name veth-$n-b netns b; done
node1# for n in 1 2; do ip -n b link set veth-$n-b master br0 up; ip -n $n link set veth-$n-a up; done
node1# for n in 1 2; do ip -n $n addr add 10.0.0.10$n/24 dev veth-$n-a; done
node1# ip netns exec 1 ping -c 2 10.0.0.102
```
";

/// Calls that the model makes later than the kernel: the ARP question is sent, and its clone freed, when the packet that
/// waits for the answer is in its queue.
const PUT_OFF: &[(&str, &str)] = &[("consume_skb", "__neigh_event_send")];

/// Each function and who called it.
fn recorded() -> Vec<(&'static str, &'static str)> {
    let plain = |name: &'static str| name.split('.').next().unwrap_or(name);
    let lines = RECORDING.lines().filter(|line| *line != APPARMOR);
    lines.filter_map(|line| line.split_once(" <-")).map(|(name, by)| (plain(name), plain(by))).collect()
}

/// A step of the model.
struct Modelled {
    name: &'static str,
    kind: StepKind,
    /// The innermost call that had not returned; empty: none.
    within: &'static str,
}

/// The steps of the ping, among the functions that were recorded.
fn modelled() -> Vec<Modelled> {
    let lesson = Lesson::parse(Path::new("recording.md"), LESSON.to_owned()).expect("a lesson");
    let observed = view::observe(&lesson, SEED, |_| ()).expect("it runs");
    let world = observed.world();
    let story = observed.story(&world);
    for typed in &story.typed[..story.typed.len() - 1] {
        assert_eq!(typed.output, "", "{}", typed.command);
    }
    let ping = story.typed.last().expect("a prompt");
    assert!(ping.output.contains("2 packets transmitted, 2 received"), "{}", ping.output);
    let known: BTreeSet<&str> = recorded().into_iter().map(|(name, _)| name).collect();
    let mut open: Vec<&Step> = Vec::new();
    let mut modelled = Vec::new();
    for step in &world.trace.steps[ping.first_step..] {
        open.retain(|call| call.left.is_some_and(|left| step.at < left));
        let within = open.last().map_or("", |call| call.func.name());
        modelled.push(Modelled { name: step.func.name(), kind: step.kind, within });
        open.push(step);
    }
    let steps = modelled.into_iter().skip_while(|step| step.name != "raw_sendmsg");
    steps.filter(|step| known.contains(step.name)).collect()
}

#[test]
fn a_ping_over_a_bridge_passes_the_kernels_doors_in_the_kernels_order() {
    let recorded: Vec<&str> = recorded().into_iter().map(|(name, _)| name).collect();
    let modelled: Vec<&str> = modelled().into_iter().map(|step| step.name).collect();
    let same = recorded.iter().zip(&modelled).take_while(|(real, model)| real == model).count();
    if same < recorded.len().max(modelled.len()) {
        let from = same.saturating_sub(5);
        let part =
            |names: &[&str]| names.iter().skip(from).take(20).copied().collect::<Vec<_>>().join("\n  ");
        panic!(
            "the first {same} of {} doors agree; from {from} on\nkernel:\n  {}\nmodel:\n  {}",
            recorded.len(),
            part(&recorded),
            part(&modelled)
        );
    }
}

#[test]
fn a_call_is_left_when_the_kernels_function_returns() {
    let modelled = modelled();
    let is_call = |name: &str| modelled.iter().any(|step| step.name == name && step.kind == StepKind::Call);
    let mut compared = 0;
    for (step, (name, by)) in modelled.iter().zip(recorded()) {
        if step.kind == StepKind::Call && is_call(by) && !PUT_OFF.contains(&(name, by)) {
            assert_eq!((step.name, step.within), (name, by));
            compared += 1;
        }
    }
    assert!(compared > 20, "only {compared} calls have a caller that is a call");
}
