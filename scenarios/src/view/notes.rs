//! Notes of the kernel as words: a key, such as `fdb`, and a sentence.

use std::net::Ipv4Addr;

use glassnet_kernel::net::ipv4::tcp_ipv4::state_name;
use glassnet_kernel::note::{
    AtRule, ConnNote, ConntrackNote, FdbNote, FibNote, HookNote, IpvsChooser, IpvsNote, NatNote, Note,
    Outcome, OvsNote, RuleNote, SocketNote, TcNote, TunnelNote, UdpTunnel, VlanNote,
};
use glassnet_kernel::tables::conntrack::{CtInfo, Tuple};
use glassnet_kernel::tables::netfilter::Pf;
use glassnet_wire::ipv4::{IPPROTO_ICMP, IPPROTO_TCP, IPPROTO_UDP};

/// Key of a note.
pub fn key(note: &Note) -> &'static str {
    match note {
        Note::Hook(_) => "hook",
        Note::Rule(_) => "rule",
        Note::NftTrace(_) => "trace",
        Note::Log { .. } => "log",
        Note::Nflog { .. } => "nflog",
        Note::Audit { .. } => "audit",
        Note::Set { .. } => "set",
        Note::Conntrack(_) => "conntrack",
        Note::Nat(_) | Note::NoAddress { .. } => "nat",
        Note::Ipvs(_) => "ipvs",
        Note::Bridge { .. } => "bridge",
        Note::Flood { .. } => "flood",
        Note::Vlan(_) => "vlan",
        Note::Fdb(_) => "fdb",
        Note::Ovs(_) => "ovs",
        Note::Tc(_) => "tc",
        Note::Tunnel(TunnelNote { kind: UdpTunnel::Vxlan, .. }) => "vxlan",
        Note::Tunnel(TunnelNote { kind: UdpTunnel::Geneve, .. }) => "geneve",
        Note::Tunnel(TunnelNote { kind: UdpTunnel::Fou(_) | UdpTunnel::Gue, .. }) => "fou",
        Note::Neigh(_) | Note::NeighUpdate { .. } => "neigh",
        Note::Fib(_) => "fib",
        Note::Socket(_) => "socket",
        Note::IcmpGlobalLimit | Note::IcmpPeerLimit => "icmp",
        Note::ListenOverflow => "listen",
    }
}

/// What a datapath of Open vSwitch found.
fn ovs(note: &OvsNote) -> String {
    let tried = |masks: u32| format!("{masks} {} tried", if masks == 1 { "mask" } else { "masks" });
    match note {
        OvsNote::Miss { masks } => format!("no flow, {}: to ovs-vswitchd", tried(*masks)),
        OvsNote::Flow { masks, cached, ports } => {
            let cached = if *cached { ", the first by the cache" } else { "" };
            let to = if ports.is_empty() { "drop".to_owned() } else { format!("to {}", ports.join(", ")) };
            format!("by a flow ({}{cached}): {to}", tried(*masks))
        }
    }
}

/// Sentence of a note. Rules are in [`Met`](super::Met), with their table.
pub fn words(note: &Note) -> String {
    match note {
        Note::Hook(hook) => hook_words(hook),
        Note::Rule(_) => String::new(),
        Note::NftTrace(at) => nft_trace(at),
        Note::Log { heard: true, line } => line.clone(),
        Note::Log { heard: false, line } => format!("(nf_log_all_netns=0) {line}"),
        Note::Nflog { group, prefix } if prefix.is_empty() => format!("group {group}: nobody listens"),
        Note::Nflog { group, prefix } => format!("group {group} \"{prefix}\": nobody listens"),
        Note::Audit { mark, saddr, daddr, proto } => {
            let mark = if *mark == 0 { u32::MAX } else { *mark };
            format!("NETFILTER_PKT mark={mark:#x} saddr={saddr} daddr={daddr} proto={proto}")
        }
        Note::Set { name, found } => format!("{} {name}", if *found { "in" } else { "not in" }),
        Note::Conntrack(note) => conntrack(note),
        Note::Nat(note) => nat(note),
        Note::Ipvs(note) => ipvs(note),
        Note::NoAddress { dev } => format!("{dev} ate my IP address"),
        Note::Bridge { name } => name.clone(),
        Note::Flood { ports, local } => flood(ports, *local),
        Note::Vlan(VlanNote::NoPvid { dev }) => format!("{dev} has no VLAN for frames without a tag"),
        Note::Vlan(VlanNote::NotIn { dev, vid }) => format!("{dev} is not in VLAN {vid}"),
        Note::Fdb(note) => fdb(note),
        Note::Ovs(note) => ovs(note),
        Note::Tc(note) => tc(note),
        Note::Tunnel(TunnelNote { vni, to, port, .. }) => {
            let vni = vni.map_or(String::new(), |vni| format!("VNI {vni}, "));
            format!("{vni}in UDP to {to}:{port}")
        }
        Note::Neigh(None) => "none".to_owned(),
        Note::Neigh(Some((ip, state))) => format!("{ip} is {}", state.name()),
        Note::NeighUpdate { ip, lladdr, state } => {
            format!("{ip} is at {lladdr}: {}", state.name())
        }
        Note::Fib(Ok(route)) => fib(route),
        Note::Fib(Err(errno)) => format!("no route: {}", errno.strerror()),
        Note::Socket(Some(socket)) => tcp_socket(socket),
        Note::Socket(None) => "nobody listens here".to_owned(),
        Note::IcmpGlobalLimit => "no error is sent: icmp_msgs_per_sec is reached".to_owned(),
        Note::IcmpPeerLimit => "no error is sent: icmp_ratelimit for this sender is reached".to_owned(),
        Note::ListenOverflow => "the SYN is ignored: too many connections wait to be accepted".to_owned(),
    }
}

