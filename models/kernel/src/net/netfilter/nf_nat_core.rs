//! NAT: the mapping of a connection is chosen with its first packet and applied to every packet.
//!
//! Kernel: net/netfilter/nf_nat_core.c

use std::net::Ipv4Addr;

use glassnet_wire::ipv4::IPPROTO_ICMP;

use super::nf_conntrack_core::{
    allows_clash, nf_conntrack_alter_reply, nf_conntrack_tuple_taken, nf_ct_delete,
};
use super::nf_nat_proto::nf_nat_manip_pkt;
use crate::Cx;
use crate::door::Func;
use crate::hook::Verdict;
use crate::ids::SkbId;
use crate::net::ipv4::netfilter::ip_tables::ipt_do_table;
use crate::note::{NatNote, Note};
use crate::tables::conntrack::{
    Conn, Conntrack, CtId, CtInfo, Dir, IPS_DST_NAT, IPS_DST_NAT_DONE, IPS_NAT_MASK, IPS_SRC_NAT,
    IPS_SRC_NAT_DONE, NfCt, Tuple,
};
use crate::tables::drop_reason::DropReason;
use crate::tables::netfilter::{Hook, HookState};
use crate::tables::xt::{TableName, Variant};

/// Addresses and ports for NAT to choose from (`struct nf_nat_range2`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatRange {
    /// First and last address.
    pub addrs: Option<(Ipv4Addr, Ipv4Addr)>,
    /// First and last port.
    pub ports: Option<(u16, u16)>,
    /// `DNAT` with a shifted port range: the base port after `/`.
    pub base_port: Option<u16>,
    /// `--random`.
    pub random: bool,
    /// `--random-fully`.
    pub random_fully: bool,
    /// `--persistent`.
    pub persistent: bool,
}

/// The address that is rewritten (`enum nf_nat_manip_type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manip {
    /// The source.
    Src,
    /// The destination.
    Dst,
}

impl Manip {
    /// The address that NAT rewrites at a hook (`HOOK2MANIP`).
    pub fn at(hook: Hook) -> Manip {
        match hook {
            Hook::PostRouting | Hook::LocalIn => Manip::Src,
            _ => Manip::Dst,
        }
    }

    /// The mapping of this address is chosen (`IPS_SRC_NAT_DONE`, `IPS_DST_NAT_DONE`).
    pub fn done(self) -> u16 {
        match self {
            Manip::Src => IPS_SRC_NAT_DONE,
            Manip::Dst => IPS_DST_NAT_DONE,
        }
    }

    /// The status bit that says that packets of a direction are rewritten at this address: source NAT of one direction
    /// is destination NAT of the other.
    pub fn status(self, dir: Dir) -> u16 {
        let status = match self {
            Manip::Src => IPS_SRC_NAT,
            Manip::Dst => IPS_DST_NAT,
        };
        if dir == Dir::Reply { status ^ IPS_NAT_MASK } else { status }
    }
}

/// The protocols whose tuples have ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
fn has_ports(proto: u8) -> bool {
    matches!(proto, 6 | 17 | 33 | 132 | 136)
}

/// Replacement ports without a port range: those of the same class.
const CLASSES: [(u16, u16); 3] = [(1, 511), (600, 1023), (1024, 65_535)];
/// Greatest number of ports tried in a row.
const MAX_ATTEMPTS: u32 = 128;
/// A search with fewer attempts is not repeated from another offset.
const MIN_ATTEMPTS: u32 = 16;

/// Lookups that a choice needs.
trait Taken {
    /// The tuple is in use, as the reply tuple of another connection (`nf_nat_used_tuple`).
    fn used(&mut self, tuple: &Tuple) -> bool;
    /// The same for a connection whose tuple was not changed (`nf_nat_used_tuple_new`).
    fn used_new(&mut self, tuple: &Tuple) -> bool {
        self.used(tuple)
    }
    /// Random offset of a search.
    fn random(&mut self) -> u16;
}

