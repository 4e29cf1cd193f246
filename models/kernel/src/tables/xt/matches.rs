//! Match extensions: what each can say.
//!
//! Kernel: include/uapi/linux/netfilter/xt_*.h, include/uapi/linux/netfilter_ipv4/ipt_*.h
//!
//! Numbers are in host order. A pair `(low, high)` is a range, both ends included.

use glassnet_sim::Nanos;
use glassnet_wire::Mac;

macro_rules! matches {
    ($($(#[$doc:meta])* $name:ident($type:ident) = $text:literal,)*) => {
        /// A match extension with its options.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Match { $($(#[$doc])* $name($type),)* }

        impl Match {
            /// The name after `-m`.
            pub fn name(&self) -> &'static str {
                match self { $(Match::$name(_) => $text,)* }
            }
        }
    };
}

matches! {
    /// `-m tcp`.
    Tcp(Tcp) = "tcp",
    /// `-m udp`.
    Udp(Udp) = "udp",
    /// `-m icmp`.
    Icmp(Icmp) = "icmp",
    /// `-m multiport`.
    Multiport(Multiport) = "multiport",
    /// `-m conntrack`.
    Conntrack(Conntrack) = "conntrack",
    /// `-m state`.
    State(State) = "state",
    /// `-m mark`.
    Mark(Mark) = "mark",
    /// `-m connmark`.
    Connmark(Mark) = "connmark",
    /// `-m addrtype`.
    Addrtype(Addrtype) = "addrtype",
    /// `-m comment`.
    Comment(Comment) = "comment",
    /// `-m statistic`.
    Statistic(Statistic) = "statistic",
    /// `-m physdev`.
    Physdev(Physdev) = "physdev",
    /// `-m set`.
    Set(Set) = "set",
    /// `-m recent`.
    Recent(Recent) = "recent",
    /// `-m limit`.
    Limit(Limit) = "limit",
    /// `-m hashlimit`.
    Hashlimit(Hashlimit) = "hashlimit",
    /// `-m mac`.
    Mac(MacSource) = "mac",
    /// `-m iprange`.
    Iprange(Iprange) = "iprange",
    /// `-m length`.
    Length(Length) = "length",
    /// `-m ttl`.
    Ttl(Ttl) = "ttl",
    /// `-m pkttype`.
    Pkttype(Pkttype) = "pkttype",
    /// `-m rpfilter`.
    Rpfilter(Rpfilter) = "rpfilter",
    /// `-m string`.
    String(StringMatch) = "string",
    /// `-m u32`.
    U32(U32) = "u32",
    /// `-m owner`.
    Owner(Owner) = "owner",
    /// `-m cluster`.
    Cluster(Cluster) = "cluster",
    /// `-m socket`.
    Socket(SocketMatch) = "socket",
    /// `-m tcpmss`.
    Tcpmss(Tcpmss) = "tcpmss",
    /// `-m dscp`.
    Dscp(Dscp) = "dscp",
    /// `-m tos`.
    Tos(Tos) = "tos",
    /// `-m time`.
    Time(Time) = "time",
}

/// What an extension remembers from packet to packet. It is no part of what the rule says, so it makes no two rules
/// different.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept<T>(
    /// The state.
    pub T,
);

impl<T> PartialEq for Kept<T> {
    fn eq(&self, _: &Kept<T>) -> bool {
        true
    }
}

impl<T> Eq for Kept<T> {}

/// Ports, and whether they are inverted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// `!`.
    pub invert: bool,
    /// First and last port.
    pub range: (u16, u16),
}

impl Default for Ports {
    fn default() -> Self {
        Ports { invert: false, range: (0, 0xffff) }
    }
}

/// `tcp` (`struct xt_tcp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tcp {
    /// `--sport`.
    pub sport: Ports,
    /// `--dport`.
    pub dport: Ports,
    /// `--tcp-flags mask comp`, `--syn`: inverted, mask, compare.
    pub flags: Option<(bool, u8, u8)>,
    /// `--tcp-option`: inverted, number.
    pub option: Option<(bool, u8)>,
}

/// `udp` (`struct xt_udp`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Udp {
    /// `--sport`.
    pub sport: Ports,
    /// `--dport`.
    pub dport: Ports,
}