/// A filter or an action of tc.
fn tc(note: &TcNote) -> String {
    match note {
        TcNote::Filter { kind, prio, chain: 0, handle } => {
            format!("the filter of {kind} with pref {prio}, handle {handle:#x}, matches")
        }
        TcNote::Filter { kind, prio, chain, handle } => {
            format!("the filter of {kind} with pref {prio}, handle {handle:#x}, in chain {chain}, matches")
        }
        TcNote::Action { kind, index, said } => format!("action {kind} index {index}: {said}"),
    }
}

/// A hook's family as `nft` names it.
pub fn family(pf: Pf) -> &'static str {
    match pf {
        Pf::Ipv4 => "ip",
        Pf::Bridge => "bridge",
    }
}

/// Family, chain, and the devices as `LOG` writes them.
fn hook_words(hook: &HookNote) -> String {
    let devices: Vec<String> = devices(hook).map(|(word, name)| format!(" {word}={name}")).collect();
    format!("{} {}{}", family(hook.pf), hook.hook.chain(), devices.concat())
}

/// The devices of a hook with their keys in `LOG`; an empty name: none.
pub fn devices(hook: &HookNote) -> impl Iterator<Item = (&'static str, &str)> {
    let ports = [("PHYSIN", &hook.physin), ("PHYSOUT", &hook.physout)];
    let ports = ports.into_iter().filter_map(|(word, port)| Some((word, port.as_deref()?)));
    [("IN", &*hook.input), ("OUT", &*hook.output)].into_iter().chain(ports)
}

/// As `xtables-monitor --trace`, with a rule's number instead of its handle.
fn nft_trace(at: &RuleNote) -> String {
    let what = match &at.what {
        AtRule::Match { rule, outcome } => {
            let outcome = match outcome {
                Outcome::Jump(chain) => format!("JUMP:{chain}"),
                Outcome::Goto(chain) => format!("GOTO:{chain}"),
                other => other.to_string().to_uppercase(),
            };
            format!("rule:{rule}:{outcome}")
        }
        AtRule::Policy(outcome) => format!("policy:{}", outcome.to_string().to_uppercase()),
        // Not traced.
        AtRule::NoMatch { .. } | AtRule::Broken { .. } | AtRule::Return => return String::new(),
    };
    format!("TRACE: {}:{}:{what}", at.table.name(), at.chain)
}

/// A note of connection tracking.
pub fn conntrack(note: &ConntrackNote) -> String {
    let conn = |conn: &Option<ConnNote>| conn.as_ref().map_or(String::new(), connection);
    match note {
        ConntrackNote::Found(info, found) => format!("{}: {}", state(Some(*info)), conn(found)),
        ConntrackNote::Invalid => state(None).to_owned(),
        ConntrackNote::Entered(entered) => format!("entered in the table: {}", conn(entered)),
        ConntrackNote::ErrorAstray { to, expected } => {
            format!("the error goes to {to}, but the packet that it quotes came from {expected}")
        }
    }
}

/// A packet's state by its name in rules.
pub fn state(info: Option<CtInfo>) -> &'static str {
    match info {
        Some(CtInfo::New) => "NEW",
        Some(CtInfo::Established) => "ESTABLISHED",
        Some(CtInfo::EstablishedReply) => "ESTABLISHED, a reply",
        Some(CtInfo::Related) => "RELATED",
        Some(CtInfo::RelatedReply) => "RELATED, to a reply",
        None => "INVALID",
    }
}

