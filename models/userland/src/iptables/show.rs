//! Printing of rules by `-S` and `iptables-save`.

use std::fmt::Write;

use glassnet_kernel::tables::xt::{Action, AddrMask, Iface, Match, Policy, Rule, Target};

use super::address::{push_protocol, push_saved};
use super::ext::{MATCHES, Style, TARGETS};

/// Options of a match without its name.
pub fn push_match(out: &mut String, with: &Match, style: Style) {
    if let Some(ext) = MATCHES.iter().find(|ext| ext.name == with.name()) {
        (ext.show)(with, style, out);
    }
}

/// Options of a target without its name.
pub fn push_target(out: &mut String, target: &Target, style: Style) {
    if let Some(ext) = TARGETS.iter().find(|ext| ext.name == target.name()) {
        (ext.show)(target, style, out);
    }
}

/// A policy's name.
pub fn policy_name(policy: Policy) -> &'static str {
    match policy {
        Policy::Accept => "ACCEPT",
        Policy::Drop => "DROP",
    }
}

fn push_addr(out: &mut String, option: &str, addr: &AddrMask) {
    if addr.mask.is_unspecified() && !addr.invert {
        return;
    }
    *out += if addr.invert { " ! " } else { " " };
    *out += option;
    out.push(' ');
    push_saved(out, addr);
}

fn push_iface(out: &mut String, option: &str, iface: &Option<Iface>, all: bool) {
    let Some(iface) = iface else { return };
    if iface.name == "+" && !all {
        return;
    }
    let not = if iface.invert { "! " } else { "" };
    let _ = write!(out, " {not}{option} {}", iface.name);
}

/// Words of a rule, each after a space. `counters`: with `-c PACKETS BYTES`. `plus`: with interface `+` (nft prints
/// only the inverted one).
pub fn push_rule(out: &mut String, rule: &Rule, counters: bool, plus: bool) {
    push_addr(out, "-s", &rule.ip.src);
    push_addr(out, "-d", &rule.ip.dst);
    push_iface(out, "-i", &rule.ip.input, plus);
    push_iface(out, "-o", &rule.ip.output, plus);
    if rule.ip.proto.0 != 0 {
        *out += if rule.ip.proto.1 { " ! -p " } else { " -p " };
        push_protocol(out, rule.ip.proto.0, false);
    }
    match rule.ip.fragment {
        Some(true) => *out += " -f",
        Some(false) => *out += " ! -f",
        None => {}
    }
    for with in &rule.matches {
        *out += " -m ";
        *out += with.name();
        push_match(out, with, Style::Save);
    }
    if counters {
        let _ = write!(out, " -c {} {}", rule.counters.packets, rule.counters.bytes);
    }
    match &rule.action {
        Action::None => {}
        Action::Accept => *out += " -j ACCEPT",
        Action::Drop => *out += " -j DROP",
        Action::Return => *out += " -j RETURN",
        Action::Jump(chain) => {
            *out += " -j ";
            *out += chain;
        }
        Action::Goto(chain) => {
            *out += " -g ";
            *out += chain;
        }
        Action::Target(target) => {
            *out += " -j ";
            *out += target.name();
            push_target(out, target, Style::Save);
        }
    }
}

/// Words of a rule without counters and state, for comparing rules. `plus` as in [`push_rule`].
pub fn words(rule: &Rule, plus: bool) -> String {
    let mut out = String::new();
    push_rule(&mut out, rule, false, plus);
    out
}