/// `icmp` (`struct ipt_icmp`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// `!`.
    pub invert: bool,
    /// Type; 255: any.
    pub kind: u8,
    /// First and last code.
    pub code: (u8, u8),
}

/// Which of a packet's ports `multiport` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MultiportSide {
    /// `--sports`.
    Source,
    /// `--dports`.
    Destination,
    /// `--ports`: either.
    Either,
}

/// `multiport` (`struct xt_multiport_v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multiport {
    /// Which ports.
    pub side: MultiportSide,
    /// `!`.
    pub invert: bool,
    /// Ports and ranges, at most 15 numbers.
    pub ports: Vec<(u16, u16)>,
}

/// `conntrack` (`struct xt_conntrack_mtinfo3`). Each field: inverted, value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conntrack {
    /// `--ctstate`: `CT_*` bits of [`super::matches`].
    pub state: Option<(bool, u16)>,
    /// `--ctproto`.
    pub proto: Option<(bool, u8)>,
    /// `--ctorigsrc`: inverted, address, mask.
    pub origsrc: Option<(bool, u32, u32)>,
    /// `--ctorigdst`.
    pub origdst: Option<(bool, u32, u32)>,
    /// `--ctreplsrc`.
    pub replsrc: Option<(bool, u32, u32)>,
    /// `--ctrepldst`.
    pub repldst: Option<(bool, u32, u32)>,
    /// `--ctorigsrcport`.
    pub origsrcport: Option<Ports>,
    /// `--ctorigdstport`.
    pub origdstport: Option<Ports>,
    /// `--ctreplsrcport`.
    pub replsrcport: Option<Ports>,
    /// `--ctrepldstport`.
    pub repldstport: Option<Ports>,
    /// `--ctstatus`: `CT_STATUS_*` bits.
    pub status: Option<(bool, u16)>,
    /// `--ctexpire`, seconds.
    pub expire: Option<(bool, u32, u32)>,
    /// `--ctdir`: true for `REPLY`.
    pub reply: Option<bool>,
}

/// `--ctstate INVALID`.
pub const CT_INVALID: u16 = 1;
/// `--ctstate ESTABLISHED`.
pub const CT_ESTABLISHED: u16 = 1 << 1;
/// `--ctstate RELATED`.
pub const CT_RELATED: u16 = 1 << 2;
/// `--ctstate NEW`.
pub const CT_NEW: u16 = 1 << 3;
/// `--ctstate SNAT`.
pub const CT_SNAT: u16 = 1 << 6;
/// `--ctstate DNAT`.
pub const CT_DNAT: u16 = 1 << 7;
/// `--ctstate UNTRACKED`.
pub const CT_UNTRACKED: u16 = 1 << 8;

/// `state`: the same bits as [`Conntrack::state`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// `!`.
    pub invert: bool,
    /// `CT_*` bits.
    pub state: u16,
}

/// `mark` and `connmark` (`struct xt_mark_mtinfo1`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `!`.
    pub invert: bool,
    /// Value.
    pub mark: u32,
    /// Mask.
    pub mask: u32,
}

/// `addrtype` (`struct xt_addrtype_info_v1`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Addrtype {
    /// `--src-type`: inverted, a bit for each type (`XT_ADDRTYPE_*`: UNSPEC 0, UNICAST 1, LOCAL 2, BROADCAST 3, ANYCAST 4,
    /// MULTICAST 5, BLACKHOLE 6, UNREACHABLE 7, PROHIBIT 8, THROW 9, NAT 10, XRESOLVE 11).
    pub source: Option<(bool, u16)>,
    /// `--dst-type`.
    pub dest: Option<(bool, u16)>,
    /// `--limit-iface-in`.
    pub limit_in: bool,
    /// `--limit-iface-out`.
    pub limit_out: bool,
}

/// `comment`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comment(
    /// The text, at most 255 bytes.
    pub String,
);

/// `statistic` (`struct xt_statistic_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// `!`.
    pub invert: bool,
    /// How it chooses.
    pub mode: StatisticMode,
}

/// How `statistic` chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatisticMode {
    /// `--mode random --probability`: in units of 2^-31.
    Random(u32),
    /// `--mode nth --every N --packet P`; `every` and `packet` as typed, and how many packets it has seen.
    Nth {
        /// N.
        every: u32,
        /// P.
        packet: u32,
        /// How many packets it has seen since the last that it chose.
        count: Kept<u32>,
    },
}

