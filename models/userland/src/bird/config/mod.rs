//! `bird.conf`: what it says.
//!
//! | file | owns |
//! |---|---|
//! | `lexer.rs` | tokens, and files that are included |
//! | `parser.rs` | statements of the whole file, and what all statements are made of |
//! | `protocols.rs` | protocols, templates and channels |
//! | `bgp.rs` | what only `protocol bgp` has |
//! | `filters.rs` | filters, functions and expressions |

mod bgp;
mod expressions;
mod filters;
mod lexer;
mod parser;
mod protocols;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use glassnet_sim::Nanos;

use super::filter::{Filter, Function};
use super::route::{Attr, Dest, Rte};
use super::value::{Net, Value};

pub use lexer::{Included, Refused, Token};
pub use parser::Parser;

/// Which messages a protocol logs (`debug`), a bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Debug(pub u8);

impl Debug {
    pub const STATES: u8 = 1;
    pub const ROUTES: u8 = 2;
    pub const FILTERS: u8 = 4;
    pub const INTERFACES: u8 = 8;
    pub const EVENTS: u8 = 16;
    pub const PACKETS: u8 = 32;
    pub const ALL: u8 = 63;
}

/// Where messages go.
#[derive(Clone, Debug, PartialEq)]
pub enum LogTo {
    Stderr,
    Syslog,
    File(String),
}

/// `log`: where, and which classes.
#[derive(Clone, Debug, PartialEq)]
pub struct Log {
    pub to: LogTo,
    /// The names in angle brackets.
    pub classes: Vec<&'static str>,
}

/// A format of times (`timeformat`): of those not older than the limit, and of older ones.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeFormat {
    pub recent: String,
    pub limit: Nanos,
    pub older: String,
}

impl TimeFormat {
    pub fn short() -> TimeFormat {
        let limit = Nanos::from_secs(20 * 3600);
        TimeFormat { recent: "%T.%3f".to_owned(), limit, older: "%F".to_owned() }
    }

    pub fn long() -> TimeFormat {
        TimeFormat { recent: "%F %T.%3f".to_owned(), limit: Nanos::ZERO, older: "%F %T.%3f".to_owned() }
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq)]
pub enum Symbol {
    Filter(Arc<Function>),
    Function(Arc<Function>),
    Constant(Value),
    Protocol,
    Template(Box<ProtoConfig>),
    Table,
    Attribute(u16, Value),
}

/// A channel between a protocol and a table.
#[derive(Clone, Debug, PartialEq)]
pub struct ChannelConfig {
    pub table: String,
    pub import: Option<Filter>,
    pub export: Option<Filter>,
    pub preference: Option<u32>,
    pub keep_filtered: bool,
    pub import_limit: Option<Limit>,
    pub next_hop_self: NextHop,
    pub next_hop_keep: NextHop,
    pub next_hop_address: Option<Ipv4Addr>,
    /// `gateway`: recursive, or direct; `None`: as the session is.
    pub gateway_recursive: Option<bool>,
    pub igp_table: Option<String>,
    pub add_paths_rx: bool,
    pub add_paths_tx: bool,
}

/// A limit of routes, and what happens then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    pub count: u32,
    pub action: LimitAction,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    Warn,
    Block,
    Restart,
    Disable,
}

/// For which routes a rule of next hops holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NextHop {
    #[default]
    Never,
    Always,
    /// Routes that are from this AS, or from others.
    Ibgp,
    Ebgp,
}

impl NextHop {
    pub fn holds(self, rte: &Rte) -> bool {
        let internal = rte.peer.is_some_and(|peer| peer.internal);
        match self {
            NextHop::Never => false,
            NextHop::Always => true,
            NextHop::Ibgp => internal,
            NextHop::Ebgp => rte.peer.is_some() && !internal,
        }
    }
}

/// A static route's next hop.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticHop {
    pub via: Option<Ipv4Addr>,
    pub iface: Option<String>,
    pub weight: u16,
}

/// Where a static route leads.
#[derive(Clone, Debug, PartialEq)]
pub enum StaticTo {
    Hops(Vec<StaticHop>),
    Recursive(Ipv4Addr),
    Special(Dest),
}

/// A static route.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticRoute {
    pub net: Net,
    pub to: StaticTo,
    /// What is done to it (`{ bgp_med = 5; }`).
    pub changes: Option<Arc<Function>>,
}

/// How a session tells of graceful restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Graceful {
    Off,
    Aware,
    On,
}

