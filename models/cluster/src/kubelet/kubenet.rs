//! kubenet: a bridge `cbr0` on each node, with addresses by `host-local`, as the plugins `bridge` and `host-local` set it up.
//!
//! It was a part of the kubelet until Kubernetes 1.24. Hairpin mode is `hairpin-veth`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_userland::process::Process;

use super::run;
use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Run};
use crate::config::Range;

/// Gives the bridge the address that it has: otherwise it takes the lowest one of its ports, which come and go.
const KEEP_MAC: &str = "ip link set cbr0 address $(cat /sys/class/net/cbr0/address)";

/// The network of a node's pods.
#[derive(Debug, Default)]
pub(super) struct Kubenet {
    range: Option<Range>,
    taken: BTreeSet<Ipv4Addr>,
    /// Addresses are given in turn.
    last: Option<Ipv4Addr>,
    has_bridge: bool,
}

/// A pod's place in it.
#[derive(Clone, Debug)]
pub(super) struct Attached {
    /// Name of the pod's network namespace.
    pub netns: String,
    /// The device of the node that leads there.
    pub veth: String,
    /// The pod's address.
    pub address: Ipv4Addr,
}

/// The name of a pod's network namespace.
pub fn netns_name(uid: &str) -> String {
    format!("cni-{uid}")
}

impl Kubenet {
    /// The node has a range of pods.
    pub(super) fn is_configured(&self) -> bool {
        self.range.is_some()
    }

    /// Takes a range of pods. What leaves the cluster gets the node's address.
    pub(super) async fn configure(&mut self, process: &mut Process, api: &Arc<ApiServer>, range: Range) {
        self.range = Some(range);
        // Answers that a bridge carries from pod to pod must pass connection tracking too.
        run(process, api, "modprobe br_netfilter").await;
        run(process, api, "sysctl -w net.bridge.bridge-nf-call-iptables=1").await;
        run(process, api, "sysctl -w net.ipv4.ip_forward=1").await;
        let inside = api.store().config.pods;
        let comment = "kubenet: SNAT for outbound traffic from cluster";
        let mut rule = Command::words("iptables -w -t nat -A POSTROUTING -m comment --comment");
        rule.argv.push(comment.to_owned());
        let rest = format!("-m addrtype ! --dst-type LOCAL ! -d {inside} -j MASQUERADE");
        rule.argv.extend(Command::words(&rest).argv);
        NodeShell { process, api: api.clone() }.run(rule).await;
    }

    /// Makes the network of a pod; `None`: no address is left.
    pub(super) async fn add(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        uid: &str,
    ) -> Option<Attached> {
        let range = self.range?;
        let gateway = range.at(1);
        let address = self.reserve(range)?;
        let id: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let attached = Attached { netns: netns_name(uid), veth: format!("veth{id}"), address };
        let Attached { netns, veth, .. } = &attached;
        let len = range.len;
        run(process, api, &format!("ip netns add {netns}")).await;
        run(process, api, &format!("ip -n {netns} link set lo up")).await;
        let is_first = !self.has_bridge;
        if is_first {
            self.add_bridge(process, api).await;
        }
        for line in [
            format!("ip link add {veth} type veth peer name eth0 netns {netns}"),
            format!("ip link set {veth} master cbr0"),
            format!("ip link set {veth} up"),
            format!("bridge link set dev {veth} hairpin on"),
            format!("ip -n {netns} link set eth0 up"),
            format!("ip -n {netns} addr add {address}/{len} brd + dev eth0"),
            format!("ip -n {netns} route add default via {gateway} dev eth0"),
        ] {
            run(process, api, &line).await;
        }
        if is_first {
            run(process, api, &format!("ip addr add {gateway}/{len} brd + dev cbr0")).await;
        }
        Some(attached)
    }

    /// Makes the bridge. Its address is given to it behind the first port.
    async fn add_bridge(&mut self, process: &mut Process, api: &Arc<ApiServer>) {
        run(process, api, "ip link add cbr0 type bridge").await;
        run(process, api, "ip link set cbr0 up").await;
        let argv = ["bash", "-c", KEEP_MAC].map(str::to_owned).to_vec();
        NodeShell { process, api: api.clone() }.run(Command { argv, stdin: String::new() }).await;
        self.has_bridge = true;
    }

    /// Removes the network of a pod.
    pub(super) async fn remove(&mut self, process: &mut Process, api: &Arc<ApiServer>, attached: &Attached) {
        self.taken.remove(&attached.address);
        run(process, api, &format!("ip -n {} link del eth0", attached.netns)).await;
        run(process, api, &format!("ip netns del {}", attached.netns)).await;
    }

    /// The next address behind the last one that was given (`host-local`).
    fn reserve(&mut self, range: Range) -> Option<Ipv4Addr> {
        let after = self.last.map_or(2, |last| u64::from(last.to_bits() - range.first.to_bits()) + 1);
        let usable = range.size().checked_sub(3)?;
        let all = (0..usable).map(|step| range.at(2 + (after - 2 + step) % usable));
        let free = all.into_iter().find(|address| !self.taken.contains(address))?;
        self.taken.insert(free);
        self.last = Some(free);
        Some(free)
    }
}
