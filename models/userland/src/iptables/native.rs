//! `iptables-nft` converts `tcp` and `udp` to nf_tables expressions and prints them from those.

use std::borrow::Cow;

use glassnet_kernel::net::ipv4::netfilter::ipt_icmp::Icmp;
use glassnet_kernel::net::netfilter::xt_tcpudp::{Tcp, Udp};
use glassnet_kernel::netlink::Errno;
use glassnet_kernel::tables::xt::Ports;
use glassnet_kernel::tables::xt::{AddrMask, IpMatch, Match, Rule, Variant};

use super::fail::{Done, parameter};

/// No condition on ports.
fn is_any(ports: &Ports) -> bool {
    *ports == Ports::default()
}

/// Ports as printed from expressions: an inverted full range has none.
fn kept(ports: Ports) -> Ports {
    if ports.range == (0, 0xffff) { Ports::default() } else { ports }
}

/// `tcp` is converted to expressions.
fn tcp_is_native(tcp: &Tcp) -> bool {
    let has_flags = tcp.flags.is_some_and(|(invert, mask, compare)| invert || mask != 0 || compare != 0);
    tcp.option.is_none() && !(is_any(&tcp.sport) && is_any(&tcp.dport) && !has_flags)
}

fn udp_is_native(udp: &Udp) -> bool {
    !(is_any(&udp.sport) && is_any(&udp.dport))
}

/// Converts the matches of a rule as nf_tables keeps them; a match without conditions has no expression.
///
/// # Errors
///
/// ``TCP match requires '-p tcp'`` and the same of UDP.
pub fn rewrite(rule: &mut Rule) -> Done {
    let proto = rule.ip.proto.0;
    let mut kept_matches: Vec<Match> = Vec::with_capacity(rule.matches.len());
    for mut with in std::mem::take(&mut rule.matches) {
        if let Some(tcp) = with.get_mut::<Tcp>().filter(|tcp| tcp_is_native(tcp)) {
            if proto != 6 {
                return Err(parameter("TCP match requires '-p tcp'"));
            }
            let flags = tcp.flags.filter(|(_, mask, compare)| *mask != 0 || *compare != 0);
            *tcp = Tcp { sport: kept(tcp.sport), dport: kept(tcp.dport), flags, option: None };
            if *tcp == Tcp::default() {
                continue;
            }
        }
        if let Some(udp) = with.get_mut::<Udp>().filter(|udp| udp_is_native(udp)) {
            if proto != 17 {
                return Err(parameter("UDP match requires '-p udp'"));
            }
            *udp = Udp { sport: kept(udp.sport), dport: kept(udp.dport) };
            if *udp == Udp::default() {
                continue;
            }
        }
        kept_matches.push(with);
    }
    rule.matches = kept_matches;
    for iface in [&mut rule.ip.input, &mut rule.ip.output] {
        if iface.as_ref().is_some_and(|iface| !iface.invert && iface.name == "+") {
            *iface = None;
        }
    }
    Ok(())
}

/// The rule as it is printed. `iptables-nft` prints several `tcp` or `udp` matches as one, in the place of the first,
/// with the last condition on each field, although the kernel evaluates each; an inversion stays.
pub fn shown(variant: Variant, rule: &Rule) -> Cow<'_, Rule> {
    let is_native =
        |with: &Match| with.get().is_some_and(tcp_is_native) || with.get().is_some_and(udp_is_native);
    let natives = rule.matches.iter().filter(|with| is_native(with)).count();
    if variant == Variant::Legacy || natives < 2 {
        return Cow::Borrowed(rule);
    }
    let mut rule = rule.clone();
    let mut first: Option<usize> = None;
    for with in std::mem::take(&mut rule.matches) {
        match first {
            Some(at) if is_native(&with) => overwrite(&mut rule.matches[at], &with),
            _ => {
                first = first.or(is_native(&with).then_some(rule.matches.len()));
                rule.matches.push(with);
            }
        }
    }
    Cow::Owned(rule)
}

fn overwrite(into: &mut Match, from: &Match) {
    let ports = |into: &mut Ports, from: Ports| {
        if !is_any(&from) {
            *into = Ports { invert: into.invert || from.invert, range: from.range };
        }
    };
    if let (Some(into), Some(from)) = (into.get_mut::<Tcp>(), from.get::<Tcp>()) {
        ports(&mut into.sport, from.sport);
        ports(&mut into.dport, from.dport);
        if let Some((invert, mask, compare)) = from.flags {
            let inverted = into.flags.is_some_and(|(invert, ..)| invert);
            into.flags = Some((invert || inverted, mask, compare));
        }
    }
    if let (Some(into), Some(from)) = (into.get_mut::<Udp>(), from.get::<Udp>()) {
        ports(&mut into.sport, from.sport);
        ports(&mut into.dport, from.dport);
    }
}

/// What the kernel refuses of a rule by itself.
pub fn refused(variant: Variant, rule: &Rule) -> Option<Errno> {
    let is_proto = |number: u8| rule.ip.proto == (number, false);
    let is_nft = variant == Variant::Nft;
    let fits = |with: &Match| {
        with.get().is_none_or(|tcp| is_proto(6) || is_nft && tcp_is_native(tcp))
            && with.get().is_none_or(|udp| is_proto(17) || is_nft && udp_is_native(udp))
            && with.get::<Icmp>().is_none_or(|_| is_proto(1))
    };
    if !rule.matches.iter().all(fits) || is_nft && never_matches(&rule.ip) {
        return Some(Errno::EINVAL);
    }
    None
}

/// nf_tables has no expression for `! -s 0.0.0.0/0`.
fn never_matches(ip: &IpMatch) -> bool {
    let is_none = |addr: &AddrMask| addr.invert && addr.mask.is_unspecified();
    is_none(&ip.src) || is_none(&ip.dst)
}

#[cfg(test)]
mod tests {
    use glassnet_kernel::net::netfilter::xt_length::Length;
    use glassnet_kernel::tables::xt::{Action, Counters};

    use super::*;

    /// As iptables 1.8.9 prints `-p tcp --syn --sport 5 -m length … -m tcp --tcp-flags SYN,RST SYN`.
    #[test]
    fn the_last_of_two_matches_of_tcp_is_shown() {
        let tcp = |flags, sport| Match::new(Tcp { flags: Some((false, flags, 2)), sport, ..Tcp::default() });
        let five = Ports { invert: false, range: (5, 5) };
        let length = Match::new(Length { invert: false, range: (1, 2) });
        let matches = vec![tcp(0x17, five), length.clone(), tcp(0x06, Ports::default())];
        let rule =
            Rule { ip: IpMatch::default(), matches, action: Action::None, counters: Counters::default() };
        assert_eq!(shown(Variant::Nft, &rule).matches, [tcp(0x06, five), length]);
        assert_eq!(*shown(Variant::Legacy, &rule), rule);
    }
}
