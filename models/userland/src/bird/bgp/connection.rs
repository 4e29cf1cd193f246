//! A TCP connection of a session.

use std::net::Ipv4Addr;

use bytes::Bytes;
use rustbgpd_wire::{
    AddPathFamily, AddPathMode, Afi, Capability, EXTENDED_MAX_MESSAGE_LEN, GracefulRestartFamily,
    MAX_MESSAGE_LEN, Message, OpenMessage, Safi, encode_message_with_limit,
};

use super::Timer;
use crate::bird::config::{BgpConfig, ChannelConfig, Graceful};
use crate::sock::Sock;

/// AS numbers that need four bytes are this one in two (`AS_TRANS`, RFC 6793).
const AS_TRANS: u16 = 23456;

/// The state of a connection, in the order of RFC 4271.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConnState {
    Connect,
    OpenSent,
    OpenConfirm,
    Established,
}

impl ConnState {
    pub fn word(self) -> &'static str {
        match self {
            ConnState::Connect => "Connect",
            ConnState::OpenSent => "OpenSent",
            ConnState::OpenConfirm => "OpenConfirm",
            ConnState::Established => "Established",
        }
    }
}

/// A connection.
pub struct Conn {
    pub socket: Sock,
    pub state: ConnState,
    pub received: Vec<u8>,
    pub to_send: Vec<u8>,
    pub hold: Option<Timer>,
    pub keepalive: Option<Timer>,
    /// What both agreed on, seconds; 0: no timers.
    pub hold_time: u32,
    pub keepalive_time: u32,
    /// What we sent and what came.
    pub open: Option<OpenMessage>,
    pub remote: Option<OpenMessage>,
}

/// Our OPEN.
pub fn open_message(config: &BgpConfig, channel: Option<&ChannelConfig>, id: Ipv4Addr) -> OpenMessage {
    let mut capabilities = Vec::new();
    let (afi, safi) = (Afi::Ipv4, Safi::Unicast);
    if config.capabilities {
        if channel.is_some() {
            capabilities.push(Capability::MultiProtocol { afi, safi });
        }
        if config.enable_refresh {
            capabilities.push(Capability::RouteRefresh);
        }
        if config.enable_extended_messages {
            capabilities.push(Capability::ExtendedMessage);
        }
        if config.graceful != Graceful::Off {
            let family = GracefulRestartFamily { afi, safi, forwarding_preserved: false };
            let is_on = config.graceful == Graceful::On && channel.is_some();
            capabilities.push(Capability::GracefulRestart {
                restart_state: false,
                notification: false,
                restart_time: config.graceful_time,
                families: if is_on { vec![family] } else { Vec::new() },
            });
        }
        if config.enable_as4 {
            capabilities.push(Capability::FourOctetAs { asn: config.local_as });
        }
        let mode = channel.and_then(|channel| match (channel.add_paths_rx, channel.add_paths_tx) {
            (true, true) => Some(AddPathMode::Both),
            (true, false) => Some(AddPathMode::Receive),
            (false, true) => Some(AddPathMode::Send),
            (false, false) => None,
        });
        if let Some(send_receive) = mode {
            capabilities.push(Capability::AddPath(vec![AddPathFamily { afi, safi, send_receive }]));
        }
        if config.enable_refresh {
            capabilities.push(Capability::EnhancedRouteRefresh);
        }
        if config.long_lived && config.graceful != Graceful::Off {
            capabilities.push(Capability::LongLivedGracefulRestart(Vec::new()));
        }
    }
    OpenMessage {
        version: 4,
        my_as: u16::try_from(config.local_as).unwrap_or(AS_TRANS),
        hold_time: config.hold_time as u16,
        bgp_identifier: id,
        capabilities,
    }
}

impl Conn {
    pub fn new(socket: Sock, state: ConnState) -> Conn {
        Conn {
            socket,
            state,
            received: Vec::new(),
            to_send: Vec::new(),
            hold: None,
            keepalive: None,
            hold_time: 0,
            keepalive_time: 0,
            open: None,
            remote: None,
        }
    }

    /// Both ends have a capability.
    pub fn both(&self, is: impl Fn(&Capability) -> bool) -> bool {
        let has =
            |open: &Option<OpenMessage>| open.as_ref().is_some_and(|open| open.capabilities.iter().any(&is));
        has(&self.open) && has(&self.remote)
    }

    /// AS numbers have four bytes.
    pub fn has_as4(&self) -> bool {
        self.both(|capability| matches!(capability, Capability::FourOctetAs { .. }))
    }

    pub fn has_refresh(&self) -> bool {
        self.both(|capability| matches!(capability, Capability::RouteRefresh))
    }

    pub fn has_enhanced_refresh(&self) -> bool {
        self.both(|capability| matches!(capability, Capability::EnhancedRouteRefresh))
    }

    /// Routes have numbers in this direction, which is ours.
    pub fn adds_paths(&self, ours: AddPathMode) -> bool {
        let theirs = if ours == AddPathMode::Send { AddPathMode::Receive } else { AddPathMode::Send };
        let has = |open: &Option<OpenMessage>, mode: AddPathMode| {
            let families =
                open.iter().flat_map(|open| &open.capabilities).filter_map(|capability| match capability {
                    Capability::AddPath(families) => Some(families),
                    _ => None,
                });
            families.flatten().any(|family| {
                (family.afi, family.safi) == (Afi::Ipv4, Safi::Unicast)
                    && (family.send_receive == mode || family.send_receive == AddPathMode::Both)
            })
        };
        has(&self.open, ours) && has(&self.remote, theirs)
    }

    /// How long a message may be.
    pub fn limit(&self) -> u16 {
        match self.both(|capability| matches!(capability, Capability::ExtendedMessage)) {
            true => EXTENDED_MAX_MESSAGE_LEN,
            false => MAX_MESSAGE_LEN,
        }
    }

    /// Puts a message behind what is to be sent.
    pub fn queue(&mut self, message: &Message) {
        // What this program builds fits.
        if let Ok(bytes) = encode_message_with_limit(message, self.limit()) {
            self.to_send.extend_from_slice(&bytes);
        }
    }

    /// Sends what it can.
    ///
    /// # Errors
    ///
    /// That of the connection.
    pub fn write(&mut self) -> Result<(), String> {
        while !self.to_send.is_empty() {
            match self.socket.write(&self.to_send) {
                Ok(0) => break,
                Ok(count) => _ = self.to_send.drain(..count),
                Err(glassnet_kernel::netlink::Errno::EAGAIN) => break,
                Err(errno) => return Err(errno.strerror().to_owned()),
            }
        }
        Ok(())
    }

    /// The next whole message of what came, if there is one.
    ///
    /// # Errors
    ///
    /// The header is wrong.
    pub fn next_message(&mut self) -> Result<Option<Bytes>, rustbgpd_wire::DecodeError> {
        let length = rustbgpd_wire::peek_message_length(&self.received, self.limit())?;
        let Some(length) = length.map(usize::from).filter(|length| *length <= self.received.len()) else {
            return Ok(None);
        };
        Ok(Some(Bytes::from(self.received.drain(..length).collect::<Vec<u8>>())))
    }
}
