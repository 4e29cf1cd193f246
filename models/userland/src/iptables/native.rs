//! What `iptables-nft` makes of a rule: `tcp` and `udp` become expressions of nf_tables, and are printed as what those
//! expressions say.

use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::matches::{Ports, Tcp, Udp};
use glassnet_kernel::tables::xt::{AddrMask, IpMatch, Match, Rule, Variant};

use super::stop::{Done, parameter};

/// Nothing is asked of the ports.
fn is_any(ports: &Ports) -> bool {
    *ports == Ports::default()
}

/// The ports as they come back: an inverted full range has no expression at all.
fn kept(ports: Ports) -> Ports {
    if ports.range == (0, 0xffff) { Ports::default() } else { ports }
}

/// `tcp` is written as expressions.
fn tcp_is_native(tcp: &Tcp) -> bool {
    let has_flags = tcp.flags.is_some_and(|(invert, mask, compare)| invert || mask != 0 || compare != 0);
    tcp.option.is_none() && !(is_any(&tcp.sport) && is_any(&tcp.dport) && !has_flags)
}

fn udp_is_native(udp: &Udp) -> bool {
    !(is_any(&udp.sport) && is_any(&udp.dport))
}

/// Two matches of the same protocol that say different things of the same field stay two.
fn merge_ports(into: &mut Ports, from: Ports) -> bool {
    let is_free = is_any(into) || is_any(&from);
    if is_free && !is_any(&from) {
        *into = from;
    }
    is_free
}

/// Rewrites the matches of a rule as they come back from nf_tables.
///
/// # Errors
///
/// ``TCP match requires '-p tcp'`` and the same of UDP.
pub fn rewrite(rule: &mut Rule) -> Done {
    let proto = rule.ip.proto.0;
    let mut kept_matches: Vec<Match> = Vec::with_capacity(rule.matches.len());
    let mut native: Option<usize> = None;
    for with in std::mem::take(&mut rule.matches) {
        let rewritten = match with {
            Match::Tcp(tcp) if tcp_is_native(&tcp) => {
                if proto != 6 {
                    return Err(parameter("TCP match requires '-p tcp'"));
                }
                let flags = tcp.flags.filter(|(_, mask, compare)| *mask != 0 || *compare != 0);
                let tcp = Tcp { sport: kept(tcp.sport), dport: kept(tcp.dport), flags, option: None };
                if tcp == Tcp::default() {
                    continue;
                }
                Match::Tcp(tcp)
            }
            Match::Udp(udp) if udp_is_native(&udp) => {
                if proto != 17 {
                    return Err(parameter("UDP match requires '-p udp'"));
                }
                let udp = Udp { sport: kept(udp.sport), dport: kept(udp.dport) };
                if udp == Udp::default() {
                    continue;
                }
                Match::Udp(udp)
            }
            other => {
                kept_matches.push(other);
                continue;
            }
        };
        if !native.is_some_and(|at| merge(&mut kept_matches[at], &rewritten)) {
            native.get_or_insert(kept_matches.len());
            kept_matches.push(rewritten);
        }
    }
    rule.matches = kept_matches;
    for iface in [&mut rule.ip.input, &mut rule.ip.output] {
        if iface.as_ref().is_some_and(|iface| !iface.invert && iface.name == "+") {
            *iface = None;
        }
    }
    Ok(())
}

fn merge(into: &mut Match, from: &Match) -> bool {
    match (into, from) {
        (Match::Tcp(into), Match::Tcp(from)) => {
            let mut merged = *into;
            let is_free =
                merge_ports(&mut merged.sport, from.sport) && merge_ports(&mut merged.dport, from.dport);
            let flags_free = merged.flags.is_none() || from.flags.is_none();
            merged.flags = merged.flags.or(from.flags);
            if is_free && flags_free {
                *into = merged;
            }
            is_free && flags_free
        }
        (Match::Udp(into), Match::Udp(from)) => {
            let mut merged = *into;
            let is_free =
                merge_ports(&mut merged.sport, from.sport) && merge_ports(&mut merged.dport, from.dport);
            if is_free {
                *into = merged;
            }
            is_free
        }
        _ => false,
    }
}

/// What the kernel refuses of a rule whatever the other rules are.
pub fn refused(variant: Variant, rule: &Rule) -> Option<Errno> {
    let is_proto = |number: u8| rule.ip.proto == (number, false);
    let is_nft = variant == Variant::Nft;
    let fits = |with: &Match| match with {
        Match::Tcp(tcp) => is_proto(6) || is_nft && tcp_is_native(tcp),
        Match::Udp(udp) => is_proto(17) || is_nft && udp_is_native(udp),
        Match::Icmp(_) => is_proto(1),
        _ => true,
    };
    if !rule.matches.iter().all(fits) || is_nft && never_matches(&rule.ip) {
        return Some(Errno::EINVAL);
    }
    None
}

/// nf_tables has no expression for `! -s 0.0.0.0/0`.
fn never_matches(ip: &IpMatch) -> bool {
    let is_none = |addr: &AddrMask| addr.invert && addr.mask == 0;
    is_none(&ip.src) || is_none(&ip.dst)
}