/// `physdev` (`struct xt_physdev_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Physdev {
    /// `--physdev-in`.
    pub input: Option<super::Iface>,
    /// `--physdev-out`.
    pub output: Option<super::Iface>,
    /// `--physdev-is-in`: inverted.
    pub is_in: Option<bool>,
    /// `--physdev-is-out`: inverted.
    pub is_out: Option<bool>,
    /// `--physdev-is-bridged`: inverted.
    pub is_bridged: Option<bool>,
}

/// A counter comparison of `set`: inverted, how (`eq`, `lt`, `gt` as [`std::cmp::Ordering`]), value.
pub type SetCompare = Option<(bool, std::cmp::Ordering, u64)>;

/// `set` (`struct xt_set_info_match_v4`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// `!`.
    pub invert: bool,
    /// Name of the set.
    pub name: String,
    /// For each dimension, whether it is the source.
    pub source: Vec<bool>,
    /// `--return-nomatch`.
    pub return_nomatch: bool,
    /// Without `! --update-counters`.
    pub update_counters: bool,
    /// Without `! --update-subcounters`.
    pub update_subcounters: bool,
    /// `--packets-eq`, …
    pub packets: SetCompare,
    /// `--bytes-eq`, …
    pub bytes: SetCompare,
}

/// What `recent` does with its list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecentMode {
    /// `--set`.
    Set,
    /// `--rcheck`.
    Rcheck,
    /// `--update`.
    Update,
    /// `--remove`.
    Remove,
}

/// `recent` (`struct xt_recent_mtinfo_v1`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recent {
    /// `!`.
    pub invert: bool,
    /// What it does.
    pub mode: RecentMode,
    /// `--seconds`; 0: not given.
    pub seconds: u32,
    /// `--reap`.
    pub reap: bool,
    /// `--hitcount`; 0: not given.
    pub hitcount: u32,
    /// `--rttl`.
    pub rttl: bool,
    /// `--name`.
    pub name: String,
    /// `--mask`.
    pub mask: u32,
    /// `--rdest` (true) or `--rsource`.
    pub dest: bool,
}

/// `limit` (`struct xt_rateinfo`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Average time between two packets, in units of 1/10000 s (`XT_LIMIT_SCALE`).
    pub avg: u32,
    /// `--limit-burst`.
    pub burst: u32,
    /// Credit left and when it was last counted; `None` until the rule is in force.
    pub credit: Kept<Option<(u64, Nanos)>>,
}

/// `hashlimit` (`struct hashlimit_cfg3`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hashlimit {
    /// `--hashlimit-name`.
    pub name: String,
    /// `--hashlimit-above` instead of `--hashlimit-upto`.
    pub above: bool,
    /// The rate is in bytes.
    pub bytes: bool,
    /// Rate as the kernel keeps it (`avg`).
    pub avg: u64,
    /// `--hashlimit-burst`.
    pub burst: u64,
    /// `--hashlimit-mode`: bits `XT_HASHLIMIT_HASH_DIP` 1, `_DPT` 2, `_SIP` 4, `_SPT` 8.
    pub mode: u8,
    /// `--hashlimit-srcmask`, prefix length.
    pub srcmask: u8,
    /// `--hashlimit-dstmask`, prefix length.
    pub dstmask: u8,
    /// `--hashlimit-htable-size`; 0: not given.
    pub size: u32,
    /// `--hashlimit-htable-max`; 0: not given.
    pub max: u32,
    /// `--hashlimit-htable-gcinterval`, ms.
    pub gc_interval: u32,
    /// `--hashlimit-htable-expire`, ms, or what follows from the rate.
    pub expire: u32,
    /// `--hashlimit-rate-match`.
    pub rate_match: bool,
    /// `--hashlimit-rate-interval`, seconds.
    pub rate_interval: u32,
}

/// `mac`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacSource {
    /// `!`.
    pub invert: bool,
    /// `--mac-source`.
    pub addr: Mac,
}

/// `iprange`. Each: inverted, first, last address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Iprange {
    /// `--src-range`.
    pub source: Option<(bool, u32, u32)>,
    /// `--dst-range`.
    pub dest: Option<(bool, u32, u32)>,
}

