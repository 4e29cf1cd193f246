//! Values of the filter language, and how they are printed.

use std::cmp::Ordering;
use std::fmt;
use std::net::Ipv4Addr;

/// A network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Net {
    pub address: Ipv4Addr,
    pub len: u8,
}

impl Net {
    pub fn new(address: Ipv4Addr, len: u8) -> Net {
        Net { address: Ipv4Addr::from_bits(address.to_bits() & mask(len)), len }
    }

    pub fn host(address: Ipv4Addr) -> Net {
        Net { address, len: 32 }
    }

    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.len) == self.address.to_bits()
    }

    /// The other network is this one, or in it.
    pub fn covers(&self, other: &Net) -> bool {
        self.len <= other.len && self.contains(other.address)
    }

    /// The place in a table: BIRD walks its tables in the order of their hash.
    fn hash(&self) -> u32 {
        /// The factor of BIRD's hash of numbers.
        const FACTOR: u32 = 2_902_958_171;
        self.address.to_bits().wrapping_mul(FACTOR) ^ (u32::from(self.len) << 26)
    }
}

/// Networks are in the order in which BIRD walks a table.
impl Ord for Net {
    fn cmp(&self, other: &Net) -> Ordering {
        let key = |net: &Net| (net.hash(), net.address, net.len);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Net {
    fn partial_cmp(&self, other: &Net) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.pad(&format!("{}/{}", self.address, self.len))
    }
}

/// The netmask of a length.
pub fn mask(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0)
}

/// A list of networks that a prefix set has: a network, and the lengths that match (`10.0.0.0/8{26,32}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixPattern {
    pub net: Net,
    pub low: u8,
    pub high: u8,
}

impl PrefixPattern {
    fn matches(&self, net: &Net) -> bool {
        // A pattern of shorter networks asks for what covers it.
        let common = self.net.len.min(net.len);
        let same = (self.net.address.to_bits() ^ net.address.to_bits()) & mask(common) == 0;
        same && (self.low..=self.high).contains(&net.len)
    }
}

/// A member of a set: from one value to another.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    pub low: Value,
    pub high: Value,
}

/// A part of an AS path: in order, or a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    Sequence(Vec<u32>),
    Set(Vec<u32>),
}

/// A member of a mask for AS paths (`[= * 64512 ? =]`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathMask {
    As(u32),
    Range(u32, u32),
    Any,
    Star,
    Plus,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Void,
    Bool(bool),
    Int(u32),
    Pair(u32),
    Quad(Ipv4Addr),
    Ip(Ipv4Addr),
    Net(Net),
    Text(String),
    /// A constant: its kind, and its number.
    Enum(&'static str, u32),
    Path(Vec<Segment>),
    Communities(Vec<u32>),
    LargeCommunity([u32; 3]),
    LargeCommunities(Vec<[u32; 3]>),
    Clusters(Vec<Ipv4Addr>),
    Prefixes(Vec<PrefixPattern>),
    Set(Vec<Span>),
    Mask(Vec<PathMask>),
}

/// Constants: name, kind, number.
const CONSTANTS: &[(&str, &str, u32)] = &[
    ("NET_IP4", "nettype", 1),
    ("NET_IP6", "nettype", 2),
    ("ORIGIN_EGP", "bgp_origin", 1),
    ("ORIGIN_IGP", "bgp_origin", 0),
    ("ORIGIN_INCOMPLETE", "bgp_origin", 2),
    ("RTD_BLACKHOLE", "rtd", 2),
    ("RTD_PROHIBIT", "rtd", 4),
    ("RTD_UNICAST", "rtd", 1),
    ("RTD_UNREACHABLE", "rtd", 3),
    ("RTS_BABEL", "rts", 14),
    ("RTS_BGP", "rts", 11),
    ("RTS_DEVICE", "rts", 4),
    ("RTS_INHERIT", "rts", 3),
    ("RTS_OSPF", "rts", 7),
    ("RTS_OSPF_EXT1", "rts", 9),
    ("RTS_OSPF_EXT2", "rts", 10),
    ("RTS_OSPF_IA", "rts", 8),
    ("RTS_PIPE", "rts", 12),
    ("RTS_RIP", "rts", 6),
    ("RTS_STATIC", "rts", 1),
    ("RTS_STATIC_DEVICE", "rts", 5),
    ("SCOPE_HOST", "scope", 0),
    ("SCOPE_LINK", "scope", 1),
    ("SCOPE_ORGANIZATION", "scope", 3),
    ("SCOPE_SITE", "scope", 2),
    ("SCOPE_UNIVERSE", "scope", 4),
];

