//! The router of random cases, its interface to backends, and running a case.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the router, what can be done with it, running a case |
//! | `case.rs` | what a case is, and the bytes of its packets |
//! | `recorded.rs` | cases with what a real kernel did, as a file |
//!
//! The router itself is a backend's; [`crate::fuzz`] draws cases and compares what two routers showed.

pub mod case;
pub mod recorded;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::error::BackendError;
use case::{Case, PORTS, Port, Step, mac_of, router_mac};

/// Result of a program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// Exit status.
    pub status: i32,
    /// Standard output, then standard error.
    pub text: String,
}

/// Outcome of a case on one side.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outcome {
    /// Results of the commands that load the case: `iptables-restore` is the last.
    pub said: Vec<Said>,
    /// For each step, the frames that left by each port.
    #[serde(with = "recorded::hexadecimal")]
    pub frames: Vec<Vec<(Port, Vec<u8>)>>,
    /// `iptables-save -c`.
    pub rules: Said,
    /// `/proc/net/nf_conntrack`.
    pub connections: Said,
    /// `ipset save`.
    pub sets: Said,
    /// `nfacct list`.
    pub accounts: Said,
    /// Content of each file of [`Case::lists`].
    pub lists: Vec<(String, Said)>,
}

/// A machine without a shell, the model's or a real one.
pub trait Programs {
    /// Runs a program on it, with `stdin`.
    ///
    /// # Errors
    ///
    /// It could not be started; its exit status is in the result.
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError>;
}

/// A controllable router: the model's, or one on a real kernel.
pub trait Rig: Programs {
    /// Removes the rules, sets and connections of the last case.
    ///
    /// # Errors
    ///
    /// A command could not be started.
    fn clean(&mut self) -> Result<(), BackendError>;
    /// Sends a frame to a port; its immediate effects are complete on return.
    ///
    /// # Errors
    ///
    /// The frame could not be sent.
    fn send(&mut self, port: Port, frame: &[u8]) -> Result<(), BackendError>;
    /// Sends an IPv4 packet from the router, with its header.
    ///
    /// # Errors
    ///
    /// None for a packet that the kernel refuses; the missing frame is compared.
    fn send_local(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), BackendError>;
    /// Takes the frames that left by the ports since the last call, in order.
    ///
    /// # Errors
    ///
    /// The taps cannot be read.
    fn take(&mut self) -> Result<Vec<(Port, Vec<u8>)>, BackendError>;
    /// Waits `ms` milliseconds.
    ///
    /// # Errors
    ///
    /// The clock cannot be advanced.
    fn wait(&mut self, ms: u64) -> Result<(), BackendError>;
}

/// UDP listeners of the router: one on all addresses, one on a single address.
pub const LISTENERS: [(Ipv4Addr, u16); 2] = [(Ipv4Addr::UNSPECIFIED, 53), (Ipv4Addr::new(10, 0, 0, 1), 443)];

/// Commands that create the router, besides [`links`]. The far ends of its cables are in the namespace `x`.
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

/// `ip -batch` text that creates devices, addresses, neighbours and routes.
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

/// A command with its input.
pub(crate) struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Standard input; empty: none.
    pub stdin: String,
}

/// A command without input.
pub(crate) fn plain(line: &str) -> Command {
    command(line, String::new())
}

/// A command line whose words are separated by a space each.
pub(crate) fn command(line: &str, stdin: String) -> Command {
    Command { argv: line.split(' ').map(str::to_owned).collect(), stdin }
}

/// Milliseconds until a new router is settled.
pub(crate) const SETTLING: u64 = 1200;

/// Commands that create the router.
pub(crate) fn making() -> Vec<Command> {
    let mut commands = vec![plain("ip netns add x"), command("ip -batch -", links())];
    commands.extend(PORTS.map(|port| plain(&format!("ip -n x link set {} up", port.name()))));
    commands.extend((2..=9u8).map(|host| {
        let mac = mac_of(2, host).map(|byte| format!("{byte:02x}")).join(":");
        let port = if host == 2 { "p0" } else { "p1" };
        plain(&format!("bridge fdb add {mac} dev {port} master static"))
    }));
    commands.push(plain(&format!("sysctl -q -w {}", SETTINGS.join(" "))));
    commands
}