/// `length`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// `!`.
    pub invert: bool,
    /// Smallest and largest IP length, bytes.
    pub range: (u16, u16),
}

/// How `ttl` compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlMode {
    /// `--ttl-eq`.
    Eq,
    /// `! --ttl-eq`.
    Ne,
    /// `--ttl-lt`.
    Lt,
    /// `--ttl-gt`.
    Gt,
}

/// `ttl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// How.
    pub mode: TtlMode,
    /// Hops.
    pub ttl: u8,
}

/// `pkttype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pkttype {
    /// `!`.
    pub invert: bool,
    /// `PACKET_HOST` 0, `PACKET_BROADCAST` 1, `PACKET_MULTICAST` 2.
    pub kind: u8,
}

/// `rpfilter`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rpfilter {
    /// `--loose`.
    pub loose: bool,
    /// `--validmark`.
    pub validmark: bool,
    /// `--accept-local`.
    pub accept_local: bool,
    /// `--invert`.
    pub invert: bool,
}

/// `string` (`struct xt_string_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StringMatch {
    /// `!`.
    pub invert: bool,
    /// `--algo`, at most 15 bytes: `bm`, `kmp` or `fsm`, else the kernel refuses.
    pub algo: String,
    /// `--from`, bytes.
    pub from: u16,
    /// `--to`, bytes.
    pub to: u16,
    /// `--icase`.
    pub icase: bool,
    /// `--string` or `--hex-string`, at most 128 bytes.
    pub pattern: Vec<u8>,
}

/// A step of a `u32` location after its first number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum U32Op {
    /// `&`.
    And(u32),
    /// `<<`.
    Shl(u32),
    /// `>>`.
    Shr(u32),
    /// `@`.
    At(u32),
}

/// A test of `u32`: a location and the ranges of values that it may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct U32Test {
    /// First offset, bytes.
    pub start: u32,
    /// What is done to what stands there.
    pub ops: Vec<U32Op>,
    /// Values.
    pub values: Vec<(u32, u32)>,
}

/// `u32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct U32 {
    /// `!`.
    pub invert: bool,
    /// Tests joined by `&&`.
    pub tests: Vec<U32Test>,
}

/// `owner`. Each: inverted, first, last id.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// `--uid-owner`.
    pub uid: Option<(bool, u32, u32)>,
    /// `--gid-owner`.
    pub gid: Option<(bool, u32, u32)>,
    /// `--socket-exists`: inverted.
    pub socket_exists: Option<bool>,
    /// `--suppl-groups`.
    pub suppl_groups: bool,
}

/// `cluster` (`struct xt_cluster_match_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// `--cluster-total-nodes`.
    pub total_nodes: u32,
    /// `--cluster-local-node(mask)`: a bit for each node.
    pub node_mask: u32,
    /// `--cluster-hash-seed`.
    pub hash_seed: u32,
    /// `!`.
    pub invert: bool,
}

/// `socket`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SocketMatch {
    /// `--transparent`.
    pub transparent: bool,
    /// `--nowildcard`.
    pub nowildcard: bool,
    /// `--restore-skmark`.
    pub restore_skmark: bool,
}

/// `tcpmss`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcpmss {
    /// `!`.
    pub invert: bool,
    /// Smallest and largest MSS, bytes.
    pub range: (u16, u16),
}

/// `dscp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dscp {
    /// `!`.
    pub invert: bool,
    /// The upper six bits of TOS.
    pub dscp: u8,
}

/// `tos`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tos {
    /// `!`.
    pub invert: bool,
    /// Value.
    pub value: u8,
    /// Mask.
    pub mask: u8,
}

/// `time` (`struct xt_time_info`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// `--datestart`, seconds since 1970.
    pub date_start: u32,
    /// `--datestop`, seconds since 1970.
    pub date_stop: u32,
    /// `--timestart`, seconds of the day.
    pub daytime_start: u32,
    /// `--timestop`, seconds of the day.
    pub daytime_stop: u32,
    /// `--monthdays`: a bit for each day.
    pub monthdays: u32,
    /// `--weekdays`: a bit for each day, Monday 1.
    pub weekdays: u8,
    /// `--contiguous`.
    pub contiguous: bool,
    /// `--kerneltz`.
    pub kerneltz: bool,
}