/// The connections of the machine, without the new one.
struct Connections<'a, 'w> {
    cx: &'a mut Cx<'w>,
    id: CtId,
}

impl Taken for Connections<'_, '_> {
    fn used(&mut self, tuple: &Tuple) -> bool {
        tuple.inverted().is_some_and(|reply| nf_conntrack_tuple_taken(self.cx, &reply, self.id))
    }

    fn used_new(&mut self, tuple: &Tuple) -> bool {
        let may = self.cx.k.config.nat_keeps_reverse;
        self.used(tuple) && !(may && is_reverse(&self.cx.k.conntrack, self.id, tuple))
    }

    fn random(&mut self) -> u16 {
        self.cx.dice.below(65_536) as u16
    }
}

/// The tuple belongs to the reverse connection, without NAT; another port would not help.
fn is_reverse(table: &Conntrack, id: CtId, tuple: &Tuple) -> bool {
    let Some(new) = table.get(id).filter(|new| allows_clash(new.tuples[0].proto)) else { return false };
    let find = |tuple: &Tuple| table.find(new.netns, new.zone, tuple);
    let found = find(tuple).or_else(|| find(&tuple.inverted()?));
    found.and_then(|(other, _)| table.get(other)).is_some_and(|other| {
        let [there, back] = new.tuples;
        other.status & (IPS_SRC_NAT | IPS_DST_NAT) == 0 && other.tuples == [back, there]
    })
}

/// Input of a choice.
struct Choice<'a, T> {
    range: &'a NatRange,
    manip: Manip,
    taken: T,
}

impl<T: Taken> Choice<'_, T> {
    fn random(&self) -> bool {
        self.range.random || self.range.random_fully
    }

    /// A unique tuple for packets that have the tuple `orig` now (`get_unique_tuple`). `known` are mappings that the
    /// same source got before. If nothing is free, the result is in use, and the packet fails to be confirmed.
    fn unique(&mut self, orig: &Tuple, zone: u16, known: Option<Tuple>) -> Tuple {
        if self.manip == Manip::Src && !self.random() {
            if source_in_range(orig, self.range) {
                if !self.taken.used_new(orig) {
                    return *orig;
                }
            } else if let Some(known) = known.filter(|known| !self.taken.used(known)) {
                return known;
            }
        }
        let mut tuple = *orig;
        choose_address(&mut tuple, self.range, self.manip, zone);
        if !self.random() && self.keeps_port(&tuple) {
            return tuple;
        }
        self.choose_port(tuple)
    }

    /// The tuple's port is in the range and free. A range of one port is taken without a check.
    fn keeps_port(&mut self, tuple: &Tuple) -> bool {
        match self.range.ports {
            Some(_) if self.range.base_port.is_some() => false,
            Some((first, last)) => {
                port_in_range(tuple, self.manip, (first, last)) && (first == last || !self.taken.used(tuple))
            }
            None => !self.taken.used(tuple),
        }
    }

    /// Chooses a port or identifier (`nf_nat_l4proto_unique_tuple`).
    fn choose_port(&mut self, mut tuple: Tuple) -> Tuple {
        let icmp = tuple.proto == IPPROTO_ICMP;
        if !icmp && !has_ports(tuple.proto) {
            return tuple;
        }
        let own = if icmp || self.manip == Manip::Src { tuple.sport } else { tuple.dport };
        let (first, size) = match self.range.ports {
            Some((first, last)) => (u32::from(first.min(last)), u32::from(first.abs_diff(last)) + 1),
            None if icmp => (0, 65_536),
            // A destination port is changed only by a port range.
            None if self.manip == Manip::Dst => return tuple,
            None => {
                let class = CLASSES[usize::from(own >= 512) + usize::from(own >= 1024)];
                (u32::from(class.0), u32::from(class.1 - class.0) + 1)
            }
        };
        let mut start = match self.range.base_port {
            Some(base) => own.wrapping_sub(base),
            // Destination ports are searched from the start of the range, unless the rule asks for random ones.
            None if self.manip == Manip::Dst && !self.range.random && !self.range.random_fully => 0,
            None => self.taken.random(),
        };
        let mut attempts = size.min(MAX_ATTEMPTS);
        loop {
            for at in 0..attempts {
                let port = first + u32::from(start.wrapping_add(at as u16)) % size;
                let place =
                    if icmp || self.manip == Manip::Src { &mut tuple.sport } else { &mut tuple.dport };
                *place = port as u16;
                if !self.taken.used(&tuple) {
                    return tuple;
                }
            }
            if attempts >= size || attempts < MIN_ATTEMPTS {
                return tuple;
            }
            attempts /= 2;
            start = self.taken.random();
        }
    }
}