/// As `conntrack -L` prints it, without `use`.
fn connection(conn: &ConnNote) -> String {
    let side = |tuple: &Tuple| {
        let (src, dst) = (tuple.src, tuple.dst);
        match tuple.proto {
            IPPROTO_ICMP => {
                let (kind, code) = (tuple.dport >> 8, tuple.dport & 0xff);
                format!("src={src} dst={dst} type={kind} code={code} id={}", tuple.sport)
            }
            IPPROTO_TCP | IPPROTO_UDP => {
                format!("src={src} dst={dst} sport={} dport={}", tuple.sport, tuple.dport)
            }
            _ => format!("src={src} dst={dst}"),
        }
    };
    let proto = conn.tuples[0].proto;
    let name = match proto {
        IPPROTO_ICMP => "icmp",
        IPPROTO_TCP => "tcp",
        IPPROTO_UDP => "udp",
        _ => "unknown",
    };
    let state = conn.tcp.map_or(String::new(), |state| format!("{} ", state.name()));
    let flag = |set: bool, text: &'static str| if set { text } else { "" };
    let zone = if conn.zone != 0 { format!(" zone={}", conn.zone) } else { String::new() };
    format!(
        "{name} {proto} {} {state}{}{} {}{} mark={}{zone}",
        conn.left.0 / 1_000_000_000,
        side(&conn.tuples[0]),
        flag(!conn.seen_reply, " [UNREPLIED]"),
        side(&conn.tuples[1]),
        flag(conn.assured, " [ASSURED]"),
        conn.mark,
    )
}

fn nat(note: &NatNote) -> String {
    let end = |(address, port): (Ipv4Addr, Option<u16>)| {
        port.map_or(address.to_string(), |port| format!("{address}:{port}"))
    };
    let what = if note.source { "source" } else { "destination" };
    match note.old == note.new {
        true => format!("{what} {} stays", end(note.old)),
        false => format!("{what} {} becomes {}", end(note.old), end(note.new)),
    }
}

/// By what a scheduler of IPVS chooses.
#[rustfmt::skip] // One line each, so that they merge.
const SCHEDULERS: &[(&str, &str)] = &[
    ("rr", "in turn"),
    ("wrr", "in turn, by weight"),
    ("lc", "the fewest connections"),
    ("wlc", "the fewest connections for its weight"),
    ("sed", "the shortest delay that is to be expected"),
    ("nq", "an idle one, or the shortest delay that is to be expected"),
    ("fo", "the greatest weight"),
    ("ovf", "the greatest weight that has not too many connections"),
    ("dh", "by the address that the client asked for"),
    ("sh", "by the client's address"),
    ("mh", "by the client's address"),
    ("lblc", "the one that the address went to before"),
    ("lblcr", "one of those that the address went to before"),
];

/// Where IPVS sends a packet.
pub fn ipvs(note: &IpvsNote) -> String {
    let (_, address, port) = note.service;
    let dest = note.dest.map_or("no destination".to_owned(), |(address, port)| format!("{address}:{port}"));
    let by = match note.by {
        IpvsChooser::Connection => "as before in this connection".to_owned(),
        IpvsChooser::Template => "as before for this client (persistent)".to_owned(),
        IpvsChooser::Scheduler(name) => {
            let gloss = SCHEDULERS.iter().find(|row| row.0 == name).map_or("", |row| row.1);
            format!("chosen by {name}: {gloss}")
        }
    };
    format!("{address}:{port} -> {dest}, {by}")
}

/// Destinations of a flooded frame.
pub fn flood(ports: &[String], local: bool) -> String {
    let names = ports.iter().map(String::as_str).chain(local.then_some("this host"));
    names.collect::<Vec<_>>().join(", ")
}

fn fdb(note: &FdbNote) -> String {
    match note {
        FdbNote::Learned(mac, port) => format!("learned: {mac} is behind {port}"),
        FdbNote::Moved(mac, port) => format!("moved: {mac} is behind {port}"),
        FdbNote::Known(mac, port) => format!("known: {mac} is behind {port}"),
        FdbNote::Found(mac, port) => format!("{mac} is behind {port}"),
        FdbNote::Local(mac) => format!("{mac} is this host"),
        FdbNote::Unknown(mac) => format!("{mac} is unknown"),
    }
}

/// A route, with its table's name in `/etc/iproute2/rt_tables`.
fn fib(route: &FibNote) -> String {
    let via = match route.gateway {
        Ipv4Addr::UNSPECIFIED => String::new(),
        gateway => format!(" via {gateway}"),
    };
    let table = match route.table {
        255 => "local".to_owned(),
        254 => "main".to_owned(),
        253 => "default".to_owned(),
        other => other.to_string(),
    };
    format!("{}/{}{via} in table {table}", route.prefix, route.len)
}

fn tcp_socket(socket: &SocketNote) -> String {
    let end = |(address, port): (Ipv4Addr, u16)| format!("{address}:{port}");
    match socket.connected {
        Some((state, remote)) => format!("{} {} to {}", state_name(state), end(socket.local), end(remote)),
        None => format!("LISTEN {}", end(socket.local)),
    }
}
