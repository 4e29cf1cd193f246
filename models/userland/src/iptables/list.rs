//! Rules as `-L` lists them.

use std::fmt::Write;

use glassnet_kernel::tables::xt::{Action, AddrMask, Chain, Iface, Rule};

use super::address::{listed, push_protocol};
use super::command::Command;
use super::ext::Style;
use super::show::{policy_name, push_match, push_target};
use crate::hosts::Hosts;

/// Format of a listing.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// `-n`.
    pub numeric: bool,
    /// `-v`: counters and interfaces.
    pub verbose: bool,
    /// `-x`.
    pub exact: bool,
    /// `--line-numbers`.
    pub line_numbers: bool,
    /// Names of addresses.
    pub hosts: &'a Hosts,
}

impl<'a> Look<'a> {
    /// The format of a command.
    pub fn of(command: &Command, hosts: &'a Hosts) -> Look<'a> {
        Look {
            numeric: command.numeric,
            verbose: command.verbose,
            exact: command.exact,
            line_numbers: command.line_numbers,
            hosts,
        }
    }
}

/// A counter, abbreviated as in the tool: above 99999 in thousands, and so on. `width`: of the column, 0: none.
fn number(value: u64, exact: bool, width: usize) -> String {
    if exact {
        return format!("{value:width$} ");
    }
    let (mut value, mut unit) = (value, "");
    for (limit, name) in [(99_999, "K"), (9_999, "M"), (9_999, "G"), (9_999, "T")] {
        if value <= limit {
            break;
        }
        (value, unit) = (value.saturating_add(500) / 1000, name);
    }
    let width = width.saturating_sub(unit.len());
    format!("{value:width$}{unit} ")
}

/// Header of a chain, and of the columns. `references`: number of rules that jump to a user-defined chain.
pub fn push_header(out: &mut String, chain: &Chain, references: usize, look: Look) {
    let _ = write!(out, "Chain {}", chain.name);
    match &chain.base {
        Some(base) => {
            let _ = write!(out, " (policy {}", policy_name(base.policy));
            if look.verbose {
                let number = |value| number(value, look.exact, 0);
                let _ = write!(
                    out,
                    " {}packets, {}bytes",
                    number(base.counters.packets),
                    number(base.counters.bytes)
                );
            }
            *out += ")\n";
        }
        None => {
            let _ = writeln!(out, " ({references} references)");
        }
    }
    if look.line_numbers {
        *out += "num  ";
    }
    match (look.verbose, look.exact) {
        (false, _) => {}
        (true, false) => *out += " pkts bytes ",
        (true, true) => *out += "    pkts      bytes ",
    }
    *out += "target     prot opt";
    if look.verbose {
        *out += " in     out    ";
    }
    *out += " source               destination         \n";
}

fn interface(iface: &Option<Iface>, numeric: bool) -> String {
    match iface {
        Some(iface) => format!("{}{}", if iface.invert { "!" } else { "" }, iface.name),
        None => (if numeric { "*" } else { "any" }).to_owned(),
    }
}

fn address(addr: &AddrMask, look: Look) -> String {
    listed(addr, (!look.numeric).then_some(look.hosts))
}

fn not(invert: bool) -> char {
    if invert { '!' } else { ' ' }
}

fn target(action: &Action) -> &str {
    match action {
        Action::None => "",
        Action::Accept => "ACCEPT",
        Action::Drop => "DROP",
        Action::Return => "RETURN",
        Action::Jump(chain) | Action::Goto(chain) => chain,
        // `NOTRACK` is shown as the kernel has it.
        Action::Target(target) => target.kernel_name(),
    }
}

fn protocol(rule: &Rule, numeric: bool) -> String {
    let mut proto = String::new();
    push_protocol(&mut proto, rule.ip.proto.0, numeric);
    proto
}

fn fragment(rule: &Rule) -> &'static str {
    match rule.ip.fragment {
        Some(true) => "-f",
        Some(false) => "!f",
        None => "--",
    }
}

/// A line of a listing; `at` counts from 1.
pub fn push_rule(out: &mut String, rule: &Rule, at: usize, look: Look) {
    if look.line_numbers {
        let _ = write!(out, "{at:<4} ");
    }
    if look.verbose {
        let width = if look.exact { 8 } else { 5 };
        *out += &number(rule.counters.packets, look.exact, width);
        *out += &number(rule.counters.bytes, look.exact, width);
    }
    let ip = &rule.ip;
    let proto = protocol(rule, look.numeric);
    let _ = write!(out, "{:<9} {}{proto:<4} {} ", target(&rule.action), not(ip.proto.1), fragment(rule));
    if look.verbose {
        let (input, output) = (interface(&ip.input, look.numeric), interface(&ip.output, look.numeric));
        let _ = write!(out, " {input:<6} {output:<6} ");
    }
    let (source, destination) = (address(&ip.src, look), address(&ip.dst, look));
    let _ = write!(out, "{}{source:<19} {}{destination:<19} ", not(ip.src.invert), not(ip.dst.invert));
    push_rest(out, rule, look.numeric);
    out.push('\n');
}

/// Output of `-A -v`, `-I -v`, `-D -v` and `-R -v`.
pub fn push_one(out: &mut String, rule: &Rule, hosts: &Hosts) {
    let ip = &rule.ip;
    let look = Look { numeric: true, verbose: true, exact: true, line_numbers: false, hosts };
    let proto = protocol(rule, false);
    let _ = write!(out, "{} {}{proto} opt {} ", target(&rule.action), not(ip.proto.1), fragment(rule));
    let _ = write!(out, "in {} out {} ", interface(&ip.input, true), interface(&ip.output, true));
    let (source, destination) = (address(&ip.src, look), address(&ip.dst, look));
    let _ = write!(out, "{}{source} {}-> {destination}  ", not(ip.src.invert), not(ip.dst.invert));
    push_rest(out, rule, true);
    out.push('\n');
}

fn push_rest(out: &mut String, rule: &Rule, numeric: bool) {
    if matches!(rule.action, Action::Goto(_)) {
        *out += "[goto] ";
    }
    let style = Style::List { numeric, proto: rule.ip.proto.0 };
    for with in &rule.matches {
        push_match(out, with, style);
    }
    if let Action::Target(target) = &rule.action {
        push_target(out, target, style);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_shortened() {
        assert_eq!(number(99_999, false, 5), "99999 ");
        assert_eq!(number(100_000, false, 5), " 100K ");
        assert_eq!(number(200_000_000, false, 5), " 200M ");
        assert_eq!(number(123_456_789_012_345_678, false, 5), "123457T ");
        assert_eq!(number(u64::MAX, false, 0), "18446744T ");
        assert_eq!(number(7, true, 8), "       7 ");
    }
}