/// The tuple's source is in the range.
fn source_in_range(tuple: &Tuple, range: &NatRange) -> bool {
    let address = range.addrs.is_none_or(|(first, last)| (first..=last).contains(&tuple.src));
    address && range.ports.is_none_or(|ports| port_in_range(tuple, Manip::Src, ports))
}

fn port_in_range(tuple: &Tuple, manip: Manip, (first, last): (u16, u16)) -> bool {
    let port = match manip {
        _ if tuple.proto == IPPROTO_ICMP => tuple.sport,
        // GRE has keys instead of ports; they are not tracked here.
        _ if !has_ports(tuple.proto) => return true,
        Manip::Src => tuple.sport,
        Manip::Dst => tuple.dport,
    };
    (first..=last).contains(&port)
}

/// Chooses one address of a range by a hash of the source, and of the destination unless `--persistent`
/// (`find_best_ips_proto`). The kernel's hash has no seed, so the choice is the same.
fn choose_address(tuple: &mut Tuple, range: &NatRange, manip: Manip, zone: u16) {
    let Some((first, last)) = range.addrs else { return };
    let initval = if range.persistent { 0 } else { u32::from_le_bytes(tuple.dst.octets()) ^ u32::from(zone) };
    // The kernel hashes a union with an IPv6 address: four words of which three are 0, the first in network byte order
    // on a little-endian machine.
    let hash = jhash2([u32::from_le_bytes(tuple.src.octets()), 0, 0, 0], initval);
    let address = if first == last {
        first
    } else {
        let size = last.to_bits().wrapping_sub(first.to_bits()).wrapping_add(1);
        let step = ((u64::from(hash) * u64::from(size)) >> 32) as u32;
        Ipv4Addr::from_bits(first.to_bits().wrapping_add(step))
    };
    match manip {
        Manip::Src => tuple.src = address,
        Manip::Dst => tuple.dst = address,
    }
}

/// Bob Jenkins' lookup3 of four words (`jhash2`, include/linux/jhash.h; the hash is in the public domain).
fn jhash2(words: [u32; 4], initval: u32) -> u32 {
    let start = 0xdead_beef_u32.wrapping_add(16).wrapping_add(initval);
    let [mut a, mut b, mut c] = [0, 1, 2].map(|at| start.wrapping_add(words[at]));
    for (x, y, z) in [(4, 6, 8), (16, 19, 4)] {
        a = a.wrapping_sub(c) ^ c.rotate_left(x);
        c = c.wrapping_add(b);
        b = b.wrapping_sub(a) ^ a.rotate_left(y);
        a = a.wrapping_add(c);
        c = c.wrapping_sub(b) ^ b.rotate_left(z);
        b = b.wrapping_add(a);
    }
    a = a.wrapping_add(words[3]);
    c = (c ^ b).wrapping_sub(b.rotate_left(14));
    a = (a ^ c).wrapping_sub(c.rotate_left(11));
    b = (b ^ a).wrapping_sub(a.rotate_left(25));
    c = (c ^ b).wrapping_sub(b.rotate_left(16));
    a = (a ^ c).wrapping_sub(c.rotate_left(4));
    b = (b ^ a).wrapping_sub(a.rotate_left(14));
    (c ^ b).wrapping_sub(b.rotate_left(24))
}

