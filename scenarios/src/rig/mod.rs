//! The router that every random case runs on, what every backend can do with it, and how a case is run.
//!
//! | file | owns |
//! |---|---|
//! | `mod.rs` | the router, what can be done with it, running a case |
//! | `case.rs` | what a case is, and the bytes of its packets |
//!
//! The router itself is a backend's; [`crate::fuzz`] draws cases and compares what two routers showed.

pub mod case;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::error::BackendError;
use case::{Case, PORTS, Port, Step, mac_of, router_mac};

/// What a program said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Exit status.
    pub status: i32,
    /// Standard output, then standard error.
    pub text: String,
}

/// What one side showed of a case.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What `ipset restore` and `iptables-restore` said.
    pub said: Vec<Said>,
    /// For each step, the frames that came out of the ports.
    pub frames: Vec<Vec<(Port, Vec<u8>)>>,
    /// `iptables-save -c`.
    pub rules: Said,
    /// `/proc/net/nf_conntrack`.
    pub connections: Said,
    /// `ipset save`.
    pub sets: Said,
    /// Each file of [`Case::lists`] with what it says.
    pub lists: Vec<(String, Said)>,
}

/// A router that can be told what to do: the model's, or one on a real kernel.
pub trait Rig {
    /// Undoes the last case: no rules, sets or connections are left.
    ///
    /// # Errors
    ///
    /// A command could not be started.
    fn clean(&mut self) -> Result<(), BackendError>;
    /// Runs a program on the router, with `stdin`.
    ///
    /// # Errors
    ///
    /// It could not be started; its own status is in what it said.
    fn run(&mut self, argv: &[&str], stdin: &str) -> Result<Said, BackendError>;
    /// A frame comes in by a port; whatever it leads to at once has happened when this returns.
    ///
    /// # Errors
    ///
    /// The frame could not be sent.
    fn send(&mut self, port: Port, frame: &[u8]) -> Result<(), BackendError>;
    /// The router sends an IPv4 packet whose header is given.
    ///
    /// # Errors
    ///
    /// None for a packet that the kernel refuses: that it does not come out is what is compared.
    fn send_local(&mut self, to: Ipv4Addr, packet: &[u8]) -> Result<(), BackendError>;
    /// Takes the frames that came out of the ports since the last call, in order.
    ///
    /// # Errors
    ///
    /// The taps could not be read.
    fn take(&mut self) -> Result<Vec<(Port, Vec<u8>)>, BackendError>;
    /// Lets `ms` milliseconds pass.
    ///
    /// # Errors
    ///
    /// The clock could not be moved on.
    fn wait(&mut self, ms: u64) -> Result<(), BackendError>;
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

/// A command with what it reads.
pub(crate) struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// Standard input; empty: none.
    pub stdin: String,
}

fn command(line: &str, stdin: String) -> Command {
    Command { argv: line.split(' ').map(str::to_owned).collect(), stdin }
}

/// Milliseconds until a new router is at rest.
pub(crate) const SETTLING: u64 = 1200;

/// What makes the router.
pub(crate) fn making() -> Vec<Command> {
    let mut commands = vec![command("ip netns add x", String::new()), command("ip -batch -", links())];
    commands
        .extend(PORTS.map(|port| command(&format!("ip -n x link set {} up", port.name()), String::new())));
    commands.extend((2..=9u8).map(|host| {
        let mac = mac_of(2, host).map(|byte| format!("{byte:02x}")).join(":");
        let port = if host == 2 { "p0" } else { "p1" };
        command(&format!("bridge fdb add {mac} dev {port} master static"), String::new())
    }));
    commands.push(command(&format!("sysctl -q -w {}", SETTINGS.join(" ")), String::new()));
    commands
}

/// What prepares the router for a case.
pub(crate) fn preparing(case: &Case) -> Vec<Command> {
    let switch = format!("sysctl -q -w net.bridge.bridge-nf-call-iptables={}", u8::from(case.bridge_nf));
    let mut commands = vec![command(&switch, String::new())];
    if case.legacy {
        // A table stays loaded once it was used; so all are, on both sides.
        let tables = ["raw", "mangle", "nat", "filter", "security"];
        commands
            .extend(tables.map(|table| command(&format!("iptables-legacy -t {table} -S"), String::new())));
    }
    commands
}

/// What loads the sets and rules of a case. It may be refused.
pub(crate) fn loading(case: &Case) -> Vec<Command> {
    let mut commands = Vec::new();
    if !case.sets.is_empty() {
        commands.push(command("ipset restore", case.sets.join("\n") + "\n"));
    }
    commands.push(command(&format!("iptables{}-restore", variant(case)), case.rules.join("\n") + "\n"));
    commands
}

/// What the names of the case's tools end with.
pub(crate) fn variant(case: &Case) -> &'static str {
    if case.legacy { "-legacy" } else { "" }
}

/// Makes the router.
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

fn run_command(rig: &mut dyn Rig, command: &Command) -> Result<Said, BackendError> {
    let argv: Vec<&str> = command.argv.iter().map(String::as_str).collect();
    rig.run(&argv, &command.stdin)
}

fn must(rig: &mut dyn Rig, command: &Command) -> Result<(), BackendError> {
    let said = run_command(rig, command)?;
    if said.status == 0 {
        return Ok(());
    }
    Err(BackendError::Command { command: command.argv.join(" "), output: said.text })
}

/// Runs a case on a router that has no rules, sets or connections.
///
/// # Errors
///
/// What a tool says of the case's own rules and sets is part of the outcome; anything else that fails is an error.
pub fn run(rig: &mut dyn Rig, case: &Case) -> Result<Outcome, BackendError> {
    play(rig, case).map(|(outcome, _)| outcome)
}

/// For each step of a case the frame that came in, if one did.
pub type CameIn = Vec<Option<Vec<u8>>>;

/// Runs a case, and says which frames came in.
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
    for path in case.lists() {
        let shown = rig.run(&["cat", &path], "")?;
        outcome.lists.push((path, shown));
    }
    Ok((outcome, came_in))
}
