//! Rules and parts of rules as `iptables-save` prints them.

use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule};

/// A rule of a chain: `-A FORWARD -s 10.0.0.0/24 -j ACCEPT`.
pub fn rule(chain: &str, rule: &Rule) -> String {
    format!("-A {chain}{}", show::words(rule))
}

/// A match: `-m tcp --dport 80`.
pub fn a_match(with: &Match) -> String {
    words(IpMatch::default(), vec![with.clone()])
}

/// One option of those that every rule has: `-s 10.0.0.0/24`; `None` if there is no such option.
pub fn ip_option(ip: &IpMatch, option: &str) -> Option<String> {
    let none = IpMatch::default();
    let only = match option {
        "-s" => IpMatch { src: ip.src, ..none },
        "-d" => IpMatch { dst: ip.dst, ..none },
        "-i" => IpMatch { input: ip.input.clone(), ..none },
        "-o" => IpMatch { output: ip.output.clone(), ..none },
        "-p" => IpMatch { proto: ip.proto, ..none },
        "-f" => IpMatch { fragment: ip.fragment, ..none },
        _ => return None,
    };
    Some(words(only, Vec::new()))
}

fn words(ip: IpMatch, matches: Vec<Match>) -> String {
    let rule = Rule { ip, matches, action: Action::None, counters: Counters::default() };
    show::words(&rule).trim_start().to_owned()
}

/// Until the printer of `iptables-save` is here.
mod show {
    use std::net::Ipv4Addr;

    use glassnet_kernel::tables::xt::{Action, AddrMask, Iface, Rule};
    use glassnet_userland::iptables::ext::{MATCHES, Style, TARGETS};

    fn addr(out: &mut String, option: &str, addr: &AddrMask) {
        if addr.mask != 0 {
            let not = if addr.invert { "! " } else { "" };
            *out += &format!(" {not}{option} {}/{}", Ipv4Addr::from(addr.addr), addr.mask.count_ones());
        }
    }

    fn iface(out: &mut String, option: &str, iface: &Option<Iface>) {
        if let Some(iface) = iface {
            let not = if iface.invert { "! " } else { "" };
            *out += &format!(" {not}{option} {}", iface.name);
        }
    }

    pub fn words(rule: &Rule) -> String {
        let mut out = String::new();
        addr(&mut out, "-s", &rule.ip.src);
        addr(&mut out, "-d", &rule.ip.dst);
        iface(&mut out, "-i", &rule.ip.input);
        iface(&mut out, "-o", &rule.ip.output);
        if rule.ip.proto.0 != 0 {
            let name = match rule.ip.proto.0 {
                1 => "icmp",
                6 => "tcp",
                _ => "udp",
            };
            out += &format!(" {}-p {name}", if rule.ip.proto.1 { "! " } else { "" });
        }
        for with in &rule.matches {
            out += &format!(" -m {}", with.name());
            if let Some(ext) = MATCHES.iter().find(|ext| ext.name == with.name()) {
                (ext.show)(with, Style::Save, &mut out);
            }
        }
        match &rule.action {
            Action::None => {}
            Action::Accept => out += " -j ACCEPT",
            Action::Drop => out += " -j DROP",
            Action::Return => out += " -j RETURN",
            Action::Jump(chain) => out += &format!(" -j {chain}"),
            Action::Goto(chain) => out += &format!(" -g {chain}"),
            Action::Target(target) => {
                out += &format!(" -j {}", target.name());
                if let Some(ext) = TARGETS.iter().find(|ext| ext.name == target.name()) {
                    (ext.show)(target, Style::Save, &mut out);
                }
            }
        }
        out
    }
}
