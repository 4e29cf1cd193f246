//! The fast way to the next rule that could match.
//!
//! Of each rule the conditions that are a comparison of some bits (addresses, protocol, ports, interfaces) are kept
//! as five words of mask and value, in columns of eight rules that a processor compares at once. A rule whose words
//! differ cannot match. Of one whose words agree the rest is still to be asked: what a rule says beyond (inversions,
//! ranges that are no prefix, extensions) has mask 0 here.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use super::{Iface, IpMatch, Match, Ports, Rule};

/// How many rules are compared at once.
const LANES: usize = 8;
/// Words of a packet.
const WORDS: usize = 5;

/// What a packet shows to the scan: source, destination, ports (source above), protocol with the bits of
/// [`Ifaces`], interfaces by number (in above out).
pub type Key = [u32; WORDS];

const SOURCE: usize = 0;
const DEST: usize = 1;
const PORTS: usize = 2;
const PROTO: usize = 3;
const IFACES: usize = 4;

/// In [`Key`]'s word of the protocol: the packet is a second or later fragment.
const FRAGMENT: u32 = 1 << 23;
/// Bits of that word that stand for interface patterns.
const PATTERNS: u32 = 23;

/// Protocols of `-m tcp`, `udp` and `multiport`, with the length that a header has at least.
const WITH_PORTS: [(u8, usize); 5] = [(6, 20), (17, 8), (136, 8), (132, 12), (33, 12)];

/// The length that a header of this protocol has at least, bytes, if it begins with ports.
#[inline]
pub fn header_with_ports(proto: u8) -> Option<usize> {
    WITH_PORTS.iter().find(|(known, _)| *known == proto).map(|(_, len)| *len)
}

/// Mask and value of each word.
type Row = [(u32, u32); WORDS];

/// Eight rules.
#[derive(Clone, Debug)]
#[repr(align(64))]
struct Block {
    mask: [[u32; LANES]; WORDS],
    value: [[u32; LANES]; WORDS],
}

impl Block {
    /// Rules that match nothing.
    const NEVER: Block = Block { mask: [[0; LANES]; WORDS], value: [[1; LANES]; WORDS] };

    /// For each rule the bits in which its words differ from the packet's. The compiler makes this a few instructions
    /// for all eight rules.
    #[inline(always)]
    #[expect(clippy::needless_range_loop, reason = "three arrays side by side")]
    fn differ(&self, key: &Key) -> [u32; LANES] {
        let mut differ = [0; LANES];
        for word in 0..WORDS {
            for lane in 0..LANES {
                differ[lane] |= (key[word] & self.mask[word][lane]) ^ self.value[word][lane];
            }
        }
        differ
    }
}

/// Some rule agrees.
#[inline(always)]
fn any_agrees(differ: &[u32; LANES]) -> bool {
    differ.iter().fold(false, |any, differ| any | (*differ == 0))
}

/// The rules of a chain, for the scan.
#[derive(Clone, Debug, Default)]
pub struct Scan {
    blocks: Vec<Block>,
    /// For each rule: its words say all that it says without its extensions.
    complete: Vec<bool>,
    /// Some rule has a condition on ports.
    ports: bool,
}

