//! A case as a lesson, so that a person can read, run and keep it.

use std::fmt::Write;

use super::case::{Case, Step};

/// The lesson's text: the commands that make the router, the rules, and the packets as `mausezahn` sends them.
/// Replies depend on what comes out; they are told in words.
pub fn lesson(case: &Case, differences: &[String]) -> String {
    let mut text = format!("# {}\n\n", case.name);
    let quoted = |text: &mut String, lines: &[String]| {
        text.push_str("```\n");
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str("```\n\n");
    };
    if !case.sets.is_empty() {
        text.push_str("Sets, for `ipset restore`:\n\n");
        quoted(&mut text, &case.sets);
    }
    let variant = if case.legacy { "-legacy" } else { "" };
    let _ = writeln!(
        text,
        "Rules, for `iptables{variant}-restore`, with bridge-nf-call-iptables={}:\n",
        u8::from(case.bridge_nf)
    );
    quoted(&mut text, &case.rules);
    text.push_str("What happens:\n\n");
    for (at, step) in case.steps.iter().enumerate() {
        let _ = writeln!(text, "{}. {}", at + 1, describe(step));
    }
    text.push_str("\nThe kernel (-) and the model (+) differ:\n\n");
    quoted(&mut text, differences);
    text
}

fn describe(step: &Step) -> String {
    let packet = |packet| serde_json::to_string(packet).unwrap_or_default();
    match step {
        Step::Send(send) => {
            format!("a frame comes in from `{}`: `{}`", send.port.name(), packet(&send.packet))
        }
        Step::Local(own) => format!("the router sends `{}`", packet(own)),
        Step::Wait(ms) => format!("{ms} ms pass"),
        Step::Reply(reply) => match reply.unreachable {
            Some(code) => {
                format!(
                    "a host behind `{}` answers the last packet with ICMP unreachable, code {code}",
                    reply.port.name()
                )
            }
            None => format!(
                "a host behind `{}` answers the last packet (TCP flags {:?}, {} bytes)",
                reply.port.name(),
                reply.flags,
                reply.len
            ),
        },
    }
}