/// Commands before a case.
pub(crate) fn preparing(case: &Case) -> Vec<Command> {
    let switch = format!("sysctl -q -w net.bridge.bridge-nf-call-iptables={}", u8::from(case.bridge_nf));
    let mut commands = vec![plain(&switch)];
    if case.legacy {
        // A table stays registered after its first use; here all are, on both sides.
        let tables = ["raw", "mangle", "nat", "filter", "security"];
        commands.extend(tables.map(|table| plain(&format!("iptables-legacy -t {table} -S"))));
    }
    commands
}

/// Commands that load the sets, accounting objects and rules of a case. They may be refused.
pub(crate) fn loading(case: &Case) -> Vec<Command> {
    let mut commands = Vec::new();
    if !case.sets.is_empty() {
        commands.push(command("ipset restore", case.sets.join("\n") + "\n"));
    }
    if !case.accounts.is_empty() {
        commands.push(command("nfacct restore", case.accounts.join("\n") + "\n"));
    }
    commands.push(command(&format!("iptables{}-restore", variant(case)), case.rules.join("\n") + "\n"));
    commands
}

/// Suffix of the tools of a case.
pub(crate) fn variant(case: &Case) -> &'static str {
    if case.legacy { "-legacy" } else { "" }
}

/// Creates the router.
///
/// # Errors
///
/// [`BackendError::Command`] with the command that failed.
pub fn build(rig: &mut dyn Rig) -> Result<(), BackendError> {
    making().iter().try_for_each(|command| must(rig, command))?;
    rig.wait(SETTLING)?;
    rig.take()?;
    Ok(())
}

fn run_command(rig: &mut dyn Programs, command: &Command) -> Result<Said, BackendError> {
    let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
    rig.run(&argv, &command.stdin)
}

/// Runs a command that succeeds.
///
/// # Errors
///
/// [`BackendError::Command`] if it does not.
pub(crate) fn must(rig: &mut dyn Programs, command: &Command) -> Result<(), BackendError> {
    let said = run_command(rig, command)?;
    if said.status == 0 {
        return Ok(());
    }
    Err(BackendError::Command { command: command.argv.join(" "), output: said.text })
}

/// Runs a case on a router without rules, sets or connections.
///
/// # Errors
///
/// Any failure but those of loading the case's sets and rules, which are part of the outcome.
pub fn run(rig: &mut dyn Rig, case: &Case) -> Result<Outcome, BackendError> {
    play(rig, case).map(|(outcome, _)| outcome)
}

/// For each step, the received frame, if any.
pub type CameIn = Vec<Option<Vec<u8>>>;

/// Runs a case and returns the received frames as well.
///
/// # Errors
///
/// As [`run`].
pub fn play(rig: &mut dyn Rig, case: &Case) -> Result<(Outcome, CameIn), BackendError> {
    let (mut outcome, mut came_in) = (Outcome::default(), CameIn::new());
    preparing(case).iter().try_for_each(|command| must(rig, command))?;
    for command in loading(case) {
        outcome.said.push(run_command(rig, &command)?);
    }
    rig.take()?;
    let mut last: BTreeMap<Port, Vec<u8>> = BTreeMap::new();
    for step in &case.steps {
        let frame = match step {
            Step::Send(send) => Some((send.port, send.frame())),
            Step::Reply(reply) => {
                last.get(&reply.port).and_then(|frame| reply.to(frame)).map(|frame| (reply.port, frame))
            }
            Step::Local(packet) => {
                rig.send_local(packet.dst, &packet.bytes())?;
                None
            }
            Step::Wait(ms) => {
                rig.wait(*ms)?;
                None
            }
        };
        if let Some((port, frame)) = &frame {
            rig.send(*port, frame)?;
        }
        came_in.push(frame.map(|(_, frame)| frame));
        let frames = rig.take()?;
        last.extend(frames.iter().filter(|(_, frame)| frame.get(12..14) == Some(&[8, 0])).cloned());
        outcome.frames.push(frames);
    }
    outcome.rules = rig.run(&[&format!("iptables{}-save", variant(case)), "-c"], "")?;
    outcome.connections = rig.run(&["cat", "/proc/net/nf_conntrack"], "")?;
    if !case.sets.is_empty() {
        outcome.sets = rig.run(&["ipset", "save"], "")?;
    }
    if !case.accounts.is_empty() {
        outcome.accounts = rig.run(&["nfacct", "list"], "")?;
    }
    for path in case.lists() {
        let shown = rig.run(&["cat", &path], "")?;
        outcome.lists.push((path, shown));
    }
    Ok((outcome, came_in))
}
