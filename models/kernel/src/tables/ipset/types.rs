//! Set types, extensions, requests and errors (include/uapi/linux/netfilter/ipset).

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;

/// The type of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SetType {
    /// `bitmap:ip`.
    BitmapIp,
    /// `bitmap:port`.
    BitmapPort,
    /// `hash:ip`.
    HashIp,
    /// `hash:ip,port`.
    HashIpPort,
    /// `hash:ip,port,ip`.
    HashIpPortIp,
    /// `hash:ip,port,net`.
    HashIpPortNet,
    /// `hash:net`.
    HashNet,
    /// `hash:net,iface`.
    HashNetIface,
    /// `hash:net,port`.
    HashNetPort,
    /// `list:set`.
    ListSet,
}

impl SetType {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            SetType::BitmapIp => "bitmap:ip",
            SetType::BitmapPort => "bitmap:port",
            SetType::HashIp => "hash:ip",
            SetType::HashIpPort => "hash:ip,port",
            SetType::HashIpPortIp => "hash:ip,port,ip",
            SetType::HashIpPortNet => "hash:ip,port,net",
            SetType::HashNet => "hash:net",
            SetType::HashNetIface => "hash:net,iface",
            SetType::HashNetPort => "hash:net,port",
            SetType::ListSet => "list:set",
        }
    }

    /// Number of dimensions of an element: the minimum of `src`/`dst` flags of a rule (`dimension`).
    pub const fn dimension(self) -> u8 {
        match self {
            SetType::BitmapIp | SetType::BitmapPort | SetType::HashIp | SetType::HashNet => 1,
            SetType::HashIpPort | SetType::HashNetIface | SetType::HashNetPort => 2,
            SetType::HashIpPortIp | SetType::HashIpPortNet => 3,
            // A list takes the flags that its members need.
            SetType::ListSet => 6,
        }
    }

    /// Elements contain a network, so `nomatch` is allowed (`IPSET_TYPE_NOMATCH`).
    pub const fn has_net(self) -> bool {
        matches!(
            self,
            SetType::HashNet | SetType::HashNetPort | SetType::HashNetIface | SetType::HashIpPortNet
        )
    }

    /// The newest supported revision; since Linux 6.2 two types support `bitmask`.
    pub const fn revision(self, bitmask: bool) -> u8 {
        match self {
            SetType::BitmapIp | SetType::BitmapPort | SetType::ListSet => 3,
            SetType::HashIp => 5 + bitmask as u8,
            SetType::HashIpPort => 6 + bitmask as u8,
            SetType::HashIpPortIp => 6,
            SetType::HashIpPortNet | SetType::HashNetIface | SetType::HashNetPort => 8,
            SetType::HashNet => 7,
        }
    }

    /// Element size without extensions in the kernel's memory, bytes.
    pub(super) const fn elem_size(self) -> usize {
        match self {
            SetType::BitmapIp | SetType::BitmapPort => 0,
            SetType::HashIp => 4,
            SetType::HashIpPort | SetType::HashNet | SetType::HashNetPort => 8,
            SetType::HashIpPortIp | SetType::HashIpPortNet => 12,
            SetType::HashNetIface => 28,
            SetType::ListSet => 48,
        }
    }
}

/// Extensions enabled for the elements of a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Default timeout in seconds; 0: none.
    pub timeout: Option<u32>,
    /// `counters`.
    pub counters: bool,
    /// `comment`.
    pub comment: bool,
    /// `skbinfo`: mark, priority and queue for `SET --map-set`.
    pub skbinfo: bool,
}

impl Extensions {
    /// An extension is enabled.
    pub fn any(&self) -> bool {
        self.timeout.is_some() || self.counters || self.comment || self.skbinfo
    }

    /// Element size with extensions in the kernel's memory, bytes; each is aligned as its type.
    pub(super) fn sized(&self, elem: usize) -> usize {
        let mut size = elem;
        let extensions = [
            (self.counters, 8, 16),
            (self.timeout.is_some(), 8, 8),
            (self.skbinfo, 4, 16),
            (self.comment, 8, 8),
        ];
        for (_, align, length) in extensions.into_iter().filter(|(on, ..)| *on) {
            size = size.next_multiple_of(align) + length;
        }
        size
    }
}

