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

fn recorded() -> Vec<&'static str> {
    let lines = RECORDING.lines().filter(|line| *line != APPARMOR);
    let names = lines.filter_map(|line| line.split(" <-").next());
    names.map(|name| name.split('.').next().unwrap_or(name)).collect()
}

fn modelled() -> Vec<&'static str> {
    let lesson = Lesson::parse(Path::new("recording.md"), LESSON.to_owned()).expect("a lesson");
    let observed = view::observe(&lesson, SEED, |_| ()).expect("it runs");
    let world = observed.world();
    let story = observed.story(&world);
    for typed in &story.typed[..story.typed.len() - 1] {
        assert_eq!(typed.output, "", "{}", typed.command);
    }
    let ping = story.typed.last().expect("a prompt");
    assert!(ping.output.contains("2 packets transmitted, 2 received"), "{}", ping.output);
    let known: BTreeSet<&str> = recorded().into_iter().collect();
    let steps = world.trace.steps[ping.first_step..].iter().map(|step| step.func.name());
    steps.skip_while(|name| *name != "raw_sendmsg").filter(|name| known.contains(name)).collect()
}

#[test]
fn a_ping_over_a_bridge_passes_the_kernels_doors_in_the_kernels_order() {
    let (recorded, modelled) = (recorded(), modelled());
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
