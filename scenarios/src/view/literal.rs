//! Rules and parts of rules as `iptables-save` prints them.

use glassnet_kernel::tables::xt::{Action, Counters, IpMatch, Match, Rule};
use glassnet_userland::iptables::show;

/// A rule of a chain: `-A FORWARD -s 10.0.0.0/24 -j ACCEPT`.
pub fn rule(chain: &str, rule: &Rule) -> String {
    format!("-A {chain}{}", show::words(rule, true))
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
    show::words(&rule, true).trim_start().to_owned()
}