/// Chooses the mapping of one address of a new connection (`nf_nat_setup_info`).
pub fn nf_nat_setup_info(cx: &mut Cx, id: CtId, skb: SkbId, range: &NatRange, manip: Manip) -> Verdict {
    cx.call(Func::NfNatSetupInfo, skb);
    if cx.k.conntrack.get(id).is_some_and(Conn::is_confirmed) {
        return Verdict::Accept;
    }
    let Some((now, new)) = nf_nat_setup(cx, id, range, manip) else {
        return Verdict::Drop(DropReason::NetfilterDrop);
    };
    cx.note(|_| Note::Nat(decision(&now, &new, manip)));
    Verdict::Accept
}

/// Chooses the mapping of one address of an unconfirmed connection, without a packet. Returns the tuple before and
/// after; `None` if it was chosen before.
pub fn nf_nat_setup(cx: &mut Cx, id: CtId, range: &NatRange, manip: Manip) -> Option<(Tuple, Tuple)> {
    let conn = cx.k.conntrack.get(id).filter(|conn| !conn.has(manip.done()))?;
    let (netns, zone) = (conn.netns, conn.zone);
    // The original tuple as NAT changed it so far.
    let now = conn.tuple(Dir::Reply).inverted()?;
    let known = match manip {
        Manip::Src => find_appropriate_src(cx, &now, netns, zone[0], range),
        Manip::Dst => None,
    };
    // The hash takes the zone's number, whatever its direction.
    let number = zone[0].max(zone[1]);
    let new = Choice { range, manip, taken: Connections { cx, id } }.unique(&now, number, known);
    if new != now
        && let Some(reply) = new.inverted()
    {
        nf_conntrack_alter_reply(cx, id, reply);
    }
    let conn = cx.k.conntrack.get_mut(id)?;
    conn.status |= manip.done() | if new != now { manip.status(Dir::Original) } else { 0 };
    if manip == Manip::Src {
        let conn = conn.clone();
        cx.k.conntrack.by_source.add(id, &conn);
    }
    Some((now, new))
}

/// The note about a mapping.
fn decision(old: &Tuple, new: &Tuple, manip: Manip) -> NatNote {
    let end = |tuple: &Tuple| {
        let (address, port) = match manip {
            Manip::Src => (tuple.src, tuple.sport),
            Manip::Dst if tuple.proto == IPPROTO_ICMP => (tuple.dst, tuple.sport),
            Manip::Dst => (tuple.dst, tuple.dport),
        };
        (address, (tuple.proto == IPPROTO_ICMP || has_ports(tuple.proto)).then_some(port))
    };
    NatNote { source: manip == Manip::Src, old: end(old), new: end(new) }
}

/// An earlier mapping of the same source, if it is in the range (`find_appropriate_src`).
fn find_appropriate_src(
    cx: &Cx,
    tuple: &Tuple,
    netns: crate::ids::NetnsId,
    zone: u16,
    range: &NatRange,
) -> Option<Tuple> {
    let table = &cx.k.conntrack;
    let mapped = |id: CtId| {
        let made = table.get(id)?.tuple(Dir::Reply).inverted()?;
        // The source port of an ICMP tuple is its identifier.
        let result = Tuple { src: made.src, sport: made.sport, ..*tuple };
        source_in_range(&result, range).then_some(result)
    };
    table.by_source.from(netns, zone, tuple).find_map(mapped)
}

/// No rule matched: the address stays, and the port if it is free (`nf_nat_alloc_null_binding`).
fn nf_nat_alloc_null_binding(cx: &mut Cx, id: CtId, skb: SkbId, manip: Manip) -> Verdict {
    let Some(conn) = cx.k.conntrack.get(id) else { return Verdict::Accept };
    nf_nat_setup_info(cx, id, skb, &null_binding(conn, manip), manip)
}

