//! The rules of iptables: tables, chains, rules, as people write them.
//!
//! Kernel: include/linux/netfilter/x_tables.h, include/uapi/linux/netfilter_ipv4/ip_tables.h
//!
//! A rule holds what `iptables-save` prints. How rules are walked fast is the business of
//! `net/ipv4/netfilter/ip_tables.rs`.

pub mod counters;
pub mod flow;
pub mod installed;
pub mod scan;

use std::net::Ipv4Addr;

use super::netfilter::Hook;
pub use crate::extension::{Match, Target};
pub use counters::Counters;
pub use installed::{XtTable, XtTables};

/// Which of the two sets of tables: `iptables-legacy` and `iptables-nft` know nothing of each other's rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Variant {
    /// `ip_tables`.
    Legacy,
    /// `nf_tables` with its compatibility expressions.
    Nft,
}

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum TableName {
    /// `raw`: before connection tracking.
    Raw,
    /// `mangle`: rewrites headers and marks.
    Mangle,
    /// `nat`: asked once a connection.
    Nat,
    /// `filter`.
    Filter,
    /// `security`.
    Security,
}

/// All tables.
pub const TABLES: [TableName; 5] =
    [TableName::Raw, TableName::Mangle, TableName::Nat, TableName::Filter, TableName::Security];

impl TableName {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            TableName::Raw => "raw",
            TableName::Mangle => "mangle",
            TableName::Nat => "nat",
            TableName::Filter => "filter",
            TableName::Security => "security",
        }
    }

    /// The table of this name.
    pub fn parse(name: &str) -> Option<TableName> {
        TABLES.into_iter().find(|table| table.name() == name)
    }

    /// The hooks on which its built-in chains hang, in the order in which the chains are listed.
    pub fn hooks(self) -> &'static [Hook] {
        use Hook::{Forward, LocalIn, LocalOut, PostRouting, PreRouting};
        match self {
            TableName::Raw => &[PreRouting, LocalOut],
            TableName::Mangle => &[PreRouting, LocalIn, Forward, LocalOut, PostRouting],
            TableName::Nat => &[PreRouting, LocalIn, LocalOut, PostRouting],
            TableName::Filter | TableName::Security => &[LocalIn, Forward, LocalOut],
        }
    }

    /// The priority of its hook functions (`NF_IP_PRI_RAW` and so on). That of `nat` depends on the hook, and
    /// `iptables-nft` gives its chains of `security` another than the kernel's own table has.
    pub fn priority(self, variant: Variant, hook: Hook) -> i32 {
        match self {
            TableName::Raw => -300,
            TableName::Mangle => -150,
            TableName::Nat if matches!(hook, Hook::PreRouting | Hook::LocalOut) => -100,
            TableName::Nat => 100,
            TableName::Filter => 0,
            TableName::Security if variant == Variant::Nft => 150,
            TableName::Security => 50,
        }
    }
}

/// What becomes of a packet that no rule of a built-in chain decided about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// `ACCEPT`.
    Accept,
    /// `DROP`.
    Drop,
}

/// What a built-in chain has beside its rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Base {
    /// The hook on which it hangs.
    pub hook: Hook,
    /// Its policy.
    pub policy: Policy,
    /// What met the policy.
    pub counters: Counters,
    /// It counts. A chain that the nft tool made on its way to a rule does not, until `-P`, `-Z` or a dump's line
    /// names it.
    pub counted: bool,
}

/// A chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// It is a built-in chain.
    pub base: Option<Base>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A table with its chains: in the order of [`TableName::hooks`] the built-in ones (of the nft variant only those that
/// something made), then the others in the order in which they were made.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Which table.
    pub name: TableName,
    /// Its chains.
    pub chains: Vec<Chain>,
}

impl Table {
    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.name == name)
    }

    /// The chain of this name, to change it.
    pub fn chain_mut(&mut self, name: &str) -> Option<&mut Chain> {
        self.chains.iter_mut().find(|chain| chain.name == name)
    }
}

/// A network interface in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Iface {
    /// Not this one.
    pub invert: bool,
    /// Its name as it was typed, with a `+` at the end for all that begin so; at most 15 bytes.
    pub name: String,
}

impl Iface {
    /// The rule means a device of this name; `""` where the hook knows none.
    pub fn matches(&self, device: &str) -> bool {
        let found = match self.name.strip_suffix('+') {
            Some(prefix) => device.starts_with(prefix),
            None => device == self.name,
        };
        found != self.invert
    }
}

/// An address with a mask, which need not be a prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddrMask {
    /// Not these.
    pub invert: bool,
    /// Address, already masked.
    pub addr: Ipv4Addr,
    /// Mask; `0.0.0.0`: every address.
    pub mask: Ipv4Addr,
}

impl Default for AddrMask {
    fn default() -> Self {
        AddrMask { invert: false, addr: Ipv4Addr::UNSPECIFIED, mask: Ipv4Addr::UNSPECIFIED }
    }
}

impl AddrMask {
    /// The rule means this address.
    #[inline]
    pub fn matches(&self, addr: Ipv4Addr) -> bool {
        ((addr & self.mask) == self.addr) != self.invert
    }
}

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

/// What every rule can say without a match extension (`struct ipt_ip`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpMatch {
    /// `-s`.
    pub src: AddrMask,
    /// `-d`.
    pub dst: AddrMask,
    /// `-i`.
    pub input: Option<Iface>,
    /// `-o`.
    pub output: Option<Iface>,
    /// `-p`: protocol number, 0: all; and whether it is inverted.
    pub proto: (u8, bool),
    /// `-f` (`Some(true)`) or `! -f` (`Some(false)`): second and further fragments, or not.
    pub fragment: Option<bool>,
}

/// What happens to a packet that a rule matches.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// No target: it is counted, the next rule follows.
    None,
    /// `-j ACCEPT`.
    Accept,
    /// `-j DROP`.
    Drop,
    /// `-j RETURN`.
    Return,
    /// `-j CHAIN`.
    Jump(String),
    /// `-g CHAIN`.
    Goto(String),
    /// `-j` with a target extension.
    Target(Target),
}

/// A rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    /// Addresses, interfaces, protocol.
    pub ip: IpMatch,
    /// Match extensions, in the order of the command line.
    pub matches: Vec<Match>,
    /// What happens.
    pub action: Action,
    /// What it met.
    pub counters: Counters,
}

impl Rule {
    /// Its target extension, if it has one.
    pub fn target(&self) -> Option<&Target> {
        match &self.action {
            Action::Target(target) => Some(target),
            _ => None,
        }
    }

    /// It needs connection tracking.
    pub fn needs_conntrack(&self) -> bool {
        self.matches.iter().any(|with| with.needs_conntrack())
            || self.target().is_some_and(|target| target.needs_conntrack())
    }

    /// The names of the sets that it uses, one for each use.
    pub fn sets(&self) -> impl Iterator<Item = &str> {
        let by_target = self.target().map_or(Vec::new(), |target| target.sets());
        self.matches.iter().flat_map(|with| with.sets()).chain(by_target)
    }
}
