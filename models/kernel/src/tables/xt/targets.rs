//! Target extensions: what each can say.
//!
//! Kernel: include/uapi/linux/netfilter/xt_*.h, include/uapi/linux/netfilter_ipv4/ipt_*.h
//!
//! Numbers are in host order.

macro_rules! targets {
    ($($(#[$doc:meta])* $name:ident $(($type:ident))? = $text:literal,)*) => {
        /// A target extension with its options.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Target { $($(#[$doc])* $name $(($type))?,)* }

        impl Target {
            /// The name after `-j`.
            pub fn name(&self) -> &'static str {
                match self { $(targets!(@pattern $name $($type)?) => $text,)* }
            }
        }
    };
    (@pattern $name:ident $type:ident) => { Target::$name(_) };
    (@pattern $name:ident) => { Target::$name };
}

targets! {
    /// `-j REJECT`.
    Reject(Reject) = "REJECT",
    /// `-j LOG`.
    Log(Log) = "LOG",
    /// `-j NFLOG`.
    Nflog(Nflog) = "NFLOG",
    /// `-j MARK`.
    Mark(Mark) = "MARK",
    /// `-j CONNMARK`.
    Connmark(Connmark) = "CONNMARK",
    /// `-j DNAT`.
    Dnat(NatRange) = "DNAT",
    /// `-j SNAT`.
    Snat(NatRange) = "SNAT",
    /// `-j MASQUERADE`.
    Masquerade(NatRange) = "MASQUERADE",
    /// `-j REDIRECT`.
    Redirect(NatRange) = "REDIRECT",
    /// `-j NETMAP`.
    Netmap(NatRange) = "NETMAP",
    /// `-j NOTRACK`.
    Notrack = "NOTRACK",
    /// `-j CT`.
    Ct(Ct) = "CT",
    /// `-j TRACE`.
    Trace = "TRACE",
    /// `-j TCPMSS`.
    Tcpmss(Tcpmss) = "TCPMSS",
    /// `-j TTL`.
    Ttl(Ttl) = "TTL",
    /// `-j TOS`.
    Tos(Tos) = "TOS",
    /// `-j DSCP`: the upper six bits of TOS.
    Dscp(Dscp) = "DSCP",
    /// `-j CLASSIFY`.
    Classify(Classify) = "CLASSIFY",
    /// `-j SET`.
    Set(SetTarget) = "SET",
    /// `-j AUDIT`.
    Audit(Audit) = "AUDIT",
}

/// How `REJECT` answers (`--reject-with`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// ICMP destination unreachable with this code (`ICMP_NET_UNREACH` 0, `HOST` 1, `PROT` 2, `PORT` 3, `NET_ANO` 9, `HOST_ANO` 10,
    /// `PKT_FILTERED` 13).
    Icmp(u8),
    /// `tcp-reset`.
    TcpReset,
}

/// `LOG` (`struct ipt_log_info`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// `--log-level`, 0 to 7.
    pub level: u8,
    /// `--log-prefix`, at most 29 bytes.
    pub prefix: String,
    /// `--log-tcp-sequence`.
    pub tcp_sequence: bool,
    /// `--log-tcp-options`.
    pub tcp_options: bool,
    /// `--log-ip-options`.
    pub ip_options: bool,
    /// `--log-uid`.
    pub uid: bool,
    /// `--log-macdecode`.
    pub macdecode: bool,
}

/// `NFLOG` (`struct xt_nflog_info`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nflog {
    /// `--nflog-group`.
    pub group: u16,
    /// `--nflog-prefix`, at most 63 bytes.
    pub prefix: String,
    /// `--nflog-range` (false) or `--nflog-size` (true), bytes.
    pub size: Option<(bool, u32)>,
    /// `--nflog-threshold`, packets.
    pub threshold: u16,
}

/// `MARK` (`struct xt_mark_tginfo2`): `mark = (mark & !mask) ^ value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Value.
    pub mark: u32,
    /// Mask.
    pub mask: u32,
}

/// What `CONNMARK` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnmarkMode {
    /// `--set-xmark`.
    Set,
    /// `--save-mark`.
    Save,
    /// `--restore-mark`.
    Restore,
}

/// `CONNMARK` (`struct xt_connmark_tginfo2`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connmark {
    /// What it does.
    pub mode: ConnmarkMode,
    /// `--set-xmark` value.
    pub ctmark: u32,
    /// `--set-xmark` or `--ctmask`.
    pub ctmask: u32,
    /// `--nfmask`.
    pub nfmask: u32,
    /// `--left-shift-mark` (positive) or `--right-shift-mark` (negative), bits.
    pub shift: i8,
}

/// A range of addresses and ports that NAT may choose from (`struct nf_nat_range2`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NatRange {
    /// First and last address.
    pub addrs: Option<(u32, u32)>,
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

/// `CT` (`struct xt_ct_target_info_v1`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ct {
    /// `--notrack`.
    pub notrack: bool,
    /// `--helper`.
    pub helper: Option<String>,
    /// `--ctevents`: `IPCT_*` bits.
    pub ctevents: u16,
    /// `--expevents`: `IPEXP_*` bits. Nothing is ever expected, so it has no effect.
    pub expevents: u16,
    /// `--zone`, or the mark.
    pub zone: Option<CtZone>,
    /// `--timeout`.
    pub timeout: Option<String>,
}

/// Which zone `CT` chooses, and for which direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CtZone {
    /// The zone; `None`: the packet's mark.
    pub id: Option<u16>,
    /// `--zone-orig` or `--zone`.
    pub original: bool,
    /// `--zone-reply` or `--zone`.
    pub reply: bool,
}

/// `TCPMSS`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tcpmss {
    /// `--set-mss`, bytes; `None`: `--clamp-mss-to-pmtu`.
    pub mss: Option<u16>,
}

/// What `TTL` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlMode {
    /// `--ttl-set`.
    Set,
    /// `--ttl-inc`.
    Inc,
    /// `--ttl-dec`.
    Dec,
}

/// `TTL`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ttl {
    /// What it does.
    pub mode: TtlMode,
    /// Hops.
    pub ttl: u8,
}

/// `TOS`: `tos = (tos & !mask) ^ value`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tos {
    /// Value.
    pub value: u8,
    /// Mask.
    pub mask: u8,
}

/// `DSCP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dscp {
    /// `--set-dscp`.
    pub dscp: u8,
}

/// `CLASSIFY`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Classify {
    /// `--set-class MAJOR:MINOR`, as `skb->priority`.
    pub priority: u32,
}

/// A set that `SET` changes, and for each dimension whether it is the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetRef {
    /// Its name.
    pub name: String,
    /// For each dimension.
    pub source: Vec<bool>,
}

/// `SET` (`struct xt_set_info_target_v3`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SetTarget {
    /// `--add-set`.
    pub add: Option<SetRef>,
    /// `--del-set`.
    pub del: Option<SetRef>,
    /// `--map-set`.
    pub map: Option<SetRef>,
    /// `--exist`.
    pub exist: bool,
    /// `--timeout`, seconds.
    pub timeout: Option<u32>,
    /// `--map-mark`.
    pub map_mark: bool,
    /// `--map-prio`.
    pub map_prio: bool,
    /// `--map-queue`.
    pub map_queue: bool,
}

/// `AUDIT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audit {
    /// `--type accept`.
    Accept,
    /// `--type drop`.
    Drop,
    /// `--type reject`.
    Reject,
}