/// A constant of the language.
pub fn constant(name: &str) -> Option<Value> {
    CONSTANTS.iter().find(|(known, ..)| *known == name).map(|(_, kind, number)| Value::Enum(kind, *number))
}

impl Value {
    /// The name of the type, as errors have it.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Void => "void",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Pair(_) => "pair",
            Value::Quad(_) => "quad",
            Value::Ip(_) => "ip",
            Value::Net(_) => "prefix",
            Value::Text(_) => "string",
            Value::Enum(..) => "enum",
            Value::Path(_) => "bgppath",
            Value::Communities(_) | Value::Clusters(_) => "clist",
            Value::LargeCommunity(_) => "lc",
            Value::LargeCommunities(_) => "lclist",
            Value::Prefixes(_) => "prefix set",
            Value::Set(_) => "set",
            Value::Mask(_) => "bgpmask",
        }
    }

    /// The same, with the kind of a constant.
    pub fn kind_text(&self) -> String {
        match self {
            Value::Enum(kind, _) => format!("enum {kind}"),
            other => other.kind().to_owned(),
        }
    }

    /// The order of two values, if they have one.
    pub fn order(&self, other: &Value) -> Option<Ordering> {
        Some(match (self, other) {
            (Value::Int(a), Value::Int(b)) | (Value::Pair(a), Value::Pair(b)) => a.cmp(b),
            (Value::Ip(a) | Value::Quad(a), Value::Ip(b) | Value::Quad(b)) => a.cmp(b),
            (Value::Quad(a), Value::Int(b)) => a.to_bits().cmp(b),
            (Value::Int(a), Value::Quad(b)) => a.cmp(&b.to_bits()),
            (Value::Enum(kind, a), Value::Enum(other, b)) if kind == other => a.cmp(b),
            (Value::LargeCommunity(a), Value::LargeCommunity(b)) => a.cmp(b),
            (Value::Net(a), Value::Net(b)) => (a.address, a.len).cmp(&(b.address, b.len)),
            (Value::Text(a), Value::Text(b)) => a.cmp(b),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            _ => return None,
        })
    }

    /// `A ~ B`; `None` for types that cannot be compared so.
    pub fn is_in(&self, set: &Value) -> Option<bool> {
        let within = |value: &Value, spans: &[Span]| {
            let is_le = |a: &Value, b: &Value| a.order(b).is_some_and(|order| order != Ordering::Greater);
            spans.iter().any(|span| is_le(&span.low, value) && is_le(value, &span.high))
        };
        // A span of pairs is a rectangle, not a line: `(1, *)`, `(*, 5)`.
        let pair_within = |pair: u32, spans: &[Span]| {
            spans.iter().any(|span| match (&span.low, &span.high) {
                (Value::Pair(low), Value::Pair(high)) => {
                    (low >> 16..=high >> 16).contains(&(pair >> 16))
                        && (low & 0xffff..=high & 0xffff).contains(&(pair & 0xffff))
                }
                _ => false,
            })
        };
        let large_within = |large: &[u32; 3], spans: &[Span]| {
            spans.iter().any(|span| match (&span.low, &span.high) {
                (Value::LargeCommunity(low), Value::LargeCommunity(high)) => {
                    (0..3).all(|at| (low[at]..=high[at]).contains(&large[at]))
                }
                _ => false,
            })
        };
        Some(match (self, set) {
            (Value::Net(net), Value::Prefixes(patterns)) => {
                patterns.iter().any(|pattern| pattern.matches(net))
            }
            (Value::Ip(ip), Value::Prefixes(patterns)) => {
                patterns.iter().any(|pattern| pattern.matches(&Net::host(*ip)))
            }
            (Value::Net(net), Value::Net(other)) => other.covers(net),
            (Value::Ip(ip), Value::Net(net)) => net.contains(*ip),
            (Value::Pair(pair), Value::Set(spans)) => pair_within(*pair, spans),
            (Value::LargeCommunity(large), Value::Set(spans)) => large_within(large, spans),
            (Value::Communities(all), Value::Set(spans)) => all.iter().any(|pair| pair_within(*pair, spans)),
            (Value::LargeCommunities(all), Value::Set(spans)) => {
                all.iter().any(|one| large_within(one, spans))
            }
            (Value::Pair(pair), Value::Communities(all)) => all.contains(pair),
            (Value::LargeCommunity(large), Value::LargeCommunities(all)) => all.contains(large),
            (Value::Int(number), Value::Path(path)) => members(path).contains(number),
            (Value::Path(path), Value::Set(spans)) => {
                members(path).iter().any(|number| within(&Value::Int(*number), spans))
            }
            (Value::Path(path), Value::Mask(mask)) => mask_matches(&members(path), mask),
            (Value::Text(text), Value::Text(pattern)) => matches_pattern(pattern, text),
            (value, Value::Set(spans)) if spans.iter().all(|span| value.order(&span.low).is_some()) => {
                within(value, spans)
            }
            _ => return None,
        })
    }
}