impl Scan {
    /// For these rules.
    pub fn new<'r>(rules: impl Iterator<Item = &'r Rule>, ifaces: &mut Ifaces) -> Scan {
        let mut scan = Scan::default();
        rules.for_each(|rule| scan.push(rule, ifaces));
        scan
    }

    /// Adds a rule at the end.
    pub fn push(&mut self, rule: &Rule, ifaces: &mut Ifaces) {
        if self.len().is_multiple_of(LANES) {
            self.blocks.push(Block::NEVER);
        }
        let (row, complete) = row(rule, ifaces);
        self.ports |= row[PORTS].0 != 0;
        let lane = self.len() % LANES;
        if let Some(block) = self.blocks.last_mut() {
            for (word, (mask, value)) in row.into_iter().enumerate() {
                (block.mask[word][lane], block.value[word][lane]) = (mask, value);
            }
        }
        self.complete.push(complete);
    }

    /// Reads the rules from `from` on anew: those before are as they were.
    pub fn rewrite(&mut self, from: usize, rules: &[Rule], ifaces: &mut Ifaces) {
        let kept = from - from % LANES;
        self.blocks.truncate(kept / LANES);
        self.complete.truncate(kept);
        rules[kept..].iter().for_each(|rule| self.push(rule, ifaces));
    }

    /// How many rules there are.
    #[inline]
    pub fn len(&self) -> usize {
        self.complete.len()
    }

    /// There are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.complete.is_empty()
    }

    /// Some rule has a condition on ports.
    pub fn has_ports(&self) -> bool {
        self.ports
    }

    /// What a rule says without its extensions holds for every packet whose words agree with its own.
    #[inline]
    pub fn is_complete(&self, rule: usize) -> bool {
        self.complete[rule]
    }

    /// The first rule from `from` on whose words agree with the packet's.
    #[inline]
    pub fn next(&self, from: usize, key: &Key) -> Option<usize> {
        if from >= self.len() {
            return None;
        }
        let mut at = from / LANES;
        let differ = self.blocks.get(at)?.differ(key);
        if any_agrees(&differ)
            && let Some(lane) = (from % LANES..LANES).find(|lane| differ[*lane] == 0)
        {
            return Some(at * LANES + lane);
        }
        loop {
            at += 1;
            let differ = self.blocks.get(at)?.differ(key);
            if any_agrees(&differ) {
                let lane = differ.iter().position(|differ| *differ == 0)?;
                return Some(at * LANES + lane);
            }
        }
    }
}

/// The conditions of a rule that the scan can compare, and whether those are all but its extensions.
fn row(rule: &Rule, ifaces: &mut Ifaces) -> (Row, bool) {
    let ip = &rule.ip;
    let mut row = [(0, 0); WORDS];
    let mut complete = !(ip.src.invert || ip.dst.invert || ip.proto.1);
    if !ip.src.invert {
        row[SOURCE] = (ip.src.mask.to_bits(), ip.src.addr.to_bits());
    }
    if !ip.dst.invert {
        row[DEST] = (ip.dst.mask.to_bits(), ip.dst.addr.to_bits());
    }
    let mut require = |word: usize, mask: u32, value: u32| {
        row[word].0 |= mask;
        row[word].1 |= value;
    };
    if ip.proto.0 != 0 && !ip.proto.1 {
        require(PROTO, 0xff << 24, u32::from(ip.proto.0) << 24);
    }
    if let Some(wanted) = ip.fragment {
        require(PROTO, FRAGMENT, if wanted { FRAGMENT } else { 0 });
    }
    for (iface, shift, list) in [(&ip.input, 16, 0), (&ip.output, 0, 1)] {
        let Some(iface) = iface else { continue };
        match ifaces.intern(iface, list) {
            Some(Place::Exact(number)) => require(IFACES, 0xffff << shift, u32::from(number) << shift),
            Some(Place::Pattern(bit)) => require(PROTO, bit, bit),
            None => complete = false,
        }
    }
    let (mask, value) = ports(ip, &rule.matches);
    require(PORTS, mask, value);
    (row, complete)
}

/// The condition on both ports in one word. Only of matches that come before any that counts packets or chooses by
/// chance, which must see what these let through and nothing less.
fn ports(ip: &IpMatch, matches: &[Match]) -> (u32, u32) {
    let (mut mask, mut value) = (0, 0);
    if ip.proto.1 || header_with_ports(ip.proto.0).is_none() {
        return (mask, value);
    }
    for with in matches {
        let Some([source, dest]) = with.ports().map(|ports| ports.map(prefix)) else { break };
        mask |= source.0 << 16 | dest.0;
        value |= source.1 << 16 | dest.1;
    }
    (mask, value)
}

