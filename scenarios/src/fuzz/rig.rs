//! The router that every case runs on, what both sides can do with it, and how a case is run.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::case::{Case, PORTS, Port, Step, mac_of, router_mac};
use super::outcome::Outcome;

/// Why a case could not be run; a difference is none.
#[derive(Debug, thiserror::Error)]
pub enum RigError {
    /// A command of the set-up failed.
    #[error("{command}: {said}")]
    Command {
        /// What was run.
        command: String,
        /// What it said.
        said: String,
    },
    /// The system refused something.
    #[error("{what}: {source}")]
    Failed {
        /// What was being done.
        what: &'static str,
        /// The system's word.
        source: std::io::Error,
    },
    /// The real kernel cannot be used here.
    #[error("{0}")]
    Host(#[from] crate::host::HostError),
}

/// What a program said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Exit status.
    pub status: i32,
    /// Standard output, then standard error.
    pub text: String,
}

/// A router that can be told what to do: the model's, or one on a real kernel.
pub trait Rig {
    /// Runs a program on the router, with `stdin`.
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, RigError>;
    /// A frame comes in by a port; whatever it leads to at once has happened when this returns.
    fn send(&mut self, port: Port, frame: &[u8]) -> Result<(), RigError>;
    /// The router sends an IPv4 packet whose header is given.
    fn send_local(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), RigError>;
    /// Takes the frames that came out of the ports since the last call, in order.
    fn take(&mut self) -> Result<Vec<(Port, Vec<u8>)>, RigError>;
    /// Lets time pass.
    fn wait(&mut self, ms: u64) -> Result<(), RigError>;
}

/// Where programs of the router wait for UDP: one on all addresses, one on one.
pub const LISTENERS: [(Ipv4Addr, u16); 2] = [(Ipv4Addr::UNSPECIFIED, 53), (Ipv4Addr::new(10, 0, 0, 1), 443)];

/// Commands that make the router, beside [`links`]: the far ends of its cables lie in the namespace `x`.
const SETTINGS: [&str; 9] = [
    "net.ipv4.ip_forward=1",
    "net.ipv4.conf.all.send_redirects=0",
    "net.ipv4.conf.c0.send_redirects=0",
    "net.ipv4.conf.s0.send_redirects=0",
    "net.ipv4.conf.br0.send_redirects=0",
    "net.ipv4.icmp_ratelimit=0",
    "net.ipv4.icmp_msgs_per_sec=1000000",
    "net.ipv4.icmp_msgs_burst=1000000",
    "net.netfilter.nf_conntrack_acct=1",
];

/// `ip -batch` text that makes devices, addresses, neighbours and routes.
fn links() -> String {
    let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    let mut lines = Vec::new();
    for (port, own) in PORTS.into_iter().zip([0, 1, 4, 5]) {
        let (near, far) = (port.near(), port.name());
        lines.push(format!(
            "link add {near} address {} type veth peer name {far} netns x",
            mac(router_mac(own))
        ));
    }
    lines.push(format!("link add br0 address {} type bridge", mac(router_mac(2))));
    lines.extend(["link set p0 master br0".to_owned(), "link set p1 master br0".to_owned()]);
    lines.extend(["lo", "c0", "s0", "p0", "p1", "br0"].map(|dev| format!("link set {dev} up")));
    let addresses =
        [("c0", "10.0.0.1/24"), ("s0", "10.0.1.1/24"), ("s0", "10.0.1.100/24"), ("br0", "10.0.2.1/24")];
    lines.extend(addresses.map(|(dev, address)| format!("addr add {address} dev {dev}")));
    lines.push("route add default via 10.0.1.2".to_owned());
    for (net, dev) in ["c0", "s0", "br0"].iter().enumerate() {
        for host in 2..=9 {
            let lladdr = mac(mac_of(net as u8, host));
            lines.push(format!("neigh add 10.0.{net}.{host} lladdr {lladdr} dev {dev} nud permanent"));
        }
    }
    lines.join("\n") + "\n"
}

/// Makes the router.
pub fn build(rig: &mut impl Rig) -> Result<(), RigError> {
    must(rig, &["ip", "netns", "add", "x"], "")?;
    must(rig, &["ip", "-batch", "-"], &links())?;
    for port in PORTS {
        must(rig, &["ip", "-n", "x", "link", "set", port.name(), "up"], "")?;
    }
    for host in 2..=9u8 {
        let mac = mac_of(2, host).map(|byte| format!("{byte:02x}")).join(":");
        let port = if host == 2 { "p0" } else { "p1" };
        must(rig, &["bridge", "fdb", "add", &mac, "dev", port, "master", "static"], "")?;
    }
    let settings: Vec<&str> = ["sysctl", "-q", "-w"].into_iter().chain(SETTINGS).collect();
    must(rig, &settings, "")?;
    rig.wait(1200)?;
    rig.take()?;
    Ok(())
}

fn must(rig: &mut impl Rig, argv: &[&str], stdin: &str) -> Result<(), RigError> {
    let said = rig.run(argv, stdin)?;
    if said.status == 0 {
        return Ok(());
    }
    Err(RigError::Command { command: argv.join(" "), said: said.text })
}

/// Runs a case on a router that has no rules, sets or connections.
pub fn run(rig: &mut impl Rig, case: &Case) -> Result<Outcome, RigError> {
    let variant = if case.legacy { "-legacy" } else { "" };
    let mut outcome = Outcome::default();
    let switch = format!("net.bridge.bridge-nf-call-iptables={}", u8::from(case.bridge_nf));
    must(rig, &["sysctl", "-q", "-w", &switch], "")?;
    if !case.sets.is_empty() {
        outcome.said.push(rig.run(&["ipset", "restore"], &(case.sets.join("\n") + "\n"))?);
    }
    if case.legacy {
        // A table stays loaded once it was used; so all are, on both sides.
        for table in ["raw", "mangle", "nat", "filter", "security"] {
            must(rig, &["iptables-legacy", "-t", table, "-S"], "")?;
        }
    }
    let rules = case.rules.join("\n") + "\n";
    outcome.said.push(rig.run(&[&format!("iptables{variant}-restore")], &rules)?);
    rig.take()?;
    let mut last: BTreeMap<Port, Vec<u8>> = BTreeMap::new();
    for step in &case.steps {
        match step {
            Step::Send(send) => rig.send(send.port, &send.frame())?,
            Step::Local(packet) => rig.send_local(packet.dst, &packet.bytes())?,
            Step::Wait(ms) => rig.wait(*ms)?,
            Step::Reply(reply) => {
                if let Some(frame) = last.get(&reply.port).and_then(|frame| reply.to(frame)) {
                    rig.send(reply.port, &frame)?;
                }
            }
        }
        let frames = rig.take()?;
        last.extend(frames.iter().filter(|(_, frame)| frame.get(12..14) == Some(&[8, 0])).cloned());
        outcome.frames.push(frames);
    }
    outcome.rules = rig.run(&[&format!("iptables{variant}-save"), "-c"], "")?;
    outcome.connections = rig.run(&["cat", "/proc/net/nf_conntrack"], "")?;
    if !case.sets.is_empty() {
        outcome.sets = rig.run(&["ipset", "save"], "")?;
    }
    for path in case.lists() {
        let shown = rig.run(&["cat", &path], "")?;
        outcome.lists.push((path, shown));
    }
    Ok(outcome)
}