/// The range of the connection's present address.
pub fn null_binding(conn: &Conn, manip: Manip) -> NatRange {
    let reply = conn.tuple(Dir::Reply);
    let address = if manip == Manip::Src { reply.dst } else { reply.src };
    NatRange { addrs: Some((address, address)), ..NatRange::default() }
}

/// The hook function of NAT: the first packet of a connection traverses the rules, every packet is rewritten
/// (`nf_nat_inet_fn`).
#[inline]
pub fn nf_nat_inet_fn(cx: &mut Cx, skb: SkbId, state: HookState) -> Verdict {
    cx.within(Func::NfNatInetFn, skb, |cx| {
        let NfCt::Conn(id, info) = cx.skbs[skb].nfct else { return Verdict::Accept };
        let manip = Manip::at(state.hook);
        let Some(conn) = cx.k.conntrack.get(id) else { return Verdict::Accept };
        let undecided =
            !matches!(info, CtInfo::Established | CtInfo::EstablishedReply) && !conn.has(manip.done());
        if undecided {
            cx.k.watch.depends_on_more();
            match decide(cx, skb, state, id, manip) {
                Verdict::Accept => {}
                other => return other,
            }
        } else if conn.masq_index != 0 && oif_changed(cx, conn, info, state) {
            nf_ct_delete(cx, id);
            return Verdict::Drop(DropReason::NetfilterDrop);
        }
        nf_nat_packet(cx, skb, id, info, manip)
    })
}

/// A packet of a masqueraded connection leaves by another device than that of the address (`nf_nat_oif_changed`).
fn oif_changed(cx: &Cx, conn: &Conn, info: CtInfo, state: HookState) -> bool {
    let out = state.output.map_or(0, |dev| cx.k.devs[dev].ifindex);
    state.hook == Hook::PostRouting && info.dir() == Dir::Original && conn.masq_index != out
}

/// Traverses the `nat` tables until one chooses a mapping; otherwise makes a null binding.
fn decide(cx: &mut Cx, skb: SkbId, state: HookState, id: CtId, manip: Manip) -> Verdict {
    for at in 0..cx.k.netns[state.netns].xt.nat_lookups(state.hook).len() {
        let Some(variant) = cx.k.netns[state.netns].xt.nat_lookups(state.hook).get(at).copied() else {
            break;
        };
        let ask = |cx: &mut Cx| ipt_do_table(cx, skb, state, variant, TableName::Nat);
        let verdict = match variant {
            Variant::Legacy => ask(cx),
            Variant::Nft => cx.within(Func::NftNatDoChain, skb, ask),
        };
        match verdict {
            Verdict::Accept => {}
            other => return other,
        }
        if cx.k.conntrack.get(id).is_some_and(|conn| conn.has(manip.done())) {
            return Verdict::Accept;
        }
    }
    nf_nat_alloc_null_binding(cx, id, skb, manip)
}