/// The bits that all ports of a range share.
fn prefix(ports: Ports) -> (u32, u32) {
    let (low, high) = ports.range;
    if ports.invert || low > high {
        return (0, 0);
    }
    let shared = (low ^ high).leading_zeros();
    let mask = u32::from(u16::MAX.checked_shl(16 - shared).unwrap_or(0));
    (mask, u32::from(low) & mask)
}

/// Where the condition on an interface stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A number in the word of interfaces.
    Exact(u16),
    /// A bit in the word of the protocol.
    Pattern(u32),
}

/// The interfaces that a table's rules name, so that a packet's names are compared once and not for each rule.
#[derive(Clone, Debug, Default)]
pub struct Ifaces {
    /// Names without `+` and `!`, with a number each, from 1 on.
    names: HashMap<String, u16>,
    /// Patterns, and which list they look at (0: in, 1: out).
    patterns: Vec<(Iface, usize)>,
    /// What was found out last about devices: label, list, number, bits.
    recent: [Option<(u32, usize, u16, u32)>; 8],
}

impl Ifaces {
    /// No rule names an interface.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.names.is_empty() && self.patterns.is_empty()
    }

    fn intern(&mut self, iface: &Iface, list: usize) -> Option<Place> {
        if iface.invert || iface.name.ends_with('+') {
            let known = self.patterns.iter().position(|known| (&known.0, known.1) == (iface, list));
            let at = known.unwrap_or(self.patterns.len());
            if at as u32 >= PATTERNS {
                return None;
            }
            if at == self.patterns.len() {
                self.patterns.push((iface.clone(), list));
                self.recent = Default::default();
            }
            return Some(Place::Pattern(1 << at));
        }
        if let Some(number) = self.names.get(&iface.name) {
            return Some(Place::Exact(*number));
        }
        let number = u16::try_from(self.names.len() + 1).ok()?;
        self.names.insert(iface.name.clone(), number);
        self.recent = Default::default();
        Some(Place::Exact(number))
    }

    /// The number and the bits of a device in a list. `label` changes whenever its name does.
    fn look_up(&mut self, label: u32, list: usize, name: &str) -> (u16, u32) {
        let slot = (u64::from(label) * 2 + list as u64) as usize % self.recent.len();
        if let Some((_, _, number, bits)) =
            self.recent[slot].filter(|known| (known.0, known.1) == (label, list))
        {
            return (number, bits);
        }
        let number = self.names.get(name).copied().unwrap_or(0);
        let mut bits = 0;
        for (at, (iface, of)) in self.patterns.iter().enumerate() {
            bits |= u32::from(*of == list && iface.matches(name)) << at;
        }
        self.recent[slot] = Some((label, list, number, bits));
        (number, bits)
    }

    /// Writes the devices, each by label and name, into a packet's words.
    pub fn write(&mut self, key: &mut Key, input: (u32, &str), output: (u32, &str)) {
        let (in_number, in_bits) = self.look_up(input.0, 0, input.1);
        let (out_number, out_bits) = self.look_up(output.0, 1, output.1);
        key[IFACES] = u32::from(in_number) << 16 | u32::from(out_number);
        key[PROTO] |= in_bits | out_bits;
    }
}

/// A packet's words, without its interfaces.
#[inline]
pub fn key(saddr: Ipv4Addr, daddr: Ipv4Addr, ports: u32, proto: u8, fragment: bool) -> Key {
    [saddr.to_bits(), daddr.to_bits(), ports, u32::from(proto) << 24 | if fragment { FRAGMENT } else { 0 }, 0]
}

/// A target gave the packet other addresses.
#[inline]
pub fn set_addresses(key: &mut Key, saddr: Ipv4Addr, daddr: Ipv4Addr) {
    (key[SOURCE], key[DEST]) = (saddr.to_bits(), daddr.to_bits());
}
