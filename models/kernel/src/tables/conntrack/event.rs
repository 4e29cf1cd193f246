//! Conntrack events for ctnetlink listeners.
//!
//! Kernel: include/uapi/linux/netfilter/nf_conntrack_common.h (`enum ip_conntrack_events`), nf_conntrack_netlink.c

use glassnet_sim::Nanos;

use super::{Conn, Expect, Tuple};

/// `IPCT_NEW`.
pub const IPCT_NEW: u16 = 1;
/// `IPCT_RELATED`.
pub const IPCT_RELATED: u16 = 1 << 1;
/// `IPCT_DESTROY`.
pub const IPCT_DESTROY: u16 = 1 << 2;
/// `IPCT_REPLY`: first packet in the reply direction.
pub const IPCT_REPLY: u16 = 1 << 3;
/// `IPCT_ASSURED`.
pub const IPCT_ASSURED: u16 = 1 << 4;
/// `IPCT_PROTOINFO`: the protocol state changed.
pub const IPCT_PROTOINFO: u16 = 1 << 5;
/// `IPCT_HELPER`: a helper was set.
pub const IPCT_HELPER: u16 = 1 << 6;
/// `IPCT_MARK`.
pub const IPCT_MARK: u16 = 1 << 7;

/// `IPEXP_NEW`: a connection is expected.
pub const IPEXP_NEW: u16 = 1;
/// `IPEXP_DESTROY`: it is expected no more.
pub const IPEXP_DESTROY: u16 = 1 << 1;

/// Netlink message type of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum EventKind {
    /// `NFNLGRP_CONNTRACK_NEW`.
    New,
    /// `NFNLGRP_CONNTRACK_UPDATE`.
    Update,
    /// `NFNLGRP_CONNTRACK_DESTROY`.
    Destroy,
}

impl EventKind {
    /// Its bit in a mask of message types.
    pub fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The message type for these events, if any.
    pub fn of(events: u16) -> Option<EventKind> {
        match events {
            0 => None,
            _ if events & IPCT_DESTROY != 0 => Some(EventKind::Destroy),
            _ if events & (IPCT_NEW | IPCT_RELATED) != 0 => Some(EventKind::New),
            _ => Some(EventKind::Update),
        }
    }
}

/// An event message for a listener.
#[derive(Clone, Debug)]
pub struct CtEvent {
    /// Message type.
    pub kind: EventKind,
    /// `IPCT_*` bits.
    pub events: u16,
    /// Time of the event.
    pub at: Nanos,
    /// The process that caused it; none: a packet or a timeout.
    pub portid: Option<u32>,
    /// Snapshot of the connection at that time.
    pub conn: Conn,
}

/// An event message about an expectation.
#[derive(Clone, Debug)]
pub struct ExpectEvent {
    /// Message type.
    pub kind: EventKind,
    /// Time of the event.
    pub at: Nanos,
    /// The expectation.
    pub expect: Expect,
    /// Original tuple of the connection that announced it.
    pub master: Tuple,
    /// Name of that connection's helper.
    pub helper: &'static str,
}

/// A message for a listener.
#[derive(Clone, Debug)]
pub enum Message {
    /// About a connection.
    Conn(CtEvent),
    /// About an expectation.
    Expect(ExpectEvent),
}
