//! A protocol that runs, and its channel to a table.

use std::collections::BTreeMap;
use std::sync::Arc;

use glassnet_sim::Nanos;

use super::bgp::Bgp;
use super::config::{ChannelConfig, Debug, Kind, ProtoConfig};
use super::filter::Filter;
use super::krt::Krt;
use super::route::Rte;
use super::value::Net;

/// The state of a protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Down,
    Start,
    Up,
}

impl State {
    pub fn word(self) -> &'static str {
        match self {
            State::Down => "down",
            State::Start => "start",
            State::Up => "up",
        }
    }
}

/// What happened to routes: received, rejected, filtered, ignored, accepted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub received: u32,
    pub rejected: u32,
    pub filtered: u32,
    pub ignored: u32,
    pub accepted: u32,
}

/// Counts of a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub import_updates: Counts,
    pub import_withdraws: Counts,
    pub export_updates: Counts,
    pub export_withdraws: Counts,
}

/// A route's key in a channel: its network, and which of several.
pub type Key = (Net, u32);

/// A channel.
#[derive(Debug)]
pub struct Channel {
    pub config: ChannelConfig,
    pub up: bool,
    /// All routes of the table are yet to be announced.
    pub wants_feed: bool,
    pub stats: Stats,
    /// What was announced and accepted.
    pub exported: BTreeMap<Key, Rte>,
    /// What the filter of imports rejected (`import keep filtered`).
    pub filtered: BTreeMap<Key, Rte>,
    /// The limit of imports was hit.
    pub limited: bool,
}

impl Channel {
    fn new(config: ChannelConfig) -> Channel {
        Channel {
            config,
            up: false,
            wants_feed: false,
            stats: Stats::default(),
            exported: BTreeMap::new(),
            filtered: BTreeMap::new(),
            limited: false,
        }
    }

    pub fn import(&self) -> Filter {
        self.config.import.clone().unwrap_or(Filter::Accept)
    }

    pub fn export(&self) -> Filter {
        self.config.export.clone().unwrap_or(Filter::Reject)
    }

    /// Nothing is announced any more.
    pub fn reset(&mut self) {
        *self = Channel::new(self.config.clone());
    }
}

/// What only one kind of protocol has.
pub enum Running {
    Device,
    Direct,
    Static,
    Kernel(Krt),
    Bgp(Box<Bgp>),
}

/// A protocol that runs.
pub struct Proto {
    pub name: Arc<str>,
    pub config: ProtoConfig,
    pub state: State,
    pub since: Nanos,
    pub disabled: bool,
    pub debug: Debug,
    pub channel: Option<Channel>,
    pub running: Running,
    /// What the operator said when it was shut down.
    pub message: String,
    /// The configuration has it no more.
    pub removed: bool,
}

impl Proto {
    pub fn new(config: ProtoConfig, debug: Debug, now: Nanos) -> Proto {
        let running = match &config.kind {
            Kind::Device { .. } => Running::Device,
            Kind::Direct { .. } => Running::Direct,
            Kind::Static { .. } => Running::Static,
            Kind::Kernel(kernel) => Running::Kernel(Krt::new(kernel.clone())),
            Kind::Bgp(bgp) => Running::Bgp(Box::new(Bgp::new((**bgp).clone()))),
        };
        Proto {
            name: Arc::from(config.name.as_str()),
            state: State::Down,
            since: now,
            disabled: config.disabled,
            debug: config.debug.unwrap_or(debug),
            channel: config.channel.clone().map(Channel::new),
            config,
            running,
            message: String::new(),
            removed: false,
        }
    }

    pub fn bgp(&self) -> Option<&Bgp> {
        match &self.running {
            Running::Bgp(bgp) => Some(bgp),
            _ => None,
        }
    }

    pub fn bgp_mut(&mut self) -> Option<&mut Bgp> {
        match &mut self.running {
            Running::Bgp(bgp) => Some(bgp),
            _ => None,
        }
    }

    /// It is told of the routes of its table.
    pub fn hears_routes(&self) -> bool {
        matches!(self.running, Running::Kernel(_) | Running::Bgp(_))
    }

    /// The preference of routes that say nothing else.
    pub fn preference(&self) -> u32 {
        let own = self.channel.as_ref().and_then(|channel| channel.config.preference);
        own.unwrap_or_else(|| self.config.kind.preference())
    }
}