/// Packet metadata of an element for `SET --map-set` (`struct ip_set_skbinfo`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SkbInfo {
    /// Mark.
    pub mark: u32,
    /// Mask of the mark.
    pub mask: u32,
    /// Priority, `MAJOR:MINOR`.
    pub prio: u32,
    /// Hardware queue.
    pub queue: u16,
}

/// The extensions of one element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ext {
    /// Expiry; `None`: never.
    pub expires: Option<Nanos>,
    /// Packet counter.
    pub packets: u64,
    /// Byte counter.
    pub bytes: u64,
    /// Comment.
    pub comment: Option<Box<str>>,
    /// For `SET --map-set`.
    pub skbinfo: SkbInfo,
}

impl Ext {
    /// Counter not given by the command.
    pub const NOT_SAID: u64 = u64::MAX;

    /// Counters not given keep the slot's value (`ip_set_init_counter`).
    pub(super) fn init_counters(&mut self, (packets, bytes): (u64, u64)) {
        if self.packets == Ext::NOT_SAID {
            self.packets = packets;
        }
        if self.bytes == Ext::NOT_SAID {
            self.bytes = bytes;
        }
    }

    /// It has expired (`ip_set_timeout_expired`).
    pub fn expired(&self, now: Nanos) -> bool {
        self.expires.is_some_and(|at| now > at)
    }

    /// Remaining seconds as `ipset list` shows them, at least 1; 0: no timeout.
    pub fn timeout(&self, now: Nanos) -> u32 {
        let left = |at: Nanos| (at.0.saturating_sub(now.0) / 1_000_000_000).max(1) as u32;
        self.expires.map_or(0, left)
    }

    /// Size of its comment in the kernel's memory, bytes.
    pub(super) fn comment_size(&self) -> usize {
        self.comment.as_ref().map_or(0, |comment| 16 + comment.len() + 1)
    }
}

/// An interface in an element of `hash:net,iface`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iface {
    /// Name, or name prefix.
    pub name: Box<str>,
    /// It is a bridge port (`physdev`).
    pub physdev: bool,
    /// Wildcard: matches by name prefix.
    pub wildcard: bool,
}

/// The dimensions of an element; zero where the set type has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// First address.
    pub ip: Ipv4Addr,
    /// Second address.
    pub ip2: Ipv4Addr,
    /// Port, or ICMP type and code.
    pub port: u16,
    /// Protocol.
    pub proto: u8,
    /// Prefix length of the network dimension.
    pub cidr: u8,
}

impl Default for Key {
    fn default() -> Self {
        Key { ip: Ipv4Addr::UNSPECIFIED, ip2: Ipv4Addr::UNSPECIFIED, port: 0, proto: 0, cidr: 0 }
    }
}

/// An element in an `add`, `del` or `test` request, possibly a range (`enum` of `IPSET_ATTR_*`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// First address.
    pub ip: Ipv4Addr,
    /// Last address of the range.
    pub ip_to: Option<Ipv4Addr>,
    /// Prefix length of the first address.
    pub cidr: Option<u8>,
    /// Port.
    pub port: u16,
    /// Last port of the range.
    pub port_to: Option<u16>,
    /// Protocol.
    pub proto: u8,
    /// Second address.
    pub ip2: Ipv4Addr,
    /// Last second address of the range.
    pub ip2_to: Option<Ipv4Addr>,
    /// Prefix length of the second address.
    pub cidr2: Option<u8>,
    /// Interface.
    pub iface: Option<Iface>,
    /// Name of a member set, for `list:set`.
    pub name: String,
    /// Before (true) or after (false) this member of the list.
    pub place: Option<(bool, String)>,
    /// `nomatch`.
    pub nomatch: bool,
    /// Timeout in seconds.
    pub timeout: Option<u32>,
    /// Packet counter.
    pub packets: Option<u64>,
    /// Byte counter.
    pub bytes: Option<u64>,
    /// Comment.
    pub comment: Option<String>,
    /// Mark and mask.
    pub skbmark: Option<(u32, u32)>,
    /// Priority.
    pub skbprio: Option<u32>,
    /// Queue.
    pub skbqueue: Option<u16>,
}