/// All AS numbers of a path.
pub fn members(path: &[Segment]) -> Vec<u32> {
    let parts = path.iter().map(|segment| match segment {
        Segment::Sequence(all) | Segment::Set(all) => all.as_slice(),
    });
    parts.flatten().copied().collect()
}

/// The length of a path: a set counts as one.
pub fn path_len(path: &[Segment]) -> usize {
    path.iter()
        .map(|segment| match segment {
            Segment::Sequence(all) => all.len(),
            Segment::Set(_) => 1,
        })
        .sum()
}

fn mask_matches(path: &[u32], mask: &[PathMask]) -> bool {
    let Some((first, rest)) = mask.split_first() else { return path.is_empty() };
    let one = |good: bool| good && mask_matches(&path[1..], rest);
    match (first, path.first()) {
        (PathMask::Star, _) => (0..=path.len()).any(|skip| mask_matches(&path[skip..], rest)),
        (_, None) => false,
        (PathMask::Plus, Some(_)) => (1..=path.len()).any(|skip| mask_matches(&path[skip..], rest)),
        (PathMask::Any, Some(_)) => one(true),
        (PathMask::As(number), Some(found)) => one(number == found),
        (PathMask::Range(low, high), Some(found)) => one((low..=high).contains(&found)),
    }
}

/// A pattern of a shell: `*` and `?`.
pub fn matches_pattern(pattern: &str, text: &str) -> bool {
    let mut letters = pattern.chars();
    match letters.next() {
        None => text.is_empty(),
        Some('*') => {
            let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.into_iter().any(|at| matches_pattern(letters.as_str(), &text[at..]))
        }
        Some(letter) => {
            let mut rest = text.chars();
            rest.next().is_some_and(|found| letter == '?' || letter == found)
                && matches_pattern(letters.as_str(), rest.as_str())
        }
    }
}

/// A list with blanks between.
fn spaced<T>(all: &[T], one: impl Fn(&T) -> String) -> String {
    all.iter().map(one).collect::<Vec<_>>().join(" ")
}