/// Rewrites a packet (`nf_nat_packet`).
#[inline]
fn nf_nat_packet(cx: &mut Cx, skb: SkbId, id: CtId, info: CtInfo, manip: Manip) -> Verdict {
    let Some(conn) = cx.k.conntrack.get(id) else { return Verdict::Accept };
    let dir = info.dir();
    if !conn.has(manip.status(dir)) {
        return Verdict::Accept;
    }
    // The inverse of the other direction's tuple.
    let target = conn.tuple(dir.other()).inverted();
    cx.k.watch.depends_on_more();
    match target {
        Some(target) if nf_nat_manip_pkt(cx, skb, &target, manip) => Verdict::Accept,
        _ => Verdict::Drop(DropReason::NetfilterDrop),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn ip(text: &str) -> Ipv4Addr {
        text.parse().expect("an address")
    }

    fn tuple(src: &str, sport: u16, dst: &str, dport: u16, proto: u8) -> Tuple {
        Tuple { src: ip(src), dst: ip(dst), sport, dport, proto }
    }

    fn addrs(first: &str, last: &str) -> NatRange {
        NatRange { addrs: Some((ip(first), ip(last))), ..NatRange::default() }
    }

    /// What is taken, and where the searches begin.
    #[derive(Default)]
    struct Fake {
        taken: BTreeSet<Tuple>,
        starts: Vec<u16>,
        asked: usize,
    }

    impl Taken for &mut Fake {
        fn used(&mut self, tuple: &Tuple) -> bool {
            self.asked += 1;
            self.taken.contains(tuple)
        }

        fn random(&mut self) -> u16 {
            self.starts.pop().unwrap_or(0)
        }
    }

    fn choose(fake: &mut Fake, orig: Tuple, range: &NatRange, manip: Manip) -> Tuple {
        Choice { range, manip, taken: fake }.unique(&orig, 0, None)
    }

    /// `CT --zone-reply 1` puts the directions in different zones.
    #[test]
    fn a_connection_may_be_the_reverse_of_another() {
        for (proto, nat, expected) in [(17, 0, true), (17, IPS_SRC_NAT, false), (6, 0, false)] {
            let there = tuple("10.0.0.3", 1000, "10.0.2.4", 443, proto);
            let back = there.inverted().expect("it can be answered");
            let mut table = Conntrack::default();
            let mut old = Conn::new(crate::kernel::INIT_NET, there, back, [0, 1]);
            old.status |= nat;
            let old = table.alloc(old);
            table.insert(old);
            let new = table.alloc(Conn::new(crate::kernel::INIT_NET, back, there, [0, 0]));
            assert_eq!(is_reverse(&table, new, &back), expected, "protocol {proto}, status {nat}");
        }
    }

    /// Recorded on Linux 6.1 and 6.18 (x86-64): `SNAT --to-source 10.5.0.1-10.5.0.16` and `DNAT --to-destination
    /// 10.2.0.1-10.2.0.5`, UDP from 10.1.0.1, 10.1.0.2, …; the last byte of the chosen address.
    #[test]
    fn addresses_of_a_range_are_the_kernels() {
        let chosen = |range: &NatRange, manip, n: u8, dst: &str| {
            let orig = Tuple { src: Ipv4Addr::new(10, 1, 0, n), ..tuple("0.0.0.0", 4000, dst, 53, 17) };
            let new = choose(&mut Fake::default(), orig, range, manip);
            let [.., last] = (if manip == Manip::Src { new.src } else { new.dst }).octets();
            last
        };
        let snat = addrs("10.5.0.1", "10.5.0.16");
        let got: Vec<u8> = (1..=8).map(|n| chosen(&snat, Manip::Src, n, "10.2.0.1")).collect();
        assert_eq!(got, [5, 14, 2, 9, 5, 3, 9, 6]);
        let persistent = NatRange { persistent: true, ..snat };
        for dst in ["10.2.0.1", "10.2.0.2", "10.2.0.3"] {
            let got: Vec<u8> = (1..=8).map(|n| chosen(&persistent, Manip::Src, n, dst)).collect();
            assert_eq!(got, [4, 3, 13, 14, 9, 4, 7, 5]);
        }
        let dnat = addrs("10.2.0.1", "10.2.0.5");
        for (dst, expected) in [
            ("10.9.0.1", [4, 2, 5, 3, 1, 3, 3, 4]),
            ("10.9.0.2", [5, 1, 5, 4, 4, 4, 2, 1]),
            ("10.9.0.3", [5, 2, 2, 3, 2, 2, 2, 5]),
        ] {
            let got: Vec<u8> = (1..=8).map(|n| chosen(&dnat, Manip::Dst, n, dst)).collect();
            assert_eq!(got, expected, "{dst}");
        }
    }

    #[test]
    fn a_free_port_is_kept_and_a_taken_one_becomes_one_of_its_class() {
        for (port, start, expected) in [
            (40_000, 7, 1031),
            (300, 7, 8),
            (700, 7, 607),
            (511, 510, 1),
            (512, 424, 600),
            (1024, 64_511, 65_535),
        ] {
            let orig = tuple("10.1.0.1", port, "10.2.0.1", 53, 17);
            let kept = Tuple { src: ip("10.5.0.1"), ..orig };
            let range = addrs("10.5.0.1", "10.5.0.1");
            assert_eq!(choose(&mut Fake::default(), orig, &range, Manip::Src), kept);
            let mut fake = Fake { taken: [kept].into(), starts: vec![start], asked: 0 };
            let new = choose(&mut fake, orig, &range, Manip::Src);
            assert_eq!(new, Tuple { sport: expected, ..kept }, "{port}");
        }
    }

    /// As recorded on Linux 6.1 and 6.18 for ports 7000, 7003, 7012 and 6999 with `:5000-5009/7000`.
    #[test]
    fn a_base_port_shifts_the_range() {
        let range =
            NatRange { ports: Some((5000, 5009)), base_port: Some(7000), ..addrs("10.2.0.1", "10.2.0.1") };
        let port = |dport| {
            choose(&mut Fake::default(), tuple("10.1.0.1", 4001, "10.9.0.1", dport, 17), &range, Manip::Dst)
                .dport
        };
        assert_eq!([7000, 7003, 7012, 6999].map(port), [5000, 5003, 5002, 5005]);
    }

    #[test]
    fn a_destination_port_changes_only_if_the_rule_says_so() {
        let orig = tuple("10.1.0.1", 4001, "10.9.0.1", 80, 6);
        let mut fake = Fake::default();
        let new = choose(&mut fake, orig, &addrs("10.2.0.1", "10.2.0.1"), Manip::Dst);
        assert_eq!(new, Tuple { dst: ip("10.2.0.1"), ..orig });
        fake.taken.insert(new);
        assert_eq!(choose(&mut fake, orig, &addrs("10.2.0.1", "10.2.0.1"), Manip::Dst), new);
        // A single port is taken without a lookup.
        let range = NatRange { ports: Some((80, 80)), ..addrs("10.2.0.1", "10.2.0.1") };
        fake.asked = 0;
        assert_eq!(choose(&mut fake, orig, &range, Manip::Dst), new);
        assert_eq!(fake.asked, 0);
    }

    #[test]
    fn a_search_ends_even_if_all_is_taken() {
        struct Full(usize);
        impl Taken for &mut Full {
            fn used(&mut self, _: &Tuple) -> bool {
                self.0 += 1;
                true
            }
            fn random(&mut self) -> u16 {
                0
            }
        }
        let tries = |range: &NatRange, proto| {
            let mut full = Full(0);
            let orig = tuple("10.1.0.1", 4001, "10.9.0.1", 80, proto);
            Choice { range, manip: Manip::Src, taken: &mut full }.unique(&orig, 0, None);
            full.0
        };
        let any = addrs("10.5.0.1", "10.5.0.1");
        // The tuple itself, then 128, 64, 32, 16, 8 ports.
        assert_eq!(tries(&any, 17), 1 + 248);
        assert_eq!(tries(&NatRange { ports: Some((7000, 7001)), ..any }, 17), 2);
        assert_eq!(tries(&any, 1), 1 + 248);
        assert_eq!(tries(&any, 47), 1, "no ports, no search");
    }

    #[test]
    fn random_ports_are_not_kept() {
        let orig = tuple("10.1.0.1", 4001, "10.9.0.1", 80, 17);
        for range in [
            NatRange { random: true, ..addrs("10.5.0.1", "10.5.0.1") },
            NatRange { random_fully: true, ..addrs("10.5.0.1", "10.5.0.1") },
        ] {
            let mut fake = Fake { starts: vec![100], ..Fake::default() };
            assert_eq!(choose(&mut fake, orig, &range, Manip::Src).sport, 1124);
        }
    }
}
