//! `protocol bgp`: sessions with neighbours.
//!
//! | file | owns |
//! |---|---|
//! | `session.rs` | the state machine of RFC 4271, as BIRD runs it |
//! | `receive.rs` | messages that come |
//! | `transmit.rs` | messages that go: routes with the attributes of the session |
//! | `connection.rs` | a TCP connection |
//! | `errors.rs` | what NOTIFICATIONs say |

mod connection;
mod errors;
mod receive;
mod session;
mod transmit;

use std::net::Ipv4Addr;

use glassnet_sim::Nanos;
use rustbgpd_wire::{AddPathMode, Afi, Capability, OpenMessage, Safi};

use super::config::BgpConfig;
use super::proto::Key;
use super::route::{Link, Rte};

pub use connection::{Conn, ConnState};
pub use session::{Listener, is_ready, listen};

/// A timer that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    pub at: Nanos,
    /// For how long it was set, seconds.
    pub span: u32,
}

/// How far a session is before it has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Down,
    /// The neighbour is not on a link.
    NoNeighbor,
    /// It waits after an error.
    ErrorWait,
    /// Connections are made and taken.
    Connecting,
}

/// Who caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Something else than BGP.
    Misc,
    Socket,
    /// The neighbour said so, or we did.
    Received,
    Sent,
    /// A limit shut the session down.
    Automatic,
}

impl Class {
    pub fn prefix(self) -> &'static str {
        match self {
            Class::Misc => "Error: ",
            Class::Socket => "Socket: ",
            Class::Received => "Received: ",
            Class::Sent => "BGP Error: ",
            Class::Automatic => "Automatic shutdown: ",
        }
    }
}

/// Which of the two connections that a session may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Outgoing,
    Incoming,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Outgoing, Side::Incoming];

    pub fn other(self) -> Side {
        match self {
            Side::Outgoing => Side::Incoming,
            Side::Incoming => Side::Outgoing,
        }
    }
}

/// A session.
pub struct Bgp {
    pub config: BgpConfig,
    pub phase: Phase,
    pub outgoing: Option<Conn>,
    pub incoming: Option<Conn>,
    /// The connection that is established.
    pub established: Option<Side>,
    pub connect_timer: Option<Timer>,
    pub error_timer: Option<Timer>,
    /// A neighbour that restarts keeps its routes until then.
    pub restart_timer: Option<Timer>,
    pub last_error: Option<(Class, String)>,
    pub last_error_at: Option<Nanos>,
    /// How long it waits after an error, seconds.
    pub error_delay: u32,
    /// The error is so new that the wait is yet to come.
    pub must_wait: bool,
    /// The link of a direct neighbour.
    pub link: Option<Link>,
    /// Our address on the session, its next hop.
    pub local: Option<Ipv4Addr>,
    /// Routes that are yet to be told, in order.
    pending: Vec<(Key, Option<Rte>)>,
    /// The end of the first routes is yet to be told.
    end_of_rib: bool,
    /// The neighbour asked for all routes once more, and hears where they end.
    refreshing: bool,
}

impl Bgp {
    pub fn new(config: BgpConfig) -> Bgp {
        Bgp {
            config,
            phase: Phase::Down,
            outgoing: None,
            incoming: None,
            established: None,
            connect_timer: None,
            error_timer: None,
            restart_timer: None,
            last_error: None,
            last_error_at: None,
            error_delay: 0,
            must_wait: false,
            link: None,
            local: None,
            pending: Vec::new(),
            end_of_rib: false,
            refreshing: false,
        }
    }

    pub fn conn(&self, side: Side) -> Option<&Conn> {
        match side {
            Side::Outgoing => self.outgoing.as_ref(),
            Side::Incoming => self.incoming.as_ref(),
        }
    }

    pub fn conn_mut(&mut self, side: Side) -> Option<&mut Conn> {
        match side {
            Side::Outgoing => self.outgoing.as_mut(),
            Side::Incoming => self.incoming.as_mut(),
        }
    }