pub fn pair_text(pair: u32) -> String {
    format!("({},{})", pair >> 16, pair & 0xffff)
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let text = match self {
            Value::Void => "(void)".to_owned(),
            Value::Bool(true) => "TRUE".to_owned(),
            Value::Bool(false) => "FALSE".to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Pair(pair) => pair_text(*pair),
            Value::Quad(address) | Value::Ip(address) => address.to_string(),
            Value::Net(net) => net.to_string(),
            Value::Text(text) => text.clone(),
            Value::Enum(kind, number) => {
                let named = CONSTANTS.iter().find(|(_, other, value)| other == kind && value == number);
                named.map_or_else(|| format!("(enum {kind}){number}"), |(name, ..)| (*name).to_owned())
            }
            Value::Path(path) => spaced(path, |segment| match segment {
                Segment::Sequence(all) => spaced(all, u32::to_string),
                Segment::Set(all) => format!("{{{}}}", spaced(all, u32::to_string)),
            }),
            Value::Communities(all) => spaced(all, |pair| pair_text(*pair)),
            Value::LargeCommunity([a, b, c]) => format!("({a}, {b}, {c})"),
            Value::LargeCommunities(all) => spaced(all, |[a, b, c]| format!("({a}, {b}, {c})")),
            Value::Clusters(all) => spaced(all, Ipv4Addr::to_string),
            Value::Prefixes(patterns) => {
                let one = |pattern: &PrefixPattern| match (pattern.low, pattern.high) {
                    (low, high) if (low, high) == (pattern.net.len, pattern.net.len) => {
                        pattern.net.to_string()
                    }
                    (low, high) => format!("{}{{{low},{high}}}", pattern.net),
                };
                format!("[{}]", patterns.iter().map(one).collect::<Vec<_>>().join(", "))
            }
            Value::Set(spans) => {
                let one = |span: &Span| match span.low == span.high {
                    true => span.low.to_string(),
                    false => format!("{}..{}", span.low, span.high),
                };
                format!("[{}]", spans.iter().map(one).collect::<Vec<_>>().join(", "))
            }
            Value::Mask(mask) => {
                let one = |part: &PathMask| match part {
                    PathMask::As(number) => number.to_string(),
                    PathMask::Range(low, high) => format!("{low}..{high}"),
                    PathMask::Any => "?".to_owned(),
                    PathMask::Star => "*".to_owned(),
                    PathMask::Plus => "+".to_owned(),
                };
                format!("[= {} =]", spaced(mask, one))
            }
        };
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        let (address, len) = text.split_once('/').unwrap();
        Net::new(address.parse().unwrap(), len.parse().unwrap())
    }

    #[test]
    fn the_order_of_a_table() {
        // As BIRD 2.0.12 lists them.
        let listed = [
            "10.244.1.0/26",
            "10.244.3.0/26",
            "192.168.0.0/24",
            "10.244.2.0/26",
            "10.11.0.0/16",
            "10.244.1.2/32",
        ];
        let mut sorted = listed.map(net);
        sorted.sort();
        assert_eq!(sorted, listed.map(net));
    }

    #[test]
    fn prefixes_and_masks() {
        let pattern = |low, high| Value::Prefixes(vec![PrefixPattern { net: net("10.0.0.0/8"), low, high }]);
        let is_in = |text: &str, set: &Value| Value::Net(net(text)).is_in(set);
        assert_eq!(is_in("10.1.2.0/26", &pattern(26, 32)), Some(true));
        assert_eq!(is_in("10.1.2.0/24", &pattern(26, 32)), Some(false));
        assert_eq!(is_in("0.0.0.0/0", &pattern(0, 8)), Some(true));
        assert_eq!(is_in("11.0.0.0/26", &pattern(0, 32)), Some(false));
        use PathMask::*;
        assert!(mask_matches(&[1, 2, 3], &[Star, As(2), Any]));
        assert!(!mask_matches(&[1, 2], &[Plus, As(1), Star]));
        assert!(matches_pattern("eth*", "eth0") && !matches_pattern("eth?", "eth10"));
    }
}
