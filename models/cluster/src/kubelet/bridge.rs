//! A bridge of pods with addresses from a range, as the CNI plugins `bridge` (`isDefaultGateway`, `hairpinMode`) and `host-local` make it.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_userland::process::Process;

use super::network::{Attached, netns_name};
use super::run;
use crate::api::ApiServer;
use crate::command::{Command, NodeShell, Run};
use crate::config::Range;

/// The bridge.
#[derive(Debug, Default)]
pub(super) struct Bridge {
    taken: BTreeSet<Ipv4Addr>,
    /// Addresses are given in turn.
    last: Option<Ipv4Addr>,
    is_made: bool,
}

/// How pods are put on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan<'a> {
    /// Its name.
    pub name: &'a str,
    /// The node's addresses. The first is the bridge's, and the gateway of pods.
    pub range: Range,
    /// The MTU of the bridge and of pods, if it is not the usual one.
    pub mtu: Option<u32>,
    /// Where a pod has a route to by the gateway, beside the default route.
    pub route: Option<Range>,
}

impl Bridge {
    /// Makes the network of a pod.
    ///
    /// # Errors
    ///
    /// No address is left.
    pub(super) async fn add(
        &mut self,
        process: &mut Process,
        api: &Arc<ApiServer>,
        (uid, plan): (&str, Plan<'_>),
    ) -> Result<Attached, String> {
        let Plan { name, range, mtu, route } = plan;
        let (gateway, len) = (range.at(1), range.len);
        let none = || "failed to allocate for range 0: no IP addresses available in range set".to_owned();
        let address = self.reserve(range).ok_or_else(none)?;
        let id: String = uid.chars().filter(char::is_ascii_hexdigit).take(8).collect();
        let (attached, veth) = (Attached { netns: netns_name(uid), address }, format!("veth{id}"));
        let netns = &attached.netns;
        // The library of the plugins gives veth pairs with an MTU no queue.
        let size = mtu.map(|mtu| format!(" mtu {mtu} txqueuelen 0")).unwrap_or_default();
        run(process, api, &format!("ip netns add {netns}")).await;
        run(process, api, &format!("ip -n {netns} link set lo up")).await;
        let is_first = !self.is_made;
        if is_first {
            self.make(process, api, (name, mtu)).await;
        }
        let mut lines = vec![
            format!("ip link add {veth}{size} type veth peer name eth0{size} netns {netns}"),
            format!("ip link set {veth} master {name}"),
            format!("ip link set {veth} up"),
            format!("bridge link set dev {veth} hairpin on"),
            format!("ip -n {netns} link set eth0 up"),
            format!("ip -n {netns} addr add {address}/{len} brd + dev eth0"),
        ];
        lines.extend(route.map(|to| format!("ip -n {netns} route add {to} via {gateway} dev eth0")));
        lines.push(format!("ip -n {netns} route add default via {gateway} dev eth0"));
        for line in lines {
            run(process, api, &line).await;
        }
        if is_first {
            run(process, api, &format!("ip addr add {gateway}/{len} brd + dev {name}")).await;
        }
        Ok(attached)
    }

    /// Makes the bridge. Its IP address is given to it behind the first port; the MAC address that it has stays, which otherwise were the
    /// lowest one of its ports, which come and go.
    async fn make(&mut self, process: &mut Process, api: &Arc<ApiServer>, (name, mtu): (&str, Option<u32>)) {
        let size = mtu.map(|mtu| format!(" mtu {mtu}")).unwrap_or_default();
        run(process, api, &format!("ip link add {name}{size} type bridge")).await;
        run(process, api, &format!("ip link set {name} up")).await;
        let keep = format!("ip link set {name} address $(cat /sys/class/net/{name}/address)");
        let argv = ["bash", "-c", &keep].map(str::to_owned).to_vec();
        NodeShell { process, api: api.clone() }.run(Command { argv, stdin: String::new() }).await;
        self.is_made = true;
    }

    /// Removes the network of a pod.
    pub(super) async fn remove(&mut self, process: &mut Process, api: &Arc<ApiServer>, attached: &Attached) {
        self.taken.remove(&attached.address);
        run(process, api, &format!("ip -n {} link del eth0", attached.netns)).await;
        run(process, api, &format!("ip netns del {}", attached.netns)).await;
    }

    /// The next address behind the last one that was given (`host-local`).
    fn reserve(&mut self, range: Range) -> Option<Ipv4Addr> {
        let last = self.last.filter(|last| range.contains(*last));
        let after = last.map_or(2, |last| u64::from(last.to_bits() - range.first.to_bits()) + 1);
        let usable = range.size().checked_sub(3).filter(|usable| *usable > 0)?;
        let all = (0..usable).map(|step| range.at(2 + (after - 2 + step) % usable));
        let free = all.into_iter().find(|address| !self.taken.contains(address))?;
        self.taken.insert(free);
        self.last = Some(free);
        Some(free)
    }
}