    fn take_conn(&mut self, side: Side) -> Option<Conn> {
        match side {
            Side::Outgoing => self.outgoing.take(),
            Side::Incoming => self.incoming.take(),
        }
    }

    /// The connection over which routes go.
    pub fn session(&self) -> Option<&Conn> {
        self.conn(self.established?)
    }

    pub fn neighbor(&self) -> Ipv4Addr {
        self.config.neighbor.unwrap_or(Ipv4Addr::UNSPECIFIED)
    }

    /// The neighbour's router ID.
    pub fn neighbor_id(&self) -> Option<Ipv4Addr> {
        Some(self.session()?.remote.as_ref()?.bgp_identifier)
    }

    /// The neighbour's AS.
    pub fn neighbor_as(&self) -> Option<u32> {
        self.config.neighbor_as.or_else(|| self.session()?.remote.as_ref().map(OpenMessage::four_byte_as))
    }

    /// Next hops are looked up in a table.
    pub fn is_recursive(&self, gateway: Option<bool>) -> bool {
        gateway.unwrap_or(!self.config.is_direct())
    }

    /// All routes to a network are told, each with a number.
    pub fn sends_paths(&self) -> bool {
        self.session().is_some_and(|conn| conn.adds_paths(AddPathMode::Send))
    }

    /// The session would tell of this route, if the filter lets it.
    pub fn takes(&self, rte: &Rte) -> bool {
        /// Communities that say who is not to be told (RFC 1997).
        const NO_EXPORT: u32 = 0xffff_ff01;
        const NO_ADVERTISE: u32 = 0xffff_ff02;
        const NO_EXPORT_SUBCONFED: u32 = 0xffff_ff03;
        let internal = self.config.is_internal();
        if let Some(peer) = rte.peer
            && peer.internal
            && internal
            && !peer.rr_client
            && !self.config.rr_client
        {
            return false;
        }
        if !self.config.interpret_communities {
            return true;
        }
        let has = |community| rte.communities().contains(&community);
        !has(NO_ADVERTISE) && (internal || !has(NO_EXPORT) && !has(NO_EXPORT_SUBCONFED))
    }

    /// A route is to be told, or its end.
    pub fn announce(&mut self, key: Key, rte: Option<Rte>) {
        self.pending.retain(|(known, _)| *known != key);
        self.pending.push((key, rte));
    }

    /// All routes of the table were announced.
    pub fn fed(&mut self) {
        self.end_of_rib = true;
    }

    /// The word for its state.
    pub fn state_word(&self) -> &'static str {
        let states = [&self.outgoing, &self.incoming].into_iter().flatten().map(|conn| conn.state);
        match (states.max(), self.phase) {
            (Some(state), _) => state.word(),
            (None, Phase::Connecting) if self.config.passive => "Passive",
            (None, Phase::Connecting) => "Active",
            (None, _) => "Idle",
        }
    }

    /// The last error in words.
    pub fn error_text(&self) -> String {
        self.last_error.as_ref().map_or(String::new(), |(class, text)| format!("{}{text}", class.prefix()))
    }

    /// When it has something to do by itself.
    pub fn deadline(&self) -> Option<Nanos> {
        let timers = [self.connect_timer, self.error_timer, self.restart_timer].into_iter().flatten();
        let conns = [&self.outgoing, &self.incoming].into_iter().flatten();
        let of_conns = conns.flat_map(|conn| [conn.hold, conn.keepalive]).flatten();
        timers.chain(of_conns).map(|timer| timer.at).min()
    }
}

/// The neighbour tells that it can keep routes while it restarts.
pub fn graceful(open: &OpenMessage) -> Option<(u16, bool)> {
    open.capabilities.iter().find_map(|capability| match capability {
        Capability::GracefulRestart { restart_time, families, .. } => {
            let ours = |family: &&rustbgpd_wire::GracefulRestartFamily| {
                (family.afi, family.safi) == (Afi::Ipv4, Safi::Unicast)
            };
            Some((*restart_time, families.iter().any(|family| ours(&family))))
        }
        _ => None,
    })
}