impl Default for Request {
    fn default() -> Self {
        Request {
            ip: Ipv4Addr::UNSPECIFIED,
            ip_to: None,
            cidr: None,
            port: 0,
            port_to: None,
            proto: 0,
            ip2: Ipv4Addr::UNSPECIFIED,
            ip2_to: None,
            cidr2: None,
            iface: None,
            name: String::new(),
            place: None,
            nomatch: false,
            timeout: None,
            packets: None,
            bytes: None,
            comment: None,
            skbmark: None,
            skbprio: None,
            skbqueue: None,
        }
    }
}

/// Operation on an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adt {
    /// Add.
    Add,
    /// Delete.
    Del,
    /// Test.
    Test,
}

/// The range of a bitmap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// From one address to another.
    Ip(Ipv4Addr, Ipv4Addr),
    /// From a network's first address to its last.
    Cidr(Ipv4Addr, u8),
    /// From one port to another.
    Port(u16, u16),
}

/// Parameters of `create`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    /// Type.
    pub set_type: SetType,
    /// Extensions.
    pub ext: Extensions,
    /// Initial number of buckets.
    pub hashsize: Option<u32>,
    /// Maximum elements.
    pub maxelem: Option<u32>,
    /// Maximum elements of a bucket.
    pub bucketsize: Option<u8>,
    /// Prefix length to which addresses are masked.
    pub netmask: Option<u8>,
    /// Hash seed; given, or random.
    pub initval: u32,
    /// A bitmap's range.
    pub range: Option<Range>,
    /// `size` of a list.
    pub size: Option<u32>,
    /// `bitmask` is supported (Linux 6.2 and later); affects revisions and sizes.
    pub bitmask_known: bool,
    /// `CONFIG_SMP`: a lock takes room.
    pub smp: bool,
}

/// Errors (`enum ipset_errno` and errnos).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetError {
    /// ENOENT: no set of this name.
    NoSuchSet,
    /// EEXIST for `create`.
    SetExists,
    /// ENOMEM.
    NoMemory,
    /// EINVAL and `IPSET_ERR_PROTOCOL`.
    Protocol,
    /// `IPSET_ERR_MAX_SETS`.
    MaxSets,
    /// `IPSET_ERR_BUSY`.
    Busy,
    /// `IPSET_ERR_EXIST_SETNAME2`.
    SecondName,
    /// `IPSET_ERR_TYPE_MISMATCH`.
    TypeMismatch,
    /// `IPSET_ERR_REFERENCED`.
    Referenced,
    /// `IPSET_ERR_EXIST`: the element exists already, or does not exist.
    Exist,
    /// `IPSET_ERR_INVALID_CIDR`.
    InvalidCidr,
    /// `IPSET_ERR_INVALID_NETMASK`.
    InvalidNetmask,
    /// `IPSET_ERR_TIMEOUT`.
    Timeout,
    /// `IPSET_ERR_COUNTER`.
    Counter,
    /// `IPSET_ERR_COMMENT`.
    Comment,
    /// `IPSET_ERR_SKBINFO`.
    SkbInfo,
    /// `IPSET_ERR_BITMAP_RANGE`.
    BitmapRange,
    /// `IPSET_ERR_BITMAP_RANGE_SIZE`.
    BitmapRangeSize,
    /// `IPSET_ERR_HASH_FULL`.
    HashFull,
    /// `IPSET_ERR_HASH_ELEM`.
    HashElem,
    /// `IPSET_ERR_INVALID_PROTO`.
    InvalidProto,
    /// `IPSET_ERR_HASH_RANGE`.
    HashRange,
    /// ERANGE.
    Range,
    /// `IPSET_ERR_NAME`.
    Name,
    /// `IPSET_ERR_LOOP`.
    Loop,
    /// `IPSET_ERR_NAMEREF`.
    NameRef,
    /// `IPSET_ERR_REF_EXIST`.
    RefExist,
}
