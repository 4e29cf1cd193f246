//! A case as a lesson, to be read, run and kept.

use std::fmt::Write;

use crate::rig::case::{Case, Packet, Proto, Reply, Step};
use crate::rig::{Command, LISTENERS, SETTLING, loading, making, preparing, variant};

/// The lesson: commands that create the router, sets and rules, and packets sent by `mausezahn`. `came_in` are the
/// frames received at each step, as a host's reply depends on the frame before.
pub fn lesson(case: &Case, came_in: &[Option<Vec<u8>>], differences: &[String]) -> String {
    let mut text = Text(String::new());
    let title = serde_json::Value::String(case.name.clone());
    text.say(&format!("---\ntitle: {title}\ntopology:\n  nodes:\n    router: {{}}\n---\n# {}\n", case.name));
    text.say(
        "A router with two cables, to clients (`c0`) and to servers (`s0`), and a bridge `br0` with two more, `p0` and\n\
         `p1`. The far ends of the cables, `c1`, `s1`, `q0` and `q1`, lie in the namespace `x`; no host is there, frames\n\
         are written into the cables.\n",
    );
    let mut router = vec![prompt("modprobe br_netfilter")];
    router.extend(making().iter().map(typed));
    router.extend(LISTENERS.map(|(address, port)| {
        let address = if address.is_unspecified() { String::new() } else { format!("{address} ") };
        prompt(&format!("nc -dkul {address}{port} >/dev/null &"))
    }));
    router.push(prompt(&format!("sleep {}", seconds(SETTLING))));
    text.console(&router);
    text.say("The rules:\n");
    // The error of a tool for refused rules is not predicted.
    let loads = preparing(case).into_iter().chain(loading(case)).map(|command| match &*command.argv[0] {
        "sysctl" => typed(&command),
        _ => typed(&command) + "…\n",
    });
    text.console(&loads.collect::<Vec<_>>());
    for (at, step) in case.steps.iter().enumerate() {
        let frame = came_in.get(at).and_then(Option::as_deref);
        text.say(&format!("Step {}: {}\n", at + 1, describe(step, frame.is_some())));
        if let Some(command) = action(step, frame) {
            text.console(&[prompt(&command)]);
        }
    }
    text.say("What is there then:\n");
    let mut dumps = vec![format!("iptables{}-save -c", variant(case)), "conntrack -L".to_owned()];
    dumps.extend(case.lists().iter().map(|path| format!("cat {path}")));
    dumps.extend((!case.sets.is_empty()).then(|| "ipset save".to_owned()));
    dumps.extend((!case.accounts.is_empty()).then(|| "nfacct list".to_owned()));
    text.console(&dumps.iter().map(|dump| prompt(dump) + "…\n").collect::<Vec<_>>());
    if !differences.is_empty() {
        text.say("When this was written, the kernel (-) and the model (+) differed:\n");
        text.say(&format!("```text\n{}\n```", differences.join("\n")));
    }
    text.0.trim_end().to_owned() + "\n"
}

/// A Markdown text.
struct Text(String);

impl Text {
    fn say(&mut self, text: &str) {
        self.0.push_str(text);
        self.0.push('\n');
    }

    fn console(&mut self, prompts: &[String]) {
        self.say(&format!("```console\n{}```\n", prompts.concat()));
    }
}

fn prompt(command: &str) -> String {
    format!("router# {command}\n")
}

/// A command with its input as a here-document.
fn typed(command: &Command) -> String {
    let words = command.argv.join(" ");
    if command.stdin.is_empty() {
        return prompt(&words);
    }
    let mut text = prompt(&format!("{words} <<'END'"));
    for line in command.stdin.lines() {
        let _ = writeln!(text, "> {line}");
    }
    text + "> END\n"
}

/// The command of a step; `frame` was received. `None`: nothing happens.
fn action(step: &Step, frame: Option<&[u8]>) -> Option<String> {
    let send = |port: &str| {
        let frame = frame?;
        let parts = [frame.get(..6)?, frame.get(6..12)?, frame.get(12..14)?, frame.get(14..)?].map(hex);
        Some(format!("ip netns exec x mausezahn {port} -q \"{}\"", parts.join(" ")))
    };
    match step {
        Step::Send(sent) => send(sent.port.name()),
        Step::Reply(reply) => send(reply.port.name()),
        Step::Local(packet) => Some(local(packet)),
        Step::Wait(ms) => Some(format!("sleep {}", seconds(*ms))),
    }
}

/// A packet sent by the router; without a MAC address, `mausezahn` lets the kernel route it.
fn local(packet: &Packet) -> String {
    let bytes = packet.bytes();
    let (tos, proto) = (packet.tos, bytes.get(9).copied().unwrap_or(0));
    let data = bytes.get(20..).filter(|data| !data.is_empty()).map(|data| format!(",p={}", hex(data)));
    let (src, dst, ttl) = (packet.src, packet.dst, packet.ttl);
    let data = data.unwrap_or_default();
    format!("mausezahn c0 -q -t ip -A {src} -B {dst} \"id=1,ttl={ttl},tos={tos:02x},proto={proto}{data}\"")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

fn seconds(ms: u64) -> String {
    format!("{}.{:03}", ms / 1000, ms % 1000)
}

fn describe(step: &Step, has_frame: bool) -> String {
    match step {
        Step::Send(send) => format!("a frame comes in from `{}`: {}.", send.port.name(), named(&send.packet)),
        Step::Local(packet) => format!("the router itself sends {}.", named(packet)),
        Step::Wait(ms) => format!("{ms} ms pass."),
        Step::Reply(reply) if has_frame => {
            format!(
                "a host behind `{}` answers the packet that came out last{}.",
                reply.port.name(),
                with(reply)
            )
        }
        Step::Reply(reply) => {
            format!("a host behind `{}` has got nothing that it could answer.", reply.port.name())
        }
    }
}

fn with(reply: &Reply) -> String {
    match reply.unreachable {
        Some(code) => format!(" with ICMP unreachable, code {code}"),
        None if reply.flags.is_empty() => String::new(),
        None => format!(" (TCP flags {})", reply.flags),
    }
}

/// A short description of a packet.
fn named(packet: &Packet) -> String {
    let (src, dst) = (packet.src, packet.dst);
    let what = match &packet.proto {
        Proto::Tcp { sport, dport, flags, .. } => {
            format!("TCP {src}:{sport} > {dst}:{dport}, flags {flags:?}")
        }
        Proto::Udp { sport, dport } => format!("UDP {src}:{sport} > {dst}:{dport}"),
        Proto::Icmp { kind, code, .. } => format!("ICMP {src} > {dst}, type {kind}, code {code}"),
        Proto::Sctp { sport, dport, chunks, .. } => {
            format!("SCTP {src}:{sport} > {dst}:{dport}, chunks {chunks:?}")
        }
        Proto::Other(proto) => format!("protocol {proto}, {src} > {dst}"),
    };
    let len = match packet.len {
        0 => String::new(),
        len => format!(", {len} bytes"),
    };
    let sum = if packet.bad_sum { ", with a wrong checksum" } else { "" };
    format!("{what}{len}, TTL {}{sum}", packet.ttl)
}