/// `protocol bgp`.
#[derive(Clone, Debug, PartialEq)]
pub struct BgpConfig {
    pub local: Option<Ipv4Addr>,
    pub local_as: u32,
    pub local_port: u16,
    pub neighbor: Option<Ipv4Addr>,
    pub neighbor_as: Option<u32>,
    /// `internal` or `external`, without a number.
    pub neighbor_kind: Option<bool>,
    pub neighbor_port: u16,
    pub iface: Option<String>,
    /// `None`: as the neighbour's AS says; 0: direct.
    pub multihop: Option<u8>,
    pub strict_bind: bool,
    pub check_link: Option<bool>,
    pub ttl_security: bool,
    pub passive: bool,
    pub rr_client: bool,
    pub rr_cluster_id: Option<Ipv4Addr>,
    pub rs_client: bool,
    pub med_metric: bool,
    pub deterministic_med: bool,
    pub default_med: u32,
    pub default_local_pref: u32,
    pub path_metric: bool,
    pub igp_metric: bool,
    pub prefer_older: bool,
    pub interpret_communities: bool,
    pub allow_local_as: u32,
    pub allow_local_pref: bool,
    pub allow_med: bool,
    pub enforce_first_as: bool,
    pub enable_as4: bool,
    pub enable_refresh: bool,
    pub enable_extended_messages: bool,
    pub capabilities: bool,
    pub graceful: Graceful,
    pub graceful_time: u16,
    pub long_lived: bool,
    /// Times, seconds.
    pub hold_time: u32,
    pub startup_hold_time: Option<u32>,
    pub keepalive_time: Option<u32>,
    pub connect_delay_time: u32,
    pub connect_retry_time: u32,
    pub error_wait: (u32, u32),
    pub error_forget_time: u32,
    pub disable_after_error: bool,
    pub disable_after_cease: bool,
}

/// `protocol kernel`.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelConfig {
    pub learn: bool,
    pub persist: bool,
    pub scan_time: u32,
    /// At most so many next hops of several routes.
    pub merge_paths: Option<u32>,
    pub metric: u32,
    pub table: u32,
}

/// What kind of protocol it is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    Device { scan_time: u32 },
    Direct { interfaces: Vec<(bool, String)>, check_link: bool },
    Kernel(KernelConfig),
    Static { routes: Vec<StaticRoute>, check_link: bool, igp_table: Option<String> },
    Bgp(Box<BgpConfig>),
}

impl Kind {
    /// The name in `show protocols`, and the one of which default names are made.
    pub fn names(&self) -> (&'static str, &'static str) {
        match self {
            Kind::Device { .. } => ("Device", "device"),
            Kind::Direct { .. } => ("Direct", "direct"),
            Kind::Kernel(_) => ("Kernel", "kernel"),
            Kind::Static { .. } => ("Static", "static"),
            Kind::Bgp(_) => ("BGP", "bgp"),
        }
    }

    /// The preference of its routes.
    pub fn preference(&self) -> u32 {
        match self {
            Kind::Device { .. } => 0,
            Kind::Direct { .. } => 240,
            Kind::Kernel(_) => 10,
            Kind::Static { .. } => 200,
            Kind::Bgp(_) => 100,
        }
    }
}

/// A protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct ProtoConfig {
    pub name: String,
    pub kind: Kind,
    pub disabled: bool,
    pub debug: Option<Debug>,
    pub description: Option<String>,
    pub router_id: Option<Ipv4Addr>,
    pub channel: Option<ChannelConfig>,
}

/// All that a configuration says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    pub router_id: Option<Ipv4Addr>,
    pub hostname: Option<String>,
    pub logs: Vec<Log>,
    pub debug: Debug,
    /// Formats of times by what they are for.
    pub time_formats: BTreeMap<&'static str, TimeFormat>,
    /// Tables, in order; those of IPv6 are empty.
    pub tables: Vec<(String, bool)>,
    pub protocols: Vec<ProtoConfig>,
    pub symbols: BTreeMap<String, Symbol>,
    pub custom: Vec<(String, Value)>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// What is wrong in it, or a file that is included and not read yet.
    pub fn parse(path: &str, text: &str, included: &Included) -> Result<Config, Refused> {
        let mut config = Config {
            tables: vec![("master4".to_owned(), false), ("master6".to_owned(), true)],
            ..Config::default()
        };
        for (table, _) in config.tables.clone() {
            config.symbols.insert(table, Symbol::Table);
        }
        let mut parser = Parser::new(path, text, included, config)?;
        parser.file()?;
        parser.finish()
    }

    pub fn time_format(&self, of: &str) -> TimeFormat {
        let default =
            || if matches!(of, "route" | "protocol") { TimeFormat::short() } else { TimeFormat::long() };
        self.time_formats.get(of).cloned().unwrap_or_else(default)
    }

    /// The name of an attribute that the configuration declares.
    pub fn attr_name(&self, attr: Attr) -> String {
        match attr {
            Attr::Custom(number) => {
                self.custom.get(usize::from(number)).map_or_else(String::new, |(name, _)| name.clone())
            }
            other => super::show::attr_name(other),
        }
    }
}
